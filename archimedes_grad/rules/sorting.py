"""Sorting, ranking and searching: graphs that do it for any values, not an order frozen while tracing.

Small arrays are compared in the graph, in large ones NumPy finds the order (``found.py``). Results that are
indices are whole numbers with derivative zero. A partition of a small array is a full sort, which is one of the
partitions that NumPy may give.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.dispatch import ELEMENTWISE, implements
from archimedes_grad.arrays.new_arrays import in_order_of, new_array
from archimedes_grad.arrays.operands import array_of, as_traced, gathered, is_traced, value_of, values_in
from archimedes_grad.nodes.gather import reshaped
from archimedes_grad.rules import found
from archimedes_grad.rules.composition import NO_VALUE, composed
from archimedes_grad.rules.networks import first_extreme, sorted_rows, sorted_with
from archimedes_grad.rules.reductions import folded, reduced_columns


def _axis_last(array: Any, axis: int | None) -> Any:
    """Return an array with one axis moved to the end, or flat for ``axis=None``."""
    return np.ravel(array) if axis is None else np.moveaxis(array, axis, -1)


def _axis_back(last: Any, axis: int | None) -> Any:
    return last if axis is None else np.moveaxis(last, -1, axis).copy()


def sorted_last(array: SymbolicArray) -> SymbolicArray:
    """Return an array sorted along its last axis."""
    if found.sorted_in_graph(array):
        return new_array(reshaped(sorted_rows(array.node), array.shape), np.sort(array.value))
    return found.in_order(array, found.order(array))


def partitioned_last(array: SymbolicArray, kth: Iterable[int]) -> SymbolicArray:
    """Return an array whose k-th entries along the last axis are those of the sorted one."""
    if found.sorted_in_graph(array):
        return sorted_last(array)
    return found.in_order(array, found.partition_order(array, tuple(kth)))


def sorted_by(keys: SymbolicArray, payload: SymbolicArray) -> tuple[SymbolicArray, SymbolicArray]:
    """Return an array sorted along its last axis, nan or inf at the end, and another one in its order."""
    if not found.sorted_in_graph(keys):
        places = found.order(keys, "stable")
        return found.in_order(keys, places), found.in_order(payload, places)
    _, payloads, ordered = sorted_with([keys.node], [payload.node])
    order = np.argsort(keys.value, kind="stable")
    values = (np.take_along_axis(array.value, order, -1) for array in (keys, payload))
    nodes = (reshaped(node, keys.shape) for node in (ordered[0], payloads[0]))
    first, second = map(new_array, nodes, values)
    return first, second


def _falls(descending: Any) -> bool:
    """Tell whether NumPy's keyword asks for descending order, which NumPy has from 2.5 on."""
    return descending is not NO_VALUE and bool(descending)


@composed(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None,
         descending: Any = NO_VALUE) -> Any:  # fmt: skip
    """The entries in ascending or descending order along an axis, nan last."""
    last = _axis_last(a, axis)
    ordered: Any = -sorted_last(-last.astype(float)) if _falls(descending) else sorted_last(last)
    return _axis_back(ordered, axis)


def _kth_of(kth: Any) -> tuple[int, ...]:
    return tuple(np.ravel(kth).tolist())


def _partition(array: Any, kth: Any, axis: int | None, kind: Any) -> Any:
    array = gathered(array)
    np.partition(value_of(array), kth, axis, kind)
    partitioned = _axis_back(partitioned_last(_axis_last(array, axis), _kth_of(kth)), axis)
    return partitioned if axis is None else in_order_of(array.value, partitioned)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """The entries with the k-th at its place along an axis, no larger ones before it and no smaller ones after."""
    return _partition(a, kth, axis, kind)


@implements(np.ndarray.sort)
def sort_in_place(a: SymbolicArray, axis: int = -1, kind: Any = None, order: Any = None, **options: Any) -> None:
    """Sort an array along an axis, in place."""
    a[...] = np.sort(a, axis, kind, order, **options)


@implements(np.ndarray.partition)
def partition_in_place(
    a: SymbolicArray, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None
) -> None:
    """Partition an array along an axis, in place."""
    a[...] = _partition(a, kth, axis, kind)


@implements(np.argsort)
def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None,
            **options: Any) -> Any:  # fmt: skip
    """The indices that sort an array along an axis; of a few equal entries the first comes first."""
    a = gathered(a)
    np.argsort(a.value, axis, kind, order, stable=stable, **options)
    if a.ndim == 0:
        return new_array(cs.MX(0.0), np.argsort(a.value, axis))
    last = _axis_last(a, axis)
    if _falls(options.get("descending", NO_VALUE)):
        last = -last.astype(float)
    if found.sorted_in_graph(last):
        return _axis_back(_order([last], np.argsort(last.value, kind="stable")), axis)
    return _axis_back(found.order(last, "stable" if stable else kind), axis)


def _order(keys: list[SymbolicArray], value: Any) -> SymbolicArray:
    """Return the stable order along the last axis by several keys, the most significant first."""
    order, _, _ = sorted_with([key.node for key in keys], [])
    return new_array(reshaped(order, np.shape(value)), value)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """The indices that partition an array along an axis."""
    a = gathered(a)
    np.argpartition(a.value, kth, axis, kind)
    if a.ndim == 0:
        return argsort(a, axis)
    last = _axis_last(a, axis)
    if found.sorted_in_graph(last):
        return argsort(a, axis)
    return _axis_back(found.partition_order(last, _kth_of(kth)), axis)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """The indices that sort by several keys, the last one most significant."""
    value: Any = np.lexsort(values_in(keys), axis)
    keys = gathered(keys)
    if value.ndim == 0:
        return new_array(cs.MX(0.0), value)
    ranked: list[Any] = [_axis_last(keys[k], axis) for k in range(keys.shape[0])]
    if found.sorted_in_graph(ranked[0]):
        return _axis_back(_order(ranked[::-1], np.moveaxis(value, axis, -1)), axis)
    return _axis_back(found.order_by_keys(ranked), axis)


# --- the place of an extreme ----------------------------------------------------------------------


def _place_of(function: Any, combine: Any) -> None:
    @composed(function)
    def program(a: Any, axis: int | None = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
        last = as_traced(_axis_last(a, axis if a.ndim else None))
        if found.compared_in_graph(last.size):
            place = function(last.value, -1)
            node = first_extreme(reduced_columns(last, (last.ndim - 1,)), combine, folded)
            result = new_array(reshaped(node, np.shape(place)), place)
        else:
            result = found.first_extreme(last, largest=function is np.argmax)
        if keepdims is not NO_VALUE and keepdims:
            return np.reshape(result, (1,) * a.ndim) if axis is None else np.expand_dims(result, axis)
        return result


_place_of(np.argmax, ELEMENTWISE[np.fmax])
_place_of(np.argmin, ELEMENTWISE[np.fmin])


@composed(np.nanargmax)
def nanargmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
    """The index of the first of the largest entries, nan left out."""
    refuse(np.any(np.all(np.isnan(a), axis)))
    return np.argmax(np.where(np.isnan(a), -np.inf, a), axis, keepdims=keepdims)


@composed(np.nanargmin)
def nanargmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
    """The index of the first of the smallest entries, nan left out."""
    refuse(np.any(np.all(np.isnan(a), axis)))
    return np.argmin(np.where(np.isnan(a), np.inf, a), axis, keepdims=keepdims)


# --- searching ------------------------------------------------------------------------------------


@composed(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """The places where entries belong in a sorted array: counts of what comes before them."""
    a = array_of(a)
    v = array_of(v)
    if sorter is not None:
        a = a[sorter]
    if not found.compared_in_graph(a.size, v.size):
        return found.places_in_sorted(a, v, side)
    column = np.expand_dims(v, -1)
    left = side[0] in "lL"
    before = np.sum(np.less(a, column) if left else np.less_equal(a, column), -1, dtype=np.intp)
    # nan belongs after every number, on the left of what is nan itself.
    numbers = np.sum(np.logical_not(np.isnan(a))) if left else a.shape[0]
    return before + np.isnan(v) * numbers


@composed(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The bin of each entry: a count of the edges below it, or above it where the edges descend."""
    bins = array_of(bins)
    before, after = bins[:-1], bins[1:]
    ascends, descends = np.all(np.less_equal(before, after)), np.all(np.greater_equal(before, after))
    refuse(np.logical_not(np.logical_or(ascends, descends)))
    x = array_of(x)
    if not found.compared_in_graph(x.size, bins.size):
        return found.bins_of(x, bins, right)
    column = np.expand_dims(x, -1)
    # By what lies above: nan comes after every number.
    above = np.sum((np.greater_equal if right else np.greater)(bins, column), -1, dtype=np.intp)
    if not bins.size:
        return above
    if is_traced(bins):
        return np.where(bins[0] > bins[-1], above, bins.size - above)
    return above if bins[0] > bins[-1] else bins.size - above


@composed(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    """Whether each entry is among others."""
    element = array_of(element)
    others = np.ravel(test_elements)
    if found.compared_in_graph(element.size, others.size):
        among = np.any(np.equal(np.expand_dims(element, -1), others), -1)
    else:
        among = found.members(element, others)
    return np.logical_not(among) if invert else among


if hasattr(np, "in1d"):

    @composed(np.in1d)
    def in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None) -> Any:
        """Whether each entry of the first array, flat, is among those of the second."""
        return np.isin(np.ravel(ar1), ar2, invert=invert)
