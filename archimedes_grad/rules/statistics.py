"""Averages, covariances, and the reductions that leave nan out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.decisions import refuse
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import array_of, gathered, node_of, value_of
from archimedes_grad.rules.composition import NO_VALUE, chosen, composed, given
from archimedes_grad.rules.lengths import root_of_sum_of_squares


@composed(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = NO_VALUE) -> Any:
    """The weighted mean along axes, and the sums of the weights."""
    a = array_of(a)
    if axis is not None:
        axis = np.lib.array_utils.normalize_axis_tuple(axis, a.ndim)
    keywords = given(keepdims=keepdims)
    if weights is None:
        mean = np.mean(a, axis, **keywords)
        total: Any = a.size / max(1, np.size(value_of(mean)))
    else:
        weights = _placed_weights(weights, a.shape, axis)
        total = np.sum(weights, axis, **keywords)
        mean = np.sum(a * weights, axis, **keywords) / total
    return (mean, np.broadcast_to(total, np.shape(value_of(mean)))) if returned else mean


def _placed_weights(weights: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Return the weights of some axes of an array, broadcast to its shape."""
    weights = array_of(weights)
    if weights.shape != shape:
        ordered = np.transpose(weights, np.argsort(axis))
        weights = np.reshape(ordered, tuple(n if k in axis else 1 for k, n in enumerate(shape)))
    return np.broadcast_to(weights, shape)


@composed(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
        aweights: Any = None, *, dtype: Any = None) -> Any:  # fmt: skip
    """The covariance matrix of variables in rows (or columns), with whole and with real weights."""
    X = _observations(m, rowvar)
    if y is not None:
        X = np.concatenate([X, _observations(y, rowvar)])
    if ddof is None:
        ddof = 0 if bias else 1
    w: Any = None
    for weights in (fweights, aweights):
        if weights is not None:
            refuse(np.any(np.less(weights, 0)))
            w = np.asarray(weights) * np.float64(1.0) if w is None else w * weights
    if w is None:
        center: Any = np.mean(X, 1, keepdims=True)
        degrees: Any = np.float64(X.shape[1] - ddof)
    else:
        total = np.sum(w)
        center = np.sum(X * w, 1, keepdims=True) / total
        degrees = total
        if ddof != 0:
            degrees = total - (ddof if aweights is None else ddof * np.sum(w * aweights) / total)
    degrees = np.where(degrees > 0, degrees, 0.0)
    deviation = X - center
    weighted = deviation if w is None else deviation * w
    return np.squeeze(np.matmul(deviation, weighted.T) / degrees)


def _observations(m: Any, rowvar: bool) -> Any:
    """Return a matrix with one variable in each row."""
    m = array_of(m)
    matrix = np.atleast_2d(m)
    transposed = not rowvar and m.ndim != 1
    return matrix.T if transposed else matrix


@composed(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, bias: Any = NO_VALUE, ddof: Any = NO_VALUE, *,
             dtype: Any = None) -> Any:  # fmt: skip
    """The correlation coefficients of variables in rows (or columns)."""
    c = np.cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    deviations = np.sqrt(np.diagonal(c))
    scaled = c / deviations[:, None] / deviations[None, :]
    return np.clip(scaled, -1, 1)


# --- without nan ----------------------------------------------------------------------------------


def _mask(a: Any, where: Any) -> Any:
    """Return where entries count: those that are not nan and that ``where`` chooses."""
    present = np.logical_not(np.isnan(a))
    return present if where is NO_VALUE or where is True else np.logical_and(present, where)


def _nan_reduction(function: Callable[..., Any], reduction: Callable[..., Any], neutral: float) -> None:
    @composed(function)
    def program(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE,
                initial: Any = NO_VALUE, where: Any = NO_VALUE) -> Any:  # fmt: skip
        filled = np.where(_mask(a, where), a, neutral)
        return reduction(filled, axis, dtype, **given(keepdims=keepdims, initial=initial))


_nan_reduction(np.nansum, np.sum, 0.0)
_nan_reduction(np.nanprod, np.prod, 1.0)


def _nan_extreme(function: Callable[..., Any], ufunc: np.ufunc) -> None:
    @composed(function)
    def program(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE,
                where: Any = NO_VALUE) -> Any:  # fmt: skip
        if where is not NO_VALUE and where is not True:
            a = np.where(where, a, np.nan)
        result = ufunc.reduce(a, axis, keepdims=keepdims is not NO_VALUE and bool(keepdims))
        return result if initial is NO_VALUE else ufunc(result, initial)


_nan_extreme(np.nanmax, np.fmax)
_nan_extreme(np.nanmin, np.fmin)


@composed(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *,
            where: Any = NO_VALUE) -> Any:  # fmt: skip
    """The mean along axes of the entries that are not nan."""
    mask = _mask(a, where)
    total = np.sum(np.where(mask, a, 0.0), axis, **given(keepdims=keepdims))
    return total / np.sum(mask, axis, dtype=np.float64, **given(keepdims=keepdims))


@composed(np.nanvar)
def nanvar(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = NO_VALUE, *,
           where: Any = NO_VALUE, mean: Any = NO_VALUE, correction: Any = NO_VALUE) -> Any:  # fmt: skip
    """The variance along axes of the entries that are not nan."""
    mask = _mask(a, where)
    lost = ddof if correction is NO_VALUE else correction
    center = mean
    if mean is NO_VALUE:
        total = np.sum(np.where(mask, a, 0.0), axis, keepdims=True)
        center = total / np.sum(mask, axis, dtype=np.float64, keepdims=True)
    deviation = np.where(mask, a - center, 0.0)
    degrees = np.sum(mask, axis, dtype=np.float64, **given(keepdims=keepdims)) - lost
    spread = np.sum(deviation * deviation, axis, **given(keepdims=keepdims))
    return chosen(degrees > 0, spread / np.where(degrees > 0, degrees, 1.0), np.nan)


@composed(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = NO_VALUE, *,
           where: Any = NO_VALUE, mean: Any = NO_VALUE, correction: Any = NO_VALUE) -> Any:  # fmt: skip
    """The standard deviation along axes of the entries that are not nan."""
    variance = gathered(np.nanvar(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))
    return new_array(root_of_sum_of_squares(node_of(variance)), np.sqrt(value_of(variance)))
