"""Literal arrays of traced scalars: ``np.array([x[1], np.sin(x[0])])`` inside a traced function.

``numpy.array`` and its like do not dispatch on what a list holds: left alone they would build an array of
objects. For the length of a trace they are replaced by functions that ask first whether the list holds a
traced value, in the thread of the trace only, and do NumPy's own work otherwise.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from archimedes_grad.arrays import dispatch
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import current_trace

_CONSTRUCTORS = ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "require", "fromiter",
                 "arange")  # fmt: skip

# Module and name -> what it had in its place, while one is replaced. Changed under the tracing lock only.
_originals: dict[tuple[ModuleType, str], Callable[..., Any]] = {}
_replacements: dict[tuple[ModuleType, str], Callable[..., Any]] = {}


def _intercepting(original: Callable[..., Any]) -> Callable[..., Any]:
    if original is np.fromiter:
        return _of_iterator(original)
    if original is np.arange:
        return _of_ends(original)

    @functools.wraps(original)
    def constructor(object: Any, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is None or not (is_traced(object) or is_traced(kwargs.get("like"))):
            return original(object, *args, **kwargs)
        kwargs.pop("like", None)
        return dispatch.function_rule(original)(object, *args, **kwargs)

    return constructor


def _of_iterator(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``np.fromiter`` that looks at what an iterator gave: its items are asked for one after the other."""

    @functools.wraps(original)
    def fromiter(iter: Any, dtype: Any, count: int = -1, *, like: Any = None) -> Any:
        if current_trace() is None:
            return original(iter, dtype, count, like=like)
        items = list(iter if count < 0 else itertools.islice(iter, count))
        if is_traced(items) and len(items) >= count:
            return gathered(items).astype(dtype)
        made = dispatch.function_rule(original) if is_traced(like) else original
        return made([value_of(item) for item in items], dtype, count)

    return fromiter


def _plain_if_whole(argument: Any) -> Any:
    """Return the actual value of a traced integer, which is decided; other arguments as they are."""
    whole = isinstance(argument, SymbolicArray) and argument.dtype.kind in "iub"
    return argument.decided() if whole else argument


def _of_ends(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``np.arange`` between traced ends."""

    @functools.wraps(original)
    def arange(*args: Any, **kwargs: Any) -> Any:
        if current_trace() is None or not is_traced([*args, *kwargs.values()]):
            return original(*args, **kwargs)
        args = tuple(map(_plain_if_whole, args))
        kwargs = {name: _plain_if_whole(word) for name, word in kwargs.items()}
        if not is_traced([*args, *kwargs.values()]):
            return original(*args, **kwargs)
        return dispatch.function_rule(original)(*args, **kwargs)

    return arange


def replace() -> None:
    """Let NumPy's array constructors take lists of traced values."""
    for module in (np, *dispatch.CONSTRUCTOR_HOLDERS):
        for name in _CONSTRUCTORS:
            place = module, name
            present = getattr(module, name, None)
            if present is not None and present is not _replacements.get(place):
                _originals[place] = present
                _replacements[place] = _intercepting(present)
                setattr(module, name, _replacements[place])


def restore() -> None:
    """Put NumPy's own array constructors back, those of them that are replaced."""
    for (module, name), original in _originals.items():
        if getattr(module, name) is _replacements.get((module, name)):
            setattr(module, name, original)
