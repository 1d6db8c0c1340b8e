"""Lengths: absolute values, roots of sums of squares, hypotenuses; and their squares, which are smooth at 0.

A length has slope 0 at 0, the subgradient of least norm. With it the first derivative of its square is right, but the
second one would be 0. So the square of a length has one term more, the sum of squares itself where it is 0: of no
value, and with the derivatives of the square.
"""

from __future__ import annotations

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.rules.words import add, is_zero, mul, negated, only_where, sqrt, sub, zero_unless

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
    """x * x, with the second derivatives of the square where x is a length, or entries of lengths."""
    moves, length = [], x
    while length.op() in _MOVES:
        moves.append(length)
        length = length.dep(0)
    if length.op() == cs.OP_FABS:
        x = _moved(length.dep(0), moves)
        return mul(x, x)
    where_zero = _square_where_zero(length)
    return mul(x, x) if where_zero is None else add(mul(x, x), _moved(where_zero, moves))


def product(x: MX, y: MX) -> MX:
    """x * y; of a length with itself its square."""
    if x.op() == cs.OP_FABS and y.op() == cs.OP_FABS:
        return square(x) if hash(x.dep(0)) == hash(y.dep(0)) else mul(x, y)
    return square(x) if hash(x) == hash(y) else mul(x, y)


_MOVES = (cs.OP_RESHAPE, cs.OP_GETNONZEROS)


def _moved(x: MX, moves: list[MX]) -> MX:
    """Return the entries of a node that moves take of another one, the last move first."""
    for move in reversed(moves):
        entries = x if move.op() == cs.OP_RESHAPE else x.get_nz(False, move.mapping().nonzeros())
        x = cs.reshape(entries, *move.shape)
    return x


def _square_where_zero(x: MX) -> MX | None:
    """Return the sum of squares of which x is the root where it is 0, else 0; None where x is no such root."""
    if x.op() == cs.OP_ADD and x.dep(1).is_constant() and x.dep(1).is_zero():
        x = x.dep(0)  # As ``zero_unless`` has it.
    if x.op() != cs.OP_IF_ELSE_ZERO:
        return None
    condition, root = x.dep(0), x.dep(1)
    if root.op() == cs.OP_SQRT and condition.op() == cs.OP_NE and root.dep(0).op() == cs.OP_ADD:
        total, vanishes = root.dep(0).dep(0), root.dep(0).dep(1)
        if vanishes.op() == cs.OP_NOT and hash(vanishes.dep(0)) == hash(condition):
            return only_where(vanishes, total)
    if root.op() == cs.OP_HYPOT and condition.op() == cs.OP_NOT:
        # At the origin hypot is taken of 1 more.
        first, second = sub(root.dep(0), condition.dep(0)), root.dep(1)
        return only_where(condition.dep(0), add(mul(first, first), mul(second, second)))
    return None
