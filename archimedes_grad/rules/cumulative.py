"""Running sums and products; ``accumulate``, ``reduceat`` and ``reduce`` of ufuncs without a rule of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import ELEMENTWISE, Rule, implements_ufunc
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.nodes.gather import flat, reshaped
from archimedes_grad.rules.composition import NO_VALUE, composed, given, static, written
from archimedes_grad.rules.creation import constant
from archimedes_grad.rules.reductions import reduced_axes
from archimedes_grad.rules.running import Combine, all_results

#: ufuncs that give the same, up to rounding, however their operands are grouped: they are folded by halves.
ASSOCIATIVE = frozenset({
    np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot,
    np.logical_and, np.logical_or, np.logical_xor,
})  # fmt: skip


def _scan_along(array: Any, axis: int, combine: Combine) -> Any:
    """Return the scan of a traced array along an axis, in the array's shape."""
    first = np.moveaxis(array, axis, 0)
    width = first.size // first.shape[0]
    node = all_results(flat(first.node), width, combine)
    scan: Any = new_array(reshaped(node, first.shape), np.zeros(first.shape, array.dtype))
    return np.moveaxis(scan, 0, axis)


def _one_by_one(ufunc: np.ufunc, array: Any) -> list[Any]:
    """Return the running results of a ufunc along the first axis, in order."""
    results = [array[0]]
    for position in range(1, array.shape[0]):
        results.append(ufunc(results[-1], array[position]))
    return results


@implements_ufunc("accumulate", np.ufunc)
def accumulate(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    """The running result of a ufunc of two operands along an axis."""
    array = gathered(array)
    value = ufunc.accumulate(value_of(array), axis, dtype)
    if value.size == 0 or not is_traced(array):
        return written(out, constant(value), ufunc.__name__)
    cast = array.astype(value.dtype if ufunc not in _LOGICAL else array.dtype)
    if ufunc in ASSOCIATIVE and value.dtype.kind != "b":
        result = _scan_along(cast, axis, ELEMENTWISE[ufunc])
    elif ufunc in _LOGICAL:
        result = _scan_along(np.not_equal(cast, 0), axis, ELEMENTWISE[ufunc])
    else:
        result = np.stack(_one_by_one(ufunc, np.moveaxis(cast, axis, 0)), axis)
    return written(out, new_array(result.node, value), ufunc.__name__)


_LOGICAL = frozenset({np.logical_and, np.logical_or, np.logical_xor})


@implements_ufunc("reduceat", np.ufunc)
def reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    """The reductions of a ufunc over slices that start at given indices."""
    array, indices = gathered(array), static(indices)
    value = ufunc.reduceat(value_of(array), indices, axis, dtype)
    if value.size == 0 or not is_traced(array):
        return written(out, constant(value), ufunc.__name__)
    first = np.moveaxis(array, axis, 0)
    starts = np.asarray(indices)
    stops = np.append(starts[1:], first.shape[0])
    parts = [
        ufunc.reduce(first[start:stop], axis=0, dtype=value.dtype) if start < stop else first[start]
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    joined: Any = np.stack(parts, axis)
    return written(out, new_array(joined.node, value), ufunc.__name__)


@implements_ufunc("reduce", np.ufunc)
def reduce(ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False,
           initial: Any = NO_VALUE, where: Any = True) -> Any:  # fmt: skip
    """The result of a ufunc of two operands over all entries along axes."""
    array = gathered(array)
    options = given(initial=value_of(initial))
    value = ufunc.reduce(value_of(array), axis=axis, dtype=dtype, keepdims=keepdims, where=value_of(where), **options)
    if where is not True:
        # NumPy asks for an initial value or an identity here, so one of them is there to stand in.
        neutral = ufunc.identity if ufunc.identity is not None else NEUTRAL.get(ufunc)
        if neutral is None:
            raise _where_refused(ufunc)
        array = np.where(where, array, neutral)
    axes = reduced_axes(axis, array.ndim)
    kept = tuple(a for a in range(array.ndim) if a not in axes)
    ordered = np.transpose(array, axes + kept)
    combined, others = ordered.shape[: len(axes)], ordered.shape[len(axes) :]
    rows = np.reshape(ordered, (math.prod(combined), *others))
    if dtype is not None:
        rows = rows.astype(dtype)
    if rows.shape[0] and initial is not NO_VALUE and initial is not None:
        rows = np.concatenate([np.broadcast_to(initial, (1, *rows.shape[1:])), rows])
    if rows.shape[0]:
        result = _folded(ufunc, rows)
        if rows.shape[0] == 1 and ufunc is np.hypot:
            result = np.absolute(result)
    else:
        result = np.broadcast_to(value, np.shape(value))
    if not isinstance(result, SymbolicArray):
        return written(out, constant(value), ufunc.__name__)
    result = result.astype(np.asarray(value).dtype)
    return written(out, new_array(reshaped(result.node, np.shape(value)), value), ufunc.__name__)


NEUTRAL: dict[np.ufunc, float] = {np.logaddexp: -np.inf, np.logaddexp2: -np.inf, np.hypot: 0.0}


def _where_refused(ufunc: np.ufunc) -> Exception:
    return trace_error(
        f"numpy.{ufunc.__name__}.reduce got where=, and has no number that leaves a result as it is.",
        "Choose the entries by static indices before the call.",
    )


def _folded(ufunc: np.ufunc, rows: Any) -> Any:
    """Return the first axis combined: by halves where grouping does not matter, else in order."""
    if ufunc not in ASSOCIATIVE:
        return _one_by_one(ufunc, rows)[-1]
    while rows.shape[0] > 1:
        half = rows.shape[0] // 2
        combined = ufunc(rows[:half], rows[half : 2 * half])
        rows = np.concatenate([combined, rows[2 * half :]]) if rows.shape[0] % 2 else combined
    return rows[0]


# --- cumulative functions -------------------------------------------------------------------------


def _cumulative(ufunc: np.ufunc) -> Rule:
    def program(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        array = np.ravel(a) if axis is None else a
        if array.ndim == 0:
            array = np.reshape(array, (1,))
        wide = np.dtype(array.dtype if dtype is None else dtype).newbyteorder("=")
        return ufunc.accumulate(array, 0 if axis is None else axis, wide if wide.kind != "b" else np.intp)

    return program


composed(np.cumsum)(_cumulative(np.add))
composed(np.cumprod)(_cumulative(np.multiply))


def _nan_cumulative(function: Callable[..., Any], neutral: float) -> Rule:
    def program(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return function(np.where(np.isnan(a), neutral, a), axis, dtype)

    return program


composed(np.nancumsum)(_nan_cumulative(np.cumsum, 0.0))
composed(np.nancumprod)(_nan_cumulative(np.cumprod, 1.0))


def _array_api_cumulative(function: Callable[..., Any], neutral: int) -> Rule:
    def program(x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None,
                include_initial: bool = False) -> Any:  # fmt: skip
        array = np.reshape(x, (1,)) if np.ndim(value_of(x)) == 0 else x
        axis = 0 if axis is None else axis
        result = function(array, axis, dtype)
        if not include_initial:
            return result
        shape = list(result.shape)
        shape[axis] = 1
        return np.concatenate([np.full(shape, neutral, result.dtype), result], axis)

    return program


composed(np.cumulative_sum)(_array_api_cumulative(np.cumsum, 0))
composed(np.cumulative_prod)(_array_api_cumulative(np.cumprod, 1))
