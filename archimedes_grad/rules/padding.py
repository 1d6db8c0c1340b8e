"""``np.pad`` in every mode: entries moved, or sums of edges with static weights, or statistics of edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import cast_node, dtype_of, gathered, node_of, value_of, values_in
from archimedes_grad.nodes.gather import reshaped
from archimedes_grad.rules.composition import static
from archimedes_grad.rules.creation import constant
from archimedes_grad.rules.movement import moved_each

_Edges = Callable[[Any, int, int], tuple[Any, Any]]


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array with a margin on every side."""
    pad_width = static(pad_width)
    array = gathered(array) if not isinstance(array, np.ndarray) else array
    kwargs = {name: gathered(word) for name, word in kwargs.items()}
    if callable(mode):
        return _by_function(array, pad_width, mode, kwargs)
    value = np.pad(value_of(array), pad_width, mode, **values_in(kwargs))
    if value.shape == np.shape(value_of(array)):
        return array.copy()
    if not value.size:
        return constant(value)
    if mode in ("edge", "wrap") or (mode in ("reflect", "symmetric") and kwargs.get("reflect_type", "even") == "even"):
        return moved_each(array, lambda entries: np.pad(entries, pad_width, mode))
    widths = _per_axis(pad_width, np.ndim(value_of(array)))
    result = array
    for axis, (before, after) in enumerate(widths):
        if before or after:
            result = _padded_axis(result, axis, int(before), int(after), mode, kwargs, len(widths))
    node = cast_node(node_of(result), dtype_of(result), value.dtype)
    return new_array(reshaped(node, value.shape), value)


def _per_axis(pairs: Any, ndim: int) -> Any:
    """Return a pair of numbers for each axis, from one number, one pair, or a pair for each axis."""
    if isinstance(pairs, dict):
        given = {axis % ndim: pair for axis, pair in pairs.items()}
        return [np.broadcast_to(given.get(axis, 0), (2,)).tolist() for axis in range(ndim)]
    return np.broadcast_to(pairs, (ndim, 2))


def _padded_axis(
    array: Any, axis: int, before: int, after: int, mode: str, kwargs: dict[str, Any], ndim: int
) -> Any:
    first = np.moveaxis(array, axis, 0)
    if mode in ("constant", "empty"):
        low, high = _per_axis(kwargs.get("constant_values", 0), ndim)[axis]
        left, right = _repeated(low, first, before), _repeated(high, first, after)
    elif mode == "linear_ramp":
        low, high = _per_axis(kwargs.get("end_values", 0), ndim)[axis]
        left = np.linspace(_spread(low, first), first[0], before, endpoint=False)
        right = np.linspace(_spread(high, first), first[-1], after, endpoint=False)[::-1]
    elif mode in _STATISTICS:
        lengths = kwargs.get("stat_length")
        n = first.shape[0]
        low, high = (n, n) if lengths is None else (min(int(k), n) for k in _per_axis(lengths, ndim)[axis])
        statistic = _STATISTICS[mode]
        left = _repeated(statistic(first[:low]), first, before)
        right = _repeated(statistic(first[n - high :]), first, after)
    else:
        left, right = _odd_reflection(first, before, after, mode)
    parts = [part for part in (left, first, right) if part.shape[0]]
    return np.moveaxis(np.concatenate(parts), 0, axis)


def _statistic(function: Callable[..., Any]) -> Callable[[Any], Any]:
    def rounded(edge: Any) -> Any:
        result = function(edge, axis=0)
        return np.rint(result) if edge.dtype.kind in "iu" else result

    return rounded


_STATISTICS = {
    "maximum": _statistic(np.max), "minimum": _statistic(np.min), "mean": _statistic(np.mean),
    "median": _statistic(np.median),
}  # fmt: skip


def _spread(number: Any, like: Any) -> Any:
    return np.broadcast_to(number, like.shape[1:])


def _repeated(number: Any, like: Any, times: int) -> Any:
    return np.broadcast_to(number, (times, *like.shape[1:]))


def _odd_reflection(first: Any, before: int, after: int, mode: Any) -> tuple[Any, Any]:
    """Return margins that continue an array by point reflection: each entry is a sum of three of the array's."""
    n = first.shape[0]
    weights = np.pad(np.eye(n), [(before, after), (0, 0)], mode, reflect_type="odd")
    flat = np.reshape(first, (n, -1))
    left, right = np.matmul(weights[:before], flat), np.matmul(weights[before + n :], flat)
    return (
        np.reshape(left, (before, *first.shape[1:])),
        np.reshape(right, (after, *first.shape[1:])),
    )


def _by_function(array: Any, pad_width: Any, function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    """Pad by a function that writes the margins of one-dimensional slices, in place."""
    widths = [tuple(int(width) for width in pair) for pair in _per_axis(pad_width, array.ndim)]
    padded: Any = constant(np.pad(np.zeros(array.shape, array.dtype), widths))
    padded[tuple(slice(b, b + n) for (b, _), n in zip(widths, array.shape, strict=True))] = array
    for axis, pair in enumerate(widths):
        last = np.moveaxis(padded, axis, -1)
        for place in np.ndindex(last.shape[:-1]):
            function(last[place], pair, axis, kwargs)
    return padded
