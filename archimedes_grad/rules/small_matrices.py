"""Small matrices entry by entry: graphs of a few operations, which expand to scalars where LAPACK does not.

A matrix is a list of rows of nodes; each node is one row of CasADi with an entry for each item of a stack,
so that a stack costs no more nodes than one matrix does.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.gather import Shape, reshaped
from archimedes_grad.rules.words import add, div, mul, negated, select, sub

#: The largest matrices that are taken apart; above, a call of LAPACK costs less than so many operations.
LARGEST_SOLVE = 3
LARGEST_DETERMINANT = 4
LARGEST_CHOLESKY = 8

Entries = list[list[cs.MX]]

_binary = cs.MX.binary


def entries(node: cs.MX, shape: Shape) -> Entries:
    """Return the entries of a stack of matrices, stored as gather.stored_shape says."""
    rows, columns = shape[-2:]
    flat = cs.reshape(node, rows * columns, math.prod(shape[:-2]))
    return [[flat[i * columns + j, :] for j in range(columns)] for i in range(rows)]


def joined(matrix: Entries, shape: Shape) -> cs.MX:
    """Return the node of a stack of matrices from its entries."""
    return reshaped(cs.vertcat(*itertools.chain.from_iterable(matrix)), shape)


def _require(condition: cs.MX) -> None:
    """Let an evaluation fail where a condition does not hold for every item of the stack."""
    trace = current_trace()
    if trace is None:
        return
    trace.can_fail = True
    trace.n_fallible += 1
    count = condition.numel()
    if count > 1:
        condition = _binary(cs.OP_EQ, cs.repsum(condition, 1, count), scalar_node(count))
    trace.conditions.append(condition)


def require_finite(a: cs.MX) -> None:
    """Let an evaluation fail where an entry is nan or infinite."""
    _require(_binary(cs.OP_EQ, cs.sum1(cs.vec(mul(a, scalar_node(0.0)))), scalar_node(0.0)))


def solved(a: Entries, b: Entries) -> Entries:
    """Solve linear equations by elimination; in each column the largest entry is brought to the pivot."""
    n = len(a)
    rows = [[*left, *right] for left, right in zip(a, b, strict=True)]
    for k in range(n):
        for i in range(k + 1, n):
            below, pivot = rows[i], rows[k]
            swap = _binary(cs.OP_LT, _size(pivot[k]), _size(below[k]))
            rows[k] = [select(swap, y, x) for x, y in zip(pivot, below, strict=True)]
            rows[i] = [select(swap, x, y) for x, y in zip(pivot, below, strict=True)]
        _require(_binary(cs.OP_NE, rows[k][k], scalar_node(0)))
        for i in range(k + 1, n):
            factor = div(rows[i][k], rows[k][k])
            rows[i] = [sub(x, mul(factor, y)) for x, y in zip(rows[i], rows[k], strict=True)]
    solution: Entries = []
    for k in reversed(range(n)):
        row = rows[k][n:]
        for position, known in enumerate(solution):
            row = [sub(x, mul(rows[k][k + 1 + position], y)) for x, y in zip(row, known, strict=True)]
        solution.insert(0, [div(x, rows[k][k]) for x in row])
    return solution


def _size(x: cs.MX) -> cs.MX:
    return cs.MX.unary(cs.OP_FABS, x)


def determinant(a: Entries) -> cs.MX:
    """Return the determinant as the polynomial that it is, so that every derivative is right everywhere."""
    n = len(a)
    minors: dict[tuple[int, ...], cs.MX] = {(): scalar_node(1.0)}
    for row in a:
        size = len(next(iter(minors))) + 1
        minors = {columns: _expanded(row, columns, minors) for columns in itertools.combinations(range(n), size)}
    return minors[tuple(range(n))]


def _expanded(row: Sequence[cs.MX], columns: tuple[int, ...], minors: dict[tuple[int, ...], cs.MX]) -> cs.MX:
    """Expand a minor along its last row, a new one."""
    if len(columns) == 1:
        return row[columns[0]]
    terms = [mul(row[column], minors[tuple(c for c in columns if c != column)]) for column in reversed(columns)]
    signed = [term if k % 2 == 0 else cs.MX.unary(cs.OP_NEG, term) for k, term in enumerate(terms)]
    return functools.reduce(add, signed)


def cholesky(a: Entries) -> Entries:
    """Return the lower Cholesky factor of the symmetric matrix in the lower triangle."""
    n = len(a)
    zero = cs.MX(cs.DM.zeros(1, a[0][0].size2()))
    lower: Entries = []
    for i in range(n):
        row: list[cs.MX] = []
        for j in range(i + 1):
            above = row if i == j else lower[j]
            rest = functools.reduce(sub, [mul(x, y) for x, y in zip(row, above, strict=False)], a[i][j])
            if i == j:
                _require(negated(_binary(cs.OP_LE, rest, scalar_node(0))))  # nan passes, as in LAPACK
                row.append(cs.MX.unary(cs.OP_SQRT, rest))
            else:
                row.append(div(rest, lower[j][j]))
        lower.append(row)
    return [row + [zero] * (n - len(row)) for row in lower]
