"""Whether what NumPy raises is of something that no output reads: a graph does not hold that, and nothing raises."""

import copy
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .reference import ERRORS, Namespace

#: Functions beside those of ``np.linalg`` that raise LinAlgError.
_NAMES = ("roots", "polyfit")


def is_unread(program: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Tell whether the outputs are the same whatever stands in the place of factorisations that there are not."""
    try:
        # What is multiplied by 0 is read as well: nan shows it.
        results = [_with_results(program, factor)(*copy.deepcopy(list(args))) for factor in (2.0, 3.0, np.nan)]
    except ERRORS:
        return False
    first, *others = (result if isinstance(result, tuple) else (result,) for result in results)
    return all(
        np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True)
        for other in others for a, b in zip(first, other, strict=True)
    )  # fmt: skip


def _with_results(program: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """Return a program whose factorisations give those of another matrix, times a factor, where they would raise."""
    plain = program.__globals__["np"]
    names = {name: _with_result(getattr(plain, name), factor) for name in _NAMES}
    of_matrices = {
        name: _with_result(getattr(plain.linalg, name), factor)
        for name in np.linalg.__all__ if not isinstance(getattr(np.linalg, name), type)
    }  # fmt: skip
    forgiving = Namespace(plain, linalg=Namespace(plain.linalg, **of_matrices), **names)
    return types.FunctionType(program.__code__, {**program.__globals__, "np": forgiving}, program.__name__,
                              program.__defaults__, program.__closure__)  # fmt: skip


def _with_result(function: Callable[..., Any], factor: float) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except np.linalg.LinAlgError:
            result = function(*map(_regular, args), **options)
            return tuple(factor * x for x in result) if isinstance(result, tuple) else factor * result

    return call


def _regular(x: Any) -> Any:
    """Return what has a factorisation, of the shape of an operand: the identity, or coefficients of real roots."""
    shape = np.shape(x)
    if not shape:
        return x
    return np.broadcast_to(np.eye(*shape[-2:]), shape) if len(shape) > 1 else np.poly(np.arange(1.0, shape[0]))
