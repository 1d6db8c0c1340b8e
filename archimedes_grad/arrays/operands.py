"""What rules do with their operands: values, nodes, casts, literal arrays, movement of entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray, parts
from archimedes_grad.arrays.constants import constant_node
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.nodes.broadcasts import is_large_broadcast
from archimedes_grad.nodes.gather import Shape, broadcast, filled, flat, geometry_of, reshaped, taken
from archimedes_grad.nodes.strided import places_in_c_order

_binary = cs.MX.binary
_unary = cs.MX.unary


def value_of(operand: Any) -> Any:
    """Return the NumPy value of an operand, traced or not."""
    return operand.value if isinstance(operand, SymbolicArray) else operand


def values_in(structure: Any) -> Any:
    """Return lists, tuples, dicts and object arrays with every traced array replaced by its value."""
    if isinstance(structure, SymbolicArray):
        return structure.value
    if type(structure) in (list, tuple):
        return type(structure)(values_in(item) for item in structure)
    if isinstance(structure, dict):
        return {key: values_in(item) for key, item in structure.items()}
    return value_of(gathered(structure)) if isinstance(structure, np.ndarray) else structure


def is_traced(structure: Any) -> bool:
    """Tell whether an operand is a traced array, or a list, tuple or object array that holds one."""
    if isinstance(structure, SymbolicArray):
        return True
    if type(structure) in (list, tuple):
        return any(is_traced(item) for item in structure)
    if isinstance(structure, np.ndarray) and structure.dtype == object:
        return any(is_traced(item) for item in structure.flat)
    return False


def gathered(operand: Any) -> Any:
    """Return lists, tuples and object arrays of traced entries as one traced array, others as they are."""
    if isinstance(operand, SymbolicArray):
        return operand
    if isinstance(operand, np.ndarray):
        return literal(operand.tolist()) if operand.dtype == object and is_traced(operand) else operand
    if type(operand) in (list, tuple) and is_traced(operand):
        return literal(operand)
    return operand


def literal(structure: Any, dtype: npt.DTypeLike | None = None) -> SymbolicArray:
    """Return the traced array that ``np.array`` would make of nested sequences with traced entries."""
    if isinstance(structure, np.ndarray) and structure.dtype == object:
        structure = structure.tolist()
    value = np.array(values_in(structure), dtype=dtype)
    if value.dtype.kind == "c":
        return ComplexArray(*(literal(part_of(structure, number), value.real.dtype) for number in (0, 1)))
    require_real(value)
    nodes = [flat(node_of(entry)) for entry in _entries(structure)]
    node = reshaped(cs.vertcat(*nodes), value.shape)
    return new_array(cast_node(node, np.dtype(np.float64), value.dtype), value)


def part_of(structure: Any, number: int) -> Any:
    """Return the real (0) or imaginary (1) part of an operand, or of each entry of nested sequences."""
    if type(structure) in (list, tuple):
        return [part_of(item, number) for item in structure]
    entry = gathered(structure)
    part = parts(entry)[number]
    return np.zeros_like(value_of(entry)) if part is None else part


def _entries(structure: Any) -> Iterator[Any]:
    if type(structure) in (list, tuple):
        for item in structure:
            yield from _entries(item)
    else:
        yield gathered(structure)


def require_real(value: Any) -> None:
    """Raise TraceError where a result is not made of real numbers."""
    dtype = dtype_of(value)
    if dtype.kind not in "fiub":
        raise trace_error(
            f"The result has dtype {dtype}; traced arrays hold real numbers.",
            "Write complex numbers by their real and imaginary parts."
            if dtype.kind == "c"
            else "Keep text, None and other objects in a list or tuple of their own.",
        )


def array_of(operand: Any) -> Any:
    """Return an operand as an array: a traced one as it is, another as NumPy's."""
    return operand if isinstance(operand, SymbolicArray) else np.asarray(operand)


def dtype_of(operand: Any) -> np.dtype[Any]:
    """Return NumPy's dtype of an operand."""
    value = value_of(operand)
    # Asked of every operation of a trace: of NumPy's own objects at once, without the constructor that asks for more.
    return value.dtype if isinstance(value, np.ndarray | np.generic) else np.asarray(value).dtype


def node_of(operand: Any) -> cs.MX:
    """Return the node of an operand, stored for its own shape."""
    if isinstance(operand, SymbolicArray):
        return operand.node
    return constant_node(operand)


def as_traced(array: Any) -> SymbolicArray:
    """Return an array, or the constant that a plain one is, as a traced array of dtype float64."""
    if isinstance(array, SymbolicArray):
        return array
    return new_array(node_of(array), np.array(array, dtype=float))


def broadcast_node(operand: Any, shape: Shape) -> cs.MX:
    """Return the node of an operand broadcast to a shape; one entry is left to CasADi's own broadcasting."""
    own = np.shape(value_of(operand))
    trace = current_trace()
    if trace is not None and is_large_broadcast(own, shape):
        trace.large_products = True
    return broadcast(node_of(operand), own, shape)


def full_node(operand: Any, shape: Shape) -> cs.MX:
    """Return the node of an operand broadcast to a shape, with all its entries."""
    return filled(broadcast_node(operand, shape), shape)


def truncated(node: cs.MX) -> cs.MX:
    """Return the entries rounded towards zero; the derivative is zero."""
    return _binary(cs.OP_MUL, _unary(cs.OP_SIGN, node), _unary(cs.OP_FLOOR, _unary(cs.OP_FABS, node)))


def cast_node(node: cs.MX, source: np.dtype[Any], target: np.dtype[Any]) -> cs.MX:
    """Return a node cast from one dtype to another as NumPy casts.

    Graphs compute in double precision: a cast between float dtypes changes the dtype only.
    """
    if source == target or target.kind == "f":
        return node
    if target.kind == "b":
        return node if source.kind == "b" else _binary(cs.OP_NE, node, constant_node(0.0))
    if source.kind == "f":
        # No whole number is -0.0.
        node = _binary(cs.OP_ADD, truncated(node), constant_node(0.0))
    return wrapped(node, target) if not np.can_cast(source, target) else node


def wrapped(node: cs.MX, dtype: np.dtype[Any]) -> cs.MX:
    """Return integers wrapped around as an integer dtype of less than 64 bits does."""
    if dtype.itemsize >= 8:
        return node
    period = constant_node(2.0 ** (8 * dtype.itemsize))
    lowest = constant_node(float(np.iinfo(dtype).min))
    turns = _unary(cs.OP_FLOOR, _binary(cs.OP_DIV, _binary(cs.OP_SUB, node, lowest), period))
    return _binary(cs.OP_SUB, node, _binary(cs.OP_MUL, turns, period))


def typed(node: cs.MX, dtype: np.dtype[Any]) -> cs.MX:
    """Return a node computed in doubles from whole or truth values as the dtype that NumPy gives the result."""
    if dtype.kind == "b":
        return _binary(cs.OP_NE, node, constant_node(0.0))
    return wrapped(node, dtype) if dtype.kind in "iu" else node


def root_indices(array: SymbolicArray) -> Any:
    """Return, in the shape of an array, the flat index of each entry on its root, in C order."""
    if array.root is not None:
        return places_in_c_order(array.root.value, array.geometry.indices())
    if not isinstance(array.value, np.ndarray):
        return np.intp(0)
    return np.arange(array.value.size).reshape(array.value.shape)


def moved(array: SymbolicArray, value: Any, indices: Callable[[], Any]) -> SymbolicArray:
    """Return some entries of an array, moved: a view where NumPy gives a view, else the gathered entries.

    Parameters
    ----------
    value
        What NumPy's own movement made of the array's value.
    indices
        Gives what the same movement makes of ``root_indices(array)``: which entry went where.
    """
    root = array.root if array.root is not None else array
    if isinstance(value, np.ndarray) and np.may_share_memory(value, root.value):
        return EntriesOfSymbolicArray.window_on(root, geometry_of(value, root.value), value)
    if not np.size(root.value) and np.size(value):
        return new_array(constant_node(value), value)  # np.resize of nothing gives zeros
    result = new_array(_taken_from(array, np.asarray(indices())), value)
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        result.value.flags.writeable = False  # a broadcast scalar
    return result


def _taken_from(array: SymbolicArray, indices: Any) -> Any:
    """Return the entries at flat indices on an array's root, stored for the shape of the indices."""
    root = array.root if array.root is not None else array
    if array.root is None or not array.geometry.size == root.size == indices.size:
        return taken(root.node, np.shape(root.value), indices)
    # All entries in another order, which may be that of this array.
    places = np.empty(root.size, np.intp)
    places[root_indices(array).ravel()] = np.arange(root.size)
    return taken(array.node, array.shape, places[indices])
