"""Functions that call what is not compiled, cut into pieces that are.

A factorisation, a callback or a solver stays a node that CasADi evaluates. Everything else is sorted by how many of
these have to be evaluated before it; what can be computed between two of them is one piece, a Function by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import casadi as cs

from archimedes_grad.nodes.rebuilding import Node, Rebuilding, operands_of, ordered

#: A piece that computes fewer numbers stays with the interpreter.
_FEWEST_NUMBERS = 500


@dataclass(eq=False, repr=False)
class Piece:
    """What can be computed between two nodes that are not compiled.

    Attributes
    ----------
    function
        Takes ``arguments``, gives ``results``.
    arguments, results
        Nodes of the whole graph.
    """

    function: cs.Function
    arguments: list[cs.MX]
    results: list[cs.MX]


@dataclass(eq=False, repr=False)
class _Level:
    nodes: list[Node] = field(default_factory=list)
    wanted: dict[int, cs.MX] = field(default_factory=dict)


class Cut:
    """A function's graph, cut at the nodes that are not compiled, under `forward_nodes`: it is built again.

    Parameters
    ----------
    is_compiled
        Tells of a node whether it can be part of a piece.

    Attributes
    ----------
    inputs
        The function's symbols.
    pieces
        Those worth compiling, in the order in which they can be evaluated.
    """

    def __init__(self, function: cs.Function, is_compiled: Callable[[cs.MX], bool]) -> None:
        self.inputs: list[cs.MX] = function.mx_in()
        self._outputs: list[cs.MX] = function.call(self.inputs, True, False)
        self._is_compiled = is_compiled
        # A key must stay taken: the nodes are kept alive as long as the tables.
        self._order = ordered(self._outputs)
        self._levels: dict[int, int] = {}
        self._whole: dict[int, bool] = {}
        levels = self._sorted_by_level()
        self.pieces = [piece for level in levels if (piece := self._piece(level)) is not None]

    def _sorted_by_level(self) -> list[_Level]:
        levels: list[_Level] = []
        for node in self._order:
            level = max(map(self._after, node.operand_keys), default=0)
            compiled = self._whole[node.key] = not node.operands or self._is_compiled(node.source)
            self._levels[node.key] = level
            while len(levels) <= level:
                levels.append(_Level())
            if compiled and node.operands:
                levels[level].nodes.append(node)
            for operand, key in zip(node.operands, node.operand_keys, strict=True):
                if _is_leaf(operand) or not self._whole[key]:
                    continue
                own = self._levels[key]
                if not compiled or own < level:
                    levels[own].wanted[key] = operand
        for output in self._outputs:
            if not _is_leaf(output) and self._whole[hash(output)]:
                levels[self._levels[hash(output)]].wanted[hash(output)] = output
        return levels

    def _after(self, key: int) -> int:
        """Return the first level at which a node is known."""
        return self._levels[key] + (0 if self._whole[key] else 1)

    def _piece(self, level: _Level) -> Piece | None:
        if not level.wanted or sum(node.expression.nnz() for node in level.nodes) < _FEWEST_NUMBERS:
            return None
        results = list(level.wanted.values())
        inside = {node.key for node in level.nodes}
        arguments = {
            key: operand
            for node in level.nodes
            for operand, key in zip(node.operands, node.operand_keys, strict=True)
            if key not in inside and not operand.is_constant()
        }
        if not all(expression.is_dense() for expression in (*results, *arguments.values())):
            return None
        symbols = {key: cs.MX.sym(f"x{k}", node.sparsity()) for k, (key, node) in enumerate(arguments.items())}
        rebuilt = Rebuilding(dict(symbols))
        function = cs.Function("piece", list(symbols.values()), rebuilt.of(results))
        return Piece(function, list(arguments.values()), results)

    def put_together(self, functions: Sequence[cs.Function], data: Sequence[cs.MX]) -> list[cs.MX]:
        """Return the function's outputs with Functions that take the place of the pieces, and data besides."""
        rebuilding = Rebuilding()
        for piece, function in zip(self.pieces, functions, strict=True):
            results = function.call([*rebuilding.of(piece.arguments), *data], False, True)
            # A call without arguments, CasADi has evaluated: they are numbers.
            rebuilding.known |= {hash(old): cs.MX(new) for old, new in zip(piece.results, results, strict=True)}
        return rebuilding.of(self._outputs)


def _is_leaf(node: cs.MX) -> bool:
    return not operands_of(node)
