"""Joining, inserting, grids and loops over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, gathered, moved, root_indices, value_of, values_in
from archimedes_grad.rules.composition import composed, gathered_from, numbered, plain_function, static

# --- what says nothing about traced values --------------------------------------------------------

for _function in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from):
    plain_function(_function, values_in)


# --- joining and inserting ------------------------------------------------------------------------


@composed(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Entries after those of an array."""
    if axis is None:
        return np.concatenate([np.ravel(arr), np.ravel(values)])
    return np.concatenate([arr, values], axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Entries put in before given positions."""
    arr, obj, values = gathered(arr), static(obj), gathered(values)
    value = np.insert(value_of(arr), obj, value_of(values), axis)
    entries, new = numbered([arr, values])
    return new_array(gathered_from([arr, values], np.insert(entries, obj, new, axis), value.dtype), value)


@implements(np.block)
def block(arrays: Any) -> Any:
    """An array from nested lists of blocks: the innermost lists along the last axis."""
    value = np.block(values_in(arrays))
    depth = _depth(arrays)
    joined = _joined(arrays, depth, max(depth, value.ndim))
    return joined if depth else joined.copy()


def _depth(arrays: Any) -> int:
    return 1 + _depth(arrays[0]) if isinstance(arrays, list) else 0


def _joined(arrays: Any, depth: int, ndim: int) -> Any:
    if not isinstance(arrays, list):
        array = array_of(arrays)
        return np.reshape(array, (1,) * (ndim - array.ndim) + array.shape)
    return np.concatenate([_joined(array, depth - 1, ndim) for array in arrays], -depth)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis."""
    x = gathered(x)
    np.unstack(value_of(x), axis=axis)
    first = np.moveaxis(x, axis, 0)
    return tuple(first[k] for k in range(first.shape[0]))


# --- grids ----------------------------------------------------------------------------------------


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> tuple[Any, ...]:
    """Coordinate arrays from coordinate vectors."""
    vectors: list[Any] = [gathered(x) for x in xi]
    np.meshgrid(*(value_of(x) for x in vectors), sparse=True, indexing=indexing)
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    grids = []
    for x, axis in zip(vectors, order, strict=True):
        shape = [1] * len(vectors)
        shape[axis] = -1
        grids.append(np.reshape(x, shape))
    if not sparse:
        full = np.broadcast_shapes(*(np.shape(value_of(grid)) for grid in grids))
        grids = [np.broadcast_to(grid, full) for grid in grids]
    return tuple(grid.copy() if copy else grid for grid in grids)


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    """Vectors reshaped so that they broadcast to a grid; of masks, the places where they hold."""
    vectors = [gathered(x) for x in args]
    np.ix_(*map(value_of, vectors))
    masks = [np.asarray(value_of(x)).dtype == np.bool_ for x in vectors]
    vectors = [np.flatnonzero(x) if is_mask else x for x, is_mask in zip(vectors, masks, strict=True)]
    return tuple(
        np.reshape(x, tuple(-1 if a == k else 1 for a in range(len(vectors)))) for k, x in enumerate(vectors)
    )


@composed(np.geomspace)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Numbers in geometric progression between two ends of the same sign; nan between others."""
    start, stop = start * 1.0, stop * 1.0  # Truth values have no sign.
    refuse(np.any(np.logical_or(np.equal(start, 0), np.equal(stop, 0))))
    sign = np.sign(start)
    shape = np.broadcast_shapes(np.shape(value_of(start)), np.shape(value_of(stop)))
    powers = np.linspace(0.0, 1.0, num, endpoint) if num else np.zeros(0)
    weights = np.reshape(powers, (-1, *(1,) * len(shape)))
    first, last = np.log(np.abs(start)), np.log(stop * sign)
    points = np.exp(first + (last - first) * weights) * sign
    # The ends as they were given, infinite ones too; nan where the other end is, as the sign is.
    ends = [np.broadcast_to(x, (1, *shape)) for x in (start, stop * np.abs(sign))]
    if num:
        points = np.concatenate([ends[0], points[1:]])
    if num > 1 and endpoint:
        points = np.concatenate([points[:-1], ends[1]])
    return np.moveaxis(points, 0, axis)


@composed(np.logspace)
def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
             axis: int = 0) -> Any:  # fmt: skip
    """Powers of a base, evenly spaced in the exponent."""
    if np.ndim(value_of(base)):
        ndim = max(np.ndim(value_of(x)) for x in (start, stop, base))
        start, stop, base = (
            np.reshape(x, (1,) * (ndim - np.ndim(value_of(x))) + np.shape(value_of(x))) for x in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    return np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))


@composed(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """The matrix with given numbers on a diagonal."""
    return np.diag(np.ravel(v), k)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """All windows of a shape: a view, and read-only unless asked for otherwise."""
    view = np.lib.stride_tricks.sliding_window_view
    x = gathered(x)
    value = view(x.value, window_shape, axis, writeable=writeable)
    return moved(x, value, lambda: view(root_indices(x), window_shape, axis))


# --- casts and copies -----------------------------------------------------------------------------


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """The array cast to a dtype."""
    return x.astype(dtype, copy=copy)


@implements(np.array_repr, np.array_str, np.array2string)
def array_text(a: Any, *args: Any, **kwargs: Any) -> str:
    """A traced array's repr: it has no fixed entries to print."""
    return repr(a)
