"""Arrays of many entries are traced and differentiated without a cost for each entry, and travel like small ones."""

import pickle

import casadi as cs
import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.nodes import broadcasts, patterns

X = np.linspace(-1.0, 1.0, 24_000)

#: Each reshapes, repeats, joins or splits more entries than patterns are built anew for.
FUNCTIONS = [
    lambda x: np.sum((x.reshape(20, 1200)[:, None, :] * np.ones((1, 3, 1))) ** 2),
    lambda x: np.sum(np.max(x.reshape(40, 600), axis=1) ** 2),
    lambda x: np.sum((x.reshape(6, 50, 80) @ np.swapaxes(x.reshape(6, 50, 80), 1, 2)) ** 2),
    lambda x: np.sum((x[:300] * x[:240, None] + x[-240:, None]) ** 3),
    lambda x: np.sum(np.sin(x[:30, None, None] * x[:300].reshape(30, 10)[:, None, :] + x[:170, None])) * x[5],
    lambda x: np.max(x) + np.log(np.sum(np.exp(x - np.max(x)))) - np.min(x[100:]) ** 2,
    lambda x: np.sum(np.max(x.reshape(40, 600), axis=1)[:, None] * x[:2000]),
    lambda x: np.sum((x.reshape(120, 200) @ x[:200]) ** 2), lambda x: np.sum((x[:120] @ x.reshape(120, 200)) ** 2),
    lambda x: np.sum((x.reshape(200, 120).T @ x[:200]) ** 2), lambda x: np.sum((x[:120] @ x.reshape(200, 120).T) ** 2),
    lambda x: np.sum((MATRIX @ x[:200]) ** 2), lambda x: np.sum((MATRIX.T @ np.sin(MATRIX @ x[:200])) ** 2),
    lambda x: np.sum((x.reshape(200, 120).T @ x[:400].reshape(200, 2)) ** 2),
]
MATRIX = np.cos(np.arange(24_000.0)).reshape(120, 200)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("engine", ["vm", "native"])
def test_gradients_are_right(function, engine):
    gradient = arc.grad(function, engine=engine)(X)
    direction = np.cos(np.arange(X.size))
    step = 1e-6
    slope = (function(X + step * direction) - function(X - step * direction)) / (2 * step)
    np.testing.assert_allclose(gradient @ direction, slope, rtol=1e-6)


@pytest.mark.parametrize("engine", ["vm", "native"])
def test_second_derivatives_through_broadcasts(engine):
    def product(x):
        return np.sum((x[:300] * x[300:, None]) ** 3)

    x, direction = X[:540] + 0.5, np.sin(np.arange(540.0))
    product_of_hessian = arc.hvp(product, engine=engine)(x, direction)
    a, b, da, db = x[:300], x[300:], direction[:300], direction[300:]
    first = 6 * a * da * np.sum(b**3) + 9 * a**2 * np.sum(b**2 * db)
    second = 6 * b * db * np.sum(a**3) + 9 * b**2 * np.sum(a**2 * da)
    np.testing.assert_allclose(product_of_hessian, np.concatenate([first, second]), rtol=1e-11)


@pytest.mark.parametrize("engine", ["vm", "native"])
def test_what_is_repeated_keeps_sign_and_nan(engine):
    row = np.array([-0.0, 0.0, np.nan, -np.inf] * 100)
    repeated = arc.compile(lambda row, column: np.maximum(row, row) * column, engine=engine)(row, np.ones((200, 1)))
    np.testing.assert_array_equal(repeated, np.broadcast_to(row, (200, 400)))
    numbers = ~np.isnan(row)
    np.testing.assert_array_equal(np.signbit(repeated)[:, numbers], [np.signbit(row)[numbers]] * 200)
    number = arc.compile(lambda x: np.full((200, 400), x), engine=engine)(-0.0)
    assert np.signbit(number).all()


@pytest.mark.parametrize("engine", ["vm", "native"])
@pytest.mark.parametrize("function", [
    lambda x: np.copysign(np.ones(3), x[:, None]),
    lambda x: np.copysign(np.ones(3), x[:, None]) @ np.linalg.inv(np.eye(3) * (2 + x[3])),
])  # fmt: skip
def test_broadcasts_keep_the_sign_of_zero_as_scalars_and_around_factorisations(function, engine, monkeypatch):
    monkeypatch.setattr(broadcasts, "_LARGE", 2)
    x = np.array([-0.0, 0.0, -1.0, -0.0])
    np.testing.assert_array_equal(arc.compile(function, engine=engine)(x), function(x))


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
