"""The same entries as a matrix of other dimensions, without CasADi's cost for each entry.

CasADi builds the sparsity pattern of what it reshapes, repeats or joins entry by entry: 20 to 200 ns for each, and
again in every derivative. A pattern that is alive is found instead, and a cast to it costs nothing, in derivatives too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import casadi as cs

#: Smaller patterns are built as fast as they are found.
_KEPT_FROM = 10_000

# The large patterns of the traces under way. A thread that clears it costs another one time, and nothing else.
_kept: dict[tuple[int, int], cs.Sparsity] = {}


def dense(rows: int, columns: int) -> cs.Sparsity:
    """Return a dense pattern; a large one is kept until the end of the trace."""
    if rows * columns < _KEPT_FROM:
        return cs.Sparsity.dense(rows, columns)
    found = _kept.get((rows, columns))
    if found is None:
        found = _kept[rows, columns] = cs.Sparsity.dense(rows, columns)
    return found


def seen_as(node: cs.MX, rows: int, columns: int) -> cs.MX:
    """Return a dense array with the same entries in the same order as a matrix of other dimensions."""
    if rows * columns < _KEPT_FROM:
        return cs.reshape(node, rows, columns)
    return cs.sparsity_cast(node, dense(rows, columns))


def filled_with(number: float, rows: int, columns: int) -> cs.MX:
    """Return a dense matrix of one constant number."""
    return cs.MX(dense(rows, columns), number)


def spread(number: cs.MX, rows: int, columns: int) -> cs.MX:
    """Return a dense matrix of one number that is no constant; a large one by an operation that leaves it as it is."""
    if rows * columns < _KEPT_FROM:
        return seen_as(cs.repmat(number, 1, rows * columns), rows, columns)
    return cs.MX.binary(cs.OP_IF_ELSE_ZERO, filled_with(1.0, rows, columns), number)


def sum_of_all(matrix: cs.MX) -> cs.MX:
    """Return the sum of all entries, by a product whose derivative needs no pattern but the matrix's own."""
    return cs.dot(matrix, filled_with(1.0, matrix.size1(), matrix.size2()))


def repeated_across(node: cs.MX, times: int) -> cs.MX:
    """Return a dense matrix so many times side by side."""
    pattern = dense(node.size1(), node.size2() * times)
    result = cs.repmat(node, 1, times)
    # Alive until here, so that CasADi has found it.
    del pattern
    return result


def side_by_side(nodes: list[cs.MX]) -> cs.MX:
    """Return dense matrices of as many rows, joined; by way of columns, whose pattern is the cheapest to build."""
    rows, columns = nodes[0].size1(), sum(node.size2() for node in nodes)
    if rows * columns < _KEPT_FROM:
        return cs.horzcat(*nodes)
    pattern = dense(rows * columns, 1)
    joined = cs.vertcat(*(seen_as(node, node.numel(), 1) for node in nodes))
    del pattern
    return seen_as(joined, rows, columns)


@contextmanager
def forgotten_afterwards() -> Iterator[None]:
    """Let the large patterns go at the end that nothing else keeps."""
    try:
        yield
    finally:
        _kept.clear()
