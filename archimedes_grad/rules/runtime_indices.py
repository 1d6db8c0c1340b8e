"""Indices that are known only when a graph is evaluated: ``x[k]``, ``x[:, k]``, ``x[rows, columns]`` in a body.

Where values are known an index is decided while tracing, and leaves a guard. In the body of a loop or of vmap it cannot
be: the entries are gathered at run time. An index out of range reads nan there, where NumPy would raise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import gathered, is_traced
from archimedes_grad.arrays.rows import RowOfSymbolicArray, window_of
from archimedes_grad.arrays.trace_state import current_trace, note_call
from archimedes_grad.nodes.gather import entries_of_rows, reshaped

_ALL = slice(None)


class RuntimeIndex(NamedTuple):
    """The parts of an index, one for each axis that it takes or makes."""

    parts: list[Any]
    #: What NumPy gives by this index, but for its entries.
    result: npt.NDArray[Any] | np.generic

    @property
    def traced(self) -> list[int]:
        """Where the traced parts are."""
        return [place for place, part in enumerate(self.parts) if _is_traced_array(part)]

    @property
    def advanced(self) -> list[int]:
        """Where the parts are that NumPy broadcasts against each other: arrays, and whole numbers beside them."""
        return [place for place, part in enumerate(self.parts) if part is not None and not isinstance(part, slice)]

    @property
    def is_basic(self) -> bool:
        """Whether the index is one of slices and whole numbers, which gives a view."""
        return not any(np.ndim(self.parts[place]) for place in self.advanced)

    @property
    def is_one_block(self) -> bool:
        """Whether the advanced parts are side by side: their axes are first in the result otherwise."""
        advanced = self.advanced
        return advanced[-1] - advanced[0] == len(advanced) - 1

    def axis(self, place: int) -> int:
        """Return the axis of the array that a part indexes."""
        return sum(part is not None for part in self.parts[:place])


def runtime_index(array: SymbolicArray, key: Any) -> RuntimeIndex | None:
    """Return an index that holds traced whole numbers in a body; of others None.

    None too where it also holds what only a decision answers: a traced mask, or a slice with a traced end.

    Raises
    ------
    IndexError
        As NumPy does, whatever the traced numbers are.
    """
    trace = current_trace()
    if trace is None or trace.values_known:
        return None
    parts = [gathered(part) if is_traced(part) else part for part in (key if isinstance(key, tuple) else (key,))]
    if not any(map(_is_traced_array, parts)) or any(map(_needs_decision, parts)):
        return None
    parts = _without_masks(parts)
    static = _with_zeros(parts)
    missing = array.ndim - sum(part is not None and part is not Ellipsis for part in parts)
    ellipsis = next((place for place, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts[ellipsis : ellipsis + 1] = [_ALL] * missing
    index = RuntimeIndex(parts, array.value)
    lengths = list(array.shape)
    for axis in map(index.axis, index.traced):
        if axis < array.ndim:
            lengths[axis] = max(lengths[axis], 1)
    return index._replace(result=np.broadcast_to(array.dtype.type(0), lengths)[static])


def _is_traced_array(part: Any) -> bool:
    return isinstance(part, SymbolicArray)


def _with_zeros(parts: Sequence[Any]) -> tuple[Any, ...]:
    """Return the parts of an index with zeros for the traced ones."""
    return tuple(np.zeros(part.shape, int)[()] if _is_traced_array(part) else part for part in parts)


def _needs_decision(part: Any) -> bool:
    if isinstance(part, slice):
        return any(map(_is_traced_array, (part.start, part.stop, part.step)))
    if _is_traced_array(part):
        return part.dtype.kind not in "iu"
    return np.ndim(part) == 0 and isinstance(part, bool | np.bool_ | np.ndarray)


def _without_masks(parts: Sequence[Any]) -> list[Any]:
    """Return the parts of an index with masks as the places where they hold."""
    plain: list[Any] = []
    for part in parts:
        entries = np.asarray(part) if isinstance(part, list | tuple | range) else part
        if not _is_traced_array(entries) and isinstance(entries, np.ndarray) and entries.dtype == bool:
            plain += np.nonzero(entries)
        else:
            plain.append(part)
    return plain


def entries_at(array: Any, index: RuntimeIndex) -> Any:
    """Return ``array[index]``: a view where NumPy gives a view."""
    found = _row_at(array, index)
    if found is not None:
        row, rest = found
        if rest:
            return row[rest]
        if not isinstance(index.result, np.ndarray):
            return new_array(row.node, row.value[()])
        # By an array without axes NumPy gives a copy, by a number a view.
        return row.copy() if any(isinstance(index.parts[place].value, np.ndarray) for place in index.traced) else row
    if len(index.advanced) == 1:
        return _along_one_axis(array, index)
    return _rows_at(np.ravel(array), _places(array, index))


def write_at(array: Any, index: RuntimeIndex, new: Any) -> bool:
    """Write ``array[index] = new`` and tell that it was done: not by traced arrays of numbers, which may repeat one."""
    found = _row_at(array, index)
    if found is None:
        return False
    row, rest = found
    row[rest or ...] = new
    return True


def _row_at(array: Any, index: RuntimeIndex) -> tuple[Any, tuple[Any, ...]] | None:
    """Return what traced numbers leave of an array, and the parts that are to index it yet; None for traced arrays."""
    parts, traced = index.parts, index.traced
    if any(parts[place].ndim for place in traced):
        return None
    row: Any = array
    if index.is_basic:
        static = tuple(_ALL if place in traced else part for place, part in enumerate(parts))
        row = row if all(part == _ALL for part in static) else row[static]
        axes = [sum(not _is_number(part) for part in static[:place]) for place in traced]
        rest: tuple[Any, ...] = ()
    elif index.is_one_block:
        axes = [index.axis(place) for place in traced]
        rest = tuple(part for place, part in enumerate(parts) if place not in traced)
    else:
        return None
    for axis, place in zip(reversed(axes), reversed(traced), strict=True):
        row = RowOfSymbolicArray(np.moveaxis(row, axis, 0) if axis else row, parts[place])
    return row, rest


def _is_number(part: Any) -> bool:
    return part is not None and not isinstance(part, slice)


def _along_one_axis(array: Any, index: RuntimeIndex) -> Any:
    """Return the entries at a traced array of numbers beside slices and new axes."""
    (place,) = index.traced
    numbers = index.parts[place]
    window = array[tuple(_ALL if part is numbers else part for part in index.parts)]
    rows: Any = _rows_at(np.moveaxis(window, place, 0), numbers)
    axes = tuple(range(numbers.ndim))
    return np.moveaxis(rows, axes, tuple(place + axis for axis in axes)) if place else rows


def _places(array: SymbolicArray, index: RuntimeIndex) -> Any:
    """Return the place in C order of each entry that an index takes; beyond the last where one is out of range."""
    shape, size = array.shape, array.size
    advanced = index.advanced
    block = np.broadcast_shapes(*(np.shape(index.parts[place]) for place in advanced))
    # The axes of the block are in its place, or before all others.
    behind = index.result.ndim - len(block) - (advanced[0] if index.is_one_block else 0)
    places: Any = 0
    if size:
        places = np.arange(size).reshape(shape)[_with_zeros(index.parts)]
    is_in_range: Any = True
    for place in index.traced:
        axis = index.axis(place)
        numbers = np.reshape(index.parts[place], index.parts[place].shape + (1,) * behind)
        numbers = numbers + shape[axis] * np.less(numbers, 0)
        is_in_range = np.logical_and(
            is_in_range, np.logical_and(np.greater_equal(numbers, 0), np.less(numbers, shape[axis]))
        )
        places = places + math.prod(shape[axis + 1 :]) * numbers
    return np.broadcast_to(np.where(is_in_range, places, size), index.result.shape)


def _rows_at(array: Any, numbers: SymbolicArray) -> SymbolicArray:
    """Return the rows of an array at a traced array of numbers."""
    note_call()
    length, *rest = array.shape
    shape = (*numbers.shape, *rest)
    value = np.take(array.value, numbers.value, axis=0, mode="clip") if length else np.zeros(shape, array.dtype)
    entries = entries_of_rows(*window_of(array), numbers.node) if math.prod(rest) else cs.MX(0, 1)
    return new_array(reshaped(entries, shape), value)
