"""The options of the numeric methods: their names, defaults and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from archimedes_grad.numeric.extrapolation import SCHEMES
from archimedes_grad.numeric.finite import STENCILS, smallest_stencil

#: Every numeric method with its options and their defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "finite": {
        "stepsize": 1e-2,
        "num_points": 5,
        "extrapolation": None,
        "levels": None,
        "return_error": False,
    },
    "adaptive": {
        "n_points": None,
        "spacing": None,
        "base_abs": None,
        "domain": None,
        "grid": None,
        "ridge": None,
        "return_error": False,
        "diagnostics": False,
    },
    "complex": {"stepsize": 1e-20, "return_error": False},
}

#: Options that ask ``adaptive`` for a fit on nodes of the caller's instead of its own search.
FIT_OPTIONS = ("n_points", "spacing", "base_abs", "grid", "ridge")

HIGHEST_ORDER = 4
MOST_NODES = 30


def validate_options(method: str, options: Mapping[str, Any], order: int = 1) -> dict[str, Any]:
    """All options of a method, with defaults where none was given.

    Parameters
    ----------
    method : {"finite", "adaptive", "complex"}
        The numeric method.
    options : mapping
        What the caller gave.
    order : int
        Order of the derivative.

    Returns
    -------
    dict
        One value for every option of the method.

    Raises
    ------
    ValueError
        For an unknown method or option and for a value that is not allowed; the message lists what is.

    Examples
    --------
    >>> validate_options("finite", {"stepsize": 0.1})["num_points"]
    5
    >>> validate_options("complex", {"step": 0.1})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: unknown option 'step' of method 'complex'; valid options: stepsize, return_error. Take it out...
    """
    if method not in OPTIONS:
        raise ValueError(f"unknown method {method!r}; valid methods: {', '.join(OPTIONS)}")
    if isinstance(order, bool) or not isinstance(order, int) or not 1 <= order <= HIGHEST_ORDER:
        raise ValueError(f"order must be 1, 2, 3 or 4, not {order!r}. Differentiate a derivative for higher ones")
    for name in options:
        if name not in OPTIONS[method]:
            raise ValueError(
                f"unknown option {name!r} of method {method!r}; valid options: {', '.join(OPTIONS[method])}. "
                f"Take it out, or choose the method that has it."
            )
    try:
        return _checked(method, {**OPTIONS[method], **options}, order)
    except ValueError as error:
        raise ValueError(f"{error}. Leave it out for what suits most functions") from None


def _checked(method: str, merged: dict[str, Any], order: int) -> dict[str, Any]:
    for name in ("return_error", "diagnostics"):
        if not isinstance(merged.get(name, False), (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False, not {merged[name]!r}")
    if "stepsize" in merged:
        merged["stepsize"] = _positive("stepsize", merged["stepsize"])
    if method == "finite":
        _check_finite(merged, order)
    if method == "adaptive":
        _check_adaptive(merged)
    return merged


def _positive(name: str, value: Any, *, zero: bool = False) -> float:
    number = _number(name, value)
    if not (number > 0 or (zero and number == 0)) or math.isinf(number):
        raise ValueError(f"{name} must be a {'non-negative' if zero else 'positive'} finite number, not {value!r}")
    return number


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, not {value!r}") from None


def _whole(name: str, value: Any, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be an integer from {lowest} to {highest}, not {value!r}")
    return int(value)


def _check_finite(options: dict[str, Any], order: int) -> None:
    if options["num_points"] not in STENCILS:
        raise ValueError(f"num_points must be one of {STENCILS}, not {options['num_points']!r}")
    if options["num_points"] < smallest_stencil(order):
        raise ValueError(
            f"num_points={options['num_points']} is too few for order {order}; "
            f"it takes at least {smallest_stencil(order)} of {STENCILS}"
        )
    if options["extrapolation"] is not None and options["extrapolation"] not in SCHEMES:
        valid = ", ".join(repr(name) for name in SCHEMES)
        raise ValueError(f"unknown extrapolation {options['extrapolation']!r}; valid: None, {valid}")
    if options["levels"] is not None:
        if options["extrapolation"] is None:
            raise ValueError(f"levels needs an extrapolation: {', '.join(repr(name) for name in SCHEMES)}")
        options["levels"] = _whole("levels", options["levels"], 2, 12)


def _check_adaptive(options: dict[str, Any]) -> None:
    if options["n_points"] is not None:
        options["n_points"] = _whole("n_points", options["n_points"], 3, MOST_NODES)
    if options["base_abs"] is not None:
        options["base_abs"] = _positive("base_abs", options["base_abs"])
    if options["ridge"] is not None:
        options["ridge"] = _positive("ridge", options["ridge"], zero=True)
    if options["spacing"] is not None:
        options["spacing"] = check_spacing(options["spacing"])
    if options["domain"] is not None:
        options["domain"] = check_domain(options["domain"])
    if options["grid"] is not None:
        options["grid"] = check_grid(options["grid"])


def check_spacing(spacing: Any) -> float | str:
    """``"auto"``, a percentage like ``"2%"`` or a positive number."""
    if not isinstance(spacing, str):
        return _positive("spacing", spacing)
    if spacing == "auto":
        return spacing
    try:
        percentage = float(spacing.removesuffix("%"))
    except ValueError:
        percentage = math.nan
    if not spacing.endswith("%") or not 0 < percentage < math.inf:
        raise ValueError(f"spacing must be 'auto', a positive number or a percentage like '2%', not {spacing!r}")
    return spacing


def check_domain(domain: Any) -> tuple[float, float]:
    """A pair ``(lower, upper)``, lower below upper; either may be None for no bound."""
    try:
        lower, upper = domain
    except (TypeError, ValueError):
        raise ValueError(f"domain must be a pair (lower, upper), not {domain!r}") from None
    low = -math.inf if lower is None else _number("domain", lower)
    high = math.inf if upper is None else _number("domain", upper)
    if not low < high:
        raise ValueError(f"domain must be a pair (lower, upper) with lower below upper, not {domain!r}")
    return low, high


def check_grid(grid: Any) -> tuple[str, tuple[float, ...]]:
    """``("offsets", numbers)`` or ``("absolute", numbers)`` with at least two distinct finite numbers."""
    try:
        kind, numbers = grid
        values = tuple(float(number) for number in np.asarray(numbers, dtype=np.float64).ravel())
    except (TypeError, ValueError):
        kind, values = None, ()
    if kind not in ("offsets", "absolute"):
        raise ValueError(f"grid must be ('offsets', numbers) or ('absolute', numbers), not {grid!r}")
    if len(set(values)) < 2 or len(set(values)) != len(values) or not np.isfinite(values).all():
        raise ValueError("grid must have at least two numbers, all different and finite")
    return kind, values
