"""scipy.optimize: gradients, Hessians, products and sparse Jacobians passed as they are."""

import numpy as np
import pytest
from scipy import optimize

import archimedes_grad as arc

START = np.array([-1.2, 1.0, 0.7])


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


METHODS = {
    "BFGS": {"jac": arc.grad(rosenbrock)},
    "L-BFGS-B": {"jac": arc.grad(rosenbrock)},
    "CG": {"jac": arc.grad(rosenbrock)},
    "TNC": {"jac": arc.grad(rosenbrock), "options": {"maxfun": 1000}},
    "SLSQP": {"jac": arc.grad(rosenbrock)},
    "Newton-CG": {"jac": arc.grad(rosenbrock), "hess": arc.hess(rosenbrock)},
    "trust-exact": {"jac": arc.grad(rosenbrock), "hess": arc.hess(rosenbrock)},
    "trust-krylov": {"jac": arc.grad(rosenbrock), "hessp": arc.hvp(rosenbrock)},
    "trust-ncg": {"jac": arc.grad(rosenbrock), "hessp": arc.hvp(rosenbrock)},
    "trust-constr": {"jac": arc.grad(rosenbrock), "hess": arc.hess(rosenbrock, sparse=True)},
}


@pytest.mark.parametrize("method", METHODS)
def test_minimize(method):
    found = optimize.minimize(arc.compile(rosenbrock), START, method=method, **METHODS[method])
    np.testing.assert_allclose(found.x, 1.0, atol=1e-3)


def test_value_and_gradient_in_one():
    found = optimize.minimize(arc.value_and_grad(rosenbrock), START, jac=True, method="BFGS")
    assert found.success
    np.testing.assert_allclose(found.x, 1.0, atol=1e-5)


def test_constraints_with_jacobians():
    def circle(x):
        return np.sum(x**2)

    constraint = optimize.NonlinearConstraint(arc.compile(circle), 1.0, 1.0, jac=arc.grad(circle))
    for method in ("SLSQP", "trust-constr"):
        found = optimize.minimize(
            arc.compile(rosenbrock), START, jac=arc.grad(rosenbrock), method=method, constraints=constraint
        )
        assert np.sum(found.x**2) == pytest.approx(1.0, abs=1e-6)
        # At the minimum the gradients of the two are parallel.
        slopes = np.stack([arc.grad(rosenbrock)(found.x), arc.grad(circle)(found.x)])
        assert np.linalg.svd(slopes, compute_uv=False)[1] < 1e-2 * np.linalg.norm(slopes)


def residuals(x, t, y):
    return x[0] * np.exp(-x[1] * t) + x[2] - y


def test_least_squares_and_curve_fit():
    t = np.linspace(0.0, 4.0, 40)
    y = 2.0 * np.exp(-1.3 * t) + 0.5
    found = optimize.least_squares(arc.compile(residuals), [1.0, 1.0, 0.0], jac=arc.jac(residuals), args=(t, y))
    np.testing.assert_allclose(found.x, [2.0, 1.3, 0.5], rtol=1e-6)

    def model(t, scale, rate, level):
        return scale * np.exp(-rate * t) + level

    columns = arc.jac(model, argnums=(1, 2, 3))
    fitted, _ = optimize.curve_fit(
        model, t, y, p0=[1.0, 1.0, 0.0], jac=lambda t, *p: np.stack(columns(t, *p), axis=1)
    )
    np.testing.assert_allclose(fitted, [2.0, 1.3, 0.5], rtol=1e-6)


def chain(x):
    """Residuals of a chain of springs: each depends on two neighbours."""
    return np.concatenate([np.diff(x) - 1.0, 0.1 * x**2])


def test_least_squares_with_a_sparse_jacobian():
    start = np.linspace(-1.0, 1.0, 60)
    sparse = optimize.least_squares(arc.compile(chain), start, jac=arc.jac(chain, sparse=True), tr_solver="lsmr")
    dense = optimize.least_squares(arc.compile(chain), start, jac=arc.jac(chain))
    assert sparse.success
    assert sparse.cost == pytest.approx(dense.cost, rel=1e-6)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method):
    def equations(x):
        return np.array([x[0] + 0.5 * (x[0] - x[1]) ** 3 - 1.0, 0.5 * (x[1] - x[0]) ** 3 + x[1]])

    found = optimize.root(arc.compile(equations), [0.0, 0.0], jac=arc.jac(equations), method=method)
    assert found.success
    np.testing.assert_allclose(found.x, [0.8411639, 0.1588361], rtol=1e-6)


def test_root_scalar_with_two_derivatives():
    def f(x):
        return x**3 - 2.0

    found = optimize.root_scalar(
        arc.compile(f), x0=1.0, fprime=arc.grad(f), fprime2=arc.grad(arc.grad(f)), method="halley"
    )
    assert found.root == pytest.approx(2.0 ** (1 / 3), rel=1e-12)
