"""Cases that mutants of the numeric methods showed to be missing elsewhere: parts of them, each by itself."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from archimedes_grad.derivative_kit import DerivativeKit
from archimedes_grad.numeric.extrapolation import extrapolate
from archimedes_grad.numeric.finite import _approaching
from archimedes_grad.numeric.noise import quiet_half_width
from archimedes_grad.numeric.search import _scale


def constant_sampler(steps):
    return np.zeros((len(steps), 1))


constant_sampler.centre = np.zeros(1)


def test_a_constant_is_quiet_at_every_step():
    assert quiet_half_width(constant_sampler, [0.4, 0.1, 0.2, 0.8]) == 0.8


def test_noise_is_quiet_up_to_where_the_function_shows():
    def sampler(steps):
        return np.where(np.abs(steps) > 1, 50 * steps**2, np.sign(steps))[:, None]

    sampler.centre = np.zeros(1)
    assert quiet_half_width(sampler, [0.1, 0.2, 0.3, 0.4, 2.0]) == 0.4


@pytest.mark.parametrize("power", [2, 4])
def test_quotients_of_a_smooth_function_approach_each_other(power):
    def approach(*quotients, rounding=0.0):
        return _approaching([np.array([q]) for q in quotients], power, np.array([rounding])).tolist()

    assert approach(5.0 + 1.0, 5.0 + 0.5**power, 5.0 + 0.25**power) == [True]
    assert approach(5.0, 5.0, 5.0) == [True]
    assert approach(5.0, 6.0, 5.0) == [False]
    assert approach(5.0, 6.0, 5.0, rounding=0.25) == [True]
    assert approach(-5.0, 5.0, -5.0) == [False]


def test_the_scale_of_a_derivative_is_the_variation_over_a_power_of_the_step():
    window = SimpleNamespace(rungs=(3,), value=np.array([1.0, -100.0]))
    ladder = SimpleNamespace(order=3, height=lambda rung: 0.5**rung * 4, part=lambda rung: np.array([-2.0, 0.5]))
    np.testing.assert_array_equal(_scale(ladder, window), [16.0, 100.0])


def test_richardson_gives_the_last_entry_of_its_table_and_the_error_of_that():
    def quotient(level):
        h = 0.5**level
        return np.array([1 + h**2 + 3 * h**4]), np.array([1e-16])

    found = extrapolate(quotient, "richardson", 2, 3, stop_early=False)
    assert [len(row) for row in found.entries] == [1, 2, 3]
    assert found.value == found.entries[-1][-1] == pytest.approx(1.0, abs=1e-15)
    assert found.entries[-1][-2] != pytest.approx(1.0, abs=1e-3)
    # The farther of its two neighbours in the table, each off by the term of fourth order.
    assert found.error == pytest.approx(abs(found.entries[1][1][0] - 1.0), rel=1e-6)


@pytest.mark.parametrize("num_points", [3, 5, 7, 9])
def test_the_step_that_is_reported_reaches_the_outermost_point(num_points):
    kit = DerivativeKit(np.exp, 0.3)
    result = kit.differentiate(method="finite", stepsize=1e-2, num_points=num_points, full_output=True)
    np.testing.assert_allclose(result.steps, 1e-2 * (num_points - 1) / 2)


def test_complex_steps_of_higher_order():
    for order in (1, 2):
        got = DerivativeKit(np.exp, 0.3).differentiate(method="complex", order=order)
        assert got == pytest.approx(math.exp(0.3), rel=1e-6)


def test_a_constant_is_confirmed_by_the_complex_step_at_once():
    linear = DerivativeKit(lambda x: 3.0 * x, 1.0).differentiate(method="complex", full_output=True)
    constant = DerivativeKit(lambda x: 0.0 * x, 1.0).differentiate(method="complex", full_output=True)
    assert constant.value == 0.0
    assert constant.n_evaluations == linear.n_evaluations
