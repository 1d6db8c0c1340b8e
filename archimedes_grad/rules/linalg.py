"""numpy.linalg: equations, inverses, determinants and norms, for stacks of matrices too."""

from __future__ import annotations

import functools
import math
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import full_node, gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import note_call
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import reshaped
from archimedes_grad.rules import matrix_kinds as kinds
from archimedes_grad.rules import small_matrices as small
from archimedes_grad.rules.attempts import implements_fallible
from archimedes_grad.rules.contractions import as_float
from archimedes_grad.rules.creation import constant
from archimedes_grad.rules.decompositions import called, numpy_value
from archimedes_grad.rules.lengths import root_of_sum_of_squares
from archimedes_grad.rules.reductions import reduced_axes

# --- equations ------------------------------------------------------------------------------------


@implements_fallible(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """The solution of linear equations; b is a vector where it has one axis, else a stack of matrices."""
    a, b = gathered(a), gathered(b)
    value = numpy_value(np.linalg.solve, a, b)
    if not value.size:
        return constant(value)
    shape_a, shape_b = np.shape(value_of(a)), np.shape(value_of(b))
    n = shape_a[-1]
    batch = value.shape[:-1] if len(shape_b) == 1 else value.shape[:-2]
    if n <= small.LARGEST_SOLVE and (len(shape_b) == 1 or shape_b[-1] <= 2 * n):
        return new_array(_solved_by_entries(a, b, batch), value)
    note_call(can_fail=True)
    if len(shape_b) == 1 and not batch:
        node = kinds.solver(n).solve(node_of(a), node_of(b), True)
        return new_array(node, value)
    columns = 1 if len(shape_b) == 1 else shape_b[-1]
    count = math.prod(batch)
    right = full_node(b, (*batch, n) if len(shape_b) == 1 else (*batch, n, columns))
    stored = cs.reshape(right, columns, n * count)
    if len(shape_a) == 2:
        # One matrix for all: one factorisation, and the right-hand sides beside each other.
        sides = np.moveaxis(b, -2, 0) if len(shape_b) > 2 else b
        beside = cs.reshape(node_of(sides), math.prod(np.shape(value_of(sides))[1:]), n)
        solved = kinds.solver(n).solve(node_of(a), beside.T, True).T
        shape = (n, *batch, columns)
        rows_first: Any = new_array(reshaped(solved, shape), np.moveaxis(value, -2, 0))
        return new_array(node_of(np.moveaxis(rows_first, 0, -2)), value)
    matrices = full_node(a, (*batch, n, n))
    (solved,) = _solve_item(n, columns).map(count).call([matrices, stored])
    return new_array(reshaped(solved, value.shape), value)


def _solved_by_entries(a: Any, b: Any, batch: tuple[int, ...]) -> cs.MX:
    shape_b = np.shape(value_of(b))
    n = np.shape(value_of(a))[-1]
    if len(shape_b) == 1:
        sides, shape = (*batch, n, 1), (*batch, n)
        right = reshaped(full_node(b, shape), sides)
    else:
        sides = shape = (*batch, *shape_b[-2:])
        right = full_node(b, shape)
    left = full_node(a, (*batch, n, n))
    solution = small.solved(small.entries(left, (*batch, n, n)), small.entries(right, sides))
    return reshaped(small.joined(solution, sides), shape)


@functools.cache
def _solve_item(n: int, columns: int) -> cs.Function:
    """Return the solution of one item of a stack, stored as gather.stored_shape says."""
    a, b = cs.MX.sym("a", n, n), cs.MX.sym("b", columns, n)
    return graph_function("solve", [a, b], [kinds.solver(n).solve(a, b.T, True).T])


@implements_fallible(np.linalg.inv)
def inv(a: Any) -> Any:
    """The inverse of each matrix of a stack."""
    a = gathered(a)
    value = numpy_value(np.linalg.inv, a)
    return new_array(node_of(np.linalg.solve(a, np.broadcast_to(np.eye(a.shape[-1]), a.shape))), value)


@implements_fallible(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The array x for which ``tensordot(a, x, x.ndim)`` is b."""
    a, b = gathered(a), gathered(b)
    value = numpy_value(lambda x, y: np.linalg.tensorsolve(x, y, axes), a, b)
    ndim = np.ndim(value_of(a))
    if axes is not None:
        kept = [axis for axis in range(ndim) if axis not in axes]
        a = np.transpose(a, [*kept, *axes])
    size = np.size(value_of(b))
    return np.reshape(np.linalg.solve(np.reshape(a, (size, size)), np.ravel(b)), value.shape)


@implements_fallible(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse with respect to ``tensordot(a, b, ind)``."""
    a = gathered(a)
    value = np.linalg.tensorinv(value_of(a), ind)
    size = math.prod(a.shape[:ind])
    return np.reshape(np.linalg.inv(np.reshape(a, (size, size))), value.shape)


# --- determinants ---------------------------------------------------------------------------------


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """The determinant; its derivative is right for singular matrices too."""
    a = gathered(a)
    value = np.linalg.det(value_of(a))
    if 0 < a.shape[-1] <= small.LARGEST_DETERMINANT and np.size(value):
        return _determinant_by_entries(a, value)
    return called(kinds.DET, a, [()], [value])[0]


def _determinant_by_entries(a: SymbolicArray, value: Any) -> SymbolicArray:
    return new_array(reshaped(small.determinant(small.entries(a.node, a.shape)), np.shape(value)), value)


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """The sign of the determinant and the logarithm of its absolute value."""
    a = gathered(a)
    value = np.linalg.slogdet(value_of(a))
    if 0 < a.shape[-1] <= small.LARGEST_DETERMINANT and np.size(value[0]):
        determinant = _determinant_by_entries(a, np.linalg.det(value_of(a)))
        size: Any = np.abs(determinant)
        nodes = node_of(np.sign(determinant)), node_of(np.log(size))
        return type(value)(*(new_array(node, known) for node, known in zip(nodes, value, strict=True)))
    return type(value)(*called(kinds.SLOGDET, a, [(), ()], value))


# --- norms ----------------------------------------------------------------------------------------


@implements_fallible(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A norm of vectors or matrices along axes; its gradient at zero is 0, the least subgradient."""
    x = gathered(x)
    value = np.linalg.norm(value_of(x), ord, axis, keepdims)
    if x.size == 0:
        return value
    x = as_float(x)
    axes = reduced_axes(axis, x.ndim)
    if ord is None or len(axes) == 1:
        result = _vector_norm(x, ord, axes, keepdims)
    else:
        result = _matrix_norm(x, ord, axes, keepdims)
    return new_array(reshaped(result.node, np.shape(value)), value)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """A norm of all entries along axes."""
    x = gathered(x)
    value = np.linalg.vector_norm(value_of(x), axis=axis, keepdims=keepdims, ord=ord)
    if x.size == 0:
        return value
    x = as_float(x)
    axes = reduced_axes(axis, x.ndim)
    return new_array(reshaped(_vector_norm(x, ord, axes, keepdims).node, np.shape(value)), value)


@implements_fallible(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """A norm of the matrix in the last two axes."""
    np.linalg.matrix_norm(value_of(gathered(x)), ord=ord)
    return np.linalg.norm(x, ord, (-2, -1), keepdims)


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> SymbolicArray:
    if ord is None or ord == 2:
        return _root(np.sum(x * x, axis=axes, keepdims=keepdims))
    if ord == math.inf:
        return np.max(np.abs(x), axis=axes, keepdims=keepdims)  # type: ignore[no-any-return]
    if ord == -math.inf:
        return np.min(np.abs(x), axis=axes, keepdims=keepdims)  # type: ignore[no-any-return]
    if ord == 0:
        return np.sum(x != 0, axis=axes, keepdims=keepdims, dtype=float)  # type: ignore[no-any-return]
    if ord == 1:
        return np.sum(np.abs(x), axis=axes, keepdims=keepdims)  # type: ignore[no-any-return]
    zero = x == 0
    # At an entry that is 0 the power has no slope that is of use: the term is cut out there.
    powers = np.power(np.abs(x) + zero, ord) * (1 - zero)
    total = np.sum(powers, axis=axes, keepdims=keepdims)
    vanishes = total == 0 if ord > 0 else np.any(zero, axis=axes, keepdims=keepdims)
    return np.power(total + vanishes, 1.0 / ord) * (1 - vanishes)  # type: ignore[no-any-return]


def _root(total: SymbolicArray) -> SymbolicArray:
    return new_array(root_of_sum_of_squares(total.node), np.sqrt(total.value))


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> SymbolicArray:
    if ord in ("f", "fro"):
        return _root(np.sum(x * x, axis=axes, keepdims=keepdims))
    last = np.moveaxis(x, axes, (-2, -1))
    if ord == "nuc":
        value = np.sum(np.linalg.svdvals(last.value), axis=-1)
        result: Any = called(kinds.NUCLEAR, last, [()], [value])[0]
    elif ord in (2, -2):
        singular = np.linalg.svdvals(last)
        result = np.max(singular, axis=-1) if ord == 2 else np.min(singular, axis=-1)
    else:
        totals = np.sum(np.abs(last), axis=-2 if ord in (1, -1) else -1)
        result = np.max(totals, axis=-1) if ord > 0 else np.min(totals, axis=-1)
    return result  # type: ignore[no-any-return]
