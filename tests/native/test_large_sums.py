"""Sums of large arrays: products with ones in a graph that is compiled, loops in its C.

The limit below which nothing is large is lowered here.
"""


import casadi as cs
import numpy as np
import pytest
from helpers import needs_compiler

import archimedes_grad as arc
from archimedes_grad.engines import native
from archimedes_grad.nodes import broadcasts
from archimedes_grad.nodes.blas import on_blas

pytestmark = [needs_compiler, pytest.mark.usefixtures("own_cache")]

RNG = np.random.default_rng(31)


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(broadcasts, "_LARGE", 2)


def variances(x):
    return np.sum(np.var(x, axis=(0, 2)) ** 2) + np.mean((x - np.mean(x, axis=2, keepdims=True)) ** 3)


def softmax(x):
    powers = np.exp(x)
    return np.sum((powers / np.sum(powers, axis=1, keepdims=True)) ** 2)


FUNCTIONS = {
    "first axes": lambda x: np.sum(np.sum(x * x, axis=(0, 1)) ** 2),
    "last axis": lambda x: np.sum(np.sum(np.sin(x), axis=-1) ** 2),
    "axis between": lambda x: np.sum(np.cos(np.sum(x, axis=1))),
    "axes around": lambda x: np.sum(np.exp(np.sum(x, axis=(0, 2)) / 10.0)),
    "an axis of one entry": lambda x: np.sum(np.sum(x[:, :1], axis=1) ** 3) + np.sum(np.sum(x[:1], axis=2) ** 2),
    "axes of a matrix": lambda x: np.sum(np.sum(x[0], axis=0) ** 3) + np.sum(np.sum(x[1], axis=1) ** 3),
    "variances": variances,
    "softmax": softmax,
}


@pytest.mark.parametrize("case", FUNCTIONS, ids=str)
def test_gradients_and_hessians_are_the_interpreters(case):
    x = RNG.normal(size=(6, 7, 5))
    for transformation in (arc.compile, arc.grad, arc.hess):
        got = transformation(FUNCTIONS[case], engine="native")(x)
        expected = transformation(FUNCTIONS[case], engine="vm")(x)
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("case", FUNCTIONS, ids=str)
def test_what_cannot_be_compiled_has_no_products_with_ones(case, monkeypatch):
    met = []

    def refused(function):
        met.append(function)
        return "no compiler"

    x = RNG.normal(size=(6, 7, 5))
    expected = arc.grad(FUNCTIONS[case], engine="vm")(x)
    monkeypatch.setattr(native, "compiled", refused)
    got = arc.grad(FUNCTIONS[case], engine="native")(x)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)
    (function,) = met
    inputs = function.mx_in()
    finished = cs.Function("finished", inputs, on_blas(function.call(inputs, True, False)))
    assert cs.OP_EINSTEIN in operations_of(function)
    assert cs.OP_EINSTEIN not in operations_of(finished)


def operations_of(function):
    return [function.instruction_id(k) for k in range(function.n_instructions())]
