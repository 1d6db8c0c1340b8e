"""check_grads: passes what is right, and names argument, entry and both numbers of what is wrong."""

import numpy as np
import pytest

import archimedes_grad as arc

X = np.array([0.3, -1.2, 2.5])


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: np.sin(x) ** 2, (X,)),
        (lambda x, n: np.sum(x**n), (X, 3)),
        (lambda p: {"a": np.exp(p["w"]), "i": np.floor(p["w"]).astype(int), "n": None}, ({"w": X, "s": "x"},)),
        (lambda x: arc.scan(lambda c, u: (np.sin(c * u), c), x, np.arange(5.0))[1], (0.3,)),
        (lambda x: np.linalg.inv(x), (np.eye(2) + 0.1,)),
        (lambda x: 1e8 * x**2, (np.array([1e4, 2e4]),)),
    ],
)
def test_right_derivatives_pass(f, args):
    arc.check_grads(f, args, order=2)


def test_third_order():
    arc.check_grads(lambda x: np.exp(np.sin(x)), 0.4, order=3)


def test_a_wrong_jvp_rule_is_named():
    @arc.custom_jvp
    def product(x, y):
        return np.sin(x) * y

    @product.defjvp
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return product(x, y), np.cos(x) * y * dx + np.sin(x) * dy * np.array([1, 1.001, 1])

    with pytest.raises(AssertionError, match=r"product, order 1: argument 'y', entry \[1\]") as caught:
        arc.check_grads(product, (X, X))
    assert f"{1.001 * np.sin(X[1]):.7f}" in str(caught.value)
    assert f"{np.sin(X[1]):.6f}" in str(caught.value)


def test_a_wrong_vjp_rule_is_named_inside_a_tree():
    @arc.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, ct: (2 * x**2 * ct,))
    with pytest.raises(AssertionError, match=r"argument \"?'?p\['w'\]\"?'?, entry \[0\]"):
        arc.check_grads(lambda p: np.sum(cube(p["w"])), ({"w": X},))


def test_a_rule_that_is_wrong_in_second_order_only():
    @arc.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, arc.stop_gradient(x)), lambda x, ct: (3 * x**2 * ct,))
    arc.check_grads(cube, (2.0,), order=1)
    with pytest.raises(AssertionError, match=r"order 2: argument 'x'"):
        arc.check_grads(cube, (2.0,), order=2)


def test_a_stopped_gradient_is_found():
    with pytest.raises(AssertionError, match="order 1"):
        arc.check_grads(lambda x: x * arc.stop_gradient(x), 1.5)


def test_bad_values():
    with pytest.raises(ValueError, match="order"):
        arc.check_grads(np.sin, 1.0, order=0)
    with pytest.raises(ValueError, match="float"):
        arc.check_grads(np.sin, (3,))


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (np.log, (1e-6,)),
        (lambda x: np.sum(np.log(x)), (np.array([1e-6, 2e-6]),)),
        (lambda x: np.sin(1e12 * x), (1e-12,)),
        (lambda x, y: np.sin(x / 1e8) * np.cos(y), (1e8, 0.5)),
        (lambda x, y: np.exp(1e9 * x) * np.exp(1e-9 * y), (1e-9, 1e9)),
        (lambda x, y: np.sin(x) * y, (0.0, 1e-200)),
    ],
)
def test_right_derivatives_pass_whatever_the_units(f, args):
    """One step for all arguments, that of the largest, leaves no digit of the others, or leaves the domain."""
    arc.check_grads(f, args)


def test_a_derivative_by_an_argument_in_large_units_is_checked():
    @arc.custom_jvp
    def wave(x, y):
        return np.sin(x / 1e8) * y

    @wave.defjvp
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return wave(x, y), 2e-8 * np.cos(x / 1e8) * y * dx + np.sin(x / 1e8) * dy

    with pytest.raises(AssertionError, match="argument 'x'"):
        arc.check_grads(wave, (1e8, 0.5))
