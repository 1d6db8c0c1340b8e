"""Black boxes in a graph: values, derivatives of both kinds, second order, exceptions, lifetime."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest
from helpers import in_threads

import archimedes_grad as arc

X = np.array([0.3, 1.1, -0.4])
A = np.array([[1.0, 2.0, 0.5], [0.3, -1.0, 2.0]])


def simulator(x):
    return np.array([math.sin(x[0]) * x[1], math.exp(x[2])])


def slopes(x, w):
    return np.array([w[0] * math.cos(x[0]) * x[1], w[0] * math.sin(x[0]), w[1] * math.exp(x[2])])


def traceable(x):
    return np.stack([np.sin(x[0]) * x[1], np.exp(x[2])])


def model(inner):
    return lambda x: np.sum(inner(2 * x) ** 2) * x[0]


BOXES = {
    "adaptive": lambda x: arc.callback(simulator, np.zeros(2), x),
    "finite": lambda x: arc.callback(simulator, np.zeros(2), x, derivative="finite"),
    "vjp": lambda x: arc.callback(simulator, np.zeros(2), x, derivative=slopes),
}


@pytest.mark.parametrize("kind", BOXES)
def test_values_and_derivatives(kind):
    boxed, plain = model(BOXES[kind]), model(traceable)
    np.testing.assert_allclose(arc.compile(boxed)(X), plain(X), rtol=1e-14)
    compiled = arc.grad(boxed)
    for x in (X, X + 0.1):
        np.testing.assert_allclose(compiled(x), arc.grad(plain)(x), rtol=1e-7)
    direction = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(arc.jvp(boxed)(X, direction), arc.jvp(plain)(X, direction), rtol=1e-7)
    np.testing.assert_allclose(arc.jac(BOXES[kind])(X), arc.jac(traceable)(X), rtol=1e-7)


@pytest.mark.parametrize("kind", ["adaptive", "vjp"])
def test_second_order(kind):
    np.testing.assert_allclose(arc.hess(model(BOXES[kind]))(X), arc.hess(model(traceable))(X), rtol=1e-5, atol=1e-6)


def test_several_arguments_numbers_and_constants():
    def function(x, scale):
        return arc.callback(lambda a, s, m: float(s * np.sum(m @ a)), 0.0, x, scale, A)

    value, (by_x, by_scale) = arc.value_and_grad(function, argnums=(0, 1))(X, 3.0)
    np.testing.assert_allclose(value, 3 * np.sum(A @ X))
    np.testing.assert_allclose(by_x, 3 * A.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(by_scale, np.sum(A @ X), rtol=1e-9)


def test_outside_a_trace_it_is_the_function():
    np.testing.assert_array_equal(arc.callback(simulator, np.zeros(2), X), simulator(X))


def test_the_users_exception_comes_through_as_itself():
    class Diverged(Exception):
        pass

    def fails_below_zero(x):
        if x < 0:
            raise Diverged("at a negative load")
        return x**2

    gradient = arc.value_and_grad(lambda x: arc.callback(fails_below_zero, 0.0, x) * 2)
    assert gradient(2.0)[0] == 8.0
    with pytest.raises(Diverged, match="negative load"):
        gradient(-1.0)
    np.testing.assert_allclose(gradient(3.0)[1], 12.0, rtol=1e-8)


def test_what_follows_a_failed_guard_raises_nothing():
    def root(x):
        if x < 0:
            raise ValueError("negative")
        return math.sqrt(x)

    gradient = arc.value_and_grad(lambda x: arc.callback(root, 0.0, x) if x > 0 else -x)
    assert gradient(4.0)[0] == 2.0
    assert gradient(-1.0) == (1.0, -1.0)
    assert gradient(9.0)[0] == 3.0


def test_a_complex_step_through_a_callback():
    def inside(x):
        return arc.callback(lambda t: np.sin(t) * t, np.zeros(3), x, derivative="complex")

    np.testing.assert_allclose(arc.jac(inside)(X), np.diag(np.cos(X) * X + np.sin(X)), rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(arc.jvp(inside)(X, X), (np.cos(X) * X + np.sin(X)) * X, rtol=1e-15)
    total = lambda x: np.sum(inside(x))
    np.testing.assert_allclose(np.diag(arc.hess(total)(X)), 2 * np.cos(X) - X * np.sin(X), rtol=1e-9)
    with pytest.raises(TypeError, match="Use method='adaptive'"):
        arc.grad(lambda x: arc.callback(abs, 0.0, x, derivative="complex"))(1.0)


def test_nothing_is_kept_alive_after_the_function_is_dropped():
    class Simulator:
        def __call__(self, x):
            return float(np.sum(x**2))

    simulator = Simulator()
    alive = weakref.ref(simulator)
    gradient = arc.grad(lambda x, s=simulator: arc.callback(s, 0.0, x))
    np.testing.assert_allclose(gradient(X), 2 * X, rtol=1e-8)
    del gradient, simulator
    gc.collect()
    assert alive() is None


def test_threads_get_their_own_results_and_exceptions():
    def fails_for_negative(x):
        if x < 0:
            raise ValueError(repr(float(x)))
        return x * x

    gradient = arc.value_and_grad(lambda x: arc.callback(fails_for_negative, 0.0, x, derivative=lambda x, w: 2 * x * w))
    gradient(1.0)
    wrong = []

    def work(seed):
        for x in np.random.default_rng(seed).uniform(-1, 1, size=100):
            try:
                got = float(gradient(x)[1])
            except ValueError as error:
                got = str(error)
            if got != (repr(float(x)) if x < 0 else 2 * x):
                wrong.append((x, got))

    in_threads(work, range(4))
    assert wrong == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: arc.callback(simulator, 0.0, x), r"shape \(2,\).*shape \(\)"),
        (lambda x: arc.callback(simulator, np.zeros(2), x, derivative="magic"), "adaptive"),
        (lambda x: arc.callback(simulator, np.zeros(2), x, derivative=lambda x, w: w)[0], r"cotangents of shapes"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        arc.grad(lambda x: np.sum(call(x)))(X)


@pytest.mark.parametrize("derivative", ["adaptive", "finite", "complex"])
@pytest.mark.parametrize("transform", [lambda f: lambda x: arc.jvp(f)(x, 1.0), arc.jac, arc.grad])
def test_derivatives_do_not_depend_on_units(transform, derivative):
    """A tangent that comes out of the graph may have any length: steps go by the arguments of the function."""
    slope = transform(lambda p: arc.callback(np.sin, 0.0, 1e6 * p, derivative=derivative))(1e-6)
    np.testing.assert_allclose(slope, 1e6 * np.cos(1.0), rtol=1e-6)


def test_curvature_at_a_large_argument():
    curvature = arc.hess(lambda p: arc.callback(lambda x: x * x, 0.0, p))(1e12)
    np.testing.assert_allclose(curvature, 2.0, rtol=1e-6)


@pytest.mark.parametrize("x", [-1.0, 4.0])
def test_a_branch_that_is_not_taken_is_not_called(x):
    asked = []

    def root(t):
        asked.append(float(t))
        return math.sqrt(t)

    def function(x):
        return arc.cond(x > 0, lambda x: arc.callback(root, 0.0, x), lambda x: -x, x)

    assert arc.grad(function)(x) == pytest.approx(0.25 if x > 0 else -1.0)
    assert min(asked, default=1.0) > 0
