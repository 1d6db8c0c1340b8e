"""The pseudo-inverse with a cutoff for singular values, and its derivative.

At constant rank it is that of Golub and Pereyra (1973), which takes what is dropped for zero. Where a cutoff is given
that drops more than rounding errors, kept and dropped singular vectors turn into each other: with A = u s v' and
P = v f u' of f = 1 / s or 0, N = v' dP u and M = u' dA v have

    N_ij = ((s_i f_j - s_j f_i) M_ij + (s_j f_j - s_i f_i) M_ji) / (s_j**2 - s_i**2).
"""

from __future__ import annotations

import functools
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.rules.lapack import Kind, Matrices
from archimedes_grad.rules.matrix_kinds import columns, complement, folded, inverse_where, mask, product, rows, thin_svd

#: Up to this cutoff what is dropped counts as zero. Derivatives of any order exist then, at equal singular values too.
_DROPS_ERRORS = 1e-6


@functools.cache
def pinv(options: tuple[tuple[str, Any], ...]) -> Kind:
    """The pseudo-inverse with NumPy's keywords."""
    keywords = dict(options)
    hermitian = bool(keywords.get("hermitian"))
    cutoff = max(float(keywords.get(name, 0.0)) for name in ("rcond", "rtol"))
    sensitivity = _where_rank_is_constant if cutoff <= _DROPS_ERRORS else _where_more_is_dropped

    def evaluate(inputs: Any, wanted: Any) -> Any:
        return (np.linalg.pinv(inputs[0], **keywords),)

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (a,), (p,), (seed,) = inputs, outputs, seeds
        if hermitian:
            lower = mask(np.tril(np.ones(a.shape)))
            a = lower * a + (mask(np.tril(np.ones(a.shape), -1)) * a).T
        result = sensitivity(a, p, seed)
        return [folded(result) if hermitian else result]

    return Kind("pinv", evaluate, reverse)


def _where_rank_is_constant(a: cs.MX, p: cs.MX, seed: cs.MX) -> cs.MX:
    within = product(p.T, seed, p.T)
    left = product(seed.T, p, p.T)
    right = product(p.T, p, seed.T)
    return left - product(a, product(p, left)) + right - product(right, p, a) - within


def _where_more_is_dropped(a: cs.MX, p: cs.MX, seed: cs.MX) -> cs.MX:
    u, s, v = thin_svd(a)
    k = s.size1()
    kept = cs.diag(product(v.T, p, u)) * s > 0.5
    inverse = inverse_where(kept, s)
    (s_i, s_j), (f_i, f_j) = ((columns(x, k), rows(x, k)) for x in (s, inverse))
    quotient = inverse_where(columns(kept, k) != rows(kept, k), s_j * s_j - s_i * s_i)
    turned = product(v.T, seed, u)
    inner = (quotient * (s_i * f_j - s_j * f_i) - f_i * f_j) * turned + quotient * (s_j * f_j - s_i * f_i) * turned.T
    # Beside the thin basis all singular values are 0.
    square = rows(inverse * inverse, u.size1())
    right = complement(u, product(seed.T, v)) * square
    left = complement(v, product(seed, u))
    return product(u, inner, v.T) + product(right, v.T) + product(u * square, left.T)
