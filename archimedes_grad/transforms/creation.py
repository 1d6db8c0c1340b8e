"""``arc.array``, ``arc.zeros`` and the like: NumPy's arrays outside a traced function, traced arrays inside.

Inside a traced function they are what traced values can be written into; outside, NumPy's functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from archimedes_grad.arrays.operands import gathered, is_traced, literal
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.rules.creation import constant


def _made(array: Any) -> Any:
    return array if current_trace() is None else constant(array)


def array(object: Any, dtype: Any = None) -> Any:
    """Return an array of nested sequences, as ``numpy.array``; of traced entries, a traced array.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.array([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    if is_traced(object):
        return np.array(gathered(object), dtype=dtype) if dtype is None else literal(object, dtype)
    return _made(np.array(object, dtype=dtype))


def zeros(shape: Any, dtype: Any = float) -> Any:
    """Return an array of zeros, as ``numpy.zeros``, that can hold traced values inside a traced function.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> def f(x):
    ...     y = arc.zeros(3)
    ...     y[0] = x**2
    ...     return y[0]
    >>> float(arc.grad(f)(3.0))
    6.0
    """
    return _made(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = float) -> Any:
    """Return an array of ones, as ``numpy.ones``.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.ones(2).tolist()
    [1.0, 1.0]
    """
    return _made(np.ones(shape, dtype))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return an array of one number, traced or not, as ``numpy.full``.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.full(2, 7.0).tolist()
    [7.0, 7.0]
    """
    if is_traced(fill_value):
        result = constant(np.full(shape, 0, dtype or fill_value.dtype))
        result[...] = fill_value
        return result
    return _made(np.full(shape, fill_value, dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> Any:
    """Return a matrix with ones on a diagonal, as ``numpy.eye``.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return _made(np.eye(N, M, k, dtype))


def arange(*args: Any, dtype: Any = None) -> Any:
    """Return evenly spaced numbers with a given step, as ``numpy.arange``.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.arange(3).tolist()
    [0, 1, 2]
    """
    numbers = np.arange(*args, dtype=dtype)
    return numbers if is_traced(numbers) else _made(numbers)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Return evenly spaced numbers between two ends, traced or not, as ``numpy.linspace``.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.linspace(0.0, 1.0, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    numbers = np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype, axis=axis)
    return numbers if is_traced(numbers) else _made(numbers)
