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
    squared = _squared_at_zero(x)
    return mul(x, x) if squared is None else add(mul(x, x), only_where(*squared))


def product(x: MX, y: MX) -> MX:
    """x * y; of a length with itself its square."""
    if x.op() == cs.OP_FABS and y.op() == cs.OP_FABS:
        return square(x) if hash(x.dep(0)) == hash(y.dep(0)) else mul(x, y)
    return square(x) if hash(x) == hash(y) else mul(x, y)


def even(rule: Callable[[MX], MX], curvature: float) -> Callable[[MX], MX]:
    """Return the rule of an even function with its second derivative at 0, of a length too."""

    def with_curvature(x: MX) -> MX:
        squared = _squared_at_zero(x)
        if squared is None:
            return rule(x)
        vanishes, square = squared
        return add(rule(x), only_where(vanishes, mul(square, scalar_node(curvature / 2))))

    return with_curvature


def _squared_at_zero(x: MX, depth: int = 4) -> tuple[MX, MX] | None:
    """Return where x is 0 as a length is, and its square by what it is the root of, which has the right derivatives.

    None where x is no length, entries or multiple of one.
    """
    operation = x.op()
    if operation in _OF_ONE and depth:
        found = _squared_at_zero(x.dep(0), depth - 1)
        return None if found is None else _OF_ONE[operation](*found, x)
    if operation == cs.OP_SUB and depth:  # From -0.0, as arrays are negated.
        found = _squared_at_zero(x.dep(1), depth - 1)
        return found if found is not None and hash(x.dep(0)) == hash(scalar_node(-0.0)) else None
    if operation == cs.OP_MUL and depth:
        for length, factor in ((x.dep(0), x.dep(1)), (x.dep(1), x.dep(0))):
            found = _squared_at_zero(length, depth - 1)
            if found is not None:
                return found[0], mul(found[1], mul(factor, factor))
    if operation == cs.OP_FABS:
        return is_zero(x), mul(x.dep(0), x.dep(0))
    if operation == cs.OP_ADD and x.dep(1).is_constant() and x.dep(1).is_zero():
        x = x.dep(0)  # As ``zero_unless`` has it.
    return _cut_out(x.dep(0), x.dep(1)) if x.op() == cs.OP_IF_ELSE_ZERO else None


def _cut_out(condition: MX, root: MX) -> tuple[MX, MX] | None:
    """Return where a root is 0 that its rule has cut out there, and its square; None for what else is cut out."""
    if root.op() == cs.OP_SQRT and condition.op() == cs.OP_NE and root.dep(0).op() == cs.OP_ADD:
        total, vanishes = root.dep(0).dep(0), root.dep(0).dep(1)
        if vanishes.op() == cs.OP_NOT and hash(vanishes.dep(0)) == hash(condition):
            return vanishes, total
    if root.op() == cs.OP_HYPOT and condition.op() == cs.OP_NOT:
        # At the origin hypot is taken of 1 more.
        first, second = sub(root.dep(0), condition.dep(0)), root.dep(1)
        return condition.dep(0), add(mul(first, first), mul(second, second))
    return None


def _entries(of: MX, taken: MX) -> MX:
    """Return the entries of a node at the places at which another one takes those of its operand."""
    return cs.reshape(of if taken.op() == cs.OP_RESHAPE else of.get_nz(False, taken.mapping().nonzeros()), *taken.shape)


def _both_taken(vanishes: MX, square: MX, x: MX) -> tuple[MX, MX]:
    return _entries(vanishes, x), _entries(square, x)


#: Operations whose first operand may be a length -> where the result is 0 and its square, by those of the length.
_OF_ONE: dict[int, Callable[[MX, MX, MX], tuple[MX, MX]]] = {
    cs.OP_NEG: lambda vanishes, square, x: (vanishes, square),
    cs.OP_TWICE: lambda vanishes, square, x: (vanishes, mul(square, scalar_node(4.0))),
    cs.OP_DIV: lambda vanishes, square, x: (vanishes, div(square, mul(x.dep(1), x.dep(1)))),
    cs.OP_RESHAPE: _both_taken, cs.OP_GETNONZEROS: _both_taken,
}  # fmt: skip
