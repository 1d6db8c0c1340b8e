"""Functions that only move entries: each is itself, applied to the values and to the entries' indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
from numpy.lib.array_utils import byte_bounds

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import FUNCTIONS, INTERCEPTED, implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import (
    array_of,
    broadcast_node,
    cast_node,
    dtype_of,
    full_node,
    gathered,
    moved,
    root_indices,
    value_of,
    values_in,
)
from archimedes_grad.arrays.trace_state import note_strides, trace_error
from archimedes_grad.nodes.gather import reshaped, stored_shape
from archimedes_grad.nodes.strided import laid_out_as
from archimedes_grad.rules.branches import note_choice
from archimedes_grad.rules.composition import assigned
from archimedes_grad.rules.indexing import plain_key
from archimedes_grad.rules.ufuncs import numpys_out
from archimedes_grad.rules.words import is_zero, negated, select_signed

#: Functions of one array, the first argument, whose results hold entries of it and nothing else.
MOVEMENTS: tuple[Callable[..., Any], ...] = (
    np.array_split, np.broadcast_to, np.delete, np.diagonal, np.dsplit, np.expand_dims, np.flip, np.fliplr,
    np.flipud, np.hsplit, np.linalg.diagonal, np.linalg.matrix_transpose, np.matrix_transpose, np.moveaxis,
    np.ravel, np.repeat, np.reshape, np.resize, np.roll, np.rollaxis, np.rot90, np.split, np.squeeze,
    np.swapaxes, np.tile, np.transpose, np.vsplit,
)  # fmt: skip


def movement_rule(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of a movement: NumPy's function on the values, and again on the indices."""

    def rule(array: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        array = gathered(array)
        args, kwargs = plain_key(args), {name: plain_key(word) for name, word in kwargs.items()}
        if not isinstance(array, SymbolicArray):
            return assigned(out, function(array, *args, **kwargs))
        if function in (np.ravel, np.reshape):
            # Whether to copy may be asked for, too: as copy=False, which raises where that is needed.
            note_strides(only_if_written="copy" not in kwargs and {"K", "A"}.isdisjoint(_words(args, kwargs)))
        result = moved_each(array, lambda entries: function(entries, *args, **kwargs))
        return assigned(out, result)

    rule.__name__ = function.__name__
    return rule


def _words(args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[str]:
    return {word for word in (*args, *kwargs.values()) if isinstance(word, str)}


def moved_each(array: SymbolicArray, movement: Callable[[Any], Any]) -> Any:
    """Apply a movement that gives one array or a list of arrays: views where NumPy gives views."""
    values = movement(array.value)

    def indices() -> Any:
        # Laid out as the array is, which order="K" and "A" go by.
        return movement(laid_out_as(np.asarray(array.value), np.asarray(root_indices(array))))

    if not isinstance(values, list | tuple):
        return moved(array, values, indices)
    return type(values)(moved(array, value, lambda: indices()[part]) for part, value in enumerate(values))  # noqa: B023


for _function in MOVEMENTS:
    FUNCTIONS[_function] = movement_rule(_function)


def _at_least(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(*arrays: Any) -> Any:
        results = tuple(moved_each(g, function) if isinstance(g, SymbolicArray) else function(g)
                        for g in map(gathered, arrays))  # fmt: skip
        return results[0] if len(results) == 1 else results

    return rule


for _function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    FUNCTIONS[_function] = _at_least(_function)


@implements(np.broadcast_arrays)
def broadcast_arrays(*arrays: Any, subok: bool = False) -> tuple[Any, ...]:
    """Broadcast arrays against each other."""
    arrays = tuple(map(gathered, arrays))
    shape = np.broadcast_shapes(*(np.shape(value_of(array)) for array in arrays))
    return tuple(np.broadcast_to(array, shape) for array in arrays)


@implements(np.concatenate)
def concatenate(
    arrays: Any, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:  # fmt: skip
    """Join arrays along an axis: the stored matrices one under the other."""
    arrays = [gathered(array) for array in arrays]
    value = np.concatenate(
        [value_of(array) for array in arrays], axis, numpys_out(out, "concatenate"), dtype=dtype, casting=casting
    )
    axis = 0 if axis is None else axis % value.ndim
    outer = int(np.prod(value.shape[:axis]))
    parts = []
    for array in arrays:
        shape = np.shape(value_of(array))
        if 0 not in shape:
            node = cast_node(full_node(array, shape), dtype_of(array), value.dtype)
            parts.append(reshaped(node, (outer, node.numel() // outer)))
    if not parts:
        return new_array(cs.MX(*stored_shape(value.shape)), value)
    result = new_array(reshaped(cs.vertcat(*parts), value.shape), value)
    return assigned(out, result)


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join arrays along a new axis."""
    arrays = [gathered(array) for array in arrays]
    np.stack(values_in(arrays), axis, numpys_out(out, "stack"), dtype=dtype, casting=casting)
    expanded = [np.expand_dims(array_of(a), axis) for a in arrays]
    return np.concatenate(expanded, axis, out, dtype=dtype, casting=casting)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join arrays along the first axis, one-dimensional ones as rows."""
    return np.concatenate([np.atleast_2d(gathered(a)) for a in tup], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join arrays along the second axis, one-dimensional ones along the first."""
    arrays = [np.atleast_1d(gathered(a)) for a in tup]
    axis = 0 if arrays and arrays[0].ndim == 1 else 1
    return np.concatenate(arrays, axis, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Join arrays along the third axis."""
    return np.concatenate([np.atleast_3d(gathered(a)) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Join one-dimensional arrays as the columns of a matrix, two-dimensional ones along the second axis."""
    arrays = [gathered(a) for a in tup]
    return np.concatenate([np.atleast_2d(a).T if np.ndim(value_of(a)) < 2 else a for a in arrays], 1)


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """Choose entries by a condition. With the condition alone: ``np.nonzero``."""
    if x is None and y is None:
        return np.nonzero(condition)
    condition, x, y = gathered(condition), gathered(x), gathered(y)
    branches = [value_of(branch) for branch in (x, y) if branch is not None]
    value = np.where(value_of(condition), *branches)
    return new_array(_chosen(condition, x, y, value.shape), value)


def _chosen(condition: Any, x: Any, y: Any, shape: tuple[int, ...]) -> cs.MX:
    node = broadcast_node(condition, shape)
    zero = negated(node) if dtype_of(condition).kind == "b" else is_zero(node)
    taken_x, taken_y = full_node(x, shape), full_node(y, shape)
    note_choice(taken_x, taken_y)
    return select_signed(negated(zero), taken_x, taken_y)


def _as_strided(original: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """The memory of an array read at any strides: a view."""
    x = np.asarray(gathered(x))  # Of a number an array without axes.
    note_strides()
    value = original(x.value, *args, **kwargs)
    memory = x.value if x.root is None else x.root.value
    (first, last), (lowest, highest) = byte_bounds(value), byte_bounds(memory)
    if value.size and (first < lowest or last > highest or any(stride % memory.itemsize for stride in value.strides)):
        raise trace_error(
            f"as_strided reaches beyond the entries of a traced array of shape {x.shape}, or between them: got shape "
            f"{value.shape} and strides {value.strides}, and steps of {memory.itemsize} bytes within it were expected.",
            "Count the strides in x.strides, or take the entries by sliding_window_view or by an index.",
        )
    return moved(x, value, lambda: np.zeros(value.shape, np.intp))


INTERCEPTED[np.lib.stride_tricks.as_strided] = _as_strided


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """The lower triangle of a matrix or a stack of them; zeros elsewhere."""
    m = gathered(m)
    return np.where(_below_diagonal(m, k), m, np.zeros(1, m.dtype))


def _below_diagonal(m: Any, k: int) -> np.ndarray[Any, Any]:
    # NumPy broadcasts a vector to the rows of a square matrix.
    rows, columns = np.tri(*m.shape[-2:]).shape
    return np.tri(rows, columns, k, bool)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """The upper triangle of a matrix or a stack of them; zeros elsewhere."""
    m = gathered(m)
    return np.where(_below_diagonal(m, k - 1), np.zeros(1, m.dtype), m)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix with a given diagonal."""
    v = gathered(v)
    if v.ndim == 2:
        return np.diagonal(v, k)
    indices = np.diag(np.arange(1, v.size + 1).reshape(v.shape), k)
    return _placed(v, indices)


def _placed(entries: SymbolicArray, positions: np.ndarray[Any, Any]) -> SymbolicArray:
    """Return an array with entry p - 1 where positions is p, and zero where it is 0."""
    padded = np.concatenate([np.zeros(1, entries.dtype), np.ravel(entries)])
    return padded[positions]  # type: ignore[no-any-return]
