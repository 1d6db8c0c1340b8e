"""Lengths: absolute values, roots of sums of squares, hypotenuses; and their squares, which are smooth at 0.

A length has slope 0 at 0, the subgradient of least norm. With it the first derivative of its square is right, but the
second one would be 0. So the square of a length has one term more, the sum of squares itself where it is 0: of no
value, and with the derivatives of the square. So have cosines.
"""

from __future__ import annotations

from collections.abc import Callable

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.rules.words import add, div, is_zero, mul, negated, only_where, sqrt, sub, zero_unless

MX = cs.MX
_binary = MX.binary


def root_of_sum_of_squares(total: MX) -> MX:
    """sqrt(total), with slope 0 at 0."""
    positive = _binary(cs.OP_NE, total, scalar_node(0))
    return zero_unless(positive, sqrt(add(total, negated(positive))))


def hypot(x: MX, y: MX) -> MX:
    """The root of x**2 + y**2, with slopes 0 at the origin."""
    both_zero = _binary(cs.OP_AND, is_zero(x), is_zero(y))
    # At the origin hypot is taken of (1, 0) and cut out.
    return zero_unless(negated(both_zero), _binary(cs.OP_HYPOT, add(x, both_zero), y))


def square(x: MX) -> MX:
    """x * x, with the second derivatives of the square where x is a length, entries or a multiple of one."""
    if x.op() == cs.OP_FABS:
        return mul(x.dep(0), x.dep(0))
    where_zero = _square_where_zero(x)
    return mul(x, x) if where_zero is None else add(mul(x, x), where_zero)


def product(x: MX, y: MX) -> MX:
    """x * y; of a length with itself its square."""
    if x.op() == cs.OP_FABS and y.op() == cs.OP_FABS:
        return square(x) if hash(x.dep(0)) == hash(y.dep(0)) else mul(x, y)
    return square(x) if hash(x) == hash(y) else mul(x, y)


def even(rule: Callable[[MX], MX], curvature: float) -> Callable[[MX], MX]:
    """Return the rule of an even function with its second derivative at 0, of a length too."""

    def with_curvature(x: MX) -> MX:
        where_zero = _square_where_zero(x)
        return rule(x) if where_zero is None else add(rule(x), mul(where_zero, scalar_node(curvature / 2)))

    return with_curvature


def _square_where_zero(x: MX, depth: int = 4) -> MX | None:
    """Return the square of x where it is 0 as a length is, else 0; None where x is no length, entries or multiple.

    That is made of what x is the root of, so that it has the derivatives of the square.
    """
    operation = x.op()
    if operation in _OF_ONE:
        inner = _square_where_zero(x.dep(0), depth - 1) if depth else None
        return None if inner is None else _OF_ONE[operation](inner, x)
    if operation == cs.OP_SUB and depth:  # From -0.0, as arrays are negated.
        inner = _square_where_zero(x.dep(1), depth - 1)
        return inner if inner is not None and hash(x.dep(0)) == hash(scalar_node(-0.0)) else None
    if operation == cs.OP_MUL and depth:
        for length, factor in ((x.dep(0), x.dep(1)), (x.dep(1), x.dep(0))):
            inner = _square_where_zero(length, depth - 1)
            if inner is not None:
                return mul(inner, mul(factor, factor))
    if operation == cs.OP_FABS:
        return only_where(is_zero(x), mul(x.dep(0), x.dep(0)))
    if operation == cs.OP_ADD and x.dep(1).is_constant() and x.dep(1).is_zero():
        x = x.dep(0)  # As ``zero_unless`` has it.
    return _cut_out(x.dep(0), x.dep(1)) if x.op() == cs.OP_IF_ELSE_ZERO else None


def _cut_out(condition: MX, root: MX) -> MX | None:
    """Return the square of a root that its rule has cut out where it is 0; None for what else is under conditions."""
    if root.op() == cs.OP_SQRT and condition.op() == cs.OP_NE and root.dep(0).op() == cs.OP_ADD:
        total, vanishes = root.dep(0).dep(0), root.dep(0).dep(1)
        if vanishes.op() == cs.OP_NOT and hash(vanishes.dep(0)) == hash(condition):
            return only_where(vanishes, total)
    if root.op() == cs.OP_HYPOT and condition.op() == cs.OP_NOT:
        # At the origin hypot is taken of 1 more.
        first, second = sub(root.dep(0), condition.dep(0)), root.dep(1)
        return only_where(condition.dep(0), add(mul(first, first), mul(second, second)))
    return None


#: Operations whose first operand may be a length -> the square of the result, by that of the length.
_OF_ONE: dict[int, Callable[[MX, MX], MX]] = {
    cs.OP_NEG: lambda squared, x: squared, cs.OP_TWICE: lambda squared, x: mul(squared, scalar_node(4.0)),
    cs.OP_DIV: lambda squared, x: div(squared, mul(x.dep(1), x.dep(1))),
    cs.OP_RESHAPE: lambda squared, x: cs.reshape(squared, *x.shape),
    cs.OP_GETNONZEROS: lambda squared, x: cs.reshape(squared.get_nz(False, x.mapping().nonzeros()), *x.shape),
}
