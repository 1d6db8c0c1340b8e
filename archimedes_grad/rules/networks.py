"""Sorting in a graph: a network that compares and exchanges, whatever the values are.

Batcher's odd-even merge sort (Batcher 1968, Knuth 1998, 5.2.2): about log2(n)**2 / 2 stages, each of which
compares pairs at one distance in one node over the whole array. The graph sorts any input, and its
derivative moves each gradient back to the entry that it came from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.rules.composition import counted
from archimedes_grad.rules.words import add, is_nan, mul, negated, only_where, select, sub

MX = cs.MX
_binary = MX.binary

#: What is done to the two ends of all pairs of a stage: arrays of lower ends and of upper ends, exchanged or not.
Exchange = Callable[[list[MX], list[MX]], tuple[list[MX], list[MX]]]


#: Up to this many entries pairs are gathered by index lists, whatever the length; beyond it by slices, which
#: take no memory for each entry and stage but need a power of two.
_LARGEST_LISTED = 300_000


def _network(arrays: list[MX], fillers: list[float], exchange: Exchange) -> list[MX]:
    """Sort the rows of matrices, all in the same order; ``fillers`` are numbers that sort to the end."""
    rows, columns = arrays[0].shape
    if rows <= 1 or columns == 0:
        return arrays
    if rows * columns <= _LARGEST_LISTED:
        return _by_lists(arrays, exchange)
    padded = [_padded(array, filler) for array, filler in zip(arrays, fillers, strict=True)]
    total = padded[0].size1()
    for size, distance in _stages(total):
        padded = _stage(padded, size, distance, exchange)
    return [cs.reshape(array, total, columns)[:rows, :] for array in padded]


def _stages(rows: int) -> Iterator[tuple[int, int]]:
    """Yield half the block that is merged and the distance of the pairs, stage by stage."""
    size = 1
    while size < rows:
        distance = size
        while distance >= 1:
            yield size, distance
            distance //= 2
        size *= 2


def _pairs(rows: int, size: int, distance: int) -> npt.NDArray[np.intp]:
    """Return the lower rows of the pairs of a stage; a pair that reaches beyond the last row is in order."""
    lower: npt.NDArray[np.intp] = np.arange(rows - distance)
    same_block = lower // (2 * size) == (lower + distance) // (2 * size)
    # In the first stage of a merge every second run of ``distance`` rows, later the ones between.
    in_turn = lower // distance % 2 == (distance != size)
    chosen: npt.NDArray[np.intp] = lower[same_block & in_turn]
    return chosen


def _by_lists(arrays: list[MX], exchange: Exchange) -> list[MX]:
    """Sort with every stage's results left where they are made: only ``places`` knows the order."""
    rows, columns = arrays[0].shape
    buffers = [cs.vec(array) for array in arrays]
    places = np.arange(rows * columns).reshape(columns, rows)
    for size, distance in _stages(rows):
        lower = _pairs(rows, size, distance)
        upper = lower + distance
        paired = np.zeros(rows, dtype=bool)
        paired[lower] = paired[upper] = True
        others = np.flatnonzero(~paired)
        lists = [places[:, chosen].ravel().tolist() for chosen in (lower, upper, others)]
        lows, highs, rests = ([b.get_nz(False, entries) for b in buffers] for entries in lists)
        lows, highs = exchange(lows, highs)
        buffers = [cs.vertcat(*parts) for parts in zip(lows, highs, rests, strict=True)]
        counted(6 * len(buffers), 3 * rows * columns * len(buffers))
        start = 0
        for chosen in (lower, upper, others):
            count = chosen.size * columns
            places[:, chosen] = np.arange(start, start + count).reshape(columns, -1)
            start += count
    order = places.ravel().tolist()
    return [cs.reshape(buffer.get_nz(False, order), rows, columns) for buffer in buffers]


def _stage(arrays: list[MX], size: int, distance: int, exchange: Exchange) -> list[MX]:
    """Compare entries at a distance inside each block of twice ``size``.

    In the first stage of a merge all entries of a block take part; in the others the first and the last
    ``distance`` of them are in place.
    """
    total = arrays[0].numel()
    counted(9 * len(arrays), 7 * total * len(arrays))
    blocks = [cs.reshape(array, 2 * size, total // (2 * size)) for array in arrays]
    if distance == size:
        return _halves_exchanged(blocks, size, exchange)
    margins = [cs.vertsplit(b, [0, distance, 2 * size - distance, 2 * size]) for b in blocks]
    pairs = [cs.reshape(inner, 2 * distance, inner.numel() // (2 * distance)) for _, inner, _ in margins]
    exchanged = _halves_exchanged(pairs, distance, exchange)
    return [
        cs.vertcat(first, cs.reshape(new, *inner.shape), last)
        for (first, inner, last), new in zip(margins, exchanged, strict=True)
    ]


def _halves_exchanged(arrays: list[MX], half: int, exchange: Exchange) -> list[MX]:
    """Compare the upper rows of matrices with the lower ones. Split and joined whole, rows need no index lists."""
    parts = [cs.vertsplit(array, [0, half, 2 * half]) for array in arrays]
    lower, upper = exchange([low for low, _ in parts], [high for _, high in parts])
    return [cs.vertcat(low, high) for low, high in zip(lower, upper, strict=True)]


def _padded(matrix: MX, filler: float) -> MX:
    """Return a matrix with rows of a number added up to the next power of two."""
    rows, columns = matrix.shape
    missing = (1 << (rows - 1).bit_length()) - rows
    return cs.vertcat(matrix, cs.repmat(MX(filler), missing, columns)) if missing else matrix


def _without_nan(matrix: MX) -> tuple[MX, MX]:
    """Return a matrix with inf in place of nan, and where nan was."""
    missing = is_nan(matrix)
    return select(missing, scalar_node(math.inf), matrix), missing


def _column_totals(matrix: MX) -> MX:
    return cs.mtimes(MX.ones(1, matrix.size1()), matrix)


def _row_numbers(rows: int, columns: int) -> MX:
    return cs.repmat(MX(cs.DM(list(range(rows)))), 1, columns)


def sorted_rows(matrix: MX) -> MX:
    """Return each column of a matrix in ascending order, nan last.

    Pairs are exchanged whole, and tied ones stay. ``fmin`` and ``fmax`` would share slopes between these, which is
    right for first derivatives alone: the square of each entry would have half its second derivative.
    """
    rows, columns = matrix.shape
    if rows <= 1 or columns == 0:
        return matrix
    finite, missing = _without_nan(matrix)

    def exchange(lower: list[MX], upper: list[MX]) -> tuple[list[MX], list[MX]]:
        (low,), (high,) = lower, upper
        swap = _binary(cs.OP_LT, high, low)
        return [select(swap, high, low)], [select(swap, low, high)]

    (ordered,) = _network([finite], [math.inf], exchange)
    first_missing = sub(scalar_node(rows), _column_totals(missing))
    beyond = _binary(cs.OP_LE, cs.repmat(first_missing, rows, 1), _row_numbers(rows, columns))
    return select(beyond, scalar_node(math.nan), ordered)


def sorted_with(keys: list[MX], payloads: list[MX]) -> tuple[MX, list[MX], list[MX]]:
    """Sort rows by several keys, the first most significant, stably; payloads and keys follow.

    Returns
    -------
    The order as row numbers, the sorted payloads and the sorted keys, with inf in place of nan. The sort
    has derivatives by keys and payloads; the order has none.
    """
    rows, columns = keys[0].shape
    ranked: list[MX] = []
    for key in keys:
        # A key that is nan comes after one that is inf.
        ranked += _without_nan(key)
    arrays = [*ranked, _row_numbers(rows, columns), *payloads]
    fillers = [math.inf, 1.0] * len(keys) + [math.inf] + [0.0] * len(payloads)
    count = len(ranked)

    def exchange(lower: list[MX], upper: list[MX]) -> tuple[list[MX], list[MX]]:
        # From the least significant to the most: greater, or equal and greater further on.
        swap = _binary(cs.OP_LT, upper[count], lower[count])
        for low, high in zip(reversed(lower[:count]), reversed(upper[:count]), strict=True):
            greater = _binary(cs.OP_LT, high, low)
            swap = _binary(cs.OP_OR, greater, _binary(cs.OP_AND, _binary(cs.OP_EQ, low, high), swap))
        keep = negated(swap)
        pairs = list(zip(lower, upper, strict=True))
        return (
            [add(only_where(keep, low), only_where(swap, high)) for low, high in pairs],
            [add(only_where(swap, low), only_where(keep, high)) for low, high in pairs],
        )

    arrays = _network(arrays, fillers, exchange)
    return arrays[count], arrays[count + 1 :], arrays[:count:2]


def first_extreme(matrix: MX, combine: Callable[[MX, MX], MX], folded: Callable[..., MX]) -> MX:
    """Return the column of the first extreme of each row; of the first nan where there is one."""
    rows, columns = matrix.shape
    counted(6, 6 * rows * columns)
    extreme = cs.repmat(folded(matrix, combine), 1, columns)
    # Counted from the end, with nan above everything else: the highest number is the first place.
    remaining = MX(cs.repmat(cs.DM(range(columns, 0, -1)).T, rows, 1))
    above = add(remaining, scalar_node(columns))
    marks = add(mul(_binary(cs.OP_EQ, matrix, extreme), remaining), mul(is_nan(matrix), above))
    latest = folded(marks, lambda x, y: _binary(cs.OP_FMAX, x, y))
    beyond = mul(_binary(cs.OP_LT, scalar_node(columns), latest), scalar_node(columns))
    return sub(add(scalar_node(columns), beyond), latest)
