"""Functions defined by what they solve: ``implicit_root``, ``linear_solve`` and ``odeint``.

CasADi solves them, and differentiates them by their equations: roots by the implicit function theorem, linear systems
by a solve with the transpose, differential equations by forward and adjoint sensitivities. A solver that fails raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.signature import CallSignature, name_of
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import gathered, node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.derivatives.autodiff import value_function
from archimedes_grad.derivatives.counting import Counting
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import flat
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep
from archimedes_grad.nodes.integrators import integrated
from archimedes_grad.nodes.newton import newton
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.optional import installed
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import (
    Body,
    applied,
    as_number,
    fails_with,
    numbers_in,
    traced_body,
    values_of,
)
from archimedes_grad.transforms.options import require_functions, required_integer, required_positive

_FLOAT64 = np.dtype(np.float64)


def implicit_root(
    f: Callable[..., Any], x0: Any, *args: Any, tol: float = 1e-12, max_steps: int = 100
) -> Any:
    """Return x with ``f(x, *args) = 0``, by Newton's method from ``x0``; differentiable in ``args``.

    Parameters
    ----------
    f
        ``f(x, *args)``: as many entries as x. It may close over traced values, and is differentiable in them too.
    x0
        Where to start: a number or an array. The derivative in x0 is zero.
    args
        Arrays, numbers and trees of these.
    tol
        The largest residual of a root, in the units of f: lower it where these are small.
    max_steps
        Newton steps before the solve has failed.

    Returns
    -------
    number or array
        Shaped like x0, float64.

    Raises
    ------
    ValueError
        If f does not return as many entries as x has.
    numpy.linalg.LinAlgError
        If no root was found within max_steps, where the call is evaluated.

    Notes
    -----
    Derivatives follow from the implicit function theorem, dx/da = -(df/dx)^-1 df/da, at the root: the steps that led
    there are not differentiated.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> root = lambda a: arc.implicit_root(lambda x, a: x**2 - a, 1.0, a)
    >>> round(float(root(4.0)), 9), round(float(arc.grad(root)(4.0)), 9)
    (2.0, 0.25)
    """
    require_functions("implicit_root", f=f)
    start = _as_float("implicit_root", "x0", x0)
    tol = required_positive("implicit_root", "tol", tol, "Leave it out for 1e-12.")
    max_steps = required_integer("implicit_root", "max_steps", max_steps, 1, "Leave it out for 100.")
    if current_trace() is None:
        return _compiled(
            "implicit_root", lambda x0, args: implicit_root(f, x0, *args, tol=tol, max_steps=max_steps), start, args
        )
    body = _body("implicit_root", f, [_floats(start), *args])
    if len(body.outputs) != 1 or math.prod(body.outputs[0].shape) != np.size(value_of(start)):
        raise ValueError(
            f"implicit_root: {name_of(f)} must return as many entries as x has, {np.size(value_of(start))}; got "
            f"{body.shown_result}. Solve for as many unknowns as there are equations."
        )
    size = np.size(value_of(start))
    if not size:
        return _floats(start)
    with forward_nodes():
        x = cs.MX.sym("x", size)
        parameters = _parameters(body)
        residual = body.function.call([cs.reshape(x, *body.function.size_in(0)), *parameters], False, True)[0]
        problem = graph_function("residual", [x, *parameters], [flat(residual)])
        if problem.jac_sparsity(0, 0).is_singular():
            raise ValueError(
                f"implicit_root: {name_of(f)} does not determine x: of its {size} equation{'s' * (size != 1)} some do "
                f"not depend on x, or an entry of x is in none of them. Solve for what they depend on."
            )
        found, differentiated = newton(problem, tol, max_steps)
        known = _nodes(args, body)
    fails_with(
        f"implicit_root of {name_of(f)}: no root was found within {max_steps} steps of Newton's method, where residuals "
        f"are rounding, or below {tol:g} and no longer smaller. Start nearer to it (x0), raise max_steps, or raise tol "
        f"where f is no more exact."
    )
    values = _values(args, body)
    (at,) = applied(
        found, [flat(node_of(start)), *known], [*values_of([start]), *values], [Output((size,), _FLOAT64, False)],
        times=20 * body.n_instructions, can_fail=True, opaque=True,
    )  # fmt: skip
    shape = np.shape(value_of(start))
    return applied(
        differentiated, [without_reverse_sweep(size, 1)(at.node), *known], [*values_of([at]), *values],
        [Output(shape, _FLOAT64, shape == ())], opaque=True,
    )[0]  # fmt: skip


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
        Tolerances of the integrator, per step.

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
    integrated beside the state (forward) or backward after it (adjoint), to the same tolerances.

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
        max_step = required_positive("odeint", "max_step", max_step, "Leave it out for steps of any length.")
    times = _times(t)
    start = _as_float("odeint", "x0", x0)
    if current_trace() is None:
        return _compiled(
            "odeint", lambda x0, args: odeint(f, x0, times, *args, rtol=rtol, atol=atol, max_step=max_step), start, args
        )
    shape = np.shape(value_of(start))
    if 0 in shape:
        return np.zeros((len(times), *shape))
    body = _body("odeint", f, [_floats(start), np.asarray(times[0]), *args])
    if [output.shape for output in body.outputs] != [shape]:
        raise ValueError(
            f"odeint: {name_of(f)} must return the shape of x, {shape}; got {body.shown_result}. It gives dx/dt, an "
            f"entry for each of x0: return np.array([...]) in place of a list or tuple."
        )
    with forward_nodes():
        x, time = cs.MX.sym("x", np.size(value_of(start))), cs.MX.sym("t")
        parameters = _parameters(body, 2)
        packed = cs.MX.sym("p", sum(parameter.numel() for parameter in parameters))
        unpacked = _unpacked(packed, parameters)
        (slope, *_) = body.function.call([cs.reshape(x, *body.function.size_in(0)), time, *unpacked], False, True)
        rate = graph_function("rate", [x, time, packed], [flat(slope)])
        # To all parameters together cotangents go back, zeros to those that are only compared.
        counted = Counting().inputs_behind(body.function)[0]
        nodes = [
            node if k in counted else without_reverse_sweep(*node.shape)(node)
            for k, node in enumerate(_nodes(args, body), 2)
        ]
        inputs = [flat(node_of(start)), cs.vertcat(*(flat(node) for node in nodes)) if nodes else cs.MX(0, 1)]
    solver = integrated(rate, times, rtol, atol, max_step)
    output = Output((len(times), *shape), _FLOAT64, False)
    values = [*values_of([start]), np.concatenate([np.zeros(0), *_values(args, body)])]
    return applied(
        solver, inputs, values, [output], times=100 * len(times) * body.n_instructions, opaque=True
    )[0]  # fmt: skip


def linear_solve(A: Any, b: Any) -> Any:
    """Return x with ``A @ x = b``, for a dense or a ``scipy.sparse`` matrix.

    Parameters
    ----------
    A
        A square matrix: an array, traced or not (as ``numpy.linalg.solve``), or a constant ``scipy.sparse`` array,
        which is factorised as it is, never made dense. Or a pair ``(data, structure)``: the stored entries, traced or
        not, in the order of ``structure.data``, and a ``scipy.sparse`` array that says where they stand; then the
        solution is differentiable in data.
    b : array
        Of shape (n,) or (n, k).

    Raises
    ------
    ValueError
        If the shapes do not fit.
    numpy.linalg.LinAlgError
        If A is singular.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> import archimedes_grad as arc
    >>> A = scipy.sparse.csc_array(np.diag([2.0, 4.0]))
    >>> arc.grad(lambda b: np.sum(arc.linear_solve(A, b)))(np.ones(2)).tolist()
    [0.5, 0.25]
    >>> total = lambda data: np.sum(arc.linear_solve((data, A), np.ones(2)))
    >>> arc.grad(total)(A.data).tolist()
    [-0.25, -0.0625]
    """
    if isinstance(A, tuple) and len(A) == 2 and _is_sparse(A[1]):
        return _solved_with_entries(*A, b)
    if not _is_sparse(A):
        _require_fitting(np.shape(value_of(_as_float("linear_solve", "A", A))), _as_float("linear_solve", "b", b))
        return np.linalg.solve(A, b)
    b = _as_float("linear_solve", "b", b)
    _require_fitting(A.shape, b)
    matrix = A.tocsc().astype(np.float64)
    matrix.sum_duplicates()
    matrix.sort_indices()
    factors = _factorised(matrix)
    return _sparse_solution(matrix, matrix.data, b) if isinstance(b, SymbolicArray) else factors.solve(b)


def _solved_with_entries(data: Any, structure: Any, b: Any) -> Any:
    """Solve with a sparse matrix of given entries, which may be traced."""
    data, b = _as_float("linear_solve", "A's data", data), _as_float("linear_solve", "b", b)
    _require_fitting(structure.shape, b)
    order = structure.copy()
    if np.shape(value_of(data)) != np.shape(order.data) or np.ndim(order.data) != 1:
        raise ValueError(
            f"linear_solve: A's data has shape {np.shape(value_of(data))}, and one number for each stored entry of its "
            f"structure was expected, shape {np.shape(order.data)}. Start from structure.data."
        )
    order.data = np.arange(1, order.nnz + 1)
    matrix = order.tocsc()
    if matrix.nnz != order.nnz:
        raise ValueError(
            "linear_solve: the structure of A stores an entry twice, and each place once was expected. Call "
            "structure.sum_duplicates() first."
        )
    matrix.sort_indices()
    entries = data[matrix.data - 1]
    if isinstance(data, SymbolicArray) or isinstance(b, SymbolicArray):
        return _sparse_solution(matrix, entries, b)
    matrix.data = entries
    return _factorised(matrix).solve(b)


def _factorised(matrix: Any) -> Any:
    from scipy.sparse.linalg import splu

    try:
        return splu(matrix)
    except RuntimeError as error:
        raise np.linalg.LinAlgError(
            f"linear_solve: A is singular ({error}), and a matrix of full rank was expected. Use np.linalg.lstsq on "
            f"A.toarray()."
        ) from None


def _sparse_solution(matrix: Any, entries: Any, b: Any) -> Any:
    """Return the traced solution with a matrix of given structure, by columns, and given entries."""
    shape = np.shape(value_of(b))
    rows, columns = map(int, matrix.shape)
    sparsity = cs.Sparsity(rows, columns, matrix.indptr.tolist(), matrix.indices.tolist())
    nodes = [node_of(entries), node_of(b)]
    with forward_nodes():
        stored, right = (cs.MX.sym(name, *node.shape) for name, node in zip(("entries", "b"), nodes, strict=True))
        sides = right.T if len(shape) == 2 else right
        solution = cs.solve(cs.MX(sparsity, stored), sides, "csparse")
        # A pivot of 0 gives inf and nan, and no other sign.
        difference = cs.MX.binary(cs.OP_SUB, solution, solution)
        finite = cs.MX.binary(cs.OP_EQ, difference, cs.MX(0.0))
        solver = graph_function("linear_solve", [stored, right], [solution.T if len(shape) == 2 else solution, finite])
    fails_with("linear_solve: A is singular, or A or b is not finite")
    return applied(
        solver, nodes, values_of([entries, b]), [Output(shape, _FLOAT64, False)], times=10 * matrix.nnz,
        can_fail=True, opaque=True,
    )[0]  # fmt: skip


# --- what they share ------------------------------------------------------------------------------------


def _compiled(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Evaluate on plain numbers by a trace of the call."""
    return CompiledFunction(function, CallSignature(function), value_function, name)(*args)


def _require_fitting(matrix: tuple[int, ...], b: Any) -> None:
    """Raise ValueError where a matrix is not square, or a right side has not as many rows."""
    right = np.shape(value_of(b))
    if len(matrix) < 2 or matrix[-1] != matrix[-2] or not right or right[-2:][0] != matrix[-1]:
        raise ValueError(
            f"linear_solve: A must be square and b have as many rows; got A of shape {matrix} and b of {right}. Use "
            f"np.linalg.lstsq where there are more equations than unknowns."
        )


def _is_sparse(A: Any) -> bool:
    if isinstance(A, SymbolicArray | np.ndarray | list | tuple) or not installed("scipy"):
        return False
    from scipy.sparse import issparse

    return bool(issparse(A))


def _as_float(owner: str, what: str, given: Any) -> Any:
    number = as_number(given if not isinstance(given, list | tuple) else np.asarray(gathered(given)))
    if number is None:
        raise TypeError(
            f"{owner}: {what} must be a number or an array of real numbers, got {type(given).__name__}. Put several "
            f"arrays into one by np.concatenate."
        )
    return number.astype(np.float64)


def _floats(number: Any) -> npt.NDArray[np.float64]:
    return np.array(value_of(number), dtype=np.float64)


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


def _body(owner: str, f: Callable[..., Any], args: Sequence[Any]) -> Body:
    names = [f"argument {k}" for k in range(len(args))]
    return traced_body(f"{owner} of {name_of(f)}", f, args, names, closed_over([f]))


def _parameters(body: Body, first: int = 1) -> list[cs.MX]:
    return [cs.MX.sym(f"p{k}", *body.function.size_in(k)) for k in range(first, body.function.n_in())]


def _unpacked(packed: cs.MX, parameters: list[cs.MX]) -> list[cs.MX]:
    """Return slices of a vector, shaped as parameters are."""
    ends = np.cumsum([0, *(parameter.numel() for parameter in parameters)]).tolist()
    pieces = cs.vertsplit(packed, ends) if parameters else []
    return [cs.reshape(piece, *parameter.shape) for piece, parameter in zip(pieces, parameters, strict=True)]


def _nodes(args: tuple[Any, ...], body: Body) -> list[cs.MX]:
    return [*map(node_of, numbers_in(args)), *body.closed_nodes]


def _values(args: tuple[Any, ...], body: Body) -> list[npt.NDArray[np.float64]]:
    return [*values_of(numbers_in(args)), *body.closed_values]
