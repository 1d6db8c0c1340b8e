"""Whether masks of a call's arguments are wanted, found when the graph is evaluated.

The masks of a loop may take as long as the loop does. They are there for what lies behind the call and has no finite
derivative, and of that there is hardly ever anything: so where it is cheaper, all derivatives behind the call are
looked at first.
"""

from __future__ import annotations

import functools
import math
import operator

import casadi as cs

from archimedes_grad.derivatives.uses import PRODUCTS, SOMEWHERE, Step
from archimedes_grad.nodes.dependence import body_of, branches_of, items_of
from archimedes_grad.nodes.simplification import derivative_sweep
from archimedes_grad.rules.branches import WITHOUT_DERIVATIVE

#: Masks that take fewer instructions are always computed.
_CHEAP = 200
#: To look at what lies behind a call may take this share of what the masks take.
_LARGEST_SHARE = 0.2
#: What a look at an entry takes beside an instruction of a Function.
_WORK_OF_LOOK = 6


def masks_wanted(steps: list[Step], call: Step) -> cs.MX | None:
    """Return a number that is not 0 where some derivative behind a call's arguments is infinite or nan.

    None: it is not known, or to know it would cost too much.
    """
    masks = [group.arguments.masks for group in call.groups if group.arguments.masks is not None]
    most = _LARGEST_SHARE * sum(_work(of_group.function, {}) for of_group in masks)
    if most < _LARGEST_SHARE * _CHEAP:
        return None
    work, factors = 0, []
    for step in _behind(steps, call):
        if not step.operands or step.is_linear:
            continue
        if not step.is_elementwise and step.operation not in PRODUCTS:
            return None
        work += _WORK_OF_LOOK * sum(x.numel() for x in (step.source, *step.operands))
        if work > most:
            return None
        factors.extend(_factors(step))
    if not factors:
        return cs.MX(0.0)
    return functools.reduce(operator.add, map(_not_finite, factors))


def _behind(steps: list[Step], call: Step) -> list[Step]:
    """Return the steps whose derivatives the cotangents of some arguments meet: those that count under conditions."""
    waiting = [place for (place, _), use in zip(call.places, call.handed, strict=True) if use == SOMEWHERE]
    met = set(waiting)
    while waiting:
        step = steps[waiting.pop()]
        if step.operation in WITHOUT_DERIVATIVE:
            continue
        new = {place for (place, _), use in zip(step.places, step.handed, strict=True) if use is not None} - met
        met |= new
        waiting.extend(new)
    return [steps[place] for place in met if steps[place].operation not in WITHOUT_DERIVATIVE]


def _factors(step: Step) -> list[cs.MX]:
    """Return what cotangents are multiplied by on their way back through a step."""
    if step.operation in PRODUCTS or step.operation == cs.OP_MUL:
        return step.operands
    symbols = [cs.MX.sym("operand", operand.sparsity()) for operand in step.operands]
    (result,) = step.source.eval_mx(symbols)
    with derivative_sweep():
        slopes = [cs.jtimes(result, symbol, cs.MX.ones(*symbol.shape)) for symbol in symbols]
    return list(cs.graph_substitute(slopes, symbols, step.operands))


def _not_finite(factor: cs.MX) -> cs.MX:
    """Return how many entries are infinite or nan."""
    finite = cs.MX.binary(cs.OP_LT, cs.MX.unary(cs.OP_FABS, factor), cs.MX(math.inf))
    return cs.sum1(cs.vec(cs.MX.unary(cs.OP_NOT, finite)))


def _work(function: cs.Function, known: dict[int, int]) -> int:
    """Return about how many instructions an evaluation takes."""
    key, kind = hash(function), function.class_name()
    if key not in known:
        if kind == "Switch":
            known[key] = max(_work(branch, known) for branch in branches_of(function))
        elif kind == "MapSum":
            known[key] = items_of(function) * _work(body_of(function), known)
        elif kind in ("MXFunction", "SXFunction"):
            known[key] = n = function.n_instructions()
            if kind == "MXFunction":
                called = [k for k in range(n) if function.instruction_id(k) == cs.OP_CALL]
                known[key] += sum(_work(function.instruction_MX(k).which_function(), known) for k in called)
        else:
            known[key] = _CHEAP
    return known[key]
