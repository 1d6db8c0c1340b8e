"""What an evaluation that failed would have said of its guards: they are asked by themselves, in order.

Where a factorisation fails, CasADi's interpreter and compiled code stop, and what comes after it is not written: the
guards too, as they come last. Whether the call was one of the path at all is found out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.compilation.fast_path import Miss
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.engines.vm import Slot, failures, forget_failure, raise_failure
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.simplification import forward_nodes

#: What no guard is: they are truth values, integers and halves.
_NOT_WRITTEN = 0.25


class EvaluationError(np.linalg.LinAlgError):
    """A linear solve or factorisation failed while a compiled function was evaluated."""


def other_outcome(miss: Miss) -> Miss:
    """Return the miss of the first guard that does not hold, for a call whose evaluation failed.

    Raises
    ------
    EvaluationError
        If all guards hold: those that the function decides before what fails.
    """
    path, derived = miss.path, miss.path.derived
    if path.guards_in_order is None:
        path.guards_in_order = guards_in_order(derived)
    outcomes = _outcomes(path.guards_in_order, derived, miss.leaves)
    for held, (guard, outcome) in enumerate(zip(derived.graph.guards, outcomes, strict=False)):
        if outcome != guard.outcome:
            forget_failure()
            return Miss(miss.leaves, path, held, outcome)
    if failures:
        raise_failure()
    raise EvaluationError(derived.graph.failure)


def guards_in_order(derived: Derived) -> cs.Function:
    """Return the Function of a path's guards, each an output of its own; CasADi evaluates them one after the other."""
    if derived.guards_in_order is not None:
        return derived.guards_in_order
    graph = derived.graph
    with forward_nodes():
        return graph_function("guards", graph.all_symbols, [guard.node for guard in graph.guards])


def _outcomes(guards: cs.Function, derived: Derived, leaves: list[Any]) -> Iterator[float]:
    """Yield the values of the guards, up to the first one that cannot be evaluated."""
    if not derived.n_guards:
        return
    slot = Slot(guards, derived.hidden)
    flat = [np.ascontiguousarray(leaf, dtype=np.float64).reshape(-1) for leaf in leaves]
    for k, leaf in enumerate(flat):
        if leaf.size:
            slot.bind_input(k, leaf.data)
    outcomes = [np.full(1, _NOT_WRITTEN) for _ in derived.graph.guards]
    for k, outcome in enumerate(outcomes):
        slot.bind_output(k, outcome.data)
    slot.evaluate()
    for outcome in outcomes:
        if outcome[0] == _NOT_WRITTEN:
            return
        yield float(outcome[0])
