"""What ``adaptive`` does with what a search found: sides, checks, doubts, explanations and fits."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric import adaptive
from archimedes_grad.numeric.adaptive import (
    CHECK_SAFETY,
    HUGE,
    _check,
    _doubtful,
    _explain,
    _fit,
    _sides_to_try,
    _try_side,
    adaptive_derivative,
)
from archimedes_grad.numeric.diagnosis import DISCONTINUOUS, KINK, UNBOUNDED
from archimedes_grad.numeric.ladder import Ladder
from archimedes_grad.numeric.noise import NoisyFinding
from archimedes_grad.numeric.results import LineEstimate
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.search import LOST, Finding


def sampler_of(*functions, position=0.0):
    def rows(t):
        return np.array([[f(float(s)) for f in functions] for s in t], dtype=float)

    return LineSampler(rows, rows([0.0])[0], position)


def ladder_of(*functions, order=1, side=0, rungs=(0, 1, 2, 3), step=0.5, position=0.0):
    ladder = Ladder(sampler_of(*functions, position=position), order, step, side)
    with np.errstate(all="ignore"):
        ladder.add(*rungs)
        ladder.windows()
    return ladder


def finding_of(error, rounding=0.0, scale=1.0, amplification=1.0, window=(0, 1, 2), value=1.0):
    count = len(np.atleast_1d(error))

    def array(number):
        return np.array(np.broadcast_to(np.array(number, dtype=float), (count,)))

    windows = window if isinstance(window, list) else [window] * count
    return Finding(array(value), array(error), array(rounding), array(scale), array(amplification), windows)


def estimate_of(finding):
    count = len(finding.value)
    return LineEstimate(
        finding.value.copy(),
        finding.error.copy(),
        np.zeros(count),
        np.ones(count, bool),
        ["converged"] * count,
        ["agreed"] * count,
    )


def left_of(place):
    return lambda t: 1.0 * t if t <= place else math.nan


SIDES = {
    # functions, relative errors of their derivatives, the sides to try
    "defined on both": ([lambda t: t], [1.0], []),
    "undefined to the left": ([lambda t: t if t >= 0 else math.nan], [1.0], [1]),
    "undefined to the right": ([left_of(0.0)], [1.0], [-1]),
    "well known all the same": ([left_of(0.0)], [1e-9], []),
    "hardly known": ([left_of(0.0)], [1.1e-9], [-1]),
    "not a number": ([left_of(0.0)], [math.nan], [-1]),
    "one of two": ([left_of(0.0), lambda t: t], [1e-9, 1.0], [-1]),
    "undefined to the right, far": ([left_of(0.3)], [1.0], [-1]),
    "different sides": ([left_of(0.0), lambda t: t if t >= 0 else math.nan], [1.0, 1.0], []),
    "undefined near by": ([lambda t: t if t == 0 else math.nan], [1.0], []),
}


@pytest.mark.parametrize("case", SIDES)
def test_sides_that_are_tried_alone(case):
    functions, errors, sides = SIDES[case]
    ladder = ladder_of(*functions)
    assert _sides_to_try(ladder, finding_of(np.array(errors) * 2, value=-2.0)) == sides


@pytest.mark.parametrize(("side", "name"), [(1, "right"), (-1, "left")])
def test_a_side_is_kept_for_what_it_does_better(side, name):
    ladder = Ladder(sampler_of(math.sin, lambda t: math.sin(2 * t)), 1, 0.25, side)
    finding = finding_of([1.0, 1e-30], value=7.0)
    estimate, ladders, findings = estimate_of(finding), ["central"] * 2, ["found"] * 2
    _try_side(ladder, estimate, ladders, findings)
    assert estimate.status == ["one-sided", "converged"]
    assert name in estimate.message[0]
    assert (estimate.value[0], estimate.value[1]) == (pytest.approx(1.0, abs=1e-6), 7.0)
    assert estimate.error[0] < 1e-6
    assert estimate.error[1] == 1e-30
    assert estimate.step.tolist() == [ladder.height(findings[0].coarsest[0]), 0.0]
    assert ladders == [ladder, "central"]
    assert findings[1] == "found"
    assert findings[0].error[0] == estimate.error[0]


class CheckedLadder:
    """A ladder whose checks give the noise that it is told."""

    def __init__(self, noise, side=0):
        self.noise, self.side, self.checked = np.array(noise), side, []

    def check(self, window):
        self.checked.append(window)
        return self.noise


def test_errors_are_raised_by_the_noise_that_new_samples_show():
    ladder = CheckedLadder([1e-3, 1e-3, 1e-9, math.nan])
    finding = finding_of([1e-2] * 4, [1e-3, 1.0, 1e-3, 1e-3], amplification=[2.0, 2.0, 2.0, 2.0])
    estimate = estimate_of(finding_of([0.5] * 4))
    _check([ladder] * 4, [finding] * 4, estimate)
    measured = CHECK_SAFETY * 1e-3 * 2.0
    np.testing.assert_allclose(finding.error, [1e-2 + measured - 1e-3, 1e-2, 1e-2, 1e-2])
    np.testing.assert_array_equal(estimate.error, finding.error)
    assert ladder.checked == [(0, 1, 2)]


def test_what_is_lost_is_not_checked():
    ladder = CheckedLadder([1.0, 1.0, 1.0])
    finding = finding_of([LOST, LOST * 1.01, math.nan])
    estimate = estimate_of(finding)
    _check([ladder] * 3, [finding] * 3, estimate)
    assert finding.error[0] > 1
    np.testing.assert_array_equal(finding.error[1:], [LOST * 1.01, math.nan])


def test_large_groups_are_checked_first_and_few_at_all():
    windows = [(0, 1, 2)] * 3 + [(1, 2, 3)] + [(2, 3, 4)] * 2 + [(3, 4, 5)] + [(4, 5, 6)] * 4 + [(5, 6, 7)]
    ladder = CheckedLadder([0.0] * len(windows))
    finding = finding_of([1e-3] * len(windows), window=windows)
    _check([ladder] * len(windows), [finding] * len(windows), estimate_of(finding))
    assert ladder.checked == [(4, 5, 6), (0, 1, 2), (2, 3, 4), (1, 2, 3)]


def test_each_side_is_checked_by_itself():
    ladders = [CheckedLadder([1e-3] * 3), CheckedLadder([1e-3] * 3, side=1), CheckedLadder([1e-3] * 3, side=1)]
    findings = [finding_of([1e-3] * 3) for _ in ladders]
    _check(ladders, findings, estimate_of(findings[0]))
    assert [len(ladder.checked) for ladder in ladders] == [1, 1, 0]


@pytest.mark.parametrize(
    ("error", "rounding", "doubtful"),
    [(1e-11, 0.0, False), (1.1e-11, 0.0, True), (4e-9, 1e-9, False), (4.1e-9, 1e-9, True), (math.nan, 1.0, True)],
)
def test_doubt_is_what_rounding_does_not_explain(error, rounding, doubtful):
    assert _doubtful(ladder_of(lambda t: 0.0, lambda t: t), finding_of([0.0, error], rounding), 1) is doubtful


EXPLAINED = {
    # function, order, relative error found: reason, value, error
    "smooth": (math.sin, 1, 1.0, "agreed", 1.0, 1.0),
    "a kink": (lambda t: abs(t) + t, 1, 1.0, KINK, 1.0, 2 * 0.51),
    "a kink that seems resolved": (lambda t: abs(t) + t, 1, 1e-3, KINK, 1.0, 2 * 0.51),
    "a jump": (lambda t: float(t > 0), 1, 1.0, DISCONTINUOUS, math.nan, math.inf),
    "a jump that seems resolved": (lambda t: float(t > 0), 1, 1e-3, "agreed", 1.0, 1e-3),
    "a jump just resolved": (lambda t: float(t > 0), 1, LOST, "agreed", 1.0, LOST),
    "upwards": (lambda t: math.copysign(abs(t) ** 0.5, t), 1, 1.0, UNBOUNDED, math.inf, math.inf),
    "downwards": (lambda t: -math.copysign(abs(t) ** 0.5, t), 1, 1.0, UNBOUNDED, -math.inf, math.inf),
    "up and down": (lambda t: abs(t) ** 0.5, 1, 1.0, UNBOUNDED, math.nan, math.inf),
    "flat on one side": (lambda t: max(t, 0.0) ** 0.5, 1, 1.0, UNBOUNDED, math.nan, math.inf),
    "a kink of order 2": (lambda t: abs(t) + t, 2, 1.0, KINK, math.nan, math.inf),
    "upwards, of order 2": (lambda t: math.copysign(abs(t) ** 0.5, t), 2, 1.0, UNBOUNDED, math.nan, math.inf),
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_explanations(case):
    function, order, error, reason, value, claimed = EXPLAINED[case]
    ladder = ladder_of(math.sin, function, order=order, rungs=range(0, 30, 2))
    finding = finding_of([0.0, error])
    estimate = estimate_of(finding)
    _explain(ladder, finding, estimate, 1)
    failed = reason != "agreed"
    assert (estimate.status[1], estimate.success[1], estimate.message[1]) == (
        "failed" if failed else "converged",
        not failed,
        reason,
    )
    assert estimate.value[1] == pytest.approx(value, rel=1e-6, nan_ok=True)
    assert estimate.error[1] == pytest.approx(claimed, rel=1e-6)
    assert (estimate.status[0], estimate.value[0]) == ("converged", 1.0)


def test_an_unbounded_derivative_of_one_side():
    ladder = ladder_of(lambda t: -(t**0.5) if t >= 0 else math.nan, side=1, rungs=range(0, 30, 2))
    estimate = estimate_of(finding_of([1.0]))
    _explain(ladder, finding_of([1.0]), estimate, 0)
    assert estimate.value[0] == -np.inf


class FittedNoise:
    """Stands for `fit_noisy`: what it gives, and what it was asked."""

    def __init__(self, monkeypatch, error, scatter=1e-3):
        self.found = NoisyFinding(np.array([5.0, 6.0]), np.array(error), np.array([scatter, 2 * scatter]))
        monkeypatch.setattr(adaptive, "fit_noisy", self)

    def __call__(self, sampler, order, half_width, widest):
        self.asked = order, half_width, widest
        return self.found


def test_fits_replace_what_they_know_better(monkeypatch):
    fitted = FittedNoise(monkeypatch, [0.1, 0.1])
    ladder = ladder_of(lambda t: t, lambda t: t, order=2, position=3.0)
    finding = finding_of([0.01, 0.2], amplification=10.0, window=[(0, 1, 2), (1, 2, 3)])
    estimate = estimate_of(finding)
    _fit(ladder.sampler, [ladder] * 2, [finding] * 2, estimate, [0, 1], np.zeros(2))
    np.testing.assert_allclose(estimate.error, [0.01 + CHECK_SAFETY * 1e-3 * 10, 0.1])
    assert estimate.value.tolist() == [1.0, 6.0]
    assert estimate.status == ["noisy", "noisy"]
    assert "1.0e-03" in estimate.message[0]
    assert "2.0e-03" in estimate.message[1]
    assert fitted.asked[0] == 2


@pytest.mark.parametrize(
    ("position", "error", "window", "half_width", "widest"),
    [
        (100.0, 0.01, (1, 2, 3), 2, 50.0),  # the rung in the middle of the window
        (0.0, 0.01, (0, 1, 2, 3), 1, None),  # at least eight first steps
        (0.0, 0.06, (1, 2, 3), 0, None),  # lost: as far as the function varies by its noise only
    ],
)
def test_where_fits_begin_and_end(monkeypatch, position, error, window, half_width, widest):
    fitted = FittedNoise(monkeypatch, [1.0, 1.0])
    ladder = ladder_of(lambda t: 0.0, lambda t: 0.0, position=position)
    finding = finding_of([error, error], window=window)
    estimate = estimate_of(finding)
    _fit(ladder.sampler, [ladder] * 2, [finding] * 2, estimate, [1], np.zeros(2))
    assert fitted.asked == (1, ladder.height(half_width), widest or 8 * ladder.height(0))
    assert estimate.status == ["converged", "noisy"]


def test_the_narrowest_of_several_beginnings_is_taken(monkeypatch):
    fitted = FittedNoise(monkeypatch, [1.0, 1.0])
    ladder = ladder_of(lambda t: t, lambda t: t)
    finding = finding_of([0.01, 0.01], window=[(0, 1, 2), (1, 2, 3)])
    _fit(ladder.sampler, [ladder] * 2, [finding] * 2, estimate_of(finding), [0, 1], np.zeros(2))
    assert fitted.asked[1] == ladder.height(2)


def test_fits_begin_beyond_the_pieces_of_noise(monkeypatch):
    """Within a piece a function does not scatter, and what a search found there is no longer claimed."""
    fitted = FittedNoise(monkeypatch, [1.0, 1.0])
    ladder = ladder_of(lambda t: 0.0, lambda t: 0.0)
    finding = finding_of([1e-9, 1e-9], window=(1, 2, 3))
    estimate = estimate_of(finding)
    _fit(ladder.sampler, [ladder] * 2, [finding] * 2, estimate, [1], np.array([0.0, ladder.height(1)]))
    assert fitted.asked[1] == ladder.height(0)
    assert (estimate.value.tolist(), estimate.error.tolist()) == ([1.0, 6.0], [1e-9, 1.0])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_huge_values_are_scaled_down(factor):
    sampler = sampler_of(lambda t: factor * HUGE * math.exp(t), lambda t: t, position=1.0)
    with np.errstate(all="ignore"):
        found = adaptive_derivative(sampler, 1)
    assert found.value[0] == pytest.approx(factor * HUGE, rel=1e-9)
    assert abs(found.value[0] - factor * HUGE) <= found.error[0] < 1e-8 * HUGE
    assert found.value[1] == pytest.approx(1.0, rel=1e-6)


def test_a_given_step_is_where_the_search_begins():
    for step in (0.5, 0.01):
        sampler = sampler_of(math.sin)
        adaptive_derivative(sampler, 1, step)
        assert Ladder(sampler, 1, step).height(0) in sampler.known()[0]
