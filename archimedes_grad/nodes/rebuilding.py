"""Finished expressions built again, with something else in the place of some of their nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import casadi as cs


class Node(NamedTuple):
    """A node of expressions, as `ordered` finds it.

    Attributes
    ----------
    expression, key
        The node, and its hash.
    source, source_key, which
        What computes it, of one output of several the node that has them, with its hash; and which of these it is.
    operands, operand_keys
        What it is computed from, and the hashes of these.
    """

    expression: cs.MX
    key: int
    source: cs.MX
    source_key: int
    which: int
    operands: list[cs.MX]
    operand_keys: list[int]


class Rebuilding:
    """Builds expressions again; what lies behind no change stays as it is.

    Parameters
    ----------
    known
        What stands in the place of nodes, by their hashes. The caller keeps these nodes alive.
    """

    def __init__(self, known: dict[int, cs.MX] | None = None) -> None:
        self.known = known or {}
        self._results: dict[int, list[cs.MX]] = {}
        # A key must stay taken: what it is the key of is kept alive.
        self._alive: list[cs.MX] = []

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return what a node's results become with new operands; None: the same operation on these."""
        return None

    def of(self, expressions: Sequence[cs.MX]) -> list[cs.MX]:
        """Return the expressions built again."""
        for node in ordered(expressions, self.known):
            if node.source_key not in self._results:
                self._results[node.source_key] = self._built(node)
                self._alive.append(node.source)
            results = self._results[node.source_key]
            self.known[node.key] = results[node.which] if results else node.expression
            self._alive.append(node.expression)
        return [self.known[hash(expression)] for expression in expressions]

    def _built(self, node: Node) -> list[cs.MX]:
        """Return the results of a node built again; none where it stays as it is."""
        new = [self.known[key] for key in node.operand_keys]
        results = self.instead_of(node.source, new)
        if results is None:
            if all(hash(operand) == key for operand, key in zip(new, node.operand_keys, strict=True)):
                return []
            results = node.source.eval_mx(new)
        # CasADi drops what it now finds to be zeros; who reads the result counts on all entries.
        return [cs.project(result, _sparsity_of(node.source, k)) for k, result in enumerate(results)]


def symbols_of(function: cs.Function) -> list[cs.MX]:
    """Return a new symbol for each input of a Function.

    What `mx_in` gives are the inputs as they were given, which CasADi composes of pieces where it differentiates.
    """
    return [cs.MX.sym(f"x{i}", function.sparsity_in(i)) for i in range(function.n_in())]


def opened(function: cs.Function, inputs: Sequence[cs.MX]) -> list[cs.MX]:
    """Return the outputs of a Function as expressions of its inputs, with all entries that they have in a call."""
    results = function.call(list(inputs), True, False)
    return [cs.project(result, function.sparsity_out(k)) for k, result in enumerate(results)]


def _sparsity_of(source: cs.MX, which: int) -> cs.Sparsity:
    return source.get_output(which).sparsity() if source.has_output() else source.sparsity()


def ordered(expressions: Sequence[cs.MX], known: Collection[int] = ()) -> list[Node]:
    """Return the nodes that expressions are made of, operands first, down to those that are known."""
    # What is known is asked, not copied: it may be long, and the same for thousands of expressions one by one.
    met = set[int]()
    order: list[Node] = []
    # Nodes that wait for their operands.
    begun: dict[int, Node] = {}
    waiting = [(expression, hash(expression)) for expression in expressions]
    while waiting:
        expression, key = waiting[-1]
        if key in met or key in known:
            waiting.pop()
            continue
        if key not in begun:
            begun[key] = node = _node(expression, key)
            operands = zip(node.operands, node.operand_keys, strict=True)
            missing = [x for x in operands if x[1] not in met and x[1] not in known]
            if missing:
                waiting += missing
                continue
        waiting.pop()
        met.add(key)
        order.append(begun.pop(key))
    return order


def _node(expression: cs.MX, key: int) -> Node:
    source, source_key, which = expression, key, 0
    if expression.is_output():
        source, which = expression.dep(0), expression.which_output()
        source_key = hash(source)
    operands = [source.dep(i) for i in range(source.n_dep())]
    return Node(expression, key, source, source_key, which, operands, [hash(operand) for operand in operands])


def source_of(node: cs.MX) -> cs.MX:
    """Return what computes a node: of one output of several, the node that has them."""
    return node.dep(0) if node.is_output() else node


def operands_of(node: cs.MX) -> list[cs.MX]:
    """Return what a node is computed from."""
    source = source_of(node)
    return [source.dep(i) for i in range(source.n_dep())]
