"""What roots and differential equations have in common: the trace of an equation, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.signature import CallSignature, name_of
from archimedes_grad.arrays.operands import gathered, node_of, value_of
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.derivatives.autodiff import value_function
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.transforms.bodies import Body, as_number, numbers_in, traced_body, values_of

FLOAT64 = np.dtype(np.float64)


def evaluated_plainly(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Evaluate on plain numbers by a trace of the call."""
    return CompiledFunction(function, CallSignature(function), value_function, name)(*args)


def as_float(owner: str, what: str, given: Any) -> Any:
    """Return a number or array as float64.

    Raises
    ------
    TypeError
        If it holds no real numbers.
    """
    number = as_number(given if not isinstance(given, list | tuple) else np.asarray(gathered(given)))
    if number is None:
        raise TypeError(
            f"{owner}: {what} must be a number or an array of real numbers, got {type(given).__name__}. Put several "
            f"arrays into one by np.concatenate."
        )
    return number.astype(np.float64)


def floats(number: Any) -> npt.NDArray[np.float64]:
    """Return the value of a number as an array of its own."""
    return np.array(value_of(number), dtype=np.float64)


def equation_body(owner: str, f: Callable[..., Any], args: Sequence[Any]) -> Body:
    """Return the body of an equation, which may close over traced arrays."""
    names = [f"argument {k}" for k in range(len(args))]
    return traced_body(f"{owner} of {name_of(f)}", f, args, names, closed_over([f]))


def parameters_of(body: Body, first: int = 1) -> list[cs.MX]:
    """Return symbols for the inputs of a body from one on."""
    return [cs.MX.sym(f"p{k}", *body.function.size_in(k)) for k in range(first, body.function.n_in())]


def nodes_of(args: tuple[Any, ...], body: Body) -> list[cs.MX]:
    """Return the nodes that a body reads: the numbers in arguments, and what it closes over."""
    return [*map(node_of, numbers_in(args)), *body.closed_nodes]


def flat_values_of(args: tuple[Any, ...], body: Body) -> list[npt.NDArray[np.float64]]:
    """Return the values, flat in C order, of what a body reads."""
    return [*values_of(numbers_in(args)), *body.closed_values]
