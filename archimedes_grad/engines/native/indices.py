"""Affine indices: which entry of an array a loop nest reads, as offset and a step for each loop.

A position in a flat array that is affine in the loop counters stays affine through a strided view, where every axis of
the view is stepped by loops of its own. Where one loop runs over several axes, it is split, and tried again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archimedes_grad.nodes.strided import Geometry

#: A list of places is taken for a window of at most so many axes.
_MOST_AXES = 4


class SplitError(Exception):
    """A loop runs over more than one axis of a view: it has to be two loops, the inner one of a given length."""

    def __init__(self, loop: int, inner: int) -> None:
        self.loop = loop
        self.inner = inner


class NotAffineError(Exception):
    """No splitting of loops makes the index affine."""


class Index(NamedTuple):
    """``offset + sum(step * counter)`` over the loops of a nest."""

    offset: int
    steps: tuple[int, ...]

    @property
    def depth(self) -> int:
        """How many loops, from the outermost on, must be entered before the index is known."""
        return max((k + 1 for k, step in enumerate(self.steps) if step), default=0)


def follow(window: Geometry, index: Index, loops: tuple[int, ...]) -> Index:
    """Return where the entry at a position of a window lies in the array under it.

    Raises
    ------
    SplitError, NotAffineError
        If the loops have to be split first; if that would not help.
    """
    axes = _positions(index, loops, window.shape)
    offset, steps = window.offset, [0] * len(loops)
    for axis, stride in zip(axes, window.strides, strict=True):
        offset += axis.offset * stride
        for k, step in enumerate(axis.steps):
            steps[k] += step * stride
    return Index(offset, tuple(steps))


def in_order(loops: tuple[int, ...]) -> Index:
    """Return the index that runs through a flat array in order."""
    return Index(0, c_strides(loops))


def split(loops: tuple[int, ...], loop: int, inner: int) -> tuple[int, ...]:
    """Return the loops with one of them made two."""
    return (*loops[:loop], loops[loop] // inner, inner, *loops[loop + 1 :])


def composed(outer: Geometry, inner: Geometry) -> Geometry | None:
    """Return the window on the array that a window on a window is, or None where that is no strided window."""
    shape = outer.shape
    if 0 in shape:
        return Geometry(shape, 0, (0,) * len(shape))  # It reads nothing.
    while True:
        steps = refined_strides(outer, shape)
        if steps is None:
            return None
        try:
            index = follow(inner, Index(outer.offset, steps), shape)
        except SplitError as error:
            shape = split(shape, error.loop, error.inner)
        except NotAffineError:
            return None
        else:
            return Geometry(shape, index.offset, index.steps).simplified()


def refined_strides(geometry: Geometry, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the strides of a window for a finer shape of the same window."""
    strides: list[int] = []
    lengths = list(shape)
    for length, stride in zip(geometry.shape, geometry.strides, strict=True):
        parts: list[int] = []
        product = 1
        while product < length or (not parts and lengths):
            parts.append(lengths.pop(0))
            product *= parts[-1]
        if product != length:
            return None
        inner = length
        for part in parts:
            inner //= part
            strides.append(stride * inner)
    return tuple(strides) if not lengths else None


def refined(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return loops that both can be split into, or None."""
    cuts = sorted({*_cuts(first), *_cuts(second)})
    loops: list[int] = []
    for inner, outer in pairwise(cuts):
        if outer % inner:
            return None
        loops.append(outer // inner)
    return tuple(reversed(loops))


def _cuts(loops: tuple[int, ...]) -> list[int]:
    cuts, product = [1], 1
    for length in reversed(loops):
        product *= length
        cuts.append(product)
    return cuts


def spread(flags: Sequence[bool], shape: tuple[int, ...], loops: tuple[int, ...]) -> tuple[bool, ...]:
    """Return for each loop what holds of the axis that it runs over. The loops refine the shape."""
    found: list[bool] = []
    axes = iter(zip(shape, flags, strict=True))
    left, flag = 1, False
    for length in loops:
        while left == 1:
            left, flag = next(axes, (length, False))
        found.append(flag)
        left //= length
    return tuple(found)


def c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of an array that lies in memory in the order of its axes."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def strided(places: npt.NDArray[np.int64]) -> Geometry | None:
    """Return the window that a list of places is, if it is one of few axes."""
    if places.size == 0 or int(places.min()) < 0:
        return None
    axes: list[tuple[int, int]] = []
    offset = int(places[0])
    while places.size > 1:
        if len(axes) == _MOST_AXES:
            return None
        # The innermost axis ends where the step first changes.
        steps = np.diff(places)
        first = int(steps[0])
        changes = np.flatnonzero(steps != first)
        length = int(changes[0]) + 1 if changes.size else places.size
        table = places.reshape(-1, length) if places.size % length == 0 and length > 1 else None
        if table is None or not ((table - table[:, :1]) == np.arange(length) * first).all():
            return None
        axes.append((length, first))
        places = table[:, 0]
    return Geometry(tuple(length for length, _ in reversed(axes)), offset, tuple(step for _, step in reversed(axes)))


def span(window: Geometry) -> tuple[int, int]:
    """Return the first and the last place that a window reaches; the last one is -1 where it has no entries."""
    if 0 in window.shape:
        return 0, -1
    reach = [(length - 1) * stride for length, stride in zip(window.shape, window.strides, strict=True)]
    return window.offset + sum(r for r in reach if r < 0), window.offset + sum(r for r in reach if r > 0)


def _positions(index: Index, loops: tuple[int, ...], shape: tuple[int, ...]) -> list[Index]:
    """Return the position along each axis of a C-ordered shape that a flat index stands for."""
    n = len(shape)
    sizes = [1] * n
    for axis in range(n - 2, -1, -1):
        sizes[axis] = sizes[axis + 1] * shape[axis + 1]
    offsets, left = [0] * n, index.offset
    for axis in range(n):
        offsets[axis], left = divmod(left, sizes[axis]) if axis else (left // sizes[0], left % sizes[0])
    steps = [[0] * len(loops) for _ in range(n)]
    reach = list(offsets)
    for k, (step, length) in enumerate(zip(index.steps, loops, strict=True)):
        if step == 0 or length == 1:
            continue
        if step < 0:
            raise NotAffineError
        fitting = [a for a in range(n) if sizes[a] <= step and shape[a] > 1]
        if not fitting or step % sizes[fitting[0]]:
            raise NotAffineError
        axis = fitting[0]
        whole_axis = sizes[axis] * shape[axis]
        if axis and step * length > whole_axis:
            inner = whole_axis // step
            if whole_axis % step or length % inner or inner == 1:
                raise NotAffineError
            raise SplitError(k, inner)
        steps[axis][k] = step // sizes[axis]
        reach[axis] += steps[axis][k] * (length - 1)
    if any(reach[axis] >= shape[axis] for axis in range(n)):
        raise NotAffineError
    return [Index(offset, tuple(s)) for offset, s in zip(offsets, steps, strict=True)]
