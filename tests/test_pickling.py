"""Compiled functions travel: pickled by reference, with cloudpickle, copied; and to another process."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import scipy.sparse

import archimedes_grad as arc
from archimedes_grad.arguments.specs import flatten


def cubes(x):
    return np.sum(x**3)


@arc.grad
def decorated(x):
    return np.sum(x**3)


gradient = arc.grad(cubes)
X = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    "function",
    [
        gradient, decorated, arc.grad(cubes, argnums=(0,)), arc.value_and_grad(cubes, name="other"),
        arc.compile(cubes), arc.hess(cubes), arc.jac(cubes, sparse=False), arc.grad(lambda x: np.sum(x) ** 2),
    ],
    ids=lambda function: function.__name__,
)  # fmt: skip
def test_pickled_and_copied_functions_compute_the_same(function):
    expected = function(X)
    for again in (pickle.loads(pickle.dumps(function)), copy.copy(function), copy.deepcopy(function)):
        np.testing.assert_equal(again(X), expected)
        assert again.__name__ == function.__name__


def test_a_decorated_function_is_pickled_by_reference():
    assert pickle.loads(pickle.dumps(decorated)) is decorated


def test_a_spawned_process_computes_the_gradient():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(gradient, X).result(), 3 * X**2)


_NOTEBOOK = """
import numpy as np
import archimedes_grad as arc
from loky import get_reusable_executor

def cubes(x):
    return np.sum(x**3)

@arc.grad
def decorated(x):
    return cubes(x)

executor = get_reusable_executor(max_workers=1)
for function in (decorated, arc.grad(cubes)):
    print(executor.submit(function, np.array([1.0, 2.0])).result())
"""


def test_what_a_notebook_defines_reaches_a_worker():
    # Read from standard input, as in a notebook, the main module is no file that a worker could import.
    ran = subprocess.run(
        [sys.executable, "-"], input=_NOTEBOOK, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert ran.stdout == "[ 3. 12.]\n[ 3. 12.]\n", ran.stderr


# --- specialisations travel: a receiving process does not run the function's body ---------------------------

runs = []

Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Model:
    weights: np.ndarray
    name: str


def counted(body):
    @functools.wraps(body)
    def running(*args, **kwargs):
        runs.append(body.__name__)
        return body(*args, **kwargs)

    return running


@counted
def plain(x, A=np.eye(2)):
    return np.sum((A @ x) ** 3)


@counted
def of_trees(tree, kind, scale=2.0):
    model, pair = tree["model"], tree["pair"]
    return scale * np.sum(model.weights**2) * pair.a + np.sum(np.sin(pair.b[0])) * (3 if kind == "third" else 1)


@counted
def branching(x):
    total = 0.0
    for entry in x:
        total += entry**2 if entry > 0 else -3 * entry
    return total


@counted
def with_captured(x):
    return np.sum(TABLE @ x) * np.exp(x[0])


TABLE = np.arange(30000.0).reshape(-1, 2)


@counted
def residuals(x):
    return np.diff(x) ** 2


@counted
def solved(x):
    root = arc.implicit_root(lambda y, a: y**3 - a, 1.0, x[0])
    return root * arc.odeint(lambda y, t, a: -a * y, 1.0, [0.0, 1.0], x[1])[-1]


@counted
def sparse_system(x):
    return np.sum(arc.linear_solve(SPARSE, x) ** 2)


SPARSE = scipy.sparse.csc_array(np.diag(np.arange(1.0, 5.0)))


@counted
def decomposed(x):
    return np.sum(np.linalg.eigvalsh(np.outer(x, x) + np.diag(np.arange(9.0))) ** 3)


@arc.grad
@counted
def decorated_and_counted(x):
    return np.sum(x**3)


TREE = {"model": Model(np.array([1.0, 2.0]), "m"), "pair": Pair(2.0, [np.array([0.5])])}
LONG = np.linspace(0.1, 1.0, 50)

TRAVELLERS = [
    (arc.grad(plain), [(X,), (X, np.ones((3, 2))), (X.astype(np.float32),)]),
    (arc.value_and_grad(plain, argnums=(0, 1)), [(X, np.eye(2))]),
    (arc.grad(of_trees), [(TREE, "third"), (TREE, "other", 3), (TREE, None, np.float64(1.0))]),
    (arc.grad(branching), [(np.array([1.0, -1.0]),), (np.array([1.0, 1.0]),), (np.array([-1.0, 1.0]),)]),
    (arc.compile(with_captured), [(X,)]),
    (arc.jac(residuals, sparse=True), [(LONG,)]),
    (arc.hess(lambda x: np.sum(residuals(x)), sparse=True), [(LONG,)]),
    (arc.jvp(residuals), [(LONG, LONG)]),
    (arc.vmap(plain), [(np.ones((4, 2)),)]),
    (arc.grad(solved), [(LONG[:4],)]),
    (decorated_and_counted, [(X,)]),
]


def same(result, expected):
    leaves, structure = flatten(result)
    expected_leaves, expected_structure = flatten(expected)
    assert structure == expected_structure
    for leaf, expected_leaf in zip(leaves, expected_leaves, strict=True):
        assert type(leaf) is type(expected_leaf)
        if scipy.sparse.issparse(leaf):
            leaf, expected_leaf = leaf.toarray(), expected_leaf.toarray()
        np.testing.assert_array_equal(leaf, expected_leaf)


def results_without_a_run(function, calls):
    """Run in another process: the results of calls, and how often the function's body ran."""
    runs.clear()
    return [function(*call) for call in calls], list(runs)


@pytest.fixture(scope="module")
def process():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize(("function", "calls"), TRAVELLERS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_receiving_process_does_not_trace(process, function, calls):
    expected = [function(*call) for call in calls]
    results, body_runs = process.submit(results_without_a_run, function, calls).result()
    assert body_runs == []
    for result, value in zip(results, expected, strict=True):
        same(result, value)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
@pytest.mark.parametrize(("function", "calls"), TRAVELLERS, ids=lambda p: getattr(p, "__name__", ""))
def test_copies_do_not_trace(function, calls, copied):
    expected = [function(*call) for call in calls]
    again = copied(function)
    results, body_runs = results_without_a_run(again, calls)
    assert body_runs == []
    for result, value in zip(results, expected, strict=True):
        same(result, value)


def test_copies_are_independent_of_the_original():
    original = arc.grad(plain)
    original(X)
    again = copy.copy(original)
    original.clear_cache()
    assert results_without_a_run(again, [(X,)])[1] == []
    assert results_without_a_run(original, [(X,)])[1] == ["plain"]


def test_what_travelled_meets_new_forms_and_new_paths():
    gradient = arc.grad(branching)
    gradient(np.array([1.0, -1.0]))
    gradient(np.array([1.0, 1.0]))
    again = pickle.loads(pickle.dumps(gradient))
    for x in (np.array([-1.0, -2.0]), np.array([1.0, 2.0, 3.0])):
        np.testing.assert_array_equal(again(x), np.where(x > 0, 2 * x, -3.0))
    explained = again.explain(np.array([1.0, 1.0]))
    assert explained.paths >= 3
    assert "test_pickling.py" in str(explained)


def test_what_travelled_still_becomes_a_casadi_function():
    gradient = arc.grad(with_captured)
    expected = gradient(X)
    again = pickle.loads(pickle.dumps(gradient))
    runs.clear()
    np.testing.assert_allclose(again.to_casadi(X)(X).full().ravel(), expected, rtol=1e-15)
    assert runs == []


@pytest.mark.parametrize(("function", "n"), [(decomposed, 9), (sparse_system, 4)])
def test_what_casadi_cannot_load_again_is_traced_again(process, function, n):
    gradient = arc.grad(function)
    expected = gradient(LONG[:n])
    results, body_runs = process.submit(results_without_a_run, gradient, [(LONG[:n],)]).result()
    assert body_runs == [function.__name__]
    np.testing.assert_allclose(results[0], expected, rtol=1e-12)


def test_static_values_that_cannot_be_pickled_are_traced_again():
    import threading

    gradient = arc.grad(lambda x, lock: np.sum(x**2), static_argnames="lock")
    lock = threading.Lock()
    gradient(X, lock)
    gradient(X, "name")
    again = pickle.loads(pickle.dumps(gradient))
    assert again.explain(X, "name").n_specialisations == 1
    np.testing.assert_array_equal(again(X, lock), 2 * X)


def test_what_another_version_wrote_is_not_read(monkeypatch):
    gradient = arc.grad(plain)
    gradient(X)
    written = pickle.dumps(gradient)
    monkeypatch.setattr("archimedes_grad.compilation.specialisations._VERSIONS", ("another", "version"))
    assert results_without_a_run(pickle.loads(written), [(X,)])[1] == ["plain"]
