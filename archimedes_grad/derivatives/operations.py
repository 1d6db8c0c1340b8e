"""What one entry of an array node is made of: which entries of its operands, and how they are combined.

A rule for each kind of node of CasADi takes the flat indices of some entries and gives the entries of the operands
that each of them needs. ``items.py`` follows these rules from the results of a graph to its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.nodes import rebuilding
from archimedes_grad.nodes.batched_products import read
from archimedes_grad.nodes.dependence import body_of
from archimedes_grad.nodes.gather import indices_of
from archimedes_grad.nodes.given_derivatives import can_be_opened

Entries = npt.NDArray[np.int64]

#: Makes the scalar expression of an entry of those of the operands' entries.
Combination = Callable[[Sequence[Any]], Any]

#: What entries need: entries of operands (the number of the operand, flat indices), and how to combine them.
Needs = tuple[list[tuple[int, Entries]], Combination]


class NoRuleError(Exception):
    """An entry of a node is made of others in a way that differs from item to item, or that no rule knows."""


class Node:
    """A node of an array graph with its operands, and what was found out about its entries.

    Attributes
    ----------
    depends
        Whether it depends on the argument that is differentiated.
    is_elementwise
        Whether an entry is an operation on the operands' entries at the same place.
    is_dense
        Whether it and its operands store all their entries.
    """

    def __init__(self, expression: cs.MX, operands: Sequence[Node], depends: bool) -> None:
        self.expression = expression
        self.operands = operands
        self.depends = depends
        self.operation = cs.OP_CALL if expression.is_output() else expression.op()
        self.shape = expression.shape
        self.size = expression.numel()
        self.is_elementwise = expression.is_unary() or expression.is_binary()
        self.is_dense: bool = expression.is_dense() and all(operand.is_dense for operand in operands)
        self._indices: Entries | None = None
        self._values: npt.NDArray[np.float64] | None = None

    @property
    def concatenates(self) -> bool:
        """Whether the entries are those of the operands, one after the other."""
        column = self.operation == cs.OP_VERTCAT and self.shape[1] == 1
        return column or self.operation == cs.OP_HORZCAT

    @property
    def indices(self) -> Entries:
        """The flat indices that a node of moved entries reads from its operand, or writes to."""
        if self._indices is None:
            self._indices = indices_of(self.expression.info())
            if np.any(self._indices < 0):
                raise NoRuleError("an index of an entry that is not stored")
        return self._indices

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The entries of a constant, in flat order."""
        if self._values is None:
            self._values = self.expression.to_DM().full().ravel(order="F")
        return self._values

    def needs(self, entries: Entries) -> Needs:
        """Return what entries need of the operands.

        Raises
        ------
        NoRuleError
            If the node has no rule, or the entries are not all made in the same way.
        """
        rule = _elementwise if self.is_elementwise else _RULES.get(self.operation)
        if rule is None or not self.is_dense:
            raise NoRuleError(f"a node of operation {self.operation}, or a sparse one")
        return rule(self, entries)


def operands_of(expression: cs.MX) -> list[cs.MX]:
    """Return the operands of a node; of one output of a call, those of the call, which is opened where it can be."""
    operands, source = rebuilding.operands_of(expression), rebuilding.source_of(expression)
    if expression.is_output() and source.op() == cs.OP_CALL and can_be_opened(source.which_function()):
        return [rebuilding.opened(source.which_function(), operands)[expression.which_output()]]
    return operands


def _same(values: npt.NDArray[Any]) -> int:
    """Return the value that all have."""
    first = int(values[0])
    if np.any(values != first):
        raise NoRuleError("entries that are made in different ways")
    return first


def _first(values: Sequence[Any]) -> Any:
    return values[0]


# --- the rules ------------------------------------------------------------------------------------


def _elementwise(node: Node, entries: Entries) -> Needs:
    operation = node.operation
    needed = [(k, entries if x.size != 1 else np.zeros_like(entries)) for k, x in enumerate(node.operands)]
    if len(needed) == 1:
        return needed, lambda values: cs.SX.unary(operation, values[0])
    return needed, lambda values: cs.SX.binary(operation, values[0], values[1])


def _reshape(node: Node, entries: Entries) -> Needs:
    return [(0, entries)], _first


def _transpose(node: Node, entries: Entries) -> Needs:
    rows, columns = node.shape
    return [(0, entries // rows + entries % rows * columns)], _first


def _get(node: Node, entries: Entries) -> Needs:
    return [(0, node.indices[entries])], _first


def _set(node: Node, entries: Entries) -> Needs:
    written = np.full(node.size, -1, dtype=np.int64)
    written[node.indices] = np.arange(node.indices.size)
    if _same(written[entries] >= 0):
        return [(1, written[entries])], _first
    return [(0, entries)], _first


def _repeated(node: Node, entries: Entries) -> Needs:
    return [(0, entries % node.operands[0].size)], _first


def _repeats_summed(node: Node, entries: Entries) -> Needs:
    size = node.size
    return [(0, entries + k * size) for k in range(node.operands[0].size // size)], _sum


def _side_by_side(node: Node, entries: Entries) -> Needs:
    ends = np.cumsum([operand.size for operand in node.operands])
    which = _same(np.searchsorted(ends, entries, side="right"))
    return [(which, entries - int(ends[which] - node.operands[which].size))], _first


def _on_top(node: Node, entries: Entries) -> Needs:
    rows = node.shape[0]
    row, column = entries % rows, entries // rows
    ends = np.cumsum([operand.shape[0] for operand in node.operands])
    which = _same(np.searchsorted(ends, row, side="right"))
    own = node.operands[which].shape[0]
    return [(which, row - int(ends[which] - own) + column * own)], _first


def _product(node: Node, entries: Entries) -> Needs:
    rows, length = node.operands[1].shape
    row, column = entries % rows, entries // rows
    needed = [(0, entries)]
    needed += [(1, row + k * rows) for k in range(length)]
    needed += [(2, k + column * length) for k in range(length)]
    return needed, _sum_of_products


def _batched_product(node: Node, entries: Entries) -> Needs:
    product = read(node.expression.info())
    axes = np.unravel_index(entries, product.result.lengths, order="F")
    position = dict(zip(product.result.labels, axes, strict=True))
    summed = {label: n for label, n in product.lengths.items() if label not in position}
    needed = [(0, entries)]
    for number, factor in ((1, product.left), (2, product.right)):
        for steps in np.ndindex(*summed.values()):
            place = position | {label: np.full_like(entries, k) for label, k in zip(summed, steps, strict=True)}
            own = np.ravel_multi_index([place[label] for label in factor.labels], factor.lengths, order="F")
            needed.append((number, own))
    return needed, _sum_of_products


def _sum_of_products(values: Sequence[Any]) -> Any:
    """Return the first value plus the products of the others, pair by pair: those of one half with the other's."""
    base, half = values[0], (len(values) + 1) // 2
    products = [_times(a, b) for a, b in zip(values[1:half], values[half:], strict=True)]
    return _sum(products if base.is_zero() else [base, *products])


def _inner_product(node: Node, entries: Entries) -> Needs:
    half = node.operands[0].size
    needed = [(which, np.full_like(entries, k)) for which in (0, 1) for k in range(half)]
    return needed, lambda values: _sum([_times(a, b) for a, b in zip(values[:half], values[half:], strict=True)])


def _called(node: Node, entries: Entries) -> Needs:
    several, output = node.expression.dep(0), node.expression.which_output()
    if several.op() in (cs.OP_HORZSPLIT, cs.OP_VERTSPLIT):
        # CasADi splits columns only, of matrices and, downwards, one column: each part is entries in a row.
        return [(0, entries + several.info()["offset"][output])], _first
    if several.op() != cs.OP_CALL:
        raise NoRuleError(f"a node of operation {several.op()}")
    function = several.which_function()
    if can_be_opened(function):
        return [(0, entries)], _first
    return _mapped(node, function, entries)


def _mapped(node: Node, function: cs.Function, entries: Entries) -> Needs:
    """Entries of a call: of a map, those of the items that they come from; of another one, of its only item."""
    body = body_of(function) if function.class_name() in ("Map", "MapSum") else function
    if not body.is_a("SXFunction"):
        raise NoRuleError(f"a call of {function.class_name()}")
    output = node.expression.which_output()
    size = body.numel_out(output)
    place, item = _same(entries % size), entries // size
    needed = []
    for k, operand in enumerate(node.operands):
        own = body.numel_in(k)
        # What is shared by all items is passed once.
        first = item * own if operand.size != own else np.zeros_like(item)
        needed += [(k, first + j) for j in range(own)]

    def combined(values: Sequence[Any]) -> Any:
        arguments, start = [], 0
        for k in range(body.n_in()):
            own = body.numel_in(k)
            arguments.append(cs.reshape(cs.vertcat(*values[start : start + own]), *body.size_in(k)))
            start += own
        results: Any = body.call(arguments)
        return results[output].nz[place]

    return needed, combined


def _sum(values: Sequence[Any]) -> Any:
    total = values[0]
    for value in values[1:]:
        total = cs.SX.binary(cs.OP_ADD, total, value)
    return total


def _times(a: Any, b: Any) -> Any:
    if a.is_one():
        return b
    return a if b.is_one() else cs.SX.binary(cs.OP_MUL, a, b)


_RULES: dict[int, Callable[[Node, Entries], Needs]] = {
    cs.OP_RESHAPE: _reshape, cs.OP_SPARSITY_CAST: _reshape, cs.OP_TRANSPOSE: _transpose,
    cs.OP_GETNONZEROS: _get, cs.OP_SETNONZEROS: _set,
    cs.OP_HORZREPMAT: _repeated, cs.OP_HORZREPSUM: _repeats_summed, cs.OP_HORZCAT: _side_by_side,
    cs.OP_VERTCAT: _on_top, cs.OP_MTIMES: _product, cs.OP_DOT: _inner_product, cs.OP_EINSTEIN: _batched_product,
    cs.OP_CALL: _called,
}  # fmt: skip
