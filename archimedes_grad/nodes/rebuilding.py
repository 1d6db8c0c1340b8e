"""Finished expressions built again, with something else in the place of some of their nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import casadi as cs


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
            source = source_of(node)
            if hash(source) not in self._results:
                self._results[hash(source)] = self._built(source)
                self._alive.append(source)
            results = self._results[hash(source)]
            which = node.which_output() if node.is_output() else 0
            self.known[hash(node)] = results[which] if results else node
            self._alive.append(node)
        return [self.known[hash(expression)] for expression in expressions]

    def _built(self, source: cs.MX) -> list[cs.MX]:
        """Return the results of a node built again; none where it stays as it is."""
        operands = operands_of(source)
        new = [self.known[hash(operand)] for operand in operands]
        results = self.instead_of(source, new)
        if results is None:
            if all(hash(a) == hash(b) for a, b in zip(new, operands, strict=True)):
                return []
            results = source.eval_mx(new)
        # CasADi drops what it now finds to be zeros; who reads the result counts on all entries.
        return [cs.project(result, _sparsity_of(source, k)) for k, result in enumerate(results)]


def opened(function: cs.Function, inputs: Sequence[cs.MX]) -> list[cs.MX]:
    """Return the outputs of a Function as expressions of its inputs, with all entries that they have in a call."""
    results = function.call(list(inputs), True, False)
    return [cs.project(result, function.sparsity_out(k)) for k, result in enumerate(results)]


def _sparsity_of(source: cs.MX, which: int) -> cs.Sparsity:
    return source.get_output(which).sparsity() if source.has_output() else source.sparsity()


def ordered(expressions: Sequence[cs.MX], known: Collection[int] = ()) -> list[cs.MX]:
    """Return the nodes that expressions are made of, operands first, down to those that are known."""
    met = set(known)
    order: list[cs.MX] = []
    waiting = list(expressions)
    while waiting:
        node = waiting[-1]
        if hash(node) in met:
            waiting.pop()
            continue
        missing = [operand for operand in operands_of(node) if hash(operand) not in met]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        met.add(hash(node))
        order.append(node)
    return order


def source_of(node: cs.MX) -> cs.MX:
    """Return what computes a node: of one output of several, the node that has them."""
    return node.dep(0) if node.is_output() else node


def operands_of(node: cs.MX) -> list[cs.MX]:
    """Return what a node is computed from."""
    source = source_of(node)
    return [source.dep(i) for i in range(source.n_dep())]
