"""Python and NumPy spelled otherwise than by functions: classes, formats, comparisons with None, shapes written to."""

import functools
import io
import logging
import numbers
from collections.abc import Collection, Container, Iterable, Sequence, Sized

import numpy as np
import pytest
from checks import check_row, row
from helpers import assert_same, check, check_gradient, check_value, numeric_gradient, sample, weighted

import archimedes_grad as arc

# From NumPy 2.5 on, writing a shape is deprecated, and means what it meant.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")


def reshaped_in_place(x, shape):
    y = x * 1.0
    first = y[:1]
    y.shape = shape
    y[0] = y[-1] * 3
    return y, first


def view_reshaped_in_place(x):
    y = x * 1.0
    half = y[3:]
    half.shape = (3, 1)
    half[1] = 7.0
    return y * 2, half


ROOTS = np.array([1.0, -2.0, 3.5, 0.25])

ROWS = [
    row(lambda x: np.vectorize(lambda r: np.sum(r * r), signature="(n)->()")(x), (2, 3), second=True),
    row(lambda x, y: np.vectorize(lambda r, s: r * np.sum(s), signature="(n),(m)->(n)")(x, y), (2, 3), (4,)),
    row(lambda x: np.vectorize(lambda r: (r * 2, r.max()), signature="(n)->(n),()")(x), (2, 2, 3)),
    row(lambda x: np.vectorize(lambda r: r @ r.T, signature="(n,m)->(n,n)", otypes=[float])(x), (2, 2, 3)),
    row(lambda x: sum(entry * (2 * i + j) for (i, j), entry in np.ndenumerate(x)), (2, 3)),
    row(lambda x: [entry for _, entry in np.ndenumerate(x)], ()),
    row(lambda x: np.tril(x), (3,)), row(lambda x: np.triu(x, 1), (3,)),
    row(lambda x: reshaped_in_place(x, (3, 2)), (6,)), row(lambda x: reshaped_in_place(x, (2, -1)), (2, 3)),
    row(view_reshaped_in_place, (6,)),
    row(lambda x: np.poly(x), (3, 3), second=True), row(lambda x: np.poly(x), (1, 1)),
    row(lambda x: np.roots(np.poly(ROOTS + x / 20)), (4,), second=True),
    row(lambda x: np.roots(np.concatenate([[0.0], np.poly(ROOTS + x / 20), [0.0]])), (4,)),
    row(lambda x, y: np.polyfit(x, y, 1, full=True)[:2], (6,), (6,)),
    row(lambda y: np.polyfit(np.arange(6.0), y, 2, full=True), (6,)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


INTEGERS = [
    lambda i, k: i & k, lambda i, k: i | 5, lambda i, k: 3 ^ k, lambda i, k: ~i, lambda i, k: np.abs(i) << 2,
    lambda i, k: i >> np.abs(k), lambda i, k: 1 << np.abs(k), np.gcd, np.lcm, lambda i, k: np.bitwise_count(i),
    lambda i, k: np.bitwise_xor(i[:, None], k),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8])
@pytest.mark.parametrize("function", INTEGERS)
def test_bits_and_divisors(function, dtype):
    rng = np.random.default_rng(0)
    low = 0 if np.dtype(dtype).kind == "u" else -9
    i, k = (rng.integers(low, 9, 7).astype(dtype) for _ in range(2))
    check_value(function, i, k)


def test_gradients_pass_by_bits():
    check_gradient(lambda x: x * ((10 * x).astype(int) & 6), sample((5,), "positive"))


def test_none_and_text_equal_no_number():
    def f(x, options=None):
        assert not np.any(x == None)  # noqa: E711
        assert np.all(x != None)  # noqa: E711
        assert not np.any(x == "text")
        assert x[0] != None  # noqa: E711
        return x * 2 if options is None else x

    check(f, sample((3,)))


def asked(x):
    answers = [hasattr(x, "__len__"), getattr(x, "__iter__", None) is not None]
    return [*answers, *(isinstance(x, kind) for kind in (Iterable, Sized, Container, Collection, Sequence))]


@pytest.mark.parametrize("part", [
    lambda x: x, lambda x: x[1], lambda x: x[1] * 2, lambda x: np.sum(x), lambda x: np.sin(x[0]), lambda x: x[:1],
    lambda x: np.asarray(x[0]), lambda x: x.T + 1, lambda x: x.astype(int)[0], lambda x: x > 0, lambda x: x[0] > 0,
    lambda x: abs(x[0]) + x[1], lambda x: x[0].copy(), lambda x: x.copy(), lambda x: np.asarray(x[0])[()],
    lambda x: arc.scan(lambda carry, t: (carry + t, t), 0.0, x)[1],
    lambda x: arc.cond(True, lambda: x[0], lambda: x[1]),
])  # fmt: skip
def test_numbers_have_no_length_and_arrays_have_one(part):
    told = []
    x = np.array([0.5, 1.5])
    arc.compile(lambda x: told.append(asked(part(x))) or np.sum(x))(x)
    assert told == [asked(part(x))]


@pytest.mark.parametrize("number", [3.0, np.float64(3.0), 3])
def test_arguments_that_are_numbers_have_no_length(number):
    assert arc.grad(lambda x: x if hasattr(x, "__len__") or isinstance(x, Iterable) else x**2)(number) == 6.0
    assert arc.compile(lambda x: x if hasattr(x, "__len__") or isinstance(x, Sized) else x**2)(number) == 9.0


@pytest.mark.parametrize("use", [len, iter, list, sum, lambda x: 3 in x, lambda x: dict(enumerate(x))])
def test_numbers_taken_for_arrays_raise_what_numpys_do(use):
    with pytest.raises(TypeError) as expected:
        use(np.float64(1.0))
    with pytest.raises(TypeError) as raised:
        arc.compile(lambda x: use(x))(1.0)
    assert str(raised.value) == str(expected.value)
    assert "np.ndim(x)" in raised.value.__notes__[0]


@pytest.mark.parametrize("number", [3.0, 3.5, 4, -6, np.float64(2.5), np.float32(2.0), np.int64(5), np.inf])
def test_methods_of_numbers_that_decide(number):
    def asked_of(n):
        return [getattr(n, name)() for name in ("is_integer", "bit_length", "bit_count") if hasattr(n, name)]

    compiled = arc.compile(asked_of)
    for n in (number, type(number)(7), number):
        assert compiled(n) == asked_of(n)
    arc.compile(lambda x: [x, hasattr(x, "is_integer") and 1 / 0][0])(np.ones(2))


def test_iterators_of_numpy_name_the_line_and_the_way_on():
    with pytest.raises(arc.TraceError, match=r"(?s)numpy.nditer.*test_python_meaning.*np.ravel\(x\)"):
        arc.compile(lambda x: sum(entry for entry in np.nditer(x)))(np.ones(3))


@pytest.mark.parametrize("call", [
    lambda x: np.logaddexp.reduce([x[0], x[1]]), lambda x: np.logaddexp.accumulate([x, 2 * x]),
    lambda x: np.logaddexp([x[0], 1.0], [x[1], 2.0]),
])  # fmt: skip
def test_ufuncs_without_a_loop_over_objects_name_the_line_and_the_way_on(call):
    with pytest.raises(TypeError, match="logaddexp") as raised:
        arc.compile(call)(np.ones(3))
    (note,) = raised.value.__notes__
    assert "test_python_meaning" in note
    assert "np.stack([...])" in note


def test_a_format_gives_the_text_of_the_value_being_traced():
    seen = []

    def f(x):
        seen.append(f"{x[0]:.3f} {x.sum():8.2e} {len(x):03d}")
        return x * 2

    compiled = arc.compile(f)
    compiled(np.array([1.5, 2.0]))
    compiled(np.array([2.5, 2.0]))
    assert seen == ["1.500 3.50e+00 002"]
    with pytest.raises(arc.TraceError, match="a body is traced without any"):
        arc.vmap(lambda x: (f"{x:.2f}", x)[1])(np.ones(3))


def test_a_percent_format_gives_the_text_too_and_what_is_logged_is_shown():
    seen, shown = [], io.StringIO()
    logger = logging.Logger("model")
    logger.addHandler(logging.StreamHandler(shown))

    def f(x):
        seen.append("%.3f of %d: %8.2e" % (x[0], len(x), x.sum()))  # noqa: UP031
        text = "%5.1f"
        text %= x[1]
        seen.append(text)
        logger.warning("largest %.2f", x.max())
        return np.sum(7.0 % x + x % 2)

    slope = arc.grad(f)
    assert np.array_equal(slope(np.array([1.5, 2.0])), [-3.0, -2.0])
    assert np.array_equal(slope(np.array([2.5, 2.5])), [-1.0, -1.0])
    assert seen == ["1.500 of 2: 3.50e+00", "  2.0"]
    assert shown.getvalue() == "largest 2.00\n"
    with pytest.raises(arc.TraceError, match="a body is traced without any"):
        arc.vmap(lambda x: ("%.2f" % x, x)[1])(np.ones(3))  # noqa: UP031


def by_type(value):
    if isinstance(value, int | float):
        return 3 * value
    if isinstance(value, list | tuple):
        return sum(map(by_type, value))
    if isinstance(value, np.ndarray):
        return np.sum(value**2)
    raise TypeError(type(value))


@functools.singledispatch
def dispatched(value):
    return np.inf


dispatched.register(np.ndarray)(lambda value: np.sum(value**3))
dispatched.register(float)(lambda value: value / 2)


@pytest.mark.parametrize("function", [
    lambda x: by_type([x, x[0], 2, (1.5, x[1])]), lambda x: dispatched(x) + dispatched(x[0]) + dispatched(2.0),
    lambda x: x * 2 if isinstance(x, np.ndarray) and not isinstance(x, float) else x,
    lambda x: x * 2 if isinstance(x[0], np.floating) and isinstance(x[0], numbers.Real) else x,
    lambda x: x * 2 if isinstance(np.argmax(x), np.integer) and isinstance(x[0] > 0, np.bool_) else x,
    lambda x: x * 2 if np.isscalar(x[0]) and not np.isscalar(x) else x,
])  # fmt: skip
def test_isinstance_tells_of_traced_values_what_it_tells_of_numpys(function):
    check(function, sample((3,)))


@pytest.mark.parametrize("function", [
    lambda t: t - t.mean(), lambda t: t / len(t), lambda t: t**2, lambda t: np.cumsum(t), lambda t: np.mean(t),
    lambda t: 7.0, lambda t: t * 2 if np.sum(t) > 0 else t, lambda t: t[::-1] * t,
])  # fmt: skip
def test_pieces_are_functions_of_the_entries_that_are_theirs(function):
    """NumPy gives each function the entries where its condition holds, as one flat array, and no others."""

    def f(x, y):
        whole = np.piecewise(x, [x < 0, x > 1], [function, lambda t: y[0] * t, lambda t: t * y[1]])
        return whole + np.piecewise(np.arange(3.0), [[True, False, True]], [lambda t: y[2] * function(t), 5.0])

    compiled, slope = arc.compile(f), arc.grad(weighted(f))
    y = sample((3,))
    for entries in ([-0.5, -1.5, 2.0], [0.5, -1.5, 2.0], [1.5, 2.5, 0.4], [-0.5, -1.0, -2.0]):
        x = np.array(entries)
        assert_same(compiled(x, y), f(x, y))
        np.testing.assert_allclose(slope(x, y), numeric_gradient(weighted(f), (x, y), 0), rtol=1e-6, atol=1e-8)


def test_the_same_graph_serves_pieces_that_take_each_entry_by_itself():
    compiled = arc.compile(lambda x: np.piecewise(x, [x < 0], [np.exp, lambda t: t**2 + 1]))
    compiled(np.array([-0.5, 1.0]))
    assert_same(compiled(np.array([0.5, -1.0])), np.array([1.25, np.exp(-1.0)]))
    assert "1 path" in str(compiled.explain(np.ones(2)))


ROWS_OF_CALLBACKS = [
    row(lambda x: np.vectorize(lambda v: v**2 if v > 0 else -v, otypes=[float])(x), (2, 3), paths=2),
    row(lambda x: np.exp(np.vectorize(lambda v: v * x[0])(np.arange(3.0))), (2,)),
    row(lambda x: np.vectorize(lambda a, b: (a * b, a + b))(x[:, None], [1.0, 2.0]), (2,)),
    row(lambda x: np.vectorize(lambda a, b, p=2: a**p * b[0], excluded=[1])(x, [3.0], p=3), (3,)),
    row(lambda x: np.vectorize(lambda v: v + 1)(np.arange(3)) * x, (3,)),
    row(lambda x: np.apply_along_axis(lambda r: r * x[0], 1, np.ones((2, 3))), (2,)),
    row(lambda x: np.apply_along_axis(lambda r, k: np.outer(r, r) * k, 0, np.ones((2, 3)), x[0]), (1,)),
    row(lambda x: np.apply_along_axis(np.linalg.norm, 1, np.ones((2, 3))) * x, (2,)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS_OF_CALLBACKS)
def test_functions_that_numpy_calls_may_close_over_traced_values(function, shapes, options):
    check_row(function, shapes, options)


@pytest.mark.parametrize("product", [lambda k: [1.0, 2.0] * k, lambda k: k * (1.0, 2.0), lambda k: "ab" * k])
def test_numbers_times_sequences_repeat_or_raise_as_numpys_scalars_do(product):
    assert arc.compile(lambda i: len(product(i[0])))(np.array([3])) == len(product(np.int64(3)))
    with pytest.raises(TypeError, match=r"can't multiply sequence by non-int of type 'numpy\.float64'"):
        arc.compile(lambda x: len(product(x[0])))(np.ones(1))


def test_lists_times_arrays_are_products():
    check(lambda x: [1.0, 2.0, 3.0] * x + (1, 2, 3) * np.sum(x, keepdims=True), sample((3,)))


def test_a_shape_that_does_not_fit_raises_what_numpy_raises():
    def f(x):
        x.shape = (5,)
        return x

    with pytest.raises(ValueError, match="cannot reshape array of size 6 into shape"):
        arc.compile(f)(np.ones(6))


def test_roots_are_complex_where_numpys_are():
    def largest_real(p):
        roots = np.roots(p)
        return roots[np.abs(roots.imag) < 1e-9].real.max() + np.abs(roots).max() + len(roots)

    compiled, gradient = arc.compile(largest_real), arc.grad(largest_real)
    for p in ([1.0, 0.5, -1.0], [1.0, 0.0, 1.0, 3.0], [1.0, -6.0, 11.0, -5.9], [1.0, 0.2, 1.0, 2.0, 0.0]):
        p = np.array(p)
        np.testing.assert_allclose(compiled(p), largest_real(p), rtol=1e-13)
        np.testing.assert_allclose(gradient(p[:4]), numeric_gradient(largest_real, [p[:4]], 0), rtol=1e-7)
    with pytest.raises(arc.TraceError, match="complex roots"):
        arc.compile(largest_real, control_flow="structured")(np.array([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("function", [
    lambda A: np.sum(np.linalg.eigvalsh(A) ** 2), lambda A: np.sum(np.linalg.svd(A, compute_uv=False) ** 2),
])  # fmt: skip
def test_second_derivatives_by_equal_eigenvalues_are_nan_not_wrong(function):
    distinct = np.diag([1.0, 2.0, 4.0])
    assert np.all(np.isfinite(arc.hess(function)(distinct)))
    equal = np.diag([1.0, 1.0, 4.0])
    np.testing.assert_allclose(np.diag(arc.grad(function)(equal)), [2, 2, 8])
    assert np.any(np.isnan(arc.hess(function)(equal)))
