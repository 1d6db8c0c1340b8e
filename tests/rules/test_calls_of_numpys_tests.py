"""Calls that the tests of NumPy and SciPy themselves make, and that came out otherwise here: one row for each cause.

``python -m recorded_calls`` records all such calls and compares them.
"""

import functools
import inspect
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import archimedes_grad as arc

FLAT = np.array([3, 2, 1], dtype=np.uint8)
SMALL = np.array([11, -12, 13], dtype=np.int8)
SQUARE = np.sin(np.arange(9.0)).reshape(3, 3)
COMPLEX = np.array([1 + 2j, 3 - 1j, np.nan + 1j, 2])
TALL = np.sin(np.arange(18.0)).reshape(6, 3)
MASKED = np.ma.array([0.0, 1.0, 2.0], mask=[False, True, False])
UNMASKED = np.ma.array([0.0, 1.0, 2.0])


def placed(x, mask, values):
    y = x * 2
    np.place(y, mask, values)
    return y


CALLS = {
    "gradient over small whole numbers": (np.gradient, np.array([0, 2, 4]), FLAT),
    "histogram2d, edges of both": (np.histogram2d, SQUARE[0], SQUARE[1], np.linspace(-1.0, 1.0, 4)),
    "pad what has no entries": (lambda x: np.pad(x, ((3,), (0,), (1,)), mode="wrap"), np.zeros((2, 0, 2))),
    "pad what has no entries, by a ramp": (lambda x: np.pad(x, ((3,), (1,)), mode="constant"), np.zeros((2, 0))),
    "trim an array without axes": (np.trim_zeros, np.array(3.0)),
    "histogramdd, whole edges beside others": (
        lambda x, e: np.histogramdd(x, [e, [-1, 0, 1], np.arange(-1, 2, dtype=np.int8)]),
        SQUARE, np.array([-1.0, 0.5, 1.0]),
    ),
    "histogram2d, whole edges beside others": (
        lambda x, e: np.histogram2d(x[0], x[1], [e, np.array([-1, 0, 1])]), SQUARE, np.array([-1.0, 0.5, 1.0]),
    ),
    "eigenvalues of nothing": (np.linalg.eigvals, np.zeros((0, 0))),
    "eigenvalues of no matrices": (np.linalg.eigvals, np.zeros((0, 2, 2), np.float32)),
    "eigenvectors of nothing": (lambda a: tuple(np.linalg.eig(a)), np.zeros((2, 0, 0))),
    "eigenvalues of a complex matrix of nothing": (np.linalg.eigvals, np.zeros((0, 0), complex)),
    "place an empty list among whole numbers": (lambda x: placed(x, np.zeros(3), []), np.arange(3)),
    "place a list of floats among whole numbers": (lambda x: placed(x, [1, 0, 1], [5.7]), np.arange(3)),
    "vander of small whole numbers": (np.vander, SMALL),
    "vander of truth values": (np.vander, np.array([True, False])),
    "reduceat at traced places": (np.add.reduceat, SQUARE[0], np.array([0, 2])),
    "reduceat of nothing": (np.add.reduceat, SQUARE[0], np.zeros(0, dtype=np.int32)),
    "or of nothing": (np.bitwise_or.reduce, np.zeros(0, dtype=np.int16)),
    "exclusive or of nothing": (np.logical_xor.reduce, np.zeros(0, dtype=bool)),
    "einsum into whole numbers": (
        lambda x: np.einsum("ij,j", x, SMALL[:2], out=np.zeros_like(x[0]), dtype="f8", casting="unsafe"),
        np.array([[1, 2], [3, 4]], dtype=np.int8),
    ),
    "logspace to several bases": (lambda b: np.logspace(1, 2, num=6, base=b, axis=0), np.array([1.0, 2.0])),
    "logspace from several starts to several bases": (
        lambda a, b: np.logspace(a, 2, num=4, base=b, axis=-1), SQUARE[:, :1], np.array([1.0, 2.0]),
    ),
    "tensordot of complex arrays": (
        lambda a, b: np.abs(np.tensordot(a + 1j, b, axes=([1, 0], [0, 1]))) * 1.0, SQUARE[:2], SQUARE[:, :2],
    ),
    "convolve of complex arrays": (lambda a: np.convolve(a + 1j, a, mode="same").real, SQUARE[0]),
    "a sum of complex entries that are not nan": (np.nansum, COMPLEX),
    "a sum of complex entries from a number on": (lambda z: np.nansum(z, initial=2 + 1j), COMPLEX),
    "complex entries padded by a ramp": (lambda z: np.pad(z, 2, mode="linear_ramp", end_values=3), COMPLEX[:2]),
    "complex entries padded by numbers": (lambda z: np.pad(z, (2, 1), constant_values=(3, 1j)), COMPLEX[:2]),
    "differences of complex entries and others": (lambda z: np.diff(z, prepend=1.0, append=2j), COMPLEX[:2]),
    "truth values like complex ones": (lambda z: np.ones_like(z, dtype=bool), COMPLEX),
    "logarithms of complex numbers in single precision": (np.log2, COMPLEX[:2].astype(np.complex64)),
    "inverses of complex matrices in single precision": (
        np.linalg.inv, np.array([[1.0, 3.0j], [0.5, 2.0]], dtype=np.complex64),
    ),
    "qr of no columns": (lambda a: np.linalg.qr(a, mode="complete"), np.zeros((2, 3, 0))),
    "determinant of nothing": (np.linalg.det, np.zeros((0, 0))),
    "logarithm of the determinant of nothing": (lambda a: tuple(np.linalg.slogdet(a)), np.zeros((0, 0))),
    "places of a grid": (lambda i, j: np.ravel_multi_index([i, j], (3, 6)), np.array([[1], [2]]), np.array([1, 2, 3])),
    "transform along an axis twice": (lambda x: np.fft.rfftn(x, axes=(0, 0, 1), s=(3, 4, 6)).real, SQUARE),
    "an unmasked array beside": (lambda x: x * UNMASKED, SQUARE[0]),
    "eigenvectors by a driver": (lambda a: scipy.linalg.eigh(a + a.T, driver="ev"), SQUARE + np.eye(3)),
    "singular vectors by a driver": (lambda a: scipy.linalg.svd(a, lapack_driver="gesvd"), SQUARE + np.eye(3)),
    "least squares by a driver": (lambda a, b: scipy.linalg.lstsq(a, b, lapack_driver="gelsy"), TALL, TALL[:, 0]),
    "least squares of nothing": (scipy.linalg.lstsq, np.zeros((0, 0)), np.zeros(0)),
    "least squares of nothing, several": (scipy.linalg.lstsq, np.zeros((0, 0)), np.zeros((0, 2))),
    "least squares without unknowns": (scipy.linalg.lstsq, np.zeros((3, 0)), SQUARE[0]),
    "least squares without equations": (scipy.linalg.lstsq, np.zeros((0, 2)), np.zeros((0, 3))),
    "double factorials of no complex numbers": (
        lambda n: scipy.special.factorial2(n, extend="complex"), np.zeros((0, 3), np.complex64),
    ),
    "triple factorials of no complex numbers": (
        lambda n: scipy.special.factorialk(n, 3, extend="complex"), np.zeros(0, complex),
    ),
    "an equation of one number": (scipy.linalg.solve, SQUARE[:1, 1:2], SQUARE[0]),
    "an equation of a number without axes": (scipy.linalg.solve, 2.0, SQUARE[0]),
    "an equation of numbers": (lambda a, b: scipy.linalg.solve(a, b, assume_a="pos"), 2.0, 3.0),
    "choices with repetition": (
        lambda n, k: scipy.special.comb(n, k, repetition=True),
        np.array([0.0, 0.0, 1.0, 3.0, -1.0, 4.5]), np.array([0.0, 1.0, 0.0, 2.0, 2.0, 0.0]),
    ),
    "entropy beside what is nearly the same": (
        scipy.special.rel_entr, np.array([0.5, 0.3, 0.7]), np.array([0.5 * (1 + 1e-12), 0.3, 0.7 * (1 - 1e-9)]),
    ),
    "logarithm of a tail at the end of the numbers": (scipy.special.log_ndtr, np.array([-1.896150381e154, 3.0])),
}  # fmt: skip


def _require_same(got, expected):
    if isinstance(expected, tuple | list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            _require_same(one, other)
        return
    assert (got is None) == (expected is None)
    if expected is not None:
        assert isinstance(got, np.ndarray) == isinstance(expected, np.ndarray)
        assert np.asarray(got).dtype == np.asarray(expected).dtype
        single = np.asarray(expected).dtype in (np.float32, np.complex64)
        np.testing.assert_allclose(got, expected, rtol=1e-6 if single else 1e-13, atol=1e-15)
        assert np.shape(got) == np.shape(expected)


@pytest.mark.parametrize("case", CALLS)
def test_as_numpy(case):
    function, *arguments = CALLS[case]
    _require_same(arc.compile(lambda *args: function(*args))(*arguments), function(*arguments))


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), 2])
def test_products_begin_with_the_initial_value(axis):
    x = np.exp(np.sin(np.arange(3.0 * 40 * 2))).reshape(3, 40, 2)
    for program in (
        lambda x, c: np.prod(x, axis=axis, initial=c), lambda x, c: np.nanprod(x, axis, initial=c),
        lambda x, c: np.multiply.reduce(x, axis, initial=c), lambda x, c: x.prod(axis, initial=c, where=x > 1),
    ):
        np.testing.assert_array_equal(arc.compile(program)(x, 0.3), program(x, 0.3))
    slope = arc.grad(lambda c, x: np.sum(np.prod(x, axis=axis, initial=c)))(0.3, x)
    np.testing.assert_allclose(slope, np.sum(np.prod(x, axis=axis)))
    assert arc.compile(lambda x: np.prod(x, initial=1e-200))(np.array([1e200, 1e200])) == 1e200


@pytest.mark.parametrize("function", [np.sum, np.prod, np.max, np.min])
def test_initial_values_are_cast_as_the_entries_are(function):
    for entries in (np.array([2, 3]), np.array([0.1, 0.7], np.float32), np.zeros(0, int)):
        for initial in (2.5, np.float64(0.3), True):
            program = functools.partial(function, initial=initial)
            _require_same(arc.compile(lambda x: program(x))(entries), program(entries))


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.4.0", reason="this NumPy trims along axes only")
def test_what_is_trimmed_along_no_axis_is_returned():
    for x in (0.0, np.zeros((2, 3))):
        _require_same(arc.compile(lambda x: np.trim_zeros(x, axis=()))(x), np.trim_zeros(x, axis=()))
        assert arc.compile(lambda x: np.trim_zeros(x, axis=()) is x)(x)


def test_slopes_of_equations_of_one_number_and_of_residues_without_unknowns():
    def by_number(a, b):
        return scipy.linalg.solve(a, b)

    by_a, by_b = arc.jac(by_number, argnums=(0, 1))(2.0, SQUARE[0])
    np.testing.assert_allclose(by_a, -SQUARE[0] / 4)
    np.testing.assert_allclose(by_b, np.eye(3) / 2)
    with pytest.raises(np.linalg.LinAlgError):
        arc.compile(by_number)(0.0, SQUARE[0])
    residue = arc.grad(lambda b: scipy.linalg.lstsq(np.zeros((3, 0)) * b[0], b)[1])
    np.testing.assert_allclose(residue(SQUARE[0]), 2 * SQUARE[0])


ONE_TRIANGLE = np.where(np.triu(np.ones((3, 3)), 1) > 0, np.nan, SQUARE + 3 * np.eye(3))


@pytest.mark.skipif("assume_a" not in inspect.signature(scipy.linalg.inv).parameters, reason="this SciPy asks for all")
@pytest.mark.parametrize("name", ["inv", "solve"])
def test_of_one_triangle_the_other_is_not_read(name):
    def program(a):
        right = () if name == "inv" else (SQUARE[0],)
        return getattr(scipy.linalg, name)(a, *right, assume_a="sym", lower=True, check_finite=False)

    _require_same(arc.compile(program)(ONE_TRIANGLE), program(ONE_TRIANGLE))


class Metres(np.ndarray):
    """An array with arithmetic of its own."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return NotImplemented


REFUSED = {
    "a masked array": (lambda x: x * MASKED, "MaskedArray.*mask"),
    "a masked array on the left": (lambda x: MASKED * x, ""),
    "a masked array in an integral": (lambda x: np.trapezoid(x, MASKED), "MaskedArray.*mask"),
    "a matrix": (lambda x: x * SQUARE.view(np.matrix), "matrix, whose \\* is a matrix product"),
    "an array with arithmetic of its own": (lambda x: x * SQUARE[0].view(Metres), "Metres.*arithmetic of its own"),
    "a mean in complex numbers": (lambda x: np.mean(x, dtype=complex), "complex128.*real numbers"),
    "a variance in complex numbers": (lambda x: np.var(x, dtype=complex), "complex128.*real numbers"),
    "a stack of blocks": (lambda x: scipy.linalg.block_diag(x[None, None], x), "stack of matrices"),
    "a stack of factors": (
        lambda x: scipy.linalg.cho_solve((np.stack([np.outer(x, x)] * 2), np.array([True, False])), np.ones(3)),
        "cho_solve got a traced stack of matrices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    function, words = REFUSED[case]
    with pytest.raises(arc.TraceError, match=f"(?s){words}.*test_calls_of_numpys_tests"):
        arc.compile(function)(SQUARE[0])


def test_refusals_on_the_way_into_lapack_leave_counts_of_references_alone():
    # SciPy's interface to LAPACK gave a dtype back that it had not taken: some 300 refused calls were a crash.
    def program(x):
        return scipy.linalg.rsf2csf(np.outer(x, x), np.eye(3))[0]

    dtypes = [np.dtype(kind) for kind in (float, complex)]
    before = [sys.getrefcount(dtype) for dtype in dtypes]
    for _ in range(100):
        with pytest.raises(arc.TraceError, match="rsf2csf got a traced value"):
            arc.compile(program)(SQUARE[0])
    assert all(sys.getrefcount(dtype) > count - 50 for dtype, count in zip(dtypes, before, strict=True))


def test_unknown_driver_is_scipys_error():
    with pytest.raises(ValueError, match="unknown"):
        arc.compile(lambda a: scipy.linalg.eigh(a, driver="wrong"))(np.eye(2))


def test_entropy_of_what_is_nearly_the_same_has_its_slope():
    x, y = np.array([0.5, 0.7]), np.array([0.5 * (1 + 1e-12), 0.7])
    slope = arc.grad(lambda x: np.sum(scipy.special.rel_entr(x, y)))(x)
    np.testing.assert_allclose(slope, np.log1p((x - y) / y) + 1, rtol=1e-15)
