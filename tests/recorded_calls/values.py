"""Values of recorded calls, by NumPy and by a traced function, and what they write to their arguments."""

from typing import Any

import numpy as np

import archimedes_grad as arc

from .calls import Call, Tally, is_honest, is_open, outcome, told


def compare_values(call: Call, tally: Tally) -> None:
    """Make a call by NumPy and by a traced function, and note the outcome."""
    if any(_is_inexact(array) for array in call.arrays):
        tally.counts[call.way, "beyond 2**53"] += 1
        return
    expected, raised = outcome(lambda: call.plain(*call.fresh()))
    got, error = outcome(lambda: call.through(arc.compile(call.traced, **call.options))(*call.fresh()))
    if error is not None and raised is None:
        if not is_honest(error):
            tally.findings.append(told(call, f"raises {error!r:.200}"))
        tally.counts[call.way, "refused"] += 1
        tally.refused[call.way, call.name] += 1
    elif raised is not None:
        tally.counts[call.way, "raised alike"] += 1
        if error is None:
            tally.findings.append(told(call, f"NumPy raises {raised!r:.200}, here {got!s:.200}"))
    else:
        tally.counts[call.way, "compared"] += 1
        if difference := _difference(call, expected, got):
            tally.findings.append(told(call, f"{difference}: NumPy {expected!s:.300}, here {got!s:.300}"))


def _is_inexact(array: Any) -> bool:
    return array.dtype.kind in "iu" and any(int(float(number)) != number for number in array.ravel().tolist())


def _difference(call: Call, expected: Any, got: Any) -> str | None:
    if isinstance(expected, tuple | list):
        if not isinstance(got, tuple | list) or len(expected) != len(got):
            return "another structure"
        parts = (_difference(call, one, other) for one, other in zip(expected, got, strict=True))
        return next(filter(None, parts), None)
    if expected is None or got is None:
        return None if expected is got else "None"
    one, other = np.asarray(expected), np.asarray(got)
    if one.dtype != other.dtype or (one.shape != other.shape and not is_open(call)):
        return f"{other.dtype}{list(other.shape)} for {one.dtype}{list(one.shape)}"
    if isinstance(expected, np.ndarray) != isinstance(got, np.ndarray):
        return "a number for an array without axes" if not one.shape else "another type"
    if is_open(call) or one.dtype.char in "gGe" or one.size == 0:
        return None
    if one.dtype.kind not in "fc":
        return None if np.array_equal(one, other) or _is_inexact(one) else "other values"
    single = one.dtype.itemsize <= (8 if one.dtype.kind == "c" else 4)
    tolerance = 3e-5 if single or any(array.dtype.char in "fF" for array in call.arrays) else 1e-9
    finite = np.isfinite(one)
    scale = np.max(np.abs(one[finite]), initial=0)
    # What is 0 but for rounding is the square of that at times.
    nothing = tolerance * min(scale, 1e300) + 1e-25
    near = np.isclose(one, other, rtol=tolerance, atol=nothing, equal_nan=True)
    return None if near.all() else "other values"
