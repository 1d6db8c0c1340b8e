"""One row per operation: its value is NumPy's, its gradient that of central differences."""

import operator
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
import pytest
from helpers import assert_same, check, check_gradient, check_second_order, check_value, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import arrays, broadcastable, shapes, shapes_with_nothing

import archimedes_grad as arc
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import ELEMENTWISE
from archimedes_grad.derivatives import representation as representations

# --- ufuncs ---------------------------------------------------------------------------------------

#: ufunc -> the domain of its operand
UNARY = {
    np.negative: "real", np.positive: "real", np.conjugate: "real", np.reciprocal: "positive", np.square: "real",
    np.sqrt: "positive", np.cbrt: "real", np.absolute: "real", np.fabs: "real", np.sign: "real",
    np.exp: "real", np.exp2: "real", np.expm1: "real", np.log: "positive", np.log2: "positive",
    np.log10: "positive", np.log1p: "unit", np.sin: "real", np.cos: "real", np.tan: "unit", np.arcsin: "unit",
    np.arccos: "unit", np.arctan: "real", np.sinh: "real", np.cosh: "real", np.tanh: "real", np.arcsinh: "real",
    np.arccosh: "above one", np.arctanh: "unit", np.deg2rad: "real", np.radians: "real", np.rad2deg: "real",
    np.degrees: "real", np.floor: "real", np.ceil: "real", np.trunc: "real", np.rint: "real", np.modf: "real",
}  # fmt: skip

#: ufunc -> the domains of its operands
BINARY = {
    np.add: ("real", "real"), np.subtract: ("real", "real"), np.multiply: ("real", "real"),
    np.true_divide: ("real", "positive"), np.power: ("positive", "real"), np.float_power: ("positive", "real"),
    np.remainder: ("real", "positive"), np.fmod: ("real", "positive"), np.floor_divide: ("real", "positive"),
    np.divmod: ("real", "positive"), np.copysign: ("real", "real"), np.heaviside: ("real", "real"),
    np.logaddexp: ("real", "real"), np.logaddexp2: ("real", "real"), np.arctan2: ("real", "positive"),
    np.hypot: ("real", "real"), np.maximum: ("real", "real"), np.minimum: ("real", "real"),
    np.fmax: ("real", "real"), np.fmin: ("real", "real"),
}  # fmt: skip

UNARY_PREDICATES = (np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_not)
BINARY_PREDICATES = (
    np.less, np.less_equal, np.equal, np.not_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
    np.logical_xor,
)  # fmt: skip

PAIRS = (((), ()), ((3,), ()), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 1, 2), (3, 1)), ((1,), (4,)), ((2, 0), (1,)))

#: Entries at which implementations differ: signs of zero, subnormal and huge numbers, halves, inf and nan.
SPECIAL = np.array([
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 2.0, 3.0, -3.0, 10.0, 1000.0, 8.0, 1e-310, -1e-310, 1e300, -1e300,
    4503599627370495.5, np.inf, -np.inf, np.nan,
])  # fmt: skip


def name(function: Any) -> str:
    return getattr(function, "__name__", repr(function))


def test_every_ufunc_with_a_rule_has_a_row():
    rows = {*UNARY, *BINARY, *UNARY_PREDICATES, *BINARY_PREDICATES, np.ldexp}
    assert {ufunc for ufunc in ELEMENTWISE if getattr(np, ufunc.__name__, None) is ufunc} == rows


@pytest.fixture(params=["scalar", "array"])
def representation(request, monkeypatch):
    """Make every graph one of scalars, or one of arrays."""
    monkeypatch.setattr(representations, "_choice", lambda graph, primal: (request.param, "the test asks for it"))
    return request.param


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3), (2, 1, 2), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("ufunc", UNARY, ids=name)
def test_unary_ufunc(ufunc, shape):
    check(ufunc, sample(shape, UNARY[ufunc]))


@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@pytest.mark.parametrize("ufunc", BINARY, ids=name)
def test_binary_ufunc(ufunc, shapes):
    left, right = (sample(s, d, i + 2) for i, (s, d) in enumerate(zip(shapes, BINARY[ufunc], strict=True)))
    check(ufunc, left, right)


@pytest.mark.parametrize("ufunc", [*UNARY, *BINARY], ids=name)
def test_ufunc_in_both_representations(ufunc, representation):
    domains = (UNARY[ufunc],) if ufunc in UNARY else BINARY[ufunc]
    args = [sample((2, 3), domain, i) for i, domain in enumerate(domains)]
    check(ufunc, *args)


@pytest.mark.parametrize("ufunc", BINARY, ids=name)
def test_binary_ufunc_with_a_constant_on_either_side(ufunc):
    left, right = (sample((3,), domain, i) for i, domain in enumerate(BINARY[ufunc]))
    numbers = (2, 2.5, np.float64(0.75))
    check(lambda x: [ufunc(x, constant) for constant in (*numbers, right)], left)
    check(lambda y: [ufunc(constant, y) for constant in (*numbers, left)], right)
    check(lambda y: [ufunc(constant, y) for constant in (*numbers, left)], right[0])


@pytest.mark.parametrize("ufunc", [*UNARY, *UNARY_PREDICATES], ids=name)
def test_unary_ufunc_at_special_values(ufunc, representation):
    check_value(ufunc, SPECIAL, atol=0)
    compiled = arc.compile(lambda x: ufunc(x))
    for entry in SPECIAL:
        with np.errstate(all="ignore"):
            expected = ufunc(entry)
        assert_same(compiled(entry), expected, atol=0)


@pytest.mark.parametrize("ufunc", [*BINARY, *BINARY_PREDICATES], ids=name)
def test_binary_ufunc_at_special_values(ufunc, representation):
    check_value(ufunc, SPECIAL[:, None], SPECIAL, atol=0)


@pytest.mark.parametrize(
    "ufunc", [np.negative, np.floor, np.ceil, np.trunc, np.rint, np.absolute, np.sin, np.sqrt, np.sign], ids=name
)
def test_sign_of_zero(ufunc):
    at = np.array([0.0, -0.0, 0.25, -0.25])
    with np.errstate(invalid="ignore"):
        expected = np.signbit(ufunc(at))[:2]
    np.testing.assert_array_equal(np.signbit(arc.compile(ufunc)(at))[:2], expected)


def test_ldexp():
    check(lambda x: np.ldexp(x, np.array([1, -2, 3])), sample((3,)))


@pytest.mark.parametrize("ufunc", [*UNARY_PREDICATES, np.rint, np.floor], ids=name)
def test_a_step_has_gradient_zero(ufunc):
    gradient = arc.grad(lambda x: np.sum(x * ufunc(x)))(sample((4,)))
    np.testing.assert_array_equal(gradient, ufunc(sample((4,))).astype(float))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 7, -1, -2, 0.5, 1.5, -0.5, 2.0, np.float64(3)], ids=repr)
def test_constant_powers(exponent):
    domain = "real" if float(exponent).is_integer() else "positive"
    check(lambda x: x**exponent, sample((4,), domain))
    check(lambda x: x**exponent, sample((), domain))
    check_value(lambda x: x**exponent, SPECIAL, atol=0)


SMOOTH = (
    np.sin, np.exp, np.log, np.tanh, np.sqrt, np.cbrt, np.arctan, np.expm1, np.log1p, np.arcsinh, np.square,
    np.reciprocal, np.log2, np.log10,
)  # fmt: skip


@pytest.mark.parametrize("ufunc", SMOOTH, ids=name)
def test_second_order_of_unary_ufuncs(ufunc):
    check_second_order(ufunc, sample((3,), UNARY[ufunc]))


@pytest.mark.parametrize("ufunc", [np.power, np.hypot, np.arctan2, np.logaddexp, np.true_divide, np.multiply], ids=name)
def test_second_order_of_binary_ufuncs(ufunc):
    y = sample((3,), BINARY[ufunc][1], 1)
    check_second_order(lambda x: ufunc(x, y) * x, sample((3,), "positive"))


# --- ufunc arguments and methods --------------------------------------------------------------------


def into_zeros(ufunc: np.ufunc, **options: Any) -> Callable[..., Any]:
    def function(x, y):
        out = np.zeros_like(x)
        result = ufunc(x, y, out=out, **options)
        assert result is out
        return out * 2 + result

    return function


UFUNC_ARGUMENTS = {
    "out": into_zeros(np.multiply),
    "out and where": into_zeros(np.multiply, where=np.array([[True, False, True], [False, False, True]])),
    "where broadcast": into_zeros(np.add, where=np.array([True, False, True])),
    "dtype of ints": lambda x, y: np.add(np.trunc(x).astype(np.int32), 2, dtype=np.int64),
    "out positional": lambda x, y: np.sin(x, np.zeros_like(x)),
    "outer": lambda x, y: np.multiply.outer(x[0], y[1]),
    "outer of matrices": lambda x, y: np.subtract.outer(x, y),
    "add.reduce": lambda x, y: np.add.reduce(x),
    "add.reduce of all": lambda x, y: np.add.reduce(x, axis=None),
    "multiply.reduce": lambda x, y: np.multiply.reduce(x, axis=1, keepdims=True),
    "maximum.reduce": lambda x, y: np.maximum.reduce(x, 1),
    "minimum.reduce": lambda x, y: np.minimum.reduce(x, axis=-1),
    "two outputs": lambda x, y: np.modf(x, out=(np.zeros_like(x), np.zeros_like(x))),
}


@pytest.mark.parametrize("case", UFUNC_ARGUMENTS)
def test_ufunc_arguments(case):
    check(UFUNC_ARGUMENTS[case], sample((2, 3)), sample((2, 3), "positive", 1))


# --- operators --------------------------------------------------------------------------------------

OPERATORS = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod, operator.floordiv, divmod,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge,
)  # fmt: skip
IN_PLACE = (
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.imod, operator.ifloordiv,
)  # fmt: skip


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("op", OPERATORS, ids=name)
def test_operators_and_reflected(op, shape):
    x, y = sample(shape, "positive"), sample(shape, "positive", 1)
    check(op, x, y)
    others = (2, 1.5, True, np.float64(0.7), np.int64(3), np.full(shape, 1.25), np.array(0.6))
    check(lambda x: [op(x, other) for other in others], x)
    check(lambda x: [op(other, x) for other in others], x)


@pytest.mark.parametrize("op", IN_PLACE, ids=name)
def test_in_place_operators(op):
    def program(x, y):
        z = x.copy()
        alias = z
        z = op(z, y)
        assert alias is z
        return alias * 3

    check(program, sample((2, 3), "positive"), sample((3,), "positive", 1))
    check(lambda x, y: op(x, y), sample((), "positive"), sample((), "positive", 1))


@pytest.mark.parametrize("op", [operator.neg, operator.pos, abs], ids=name)
def test_unary_operators(op):
    check(op, sample((3,)))
    check(op, sample(()))


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor])
def test_bitwise_operators_of_booleans(op):
    check(lambda x, y: op(x > 0, y > 0) * 1.5, sample((8,)), sample((8,), seed=1))
    check(lambda x, y: op(x > 0, True), sample((8,)), sample((8,), seed=1))
    check(lambda x, y: op(True, x > 0), sample((8,)), sample((8,), seed=1))


def test_invert_of_booleans():
    check(lambda x: ~(x > 0), sample((4,)))
    check(lambda x: ~(x > 0), sample(()))


# --- reductions -------------------------------------------------------------------------------------

REDUCTIONS = (
    np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.ptp, np.any, np.all, np.count_nonzero,
    np.amax, np.amin,
)  # fmt: skip
AXES = (None, 0, -1, 1, (0, 2), (-1, 0), (0, 1, 2), (1,))


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS, ids=name)
def test_reduction_over_axes(reduction, keepdims, axis):
    check(lambda x: reduction(x, axis=axis, keepdims=keepdims), sample((2, 3, 2)))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 4), (4, 1), (2, 1, 3, 2)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS, ids=name)
def test_reduction_of_all(reduction, shape):
    check(reduction, sample(shape))


@pytest.mark.parametrize("reduction", REDUCTIONS, ids=name)
def test_reduction_in_both_representations(reduction, representation):
    check(lambda x: reduction(x, axis=1), sample((3, 5)))
    check(lambda x: reduction(x, axis=0), sample((3, 5)))
    check(reduction, sample((3, 5)))


MASK = np.array([[True, False, True], [False, True, True]])
REDUCTION_ARGUMENTS = {
    "sum where": lambda x: np.sum(x, where=MASK),
    "sum where axis": lambda x: np.sum(x, axis=0, where=MASK),
    "sum where broadcast": lambda x: np.sum(x, axis=1, where=np.array([True, False, True])),
    "sum initial": lambda x: np.sum(x, initial=3.5),
    "sum initial axis where": lambda x: np.sum(x, axis=1, initial=3.5, where=MASK),
    "sum dtype int": lambda x: np.sum(x * 3, dtype=int),
    "sum out": lambda x: np.sum(x, axis=0, out=np.zeros(3, like=x)),
    "sum empty axis": lambda x: np.sum(x, axis=()),
    "prod where": lambda x: np.prod(x, axis=0, where=MASK),
    "prod initial": lambda x: np.prod(x, initial=2.0),
    "max initial": lambda x: np.max(x, axis=0, initial=0.1),
    "min initial where": lambda x: np.min(x, axis=0, initial=0.1, where=MASK),
    "max where": lambda x: np.max(x, axis=1, initial=-np.inf, where=MASK),
    "mean where": lambda x: np.mean(x, axis=1, where=MASK),
    "mean out": lambda x: np.mean(x, axis=0, out=np.zeros(3, like=x)),
    "var ddof": lambda x: np.var(x, axis=1, ddof=1),
    "var where": lambda x: np.var(x, axis=1, where=MASK),
    "var mean": lambda x: np.var(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)),
    "var correction": lambda x: np.var(x, correction=1),
    "std ddof": lambda x: np.std(x, axis=0, ddof=1),
    "std where keepdims": lambda x: np.std(x, axis=1, where=MASK, keepdims=True),
    "any where": lambda x: np.any(x > 0.5, axis=0, where=MASK),
    "all where": lambda x: np.all(x > 0.5, axis=0, where=MASK),
    "ptp axis": lambda x: np.ptp(x, axis=0),
    "builtin sum": lambda x: sum(x),
    "sum of list": lambda x: np.sum([x[0], x[1]], axis=0),
    "traced initial": lambda x: np.sum(x[1:], axis=0, initial=x[0, 0]),
}


@pytest.mark.parametrize("case", REDUCTION_ARGUMENTS)
def test_reduction_arguments(case):
    check(REDUCTION_ARGUMENTS[case], sample((2, 3)))


@pytest.mark.parametrize("reduction", [np.sum, np.prod, np.any, np.all, np.count_nonzero], ids=name)
@pytest.mark.parametrize("axis", [None, 0, 1], ids=str)
def test_reduction_of_nothing(reduction, axis):
    check(lambda x: reduction(x, axis=axis), np.zeros((0, 3)))


@pytest.mark.parametrize("reduction", [np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std], ids=name)
def test_reduction_of_special_values(reduction):
    for entries in (SPECIAL[:-3], SPECIAL[:-2], SPECIAL[:-1], SPECIAL[[0, 2, 4, -3]]):
        check_value(lambda x: reduction(x * 1e-10), entries)
    for entries in (SPECIAL, np.array([np.nan, 1.0]), np.array([1.0, np.nan]), np.array([np.inf, np.nan, 0.0])):
        check_value(reduction, entries)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 65, 1025, 3000])
def test_long_sums(n):
    x = sample((n,))
    np.testing.assert_array_equal(arc.grad(np.sum)(x), np.ones(n))
    np.testing.assert_array_equal(arc.grad(np.max)(x), (x == x.max()).astype(float))
    check_value(np.sum, x)
    check_value(np.max, x)


@pytest.mark.parametrize("n", [3, 100, 1024, 1025, 1031, 2000])
@pytest.mark.parametrize("extreme", [np.max, np.min, np.nanmax], ids=name)
def test_ties_share_the_gradient_of_an_extreme(extreme, n, representation):
    sign = -1.0 if extreme is np.min else 1.0
    x = sign * np.linspace(-1.0, 0.5, n)
    tied = [0, n // 2, n - 1]
    x[tied] = sign
    shares = np.zeros(n)
    shares[tied] = 1 / 3
    np.testing.assert_allclose(arc.grad(extreme)(x), shares, rtol=1e-15)
    check_value(extreme, x)
    for axis, matrix in ((0, np.stack([x, -x, 0 * x], axis=1)), (1, np.stack([x, -x, 0 * x]))):
        gradient = arc.grad(lambda y, axis=axis: np.sum(extreme(y, axis=axis) * np.array([1.0, 0.0, 2.0])))(matrix)
        expected = np.stack([shares, 0 * x, np.full(n, 2 / n)], axis=1 - axis)
        np.testing.assert_allclose(gradient, expected, rtol=1e-15)


@pytest.mark.parametrize("place", [0, 700, 1499])
@pytest.mark.parametrize("extreme", [np.max, np.min], ids=name)
def test_a_nan_is_the_extreme_of_a_large_array(extreme, place):
    x = sample((1500,))
    x[place] = np.nan
    check_value(extreme, x)
    check_value(lambda y: extreme(y, axis=0), x.reshape(3, 500))
    check_value(lambda y: extreme(y, axis=1), x.reshape(3, 500))


@pytest.mark.parametrize("reduction", [np.sum, np.prod, np.mean, np.var, np.std], ids=name)
def test_second_order_of_reductions(reduction):
    check_second_order(lambda x: reduction(np.sin(x), axis=0), sample((3, 2)))


# --- products ---------------------------------------------------------------------------------------

MATMUL = [
    ((3,), (3,)), ((2, 3), (3,)), ((2,), (2, 3)), ((2, 3), (3, 4)), ((1, 3), (3, 1)), ((1, 1), (1, 1)), ((1,), (1,)),
    ((4, 2, 3), (3,)), ((4, 2, 3), (3, 2)), ((3,), (4, 3, 2)), ((2, 3), (4, 3, 2)), ((4, 2, 3), (4, 3, 2)),
    ((1, 2, 3), (4, 3, 2)), ((2, 1, 2, 3), (4, 3, 2)), ((5, 1, 2, 3), (1, 4, 3, 1)), ((2, 2, 3), (2, 2, 3, 2)),
    ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)), ((0,), (0,)), ((4, 0, 3), (3, 2)), ((3,), (2, 3, 1)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", MATMUL, ids=str)
def test_matmul(shapes):
    a, b = sample(shapes[0]), sample(shapes[1], seed=1)
    check(np.matmul, a, b)
    check(lambda a: a @ b, a)
    check(lambda b: a @ b, b)


DOT = [
    ((), ()), ((), (3,)), ((2, 2), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)),
    ((2, 2, 3), (3,)), ((2, 2, 3), (3, 2)), ((3,), (2, 3, 2)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", DOT, ids=str)
def test_dot(shapes):
    check(np.dot, sample(shapes[0]), sample(shapes[1], seed=1))


INNER = [((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((2, 2, 3), (2, 3)), ((2, 0), (3, 0))]


@pytest.mark.parametrize("shapes", INNER, ids=str)
def test_inner(shapes):
    check(np.inner, sample(shapes[0]), sample(shapes[1], seed=1))


PRODUCTS = {
    "outer": (np.outer, (3,), (2,)),
    "outer of matrices": (np.outer, (2, 2), (3,)),
    "outer of scalars": (np.outer, (), (3,)),
    "vdot": (np.vdot, (3,), (3,)),
    "vdot of matrices": (np.vdot, (2, 3), (2, 3)),
    "vecdot": (np.vecdot, (2, 3), (3,)),
    "vecdot axis": (lambda a, b: np.vecdot(a, b, axis=0), (3, 2), (3, 2)),
    "matmul out": (lambda a, b: np.matmul(a, b, out=np.zeros((2, 2), like=a)), (2, 3), (3, 2)),
    "dot out": (lambda a, b: np.dot(a, b, out=np.zeros((2, 2), like=a)), (2, 3), (3, 2)),
    "dot method": (lambda a, b: a.dot(b), (2, 3), (3,)),
    "matmul of lists": (lambda a, b: [[1.0, 2.0]] @ a @ b, (2, 3), (3,)),
    "quadratic form": (lambda a, b: b @ (a.T @ a) @ b, (2, 3), (3,)),
    "in-place matmul": (lambda a, b: operator.imatmul(a.copy(), b), (2, 3), (3, 3)),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case):
    function, left, right = PRODUCTS[case]
    check(function, sample(left), sample(right, seed=1))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("offset", [0, 1, -1])
def test_trace(shape, offset):
    check(lambda x: np.trace(x, offset), sample(shape))
    check(lambda x: np.trace(x, offset, 1, 0), sample(shape))


def test_product_large_enough_for_blas():
    a, b = sample((40, 30)), sample((30, 35), seed=1)
    check_value(np.matmul, a, b)
    gradient_a, gradient_b = arc.grad(lambda a, b: np.sum(np.sin(a @ b)), argnums=(0, 1))(a, b)
    np.testing.assert_allclose(gradient_a, np.cos(a @ b) @ b.T, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(gradient_b, a.T @ np.cos(a @ b), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("vector_first", [False, True])
def test_product_of_a_large_matrix_and_a_vector(vector_first):
    def product(A, x):
        return x @ A if vector_first else A @ x

    A, x = sample((160, 200)), sample((160,) if vector_first else (200,), seed=1)
    check_value(product, A, x)
    slope = np.cos(product(A, x))
    by_A, by_x = arc.grad(lambda A, x: np.sum(np.sin(product(A, x))), argnums=(0, 1))(A, x)
    np.testing.assert_allclose(by_A, np.outer(x, slope) if vector_first else np.outer(slope, x), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(by_x, A @ slope if vector_first else slope @ A, rtol=1e-9, atol=1e-9)


def test_the_derivative_of_a_large_matrix_by_a_vector_copies_no_matrix():
    A = sample((160, 200))
    embedded = arc.grad(lambda x: np.sum(np.sin(A @ x)), engine="vm").to_casadi(sample((200,)))
    (call,) = (k for k in range(embedded.n_instructions()) if embedded.instruction_id(k) == cs.OP_CALL)
    operations = function_operations(embedded.instruction_MX(call).which_function())
    assert operations.count(cs.OP_MTIMES) == 2
    assert cs.OP_TRANSPOSE not in operations


def function_operations(function):
    return [function.instruction_id(k) for k in range(function.n_instructions())]


def test_second_order_of_products():
    y = sample((3, 2), seed=1)
    check_second_order(lambda x: np.sin(x @ y) @ x[:2, :2], sample((3, 3)))


# --- movement ---------------------------------------------------------------------------------------

MOVEMENT = {
    "array_split": (lambda x: np.array_split(x, 3), (7, 2)),
    "array_split axis": (lambda x: np.array_split(x, 2, axis=1), (2, 3)),
    "atleast_1d": (np.atleast_1d, ()),
    "atleast_2d": (np.atleast_2d, (3,)),
    "atleast_3d": (np.atleast_3d, (2, 3)),
    "atleast_1d of several": (lambda x: np.atleast_1d(x, 2.0, x[0]), (3,)),
    "broadcast_arrays": (lambda x: np.broadcast_arrays(x, x[:, :1], 2.0), (2, 3)),
    "broadcast_to": (lambda x: np.broadcast_to(x, (4, 2, 3)), (2, 1)),
    "broadcast_to same": (lambda x: np.broadcast_to(x, (2, 3)), (2, 3)),
    "delete": (lambda x: np.delete(x, 1, axis=0), (3, 2)),
    "delete several": (lambda x: np.delete(x, [0, 2]), (5,)),
    "diag of a vector": (np.diag, (3,)),
    "diag of a vector, offset": (lambda x: np.diag(x, -2), (3,)),
    "diag of a matrix": (np.diag, (3, 4)),
    "diag of a matrix, offset": (lambda x: np.diag(x, 1), (3, 4)),
    "diagonal": (np.diagonal, (2, 3)),
    "diagonal axes": (lambda x: np.diagonal(x, 1, 0, 2), (2, 3, 4)),
    "dsplit": (lambda x: np.dsplit(x, 2), (1, 3, 4)),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)), (2, 3)),
    "flip": (np.flip, (2, 3)),
    "flip axis": (lambda x: np.flip(x, 1), (2, 3)),
    "flip axes": (lambda x: np.flip(x, (0, 2)), (2, 3, 2)),
    "fliplr": (np.fliplr, (2, 3)),
    "flipud": (np.flipud, (2, 3)),
    "hsplit": (lambda x: np.hsplit(x, [1, 3]), (2, 4)),
    "linalg.diagonal": (np.linalg.diagonal, (2, 3, 3)),
    "linalg.matrix_transpose": (np.linalg.matrix_transpose, (2, 3, 4)),
    "matrix_transpose": (np.matrix_transpose, (2, 3, 4)),
    "moveaxis": (lambda x: np.moveaxis(x, 0, -1), (2, 3, 4)),
    "moveaxis of several": (lambda x: np.moveaxis(x, (0, 1), (-1, 0)), (2, 3, 4, 1)),
    "ravel": (np.ravel, (2, 3)),
    "ravel F": (lambda x: np.ravel(x, order="F"), (2, 3)),
    "ravel of transpose": (lambda x: np.ravel(x.T), (2, 3)),
    "ravel K of transpose": (lambda x: np.ravel(x.T, order="K"), (2, 3)),
    "repeat": (lambda x: np.repeat(x, 2), (2, 3)),
    "repeat axis": (lambda x: np.repeat(x, [1, 0, 2], axis=1), (2, 3)),
    "reshape": (lambda x: np.reshape(x, (3, -1)), (2, 3, 2)),
    "reshape F": (lambda x: np.reshape(x, (3, 4), order="F"), (2, 3, 2)),
    "reshape of transpose": (lambda x: x.T.reshape(4, 3), (2, 3, 2)),
    "reshape of a scalar": (lambda x: np.reshape(x, (1, 1)), ()),
    "resize": (lambda x: np.resize(x, (3, 4)), (2, 3)),
    "roll": (lambda x: np.roll(x, 2), (2, 3)),
    "roll axis": (lambda x: np.roll(x, -1, axis=1), (2, 3)),
    "roll axes": (lambda x: np.roll(x, (1, 2), axis=(0, 1)), (2, 3)),
    "rollaxis": (lambda x: np.rollaxis(x, 2), (2, 3, 4)),
    "rot90": (np.rot90, (2, 3)),
    "rot90 thrice": (lambda x: np.rot90(x, 3, (1, 2)), (2, 3, 2)),
    "split": (lambda x: np.split(x, 2, axis=1), (2, 4)),
    "squeeze": (np.squeeze, (1, 3, 1)),
    "squeeze axis": (lambda x: np.squeeze(x, axis=0), (1, 3, 1)),
    "squeeze to nothing": (np.squeeze, (1, 1)),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 2), (2, 3, 4)),
    "take": (lambda x: np.take(x, [5, 0, 0]), (2, 3)),
    "take axis": (lambda x: np.take(x, [[2, 0], [1, 1]], axis=1), (2, 3)),
    "take mode": (lambda x: np.take(x, [7, -1], axis=1, mode="wrap"), (2, 3)),
    "take one": (lambda x: np.take(x, 2), (3,)),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.array([[0, 2], [1, 1]]), axis=1), (2, 3)),
    "tile": (lambda x: np.tile(x, (2, 2)), (2, 3)),
    "tile of a vector": (lambda x: np.tile(x, 3), (2,)),
    "transpose": (np.transpose, (2, 3, 4)),
    "transpose axes": (lambda x: np.transpose(x, (1, 0, 3, 2)), (2, 3, 2, 2)),
    "tril": (np.tril, (3, 4)),
    "tril k": (lambda x: np.tril(x, -1), (2, 3, 3)),
    "triu": (lambda x: np.triu(x, 1), (3, 4)),
    "vsplit": (lambda x: np.vsplit(x, 2), (4, 3)),
    "movement of a list": (lambda x: arc.array(np.transpose([x, 2 * x])), (3,)),
    "chain": (lambda x: np.flip(np.roll(x.T, 1, axis=0), 1).reshape(-1)[::-2], (4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("case", MOVEMENT)
def test_movement(case):
    function, shape = MOVEMENT[case]
    check(function, sample(shape))


@pytest.mark.parametrize("case", MOVEMENT)
def test_movement_after_an_operation(case, representation):
    """What moves is an intermediate array, and more is done to the result."""
    function, shape = MOVEMENT[case]
    check_gradient(lambda x: [np.sin(part) for part in _parts(function(x * x))], sample(shape))


def _parts(result: Any) -> Any:
    return result if isinstance(result, list | tuple) else [result]


# --- any shapes -------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(broadcastable(3))
def test_broadcasting(shapes):
    x, y, z = (sample(shape, "positive", i) for i, shape in enumerate(shapes))
    check_value(lambda x, y, z: x * y + np.where(x > y, z, x / z), x, y, z)
    check_gradient(lambda x, y, z: x * y + np.hypot(z, y), x, y, z)


@settings(max_examples=60)
@given(st.one_of(shapes, shapes_with_nothing), st.data())
def test_reductions_over_any_axes(shape, data):
    axes = data.draw(st.one_of(st.none(), st.sets(st.integers(0, len(shape) - 1)).map(tuple) if shape else st.just(())))
    keepdims = data.draw(st.booleans())
    x = data.draw(arrays(shape))
    of_nothing, of_entries = (np.sum, np.prod, np.any, np.count_nonzero), (np.sum, np.prod, np.max, np.mean, np.all)
    for reduction in of_nothing if 0 in shape else of_entries:
        check_value(lambda x: reduction(x, axis=axes, keepdims=keepdims), x)
    if 0 not in shape:
        check_gradient(lambda x: np.prod(np.sin(x), axis=axes, keepdims=keepdims), x)


@settings(max_examples=60)
@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3), st.booleans())
def test_products_of_any_shapes(shapes, transposed):
    x, y = (sample(shape, seed=i) for i, shape in enumerate(shapes.input_shapes))
    if transposed:
        check_value(lambda x, y: y.T @ x.T if max(x.ndim, y.ndim) < 3 else np.matmul(x, y), x, y)
    check(np.matmul, x, y)


BATCHES = {
    "one axis": ((3, 4, 5), (3, 5, 6)),
    "broadcast to each other": ((2, 1, 4, 5), (3, 5, 6)),
    "one matrix for all": ((1, 4, 5), (3, 5, 6)),
    "a matrix from the left": ((4, 5), (3, 5, 6)),
    "on BLAS": ((2, 30, 30), (2, 30, 30)),
    "more than are multiplied one by one": ((1001, 4, 4), (1001, 4, 4)),
}


@pytest.mark.parametrize("shapes", BATCHES.values(), ids=BATCHES)
def test_products_of_batches(shapes):
    x, y = (sample(shape, seed=i) for i, shape in enumerate(shapes))
    check_value(np.matmul, x, y)
    weights = sample(np.shape(x @ y), seed=2)
    gradients = arc.grad(lambda x, y: np.sum(weights * (x @ y)), argnums=(0, 1))(x, y)
    by_hand = (weights @ np.swapaxes(y, -1, -2), np.swapaxes(x, -1, -2) @ weights)
    for gradient, expected in zip(gradients, by_hand, strict=True):
        summed = tuple(range(expected.ndim - gradient.ndim))
        expected = np.sum(expected, axis=summed)
        stretched = tuple(i for i, n in enumerate(gradient.shape) if n == 1 and expected.shape[i] != 1)
        assert_same(gradient, np.sum(expected, axis=stretched, keepdims=True), rtol=1e-11, atol=1e-11)


def test_products_of_batches_in_both_representations(representation):
    check(np.matmul, sample((2, 4, 5)), sample((2, 5, 4), seed=1))


@settings(max_examples=60)
@given(shapes, st.data())
def test_chains_of_movements(shape, data):
    steps = data.draw(st.lists(st.sampled_from(list(CHAINABLE)), min_size=2, max_size=5))

    def chain(x):
        for step in steps:
            x = CHAINABLE[step](x)
        return x

    check_value(chain, data.draw(arrays(shape)))
    x = sample(shape)
    indices = np.ravel(chain(np.arange(x.size).reshape(shape)))
    weights = np.arange(1.0, indices.size + 1)
    expected = np.bincount(indices, weights, minlength=x.size).reshape(shape)
    gradient = arc.grad(lambda x: np.sum(np.ravel(chain(x)) * weights))(x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-13)


CHAINABLE = {
    "transpose": np.transpose, "flip": np.flip, "ravel": np.ravel, "roll": lambda x: np.roll(x, 1),
    "newaxis": lambda x: x[..., None], "double": lambda x: np.stack([x, x], axis=-1),
    "last first": lambda x: np.moveaxis(x, -1, 0) if x.ndim else x, "skip": lambda x: x[::-2] if x.ndim else x,
    "rows": lambda x: x[[0, -1]] if x.ndim else x, "broadcast": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "tile": lambda x: np.tile(x, 2), "flat rows": lambda x: np.reshape(x, (x.shape[0], -1)) if x.ndim else x,
    "squeeze": np.squeeze, "last column": lambda x: x[..., -1] if x.ndim else x,
}  # fmt: skip


# --- stacking and creation ----------------------------------------------------------------------------

STACKING = {
    "concatenate": (lambda x, y: np.concatenate([x, y]), (2, 3), (1, 3)),
    "concatenate axis": (lambda x, y: np.concatenate([x, y, x], axis=1), (2, 3), (2, 1)),
    "concatenate last of three": (lambda x, y: np.concatenate((x, y), axis=-1), (2, 2, 3), (2, 2, 1)),
    "concatenate middle of three": (lambda x, y: np.concatenate((x, y), axis=1), (2, 2, 3), (2, 1, 3)),
    "concatenate flat": (lambda x, y: np.concatenate([x, y], axis=None), (2, 3), (4,)),
    "concatenate constant": (lambda x, y: np.concatenate([np.ones((1, 3)), x, y]), (2, 3), (1, 3)),
    "concatenate nothing": (lambda x, y: np.concatenate([x, y]), (0,), (3,)),
    "concatenate only nothing": (lambda x, y: np.concatenate([x, y], axis=1), (0, 2), (0, 3)),
    "concatenate out": (lambda x, y: np.concatenate([x, y], out=np.zeros(5, like=x)), (3,), (2,)),
    "stack": (lambda x, y: np.stack([x, y]), (2, 3), (2, 3)),
    "stack axis": (lambda x, y: np.stack([x, y, 0 * x], axis=1), (2, 3), (2, 3)),
    "stack last": (lambda x, y: np.stack((x, y), axis=-1), (2, 3), (2, 3)),
    "stack of scalars": (lambda x, y: np.stack([x, y, 1.0]), (), ()),
    "vstack": (lambda x, y: np.vstack([x, y]), (3,), (2, 3)),
    "hstack": (lambda x, y: np.hstack([x, y]), (2, 1), (2, 3)),
    "hstack of vectors": (lambda x, y: np.hstack([x, y, 1.0]), (2,), (3,)),
    "dstack": (lambda x, y: np.dstack([x, y]), (2, 3), (2, 3)),
    "column_stack": (lambda x, y: np.column_stack([x, y]), (3,), (3, 2)),
    "where": (lambda x, y: np.where(x > y, x * y, y), (2, 3), (3,)),
    "where with numbers": (lambda x, y: np.where(x > 0, 1.0, y), (2, 3), (2, 1)),
    "where of scalars": (lambda x, y: np.where(x > y, x, y), (), ()),
    "where static": (lambda x, y: np.where([True, False, True], x, y), (3,), (3,)),
    "array of scalars": (lambda x, y: np.array([x[1], -np.sin(x[0]), 1.0, y[0]]), (2,), (1,)),
    "array of vectors": (lambda x, y: np.array([x, y]), (3,), (3,)),
    "matrix literal": (lambda x, y: np.array([[x[0], 0], [2, y[0]]]), (2,), (1,)),
    "literal of mixed depth": (lambda x, y: np.array([[x, [1.0, 2.0]], [y, 0.5 * x]]), (2,), (2,)),
    "tuple literal": (lambda x, y: np.array((x[0], (y[0]))), (2,), (1,)),
    "asarray": (lambda x, y: np.asarray([x[0], y[0]]) + np.asarray(x), (2,), (1,)),
    "asanyarray": (lambda x, y: np.asanyarray([x, y]), (), ()),
    "array with dtype positional": (lambda x, y: np.array([x[0], y[0]], np.float64), (2,), (1,)),
    "array ndmin": (lambda x, y: np.array(x, ndmin=3) + y, (2,), (1,)),
    "array copies": (lambda x, y: _write_first(np.array(x)) + x, (2,), (1,)),
    "asarray does not copy": (lambda x, y: [z := x * 1, _write_first(np.asarray(z)), z], (2,), (1,)),
    "dot with a list": (lambda x, y: np.dot([x[0], y[0]], [1.0, 2.0]), (2,), (1,)),
    "operator with a list": (lambda x, y: [*x, y[0], 1.0], (2,), (1,)),
    "object array": (lambda x, y: 1 * _object_array(x[0], y[0]), (2,), (1,)),
    "object array and traced": (lambda x, y: x * _object_array(x[0], y[0]) + x, (2,), (1,)),
    "zeros_like": (lambda x, y: _write_first(np.zeros_like(x), y[0]), (2, 3), (1,)),
    "ones_like": (lambda x, y: _write_first(np.ones_like(x), y[0]), (2, 3), (1,)),
    "empty_like": (lambda x, y: _write_all(np.empty_like(x), y[0]), (2, 3), (1,)),
    "full_like": (lambda x, y: np.full_like(x, y[0]), (2, 3), (1,)),
    "full_like of a number": (lambda x, y: _write_first(np.full_like(x, 2.5), y[0]), (2, 3), (1,)),
    "full_like shape": (lambda x, y: np.full_like(x, y[0], shape=(2, 2)), (3,), (1,)),
    "zeros like": (lambda x, y: _write_first(np.zeros(3, like=x), y[0]), (3,), (1,)),
    "ones like": (lambda x, y: _write_first(np.ones((2, 2), like=x), y[0]), (3,), (1,)),
    "full like": (lambda x, y: np.full(3, y[0], like=x), (3,), (1,)),
    "eye like": (lambda x, y: _write_first(np.eye(3, like=x), y[0]), (3,), (1,)),
    "identity like": (lambda x, y: np.identity(3, like=x) * y, (3,), (1,)),
    "arange like": (lambda x, y: np.arange(3, like=x) * x, (3,), (1,)),
    "linspace": (lambda x, y: np.linspace(x, y, 5), (), ()),
    "linspace without endpoint": (lambda x, y: np.linspace(x, y, 4, endpoint=False), (), ()),
    "linspace of arrays": (lambda x, y: np.linspace(x, y, 3, axis=1), (2,), (2,)),
    "linspace of one": (lambda x, y: np.linspace(x, y, 1), (), ()),
    "linspace step": (lambda x, y: np.linspace(x, y, 4, retstep=True), (), ()),
    "copy": (lambda x, y: _write_first(np.copy(x), y[0]) + x, (2, 3), (1,)),
}  # fmt: skip


def _write_first(array: Any, number: Any = 7.0) -> Any:
    array[(0,) * array.ndim] = number
    return array


def _write_all(array: Any, number: Any) -> Any:
    array[...] = number
    return array


def _object_array(*entries: Any) -> Any:
    """Return what NumPy makes of scalars where np.array is out of reach of the library."""
    if not any(isinstance(entry, SymbolicArray) for entry in entries):
        return np.array(entries)
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


@pytest.mark.parametrize("case", STACKING)
def test_stacking_and_creation(case):
    function, left, right = STACKING[case]
    check(function, sample(left), sample(right, seed=1))


ARC_CREATION = {
    "array": (lambda m, x: m.array([x[0], 2.0, x[1]]), lambda x: np.array([x[0], 2.0, x[1]])),
    "array of numbers": (lambda m, x: _write_first(m.array([1.0, 2.0]), x[0]), None),
    "zeros": (lambda m, x: _write_first(m.zeros((2, 3)), x[0]), None),
    "zeros of ints": (lambda m, x: _write_first(m.zeros(3, dtype=int), 1.7) + x[0], None),
    "ones": (lambda m, x: _write_first(m.ones(3), x[0]), None),
    "full": (lambda m, x: _write_first(m.full((2, 2), 4.5), x[0]), None),
    "full of a traced number": (lambda m, x: m.full((2, 2), x[0]), None),
    "full int": (lambda m, x: m.full(2, 3) * x[0], None),
    "eye": (lambda m, x: _write_first(m.eye(2, 3, 1), x[0]), None),
    "arange": (lambda m, x: m.arange(3) * x[0], None),
    "arange written": (lambda m, x: _write_first(m.arange(1.0, 2.0, 0.25), x[0]), None),
    "linspace": (lambda m, x: m.linspace(x[0], x[1], 5), None),
    "linspace of numbers": (lambda m, x: _write_first(m.linspace(0, 1, 5), x[0]), None),
}


@pytest.mark.parametrize("case", ARC_CREATION)
def test_arc_creation(case):
    program, _ = ARC_CREATION[case]
    x = sample((2,))
    expected = program(np, x)
    np.testing.assert_array_equal(program(arc, x), expected, strict=True)
    check(lambda x: program(arc, x), x)


# --- methods ------------------------------------------------------------------------------------------

METHODS = {
    "all": lambda x: (x > 0).all(axis=0), "any": lambda x: (x > 0).any(),
    "astype": lambda x: x.astype(np.float64) * x.astype(int), "conj": lambda x: x.conj(),
    "copy": lambda x: x.copy() * x,
    "diagonal": lambda x: x.diagonal(), "dot": lambda x: x.dot(x.T), "fill": lambda x: _filled(x.copy(), x[0, 1]),
    "flatten": lambda x: x.flatten(), "flatten F": lambda x: x.flatten("F"),
    "item": lambda x: x.item(3) * np.float64(1),
    "item at": lambda x: x.item(1, 2) * np.float64(1), "max": lambda x: x.max(axis=1), "mean": lambda x: x.mean(0),
    "min": lambda x: x.min(), "prod": lambda x: x.prod(axis=1), "ravel": lambda x: x.ravel(),
    "repeat": lambda x: x.repeat(2, axis=0), "reshape": lambda x: x.reshape(3, 2),
    "reshape tuple": lambda x: x.reshape((3, -1)),
    "squeeze": lambda x: x[:1].squeeze(), "std": lambda x: x.std(axis=1), "sum": lambda x: x.sum(axis=0, keepdims=True),
    "swapaxes": lambda x: x.swapaxes(0, 1), "T": lambda x: x.T, "take": lambda x: x.take([0, 5]),
    "trace": lambda x: x.trace(), "transpose": lambda x: x.transpose(), "transpose axes": lambda x: x.transpose(1, 0),
    "transpose tuple": lambda x: x.transpose((1, 0)), "var": lambda x: x.var(ddof=1), "mT": lambda x: x.mT,
    "len": lambda x: x * len(x), "shape": lambda x: x * x.shape[1], "size": lambda x: x * x.size,
    "ndim": lambda x: x * x.ndim, "iteration": lambda x: [row * i for i, row in enumerate(x)],
    "unpacking": lambda x: (lambda a, b: a * b)(*x), "nested iteration": lambda x: sum(e * e for row in x for e in row),
    "tolist": lambda x: np.array(x.tolist()) * 2, "reversed": lambda x: [*reversed(x)],
    "dtype": lambda x: x * (x.dtype == np.float64), "item of a scalar": lambda x: x.sum().item() * np.float64(1),
}  # fmt: skip


def _filled(array: Any, number: Any) -> Any:
    array.fill(number)
    return array


@pytest.mark.parametrize("case", METHODS)
def test_methods(case):
    check(METHODS[case], sample((2, 3)), gradient=case not in ("all", "any"))
