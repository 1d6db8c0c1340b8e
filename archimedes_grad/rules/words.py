"""Small words for CasADi's operations, of which rules and gates are written: of nodes that CasADi broadcasts."""

from __future__ import annotations

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node

MX = cs.MX
_binary = MX.binary
_unary = MX.unary


def add(x: MX, y: MX) -> MX:
    """x + y."""
    return _binary(cs.OP_ADD, x, y)


def sub(x: MX, y: MX) -> MX:
    """x - y."""
    return _binary(cs.OP_SUB, x, y)


def mul(x: MX, y: MX) -> MX:
    """x * y."""
    return _binary(cs.OP_MUL, x, y)


def div(x: MX, y: MX) -> MX:
    """x / y; of 1 / (1 / z) too, which CasADi would simplify to z and so lose an overflow."""
    return _binary(cs.OP_DIV, x, sub(y, scalar_node(0)) if y.op() == cs.OP_INV else y)


def exp(x: MX) -> MX:
    """exp(x)."""
    return _unary(cs.OP_EXP, x)


def log(x: MX) -> MX:
    """log(x); of exp(x) too, which CasADi would simplify to x and so lose an overflow."""
    return _unary(cs.OP_LOG, add(x, scalar_node(0)) if x.is_unary() and x.op() == cs.OP_EXP else x)


def negated(condition: MX) -> MX:
    """1 where a condition is 0, else 0."""
    return _unary(cs.OP_NOT, condition)


def is_zero(x: MX) -> MX:
    """1 where x is 0, else 0."""
    return _binary(cs.OP_EQ, x, scalar_node(0))


def is_nan(x: MX) -> MX:
    """1 where x is nan, else 0."""
    return _binary(cs.OP_NE, x, x)


def only_where(condition: MX, x: MX) -> MX:
    """x where a condition (0 or 1) holds, else 0: nan and inf of x do not pass.

    No result of a rule: CasADi takes factors into the condition, and 0 times inf would be 0.
    """
    return _binary(cs.OP_IF_ELSE_ZERO, condition, x)


def zero_unless(condition: MX, x: MX) -> MX:
    """x where a condition (0 or 1) holds, else a 0 that is one for factors too; -0.0 becomes 0.0."""
    return add(only_where(condition, x), scalar_node(0))


def select(condition: MX, x: MX, y: MX) -> MX:
    """x where a condition (0 or 1) holds, else y; a zero that is taken may lose its sign."""
    return add(only_where(condition, x), only_where(negated(condition), y))


def select_signed(condition: MX, x: MX, y: MX) -> MX:
    """x where a condition (0 or 1) holds, else y, with the sign of a zero: only +0.0 is ever subtracted from it."""
    otherwise = negated(condition)
    if y.is_constant():
        return sub(only_where(condition, x), only_where(otherwise, _unary(cs.OP_NEG, y)))
    if x.is_constant():
        return sub(only_where(otherwise, y), only_where(condition, _unary(cs.OP_NEG, x)))
    taken = _unary(cs.OP_NEG, only_where(condition, _unary(cs.OP_NEG, x)))
    return sub(taken, only_where(otherwise, _unary(cs.OP_NEG, y)))


def sqrt(x: MX) -> MX:
    """sqrt(x)."""
    return _unary(cs.OP_SQRT, x)


def zero_or_one(x: MX, zero: MX) -> MX:
    """x, with its sign, where it is 0 (where ``zero`` is 1), else 1."""
    return sub(only_where(zero, x), sub(zero, scalar_node(1.0)))
