"""The steps to the results of a graph, and how each counts for them: everywhere, or under conditions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import casadi as cs
import numpy as np

from archimedes_grad.nodes.rebuilding import Node, ordered, symbols_of
from archimedes_grad.rules.branches import SINGULAR, WHOLE, WITHOUT_DERIVATIVE

#: Nodes that move entries or add them; their transposes are found by CasADi.
MOVES = frozenset({
    cs.OP_GETNONZEROS, cs.OP_SETNONZEROS, cs.OP_ADDNONZEROS, cs.OP_RESHAPE, cs.OP_TRANSPOSE, cs.OP_HORZCAT,
    cs.OP_VERTCAT, cs.OP_DIAGCAT, cs.OP_HORZSPLIT, cs.OP_VERTSPLIT, cs.OP_DIAGSPLIT, cs.OP_HORZREPMAT,
    cs.OP_HORZREPSUM, cs.OP_PROJECT, cs.OP_SPARSITY_CAST,
})  # fmt: skip

#: The same at places that are computed: how many operands are moved. The others tell the places.
MOVES_AT_PLACES = {cs.OP_GETNONZEROS_PARAM: 1, cs.OP_SETNONZEROS_PARAM: 2, cs.OP_ADDNONZEROS_PARAM: 2}

#: Nodes that take some entries of an operand: inside a Function maybe just those that have a derivative.
SELECTING = frozenset({cs.OP_GETNONZEROS, cs.OP_GETNONZEROS_PARAM})

#: The same for products of two operands, each moved by the other one.
PRODUCTS = frozenset({cs.OP_MTIMES, cs.OP_DOT, cs.OP_EINSTEIN, cs.OP_RANK1, cs.OP_BILIN})

UNSAFE = SINGULAR | WHOLE

#: Nodes whose derivatives multiply by numbers that are finite whatever the operands are.
LINEAR = MOVES | MOVES_AT_PLACES.keys() | {
    cs.OP_ADD, cs.OP_SUB, cs.OP_NEG, cs.OP_TWICE, cs.OP_ASSIGN, cs.OP_IF_ELSE_ZERO,
}  # fmt: skip

#: What an operand of the larger or the smaller of two is behind its gate where the other one is taken.
NEVER_TAKEN = {cs.OP_FMAX: -np.inf, cs.OP_FMIN: np.inf}


class Use(NamedTuple):
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


EVERYWHERE, SOMEWHERE = Use(True, 0), Use(False, None)


@dataclass(frozen=True, eq=False)
class Masks:
    """Where arguments of a Function count that do under conditions.

    Attributes
    ----------
    function
        Takes all arguments, and gives a mask for each of these, which is not 0 where it counts.
    known
        Which arguments these are.
    needed
        The arguments that the masks are made of.
    """

    function: cs.Function
    known: tuple[int, ...]
    needed: set[int]
    _given: dict[tuple[int, ...], tuple[list[cs.MX], list[cs.MX]]] = field(default_factory=dict)

    def at(self, operands: Sequence[cs.MX], wanted: cs.MX | None = None) -> dict[int, cs.MX]:
        """Return the masks of a call, by the number of the argument; for the same arguments the same nodes.

        Where they are not wanted when the graph is evaluated, they are 1, and not computed.
        """
        if not self.needed:
            return self._constant
        needed = [x if i in self.needed else cs.MX.zeros(*x.shape) for i, x in enumerate(operands)]
        key = (0 if wanted is None else hash(wanted), *(hash(operands[i]) for i in sorted(self.needed)))
        if key not in self._given:
            if wanted is None:
                masks = self.function.call(needed, False, True)
            else:
                needed = [wanted, *needed]
                masks = self._if_wanted.call(needed, False, True)
            # With the operands, whose hashes stay taken.
            self._given[key] = needed, masks
        return dict(zip(self.known, self._given[key][1], strict=True))

    def is_everywhere(self, argument: int) -> bool:
        """Tell whether all entries of an argument count, whatever the arguments are."""
        return not self.needed and bool(np.all(self._constant[argument].to_DM().full()))

    @cached_property
    def _constant(self) -> dict[int, cs.MX]:
        masks = self.function.call([cs.DM.zeros(*self.function.size_in(i)) for i in range(self.function.n_in())])
        return dict(zip(self.known, map(cs.MX, masks), strict=True))

    @cached_property
    def _if_wanted(self) -> cs.Function:
        inputs = symbols_of(self.function)
        ones = [cs.MX.ones(*self.function.size_out(k)) for k in range(self.function.n_out())]
        everywhere = cs.Function("everywhere", inputs, ones, {"is_diff_in": [False] * len(inputs)})
        return cs.Function.if_else("masks_if_wanted", self.function, everywhere)


#: Returns where the arguments of a call count by where its outputs do.
Through = Callable[[Sequence[cs.MX], Sequence[cs.MX]], list[cs.MX]]


class Arguments(NamedTuple):
    """How the arguments of a Function that is called count for the outputs that are read: see `derivatives.callees`.

    Attributes
    ----------
    uses
        How each counts; under conditions only where a mask says where.
    masks
        The masks of these, and maybe of others.
    are_compared
        Whether their values are read where they do not count, too: to be compared.
    through
        Takes the arguments of a call, and where its outputs count; gives where the arguments do. None: nobody looks
        into the Function.
    """

    uses: Sequence[Use | None]
    masks: Masks | None = None
    are_compared: bool = False
    through: Through | None = None

    def masks_at(self, operands: Sequence[cs.MX], wanted: cs.MX | None) -> dict[int, cs.MX]:
        """Return the masks of a call, by the number of the argument."""
        return {} if self.masks is None else self.masks.at(operands, wanted)


class Group(NamedTuple):
    """Outputs of a call that count everywhere, or of which each counts under conditions."""

    outputs: tuple[int, ...]
    everywhere: bool
    arguments: Arguments

    @property
    def uses(self) -> Sequence[Use | None]:
        """How the arguments count for these."""
        inside = self.arguments.uses
        return inside if self.everywhere else [None if use is None else SOMEWHERE for use in inside]


#: Returns how the arguments of a Function count for some of its outputs: for derivatives, or for values.
LookInto = Callable[[cs.Function, tuple[int, ...], bool], Arguments]


class Conditions:
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

    def joined(self, place: tuple[int, int], use: Use, before: Use | None) -> Use:
        """Return how an output counts by one more use of it: everywhere, if under a condition and its opposite."""
        if use.everywhere or (before is not None and before.everywhere):
            return EVERYWHERE
        if use.condition is not None:
            met = self._met.setdefault(place, set())
            if -use.condition in met:
                return EVERYWHERE
            met.add(use.condition)
        return use if before is None or use == before else SOMEWHERE


@dataclass(eq=False, slots=True)
class Step:
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
    groups
        Of a call that was looked into: how its arguments count, for outputs that count everywhere and for others.
    masks_of_choice
        Of a choice with gates: where each operand is taken, once it was asked for.
    masks_wanted
        Whether the masks of its arguments are wanted, which is found when the graph is evaluated; None: always.
    masks
        Where each output counts, once it is known.
    """

    source: cs.MX
    operation: int
    operands: list[cs.MX]
    places: list[tuple[int, int]]
    uses: list[Use | None]
    singular_behind: bool
    singular: bool = False
    handed: Sequence[Use | None] = ()
    is_choice: bool = False
    groups: Sequence[Group] = ()
    masks_of_choice: list[cs.MX | None] | None = None
    masks_wanted: cs.MX | None = None
    masks: Sequence[cs.MX | None] = ()

    @property
    def is_elementwise(self) -> bool:
        """Whether an entry is made of the operands' entries at the same place."""
        return bool(self.source.is_unary() or self.source.is_binary())

    @property
    def is_linear(self) -> bool:
        """Whether the node's derivatives multiply by numbers that are finite whatever its operands are."""
        if self.operation == cs.OP_MUL:
            return any(map(is_finite_constant, self.operands))
        if self.operation == cs.OP_DIV:
            divisor = self.operands[1]
            return is_finite_constant(divisor) and bool(np.all(divisor.to_DM().full()))
        return self.operation in LINEAR

    @property
    def compares(self) -> bool:
        """Whether it is a call that reads values where they do not count for derivatives."""
        return any(group.arguments.are_compared for group in self.groups)

    @property
    def counts_in_part(self) -> bool:
        """Whether some operand counts under conditions only."""
        return any(use is not None and not use.everywhere for use in self.handed)


def read_as_values(source: cs.MX) -> range:
    """Return which operands of a node no derivative reads: a condition, or places."""
    if source.op() == cs.OP_IF_ELSE_ZERO:
        return range(1)
    n_operands = source.n_dep()
    return range(MOVES_AT_PLACES.get(source.op(), n_operands), n_operands)


def is_finite_constant(node: cs.MX) -> bool:
    """Tell whether a node is constant and finite."""
    return bool(node.is_constant() and np.isfinite(np.asarray(node.to_DM().nonzeros())).all())


def steps_of(
    results: Sequence[cs.MX], look_into: LookInto, inside: bool = False, of_values: bool = False
) -> list[Step]:
    """Return the nodes that results are made of, operands first, with how they count.

    Parameters
    ----------
    look_into
        Looks into Functions that are called.
    inside
        Whether these are results of a Function that is called: what lies behind its arguments is not known.
    of_values
        Whether values count, which may be compared, and not derivatives.
    """
    steps: list[Step] = []
    numbers: dict[int, int] = {}
    # The number of a node's step, and which of the outputs of that it is.
    places: dict[int, tuple[int, int]] = {}
    for node in ordered(results):
        if node.source_key not in numbers:
            numbers[node.source_key] = len(steps)
            steps.append(_step(node, [places[key] for key in node.operand_keys], steps))
        places[node.key] = numbers[node.source_key], node.which
    for result in results:
        number, which = places[hash(result)]
        steps[number].uses[which] = EVERYWHERE
    conditions = Conditions()
    for step in reversed(steps):
        if step.operation == cs.OP_CALL and (inside or any(steps[place].singular_behind for place, _ in step.places)):
            step.groups = _groups(step, look_into, of_values)
        _hand_on(steps, step, conditions, inside, of_values)
    return steps


def _step(node: Node, places: list[tuple[int, int]], steps: list[Step]) -> Step:
    source, operation = node.source, node.source.op()
    behind = operation in UNSAFE or any(steps[place].singular_behind for place, _ in places)
    return Step(source, operation, node.operands, places, [None] * max(1, source.n_out()), behind)


def _groups(step: Step, look_into: LookInto, of_values: bool) -> list[Group]:
    """Return how the arguments of a call count for the outputs that count everywhere, and for those that do in part."""
    everywhere = tuple(k for k, use in enumerate(step.uses) if use is not None and use.everywhere)
    in_part = tuple(k for k, use in enumerate(step.uses) if use is not None and not use.everywhere)
    function = step.source.which_function()
    return [
        Group(outputs, outputs is everywhere, look_into(function, outputs, of_values))
        for outputs in (everywhere, in_part)
        if outputs
    ]


def _hand_on(steps: list[Step], step: Step, conditions: Conditions, inside: bool, of_values: bool) -> None:
    uses = [use for use in step.uses if use is not None]
    if not uses or (step.operation in WITHOUT_DERIVATIVE and not of_values):
        return
    step.is_choice = (
        not of_values
        and step.operation in NEVER_TAKEN
        and (inside or step.singular or step.singular_behind)
        and not all(operand.is_constant() or operand.op() in WITHOUT_DERIVATIVE for operand in step.operands)
    )
    step.handed = _handed_on(step, uses, conditions, inside, of_values)
    singular = step.singular or step.operation in UNSAFE
    for at, use in zip(step.places, step.handed, strict=True):
        if use is not None:
            place, which = at
            steps[place].uses[which] = conditions.joined(at, use, steps[place].uses[which])
            steps[place].singular |= singular


def _handed_on(
    step: Step, uses: list[Use], conditions: Conditions, inside: bool, of_values: bool
) -> list[Use | None]:
    if step.operation == cs.OP_IF_ELSE_ZERO:
        (use,) = uses
        condition, branch = step.operands
        of_condition = (EVERYWHERE if use.everywhere else SOMEWHERE) if of_values else None
        within = Use(False, conditions.number(condition))
        if not (use.everywhere or use == within) or branch.numel() != step.source.numel():
            return [of_condition, SOMEWHERE]
        return [of_condition, within]
    if step.groups:
        of_groups = zip(*(group.uses for group in step.groups), strict=True)
        return [functools.reduce(_for_either, of_argument) for of_argument in of_groups]
    if step.is_choice:
        return [_in_choice(step, k, uses[0], conditions) for k in range(2)]
    if step.operation in MOVES_AT_PLACES:
        use = EVERYWHERE if uses[0].everywhere else SOMEWHERE
        moved = SOMEWHERE if inside and step.operation in SELECTING else use
        places = read_as_values(step.source)
        return [moved if k not in places else use if of_values else None for k in range(len(step.operands))]
    if inside and step.operation in SELECTING and step.source.nnz() < step.operands[0].nnz():
        return [SOMEWHERE]
    if any(use.everywhere for use in uses):
        return [EVERYWHERE] * len(step.operands)
    if not step.is_elementwise or uses[0].condition is None:
        return [SOMEWHERE] * len(step.operands)
    size = step.source.numel()
    return [uses[0] if operand.numel() == size else SOMEWHERE for operand in step.operands]


def _for_either(first: Use | None, second: Use | None) -> Use | None:
    """Return how an argument counts that does for either of two groups of outputs."""
    if first is None or second is None:
        return second if first is None else first
    return EVERYWHERE if first.everywhere or second.everywhere else SOMEWHERE


def _in_choice(step: Step, k: int, use: Use, conditions: Conditions) -> Use:
    """Return how an operand of the larger or smaller of two counts: where the other one is not."""
    if not use.everywhere or step.operands[k].numel() != step.source.numel():
        return SOMEWHERE
    return Use(False, conditions.number_in_choice(step.source, k))
