"""Differential equations as CasADi Functions: CVODES, with derivatives that go by no units.

CVODES judges errors by tolerances in the units of the states, of sensitivities and cotangents too, and CasADi takes
times less than 1e-9 apart for the same. So time is counted in the smallest of its steps, parameters in their own sizes,
and what is integrated beside the states is scaled to the size of these: it is linear in what it starts with.
"""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.given_derivatives import INTEGRATED, constant_in_derivatives, with_derivatives
from archimedes_grad.nodes.simplification import derivative_sweep, forward_nodes

#: The size of cotangents, and of states that are 0, in absolute tolerances.
_SIZE = 1e10
#: Sizes beyond these are taken for 1.
_SMALLEST, _LARGEST = 1e-100, 1e100
#: Steps in all, at least: what lasts longer than a few of these is seen. And those between two checkpoints.
_FEWEST_STEPS, _CHECKPOINT = 100, 5
#: Steps between two times: CasADi's own bound, which a bound on their length may raise.
_MOST_STEPS = 10_000


def integrated(
    rate: cs.Function, times: npt.NDArray[np.float64], rtol: float, atol: float, max_step: float | None
) -> cs.Function:
    """Return the Function of a state at the first time, and of parameters, that gives the states at all times.

    Parameters
    ----------
    rate
        Takes a state, a time and parameters, all in columns, and gives the derivative of the state.
    max_step
        The longest step, forward and backward; None for a hundredth of the time in all.
    """
    n, n_parameters = rate.numel_in(0), rate.numel_in(2)
    with forward_nodes():
        x, parameters = cs.MX.sym("x", n), cs.MX.sym("p", n_parameters)
        inner = _in_units(rate, times, rtol, atol, max_step)
        (states,) = inner.call([x, *_scaled(parameters)], False, True)
        inputs, outputs = [x, parameters], [states]
        given, seed = cs.MX.sym("states", *states.shape), cs.MX.sym("seed", *states.shape)
        seeds = [cs.MX.sym("dx", n), cs.MX.sym("dp", n_parameters)]
    with derivative_sweep():
        scaled, sizes = _scaled(parameters)
        natural = cs.vertcat(seeds[0] / _sizes(x, _SIZE * atol), seeds[1] / sizes)
        by = _size_of(natural)
        (tangent,) = inner.forward(1).call(
            [x, scaled, sizes, given, seeds[0] / by, seeds[1] / sizes / by, cs.MX(n_parameters, 1)], False, True
        )
        forward = graph_function(f"fwd1_{INTEGRATED}", [*inputs, given, *seeds], [tangent * by])
        by = _size_of(seed) / (_SIZE * atol)
        back = inner.reverse(1).call([x, scaled, sizes, given, seed / by], False, True)
        reverse = graph_function(
            f"adj1_{INTEGRATED}", [*inputs, given, seed], [cs.densify(back[0] * by), cs.densify(back[1] * by / sizes)]
        )
    with forward_nodes():
        return with_derivatives(inputs, outputs, forward, reverse, INTEGRATED)


def _in_units(
    rate: cs.Function, times: npt.NDArray[np.float64], rtol: float, atol: float, max_step: float | None
) -> cs.Function:
    """Return the Function of a state, scaled parameters, and the sizes of these, that gives the states at all times."""
    steps = np.diff(times)
    unit = float(steps.min(initial=np.inf)) if len(steps) else 1.0
    x, elapsed = cs.MX.sym("x", rate.numel_in(0)), cs.MX.sym("t")
    scaled, sizes = (cs.MX.sym(name, rate.numel_in(2)) for name in ("p", "sizes"))
    parameters = scaled * constant_in_derivatives(*sizes.shape)(sizes)
    (slope,) = rate.call([x, times[0] + unit * elapsed, parameters], False, True)
    options: dict[str, Any] = {
        "reltol": rtol, "abstol": atol, "disable_internal_warnings": True,
        # The gradients by parameters are accumulated: without this nobody would look at their error.
        "quad_err_con": True,
        # Of a rate that does not depend on the state this would read memory that was not written.
        "second_order_correction": False,
    }  # fmt: skip
    if max_step is None:
        longest, checkpoint = (times[-1] - times[0]) / _FEWEST_STEPS, _CHECKPOINT
    else:
        # Backward a step goes no further than to the last checkpoint.
        longest, checkpoint = max_step, 1
    most = max(_MOST_STEPS, 10 * int(steps.max(initial=0.0) / longest)) if longest else _MOST_STEPS
    options |= {"max_step_size": longest / unit, "steps_per_checkpoint": checkpoint, "max_num_steps": most}
    equation = {"x": x, "t": elapsed, "p": cs.vertcat(scaled, sizes), "ode": unit * slope}
    grid = ((times - times[0]) / unit).tolist()
    integrator = cs.integrator("integrator", "cvodes", equation, 0.0, grid, options)
    states = integrator.call({"x0": x, "p": cs.vertcat(scaled, sizes)}, False, True)["xf"]
    return graph_function("states", [x, scaled, sizes], [states])


def _scaled(parameters: cs.MX) -> tuple[cs.MX, cs.MX]:
    """Return parameters by their sizes, and these sizes, as constants."""
    sizes = _sizes(parameters, 1.0)
    return parameters / sizes, sizes


def _sizes(x: cs.MX, otherwise: float) -> cs.MX:
    """Return the size of each entry, as a constant; of zeros, and what is beyond all measure, that given."""
    size = cs.fabs(x)
    measured = cs.logic_and(size > _SMALLEST, size < _LARGEST)
    return constant_in_derivatives(*x.shape)(cs.if_else(measured, size, otherwise))


def _size_of(seed: cs.MX) -> cs.MX:
    """Return the largest entry, as a constant; 1 for zeros."""
    largest = cs.mmax(cs.fabs(cs.densify(cs.vec(seed))))
    return _sizes(largest, 1.0)
