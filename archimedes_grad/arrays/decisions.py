"""Decisions of the user's own Python code on traced values: each follows the actual value, and leaves a guard.

``if x > 0`` asks a traced value for its truth. The trace follows the value that it has in this run, and records
that the path holds only where the truth is the same. See ``paths.py`` for what is done with the guards.
"""

from __future__ import annotations

from typing import Any

import casadi as cs

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.trace_state import FAILS, SUCCEEDS, Guard, current_trace, outlived, trace_error
from archimedes_grad.arrays.user_code import user_line

#: A loop that decides more often than this is taken for one that never ends.
MAX_DECISIONS = 100_000

_STRUCTURED_WAY_ON = (
    "Use np.where, np.maximum or np.minimum, arc.cond or arc.while_loop, or pass the argument that decides through "
    "static_argnames."
)
_TABLE_WAY_ON = "For an index of a plain array write arc.array(table)[index]. Else: "


def decides() -> bool:
    """Tell whether Python may take a decision on values here."""
    trace = current_trace()
    return trace is not None and trace.values_known and not trace.outermost.structured


def refuse(is_refused: Any) -> None:
    """Let values that NumPy refuses take a path of their own: where that is traced NumPy raises.

    In a body, and where control flow is structured, there is one path, and what comes out is what the formula gives.
    """
    if decides():
        bool(is_refused)


def decided_truth(node: cs.MX, is_boolean: bool, value: bool) -> bool:
    """Return the truth of a traced value of one entry: nan is true, as in Python."""
    truth = node if is_boolean else cs.MX.binary(cs.OP_NE, node, scalar_node(0))
    return bool(_decided(truth, float(value), "decides a branch (if, while, and, or, not, max, min, sorted, in)"))


def decided_integer(node: cs.MX, value: int) -> int:
    """Return the integer that a traced integer of one entry is."""
    return int(_decided(node, float(value), "is used as an integer (an index, a length, range)"))


def decided_attempt(node: cs.MX, succeeds: bool) -> bool:
    """Return whether a call that may fail succeeds; the node is ``FAILS`` or ``SUCCEEDS``."""
    return _decided(node, SUCCEEDS if succeeds else FAILS, "makes a call fail, which is caught (except)") == SUCCEEDS


def _decided(node: cs.MX, outcome: float, what: str) -> float:
    """Return the outcome of a decision, and record its guard.

    CasADi and NumPy round differently: where a path's own guard failed at the point that traced it, the trace
    is run again with a script of the outcomes that CasADi gave, and these are followed here.
    """
    trace = current_trace()
    if trace is None:
        raise outlived()
    outermost = trace.outermost
    if outermost.structured:
        raise trace_error(f'A traced value {what}, and control_flow="structured" allows none.', _STRUCTURED_WAY_ON)
    if not trace.values_known:
        raise trace_error(
            f"A traced value {what} where it has no actual value (in a body of vmap, scan, cond).",
            (_TABLE_WAY_ON if "index" in what else "") + _STRUCTURED_WAY_ON,
        )
    if node.is_constant():
        return outcome
    position = outermost.n_decisions
    if position >= MAX_DECISIONS:
        raise trace_error(
            f"A loop on traced values has decided {MAX_DECISIONS} times and not ended.",
            "Bound it, or use arc.while_loop, whose steps are not unrolled.",
        )
    outermost.n_decisions += 1
    if position < len(outermost.script):
        scripted = outermost.script[position]
        if (scripted in (FAILS, SUCCEEDS)) == (outcome in (FAILS, SUCCEEDS)):
            outcome = scripted
        else:
            # Of a trace that did not ask for failures.
            outermost.script = ()
    trace.guards.append(Guard(node, outcome, user_line()))
    return outcome
