"""What NumPy finds in data, and what does not change with it but by jumps: orders, places, memberships.

A call of NumPy in the graph finds it at NumPy's speed, where comparisons written as nodes grow faster than the
data. The derivative is zero; what is gathered at the places found has one, in every order. The price is an array
graph and some ten microseconds a call, so that small arrays are compared in the graph (``rules/networks.py``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import node_of, value_of
from archimedes_grad.arrays.trace_state import note_call
from archimedes_grad.nodes.gather import flat, reshaped
from archimedes_grad.rules.lapack import Kind, Matrices, matrix_call, without_derivative

#: Up to this many comparisons are written as nodes of the graph.
_MOST_COMPARISONS = 2_000
#: Up to this many entries in a row are sorted by a network.
_LONGEST_NETWORK = 48


def compared_in_graph(*counts: int) -> bool:
    """Tell whether comparing all of each with all others is little enough for nodes of the graph."""
    return math.prod(counts) <= _MOST_COMPARISONS


def sorted_in_graph(array: SymbolicArray) -> bool:
    """Tell whether the rows of an array are short enough for a network."""
    return array.shape[-1] <= _LONGEST_NETWORK or not array.size


@functools.cache
def _kind(name: str, find: Callable[..., Any], options: tuple[tuple[str, Any], ...]) -> Kind:
    keywords = dict(options)

    def evaluate(inputs: Any, wanted: Any) -> Any:
        return (find(*inputs, **keywords),)

    return Kind(name, evaluate, without_derivative)


def found(
    find: Callable[..., Any], operands: Sequence[Any], value: Any, rows: bool = False, **options: Any
) -> SymbolicArray:
    """Return what a function finds in arrays, as an array with derivative zero.

    Parameters
    ----------
    find
        A function of the module, called with stacks: an axis in front, of the items if ``rows``, else of length 1.
    value
        What NumPy finds in the values; its shape and dtype are the result's.
    rows
        Whether the operands are stacks of rows, and what is found in each row counts by itself.
    options
        Keywords of ``find``, which make a call of its own for each combination.
    """
    kind = _kind(find.__name__.strip("_"), find, tuple(sorted(options.items())))
    return _called(kind, operands, value, len(np.shape(value_of(operands[0]))) - 1 if rows else 0)


def _called(kind: Kind, operands: Sequence[Any], value: Any, leading: int = 0) -> SymbolicArray:
    """Return the result of a call for each item of stacks, which have a number of leading axes."""
    note_call()
    shapes_in = [np.shape(value_of(operand)) for operand in operands]
    call = matrix_call(
        kind, [shape[leading:] for shape in shapes_in], [np.shape(value)[leading:]], math.prod(shapes_in[0][:leading])
    )
    (node,) = call.call([node_of(operand) for operand in operands])
    return new_array(reshaped(node, np.shape(value)), value)


# --- orders ---------------------------------------------------------------------------------------


# Of equal entries NumPy's order depends on the dtype.


def _order(rows: Any, dtype: Any, kind: Any) -> Any:
    return np.argsort(np.asarray(rows, dtype), kind=kind)


def _partition_order(rows: Any, dtype: Any, kth: Any) -> Any:
    return np.argpartition(np.asarray(rows, dtype), kth)


def _order_by_keys(*keys: Any) -> Any:
    return np.lexsort(keys)


def order(array: SymbolicArray, kind: Any = None) -> SymbolicArray:
    """Return NumPy's order of the entries along the last axis."""
    return found(_order, [array], np.argsort(array.value, kind=kind), rows=True, dtype=array.dtype, kind=kind)


def partition_order(array: SymbolicArray, kth: tuple[int, ...]) -> SymbolicArray:
    """Return NumPy's order along the last axis in which the k-th entries are at their places."""
    value = np.argpartition(array.value, kth)
    return found(_partition_order, [array], value, rows=True, dtype=array.dtype, kth=kth)


def order_by_keys(keys: Sequence[SymbolicArray]) -> SymbolicArray:
    """Return the stable order along the last axis by several keys, the last one most significant."""
    value = np.lexsort(tuple(key.value for key in keys))
    return found(_order_by_keys, keys, value, rows=True)


def in_order(array: SymbolicArray, places: SymbolicArray) -> SymbolicArray:
    """Return the entries along the last axis at places found, each row's own."""
    position = flat(places.node)
    if places.ndim > 1:
        rows, columns = array.shape[-1], math.prod(array.shape[:-1])
        each = places.shape[-1]
        first = cs.repmat(cs.MX(cs.DM(range(0, rows * columns, rows))).T, each, 1)
        position = cs.MX.binary(cs.OP_ADD, position, flat(first))
    value = np.take_along_axis(np.asarray(array.value), np.asarray(places.value), -1)
    return new_array(reshaped(flat(array.node).get_nz(False, position), value.shape), value)


# --- places ---------------------------------------------------------------------------------------


def _first_extreme(rows: Any, largest: bool) -> Any:
    return (np.argmax if largest else np.argmin)(rows, -1)


def first_extreme(array: SymbolicArray, largest: bool) -> SymbolicArray:
    """Return the place of the first extreme along the last axis, of the first nan where there is one."""
    value = (np.argmax if largest else np.argmin)(array.value, -1)
    return found(_first_extreme, [array], value, rows=True, largest=largest)


def _places_in_sorted(a: Any, v: Any, side: Any) -> Any:
    return np.searchsorted(a[0], v[0], side)


def places_in_sorted(a: Any, v: Any, side: Any) -> SymbolicArray:
    """Return where entries belong in a sorted array."""
    return found(_places_in_sorted, [a, v], np.searchsorted(value_of(a), value_of(v), side), side=side)


def _bins(x: Any, bins: Any, right: bool) -> Any:
    side: Any = "left" if right else "right"
    x, bins = x[0], bins[0]
    descends = bins[0] > bins[-1]
    return bins.size - np.searchsorted(bins[::-1], x, side) if descends else np.searchsorted(bins, x, side)


def bins_of(x: Any, bins: Any, right: bool) -> SymbolicArray:
    """Return the bin of each entry between edges that ascend or descend."""
    return found(_bins, [x, bins], np.digitize(value_of(x), value_of(bins), right), right=bool(right))


def _members(element: Any, others: Any) -> Any:
    return np.isin(element, others)


def members(element: Any, others: Any) -> SymbolicArray:
    """Return which entries are among others."""
    return found(_members, [element, others], np.isin(value_of(element), value_of(others)))


def _binary_exponents(x: Any) -> Any:
    return np.frexp(x)[1]


def _binary_scales(x: Any) -> Any:
    return np.where(np.isfinite(x), np.ldexp(1.0, -np.frexp(x)[1]), 1.0)


def binary_exponents(x: SymbolicArray) -> SymbolicArray:
    """Return the power of two that each fraction between 1/2 and 1 is to be multiplied by."""
    return found(_binary_exponents, [x], np.frexp(x.value)[1])


def binary_scales(x: SymbolicArray) -> SymbolicArray:
    """Return what makes each number a fraction between 1/2 and 1."""
    return found(_binary_scales, [x], _binary_scales(x.value))


# --- totals ---------------------------------------------------------------------------------------


@functools.cache
def _totals(count: int) -> Kind:
    def evaluate(inputs: Any, wanted: Any) -> Any:
        places, weights = inputs
        return (np.bincount(places[0].astype(np.intp), weights[0], count + 1)[:count],)

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        places, _ = inputs
        with_none = cs.vertcat(seeds[0], cs.MX(0.0))
        return [cs.MX(cs.DM.zeros(*places.shape)), with_none.get_nz(False, places)]

    return Kind("totals", evaluate, reverse)


def totals(places: SymbolicArray, weights: SymbolicArray, count: int) -> SymbolicArray:
    """Return the sum of the weights at each place found; a place of ``count`` takes part in none."""
    value = np.bincount(np.asarray(places.value, dtype=np.intp), weights.value, count + 1)[:count]
    return _called(_totals(count), [places, weights], value)
