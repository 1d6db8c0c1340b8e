"""When a choice between branches needs the scalar representation to keep its gradient clean.

The branch that ``np.where`` does not take gets the adjoint 0, and a singular operation in it multiplies that
by inf. CasADi keeps the zero as long as only elementwise operations lie between the choice and the singular
one; behind a gather or a product of arrays 0 * inf = nan would pass. Expanded to scalars it never does.
"""

from __future__ import annotations

import casadi as cs

from archimedes_grad.arrays.trace_state import current_trace

_SINGULAR = frozenset({
    cs.OP_SQRT, cs.OP_LOG, cs.OP_LOG1P, cs.OP_DIV, cs.OP_INV, cs.OP_POW, cs.OP_CONSTPOW, cs.OP_ASIN, cs.OP_ACOS,
    cs.OP_ATANH, cs.OP_ACOSH, cs.OP_ATAN2, cs.OP_HYPOT, cs.OP_TAN, cs.OP_EXP, cs.OP_EXPM1, cs.OP_SINH, cs.OP_COSH,
    cs.OP_SOLVE, cs.OP_CALL, cs.OP_INVERSE, cs.OP_DETERMINANT,
})  # fmt: skip


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
        if len(seen) > _LOOKED_AT or node.op() in _SINGULAR:
            return True
        if not (node.is_symbolic() or node.is_constant()):
            waiting.extend(node.dep(i) for i in range(node.n_dep()))
    return False


def note_branches(*branches: cs.MX) -> None:
    """Mark the trace under way where a branch could let the nan of a singular operation through."""
    trace = current_trace()
    if trace is None or trace.selects:
        return
    if any(_singular_behind_movement(branch, trace.harmless) for branch in branches):
        trace.selects = True


def _singular_behind_movement(branch: cs.MX, seen: dict[tuple[int, bool], cs.MX]) -> bool:
    """Tell whether a singular operation lies behind one that is not elementwise.

    ``seen`` holds the nodes that earlier searches went past, so that all searches of a trace together look at
    each node once.
    """
    waiting = [(branch, False)]
    while waiting:
        node, moved = waiting.pop()
        if (hash(node), moved) in seen:
            continue
        seen[hash(node), moved] = node
        operation = node.op()
        if operation in _SINGULAR and moved:
            return True
        if node.is_symbolic() or node.is_constant():
            continue
        if node.is_output():
            node = node.dep(0)
        elementwise = node.is_unary() or node.is_binary()
        waiting.extend((node.dep(i), moved or not elementwise) for i in range(node.n_dep()))
    return False
