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
    as_array,
    flatten,
    has_inexact_integers,
    is_static_by_nature,
    is_tree,
    unlike_arrays,
)
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray, ComplexForm
from archimedes_grad.arrays.new_arrays import holding
from archimedes_grad.arrays.operands import gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import Guard, Trace, current_trace, leaked, outlived, trace_error
from archimedes_grad.arrays.user_code import UserLine
from archimedes_grad.nodes.gather import stored_shape
from archimedes_grad.nodes.rebuilding import Rebuilding, ordered
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.nodes.strided import laid_out, strides_in_memory
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.tracing.failures import called
from archimedes_grad.tracing.graph import Graph, Leaf, Output, Template
from archimedes_grad.tracing.surroundings import within


class CaughtFailureError(Exception):
    """What was traced caught the failure of a call: the path depends on it, and has to be traced with guards for it."""


class BoundArguments:
    """The values of one call, taken apart into leaves.

    Attributes
    ----------
    leaves
        What each numeric leaf is; ``values`` its value: an ndarray, a number or, where the call is made
        inside another trace, a traced array.
    trees
        For the position of each value of the call, how leaves make it up.

    Parameters
    ----------
    with_complex
        Whether arguments that are not differentiated may be complex: each is two leaves, its parts.

    Raises
    ------
    TypeError
        If an argument is neither array, number nor tree and not declared static; if an array has no real
        numeric dtype; if a differentiated argument has no number in it.
    """

    def __init__(self, name: str, layout: Layout, values: tuple[Any, ...], with_complex: bool = True) -> None:
        self.name = name
        self.layout = layout
        self.with_complex = with_complex
        self.leaves: list[Leaf] = []
        self.values: list[Any] = []
        self.trees: dict[int, Template] = {}
        for position, value in enumerate(values):
            differentiated = position in layout.differentiated
            shown = layout.names[position]
            if position in layout.static:
                if isinstance(value, SymbolicArray) and current_trace() is None:
                    raise outlived(f"{name}: static argument {shown!r}: ")
                self.trees[position] = Template(constant=value)
                continue
            before = len(self.leaves)
            if is_tree(value) and not isinstance(value, SymbolicArray):
                self.trees[position] = self._tree(position, value, shown, differentiated)
            else:
                self.trees[position] = self._leaf(position, value, shown, differentiated)
            if differentiated and len(self.leaves) == before:
                raise TypeError(
                    f"{name}: argument {shown!r} is differentiated but has no number in it: got {described(value)}; "
                    f"an array, a number or a tree of these was expected. Pass one, or choose another argument by "
                    f"argnums."
                )

    def _tree(self, position: int, tree: Any, shown: str, differentiated: bool) -> Template:
        try:
            leaves, structure = flatten(tree)
            paths = structure.accessors()
        except RecursionError:
            raise ValueError(
                f"{self.name}: argument {shown!r} is a {type(tree).__name__} nested too deeply, or one that contains "
                f"itself; a tree of arrays and numbers was expected. Keep its leaves in one flat list."
            ) from None
        except TypeError as error:
            raise TypeError(f"{self.name}: argument {shown!r}: {error}. {self._static_way_on(position)}") from None
        children = tuple(
            self._leaf(position, leaf, path.codify(shown), differentiated)
            for leaf, path in zip(leaves, paths, strict=True)
        )
        return Template(structure=structure, children=children)

    def _leaf(self, position: int, value: Any, shown: str, differentiated: bool) -> Template:
        if isinstance(value, SymbolicArray):
            if current_trace() is None:
                raise outlived(f"{self.name}: argument {shown!r}: ")
            array: Any = value
        elif is_static_by_nature(value):
            return Template(constant=value)
        else:
            array = self._as_array(value, shown)
        if array is None:
            raise TypeError(
                f"{self.name}: argument {shown!r} is {described(value)}, which is neither an array, a number nor a "
                f"tree of these. {self._static_way_on(position)}"
            )
        if array.dtype.kind == "c":
            return self._complex(position, value, array, shown, differentiated)
        allowed = "fiu" if differentiated else "fiub"
        if array.dtype.kind not in allowed:
            role = "differentiated" if differentiated else "traced"
            raise TypeError(
                f"{self.name}: argument {shown!r} has dtype {array.dtype}; a {role} argument must hold real numbers"
                f"{' (booleans have no derivative)' if array.dtype.kind == 'b' else ''}. Convert it to float. "
                f"{self._static_way_on(position)}"
            )
        if not differentiated and has_inexact_integers(array):
            raise ValueError(
                f"{self.name}: argument {shown!r} holds whole numbers beyond 2**53, which doubles do not hold exactly. "
                f"Subtract an offset before the call (t - t[0]), or pass it as floats. "
                f"{self._static_way_on(position)}"
            )
        dtype = np.dtype(np.float64) if differentiated else array.dtype
        python_type = type(value) if type(value) in (float, int) and not differentiated else None
        strides = strides_in_memory(np.asarray(value_of(array)))
        self.leaves.append(Leaf(position, shown, array.shape, dtype, differentiated, python_type, strides))
        if python_type is not None:
            array = value
        elif type(array) is np.ndarray and isinstance(value, float | int | np.generic):
            array = array[()]  # A number, and no array without axes.
        self.values.append(array)
        return Template(output=len(self.leaves) - 1)

    def _complex(self, position: int, value: Any, array: Any, shown: str, differentiated: bool) -> Template:
        if differentiated or position == self.layout.direction or not self.with_complex:
            role = "differentiated" if differentiated else "traced"
            raise TypeError(
                f"{self.name}: argument {shown!r} has dtype {array.dtype}; a {role} argument must hold real numbers "
                f"here. Pass its parts, .real and .imag, as two arguments."
            )
        given = value if isinstance(value, complex | np.generic) else array
        both = []
        for name in ("real", "imag"):
            part = getattr(given, name)
            if type(given) is np.ndarray:
                part = laid_out(part, part.dtype, strides_in_memory(given))
            both.append(self._leaf(position, part, f"{shown}.{name}", False))
        return Template(structure=ComplexForm(array.dtype, type(value) is complex), children=tuple(both))

    def _as_array(self, value: Any, shown: str) -> Any:
        unlike = unlike_arrays(value)
        if unlike is not None:
            raise TypeError(
                f"{self.name}: argument {shown!r} is a {type(value).__name__}, {unlike}, and a plain array was "
                f"expected. Pass np.asarray of it, and what that leaves out as an argument of its own."
            )
        try:
            return as_array(value)
        except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
            raise TypeError(
                f"{self.name}: argument {shown!r} is a {type(value).__name__} of {type(value).__module__}, which makes "
                f"no array ({str(error).splitlines()[0]}); numbers were expected. A CasADi model takes the function by "
                f".to_casadi(...)."
            ) from error

    def _static_way_on(self, position: int) -> str:
        if position in self.layout.differentiated or position == self.layout.direction:
            return "Pass an array, a number or a tree of these."
        argument = self.layout.names[position]
        return f"If it only configures the function, declare it (static_argnames={argument!r}) or close over it."


def described(value: Any) -> str:
    """Return a value, for messages: shortly."""
    if isinstance(value, SymbolicArray):
        return f"an array of shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 60 else f"a {type(value).__name__}"


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
        else "in a body of vmap, scan or cond, where no guard tells of it"
    )
    raise trace_error(
        f"A LinAlgError of a traced call was caught, {what}.",
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
    cut_symbols = [cs.MX.sym(f"outer{k}", expression.sparsity()) for k, expression in enumerate(expressions)]
    inner_nodes = Rebuilding(dict(zip(map(hash, expressions), cut_symbols, strict=True))).of(nodes)
    return tuple(inner_nodes), (*expressions, *bare), (*cut_symbols, *bare)


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
