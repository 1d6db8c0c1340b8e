"""A derivative asked for inside a traced function: traced on symbols of its own, then put into the outer graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import node_of, value_of
from archimedes_grad.arrays.trace_state import Trace, current_trace
from archimedes_grad.derivatives.representation import Derived, Transformation
from archimedes_grad.engines.vm import evaluated
from archimedes_grad.nodes.functions import called
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import chooses
from archimedes_grad.tracing.bound_arguments import BoundArguments
from archimedes_grad.tracing.trace import guards_outside, trace


def nested_call(
    function: Callable[..., Any], bound: BoundArguments, layout: Layout, transformation: Transformation, has_aux: bool
) -> Any:
    """Return what a transformed function gives inside the trace under way, as traced values.

    The function is traced anew: it may close over traced values of the outer function.
    """
    outer = current_trace()
    assert outer is not None
    graph = trace(function, bound, layout, has_aux)
    try:
        derived = transformation(graph, layout)
    except Exception:
        outer.guards += guards_outside(graph.guards, graph.all_symbols, [*bound.values, *graph.hidden])
        raise
    outer.selects |= graph.selects or (derived.representation == "scalar" and chooses(derived.function))
    outer.has_several_outputs |= graph.has_several_outputs
    outer.loops |= graph.loops
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
    values = evaluated(derived.function, [*map(value_of, bound.values), *values_of_closure(graph.hidden, outer)])
    return derived.result.build([
        new_array(node, output.from_flat(value))
        for node, value, output in zip(results, values, derived.outputs, strict=False)
    ])  # fmt: skip


def _called(derived: Derived, nodes: list[cs.MX]) -> list[cs.MX]:
    """Put the derived function into the outer graph: array nodes one by one, scalars as one call."""
    if not derived.function.n_out():
        return []
    inline = derived.representation == "array"
    # CasADi gives a zero without entries where an input is empty and nothing depends on the others.
    results = derived.function.call(nodes, True, False) if inline else called(derived.function, nodes)
    return [cs.densify(result) for result in results]


def values_of_closure(hidden: Sequence[cs.MX], outer: Trace) -> list[npt.NDArray[np.float64]]:
    """Return the values, in the run under way, of what a nested graph closes over: expressions of the trace around."""
    if not hidden:
        return []
    symbols = cs.symvar(cs.veccat(*hidden))
    return evaluated(cs.Function("closure", symbols, list(hidden)), [outer.value_of_symbol(s) for s in symbols])
