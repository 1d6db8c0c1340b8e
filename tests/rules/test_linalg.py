"""numpy.linalg: values, gradients and second derivatives, single matrices and stacks, bad input."""

import math

import numpy as np
import pytest
from helpers import (
    assert_same,
    check,
    check_gradient,
    check_second_order,
    check_value,
    numeric_gradient,
    sample,
    weighted,
)

import archimedes_grad as arc


def symmetric(a):
    return a + np.swapaxes(a, -1, -2)


def positive(a):
    return a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-2])


S3 = sample((3, 3)) + 3 * np.eye(3)
S5 = sample((5, 5)) + 4 * np.eye(5)
STACK = sample((2, 3, 3)) + 3 * np.eye(3)
TALL, WIDE = sample((5, 3)), sample((3, 5))
TALL_STACK = sample((2, 4, 3))
REAL5 = np.diag([1.0, -7.0, 4.0, 13.0, 20.0]) + 0.5 * sample((5, 5))
B3, B5 = sample((3,)), sample((5, 2))


def real_eig(a):
    """Return the real parts of eigenvalues and vectors, which NumPy makes complex arrays of from 2.5 on."""
    return [part.real for part in np.linalg.eig(a)]


def whole_svd(a):
    """Return what of a full decomposition does not depend on the basis chosen for the rest."""
    u, s, vh = np.linalg.svd(a)
    k = s.shape[-1]
    rest_u, rest_v = u[..., :, k:], vh[..., k:, :]
    return u[..., :, :k], s, vh[..., :k, :], rest_u @ np.swapaxes(rest_u, -1, -2), np.swapaxes(rest_v, -1, -2) @ rest_v


CASES = {
    "solve vector": (np.linalg.solve, S3, B3),
    "solve matrix": (np.linalg.solve, S5, B5),
    "solve stack": (np.linalg.solve, STACK, sample((2, 3, 2))),
    "solve stack vector": (np.linalg.solve, STACK, B3),
    "solve one for many": (np.linalg.solve, S3, sample((2, 3, 2))),
    "solve many for one": (np.linalg.solve, STACK, sample((3, 2))),
    "solve broadcast": (np.linalg.solve, STACK, sample((4, 1, 3, 2))),
    "solve one column": (np.linalg.solve, S5, sample((5, 1))),
    "inv": (np.linalg.inv, S5), "inv 3": (np.linalg.inv, S3), "inv stack": (np.linalg.inv, STACK),
    "tensorsolve": (np.linalg.tensorsolve, sample((2, 3, 6)) + 3 * np.eye(6).reshape(2, 3, 6), sample((2, 3))),
    "tensorsolve axes": (lambda a, b: np.linalg.tensorsolve(a, b, axes=(0, 2)),
                         np.moveaxis(sample((4, 2, 2)) + 3 * np.eye(4).reshape(4, 2, 2), 0, 1), sample((4,))),
    "tensorinv": (np.linalg.tensorinv, sample((2, 3, 6)) + 3 * np.eye(6).reshape(2, 3, 6)),
    "tensorinv 1": (lambda a: np.linalg.tensorinv(a, 1), sample((6, 2, 3)) + 3 * np.eye(6).reshape(6, 2, 3)),
    "det 1": (np.linalg.det, sample((1, 1))), "det 2": (np.linalg.det, sample((2, 2))), "det": (np.linalg.det, S5),
    "det stack": (np.linalg.det, STACK), "det singular": (np.linalg.det, np.outer(B3, B3) + np.outer(B3**2, B3 + 1)),
    "slogdet": (np.linalg.slogdet, S5), "slogdet stack": (np.linalg.slogdet, -STACK),
    "slogdet 2": (np.linalg.slogdet, S3[:2, :2]),
    "cholesky": (lambda a: np.linalg.cholesky(positive(a)), S5), "cholesky 3": (np.linalg.cholesky, positive(S3)),
    "cholesky of a triangle": (np.linalg.cholesky, positive(S5)),
    "cholesky stack": (lambda a: np.linalg.cholesky(positive(a)), TALL_STACK),
    "cholesky upper": (lambda a: np.linalg.cholesky(a, upper=True), positive(S5)),
    "qr": (lambda a: np.linalg.qr(a), S5), "qr tall": (np.linalg.qr, TALL), "qr wide": (np.linalg.qr, WIDE),
    "qr stack": (np.linalg.qr, TALL_STACK), "qr r": (lambda a: np.linalg.qr(a, mode="r"), TALL),
    "qr r wide": (lambda a: np.linalg.qr(a, "r"), WIDE),
    "qr complete": (lambda a: np.linalg.qr(a, mode="complete"), TALL),
    "qr complete wide": (lambda a: np.linalg.qr(a, mode="complete"), WIDE),
    "qr complete stack": (lambda a: np.linalg.qr(a, "complete"), sample((2, 4, 2))),
    "eigh": (np.linalg.eigh, symmetric(S5)), "eigh of a triangle": (np.linalg.eigh, S5),
    "eigh upper": (lambda a: np.linalg.eigh(a, UPLO="U"), S5), "eigh stack": (np.linalg.eigh, STACK),
    "eigvalsh": (np.linalg.eigvalsh, S5), "eigvalsh upper": (lambda a: np.linalg.eigvalsh(a, "U"), STACK),
    "eig": (real_eig, REAL5), "eigvals": (lambda a: np.linalg.eigvals(a).real, positive(STACK)),
    "eig stack": (real_eig, np.stack([REAL5, 2 * REAL5])),
    "svd": (lambda a: np.linalg.svd(a, full_matrices=False), TALL),
    "svd wide": (lambda a: np.linalg.svd(a, full_matrices=False), WIDE),
    "svd square": (np.linalg.svd, S5), "svd stack": (lambda a: np.linalg.svd(a, full_matrices=False), TALL_STACK),
    "svd full": (whole_svd, TALL), "svd full wide": (whole_svd, WIDE), "svd full stack": (whole_svd, sample((2, 3, 4))),
    "svd values": (lambda a: np.linalg.svd(a, compute_uv=False), TALL_STACK), "svdvals": (np.linalg.svdvals, WIDE),
    "svd hermitian": (lambda a: np.linalg.svd(a, hermitian=True), symmetric(sample((4, 4)))),
    "pinv": (np.linalg.pinv, TALL), "pinv wide": (np.linalg.pinv, WIDE), "pinv square": (np.linalg.pinv, S5),
    "pinv stack": (np.linalg.pinv, TALL_STACK), "pinv rtol": (lambda a: np.linalg.pinv(a, rtol=1e-9), TALL),
    "pinv low rank": (lambda a: np.linalg.pinv(a[:, :2] @ a[:2, :], rcond=1e-9), TALL),
    "pinv hermitian": (lambda a: np.linalg.pinv(a, hermitian=True), symmetric(S5)),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b)[:2], TALL, B5),
    "lstsq vector": (lambda a, b: np.linalg.lstsq(a, b)[:2], TALL, B5[:, 0].copy()),
    "lstsq wide": (lambda a, b: np.linalg.lstsq(a, b)[0], WIDE, B3),
    "lstsq singular values": (lambda a, b: np.linalg.lstsq(a, b)[3], TALL, B5),
    "cond": (np.linalg.cond, S5), "cond -2": (lambda a: np.linalg.cond(a, -2), S5),
    "cond stack": (np.linalg.cond, STACK),
    "cond fro": (lambda a: np.linalg.cond(a, "fro"), S5), "cond nuc": (lambda a: np.linalg.cond(a, "nuc"), S5),
    "cond 1": (lambda a: np.linalg.cond(a, 1), S5), "cond inf": (lambda a: np.linalg.cond(a, math.inf), STACK),
    "cond -1": (lambda a: np.linalg.cond(a, -1), S5), "cond tall": (np.linalg.cond, TALL),
    "cond tall 2": (lambda a: np.linalg.cond(a, 2), TALL), "cond wide -2": (lambda a: np.linalg.cond(a, -2), WIDE),
    "det large": (np.linalg.det, sample((6, 6))), "det large stack": (np.linalg.det, sample((2, 6, 6))),
    "norm": (np.linalg.norm, TALL), "norm vector": (np.linalg.norm, B3), "norm 3d": (np.linalg.norm, STACK),
    "norm axis": (lambda a: np.linalg.norm(a, axis=0), TALL),
    "norm keepdims": (lambda a: np.linalg.norm(a, axis=1, keepdims=True), TALL),
    "norm keepdims all": (lambda a: np.linalg.norm(a, keepdims=True), TALL),
    "norm axes": (lambda a: np.linalg.norm(a, "nuc", axis=(2, 0)), sample((2, 3, 4))),
    "norm axes keepdims": (lambda a: np.linalg.norm(a, 2, axis=(0, 2), keepdims=True), sample((2, 3, 4))),
    "vector_norm": (lambda a: np.linalg.vector_norm(a, axis=(0, 1), ord=3, keepdims=True), STACK),
    "vector_norm all": (lambda a: np.linalg.vector_norm(a, ord=math.inf), STACK),
    "matrix_norm": (lambda a: np.linalg.matrix_norm(a, ord="nuc"), STACK),
    "matrix_norm fro": (lambda a: np.linalg.matrix_norm(a, keepdims=True), STACK),
}  # fmt: skip
for _order in (None, 1, -1, 2, -2, 3, 0.5, -3, 2.5, math.inf, -math.inf):
    CASES[f"vector norm {_order}"] = (lambda a, o=_order: np.linalg.norm(a, o, axis=-1), STACK)
for _order in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
    CASES[f"matrix norm {_order}"] = (lambda a, o=_order: np.linalg.norm(a, o, axis=(-2, -1)), sample((2, 3, 4)))

#: Stacks of stacks, of matrices of which no side is as long as an axis before them.
DEEP3, DEEP5 = sample((2, 4, 3, 3)) + 3 * np.eye(3), sample((1, 2, 5, 5)) + 4 * np.eye(5)
_OF_STACKS = {
    "inv": np.linalg.inv, "det": np.linalg.det, "slogdet": np.linalg.slogdet, "qr": np.linalg.qr,
    "solve": lambda a: np.linalg.solve(a, a[..., :1] ** 2), "solve vector": lambda a: np.linalg.solve(a, a[0, 0, 0]),
    "solve one for many": lambda a: np.linalg.solve(a[0, 1], a[..., :2]),
    "cholesky": lambda a: np.linalg.cholesky(positive(a)), "qr r": lambda a: np.linalg.qr(a, "r"),
    "qr complete": lambda a: np.linalg.qr(a[..., :2], "complete"), "eigh": lambda a: np.linalg.eigh(a),
    "eigvalsh": np.linalg.eigvalsh, "svd": lambda a: np.linalg.svd(a[..., :2], full_matrices=False),
    "svdvals": np.linalg.svdvals, "pinv": lambda a: np.linalg.pinv(a[..., :2]), "cond": np.linalg.cond,
    "cond fro": lambda a: np.linalg.cond(a, "fro"), "matrix_power": lambda a: np.linalg.matrix_power(a, -2),
    **{f"matrix norm {o}": lambda a, o=o: np.linalg.norm(a[..., :2], o, (-2, -1)) for o in ("nuc", 2, "fro", 1)},
    "matrix_rank": lambda a: np.linalg.matrix_rank(a) * a[0, 0, 0, 0],
    "vecdot": lambda a: np.linalg.vecdot(a, a[0, 0, 0]), "matmul": lambda a: a @ a[0, 1] @ a,
}  # fmt: skip
for _name, _function in _OF_STACKS.items():
    CASES |= {f"{_name} of stacks of {a.shape[-1]}": (_function, a) for a in (DEEP3, DEEP5)}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    function, *args = CASES[name]
    check(function, *args, rtol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_forward_is_reverse(name):
    function, *args = CASES[name]
    scalar = weighted(function)
    directions = tuple(sample(a.shape, seed=1) for a in args)
    argnums = tuple(range(len(args)))
    gradients = arc.grad(scalar, argnums=argnums)(*args)
    forward = arc.jvp(scalar, argnums=argnums)(*args, directions)
    expected = sum(np.sum(gradient * direction) for gradient, direction in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(forward, expected, rtol=1e-9)


CONSTANT = {
    "matrix_rank": (np.linalg.matrix_rank, np.outer(B3, B3)), "matrix_rank stack": (np.linalg.matrix_rank, STACK),
    "matrix_rank tol": (lambda a: np.linalg.matrix_rank(a, 2.0), S5),
    "matrix_rank vector": (lambda a: np.linalg.matrix_rank(a) * np.int64(1), B3),
    "matrix_rank hermitian": (lambda a: np.linalg.matrix_rank(a, hermitian=True), positive(S3)),
    "lstsq rank": (lambda a: np.linalg.lstsq(a, B5)[2], TALL), "norm 0": (lambda a: np.linalg.norm(a, 0), B3),
    "lstsq no residuals": (lambda a: np.linalg.lstsq(a, B3)[1], WIDE),
    "whole numbers": (np.linalg.det, sample((3, 3), "whole")), "float32": (np.linalg.inv, S3.astype(np.float32)),
    "det of nothing": (np.linalg.det, np.zeros((0, 0))),
    "solve nothing": (lambda a: np.linalg.solve(a, np.zeros((0, 2))), np.zeros((0, 0))),
    "no matrices": (np.linalg.eigh, np.zeros((0, 3, 3))),
    "no solves": (lambda a: np.linalg.solve(a, B3), np.zeros((0, 3, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANT)
def test_value_alone(name):
    function, *args = CONSTANT[name]
    check_value(function, *args)


SECOND = {
    "solve": (lambda a: np.linalg.solve(a, a[0]), S5),
    "solve stack": (lambda a: np.linalg.solve(a, a[:, :, :1]), STACK),
    "inv": (np.linalg.inv, S5), "det": (np.linalg.det, S5), "det 2": (np.linalg.det, S3[:2, :2].copy()),
    "det singular": (np.linalg.det, np.outer(B3, B3)),
    "det rank one": (np.linalg.det, np.outer(sample((4,)), sample((4,)) + 1)),
    "det zero": (np.linalg.det, np.zeros((2, 2))), "det 5 rank 3": (np.linalg.det, np.diag([1.0, 0, 2, 0, 3]) @ S5),
    "det 5 rank 4": (np.linalg.det, np.diag([1.0, 4, 2, 0, 3]) @ S5), "det stack": (np.linalg.det, STACK),
    "slogdet": (np.linalg.slogdet, S5), "cholesky": (lambda a: np.linalg.cholesky(positive(a)), S5),
    "cholesky upper": (lambda a: np.linalg.cholesky(a, upper=True), positive(S5)),
    "cholesky stack": (lambda a: np.linalg.cholesky(positive(a)), sample((2, 3, 3))),
    "qr": (np.linalg.qr, TALL), "qr wide": (np.linalg.qr, WIDE), "qr complete": (lambda a: np.linalg.qr(a,
    "complete"), TALL),
    "eigh": (np.linalg.eigh, S5), "eigh stack": (np.linalg.eigh, STACK), "eigvalsh": (np.linalg.eigvalsh, S5),
    "eig": (real_eig, REAL5[:3, :3] + 0.0),
    "svd": (lambda a: np.linalg.svd(a, full_matrices=False), TALL),
    "svd wide": (lambda a: np.linalg.svd(a, full_matrices=False), WIDE),
    "svd full": (whole_svd, sample((4, 3))), "svdvals": (np.linalg.svdvals, TALL), "pinv": (np.linalg.pinv, TALL),
    "pinv low rank": (lambda a: np.linalg.pinv(a[:, :2] @ a[:2, :], rcond=1e-9), TALL),
    "lstsq": (lambda a: np.linalg.lstsq(a, a[:, 0] ** 2 + B5[:, 0])[:2], TALL), "cond": (np.linalg.cond, S3),
    "norm": (np.linalg.norm, TALL), "norm 3": (lambda a: np.linalg.norm(a, 3), B3),
    "norm 1.5": (lambda a: np.linalg.norm(a, 1.5), B3),
    "norm nuc": (lambda a: np.linalg.norm(a, "nuc"), TALL), "norm 2": (lambda a: np.linalg.norm(a, 2), TALL),
    "norm nuc of equal values": (lambda a: np.linalg.norm(a, "nuc"), np.eye(3)),
    "norm nuc stack": (lambda a: np.linalg.norm(a, "nuc", (1, 2)), STACK),
}  # fmt: skip


@pytest.mark.parametrize("name", SECOND)
def test_second_derivative(name):
    check_second_order(*SECOND[name])


# --- at special points ----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, 2, 3, 0.5, -1, 1, math.inf, -math.inf])
def test_gradient_of_a_vector_norm_at_zero_is_zero(order):
    np.testing.assert_array_equal(arc.grad(lambda x: np.linalg.norm(x, order))(np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("order", [None, "fro", "nuc", 2, -2, 1, math.inf])
def test_gradient_of_a_matrix_norm_at_zero_is_zero(order):
    np.testing.assert_array_equal(arc.grad(lambda x: np.linalg.norm(x, order))(np.zeros((2, 3))), np.zeros((2, 3)))


def test_square_of_a_norm_at_zero():
    assert_zero = arc.grad(lambda x: np.linalg.norm(x) ** 2)(np.zeros(2))
    np.testing.assert_array_equal(assert_zero, np.zeros(2))


def test_norm_of_order_p_with_entries_at_zero():
    np.testing.assert_allclose(arc.grad(lambda x: np.linalg.norm(x, 3))(np.array([0.0, 2.0])), [0.0, 1.0])


def test_gradient_of_det_is_the_cofactors():
    gradient = arc.grad(np.linalg.det)
    np.testing.assert_allclose(gradient(np.array([[1.0, 2.0], [2.0, 4.0]])), [[4.0, -2.0], [-2.0, 1.0]], rtol=1e-12)
    np.testing.assert_array_equal(gradient(np.zeros((3, 3))), np.zeros((3, 3)))
    rank_two = np.diag([1.0, 2.0, 3.0, 0.0])
    np.testing.assert_allclose(gradient(rank_two), np.diag([0.0, 0.0, 0.0, 6.0]), atol=1e-12)


def test_functions_of_equal_eigenvalues():
    at = np.diag([1.0, 1.0, 2.0])
    np.testing.assert_allclose(arc.grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(at), 2 * at, atol=1e-12)

    def rebuilt(a):
        w, v = np.linalg.eigh(a)
        return np.sum(((v * w) @ v.T) * np.arange(9.0).reshape(3, 3))

    assert np.all(np.isfinite(arc.grad(rebuilt)(at)))
    np.testing.assert_allclose(arc.grad(lambda a: np.linalg.svdvals(a).sum())(np.eye(3)), np.eye(3), atol=1e-12)


def test_entries_that_are_not_read_have_no_derivative():
    gradient = arc.grad(lambda a: np.sum(np.linalg.eigvalsh(a) * np.arange(5)))(S5)
    np.testing.assert_array_equal(np.triu(gradient, 1), 0)
    gradient = arc.grad(lambda a: np.sum(np.linalg.cholesky(a)))(positive(S5))
    np.testing.assert_array_equal(np.triu(gradient, 1), 0)


# --- failures -------------------------------------------------------------------------------------

BAD = {
    "solve shapes": lambda a: np.linalg.solve(a, np.ones(4)),
    "solve not square": lambda a: np.linalg.solve(a[:2], np.ones(2)),
    "solve one axis": lambda a: np.linalg.solve(a[0], a[0]), "solve singular": lambda a: np.linalg.solve(a * 0, a[0]),
    "inv singular": lambda a: np.linalg.inv(a * 0.0), "inv not square": lambda a: np.linalg.inv(a[:2]),
    "det not square": lambda a: np.linalg.det(a[:2]), "cholesky": lambda a: np.linalg.cholesky(-a),
    "eigh not square": lambda a: np.linalg.eigh(a[:2]), "eigh UPLO": lambda a: np.linalg.eigh(a, "X"),
    "qr mode": lambda a: np.linalg.qr(a, "nonsense"), "svd one axis": lambda a: np.linalg.svd(a[0]),
    "norm order": lambda a: np.linalg.norm(a, 7), "norm axis": lambda a: np.linalg.norm(a, axis=5),
    "norm axes": lambda a: np.linalg.norm(a, 1, axis=(0, 0)), "lstsq": lambda a: np.linalg.lstsq(a, np.ones(7)),
    "tensorsolve": lambda a: np.linalg.tensorsolve(a, np.ones(2)), "tensorinv": lambda a: np.linalg.tensorinv(a, 0),
    "matrix_norm": lambda a: np.linalg.matrix_norm(a[0]), "norm text": lambda a: np.linalg.norm(a, "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_what_numpy_raises(name):
    call = BAD[name]
    with pytest.raises(Exception) as expected:
        call(S3)
    with pytest.raises(type(expected.value)) as raised:
        arc.compile(call)(S3)
    assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize("function", [
    lambda a: np.sum(np.linalg.inv(a)), lambda a: np.sum(np.linalg.solve(a, a[0])),
    lambda a: np.sum(np.linalg.cholesky(a)), lambda a: np.sum(np.linalg.inv(a[None] * np.ones((3, 1, 1)))),
])  # fmt: skip
@pytest.mark.parametrize("n", [2, 3, 5])
def test_failure_in_a_later_call_raises_linalgerror(function, n):
    good = positive(sample((n, n)))
    for transformed in (arc.compile(function), arc.grad(function)):
        first = transformed(good)
        with pytest.raises(np.linalg.LinAlgError):
            transformed(np.zeros((n, n)) - np.eye(n, k=1))
        np.testing.assert_array_equal(transformed(good), first)


OF_ANY_RANK = {
    "regular": S3[:2, :2], "zero": np.zeros((2, 2)), "of rank one": np.ones((2, 2)), "a zero row": np.diag([0.0, 1.0]),
    "nan": np.array([[np.nan, 1.0], [1.0, 2.0]]), "infinite": np.array([[np.inf, 1.0], [1.0, 2.0]]),
}  # fmt: skip


def outcome(function, matrix):
    try:
        return function(matrix)
    except np.linalg.LinAlgError:
        return "LinAlgError"


@pytest.mark.parametrize("order", [None, 2, -2, 1, -1, math.inf, -math.inf, "fro", "nuc"])
@pytest.mark.parametrize("first", OF_ANY_RANK)
def test_condition_numbers_of_singular_matrices(order, first):
    def function(matrix):
        return np.linalg.cond(matrix, order)

    compiled = arc.compile(function)
    for name in (first, *OF_ANY_RANK):
        expected, got = outcome(function, OF_ANY_RANK[name]), outcome(compiled, OF_ANY_RANK[name])
        np.testing.assert_equal(got, expected) if isinstance(expected, str) else assert_same(got, expected)


@pytest.mark.parametrize("order", [None, -2, 1, "fro"])
def test_condition_numbers_of_a_stack_with_singular_members(order):
    stack = np.stack([np.ones((3, 3)), S3, np.zeros((3, 3))])
    check_value(lambda a: np.linalg.cond(a, order), stack)
    slope = arc.grad(lambda a: np.linalg.cond(a, order)[1])(stack)
    np.testing.assert_allclose(slope[1], arc.grad(lambda a: np.linalg.cond(a, order))(S3), rtol=1e-12)


def test_a_branch_on_a_condition_number_that_is_infinite():
    function = arc.compile(lambda a: 0.0 * a[0, 0] if np.linalg.cond(a) > 1e8 else a[0, 0])
    assert [function(a) for a in (np.ones((2, 2)), 2 * np.eye(2), np.ones((2, 2)))] == [0.0, 2.0, 0.0]


@pytest.mark.parametrize("right", [B5[:, 0].copy(), B5], ids=["vector", "columns"])
@pytest.mark.parametrize("first", [0, 1])
def test_residuals_of_least_squares_follow_the_rank(right, first):
    matrices = [TALL, TALL * np.array([1.0, 0.0, 1.0])]
    compiled = arc.compile(lambda a: np.linalg.lstsq(a, right))
    gradient = arc.grad(lambda a: np.sum(np.linalg.lstsq(a, right)[1]) + a[0, 0])
    for a in (matrices[first], *matrices):
        assert_same(compiled(a), np.linalg.lstsq(a, right), rtol=1e-11)
        assert (np.max(np.abs(gradient(a))) == 1.0) == (a is matrices[1])


def test_residuals_of_least_squares_take_a_path_only_where_they_are_read():
    def solution(a):
        x, _residuals, rank, s = np.linalg.lstsq(a, B5[:, 0])
        return np.sum(x * s) + rank

    compiled = arc.compile(solution)
    for a in (TALL, TALL * np.array([1.0, 0.0, 1.0])):
        np.testing.assert_allclose(compiled(a), solution(a), rtol=1e-11)
    assert "1 path" in str(compiled.explain(TALL))
    np.testing.assert_allclose(np.asarray(compiled.to_casadi(TALL)(TALL))[0, 0], solution(TALL), rtol=1e-11)


def test_eigenvalues_are_complex_where_numpys_are():
    def slowest(a):
        w, v = np.linalg.eig(a)
        return np.max(w.real) + np.abs(w[0] * v[0, 1]) + (w.dtype.kind == "c")

    compiled, gradient = arc.compile(slowest), arc.grad(slowest)
    for a in (np.diag([1.0, 2.0]) + 0.1, np.array([[0.2, -1.0], [1.5, 0.1]]), np.array([[0.2, 1.0], [1.5, 0.1]])):
        np.testing.assert_allclose(compiled(a), slowest(a), rtol=1e-13)
        np.testing.assert_allclose(gradient(a), numeric_gradient(slowest, [a], 0), rtol=1e-7, atol=1e-9)


@pytest.mark.skipif(np.linalg.eigvals(np.eye(1)).dtype.kind == "c", reason="eigenvalues are complex from NumPy 2.5 on")
def test_complex_eigenvalues_are_refused_where_nothing_can_be_decided():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    for transform in (arc.vmap, lambda f: arc.compile(f, control_flow="structured")):
        of_real = transform(lambda a: np.sum(np.linalg.eigvals(a).real))
        stack = turn[None] if transform is arc.vmap else turn
        with pytest.raises((arc.TraceError, np.linalg.LinAlgError)):
            of_real(stack)
        assert np.shape(transform(lambda a: np.linalg.eigvals(a + 0j).imag)(stack))[-1] == 2


def test_qr_raw_is_refused():
    with pytest.raises(arc.TraceError, match="raw"):
        arc.grad(lambda a: np.sum(np.linalg.qr(a, "raw")[0]))(S3)


def test_results_are_numpys_namedtuples():
    def names(a):
        results = [np.linalg.eigh(a), np.linalg.svd(a), np.linalg.qr(a), np.linalg.slogdet(a)]
        results += [np.linalg.eig(a)]
        names = ["EighResult", "SVDResult", "QRResult", "SlogdetResult", "EigResult"][: len(results)]
        assert [type(r).__name__ for r in results] == names
        return np.linalg.slogdet(a).logabsdet + np.sum(np.linalg.svd(a).S)

    check_gradient(names, positive(S3))


def test_inside_a_larger_function_and_with_constants():
    data = sample((40, 4))

    def negative_log_likelihood(theta):
        factor = np.linalg.cholesky(positive(np.tril(theta)))
        white = np.linalg.solve(factor, data.T)
        return 0.5 * np.sum(white**2) + 40 * np.sum(np.log(np.diagonal(factor)))

    check(negative_log_likelihood, sample((4, 4)), rtol=1e-11)
    check_second_order(negative_log_likelihood, sample((4, 4)))


@pytest.mark.parametrize("function", [
    np.linalg.det, lambda a: np.linalg.norm(a, "nuc"), lambda a: np.sum(np.linalg.cholesky(a)),
    lambda a: np.sum(np.linalg.eigh(a)[0] ** 2), lambda a: np.linalg.slogdet(a)[1], np.linalg.cond,
])  # fmt: skip
def test_hessian_and_forward_mode(function):
    at = positive(sample((9, 9)))
    slope = arc.grad(function)
    rows = arc.jac(slope)(at)
    np.testing.assert_allclose(arc.hess(function)(at), rows, rtol=1e-8, atol=1e-10 * np.abs(rows).max())
    direction = sample(at.shape)
    expected = (slope(at + 1e-5 * direction) - slope(at - 1e-5 * direction)) / 2e-5
    got = np.tensordot(rows, direction, 2)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
