"""Histograms and bin counts: counts by comparison, with derivatives by the weights and by the edges."""

from __future__ import annotations

import math
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.dispatch import FUNCTIONS, implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, as_traced, gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules import found
from archimedes_grad.rules.composition import composed, static


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """The sum of the weights at each number; traced numbers are decided, and leave guards."""
    x = static(x)
    weights = gathered(weights)
    value = np.bincount(x, value_of(weights), minlength)
    numbers = np.asarray(x).tolist()
    if not isinstance(weights, SymbolicArray):
        return value
    if not numbers:
        return new_array(cs.MX(0.0), value)
    places = cs.DM.triplet(numbers, list(range(len(numbers))), cs.DM.ones(len(numbers)), value.size, len(numbers))
    return new_array(cs.densify(cs.mtimes(cs.MX(places), weights.node)), value)


def _static_bins(bins: Any, name: str) -> None:
    if isinstance(bins, str):
        raise trace_error(
            f"{name} got bins={bins!r} for traced data: the number of bins would depend on traced values.",
            "Give a number of bins or their edges.",
        )


def _edges(a: Any, bins: Any, range_: Any, name: str) -> Any:
    """Return the edges of the bins: given, or evenly spaced between the extremes of the data."""
    _static_bins(bins, name)
    if np.ndim(value_of(bins)) == 1:
        edges = array_of(bins)
        refuse(np.any(np.greater(edges[:-1], edges[1:])))
        return edges
    if not is_traced(a) and not is_traced(range_):
        return np.histogram_bin_edges(a, static(bins), range_)
    low, high = (np.min(a), np.max(a)) if range_ is None else range_
    is_finite = np.logical_and(np.isfinite(low), np.isfinite(high))
    refuse(np.logical_not(np.logical_and(is_finite, np.less_equal(low, high))))
    flat = np.equal(low, high)
    low, high = low - 0.5 * flat, high + 0.5 * flat
    spaced = np.arange(int(bins)) * ((high - low) / int(bins)) + low
    return np.concatenate([spaced, np.reshape(high, (1,))])


def _bin_of(x: Any, edges: Any) -> Any:
    """Return the number of the bin of each entry; of those outside the edges, the number of bins.

    The last edge belongs to the last bin.
    """
    count = edges.shape[0] - 1
    place = np.searchsorted(edges, x, "right") - 1 - np.equal(x, edges[-1])
    outside = np.logical_or(np.less(place, 0), np.logical_not(np.less_equal(x, edges[-1])))
    return np.where(outside, count, place)


@composed(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges of the bins of a histogram."""
    return _edges(np.ravel(a), bins, range, "np.histogram_bin_edges")


@composed(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many entries, or how much weight, lies in each bin, and the edges."""
    a = np.ravel(a)
    edges = _edges(a, bins, range, "np.histogram")
    counts = _totals(_bin_of(a, edges), edges.shape[0] - 1, weights)
    counts = counts.astype(int) if weights is None else counts
    return (counts / np.diff(edges) / np.sum(counts) if density else counts), edges


def _totals(bins: Any, count: int, weights: Any) -> Any:
    """Return how many entries, or how much weight, each bin holds."""
    weights = np.ones(bins.shape) if weights is None else np.ravel(weights)
    if found.compared_in_graph(bins.size, count):
        members = np.equal(bins[:, None], np.arange(count))
        return np.sum(np.where(members, weights[:, None], 0.0), 0)
    return found.totals(as_traced(bins), as_traced(weights), count)


@composed(np.histogramdd, apart="bins")
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many points, or how much weight, lies in each cell of a grid, and the edges of each axis."""
    columns = _columns(sample)
    per_axis = list(bins) if isinstance(bins, list | tuple) or np.ndim(value_of(bins)) else [bins] * len(columns)
    ranges = [None] * len(columns) if range is None else list(range)
    edges = [_edges(c, b, r, "np.histogramdd") for c, b, r in zip(columns, per_axis, ranges, strict=True)]
    shape = tuple(edge.shape[0] - 1 for edge in edges)
    each = [_bin_of(column, edge) for column, edge in zip(columns, edges, strict=True)]
    inside = np.all(np.stack([np.less(k, n) for k, n in zip(each, shape, strict=True)]), 0)
    cell: Any = 0
    for k, n in zip(each, shape, strict=True):
        cell = cell * n + k
    cell = np.where(inside, cell, math.prod(shape))
    counts = np.reshape(_totals(cell, math.prod(shape), weights), shape)
    if density:
        counts = counts / np.sum(counts)
        for axis, edge in enumerate(edges):
            counts = counts / np.reshape(np.diff(edge), (-1,) + (1,) * (len(edges) - axis - 1))
    return counts, tuple(edges)


_of_points = FUNCTIONS[np.histogramdd]


def _of_points_or_columns(sample: Any, *args: Any, **kwargs: Any) -> Any:
    """Take a list for one of columns, as NumPy does: an array holds a point in each row."""
    columns = isinstance(sample, list | tuple)
    return _of_points(np.atleast_2d(gathered(sample)).T if columns else sample, *args, **kwargs)


FUNCTIONS[np.histogramdd] = _of_points_or_columns


def _columns(sample: Any) -> list[Any]:
    """Return the coordinates of points: the columns of a matrix."""
    sample = np.atleast_2d(sample).T if sample.ndim < 2 else sample
    return [sample[:, k] for k in range(sample.shape[1])]


@composed(np.histogram2d, apart="bins")
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many points, or how much weight, lies in each cell of a plane grid, and the edges."""
    number = len(bins) if isinstance(bins, list | tuple) else np.ndim(value_of(bins)) and np.shape(value_of(bins))[0]
    if number not in (0, 1, 2):
        bins = [bins, bins]
    points = np.stack([np.ravel(x), np.ravel(y)], 1)
    counts, edges = np.histogramdd(points, bins, range, density, weights)
    return counts, edges[0], edges[1]
