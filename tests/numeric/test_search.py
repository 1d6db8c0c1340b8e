"""How the search for a step decides: which window is believed, which rungs come next."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from archimedes_grad.numeric.ladder import EPSILON, Ladder, Window
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.search import (
    GOAL,
    LOST,
    MOST_RUNGS,
    Finding,
    _agreed,
    _much_narrower,
    _narrower,
    _next_rungs,
    _promising,
    _rungs_for,
    _scale,
    _wider,
    best,
    first_step,
    goal_of,
    largest_step,
    search,
)


def ladder_of(function, *rungs, order=1, step=0.5, side=0, position=0.0):
    def rows(t):
        return np.array([np.atleast_1d(function(float(s))) for s in t], dtype=float)

    centre = np.atleast_1d(np.array(function(0.0), dtype=float))
    ladder = Ladder(LineSampler(rows, centre, position), order, step, side)
    if rungs:
        ladder.add(*rungs)
    return ladder


def finding_of(error, rounding=0.0, scale=1.0, window=(0, 1, 2), value=1.0):
    def array(number):
        return np.atleast_1d(np.array(number, dtype=float))

    windows = [window] * len(array(error))
    return Finding(array(value), array(error), array(rounding), array(scale), array(1.0), windows)


FIRST_STEPS = {
    0.0: 0.05, 1e-11: 0.05, -1e-11: 0.05, 1e-10: 1e-11, 1e-3: 1e-4, -0.5: 0.05, 1.0: 0.1, 1.5: 0.1 * 1.5**0.5,
    -400.0: 2.0, 1e8: 1e3,
}  # fmt: skip


@pytest.mark.parametrize("position", FIRST_STEPS)
def test_the_first_step_is_a_power_of_two_near_a_tenth(position):
    step = first_step(position)
    assert math.frexp(step)[0] == 0.5
    assert 2**-0.5 <= step / FIRST_STEPS[position] <= 2**0.5


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_powers_of_the_largest_and_the_smallest_step_are_finite(order):
    assert 1e240 < largest_step(order) ** order < 1e300
    assert largest_step(order) > largest_step(order + 1)


def window(rungs, value, error, amplification=1.0):
    zero = np.zeros(len(value))
    return Window(rungs, np.array([1.0]), np.array(value), np.array(error), zero, amplification, zero)


def test_smaller_steps_are_believed():
    windows = [
        window((0, 1, 2), [1.0, 1.0], [0.1, 0.1]),
        window((1, 2, 3), [3.0, 1.0], [0.5, math.nan]),
        window((1, 2, 3, 4), [1.5, 1.0], [0.25, 0.3]),
        window((2, 3, 4), [5.0, math.nan], [9.0, 0.1], 1e3),
    ]
    errors = _agreed(windows, np.array([w.error for w in windows]))
    np.testing.assert_array_equal(errors, [[1.5, 0.1], [0.5, np.inf], [0.25, 0.3], [9.0, 0.1]])


def test_smaller_steps_whose_samples_scatter_are_not_believed():
    """The second window agrees with itself by chance: the third has samples that scatter by 0.4, and so has it."""
    windows = [
        window((0, 1, 2), [1.0, 1.0], [1e-9, 1e-9]),
        window((7, 8, 9), [3.0, 7.0], [1e-3, 1e-3], 10.0),
        window((8, 9, 10), [9.0, 9.0], [8.0, 8.0], 20.0),
    ]
    errors = _agreed(windows, np.array([w.error for w in windows]))
    np.testing.assert_array_equal(errors, [[1e-9, 2.0], [1e-3, 1e-3], [8.0, 8.0]])


def test_noise_of_another_output_seldom_spoils_a_smooth_one():
    """Steps are taken for the output that scatters; by chance some claim too little about the other one there."""
    random = np.random.default_rng(3)

    def function(t):
        return [math.sin(1 + t) + 1e-14 * random.standard_normal(), random.standard_normal()]

    errors = [search(ladder_of(function, position=1.0)).error[0] for _ in range(100)]
    assert sum(error > 1e-9 for error in errors) < 20  # 40 where every window is believed


def test_the_best_window_has_the_least_error():
    def function(t):
        return [math.exp(t), abs(t) ** 1.5 + t, 1.0]

    ladder = ladder_of(function, 0, 1, 2, 3, 4)
    found = best(ladder)
    windows = ladder.windows()
    errors = _agreed(windows, np.array([w.error for w in windows]))
    for output, rungs in enumerate(found.window):
        chosen = next(k for k, w in enumerate(windows) if w.rungs == rungs)
        assert errors[chosen, output] == errors[:, output].min() == found.error[output]
        assert found.value[output] == windows[chosen].value[output]
        assert found.rounding[output] == windows[chosen].rounding[output]
        assert found.amplification[output] == windows[chosen].amplification
        assert found.scale[output] == _scale(ladder, windows[chosen])[output]
    assert found.coarsest == [w[0] for w in found.window]
    assert found.finest == [w[-1] for w in found.window]
    assert len(set(found.window)) > 1


def test_without_a_window_nothing_is_known():
    found = best(ladder_of(lambda t: [t, 1.0], 0, 1))
    assert np.isnan(found.value).all()
    for unknown in (found.error, found.rounding, found.scale, found.amplification):
        np.testing.assert_array_equal(unknown, [np.inf, np.inf])
    assert (found.window, found.coarsest, found.finest) == ([(), ()], [0, 0], [0, 0])


@pytest.mark.parametrize(
    ("value", "error", "position", "order", "size", "goal"),
    [
        (2.0, 0.1, 0.0, 1, 1.0, 2 * GOAL),
        (-2.0, 0.1, 0.0, 1, 1.0, 2 * GOAL),
        (0.1, 0.1, 0.0, 1, 3.0, 0.1 * GOAL + 64 * EPSILON * 3),
        (0.0, 0.0, 0.5, 1, 3.0, 64 * EPSILON * 3),
        (0.0, 0.0, 4.0, 1, 3.0, 64 * EPSILON * 3 / 4),
        (0.0, 0.0, 4.0, 2, 3.0, 64 * EPSILON * 3 / 16),
        (0.0, 0.0, 1e200, 2, 3.0, 0.0),
    ],
)
def test_the_goal_is_relative_except_near_zero(value, error, position, order, size, goal):
    ladder = ladder_of(lambda t: size if t else 0.0, 0, 1, order=order, position=position)
    with np.errstate(over="ignore"):
        found = goal_of(ladder, finding_of(error, value=value))
    np.testing.assert_allclose(found, goal, rtol=1e-14)


def test_the_goal_near_zero_is_that_of_each_output():
    ladder = ladder_of(lambda t: [3.0, 500.0] if t else [0.0, 0.0], 0, 1)
    found = goal_of(ladder, finding_of([0.0, 0.0], value=[0.0, 0.0]))
    np.testing.assert_allclose(found, [64 * EPSILON * 3, 64 * EPSILON * 500])


def test_what_is_undefined_has_no_size():
    ladder = ladder_of(lambda t: math.inf if t > 0.3 else (2.0 if t else 0.0), 0, 3)
    np.testing.assert_allclose(goal_of(ladder, finding_of(1.0, value=0.0)), 64 * EPSILON * 2)


def test_the_scale_is_the_variation():
    ladder = SimpleNamespace(
        order=2, height=lambda r: 0.25 * 2.0**-r, part=lambda r: np.array([[-8.0, 1e-9], [1.0, 1.0]][r])
    )
    found = SimpleNamespace(value=np.array([1.0, -3.0]), rungs=(0, 1))
    np.testing.assert_array_equal(_scale(ladder, found), [8 / 0.25**2, 3.0])


WIDER = {
    # excess, leap, rungs known: what is added above rung 0
    (1.5, 4, ()): (-1,),
    (2.0, 4, ()): (-1,),
    (4.0, 4, ()): (-2,),
    (4.1, 4, ()): (-3, -2, -1),
    (1e9, 4, ()): (-4, -3, -2),
    (1e9, 16, ()): (-16, -15, -14),
    (math.inf, 2000, ()): (),
    (1e9, 4, (-2,)): (-1,),
    (1e9, 8, (-7,)): (-3, -2, -1),
    (1e9, 8, (-9, -5)): (-2,),
    (1e9, 4, (-1,)): (),
    (1.0, 4, ()): (-1,),
}


@pytest.mark.parametrize("case", WIDER)
def test_rungs_above(case):
    excess, leap, known = case
    ladder = SimpleNamespace(rungs=[*known, 0, 1, 2], order=1, height=lambda r: 2.0**-r)
    assert _wider(ladder, 0, excess, leap) == WIDER[case]


@pytest.mark.parametrize(("order", "last"), [(1, 830), (2, 415), (3, 276), (4, 207)])
def test_no_rung_is_larger_than_the_largest_step(order, last):
    ladder = SimpleNamespace(rungs=[0, 1, 2], order=order, height=lambda r: math.ldexp(1.0, -r))
    assert _wider(ladder, 1 - last, 2.0, 4) == (-last,)
    assert _wider(ladder, -last, 2.0, 4) == ()


NARROWER = {
    # room in bits, leap: rungs below rung 2
    (10, 1): (3,),
    (10, 2): (4, 5, 6),
    (10, 4): (6, 7, 8),
    (10, 32): (10, 11, 12),
    (3, 8): (3,),
    (4, 8): (4, 5, 6),
    (2, 1): (),
    (2, 8): (),
}


@pytest.mark.parametrize("case", NARROWER)
def test_rungs_below(case):
    room, leap = case
    position = 2.0**-2 / (64 * EPSILON) / 2.0**room
    ladder = SimpleNamespace(
        rungs=[0, 1, 2], order=1, height=lambda r: 2.0**-r, sampler=SimpleNamespace(position=position)
    )
    assert _narrower(ladder, leap) == NARROWER[case]


@pytest.mark.parametrize("order", [1, 4])
def test_no_rung_is_smaller_than_the_smallest_step(order):
    room = 830 // order
    ladder = SimpleNamespace(
        rungs=[room - 3], order=order, height=lambda r: math.ldexp(1.0, -r), sampler=SimpleNamespace(position=0.0)
    )
    assert _narrower(ladder, 8) == (room - 2,)
    ladder.rungs = [room - 2]
    assert _narrower(ladder, 8) == ()


def test_undefined_functions_are_approached_rung_by_rung():
    ladder = ladder_of(lambda t: 1.0 if abs(t) < 0.01 else math.nan, 0, 1, 2)
    assert _much_narrower(ladder, 0, 4) == (6,)
    ladder.add(8)
    assert _much_narrower(ladder, 0, 4) == (9, 10)
    ladder.add(9, 10)
    with np.errstate(invalid="ignore"):
        ladder.windows()
    assert _much_narrower(ladder, 0, 4) == (11,)


def test_unresolved_functions_are_approached_by_leaps():
    ladder = ladder_of(lambda t: math.sin(1e6 * t), 0, 1, 2)
    ladder.windows()
    assert _much_narrower(ladder, 0, 4) == (6, 7, 8)
    smooth = ladder_of(lambda t: math.sin(t), 0, 1, 2)
    smooth.windows()
    assert _much_narrower(smooth, 0, 4) == (3,)


PROMISING = {
    # (change, value, jump) of the last window, jump of the one before or None: whether to go on rung by rung
    ((0.5, 1.0, 9.0), None): True,
    ((0.5, -1.0, 9.0), None): True,
    ((0.51, 1.0, 0.0), None): False,
    ((math.nan, 1.0, 0.0), None): False,
    ((0.1, 1.0, 0.6), 1.0): True,
    ((0.1, 1.0, 0.61), 1.0): False,
    ((0.6, 1.0, 0.1), 1.0): False,
    (None, None): False,
}


@pytest.mark.parametrize("case", PROMISING)
def test_small_steps_that_begin_to_agree_are_promising(case):
    last, before = case

    def smallest_window(above=0):
        if above:
            assert above == 1
            return None if before is None else SimpleNamespace(jump=np.array([7.0, before]))
        if last is None:
            return None
        change, value, jump = last
        return SimpleNamespace(change=np.array([7.0, change]), value=np.array([7.0, value]), jump=np.array([7.0, jump]))

    assert _promising(SimpleNamespace(smallest_window=smallest_window), 1) is PROMISING[case]


NEXT = {
    # error, rounding, scale, goal, window: rungs to add to 0, 1, 2, 3, 5
    "content": ((1e-12, 1e-12, 1.0, 1e-11, (1, 2, 3)), ()),
    "rounding rules, at the goal": ((1e-11, 1e-11, 1.0, 1e-11, (1, 2, 3)), ()),
    "rounding rules": ((1e-8, 1e-8, 1.0, 1e-11, (0, 1, 2)), (-4, -3, -2)),
    "rounding rules at four times": ((4e-8, 1e-8, 1.0, 2e-8, (0, 1, 2)), (-1,)),
    "a little beyond rounding": ((4.1e-8, 1e-8, 1.0, 2e-8, (0, 1, 2)), (-2,)),
    "rounding rules beneath known rungs": ((1e-8, 1e-8, 1.0, 1e-11, (2, 3, 5)), ()),
    "lost": ((0.051, 0.0, 1.0, 1e-11, (0, 1, 2)), (6, 7)),
    "almost lost, at the finest": ((0.05, 0.0, 1.0, 1e-11, (1, 2, 3, 5)), (6,)),
    "lost, but within the goal": ((0.06, 0.0, 1.0, 0.06, (0, 1, 2)), ()),
    "undefined": ((math.nan, 0.0, 1.0, 1e-11, (0, 1, 2)), (6, 7)),
    "infinite": ((math.inf, math.inf, 1.0, 1e-11, (0, 1, 2)), (6, 7)),
    "a gap within the window": ((1e-3, 0.0, 1.0, 1e-11, (2, 3, 5, 6)), (4,)),
    "smaller steps are worse": ((1e-3, 0.0, 1.0, 1e-11, (0, 1, 2)), (-4, -3, -2)),
    "smaller steps are worse, a little": ((1e-3, 0.0, 1.0, 6e-4, (0, 1, 2)), (-1,)),
    "smaller steps are worse, at the goal": ((1e-3, 0.0, 1.0, 1e-3, (0, 1, 2)), ()),
}


@pytest.mark.parametrize("case", NEXT)
def test_which_rungs_come_next(case):
    (error, rounding, scale, goal, rungs), expected = NEXT[case]
    assert LOST == 0.05
    ladder = ladder_of(lambda t: [0.0, abs(t)], 0, 1, 2, 3, 5)
    ladder.windows()
    finding = finding_of([0.0, error], [0.0, rounding], [0.0, scale], rungs, [1.0, 1.0])
    assert _rungs_for(ladder, finding, 1, goal, 4) == expected


def test_a_wide_gap_is_filled_from_below():
    ladder = ladder_of(lambda t: t, 0, 6, 7, 8)
    assert _rungs_for(ladder, finding_of(1e-3, window=(0, 6, 7)), 0, 1e-11, 4) == (4, 5)


def test_the_output_that_needs_it_most_decides():
    ladder = ladder_of(lambda t: [t, t, t], 0, 1, 2)
    # The second is content by rounding, the third needs larger steps, the first smaller ones, and more so.
    finding = finding_of([1e-2, 1e-13, 1e-8], [0.0, 1e-13, 1e-8], [1.0] * 3, (0, 1, 2), [1.0] * 3)
    assert _next_rungs(ladder, finding, 4) == (3,)
    finding = finding_of([1e-13, 1e-13, 1e-8], [1e-13, 1e-13, 1e-8], [1.0] * 3, (0, 1, 2), [1.0] * 3)
    assert _next_rungs(ladder, finding, 4) == (-4, -3, -2)
    finding = finding_of([1e-13] * 3, [1e-13] * 3, [1.0] * 3, (0, 1, 2), [1.0] * 3)
    assert _next_rungs(ladder, finding, 4) == ()
    finding = finding_of([math.nan, 1e-13, 1e-8], [0.0, 1e-13, 1e-8], [1.0] * 3, (0, 1, 2), [1.0] * 3)
    assert min(_next_rungs(ladder, finding, 4)) > 2


def test_an_unneeded_search_has_three_rungs():
    ladder = ladder_of(lambda t: 0.0)
    assert (search(ladder).value, ladder.rungs) == (0.0, [0, 1, 2])


def test_a_search_ends():
    ladder = ladder_of(lambda t: math.sin(1e6 * t) if t else 5.0)
    with np.errstate(all="ignore"):
        search(ladder)
    assert len(ladder.rungs) <= MOST_RUNGS


def test_leaps_grow_where_nothing_is_resolved():
    """A function that is smooth only below 1e-40 is found in a few leaps, of twice as many rungs each."""
    ladder = ladder_of(lambda t: math.sin(t * 1e40) if abs(t) < 1e-39 else math.nan)
    with np.errstate(all="ignore"):
        found = search(ladder)
    assert found.value == pytest.approx(1e40, rel=1e-6)
    gaps = [b - a for a, b in zip(ladder.rungs, ladder.rungs[1:], strict=False) if b - a > 1]
    assert gaps[:4] == [4, 8, 16, 32]
