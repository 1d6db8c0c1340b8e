"""From a graph to products of its derivatives with a direction, each by one sweep."""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.autodiff import (
    differentiated_leaves,
    float_output,
    like_arguments,
    require_scalar,
    reverse_sweep,
    with_auxiliary,
)
from archimedes_grad.graph import Graph, Template
from archimedes_grad.representation import Derived, Representation, derived
from archimedes_grad.signature import Layout
from archimedes_grad.simplification import derivative_sweep


def jvp_function(graph: Graph, layout: Layout, single: bool) -> Derived:
    """Return J @ v by one forward sweep: the tangents of the outputs, in the output tree."""
    representation, wanted, directions = _prepared(graph, layout)
    with derivative_sweep():
        inputs = [representation.inputs[i] for i in wanted]
        (tangents,) = cs.forward(representation.outputs, inputs, [directions]) if representation.outputs else ([],)
    outputs = [*graph.outputs, *(float_output(output.shape) for output in graph.outputs)]
    result = _tangents(graph.result, len(graph.outputs))
    return derived(representation, [*representation.outputs, *tangents], outputs, with_auxiliary(graph, result))


def vjp_function(graph: Graph, layout: Layout, single: bool) -> Derived:
    """Return w @ J by one reverse sweep: the cotangents of the arguments, in their trees."""
    representation = Representation(graph)
    numbers = _outputs_in(graph.result)
    cotangents = _directions(
        graph, layout, representation, [graph.outputs[k].shape for k in numbers], "the output of the function"
    )
    wanted = differentiated_leaves(graph, layout)
    with derivative_sweep():
        inputs = [representation.inputs[i] for i in wanted]
        results = [representation.outputs[k] for k in numbers]
        (sensitivities,) = cs.reverse(results, inputs, [cotangents]) if results else ([x * 0 for x in inputs],)
    return _in_arguments(graph, layout, single, representation, wanted, list(sensitivities))


def hvp_function(graph: Graph, layout: Layout, single: bool) -> Derived:
    """Return H @ v by one forward sweep over the gradient; H is never formed."""
    require_scalar(graph)
    representation, wanted, directions = _prepared(graph, layout)
    with derivative_sweep():
        gradients = reverse_sweep(representation, wanted)
        (tangents,) = cs.forward(gradients, [representation.inputs[i] for i in wanted], [directions])
    return _in_arguments(graph, layout, single, representation, wanted, list(tangents))


def _prepared(graph: Graph, layout: Layout) -> tuple[Representation, list[int], list[Any]]:
    representation = Representation(graph)
    wanted = differentiated_leaves(graph, layout)
    shapes = [graph.leaves[i].shape for i in wanted]
    names = ", ".join(repr(layout.names[position]) for position in layout.differentiated)
    return representation, wanted, _directions(graph, layout, representation, shapes, f"argument {names}")


def _directions(
    graph: Graph, layout: Layout, representation: Representation, shapes: list[tuple[int, ...]], of: str
) -> list[Any]:
    """Return the symbols of the direction's leaves, whose shapes must be those given."""
    assert layout.direction is not None
    leaves = [i for i, leaf in enumerate(graph.leaves) if leaf.position == layout.direction]
    given = [graph.leaves[i].shape for i in leaves]
    if given != shapes:
        raise ValueError(
            f"{graph.name}: the direction {layout.names[layout.direction]!r} has {_shown(given)}, but {of} has "
            f"{_shown(shapes)}; they must have the same structure and shapes."
        )
    return [representation.inputs[i] for i in leaves]


def _shown(shapes: list[tuple[int, ...]]) -> str:
    return f"shape {shapes[0]}" if len(shapes) == 1 else f"leaves of shapes {shapes}"


def _outputs_in(template: Template) -> list[int]:
    if template.output is not None:
        return [template.output]
    return [output for child in template.children for output in _outputs_in(child)]


def _tangents(template: Template, first: int) -> Template:
    """Return the output tree with each output replaced by its tangent; of constants the tangent is 0."""
    if template.output is not None:
        return Template(output=first + template.output)
    if template.structure is not None:
        children = tuple(_tangents(child, first) for child in template.children)
        return Template(structure=template.structure, children=children)
    array = np.asarray(template.constant)
    return Template(constant=np.zeros(array.shape)[()] if array.dtype.kind in "fiub" else None)


def _in_arguments(
    graph: Graph, layout: Layout, single: bool, representation: Representation, wanted: list[int], computed: list[Any]
) -> Derived:
    count = len(graph.outputs)
    outputs = [*graph.outputs, *(float_output(graph.leaves[i].shape) for i in wanted)]
    place = {leaf: Template(output=count + k) for k, leaf in enumerate(wanted)}
    result = with_auxiliary(graph, like_arguments(graph, layout, single, place))
    return derived(representation, [*representation.outputs, *computed], outputs, result)
