"""Strided windows on flat arrays: what NumPy calls a view, as a shape, an offset and strides.

And how arrays lie in memory, which decides what NumPy gives as a view. Offsets and strides count entries, not bytes.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: Arrays of more entries keep no table of their places between two reads of them.
_LARGEST_KEPT = 100_000


class Geometry(NamedTuple):
    """A strided window on a flat array: the entry at position (i, j, ...) is ``offset + sum(stride * position)``."""

    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def repeats(self) -> bool:
        """Whether some axis repeats entries, as that of a broadcast array does."""
        return any(stride == 0 and length > 1 for length, stride in zip(self.shape, self.strides, strict=True))

    def indices(self) -> npt.NDArray[np.intp]:
        """Return the flat index of every entry, in the window's shape."""
        index = np.asarray(self.offset, dtype=np.intp)
        for axis, (length, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            steps = np.arange(length, dtype=np.intp) * stride
            index = index + steps.reshape((-1,) + (1,) * (len(self.shape) - axis - 1))
        return np.broadcast_to(index, self.shape)

    def axes(self) -> list[tuple[int, int]]:
        """Return length and stride of each axis but those of length 1, with axes merged that continue one another."""
        axes: list[tuple[int, int]] = []
        for length, stride in zip(self.shape, self.strides, strict=True):
            if length == 1:
                continue
            if axes and axes[-1][1] == length * stride:
                axes[-1] = (axes[-1][0] * length, stride)
            else:
                axes.append((length, stride))
        return axes

    def simplified(self) -> Geometry:
        """Return the same window with as few axes as it can have."""
        axes = self.axes()
        return Geometry(tuple(length for length, _ in axes), self.offset, tuple(stride for _, stride in axes))

    def is_whole(self, size: int) -> bool:
        """Whether the window is all of an array of a size, in order."""
        return self.offset == 0 and self.size == size and (size == 1 or self.simplified().strides == (1,))


def strides_in_memory(array: npt.NDArray[Any]) -> tuple[int, ...] | None:
    """Return the strides of an array, made as small as NumPy takes for alike; None where it lies in C order.

    Alike are arrays with the same order of axes in memory and gaps between the same ones: ``order="K"`` reads their
    entries in the same order, and ``ravel`` and ``reshape`` give a view of all of them or of none.
    """
    if array.flags.c_contiguous:
        return None
    axes = [axis for axis, length in enumerate(array.shape) if length != 1]
    repeats = any(array.strides[axis] == 0 for axis in axes)
    strides = [1] * array.ndim
    without_gap, step = array.itemsize, 1
    for axis in sorted(axes, key=lambda axis: (0 if repeats else abs(array.strides[axis]), -axis)):
        continues = array.strides[axis] == without_gap and not repeats
        # A gap so wide that no part of the array continues over it.
        strides[axis] = step if continues else 2 * step + 1
        without_gap, step = array.strides[axis] * array.shape[axis], strides[axis] * array.shape[axis]
    return tuple(strides)


def is_fortran_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Tell whether an array of such strides lies in memory by columns, without gaps."""
    step = 1
    for length, stride in zip(shape, strides, strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


def laid_out(entries: npt.NDArray[Any], dtype: np.dtype[Any], strides: tuple[int, ...] | None) -> npt.NDArray[Any]:
    """Return a copy of an array that lies in memory with given strides; None for C order."""
    if strides is None:
        return np.array(entries, dtype, order="C")
    memory = np.zeros(_extent(entries.shape, strides), dtype)
    copy = _seen(memory, entries.shape, strides)
    copy[...] = entries
    return copy


def laid_out_as(array: npt.NDArray[Any], entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return entries that lie in memory exactly as an array of their shape does, repeated ones included."""
    if array.flags.c_contiguous:
        return entries
    strides = tuple(stride // array.itemsize for stride in array.strides)
    first = -_extent(array.shape, tuple(min(stride, 0) for stride in strides)) + 1
    memory = np.empty(first + _extent(array.shape, tuple(max(stride, 0) for stride in strides)), entries.dtype)
    same = _seen(memory, array.shape, strides, first)
    same[...] = entries
    return same


def places_in_c_order(array: npt.NDArray[Any], in_memory: Any) -> Any:
    """Return the places, in C order, of entries of an array at positions in its memory."""
    if array.flags.c_contiguous:
        return in_memory
    places = _kept_places if array.size <= _LARGEST_KEPT else _places
    return places(array.shape, tuple(stride // array.itemsize for stride in array.strides))[in_memory]


def _places(shape: tuple[int, ...], strides: tuple[int, ...]) -> npt.NDArray[np.intp]:
    places = np.zeros(_extent(shape, strides), np.intp)
    _seen(places, shape, strides)[...] = np.arange(math.prod(shape)).reshape(shape)
    return places


_kept_places = functools.lru_cache(maxsize=8)(_places)


def _extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return 1 + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))


def _seen(
    memory: npt.NDArray[Any], shape: tuple[int, ...], strides: tuple[int, ...], first: int = 0
) -> npt.NDArray[Any]:
    size = memory.itemsize
    return np.ndarray(shape, memory.dtype, memory, first * size, [stride * size for stride in strides])
