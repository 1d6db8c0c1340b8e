"""Sparse derivatives of functions made of blocks: each block differentiated once, evaluated for all items, assembled.

A. Griewank and Ph. L. Toint, "On the unconstrained optimization of partially separable functions", in *Nonlinear
Optimization 1981* (1982) 301: a sum of many functions of few variables has a sparse Hessian, the sum of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.derivatives.colours import jacobian
from archimedes_grad.derivatives.items import Block, Search, flattened
from archimedes_grad.derivatives.lots import Lots
from archimedes_grad.derivatives.operations import Entries
from archimedes_grad.nodes.simplification import derivative_sweep, forward_nodes

#: Expressions put together of smaller parts on average are not searched for blocks.
_FEWEST_ENTRIES_OF_A_PART = 16


@dataclass(frozen=True)
class SparseMatrix:
    """A sparse matrix by columns: its structure, and the expression of the values of its stored entries."""

    shape: tuple[int, int]
    indices: Entries
    index_pointers: Entries
    values: Any


def stored_entries(matrix: Any) -> SparseMatrix:
    """Return a matrix by its structure and the values of its stored entries."""
    sparsity = matrix.sparsity()
    indices, pointers = (np.asarray(k, dtype=np.int64) for k in (sparsity.row(), sparsity.colind()))
    return SparseMatrix(matrix.shape, indices, pointers, matrix.nz[:] if matrix.nnz() else type(matrix)(0, 1))


class _Triplets:
    """Entries of a matrix under construction: rows, columns, and where their values are; repeated ones add."""

    def __init__(self) -> None:
        self._rows: list[Entries] = []
        self._columns: list[Entries] = []
        self._places: list[Entries] = []
        self._values: list[cs.MX] = []
        self._n_values = 0

    def add_block(self, block: Block, expressions: list[Any], rows: list[Entries], columns: list[Entries]) -> None:
        """Add expressions of a block for all items at rows and columns, each given item by item."""
        if expressions:
            lots = Lots(block, expressions)
            for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
                self._add(row, column, lots.places(number))
            self._add_values(lots.values)

    def add_symmetric_block(
        self, block: Block, expressions: list[Any], rows: list[Entries], columns: list[Entries], diagonal: list[bool]
    ) -> None:
        """Add the lower triangle of what a block adds to a symmetric matrix.

        An expression beside the diagonal of the block stands for two entries, which fall on the same one of the
        diagonal where an item takes the same number twice.
        """
        if expressions:
            lots = Lots(block, expressions)
            for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
                places = lots.places(number)
                self._add(np.maximum(row, column), np.minimum(row, column), places)
                twice = np.flatnonzero(row == column)
                if twice.size and not diagonal[number]:
                    self._add(row[twice], column[twice], places[twice])
            self._add_values(lots.values)

    def add_matrix(self, matrix: cs.MX, rows: Entries) -> None:
        """Add the stored entries of a matrix, whose rows are to stand at other places."""
        if not matrix.nnz():
            return
        own_rows, own_columns = (np.asarray(k, dtype=np.int64) for k in matrix.sparsity().get_triplet())
        self._add(rows[own_rows], own_columns, np.arange(matrix.nnz(), dtype=np.int64))
        self._add_values(matrix.get_nz(False, cs.Slice(0, matrix.nnz())))

    def assembled(self, shape: tuple[int, int]) -> SparseMatrix:
        """Return the matrix, entries at the same place added."""
        keys = flattened(self._columns) * shape[0] + flattened(self._rows)
        order = np.argsort(keys, kind="stable")
        keys, places = keys[order], flattened(self._places)[order]
        first = np.ones(keys.size, dtype=bool)
        first[1:] = keys[1:] != keys[:-1]
        kept = keys[first]
        columns, rows = np.divmod(kept, shape[0])
        pointers = np.searchsorted(columns, np.arange(shape[1] + 1))
        if not keys.size:
            return SparseMatrix(shape, rows, pointers, cs.MX(0, 1))
        together = self._values[0] if len(self._values) == 1 else cs.veccat(*self._values)
        values = together.get_nz(False, places.tolist())
        if kept.size != keys.size:
            values = scattered(values, np.cumsum(first) - 1, kept.size)
        return SparseMatrix(shape, rows, pointers, values)

    def _add(self, rows: Entries, columns: Entries, places: Entries) -> None:
        self._rows.append(rows)
        self._columns.append(columns)
        self._places.append(self._n_values + places)

    def _add_values(self, values: cs.MX) -> None:
        self._values.append(values)
        self._n_values += values.numel()


def scattered(values: cs.MX, places: Entries, size: int) -> cs.MX:
    """Return a column of a size, with values added to its entries at places: the transpose of a gather."""
    column = cs.MX.sym("column", size)
    gathered = column.get_nz(False, places.tolist())
    with derivative_sweep():
        ((transposed,),) = cs.reverse([gathered], [column], [[values]])
    return transposed


def jacobian_by_blocks(output: cs.MX, symbol: cs.MX) -> SparseMatrix | None:
    """Return the Jacobian of an expression by a symbol, or None where no block was found in it.

    Parts of the expression that are no block are differentiated together, by colours.
    """
    triplets = _Triplets()
    others: list[range] = []
    with forward_nodes():
        search = Search(symbol)
        parts = search.parts(output)
        if len(parts) > output.numel() // _FEWEST_ENTRIES_OF_A_PART:
            return None
        for part in parts:
            block = search.block(output, part)
            if block is None:
                others.append(part)
            else:
                _add_jacobian(triplets, block)
        if len(others) == len(parts):
            return None
        if others:
            rows = flattened([np.arange(part.start, part.stop) for part in others])
            entries = [output.get_nz(False, cs.Slice(part.start, part.stop)) for part in others]
            triplets.add_matrix(jacobian(cs.veccat(*entries), cs.vec(symbol)), rows)
        return triplets.assembled((output.numel(), symbol.numel()))


def _add_jacobian(triplets: _Triplets, block: Block) -> None:
    variables = block.differentiated
    matrix = jacobian(cs.vertcat(*block.results), cs.vertcat(*(taken.symbol for taken in variables)))
    rows, columns = matrix.sparsity().get_triplet()
    triplets.add_block(
        block, matrix.nonzeros(), [block.entries[row] for row in rows],
        [variables[column].column.entries for column in columns],
    )  # fmt: skip


# --- Hessians -------------------------------------------------------------------------------------


def hessian_by_blocks(output: cs.MX, symbol: cs.MX, symmetric: bool) -> SparseMatrix | None:
    """Return the Hessian of a scalar expression by a symbol, or None where it is no sum over items of blocks.

    Summands that are no blocks are differentiated together, by colours. Of a symmetric one half is computed.
    """
    triplets = _Triplets()
    others: list[cs.MX] = []
    found = False
    with forward_nodes():
        search = Search(symbol)
        if search.met(output) is None:
            return None
        for vector, factor in summands(output, search):
            parts = search.parts(vector)
            few = len(parts) <= max(1, vector.numel() // _FEWEST_ENTRIES_OF_A_PART)
            for part in parts if few else [range(vector.numel())]:
                block = search.block(vector, part, factor)
                if block is not None:
                    found = True
                    _add_hessian(triplets, block, symmetric)
                else:
                    entries = vector.get_nz(False, cs.Slice(part.start, part.stop))
                    others.append(_times(factor, _total(entries)))
        if not found:
            return None
        if others:
            rest = _total(cs.vertcat(*others))
            with derivative_sweep():
                (gradient,) = cs.reverse([rest], [symbol], [[cs.MX(1.0)]])[0]
            matrix = jacobian(cs.vec(gradient), cs.vec(symbol), symmetric)
            triplets.add_matrix(cs.tril(matrix) if symmetric else matrix, np.arange(symbol.numel(), dtype=np.int64))
        assembled = triplets.assembled((symbol.numel(), symbol.numel()))
        return _mirrored(assembled) if symmetric else assembled


def _add_hessian(triplets: _Triplets, block: Block, symmetric: bool) -> None:
    variables = block.differentiated
    total, own = cs.sum1(cs.vertcat(*block.results)), cs.vertcat(*(taken.symbol for taken in variables))
    with derivative_sweep():
        if symmetric:
            hessian = cs.tril(cs.hessian(total, own)[0])
        else:
            ((gradient,),) = cs.reverse([total], [own], [[cs.SX(1.0)]])
            hessian = cs.jacobian(gradient, own)
    places = list(zip(*hessian.sparsity().get_triplet(), strict=True))
    rows = [variables[row].column.entries for row, _ in places]
    columns = [variables[column].column.entries for _, column in places]
    if symmetric:
        diagonal = [row == column for row, column in places]
        triplets.add_symmetric_block(block, hessian.nonzeros(), rows, columns, diagonal)
    else:
        triplets.add_block(block, hessian.nonzeros(), rows, columns)


def _mirrored(lower: SparseMatrix) -> SparseMatrix:
    """Return the symmetric matrix of a lower triangle."""
    columns = np.repeat(np.arange(lower.shape[1]), np.diff(lower.index_pointers))
    places = np.arange(columns.size)
    below = lower.indices != columns
    rows = np.concatenate([lower.indices, columns[below]])
    columns = np.concatenate([columns, lower.indices[below]])
    order = np.argsort(columns * lower.shape[0] + rows, kind="stable")
    places = np.concatenate([places, places[below]])[order]
    pointers = np.searchsorted(columns[order], np.arange(lower.shape[1] + 1))
    return SparseMatrix(lower.shape, rows[order], pointers, lower.values.get_nz(False, places.tolist()))


def summands(output: cs.MX, search: Search) -> Iterator[tuple[cs.MX, cs.MX]]:
    """Take a scalar apart into sums: expressions all of whose entries are added, each with its factor."""
    waiting = [(output, cs.MX(1.0))]
    while waiting:
        node, factor = waiting.pop()
        if not search.depends(node):
            continue
        operands = [node.dep(k) for k in range(node.n_dep())]
        if node.op() in _ALL_ENTRIES_ADD_UP:
            waiting += [(operand, factor) for operand in operands]
        elif node.op() == cs.OP_MTIMES and node.numel() == 1 and operands[0].is_zero():
            yield _products(*operands[1:]), factor
        elif node.op() == cs.OP_DOT:
            yield _products(*operands), factor
        else:
            terms = _linear(node, operands, factor, search) if node.numel() == 1 else None
            if terms is None:
                yield node, factor
            else:
                waiting += terms


#: The sum of all entries of such a node is that of its operands.
_ALL_ENTRIES_ADD_UP = (cs.OP_RESHAPE, cs.OP_SPARSITY_CAST, cs.OP_HORZREPSUM, cs.OP_HORZCAT, cs.OP_VERTCAT)


def _linear(
    node: cs.MX, operands: list[cs.MX], factor: cs.MX, search: Search
) -> list[tuple[cs.MX, cs.MX]] | None:
    """Return the terms, with their factors, of a number that is linear in its operands; None where it is not."""
    operation = node.op()
    if operation == cs.OP_ADD:
        return [(operand, factor) for operand in operands]
    if operation == cs.OP_SUB:
        return [(operands[0], factor), (operands[1], _times(cs.MX(-1.0), factor))]
    if operation in _MULTIPLES:
        return [(operands[0], _times(cs.MX(_MULTIPLES[operation]), factor))]
    if operation == cs.OP_MUL:
        for one, other in (operands, reversed(operands)):
            if not search.depends(one):
                return [(other, _times(one, factor))]
    if operation == cs.OP_DIV and not search.depends(operands[1]):
        return [(operands[0], cs.MX.binary(cs.OP_DIV, factor, operands[1]))]
    return None


_MULTIPLES = {cs.OP_NEG: -1.0, cs.OP_TWICE: 2.0}


def _times(a: cs.MX, b: cs.MX) -> cs.MX:
    return cs.MX.binary(cs.OP_MUL, a, b)


def _products(left: cs.MX, right: cs.MX) -> cs.MX:
    """Return the products that an inner product adds."""
    return _times(cs.vec(left), cs.vec(right))


def _total(vector: cs.MX) -> cs.MX:
    return cs.mtimes(cs.MX.ones(1, vector.numel()), cs.vec(vector))
