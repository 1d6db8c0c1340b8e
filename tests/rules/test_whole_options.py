"""Whole numbers that are arguments of the traced function, as options of NumPy's: each is a path of its own."""

import numpy as np
import pytest
from helpers import assert_same, numeric_gradient

import archimedes_grad as arc

A = np.random.default_rng(1).normal(size=(4, 4)) + 3 * np.eye(4)
T = np.random.default_rng(2).normal(size=(3, 3, 3))

CALLS = {
    "matrix_power": (lambda A, n: np.linalg.matrix_power(A, n), A, (2, 3, -1)),
    "partition": (lambda A, n: np.partition(A[0], n)[n], A, (1, 2)),
    "argpartition": (lambda A, n: A[0][np.argpartition(A[0], n)[n]], A, (1, 2)),
    "argsort": (lambda A, n: np.argsort(A, axis=n) * A, A, (0, 1)),
    "vander": (lambda A, n: np.vander(A[0], n), A, (2, 3)),
    "polyder": (lambda A, n: np.polyder(A[0], n), A, (1, 2)),
    "polyfit": (lambda A, n: np.polyfit(A[0], A[1], n), A, (1, 2)),
    "triu": (lambda A, n: np.triu(A, n) + np.tril(A, k=-n), A, (1, -1)),
    "diag": (lambda A, n: np.diag(A, n), A, (1, -1)),
    "diagflat": (lambda A, n: np.diagflat(A[0], k=n), A, (1, -1)),
    "concatenate": (lambda A, n: np.concatenate([A, A**2], axis=n), A, (0, 1)),
    "stack": (lambda A, n: np.stack([A, A**2], n), A, (0, 2)),
    "insert": (lambda A, n: np.insert(A, 1, 2.0, axis=n), A, (0, 1)),
    "unwrap": (lambda A, n: np.unwrap(3 * A, axis=n), A, (0, 1)),
    "tensordot": (lambda A, n: np.tensordot(A, A, n), A, (1, 2)),
    "tensordot of axes": (lambda A, n: np.tensordot(A, A, axes=([n], [0])), A, (0, 1)),
    "cross": (lambda T, n: np.cross(T, T[0], axisa=n), T, (1, 2)),
    "mean over two": (lambda T, n: np.mean(T, axis=(0, n)), T, (1, 2)),
    "nansum over two": (lambda T, n: np.nansum(T, axis=(0, n)), T, (1, 2)),
    "norm": (lambda A, n: np.linalg.norm(A, n) + np.linalg.norm(A[0], ord=n), A, (1, 2)),
    "norm along": (lambda T, n: np.linalg.norm(T, axis=(0, n)), T, (1, 2)),
    "cond": (lambda A, n: np.linalg.cond(A, n), A, (1, 2)),
    "fft": (lambda A, n: np.abs(np.fft.fft(A[0], n)) ** 2, A, (3, 6)),
    "fft2": (lambda T, n: np.abs(np.fft.fft2(T, axes=(0, n))) ** 2, T, (1, 2)),
    "irfft": (lambda A, n: np.fft.irfft(A, n=n), A, (4, 5)),
    "windows": (lambda A, n: np.lib.stride_tricks.sliding_window_view(A[0], n), A, (2, 3)),
    "zeros_like": (lambda A, n: np.zeros_like(A, shape=(n, 2)) + A[0, 0], A, (1, 3)),
    "bincount": (lambda A, n: np.bincount([0, 2, 1, 0], A[0], n), A, (3, 5)),
    "of a plain array": (lambda A, n: A[0] * np.sum(np.ones((4, 4)), axis=n), A, (0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
def test_value_and_gradient(case):
    function, array, numbers = CALLS[case]
    compiled, gradient = arc.compile(function), arc.grad(lambda x, n: np.sum(np.sin(function(x, n))))
    for n in numbers * 2:
        assert_same(compiled(array, n), function(array, n))
        expected = numeric_gradient(lambda x, n: np.sum(np.sin(function(x, n))), [array, n], 0)
        np.testing.assert_allclose(gradient(array, n), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("call", [lambda x, p: np.linalg.norm(x, p), lambda x, p: np.linalg.norm(x, ord=p)])
def test_which_norm_is_fixed(call):
    with pytest.raises(arc.TraceError, match=r"(?s)got ord= as a traced value.*static_argnames.*np\.sum\(np\.abs"):
        arc.grad(call)(A[0], 2.5)
    assert arc.compile(call, static_argnames="p")(A[0], 2.5) == np.linalg.norm(A[0], 2.5)


def test_an_axis_is_whole():
    with pytest.raises(TypeError):
        arc.compile(lambda x, n: np.stack([x, x], n))(A, 1.0)


X = np.arange(12.0).reshape(3, 4) + 0.3
SQUARE = np.arange(9.0).reshape(3, 3) ** 2 + np.eye(3)

#: Functions of an option and two arrays, and the values that the option has in two calls: where the arrays are plain,
#: NumPy computes.
OPTIONS = {
    "axis of a sum": (lambda k, x, s: np.sum(x, axis=k), 1, 0),
    "axis of a count": (lambda k, x, s: np.count_nonzero(x > 2, axis=k), 1, 0),
    "axis of a norm": (lambda k, x, s: np.linalg.vector_norm(x, axis=k), 1, 0),
    "axis of an order": (lambda k, x, s: np.argsort(x, axis=k), 1, 0),
    "axis of sorting": (lambda k, x, s: np.sort(-x, axis=k), 1, 0),
    "axis of a stack": (lambda k, x, s: np.stack([x, x], axis=k), 1, 2),
    "axis of joining": (lambda k, x, s: np.concatenate([x, x], axis=k), 1, 0),
    "axis of parts": (lambda k, x, s: np.unstack(x, axis=k), 1, 0),
    "axis of vectors": (lambda k, x, s: np.cross(s, s + 1, axis=k), 1, 0),
    "axis of what is kept": (lambda k, x, s: np.compress([True, False, True], x, axis=k), 1, 0),
    "axis of keys": (lambda k, x, s: np.lexsort((x[0], -x[1]), axis=k), 0, -1),
    "axes of products": (lambda k, x, s: np.tensordot(s, s, axes=k), 1, 2),
    "power": (lambda k, x, s: np.linalg.matrix_power(s, k), 2, 3),
    "powers": (lambda k, x, s: np.vander(x[0], k), 3, 2),
    "degree": (lambda k, x, s: np.polyfit(x[0], x[1] ** 2, k), 1, 2),
    "place": (lambda k, x, s: np.partition(-x, k), 1, 2),
    "place of an order": (lambda k, x, s: np.sort(np.argpartition(-x, k)), 1, 2),
    "diagonal": (lambda k, x, s: np.diag(x[0], k), 1, -1),
    "indices": (lambda k, x, s: np.linalg.tensorinv(s[:, None] if k == 2 else s, k), 1, 2),
    "length": (lambda k, x, s: np.abs(np.fft.fft(x, k)), 3, 5),
    "length of the inverse": (lambda k, x, s: np.fft.irfft(x, k), 3, 4),
    "lengths": (lambda k, x, s: np.abs(np.fft.rfft2(x, s=[k, 4])), 3, 2),
    "least length": (lambda k, x, s: np.bincount([0, 1], x[0, :2], k), 3, 4),
    "shape": (lambda k, x, s: np.zeros_like(x, shape=(k, 2)), 3, 1),
    "window": (lambda k, x, s: np.lib.stride_tricks.sliding_window_view(x[0], k) * 1.0, 2, 3),
    "bins": (lambda k, x, s: np.histogram(x, bins=k)[0], 3, 4),
    "order of a norm": (lambda k, x, s: np.linalg.norm(x[0], k), 1, 3),
    "order of a norm that is one": (lambda k, x, s: np.linalg.vector_norm(x[0], ord=k), 2, 3),
    "order of a matrix norm": (lambda k, x, s: np.linalg.matrix_norm(s, ord=k), 1, -1),
    "order of a condition number": (lambda k, x, s: np.linalg.cond(s, k), 1, -1),
    "tolerance of a rank": (lambda k, x, s: np.linalg.matrix_rank(s, k), 0.1, 100.0),
    "tolerances of ranks": (lambda k, x, s: np.linalg.matrix_rank(np.stack([s, x[:, :3]]), rtol=[k, 0.1]), 0.1, 0.9),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("traced", [False, True], ids=["plain arrays", "traced arrays"])
def test_options_of_plain_and_of_traced_arrays(name, traced):
    function, *options = OPTIONS[name]
    compiled = arc.compile(function) if traced else arc.compile(lambda k: function(k, X, SQUARE))
    for option in (*options, options[0]):
        got = compiled(option, X, SQUARE) if traced else compiled(option)
        assert_same(got, function(option, X, SQUARE))


@pytest.mark.parametrize("call", [
    lambda k: np.linalg.pinv(SQUARE, k), lambda k: np.linalg.lstsq(SQUARE, X[:, 0], rcond=k)[0],
], ids=["pinv", "lstsq"])  # fmt: skip
def test_cutoffs_are_plain_numbers(call):
    with pytest.raises(arc.TraceError, match=r"(?s)one plain number.*test_whole_options"):
        arc.compile(call)(0.1)
