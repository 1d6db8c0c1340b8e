"""Elementwise ufuncs: the CasADi operation, or a few of them, that compute each one.

Rules take nodes that CasADi broadcasts (one entry against a whole matrix) and return a node. Conventions
at kinks are those of docs/conventions.md: ties of maximum and minimum share the gradient, sign' = 0,
abs'(0) = 0, hypot'(0, 0) = 0, sqrt'(0) = inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import casadi as cs
import numpy as np

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.dispatch import ELEMENTWISE, ELEMENTWISE_BY_KIND
from archimedes_grad.arrays.operands import truncated
from archimedes_grad.rules.branches import note_choice
from archimedes_grad.rules.lengths import absolute, even, hypot, product, square
from archimedes_grad.rules.words import (
    add,
    div,
    exp,
    is_nan,
    is_zero,
    log,
    mul,
    negated,
    only_where,
    select,
    select_signed,
    sqrt,
    sub,
    zero_or_one,
)

MX = cs.MX
_binary = MX.binary
_unary = MX.unary

# --- rules made of several operations ------------------------------------------------------------


def _scaled(factor: float) -> Callable[[MX], MX]:
    return lambda x: mul(x, scalar_node(factor))


def _log_to_base(base: float) -> Callable[[MX], MX]:
    """Return the logarithm to a base; exact at the base's whole powers, where a quotient of logs is not."""
    log_of_base = scalar_node(math.log(base))

    def logarithm(x: MX) -> MX:
        quotient = div(log(x), log_of_base)
        whole = _unary(cs.OP_FLOOR, add(quotient, scalar_node(0.5)))
        power = _binary(cs.OP_POW, scalar_node(base), whole)
        near = _binary(cs.OP_EQ, power, x)
        if base != 2.0:
            # Powers of others are rounded, by each library otherwise; beside the power 0, which is not, all counts.
            slack = mul(mul(x, scalar_node(2.0**-52)), _binary(cs.OP_NE, whole, scalar_node(0)))
            near = _binary(cs.OP_LE, _unary(cs.OP_FABS, sub(power, x)), slack)
        # x + x differs from x but at 0 and inf.
        exact = _binary(cs.OP_AND, near, _binary(cs.OP_NE, add(x, x), x))
        # What is missing is a multiple of 2**-54; floor takes its slope, so that the slope is the logarithm's.
        missing = mul(sub(whole, quotient), scalar_node(2.0**54))
        return add(quotient, only_where(exact, mul(_unary(cs.OP_FLOOR, missing), scalar_node(2.0**-54))))

    return logarithm


def _sign(x: MX) -> MX:
    return add(_unary(cs.OP_SIGN, x), scalar_node(0))  # NumPy's sign of -0.0 is 0.0


def _exp2(x: MX) -> MX:
    return _binary(cs.OP_POW, scalar_node(2.0), x)


def _cbrt(x: MX) -> MX:
    at_zero = is_zero(x)
    elsewhere = negated(at_zero)
    magnitude = add(_unary(cs.OP_FABS, x), at_zero)
    power = _binary(cs.OP_POW, magnitude, scalar_node(1.0 / 3.0))
    # The double next to 1/3 is less by 2**-54 / 3, which at 1e300 makes the power wrong by 66 units in the last place;
    # what that takes is the logarithm to some digits, and no slope of it.
    missing = mul(_unary(cs.OP_FLOOR, log(magnitude)), scalar_node(2.0**-54 / 3))
    root = add(power, mul(power, missing))
    signed = mul(sub(root, at_zero), _unary(cs.OP_SIGN, x))
    # At 0 the slope is inf, as that of sqrt: this term is 0 everywhere and brings it in.
    slope = sub(elsewhere, sqrt(add(only_where(at_zero, x), elsewhere)))
    return sub(signed, slope)  # less 0: the sign of -0.0 stays


def _reciprocal(x: MX) -> MX:
    return div(scalar_node(1.0), x)


def _nan_from(x: MX, y: MX, chosen: MX) -> MX:
    """Bring in the nan of either operand, which CasADi's fmax and fmin leave out; less 0, -0.0 stays what it is."""
    for operand in (x, y):
        if not operand.is_constant():
            chosen = sub(chosen, only_where(is_nan(operand), scalar_node(math.nan)))
        elif operand.is_scalar() and math.isnan(float(operand.to_DM())):
            chosen = sub(chosen, operand)
    return chosen


def _maximum(x: MX, y: MX) -> MX:
    note_choice(x, y)
    return _nan_from(x, y, _binary(cs.OP_FMAX, x, y))


def _minimum(x: MX, y: MX) -> MX:
    note_choice(x, y)
    return _nan_from(x, y, _binary(cs.OP_FMIN, x, y))


def _fmax(x: MX, y: MX) -> MX:
    return _binary(cs.OP_FMAX, x, y)


def _without_nan(x: MX, y: MX) -> tuple[MX, MX]:
    """Return two operands with the other one in place of a nan, so that the slope is that of the other too."""
    return select_signed(_binary(cs.OP_EQ, x, x), x, y), select_signed(_binary(cs.OP_EQ, y, y), y, x)


def _larger_number(x: MX, y: MX) -> MX:
    note_choice(x, y)
    return _fmax(*_without_nan(x, y))


def _smaller_number(x: MX, y: MX) -> MX:
    note_choice(x, y)
    return _binary(cs.OP_FMIN, *_without_nan(x, y))


def _remainder(x: MX, y: MX) -> MX:
    """x - floor(x / y) * y as NumPy computes it: fmod, moved to the divisor's sign, that of a zero included."""
    sign = _unary(cs.OP_SIGN, y)
    rest = mul(sign, _binary(cs.OP_FMOD, x, y))
    opposite = _binary(cs.OP_LT, rest, scalar_node(0))
    return mul(sign, add(rest, only_where(opposite, _unary(cs.OP_FABS, y))))


def _floor_divide(x: MX, y: MX) -> MX:
    """floor(x / y) by way of fmod as NumPy computes it, so that it is exact where the quotient rounds up."""
    rest = _binary(cs.OP_FMOD, x, y)
    opposite = _binary(cs.OP_LT, mul(_unary(cs.OP_SIGN, rest), _unary(cs.OP_SIGN, y)), scalar_node(0))
    quotient = sub(div(sub(x, rest), y), opposite)
    below = _unary(cs.OP_FLOOR, quotient)
    rounded = add(below, _binary(cs.OP_LT, scalar_node(0.5), sub(quotient, below)))
    by_zero = is_zero(y)
    infinite = truncated(div(x, zero_or_one(y, by_zero)))
    result = add(only_where(negated(by_zero), rounded), only_where(by_zero, infinite))
    return _binary(cs.OP_COPYSIGN, result, div(x, y))  # a zero has the sign of the quotient


def _divmod(x: MX, y: MX) -> tuple[MX, MX]:
    return _floor_divide(x, y), _remainder(x, y)


def _divisible(x: MX, y: MX) -> tuple[MX, MX]:
    """x and y, and 0 and 1 where y is 0: what divides whole numbers by 0 is 0."""
    by_zero = is_zero(y)
    return only_where(negated(by_zero), x), add(y, by_zero)


def _integer_remainder(x: MX, y: MX) -> MX:
    return _remainder(*_divisible(x, y))


def _integer_reciprocal(x: MX) -> MX:
    return add(truncated(_reciprocal(x)), scalar_node(0))  # No -0.0 is a whole number.


def _integer_floor_divide(x: MX, y: MX) -> MX:
    return _floor_divide(*_divisible(x, y))


def _integer_divmod(x: MX, y: MX) -> tuple[MX, MX]:
    return _integer_floor_divide(x, y), _integer_remainder(x, y)


def _integer_fmod(x: MX, y: MX) -> MX:
    return _binary(cs.OP_FMOD, *_divisible(x, y))


def _rint(x: MX) -> MX:
    """Round half to even, as the addition of 2**52 does in hardware; from there on all numbers are whole."""
    magnitude = _unary(cs.OP_FABS, x)
    shift = mul(_binary(cs.OP_LT, magnitude, scalar_node(2.0**52)), scalar_node(2.0**52))
    rounded = sub(add(magnitude, shift), shift)
    return _binary(cs.OP_COPYSIGN, _unary(cs.OP_FLOOR, rounded), x)


def _arctan2(y: MX, x: MX) -> MX:
    # The slope divides by x**2 + y**2: tiny operands are scaled up, by a power of 2 that leaves the angle as it is.
    # At the origin the angle is taken of (0, 1) or (0, -1), and the scale 0 makes the slopes 0.
    largest = _binary(cs.OP_FMAX, _unary(cs.OP_FABS, x), _unary(cs.OP_FABS, y))
    at_origin = is_zero(largest)
    tiny = sub(_binary(cs.OP_LT, largest, scalar_node(1e-140)), at_origin)
    scale = add(negated(at_origin), mul(tiny, scalar_node(2.0**600)))
    unit = mul(at_origin, _binary(cs.OP_COPYSIGN, scalar_node(1.0), x))
    return _binary(cs.OP_ATAN2, mul(y, scale), add(mul(x, scale), unit))


def _logaddexp(x: MX, y: MX) -> MX:
    # Equal infinities have no difference.
    infinite = _binary(cs.OP_AND, _binary(cs.OP_EQ, x, y), _is_inf(x))
    distance = only_where(negated(infinite), sub(y, x))
    y_is_larger = _binary(cs.OP_LT, scalar_node(0), distance)
    # One formula holds on either side of x == y and at it, so that slopes of any order are right there.
    largest = select(y_is_larger, y, x)
    return add(largest, _unary(cs.OP_LOG1P, exp(select(y_is_larger, _unary(cs.OP_NEG, distance), distance))))


def _logaddexp2(x: MX, y: MX) -> MX:
    ln2 = scalar_node(math.log(2.0))
    return div(_logaddexp(mul(x, ln2), mul(y, ln2)), ln2)


def _power(x: MX, y: MX) -> MX:
    if y.is_constant() and y.is_scalar():
        return _power_by_number(x, float(y.to_DM()))
    if x.is_constant() and x.is_scalar() and float(x.to_DM()) > 0:
        return _binary(cs.OP_POW, x, y)
    # 0**y has slope 0 in y, and x**0 has slope 0 in x, at 0 too, where the formulas give nan.
    x_is_zero, y_is_zero = is_zero(x), is_zero(y)
    # 1 elsewhere, -0.0 at 0: added to -0.0 a zero keeps its sign, and so it does less 0.
    elsewhere = _unary(cs.OP_NEG, sub(x_is_zero, scalar_node(1.0)))
    general = mul(_binary(cs.OP_POW, add(x, x_is_zero), y), elsewhere)
    # At 0 all exponents between two whole numbers are alike; floor and ceil have no slope in y.
    level = mul(add(_unary(cs.OP_FLOOR, y), _unary(cs.OP_CEIL, y)), scalar_node(0.5))
    at_zero = _binary(cs.OP_CONSTPOW, zero_or_one(x, x_is_zero), add(level, y_is_zero))
    base_zero = _binary(cs.OP_AND, x_is_zero, negated(y_is_zero))
    corner = _binary(cs.OP_AND, x_is_zero, y_is_zero)
    return sub(sub(general, only_where(base_zero, _unary(cs.OP_NEG, at_zero))), only_where(corner, scalar_node(-1.0)))


def _power_by_number(x: MX, exponent: float) -> MX:
    if exponent == 0:
        return add(mul(scalar_node(0), is_zero(x)), scalar_node(1.0))
    if exponent == 1:
        return x
    if exponent == 2:
        return square(x)
    if exponent == 3:
        return mul(mul(x, x), x)
    if exponent == -1:
        return _reciprocal(x)
    if exponent == 0.5:
        return sqrt(x)
    return _binary(cs.OP_CONSTPOW, x, scalar_node(exponent))


def _heaviside(x: MX, y: MX) -> MX:
    positive = _binary(cs.OP_LT, scalar_node(0), x)
    return sub(sub(only_where(is_zero(x), y), only_where(positive, scalar_node(-1.0))), only_where(is_nan(x), x))


def _ldexp(x: MX, exponent: MX) -> MX:
    return mul(x, _exp2(exponent))


def _modf(x: MX) -> tuple[MX, MX]:
    whole = truncated(x)
    # Both parts have the sign of x, zeros too.
    sign = _binary(cs.OP_COPYSIGN, scalar_node(1.0), x)
    rest = sub(mul(sign, x), _unary(cs.OP_FABS, whole))
    return _binary(cs.OP_COPYSIGN, only_where(negated(_is_inf(x)), rest), x), whole


def _is_inf(x: MX) -> MX:
    return _binary(cs.OP_EQ, _unary(cs.OP_FABS, x), scalar_node(math.inf))


def _is_finite(x: MX) -> MX:
    return _binary(cs.OP_LT, _unary(cs.OP_FABS, x), scalar_node(math.inf))


def _signbit(x: MX) -> MX:
    return _binary(cs.OP_LT, _binary(cs.OP_COPYSIGN, scalar_node(1.0), x), scalar_node(0))


def _boolean(x: MX) -> MX:
    return _binary(cs.OP_NE, x, scalar_node(0))


def _either(x: MX, y: MX) -> MX:
    """1 where one of two truth values is 1: CasADi's own or and and branch at each entry."""
    return _boolean(add(x, y))


def _logical(opcode: int) -> Callable[[MX, MX], MX]:
    return lambda x, y: _binary(opcode, _boolean(x), _boolean(y))


def _logical_xor(x: MX, y: MX) -> MX:
    return _binary(cs.OP_NE, _boolean(x), _boolean(y))


def _identity(x: MX) -> MX:
    return x


def _sum(x: MX, y: MX) -> MX:
    """x + y. A constant 0.0 stands second, where CasADi keeps it: 0.0 + -0.0 is 0.0, and so is -0.0 + 0.0."""
    if _is_constant_zero(x):
        x, y = y, x
    if x.op() == cs.OP_NEG and _is_constant_zero(y):
        x = mul(x.dep(0), scalar_node(-1.0))
    return add(x, y)


def _difference(x: MX, y: MX) -> MX:
    """x - y: of a constant 0.0 no -y, which is -0.0 where y is 0.0."""
    return add(mul(y, scalar_node(-1.0)), x) if _is_constant_zero(x) else sub(x, y)


def _is_constant_zero(x: MX) -> bool:
    return bool(x.is_constant() and x.is_zero())


def _with(opcode: int) -> Callable[..., MX]:
    """Return the rule that is one CasADi operation."""
    if opcode in _ONE_OPERAND:
        return lambda x: _unary(opcode, x)
    return lambda x, y: _binary(opcode, x, y)


_ONE_OPERAND = frozenset({
    cs.OP_SIN, cs.OP_COS, cs.OP_TAN, cs.OP_ASIN, cs.OP_ACOS, cs.OP_ATAN, cs.OP_SINH, cs.OP_COSH, cs.OP_TANH,
    cs.OP_ASINH, cs.OP_ACOSH, cs.OP_ATANH, cs.OP_EXP, cs.OP_EXPM1, cs.OP_LOG1P, cs.OP_SQRT, cs.OP_FABS,
    cs.OP_FLOOR, cs.OP_CEIL, cs.OP_SIGN, cs.OP_NEG, cs.OP_NOT,
})  # fmt: skip

ELEMENTWISE.update({
    # arithmetic
    np.add: _sum, np.subtract: _difference, np.multiply: product, np.true_divide: div,
    np.negative: _with(cs.OP_NEG), np.positive: _identity, np.conjugate: _identity,
    np.reciprocal: _reciprocal, np.square: square, np.sqrt: sqrt, np.cbrt: _cbrt,
    np.power: _power, np.float_power: _power,
    np.absolute: absolute, np.fabs: absolute, np.sign: _sign,
    np.remainder: _remainder, np.fmod: _with(cs.OP_FMOD), np.floor_divide: _floor_divide, np.divmod: _divmod,
    np.copysign: _with(cs.OP_COPYSIGN), np.heaviside: _heaviside, np.ldexp: _ldexp, np.modf: _modf,
    # exponentials and logarithms
    np.exp: exp, np.exp2: _exp2, np.expm1: _with(cs.OP_EXPM1),
    np.log: log, np.log2: _log_to_base(2.0), np.log10: _log_to_base(10.0), np.log1p: _with(cs.OP_LOG1P),
    np.logaddexp: _logaddexp, np.logaddexp2: _logaddexp2,
    # trigonometry
    np.sin: _with(cs.OP_SIN), np.cos: even(_with(cs.OP_COS), -1.0), np.tan: _with(cs.OP_TAN),
    np.arcsin: _with(cs.OP_ASIN), np.arccos: _with(cs.OP_ACOS), np.arctan: _with(cs.OP_ATAN),
    np.sinh: _with(cs.OP_SINH), np.cosh: even(_with(cs.OP_COSH), 1.0), np.tanh: _with(cs.OP_TANH),
    np.arcsinh: _with(cs.OP_ASINH), np.arccosh: _with(cs.OP_ACOSH), np.arctanh: _with(cs.OP_ATANH),
    np.arctan2: _arctan2, np.hypot: hypot,
    np.deg2rad: _scaled(math.pi / 180), np.radians: _scaled(math.pi / 180),
    np.rad2deg: _scaled(180 / math.pi), np.degrees: _scaled(180 / math.pi),
    # rounding
    np.floor: _with(cs.OP_FLOOR), np.ceil: _with(cs.OP_CEIL), np.trunc: truncated, np.rint: _rint,
    # selection and comparison
    np.maximum: _maximum, np.minimum: _minimum, np.fmax: _larger_number, np.fmin: _smaller_number,
    np.less: _with(cs.OP_LT), np.less_equal: _with(cs.OP_LE), np.equal: _with(cs.OP_EQ),
    np.not_equal: _with(cs.OP_NE),
    np.greater: lambda x, y: _binary(cs.OP_LT, y, x), np.greater_equal: lambda x, y: _binary(cs.OP_LE, y, x),
    np.isnan: is_nan, np.isinf: _is_inf, np.isfinite: _is_finite, np.signbit: _signbit,
    np.logical_and: _logical(cs.OP_AND), np.logical_or: _logical(cs.OP_OR), np.logical_xor: _logical_xor,
    np.logical_not: lambda x: negated(_boolean(x)),
})  # fmt: skip

ELEMENTWISE_BY_KIND.update({
    (np.add, "b"): _either, (np.multiply, "b"): mul,
    (np.bitwise_and, "b"): mul, (np.bitwise_or, "b"): _either,
    (np.bitwise_xor, "b"): _with(cs.OP_NE), (np.invert, "b"): negated,
    (np.remainder, "i"): _integer_remainder, (np.floor_divide, "i"): _integer_floor_divide,
    (np.divmod, "i"): _integer_divmod, (np.fmod, "i"): _integer_fmod,
    (np.floor, "i"): _identity, (np.ceil, "i"): _identity, (np.trunc, "i"): _identity, (np.rint, "i"): _identity,
    (np.square, "i"): square, (np.reciprocal, "i"): _integer_reciprocal,
})  # fmt: skip
