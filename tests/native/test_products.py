"""Matrix products of compiled code: every shape of the kernel's vectors, strips and depths, and what BLAS takes."""


import numpy as np
import pytest
from helpers import needs_compiler

import archimedes_grad as arc

pytestmark = [needs_compiler, pytest.mark.usefixtures("modules_cache")]

RNG = np.random.default_rng(17)


#: Rows, inner and columns: whole vectors and strips, one row beyond, less than one, more than one depth, BLAS.
SIZES = [
    (64, 64, 64), (24, 24, 24), (25, 17, 31), (23, 40, 9), (2, 2, 2_000), (2_000, 2, 2), (3, 1_500, 2), (7, 300, 8),
    (8, 257, 7), (49, 513, 33), (100, 1_000, 3), (5, 6, 700), (52, 321, 34), (128, 170, 17), (401, 402, 403),
]  # fmt: skip


@pytest.mark.parametrize("transposed", ["", "left", "right", "both"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_are_numpys(size, transposed):
    rows, inner, columns = size
    a, b = RNG.normal(size=(rows, inner)), RNG.normal(size=(inner, columns))
    turn_a, turn_b = transposed in ("left", "both"), transposed in ("right", "both")

    def product(a, b):
        return (a.T if turn_a else a) @ (b.T if turn_b else b)

    given = (a.T.copy() if turn_a else a), (b.T.copy() if turn_b else b)
    bound = 4e-16 * np.sqrt(inner) * (np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=0))
    assert np.all(np.abs(arc.compile(product, engine="native")(*given) - a @ b) <= bound)


@pytest.mark.parametrize("size", SIZES[:-1], ids=str)
def test_what_is_not_finite_stays_in_its_row_and_column(size):
    rows, inner, columns = size
    a, b = RNG.normal(size=(rows, inner)), RNG.normal(size=(inner, columns))
    a[-1, -1], b[-1, 0] = np.nan, np.inf
    got = arc.compile(lambda a, b: a @ b, engine="native")(a, b)
    assert np.isnan(got[-1]).all()
    assert np.isinf(got[:-1, 0]).all()
    np.testing.assert_allclose(got[:-1, 1:], a[:-1] @ b[:, 1:], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [(24, 24, 24), (25, 17, 31), (5, 6, 700), (49, 513, 33)], ids=str)
def test_gradients_of_products_are_the_interpreters(size):
    rows, inner, columns = size
    a, b = RNG.normal(size=(rows, inner)), RNG.normal(size=(inner, columns))

    def function(a, b):
        return np.sum(np.tanh(a @ b / inner) ** 2)

    expected = arc.grad(function, (0, 1), engine="vm")(a, b)
    for got, wanted in zip(arc.grad(function, (0, 1), engine="native")(a, b), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-13 * np.max(np.abs(wanted)))


BATCHES = {
    "one behind another": ("bij,bjk->bik", (6, 20, 30), (6, 30, 25)),
    "transposed": ("bji,bkj->bik", (6, 30, 20), (6, 25, 30)),
    "by rows": ("bij,bjk->bki", (6, 20, 30), (6, 30, 25)),
    "one matrix for all": ("ij,bjk->bik", (20, 30), (6, 30, 25)),
    "two axes of batches": ("abij,abjk->abik", (2, 3, 20, 30), (2, 3, 30, 25)),
    "batches inside": ("ijb,jkb->bik", (20, 30, 6), (30, 25, 6)),
    "summed over batches": ("bij,bjk->ik", (6, 20, 30), (6, 30, 25)),
}


@pytest.mark.parametrize("case", BATCHES, ids=str)
def test_batches_of_products_are_numpys(case):
    subscripts, left, right = BATCHES[case]
    a, b = RNG.normal(size=left), RNG.normal(size=right)
    got = arc.compile(lambda a, b: np.einsum(subscripts, a, b), engine="native")(a, b)
    np.testing.assert_allclose(got, np.einsum(subscripts, a, b), rtol=1e-11, atol=1e-12)

    def function(a, b):
        return np.sum(np.sin(np.einsum(subscripts, a, b)))

    expected = arc.grad(function, (0, 1), engine="vm")(a, b)
    for result, wanted in zip(arc.grad(function, (0, 1), engine="native")(a, b), expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-11, atol=1e-12)


#: Sums of a product that is not computed for them.
SUMS = {
    "over rows": lambda a, b: np.sum(a @ b, axis=0),
    "over columns": lambda a, b: np.sum(a @ b, axis=1),
    "over both": lambda a, b: np.sum(a @ b),
    "of a transposed product": lambda a, b: np.sum((a @ b).T, axis=0),
    "scaled and negated": lambda a, b: np.sum(-2.0 * (a @ b) * a[0, 0], axis=1),
    "over rows and some columns": lambda a, b: np.sum((a @ b).reshape(25, 2, 20), axis=(0, 2)),
}
OTHER_SUMS = {
    "over columns of a batch": lambda a, b: np.sum(np.stack([a, 2.0 * a, a**2]) @ b, axis=2),
    "over rows of a batch": lambda a, b: np.sum(a @ np.stack([b, -b, b**2]), axis=1),
    "over both axes of a batch": lambda a, b: np.sum(np.stack([a, -a]) @ b, axis=(1, 2)),
    "over the batch": lambda a, b: np.sum(np.stack([a, 2.0 * a, a**2]) @ b, axis=0),
    "of some columns": lambda a, b: np.sum((a @ b)[:, :20], axis=1),
    "of squares": lambda a, b: np.sum((a @ b) ** 2, axis=0),
}


@pytest.mark.parametrize("case", SUMS | OTHER_SUMS, ids=str)
def test_sums_of_products_are_numpys(case):
    function = (SUMS | OTHER_SUMS)[case]
    a, b = RNG.normal(size=(25, 30)), RNG.normal(size=(30, 40))
    native = arc.compile(function, engine="native")
    np.testing.assert_allclose(native(a, b), function(a, b), rtol=1e-11, atol=1e-11)
    # The sum of infinities of both signs is nan, and a product of theirs infinite: the same entries are finite.
    a[3, 5], b[5, 7] = np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        expected = function(a, b)
    got = native(a, b)
    are_finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(got), are_finite)
    np.testing.assert_allclose(got[are_finite], expected[are_finite], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", SUMS, ids=str)
def test_a_product_that_is_only_summed_is_not_computed(case, tmp_path):
    a, b = RNG.normal(size=(25, 30)), RNG.normal(size=(30, 40))
    source, _ = arc.compile(SUMS[case]).codegen(tmp_path / "sums.c", a, b)
    assert "matrix_product(data" not in source.read_text()


def test_matrices_that_lie_in_a_larger_array_leave_the_rest_of_it_alone():
    a, b = RNG.normal(size=(40, 60)), RNG.normal(size=(50, 40))
    a[:, 23:], b[30:] = np.nan, np.nan

    def function(a, b):
        return a[:, 2:23] @ b[3:24, 5:30]

    got = arc.compile(function, engine="native")(a, b)
    np.testing.assert_allclose(got, function(a, b), rtol=1e-11, atol=1e-12)


def test_repeated_places_add_up():
    places = np.repeat(np.arange(30), 40)
    x = RNG.normal(size=30)
    got = arc.grad(lambda x: np.sum(x[places] ** 3), engine="native")(x)
    np.testing.assert_allclose(got, 120 * x**2, rtol=1e-13)
