"""Functions of graphs, made so that CasADi differentiates them rightly in several directions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import casadi as cs

#: CasADi's for whole Jacobians: below 0 it takes none.
PENALTY = -1


def graph_function(
    name: str,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    **options: Any,
) -> cs.Function:
    """Return the Function of a graph, with names of its inputs and outputs if they are given.

    For many directions CasADi would take the whole Jacobian of a Function that is called, by seeds of one entry each.
    But in a reverse sweep of several of these, what goes to a number that is added to an array keeps the entries of the
    first seed only (CasADi 3.8.2, ``BinaryMX::ad_reverse``). So a Function of arrays is differentiated in directions,
    whose seeds have all entries, and so are its derivatives. `derivatives.colours` has the same for whole graphs.
    """
    if any(isinstance(x, cs.MX) for x in inputs):
        options["jac_penalty"] = PENALTY
    if names is None:
        return cs.Function(name, list(inputs), list(outputs), options)
    return cs.Function(name, list(inputs), list(outputs), list(names[0]), list(names[1]), options)


def called(function: cs.Function, arguments: Sequence[cs.MX]) -> list[cs.MX]:
    """Return the results of a call that stays one node.

    Of an argument that is constant and all zeros CasADi would say that it has no entries, and of what it is multiplied
    by that it is 0, where nan and inf give nan.
    """
    return function.call([_entries_of_zeros(x) for x in arguments], False, True)


def _entries_of_zeros(argument: cs.MX) -> cs.MX:
    """Return zeros picked from a constant that has another number in it, for which CasADi has no rule."""
    if not argument.nnz() or not argument.is_constant() or not argument.is_zero():
        return argument
    return cs.reshape(cs.MX(cs.DM([0.0, 1.0]))[[0] * argument.numel()], *argument.shape)
