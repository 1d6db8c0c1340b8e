"""What ``finite`` claims: the errors of plain and extrapolated stencils, and what refutes them."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric import derivative
from archimedes_grad.numeric.diagnosis import KINK
from archimedes_grad.numeric.finite import PROBE, _look_for_kink, accuracy, smallest_stencil, stencil
from archimedes_grad.numeric.ladder import EPSILON
from archimedes_grad.numeric.sampling import LineSampler

ORDERS = [(points, order) for points in (3, 5, 7, 9) for order in (1, 2, 3, 4) if points >= smallest_stencil(order)]


def sampler_of(*functions, position=0.0):
    def rows(t):
        return np.array([[f(float(s)) for f in functions] for s in t], dtype=float)

    return LineSampler(rows, rows([0.0])[0], position)


def central_weights(num_points, order, step):
    """Weights of the samples from the left to the right: exact on all powers."""
    m = (num_points - 1) // 2
    offsets = np.arange(-m, m + 1) * step
    powers = np.arange(num_points)
    right_side = np.where(powers == order, math.factorial(order), 0.0) / step**powers
    return offsets, np.linalg.solve((offsets / step)[None, :] ** powers[:, None], right_side)


def wavy(t):
    return math.exp(t) + math.cos(7 * t) - 3


@pytest.mark.parametrize(("num_points", "order"), ORDERS)
def test_quotients(num_points, order):
    found, _ = stencil(sampler_of(wavy, lambda t: 2 * wavy(t)), order, 0.2, num_points)
    offsets, weights = central_weights(num_points, order, 0.2)
    expected = weights @ np.array([wavy(t) for t in offsets])
    np.testing.assert_allclose(found, [expected, 2 * expected], rtol=1e-10)


@pytest.mark.parametrize(("num_points", "order"), ORDERS)
@pytest.mark.parametrize("position", [0.0, 1e4])
@pytest.mark.parametrize("function", [wavy, lambda t: -5.0 + t, lambda t: 9.0 * t - 1])
def test_what_rounding_can_do(num_points, order, position, function):
    _, rounding = stencil(sampler_of(function, position=position), order, 0.25, num_points)
    offsets, weights = central_weights(num_points, order, 0.25)
    size = max(abs(function(t)) for t in offsets)
    reach = offsets[-1]
    slope = abs(function(reach) - function(-reach)) / (2 * reach)
    positive = weights[len(weights) // 2 + 1 :]
    # Rounding is counted for the part of the function with the parity of the order.
    noise = 2 * EPSILON * (size + position * slope) * np.linalg.norm(2 * positive)
    np.testing.assert_allclose(rounding, noise, rtol=1e-10)


@pytest.mark.parametrize(("num_points", "order"), ORDERS)
def test_the_error_of_a_plain_stencil(num_points, order):
    x, h = 0.3, 0.05
    result = derivative(wavy, x, method="finite", order=order, stepsize=h, num_points=num_points, return_error=True)
    sampler = sampler_of(lambda t: wavy(x + t), position=x)
    (whole, rounding), (half, _), (third, _) = (
        stencil(sampler, order, h * part, num_points) for part in (1, 0.5, PROBE)
    )
    power = accuracy(num_points, order)
    change = max(abs(whole - half), abs(half - third))
    expected = 1.5 * change / (1 - 0.5**power) + rounding
    assert result.success
    # A smooth function's kink is what rounding leaves, and the terms beyond the samples.
    assert expected <= result.error <= 1.3 * expected + 1e-8
    assert result.value == whole


def look(function, order, offsets=(0.1, 0.2, 0.4), value=0.0, good=True):
    sampler = sampler_of(function, lambda t: 1.0)
    heights = np.array(offsets)
    sampler(np.concatenate([heights, -heights]))
    error, found, message = np.array([0.25, 0.5]), np.array([good, True]), ["", ""]
    _look_for_kink(sampler, order, np.array([value, 0.0]), error, found, message)
    assert (error[1], found[1], message[1]) == (0.5, True, "")
    return error[0] - 0.25, bool(found[0]), message[0]


def kink(order, size=1.0):
    """A function with a term of the wrong parity, of this size."""
    return lambda t: size * abs(t) ** order * (1 if order % 2 else math.copysign(1.0, t))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1.0, -1.0])
def test_kinks_are_added_to_the_error(order, size):
    error, good, message = look(kink(order, size), order)
    assert error == pytest.approx(math.factorial(order))
    assert (good, message) == (False, KINK)
    error, good, message = look(lambda t: 1 + 2 * t + 3 * t * t + t**3 - t**4, order)
    assert error == pytest.approx(0.0, abs=1e-9)
    assert good


@pytest.mark.parametrize(
    ("function", "order", "value", "good"),
    [
        (kink(1), 1, 9.9, False),
        (kink(1), 1, -9.9, False),
        (kink(1), 1, 10.1, True),
        (kink(1), 1, -10.1, True),
        (lambda t: abs(t) + 24 * t * t, 1, 0.0, True),  # (0.4 + 24 * 0.16) / 0.4 is more than ten times the kink
        (lambda t: abs(t) + 20 * t * t, 1, 0.0, False),
        (lambda t: abs(t) - 28 * t * t, 1, 0.0, True),
        (lambda t: kink(2)(t) + 8 * t**3, 2, 19.0, False),
        (lambda t: kink(2)(t) + 8 * t**3, 2, 21.0, True),
    ],
)
def test_kinks_that_matter(function, order, value, good):
    assert look(function, order, value=value)[1] is good


@pytest.mark.parametrize(("factor", "good"), [(0.5, True), (2.0, False)])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("centre", [3.0, -3.0])
def test_kinks_below_rounding_are_none(factor, good, order, centre):
    smallest = 2.0**-20
    size = factor * 100 * EPSILON * abs(centre) / smallest**order / math.factorial(order)
    offsets = (smallest, 2 * smallest, 4 * smallest)
    assert look(lambda t: kink(order, size)(t) + centre, order, offsets)[1] is good


def test_a_failure_known_before_keeps_its_reason():
    assert look(kink(1), 1, good=False)[1:] == (False, "")


def test_one_step_shows_no_kink():
    assert look(kink(1), 1, (0.1,)) == (0.0, True, "")
    assert look(kink(1), 1, (0.1, 0.2))[1] is False


def test_kinks_are_looked_for_at_the_eight_largest_steps():
    near = lambda t: abs(t) if abs(t) < 0.009 else 0.0
    offsets = tuple(0.01 * 2.0**k for k in range(-1, 8))
    assert look(near, 1, offsets)[0] == pytest.approx(0.0, abs=1e-12)
    assert look(near, 1, offsets[:8])[0] != pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("extrapolation", ["richardson", "ridders", "gre"])
@pytest.mark.parametrize("return_error", [False, True])
def test_extrapolations_of_what_is_not_resolved(extrapolation, return_error):
    options = {"extrapolation": extrapolation, "return_error": return_error, "method": "finite"}
    result = derivative(lambda x: np.sin(777 * (x - 0.5)), 0.5, stepsize=0.5, levels=3, **options)
    assert not result.success
    assert result.error == np.inf
    assert "halving the step 0.5" in result.message
    two = derivative(lambda x: np.sin(777 * (x - 0.5)), 0.5, stepsize=0.5, levels=2, **options)
    assert two.success is not return_error  # two levels have no third to be judged by, unless it is asked for


@pytest.mark.parametrize("levels", [2, 4])
def test_the_check_of_an_extrapolation_is_at_no_step_of_the_table(levels):
    seen = []

    def function(x):
        seen.append(x)
        return np.sin(x)

    options = {"extrapolation": "ridders", "levels": levels, "num_points": 3, "return_error": True}
    derivative(function, 0.0, method="finite", stepsize=0.5, **options)
    steps = [0.5 * 0.5**level for level in range(levels)]
    assert sorted(x for x in seen if x > 0) == pytest.approx(sorted([*steps, 2 * PROBE * steps[-1]]))


@pytest.mark.parametrize(("return_error", "evaluations"), [(False, 9), (True, 11)])
def test_the_check_of_an_extrapolation_costs_one_stencil(return_error, evaluations):
    options = {"extrapolation": "ridders", "levels": 4, "num_points": 3, "return_error": return_error}
    result = derivative(np.sin, 0.7, method="finite", stepsize=0.1, **options)
    assert (result.n_evaluations, result.message) == (evaluations, "ridders extrapolation over 4 levels")
    np.testing.assert_array_equal(result.details["steps"], [0.1, 0.05, 0.025, 0.0125])
    assert len(result.details["table"]) == 4


def test_levels_are_eight_at_most():
    result = derivative(np.exp, 0.0, method="finite", stepsize=3.0, num_points=3, extrapolation="richardson")
    assert len(result.details["steps"]) <= 8
    full = derivative(
        lambda x: abs(x) ** 2.5, 0.0, method="finite", stepsize=3.0, num_points=3, extrapolation="ridders"
    )
    assert full.success


@pytest.mark.parametrize("options", [{}, {"return_error": True}, {"extrapolation": "ridders"}])
def test_undefined_samples_are_told_apart_from_defined_ones(options):
    def function(x):
        return np.array([np.sin(x), np.log(x)])

    result = derivative(function, 1e-3, method="finite", stepsize=1e-2, **options)
    assert not result.success
    assert result.value[0] == pytest.approx(1.0, abs=1e-4)
    assert np.isnan(result.value[1])
    assert "not finite at a point of the stencil" in result.message


def test_without_an_error_none_is_claimed():
    assert np.isnan(derivative(np.sin, 0.3, method="finite").error)
    assert derivative(np.sin, 0.3, method="finite").message == "5-point central difference"


FORMS = [{}, {"return_error": True}, {"extrapolation": "ridders"}, {"extrapolation": "gre", "return_error": True}]


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("x", [1e15, -1e20, 1e308])
def test_steps_that_rounding_swallows_give_nothing(options, x):
    """The samples are those of the point itself, and their difference 0 is no derivative."""
    result = derivative(lambda x: x, x, method="finite", **options)
    assert (result.success, result.status, float(result.error)) == (False, "failed", math.inf)
    assert np.isnan(result.value)
    assert "the step 0.01 is lost in the rounding" in result.message
    assert derivative(lambda x: x, x, method="finite", stepsize=abs(x) / 100, **options).value == pytest.approx(1.0)


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("centre", [math.nan, math.inf])
def test_where_the_function_is_not_finite_there_is_no_derivative(options, centre):
    """Central differences of odd orders do not look at the point itself."""
    result = derivative(lambda x: np.array([x, x**2 if x != 1.0 else centre]), 1.0, method="finite", **options)
    np.testing.assert_allclose(result.value, [1.0, math.nan])
    assert not result.success
    assert "not finite at the point itself" in result.message


@pytest.mark.parametrize("options", FORMS[1:])
def test_claims_that_overflow_are_none(options):
    result = derivative(lambda x: 1e308 * x, 1.0, method="finite", **options)
    assert float(result.error) == math.inf or abs(result.value - 1e308) <= result.error
    assert result.success is math.isfinite(result.error)
