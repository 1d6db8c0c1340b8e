"""Choosing between branches, limiting, rounding and comparing with a tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.dispatch import FUNCTIONS, implements, implements_ufunc
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, broadcast_node, dtype_of, gathered, is_traced, value_of, values_in
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules.branches import note_choice
from archimedes_grad.rules.composition import NO_VALUE, as_numpy_gives, assigned, composed, written
from archimedes_grad.rules.ufuncs import numpys_out
from archimedes_grad.rules.words import is_nan, only_where, sub


def _limited(a: Any, low: Any, high: Any) -> Any:
    if not any(limit is None or is_traced(limit) or np.any(np.isnan(limit)) for limit in (low, high)):
        limited = np.minimum(np.maximum(value_of(a), low), high)
        nodes = (broadcast_node(operand, limited.shape) for operand in (a, low, high))
        return new_array(_between(*nodes), limited[()])
    a = a if low is None else np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


def _between(a: cs.MX, low: cs.MX, high: cs.MX) -> cs.MX:
    """Return a number held between limits that are not nan; CasADi's fmax leaves out nan, which is put back."""
    note_choice(a, low, high)
    limited = cs.MX.binary(cs.OP_FMIN, cs.MX.binary(cs.OP_FMAX, a, low), high)
    return sub(limited, only_where(is_nan(a), scalar_node(math.nan)))


@implements(np.clip)
def clip(a: Any, a_min: Any = NO_VALUE, a_max: Any = NO_VALUE, out: Any = None, *, min: Any = NO_VALUE,
         max: Any = NO_VALUE, **options: Any) -> Any:  # fmt: skip
    """The entries held between limits; at a limit half of the gradient passes."""
    a, a_min, a_max, min, max = map(gathered, (a, a_min, a_max, min, max))
    keywords = {n: value_of(w) for n, w in (("min", min), ("max", max)) if w is not NO_VALUE}
    positional = [value_of(w) for w in (a_min, a_max) if w is not NO_VALUE]
    where = options.pop("where", True)
    value: Any = np.clip(value_of(a), *positional, **keywords, **options)  # type: ignore[call-overload]
    low = next((w for w in (a_min, min) if w is not NO_VALUE), None)
    high = next((w for w in (a_max, max) if w is not NO_VALUE), None)
    result = _limited(a, _reachable(low, dtype_of(a)), _reachable(high, dtype_of(a)))
    result = result.astype(np.asarray(value).dtype)
    if where is not True:
        if out is None:
            raise trace_error(
                "numpy.clip got where= without out=: the other entries would be uninitialised.",
                "Give out=, or use np.where(condition, np.clip(...), other).",
            )
        result = np.where(where, result, out)
    return written(out, result, "clip")


def _reachable(limit: Any, dtype: np.dtype[Any]) -> Any:
    """Return a limit, or None for a whole number beyond what integers of a dtype can be: NumPy has let it through."""
    if type(limit) is not int or dtype.kind not in "iu":
        return limit
    return limit if np.iinfo(dtype).min <= limit <= np.iinfo(dtype).max else None


_clip_ufunc: np.ufunc = np._core.umath.clip  # type: ignore[attr-defined]


@implements_ufunc("__call__", _clip_ufunc)
def clip_ufunc(a: Any, low: Any, high: Any, out: Any = None, **options: Any) -> Any:
    """The ufunc behind ``np.clip``."""
    return clip(a, low, high, out[0] if isinstance(out, tuple) else out, **options)


def _round(function: Callable[..., Any]) -> Callable[..., Any]:
    def program(a: Any, decimals: int = 0, out: Any = None) -> Any:
        if a.dtype.kind in "iub" and decimals >= 0:
            return a
        if decimals == 0:
            return np.rint(a)
        factor = 10.0 ** abs(decimals)
        return np.rint(a * factor) / factor if decimals > 0 else np.rint(a / factor) * factor

    composed(function)(program)
    return program


_round(np.round)
_round(np.around)


@composed(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    """The entries rounded towards zero."""
    return np.trunc(x)


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """The entries with numbers in place of nan and the infinities."""
    x, nan, posinf, neginf = map(gathered, (x, nan, posinf, neginf))
    x = array_of(x)
    if x.dtype.kind != "f":
        return x.copy() if copy else x
    limits = np.finfo(x.dtype)
    high, low = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    result = np.where(np.isnan(x), nan, np.where(np.isposinf(x), high, np.where(np.isneginf(x), low, x)))
    result = result.astype(x.dtype)
    if copy:
        return result[()]
    x[...] = result
    return x[()]


@composed(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The entries of the first choice whose condition holds, else the default."""
    result = default
    for k in reversed(range(len(condlist))):
        result = np.where(condlist[k], choicelist[k], result)
    return result


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
    """Entries of several arrays, chosen by whole numbers."""
    a = gathered(a)
    a = array_of(a)
    choices = choices if isinstance(choices, list | tuple) else gathered(choices)
    listed = [gathered(choices[k]) for k in range(len(choices))]
    value = np.choose(value_of(a), values_in(listed), mode=mode)
    if out is not None:
        np.choose(value_of(a), values_in(listed), numpys_out(out, "choose"), mode)
    if mode == "wrap":
        a = a % len(listed)
    elif mode == "clip":
        a = np.clip(a, 0, len(listed) - 1)
    else:
        refuse(np.any(np.logical_or(np.less(a, 0), np.greater_equal(a, len(listed)))))
    # A graph cannot raise: in a body numbers out of range choose nan where the dtype has it.
    result: Any = np.full(value.shape, np.nan, value.dtype) if value.dtype.kind == "f" else listed[-1]
    for k in reversed(range(len(listed))):
        result = np.where(np.equal(a, k), listed[k], result)
    result = as_numpy_gives(result, value)
    return assigned(out, result)


# --- comparison with a tolerance ------------------------------------------------------------------


@composed(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether entries are equal within a tolerance."""
    near = np.logical_and(np.less_equal(np.abs(a - b), atol + rtol * np.abs(b)), np.isfinite(b))
    near = np.logical_or(near, np.equal(a, b))
    return np.logical_or(near, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else near


@composed(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all entries are equal within a tolerance."""
    return np.all(np.isclose(a, b, rtol, atol, equal_nan))


def _same(a: Any, b: Any, equal_nan: bool = False) -> Any:
    equal = np.equal(a, b)
    return np.all(np.logical_or(equal, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else equal)


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have the same shape and entries."""
    a1, a2 = gathered(a1), gathered(a2)
    if np.shape(value_of(a1)) != np.shape(value_of(a2)):
        return False
    return _same(a1, a2, equal_nan)


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays have the same entries after broadcasting."""
    a1, a2 = gathered(a1), gathered(a2)
    try:
        np.broadcast_shapes(np.shape(value_of(a1)), np.shape(value_of(a2)))
    except ValueError:
        return False
    return _same(a1, a2)


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """Whether entries are positive infinity."""
    return np.equal(gathered(x), np.inf, out=out)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """Whether entries are negative infinity."""
    return np.equal(gathered(x), -np.inf, out=out)


for _function in (np.iscomplex, np.isreal):

    def _real_everywhere(x: Any, _function: Callable[..., Any] = _function) -> Any:
        return _function(value_of(gathered(x)))

    FUNCTIONS[_function] = _real_everywhere
