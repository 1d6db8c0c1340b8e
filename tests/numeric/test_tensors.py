"""Gradients, Jacobians, Hessians and beyond: right entries, symmetry, shared evaluations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archimedes_grad.numeric import gradient, hessian, hessian_diag, hyper_hessian, jacobian


def rosenbrock(x):
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def rosenbrock_gradient(x):
    g = np.zeros_like(x)
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    g[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    return g


def rosenbrock_hessian(x):
    n = len(x)
    h = np.zeros((n, n))
    for i in range(n - 1):
        h[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        h[i + 1, i + 1] += 200
        h[i, i + 1] = h[i + 1, i] = -400 * x[i]
    return h


POINTS = [np.linspace(-1.2, 1.3, 10), np.random.default_rng(0).uniform(-2, 2, 10), np.full(10, 0.9)]


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize(
    ("method", "options", "evaluations", "accuracy"),
    [("finite", {}, 41, 1e-8), ("adaptive", {}, 150, 1e-9), ("finite", {"extrapolation": "ridders"}, 81, 1e-8)],
)
def test_rosenbrock_gradient(x, method, options, evaluations, accuracy):
    result = gradient(rosenbrock, x, method=method, **options)
    true = rosenbrock_gradient(x)
    assert result.n_evaluations <= evaluations
    assert np.linalg.norm(result.value - true) <= accuracy * np.linalg.norm(true)
    if method == "adaptive":
        assert (np.abs(result.value - true) <= result.error).all()


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize(("method", "evaluations"), [("finite", 762), ("adaptive", 900)])
def test_rosenbrock_hessian(x, method, evaluations):
    result = hessian(rosenbrock, x, method=method)
    true = rosenbrock_hessian(x)
    assert result.n_evaluations <= evaluations
    assert np.abs(result.value - true).max() <= 1e-5 * np.abs(true).max()
    assert (result.value == result.value.T).all()
    if method == "adaptive":
        assert (np.abs(result.value - true) <= result.error).all()


@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
def test_a_jacobian_shares_its_evaluations(method):
    calls = []

    def function(p):
        calls.append(1)
        return np.exp(np.outer(np.arange(1, 6), p).sum(axis=1) / 5)

    one = jacobian(lambda p: function(p)[:1], [0.1, 0.2, 0.3], method=method)
    calls.clear()
    result = jacobian(function, [0.1, 0.2, 0.3], method=method)
    assert result.n_evaluations == len(calls) <= 2 * one.n_evaluations
    true = np.exp(np.arange(1, 6) * 0.6 / 5)[:, None] * np.arange(1, 6)[:, None] / 5 * np.ones(3)
    np.testing.assert_allclose(result.value, true, rtol=1e-7)
    assert result.value.shape == result.error.shape == (5, 3)


@given(
    coefficients=st.lists(st.floats(-3, 3), min_size=6, max_size=6),
    x=st.lists(st.floats(-2, 2), min_size=2, max_size=2),
    method=st.sampled_from(["finite", "adaptive"]),
)
def test_second_derivatives_of_quadratics(coefficients, x, method):
    a, b, c, d, e, f = coefficients

    def quadratic(p):
        return a * p[0] ** 2 + b * p[0] * p[1] + c * p[1] ** 2 + d * p[0] + e * p[1] + f

    result = hessian(quadratic, x, method=method)
    true = np.array([[2 * a, b], [b, 2 * c]])
    np.testing.assert_allclose(result.value, true, atol=1e-6)
    if method == "adaptive":
        np.testing.assert_allclose(hessian_diag(quadratic, x).value, np.diag(true), atol=1e-6)


def test_claims_cover_the_errors_of_second_derivatives():
    rng = np.random.default_rng(0)

    def covered(a, b, c, d, e, f):
        point = rng.uniform(-2, 2, size=2)
        result = hessian(
            lambda p: a * p[0] ** 2 + b * p[0] * p[1] + c * p[1] ** 2 + d * p[0] + e * p[1] + f, point
        )
        return np.abs(result.value - np.array([[2 * a, b], [b, 2 * c]])) <= result.error

    coefficients = rng.uniform(-3, 3, size=(150, 6)) * 10.0 ** rng.integers(-10, 1, size=(150, 6))
    assert np.mean([covered(*row) for row in coefficients]) >= 0.995


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
def test_tensors_of_every_order(order, method):
    direction, x = np.array([0.5, -1.0, 0.7]), np.array([0.3, 0.2, -0.4])
    result = hyper_hessian(lambda p: np.exp(p @ direction), x, order=order, method=method)
    true = np.exp(x @ direction)
    for _ in range(order):
        true = np.multiply.outer(true, direction)
    assert result.value.shape == (3,) * order
    np.testing.assert_allclose(result.value, true, atol={"finite": 1e-2, "adaptive": 1e-4, "complex": 1e-5}[method])
    for axes in itertools.permutations(range(order)):
        np.testing.assert_allclose(np.transpose(result.value, axes), result.value, atol=1e-12)
    if method != "finite":
        assert (np.abs(result.value - true) <= result.error + 1e-15).all()


def test_parameters_of_very_different_scales():
    def function(p):
        return np.sin(p[0] * 1e-4) * np.exp(p[1] * 1e3)

    x = np.array([2e4, 1e-3])
    s, c, e = math.sin(2.0), math.cos(2.0), math.e
    result = hessian(function, x)
    true = np.array([[-1e-8 * s * e, 0.1 * c * e], [0.1 * c * e, 1e6 * s * e]])
    assert (np.abs(result.value - true) <= result.error).all()
    np.testing.assert_allclose(result.value, true, rtol=1e-6)


def test_hessians_of_vector_functions():
    result = hessian(lambda p: np.array([p[0] * p[1], p[1] ** 3]), [1.0, 2.0])
    assert result.value.shape == (2, 2, 2)
    np.testing.assert_allclose(result.value, [[[0, 1], [1, 0]], [[0, 0], [0, 12]]], atol=1e-7)


def test_one_parameter():
    assert gradient(lambda p: p[0] ** 2, [3.0]).value.shape == (1,)
    assert hessian(lambda p: p[0] ** 2, [3.0]).value.shape == (1, 1)
    assert gradient(lambda p: p[0] ** 2, 3.0).value.shape == (1,)


def test_results_are_float64_whatever_comes():
    result = gradient(lambda p: np.float32(p[0]) * 2 + int(p[1] > 0), np.array([1, 2], dtype=np.int32), method="finite")
    assert result.value.dtype == np.float64
    assert gradient(lambda p: p[0] * p[1], np.array([1, 2], dtype=np.float32)).value.dtype == np.float64
    assert isinstance(gradient(lambda p: p[0], [1.0]).value, np.ndarray)


def test_the_function_may_overwrite_its_argument():
    def function(p):
        p *= 2
        return p[0] * p[1]

    np.testing.assert_allclose(gradient(function, [1.0, 2.0]).value, [8.0, 4.0], rtol=1e-10)


@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
def test_vectorized_functions_are_called_with_many_points(method):
    calls = []

    def function(points):
        calls.append(len(points))
        return np.sin(points[:, 0]) * points[:, 1]

    result = gradient(function, [0.5, 2.0], method=method, vectorized=True)
    np.testing.assert_allclose(result.value, [2 * math.cos(0.5), math.sin(0.5)], rtol=1e-8)
    assert sum(calls) == result.n_evaluations
    assert len(calls) < result.n_evaluations
    mixed = hessian(function, [0.5, 2.0], method=method, vectorized=True)
    assert mixed.value[0, 1] == pytest.approx(math.cos(0.5), abs=1e-6)


def test_vectorized_functions_may_leave_their_domain():
    def function(points):
        if (points < 0).any():
            raise ValueError("negative")
        return np.sqrt(points[:, 0])

    result = gradient(function, [1e-6], vectorized=True)
    assert abs(result.value[0] - 500.0) <= result.error[0] < 1e-6
