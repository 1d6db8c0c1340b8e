"""Functions defined by what they solve: ``implicit_root`` and ``linear_solve``.

They are differentiated by their equations: roots by the implicit function theorem, linear systems by a solve with the
transpose. A solver that fails raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import name_of
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.compilation.failing import EvaluationError
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import flat
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep
from archimedes_grad.nodes.newton import newton
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.optional import installed
from archimedes_grad.rules.attempts import attempted
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import applied, fails_with, values_of
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
from archimedes_grad.transforms.options import require_functions, required_integer, required_positive


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
        The largest residual, and the largest step, of a root that rounding keeps Newton's method from meeting: raise it
        where f is no more exact.
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
    Units do not count: steps are taken until each residual is rounding, by its derivatives and the sizes of the
    unknowns. Where rounding is coarser than that (at roots that are 0, at double ones, of equations that are noisy),
    they are taken until they make residuals no smaller.

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
    start = as_float("implicit_root", "x0", x0)
    tol = required_positive("implicit_root", "tol", tol, "Leave it out for 1e-12.")
    max_steps = required_integer("implicit_root", "max_steps", max_steps, 1, "Leave it out for 100.")
    if current_trace() is None:
        return evaluated_plainly(
            "implicit_root", lambda x0, args: implicit_root(f, x0, *args, tol=tol, max_steps=max_steps), start, args
        )
    return _traced_root(f, start, *args, tol=tol, max_steps=max_steps)


def _root(f: Callable[..., Any], start: Any, *args: Any, tol: float, max_steps: int) -> Any:
    """Return a root within the trace under way."""
    body = equation_body("implicit_root", f, [floats(start), *args])
    if len(body.outputs) != 1 or math.prod(body.outputs[0].shape) != np.size(value_of(start)):
        raise ValueError(
            f"implicit_root: {name_of(f)} must return as many entries as x has, {np.size(value_of(start))}; got "
            f"{body.shown_result}. Solve for as many unknowns as there are equations."
        )
    size = np.size(value_of(start))
    if not size:
        return floats(start)
    with forward_nodes():
        x = cs.MX.sym("x", size)
        parameters = parameters_of(body)
        residual = body.function.call([cs.reshape(x, *body.function.size_in(0)), *parameters], False, True)[0]
        problem = graph_function("residual", [x, *parameters], [flat(residual)])
        if problem.jac_sparsity(0, 0).is_singular():
            raise ValueError(
                f"implicit_root: {name_of(f)} does not determine x: of its {size} equation{'s' * (size != 1)} some do "
                f"not depend on x, or an entry of x is in none of them. Solve for what they depend on."
            )
        found, differentiated = newton(problem, tol, max_steps)
        known = nodes_of(args, body)
    failure = (
        f"implicit_root of {name_of(f)}: no root was found within {max_steps} steps of Newton's method: residuals that "
        f"are rounding, or below {tol:g} and no longer smaller. Start nearer to it (x0), raise max_steps, or raise tol "
        f"where f is no more exact."
    )
    fails_with(failure)
    values = flat_values_of(args, body)
    at, is_root = applied(
        found, [flat(node_of(start)), *known], [*values_of([start]), *values],
        [Output((size,), FLOAT64, False), Output((), FLOAT64, True)],
        times=20 * body.n_instructions, can_fail=True, opaque=True,
    )  # fmt: skip
    trace_under_way = current_trace()
    assert trace_under_way is not None
    trace_under_way.n_fallible += 1
    if trace_under_way.values_known and not value_of(is_root):
        raise EvaluationError(failure)
    shape = np.shape(value_of(start))
    return applied(
        differentiated, [without_reverse_sweep(size, 1)(at.node), *known], [*values_of([at]), *values],
        [Output(shape, FLOAT64, shape == ())], opaque=True,
    )[0]  # fmt: skip


_traced_root = attempted(_root, lambda *args, **options: implicit_root(*args, **options))


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
        _require_fitting(np.shape(value_of(as_float("linear_solve", "A", A))), as_float("linear_solve", "b", b))
        return np.linalg.solve(A, b)
    b = as_float("linear_solve", "b", b)
    _require_fitting(A.shape, b)
    matrix = A.tocsc().astype(np.float64)
    matrix.sum_duplicates()
    matrix.sort_indices()
    factors = _factorised(matrix)
    return _sparse_solution(matrix, matrix.data, b) if isinstance(b, SymbolicArray) else factors.solve(b)


def _solved_with_entries(data: Any, structure: Any, b: Any) -> Any:
    """Solve with a sparse matrix of given entries, which may be traced."""
    data, b = as_float("linear_solve", "A's data", data), as_float("linear_solve", "b", b)
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
        solver, nodes, values_of([entries, b]), [Output(shape, FLOAT64, False)], times=10 * matrix.nnz,
        can_fail=True, opaque=True,
    )[0]  # fmt: skip


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
