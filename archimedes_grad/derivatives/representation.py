"""How a traced graph is evaluated: as operations on arrays, or expanded to operations on numbers."""


from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import casadi as cs

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.blas import on_blas
from archimedes_grad.nodes.broadcasts import repeated_in
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.graph import Graph, Output, Template

if TYPE_CHECKING:
    from archimedes_grad.derivatives.rolling import Loop

# What an operation costs to evaluate, in nanoseconds: benchmarks/representation.py refits these.
_SCALAR_OPERATION = 2.2
_ARRAY_NODE = 15.0
_ARRAY_ENTRY = 0.3

#: Larger graphs stay arrays whatever they would cost as scalars: expanding takes some microseconds an entry.
_LARGEST_EXPANSION = 200_000
#: Compiled code has a line for each scalar operation; loops over arrays are as fast, and short.
_LARGEST_NATIVE_EXPANSION = 150
#: Graphs of arrays are looked at for loops from so many instructions on: for compiled code, whose gradient would be too
#: long for a compiler otherwise, and for the interpreter, which loses time only where they outgrow the caches.
_ROLLED_FROM = (1_300, 50_000)
#: A call costs the interpreter as much as some dozen operations on small arrays.
_SMALLEST_STEP = 40


@dataclass(frozen=True, eq=False, repr=False)
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
    hidden
        The graph's captured arrays, or those of several paths one after the other.
    n_guards
        How many guards must hold. Where there are any, two more outputs follow: how many held from the first on,
        and the outcome of the one that did not.
    guards_in_order
        Of what came from another process: each guard by itself, where the evaluation may stop before they are reached.
    """

    graph: Graph
    function: cs.Function
    outputs: tuple[Output, ...]
    result: Template
    representation: str
    reason: str
    hidden: tuple[Any, ...]
    n_guards: int
    guards_in_order: cs.Function | None = None

    @property
    def can_fail(self) -> bool:
        """Whether evaluation can fail, so that the last output has to be looked at."""
        return self.graph.can_fail

    @property
    def goes_by_strides(self) -> bool:
        """Whether this, or another path from here, may be wrong for arguments that lie in memory in another way."""
        return self.graph.goes_by_strides or self.graph.can_fail or self.n_guards > 0


#: What a transformation does: from a graph and the layout of its call.
Transformation = Callable[[Graph, Layout], Derived]


class Representation:
    """The graph's inputs and outputs as CasADi expressions: of arrays (MX), or expanded to scalars (SX).

    Parameters
    ----------
    as_arrays
        Why they must be arrays; None: whichever costs less.
    is_differentiated
        Whether derivatives are taken of the graph's result.
    """

    def __init__(self, graph: Graph, as_arrays: str | None = None, is_differentiated: bool = True) -> None:
        self.graph = graph
        self.inputs: list[Any] = graph.all_symbols
        self.outputs: list[Any] = list(graph.nodes)
        self.name, self.reason = "array", ""
        with forward_nodes():
            self.success: Any = cs.MX(1.0) if graph.success is None else graph.success
            self.guards: Any = cs.vertcat(*(guard.node for guard in graph.guards)) if graph.guards else cs.MX(0, 1)
            primal = cs.Function("primal", self.inputs, [*self.outputs, self.success, self.guards])
            self.name, self.reason = _choice(graph, primal) if as_arrays is None else ("array", as_arrays)
            if self.name == "scalar":
                if graph.large_products:
                    in_full = repeated_in([*self.outputs, self.success, self.guards])
                    primal = cs.Function("primal", self.inputs, in_full)
                expanded = primal.expand()
                self.inputs = [cs.SX.sym(f"x{i}", *s.shape) for i, s in enumerate(graph.all_symbols)]
                *self.outputs, self.success, self.guards = expanded.call(self.inputs)
            elif as_arrays is None and primal.n_instructions() >= _ROLLED_FROM[graph.engine == "vm"]:
                self._roll(primal, graph.result.all_outputs if is_differentiated else [])

    @property
    def kind(self) -> Any:
        """CasADi's class of the expressions."""
        return cs.SX if self.name == "scalar" else cs.MX

    def _roll(self, primal: cs.Function, differentiated: list[int]) -> None:
        """Make the steps of a Python loop a loop again, where they are many and all alike."""
        from archimedes_grad.derivatives.rolling import repeated_steps

        while (loop := repeated_steps(primal, self.outputs, differentiated)) is not None and (
            self.graph.engine != "vm" or _worth_calls(loop)
        ):
            step = _step(self.graph, loop)
            *self.outputs, self.success, self.guards = loop.put_back(
                step, [*self.outputs, self.success, self.guards]
            )
            primal = cs.Function("primal", self.inputs, [*self.outputs, self.success, self.guards])
            self.graph = replace(self.graph, opaque=True)
            self.reason += f"; {loop.times} equal steps are a loop"


def _worth_calls(loop: Loop) -> bool:
    """Tell whether the interpreter is faster with calls of a step than with all steps in line."""
    nodes = loop.array_nodes
    return nodes >= _SMALLEST_STEP and nodes * loop.times >= _ROLLED_FROM[True] / 2 and loop.array_entries <= 64 * nodes


def _step(graph: Graph, loop: Loop) -> cs.Function:
    """Return the step of a loop, in the representation that is best for it."""
    symbols = (*loop.carries, *loop.slices, *loop.shared)
    results = tuple(Template(output=k) for k in range(len(loop.expressions)))
    step = Representation(
        replace(
            graph, symbols=symbols, hidden_symbols=(), nodes=tuple(loop.expressions), success=None, guards=(),
            result=Template(structure=tuple, children=results), array_nodes=loop.array_nodes,
            array_entries=loop.array_entries, opaque=graph.opaque or loop.has_ends,
        )
    )  # fmt: skip
    return graph_function("step", step.inputs, step.outputs)


def _choice(graph: Graph, primal: cs.Function) -> tuple[str, str]:
    if graph.opaque:
        return "array", "a node must stay whole: a factorisation, a choice, a solver or a long loop"
    if graph.engine == "native" and graph.array_entries > _LARGEST_NATIVE_EXPANSION:
        return "array", "the native engine fuses operations on arrays"
    instructions = primal.n_instructions()
    scalars = max(0, instructions - graph.array_nodes)
    # As scalars every number that goes in or out is an instruction too.
    at_the_border = primal.nnz_in() + primal.nnz_out()
    entries = scalars + graph.array_entries
    if graph.array_entries > _LARGEST_EXPANSION:
        return "array", f"{entries} scalar operations are too many to expand"
    as_scalars = _SCALAR_OPERATION * (entries + at_the_border)
    as_arrays = _ARRAY_NODE * instructions + _ARRAY_ENTRY * (graph.array_entries + at_the_border)
    estimate = f"estimated {as_scalars / 1000:.3g} µs as scalars, {as_arrays / 1000:.3g} µs as arrays"
    return ("scalar" if as_scalars <= as_arrays else "array"), estimate


def derived(representation: Representation, expressions: list[Any], outputs: list[Output], result: Template) -> Derived:
    """Return the compiled Function of those expressions that the result uses."""
    kept, result = _without_unused(result)
    graph = representation.graph
    used = [cs.densify(expressions[k]) for k in kept]
    with forward_nodes():
        used += _checks(representation)
        # What is compiled chooses the form of its products itself.
        if graph.large_products and representation.name == "array" and graph.engine != "native":
            used = on_blas(used)
        function = graph_function("compiled", representation.inputs, used)
        if representation.name == "array" and current_trace() is None and function.find_functions():
            from archimedes_grad.derivatives.mapped_calls import in_lots

            function = in_lots(function)
    kept_outputs = tuple(outputs[k] for k in kept)
    return Derived(
        graph, function, kept_outputs, result, representation.name, representation.reason, graph.hidden,
        len(graph.guards),
    )  # fmt: skip


def _checks(representation: Representation) -> list[Any]:
    """Return what tells whether the outputs count: success, then the guards.

    Of a function called by itself: how many guards held from the first on, and the outcome of the first that did
    not, with nan of the later ones masked out. Inside another trace: the guards' own values.
    """
    graph = representation.graph
    checks = [representation.success] if graph.can_fail else []
    if not graph.guards:
        return checks
    if current_trace() is not None:
        return [*checks, representation.guards]
    kind = representation.kind
    outcomes = kind(cs.DM([guard.outcome for guard in graph.guards]))
    holds = cs.vertsplit(kind.binary(cs.OP_EQ, representation.guards, outcomes))
    held_until = [holds[0]]
    for hold in holds[1:]:
        held_until.append(kind.binary(cs.OP_MUL, held_until[-1], hold))
    held = cs.vertcat(*held_until)
    reached = cs.vertcat(kind(1.0), *held_until[:-1])
    first_to_fail = kind.binary(cs.OP_SUB, reached, held)
    return [*checks, cs.sum1(held), cs.sum1(kind.binary(cs.OP_IF_ELSE_ZERO, first_to_fail, representation.guards))]


def _without_unused(result: Template) -> tuple[list[int], Template]:
    """Return the outputs that a result uses, in order, and the result with these renumbered."""
    places: dict[int, int] = {}
    renumbered = result.mapped(
        lambda output: Template(output=places.setdefault(output, len(places))),
        lambda constant: Template(constant=constant),
    )
    return list(places), renumbered
