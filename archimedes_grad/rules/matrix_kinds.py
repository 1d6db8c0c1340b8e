"""The factorisations that NumPy evaluates, each with the formula of its derivative.

The formulas are reverse forms: S is the sensitivity of a scalar to a result (``u_``, ``s_``: to u, to s), and
what is returned is its sensitivity to the matrix A. Sources: Giles, "Collected matrix derivative results for
forward and reverse mode algorithmic differentiation" (2008); Murray, "Differentiation of the Cholesky
decomposition" (2016); Walter and Lehmann, "Algorithmic differentiation of linear algebra functions with
application in optimum experimental design" (2010), for qr; Townsend, "Differentiating the singular value
decomposition" (2016).

Equal eigenvalues (or singular values) leave their eigenvectors free to turn within their space. A quotient
by their difference counts as 0 then: right for every function of the values and spaces alone to first order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.nodes.gather import Shape
from archimedes_grad.rules.lapack import Kind, Matrices, Reverse, StackReverse, matrix_call
from archimedes_grad.rules.products import times

EPS = float(np.finfo(np.float64).eps)


# --- small words ----------------------------------------------------------------------------------


def product(*factors: cs.MX) -> cs.MX:
    """Return the product of matrices; the longest inner dimension goes first, so that no square of it is made."""
    chain = list(factors)
    while len(chain) > 1:
        longest = max(range(len(chain) - 1), key=lambda k: int(chain[k].size2()))
        chain[longest : longest + 2] = [times(chain[longest], chain[longest + 1])]
    return chain[0]


def mask(pattern: Any) -> cs.MX:
    """Return a dense constant of zeros and ones (and halves)."""
    return cs.MX(cs.DM(np.asarray(pattern, dtype=float)))


def rows(column: cs.MX, count: int) -> cs.MX:
    """Return a matrix with a column vector as each of its rows."""
    return cs.repmat(column.T, count, 1)


def columns(column: cs.MX, count: int) -> cs.MX:
    """Return a matrix with a column vector as each of its columns."""
    return cs.repmat(column, 1, count)


def inverse_where(condition: cs.MX, x: cs.MX) -> cs.MX:
    """1 / x where a condition (0 or 1) holds, else 0; safe to differentiate in both cases."""
    return condition / (x * condition + (1 - condition))


def complement(u: cs.MX, matrix: cs.MX) -> cs.MX:
    """Return the part of the columns of a matrix that is orthogonal to orthonormal columns."""
    return matrix - product(u, product(u.T, matrix))


def folded(sensitivity: cs.MX, upper: bool = False) -> cs.MX:
    """Return the sensitivity to the one triangle that is read, of one to the symmetric matrix."""
    n = sensitivity.size1()
    one = np.ones((n, n))
    strict = mask(np.triu(one, 1) if upper else np.tril(one, -1))
    return strict * (sensitivity + sensitivity.T) + mask(np.eye(n)) * sensitivity


def _gradient_is(kind: Callable[[], Kind]) -> tuple[Reverse, StackReverse]:
    """Return the reverse forms of a number whose gradient is another function of the matrix."""

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        return [stack_reverse(1, [inputs[0].T], outputs, seeds)[0].T]

    def stack_reverse(count: int, inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a,) = inputs
        width, height = a.size1(), a.size2() // count
        (gradient,) = matrix_call(kind(), [(height, width)], [(height, width)], count).call([a])
        each = cs.reshape(cs.repmat(seeds[0], height, 1), 1, height * count)
        return [gradient * cs.repmat(each, width, 1)]

    return reverse, stack_reverse


def solved(a: cs.MX, b: cs.MX) -> cs.MX:
    """Return the x for which a x = b."""
    return solver(a.size1()).solve(a, b, False)


@functools.cache
def solver(n: int) -> cs.Linsol:
    """Return LAPACK's LU solver of n equations. Equilibration off: it raises where NumPy does not."""
    return cs.Linsol("lu", "lapacklu", cs.Sparsity.dense(n, n), {"equilibration": False})


# --- symmetric eigenvalues ------------------------------------------------------------------------


def _gaps_inverse(w: cs.MX) -> cs.MX:
    """Return 1 / (w_j - w_i), and 0 where the two are equal up to the error of LAPACK.

    Where they are equal its derivative is nan: what follows from it would leave out how the space splits.
    """
    n = w.size1()
    gap = rows(w, n) - columns(w, n)
    largest = cs.mmax(cs.fabs(w))
    differ = cs.fabs(gap) > 4 * n * EPS * largest
    fine = differ + mask(np.eye(n))
    # sqrt(0) where two are equal, sqrt(1) elsewhere: 0 in both cases, with slope nan in the first.
    no_slope = (1 - fine) * cs.sqrt(fine + (1 - fine) * differ * gap)
    return inverse_where(differ, gap) + no_slope


@functools.cache
def eigh(uplo: Any) -> Kind:
    """Eigenvalues and orthonormal eigenvectors of the symmetric matrix in one triangle of A."""

    def evaluate(inputs: Any, wanted: Any) -> Any:
        if not wanted[1]:
            return np.linalg.eigvalsh(inputs[0], uplo), None
        return np.linalg.eigh(inputs[0], uplo)

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (w, v), (w_, v_) = outputs, seeds
        n = w.size1()
        inner = mask(np.eye(n)) * columns(w_, n) + _gaps_inverse(w) * product(v.T, v_)
        return [folded(product(v, product(inner, v.T)), upper=uplo.upper() == "U")]

    return Kind("eigh", evaluate, reverse)


def _eig_evaluate(inputs: Any, wanted: Any) -> Any:
    w, v = np.linalg.eig(inputs[0])
    if np.any(w.imag):
        raise np.linalg.LinAlgError("Eigenvalues are complex")
    return w.real, v.real


def _eig_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    (w, v), (w_, v_) = outputs, seeds
    n = w.size1()
    # Eigenvectors have length 1: what lies along them does not count.
    along = cs.sum1(v * v_)
    inward = v_ - v * cs.repmat(along, n, 1)
    inner = mask(np.eye(n)) * columns(w_, n) + _gaps_inverse(w) * product(v.T, inward)
    return [solved(v.T, product(inner, v.T))]


EIG = Kind("eig", _eig_evaluate, _eig_reverse)


# --- singular values ------------------------------------------------------------------------------


@functools.cache
def svd(full: bool, hermitian: bool) -> Kind:
    """u, s and vh; of a symmetric matrix in the lower triangle if ``hermitian``."""

    def evaluate(inputs: Any, wanted: Any) -> Any:
        if wanted[0] or wanted[2]:
            return np.linalg.svd(inputs[0], full, hermitian=hermitian)
        return None, np.linalg.svd(inputs[0], compute_uv=False, hermitian=hermitian), None

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (u, s, vh), (u_, s_, vh_) = outputs, seeds
        sensitivity = _svd_sensitivity(u, s, vh.T, u_, s_, vh_.T)
        return [folded(sensitivity) if hermitian else sensitivity]

    return Kind("svd", evaluate, reverse)


def _svd_sensitivity(u: cs.MX, s: cs.MX, v: cs.MX, u_: cs.MX, s_: cs.MX, v_: cs.MX) -> cs.MX:
    k = s.size1()
    (u1, u2), (v1, v2) = (u[:, :k], u[:, k:]), (v[:, :k], v[:, k:])
    u1_, v1_ = u_[:, :k], v_[:, :k]
    inverse = inverse_where(s > 0, s)
    gaps = _gaps_inverse(s) * inverse_where(_sums(s) > 0, _sums(s))
    turn_u, turn_v = product(u1.T, u1_), product(v1.T, v1_)
    # s_i = 0 has a kink, as abs has at 0: it takes no part.
    inner = mask(np.eye(k)) * columns(s_ * (s > 0), k)
    inner += gaps * (turn_u - turn_u.T) * rows(s, k)
    inner += columns(s, k) * gaps * (turn_v - turn_v.T)
    result = product(u1, product(inner, v1.T))
    outward = complement(u1, u1_)
    if u2.size2():
        # The basis of the rest follows the turn of u1 and turns no further in itself.
        outward -= product(u2, product(u_[:, k:].T, u1))
    result += product(outward * rows(inverse, u.size1()), v1.T)
    outward = complement(v1, v1_)
    if v2.size2():
        outward -= product(v2, product(v_[:, k:].T, v1))
    return result + product(u1 * rows(inverse, u.size1()), outward.T)


def _sums(s: cs.MX) -> cs.MX:
    return rows(s, s.size1()) + columns(s, s.size1())


def thin_svd(a: cs.MX) -> tuple[cs.MX, cs.MX, cs.MX]:
    """Return u, s and v of a matrix, as nodes."""
    m, n = a.shape
    k = min(m, n)
    u, s, vh = matrix_call(svd(False, False), [(m, n)], [(m, k), (k,), (k, n)]).call([a.T])
    return u.T, s, vh


def _nuclear_evaluate(inputs: Any, wanted: Any) -> Any:
    return (np.linalg.svd(inputs[0], compute_uv=False).sum(-1),)


#: The sum of the singular values; by way of the polar factor also where they are equal.
NUCLEAR = Kind("nuclear", _nuclear_evaluate, *_gradient_is(lambda: POLAR))


def _polar_evaluate(inputs: Any, wanted: Any) -> Any:
    u, s, vh = np.linalg.svd(inputs[0], full_matrices=False)
    return ((u * (s > 0)[..., None, :]) @ vh,)


def _polar_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    u, s, v = thin_svd(inputs[0])
    (seed,) = seeds
    k = s.size1()
    turn = product(u.T, product(seed, v))
    inner = (turn - turn.T) * inverse_where(_sums(s) > 0, _sums(s))
    result = product(u, product(inner, v.T))
    inverse = inverse_where(s > 0, s)
    right = complement(u, product(seed, v)) * rows(inverse, u.size1())
    left = complement(v, product(seed.T, u)) * rows(inverse, v.size1())
    return [result + product(right, v.T) + product(u, left.T)] if k else [result]


#: u @ vh over the singular values that are not zero.
POLAR: Kind = Kind("polar", _polar_evaluate, _polar_reverse)


# --- determinants ---------------------------------------------------------------------------------


def _det_evaluate(inputs: Any, wanted: Any) -> Any:
    return (np.linalg.det(inputs[0]),)


#: The determinant; its derivative is the matrix of cofactors, for singular matrices too.
DET = Kind("det", _det_evaluate, *_gradient_is(lambda: COFACTORS))


#: Up to this condition number the inverse gives the cofactors to eleven digits.
_WELL_CONDITIONED = 1e4


def _cofactors_evaluate(inputs: Any, wanted: Any) -> Any:
    (a,) = inputs
    determinant = np.linalg.det(a)
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return (_cofactors_by_svd(a),)
    result = determinant[..., None, None] * np.swapaxes(inverse, -1, -2)
    condition = np.abs(a).sum(-1).max(-1) * np.abs(inverse).sum(-1).max(-1)
    poor = ~(condition <= _WELL_CONDITIONED * a.shape[-1])
    poor &= np.isfinite(a).all((-2, -1))
    if np.any(poor):
        result[poor] = _cofactors_by_svd(a[poor])
    return (result,)


def _cofactors_by_svd(a: Any) -> Any:
    """Return the cofactors from products of all singular values but one, which need no inverse."""
    u, s, vh = np.linalg.svd(a)
    sign = np.sign(np.linalg.det(u)) * np.sign(np.linalg.det(vh))
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1.0, s[..., None, :]).prod(-1)
    return sign[..., None, None] * (u * others[..., None, :]) @ vh


def _cofactors_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    """Products of all singular values but two take the place of the inverse, which need not exist."""
    u, s, v = thin_svd(inputs[0])
    n = s.size1()
    sign = cs.sign(_determinant(u)) * cs.sign(_determinant(v))
    seed = product(u.T, product(seeds[0], v))
    others = mask(1 - np.eye(n)) * _products_but_two(s)
    inner = mask(np.eye(n)) * columns(product(others, cs.diag(seed)), n) - others * seed.T
    return [sign * product(u, product(inner, v.T))]


def _determinant(matrix: cs.MX) -> cs.MX:
    n = matrix.size1()
    return matrix_call(DET, [(n, n)], [()]).call([matrix.T])[0]


def _products_but_two(s: cs.MX) -> cs.MX:
    """Return in row i, column j the product of all entries but the i-th and the j-th."""
    n = s.size1()
    one = np.eye(n)
    kept = np.array([1 - np.maximum(one[i], one[j]) for j in range(n) for i in range(n)]).T
    factors = columns(s, n * n) * mask(kept) + mask(1 - kept)
    while factors.size1() > 1:
        half = factors.size1() // 2
        rest = factors[2 * half :, :]
        factors = cs.vertcat(factors[:half, :] * factors[half : 2 * half, :], rest)
    return cs.reshape(factors, n, n)


COFACTORS: Kind = Kind("cofactors", _cofactors_evaluate, _cofactors_reverse)


def _slogdet_evaluate(inputs: Any, wanted: Any) -> Any:
    return np.linalg.slogdet(inputs[0])


def _slogdet_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    (a,) = inputs
    return [seeds[1] * solved(a.T, mask(np.eye(a.size1())))]


SLOGDET = Kind("slogdet", _slogdet_evaluate, _slogdet_reverse)


# --- inverses -------------------------------------------------------------------------------------


def inverse_or_nan(a: Any) -> Any:
    """Return the inverse of each matrix of a stack, nan for one that is singular."""
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return np.full(a.shape, np.nan) if a.ndim == 2 else np.stack(list(map(inverse_or_nan, a)))


def _inverse_evaluate(inputs: Any, wanted: Any) -> Any:
    return (inverse_or_nan(inputs[0]),)


def _inverse_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    (inverse,), (seed,) = outputs, seeds
    return [-product(inverse.T, seed, inverse.T)]


INVERSE_OR_NAN = Kind("inverse", _inverse_evaluate, _inverse_reverse)


# --- triangular factors ---------------------------------------------------------------------------


def _cholesky_evaluate(inputs: Any, wanted: Any) -> Any:
    return (np.linalg.cholesky(inputs[0]),)


def _cholesky_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    (lower,), (seed,) = outputs, seeds
    n = lower.size1()
    half = mask(np.tril(np.ones((n, n))) - np.eye(n) / 2) * product(lower.T, seed)
    return [folded(solved(lower.T, solved(lower.T, half.T).T))]


#: The lower Cholesky factor of the symmetric matrix in the lower triangle.
CHOLESKY = Kind("cholesky", _cholesky_evaluate, _cholesky_reverse)


def _qr_evaluate(inputs: Any, wanted: Any) -> Any:
    if not wanted[0]:
        return None, np.linalg.qr(inputs[0], mode="r")
    return np.linalg.qr(inputs[0])


def _qr_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    (a,), (q, r), (q_, r_) = inputs, outputs, seeds
    m, n = a.shape
    if m >= n:
        return [_tall_qr_sensitivity(q, r, q_, r_)]
    # The columns beyond the m-th are q @ r: they give r's columns and turn q.
    rest, rest_ = a[:, m:], r_[:, m:]
    first = _tall_qr_sensitivity(q, r[:, :m], q_ + product(rest, rest_.T), r_[:, :m])
    return [cs.horzcat(first, product(q, rest_))]


def _tall_qr_sensitivity(q: cs.MX, r: cs.MX, q_: cs.MX, r_: cs.MX) -> cs.MX:
    n = r.size1()
    one = np.ones((n, n))
    inner = product(r, r_.T) - product(q_.T, q)
    symmetric = mask(np.tril(one)) * inner + (mask(np.tril(one, -1)) * inner).T
    return solved(r, (q_ + product(q, symmetric)).T).T


#: Orthonormal columns and the upper triangle (reduced).
QR = Kind("qr", _qr_evaluate, _qr_reverse)


def shapes_of_svd(shape: Shape, full: bool) -> list[Shape]:
    """Return the shapes of u, s and vh of one matrix."""
    m, n = shape
    k = min(m, n)
    return [(m, m), (k,), (n, n)] if full else [(m, k), (k,), (k, n)]
