"""What a function closes over: the traced arrays that it can reach apart from its arguments.

Searched for through closures, defaults, bound objects and the globals that a function names. What is found stands for
symbols of the function's own graph while that is traced. What is not found (kept where Python does not show it) is
taken from the graph around as an expression: right as well, but evaluated outside.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray
from archimedes_grad.arrays.flat_entries import FlatEntries
from archimedes_grad.arrays.operands import node_of
from archimedes_grad.arrays.rows import RowOfSymbolicArray
from archimedes_grad.arrays.trace_state import trace_error

#: Objects looked at in search of traced arrays that a function closes over.
_LARGEST_SEARCH = 100_000


def closed_over(functions: Sequence[Callable[..., Any]]) -> list[SymbolicArray]:
    """Return the traced arrays, views as their roots, that functions can reach apart from their arguments."""
    found: dict[int, SymbolicArray] = {}
    seen: set[int] = set()
    kept: list[Any] = []  # Fresh containers must outlive the search, or their identities would be reused.
    waiting: list[Any] = list(functions)
    while waiting and len(seen) < _LARGEST_SEARCH:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        kept.append(item)
        if isinstance(item, ComplexArray):
            waiting += (item.real, item.imag)
        elif isinstance(item, FlatEntries):
            waiting.append(item.base)
        elif isinstance(item, SymbolicArray):
            root = item if item.root is None else item.root
            if isinstance(root, RowOfSymbolicArray):
                waiting += (root.array, root.index)
            else:
                found[id(root)] = root
        else:
            waiting.extend(_reached_from(item))
    return list(found.values())


def _reached_from(item: Any) -> list[Any]:
    if isinstance(item, types.FunctionType):
        named = [item.__globals__[name] for name in _names(item.__code__) if name in item.__globals__]
        return [*named, item.__closure__, item.__defaults__, item.__kwdefaults__, item.__dict__]
    if isinstance(item, np.ndarray):
        return list(item.flat) if item.dtype == object else []
    if isinstance(item, type | types.ModuleType | types.CodeType | str | bytes | int | float):
        return []
    module = type(item).__module__
    if module.startswith("archimedes_grad."):
        return [value for value in (getattr(item, "__wrapped__", None),) if value is not None]
    if module.startswith(("casadi", "optree")):
        return []
    return gc.get_referents(item)


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


@contextmanager
def standing_for(owner: str, arrays: Sequence[SymbolicArray], symbols: Sequence[Any]) -> Iterator[None]:
    """Let arrays of the trace around be the symbols given, for the length of a with statement.

    Raises
    ------
    TraceError
        If the body writes to one of the arrays.
    """
    before = [(array._node, array._read) for array in arrays]
    for array, symbol in zip(arrays, symbols, strict=True):
        array.rewrite(node_of(symbol))
    try:
        given = [array._node for array in arrays]
        yield
        # A write gives an array another node; a body inside this one gives back what it found.
        if any(array._node is not node for array, node in zip(arrays, given, strict=True)):
            raise trace_error(
                f"{owner}: the function writes to an array of the function around it.",
                "Pass the array as an argument, and return what was written.",
            )
    finally:
        for array, (node, read) in zip(arrays, before, strict=True):
            array._node, array._read = node, read
            array.version += 1
