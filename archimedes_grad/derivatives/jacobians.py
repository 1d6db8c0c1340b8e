"""From a graph to its Jacobian and Hessian: dense, or sparse with the structure found in the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.derivatives.autodiff import (
    differentiated_leaves,
    float_output,
    like_arguments,
    require_numbers,
    require_scalar,
    reverse_sweep,
    with_auxiliary,
)
from archimedes_grad.derivatives.branches import separated
from archimedes_grad.derivatives.colours import jacobian
from archimedes_grad.derivatives.partial_separability import (
    SparseMatrix,
    hessian_by_blocks,
    jacobian_by_blocks,
    stored_entries,
)
from archimedes_grad.derivatives.representation import Derived, Representation, derived
from archimedes_grad.errors import TraceError
from archimedes_grad.nodes.gather import stored_shape
from archimedes_grad.nodes.given_derivatives import calls_rules
from archimedes_grad.nodes.simplification import derivative_sweep
from archimedes_grad.tracing.graph import Graph, Output, Template

#: Why a derivative by blocks is a graph of arrays.
_BLOCKS = "the blocks of all items are differentiated as one"


def jacobian_function(graph: Graph, layout: Layout) -> Derived:
    """Return the Jacobians of all outputs: the output tree outside, the trees of the arguments inside.

    CasADi sweeps forward or in reverse, whichever takes fewer colours of the structure.
    """
    require_numbers(graph.name, graph.result)
    blocks = _Blocks(separated(graph))
    with derivative_sweep():
        result = graph.result.mapped(lambda output: blocks.row(output, layout), _zeros(graph, layout))
    return blocks.derived(with_auxiliary(graph, result))


def sparse_jacobian_function(graph: Graph, layout: Layout) -> Derived:
    """Return the Jacobian of one array output by one array argument as a ``scipy.sparse.csc_array``."""
    graph = separated(graph)
    leaf = _only_leaf(graph, layout, "jac")
    result = graph.result
    require_numbers(graph.name, result)
    require_one_output(graph.name, result.structure is not None and result.output is None)
    if result.output is None:
        # On another path it may be computed.
        representation = Representation(graph)
        nothing = type(representation.inputs[leaf])(np.size(result.constant), math.prod(graph.leaves[leaf].shape))
        return _sparse(graph, representation, stored_entries(nothing))
    by_blocks = jacobian_by_blocks(graph.nodes[result.output], graph.symbols[leaf])
    if by_blocks is not None:
        return _sparse(graph, Representation(graph, as_arrays=_BLOCKS), by_blocks)
    representation = Representation(graph)
    matrix = jacobian(cs.vec(representation.outputs[result.output]), cs.vec(representation.inputs[leaf]))
    return _sparse(graph, representation, stored_entries(matrix))


def hessian_function(graph: Graph, layout: Layout) -> Derived:
    """Return the Hessian of a scalar output: the arguments' trees outside, and inside again."""
    require_scalar(graph.name, graph.result, graph.outputs)
    blocks = _Blocks(separated(graph, order=2))
    wanted = differentiated_leaves(graph, layout)
    is_symmetric = _is_symmetric(blocks.graph)
    with derivative_sweep():
        gradients = reverse_sweep(blocks.representation, wanted)
        rows = {
            leaf: blocks.of(gradient, graph.leaves[leaf].shape, layout, symmetric_in=leaf if is_symmetric else None)
            for leaf, gradient in zip(wanted, gradients, strict=True)
        }
    return blocks.derived(with_auxiliary(graph, like_arguments(graph, layout, rows)))


def sparse_hessian_function(graph: Graph, layout: Layout) -> Derived:
    """Return the Hessian by one array argument as a ``scipy.sparse.csc_array``."""
    require_scalar(graph.name, graph.result, graph.outputs)
    graph = separated(graph, order=2)
    leaf = _only_leaf(graph, layout, "hess")
    symmetric = _is_symmetric(graph)
    if graph.result.output is not None:
        by_blocks = hessian_by_blocks(graph.nodes[graph.result.output], graph.symbols[leaf], symmetric)
        if by_blocks is not None:
            return _sparse(graph, Representation(graph, as_arrays=_BLOCKS), by_blocks)
    representation = Representation(graph)
    with derivative_sweep():
        (gradient,) = reverse_sweep(representation, [leaf])
    hessian = jacobian(cs.vec(gradient), cs.vec(representation.inputs[leaf]), symmetric)
    return _sparse(graph, representation, stored_entries(hessian))


def _is_symmetric(graph: Graph) -> bool:
    """Tell whether Hessians are: what a rule of the user's gives for a gradient need not be one."""
    return not calls_rules(cs.Function("whole", graph.all_symbols, list(graph.nodes)))


class _Blocks:
    """Dense blocks of derivatives under construction: outputs of the function to be."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.representation = Representation(graph)
        self.expressions: list[Any] = list(self.representation.outputs)
        self.outputs: list[Output] = list(graph.outputs)

    def row(self, output: int, layout: Layout) -> Template:
        """Return the Jacobian of one output by all differentiated arguments."""
        return self.of(self.representation.outputs[output], self.graph.outputs[output].shape, layout)

    def of(
        self, expression: Any, shape: tuple[int, ...], layout: Layout, symmetric_in: int | None = None
    ) -> Template:
        """Return the Jacobian of an expression of a NumPy shape by all differentiated arguments."""
        place = {}
        for leaf in differentiated_leaves(self.graph, layout):
            symbol = self.representation.inputs[leaf]
            matrix = jacobian(cs.vec(expression), cs.vec(symbol), symmetric=leaf == symmetric_in)
            block_shape = shape + self.graph.leaves[leaf].shape
            # A row of the Jacobian, over the entries of the argument, is contiguous in C order.
            stored = cs.reshape(cs.densify(matrix.T), *stored_shape(block_shape))
            self.expressions.append(stored)
            self.outputs.append(float_output(block_shape))
            place[leaf] = Template(output=len(self.outputs) - 1)
        return like_arguments(self.graph, layout, place)

    def derived(self, result: Template) -> Derived:
        return derived(self.representation, self.expressions, self.outputs, result)


def _zeros(graph: Graph, layout: Layout) -> Callable[[Any], Template]:
    """Return what gives the derivatives of an output that does not depend on the arguments; None for no number."""

    def zeros(constant: Any) -> Template:
        array = np.asarray(constant)
        if array.dtype.kind not in "fiub" or isinstance(constant, str):
            return Template()
        place = {
            leaf: Template(constant=np.zeros(array.shape + graph.leaves[leaf].shape)[()])
            for leaf in differentiated_leaves(graph, layout)
        }
        return like_arguments(graph, layout, place)

    return zeros


def _only_leaf(graph: Graph, layout: Layout, transform: str) -> int:
    wanted = differentiated_leaves(graph, layout)
    require_one_argument(graph.name, transform, [graph.argument_trees[k] for k in layout.differentiated], len(wanted))
    return wanted[0]


def require_one_argument(name: str, transform: str, arguments: Sequence[Template], n_arrays: int) -> None:
    """Raise ValueError where a sparse derivative is asked by more than one array."""
    if len(arguments) != 1 or arguments[0].structure is not None:
        raise ValueError(
            f"{name}: {transform}(sparse=True) takes one array argument, got "
            f"{len(arguments)} argument{'s' * (len(arguments) != 1)} in a tree or tuple with "
            f"{n_arrays} array{'s' * (n_arrays != 1)}. Ask for one array at a time."
        )


def require_one_output(name: str, is_tree: bool) -> None:
    """Raise ValueError where a sparse derivative is asked of a tree."""
    if is_tree:
        raise ValueError(
            f"{name}: jac(sparse=True) needs a function that returns one array, and this returns a tree. Leave sparse "
            f"out."
        )


class SparseStructure:
    """The structure of a sparse result, in the place of a tree: puts the values into a ``csc_array``."""

    type = None
    num_nodes = 1
    num_leaves = 1

    def __init__(self, matrix: SparseMatrix) -> None:
        self.shape = matrix.shape
        self.indices = matrix.indices.astype(np.int32)
        self.index_pointers = matrix.index_pointers.astype(np.int32)

    def is_leaf(self, strict: bool = True) -> bool:
        """Tell that it is not a leaf."""
        return False

    def casadi_sparsity(self) -> cs.Sparsity:
        """Return the structure as CasADi has it."""
        return cs.Sparsity(*self.shape, self.index_pointers.tolist(), self.indices.tolist())

    def unflatten(self, values: Sequence[Any]) -> Any:
        """Return the sparse array of the given values of its stored entries."""
        if current_trace() is not None:
            raise TraceError("A sparse derivative cannot be used inside a traced function; ask for a dense one.")
        from scipy.sparse import csc_array

        return csc_array((values[0], self.indices.copy(), self.index_pointers.copy()), shape=self.shape)


def _sparse(graph: Graph, representation: Representation, matrix: SparseMatrix) -> Derived:
    outputs = [*graph.outputs, Output((matrix.indices.size,), np.dtype(np.float64), False)]
    result = Template(structure=SparseStructure(matrix), children=(Template(output=len(outputs) - 1),))
    return derived(
        representation, [*representation.outputs, matrix.values], outputs, with_auxiliary(graph, result)
    )
