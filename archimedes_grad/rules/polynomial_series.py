"""numpy.polynomial: series in six families of polynomials, whose functions are written in Python and do not dispatch.

They take traced points for numbers, and coefficients in several columns would be broadcast against the points.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import INTERCEPTED
from archimedes_grad.arrays.operands import as_traced, gathered, is_traced, value_of

_FAMILIES = {
    "polynomial": "poly", "chebyshev": "cheb", "legendre": "leg", "hermite": "herm", "hermite_e": "herme",
    "laguerre": "lag",
}  # fmt: skip


def _at_points(original: Callable[..., Any], x: Any, c: Any, tensor: bool = True) -> Any:
    """The values of a series at points; with ``tensor`` each column of coefficients at all of them."""
    x, c = gathered(x), gathered(c)
    x = np.asarray(x) if isinstance(x, list | tuple) else x
    original(value_of(x), value_of(c), tensor)
    if not (tensor and isinstance(x, SymbolicArray) and x.ndim):
        return original(x, c, tensor)
    c = c if isinstance(c, SymbolicArray) else np.array(c, ndmin=1)
    # What has as many axes as this broadcasts to the points, as NumPy's own reshaping makes it.
    return original(x, np.reshape(c, c.shape + (1,) * x.ndim), tensor=False)


def _powers_by(value: Callable[..., Any]) -> Callable[..., Any]:
    def vander(original: Callable[..., Any], x: Any, deg: Any) -> Any:
        """The matrix of each polynomial of a family, up to a degree, at points."""
        x = np.atleast_1d(gathered(x))
        original(value_of(x), deg)
        return np.moveaxis(_at_points(value, x, np.eye(deg + 1)), 0, -1)

    return vander


def _linear_in_coefficients(original: Callable[..., Any], c: Any, *args: Any, **keywords: Any) -> Any:
    """A derivative or integral of a series: a constant matrix times the coefficients, and constants."""
    bound = inspect.signature(original).bind(c, *args, **keywords)
    options = {name: word for name, word in bound.arguments.items() if name != "c"}
    if not is_traced(c) or any(map(is_traced, options.values())):
        return original(c, *args, **keywords)
    c = np.atleast_1d(gathered(c))
    original(c.value, **options)
    axis = options.pop("axis", 0)
    first = np.moveaxis(c, axis, 0)
    length = first.shape[0]
    # Not what comes of zeros: NumPy makes a series of zero shorter.
    units = np.eye(length)
    constants = 2.0 * original(units[0], **options) - original(2.0 * units[0], **options)
    matrix = np.stack([original(unit, **options) - constants for unit in units], 1)
    result = np.tensordot(matrix, first, 1) + np.reshape(constants, (-1,) + (1,) * (first.ndim - 1))
    return np.moveaxis(result, 0, axis)


def _series(c: Any) -> Any:
    """Return coefficients without the zeros at their end, which is decided by their values."""
    return np.polynomial.polyutils.as_series([gathered(c)])[0]


def _by_traced_series(original: Callable[..., Any], c1: Any, c2: Any) -> Any:
    """A sum or difference: NumPy writes into the longer series, which may be the plain one."""
    c1, c2 = (np.atleast_1d(gathered(c)) for c in (c1, c2))
    return original(*((c1, c2) if np.iscomplexobj(c1) or np.iscomplexobj(c2) else map(as_traced, (c1, c2))))


def _parts(original: Callable[..., Any], length: int) -> tuple[Any, Any]:
    """Return what an affine function gives for the last one of some coefficients alone, and what each of them adds."""
    units = np.eye(length)
    of_last = original(units[-1])
    return of_last, np.stack([original(unit + units[-1]) - of_last for unit in units])


def _times_x(original: Callable[..., Any], c: Any) -> Any:
    """A series times x: linear in its coefficients, but for the series 0, which has one."""
    c = _series(c)
    if len(c) == 1 and c[0] == 0:
        return c
    return np.tensordot(c, _parts(original, len(c))[1], 1)


def _companion(original: Callable[..., Any], c: Any) -> Any:
    """The companion matrix of a series: affine in what its coefficients are of the last one."""
    c = _series(c)
    original(value_of(c))
    of_last, parts = _parts(original, len(c))
    return of_last + np.tensordot(c[:-1] / c[-1], parts[:-1], 1)


def _by_powers_of_z(original: Callable[..., Any], c: Any) -> Any:
    """A Chebyshev series as one of z and 1/z."""
    return np.concatenate([c[:0:-1] / 2, c[:1], c[1:] / 2])


def add_rules() -> None:
    """Register the rules; numpy.polynomial has been imported."""
    polyutils: Any = np.polynomial.polyutils
    INTERCEPTED[polyutils._add] = INTERCEPTED[polyutils._sub] = _by_traced_series
    INTERCEPTED[np.polynomial.chebyshev._cseries_to_zseries] = _by_powers_of_z
    for module, prefix in _FAMILIES.items():
        functions = vars(getattr(np.polynomial, module))
        value = functions[f"{prefix}val"]
        # The function itself, out of reach of its rule.
        own = type(value)(value.__code__, value.__globals__, value.__name__, value.__defaults__)
        INTERCEPTED[value] = _at_points
        INTERCEPTED[functions[f"{prefix}vander"]] = _powers_by(own)
        for name in ("der", "int"):
            INTERCEPTED[functions[prefix + name]] = _linear_in_coefficients
        INTERCEPTED[functions[f"{prefix}mulx"]] = _times_x
        INTERCEPTED[functions[f"{prefix}companion"]] = _companion
    INTERCEPTED[np.polynomial.polynomial.polyvalfromroots] = _at_points
