"""Functions of complex operands: circular and hyperbolic ones, sums of products, norms, what is asked of entries."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray, parts
from archimedes_grad.arrays.dispatch import COMPLEX
from archimedes_grad.arrays.operands import gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules.complex_values import implements_complex, paired
from archimedes_grad.rules.composition import assigned

#: Beyond, the hyperbolic tangent is 1, and the squares of sines and cosines are infinite.
_LARGEST = 350.0

# --- elementwise ----------------------------------------------------------------------------------


@implements_complex(np.sinh)
def sinh(x: ComplexArray) -> ComplexArray:
    """The hyperbolic sine."""
    return paired(np.sinh(x.real) * np.cos(x.imag), np.cosh(x.real) * np.sin(x.imag))


@implements_complex(np.cosh)
def cosh(x: ComplexArray) -> ComplexArray:
    """The hyperbolic cosine."""
    return paired(np.cosh(x.real) * np.cos(x.imag), np.sinh(x.real) * np.sin(x.imag))


@implements_complex(np.tanh)
def tanh(x: ComplexArray) -> ComplexArray:
    """The hyperbolic tangent."""
    a = np.clip(x.real, -_LARGEST, _LARGEST)
    size = np.sinh(a) ** 2 + np.cos(x.imag) ** 2
    return paired(np.sinh(a) * np.cosh(a) / size, np.sin(x.imag) * np.cos(x.imag) / size)


def _turned(hyperbolic: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the circular function f for which f(x) is -i times the hyperbolic one at ix."""

    def rule(x: ComplexArray) -> ComplexArray:
        y = hyperbolic(ComplexArray(-x.imag, x.real))
        return ComplexArray(y.imag, -y.real)

    return rule


COMPLEX[np.sin] = _turned(sinh)
COMPLEX[np.tan] = _turned(tanh)
COMPLEX[np.cos] = lambda x: cosh(ComplexArray(-x.imag, x.real))
COMPLEX[np.log2] = lambda x: np.log(x) * (1 / math.log(2.0))
COMPLEX[np.log10] = lambda x: np.log(x) * (1 / math.log(10.0))

# --- what is asked of entries ---------------------------------------------------------------------

COMPLEX[np.isnan] = lambda x: np.logical_or(np.isnan(x.real), np.isnan(x.imag))
COMPLEX[np.isinf] = lambda x: np.logical_or(np.isinf(x.real), np.isinf(x.imag))
implements_complex(np.iscomplex)(lambda x: x.imag != 0)
implements_complex(np.isreal)(lambda x: x.imag == 0)
implements_complex(np.any)(lambda a, *args, **kwargs: np.any(a != 0, *args, **kwargs))
implements_complex(np.all)(lambda a, *args, **kwargs: np.all(a != 0, *args, **kwargs))


@implements_complex(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Whether the distance is small beside the second operand."""
    a, b = (gathered(x) if is_traced(x) else np.asarray(x) for x in (a, b))
    near = np.abs(a - b) <= atol + rtol * np.abs(b)
    same = np.logical_or(np.logical_and(near, np.isfinite(b)), a == b)
    return np.logical_or(same, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else same


COMPLEX[np.allclose] = lambda *args, **kwargs: np.all(np.isclose(*args, **kwargs))

# --- sums and products ----------------------------------------------------------------------------


def is_complex(operand: Any) -> bool:
    """Tell whether an operand is a complex array or number, traced or not."""
    return isinstance(operand, ComplexArray) or np.iscomplexobj(value_of(operand))


def _times_i(x: Any) -> ComplexArray:
    real, imag = parts(x)
    return paired(np.zeros(np.shape(value_of(real))) if imag is None else -imag, real)


@implements_complex(np.einsum)
def einsum(*operands: Any, out: Any = None, **options: Any) -> Any:
    """Sums of products: linear in each operand, so those of real parts and, turned, of imaginary ones."""
    operands = tuple(map(gathered, operands))
    place = next((k for k, operand in enumerate(operands) if is_complex(operand)), None)
    if place is None:
        return np.einsum(*operands, **options)
    real, imag = (einsum(*operands[:place], part, *operands[place + 1 :], **options) for part in parts(operands[place]))
    # Parts that are real stay as they are: of one array they may be views.
    both = real + _times_i(imag) if is_complex(real) or is_complex(imag) else ComplexArray(real, imag)
    return assigned(out, both)


@implements_complex(np.prod)
def prod(a: ComplexArray, axis: int | None = None) -> Any:
    """The product along one axis, or of all entries."""
    entries: Any = np.ravel(a) if axis is None else np.moveaxis(a, axis, 0)  # type: ignore[type-var]
    return functools.reduce(operator.mul, entries, np.ones(entries.shape[1:], a.dtype)[()])


@implements_complex(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of straight pieces, along a line in the plane of complex numbers too."""
    along = functools.partial(np.moveaxis, source=axis, destination=-1)
    y, x = along(gathered(y)), gathered(x)
    steps = dx if x is None else np.diff(along(x) if np.ndim(value_of(x)) > 1 else x)
    return np.sum(steps * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


@implements_complex(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """A polynomial by Horner's rule."""
    p, x = gathered(p), gathered(x)
    result = x * 0
    for coefficient in p:
        result = result * x + coefficient
    return result


def _of_nested_parts(function: Callable[..., Any]) -> Callable[..., Any]:
    def part(structure: Any, number: int) -> Any:
        if isinstance(structure, list):
            return [part(item, number) for item in structure]
        found = parts(structure)[number]
        return np.zeros(np.shape(value_of(structure))) if found is None else found

    return lambda arrays: ComplexArray(function(part(arrays, 0)), function(part(arrays, 1)))


COMPLEX[np.block] = _of_nested_parts(np.block)

# --- sizes ----------------------------------------------------------------------------------------



def _of_spreads(function: Callable[..., Any], joined: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def rule(a: ComplexArray, *args: Any, mean: Any = None, **kwargs: Any) -> Any:
        if mean is None:
            return joined(function(a.real, *args, **kwargs), function(a.imag, *args, **kwargs))
        pairs = zip(parts(a), parts(mean), strict=True)
        return joined(*(function(part, *args, mean=centre, **kwargs) for part, centre in pairs))

    return rule


implements_complex(np.var)(_of_spreads(np.var, np.add))
implements_complex(np.std)(_of_spreads(np.std, np.hypot))


@implements_complex(np.linalg.norm)
def norm(x: ComplexArray, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A norm by the sizes of entries, as all are but those of a matrix by singular values."""
    axes = axis if isinstance(axis, tuple) else tuple(range(x.ndim)) if axis is None else (axis,)
    if ord in (2, -2, "nuc") and len(axes) == 2:
        raise trace_error(
            f"numpy.linalg.norm of a complex traced matrix takes no ord={ord!r}: it has no rule for singular values.",
            "Write it by np.linalg.eigvalsh(A.conj().T @ A), whose roots they are.",
        )
    if ord not in (None, 2, "fro"):
        return np.linalg.norm(np.abs(x), ord, axis, keepdims)
    # Not by the sizes: at 0 they have a kink, and their squares have none.
    both = np.stack([x.real, x.imag])
    places = (0, *(k % x.ndim + 1 for k in axes))
    result: Any = np.linalg.vector_norm(both, axis=places, keepdims=keepdims)
    return result[0] if keepdims else result


@implements_complex(np.add.at, np.subtract.at)
def at(ufunc: np.ufunc, target: Any, indices: Any, operand: SymbolicArray) -> None:
    """Add or subtract, by the ufunc, at places that may repeat."""
    real, imag = parts(operand)
    ufunc.at(target.real, indices, real)
    if imag is not None:
        ufunc.at(target.imag, indices, imag)
