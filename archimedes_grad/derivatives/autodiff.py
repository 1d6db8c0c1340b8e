"""From the graph of a scalar function to its gradient, by one reverse sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arrays.complex_array import ComplexForm
from archimedes_grad.derivatives.branches import separated
from archimedes_grad.derivatives.representation import Derived, Representation, derived
from archimedes_grad.nodes.simplification import derivative_sweep
from archimedes_grad.tracing.graph import Graph, Output, Template

FLOAT64 = np.dtype(np.float64)


def value_function(graph: Graph, layout: Layout) -> Derived:
    """Return the function itself; it may be differentiated where it has no choices."""
    return _values(Representation(graph, is_differentiated=not graph.selects))


def differentiable_function(graph: Graph, layout: Layout) -> Derived:
    """Return the function itself, for CasADi to differentiate."""
    return _values(Representation(separated(graph)))


def _values(representation: Representation) -> Derived:
    graph = representation.graph
    return derived(representation, representation.outputs, list(graph.outputs), graph.result)


def gradient_function(graph: Graph, layout: Layout) -> Derived:
    """Return the gradients of a scalar output by one reverse sweep; ``(gradient, aux)`` with an auxiliary output."""
    return _gradients(graph, layout, with_value=False)


def value_and_gradient_function(graph: Graph, layout: Layout) -> Derived:
    """Return the value and the gradients in one evaluation; ``((value, aux), gradient)`` with an auxiliary output."""
    return _gradients(graph, layout, with_value=True)


def _gradients(graph: Graph, layout: Layout, with_value: bool) -> Derived:
    require_scalar(graph.name, graph.result, graph.outputs)
    representation = Representation(separated(graph))
    wanted = differentiated_leaves(graph, layout)
    with derivative_sweep():
        gradients = reverse_sweep(representation, wanted)
    outputs, gradient = in_arguments(graph, layout, wanted)
    if with_value:
        value = with_auxiliary(graph, _as_float(graph.result))
        result = Template(structure=tuple, children=(value, gradient))
    else:
        result = with_auxiliary(graph, gradient)
    return derived(representation, [*representation.outputs, *gradients], outputs, result)


def with_auxiliary(graph: Graph, result: Template) -> Template:
    """Return a result, or ``(result, aux)`` where the function has auxiliary output."""
    return result if graph.auxiliary is None else Template(structure=tuple, children=(result, graph.auxiliary))


def float_output(shape: tuple[int, ...]) -> Output:
    """Return what a derivative of a shape is in NumPy: float64, and a scalar where it has no axes."""
    return Output(shape, FLOAT64, shape == ())


def differentiated_leaves(graph: Graph, layout: Layout) -> list[int]:
    """Return the leaves of the differentiated arguments, argument by argument in the order asked for."""
    return [
        i for position in layout.differentiated for i, leaf in enumerate(graph.leaves) if leaf.position == position
    ]


def in_arguments(graph: Graph, layout: Layout, wanted: list[int]) -> tuple[list[Output], Template]:
    """Return the outputs of a graph with a derivative for each wanted leaf behind them, and the trees of these."""
    first = len(graph.outputs)
    place = {leaf: Template(output=first + k) for k, leaf in enumerate(wanted)}
    outputs = [*graph.outputs, *(float_output(graph.leaves[leaf].shape) for leaf in wanted)]
    return outputs, like_arguments(graph, layout, place)


def like_arguments(graph: Graph, layout: Layout, place: dict[int, Template]) -> Template:
    """Return the trees of the differentiated arguments with a template in the place of each leaf, None for others."""
    trees = tuple(
        graph.argument_trees[position].mapped(place.__getitem__, lambda _: Template())
        for position in layout.differentiated
    )
    return trees[0] if layout.single else Template(structure=tuple, children=trees)


def _as_float(value: Template) -> Template:
    return value if value.output is not None else Template(constant=np.float64(value.constant))


def require_numbers(name: str, result: Template) -> None:
    """Raise TypeError where a result is complex, or has no number: its derivative would be as empty, without a word."""
    _require_real(name, result)
    if not _has_number(result):
        constant = result.constant
        returned = "None (is a return missing?)" if constant is None else f"a {type(constant).__name__}"
        raise TypeError(
            f"{name}: a derivative needs a function that returns an array, a number or a tree of these, and this "
            f"returns {returned if result.structure is None else 'a tree without numbers'}. Return what is to be "
            f"differentiated."
        )


def _has_number(template: Template) -> bool:
    if template.output is not None:
        return True
    if template.structure is not None:
        return any(map(_has_number, template.children))
    return np.asarray(template.constant).dtype.kind in "fiub"


def require_scalar(name: str, result: Template, outputs: Sequence[Output] = ()) -> None:
    """Raise ValueError where the result is not one scalar of shape (), TypeError where it is no real number."""
    _require_real(name, result)
    constant = result.constant
    if result.output is None and (result.structure is not None or constant is None):
        returned = "None (is a return missing?)" if result.structure is None else "a tree of outputs"
        raise ValueError(
            f"{name}: a gradient needs a function that returns one scalar of shape (), and this returns "
            f"{returned}. Use arc.jac for several outputs, has_aux=True for (output, aux)."
        )
    output: Any = np.asarray(constant) if result.output is None else outputs[result.output]
    if output.dtype.kind not in "fiub":
        raise TypeError(
            f"{name}: a gradient needs a real scalar output, and this returns {type(constant).__name__} "
            f"of dtype {output.dtype}. Return the number that is to be differentiated."
        )
    if output.shape != ():
        raise ValueError(
            f"{name}: a gradient needs a function that returns one scalar of shape (), and this returns an "
            f"array of shape {output.shape}. Use arc.jac for the derivative of an array, or reduce it (np.sum)."
        )


def _require_real(name: str, result: Template) -> None:
    if isinstance(result.structure, ComplexForm):
        raise TypeError(
            f"{name}: a derivative needs a function that returns real numbers, and this returns complex ones of dtype "
            f"{result.structure.dtype}. Return a part (.real, .imag), the magnitude (np.abs), the phase (np.angle), or "
            f"both parts in a tuple."
        )
    for child in result.children:
        _require_real(name, child)


def reverse_sweep(representation: Representation, wanted: list[int]) -> list[Any]:
    """Return the gradients of the first output by one reverse sweep over the graph's own nodes."""
    result = representation.graph.result.output
    if result is None:
        return cotangents_of_inputs(representation, wanted, [], [])
    return cotangents_of_inputs(
        representation, wanted, [representation.outputs[result]], [representation.kind(1)]
    )


def cotangents_of_inputs(
    representation: Representation, wanted: list[int], results: list[Any], cotangents: list[Any]
) -> list[Any]:
    """Return the cotangents of some leaves from those of some outputs, dense and of the leaves' own shapes."""
    inputs = [representation.inputs[i] for i in wanted]
    kind = representation.kind
    # Without an entry where an input is reached from no result.
    (sensitivities,) = cs.reverse(results, inputs, [cotangents]) if results and inputs else ([kind()] * len(inputs),)
    return [
        cs.densify(s) if s.numel() else kind(cs.DM.zeros(x.size1(), x.size2()))
        for s, x in zip(sensitivities, inputs, strict=True)
    ]
