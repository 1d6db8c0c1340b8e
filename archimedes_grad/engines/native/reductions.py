"""Sums and extremes over axes, in the order in which entries lie in memory; sums of products as products of sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

import casadi as cs

from archimedes_grad.engines.native.indices import c_strides, refined, refined_strides, spread
from archimedes_grad.engines.native.values import Elementwise, Fill, Product, Value, Values, View
from archimedes_grad.nodes.strided import Geometry

#: Axes with their lengths, and whether a sum keeps them.
_Axes = list[tuple[int, bool]]


def reduction(values: Values, kind: str, source: Value, shape: tuple[int, ...], kept: tuple[bool, ...]) -> Value:
    """Return the sum, maximum or minimum over the axes that are not kept."""
    window = _window_read(source)
    if window is not None:
        finer = refined(shape, window.shape)
        strides = None if finer is None else refined_strides(window, finer)
        if finer is not None and strides is not None and all(stride > 0 for stride in strides):
            order = sorted(range(len(finer)), key=lambda axis: -strides[axis])
            if order != list(range(len(finer))):
                return _reduced_in_order(values, kind, source, finer, spread(kept, shape, finer), order)
    return _reduced(values, kind, source, shape, kept)


def _reduced_in_order(
    values: Values, kind: str, source: Value, shape: tuple[int, ...], kept: tuple[bool, ...], order: Sequence[int]
) -> Value:
    """Return a reduction with its axes in another order, seen in the order asked for."""
    steps = c_strides(shape)
    turned = Geometry(tuple(shape[k] for k in order), 0, tuple(steps[k] for k in order))
    reduced = _reduced(values, kind, values.view(source, turned), turned.shape, tuple(kept[k] for k in order))
    axes = [k for k in order if kept[k]]
    step_of = dict(zip(axes, c_strides(tuple(shape[k] for k in axes)), strict=True))
    wanted = sorted(axes)
    return values.view(reduced, Geometry(tuple(shape[k] for k in wanted), 0, tuple(step_of[k] for k in wanted)))


def _reduced(values: Values, kind: str, source: Value, shape: tuple[int, ...], kept: tuple[bool, ...]) -> Value:
    result = _sum_of_product(values, source, shape, kept) if kind == "sum" else None
    return values.reduction(kind, source, shape, kept) if result is None else result


def _window_read(value: Value) -> Geometry | None:
    """Return the window on another array that a value is computed from, entry by entry, if it is one."""
    while isinstance(value, Elementwise):
        whole = [operand for operand in value.operands if operand.size == value.size]
        if len(whole) != 1:
            return None
        (value,) = whole
    return value.geometry if isinstance(value, View) else None


# --- sums of products -------------------------------------------------------------------------------


def _sum_of_product(values: Values, terms: Value, shape: tuple[int, ...], kept: tuple[bool, ...]) -> Value | None:
    """Return the sum over columns of a product, or over rows, as what they are the product of summed: ``A @ sum(b)``.

    None where it is another sum.
    """
    outside: list[tuple[int, list[Value]]] = []
    while isinstance(terms, Elementwise) and terms.operation in (cs.OP_NEG, cs.OP_TWICE, cs.OP_MUL):
        factors = [operand for operand in terms.operands if operand.size == 1]
        if len(terms.operands) - len(factors) != 1:
            return None
        outside.append((terms.operation, factors))
        (terms,) = (operand for operand in terms.operands if operand.size > 1)
    if not isinstance(terms, Product) or not is_zero(terms.base):
        return None
    axes = _axes_of_product(terms, shape, kept)
    if axes is None:
        return None
    result = _summed_product(values, terms, *axes)
    for operation, factors in reversed(outside):
        result = values.elementwise(operation, result, *factors)
    return result


def _axes_of_product(product: Product, shape: tuple[int, ...], kept: tuple[bool, ...]) -> tuple[_Axes, _Axes] | None:
    """Return the axes of a sum that run over a product's columns, and over its rows; None where others are summed."""
    own = (product.count, product.columns, product.rows)
    loops = refined(shape, own)
    if loops is None:
        return None
    axes = list(zip(loops, spread(kept, shape, loops), strict=True))
    batch, columns, rows = (
        [axis for axis, is_part in zip(axes, spread(part, own, loops), strict=True) if is_part]
        for part in ((True, False, False), (False, True, False), (False, False, True))
    )
    is_summed = [not all(keep for _, keep in part) for part in (batch, columns, rows)]
    return (columns, rows) if not is_summed[0] and any(is_summed) else None


def _summed_product(values: Values, product: Product, columns: _Axes, rows: _Axes) -> Value:
    count, inner = product.count, product.inner
    left, right = product.left, product.right
    if not all(keep for _, keep in columns):
        lengths, kept = zip(*columns, strict=True)
        right = reduction(values, "sum", right, (count, *lengths, inner), (True, *kept, True))
    if not all(keep for _, keep in rows):
        lengths, kept = zip(*rows, strict=True)
        left = reduction(values, "sum", left, (count, inner, *lengths), (True, True, *kept))
    left_over = [math.prod(length for length, keep in axes if keep) for axes in (rows, columns)]
    return sums_of_terms(values, left, right, left_over[0], inner, left_over[1], count)


def sums_of_terms(
    values: Values, left: Value, right: Value, rows: int, inner: int, columns: int, count: int = 1
) -> Value:
    """Return matrix products as a loop nest."""
    shape: tuple[int, ...] = (count, columns, rows, inner)
    kept: tuple[bool, ...] = (True, True, True, False)
    steps_left: tuple[int, ...] = (rows * inner, 0, 1, rows)
    steps_right: tuple[int, ...] = (inner * columns, inner, 0, 1)
    # Inner before rows where the rows of the left matrix lie side by side, and before columns where those of the right
    # one do.
    order = (0, 1, 2, 3)
    if rows > 1 and _stride(left, (count, inner, rows), 2) == 1:
        order = (0, 1, 3, 2)
    elif rows == 1 and _stride(right, (count, columns, inner), 1) == 1:
        order = (0, 2, 3, 1)
    shape, kept = tuple(shape[k] for k in order), tuple(kept[k] for k in order)
    left_view = values.view(left, Geometry(shape, 0, tuple(steps_left[k] for k in order)))
    right_view = values.view(right, Geometry(shape, 0, tuple(steps_right[k] for k in order)))
    terms = values.elementwise(cs.OP_MUL, left_view, right_view)
    if is_one(left):
        terms = right_view
    elif is_one(right):
        terms = left_view
    if inner > 1:
        return reduction(values, "sum", terms, shape, kept)
    if terms.size != count * rows * columns:
        return values.view(terms, Geometry((count * columns * rows,), 0, (0,)))
    return terms


def _stride(value: Value, shape: tuple[int, ...], axis: int) -> int:
    """Return how far apart the entries along an axis lie in memory, as far as can be told."""
    strides = refined_strides(value.geometry, shape) if isinstance(value, View) else None
    return c_strides(shape)[axis] if strides is None else strides[axis]


def is_one(value: Value) -> bool:
    """Tell whether all entries are 1."""
    return isinstance(value, Fill) and value.number == 1.0


def is_zero(value: Value) -> bool:
    """Tell whether all entries are 0, and not -0."""
    return isinstance(value, Fill) and value.number == 0.0 and str(value.number) == "0.0"
