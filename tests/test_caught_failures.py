"""``try: factorise except LinAlgError``: a decision on values, where the user's code catches that a call fails."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import re

import numpy as np
import pytest
import scipy.linalg
from helpers import in_threads

import archimedes_grad as arc
from archimedes_grad.compilation.fast_path import Miss
from archimedes_grad.compilation.paths import Path


def with_jitter(K):
    for jitter in (0.0, 1.0, 10.0):
        try:
            return np.log(np.diag(np.linalg.cholesky(K + jitter * np.eye(len(K))))).sum()
        except np.linalg.LinAlgError:
            pass
    return 3.0 * K[0, 1]


def is_positive_definite(A):
    try:
        np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        return False
    return True


def asked_by_a_helper(A):
    return np.sum(A**2) if is_positive_definite(A) else 5.0 * A[0, 1]


def suppressed(A):
    result = 7.0 * A[0, 1]
    with contextlib.suppress(np.linalg.LinAlgError):
        result = np.linalg.inv(A).sum()
    return result


def by_any_exception(A):
    try:
        x = np.linalg.solve(A, A[0] + 1.0)
    except Exception:
        x = np.linalg.lstsq(A, A[0] + 1.0)[0]
    return np.sum(x**2)


def by_scipy(A):
    try:
        return scipy.linalg.cho_solve(scipy.linalg.cho_factor(A), np.ones(len(A))).sum()
    except scipy.linalg.LinAlgError:
        return 9.0 * A[0, 1]


def triangular(A):
    try:
        return scipy.linalg.solve_triangular(A, np.ones(len(A))).sum()
    except np.linalg.LinAlgError:
        return 9.0 * A[0, 1]


def reported_by_another_error(A):
    def inverse(A):
        try:
            return np.linalg.inv(A)
        except np.linalg.LinAlgError as error:
            raise ArithmeticError("no inverse") from error

    try:
        return inverse(A).sum()
    except ArithmeticError:
        return A.sum()


def in_a_comprehension(A):
    def one(scale):
        try:
            return np.linalg.inv(A - scale * np.eye(len(A)))[0, 0]
        except np.linalg.LinAlgError:
            return A[0, 1]

    return sum(one(scale) for scale in (0.0, 1.0, 2.0))


def beside_branches(A):
    if A[0, 1] > 3.0:
        return A[0, 1] ** 2
    try:
        inverse = np.linalg.inv(A)
    except np.linalg.LinAlgError:
        return A[0, 0] * 2.0 if A[0, 0] > 0.5 else A[0, 0] * 3.0
    return inverse.sum() if inverse[0, 0] > 0.5 else inverse[0, 0]


def not_finite(A):
    try:
        return scipy.linalg.cholesky(A).sum()
    except ValueError:
        return np.nansum(A)


def gradient_inside(A):
    def inner(B):
        try:
            return np.linalg.inv(B).sum()
        except np.linalg.LinAlgError:
            return np.sum(B**2)

    return arc.grad(inner)(A).sum()


def around_a_gradient(A):
    try:
        return arc.grad(lambda B: np.linalg.inv(B).sum())(A).sum()
    except np.linalg.LinAlgError:
        return np.sum(A**2)


def points(n):
    indefinite = np.eye(n) + 2.0 * np.eye(n, k=1) + 2.0 * np.eye(n, k=-1)
    return [np.eye(n), indefinite, np.ones((n, n)), 4.0 * np.ones((n, n)), np.zeros((n, n))]


FUNCTIONS = [
    with_jitter, asked_by_a_helper, suppressed, by_any_exception, by_scipy, triangular, reported_by_another_error,
    in_a_comprehension, beside_branches, gradient_inside,
    around_a_gradient,
]  # fmt: skip
CASES = [
    *((function, points(n)) for function in FUNCTIONS for n in (2, 12)),
]
NAMES = [f"{function.__name__}-{len(some[0])}" for function, some in CASES]


def results_of(transform, function, some, engine=None):
    return [transform(function, engine=engine)(point) for point in some]


def assert_same(result, expected):
    for got, wanted in zip(*(x if isinstance(x, tuple) else (x,) for x in (result, expected)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("transform", [arc.compile, arc.grad, arc.value_and_grad])
@pytest.mark.parametrize(("function", "some"), CASES, ids=NAMES)
def test_every_order_of_calls_gives_what_first_calls_give(function, some, transform):
    first = results_of(transform, function, some)
    if transform is arc.compile and function not in (gradient_inside, around_a_gradient):
        for result, point in zip(first, some, strict=True):
            assert_same(result, function(point))
    for order in [(0, 1), (1, 0), (0, 2), (2, 0)]:
        compiled = transform(function)
        for k in [*order, *order, *range(len(some)), *reversed(order)]:
            assert_same(compiled(some[k]), first[k])


def test_nan_that_scipy_refuses():
    compiled = arc.value_and_grad(not_finite)
    for point in (np.full((3, 3), np.nan), np.eye(3), -np.eye(3), np.full((3, 3), np.nan), np.eye(3)):
        assert_same(compiled(point), arc.value_and_grad(not_finite)(point))


@pytest.mark.parametrize("function", [with_jitter, asked_by_a_helper, suppressed, by_any_exception])
def test_native_code_goes_the_same_ways(function):
    some = points(12)
    compiled = arc.value_and_grad(function, engine="native")
    for k in [0, 1, 2, 0, 1, 2]:
        assert_same(compiled(some[k]), arc.value_and_grad(function)(some[k]))


def test_gradients_of_caught_failures_by_differences():
    for function in (with_jitter, suppressed, beside_branches):
        for point in points(5)[:2]:
            gradient = arc.grad(function)
            gradient(points(5)[2])
            gradient(np.eye(5))
            slope = gradient(point)[0, 0]
            step = np.zeros_like(point)
            step[0, 0] = 1e-6
            np.testing.assert_allclose(slope, (function(point + step) - function(point - step)) / 2e-6, rtol=1e-4)


@pytest.mark.parametrize("transform", [arc.compile, arc.grad])
def test_what_is_not_caught_is_numpys_error_at_every_call(transform):
    def around(A):
        with np.errstate(all="ignore"):
            try:
                return np.linalg.inv(A).sum()
            except ZeroDivisionError:
                return 0.0

    for order in ([0, 4, 4, 0, 4], [4, 0, 4, 4]):
        compiled = transform(around)
        for k in order:
            if k == 4:
                with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
                    compiled(points(5)[k])
            else:
                compiled(points(5)[k])
        assert compiled.explain(np.eye(5)).paths == 1
        compiled.to_casadi(np.eye(5))


def test_a_try_that_never_failed_costs_no_path_and_no_node():
    def tried(A):
        try:
            return np.linalg.cholesky(A).sum()
        except np.linalg.LinAlgError:
            return A.sum()

    def untried(A):
        return np.linalg.cholesky(A).sum()

    reports = [arc.grad(f).explain(np.eye(4)) for f in (tried, untried)]
    assert reports[0].n_operations == reports[1].n_operations
    assert reports[0].representation == reports[1].representation == "scalar"
    assert reports[0].decisions == {}


def test_explain_names_the_call_that_fails():
    compiled = arc.compile(with_jitter)
    for point in points(5)[:2]:
        compiled(point)
    told = str(compiled.explain(np.eye(5)))
    assert re.search(r"fails in \d paths?", told)
    assert "np.linalg.cholesky(K + jitter" in told


def test_threads_meet_a_caught_failure_at_once():
    some = points(12)
    expected = results_of(arc.grad, with_jitter, some)
    gradient = arc.grad(with_jitter)
    gradient(some[0])

    def many(seed):
        rng = np.random.default_rng(seed)
        return [(k, gradient(some[k])) for k in rng.integers(0, len(some), 60)]

    for results in in_threads(many, range(6)):
        for k, result in results:
            assert_same(result, expected[k])


def test_paths_that_travelled_learn_of_a_caught_failure():
    compiled = arc.compile(with_jitter)
    compiled(np.eye(3))
    again = pickle.loads(pickle.dumps(compiled))
    assert_same(again(points(3)[1]), with_jitter(points(3)[1]))
    assert_same(again(np.eye(3)), 0.0)
    assert_same(pickle.loads(pickle.dumps(again))(np.eye(3)), 0.0)


def in_a_body(A):
    def item(B):
        try:
            return np.linalg.tensorinv(B, ind=1).sum()
        except np.linalg.LinAlgError:
            return B.sum()

    return arc.vmap(item)(np.stack([A, 2.0 * A])).sum()


@pytest.mark.parametrize(
    ("function", "options", "order"),
    [
        (in_a_body, {}, (4,)),
        (suppressed, {"control_flow": "structured"}, (4,)),
        (suppressed, {"control_flow": "structured"}, (0, 4)),
    ],
)
def test_where_no_guard_can_tell_of_it_a_caught_failure_is_refused(function, options, order):
    compiled = arc.compile(function, **options)
    for k in order[:-1]:
        compiled(points(5)[k])
    message = r"The failure of a traced call was caught(.|\n)*line \d+(.|\n)*Ask first"
    with pytest.raises(arc.TraceError, match=message):
        compiled(points(5)[order[-1]])


def root_or_not(a):
    try:
        return arc.implicit_root(lambda x, a: x * x - a, 1.0, a)
    except np.linalg.LinAlgError:
        return 3.0 * a


def root_of_a_closure(a):
    def root():
        return arc.implicit_root(lambda x: x * x - a, 1.0)

    try:
        return root()
    except Exception:
        return 3.0 * a


@pytest.mark.parametrize("function", [root_or_not, root_of_a_closure])
@pytest.mark.parametrize("points", [(4.0, -1.0, 9.0, -2.0), (-4.0, 1.0, -2.0, 9.0)])
def test_that_there_is_no_root_is_a_decision(function, points):
    compiled, gradient = arc.compile(function), arc.grad(function)
    for a in points:
        assert compiled(a) == pytest.approx(np.sqrt(a) if a > 0 else 3.0 * a)
        assert gradient(a) == pytest.approx(0.5 / np.sqrt(a) if a > 0 else 3.0)


def test_a_caught_failure_of_an_integrator_is_told():
    def last(a):
        try:
            return arc.odeint(lambda x, t: x * x, a, [0.0, 2.0])[-1]
        except RuntimeError:
            return 7.0 * a

    compiled = arc.compile(last)
    with pytest.raises(arc.TraceError, match=r"The failure of a traced call was caught(.|\n)*of odeint"):
        compiled(1.0)
    assert compiled(0.1) == pytest.approx(0.125, rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_where_numpy_and_casadi_round_differently_calls_end(n):
    def f(X):
        K = X @ X.T / 3.0
        try:
            return np.linalg.inv(K)[0, 0] * 0.0 + 1.0
        except np.linalg.LinAlgError:
            return X[0, 0] * 0.0 + 2.0

    def outcome(X):
        try:
            return compiled(X)
        except np.linalg.LinAlgError:  # Which pivots vanish hangs on the machine: CasADi's may where LAPACK's do not.
            return "singular"

    rng = np.random.default_rng(n)
    compiled = arc.compile(f)
    outcomes = [outcome(rng.integers(-3, 4, (n, n - 1)) / rng.integers(1, 8)) for _ in range(150)]
    assert set(outcomes) <= {1.0, 2.0, "singular"}
    assert {1.0, 2.0} <= set(outcomes)


def test_paths_that_disagree_on_a_decision_end_in_an_error(monkeypatch):
    def f(x):
        return 2 * x if x > 1 else 3 * x

    compiled = arc.compile(f)
    for x in (0.0, 2.0):
        compiled(x)
    runs = itertools.count()

    def disagreeing(path, leaves):
        """Take the call for one of the other path, as rounding might."""
        assert next(runs) < 1_000
        return Miss(leaves, path, 0, 1.0 - path.outcomes[0])

    monkeypatch.setattr(Path, "run", disagreeing)
    with pytest.raises(RuntimeError, match=r"so near to a tie(.|\n)*if x > 1(.|\n)*tolerance"):
        compiled(0.0)
