"""Newton's method as a CasADi Function, which ends where rounding does, in whatever units the equations are.

CasADi's own ends where all residuals are below one number: equations in small units at their start, those in large
units never. Here a point is a root where no residual is larger than the rounding of its terms, by its derivatives and
the sizes of the unknowns. Where rounding is coarser than that (a root at 0, a double root, noise), steps make residuals
no smaller in the end, and a point is a root if residuals and step are small by the tolerance.
"""

from __future__ import annotations

import casadi as cs
import numpy as np

from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.given_derivatives import NEWTON
from archimedes_grad.nodes.loops import Loop, looped

#: A pivot below this is 0 in derivatives of roots. CasADi's own bound is 1e-12, in whatever units f and x are.
_LEAST_PIVOT = 1e-300
#: Rounding of a residual, by what its terms are.
_ROUNDING = 64 * np.finfo(float).eps
#: A step, by the unknowns, below which no line search is needed, and the point may count as a root.
_SMALL_STEP = 1e-5
#: Halvings of a step before there is none that makes residuals smaller.
_HALVINGS = 40


def newton(problem: cs.Function, tol: float, max_steps: int) -> tuple[cs.Function, cs.Function]:
    """Return the Functions that find a root, and that differentiate it.

    The first takes a start and parameters, and gives a point, and 1 where it is a root. The second takes this root and
    parameters, and gives it with the derivatives that it has by the equations: it is a root finder without a step.

    Parameters
    ----------
    problem
        Takes the unknowns in a column, and parameters; gives as many residuals in a column.
    tol
        The largest residual, and the largest step, of a root that rounding keeps from being met.
    """
    jacobian = problem.factory("jacobian", problem.name_in(), ["jac:o0:i0", "o0"])
    differentiated = cs.rootfinder("implicit_root", "newton", problem, {
        "jacobian_function": jacobian, "max_iter": 0, "error_on_fail": False, "linear_solver": "qr",
        "linear_solver_options": {"eps": _LEAST_PIVOT},
    })  # fmt: skip
    start, *parameters = _inputs(problem)
    step = _step(problem, jacobian, tol)
    inputs = _inputs(step)
    steps = looped(Loop(step, max_steps + 1, 6, condition=graph_function("goes_on", inputs, [inputs[5] == 0])))
    first = [start, cs.MX.zeros(start.numel()), cs.MX(np.inf), cs.MX(np.inf), cs.MX(0.0), cs.MX(0.0)]
    last = steps.call([*first, *parameters], False, True)
    found = cs.Function(NEWTON, [start, *parameters], [last[0], last[4]], {"never_inline": True})
    return found, differentiated


def _step(problem: cs.Function, jacobian: cs.Function, tol: float) -> cs.Function:
    """Return the Function of one step: it goes to the next point, judges it, and finds the step from there.

    Carries the point, the step from it, the largest residual, the largest one by its terms, whether the point is a
    root, and whether there is nothing more to be done.
    """
    n = problem.numel_in(0)
    x, step = cs.MX.sym("x", n), cs.MX.sym("step", n)
    before, before_by_terms, found, ended = (cs.MX.sym(name) for name in ("r", "u", "found", "ended"))
    parameters = [cs.MX.sym(f"p{k}", *problem.size_in(k)) for k in range(1, problem.n_in())]
    at = x - step
    matrix, residual = jacobian.call([at, *parameters], False, True)
    # No pivot is refused: a step that is not finite makes no residual smaller.
    newton = cs.solve(matrix, residual, "qr", {"eps": 0.0})
    sizes, steps, terms = cs.fabs(residual), cs.fabs(newton), cs.mtimes(cs.fabs(matrix), cs.fabs(at))
    rounded = sizes <= _ROUNDING * terms
    width = cs.mmax(cs.fabs(at))
    largest = cs.mmax(sizes)
    by_terms = cs.mmax(cs.if_else(rounded, 0.0, sizes / (terms + _LEAST_PIVOT)))
    is_small = _all(sizes <= tol)
    is_near = cs.logic_and(is_small, _all(steps <= _SMALL_STEP * width))
    is_short = _all(steps <= cs.fmax(tol, _SMALL_STEP * width))
    is_root = cs.logic_or(_all(rounded), cs.logic_and(is_small, is_short))
    stalls = cs.logic_and(largest > before / 2, by_terms > before_by_terms / 2)
    is_last = cs.logic_or(_all(rounded), cs.logic_and(is_near, stalls))
    (length,) = cs.Function.if_else("length", _full_step(problem), _line_search(problem)).call(
        [cs.logic_or(is_last, is_near), at, newton, largest, *parameters], False, True
    )
    results = [at, length * newton, largest, by_terms, is_root, cs.logic_or(is_last, length == 0)]
    inputs = [x, step, before, before_by_terms, found, ended, *parameters]
    return graph_function("newton_step", inputs, results)


def _full_step(problem: cs.Function) -> cs.Function:
    """Return the Function that has the signature of a line search, and gives 1."""
    inputs = _inputs_of_search(problem)
    return graph_function("full_step", inputs, [cs.MX(1.0)])


def _line_search(problem: cs.Function) -> cs.Function:
    """Return the Function that halves a step until it makes the largest residual smaller.

    Takes a point, the step from it, the largest residual there, and parameters; gives the length of the step, 0 where
    none is found.
    """
    x, step, largest, *parameters = inputs = _inputs_of_search(problem)
    length, descends = cs.MX.sym("length"), cs.MX.sym("descends")
    carried = [length, descends, *inputs]
    shorter = length / 2
    (residual,) = problem.call([x - shorter * step, *parameters], False, True)
    halved = graph_function("halved", carried, [shorter, _all(cs.fabs(residual) <= (1 - shorter / 2) * largest)])
    goes_on = graph_function("goes_on", carried, [cs.logic_not(descends)])
    halvings = looped(Loop(halved, _HALVINGS, 2, condition=goes_on))
    # Mostly the full step will do, and nothing else is asked.
    found = halved.call([cs.MX(2.0), cs.MX(0.0), *inputs], False, True)
    unchanged = graph_function("unchanged", carried, [length, descends])
    length, descends = cs.Function.if_else("halvings", unchanged, halvings).call(
        [found[1], *found, *inputs], False, True
    )
    return graph_function("line_search", inputs, [cs.if_else(descends, length, 0.0)])


def _inputs_of_search(problem: cs.Function) -> list[cs.MX]:
    x, *parameters = _inputs(problem)
    return [x, cs.MX.sym("step", x.numel()), cs.MX.sym("largest"), *parameters]


def _all(truths: cs.MX) -> cs.MX:
    """Return whether all entries hold: comparisons, which do not of nan."""
    return cs.mmin(truths)


def _inputs(function: cs.Function) -> list[cs.MX]:
    return [cs.MX.sym(f"x{k}", *function.size_in(k)) for k in range(function.n_in())]
