"""Averages, quantiles, covariances, histograms, and reductions without nan."""

import numpy as np
import pytest
from checks import check_row, check_same_error, row
from helpers import check_value, sample

import archimedes_grad as arc

METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip
QUANTILES = [0, 0.1, 0.25, 0.5, 0.8, 1]
WEIGHTS = [1.0, 2.0, 0.0, 3.0, 1.0]


def some_missing(x):
    """Return an array with nan in fixed places."""
    return np.where(np.arange(x.size).reshape(x.shape) % 3 == 1, np.nan, x)


# Early NumPy 2 took the lower of two entries equally near; it has been the one of even number since.
if np.quantile(np.arange(11.0), 0.5, method="closest_observation") == 4.0:
    METHODS = tuple(method for method in METHODS if method != "closest_observation")


ROWS = [
    *(row(lambda x: np.median(x), (n,)) for n in (1, 2, 5, 8, 31)),
    *(row(lambda x, axis=axis: np.median(x, axis, keepdims=True), (3, 2, 4)) for axis in (0, -1, None, (0, 2))),
    row(lambda x: np.median(x) ** 2, (6,), second=True),
    *(row(lambda x, m=m: np.quantile(x, QUANTILES, method=m), (11,)) for m in METHODS),
    *(row(lambda x, m=m: np.nanquantile(some_missing(x), QUANTILES, method=m), (11,)) for m in METHODS),
    row(lambda x: np.percentile(x, 30, axis=1), (3, 7)),
    row(lambda x: np.percentile(x, [[20, 30], [40, 99]], axis=(0, 2), keepdims=True), (3, 2, 5)),
    row(lambda x: np.nanpercentile(some_missing(x), [20, 60], axis=0), (5, 2)),
    row(lambda x: np.nanmedian(some_missing(x), axis=1), (2, 5)),
    row(lambda x, q: np.quantile(x, 0.02 + np.abs(q) / 2.1), (7,), (3,)),
    row(lambda x, q: np.quantile(x, 0.4 + q / 100, axis=0, method="hazen"), (7, 2), ()),
    row(lambda x: np.quantile(x, [0.2, 0.7, 1.0], weights=WEIGHTS, method="inverted_cdf"), (5,)),
    row(lambda x: np.quantile(x, 0.3, weights=WEIGHTS, method="inverted_cdf", axis=1), (2, 5)),
    row(lambda x: np.percentile(x, 60, weights=np.arange(10.0).reshape(2, 5), method="inverted_cdf"), (2, 5)),
    row(lambda x: np.average(x), (2, 5)),
    row(lambda x: np.average(x, axis=(0, 2), keepdims=True), (2, 5, 3)),
    row(lambda x, w: np.average(x, axis=1, weights=w + 3, returned=True), (2, 5), (5,), second=True),
    row(lambda x, w: np.average(x, weights=w + 3), (2, 5), (2, 5)),
    row(lambda x: np.average(x, axis=(2, 0), weights=np.arange(1.0, 7).reshape(3, 2)), (2, 5, 3)),
    row(lambda x: np.average(x, axis=0, returned=True), (2, 5)),
    row(lambda x: np.cov(x), (3, 7), second=True),
    row(lambda x: np.cov(x), (7,)),
    row(lambda x, y: np.cov(x, y), (7,), (7,)),
    row(lambda x: np.cov(x, rowvar=False, bias=True), (7, 3)),
    row(lambda x: np.cov(x, ddof=2), (3, 7)),
    row(lambda x, w: np.cov(x, aweights=w**2, fweights=np.arange(1, 8)), (3, 7), (7,)),
    row(lambda x, w: np.cov(x, aweights=np.abs(w), ddof=0), (3, 7), (7,)),
    row(lambda x: np.corrcoef(x), (3, 7)),
    row(lambda x, y: np.corrcoef(x, y)[0, 1], (7,), (7,), second=True),
    row(lambda x: np.corrcoef(x, rowvar=False), (7, 2)),
    row(lambda x: np.nansum(some_missing(x), axis=0), (4, 3)),
    row(lambda x: np.nanprod(some_missing(x)), (5,)),
    row(lambda x: np.nanmean(some_missing(x), axis=1, keepdims=True), (4, 3)),
    row(lambda x: np.nanvar(some_missing(x), ddof=1), (4, 3), second=True),
    row(lambda x: np.nanstd(some_missing(x), axis=0), (4, 4)),
    row(lambda x: np.nanmax(some_missing(x), axis=0), (4, 4)),
    row(lambda x: np.nanmin(some_missing(x), initial=0.5), (4, 3)),
    row(lambda x: np.nanmean(x, where=np.array([True, False, True])), (4, 3)),
    row(lambda x: np.nansum(x, where=x > 0, initial=2.0), (4, 3)),
    row(lambda x: np.histogram(x, 5)[1], (20,)),
    row(lambda x: np.histogram(x, 5), (20,), gradient=False),
    row(lambda x: np.histogram(x, 4, range=(-1, 1), density=True), (20,), gradient=False),
    row(lambda x, w: np.histogram(x, [-1.0, 0.0, 1.0], weights=w), (20,), (20,), argnums=(1,)),
    row(lambda w: np.histogram([0.0, 2.0, 2.0, 3.0], 3, weights=w, density=True), (4,), positive=True),
    row(lambda x: np.histogram_bin_edges(x, 4), (6,)),
    row(lambda x, y: np.histogram2d(x, y, [3, 4]), (20,), (20,), gradient=False),
    row(lambda x, y, w: np.histogram2d(x, y, 2, weights=w)[0], (9,), (9,), (9,), argnums=(2,)),
    row(lambda x: np.histogramdd(x, (2, 3, 2), density=True), (20, 3), gradient=False),
    row(lambda w: np.bincount([0, 2, 2, 4], weights=w, minlength=7), (4,)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:Mean of empty", "ignore:Degrees of freedom")
@pytest.mark.parametrize("function", [
    np.median, np.nanmedian, np.nanmean, np.nanvar, np.nanmax, np.nanmin, np.nansum, np.nanprod,
    lambda x: np.quantile(x, [0.2, 0.5]), lambda x: np.nanquantile(x, [0.2, 0.9]),
    lambda x: np.quantile(x, 0.4, weights=np.arange(1.0, 8), method="inverted_cdf"),
])  # fmt: skip
def test_nan_where_numpy_has_it(function):
    compiled = arc.compile(lambda x: function(x))
    plain = np.array([3.0, 5.0, 1.0, 2.0, 4.0, -1.0, 7.0])
    for places in ([], [0], [2, 6], [6], range(1, 7), range(7)):
        x = plain.copy()
        x[list(places)] = np.nan
        np.testing.assert_allclose(compiled(x), function(x), rtol=1e-12)


def test_median_shares_nothing_with_entries_beside_it():
    gradient = arc.grad(np.median)
    np.testing.assert_array_equal(gradient(np.array([5.0, 1.0, 3.0])), [0, 0, 1])
    np.testing.assert_array_equal(gradient(np.array([1.0, 3.0, 5.0])), [0, 1, 0])
    np.testing.assert_array_equal(gradient(np.array([4.0, 1.0, 3.0, 9.0])), [0.5, 0, 0.5, 0])


def test_dtypes_are_numpys():
    whole = sample((9,), "whole")
    for function in (np.median, np.average, np.cov, np.nansum, np.nanmean, np.nanmax, lambda x: np.percentile(x, 30),
                     lambda x: np.quantile(x, 0.5, method="lower"), lambda x: np.histogram(x, 3),
                     lambda x: np.bincount(np.abs(x)), lambda x: np.median(x.astype(np.float32))):  # fmt: skip
        check_value(function, whole)


def test_out_is_written_and_returned():
    def f(x):
        out = np.zeros_like(x[0])
        assert np.median(x, axis=0, out=out) is out
        np.nansum(x + out, axis=0, out=out)
        return out

    check_value(f, sample((5, 2)))


@pytest.mark.parametrize("call", [
    lambda x: np.median(x, 2), lambda x: np.quantile(x, 1.5), lambda x: np.quantile(x, 0.5, method="none"),
    lambda x: np.quantile(x, 0.5, weights=[1.0]), lambda x: np.average(x, weights=[1.0, 2.0]),
    lambda x: np.average(x, axis=0, weights=np.ones(7)), lambda x: np.cov(np.stack([x, x])),
    lambda x: np.cov(x, ddof=0.5),
    lambda x: np.cov(x, fweights=np.ones(9)), lambda x: np.histogram(x, [3.0, 1.0]), lambda x: np.histogram(x, 0),
    lambda x: np.histogram(x, 3, range=(2, 1)), lambda x: np.nanmax(x, axis=5), lambda x: np.percentile(x, 101),
    lambda x: np.median(x, axis=0, out=np.zeros_like(x)),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    check_same_error(call, sample((3, 4)))
