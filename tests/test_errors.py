"""What goes wrong says so: the operation, the user's file and line, and one way to go on."""

import inspect
import math
import operator
import pickle
import warnings
from dataclasses import dataclass

import casadi as cs
import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad import errors
from archimedes_grad.arrays import trace_state

THIS_FILE = __file__


def line_of(function, fragment):
    """Return the number of the line of a function's source that holds a fragment."""
    lines, start = inspect.getsourcelines(function)
    (found,) = [start + i for i, line in enumerate(lines) if fragment in line]
    return found


# --- what would lose the derivative -----------------------------------------------------------------


def uses_math(x):
    y = x * 2
    return math.sin(y)


def uses_math_atan2(x):
    return math.atan2(x, 1.0)


def stores_into_zeros(x):
    y = np.zeros(3)
    y[0] = x
    return np.sum(y)


def stores_in_place(x):
    totals = np.ones(3)
    totals[1] += x
    return np.sum(totals)


def stores_an_array(x):
    y = np.zeros(3)
    y[:] = np.array([x, x, x])
    return np.sum(y)


def calls_float(x):
    return float(x) * 2


def makes_complex(x):
    return complex(x).real


def ufunc_of_a_list(x):
    return np.sum(np.sin([x, 2.0]))


def ufunc_of_an_object_array(x):
    entries = np.empty(2, dtype=object)
    entries[:] = [x, 2.0]
    return np.sum(np.exp(entries))


def in_place_on_a_plain_array(x):
    total = np.zeros(2)
    total += x
    return np.sum(total)


def plain_out(x):
    y = np.zeros(())
    np.sin(x, out=y)
    return y


def joins_text(x):
    return len(", ".join([x, "y"])) * x


def without_a_rule(x):
    return np.sum(np.packbits(x))


def where_without_out(x):
    return np.sum(np.sin(np.array([x, x]), where=[True, False]))


MESSAGES = [
    (uses_math, "math.sin(y)", ["np.sin", "math.sin"]),
    (uses_math_atan2, "math.atan2", ["np.arctan2", "math.atan2"]),
    (stores_into_zeros, "y[0] = x", ["arc.zeros", "np.zeros_like"]),
    (stores_in_place, "totals[1] += x", ["arc.zeros", "totals"]),
    (stores_an_array, "y[:] = np.array", ["arc.zeros"]),
    (calls_float, "float(x) * 2", ["float"]),
    (makes_complex, "complex(x).real", ["complex"]),
    (ufunc_of_a_list, "np.sin([x", ["np.array"]),
    (ufunc_of_an_object_array, "np.exp(entries)", ["np.array"]),
    (in_place_on_a_plain_array, "total += x", ["arc.zeros"]),
    (plain_out, "np.sin(x, out=y)", ["arc.zeros", "out="]),
    (joins_text, '", ".join([x', ["does not take traced arrays", "plain numbers"]),
    (without_a_rule, "np.packbits", ["packbits"]),
    (where_without_out, "where=[True", ["where=", "np.where"]),
]


@pytest.mark.parametrize(("function", "fragment", "words"), MESSAGES, ids=lambda v: getattr(v, "__name__", None))
@pytest.mark.parametrize("transform", [arc.grad, arc.compile, arc.value_and_grad])
def test_a_trace_error_names_the_line_and_the_way_on(transform, function, fragment, words):
    with pytest.raises(arc.TraceError) as caught:
        transform(function)(1.5)
    message = str(caught.value)
    assert f'File "{THIS_FILE}", line {line_of(function, fragment)}' in message
    assert fragment in message
    for word in words:
        assert word in message


def test_a_trace_error_of_a_helper_names_the_helpers_line():
    def helper(x):
        return math.exp(x)

    with pytest.raises(arc.TraceError) as caught:
        arc.grad(lambda x: helper(x) + 1)(1.0)
    assert f"line {line_of(helper, 'math.exp')}" in str(caught.value)


def test_a_trace_error_is_a_type_error_and_pickles():
    assert issubclass(arc.TraceError, TypeError)
    assert arc.TraceError is errors.TraceError
    error = pickle.loads(pickle.dumps(arc.TraceError("what\n  way on")))
    assert str(error) == "what\n  way on"


def test_decisions_are_trace_errors_where_control_flow_is_structured():
    def f(x):
        if x > 0:
            return x
        return -x

    with pytest.raises(arc.TraceError) as caught:
        arc.compile(f, control_flow="structured")(1.0)
    assert f"line {line_of(f, 'if x > 0')}" in str(caught.value)
    assert "np.where" in str(caught.value)


def test_a_float_as_an_index_is_pythons_own_error():
    with pytest.raises(TypeError, match="integer"):
        arc.grad(lambda x: x * [1, 2][x])(1.0)


def test_a_leaked_traced_value_is_refused_later():
    kept = []

    def leak(x):
        kept.append(x * 2)
        return x

    arc.grad(leak)(1.0)
    for use in (arc.grad, arc.compile):
        with pytest.raises(arc.TraceError, match="another call"):
            use(lambda y: y * kept[0])(3.0)


def test_a_leaked_traced_value_as_an_argument_is_refused():
    kept = []
    arc.grad(lambda x: kept.append(x) or x)(1.0)
    with pytest.raises(TypeError):
        arc.grad(lambda x: x)(kept[0])


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [arc.grad, arc.value_and_grad])
@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x, "(3,)"), (lambda x: x[:1], "(1,)"), (lambda x: np.outer(x, x), "(3, 3)"),
        (lambda x: np.ones(2), "(2,)"),
    ],
    ids=["vector", "one entry", "matrix", "constant vector"],
)
def test_an_output_that_is_no_scalar(transform, function, shape):
    with pytest.raises(ValueError, match="jac") as caught:
        transform(function)(np.ones(3))
    assert shape in str(caught.value)


@pytest.mark.parametrize("returned", [None, (1.0, 2.0), {"a": 1.0}, "text", [1.0]], ids=repr)
def test_an_output_that_is_no_number(returned):
    with pytest.raises((ValueError, TypeError), match="scalar"):
        arc.grad(lambda x: returned)(1.0)
    with pytest.raises((ValueError, TypeError), match="scalar"):
        arc.grad(lambda x: (x, x) if returned else None)(1.0)


@dataclass
class Options:
    label: str = "a"


@pytest.mark.parametrize(
    ("argument", "dtype"),
    [
        (np.array([1 + 2j]), "complex128"), (1 + 2j, "complex128"), (np.array(["a"]), "<U1"),
        (np.array([None]), "object"), (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime64"),
        (np.array([1], dtype="timedelta64[s]"), "timedelta64"), (np.array([True, False]), "bool"),
        (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "i8"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_a_differentiated_argument_without_real_numbers(argument, dtype):
    with pytest.raises(TypeError, match="weights") as caught:
        arc.grad(lambda x, weights: x, argnums=1)(1.0, argument)
    assert dtype in str(caught.value)
    assert not isinstance(caught.value, arc.TraceError)
    if dtype not in ("bool", "complex128"):
        with pytest.raises(TypeError, match="weights"):
            arc.grad(lambda x, weights: x)(1.0, argument)


@pytest.mark.parametrize("argument", [None, True, "text", [], {}, (None, "a"), {"a": {"b": None}}, Options()], ids=repr)
def test_a_differentiated_argument_without_any_number(argument):
    with pytest.raises(TypeError, match="params"):
        arc.grad(lambda x, params: x, argnums=1)(1.0, argument)


def test_leaves_of_trees_are_named():
    with pytest.raises(TypeError) as caught:
        arc.grad(lambda params: params["w"][0])({"w": [1.0, np.array([1j])]})
    assert "params['w'][1]" in str(caught.value)


@pytest.mark.parametrize("argument", [object(), {1, 2}, iter([1.0]), np.dtype(float)], ids=lambda a: type(a).__name__)
def test_an_argument_that_is_neither_array_number_nor_tree(argument):
    with pytest.raises(TypeError, match="static_argnames") as caught:
        arc.grad(lambda x, config: x)(1.0, argument)
    assert "config" in str(caught.value)
    assert float(arc.grad(lambda x, config: x * 2, static_argnames="config")(1.0, object())) == 2.0


def test_a_static_argument_that_cannot_be_a_key():
    class Unhashable:
        def __eq__(self, other):
            return True

    g = arc.grad(lambda x, config: x, static_argnames="config")
    with pytest.raises(TypeError, match="'config'"):
        g(1.0, Unhashable())
    g(1.0, [1, 2])  # from now on the fast path looks at the key
    with pytest.raises(TypeError, match="'config'"):
        g(1.0, Unhashable())


def two(x, y, *, z=1.0):
    return x * y * z


BAD_SELECTIONS = {
    "argnums out of range": (lambda: arc.grad(two, argnums=2), ValueError, "argnums"),
    "argnums far below": (lambda: arc.grad(two, argnums=-3), ValueError, "argnums"),
    "argnums twice": (lambda: arc.grad(two, argnums=(0, 0)), ValueError, "twice"),
    "argnums twice by sign": (lambda: arc.grad(two, argnums=(1, -1)), ValueError, "twice"),
    "argnums empty": (lambda: arc.grad(two, argnums=()), ValueError, "empty"),
    "argnums no int": (lambda: arc.grad(two, argnums=1.0), TypeError, "argnums"),
    "argnums a bool": (lambda: arc.grad(two, argnums=True), TypeError, "argnums"),
    "argnums a string": (lambda: arc.grad(two, argnums="x"), TypeError, "argnums"),
    "argnums None": (lambda: arc.grad(two, argnums=(None,)), TypeError, "argnums"),
    "argnames unknown": (lambda: arc.grad(two, argnames="w"), ValueError, "'w'"),
    "argnames empty": (lambda: arc.grad(two, argnames=[]), ValueError, "empty"),
    "argnames no string": (lambda: arc.grad(two, argnames=[0]), TypeError, "argnames"),
    "argnames twice": (lambda: arc.grad(two, argnames=("x", "x")), ValueError, "twice"),
    "both": (lambda: arc.grad(two, argnums=0, argnames="y"), ValueError, "not both"),
    "static and differentiated": (lambda: arc.grad(two, static_argnums=0), ValueError, "static"),
    "static name and differentiated": (lambda: arc.grad(two, argnums=1, static_argnames="y"), ValueError, "static"),
    "static by name and by index": (lambda: arc.grad(two, argnames="y", static_argnums=-1), ValueError, "static"),
    "static out of range": (lambda: arc.grad(two, static_argnums=5), ValueError, "static_argnums"),
    "static unknown": (lambda: arc.compile(two, static_argnames="w"), ValueError, "static_argnames"),
    "method": (lambda: arc.grad(two, method="symbolical"), ValueError, "symbolic"),
    "option": (lambda: arc.grad(two, stepsize=0.1), ValueError, "stepsize"),
    "engine": (lambda: arc.grad(two, engine="steam"), ValueError, "vm"),
    "control flow": (lambda: arc.compile(two, control_flow="goto"), ValueError, "paths"),
    "max_paths": (lambda: arc.compile(two, max_paths=0), ValueError, "max_paths"),
    "no function": (lambda: arc.grad(3.0), TypeError, "function"),
    "no function for compile": (lambda: arc.compile(np.ones(2)), TypeError, "function"),
    "no arguments": (lambda: arc.grad(lambda: 1.0), ValueError, "argnums"),
}


@pytest.mark.parametrize("case", BAD_SELECTIONS)
def test_bad_selections(case):
    make, kind, word = BAD_SELECTIONS[case]
    with pytest.raises(kind, match=word) as caught:
        make()
    assert type(caught.value) is kind


@pytest.mark.parametrize("iterator", [lambda x: (x * i for i in range(2)), lambda x: map(abs, [x])])
def test_an_iterator_is_no_result(iterator):
    with pytest.raises(TypeError, match="list or tuple"):
        arc.compile(iterator)(1.0)


@pytest.mark.parametrize("entry", [None, "text", object()], ids=lambda entry: type(entry).__name__)
def test_an_array_of_objects_and_traced_values_is_refused(entry):
    with pytest.raises(arc.TraceError, match="tuple"):
        arc.grad(lambda x: np.array([x, entry])[0])(1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(), lambda f: f(1.0), lambda f: f(1.0, 2.0, 3.0), lambda f: f(1.0, 2.0, w=3.0),
        lambda f: f(1.0, 2.0, x=1.0), lambda f: f(y=1.0),
    ],
    ids=range(6),
)  # fmt: skip
@pytest.mark.parametrize("transform", [arc.grad, arc.compile])
def test_a_wrong_call_reads_like_pythons_own_error(transform, call):
    with pytest.raises(TypeError) as expected:
        call(two)
    with pytest.raises(TypeError) as got:
        call(transform(two))
    assert str(got.value).startswith("two() ")
    # Python has several wordings; the names of arguments are the same in all.
    for argument in ("'w'", "'y'", "'x'"):
        assert (argument in str(got.value)) <= (argument in str(expected.value))
    assert not isinstance(got.value, arc.TraceError)


def test_a_differentiated_keyword_that_is_left_out():
    def f(x, **kwargs):
        return x * sum(kwargs.values())

    with pytest.raises(ValueError, match="'w'"):
        arc.grad(f, argnames="w")(1.0)
    assert float(arc.grad(f, argnames="w")(3.0, w=2.0)) == 3.0


def test_has_aux_without_a_pair():
    for returned in (lambda x: x, lambda x: (x, x, x), lambda x: [x, x]):
        with pytest.raises(TypeError, match="aux"):
            arc.grad(returned, has_aux=True)(1.0)


# --- the user's own exceptions ------------------------------------------------------------------------


class OwnError(Exception):
    pass


def assert_clean():
    assert trace_state.active_traces == 0
    assert trace_state.current_trace() is None
    assert np.array([1.0, 2.0]).dtype == float
    assert np.array.__module__ == "numpy"
    assert not hasattr(np.array, "__wrapped__")
    assert cs.GlobalOptions.getSimplificationOnTheFly()
    assert np.geterr()["over"] == "warn"


OWN_ERRORS = (
    OwnError("mine"), ValueError("mine"), KeyError("mine"), TypeError("mine"), IndexError("mine"),
    ZeroDivisionError("mine"), StopIteration("mine"), KeyboardInterrupt("mine"), SystemExit(3),
)  # fmt: skip


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("transform", [arc.grad, arc.compile])
def test_the_users_exception_comes_through(transform, error):
    def f(x):
        y = np.sin(x)
        raise error
        return y

    with pytest.raises(type(error)) as caught:
        transform(f)(1.0)
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert_clean()
    assert float(arc.grad(np.sin)(0.0)) == 1.0


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, TypeError, IndexError])
def test_the_users_exception_may_show_a_traced_value(kind):
    @arc.grad
    def f(x):
        if x[0] < 0:
            raise kind(f"x[0] = {x[0]}, x = {x!r}")
        return np.sum(x**2)

    for _ in range(2):
        with pytest.raises(kind, match=r"x\[0\] = .*-1.0") as caught:
            f(np.array([-1.0, 2.0]))
        assert not isinstance(caught.value, arc.TraceError)
        np.testing.assert_array_equal(f(np.array([1.0, 2.0])), [2.0, 4.0])


def test_an_exception_that_names_the_type_of_a_traced_value_is_explained():
    def of_a_library(x):
        raise TypeError(f"expected a tensor, got {type(x).__name__}")

    with pytest.raises(arc.TraceError, match=r"(?s)does not take traced arrays.*expected a tensor.*Give it plain"):
        arc.grad(of_a_library)(np.ones(2))


def test_an_exception_in_a_nested_gradient_leaves_a_clean_state():
    def inner(y):
        raise OwnError

    with pytest.raises(OwnError):
        arc.grad(lambda x: x * arc.grad(inner)(x))(1.0)
    assert_clean()


def test_a_caught_exception_inside_a_traced_function():
    def f(x):
        try:
            return math.sin(x)
        except TypeError:
            return np.sin(x)

    assert float(arc.grad(f)(0.0)) == 1.0


def test_a_function_that_failed_can_be_called_again():
    fail = [True]

    @arc.grad
    def f(x):
        if fail[0]:
            raise OwnError
        return x**2

    with pytest.raises(OwnError):
        f(1.0)
    fail[0] = False
    assert float(f(3.0)) == 6.0


def test_the_users_simplification_flag_is_restored():
    cs.GlobalOptions.setSimplificationOnTheFly(False)
    try:
        arc.grad(np.sin)(1.0)
        assert not cs.GlobalOptions.getSimplificationOnTheFly()
    finally:
        cs.GlobalOptions.setSimplificationOnTheFly(True)


def test_the_traceback_holds_the_users_line():
    def f(x):
        return x + {}["missing"]

    with pytest.raises(KeyError) as caught:
        arc.grad(f)(1.0)
    assert any(entry.lineno + 1 == line_of(f, "missing") for entry in caught.traceback)


# --- NumPy's own exceptions -----------------------------------------------------------------------------

NUMPYS = {
    "shapes that do not broadcast": lambda x: x + np.ones(4),
    "of two traced arrays": lambda x: x[:2] * x,
    "matmul": lambda x: x @ np.ones((2, 2)),
    "matmul of a scalar": lambda x: x @ 2.0,
    "dot": lambda x: np.dot(x, np.ones(2)),
    "axis": lambda x: np.sum(x, axis=1),
    "axis twice": lambda x: np.sum(x[None], axis=(0, 0)),
    "axis of max": lambda x: np.max(x, axis=2),
    "reshape": lambda x: np.reshape(x, (2, 2)),
    "transpose": lambda x: np.transpose(x, (0, 1)),
    "concatenate": lambda x: np.concatenate([x, x[None]]),
    "stack": lambda x: np.stack([x, x[:2]]),
    "max of nothing": lambda x: np.max(x[:0]),
    "broadcast_to": lambda x: np.broadcast_to(x, (4,)),
    "squeeze": lambda x: np.squeeze(x, axis=0),
    "split": lambda x: np.split(x, 2),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, 3),
    "trace": lambda x: np.trace(x),
    "literal of ragged rows": lambda x: np.array([[x[0]], [x[1], x[2]]]),
    "len of a scalar": lambda x: len(x[0]),
    "iteration over a scalar": lambda x: list(x[0]),
    "too many operands": lambda x: np.sin(x, x, x),
    "unpacking": lambda x: operator.add(*x),
    "attribute": lambda x: x.no_such_attribute,
    "hash": lambda x: {x: 1},
    "where of shapes": lambda x: np.where(x > 0, x, np.ones(2)),
    "diag of three axes": lambda x: np.diag(x[None, None]),
    "string": lambda x: x + "text",
    "None": lambda x: x * None,
}


@pytest.mark.parametrize("case", NUMPYS)
def test_numpys_own_exceptions(case):
    program = NUMPYS[case]
    with pytest.raises(Exception) as expected:
        program(np.ones(3))
    with pytest.raises(expected.type) as got:
        arc.compile(program)(np.ones(3))
    assert not isinstance(got.value, RuntimeError)  # nothing of CasADi's
    if not isinstance(got.value, arc.TraceError) and case != "len of a scalar":  # NumPy's scalars have other words
        own_words = str(expected.value).replace("numpy.ndarray", "").replace("numpy.float64", "").split("'")[0]
        assert own_words.split("(")[0].strip() in str(got.value)


def _past_the_limit():
    gradient = arc.grad(lambda x: x * int(x), max_paths=1)
    for x in (0.5, 1.5, 2.5):
        gradient(x)


def _falling_back():
    arc.grad(lambda x: math.sin(x), method="auto")(0.7)


def _at_a_kink():
    arc.jac(lambda x: abs(x), method="adaptive")(np.zeros(1))


@pytest.mark.parametrize("warned", [_past_the_limit, _falling_back, _at_a_kink])
def test_warnings_stand_at_the_line_that_called(warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warned()
    lines, first = inspect.getsourcelines(warned)
    assert caught
    for warning in caught:
        assert warning.filename == __file__
        assert warning.lineno == first + len(lines) - 1
