"""Lengths: absolute values, roots of sums of squares, hypotenuses; and their squares, which are smooth at 0.

A length has slope 0 at 0, the subgradient of least norm. With it the first derivative of its square is right, but the
second one would be 0. So the square of a length has one term more, the sum of squares itself where it is 0: of no
value, and with the derivatives of the square. So have cosines. The trace notes which nodes are lengths.
"""

from __future__ import annotations

from collections.abc import Callable

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.rules.words import add, div, is_zero, mul, negated, only_where, sqrt, zero_unless

MX = cs.MX
_binary = MX.binary

#: Where something is 0, and its square, which has the right derivatives there.
_Square = tuple[MX, MX]
#: What a trace notes of lengths: see there.
_Lengths = dict[int, tuple[MX, Callable[[], _Square]]]

#: How far back from a product or an entry a length is looked for.
_DEPTH = 4


# --- lengths ----------------------------------------------------------------------------------------


def absolute(x: MX) -> MX:
    """abs(x), with slope 0 at 0."""
    length = MX.unary(cs.OP_FABS, x)
    return _noted(length, lambda: (is_zero(length), mul(x, x)))


def root_of_sum_of_squares(total: MX) -> MX:
    """sqrt(total), with slope 0 at 0."""
    positive = _binary(cs.OP_NE, total, scalar_node(0))
    vanishes = negated(positive)
    return _noted(zero_unless(positive, sqrt(add(total, vanishes))), lambda: (vanishes, total))


def hypot(x: MX, y: MX) -> MX:
    """The root of x**2 + y**2, with slopes 0 at the origin."""
    both_zero = _binary(cs.OP_AND, is_zero(x), is_zero(y))
    # At the origin hypot is taken of (1, 0) and cut out.
    length = zero_unless(negated(both_zero), _binary(cs.OP_HYPOT, add(x, both_zero), y))
    return _noted(length, lambda: (both_zero, add(mul(x, x), mul(y, y))))


def _noted(length: MX, squared: Callable[[], _Square]) -> MX:
    trace = current_trace()
    if trace is not None and not length.is_constant():
        trace.lengths[hash(length)] = length, squared
    return length


# --- what is smooth of a length -----------------------------------------------------------------------


def square(x: MX) -> MX:
    """x * x, with the second derivatives of the square where x is a length, entries or a multiple of one."""
    squared = _squared(x)
    return mul(x, x) if squared is None else add(mul(x, x), only_where(*squared))


def product(x: MX, y: MX) -> MX:
    """x * y; of a length with itself its square."""
    if _lengths() and (hash(x) == hash(y) or _are_the_same_absolute_value(x, y)):
        return square(x)
    return mul(x, y)


def _are_the_same_absolute_value(x: MX, y: MX) -> bool:
    return bool(x.op() == cs.OP_FABS and y.op() == cs.OP_FABS and hash(x.dep(0)) == hash(y.dep(0)))


def even(rule: Callable[[MX], MX], curvature: float) -> Callable[[MX], MX]:
    """Return the rule of an even function with its second derivative at 0, of a length too."""

    def with_curvature(x: MX) -> MX:
        squared = _squared(x)
        if squared is None:
            return rule(x)
        vanishes, square = squared
        return add(rule(x), only_where(vanishes, mul(square, scalar_node(curvature / 2))))

    return with_curvature


def _squared(x: MX) -> _Square | None:
    """Return where x is 0 as a length is, and its square; None where x is no length, entries or multiple of one."""
    lengths = _lengths()
    return _squared_among(lengths, x, _DEPTH) if lengths else None


def _lengths() -> _Lengths:
    trace = current_trace()
    return {} if trace is None else trace.lengths


def _squared_among(lengths: _Lengths, x: MX, depth: int) -> _Square | None:
    if hash(x) in lengths:
        return lengths[hash(x)][1]()
    operation = x.op()
    if operation not in _THROUGH or not depth:
        return None
    for k in _THROUGH[operation][0]:
        found = _squared_among(lengths, x.dep(k), depth - 1)
        if found is not None:
            return _THROUGH[operation][1](*found, x, k)
    return None


def _negated(vanishes: MX, square: MX, x: MX, k: int) -> _Square | None:
    """Of the negative of a length, which arrays have from -0.0."""
    return (vanishes, square) if x.op() == cs.OP_NEG or hash(x.dep(0)) == hash(scalar_node(-0.0)) else None


def _multiplied(vanishes: MX, square: MX, x: MX, k: int) -> _Square:
    factor = scalar_node(2.0) if x.op() == cs.OP_TWICE else x.dep(1 - k)
    return vanishes, mul(square, mul(factor, factor))


def _divided(vanishes: MX, square: MX, x: MX, k: int) -> _Square:
    return vanishes, div(square, mul(x.dep(1), x.dep(1)))


def _taken(vanishes: MX, square: MX, x: MX, k: int) -> _Square:
    if x.op() == cs.OP_GETNONZEROS:
        entries = x.mapping().nonzeros()
        vanishes, square = vanishes.get_nz(False, entries), square.get_nz(False, entries)
    return cs.reshape(vanishes, *x.shape), cs.reshape(square, *x.shape)


#: Operation -> which operands may be a length, and the square of what it makes of one.
_THROUGH: dict[int, tuple[tuple[int, ...], Callable[[MX, MX, MX, int], _Square | None]]] = {
    cs.OP_NEG: ((0,), _negated), cs.OP_SUB: ((1,), _negated),
    cs.OP_TWICE: ((0,), _multiplied), cs.OP_MUL: ((0, 1), _multiplied), cs.OP_DIV: ((0,), _divided),
    cs.OP_RESHAPE: ((0,), _taken), cs.OP_GETNONZEROS: ((0,), _taken),
}  # fmt: skip
