"""Moving entries: from NumPy's geometry (shape, offset, strides, indices) to CasADi nodes.

An array of NumPy shape ``(..., n)`` is stored as the dense CasADi matrix with ``n`` rows and one column
for each of the leading positions: byte for byte NumPy's C order. Everything here works on that storage
and keeps structure where there is structure (slices, transposes, repetitions), because an index list
costs memory and time for every entry, in the forward graph and again in its derivative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.nodes.broadcasts import is_large_broadcast, product_with_ones, repeated
from archimedes_grad.nodes.patterns import filled_with, seen_as, spread
from archimedes_grad.nodes.strided import Geometry, places_in_c_order

_binary = cs.MX.binary

Shape = tuple[int, ...]
IndexArray = npt.NDArray[np.intp]

#: Names of the Functions that give the largest or smallest entry of each row; engines know them by these.
EXTREMES = {cs.OP_FMAX: "maximum_of_columns", cs.OP_FMIN: "minimum_of_columns"}


def stored_shape(shape: Shape) -> tuple[int, int]:
    """Return rows and columns of the CasADi matrix that stores an array of a NumPy shape."""
    if not shape:
        return 1, 1
    return shape[-1], math.prod(shape[:-1])


def reshaped(node: cs.MX, shape: Shape) -> cs.MX:
    """Return the same entries in C order, stored for another NumPy shape of the same size."""
    rows, columns = stored_shape(shape)
    if node.size1() == rows and node.size2() == columns:
        return node
    return seen_as(node, rows, columns)


def flat(node: cs.MX) -> cs.MX:
    """Return the entries in C order as one column."""
    if node.size2() == 1:
        return node
    return seen_as(node, node.numel(), 1)


def geometry_of(window: npt.NDArray[Any], root: npt.NDArray[Any]) -> Geometry:
    """Return where a NumPy view lies in the memory of the array that it is a view of."""
    itemsize = root.itemsize
    byte_offset = window.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    strides = tuple(stride // itemsize for stride in window.strides)
    return Geometry(window.shape, byte_offset // itemsize, strides)


def viewed(root: cs.MX, memory: npt.NDArray[Any], geometry: Geometry) -> cs.MX:
    """Return the entries of a window on the memory of an array that is stored as root."""
    if memory.flags.c_contiguous:
        return window(root, memory.shape, geometry)
    return taken(root, memory.shape, places_in_c_order(memory, geometry.indices()))


def window(root: cs.MX, root_shape: Shape, geometry: Geometry) -> cs.MX:
    """Return the entries of a strided window on a root, stored for the window's shape."""
    rows, columns = stored_shape(geometry.shape)
    if rows * columns == 0:
        return cs.MX(rows, columns)
    axes = geometry.axes()
    distinct = [(length, stride) for length, stride in axes if stride != 0]
    node = _distinct_entries(root, root_shape, geometry.offset, distinct)
    node = repeated(node, [(length, stride == 0) for length, stride in axes])
    return seen_as(node, rows, columns) if node.shape != (rows, columns) else node


def _distinct_entries(
    root: cs.MX, root_shape: Shape, offset: int, axes: Sequence[tuple[int, int]]
) -> cs.MX:
    size = math.prod(root_shape)
    if not axes:
        return root.get_nz(False, offset)
    if len(axes) == 1:
        length, stride = axes[0]
        if stride == 1 and length == size:
            return root
        return root.get_nz(False, _slice(offset, length, stride, size))
    if len(axes) == 2:
        block = _block(root, root_shape, offset, axes)
        if block is not None:
            return block
    geometry = Geometry(tuple(a[0] for a in axes), offset, tuple(a[1] for a in axes))
    return root.get_nz(False, geometry.indices().ravel().tolist())


def _slice(first: int, length: int, step: int, size: int) -> cs.Slice:
    """Return a slice of so many entries of ``size``; a step down to the first entry stops before it, at -1."""
    last = first + (length - 1) * step
    stop = last + 1 if step > 0 else last - 1
    return cs.Slice(first, stop if stop >= 0 else -size - 1, step)


def _block(
    root: cs.MX, root_shape: Shape, offset: int, axes: Sequence[tuple[int, int]]
) -> cs.MX | None:
    """Return a block of rows and columns of a root seen as a matrix, transposed or not, or None."""
    (length_1, stride_1), (length_2, stride_2) = axes
    if abs(stride_1) < abs(stride_2):
        swapped = _block(root, root_shape, offset, [axes[1], axes[0]])
        return None if swapped is None else swapped.T
    size = math.prod(root_shape)
    for row_length in dict.fromkeys((root_shape[-1] if root_shape else 1, abs(stride_1))):
        if row_length == 0 or size % row_length or stride_1 % row_length:
            continue
        rows = size // row_length
        first_row, first_column = divmod(offset, row_length)
        row_step = stride_1 // row_length
        last_row, last_column = first_row + (length_1 - 1) * row_step, first_column + (length_2 - 1) * stride_2
        if 0 <= last_column < row_length and 0 <= last_row < rows:
            matrix = seen_as(root, row_length, rows)
            if (length_2, length_1) == matrix.shape and row_step == stride_2 == 1:
                return matrix
            columns = _slice(first_column, length_2, stride_2, row_length)
            return matrix.get(False, columns, _slice(first_row, length_1, row_step, rows))
    return None


def taken(root: cs.MX, root_shape: Shape, indices: IndexArray) -> cs.MX:
    """Return the root entries at an array of flat indices, stored for that array's shape."""
    rows, columns = stored_shape(indices.shape)
    if rows * columns == 0:
        return cs.MX(rows, columns)
    entries = indices.ravel()
    structure = _progression(entries) or _grid(entries)
    if structure is not None:
        node = window(root, root_shape, structure)
    else:
        runs = _runs(entries)
        # Entries of a row are a row, whatever the shape of the indices.
        parts = [flat(root.get_nz(False, _slice(*run, math.prod(root_shape)))) for run in runs]
        node = cs.vertcat(*parts) if parts else root.get_nz(False, entries.tolist())
    return node if node.shape == (rows, columns) else seen_as(node, rows, columns)


def _progression(entries: IndexArray) -> Geometry | None:
    """Return the window that an arithmetic progression is."""
    start = int(entries[0])
    if entries.size == 1:
        return Geometry((1,), start, (1,))
    step = int(entries[1]) - start
    if int(entries[-1]) != start + step * (entries.size - 1) or not np.all(np.diff(entries) == step):
        return None
    return Geometry((entries.size,), start, (step,))


def _grid(entries: IndexArray) -> Geometry | None:
    """Return the window that progressions of one length are, each as far from the one before."""
    steps = np.diff(entries)
    length = int(np.argmax(steps != steps[0])) + 1
    if entries.size % length or length == 1:
        return None
    rows = entries.reshape(-1, length)
    row_steps = np.diff(rows[:, 0])
    if not (np.all(row_steps == row_steps[0]) and np.all(rows - rows[:, :1] == rows[0] - rows[0, 0])):
        return None
    return Geometry((len(rows), length), int(entries[0]), (int(row_steps[0]), int(steps[0])))


#: Up to this many runs are cut out and joined; more take an index list.
_MOST_RUNS = 64


def _runs(entries: IndexArray) -> list[tuple[int, int, int]]:
    """Return the (start, length, step) of the few progressions that make up a long list, else nothing."""
    if entries.size <= 4 * _MOST_RUNS:
        return []
    steps = np.diff(entries)
    runs: list[tuple[int, int, int]] = []
    start = 0
    changes = np.append(np.flatnonzero(steps[1:] != steps[:-1]) + 1, entries.size - 1)
    if len(changes) > 2 * _MOST_RUNS:
        return []
    for change in changes.tolist():
        # The step to the next run belongs to none.
        if change > start:
            runs.append((int(entries[start]), change - start + 1, int(steps[start])))
            start = change + 1
    if start < entries.size:
        runs.append((int(entries[start]), entries.size - start, 1))
    return runs if all(step for _, _, step in runs) and len(runs) <= _MOST_RUNS else []


def entries_of_rows(root: cs.MX, geometry: Geometry, index: cs.MX) -> cs.MX:
    """Return, as one column, rows of an array at indices that are known at run time; nan where one is out of range.

    Parameters
    ----------
    root, geometry
        What the array is a window on, and which one.
    index
        The numbers of the rows; negative ones count from the end.
    """
    length, step = geometry.shape[0], geometry.strides[0]
    places = Geometry(geometry.shape[1:], geometry.offset, geometry.strides[1:]).indices().ravel()
    position = flat(index)
    below = _binary(cs.OP_LT, position, cs.MX(0.0))
    position = _binary(cs.OP_ADD, position, _binary(cs.OP_MUL, below, cs.MX(length)))
    is_in_range = cs.logic_and(position >= 0, position < length)
    if step != 1:
        position = _binary(cs.OP_MUL, position, cs.MX(step))
    if places.tolist() != [0]:
        position = cs.repmat(position.T, places.size, 1)
        position = cs.vec(_binary(cs.OP_ADD, position, cs.repmat(cs.MX(cs.DM(places)), 1, index.numel())))
    if not geometry.is_whole(root.numel()):
        # Beyond the window lie other entries of the root; at -1 none.
        position = cs.vec(cs.repmat(is_in_range.T, places.size, 1)) * (position + 1) - 1
    return flat(root).get_nz(False, position)


def broadcast(node: cs.MX, shape: Shape, target: Shape) -> cs.MX:
    """Return an array of ``shape`` broadcast to ``target``; one entry is left to CasADi's own rule."""
    if shape == target:
        return node
    size = math.prod(shape)
    if size == 1:
        return node if node.numel() == 1 and node.is_scalar() else cs.reshape(node, 1, 1)
    if is_large_broadcast(shape, target):
        return seen_as(product_with_ones(node, shape, target), *stored_shape(target))
    strides: list[int] = []
    stride = 1
    for length in reversed(shape):
        strides.append(stride if length != 1 else 0)
        stride *= length
    strides += [0] * (len(target) - len(shape))
    return window(node, shape, Geometry(target, 0, tuple(reversed(strides))))


def filled(node: cs.MX, shape: Shape) -> cs.MX:
    """Return a node of one entry repeated to a whole shape; others as they are."""
    rows, columns = stored_shape(shape)
    return repeated_number(node, rows, columns) if node.numel() == 1 and rows * columns != 1 else node


def repeated_number(number: cs.MX, rows: int, columns: int) -> cs.MX:
    """Return a matrix of one number."""
    return filled_with(float(number.to_DM()), rows, columns) if number.is_constant() else spread(number, rows, columns)


def places_of(info: dict[str, Any]) -> Geometry | npt.NDArray[np.int64]:
    """Return which entries a node takes or writes, by what CasADi tells about it: a window, or a list of places."""
    if "nz" in info:
        return np.array(info["nz"], dtype=np.int64)
    parts = [info["slice"]] if "slice" in info else [info["outer"], info["inner"]]
    steps = [range(part["start"], part["stop"], part["step"]) for part in parts]
    return Geometry(tuple(map(len, steps)), sum(s.start for s in steps), tuple(s.step for s in steps))


def indices_of(info: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Return the flat indices of the entries that a node takes or writes."""
    places = places_of(info)
    return places.indices().ravel().astype(np.int64) if isinstance(places, Geometry) else places


def written(root: cs.MX, memory: npt.NDArray[Any], target: Geometry, values: cs.MX) -> cs.MX:
    """Return the entries of an array, stored as root, with those of a window on its memory replaced."""
    if memory.flags.c_contiguous:
        return overwritten(root, memory.shape, target, values)
    places = places_in_c_order(memory, target.indices())
    structure = _progression(places.ravel()) if places.size else None
    return put(root, places, values) if structure is None else overwritten(root, memory.shape, structure, values)


def overwritten(root: cs.MX, root_shape: Shape, target: Geometry, values: cs.MX) -> cs.MX:
    """Return the root with the entries of a strided window replaced."""
    axes = target.axes()
    size = math.prod(root_shape)
    if axes == [(size, 1)]:
        return seen_as(values, *root.shape) if values.shape != root.shape else values
    if not axes:
        return _with_entries(root, target.offset, values)
    if len(axes) == 1 and axes[0][1] > 0:
        length, stride = axes[0]
        return _with_entries(root, cs.Slice(target.offset, target.offset + (length - 1) * stride + 1, stride), values)
    return _with_entries(root, target.indices().ravel().tolist(), values)


def put(root: cs.MX, indices: IndexArray, values: cs.MX) -> cs.MX:
    """Return the root with entries at flat indices replaced; of repeated indices the last one counts."""
    entries = indices.ravel()
    if not entries.size:
        return root
    last_write = np.full(int(entries.max()) + 1, -1, dtype=np.intp)
    last_write[entries] = np.arange(entries.size)
    kept = last_write[last_write >= 0]
    if kept.size != entries.size:
        values = flat(values).get_nz(False, kept.tolist())
        entries = entries[kept]
    return _with_entries(root, entries.tolist(), values)


def _with_entries(root: cs.MX, where: int | cs.Slice | list[int], values: cs.MX) -> cs.MX:
    changed = cs.MX(root)
    changed.set_nz(flat(values), False, where)
    return changed
