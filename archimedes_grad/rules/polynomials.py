"""Polynomials by their coefficients, the highest power first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
from numpy.polynomial import polynomial as _polynomial

from archimedes_grad.arrays.decisions import decides
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, as_traced, gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import note_call, trace_error
from archimedes_grad.rules.attempts import implements_fallible
from archimedes_grad.rules.composition import as_numpy_gives, composed, static_mask
from archimedes_grad.rules.lapack import Kind, Matrices, matrix_call


@composed(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """The value of a polynomial, by Horner's scheme."""
    p, x = array_of(p), array_of(x)
    result: Any = x * 0
    for k in range(p.shape[0]):
        result = result * x + p[k]
    return result


def _combined(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    def program(a1: Any, a2: Any) -> Any:
        a1, a2 = np.atleast_1d(array_of(a1)), np.atleast_1d(array_of(a2))
        length = max(a1.shape[0], a2.shape[0])
        # What has all coefficients may have axes behind them, as NumPy lets it.
        full = [a if len(a) == length else np.concatenate([np.zeros(length - len(a), a.dtype), a]) for a in (a1, a2)]
        return ufunc(*full)

    return program


composed(np.polyadd)(_combined(np.add))
composed(np.polysub)(_combined(np.subtract))


@composed(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """The product of two polynomials."""
    return np.convolve(_without_leading_zeros(a1), _without_leading_zeros(a2))


def _without_leading_zeros(a: Any) -> Any:
    a = np.atleast_1d(array_of(a))
    return np.trim_zeros(a, "f") if not is_traced(a) else a


@composed(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """The m-th derivative of a polynomial."""
    p = array_of(p)
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@composed(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The m-th integral of a polynomial, with constants of integration."""
    p = array_of(p)
    constants = np.zeros(max(m, 1)) if k is None else np.atleast_1d(array_of(k))
    if constants.shape[0] == 1 and m > 1:
        constants = np.broadcast_to(constants, (m,))
    for order in range(m):
        raised = p / np.arange(p.shape[0], 0, -1)
        p = np.concatenate([raised, np.reshape(constants[order], (1,))])
    return p


@composed(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """Quotient and remainder of two polynomials."""
    u, v = np.atleast_1d(array_of(u)), np.atleast_1d(array_of(v))
    steps = u.shape[0] - v.shape[0] + 1
    if steps <= 0:
        return np.zeros(1), u
    rest = [u[k] for k in range(u.shape[0])]
    quotient = []
    for k in range(steps):
        quotient.append(rest[k] / v[0])
        for j in range(1, v.shape[0]):
            rest[k + j] = rest[k + j] - quotient[k] * v[j]
    remainder = rest[steps:]
    return np.stack(quotient), np.stack(remainder) if remainder else np.zeros(1)


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The coefficients of the polynomial with given roots."""
    roots = gathered(seq_of_zeros)
    value = np.poly(value_of(roots))
    if roots.size == 0:
        return value
    if roots.ndim == 2:
        return as_numpy_gives(_characteristic(roots), value)
    zero: Any = np.zeros(1, value.dtype)
    coefficients: Any = np.ones(1, value.dtype)
    for k in range(roots.shape[0]):
        shifted = np.concatenate([zero, coefficients * roots[k]])
        coefficients = np.concatenate([coefficients, zero]) - shifted
    return coefficients


@implements(_polynomial.polyval2d)
def polyval2d(x: Any, y: Any, c: Any) -> Any:
    """The values of a polynomial in two variables at points (x, y)."""
    x, y, c = map(array_of, (x, y, c))
    value = _polynomial.polyval2d(value_of(x), value_of(y), value_of(c))
    return as_numpy_gives(_horner(_horner(_beside(c, x), x), y), value)


@implements(_polynomial.polygrid2d)
def polygrid2d(x: Any, y: Any, c: Any) -> Any:
    """The values of a polynomial in two variables on the grid of x and y."""
    x, y, c = map(array_of, (x, y, c))
    value = _polynomial.polygrid2d(value_of(x), value_of(y), value_of(c))
    return as_numpy_gives(_horner(_beside(_horner(_beside(c, x), x), y), y), value)


def _beside(coefficients: Any, points: Any) -> Any:
    """Return coefficients with an axis of length 1 for each axis of the points."""
    return np.reshape(coefficients, np.shape(value_of(coefficients)) + (1,) * np.ndim(value_of(points)))


def _horner(coefficients: Any, points: Any) -> Any:
    """Return the values of a polynomial whose coefficients lie along the first axis, the constant first."""
    total = coefficients[-1] + points * 0.0
    for k in range(2, np.shape(value_of(coefficients))[0] + 1):
        total = coefficients[-k] + total * points
    return total


def _characteristic(matrix: Any) -> Any:
    """Return the coefficients of det(x - A) by the method of Faddeev and Le Verrier: products and traces alone."""
    n = matrix.shape[0]
    coefficients: list[Any] = [1.0]
    factor: Any = np.eye(n)
    for k in range(1, n + 1):
        product = np.matmul(matrix, factor)
        coefficients.append(np.trace(product) / -k)
        factor = product + coefficients[-1] * np.eye(n)
    return gathered(coefficients)


def _roots_evaluate(inputs: Any, wanted: Any) -> Any:
    roots = np.roots(inputs[0][0])
    if roots.dtype.kind == "c" or roots.size != inputs[0].shape[-1] - 1:
        raise np.linalg.LinAlgError("Roots are complex")
    return (roots,)


def _roots_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    """Return the sensitivities by dr = -r**k / p'(r) dp_k (implicit function theorem)."""
    (p,), (roots,), (seed,) = inputs, outputs, seeds
    value, slope = cs.MX.zeros(*roots.shape), cs.MX.zeros(*roots.shape)
    for k in range(p.numel()):
        slope = slope * roots + value
        value = value * roots + p.nz[k]
    columns = [cs.sum1(-seed / slope)]
    power = -seed / slope
    for _ in range(p.numel() - 1):
        power = power * roots
        columns.append(cs.sum1(power))
    return [cs.vertcat(*reversed(columns))]


_ROOTS = Kind("roots", _roots_evaluate, _roots_reverse)


@implements_fallible(np.roots)
def roots(p: Any) -> Any:
    """The roots of a polynomial; where nothing can be decided by values, of one that has real ones only."""
    p = gathered(p)
    value = np.roots(p.value)
    if value.dtype.kind == "c" and not decides():
        raise trace_error(
            "np.roots: the polynomial has complex roots, and they are to be real where no path is chosen by values.",
            "Use Newton's method on np.polyval.",
        )
    # Zeros at the ends are no coefficients of the polynomial that is solved.
    places = np.flatnonzero(static_mask(p))
    if not places.size:
        return value
    inner = p[places[0] : places[-1] + 1]
    zeros = np.zeros(p.shape[0] - 1 - int(places[-1]), value.dtype)
    if inner.shape[0] == 1:
        return zeros
    if decides():
        size = inner.shape[0] - 1
        companion = np.concatenate([-inner[None, 1:] / inner[0], np.eye(size)[:-1]])
        found = np.linalg.eigvals(companion)
        if np.any(found.imag != 0):
            return np.concatenate([found, zeros])
    note_call(can_fail=True)
    (node,) = matrix_call(_ROOTS, [inner.shape], [(inner.shape[0] - 1,)]).call([inner.node])
    return np.concatenate([new_array(node, np.roots(inner.value)), zeros])


@implements_fallible(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: Any = False, w: Any = None, cov: Any = False) -> Any:
    """The polynomial of least squares through points, and with ``cov`` the covariance of its coefficients."""
    x, y, w = (points if points is None or is_traced(points) else np.asarray(points) for points in (x, y, w))
    x, y, w = gathered(x), gathered(y), gathered(w)
    np.polyfit(value_of(x), value_of(y), deg, rcond, full, value_of(w), cov)
    matrix = np.vander(x * 1.0, int(deg) + 1)
    right = y * 1.0
    if w is not None:
        matrix = matrix * w[:, None]
        right = right * (w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(matrix * matrix, 0))
    scaled = matrix / scale
    if full:
        rcond = len(x) * np.finfo(float).eps if rcond is None else rcond
        coefficients, *rest = np.linalg.lstsq(as_traced(scaled), right, rcond)
        return (coefficients.T / scale).T, *rest, rcond
    if is_traced(scaled):
        coefficients = np.linalg.lstsq(scaled, right, rcond)[0]
    else:
        coefficients = np.matmul(np.linalg.pinv(scaled), right)
    coefficients = (coefficients.T / scale).T
    if not cov:
        return coefficients
    return coefficients, _covariance(matrix, scale, right, coefficients, cov)


def _covariance(matrix: Any, scale: Any, right: Any, coefficients: Any, cov: Any) -> Any:
    """Return the covariance matrix of the coefficients, for each set of ordinates."""
    scaled = matrix / scale
    base = np.linalg.inv(np.matmul(scaled.T, scaled)) / scale[:, None] / scale
    if cov == "unscaled":
        return base if right.ndim == 1 else base[:, :, None]
    rest = right - np.matmul(matrix, coefficients)
    factor = np.sum(rest * rest, 0) / (right.shape[0] - matrix.shape[1])
    return base * factor if right.ndim == 1 else base[:, :, None] * factor
