"""Results whose length depends on the entries: places where a mask holds, and arrays taken as sets.

Which entries there are is decided while tracing, as an ``if`` on traced values is: a guard for each decision.
``np.where(mask, x, 0)`` and ``np.sum(mask * x)`` need none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.operands import gathered, is_traced, value_of
from archimedes_grad.rules.composition import assigned, plain_function, static, static_mask
from archimedes_grad.rules.reductions import reduced_axes
from archimedes_grad.rules.ufuncs import numpys_out

for _of_mask in (np.nonzero, np.flatnonzero, np.argwhere):
    plain_function(_of_mask, static_mask)

for _of_index in (np.unravel_index, np.ravel_multi_index):
    plain_function(_of_index, static)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """The entries where a mask holds."""
    return np.ravel(gathered(arr))[np.flatnonzero(static_mask(condition))]


@implements(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """The slices along an axis where a mask holds."""
    a, condition = gathered(a), static_mask(condition)
    np.compress(condition, value_of(a), axis, numpys_out(out, "compress"))
    return assigned(out, np.take(a, np.flatnonzero(condition), axis))


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb", axis: Any = None) -> Any:
    """The entries without the zeros at the ends; those of a list as a list."""
    if isinstance(filt, list | tuple):
        return type(filt)(trim_zeros(gathered(filt), trim, axis).tolist())
    filt = gathered(filt)
    keywords = {} if axis is None else {"axis": axis}
    value = np.trim_zeros(value_of(filt), trim, **keywords)
    trimmed = reduced_axes(axis, np.ndim(value))
    if not trimmed:
        # Up to NumPy 2.3 the number in an array without axes, later what is given.
        return filt if isinstance(value, type(value_of(filt))) else filt[()]
    present = np.not_equal(filt, 0)
    if not bool(np.any(present)):
        return filt[tuple(slice(0, n) for n in np.shape(value))]
    kept = [slice(None)] * filt.ndim
    for place in trimmed:
        along = np.any(present, axis=tuple(k for k in range(filt.ndim) if k != place))
        start = int(np.argmax(along)) if "f" in trim.lower() else 0
        stop = filt.shape[place] - (int(np.argmax(along[::-1])) if "b" in trim.lower() else 0)
        kept[place] = slice(start, stop)
    return filt[tuple(kept)]


# --- arrays as sets -------------------------------------------------------------------------------


def _distinct(ordered: Any, equal_nan: bool) -> Any:
    """Return which entries of a sorted array differ from the one before."""
    later, earlier = ordered[1:], ordered[:-1]
    differs = np.not_equal(later, earlier)
    if equal_nan:
        differs = np.logical_and(differs, np.logical_not(np.logical_and(np.isnan(later), np.isnan(earlier))))
    differs = static(differs)
    return np.concatenate([np.ones(min(1, ordered.shape[0]), bool), differs])


@implements(np.unique)
def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None, *, equal_nan: bool = True, sorted: bool = True) -> Any:  # fmt: skip
    """The distinct entries in ascending order, and where they come from: constants of this path."""
    ar = gathered(ar)
    if axis is not None and (ar.ndim != 1 or operator.index(axis) not in (0, -1)):
        return _unique_slices(ar, axis, (return_index, return_inverse, return_counts), equal_nan)
    flat = np.ravel(ar)
    entries = np.sort(flat)[_distinct(np.sort(flat), equal_nan)]
    if not (return_index or return_inverse or return_counts):
        return entries
    static(np.argsort(flat, stable=True))
    plain: Any = np.unique(  # type: ignore[call-overload]
        ar.value, return_index, return_inverse, return_counts, equal_nan=equal_nan
    )
    return (entries, *plain[1:])


def _unique_slices(ar: SymbolicArray, axis: int, returned: tuple[bool, bool, bool], equal_nan: bool) -> Any:
    """Return the distinct slices along an axis, the order of all entries decided."""
    static(np.argsort(np.ravel(ar), stable=True))
    _distinct(np.sort(np.ravel(ar)), equal_nan)
    plain: Any = np.unique(  # type: ignore[call-overload]
        ar.value, True, returned[1], returned[2], axis=axis, equal_nan=equal_nan
    )
    slices = np.take(ar, plain[1], axis)
    rest = plain[1:] if returned[0] else plain[2:]
    return (slices, *rest) if any(returned) else slices


def _array_api(function: Callable[..., Any], index: bool, inverse: bool, counts: bool) -> None:
    @implements(function)
    def rule(x: Any, /, **options: Any) -> Any:
        result = unique(x, index, inverse, counts, equal_nan=False)
        return type(function(np.zeros(1)))(*result) if isinstance(result, tuple) else result


_array_api(np.unique_values, index=False, inverse=False, counts=False)
_array_api(np.unique_counts, index=False, inverse=False, counts=True)
_array_api(np.unique_inverse, index=False, inverse=True, counts=False)
_array_api(np.unique_all, index=True, inverse=True, counts=True)


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """The distinct entries of either array."""
    return np.unique(np.concatenate([np.ravel(gathered(ar1)), np.ravel(gathered(ar2))]))


def _among(entries: Any, others: Any, wanted: bool) -> Any:
    return entries[static(np.isin(entries, others, invert=not wanted))]


def _as_set(ar: Any, assume_unique: bool) -> Any:
    flat = np.ravel(gathered(ar))
    return flat if assume_unique else np.unique(flat)


@implements(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The distinct entries of both arrays."""
    common = _among(np.sort(_as_set(ar1, assume_unique)), ar2, wanted=True)
    if not return_indices:
        return common
    plain = np.intersect1d(value_of(gathered(ar1)), value_of(gathered(ar2)), assume_unique, return_indices=True)
    for array in map(gathered, (ar1, ar2)):
        if is_traced(array):
            static(np.argsort(np.ravel(array), stable=True))
    return (common, *plain[1:])


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The distinct entries of the first array that are not in the second."""
    return _among(_as_set(ar1, assume_unique), ar2, wanted=False)


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The distinct entries of one array only."""
    first, second = _as_set(ar1, assume_unique), _as_set(ar2, assume_unique)
    return np.sort(np.concatenate([_among(first, second, wanted=False), _among(second, first, wanted=False)]))
