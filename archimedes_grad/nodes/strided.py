"""Strided windows on flat arrays: what NumPy calls a view, as a shape, an offset and strides.

Offsets and strides count entries, not bytes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


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
