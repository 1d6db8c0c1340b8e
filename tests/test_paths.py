"""Python's own control flow on traced values: values, gradients, retracing, limits, threads."""

from __future__ import annotations

import math
import operator
import warnings

import numpy as np
import pytest
from helpers import in_threads

import archimedes_grad as arc
from archimedes_grad.compilation import path_making
from archimedes_grad.compilation.merging import guards_alone


def if_else(x):
    if x[0] > x[1]:
        return x[0] ** 2 * x[1]
    if x[0] > 0:
        return np.sin(x[0]) + x[1]
    return x[1] * 3.0 - x[0]


def while_loop(x):
    steps = abs(x[0]) + 0.5
    while steps < 10.0:
        steps = steps * (1.5 + x[1] ** 2)
    return steps


def for_with_break(x):
    total = 0.0
    for value in x:
        if value < 0:
            break
        total = total + value**2
    return total


def and_or_not(x):
    if (x[0] > 0 and x[1] > 0) or not x[2] > 0:
        return x[0] * x[1]
    return x[2] ** 3


def chained(x):
    return x[0] * x[1] if -1.0 < x[0] < 1.0 else x[0] + x[2]


def builtins_of_python(x):
    low, middle, high = sorted(x)
    return max(x[0], x[1]) * min(x[1], x[2]) + middle**2 + low * high


def any_all(x):
    if any(value > 1.0 for value in x) and not all(x > 0):
        return np.sum(x**2)
    return np.prod(x)


def integer_range(x):
    total = x[1]
    for k in range(int(abs(x[0]) * 2) + 1):
        total = total + x[2] ** k
    return total


def traced_slice(x):
    n = int(abs(x[0])) + 1
    return np.sum(x[:n] ** 2) + x[n - 1]


def boolean_mask(x):
    return np.sum(x[x > 0] ** 2) + np.sum(np.exp(x[x <= 0]))


def masked_write(x):
    y = x * 2.0
    y[y > 1.0] = x[1]
    return np.sum(y**2)


def sort_order(x):
    order = np.argsort(x)
    return x[order[0]] ** 2 - x[order[-1]] * x[order[1]]


def comparison_of_integers(x):
    kind = (x[0] > 0) + (x[1] > 0) * 2
    return x[0] ** (int(kind) + 1)


def where_true(x):
    (positive,) = np.nonzero(x > 0)
    return np.sum(x[positive] ** 3)


def asserted_and_caught(x):
    try:
        assert x[0] > x[1], "the first is the larger one"
    except AssertionError:
        return x[1] ** 3
    return x[0] ** 2


def else_of_a_loop(x):
    total = x[0]
    for value in x:
        if value > 1.5:
            break
        total = total * value
    else:
        total = total + x[2] ** 2
    return total


def matched(x):
    match int(x[2]):
        case 0:
            return x[0] * x[1]
        case 1 | 2:
            return x[1] ** 2
    return x[2] * x[0]


def sorted_by_a_key(x):
    first, *_ = sorted(x, key=lambda value: -abs(value))
    return first**2 + x[1]


def distinct_entries(x):
    values, inverse = np.unique(x, return_inverse=True)
    return np.sum(values**2 * np.arange(3)) + np.sum(values[inverse] * x)


def whole_order(x):
    return np.sum(x[np.argsort(x)] ** 2 * np.arange(1.0, 4.0))


def extreme_places(x):
    return x[np.argmax(x)] ** 2 * x[np.argmin(x)]


def key_of_a_dictionary(x):
    return {0: x[0], 1: x[1] ** 2, 2: x[2] ** 3}[int(abs(x[0]))]


def entries_left(x):
    return np.sum(np.delete(x, int(abs(x[1]))) ** 2) / (1 + np.count_nonzero(x > 0))


def decision_in_a_nested_gradient(x):
    return x[2] * arc.grad(lambda y: y**2 * x[1] if y > x[0] else y**3)(0.3)


FUNCTIONS = [
    if_else, while_loop, for_with_break, and_or_not, chained, builtins_of_python, any_all, integer_range, traced_slice,
    boolean_mask, masked_write, sort_order, comparison_of_integers, where_true, asserted_and_caught, else_of_a_loop,
    matched, sorted_by_a_key, distinct_entries, whole_order, extreme_places, key_of_a_dictionary, entries_left,
    decision_in_a_nested_gradient,
]  # fmt: skip


def central_difference(f, x, step=1e-6):
    gradient = np.zeros_like(x)
    for i in range(x.size):
        shift = np.zeros_like(x)
        shift[i] = step
        gradient[i] = (f(x + shift) - f(x - shift)) / (2 * step)
    return gradient


def inputs(count, seed=0):
    # Away from integers and ties, where the functions have kinks.
    return [x for x in np.random.default_rng(seed).uniform(-2.4, 2.4, size=(count, 3))
            if np.min(np.abs(np.subtract.outer(2 * np.abs(x), np.arange(6)))) > 1e-3]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_value_and_gradient_on_every_path(function):
    compiled = arc.value_and_grad(function)
    for x in inputs(40):
        value, gradient = compiled(x)
        np.testing.assert_allclose(value, function(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(gradient, central_difference(function, x), rtol=1e-6, atol=1e-6)


def tripled_and_summed(function):
    """A gradient inside a differentiated function: the decisions of both traces guard the outer path."""
    return arc.grad(lambda x: 3.0 * np.sum(arc.grad(function)(x)))


DIRECTION = np.array([1.0, -2.0, 0.5])

#: Name -> what makes it of a function, what arguments it takes after x, and what it is by gradient and Hessian.
TRANSFORMATIONS = {
    "jac": (arc.jac, (), lambda gradient, hessian: gradient),
    "jvp": (arc.jvp, (DIRECTION,), lambda gradient, hessian: gradient @ DIRECTION),
    "vjp": (arc.vjp, (-2.0,), lambda gradient, hessian: -2.0 * gradient),
    "hess": (arc.hess, (), lambda gradient, hessian: hessian),
    "hvp": (arc.hvp, (DIRECTION,), lambda gradient, hessian: hessian @ DIRECTION),
    "grad inside grad": (tripled_and_summed, (), lambda gradient, hessian: 3.0 * np.sum(hessian, axis=0)),
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_transformation_follows_paths(function):
    transformed = {name: (make(function), *rest) for name, (make, *rest) in TRANSFORMATIONS.items()}
    slope = arc.grad(function)
    for x in inputs(6, seed=3):
        gradient = central_difference(function, x)
        hessian = np.array([central_difference(lambda y, i=i: slope(y)[i], x) for i in range(3)])
        for name, (compiled, more, expected) in transformed.items():
            got = compiled(x, *more)
            np.testing.assert_allclose(got, expected(gradient, hessian), rtol=1e-5, atol=1e-5, err_msg=name)


def counted(function):
    def counting(*args):
        counting.traces += 1
        return function(*args)

    counting.traces = 0
    return counting


def test_a_path_is_traced_once():
    function = counted(lambda x: x**2 if x > 0 else -3 * x)
    gradient = arc.grad(function)
    for x in (1.0, 2.0, -1.0, 3.0, -2.0, 4.0):
        gradient(x)
    assert function.traces == 2
    assert gradient.explain(1.0).paths == 2


def test_a_path_that_returns_a_constant():
    def function(x):
        return {"y": 0.0 if x[0] < 0 else x[0] ** 2, "z": x[1] * 2.0}

    for x, slope in (([-1.0, 3.0], 0.0), ([2.0, 3.0], 4.0)):
        x = np.array(x)
        np.testing.assert_array_equal(arc.vjp(function)(x, {"y": 1.0, "z": 1.0}), [slope, 2.0])
        np.testing.assert_array_equal(arc.jvp(function)(x, np.ones(2))["y"], slope)
        np.testing.assert_array_equal(arc.jac(function)(x)["y"], [slope, 0.0])
        np.testing.assert_array_equal(arc.grad(lambda x: function(x)["y"])(x), [slope, 0.0])
        with pytest.raises(ValueError, match=r"shapes \[\(2,\), \(\)\]"):
            arc.vjp(function)(x, {"y": np.ones(2), "z": 1.0})


def test_merged_paths_give_the_same_results():
    function = counted(lambda x: x**2 if x > 0 else (-3 * x if x > -5 else x**3))
    gradient = arc.grad(function)
    xs = np.tile([1.0, -1.0, 2.0, -7.0, -2.0], 40)
    expected = np.where(xs > 0, 2 * xs, np.where(xs > -5, -3.0, 3 * xs**2))
    np.testing.assert_array_equal([gradient(x) for x in xs], expected)
    assert function.traces == 3


def test_merged_paths_keep_the_signs_of_zeros():
    compiled = arc.compile(lambda x: -2 * x if x > 1 else -x)
    for _ in range(60):
        compiled(2.0), compiled(0.5)
    assert np.signbit(compiled(0.0))
    assert not np.signbit(compiled(-0.0))


def test_merged_paths_keep_the_order_of_keys():
    compiled = arc.compile(lambda x: {"a": x, "b": 2 * x} if x > 0 else {"b": 3 * x, "a": x})
    for x in np.tile([1.0, -1.0], 20):
        assert [*compiled(x).items()] == ([("a", x), ("b", 2 * x)] if x > 0 else [("b", 3 * x), ("a", x)])


REFUSED = {
    "power": (operator.pow, (2, 3), (2, -1), ValueError, "negative integer powers"),
    "power of arrays": (operator.pow, (np.array([2, 3]), np.array([1, 2])), (np.array([2, 3]), np.array([1, -2])),
                        ValueError, "negative integer powers"),
    "below the dtype": (operator.add, (np.ones(2, np.uint8), 3), (np.ones(2, np.uint8), -3), OverflowError, "-3"),
    "above the dtype": (operator.mul, (3, np.ones(2, np.int8)), (300, np.ones(2, np.int8)), OverflowError, "300"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_numbers_that_numpy_refuses_are_refused_in_later_calls_too(case):
    function, first, refused, error, words = REFUSED[case]
    compiled = arc.compile(function)
    for _ in range(2):
        np.testing.assert_array_equal(compiled(*first), function(*first))
        with pytest.raises(error, match=words):
            compiled(*refused)


def test_newton_to_convergence():
    def newton(a):
        x = a
        while abs(x * x - a) > 1e-12 * a:
            x = 0.5 * (x + a / x)
        return x

    gradient = arc.grad(newton)
    points = np.linspace(0.1, 50, 200)
    np.testing.assert_allclose([gradient(a) for a in points], 0.5 / np.sqrt(points), rtol=1e-9)
    assert gradient.explain(2.0).paths < 15


def test_large_graphs_evaluate_guards_first_and_stay_right(monkeypatch):
    alone = []

    def noted(derived):
        alone.append(guards_alone(derived))
        return alone[-1]

    monkeypatch.setattr(path_making, "guards_alone", noted)

    def whole(x):
        y = np.sort(x)  # by NumPy in the graph, which is one of arrays therefore
        for _ in range(5):
            y = np.sin(y) * x + y
        return np.sum(y)

    gradient, slope = arc.grad(lambda x: (int(x[0]) + 1) * whole(x)), arc.grad(whole)
    tail = np.random.default_rng(1).normal(size=60)
    for repetition in range(8):
        for k in (0, 3, 1, 2):
            x = np.r_[k + 0.5, tail]
            expected = (k + 1) * slope(x)
            if repetition > 5:
                # A call of another form comes between: the next one is not that of the last form.
                np.testing.assert_allclose(gradient(x=x), expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(gradient(x), expected, rtol=1e-12, atol=1e-14)
    assert len(alone) == 4
    assert all(guards is not None for guards in alone)


def test_nan_is_true_and_compares_false_as_in_python():
    gradient = arc.grad(lambda x: 2 * x if x else 3 * x)
    assert gradient(np.nan) == 2.0
    assert gradient(0.0) == 3.0
    assert arc.grad(lambda x: 2 * x if x < 1 else 3 * x)(np.nan) == 3.0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_among_what_is_ordered_as_in_python(place):
    x = np.array([2.0, 1.0, 3.0])
    x[place] = np.nan
    weights = np.array([1.0, 10.0, 100.0])

    def chosen(x):
        return max(x) + 2.0 * min(x) + sum(w * v for w, v in zip(weights, sorted(x), strict=True))

    np.testing.assert_array_equal(arc.compile(chosen)(x), chosen(x))

    def places(x):
        numbered = [(value, k) for k, value in enumerate(x)]
        order = sorted(numbered, key=lambda pair: pair[0])
        return x[order[0][1]] * 0 + sum(10.0**k * place for k, (_, place) in enumerate(order))

    np.testing.assert_array_equal(arc.compile(lambda x: places(x))(x), places(x))


def test_int_of_nan_raises_as_python_does():
    with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
        arc.grad(lambda x: x * int(x))(math.nan)


def test_guards_that_round_differently_from_numpy_never_give_a_wrong_path():
    def function(a, b):
        return np.sum(a * b) * (2.0 if a @ b == sum(a * b) else 1.0)

    gradient = arc.grad(function)
    rng = np.random.default_rng(0)
    in_numpy = set()
    for _ in range(50):
        a, b = rng.normal(size=(2, 40))
        in_numpy.add(bool(a @ b == sum(a * b)))
        # CasADi's evaluation decides: both of its sums run from first to last, so that they are equal.
        np.testing.assert_allclose(gradient(a, b), 2 * b, rtol=1e-15)
    assert in_numpy == {True, False}


def test_a_decision_in_a_nested_gradient():
    def outer(x):
        return x * arc.grad(lambda y: y**2 if y > x else y**3)(2.0)

    gradient = arc.grad(outer)
    assert [gradient(x) for x in (1.0, 3.0, 1.5)] == [4.0, 12.0, 4.0]


def test_a_gradient_in_one_branch_only():
    gradient = arc.grad(lambda x: arc.grad(np.sin)(x) if x > 0 else x)
    np.testing.assert_allclose([gradient(1.0), gradient(-1.0)], [-np.sin(1.0), 1.0], rtol=1e-15)


def test_assert_and_the_users_exception_come_through():
    def positive(x):
        assert x > 0, "must be positive"
        return x**2

    gradient = arc.grad(positive)
    assert gradient(1.0) == 2.0
    with pytest.raises(AssertionError, match="must be positive"):
        gradient(-1.0)
    assert gradient(3.0) == 6.0


def test_past_the_limit_results_stay_right_and_one_warning_names_the_line():
    gradient = arc.grad(lambda x: x * int(x), max_paths=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [gradient(k + 0.5) for k in (0, 1, 2, 3, 4, 0, 1, 2, 3, 4)]
    assert results == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    (warning,) = caught
    assert issubclass(warning.category, arc.PathLimitWarning)
    for part in ("more than 3 paths", "x * int(x)", "test_paths.py", "np.where", "arc.cond", "while_loop"):
        assert part in str(warning.message)
    assert gradient.explain(0.5).paths == 3


@pytest.mark.parametrize("transform", [arc.grad, arc.compile])
def test_structured_control_flow_refuses_decisions(transform):
    with pytest.raises(arc.TraceError, match=r"(?s)structured.*test_paths\.py.*np\.where"):
        transform(lambda x: x if x > 0 else -x, control_flow="structured")(1.0)


def absolute(x):
    return x if x > 0 else -x


@pytest.mark.parametrize(
    "body",
    [
        lambda x: np.sum(arc.vmap(absolute)(x)),
        lambda x: arc.scan(lambda c, u: (c + absolute(u), None), 0.0, x)[0],
        lambda x: arc.fori_loop(0, 3, lambda i, s: absolute(s), x[0]),
        lambda x: arc.while_loop(lambda s: s < 9, lambda s: 2.0 * absolute(s), x[0], 9),
        lambda x: arc.while_loop(lambda s: absolute(s) < 9, lambda s: 2.0 * s, x[0], 9),
        lambda x: arc.cond(x[0] > 0, absolute, lambda y: y, x[1]),
        lambda x: arc.switch(np.argmax(x), [absolute, np.sin], x[1]),
    ],
    ids=["vmap", "scan", "fori_loop", "body of while_loop", "cond of while_loop", "cond", "switch"],
)
@pytest.mark.parametrize("transform", [arc.compile, arc.grad], ids=["compile", "grad"])
def test_where_there_are_no_values_decisions_are_refused(transform, body):
    message = r"(?s)no actual value.*test_paths\.py.*return x if x > 0 else -x.*np\.where"
    with pytest.raises(arc.TraceError, match=message):
        transform(body)(np.array([1.0, -2.0, 3.0]))


def every_kind_of_decision(x):
    return [
        lambda: x[0] if x[0] > 0 else x[1], lambda: max(x), lambda: sorted(x)[0], lambda: x[x > 0],
        lambda: range(int(x[2])), lambda: np.nonzero(x), lambda: x[np.argsort(x)], lambda: np.unique(x),
        lambda: x[0] in x, lambda: not x[0],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", range(10))
@pytest.mark.parametrize("transform", [arc.compile, arc.value_and_grad, arc.hess])
def test_structured_control_flow_refuses_every_kind(transform, kind):
    def function(x):
        every_kind_of_decision(x)[kind]()
        return np.sum(x**2)

    with pytest.raises(arc.TraceError, match=r'(?s)control_flow="structured".*test_paths\.py'):
        transform(function, control_flow="structured")(np.array([1.0, -2.0, 3.0]))
    transform(function)(np.array([1.0, -2.0, 3.0]))


@pytest.mark.parametrize(("name", "value"), [("control_flow", "loose"), ("max_paths", 0), ("max_paths", 1.5)])
def test_bad_options_name_the_valid_ones(name, value):
    with pytest.raises(ValueError, match=name):
        arc.grad(np.sin, **{name: value})


def test_an_endless_loop_stops_and_names_the_line(monkeypatch):
    monkeypatch.setattr("archimedes_grad.arrays.decisions.MAX_DECISIONS", 200)

    def endless(x):
        while x > 0:
            x = x + 1.0
        return x

    with pytest.raises(arc.TraceError, match=r"(?s)200 times.*while x > 0.*while_loop"):
        arc.grad(endless)(1.0)


def test_one_path_makes_no_casadi_function_where_there_are_branches():
    with pytest.raises(arc.TraceError, match=r"(?s)one path only.*np\.where"):
        arc.grad(lambda x: x if x > 0 else -x).to_casadi(1.0)


def test_explain_shows_paths_guards_and_hits():
    def function(x):
        if x > 1:
            return x**2
        return x

    gradient = arc.grad(function)
    for x in (0.0, 2.0, 3.0):
        gradient(x)
    explanation = gradient.explain(2.0)
    assert explanation.paths == 2
    (place,) = explanation.decisions
    assert "if x > 1" in place
    assert sum(explanation.hits) >= 3
    assert "decides (0 in 1 path, 1 in 1 path) at" in str(explanation)
    assert "if x > 1" in str(explanation)


def test_threads_on_random_paths_never_mix_results():
    def function(x):
        k = int(x)
        return x**2 * k if k % 2 else x * (k + 1)

    gradient = arc.grad(function)
    wrong = []

    def work(seed):
        for x in np.random.default_rng(seed).uniform(0, 20, size=300):
            k = int(x)
            expected = 2 * x * k if k % 2 else k + 1.0
            if abs(gradient(x) - expected) > 1e-9:
                wrong.append((x, expected))

    in_threads(work, range(16))
    assert wrong == []


def test_a_thousand_decisions_grow_linearly():
    def function(x, n):
        total = x
        for _ in range(n):
            if total > 1e6:
                total = total * 0.5
            total = total * 1.01
        return total

    gradient = arc.grad(function, static_argnames="n")
    operations = [gradient.graph(2.0, n=n).n_operations for n in (500, 1000)]
    assert operations[1] < 2.2 * operations[0]


def _squared_up_to_one(y):
    if y > 1:
        raise ValueError("too large")
    return y * y


def _caught(x):
    try:
        slope = arc.grad(_squared_up_to_one)(x)
    except ValueError:
        slope = x * 100
    return slope + (1000 if x > 5 else 2000 if x > 3 else 0)


def _retried(x):
    for k in range(4):
        try:
            return k + arc.jvp(lambda t: _squared_up_to_one(t * 0.5**k))(x, 1.0)
        except ValueError:
            continue
    return x


def _of_no_number(x):
    try:
        return np.sum(arc.grad(lambda y: y[:2] if y[0] > 0 else 2 * y[0])(x * np.ones(3)))
    except ValueError:
        return 3 * x


@pytest.mark.parametrize("transform", [arc.compile, arc.grad])
def test_errors_of_a_derivative_inside_without_decisions_come_through(transform):
    def not_scalar(x):
        return np.sum(arc.grad(lambda y: y[:2])(x))

    def caught(x):
        try:
            return not_scalar(x)
        except ValueError:
            return np.sum(x)

    with pytest.raises(ValueError, match="a gradient needs a function that returns one scalar"):
        transform(not_scalar)(np.ones(3))
    np.testing.assert_array_equal(transform(caught)(np.ones(3)), 3.0 if transform is arc.compile else np.ones(3))


@pytest.mark.parametrize(
    ("function", "results"),
    [
        (_caught, {2.0: 200.0, 6.0: 1600.0, 4.0: 2400.0, 0.5: 1.0}),
        (_retried, {0.5: 1.0, 1.5: 1.75, 3.0: 2.375, 6.0: 3.1875, 9.0: 9.0}),
        (_of_no_number, {1.0: 3.0, -1.0: 2.0}),
    ],
)
def test_decisions_inside_a_derivative_that_raises_are_decisions_of_the_path(function, results):
    points = list(results)
    for order in (points, points[::-1]):
        compiled = arc.compile(function)
        for x in [*order, *order]:
            assert compiled(x) == results[x]
