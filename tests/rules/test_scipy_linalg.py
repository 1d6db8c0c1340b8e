"""scipy.linalg in traced functions: values and gradients of its matrices, factors and solutions."""

import inspect

import numpy as np
import pytest
from helpers import assert_same, check, check_gradient, check_second_order

import archimedes_grad as arc

linalg = pytest.importorskip("scipy.linalg")

RNG = np.random.default_rng(3)
SQUARE = RNG.normal(size=(4, 4)) + 3 * np.eye(4)
POSITIVE = SQUARE @ SQUARE.T
TALL, WIDE = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5))
VECTOR, COLUMNS = RNG.normal(size=4), RNG.normal(size=(4, 2))
SMALL = np.array([[1.5, 0.3], [0.2, 1.0]])
TURN = np.array([[0.8, -0.6], [0.6, 0.9]])

# Eigenvectors are squared: the signs that SciPy's driver gives them are no continuous function of the matrix.
ROWS = {
    "solve": (linalg.solve, SQUARE, VECTOR),
    "solve columns": (linalg.solve, SQUARE, COLUMNS),
    "solve transposed": (lambda a, b: linalg.solve(a, b, transposed=True), SQUARE, VECTOR),
    "solve pos": (lambda a, b: linalg.solve(a, b, assume_a="pos"), POSITIVE, VECTOR),
    "solve sym lower": (lambda a, b: linalg.solve(a, b, assume_a="sym", lower=True), POSITIVE, VECTOR),
    "solve upper triangular": (lambda a, b: linalg.solve(a, b, assume_a="upper triangular"), SQUARE, VECTOR),
    "solve lower triangular": (
        lambda a, b: linalg.solve(a, b, assume_a="lower triangular", transposed=True), SQUARE, COLUMNS),
    "solve_triangular": (linalg.solve_triangular, SQUARE, VECTOR),
    "solve_triangular lower": (lambda a, b: linalg.solve_triangular(a, b, lower=True), SQUARE, COLUMNS),
    "solve_triangular transposed": (lambda a, b: linalg.solve_triangular(a, b, trans="T"), SQUARE, VECTOR),
    "solve_triangular unit": (
        lambda a, b: linalg.solve_triangular(a, b, lower=True, unit_diagonal=True), SQUARE / 4, COLUMNS),
    "inv": (linalg.inv, SQUARE), "det": (linalg.det, SQUARE),
    "cholesky": (linalg.cholesky, POSITIVE), "cholesky lower": (lambda a: linalg.cholesky(a, lower=True), POSITIVE),
    "cho_factor": (lambda a: linalg.cho_factor(a)[0], POSITIVE),
    "cho_factor lower": (lambda a: linalg.cho_factor(a, lower=True)[0], POSITIVE),
    "cho_solve": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b), POSITIVE, VECTOR),
    "cho_solve lower": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a, lower=True), b), POSITIVE, COLUMNS),
    "lstsq": (lambda a, b: linalg.lstsq(a, b)[0], TALL, RNG.normal(size=5)),
    "lstsq residues": (lambda a, b: linalg.lstsq(a, b)[1], TALL, RNG.normal(size=(5, 2))),
    "pinv": (linalg.pinv, TALL), "pinv wide": (linalg.pinv, WIDE),
    "qr": (lambda a: linalg.qr(a)[1], TALL), "qr q": (lambda a: linalg.qr(a, mode="economic")[0], TALL),
    "qr r": (lambda a: linalg.qr(a, mode="r")[0], SQUARE), "qr wide": (lambda a: linalg.qr(a)[0], WIDE),
    "eigh values": (lambda a: linalg.eigh(a)[0], POSITIVE),
    "eigh vectors": (lambda a: linalg.eigh(a)[1] ** 2, POSITIVE),
    "eigh upper": (lambda a: linalg.eigh(a, lower=False)[1] ** 2, POSITIVE),
    "eigh subset": (lambda a: linalg.eigh(a, eigvals_only=True, subset_by_index=[1, 2]), POSITIVE),
    "eigvalsh": (linalg.eigvalsh, POSITIVE),
    "svd u": (lambda a: linalg.svd(a, full_matrices=False)[0], TALL), "svd s": (lambda a: linalg.svd(a)[1], WIDE),
    "svd vh": (lambda a: linalg.svd(a, full_matrices=False)[2], WIDE),
    "svd values": (lambda a: linalg.svd(a, compute_uv=False), TALL), "svdvals": (linalg.svdvals, WIDE),
    "expm": (linalg.expm, SQUARE / 3), "expm large": (linalg.expm, SQUARE * 3),
    "expm stack": (linalg.expm, RNG.normal(size=(2, 3, 3))),
    "toeplitz": (linalg.toeplitz, VECTOR), "toeplitz two": (linalg.toeplitz, VECTOR, RNG.normal(size=3)),
    "circulant": (linalg.circulant, VECTOR), "hankel": (linalg.hankel, VECTOR),
    "hankel two": (linalg.hankel, VECTOR, RNG.normal(size=3)),
    "block_diag": (linalg.block_diag, SQUARE, TALL, VECTOR),
    "solve_toeplitz": (lambda c, b: linalg.solve_toeplitz(c, b), np.array([4.0, 1.0, 0.3, 0.1]), VECTOR),
    "sylvester": (linalg.solve_sylvester, SQUARE, TALL[:3] + np.eye(3), RNG.normal(size=(4, 3))),
    "lyapunov": (linalg.solve_continuous_lyapunov, SQUARE, -POSITIVE),
    "discrete lyapunov": (linalg.solve_discrete_lyapunov, SQUARE / 9, POSITIVE),
    "discrete lyapunov bilinear": (
        lambda a, q: linalg.solve_discrete_lyapunov(a, q, method="bilinear"), SQUARE / 9, POSITIVE),
    "riccati": (
        lambda a, b, q, r: linalg.solve_continuous_are(a, b, q @ q.T, r @ r.T), SQUARE, COLUMNS, SQUARE, SMALL),
    "riccati, one input": (
        lambda a, b, q: linalg.solve_continuous_are(a, b, q @ q.T, 2.0, balanced=False),
        SQUARE - 6 * np.eye(4), COLUMNS[:, :1], SQUARE),
    "discrete riccati": (
        lambda a, b, q, r: linalg.solve_discrete_are(a, b, q @ q.T, r @ r.T), SQUARE, COLUMNS, SQUARE, SMALL),
    "logm": (linalg.logm, SMALL @ SMALL.T), "logm turning": (linalg.logm, TURN),
    "sqrtm": (linalg.sqrtm, POSITIVE), "sqrtm not symmetric": (linalg.sqrtm, SQUARE),
    "cosm": (linalg.cosm, SQUARE), "sinm": (linalg.sinm, SQUARE), "tanm": (linalg.tanm, SQUARE / 9),
    "coshm": (linalg.coshm, SQUARE / 3), "sinhm": (linalg.sinhm, SQUARE / 3), "tanhm": (linalg.tanhm, SQUARE / 3),
    "fractional_matrix_power": (lambda a: linalg.fractional_matrix_power(a, 0.3), POSITIVE),
    "norm": (linalg.norm, TALL), "norm nuclear": (lambda a: linalg.norm(a, "nuc"), TALL),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_value_and_gradient(name):
    function, *arguments = ROWS[name]
    check(function, *arguments, rtol=1e-10)


@pytest.mark.parametrize("name", ["solve pos", "cho_solve", "solve_triangular unit", "eigh vectors", "expm", "svdvals",
                                  "sylvester", "lyapunov", "discrete lyapunov", "riccati", "discrete riccati", "logm",
                                  "sqrtm not symmetric"])  # fmt: skip
def test_second_derivatives(name):
    function, *arguments = ROWS[name]
    check_second_order(function, *arguments)


@pytest.mark.parametrize("size", [3, 12])
@pytest.mark.parametrize("name", ["solve", "inv"])
def test_what_is_taken_for_positive_and_is_not_raises_in_later_calls_too(name, size):
    if "assume_a" not in inspect.signature(getattr(linalg, name)).parameters:
        pytest.skip("this SciPy asks for no structure")
    right = () if name == "inv" else (np.ones(size),)
    compiled = arc.compile(lambda a: getattr(linalg, name)(a, *right, assume_a="pos"))
    assert_same(compiled(2 * np.eye(size)), getattr(linalg, name)(2 * np.eye(size), *right))
    for matrix in (-np.eye(size), np.eye(size)[::-1] - np.eye(size) / 2):
        with pytest.raises(np.linalg.LinAlgError):
            getattr(linalg, name)(matrix, *right, assume_a="pos")
        with pytest.raises(np.linalg.LinAlgError):
            compiled(matrix)


@pytest.mark.parametrize("right", [RNG.normal(size=5), RNG.normal(size=(5, 2))], ids=["vector", "columns"])
@pytest.mark.parametrize("first", [0, 1])
def test_residues_of_least_squares_follow_the_rank(right, first):
    matrices = [TALL, TALL * np.array([1.0, 0.0, 1.0])]
    compiled = arc.compile(lambda a: linalg.lstsq(a, right)[1])
    for a in (matrices[first], *matrices):
        assert_same(compiled(a), linalg.lstsq(a, right)[1], rtol=1e-11)


def test_the_likelihood_of_a_gaussian_process():
    x, y = np.linspace(0, 3, 12), np.sin(np.linspace(0, 3, 12))

    def loss(parameters):
        length, noise = np.exp(parameters)
        kernel = np.exp(-(((x[:, None] - x) / length) ** 2) / 2) + noise * np.eye(12)
        factor = linalg.cho_factor(kernel, lower=True)
        return 0.5 * y @ linalg.cho_solve(factor, y) + np.sum(np.log(np.diag(factor[0])))

    check_gradient(loss, np.array([0.1, -2.0]))
    check_second_order(loss, np.array([0.1, -2.0]))


@pytest.mark.parametrize("function", [
    lambda a: linalg.solve_discrete_lyapunov(a / 9, np.eye(4)), lambda a: linalg.solve_sylvester(a, a, np.eye(4)),
    lambda a: linalg.solve_continuous_lyapunov(a, np.eye(4)),
    lambda a: linalg.solve_continuous_are(a, np.eye(4), np.eye(4), np.eye(4)), lambda a: linalg.sqrtm(a @ a.T),
])  # fmt: skip
def test_equations_of_each_item(function):
    stack = np.stack([SQUARE, SQUARE.T + 1, POSITIVE])
    gradient = arc.grad(lambda a: np.sum(function(a) ** 2))
    each = [gradient(a) for a in stack]
    np.testing.assert_allclose(arc.vmap(gradient)(stack), each, rtol=1e-12)


def test_results_keep_their_dtype():
    single = SMALL.astype(np.float32)
    assert arc.compile(linalg.sqrtm)(single).dtype == linalg.sqrtm(single).dtype


def test_factors_are_scipys_at_every_call():
    compiled = arc.compile(lambda a: linalg.eigh(a)[1])
    for seed in range(5):
        a = np.random.default_rng(seed).normal(size=(5, 5))
        np.testing.assert_allclose(compiled(a + a.T), linalg.eigh(a + a.T)[1], rtol=1e-12)


@pytest.mark.parametrize(("call", "error", "named"), [
    (lambda a: linalg.solve(a, np.ones(3)), ValueError, None),
    (lambda a: linalg.cholesky(-a @ a.T), np.linalg.LinAlgError, None),
    (lambda a: linalg.pinv(a, atol=0.1), arc.TraceError, "atol=0.1"),
    (lambda a: linalg.eigh(a, np.eye(4))[0], arc.TraceError, "scipy.linalg.eigh"),
    (lambda a: linalg.qr(a, pivoting=True)[0], arc.TraceError, "pivoting=True"),
    (lambda a: linalg.inv(np.stack([a, a])), arc.TraceError, "np.linalg.inv, which takes stacks"),
    (lambda a: linalg.solve_triangular(a, a[0], nonsense=1), arc.TraceError, "nonsense=1"),
    (lambda a: linalg.logm(-a @ a.T), arc.TraceError, "scipy.linalg.logm of this matrix is complex"),
    (lambda a: linalg.sqrtm(a, disp=False), arc.TraceError, "disp=False"),
    (lambda a: linalg.signm(a), arc.TraceError, "scipy.linalg.signm got a traced value"),
    (lambda a: linalg.solve_continuous_are(a, a, a @ a.T, np.eye(4), s=a), arc.TraceError, "s="),
    (lambda a: linalg.solve_continuous_are(a, a, a, np.eye(4)), ValueError, None),
    (lambda a: linalg.solve_sylvester(np.stack([a, a]), a, a), arc.TraceError, "Call it for each matrix"),
    (lambda a: linalg.fractional_matrix_power(a, a[0, 0]), arc.TraceError, "traced exponent t"),
])  # fmt: skip
def test_errors(call, error, named):
    with pytest.raises(error) as traced:
        arc.compile(call)(SQUARE)
    if named is None:
        with pytest.raises(error) as plain:
            call(SQUARE)
        assert str(traced.value) == str(plain.value)
    else:
        assert named in str(traced.value)
        assert __file__ in str(traced.value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "complex128", "complex64"])
@pytest.mark.parametrize("shape", [(0,), (3,), (3, 2)])
def test_residues_without_unknowns_are_squares_of_absolute_values(dtype, shape):
    right = np.ones(shape, dtype) * (2 - 1j if np.dtype(dtype).kind == "c" else 2)
    right = right.astype(dtype)
    expected = linalg.lstsq(np.zeros((shape[0], 0)), right)[1]
    assert_same(arc.compile(lambda b: linalg.lstsq(np.zeros((shape[0], 0)), b)[1])(right), expected)
