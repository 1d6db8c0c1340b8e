"""The derivative of a function of which nothing is known, with an error that can be trusted.

The search on a ladder of steps does most functions. Where one side of the point is outside the domain, the
other side is tried alone; where the function is noisy, a fit replaces differences; where there is no
derivative, the reason is given instead of a number to believe in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.continuity import continues, piece_of_noise, resolved_closer
from archimedes_grad.numeric.diagnosis import KINK, UNBOUNDED, UNDEFINED, UNRESOLVED, diagnose, one_sided_slopes
from archimedes_grad.numeric.ladder import Ladder
from archimedes_grad.numeric.noise import fit_noisy, quiet_half_width
from archimedes_grad.numeric.results import LineEstimate
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.search import LOST, Finding, first_step, goal_of, largest_step, search

Floats = NDArray[np.float64]

#: Windows that are checked by samples of their own, largest groups of outputs first.
MOST_CHECKS = 4
#: How many times the noise found by a check is claimed; it rests on four residuals.
CHECK_SAFETY = 4.0
#: Values beyond this are scaled down: sums of them could overflow.
HUGE = 2.0**960
#: Above this relative error, one side alone is tried where the other is undefined.
POOR = 1e-9


def adaptive_derivative(sampler: LineSampler, order: int, step: float | None = None) -> LineEstimate:
    """Derivative of the sampled function at offset zero.

    Parameters
    ----------
    sampler : LineSampler
        The function along a line.
    order : int
        1 to 4.
    step : float, optional
        A step to begin with; by default one from the position.

    Returns
    -------
    LineEstimate
        Status is ``"converged"``, ``"one-sided"``, ``"noisy"`` or ``"failed"``.

    References
    ----------
    C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4 (1982), for
    judging extrapolations by their neighbours.
    """
    # An infinite value stays one, scaled or not.
    if (np.isfinite(sampler.centre) & (np.abs(sampler.centre) > HUGE)).any():
        return _scaled_down(sampler, order, step)
    start = min(first_step(sampler.position), largest_step(order)) if step is None else step
    central = Ladder(sampler, order, start)
    finding = search(central)
    shape = sampler.centre.shape[0]
    estimate = LineEstimate(
        finding.value,
        finding.error,
        np.array([central.height(r) for r in finding.coarsest]),
        np.ones(shape, dtype=np.bool_),
        ["converged"] * shape,
        ["neighbouring extrapolations agree"] * shape,
    )
    estimate.details["windows"] = [(w.heights, w.value, w.error) for w in central.windows()]
    ladders = [central] * shape
    findings = [finding] * shape
    for side in _sides_to_try(central, finding):
        _try_side(Ladder(sampler, order, start, side), estimate, ladders, findings)
    pieces = np.array([piece_of_noise(ladders[i], findings[i], i) for i in range(shape)])
    _check(ladders, findings, estimate)
    doubtful = [i for i in range(shape) if not pieces[i] and _doubtful(ladders[i], findings[i], i)]
    for output in doubtful:
        _explain(ladders[output], findings[output], estimate, output)
    noisy = [i for i in doubtful if estimate.success[i] and not _taken_closer(ladders[i], findings[i], estimate, i)]
    noisy.extend(np.flatnonzero(pieces).tolist())
    if noisy and np.isfinite(sampler.centre).all():
        _fit(sampler, ladders, findings, estimate, noisy, pieces)
    for output in range(shape):
        if estimate.success[output] and not np.isfinite(estimate.error[output]):
            _fail(estimate, output, UNRESOLVED if np.isfinite(estimate.value[output]) else UNDEFINED)
    return estimate


def _scaled_down(sampler: LineSampler, order: int, step: float | None) -> LineEstimate:
    """The derivative of a function whose values leave no room for weighted sums of them."""
    unit = 1 / HUGE
    small = LineSampler(
        lambda offsets: unit * sampler(offsets), unit * sampler.centre, sampler.position, sampler.lower, sampler.upper
    )
    estimate = adaptive_derivative(small, order, step)
    estimate.value, estimate.error = estimate.value / unit, estimate.error / unit
    return estimate


def _sides_to_try(central: Ladder, finding: Finding) -> list[int]:
    """Sides to use alone: those that are defined where the other is not, if the result needs it."""
    poor = ~(finding.error <= POOR * np.abs(finding.value))
    undefined = [r for r in central.rungs if not central.defined(r).all()]
    if not poor.any() or not undefined:
        return []
    sides = []
    for side in (1, -1):
        heights = np.array([side * central.height(r) for r in undefined])
        if np.isfinite(central.sampler(heights)).all(axis=1).any():
            sides.append(side)
    return sides


def _try_side(ladder: Ladder, estimate: LineEstimate, ladders: list[Ladder], findings: list[Finding]) -> None:
    finding = search(ladder)
    name = "right" if ladder.side > 0 else "left"
    for output in np.flatnonzero(finding.error < estimate.error):
        estimate.value[output] = finding.value[output]
        estimate.error[output] = finding.error[output]
        estimate.step[output] = ladder.height(finding.coarsest[output])
        estimate.status[output] = "one-sided"
        estimate.message[output] = f"the function is not defined on both sides: derivative from the {name}"
        ladders[output], findings[output] = ladder, finding


def _check(ladders: list[Ladder], findings: list[Finding], estimate: LineEstimate) -> None:
    """Raise errors by the noise that samples outside the chosen windows show."""
    groups: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for output, (ladder, finding) in enumerate(zip(ladders, findings, strict=True)):
        if finding.error[output] <= LOST * finding.scale[output]:
            groups.setdefault((ladder.side, finding.window[output]), []).append(output)
    for (_, window), outputs in sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_CHECKS]:
        noise = ladders[outputs[0]].check(window)
        for output in outputs:
            _count_noise(findings[output], output, float(noise[output]))
            estimate.error[output] = findings[output].error[output]


def _count_noise(finding: Finding, output: int, noise: float) -> None:
    measured = CHECK_SAFETY * noise * finding.amplification[output]
    if measured > finding.rounding[output]:
        finding.error[output] += measured - finding.rounding[output]


def _taken_closer(ladder: Ladder, finding: Finding, estimate: LineEstimate, output: int) -> bool:
    """Whether much smaller steps resolve what scatters; what they give is taken then."""
    found = resolved_closer(ladder, finding, output)
    if found is None:
        return False
    fine, closer = found
    _count_noise(closer, output, float(fine.check(closer.window[output])[output]))
    error, distance = closer.error[output], abs(closer.value[output] - finding.value[output])
    if not error < max(finding.error[output], distance / 2) or not continues(fine, closer, ladder, output):
        return False
    estimate.value[output], estimate.error[output] = closer.value[output], closer.error[output]
    estimate.step[output] = fine.height(closer.coarsest[output])
    return True


def _doubtful(ladder: Ladder, finding: Finding, output: int) -> bool:
    """Whether more than rounding limits the result, or all that smaller steps say."""
    enough = max(float(goal_of(ladder, finding)[output]), 4 * float(finding.rounding[output]))
    finer = [w for w in ladder.densest_windows() if w.rungs[0] > finding.finest[output]]
    scattering = bool(finer) and all(w.change[output] > 30 * w.rounding[output] for w in finer)
    return scattering or not finding.error[output] <= enough


def _explain(ladder: Ladder, finding: Finding, estimate: LineEstimate, output: int) -> None:
    """Mark an output as failed if its samples show that there is no derivative."""
    reason = diagnose(ladder, output)
    resolved = finding.error[output] <= LOST * finding.scale[output]
    if not reason or (resolved and reason != KINK):
        return
    _fail(estimate, output, reason)
    if reason == KINK and ladder.order == 1:
        left, right = one_sided_slopes(ladder, output)
        estimate.value[output] = (left + right) / 2
        estimate.error[output] = abs(right - left) * 0.51
    elif reason == UNBOUNDED and ladder.order == 1:
        left, right = one_sided_slopes(ladder, output)
        slopes = [s for s in (left, right) if np.isfinite(s)]
        alike = min(slopes) > 0 or max(slopes) < 0
        estimate.value[output] = np.copysign(np.inf, slopes[0]) if alike else np.nan
        estimate.error[output] = np.inf
    else:
        estimate.value[output], estimate.error[output] = np.nan, np.inf


def _fail(estimate: LineEstimate, output: int, reason: str) -> None:
    estimate.success[output] = False
    estimate.status[output] = "failed"
    estimate.message[output] = reason


def _fit(
    sampler: LineSampler,
    ladders: list[Ladder],
    findings: list[Finding],
    estimate: LineEstimate,
    outputs: list[int],
    pieces: Floats,
) -> None:
    """Replace the results of noisy outputs by fits, or raise their errors to what the noise explains.

    Steps within a piece of noise, of the lengths given, show nothing.
    """
    widths = []
    for output in outputs:
        ladder, finding = ladders[output], findings[output]
        if finding.error[output] <= LOST * finding.scale[output] and not pieces[output]:
            widths.append(ladder.height((finding.coarsest[output] + finding.finest[output]) // 2))
        else:
            heights = {r: ladder.height(r) for r in ladder.rungs}
            defined = [h for r, h in heights.items() if ladder.defined(r).all() and h > pieces[output]]
            widths.append(quiet_half_width(sampler, defined))
    widest = max(sampler.position / 2, 8 * ladders[0].height(0))
    fit = fit_noisy(sampler, ladders[0].order, min(widths), widest)
    for output in outputs:
        finding = findings[output]
        claimed = finding.error[output] + CHECK_SAFETY * fit.scatter[output] * finding.amplification[output]
        claimed = np.inf if pieces[output] else claimed
        estimate.error[output] = claimed
        if fit.error[output] < claimed:
            estimate.value[output], estimate.error[output] = fit.value[output], fit.error[output]
        estimate.status[output] = "noisy"
        estimate.message[output] = f"the function is noisy: close samples scatter by {fit.scatter[output]:.1e}"
