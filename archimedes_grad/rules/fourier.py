"""numpy.fft on traced arrays: real in, complex between, real out.

A transform of length n is a product with the matrix of cosines and sines up to a length of 64. Longer ones NumPy
evaluates, n log n for every n, in a call whose derivative is the adjoint transform, such a call again. (As a graph
of nodes by the factors of n, after Cooley and Tukey, value and gradient took ten to forty times NumPy's time at
n = 10,000.)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray, parts
from archimedes_grad.arrays.dispatch import COMPLEX, FUNCTIONS
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import full_node, gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import note_call
from archimedes_grad.rules.composition import assigned, require_target
from archimedes_grad.rules.contractions import as_float
from archimedes_grad.rules.lapack import Kind, Matrices, matrix_call

#: Up to this length a transform is a product with a matrix.
_DIRECT = 64

Array = npt.NDArray[np.float64]
Pair = tuple[Any, Any]


# --- one transform along the last axis ------------------------------------------------------------


@functools.cache
def _wave(n: int, sign: int) -> tuple[Array, Array]:
    """Return the matrices of cosines and sines of 2 pi j k / n, the sines with a sign."""
    turns = np.outer(np.arange(n), np.arange(n)) % n * (2 * math.pi / n)
    return np.cos(turns), sign * np.sin(turns)


def _times(x: Pair, y: Pair, product: Callable[[Any, Any], Any]) -> Pair:
    (a, b), (c, d) = x, y
    if b is None:
        return product(a, c), product(a, d)
    return product(a, c) - product(b, d), product(a, d) + product(b, c)


@functools.cache
def _long_transform(sign: int, of_real: bool) -> Kind:
    """Return the transform that NumPy evaluates. Its adjoint is the transform of the other sign."""

    def evaluate(inputs: Any, wanted: Any) -> Any:
        given = inputs[0] if of_real else inputs[0] + 1j * inputs[1]
        result = np.fft.fft(given) if sign == -1 else np.fft.ifft(given, norm="forward")
        return result.real, result.imag

    def stack_reverse(count: int, inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        shapes = [(seeds[0].numel() // count,)] * 2
        pair = matrix_call(_long_transform(-sign, False), shapes, shapes, count).call(list(seeds))
        return pair[: len(inputs)]

    return Kind("fft", evaluate, functools.partial(stack_reverse, 1), stack_reverse)


def _transformed(x: Pair, n: int, sign: int) -> Pair:
    """Return the sums over j of x_j exp(sign 2 pi i j k / n) along the last axis."""
    if n <= _DIRECT:
        return _times(x, _wave(n, sign), np.matmul)
    shape = np.shape(value_of(x[0]))
    nodes = [cs.densify(full_node(part, shape)) for part in x if part is not None]
    count = math.prod(shape[:-1])
    note_call()
    kind = _long_transform(sign, x[1] is None)
    real, imag = matrix_call(kind, [(n,)] * len(nodes), [(n,)] * 2, count).call(nodes)
    given = value_of(x[0]) if x[1] is None else value_of(x[0]) + 1j * value_of(x[1])
    value = np.fft.fft(given) if sign == -1 else np.fft.ifft(given, norm="forward")
    return new_array(real, np.array(value.real)), new_array(imag, np.array(value.imag))


def _scale(n: int, norm: str | None, forward: bool) -> float:
    if norm == "ortho":
        return 1.0 / math.sqrt(n)
    return 1.0 / n if forward == (norm == "forward") else 1.0


def _of_length(part: Any, n: int) -> Any:
    """Crop the last axis, or fill it up with zeros."""
    length = np.shape(value_of(part))[-1]
    if length >= n:
        return part[..., :n]
    return np.pad(part, [(0, 0)] * (np.ndim(value_of(part)) - 1) + [(0, n - length)])


def _last(operand: Any, axis: int) -> Pair:
    """Return the parts of an operand with an axis moved to the end."""
    real, imag = parts(operand)
    return np.moveaxis(as_float(real), axis, -1), None if imag is None else np.moveaxis(as_float(imag), axis, -1)


def _complex_transform(operand: Any, n: int | None, axis: int, norm: str | None, forward: bool) -> Pair:
    real, imag = _last(operand, axis)
    n = np.shape(value_of(real))[-1] if n is None else int(n)
    pair = (_of_length(real, n), None if imag is None else _of_length(imag, n))
    factor = _scale(n, norm, forward)
    return tuple(part * factor if factor != 1.0 else part for part in _transformed(pair, n, -1 if forward else 1))


def _moved_back(pair: Pair, axis: int) -> ComplexArray:
    return ComplexArray(np.moveaxis(pair[0], -1, axis), np.moveaxis(pair[1], -1, axis))


# --- numpy.fft ------------------------------------------------------------------------------------


def _with_values(result: Any, value: Any, out: Any) -> Any:
    """Return a result with NumPy's values, or ``out`` that it was written to."""
    if isinstance(result, ComplexArray):
        result = ComplexArray(_known(result.real, value.real), _known(result.imag, value.imag))
    else:
        result = new_array(node_of(result), value)
    return assigned(out, result)


def _known(part: Any, value: Array) -> Any:
    return new_array(part.node, np.array(value)) if isinstance(part, SymbolicArray) else part


def _implements(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a transform for real and complex operands; NumPy itself checks the arguments, on the values."""

    def register(transform: Callable[..., Any]) -> Callable[..., Any]:
        def rule(a: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
            a = gathered(a)
            # NumPy judges the shape and the dtype of out= too, by a copy.
            target = {} if out is None else {"out": np.array(require_target(out, f"np.fft.{function.__name__}").value)}
            value = function(value_of(a), *args, **kwargs, **target)
            if np.size(value) == 0 and out is None:
                return value
            return _with_values(transform(a, *args, **kwargs), value, out)

        rule.__name__ = transform.__name__
        rule.__doc__ = transform.__doc__
        FUNCTIONS[function] = COMPLEX[function] = rule
        return transform

    return register


@_implements(np.fft.fft)
def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> ComplexArray:
    """The discrete Fourier transform along an axis."""
    return _moved_back(_complex_transform(a, n, axis, norm, forward=True), axis)


@_implements(np.fft.ifft)
def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> ComplexArray:
    """The inverse transform along an axis."""
    return _moved_back(_complex_transform(a, n, axis, norm, forward=False), axis)


@_implements(np.fft.rfft)
def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> ComplexArray:
    """The transform of real numbers: the half that determines the other."""
    pair = _complex_transform(a, n, axis, norm, forward=True)
    half = np.shape(value_of(pair[0]))[-1] // 2 + 1
    return _moved_back((pair[0][..., :half], pair[1][..., :half]), axis)


@_implements(np.fft.irfft)
def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of rfft, with n entries."""
    real, imag = _last(a, axis)
    n = 2 * (np.shape(value_of(real))[-1] - 1) if n is None else int(n)
    half, mirrored = n // 2 + 1, slice((n - 1) // 2, 0, -1)
    real = _of_length(real, half)
    imag = np.zeros(np.shape(value_of(real))) if imag is None else _of_length(imag, half)
    # The imaginary parts at frequency 0 and, for even n, at the highest one do not count.
    counts = np.ones(half)
    counts[0] = 0.0
    counts[-1] = float(n % 2) if n > 1 else 0.0
    imag = imag * counts
    whole = (
        np.concatenate([real, real[..., mirrored]], axis=-1),
        np.concatenate([imag, -imag[..., mirrored]], axis=-1),
    )
    return np.moveaxis(_transformed(whole, n, 1)[0] * _scale(n, norm, forward=False), -1, axis)


_OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


@_implements(np.fft.hfft)
def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The transform of a signal with Hermitian symmetry: real."""
    return irfft(np.conjugate(a), n, axis, _OPPOSITE[norm])


@_implements(np.fft.ihfft)
def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of hfft."""
    return np.conjugate(rfft(a, n, axis, _OPPOSITE[norm]))


# --- along several axes ---------------------------------------------------------------------------


def _lengths_and_axes(a: Any, s: Any, axes: Any, inverse_real: bool = False) -> tuple[list[int], list[int]]:
    shape = np.shape(value_of(a))
    if axes is None:
        axes = list(range(len(shape))) if s is None else list(range(-len(s), 0))
    if s is not None:
        return [shape[axis] if n == -1 else n for n, axis in zip(s, axes, strict=True)], list(axes)
    lengths = [shape[axis] for axis in axes]
    if inverse_real and lengths:
        lengths[-1] = 2 * (lengths[-1] - 1)
    return lengths, list(axes)


def _along(one: Callable[..., Any]) -> Callable[..., Any]:
    """Return the transform along several axes, the last one first as NumPy has it."""

    def transform(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Any:
        for n, axis in reversed(list(zip(*_lengths_and_axes(a, s, axes), strict=True))):
            a = one(a, n, axis, norm)
        return a if isinstance(a, ComplexArray) else ComplexArray(a, np.zeros(np.shape(value_of(a))))

    return transform


def _real_along(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Any:
    lengths, axes = _lengths_and_axes(a, s, axes)
    a = rfft(a, lengths[-1], axes[-1], norm)
    for n, axis in reversed(list(zip(lengths[:-1], axes[:-1], strict=True))):
        a = fft(a, n, axis, norm)
    return a


def _inverse_real_along(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Any:
    lengths, axes = _lengths_and_axes(a, s, axes, inverse_real=True)
    for n, axis in zip(lengths[:-1], axes[:-1], strict=True):
        a = ifft(a, n, axis, norm)
    return irfft(a, lengths[-1], axes[-1], norm)


def _in_the_plane(transform: Callable[..., Any]) -> Callable[..., Any]:
    def in_the_plane(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None) -> Any:
        return transform(a, s, axes, norm)

    return in_the_plane


for _function, _plane, _transform in (
    (np.fft.fftn, np.fft.fft2, _along(fft)), (np.fft.ifftn, np.fft.ifft2, _along(ifft)),
    (np.fft.rfftn, np.fft.rfft2, _real_along), (np.fft.irfftn, np.fft.irfft2, _inverse_real_along),
):  # fmt: skip
    _implements(_function)(_transform)
    _implements(_plane)(_in_the_plane(_transform))


def _shift(direction: int) -> Callable[..., Any]:
    def rule(x: Any, axes: Any = None) -> Any:
        x = gathered(x)
        (np.fft.fftshift if direction == 1 else np.fft.ifftshift)(value_of(x), axes)
        axes = tuple(range(x.ndim)) if axes is None else axes
        each = (axes,) if np.ndim(axes) == 0 else tuple(axes)
        steps = tuple(x.shape[axis] // 2 if direction == 1 else -(x.shape[axis] // 2) for axis in each)
        return np.roll(x, steps, each)

    return rule


FUNCTIONS[np.fft.fftshift] = _shift(1)
FUNCTIONS[np.fft.ifftshift] = _shift(-1)
