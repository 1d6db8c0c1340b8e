"""Integers, booleans and float32: results have NumPy's dtype, and the values that this dtype gives."""

import operator

import numpy as np
import pytest
from helpers import assert_same, check_value, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import archimedes_grad as arc

INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32)
OPERATORS = (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod)
COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)


def name(function):
    return getattr(function, "__name__", repr(function))


def integers(dtype, *entries):
    return np.array(entries, dtype=dtype)


@pytest.mark.parametrize("dtype", [*INTEGERS, np.float32, np.float64, bool], ids=name)
@pytest.mark.parametrize("other", [*INTEGERS, np.float32, np.float64, bool], ids=name)
def test_result_dtypes_of_pairs(dtype, other):
    x, y = np.array([1, 0, 3]).astype(dtype), np.array([2, 1, 1]).astype(other)
    ops = (operator.add, operator.mul, operator.truediv, operator.lt, np.maximum, np.power, np.hypot)

    def program(x, y):
        return [op(a, b) for op in ops for a in (x, x[0]) for b in (y, y[0])]

    check_value(program, x, y)
    check_value(lambda x, y: [op(x, y) for op in ops], x[0], y[0])


@pytest.mark.parametrize("dtype", [*INTEGERS, np.float32, bool], ids=name)
def test_python_numbers_take_on_the_dtype_of_arrays(dtype):
    x = np.array([1, 0, 3]).astype(dtype)
    for number in (2, 0.5, True):
        check_value(lambda x: x * number + number, x)
        check_value(lambda x: number - x * 1, x[:1])
        check_value(lambda x, n: x * n, x, number)
        check_value(lambda x, n: x * n, x[0], number)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.float64, bool], ids=name)
@pytest.mark.parametrize("number", [2, 3.5], ids=name)
def test_what_operators_give_of_python_numbers_takes_on_the_dtype_of_arrays(dtype, number):
    def program(x, n):
        numbers = [
            2 * n, (n + 1) ** 2, n**3, n * 0.5, -n, +n, abs(-n), n - n, 7 - n, n / 2, 5 / n, 1 / (1 / n), n // 2, 7 % n,
            *divmod(7, n), round(n), round(n, 1), sum([n, n]), max(n + 1, 2), 1 + n * 2 - n / 4,
        ]  # fmt: skip
        return [*(x * k for k in numbers), *(k + x[0] for k in numbers), np.where(x > 1, x, n + 1)]

    check_value(program, np.array([1, 2]).astype(dtype), number)


def test_python_numbers_are_numpys_once_a_function_or_number_of_numpys_made_them():
    x = np.ones(2, np.float32)
    check_value(lambda x, a: [x * np.sin(a), x * np.add(a, 1), x * (a * np.float64(2)), x * (a + x[0])], x, 3.0)


@pytest.mark.parametrize(
    "inner",
    [
        lambda x, n: arc.vmap(lambda row, k: row * (2 * k), in_axes=(0, None))(x, n),
        lambda x, n: arc.vmap(lambda row: row * (2 * n))(x),
        lambda x, n: arc.cond(x[0] > 0, lambda y, k: y * (2 * k), lambda y, k: y, x, n),
        lambda x, n: arc.scan(lambda carry, _: (carry * (2 * n), None), x, None, length=1)[0],
        lambda x, n: arc.value_and_grad(lambda w, k: (w, x * (2 * k)), has_aux=True)(1.0, n)[0][1],
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32], ids=name)
def test_python_numbers_take_on_the_dtype_of_arrays_in_bodies(inner, dtype):
    result = arc.compile(inner)(np.ones(3, dtype), 3)
    np.testing.assert_array_equal(result, np.full(3, 6, dtype), strict=True)


@pytest.mark.parametrize("bits", [operator.and_, operator.or_, operator.xor, operator.lshift], ids=name)
def test_bits_of_python_numbers_take_on_the_dtype_of_arrays(bits):
    check_value(lambda x, n: [x + bits(n, 1), x + ~-n], np.ones(2, np.uint8), 6)


@pytest.mark.parametrize("op", OPERATORS, ids=name)
def test_integer_arithmetic(op):
    x = integers(np.int64, 7, -7, 7, -7, 0, 5, -1)
    y = integers(np.int64, 3, 3, -3, -3, 4, 5, 2)
    check_value(op, x, y)
    check_value(lambda x: op(x, 2), x)
    check_value(lambda y: op(9, y), y)
    assert arc.compile(op)(-7, 3) == op(-7, 3)
    check_value(op, np.int64(-7), np.int64(3))


@settings(max_examples=50)
@given(hnp.arrays(np.int64, 6, elements=st.integers(-20, 20)), hnp.arrays(np.int64, 6, elements=st.integers(-4, 4)))
def test_integer_division_of_any_signs(x, y):
    """Division by zero gives 0 in NumPy's integers."""
    for op in (operator.floordiv, operator.mod, np.fmod, divmod):
        check_value(op, x, y)


@settings(max_examples=60)
@given(st.sampled_from([t for t in INTEGERS if np.dtype(t).itemsize < 8]), st.data())
def test_small_integers_wrap_around(dtype, data):
    whole = hnp.arrays(dtype, 4)
    x, y = data.draw(whole), data.draw(whole)
    for op in (operator.add, operator.sub):
        check_value(op, x, y)
    check_value(operator.neg, x)
    if np.dtype(dtype).itemsize < 4:  # products of 32-bit integers can exceed what a double holds exactly
        check_value(operator.mul, x, y)


@pytest.mark.parametrize("ufunc", [np.negative, np.absolute, np.sign, np.square, np.floor, np.ceil, np.trunc, np.rint,
                                   np.sin, np.sqrt, np.exp, np.isnan, np.isfinite, np.signbit, np.logical_not,
                                   np.positive, np.conjugate, np.degrees, np.cbrt], ids=name)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.float32], ids=name)
def test_unary_ufuncs_of_other_dtypes(ufunc, dtype):
    x = np.array([0, 1, 4, 10]).astype(dtype)
    check_value(ufunc, x, rtol=1e-12 if np.dtype(dtype).itemsize > 1 else 1e-3)
    if np.dtype(dtype).kind == "i":
        check_value(lambda x: ufunc(x), x * x if ufunc in (np.sqrt, np.cbrt) else -x, rtol=1e-12)


@pytest.mark.parametrize("op", COMPARISONS, ids=name)
def test_comparisons_are_booleans(op):
    x, y = np.array([1.0, 2.0, np.nan, np.inf]), np.array([2.0, 2.0, np.nan, 1.0])
    check_value(op, x, y)
    check_value(lambda x: op(x, 2), x)
    check_value(lambda x: op(2.0, x), x)
    check_value(lambda x: op(x[0], 1.0), x)
    check_value(lambda x: op(x > 1, x < 2), x)
    check_value(lambda x: op(x, 2) * 1.5 + op(x, 1), x)


BOOLEAN = {
    "and": lambda x, y: x & y, "or": lambda x, y: x | y, "xor": lambda x, y: x ^ y, "not": lambda x, y: ~x,
    "add is or": lambda x, y: x + y, "multiply is and": lambda x, y: x * y, "sum counts": lambda x, y: np.sum(x),
    "mean": lambda x, y: np.mean(x), "prod": lambda x, y: np.prod(x), "any": lambda x, y: np.any(x & y),
    "all": lambda x, y: np.all(x | y, axis=0), "max": lambda x, y: np.max(x), "min": lambda x, y: x.min(),
    "where": lambda x, y: np.where(x, 1, 2.5), "astype": lambda x, y: x.astype(int) - y.astype(float),
    "logical_and": lambda x, y: np.logical_and(x, y), "times float": lambda x, y: x * 2.5,
    "plus int": lambda x, y: x + 1,
    "matmul": lambda x, y: x.astype(int) @ y.astype(int), "equal": lambda x, y: x == y, "less": lambda x, y: x < y,
    "maximum": lambda x, y: np.maximum(x, y), "concatenate": lambda x, y: np.concatenate([x, y]),
    "stack with float": lambda x, y: np.stack([x, y * 0.5]), "product of booleans": lambda x, y: x @ y,
    "absolute": lambda x, y: np.absolute(x), "count_nonzero": lambda x, y: np.count_nonzero(x ^ y),
    "invert of a scalar": lambda x, y: ~x[0],
}  # fmt: skip


@pytest.mark.parametrize("case", BOOLEAN)
def test_booleans(case):
    check_value(BOOLEAN[case], np.array([True, True, False, False]), np.array([True, False, True, False]))


CASTS = {
    "float to int": lambda x: x.astype(int),
    "float to int and back": lambda x: x.astype(int) * 1.0,
    "float to int8": lambda x: x.astype(np.int8),
    "float to bool": lambda x: x.astype(bool),
    "float to float32": lambda x: x.astype(np.float32),
    "float to float16": lambda x: (x * 0 + 0.5).astype(np.float16),
    "int to int8 wraps": lambda x: (np.trunc(x) * 100).astype(int).astype(np.int8),
    "int to uint8 wraps": lambda x: (np.trunc(x) * 100).astype(int).astype(np.uint8),
    "written into ints": lambda x: _written(arc.zeros(4, dtype=int), x),
    "written into booleans": lambda x: _written(arc.zeros(4, dtype=bool), x),
    "array of dtype": lambda x: np.array([x[0], x[1]], dtype=int),
    "concatenated as int": lambda x: np.concatenate([x, x], dtype=int, casting="unsafe"),
    "scalar": lambda x: x[1].astype(int) * 1.0,
    "no copy": lambda x: x.astype(float, copy=False) is x,
    "sum as int": lambda x: np.sum(x, dtype=int),
    "prod as int": lambda x: np.prod(x + 3, dtype=int),
    "zeros_like of dtype": lambda x: _written(np.zeros_like(x, dtype=np.int16), x),
    "full of dtype": lambda x: arc.full(3, x[0], dtype=int),
    "int kept": lambda x: np.array([1, 2]) * np.trunc(x[:2]).astype(int),
}


def _written(array, x):
    array[:] = x
    return array


@pytest.mark.parametrize("case", CASTS)
def test_casts(case):
    check_value(CASTS[case], np.array([2.7, -2.7, 0.4, -130.2]))


def test_a_cast_has_gradient_zero_where_it_truncates():
    assert_same(arc.grad(lambda x: np.sum(x * x.astype(int)))(np.array([2.7, -2.7])), np.array([2.0, -2.0]))


@pytest.mark.parametrize("value", ["safe", "same_kind"])
def test_a_refused_cast_is_numpys_own_error(value):
    with pytest.raises(TypeError, match="Cannot cast"):
        arc.compile(lambda x: x.astype(int, casting=value))(np.ones(2))


REFUSED_IN_PLACE = {
    "int += float": lambda x: operator.iadd(x, 0.5),
    "int /= int": lambda x: operator.itruediv(x, 2),
    "out of ints": lambda x: np.sin(x, out=x),
    "bool -= bool": lambda x: operator.isub(x > 0, x > 1),
    "negative of bool": lambda x: -(x > 0),
}


@pytest.mark.parametrize("case", REFUSED_IN_PLACE)
def test_numpys_refusals_of_dtypes(case):
    with pytest.raises(TypeError) as expected:
        REFUSED_IN_PLACE[case](np.array([1, 2]))
    with pytest.raises(type(expected.value)) as got:
        arc.compile(REFUSED_IN_PLACE[case])(np.array([1, 2]))
    assert not isinstance(got.value, arc.TraceError)


FLOAT32 = {
    "ufunc dtype": lambda x: np.add(x, x, dtype=np.float32),
    "sum": lambda x: np.sum(x, dtype=np.float32),
    "mean": lambda x: np.mean(x, dtype=np.float32),
    "concatenate": lambda x: np.concatenate([x, x], dtype=np.float32),
    "array": lambda x: np.array([x[0], 2.0], dtype=np.float32),
    "arc.array": lambda x: arc.array([x[0], 2.0], dtype=np.float32),
    "astype": lambda x: x.astype(np.float32) * 2.0,
    "with a float64 array": lambda x: x.astype(np.float32) * np.ones(3),
    "with a float64 scalar": lambda x: x.astype(np.float32) * np.float64(2),
    "sqrt": lambda x: np.sqrt(x.astype(np.float32)),
    "matmul": lambda x: x.astype(np.float32) @ np.ones(3, np.float32),
    "var": lambda x: np.var(x.astype(np.float32)),
    "where": lambda x: np.where(x > 0, x.astype(np.float32), np.float32(1)),
    "in place": lambda x: operator.imul(x.astype(np.float32), 2.0),
    "power": lambda x: x.astype(np.float32) ** 2,
    "max": lambda x: x.astype(np.float32).max(),
}


@pytest.mark.parametrize("case", FLOAT32)
def test_float32(case):
    """The dtype is float32, the arithmetic double: results are within float32's precision of NumPy's."""
    x = np.array([0.25, 1.5, 2.0])  # float32 holds these
    check_value(FLOAT32[case], x, rtol=1e-6)
    gradient = arc.grad(lambda x: np.sum(FLOAT32[case](x)))(x)
    assert gradient.dtype == np.float64
    assert np.any(gradient != 0)


def test_float32_arguments_are_widened_where_differentiated():
    seen = []

    def f(x, y):
        seen.append((x.dtype, y.dtype))
        return np.sum(x * y)

    gradient = arc.grad(f)(np.array([1, 2], dtype=np.float32), np.array([3, 4], dtype=np.float32))
    assert seen == [(np.float64, np.float32)]
    assert_same(gradient, np.array([3.0, 4.0]))


@pytest.mark.parametrize("x", [2, np.int8(2), np.float32(2), np.array(2), np.uint16(2), True + 1], ids=repr)
def test_differentiated_integers_are_widened(x):
    assert_same(arc.grad(lambda x: 2**x)(x), np.float64(4 * np.log(2)))
    assert_same(arc.grad(lambda x: x**-1)(x), np.float64(-0.25))
    assert_same(arc.grad(lambda x: x / 4)(x), np.float64(0.25))


def test_integer_arrays_are_widened():
    assert_same(arc.grad(lambda x: np.sum(x**2 // 1 + x / 2))(np.array([1, 2])), np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    "x", [3, 2.5, np.int64(3), np.float64(2.5), np.int32(7), np.float32(0.5), np.array(2.5), np.bool_(True)], ids=repr
)
def test_scalars_through_compile(x):
    for f in (lambda x: x, lambda x: x + 1, lambda x: x * 1.5, lambda x: x / 2, lambda x: np.maximum(x, 1)):
        got, expected = arc.compile(f)(x), np.asarray(f(x))
        assert np.shape(got) == ()
        assert got == expected
        assert np.asarray(got).dtype == expected.dtype


def test_integer_reductions_and_products():
    x = np.array([[1, 2, 3], [4, 5, 6]])
    for f in (np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.any, np.ptp, np.count_nonzero):
        for dtype in (np.int64, np.int8, np.uint8, np.int32, bool):
            if f is np.ptp and dtype is bool:
                continue
            check_value(lambda x: f(x, axis=0), x.astype(dtype))
    check_value(lambda x: x @ x.T, x)
    check_value(lambda x: np.dot(x, x[0]), x)
    check_value(lambda x: x.astype(np.int8) @ (x.T * 40).astype(np.int8), x)
    check_value(np.sum, np.full(300, 1, np.int8))


def test_mixed_arguments():
    x, i, b, f = sample((3,)), np.array([1, -2, 3]), np.array([True, False, True]), np.ones(3, np.float32)
    check_value(lambda x, i, b, f: [x * i, i * b, b * f, f * i, x * f, i + i, b + b, f + f, i // 2, i % 2], x, i, b, f)
    check_value(lambda x, i, b, f: np.where(b, x, i), x, i, b, f)
    check_value(lambda x, i, b, f: {"i": i, "b": b, "f": f, "x": x}, x, i, b, f)


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4"])
@pytest.mark.parametrize("function", [np.cumsum, np.cumprod, np.sum, np.prod, np.sort])
def test_other_byte_orders(function, dtype):
    array = np.array([[1, 2], [3, 4]], dtype)
    result, expected = arc.compile(function)(array), function(array)
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == expected.dtype
