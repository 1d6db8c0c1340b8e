"""Rows ``x[k]`` by an index that has no actual value while tracing: views, whose place in x is found at run time."""

from __future__ import annotations

import math
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.constants import constant_node
from archimedes_grad.arrays.new_arrays import holding
from archimedes_grad.arrays.trace_state import note_call
from archimedes_grad.nodes.gather import entries_of_rows, reshaped
from archimedes_grad.nodes.strided import Geometry, laid_out, strides_in_memory


class RowOfSymbolicArray(EntriesOfSymbolicArray):
    """The row of an array at a traced index: read from the array as it is now, and written to it.

    Its own views have it as their root: where they lie in the array is not known either.

    Attributes
    ----------
    array, index
        What this is a row of, and which one: an array of at least one axis, and a traced whole number.
    """

    __slots__ = ("_entries", "_kept", "_times_read", "_was_read_of", "array", "index")

    def __init__(self, array: SymbolicArray, index: SymbolicArray) -> None:
        # A window on it: it may be given another shape in place.
        self.array = array[...]
        self.index = index
        self.root = None
        self.value = _value_of_row(array.value)
        self._was_read_of: tuple[Any, Any] = (None, None)
        self._entries = cs.MX()
        self._times_read = 0
        self._kept: dict[Any, Any] | None = None

    @property
    def base(self) -> Any:
        """The array that the row is a view of, or what that is a view of."""
        return self.array.base

    def _follow(self) -> None:
        """Read the row again if the array was written to, or stands for a symbol of another graph."""
        array = self.array
        root, index = array if array.root is None else array.root, self.index.node
        if root.node is self._was_read_of[0] and index is self._was_read_of[1]:
            return
        note_call()
        self._entries = reshaped(entries_of_rows(*window_of(array), index), self.value.shape)
        self._was_read_of = root.node, index
        self._times_read += 1
        self._kept = None

    @property
    def _node(self) -> cs.MX:
        self._follow()
        return self._entries

    @_node.setter
    def _node(self, node: cs.MX) -> None:
        self._entries = node

    @property
    def version(self) -> int:  # type: ignore[override]  # only roots that hold their entries are counted up
        """How often the row was read anew: its views follow."""
        self._follow()
        return self._times_read

    @property
    def _read(self) -> dict[Any, Any] | None:
        self._follow()
        return self._kept

    @_read.setter
    def _read(self, kept: dict[Any, Any] | None) -> None:
        self._kept = kept

    def rewrite(self, node: cs.MX) -> None:
        """Write other entries to the array; where the index is out of range, nan to every row."""
        array, index = self.array, self.index
        length, *rest = array.shape
        row = np.reshape(holding(node, self.value), rest)
        place = index + length * np.less(index, 0)
        is_row = np.equal(np.arange(length).reshape(length, *(1 for _ in rest)), place)
        nothing = holding(constant_node(np.nan), array.dtype.type(0))
        is_in_range = np.logical_and(np.greater_equal(place, 0), np.less(place, length))
        array[...] = np.where(is_in_range, np.where(is_row, row, array), nothing)


def window_of(array: SymbolicArray) -> tuple[cs.MX, Geometry]:
    """Return the node that an array is a window on, and which one: its root where that lies in C order, or its own."""
    root = array.root
    if root is not None and root.value.flags.c_contiguous:
        return root.node, array.geometry
    shape = array.shape
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return array.node, Geometry(shape, 0, strides)


def _value_of_row(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a row that lies in memory as each one does."""
    row = array[0, ...] if len(array) else np.zeros(array.shape[1:], array.dtype)
    value = laid_out(row, row.dtype, strides_in_memory(row))
    value.flags.writeable = array.flags.writeable
    return value
