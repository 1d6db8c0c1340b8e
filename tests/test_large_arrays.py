"""Arrays of many entries are traced and differentiated without a cost for each entry, and travel like small ones."""

import pickle

import casadi as cs
import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.nodes import patterns

X = np.linspace(-1.0, 1.0, 24_000)

#: Each reshapes, repeats, joins or splits more entries than patterns are built anew for.
FUNCTIONS = [
    lambda x: np.sum((x.reshape(20, 1200)[:, None, :] * np.ones((1, 3, 1))) ** 2),
    lambda x: np.sum(np.max(x.reshape(40, 600), axis=1) ** 2),
    lambda x: np.sum((x.reshape(6, 50, 80) @ np.swapaxes(x.reshape(6, 50, 80), 1, 2)) ** 2),
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("engine", ["vm", "native"])
def test_gradients_are_right(function, engine):
    gradient = arc.grad(function, engine=engine)(X)
    direction = np.cos(np.arange(X.size))
    step = 1e-6
    slope = (function(X + step * direction) - function(X - step * direction)) / (2 * step)
    np.testing.assert_allclose(gradient @ direction, slope, rtol=1e-6)


def folded(x):
    return np.sum(np.sin(x.reshape(120, 200)) * x.reshape(120, 200)[::-1])


def test_a_graph_of_casts_travels():
    gradient = arc.grad(folded)
    expected = gradient(X)
    again = pickle.loads(pickle.dumps(gradient))
    assert np.array_equal(again(X), expected)
    function = cs.Function.deserialize(gradient.to_casadi(X).serialize())
    assert np.array_equal(function(X).full().ravel(), expected)


def test_no_pattern_outlives_its_trace():
    arc.grad(FUNCTIONS[1])(X)
    assert patterns._kept == {}
    with pytest.raises(ValueError, match="reshape"):
        arc.grad(lambda x: np.sum(x.reshape(120, 200).reshape(7, 7)))(X)
    assert patterns._kept == {}
