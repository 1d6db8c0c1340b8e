"""Fits on nodes of the caller's, each part against its definition."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric.ladder import EPSILON
from archimedes_grad.numeric.noise import deviations
from archimedes_grad.numeric.options import validate_options
from archimedes_grad.numeric.polynomial_fit import (
    _errors,
    _Fit,
    _fit,
    _power_coefficient,
    fit_derivative,
    half_width,
    nodes,
)
from archimedes_grad.numeric.sampling import LineSampler


def wavy(t):
    return math.exp(3 * t) + math.cos(9 * t)


def sampler_of(*functions):
    def rows(t):
        return np.array([[f(float(s)) for f in functions] for s in t], dtype=float)

    return LineSampler(rows, rows([0.0])[0], 0.0)


WIDTHS = {
    (1.0, 0.3, None): 0.3,
    (-5.0, None, None): 0.1,
    (5.0, "auto", None): 0.1,
    (-5.0, "10%", None): 0.5,
    (0.01, "10%", None): 1e-3,
    (0.01, "10%", 0.2): 0.2,
    (100.0, "10%", 0.2): 10.0,
}


@pytest.mark.parametrize("case", WIDTHS)
def test_half_widths(case):
    assert half_width(*case) == pytest.approx(WIDTHS[case])


@pytest.mark.parametrize(("lower", "upper"), [(-9.0, 9.0), (-0.1, 9.0), (-9.0, 0.05), (-0.1, 0.05)])
@pytest.mark.parametrize("count", [3, 4, 11])
def test_nodes_are_chebyshevs_within_the_domain(lower, upper, count):
    found = nodes(2.0, {"grid": None, "spacing": 0.2, "base_abs": None, "n_points": count}, lower, upper)
    low, high = max(-0.2, lower), min(0.2, upper)
    expected = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (2 * np.arange(count) + 1) / (2 * count))
    np.testing.assert_allclose(found, np.sort(expected[np.abs(expected) > 1e-10]), rtol=1e-12)


def test_the_ends_of_the_domain_belong_to_it():
    def given(kind, *numbers):
        return nodes(1.0, {"grid": (kind, numbers)}, -0.5, 0.25)

    np.testing.assert_array_equal(given("offsets", 0.25, 0.0, -0.5), [-0.5, 0.25])
    np.testing.assert_array_equal(given("absolute", 0.5, 1.0, 1.25), [-0.5, 0.25])
    for kind, outside in (("offsets", 0.26), ("offsets", -0.51), ("absolute", 1.26), ("absolute", 0.49)):
        with pytest.raises(ValueError, match=r"\[0.5, 1.25\]"):
            given(kind, outside, 1.1 if kind == "absolute" else 0.1)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("order", [1, 2])
def test_a_fit_is_least_squares(degree, order):
    if degree < order:
        return
    t = np.array([-1.0, -0.6, -0.3, 0.0, 0.2, 0.5, 0.9])
    y = np.array([[wavy(s), s**2] for s in t])
    fit = _fit(t, y, degree, order, 0.0)
    basis = np.polynomial.polynomial.polyvander(t, degree)
    coefficients = np.linalg.pinv(basis) @ y
    np.testing.assert_allclose(fit.value, coefficients[order], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fit.residual, y - basis @ coefficients, atol=1e-12)
    np.testing.assert_allclose(fit.weights @ y, fit.value)
    assert fit.freedom == 6 - degree
    scatter = np.sqrt(np.sum(fit.residual**2, axis=0) / max(6 - degree, 1))
    np.testing.assert_allclose(fit.scatter, scatter)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("ridge", [1e-3, 2.0])
def test_a_ridge_penalises_what_is_beyond_the_order(order, ridge):
    t = np.linspace(-1.0, 1.0, 8)
    y = np.array([[wavy(s)] for s in t])
    fit = _fit(t, y, 5, order, ridge)
    basis = np.polynomial.chebyshev.chebvander(t, 5)
    penalty = ridge * np.diag([0.0] * (order + 1) + [1.0] * (5 - order))
    coefficients = np.linalg.solve(basis.T @ basis + penalty, basis.T @ y)
    np.testing.assert_allclose(fit.value, np.polynomial.chebyshev.cheb2poly(coefficients[:, 0])[order], rtol=1e-9)
    np.testing.assert_allclose(fit.residual, y - basis @ coefficients, atol=1e-10)


def test_coefficients_of_powers():
    for index in range(7):
        polynomial = np.polynomial.Chebyshev.basis(index).convert(kind=np.polynomial.Polynomial).coef
        for power in range(5):
            expected = polynomial[power] if power < len(polynomial) else 0.0
            assert _power_coefficient(index, power) == pytest.approx(expected)


def test_a_fit_is_judged_by_the_next_two_degrees_or_by_the_two_before():
    fits = [
        _Fit(np.array([1.0, 5.0]), np.array([[0.3, 0.0], [-0.3, 0.0], [0.1, 0.0]]), np.array([3.0, 4.0]), 2),
        _Fit(np.array([1.5, 5.0]), np.array([[0.1, 0.0], [-0.1, 0.0], [0.0, 0.0]]), np.array([6.0, 8.0]), 1),
        _Fit(np.array([4.0, 6.0]), np.zeros((3, 2)), np.array([9.0, 12.0]), 0),
    ]
    assert fits[0].scatter[1] == 0.0
    rounding = np.array([1e-2, 1e-3])
    expected = [
        5 * (deviations(2) * fits[0].scatter + 2 * rounding) + [3.0, 1.0],
        [np.inf, np.inf],  # one degree above and one below
        15 * 2 * rounding + [3.0, 1.0],
    ]
    np.testing.assert_allclose(_errors(fits, rounding), expected)
    np.testing.assert_array_equal(_errors(fits[:2], rounding), np.inf)


def fitted(*functions, order=1, **options):
    return fit_derivative(sampler_of(*functions), order, 0.0, validate_options("adaptive", options))


@pytest.mark.parametrize(
    ("order", "count", "degrees"), [(1, 3, 2), (1, 4, 2), (1, 5, 2), (1, 11, 8), (2, 5, 3), (2, 30, 12)]
)
def test_degrees_leave_samples_to_judge_by(order, count, degrees):
    """The highest degree leaves two samples more than coefficients, if there are as many."""
    offsets = np.linspace(-0.5, 0.5, count)
    offsets = offsets[np.abs(offsets) > 1e-9]
    count = len(offsets) + 1
    found = fitted(lambda t: t**degrees, order=order, grid=("offsets", offsets))
    highest = max(order + 1, min(count - 3, order + 10))
    assert order <= found.details["degree"][0] <= highest
    exact = fitted(lambda t: (1 + t) ** highest, order=order, grid=("offsets", offsets))
    assert exact.details["degree"][0] <= highest


@pytest.mark.parametrize("order", [1, 2, 3])
def test_each_output_has_the_degree_of_its_least_error(order):
    functions = (wavy, lambda t: (2 + t) ** 3, lambda t: 5.0)
    offsets = np.linspace(-0.35, 0.4, 14)
    found = fitted(*functions, order=order, grid=("offsets", offsets))
    t = np.sort([*offsets, 0.0]) / 0.4
    y = np.array([[f(0.4 * s) for f in functions] for s in t])
    highest = min(12, order + 10)
    fits = [_fit(t, y - y[t == 0.0], degree, order, 0.0) for degree in range(order, highest + 3)]
    errors = _errors(fits, EPSILON * np.abs(y).max(axis=0))[: highest - order + 1]
    scale = math.factorial(order) / 0.4**order
    for output in range(3):
        k = int(np.argmin(errors[:, output]))
        assert found.details["degree"][output] == order + k
        np.testing.assert_allclose(found.value[output], scale * fits[k].value[output], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.error[output], scale * errors[k, output], rtol=1e-6)
        np.testing.assert_allclose(found.details["residual"][:, output], fits[k].residual[:, output], atol=1e-12)
        assert found.step[output] == 0.4
        assert f"degree {order + k} fitted to 15 samples" in found.message[output]


@pytest.mark.parametrize(("size", "good"), [(0.0, True), (0.02, True), (0.2, False)])
def test_scatter_says_whether_a_polynomial_fits(size, good):
    def function(t):
        return t + size * math.copysign(1.0, math.sin(1e5 * t))

    found = fitted(lambda t: t, function, n_points=30, spacing=0.5)
    assert found.success.tolist() == [True, good]
    assert found.status == ["converged", "converged" if good else "failed"]
    assert ("no polynomial fits" in found.message[1]) is not good


def test_rounding_is_no_scatter():
    assert fitted(lambda t: 1e8 + 1e-9 * t, n_points=10, spacing=0.1).success.all()


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1.0, 1e200, 1e300])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_claims_do_not_depend_on_units(size, order):
    """The squares of residuals vanish below 1e-160, and with them vanished what the fit misses."""
    found = fitted(lambda t: size * math.sin(1 + t), order=order, spacing=0.3)
    true = size * math.sin(1 + order * math.pi / 2)
    assert abs(found.value[0] - true) <= found.error[0] < 1e-2 * size


@pytest.mark.parametrize(("order", "count"), [(2, 8), (2, 10), (2, 20), (4, 20)])
def test_even_functions_are_judged_by_degrees_that_change_them(order, count):
    found = fitted(lambda t: 1 / (1 + 25 * t * t), order=order, n_points=count, spacing=0.3)
    assert abs(found.value[0] - {2: -50.0, 4: 15000.0}[order]) <= found.error[0]


def test_intervals_of_any_width():
    with np.errstate(over="ignore"):
        assert fitted(lambda t: t * 1e-200, order=3, spacing=1e200).value[0] == 0.0


def test_undefined_nodes_give_nothing():
    found = fitted(lambda t: t if t < 0.1 else math.nan, lambda t: t, grid=("offsets", [-0.3, -0.1, 0.2]))
    assert np.isnan(found.value).all()
    np.testing.assert_array_equal(found.error, [np.inf] * 2)
    np.testing.assert_array_equal(found.step, [0.3] * 2)
    assert (found.success.tolist(), found.status) == ([False] * 2, ["failed"] * 2)
    assert "not finite at a node" in found.message[1]


@pytest.mark.parametrize("count", [4, 5, 6, 8, 10])
@pytest.mark.parametrize("distance", [1.2, 1.5, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_few_nodes_beside_a_pole(count, distance, side):
    pole = side * distance
    for function, true in (
        (lambda t: 1 / (t - pole), -1 / pole**2),
        (lambda t: 1 / (t - pole) ** 2, 2 / pole**3),
        (lambda t: math.log(abs(t - pole)), -1 / pole),
    ):
        found = fitted(function, n_points=count, spacing=1.0)
        assert abs(found.value[0] - true) <= found.error[0]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_samples_that_leave_none_to_judge_by_claim_nothing(order):
    """Of symmetric samples every second degree says the same."""
    offsets = {1: [-0.1, 0.1], 2: [-0.1, 0.1, 0.2], 3: [-0.2, -0.1, 0.1, 0.2], 4: [-0.2, -0.1, 0.1, 0.2, 0.3]}[order]
    few = fitted(math.exp, order=order, grid=("offsets", offsets))
    assert few.error[0] == np.inf
    assert (few.success[0], few.status[0]) == (False, "failed")
    assert f"give at least {order + 2} nodes" in few.message[0]
    enough = fitted(math.exp, order=order, grid=("offsets", [*offsets, 0.35]))
    assert abs(enough.value[0] - 1.0) <= enough.error[0] < np.inf
