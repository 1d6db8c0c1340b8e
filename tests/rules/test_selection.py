"""Branches, limits, rounding, tolerances, and functions of one variable that NumPy writes in Python."""

import numpy as np
import pytest
from checks import check_row, row
from helpers import check_second_order, check_value, sample

import archimedes_grad as arc

# NumPy 2.5 deprecates np.fix, which still is what it was.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")

NUMPY = tuple(map(int, np.__version__.split(".")[:2]))

ROWS = [
    row(lambda x: np.clip(x, -0.5, 0.7), (3, 4)),
    row(lambda x: x.clip(min=-0.3), (3, 4)),
    row(lambda x: np.clip(x, None, 0.3), (3, 4)),
    row(lambda x, a, b: np.clip(x, a, b), (3, 4), (4,), (3, 1)),
    *(row(f, (3, 4), (4,), (3, 1)) for f in (lambda x, a, b: np.clip(x, min=a, max=b),) if NUMPY >= (2, 1)),
    row(lambda x: np.clip(x, 0.5, -0.5), (4,)),
    row(lambda x: np.clip(x, -1.0, x[0]), (4,)),
    *(row(lambda x, f=f: f(x), (7,), gradient=False) for f in (np.round, np.fix, np.around, np.rint, np.isreal)),
    row(lambda x: np.round(x, 1), (7,)),
    row(lambda x: np.around(10 * x, decimals=-1), (7,), gradient=False),
    row(lambda x: x.round(2), (7,), gradient=False),
    row(lambda x: np.nan_to_num(x), (4,)),
    row(lambda x: np.select([x > 1, x > 0], [x**2, x * 3], -x), (9,)),
    row(lambda x, y: np.select([x > 0, np.array([True, False, True])], [x, y]), (2, 3), (3,)),
    row(lambda x: np.choose([0, 1, 2], [x, x**2, 5.0]), (3,)),
    row(lambda x: np.choose([[0, 4], [1, -1]], [x, x**2], mode="wrap"), (2,)),
    row(lambda x: np.choose((x > 0).astype(int), [x, x**2]), (5,)),
    row(lambda x: np.piecewise(x, [x < 0, x > 1], [lambda v: -v, lambda v: v**2, 3.0]), (9,)),
    row(lambda x: np.piecewise(x, x < 0, [np.exp, np.sqrt]), (9,)),
    row(lambda x: np.piecewise(x, [x < 0], [lambda v, a: a * v], 2.5), (9,)),
    row(lambda x: np.isclose(x, np.round(x), atol=0.2), (9,), gradient=False),
    row(lambda x: np.sinc(x), (9,), second=True),
    row(lambda x: np.sinc(x * 1e-3) * 1e3, (5,), second=True),
    row(lambda x: np.i0(8 * x), (9,), second=True),
    row(lambda x: np.i0(20 * x) * 1e-9, (9,)),
    row(lambda x: np.unwrap(x * 5), (9,)),
    row(lambda x: np.unwrap(x * 7, period=4, discont=2.5, axis=0), (6, 2)),
    row(lambda x: np.angle(x), (4,)),
    row(lambda x: np.angle(x, deg=True), (4,)),
    row(lambda x: np.real(x) * 2, (4,)),
    row(lambda x: np.imag(x) + x, (4,)),
    row(lambda x: np.real_if_close(x) * 2, (4,)),
    row(lambda x: np.frexp(x * 9), (5,)),
    *(row(lambda x, f=f: f(x), (4,), positive=True) for f in (np.lib.scimath.sqrt, np.lib.scimath.log2)),
    row(lambda x: np.lib.scimath.arcsin(x / 3), (4,)),
    row(lambda x, n: np.lib.scimath.logn(n + 1, x), (4,), (), positive=True),
    row(lambda x: np.lib.scimath.power(x, 2.5), (4,), positive=True),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


@pytest.mark.parametrize(("comparison", "other"), [
    (lambda x: np.allclose(x, [1.0, 2.0, 3.0]), 1e-3), (lambda x: np.array_equal(x, [1.0, 2.0, 3.0]), 1e-3),
    (lambda x: np.array_equiv(x, [[1.0, 2.0, 3.0]] * 2), 1e-3),
    (lambda x: np.allclose(x, [1.0, 2.0, 3.0], atol=0.1), 1.0),
])  # fmt: skip
def test_comparisons_of_whole_arrays_follow_the_values(comparison, other):
    compiled = arc.compile(comparison)
    x = np.array([1.0, 2.0, 3.0])
    assert compiled(x) == comparison(x) == True  # noqa: E712
    assert compiled(x + other) == comparison(x + other) == False  # noqa: E712


def test_comparisons_of_unlike_shapes():
    assert arc.compile(lambda x: x * np.array_equal(x, x[:1]))(np.ones(2)).tolist() == [0, 0]
    assert arc.compile(lambda x: x * np.array_equiv(x, np.ones(3)))(np.ones(2)).tolist() == [0, 0]


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5])


@pytest.mark.parametrize("function", [
    np.nan_to_num, lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0), np.isposinf, np.isneginf, np.angle,
    lambda x: np.isclose(x, SPECIAL[::-1]),
    lambda x: np.isclose(x, x, equal_nan=True), np.isclose.__class__ and np.frexp,
    lambda x: np.clip(x, -1, 1), lambda x: np.round(x, 1), np.fix, np.sinc, np.isreal, np.iscomplex,
    lambda x: np.array_equal(x, x) * x, lambda x: np.array_equal(x, x, equal_nan=True) * x,
])  # fmt: skip
def test_special_values(function):
    check_value(lambda x: function(x), SPECIAL)


def test_sinc_and_i0_at_zero():
    for function in (np.sinc, np.i0):
        check_second_order(lambda x: function(x), np.array([0.0, 1e-9, 1e-4, 0.02, -0.3]))
    assert arc.grad(np.sinc)(0.0) == 0.0
    np.testing.assert_allclose(arc.grad(arc.grad(np.sinc))(0.0), -(np.pi**2) / 3, rtol=1e-14)
    np.testing.assert_allclose(arc.grad(arc.grad(np.i0))(0.0), 0.5, rtol=1e-14)


def test_in_place_and_out():
    def f(x):
        y = x * 1.0
        np.nan_to_num(y, copy=False)
        assert np.clip(y, -1, 1, out=y) is y
        assert np.round(y, 1, out=y) is y
        return y

    check_value(f, SPECIAL)


def test_branches_that_are_not_taken_leave_no_nan():
    f = arc.grad(lambda x: np.sum(np.piecewise(x, [x > 0], [np.sqrt, lambda v: v * 2])))
    np.testing.assert_array_equal(f(np.array([-1.0, 4.0, 0.0])), [2.0, 0.25, 2.0])
    g = arc.grad(lambda x: np.sum(np.select([x > 0], [np.log(x)], x)))
    np.testing.assert_array_equal(g(np.array([-1.0, 4.0])), [1.0, 0.25])


def test_dtypes_are_numpys():
    whole = sample((4,), "whole")
    for function in (lambda x: np.clip(x, 0, 2), lambda x: np.clip(x, 0.5, 2), np.round, np.fix, np.sinc, np.nan_to_num,
                     lambda x: np.round(x * 10, -1), lambda x: np.select([x > 0], [x]),
                     lambda x: np.choose(x > 0, [x, -x]),
                     lambda x: np.piecewise(x, [x > 0], [2.7, -1.2]), np.unwrap, np.angle, np.i0):  # fmt: skip
        check_value(function, whole)


@pytest.mark.parametrize("call", [
    lambda x: np.clip(x, np.ones(3), 1), lambda x: np.select([x > 0], [x, x]), lambda x: np.select([x], [x]),
    lambda x: np.choose([5, 0, 0, 0], [x, x]), lambda x: np.piecewise(x, [x > 0], [1, 2, 3]),
    lambda x: np.isclose(x, np.ones(3)),
    lambda x: np.round(x, 1.5), lambda x: np.unwrap(x, axis=2), lambda x: np.clip(x, 0, 1, out=np.zeros_like(x[:2])),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    x = sample((4,))
    with pytest.raises(Exception) as plain:
        call(x)
    with pytest.raises(type(plain.value)):
        arc.compile(call)(x)
