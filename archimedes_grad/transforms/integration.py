"""``odeint``: differential equations, differentiated by the equations of their sensitivities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.signature import name_of
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.arrays.user_code import user_line
from archimedes_grad.derivatives.counting import Counting
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import flat
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep
from archimedes_grad.nodes.integrators import integrated
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import applied, values_of
from archimedes_grad.transforms.equations import (
    FLOAT64,
    as_float,
    equation_body,
    evaluated_plainly,
    flat_values_of,
    floats,
    nodes_of,
    parameters_of,
)
from archimedes_grad.transforms.options import require_functions, required_positive


def odeint(
    f: Callable[..., Any], x0: Any, t: Any, *args: Any, rtol: float = 1e-8, atol: float = 1e-10,
    max_step: float | None = None,
) -> Any:  # fmt: skip
    """Integrate ``dx/dt = f(x, t, *args)`` from ``x0`` at ``t[0]``, and return x at all of ``t``.

    Parameters
    ----------
    f
        ``f(x, t, *args)``, shaped like x. It may close over traced values, and is differentiable in them too.
    x0
        The state at ``t[0]``: a number or an array.
    t
        Increasing plain numbers.
    args
        Arrays, numbers and trees of these.
    rtol, atol
        Tolerances of the integrator, per step; atol in the units of x: lower it where these are small.
    max_step
        The longest step; a hundredth of the time in all if left out. What f does between two steps goes unseen: give
        half of what the shortest pulse in it lasts.

    Returns
    -------
    array
        Of shape ``(len(t), *x0.shape)``; differentiable in x0 and args.

    Raises
    ------
    ValueError
        If f does not return the shape of x, or t does not increase.
    TraceError
        If t is traced.
    RuntimeError
        If the integrator fails, with its own status and what may help.

    Notes
    -----
    CVODES of the SUNDIALS suite: Hindmarsh et al., *ACM Trans. Math. Softw.* 31 (2005) 363. Sensitivities are
    integrated beside the state (forward) or backward after it (adjoint), to the same tolerances, relative to their own
    size.

    Steps end where tolerances allow, not at the times in t. Where f jumps, go from jump to jump by a call for each
    piece: a jump in the midst of one costs steps, and may stop the integrator.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> times = np.array([0.0, 1.0])
    >>> decayed = lambda rate: arc.odeint(lambda x, t, rate: -rate * x, 1.0, times, rate)[-1]
    >>> round(float(arc.grad(decayed)(2.0)), 6), round(float(-np.exp(-2.0)), 6)
    (-0.135335, -0.135335)
    """
    require_functions("odeint", f=f)
    rtol = required_positive("odeint", "rtol", rtol, "Leave it out for 1e-8.")
    atol = required_positive("odeint", "atol", atol, "Leave it out for 1e-10.")
    if max_step is not None:
        max_step = required_positive("odeint", "max_step", max_step, "Leave it out for a hundredth of the time.")
    times = _times(t)
    start = as_float("odeint", "x0", x0)
    if current_trace() is None:
        return evaluated_plainly(
            "odeint", lambda x0, args: odeint(f, x0, times, *args, rtol=rtol, atol=atol, max_step=max_step), start, args
        )
    shape = np.shape(value_of(start))
    if 0 in shape:
        return np.zeros((len(times), *shape))
    body = equation_body("odeint", f, [floats(start), np.asarray(times[0]), *args])
    if [output.shape for output in body.outputs] != [shape]:
        raise ValueError(
            f"odeint: {name_of(f)} must return the shape of x, {shape}; got {body.shown_result}. It gives dx/dt, an "
            f"entry for each of x0: return np.array([...]) in place of a list or tuple."
        )
    with forward_nodes():
        x, time = cs.MX.sym("x", np.size(value_of(start))), cs.MX.sym("t")
        parameters = parameters_of(body, 2)
        packed = cs.MX.sym("p", sum(parameter.numel() for parameter in parameters))
        unpacked = _unpacked(packed, parameters)
        (slope, *_) = body.function.call([cs.reshape(x, *body.function.size_in(0)), time, *unpacked], False, True)
        rate = graph_function("rate", [x, time, packed], [flat(slope)])
        # To all parameters together cotangents go back, zeros to those that are only compared.
        counted = Counting().inputs_behind(body.function)[0]
        nodes = [
            node if k in counted else without_reverse_sweep(*node.shape)(node)
            for k, node in enumerate(nodes_of(args, body), 2)
        ]
        inputs = [flat(node_of(start)), cs.vertcat(*(flat(node) for node in nodes)) if nodes else cs.MX(0, 1)]
    solver = integrated(rate, times, rtol, atol, max_step)
    output = Output((len(times), *shape), FLOAT64, False)
    values = [*values_of([start]), np.concatenate([np.zeros(0), *flat_values_of(args, body)])]
    try:
        (states,) = applied(
            solver, inputs, values, [output], times=100 * len(times) * body.n_instructions, opaque=True
        )
    except RuntimeError:
        trace_under_way = current_trace()
        assert trace_under_way is not None
        trace_under_way.outermost.failed_at = user_line()
        raise
    return states


def _times(t: Any) -> npt.NDArray[np.float64]:
    t = gathered(t)
    if isinstance(t, SymbolicArray):
        raise trace_error(
            "odeint: t is a traced value, and plain numbers were expected: the times must be known while tracing.",
            "Scale the equation: with t = t_end * s, dx/ds = t_end * f(x, t_end * s), over s from 0 to 1.",
        )
    times = np.asarray(t)
    if times.dtype.kind not in "fiu":
        raise TypeError(
            f"odeint: t must be an increasing vector of finite numbers, got {type(t).__name__} {t!r}. Write "
            f"np.linspace(start, end, n)."
        )
    if times.ndim != 1 or not len(times) or not np.all(np.isfinite(times)) or not np.all(np.diff(times) > 0):
        raise ValueError(
            f"odeint: t must be an increasing vector of finite numbers, got {np.array2string(times, threshold=6)}. To "
            f"go back in time, integrate -f over increasing times."
        )
    return times.astype(np.float64)


def _unpacked(packed: cs.MX, parameters: list[cs.MX]) -> list[cs.MX]:
    """Return slices of a vector, shaped as parameters are."""
    ends = np.cumsum([0, *(parameter.numel() for parameter in parameters)]).tolist()
    pieces = cs.vertsplit(packed, ends) if parameters else []
    return [cs.reshape(piece, *parameter.shape) for piece, parameter in zip(pieces, parameters, strict=True)]
