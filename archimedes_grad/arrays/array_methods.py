"""The methods of ndarray on traced arrays, each by way of the NumPy function of the same meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from archimedes_grad.arrays import dispatch
from archimedes_grad.arrays.trace_state import note_strides, trace_error


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that calls a NumPy function with the array as first argument."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"As ``numpy.{function.__name__}`` with this array as first argument."
    return method


def _shape_arguments(args: tuple[Any, ...]) -> Any:
    """Return the shape or axes of a call that takes them one by one or as one tuple."""
    return args[0] if len(args) == 1 else args


def _in_place(method: Callable[..., Any]) -> Callable[..., None]:
    """Return a method that changes the array, by the rule of ndarray's method."""

    def changing(self: Any, *args: Any, **kwargs: Any) -> None:
        dispatch.function_rule(method)(self, *args, **kwargs)

    changing.__name__ = method.__name__
    changing.__doc__ = f"As ``numpy.ndarray.{method.__name__}``."
    return changing


def _refused(name: str, why: str) -> Callable[..., Any]:
    """Return a method that says why traced arrays have none of this name."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise trace_error(f"A traced array has no method {name}: {why}", "Do it outside the differentiated function.")

    method.__name__ = name
    method.__doc__ = f"Refused: {why}"
    return method


_NO_MEMORY = "it holds expressions, not bytes in memory."


class ArrayMethods:
    """What ndarray offers as a method and NumPy as a function too: one row each."""

    __slots__ = ()

    if TYPE_CHECKING:
        # Tells type checkers that NumPy's functions take it. It must not exist: NumPy would call it.
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]: ...

    all = _method(np.all)
    any = _method(np.any)
    argmax = _method(np.argmax)
    argmin = _method(np.argmin)
    argpartition = _method(np.argpartition)
    argsort = _method(np.argsort)
    choose = _method(np.choose)
    cumprod = _method(np.cumprod)
    cumsum = _method(np.cumsum)
    diagonal = _method(np.diagonal)
    dot = _method(np.dot)
    max = _method(np.max)
    mean = _method(np.mean)
    min = _method(np.min)
    nonzero = _method(np.nonzero)
    prod = _method(np.prod)
    ravel = _method(np.ravel)
    repeat = _method(np.repeat)
    round = _method(np.round)
    searchsorted = _method(np.searchsorted)
    squeeze = _method(np.squeeze)
    std = _method(np.std)
    sum = _method(np.sum)
    swapaxes = _method(np.swapaxes)
    take = _method(np.take)
    trace = _method(np.trace)
    var = _method(np.var)

    partition = _in_place(np.ndarray.partition)
    put = _in_place(np.ndarray.put)
    sort = _in_place(np.ndarray.sort)

    byteswap = _refused("byteswap", _NO_MEMORY)
    dump = _refused("dump", _NO_MEMORY)
    dumps = _refused("dumps", _NO_MEMORY)
    getfield = _refused("getfield", _NO_MEMORY)
    resize = _refused("resize", "it cannot change its shape in place; np.resize returns a new array.")
    setfield = _refused("setfield", _NO_MEMORY)
    setflags = _refused("setflags", _NO_MEMORY)
    tobytes = _refused("tobytes", _NO_MEMORY)
    tofile = _refused("tofile", _NO_MEMORY)
    tostring = _refused("tostring", _NO_MEMORY)

    @property
    def T(self) -> Any:  # noqa: N802
        """The transposed array, a view."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:  # noqa: N802
        """The array with its last two axes exchanged, a view."""
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """The array itself: traced values are real."""
        return np.real(self)

    @property
    def imag(self) -> Any:
        """Zeros: traced values are real."""
        return np.imag(self)

    @property
    def flat(self) -> Any:
        """The entries in C order: read as copies, written to in the array."""
        return dispatch.FUNCTIONS[np.flatiter](self)

    @flat.setter
    def flat(self: Any, entries: Any) -> None:
        self[...] = np.reshape(np.resize(entries, self.size), self.shape)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """As ``numpy.reshape``; the shape as one tuple or one by one."""
        return np.reshape(self, _shape_arguments(shape), **kwargs)

    def transpose(self, *axes: Any) -> Any:
        """As ``numpy.transpose``; the axes as one tuple, one by one, or none."""
        return np.transpose(self, _shape_arguments(axes) if axes else None)

    def conjugate(self, out: Any = None) -> Any:
        """As ``numpy.conjugate``; of real numbers the array itself."""
        real = self.dtype.kind != "c"  # type: ignore[attr-defined]
        return self if real and out is None else np.conjugate(self, out)

    conj = conjugate

    def view(self: Any, dtype: Any = None, type: Any = None) -> Any:
        """As ``numpy.ndarray.view`` in the array's own dtype."""
        if dtype is np.ndarray:
            dtype, type = None, dtype
        if type not in (None, np.ndarray) or (dtype is not None and np.dtype(dtype) != self.dtype):
            _refused("view of another dtype or class", _NO_MEMORY + " For another dtype use astype.")(self)
        return self[...] if isinstance(self.value, np.ndarray) else self

    def flatten(self, order: str = "C") -> Any:
        """Return a flat copy."""
        return np.ravel(self, order=order).copy()  # type: ignore[call-overload]

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
        """As ``numpy.clip``; a limit that is left out is none."""
        return np.clip(self, min, max, out, **kwargs)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """As ``numpy.compress`` with this array as second argument."""
        return np.compress(condition, self, axis, out)

    @property
    def base(self) -> Any:
        """The array that this is a view of, or None."""
        note_strides()
        root = self.root  # type: ignore[attr-defined]
        return root if root is None or root.base is None else root.base

    @property
    def strides(self) -> Any:
        """The strides of the value in the run being traced."""
        note_strides()
        return np.asarray(self.value).strides  # type: ignore[attr-defined]

    @property
    def flags(self) -> Any:
        """How the value lies in memory, and whether it may be written to."""
        note_strides()
        return np.asarray(self.value).flags  # type: ignore[attr-defined]

    @property
    def device(self) -> str:
        """Where NumPy keeps arrays."""
        return "cpu"

    def to_device(self, device: Any, /, *, stream: None = None) -> Any:
        """Return the array itself; NumPy has one device."""
        np.zeros(0).to_device(device, stream=stream)
        return self
