"""The error for a traced value that is turned into a plain number: what the user's line did, and the way on."""

from __future__ import annotations

import dis
import math
import sys
from types import CodeType, FrameType

from archimedes_grad.arrays.trace_state import current_trace, outlived, trace_error
from archimedes_grad.arrays.user_code import is_pythons, scipy_function_under_way, user_frame
from archimedes_grad.errors import TraceError

_NUMPY_NAME_OF_MATH = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "dist": "linalg.norm", "fsum": "sum", "pow": "power",
}  # fmt: skip

#: Modules and functions of SciPy that take no traced values -> what does the same and takes them.
_IN_PLACE_OF_SCIPYS = {
    "scipy.fft": "Use np.fft, which takes traced arrays.",
    "scipy.integrate.solve_ivp": "Use arc.odeint.",
    "scipy.integrate.odeint": "Use arc.odeint.",
    "scipy.integrate.quad": "Use the points and weights of np.polynomial.legendre.leggauss, and a sum.",
    "scipy.interpolate": "Use np.interp, or a basis evaluated outside: spline(points) = basis(points) @ coefficients.",
    "scipy.optimize": "Use arc.implicit_root for a solution that is to be differentiated by its parameters.",
    "scipy.sparse.linalg": "Use arc.linear_solve, which takes sparse matrices.",
    "scipy.sparse": "Write A @ x for a product, arc.linear_solve(A, b) for a solve; other uses need A.toarray(). A "
    "matrix of traced entries: A = arc.zeros(shape), then np.add.at(A, (rows, columns), entries).",
    "scipy.spatial": "Write distances by NumPy: np.sqrt(np.sum((a[:, None] - b) ** 2, axis=-1)).",
}

#: What to say of traced values that are written to a plain array.
NO_PLACE_FOR_TRACED = (
    "A plain NumPy array cannot hold traced values: make the array that is written to by arc.zeros (arc.ones, "
    "arc.full, np.zeros_like(x), np.zeros(shape, like=x))."
)

_LOGICAL = frozenset({"logical_and", "logical_or", "logical_xor", "logical_not"})

_CACHE_SIZE = 4096

#: Where a number was asked for its truth -> the logical function of NumPy that asked, or None.
_asked: dict[tuple[CodeType, int], str | None] = {}
#: Where a float was asked for -> whether the operator % asked, which of a text is its format.
_formats: dict[tuple[CodeType, int], bool] = {}


def way_on_from_scipy(function: str) -> str:
    """Return what to write in place of a function of SciPy that takes no traced values."""
    for part, way_on in _IN_PLACE_OF_SCIPYS.items():
        if f"{function}.".startswith(f"{part}."):
            return way_on
    return "Write it by NumPy functions, or call it through arc.callback, which differentiates it numerically."


def plain_number_error(kind: str) -> TraceError:
    """Return the error for ``float()`` and the like; what the user's line calls decides which way on it names."""
    trace = current_trace()
    if trace is None:
        return outlived()
    frame = user_frame()
    function = scipy_function_under_way()
    called = _math_function(frame) if frame is not None else None
    if function is not None:
        way_on = way_on_from_scipy(function)
    elif called is not None:
        numpy_name = _NUMPY_NAME_OF_MATH.get(called, called)
        way_on = f"Write np.{numpy_name} in place of math.{called}: it takes traced values."
    elif frame is not None and _stores_an_item(frame):
        way_on = NO_PLACE_FOR_TRACED
    elif is_pythons(sys._getframe(2).f_code.co_filename):
        way_on = "A module of Python's own takes plain numbers only: write it by NumPy functions (np.mean, np.std)."
    elif sys._getframe(2) is not frame:
        way_on = (
            "A NumPy function did it. If it got a list with traced values in it, make that an array first: "
            "np.array([...]). A size, as of np.hanning(n), comes by static_argnames."
        )
    elif _names_the_type(frame, kind):
        way_on = (
            f"Use the value itself, without {kind}(); if it is not differentiated, pass it through static_argnames."
        )
    else:
        way_on = (
            "What is called there takes plain numbers only. Give it plain ones, and let traced values join what it "
            "returns (mean + width * rng.normal(size=n)), or call it through arc.callback."
        )
    by = "" if function is None else f" by {function}"
    error = trace_error(f"A traced value is turned into a plain {kind}{by}, which would lose its derivative.", way_on)
    trace.refusal = str(error)
    return error


def is_formatting(frame: FrameType) -> bool:
    """Tell whether the frame is at an operator %: what it asks a float of is put into a text, ``"%.3f" % x``."""
    place = (frame.f_code, frame.f_lasti)
    if place not in _formats:
        if len(_formats) >= _CACHE_SIZE:
            _formats.clear()
        _formats[place] = any(
            instruction.offset == frame.f_lasti and instruction.opname == "BINARY_OP" and "%" in instruction.argrepr
            for instruction in dis.get_instructions(frame.f_code)
        )
    return _formats[place]


def require_truth_asked_by_python(frame: FrameType, is_boolean: bool) -> None:
    """Raise TraceError where a ufunc that asks entries of a list for their truth would return no array of truths.

    ``np.logical_and`` of lists of traced floats, which NumPy makes arrays of objects, is Python's ``and`` of each pair;
    ``np.logical_not`` gives an array of objects.
    """
    place = (frame.f_code, frame.f_lasti)
    if place not in _asked:
        if len(_asked) >= _CACHE_SIZE:
            _asked.clear()
        _asked[place] = _logical_function(frame)
    name = _asked[place]
    if name is not None and (name == "logical_not" or not is_boolean):
        raise trace_error(
            f"numpy.{name} got a list or an array of objects with traced values in it.",
            "Make it one traced array first: arc.array([...]) or np.array([...]).",
        )


def _logical_function(frame: FrameType) -> str | None:
    """Return which of NumPy's logical functions the frame is calling, or None."""
    instructions = list(dis.get_instructions(frame.f_code))
    call = next((k for k, i in enumerate(instructions) if i.offset == frame.f_lasti), 0)
    start = _start(instructions[call])
    if not instructions[call].opname.startswith("CALL") or start is None:
        return None
    # What is called stands where the call begins: its names were loaded from there.
    loaded = [i.argval for i in instructions[:call] if i.opname.startswith("LOAD_") and _start(i) == start]
    return next((name for name in loaded if name in _LOGICAL), None)


def _start(instruction: dis.Instruction) -> tuple[int, int] | None:
    positions = instruction.positions
    if positions is None or positions.lineno is None or positions.col_offset is None:
        return None
    return positions.lineno, positions.col_offset


def _math_function(frame: FrameType) -> str | None:
    """Return the name of the function of ``math`` that the frame is calling, read from its bytecode."""
    loaded: list[str] = []
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset > frame.f_lasti:
            break
        if instruction.opname.startswith("LOAD_") and isinstance(instruction.argval, str):
            loaded.append(instruction.argval)
    for position in reversed(range(len(loaded))):
        name = loaded[position]
        function = getattr(math, name, None)
        if not callable(function):
            continue
        owner = loaded[position - 1] if position else ""
        if _visible(frame, name) is function or _visible(frame, owner) is math:
            return name
    return None


def _visible(frame: FrameType, name: str) -> object:
    return frame.f_locals.get(name, frame.f_globals.get(name))


def _names_the_type(frame: FrameType, kind: str) -> bool:
    """Tell whether the user's function writes ``float``, ``np.float64`` and the like."""
    return any(name.rstrip("0123456789") == kind for name in frame.f_code.co_names)


def _stores_an_item(frame: FrameType) -> bool:
    return any(
        instruction.offset == frame.f_lasti and instruction.opname in ("STORE_SUBSCR", "STORE_SLICE")
        for instruction in dis.get_instructions(frame.f_code)
    )
