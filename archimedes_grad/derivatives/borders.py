"""What zeros do to derivatives where values cross the border between a loop's steps, or between these and the rest.

In line CasADi keeps a cotangent 0 under the condition of a choice, and values that are only compared have none. Where
steps become calls, all that crosses their border has numbers as cotangents, and a singular operation behind multiplies
these zeros by inf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

import casadi as cs

from archimedes_grad.derivatives.uses import EVERYWHERE, NEVER_TAKEN, UNSAFE, Arguments, Step, steps_of
from archimedes_grad.rules.branches import WITHOUT_DERIVATIVE

#: Operations that give some of their operands no cotangent, or zeros.
MAKE_ZEROS = WITHOUT_DERIVATIVE | NEVER_TAKEN.keys() | {cs.OP_IF_ELSE_ZERO, cs.OP_CALL}

_COST_IN_BITS = 20


class Crossing(IntEnum):
    """How a value may cross a border.

    Attributes
    ----------
    FREELY
        As it is: its cotangent is no mere zero, or zeros do no harm behind it.
    AS_AN_END
        If no derivative goes back through it, as none would in line.
    NOT
        Not at all: it counts under conditions only.
    """

    FREELY = 0
    AS_AN_END = 1
    NOT = 2


class Borders:
    """How the values that results are made of may cross borders.

    Parameters
    ----------
    results
        What is differentiated.
    """

    def __init__(self, results: Sequence[cs.MX]) -> None:
        self._steps = steps_of(results, _as_a_whole)
        self._numbers = {hash(step.source): number for number, step in enumerate(self._steps)}
        self._harmful: list[bool] = []
        for step in self._steps:
            self._harmful.append(self._is_harmful(step))

    def counts(self, node: cs.MX) -> bool:
        """Tell whether derivatives go through a value."""
        return self._of(node)[0]

    def cost(self, node: cs.MX) -> int:
        """Return what it costs that a value crosses: its entries, and more than all of these if it had better not."""
        return (node.numel() or 1) << _COST_IN_BITS * self.crossing([node])

    def crossing(self, nodes: Iterable[cs.MX]) -> Crossing:
        """Return how the values of one place in all steps may cross its border."""
        found = {self._of(node) for node in nodes}
        if all(is_harmless for _, is_harmless in found):
            return Crossing.FREELY
        return Crossing.NOT if any(counts for counts, _ in found) else Crossing.AS_AN_END

    def _of(self, node: cs.MX) -> tuple[bool, bool]:
        """Return whether derivatives go through a value, and whether zeros that come to it do no harm."""
        source, which = (node.dep(0), node.which_output()) if node.is_output() else (node, 0)
        number = self._numbers.get(hash(source))
        if number is None:
            # Made for checks only: nothing is known of what lies behind.
            return False, not node.n_dep()
        use = self._steps[number].uses[which]
        return use is not None, use == EVERYWHERE or not self._harmful[number]

    def _is_harmful(self, step: Step) -> bool:
        """Tell whether zeros that go back through a node meet a singular operation before any other cotangent."""
        if step.operation in WITHOUT_DERIVATIVE:
            return False
        # What is not differentiated inside a call gets none.
        uses = _as_a_whole(step.source.which_function()).uses if step.operation == cs.OP_CALL else None
        if step.operation in UNSAFE and not step.is_linear and (uses is None or EVERYWHERE in uses):
            return not all(operand.is_constant() or _is_gate(operand) for operand in step.operands)
        places = step.places[1:] if step.operation == cs.OP_IF_ELSE_ZERO else step.places
        return any(
            self._harmful[place] and self._steps[place].uses[which] != EVERYWHERE
            for k, (place, which) in enumerate(places)
            if uses is None or uses[k] is not None
        )


def _as_a_whole(function: cs.Function, outputs: tuple[int, ...] = (), of_values: bool = False) -> Arguments:
    """Return how the arguments of a Function count where nobody looks into it."""
    return Arguments([EVERYWHERE if differentiated else None for differentiated in function.is_diff_in()])


def _is_gate(node: cs.MX) -> bool:
    """Tell whether a node is a gate: one operand where something counts, minus another elsewhere."""
    return node.op() == cs.OP_SUB and all(node.dep(k).op() == cs.OP_IF_ELSE_ZERO for k in range(2))
