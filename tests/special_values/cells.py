"""Cells: a function at a point, checked for its value or a derivative in a representation; those that are wrong."""

import functools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import scipy.special

import archimedes_grad as arc

from .table import BETWEEN, LEFT, LOSES_DIGITS, OTHER_THAN_SCIPY, POINTS, RIGHT, SLOPES_AT, SPECIAL, Special, Truth

#: Units in the last place that transcendental functions may differ by from NumPy's own.
MOST_UNITS = 2

#: How many cells there were, and text of the wrong ones.
Checked = tuple[int, list[str]]


def _same(got: Any, expected: Any) -> Any:
    """Tell where numbers are the same bit for bit, any nan like another."""
    return (np.isnan(got) & np.isnan(expected)) | ((got == expected) & (np.signbit(got) == np.signbit(expected)))


def _units_apart(got: Any, expected: Any) -> Any:
    with np.errstate(all="ignore"):
        units = np.abs(got - expected) / np.spacing(np.maximum(np.abs(got), np.abs(expected)))
    units = np.where(_same(got, expected), 0, units)
    # Equal but for the sign of a zero, or finite against infinite, is as wrong as can be.
    return np.where(np.isnan(units) | ((got == expected) & ~_same(got, expected)), np.inf, units)


def _wrong(what: str, is_right: Any, known: Any, points: tuple[Any, ...], got: Any, expected: Any) -> Checked:
    wrong = np.flatnonzero(known & ~is_right)
    shown = [f"{what} at {[float(p[i]) for p in points]}: {got[i]} in place of {expected[i]}" for i in wrong]
    return int(np.sum(known)), shown


def joined(*checked: Checked) -> Checked:
    """Return cells of several checks together."""
    return sum(count for count, _ in checked), [text for _, texts in checked for text in texts]


def value_cells(ufunc: np.ufunc, *points: Any, ties_of_zeros: bool = False) -> Checked:
    """Values of a ufunc against NumPy's: called with arrays, and number by number.

    ``ties_of_zeros``: which of 0.0 and -0.0 is the larger one is left open, as NumPy leaves it.
    """
    with np.errstate(all="ignore"):
        expected = ufunc(*points)
    open_ones = np.zeros(expected.shape, bool)
    if ties_of_zeros:
        open_ones = (points[0] == 0) & (points[1] == 0)
    compiled = arc.compile(lambda *args: ufunc(*args))
    one_by_one = np.array([compiled(*(np.float64(p[i]) for p in points)) for i in range(len(points[0]))])
    return joined(*(
        _wrong(f"{ufunc.__name__} {way}", _units_apart(got, expected) <= MOST_UNITS, ~open_ones, points, got, expected)
        for way, got in (("of arrays", compiled(*points)), ("of numbers", one_by_one))
    ))  # fmt: skip


@functools.cache
def true_slopes(truth: Truth, n_arguments: int) -> Any:
    """Return the true derivative at each special value or pair of them, as doubles; nan where there is none."""
    formula, exists = truth
    points = (POINTS,) if n_arguments == 1 else (LEFT, RIGHT)
    slopes = np.full(points[0].shape, np.nan)
    with mp.workprec(200):
        for i, at in enumerate(zip(*map(np.ndarray.tolist, points), strict=True)):
            if all(map(np.isfinite, at)) and (exists is None or exists(*at)):
                slopes[i] = float(mp.mpf(formula(*map(mp.mpf, at))))
    return slopes


def slope_cells(ufunc: np.ufunc, truths: tuple[Truth, ...], *points: Any) -> Checked:
    """First derivatives, reverse and forward, against the true ones where these are finite."""
    checked = []
    reverse = arc.grad(lambda *args: np.sum(ufunc(*args)), argnums=tuple(range(len(points))))(*points)
    for k, (truth, gradient) in enumerate(zip(truths, reverse, strict=True)):
        forward = arc.jvp(lambda *args: ufunc(*args), argnums=k)(*points, np.ones(points[0].shape))
        expected = true_slopes(truth, len(points))
        for way, got in (("gradient", gradient), ("jvp", forward)):
            near = (got == expected) | np.isclose(got, expected, rtol=1e-10, atol=1e-15)
            checked.append(
                _wrong(f"{ufunc.__name__} {way} by {k}", near, np.isfinite(expected), points, got, expected)
            )
    return joined(*checked)


def ufunc_cells(ufunc: np.ufunc, truths: tuple[Truth, ...]) -> Checked:
    """All cells of a ufunc of one or two arguments."""
    points = (POINTS,) if len(truths) == 1 else (LEFT, RIGHT)
    ties = ufunc in (np.maximum, np.minimum, np.fmax, np.fmin)
    return joined(value_cells(ufunc, *points, ties_of_zeros=ties), slope_cells(ufunc, truths, *points))


# --- scipy.special --------------------------------------------------------------------------------


@functools.cache
def _true_derivatives(special: Special, x: float) -> tuple[float, float, float]:
    """Return the value, the slope and the curvature at a point."""
    with mp.workprec(400):
        at, step = mp.mpf(x), mp.mpf(2) ** -100
        right, centre, left = (mp.re(special.function(at + k * step)) for k in (1, 0, -1))
        return float(centre), float((right - left) / (2 * step)), float((right - 2 * centre + left) / step**2)


def special_cells(name: str) -> Checked:
    """Values of a special function against SciPy's, first and second derivatives against mpmath's."""
    function, special = getattr(scipy.special, name), SPECIAL[name]
    with np.errstate(all="ignore"):
        expected = np.asarray(function(POINTS))
    got = arc.compile(lambda x: function(x))(POINTS)
    with np.errstate(all="ignore"):
        near = _same(got, expected) | (np.abs(got - expected) <= 1e-12 * np.abs(expected) + 1e-300)
    same_as_scipy = np.array([not any(_same(p, q) for q in OTHER_THAN_SCIPY.get(name, ())) for p in POINTS])
    checked = [_wrong(name, near, same_as_scipy, (POINTS,), got, expected)]

    at = np.array([x for x in SLOPES_AT if special.analytic(x)])
    _, slope, curvature = derivatives_of(function, at)
    _, *truth = np.array([_true_derivatives(special, x) for x in at]).T
    for what, computed, true, rtol in (("slope", slope, truth[0], 1e-10), ("curvature", curvature, truth[1], 1e-7)):
        near = np.isclose(computed, true, rtol=rtol, atol=1e-13)
        checked.append(_wrong(f"{name} {what}", near, np.isfinite(true), (at,), computed, true))
    return joined(*checked)


def derivatives_of(function: Callable[[Any], Any], at: Any) -> tuple[Any, Any, Any]:
    """Return values, slopes and curvatures of an elementwise function, as the library computes them."""
    slope: Callable[..., Any] = arc.grad(lambda x: np.sum(function(x)))
    return arc.compile(lambda x: function(x))(at), slope(at), arc.grad(lambda x: np.sum(slope(x)))(at)


def between_cells(name: str) -> Checked:
    """Values, slopes and curvatures of a special function between its special points: nearly all digits."""
    special = SPECIAL[name]
    at = np.array([x for x in BETWEEN if special.analytic(x)])
    truth = np.array([_true_derivatives(special, x) for x in at]).T
    checked = []
    for what, got, true in zip(("value", "slope", "curvature"), derivatives_of(getattr(scipy.special, name), at), truth,
                               strict=True):  # fmt: skip
        rtol = 5e-13 if what == "value" else LOSES_DIGITS.get(name, 5e-13)
        near = np.isclose(got, true, rtol=rtol, atol=1e-40)
        checked.append(_wrong(f"{name} {what}", near, np.isfinite(true), (at,), got, true))
    return joined(*checked)


# --- reductions -----------------------------------------------------------------------------------

REDUCTIONS = (
    np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.ptp, np.any, np.all, np.cumsum, np.cumprod, np.sort,
    np.median, np.linalg.norm, np.argmax, np.argmin, np.logaddexp.reduce, np.nansum, np.nanmax,
)  # fmt: skip

#: Those that choose among three entries and more give a zero without its sign.
_SIGN_OF_ZERO_OPEN = {np.max, np.min, np.ptp, np.sort, np.median, np.nanmax}


def reduction_cells(reduction: Callable[..., Any]) -> Checked:
    """Values of a reduction of all triples of special values against NumPy's."""
    line = np.array([0.0, -0.0, 1.0, -1.0, 2.5, 1e-310, 1e150, np.inf, -np.inf, np.nan])
    triples = np.stack([a.ravel() for a in np.meshgrid(line, line, line)], axis=-1)
    with np.errstate(all="ignore"):
        expected = np.asarray(reduction(triples, axis=-1), float)
    got = np.asarray(arc.compile(lambda x: reduction(x, axis=-1))(triples), float)
    scale = np.nan_to_num(np.max(np.abs(triples), axis=-1), nan=0, posinf=0)
    if expected.ndim > 1:
        scale = scale[:, None]
    with np.errstate(all="ignore"):
        near = (_units_apart(got, expected) <= 4) | (np.abs(got - expected) <= 8 * np.finfo(float).eps * scale)
    if reduction in _SIGN_OF_ZERO_OPEN:
        near |= got == expected
    rows = near.all(axis=-1) if near.ndim > 1 else near
    return _wrong(reduction.__name__, rows, np.ones(rows.shape, bool), tuple(triples.T), got, expected)
