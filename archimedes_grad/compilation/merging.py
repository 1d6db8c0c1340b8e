"""Making several paths cheap to tell apart: guards by themselves, and small paths merged into one evaluation."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import casadi as cs

from archimedes_grad.arguments.specs import key_orders
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.graph import Template

#: Paths are merged while all of them together run no more scalar operations: about two microseconds.
MAX_MERGED_OPERATIONS = 1_000

#: Guards are evaluated first where they take less than this share of the whole path's operations.
_CHEAP_GUARDS = 0.25


def guards_alone(derived: Derived) -> Derived | None:
    """Return what evaluates the guards of a path and nothing else; None where that saves too little.

    Its result is True where all guards hold.
    """
    function = derived.function
    if derived.representation == "scalar" and function.n_instructions() <= MAX_MERGED_OPERATIONS:
        return None
    inputs: Any = function.sx_in() if derived.representation == "scalar" else function.mx_in()
    with forward_nodes():
        outputs = function.call(inputs, derived.representation == "array", False)
        # A guard may rest on what fails, as the whole path may.
        success = [type(inputs[0])(1.0)] if derived.can_fail else []
        guards = cs.Function("guards", inputs, [*success, *outputs[-2:]])
    if guards.n_instructions() > _CHEAP_GUARDS * function.n_instructions():
        return None
    return replace(derived, function=guards, outputs=(), result=Template(constant=True))


def merged(paths: Sequence[Derived]) -> Derived | None:
    """Return one evaluation of all paths that gives the result of the one whose guards hold.

    None where the paths are not alike in their results, not scalar, can fail, or are too large together.
    """
    first = paths[0]
    if any(
        path.representation != "scalar"
        or path.can_fail
        or path.outputs != first.outputs
        or not _same_result(path.result, first.result)
        for path in paths
    ):
        return None
    if sum(path.function.n_instructions() for path in paths) > MAX_MERGED_OPERATIONS:
        return None
    n_leaves = len(first.graph.leaves)
    leaves = first.function.sx_in()[:n_leaves]
    inputs: list[cs.SX] = list(leaves)
    results: list[list[cs.SX]] = []
    any_holds = cs.SX(0.0)
    with forward_nodes():
        for path in paths:
            hidden = path.function.sx_in()[n_leaves:]
            inputs += hidden
            *outputs, held, _ = path.function.call([*leaves, *hidden])
            holds = held == path.n_guards
            any_holds += holds
            # -0.0 where it does not hold: a sum with 0.0 would take the sign of a zero.
            results.append([-cs.SX.binary(cs.OP_IF_ELSE_ZERO, holds, -out) for out in outputs])
        totals = [functools.reduce(operator.add, same) for same in zip(*results, strict=True)]
        function = cs.Function("merged", inputs, [*totals, any_holds, cs.SX(0.0)])
    hidden_values = tuple(array for path in paths for array in path.hidden)
    return replace(first, function=function, hidden=hidden_values, n_guards=1)


def _same_result(template: Template, other: Template) -> bool:
    """Tell whether two results are put together alike, constants included."""
    if template.output is not None or other.output is not None:
        return template.output == other.output
    if template.structure is not None or other.structure is not None:
        return (
            type(template.structure) is type(other.structure)
            and template.structure == other.structure
            and _key_orders(template.structure) == _key_orders(other.structure)
            and len(template.children) == len(other.children)
            and all(map(_same_result, template.children, other.children))
        )
    return template.constant is other.constant


def _key_orders(structure: Any) -> tuple[Any, ...]:
    return key_orders(structure) if hasattr(structure, "children") else ()
