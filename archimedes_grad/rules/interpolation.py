"""Linear interpolation in a table, convolution and correlation."""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, as_traced, is_traced, node_of, value_of
from archimedes_grad.nodes.blas import matrix_product
from archimedes_grad.nodes.gather import flat, reshaped
from archimedes_grad.rules import found
from archimedes_grad.rules.composition import chosen, composed, counted
from archimedes_grad.rules.sorting import sorted_by


@composed(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Values between those of a table, by straight lines; beyond its ends ``left`` and ``right``.

    The slope at a node is that of the interval that begins there.
    """
    x, xp, fp = array_of(x), array_of(xp), array_of(fp)
    if period is not None:
        x, xp, fp = _one_period(x, xp, fp, np.abs(period))
        left = right = None
    points = np.ravel(x)
    result: Any = np.zeros(points.shape)
    if xp.shape[0] > 1:
        x0, x1, f0, f1 = _intervals(points, xp, fp)
        outside = np.equal(x0, x1)
        slopes = (f1 - f0) / (x1 - x0 + outside)
        result = slopes * (points - x0) + f0
        if is_traced((xp, fp)) or not np.all(np.isfinite(xp) & np.isfinite(fp)):
            from_right = slopes * (points - x1) + f1
            from_right = chosen(np.isnan(from_right) & np.equal(f0, f1), f0, from_right)
            from_right = chosen(np.equal(points, x0), f0, from_right)
            result = chosen(np.isnan(result), from_right, result)
    below, above = np.less(points, xp[0]), np.greater_equal(points, xp[-1])
    result = chosen(below, fp[0] if left is None else left, result)
    last = chosen(np.equal(points, xp[-1]), fp[-1], fp[-1] if right is None else right)
    result = chosen(above, last, result)
    return np.reshape(chosen(np.isnan(points), np.nan, result), np.shape(value_of(x)))


def _intervals(points: Any, xp: Any, fp: Any) -> list[Any]:
    """Return the ends of the interval that holds each point, and the values there.

    Intervals are half open, so that a node begins the next one.
    """
    if not found.compared_in_graph(points.shape[0], xp.shape[0]):
        first = np.clip(found.places_in_sorted(xp, points, "right") - 1, 0, xp.shape[0] - 2)
        tables = [as_traced(table) for table in (xp, fp)]
        return [found.in_order(table, first + k) for table in tables for k in (0, 1)]
    reached = np.greater_equal(points[:, None], xp)
    inside = reached[:, :-1] * 1.0 - reached[:, 1:]
    return _picked(inside, [xp[:-1], xp[1:], fp[:-1], fp[1:]])


def _picked(inside: Any, lists: list[Any]) -> list[Any]:
    """Return, of each list, the number that belongs to the one in each row of zeros and at most a one, else 0."""
    if not is_traced(lists) and all(np.all(np.isfinite(numbers)) for numbers in lists):
        products = np.matmul(inside, np.stack(lists, 1))
        return [products[:, k] for k in range(len(lists))]
    # 0 * inf would be nan: numbers that may be infinite are chosen one by one.
    return [np.sum(np.where(inside, numbers, 0.0), 1) for numbers in lists]


def _one_period(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """Return points and table moved into one period, sorted, with one node more at each end."""
    x, xp = np.mod(x, period), np.mod(xp, period)
    if is_traced(xp):
        xp, fp = sorted_by(xp, as_traced(fp))
    else:
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
    return (
        x,
        np.concatenate([xp[-1:] - period, xp, xp[:1] + period]),
        np.concatenate([fp[-1:], fp, fp[:1]]),
    )


def _full(array: Any) -> cs.MX:
    return flat(node_of(array))


# --- convolution ----------------------------------------------------------------------------------

#: The largest matrix of shifted copies that is built; beyond it the copies are added one by one.
_LARGEST_SHIFTS = 4_000_000


def _correlation(a: Any, v: Any, mode: Any) -> Any:
    """Return the correlation of a longer array with a shorter one."""
    n, m = a.shape[0], v.shape[0]
    mode = {0: "valid", 1: "same", 2: "full"}.get(mode, mode)[0]
    # How many windows begin before the array, and end behind it.
    before, after = {"v": (0, 0), "s": (m // 2, m - 1 - m // 2), "f": (m - 1, m - 1)}[mode]
    if not n:
        return a if mode == "f" else _slid(a, v)
    if (n + before + after) * (m + 1) > _LARGEST_SHIFTS:
        return _added_one_by_one(a, v, before, after)
    if not before + after or (not is_traced(v) and np.all(np.isfinite(v))):
        return _slid(_padded(a, before, after), v)
    edges = _over_the_ends(a, v, before, after)
    return np.concatenate([edges[:before], _slid(a, v), edges[before:]])


def _padded(signal: Any, before: int, after: int) -> Any:
    parts = [np.zeros(before, signal.dtype), signal, np.zeros(after, signal.dtype)]
    return np.concatenate([part for part in parts if part.shape[0]])


def _slid(signal: Any, kernel: Any) -> Any:
    """Return the products of a kernel with every window of a longer signal, summed."""
    length, width = signal.shape[0], kernel.shape[0]
    count = length - width + 1
    value = np.correlate(value_of(signal), value_of(kernel), "valid")
    signal_node, kernel_node = _full(signal), _full(kernel)
    # Copies end to end, cut again into columns one entry longer: each is shifted by one against the last.
    copies = flat(cs.repmat(signal_node, 1, width + 1))[: (length + 1) * width]
    windows = cs.reshape(copies, length + 1, width)[:count, :]
    counted(3, 2 * length * width)
    return new_array(reshaped(matrix_product(windows, kernel_node), (count,)), value)


def _over_the_ends(signal: Any, kernel: Any, before: int, after: int) -> Any:
    """Return the products with the windows that lie over an end: 0 times 0 beyond it, as the kernel may be infinite."""
    length, width = signal.shape[0], kernel.shape[0]
    starts = np.concatenate([np.arange(-before, 0), length - width + 1 + np.arange(after)])
    column = np.arange(width)
    index = starts[:, None] + column
    inside = (index >= 0) & (index < length)
    entries = _padded(signal, 0, 1)[np.where(inside, index, length)]
    return np.sum(entries * _padded(kernel, 0, 1)[np.where(inside, column, width)], 1)


def _added_one_by_one(signal: Any, kernel: Any, before: int, after: int) -> Any:
    """Return the products of a kernel with the windows of a signal as sums of shifted copies of this."""
    length, width = signal.shape[0], kernel.shape[0]
    count = before + length - width + 1 + after
    total: Any = 0
    for shift in range(width):
        start, stop = max(0, shift - before), min(length, shift - before + count)
        gap = before - shift + start
        total = total + _padded(signal[start:stop] * kernel[shift], gap, count - gap - (stop - start))
    return total


@composed(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The sums of products of one sequence with shifts of another."""
    a, v = np.atleast_1d(array_of(a)), np.atleast_1d(array_of(v))
    if v.shape[0] > a.shape[0]:
        return _correlation(v, a, mode)[::-1]
    return _correlation(a, v, mode)


@composed(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """The coefficients of the product of two polynomials, or the part of them that ``mode`` says."""
    a, v = np.atleast_1d(array_of(a)), np.atleast_1d(array_of(v))
    if v.shape[0] > a.shape[0]:
        a, v = v, a
    return np.correlate(a, v[::-1], mode)
