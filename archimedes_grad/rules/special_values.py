"""Functions of one variable that NumPy writes in Python: sinc, i0, unwrap, angle, and real or complex parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from archimedes_grad.arrays.dispatch import implements, implements_ufunc
from archimedes_grad.arrays.operands import as_traced, gathered
from archimedes_grad.rules import found
from archimedes_grad.rules.composition import as_numpy_gives, composed, written
from archimedes_grad.rules.creation import constant

# sin(y)/y = sum of (-1)^k y^(2k) / (2k + 1)!: to double precision, with two derivatives, for |y| < 1/2.
_SINC_SERIES = (
    1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800, -1 / 1307674368000,
    1 / 355687428096000,
)  # fmt: skip


def _horner(coefficients: tuple[float, ...], x: Any) -> Any:
    """Return a polynomial, the constant coefficient first."""
    result: Any = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


@composed(np.sinc)
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x); near 0 by its series, so that the derivatives there have no cancellation."""
    y = np.pi * x
    small = np.less(np.abs(y), 0.5)
    away = np.where(small, 1.0, y)
    near = np.where(small, y, 0.0)
    return np.where(small, _horner(_SINC_SERIES, near * near), np.sin(away) / away)


@composed(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Angles without jumps of more than half a period: whole periods are added."""
    step = np.diff(p, axis=axis)
    if discont is None:
        discont = period / 2
    whole = np.result_type(step.dtype, period).kind in "iu"
    high, rest = divmod(period, 2) if whole else (period / 2, 0)
    wrapped = np.mod(step + high, period) - high
    if rest == 0:
        wrapped = np.where(np.logical_and(np.equal(wrapped, -high), np.greater(step, 0)), high, wrapped)
    # The correction is a multiple of the period: its derivative is that of the period alone.
    turns = np.rint((wrapped - step) / period)
    correction = np.where(np.less(np.abs(step), discont), 0, turns * period)
    first, later = np.split(p, [1], axis)
    return np.concatenate([first, later + np.cumsum(correction, axis)], axis)


@composed(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """0 for positive numbers and pi for negative ones; the derivative is zero."""
    turned = np.where(np.signbit(z), 180.0 if deg else np.pi, 0.0)
    return np.where(np.isnan(z), np.nan, turned)


@implements(np.real)
def real(val: Any) -> Any:
    """The array itself."""
    val = gathered(val)
    return val[...] if val.ndim else val


@implements(np.imag)
def imag(val: Any) -> Any:
    """Zeros."""
    return constant(np.imag(gathered(val).value))


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """The array itself."""
    return gathered(a)


# --- functions that choose a complex result by value -----------------------------------------------


def _scimath(name: str) -> None:
    """Register a function of numpy.lib.scimath: the real one, and TraceError where the result is complex."""
    function, real_function = getattr(np.lib.scimath, name), getattr(np, name)

    @composed(function)
    def program(x: Any) -> Any:
        return real_function(x)


for _name in ("sqrt", "log", "log2", "log10", "arccos", "arcsin", "arctanh"):
    _scimath(_name)


@composed(np.lib.scimath.logn)
def logn(n: Any, x: Any) -> Any:
    """The logarithm to a base."""
    return np.log(x) / np.log(n)


@composed(np.lib.scimath.power)
def power(x: Any, p: Any) -> Any:
    """x to the power p."""
    return np.power(x, p)


@implements_ufunc("__call__", np.frexp)
def frexp(x: Any, out: Any = None, **options: Any) -> Any:
    """A fraction between 1/2 and 1 and the power of two that it is to be multiplied by."""
    x = as_traced(gathered(x))
    value = np.frexp(x.value, **options)
    if not found.compared_in_graph(x.size):
        parts = (x * found.binary_scales(x), found.binary_exponents(x))
        return written(out, as_numpy_gives(parts, value), "frexp")
    ordinary = np.logical_and(np.isfinite(x), np.not_equal(x, 0))
    exponent = np.floor(np.log2(np.where(ordinary, np.abs(x), 1.0))) + 1
    exponent = np.where(ordinary, exponent, 0.0)
    return written(out, as_numpy_gives((np.where(ordinary, x * np.exp2(-exponent), x), exponent), value), "frexp")


# I0(x) = sum of (x^2/4)^k / (k!)^2, all terms positive; from 20 on exp(x)/sqrt(2 pi x) times the sum of
# ((2k - 1)!!)^2 / (k! (8 x)^k) (Abramowitz and Stegun 1964, 9.6.12 and 9.7.1).
_I0_FROM = 20.0
_I0_SERIES = tuple(1.0 / math.factorial(k) ** 2 for k in range(48))
_I0_ASYMPTOTIC = tuple(
    math.prod(range(1, 2 * k, 2)) ** 2 / (math.factorial(k) * 8.0**k) for k in range(30)
)


@composed(np.i0)
def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind of order 0."""
    size = np.abs(x)
    near = np.less(size, _I0_FROM)
    inside, outside = np.where(near, x, 0.0), np.where(near, _I0_FROM, size)
    tail = _horner(_I0_ASYMPTOTIC, 1.0 / outside)
    far = np.exp(outside) / np.sqrt(2 * np.pi * outside) * tail
    return np.where(near, _horner(_I0_SERIES, inside * inside / 4.0), far)
