"""From a graph to products of its derivatives with a direction, each by one sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arguments.specs import is_static_by_nature, shown_structure
from archimedes_grad.derivatives.autodiff import (
    cotangents_of_inputs,
    differentiated_leaves,
    float_output,
    in_arguments,
    require_numbers,
    require_scalar,
    reverse_sweep,
    with_auxiliary,
)
from archimedes_grad.derivatives.branches import separated
from archimedes_grad.derivatives.representation import Derived, Representation, derived
from archimedes_grad.nodes.simplification import derivative_sweep
from archimedes_grad.tracing.graph import Graph, Template


def jvp_function(graph: Graph, layout: Layout) -> Derived:
    """Return J @ v by one forward sweep: the tangents of the outputs, in the output tree."""
    require_numbers(graph.name, graph.result)
    representation, wanted, directions = _prepared(separated(graph), layout)
    with derivative_sweep():
        inputs = [representation.inputs[i] for i in wanted]
        (tangents,) = cs.forward(representation.outputs, inputs, [directions]) if representation.outputs else ([],)
    outputs = [*graph.outputs, *(float_output(output.shape) for output in graph.outputs)]
    first = len(graph.outputs)
    result = graph.result.mapped(lambda output: Template(output=first + output), _tangent_of_constant)
    return derived(representation, [*representation.outputs, *tangents], outputs, with_auxiliary(graph, result))


def vjp_function(graph: Graph, layout: Layout) -> Derived:
    """Return w @ J by one reverse sweep: the cotangents of the arguments, in their trees."""
    require_numbers(graph.name, graph.result)
    representation = Representation(separated(graph))
    leaves = leaves_with_cotangents(graph.result, layout, graph.argument_trees)
    shapes = [_shape_of(leaf, graph) for leaf in leaves]
    given = _directions(graph, layout, representation, shapes, graph.result, "the output of the function")
    # What does not depend on the arguments takes a cotangent as every output does, and hands nothing on.
    computed = [(leaf.output, w) for leaf, w in zip(leaves, given, strict=True) if leaf.output is not None]
    results = [representation.outputs[k] for k, _ in computed]
    wanted = differentiated_leaves(graph, layout)
    with derivative_sweep():
        sensitivities = cotangents_of_inputs(representation, wanted, results, [w for _, w in computed])
    return _in_arguments(graph, layout, representation, wanted, sensitivities)


def hvp_function(graph: Graph, layout: Layout) -> Derived:
    """Return H @ v by one forward sweep over the gradient; H is never formed."""
    require_scalar(graph.name, graph.result, graph.outputs)
    representation, wanted, directions = _prepared(separated(graph, order=2), layout)
    with derivative_sweep():
        gradients = reverse_sweep(representation, wanted)
        (tangents,) = cs.forward(gradients, [representation.inputs[i] for i in wanted], [directions])
    return _in_arguments(graph, layout, representation, wanted, list(tangents))


def _prepared(graph: Graph, layout: Layout) -> tuple[Representation, list[int], list[Any]]:
    representation = Representation(graph)
    wanted = differentiated_leaves(graph, layout)
    shapes = [graph.leaves[i].shape for i in wanted]
    expected, of = form_of_arguments(layout, graph.argument_trees)
    return representation, wanted, _directions(graph, layout, representation, shapes, expected, of)


def form_of_arguments(layout: Layout, trees: Mapping[int, Template]) -> tuple[Template, str]:
    """Return the form of a direction in the space of the differentiated arguments, and what these are called."""
    chosen = tuple(trees[position] for position in layout.differentiated)
    names = ", ".join(repr(layout.names[position]) for position in layout.differentiated)
    return (chosen[0] if layout.single else Template(structure=tuple, children=chosen)), f"argument {names}"


def _directions(
    graph: Graph, layout: Layout, representation: Representation, shapes: list[tuple[int, ...]], expected: Template,
    of: str,
) -> list[Any]:  # fmt: skip
    """Return the symbols of the direction's leaves, whose shapes must be those given."""
    assert layout.direction is not None
    leaves = [i for i, leaf in enumerate(graph.leaves) if leaf.position == layout.direction]
    given = [graph.leaves[i].shape for i in leaves]
    require_same_form(graph.name, layout, given, shapes, graph.argument_trees[layout.direction], expected, of)
    return [representation.inputs[i] for i in leaves]


def require_same_form(
    name: str, layout: Layout, given: list[tuple[int, ...]], shapes: list[tuple[int, ...]], direction: Template,
    expected: Template, of: str,
) -> None:  # fmt: skip
    """Raise ValueError where a direction has leaves of other shapes, or in another tree: they would be mixed up."""
    assert layout.direction is not None
    shown = f"{name}: the direction {layout.names[layout.direction]!r}"
    if given != shapes:
        raise ValueError(
            f"{shown} has {_shown(given)}, but {of} has {_shown(shapes)}; they must have the same structure and "
            f"shapes. np.zeros_like of it has."
        )
    if not _is_like(direction, expected):
        raise ValueError(
            f"{shown} is {_form(direction)}, but {of} is {_form(expected)}; they must have the same structure and "
            f"shapes. Put its leaves into the same containers under the same keys."
        )


def _is_like(direction: Template, expected: Template) -> bool:
    """Tell whether a direction has the structure expected; several arguments make a tuple."""
    given = direction.structure
    if expected.structure is not tuple:
        return bool(given == expected.structure)
    if given is None or given.type is not tuple or given.num_children != len(expected.children):
        return False
    return all(
        own.is_leaf(strict=True) if child.structure is None else own == child.structure
        for own, child in zip(given.children(), expected.children, strict=True)
    )


def _form(template: Template) -> str:
    """Return the structure of a tree as text, with a star for a leaf."""
    if template.structure is None:
        return "one array"
    if template.structure is tuple:
        return f"({', '.join(_form(child) for child in template.children)})"
    return shown_structure(template.structure)


def _shown(shapes: list[tuple[int, ...]]) -> str:
    return f"shape {shapes[0]}" if len(shapes) == 1 else f"leaves of shapes {shapes}"


def leaves_with_cotangents(result: Template, layout: Layout, trees: Mapping[int, Template]) -> list[Template]:
    """Return the leaves of the result that are numbers, computed or constant.

    A constant truth value is one if the direction has a number there: on another path it is computed.
    """
    assert layout.direction is not None
    leaves, given = _leaves(result), _leaves(trees[layout.direction])
    directions = given if len(given) == len(leaves) else [Template()] * len(leaves)
    return [leaf for leaf, direction in zip(leaves, directions, strict=True) if _is_number(leaf, direction)]


def _leaves(template: Template) -> list[Template]:
    if template.structure is None or template.output is not None:
        return [template]
    return [leaf for child in template.children for leaf in _leaves(child)]


def _is_number(leaf: Template, direction: Template) -> bool:
    if leaf.output is None and isinstance(leaf.constant, bool | np.bool_):
        return direction.output is not None
    return leaf.output is not None or not is_static_by_nature(leaf.constant)


def _shape_of(leaf: Template, graph: Graph) -> tuple[int, ...]:
    return np.shape(leaf.constant) if leaf.output is None else graph.outputs[leaf.output].shape


def _tangent_of_constant(constant: Any) -> Template:
    """Return zeros, or None for what is no number."""
    array = np.asarray(constant)
    return Template(constant=np.zeros(array.shape)[()] if array.dtype.kind in "fiub" else None)


def _in_arguments(
    graph: Graph, layout: Layout, representation: Representation, wanted: list[int], computed: list[Any]
) -> Derived:
    outputs, result = in_arguments(graph, layout, wanted)
    return derived(representation, [*representation.outputs, *computed], outputs, with_auxiliary(graph, result))
