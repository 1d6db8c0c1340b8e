"""Traced arrays made of a node and a value, laid out in memory as NumPy's are."""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.trace_state import current_trace, outlived
from archimedes_grad.nodes.gather import filled, geometry_of, window


def holding(node: cs.MX, value: Any) -> SymbolicArray:
    """Return the traced array or number of a node that is stored for its shape, and of a value of its own."""
    return (EntriesOfSymbolicArray if isinstance(value, np.ndarray) else SymbolicArray)(node, value)


def new_array(node: cs.MX, value: Any) -> SymbolicArray:
    """Return a traced array that shares its value with no other array, laid out in memory as NumPy's is.

    ``node`` may be a single entry for a whole shape (CasADi's own broadcasting leaves it so).
    """
    if type(value) is not np.ndarray:
        return holding(node, value)
    trace = current_trace()
    if trace is None:
        raise outlived()
    trace.array_nodes += 1
    trace.array_entries += value.size
    if not value.flags.c_contiguous:
        axes = sorted(range(value.ndim), key=lambda axis: -value.strides[axis])
        if value.transpose(axes).flags.c_contiguous:
            return _permuted(filled(node, value.shape), value, axes)
    if value.base is not None or not value.flags.c_contiguous or not value.flags.writeable:
        value = np.array(value, order="C")
    return EntriesOfSymbolicArray(filled(node, value.shape), value)


def _permuted(node: cs.MX, value: npt.NDArray[Any], axes: list[int]) -> SymbolicArray:
    """Return an array that lies in memory with other axes first: a view of one in C order, which has no other name."""
    root = _Memory(node, np.array(value.transpose(axes), order="C"), axes)
    value = root.value.transpose(np.argsort(axes))
    array = EntriesOfSymbolicArray.window_on(root, geometry_of(value, root.value), value)
    root._read = {array.geometry: node}
    return array


class _Memory(EntriesOfSymbolicArray):
    """The entries of an array in the order of memory, which are put in this order once they are asked for."""

    __slots__ = ("_axes", "_in_memory", "_seen")

    def __init__(self, seen: cs.MX, value: Any, axes: list[int]) -> None:
        super().__init__(seen, value)
        self._seen = seen
        self._axes = axes
        self._in_memory: cs.MX | None = None

    @property
    def _node(self) -> cs.MX:
        if self._in_memory is None:
            shape = self.value.transpose(np.argsort(self._axes)).shape
            positions = np.empty(shape, np.int8)
            self._in_memory = window(self._seen, shape, geometry_of(positions.transpose(self._axes), positions))
        return self._in_memory

    @_node.setter
    def _node(self, node: cs.MX) -> None:
        self._in_memory = node
