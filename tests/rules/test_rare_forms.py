"""Arguments that are seldom given, empty operands and refusals: lines of the rules that no other test ran."""

import copy

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.special
import scipy.stats
from helpers import check, check_value

import archimedes_grad as arc

FIVE = np.array([0.3, -1.2, 2.5, 0.9, -0.4])
GRID = np.linspace(-2.0, 2.0, 12).reshape(3, 4) + np.eye(3, 4)
MASK = np.array([True, False, True, True, False])
LONG = np.sin(np.arange(2100.0))
#: No two are near each other: differences keep their order.
APART = np.random.default_rng(3).permutation(np.linspace(-3.0, 3.0, 120))
SPARSE = scipy.sparse.csr_array(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]) + np.eye(5, k=2))
CLIP = np._core.umath.clip
CELLS = np.array([[0.2, 0.6], [1.4, -0.3], [0.7, 0.9]])


def clipped_into(x):
    y = x * 2.0
    np.clip(x, -0.5, 0.7, out=y, where=MASK)
    return y


def partitioned(x):
    y = x * 1.0
    y.partition(2)
    return np.sort(y[:2])


def added_into(x):
    y = x * 0.0
    np.add(x, 1.0, y)
    return y


def written_by(function):
    def program(x):
        y = np.zeros_like(function(x))
        return function(x, out=y) * 2.0 + y

    return program


def modf_into(x):
    fraction, whole = np.zeros_like(x), np.zeros_like(x)
    np.modf(x, fraction, whole)
    return fraction + 2 * whole


def put_nothing(x):
    y = x * 1.0
    y.put([], [])
    return y


def over_axes(x):
    return np.apply_along_axis(lambda row, a: row * a[: row.size], 1, np.arange(6.0).reshape(2, 3), x)


FORMS = {
    "accumulate of nothing": (lambda x: np.subtract.accumulate(x[:0]), FIVE),
    "reduceat of no columns": (lambda x: np.multiply.reduceat(x[:, :0], [0, 1]), GRID),
    "reduce with a dtype": (lambda x: np.logaddexp.reduce(x, dtype=float), FIVE),
    "reduce of nothing": (lambda x: np.logaddexp.reduce(x[:0]) + x, FIVE),
    "reduce of nothing along an axis": (lambda x: np.hypot.reduce(x[:0], axis=0), GRID),
    "cumsum of a number": (lambda x: np.cumsum(x[0]), FIVE),
    "cumprod of a number": (lambda x: np.cumprod(x[1], axis=0), FIVE),
    "clip, where": (clipped_into, FIVE),
    "choose, clip": (lambda x: np.choose(np.array([0, 5, -3, 1, 2]), [x, 2 * x, x**2], mode="clip"), FIVE),
    "choose, wrap": (lambda x: np.choose(np.array([0, 5, -3, 1, 2]), [x, 2 * x, x**2], mode="wrap"), FIVE),
    "piecewise, plain conditions": (lambda x: np.piecewise(x, [True, False], [np.sin, 0.0]), np.float64(0.3)),
    "inv of a stack of stacks": (np.linalg.inv, np.eye(2) * 3 + np.sin(np.arange(24.0)).reshape(2, 3, 2, 2)),
    "bincount of nothing": (lambda x: np.bincount(np.array([], int), weights=x[:0], minlength=3), FIVE),
    "histogramdd of columns": (lambda x: np.histogramdd(list(CELLS.T), bins=2, weights=x[:3])[0], FIVE),
    "histogram2d, one list of edges": (
        lambda x: np.histogram2d(CELLS[:, 0], CELLS[:, 1], bins=[0.0, 0.5, 1.0, 2.0], weights=x[:3])[0], FIVE,
    ),
    "along an axis of a plain array": (over_axes, FIVE),
    "dot into": (written_by(lambda x, out=None: np.dot(x, x.T, out=out)), GRID),
    "outer into": (written_by(lambda x, out=None: np.outer(x, x + 1, out=out)), FIVE),
    "outer of nothing": (lambda x: np.outer(x[:0], x), FIVE),
    "corrcoef of one variable": (lambda x: np.corrcoef(x) * x[0], FIVE),
    "nanmax, where": (lambda x: np.nanmax(x, where=MASK, initial=-9.0), FIVE),
    "partition in place": (partitioned, FIVE),
    "vander, falling powers": (lambda x: np.vander(x, 3), FIVE),
    "vander, rising powers": (lambda x: np.vander(x, 3, increasing=True), FIVE),
    "vander of no columns": (lambda x: np.vander(x, 0), FIVE),
    "polyint, one constant for all": (lambda p: np.polyint(p, 3, k=0.5), FIVE),
    "roots of a monomial": (lambda p: np.roots(p * np.array([0.0, 0.0, 1.0, 0.0, 0.0])), FIVE),
    "add into the third argument": (added_into, FIVE),
    "nothing written through a mask": (lambda x: _nothing_written(x), FIVE),
    "cond of a singular matrix": (lambda a: np.linalg.cond(a * 0.0), np.eye(2)),
    "nanquantile with weights": (
        lambda x: np.nanquantile(x, 0.4, weights=np.arange(1.0, 6.0), method="inverted_cdf"),
        np.array([0.3, np.nan, 2.5, 0.9, -0.4]),
    ),
    "matmul with axes of the result": (
        lambda x: np.matmul(x, np.sin(x), axes=[(1, 2), (1, 2), (0, 1)]), np.linspace(-1.0, 1.0, 18).reshape(2, 3, 3),
    ),
    "log gamma about 2": (scipy.special.gammaln, np.linspace(1.4, 2.6, 9)),
    "take at places of the run": (lambda x: np.take(x, np.argsort(x)[:40]) ** 2, APART[:60]),
    "take at places of the run, an axis": (
        lambda x: np.take(x.reshape(2, 60), np.argsort(x[:60])[:40].reshape(4, 10), axis=1), APART,
    ),
    "take_along_axis of the run": (
        lambda x: np.take_along_axis(x.reshape(60, 2), np.argsort(x.reshape(60, 2), axis=0), axis=0), APART,
    ),
    "take_along_axis of the run, flat": (lambda x: np.take_along_axis(x, np.argsort(x), axis=None), APART[:60]),
    "frexp of many": (lambda x: np.frexp(x)[0] * 1.0, LONG),
    "full of a plain number": (lambda x: np.full((2, 5), 1.5, like=x) * x, FIVE),
    "matmul with a complex matrix": (lambda x: np.abs(np.matmul(x, np.exp(1j * np.arange(8.0).reshape(4, 2)))), GRID),
    "vecdot with a complex vector": (lambda x: np.abs(np.vecdot(x, np.exp(1j * np.arange(4.0)))), GRID),
    "add.reduce of complex numbers": (lambda x: np.abs(np.add.reduce(x * np.exp(1j * x), axis=0)), GRID),
    "a complex copy": (lambda x: np.abs((x * 1j + 1).copy()), FIVE),
    "a cast to complex numbers": (lambda x: np.abs((x * 1j + 1).astype(complex)), FIVE),
    "the ufunc of clip": (lambda x: CLIP(x, -0.5, 1.0), FIVE),
    "the ufunc of clip, into": (written_by(lambda x, out=None: CLIP(x, -0.5, 1.0, out=out)), FIVE),
    "trim_zeros of a list": (lambda x: np.stack(np.trim_zeros([x[0] * 0, x[1], x[2], 0.0 * x[1]])), FIVE),
    "trim_zeros of zeros": (lambda x: np.trim_zeros(x * 0.0), FIVE),
    "argsort of a number": (lambda x: np.argsort(x[0]), FIVE),
    "lexsort of numbers": (lambda x: np.lexsort((x[0], x[1])), FIVE),
    "expm of nothing": (lambda x: scipy.linalg.expm(x), np.zeros((0, 0))),
    "no equations with a triangle": (lambda x: scipy.linalg.solve_triangular(x, x), np.zeros((0, 0))),
    "vectorize of nothing": (
        lambda x: np.vectorize(lambda a: a.sum(), signature="(n)->()", otypes=[float])(x[:0]), GRID,
    ),
    "modf into the places of two": (modf_into, FIVE),
    "put of nothing": (lambda x: put_nothing(x), FIVE),
    "copies of the module": (lambda x: copy.copy(x) * copy.deepcopy(x), FIVE),
    "bytes and strides": (lambda x: x * x.nbytes + x.itemsize + x[::2].strides[0], FIVE),
    "device": (lambda x: x.to_device("cpu") * (x.device == "cpu"), FIVE),
    "base": (lambda x: x[1:] * (x[1:].base is not None) * (x.base is None), FIVE),
    "histogramdd of lists": (
        lambda x: np.histogramdd([[0.2, 1.4, 0.7], [0.6, -0.3, 0.9]], bins=2, weights=x[:3])[0], FIVE,
    ),
    "polyval at traced points": (lambda x: np.polynomial.polynomial.polyval(x, [1.0, 2.0, 3.0]), FIVE),
    "a sparse matrix and a vector": (lambda x: SPARSE @ x, FIVE),
    "a sparse matrix and a matrix": (lambda x: SPARSE @ x.T, np.stack([FIVE, FIVE**2])),
    "norm of nothing": (lambda x: np.linalg.norm(x[:0], np.inf) + x, FIVE),
    "matrix norm of nothing": (lambda x: np.linalg.norm(x[:, :0], 2) + x, GRID),
    "vector norm of nothing": (lambda x: np.linalg.vector_norm(x[:0], ord=3) + x, FIVE),
    "fft of nothing, longer": (lambda x: np.fft.fft(x[:0].reshape(2, 0), n=5, axis=0).imag, FIVE),
    "logsumexp of nothing": (lambda x: scipy.special.logsumexp(x[:0]) * 0 + x, FIVE),
    "poly of nothing": (lambda x: np.poly(x[:0]) * x, FIVE),
    "cov, weights in a list": (lambda x: np.cov(x, fweights=[1, 2, 1, 3, 1], aweights=[0.5, 1.0, 1.5, 1.0, 2.0]), FIVE),
}  # fmt: skip


def _nothing_written(x):
    y = x * 2.0
    y[np.zeros(5, bool)] = x[:0]
    return y


#: Differences do not know these: nan and inf among the values, jumps, or nothing that depends on the argument.
WITHOUT_SLOPE = (
    "nanquantile with weights", "roots of a monomial", "reduce of nothing", "cond of a singular matrix",
    "frexp of many", "trim_zeros of zeros", "argsort of a number", "lexsort of numbers", "expm of nothing",
    "no equations with a triangle", "norm of nothing", "matrix norm of nothing", "vector norm of nothing",
    "logsumexp of nothing",
)  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_seldom_given(case):
    function, at = FORMS[case]
    check(function, at, gradient=case not in WITHOUT_SLOPE)


def test_whole_parts_of_complex_arrays():
    def program(x):
        halves = np.array_split(x[:4] + 1j * x[1:], 2)
        return np.real(halves[0] * halves[1]), np.imag(np.matmul(x[:4] + 1j, x[1:] * 2j))

    check_value(program, FIVE)


def truths(x):
    both = np.logical_and([x[0] > 0, x[1] > 0], [x[2] > 0, x[3] > 0])
    number = x[4] if all([x[0], x[1]]) and bool(x[2]) and not x[0] * 0 else x[3]
    return both, np.logical_and(x, x > 0), np.logical_not(x), np.logical_and(x[0], bool(x[1])), number


def test_truths_that_python_asks_for_beside_logical_functions():
    check_value(truths, FIVE)


def test_eigenvalues_of_a_stack_of_stacks():
    stack = np.cos(np.arange(243.0)).reshape(1, 3, 9, 9) + np.diag(np.arange(9.0) * 3)
    check_value(lambda a: np.linalg.eigvalsh(a), stack)


ROW = np.array([3, 200, 7], np.uint8)


@pytest.mark.parametrize(("function", "at"), [
    (lambda x: np.linspace(x, 1, 3, endpoint=False), ROW), (lambda x: np.linspace(250, x, 3, retstep=True), ROW),
    (lambda x: np.linspace(x, x[0] * 2, 3), FIVE.astype(np.float32)),
    (lambda x: np.maximum.outer(x, 0.5), FIVE.astype(np.float32)), (lambda x: np.add.outer(3, x), ROW),
    (lambda x: np.inner(x, 2), FIVE.astype(np.float32)), (lambda x: np.clip(x, 5, 300), ROW),
    (lambda x: np.clip(x, -1, 100), ROW), (lambda x: np.clip(x, -300, None), ROW.astype(np.int8)),
    (lambda x: np.polyadd(x, [1]), GRID[:, :3]), (lambda x: np.polysub([1.0, 2.0], x), FIVE),
    (lambda x: np.dot(x, 2), FIVE.astype(np.float32)), (lambda x: np.dot(300, x), ROW),
    (lambda x: x**2, MASK), (lambda x: x**3, MASK), (lambda x: pow(x, 2), MASK), (lambda x: x.conj(), MASK),
    (lambda x: x.conjugate() + x, ROW),
], ids=lambda given: str(getattr(given, "dtype", "")))  # fmt: skip
def test_dtypes_of_plain_numbers_beside_arrays(function, at):
    check_value(function, at)


def test_conj_of_real_numbers_is_the_array_itself():
    def program(x):
        y = x * 1.0
        y.conj()[0] = x[1]
        return y

    check(program, FIVE)


@pytest.mark.parametrize("signature", ["(n)->()", "(n)->(k,m)", "(n)->(n,n)"])
def test_vectorize_takes_no_result_of_another_shape_than_its_signature(signature):
    with pytest.raises(ValueError, match=r"."):
        np.vectorize(lambda v: v * 2, signature=signature)(GRID)
    with pytest.raises(ValueError, match=r"."):
        arc.compile(lambda x: np.vectorize(lambda v: v * 2, signature=signature)(x))(GRID)


def test_exponents_of_many():
    check_value(lambda x: np.frexp(x)[1], LONG)


def test_common_entries_with_their_places():
    def program(x):
        return np.intersect1d(x, np.array([2.5, 0.3, 7.0]), return_indices=True)

    check_value(program, FIVE)


def test_distinct_entries_keep_every_nan():
    with_nan = np.array([0.3, np.nan, 2.5, np.nan, 0.3])
    check_value(np.unique_values, with_nan)
    check_value(lambda x: tuple(np.unique_counts(x)), with_nan)


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors:DeprecationWarning")
def test_cross_product_in_the_plane():
    try:
        np.cross(FIVE[:2], FIVE[1:3])
    except ValueError:
        pytest.skip("this NumPy has it in space only")
    check(lambda x: np.cross(x[:2], x[1:3]), FIVE)


REFUSED = {
    "where without a neutral number": (
        lambda x: np.arctan2.reduce(x, where=MASK, initial=1.0), arc.TraceError, "got where=",
    ),
    "clip, where without out": (lambda x: np.clip(x, 0, 1, where=MASK), arc.TraceError, "uninitialised"),
    "bins by a rule": (lambda x: np.histogram(x, bins="auto")[0], arc.TraceError, "bins='auto'"),
    "along an axis of nothing": (
        lambda x: np.apply_along_axis(np.sum, 1, x.reshape(1, 5)[:0]), ValueError, "iteration dimensions are 0",
    ),
    "over axes, a wrong shape": (
        lambda x: np.apply_over_axes(lambda a, axis: a[None, None], x, [0]), ValueError, "correct shape",
    ),
    "inner, lengths that differ": (lambda x: np.inner(x, x[:3]), ValueError, "not aligned"),
    "pinv, several tolerances": (
        lambda x: np.linalg.pinv(np.outer(x, x)[None], rcond=np.array([1e-3])), arc.TraceError,
        "one plain number as rcond=",
    ),
    "a ufunc without a rule": (lambda x: np.nextafter(x, 1.0), arc.TraceError, "numpy.nextafter"),
    "a function of SciPy": (scipy.special.sici, arc.TraceError, "scipy.special.sici does not take"),
    "a plain array at floats": (
        lambda x: FIVE[x], IndexError, r"(?s)only integers.*test_rare_forms\.py.*astype\(int\)",
    ),
    "an array at floats": (lambda x: x[x[0]], IndexError, "float64 cannot be an index"),
    "logical_and of lists": (
        lambda x: np.logical_and([x[0], x[1]], [1.0, x[2]]), arc.TraceError, r"(?s)logical_and got a list.*np\.array",
    ),
    "logical_not of a list": (
        lambda x: np.logical_not([x[0] > 0, x[1] > 0]), arc.TraceError, r"(?s)logical_not got a list.*np\.array",
    ),
    "logical_or of lists, reduced": (
        lambda x: np.logical_or.reduce([x[0], x[1]]), arc.TraceError, r"(?s)logical_or got a list.*np\.array",
    ),
    "a function on strings": (np.strings.isalpha, arc.TraceError, "it works on strings"),
    "a ufunc that Python made": (np.frompyfunc(lambda a: a, 1, 1), arc.TraceError, "object"),
    "a whole target of reals": (
        lambda x: np.add(x, 1.0, out=np.zeros_like(x, dtype=int)), TypeError, "Cannot cast ufunc 'add' output",
    ),
    "the smallest dtype of a number": (lambda x: np.min_scalar_type(x[0]), arc.TraceError, "depends on the number"),
    "solve of a band": (
        lambda x: scipy.linalg.solve(np.outer(x, x) + np.eye(5), x, assume_a="banded"), (arc.TraceError, ValueError),
        "assume_a|not a recognized",
    ),
    "a distribution without a formula": (
        lambda x: scipy.stats.norminvgauss.cdf(x, 1.0, 0.5), arc.TraceError, "norminvgauss.cdf has no formula",
    ),
    **{f"a cast to {kind}": (lambda x, kind=kind: x.astype(kind), arc.TraceError, "hold real numbers")
       for kind in (object, "U5", "M8[s]", "S3")},
    "a label": (lambda x: x["a"], IndexError, "no 'a'"),
    "an indexer of pandas": (lambda x: x.iloc[0], AttributeError, "no 'iloc'"),
    "a float as an index": (lambda x: np.insert(x, x[:1], 0.0), IndexError, "cannot be an index"),
    "vectorize, a wrong count": (
        lambda x: np.vectorize(lambda a, b: a, signature="(n),(n)->()")(x), TypeError, "wrong number of positional",
    ),
    "vectorize, too many results": (
        lambda x: np.vectorize(lambda a: (a[0], a[1]), signature="(n)->()")(x), ValueError, "wrong number of outputs",
    ),
    "vectorize, an array for a number": (
        lambda x: np.vectorize(lambda a: np.stack([a, a]))(x), ValueError, "setting an array element with a sequence",
    ),
    "at a plain target": (lambda x: np.add.at(np.zeros(5), [0], x[:1]), arc.TraceError, "numpy.add.at"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    function, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        arc.compile(function)(np.abs(FIVE) / 3)
