"""Whether what a function does beyond small steps is a ripple or noise: noise jumps, on either side.

A slope that only small steps show is that of the function if it is continuous up to larger ones, however fast it
varies there. Values that are rounded somewhere on their way lie on pieces of curves, with jumps between them: the slope
of a piece is none of the function's.
"""

from __future__ import annotations

import math

import numpy as np

from archimedes_grad.numeric.ladder import EPSILON, Ladder
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.search import LOST, Finding, best, search, smallest_step

#: Jumps of more than this part of the function's size are its own.
LARGEST_NOISE = 0.05
#: A window whose extrapolations change by less than this part is on its way to those of smaller steps.
APPROACHING = 1e-3
#: Where a piece is divided. All bits are used: with steps of few bits ``x + h`` is always rounded alike.
GOLDEN = (math.sqrt(5.0) - 1) / 2
#: A piece as long as a resolved step is divided until it is as many times shorter.
SHRINKING = 4096


def piece_of_noise(ladder: Ladder, finding: Finding, output: int) -> float:
    """The length of the piece that a result rests on, if there is noise all around it; else 0.

    Smooth functions that only small steps resolve are approached by those a little larger. Where
    these say something else altogether, the function is looked at for jumps between.
    """
    value, scale, coarsest = finding.value[output], finding.scale[output], finding.coarsest[output]
    if value == 0 or not finding.error[output] <= LOST * scale:
        return 0.0
    windows = ladder.densest_windows()
    if not any(abs(w.value[output] - value) > LOST * scale for w in windows if w.rungs[0] < coarsest):
        return 0.0
    for window in windows:
        least = max(30 * window.rounding[output], abs(window.value[output] - value) / 2)
        if least < window.change[output] <= APPROACHING * scale:
            return 0.0
    jump = _jump_beyond(ladder, finding, output, [r for r in ladder.rungs if r < coarsest])
    size = max(ladder.size(r)[output] for r in (coarsest, finding.finest[output]))
    return ladder.height(coarsest) if 0 < jump <= LARGEST_NOISE * size else 0.0


def resolved_closer(ladder: Ladder, finding: Finding, output: int) -> tuple[Ladder, Finding] | None:
    """A search that begins at the smallest steps whose rounding leaves room for a better result; None if that fails.

    Noise scatters there as it does anywhere; ripples, and functions with a kink near by, are smooth.
    """
    last = ladder.rungs[-1]
    error, size = finding.error[output], ladder.size(last)[output]
    if not np.isfinite([error, size]).all():
        return None
    # Rounding is an eighth of the error there.
    step = (24 * math.factorial(ladder.order) * EPSILON * size / error) ** (1 / ladder.order)
    first = math.floor(math.log2(ladder.step / max(step, 4 * smallest_step(ladder))))
    if first <= last:
        return None
    fine = Ladder(ladder.sampler, ladder.order, ladder.step, ladder.side)
    fine.add(first, first + 1, first + 2)
    nearest = best(fine)
    if not nearest.error[output] <= max(error, LOST * nearest.scale[output]):
        return None
    return fine, search(fine, first)


def continues(fine: Ladder, finding: Finding, ladder: Ladder, output: int) -> bool:
    """Whether what a finding resolves continues to the steps of another ladder without jumps."""
    return not _jump_beyond(fine, finding, output, ladder.rungs)


def _jump_beyond(ladder: Ladder, finding: Finding, output: int, rungs: list[int]) -> float:
    """The smaller of the jumps on either side beyond the steps of a finding; 0 if a side has none."""
    sampler, coarsest = ladder.sampler, finding.coarsest[output]
    known = {*ladder.rungs, *rungs}
    heights = [ladder.height(r) for r in sorted(known, reverse=True) if r <= coarsest]
    smallest = ladder.height(finding.finest[output])
    centre, above, below = (float(row[output]) for row in sampler(np.array([0.0, smallest, -smallest])))
    slope = {0: (above - below) / 2, 1: above - centre, -1: centre - below}[ladder.side] / smallest
    sides = [ladder.side] if ladder.side else [1, -1]
    jump = math.inf
    for side in sides:
        jump = min(jump, _jump(sampler, output, slope, heights, side)) if jump else 0.0
    return jump


def _jump(sampler: LineSampler, output: int, slope: float, heights: list[float], side: int) -> float:
    """The size of a jump on one side, by halving the first piece that departs from the line of the smallest steps."""

    def departure(some: list[float]) -> list[float]:
        offsets = side * np.array(some)
        return list(sampler(offsets)[:, output] - sampler.centre[output] - slope * offsets)

    departures = departure(heights)
    size = abs(float(sampler.centre[output])) + np.abs(departures) + abs(slope) * np.array(heights)
    rounding = 16 * EPSILON * np.nan_to_num(size, nan=0.0, posinf=0.0)
    gaps = np.nan_to_num(np.abs(np.diff(departures)), nan=0.0, posinf=0.0)
    departing = gaps > np.minimum(gaps.max(initial=0.0) / 4, np.abs(slope) * np.diff(heights) / 2) + rounding[1:]
    if not departing.any():
        return 0.0
    first = int(np.argmax(departing))
    (low, high), (at_low, at_high) = heights[first : first + 2], departures[first : first + 2]
    resolved = heights[0]
    gap, length = abs(at_high - at_low), high - low
    while high - low > max(resolved / SHRINKING, 4 * EPSILON * max(sampler.position, high)):
        if high - low > resolved:
            gap, length = abs(at_high - at_low), high - low
        middle = low + GOLDEN * (high - low)
        (at_middle,) = departure([middle])
        if abs(at_middle - at_low) >= abs(at_high - at_middle):
            high, at_high = middle, at_middle
        else:
            low, at_low = middle, at_middle
    # What is continuous shrinks as its piece does; a jump stays, beside others that may be lost with their parts.
    left = float(abs(at_high - at_low))
    return left if left > max(rounding[first + 1], ((high - low) / length) ** 0.4 * gap) else 0.0
