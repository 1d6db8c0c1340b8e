"""Why a function has no derivative: what samples at shrinking steps must look like for each reason."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric import derivative
from archimedes_grad.numeric.diagnosis import (
    DISCONTINUOUS,
    KINK,
    UNBOUNDED,
    UNDEFINED,
    _discontinuous,
    _grows,
    _kinked,
    diagnose,
    one_sided_slopes,
)
from archimedes_grad.numeric.ladder import Ladder
from archimedes_grad.numeric.sampling import LineSampler

STEPS = 0.5 ** np.arange(16)


def ladder_of(function, order=1, side=0, rungs=range(0, 24, 2), others=()):
    def rows(t):
        return np.array([[*(f(float(s)) for f in others), function(float(s))] for s in t], dtype=float)

    ladder = Ladder(LineSampler(rows, rows([0.0])[0], 0.0), order, 1.0, side)
    with np.errstate(all="ignore"):
        ladder.add(*rungs)
    return ladder


def root(t):
    return math.copysign(abs(t) ** 0.5, t)


REASONS = {
    "smooth": (lambda t: math.sin(t) + 2, 0, ""),
    "a line": (lambda t: 3 * t + 1, 0, ""),
    "a constant": (lambda t: 2.0, 0, ""),
    "a jump": (lambda t: t + (1.0 if t > 0 else 0.0), 0, DISCONTINUOUS),
    "a jump to the left": (lambda t: t + (1.0 if t < 0 else 0.0), 0, DISCONTINUOUS),
    "a jump to the left, seen from the right": (lambda t: t + (1.0 if t < 0 else 0.0), 1, ""),
    "a jump seen from the right": (lambda t: t + (1.0 if t > 0 else 0.0), 1, DISCONTINUOUS),
    "a jump seen from the left": (lambda t: t + (1.0 if t < 0 else 0.0), -1, DISCONTINUOUS),
    "a point off the curve": (lambda t: math.cos(t) if t else 5.0, 0, DISCONTINUOUS),
    "a root": (root, 0, UNBOUNDED),
    "a root on top of a slope": (lambda t: root(t) + 3 * t, 0, UNBOUNDED),
    "a root of the magnitude": (lambda t: abs(t) ** 0.5, 0, UNBOUNDED),
    "a root on the right only": (lambda t: max(t, 0.0) ** 0.5, 0, UNBOUNDED),
    "a root on the left only": (lambda t: max(-t, 0.0) ** 0.5, 0, UNBOUNDED),
    "a root seen from the right": (lambda t: abs(t) ** 0.5, 1, UNBOUNDED),
    "a kink": (lambda t: abs(t) + t, 0, KINK),
    "a kink seen from one side": (lambda t: abs(t) + t, -1, ""),
    "a small kink": (lambda t: 1e-4 * abs(t) + t, 0, KINK),
    "a kink below rounding": (lambda t: 1e-13 * abs(t) + 7.0, 0, ""),
    "hardly defined": (lambda t: 1.0 if abs(t) < 1e-6 else math.nan, 0, UNDEFINED),
}


@pytest.mark.parametrize("case", REASONS)
def test_reasons(case):
    function, side, reason = REASONS[case]
    others = (lambda t: math.nan if t else 0.0, lambda t: 1e300 * abs(t))
    assert diagnose(ladder_of(function, side=side), 0) == reason
    assert diagnose(ladder_of(function, side=side, others=others), 2) == reason


@pytest.mark.parametrize(("count", "reason"), [(2, UNDEFINED), (3, "")])
def test_three_rungs_are_needed(count, reason):
    assert diagnose(ladder_of(math.sin, rungs=range(count)), 0) == reason


@pytest.mark.parametrize(
    ("rise", "rounding", "found"),
    [
        (1.0 + 0 * STEPS, 0.0, True),
        (-1.0 + 0 * STEPS, 0.0, True),
        (STEPS, 0.0, False),
        (1.0 + STEPS, 0.0, True),
        (1e-10 + 0 * STEPS, 1e-12, False),
        (1e-10 + 0 * STEPS, 0.99e-12, True),
        (10.01 + np.array([*[99.0] * 10, 0, 1, 0, 1, 0, 1]) - 0.5, 0.0, True),
        (9.99 + np.array([*[99.0] * 10, 0, 1, 0, 1, 0, 1]) - 0.5, 0.0, False),
        (10.01 + np.array([*[99.0] * 9, 9.0, 0, 1, 0, 1, 0, 1]) - 0.5, 0.0, True),
        (10.01 + np.array([*[0.0] * 10, 5.0, 1, 0, 1, 0, 1]) - 0.5, 0.0, False),
        (np.array([*[1.0] * 10, *[0.0] * 6]), 0.0, True),  # the last steps are lost
        (np.array([*[-1.0] * 6, *[1e-17] * 10]), 0.0, True),
        (np.array([*[1.0] * 5, *[0.0] * 11]), 0.0, False),
        (np.array([*STEPS[:10], *[0.0] * 6]), 0.0, False),
    ],
)
def test_a_side_that_settles_elsewhere_is_a_jump(rise, rounding, found):
    assert _discontinuous([rise], rounding) is found
    assert _discontinuous([STEPS, rise], rounding) is found
    assert _discontinuous([rise, STEPS], rounding) is found


def power(exponent, steps=STEPS):
    return steps ** (exponent - 1.0)


GROWTH = {
    "a root": (power(0.5), STEPS, True),
    "downwards": (-power(0.5), STEPS, True),
    "hardly": (power(0.97), STEPS, True),
    "too little": (power(0.985), STEPS, False),
    "almost a jump": (power(0.03), STEPS, True),
    "a jump": (power(0.015), STEPS, False),
    "a line": (power(1.0), STEPS, False),
    "a cusp that ends": (np.maximum(power(0.5), 20.0)[::-1], STEPS, False),
    "too few steps": (power(0.5, STEPS[:12:4]), STEPS[:12:4], False),
    "just enough steps": (power(0.5, STEPS[[0, 4, 7, 10]]), STEPS[[0, 4, 7, 10]], True),
    "too short": (power(0.5, STEPS[:10]), STEPS[:10], False),
    "just long enough": (power(0.5, STEPS[:11]), STEPS[:11], True),
    "a zero": (np.where(STEPS == 0.25, 0.0, power(0.5)), STEPS, False),
    "the first step is elsewhere": (power(0.5) * np.array([9.0, *[1.0] * 15]), STEPS, True),
    "the second step is elsewhere": (power(0.5) * np.array([1.0, 9.0, *[1.0] * 14]), STEPS, False),
    "unsteady at the end": (power(0.5) * np.array([*[1.0] * 15, 1.1]), STEPS, False),
    "a little unsteady at the end": (power(0.5) * np.array([*[1.0] * 15, 1.05]), STEPS, True),
    "unsteady before the end": (power(0.5) * np.array([*[1.0] * 12, *[1.1] * 4]), STEPS, True),
    "unsteady near the end": (power(0.5) * np.array([*[1.0] * 13, *[1.1] * 3]), STEPS, False),
}


@pytest.mark.parametrize("case", GROWTH)
def test_quotients_that_grow(case):
    slopes, heights, found = GROWTH[case]
    assert _grows(slopes, heights) is found


KINKS = {
    "a kink": ([2.0] * 6, 0.0, True),
    "downwards": ([-2.0] * 6, 0.0, True),
    "none": ([0.0] * 6, 0.0, False),
    "it fades": (STEPS[:6], 0.0, False),
    "few": ([2.0] * 3, 0.0, False),
    "four": ([2.0] * 4, 0.0, True),
    "noise": ([2.0] * 6, 0.021, False),
    "little noise": ([2.0] * 6, 0.019, True),
    "noise at the end": ([2.0] * 8, np.array([0.0] * 4 + [1.0] * 4), True),
    "settled late": ([9.0, 9.0, 2.0, 2.0, 2.0, 2.0], 0.0, True),
    "settled too late": ([9.0, 9.0, 9.0, 2.0, 2.0, 2.0], 0.0, False),
    "nearly settled": ([2.0, 2.0, 2.0, 1.91, 2.0], 0.0, True),
    "not quite settled": ([2.0, 2.0, 2.0, 1.89, 2.0], 0.0, False),
}


@pytest.mark.parametrize("case", KINKS)
def test_slopes_that_stay_apart(case):
    gap, noise, found = KINKS[case]
    gap = np.array(gap)
    left = np.linspace(1.0, 1.5, len(gap))
    assert _kinked(left + gap, left, noise + 0 * gap) is found


def test_one_sided_slopes_are_taken_where_rounding_leaves_them_clear():
    ladder = ladder_of(lambda t: 5 * t * t + (3 * t if t > 0 else 2 * t) + 1, rungs=range(0, 40, 2), others=(abs,))
    left, right = one_sided_slopes(ladder, 1)
    height = min(ladder.height(r) for r in range(0, 40, 2) if ladder.height(r) > 1e-6 * ladder.height(0))
    assert (left, right) == (pytest.approx(2.0 - 5 * height, rel=1e-9), pytest.approx(3.0 + 5 * height, rel=1e-9))
    narrow = ladder_of(lambda t: abs(t) if abs(t) < 0.1 else math.nan, rungs=range(0, 16, 2))
    assert one_sided_slopes(narrow, 0) == (-1.0, 1.0)


@pytest.mark.parametrize("offset", [0.0, 2.0, 1e6])
def test_a_jump_is_seen_where_steps_are_lost_in_what_they_are_added_to(offset):
    def function(t):
        return np.exp(t) + np.floor(t + offset)

    result = derivative(function, 0.0)
    assert (result.success, result.message) == (False, f"x0 = 0.0: {DISCONTINUOUS}")
