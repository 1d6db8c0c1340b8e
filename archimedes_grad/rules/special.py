"""The rules of scipy.special, added once SciPy has been imported: importing this module does not import it."""

from __future__ import annotations

import math
from collections.abc import Callable

import casadi as cs
import numpy as np

from archimedes_grad.arrays.dispatch import ELEMENTWISE, REFUSED
from archimedes_grad.rules import special_calls, special_functions
from archimedes_grad.rules import special_graphs as graphs
from archimedes_grad.rules.special_graphs import horner, less, neg, number, within
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
    sub,
)

MX = cs.MX
_unary = MX.unary
_binary = MX.binary


def _log1p(x: MX) -> MX:
    return _unary(cs.OP_LOG1P, x)


def _expm1(x: MX) -> MX:
    return _unary(cs.OP_EXPM1, x)


def _at_most(x: MX, y: float) -> MX:
    return _binary(cs.OP_LE, x, number(y))


def _decaying(x: MX) -> tuple[MX, MX]:
    """Return where x < 0, and exp(-|x|) with the slope of its own side at 0."""
    negative = less(x, number(0.0))
    return negative, exp(select(negative, x, neg(x)))


def _expit(x: MX) -> MX:
    negative, decay = _decaying(x)
    return div(select(negative, decay, number(1.0)), add(number(1.0), decay))


def _log_expit(x: MX) -> MX:
    negative, decay = _decaying(x)
    return sub(neg(_log1p(decay)), only_where(negative, neg(x)))


def _softplus(x: MX) -> MX:
    return neg(_log_expit(neg(x)))


def _logit(p: MX) -> MX:
    return sub(log(p), _log1p(neg(p)))


def _is_infinite(x: MX) -> MX:
    return _binary(cs.OP_EQ, x, number(math.inf))


def _is_unbounded(x: MX) -> MX:
    return _is_infinite(_unary(cs.OP_FABS, x))


_power: Callable[[MX, MX], MX] = ELEMENTWISE[np.power]


def _xlogy(x: MX, y: MX) -> MX:
    free = _binary(cs.OP_AND, is_zero(x), _binary(cs.OP_OR, _at_most(y, 0.0), _is_infinite(y)))
    return _with_positive_zeros(is_zero(x), mul(x, log(add(only_where(negated(free), y), free))))


def _xlog1py(x: MX, y: MX) -> MX:
    free = _binary(cs.OP_AND, is_zero(x), _binary(cs.OP_OR, _at_most(y, -1.0), _is_infinite(y)))
    return _with_positive_zeros(is_zero(x), mul(x, _log1p(only_where(negated(free), y))))


def _with_positive_zeros(zero: MX, x: MX) -> MX:
    """x with 0.0 in place of -0.0 where it is known to be zero: added is 0.0 there, -0.0 elsewhere."""
    return add(x, mul(sub(zero, number(0.5)), number(0.0)))


def _entr(x: MX) -> MX:
    positive, negative = less(number(0.0), x), less(x, number(0.0))
    inside = within(positive, x, 1.0)
    result = sub(only_where(positive, neg(mul(inside, log(inside)))), only_where(negative, number(math.inf)))
    return sub(result, only_where(is_nan(x), x))  # Nothing is added to -0.0, the entropy of 1.


def _divergence(x: MX, y: MX) -> tuple[MX, MX]:
    """Return x log(x / y) with inf outside its domain, and where it is 0 because x is."""
    inside = _binary(cs.OP_AND, less(number(0.0), x), less(number(0.0), y))
    limit = _binary(cs.OP_AND, is_zero(x), _binary(cs.OP_LE, number(0.0), y))
    x_in, y_in = within(inside, x, 1.0), within(inside, y, 1.0)
    missing = _binary(cs.OP_OR, is_nan(x), is_nan(y))
    outside = negated(_binary(cs.OP_OR, inside, _binary(cs.OP_OR, limit, missing)))
    ratio = div(x_in, y_in)
    regular = _binary(cs.OP_AND, less(number(0.0), ratio), less(ratio, number(math.inf)))
    # Of a ratio that leaves the range of numbers, the difference of logarithms.
    apart = sub(log(within(negated(regular), x_in, 1.0)), log(within(negated(regular), y_in, 1.0)))
    near = _binary(cs.OP_AND, less(number(0.5), ratio), less(ratio, number(2.0)))
    excess = _unary(cs.OP_LOG1P, div(sub(within(near, x, 1.0), within(near, y, 1.0)), within(near, y, 1.0)))
    away = _binary(cs.OP_AND, regular, negated(near))
    logarithm = add(add(log(within(away, ratio, 1.0)), excess), apart)
    value = add(only_where(inside, mul(x_in, logarithm)), only_where(outside, number(math.inf)))
    return add(value, only_where(missing, add(x, y))), outside


def _rel_entr(x: MX, y: MX) -> MX:
    return _divergence(x, y)[0]


def _kl_div(x: MX, y: MX) -> MX:
    value, outside = _divergence(x, y)
    return add(value, only_where(negated(outside), sub(y, x)))


def _exprel(x: MX) -> MX:
    near = less(mul(x, x), number(0.25))
    series = horner(tuple(1 / math.factorial(k + 1) for k in range(18)), within(near, x, 0.0))
    infinite = _is_infinite(x)
    away = within(negated(_binary(cs.OP_OR, near, infinite)), x, 1.0)
    return add(select(near, series, div(_expm1(away), away)), only_where(infinite, x))


def _cosm1(x: MX) -> MX:
    sine = _unary(cs.OP_SIN, mul(number(0.5), x))
    return add(mul(mul(sine, sine), number(-2.0)), number(0.0))  # of 0.0 no -0.0


def _power_transform(shift: float, log_of: Callable[[MX], MX]) -> Callable[[MX, MX], MX]:
    """Return Box and Cox's transformation of x and a shift, (x**lambda - 1) / lambda, log(x) at lambda = 0."""

    def transform(x: MX, exponent: MX) -> MX:
        base = add(x, number(shift)) if shift else x
        without_power = is_zero(exponent)
        at_end = _binary(cs.OP_OR, is_zero(base), _is_infinite(base))
        regular = negated(_binary(cs.OP_OR, _is_unbounded(exponent), at_end))
        logarithm = log_of(select_signed(regular, x, number(1.0)))
        value = mul(logarithm, _exprel(mul(within(regular, exponent, 1.0), logarithm)))
        # Where logarithms or exponents are infinite, the definition.
        power = _power(within(negated(regular), base, 1.0), within(negated(without_power), exponent, 1.0))
        quotient = div(sub(power, number(1.0)), within(negated(without_power), exponent, 1.0))
        limit = log(within(_binary(cs.OP_AND, without_power, negated(regular)), base, 1.0))
        return select_signed(regular, value, select_signed(without_power, limit, quotient))

    return transform


def _relative_log1p(x: MX) -> MX:
    """Return log(1 + x) / x; near 0 its series."""
    near = less(mul(x, x), number(0.01))
    series = horner(tuple((-1.0) ** k / (k + 1) for k in range(20)), within(near, x, 0.0))
    away = within(negated(near), x, 1.0)
    return select(near, series, div(_log1p(away), away))


def _inverse_power_transform(exp_of: Callable[[MX], MX]) -> Callable[[MX, MX], MX]:
    def transform(y: MX, exponent: MX) -> MX:
        product = mul(exponent, y)
        # At infinity, where the other form is infinity times 0, the definition; for no exponent it is y that counts.
        infinite = _binary(cs.OP_AND, _is_unbounded(y), negated(is_zero(exponent)))
        growth = mul(select_signed(infinite, number(1.0), y), _relative_log1p(within(negated(infinite), product, 0.0)))
        at_infinity = div(_log1p(within(infinite, product, 0.0)), within(infinite, exponent, 1.0))
        plain = _binary(cs.OP_AND, _is_unbounded(y), is_zero(exponent))
        inside = select_signed(infinite, at_infinity, select_signed(plain, number(0.0), growth))
        return exp_of(select_signed(plain, y, inside))

    return transform


def _huber(delta: MX, r: MX) -> MX:
    size = _unary(cs.OP_FABS, r)
    inner = mul(number(0.5), mul(r, r))
    outer = mul(delta, sub(size, mul(number(0.5), delta)))
    negative = less(delta, number(0.0))
    value = select(_binary(cs.OP_LE, size, delta), inner, outer)
    return add(only_where(negated(negative), value), only_where(negative, number(math.inf)))


def _pseudo_huber(delta: MX, r: MX) -> MX:
    zero, negative = is_zero(delta), less(delta, number(0.0))
    ratio = div(r, within(negated(zero), delta, 1.0))
    square = mul(ratio, ratio)
    infinite = _is_infinite(square)
    finite = within(negated(infinite), square, 0.0)
    growth = div(finite, add(_unary(cs.OP_SQRT, add(number(1.0), finite)), number(1.0)))
    value = mul(mul(delta, delta), add(growth, only_where(infinite, square)))
    outside = _binary(cs.OP_OR, zero, negative)
    return add(only_where(negated(outside), value), only_where(negative, number(math.inf)))


def _powm1(x: MX, y: MX) -> MX:
    """x**y - 1, to full relative precision where x > 0."""
    within_range = _binary(cs.OP_AND, less(number(0.0), x), less(x, number(math.inf)))
    regular = _binary(cs.OP_AND, within_range, less(_unary(cs.OP_FABS, y), number(math.inf)))
    precise = _expm1(mul(within(regular, y, 1.0), log(within(regular, x, 1.0))))
    other = _power(within(negated(regular), x, 1.0), within(negated(regular), y, 1.0))
    return select(regular, precise, sub(other, number(1.0)))


def _logarithm_of_gamma(x: MX) -> MX:
    """scipy.special.loggamma of a real number: nan where the result is complex."""
    return add(graphs.gammaln(x), only_where(less(x, number(0.0)), number(math.nan)))


def _power_of(base: float) -> Callable[[MX], MX]:
    return lambda x: _binary(cs.OP_POW, number(base), x)


def _hurwitz_zeta(s: MX, q: MX) -> MX:
    converges = less(number(1.0), s)
    valid = _binary(cs.OP_AND, converges, less(number(0.0), q))
    value = graphs.zeta(within(valid, s, 2.0), within(valid, q, 1.0))
    # A sum with the term 1 / 0 has a pole too.
    with_zero = _binary(cs.OP_AND, _at_most(q, 0.0), _binary(cs.OP_EQ, _unary(cs.OP_FLOOR, q), q))
    pole = _binary(cs.OP_OR, _binary(cs.OP_EQ, s, number(1.0)), _binary(cs.OP_AND, converges, with_zero))
    at_pole = add(only_where(pole, number(math.inf)), only_where(negated(pole), number(math.nan)))
    return add(only_where(valid, value), only_where(negated(valid), at_pole))


def _riemann_zeta(s: MX) -> MX:
    """Riemann's zeta function, for s < -1 by its functional equation."""
    negative = less(s, number(-1.0))
    below = within(negative, s, -1.5)
    mirror = sub(number(1.0), below)
    # (2 pi)**s gamma(1 - s), which overflows before the sine is multiplied that vanishes at even numbers.
    exponent = add(mul(number(math.log(2 * math.pi)), below), graphs.gammaln(mirror))
    sine = div(graphs.sine_of_pi(mul(number(0.5), below)), number(math.pi))
    reflected = mul(graphs.scaled_by_exp(sine, exponent), graphs.zeta(mirror, number(1.0)))
    return select(negative, reflected, graphs.zeta(within(negated(negative), s, 2.0), number(1.0)))


def _zetac(s: MX) -> MX:
    """Riemann's zeta function less 1; for s > 1 to full relative precision."""
    large = less(number(1.0), s)
    return select(large, graphs.zeta(within(large, s, 2.0), number(2.0)), sub(_riemann_zeta(s), number(1.0)))


#: scipy.special name -> rule on nodes.
_GRAPHS: dict[str, Callable[..., MX]] = {
    "erf": graphs.erf, "erfc": graphs.erfc, "erfcx": graphs.erfcx, "ndtr": graphs.ndtr, "log_ndtr": graphs.log_ndtr,
    "gammaln": graphs.gammaln, "loggamma": _logarithm_of_gamma, "gamma": graphs.gamma, "gammasgn": graphs.gammasgn,
    "rgamma": graphs.rgamma, "digamma": graphs.digamma, "psi": graphs.digamma, "beta": graphs.beta,
    "betaln": graphs.betaln, "binom": graphs.binom, "poch": graphs.poch, "_zeta": _hurwitz_zeta,
    "_riemann_zeta": _riemann_zeta, "zetac": _zetac,
    "expit": _expit, "log_expit": _log_expit, "softplus": _softplus, "logit": _logit,
    "xlogy": _xlogy, "xlog1py": _xlog1py, "entr": _entr, "rel_entr": _rel_entr, "kl_div": _kl_div,
    "exprel": _exprel, "expm1": _expm1, "log1p": _log1p, "cosm1": _cosm1, "powm1": _powm1,
    "exp2": _power_of(2.0), "exp10": _power_of(10.0), "cbrt": ELEMENTWISE[np.cbrt], "round": ELEMENTWISE[np.rint],
    "boxcox": _power_transform(0.0, log), "boxcox1p": _power_transform(1.0, _log1p),
    "inv_boxcox": _inverse_power_transform(exp), "inv_boxcox1p": _inverse_power_transform(_expm1),
    "huber": _huber, "pseudo_huber": _pseudo_huber,
}  # fmt: skip


def add_rules() -> None:
    """Register the rules of the ufuncs of scipy.special that this version of SciPy has."""
    import scipy.special

    special_functions.add_functions()
    for name, rule in _GRAPHS.items():
        ufunc = special_calls.ufunc_of(name)
        if ufunc is not None:
            ELEMENTWISE[ufunc] = special_calls.by_size(name, rule) if name in special_calls.DERIVATIVES else rule
    for name in special_calls.DERIVATIVES:
        ufunc = special_calls.ufunc_of(name)
        if ufunc is not None and name not in _GRAPHS:
            special_calls.register(name, ufunc)
    for name in dir(scipy.special):
        ufunc = getattr(scipy.special, name)
        if isinstance(ufunc, np.ufunc) and ufunc not in ELEMENTWISE:
            REFUSED[ufunc] = (
                f"Of scipy.special, {name} has no rule. Write it by functions that have one, or give it one by "
                "arc.custom_jvp."
            )
