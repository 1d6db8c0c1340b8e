"""Which choices of a trace have to be looked at before a derivative is taken: see ``derivatives/branches.py``."""

from __future__ import annotations

import casadi as cs

from archimedes_grad.arrays.trace_state import current_trace

#: Operations whose derivatives are infinite somewhere, or overflow.
SINGULAR = frozenset({
    cs.OP_SQRT, cs.OP_LOG, cs.OP_LOG1P, cs.OP_DIV, cs.OP_INV, cs.OP_POW, cs.OP_CONSTPOW, cs.OP_ASIN, cs.OP_ACOS,
    cs.OP_ATANH, cs.OP_ACOSH, cs.OP_ATAN2, cs.OP_HYPOT, cs.OP_TAN, cs.OP_EXP, cs.OP_EXPM1, cs.OP_SINH, cs.OP_COSH,
    cs.OP_ERFINV, cs.OP_FMOD, cs.OP_REMAINDER, cs.OP_NORM2, cs.OP_NORMF,
})  # fmt: skip

#: Operations through which no derivative goes.
COMPARISONS = frozenset({cs.OP_LT, cs.OP_LE, cs.OP_EQ, cs.OP_NE, cs.OP_NOT, cs.OP_AND, cs.OP_OR})
WITHOUT_DERIVATIVE = COMPARISONS | {cs.OP_SIGN, cs.OP_FLOOR, cs.OP_CEIL}

#: Operations that leave an operand out where it is not taken.
_CHOICES = frozenset({cs.OP_IF_ELSE_ZERO, cs.OP_FMAX, cs.OP_FMIN})

#: Nodes with derivatives of their own, which may be infinite: nothing is known about where.
WHOLE = frozenset({cs.OP_CALL, cs.OP_SOLVE, cs.OP_INVERSE, cs.OP_DETERMINANT, cs.OP_BSPLINE})

#: Hashes of the calls that compute entry by entry and cannot fail -> where each argument has finite derivatives. These
#: calls live as long as the process, as do their entries, which `lapack` writes under its lock.
REGULAR_POINTS: dict[int, tuple[float, ...]] = {}

#: Where the derivatives of all that is elementwise are finite, but for what is said otherwise.
REGULAR = 0.5


def note_choice(*branches: cs.MX) -> None:
    """Mark the trace under way where it chooses: what it does not take must stay out of derivatives."""
    trace = current_trace()
    if trace is not None and not all(branch.is_constant() for branch in branches):
        trace.selects = True


def chooses(function: cs.Function) -> bool:
    """Tell whether a Function leaves out what it does not take, or only compares something.

    CasADi keeps what extremes and sorting leave out apart, and what is compared, but within calls nobody does.
    """
    looked_for = _CHOICES | WITHOUT_DERIVATIVE
    return any(function.instruction_id(k) in looked_for for k in range(function.n_instructions()))
