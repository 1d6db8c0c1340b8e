"""Recorded calls: read, taken apart into a function of their arrays, and what comes of it."""

import importlib
import inspect
import pickle
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

import archimedes_grad as arc

#: Seconds of processor time that one call may take.
PATIENCE = 20
#: Files whose lines an honest error names.
NAMES_OF_CALLERS = ("calls.py", "derivatives.py", "values.py", "ways.py")
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
    """What was made again, by way and outcome, and what came out otherwise."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = list(self.findings)
        for way in sorted({way for way, _ in self.counts}):
            counts = ", ".join(f"{count} {kind}" for (by, kind), count in sorted(self.counts.items()) if by == way)
            most = [f"{name} {count}" for (by, name), count in self.refused.most_common() if by == way][:12]
            lines += [f"{way}: {counts}", f"{way}, refused most: {', '.join(most)}"]
        return "\n".join(lines)


@dataclass
class Call:
    """A recorded call, its arrays taken out, and the way that it goes through the library."""

    name: str
    form: Any
    keywords: tuple[str, ...]
    arrays: list[Any]
    #: What NumPy runs, and what is traced for it: functions of the arrays.
    plain: Callable[..., Any]
    traced: Callable[..., Any]
    way: str = "alone"
    #: Options of the transforms, how their functions are called, and how arrays are laid out.
    options: dict[str, Any] = field(default_factory=dict)
    through: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    laid_out: Callable[[Any], Any] = lambda array: array

    def fresh(self) -> list[Any]:
        """Return arrays that may be written to."""
        return [self.laid_out(array) for array in pickle.loads(pickle.dumps(self.arrays))]


def function_of(name: str) -> Callable[..., Any]:
    """Return the function of a name."""
    library, *rest = name.split(".")
    module = importlib.import_module(f"{library}.{rest[0]}") if library == "scipy" else np
    return reduce(getattr, rest[1:] if library == "scipy" else rest, module)


def program_of(name: str, form: Any, keywords: tuple[str, ...], copied: bool = True) -> Callable[..., Any]:
    """Return the function of arrays that makes a call; its results, and the arrays as they are left."""
    called = function_of(name)
    overwrites = any(keyword.startswith("overwrite") for keyword in keywords)

    def program(*arrays: Any) -> Any:
        own = [np.array(array) for array in arrays] if copied else list(arrays)
        args, values = _filled(form, own)
        result = called(*args, **dict(zip(keywords, values, strict=True)))
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
            structure = taken_out((tuple(args), tuple(kwargs.values())), arrays)
            program = program_of(name, structure, tuple(kwargs))
            yield Call(name, structure, tuple(kwargs), arrays, program, program)


def taken_out(structure: Any, arrays: list[Any], numbers: bool = False) -> Any:
    """Return a structure with places for its arrays of numbers, which are added to a list; the same one once.

    Plain numbers are taken out as arrays without axes where they are asked for.
    """
    structure = np.array(structure) if numbers and type(structure) in (int, float) else structure
    if type(structure) is np.ndarray and structure.dtype.kind in "fiubc" and structure.dtype.char not in "gGe":
        places = [place for place, array in enumerate(arrays) if array is structure] or [len(arrays)]
        arrays += [structure] if places[0] == len(arrays) else []
        return _Place(places[0])
    if type(structure) in (list, tuple):
        return type(structure)(taken_out(item, arrays, numbers) for item in structure)
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


def outcome(make: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        with _patience():
            return make(), None
    except Exception as error:  # What NumPy raises is compared with what the library raises.
        return None, error


@contextmanager
def _patience() -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise TimeoutError(f"more than {PATIENCE} s")

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def is_honest(error: Exception) -> bool:
    """Tell whether an error is the library's own, or names the line of the caller."""
    if isinstance(error, arc.TraceError):
        return True
    words = str(error) + "".join(getattr(error, "__notes__", []))
    return any(name in words for name in NAMES_OF_CALLERS) or "beyond 2**53" in words


def told(call: Call, difference: str) -> str:
    shown = ", ".join(f"{array.dtype}{list(array.shape)}" for array in call.arrays)
    keywords = ", ".join(call.keywords) or "no keywords"
    return inspect.cleandoc(f"{call.name} of {shown} with {keywords}, {call.way}: {difference}")


def is_open(call: Call) -> bool:
    """Tell whether other values are as right: the contents of new memory, a basis."""
    return call.name in WITHOUT_VALUE or "empty" in _words(call.form)


def _words(structure: Any) -> list[str]:
    """Return the texts among the arguments of a call, as the mode of a padding."""
    if isinstance(structure, tuple | list):
        return [word for item in structure for word in _words(item)]
    return [structure] if isinstance(structure, str) else []
