"""The functions of scipy.special that are no ufuncs: logsumexp, softmax and their kin."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.dispatch import INTERCEPTED
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import dtype_of, full_node, gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules.composition import as_numpy_gives
from archimedes_grad.rules.creation import constant
from archimedes_grad.rules.special_calls import DERIVATIVES, ufunc_of
from archimedes_grad.rules.special_graphs import digamma, gamma, gammaln, zeta
from archimedes_grad.rules.words import only_where


def _shifted(x: Any, axis: Any) -> tuple[Any, Any]:
    """Return x less a whole number near its largest entry, and that number, whose derivative is 0.

    The shift cancels in what is computed, so that it need not be the maximum itself.
    """
    largest: Any = np.floor(np.max(x, axis=axis, keepdims=True))
    finite: Any = np.isfinite(largest)
    shift: Any = np.where(value_of(finite), value_of(largest), 0.0)
    if isinstance(largest, SymbolicArray):
        # Not by np.where: nothing passes back through floor, so that no branch needs watching.
        shift = new_array(only_where(finite.node, largest.node), shift)
    return x - shift, shift


def _logsumexp(original: Callable[..., Any], a: Any, axis: Any = None, b: Any = None, keepdims: bool = False,
               return_sign: bool = False) -> Any:  # fmt: skip
    a, b = gathered(a), gathered(b)
    plain_b = None if b is None else value_of(b)
    value = original(value_of(a), axis=axis, b=plain_b, keepdims=keepdims, return_sign=return_sign)
    if b is not None:
        a, b = np.broadcast_arrays(a, b)
    if not np.size(value_of(a)):
        return tuple(map(constant, value)) if return_sign else constant(value)  # a sum of nothing
    if b is not None:
        # A weight of zero takes its entry out, even an infinite one.
        a = np.where(np.equal(b, 0), -np.inf, a)
    shifted, shift = _shifted(a, axis)
    terms = np.exp(shifted) if b is None else b * np.exp(shifted)
    total = np.sum(terms, axis=axis, keepdims=True)
    sign = np.sign(total)
    result = np.log(np.abs(total) if return_sign else total) + shift
    if not keepdims:
        result, sign = np.squeeze(result, axis), np.squeeze(sign, axis)
    return as_numpy_gives((result, sign) if return_sign else result, value)


def _softmax(original: Callable[..., Any], x: Any, axis: Any = None) -> Any:
    x = gathered(x)
    # As SciPy's, not kept from infinities: such an entry less itself is nan, in the sum and so in all shares.
    terms = np.exp(x - np.floor(np.max(x, axis=axis, keepdims=True)))
    return as_numpy_gives(terms / np.sum(terms, axis=axis, keepdims=True), original(value_of(x), axis=axis))


def _log_softmax(original: Callable[..., Any], x: Any, axis: Any = None) -> Any:
    x = gathered(x)
    shifted, _ = _shifted(x, axis)
    result = shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return as_numpy_gives(result, original(value_of(x), axis=axis))


def _multigammaln(original: Callable[..., Any], a: Any, d: Any) -> Any:
    a = gathered(a)
    value = original(value_of(a), d)
    arguments: Any = np.expand_dims(a, 0) - np.reshape(np.arange(d) / 2, (-1, *(1,) * np.ndim(value_of(a))))
    logarithms = new_array(gammaln(arguments.node), arguments.value)
    return as_numpy_gives(np.sum(logarithms, axis=0) + d * (d - 1) * 0.25 * math.log(math.pi), value)


def _polygamma(original: Callable[..., Any], n: Any, x: Any) -> Any:
    if is_traced(n) or np.ndim(n):
        raise trace_error(
            "scipy.special.polygamma takes one plain whole number as order in a traced function.",
            "Call it for each order.",
        )
    x = gathered(x)
    value = original(n, x.value)
    if n == 0:
        return new_array(digamma(x.node), value)
    return as_numpy_gives(_derivative_of_digamma(int(n), x), value)


def _derivative_of_digamma(n: int, x: SymbolicArray) -> Any:
    """Return the n-th derivative: a series (DLMF 5.15.1), and for negative numbers its reflection (DLMF 5.15.6)."""
    negative = np.less(x, 0)
    # Either side is computed where it is finite: at poles the series alone is infinite.
    positive: Any = np.where(negative, 1 - x, x)
    terms: Any = new_array(zeta(scalar_node(n + 1.0), positive.node), positive.value)
    series = (-1.0) ** (n + 1) * math.gamma(n + 1.0) * terms
    angle = math.pi * np.where(negative, x - np.rint(x), 0.25)
    cotangent = np.cos(angle) / np.sin(angle)
    # The derivative of cot(pi x) is -pi (1 + cot**2): those of any order are polynomials in the cotangent.
    polynomial = np.array([1.0, 0.0])
    for _ in range(n):
        polynomial = np.polymul(-math.pi * np.array([1.0, 0.0, 1.0]), np.polyder(polynomial))
    return np.where(negative, (-1.0) ** n * series - math.pi * np.polyval(polynomial, cotangent), series)


def _factorial(original: Callable[..., Any], n: Any, *args: Any, **keywords: Any) -> Any:
    n = gathered(n)
    value = original(value_of(n), *args, **keywords)
    smooth = new_array(gamma((n + 1.0).node), np.asarray(value, dtype=float)[()])
    return _as_counted(np.where(np.less(n, 0), 0.0, smooth), value)


def _multifactorial(original: Callable[..., Any], n: Any, *args: Any, **keywords: Any) -> Any:
    """Return multifactorials of nothing, by SciPy: others are refused there."""
    n = gathered(n)
    return original(n if np.size(value_of(n)) else value_of(n), *args, **keywords)


def _comb(original: Callable[..., Any], N: Any, k: Any, *args: Any, repetition: bool = False, **keywords: Any) -> Any:
    N, k = gathered(N), gathered(k)
    value = original(value_of(N), value_of(k), *args, repetition=repetition, **keywords)
    chosen_of = N + k - 1 if repetition else N
    count = _special("binom")(chosen_of, k)
    if repetition and original(0.0, 0.0, repetition=True) == 1:
        # SciPy's from 1.17 on: nothing is chosen in one way, and what is no number of choices stays as binom has it.
        count = np.where(np.logical_and(np.equal(k, 0), np.greater_equal(N, 0)), 1.0, count)
    else:
        count = _where_choices_are(count, chosen_of, k)
    return _as_counted(count, value)


def _perm(original: Callable[..., Any], N: Any, k: Any, *args: Any, **keywords: Any) -> Any:
    N, k = gathered(N), gathered(k)
    value = original(value_of(N), value_of(k), *args, **keywords)
    return _as_counted(_where_choices_are(_special("poch")(N - k + 1, k), N, k), value)


def _as_counted(count: Any, value: Any) -> Any:
    """Return a count with SciPy's dtype: by ``exact=True`` a whole number, which a formula misses by a rounding."""
    return as_numpy_gives(np.rint(count) if np.asarray(value).dtype.kind in "iu" else count, value)


def _exact_where_asked(n_counted: int, rule: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of a function of whole numbers that are decided where ``exact=True`` asks for all digits."""

    @functools.wraps(rule)
    def exact_or_not(original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        options = inspect.signature(original).bind(*args, **keywords).arguments
        numbers = [gathered(options.pop(name)) for name in list(options)[:n_counted]]
        if options.get("exact") and all(dtype_of(number).kind in "iu" for number in numbers):
            return original(*(number.decided() if is_traced(number) else number for number in numbers), **options)
        return rule(original, *numbers, **options)

    return exact_or_not


def _where_choices_are(count: Any, N: Any, k: Any) -> Any:
    """Return a count of choices of k among N, 0 where there are none."""
    some = np.logical_and(np.less_equal(k, N), np.logical_and(np.greater_equal(N, 0), np.greater_equal(k, 0)))
    return np.where(some, count, 0.0)


def _special(name: str) -> Any:
    import scipy.special

    return getattr(scipy.special, name)


def _spherical(name: str, parity: float) -> Callable[..., Any]:
    """Return the rule of a spherical Bessel function, of parity (-1)**n or, for those singular at 0, the opposite."""

    def rule(original: Callable[..., Any], n: Any, z: Any, derivative: bool = False) -> Any:
        if is_traced(n):
            raise trace_error(
                f"scipy.special.{name} takes a plain whole number as order in a traced function.",
                "Pass the order through static_argnames.",
            )
        z = gathered(z)
        value = original(n, z.value, derivative)
        # SciPy evaluates positive numbers; np.abs would have no slope at 0.
        negative = np.less(z, 0)
        side = np.where(negative, -1.0, 1.0)
        sign = np.where(negative, parity * (-1.0) ** np.asarray(n), 1.0)
        result = sign * _spherical_above_zero(name, n, z * side, value, derivative)
        if name == "spherical_kn":
            # k_n(-z) = (-1)**(n + 1) k_n(z) - pi i_n(z)
            other = _spherical_above_zero("spherical_in", n, np.where(negative, -z, 1.0), value, derivative)
            result = result - np.where(negative, np.pi * other, 0.0)
        return as_numpy_gives(side * result if derivative else result, value)

    return rule


def _spherical_above_zero(name: str, n: Any, z: Any, value: Any, derivative: bool) -> Any:
    """Return a spherical Bessel function or its slope, of the shape of a value."""
    if not derivative:
        bessel: Any = ufunc_of(f"_{name}")
        return bessel(n, z)
    shape = np.broadcast_shapes(np.shape(n), np.shape(value_of(z)))
    order, point = (full_node(operand, shape) for operand in (np.asarray(n, dtype=float), z))
    (_, slope) = DERIVATIVES[f"_{name}"]
    assert slope is not None
    return new_array(slope(order, point, order), value)


def add_functions() -> None:
    """Register the rules; SciPy has been imported."""
    import scipy.special

    INTERCEPTED.update({
        scipy.special.logsumexp: _logsumexp, scipy.special.softmax: _softmax,
        scipy.special.log_softmax: _log_softmax, scipy.special.multigammaln: _multigammaln,
        scipy.special.polygamma: _polygamma, scipy.special.factorial: _exact_where_asked(1, _factorial),
        scipy.special.comb: _exact_where_asked(2, _comb), scipy.special.perm: _exact_where_asked(2, _perm),
        scipy.special.factorial2: _multifactorial, scipy.special.factorialk: _multifactorial,
    })  # fmt: skip
    for name, parity in (("spherical_jn", 1.0), ("spherical_yn", -1.0), ("spherical_in", 1.0), ("spherical_kn", -1.0)):
        INTERCEPTED[getattr(scipy.special, name)] = _spherical(name, parity)
