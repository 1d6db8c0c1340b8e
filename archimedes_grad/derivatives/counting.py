"""Through which nodes derivatives go: not through those that are only compared, rounded, or chosen by."""

from __future__ import annotations

from collections.abc import Sequence

import casadi as cs

from archimedes_grad.nodes.dependence import body_of, branches_of
from archimedes_grad.nodes.given_derivatives import can_be_opened
from archimedes_grad.nodes.rebuilding import Node, opened, ordered, symbols_of
from archimedes_grad.rules.branches import WITHOUT_DERIVATIVE


class Counting:
    """What derivatives go through, in graphs and in the Functions that they call, each looked into once."""

    def __init__(self) -> None:
        self._functions: list[cs.Function] = []  # Their hashes stay taken.
        self._known: dict[int, list[set[int]]] = {}

    def among(self, nodes: Sequence[Node], results: Sequence[cs.MX]) -> set[int]:
        """Return the keys of the nodes, of some with operands first, that derivatives of results go through."""
        counted = set(map(hash, results))
        for node in reversed(nodes):
            if node.key in counted:
                counted.update(node.operand_keys[k] for k in self._operands(node))
        return counted

    def inputs_behind(self, function: cs.Function) -> list[set[int]]:
        """Return, for each output of a Function, which of its inputs derivatives go to."""
        key = hash(function)
        if key not in self._known:
            self._functions.append(function)
            self._known[key] = self._looked_into(function)
        return self._known[key]

    def _looked_into(self, function: cs.Function) -> list[set[int]]:
        kind = function.class_name()
        if kind == "SXFunction":
            return self._of_numbers(function)
        if kind == "Switch":
            branches = [self.inputs_behind(branch) for branch in branches_of(function)]
            return [{i + 1 for i in set[int]().union(*same)} for same in zip(*branches, strict=True)]
        if kind == "MapSum":
            return self.inputs_behind(body_of(function))
        if can_be_opened(function):
            return self._of_arrays(function)
        differentiated = {i for i, is_differentiated in enumerate(function.is_diff_in()) if is_differentiated}
        return [differentiated] * function.n_out()

    def _of_arrays(self, function: cs.Function) -> list[set[int]]:
        inputs = symbols_of(function)
        results = opened(function, inputs)
        behind = {hash(symbol): {i} for i, symbol in enumerate(inputs)}
        for node in ordered(results, behind):
            behind[node.key] = set[int]().union(*(behind[node.operand_keys[k]] for k in self._operands(node)))
        return [behind[hash(result)] for result in results]

    def _operands(self, node: Node) -> Sequence[int]:
        operation = node.source.op()
        if operation in WITHOUT_DERIVATIVE:
            return ()
        if operation == cs.OP_IF_ELSE_ZERO:
            return (1,)
        if operation == cs.OP_CALL:
            return [*self.inputs_behind(node.source.which_function())[node.which]]
        return range(len(node.operands))

    def _of_numbers(self, function: cs.Function) -> list[set[int]]:
        # Sets of inputs as the bits of a number, by the place in memory.
        behind: dict[int, int] = {}
        of_outputs = [0] * function.n_out()
        for k in range(function.n_instructions()):
            operation = function.instruction_id(k)
            operands, results = function.instruction_input(k), function.instruction_output(k)
            if operation == cs.OP_INPUT:
                found = 1 << operands[0]
            elif operation in WITHOUT_DERIVATIVE or operation == cs.OP_CONST:
                found = 0
            else:
                counted = operands[1:] if operation == cs.OP_IF_ELSE_ZERO else operands
                found = 0
                for operand in counted:
                    found |= behind[operand]
            if operation == cs.OP_OUTPUT:
                of_outputs[results[0]] |= found
            else:
                behind.update(dict.fromkeys(results, found))
        return [{i for i in range(function.n_in()) if bits >> i & 1} for bits in of_outputs]
