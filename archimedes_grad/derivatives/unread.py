"""Calls without the outputs that nobody reads, so that these stay out of derivatives.

An output of a loop, a choice or a batch that nobody reads gets the cotangent 0, and a singular operation that it is
made of multiplies that by inf: of ``carry, roots = arc.scan(...)`` the roots, which are there only for a plot. So
before a derivative is taken, what is called is made again without such outputs, and loops also without the carries that
nothing else is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import casadi as cs

from archimedes_grad.derivatives.uses import LINEAR
from archimedes_grad.nodes.dependence import body_of, branches_of, items_of, made_of
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.given_derivatives import can_be_opened
from archimedes_grad.nodes.loops import Loop, looped
from archimedes_grad.nodes.rebuilding import Rebuilding, opened, ordered, symbols_of
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.graph import Graph


def without_unread(graph: Graph) -> Graph:
    """Return a graph whose calls have no outputs, and whose loops no carries, that nothing is made of."""
    if not graph.has_several_outputs:
        return graph
    success = [] if graph.success is None else [graph.success]
    everything = [*graph.nodes, *success, *(guard.node for guard in graph.guards)]
    with forward_nodes():
        rebuilt = _Reading(everything, _Callees(graph.loops)).of(everything)
    n_nodes = len(graph.nodes)
    return replace(
        graph,
        nodes=tuple(rebuilt[:n_nodes]),
        success=rebuilt[n_nodes] if success else None,
        guards=tuple(
            replace(guard, node=node)
            for guard, node in zip(graph.guards, rebuilt[n_nodes + len(success) :], strict=True)
        ),
        has_several_outputs=False,
        loops={},
    )


class _Callee(NamedTuple):
    """What is called instead of a Function: with which of its arguments, and which of its outputs that gives."""

    function: cs.Function
    inputs: Sequence[int]
    outputs: Sequence[int]


class _Reading(Rebuilding):
    """Builds expressions again, with other Functions called where not all outputs are read."""

    def __init__(self, expressions: Sequence[cs.MX], callees: _Callees) -> None:
        super().__init__()
        self._callees = callees
        self._read: dict[int, set[int]] = {}
        for node in ordered(expressions):
            if node.source.op() == cs.OP_CALL:
                self._read.setdefault(node.source_key, set()).add(node.which)

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return the results of a call that gives those outputs alone that are read, and nothing for the others."""
        read = self._read.get(hash(source), ())
        if source.op() != cs.OP_CALL or len(read) == source.n_out():
            return None
        called = source.which_function()
        outputs = sorted(read)
        callee = self._callees.giving(called, outputs) if self._callees.is_worth_it(called, outputs) else None
        if callee is None:
            return None
        results = [cs.MX(*called.size_out(k)) for k in range(called.n_out())]
        given = callee.function.call([operands[i] for i in callee.inputs], False, True)
        for k, result in zip(callee.outputs, given, strict=True):
            results[k] = result
        return results


class _Callees:
    """Makes Functions again that give some of their outputs only, each once."""

    def __init__(self, loops: Mapping[int, tuple[cs.Function, Loop]]) -> None:
        self._loops = loops
        self._made: dict[tuple[int, tuple[int, ...]], tuple[cs.Function, _Callee | None]] = {}

    def is_worth_it(self, function: cs.Function, outputs: Sequence[int]) -> bool:
        """Tell whether anything is computed for other outputs than these alone."""
        kind = function.class_name()
        if hash(function) in self._loops:
            loop = self._loops[hash(function)][1]
            return self.is_worth_it(loop.step, _needed_of(loop, outputs))
        if kind == "Switch":
            return any(self.is_worth_it(branch, outputs) for branch in branches_of(function))
        if kind == "MapSum":
            return self.is_worth_it(body_of(function), outputs)
        if kind == "SXFunction":
            return _operations(function) > _operations(_of_numbers(function, outputs))
        if not can_be_opened(function):
            return False
        results = opened(function, symbols_of(function))
        read = {node.key for node in ordered([results[k] for k in outputs])}
        return any(node.operands and node.source.op() not in LINEAR for node in ordered(results, read))

    def giving(self, function: cs.Function, outputs: Sequence[int]) -> _Callee | None:
        """Return what gives these outputs of a Function; None where it has to give all of them."""
        key = hash(function), tuple(outputs)
        if key not in self._made:
            # With the function itself, whose hash stays taken.
            self._made[key] = function, self._giving(function, outputs)
        return self._made[key][1]

    def _giving(self, function: cs.Function, outputs: Sequence[int]) -> _Callee | None:
        if hash(function) in self._loops:
            return self._loop(self._loops[hash(function)][1], outputs)
        made: cs.Function | None = None
        kind = function.class_name()
        if kind == "Switch":
            made = self._choice(function, outputs)
        elif kind == "MapSum":
            made = self._map(function, outputs)
        elif kind == "SXFunction":
            made = _of_numbers(function, outputs)
        elif can_be_opened(function):
            made = self._of_arrays(function, outputs)
        return None if made is None else _Callee(made, range(function.n_in()), outputs)

    def _of_arrays(self, function: cs.Function, outputs: Sequence[int]) -> cs.Function:
        inputs = symbols_of(function)
        results = opened(function, inputs)
        read = [results[k] for k in outputs]
        return graph_function(function.name(), inputs, _Reading(read, self).of(read))

    def _choice(self, function: cs.Function, outputs: Sequence[int]) -> cs.Function | None:
        branches = [self.giving(branch, outputs) for branch in branches_of(function)]
        if any(branch is None or len(branch.inputs) < function.n_in() - 1 for branch in branches):
            return None
        *others, last = [branch.function for branch in branches if branch is not None]
        return cs.Function.conditional(function.name(), others, last)

    def _map(self, function: cs.Function, outputs: Sequence[int]) -> cs.Function | None:
        body = body_of(function)
        callee = self.giving(body, outputs)
        items = items_of(function)
        if callee is None or len(callee.inputs) < body.n_in() or items < 2:
            return None
        shared = [function.size_in(i) == body.size_in(i) for i in range(body.n_in())]
        summed = [function.size_out(k) == body.size_out(k) for k in outputs]
        return callee.function.map(items, shared, summed)

    def _loop(self, loop: Loop, outputs: Sequence[int]) -> _Callee | None:
        n = loop.n_carry
        needed = _needed_of(loop, outputs)
        step = self.giving(loop.step, needed)
        if step is None or len(needed) == loop.step.n_out():
            return None
        kept = [i for i in range(n) if i in needed]
        inputs = [i for i in range(loop.step.n_in()) if i >= n or i in kept]
        condition = loop.condition and _of_inputs(loop.condition, inputs)
        smaller = Loop(
            _of_inputs(step.function, inputs), loop.n, len(kept), loop.n_sliced, loop.block, condition
        )
        on_the_way = [] if condition else [n + i for i in kept]
        ys = [k + n for k in needed if k >= n]
        return _Callee(looped(smaller), inputs, [*kept, *on_the_way, *ys])


def _of_numbers(function: cs.Function, outputs: Sequence[int]) -> cs.Function:
    inputs = function.sx_in()
    results = function.call(inputs)
    return cs.Function(function.name(), inputs, [results[k] for k in outputs])


def _operations(function: cs.Function) -> int:
    """Return how many operations a Function of numbers has, beside those that bring numbers in and out."""
    operations = (function.instruction_id(k) for k in range(function.n_instructions()))
    return sum(operation not in (cs.OP_INPUT, cs.OP_OUTPUT, cs.OP_CONST) for operation in operations)


def _needed_of(loop: Loop, outputs: Sequence[int]) -> list[int]:
    """Return the outputs of a step that some outputs of its loop are made of."""
    of_step = made_of(loop.step)
    n = loop.n_carry
    # Derivatives read the carries on the way, which stand behind the last ones.
    needed, more = set[int](), {k if k < n else k - n for k in outputs}
    if loop.condition is not None:
        more |= {i for i in made_of(loop.condition)[0] if i < n}
    while more - needed:
        needed |= more
        more = {i for k in needed for i in of_step[k] if i < n}
    return sorted(needed)


def _of_inputs(function: cs.Function, kept: Sequence[int]) -> cs.Function:
    """Return a Function of some of its inputs; it does not depend on the others."""
    symbols = symbols_of(function)
    arguments = [x if i in kept else cs.MX.zeros(*x.shape) for i, x in enumerate(symbols)]
    return graph_function(function.name(), [symbols[i] for i in kept], function.call(arguments, False, True))
