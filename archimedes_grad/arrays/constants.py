"""Plain numbers and arrays as CasADi nodes: small ones written into the graph, others as hidden inputs.

Hidden inputs are the large ones, and those with a -0.0 in them, which CasADi would make 0.0.
"""

from __future__ import annotations

import math
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.nodes.gather import stored_shape

#: A constant array with more entries becomes a hidden input: written into the graph each costs 75 ns.
LARGEST_LITERAL = 64

_CACHE_SIZE = 4096

# One object, which a trace captures once.
_NEGATIVE_ZERO = np.array(-0.0)

# Shared between threads: an entry is immutable, and a lost update only costs making the node again.
_scalar_nodes: dict[float | int, cs.MX] = {}


def scalar_node(number: float | int) -> cs.MX:
    """Return the node of a number, from a cache: making one costs as much as an operation."""
    if number == 0:
        # 0.0 == -0.0, so a dictionary would mix up their signs.
        trace = current_trace()
        if trace is not None and math.copysign(1.0, number) < 0:
            return trace.outermost.capture(_NEGATIVE_ZERO, 1, 1)
        return cs.MX(0.0)
    node = _scalar_nodes.get(number)
    if node is None:
        if len(_scalar_nodes) >= _CACHE_SIZE:
            _scalar_nodes.clear()
        node = _scalar_nodes[number] = cs.MX(float(number))
    return node


def constant_node(constant: npt.NDArray[Any] | np.generic | float | int) -> cs.MX:
    """Return the node of a constant, stored for its shape.

    Raises
    ------
    TraceError
        If the constant has no real numeric dtype.
    """
    if type(constant) is float or type(constant) is int:
        return scalar_node(constant)
    array = np.asarray(constant)
    if array.dtype.kind not in "fiub":
        raise trace_error(
            f"an array of dtype {array.dtype} met a traced array; real numbers are expected.",
            "Convert it to float before the call, or keep it out of the traced arithmetic.",
        )
    if array.ndim == 0:
        return scalar_node(array.item())
    rows, columns = stored_shape(array.shape)
    if array.size == 0:
        return cs.MX(rows, columns)
    trace = current_trace()
    if trace is not None and (array.size > LARGEST_LITERAL or has_negative_zero(array)):
        return trace.outermost.capture(array, rows, columns)
    # DM reads a Fortran-ordered matrix: the transpose of the C-ordered (columns, rows) entries.
    return cs.MX(cs.DM(np.ascontiguousarray(array, dtype=np.float64).reshape(columns, rows).T))


def has_negative_zero(array: npt.NDArray[Any] | np.generic) -> bool:
    """Tell whether an array has an entry -0.0."""
    if np.count_nonzero(array) == array.size or array.dtype.kind != "f":
        return False
    return bool(np.any(np.signbit(array) & (array == 0)))
