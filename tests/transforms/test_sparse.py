"""Sparse Jacobians and Hessians: the dense ones' values, the graph's structure; blocks of items as one."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

import archimedes_grad as arc
from archimedes_grad import TraceError
from archimedes_grad.nodes.given_derivatives import calls_rules

RNG = np.random.default_rng(11)
N = 120
X = RNG.uniform(0.5, 1.5, size=N)
PAIRS = RNG.integers(0, N // 3, size=(80, 2))
TABLE = RNG.normal(size=(80, 2))
MATRIX = RNG.normal(size=(4, 3))


def distance(a, b, target):
    d = np.sin(a) * b - target
    return np.array([np.sum(d**2), d[0] * np.exp(d[1])])


def vectors(x):
    return x.reshape(-1, 3)


def mapped(x):
    v = vectors(x)
    return arc.vmap(lambda a, b, t: distance(a[:2], b[1:], t))(v[PAIRS[:, 0]], v[PAIRS[:, 1]], TABLE)


def whole_arrays(x):
    v = vectors(x)
    d = np.sin(v[PAIRS[:, 0], :2]) * v[PAIRS[:, 1], 1:] - TABLE
    return np.stack([np.sum(d**2, axis=1), d[:, 0] * np.exp(d[:, 1])], axis=1)


def shared(x):
    return arc.vmap(lambda common, item: np.outer(common, np.cos(item)) @ item, (None, 0))(x[:2], vectors(x)[1:])


def several_groups(x):
    return np.concatenate([mapped(x).ravel(), 3 * x**2, shared(x).ravel(), np.diff(x), [x[0] * x[-1]]])


def stencil(x):
    inside = x[2:] - 2 * x[1:-1] + x[:-2] - np.exp(x[1:-1])
    return np.concatenate([[x[0] - 1], inside, [x[-1]]])


def written(x):
    y = x * x
    y[1:] += np.sin(x[:-1])
    y[::5] = 2.0
    return y


def products_of_rows(x):
    return np.tanh(vectors(x) @ MATRIX.T)


def batched_products(x):
    matrices = x.reshape(-1, 2, 5)
    return np.sin(matrices @ np.swapaxes(matrices, -1, -2) @ MATRIX[:2, :2])


def transposed(x):
    a, b, c = vectors(x).T
    return np.stack([a * b, b / c])


def batch_of_gradients(x):
    return arc.vmap(arc.grad(lambda v: np.sin(v[0]) * v[1] ** 2 * v[2]))(vectors(x))


@arc.custom_jvp
def with_a_rule(a):
    return a**3


@with_a_rule.defjvp
def _(primals, tangents):
    (a,), (da,) = primals, tangents
    return a**3, 3 * a**2 * da


def custom_rule(x):
    return arc.vmap(lambda v: with_a_rule(v[0]) * v[1])(vectors(np.tile(x, 3)))


BLOCKS = [
    mapped, whole_arrays, shared, several_groups, stencil, written, products_of_rows, batched_products,
    transposed, batch_of_gradients,
    np.cumsum, np.exp, lambda x: x[::-1] * x, lambda x: np.where(x > 1, x**2, 0.5), lambda x: np.outer(x, x).ravel(),
]  # fmt: skip
FUNCTIONS = [
    *BLOCKS, custom_rule, np.sort, lambda x: np.fft.irfft(np.fft.rfft(x)), lambda x: np.array([x[0], x[3] * x[4]]),
    lambda x: x[PAIRS[:, 0]] * np.prod(x), lambda x: MATRIX @ x[:3], lambda x: x[3],
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_sparse_jacobian_is_the_dense_one(function):
    sparse, dense = arc.jac(function, sparse=True)(X), arc.jac(function)(X)
    assert type(sparse) is scipy.sparse.csc_array
    assert sparse.has_canonical_format
    np.testing.assert_allclose(sparse.toarray(), dense.reshape(sparse.shape), rtol=1e-13, atol=1e-13)


TWICE = [*BLOCKS[:9], np.exp, custom_rule, lambda x: x[PAIRS[:, 0]] * np.prod(x[:3])]
REDUCTIONS = [lambda y: np.sum(y**2), lambda y: 0.5 * y.ravel() @ y.ravel(), np.mean, lambda y: np.sum(y) ** 2]


@pytest.mark.parametrize(
    ("function", "reduced"),
    [*((f, REDUCTIONS[0]) for f in TWICE), *((f, r) for f in (mapped, stencil) for r in REDUCTIONS[1:])],
)
def test_a_sparse_hessian_is_the_dense_one(function, reduced):
    def total(x):
        return reduced(function(x)) - 2 * x[1] ** 2 * x[2] + np.sum(np.exp(x) / N)

    sparse, dense = arc.hess(total, sparse=True)(X), arc.hess(total)(X)
    assert sparse.has_canonical_format
    np.testing.assert_allclose(sparse.toarray(), dense, rtol=1e-12, atol=1e-12 * np.max(np.abs(dense)))


#: What NumPy does along an axis of four entries, for many rows or columns at once.
ALONG_AN_AXIS = {
    "prod": np.prod, "max": np.max, "var": np.var, "cumprod": np.cumprod, "flip": np.flip,
    "diff": lambda x, axis: np.diff(x, axis=axis) ** 3,
    "fmin": lambda x, axis: np.fmin.reduce(x, axis=axis), "roll": lambda x, axis: np.roll(x, 1, axis) * x,
    "parts": lambda x, axis: np.concatenate(np.split(x**3, [1, 3], axis)[::-1], axis),
    "columns": lambda x, axis: np.take(x, [2, 0, 2], axis) * np.take(x, [1], axis),
    "product": lambda x, axis: np.tensordot(x, MATRIX, ([axis], [0])) ** 3,
}  # fmt: skip


_turned = arc.custom_vjp(lambda a, b, c: a * 1.0)
_turned.defvjp(
    lambda a, b, c: (a * 1.0, (a, b)),
    lambda kept, w: (w * np.sin(kept[1]), 0 * w, w * kept[0] * kept[1]),
)


@pytest.mark.parametrize("function", [
    lambda x: _turned(x[0], x[1], x[2]) + x[0] * x[2], lambda x: np.sum(_turned(x[:-2], x[1:-1], x[2:]) ** 2),
    lambda x: np.sum(arc.vmap(_turned)(x[:-2], x[1:-1], x[2:])),
    lambda x: np.sum(arc.vmap(_turned)(x[:-2], x[1:-1], x[:-2]) * x[2:]) + np.sum(x**3) * x[0],
], ids=["once", "in whole arrays", "mapped", "an entry twice"])  # fmt: skip
@pytest.mark.parametrize("n", [3, 40])
def test_a_hessian_by_a_rule_that_is_no_gradient_is_the_jacobian_of_what_it_gives(n, function):
    x = np.linspace(0.3, 2.0, n)
    expected = arc.jac(arc.grad(function))(x)
    assert np.abs(expected - expected.T).max() > 0.1
    np.testing.assert_allclose(arc.hess(function)(x), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(arc.hess(function, sparse=True)(x).toarray(), expected, rtol=1e-12, atol=1e-14)
    v = np.cos(x)
    np.testing.assert_allclose(arc.hvp(function)(x, v), expected @ v, rtol=1e-12)


def test_constants_of_a_derivative_leave_hessians_symmetric():
    assert not calls_rules(arc.compile(lambda x: np.sum(x * arc.stop_gradient(x))).to_casadi(X))
    assert calls_rules(arc.compile(lambda x: np.sum(arc.vmap(_turned)(x, x, x))).to_casadi(X))


@pytest.mark.parametrize("shape", [(-1, 4), (4, -1)])
@pytest.mark.parametrize("name", ALONG_AN_AXIS)
def test_along_an_axis_of_many_rows_or_columns(name, shape):
    x = np.random.default_rng(1).permutation(np.linspace(0.5, 1.5, 400))

    def function(x):
        return np.ravel(ALONG_AN_AXIS[name](np.reshape(x, shape), axis=shape.index(4)))

    dense = arc.jac(function)(x)
    np.testing.assert_allclose(arc.jac(function, sparse=True)(x).toarray(), dense, rtol=1e-12, atol=1e-12)

    def total(x):
        return np.sum(np.sin(function(x)))

    dense = arc.hess(total)(x)
    np.testing.assert_allclose(arc.hess(total, sparse=True)(x).toarray(), dense, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("function", [mapped, whole_arrays, several_groups, stencil, transposed, batch_of_gradients])
def test_the_structure_is_that_of_the_graph(function):
    jacobian = arc.jac(function, sparse=True)(X)
    assert jacobian.nnz == np.count_nonzero(arc.jac(function)(X))
    hessian = arc.hess(lambda x: np.sum(function(x) ** 2), sparse=True)(X)
    structure = abs(jacobian.T) @ abs(jacobian)
    assert set(zip(*hessian.nonzero(), strict=True)) <= set(zip(*structure.nonzero(), strict=True))


@pytest.mark.parametrize("function", [mapped, whole_arrays, shared, several_groups, stencil, batch_of_gradients])
@pytest.mark.parametrize("transform", [arc.jac, arc.hess])
def test_blocks_of_items_are_differentiated_once(transform, function):
    called = function if transform is arc.jac else lambda x: np.sum(function(x) ** 2)
    assert "blocks" in transform(called, sparse=True).explain(X).reason


def test_a_graph_is_as_large_for_many_items_as_for_few():
    chain = arc.hess(lambda x: np.sum(np.diff(x) ** 4), sparse=True)
    assert chain.explain(np.ones(100_000)).n_operations < 12


def test_entries_that_an_item_takes_twice_add():
    index = np.arange(N)

    def twice(x):
        return x[index] * x[index[::-1]] * x[np.zeros(N, dtype=int)]

    np.testing.assert_allclose(arc.jac(twice, sparse=True)(X).toarray(), arc.jac(twice)(X), rtol=1e-13)
    squared = arc.hess(lambda x: np.sum(twice(x)), sparse=True)(X)
    np.testing.assert_allclose(squared.toarray(), arc.hess(lambda x: np.sum(twice(x)))(X), rtol=1e-13)


def test_weights_and_data_may_be_arguments():
    def misfit(x, weights, scale):
        return scale / 2 * np.sum(weights * np.diff(x) ** 2) / N + scale

    hessian = arc.hess(misfit, sparse=True)
    for weights, scale in ((np.arange(N - 1.0), 2.0), (np.ones(N - 1), -1.0)):
        np.testing.assert_allclose(
            hessian(X, weights, scale).toarray(), arc.hess(misfit)(X, weights, scale), rtol=1e-13, atol=1e-16
        )
    assert "blocks" in hessian.explain(X, np.ones(N - 1), 1.0).reason


def test_infinities_and_nan_stay_where_they_are():
    x = X.copy()
    x[[0, 7]] = np.nan, 0.0
    jacobian = arc.jac(lambda x: np.sqrt(x), sparse=True)(x).toarray()
    assert np.isnan(jacobian[0, 0])
    assert jacobian[7, 7] == np.inf
    assert np.all(np.isfinite(np.delete(np.diag(jacobian), [0, 7])))


def test_sizes_around_those_of_a_lot_of_items():
    for n in (32, 255, 256, 257, 513, 1000):
        x = np.linspace(0.1, 1.0, n)
        jacobian = arc.jac(lambda x: np.sin(x) * x[0], sparse=True)(x)
        expected = np.diag(np.cos(x) * x[0])
        expected[:, 0] += np.sin(x)
        np.testing.assert_allclose(jacobian.toarray(), expected, rtol=1e-14)


@pytest.mark.parametrize("transform", [arc.jac, arc.hess])
@pytest.mark.parametrize("function", [lambda x, a: np.sum(a @ a), lambda x, a: 3.0, lambda x, a: a[0] @ a @ a[1]])
def test_what_the_argument_is_not_in_has_an_empty_derivative_also_beside_large_products(transform, function):
    x, a = np.ones(3), np.ones((100, 100))
    matrix = transform(function, sparse=True)(x, a)
    assert scipy.sparse.issparse(matrix)
    assert matrix.nnz == 0
    assert matrix.shape == (1 if transform is arc.jac else 3, 3)


def test_a_matrix_of_unknowns_is_flattened():
    v = vectors(X)
    jacobian = arc.jac(lambda v: np.cos(v) * v[:, :1], sparse=True)(v)
    np.testing.assert_allclose(jacobian.toarray(), arc.jac(lambda v: np.cos(v) * v[:, :1])(v).reshape(N, N), rtol=1e-14)


def test_decisions_and_auxiliary_output():
    def f(x, flag):
        y = np.diff(x) ** 2 if x[0] > 1 else np.diff(x)
        return y, y[0]

    jacobian = arc.jac(f, has_aux=True, sparse=True)
    for first in (0.5, 1.5):
        x = X.copy()
        x[0] = first
        matrix, auxiliary = jacobian(x, "label")
        np.testing.assert_allclose(matrix.toarray(), arc.jac(f, has_aux=True)(x, "label")[0])
        assert auxiliary == f(x, "label")[1]


@pytest.mark.parametrize("transform", [arc.jac, arc.hess])
def test_one_array_argument_and_one_array_output(transform):
    with pytest.raises(ValueError, match=r"takes one array argument, got 2 arguments in a tree or tuple with 2 arrays"):
        transform(lambda x, y: np.sum(x * y), argnums=(0, 1), sparse=True)(X, X)
    with pytest.raises(ValueError, match="takes one array argument"):
        transform(lambda p: p["a"] * p["b"], sparse=True)({"a": 1.0, "b": 2.0})


def test_a_tree_of_outputs_has_no_sparse_jacobian():
    with pytest.raises(ValueError, match=r"jac\(sparse=True\) needs a function that returns one array"):
        arc.jac(lambda x: (x, x), sparse=True)(X)


def test_a_sparse_result_does_not_enter_a_trace():
    with pytest.raises(TraceError, match="dense"):
        arc.grad(lambda x: np.sum(arc.jac(np.sin, sparse=True)(x)))(X)


@pytest.mark.parametrize("function", [mapped, lambda x: np.array([x[0], x[3] * x[4]])])
def test_in_casadi_it_is_a_sparse_matrix(function):
    in_casadi = arc.jac(function, sparse=True).to_casadi(X)
    expected = arc.jac(function, sparse=True)(X)
    assert in_casadi.nnz_out(0) == expected.nnz
    np.testing.assert_allclose(in_casadi(X).full(), expected.toarray(), rtol=1e-14)


_IN_LITTLE_MEMORY = """
import resource
import numpy as np, scipy.sparse
import archimedes_grad as arc

def chained(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

small = arc.hess(chained, sparse=True)(np.ones(100)), arc.jac(np.diff, sparse=True)(np.ones(100))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
n = 100_000
hessian, jacobian = arc.hess(chained, sparse=True)(np.ones(n)), arc.jac(np.diff, sparse=True)(np.ones(n))
print(hessian.nnz, jacobian.nnz)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_hundred_thousand_variables_take_no_dense_matrix():
    """Half a gigabyte more is enough, where a dense matrix of them would take 80."""
    ran = subprocess.run(
        [sys.executable, "-c", _IN_LITTLE_MEMORY], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert ran.stdout == "299998 199998\n", ran.stderr
