"""Run a function once on symbols, and give its graph."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import Any

import casadi as cs
import numpy as np

import archimedes_grad.rules  # registers the rules
import archimedes_grad.tracing.waits  # noqa: F401  # registers what waits for threads
from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arguments.specs import (
    flatten,
    is_tree,
)
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray, ComplexForm
from archimedes_grad.arrays.new_arrays import holding
from archimedes_grad.arrays.operands import gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import Guard, Trace, current_trace, leaked, trace_error
from archimedes_grad.arrays.user_code import UserLine
from archimedes_grad.nodes.gather import stored_shape
from archimedes_grad.nodes.rebuilding import Rebuilding, ordered
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.nodes.strided import laid_out
from archimedes_grad.tracing.bound_arguments import BoundArguments, described
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.tracing.failures import called
from archimedes_grad.tracing.graph import Graph, Leaf, Output, Template
from archimedes_grad.tracing.surroundings import within


class CaughtFailureError(Exception):
    """What was traced caught the failure of a call: the path depends on it, and has to be traced with guards for it."""


def trace(
    function: Callable[..., Any], bound: BoundArguments, layout: Layout, has_aux: bool, values_known: bool = True,
    script: tuple[float, ...] = (), structured: bool = False, engine: str = "vm", asks_failures: bool = False,
) -> Graph:  # fmt: skip
    """Run a function once on symbols for the numeric leaves of its arguments.

    Decisions of the function on traced values follow their actual values, after the outcomes of a ``script``
    for the first of them; ``structured`` refuses them. The ``engine`` counts in an outermost trace. With
    ``asks_failures`` a call that fails, and one that might be caught where it failed, is a decision, too.

    Raises
    ------
    CaughtFailureError
        If a call failed, the function caught that, and ``asks_failures`` is not set.
    TraceError
        If the function asks a symbol for a plain number, or calls a NumPy function without a rule.
    TypeError, ValueError
        If the function does not return numbers; if ``has_aux`` is set and it returns no pair.
    """
    outer = current_trace()
    asks_failures = asks_failures if outer is None else outer.asks_failures
    current = Trace(outer, values_known, script, structured, engine, asks_failures)
    return within(current, lambda: _traced(current, function, bound, layout, has_aux))


def _traced(
    current: Trace, function: Callable[..., Any], bound: BoundArguments, layout: Layout, has_aux: bool
) -> Graph:
    symbols = tuple(
        _symbol(current, leaf, value) for leaf, value in zip(bound.leaves, bound.values, strict=True)
    )
    arrays = [
        holding(symbol, _carried_value(leaf, value))
        for symbol, leaf, value in zip(symbols, bound.leaves, bound.values, strict=True)
    ]
    try:
        return _run(current, function, bound, layout, has_aux, symbols, arrays)
    except Exception:
        if current.parent is not None:
            # The function around may catch it, and then goes on as these were decided.
            current.parent.guards += guards_outside(current.guards, symbols, bound.values)
        raise


def guards_outside(guards: Sequence[Guard], symbols: Sequence[cs.MX], values: Sequence[Any]) -> list[Guard]:
    """Return guards of a trace inside as those of the trace around it, where its symbols stand for values."""
    if not guards:
        return []  # Of no expressions CasADi gives a matrix, not a list.
    with forward_nodes():
        nodes = cs.graph_substitute([guard.node for guard in guards], list(symbols), [node_of(x) for x in values])
    return [replace(guard, node=node) for guard, node in zip(guards, nodes, strict=True)]


def _run(
    current: Trace, function: Callable[..., Any], bound: BoundArguments, layout: Layout, has_aux: bool,
    symbols: tuple[cs.MX, ...], arrays: Sequence[SymbolicArray],
) -> Graph:  # fmt: skip
    passed = [bound.trees[position].build(arrays) for position in range(len(bound.trees))]
    keywords = dict(zip(layout.keywords, passed[layout.n_positional :], strict=True))
    returned = called(function, passed[: layout.n_passed], keywords)
    if current.parent is None and current.failed_at is not None:
        _raise_caught(current, current.failed_at)
    auxiliary = None
    collector = _Outputs(bound.name, current.parent is None)
    if has_aux:
        returned, auxiliary = auxiliary_pair(bound.name, returned)
    result = collector.template(returned)
    auxiliary_template = None if not has_aux else collector.template(auxiliary)
    conditions = [functools.reduce(_both, current.conditions)] if current.conditions else []
    guards = current.guards
    everything = [*collector.nodes, *conditions, *(guard.node for guard in guards)]
    nodes, hidden, hidden_symbols = _closed(current, everything, symbols)
    success = nodes[len(collector.nodes)] if conditions else None
    guard_nodes = nodes[len(nodes) - len(guards) :]
    return Graph(
        name=bound.name,
        leaves=tuple(bound.leaves),
        symbols=symbols,
        hidden=hidden,
        hidden_symbols=hidden_symbols,
        nodes=nodes[: len(collector.nodes)],
        outputs=tuple(collector.outputs),
        result=result,
        auxiliary=auxiliary_template,
        array_nodes=current.array_nodes,
        array_entries=current.array_entries,
        selects=current.selects,
        can_fail=current.can_fail,
        opaque=current.opaque or _takes_constants_of(current.parent, nodes),
        large_products=current.large_products,
        engine=current.engine,
        black_boxes=tuple(current.black_boxes),
        argument_trees=dict(bound.trees),
        success=success,
        failure=current.failure,
        has_several_outputs=current.has_several_outputs,
        loops=current.loops,
        tries=current.outermost.tries,
        goes_by_strides=current.outermost.goes_by_strides,
        guards=tuple(
            replace(guard, node=node) for guard, node in zip(guards, guard_nodes, strict=True)
        ),
    )


def _raise_caught(trace: Trace, line: UserLine) -> None:
    """Raise that a failure was caught, of which there is no guard."""
    if not trace.asks_failures and not trace.structured:
        raise CaughtFailureError
    what = (
        'which control_flow="structured" does not allow'
        if trace.structured
        else "where no guard tells of it: in a body of vmap, scan or cond, or of odeint"
    )
    raise trace_error(
        f"The failure of a traced call was caught, {what}.",
        "Ask first, by a condition on values (np.linalg.eigvalsh(A)[0] > 0, np.linalg.matrix_rank(A) == n), and let "
        "np.where, arc.cond or a branch follow it.",
        line,
    )


def _takes_constants_of(outer: Trace | None, nodes: Sequence[cs.MX]) -> bool:
    """Tell whether a graph may hold what must stay whole and was computed by the trace around, of constants alone.

    What depends on symbols of the trace around is cut out of a nested graph; of this there are none to cut at.
    """
    if outer is None or not outer.opaque:
        return False
    varies: set[int] = set()
    for node in ordered(nodes):
        if node.expression.is_symbolic() or not varies.isdisjoint(node.operand_keys):
            varies.add(node.key)
        elif node.operands:
            return True
    return False


def _both(condition: cs.MX, other: cs.MX) -> cs.MX:
    return cs.MX.binary(cs.OP_AND, condition, other)


def _symbol(current: Trace, leaf: Leaf, value: Any) -> cs.MX:
    name = "".join(character if character.isascii() and character.isalnum() else "_" for character in leaf.name)
    rows, columns = stored_shape(leaf.shape)
    return current.new_symbol(name, rows, columns, value.value if isinstance(value, SymbolicArray) else value)


def _carried_value(leaf: Leaf, value: Any) -> Any:
    """Return the value that the symbol carries: a copy, which the function may write to, laid out as the value is."""
    value = value_of(value)
    if leaf.python_type is not None:
        return value
    copied = laid_out(value, leaf.dtype, leaf.strides)
    return copied if isinstance(value, np.ndarray) else copied[()]


def auxiliary_pair(name: str, returned: Any) -> tuple[Any, Any]:
    """Return what a function with ``has_aux=True`` returned: the output, and what comes beside it.

    Raises
    ------
    TypeError
        If that is no pair.
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(
            f"{name}: has_aux=True expects the function to return (output, aux), got {described(returned)}. Return "
            f"both in a tuple, or leave has_aux out."
        )
    return returned


#: What a result may hold that cannot hold traced values.
_PLAIN = (np.ndarray, np.generic, str, bytes, int, float, complex, type(None))


class _Outputs:
    """Collects the numeric outputs of a result while it is turned into a template."""

    def __init__(self, name: str, outermost: bool) -> None:
        self.name = name
        self.outermost = outermost
        self.nodes: list[cs.MX] = []
        self.outputs: list[Output] = []

    def template(self, returned: Any) -> Template:
        if is_tree(returned):
            leaves, structure = flatten(returned)
            return Template(structure=structure, children=tuple(self._leaf(leaf) for leaf in leaves))
        return self._leaf(returned)

    def _leaf(self, value: Any) -> Template:
        value = gathered(value)
        if isinstance(value, Iterator):
            raise TypeError(
                f"{self.name}: the function returns {described(value)}, which would compute when the trace is over; "
                f"arrays, numbers or trees of these were expected: return a list or tuple of its items."
            )
        if isinstance(value, Awaitable):
            if isinstance(value, Coroutine):
                value.close()
            raise TypeError(
                f"{self.name}: the function returns a {type(value).__name__}, which runs when the trace is over; "
                f"arrays, numbers or trees of these were expected. Await outside, and pass the result."
            )
        if not isinstance(value, SymbolicArray):
            if self.outermost and not isinstance(value, _PLAIN) and closed_over([value]):
                raise TypeError(
                    f"{self.name}: the function returns {described(value)}, which holds traced values; arrays, numbers "
                    f"or trees of these were expected. Return its numbers in a tuple, dict or dataclass, and build the "
                    f"{type(value).__name__} outside."
                )
            # Who holds the array may write to it.
            return Template(constant=value.copy() if isinstance(value, np.ndarray) else value)
        if isinstance(value, ComplexArray):
            both = (self._leaf(value.real), self._leaf(value.imag))
            return Template(structure=ComplexForm(value.dtype, False), children=both)
        self.nodes.append(node_of(value))
        self.outputs.append(Output(value.shape, value.dtype, not isinstance(value.value, np.ndarray)))
        return Template(output=len(self.nodes) - 1)


def _closed(
    current: Trace, nodes: list[cs.MX], symbols: tuple[cs.MX, ...]
) -> tuple[tuple[cs.MX, ...], tuple[Any, ...], tuple[cs.MX, ...]]:
    """Return the output nodes with everything they depend on but the symbols as hidden inputs.

    In an outermost trace these are the captured arrays. In a nested one they are the expressions of the
    outer trace that the function closes over: cut out, so that the outer graph is not repeated inside.
    """
    if current.parent is None:
        captured = current.captured
        _require_known(nodes, [*symbols, *(entry.symbol for entry in captured)])
        return (
            tuple(nodes),
            tuple(np.ascontiguousarray(entry.copy, dtype=np.float64).reshape(-1) for entry in captured),
            tuple(entry.symbol for entry in captured),
        )
    # Of nodes without entries nothing is read.
    nodes = [node if node.numel() else cs.MX(*node.shape) for node in nodes]
    # The nodes themselves are cut out: copies of them would double the graph with each trace inside.
    expressions, bare = _read_from_outside(nodes, {hash(symbol) for symbol in symbols})
    cut_symbols = [cs.MX.sym(f"outer{k}", *expression.shape) for k, expression in enumerate(expressions)]
    # What enters a Function has all its entries; inside, structural zeros are where they were.
    standing_in = [
        symbol if expression.is_dense() else cs.project(symbol, expression.sparsity())
        for symbol, expression in zip(cut_symbols, expressions, strict=True)
    ]
    inner_nodes = Rebuilding(dict(zip(map(hash, expressions), standing_in, strict=True))).of(nodes)
    return tuple(inner_nodes), (*map(cs.densify, expressions), *bare), (*cut_symbols, *bare)


def _read_from_outside(nodes: list[cs.MX], own: set[int]) -> tuple[list[cs.MX], list[cs.MX]]:
    """Return the largest expressions in nodes that are made of other symbols alone, and such symbols themselves."""
    inside: dict[int, bool | None] = {}  # None for constants.
    read: dict[int, cs.MX] = {}
    for node in ordered(nodes):
        kinds = {inside[key] for key in node.operand_keys}
        if node.source.op() == cs.OP_PARAMETER:
            inside[node.key] = node.key in own
        else:
            inside[node.key] = True if True in kinds else False if False in kinds else None
        if inside[node.key]:
            operands = zip(node.operand_keys, node.operands, strict=True)
            read |= {key: operand for key, operand in operands if inside[key] is False}
    read |= {hash(node): node for node in nodes if inside[hash(node)] is False}
    symbols = [node for node in read.values() if node.op() == cs.OP_PARAMETER]
    return [node for node in read.values() if node.op() != cs.OP_PARAMETER], symbols


def _require_known(nodes: list[cs.MX], known: list[cs.MX]) -> None:
    if not nodes:
        return
    names = {hash(symbol) for symbol in known}
    for symbol in cs.symvar(cs.veccat(*nodes)):
        if hash(symbol) not in names:
            raise leaked(symbol)
