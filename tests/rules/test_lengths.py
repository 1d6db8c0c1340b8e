"""Squares of lengths are smooth where these have a kink: at 0 their second derivatives are true."""

import numpy as np
import pytest

import archimedes_grad as arc

#: Functions of two numbers whose values are x @ x.
_SQUARES = {
    "abs, to a power": lambda x: np.sum(np.abs(x) ** 2), "abs, to a float": lambda x: np.sum(np.power(np.fabs(x), 2.0)),
    "abs, squared": lambda x: np.sum(np.square(np.abs(x))), "abs twice": lambda x: np.sum(np.abs(x) * np.abs(x)),
    "abs by itself": lambda x: sum(a * a for a in np.abs(x)),
    "abs of numbers": lambda x: abs(x[0]) ** 2 + abs(x[1]) ** 2,
    "abs of complex numbers": lambda x: np.sum(np.abs(x * (0.6 + 0.8j)) ** 2),
    "abs of a complex number": lambda x: abs(x[0] + 1j * x[1]) ** 2,
    "spectrum": lambda x: np.mean(np.abs(np.fft.fft(x)) ** 2),
    "norm": lambda x: np.linalg.norm(x) ** 2, "norm of rows": lambda x: np.sum(np.linalg.norm(x[:, None], axis=1) ** 2),
    "norm by itself": lambda x: (lambda n: n * n)(np.linalg.norm(x)),
    "norm of a matrix": lambda x: np.linalg.norm(np.diag(x)) ** 2,
    "norm, reshaped": lambda x: np.sum(np.linalg.norm(np.outer(x, [0.6, 0.8]), axis=1, keepdims=True) ** 2),
    "hypot": lambda x: np.hypot(x[0], x[1]) ** 2, "hypot of many": lambda x: np.sum(np.hypot(0.6 * x, 0.8 * x) ** 2),
    "hypot with a constant": lambda x: np.sum(np.hypot(x, 0.0) ** 2),
    "multiple": lambda x: (3 * np.linalg.norm(x) / 1.5) ** 2 / 4,
    "quotient": lambda x: np.sum((-np.abs(x) / (2 + x)) ** 2 * (2 + x) ** 2),
    "std": lambda x: np.std(np.array([x[0], -x[0]])) ** 2 + x[1] ** 2,
}  # fmt: skip


@pytest.mark.parametrize("square", _SQUARES.values(), ids=_SQUARES)
@pytest.mark.parametrize("point", [[0.0, 0.0], [0.0, -0.0], [0.3, 0.0], [1e-200, 0.0], [0.3, -0.4]], ids=str)
def test_squares_of_lengths(square, point):
    x, direction = np.array(point), np.array([0.2, -1.3])
    np.testing.assert_allclose(arc.compile(square)(x), square(x), rtol=1e-15)
    np.testing.assert_allclose(arc.grad(square)(x), 2 * x, rtol=1e-14)
    for hessian in (arc.hess(square), arc.jac(arc.grad(square)), arc.jac(arc.jac(square))):
        np.testing.assert_allclose(hessian(x), 2 * np.eye(2), atol=1e-14)
    np.testing.assert_allclose(arc.hvp(square)(x, direction), 2 * direction, rtol=1e-13)


@pytest.mark.parametrize(("function", "curvature"), [
    (lambda x: np.cos(np.linalg.norm(x)), -1), (lambda x: np.cosh(np.linalg.norm(x)), 1),
    (lambda x: np.sum(np.cos(2 * np.abs(x))), -4), (lambda x: np.sum(np.cosh(np.hypot(x, 0.0)[::-1])), 1),
])  # fmt: skip
def test_even_functions_of_lengths(function, curvature):
    at_zero = np.zeros(2)
    np.testing.assert_array_equal(arc.grad(function)(at_zero), [0, 0])
    np.testing.assert_array_equal(arc.hess(function)(at_zero), curvature * np.eye(2))
    np.testing.assert_array_equal(arc.compile(function)(np.array([0.3, -2.0])), function(np.array([0.3, -2.0])))


def test_what_is_added_to_a_length_or_chosen_beside_it_is_no_length():
    at_zero = np.zeros(2)
    for function, curvature in (
        (lambda x: (np.linalg.norm(x) + 1) ** 2, 0), (lambda x: (np.hypot(x[0], x[1]) + 1) ** 2, 0),
        (lambda x: np.where(x[0] != 0, np.sqrt(x[1] + 3), 0.0) ** 2 + x @ x, 2),
    ):  # fmt: skip
        np.testing.assert_array_equal(arc.grad(function)(at_zero), [0, 0])
        np.testing.assert_array_equal(arc.hess(function)(at_zero), curvature * np.eye(2))


def test_other_smooth_functions_of_what_has_a_kink_have_the_second_derivatives_of_its_slope():
    at_zero = np.zeros(2)
    for function, curvature in (
        (lambda x: np.sinc(np.linalg.norm(x)), 0), (lambda x: np.sum(np.maximum(x, 0) ** 2 + np.minimum(x, 0) ** 2), 1),
    ):  # fmt: skip
        np.testing.assert_array_equal(arc.hess(function)(at_zero), curvature * np.eye(2))


def test_multiples_that_are_not_finite_are_numpys():
    x, factors = np.array([3.0, -4.0]), np.array([0.0, np.inf, np.nan, 2.0])
    with np.errstate(all="ignore"):
        for function in (
            lambda x: (np.linalg.norm(x) / factors) ** 2, lambda x: (np.linalg.norm(x) * factors) ** 2,
            lambda x: np.cos(np.linalg.norm(x) * factors), lambda x: np.cosh(np.abs(x)[:, None] / factors),
        ):  # fmt: skip
            for at in (x, 0 * x):
                np.testing.assert_array_equal(arc.compile(function)(at), function(at))


def test_squares_of_lengths_are_numpys_to_the_last_digit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1000)) * 10.0 ** rng.integers(-180, 180, (2, 1000))
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-320, 1.0])
    x, y = (np.concatenate([a, b.ravel()]) for a, b in zip((x, y), np.meshgrid(special, special), strict=True))
    with np.errstate(all="ignore"):
        for function in (lambda x, y: np.abs(x) ** 2, lambda x, y: np.hypot(x, y) ** 2):
            np.testing.assert_array_almost_equal_nulp(*np.nan_to_num([arc.compile(function)(x, y), function(x, y)]), 4)
            np.testing.assert_array_equal(np.isfinite(arc.compile(function)(x, y)), np.isfinite(function(x, y)))
