"""Functions that write into an array by place or by mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.operands import array_of, gathered, value_of
from archimedes_grad.rules.composition import require_target, static, static_mask


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Write numbers on the diagonal of an array, in place."""
    val = gathered(val)
    target = require_target(a, "np.fill_diagonal")
    _write_by_numbers(target, val, lambda entries, numbers: np.fill_diagonal(entries, numbers, wrap))


@implements(np.put, np.ndarray.put)
def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    """Write numbers at flat indices, in place."""
    ind = static(ind)
    target = require_target(a, "np.put")
    _write_by_numbers(target, gathered(v), lambda entries, numbers: np.put(entries, ind, numbers, mode))


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    """Write numbers at indices along an axis, in place."""
    indices = static(indices)
    target = require_target(arr, "np.put_along_axis")
    _write_by_numbers(
        target, gathered(values), lambda entries, numbers: np.put_along_axis(entries, indices, numbers, axis)
    )


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Write numbers one after the other where a static mask holds, in place."""
    mask = static_mask(mask)
    target = require_target(arr, "np.place")
    if not isinstance(target.value, np.ndarray):
        raise TypeError(f"place() argument 1 must be numpy.ndarray, not numpy.{type(target.value).__name__}")
    _write_by_numbers(target, _converted(vals, target), lambda entries, numbers: np.place(entries, mask, numbers))


@implements(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """Write numbers at the same places where a mask holds, in place."""
    target = require_target(a, "np.putmask")
    mask, values = gathered(mask), _converted(values, target)
    np.putmask(np.array(target.value), value_of(mask), value_of(values))
    flat = np.ravel(values) if isinstance(values, SymbolicArray) else np.ravel(np.asarray(values))
    if flat.shape[0]:
        spread = np.reshape(flat[np.arange(target.size) % flat.shape[0]], target.shape)
        target[...] = np.where(mask, spread.astype(target.dtype), target)


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Copy values from one array to another, where a mask holds."""
    target = require_target(dst, "np.copyto")
    src, where = gathered(src), gathered(where)
    np.copyto(np.array(target.value), value_of(src), casting, value_of(where))
    if where is True:
        target[...] = src
        return
    # NumPy has taken it above: axes that the target has not are of length 1.
    shape = np.shape(value_of(src))
    spread = np.broadcast_to(np.reshape(src, shape[max(0, len(shape) - target.ndim) :]), target.shape)
    target[...] = np.where(where, spread.astype(target.dtype), target)


def _converted(values: Any, target: SymbolicArray) -> Any:
    """Return what is written: NumPy converts the entries of a list to any dtype, but an array to wider ones only."""
    gathered_values = gathered(values)
    if not isinstance(values, list | tuple):
        return gathered_values
    is_plain = not isinstance(gathered_values, SymbolicArray)
    return np.array(values, target.dtype) if is_plain else gathered_values.astype(target.dtype)


def _write_by_numbers(target: SymbolicArray, new: Any, write: Callable[[Any, Any], None]) -> None:
    """Write in place as NumPy does on the values, by what it does to arrays of entry numbers."""
    new = array_of(new)
    write(np.array(target.value), value_of(new))
    places = np.full(target.shape, -1)
    write(places, np.arange(new.size).reshape(new.shape))
    chosen = np.flatnonzero(places >= 0)
    if not chosen.size:
        return
    entries = np.ravel(new)[places.ravel()[chosen]].astype(target.dtype)
    if target.ndim:
        target[np.unravel_index(chosen, target.shape)] = entries
    else:
        target[()] = entries[0]  # A number has no entries to write to, and says so.
