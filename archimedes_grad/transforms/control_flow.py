"""Loops: ``scan``, ``fori_loop`` and ``while_loop``.

Inside a traced function each is one node of the graph, whatever the number of steps, and differentiates to every
order. On plain numbers outside a trace each is what it says, done by Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.operands import node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace, note_loop, trace_error
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import stored_shape
from archimedes_grad.nodes.loops import Loop, checkpoints, looped
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import note_choice
from archimedes_grad.tracing.bound_arguments import described
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import (
    Body,
    Structure,
    apart,
    applied,
    as_traced,
    owned,
    placeholder,
    shapes_of,
    shown_shapes,
    side_by_side,
    stacked,
    standing_in,
    traced_body,
    values_of,
)
from archimedes_grad.transforms.options import require_functions, required_integer

_binary = cs.MX.binary


def scan(
    f: Callable[[Any, Any], Any], init: Any, xs: Any, length: int | None = None, *, checkpoint: bool | int = False
) -> Any:
    """Run ``carry, y = f(carry, x)`` over the first axis of ``xs``, and return the last carry and the stacked ys.

    Parameters
    ----------
    f
        ``f(carry, x) -> (carry, y)``. Inside a trace it is traced once; it may close over traced values.
    init
        The first carry: a tree of arrays and numbers. Its structure and shapes stay the same, and keys of
        dictionaries in their order. Inside a trace plain
        numbers count as NumPy's int64 and float64.
    xs
        A tree of arrays with equal first axes, or None with ``length``: x is None then.
    length
        The number of steps; must equal the first axes of xs where both are given.
    checkpoint : bool or int
        What a reverse sweep keeps. False: the carries of all steps. An int: those between blocks of so many steps;
        those inside a block are computed again, at the price of one more evaluation. True: blocks of sqrt(n) steps,
        with which memory grows as sqrt(n).

    Returns
    -------
    tuple
        ``(carry, ys)``; ys have a new first axis.

    Raises
    ------
    ValueError
        If the carry changes structure or shape; for xs of unequal lengths.
    TypeError
        If f does not return a pair.
    TraceError
        Where a decision rests on a value of a step.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> def decay(rate, x0, forcing):
    ...     def step(x, u):
    ...         x = x - rate * x + u
    ...         return x, x
    ...     return arc.scan(step, x0, forcing)[0]
    >>> float(arc.grad(decay)(0.5, 1.0, np.zeros(2)))
    -1.0
    """
    require_functions("scan", f=f)
    return _scan("scan", f, init, xs, length, checkpoint)


def _scan(owner: str, f: Callable[[Any, Any], Any], init: Any, xs: Any, length: int | None, checkpoint: Any) -> Any:
    carry, structure = apart(owner, "init", init)
    slices, xs_structure = apart(owner, "xs", xs)
    n = _length(slices, xs_structure, length)
    if isinstance(checkpoint, bool):
        block = checkpoints(n) if checkpoint else None
    else:
        block = required_integer(owner, "checkpoint", checkpoint, 1, "True chooses blocks, False keeps all carries.")
    if current_trace() is None:
        return _scanned_by_python(owner, f, init, structure, slices, xs_structure, n)
    return _scanned(owner, f, carry, structure, slices, xs_structure, n, block)


def _length(slices: list[Any], structure: Structure, length: int | None) -> int:
    shapes = shapes_of(slices)
    if any(shape == () for shape in shapes):
        raise ValueError(
            f"scan: xs must have a first axis to run over, got a number among {shown_shapes(shapes)}. Let f close over "
            f"what is the same at every step."
        )
    lengths = {shape[0] for shape in shapes}
    if length is not None:
        lengths.add(required_integer("scan", "length", length, 0, "Leave it out where xs says it."))
    if len(lengths) > 1:
        given = "" if length is None else f" and length={length}"
        raise ValueError(
            f"scan: all xs must have the same length, got {shown_shapes(shapes)}{given}. Cut them to one length."
        )
    if not lengths:
        raise ValueError(
            f"scan: xs is {structure} and length is None; arrays to run over, or a number of steps, were expected. "
            f"Give xs, or length=n."
        )
    return int(lengths.pop())


def _pair(owner: str, returned: Any) -> tuple[Any, Any]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(
            f"{owner}: f must return (carry, y), got {described(returned)}. Return (carry, None) where there is no y."
        )
    return returned


def _require_same_carry(owner: str, before: Sequence[Any], structure: Structure, after: Any) -> list[Any]:
    """Return the numbers of a new carry, of the structure and shapes that it had."""
    numbers, new_structure = apart(owner, "the carry", after)
    if new_structure != structure:
        raise ValueError(
            f"{owner}: the carry must keep its structure; it was {structure} and became {new_structure}. Return it as "
            f"it came, or start with the structure that it gets."
        )
    shapes, new_shapes = shapes_of(before), shapes_of(numbers)
    if shapes != new_shapes:
        raise ValueError(
            f"{owner}: the carry must keep its shape; it had {shown_shapes(shapes)} and became "
            f"{shown_shapes(new_shapes)}. Start with an array of the shape that it gets."
        )
    return numbers


def _scanned_by_python(
    owner: str, f: Callable[..., Any], carry: Any, structure: Structure, slices: list[Any], xs_structure: Structure,
    n: int,
) -> Any:  # fmt: skip
    before = apart(owner, "init", carry)[0]
    rows: list[list[Any]] = []
    y_structure: Any = None
    # A step may write to what it is given, and nothing else is written to by that: a carry is handed on by its values.
    carry = owned(carry)
    for k in range(n):
        carry, y = _pair(owner, f(carry, owned(xs_structure.build([x[k] for x in slices]))))
        before = _require_same_carry(owner, before, structure, carry)
        carry = owned(structure.arranged(carry))
        numbers, y_structure = apart(owner, "y", owned(y))
        rows.append(numbers)
    if not n:
        raise ValueError(
            "scan: xs have length 0, and outside a traced function at least one step was expected: ys have no shape "
            "otherwise. Call it inside arc.compile."
        )
    return carry, y_structure.build([np.stack(column) for column in zip(*rows, strict=True)])


def _body_of_loop(
    owner: str, f: Callable[..., Any], carry: list[Any], structure: Structure, extra: list[Any], names: list[str],
    outer_arrays: list[SymbolicArray], split: Callable[[Any], tuple[list[Any], Any]],
) -> tuple[Body, list[np.dtype[Any]]]:  # fmt: skip
    """Trace a step on a carry whose dtypes are those that the loop arrives at."""
    dtypes = [np.asarray(value_of(x)).dtype for x in carry]
    while True:
        held = structure.build(_held(carry, dtypes))
        body = traced_body(owner, f, [held, *extra], names, outer_arrays, split=split)
        after = [np.result_type(d, o.dtype) for d, o in zip(dtypes, body.outputs, strict=False)]
        if after == dtypes:
            return body, dtypes
        dtypes = after  # An int carry that becomes float is float from the start; promotion ends at float64.


def _held(carry: list[Any], dtypes: list[np.dtype[Any]]) -> list[Any]:
    return [standing_in(np.array(value_of(x), dtype=dtype)) for x, dtype in zip(carry, dtypes, strict=True)]


def _scanned(
    owner: str, f: Callable[..., Any], carry: list[Any], structure: Structure, slices: list[Any],
    xs_structure: Structure, n: int, block: int | None,
) -> Any:  # fmt: skip
    def split(returned: Any) -> tuple[list[Any], Any]:
        new, y = _pair(owner, returned)
        numbers, y_structure = apart(owner, "y", y)
        return [*_require_same_carry(owner, carry, structure, new), *numbers], y_structure

    shapes = [shape[1:] for shape in shapes_of(slices)]
    first = [placeholder(x, shape) for x, shape in zip(slices, shapes, strict=True)]
    body, dtypes = _body_of_loop(
        owner, f, carry, structure, [xs_structure.build(first)], ["carry", "x"], closed_over([f]), split
    )
    n_carry = len(carry)
    ys = [stacked(output, n) for output in body.outputs[n_carry:]]
    if n == 0:
        nothing = [np.zeros(output.shape, output.dtype) for output in ys]
        return structure.build([as_traced(x) for x in carry]), body.structure.build(nothing)
    with forward_nodes():
        loop = Loop(body.function, n, n_carry, len(slices), block)
        function = looped(loop)
        nodes = [node_of(x) for x in carry]
        nodes += (side_by_side(node_of(x), stored_shape(shape)[0]) for x, shape in zip(slices, shapes, strict=True))
    note_loop(function, loop)
    results = applied(
        function, [*nodes, *body.closed_nodes], [*values_of(carry), *values_of(slices), *body.closed_values],
        [*_carried(carry, dtypes), *[None] * n_carry, *ys], times=n * body.n_instructions, can_fail=body.can_fail,
    )  # fmt: skip
    return structure.build(results[:n_carry]), body.structure.build(results[n_carry:])


def _carried(carry: list[Any], dtypes: list[np.dtype[Any]]) -> list[Output]:
    return [Output(np.shape(value_of(x)), dtype, np.ndim(value_of(x)) == 0) for x, dtype in
            zip(carry, dtypes, strict=True)]  # fmt: skip


def fori_loop(lo: int, hi: int, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """Run ``state = body(i, state)`` for i from ``lo`` up to ``hi``, and return the last state.

    Parameters
    ----------
    lo, hi
        Plain integers.
    body
        ``body(i, state) -> state``; inside a trace i is a traced integer.

    Raises
    ------
    TraceError
        For traced bounds, naming ``while_loop``.
    ValueError
        If the state changes structure or shape.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> float(arc.grad(lambda x: arc.fori_loop(0, 3, lambda i, s: s * x, 1.0))(2.0))
    12.0
    """
    require_functions("fori_loop", body=body)
    for name, bound in (("lo", lo), ("hi", hi)):
        if isinstance(bound, SymbolicArray):
            raise trace_error(
                f"fori_loop: {name} is a traced value, and a plain integer was expected: the number of steps must be "
                f"known while tracing.",
                "Use arc.while_loop with a bound on the steps, or pass the argument through static_argnames.",
            )
    numbers = np.arange(required_integer("fori_loop", "lo", lo), required_integer("fori_loop", "hi", hi))
    if not len(numbers):
        return owned(init)
    return _scan("fori_loop", lambda state, i: (body(i, state), None), init, numbers, None, True)[0]


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, max_steps: int) -> Any:
    """Run ``state = body(state)`` while ``cond(state)`` holds, ``max_steps`` times at most; return the last state.

    Steps after the end are not evaluated. Where the bound ends the loop, ``cond`` still holds of the result.

    Parameters
    ----------
    cond
        ``cond(state)``: one truth value.
    body
        ``body(state) -> state``, of the same structure and shapes.
    max_steps
        A plain positive integer.

    Raises
    ------
    ValueError
        If max_steps is not positive, cond gives no single truth value, or the state changes structure or shape.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> def root(a):
    ...     far = lambda x: abs(x * x - a) > 1e-12
    ...     return arc.while_loop(far, lambda x: (x + a / x) / 2, a, 50)
    >>> round(float(arc.grad(root)(4.0)), 9)
    0.25
    """
    require_functions("while_loop", cond=cond, body=body)
    max_steps = required_integer(
        "while_loop", "max_steps", max_steps, 1, "Give the most steps it may take, as a plain number."
    )
    carry, structure = apart("while_loop", "init", init)
    if current_trace() is None:
        return _while_by_python(cond, body, init, carry, structure, max_steps)
    outer_arrays = closed_over([cond, body])
    step, dtypes = _body_of_loop(
        "while_loop", body, carry, structure, [], ["state"], outer_arrays,
        lambda returned: (_require_same_carry("while_loop", carry, structure, returned), None),
    )  # fmt: skip
    held = structure.build(_held(carry, dtypes))
    condition = traced_body("while_loop, cond", cond, [held], ["state"], outer_arrays)
    if len(condition.outputs) != 1 or condition.outputs[0].shape != ():
        raise _no_truth_value(condition.shown_result)
    n_carry = len(carry)
    with forward_nodes():
        asked, stepped = _condition_and_step(condition, step, n_carry)
        loop = Loop(stepped, max_steps, n_carry + step.can_fail, condition=asked)
        function = looped(loop)
        nodes = [*map(node_of, carry), *([cs.MX(1.0)] if step.can_fail else [])]
    note_loop(function, loop)
    note_choice(*nodes, *step.closed_nodes, *condition.closed_nodes)
    values = [*values_of(carry), *([np.ones(1)] if step.can_fail else [])]
    results = applied(
        function, [*nodes, *step.closed_nodes, *condition.closed_nodes],
        [*values, *step.closed_values, *condition.closed_values], _carried(carry, dtypes),
        times=max_steps * step.n_instructions, can_fail=step.can_fail, opaque=True,
    )  # fmt: skip
    return structure.build(results)


def _no_truth_value(got: str) -> ValueError:
    return ValueError(f"while_loop: cond must return one truth value, got {got}. Use np.any or np.all.")


def _condition_and_step(condition: Body, step: Body, n_carry: int) -> tuple[cs.Function, cs.Function]:
    """Return condition and step with one signature; where the step can fail, its success is carried along."""
    function = step.function
    carry = [cs.MX.sym("carry", *function.size_in(i)) for i in range(n_carry)]
    success = [cs.MX.sym("success")] if step.can_fail else []
    of_step = [cs.MX.sym("closed", *function.size_in(i)) for i in range(n_carry, function.n_in())]
    of_condition = [
        cs.MX.sym("closed", *condition.function.size_in(i)) for i in range(n_carry, condition.function.n_in())
    ]
    inputs = [*carry, *success, *of_step, *of_condition]
    held = condition.function.call([*carry, *of_condition], False, True)[0]
    asked = cs.Function("condition", inputs, [_binary(cs.OP_NE, held, scalar_node(0))])
    results = function.call([*carry, *of_step], False, True)
    if step.can_fail:
        results = [*results[:-1], _binary(cs.OP_AND, success[0], results[-1])]
    return asked, graph_function("step", inputs, results)


def _while_by_python(
    cond: Callable[[Any], Any], body: Callable[[Any], Any], state: Any, carry: list[Any], structure: Structure,
    max_steps: int,
) -> Any:  # fmt: skip
    state = owned(state)
    for _ in range(max_steps):
        holds = cond(state)
        if np.shape(holds) != ():
            raise _no_truth_value(f"shape {np.shape(holds)}")
        if not holds:
            break
        state = owned(body(state))
        carry = _require_same_carry("while_loop", carry, structure, state)
        state = structure.arranged(state)
    return state
