"""Derivatives by a polynomial fitted to samples on nodes that the caller chooses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.ladder import EPSILON
from archimedes_grad.numeric.noise import deviations
from archimedes_grad.numeric.results import LineEstimate
from archimedes_grad.numeric.sampling import LineSampler

Floats = NDArray[np.float64]

DEFAULT_NODES = 10
DEFAULT_FLOOR = 1e-3
AUTO_PART = 0.02
#: A fit whose samples scatter by more than this part of their range describes them badly.
WORST_SCATTER = 0.05


def half_width(position: float, spacing: float | str | None, base_abs: float | None) -> float:
    """The half-width of the sampled interval.

    ``"auto"`` is 2 % of the argument and ``"p%"`` p % of it, neither less than `base_abs` (1e-3 by default);
    a number is taken as it is.
    """
    if isinstance(spacing, float):
        return spacing
    part = AUTO_PART if spacing in (None, "auto") else float(str(spacing).removesuffix("%")) / 100
    return max(part * abs(position), DEFAULT_FLOOR if base_abs is None else base_abs)


def nodes(position: float, options: dict[str, Any], lower: float, upper: float) -> Floats:
    """Offsets of the samples, without the centre.

    Chebyshev nodes of the first kind on the part of ``[-H, H]`` between `lower` and `upper`, or the
    caller's grid.

    Raises
    ------
    ValueError
        If the caller's grid leaves the domain.
    """
    if options["grid"] is not None:
        kind, numbers = options["grid"]
        offsets = np.array(numbers) - (position if kind == "absolute" else 0.0)
        if ((offsets < lower) | (offsets > upper)).any():
            raise ValueError(f"grid leaves the domain [{position + lower:g}, {position + upper:g}]")
        return np.unique(offsets[offsets != 0.0])
    width = half_width(position, options["spacing"], options["base_abs"])
    low, high = max(-width, lower), min(width, upper)
    count = options["n_points"] or DEFAULT_NODES
    chebyshev = np.cos(np.pi * (2 * np.arange(count)[::-1] + 1) / (2 * count))
    offsets = (low + high) / 2 + (high - low) / 2 * chebyshev
    return np.asarray(offsets[np.abs(offsets) > 1e-14 * width])


def fit_derivative(sampler: LineSampler, order: int, position: float, options: dict[str, Any]) -> LineEstimate:
    """Derivative at offset zero of the best polynomial through samples on the chosen nodes.

    The degree is the one with the least claimed error: the scatter about the fit as it enters the
    derivative, plus what the next higher degree changes.

    Parameters
    ----------
    sampler : LineSampler
        The function along a line.
    order : int
        Order of the derivative.
    position : float
        The argument at offset zero.
    options : dict
        As returned by `options.validate_options` for ``"adaptive"``.

    Returns
    -------
    LineEstimate
        Its ``details`` hold samples, fit and residual.

    Raises
    ------
    ValueError
        If there are too few nodes for the order.
    """
    offsets = np.union1d(nodes(position, options, sampler.lower, sampler.upper), [0.0])
    if len(offsets) < order + 2:
        raise ValueError(f"order {order} needs at least {order + 1} nodes beside the centre, not {len(offsets) - 1}")
    values = sampler(offsets)
    shape = sampler.centre.shape[0]
    width = float(np.abs(offsets).max())
    if not np.isfinite(values).all():
        reason = "the function is not finite at a node of the fit: give a narrower spacing or a domain"
        value, error, step = (np.full(shape, number) for number in (np.nan, np.inf, width))
        return LineEstimate(value, error, step, np.zeros(shape, bool), ["failed"] * shape, [reason] * shape)
    t, y = offsets / width, values - sampler.centre
    # Two samples more than coefficients, if there are as many: a fit without residual has nothing to judge it.
    degrees = range(order, max(order + 1, min(len(t) - 3, order + 10)) + 1)
    judges = range(degrees.stop, min(degrees.stop + 2, len(t)))
    fits = [_fit(t, y, degree, order, options["ridge"] or 0.0) for degree in (*degrees, *judges)]
    rounding = EPSILON * np.abs(values).max(axis=0)
    errors = _errors(fits, rounding)[: len(degrees)]
    chosen = np.argmin(errors, axis=0)
    columns = np.arange(shape)
    chosen_value = np.array([fit.value for fit in fits])[chosen, columns]
    chosen_error = errors[chosen, columns]
    scatter = np.array([fit.scatter for fit in fits])[chosen, columns]
    good = (scatter <= WORST_SCATTER * np.ptp(y, axis=0) + 10 * rounding) & (len(fits) > 2)
    scale = math.factorial(order) / np.float64(width) ** order  # whose powers may be infinite
    residuals = np.column_stack([fits[index].residual[:, i] for i, index in enumerate(chosen)])
    chosen_degree = [degrees[index] for index in chosen]
    details = {"offsets": offsets, "values": values, "degree": chosen_degree, "residual": residuals}
    return LineEstimate(
        chosen_value * scale,
        chosen_error * scale,
        np.full(shape, width),
        good,
        ["converged" if ok else "failed" for ok in good],
        [_message(degree, len(t), order, bool(ok)) for degree, ok in zip(chosen_degree, good, strict=True)],
        details,
    )


def _message(degree: int, count: int, order: int, good: bool) -> str:
    if good:
        return f"polynomial of degree {degree} fitted to {count} samples"
    if count < order + 3:
        return f"{count} samples leave none to judge a fit of order {order} by: give at least {order + 2} nodes"
    return f"no polynomial fits the {count} samples: a kink, a jump or noise, or too wide a spacing"


@dataclass
class _Fit:
    """Coefficient of ``t**order``, residual, and the weights of the samples in that coefficient."""

    value: Floats
    residual: Floats
    weights: Floats
    freedom: int

    @property
    def scatter(self) -> Floats:
        """Standard deviation of the samples about the fit."""
        largest = np.abs(self.residual).max(axis=0)
        unit = np.where(largest > 0, largest, 1.0)  # squares could overflow or vanish
        return np.asarray(unit * np.sqrt(((self.residual / unit) ** 2).sum(axis=0) / max(self.freedom, 1)))


def _errors(fits: list[_Fit], rounding: Floats) -> Floats:
    """The claimed error of each fit, shape (n_fits, n_outputs).

    A fit is judged by the next two degrees, or, where there are not both, by the two before: of an even or odd function
    one of the two changes nothing, so that without a second nothing is known.
    """
    errors = []
    for index, fit in enumerate(fits):
        others = fits[index + 1 : index + 3]
        others = others if len(others) == 2 else fits[max(index - 2, 0) : index]
        unjudged = np.full_like(fit.value, 0.0 if len(others) == 2 else np.inf)
        change = np.max([unjudged, *(np.abs(fit.value - other.value) for other in others)], axis=0)
        spread = float(np.linalg.norm(fit.weights))
        errors.append(spread * (deviations(max(fit.freedom, 1)) * fit.scatter + 2 * rounding) + change)
    return np.array(errors)


def _fit(t: Floats, y: Floats, degree: int, order: int, ridge: float) -> _Fit:
    """Fit one degree.

    Chebyshev polynomials keep the fit well conditioned; `ridge` penalises their coefficients beyond the order.
    """
    basis = np.polynomial.chebyshev.chebvander(t, degree)
    penalty = math.sqrt(ridge) * np.diag((np.arange(degree + 1) > order).astype(np.float64))
    inverse = np.linalg.pinv(np.vstack([basis, penalty]))[:, : len(t)] if ridge else np.linalg.pinv(basis)
    powers = np.array([_power_coefficient(index, order) for index in range(degree + 1)])
    weights = powers @ inverse
    return _Fit(weights @ y, y - basis @ (inverse @ y), weights, len(t) - degree - 1)


def _power_coefficient(index: int, power: int) -> float:
    """The coefficient of ``t**power`` in the Chebyshev polynomial of this index."""
    coefficients = np.polynomial.chebyshev.cheb2poly(np.eye(index + 1)[index])
    return float(coefficients[power]) if power < len(coefficients) else 0.0
