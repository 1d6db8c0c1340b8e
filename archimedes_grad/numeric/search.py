"""The search for the steps at which a function is resolved and rounding does least harm.

From a first guess it goes to smaller steps while the function is not resolved, and to larger ones while
rounding is what limits the result; it stops where neither helps. What is claimed is what the samples show:
neighbouring extrapolations must agree, with each other and with those of smaller steps, the function must
have no kink, and rounding of its own values is always counted.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.ladder import EPSILON, Ladder, Window

Floats = NDArray[np.float64]

#: Relative error at which the search is content.
GOAL = 1e-11
#: A result whose error exceeds this part of its scale has no correct digit.
LOST = 0.05
#: Rungs that a search may add in all.
MOST_RUNGS = 40


@dataclass
class Finding:
    """The best window of each output. All arrays have shape (n_outputs,)."""

    value: Floats
    error: Floats
    rounding: Floats
    scale: Floats
    amplification: Floats
    window: list[tuple[int, ...]]

    @property
    def coarsest(self) -> list[int]:
        """The rung of the largest step of each window; 0 if there is no window."""
        return [w[0] if w else 0 for w in self.window]

    @property
    def finest(self) -> list[int]:
        """The rung of the smallest step of each window; 0 if there is no window."""
        return [w[-1] if w else 0 for w in self.window]


def largest_step(order: int) -> float:
    """The largest step whose power of the order is far from overflow; its inverse is the smallest."""
    return 2.0 ** (830 // order)


def smallest_step(ladder: Ladder) -> float:
    """The smallest step that rounding of the argument leaves, and whose powers do not vanish."""
    return max(64 * EPSILON * ladder.sampler.position, 1 / largest_step(ladder.order))


def first_step(position: float) -> float:
    """A step to begin with, for a point at `position`.

    A tenth of the argument; less at large arguments, where functions seldom stretch with it. A power
    of two: the heights of the rungs above it have few bits, so that ``x ± h`` is exact.
    """
    size = abs(position)
    if size < 1e-10:
        guess = 0.05
    elif size <= 1.0:
        guess = 0.1 * size
    else:
        guess = 0.1 * math.sqrt(size)
    return math.ldexp(1.0, round(math.log2(guess)))


def best(ladder: Ladder) -> Finding:
    """The window with the least error, for each output."""
    shape = ladder.sampler.centre.shape
    windows = ladder.windows()
    if not windows:
        unknown = np.full(shape, np.inf)
        return Finding(np.full(shape, np.nan), unknown, unknown, unknown, unknown, [()] * shape[0])
    errors = np.array([w.error for w in windows])
    errors = _agreed(windows, errors)
    chosen = np.argmin(errors, axis=0)
    columns = np.arange(shape[0])

    def pick(table: list[Floats]) -> Floats:
        return np.asarray(np.array(table)[chosen, columns], dtype=np.float64)

    scale = pick([_scale(ladder, w) for w in windows])
    amplification = np.array([w.amplification for w in windows])[chosen]
    value, rounding = pick([w.value for w in windows]), pick([w.rounding for w in windows])
    return Finding(value, errors[chosen, columns], rounding, scale, amplification, [windows[i].rungs for i in chosen])


def _agreed(windows: list[Window], errors: Floats) -> Floats:
    """Errors raised until every window agrees with what all windows of smaller steps claim.

    Large steps can agree with each other and be wrong together, by skipping over the wiggles of a
    periodic function; smaller steps tell. But samples that scatter agree by chance, too: where one window is in doubt,
    those of its steps and larger ones have samples that scatter as much.
    """
    errors = np.where(np.isfinite(errors), errors, np.inf)
    values = np.array([w.value for w in windows])
    starts = np.array([w.rungs[0] for w in windows])
    amplifications = np.array([w.amplification for w in windows])[:, None]
    scatter = np.nan_to_num(np.array([w.change for w in windows]) / amplifications, nan=0.0, posinf=0.0)
    largest = np.maximum.accumulate(scatter[::-1])[::-1]  # of the window and those of smaller steps
    claimed = np.maximum(errors, largest * amplifications)
    agreed = errors.copy()
    for index in range(len(windows)):
        finer = starts > starts[index]
        if finer.any():
            excess = np.abs(values[finer] - values[index]) - claimed[finer]
            excess = np.nan_to_num(excess, nan=0.0, neginf=0.0).max(axis=0)
            agreed[index] = np.maximum(errors[index], excess)
    return agreed


def _scale(ladder: Ladder, window: Window) -> Floats:
    """What a derivative of this order would be if the function used all its variation for it."""
    height = ladder.height(window.rungs[0])
    variation = np.abs(ladder.part(window.rungs[0]))
    return np.maximum(np.abs(window.value), variation / height**ladder.order)


def search(ladder: Ladder, first: int = 0) -> Finding:
    """Add rungs, beginning with three from the first one, until no direction promises less error."""
    ladder.add(first, first + 1, first + 2)
    leap = 4
    while True:
        finding = best(ladder)
        step = _next_rungs(ladder, finding, leap)
        if not step or len(ladder.rungs) + len(step) > MOST_RUNGS:
            return finding
        if step[0] - ladder.rungs[-1] > 1 or len(step) == 3:
            leap *= 2
        ladder.add(*step)


def goal_of(ladder: Ladder, finding: Finding) -> Floats:
    """The error at which each output needs no further search."""
    size = np.array([ladder.size(r) for r in ladder.rungs])
    size = np.nanmax(np.where(np.isfinite(size), size, 0.0), axis=0)
    width = np.float64(max(ladder.sampler.position, 1.0))  # whose powers may be infinite
    vanishing = np.where(np.abs(finding.value) <= finding.error, 64 * EPSILON * size / width**ladder.order, 0.0)
    return GOAL * np.abs(finding.value) + vanishing


def _next_rungs(ladder: Ladder, finding: Finding, leap: int) -> tuple[int, ...]:
    """The rungs to add for the output that needs it most, or none."""
    goal = goal_of(ladder, finding)
    need = finding.error / np.where(goal > 0, goal, np.finfo(float).tiny)
    need[~np.isfinite(need)] = np.inf
    for output in np.argsort(-need):
        rungs = _rungs_for(ladder, finding, int(output), float(goal[output]), leap)
        if rungs:
            return rungs
    return ()


def _rungs_for(ladder: Ladder, finding: Finding, output: int, goal: float, leap: int) -> tuple[int, ...]:
    error, rounding = finding.error[output], finding.rounding[output]
    coarsest, finest = finding.coarsest[output], finding.finest[output]
    lost = not error <= max(LOST * finding.scale[output], goal)
    rounding_rules = np.isfinite(error) and error <= 4 * rounding
    if rounding_rules:
        return () if error <= goal else _wider(ladder, coarsest, error / goal, leap)
    if lost:
        return _much_narrower(ladder, output, leap) or _between(ladder, output)
    if finest == ladder.rungs[-1]:
        return _narrower(ladder, 1)
    gap = [r for r in range(coarsest, finest) if r not in ladder.rungs]
    # Smaller steps have been tried and are worse: noise beyond rounding rules, so try larger ones.
    return tuple(gap[-2:]) or (_wider(ladder, coarsest, error / goal, leap) if error > goal else ())


def _wider(ladder: Ladder, coarsest: int, excess: float, leap: int) -> tuple[int, ...]:
    """Rungs above `coarsest`, farther up the more the rounding error exceeds what is wanted."""
    reach = max(1, min(leap, math.ceil(math.log2(min(excess, 1e300)))))
    known = [r for r in ladder.rungs if r < coarsest]
    if known:
        reach = min(reach, (coarsest - known[-1]) // 2)
    target = coarsest - reach
    if reach == 0 or ladder.height(target) > largest_step(ladder.order):
        return ()
    return (target,) if reach <= 2 else (target, target + 1, target + 2)


def _much_narrower(ladder: Ladder, output: int, leap: int) -> tuple[int, ...]:
    """Rungs a leap below the lowest; a single one to begin with where the function is undefined."""
    last = ladder.rungs[-1]
    if not ladder.defined(last)[output]:
        return _narrower(ladder, leap)[:1]
    if last - 1 not in ladder.rungs:
        return (last + 1, last + 2)
    return _narrower(ladder, 1 if _promising(ladder, output) else leap)


def _between(ladder: Ladder, output: int) -> tuple[int, ...]:
    """Rungs half way between steps at which the function is not resolved and smaller ones that rounding spoils."""
    for coarse, fine in itertools.pairwise(ladder.densest_windows()):
        gap = fine.rungs[0] - coarse.rungs[-1]
        if gap > 3 and not _spoilt(coarse, output) and _spoilt(fine, output):
            middle = coarse.rungs[-1] + gap // 2
            return (middle - 1, middle, middle + 1)
    return ()


def _spoilt(window: Window, output: int) -> bool:
    return bool(window.error[output] <= 4 * window.rounding[output])


def _promising(ladder: Ladder, output: int) -> bool:
    """Whether the smallest steps begin to agree, so that the next rung is worth more than a leap."""
    last, before = ladder.smallest_window(), ladder.smallest_window(above=1)
    if last is None or not last.change[output] <= 0.5 * abs(last.value[output]):
        return False
    return before is None or bool(last.jump[output] <= 0.6 * before.jump[output])


def _narrower(ladder: Ladder, leap: int) -> tuple[int, ...]:
    """Rungs below the lowest, if rounding of the argument leaves room for them."""
    last = ladder.rungs[-1]
    room = math.floor(math.log2(ladder.height(last) / smallest_step(ladder)))
    if room < 3:
        return ()
    leap = min(leap, room - 2)
    return (last + 1,) if leap == 1 else tuple(range(last + leap, last + leap + 3))
