"""Jacobians as CasADi computes them: forward or in reverse, whichever takes fewer colours of the structure."""

from __future__ import annotations

from typing import TypeVar

import casadi as cs

from archimedes_grad.nodes.gather import repeated_number
from archimedes_grad.nodes.rebuilding import Rebuilding
from archimedes_grad.nodes.simplification import derivative_sweep, forward_nodes

Expression = TypeVar("Expression", cs.MX, cs.SX)

#: Operations of two with a derivative that is a number, 1 or -1, whatever their shapes are.
_WITH_A_NUMBER_AS_DERIVATIVE = frozenset({cs.OP_ADD, cs.OP_SUB, cs.OP_FMOD, cs.OP_REMAINDER})


def jacobian(expression: Expression, symbol: Expression, symmetric: bool = False) -> Expression:
    """Return the Jacobian of a column by a column."""
    if isinstance(expression, cs.MX):
        with forward_nodes():
            (expression,) = _NumbersRepeated().of([expression])
    with derivative_sweep():
        return cs.jacobian(expression, symbol, {"symmetric": True} if symmetric else {})


class _NumbersRepeated(Rebuilding):
    """Builds expressions again, with each number that is added to an array repeated before.

    In a reverse sweep of several directions CasADi gives the derivative by the number the places of the entries of the
    first direction's seed, and entries of the other seeds elsewhere are lost.
    """

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return the operation on two arrays."""
        meets_an_array = not source.is_scalar() and any(x.is_scalar() for x in operands)
        if source.op() not in _WITH_A_NUMBER_AS_DERIVATIVE or not meets_an_array:
            return None
        left, right = (repeated_number(x, *source.shape) if x.is_scalar() else x for x in operands)
        return [cs.MX.binary(source.op(), left, right)]
