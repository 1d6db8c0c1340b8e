"""What NumPy finds in large data: the rows of small data again, with nothing compared in the graph."""

import numpy as np
import pytest
import test_interpolation
import test_sorting
import test_statistics
from checks import apart, check_row
from helpers import assert_same, check_second_order

import archimedes_grad as arc
from archimedes_grad.rules import found


@pytest.fixture
def nothing_in_the_graph(monkeypatch):
    monkeypatch.setattr(found, "compared_in_graph", lambda *counts: False)
    monkeypatch.setattr(found, "sorted_in_graph", lambda array: not array.size)


ROWS = [*test_sorting.ROWS, *test_interpolation.ROWS, *test_statistics.ROWS]


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
@pytest.mark.usefixtures("nothing_in_the_graph")
@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_rows_of_small_data(function, shapes, options):
    check_row(function, shapes, options)


LARGE = [
    lambda x: np.sort(x), lambda x: np.median(x), lambda x: np.quantile(x, [0.1, 0.7]), lambda x: np.max(x),
    lambda x: np.sort(np.reshape(x, (-1, 2)), axis=0), lambda x: np.interp(0.3, np.sort(x), x * x),
    lambda x: np.argmax(x) * x, lambda x: x[0] * np.searchsorted(np.sort(x), [0.1, 0.2]), lambda x: np.nanmin(x),
]  # fmt: skip


@pytest.mark.parametrize("function", LARGE)
def test_in_bodies_and_under_transformations(function):
    """A body is traced once, without values: what is found there is found at each step."""
    xs = np.stack([apart((120,), seed) for seed in range(3)])
    expected = np.stack([function(x) for x in xs])
    assert_same(arc.compile(lambda xs: arc.vmap(function)(xs))(xs), expected)
    stacked = arc.compile(lambda xs: arc.scan(lambda carry, x: (carry, function(x)), 0.0, xs)[1])(xs)
    assert_same(stacked, expected)
    slopes = arc.grad(lambda xs: np.sum(arc.vmap(function)(xs) ** 2))(xs)
    single = arc.grad(lambda x: np.sum(function(x) ** 2))
    np.testing.assert_allclose(slopes, np.stack([single(x) for x in xs]), rtol=1e-12)


def test_second_derivatives_of_a_long_sort():
    check_second_order(lambda x: np.sort(x)[::7] ** 3 + np.max(x) * np.median(x), apart((60,), 1))


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_extremes_of_many_share_among_ties_and_keep_nan():
    x = np.arange(100.0) % 25
    np.testing.assert_array_equal(arc.grad(np.max)(x), (x == 24) / 4)
    np.testing.assert_array_equal(arc.jac(lambda x: np.max(np.reshape(x, (50, 2)), 0))(x).sum(1), [1, 1])
    x[3] = np.nan
    compiled = arc.compile(lambda x: (np.max(x), np.min(x), np.nanmax(x), np.fmin.reduce(x), np.nanmax(x * np.nan)))
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="All-NaN"):
        np.testing.assert_array_equal(compiled(x), [np.nan, np.nan, 24.0, 0.0, np.nan])
    np.testing.assert_array_equal(arc.grad(np.nanmax)(x), (x == 24) / 4)


@pytest.mark.parametrize("kind", [None, "stable"])
@pytest.mark.parametrize("dtype", [float, np.int64, np.int8, np.float32, bool])
def test_order_of_equal_entries_is_numpys(kind, dtype):
    x = (np.random.default_rng(0).integers(0, 7, 500)).astype(dtype)
    compiled = arc.compile(lambda x: np.argsort(x, kind=kind))
    assert_same(compiled(x), np.argsort(x, kind=kind))
