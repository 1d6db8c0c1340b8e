"""The traced graph: inputs, hidden inputs and outputs of one run of a function, as CasADi expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.specs import flatten
from archimedes_grad.arrays.trace_state import Guard
from archimedes_grad.nodes.gather import Shape
from archimedes_grad.nodes.loops import Loop
from archimedes_grad.nodes.strided import laid_out, strides_in_memory


class Leaf(NamedTuple):
    """A numeric leaf of an argument: one input of the graph.

    Attributes
    ----------
    position
        Position of the argument among the values of the call.
    name
        The argument's name with the path to the leaf, as messages show it: ``params['w']``.
    dtype
        NumPy's dtype inside the function; float64 for what is differentiated.
    python_type
        ``float`` or ``int`` for an undifferentiated plain Python number, which takes on the dtype of the
        arrays that it meets; None for anything of NumPy's.
    strides
        How it lies in memory where that is not in C order: see ``strided.strides_in_memory``.
    """

    position: int
    name: str
    shape: Shape
    dtype: np.dtype[Any]
    differentiated: bool
    python_type: type | None = None
    strides: tuple[int, ...] | None = None


class Output(NamedTuple):
    """A numeric output: its shape and dtype, and whether NumPy gives a scalar rather than a 0-d array."""

    shape: Shape
    dtype: np.dtype[Any]
    is_scalar: bool

    def from_flat(self, entries: npt.NDArray[np.float64]) -> Any:
        """Return flat entries as NumPy has this output."""
        value = entries.reshape(self.shape).astype(self.dtype)
        return value[()] if self.is_scalar else value


class Template(NamedTuple):
    """How outputs make up a result: an output, a constant, or a tree of these.

    Exactly one of ``output`` (an index), ``structure`` (a tree over ``children``) or ``constant`` counts:
    the first that is not None, ``constant`` otherwise. A plain tuple has the structure ``tuple``.
    """

    output: int | None = None
    structure: Any = None
    children: tuple[Template, ...] = ()
    constant: Any = None

    def __reduce__(self) -> Any:
        return _template, (self.output, _portable(self.structure), self.children, self.constant)

    def mapped(self, of_output: Callable[[int], Template], of_constant: Callable[[Any], Template]) -> Template:
        """Return the same tree with something else in the place of each output, and of each constant."""
        if self.output is not None:
            return of_output(self.output)
        if self.structure is not None:
            children = tuple(child.mapped(of_output, of_constant) for child in self.children)
            return Template(structure=self.structure, children=children)
        return of_constant(self.constant)

    @property
    def all_outputs(self) -> list[int]:
        """The indices of the outputs, as often as they stand in the tree."""
        if self.output is not None:
            return [self.output]
        return [output for child in self.children for output in child.all_outputs]

    def build(self, outputs: Sequence[Any]) -> Any:
        """Return the result with the outputs in their places."""
        if self.output is not None:
            return outputs[self.output]
        if self.structure is tuple:
            return tuple(child.build(outputs) for child in self.children)
        if self.structure is not None:
            return self.structure.unflatten([child.build(outputs) for child in self.children])
        if type(self.constant) is np.ndarray:
            return laid_out(self.constant, self.constant.dtype, strides_in_memory(self.constant))
        if isinstance(self.constant, np.ndarray):
            return self.constant.copy(order="K")
        return self.constant


class _Form(NamedTuple):
    """The structure of a tree as a tree of numbers: one of dataclasses is known only where these were met before."""

    tree: Any


def _portable(structure: Any) -> Any:
    return _Form(structure.unflatten(range(structure.num_leaves))) if hasattr(structure, "accessors") else structure


def _template(output: int | None, structure: Any, children: tuple[Template, ...], constant: Any) -> Template:
    if isinstance(structure, _Form):
        structure = flatten(structure.tree)[1]
    return Template(output, structure, children, constant)


# No repr: CasADi overflows the stack when it prints a deep expression.
@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """What one run of a function on symbols gave.

    Attributes
    ----------
    leaves, symbols
        The numeric leaves of the arguments and their symbols, stored as ``gather.stored_shape`` says.
    hidden, hidden_symbols
        Captured constant arrays (flat, float64), bound once, and their symbols. In a graph traced inside
        another trace, the CasADi expressions of the outer one that the function closes over.
    nodes, outputs
        The expressions of the numeric outputs, and what they are in NumPy.
    result, auxiliary
        How outputs make up the function's result, and what ``has_aux`` returns beside it.
    argument_trees
        For the position of each value of the call, how leaves (by index) make it up.
    success
        The expression, 0 or 1, of whether the evaluation has succeeded; None where nothing but a failing
        node decides that.
    black_boxes
        What CasADi calls back, kept alive as long as the graph.
    tries
        Whether a call that may fail stood where the function may have caught that.
    goes_by_strides
        Whether the function may give something else for arguments that lie in memory in another way.
    guards
        The decisions that led along this path: it holds where all of them have the same outcome.
    failure
        What the error says where an evaluation fails.
    engine
        What evaluates it: between arrays and scalars, engines choose differently.
    array_nodes, array_entries, selects, can_fail, opaque, large_products, has_several_outputs, loops
        What the choice of representation, derivatives and the engine need: see ``trace_state.Trace``.
    """

    name: str
    leaves: tuple[Leaf, ...]
    symbols: tuple[cs.MX, ...]
    hidden: tuple[Any, ...]
    hidden_symbols: tuple[cs.MX, ...]
    nodes: tuple[cs.MX, ...]
    outputs: tuple[Output, ...]
    result: Template
    auxiliary: Template | None
    array_nodes: int
    array_entries: int
    selects: bool
    can_fail: bool
    opaque: bool
    large_products: bool
    black_boxes: tuple[Any, ...]
    argument_trees: Mapping[int, Template]
    success: cs.MX | None = None
    failure: str = "Singular matrix"
    guards: tuple[Guard, ...] = ()
    engine: str = "vm"
    tries: bool = False
    goes_by_strides: bool = False
    has_several_outputs: bool = False
    loops: Mapping[int, tuple[cs.Function, Loop]] = field(default_factory=dict)

    @property
    def all_symbols(self) -> list[cs.MX]:
        """The symbols of the leaves, then the hidden ones: the inputs of every function of this graph."""
        return [*self.symbols, *self.hidden_symbols]
