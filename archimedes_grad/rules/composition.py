"""Rules that are NumPy programs on traced arrays, and rules that only move entries of several arrays.

A composed rule states what a function computes in terms of functions that have rules. NumPy's own function
on the values comes first, so errors, shape and dtype are NumPy's; the program gives the node.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import Rule, implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import (
    array_of,
    broadcast_node,
    cast_node,
    dtype_of,
    full_node,
    gathered,
    is_traced,
    node_of,
    require_real,
    value_of,
    values_in,
)
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.nodes.gather import flat, reshaped, taken
from archimedes_grad.rules.ufuncs import write_out
from archimedes_grad.rules.words import add, is_zero, negated, only_where

#: NumPy's mark for a keyword that was left out.
NO_VALUE: Any = np._NoValue


def given(**keywords: Any) -> dict[str, Any]:
    """Return the keywords that the caller gave, without NumPy's mark for those left out."""
    return {name: word for name, word in keywords.items() if word is not NO_VALUE}


def counted(nodes: int, entries: int) -> None:
    """Tell the trace of array nodes that a rule builds beside its result."""
    trace = current_trace()
    if trace is not None:
        trace.array_nodes += nodes
        trace.array_entries += entries


def as_numpy_gives(result: Any, value: Any) -> Any:
    """Return a computed result with the value, shape and dtype that NumPy gives; of tuples, each part."""
    if isinstance(value, tuple):
        parts = [as_numpy_gives(part, part_value) for part, part_value in zip(result, value, strict=True)]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [as_numpy_gives(part, part_value) for part, part_value in zip(result, value, strict=True)]
    if not is_traced(result):
        return value
    require_real(value)
    result = gathered(result)
    if result.shape != np.shape(value):
        raise trace_error(
            f"The shape of the result depends on traced values: {np.shape(value)} in this call, "
            f"{result.shape} in general.",
            "Pass the argument that it depends on through static_argnames, or keep the shape fixed.",
        )
    if result.value is value:
        return result
    node = cast_node(result.node, result.dtype, np.asarray(value).dtype)
    return new_array(reshaped(node, np.shape(value)), value)


def written(out: Any, result: Any, name: str) -> Any:
    """Write a result into ``out=`` and return that; without ``out=`` the result."""
    if isinstance(out, tuple) and not isinstance(result, tuple):
        (out,) = out
    if out is None:
        return result
    if not isinstance(out, tuple):
        write_out(out, result, name)
        return out
    for target, part in zip(out, result, strict=True):
        if target is not None:
            write_out(target, part, name)
    return tuple(part if target is None else target for target, part in zip(out, result, strict=True))


def assigned(out: Any, result: Any) -> Any:
    """Write a result into ``out=``, cast as NumPy casts those of reductions and movements, and return that."""
    if isinstance(out, tuple):
        # ufunc.reduce hands on a tuple of one.
        (out,) = out
    if out is None:
        return result
    out[...] = result
    return out


def gathered_argument(argument: Any) -> Any:
    """Return an argument with traced lists gathered; a list of arrays of different shapes stays a list."""
    if type(argument) not in (list, tuple) or not is_traced(argument):
        return gathered(argument)
    parts = [gathered_argument(part) for part in argument]
    ragged = any(type(part) in (list, tuple) and is_traced(part) for part in parts)
    if ragged or len({np.shape(value_of(part)) for part in parts}) > 1:
        return type(argument)(parts)
    return gathered(argument)


def _traced(arguments: Iterable[Any]) -> Iterator[SymbolicArray]:
    for argument in arguments:
        if isinstance(argument, SymbolicArray):
            yield argument
        elif isinstance(argument, list | tuple):
            yield from _traced(argument)


def _has_no_entry(array: Any) -> bool:
    return not isinstance(array, list | tuple) and np.size(value_of(array)) == 0


def _require_number(function: Callable[..., Any], result: Any) -> None:
    """Raise ValueError where a result has axes and is to be written to an array of none: NumPy's cumsum would crash."""
    if np.ndim(result):
        raise ValueError(
            f"np.{function.__name__}: out has shape (), and an array of the result's shape {np.shape(result)} was "
            f"expected. Give np.empty({np.shape(result)})."
        )


def composed(*functions: Callable[..., Any], apart: str | None = None) -> Callable[[Rule], Rule]:
    """Register a NumPy program as the rule of functions with its signature.

    ``out=`` is taken care of here where the program has such a parameter.

    Parameters
    ----------
    apart
        An argument whose lists are no arrays, but of several, each with a dtype of its own.
    """

    def register(program: Rule) -> Rule:
        signature = inspect.signature(program)

        @functools.wraps(program)
        def rule(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            arguments = bound.arguments
            out = arguments.get("out")
            for name, argument in arguments.items():
                several = name == apart and isinstance(argument, list | tuple)
                arguments[name] = [*map(gathered_argument, argument)] if several else gathered_argument(argument)
            if out is not None:
                # NumPy writes into a copy, and judges shape and dtype of out= by it.
                target = np.array(require_target(out, f"np.{functions[0].__name__}").value)
                arguments["out"] = None
                if not target.shape:
                    _require_number(functions[0], functions[0](*values_in(bound.args), **values_in(bound.kwargs)))
                arguments["out"] = target
            value = functions[0](*values_in(bound.args), **values_in(bound.kwargs))
            if out is None and (_has_no_entry(value) or all(map(_has_no_entry, _traced(arguments.values())))):
                return value
            if out is None:
                return as_numpy_gives(program(*bound.args, **bound.kwargs), value)
            arguments["out"] = None
            out[...] = as_numpy_gives(program(*bound.args, **bound.kwargs), value)
            return out

        implements(*functions)(rule)
        return program

    return register


def plain_function(function: Callable[..., Any], made_plain: Callable[[Any], Any]) -> None:
    """Register a function as NumPy's own, on arguments made plain."""

    def rule(*args: Any, **kwargs: Any) -> Any:
        return function(*map(made_plain, args), **{name: made_plain(word) for name, word in kwargs.items()})

    implements(function)(rule)


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """``np.where`` for branches that are finite wherever they are computed: no nan can pass from one not taken.

    ``np.where`` itself would have the graph searched for what has to be kept out of derivatives.
    """
    condition, x, y = gathered(condition), gathered(x), gathered(y)
    value = np.where(value_of(condition), value_of(x), value_of(y))
    if not any(map(is_traced, (condition, x, y))):
        return value[()]
    node = broadcast_node(condition, value.shape)
    holds = node if dtype_of(condition).kind == "b" else negated(is_zero(node))
    parts = (only_where(holds, full_node(x, value.shape)), only_where(negated(holds), full_node(y, value.shape)))
    return new_array(add(*parts), value[()])


# --- movement of the entries of several arrays ----------------------------------------------------


def numbered(arrays: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Return arrays of consecutive numbers in the shapes of the arrays: one number for each entry."""
    numbers, start = [], 0
    for array in arrays:
        shape = np.shape(value_of(array))
        size = int(np.prod(shape))
        numbers.append(np.arange(start, start + size).reshape(shape))
        start += size
    return numbers


def gathered_from(arrays: Sequence[Any], numbers: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> cs.MX:
    """Return the node of the entries that ``numbers`` names, stored for its shape and cast to a dtype."""
    nodes = [flat(cast_node(_whole(array), dtype_of(array), dtype)) for array in arrays]
    pool = cs.vertcat(*nodes) if len(nodes) > 1 else nodes[0]
    counted(1, pool.numel())
    return taken(pool, (pool.numel(),), numbers)


def _whole(array: Any) -> cs.MX:
    return node_of(array_of(array))


def require_target(target: Any, name: str) -> SymbolicArray:
    """Return an array that is written in place; a plain one cannot hold traced values."""
    if not isinstance(target, SymbolicArray):
        raise trace_error(
            f"{name} writes traced values into a plain array, which cannot hold them.",
            "Make it by arc.zeros(shape), np.zeros(shape, like=x) or np.zeros_like(x).",
        )
    return target


def static(structure: Any) -> Any:
    """Return indices, lengths or masks without traced values: those are decided, and leave guards."""
    if not is_traced(structure):
        return structure
    if isinstance(structure, tuple):
        return tuple(map(static, structure))
    array = gathered_argument(structure)
    return list(map(static, array)) if isinstance(array, list) else array.decided()


def static_mask(mask: Any) -> Any:
    """Return a mask without traced values: where it holds is decided, and leaves a guard for each entry."""
    return np.not_equal(gathered(mask), 0).decided() if is_traced(mask) else mask
