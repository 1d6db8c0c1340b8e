"""How a ufunc is called on traced arrays: values first, then the elementwise rule, then out and where."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays import dispatch
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import complex_rule
from archimedes_grad.arrays.constants import constant_node, has_negative_zero, scalar_node
from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.dispatch import implements_ufunc
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import (
    array_of,
    broadcast_node,
    cast_node,
    dtype_of,
    gathered,
    require_real,
    value_of,
    wrapped,
)
from archimedes_grad.arrays.trace_state import trace_error

# ufuncs whose result dtype says nothing about the dtype in which they compute.
_PREDICATES = frozenset({np.isnan, np.isinf, np.isfinite, np.signbit})

# ufuncs that make -0.0 of whole numbers without a sign of zero.
_OF_NEGATIVE_ZEROS = frozenset({np.multiply, np.negative, np.floor_divide, np.remainder, np.fmod, np.divmod})


@implements_ufunc("__call__", np.ufunc)
def call(ufunc: np.ufunc, *operands: Any, out: Any = None, where: Any = True, **options: Any) -> Any:
    """Apply an elementwise ufunc: the rule of every ufunc that has no rule of its own."""
    if len(operands) > ufunc.nin:
        operands, out = operands[: ufunc.nin], operands[ufunc.nin :]
    operands = tuple(gathered(operand) for operand in operands)
    values = [value_of(operand) for operand in operands]
    if out is not None:
        ufunc(*values, out=numpys_out(out, ufunc.__name__), where=value_of(where), **options)
    results = ufunc(*values, **options)
    if not isinstance(results, tuple):
        results = (results,)
    first = dtype_of(results[0])
    is_complex = first.kind == "c" or (first.kind == "b" and any(map(np.iscomplexobj, values)))
    if is_complex and out is None and where is True and not options:
        return complex_rule(ufunc)(*operands)
    for result in results:
        require_real(result)
    if first.kind in "iu":
        _refuse_what_is_beyond(first, operands)
    rule = _rule(ufunc, first)
    shape = np.shape(results[0])
    nodes = [broadcast_node(operand, shape) for operand in operands]
    if options.get("dtype") is not None and ufunc not in _PREDICATES:
        computing = np.dtype(options["dtype"])
        nodes = [cast_node(n, dtype_of(o), computing) for n, o in zip(nodes, operands, strict=True)]
    computed = None
    if first.kind == "f" and (ufunc is np.negative or nodes[0].is_constant()):
        computed = _of_negative_zeros(ufunc, nodes, results[0])
    if computed is None:
        computed = rule(*nodes)
    outputs = []
    for node, result in zip(computed if isinstance(computed, tuple) else (computed,), results, strict=True):
        dtype = dtype_of(result)
        outputs.append(new_array(_as_whole(ufunc, node, dtype) if dtype.kind in "iu" else node, result))
    targets = out if isinstance(out, tuple) else (out,) * len(outputs)
    written = [_written(o, t, where, ufunc) for o, t in zip(outputs, targets, strict=True)]
    return written[0] if ufunc.nout == 1 else tuple(written)


def _refuse_what_is_beyond(dtype: np.dtype[Any], operands: tuple[Any, ...]) -> None:
    """Let whole numbers of Python's that NumPy refuses, as a dtype does not hold them, take a path of their own."""
    if dtype != np.int64:
        limits = np.iinfo(dtype)
        for operand in operands:
            if isinstance(operand, SymbolicArray) and type(operand.value) is int:
                refuse(np.logical_or(np.less(operand, limits.min), np.greater(operand, limits.max)))


def _as_whole(ufunc: np.ufunc, node: cs.MX, dtype: np.dtype[Any]) -> cs.MX:
    """Return whole numbers as NumPy has them, wrapped around and with one zero alone."""
    node = wrapped(node, dtype)
    return dispatch.ELEMENTWISE[np.add](node, scalar_node(0)) if ufunc in _OF_NEGATIVE_ZEROS else node


def _of_negative_zeros(ufunc: np.ufunc, nodes: list[cs.MX], result: Any) -> cs.MX | None:
    """Return the node of a result with -0.0 in it where the rule's would be a constant 0.0, else None.

    CasADi computes what depends on constants alone while it builds, and a graph of numbers entry by entry.
    """
    if ufunc is np.negative and has_negative_zero(result):
        return cs.MX.binary(cs.OP_SUB, scalar_node(-0.0), nodes[0])
    if ufunc.nout == 1 and all(node.is_constant() for node in nodes) and has_negative_zero(result):
        return constant_node(result)
    return None


def _rule(ufunc: np.ufunc, dtype: np.dtype[Any]) -> dispatch.Rule:
    rule = dispatch.ELEMENTWISE_BY_KIND.get((ufunc, "i" if dtype.kind == "u" else dtype.kind))
    if rule is None:
        rule = dispatch.ELEMENTWISE.get(ufunc)
    if rule is None:
        raise dispatch.refusal(ufunc)
    return rule


def _written(result: SymbolicArray, out: Any, where: Any, ufunc: np.ufunc) -> Any:
    """Return the result, or ``out`` after the entries that ``where`` chooses were written to it."""
    everywhere = where is True
    if out is None:
        if everywhere:
            return result
        raise trace_error(
            f"numpy.{ufunc.__name__} got where= without out=: the other entries would be uninitialised.",
            "Give out=, or use np.where(condition, result, other).",
        )
    out[...] = result if everywhere else np.where(where, result, out)
    return out


def numpys_out(out: Any, name: str) -> Any:
    """Return a copy of the values of an ``out=`` argument: NumPy judges shape and dtype by it.

    Raises
    ------
    TraceError
        If it is a plain array.
    """
    if isinstance(out, tuple):
        return tuple(numpys_out(part, name) for part in out)
    return out if out is None else np.array(_able_to_hold(out, name).value)


def _able_to_hold(out: Any, name: str) -> SymbolicArray:
    if not isinstance(out, SymbolicArray):
        raise trace_error(
            f"numpy.{name} got a plain array as out=: it cannot hold traced values.",
            "Make it by arc.zeros(shape) or np.zeros(shape, like=x). In place of a += x write a = a + x.",
        )
    return out


def write_out(out: Any, result: Any, name: str) -> None:
    """Write a result into an ``out=`` argument, which must be a traced array of the result's shape."""
    _able_to_hold(out, name)
    if out.shape != np.shape(value_of(result)):
        raise ValueError(
            f"numpy.{name}: out= has shape {out.shape}, the result {np.shape(value_of(result))}; they must be equal."
        )
    if not np.can_cast(dtype_of(result), out.dtype, "same_kind"):
        # NumPy's error takes its words from a ufunc, which clip and others are not.
        named = SimpleNamespace(__name__=name, nout=1)
        raise np._core._exceptions._UFuncOutputCastingError(  # type: ignore[attr-defined]
            named, "same_kind", dtype_of(result), out.dtype, 0
        )
    out[...] = result


@implements_ufunc("outer", np.ufunc)
def outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    """Apply a ufunc to all pairs of entries."""
    a, b = array_of(gathered(a)), array_of(gathered(b))
    ones = (1,) * np.ndim(value_of(b))
    return ufunc(np.reshape(a, np.shape(value_of(a)) + ones), b, **options)


@implements_ufunc("at", np.ufunc)
def at(ufunc: np.ufunc, target: Any, indices: Any, *operands: Any) -> None:
    """Apply a ufunc in place at indices, as often as each index is repeated."""
    if not isinstance(target, SymbolicArray):
        raise trace_error(
            f"numpy.{ufunc.__name__}.at got a plain array as target: it cannot hold traced values.",
            "Make it by arc.zeros(shape) or np.zeros(shape, like=x).",
        )
    positions = np.arange(target.size).reshape(target.shape)[indices]
    spread = [np.broadcast_to(operand, positions.shape) for operand in operands]
    remaining = np.asarray(positions).ravel()
    rank = _repetition_ranks(remaining)
    flat_operands = [np.ravel(operand) for operand in spread]
    window: Any = np.ravel(target)
    # One pass for each repetition: within a pass no index occurs twice, so a plain write does it.
    for repetition in range(int(rank.max()) + 1 if rank.size else 0):
        chosen = np.flatnonzero(rank == repetition)
        places = remaining[chosen]
        window[places] = ufunc(window[places], *(operand[chosen] for operand in flat_operands))
    if window.root is None:
        target[...] = np.reshape(window, target.shape)


def _repetition_ranks(indices: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return for each position how often its index occurred before it."""
    order = np.argsort(indices, kind="stable")
    ordered = indices[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]]
    first = np.maximum.accumulate(np.where(starts, np.arange(ordered.size), 0))
    ranks = np.empty(indices.size, dtype=np.intp)
    ranks[order] = np.arange(ordered.size) - first
    return ranks
