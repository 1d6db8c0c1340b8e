"""Estimates of a derivative from samples on a ladder of steps, about a factor of two apart.

A window of neighbouring rungs gives one extrapolated value. Its error is what its neighbours disagree by,
plus what rounding can do to it; the window with the least error wins. Nothing is differenced twice, and
every rung serves all the windows that it is part of.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.weights import coefficient_weights, jump_weights, prediction_weights

Floats = NDArray[np.float64]

EPSILON = float(np.finfo(np.float64).eps)
SHORTEST_WINDOW = 3
LONGEST_WINDOW = 8
#: Rungs farther apart than this have nothing to say to each other.
WIDEST_GAP = 6

#: Changes are taken to shrink at least by this factor from rung to rung.
SLOWEST_CONVERGENCE = 0.8
#: Steps of the check, relative to rungs. All bits are used: with steps of few bits ``x + h`` is always rounded alike.
CHECK_RATIO = math.sqrt(2.0)
#: How many times the rounding of one evaluation (eps times its size) is claimed.
ROUNDING_SAFETY = 3.0


@cache
def relative_height(rung: int) -> float:
    """The step of a rung in units of that of rung 0: ``2**-rung``, moved by up to a quarter.

    Halved steps share their multiples: where one is near a period of the function, so are all larger
    ones, and a fast oscillation looks like a slow one on every rung. The shifts are multiples of the golden
    section, which has no such relations; ten bits of mantissa keep the steps exact.
    """
    shift = 0.6 * ((rung * 0.6180339887498949) % 1.0 - 0.5)
    return math.ldexp(round(1024 * 2.0**shift) / 1024, -rung)


@lru_cache(maxsize=4096)
def _relative_heights(rungs: tuple[int, ...]) -> tuple[float, ...]:
    """Steps in units of the largest."""
    return tuple(relative_height(r) / relative_height(rungs[0]) for r in rungs)


@dataclass
class Window:
    """What neighbouring rungs say, one entry per output of the function.

    ``value`` is the derivative, ``change`` the largest distance to the values of the two shorter
    windows, ``jump`` the size of a kink, ``amplification`` the factor from the noise of one sample to the
    noise of the value, ``rounding`` the part of the error that rounding of the samples explains.
    """

    rungs: tuple[int, ...]
    heights: Floats
    value: Floats
    change: Floats
    jump: Floats
    amplification: float
    rounding: Floats

    @property
    def error(self) -> Floats:
        """The claimed bound."""
        return np.maximum(self.change, self.jump) + self.rounding


class Ladder:
    """Samples at ``x0 ± h0 * relative_height(rung)`` and the estimates that they allow.

    Parameters
    ----------
    sampler : LineSampler
        Where samples come from.
    order : int
        Order of the derivative, 1 to 4.
    step : float
        ``h0``, the step of rung 0.
    side : int
        0 for differences about the centre, +1 or -1 for one side only.
    """

    def __init__(self, sampler: LineSampler, order: int, step: float, side: int = 0) -> None:
        self.sampler = sampler
        self.order = order
        self.step = step
        self.side = side
        self.rungs: list[int] = []
        self._same: dict[int, Floats] = {}  # the part of f with the parity of `order`
        self._other: dict[int, Floats] = {}  # the rest
        self._size: dict[int, Floats] = {}
        self._values: dict[tuple[int, ...], Floats] = {}
        self._windows: dict[tuple[int, ...], Window] = {}

    def height(self, rung: int) -> float:
        """The step of a rung."""
        return self.step * relative_height(rung)

    def add(self, *rungs: int) -> None:
        """Sample the rungs that are not there yet."""
        new = [r for r in rungs if r not in self._same]
        if not new:
            return
        same, other, size = self._parts(np.array([self.height(r) for r in new]))
        for index, rung in enumerate(new):
            self._same[rung], self._other[rung], self._size[rung] = same[index], other[index], size[index]
        self.rungs = sorted(self._same)

    def _parts(self, heights: Floats) -> tuple[Floats, Floats, Floats]:
        """The parts of f - f(x0) with the parity of the order and with the other, and the size of f.

        On one side there is one part only, and it is all of f - f(x0).
        """
        centre = self.sampler.centre
        if self.side:
            rows = self.sampler(self.side * heights)
            return rows - centre, np.zeros_like(rows), np.maximum(np.abs(rows), np.abs(centre))
        rows = self.sampler(np.concatenate([heights, -heights]))
        above, below = rows[: len(heights)], rows[len(heights) :]
        odd = (above - below) / 2
        even = (above - centre) / 2 + (below - centre) / 2
        size = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(centre))
        return (odd, even, size) if self.order % 2 else (even, odd, size)

    def defined(self, rung: int) -> NDArray[np.bool_]:
        """Whether the samples of a rung are finite, per output."""
        return np.isfinite(self._same[rung])

    def part(self, rung: int) -> Floats:
        """The part of f at a rung that has the parity of the order."""
        return self._same[rung]

    def size(self, rung: int) -> Floats:
        """The largest magnitude of f at a rung."""
        return self._size[rung]

    def windows(self) -> list[Window]:
        """All windows of 3 to 8 neighbouring rungs (one side: up to 12), new ones computed, old ones reused."""
        longest = LONGEST_WINDOW + 4 * abs(self.side)
        found = []
        for start in range(len(self.rungs)):
            for stop in range(start + self._shortest, min(start + longest, len(self.rungs)) + 1):
                rungs = tuple(self.rungs[start:stop])
                if max(b - a for a, b in itertools.pairwise(rungs)) > WIDEST_GAP:
                    break
                if rungs not in self._windows:
                    self._windows[rungs] = self._window(rungs)
                found.append(self._windows[rungs])
        return found

    def check(self, rungs: tuple[int, ...]) -> Floats:
        """How far new samples are from where a window predicts them, in units of one sample's noise.

        The samples lie between the smallest steps of the window, at steps that are no part of the ladder.
        They have had no say in choosing the window, so they judge it fairly: root mean square of shape (n_outputs,).
        """
        first, step = self._powers()
        heights = np.array([self.height(r) for r in rungs])
        residuals = []
        for new in (heights[-1] * CHECK_RATIO, heights[-2] * CHECK_RATIO):
            same, other, _ = self._parts(np.array([new]))
            parts = [(same[0], self._same, first)]
            if not self.side:
                parts.append((other[0], self._other, 3 - first))
            for part, known, lowest in parts:
                weights = prediction_weights(heights / heights[0], new / heights[0], lowest, step)
                residual = part - weights @ np.array([known[r] for r in rungs])
                variance = (1 + float(weights @ weights)) * (1.0 if self.side else 0.5)
                residuals.append(np.abs(residual) / math.sqrt(variance))
        largest = np.max(residuals, axis=0)
        unit = np.where(largest > 0, largest, 1.0)  # squares of large residuals would overflow
        return np.asarray(unit * np.sqrt(np.mean((np.array(residuals) / unit) ** 2, axis=0)))

    def densest_windows(self) -> list[Window]:
        """The shortest windows of rungs without gaps, from the largest steps to the smallest."""
        shortest = self._shortest
        return [w for w in self.windows() if len(w.rungs) == shortest and w.rungs[-1] - w.rungs[0] == shortest - 1]

    def smallest_window(self, above: int = 0) -> Window | None:
        """The window of the smallest steps, or of those `above` rungs up; None if they are not neighbours."""
        stop = len(self.rungs) - above
        rungs = tuple(self.rungs[stop - self._shortest : stop]) if stop >= self._shortest else ()
        if not rungs or rungs[-1] - rungs[0] != self._shortest - 1:
            return None
        return self._windows.get(rungs)

    @property
    def _shortest(self) -> int:
        """Rungs that the shorter windows need to reach the order, and one more."""
        first, step = self._powers()
        return max(SHORTEST_WINDOW, (self.order - first) // step + 2)

    def _powers(self) -> tuple[int, int]:
        if self.side:
            return 1, 1
        return (1, 2) if self.order % 2 else (2, 2)

    def _weights(self, rungs: tuple[int, ...]) -> Floats:
        """Weights of the parts, for rungs counted from the first."""
        first, step = self._powers()
        return coefficient_weights(_relative_heights(rungs), first, step, self.order)

    def _scale(self, rung: int) -> float:
        return math.factorial(self.order) * float(self.side or 1) ** self.order / self.height(rung) ** self.order

    def _value(self, rungs: tuple[int, ...]) -> Floats:
        if rungs not in self._values:
            parts = np.array([self._same[r] for r in rungs])
            self._values[rungs] = self._scale(rungs[0]) * (self._weights(rungs) @ parts)
        return self._values[rungs]

    def _window(self, rungs: tuple[int, ...]) -> Window:
        value = self._value(rungs)
        without_finest = self._remainder(rungs, np.abs(value - self._value(rungs[:-1])))
        without_coarsest = np.abs(value - self._value(rungs[1:]))
        jump = self._jump(rungs)
        change = np.maximum(without_finest, without_coarsest)
        # The two samples of a rung are independent and halved; one-sided samples share the centre.
        spread = 1.0 if self.side else math.sqrt(0.5)
        amplification = spread * abs(self._scale(rungs[0])) * float(np.linalg.norm(self._weights(rungs)))
        size = np.max([self._size[r] for r in rungs], axis=0)
        odd = self._same if self.order % 2 or self.side else self._other
        slope = np.abs(odd[rungs[0]]) / self.height(rungs[0])
        noise = EPSILON * (size + 0.5 * self.sampler.position * slope)
        heights = np.array([self.height(r) for r in rungs])
        return Window(rungs, heights, value, change, jump, amplification, ROUNDING_SAFETY * amplification * noise)

    def _remainder(self, rungs: tuple[int, ...], change: Floats) -> Floats:
        """What changes of this size still add up to.

        Nothing, where convergence is fast; where each rung gains little, as with ``x**1.5`` at zero, the sum
        of a geometric series.
        """
        if len(rungs) == self._shortest:
            return change
        previous = np.abs(self._value(rungs[:-1]) - self._value(rungs[:-2]))
        ratio = np.divide(change, previous, out=np.zeros_like(change), where=previous > 0)
        return np.asarray(change / (1 - np.minimum(ratio, SLOWEST_CONVERGENCE)))

    def _jump(self, rungs: tuple[int, ...]) -> Floats:
        """Size of a term of the wrong parity: zero for smooth functions, a kink otherwise."""
        others = np.array([self._other[r] for r in rungs])
        if self.side:
            return np.asarray(others[0], dtype=np.float64)
        first = 2 if self.order % 2 else 1
        jump = self._scale(rungs[0]) * (jump_weights(_relative_heights(rungs), first, self.order) @ others)
        return np.asarray(np.abs(jump), dtype=np.float64)
