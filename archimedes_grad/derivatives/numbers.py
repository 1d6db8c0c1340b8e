"""How the inputs of Functions of numbers count: entry by entry, everywhere or under conditions.

Such a Function is a list of instructions on numbers, some ten thousand of them for a body of special functions, so it
is gone through as integers and not as nodes. Where a number counts is one of a table of places: everywhere, where
another place is and a condition holds, or at any of several places.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import casadi as cs

from archimedes_grad.derivatives.uses import EVERYWHERE, NEVER_TAKEN, SOMEWHERE, Use
from archimedes_grad.rules.branches import COMPARISONS, WITHOUT_DERIVATIVE

#: The first place of a table.
_EVERYWHERE = 0

#: Gives one of a call's outputs: an instruction for each that is read, where CasADi has one for all.
_OUTPUT_OF_CALL = -1


class _Under(NamedTuple):
    """Where a condition holds, or does not, within another place; the condition is the number of an instruction.

    In a choice, of the larger or smaller of two, it holds where the first of these is not less, or not more, than the
    other, and its opposite where the other is not. Both hold where they are equal.
    """

    condition: int
    holds: bool
    within: int
    in_choice: bool = False


class _Any(NamedTuple):
    """At any of several places."""

    places: frozenset[int]


class Instruction(NamedTuple):
    """An instruction, with those that gave its operands; of inputs and outputs, which entry of which.

    Of an output of a call, the entry is the call's number in the Function and which of its outputs it is.
    """

    operation: int
    operands: Sequence[int]
    entry: tuple[int, int]


class NumbersCount:
    """Where the inputs of a Function of numbers count for some of its outputs.

    Parameters
    ----------
    instructions
        Those of the Function.
    of_values
        Whether values count, which may be compared, and not derivatives.
    beside
        The same of derivatives, if this is of values, or the other way round.
    """

    def __init__(
        self, function: cs.Function, instructions: list[Instruction], outputs: Iterable[int], of_values: bool,
        beside: NumbersCount | None = None,
    ) -> None:  # fmt: skip
        self._function = function
        self._of_values = of_values
        self._instructions = instructions
        # The first is everywhere: under no condition.
        self._places: list[_Under | _Any] = [_Under(-1, True, _EVERYWHERE)] if beside is None else beside._places
        self._numbers: dict[_Under | _Any, int] = {} if beside is None else beside._numbers
        self._of_entries = self._gone_through(set(outputs))

    @property
    def uses(self) -> list[Use | None]:
        """How each input counts."""
        return list(map(_use, self._of_entries))

    def like(self, beside: NumbersCount) -> list[bool]:
        """Tell of each input whether its entries count at the same places in both."""
        return [mine == others for mine, others in zip(self._of_entries, beside._of_entries, strict=True)]

    def masks(self, inputs: Iterable[int]) -> cs.Function:
        """Return the Function of the same inputs that gives where some of them count: masks that are not 0 there."""
        function = self._function
        symbols = function.sx_in()
        values = self._values(symbols)
        inputs = list(inputs)
        masks = {_EVERYWHERE: cs.SX(1.0)}
        for number in sorted(self._parts_of({place for i in inputs for place in self._of_entries[i] if place})):
            masks[number] = self._mask(self._places[number], values, masks)
        nowhere = cs.SX(0.0)
        outputs = []
        for i in inputs:
            of_entries = [nowhere if place is None else masks[place] for place in self._of_entries[i]]
            outputs.append(cs.densify(cs.SX(function.sparsity_in(i), cs.vertcat(*of_entries))))
        return cs.Function("masks", symbols, outputs, {"is_diff_in": [False] * function.n_in()})

    def _values(self, symbols: Sequence[cs.SX]) -> list[Any]:
        """Return what each instruction gives, as an expression of the inputs."""
        computed: list[Any] = self._function.instructions_sx().elements()
        entries = [symbol.elements() for symbol in symbols]
        values: list[Any] = []
        n_outputs_of_calls = 0
        for k, (operation, _, (which, entry)) in enumerate(self._instructions):
            if operation == _OUTPUT_OF_CALL:
                n_outputs_of_calls += 1
                values.append(computed[which].get_output(entry))
            else:
                values.append(entries[which][entry] if operation == cs.OP_INPUT else computed[k - n_outputs_of_calls])
        return values

    def _parts_of(self, places: set[int]) -> set[int]:
        """Return places and those that they are made of; these have smaller numbers."""
        found, waiting = set(places), list(places)
        while waiting:
            place = self._places[waiting.pop()]
            new = ({place.within} if isinstance(place, _Under) else place.places) - found - {_EVERYWHERE}
            found |= new
            waiting.extend(new)
        return found

    def _mask(self, place: _Under | _Any, values: list[Any], masks: dict[int, cs.SX]) -> cs.SX:
        if isinstance(place, _Any):
            return functools.reduce(operator.add, (masks[part] for part in sorted(place.places)))
        instruction, condition = self._instructions[place.condition], values[place.condition]
        if place.in_choice:
            x, y = (values[k] for k in instruction.operands)
            first_is_less = place.holds == (instruction.operation == cs.OP_FMAX)
            less = cs.SX.binary(cs.OP_LT, x, y) if first_is_less else cs.SX.binary(cs.OP_LT, y, x)
            condition = cs.SX.unary(cs.OP_NOT, less)
        elif instruction.operation not in COMPARISONS or not place.holds:
            condition = cs.SX.binary(cs.OP_NE if place.holds else cs.OP_EQ, condition, 0.0)
        if place.within == _EVERYWHERE:
            return cs.SX(condition)
        return cs.SX.binary(cs.OP_IF_ELSE_ZERO, condition, masks[place.within])

    def _gone_through(self, outputs: set[int]) -> list[list[int | None]]:
        """Return the place at which each stored entry of each input counts; None: nowhere."""
        met: list[set[int]] = [set() for _ in self._instructions]
        of_entries: list[list[int | None]] = [[None] * self._function.nnz_in(i) for i in range(self._function.n_in())]
        for k in reversed(range(len(self._instructions))):
            operation, operands, (which, entry) = self._instructions[k]
            if operation == cs.OP_OUTPUT:
                if which in outputs:
                    met[operands[0]].add(_EVERYWHERE)
                continue
            if not met[k]:
                continue
            place = self._any(met[k])
            if operation == cs.OP_INPUT:
                of_entries[which][entry] = place
            elif operation == cs.OP_IF_ELSE_ZERO:
                condition, branch = operands
                met[branch].add(self._under(condition, place))
                if self._of_values:
                    met[condition].add(place)
            elif operation in NEVER_TAKEN and not self._of_values:
                met[operands[0]].add(self._number(_Under(k, True, place, in_choice=True)))
                met[operands[1]].add(self._number(_Under(k, False, place, in_choice=True)))
            elif self._of_values or operation not in WITHOUT_DERIVATIVE:
                for operand in operands:
                    met[operand].add(place)
        return of_entries

    def _under(self, condition: int, within: int) -> int:
        holds = True
        while self._instructions[condition].operation == cs.OP_NOT:
            (condition,) = self._instructions[condition].operands
            holds = not holds
        around = self._places[within]
        # A gate of a derivative inside stands in what is under the same condition.
        if isinstance(around, _Under) and (around.condition, around.holds) == (condition, holds):
            return within
        return self._number(_Under(condition, holds, within))

    def _any(self, places: set[int]) -> int:
        """Return the place of all of these; under a condition and its opposite are both sides of it."""
        if _EVERYWHERE in places:
            return _EVERYWHERE
        if len(places) == 1:
            return next(iter(places))
        waiting = list(places)
        while waiting:
            number = waiting.pop()
            place = self._places[number]
            if number not in places or not isinstance(place, _Under):
                continue
            if place.within in places:
                places = places - {number}
                continue
            opposite = self._numbers.get(place._replace(holds=not place.holds))
            if opposite in places:
                if place.within == _EVERYWHERE:
                    return _EVERYWHERE
                places = (places - {number, opposite}) | {place.within}
                # What lies within it need not be named.
                waiting = list(places)
        return next(iter(places)) if len(places) == 1 else self._number(_Any(frozenset(places)))

    def _number(self, place: _Under | _Any) -> int:
        number = self._numbers.setdefault(place, len(self._places))
        if number == len(self._places):
            self._places.append(place)
        return number


def _use(places: Sequence[int | None]) -> Use | None:
    counting = set(places)
    if counting <= {None}:
        return None
    return EVERYWHERE if counting == {_EVERYWHERE} else SOMEWHERE


def instructions_of(function: cs.Function) -> list[Instruction]:
    """Return the instructions, with what each reads; CasADi uses its places in memory again."""
    instructions: list[Instruction] = []
    # Which instruction wrote last to each place in memory.
    last: dict[int, int] = {}
    for k in range(function.n_instructions()):
        operation = function.instruction_id(k)
        from_, into = function.instruction_input(k), function.instruction_output(k)
        if operation == cs.OP_INPUT:
            instructions.append(Instruction(operation, (), (from_[0], from_[1])))
        elif operation == cs.OP_OUTPUT:
            instructions.append(Instruction(operation, (last[from_[0]],), (into[0], into[1])))
        else:
            operands = () if operation == cs.OP_CONST else tuple(last[place] for place in from_)
            instructions.append(Instruction(operation, operands, (-1, -1)))
        if operation == cs.OP_CALL:
            call = len(instructions) - 1
            for which, place in enumerate(into):
                # What is read nowhere has no place.
                if place >= 0:
                    last[place] = len(instructions)
                    instructions.append(Instruction(_OUTPUT_OF_CALL, (call,), (k, which)))
        elif operation != cs.OP_OUTPUT:
            last[into[0]] = len(instructions) - 1
    return instructions
