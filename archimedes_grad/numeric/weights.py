"""Weights that turn samples into derivatives: exact on the terms of a power series."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@lru_cache(maxsize=4096)
def coefficient_weights(heights: tuple[float, ...], first: int, step: int, power: int) -> Floats:
    """Weights w with ``w @ s = c[power]`` for ``s(h) = sum_i c[first + step*i] * h**(first + step*i)``.

    The samples are taken at the given steps h, and there are as many terms as steps. This
    is Richardson extrapolation to the limit, written as one set of weights: the coefficients of the
    Lagrange polynomials in ``z = h**step``.

    References
    ----------
    L. F. Richardson, J. A. Gaunt, "The deferred approach to the limit", Phil. Trans. R. Soc. A 226 (1927).
    """
    h = np.array(heights)
    z = h**step
    index = (power - first) // step
    weights = np.empty_like(h)
    for j in range(len(h)):
        others = z[np.arange(len(z)) != j]
        lagrange = np.atleast_1d(np.poly(others))[::-1] / np.prod(z[j] - others)
        weights[j] = lagrange[index] / h[j] ** first
    return weights


@lru_cache(maxsize=4096)
def jump_weights(heights: tuple[float, ...], first: int, power: int) -> Floats:
    """Weights for a term ``|h|**power`` that a smooth function does not have.

    The samples are of the parity opposite to `power`, with terms ``first, first + 2, ...``; one term of
    the wrong parity is added. For a smooth function its coefficient is zero; for a kink it is half the
    jump of the derivative of order `power`. The largest height is 1, so that all rows are scaled alike.
    """
    powers = [power, *range(first, first + 2 * (len(heights) - 1), 2)]
    h = np.array(heights)
    matrix = h[None, :] ** np.array(powers, dtype=np.float64)[:, None]
    unit = np.zeros(len(heights))
    unit[0] = 1.0
    return np.asarray(np.linalg.solve(matrix, unit), dtype=np.float64)


def prediction_weights(heights: Floats, new: float, first: int, step: int) -> Floats:
    """Weights w with ``w @ s(heights) = s(new)`` for ``s(h) = sum_i c[i] * h**(first + step*i)``."""
    z, target = heights**step, new**step
    weights = np.empty_like(heights)
    for j in range(len(heights)):
        others = z[np.arange(len(z)) != j]
        weights[j] = np.prod((target - others) / (z[j] - others)) * (new / heights[j]) ** first
    return weights
