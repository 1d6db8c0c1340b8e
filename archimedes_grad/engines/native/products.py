"""Matrix products and contractions in the form that is the fastest: a sum, a loop nest, or by blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

import casadi as cs

from archimedes_grad.engines.native.reductions import is_one, is_zero, reduction, sums_of_terms
from archimedes_grad.engines.native.values import UnsupportedError, Value, Values
from archimedes_grad.nodes.strided import Geometry

#: From this many multiplications on a product of two matrices is no loop nest, but multiplied by blocks.
_BLOCKS_FROM = 8_000


def matrix_product(
    values: Values, base: Value, left: Value, right: Value, rows: int, inner: int, columns: int
) -> Value:
    """Return ``base + left @ right`` in the form that is the fastest: a sum, a loop nest, or by blocks."""
    if rows * inner * columns >= _BLOCKS_FROM and min(rows, columns) > 1 and inner > 1 and not _is_ones(left, right):
        return values.product(base, left, right, rows, inner, columns)
    product = sums_of_terms(values, left, right, rows, inner, columns)
    return product if is_zero(base) else values.elementwise_sum(base, product)


def contraction(values: Values, info: dict[str, Any], operands: list[Value]) -> Value:
    """Return sums of products over labelled axes, by the length of each label and its stride in each array."""
    base, left, right = operands
    if any(info[f"strides_{name}"][0] for name in "abc"):
        raise UnsupportedError("a contraction that begins inside its arrays is not compiled")
    axes = _axes(info)
    matrices = _as_matrices(axes) if axes else None
    if matrices is not None:
        return _batched_product(values, operands, matrices)
    # Sums last, unless what lies side by side in the result does so in an operand, too.
    axes.sort(key=lambda axis: axis.result == 1 and 1 in (axis.left, axis.right))
    shape = tuple(axis.length for axis in axes)
    first = values.view(left, Geometry(shape, 0, tuple(axis.left for axis in axes)))
    second = values.view(right, Geometry(shape, 0, tuple(axis.right for axis in axes)))
    kept = tuple(axis.result != 0 for axis in axes)
    product = values.elementwise(cs.OP_MUL, first, second)
    if _is_ones(left, right):
        product = second if is_one(left) else first
    if not all(kept):
        product = reduction(values, "sum", product, shape, kept)
    return product if is_zero(base) else values.elementwise_sum(base, product)


class _Axis(NamedTuple):
    """A label of a contraction: its length, and its stride in both operands and in the result; 0 where it is not."""

    length: int
    left: int
    right: int
    result: int

    @property
    def kind(self) -> tuple[bool, bool, bool]:
        """Which arrays have the axis."""
        return bool(self.left), bool(self.right), bool(self.result)

    def holds(self, inner: _Axis) -> bool:
        """Tell whether this axis and an inner one are one axis in every array."""
        pairs = ((self.left, inner.left), (self.right, inner.right), (self.result, inner.result))
        return all(outer == own * inner.length for outer, own in pairs)


def _axes(info: dict[str, Any]) -> list[_Axis]:
    """Return the axes of a contraction in the order of the result, those merged that continue one another."""
    strides = zip(*(info[f"strides_{name}"][1:] for name in "abc"), strict=True)
    axes = [_Axis(length, *steps) for length, steps in zip(info["iter_dims"], strides, strict=True) if length > 1]
    merged: list[_Axis] = []
    for axis in sorted(axes, key=lambda axis: (-axis.result, -axis.left, -axis.right)):
        if merged and merged[-1].holds(axis):
            axis = _Axis(merged.pop().length * axis.length, axis.left, axis.right, axis.result)
        merged.append(axis)
    return merged


_ROWS, _INNER, _COLUMNS = (True, False, True), (True, True, False), (False, True, True)
_BATCH = (True, True, True)


def _as_matrices(axes: list[_Axis]) -> tuple[_Axis, _Axis, _Axis, _Axis] | None:
    """Return batch, rows, inner and columns of matrices, behind one another in the result; None where none."""
    # Where one matrix is the same for the whole batch, the outermost axis is of the other one and of the result.
    kinds = [axis.kind for axis in axes]
    is_shared = kinds[0] in (_ROWS, _COLUMNS) and kinds.count(kinds[0]) == 2 and _BATCH not in kinds
    own = axes[1:] if is_shared else axes
    by_kind = {axis.kind: axis for axis in own}
    if len(by_kind) != len(own) or {_ROWS, _INNER, _COLUMNS} - set(by_kind):
        return None
    rows, inner, columns = by_kind[_ROWS], by_kind[_INNER], by_kind[_COLUMNS]
    size = rows.length * columns.length
    batch = axes[0] if is_shared else by_kind.get(_BATCH, _Axis(1, 0, 0, size))
    is_large = size * inner.length >= _BLOCKS_FROM
    return (batch, rows, inner, columns) if is_large and batch.result == size else None


def _batched_product(
    values: Values, operands: list[Value], matrices: tuple[_Axis, _Axis, _Axis, _Axis]
) -> Value:
    """Return the products of matrices that lie behind one another, as one value."""
    batch, rows, inner, columns = matrices
    base, left, right = operands
    first = values.view(left, _window(batch.left, batch, (inner, inner.left), (rows, rows.left)))
    second = values.view(right, _window(batch.right, batch, (columns, columns.right), (inner, inner.right)))
    if rows.result != 1:
        # The result lies by rows: the transposed product, with the operands exchanged, lies as BLAS writes.
        first = values.view(right, _window(batch.right, batch, (inner, inner.right), (columns, columns.right)))
        second = values.view(left, _window(batch.left, batch, (rows, rows.left), (inner, inner.left)))
        rows, columns = columns, rows
    return values.product(base, first, second, rows.length, inner.length, columns.length, batch.length)


def _window(step: int, batch: _Axis, *axes: tuple[_Axis, int]) -> Geometry:
    lengths, strides = tuple(axis.length for axis, _ in axes), tuple(stride for _, stride in axes)
    return Geometry((batch.length, *lengths), 0, (step, *strides))


def _is_ones(left: Value, right: Value) -> bool:
    return is_one(left) or is_one(right)
