"""Stencils and extrapolation: orders of convergence, honest errors, nested points."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archimedes_grad.numeric import derivative, gradient
from archimedes_grad.numeric.extrapolation import extrapolate
from archimedes_grad.numeric.finite import accuracy, stencil
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.weights import coefficient_weights

STENCILS = [(points, order) for points in (3, 5, 7, 9) for order in (1, 2, 3, 4) if points >= (3 if order < 3 else 5)]


def true_exponential(order):
    return math.exp(0.3)


@pytest.mark.parametrize(("num_points", "order"), STENCILS)
def test_the_order_of_every_stencil(num_points, order):
    """Halving the step divides the error by ``2**power``, measured where rounding is far away."""
    power = accuracy(num_points, order)
    large = 0.6 if num_points >= 7 else 0.2
    errors = [
        abs(
            derivative(np.exp, 0.3, method="finite", order=order, stepsize=h, num_points=num_points).value
            - math.exp(0.3)
        )
        for h in (large, large / 2)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(power, abs=0.15)


@pytest.mark.parametrize(("num_points", "order"), [(3, 1), (3, 2), (5, 1), (5, 2), (5, 3), (5, 4)])
def test_the_order_that_each_level_of_extrapolation_gains(num_points, order):
    """Column k of the table has the exponent p + 2k: rows further down its error falls by that power of two."""
    sampler = LineSampler(lambda t: np.exp(0.3 + t)[:, None], np.array([math.exp(0.3)]), 0.3)
    power = accuracy(num_points, order)
    step = 1.6
    table = extrapolate(
        lambda level: stencil(sampler, order, step / 2**level, num_points), "richardson", power, 4, stop_early=False
    ).entries
    for column in range(3):
        errors = [abs(float(row[column][0]) - math.exp(0.3)) for row in table if len(row) > column]
        measured = math.log2(errors[-2] / errors[-1])
        assert measured == pytest.approx(power + 2 * column, abs=0.4)


@given(
    coefficients=st.lists(st.floats(-5, 5), min_size=1, max_size=5),
    num_points=st.sampled_from([5, 7, 9]),
    order=st.sampled_from([1, 2, 3, 4]),
)
def test_stencils_are_exact_on_polynomials(coefficients, num_points, order):
    polynomial = np.polynomial.Polynomial(coefficients)
    true = polynomial.deriv(order)(0.5) if len(coefficients) > order else 0.0
    result = derivative(polynomial, 0.5, method="finite", order=order, stepsize=0.25, num_points=num_points)
    assert result.value == pytest.approx(true, abs=1e-10)


@given(
    heights=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=6, unique_by=lambda h: round(h, 2)),
    first=st.sampled_from([1, 2]),
    data=st.data(),
)
def test_weights_pick_one_coefficient(heights, first, data):
    powers = [first + 2 * i for i in range(len(heights))]
    power = data.draw(st.sampled_from(powers))
    weights = coefficient_weights(tuple(heights), first, 2, power)
    for other in powers:
        moment = weights @ np.array(heights) ** other
        assert moment == pytest.approx(float(other == power), abs=1e-9 * np.abs(weights).max())


EXTRAPOLATIONS = ["richardson", "ridders", "gauss-richardson", "gre"]


@pytest.mark.parametrize("extrapolation", EXTRAPOLATIONS)
@pytest.mark.parametrize("levels", [2, 3, 4, 6, None])
@pytest.mark.parametrize("function", [np.sin, np.exp, np.log, lambda x: 1 / (1 + x * x), lambda x: x**2.5])
@pytest.mark.parametrize("order", [1, 2])
def test_errors_are_never_zero_and_cover(extrapolation, levels, function, order):
    exact = derivative(function, 1.3, order=order)
    result = derivative(
        function, 1.3, method="finite", order=order, stepsize=0.1, extrapolation=extrapolation, levels=levels
    )
    assert result.error > 0
    assert abs(result.value - exact.value) <= result.error + exact.error
    assert result.success


@pytest.mark.parametrize("extrapolation", EXTRAPOLATIONS)
def test_extrapolation_is_worth_its_levels(extrapolation):
    plain = derivative(np.exp, 0.3, method="finite", stepsize=0.1, num_points=3)
    better = derivative(np.exp, 0.3, method="finite", stepsize=0.1, num_points=3, extrapolation=extrapolation, levels=4)
    assert abs(better.value - math.exp(0.3)) < 1e-6 * abs(plain.value - math.exp(0.3))


@pytest.mark.parametrize("num_points", [3, 5, 7, 9])
@pytest.mark.parametrize("function", [np.sin, np.exp, np.log, np.sqrt])
@pytest.mark.parametrize("stepsize", [1e-1, 1e-2, 1e-5, 1e-8])
def test_the_error_of_a_plain_stencil_covers(num_points, function, stepsize):
    exact = derivative(function, 1.3)
    result = derivative(function, 1.3, method="finite", num_points=num_points, stepsize=stepsize, return_error=True)
    assert 0 < abs(result.value - exact.value) <= result.error + exact.error or result.value == exact.value


def test_a_step_that_does_not_resolve_the_function_is_no_success():
    result = derivative(lambda x: np.sin(1000 * x), 0.5, method="finite", return_error=True)
    assert not result.success
    assert "step" in result.message


@pytest.mark.parametrize("options", [{"return_error": True}, {"extrapolation": "ridders"}])
def test_a_kink_is_no_success(options):
    result = derivative(abs, 0.0, method="finite", **options)
    assert not result.success
    assert result.error >= 1.0


@pytest.mark.parametrize(
    ("options", "evaluations"),
    [
        ({"num_points": 3}, 3),
        ({"num_points": 5}, 5),
        ({"num_points": 9}, 9),
        ({"num_points": 5, "extrapolation": "richardson", "levels": 4}, 11),  # two new points for each level
        ({"num_points": 3, "extrapolation": "ridders", "levels": 4}, 9),
        ({"num_points": 5, "return_error": True}, 11),
    ],
)
def test_nested_points_are_reused(options, evaluations):
    assert derivative(np.sin, 1.0, method="finite", **options).n_evaluations == evaluations


def test_a_stencil_outside_the_domain_names_the_parameter():
    result = gradient(lambda p: p[0] + np.log(p[1]), [1.0, 1e-4], method="finite")
    assert not result.success
    with pytest.raises(FloatingPointError, match=r"parameter 1 \(x0\[1\] = 0.0001\)"):
        result.checked()
