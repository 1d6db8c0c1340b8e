"""Traced integers and truth values where plain numbers are asked for: indices of plain arrays, keys, sizes, floats."""

import math

import numpy as np
import pytest
from helpers import assert_same

import archimedes_grad as arc

TABLE = np.arange(7.0) ** 2
MATRIX = np.arange(9.0).reshape(3, 3) ** 1.5
W = np.array([0.5, 1.5, 3.0])
POINTS = (np.array([0.7, -1.3, 2.1]), np.array([-1.9, 0.4, -0.6]))


def written_by_places(x):
    weights = np.zeros(3)
    weights[np.argsort(x)] = [5.0, 6.0, 7.0]
    chosen = np.zeros(3, bool)
    chosen[np.argmax(x)] = True
    return np.where(chosen, weights * x, x**2)


def counted(x):
    counts = np.zeros(2)
    counts[0] = np.sum(x > 0)
    counts[1] = x[0] > x[1]
    return counts * x[2]


INDICES = [
    lambda x: W[np.argsort(x)] * x, lambda x: MATRIX[np.argsort(x)] @ x, lambda x: MATRIX[:, np.argsort(x)] @ x,
    lambda x: np.sum(MATRIX[x > 0], 0) * x, lambda x: MATRIX[np.argsort(x), np.argmax(x)] * x,
    lambda x: MATRIX[[np.argmax(x), 0]] @ x, lambda x: MATRIX[x[0] > 0].sum() * x, lambda x: TABLE[np.sum(x > 0)] * x,
    lambda x: TABLE[(x[0] > 0) + 2 * (x[1] > 0)] * x, lambda x: W[(x > 0) & (x < 2)].sum() * x,
    lambda x: TABLE[np.abs(x * 2).astype(int)] * x, lambda x: TABLE[np.digitize(x, [-1.0, 0.0, 1.0])] * x,
    lambda x: TABLE[np.searchsorted([-1.0, 0.0, 1.0], x)] * x, lambda x: MATRIX[np.argsort(x), None] @ x,
    lambda x: MATRIX[np.ix_(np.argsort(x), [0, 1])].T @ x, lambda x: W[-1 - np.argsort(x)] * x,
    lambda x: W[np.argsort(x).astype(np.uint8)] * x, lambda x: np.eye(3)[np.argsort(x)] @ x,
    lambda x: TABLE.take(np.argsort(x)) * x, lambda x: np.take(TABLE, np.argsort(x)) * x,
    lambda x: np.take_along_axis(MATRIX, np.argsort(x)[None, :], 1) * x, lambda x: W.compress(x > 0).sum() * x,
    lambda x: np.repeat(W, 1 + np.argsort(x)).sum() * x, lambda x: np.delete(W, np.argmax(x)).sum() * x,
    lambda x: np.roll(W, np.argmax(x)) * x, lambda x: MATRIX[np.unravel_index(np.argmax(np.outer(x, x)), (3, 3))] * x,
    written_by_places, counted,
]  # fmt: skip

PLACES = [
    lambda x: {0: 2.0, 1: 5.0, 2: 7.0}[np.argmax(x)] * x, lambda x: x * 2 if np.argmax(x) in {0, 1} else x,
    lambda x: {True: x, False: x**2}[x[0] > 0], lambda x: x * len(["a", "bb", "c"][np.argmax(x)]),
    lambda x: np.full(np.argmax(x) + 1, x[0]), lambda x: np.exp(np.full((2, np.argmax(x) + 1), x[0])),
    lambda x: np.arange(np.argmax(x) + 2) * x[0], lambda x: np.linspace(0, x[0], np.argmax(x) + 2),
    lambda x: np.arange(0, np.abs(x[2]), 0.25), lambda x: np.arange(x[1], 3.0), lambda x: np.arange(np.abs(x[2])),
    lambda x: np.arange(4.0, x[1], -0.5, dtype=float), lambda x: np.arange(5.0, x[0]).sum() + x[0],
    lambda x: np.array([x[0]] * (np.argmax(x) + 1)), lambda x: x * len("ab" * np.argmax(x)),
    lambda x: np.array(np.argmax(x) * [x[0]] + [x[1]]), lambda x: np.tile(x, np.argmax(x) + 1),
    lambda x: x * float(np.argmax(x)), lambda x: x * float(x[0] > 0), lambda x: x * complex(np.argmax(x)).real,
    lambda x: x * math.sqrt(np.argmax(x)), lambda x: x / math.factorial(np.argmax(x)), lambda x: x * math.floor(x[2]),
    lambda x: x * math.ceil(x[2]), lambda x: x * math.trunc(x[2]), lambda x: x * len("%d" % (10 ** np.argmax(x))),  # noqa: UP031
]  # fmt: skip


@pytest.mark.parametrize("function", INDICES + PLACES)
def test_the_value_decides_and_is_guarded(function):
    compiled, slope = arc.compile(function), arc.grad(lambda x: np.sum(function(x) ** 2))
    for x in (*POINTS, *POINTS):
        assert_same(compiled(x), function(x))
        for place in range(3):
            step = np.zeros(3)
            step[place] = 1e-6
            difference = (np.sum(function(x + step) ** 2) - np.sum(function(x - step) ** 2)) / 2e-6
            np.testing.assert_allclose(slope(x)[place], difference, rtol=1e-6, atol=1e-6)
    assert "2 paths" in str(compiled.explain(POINTS[0]))


@pytest.mark.parametrize("function", [
    lambda x: TABLE[x], lambda x: TABLE[x[0]], lambda x: TABLE[[x[0], 0]], lambda x: {0.7: 1.0}[x[0]],
    lambda x: float(x[0]), lambda x: complex(x[0]), lambda x: math.sqrt(x[2]), lambda x: [1.0] * x[0],
    lambda x: x[0] * "ab", lambda x: range(x[2]),
])  # fmt: skip
def test_floats_are_no_places(function):
    with pytest.raises((TypeError, IndexError)):
        arc.compile(function)(POINTS[0])


@pytest.mark.parametrize("index", [lambda i: i, lambda i: i[0]])
def test_plain_arrays_are_indexed_where_values_are_known_only(index):
    places = np.array([[1, 2], [2, 0]])
    with pytest.raises(arc.TraceError, match=r"no actual value(.|\n)*arc\.array\(table\)\[index\]"):
        arc.vmap(lambda i: np.sum(W[index(i)]))(places)
    gathered = arc.vmap(lambda i: np.sum(arc.array(W)[index(i)]))(places)
    assert_same(gathered, np.array([np.sum(W[index(place)]) for place in places]))
    with pytest.raises(arc.TraceError, match="structured"):
        arc.compile(lambda i: np.sum(W[index(i)]), control_flow="structured")(places[0])
