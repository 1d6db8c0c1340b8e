"""Arguments that are seldom given, empty operands and refusals: lines of the rules that no other test ran."""

import numpy as np
import pytest
import scipy.special
from helpers import check, check_value

import archimedes_grad as arc

FIVE = np.array([0.3, -1.2, 2.5, 0.9, -0.4])
GRID = np.linspace(-2.0, 2.0, 12).reshape(3, 4) + np.eye(3, 4)
MASK = np.array([True, False, True, True, False])
LONG = np.sin(np.arange(2100.0))
#: No two are near each other: differences keep their order.
APART = np.random.default_rng(3).permutation(np.linspace(-3.0, 3.0, 120))
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
}  # fmt: skip


def _nothing_written(x):
    y = x * 2.0
    y[np.zeros(5, bool)] = x[:0]
    return y


#: Differences do not know these: nan and inf among the values, jumps, or nothing that depends on the argument.
WITHOUT_SLOPE = (
    "nanquantile with weights", "roots of a monomial", "reduce of nothing", "cond of a singular matrix",
    "frexp of many",
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


def test_eigenvalues_of_a_stack_of_stacks():
    stack = np.cos(np.arange(243.0)).reshape(1, 3, 9, 9) + np.diag(np.arange(9.0) * 3)
    check_value(lambda a: np.linalg.eigvalsh(a), stack)


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
    "a function on strings": (np.strings.isalpha, arc.TraceError, "it works on strings"),
    "at a plain target": (lambda x: np.add.at(np.zeros(5), [0], x[:1]), arc.TraceError, "numpy.add.at"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    function, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        arc.compile(function)(np.abs(FIVE) / 3)
