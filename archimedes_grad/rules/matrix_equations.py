"""scipy.linalg's equations for a matrix (Sylvester, Lyapunov, Riccati) and functions of a matrix (logm, sqrtm, ...).

SciPy evaluates them. The sensitivities of an equation solve a linear one with the transposed operator, which is
a Sylvester or a discrete Lyapunov equation again: Kao and Hennequin, "Automatic differentiation of Sylvester,
Lyapunov, and algebraic Riccati equations" (2020). Those of a function of a matrix are a block of the same function of
a matrix twice as large: Mathias, "A chain rule for matrix functions and applications" (1996).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.dispatch import INTERCEPTED
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import is_traced, node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace, note_call, trace_error
from archimedes_grad.rules.attempts import intercepts_fallible
from archimedes_grad.rules.composition import as_numpy_gives
from archimedes_grad.rules.lapack import Kind, Matrices, Reverse, matrix_call
from archimedes_grad.rules.scipy_linalg import one_matrix, refuse_others

_Function = Callable[..., Any]


# --- calls ----------------------------------------------------------------------------------------


def _kind(name: str, function: _Function, reverse: Reverse) -> Kind:
    """Return the kind of a function of single matrices whose result is one matrix of real numbers."""

    def evaluate(inputs: Any, wanted: Any) -> Any:
        result = function(*(stack[0] for stack in inputs))
        if _is_complex(result):
            raise np.linalg.LinAlgError(f"The {name} of this matrix is complex")
        return (np.real(result),)

    return Kind(name, evaluate, reverse)


def _is_complex(matrix: Any) -> bool:
    return bool(np.iscomplexobj(matrix) and np.any(np.imag(matrix)))


def _evaluated(kind: Kind, *matrices: cs.MX) -> cs.MX:
    """Return the node of a kind, as large as its last matrix, of matrices as NumPy shows them: calls transpose them."""
    shapes = [matrix.shape for matrix in matrices]
    (result,) = matrix_call(kind, shapes, [shapes[-1]]).call([matrix.T for matrix in matrices])
    return result.T


def _traced(kind: Kind, original: _Function, operands: list[Any], shape: tuple[int, ...]) -> Any:
    """Return the result of a kind on traced operands, with SciPy's value."""
    values = [value_of(operand) for operand in operands]
    try:
        value = original(*values)
    except np.linalg.LinAlgError:
        trace = current_trace()
        if trace is None or trace.values_known:
            raise
        # Placeholders need not have a solution.
        value = np.zeros(shape)
    if _is_complex(value):
        raise trace_error(
            f"scipy.linalg.{kind.name} of this matrix is complex; traced arrays hold real numbers.",
            "Use it where the result is real: of matrices without negative eigenvalues, say.",
        )
    if not np.size(value):
        return value
    note_call(can_fail=True)
    nodes = [node_of(operand) for operand in operands]
    (node,) = matrix_call(kind, [np.shape(value) for value in values], [shape]).call(nodes)
    value = np.real(value)
    return as_numpy_gives(new_array(node, value.astype(np.float64)), value)


# --- equations ------------------------------------------------------------------------------------


@functools.cache
def _sylvester() -> Kind:
    """X of A X + X B = Q."""
    from scipy.linalg import solve_sylvester

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a, b, _), (x,), (seed,) = inputs, outputs, seeds
        s = _evaluated(_sylvester(), a.T, b.T, seed)
        return [-s @ x.T, -x.T @ s, s]

    return _kind("solve_sylvester", solve_sylvester, reverse)


@functools.cache
def _discrete_lyapunov(method: str | None) -> Kind:
    """X of X = A X A' + Q."""
    from scipy.linalg import solve_discrete_lyapunov

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a, _), (x,), (seed,) = inputs, outputs, seeds
        s = _evaluated(_discrete_lyapunov(method), a.T, seed)
        return [s @ a @ x.T + s.T @ a @ x, s]

    return _kind("solve_discrete_lyapunov", functools.partial(solve_discrete_lyapunov, method=method), reverse)


@functools.cache
def _continuous_riccati(balanced: bool) -> Kind:
    """X of A' X + X A - X B R⁻¹ B' X + Q = 0, which is symmetric as Q and R are; K = R⁻¹ B' X is the feedback."""
    from scipy.linalg import solve_continuous_are

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a, b, r, _), (x,), (seed,) = inputs, outputs, seeds
        feedback = cs.solve(r, b.T @ x)
        closed = a - b @ feedback
        s = _evaluated(_sylvester(), closed, closed.T, -seed)
        return _of_riccati(s, x, feedback)

    def solve(a: Any, b: Any, r: Any, q: Any) -> Any:
        return solve_continuous_are(a, b, q, r, balanced=balanced)

    return _kind("solve_continuous_are", solve, reverse)


@functools.cache
def _discrete_riccati(balanced: bool) -> Kind:
    """X of A' X A - X - A' X B (R + B' X B)⁻¹ B' X A + Q = 0; K = (R + B' X B)⁻¹ B' X A is the feedback."""
    from scipy.linalg import solve_discrete_are

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a, b, r, _), (x,), (seed,) = inputs, outputs, seeds
        feedback = cs.solve(r + b.T @ x @ b, b.T @ x @ a)
        closed = a - b @ feedback
        s = _evaluated(_discrete_lyapunov(None), closed, seed)
        return _of_riccati(s, x @ closed, feedback)

    def solve(a: Any, b: Any, r: Any, q: Any) -> Any:
        return solve_discrete_are(a, b, q, r, balanced=balanced)

    return _kind("solve_discrete_are", solve, reverse)


def _of_riccati(s: cs.MX, x: cs.MX, feedback: cs.MX) -> Matrices:
    """Return the sensitivities to A, B, R and Q: the best feedback stays the best, so that it counts as fixed."""
    of_a = x @ (s + s.T)
    return [of_a, -of_a @ feedback.T, feedback @ s @ feedback.T, s]


def _solve_sylvester(original: _Function, a: Any, b: Any, q: Any) -> Any:
    operands = [one_matrix("solve_sylvester", matrix) for matrix in (a, b, q)]
    return _traced(_sylvester(), original, operands, np.shape(value_of(operands[2])))


def _solve_continuous_lyapunov(original: _Function, a: Any, q: Any) -> Any:
    a, q = (one_matrix("solve_continuous_lyapunov", matrix) for matrix in (a, q))
    operands = [a, np.transpose(a), q]
    return _traced(_sylvester(), lambda a, _, q: original(a, q), operands, np.shape(value_of(q)))


def _solve_discrete_lyapunov(original: _Function, a: Any, q: Any, method: Any = None) -> Any:
    operands = [one_matrix("solve_discrete_lyapunov", matrix) for matrix in (a, q)]
    solve = functools.partial(original, method=method)
    return _traced(_discrete_lyapunov(method), solve, operands, np.shape(value_of(operands[1])))


def _riccati(kind: Callable[[bool], Kind]) -> _Function:
    """Return the rule of a Riccati equation."""

    def rule(original: _Function, a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None,
             balanced: Any = True) -> Any:  # fmt: skip
        made = kind(bool(balanced))
        refuse_others(made.name, {"e": e, "s": s})
        a, b, r, q = (np.atleast_2d(one_matrix(made.name, matrix)) for matrix in (a, b, r, q))
        return _traced(made, lambda a, b, r, q: original(a, b, q, r, balanced=balanced), [a, b, r, q],
                       np.shape(value_of(q)))  # fmt: skip

    return rule


# --- functions of a matrix ------------------------------------------------------------------------


def _of_matrix(name: str) -> _Function:
    """Return the rule of a function of one square matrix."""

    def rule(original: _Function, A: Any, **options: Any) -> Any:
        a = one_matrix(name, A)
        refuse_others(name, options)
        return _traced(_function_of_matrix(name, ()), original, [a], np.shape(value_of(a)))

    return rule


@functools.cache
def _function_of_matrix(name: str, parameters: tuple[Any, ...]) -> Kind:
    import scipy.linalg

    function = getattr(scipy.linalg, name)

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a,), (seed,) = inputs, seeds
        n = a.size1()
        twice = cs.blockcat([[a.T, seed], [cs.MX(cs.DM.zeros(n, n)), a.T]])
        return [_evaluated(_function_of_matrix(name, parameters), twice)[:n, n:]]

    return _kind(name, lambda a: function(a, *parameters), reverse)


def _fractional_matrix_power(original: _Function, A: Any, t: Any) -> Any:
    name = "fractional_matrix_power"
    if is_traced(t):
        raise trace_error(
            f"scipy.linalg.{name} got a traced exponent t; a plain number was expected.",
            "Pass it through static_argnames, or write scipy.linalg.expm(t * scipy.linalg.logm(A)).",
        )
    a = one_matrix(name, A)
    return _traced(_function_of_matrix(name, (t,)), lambda a: original(a, t), [a], np.shape(value_of(a)))


def add_rules() -> None:
    """Register the rules; scipy.linalg has been imported."""
    import scipy.linalg as names

    rules: dict[Any, Any] = {
        names.solve_sylvester: _solve_sylvester, names.solve_continuous_lyapunov: _solve_continuous_lyapunov,
        names.solve_lyapunov: _solve_continuous_lyapunov, names.solve_discrete_lyapunov: _solve_discrete_lyapunov,
        names.solve_continuous_are: _riccati(_continuous_riccati),
        names.solve_discrete_are: _riccati(_discrete_riccati),
        names.fractional_matrix_power: _fractional_matrix_power,
        **{
            getattr(names, name): _of_matrix(name)
            for name in ("logm", "sqrtm", "cosm", "sinm", "tanm", "coshm", "sinhm", "tanhm")
        },
    }  # fmt: skip
    INTERCEPTED.update({function: intercepts_fallible(rule) for function, rule in rules.items()})
