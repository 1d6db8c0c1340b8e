"""einsum, tensordot and their kin: values, gradients and second derivatives."""

import functools

import numpy as np
import pytest
from helpers import check, check_second_order, check_value, sample

import archimedes_grad as arc
from archimedes_grad.rules import contractions

M23, M34, M44, V3, V4 = sample((2, 3)), sample((3, 4)), sample((4, 4)), sample((3,)), sample((4,))
B = sample((5, 2, 3))

EINSUM = [
    ("ij->", (M23,)), ("ij->ji", (M23,)), ("ij", (M23,)), ("ji", (M23,)), ("ii", (M44,)), ("ii->i", (M44,)),
    ("iij->j", (sample((3, 3, 2)),)), ("iii->i", (sample((3, 3, 3)),)), ("...i->...", (B,)), ("i...->...", (B,)),
    ("ij->j", (M23,)), ("...", (M23,)), ("->", (np.float64(1.5),)),
    ("ij,jk", (M23, M34)), ("ij,jk->ik", (M23, M34)), ("ij,jk->ki", (M23, M34)), ("ij,jk->", (M23, M34)),
    ("i,j->ij", (V3, V4)), ("i,i", (V3, V3)), ("i,i->i", (V3, V3 + 1)), ("ij,ij->ij", (M23, M23 + 1)),
    ("ij,ij->i", (M23, M23 + 1)), ("ij,j", (M23, V3)), ("ijk,kl->ijl", (B, M34)), ("bij,bik->bjk", (B, B + 1)),
    ("bij,bij->b", (B, B + 1)), ("...ij,...jk->...ik", (B, M34)), ("...ij,jk", (B, M34)),
    ("...i,...i", (B, V3)), ("i...,i...", (B, sample((5, 2, 3)))), ("ii,i->i", (M44, V4)), ("ii,jj->", (M44, M44)),
    ("ij,kl->ikjl", (M23, M34)), ("ij , jk -> ik", (M23, M34)), ("i,i->i", (sample((1,)), V3)),
    ("i,i", (sample((1,)), V3)),
    ("ij,jk,kl->il", (M23, M34, M44)), ("i,ij,jk,k", (sample((2,)), M23, M34, V4)), ("i,i,i->i", (V3, V3, V3)),
    ("ij,ij,ij->", (M23, M23, M23)), (",ij->ij", (np.float64(2.0), M23)), ("ijk,ilm,njm,nlk->", (
        sample((2, 3, 2)), sample((2, 2, 3)), sample((2, 3, 3)), sample((2, 2, 2)))),
    ("aij,bjk->abik", (B, sample((2, 3, 2)))), ("ij,kj->", (M23, sample((4, 3)))), ("Zi,ai->aZ", (M23, sample((4, 3)))),
]  # fmt: skip


@pytest.mark.parametrize(("subscripts", "operands"), EINSUM, ids=[f"{s}/{len(o)}" for s, o in EINSUM])
def test_einsum(subscripts, operands):
    check(lambda *ops: np.einsum(subscripts, *ops), *operands, rtol=1e-11)


@pytest.mark.parametrize("optimize", [True, False, "greedy", "optimal", ["einsum_path", (0, 1, 2)]])
def test_einsum_optimize(optimize):
    check(lambda a, b, c: np.einsum("ij,jk,kl->il", a, b, c, optimize=optimize), M23, M34, M44, rtol=1e-11)


def test_einsum_operand_sublists():
    check(lambda a, b: np.einsum(a, [0, 1], b, [1, 2]), M23, M34, rtol=1e-11)
    check(lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), M23, M34, rtol=1e-11)
    check(lambda a, b: np.einsum(a, [Ellipsis, 1], b, [1, 2], [Ellipsis, 2]), B, M34, rtol=1e-11)


def test_einsum_dtypes_and_out():
    whole, flags = sample((3, 3), "whole"), sample((3, 3)) > 0
    check_value(lambda a: np.einsum("ij,jk->ik", a, a), whole)
    check_value(lambda a: np.einsum("ij,jk->ik", a, a), flags)
    check_value(lambda a: np.einsum("ij,jk", a, a), (whole * 40).astype(np.int8))
    check_value(lambda a: np.einsum("ij,j", a, a[0], dtype=np.int64, casting="unsafe"), M23)

    def written(a):
        out = np.zeros_like(a)
        assert np.einsum("ij,ij->ij", a, a, out=out) is out
        return out

    check(written, M23)


def test_einsum_of_one_operand_is_a_view():
    def trace_set(a):
        b = a * 1.0
        np.einsum("ij->ji", b)[0, 1] = 7.0
        return b

    check_value(trace_set, M44)


def test_einsum_path_is_numpys():
    paths = []
    arc.grad(lambda a: np.sum(a) + 0 * len(paths.append(np.einsum_path("ij,jk,kl", a, M34, M44)) or []))(M23)
    assert paths == [np.einsum_path("ij,jk,kl", M23, M34, M44)]


@pytest.mark.parametrize("call", [
    lambda a: np.einsum("ij,jk", a, a), lambda a: np.einsum("ij->ik", a), lambda a: np.einsum("ijk", a),
    lambda a: np.tensordot(a, a, 1), lambda a: np.cross(a, np.ones(4)), lambda a: np.linalg.multi_dot([a, a]),
    lambda a: np.linalg.matrix_power(a, 2), lambda a: np.linalg.outer(a, a),
    lambda a: np.linalg.cross(a[:, :2], a[:, :2]),
    lambda a: np.vander(a), lambda a: np.linalg.matrix_power(np.zeros_like(a[:, :2]), -1), lambda a: a @ a,
    lambda a: np.vecdot(a, a[:, :2]),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    with pytest.raises(Exception) as expected:
        call(M23)
    with pytest.raises(type(expected.value)) as raised:
        arc.compile(call)(M23)
    assert str(raised.value) == str(expected.value)


S33 = sample((3, 3)) + 3 * np.eye(3)
T3 = sample((2, 3, 3))
VALUES = {
    "tensordot": (lambda a, b: np.tensordot(a, b, 1), M23, M34),
    "tensordot 0": (lambda a, b: np.tensordot(a, b, 0), M23, M34),
    "tensordot 2": (lambda a, b: np.tensordot(a, b), M23, sample((2, 3, 2))),
    "tensordot axes": (lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])), B, sample((3, 5, 4))),
    "tensordot pair": (lambda a, b: np.tensordot(a, b, (0, -1)), M23, sample((4, 2))),
    "linalg.tensordot": (lambda a, b: np.linalg.tensordot(a, b, axes=1), M23, M34),
    "kron": (np.kron, M23, M34), "kron vectors": (np.kron, V3, V4), "kron mixed": (np.kron, V3, M23),
    "kron batch": (np.kron, B, M23),
    "cross": (np.cross, V3, V3[::-1].copy()), "cross rows": (np.cross, M23, M23 + 1),
    "cross mixed": (np.cross, M23, V3),
    "cross axes": (lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), sample((3, 4)), sample((4, 3))),
    "cross axis": (lambda a, b: np.cross(a, b, axis=0), sample((3, 4)), sample((3, 4), seed=1)),
    "linalg.cross": (lambda a, b: np.linalg.cross(a, b, axis=0), sample((3, 4)), sample((3, 4), seed=1)),
    "multi_dot": (lambda a, b, c: np.linalg.multi_dot([a, b, c]), M23, M34, M44),
    "multi_dot vectors": (lambda a, b, c: np.linalg.multi_dot([a, b, c, a[:1]]), V3, M34, sample((4, 1))),
    "multi_dot five": (lambda a, b: np.linalg.multi_dot([a, b, b.T, a.T, a]), M23, M34),
    "matrix_power 0": (lambda a: np.linalg.matrix_power(a, 0) * a, S33),
    "matrix_power 1": (lambda a: np.linalg.matrix_power(a, 1), S33),
    "matrix_power 5": (lambda a: np.linalg.matrix_power(a, 5), S33),
    "matrix_power -3": (lambda a: np.linalg.matrix_power(a, -3), S33),
    "matrix_power batch": (lambda a: np.linalg.matrix_power(a, 3), T3),
    "linalg.outer": (np.linalg.outer, V3, V4), "linalg.matmul": (np.linalg.matmul, M23, M34),
    "linalg.vecdot": (lambda a, b: np.linalg.vecdot(a, b, axis=0), M23, M23 + 1),
    "vecdot": (np.vecdot, M23, V3), "vecdot axis": (lambda a, b: np.vecdot(a, b, axis=0), M23, M23 + 1),
    "vecdot keepdims": (lambda a, b: np.vecdot(a, b, keepdims=True), M23, V3),
    "linalg.trace": (lambda a: np.linalg.trace(a, offset=1), T3),
    "matmul axes": (lambda a, b: np.matmul(a, b, axes=[(0, 1), (1, 0), (1, 0)]), M23, M23 + 1),
    "matmul batch": (np.matmul, B, sample((5, 3, 2))), "matmul vector": (np.matmul, V3, sample((2, 3, 4))),
    "vander": (np.vander, V3), "vander N": (lambda a: np.vander(a, 5, increasing=True), V3),
    "vander 1": (lambda a: np.vander(a, 1), V3),
}  # fmt: skip
if hasattr(np, "matvec"):
    VALUES["matvec"] = (np.matvec, B, V3)
    VALUES["vecmat"] = (np.vecmat, sample((5, 2)), B)
    VALUES["matvec axes"] = (lambda a, b: np.matvec(a, b, axes=[(0, 2), 0, 0]), B, sample((3, 2)))


@pytest.mark.parametrize("name", VALUES)
def test_products(name):
    function, *args = VALUES[name]
    check(function, *args, rtol=1e-11)


SECOND = [
    (lambda a: np.einsum("ij,jk,ik->ik", a, a.T @ a, a), M23), (lambda a: np.einsum("bij,bik->bjk", a, a), B),
    (lambda a: np.linalg.matrix_power(a, -2), S33), (lambda a: np.kron(a, a), M23),
    (lambda a: np.cross(a, a[::-1]), M23),
    (lambda a: np.tensordot(a, a, ([0, 1], [0, 1])), B), (lambda a: np.vander(a, 4), V3),
    (lambda a: np.matmul(a, np.swapaxes(a, 1, 2)), B), (lambda a: np.linalg.multi_dot([a, a.T, a]), M23),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(SECOND)))
def test_second_derivatives(case):
    check_second_order(*SECOND[case])


def test_whole_and_truth_values():
    whole, flags = sample((3, 3), "whole"), sample((3, 3)) > 0
    for function in (np.matmul, np.kron, np.linalg.outer, np.tensordot, np.vecdot):
        if function is np.linalg.outer:
            check_value(lambda a: np.linalg.outer(a[0], a[1]), whole)
            continue
        check_value(lambda a: function(a, a), whole)
    check_value(lambda a: np.matmul(a, a), flags)
    check_value(lambda a: np.linalg.matrix_power(a, 4), whole)
    check_value(lambda a: np.vander(a, 4), whole[0])
    check_value(lambda a: np.cross(a, a[::-1]), whole)


#: Shapes of two operands, batches broadcast in every way: written out, as one node, and a product for each matrix.
BATCHES = [
    ((2, 2, 3), (2, 3, 4)), ((3, 1, 2, 3), (2, 3, 2)), ((2, 1, 2, 1, 2), (1, 3, 2, 2, 3)), ((1, 5, 4), (3, 4, 5)),
    ((3, 1, 5, 4), (2, 4, 5)), ((4,), (2, 4, 3)), ((2, 3, 4), (1, 4, 1)), ((1, 2, 3), (1, 3, 2)),
    ((1100, 2, 2), (1, 2, 2)), ((3, 8, 30), (3, 30, 40)),
]  # fmt: skip


@pytest.mark.parametrize("engine", ["vm", "native"])
@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_batches_of_matrices(left, right, engine):
    a, b = sample(left), sample(right, seed=1)
    weights = sample(np.matmul(a, b).shape, seed=2)
    direction = sample(left, seed=3), sample(right, seed=4)

    def loss(a, b):
        return np.sum(weights * np.sin(np.matmul(a, b)))

    value, slopes = arc.value_and_grad(loss, (0, 1), engine=engine)(a, b)
    assert value == pytest.approx(loss(a, b), rel=1e-12)
    step = 1e-6
    beyond, before = (loss(*(x + h * d for x, d in zip((a, b), direction, strict=True))) for h in (step, -step))
    slope = sum(np.sum(s * d) for s, d in zip(slopes, direction, strict=True))
    assert slope == pytest.approx((beyond - before) / (2 * step), rel=1e-6, abs=1e-6)
    # A product is linear in each operand, so that its second derivative is exact, too.
    twice = arc.hvp(lambda a: np.sum(weights * np.matmul(a, b) ** 2), engine=engine)(a, direction[0])
    again = arc.grad(lambda a: np.sum(weights * np.matmul(a, b) ** 2), engine=engine)(direction[0])
    np.testing.assert_allclose(twice, again, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("edges", [[3, 4, 5], [9, 2, 7, 3], [2, 30, 1, 8, 40], [5, 3, 4, 7, 2, 6], [9, 1, 9, 1, 9, 2]])
def test_a_chain_of_matrices_is_multiplied_in_the_cheapest_order(edges):
    @functools.cache
    def least(i, j):
        if i == j:
            return 0
        return min(least(i, k) + least(k + 1, j) + edges[i] * edges[k + 1] * edges[j + 1] for k in range(i, j))

    split = contractions._splits(edges)

    def cost(i, j):
        if i == j:
            return 0
        k = split[i, j]
        return cost(i, k) + cost(k + 1, j) + edges[i] * edges[k + 1] * edges[j + 1]

    assert cost(0, len(edges) - 2) == least(0, len(edges) - 2)
