"""Gates before the operands of nodes: the operand where its node counts, and what does no harm elsewhere."""

from __future__ import annotations

import casadi as cs

from archimedes_grad.derivatives.masks import Gates
from archimedes_grad.derivatives.uses import NEVER_TAKEN, read_as_values
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep
from archimedes_grad.nodes.rebuilding import Rebuilding, operands_of
from archimedes_grad.rules.branches import REGULAR, REGULAR_POINTS, WHOLE, WITHOUT_DERIVATIVE
from archimedes_grad.rules.words import negated, only_where

#: Acosh has none at `REGULAR`.
_REGULAR_OF_ACOSH = 2.0

#: CasADi's classes of Functions that evaluate graphs, and call nothing else.
_GRAPHS = ("MXFunction", "SXFunction", "Map", "MapSum", "Switch")


class Gated(Rebuilding):
    """Builds expressions again with the gates in them."""

    def __init__(
        self, gates: dict[int, Gates], choices: dict[int, cs.MX], calls: set[int], ends: dict[int, dict[int, bool]],
        comparing: set[int],
    ) -> None:  # fmt: skip
        super().__init__()
        self._gates = gates
        self._choices = choices
        self._comparing = comparing
        self._ends = ends
        self._seen = Seen(calls)

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return a node with gates before its operands, and conditions and places as they are: they see no gates."""
        if source.op() in WITHOUT_DERIVATIVE:
            return self._seen.of([source])
        gated = operands
        for k in read_as_values(source):
            (seen,) = self._seen.of([source.dep(k)])
            if hash(seen) != hash(operands[k]):
                operands = [*operands[:k], seen, *operands[k + 1 :]]
        ends = self._ends.get(hash(source))
        if ends is not None:
            operands = [
                self._ended(source.dep(k), ends[k]) if k in ends else x for k, x in enumerate(operands)
            ]
        gates = self._gates.get(hash(source))
        if gates is None:
            return None if operands is gated else list(source.eval_mx(operands))
        masks = [None if mask is None else self._seen.of([mask])[0] for mask in gates]
        if (counts := self._choices.get(hash(source))) is not None:
            (mask,) = self._seen.of([counts])
            operands = [x if x.is_constant() else _chosen(mask, x, cs.MX(REGULAR)) for x in operands]
        if source.op() in NEVER_TAKEN and None in masks:
            # The constant takes the place of the result: so the tangent is 0 by the condition alone.
            constant = operands[masks.index(None)]
            (mask,) = [mask for mask in masks if mask is not None]
            return [_chosen(mask, cs.MX.binary(source.op(), operands[0], operands[1]), constant)]
        number = _REGULAR_OF_ACOSH if source.op() == cs.OP_ACOSH else NEVER_TAKEN.get(source.op(), REGULAR)
        elsewhere = [cs.MX(number)] * len(operands)
        if source.op() in WHOLE:
            elsewhere = self._elsewhere_in_call(source)
        return list(source.eval_mx([
            operand if mask is None else _chosen(mask, operand, other)
            for operand, mask, other in zip(operands, masks, elsewhere, strict=True)
        ]))  # fmt: skip

    def _ended(self, operand: cs.MX, is_singular_behind: bool) -> cs.MX:
        """Return what a call reads, though no derivative does: as it is without gates, as it may be compared."""
        (seen,) = self._seen.of([operand])
        return without_reverse_sweep(*seen.shape)(seen) if is_singular_behind and seen.is_dense() else seen

    def _elsewhere_in_call(self, source: cs.MX) -> list[cs.MX]:
        """Return what the operands of a call, or a factorisation, are where it does not count."""
        called = source.which_function() if source.op() == cs.OP_CALL else None
        if hash(source) in self._comparing:
            return [self._ended(operand, True) for operand in operands_of(source)]
        if called is not None:
            if (point := REGULAR_POINTS.get(hash(called))) is not None:
                return [cs.MX(number) for number in point]
            if all(map(_cannot_fail, (called, *called.find_functions()))):
                return [cs.MX(REGULAR)] * source.n_dep()
        # It may fail, so it must get what it would get without gates. Such a graph is never expanded to scalars.
        return [without_reverse_sweep(*operand.shape)(operand) for operand in operands_of(source)]


def _cannot_fail(function: cs.Function) -> bool:
    """Tell whether a function can be evaluated anywhere; of those that it calls, others tell."""
    return hash(function) in REGULAR_POINTS or (function.class_name() in _GRAPHS and not _solves(function))


def _solves(function: cs.Function) -> bool:
    """Tell whether a graph solves linear equations, whose matrix may be singular."""
    if not function.is_a("MXFunction"):
        return False
    return any(function.instruction_id(k) == cs.OP_SOLVE for k in range(function.n_instructions()))


class Seen(Rebuilding):
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
    return cs.MX.binary(cs.OP_SUB, only_where(mask, operand), only_where(negated(mask), negative))
