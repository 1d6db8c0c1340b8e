"""Large loops on several threads: the same numbers, whichever thread computes which part, from whatever process."""

import os
import subprocess
import sys

import casadi as cs
import numpy as np
import pytest
from helpers import in_threads, needs_compiler

import archimedes_grad as arc
from archimedes_grad.engines import selection
from archimedes_grad.engines.native.program import source_of

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform == "win32", reason="threads of POSIX"),
]

#: The last part is not as long as the others.
N = 300_007


FUNCTIONS = {
    "elementwise": lambda x: np.sum(np.exp(x) * np.sin(x)),
    "logsumexp": lambda x: np.log(np.sum(np.exp(x))),
    "rows": lambda x: np.sum(np.log(np.sum(np.exp(x[:300_000].reshape(1_500, 200)), axis=1))),
    "columns": lambda x: np.sum(np.tanh(np.sum(np.cos(x[:300_000].reshape(1_500, 200)), axis=0))),
    "extremes": lambda x: np.max(np.sin(x)) - np.min(np.exp(x)) * np.sum(x * np.cos(x)),
    "gathers": lambda x: np.sum(np.sin(x[::-1]) * np.exp(x[np.arange(N) ** 2 % N])),
}


@pytest.fixture(autouse=True)
def one_thread_afterwards():
    yield
    selection.set_default_threads(1)


def on_threads(function, number):
    """Return value and gradient at once, compiled for so many threads."""
    selection.set_default_threads(number)
    compiled = arc.value_and_grad(function, engine="native")
    compiled(X)
    return compiled


X = np.random.default_rng(3).normal(size=N)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_results_are_the_interpreters_and_do_not_depend_on_the_number_of_threads(function):
    expected_value, expected = arc.value_and_grad(function, engine="vm")(X)
    value, gradient = on_threads(function, 2)(X)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12 * np.max(np.abs(expected)))
    for number in (2, 3, 5):
        compiled = on_threads(function, number)
        for _ in range(5):
            again, slope = compiled(X)
            assert again == value
            assert np.array_equal(slope, gradient)


def test_entries_are_those_of_one_thread_bit_for_bit():
    def entries(x):
        return np.exp(x) * np.tanh(x) + np.sqrt(np.abs(x))

    one = arc.compile(entries, engine="native")(X)
    selection.set_default_threads(2)
    assert np.array_equal(arc.compile(entries, engine="native")(X), one)


def graph(n):
    x = cs.MX.sym("x", n)
    return cs.Function("f", [x], [cs.sin(x) * cs.exp(x)])


def test_only_large_loops_run_in_parts_and_only_where_it_is_asked_for():
    assert "run_in_parts" in source_of(graph(N), in_parts=True).kernels
    assert "run_in_parts" not in source_of(graph(10_000), in_parts=True).kernels
    assert "run_in_parts" not in source_of(graph(N)).kernels


def test_several_threads_of_the_program_may_call_at_once():
    compiled = on_threads(FUNCTIONS["elementwise"], 2)
    expected = [compiled(X * scale) for scale in (0.1, 0.2, 0.3, 0.4)]
    wrong = []

    def work(number):
        for _ in range(20):
            value, gradient = compiled(X * (0.1, 0.2, 0.3, 0.4)[number])
            if value != expected[number][0] or not np.array_equal(gradient, expected[number][1]):
                wrong.append(number)

    in_threads(work, range(4))
    assert wrong == []


FORKED = """
import os
import threading
import numpy as np
import archimedes_grad as arc

x = np.linspace(-1.0, 1.0, 300_000)
compiled = arc.grad(lambda x: np.sum(np.exp(x) * np.sin(x)), engine="native")
expected = compiled(x)
over = threading.Event()

def keep_the_pool_busy():
    while not over.is_set():
        compiled(x)

busy = threading.Thread(target=keep_the_pool_busy)
busy.start()
codes = []
for _ in range(5):
    child = os.fork()
    if not child:
        os._exit(0 if all(np.array_equal(compiled(x), expected) for _ in range(3)) else 1)
    codes.append(os.waitpid(child, 0)[1])
over.set()
busy.join()
print(codes, np.array_equal(compiled(x), expected))
"""


def test_a_forked_process_has_threads_of_its_own():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ARCHIMEDES_GRAD_THREADS": "2"}
    # From Python 3.12 on, fork beside threads warns.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "[0, 0, 0, 0, 0] True\n", done.stderr


def test_the_number_of_threads_is_checked(monkeypatch):
    with pytest.raises(ValueError, match="set_engine: threads must be an integer from 1 on, got 0"):
        arc.set_engine("vm", threads=0)
    with pytest.raises(TypeError, match=r"set_engine: threads must be an integer from 1 on, got float 1\.5"):
        arc.set_engine("vm", threads=1.5)
    selection._threads.clear()
    monkeypatch.setenv(selection.THREADS_VARIABLE, "many")
    with pytest.raises(ValueError, match=r"\$ARCHIMEDES_GRAD_THREADS: expects a number of threads.* got 'many'"):
        selection.default_threads()
    monkeypatch.setenv(selection.THREADS_VARIABLE, "2")
    assert selection.default_threads() == 2
