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


def test_every_row_belongs_to_a_supported_function():
    assert {public_name(function) for function in ROWS} <= set(FUNCTIONS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`in1d` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
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


@pytest.mark.parametrize("shape", [(400, 500), (2000, 100)], ids=str)
def test_single_entries_take_no_array_of_indices(monkeypatch, shape):
    """Entries of a matrix are read and written by place: the time does not grow with the matrix."""
    x = np.random.default_rng(0).uniform(0.2, 0.8, shape)
    sizes = []
    arange = np.arange

    def watched(*args, **keywords):
        sizes.append(arange(*args, **keywords).size)
        return arange(*args, **keywords)

    def entries(x):
        view = x[5:, ::2]
        y = x * 1.0
        y[3, 7] = view[2, 4] * x[-1, -1]
        y[np.int64(8)][1] += x[8][0]
        return y[3, 7] + y[8, 1] * view[0, 0] + view[0, 0]

    compiled = arc.compile(entries)
    expected = entries(x)
    monkeypatch.setattr(np, "arange", watched)
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-14)
    assert max(sizes, default=0) < 100


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_least_squares_make_no_square_of_the_longest_side(n):
    """The gradient of a fit holds nothing of the size of points times points."""
    x = np.linspace(0.1, 0.9, n)
    fitted = arc.grad(lambda x, y: np.sum(np.polyfit(x, y, 2)), argnums=(0, 1))
    assert fitted.to_casadi(x, x**2).sz_w() < 200 * n


def test_zeros_are_trimmed_by_a_few_decisions():
    x = np.concatenate([np.zeros(3), np.ones(5_000), np.zeros(2)])
    assert len(arc.compile(lambda x: np.trim_zeros(x))(x)) == 5_000
    assert arc.compile(lambda x: np.trim_zeros(x)).explain(x).n_operations < 200
