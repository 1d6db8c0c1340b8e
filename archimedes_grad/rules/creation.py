"""Arrays made from nothing or after the shape of another, inside a traced function."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray
from archimedes_grad.arrays.constants import constant_node, scalar_node
from archimedes_grad.arrays.dispatch import CONSTRUCTOR_HOLDERS, FUNCTIONS, implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import cast_node, dtype_of, gathered, is_traced, literal, require_real, value_of
from archimedes_grad.arrays.trace_state import note_strides
from archimedes_grad.nodes.gather import repeated_number, reshaped, stored_shape
from archimedes_grad.rules.indexing import plain_key


def constant(value: Any) -> SymbolicArray:
    """Return a constant as a traced array, so that traced values can be written into it; a number as a number."""
    array = np.array(value)
    if array.dtype.kind == "c":
        return ComplexArray(*(constant(part[()] if isinstance(value, np.generic) else part)
                              for part in (array.real, array.imag)))  # fmt: skip
    require_real(array)
    return new_array(_uniform_or_given(array), array[()] if isinstance(value, np.generic) else array)


def _uniform_or_given(value: np.ndarray[Any, Any]) -> cs.MX:
    rows, columns = stored_shape(value.shape)
    entries = value.ravel()
    if value.size and not np.any(entries[1:] != entries[0]) and np.signbit(entries).any() == np.signbit(entries).all():
        return repeated_number(scalar_node(float(entries[0])), rows, columns)
    return reshaped(constant_node(value), value.shape)


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of ``zeros_like`` and the like: NumPy's own result, able to hold traced values."""

    def rule(prototype: Any, *args: Any, **kwargs: Any) -> SymbolicArray:
        return constant(function(value_of(gathered(prototype)), *args, **kwargs))

    return rule


_function: Any
for _function in (np.zeros_like, np.ones_like, np.empty_like):
    FUNCTIONS[_function] = _like(_function)


def _with_like(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of ``np.zeros(shape, like=x)`` and the like (NumPy takes ``like`` away itself)."""

    def rule(*args: Any, **kwargs: Any) -> SymbolicArray:
        return constant(function(*args, **kwargs))

    return rule


for _function in (
    np.zeros, np.ones, np.empty, np.eye, np.identity, np.tri, np.frombuffer, np.fromiter, np.fromstring,
):  # fmt: skip
    FUNCTIONS[_function] = _with_like(_function)


@implements(np.arange)
def arange(*ends: Any, dtype: Any = None, **keywords: Any) -> Any:
    """Numbers from a start, a step apart, up to a stop, which may be traced; how many there are is decided."""
    names = ("stop",) if len(ends) == 1 else ("start", "stop", "step", "dtype")
    given = {**dict(zip(names, ends, strict=False)), **keywords}
    start, stop, step = (given.pop(name, default) for name, default in (("start", 0), ("stop", None), ("step", 1)))
    value: Any = np.arange(*map(value_of, (start, stop, step)), given.pop("dtype", dtype))  # type: ignore[call-overload]
    if not is_traced([start, stop, step]):
        return constant(value)
    count = max(int(np.ceil((stop - start) / step)), 0)
    numbers = start + np.arange(count) * ((start + step) - start)
    return numbers.astype(value.dtype)


@implements(np.fromfunction)
def fromfunction(function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """What a function gives for arrays of coordinates."""
    return function(*np.indices(shape, dtype), **kwargs)


@implements(np.require)
def require(a: Any, dtype: Any = None, requirements: Any = None, **layout: Any) -> Any:
    """An array of a dtype: the same one, or a copy where NumPy needs one to lay it out as required."""
    if not is_traced(a):
        return constant(np.require(a, dtype, requirements))
    note_strides()
    result = array(a, dtype, copy=None)
    if isinstance(result, ComplexArray):
        return result.of_parts(lambda part: np.require(part, None, requirements))
    value = np.require(result.value, None, requirements)
    return result if np.may_share_memory(value, result.value) else new_array(result.node, value)


for _function, _order in ((np.ascontiguousarray, "C"), (np.asfortranarray, "F")):

    def _in_order(a: Any, dtype: Any = None, *, _order: str = _order, **like: Any) -> Any:
        return array(a, dtype, copy=None, order=_order, ndmin=1)

    FUNCTIONS[_function] = _in_order


@implements(np.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **device: Any) -> SymbolicArray:
    """An array of one number, traced or not."""
    shape, fill_value = plain_key(shape), gathered(fill_value)
    if not isinstance(fill_value, SymbolicArray):
        return constant(np.full(shape, fill_value, dtype, order))
    result = constant(np.full(shape, 0, dtype or fill_value.dtype, order))
    result[...] = fill_value
    return result


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None,
              **device: Any) -> SymbolicArray:  # fmt: skip
    """An array of one number in the shape and dtype of another."""
    prototype: Any = value_of(gathered(a))
    result = constant(np.zeros_like(prototype, dtype, order, subok, plain_key(shape)))
    result[...] = fill_value
    return result


@implements(np.linspace)
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
             axis: int = 0, **device: Any) -> Any:  # fmt: skip
    """Evenly spaced numbers between two traced ends."""
    start, stop, num = _inexact(start), _inexact(stop), operator.index(num)
    value = np.linspace(value_of(start), value_of(stop), num, endpoint, False, dtype, 0)
    intervals = num - 1 if endpoint else num
    fractions = np.arange(num) / intervals if intervals > 0 else np.zeros(num)
    extra = value.ndim - 1
    weights = fractions.reshape((num,) + (1,) * extra)
    points = start + weights * (stop - start)
    if endpoint and num > 1:
        last = np.broadcast_to(stop, (1, *points.shape[1:]))
        points = np.concatenate([points[:-1], last])
    points = points.astype(value.dtype)
    points = np.moveaxis(points, 0, axis)
    step = (stop - start) / intervals if intervals > 0 else np.nan
    return (points, step) if retstep else points


def _inexact(end: Any) -> Any:
    """Return an end as floats: the distance of whole ones that have no sign would wrap around."""
    end = gathered(end)
    return end * 1.0 if dtype_of(end).kind in "iub" else end


_IF_NEEDED: Any = np._CopyMode.IF_NEEDED


# np.r_ and np.c_ take their pieces by the array constructor of their own module.
CONSTRUCTOR_HOLDERS.append(sys.modules[type(np.r_).__module__])


@implements(np.asarray, np.asanyarray)
def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, **device: Any) -> Any:
    """A traced array itself, where its dtype and order are those asked for."""
    return array(a, dtype, copy=copy, order=order)


@implements(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    """A copy in the order of the array in memory, or in another."""
    return array(a, order=order)


@implements(np.array)
def array(
    a: Any, dtype: Any = None, *, copy: Any = True, order: Any = "K", subok: bool = False, ndmin: int = 0
) -> Any:
    """A traced array from a traced array or nested lists of traced entries."""
    result: Any = a if isinstance(a, SymbolicArray | ComplexArray) else literal(a)
    # A list is copied in any case, and by SciPy's namespaces None comes in NumPy's own form.
    copy = None if result is not a or copy is _IF_NEEDED else copy
    if isinstance(result, ComplexArray) or np.dtype(dtype).kind == "c":
        cast = result if dtype is None else result.astype(dtype, copy=False)
        return cast.of_parts(lambda part: np.array(part, copy=copy, order=order, ndmin=ndmin))
    before = np.asarray(result.value)
    if not copy and order not in (None, "K"):
        note_strides()
    value = np.array(before, dtype, copy=copy, order=order, ndmin=ndmin)
    require_real(value)
    if not isinstance(result.value, np.ndarray):
        # Of a number an array, which is written to.
        return EntriesOfSymbolicArray(cast_node(result.node, before.dtype, value.dtype), np.array(value))
    if np.may_share_memory(value, before):
        return np.reshape(result, value.shape) if ndmin > result.ndim else result
    return new_array(cast_node(result.node, before.dtype, value.dtype), value)
