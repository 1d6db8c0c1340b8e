"""Interpolation, convolution and polynomials."""

import numpy as np
import pytest
from checks import check_row, row
from helpers import check_value, sample

import archimedes_grad as arc
from archimedes_grad.rules import interpolation

TABLE = [-1.0, 0.0, 0.5, 1.75]
VALUES = [3.0, 1.0, 2.0, 5.0]
LENGTHS = (((5,), (3,)), ((3,), (6,)), ((4,), (4,)), ((1,), (3,)), ((6,), (4,)))
T = np.arange(6.0)

ROWS = [
    row(lambda x: np.interp(x, TABLE, VALUES), (9,)),
    row(lambda x: np.interp(x, TABLE, VALUES, left=-1, right=7), (3, 3), gradient=False),
    row(lambda x: np.interp(x / 3, TABLE, VALUES, left=-1), (3, 3)),
    row(lambda x: np.interp(x, TABLE, VALUES, period=2.0), (9,)),
    row(lambda x, p, f: np.interp(x, np.sort(p), f), (9,), (5,), (5,)),
    row(lambda x, p, f: np.interp(x, np.sort(p), f) ** 2, (4,), (5,), (5,), second=True),
    row(lambda x, p, f: np.interp(x, p, f, period=4.7), (8,), (5,), (5,)),
    row(lambda f: np.interp(0.5, [0.0, 1.0], f), (2,)),
    row(lambda x: np.interp(x, [1.0], [2.0]), (4,), gradient=False),
    row(lambda f, a, b: np.interp([-3.0, 0.2, 3.0], TABLE, f, a, b), (4,), (), ()),
    *(row(lambda a, v, m=m: np.convolve(a, v, m), *s) for m in ("full", "same", "valid") for s in LENGTHS),
    *(row(lambda a, v, m=m: np.correlate(a, v, m), *s) for m in ("full", "same", "valid") for s in LENGTHS),
    row(lambda a: np.convolve(a, [1.0, -2.0, 1.0]), (7,)),
    row(lambda a: np.correlate([1.0, -2.0, 1.0], a, "full"), (4,)),
    row(lambda a, v: np.convolve(a, v) ** 2, (4,), (2,), second=True),
    row(lambda p, x: np.polyval(p, x), (4,), (3, 2), second=True),
    row(lambda x: np.polyval([1.0, 0.0, 2.0], x), ()),
    row(lambda p, q: np.polyadd(p, q), (4,), (2,)),
    row(lambda p, q: np.polysub(p, q), (1,), (2,)),
    row(lambda p, q: np.polymul(p, q), (4,), (2,)),
    row(lambda p: np.polymul(p, [0.0, 1.0, 2.0]), (4,)),
    row(lambda p, q: np.polydiv(p, q), (4,), (2,), positive=True, second=True),
    row(lambda p, q: np.polydiv(p, q), (2,), (4,)),
    row(lambda p: np.polyder(p, 2), (5,)),
    row(lambda p: np.polyint(p, 2, [1, 2]), (5,)),
    row(lambda p: np.polyint(p), (5,)),
    row(lambda p: np.poly(p), (5,), second=True),
    row(lambda y: np.polyfit(T, y, 2), (6,)),
    row(lambda y: np.polyfit(T, y, 2, w=np.arange(1, 7.0)), (6, 2)),
    row(lambda y: np.polyfit(T, y, 1, cov=True), (6,), second=True),
    row(lambda y: np.polyfit(T, y, 1, cov="unscaled"), (6,)),
    row(lambda x, y: np.polyfit(x, y, 2), (6,), (6,)),
    row(lambda x, y, w: np.polyfit(x, y, 1, w=w + 3), (6,), (6,), (6,)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


def test_interp_at_and_beyond_the_nodes():
    x = np.array([-9.0, -1.0, 0.0, 0.25, 0.5, 1.75, 9.0, np.nan, np.inf, -np.inf])
    check_value(lambda x: np.interp(x, TABLE, VALUES), x, rtol=0)
    check_value(lambda x: np.interp(x, TABLE, VALUES, -3, -4), x, rtol=0)
    check_value(lambda x: np.interp(x, [0.0, 1.0, 1.0, 2.0], VALUES), np.array([0.5, 1.0, 1.5]), rtol=0)
    slopes = arc.grad(lambda x: np.sum(np.interp(x, TABLE, VALUES)))(x[:7])
    np.testing.assert_allclose(slopes, [0, -2, 2, 2, 2.4, 0, 0])


INF_TABLES = [
    (table, values)
    for table in ([0.0, 1.0, 2.0], [-np.inf, 1.0, 3.0], [0.0, 1.0, np.inf], [-np.inf, 1.0, np.inf])
    for values in (
        [0.0, 1.0, np.inf], [np.inf, 1.0, 2.0], [-np.inf, np.inf, 2.0], [2.0, 2.0, 3.0], [np.inf, np.inf, 2.0],
        [0.0, 1.0, 3.0], [np.nan, 1.0, 2.0], [1.0, 1.0, np.nan],
    )
]  # fmt: skip


@pytest.mark.parametrize("engine", ["vm", "native"])
def test_interp_of_tables_that_are_not_finite(engine):
    x = np.array([-np.inf, -3.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, np.inf, np.nan])
    interpolated = arc.compile(lambda x, xp, fp: np.interp(x, xp, fp), engine=engine)
    for table, values in INF_TABLES:
        xp, fp = np.array(table), np.array(values)
        by_constants = arc.compile(lambda x, xp=xp, fp=fp: np.interp(x, xp, fp))
        with np.errstate(all="ignore"):
            expected = np.interp(x, xp, fp)
        np.testing.assert_array_equal(interpolated(x, xp, fp), expected)
        np.testing.assert_array_equal(by_constants(x), expected)


def test_slopes_of_a_table_with_infinite_ends():
    # Steps of straight lines between the finite nodes; beyond them the value is that of the last finite one.
    table = np.array([-np.inf, 0.0, 2.0, np.inf])
    total = arc.grad(lambda x, f: np.sum(np.interp(x, table, f)), argnums=(0, 1))
    by_x, by_f = total(np.array([-5.0, 0.0, 0.5, 7.0]), np.array([3.0, 3.0, 7.0, 7.0]))
    np.testing.assert_allclose(by_x[1:], [2, 2, 0])
    np.testing.assert_allclose(by_f, [0, 1 + 1 + 0.75, 0.25 + 1, 0])


@pytest.mark.parametrize("entries", [1e9, 0])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("shape", [(5, 3), (4, 4), (6, 1), (2, 5), (3, 2)])
def test_infinite_entries_reach_what_they_are_multiplied_with_alone(monkeypatch, entries, mode, shape):
    monkeypatch.setattr(interpolation, "_LARGEST_SHIFTS", entries)
    n, m = shape
    rng = np.random.default_rng(4)
    for name in ("convolve", "correlate"):
        for place in range(n + m):
            both = rng.normal(size=n + m)
            both[place] = np.inf
            a, v = both[:n], both[n:]
            function = getattr(np, name)
            expected = function(a, v, mode)
            compiled = arc.compile(lambda a, v, f=function: f(a, v, mode))
            np.testing.assert_allclose(compiled(a, v), expected, rtol=1e-13)
            np.testing.assert_allclose(arc.compile(lambda a, f=function, v=v: f(a, v, mode))(a), expected, rtol=1e-13)
            np.testing.assert_allclose(arc.compile(lambda v, f=function, a=a: f(a, v, mode))(v), expected, rtol=1e-13)
            # The sum of the results that are finite has the slopes that they have.
            finite = np.isfinite(expected)
            slopes = arc.grad(lambda a, v, f=function: np.sum(f(a, v, mode)[finite]), argnums=(0, 1))(a, v)
            assert not np.isnan(np.concatenate(slopes)[np.arange(n + m) != place]).any() or not finite.any()


def test_long_convolution_without_a_matrix_of_shifts(monkeypatch):
    monkeypatch.setattr(interpolation, "_LARGEST_SHIFTS", 0)
    check_row(lambda a, v: np.convolve(a, v, "same"), ((9,), (4,)),
              {"positive": False, "gradient": True, "second": False, "paths": 1, "argnums": None})  # fmt: skip


def test_dtypes_are_numpys():
    whole = sample((4,), "whole")
    for function in (lambda x: np.convolve(x, x), lambda x: np.polyval(x, 2), lambda x: np.interp(x, TABLE, VALUES),
                     lambda x: np.polyder(x), lambda x: np.polyint(x), lambda x: np.polyadd(x, [1.5])):  # fmt: skip
        check_value(function, whole)


@pytest.mark.parametrize("call", [
    lambda x: np.interp(x, [], []), lambda x: np.interp(x, [1.0, 2.0], [1.0]),
    lambda x: np.interp(x, TABLE, VALUES, period=0),
    lambda x: np.convolve(x, []), lambda x: np.convolve(x[None], x), lambda x: np.convolve(x, x, "none"),
    lambda x: np.polyder(x, -1), lambda x: np.polyint(x, 3, [1, 2]), lambda x: np.polyfit(x, x[:2], 1),
    lambda x: np.polyfit(x, x, -1), lambda x: np.poly(x[None]),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    x = sample((4,))
    with pytest.raises(Exception) as plain:
        call(x)
    with pytest.raises(type(plain.value)) as traced:
        arc.compile(call)(x)
    assert str(traced.value) == str(plain.value)


def test_complex_values_between_nodes_are_refused():
    with pytest.raises(arc.TraceError):
        arc.compile(lambda x: np.interp(1.0, x, x * 1j))(np.array([1.0, 2.0, 4.0]))
