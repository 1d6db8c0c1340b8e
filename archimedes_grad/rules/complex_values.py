"""Complex arithmetic on pairs of traced arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray, parts
from archimedes_grad.arrays.dispatch import COMPLEX
from archimedes_grad.arrays.operands import gathered, is_traced, part_of, value_of
from archimedes_grad.rules.composition import chosen
from archimedes_grad.rules.creation import constant

_Rule = Callable[..., Any]


def implements_complex(*functions: Callable[..., Any]) -> Callable[[_Rule], _Rule]:
    """Register a rule for complex operands of NumPy functions; of lists it gets the arrays that they are."""

    def register(rule: _Rule) -> _Rule:
        for function in functions:
            COMPLEX[function] = rule if isinstance(function, np.ufunc) else _of_arrays(rule)
        return rule

    return register


def _of_arrays(rule: _Rule) -> _Rule:
    return lambda *args, **kwargs: rule(*map(gathered, args), **{name: gathered(x) for name, x in kwargs.items()})


def paired(real: Any, imag: Any) -> ComplexArray:
    """Return the complex array of two parts that broadcast, in NumPy's precision; an imaginary part of None is zero."""
    pair = real, 0.0 if imag is None else imag
    values = [value_of(part) for part in pair]
    shape = np.broadcast_shapes(*map(np.shape, values))
    # Plain numbers of Python take on the precision of what they meet.
    kinds = [x if isinstance(x, int | float) else np.asarray(x).dtype for x in values]
    dtype = np.zeros((), np.result_type(*kinds, 1j)).real.dtype
    return ComplexArray(*(_filled(part, shape, dtype) for part in pair))


def _filled(part: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    if not isinstance(part, SymbolicArray):
        filled = np.broadcast_to(np.asarray(part, dtype=dtype), shape)
        return constant(filled) if shape else filled[()]  # Traced: it may be written to.
    cast = part if part.dtype == dtype else part.astype(dtype)
    if not shape:
        return cast[()] if isinstance(cast.value, np.ndarray) else cast
    return cast if cast.shape == shape else np.broadcast_to(cast, shape).copy()


# --- arithmetic -----------------------------------------------------------------------------------


def _linear(ufunc: np.ufunc) -> None:
    def rule(x: Any, y: Any) -> ComplexArray:
        (a, b), (c, d) = parts(x), parts(y)
        return paired(ufunc(a, c), _added(b, d))

    def _added(b: Any, d: Any) -> Any:
        total = ufunc(0.0 if b is None else b, 0.0 if d is None else d)
        return float(total) if {type(b), type(d)} <= {float, type(None)} else total

    COMPLEX[ufunc] = rule


for _ufunc in (np.add, np.subtract):
    _linear(_ufunc)


def _bilinear(product: _Rule) -> _Rule:
    """Return the complex product that belongs to a real one."""

    def rule(x: Any, y: Any, *args: Any, **kwargs: Any) -> ComplexArray:
        def times(left: Any, right: Any) -> Any:
            return product(left, right, *args, **kwargs)

        (a, b), (c, d) = parts(x), parts(y)
        if d is None:
            return paired(times(a, c), None if b is None else times(b, c))
        if b is None:
            return paired(times(a, c), times(a, d))
        return paired(times(a, c) - times(b, d), times(a, d) + times(b, c))

    return rule


for _product in (np.multiply, np.matmul, np.dot, np.inner, np.outer, np.kron, np.tensordot, np.convolve, np.matvec):
    COMPLEX[_product] = _bilinear(_product)


# The first operand is conjugated.
COMPLEX[np.vdot] = lambda x, y: _bilinear(np.vdot)(np.conjugate(x), y)
COMPLEX[np.vecdot] = lambda x, y: _bilinear(np.vecdot)(np.conjugate(x), y)
COMPLEX[np.vecmat] = lambda x, y: _bilinear(np.vecmat)(np.conjugate(x), y)


@implements_complex(np.true_divide)
def divide(x: Any, y: Any) -> ComplexArray:
    """x / y, as NumPy does it: by the larger part of y, since the sum of its squares overflows from 1e154 on."""
    (a, b), (c, d) = parts(x), parts(y)
    if d is None:
        return paired(a / c, None if b is None else b / c)
    b = 0.0 if b is None else b
    turned = np.logical_not(np.abs(c) >= np.abs(d))
    large, small = np.where(turned, d, c), np.where(turned, c, d)
    ratio = small / np.where(large == 0, np.ones_like(large), large)  # 0 where both parts are
    scale = 1 / (np.where(large == 0, np.zeros_like(large), large) + small * ratio)
    real = np.where(turned, b + a * ratio, a + b * ratio)
    imag = np.where(turned, b * ratio - a, b - a * ratio)
    return paired(real * scale, imag * scale)


@implements_complex(np.reciprocal)
def reciprocal(x: ComplexArray) -> ComplexArray:
    """1 / x."""
    quotient: ComplexArray = divide(1.0, x)
    return quotient


@implements_complex(np.square)
def square(x: ComplexArray) -> ComplexArray:
    """X times x."""
    product: ComplexArray = COMPLEX[np.multiply](x, x)
    return product


COMPLEX[np.negative] = lambda x: ComplexArray(-x.real, -x.imag)
COMPLEX[np.positive] = lambda x: x.copy()
COMPLEX[np.conjugate] = lambda x: ComplexArray(x.real.copy(), -x.imag)
COMPLEX[np.absolute] = lambda x: np.hypot(x.real, x.imag)
COMPLEX[np.isfinite] = lambda x: np.logical_and(np.isfinite(x.real), np.isfinite(x.imag))
implements_complex(np.real)(lambda val: val.real)
implements_complex(np.imag)(lambda val: val.imag)


@implements_complex(np.equal)
def equal(x: Any, y: Any) -> Any:
    """Whether both parts are equal."""
    (a, b), (c, d) = parts(x), parts(y)
    return np.logical_and(np.equal(a, c), np.equal(0.0 if b is None else b, 0.0 if d is None else d))


COMPLEX[np.not_equal] = lambda x, y: np.logical_not(equal(x, y))


@implements_complex(np.exp)
def exp(x: Any) -> ComplexArray:
    """e to the power of x."""
    size = np.exp(x.real)
    # A real number stays one: infinity times the sine of 0 is nan.
    endless_and_real = (x.imag == 0) & ~np.isfinite(size)
    # Of an infinite one the size stays, whatever the angle (C99, annex G).
    any_angle = np.isinf(x.real) & ~np.isfinite(x.imag)
    angle = chosen(any_angle, 0.0, x.imag)
    return paired(size * np.cos(angle), np.where(endless_and_real, x.imag, size * np.sin(angle)))


@implements_complex(np.log)
def log(x: Any) -> ComplexArray:
    """The logarithm, its imaginary part in (-pi, pi]."""
    return paired(np.log(np.hypot(x.real, x.imag)), np.arctan2(x.imag, x.real))


@implements_complex(np.sqrt)
def sqrt(x: Any) -> ComplexArray:
    """The root with a real part that is not negative."""
    a, b = x.real, x.imag
    # Signs times parts in place of absolute values: on the axes these have no slope.
    right, above = np.where(a >= 0, np.ones_like(a), -np.ones_like(a)), np.copysign(np.ones_like(b), b)
    larger = np.sqrt(0.5 * right * a + 0.5 * np.hypot(a, b))
    smaller = 0.5 * above * b / np.where(larger == 0, np.ones_like(larger), larger)
    real, imag = np.where(a >= 0, larger, smaller), above * np.where(a >= 0, smaller, larger)
    # An infinite imaginary part decides, whatever the real one is (C99, annex G).
    endless = np.isinf(b)
    return paired(np.where(endless, np.abs(b), real), np.where(endless, b, imag))


@implements_complex(np.power)
def power(x: Any, y: Any) -> Any:
    """X to the power of y; of small whole numbers by products."""
    if not isinstance(y, SymbolicArray) and isinstance(y, int | float) and float(y).is_integer() and 0 <= y <= 64:
        result: Any = 1.0
        for _ in range(int(y)):
            result = result * x
        return result if y else paired(np.ones_like(x.real), None)
    a, b = parts(x)
    base = x if isinstance(x, ComplexArray) else paired(a, b)
    zero = (a == 0) & (True if b is None else b == 0)
    # At 0 the power of 1 is computed, and not taken.
    general = np.exp(y * np.log(paired(base.real + zero, base.imag)))
    return _one_of(zero, _power_of_zero(base, zero, y), general)


def _power_of_zero(x: ComplexArray, zero: Any, y: Any) -> Any:
    """0 to the power of y, where x is 0, with its slopes by x; where further ones depend on y, they are infinite."""
    c, d = parts(y)
    linear = np.logical_and(c == 1, True if d is None else d == 0)
    curved = chosen(zero, x.real + x.imag, 0.0) ** np.where(c > 1, 1.5, 0.5).astype(x.real.dtype)
    vanishing = _one_of(linear, x, paired(curved, curved))
    return _one_of(y == 0, 1.0, _one_of(c > 0, vanishing, complex(np.nan, np.nan)))


def _one_of(condition: Any, x: Any, y: Any) -> Any:
    """Return x or y by a condition; one alone where the condition is plain and the same everywhere."""
    if not is_traced(condition) and np.any(condition) == np.all(condition):
        return x if np.all(condition) else y
    (a, b), (c, d) = parts(x), parts(y)
    return paired(chosen(condition, a, c), chosen(condition, 0.0 if b is None else b, 0.0 if d is None else d))


@implements_complex(np.angle)
def angle(z: ComplexArray, deg: bool = False) -> Any:
    """The phase."""
    phase = np.arctan2(z.imag, z.real)
    return phase * (180 / math.pi) if deg else phase


# --- functions that do the same to both parts -----------------------------------------------------


#: Keywords that are numbers beside the entries, which have parts as these do.
_NUMBERS = frozenset({"append", "constant_values", "end_values", "initial", "prepend"})


def _of_part(number: int, keywords: dict[str, Any]) -> dict[str, Any]:
    return {name: part_of(given, number) if name in _NUMBERS else given for name, given in keywords.items()}


def _of_each_part(function: _Rule) -> _Rule:
    def rule(z: Any, *args: Any, **kwargs: Any) -> Any:
        first, second = (function(part, *args, **_of_part(number, kwargs)) for number, part in enumerate(parts(z)))
        if isinstance(first, list | tuple):
            return type(first)(ComplexArray(a, b) for a, b in zip(first, second, strict=True))
        return ComplexArray(first, second)

    return rule


_EACH: tuple[_Rule, ...] = (
    np.array_split, np.broadcast_to, np.cumsum, np.diagonal, np.diff, np.expand_dims, np.flip, np.fliplr, np.flipud,
    np.linalg.diagonal, np.matrix_transpose, np.mean, np.moveaxis, np.ravel, np.repeat, np.reshape, np.roll,
    np.rot90, np.split, np.squeeze, np.sum, np.swapaxes, np.take, np.tile, np.trace, np.transpose, np.pad, np.copy,
    np.tril, np.triu, np.diag, np.delete, np.gradient,
    np.fft.fftshift, np.fft.ifftshift,
)  # fmt: skip
for _function in _EACH:
    implements_complex(_function)(_of_each_part(_function))


def _of_each_array(function: _Rule) -> _Rule:
    of_one = _of_each_part(function)
    return lambda *arrays: of_one(*arrays) if len(arrays) == 1 else tuple(function(array) for array in arrays)


for _function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    implements_complex(_function)(_of_each_array(_function))


def _of_each_part_of_all(function: _Rule) -> _Rule:
    def rule(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        both = [[part_of(array, number) for array in arrays] for number in (0, 1)]
        return ComplexArray(*(function(each, *args, **kwargs) for each in both))

    return rule


_EACH_OF_ALL: tuple[_Rule, ...] = (np.concatenate, np.stack, np.hstack, np.vstack, np.column_stack, np.dstack)
for _function in _EACH_OF_ALL:
    COMPLEX[_function] = _of_each_part_of_all(_function)


@implements_complex(np.where)
def where(condition: Any, x: Any, y: Any) -> ComplexArray:
    """Choose entries by a condition."""
    (a, b), (c, d) = parts(x), parts(y)
    return paired(np.where(condition, a, c), np.where(condition, 0.0 if b is None else b, 0.0 if d is None else d))


@implements_complex(np.nansum)
def nansum(a: Any, *args: Any, **kwargs: Any) -> Any:
    """The sum of the entries of which no part is nan."""
    return np.sum(np.where(np.isnan(a), 0.0, a), *args, **kwargs)


def _filled_like(function: _Rule) -> _Rule:
    def rule(a: ComplexArray, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if np.dtype(dtype if dtype is not None else a.dtype).kind != "c":
            return function(a.real, dtype, *args, **kwargs)
        of_parts = None if dtype is None else np.zeros((), dtype).real.dtype
        real = function(a.real, of_parts, *args, **kwargs)
        return paired(real, np.zeros_like(real))

    return rule


for _function in (np.ones_like, np.zeros_like):
    implements_complex(_function)(_filled_like(_function))


@implements_complex(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The entries by their real parts, then by their imaginary ones; those with nan at the end."""
    np.sort(a.value, axis, kind, order, stable=stable)
    if axis is None:
        return sort(np.ravel(a))
    keys = (a.imag, a.real, np.isnan(a.imag).astype(int), np.isnan(a.real).astype(int))
    places = np.lexsort(keys, axis=axis)
    return ComplexArray(*(np.take_along_axis(part, places, axis) for part in (a.real, a.imag)))
