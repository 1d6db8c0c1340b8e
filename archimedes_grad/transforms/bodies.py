"""Bodies: functions that are traced once and evaluated many times, or not at all, inside the graph around them.

``vmap``, ``scan``, ``cond`` and the others take functions that run on slices, carries or operands. Each is traced
on symbols of its own, whose values are placeholders, and becomes a CasADi Function. What it closes over in the
trace around it becomes an input: for the length of the body's trace every traced array that the function can reach
(through its closure, defaults, bound object and the globals that it names) stands for a symbol of the body. So
nothing that is computed inside the body moves out of it: a branch not taken is not evaluated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arguments.specs import (
    flatten,
    is_static_by_nature,
    is_tree,
    key_orders,
    leaves_of,
    shown_structure,
)
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray
from archimedes_grad.arrays.constants import constant_node
from archimedes_grad.arrays.new_arrays import holding, new_array
from archimedes_grad.arrays.operands import gathered, value_of
from archimedes_grad.arrays.trace_state import current_trace, outlived
from archimedes_grad.compilation.nesting import values_of_closure
from archimedes_grad.derivatives.autodiff import differentiable_function
from archimedes_grad.engines.vm import evaluated
from archimedes_grad.nodes.functions import called
from archimedes_grad.nodes.gather import Shape, reshaped
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import chooses
from archimedes_grad.tracing.bound_arguments import BoundArguments
from archimedes_grad.tracing.closures import standing_for
from archimedes_grad.tracing.graph import Graph, Output
from archimedes_grad.tracing.trace import trace

#: Bodies evaluated more often than this in all are never expanded into the graph around them.
_LARGEST_INLINED = 20_000


# --- trees of numbers ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Structure:
    """A tree without its numbers: where they stand, and the leaves that are no numbers."""

    tree: Any
    static: tuple[tuple[int, Any], ...]
    n_leaves: int

    def build(self, numbers: Sequence[Any]) -> Any:
        """Return the tree with these numbers in it."""
        static = dict(self.static)
        remaining = iter(numbers)
        leaves = [static[k] if k in static else next(remaining) for k in range(self.n_leaves)]
        return leaves[0] if self.tree is None else self.tree.unflatten(leaves)

    def arranged(self, tree: Any) -> Any:
        """Return a tree of this structure with the keys of its dictionaries in the order that they have here."""
        return tree if self.tree is None else self.tree.unflatten(flatten(tree)[0])

    @property
    def key_orders(self) -> tuple[Any, ...]:
        """The keys of each dictionary in their order, of which equal structures may have another."""
        return () if self.tree is None else key_orders(self.tree)

    def without_static(self) -> Structure:
        """Return the same structure with None for the leaves that are no numbers: that of a direction."""
        return Structure(self.tree, tuple((k, None) for k, _ in self.static), self.n_leaves)

    def __str__(self) -> str:
        if self.tree is None:
            return f"no array but {self.static[0][1]!r}" if self.static else "one array"
        return shown_structure(self.tree)


def apart(owner: str, what: str, tree: Any, as_argument: bool = False) -> tuple[list[Any], Structure]:
    """Return the numbers of a tree (traced arrays, ndarrays, plain numbers as NumPy's), and its structure.

    Of an argument plain truth values are static, and plain numbers stay Python's.

    Raises
    ------
    TypeError
        For a leaf that is neither a real number, an array of these, nor static by nature.
    """
    tree = gathered(tree) if isinstance(tree, np.ndarray) else tree
    if is_tree(tree) and not isinstance(tree, SymbolicArray):
        leaves, structure = flatten(tree)
    else:
        leaves, structure = [tree], None
    numbers: list[Any] = []
    static: list[tuple[int, Any]] = []
    for k, leaf in enumerate(leaves):
        number = as_number(leaf)
        if as_argument and type(leaf) in (bool, np.bool_):
            static.append((k, leaf))
        elif number is not None:
            numbers.append(leaf if as_argument and type(leaf) in (int, float) else number)
        elif is_static_by_nature(leaf):
            static.append((k, leaf))
        else:
            raise TypeError(
                f"{owner}: {what} holds a {type(leaf).__name__}, where arrays, real numbers and trees of these are "
                f"expected. Take the numbers out of it, or let the function close over it."
            )
    return numbers, Structure(structure, tuple(static), len(leaves))


def as_number(leaf: Any) -> Any:
    """Return a leaf as traced array, ndarray or number of NumPy's; None where it holds no real numbers."""
    leaf = gathered(leaf)
    if isinstance(leaf, SymbolicArray):
        if current_trace() is None:
            raise outlived()
        return leaf
    if isinstance(leaf, np.ndarray | np.generic | int | float):
        array = np.asarray(leaf)
        if array.dtype.kind in "fiub":
            return array if isinstance(leaf, np.ndarray) else array[()]
    return None


def numbers_in(operands: tuple[Any, ...]) -> list[Any]:
    """Return the numbers of operands as a trace binds them: plain truth values are static."""
    leaves = [leaf for operand in operands for leaf in leaves_of(operand)]
    return [leaf for leaf in leaves if type(leaf) not in (bool, np.bool_) and as_number(leaf) is not None]


def owned(tree: Any) -> Any:
    """Return a tree with its arrays copied: what a loop or a choice gives is new, evaluated by Python as in a graph."""
    if not is_tree(tree) or isinstance(tree, SymbolicArray):
        return _own(tree)
    leaves, structure = flatten(tree)
    return structure.unflatten([_own(leaf) for leaf in leaves])


def _own(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray | SymbolicArray) else leaf


def as_traced(number: Any) -> SymbolicArray:
    """Return a real number as traced array.

    Raises
    ------
    TraceError
        If it is complex.
    """
    if isinstance(number, ComplexArray):
        return number.node
    if isinstance(number, SymbolicArray):
        return number
    return new_array(constant_node(number), np.array(number)[()])


def shapes_of(numbers: Sequence[Any]) -> list[Shape]:
    """Return the shapes of the numbers of a tree."""
    return [np.shape(value_of(number)) for number in numbers]


def shown_shapes(shapes: Sequence[Shape]) -> str:
    """Return shapes, for messages."""
    return f"shape {shapes[0]}" if len(shapes) == 1 else f"shapes {', '.join(map(str, shapes)) or '()'}"


# --- the body -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Body:
    """A function traced on symbols of its own.

    Attributes
    ----------
    function
        Takes the numbers of the arguments, then what is closed over; gives the numbers of the result, then, where
        it can fail, 1 after success.
    n_own
        How many inputs are numbers of the arguments.
    closed_nodes, closed_values
        What is closed over in the trace around: nodes, and flat values in the run under way.
    outputs, structure
        The numbers of the result in NumPy, and how they make it up.
    """

    owner: str
    function: cs.Function
    n_own: int
    closed_nodes: tuple[cs.MX, ...]
    closed_values: tuple[npt.NDArray[np.float64], ...]
    outputs: tuple[Output, ...]
    structure: Any
    can_fail: bool

    @property
    def shown_result(self) -> str:
        """The shapes of the result, for messages."""
        return shown_shapes([output.shape for output in self.outputs]) if self.outputs else str(self.structure)

    @property
    def n_instructions(self) -> int:
        """Instructions that one evaluation runs."""
        return max(1, self.function.n_instructions())


def traced_body(
    owner: str, function: Callable[..., Any], args: Sequence[Any], names: Sequence[str],
    outer_arrays: Sequence[SymbolicArray], what: str = "the result", split: Callable[[Any], Any] | None = None,
    with_complex: bool = False,
) -> Body:  # fmt: skip
    """Trace a function on symbols of its own, with placeholders for values.

    Parameters
    ----------
    owner
        The form that the function belongs to, for messages.
    args, names
        Arguments (trees) whose leaves have the shapes, dtypes and placeholder values; and their names.
    outer_arrays
        What the function closes over: see :func:`closed_over`.
    split
        Takes the result apart into ``(numbers, structure)``; :func:`apart` when left out.
    with_complex
        Whether arguments may be complex: each is two inputs, its parts.

    Raises
    ------
    TraceError
        Where a decision rests on a value of the body.
    """
    outer = current_trace()
    assert outer is not None
    structures: list[Any] = []

    def run(*values: Any) -> list[SymbolicArray]:
        *own, symbols = values
        with standing_for(owner, outer_arrays, symbols):
            returned = function(*own)
            numbers, structure = split(returned) if split else apart(owner, what, returned)
            structures.append(structure)
            return [as_traced(number) for number in numbers]

    layout = Layout(len(args) + 1, (), (*names, "closure"), frozenset())
    closure = [np.array(array.value) for array in outer_arrays]
    bound = BoundArguments(owner, layout, (*args, closure), with_complex)
    graph = trace(run, bound, layout, False, values_known=False)
    own = [k for k, leaf in enumerate(graph.leaves) if leaf.position < len(args)]
    used = _used_symbols(graph)
    reached = [k for k in range(len(own), len(graph.leaves)) if hash(graph.symbols[k]) in used]
    kept = [*own, *reached]
    graph = dataclasses.replace(
        graph, leaves=tuple(graph.leaves[k] for k in kept), symbols=tuple(graph.symbols[k] for k in kept)
    )
    derived = differentiable_function(graph, layout)
    reached_arrays = [outer_arrays[k - len(own)] for k in reached]
    if derived.representation == "array":
        outer.opaque |= derived.graph.opaque
        outer.large_products |= graph.large_products
    outer.can_fail |= graph.can_fail
    outer.selects |= graph.selects or chooses(derived.function)
    outer.loops |= graph.loops
    return Body(
        owner, derived.function, len(own), (*(array.node for array in reached_arrays), *graph.hidden),
        (*values_of(reached_arrays), *values_of_closure(graph.hidden, outer)), derived.outputs, structures[-1],
        derived.can_fail,
    )  # fmt: skip


def _used_symbols(graph: Graph) -> set[int]:
    nodes = [*graph.nodes, *(() if graph.success is None else (graph.success,))]
    return {hash(symbol) for symbol in cs.symvar(cs.veccat(*nodes))} if nodes else set()


def applied(
    function: cs.Function, nodes: Sequence[cs.MX], values: Sequence[npt.ArrayLike], outputs: Sequence[Output | None],
    times: int = 1, can_fail: bool = False, opaque: bool | None = None,
) -> list[SymbolicArray]:  # fmt: skip
    """Put a Function into the graph under way as one node, and return its outputs as traced arrays.

    Parameters
    ----------
    outputs
        The outputs in NumPy; None for one that only derivatives read, which is left out of the result.
    times
        Instructions that an evaluation runs, in all.
    can_fail
        The last output of the function is 1, entry by entry, after success.
    opaque
        Whether the function must stay a node: expanded to scalars it would lose what it is for. None: where it
        is evaluated often.
    """
    trace_under_way = current_trace()
    assert trace_under_way is not None
    trace_under_way.array_nodes += 1
    trace_under_way.array_entries += times
    trace_under_way.has_several_outputs |= function.n_out() > 1
    trace_under_way.opaque |= times > _LARGEST_INLINED if opaque is None else opaque
    with forward_nodes():
        results = called(function, nodes)
        if can_fail:
            trace_under_way.conditions.append(cs.mmin(results[-1]))
            trace_under_way.can_fail = True
    try:
        flat = evaluated(function, values)
    except RuntimeError:
        # A solver may fail at placeholders, and yet not where it counts.
        if trace_under_way.values_known:
            raise
        flat = [np.ones(function.nnz_out(k)) for k in range(function.n_out())]
    return [
        _as_array(node, value, output)
        for node, value, output in zip(results, flat, outputs, strict=False)
        if output is not None
    ]


def fails_with(message: str) -> None:
    """Say what the error is to be where an evaluation of the graph under way fails."""
    trace_under_way = current_trace()
    while trace_under_way is not None:
        if not trace_under_way.can_fail:
            trace_under_way.failure = message
        elif message not in trace_under_way.failure:
            trace_under_way.failure += f"; or {message}"
        trace_under_way = trace_under_way.parent


def _as_array(node: cs.MX, flat: npt.NDArray[np.float64], output: Output) -> SymbolicArray:
    # A Function of one node that is a structural zero, as a sum of nothing, gives one, inlined; it has no entry.
    node = node if node.is_dense() else cs.densify(node)
    flat = flat if flat.size else np.zeros(math.prod(output.shape))
    return holding(reshaped(node, output.shape), output.from_flat(flat))


def stacked(output: Output, n: int) -> Output:
    """Return what n of an output, stacked along a new first axis, are in NumPy."""
    return Output((n, *output.shape), output.dtype, False)


def values_of(numbers: Sequence[Any]) -> list[npt.NDArray[np.float64]]:
    """Return the values of numbers, flat in C order."""
    return [np.asarray(value_of(number), dtype=np.float64).reshape(-1) for number in numbers]


def side_by_side(node: cs.MX, rows: int) -> cs.MX:
    """Return items that are stored one after the other as matrices of so many rows, side by side."""
    return node if node.size1() == rows else cs.reshape(node, rows, node.numel() // rows if rows else 0)


def placeholder(number: Any, shape: Shape) -> Any:
    """Return the first slice of a number along its first axis, or ones where it has none."""
    value = value_of(number)
    return standing_in(np.array(value[0]) if len(value) else np.ones(shape, value.dtype))


def standing_in(value: npt.NDArray[Any]) -> Any:
    """Return what stands for a number while a body is traced: a truth value as traced, since plain ones are static."""
    return as_traced(value) if value.dtype.kind == "b" and not value.shape else value[()]
