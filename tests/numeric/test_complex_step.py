"""Complex step: exact where the function is analytic, refused where it is not."""

import cmath
import math

import numpy as np
import pytest

from archimedes_grad import CalculusKit
from archimedes_grad.numeric import derivative, gradient, hessian, hyper_hessian, jacobian

ANALYTIC = [
    (np.sin, 1.0, math.cos(1.0)),
    (np.exp, 20.0, math.exp(20.0)),
    (np.log, 1e-4, 1e4),
    (lambda x: np.sin(1000 * x), 0.5, 1000 * math.cos(500.0)),
    (np.sqrt, 1e-6, 500.0),
    (lambda x: 1e10 + x, 1.0, 1.0),
    (cmath.exp, 1.0, math.e),
    (lambda x: 7.0, 1.0, 0.0),
    (lambda x: x * x, 0.0, 0.0),
]


@pytest.mark.parametrize(("function", "x", "true"), ANALYTIC)
def test_analytic_functions_are_exact(function, x, true):
    # cmath answers real arguments with complex numbers too, so its real part is taken for them
    real = (
        (lambda t: function(t) if isinstance(t, complex) else function(t).real) if function is cmath.exp else function
    )
    result = derivative(real, x, method="complex")
    assert abs(result.value - true) <= 1e-14 * abs(true)


NOT_ANALYTIC = {
    "abs": lambda p: np.abs(p[0]) + p[1],
    "norm": lambda p: np.linalg.norm(p),
    "real": lambda p: p[0].real * p[1],
    "conj": lambda p: np.vdot(p, p),
    "float": lambda p: float(p[0]) ** 2 + p[1],
    "math": lambda p: math.sin(p[0]) + p[1],
    "hidden behind a large part": lambda p: 1e6 * p[1] + np.abs(p[0]),
    "small kink": lambda p: 100 * p[0] + np.abs(p[0] - 1.3) + p[1],
    "kink": lambda p: np.maximum(p[0] - 1.3, 0) + p[1],
    "real array": lambda p: np.asarray(p, dtype=np.float64)[0] ** 2,
}


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_functions_that_are_not_analytic_are_refused(name):
    with pytest.raises(TypeError, match="analytic") as caught:
        gradient(NOT_ANALYTIC[name], [1.3, 2.0], method="complex")
    assert "adaptive" in str(caught.value)


@pytest.mark.parametrize("driver", [hessian, hyper_hessian])
def test_higher_orders_are_refused_too(driver):
    with pytest.raises(TypeError, match="analytic"):
        driver(NOT_ANALYTIC["small kink"], [1.3, 2.0], method="complex")


def test_few_evaluations():
    result = gradient(lambda p: np.sum(100 * (p[1:] - p[:-1] ** 2) ** 2), np.linspace(-1, 1, 10), method="complex")
    assert result.n_evaluations <= 51


def test_higher_orders():
    def function(p):
        return np.exp(p[0] * p[1]) + p[0] ** 3 * p[1]

    x, y = 0.5, 0.3
    e = math.exp(x * y)
    true = np.array([[y * y * e + 6 * x * y, e * (1 + x * y) + 3 * x * x], [e * (1 + x * y) + 3 * x * x, x * x * e]])
    second = hessian(function, [x, y], method="complex")
    assert (np.abs(second.value - true) <= second.error + 1e-15).all()
    assert np.abs(second.value - true).max() < 1e-11
    third = hyper_hessian(function, [x, y], method="complex")
    assert third.value[0, 0, 0] == pytest.approx(y**3 * e + 6 * y, abs=1e-8)
    assert third.value[0, 0, 1] == pytest.approx(e * (2 * y + x * y * y) + 6 * x, abs=1e-8)
    assert derivative(np.sin, 1.0, method="complex", order=2).value == pytest.approx(-math.sin(1.0), abs=1e-11)


def test_vector_outputs():
    result = jacobian(lambda p: np.array([p[0] * p[1], np.sin(p[1])]), [2.0, 0.5], method="complex")
    np.testing.assert_allclose(result.value, [[0.5, 2.0], [0.0, math.cos(0.5)]], rtol=1e-15)


@pytest.mark.parametrize("method", ["complex", "finite", "adaptive"])
def test_a_function_that_is_not_finite_here_has_no_derivative(method):
    kit = CalculusKit(lambda p: np.array([p[0], np.log(p[1])]), [1.0, -1.0])
    with np.errstate(invalid="ignore"), pytest.raises(FloatingPointError, match="not finite"):
        kit.jacobian(method=method)


@pytest.mark.parametrize(
    ("function", "x", "stepsize", "true"),
    [
        (np.sin, 1.0, 1e-3, math.cos(1.0)),
        (lambda x: np.sin(100 * x), 1.0, 1e-5, 100 * math.cos(100.0)),
        (lambda x: 1 / x, 1e-15, 1e-20, -1e30),
        (lambda x: x**3, 0.0, 1e-20, 0.0),
        (np.sin, 1.0, 1e-20, math.cos(1.0)),
    ],
)
def test_what_the_step_leaves_out_is_claimed(function, x, stepsize, true):
    result = derivative(function, x, method="complex", stepsize=stepsize, return_error=True)
    assert abs(result.value - true) <= result.error <= 1e-6 * abs(true) + 1e-39
