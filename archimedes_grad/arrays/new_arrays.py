"""Traced arrays made of a node and a value, laid out in memory as NumPy's are."""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.trace_state import current_trace, outlived
from archimedes_grad.nodes.gather import filled
from archimedes_grad.nodes.strided import laid_out, strides_in_memory


def holding(node: cs.MX, value: Any) -> SymbolicArray:
    """Return the traced array or number of a node that is stored for its shape, and of a value of its own."""
    return (EntriesOfSymbolicArray if isinstance(value, np.ndarray) else SymbolicArray)(node, value)


def new_array(node: cs.MX, value: Any) -> SymbolicArray:
    """Return a traced array that shares its value with no other array, laid out in memory as NumPy's is.

    ``node`` may be a single entry for a whole shape (CasADi's own broadcasting leaves it so).
    """
    trace = current_trace()
    if trace is None:
        raise outlived()
    if type(value) is not np.ndarray:
        return holding(node, value)
    trace.array_nodes += 1
    trace.array_entries += value.size
    if value.base is not None or not value.flags.writeable:
        value = laid_out(value, value.dtype, strides_in_memory(value))
    return EntriesOfSymbolicArray(filled(node, value.shape), value)


def in_order_of(pattern: Any, array: SymbolicArray) -> SymbolicArray:
    """Return an array that lies in memory as a plain one of its shape does, but for gaps."""
    value = np.empty_like(pattern, array.dtype)
    value[...] = array.value
    return new_array(array.node, value)
