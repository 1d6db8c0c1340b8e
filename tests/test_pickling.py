"""Compiled functions travel: pickled by reference, with cloudpickle, copied; and to another process."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import subprocess
import sys
import warnings
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cloudpickle
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


class Weighted:
    def __init__(self, weight):
        self.weight = weight
        self.gradient = arc.grad(self.energy)

    @counted
    def energy(self, x):
        return self.weight * np.sum(x**2)


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
# A deep copy of a method's derivative is that of a copied object, and traces that.
OF_METHOD = (Weighted(3.0).gradient, [(X,)])


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


@pytest.mark.parametrize(("function", "calls"), [*TRAVELLERS, OF_METHOD], ids=lambda p: getattr(p, "__name__", ""))
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


class Unhashable:
    __hash__ = None

    def __eq__(self, other):
        return False


def test_static_values_that_cannot_be_pickled_are_traced_again():
    import threading

    gradient = arc.grad(lambda x, lock: np.sum(x**2), static_argnames="lock")
    lock = threading.Lock()
    gradient(X, lock)
    gradient(X, "name")
    again = pickle.loads(pickle.dumps(gradient))
    assert again.explain(X, "name").n_specialisations == 1
    np.testing.assert_array_equal(again(X, lock), 2 * X)


@pytest.mark.parametrize("now", [5.0, {1: Unhashable()}])
def test_a_static_value_that_was_changed_does_not_travel_with_what_was_compiled_before(now):
    options = [2.0]
    compiled = arc.compile(lambda x, options: x * options[0], static_argnames="options")
    assert compiled(1.0, options) == 2.0
    options[0] = now
    again = pickle.loads(pickle.dumps(compiled))
    assert (again(1.0, [5.0]), again(1.0, [2.0])) == (5.0, 2.0)


def test_what_another_version_wrote_is_not_read(monkeypatch):
    gradient = arc.grad(plain)
    gradient(X)
    written = pickle.dumps(gradient)
    monkeypatch.setattr("archimedes_grad.compilation.specialisations._VERSIONS", ("another", "version"))
    assert results_without_a_run(pickle.loads(written), [(X,)])[1] == ["plain"]


# --- objects that hold their own derivatives ----------------------------------------------------------------


class WithDecorated(Weighted):
    """With a method whose static argument is the object, called before anything travels."""

    def __init__(self, weight):
        super().__init__(weight)
        self.decorated(X)

    @arc.grad(argnums=1, static_argnums=0)
    def decorated(self, x):
        return self.weight * np.sum(x**2)


class InContainers(Weighted):
    def __init__(self, weight):
        super().__init__(weight)
        self.table = {"hess": [arc.hess(self.energy)], "vmap": arc.vmap(self.energy)}


class OfMethods(Weighted):
    def __init__(self, weight):
        super().__init__(weight)
        self.rule = arc.custom_jvp(self.energy)
        self.rule.defjvp(self.slope)
        self.gradient = arc.grad(self.rule)
        self.numeric = arc.grad(self.energy, method="finite")
        self.automatic = arc.grad(self.energy, method="auto")

    def slope(self, primals, tangents):
        return self.energy(*primals), 2 * self.weight * np.sum(primals[0] * tangents[0])


class OfPartial(Weighted):
    def __init__(self, weight):
        super().__init__(weight)
        self.gradient = arc.grad(functools.partial(self.powers, n=2))

    def powers(self, x, n):
        return self.weight * np.sum(x**n)


class OfLambda(Weighted):
    def __init__(self, weight):
        super().__init__(weight)
        self.gradient = arc.grad(lambda x: self.energy(x))


class Callable:
    def __init__(self, weight):
        self.weight = weight
        self.gradient = arc.grad(self)

    def __call__(self, x):
        return self.weight * np.sum(x**2)


def of_a_class_without_a_name(weight):
    class Local(Weighted):
        pass

    return Local(weight)


def pickled(what):
    return pickle.loads(pickle.dumps(what))


def cloudpickled(what):
    return pickle.loads(cloudpickle.dumps(what))


OWNERS = [Weighted, WithDecorated, InContainers, OfMethods, OfPartial, Callable]
# A lambda is copied as itself, with what it closes over; plain pickle refuses objects of local classes.
OWNERS_AND_WAYS = [
    *((make, way) for make in OWNERS for way in (pickled, cloudpickled, copy.deepcopy)),
    (OfLambda, pickled), (OfLambda, cloudpickled), (of_a_class_without_a_name, cloudpickled),
    (of_a_class_without_a_name, copy.deepcopy),
]  # fmt: skip


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("first", ["object", "gradient"])
@pytest.mark.parametrize(("make", "way"), OWNERS_AND_WAYS)
def test_a_copied_object_holds_its_own_gradient(make, way, first, called):
    model = make(3.0)
    if called:
        model.gradient(X)
    parts = [model, model.gradient]
    copied, gradient = way(parts) if first == "object" else reversed(way(parts[::-1]))
    assert gradient is copied.gradient
    np.testing.assert_array_equal(gradient(X), 6 * X)
    copied.weight = 5.0
    gradient.clear_cache()
    np.testing.assert_array_equal(gradient(X), 10 * X)
    np.testing.assert_array_equal(model.gradient(X), 6 * X)


@pytest.mark.parametrize("way", [pickled, cloudpickled, copy.deepcopy])
def test_all_that_an_object_holds_is_its_own(way):
    copied = way(OfMethods(3.0))
    assert arc.grad(copied.rule)(1.0) == 6.0
    copied.weight = 5.0
    assert arc.grad(copied.rule)(1.0) == 10.0
    assert copied.numeric(1.0) == pytest.approx(10.0)
    assert copied.automatic(1.0) == pytest.approx(10.0)
    copied = way(InContainers(3.0))
    copied.weight = 5.0
    np.testing.assert_array_equal(copied.table["hess"][0](X), 10 * np.eye(2))
    np.testing.assert_array_equal(copied.table["vmap"](X), 5 * X**2)


def test_a_deep_copy_does_not_keep_the_traces_of_the_original():
    model = Weighted(3.0)
    model.gradient(X)
    copied = copy.deepcopy(model)
    copied.weight = 5.0
    np.testing.assert_array_equal(copied.gradient(X), 10 * X)


def test_plain_pickle_says_which_class_it_cannot_write():
    with pytest.raises((pickle.PicklingError, AttributeError), match="Local"):
        pickle.dumps(of_a_class_without_a_name(3.0))


def test_a_script_pickles_an_object_with_its_own_gradient():
    script = """
import copy, pickle
import numpy as np
import archimedes_grad as arc

class Model:
    def __init__(self):
        self.weight = 3.0
        self.gradient = arc.grad(self.energy)
        self.closed = arc.grad(lambda x: self.energy(x))

    def energy(self, x):
        return self.weight * np.sum(x**2)

again = pickle.loads(pickle.dumps(Model()))
again.weight = 5.0
print(again.gradient(1.0), again.closed(1.0), copy.deepcopy(again).gradient(1.0))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout == "10.0 10.0 10.0\n", ran.stderr


def test_functions_that_call_themselves():
    def halving():
        halved = arc.compile(lambda x: halved(x / 2) + 1 if x > 1 else x)
        sine = arc.custom_jvp(lambda x: np.sin(x))
        sine.defjvp(lambda primals, tangents: (sine(*primals), 3 * tangents[0]))
        return halved, sine

    halved, sine = pickled(halving())
    assert halved(4.0) == 3.0
    assert arc.grad(sine)(0.0) == 3.0


def test_what_a_lambda_shares_with_what_is_around_stays_shared():
    table = np.arange(3.0)
    model, total, again = pickled([table, arc.compile(lambda: np.sum(table)), table])
    assert model is again
    model[0] = 7.0
    assert total() == 10.0


def test_static_objects_that_none_is_equal_to_do_not_travel():
    class_method = WithDecorated.decorated
    before = len(pickle.dumps(class_method))
    large = WithDecorated(3.0)
    large.data = np.zeros(100_000)
    large.decorated(X)
    assert len(pickle.dumps(class_method)) == before
    assert pickled(class_method) is class_method
    typed = arc.grad(lambda x, how, kind: how(x) * kind(2), static_argnames=("how", "kind"))
    typed(1.0, np.square, int)
    assert pickled(typed).explain(1.0, np.square, int).n_specialisations == 1
    assert len(pickled(typed)._specialisations) == 1


# --- numeric methods ----------------------------------------------------------------------------------------


@arc.grad(method="adaptive")
def decorated_numeric(x):
    return np.sin(x)


@arc.grad(method="auto")
def decorated_automatic(x):
    return np.sin(x)


@pytest.mark.parametrize("way", [pickled, cloudpickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("method", ["finite", "adaptive", "complex", "auto"])
def test_numeric_derivatives_of_lambdas_travel(method, way):
    gradient = arc.grad(lambda x: np.sin(x), method=method)
    assert gradient(0.5) == pytest.approx(np.cos(0.5))
    assert way(gradient)(0.5) == gradient(0.5)


@pytest.mark.parametrize("function", [decorated_numeric, decorated_automatic])
def test_decorated_numeric_derivatives_are_pickled_by_reference(function):
    assert pickled(function) is function


@pytest.mark.filterwarnings("ignore::archimedes_grad.FallbackWarning")
def test_that_a_function_cannot_be_traced_is_known_to_its_copies():
    gradient = arc.grad(lambda x: __import__("math").sin(x), method="auto")
    assert gradient(0.5) == pytest.approx(np.cos(0.5))
    again = pickled(gradient)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert again(0.5) == gradient(0.5)
