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

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import casadi as cs
import numpy as np

from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep
from archimedes_grad.nodes.rebuilding import Rebuilding, operands_of, source_of
from archimedes_grad.nodes.simplification import derivative_sweep, forward_nodes
from archimedes_grad.rules.branches import SINGULAR, WHOLE
from archimedes_grad.tracing.graph import Graph

_COMPARISONS = frozenset({cs.OP_LT, cs.OP_LE, cs.OP_EQ, cs.OP_NE, cs.OP_NOT, cs.OP_AND, cs.OP_OR})
_WITHOUT_DERIVATIVE = _COMPARISONS | {cs.OP_SIGN, cs.OP_FLOOR, cs.OP_CEIL}

#: Nodes that move entries or add them; their transposes are found by CasADi.
_MOVES = frozenset({
    cs.OP_GETNONZEROS, cs.OP_SETNONZEROS, cs.OP_ADDNONZEROS, cs.OP_RESHAPE, cs.OP_TRANSPOSE, cs.OP_HORZCAT,
    cs.OP_VERTCAT, cs.OP_DIAGCAT, cs.OP_HORZSPLIT, cs.OP_VERTSPLIT, cs.OP_DIAGSPLIT, cs.OP_HORZREPMAT,
    cs.OP_HORZREPSUM, cs.OP_PROJECT, cs.OP_SPARSITY_CAST,
})  # fmt: skip

#: The same for products of two operands, each moved by the other one.
_PRODUCTS = frozenset({cs.OP_MTIMES, cs.OP_DOT, cs.OP_EINSTEIN, cs.OP_RANK1, cs.OP_BILIN})

_UNSAFE = SINGULAR | WHOLE

#: Nodes whose derivatives multiply by numbers that are finite whatever the operands are.
_LINEAR = _MOVES | {cs.OP_ADD, cs.OP_SUB, cs.OP_NEG, cs.OP_TWICE, cs.OP_ASSIGN, cs.OP_IF_ELSE_ZERO}

#: Where every elementwise operation has finite derivatives; acosh has none there.
_REGULAR, _REGULAR_OF_ACOSH = 0.5, 2.0

#: What an operand of the larger or the smaller of two is behind its gate where the other one is taken.
_NEVER_TAKEN = {cs.OP_FMAX: -np.inf, cs.OP_FMIN: np.inf}

#: CasADi's classes of Functions that evaluate graphs, and call nothing else.
_GRAPHS = ("MXFunction", "SXFunction", "Map", "MapSum", "Switch")

_NODES_OF_A_GATE = 4

#: Entries of the Jacobians of a Function up to which their structure is looked at.
_LARGEST_STRUCTURE = 250_000


class _Use(NamedTuple):
    """How a node counts for the results.

    Attributes
    ----------
    everywhere
        Whether all of its entries do.
    condition
        The number of the one condition under which CasADi keeps its cotangent 0 by itself, 0 for none; None where it
        does not: of cotangents under two conditions, in one order and in the other, it makes a sum of zeros.
    """

    everywhere: bool
    condition: int | None


_EVERYWHERE, _SOMEWHERE = _Use(True, 0), _Use(False, None)


class _Conditions:
    """Numbers conditions, and knows under which of them outputs have been found to count."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._met: dict[tuple[int, int], set[int]] = {}

    def number(self, condition: cs.MX) -> int:
        """Return the number of a condition; its opposite has the negative number."""
        holds = True
        while condition.op() == cs.OP_NOT:
            condition, holds = condition.dep(0), not holds
        number = self._numbers.setdefault(hash(condition), len(self._numbers) + 1)
        return number if holds else -number

    def number_in_choice(self, choice: cs.MX, k: int) -> int:
        """Return the number of the condition that a choice takes its operand k."""
        # No node has this condition, so nothing else has the number.
        return self._numbers.setdefault(-2 * hash(choice) - k, len(self._numbers) + 1)

    def joined(self, place: tuple[int, int], use: _Use, before: _Use | None) -> _Use:
        """Return how an output counts by one more use of it: everywhere, if under a condition and its opposite."""
        if use.everywhere or (before is not None and before.everywhere):
            return _EVERYWHERE
        if use.condition is not None:
            met = self._met.setdefault(place, set())
            if -use.condition in met:
                return _EVERYWHERE
            met.add(use.condition)
        return use if before is None or use == before else _SOMEWHERE


@dataclass(eq=False, slots=True)
class _Step:
    """A node with all its outputs, and the steps of its operands: those behind it in the list of steps.

    Attributes
    ----------
    operands, places
        What it is computed from; of each the number of its step, and which of the outputs of that it is.
    uses
        How each output counts; None where it does not.
    singular, singular_behind
        Whether a singular operation is among what the node is used for, or among what it is made of, itself included.
    handed
        How each operand counts for this node.
    is_choice
        Whether it is the larger or smaller of two with gates before its operands.
    masks
        Where each output counts, once it is known.
    """

    source: cs.MX
    operation: int
    operands: list[cs.MX]
    places: list[tuple[int, int]]
    uses: list[_Use | None]
    singular_behind: bool
    singular: bool = False
    handed: Sequence[_Use | None] = ()
    is_choice: bool = False
    masks: Sequence[cs.MX | None] = ()

    @property
    def is_elementwise(self) -> bool:
        return bool(self.source.is_unary() or self.source.is_binary())

    @property
    def counts_in_part(self) -> bool:
        """Whether some operand counts under conditions only."""
        return any(use is not None and not use.everywhere for use in self.handed)


#: For each operand of a node, the mask of its gate; None where it has none.
_Gates = list[cs.MX | None]


def separated(graph: Graph, order: int = 1) -> Graph:
    """Return a graph with gates in the branches of its choices, so that derivatives of an order leave these apart.

    Inside another trace derivatives of every order may follow.
    """
    if not graph.selects:
        return graph
    once = order == 1 and current_trace() is None
    with forward_nodes():
        steps = _steps(graph.nodes)
        gates = _gates(steps, once)
        if not gates:
            return graph
        nodes = _Gated(gates, _calls_behind(steps, gates)).of(graph.nodes)
    entries = sum(mask.numel() for masks in gates.values() for mask in masks if mask is not None)
    return replace(
        graph,
        nodes=tuple(nodes),
        array_nodes=graph.array_nodes + _NODES_OF_A_GATE * len(gates),
        array_entries=graph.array_entries + _NODES_OF_A_GATE * entries,
    )


# --- which nodes get gates --------------------------------------------------------------------------


def _steps(results: Sequence[cs.MX]) -> list[_Step]:
    """Return the nodes that results are made of, operands first, with how they count."""
    steps: list[_Step] = []
    places: dict[int, int] = {}
    # Operands, and the hashes of what computes them, of nodes that wait for these.
    begun: dict[int, tuple[list[cs.MX], list[int]]] = {}
    waiting = [(source := source_of(result), hash(source)) for result in results]
    while waiting:
        source, key = waiting[-1]
        if key in places:
            waiting.pop()
            continue
        if key not in begun:
            operands = [source.dep(i) for i in range(source.n_dep())]
            sources = [(node := source_of(operand), hash(node)) for operand in operands]
            begun[key] = operands, [of_operand for _, of_operand in sources]
            missing = [(node, of_operand) for node, of_operand in sources if of_operand not in places]
            if missing:
                waiting += missing
                continue
        waiting.pop()
        operands, keys = begun.pop(key)
        operand_places = [(places[k], _which(operand)) for k, operand in zip(keys, operands, strict=True)]
        operation = source.op()
        behind = operation in _UNSAFE
        for place, _ in operand_places:
            behind = behind or steps[place].singular_behind
        places[key] = len(steps)
        steps.append(_Step(source, operation, operands, operand_places, [None] * max(1, source.n_out()), behind))
    for result in results:
        steps[places[hash(source_of(result))]].uses[_which(result)] = _EVERYWHERE
    conditions = _Conditions()
    for step in reversed(steps):
        _hand_on(steps, step, conditions)
    return steps


def _which(node: cs.MX) -> int:
    return node.which_output() if node.is_output() else 0


def _hand_on(steps: list[_Step], step: _Step, conditions: _Conditions) -> None:
    uses = [use for use in step.uses if use is not None]
    if not uses or step.operation in _WITHOUT_DERIVATIVE:
        return
    step.is_choice = (
        step.operation in _NEVER_TAKEN
        and (step.singular or step.singular_behind)
        and not all(operand.is_constant() or operand.op() in _WITHOUT_DERIVATIVE for operand in step.operands)
    )
    step.handed = _handed_on(step, uses, conditions)
    singular = step.singular or step.operation in _UNSAFE
    for at, use in zip(step.places, step.handed, strict=True):
        if use is not None:
            place, which = at
            steps[place].uses[which] = conditions.joined(at, use, steps[place].uses[which])
            steps[place].singular |= singular


def _handed_on(step: _Step, uses: list[_Use], conditions: _Conditions) -> list[_Use | None]:
    if step.operation == cs.OP_IF_ELSE_ZERO:
        (use,) = uses
        condition, branch = step.operands
        if not use.everywhere or branch.numel() != step.source.numel():
            return [None, _SOMEWHERE]
        return [None, _Use(False, conditions.number(condition))]
    if step.is_choice:
        return [_in_choice(step, k, uses[0], conditions) for k in range(2)]
    if any(use.everywhere for use in uses):
        return [_EVERYWHERE] * len(step.operands)
    if not step.is_elementwise or uses[0].condition is None:
        return [_SOMEWHERE] * len(step.operands)
    size = step.source.numel()
    return [uses[0] if operand.numel() == size else _SOMEWHERE for operand in step.operands]


def _in_choice(step: _Step, k: int, use: _Use, conditions: _Conditions) -> _Use:
    """Return how an operand of the larger or smaller of two counts: where the other one is not."""
    if not use.everywhere or step.operands[k].numel() != step.source.numel():
        return _SOMEWHERE
    return _Use(False, conditions.number_in_choice(step.source, k))


def _gates(steps: list[_Step], once: bool) -> dict[int, _Gates]:
    """Return the masks of the gates by the hash of the node behind them.

    Where derivatives are taken once, none are needed where CasADi keeps cotangents 0.
    """
    come_from_outside: list[bool] = []
    gated: dict[int, list[bool]] = {}
    # Nodes behind which there are gates: their masks are needed.
    above: list[bool] = []
    found: dict[int, _Gates] = {}
    for number, step in enumerate(steps):
        outside = [come_from_outside[place] for place, _ in step.places]
        come_from_outside.append(_comes_from_outside(step, outside))
        needed = step.counts_in_part and any(above[place] for place, _ in step.places)
        if step.is_choice:
            found[hash(step.source)] = _masks_of_choice(step)
        elif step.counts_in_part:
            gates = [_needs_gate(step, k, outside[k], once) for k in range(len(step.operands))]
            if any(gates):
                gated[number] = gates
                needed = True
        above.append(needed)
    for number in reversed(range(len(steps))):
        if above[number]:
            handed = _masks_handed_on(steps, steps[number])
            gates = gated.get(number, [])
            chosen = [mask if gate else None for mask, gate in zip(handed, gates, strict=False)]
            if any(mask is not None for mask in chosen):
                found[hash(steps[number].source)] = chosen
    return found


def _calls_behind(steps: list[_Step], gates: dict[int, _Gates]) -> set[int]:
    """Return the hashes of the calls that are built again, as what they are computed from has gates."""
    calls: set[int] = set()
    changed: list[bool] = []
    for step in steps:
        key = hash(step.source)
        changed.append(key in gates or any(changed[place] for place, _ in step.places))
        if changed[-1] and step.operation in WHOLE:
            calls.add(key)
    return calls


def _masks_of_choice(step: _Step) -> _Gates:
    """Return where each of two operands is not less, or more, than the other one: both where one of them is nan."""
    x, y = step.operands
    less, more = cs.MX.binary(cs.OP_LT, x, y), cs.MX.binary(cs.OP_LT, y, x)
    masks = [_not(less), _not(more)] if step.operation == cs.OP_FMAX else [_not(more), _not(less)]
    return [None if operand.is_constant() else mask for operand, mask in zip((x, y), masks, strict=True)]


def _comes_from_outside(step: _Step, outside: list[bool]) -> bool:
    """Tell whether a value comes into a branch from outside: it may be anything where the branch is not taken."""
    if not step.operands:
        return not _is_finite_constant(step.source)
    if step.operation in WHOLE or any(use is not None and use.everywhere for use in step.uses):
        return True
    return any(outside) and _is_linear(step)


def _needs_gate(step: _Step, k: int, is_outside: bool, once: bool) -> bool:
    use = step.handed[k]
    if use is None or use.everywhere or _is_linear(step):
        return False
    operand = step.operands[k]
    if not operand.is_dense() or _is_finite_constant(operand):
        return False
    if step.operation in WHOLE:
        return True
    if step.is_elementwise and not operand.is_scalar() and any(other.is_scalar() for other in step.operands):
        # The cotangent of the number is a sum over all entries, taken or not.
        return True
    kept_apart = once and use.condition is not None
    return not kept_apart and (is_outside or step.operation in SINGULAR)


def _is_linear(step: _Step) -> bool:
    """Tell whether the node's derivatives multiply by numbers that are finite whatever its operands are."""
    if step.operation == cs.OP_MUL:
        return any(map(_is_finite_constant, step.operands))
    if step.operation == cs.OP_DIV:
        divisor = step.operands[1]
        return _is_finite_constant(divisor) and bool(np.all(divisor.to_DM().full()))
    return step.operation in _LINEAR


def _is_finite_constant(node: cs.MX) -> bool:
    return bool(node.is_constant() and np.isfinite(np.asarray(node.to_DM().nonzeros())).all())


# --- the gates --------------------------------------------------------------------------------------


class _Gated(Rebuilding):
    """Builds expressions again with the gates in them."""

    def __init__(self, gates: dict[int, _Gates], calls: set[int]) -> None:
        super().__init__()
        self._gates = gates
        self._seen = _Seen(calls)

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return a node with gates before its operands, and conditions as they are: they see no gates."""
        if source.op() in _WITHOUT_DERIVATIVE:
            return self._seen.of([source])
        gates = self._gates.get(hash(source))
        if gates is None:
            return None
        masks = [None if mask is None else self._seen.of([mask])[0] for mask in gates]
        if source.op() in _NEVER_TAKEN and None in masks:
            # The constant takes the place of the result: so the tangent is 0 by the condition alone.
            constant = operands[masks.index(None)]
            (mask,) = [mask for mask in masks if mask is not None]
            return [_chosen(mask, cs.MX.binary(source.op(), operands[0], operands[1]), constant)]
        number = _REGULAR_OF_ACOSH if source.op() == cs.OP_ACOSH else _NEVER_TAKEN.get(source.op(), _REGULAR)
        elsewhere = [cs.MX(number)] * len(operands)
        if source.op() in WHOLE and not _is_graph(source):
            # It may fail, so it must get what it would get without gates. Such a graph is never expanded to scalars.
            elsewhere = [without_reverse_sweep(*operand.shape)(operand) for operand in operands_of(source)]
        return list(source.eval_mx([
            operand if mask is None else _chosen(mask, operand, other)
            for operand, mask, other in zip(operands, masks, elsewhere, strict=True)
        ]))  # fmt: skip


def _is_graph(call: cs.MX) -> bool:
    """Tell whether a node is a call of graphs alone, which can be evaluated anywhere."""
    if call.op() != cs.OP_CALL:
        return False
    function = call.which_function()
    return all(inner.class_name() in _GRAPHS for inner in (function, *function.find_functions()))


class _Seen(Rebuilding):
    """Builds what conditions see again, without a way back through a call that results have behind gates.

    Among scalars the reverse derivative of a call gives zeros where its results are not differentiated, and a singular
    operation before it that has no gate would make nan of them.
    """

    def __init__(self, calls: set[int]) -> None:
        super().__init__()
        self._calls = calls

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return a call of operands that no reverse sweep goes back from, if results have it behind gates."""
        if hash(source) not in self._calls:
            return None
        return list(source.eval_mx([without_reverse_sweep(*x.shape)(x) if x.is_dense() else x for x in operands]))


def _chosen(mask: cs.MX, operand: cs.MX, other: cs.MX) -> cs.MX:
    """Return an operand where the mask is not 0, and the other elsewhere; only +0.0 is subtracted from the operand."""
    negative = cs.MX.unary(cs.OP_NEG, other)
    return cs.MX.binary(cs.OP_SUB, _only_where(mask, operand), _only_where(_not(mask), negative))


def _only_where(condition: cs.MX, x: cs.MX) -> cs.MX:
    return cs.MX.binary(cs.OP_IF_ELSE_ZERO, condition, x)


def _not(mask: cs.MX) -> cs.MX:
    return cs.MX.unary(cs.OP_NOT, mask)


# --- where entries count ----------------------------------------------------------------------------


def _masks_handed_on(steps: list[_Step], step: _Step) -> list[cs.MX | None]:
    """Hand on where the operands of a node count for it: masks that are not 0 there, of the operand's shape or scalar.

    Returns
    -------
    list
        The masks; None: everywhere, or nowhere.
    """
    masks = step.masks or (None,) * len(step.uses)
    handed = _masks_of_operands(step, masks)
    for (place, which), mask in zip(step.places, handed, strict=True):
        behind = steps[place]
        use = behind.uses[which]
        if mask is not None and use is not None and not use.everywhere:
            masks_behind = list(behind.masks or (None,) * len(behind.uses))
            before = masks_behind[which]
            masks_behind[which] = mask if before is None or hash(before) == hash(mask) else before + mask
            behind.masks = masks_behind
    return handed


def _masks_of_operands(step: _Step, masks: Sequence[cs.MX | None]) -> list[cs.MX | None]:
    source, operands = step.source, step.operands
    if step.operation == cs.OP_IF_ELSE_ZERO:
        condition, branch = operands
        mask = _truth(condition) if masks[0] is None else _only_where(condition, masks[0])
        return [None, _of_operand(source, branch, mask)]
    if step.is_choice:
        within = _masks_of_choice(step)
        both = [mask if masks[0] is None or mask is None else _only_where(mask, masks[0]) for mask in within]
        return [
            None if mask is None else _of_operand(source, operand, mask)
            for operand, mask in zip(operands, both, strict=True)
        ]
    if step.is_elementwise:
        return [None if masks[0] is None else _of_operand(source, operand, masks[0]) for operand in operands]
    if all(mask is None for mask in masks):
        return [None] * len(operands)
    # A mask of one entry is one for all entries of its node, and of a node of one entry it is that entry's.
    alike = len(masks) == 1 and not source.is_scalar() and masks[0] is not None and masks[0].is_scalar()
    by_entry = not alike and not (len(masks) == 1 and source.is_scalar() and all(x.is_scalar() for x in operands))
    if by_entry and step.operation == cs.OP_MTIMES:
        return _of_matrices(source, operands, masks[0])
    if by_entry and step.operation in _PRODUCTS | _MOVES:
        return _transposed(source, operands, masks)
    if by_entry and step.operation == cs.OP_CALL:
        return _of_call(source.which_function(), operands, masks)
    return [_any(masks)] * len(operands)


def _of_operand(source: cs.MX, operand: cs.MX, mask: cs.MX) -> cs.MX:
    """Return where an operand of an elementwise operation counts; one entry may stand for many."""
    return _total(mask) if operand.is_scalar() and not source.is_scalar() else mask


def _truth(condition: cs.MX) -> cs.MX:
    """Return a condition as 0 or 1: masks are added."""
    if condition.op() in _COMPARISONS:
        return condition
    return cs.MX.binary(cs.OP_NE, condition, cs.MX(0.0))


def _total(mask: cs.MX) -> cs.MX:
    return mask if mask.is_scalar() else cs.sum1(cs.vec(mask))


def _any(masks: Sequence[cs.MX | None]) -> cs.MX:
    different = {hash(mask): _total(mask) for mask in masks if mask is not None}
    return functools.reduce(operator.add, different.values())


def _of_matrices(source: cs.MX, operands: list[cs.MX], mask: cs.MX | None) -> list[cs.MX | None]:
    """Return where the sum and the factors of ``sum + left @ right`` count: in the rows and columns that do."""
    assert mask is not None
    _, left, right = operands
    rows, columns = cs.sum2(mask), cs.sum1(mask)
    return [mask, cs.repmat(rows, 1, left.size2()), cs.repmat(columns, right.size1(), 1)]


def _transposed(source: cs.MX, operands: list[cs.MX], masks: Sequence[cs.MX | None]) -> list[cs.MX | None]:
    """Return the masks moved to where the entries come from, by the transpose of the node with masks as cotangents."""
    symbols = [cs.MX.sym("operand", operand.sparsity()) for operand in operands]
    results = source.eval_mx(symbols)
    seeds = [
        cs.MX(*result.shape) if mask is None else _in_full(mask, *result.shape)
        for result, mask in zip(results, masks, strict=True)
    ]
    with derivative_sweep():
        (moved,) = cs.reverse(results, symbols, [seeds])
        if source.op() in _PRODUCTS:
            moved = cs.graph_substitute(moved, symbols, [cs.MX(cs.DM.ones(x.sparsity())) for x in operands])
    return [cs.densify(mask) if mask.nnz() else None for mask in moved]


def _in_full(mask: cs.MX, rows: int, columns: int) -> cs.MX:
    return mask if mask.shape == (rows, columns) else cs.repmat(mask, rows, columns)


def _of_call(function: cs.Function, operands: list[cs.MX], masks: Sequence[cs.MX | None]) -> list[cs.MX | None]:
    """Return where the arguments of a call count: entry by entry where its structure is soon found, else all alike."""
    if function.nnz_in() * function.nnz_out() > _LARGEST_STRUCTURE:
        return [_any(masks)] * len(operands)
    moved: list[cs.MX | None] = [None] * len(operands)
    for output, mask in enumerate(masks):
        if mask is None:
            continue
        column = cs.vec(_in_full(mask, *function.size_out(output)))
        for k, operand in enumerate(operands):
            depends = cs.DM(function.jac_sparsity(output, k).T, 1)
            if depends.nnz():
                part = cs.reshape(cs.densify(cs.mtimes(depends, column)), *operand.shape)
                before = moved[k]
                moved[k] = part if before is None else before + part
    return moved
