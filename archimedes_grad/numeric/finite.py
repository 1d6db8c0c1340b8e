"""Central differences with a step of the caller's, and extrapolation to the limit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.diagnosis import KINK
from archimedes_grad.numeric.extrapolation import extrapolate
from archimedes_grad.numeric.ladder import EPSILON
from archimedes_grad.numeric.results import LineEstimate
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.weights import coefficient_weights, jump_weights

Floats = NDArray[np.float64]

STENCILS = (3, 5, 7, 9)
#: The third step of an error estimate: no half of a half, which could share a multiple of a period with the others.
PROBE = 75 / 256
#: Steps below this part of the argument move it by a few units in its last place, or not at all.
LOST = 4 * EPSILON
#: Levels where the caller leaves their number open.
MOST_LEVELS = 8


def accuracy(num_points: int, order: int) -> int:
    """The power of the step in the leading error of a central stencil."""
    first = 1 if order % 2 else 2
    return first + num_points - 1 - order


def smallest_stencil(order: int) -> int:
    """The fewest points that a derivative of this order needs."""
    return 3 if order <= 2 else 5


def stencil(sampler: LineSampler, order: int, step: float, num_points: int) -> tuple[Floats, Floats]:
    """The difference quotient for one step, and what rounding of the samples can do to it; shape (n_outputs,).

    Both come from the part of f with the parity of the order, which is all that central weights see.
    """
    multiples = tuple(float(j) for j in range(1, (num_points - 1) // 2 + 1))
    heights = step * np.array(multiples)
    rows = sampler(np.concatenate([heights, -heights]))
    above, below = rows[: len(heights)], rows[len(heights) :]
    first = 1 if order % 2 else 2
    parts = (above - below) / 2 if order % 2 else (above - sampler.centre) / 2 + (below - sampler.centre) / 2
    weights = coefficient_weights(multiples, first, 2, order) * math.factorial(order) / np.float64(step) ** order
    size = np.maximum(np.abs(rows).max(axis=0), np.abs(sampler.centre))
    slope = np.abs(above[-1] - below[-1]) / (2 * heights[-1])
    noise = EPSILON * (size + sampler.position * slope)
    return weights @ parts, 2 * noise * float(np.linalg.norm(weights))


def finite_derivative(
    sampler: LineSampler,
    order: int,
    *,
    stepsize: float,
    num_points: int,
    extrapolation: str | None,
    levels: int | None,
    return_error: bool,
) -> LineEstimate:
    """Derivative at offset zero by central differences.

    Without extrapolation the error is estimated only if asked for, from the same stencil with half and about a
    third of the step. With extrapolation, asking for it adds one stencil, of no step of the table, as a check. Where
    the quotients do not approach each other as they should, nothing is claimed.

    Parameters
    ----------
    sampler : LineSampler
        The function along a line.
    order, stepsize, num_points, extrapolation, levels, return_error
        As validated by `options.validate_options`.

    Returns
    -------
    LineEstimate
        Its ``details`` hold the table of an extrapolation.

    References
    ----------
    B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Math. Comp. 51 (1988).
    """
    if extrapolation is None:
        estimate = _one_difference(sampler, order, stepsize, num_points, return_error)
    else:
        estimate = _extrapolated(sampler, order, stepsize, num_points, extrapolation, levels, return_error)
    _refuse(estimate, ~np.isfinite(sampler.centre), "the function is not finite at the point itself")
    if stepsize <= LOST * sampler.position:
        lost = f"the step {stepsize:g} is lost in the rounding of an argument of size {sampler.position:g}"
        _refuse(estimate, np.ones(estimate.value.shape, dtype=np.bool_), lost)
    return estimate


def _extrapolated(
    sampler: LineSampler, order: int, stepsize: float, num_points: int, scheme: str, levels: int | None,
    return_error: bool,
) -> LineEstimate:  # fmt: skip
    power = accuracy(num_points, order)
    table = extrapolate(
        lambda level: stencil(sampler, order, math.ldexp(stepsize, -level), num_points),
        scheme,
        power,
        levels or MOST_LEVELS,
        stop_early=levels is None,
    )
    value, error = table.value, table.error
    good = np.ones(value.shape, dtype=np.bool_)
    message = [f"{scheme} extrapolation over {table.n_levels} levels"] * len(value)
    if return_error or table.n_levels >= 3:
        last = [row[0] for row in table.entries[-3:]]
        smallest = math.ldexp(stepsize, 1 - table.n_levels)
        third, rounding = stencil(sampler, order, 2 * PROBE * smallest if return_error else smallest, num_points)
        quotients = [*last[-2:], third] if return_error else last
        good = _approaching(quotients, power, rounding)
        error = _unresolved(good, error, message, stepsize)
    _look_for_kink(sampler, order, value, error, good, message)
    details = {"steps": table.steps * stepsize, "table": table.entries}
    return _estimate(value, error, _half_width(stepsize, num_points), good, message, details)


def _one_difference(
    sampler: LineSampler, order: int, stepsize: float, num_points: int, return_error: bool
) -> LineEstimate:
    power, width = accuracy(num_points, order), _half_width(stepsize, num_points)
    value, rounding = stencil(sampler, order, stepsize, num_points)
    message = [f"{num_points}-point central difference"] * len(value)
    if not return_error:
        nothing = np.full(value.shape, np.nan)
        return _estimate(value, nothing, width, np.ones(value.shape, dtype=np.bool_), message, {})
    half, _ = stencil(sampler, order, stepsize / 2, num_points)
    third, third_rounding = stencil(sampler, order, PROBE * stepsize, num_points)
    good = _approaching([value, half, third], power, third_rounding)
    change = np.maximum(np.abs(value - half), np.abs(half - third))
    error = _unresolved(good, 1.5 * change / (1 - 0.5**power) + rounding, message, stepsize)
    _look_for_kink(sampler, order, value, error, good, message)
    return _estimate(value, error, width, good, message, {})


def _half_width(stepsize: float, num_points: int) -> float:
    """The largest step of a stencil."""
    return stepsize * (num_points - 1) / 2


def _approaching(quotients: list[Floats], power: int, rounding: Floats) -> NDArray[np.bool_]:
    """Whether halving the step brings the quotients together as a resolved function does.

    It should divide their change by ``2**power``; half of that exponent is asked for.
    """
    first, second, third = quotients
    change, next_change = np.abs(first - second), np.abs(second - third)
    return np.asarray((next_change <= 0.7 * 0.5 ** (power / 2) * change) | (next_change <= 4 * rounding))


def _unresolved(good: NDArray[np.bool_], error: Floats, message: list[str], stepsize: float) -> Floats:
    """The errors, without bound where the quotients do not approach each other."""
    for output in np.flatnonzero(~good):
        message[output] = f"halving the step {stepsize:g} does not bring the difference quotients together"
    return np.where(good, error, np.inf)


def _look_for_kink(
    sampler: LineSampler, order: int, value: Floats, error: Floats, good: NDArray[np.bool_], message: list[str]
) -> None:
    """Add to the error what a term ``|h|**order`` contributes; central differences themselves cannot see it."""
    offsets, _ = sampler.known()
    heights = offsets[offsets > 0][-MOST_LEVELS:]
    if len(heights) < 2:
        return
    above, below = sampler(heights), sampler(-heights)
    other = (above + below) / 2 - sampler.centre if order % 2 else (above - below) / 2
    first = 2 if order % 2 else 1
    relative = tuple(float(h) for h in heights / heights[-1])
    jump = np.abs(jump_weights(relative, first, order) @ other) * math.factorial(order) / heights[-1] ** order
    error += jump
    for output in np.flatnonzero(np.isnan(error) & np.isfinite(value)):
        error[output], good[output] = np.inf, False
        message[output] = "values of the function are too large for an error to be estimated"
    scale = np.maximum(np.abs(value), math.factorial(order) * np.abs(other).max(axis=0) / heights[-1] ** order)
    for output in np.flatnonzero(jump > 0.1 * scale):
        size = max(float(np.abs(above[:, output]).max()), float(np.abs(sampler.centre[output])))
        if good[output] and jump[output] > 100 * EPSILON * size / heights[0] ** order:
            good[output] = False
            message[output] = KINK


def _refuse(estimate: LineEstimate, outputs: NDArray[np.bool_], reason: str) -> None:
    """Give no value for some outputs, and say why."""
    estimate.value[outputs], estimate.error[outputs], estimate.success[outputs] = np.nan, np.inf, False
    for output in np.flatnonzero(outputs):
        estimate.status[output], estimate.message[output] = "failed", reason


def _estimate(
    value: Floats, error: Floats, width: float, good: NDArray[np.bool_], message: list[str], details: dict[str, object]
) -> LineEstimate:
    finite = np.isfinite(value)
    for output in np.flatnonzero(~finite):
        message[output] = "the function is not finite at a point of the stencil"
    good = good & finite
    status = ["converged" if ok else "failed" for ok in good]
    return LineEstimate(value, error, np.full(value.shape, width), good, status, message, details)
