"""From the graph of a function to that of its derivative, as one CasADi Function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.graph import Graph, Output, Template
from archimedes_grad.simplification import derivative_sweep, forward_nodes

# What an operation costs to evaluate, in nanoseconds: benchmarks/representation.py refits these.
_SCALAR_OPERATION = 2.2
_ARRAY_NODE = 15.0
_ARRAY_ENTRY = 0.3

#: Larger graphs stay arrays whatever they would cost as scalars: expanding takes some microseconds an entry.
_LARGEST_EXPANSION = 200_000
#: The same where only scalars keep the nan of a branch not taken out of the gradient: see rules/branches.py.
_LARGEST_EXPANSION_OF_BRANCHES = 2_000_000


@dataclass(frozen=True)
class Derived:
    """A CasADi Function that computes a transformation's outputs from all inputs of a graph.

    Attributes
    ----------
    function
        Takes the graph's leaves, then its hidden inputs; gives the outputs, stored transposed. Where it
        can fail, one more output follows that is 1 after success.
    outputs, result
        What the outputs are in NumPy, and how they make up the result.
    representation, reason
        ``"scalar"`` or ``"array"``, and why.
    """

    graph: Graph
    function: cs.Function
    outputs: tuple[Output, ...]
    result: Template
    representation: str
    reason: str

    @property
    def can_fail(self) -> bool:
        """Whether evaluation can fail, so that the last output has to be looked at."""
        return self.graph.can_fail


#: What a transformation does: from a graph and the positions of the differentiated arguments to a Derived.
Transformation = Callable[[Graph, tuple[int, ...], bool], Derived]

_FLOAT64 = np.dtype(np.float64)


def value_function(graph: Graph, positions: tuple[int, ...], single: bool) -> Derived:
    """Return the function itself."""
    representation = _Representation(graph)
    outputs, inputs = representation.outputs, representation.inputs
    return _derived(graph, representation, inputs, outputs, graph.outputs, graph.result)


def gradient_function(graph: Graph, positions: tuple[int, ...], single: bool) -> Derived:
    """Return the gradients of a scalar output by one reverse sweep; ``(gradient, aux)`` with an auxiliary output."""
    return _gradients(graph, positions, single, with_value=False)


def value_and_gradient_function(graph: Graph, positions: tuple[int, ...], single: bool) -> Derived:
    """Return the value and the gradients in one evaluation; ``((value, aux), gradient)`` with an auxiliary output."""
    return _gradients(graph, positions, single, with_value=True)


def _gradients(graph: Graph, positions: tuple[int, ...], single: bool, with_value: bool) -> Derived:
    _require_scalar(graph)
    representation = _Representation(graph)
    wanted = [i for i, leaf in enumerate(graph.leaves) if leaf.position in positions]
    with derivative_sweep():
        gradients = _reverse(representation, wanted)
    count = len(representation.outputs)
    expressions = [*representation.outputs, *gradients]
    outputs = [*graph.outputs, *(Output(graph.leaves[i].shape, _FLOAT64, graph.leaves[i].shape == ()) for i in wanted)]
    place = {leaf: count + k for k, leaf in enumerate(wanted)}
    per_argument = tuple(_renumbered(graph.argument_trees[position], place) for position in positions)
    gradient = per_argument[0] if single else Template(structure=tuple, children=per_argument)
    if with_value:
        value = _as_float(graph.result)
        first = value if graph.auxiliary is None else Template(structure=tuple, children=(value, graph.auxiliary))
        result = Template(structure=tuple, children=(first, gradient))
    elif graph.auxiliary is not None:
        result = Template(structure=tuple, children=(gradient, graph.auxiliary))
    else:
        result = gradient
    kept, result = _without_unused(result)
    return _derived(
        graph, representation, representation.inputs, [expressions[i] for i in kept],
        tuple(outputs[i] for i in kept), result,
    )  # fmt: skip


def _as_float(value: Template) -> Template:
    return value if value.output is not None else Template(constant=np.float64(value.constant))


def _require_scalar(graph: Graph) -> None:
    result = graph.result
    if result.output is not None:
        shape = graph.outputs[result.output].shape
        if shape == ():
            return
        raise ValueError(
            f"{graph.name}: a gradient needs a function that returns one scalar of shape (), and this returns an "
            f"array of shape {shape}. Use arc.jac for the derivative of an array, or reduce it (np.sum)."
        )
    constant = result.constant
    if result.structure is not None or constant is None:
        returned = "None (is a return missing?)" if result.structure is None else "a tree of outputs"
        raise ValueError(
            f"{graph.name}: a gradient needs a function that returns one scalar of shape (), and this returns "
            f"{returned}. Use arc.jac for several outputs, has_aux=True for (output, aux)."
        )
    array = np.asarray(constant)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{graph.name}: a gradient needs a real scalar output, and this returns {type(constant).__name__} "
            f"of dtype {array.dtype}."
        )
    if array.shape != ():
        raise ValueError(
            f"{graph.name}: a gradient needs a function that returns one scalar of shape (), and this returns an "
            f"array of shape {array.shape}. Use arc.jac for the derivative of an array, or reduce it (np.sum)."
        )


def _renumbered(template: Template, place: dict[int, int]) -> Template:
    """Return the tree of an argument with its leaves replaced by outputs, and what is no number by None."""
    if template.output is not None:
        return Template(output=place[template.output])
    if template.structure is not None:
        return Template(
            structure=template.structure, children=tuple(_renumbered(child, place) for child in template.children)
        )
    return Template()


def _without_unused(result: Template) -> tuple[list[int], Template]:
    """Return the outputs that a result uses, in order, and the result with these renumbered."""
    used: list[int] = []

    def visit(template: Template) -> Template:
        if template.output is not None:
            if template.output not in used:
                used.append(template.output)
            return Template(output=used.index(template.output))
        if template.structure is not None:
            return Template(structure=template.structure, children=tuple(map(visit, template.children)))
        return template

    renumbered = visit(result)
    return used, renumbered


class _Representation:
    """The graph's inputs and outputs as CasADi expressions: of arrays (MX), or expanded to scalars (SX)."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs: list[Any] = graph.all_symbols
        self.outputs: list[Any] = list(graph.nodes)
        self.name, self.reason = "array", ""
        with forward_nodes():
            primal = cs.Function("primal", self.inputs, self.outputs)
            self.name, self.reason = _choice(graph, primal)
            if self.name == "scalar":
                expanded = primal.expand()
                self.inputs = [cs.SX.sym(s.name(), s.size1(), s.size2()) for s in graph.all_symbols]
                self.outputs = expanded.call(self.inputs) if self.outputs else []


def _choice(graph: Graph, primal: cs.Function) -> tuple[str, str]:
    if graph.can_fail:
        return "array", "a linear solve cannot be expanded to scalars"
    instructions = primal.n_instructions()
    scalars = max(0, instructions - graph.array_nodes)
    entries = scalars + graph.array_entries
    if graph.array_entries > (_LARGEST_EXPANSION_OF_BRANCHES if graph.selects else _LARGEST_EXPANSION):
        return "array", f"{entries} scalar operations are too many to expand"
    as_scalars = _SCALAR_OPERATION * entries
    as_arrays = _ARRAY_NODE * instructions + _ARRAY_ENTRY * graph.array_entries
    estimate = f"estimated {as_scalars / 1000:.3g} µs as scalars, {as_arrays / 1000:.3g} µs as arrays"
    if graph.selects:
        return "scalar", f"a branch of np.where holds a singular operation behind a gather; {estimate}"
    return ("scalar" if as_scalars <= as_arrays else "array"), estimate


def _reverse(representation: _Representation, wanted: list[int]) -> list[Any]:
    """Return the gradients of the first output by one reverse sweep over the graph's own nodes."""
    graph = representation.graph
    inputs = [representation.inputs[i] for i in wanted]
    kind: Any = cs.SX if representation.name == "scalar" else cs.MX
    zeros = [kind(cs.DM.zeros(x.size1(), x.size2())) for x in inputs]
    if graph.result.output is None or not inputs:
        return zeros
    output = representation.outputs[graph.result.output]
    (sensitivities,) = cs.reverse([output], inputs, [[kind(1)]])
    return [cs.densify(s) if s.numel() else z for s, z in zip(sensitivities, zeros, strict=True)]


def _derived(
    graph: Graph, representation: _Representation, inputs: list[Any], expressions: list[Any],
    outputs: tuple[Output, ...], result: Template,
) -> Derived:  # fmt: skip
    expressions = [cs.densify(expression) for expression in expressions]
    if graph.can_fail:
        expressions.append(cs.MX(1.0))
    with forward_nodes():
        function = cs.Function("compiled", inputs, expressions)
    return Derived(graph, function, outputs, result, representation.name, representation.reason)
