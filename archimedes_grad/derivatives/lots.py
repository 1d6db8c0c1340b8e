"""Evaluates a block for all items, in lots: one operation at a time for all items of a lot.

CasADi's map runs the whole block for one item after the other, at two nanoseconds an operation. As an operation on
arrays of a few hundred items each costs a tenth of that, and the arrays stay in the processor's first cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.derivatives.items import Block, Input
from archimedes_grad.derivatives.operations import Entries

#: How many numbers all items of a lot hold together at a time: 256 kB.
_NUMBERS_OF_A_LOT = 2**15
_FEWEST_OF_A_LOT, _MOST_OF_A_LOT = 16, 256


class Lots:
    """Expressions of a block evaluated for all items, divided into lots of equal size; the last repeats its last item.

    Parameters
    ----------
    expressions
        In the symbols of the block's inputs.

    Attributes
    ----------
    values
        Those of all expressions for all items: ``places`` says where.
    """

    def __init__(self, block: Block, expressions: Sequence[Any]) -> None:
        self._n_items, self._n_expressions = block.n_items, len(expressions)
        self._groups: dict[int, list[Input]] = {}
        for taken in block.inputs:
            self._groups.setdefault(hash(taken.node), []).append(taken)
        symbols = [cs.vertcat(*(taken.symbol for taken in group)) for group in self._groups.values()]
        scalar = cs.Function("block", symbols, [cs.vertcat(*expressions)])
        # A call within a block is made item by item, and so is one that holds too many numbers.
        wanted = 1 if calls_within(scalar) else items_of_a_lot(scalar) or 1
        self._count = -(-block.n_items // wanted)
        self._size = -(-block.n_items // self._count)
        lot = scalar if self._size == 1 else self._lot(scalar)
        lot = lot.map(self._count) if self._count > 1 else lot
        (self.values,) = lot.call([self._gathered(group) for group in self._groups.values()], False, True)

    def places(self, number: int) -> Entries:
        """Return where the values of one of the expressions are, item by item."""
        lot, item = np.divmod(np.arange(self._n_items, dtype=np.int64), self._size)
        return (lot * self._n_expressions + number) * self._size + item

    def _lot(self, scalar: cs.Function) -> cs.Function:
        symbols = [cs.MX.sym(f"x{k}", self._size * scalar.numel_in(k)) for k in range(scalar.n_in())]
        results = [
            result if result.numel() == self._size else cs.repmat(result, self._size)
            for result in on_arrays(scalar, [cs.vertsplit(symbol, self._size) for symbol in symbols])[0]
        ]
        return cs.Function("lot", symbols, [cs.vertcat(*results)])

    def _gathered(self, group: Sequence[Input]) -> cs.MX:
        """Return what lots take from one node: a column for each lot, in it one input after the other."""
        padding = self._count * self._size - self._n_items
        padded = [np.pad(taken.column.entries, (0, padding), mode="edge") for taken in group]
        entries = np.stack([column.reshape(self._count, self._size) for column in padded], axis=1)
        gathered = group[0].node.get_nz(False, entries.ravel().tolist())
        return cs.reshape(gathered, len(group) * self._size, self._count)


def items_of_a_lot(scalar: cs.Function) -> int | None:
    """Return how many items make a lot, so that what they hold stays near the processor; None for too few."""
    items = min(_MOST_OF_A_LOT, _NUMBERS_OF_A_LOT // max(1, scalar.sz_w()))
    return items if items >= _FEWEST_OF_A_LOT else None


def calls_within(function: cs.Function) -> bool:
    """Tell whether a function of numbers calls another."""
    return any(function.instruction_id(k) == cs.OP_CALL for k in range(function.n_instructions()))


def on_arrays(scalar: cs.Function, columns: Sequence[Sequence[cs.MX]]) -> list[list[cs.MX]]:
    """Return the entries of the outputs of a function of numbers, each of its operations done on whole columns."""
    work: dict[int, cs.MX] = {}
    results: list[list[cs.MX]] = [[cs.MX(0.0)] * scalar.nnz_out(k) for k in range(scalar.n_out())]
    for k in range(scalar.n_instructions()):
        operation = scalar.instruction_id(k)
        sources, targets = scalar.instruction_input(k), scalar.instruction_output(k)
        if operation == cs.OP_OUTPUT:
            results[targets[0]][targets[1]] = work[sources[0]]
        elif operation == cs.OP_INPUT:
            work[targets[0]] = columns[sources[0]][sources[1]]
        elif operation == cs.OP_CONST:
            work[targets[0]] = cs.MX(scalar.instruction_constant(k))
        else:
            work[targets[0]] = _applied(operation, [work[source] for source in sources])
    return results


def _applied(operation: int, operands: Sequence[cs.MX]) -> cs.MX:
    if operation == cs.OP_SQ:
        # As a product: CasADi takes the square of a square root for the number itself, whatever its sign.
        return cs.MX.binary(cs.OP_MUL, operands[0], operands[0])
    if len(operands) == 1:
        return cs.MX.unary(operation, operands[0])
    return cs.MX.binary(operation, operands[0], operands[1])
