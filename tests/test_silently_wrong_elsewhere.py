"""What other libraries get wrong without a word: one test for each, and the conventions at kinks."""

import math
import operator

import numpy as np
import pytest
from helpers import assert_same, check, check_value
from hypothesis import given, settings
from hypothesis import strategies as st

import archimedes_grad as arc

QUARTERS = st.integers(-40, 40).map(lambda n: n / 4)


def same_number(got, expected):
    assert_same(np.float64(got), np.float64(expected))


# 1. Division with remainder and rounding.


@settings(max_examples=40)
@given(QUARTERS, QUARTERS.filter(bool))
def test_remainders_have_numpys_sign(x, y):
    ops = (np.mod, np.fmod, operator.floordiv, divmod, operator.mod)
    check_value(lambda x, y: [op(x, y) for op in ops], np.float64(x), np.float64(y))
    check_value(lambda x: [op(x, y) for op in ops], np.array([x, -x, 0.1 * x]))


@settings(max_examples=60)
@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e3))
def test_remainders_of_any_floats(x, y):
    ops = (np.mod, np.fmod, np.floor_divide)
    check_value(lambda x, y: [op(x, y) for op in ops], np.array([x, -x]), np.array([y, -y]), rtol=0, atol=0)


def test_gradients_of_remainders():
    for op in (np.mod, np.fmod):
        check(op, np.array([5.0, -5.0, 5.5, -7.25]), np.array([3.0, 3.0, -3.0, -2.0]))


@given(st.integers(-60, 60))
def test_rint_rounds_half_to_even(n):
    check_value(np.rint, np.array([n / 2, n / 4, n * 1e15 + 0.5]), rtol=0, atol=0)


# 2. Static arguments that share a graph: test_calls.py tests the keys.


def test_static_arrays_differ_in_the_middle():
    f = arc.grad(lambda x, table: x * table[1000], static_argnums=1)
    first, second = np.zeros(2000), np.zeros(2000)
    first[1000], second[1000] = 3.0, 4.0
    assert [float(f(1.0, first)), float(f(1.0, second)), float(f(1.0, first))] == [3.0, 4.0, 3.0]


def test_static_true_is_not_one_and_two_is_not_two_point_zero():
    f = arc.compile(lambda x, s: x * (10 if s is True else 20 if isinstance(s, int) else 30), static_argnums=1)
    assert [float(f(1.0, s)) for s in (1, True, 1.0, 2, 2.0, True, 1)] == [20, 10, 30, 20, 30, 10, 20]


# 3. Integers truncated.


def test_an_integer_argument_is_widened():
    same_number(arc.grad(lambda x: 2**x)(3), 8 * math.log(2))
    same_number(arc.grad(lambda x: x**-1)(2), -0.25)
    assert_same(arc.grad(lambda x: np.sum(x**2.5))(np.array([1, 4])), np.array([2.5, 20.0]))


# 4. Casts to int.


def test_a_cast_to_int_truncates():
    assert_same(arc.compile(lambda x: x.astype(int) * 1.0)(np.array([2.7, -2.7])), np.array([2.0, -2.0]))
    same_number(arc.grad(lambda x: x * x.astype(int))(2.7), 2.0)


# 5. Views.


def test_a_write_to_a_view_reaches_the_array():
    def program(x):
        y = x[:2]
        y[0] = 100.0
        return np.sum(x**2)

    check(program, np.array([1.0, 2.0, 3.0]))
    assert arc.grad(program)(np.array([1.0, 2.0, 3.0])).tolist() == [0.0, 4.0, 6.0]


def test_an_alias_sees_an_in_place_operation():
    def program(x):
        y = x
        y += 1
        return np.sum(x**2)

    check(program, np.array([1.0, 2.0]))
    same_number(arc.compile(program)(np.array([1.0, 2.0])), 13.0)


# 6. A symbol turned into a number.


@pytest.mark.parametrize(
    "program",
    [
        lambda x: math.sin(x), lambda x: float(x), lambda x: complex(x), lambda x: operator.setitem(np.zeros(2), 0, x),
        lambda x: f"{float(x)}", lambda x: np.zeros(2).fill(x), lambda x: np.float64(x),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_traced_value_is_never_turned_into_a_number_silently(program):
    with pytest.raises(arc.TraceError):
        arc.grad(lambda x: [program(x), x][1])(1.5)


def test_any_and_all_are_true_to_the_values():
    check_value(lambda x: [np.any(x), np.all(x), np.any(x > 2), np.all(x < 2)], np.array([0.0, 1.0]))


# 7. A trace lost silently.


def test_dot_of_a_constant_matrix():
    A = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert arc.grad(lambda x: np.sum(np.dot(A, x)))(np.ones(2)).tolist() == [4.0, 6.0]
    assert arc.grad(lambda x: np.sum(A.dot(np.ones(2)) * x))(np.ones(2)).tolist() == [3.0, 7.0]


@pytest.mark.parametrize("entries", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [2.0, 0.0, 3.0, 4.0, 5.0], [2.0, 3.0]])
def test_the_gradient_of_a_product_with_zeros(entries):
    x = np.array(entries)
    expected = [np.prod(np.delete(x, i)) for i in range(len(x))]
    assert arc.grad(np.prod)(x).tolist() == expected


# 8. nan where the derivative exists.


def test_powers_at_zero():
    assert_same(arc.grad(lambda x, n: x**n, argnums=(0, 1))(0.0, 2.0), (np.float64(0), np.float64(0)))
    assert_same(arc.grad(lambda x, n: x**n, argnums=(0, 1))(0.0, 1.0), (np.float64(1), np.float64(0)))
    assert_same(arc.grad(lambda x, n: x**n, argnums=(0, 1))(3.0, 0.0), (np.float64(0), np.float64(math.log(3))))
    for n in (0, 1, 2, 3, 4):
        same_number(arc.grad(lambda x: x**n)(0.0), 1.0 if n == 1 else 0.0)
        same_number(arc.grad(lambda x: np.power(x, n))(0.0), 1.0 if n == 1 else 0.0)
    same_number(arc.grad(lambda n: 0.0**n)(2.0), 0.0)


UNUSED = {
    "sqrt": lambda x: np.where(x > 0, np.sqrt(x), 0.0),
    "log": lambda x: np.where(x > 0, np.log(x), 0.0),
    "quotient": lambda x: np.where(x != 0, 1 / x, 0.0),
    "power": lambda x: np.where(x > 0, x**0.5, 0.0),
    "behind a gather": lambda x: np.where(x[::-1] > 0, np.sqrt(x)[::-1], 0.0),
    "behind a list": lambda x: np.where(x[[2, 0, 1]] > 0, np.sqrt(x)[[2, 0, 1]], 0.0),
    "behind a product": lambda x: np.where(np.eye(3) @ x > 0, np.eye(3) @ np.where(x > 0, np.sqrt(x), 1.0), 0.0),
    "of a row": lambda x: np.where(x > 0, np.log(np.stack([x, x]))[0], 0.0),
    "of scalars": lambda x: np.array([np.where(e > 0, np.log(e), 0.0) for e in x]),
    "sum of a row": lambda x: np.where(x > 0, np.sqrt(x[:, None]).sum(axis=1), 0.0),
    "overflow": lambda x: np.where(x >= -1, x, np.exp(1000 * np.abs(x))),
    "nested": lambda x: np.where(x > 0, np.where(x > 1, np.sqrt(x - 1), 0.0), 0.0),
    "arccos": lambda x: np.where(np.abs(x) < 1, np.arccos(x), 0.0),
}
FOR_THREE_ENTRIES = ("behind a list", "behind a product", "of scalars")


@pytest.mark.parametrize(
    ("case", "n"),
    [(case, 1) for case in UNUSED] + [(case, 5_000) for case in UNUSED if case not in FOR_THREE_ENTRIES],
)
def test_the_branch_that_where_does_not_take_leaves_no_nan(case, n):
    """Also where the arrays are so large that they stay arrays."""
    f = UNUSED[case]
    x = np.tile([-1.0, 0.0, 2.25], n)
    gradient = arc.grad(lambda x: np.sum(f(x)))(x)
    assert np.all(np.isfinite(gradient))
    assert_same(gradient, np.tile(arc.grad(lambda x: np.sum(f(x)))(x[:3]), n))


def test_unused_branches_of_maximum_and_clip_by_maximum():
    assert arc.grad(lambda x: np.sum(np.sqrt(np.maximum(x, 1.0))))(np.array([-1.0, 4.0])).tolist() == [0.0, 0.25]


# 9. nan in maximum.


def test_maximum_passes_nan_on():
    x, y = np.array([math.nan, 1.0, math.nan]), np.array([1.0, math.nan, math.nan])
    for f in (np.maximum, np.minimum, np.fmax, np.fmin):
        check_value(f, x, y)
        check_value(lambda x: f(x, 1.0), x)
        check_value(lambda x: f(1.0, x), x)
        check_value(lambda x: f(x, math.nan), y[:1])
    for f in (np.max, np.min):
        check_value(f, x)
        check_value(lambda x: f(x, axis=0), np.stack([x, y, y + 1]))
    for f in (np.fmax, np.fmin):
        check_value(f.reduce, np.array([math.nan, 1.0, 3.0]))
        check_value(f.reduce, np.array([math.nan, math.nan, math.nan]))


@pytest.mark.parametrize("f", [np.fmax, np.fmin])
def test_the_slope_of_fmax_beside_nan_is_that_of_the_number(f):
    assert_same(arc.grad(f, argnums=(0, 1))(math.nan, 3.0), (np.float64(0), np.float64(1)))
    assert_same(arc.grad(f, argnums=(0, 1))(3.0, math.nan), (np.float64(1), np.float64(0)))
    assert_same(arc.grad(f.reduce)(np.array([math.nan, 3.0])), np.array([0.0, 1.0]))
    assert_same(arc.grad(f.reduce)(np.array([3.0, math.nan, math.nan, 3.0])), np.array([0.5, 0.0, 0.0, 0.5]))


# 10. Complex results and indices out of range.


def test_complex_results_are_refused():
    for f in (lambda x: x * 1j, lambda x: np.exp(1j * x), lambda x: x.astype(complex)):
        with pytest.raises(TypeError, match="complex"):
            arc.grad(f)(1.0)


def test_an_index_out_of_range_is_an_error():
    with pytest.raises(IndexError):
        arc.grad(lambda x: x[5])(np.ones(3))
    with pytest.raises(IndexError):
        arc.grad(lambda x: np.take(x, 5))(np.ones(3))


# 11. Keywords accepted and ignored.


def test_keywords_of_ufuncs_and_reductions_are_honoured():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])

    def out(x):
        y = np.zeros_like(x)
        np.sin(x, out=y, where=np.array([[True, False], [False, True]]))
        return y

    check(out, x)
    check(lambda x: np.sum(x, axis=1, where=np.array([True, False]), initial=2.0), x)
    check_value(lambda x: np.sum(x, dtype=int), x + 0.5)
    check_value(lambda x: np.add(x, 0.5, dtype=np.float32), x)


def test_unknown_keywords_are_errors():
    for f in (lambda x: np.sum(x, axes=0), lambda x: np.sin(x, nothing=1), lambda x: np.transpose(x, ax=1)):
        with pytest.raises(TypeError) as expected:
            f(np.ones((2, 2)))
        with pytest.raises(type(expected.value)):
            arc.compile(f)(np.ones((2, 2)))


# 12. nan and overflow simplified away.

SIMPLIFIED = {
    "sqrt squared": (lambda x: np.sqrt(x) ** 2, -1.0),
    "sqrt times itself": (lambda x: np.sqrt(x) * np.sqrt(x), -1.0),
    "square of sqrt": (lambda x: np.square(np.sqrt(x)), -1.0),
    "sqrt of a square": (lambda x: np.sqrt(x**2), 1e200),
    "difference with itself": (lambda x: x - x, math.inf),
    "times zero": (lambda x: x * 0, math.nan),
    "zero times": (lambda x: 0.0 * x, math.inf),
    "zero over": (lambda x: 0.0 / x, 0.0),
    "over itself": (lambda x: x / x, 0.0),
    "log of exp": (lambda x: np.log(np.exp(x)), 800.0),
    "exp of log": (lambda x: np.exp(np.log(x)), -1.0),
    "power of power": (lambda x: (x**0.5) ** 2.0, -1.0),
    "reciprocal of reciprocal": (lambda x: 1 / (1 / x), 1e-310),
    "plus and minus": (lambda x: (x + 1e20) - 1e20, 1.0),
    "negated sum": (lambda x: x + (-x), math.inf),
    "power zero": (lambda x: x**0 * 2, math.nan),
    "times and over": (lambda x: (x * 1e300) / 1e300, 1e10),
    "arctanh of tanh": (lambda x: np.arctanh(np.tanh(x)), 40.0),
}


@pytest.mark.parametrize("case", SIMPLIFIED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nothing_is_simplified_away(case):
    f, at = SIMPLIFIED[case]
    check_value(f, np.float64(at), atol=0)
    check_value(f, np.array([at, 1.5]), atol=0)
    check_value(f, np.full(700, at), atol=0)
    same_number(arc.value_and_grad(f)(at)[0], f(np.float64(at)))
    check_value(lambda x: arc.compile(f)(x) * 1.0, np.float64(at), atol=0)


# 13. Equal shapes, different defaults or keyword order.


def test_defaults_and_keyword_order_do_not_share_a_graph():
    def f(x, scale=2.0, shift=10.0):
        return x * scale + shift

    compiled = arc.compile(f)
    assert [
        float(compiled(1.0)), float(compiled(1.0, 5.0)), float(compiled(1.0, shift=1.0)),
        float(compiled(1.0, shift=1.0, scale=3.0)), float(compiled(1.0, scale=3.0, shift=1.0)),
        float(compiled(shift=1.0, x=4.0)), float(compiled(x=4.0, shift=1.0)), float(compiled(1.0)),
    ] == [12.0, 15.0, 3.0, 4.0, 4.0, 9.0, 9.0, 12.0]  # fmt: skip


def test_two_functions_with_other_defaults():
    def made(power):
        def f(x, n=power):
            return x**n

        return arc.grad(f)

    assert [float(made(2)(3.0)), float(made(3)(3.0))] == [6.0, 27.0]


# --- the sign of a constant zero, which CasADi drops ------------------------------------------------


MINUS = np.array([-0.0, 0.0, -0.0])


def overwritten(x):
    y = x * 1.0
    y[1], y[2] = -0.0, 0.0
    return 1 / y


SIGNS = [
    lambda x: x / -0.0, lambda x: 1 / (x * -0.0), lambda x: 1 / (-0.0 / x), lambda x: x / np.float64(-0.0),
    lambda x: x / MINUS, lambda x: np.copysign(x, -0.0), lambda x: np.copysign(x, MINUS),
    lambda x: np.copysign(x, -np.zeros(3)), lambda x: np.arctan2(-0.0, -x), lambda x: np.arctan2(MINUS, -x),
    lambda x: 1 / np.where(x > 1.5, -0.0, x), lambda x: 1 / np.where(x > 1.5, MINUS, x), overwritten,
    lambda x: 1 / np.array([x[0], -0.0, 0.0]), lambda x: 1 / np.concatenate([x, MINUS]),
    lambda x: 1 / np.full_like(x, -0.0), lambda x: x / arc.full(3, -0.0), lambda x: x / arc.array([-0.0, 0.0, -0.0]),
    lambda x: x / arc.array([0.0, -0.0, 0.0]), lambda x: x / (-arc.zeros(3)), lambda x: x / (-np.zeros_like(x)),
    lambda x: x / (np.zeros_like(x) * -2.0), lambda x: 1 / (-np.array([x[0], 0.0])), lambda x: 1 / (-np.diag(x)),
    lambda x: 1 / (-np.pad(x, 1)), lambda x: np.copysign(1.0, np.maximum(-x, -0.0)), lambda x: 1 / (MINUS - x * 0),
    lambda x: np.sqrt(np.conj(-x + 0j)).imag, lambda x: arc.vmap(lambda t: t / -0.0)(x),
    lambda x: arc.scan(lambda c, t: (c, t / -0.0), 0.0, x)[1], lambda x: arc.jac(lambda y: y / MINUS)(x),
    lambda x: arc.cond(x[0] > 0, lambda t: t / -0.0, lambda t: t, x),
]  # fmt: skip


@pytest.mark.parametrize("engine", ["vm", "native"])
@pytest.mark.parametrize("function", SIGNS, ids=lambda function: f"line{function.__code__.co_firstlineno}")
def test_a_constant_zero_keeps_its_sign(function, engine):
    x = np.array([1.0, 2.0, 3.0])
    with np.errstate(all="ignore"):
        expected = np.asarray(function(x))
        got = np.asarray(arc.compile(function, engine=engine)(x))
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


# --- conventions ------------------------------------------------------------------------------------


def test_the_slope_of_abs_and_sign_at_zero_is_zero():
    for zero in (0.0, -0.0):
        for f in (np.abs, np.absolute, np.fabs, abs, np.sign):
            same_number(arc.grad(f)(zero), 0.0)


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_two_that_tie_share_the_gradient(f):
    assert_same(arc.grad(f, argnums=(0, 1))(1.5, 1.5), (np.float64(0.5), np.float64(0.5)))
    same_number(arc.grad(lambda x: f(x, 1.5))(1.5), 0.5)


@pytest.mark.parametrize("f", [np.max, np.min])
@pytest.mark.parametrize("ties", [1, 2, 3, 4, 5])
def test_entries_that_tie_share_the_gradient_equally(f, ties):
    sign = 1.0 if f is np.max else -1.0
    x = sign * np.array([2.0] * ties + [1.0, 0.5])
    assert_same(arc.grad(f)(x), np.array([1 / ties] * ties + [0.0, 0.0]))
    assert_same(arc.grad(lambda x: np.sum(f(x, axis=1)))(np.stack([x, x[::-1]]))[1][::-1], arc.grad(f)(x))


def test_slope_of_sqrt_at_zero_is_infinite():
    same_number(arc.grad(np.sqrt)(0.0), math.inf)
    same_number(arc.grad(lambda x: x**0.5)(0.0), math.inf)
    same_number(arc.grad(np.cbrt)(0.0), math.inf)


def test_slopes_at_infinity_and_nan():
    same_number(arc.grad(np.exp)(math.inf), math.inf)
    same_number(arc.grad(np.log)(0.0), math.inf)
    same_number(arc.grad(np.sin)(math.nan), math.nan)
    same_number(arc.grad(lambda x: 1 / x)(0.0), -math.inf)


def test_hypot_and_std_have_slope_zero_at_their_kink():
    assert_same(arc.grad(np.hypot, argnums=(0, 1))(0.0, 0.0), (np.float64(0), np.float64(0)))
    assert_same(arc.grad(np.std)(np.ones(3)), np.zeros(3))
    same_number(arc.grad(lambda x: np.hypot(x, 0.0) ** 2)(0.0), 0.0)


@pytest.mark.parametrize("size", [None, 3, 50])
def test_a_branch_that_maximum_or_minimum_does_not_take_does_not_leak(size):
    shape = () if size is None else size
    zeros = np.zeros(shape)
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 1.0)))(zeros), zeros)
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(np.minimum(1.0 / x, 2.0)))(zeros), zeros)
    half = np.full(shape, 0.25)
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 0.5)))(half), half + 0.25)
    assert np.isnan(arc.compile(lambda x: np.maximum(np.sqrt(x), 1.0))(-1.0))
