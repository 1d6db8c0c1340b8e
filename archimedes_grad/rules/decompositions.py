"""numpy.linalg's factorisations and what is read off them, for stacks of matrices too.

A matrix that NumPy reads one triangle of (eigh, cholesky) has its derivative in that triangle: entries that
are not read have none.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import complex_rule
from archimedes_grad.arrays.decisions import decides
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import as_traced, gathered, is_traced, node_of, value_of
from archimedes_grad.arrays.trace_state import current_trace, note_call, trace_error
from archimedes_grad.arrays.undecided import UndecidedArray
from archimedes_grad.nodes.gather import Shape, reshaped
from archimedes_grad.rules import matrix_kinds as kinds
from archimedes_grad.rules import pseudo_inverse
from archimedes_grad.rules import small_matrices as small
from archimedes_grad.rules.attempts import implements_fallible
from archimedes_grad.rules.composition import chosen
from archimedes_grad.rules.creation import constant
from archimedes_grad.rules.lapack import Kind, matrix_call


def numpy_value(function: Callable[..., Any], a: Any, *rest: Any) -> Any:
    """Return what NumPy gives for the values of the operands.

    Where values are placeholders they may be singular: the shapes are then taken from an identity.
    """
    matrix = value_of(a)
    try:
        return function(matrix, *(value_of(operand) for operand in rest))
    except np.linalg.LinAlgError:
        trace = current_trace()
        if trace is None or trace.values_known or np.ndim(matrix) < 2 or len(set(np.shape(matrix)[-2:])) > 1:
            raise
        identity = np.broadcast_to(np.eye(np.shape(matrix)[-1]), np.shape(matrix))
        return function(identity, *(value_of(operand) for operand in rest))


def called(kind: Kind, a: SymbolicArray, shapes_out: Sequence[Shape], values: Sequence[Any]) -> list[SymbolicArray]:
    """Return the results of a factorisation of each matrix of a stack, with NumPy's values."""
    if not a.size:
        return [constant(value) for value in values]
    shape = a.shape[-2:]
    note_call(can_fail=True)
    nodes = matrix_call(kind, [shape], shapes_out, math.prod(a.shape[:-2])).call([a.node])
    return [new_array(reshaped(node, np.shape(value)), value) for node, value in zip(nodes, values, strict=True)]


# --- eigenvalues ----------------------------------------------------------------------------------


def _vector_and_matrix(a: SymbolicArray) -> list[Shape]:
    n = a.shape[-1]
    return [(n,), (n, n)]


@implements_fallible(np.linalg.eigh)
def eigh(a: Any, UPLO: Any = "L") -> Any:
    """Eigenvalues and eigenvectors of the symmetric matrix in one triangle."""
    a = gathered(a)
    value = numpy_value(lambda x: np.linalg.eigh(x, UPLO), a)
    return type(value)(*called(kinds.eigh(UPLO), a, _vector_and_matrix(a), value))


@implements_fallible(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    """Eigenvalues of the symmetric matrix in one triangle, in ascending order."""
    np.linalg.eigvalsh(value_of(gathered(a)), UPLO)
    return np.linalg.eigh(a, UPLO)[0]


@implements_fallible(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors, complex where NumPy's are.

    Up to NumPy 2.4 they are real where all eigenvalues are, which is decided; where nothing can be, they have to be.
    """
    a = gathered(a)
    if _are_complex() or decides():
        pairs = complex_rule(np.linalg.eig)(a)
        if _are_complex() or np.any(pairs[0].imag != 0):
            return pairs
        return type(pairs)(*(pair.real for pair in pairs))
    value = numpy_value(np.linalg.eig, a)
    if np.any(value[0].imag):
        raise trace_error(
            "The matrix has complex eigenvalues, and they are to be real where no path is chosen by values.",
            "Use np.linalg.eigh for a symmetric matrix, or make the matrix complex: A + 0j.",
        )
    return type(value)(*called(kinds.EIG, a, _vector_and_matrix(a), value))


@implements_fallible(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Eigenvalues of a matrix, in the order of NumPy's."""
    np.linalg.eigvals(value_of(gathered(a)))
    return np.linalg.eig(a)[0]


@functools.cache
def _are_complex() -> bool:
    """Tell whether this NumPy's eigenvalues are complex whatever they are: from 2.5 on."""
    return np.linalg.eigvals(np.eye(1)).dtype.kind == "c"


# --- singular values ------------------------------------------------------------------------------


@implements_fallible(np.linalg.svd)
def svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    """The singular value decomposition.

    Vectors that only complete a basis (``full_matrices``) follow the space that they span and do not turn
    within it: functions of the space have exact derivatives.
    """
    a = gathered(a)
    value = numpy_value(lambda x: np.linalg.svd(x, full_matrices, compute_uv, hermitian), a)
    full = bool(full_matrices) and bool(compute_uv)
    shapes = kinds.shapes_of_svd(a.shape[-2:], full)
    kind = kinds.svd(full, bool(hermitian))
    if compute_uv:
        return type(value)(*called(kind, a, shapes, value))
    batch = a.shape[:-2]
    placeholders = [np.zeros(batch + shape) for shape in shapes]
    return called(kind, a, shapes, [placeholders[0], value, placeholders[2]])[1]


@implements_fallible(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """Singular values in descending order."""
    np.linalg.svdvals(value_of(gathered(x)))
    return np.linalg.svd(x, compute_uv=False)


@implements_fallible(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """The number of singular values above a tolerance; its derivative is zero."""
    A, tol, rtol = gathered(A), gathered(tol), gathered(rtol)
    value = np.linalg.matrix_rank(value_of(A), value_of(tol), hermitian, rtol=value_of(rtol))
    if A.ndim < 2:
        count = np.any(A != 0).astype(np.intp)
    else:
        s = np.linalg.svd(A, compute_uv=False, hermitian=hermitian)
        if tol is None:
            relative = max(A.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else np.asarray(rtol)[..., None]
            tol = np.max(s, axis=-1, keepdims=True, initial=0.0) * relative
        else:
            tol = np.expand_dims(tol, -1)
        count = np.sum(s > tol, axis=-1)
    return new_array(reshaped(node_of(count), np.shape(value)), value)


@implements_fallible(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """The condition number: the norm of a matrix times that of its inverse; inf where NumPy says so of nan."""
    x = gathered(x)
    value = numpy_value(lambda matrix: np.linalg.cond(matrix, value_of(p)), x)
    x = as_traced(x)
    if p is None or p in (2, -2):
        def quotient(matrix: Any) -> Any:
            s = np.linalg.svdvals(matrix)
            return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]

        result = _of_finite(quotient, x)
    else:
        (inverse,) = called(kinds.INVERSE_OR_NAN, x, [x.shape[-2:]], [kinds.inverse_or_nan(x.value)])
        result = _norm(x, p) * _norm(inverse, p)
    undefined = np.isnan(result) & ~np.any(np.isnan(x), axis=(-2, -1))
    return new_array(chosen(undefined, np.inf, result).node, value)


def _norm(x: Any, p: Any) -> Any:
    def norm(matrix: Any) -> Any:
        return np.linalg.norm(matrix, p, (-2, -1))

    return _of_finite(norm, x) if p == "nuc" else norm(x)


def _of_finite(by_singular_values: Callable[[Any], Any], x: Any) -> Any:
    """Return what is computed by singular values; nan of matrices that are not finite, which NumPy 2.5 refuses."""
    if not _nan_has_a_condition_number():
        return by_singular_values(x)
    finite = np.all(np.isfinite(x), axis=(-2, -1))
    matrix = chosen(finite[..., None, None], x, np.eye(*x.shape[-2:]))
    return chosen(finite, by_singular_values(matrix), np.nan)


@functools.cache
def _nan_has_a_condition_number() -> bool:
    """Tell whether this NumPy has one, which is nan, though it refuses singular values: from 2.5 on."""
    try:
        np.linalg.cond(np.full((1, 1), np.nan))
    except np.linalg.LinAlgError:
        return False
    return True


@implements_fallible(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, **rtol: Any) -> Any:
    """The pseudo-inverse: the rank is that of the singular values above the cutoff."""
    a = gathered(a)
    options = {"rcond": rcond, "hermitian": bool(hermitian), **rtol}
    for name in ("rcond", "rtol"):
        cutoff: Any = options.get(name)
        if is_traced(cutoff) or np.ndim(cutoff):
            raise trace_error(
                f"numpy.linalg.pinv takes one plain number as {name}= in a traced function.",
                "Call it for each matrix of the stack.",
            )
    value = numpy_value(lambda x: np.linalg.pinv(x, rcond, hermitian, **rtol), a)
    kind = pseudo_inverse.pinv(tuple(sorted((key, word) for key, word in options.items() if word is not None)))
    return called(kind, a, [a.shape[:-3:-1]], [value])[0]


@implements_fallible(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The least-squares solution of least norm, with residuals, rank and singular values."""
    a, b = gathered(a), gathered(b)
    value = np.linalg.lstsq(value_of(a), value_of(b), value_of(rcond))
    if isinstance(a, SymbolicArray):
        small.require_finite(a.node)
    m, n = np.shape(value_of(a))
    cutoff = np.finfo(np.float64).eps * max(m, n) if rcond is None else max(rcond, float(np.finfo(np.float64).eps))
    solution = np.matmul(np.linalg.pinv(a, cutoff), b)
    s = np.linalg.svdvals(a)
    rank = np.sum(s > cutoff * np.max(s, initial=0.0))
    residuals = _residuals(a, b, solution, rank == n, value[1]) if m > n else value[1]
    pairs = zip((solution, residuals, rank, s), (value[0], residuals, *value[2:]), strict=True)
    return tuple(
        new_array(result.node, known) if isinstance(result, SymbolicArray) and result is not residuals else known
        for result, known in pairs
    )


def _residuals(a: Any, b: Any, solution: Any, full_rank: Any, known: Any) -> SymbolicArray:
    """Return the sums of squares of the equations' misfits where the rank is full; there are none elsewhere.

    In a body without values, or where one path is allowed, they are those of full rank, and nan elsewhere.
    """
    def sums() -> Any:
        misfit = b - np.matmul(a, solution)
        return np.atleast_1d(np.sum(misfit * misfit, axis=0)).astype(known.dtype)

    def decided() -> Any:
        return sums() if full_rank else constant(known[:0])

    return UndecidedArray(decided) if decides() else chosen(full_rank, sums(), np.nan)


# --- triangular factors ---------------------------------------------------------------------------


@implements_fallible(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """The Cholesky factor of the symmetric matrix in the triangle that is asked for."""
    a = gathered(a)
    value = numpy_value(lambda x: np.linalg.cholesky(x, upper=upper), a)
    if upper:
        lower = np.linalg.cholesky(np.swapaxes(a, -1, -2))
        return new_array(node_of(np.swapaxes(lower, -1, -2)), value)
    if 0 < a.shape[-1] <= small.LARGEST_CHOLESKY and value.size:
        return new_array(small.joined(small.cholesky(small.entries(a.node, a.shape)), a.shape), value)
    return called(kinds.CHOLESKY, a, [a.shape[-2:]], [value])[0]


@implements_fallible(np.linalg.qr)
def qr(a: Any, mode: Any = "reduced") -> Any:
    """Orthonormal columns and an upper triangle."""
    a = gathered(a)
    value: Any = np.linalg.qr(value_of(a), mode)
    m, n = a.shape[-2:]
    k = min(m, n)
    if mode == "r":
        q_value = np.zeros((*a.shape[:-2], m, k))
        return called(kinds.QR, a, [(m, k), (k, n)], [q_value, value])[1]
    if mode == "reduced" or (mode == "complete" and m <= n):
        return type(value)(*called(kinds.QR, a, [(m, k), (k, n)], value))
    if mode == "complete":
        q, r = _householder(a)
        return type(value)(new_array(node_of(q), value[0]), new_array(node_of(r), value[1]))
    raise trace_error(
        f"numpy.linalg.qr does not take traced arrays with mode={mode!r}: what it returns is LAPACK's own storage.",
        "Use mode 'reduced', 'complete' or 'r'.",
    )


def _householder(a: SymbolicArray) -> tuple[Any, Any]:
    """Return q (square) and r by LAPACK's reflections, so that all columns of q have their derivatives."""
    m, n = a.shape[-2:]
    r: Any = a.astype(np.float64)
    reflections = []
    for k in range(min(m - 1, n)):
        head, tail = r[..., k, k], r[..., k + 1 :, k]
        below = np.linalg.norm(tail, axis=-1)
        # Nothing to reflect where the tail is zero: LAPACK takes the identity, and so does scale = 0.
        reflecting = below != 0
        length = np.hypot(head, below) + (below == 0)
        pivot = -np.copysign(length, head)
        scale = (pivot - head) / pivot * reflecting
        tail = tail / ((head - pivot) + (below == 0) * pivot * 2)[..., None]
        ones = np.ones((*a.shape[:-2], 1))
        vector = np.concatenate([np.zeros((*a.shape[:-2], k)), ones, tail], axis=-1)
        reflections.append((vector, scale))
        r = _reflected(vector, scale, r)
    q: Any = np.broadcast_to(np.eye(m), (*a.shape[:-2], m, m))
    for vector, scale in reversed(reflections):
        q = _reflected(vector, scale, q)
    return q, np.triu(r)


def _reflected(vector: Any, scale: Any, matrix: Any) -> Any:
    along = np.matmul(vector[..., None, :], matrix)
    return matrix - (scale[..., None] * vector)[..., None] * along
