"""Finds in an array graph the block that is evaluated for every item.

A function may be one small block for many items: a residual for each observation, by ``vmap`` or written with whole
arrays; a stencil at each point of a grid. From the entries of the results, ordered by items, the rules of
``operations.py`` lead to the entries of the inputs. Where all items are made in the same way, one expression in numbers
comes out: the block, which can be differentiated once for all items. How many items there are, and whether the
entries of one lie side by side, is found by trying: what does not fit fails early.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import casadi as cs
import numpy as np

from archimedes_grad.derivatives.operations import Combination, Entries, Node, NoRuleError, operands_of

#: Fewer items are no reason for a block of their own.
FEWEST_ITEMS = 32

#: So many ways to take entries as items, dearer than one before, end the search for a cheaper one.
_PATIENCE = 3

_LARGEST_GRAPH = 5_000
_MOST_RESULTS_OF_AN_ITEM = 24
#: How many entries of nodes a block may be made of, and how many numbers all of its inputs.
_LARGEST_BLOCK = 4_000
_MOST_INPUT_ENTRIES = 20_000_000


class Column:
    """For each item, one entry of a node. Equal columns of one search are the same object."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries


class Input(NamedTuple):
    """A number that a block takes: for each item an entry of a node of the graph."""

    node: cs.MX
    column: Column
    symbol: cs.SX
    differentiated: bool


class Block(NamedTuple):
    """What is evaluated for every item.

    Attributes
    ----------
    inputs
        The numbers that it takes.
    results
        Its results, expressions in the symbols of the inputs.
    entries
        For each result, which entries of the node that was taken apart it gives, item by item.
    """

    n_items: int
    inputs: tuple[Input, ...]
    results: tuple[Any, ...]
    entries: tuple[Entries, ...]

    @property
    def operations(self) -> int:
        """Operations that one item costs."""
        return int(cs.n_nodes(cs.vertcat(*self.results)))

    @property
    def differentiated(self) -> list[Input]:
        """The inputs that are entries of the differentiated argument."""
        return [taken for taken in self.inputs if taken.differentiated]


class Search:
    """The search for blocks in the graph of some expressions.

    Parameters
    ----------
    symbol
        The differentiated argument. What does not depend on it is an input, and is not looked into.
    """

    def __init__(self, symbol: cs.MX) -> None:
        self._nodes: dict[int, Node] = {hash(symbol): Node(symbol, (), depends=True)}
        self.symbol = self._nodes[hash(symbol)]

    def met(self, expression: cs.MX) -> list[Node] | None:
        """Return the nodes behind an expression, operands first and itself last; None where there are too many."""
        order: list[Node] = []
        operands: dict[int, list[cs.MX]] = {}
        waiting: list[tuple[cs.MX, int, bool]] = [(expression, hash(expression), False)]
        while waiting:
            current, key, opened = waiting.pop()
            if opened:
                if key not in self._nodes:
                    nodes = [self._nodes[hash(operand)] for operand in operands[key]]
                    self._nodes[key] = Node(current, nodes, any(node.depends for node in nodes))
                order.append(self._nodes[key])
            elif key not in operands:
                known = self._nodes.get(key)
                operands[key] = operands_of(current) if known is None else [x.expression for x in known.operands]
                if len(operands) > _LARGEST_GRAPH:
                    return None
                waiting.append((current, key, True))
                waiting += [(operand, hash(operand), False) for operand in operands[key]]
        return order

    def depends(self, expression: cs.MX) -> bool:
        """Tell whether an expression that was met depends on the differentiated argument."""
        return self._nodes[hash(expression)].depends

    def parts(self, expression: cs.MX) -> list[range]:
        """Return the ranges of entries that an expression is put together of; none where its graph is too large.

        Concatenations end a part, also where only elementwise operations lie between them and the expression.
        """
        order = self.met(expression)
        if order is None:
            return []
        starts: dict[Node, frozenset[int]] = {}
        for node in order:
            own = {0}
            if node.is_elementwise or node.operation in (cs.OP_RESHAPE, cs.OP_SPARSITY_CAST):
                for operand in node.operands:
                    if operand.depends and operand.size == node.size:
                        own |= starts[operand]
            elif node.concatenates:
                place = 0
                for operand in node.operands:
                    own |= {place + start for start in starts[operand]}
                    place += operand.size
            starts[node] = frozenset(own)
        return [range(*pair) for pair in itertools.pairwise([*sorted(starts[order[-1]]), expression.numel()])]

    def block(self, expression: cs.MX, part: range, factor: cs.MX | None = None) -> Block | None:
        """Return the block that a part of an expression is made of, or None where none was found.

        Parameters
        ----------
        part
            The entries of the expression.
        factor
            One number that does not depend on the argument: what the results are multiplied by.
        """
        order = self.met(expression)
        if order is None:
            return None
        for entries in self._promising(order, part):
            found = _attempted(self.symbol, order, entries, factor)
            if found is not None:
                return found
        return None

    def _promising(self, order: list[Node], part: range) -> list[Entries]:
        """Return the ways to take a part as items that some of the items do not speak against, the cheapest first."""
        fitting: list[tuple[int, int, Entries]] = []
        dearer = 0
        for k, entries in enumerate(_orders_of_items(part)):
            n_items = entries.shape[1]
            sample = _attempted(self.symbol, order, entries[:, _some(n_items)], None)
            if sample is None:
                continue
            cost = sample.operations * n_items
            dearer = dearer + 1 if fitting and cost >= min(fit[0] for fit in fitting) else 0
            fitting.append((cost, k, entries))
            if dearer == _PATIENCE:
                break
        return [entries for _, _, entries in sorted(fitting, key=lambda fit: fit[:2])]


def _attempted(symbol: Node, order: list[Node], entries: Entries, factor: cs.MX | None) -> Block | None:
    try:
        return _Attempt(symbol, order).block(entries, factor)
    except NoRuleError:
        return None


def _some(n_items: int) -> Entries:
    """Return some of the items: the first, neighbours, the last."""
    return np.unique(np.concatenate([np.arange(4), np.linspace(0, n_items - 1, 28).astype(np.int64)]))


def _orders_of_items(part: range) -> Iterator[Entries]:
    """Give the ways to take entries as items: results of an item by items, fewest results first."""
    size = len(part)
    flat = np.arange(part.start, part.stop, dtype=np.int64)
    for n_results in range(1, _MOST_RESULTS_OF_AN_ITEM + 1):
        n_items, rest = divmod(size, n_results)
        if n_items < FEWEST_ITEMS:
            return
        if rest:
            continue
        yield flat.reshape(n_items, n_results).T
        if n_results > 1:
            yield flat.reshape(n_results, n_items)


class _Attempt:
    """One attempt to see an expression as items: the columns that are needed, and how they are made."""

    def __init__(self, symbol: Node, order: list[Node]) -> None:
        self._symbol = symbol
        self._order = order
        self._columns: dict[Any, Column] = {}
        self._wanted: dict[Node, dict[Column, None]] = {node: {} for node in order}
        self._made: dict[tuple[Node, Column], tuple[list[tuple[Node, Column]], Combination]] = {}
        self._n_wanted = 0
        self._inputs: list[Input] = []

    def block(self, entries: Entries, factor: cs.MX | None) -> Block:
        """Return the block whose results are rows of entries of the last node."""
        last, n_items = self._order[-1], entries.shape[1]
        columns = [self._column(row) for row in entries]
        for column in columns:
            self._want(last, column)
        for node in reversed(self._order):
            if node.depends and node is not self._symbol:
                self._ask_operands(node)
        values: dict[tuple[Node, Column], Any] = {}
        for node in self._order:
            for column in self._wanted[node]:
                made = self._made.get((node, column))
                if made is None:
                    values[node, column] = self._input(node, column)
                else:
                    needed, combined = made
                    values[node, column] = combined([values[key] for key in needed])
        results = [values[last, column] for column in columns]
        if factor is not None:
            once = self._input(Node(factor, (), depends=False), self._column(np.zeros(n_items, dtype=np.int64)))
            results = [cs.SX.binary(cs.OP_MUL, once, result) for result in results]
        # A call that gives several results of an item was entered for each of them.
        results = cs.cse(results)
        return Block(n_items, tuple(self._inputs), tuple(results), tuple(entries))

    def _ask_operands(self, node: Node) -> None:
        for column in self._wanted[node]:
            needed, combined = node.needs(column.entries)
            keys = [(node.operands[which], self._column(entries)) for which, entries in needed]
            for operand, needed_column in keys:
                self._want(operand, needed_column)
            self._made[node, column] = keys, combined

    def _want(self, node: Node, column: Column) -> None:
        if column not in self._wanted[node]:
            self._wanted[node][column] = None
            self._n_wanted += 1
            if self._n_wanted > _LARGEST_BLOCK:
                raise NoRuleError("the block is too large")

    def _column(self, entries: Entries) -> Column:
        step = int(entries[1]) - int(entries[0])
        regular = int(entries[-1]) - int(entries[0]) == step * (entries.size - 1) and bool(
            np.all(entries[1:] - entries[:-1] == step)
        )
        key: Any = (int(entries[0]), step) if regular else entries.tobytes()
        return self._columns.setdefault(key, Column(entries))

    def _input(self, node: Node, column: Column) -> Any:
        """Return the number that every item takes from a node: a literal where it is always the same constant."""
        if not node.is_dense:
            raise NoRuleError("a sparse matrix")
        if node.expression.is_constant():
            values = node.values[column.entries]
            if np.all(values == values[0]):
                return cs.SX(float(values[0]))
        if (len(self._inputs) + 1) * column.entries.size > _MOST_INPUT_ENTRIES:
            raise NoRuleError("the items take too many numbers")
        symbol = cs.SX.sym(f"v{len(self._inputs)}")
        self._inputs.append(Input(node.expression, column, symbol, node is self._symbol))
        return symbol


def flattened(columns: Sequence[Entries]) -> Entries:
    """Return columns one after the other."""
    return np.concatenate([np.zeros(0, dtype=np.int64), *columns])
