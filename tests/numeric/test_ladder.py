"""The ladder of steps: which samples it takes, which windows it has, what each of them says."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from archimedes_grad.numeric.ladder import CHECK_RATIO, EPSILON, ROUNDING_SAFETY, Ladder, relative_height
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.weights import coefficient_weights, jump_weights, prediction_weights


def sampler_of(*functions, position=0.0):
    def rows(t):
        return np.column_stack([np.array([f(float(s)) for s in t]) for f in functions])

    return LineSampler(rows, np.array([f(0.0) for f in functions], dtype=float), position)


def ladder_of(*functions, order=1, step=0.5, side=0, rungs=(0, 1, 2, 3), position=0.0):
    ladder = Ladder(sampler_of(*functions, position=position), order, step, side)
    ladder.add(*rungs)
    return ladder


def exponential(t):
    return math.exp(0.7 * t) + 2.0


def window_of(ladder, rungs):
    return next(w for w in ladder.windows() if w.rungs == rungs)


def test_steps_fall_by_about_a_half_and_are_no_multiples_of_each_other():
    heights = np.array([relative_height(r) for r in range(-20, 60)])
    ratios = heights[1:] / heights[:-1]
    assert relative_height(0) == round(1024 * 2**-0.3) / 1024
    assert ((ratios > 0.35) & (ratios < 0.65)).all()
    assert (np.abs(np.log2(heights) + np.arange(-20, 60)) <= 0.301).all()
    mantissas = np.frexp(heights)[0] * 2048
    assert (mantissas == np.round(mantissas)).all()
    # As even as a golden section: three gaps between the shifts of any number of rungs, none small.
    shifts = np.sort(np.log2(heights[:34]) + np.arange(-20, 14))
    assert np.diff(shifts).min() > 0.6 / 34 / 3
    assert np.diff(shifts).max() < 0.6 / 34 * 3


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [0, 1, -1])
def test_parts_of_a_function(order, side):
    ladder = ladder_of(exponential, order=order, side=side, rungs=(3,))
    h = ladder.height(3)
    assert h == 0.5 * relative_height(3)
    even = (exponential(h) + exponential(-h)) / 2 - exponential(0.0)
    odd = (exponential(h) - exponential(-h)) / 2
    same, other = (odd, even) if order % 2 else (even, odd)
    size = max(exponential(h), exponential(-h), exponential(0.0))
    if side:
        same, other, size = exponential(side * h) - exponential(0.0), 0.0, max(exponential(side * h), exponential(0.0))
    np.testing.assert_allclose(ladder.part(3), same, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(ladder._other[3], other, rtol=1e-13, atol=1e-15)
    assert ladder.size(3) == size


@pytest.mark.parametrize("side", [0, 1, -1])
def test_the_size_is_the_largest_magnitude(side):
    for function in (lambda t: -5.0 + t, lambda t: 3.0 - 10 * t * t, lambda t: 9 * t):
        ladder = ladder_of(function, side=side, rungs=(0,))
        h = ladder.height(0)
        points = (0.0, h, -h) if side == 0 else (0.0, side * h)
        assert ladder.size(0) == max(abs(function(t)) for t in points)


def test_samples_are_taken_once_and_rungs_are_in_order():
    ladder = ladder_of(exponential, rungs=(5, 2))
    before = ladder.sampler.n_evaluations
    ladder.add(2, 5)
    assert (ladder.rungs, ladder.sampler.n_evaluations, before) == ([2, 5], 4, 4)
    ladder.add(2, 3)
    assert (ladder.rungs, ladder.sampler.n_evaluations) == ([2, 3, 5], 6)


@pytest.mark.parametrize(
    ("order", "side", "shortest"),
    [(1, 0, 3), (2, 0, 3), (3, 0, 3), (4, 0, 3), (1, 1, 3), (2, 1, 3), (3, -1, 4), (4, 1, 5)],
)
def test_windows_are_all_neighbours_from_the_shortest_to_the_longest(order, side, shortest):
    rungs = tuple(range(16))
    longest = 12 if side else 8
    found = {w.rungs for w in ladder_of(exponential, order=order, side=side, rungs=rungs).windows()}
    expected = {rungs[a : a + n] for n in range(shortest, longest + 1) for a in range(len(rungs) - n + 1)}
    assert found == expected


def test_windows_do_not_reach_over_wide_gaps():
    ladder = ladder_of(exponential, rungs=(0, 1, 2, 8, 9, 10, 17, 18, 19))
    found = {w.rungs for w in ladder.windows()}
    assert (0, 1, 2, 8, 9, 10) in found
    assert not any(10 in w and 17 in w for w in found)
    assert (17, 18, 19) in found


def test_windows_are_kept():
    ladder = ladder_of(exponential)
    assert all(a is b for a, b in zip(ladder.windows(), ladder.windows(), strict=True))


CASES = [(order, side) for order in (1, 2, 3, 4) for side in (0, 1, -1)]


@pytest.mark.parametrize(("order", "side"), CASES)
def test_a_window_extrapolates_to_the_limit(order, side):
    """The value is the derivative of the polynomial through the samples, ``change`` its farther neighbour."""
    rungs = (2, 3, 4, 5, 6)
    ladder = ladder_of(exponential, order=order, side=side, rungs=rungs)
    window = window_of(ladder, rungs)

    def interpolated(some):
        heights = np.array([ladder.height(r) for r in some])
        first, step = (1, 1) if side else ((1, 2) if order % 2 else (2, 2))
        powers = first + step * np.arange(len(some))
        rows = np.array([ladder.part(r)[0] for r in some])
        coefficients = np.linalg.solve((heights[:, None] / heights[0]) ** powers, rows)
        k = list(powers).index(order)
        return math.factorial(order) * coefficients[k] / heights[0] ** order * (side or 1) ** order

    np.testing.assert_allclose(window.value, interpolated(rungs), rtol=1e-7)
    np.testing.assert_array_equal(window.heights, [ladder.height(r) for r in rungs])
    without_finest = abs(interpolated(rungs) - interpolated(rungs[:-1]))
    if len(rungs) > ladder._shortest:
        ratio = without_finest / abs(interpolated(rungs[:-1]) - interpolated(rungs[:-2]))
        without_finest /= 1 - min(ratio, 0.8)
    change = max(without_finest, abs(interpolated(rungs) - interpolated(rungs[1:])))
    np.testing.assert_allclose(window.change, change, rtol=1e-3, atol=1e-10)
    assert window.error == max(window.change, window.jump) + window.rounding


@pytest.mark.parametrize("shrink", [0.1, 0.5, 0.7, 0.9])
def test_slow_convergence_is_summed_as_a_geometric_series(shrink):
    ladder = Ladder(SimpleNamespace(), 1, 1.0)
    values = {(0, 1): 7.0, (0, 1, 2): 7.0 + 1.0, (0, 1, 2, 3): 7.0 + 1.0 + shrink}
    ladder._values = {rungs: np.array([v]) for rungs, v in values.items()}
    change = np.array([shrink])
    np.testing.assert_allclose(ladder._remainder((0, 1, 2, 3), change), shrink / (1 - min(shrink, 0.8)))
    np.testing.assert_array_equal(ladder._remainder((0, 1, 2), change), change)
    ladder._values[0, 1, 2] = np.array([7.0])
    np.testing.assert_array_equal(ladder._remainder((0, 1, 2, 3), change), change)


@pytest.mark.parametrize(("order", "side"), CASES)
def test_the_amplification_is_that_of_independent_noise(order, side):
    """The value is linear in the samples: noise of one enters it as much as its coefficient."""
    rungs = (1, 2, 3, 4)
    if side and order == 4:
        rungs = (1, 2, 3, 4, 5)
    template = ladder_of(exponential, order=order, side=side, rungs=rungs)
    points = [s * template.height(r) for r in rungs for s in ((1, -1) if side == 0 else (side,))]
    coefficients = [
        window_of(ladder_of(lambda t, p=p: float(t == p), order=order, side=side, rungs=rungs), rungs).value[0]
        for p in points
    ]
    np.testing.assert_allclose(window_of(template, rungs).amplification, np.linalg.norm(coefficients), rtol=1e-12)


@pytest.mark.parametrize(("order", "side"), CASES)
@pytest.mark.parametrize("position", [0.0, 1e3])
def test_rounding_is_that_of_the_values_and_of_the_argument(order, side, position):
    rungs = (1, 2, 3, 4, 5)
    window = window_of(ladder_of(exponential, order=order, side=side, rungs=rungs, position=position), rungs)
    h = 0.5 * relative_height(1)
    slope = (exponential(h) - exponential(-h)) / (2 * h) if side == 0 else (exponential(h * side) - 3.0) / (h * side)
    size = exponential(h) if side >= 0 else 3.0
    noise = EPSILON * (size + position * slope / 2)
    np.testing.assert_allclose(window.rounding, ROUNDING_SAFETY * window.amplification * noise, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_kink_is_a_jump_of_the_derivative(order):
    rungs = (1, 2, 3, 4)
    smooth = window_of(ladder_of(exponential, order=order, rungs=rungs), rungs)
    kinked = window_of(
        ladder_of(lambda t: exponential(t) + abs(t) ** order * np.sign(t) ** (order + 1), order=order, rungs=rungs),
        rungs,
    )
    assert smooth.jump < 1e-3
    assert kinked.jump == pytest.approx(math.factorial(order), abs=1e-3)


def test_one_side_sees_no_kink():
    window = window_of(ladder_of(abs, side=-1), (0, 1, 2, 3))
    assert (window.jump, window.value) == (0.0, pytest.approx(-1.0))


@pytest.mark.parametrize(("order", "side"), CASES)
def test_the_check_compares_new_samples_with_what_a_window_predicts(order, side):
    def function(t):
        return math.cos(25 * t) + math.sin(24 * t)

    rungs = (1, 2, 3, 4, 5)
    ladder = ladder_of(function, lambda t: t, order=order, side=side, rungs=rungs)
    heights = np.array([ladder.height(r) for r in rungs])

    def part(t, odd):
        if side:
            return function(side * t) - 1.0
        return (function(t) - function(-t)) / 2 if odd else (function(t) + function(-t)) / 2 - 1.0

    residuals = []
    for new in (heights[-1] * CHECK_RATIO, heights[-2] * CHECK_RATIO):
        for odd in (True,) if side else (True, False):
            powers = np.arange(1, 6) if side else (1 if odd else 2) + 2 * np.arange(5)
            # Weights of the samples in the prediction, which must be right for each of the powers.
            weights = np.linalg.solve(heights[None, :] ** powers[:, None], new**powers)
            residual = part(new, odd) - weights @ np.array([part(h, odd) for h in heights])
            residuals.append(residual / math.sqrt((1 + weights @ weights) * (1 if side else 0.5)))
    found = ladder.check(rungs)
    np.testing.assert_allclose(found[0], np.sqrt(np.mean(np.square(residuals))), rtol=1e-6)
    assert found[1] < 1e-15


def test_the_check_of_huge_and_of_exact_values():
    rungs = (0, 1, 2)
    huge = ladder_of(lambda t: 1e200 * math.cos(30 * t), rungs=rungs).check(rungs)
    small = ladder_of(lambda t: math.cos(30 * t), rungs=rungs).check(rungs)
    np.testing.assert_allclose(huge, 1e200 * small, rtol=1e-10)
    assert ladder_of(lambda t: 0.0, rungs=rungs).check(rungs) == 0.0


def test_the_window_of_the_smallest_steps():
    ladder = ladder_of(exponential, rungs=(0, 2, 3, 4, 5))
    ladder.windows()
    assert ladder.smallest_window().rungs == (3, 4, 5)
    assert ladder.smallest_window(above=1).rungs == (2, 3, 4)
    assert ladder.smallest_window(above=2) is None  # rung 1 is missing
    assert ladder.smallest_window(above=3) is None
    fourth = ladder_of(exponential, order=4, side=1, rungs=(0, 1, 2, 3, 4))
    fourth.windows()
    assert fourth.smallest_window().rungs == (0, 1, 2, 3, 4)


def test_where_a_function_is_undefined():
    ladder = ladder_of(lambda t: 1.0 if t > -0.1 else math.nan, exponential, rungs=(0, 1, 2, 3))
    assert [ladder.defined(r).tolist() for r in (0, 3)] == [[False, True], [True, True]]


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_weights_of_a_jump(power):
    heights = (1.0, 0.6, 0.2, 0.15)
    first = 2 if power % 2 else 1
    weights = jump_weights(heights, first, power)
    h = np.array(heights)
    assert weights @ h**power == pytest.approx(1.0)
    for other in (first, first + 2, first + 4):
        assert weights @ h**other == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(("first", "step"), [(1, 1), (1, 2), (2, 2)])
def test_weights_that_predict(first, step):
    heights, new = np.array([1.0, 0.6, 0.3, 0.2]), 0.45
    weights = prediction_weights(heights, new, first, step)
    for k in range(4):
        power = first + step * k
        assert weights @ heights**power == pytest.approx(new**power, rel=1e-12)


@pytest.mark.parametrize(("first", "step"), [(1, 1), (1, 2), (2, 2)])
def test_weights_of_every_coefficient(first, step):
    heights = (1.0, 0.6, 0.3, 0.2)
    powers = [first + step * k for k in range(4)]
    for power in powers:
        moments = [coefficient_weights(heights, first, step, power) @ np.array(heights) ** p for p in powers]
        np.testing.assert_allclose(moments, [float(p == power) for p in powers], atol=1e-11)
