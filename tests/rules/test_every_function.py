"""Every supported function as the benchmark calls it: value, gradient, and a graph that does not grow with the data."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import casadi as cs
import numpy as np
import pytest
from function_cases import ROWS, case, public_name, supported
from helpers import assert_same, copied, numeric_gradient, weighted
from rules import real_parts

import archimedes_grad as arc

FUNCTIONS = supported()
#: From NumPy 2.5 on, eigenvalues by eig are always complex, which traced arrays are not, and fix is deprecated.
NOT_FROM_25_ON = {"numpy.linalg.eig", "numpy.linalg.eigvals", "numpy.fix"}
CALLED = [name for name in FUNCTIONS if np.lib.NumpyVersion(np.__version__) < "2.5.0" or name not in NOT_FROM_25_ON]


def test_every_row_belongs_to_a_supported_function():
    assert {public_name(function) for function in ROWS} <= set(FUNCTIONS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CALLED)
def test_value_and_gradient(name):
    call, args = case(FUNCTIONS[name]).at(10)
    expected = call(*copied(args))
    got = arc.compile(lambda *args: call(*args))(*args)
    if isinstance(expected, str):
        return  # the text of a traced array is its own
    # NumPy tells of whole arrays by Python's own truth values.
    assert_same(bool(got) if isinstance(expected, bool) else got, expected, rtol=1e-10, atol=1e-12)
    if not real_parts(expected):
        return

    def real(*args):
        return real_parts(call(*args))

    gradients = arc.grad(weighted(real), argnums=tuple(range(len(args))))(*args)
    for index, got in enumerate(gradients):
        right = numeric_gradient(weighted(real), args, index, step=1e-4)
        np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-5 * max(1e-2, np.abs(right).max(initial=0)))


def through_structure(x):
    """Return what slices, repetitions and reductions make of a long vector, by way of many operations."""
    matrix = np.reshape(x, (10, -1))
    y = np.concatenate([matrix[1:, ::2].ravel(), x[3:], np.roll(x, 5)[::3], np.tile(x[:7], 3), np.pad(x, 2)])
    z = np.broadcast_to(x[:10, None], matrix.shape) * matrix.T.T + np.cumsum(matrix, 0) + np.max(matrix, axis=0)
    stacked = np.stack([x[1:] - x[:-1], np.diff(x), np.repeat(x[:1], x.size - 1)])
    moved = np.flip(x) * 2 + np.repeat(x[::2], 2)
    halves = np.split(x, 2)
    return (
        np.sum(y**2) + np.sum(np.where(z > 0.5, z, -z)) + np.mean(stacked) + np.var(moved) + np.max(x)
        + halves[0] @ halves[1] + np.sum(np.outer(x[:2], x)) + np.trapezoid(x) + np.linalg.norm(x)
    )  # fmt: skip


def test_tracing_takes_no_list_of_indices_where_indices_have_structure(monkeypatch):
    """A million entries are traced in time linear in the number of operations: no index list, no more nodes."""
    lengths = []
    get_nz, set_nz = cs.MX.get_nz, cs.MX.set_nz

    def watched(method, position):
        def call(self, *args):
            lengths.append(len(args[position]) if isinstance(args[position], list) else 0)
            return method(self, *args)

        return call

    monkeypatch.setattr(cs.MX, "get_nz", watched(get_nz, 1))
    monkeypatch.setattr(cs.MX, "set_nz", watched(set_nz, 2))
    operations = []
    for n in (10_000, 1_000_000):
        x = np.random.default_rng(0).uniform(0.2, 0.8, n)
        operations.append(arc.grad(through_structure).explain(x).n_operations)
    assert max(lengths) <= 1_000
    assert operations[1] <= operations[0] + 50
