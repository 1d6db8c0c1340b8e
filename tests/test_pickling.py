"""Compiled functions travel: pickled by reference, with cloudpickle, copied; and to another process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import archimedes_grad as arc


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
