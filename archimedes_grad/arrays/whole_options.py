"""Whole numbers among the options of NumPy functions, as ``axis`` and ``n``: a traced one is decided.

Rules let NumPy judge their options, and build by them: what they get is the number of this run, with a guard for it.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

from archimedes_grad.arrays.trace_state import trace_error

#: Parameters after the first that take whole numbers, or tuples of them, and no arrays to compute with.
_WHOLE = frozenset({
    "axis", "axes", "axis1", "axis2", "axisa", "axisb", "axisc", "source", "destination", "start", "k", "n", "N", "M",
    "m", "kth", "deg", "s", "offset", "minlength", "max_work", "shape", "ind", "window_shape",
})  # fmt: skip
#: Those of np.linalg that choose a norm, by any number.
_OF_NORMS = frozenset({"ord", "p"})


def decided_options(
    function: Callable[..., Any], rule: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the arguments of a call of a NumPy function with plain numbers for traced ones among its options.

    None where none is decided. The call may have no traced value any more, and be NumPy's own.
    """
    if not any(map(_may_be_decided, args[1:])) and not any(map(_may_be_decided, kwargs.values())):
        return None
    names = _names_of(function) or _names_of(rule)
    later = [_decided(function, name, argument) for name, argument in zip(names[1:], args[1:], strict=False)]
    by_name = {name: _decided(function, name, argument) for name, argument in kwargs.items()}
    if all(map(operator.is_, later, args[1:])) and all(by_name[name] is kwargs[name] for name in kwargs):
        return None
    return (*args[:1], *later, *args[max(len(names), 1) :]), by_name


def _may_be_decided(option: Any) -> bool:
    if type(option) in (list, tuple):
        return any(map(_may_be_decided, option))
    return hasattr(type(option), "decided") and not option.ndim


@functools.cache
def _names_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of parameters by position; none of a NumPy function written in C, which has no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return ()
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(parameter.name for parameter in parameters if parameter.kind in by_position)


def _decided(function: Callable[..., Any], name: str, option: Any) -> Any:
    of_norm = name in _OF_NORMS and function.__module__ == "numpy.linalg"
    if not (name in _WHOLE or of_norm) or not _may_be_decided(option):
        return option
    if type(option) in (list, tuple):
        parts = [_decided(function, name, part) for part in option]
        return option if all(map(operator.is_, parts, option)) else type(option)(parts)
    if of_norm and option.dtype.kind not in "iu":
        raise trace_error(
            f"np.linalg got {name}= as a traced value, and which norm is computed is fixed.",
            "Pass it through static_argnames, or write the norm: np.sum(np.abs(x) ** p) ** (1 / p).",
        )
    # The k of polyint are constants of integration.
    return option if name == "k" and option.dtype.kind == "f" else operator.index(option)
