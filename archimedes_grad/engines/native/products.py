"""Matrix products and contractions in the form that is the fastest: a sum, a loop nest, or BLAS."""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.engines.native.values import Fill, UnsupportedError, Value, Values, View
from archimedes_grad.strided import Geometry

#: From this many multiplications on a product of two matrices goes to BLAS.
BLAS_FROM = 8_000


def matrix_product(
    values: Values, base: Value, left: Value, right: Value, rows: int, inner: int, columns: int
) -> Value:
    """Return ``base + left @ right`` in the form that is the fastest: a sum, a loop nest, or BLAS."""
    if rows * inner * columns >= BLAS_FROM and min(rows, columns) > 1 and inner > 1 and not _is_ones(left, right):
        return values.product(base, left, right, rows, inner, columns)
    # Axes: columns, rows, inner; or inner before rows where the rows of the left matrix lie side by side, and before
    # columns where those of the right one do.
    strided_rows = _row_stride(left, rows) == 1 and rows > 1
    left_view = values.view(left, Geometry((columns, rows, inner), 0, (0, 1, rows)))
    right_view = values.view(right, Geometry((columns, rows, inner), 0, (inner, 0, 1)))
    shape: tuple[int, ...] = (columns, rows, inner)
    kept: tuple[bool, ...] = (True, True, False)
    if strided_rows:
        shape, kept = (columns, inner, rows), (True, False, True)
        left_view = values.view(left, Geometry(shape, 0, (0, rows, 1)))
        right_view = values.view(right, Geometry(shape, 0, (inner, 1, 0)))
    elif rows == 1 and _column_stride(right, inner, columns) == 1:
        shape, kept = (inner, columns), (False, True)
        left_view = values.view(left, Geometry(shape, 0, (1, 0)))
        right_view = values.view(right, Geometry(shape, 0, (1, inner)))
    terms = values.elementwise(cs.OP_MUL, left_view, right_view)
    if _is_one(left):
        terms = right_view
    elif _is_one(right):
        terms = left_view
    product = terms if inner == 1 else values.reduction("sum", terms, shape, kept)
    if inner == 1 and terms.size != rows * columns:
        product = values.view(terms, Geometry((columns, rows), 0, (0, 0)))
    return product if _is_zero(base) else values.elementwise_sum(base, product)


def contraction(values: Values, info: dict[str, Any], operands: list[Value]) -> Value:
    """Return sums of products over labelled axes, by the length of each label and its stride in each array."""
    base, left, right = operands
    lengths = info["iter_dims"]
    offsets = [info[f"strides_{name}"][0] for name in "abc"]
    strides = [info[f"strides_{name}"][1:] for name in "abc"]
    if any(offsets):
        raise UnsupportedError("a contraction that begins inside its arrays is not compiled")
    labels = sorted(range(len(lengths)), key=lambda label: -strides[2][label])
    groups = {
        (bool(strides[0][label]), bool(strides[1][label]), bool(strides[2][label])): label for label in labels
    }
    batch, rows, inner, columns = (groups.get(key) for key in _MATRIX_LABELS)
    is_matrix_product = len(groups) == len(labels) and set(groups) <= set(_MATRIX_LABELS)
    if is_matrix_product and None not in (rows, inner, columns) and _is_large(lengths, (rows, inner, columns)):
        return _batched_product(values, operands, lengths, strides, (batch, rows, inner, columns))
    shape = tuple(lengths[label] for label in labels)
    first = values.view(left, Geometry(shape, 0, tuple(strides[0][label] for label in labels)))
    second = values.view(right, Geometry(shape, 0, tuple(strides[1][label] for label in labels)))
    kept = tuple(strides[2][label] != 0 for label in labels)
    total = values.reduction("sum", values.elementwise(cs.OP_MUL, first, second), shape, kept)
    return total if _is_zero(base) else values.elementwise_sum(base, total)


#: Whether a label is in the first operand, the second, and the result: batch, rows, inner and columns of a product.
_MATRIX_LABELS = ((True, True, True), (True, False, True), (True, True, False), (False, True, True))


def _is_large(lengths: list[int], labels: tuple[int | None, ...]) -> bool:
    sizes = [lengths[label] for label in labels if label is not None]
    return int(np.prod(sizes)) >= BLAS_FROM and min(sizes) > 1


def _batched_product(
    values: Values, operands: list[Value], lengths: list[int], strides: list[list[int]],
    labels: tuple[int | None, int | None, int | None, int | None],
) -> Value:  # fmt: skip
    """Return the products of matrices that lie behind one another, as one value."""
    batch, rows, inner, columns = labels
    assert rows is not None
    assert inner is not None
    assert columns is not None
    base, left, right = operands
    if strides[2][rows] != 1:
        # The result lies by rows: the transposed product, with the operands exchanged, lies as BLAS writes.
        left, right, rows, columns = right, left, columns, rows
        strides = [strides[1], strides[0], strides[2]]
    count = 1 if batch is None else lengths[batch]
    size = lengths[rows] * lengths[columns]
    parts = []
    for k in range(count):
        first, second, own = (
            0 if batch is None else k * strides[operand][batch] for operand in range(3)
        )
        left_view = values.view(
            left, Geometry((lengths[inner], lengths[rows]), first, (strides[0][inner], strides[0][rows]))
        )
        right_view = values.view(
            right, Geometry((lengths[columns], lengths[inner]), second, (strides[1][columns], strides[1][inner]))
        )
        base_view = values.view(base, Geometry((size,), own, (1,)))
        parts.append(
            values.product(base_view, left_view, right_view, lengths[rows], lengths[inner], lengths[columns])
        )
    return values.concatenation(parts)


def _is_ones(left: Value, right: Value) -> bool:
    return _is_one(left) or _is_one(right)


def _is_one(value: Value) -> bool:
    return isinstance(value, Fill) and value.number == 1.0


def _is_zero(value: Value) -> bool:
    return isinstance(value, Fill) and value.number == 0.0 and str(value.number) == "0.0"


def _column_stride(right: Value, inner: int, columns: int) -> int:
    """Return how far apart consecutive columns of a matrix lie in memory."""
    if isinstance(right, View) and right.geometry.shape == (columns, inner):
        return right.geometry.strides[0]
    return inner


def _row_stride(left: Value, rows: int) -> int:
    """Return how far apart consecutive rows of a matrix lie in memory, as far as can be told."""
    if isinstance(left, View) and len(left.geometry.shape) == 2 and left.geometry.shape[1] == rows:
        return left.geometry.strides[1]
    return 1
