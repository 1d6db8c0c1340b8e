"""Derivatives of recorded calls against differences: of NumPy's values, and of gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

import archimedes_grad as arc

from .calls import Call, Tally, is_honest, is_open, outcome, told

#: Steps of the differences: where these two disagree there is a kink or a jump near by.
STEPS = (3e-4, 1e-4)


def compare_derivatives(call: Call, tally: Tally) -> None:
    """Compare derivatives of a weighted sum of all results by all arrays of floats, along one direction.

    The gradient is compared with differences of NumPy's values and with the forward derivative, the product of the
    Hessian and the direction with differences of gradients. Entries are moved a little at random, away from ties.
    """
    rng = np.random.default_rng(9)
    places = [k for k, array in enumerate(call.arrays) if array.dtype.kind == "f" and array.size]
    moved = [x + 0.02 * rng.normal(size=x.shape) * (1 + np.abs(x)) for x in (call.arrays[k] for k in places)]
    if not places or is_open(call) or not all(np.all(np.abs(array) < 1e6) for array in moved):
        return
    at = [np.asarray(array, dtype=float) for array in moved]
    direction = [rng.normal(size=array.shape) * (0.5 + np.abs(array)) for array in at]

    def total_of(program: Callable[..., Any]) -> Callable[[Any], Any]:
        def total(arrays: Any) -> Any:
            all_arrays = list(call.arrays)
            for place, array in zip(places, arrays, strict=True):
                all_arrays[place] = array
            return _weighted(program(*all_arrays)[0], 1)

        return total

    def by(transform: Callable[..., Any]) -> Callable[..., Any]:
        return call.through(transform(total_of(call.traced), **call.options))

    def along(function: Callable[[Any], Any]) -> Callable[[float], Any]:
        return lambda step: _flat(function(moved_by(step)))

    def moved_by(step: float) -> list[Any]:
        return [call.laid_out(x + step * d) for x, d in zip(at, direction, strict=True)]

    slopes = _differences(along(total_of(call.plain)))
    if slopes is None:
        tally.counts[call.way, "without a slope of NumPy's"] += 1
        return
    gradient_of = by(arc.grad)
    gradient, error = outcome(lambda: gradient_of(moved_by(0.0)))
    if error is not None:
        if not is_honest(error):
            tally.findings.append(told(call, f"its gradient raises {error!r:.200}"))
        tally.counts[call.way, "gradients refused"] += 1
        return
    terms = _flat(gradient) * _flat(direction)
    _require_near(call, tally, "gradients", np.sum(terms), *slopes)
    forward = by(arc.jvp)(moved_by(0.0), direction)
    tally.counts[call.way, "forward derivatives"] += 1
    if not abs(forward - np.sum(terms)) <= 1e-9 * max(np.sum(np.abs(terms)), 1e-3):
        tally.findings.append(told(call, f"forward derivative {forward}, in reverse {np.sum(terms)}"))
    curvatures = _differences(along(gradient_of))
    if curvatures is not None:
        _require_near(call, tally, "second derivatives", _flat(by(arc.hvp)(moved_by(0.0), direction)), *curvatures)


def _flat(tree: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in tree]) if isinstance(tree, list) else np.ravel(tree)


def _differences(along: Callable[[float], Any]) -> tuple[Any, Any, float] | None:
    """Return the slope of a function of a step by two steps, and its scale; None where there is none."""
    numpys, raised = outcome(lambda: (along(0.0), *(_slope(along, h) for h in STEPS)))
    if raised is not None or not all(np.isfinite(part).all() for part in numpys):
        return None
    value, first, second = numpys
    scale = max(np.max(np.abs(second)), 1e-3 * np.max(np.abs(value)), 1e-8)
    return (first, second, scale) if np.max(np.abs(first - second)) <= 1e-5 * scale else None


def _slope(along: Callable[[float], Any], h: float) -> Any:
    return (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)


def _require_near(call: Call, tally: Tally, kind: str, got: Any, first: Any, second: Any, scale: float) -> None:
    tally.counts[call.way, kind] += 1
    if not np.max(np.abs(got - second)) <= 1e-4 * scale + 10 * np.max(np.abs(first - second)):
        tally.findings.append(told(call, f"{kind}: {got!s:.200}, by differences {second!s:.200}"))


def _weighted(result: Any, start: int) -> Any:
    """Return a sum of all real and imaginary parts in a result, each times a number of its own."""
    if isinstance(result, tuple | list):
        return sum((_weighted(part, start + 3 * place) for place, part in enumerate(result)), 0.0)
    result = np.float64(result) if type(result) is float else result
    kind = getattr(getattr(result, "dtype", None), "kind", "")
    if kind == "c":
        return _weighted(np.real(result), start) + _weighted(np.imag(result), start + 1)
    if kind not in ("f", "O"):  # Of a list of traced numbers some functions make an array of objects.
        return 0.0
    weights = np.sin(1.7 * np.arange(start, start + result.size) + 0.3).reshape(result.shape)
    return np.sum(weights * result)
