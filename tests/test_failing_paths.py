"""Evaluations that fail on one path while the call belongs to another: what decides is asked before it is an error."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import scipy.linalg
from helpers import in_threads

import archimedes_grad as arc
from archimedes_grad.compilation.paths import Path

# More than this many runs of paths in one test are an endless loop.
MANY_RUNS = 5_000


@pytest.fixture(autouse=True)
def bounded(monkeypatch):
    """Let a call that tries the same paths again and again fail rather than hang."""
    run, runs = Path.run, itertools.count()

    def counted(path, leaves):
        assert next(runs) < MANY_RUNS
        return run(path, leaves)

    monkeypatch.setattr(Path, "run", counted)


def scaled_where_large(A):
    if A.max() > 1e6:
        A = A / 1e6
    return np.linalg.inv(A).sum()


def scaled_where_python_says(A):
    factor = 1e6 if max(A[0, 0], A[1, 1]) > 1e6 else 1.0
    return np.linalg.cholesky(A / factor).sum()


def first_entry_asked(A):
    return 3.0 * A[0, 1] if A[0, 0] <= 0 else np.linalg.inv(A).sum()


def rank_asked(A):
    return 3.0 * A[0, 1] if np.linalg.matrix_rank(A) < len(A) else np.linalg.inv(A).sum()


def determinant_asked(A):
    return 3.0 * A[0, 1] if np.linalg.det(A) == 0 else np.linalg.solve(A, np.ones(len(A))).sum()


def smallest_eigenvalue_asked(A):
    return 3.0 * A[0, 1] if np.linalg.eigvalsh(A)[0] <= 0 else np.log(np.diag(np.linalg.cholesky(A))).sum()


def finite_asked(A):
    return np.linalg.svd(A)[1].sum() if np.isfinite(A).all() else np.nan_to_num(A).sum()


def diagonal_asked(A):
    return scipy.linalg.solve_triangular(A, np.ones(len(A))).sum() if np.diag(A).all() else 3.0 * A[1, 1]


def leading_coefficient_asked(A):
    return np.roots(A[0, 1:]).sum() if A[0, 0] == 0 else np.roots(A[0]).sum()


def asked_of_an_inverse(A):
    if A[0, 0] > 0:
        if np.linalg.inv(A)[0, 0] > 0.5:
            return np.linalg.inv(A + np.eye(len(A))).sum()
        return A.sum()
    return 5.0 * A.sum()


def asked_twice(A):
    if A[0, 0] > 2:
        return A.sum()
    if A[1, 1] > 0:
        return np.linalg.inv(A).sum()
    return np.linalg.inv(A + np.eye(len(A))).sum()


def nan_and(n):
    return [np.eye(n), np.full((n, n), np.nan)]


MATRICES = [np.eye(4), np.zeros((4, 4)), 3.0 * np.eye(4), np.ones((4, 4))]
POLYNOMIALS = [np.array([[1.0, -3.0, 2.0]]), np.array([[0.0, 1.0, -2.0]])]
CASES = [
    (scaled_where_large, [np.eye(4), np.zeros((4, 4))]),
    (scaled_where_python_says, [np.eye(12), -np.eye(12)]),
    (first_entry_asked, MATRICES),
    (first_entry_asked, [np.eye(2), np.zeros((2, 2)), np.ones((2, 2))]),
    (rank_asked, MATRICES),
    (determinant_asked, [np.eye(6), np.zeros((6, 6))]),
    (smallest_eigenvalue_asked, [np.eye(12), -np.eye(12)]),
    (finite_asked, nan_and(2)),
    (finite_asked, nan_and(5)),
    (diagonal_asked, [np.eye(2), np.zeros((2, 2))]),
    (diagonal_asked, MATRICES),
    (leading_coefficient_asked, POLYNOMIALS),
    (asked_of_an_inverse, MATRICES),
    (asked_twice, MATRICES),
]
NAMES = [f"{function.__name__}-{len(points[0])}" for function, points in CASES]


def outcome(function, point):
    """Return what a call gives: numbers, or that it raised NumPy's error."""
    try:
        return function(point)
    except np.linalg.LinAlgError:
        return "LinAlgError"


def assert_same(result, expected):
    if isinstance(expected, str) or isinstance(result, str):
        assert isinstance(result, str)
        assert isinstance(expected, str)
        return
    for got, wanted in zip(*(x if isinstance(x, tuple) else (x,) for x in (result, expected)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ["vm", "native"])
@pytest.mark.parametrize("transform", [arc.compile, arc.grad, arc.value_and_grad])
@pytest.mark.parametrize(("function", "points"), CASES, ids=NAMES)
def test_every_order_of_calls_gives_what_first_calls_give(function, points, transform, engine):
    first = [outcome(transform(function), point) for point in points]
    if transform is arc.compile:
        for result, point in zip(first, points, strict=True):
            assert_same(result, outcome(function, point))
    for order in itertools.permutations(range(len(points)), 2):
        compiled = transform(function, engine=engine)
        # Each of them again: now as a path that was traced before, and one that failed.
        for k in [*order, *order, *reversed(order), *range(len(points))]:
            assert_same(outcome(compiled, points[k]), first[k])


@pytest.mark.parametrize("transform", [arc.compile, arc.grad])
def test_guards_evaluated_first_may_fail_themselves(transform):
    def f(A):
        if np.linalg.inv(A)[0, 0] > 0.5:
            for _ in range(40):
                A = np.tanh(A @ A) + np.eye(4)
            return A.sum()
        return 2.0 * A.sum()

    compiled = transform(f)
    points = [np.eye(4), 3.0 * np.eye(4), np.zeros((4, 4))]
    expected = [outcome(transform(f), point) for point in points]
    for k in [0, 1] * 10 + [2, 0, 2, 1, 2, 2]:
        assert_same(outcome(compiled, points[k]), expected[k])
    (specialisation,) = compiled._specialisations.values()
    assert any(path.guards is not None for path in specialisation.paths.by_outcomes.values())


def test_threads_that_fail_and_threads_that_do_not():
    gradient = arc.grad(first_entry_asked)
    points = [MATRICES[k] for k in (0, 1, 2, 3)]
    expected = [outcome(arc.grad(first_entry_asked), point) for point in points]

    def many(seed):
        rng = np.random.default_rng(seed)
        return [(k, outcome(gradient, points[k])) for k in rng.integers(0, len(points), 100)]

    for results in in_threads(many, range(6)):
        for k, result in results:
            assert_same(result, expected[k])


def test_failing_calls_use_the_same_buffers_again():
    compiled = arc.compile(scaled_where_large)
    compiled(np.eye(4))
    pool = next(iter(compiled._specialisations.values())).paths.root.recent.fast_path.call.__globals__["take_slot"]
    for _ in range(5):
        assert outcome(compiled, np.zeros((4, 4))) == "LinAlgError"
    assert len(pool.__self__) == 1


def test_paths_that_travelled_ask_their_guards_too():
    compiled = arc.compile(first_entry_asked)
    for point in MATRICES[:2]:
        compiled(point)
    again = pickle.loads(pickle.dumps(compiled))
    again._maker = None
    assert again(np.zeros((4, 4))) == 0.0
    assert again(np.eye(4)) == 4.0
    assert outcome(again, np.ones((4, 4))) == "LinAlgError"


def test_what_a_black_box_raised_counts_only_where_the_guards_hold():
    def refuses(x):
        if x > 5.0:
            raise RuntimeError("too large")
        return x

    def f(A):
        if A[0, 0] > 2.0:
            return 7.0 * A[0, 1]
        return np.linalg.inv(A + arc.callback(refuses, 0.0, A[1, 1])).sum()

    compiled = arc.compile(f)
    expected = compiled(np.eye(4))
    # Refused by the black box, and singular.
    both = np.zeros((4, 4))
    both[1, 1] = 9.0
    with pytest.raises(RuntimeError, match="too large"):
        compiled(both)
    both[0, 0] = 3.0
    assert compiled(both) == 0.0
    assert compiled(np.eye(4)) == expected
