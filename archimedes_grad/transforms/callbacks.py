"""``arc.callback``: a black box inside a traced function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arguments.signature import name_of
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import is_traced, node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.compilation.embedding import casadi_name
from archimedes_grad.nodes.gather import flat, reshaped
from archimedes_grad.transforms.black_box import BlackBox
from archimedes_grad.transforms.bodies import as_number, owned
from archimedes_grad.transforms.options import require_functions

_METHODS = ("adaptive", "finite", "complex")


def callback(
    func: Callable[..., Any], result_like: Any, *args: Any, derivative: str | Callable[..., Any] = "adaptive"
) -> Any:
    """Call a function that cannot be traced, inside one that is.

    Parameters
    ----------
    func
        Called with NumPy arrays (``np.float64`` for numbers) in the shapes of ``args``; returns an array like
        ``result_like``. It may be called from the thread that evaluates, any number of times, in any order.
    result_like : array_like
        An array or number of the shape of the result, which is float64.
    *args : array_like
        Arrays and numbers, traced or not.
    derivative
        ``"adaptive"``, ``"finite"`` or ``"complex"``: the numeric method; or a function ``(*args, cotangent) ->``
        cotangents of the arguments, in a tuple where there are several. Derivatives of higher order are taken
        numerically of that.

    Returns
    -------
    array of the shape of ``result_like``
        Outside a traced function, what ``func`` returns.

    Raises
    ------
    ValueError
        If the result has not the shape of ``result_like``, or the method is unknown.
    Exception
        What ``func`` raises comes through as itself.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> def model(x):
    ...     return x * arc.callback(lambda t: math.erf(t), 0.0, x)
    >>> true = math.erf(0.5) + math.exp(-0.25) / math.sqrt(math.pi)
    >>> bool(np.isclose(arc.grad(model)(0.5), true))
    True
    """
    require_functions("callback", func=func)
    name = name_of(func)
    if not callable(derivative) and derivative not in _METHODS:
        raise ValueError(
            f"callback of {name}: unknown derivative {derivative!r}; valid: {', '.join(map(repr, _METHODS))}, or a "
            f"function (*args, cotangent) -> cotangents. Leave it out for 'adaptive'."
        )
    operands = [_operand(name, k, arg) for k, arg in enumerate(args)]
    like = as_number(np.asarray(result_like) if isinstance(result_like, list | tuple) else result_like)
    if like is None:
        raise TypeError(
            f"callback of {name}: result_like must be an array or a number of the shape of the result, got "
            f"{type(result_like).__name__} {result_like!r}. Write 0.0 for a number, np.zeros(shape) for an array."
        )
    shape = np.shape(value_of(like))
    trace = current_trace()
    if trace is None or not any(map(is_traced, operands)):
        return owned(_checked(name, func(*map(owned, operands)), shape))

    def evaluate(*arrays: Any) -> list[Any]:
        # A complex step asks for values of complex arguments.
        kinds = "fiubc" if any(map(np.iscomplexobj, arrays)) else "fiub"
        return [_checked(name, func(*arrays), shape, kinds)]

    pull_back = None
    if callable(derivative):
        given = derivative

        def pull_back(*arrays: Any) -> list[Any]:
            return _cotangents(name, given(*arrays), [np.shape(value_of(operand)) for operand in operands])

    values = [np.asarray(value_of(operand), dtype=float) for operand in operands]
    # In a body there are no values yet: what is not taken there must not be called either.
    value = evaluate(*(array.copy()[()] for array in values))[0] if trace.values_known else np.ones(shape)
    box = BlackBox(
        casadi_name(name, "callback"), evaluate, [array.shape for array in values], [shape],
        derivative if isinstance(derivative, str) else "adaptive", pull_back,
    )  # fmt: skip
    trace.outermost.black_boxes.append(box)
    trace.opaque = True
    (node,) = box.call([flat(node_of(operand)) for operand in operands])
    return new_array(reshaped(node, shape), np.array(value, dtype=float) if shape else np.float64(value))


def _operand(name: str, k: int, arg: Any) -> Any:
    number = as_number(arg)
    if number is None:
        raise TypeError(
            f"callback of {name}: argument {k} is a {type(arg).__name__}; arrays and real numbers were expected. Let "
            f"the function close over what is none."
        )
    return arg if isinstance(arg, float | int) else number


def _checked(name: str, result: Any, shape: tuple[int, ...], kinds: str = "fiub") -> Any:
    array = np.asarray(result)
    if array.shape != shape:
        raise ValueError(
            f"callback of {name}: the function returned shape {array.shape}, and result_like has shape {shape}; the "
            f"same was expected. Make result_like an array of the shape that it returns."
        )
    if array.dtype.kind not in kinds:
        raise TypeError(
            f"callback of {name}: the function returned dtype {array.dtype}; real numbers are expected. Convert the "
            f"result to float."
        )
    return result


def _cotangents(name: str, given: Any, shapes: list[tuple[int, ...]]) -> list[Any]:
    cotangents = list(given) if isinstance(given, tuple | list) else [given]
    for k, cotangent in enumerate(cotangents):
        if np.asarray(cotangent).dtype.kind not in "fiub":
            raise TypeError(
                f"callback of {name}: the derivative returned a {type(cotangent).__name__} as cotangent {k}; real "
                f"numbers are expected. Return zeros for an argument that it does not depend on."
            )
    got = [np.shape(cotangent) for cotangent in cotangents]
    if got != shapes:
        raise ValueError(
            f"callback of {name}: the derivative returned cotangents of shapes {got}, and the arguments have {shapes}. "
            f"Return one for each argument, in its shape."
        )
    return cotangents
