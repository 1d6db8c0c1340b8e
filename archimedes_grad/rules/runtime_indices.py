"""Indices that are known only when a graph is evaluated: ``x[i]`` in the body of a loop or of vmap.

Where values are known an index is decided while tracing, and leaves a guard. In a body it cannot be: the entries
are gathered at run time. An index out of range reads nan there, where NumPy would raise.
"""

from __future__ import annotations

import math
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.gather import flat, reshaped

_binary = cs.MX.binary


def has_runtime_index(array: SymbolicArray, key: Any) -> bool:
    """Tell whether an index is a traced array of integers, or a tuple that starts with one, in a body."""
    trace = current_trace()
    if trace is None or trace.values_known or not array.ndim:
        return False
    first = key[0] if isinstance(key, tuple) and key else key
    return isinstance(first, SymbolicArray) and first.dtype.kind in "iu"


def entries_at(array: SymbolicArray, index: SymbolicArray) -> SymbolicArray:
    """Return ``array[index]`` for a traced array of integers."""
    trace = current_trace()
    assert trace is not None
    trace.opaque = True
    length, *rest = array.shape
    inner = math.prod(rest)
    shape = (*index.shape, *rest)
    value = np.take(array.value, index.value, axis=0, mode="clip") if length else np.full(shape, np.nan)
    position = flat(index.node)
    below = _binary(cs.OP_LT, position, scalar_node(0))
    position = _binary(cs.OP_ADD, position, _binary(cs.OP_MUL, below, scalar_node(length)))
    if inner != 1:
        first = cs.repmat(_binary(cs.OP_MUL, position, scalar_node(inner)).T, inner, 1)
        within = cs.repmat(cs.MX(cs.DM(range(inner))), 1, index.size)
        position = cs.vec(_binary(cs.OP_ADD, first, within))
    return new_array(reshaped(flat(array.node).get_nz(False, position), shape), value)
