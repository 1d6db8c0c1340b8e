"""Derivatives of noisy functions: least-squares fits over intervals that grow until bias shows.

Where the samples scatter by more than rounding, differences amplify the scatter and extrapolation amplifies
it again. A polynomial fitted to many samples averages it, its residual measures it, and the next higher
degree shows what the polynomial misses.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.sampling import LineSampler

Floats = NDArray[np.float64]

#: New samples of a level, as parts of its half-width, on either side. All bits are used: at steps of few bits
#: ``x + h`` is always rounded alike.
LEVEL_NODES = np.sqrt([0.32, 0.48, 0.7, 0.98])
#: Close samples, in the same way.
CLOSE_NODES = np.sqrt([0.14, 0.48, 0.98])
#: A residual this many times that of the first, narrow fit is structure that the fit misses, not noise.
STRUCTURE = 5.0
#: How often the interval may double.
MOST_LEVELS = 9


@dataclass
class NoisyFinding:
    """Value, claimed error and the scatter of close samples, per output; shape (n_outputs,)."""

    value: Floats
    error: Floats
    scatter: Floats


def fit_noisy(sampler: LineSampler, order: int, half_width: float, widest: float) -> NoisyFinding:
    """Fit on ``[-H, H]`` for H = half_width, 2 half_width, ... and keep what has the least error.

    Parameters
    ----------
    sampler : LineSampler
        Where samples come from; those already taken are used again.
    order : int
        Order of the derivative.
    half_width : float
        A half-width on which the function is known to be resolved.
    widest : float
        No interval is wider than this.
    """
    shape = sampler.centre.shape
    scatter = _local_scatter(sampler, half_width / 64)
    best = NoisyFinding(np.full(shape, np.nan), np.full(shape, np.inf), scatter)
    unexplained = scatter
    fits: list[tuple[Floats, Floats]] = []
    width, unhelpful = half_width, 0
    for _ in range(MOST_LEVELS):
        nodes = width * LEVEL_NODES
        if not np.isfinite(sampler(np.concatenate([nodes, -nodes]))).any():
            break
        improved = False
        results = _fits(sampler, order, width)
        if width == half_width and results:
            unexplained = np.maximum(scatter, results[-1][2])
        for value, error, noise in results:
            error = np.where(noise <= STRUCTURE * unexplained, error, np.inf)
            for known_value, known_error in fits:
                error = np.maximum(error, np.nan_to_num(np.abs(value - known_value) - known_error, neginf=0.0))
            fits.append((value, error))
            better = error < best.error
            improved = improved or bool((error < 0.75 * best.error).any())
            best.value = np.where(better, value, best.value)
            best.error = np.where(better, error, best.error)
        unhelpful = 0 if improved else unhelpful + 1
        width *= 2
        if unhelpful == 2 or width > widest:
            break
    return best


def _local_scatter(sampler: LineSampler, half_width: float) -> Floats:
    """Standard deviation of seven samples so close that a cubic is all that the function varies by."""
    spread_out = np.concatenate([-CLOSE_NODES[::-1], [0.0], CLOSE_NODES])
    for parts in (spread_out, (1 + spread_out) / 2, (spread_out - 1) / 2):
        offsets = half_width * parts
        values = sampler(offsets)
        if np.isfinite(values).all():
            break
    else:
        return np.full(sampler.centre.shape, np.inf)
    basis = np.polynomial.polynomial.polyvander(offsets / half_width, 3)
    residual = values - sampler.centre - basis @ (np.linalg.pinv(basis) @ (values - sampler.centre))
    scale = np.maximum(np.abs(residual).max(axis=0), np.finfo(np.float64).tiny)
    spread = scale * np.sqrt(((residual / scale) ** 2).sum(axis=0) / 3)
    return np.maximum(np.asarray(spread, dtype=np.float64), _rounding(values))


def _rounding(values: Floats) -> Floats:
    return np.asarray(0.5 * np.finfo(np.float64).eps * np.abs(values).max(axis=0), dtype=np.float64)


def _fits(sampler: LineSampler, order: int, width: float) -> list[tuple[Floats, Floats, Floats]]:
    """Value, error and noise of fits of rising degree on one interval."""
    offsets, values = sampler.known()
    inside = np.abs(offsets) <= width * (1 + 1e-12)
    t, y = offsets[inside] / width, values[inside] - sampler.centre
    unit = np.maximum(np.abs(y).max(axis=0), np.finfo(np.float64).tiny)  # squares could overflow
    results: list[tuple[Floats, Floats, Floats]] = []
    for degree in range(order + 1, order + 8, 2):
        freedom = len(t) - degree - 1
        if freedom < 3:
            break
        basis = np.asarray(np.polynomial.chebyshev.chebvander(t, degree), dtype=np.float64)
        inverse = _pseudo_inverse(basis)
        weights = _derivative_at_centre(degree, order) @ inverse / width**order
        coefficients = inverse @ y
        noise = unit * np.sqrt((((y - basis @ coefficients) / unit) ** 2).sum(axis=0) / freedom)
        noise = np.maximum(noise, _rounding(values[inside]))
        error = deviations(freedom) * noise * float(np.linalg.norm(weights))
        results.append((weights @ y, error + _kink(t, y / unit, basis, order) * unit / width**order, noise))
    # What the next degree changes is what this one misses; the last degree has no judge.
    return [
        (value, error + np.abs(value - following[0]), noise)
        for (value, error, noise), following in itertools.pairwise(results)
    ]


def _kink(t: Floats, y: Floats, basis: Floats, order: int) -> Floats:
    """Half the jump of the derivative at the centre, if noise does not explain it: a polynomial averages the sides."""
    kinked = np.column_stack([basis, np.sign(t) ** (order + 1) * np.abs(t) ** order])
    inverse = _pseudo_inverse(kinked)
    freedom = len(t) - kinked.shape[1]
    noise = np.sqrt(((y - kinked @ (inverse @ y)) ** 2).sum(axis=0) / freedom)
    noise = np.maximum(noise, 0.5 * np.finfo(np.float64).eps)
    jump = np.abs(inverse[-1] @ y)
    explained = deviations(freedom) * noise * float(np.linalg.norm(inverse[-1]))
    return np.asarray(math.factorial(order) * np.where(jump > explained, jump, 0.0), dtype=np.float64)


def deviations(freedom: int) -> float:
    """How many standard deviations are claimed, where so many degrees of freedom tell what they are.

    Three, and more where there are few: about the quantiles of Student's distribution for 95 of 100.
    """
    return 3.0 * (1 + 1.2 / freedom + 4 / freedom**2)


def _pseudo_inverse(basis: Floats) -> Floats:
    """By QR, or by singular values where the samples do not determine all coefficients."""
    q, r = np.linalg.qr(basis)
    diagonal = np.abs(np.diag(r))
    if diagonal.min() <= 1e-10 * diagonal.max():
        return np.asarray(np.linalg.pinv(basis, rcond=1e-10), dtype=np.float64)
    return np.asarray(np.linalg.solve(r, q.T), dtype=np.float64)


@cache
def _derivative_at_centre(degree: int, order: int) -> Floats:
    """The derivative at 0 of each Chebyshev polynomial up to `degree`."""
    identity = np.eye(degree + 1)
    return np.array([np.polynomial.chebyshev.chebval(0.0, np.polynomial.chebyshev.chebder(c, order)) for c in identity])


def quiet_half_width(sampler: LineSampler, heights: list[float]) -> float:
    """The largest of the given steps up to which the function varies by no more than its noise.

    The noise is the scatter of the samples at the three smallest steps.
    """
    ascending = sorted(heights)
    smallest = np.array(ascending[:3])
    scatter = sampler(np.concatenate([smallest, -smallest])).std(axis=0, ddof=1)
    quiet = ascending[0]
    for height in ascending:
        variation = np.abs(sampler(np.array([height, -height])) - sampler.centre).max(axis=0)
        if not (variation <= 6 * scatter).all():
            break
        quiet = height
    return quiet
