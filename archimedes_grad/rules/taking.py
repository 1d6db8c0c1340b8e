"""``take`` and ``take_along_axis``: by static indices a movement of entries, by traced ones as indexing is."""

from __future__ import annotations

from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.operands import gathered, is_traced
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.rules.composition import written
from archimedes_grad.rules.movement import movement_rule

_take, _take_along_axis = movement_rule(np.take), movement_rule(np.take_along_axis)


def _at_run_time(indices: Any) -> bool:
    """Tell whether indices are traced where they cannot be decided: in the body of a loop or of vmap."""
    trace = current_trace()
    return is_traced(indices) and trace is not None and not trace.values_known


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: Any = "raise") -> Any:
    """Entries or slices at indices along an axis."""
    a, indices = gathered(a), gathered(indices)
    if mode != "raise" or not isinstance(a, SymbolicArray) or not _at_run_time(indices):
        return _take(a, indices, axis, out=out, mode=mode)
    np.take(a.value, indices.value, axis, mode="clip")
    if axis is None:
        return written(out, np.ravel(a)[indices], "take")
    axis = np.lib.array_utils.normalize_axis_index(axis, a.ndim)
    entries = a[(slice(None),) * axis + (indices,)]
    return written(out, entries.copy() if np.ndim(entries) else entries, "take")


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Entries at indices along an axis, for each one-dimensional slice its own."""
    arr, indices = gathered(arr), gathered(indices)
    if not isinstance(arr, SymbolicArray) or not _at_run_time(indices):
        return _take_along_axis(arr, indices, axis)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    np.take_along_axis(arr.value, np.zeros_like(indices.value), axis)
    axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
    key: list[Any] = list(np.ogrid[tuple(map(slice, arr.shape))])
    key[axis] = indices
    return arr[tuple(key)]
