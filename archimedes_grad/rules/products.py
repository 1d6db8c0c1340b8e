"""Matrix products of every rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.complex_array import complex_rule
from archimedes_grad.arrays.dispatch import implements, implements_ufunc
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, gathered, node_of, typed, value_of
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.batched_products import are_separate, batched_product
from archimedes_grad.nodes.blas import is_large, matrix_product
from archimedes_grad.nodes.gather import Shape, filled, flat, reshaped
from archimedes_grad.nodes.patterns import seen_as
from archimedes_grad.rules.composition import counted, written
from archimedes_grad.rules.ufuncs import numpys_out


def times(left: cs.MX, right: cs.MX) -> cs.MX:
    """Return the product of two stored matrices."""
    counted(0, left.size1() * left.size2() * right.size2())
    trace = current_trace()
    if trace is not None:
        trace.large_products |= is_large(left, right)
    return matrix_product(left, right)


def _gufunc(ufunc: np.ufunc, product: Callable[[Any, Any, Any], Any]) -> None:
    """Register a product over core axes, which is told its value where that is known, with NumPy's keywords."""

    def rule(a: Any, b: Any, /, out: Any = None, *, axes: Any = None, axis: Any = None, keepdims: bool = False,
             **options: Any) -> Any:  # fmt: skip
        a, b = gathered(a), gathered(b)
        chosen = {"axes": axes, "axis": axis, "keepdims": keepdims or None}
        keywords = options | {name: word for name, word in chosen.items() if word is not None}
        value = ufunc(value_of(a), value_of(b), out=numpys_out(out, ufunc.__name__), **keywords)
        if np.asarray(value).dtype.kind == "c" and not keywords and out is None:
            return complex_rule(ufunc)(a, b)
        if axis is not None:
            axes = [(axis,), (axis,), ()]
        groups = [entry if isinstance(entry, tuple) else (entry,) for entry in axes or ()]
        if groups:
            a, b = (np.moveaxis(x, group, range(-len(group), 0)) for x, group in zip((a, b), groups, strict=False))
        result = product(a, b, None if groups else value)
        if len(groups) == 3 and groups[2] and not keepdims:
            result = np.moveaxis(result, range(-len(groups[2]), 0), groups[2])
        node = reshaped(node_of(result), np.shape(value))
        return written(out, new_array(typed(node, np.asarray(value).dtype), value), ufunc.__name__)

    implements_ufunc("__call__", ufunc)(rule)


def _matmul(a: Any, b: Any, value: Any = None) -> Any:
    """``a @ b``: of stored matrices, the product in the opposite order."""
    if value is None:
        value = np.matmul(value_of(a), value_of(b))
    shape_a, shape_b = np.shape(value_of(a)), np.shape(value_of(b))
    if value.size == 0 or 0 in shape_a:
        node = cs.MX(0.0)
    elif len(shape_b) <= 2:
        node = _matrix_on_the_right(node_of(a), shape_a, node_of(b), shape_b)
    elif len(shape_a) == 1:
        # (k) @ (..., k, n): each matrix from the left is (..., n, k) on a vector.
        return _matmul(np.swapaxes(b, -1, -2), a, value)
    else:
        node = _batched(node_of(a), shape_a, node_of(b), shape_b)
    return new_array(reshaped(filled(node, np.shape(value)), np.shape(value)), value)


def _matrix_on_the_right(a: cs.MX, shape_a: Shape, b: cs.MX, shape_b: Shape) -> cs.MX:
    """(..., m, k) @ (k, n), (..., m, k) @ (k) or (k) @ (k, n): one product of stored matrices."""
    length = shape_a[-1]
    rows = seen_as(a, length, math.prod(shape_a[:-1]))
    columns = cs.reshape(b, 1, length) if len(shape_b) == 1 else b
    return times(columns, rows)


def _batched(a: cs.MX, shape_a: Shape, b: cs.MX, shape_b: Shape) -> cs.MX:
    """(..., m, k) @ (..., k, n): one node, which becomes a product for each matrix where that is faster."""
    (m, k), n = shape_a[-2:], shape_b[-1]
    batch = np.broadcast_shapes(shape_a[:-2], shape_b[:-2])
    counted(0, math.prod(batch) * m * k * n)
    trace = current_trace()
    if trace is not None:
        trace.large_products |= are_separate(math.prod(batch), m * k * n)
    return batched_product(a, shape_a, b, shape_b)


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """The product over the last axis of a and the second to last of b (the only one of a vector)."""
    a, b = gathered(a), gathered(b)
    dim_a, dim_b = np.ndim(value_of(a)), np.ndim(value_of(b))
    if dim_a == 0 or dim_b == 0:
        return np.multiply(array_of(a), array_of(b), out=out)
    np.dot(value_of(a), value_of(b))
    if dim_b <= 2:
        return np.matmul(a, b, out=out)
    moved = np.moveaxis(b, -2, 0)
    flat_b = np.reshape(moved, (moved.shape[0], math.prod(moved.shape[1:])))
    product = np.matmul(a, flat_b)
    return written(out, np.reshape(product, product.shape[:-1] + moved.shape[1:]), "dot")


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """The sum of the products of all entries."""
    np.vdot(value_of(gathered(a)), value_of(gathered(b)))
    return np.dot(np.ravel(gathered(a)), np.ravel(gathered(b)))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """The product over the last axes."""
    a, b = gathered(a), gathered(b)
    if np.ndim(value_of(a)) == 0 or np.ndim(value_of(b)) == 0:
        return np.multiply(array_of(a), array_of(b))
    np.inner(value_of(a), value_of(b))
    shape_a, shape_b = np.shape(value_of(a)), np.shape(value_of(b))
    rows_a, rows_b = math.prod(shape_a[:-1]), math.prod(shape_b[:-1])
    product = np.matmul(np.reshape(a, (rows_a, shape_a[-1])), np.reshape(b, (rows_b, shape_b[-1])).T)
    return np.reshape(product, shape_a[:-1] + shape_b[:-1])[()]


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """The products of all pairs of entries: a matrix of one column times one of one row."""
    a, b = gathered(a), gathered(b)
    value = np.outer(value_of(a), value_of(b), numpys_out(out, "outer"))
    if value.size == 0:
        return written(out, new_array(cs.MX(0.0), value), "outer")
    node = times(flat(node_of(b)), cs.reshape(node_of(a), 1, value.shape[0]))
    return written(out, new_array(reshaped(node, value.shape), value), "outer")


def _vecdot(a: Any, b: Any, value: Any) -> Any:
    return np.sum(np.multiply(a, b), axis=-1, dtype=float)


def _matvec(a: Any, x: Any, value: Any) -> Any:
    return _matmul(a, np.expand_dims(x, -1))[..., 0]


def _vecmat(x: Any, a: Any, value: Any) -> Any:
    return _matmul(np.expand_dims(x, -2), a)[..., 0, :]


_gufunc(np.matmul, _matmul)
_gufunc(np.vecdot, _vecdot)
_gufunc(np.matvec, _matvec)
_gufunc(np.vecmat, _vecmat)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """The sum of a diagonal."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)
