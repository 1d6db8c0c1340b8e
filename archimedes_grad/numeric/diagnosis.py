"""Why a function has no derivative at a point: read from its samples at shrinking steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.ladder import EPSILON, Ladder

Floats = NDArray[np.float64]

DISCONTINUOUS = "the function jumps here"
KINK = "the function has a kink here: its one-sided derivatives differ"
UNBOUNDED = "difference quotients grow without bound as the step shrinks"
UNRESOLVED = "the function varies faster than any step resolves"
UNDEFINED = "the function has no finite values next to this point"


def one_sided_slopes(ladder: Ladder, output: int) -> tuple[float, float]:
    """The derivatives from the left and from the right, at the smallest steps that rounding leaves clear."""
    rungs = [r for r in ladder.rungs if ladder.defined(r)[output]]
    centre = float(ladder.sampler.centre[output])
    enough = [r for r in rungs if ladder.height(r) > 1e-6 * ladder.height(rungs[0])]
    height = ladder.height(enough[-1])
    above, below = ladder.sampler(np.array([height, -height]))[:, output]
    return (centre - float(below)) / height, (float(above) - centre) / height


def diagnose(ladder: Ladder, output: int) -> str:
    """The reason why one output of a function seems to have no derivative; empty if none is seen.

    Parameters
    ----------
    ladder : Ladder
        A ladder that has been taken to small steps.
    output : int
        The output in question.
    """
    rungs = [r for r in ladder.rungs if ladder.defined(r)[output]]
    if len(rungs) < 3:
        return UNDEFINED
    heights = np.array([ladder.height(r) for r in rungs])
    centre = float(ladder.sampler.centre[output])
    rounding = 8 * EPSILON * float(max(ladder.size(r)[output] for r in rungs))
    sides = [ladder.side] if ladder.side else [1, -1]
    rises = [ladder.sampler(side * heights)[:, output] - centre for side in sides]
    if _discontinuous(rises, rounding):
        return DISCONTINUOUS
    slopes = [side * rise / heights for side, rise in zip(sides, rises, strict=True)]
    clear = [rounding / heights < 0.01 * np.abs(slope).max(initial=0) for slope in slopes]
    if any(_grows(slope[ok], heights[ok]) for slope, ok in zip(slopes, clear, strict=True)):
        return UNBOUNDED
    if len(slopes) == 2 and _kinked(slopes[0], slopes[1], rounding / heights):
        return KINK
    return ""


def _discontinuous(rises: list[Floats], rounding: float) -> bool:
    """Whether a side settles, as the step shrinks, at a value other than the centre's.

    At the end steps may be so small that they are lost in what the function adds them to.
    """
    for rise in rises:
        clear = np.flatnonzero(np.abs(rise) > 1e-8 * np.abs(rise).max())
        last = rise[clear[-1] - 5 : clear[-1] + 1] if clear.size and clear[-1] >= 5 else rise[-6:]
        if abs(last.mean()) > 10 * np.ptp(last) + 100 * rounding:
            return True
    return False


def _grows(slopes: Floats, heights: Floats) -> bool:
    """Whether quotients grow steadily, by a power of the step, over at least 2**10."""
    if len(slopes) < 4 or heights[0] / heights[-1] < 2**10 or not slopes.all():
        return False
    growth = np.diff(np.log(np.abs(slopes))) / -np.diff(np.log(heights))
    return bool((growth[1:] > 0.02).all() and (growth[1:] < 0.98).all() and np.ptp(growth[-3:]) < 0.1)


def _kinked(right: Floats, left: Floats, noise: Floats) -> bool:
    """Whether the one-sided slopes settle at different values."""
    gap = right - left
    clear = noise < 0.01 * np.abs(gap)
    gap = gap[clear]
    return len(gap) >= 4 and bool(np.ptp(gap[-4:]) < 0.05 * abs(gap[-1]))
