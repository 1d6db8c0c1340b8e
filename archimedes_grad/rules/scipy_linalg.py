"""scipy.linalg: its equations, factorisations and special matrices, of one matrix each.

Where SciPy and NumPy compute the same, NumPy's rule gives the derivative. Factors that are unique only up to signs or
order are SciPy's own, at every call: the kinds of ``matrix_kinds`` with SciPy as what evaluates them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray
from archimedes_grad.arrays.dispatch import INTERCEPTED
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import gathered, is_traced, node_of, value_of, values_in
from archimedes_grad.arrays.trace_state import note_call, trace_error
from archimedes_grad.arrays.undecided import UndecidedArray
from archimedes_grad.nodes.gather import reshaped
from archimedes_grad.rules import matrix_kinds as kinds
from archimedes_grad.rules.attempts import intercepts_fallible
from archimedes_grad.rules.composition import as_numpy_gives
from archimedes_grad.rules.creation import constant
from archimedes_grad.rules.decompositions import called, numpy_value
from archimedes_grad.rules.lapack import Kind, Matrices, matrix_call

#: Options that only tell SciPy how it may use memory, or what it need not check.
_NO_MEANING = frozenset({"overwrite_a", "overwrite_b", "check_finite", "lapack_driver", "driver", "lwork"})

_SYMMETRIC = frozenset({"sym", "symmetric", "her", "hermitian"})
_POSITIVE = frozenset({"pos", "positive definite"})
_TRIANGULAR = frozenset({"upper triangular", "lower triangular"})


def one_matrix(name: str, a: Any) -> Any:
    """Return an operand as an array; TraceError for a stack of matrices."""
    a = gathered(a)
    if np.ndim(value_of(a)) > 2:
        of_numpy = f"Use np.linalg.{name}, which takes stacks, or call" if hasattr(np.linalg, name) else "Call"
        raise trace_error(
            f"scipy.linalg.{name} got a traced stack of matrices, shape {np.shape(value_of(a))}; one matrix was "
            f"expected.",
            f"{of_numpy} it for each matrix.",
        )
    return a


def refuse_others(name: str, options: dict[str, Any], *known: str) -> None:
    """Raise TraceError for options that would change the meaning and have no rule."""
    for option, given in options.items():
        if option not in _NO_MEANING and option not in known and given is not None:
            raise trace_error(
                f"scipy.linalg.{name} does not take traced arrays with {option}={given!r}.",
                "Leave the option out, or call the function through arc.callback.",
            )


def _symmetric(a: Any, lower: Any) -> Any:
    """Return the whole of the symmetric matrix in one triangle."""
    triangle = np.tril(a) if lower else np.triu(a)
    off = np.tril(a, -1) if lower else np.triu(a, 1)
    return triangle + np.swapaxes(off, -1, -2)


# --- equations ------------------------------------------------------------------------------------


def _solve(
    original: Callable[..., Any], a: Any, b: Any, lower: Any = False, overwrite_a: Any = False,
    overwrite_b: Any = False, check_finite: Any = True, assume_a: Any = None, transposed: Any = False,
) -> Any:  # fmt: skip
    a, b = one_matrix("solve", a), gathered(b)
    options = {"lower": lower, "transposed": transposed, "check_finite": check_finite}
    options |= {} if assume_a is None else {"assume_a": assume_a}
    value = numpy_value(lambda x, y: original(x, y, **options), a, b)
    if np.size(value_of(a)) == 1:
        # One number divides right sides of any shape.
        quotients = np.linalg.solve(np.reshape(a, (1, 1)), np.reshape(b, (1, -1)))
        return as_numpy_gives(np.reshape(quotients, np.shape(value)), value)
    if assume_a in _POSITIVE:
        return as_numpy_gives(_solved_as_positive("solve", a, b, lower), value)
    if assume_a in _SYMMETRIC:
        a = _symmetric(a, lower)
    elif assume_a in _TRIANGULAR:
        return _substituted(a, b, value, _triangular("lower" in assume_a, bool(transposed), False))
    elif assume_a not in (None, "gen", "general"):
        refuse_others("solve", {"assume_a": assume_a})
    return as_numpy_gives(np.linalg.solve(np.transpose(a) if transposed else a, b), value)


def _solved_as_positive(name: str, a: Any, b: Any, lower: Any) -> Any:
    """Return the solution of equations with the positive matrix in one triangle; what is not positive is an error."""
    import scipy.linalg

    factor = np.linalg.cholesky(a if lower else np.transpose(a))
    return scipy.linalg.cho_solve((factor, True), one_matrix(name, b))


@functools.cache
def _triangular(lower: bool, transposed: bool, unit: bool) -> Kind:
    """The solution of equations with the triangle of a matrix, by substitution."""
    from scipy.linalg import solve_triangular

    def evaluate(inputs: Any, wanted: Any) -> Any:
        a, b = (stack[0] for stack in inputs)
        return (solve_triangular(a, b, 1 if transposed else 0, lower, unit, check_finite=False),)

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a, _), (x,), (seed,) = inputs, outputs, seeds
        n, columns = a.size1(), x.size2()
        back = matrix_call(_triangular(lower, not transposed, unit), [(n, n), (n, columns)], [(n, columns)])
        # Stored by rows, as NumPy has them: a call takes and gives transposed matrices.
        right = back.call([a.T, seed.T])[0].T
        outer = cs.mtimes(x, right.T) if transposed else cs.mtimes(right, x.T)
        ones = np.ones((n, n))
        read = np.tril(ones, -int(unit)) if lower else np.triu(ones, int(unit))
        return [-outer * cs.MX(cs.densify(cs.DM(read))), right]

    return Kind("solve_triangular", evaluate, reverse)


def _solve_triangular(original: Callable[..., Any], a: Any, b: Any, trans: Any = 0, lower: Any = False,
                      unit_diagonal: Any = False, **options: Any) -> Any:  # fmt: skip
    a, b = one_matrix("solve_triangular", a), one_matrix("solve_triangular", b)
    refuse_others("solve_triangular", options)
    trans = {"N": 0, "T": 1, "C": 2}.get(trans, trans)
    value = numpy_value(lambda x, y: original(x, y, trans, lower, unit_diagonal), a, b)
    return _substituted(a, b, value, _triangular(bool(lower), trans != 0, bool(unit_diagonal)))


def _substituted(a: Any, b: Any, value: Any, kind: Kind) -> Any:
    """Return the solution, whose value is known, of equations with a triangle of a matrix."""
    if not np.size(value):
        return value
    n, columns = len(value), math.prod(value.shape[1:])
    note_call(can_fail=True)
    right = node_of(np.reshape(b, (n, columns)))
    (node,) = matrix_call(kind, [(n, n), (n, columns)], [(n, columns)]).call([node_of(a), right])
    return new_array(reshaped(node, value.shape), value)


def _inv(original: Callable[..., Any], a: Any, *args: Any, assume_a: Any = None, lower: Any = False,
         **options: Any) -> Any:  # fmt: skip
    a = one_matrix("inv", a)
    keywords = {} if assume_a is None else {"assume_a": assume_a, "lower": lower}
    known = keywords | {"check_finite": options.get("check_finite", True)}
    value = numpy_value(lambda x: original(x, **known), a)
    if assume_a in _POSITIVE:
        refuse_others("inv", options)
        return as_numpy_gives(_solved_as_positive("inv", a, np.eye(len(value)), lower), value)
    refuse_others("inv", options | ({} if assume_a in _SYMMETRIC or assume_a == "general" else keywords))
    return as_numpy_gives(np.linalg.inv(_symmetric(a, lower) if assume_a in _SYMMETRIC else a), value)


def _det(original: Callable[..., Any], a: Any, *args: Any, **options: Any) -> Any:
    a = gathered(a)
    return as_numpy_gives(np.linalg.det(a), original(value_of(a)))


def _lstsq(original: Callable[..., Any], a: Any, b: Any, cond: Any = None, *args: Any, **options: Any) -> Any:
    a, b = one_matrix("lstsq", a), gathered(b)
    value = original(value_of(a), value_of(b), cond, *args, **options)
    if not np.size(value_of(a)):
        # Without unknowns b itself is left, also where it has no entries.
        x, residues, *rest = value
        if np.shape(value_of(a))[1] == 0:
            residues = as_numpy_gives(np.sum(np.square(np.abs(b)), axis=0), residues)
        return x, residues, *rest
    x, misfits, rank, s = np.linalg.lstsq(a, b, cond if cond is not None else np.finfo(np.float64).eps)
    if value[3] is None:
        # One of LAPACK's drivers computes neither residues nor singular values.
        return as_numpy_gives(x, value[0]), value[1], as_numpy_gives(rank, np.asarray(value[2])[()]), None
    residues = misfits
    if isinstance(misfits, SymbolicArray):
        # SciPy's are of each column, as one number where b is a vector, and from 1.18 on nan where there are none.
        columns = np.shape(value_of(b))[1:]
        are_nan = np.size(original(np.zeros((2, 1)), np.zeros(2))[1])
        without = constant(np.full(columns, np.nan)[()]) if are_nan else misfits
        residues = UndecidedArray(lambda: (misfits if columns else misfits[0]) if misfits.size else without)
    return (
        as_numpy_gives(x, value[0]),
        residues,
        as_numpy_gives(rank, np.asarray(value[2])[()]),
        as_numpy_gives(s, value[3]),
    )


def _pinv(original: Callable[..., Any], a: Any, *, atol: Any = None, rtol: Any = None, return_rank: Any = False,
          check_finite: Any = True) -> Any:  # fmt: skip
    a = one_matrix("pinv", a)
    refuse_others("pinv", {"atol": atol, "return_rank": return_rank or None})
    relative = max(np.shape(value_of(a))) * np.finfo(np.float64).eps if rtol is None else rtol
    return as_numpy_gives(np.linalg.pinv(a, relative), original(value_of(a), rtol=rtol))


# --- triangular factors ---------------------------------------------------------------------------


def _cholesky(original: Callable[..., Any], a: Any, lower: Any = False, *args: Any, **options: Any) -> Any:
    a = one_matrix("cholesky", a)
    value = numpy_value(lambda x: original(x, lower), a)
    factor = np.linalg.cholesky(a) if lower else np.linalg.cholesky(np.transpose(a)).T
    return as_numpy_gives(factor, value)


@functools.cache
def _leaves_the_matrix() -> bool:
    """Tell whether this version of SciPy leaves the matrix itself in the other triangle of the factor, or zeros."""
    from scipy.linalg import cho_factor

    return bool(cho_factor(np.array([[2.0, 1.0], [1.0, 2.0]]))[0][1, 0])


def _cho_factor(original: Callable[..., Any], a: Any, lower: Any = False, *args: Any, **options: Any) -> Any:
    a = one_matrix("cho_factor", a)
    value, is_lower = numpy_value(lambda x: original(x, lower), a)
    factor = np.linalg.cholesky(a) if lower else np.linalg.cholesky(np.transpose(a)).T
    if _leaves_the_matrix():
        factor = factor + (np.triu(a, 1) if lower else np.tril(a, -1))
    return as_numpy_gives(factor, value), is_lower


def _cho_solve(original: Callable[..., Any], c_and_lower: Any, b: Any, *args: Any, **options: Any) -> Any:
    import scipy.linalg

    factor, lower = one_matrix("cho_solve", c_and_lower[0]), bool(c_and_lower[1])
    value = numpy_value(lambda x, y: original((x, lower), y), factor, gathered(b))
    solve = scipy.linalg.solve_triangular
    half = solve(factor, b, trans=0 if lower else 1, lower=lower)
    return as_numpy_gives(solve(factor, half, trans=1 if lower else 0, lower=lower), value)


def _qr(original: Callable[..., Any], a: Any, overwrite_a: Any = False, lwork: Any = None, mode: str = "full",
        pivoting: Any = False, check_finite: Any = True) -> Any:  # fmt: skip
    a = one_matrix("qr", a)
    refuse_others("qr", {"pivoting": pivoting or None, "mode": "raw" if mode == "raw" else None})
    value = original(value_of(a), mode=mode)
    m, n = a.shape
    if mode == "economic" or m <= n:
        parts = value if mode != "r" else (np.zeros((m, min(m, n))), *value)
        results = called(_own(kinds.QR, "qr", mode="economic"), a, [(m, min(m, n)), (min(m, n), n)], parts)
        return (results[1],) if mode == "r" else tuple(results)
    q, r = np.linalg.qr(a, "complete")
    return (as_numpy_gives(r, value[0]),) if mode == "r" else (as_numpy_gives(q, value[0]), as_numpy_gives(r, value[1]))


# --- eigenvalues and singular values --------------------------------------------------------------


@functools.cache
def _own(kind: Kind, name: str, **options: Any) -> Kind:
    """Return a kind of NumPy's with SciPy's function to evaluate it."""
    import scipy.linalg

    function = getattr(scipy.linalg, name)

    def evaluate(inputs: Sequence[Any], wanted: Sequence[bool]) -> Any:
        return function(inputs[0][0], check_finite=False, **options)

    return replace(kind, name=f"scipy_{name}", evaluate=evaluate)


def _eigh(original: Callable[..., Any], a: Any, b: Any = None, *, lower: Any = True, eigvals_only: Any = False,
          subset_by_index: Any = None, subset_by_value: Any = None, driver: Any = None,
          **options: Any) -> Any:  # fmt: skip
    a = one_matrix("eigh", a)
    refuse_others("eigh", {"b": b, "subset_by_value": subset_by_value})
    uplo: Any = "L" if lower else "U"
    if eigvals_only:
        result = np.linalg.eigvalsh(a, uplo)
        if subset_by_index is not None:
            first, last = subset_by_index
            result = result[first : last + 1]
        known = {"lower": lower, "eigvals_only": True, "subset_by_index": subset_by_index, "driver": driver}
        return as_numpy_gives(result, original(value_of(a), **known))
    refuse_others("eigh", {"subset_by_index": subset_by_index})
    value = original(value_of(a), lower=lower, driver=driver)
    n = len(value[0])
    kind = _own(kinds.eigh(uplo), "eigh", lower=bool(lower), driver=driver)  # Signs are the driver's.
    return tuple(called(kind, a, [(n,), (n, n)], value))


def _eigvalsh(original: Callable[..., Any], a: Any, b: Any = None, *, lower: Any = True, **options: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.eigh(a, b, lower=lower, eigvals_only=True, **options)


def _svd(original: Callable[..., Any], a: Any, full_matrices: Any = True, compute_uv: Any = True,
         overwrite_a: Any = False, check_finite: Any = True, lapack_driver: Any = "gesdd") -> Any:  # fmt: skip
    a = one_matrix("svd", a)
    value = original(value_of(a), full_matrices, compute_uv, lapack_driver=lapack_driver)
    if not compute_uv:
        return as_numpy_gives(np.linalg.svdvals(a), value)
    full = bool(full_matrices)
    kind = _own(kinds.svd(full, False), "svd", full_matrices=full, lapack_driver=lapack_driver)
    return tuple(called(kind, a, kinds.shapes_of_svd(a.shape, full), value))


def _svdvals(original: Callable[..., Any], a: Any, *args: Any, **options: Any) -> Any:
    a = one_matrix("svdvals", a)
    return as_numpy_gives(np.linalg.svdvals(a), original(value_of(a)))


def _norm(original: Callable[..., Any], a: Any, ord: Any = None, axis: Any = None, keepdims: Any = False,
          check_finite: Any = True) -> Any:  # fmt: skip
    a = gathered(a)
    return as_numpy_gives(np.linalg.norm(a, ord, axis, keepdims), original(value_of(a), ord, axis, keepdims))


# --- functions of matrices ------------------------------------------------------------------------

#: Numerator of the Padé approximant of exp of order 13, lowest power first (Higham, SIAM J. Matrix Anal. 26, 2005).
_PADE = tuple(
    float(math.factorial(26 - k) * math.factorial(13) // (math.factorial(13 - k) * math.factorial(k)))
    for k in range(14)
)
#: Up to this 1-norm that approximant is exact to rounding (the same, table 2.3).
_PADE_NORM = 5.371920351148152


def _expm(original: Callable[..., Any], A: Any) -> Any:
    """The exponential of each matrix by scaling and squaring; how often is squared is a guard of the trace."""
    a = gathered(A)
    value = original(a.value)
    if not value.size:
        return value
    norm = np.max(np.sum(np.abs(a), axis=-2))
    squarings = 0
    while norm > _PADE_NORM * 2**squarings:
        squarings += 1
    a = a / 2.0**squarings
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    identity = np.eye(a.shape[-1])
    odd = _PADE[13] * a6 + _PADE[11] * a4 + _PADE[9] * a2
    odd = a @ (a6 @ odd + _PADE[7] * a6 + _PADE[5] * a4 + _PADE[3] * a2 + _PADE[1] * identity)
    even = _PADE[12] * a6 + _PADE[10] * a4 + _PADE[8] * a2
    even = a6 @ even + _PADE[6] * a6 + _PADE[4] * a4 + _PADE[2] * a2 + _PADE[0] * identity
    result = np.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        result = result @ result
    if isinstance(result, ComplexArray):
        return ComplexArray(as_numpy_gives(result.real, value.real), as_numpy_gives(result.imag, value.imag))
    return as_numpy_gives(result, value)


# --- special matrices -----------------------------------------------------------------------------


def _of_entries(original: Callable[..., Any], c: Any, r: Any = None) -> Any:
    """A matrix whose entries are those of one or two vectors, moved: toeplitz, circulant, hankel."""
    vectors = [gathered(vector) for vector in (c, r) if vector is not None]
    value = original(*map(value_of, vectors))
    entries = np.concatenate([np.ravel(vector) for vector in vectors])
    first = np.size(value_of(vectors[0]))
    # SciPy's own placement, of the places of the entries.
    places = np.split(np.arange(np.size(value_of(entries))), [first])[: len(vectors)]
    return as_numpy_gives(np.take(entries, original(*places)), value)


def _hankel(original: Callable[..., Any], c: Any, r: Any = None) -> Any:
    return _of_entries(original, c, np.zeros(np.size(value_of(gathered(c)))) if r is None else r)


def _block_diag(original: Callable[..., Any], *blocks: Any) -> Any:
    blocks = tuple(one_matrix("block_diag", block) for block in blocks)
    value = original(*map(value_of, blocks))
    result: Any = np.zeros(value.shape, dtype=value.dtype, like=next(block for block in blocks if is_traced(block)))
    row = column = 0
    for block in map(np.atleast_2d, blocks):
        height, width = np.shape(value_of(block))
        result[row : row + height, column : column + width] = block
        row, column = row + height, column + width
    return as_numpy_gives(result, value)


def _solve_toeplitz(original: Callable[..., Any], c_or_cr: Any, b: Any, check_finite: Any = True) -> Any:
    import scipy.linalg

    b = gathered(b)
    value = original(values_in(c_or_cr), value_of(b))
    pair = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr,)
    return as_numpy_gives(np.linalg.solve(scipy.linalg.toeplitz(*pair), b), value)


def _no_plain_numbers(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Refuse traced values on their way into LAPACK: its interface loses a count of references where they refuse."""
    raise TypeError("LAPACK takes plain numbers")


def add_rules() -> None:
    """Register the rules; scipy.linalg has been imported."""
    import scipy.linalg as names

    rules: dict[Any, Any] = {
        names.solve: _solve, names.solve_triangular: _solve_triangular, names.inv: _inv, names.det: _det,
        names.lstsq: _lstsq, names.pinv: _pinv, names.cholesky: _cholesky, names.cho_factor: _cho_factor,
        names.cho_solve: _cho_solve, names.qr: _qr, names.eigh: _eigh, names.eigvalsh: _eigvalsh, names.svd: _svd,
        names.svdvals: _svdvals, names.norm: _norm, names.expm: _expm, names.toeplitz: _of_entries,
        names.circulant: _of_entries, names.hankel: _hankel, names.block_diag: _block_diag,
        names.solve_toeplitz: _solve_toeplitz,
    }  # fmt: skip
    INTERCEPTED.update({function: intercepts_fallible(rule) for function, rule in rules.items()})
    INTERCEPTED.update(dict.fromkeys((names.get_lapack_funcs, names.get_blas_funcs), _no_plain_numbers))
