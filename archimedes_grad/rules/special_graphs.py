"""Special functions as graphs of elementary operations: CasADi has no node for them but erf.

All take and return nodes that broadcast elementwise. Where a function has regions, each is computed at
arguments moved to where it is regular, so that no nan passes between them and derivatives of any order
are those of the region. Sources: the asymptotic series of the gamma and polygamma functions, DLMF 5.11 and
25.11 (Euler-Maclaurin); erfcx by a Chebyshev series in (x - 3.75) / (x + 3.75) after Schonfelder (1978), with
coefficients computed in 50 digits.
"""

from __future__ import annotations

import functools
import math

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node
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
_binary = MX.binary
_unary = MX.unary


def number(value: float) -> MX:
    """Return the node of a number."""
    return scalar_node(value)


def less(x: MX, y: MX) -> MX:
    """1 where x < y, else 0."""
    return _binary(cs.OP_LT, x, y)


def neg(x: MX) -> MX:
    """-x."""
    return _unary(cs.OP_NEG, x)


def floor(x: MX) -> MX:
    """The next whole number below; its derivative is 0."""
    return _unary(cs.OP_FLOOR, x)


def within(condition: MX, x: MX, safe: float) -> MX:
    """x where a condition holds, else a number at which the region's formula is regular."""
    return add(only_where(condition, x), mul(negated(condition), number(safe)))


def horner(coefficients: tuple[float, ...], x: MX) -> MX:
    """Return a polynomial, the constant coefficient first."""
    result = number(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = add(mul(result, x), number(coefficient))
    return result


def _chebyshev(coefficients: tuple[float, ...], t: MX) -> MX:
    """Return a Chebyshev series on [-1, 1] by Clenshaw's recurrence."""
    twice = add(t, t)
    current, before = number(coefficients[-1]), number(0.0)
    for coefficient in reversed(coefficients[1:-1]):
        current, before = add(sub(mul(twice, current), before), number(coefficient)), current
    return add(sub(mul(t, current), before), number(coefficients[0]))


# --- the error function's family ------------------------------------------------------------------

# ((1 + 2 x) erfcx(x) - 1) / s for x >= 0 and s = x / (x + 3.75), in t = 2 s - 1: so that the function is exact at 0.
_ERFCX = (
    1.0240850132886817, -1.3378542883077563, 0.60917833171556338, -0.21749890858944212, 0.062659245456088415,
    -0.014454256063957722, 0.0025492573546480905, -0.00029691280700889146, 7.6716054729269193e-6,
    4.8906639629893669e-6, -8.9682145461361253e-7, -8.6782728274562166e-10, 2.3101067209727944e-8,
    -2.2743092740266257e-9, -4.646094168015455e-10, 1.0176802409717622e-10, 8.3498349717256771e-12,
    -3.7158936034007812e-12, -1.3981302309302078e-13, 1.3364095021344722e-13, 2.6330485920759315e-15,
    -4.9945694661268696e-15, -1.0216118149944464e-16, 1.9571161685030008e-16, 7.4673580638062216e-18,
    -7.9203767860680694e-18,
)  # fmt: skip


def erf(x: MX) -> MX:
    """CasADi's own node."""
    return _unary(cs.OP_ERF, x)


def _erfcx_of_positive(x: MX) -> MX:
    one = number(1.0)
    rest = div(number(3.75), add(x, number(3.75)))
    series = _chebyshev(_ERFCX, sub(one, add(rest, rest)))
    return div(add(one, mul(sub(one, rest), series)), add(one, add(x, x)))


def _positive_part(x: MX) -> tuple[MX, MX]:
    """Return where x < 0, and x with its sign turned there. Slopes at 0 are those from the right."""
    negative = less(x, number(0.0))
    return negative, select(negative, neg(x), x)


def erfcx(x: MX) -> MX:
    """exp(x**2) erfc(x)."""
    negative, size = _positive_part(x)
    scaled = _erfcx_of_positive(size)
    below = within(negative, x, 0.0)
    return select(negative, sub(mul(number(2.0), exp(mul(below, below))), scaled), scaled)


def erfc(x: MX) -> MX:
    """1 - erf(x), to full relative precision."""
    negative, size = _positive_part(x)
    # Beyond 40 the function is 0 in double precision; kept finite for the derivative of exp times 0.
    far = less(number(40.0), size)
    near = within(negated(far), size, 40.0)
    tail = only_where(negated(far), mul(exp(neg(mul(near, near))), _erfcx_of_positive(near)))
    tail = add(tail, only_where(is_nan(x), x))
    return select(negative, sub(number(2.0), tail), tail)


def ndtr(x: MX) -> MX:
    """The normal distribution function."""
    return mul(number(0.5), erfc(mul(x, number(-math.sqrt(0.5)))))


def log_ndtr(x: MX) -> MX:
    """The logarithm of the normal distribution function."""
    negative = less(x, number(0.0))
    below = within(negative, x, 0.0)
    scaled = _erfcx_of_positive(mul(below, number(-math.sqrt(0.5))))
    tail = sub(log(mul(number(0.5), scaled)), mul(mul(number(0.5), below), below))
    above = within(negated(negative), x, 0.0)
    body = _unary(cs.OP_LOG1P, mul(number(-0.5), erfc(mul(above, number(math.sqrt(0.5))))))
    return select_signed(negative, tail, body)


# --- the gamma function's family ------------------------------------------------------------------

# log gamma(2 + t) = (1 - euler) t + sum over k >= 2 of (-1)^k (zeta(k) - 1) t^k / k, for |t| <= 1/2.
_LGAMMA_AT_2 = (
    0.0, 0.42278433509846713939, 0.32246703342411322, -0.067352301053198095, 0.020580808427784548,
    -0.0073855510286739853, 0.0028905103307415233, -0.001192753911703261, 0.00050966952474304242,
    -0.00022315475845357938, 9.9457512781808534e-5, -4.4926236738133142e-5, 2.0507212775670692e-5,
    -9.4394882752683959e-6, 4.3748667899074878e-6, -2.0392157538013662e-6, 9.5514121304074198e-7,
    -4.492469198764566e-7, 2.1207184805554666e-7, -1.00432248239681e-7, 4.7698101693639806e-8,
    -2.2711094608943165e-8, 1.0838659214896954e-8, -5.1834750419700467e-9, 2.4836745438024783e-9,
    -1.1921401405860912e-9, 5.731367241678862e-10, -2.7595228851242331e-10,
)  # fmt: skip

# Bernoulli numbers B_2, B_4, ...
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)

#: Binomial coefficients and rising factorials of orders up to this are products.
_LARGEST_ORDER = 20

#: Up to this whole number gamma is exact.
_MODERATE = 12

#: Arguments are brought above this before an asymptotic series is used.
_LARGE = 8


def _lgamma_of_large(z: MX) -> MX:
    """Stirling's series, for z >= 8."""
    body = mul(sub(z, number(0.5)), sub(log(z), number(1.0)))
    return add(add(body, number(0.5 * math.log(2 * math.pi) - 0.5)), _lgamma_tail(z))


def _lgamma_tail(z: MX) -> MX:
    """What of Stirling's series vanishes at infinity."""
    series = tuple(b / ((2 * k) * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, start=1))
    inverse = div(number(1.0), z)
    return mul(inverse, horner(series, mul(inverse, inverse)))


def _lgamma_of_positive(x: MX) -> MX:
    low = less(x, number(2.5))
    one, two = less(x, number(0.5)), less(x, number(1.5))
    # Near 1 and 2, where it vanishes, as a series about 2; gamma(x) = gamma(x + 1) / x leads there.
    near = within(low, x, 2.0)
    t = sub(near, sub(number(2.0), add(one, two)))
    steps = add(
        only_where(two, log(within(two, x, 1.0))),
        only_where(one, _unary(cs.OP_LOG1P, within(one, x, 0.0))),
    )
    small = sub(horner(_LGAMMA_AT_2, t), steps)
    rising = within(negated(low), x, float(_LARGE))
    middle = less(rising, number(float(_LARGE)))
    factors = within(middle, rising, 2.5)
    product = functools.reduce(mul, [add(factors, number(float(k))) for k in range(1, _LARGE)], factors)
    shifted = add(rising, mul(number(float(_LARGE)), middle))
    return select(low, small, sub(_lgamma_of_large(shifted), only_where(middle, log(product))))


def sine_of_pi(x: MX) -> MX:
    """sin(pi x), to full relative precision near every whole number."""
    nearest = floor(add(x, number(0.5)))
    half = mul(number(0.5), nearest)
    odd = _binary(cs.OP_NE, floor(half), half)
    sign = sub(number(1.0), add(odd, odd))
    return mul(sign, _unary(cs.OP_SIN, mul(number(math.pi), sub(x, nearest))))


def scaled_by_exp(x: MX, exponent: MX) -> MX:
    """x * exp(exponent): 0 where x is 0, whatever the exponent."""
    half = exp(_binary(cs.OP_FMIN, mul(number(0.5), exponent), number(700.0)))
    return mul(mul(x, half), half)


def gammaln(x: MX) -> MX:
    """log |gamma(x)|; by reflection for negative x."""
    negative = less(x, number(0.0))
    direct = _lgamma_of_positive(within(negated(negative), x, 1.0))
    below = within(negative, x, -0.5)
    sine = _unary(cs.OP_FABS, sine_of_pi(below))
    reflected = sub(sub(number(math.log(math.pi)), log(sine)), _lgamma_of_positive(sub(number(1.0), below)))
    return select(negative, reflected, direct)


def _sign_of_gamma(x: MX) -> MX:
    """The sign of gamma(x), from above at its poles."""
    half = mul(number(0.5), floor(within(less(x, number(0.0)), x, 0.0)))
    odd = _binary(cs.OP_NE, floor(half), half)
    return sub(number(1.0), add(odd, odd))


def gammasgn(x: MX) -> MX:
    """The sign of gamma(x), which is negative at -0.0; nan at the other poles, as SciPy has it."""
    below = _binary(cs.OP_AND, less(x, number(0.0)), _binary(cs.OP_EQ, floor(x), x))
    missing = _binary(cs.OP_OR, below, is_nan(x))
    sign = select(is_zero(x), _binary(cs.OP_COPYSIGN, number(1.0), x), _sign_of_gamma(x))
    return add(sign, only_where(missing, number(math.nan)))


def gamma(x: MX) -> MX:
    """The gamma function; nan at negative whole numbers, as SciPy has it."""
    moderate = _binary(cs.OP_AND, less(number(0.0), x), less(x, number(_MODERATE + 1.5)))
    other = within(negated(moderate), x, 1.0)
    by_logarithm = mul(gammasgn(select_signed(moderate, number(1.0), x)), exp(gammaln(other)))
    return select(moderate, _gamma_of_moderate(within(moderate, x, 2.0)), by_logarithm)


def _gamma_of_moderate(x: MX) -> MX:
    """Return gamma(x) for 0 < x < 13.5 as a product with gamma near 2, which is exact for whole numbers."""
    one, two = less(x, number(0.5)), less(x, number(1.5))
    below = mul(within(two, x, 1.0), within(one, add(x, number(1.0)), 1.0))
    start, product = add(x, add(one, two)), number(1.0)
    for k in range(1, _MODERATE):
        factor = sub(x, number(float(k)))
        above = _binary(cs.OP_LE, number(1.5), factor)
        product = mul(product, within(above, factor, 1.0))
        start = sub(start, above)
    return div(mul(product, exp(horner(_LGAMMA_AT_2, sub(start, number(2.0))))), below)


def rgamma(x: MX) -> MX:
    """1 / gamma(x)."""
    negative = less(x, number(0.0))
    above = select_signed(_binary(cs.OP_AND, negated(negative), less(x, number(math.inf))), x, number(1.0))
    # As x / gamma(x + 1) it is smooth at its zero at 0; further below, gamma's reflection has no pole.
    direct = mul(above, exp(neg(_lgamma_of_positive(add(above, number(1.0))))))
    below = within(negative, x, -0.5)
    sine = div(sine_of_pi(below), number(math.pi))
    reflected = scaled_by_exp(sine, _lgamma_of_positive(sub(number(1.0), below)))
    finite = negated(_binary(cs.OP_EQ, _unary(cs.OP_FABS, x), number(math.inf)))
    value = select_signed(negative, add(reflected, number(0.0)), direct)
    return sub(only_where(finite, value), only_where(is_nan(x), x))


def _digamma_of_positive(x: MX) -> MX:
    z = add(x, number(float(_LARGE)))
    inverse = div(number(1.0), z)
    square = mul(inverse, inverse)
    series = tuple(b / (2 * k) for k, b in enumerate(_BERNOULLI, start=1))
    asymptotic = sub(sub(log(z), mul(number(0.5), inverse)), mul(square, horner(series, square)))
    steps = [div(number(1.0), add(x, number(float(k))) if k else x) for k in range(_LARGE)]
    return sub(asymptotic, functools.reduce(add, steps))


def digamma(x: MX) -> MX:
    """The derivative of log gamma; by reflection for negative x, and nan at whole ones as SciPy has it."""
    negative = less(x, number(0.0))
    pole = _binary(cs.OP_AND, negative, _binary(cs.OP_EQ, floor(x), x))
    direct = _digamma_of_positive(select_signed(negative, number(1.0), x))
    below = within(negative, x, -0.5)
    turned = mul(number(math.pi), sub(below, floor(add(below, number(0.5)))))
    reflected = sub(_digamma_of_positive(sub(number(1.0), below)), div(number(math.pi), _unary(cs.OP_TAN, turned)))
    return add(select(negative, reflected, direct), only_where(pole, number(math.nan)))


def _trigamma_of_positive(x: MX) -> MX:
    z = add(x, number(float(_LARGE)))
    inverse = div(number(1.0), z)
    square = mul(inverse, inverse)
    asymptotic = add(add(inverse, mul(number(0.5), square)), mul(mul(inverse, square), horner(_BERNOULLI, square)))
    shifted = [add(x, number(float(k))) if k else x for k in range(_LARGE)]
    return functools.reduce(add, [div(number(1.0), mul(step, step)) for step in shifted], asymptotic)


def trigamma(x: MX) -> MX:
    """The derivative of digamma; by reflection for negative x."""
    negative = less(x, number(0.0))
    direct = _trigamma_of_positive(within(negated(negative), x, 1.0))
    below = within(negative, x, -0.5)
    sine = sine_of_pi(below)
    reflected = sub(div(number(math.pi**2), mul(sine, sine)), _trigamma_of_positive(sub(number(1.0), below)))
    return select(negative, reflected, direct)


def zeta(s: MX, q: MX) -> MX:
    """Hurwitz's zeta function for s > 1 and q > 0."""
    steps = [_binary(cs.OP_POW, add(q, number(float(k))), neg(s)) for k in range(_LARGE + 2)]
    z = add(q, number(float(_LARGE + 2)))
    power = _binary(cs.OP_POW, z, neg(s))
    total = functools.reduce(add, steps)
    # Not z times the power: at infinity that is infinity times 0.
    integral = div(_binary(cs.OP_POW, z, sub(number(1.0), s)), sub(s, number(1.0)))
    total = add(total, add(integral, mul(number(0.5), power)))
    # From some hundreds on the powers below are 0; kept from meeting an infinite factor.
    s = within(less(s, number(1e3)), s, 1.0)
    rising, inverse = s, div(number(1.0), z)
    power = mul(power, inverse)
    for k, b in enumerate(_BERNOULLI, start=1):
        total = add(total, mul(number(b / math.factorial(2 * k)), mul(rising, power)))
        rising = mul(rising, mul(add(s, number(2.0 * k - 1)), add(s, number(2.0 * k))))
        power = mul(power, mul(inverse, inverse))
    return total


def log_gamma_ratio(x: MX, m: MX) -> MX:
    """log |gamma(x + m) / gamma(x)|; of large numbers by the difference of Stirling's series, which loses no digits."""
    top = add(x, m)
    large = _binary(cs.OP_AND, less(number(float(_LARGE)), x), less(number(float(_LARGE)), top))
    start, end, step = within(large, x, 2.0 * _LARGE), within(large, top, 2.0 * _LARGE), within(large, m, 0.0)
    finite = less(end, number(math.inf))
    # At infinity the first term is its limit, the step; and no step there is no ratio but 1.
    base = within(less(start, number(math.inf)), start, 1e300)
    growth = mul(sub(base, number(0.5)), _unary(cs.OP_LOG1P, div(step, base)))
    slope = sub(only_where(_binary(cs.OP_OR, finite, _binary(cs.OP_NE, step, number(0.0))), log(end)), number(1.0))
    difference = add(add(growth, mul(step, slope)), sub(_lgamma_tail(end), _lgamma_tail(start)))
    near = negated(large)
    return select(large, difference, sub(gammaln(within(near, top, 1.0)), gammaln(within(near, x, 1.0))))


def _in_order(a: MX, b: MX) -> tuple[MX, MX]:
    """Return the smaller and the larger of two."""
    ordered = less(a, b)
    return select(ordered, a, b), select(ordered, b, a)


def betaln(a: MX, b: MX) -> MX:
    """log |beta(a, b)|."""
    smaller, larger = _in_order(a, b)
    # At the origin two infinite terms would make nan of inf.
    nothing = number(0.0)
    at_origin = _binary(cs.OP_AND, _binary(cs.OP_EQ, a, nothing), _binary(cs.OP_EQ, b, nothing))
    ratio = log_gamma_ratio(within(negated(at_origin), larger, 1.0), smaller)
    return sub(gammaln(smaller), ratio)


def beta(a: MX, b: MX) -> MX:
    """gamma(a) gamma(b) / gamma(a + b)."""
    sign = mul(mul(_sign_of_gamma(a), _sign_of_gamma(b)), _sign_of_gamma(add(a, b)))
    return mul(sign, exp(betaln(a, b)))


def binom(n: MX, k: MX) -> MX:
    """The binomial coefficient of real n and k; of a small whole number k a polynomial in n."""
    one = number(1.0)
    order = _small_whole_number(k)
    if order is not None:
        pole = _binary(cs.OP_AND, less(n, number(0.0)), _binary(cs.OP_EQ, floor(n), n))
        result = one
        for i in range(1, order + 1):
            result = div(mul(result, add(n, number(float(i - order)))), number(float(i)))
        return add(result, only_where(pole, number(math.nan)))
    rest = sub(n, k)
    sign = mul(mul(_sign_of_gamma(add(n, one)), _sign_of_gamma(add(k, one))), _sign_of_gamma(add(rest, one)))
    smaller, larger = _in_order(k, rest)
    return mul(sign, exp(sub(log_gamma_ratio(add(larger, one), smaller), gammaln(add(smaller, one)))))


def _small_whole_number(x: MX) -> int | None:
    """Return a constant that is a whole number from 0 to 20, else None."""
    if not x.is_constant() or x.numel() != 1:
        return None
    value = float(x.to_DM())
    return int(value) if value in range(_LARGEST_ORDER + 1) else None


def poch(x: MX, m: MX) -> MX:
    """gamma(x + m) / gamma(x); of a small whole number m a product of so many factors."""
    order = _small_whole_number(m)
    if order is not None:
        return functools.reduce(mul, [add(x, number(float(k))) for k in range(order)], number(1.0))
    return mul(mul(_sign_of_gamma(add(x, m)), _sign_of_gamma(x)), exp(log_gamma_ratio(x, m)))
