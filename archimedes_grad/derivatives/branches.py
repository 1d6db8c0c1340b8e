"""Branches that a choice does not take are kept out of derivatives, of every order and in both directions.

The branch that ``np.where`` does not take gets the cotangent 0, and a singular operation in it multiplies that by inf.
CasADi keeps such a zero while nothing but elementwise operations under one condition lie between the choice and the
singular operation; behind a gather, a sum or a product of matrices, or where a value is used under two conditions,
0 * inf = nan would pass. So a graph with choices is searched, from its results on, for where each node is *alive*: a
mask of the entries that some result is made of. What is singular, and what enters a branch from outside, gets a gate:
the operand itself where its node is alive, and elsewhere a number at which all derivatives are finite. No result
changes by it.

The larger and the smaller of two are choices as well: CasADi multiplies the cotangent of the one that is not taken by
0, where it should not look at it. So where something singular lies on either side, they get gates, too.
"""

from __future__ import annotations

from dataclasses import replace

import casadi as cs

from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.derivatives.callees import Callees
from archimedes_grad.derivatives.gates import Gated
from archimedes_grad.derivatives.masks import Gates, masks_handed_on, masks_of_choice
from archimedes_grad.derivatives.unread import without_unread
from archimedes_grad.derivatives.uses import EVERYWHERE, Arguments, Step, is_finite_constant, steps_of
from archimedes_grad.derivatives.wanted import masks_wanted
from archimedes_grad.nodes.given_derivatives import is_without_reverse_sweep
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import SINGULAR, WHOLE
from archimedes_grad.tracing.graph import Graph

_NODES_OF_A_GATE = 4


def separated(graph: Graph, order: int = 1) -> Graph:
    """Return a graph with gates in the branches of its choices, so that derivatives of an order leave these apart.

    Inside another trace derivatives of every order may follow.
    """
    if current_trace() is not None and _stops_what_is_singular(graph):
        # Of tangents of 0 from there a reverse sweep hands zeros back, among scalars.
        graph = replace(graph, opaque=True)
    whole, graph = graph, without_unread(graph)
    if not graph.selects and list(map(hash, graph.nodes)) == list(map(hash, whole.nodes)):
        return graph
    once = order == 1 and current_trace() is None
    with forward_nodes():
        steps = steps_of(graph.nodes, Callees().arguments)
        gates, choices = _gates(steps, once)
        ends, comparing = _ends(steps), _comparing(steps)
        if not gates and not ends:
            return graph
        nodes = Gated(gates, choices, _calls_behind(steps, gates), ends, comparing).of(graph.nodes)
    # Among scalars zeros would go back from what a call only compares.
    compared = bool(comparing & gates.keys()) or any(True in of_call.values() for of_call in ends.values())
    entries = sum(mask.numel() for masks in gates.values() for mask in masks if mask is not None)
    return replace(
        graph,
        nodes=tuple(nodes),
        opaque=graph.opaque or compared,
        array_nodes=graph.array_nodes + _NODES_OF_A_GATE * len(gates),
        array_entries=graph.array_entries + _NODES_OF_A_GATE * entries,
    )


def _stops_what_is_singular(graph: Graph) -> bool:
    """Tell whether something singular lies behind an end of derivatives."""
    if not any(map(is_without_reverse_sweep, cs.Function("stops", graph.all_symbols, graph.nodes).find_functions(0))):
        return False
    steps = steps_of(graph.nodes, lambda function, outputs, of_values: Arguments([EVERYWHERE] * function.n_in()))
    calls = (step for step in steps if step.operation == cs.OP_CALL and step.singular_behind)
    return any(is_without_reverse_sweep(step.source.which_function()) for step in calls)


def _gates(steps: list[Step], once: bool) -> tuple[dict[int, Gates], dict[int, cs.MX]]:
    """Return the masks of the gates by the hash of the node behind them, and of choices also where they count.

    Where derivatives are taken once, none are needed where CasADi keeps cotangents 0.
    """
    choices: dict[int, cs.MX] = {}
    come_from_outside: list[bool] = []
    gated: dict[int, list[bool]] = {}
    # Nodes behind which there are gates: their masks are needed.
    above: list[bool] = []
    found: dict[int, Gates] = {}
    for number, step in enumerate(steps):
        outside = [come_from_outside[place] for place, _ in step.places]
        come_from_outside.append(_comes_from_outside(step, outside))
        needed = step.counts_in_part and any(above[place] for place, _ in step.places)
        if step.is_choice:
            found[hash(step.source)] = masks_of_choice(step)
            # What comes into it from outside may be nan, of which CasADi's slope of a choice is nan.
            needed |= any(outside) and not any(use is not None and use.everywhere for use in step.uses)
        elif step.counts_in_part:
            gates = [_needs_gate(step, k, outside[k], once) for k in range(len(step.operands))]
            if any(gates):
                gated[number] = gates
                needed = True
        above.append(needed)
    for number in reversed(range(len(steps))):
        if above[number]:
            if once:
                steps[number].masks_wanted = masks_wanted(steps, steps[number])
            if steps[number].is_choice and (mask := (steps[number].masks or [None])[0]) is not None:
                choices[hash(steps[number].source)] = mask
            handed = masks_handed_on(steps, steps[number])
            gates = gated.get(number, [])
            chosen = [mask if gate else None for mask, gate in zip(handed, gates, strict=False)]
            if any(mask is not None for mask in chosen):
                found[hash(steps[number].source)] = chosen
    return found, choices


def _ends(steps: list[Step]) -> dict[int, dict[int, bool]]:
    """Return, by the hashes of calls, the arguments that no derivative needs: whether something singular is behind."""
    ends = {
        hash(step.source): {
            k: steps[place].singular_behind
            for k, (use, (place, _)) in enumerate(zip(step.handed, step.places, strict=True))
            if use is None
        }
        for step in steps
        if step.groups
    }
    return {key: arguments for key, arguments in ends.items() if arguments}


def _comparing(steps: list[Step]) -> set[int]:
    """Return the hashes of calls that read values where they do not count for derivatives."""
    return {hash(step.source) for step in steps if step.compares}


def _calls_behind(steps: list[Step], gates: dict[int, Gates]) -> set[int]:
    """Return the hashes of the calls that are built again, as what they are computed from has gates."""
    calls: set[int] = set()
    changed: list[bool] = []
    for step in steps:
        key = hash(step.source)
        changed.append(key in gates or any(changed[place] for place, _ in step.places))
        if changed[-1] and step.operation in WHOLE:
            calls.add(key)
    return calls


def _comes_from_outside(step: Step, outside: list[bool]) -> bool:
    """Tell whether a value comes into a branch from outside: it may be anything where the branch is not taken."""
    if not step.operands:
        return not is_finite_constant(step.source)
    if step.operation in WHOLE or any(use is not None and use.everywhere for use in step.uses):
        return True
    return any(outside) and step.is_linear


def _needs_gate(step: Step, k: int, is_outside: bool, once: bool) -> bool:
    use = step.handed[k]
    if use is None or use.everywhere or step.is_linear:
        return False
    operand = step.operands[k]
    if not operand.is_dense() or is_finite_constant(operand):
        return False
    if step.compares:
        # What lies behind may have gates, but the call needs the values.
        return True
    if step.operation in WHOLE:
        return not any(use is not None and use.everywhere for use in step.uses)
    if step.is_elementwise and not operand.is_scalar() and any(other.is_scalar() for other in step.operands):
        # The cotangent of the number is a sum over all entries, taken or not.
        return True
    kept_apart = once and use.condition is not None
    return not kept_apart and (is_outside or step.operation in SINGULAR)
