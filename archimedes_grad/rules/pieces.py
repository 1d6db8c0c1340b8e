"""Functions that call the user's: ``piecewise``, ``apply_along_axis``, ``apply_over_axes``.

What is called may close over traced values, so the code of the first two asks here even where all arguments are plain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.dispatch import CALLING_BACK, INTERCEPTED, implements
from archimedes_grad.arrays.new_arrays import in_order_of
from archimedes_grad.arrays.operands import array_of, gathered, is_traced, value_of, values_in
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.gather import stored_shape
from archimedes_grad.rules.composition import static_mask
from archimedes_grad.rules.creation import constant


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Functions chosen by conditions: each gets the entries where its condition holds, as one flat array.

    A function that takes each entry by itself is taken of all of them, and chosen from after: the graph is the same
    wherever traced conditions hold. For another one it is decided where they do.
    """
    x = array_of(gathered(x))
    conditions = _conditions(condlist, x)
    if len(funclist) not in (len(conditions), len(conditions) + 1):
        np.piecewise(value_of(x), values_in(condlist), [0.0] * len(funclist))
    if len(funclist) > len(conditions):
        conditions = [*conditions, np.logical_not(np.any(np.stack(list(map(_truth, conditions))), axis=0))]
    result: Any = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result = _where(condition, function, result)
        elif is_traced(condition) and _takes_each_entry_by_itself(lambda t: function(t, *args, **kw), x):  # noqa: B023
            result = _where(condition, np.reshape(function(np.ravel(x), *args, **kw), np.shape(value_of(x))), result)
        else:
            mask = static_mask(condition)
            if np.any(mask):
                entries = gathered(function(x[mask], *args, **kw))
                result = constant(result) if is_traced(entries) and not is_traced(result) else result
                result[mask] = entries
    return in_order_of(value_of(x), result) if is_traced(result) and result.ndim > 1 else result


def _truth(condition: Any) -> Any:
    return np.not_equal(gathered(condition), 0)


def _where(condition: Any, piece: Any, other: Any) -> Any:
    # NumPy writes every piece into an array of x's dtype.
    return np.where(_truth(condition), piece, other).astype(other.dtype)


def _conditions(condlist: Any, x: Any) -> list[Any]:
    condlist = gathered(condlist)
    single = not isinstance(condlist, list | tuple) and np.ndim(value_of(condlist)) <= np.ndim(value_of(x))
    if isinstance(condlist, list | tuple) and condlist and np.ndim(value_of(gathered(condlist[0]))) == 0:
        single = np.ndim(value_of(x)) != 0
    return [condlist] if single else [condlist[k] for k in range(len(condlist))]


def _takes_each_entry_by_itself(function: Callable[[Any], Any], x: Any) -> bool:
    """Tell whether each entry of a result depends on the same entry of a flat array, and on nothing else of it.

    That is read from the structure of its Jacobian; what depends on how many entries there are, as a mean of one does,
    shows when it gets another number of them.
    """
    trace = current_trace()
    assert trace is not None
    values = np.ravel(value_of(x))
    decisions = len(trace.guards), trace.outermost.n_decisions
    symbol = trace.new_symbol("piece", *stored_shape(values.shape), values)
    piece = gathered(function(EntriesOfSymbolicArray(symbol, np.array(values))))
    if len(trace.guards) > decisions[0]:
        del trace.guards[decisions[0] :]
        trace.outermost.n_decisions = decisions[1]
        return False
    if np.shape(value_of(piece)) != values.shape or not values.size:
        return False
    if isinstance(piece, SymbolicArray):
        called = cs.Function("piece", [symbol], [piece.node], {"allow_free": True})
        jacobian = called.jac_sparsity(0, 0)
        if not all(all(inner.is_diff_in()) for inner in called.find_functions()):
            # What is read without a derivative is not in the structure.
            return False
        if (jacobian * cs.Sparsity.diag(values.size)).nnz() != jacobian.nnz():
            return False
    more = value_of(gathered(function(np.repeat(values[:1], values.size + 1))))
    return np.shape(more) == (values.size + 1,) and bool(
        np.allclose(more, np.ravel(value_of(piece))[0], rtol=1e-9, atol=0, equal_nan=True)
    )


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of one-dimensional slices, along an axis; the first result's dtype is that of all, as NumPy has it."""
    arr = gathered(arr)
    axis = np.lib.array_utils.normalize_axis_index(axis, np.ndim(value_of(arr)))
    last: Any = np.moveaxis(array_of(arr), axis, -1)
    outer = last.shape[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [gathered(func1d(last[place], *args, **kwargs)) for place in np.ndindex(outer)]
    stacked: Any = np.stack(results if any(map(is_traced, results)) else list(map(np.asarray, results)))
    stacked = stacked.astype(np.asarray(value_of(results[0])).dtype)
    inner = stacked.shape[1:]
    grid = np.reshape(stacked, outer + inner)
    before = list(range(axis)) + list(range(len(outer), len(outer) + len(inner)))
    return np.transpose(grid, before + list(range(axis, len(outer))))


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """A function of an array and an axis, applied over one axis after the other."""
    result = gathered(a)
    ndim = result.ndim
    for axis in np.atleast_1d(axes).tolist():
        axis = axis + ndim if axis < 0 else axis
        reduced = func(result, axis)
        if reduced.ndim != result.ndim:
            reduced = np.expand_dims(reduced, axis)
            if reduced.ndim != result.ndim:
                raise ValueError("function is not returning an array of the correct shape")
        result = reduced
    return result


def _piecewise_of_plain(
    original: Callable[..., Any], x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any
) -> Any:
    rule = piecewise if any(map(callable, funclist)) else original
    return rule(x, condlist, funclist, *args, **kw)


def _along_axis_of_plain(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return apply_along_axis(*args, **kwargs)


_function: Any
for _function, _rule in ((np.piecewise, _piecewise_of_plain), (np.apply_along_axis, _along_axis_of_plain)):
    INTERCEPTED[_function.__wrapped__] = _rule
    CALLING_BACK.add(_function.__wrapped__)
