"""Differences, gradients on grids and integrals by the trapezoidal rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from archimedes_grad.arrays.operands import array_of, gathered, value_of
from archimedes_grad.rules.composition import NO_VALUE, composed
from archimedes_grad.rules.reductions import reduced_axes


def _sliced(array: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """Return a slice along an axis."""
    key: list[Any] = [slice(None)] * np.ndim(value_of(array))
    key[axis] = slice(start, stop)
    return array[tuple(key)]


@composed(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE) -> Any:
    """The n-th difference along an axis."""
    if n == 0:
        return a
    shape = np.shape(value_of(a))
    edge = list(shape)
    edge[axis] = 1
    parts = [
        np.broadcast_to(part, edge) if part is not a and np.ndim(value_of(part)) == 0 else part
        for part in (prepend, a, append)
        if part is not NO_VALUE
    ]
    a = np.concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        later, earlier = _sliced(a, axis, 1, None), _sliced(a, axis, None, -1)
        a = np.not_equal(later, earlier) if a.dtype.kind == "b" else later - earlier
    return a


@composed(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """The differences of all entries in C order, with numbers before and after."""
    differences = np.diff(np.ravel(ary))
    return np.concatenate([np.ravel(part) for part in (to_begin, differences, to_end) if part is not None])


@composed(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral along an axis by the trapezoidal rule."""
    y = array_of(y)
    width: Any = dx
    if x is not None:
        x = array_of(x)
        width = np.diff(x, axis=axis) if np.ndim(value_of(x)) != 1 else np.diff(x)
        if np.ndim(value_of(x)) == 1:
            shape = [1] * y.ndim
            shape[axis] = width.shape[0]
            width = np.reshape(width, shape)
    return np.sum(width * (_sliced(y, axis, 1, None) + _sliced(y, axis, None, -1)) / 2.0, axis)


@composed(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Differences of second order inside and of order ``edge_order`` at the ends, along each axis."""
    f = array_of(f)
    axes = reduced_axes(axis, f.ndim)
    spacings = list(varargs) if varargs else [1.0]
    if len(spacings) == 1 and np.ndim(value_of(gathered(spacings[0]))) == 0:
        spacings = spacings * len(axes)
    f = f if f.dtype.kind == "f" else f.astype(float)
    results = [_grid_gradient(f, gathered(h), a, edge_order) for h, a in zip(spacings, axes, strict=True)]
    if len(axes) == 1:
        return results[0]
    return tuple(results)


def _grid_gradient(f: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    f = np.moveaxis(f, axis, 0)
    if np.ndim(value_of(spacing)) == 0:
        steps: Any = spacing * np.ones(f.shape[0] - 1)
        uniform = True
    else:
        spacing = array_of(spacing)
        steps = np.diff(spacing.astype(float) if spacing.dtype.kind in "iu" else spacing)
        uniform = not hasattr(steps, "node") and bool((steps == steps[0]).all())
    steps = np.reshape(steps, (-1,) + (1,) * (f.ndim - 1))
    left, right = steps[:-1], steps[1:]
    if uniform:
        inner = (f[2:] - f[:-2]) / (2.0 * left)
    else:
        inner = (
            -right / (left * (left + right)) * f[:-2]
            + (right - left) / (left * right) * f[1:-1]
            + left / (right * (left + right)) * f[2:]
        )
    if edge_order == 1:
        first = (f[1:2] - f[:1]) / steps[:1]
        last = (f[-1:] - f[-2:-1]) / steps[-1:]
    else:
        first = _edge(f[0:1], f[1:2], f[2:3], steps[0:1], steps[1:2])
        last = -_edge(f[-1:], f[-2:-1], f[-3:-2], steps[-1:], steps[-2:-1])
    return np.moveaxis(np.concatenate([first, inner, last]), 0, axis)


def _edge(f0: Any, f1: Any, f2: Any, h1: Any, h2: Any) -> Any:
    """Return the slope at the first of three points, from the parabola through them."""
    return (
        -(2.0 * h1 + h2) / (h1 * (h1 + h2)) * f0 + (h1 + h2) / (h1 * h2) * f1 - h1 / (h2 * (h1 + h2)) * f2
    )
