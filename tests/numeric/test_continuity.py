"""What only small steps show: ripples and kinks, which continue to larger steps, and pieces of noise, which do not."""

import math

import mpmath as mp
import numpy as np
import pytest

from archimedes_grad.numeric import derivative
from archimedes_grad.numeric.continuity import LARGEST_NOISE, _jump, continues, piece_of_noise, resolved_closer
from archimedes_grad.numeric.ladder import Ladder
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.search import search


def sampler_of(function, position=0.0):
    def rows(t):
        return np.array([[function(float(s))] for s in t], dtype=float)

    return LineSampler(rows, rows([0.0])[0], position)


def stairs(size, length, slope=0.0):
    """A line that is rounded to multiples of a size, of pieces with a slope."""
    return lambda t: size * math.floor(t / length + 0.5) + slope * t


JUMPS = {
    # function, slope of its piece, the jump
    "a line": (lambda t: 2 * t, 2.0, 0.0),
    "a parabola": (lambda t: t * t, 0.0, 0.0),
    "a ripple": (lambda t: math.sin(1e3 * t), 1e3, 0.0),
    "a kink": (lambda t: max(t - 0.01, 0.0), 0.0, 0.0),
    "a cusp": (lambda t: math.sqrt(max(t - 0.01, 0.0)), 0.0, 0.0),
    "stairs": (stairs(0.5, 4e-3), 0.0, 0.5),
    "stairs of pieces that fall": (stairs(0.5, 4e-3, -125.0), -125.0, 0.5),
    "one jump": (lambda t: 0.25 * (t > 0.01), 0.0, 0.25),
    "undefined beyond": (lambda t: 1.0 if t < 0.01 else math.nan, 0.0, 0.0),
}


@pytest.mark.parametrize("case", JUMPS)
def test_jumps(case):
    function, slope, jump = JUMPS[case]
    steps = [1e-3 * 2.0**k for k in range(8)]
    assert _jump(sampler_of(function), 0, slope, steps, 1) == pytest.approx(jump, rel=1e-2)
    assert _jump(sampler_of(lambda t: -function(-t)), 0, slope, steps, -1) == pytest.approx(jump, rel=1e-2)


def test_few_samples_show_a_jump():
    sampler = sampler_of(stairs(0.5, 4e-3))
    _jump(sampler, 0, 0.0, [1e-3 * 2.0**k for k in range(8)], 1)
    assert sampler.n_evaluations <= 8 + 20


def test_pieces_end_where_rounding_of_the_step_does():
    sampler = sampler_of(lambda t: float(t > 0.9e5))
    assert _jump(sampler, 0, 0.0, [1e-20, 1e4, 1e5], 1) == 1.0
    assert _jump(sampler, 0, 0.0, [1e4], 1) == 0.0
    assert sampler.n_evaluations < 200


def searched(function, *rungs, order=1):
    ladder = Ladder(sampler_of(function), order, 0.5)
    finding = search(ladder)
    ladder.add(*rungs)
    return ladder, finding


PIECES = {
    # function: whether the slope that small steps find is that of a piece of noise
    "smooth": (math.sin, False),
    "a fast oscillation": (lambda t: math.sin(1e5 * t), False),
    "offset": (lambda t: 1e3 + math.sin(1e5 * t), False),
    "rounded to what is constant": (lambda t: 1.0 + stairs(1e-6, 1e-6, -1.0)(t), True),
    "jumps that are its own": (lambda t: stairs(1.0, 1e-3, -1e3)(t), False),
    "pieces without a slope": (lambda t: 1.0 + stairs(1e-6, 1e-9)(t), False),
    "one jump": (lambda t: 3.0 + math.sin(t) + 1e-2 * (t > 1e-6), False),
}


@pytest.mark.parametrize("case", PIECES)
def test_pieces_of_noise(case):
    function, piece = PIECES[case]
    ladder, finding = searched(function)
    found = piece_of_noise(ladder, finding, 0)
    assert (found > 0) is piece
    if piece:
        assert found == ladder.height(finding.coarsest[0])
        assert found < 1e-6
        assert LARGEST_NOISE > 1e-6


@pytest.mark.parametrize("order", [1, 2])
def test_a_ripple_is_resolved_closer_and_noise_is_not(order):
    random = np.random.default_rng(0)
    for function, resolved in (
        (lambda t: math.exp(t) + 1e-4 * math.sin(1e3 * t), True),
        (lambda t: math.exp(t) + 1e-4 * random.standard_normal(), False),
    ):
        ladder, finding = searched(function, order=order)
        before = ladder.sampler.n_evaluations
        found = resolved_closer(ladder, finding, 0)
        if resolved:
            fine, closer = found
            assert closer.value[0] == pytest.approx(1.1 if order == 1 else 1.0, rel=1e-3)
            assert continues(fine, closer, ladder, 0)
        else:
            assert found is None
            assert ladder.sampler.n_evaluations <= before + 6


def test_what_rounding_limits_is_not_looked_at_closer():
    ladder, finding = searched(math.exp)
    assert resolved_closer(ladder, finding, 0) is None


@pytest.mark.parametrize("x", [0.0, 0.37])
@pytest.mark.parametrize(
    ("share", "frequency"), [(1e-2, 1e3), (1e-4, 1e3), (1e-4, 1.7e4), (1e-4, 1e6), (1e-6, 1e3), (1e-6, 1e6)]
)
@pytest.mark.parametrize("base", [(math.sin, math.cos), (math.exp, math.exp), (lambda x: 0.0, lambda x: 0.0)])
def test_ripples_belong_to_the_function(share, frequency, x, base):
    function, slope = base
    result = derivative(lambda t: function(t) + share * math.sin(frequency * t + 0.4), x)
    true = slope(x) + share * frequency * math.cos(frequency * x + 0.4)
    assert abs(result.value - true) <= result.error
    assert result.error <= 1e-3 * share * frequency


CANCELLATIONS = {
    "cosine": (lambda x: (1 - np.cos(x)) / x**2, lambda x: (1 - mp.cos(x)) / x**2, (7.6529764e-4, 1e-5, 5e-6)),
    "hyperbolic cosine": (lambda x: (np.cosh(x) - 1) / x**2, lambda x: (mp.cosh(x) - 1) / x**2, (1e-3, 1e-5, 1e-6)),
    "exponential": (lambda x: (np.exp(x) - 1) / x, lambda x: mp.expm1(x) / x, (3.443528019197717e-07, 1e-8, 1e-10)),
    "logarithm": (lambda x: np.log(1 + x) / x, lambda x: mp.log1p(x) / x, (1e-4, 1e-6, 1e-9)),
    "root": (lambda x: (np.sqrt(1 + x) - 1) / x, lambda x: (mp.sqrt(1 + x) - 1) / x, (1e-4, 1e-7, 1e-10)),
    "sum": (lambda x: ((1 + x) - 1) / x, lambda x: mp.mpf(1), (1e-5, 1e-7, 1e-10)),
    "tangent": (lambda x: (np.tan(x) - np.sin(x)) / x**3, lambda x: (mp.tan(x) - mp.sin(x)) / x**3, (1e-3, 2.9e-4)),
}


@pytest.mark.parametrize("case", CANCELLATIONS)
def test_slopes_of_rounding_are_none(case):
    """Where digits cancel, values are rounded alike over steps far longer than a unit in the last place of x."""
    function, exact, points = CANCELLATIONS[case]
    for x in points:
        with mp.workdps(60):
            true = float(mp.diff(exact, mp.mpf(x)))
        result = derivative(function, x)
        assert abs(result.value - true) <= result.error


@pytest.mark.parametrize("size", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("distance", [1e-5, -1e-4, 1e-3, -1e-2])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_kinks_near_by_are_no_noise(size, distance, x):
    result = derivative(lambda t: np.sin(t) + size * abs(t - x - distance), x)
    assert abs(result.value - np.cos(x) + math.copysign(size, distance)) <= result.error <= 0.1 * size


def test_single_jumps_near_by_are_no_noise():
    result = derivative(lambda t: np.sin(t) + 1e-3 * (t > 0.3001), 0.3)
    assert abs(result.value - np.cos(0.3)) <= result.error <= 1e-8


def test_polynomials_under_ripples_are_not_taken_for_what_large_steps_show():
    result = derivative(lambda t: t * t + 1e-3 * np.sin(100 * t + 1.0), 2.0)
    assert abs(result.value - 4.0 - 0.1 * np.cos(201.0)) <= result.error <= 1e-3
