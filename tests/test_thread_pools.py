"""CasADi's OpenBLAS works on the thread that calls it; NumPy's has the threads that the user gave it."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import archimedes_grad as arc

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which libraries a process has loaded")

MATRIX = np.linspace(0.0, 1.0, 1600).reshape(40, 40)

#: Prints the threads of each OpenBLAS of a process of its own, after a statement.
SCRIPT = """
import ctypes, pickle, sys
import numpy as np
import archimedes_grad as arc

matrix = np.linspace(0.0, 1.0, 1600).reshape(40, 40)
{first}
for path in sorted({{line.split()[-1] for line in open("/proc/self/maps") if "openblas" in line}}):
    library = ctypes.CDLL(path)
    for name in ("openblas_get_num_threads", "scipy_openblas_get_num_threads64_"):
        if hasattr(library, name):
            print("CasADi" if "casadi" in path else "NumPy", getattr(library, name)())
"""


def square_sum(x):
    return np.sum(np.tanh(x @ x) ** 2)


SQUARE_SLOPE = arc.grad(square_sum)


def threads_after(first):
    """Return the threads of each library in a process that has the two that OpenBLAS is allowed, after a statement."""
    here = Path(__file__).parent
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first=first)], capture_output=True, text=True, check=True, env=environment
    )
    return dict(line.split() for line in run.stdout.splitlines())


def test_products_of_the_interpreter_take_one_thread_and_numpys_stay():
    assert threads_after("arc.compile(lambda x: x @ np.cos(x))(matrix)") == {"CasADi": "1", "NumPy": "2"}


def test_products_of_a_derivative_take_one_thread():
    assert threads_after("arc.grad(lambda x: np.sum(np.tanh(x @ x)))(matrix)") == {"CasADi": "1", "NumPy": "2"}


def test_products_of_a_function_that_was_pickled_take_one_thread(tmp_path):
    expected = SQUARE_SLOPE(MATRIX)
    (tmp_path / "slope").write_bytes(pickle.dumps(SQUARE_SLOPE))
    first = f"slope = pickle.load(open({str(tmp_path / 'slope')!r}, 'rb')); print('sum', np.sum(slope(matrix)))"
    after = threads_after(first)
    assert after.pop("sum") == str(np.sum(expected))
    assert after == {"CasADi": "1", "NumPy": "2"}


def test_without_products_nothing_is_loaded():
    assert "CasADi" not in threads_after("arc.grad(lambda x: np.sum(x**2))(matrix)")
