"""Everyday expressions of NumPy programs: name, arguments, and the expression as a function of the module ``np``.

Arguments: x and y are vectors of 6, A and S matrices of 4 by 4 (S symmetric and positive definite), B one of 3 by 6,
T an array of 2 by 3 by 4, s a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

_rng = numpy.random.default_rng(3)
_A = _rng.uniform(0.2, 0.9, (4, 4)) + 2 * numpy.eye(4)

ARGUMENTS: dict[str, Any] = {
    "x": _rng.uniform(0.3, 0.9, 6), "y": _rng.uniform(0.3, 0.9, 6), "A": _A, "S": _A @ _A.T,
    "B": _rng.uniform(0.2, 0.9, (3, 6)), "T": _rng.uniform(0.2, 0.9, (2, 3, 4)), "s": 0.7,
}  # fmt: skip

Expression = Callable[..., Any]


def _written(x: Any, value: Any, *place: Any) -> Any:
    """Return a copy of an array with some entries written."""
    result = x.copy()
    result[place[0] if len(place) == 1 else place] = value
    return result


def _through_a_view(x: Any) -> Any:
    result = x * 1.0
    view = result[:2]
    view[0] = 3.0
    return result


def _in_place(x: Any) -> Any:
    result = x * 1.0
    result += 1.0
    result[1:] *= x[1:]
    return result


def _newton(np: Any, x: Any) -> Any:
    root = x[0]
    while abs(root * root - x[1]) > 1e-12:
        root = 0.5 * (root + x[1] / root)
    return root


EXPRESSIONS: list[tuple[str, str, Expression]] = [
    # arithmetic and elementary functions
    ("polynomial", "x", lambda np, x: 3 * x**3 - 2 * x**2 + x - 1),
    ("quotient", "xy", lambda np, x, y: (x - y) / (x + y)),
    ("power of traced numbers", "xy", lambda np, x, y: x**y),
    ("number to a power", "x", lambda np, x: 2**x),
    ("negative power", "x", lambda np, x: x**-1.5),
    ("floor division and remainder", "x", lambda np, x: (7 * x) // 2 + (7 * x) % 2),
    ("remainder of negatives", "x", lambda np, x: np.mod(-5 * x, 3.0)),
    ("fmod", "x", lambda np, x: np.fmod(-5 * x, 3.0)),
    ("exp", "x", lambda np, x: np.exp(x)),
    ("exp2", "x", lambda np, x: np.exp2(x)),
    ("expm1", "x", lambda np, x: np.expm1(x)),
    ("log", "x", lambda np, x: np.log(x)),
    ("log2", "x", lambda np, x: np.log2(x)),
    ("log10", "x", lambda np, x: np.log10(x)),
    ("log1p", "x", lambda np, x: np.log1p(x)),
    ("sqrt", "x", lambda np, x: np.sqrt(x)),
    ("cbrt", "x", lambda np, x: np.cbrt(x)),
    ("square", "x", lambda np, x: np.square(x)),
    ("reciprocal", "x", lambda np, x: np.reciprocal(x)),
    ("sin of cos", "x", lambda np, x: np.sin(np.cos(x))),
    ("tan", "x", lambda np, x: np.tan(x)),
    ("arcsin", "x", lambda np, x: np.arcsin(x)),
    ("arctan2", "xy", lambda np, x, y: np.arctan2(x, y)),
    ("hypot", "xy", lambda np, x, y: np.hypot(x, y)),
    ("hyperbolic", "x", lambda np, x: np.tanh(x) + np.sinh(x) / np.cosh(x)),
    ("inverse hyperbolic", "x", lambda np, x: np.arcsinh(x) + np.arctanh(x) + np.arccosh(1 + x)),
    ("sinc", "x", lambda np, x: np.sinc(x)),
    ("i0", "x", lambda np, x: np.i0(x)),
    ("logaddexp", "xy", lambda np, x, y: np.logaddexp(x, y)),
    ("logaddexp2", "xy", lambda np, x, y: np.logaddexp2(x, y)),
    ("degrees and radians", "x", lambda np, x: np.deg2rad(np.rad2deg(x) + 1)),
    ("copysign", "xy", lambda np, x, y: np.copysign(x, -y)),
    ("heaviside", "x", lambda np, x: x * np.heaviside(x - 0.5, 0.5)),
    ("abs and sign", "x", lambda np, x: np.abs(x - 0.5) * np.sign(x - 0.4)),
    ("round to decimals", "x", lambda np, x: x * np.round(x + 0.012, 1)),
    ("truncation", "x", lambda np, x: x * np.trunc(5 * x)),
    ("ceil", "x", lambda np, x: x * np.ceil(5 * x)),
    ("cast to integers", "x", lambda np, x: x * (5 * x).astype(int)),
    ("maximum with a number", "x", lambda np, x: np.maximum(x - 0.5, 0.0)),
    ("minimum of two", "xy", lambda np, x, y: np.minimum(x, y)),
    ("fmax", "xy", lambda np, x, y: np.fmax(x, y)),
    ("modf", "x", lambda np, x: np.modf(5 * x)[0]),
    ("divmod", "x", lambda np, x: divmod(5 * x, 2.0)[1]),
    ("scalar function", "s", lambda np, s: np.exp(-s * s) * np.sin(3 * s)),
    # reductions and statistics
    ("sum", "x", lambda np, x: np.sum(x * x)),
    ("sum over an axis", "B", lambda np, B: np.sum(B * B, axis=1)),
    ("sum, keepdims", "B", lambda np, B: B / np.sum(B, axis=1, keepdims=True)),
    ("sum over two axes", "T", lambda np, T: np.sum(T * T, axis=(0, 2))),
    ("sum where", "x", lambda np, x: np.sum(x * x, where=numpy.arange(6) % 2 == 0)),
    ("method sum", "x", lambda np, x: (x * x).sum()),
    ("builtin sum", "x", lambda np, x: sum(x * x)),
    ("prod", "x", lambda np, x: np.prod(x)),
    ("prod with a zero", "x", lambda np, x: np.prod(x - x[0] + numpy.eye(6)[1])),
    ("mean", "B", lambda np, B: np.mean(B * B, axis=0)),
    ("method mean", "B", lambda np, B: B.mean(0) * B.mean()),
    ("variance", "B", lambda np, B: np.var(B, axis=1)),
    ("standard deviation", "x", lambda np, x: np.std(x, ddof=1)),
    ("max", "x", lambda np, x: np.max(x)),
    ("min over an axis", "B", lambda np, B: np.min(B, axis=1)),
    ("ptp", "x", lambda np, x: np.ptp(x)),
    ("argmax as an index", "x", lambda np, x: x[np.argmax(x)] ** 2),
    ("median", "x", lambda np, x: np.median(x)),
    ("median over an axis", "B", lambda np, B: np.median(B, axis=0)),
    ("quantile", "x", lambda np, x: np.quantile(x, 0.3)),
    ("percentile", "B", lambda np, B: np.percentile(B, 40, axis=1)),
    ("average with weights", "xy", lambda np, x, y: np.average(x, weights=y)),
    ("covariance", "B", lambda np, B: np.cov(B)),
    ("correlation coefficients", "B", lambda np, B: np.corrcoef(B)),
    ("nansum", "x", lambda np, x: np.nansum(x * x)),
    ("nanmean", "B", lambda np, B: np.nanmean(B, axis=0)),
    ("cumsum", "x", lambda np, x: np.cumsum(x * x)),
    ("cumprod", "x", lambda np, x: np.cumprod(x)),
    ("cumsum over an axis", "B", lambda np, B: np.cumsum(B, axis=0)),
    ("diff", "x", lambda np, x: np.diff(x)),
    ("second diff", "B", lambda np, B: np.diff(B, n=2, axis=1)),
    ("gradient of samples", "x", lambda np, x: np.gradient(x)),
    ("trapezoid", "xy", lambda np, x, y: np.trapezoid(y, x)),
    ("log-sum-exp", "x", lambda np, x: np.max(x) + np.log(np.sum(np.exp(x - np.max(x))))),
    ("softmax", "B", lambda np, B: np.exp(B) / np.sum(np.exp(B), axis=1, keepdims=True)),
    ("any and all", "x", lambda np, x: x * np.any(x > 0.5) + x * np.all(x > 0.5)),
    ("count of a condition", "x", lambda np, x: x * np.count_nonzero(x > 0.5)),
    # sorting and choice
    ("sort", "x", lambda np, x: np.sort(x) * numpy.arange(6)),
    ("sort over an axis", "B", lambda np, B: np.sort(B, axis=0)),
    ("argsort as an index", "x", lambda np, x: x[np.argsort(x)] ** 2 * numpy.arange(6)),
    ("partition", "x", lambda np, x: np.partition(x, 2)[2]),
    ("where", "x", lambda np, x: np.where(x > 0.5, x * x, -x)),
    ("where, other branch singular", "x", lambda np, x: np.where(x > 0.5, x, np.log(np.where(x > 0.5, 1.0, x)))),
    ("clip", "x", lambda np, x: np.clip(x, 0.4, 0.7)),
    ("select", "x", lambda np, x: np.select([x > 0.7, x > 0.5], [x, x * x], 0.0)),
    ("piecewise", "x", lambda np, x: np.piecewise(x, [x < 0.5, x >= 0.5], [lambda v: v * v, lambda v: 2 * v])),
    ("choose", "xy", lambda np, x, y: np.choose(numpy.array([0, 1, 0, 1, 1, 0]), [x, y])),
    ("nan_to_num", "x", lambda np, x: np.nan_to_num(x * x)),
    ("mask as an index", "x", lambda np, x: x[x > 0.5] ** 2),
    ("interpolation", "x", lambda np, x: np.interp(x, [0.0, 0.5, 1.0], [1.0, 3.0, 2.0])),
    ("interpolation, traced table", "x", lambda np, x: np.interp(0.45, [0.0, 0.3, 0.5, 0.6, 0.9, 1.0], x)),
    ("searchsorted", "x", lambda np, x: x * np.searchsorted([0.2, 0.5, 0.8], x)),
    ("if and else", "x", lambda np, x: x[0] * x[1] if x[0] > 0.2 else x[2]),
    ("while until converged", "x", _newton),
    ("builtin max", "x", lambda np, x: max(x) * min(x)),
    ("loop over entries", "x", lambda np, x: sum(np.sin(entry) * k for k, entry in enumerate(x))),
    # indexing, movement, assembling
    ("slices", "x", lambda np, x: x[1:] * x[:-1]),
    ("step slice", "x", lambda np, x: x[::-2] ** 2),
    ("rows and columns", "B", lambda np, B: B[1, 2:] * B[0, :4]),
    ("index list", "x", lambda np, x: x[[0, 2, 2]] ** 2),
    ("grid of indices", "B", lambda np, B: B[numpy.ix_([0, 2], [1, 3])] ** 2),
    ("newaxis", "x", lambda np, x: x[:, None] * x[None, :]),
    ("ellipsis", "T", lambda np, T: T[..., 1] ** 2),
    ("three axes", "T", lambda np, T: T[1, :, ::2] * T[0, :, 1::2]),
    ("transpose of three", "T", lambda np, T: np.transpose(T, (2, 0, 1)) ** 2),
    ("reshape", "B", lambda np, B: np.reshape(B, (2, 9)) ** 2),
    ("method reshape", "B", lambda np, B: B.reshape(-1)[::3] ** 2),
    ("ravel in Fortran order", "B", lambda np, B: np.ravel(B, order="F") * numpy.arange(18)),
    ("transpose", "B", lambda np, B: B.T @ B),
    ("swapaxes", "T", lambda np, T: np.swapaxes(T, 0, 2) ** 2),
    ("broadcasting", "xB", lambda np, x, B: B * x + B.sum(1)[:, None]),
    ("broadcast_to", "x", lambda np, x: np.broadcast_to(x, (2, 6)) ** 2),
    ("flip and roll", "x", lambda np, x: np.flip(x) * np.roll(x, 2)),
    ("tile and repeat", "x", lambda np, x: np.tile(x, 2) * np.repeat(x, 2)),
    ("concatenate", "xy", lambda np, x, y: np.concatenate([x, y * y])),
    ("stack", "xy", lambda np, x, y: np.stack([x, y * y], axis=1)),
    ("vstack and hstack", "xy", lambda np, x, y: np.vstack([x, y]).T @ np.hstack([x[:1], y[:1]])),
    ("literal array", "x", lambda np, x: np.array([x[1], np.sin(x[0]), 1.0]) ** 2),
    (
        "literal matrix",
        "x",
        lambda np, x: np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]]) @ x[:2],
    ),
    ("block", "A", lambda np, A: np.block([[A, np.zeros((4, 1))], [np.zeros((1, 4)), np.ones((1, 1))]]) ** 2),
    ("split", "x", lambda np, x: np.split(x, 3)[1] ** 2),
    ("pad", "x", lambda np, x: np.pad(x, 2) * numpy.arange(10)),
    ("pad, reflecting", "x", lambda np, x: np.pad(x, 2, mode="reflect") * numpy.arange(10)),
    ("diagonal", "A", lambda np, A: np.diagonal(A) ** 2),
    ("diag of a vector", "x", lambda np, x: np.diag(x) @ x),
    ("triangles", "A", lambda np, A: np.tril(A) @ np.triu(A)),
    ("trace", "A", lambda np, A: np.trace(A @ A)),
    ("take", "B", lambda np, B: np.take(B, [0, 5, 5], axis=1) ** 2),
    ("take_along_axis", "B", lambda np, B: np.take_along_axis(B, numpy.array([[0], [2], [4]]), axis=1) ** 2),
    ("insert, delete, append", "x", lambda np, x: np.append(np.delete(np.insert(x, 1, x[0] ** 2), 3), x[2])),
    ("meshgrid", "xy", lambda np, x, y: np.meshgrid(x, y)[0] * np.meshgrid(x, y)[1]),
    ("linspace", "s", lambda np, s: np.linspace(0.0, s, 5) ** 2),
    ("full_like", "x", lambda np, x: np.full_like(x, 2.0) * x),
    ("write to a copy", "x", lambda np, x: _written(x, x[0] * 2, 1) ** 2),
    ("write a slice", "x", lambda np, x: _written(x, x[:3] ** 2, slice(3, 6))),
    ("write through a view", "x", lambda np, x: _through_a_view(x) ** 2),
    ("in-place arithmetic", "x", lambda np, x: _in_place(x)),
    ("unpacking", "x", lambda np, x: (lambda a, b, *rest: a * b + rest[0])(*x)),
    # products and linear algebra
    ("dot", "xy", lambda np, x, y: np.dot(x, y)),
    ("matrix times vector", "xB", lambda np, x, B: B @ x),
    ("quadratic form", "A", lambda np, A: A[0] @ A @ A[0]),
    ("matrix product", "AS", lambda np, A, S: A @ S),
    ("stacked product", "T", lambda np, T: T @ np.swapaxes(T, 1, 2)),
    ("outer", "xy", lambda np, x, y: np.outer(x, y)),
    ("inner", "B", lambda np, B: np.inner(B, B)),
    ("kron", "A", lambda np, A: np.kron(A[:2, :2], A)),
    ("cross", "xy", lambda np, x, y: np.cross(x[:3], y[:3])),
    ("vdot", "AS", lambda np, A, S: np.vdot(A, S)),
    ("tensordot", "T", lambda np, T: np.tensordot(T, T, axes=([1, 2], [1, 2]))),
    ("einsum, product", "AS", lambda np, A, S: np.einsum("ij,jk->ik", A, S)),
    ("einsum, three operands", "xyB", lambda np, x, y, B: np.einsum("i,j,ki->kj", x, y, B)),
    ("einsum, diagonal", "A", lambda np, A: np.einsum("ii->i", A) ** 2),
    ("einsum, ellipsis", "T", lambda np, T: np.einsum("...i,...i->...", T, T)),
    ("convolve", "xy", lambda np, x, y: np.convolve(x, y)),
    ("correlate", "xy", lambda np, x, y: np.correlate(x, y[:3])),
    ("solve", "Ax", lambda np, A, x: np.linalg.solve(A, x[:4])),
    ("inverse", "A", lambda np, A: np.linalg.inv(A)),
    ("determinant", "A", lambda np, A: np.linalg.det(A)),
    ("slogdet", "A", lambda np, A: np.linalg.slogdet(A)[1]),
    ("cholesky", "S", lambda np, S: np.linalg.cholesky((S + S.T) / 2)),
    ("eigenvalues", "S", lambda np, S: np.linalg.eigvalsh((S + S.T) / 2)),
    (
        "projection on an eigenvector",
        "S",
        lambda np, S: (lambda v: np.outer(v, v))(np.linalg.eigh((S + S.T) / 2)[1][:, 0]),
    ),
    ("singular values", "B", lambda np, B: np.linalg.svd(B, compute_uv=False)),
    (
        "singular vectors",
        "B",
        lambda np, B: (lambda u, s, v: (u[:, :2] * s[:2]) @ v[:2])(*np.linalg.svd(B, full_matrices=False)),
    ),
    ("qr", "A", lambda np, A: np.abs(np.linalg.qr(A)[1])),
    ("pseudo-inverse", "B", lambda np, B: np.linalg.pinv(B)),
    ("least squares", "Bx", lambda np, B, x: np.linalg.lstsq(B.T, x, rcond=None)[0]),
    ("norm", "x", lambda np, x: np.linalg.norm(x)),
    ("norms of rows", "B", lambda np, B: np.linalg.norm(B, axis=1)),
    ("norm of order 1", "x", lambda np, x: np.linalg.norm(x, 1)),
    ("Frobenius norm", "A", lambda np, A: np.linalg.norm(A)),
    ("spectral norm", "A", lambda np, A: np.linalg.norm(A, 2)),
    ("nuclear norm", "A", lambda np, A: np.linalg.norm(A, "nuc")),
    ("norm at zero, squared", "x", lambda np, x: np.linalg.norm(x - x) ** 2 + x[0]),
    ("matrix power", "A", lambda np, A: np.linalg.matrix_power(A, 3)),
    ("multi_dot", "AS", lambda np, A, S: np.linalg.multi_dot([A, S, A])),
    ("condition number", "A", lambda np, A: np.linalg.cond(A)),
    ("stack of inverses", "A", lambda np, A: np.linalg.inv(np.stack([A, 2 * A]))),
    # polynomials, transforms, functions of functions
    ("polyval", "xy", lambda np, x, y: np.polyval(x[:3], y)),
    ("polyfit", "xy", lambda np, x, y: np.polyfit(x, y, 2)),
    ("poly from roots", "x", lambda np, x: np.poly(x[:3])),
    ("vander", "x", lambda np, x: np.vander(x, 3)),
    ("power spectrum", "x", lambda np, x: np.abs(np.fft.fft(x)) ** 2),
    ("real fft, real part", "x", lambda np, x: np.real(np.fft.rfft(x))),
    ("filter by fft", "x", lambda np, x: np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(x))),
    ("fftshift", "x", lambda np, x: np.fft.fftshift(x) ** 2),
    ("apply_along_axis", "B", lambda np, B: np.apply_along_axis(lambda row: np.sum(row**2), 1, B)),
    ("vectorize", "x", lambda np, x: np.vectorize(lambda entry: entry * entry + 1.0)(x)),
    ("ufunc reduce", "B", lambda np, B: np.multiply.reduce(B, axis=1)),
    ("ufunc accumulate", "x", lambda np, x: np.add.accumulate(x)),
    ("ufunc outer", "xy", lambda np, x, y: np.subtract.outer(x, y) ** 2),
    ("ufunc with out", "xy", lambda np, x, y: np.multiply(x, y, out=np.zeros_like(x))),
]
