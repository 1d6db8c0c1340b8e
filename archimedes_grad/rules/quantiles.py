"""Medians, percentiles and quantiles: sorted entries, chosen by place.

The places follow Hyndman and Fan (1996). Without nan they come from NumPy itself, as the quantiles of 0, 1, 2,
...; where the number of entries or the quantile is traced they are computed in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.operands import array_of, as_traced, gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules import found
from archimedes_grad.rules.composition import NO_VALUE, composed
from archimedes_grad.rules.reductions import reduced_axes
from archimedes_grad.rules.sorting import partitioned_last, sorted_by, sorted_last

#: What lies between two neighbours, of these and of the fraction of the way.
Between = Callable[[Any, Any, Any], Any]


def _continuous(alpha: float, beta: float) -> Callable[[Any, Any], Any]:
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


def _step_up(index: Any, stays: Any) -> Any:
    below = np.floor(index)
    return np.where(stays(index - below, below), below, below + 1)


#: method -> the place of q in a sorted array of n entries, with its fraction, before it is kept inside.
_PLACES: dict[str, Callable[[Any, Any], Any]] = {
    "linear": lambda n, q: (n - 1) * q,
    "interpolated_inverted_cdf": _continuous(0.0, 1.0),
    "hazen": _continuous(0.5, 0.5),
    "weibull": _continuous(0.0, 0.0),
    "median_unbiased": _continuous(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _continuous(3 / 8.0, 3 / 8.0),
    "inverted_cdf": lambda n, q: _step_up(n * q - 1, lambda rest, below: rest == 0),
    "averaged_inverted_cdf": lambda n, q: np.floor(n * q - 1) + np.where((n * q) % 1 == 0, 0.5, 1.0),
    "closest_observation": lambda n, q: _step_up(
        n * q - 1.5, lambda rest, below: np.logical_and(rest == 0, below % 2 == 1)
    ),
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
    "nearest": lambda n, q: np.rint((n - 1) * q),
}


def _places(n: Any, q: Any, method: Any) -> Any:
    """Return the places of quantiles, inside the array."""
    if not is_traced(n) and not is_traced(q):
        return np.quantile(np.arange(n, dtype=float), q, method=method)
    return np.clip(_PLACES[method](n, q), 0, np.maximum(n - 1, 0))


def _between(below: Any, above: Any, fraction: Any) -> Any:
    """Return what lies at a fraction of the way, computed as NumPy does: from the nearer end."""
    distance = above - below
    if not is_traced(fraction) and np.ndim(fraction) == 0:
        return above - distance * (1 - fraction) if fraction >= 0.5 else below + distance * fraction
    return np.where(np.greater_equal(fraction, 0.5), above - distance * (1 - fraction), below + distance * fraction)


def _in_the_middle(below: Any, above: Any, fraction: Any) -> Any:
    """Return the mean, as NumPy's medians: infinite where one of the two is."""
    return 0.5 * (below + above)


def _at_static_place(ordered: SymbolicArray, place: float, between: Between) -> Any:
    below = int(np.floor(place))
    fraction = place - below
    if fraction == 0:
        return ordered[..., below]
    return between(ordered[..., below], ordered[..., below + 1], fraction)


def _at_traced_place(ordered: Any, place: Any, between: Between) -> Any:
    """Return entries at places that are known only when the graph runs."""
    below = np.floor(place)
    first = _entry_at(ordered, below)
    second = _entry_at(ordered, np.minimum(below + 1, ordered.shape[-1] - 1))
    fraction = place - below
    return np.where(np.equal(fraction, 0), first, between(first, second, fraction))


def _entry_at(ordered: Any, place: Any) -> Any:
    """Return the entry at a whole place along the last axis."""
    column: Any = np.expand_dims(place, -1)
    if found.sorted_in_graph(ordered) or not is_traced(column):
        return _picked(ordered, np.equal(np.arange(ordered.shape[-1]), column))
    return found.in_order(ordered, column.astype(int))[..., 0]


def _picked(ordered: Any, chosen: Any) -> Any:
    return np.sum(np.where(chosen, ordered, 0.0), -1)


def _merged(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the array with the axes moved to the end and merged, and the axes."""
    axes = reduced_axes(axis, a.ndim)
    kept = tuple(k for k in range(a.ndim) if k not in axes)
    ordered = np.transpose(a, kept + axes)
    return np.reshape(ordered, (*(a.shape[k] for k in kept), -1)), axes


def _with_axes(result: Any, axes: tuple[int, ...], keepdims: Any, leading: int = 0) -> Any:
    if keepdims is NO_VALUE or not keepdims:
        return result
    return np.expand_dims(result, tuple(axis + leading for axis in sorted(axes)))


def _quantiles(
    a: Any, q: Any, axis: Any, method: str, keepdims: Any, ignore_nan: bool, between: Between = _between
) -> Any:
    merged, axes = _merged(a, axis)
    if merged.dtype.kind != "f":
        merged = merged.astype(float)
    numbers = _each(q)
    ordered = _ordered(as_traced(merged), numbers, method, ignore_nan)
    results = []
    for number in numbers:
        if ignore_nan:
            count = np.sum(np.logical_not(np.isnan(ordered)), -1)
            place = _places(count, number, method)
            result = np.where(np.equal(count, 0), np.nan, _at_traced_place(ordered, place, between))
        elif is_traced(number):
            place = np.broadcast_to(_places(merged.shape[-1], number, method), merged.shape[:-1])
            result = _or_nan(ordered, _at_traced_place(ordered, place, between))
        else:
            static_place = float(_places(merged.shape[-1], number, method))
            result = _or_nan(ordered, _at_static_place(ordered, static_place, between))
        results.append(_with_axes(result, axes, keepdims))
    shape = np.shape(value_of(q))
    return np.reshape(np.stack(results), shape + results[0].shape) if shape else results[0]


def _ordered(merged: SymbolicArray, numbers: list[Any], method: str, ignore_nan: bool) -> SymbolicArray:
    """Return the entries sorted, or only those that are asked for at their places in the sorted array."""
    if ignore_nan or any(map(is_traced, numbers)):
        return sorted_last(merged)
    last = merged.shape[-1] - 1
    places = [float(_places(last + 1, number, method)) for number in numbers]
    # The last entry is nan where there is one.
    return partitioned_last(merged, sorted({*map(math.floor, places), *map(math.ceil, places), last}))


def _each(q: Any) -> list[Any]:
    flat = np.ravel(q)
    return [flat[k] for k in range(flat.shape[0])]


def _or_nan(ordered: Any, result: Any) -> Any:
    """Return nan where the entries have nan, which sort to the end."""
    last = ordered[..., -1]
    return np.where(np.isnan(last), last, result)


def _require_method(q: Any, method: str) -> None:
    if is_traced(q) and method not in _PLACES:
        raise trace_error(
            f"The quantile is traced, and method={method!r} has no rule for that.", "Use method='linear'."
        )


def _weighted(a: Any, q: Any, axis: Any, weights: Any, keepdims: Any, ignore_nan: bool) -> Any:
    """Return the first sorted entries at which the summed weights reach q of the whole."""
    refuse(np.any(np.less(weights, 0)))
    if np.ndim(value_of(weights)) != a.ndim:
        lengths = [1] * a.ndim
        lengths[axis if axis is not None else 0] = -1
        weights = np.reshape(weights, lengths)
    weights = np.broadcast_to(weights, a.shape)
    if ignore_nan:
        weights = np.where(np.isnan(a), 0.0, weights)
    (merged, axes), (merged_weights, _) = _merged(a, axis), _merged(weights, axis)
    merged = as_traced(merged.astype(float))
    shape = merged.shape
    ordered, steps = sorted_by(merged, as_traced(merged_weights))
    running = np.cumsum(steps, -1)
    total = running[..., -1:]
    refuse(np.logical_not(np.all(np.logical_and(np.isfinite(total), np.not_equal(total, 0)))))
    share = running / total
    share = np.where(np.equal(share, 0), -1.0, share)
    before = np.concatenate([np.full((*shape[:-1], 1), -np.inf), share[..., :-1]], -1)
    results = []
    for number in _each(q):
        chosen = np.logical_and(np.less(before, number), np.greater_equal(share, number))
        result = _picked(ordered, chosen)
        if not ignore_nan:
            result = np.where(np.any(np.isnan(merged), -1), np.nan, result)
        results.append(_with_axes(result, axes, keepdims))
    q_shape = np.shape(value_of(q))
    return np.reshape(np.stack(results), q_shape + results[0].shape) if q_shape else results[0]


def _quantile_rule(function: Callable[..., Any], scale: float, ignore_nan: bool) -> None:
    @composed(function)
    def program(a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
                method: str = "linear", keepdims: Any = False, *, weights: Any = None) -> Any:  # fmt: skip
        a = array_of(a)
        q = np.asarray(q, dtype=float)[()] / scale if not isinstance(q, SymbolicArray) else q / scale
        _require_method(q, method)
        refuse(np.logical_not(np.all(np.logical_and(np.greater_equal(q, 0), np.less_equal(q, 1)))))
        if weights is not None:
            return _weighted(a, q, axis, gathered(weights), keepdims, ignore_nan)
        return _quantiles(a, q, axis, method, keepdims, ignore_nan)


_quantile_rule(np.quantile, 1.0, ignore_nan=False)
_quantile_rule(np.percentile, 100.0, ignore_nan=False)
_quantile_rule(np.nanquantile, 1.0, ignore_nan=True)
_quantile_rule(np.nanpercentile, 100.0, ignore_nan=True)


def _median_rule(function: Callable[..., Any], ignore_nan: bool) -> None:
    @composed(function)
    def program(
        a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
    ) -> Any:
        return _quantiles(a, 0.5, axis, "linear", keepdims, ignore_nan, _in_the_middle)


_median_rule(np.median, ignore_nan=False)
_median_rule(np.nanmedian, ignore_nan=True)
