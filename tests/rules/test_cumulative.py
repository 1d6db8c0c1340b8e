"""Running results, differences and integrals."""

import numpy as np
import pytest
from checks import check_row, check_same_error, row
from helpers import check_value, sample

import archimedes_grad as arc

LENGTHS = (1, 2, 3, 7, 16, 33)

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
