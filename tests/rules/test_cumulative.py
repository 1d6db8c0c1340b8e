"""Running results, differences and integrals."""

import numpy as np
import optree
import pytest
from checks import check_row, check_same_error, row
from helpers import check_value, needs_compiler, sample

import archimedes_grad as arc

LENGTHS = (1, 2, 3, 7, 16, 33)
RNG = np.random.default_rng(5)

ROWS = [
    *(row(lambda x, f=f: f.reduce(x, axis=0, initial=0.7), (3, 4), positive=True)
      for f in (np.subtract, np.true_divide, np.power, np.arctan2, np.logaddexp)),
    row(lambda x: np.subtract.reduce(x, axis=1, initial=x[0, 0] * 1, keepdims=True), (3, 4)),
    row(lambda x: np.logical_or.reduce(x > 1, axis=1, initial=True), (3, 4)),
    row(lambda x: np.logical_and.reduce(x > -3, axis=0, initial=False, where=np.arange(4) > 1), (3, 4)),
    *(row(lambda x: np.cumsum(x), (n,)) for n in LENGTHS),
    *(row(lambda x: np.cumprod(x), (n,), second=True) for n in (1, 2, 3, 7)),
    *(row(lambda x, axis=axis: np.cumsum(x, axis), (3, 4)) for axis in (0, 1, -1, None)),
    *(row(lambda x, axis=axis: np.cumprod(x, axis=axis), (3, 2, 4)) for axis in (0, 1, 2, None)),
    row(lambda x: x.cumsum(0), (3, 2)),
    row(lambda x: x.cumprod(), (3, 2)),
    *(row(f, (3, 2)) for f in (
        lambda x: np.cumulative_sum(x, axis=1, include_initial=True), lambda x: np.cumulative_prod(x, axis=0),
    ) if hasattr(np, "cumulative_sum")),
    row(lambda x: np.nancumsum(x), (5,)),
    row(lambda x: np.nancumprod(x, axis=1), (2, 5)),
    *(row(lambda x: np.maximum.accumulate(x), (n,)) for n in LENGTHS),
    row(lambda x: np.minimum.accumulate(x, axis=1), (3, 6)),
    row(lambda x: np.add.accumulate(x, axis=0), (3, 6)),
    row(lambda x: np.multiply.accumulate(x), (6,)),
    row(lambda x: np.subtract.accumulate(x), (6,)),
    row(lambda x: np.true_divide.accumulate(x), (4,), second=True),
    row(lambda x: np.logaddexp.accumulate(x), (5,), second=True),
    row(lambda x: np.hypot.accumulate(x), (5,)),
    row(lambda x: np.logical_or.accumulate(x > 1), (9,), gradient=False),
    row(lambda x: np.logaddexp.reduce(x, axis=1), (2, 7), second=True),
    row(lambda x: np.logaddexp2.reduce(x), (7,)),
    row(lambda x: np.hypot.reduce(x), (7,), second=True),
    row(lambda x: np.hypot.reduce(x), (1,)),
    row(lambda x: np.subtract.reduce(x, axis=0, keepdims=True), (3, 4)),
    row(lambda x: np.true_divide.reduce(x), (3,)),
    row(lambda x: np.logaddexp.reduce(x, where=np.array([True, False, True])), (3,)),
    row(lambda x: np.hypot.reduce(x, axis=(0, 1), initial=2.0), (3, 2)),
    row(lambda x: np.logical_xor.reduce(x > 0), (7,), gradient=False),
    row(lambda x: np.add.reduceat(x, [0, 3, 1, 4]), (6,)),
    row(lambda x: np.multiply.reduceat(x, [0, 2], axis=1), (2, 5)),
    row(lambda x: np.maximum.reduceat(x, [0, 2]), (5,)),
    *(row(lambda x, n=n: np.diff(x, n), (6,)) for n in (0, 1, 2, 5)),
    row(lambda x, y: np.diff(x, axis=0, prepend=y, append=1.0), (3, 2), (2, 2)),
    row(lambda x: np.diff(x, prepend=0, axis=1), (3, 2)),
    row(lambda x: np.diff(x > 0), (6,), gradient=False),
    row(lambda x, y: np.ediff1d(x, to_begin=y, to_end=[1.0, 2.0]), (2, 3), (2,)),
    row(lambda x: np.trapezoid(x), (5,)),
    row(lambda x: np.trapezoid(x, dx=0.3, axis=0), (5, 2)),
    row(lambda y, x: np.trapezoid(y, x), (5,), (5,), second=True),
    row(lambda y, x: np.trapezoid(y, x, axis=0), (5, 2), (5,)),
    row(lambda y, x: np.trapezoid(y, x), (2, 5), (2, 5)),
    *(row(lambda x, e=e: np.gradient(x, edge_order=e), (5,)) for e in (1, 2)),
    row(lambda x: np.gradient(x), (3, 4)),
    row(lambda x: np.gradient(x, 0.5, axis=1), (3, 4)),
    row(lambda x: np.gradient(x, 0.5, [0.0, 1.0, 3.0, 3.5], edge_order=2), (3, 4)),
    row(lambda x, t: np.gradient(x, np.cumsum(np.abs(t) + 0.2)), (5,), (5,), second=True),
    row(lambda x, h: np.gradient(x, h), (5,), ()),
]


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


def test_cumprod_at_zeros_has_the_true_gradient():
    gradient = arc.grad(lambda x: np.cumprod(x)[2])(np.array([0.0, 2.0, 3.0]))
    np.testing.assert_array_equal(gradient, [6.0, 0.0, 0.0])


def test_long_sums_run_in_linear_graphs():
    x = sample((5000,))
    f = arc.grad(lambda x: np.sum(np.cumsum(x) ** 2))
    np.testing.assert_allclose(f(x), np.cumsum((2 * np.cumsum(x))[::-1])[::-1], rtol=1e-9)
    assert "array" in str(f.explain(x))


#: Numbers at the ends of the range, of which no two may meet that NumPy does not bring together.
ENDS = [
    [1e200, 1e-200, 1e200, 1e-200], [1e300, 1.0, 1e-200, 1e-200], [-0.0, -0.0, 3.0], [1e308, -1e308, 1e308, -1e308],
    np.resize([1e200, 1e-200], 90), np.resize([1e308, -1e308, 1.0], 200), np.resize([1e-300, 1e300, -1.0], 99),
]  # fmt: skip


@pytest.mark.parametrize("engine", ["vm", pytest.param("native", marks=needs_compiler)])
@pytest.mark.parametrize("function", [np.cumsum, np.cumprod, np.prod, np.add.accumulate, np.multiply.reduce])
def test_entries_are_combined_in_numpys_order(function, engine):
    long = [RNG.normal(size=n) for n in (31, 32, 33, 34, 65, 97, 1_000)]
    wide = [RNG.normal(size=shape) for shape in ((5, 40), (70, 3), (40, 50), (2, 37, 3))]

    @arc.compile(engine=engine)
    def all_at_once(rows, tables):
        return [function(row) for row in rows], [[function(t, axis=k) for k in range(t.ndim)] for t in tables]

    rows = [np.array(row, dtype=float) for row in ENDS] + long
    with np.errstate(all="ignore"):
        got = all_at_once(rows, wide)
        expected = [function(row) for row in rows], [[function(t, axis=k) for k in range(t.ndim)] for t in wide]
    for one, other in zip(optree.tree_leaves(got), optree.tree_leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(np.signbit(one), np.signbit(other))


@pytest.mark.parametrize("n", [4, 90, 1_000])
def test_slopes_of_products_are_finite_where_the_products_are(n):
    x = np.resize([1e200, 1e-200], n)
    np.testing.assert_allclose(arc.grad(np.prod)(x), 1 / x, rtol=1e-12)
    np.testing.assert_allclose(arc.grad(lambda x: np.cumprod(x)[-1])(x), 1 / x, rtol=1e-12)


@pytest.mark.parametrize("shape", [(40,), (150,), (70, 3), (40, 50)])
def test_derivatives_of_long_products(shape):
    x = RNG.uniform(0.9, 1.1, shape)
    weights = RNG.normal(size=shape)
    running = np.cumprod(x, axis=0)
    expected = np.cumsum((weights * running)[::-1], axis=0)[::-1] / x

    def weighed(x):
        return np.sum(weights * np.cumprod(x, axis=0))

    np.testing.assert_allclose(arc.grad(weighed)(x), expected, rtol=1e-9)
    np.testing.assert_allclose(arc.jvp(weighed)(x, weights), np.sum(expected * weights), rtol=1e-9)
    of_all = arc.grad(lambda x: np.sum(np.prod(x, axis=0)))(x)
    np.testing.assert_allclose(of_all, np.prod(x, axis=0) / x, rtol=1e-9)


def test_second_derivatives_of_long_products():
    x = RNG.uniform(0.9, 1.1, 50)
    expected = np.prod(x) / np.outer(x, x) * (1 - np.eye(50))
    np.testing.assert_allclose(arc.hess(np.prod)(x), expected, rtol=1e-9)


def test_dtypes_are_numpys():
    whole = sample((4,), "whole")
    for function in (np.cumsum, np.cumprod, np.diff, lambda x: np.cumsum(x > 0), lambda x: np.cumsum(x, dtype=float),
                     lambda x: np.cumsum(x.astype(np.int8)), lambda x: np.trapezoid(x), np.gradient,
                     lambda x: np.subtract.reduce(x), lambda x: np.multiply.accumulate(x)):  # fmt: skip
        check_value(function, whole)


@pytest.mark.parametrize("function", [np.cumsum, np.cumprod, np.nancumsum, np.nancumprod])
def test_out_without_axes_is_refused(function):
    # NumPy 2.4 itself ends in a segmentation fault where it is another array than the argument.
    def program(x):
        return function(np.sum(x), axis=0, out=arc.zeros(()))

    with pytest.raises(ValueError, match=r"out has shape \(\), .* shape \(1,\) was expected. Give np.empty\(\(1,\)\)"):
        arc.compile(program)(np.ones(2))


def test_out_is_written_and_returned():
    def f(x):
        out = np.zeros_like(x)
        assert np.cumsum(x, out=out) is out
        np.maximum.accumulate(out, out=out)
        return out

    check_value(f, sample((5,)))


@pytest.mark.parametrize("call", [
    lambda x: np.cumsum(x, 2), lambda x: np.diff(x, -1), lambda x: np.trapezoid(x, np.ones(7)),
    lambda x: np.gradient(x[:1]), lambda x: np.gradient(x, 1.0, 2.0, 3.0), lambda x: np.add.reduceat(x, [9]),
    lambda x: np.subtract.reduce(x, axis=(0, 1)),
    lambda x: np.cumsum(x, out=np.zeros_like(x)), lambda x: np.maximum.accumulate(x, 5),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    check_same_error(call, sample((3, 4)))
