"""Special functions that SciPy evaluates: a call in the graph, with a derivative made of such calls again.

For functions whose series would be long and whose derivatives are known in closed form. The rows of
``DERIVATIVES`` give the partial derivatives (DLMF 6, 7, 8, 10 and 19); None for one that has no closed form.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.dispatch import ELEMENTWISE, UFUNC_METHODS
from archimedes_grad.arrays.operands import is_traced
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules import special_graphs as graphs
from archimedes_grad.rules.branches import REGULAR
from archimedes_grad.rules.lapack import Kind, Matrices, called_by_entry
from archimedes_grad.rules.special_graphs import horner, neg, number
from archimedes_grad.rules.ufuncs import call as elementwise_call
from archimedes_grad.rules.words import add, div, exp, is_zero, log, mul, negated, only_where, select, sub

MX = cs.MX

#: From this many entries on SciPy's own loop beats a graph of a hundred operations an entry.
_CALL_FROM = 512

#: The partial derivative of a function by one argument: of its arguments and its value.
Partial = Callable[..., MX] | None


def evaluated(name: str, *operands: MX) -> MX:
    """Return a SciPy ufunc of nodes that broadcast elementwise, as one call."""
    return called_by_entry(_kind(name), operands)


def ufunc_of(name: str) -> np.ufunc | None:
    """Return a ufunc of scipy.special, or of what its Python functions call; None where this version has none."""
    import scipy.special
    from scipy.special import _ufuncs

    found = getattr(scipy.special, name, None) or getattr(_ufuncs, name, None)
    return found if isinstance(found, np.ufunc) else None


@functools.cache
def _kind(name: str) -> Kind:
    ufunc = ufunc_of(name)
    assert ufunc is not None
    partials = DERIVATIVES[name]

    whole = name in _OF_WHOLE_ORDER or name.startswith("eval_")

    def evaluate(inputs: Any, wanted: Any) -> Any:
        if whole and np.all(inputs[0] == np.rint(inputs[0])):
            return (ufunc(inputs[0].astype(np.int_), *inputs[1:]),)
        return (ufunc(*inputs),)

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        return [
            mul(seeds[0], partial(*inputs, outputs[0])) if partial is not None else cs.MX.zeros(x.size1(), 1)
            for partial, x in zip(partials, inputs, strict=True)
        ]

    regular = _REGULAR_POINTS.get(name, (REGULAR,) * len(partials))
    if whole:  # A part of an order would take the others, which are whole, out of SciPy's loop for these.
        regular = (_REGULAR_ORDER, *regular[1:])
    return Kind(name.strip("_"), evaluate, reverse, regular_point=regular)


def by_size(name: str, graph: Callable[..., MX]) -> Callable[..., MX]:
    """Return the rule of a function that is a graph of its own for few entries, and a call for many."""

    def rule(*operands: MX) -> MX:
        many = max(node.numel() for node in operands) >= _CALL_FROM
        return evaluated(name, *operands) if many else graph(*operands)

    return rule


def register(name: str, ufunc: np.ufunc) -> None:
    """Register the rule of a SciPy ufunc that has a row here and no graph."""
    partials = DERIVATIVES[name]
    ELEMENTWISE[ufunc] = functools.partial(evaluated, name)

    def rule(*operands: Any, **options: Any) -> Any:
        for position, partial in enumerate(partials[: len(operands)]):
            if partial is None and is_traced(operands[position]):
                raise trace_error(
                    f"scipy.special.{name} has no derivative by argument {position} in closed form, and it is traced.",
                    "Pass the argument that it comes from through static_argnames.",
                )
        return elementwise_call(ufunc, *operands, **options)

    UFUNC_METHODS[ufunc, "__call__"] = rule


def _half_difference(name: str) -> Callable[..., MX]:
    """Return f_n' = (f_(n-1) - f_(n+1)) / 2, of Bessel functions of the first and second kind."""

    def derivative(n: MX, x: MX, y: MX) -> MX:
        return mul(number(0.5), sub(evaluated(name, sub(n, number(1)), x), evaluated(name, add(n, number(1)), x)))

    return derivative


def _half_sum(name: str, sign: float, scale: Callable[[MX], MX] | None = None) -> Callable[..., MX]:
    """Return f_n' = sign (f_(n-1) + f_(n+1)) / 2, of modified ones; less the slope of an exponential factor."""

    def derivative(n: MX, x: MX, y: MX) -> MX:
        if name in ("iv", "ive"):  # SciPy's are nan at subnormal numbers, where these are what they are at 1e-300
            x = add(x, mul(graphs.less(cs.MX.unary(cs.OP_FABS, x), number(1e-300)), number(1e-300)))
        total = add(evaluated(name, sub(n, number(1)), x), evaluated(name, add(n, number(1)), x))
        result = mul(number(0.5 * sign), total)
        return result if scale is None else add(result, mul(scale(x), y))

    return derivative


def _minus_sign(x: MX) -> MX:
    return neg(cs.MX.unary(cs.OP_SIGN, x))


def _one(x: MX) -> MX:
    return number(1.0)


def _of_order(derivative: Callable[..., MX], order: float) -> Callable[..., MX]:
    return lambda x, y: derivative(number(order), x, y)


def _gaussian(factor: float, rate: float) -> Callable[[MX], MX]:
    """Return factor * exp(rate * y**2)."""
    return lambda y: mul(number(factor), exp(mul(number(rate), mul(y, y))))


_inverse_normal_slope = _gaussian(math.sqrt(2 * math.pi), 0.5)
_inverse_erf_slope = _gaussian(math.sqrt(math.pi) / 2, 1.0)
_J, _Y = _half_difference("jv"), _half_difference("yv")
_I, _K = _half_sum("iv", 1.0), _half_sum("kv", -1.0)
_I_SCALED, _K_SCALED = _half_sum("ive", 1.0, _minus_sign), _half_sum("kve", -1.0, _one)


def _exponential_integral_slope(n: MX, x: MX, y: MX) -> MX:
    """Return -E_(n-1); of order 0, exp(-x) / x, the slope without an order below, which SciPy has not."""
    is_first = is_zero(n)
    below = neg(evaluated("expn", graphs.within(negated(is_first), sub(n, number(1)), 0.0), x))
    return select(is_first, neg(mul(y, add(number(1), div(number(1), x)))), below)


def _gamma_density(a: MX, x: MX) -> MX:
    return exp(sub(sub(mul(sub(a, number(1)), log(x)), x), graphs.gammaln(a)))


def _beta_density(a: MX, b: MX, x: MX) -> MX:
    powers = add(mul(sub(a, number(1)), log(x)), mul(sub(b, number(1)), cs.MX.unary(cs.OP_LOG1P, neg(x))))
    return exp(sub(powers, graphs.betaln(a, b)))


def _dilogarithm_slope(x: MX, y: MX) -> MX:
    """Return log(x) / (1 - x); near 1 its series, -1 + t / 2 - t**2 / 3 + ..., t = x - 1."""
    t = sub(x, number(1))
    near = graphs.less(mul(t, t), number(1e-2))
    series = horner(tuple((-1.0) ** (k + 1) / (k + 1) for k in range(18)), graphs.within(near, t, 0.0))
    apart = add(only_where(negated(near), x), mul(near, number(2.0)))
    return select(near, series, div(log(apart), sub(number(1), apart)))


# (K(m) - E(m)) / m as a power series in m.
_ELLIPTIC_SERIES = tuple(
    math.pi / 2 * (math.comb(2 * n, n) / 4.0**n) ** 2 * 2 * n / (2 * n - 1) for n in range(1, 22)
)


def _elliptic_difference(m: MX) -> MX:
    """Return (K(m) - E(m)) / m; near 0 its series."""
    near = graphs.less(mul(m, m), number(0.01))
    series = horner(_ELLIPTIC_SERIES, graphs.within(near, m, 0.0))
    away = graphs.within(negated(near), m, 0.5)
    difference = sub(evaluated("ellipk", away), evaluated("ellipe", away))
    return select(near, series, div(difference, away))


def _polynomial(factor: Callable[..., MX], name: str, shift: Callable[..., tuple[MX, ...]]) -> Callable[..., MX]:
    """Return p_n' = factor * q_(n-1) with q a polynomial of a family with other parameters; 0 for n = 0."""

    def derivative(n: MX, *rest: MX) -> MX:
        *parameters, x, _ = rest
        positive = graphs.less(number(0.5), n)
        below = mul(positive, sub(n, number(1)))
        return mul(positive, mul(factor(n, *parameters), evaluated(name, below, *shift(*parameters), x)))

    return derivative


def _student_density(df: MX, t: MX) -> MX:
    half = mul(number(0.5), add(df, number(1)))
    scale = graphs.log_gamma_ratio(mul(number(0.5), df), number(0.5))
    power = mul(half, cs.MX.unary(cs.OP_LOG1P, div(mul(t, t), df)))
    return exp(sub(sub(scale, power), mul(number(0.5), log(mul(number(math.pi), df)))))


def _chi_square_density(df: MX, x: MX) -> MX:
    return mul(number(0.5), _gamma_density(mul(number(0.5), df), mul(number(0.5), x)))


def _owens_t_by_h(h: MX, a: MX, y: MX) -> MX:
    factor = _gaussian(-0.5 / math.sqrt(2 * math.pi), -0.5)(h)
    return mul(factor, graphs.erf(mul(number(math.sqrt(0.5)), mul(a, h))))


def _owens_t_by_a(h: MX, a: MX, y: MX) -> MX:
    total = add(number(1), mul(a, a))
    return div(exp(mul(number(-0.5), mul(mul(h, h), total))), mul(number(2 * math.pi), total))


def _struve(name: str, sign: float) -> Callable[..., MX]:
    """Return the slope of a Struve function (DLMF 11.4.24 and 11.4.30); of order 0 by that of order 1 alone."""

    def derivative(v: MX, x: MX, y: MX) -> MX:
        is_first = is_zero(v)
        above = evaluated(name, add(v, number(1)), x)
        below = evaluated(name, graphs.within(negated(is_first), sub(v, number(1)), 1.0), x)
        # Of order -1, which is no function of SciPy's near 0.
        before_first = add(number(2 / math.pi), mul(number(sign), below))
        neighbours = add(select(is_first, before_first, below), mul(number(sign), above))
        # There is no slope by the order: where x < 0 it would be nan.
        base = graphs.within(negated(is_first), mul(number(0.5), x), 1.0)
        power = cs.MX.binary(cs.OP_CONSTPOW, base, v)
        rest = mul(power, graphs.rgamma(add(v, number(1.5))))
        return mul(number(0.5), add(neighbours, mul(number(1 / math.sqrt(math.pi)), rest)))

    return derivative


def _spherical(name: str, sign_below: float, sign_above: float) -> Callable[..., MX]:
    """Return the slope of a spherical Bessel function by its neighbours, free of quotients (DLMF 10.51.2, 10.51.5)."""

    def derivative(n: MX, x: MX, y: MX) -> MX:
        positive = graphs.less(number(0.5), n)
        below = mul(mul(positive, n), evaluated(name, mul(positive, sub(n, number(1))), x))
        above = mul(add(n, number(1)), evaluated(name, add(n, number(1)), x))
        total = add(mul(number(sign_below), only_where(positive, below)), mul(number(sign_above), above))
        return div(total, add(mul(number(2), n), number(1)))

    return derivative


def _elliptic_root(phi: MX, m: MX) -> MX:
    sine = cs.MX.unary(cs.OP_SIN, phi)
    return cs.MX.unary(cs.OP_SQRT, sub(number(1), mul(m, mul(sine, sine))))


def _complete_by_complement(p: MX, y: MX) -> MX:
    m = sub(number(1), p)
    return div(sub(mul(p, y), evaluated("ellipe", m)), mul(number(2), mul(m, p)))


def _f_density(dfn: MX, dfd: MX, x: MX) -> MX:
    total = add(dfd, mul(dfn, x))
    share = div(mul(dfn, x), total)
    half = number(0.5)
    density = _beta_density(mul(half, dfn), mul(half, dfd), share)
    return mul(density, div(mul(dfn, dfd), mul(total, total)))


def _error_slope(factor: float) -> Callable[[MX, MX], MX]:
    slope = _gaussian(factor * 2 / math.sqrt(math.pi), -1.0)
    return lambda x, y: slope(x)


def _log_ndtr_slope(x: MX, y: MX) -> MX:
    return div(number(math.sqrt(2 / math.pi)), evaluated("erfcx", mul(x, number(-math.sqrt(0.5)))))


#: Functions whose first argument is evaluated by SciPy's loop for whole numbers.
_OF_WHOLE_ORDER = frozenset({"expn", "kn", "yn", "_spherical_jn", "_spherical_yn", "_spherical_in", "_spherical_kn"})

#: Where derivatives of several orders are finite, if not at `REGULAR`.
_REGULAR_POINTS = {"ndtri_exp": (-REGULAR,)}
_REGULAR_ORDER = 3.0

#: scipy.special name -> a partial derivative for each argument.
DERIVATIVES: dict[str, tuple[Partial, ...]] = {
    "gammaln": (lambda x, y: evaluated("digamma", x),), "digamma": (lambda x, y: graphs.trigamma(x),),
    "psi": (lambda x, y: graphs.trigamma(x),), "gamma": (lambda x, y: mul(y, evaluated("digamma", x)),),
    "erfc": (_error_slope(-1.0),), "ndtr": (lambda x, y: _gaussian(1 / math.sqrt(2 * math.pi), -0.5)(x),),
    "erfcx": (lambda x, y: sub(mul(number(2), mul(x, y)), number(2 / math.sqrt(math.pi))),),
    "log_ndtr": (_log_ndtr_slope,),
    "erfinv": (lambda x, y: _inverse_erf_slope(y),),
    "erfcinv": (lambda x, y: neg(_inverse_erf_slope(y)),),
    "ndtri": (lambda x, y: _inverse_normal_slope(y),),
    "ndtri_exp": (lambda x, y: exp(add(x, add(mul(number(0.5), mul(y, y)), number(0.5 * math.log(2 * math.pi))))),),
    "erfi": (lambda x, y: _gaussian(2 / math.sqrt(math.pi), 1.0)(x),),
    "dawsn": (lambda x, y: sub(number(1), mul(number(2), mul(x, y))),),
    "i0": (_of_order(_I, 0.0),), "i1": (_of_order(_I, 1.0),), "iv": (None, _I),
    "i0e": (_of_order(_I_SCALED, 0.0),), "i1e": (_of_order(_I_SCALED, 1.0),), "ive": (None, _I_SCALED),
    "k0": (_of_order(_K, 0.0),), "k1": (_of_order(_K, 1.0),), "kv": (None, _K),
    "k0e": (_of_order(_K_SCALED, 0.0),), "k1e": (_of_order(_K_SCALED, 1.0),), "kve": (None, _K_SCALED),
    "j0": (_of_order(_J, 0.0),), "j1": (_of_order(_J, 1.0),), "jv": (None, _J),
    "y0": (_of_order(_Y, 0.0),), "y1": (_of_order(_Y, 1.0),), "yv": (None, _Y),
    "gammainc": (None, lambda a, x, y: _gamma_density(a, x)),
    "gammaincc": (None, lambda a, x, y: neg(_gamma_density(a, x))),
    "gammaincinv": (None, lambda a, p, y: div(number(1), _gamma_density(a, y))),
    "gammainccinv": (None, lambda a, p, y: div(number(-1), _gamma_density(a, y))),
    "betainc": (None, None, lambda a, b, x, y: _beta_density(a, b, x)),
    "betaincinv": (None, None, lambda a, b, p, y: div(number(1), _beta_density(a, b, y))),
    "betaincc": (None, None, lambda a, b, x, y: neg(_beta_density(a, b, x))),
    "betainccinv": (None, None, lambda a, b, p, y: div(number(-1), _beta_density(a, b, y))),
    "chdtri": (None, lambda df, p, y: div(number(-1), _chi_square_density(df, y))),
    "fdtr": (None, None, lambda dfn, dfd, x, y: _f_density(dfn, dfd, x)),
    "fdtrc": (None, None, lambda dfn, dfd, x, y: neg(_f_density(dfn, dfd, x))),
    "gdtr": (lambda a, b, x, y: mul(x, _gamma_density(b, mul(a, x))), None,
             lambda a, b, x, y: mul(a, _gamma_density(b, mul(a, x)))),
    "gdtrc": (lambda a, b, x, y: neg(mul(x, _gamma_density(b, mul(a, x)))), None,
              lambda a, b, x, y: neg(mul(a, _gamma_density(b, mul(a, x))))),
    "pdtr": (None, lambda k, m, y: neg(_gamma_density(add(cs.MX.unary(cs.OP_FLOOR, k), number(1)), m))),
    "pdtrc": (None, lambda k, m, y: _gamma_density(add(cs.MX.unary(cs.OP_FLOOR, k), number(1)), m)),
    "hyperu": (None, None, lambda a, b, x, y: mul(
        neg(a), evaluated("hyperu", add(a, number(1)), add(b, number(1)), x))),
    "struve": (None, _struve("struve", -1.0)), "modstruve": (None, _struve("modstruve", 1.0)),
    "ellipkm1": (_complete_by_complement,),
    "ellipkinc": (lambda phi, m, y: div(number(1), _elliptic_root(phi, m)), None),
    "ellipeinc": (lambda phi, m, y: _elliptic_root(phi, m), None),
    "_spherical_jn": (None, _spherical("_spherical_jn", 1.0, -1.0)),
    "_spherical_yn": (None, _spherical("_spherical_yn", 1.0, -1.0)),
    "_spherical_in": (None, _spherical("_spherical_in", 1.0, 1.0)),
    "_spherical_kn": (None, _spherical("_spherical_kn", -1.0, -1.0)),
    "expi": (lambda x, y: div(exp(x), x),),
    "exp1": (lambda x, y: neg(div(exp(neg(x)), x)),),
    "expn": (None, _exponential_integral_slope),
    "spence": (_dilogarithm_slope,),
    "ellipk": (lambda m, y: div(sub(y, _elliptic_difference(m)), mul(number(2), sub(number(1), m))),),
    "ellipe": (lambda m, y: mul(number(-0.5), _elliptic_difference(m)),),
    "kn": (None, _K), "yn": (None, _Y), "jve": (None, _half_difference("jve")), "yve": (None, _half_difference("yve")),
    "hyp0f1": (None, lambda b, x, y: div(evaluated("hyp0f1", add(b, number(1)), x), b)),
    "hyp1f1": (None, None, lambda a, b, x, y: mul(
        div(a, b), evaluated("hyp1f1", add(a, number(1)), add(b, number(1)), x))),
    "hyp2f1": (None, None, None, lambda a, b, c, x, y: mul(
        div(mul(a, b), c), evaluated("hyp2f1", add(a, number(1)), add(b, number(1)), add(c, number(1)), x))),
    "stdtr": (None, lambda df, t, y: _student_density(df, t)),
    "stdtrit": (None, lambda df, p, y: div(number(1), _student_density(df, y))),
    "chdtr": (None, lambda df, x, y: _chi_square_density(df, x)),
    "chdtrc": (None, lambda df, x, y: neg(_chi_square_density(df, x))),
    "owens_t": (_owens_t_by_h, _owens_t_by_a),
    "wrightomega": (lambda x, y: div(y, add(number(1), y)),),
    "eval_legendre": (None, _polynomial(lambda n: number(1), "eval_gegenbauer", lambda: (number(1.5),))),
    "eval_chebyt": (None, _polynomial(lambda n: n, "eval_chebyu", lambda: ())),
    "eval_chebyu": (None, _polynomial(lambda n: number(2), "eval_gegenbauer", lambda: (number(2),))),
    "eval_gegenbauer": (None, None, _polynomial(
        lambda n, a: mul(number(2), a), "eval_gegenbauer", lambda a: (add(a, number(1)),))),
    "eval_hermite": (None, _polynomial(lambda n: mul(number(2), n), "eval_hermite", lambda: ())),
    "eval_hermitenorm": (None, _polynomial(lambda n: n, "eval_hermitenorm", lambda: ())),
    "eval_laguerre": (None, _polynomial(lambda n: number(-1), "eval_genlaguerre", lambda: (number(1),))),
    "eval_genlaguerre": (None, None, _polynomial(
        lambda n, a: number(-1), "eval_genlaguerre", lambda a: (add(a, number(1)),))),
    "eval_jacobi": (None, None, None, _polynomial(
        lambda n, a, b: mul(number(0.5), add(add(n, number(1)), add(a, b))), "eval_jacobi",
        lambda a, b: (add(a, number(1)), add(b, number(1))))),
}  # fmt: skip
