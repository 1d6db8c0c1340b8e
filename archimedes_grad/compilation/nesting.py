"""A derivative asked for inside a traced function: traced on symbols of its own, then put into the outer graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arrays.array import SymbolicArray, new_array
from archimedes_grad.arrays.operands import node_of, value_of
from archimedes_grad.arrays.trace_state import Trace, current_trace
from archimedes_grad.derivatives.representation import Derived, Transformation
from archimedes_grad.engines.vm import evaluated
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.trace import BoundArguments, trace


def nested_call(
    function: Callable[..., Any], bound: BoundArguments, layout: Layout, transformation: Transformation, has_aux: bool
) -> Any:
    """Return what a transformed function gives inside the trace under way, as traced values.

    The function is traced anew: it may close over traced values of the outer function.
    """
    graph = trace(function, bound, layout, has_aux)
    derived = transformation(graph, layout)
    outer = current_trace()
    assert outer is not None
    outer.selects |= graph.selects
    outer.can_fail |= graph.can_fail
    outer.opaque |= derived.graph.opaque
    outer.large_products |= graph.large_products
    outer.array_entries += graph.array_entries
    with forward_nodes():
        nodes = [node_of(value) for value in bound.values] + list(graph.hidden)
        results = _called(derived, nodes)
    checks = results[len(derived.outputs) :]
    if graph.success is not None:
        outer.conditions.append(checks[0])
    if graph.guards:
        with forward_nodes():
            values_of_guards = cs.vertsplit(checks[-1])
        outer.guards += (replace(g, node=node) for g, node in zip(graph.guards, values_of_guards, strict=True))
    values = _values(derived, outer, bound.values)
    outputs = [
        _traced(node, value, output) for node, value, output in zip(results, values, derived.outputs, strict=False)
    ]
    return derived.result.build(outputs)


def _called(derived: Derived, nodes: list[cs.MX]) -> list[cs.MX]:
    """Put the derived function into the outer graph: array nodes one by one, scalars as one call."""
    if not derived.function.n_out():
        return []
    inline = derived.representation == "array"
    # CasADi gives a zero without entries where an input is empty and nothing depends on the others.
    return [cs.densify(result) for result in derived.function.call(nodes, inline, not inline)]


def _values(derived: Derived, outer: Trace, arguments: list[Any]) -> list[Any]:
    """Return the outputs at the values of the run under way."""
    hidden = derived.graph.hidden
    closed_over = []
    if hidden:
        symbols = cs.symvar(cs.veccat(*hidden))
        closure = cs.Function("closure", symbols, list(hidden))
        closed_over = evaluated(closure, [outer.value_of_symbol(symbol) for symbol in symbols])
    return evaluated(derived.function, [*(value_of(argument) for argument in arguments), *closed_over])


def _traced(node: cs.MX, flat: Any, output: Any) -> SymbolicArray:
    value = flat.reshape(output.shape).astype(output.dtype)
    return new_array(node, value[()] if output.is_scalar else np.array(value))
