"""Indexing, in-place writes, casts, and what is known of an array without its entries."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays import shuffles
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray
from archimedes_grad.arrays.constants import constant_node
from archimedes_grad.arrays.dispatch import COMPLEX, FUNCTIONS, implements
from archimedes_grad.arrays.flat_entries import FlatEntries
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import (
    cast_node,
    dtype_of,
    full_node,
    gathered,
    is_traced,
    moved,
    require_real,
    root_indices,
    value_of,
)
from archimedes_grad.arrays.rows import RowOfSymbolicArray
from archimedes_grad.arrays.trace_state import note_strides, trace_error
from archimedes_grad.nodes.gather import geometry_of, overwritten, put, written
from archimedes_grad.nodes.strided import Geometry, places_in_c_order
from archimedes_grad.rules.runtime_indices import entries_at, runtime_index, write_at


def plain_key(key: Any) -> Any:
    """Return an index without traced values: those that it held are decided, and leave guards."""
    if isinstance(key, SymbolicArray):
        # NumPy gives a view by a number, and a copy by an array that has no axes.
        return np.asarray(key.decided()) if isinstance(key.value, np.ndarray) else key.decided()
    if isinstance(key, tuple):
        return tuple(plain_key(part) for part in key)
    if isinstance(key, slice):
        return slice(*(plain_key(part) for part in (key.start, key.stop, key.step)))
    return gathered(key).decided() if is_traced(key) else key


@implements(operator.getitem)
def getitem(array: SymbolicArray, key: Any) -> Any:
    """``array[key]``: a view where NumPy gives a view."""
    index = runtime_index(array, key)
    if index is not None:
        return entries_at(array, index)
    key = plain_key(key)
    value = array.value[key]
    place = None if isinstance(value, np.ndarray) else _place_of(array, key)
    if place is not None:
        return (array if array.root is None else array.root).entry(place, value)
    entries = moved(array, value, lambda: root_indices(array)[key])
    return entries.copy() if entries.root is not None and shuffles.is_counting(sys._getframe(2)) else entries


def _place_of(array: SymbolicArray, key: Any) -> int | None:
    """Return the place in C order, on the root, of the one entry at a key of integers; of other keys None."""
    if not isinstance(array.value, np.ndarray):
        return None
    root = array if array.root is None else array.root
    window = array.value[(*key, ...) if isinstance(key, tuple) else (key, ...)]
    if not np.may_share_memory(window, root.value):
        return None
    return int(places_in_c_order(root.value, geometry_of(window, root.value).offset))


@implements(operator.setitem)
def setitem(array: SymbolicArray, key: Any, new: Any) -> None:
    """``array[key] = new``: the write goes to the root, and all its views follow."""
    new = gathered(new)
    index = runtime_index(array, key)
    if index is not None and write_at(array, index, new):
        return
    key = plain_key(key)
    array.value[key] = value_of(new)
    root = array.root if array.root is not None else array
    target = array.value[key]
    place = None if isinstance(target, np.ndarray) else _place_of(array, key)
    if place is not None:
        window = Geometry((), place, ())
        root.rewrite(overwritten(root.node, root.value.shape, window, assigned_node(new, array.dtype, ())))
    elif isinstance(target, np.ndarray) and np.may_share_memory(target, root.value):
        node = assigned_node(new, array.dtype, target.shape)
        root.rewrite(written(root.node, root.value, geometry_of(target, root.value), node))
    elif np.size(target):
        indices = np.asarray(root_indices(array)[key])
        root.rewrite(put(root.node, indices, assigned_node(new, array.dtype, indices.shape)))


def assigned_node(new: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Return the node of values written into an array of a dtype, broadcast to a shape."""
    extra = np.ndim(value_of(new)) - len(shape)
    if extra > 0:
        # NumPy drops leading axes of length 1 from what is assigned.
        new = np.reshape(new, np.shape(value_of(new))[extra:])
    return cast_node(full_node(new, shape), dtype_of(new), dtype)


@implements(np.flatiter)
def flat_entries(array: Any) -> Any:
    """``array.flat``."""
    if isinstance(array, ComplexArray):
        return array.of_parts(flat_entries)
    array = np.atleast_1d(array)
    return FlatEntries(array) if isinstance(array, SymbolicArray) else np.ravel(array)


@implements(np.ndarray.astype)
def astype(
    array: SymbolicArray, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    """Cast as NumPy does; ``copy=False`` gives the array itself where dtype and order are right already."""
    before = np.asarray(array.value)
    if not copy and order not in (None, "K"):
        note_strides()
    value = before.astype(dtype, order, casting, subok, copy)
    if value.dtype.kind == "c":
        real = astype(array, value.real.dtype, order)
        return ComplexArray(real, new_array(constant_node(0.0), np.zeros_like(real.value)))
    require_real(value)
    if value is before:
        return array
    return new_array(
        cast_node(array.node, array.dtype, value.dtype), value if isinstance(array.value, np.ndarray) else value[()]
    )


def _require_known_places(arrays: tuple[Any, ...]) -> None:
    for array in arrays:
        root = array.root if isinstance(array, SymbolicArray) and array.root is not None else array
        if isinstance(root, RowOfSymbolicArray):
            raise trace_error(
                "Where a row by a traced index lies in memory is known at run time only.",
                "Compare indices instead: i == j.",
            )


def _known(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of a function that asks only for shape, dtype or memory: NumPy's answer."""
    asks_memory = function in (np.may_share_memory, np.shares_memory)

    def rule(*args: Any, **kwargs: Any) -> Any:
        if asks_memory:
            note_strides()
            _require_known_places(args)
        return function(*(value_of(gathered(a)) for a in args), **kwargs)

    return rule


for _function in (
    np.shape, np.ndim, np.size, np.result_type, np.common_type, np.can_cast, np.isrealobj, np.iscomplexobj,
    np.may_share_memory, np.shares_memory,
):  # fmt: skip
    FUNCTIONS[_function] = COMPLEX[_function] = _known(_function)
