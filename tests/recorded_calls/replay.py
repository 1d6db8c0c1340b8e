"""Recorded calls made again, by NumPy and by a traced function: values, what is written to arguments, gradients."""

import importlib
import inspect
import pickle
import random
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

import archimedes_grad as arc

#: Seconds that one call may take.
PATIENCE = 20
#: Calls made again of one form (a function, its keywords, kinds and ranks of its arguments), and of one function.
EACH_FORM, EACH_FUNCTION = 10, 600
#: Results that may be another array: contents of new memory, signs, bases, and what hangs on a rank.
WITHOUT_VALUE = frozenset({
    "numpy.empty_like", "numpy.linalg.lstsq", "numpy.linalg.svd", "scipy.linalg.eigh", "scipy.linalg.null_space",
    "scipy.linalg.orth", "scipy.linalg.svd",
})  # fmt: skip
#: Classes of SciPy's tests whose memory is gone once they are read again; and long doubles.
LEFT_OUT = (b"_FakeMatrix", b"f16", b"c32")


@dataclass
class Tally:
    """What was made again, by outcome, and what came out otherwise."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.counts.items()))
        refused = ", ".join(f"{name} {count}" for name, count in self.refused.most_common(12))
        return "\n".join([*self.findings, told, f"refused most: {refused}"])


@dataclass
class Call:
    """A recorded call, its arrays taken out."""

    name: str
    form: Any
    keywords: tuple[str, ...]
    arrays: list[Any]

    def function(self) -> Callable[..., Any]:
        """Return the function of arrays that makes the call; its results, and the arrays as they are left."""
        library, *rest = self.name.split(".")
        module = importlib.import_module(f"{library}.{rest[0]}") if library == "scipy" else np
        called = reduce(getattr, rest[1:] if library == "scipy" else rest, module)
        overwrites = any(keyword.startswith("overwrite") for keyword in self.keywords)

        def program(*arrays: Any) -> Any:
            own = [np.array(array) for array in arrays]
            args, values = _filled(self.form, own)
            result = called(*args, **dict(zip(self.keywords, values, strict=True)))
            return (result,) if overwrites else (result, own)

        return program


def read(file: Path, seed: int) -> Iterator[Call]:
    """Yield the calls of a file in random order, not too many of one form."""
    calls = pickle.loads(file.read_bytes())
    random.Random(seed).shuffle(calls)
    forms: Counter[Any] = Counter()
    for written in calls:
        if any(name in written for name in LEFT_OUT):
            continue
        try:
            name, args, kwargs = pickle.loads(written)
        except Exception:  # A class of a test module that cannot be imported here.
            continue
        kinds = tuple(f"{type(x).__name__}{x.ndim}{x.dtype.kind}" if isinstance(x, np.ndarray) else "" for x in args)
        form = (name, tuple(sorted(kwargs)), kinds)
        if forms[form] < EACH_FORM and forms[name] < EACH_FUNCTION:
            forms[form] += 1
            forms[name] += 1
            arrays: list[Any] = []
            yield Call(name, _taken_out((tuple(args), tuple(kwargs.values())), arrays), tuple(kwargs), arrays)


def _taken_out(structure: Any, arrays: list[Any]) -> Any:
    """Return a structure with places for its arrays of numbers, which are added to a list; the same one once."""
    if type(structure) is np.ndarray and structure.dtype.kind in "fiubc" and structure.dtype.char not in "gGe":
        places = [place for place, array in enumerate(arrays) if array is structure] or [len(arrays)]
        arrays += [structure] if places[0] == len(arrays) else []
        return _Place(places[0])
    if type(structure) in (list, tuple):
        return type(structure)(_taken_out(item, arrays) for item in structure)
    return structure


@dataclass
class _Place:
    number: int


def _filled(structure: Any, arrays: list[Any]) -> Any:
    if isinstance(structure, _Place):
        return arrays[structure.number]
    if type(structure) in (list, tuple):
        return type(structure)(_filled(item, arrays) for item in structure)
    return structure


# --- values ---------------------------------------------------------------------------------------


def compare(call: Call, tally: Tally) -> None:
    """Make a call by NumPy and by a traced function, and note the outcome."""
    if not call.arrays:
        return
    if any(_is_inexact(array) for array in call.arrays):
        tally.counts["beyond 2**53"] += 1
        return
    program = call.function()
    expected, raised = _outcome(lambda: program(*pickle.loads(pickle.dumps(call.arrays))))
    got, error = _outcome(lambda: arc.compile(program)(*call.arrays))
    if error is not None and raised is None:
        if not _is_honest(error):
            tally.findings.append(_told(call, f"raises {error!r:.200}"))
        tally.counts["refused"] += 1
        tally.refused[call.name] += 1
    elif raised is not None:
        tally.counts["raised alike"] += 1
        if error is None:
            tally.findings.append(_told(call, f"NumPy raises {raised!r:.200}, here {got!s:.200}"))
    else:
        tally.counts["compared"] += 1
        if difference := _difference(call, expected, got):
            tally.findings.append(_told(call, f"{difference}: NumPy {expected!s:.300}, here {got!s:.300}"))


def _is_inexact(array: Any) -> bool:
    return array.dtype.kind in "iu" and any(int(float(number)) != number for number in array.ravel().tolist())


def _outcome(make: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        with _patience():
            return make(), None
    except Exception as error:
        return None, error


@contextmanager
def _patience() -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise TimeoutError(f"more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _is_honest(error: Exception) -> bool:
    """Tell whether an error is the library's own, or names the line of the caller."""
    if isinstance(error, arc.TraceError):
        return True
    told = str(error) + "".join(getattr(error, "__notes__", []))
    return Path(__file__).name in told or "program: argument" in told


def _difference(call: Call, expected: Any, got: Any) -> str | None:
    if isinstance(expected, tuple | list):
        if not isinstance(got, tuple | list) or len(expected) != len(got):
            return "another structure"
        parts = (_difference(call, one, other) for one, other in zip(expected, got, strict=True))
        return next(filter(None, parts), None)
    if expected is None or got is None:
        return None if expected is got else "None"
    one, other = np.asarray(expected), np.asarray(got)
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{other.dtype}{list(other.shape)} for {one.dtype}{list(one.shape)}"
    if isinstance(expected, np.ndarray) != isinstance(got, np.ndarray):
        return "a number for an array without axes" if not one.shape else "another type"
    if _is_open(call) or one.dtype.char in "gGe" or one.size == 0:
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


def _is_open(call: Call) -> bool:
    """Tell whether other values are as right: the contents of new memory, a basis."""
    return call.name in WITHOUT_VALUE or "empty" in _words(call.form)


def _words(structure: Any) -> list[str]:
    """Return the texts among the arguments of a call, as the mode of a padding."""
    if isinstance(structure, tuple | list):
        return [word for item in structure for word in _words(item)]
    return [structure] if isinstance(structure, str) else []


def _told(call: Call, difference: str) -> str:
    shown = ", ".join(f"{array.dtype}{list(array.shape)}" for array in call.arrays)
    return inspect.cleandoc(f"{call.name} of {shown} with {', '.join(call.keywords) or 'no keywords'}: {difference}")


# --- gradients ------------------------------------------------------------------------------------


def compare_gradient(call: Call, tally: Tally) -> None:
    """Compare the gradient of a sum of all results, by all arrays of floats, with differences of NumPy's.

    Entries are moved a little at random, away from ties and kinks.
    """
    rng = np.random.default_rng(9)
    places = [k for k, array in enumerate(call.arrays) if array.dtype.kind == "f" and array.size]
    moved = [x + 0.02 * rng.normal(size=x.shape) * (1 + np.abs(x)) for x in (call.arrays[k] for k in places)]
    if not places or _is_open(call) or not all(np.all(np.abs(array) < 1e6) for array in moved):
        return
    moved = [np.asarray(array, dtype=float) for array in moved]
    directions = [rng.normal(size=array.shape) * (0.5 + np.abs(array)) for array in moved]
    program = call.function()

    def total(arrays: Any) -> Any:
        all_arrays = list(call.arrays)
        for place, array in zip(places, arrays, strict=True):
            all_arrays[place] = array
        return _weighted(program(*all_arrays)[0], 1)

    def along(step: float) -> float:
        return float(total([x + step * d for x, d in zip(moved, directions, strict=True)]))

    numpys, raised = _outcome(lambda: (along(0.0), _slope(along, 3e-4), _slope(along, 1e-4)))
    if raised is not None or not np.isfinite(numpys).all():
        tally.counts["without a slope of NumPy's"] += 1
        return
    value, first, second = numpys
    scale = max(abs(first), abs(second), 1e-3 * abs(value), 1e-8)
    if abs(first - second) > 1e-5 * scale:
        tally.counts["not smooth"] += 1
        return
    gradient, error = _outcome(lambda: arc.grad(total)(moved))
    if error is not None:
        if not _is_honest(error):
            tally.findings.append(_told(call, f"its gradient raises {error!r:.200}"))
        tally.counts["gradients refused"] += 1
        return
    tally.counts["gradients compared"] += 1
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradient, directions, strict=True))
    if not abs(slope - second) <= 1e-4 * scale + 10 * abs(first - second):
        tally.findings.append(_told(call, f"slope {slope}, by differences {second}"))


def _slope(along: Callable[[float], float], h: float) -> float:
    return (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)


def _weighted(result: Any, start: int) -> Any:
    """Return a sum of all real and imaginary parts in a result, each times a number of its own."""
    if isinstance(result, tuple | list):
        return sum((_weighted(part, start + 3 * place) for place, part in enumerate(result)), 0.0)
    kind = getattr(getattr(result, "dtype", None), "kind", "")
    if kind == "c":
        return _weighted(np.real(result), start) + _weighted(np.imag(result), start + 1)
    if kind != "f":
        return 0.0
    weights = np.sin(1.7 * np.arange(start, start + result.size) + 0.3).reshape(result.shape)
    return np.sum(weights * result)


def made_again(file: Path, seed: int, limit: int | None = None) -> Tally:
    """Make the calls of a file again, and return what came of it."""
    tally = Tally()
    with np.errstate(all="ignore"):
        for number, call in enumerate(read(file, seed)):
            if limit is not None and number >= limit:
                break
            try:
                compare(call, tally)
                compare_gradient(call, tally)
            except Exception:
                tally.findings.append(_told(call, traceback.format_exc()))
    return tally
