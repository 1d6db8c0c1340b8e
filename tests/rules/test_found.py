"""What NumPy finds in large data: the rows of small data again, with nothing compared in the graph."""

import subprocess
import sys

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


_IN_LITTLE_MEMORY = """
import resource
import numpy as np
import archimedes_grad as arc

data = np.random.default_rng(0).normal(size=20_000)
a, levels = np.array([1.5, 0.3]), np.array([0.1, 0.5, 0.9])

def quantiles(a):
    return np.quantile(a[0] * data + a[1], levels)

def squares(a):
    return np.sum(np.sort(np.reshape(a[0] * data + a[1], (100, 200)), axis=1)[:, 50] ** 2)

arc.jac(lambda a: np.sort(a[0] * data[:60]))(a)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
slopes = np.stack([np.quantile(data, levels), np.ones(3)], axis=1)
np.testing.assert_allclose(arc.jac(quantiles)(a), slopes, rtol=1e-12)
np.testing.assert_allclose(arc.jac(quantiles, sparse=True)(a).toarray(), slopes, rtol=1e-12)
chosen = np.stack([np.sort(data.reshape(100, 200), axis=1)[:, 50], np.ones(100)])
np.testing.assert_allclose(arc.hess(squares)(a), 2 * chosen @ chosen.T, rtol=1e-12)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_derivatives_of_orders_of_much_data_take_no_matrix_of_all_entries():
    """Half a gigabyte more is enough, where the dense derivative of an order would take three."""
    ran = subprocess.run(
        [sys.executable, "-c", _IN_LITTLE_MEMORY], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_what_is_found_counts_where_it_is_asked_whether_something_is_read():
    """An order has no derivative, but entries that are read for it."""
    xs = np.stack([apart((120,), seed) for seed in range(3)])
    with pytest.raises(ValueError, match="out_axes is None for a result that depends on the item"):
        arc.vmap(np.argsort, out_axes=None)(xs)

    def scaled(t):
        return t * (1 + np.argmax(t))

    first = np.concatenate([[9.0], np.linspace(1.0, 2.0, 80), [-1.0]])
    function = arc.compile(lambda x: np.piecewise(x, [x > 0], [scaled, 0.0]))
    for x in (first, first[::-1]):
        np.testing.assert_array_equal(function(x), np.piecewise(x, [x > 0], [scaled, 0.0]))


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
