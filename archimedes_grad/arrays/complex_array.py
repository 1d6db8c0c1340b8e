"""``ComplexArray``: a pair of traced arrays that NumPy code takes for one of complex numbers.

Graphs are real. Complex numbers live inside a traced function as real and imaginary part, and so they come in as
arguments and go out as results. What is differentiated, and its derivatives, are real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from archimedes_grad.arrays import dispatch
from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.arrays.trace_state import trace_error


class ComplexArray(EntriesOfSymbolicArray):
    """A traced array of complex numbers.

    It is a class below that of real arrays so that NumPy and Python ask it first in mixed operations. A rule that
    knows of real arrays only asks for its node, and gets a TraceError.

    Attributes
    ----------
    real, imag
        The parts: traced arrays of equal shape, or NumPy's where a part is constant.
    """

    __slots__ = ("_imag", "_real")

    def __init__(self, real: Any, imag: Any) -> None:
        self._real = real
        self._imag = imag
        self.root = None
        self.version = 0

    @property
    def real(self) -> Any:
        """The real part; written to, all of it."""
        return self._real

    @real.setter
    def real(self, new: Any) -> None:
        self._real[...] = new

    @property
    def imag(self) -> Any:
        """The imaginary part; written to, all of it."""
        return self._imag

    @imag.setter
    def imag(self, new: Any) -> None:
        self._imag[...] = new

    @property
    def value(self) -> Any:
        """The complex array or number that this is in the run being traced."""
        real, imag = (part.value if isinstance(part, SymbolicArray) else part for part in (self._real, self._imag))
        return _of_parts(real, imag)

    @property
    def node(self) -> NoReturn:
        """Complex arrays have no node of their own."""
        raise _real_expected("A complex traced array was used or returned where only real ones are.")

    _node = node

    def __repr__(self) -> str:
        return f"ComplexArray(shape={self.shape}, value={self.value!r})"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        if method == "at" and isinstance(inputs[0], ComplexArray) and ufunc in (np.add, np.subtract):
            result = complex_rule(ufunc.at)(ufunc, *inputs)
        elif method == "reduce" and ufunc is np.add:
            result = complex_rule(np.sum)(inputs[0], kwargs.pop("axis", 0), **kwargs)
        elif method != "__call__" or kwargs:
            raise _without_rule(ufunc, method, kwargs)
        else:
            result = complex_rule(ufunc)(*inputs)
        if out is None:
            return result
        (target,) = out if isinstance(out, tuple) else (out,)
        target[...] = result
        return target

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return complex_rule(function)(*args, **kwargs)

    def __getitem__(self, key: Any) -> ComplexArray:
        return ComplexArray(self._real[key], self._imag[key])

    def __setitem__(self, key: Any, new: Any) -> None:
        real, imag = parts(new)
        self._real[key] = real
        self._imag[key] = 0.0 if imag is None else imag

    def __rtruediv__(self, other: Any) -> Any:
        return np.true_divide(other, self)

    def copy(self, order: Any = "C") -> ComplexArray:
        """Return a copy: writes to it do not reach this array."""
        return ComplexArray(self._real.copy(order), self._imag.copy(order))

    def of_parts(self, function: Callable[[Any], Any]) -> ComplexArray:
        """Return the array of what a function gives for each part; this array where it gives the parts themselves."""
        real, imag = function(self._real), function(self._imag)
        return self if real is self._real and imag is self._imag else ComplexArray(real, imag)

    def astype(self, dtype: Any, order: str = "K", casting: Any = "unsafe",
               subok: bool = True, copy: bool = True) -> Any:  # fmt: skip
        """Return the array cast to a complex dtype; casts to real ones would drop the imaginary part."""
        if np.dtype(dtype).kind == "c":
            real = np.dtype(dtype).type(0).real.dtype
            return ComplexArray(*(part.astype(real, casting=casting, copy=copy) for part in (self._real, self._imag)))
        raise _real_expected(f"A complex traced array is cast to {np.dtype(dtype)}, which would drop a part of it.")


class ComplexForm(NamedTuple):
    """In the place of a tree's structure: how an argument or a result of complex numbers is made of two real ones.

    Attributes
    ----------
    dtype
        Of the complex numbers.
    is_python
        Whether it is Python's number, which takes on the dtype of the arrays that it meets.
    """

    dtype: np.dtype[Any]
    is_python: bool

    def unflatten(self, both: Any) -> Any:
        """Return the complex numbers, traced if their parts are."""
        real, imag = both
        if isinstance(real, SymbolicArray) or isinstance(imag, SymbolicArray):
            return ComplexArray(real, imag)
        if isinstance(real, np.ndarray):
            result = np.empty(real.shape, self.dtype)
            result.real, result.imag = real, imag
            return result
        number = complex(real, imag)
        return number if self.is_python else self.dtype.type(number)


def _of_parts(real: Any, imag: Any) -> Any:
    """Return a complex number or array. Not as a sum with 1j times a part, which is nan where that is infinite."""
    if type(real) in (float, int) and type(imag) in (float, int):
        return complex(real, imag)
    shape = np.broadcast_shapes(np.shape(real), np.shape(imag))
    result = np.empty_like(real if np.ndim(real) else imag, np.result_type(real, imag, np.complex64), shape=shape)
    result.real, result.imag = real, imag
    return result if isinstance(real, np.ndarray) else result[()]


def complex_rule(function: Callable[..., Any]) -> dispatch.Rule:
    """Return the rule of a NumPy function on complex operands, or raise the TraceError that there is none."""
    dispatch.load_all_rules()
    rule = dispatch.COMPLEX.get(function)
    if rule is None:
        raise _without_rule(function, "__call__", {})
    return rule


def parts(operand: Any) -> tuple[Any, Any]:
    """Return the real and imaginary part of an operand; None for the imaginary part of a real one."""
    if isinstance(operand, ComplexArray):
        return operand.real, operand.imag
    if isinstance(operand, SymbolicArray):
        return operand, None
    if isinstance(operand, complex) and not isinstance(operand, np.generic):
        return operand.real, operand.imag
    array = np.asarray(operand)
    return (array.real, array.imag) if array.dtype.kind == "c" else (operand, None)


def _real_expected(what: str) -> Exception:
    return trace_error(what, "Use its parts (.real, .imag), its magnitude (np.abs) or its phase (np.angle).")


def _without_rule(function: Callable[..., Any], method: str, options: dict[str, Any]) -> Exception:
    name = getattr(function, "__name__", repr(function)) + ("" if method == "__call__" else f".{method}")
    keywords = f" with {', '.join(options)}" if options else ""
    return trace_error(
        f"{name}{keywords} has no rule for complex traced arrays.",
        "Write it by real and imaginary parts (.real, .imag).",
    )
