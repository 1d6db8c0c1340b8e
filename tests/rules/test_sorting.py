"""Sorting, ranking and searching; writes by place; arrays as sets."""

import numpy as np
import pytest
from checks import apart, check_row, row
from helpers import assert_same, check_value, sample

import archimedes_grad as arc
from archimedes_grad.rules import networks


def in_place(change):
    """Return a function that changes a copy of its first argument and returns it."""

    def function(x, *rest):
        y = x * 1.0
        change(y, x, *rest)
        return y

    return function


MIRROR = np.eye(3, dtype=bool)[:, ::-1]

ROWS = [
    *(row(lambda x: np.sort(x), (n,)) for n in (1, 2, 3, 5, 8, 13, 31)),
    *(row(lambda x, axis=axis: np.sort(x, axis), (3, 2, 5)) for axis in (0, 1, -1, None)),
    row(lambda x: np.sort(x) ** 2, (7,), second=True),
    row(lambda x: np.sort(x, axis=0, kind="stable"), (7, 2)),
    row(in_place(lambda y, x: y.sort()), (3, 4)),
    row(in_place(lambda y, x: y.sort(axis=0)), (3, 4)),
    row(in_place(lambda y, x: y[0].sort()), (3, 4)),
    row(lambda x: np.partition(x, 3)[3], (9,)),
    row(lambda x: np.sort(np.partition(x, [1, 3], axis=0)[:2], axis=0), (5, 2)),
    row(lambda x: np.argsort(x), (31,)),
    *(row(lambda x, axis=axis: np.argsort(x, axis), (3, 2, 5)) for axis in (0, 1, -1, None)),
    row(lambda x: x.argsort(), (6,)),
    row(lambda x: np.argpartition(x, 2)[2], (9,)),
    row(lambda x: np.lexsort((x[0], x[1] > 0)), (2, 9)),
    row(lambda x: np.lexsort(x, axis=0), (2, 4, 3)),
    *(row(lambda x, axis=axis: (np.argmax(x, axis), np.argmin(x, axis)), (3, 2, 5)) for axis in (0, 1, -1, None)),
    row(lambda x: x.argmax(axis=0, keepdims=True), (3, 4)),
    row(lambda x: np.argmin(x, keepdims=True), (3, 4)),
    row(lambda x: np.nanargmax(np.where(np.arange(6) == 2, np.nan, x)), (6,)),
    row(lambda x: np.nanargmin(x, axis=1), (2, 6)),
    row(lambda x: np.searchsorted([-1.0, 0.0, 0.5, 1.0], x), (4, 3)),
    row(lambda x: np.searchsorted(np.sort(x), 0.3, side="right"), (6,)),
    row(lambda x: np.searchsorted([1.0, -1.0, 0.0], x, sorter=[1, 2, 0]), (6,)),
    row(lambda x: x.searchsorted(0.1), (1,)),
    row(lambda x: np.digitize(x, [-1.0, 0.0, 1.0]), (6,)),
    row(lambda x: np.digitize(x, [1.0, 0.0, -1.0], right=True), (6,)),
    row(lambda x: np.digitize(0.5, np.sort(x)), (6,)),
    row(lambda x: np.isin(np.round(x), [1.0, 0.0], invert=True), (4, 3), gradient=False),
    row(in_place(lambda y, x: np.put(y, [0, 3, -1], x[0, :2])), (3, 3)),
    row(in_place(lambda y, x: y.put([0, 3], 7.0)), (3, 3)),
    row(in_place(lambda y, x: np.put(y, [10, 3], x[0, 0], mode="wrap")), (3, 3)),
    row(in_place(lambda y, x: np.fill_diagonal(y, x[:, 0])), (3, 3)),
    row(in_place(lambda y, x: np.fill_diagonal(y, 7.0, wrap=True)), (7, 3)),
    row(in_place(lambda y, x: np.place(y, MIRROR, [1.0, x[0, 0]])), (3, 3)),
    row(in_place(lambda y, x: np.putmask(y, y > 1, x[0])), (3, 3)),
    row(in_place(lambda y, x: np.copyto(y, x * 2, where=y < -1)), (3, 3)),
    row(in_place(lambda y, x: np.copyto(y, x[:, :1])), (3, 3)),
    row(in_place(lambda y, x: np.put_along_axis(y, np.array([[0], [2], [1]]), x[:, :1], 1)), (3, 3)),
    row(lambda x: np.extract([True, False, True], x) * 2, (3,)),
    row(lambda x: np.compress([True, False], x, axis=1), (3, 4)),
    row(lambda x: x.compress([True, False, True]), (3,)),
]  # fmt: skip

# These decide on traced values: one path for each outcome.
DECIDING = [
    lambda x: np.take_along_axis(x, np.argsort(x), 0), lambda x: x[np.argmax(x)] * 2, lambda x: x[np.argsort(x)],
    lambda x: np.extract(x > 0, x), lambda x: np.compress(x > 0, x), lambda x: x[np.nonzero(x > 0)],
    lambda x: x[np.flatnonzero(x > 0)], lambda x: x[np.argwhere(x > 0)], lambda x: np.where(x > 0)[0],
    lambda x: np.unique(np.round(x)), lambda x: np.unique(np.round(x), return_counts=True, return_inverse=True),
    lambda x: np.unique(np.round(x), return_index=True), lambda x: np.unique_values(np.round(x)),
    lambda x: np.union1d(np.round(x), [0.0, 7.0]), lambda x: np.intersect1d(np.round(x), [0.0, 1.0, 7.0]),
    lambda x: np.setdiff1d(np.round(x), [0.0]), lambda x: np.setxor1d(np.round(x), [0.0, 1.0, 7.0]),
    lambda x: np.trim_zeros(np.where(np.abs(x) > 1, x, 0.0)), lambda x: np.trim_zeros(np.maximum(x, 0.0), "b"),
    lambda x: np.bincount(np.abs(np.round(x)).astype(int)), lambda x: np.unravel_index(np.argmax(x), (3, 2)),
    lambda x: np.take(x, np.argmin(x)), lambda x: np.insert(x, np.argmin(x), 9.0),
    lambda x: np.unique(np.round(np.stack([x, -x])), axis=1),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


@pytest.mark.parametrize("function", DECIDING)
def test_results_whose_shape_or_places_are_decided(function):
    compiled = arc.compile(function)
    for seed in range(4):
        x = apart((6,), seed)
        assert_same(compiled(x), function(x))


@pytest.mark.parametrize("listed", [10**6, 0], ids=["lists", "slices"])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 7, 16, 23, 32, 35])
def test_networks_sort_ties_nan_and_infinities(listed, rows, monkeypatch):
    monkeypatch.setattr(networks, "_LARGEST_LISTED", listed)
    f = arc.compile(lambda x: (np.sort(x, 0), np.argsort(x, 0), np.argmax(x, 0), np.argmin(x, 0)))
    rng = np.random.default_rng(rows)
    for _ in range(4):
        x = rng.integers(0, 9, (rows, 3)).astype(float)
        x[rng.random((rows, 3)) < 0.1] = np.nan
        x[rng.random((rows, 3)) < 0.1] = np.inf
        expected = np.sort(x, 0), np.argsort(x, 0, kind="stable"), np.argmax(x, 0), np.argmin(x, 0)
        for got, right in zip(f(x), expected, strict=True):
            np.testing.assert_array_equal(got, right)
    weights, x = np.arange(1.0, rows + 1), apart((rows,), 1)
    gradient = arc.grad(lambda x: np.sum(np.sort(x) * weights))
    np.testing.assert_array_equal(gradient(x), weights[np.argsort(np.argsort(x))])


def test_the_gradient_of_a_sort_goes_back_to_where_entries_came_from():
    weights = np.array([1.0, 10.0, 100.0])
    gradient = arc.grad(lambda x: np.sum(np.sort(x) * weights))
    np.testing.assert_array_equal(gradient(np.array([2.0, 3.0, 1.0])), [10, 100, 1])
    np.testing.assert_array_equal(gradient(np.array([1.0, np.nan, 0.0])), [10, 0, 1])
    assert gradient(np.array([1.0, 1.0, 0.0])).sum() == 111


@pytest.mark.parametrize("n", [4, 60], ids=["in the graph", "by NumPy"])
def test_what_tied_entries_enter_alike_has_its_true_second_derivatives(n):
    x = np.repeat(np.array([0.5, -0.4, 1.5, 0.0])[: n // 2], 2 if n == 4 else n // 4)
    np.testing.assert_array_equal(arc.jac(np.sort)(x).sum(0), np.ones(n))
    for function in (
        lambda x: np.sum(np.sort(x) ** 2), lambda x: np.sum(np.partition(x, 1) ** 2),
        lambda x: np.sum(np.quantile(x, np.arange(n) / (n - 1)) ** 2),
    ):  # fmt: skip
        np.testing.assert_allclose(arc.hess(function)(x), 2 * np.eye(n), atol=1e-12)


def test_dtypes_are_numpys():
    whole = sample((9,), "whole")
    for function in (np.sort, np.argmax, lambda x: np.sort(x > 0), lambda x: np.argmax(x > 0),
    lambda x: np.sort(x)[::2],
                     lambda x: np.searchsorted([0, 1], x), lambda x: np.isin(x, [1]), lambda x: np.unique(x),
                     lambda x: np.argsort(x, kind="stable"), lambda x: np.digitize(x, [0, 1])):  # fmt: skip
        check_value(function, whole)


def test_writes_go_through_views_and_cast():
    def f(x):
        y = np.zeros_like(x, dtype=int)
        np.copyto(y[1], x[0], casting="unsafe")
        np.fill_diagonal(y[:, :2], 3.7)
        np.put(y.T, [1], 5)
        return y

    check_value(f, sample((3, 4)))


@pytest.mark.parametrize("call", [
    lambda x: np.sort(x, 2), lambda x: np.sort(x, kind="none"), lambda x: np.partition(x, 9), lambda x: np.argmax(x, 3),
    lambda x: np.argmax(x[:, :0]), lambda x: np.lexsort(x[0, 0]), lambda x: np.searchsorted(x, 1.0),
    lambda x: np.digitize(x, [0.0, 2.0, 1.0]), lambda x: np.put(x, [99], 1.0), lambda x: np.fill_diagonal(x[0], 1.0),
    lambda x: np.copyto(x, np.ones(5)), lambda x: np.copyto(np.zeros_like(x, dtype=int), x),
    lambda x: np.place(x, [True], 1.0), lambda x: np.putmask(x, [True, False], 1.0), lambda x: np.nanargmax(x * np.nan),
    lambda x: np.take_along_axis(x, np.array([1]), 0), lambda x: np.put_along_axis(x, np.array([1]), 0.0, 0),
    lambda x: np.compress([True] * 9, x, axis=0), lambda x: np.place(x, np.ones((3, 4), bool), []),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    x = sample((3, 4))
    with pytest.raises(Exception) as plain:
        call(x.copy())
    with pytest.raises(type(plain.value)) as traced:
        arc.compile(call)(x)
    assert str(traced.value) == str(plain.value)


@pytest.mark.parametrize("call", [
    lambda x: np.put(np.zeros(3), [0], x), lambda x: np.copyto(np.zeros(3), x),
    lambda x: np.place(np.zeros(3), [True] * 3, x),
    lambda x: np.put_along_axis(np.zeros(3), np.array([1]), x[:1], 0), lambda x: np.putmask(np.zeros(3), [True] * 3, x),
    lambda x: np.sort(x, axis=0).tobytes(), lambda x: x.view(int), lambda x: x.resize(3),
])  # fmt: skip
def test_what_cannot_hold_traced_values_is_refused_by_name(call):
    with pytest.raises(arc.TraceError, match=r"arc\.zeros|traced array has no method"):
        arc.compile(call)(np.ones(3))
