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

#: Nodes with derivatives of their own, which may be infinite: nothing is known about where.
WHOLE = frozenset({cs.OP_CALL, cs.OP_SOLVE, cs.OP_INVERSE, cs.OP_DETERMINANT, cs.OP_BSPLINE})

#: Nodes looked at before a branch is taken to be singular without looking further.
_LOOKED_AT = 200


def may_be_singular(branch: cs.MX) -> bool:
    """Tell whether the derivative of a branch may be infinite, so that 0 times it is nan."""
    seen: set[int] = set()
    waiting = [branch]
    while waiting:
        node = waiting.pop()
        if hash(node) in seen:
            continue
        seen.add(hash(node))
        if len(seen) > _LOOKED_AT or node.op() in SINGULAR or node.op() in WHOLE:
            return True
        if not (node.is_symbolic() or node.is_constant()):
            waiting.extend(node.dep(i) for i in range(node.n_dep()))
    return False


def note_branches(*branches: cs.MX) -> None:
    """Mark the trace under way where a branch is computed: it must stay out of derivatives where it is not taken."""
    trace = current_trace()
    if trace is not None and not all(branch.is_symbolic() or branch.is_constant() for branch in branches):
        trace.selects = True
