"""Choices between branches: ``cond`` and ``switch``.

Inside a traced function a choice is one conditional Function of the graph, of which one branch is evaluated, forward
and in every derivative. On plain numbers outside a trace the branch is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import name_of
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.operands import gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace, outlived
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import note_choice
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import (
    Body,
    applied,
    as_number,
    numbers_in,
    owned,
    traced_body,
    values_of,
)
from archimedes_grad.transforms.options import require_functions, required_integer

_binary = cs.MX.binary


def cond(pred: Any, t: Callable[..., Any], f: Callable[..., Any], *operands: Any) -> Any:
    """Return ``t(*operands)`` where a condition holds, else ``f(*operands)``; only that one is evaluated.

    Parameters
    ----------
    pred
        One number or truth value; nan counts as true, as in Python.
    t, f
        Functions of the operands. Inside a trace both are traced; they must give trees of the same structure, keys in
        the same order, and shapes, and their dtypes are promoted as NumPy does. They may close over traced values.

    Raises
    ------
    ValueError
        If pred has axes; if the branches differ in structure, the order of keys or shapes.
    TraceError
        Where a decision rests on a value of a branch.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> def f(x):
    ...     return arc.cond(x > 0, np.log, lambda x: 0.0 * x, x)
    >>> float(arc.grad(f)(2.0)), float(arc.grad(f)(-1.0))
    (0.5, 0.0)
    """
    require_functions("cond", t=t, f=f)
    given, pred = pred, as_number(pred)
    if pred is None:
        raise TypeError(
            f"cond: pred must be one truth value, got {type(given).__name__} {given!r}. Compare it: pred is an "
            f"expression like x > 0."
        )
    if np.shape(value_of(pred)) != ():
        raise ValueError(
            f"cond: pred must be one truth value, got shape {np.shape(value_of(pred))}. Use np.any or np.all, or "
            f"np.where for a choice entry by entry."
        )
    if not isinstance(pred, SymbolicArray):
        return owned((t if pred else f)(*map(owned, operands)))
    with forward_nodes():
        holds = _binary(cs.OP_NE, pred.node, scalar_node(0))
    return _chosen("cond", holds, bool(np.asarray(pred.value)), [f, t], operands, ("f", "t"))


def switch(i: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Return ``branches[i](*operands)``; only that branch is evaluated.

    Parameters
    ----------
    i
        An integer. A plain one must be in range, from 0; a traced one is clamped: below 0 the first branch is
        taken, past the end the last.
    branches
        Functions of the operands, as for :func:`cond`.

    Raises
    ------
    IndexError
        If a plain index is out of range.
    TypeError
        If the index is no integer.
    ValueError
        If there are no branches, or they differ in structure or shapes.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> def f(k, x):
    ...     return arc.switch(k, [np.sin, np.cos, np.exp], x)
    >>> float(arc.grad(f, argnums=1)(2, 0.0))
    1.0
    """
    if not isinstance(branches, Sequence):
        raise TypeError(
            f"switch: branches must be a list of functions, got {type(branches).__name__} {branches!r}. Write "
            f"[f, g], then the operands."
        )
    if not branches:
        raise ValueError("switch: branches is empty, and at least one function was expected. Give one for each index.")
    require_functions("switch", **{f"branches[{k}]": branch for k, branch in enumerate(branches)})
    i = gathered(i)
    if np.shape(value_of(i)) != ():
        raise ValueError(
            f"switch: the index must be one integer, got shape {np.shape(value_of(i))}. Use np.choose for a choice "
            f"entry by entry."
        )
    if isinstance(i, SymbolicArray):
        if i.dtype.kind not in "iub":
            raise TypeError(f"switch: the index must be an integer, got dtype {i.dtype}. Round it: i.astype(int).")
        if current_trace() is None:
            raise outlived("switch: ")
        last = len(branches) - 1
        if not last:
            return owned(branches[0](*map(owned, operands)))
        with forward_nodes():
            clamped = _binary(cs.OP_FMAX, _binary(cs.OP_FMIN, i.node, scalar_node(last)), scalar_node(0))
        names = tuple(f"branch {k}" for k in range(len(branches)))
        return _chosen("switch", clamped, min(max(int(i.value), 0), last), branches, operands, names)
    position = int(i) if isinstance(i, bool | np.bool_) else required_integer("switch", "the index", i)
    if not 0 <= position < len(branches):
        raise IndexError(
            f"switch: index {position} is out of range; one from 0 to {len(branches) - 1} was expected. Clip it: "
            f"np.clip(i, 0, {len(branches) - 1})."
        )
    return owned(branches[position](*map(owned, operands)))


def _chosen(
    owner: str, index: cs.MX, chosen: int, functions: Sequence[Callable[..., Any]], operands: tuple[Any, ...],
    names: Sequence[str],
) -> Any:  # fmt: skip
    """Put the branches into the graph under way as one conditional Function."""
    outer_arrays = closed_over(functions)
    argument_names = [f"operand {k}" for k in range(len(operands))]
    bodies = [
        traced_body(f"{owner}, {name_of(function)}", function, operands, argument_names, outer_arrays)
        for function in functions
    ]
    first = bodies[-1]
    for body, name in zip(bodies[:-1], names, strict=False):
        if body.structure != first.structure:
            raise ValueError(
                f"{owner}: the branches must return trees of the same structure, but {name} returns "
                f"{body.structure} and {names[-1]} {first.structure}. Fill up the smaller one with zeros."
            )
        if body.structure.key_orders != first.structure.key_orders:
            raise ValueError(
                f"{owner}: the branches must return dictionaries with their keys in one order, but {name} and "
                f"{names[-1]} have them in two. Write them in the same order."
            )
        if [output.shape for output in body.outputs] != [output.shape for output in first.outputs]:
            raise ValueError(
                f"{owner}: the branches must return the same shapes, but {name} returns {body.shown_result} and "
                f"{names[-1]} {first.shown_result}. Use np.broadcast_to or np.pad in one of them."
            )
    outputs = [
        Output(same[0].shape, np.result_type(*(o.dtype for o in same)), all(o.is_scalar for o in same))
        for same in zip(*(body.outputs for body in bodies), strict=True)
    ]
    numbers = numbers_in(operands)
    with forward_nodes():
        branches = _of_one_signature(bodies)
        if len(branches) == 2:
            choice = cs.Function.if_else("choice", branches[1], branches[0])
        else:
            choice = cs.Function.conditional("choice", branches[:-1], branches[-1])
        nodes = [index, *map(node_of, numbers), *(node for body in bodies for node in body.closed_nodes)]
    values = [np.array([float(chosen)]), *values_of(numbers), *(v for body in bodies for v in body.closed_values)]
    note_choice(*nodes)
    results = applied(
        choice, nodes, values, outputs, times=max(body.n_instructions for body in bodies),
        can_fail=any(body.can_fail for body in bodies), opaque=True,
    )  # fmt: skip
    return first.structure.build(results)


def _of_one_signature(bodies: Sequence[Body]) -> list[cs.Function]:
    """Return the bodies' Functions taking the operands and what any of them closes over; all can fail, or none."""
    can_fail = any(body.can_fail for body in bodies)
    n_own = bodies[0].n_own
    own = [cs.MX.sym(f"x{i}", *bodies[0].function.size_in(i)) for i in range(n_own)]
    closed = [
        [cs.MX.sym("closed", *body.function.size_in(n_own + i)) for i in range(len(body.closed_nodes))]
        for body in bodies
    ]
    inputs = [*own, *(symbol for symbols in closed for symbol in symbols)]
    branches = []
    for body, symbols in zip(bodies, closed, strict=True):
        results = body.function.call([*own, *symbols], False, True)
        if can_fail and not body.can_fail:
            results = [*results, cs.MX(1.0)]
        branches.append(graph_function("branch", inputs, results))
    return branches
