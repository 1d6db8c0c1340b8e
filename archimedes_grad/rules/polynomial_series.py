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
from archimedes_grad.arrays.operands import gathered, is_traced, value_of

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


def add_rules() -> None:
    """Register the rules; numpy.polynomial has been imported."""
    for module, prefix in _FAMILIES.items():
        functions = vars(getattr(np.polynomial, module))
        value = functions[f"{prefix}val"]
        # The function itself, out of reach of its rule.
        own = type(value)(value.__code__, value.__globals__, value.__name__, value.__defaults__)
        INTERCEPTED[value] = _at_points
        INTERCEPTED[functions[f"{prefix}vander"]] = _powers_by(own)
        for name in ("der", "int"):
            INTERCEPTED[functions[prefix + name]] = _linear_in_coefficients
    INTERCEPTED[np.polynomial.polynomial.polyvalfromroots] = _at_points
