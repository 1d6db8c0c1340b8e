"""Calls without the outputs that nobody reads, so that these stay out of derivatives.

An output of a loop, a choice or a batch that nobody reads gets the cotangent 0, and a singular operation that it is
made of multiplies that by inf: of ``carry, roots = arc.scan(...)`` the roots, which are there only for a plot. So
before a derivative is taken, what is called is made again without such outputs, and loops also without the carries that
nothing else is made of.

So it is with outputs and carries that are only compared, by the condition of a loop for one. These stay, but nothing
goes back from them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import casadi as cs

from archimedes_grad.derivatives.counting import Counting
from archimedes_grad.derivatives.uses import LINEAR
from archimedes_grad.nodes.dependence import body_of, branches_of, items_of, made_of, shared_by, summed_by
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.given_derivatives import can_be_opened, without_reverse_sweep
from archimedes_grad.nodes.loops import Loop, looped
from archimedes_grad.nodes.rebuilding import Rebuilding, opened, ordered, symbols_of
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import WITHOUT_DERIVATIVE
from archimedes_grad.tracing.graph import Graph

#: What brings numbers into a Function and out of it.
_IN_AND_OUT = frozenset({cs.OP_INPUT, cs.OP_OUTPUT, cs.OP_CONST})

#: Operations through which the cotangent 0 remains 0, and those through which none goes.
_HARMLESS = LINEAR | WITHOUT_DERIVATIVE | _IN_AND_OUT


def without_unread(graph: Graph) -> Graph:
    """Return a graph whose calls have no outputs, and whose loops no carries, that nothing is made of.

    Nothing goes back into calls from outputs, and in loops from carries, that are only compared.
    """
    if not graph.has_several_outputs:
        return graph
    success = [] if graph.success is None else [graph.success]
    everything = [*graph.nodes, *success, *(guard.node for guard in graph.guards)]
    with forward_nodes():
        rebuilt = _Reading(everything, graph.nodes, _Callees(graph.loops)).of(everything)
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
    """Builds expressions again, with other Functions called where not all outputs are read, or some only compared.

    Parameters
    ----------
    differentiated
        Those of the expressions that derivatives are taken of.
    """

    def __init__(
        self, expressions: Sequence[cs.MX], differentiated: Sequence[cs.MX], callees: _Callees
    ) -> None:
        super().__init__()
        self._callees = callees
        self._read: dict[int, set[int]] = {}
        self._counted: dict[int, set[int]] = {}
        nodes = ordered(expressions)
        results = [node for node in nodes if node.source.op() == cs.OP_CALL]
        for node in results:
            self._read.setdefault(node.source_key, set()).add(node.which)
        if len(self._read) == len(results):
            # CasADi goes back into no call of which nothing counts.
            self._counted = self._read
            return
        counted = callees.counting.among(nodes, differentiated)
        for node in results:
            if node.key in counted:
                self._counted.setdefault(node.source_key, set()).add(node.which)

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return the results of a call that gives those outputs alone that are read, and nothing for the others."""
        counted = self._counted.get(hash(source), ())
        if source.op() != cs.OP_CALL or not counted or len(counted) == source.n_out():
            return None
        called, read = source.which_function(), sorted(self._read[hash(source)])
        is_worth_it = self._callees.is_worth_it(called, read, sorted(counted))
        callee = self._callees.giving(called, read, sorted(counted)) if is_worth_it else None
        if callee is None:
            return None
        results = [cs.MX(*called.size_out(k)) for k in range(called.n_out())]
        given = callee.function.call([operands[i] for i in callee.inputs], False, True)
        for k, result in zip(callee.outputs, given, strict=True):
            results[k] = result
        return results


class _Callees:
    """Makes Functions again that give some of their outputs only, differentiated by some of these, each once."""

    def __init__(self, loops: Mapping[int, tuple[cs.Function, Loop]]) -> None:
        self.counting = Counting()
        self._loops = loops
        self._made: dict[tuple[int, tuple[int, ...], tuple[int, ...]], tuple[cs.Function, _Callee | None]] = {}

    def is_worth_it(self, function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> bool:
        """Tell whether a Function computes anything beside what is read, or what counts where 0 may become nan."""
        kind = function.class_name()
        if hash(function) in self._loops:
            loop = self._loops[hash(function)][1]
            return self.is_worth_it(loop.step, _needed_of(loop, outputs), self._counted_of(loop, counted))
        if kind == "Switch":
            return any(self.is_worth_it(branch, outputs, counted) for branch in branches_of(function))
        if kind == "MapSum":
            return self.is_worth_it(body_of(function), outputs, counted)
        if kind == "SXFunction":
            of_outputs = _of_numbers(function, outputs)
            if _operations(function) > _operations(of_outputs) or outputs == counted:
                return _operations(function) > _operations(of_outputs)
            return _operations(of_outputs, _HARMLESS) > _operations(_of_numbers(function, counted), _HARMLESS)
        if not can_be_opened(function):
            return False
        results = opened(function, symbols_of(function))
        behind = {node.key for node in ordered([results[k] for k in counted])}
        return any(node.operands and node.source.op() not in _HARMLESS for node in ordered(results, behind))

    def giving(self, function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> _Callee | None:
        """Return what gives these outputs of a Function, and takes cotangents of those that count.

        None where it has to give all of them.
        """
        key = hash(function), tuple(outputs), tuple(counted)
        if key not in self._made:
            # With the function itself, whose hash stays taken.
            self._made[key] = function, self._giving(function, outputs, counted)
        return self._made[key][1]

    def _giving(self, function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> _Callee | None:
        if hash(function) in self._loops:
            return self._loop(self._loops[hash(function)][1], outputs, counted)
        made: cs.Function | None = None
        kind = function.class_name()
        if kind == "Switch":
            made = self._choice(function, outputs, counted)
        elif kind == "MapSum":
            made = self._map(function, outputs, counted)
        elif kind == "SXFunction":
            made = _of_numbers(function, outputs) if outputs == counted else _apart(function, outputs, counted)
        elif can_be_opened(function):
            made = self._of_arrays(function, outputs, counted)
        return None if made is None else _Callee(made, range(function.n_in()), outputs)

    def _of_arrays(self, function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> cs.Function:
        inputs = symbols_of(function)
        results = opened(function, inputs)
        read, differentiated = [results[k] for k in outputs], [results[k] for k in counted]
        rebuilt = _Reading(read, differentiated, self).of(read)
        given = [x if k in counted else _nothing_back(x) for k, x in zip(outputs, rebuilt, strict=True)]
        return graph_function(function.name(), inputs, given)

    def _choice(self, function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> cs.Function | None:
        branches = [self.giving(branch, outputs, counted) for branch in branches_of(function)]
        if any(branch is None or len(branch.inputs) < function.n_in() - 1 for branch in branches):
            return None
        *others, last = [branch.function for branch in branches if branch is not None]
        return cs.Function.conditional(function.name(), others, last)

    def _map(self, function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> cs.Function | None:
        body = body_of(function)
        callee = self.giving(body, outputs, counted)
        items = items_of(function)
        if callee is None or len(callee.inputs) < body.n_in() or items < 2:
            return None
        summed = summed_by(function)
        return callee.function.map(items, shared_by(function), [summed[k] for k in outputs])

    def _loop(self, loop: Loop, outputs: Sequence[int], counted: Sequence[int]) -> _Callee | None:
        n = loop.n_carry
        needed, of_step = _needed_of(loop, outputs), self._counted_of(loop, counted)
        step = self.giving(loop.step, needed, of_step)
        if step is None or len(of_step) == loop.step.n_out():
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

    def _counted_of(self, loop: Loop, outputs: Sequence[int]) -> list[int]:
        """Return the outputs of a step that derivatives of some outputs of its loop go through."""
        return _with_carries_behind(loop, _of_one_step(loop, outputs), self.counting.inputs_behind(loop.step))


def _of_numbers(function: cs.Function, outputs: Sequence[int]) -> cs.Function:
    inputs = function.sx_in()
    results = function.call(inputs)
    return cs.Function(function.name(), inputs, [results[k] for k in outputs])


def _apart(function: cs.Function, outputs: Sequence[int], counted: Sequence[int]) -> cs.Function:
    """Return the Function of two calls, of the outputs that count and of the others, from which nothing goes back."""
    inputs = symbols_of(function)
    results: dict[int, cs.MX] = {}
    for some in (counted, [k for k in outputs if k not in counted]):
        if some:
            results |= zip(some, _of_numbers(function, some).call(inputs, False, True), strict=True)
    given = [results[k] if k in counted else _nothing_back(results[k]) for k in outputs]
    return graph_function(function.name(), inputs, given)


def _nothing_back(x: cs.MX) -> cs.MX:
    return without_reverse_sweep(*x.shape)(x) if x.is_dense() else x


def _operations(function: cs.Function, left_out: Collection[int] = _IN_AND_OUT) -> int:
    """Return how many operations a Function of numbers has, but for some."""
    return sum(function.instruction_id(k) not in left_out for k in range(function.n_instructions()))


def _needed_of(loop: Loop, outputs: Sequence[int]) -> list[int]:
    """Return the outputs of a step that some outputs of its loop are made of."""
    first = _of_one_step(loop, outputs)
    if loop.condition is not None:
        first |= {i for i in made_of(loop.condition)[0] if i < loop.n_carry}
    return _with_carries_behind(loop, first, made_of(loop.step))


def _of_one_step(loop: Loop, outputs: Sequence[int]) -> set[int]:
    """Return which outputs of a step outputs of its loop are: behind the last carries stand those on the way."""
    n = loop.n_carry
    return {k if k < n else k - n for k in outputs}


def _with_carries_behind(loop: Loop, outputs: set[int], behind: Sequence[set[int]]) -> list[int]:
    """Return some outputs of a step with the carries behind them, and behind these, one step after the other."""
    found, more = set[int](), outputs
    while more - found:
        found |= more
        more = {i for k in found for i in behind[k] if i < loop.n_carry}
    return sorted(found)


def _of_inputs(function: cs.Function, kept: Sequence[int]) -> cs.Function:
    """Return a Function of some of its inputs; it does not depend on the others."""
    symbols = symbols_of(function)
    arguments = [x if i in kept else cs.MX.zeros(*x.shape) for i, x in enumerate(symbols)]
    return graph_function(function.name(), [symbols[i] for i in kept], function.call(arguments, False, True))
