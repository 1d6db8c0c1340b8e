"""Calls with keywords: every keyword that NumPy documents for a supported function, at least once.

Each row is an expression in the arguments below; ``test_keywords.py`` evaluates it with NumPy and traced.
"""

import numpy as np
from checks import apart

ARGUMENTS = {
    "A": apart((3, 4), 1), "B": apart((3, 4), 2), "T": apart((2, 3, 4), 3), "S": apart((3, 3), 4) + 3 * np.eye(3),
    "v": apart((5,), 5), "w": apart((5,), 6), "p": np.abs(apart((5,), 7)) + 0.3, "P": np.abs(apart((3, 4), 8)) + 0.3,
    "u": apart((5,), 9) / 2.5, "n": np.float64(0.37),
}  # fmt: skip


def into(function, *args, **keywords):
    """Return what a function writes into ``out=``, and that it returns the same array."""
    shape = np.shape(function(*args, **keywords))
    out = np.zeros_like(args[0], shape=shape)
    assert function(*args, out=out, **keywords) is out
    return out


def masked(function, *args, where, **keywords):
    """Return what a function writes into the entries of ``out=`` that ``where`` chooses."""
    out = np.zeros_like(args[0]) + 2.0
    assert function(*args, out=out, where=where, **keywords) is out
    return out


def changed(function, target, *args, **keywords):
    """Return a copy of an array after a function has written to it."""
    target = target * 1.0
    function(target, *args, **keywords)
    return target


#: What rows may name besides the arguments.
NAMES = {
    "np": np, "into": into, "masked": masked, "changed": changed, "linalg": np.linalg, "fft": np.fft,
    "M": np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]]),
    "column": np.array([[True], [False], [True]]), "m": np.array([True, False, True, True, False]),
    "i": np.array([3, 0, 4]), "k": np.array([0, 2, 2, 1, 0]), "weights": np.array([1.0, 2.0, 0.5, 3.0, 1.5]),
    "gaps": np.array([np.nan, 0.0, np.nan, 0.0, 0.0]), "holes": np.array([[np.nan, 0, 0, 0], [0, 0, np.nan, 0],
    [0] * 4]),
    "edges": np.array([-1.6, -0.4, 0.3, 1.7]), "windows": np.lib.stride_tricks.sliding_window_view,
}  # fmt: skip


def all_of(call, variants):
    """Return one row of a call with each of several keywords: compiled and differentiated at once."""
    return f"[{', '.join(call.format(variant) for variant in variants)}]"


_REDUCTIONS = ("sum", "prod", "max", "min", "amax", "amin", "nansum", "nanprod", "nanmax", "nanmin")
_MOMENTS = ("mean", "var", "std", "nanmean", "nanvar", "nanstd")
_SPREADS = ("var", "std", "nanvar", "nanstd")
_QUANTILES = ("quantile", "nanquantile")
_ORDERS = (None, 1, -1, 2, -2, "np.inf", "-np.inf")
_COMPLEX = ("fft", "ifft", "rfft", "ihfft")
_MANY = ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn")

ROWS = [
    # --- reductions
    *(all_of(f"np.{f}(A, {{}})", (
        "axis=0", "axis=-1, keepdims=True", "axis=(0, 1)", "axis=None, keepdims=True",
    )) for f in (*_REDUCTIONS, *_MOMENTS)),
    *(all_of(f"np.{f}(A, axis=1, {{}})", (
        "initial=0.5", "initial=0.5, where=M", "initial=0.5, where=column, keepdims=True", "initial=n",
    )) for f in _REDUCTIONS),
    *(f"into(np.{f}, A, axis=0)" for f in (*_REDUCTIONS, *_MOMENTS, "ptp", "median", "nanmedian")),
    *(f"into(np.{f}, A, axis=1, keepdims=True)" for f in ("sum", "max", "mean", "std", "nanvar", "median")),
    *(all_of(f"np.{f}(A, axis=0, dtype={{}})", ("np.float32", "float")) for f in ("sum", "prod", "mean", "var", "std",
      "nansum", "nanprod", "nanmean",
                                              "nanvar", "nanstd")),
    *(all_of(f"np.{f}((4 * A).astype(int), axis=1, dtype={{}})", ("int", "float")) for f in ("sum", "prod", "nansum")),
    *(f"np.{f}(A, where=M)" for f in ("sum", "prod", "mean", "var", "std", "nansum", "nanmean", "nanvar", "nanstd")),
    *(f"np.{f}(A, axis=1, where=column | M, keepdims=True)" for f in _MOMENTS),
    *(all_of(f"np.{f}(A, axis=0, {{}})", (
        "ddof=1", "correction=1", "ddof=0.5", "mean=np.mean(A, axis=0, keepdims=True)",
        "ddof=1, where=M, keepdims=True",
    )) for f in _SPREADS),
    *(f"np.{f}(A + holes, axis=1, keepdims=True)" for f in _REDUCTIONS[6:]), "np.nanmean(A + holes, axis=1)",
    "np.nanstd(A + holes, axis=1, ddof=1)", "np.nanvar(A + holes, correction=1)",
    *(f"np.{f}(A, axis=0, out=np.zeros_like(A[0], dtype=int))" for f in ("sum", "prod", "max", "mean", "var")),
    "np.ptp(A, axis=1, keepdims=True)", "np.ptp(A, axis=(0, 1))",
    *(all_of(f"np.{f}(A > 0, {{}})", (
        "axis=0", "axis=1, keepdims=True", "where=M", "axis=1, where=column, keepdims=True", "axis=(0, 1)",
    )) for f in ("any", "all")),
    "np.any(A > 0, axis=0, out=np.zeros_like(A[0], dtype=bool))",
    "np.all(A > 0, axis=0, out=np.zeros_like(A[0], dtype=bool))",
    "np.count_nonzero(A > 0, axis=1)", "np.count_nonzero(A, axis=0, keepdims=True)", "np.size(A, axis=1) * A",
    *(all_of(f"np.{f}(A, {{}})", (
        "axis=0", "axis=1, keepdims=True", "axis=(0, 1), keepdims=True", "axis=0, overwrite_input=True",
    )) for f in ("median", "nanmedian")),
    *(all_of(f"np.{f}(A, 0.3, {{}})", (
        "axis=0", "axis=1, keepdims=True", "axis=(0, 1)", "method='lower'", "axis=1, method='hazen', keepdims=True",
        "overwrite_input=True",
    )) for f in _QUANTILES),
    *(all_of(f"np.{f}(A, [10, 70], {{}})", (
        "axis=1", "axis=0, keepdims=True", "method='higher'", "axis=0, overwrite_input=True",
    )) for f in ("percentile", "nanpercentile")),
    *(f"np.{f}(v, {q}, weights=weights, method='inverted_cdf')" for f, q in (
        ("quantile", 0.3), ("nanquantile", 0.6), ("percentile", 30), ("nanpercentile", 60),
    )),
    *(f"into(np.{f}, A, {q}, axis=0)" for f, q in (
        ("quantile", 0.3), ("nanquantile", 0.6), ("percentile", 30), ("nanpercentile", 60),
    )),
    "np.average(A, axis=0)", "np.average(A, axis=1, weights=weights[:4])", "np.average(A, weights=P, returned=True)",
    "np.average(A, axis=0, weights=P, keepdims=True)", "np.average(v, weights=p)",
    "np.cov(A, rowvar=False)", "np.cov(v, w, ddof=0)", "np.cov(v, y=w)", "np.cov(A, bias=True)",
    "np.cov(v, fweights=k)", "np.cov(v, aweights=p)", "np.cov(A, dtype=np.float32)", "np.corrcoef(v, y=w)",
    "np.corrcoef(A, rowvar=False)", "np.corrcoef(A, dtype=np.float32)",
    # --- running results and differences
    *(all_of(f"np.{f}(A, {{}})", (
        "axis=0", "axis=-1", "axis=None", "axis=1, dtype=np.float32",
    )) for f in ("cumsum", "cumprod", "nancumsum", "nancumprod")),
    *(f"into(np.{f}, A, axis=1)" for f in ("cumsum", "cumprod", "nancumsum", "nancumprod")),
    *(all_of(f"np.{f}(A, {{}})", (
        "axis=0", "axis=1, include_initial=True", "axis=1, dtype=np.float32",
    )) for f in ("cumulative_sum", "cumulative_prod") if hasattr(np, f)),
    *(f"into(np.{f}, A, axis=1)" for f in ("cumulative_sum", "cumulative_prod") if hasattr(np, f)),
    "np.diff(A, n=2, axis=0)", "np.diff(A, prepend=0.0)", "np.diff(v, append=w)", "np.diff(v, prepend=n, append=1.0)",
    "np.ediff1d(v, to_end=w)", "np.ediff1d(v, to_begin=[1.0, 2.0], to_end=n)",
    "np.gradient(A, axis=1)", "np.gradient(v, edge_order=2)", "np.gradient(A, 0.5, axis=0, edge_order=2)",
    "np.gradient(A, axis=(0, 1))", "np.trapezoid(v, x=w)", "np.trapezoid(A, dx=0.5, axis=0)", "np.trapezoid(v, dx=n)",
    "np.unwrap(3 * v, discont=2.0)", "np.unwrap(3 * A, axis=0)", "np.unwrap(3 * v, period=1.5)",
    # --- movement
    "np.append(A, B, axis=0)", "np.append(A, B, axis=1)", "np.array_split(A, 2, axis=1)", "np.split(A, [1, 3], axis=1)",
    "np.delete(A, 1, axis=1)", "np.delete(A, [0, 2], axis=0)", "np.delete(A, slice(1, 3), axis=1)",
    "np.insert(A, 1, v[:4], axis=0)", "np.insert(A, [1, 2], 0.5, axis=1)", "np.insert(v, i, n)",
    "np.insert(A, 2, np.array([1.0, 2.0, 3.0]), axis=-1)",
    "np.diag(v, k=1)", "np.diag(A, k=-1)", "np.diagflat(v, k=-2)", "np.diagonal(A, offset=1)",
    "np.diagonal(T, axis1=0, axis2=2)", "np.diagonal(T, offset=-1, axis1=1, axis2=2)", "linalg.diagonal(T, offset=1)",
    "np.trace(A, offset=1)", "np.trace(T, axis1=1, axis2=2)", "np.trace(A, dtype=np.float32)",
    "np.trace(T, out=np.zeros_like(T[0, 0]))", "linalg.trace(T, offset=1)", "linalg.trace(A, dtype=np.float32)",
    "np.expand_dims(A, axis=(0, 2))", "np.squeeze(A[:1], axis=0)", "np.flip(A, axis=1)", "np.flip(T, axis=(0, 2))",
    "np.moveaxis(T, source=0, destination=-1)", "np.rollaxis(T, 2, start=1)", "np.swapaxes(T, 0, axis2=2)",
    "np.transpose(T, axes=(1, 2, 0))", "np.roll(A, 1, axis=1)", "np.roll(T, (1, 2), axis=(0, 2))", "np.roll(A, 3)",
    "np.rot90(A, k=3)", "np.rot90(T, axes=(1, 2))", "np.repeat(A, 2, axis=1)", "np.repeat(A, [1, 0, 2], axis=0)",
    "np.repeat(v, repeats=3)", "np.tile(A, reps=(2, 1))", "np.take(A, [3, 0], axis=1)", "np.take(v, i, mode='clip')",
    "np.take(v, [7, -8], mode='wrap')", "into(np.take, A, [2, 0], axis=0)",
    "np.take_along_axis(A, np.array([[1], [0], [3]]), axis=1)", "np.take_along_axis(A, np.array([5, 0]), axis=None)",
    "np.reshape(A, (2, 6), order='F')", "np.reshape(A, (4, 3), order='A')", "np.ravel(A, order='F')",
    "np.ravel(A.T, order='K')", "A.flatten(order='F')", "A.reshape(2, 6, order='F')", "A.ravel(order='F')",
    "np.reshape(A, (12,), copy=True)", "np.resize(v, (2, 4))",
    "np.broadcast_to(v, (2, 5), subok=True)", "np.broadcast_arrays(v, w, subok=True)",
    *(["np.unstack(A, axis=1)"] if hasattr(np, "unstack") else []),
    "np.concatenate([A, B], axis=1)", "np.concatenate([A, B], axis=None)", "np.concatenate([A, B], dtype=np.float32)",
    "np.concatenate([A, B], dtype=int, casting='unsafe')",
    "np.concatenate([A, B], axis=1, out=np.zeros_like(A, shape=(3, 8)))",
    "np.stack([A, B], axis=-1)", "np.stack([A, B], dtype=np.float32)", "np.stack([A, B], dtype=int, casting='unsafe')",
    "np.stack([A, B], out=np.zeros_like(A, shape=(2, 3, 4)))",
    "np.hstack([A, B], dtype=np.float32)", "np.vstack([A, B], dtype=int, casting='unsafe')",
    "np.hstack([A, B], casting='safe')", "np.vstack([A, B], dtype=np.float32)",
    "np.tril(A, k=1)", "np.triu(A, k=-1)", "np.vander(v, N=3)", "np.vander(v, increasing=True)",
    "v[np.tril_indices_from(S, k=-1)[0]]", "v[np.triu_indices_from(S, k=1)[1]]",
    "windows(A, 2, axis=1)", "windows(A, (2, 2), axis=(0, 1), subok=False)", "windows(v, 2, writeable=False)",
    *(f"np.pad(A, {keywords})" for keywords in (
        "((1, 2), (0, 3)), mode='constant', constant_values=((1, 2), (3, 4))", "2, mode='constant', constant_values=n",
        "2, mode='edge'", "2, mode='wrap'", "2, mode='reflect'", "2, mode='reflect', reflect_type='odd'",
        "2, mode='symmetric', reflect_type='odd'", "1, mode='linear_ramp', end_values=(1, 2)",
        "2, mode='mean', stat_length=2",
        "2, mode='median', stat_length=((1, 2), (3, 2))", "2, mode='maximum', stat_length=2", "1, mode='minimum'",
    )),
    # --- choice, order, search
    "np.sort(A, axis=0)", "np.sort(A, axis=None)", "np.sort(A, kind='stable')", "np.sort(A, stable=True)",
    "np.argsort(A, axis=0)", "np.argsort(A, kind='stable')", "np.argsort(A, axis=None, stable=True)",
    *(["np.sort(A, axis=0, descending=True)", "np.sort(k, descending=True) * v", "np.argsort(v, descending=True)",
       "np.argsort(A > 0, axis=None, stable=True, descending=True)",
       "np.argsort(np.tile(k, 20), stable=True, descending=True) * n",
       "np.sort(np.tile(v, 20) + gaps[1], descending=True)", "changed(lambda a: a.sort(descending=True), v)"]
      if np.lib.NumpyVersion(np.__version__) >= "2.5.0" else []),
    "np.partition(v, 2)[2]", "np.partition(A, 1, axis=0)[1]", "np.partition(A, (1, 2), axis=None)[[1, 2]]",
    "np.partition(v, 2, kind='introselect')[2]", "np.argpartition(v, 2, axis=-1)[2]",
    "np.argpartition(v, 2, kind='introselect')[2]", "np.argpartition(A, 1, axis=0)[1]",
    "np.lexsort((v, w), axis=0)", "np.lexsort((A, B), axis=0)",
    *(all_of(f"np.{f}(A, {{}})", (
        "axis=0", "axis=1, keepdims=True", "keepdims=True", "axis=0, out=np.zeros_like(A[0], dtype=int)",
    )) for f in ("argmax", "argmin", "nanargmax", "nanargmin")),
    "np.searchsorted(np.sort(v), w, side='right')", "np.searchsorted(v, w, sorter=np.argsort(v))",
    "np.searchsorted(edges, v, side='left')", "np.digitize(v, edges, right=True)",
    "np.digitize(v, edges[::-1], right=False)",
    "np.isin(v, v[:2], invert=True)", "np.isin(v, v[:2], assume_unique=True)", "np.isin(k, [0, 1], kind='sort') * v",
    *([f"np.in1d(v, v[:2], {keyword})" for keyword in ("invert=True", "assume_unique=True", "kind='sort'")]
      if hasattr(np, "in1d") else []),
    "np.clip(v, a_min=-0.5, a_max=0.5)", "np.clip(v, a_min=None, a_max=w)", "into(np.clip, v, -0.5, 0.5)",
    *(["np.clip(v, min=-0.5, max=0.5)", "np.clip(v, min=w)", "v.clip(max=0.3)"]
      if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else []),
    "masked(np.clip, v, -0.5, 0.5, where=m)", "np.clip(v, -0.5, 0.5, dtype=float)",
    "np.choose(k, [v, w, p], mode='clip')", "np.choose(k + 1, [v, w, p], mode='wrap')",
    "np.choose(k, [v, w, p], out=np.zeros_like(v))", "np.compress([True, False, True], A, axis=0)",
    "np.compress(M[0], A, axis=1, out=np.zeros_like(A[:, :3]))",
    "np.select([v > 0.5, v > 0], [v, w], default=n)", "np.where(m, v, w)",
    "np.piecewise(v, [v < 0], [np.sin, np.cos])",
    "np.nan_to_num(v + gaps, nan=2.0)", "np.nan_to_num(v / np.array([0.0, 1, 1, 0, 1]), posinf=3.0, neginf=-3.0)",
    "np.nan_to_num(v + gaps, copy=True)",
    "np.isclose(v, w, rtol=0.5)", "np.isclose(v, w, atol=1.5)", "np.isclose(v + gaps, v + gaps, equal_nan=True)",
    "np.allclose(v, w, rtol=10.0, atol=5.0) * v", "np.allclose(v + gaps, v + gaps, equal_nan=True) * v",
    "np.array_equal(v + gaps, v + gaps, equal_nan=True) * v",
    "np.round(v, decimals=1)", "np.around(v, decimals=1)", "into(np.round, v, 1)", "into(np.around, v, decimals=2)",
    "np.isposinf(v, out=np.zeros_like(v, dtype=bool))", "np.isneginf(v, out=np.zeros_like(v, dtype=bool))",
    "into(np.fix, v)",
    "np.angle(v, deg=True)", "np.real_if_close(v, tol=10)",
    "np.trim_zeros(np.concatenate([np.zeros(2), v, np.zeros(1)]), trim='f')", "np.trim_zeros(v * m, trim='b')",
    *(["np.trim_zeros(A * (M & ~M[:1]), axis=0)"] if np.lib.NumpyVersion(np.__version__) >= "2.2.0" else []),
    *(f"np.unique(v, {keywords})" for keywords in (
        "return_index=True", "return_inverse=True", "return_counts=True", "equal_nan=False",
    )),
    *(["np.unique(v, sorted=True)"] if np.lib.NumpyVersion(np.__version__) >= "2.3.0" else []),
    "np.unique(A, axis=0)", "np.intersect1d(v, v[:3], return_indices=True)",
    "np.intersect1d(v, v[:3], assume_unique=True)",
    "np.setdiff1d(v, v[:2], assume_unique=True)", "np.setxor1d(v[1:], v[:4], assume_unique=True)",
    "np.bincount(k, weights=v)", "np.bincount(k, weights=v, minlength=6)",
    *(all_of(f"np.{f}(v, {{}})", (
        "bins=4", "bins=edges", "bins=3, range=(-1.5, 1.5)", "bins=3, weights=weights",
    )) for f in ("histogram", "histogram_bin_edges")),
    "np.histogram(v, bins=edges, density=True)", "np.histogram(v, bins=edges, weights=p)[0]",
    *(f"np.histogram2d(v, w, {keywords})" for keywords in (
        "bins=3", "bins=[edges, 2]", "bins=2, range=[(-2, 2), (-1, 2)]", "bins=[edges, edges], density=True",
        "bins=2, weights=weights",
    )),
    *(f"np.histogramdd(A, {keywords})" for keywords in (
        "bins=2", "bins=2, range=[(-2, 2)] * 4", "bins=2, density=True", "bins=2, weights=weights[:3]",
    )),
    "np.interp(v, edges, [1.0, 3.0, 2.0, 0.5], left=n, right=5.0)", "np.interp(v, np.sort(w), p, period=1.5)",
    "np.unravel_index(k, (2, 3), order='F')[0] * v", "np.ravel_multi_index((k, k), (2, 2), mode='clip') * v",
    "np.ravel_multi_index((k, k), (3, 3), order='F') * v",
    "np.shares_memory(v, w, max_work=1) * v", "np.may_share_memory(v, w, max_work=0) * v",
    "np.can_cast(v.dtype, int, casting='unsafe') * v",
    # --- writes
    "changed(np.fill_diagonal, np.ones_like(A, shape=(6, 2)), v[:2], wrap=True)",
    "changed(np.put, v, [0, 7], w, mode='wrap')",
    "changed(np.put, v, [1, 9], n, mode='clip')", "changed(np.copyto, A, B, where=M)",
    "changed(np.copyto, v, w, casting='safe')",
    "changed(np.put_along_axis, A, np.array([[1], [0], [2]]), v[:3, None], axis=1)",
    "changed(np.place, A, M, v)", "changed(np.putmask, A, M, B)",
    # --- products, polynomials, numpy.linalg
    "np.convolve(v, w[:3], mode='same')", "np.convolve(v, w[:3], mode='valid')", "np.correlate(v, w[:3], mode='full')",
    "np.correlate(v, w[:3], mode='same')", "np.tensordot(A, B, axes=2)", "np.tensordot(A, B, axes=([0], [0]))",
    "linalg.tensordot(A, B, axes=((1,), (1,)))", "np.dot(A, B.T, out=np.zeros_like(S))",
    "np.outer(v, w, out=np.zeros_like(v, shape=(5, 5)))",
    "np.einsum('ij,kj->ik', A, B, optimize=True)", "np.einsum('ij,ij->i', A, B, out=np.zeros_like(A[:, 0]))",
    "np.einsum('ij->j', A, dtype=np.float32, casting='same_kind')", "np.einsum('ij->ji', A, order='C', casting='safe')",
    *(f"np.cross(A[:, :3], B[:, :3], {keywords})" for keywords in ("axis=0", "axisa=0, axisb=0", "axisc=0",
      "axisa=1, axisb=1, axisc=0")),
    "linalg.cross(A[:, :3], B[:, :3], axis=0)",
    *(f"np.{f}(A, B, axis=0)" for f in ("vecdot", "linalg.vecdot")), "np.vecdot(A, B, axes=[(0,), (0,), ()])",
    "np.vecdot(A, v[:4])", "np.matmul(A, B.T, out=np.zeros_like(S))",
    "np.matmul(A, B, axes=[(0, 1), (1, 0), (0, 1)])", "np.matmul(A, B.T, dtype=np.float32)",
    "np.matvec(A, v[:4], axes=[(0, 1), (0,), (0,)]) if hasattr(np, 'matvec') else v",
    "np.polyder(v, m=2)", "np.polyint(v, m=2)", "np.polyint(v, k=n)", "np.polyint(v, m=2, k=[1.0, 2.0])",
    "np.polyfit(v, w, 2, rcond=1e-12)", "np.polyfit(v, w, 1, full=True)[0]", "np.polyfit(v, w, 1, w=p)",
    "np.polyfit(v, w, 1, cov=True)", "np.polyfit(v, w, 1, cov='unscaled', w=p)",
    "linalg.cholesky(S @ S.T, upper=True)", *(f"linalg.cond(S, p={o})" for o in (*_ORDERS, "'fro'", "'nuc'")),
    "linalg.eigh(S, UPLO='U')[0]", "linalg.eigvalsh(S, UPLO='U')", "linalg.lstsq(A.T, v[:4], rcond=1e-10)[0]",
    *(f"linalg.norm(v, ord={o})" for o in (*_ORDERS, 3, 0.5)), *(f"linalg.norm(A, ord={o})" for o in (*_ORDERS,
      "'fro'", "'nuc'")),
    "linalg.norm(T, axis=(0, 2))", "linalg.norm(T, ord=2, axis=(0, 2), keepdims=True)",
    "linalg.norm(A, axis=0, keepdims=True)",
    "linalg.vector_norm(A, axis=0)", "linalg.vector_norm(A, keepdims=True, ord=1)",
    "linalg.matrix_norm(T, keepdims=True)",
    "linalg.matrix_norm(T, ord='nuc')", "linalg.matrix_rank(S, tol=1e-8) * v",
    "linalg.matrix_rank(S @ S.T, hermitian=True) * v",
    "linalg.matrix_rank(S, rtol=1e-8) * v", "linalg.multi_dot([A, B.T, S], out=np.zeros_like(S))",
    "linalg.pinv(A, rcond=1e-10)", "linalg.pinv(S + S.T, hermitian=True)", "linalg.pinv(A, rtol=1e-10)",
    "linalg.qr(A.T, mode='r')", "linalg.qr(A.T, mode='complete')[1]", "linalg.svd(A, full_matrices=False)[1]",
    "linalg.svd(A, compute_uv=False)", "linalg.svd(S + S.T, hermitian=True)[1]",
    "linalg.tensorinv(np.reshape(S, (3, 3, 1)), ind=1)",
    "linalg.tensorsolve(np.reshape(S, (3, 1, 3)), v[:3, None], axes=None)",
    # --- numpy.fft
    *(all_of(f"np.abs(fft.{f}(A, {{}}))", ("n=3", "n=6, axis=0", "norm='ortho'", "norm='forward'")) for f in _COMPLEX),
    *(all_of(f"fft.{f}(A, {{}})", ("n=5", "axis=0", "norm='ortho'", "norm='forward'")) for f in ("irfft", "hfft")),
    *(all_of(f"np.abs(fft.{f}(T, {{}}))", (
        "axes=(0, 1)", "norm='ortho'", "s=(2, 5), axes=(0, 2)",
    )) for f in _MANY),
    *(all_of(f"fft.{f}(T, {{}})", ("axes=(0, 1)", "norm='ortho'", "s=(2, 5), axes=(0, 2)")) for f in ("irfft2",
      "irfftn")),
    *(f"np.abs(fft.{f}(T, out=fft.{f}(2 * T)))" for f in (*_COMPLEX, *_MANY)),
    *(f"fft.{f}(T, out=fft.{f}(2 * T))" for f in ("irfft", "hfft", "irfft2", "irfftn")),
    "fft.fftshift(A, axes=1)", "fft.ifftshift(A, axes=(0, 1))",
    # --- creation, casts, copies
    *(all_of(f"np.{f}(A, {{}}) * n", (
        "dtype=np.float32", "shape=(2, 2)", "order='F'", "subok=False", "device='cpu'",
    )) for f in ("zeros_like", "ones_like")),
    *(f"np.empty_like(A, {keywords}) * 0" for keywords in ("dtype=int", "shape=(2, 2)", "order='F'", "subok=False",
      "device='cpu'")),
    *(f"np.full_like(A, n, {keywords})" for keywords in ("dtype=np.float32", "shape=(2, 2)", "order='F'",
      "subok=False", "device='cpu'")),
    *(all_of(f"np.{f}(3, {{}}, like=v) * n", ("dtype=int", "order='F'", "device='cpu'")) for f in ("zeros", "ones")),
    *(f"np.empty(3, {keywords}, like=v) * 0" for keywords in ("dtype=float", "order='F'", "device='cpu'")),
    *(f"np.full(3, n, {keywords}, like=v)" for keywords in ("dtype=np.float32", "order='F'", "device='cpu'")),
    *(f"np.eye(3, {keywords}, like=v) * n" for keywords in ("M=4", "k=1", "dtype=int", "order='F'", "device='cpu'")),
    *(f"np.tri(3, {keywords}, like=v) * n" for keywords in ("M=4", "k=-1", "dtype=int")),
      "np.identity(3, dtype=int, like=v) * n",
    "np.arange(1, 5, step=2, like=v) * n", "np.arange(0, stop=3, dtype=float, like=v) * n",
    "np.arange(3, device='cpu', like=v) * n",
    "np.frombuffer(bytes(16), dtype=float, count=1, offset=8, like=v) * n",
    "np.fromiter(range(5), int, count=3, like=v) * n",
    "np.fromstring('1 2 3', dtype=float, count=2, sep=' ', like=v) * n",
    "np.fromfunction(lambda a: a, (3,), dtype=int, like=v) * n",
    *(f"np.linspace(v, w, {keywords})" for keywords in (
        "num=3", "num=4, endpoint=False", "num=3, retstep=True", "num=3, dtype=np.float32", "num=3, axis=1",
        "num=3, device='cpu'",
    )),
    *(all_of(f"np.{f}(p, p[::-1], {{}})", (
        "num=3", "num=4, endpoint=False", "num=3, dtype=np.float32", "num=3, axis=1",
    )) for f in ("geomspace", "logspace")), "np.logspace(v, w, num=3, base=2.0)",
    *(f"np.array([v, w], {keywords})" for keywords in ("dtype=np.float32", "copy=True", "order='F'", "ndmin=3",
      "subok=True")),
    *(all_of(f"np.{f}(A, {{}}) * n", ("dtype=float", "order='F'", "copy=True", "device='cpu'")) for f in ("asarray",
      "asanyarray")),
    "np.ascontiguousarray(A.T, dtype=float)", "np.asfortranarray(A, dtype=np.float32)", "np.copy(A, order='F')",
    "np.copy(A, subok=True)",
    *(["np.astype(A, int, copy=False)", "np.astype(A, float, device='cpu')"] if hasattr(np, "astype") else []),
    "np.require(A, dtype=np.float32)", "np.require(A, requirements=['C'])",
    "A.astype(int, casting='unsafe')", "A.astype(float, copy=False)", "A.astype(np.float32, order='F', subok=True)",
    "A.copy(order='F')",
    "np.meshgrid(v, w[:3], indexing='ij')", "np.meshgrid(v, w[:3], sparse=True)", "np.meshgrid(v, w, copy=False)",
]  # fmt: skip

_FLOAT_UFUNCS = (
    "negative", "positive", "conjugate", "reciprocal", "square", "sqrt", "cbrt", "absolute", "fabs", "sign", "exp",
    "exp2",
    "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh",
    "deg2rad",
    "rad2deg", "degrees", "radians", "floor", "ceil", "trunc", "rint",
)  # fmt: skip
_PAIRS = (
    "add", "subtract", "multiply", "divide", "power", "float_power", "remainder", "fmod", "floor_divide", "copysign",
    "heaviside", "logaddexp", "logaddexp2", "arctan2", "hypot", "maximum", "minimum", "fmax", "fmin",
)  # fmt: skip
_TRUTHS = ("isnan", "isinf", "isfinite", "signbit", "logical_not")
_COMPARISONS = (
    "less", "less_equal", "equal", "not_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor"
)  # fmt: skip

UFUNC_ROWS = [
    *(all_of("{}", (
        "into(np.{f}, P)", "masked(np.{f}, P, where=M)", "np.{f}(P, dtype=float)",
        "np.{f}(P, casting='safe', order='F')",
    )).format(f=f) for f in _FLOAT_UFUNCS),
    *(all_of("{}", (
        "into(np.{f}, P, n)", "masked(np.{f}, P, n, where=column)", "np.{f}(P, n, dtype=float)",
        "np.{f}.outer(p, p[:2])",
        # Not along rows: there NumPy's own vectorised loops of power and arctan2 do not reduce from left to right.
        "np.{f}.reduce(P, axis=0, keepdims=True)", "into(np.{f}.reduce, P, axis=0)", "np.{f}.accumulate(P, axis=1)",
        "np.{f}.reduceat(p, [0, 2, 4])", "changed(np.{f}.at, p, [0, 2, 0], n)", "np.{f}.reduce(P, axis=0, initial=n)",
        "np.{f}(P, n, subok=True, order='K')",
    )).format(f=f) for f in _PAIRS),
    *(f"np.{f}.reduce(P, axis={axis})" for f in ("add", "multiply", "maximum", "minimum", "logaddexp", "hypot", "fmax")
      for axis in ("(0, 1)", "None", "-1")),
    *(f"np.{f}.reduce(P, axis=1, where=M, initial=0.5)" for f in ("add", "multiply", "maximum", "minimum", "logaddexp",
                                                                "logaddexp2", "hypot", "fmax", "fmin")),
    *(f"np.{f}.{method}(P, axis=0, dtype=np.float32)" for f in ("add", "multiply", "logaddexp")
      for method in ("reduce", "accumulate")),
    *(f"np.{f}(P - 1, out=np.zeros_like(P, dtype=bool))" for f in _TRUTHS),
    *(f"np.{f}(P, 1.0, out=np.zeros_like(P, dtype=bool))" for f in _COMPARISONS),
    *(f"np.{f}.outer(p, p[:2])" for f in _COMPARISONS),
    *(f"np.{f}.reduce(P > 1, axis=1, keepdims=True)" for f in _COMPARISONS[6:]),
      *(f"np.{f}.accumulate(P > 1, axis=1)" for f in _COMPARISONS[6:]),
    "np.modf(P, out=(np.zeros_like(P), np.zeros_like(P)))", "np.divmod(P, n, out=(np.zeros_like(P), None))",
    "np.modf(P, dtype=float)", "np.frexp(P, out=(np.zeros_like(P), np.zeros_like(P, dtype=np.int32)))",
    "np.ldexp(P, 2, dtype=float)",
    "np.add(v, n, out=np.zeros_like(v, shape=(2, 5)))", "np.multiply(v, w, where=m, out=np.ones_like(v, shape=(2, 5)))",
    "np.subtract.at(A, (slice(None), 1), 2.0)", "np.negative.at(A, 1)",
]  # fmt: skip

#: expression -> what the message of the TraceError holds
REFUSED = {
    "np.sin(v, where=m)": "where=",
    "np.clip(v, 0, 1, where=m)": "where=",
    "np.histogram(v, bins='auto')": "bins='auto'",
    "np.sin(v, out=np.zeros(5))": "plain array",
    "np.subtract.reduce(v, where=m, initial=0.0)": "where=",
    "linalg.qr(A, mode='raw')": "raw",
    "fft.fft(v, out=np.zeros(5, complex))": "plain array",
}  # fmt: skip
