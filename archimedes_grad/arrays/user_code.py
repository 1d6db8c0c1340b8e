"""Frames and lines of the user's code: where it is, and which function of SciPy it has called there.

Frames of the library, of NumPy, CasADi and SciPy are passed over, and so are those of Python's own modules.
"""

from __future__ import annotations

import linecache
import opcode
import os
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import casadi as cs
import numpy as np

_LIBRARY_DIRECTORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _directory_of(module: ModuleType) -> str:
    return os.path.dirname(os.path.abspath(str(module.__file__))) + os.sep


# SciPy by where it is installed beside NumPy: its functions written in Python call the user's, and NumPy's.
_SCIPY_DIRECTORY = os.path.join(os.path.dirname(_directory_of(np).rstrip(os.sep)), "scipy") + os.sep

_MASKED_DIRECTORY = os.path.join(_directory_of(np), "ma") + os.sep

_SKIPPED_DIRECTORIES = (_LIBRARY_DIRECTORY, _directory_of(np), _directory_of(cs), _SCIPY_DIRECTORY)

# Python's own modules, as `statistics`; what is installed beside them may be the user's.
_PYTHONS_DIRECTORY = _directory_of(os)
_INSTALLED = tuple(_PYTHONS_DIRECTORY + name + os.sep for name in ("site-packages", "dist-packages"))


def _is_scipys(filename: str) -> bool:
    """Tell whether a file is SciPy's; what Cython compiled has relative names."""
    return filename.startswith(_SCIPY_DIRECTORY) or filename.endswith(".pyx")


def is_librarys(filename: str) -> bool:
    """Tell whether a file is this library's."""
    return filename.startswith(_LIBRARY_DIRECTORY)


def is_pythons(filename: str) -> bool:
    """Tell whether a file is of Python's own modules."""
    return filename.startswith(_PYTHONS_DIRECTORY) and not filename.startswith(_INSTALLED)


def _is_skipped(filename: str) -> bool:
    return (
        filename.startswith(_SKIPPED_DIRECTORIES)
        or filename.endswith(".pyx")
        or filename == "<stringsource>"
        or is_pythons(filename)
    )


class UserLine(NamedTuple):
    """A place in the user's code: the innermost line under way outside the library and NumPy."""

    filename: str
    lineno: int
    source: str

    def __str__(self) -> str:
        shown = f"\n    {self.source}" if self.source else ""
        return f'File "{self.filename}", line {self.lineno}{shown}'


def user_frame() -> FrameType | None:
    """Return the innermost frame under way outside the library and NumPy, or None."""
    return frame_of_user(sys._getframe(1))


def frame_of_user(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame outside the library and NumPy, from a frame outwards."""
    while frame is not None and _is_skipped(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def user_line() -> UserLine | None:
    """Return the line of the user's function that is being executed, or None."""
    frame = user_frame()
    return None if frame is None else _line(frame, frame.f_lineno)


def _raised_through(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames that an exception came through, each with its line, from the outermost inwards."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def frames_of(error: BaseException) -> list[FrameType]:
    """Return the frames that an exception came through, from the outermost inwards."""
    return [frame for frame, _ in _raised_through(error)]


def raised_by_user(error: BaseException) -> bool:
    """Tell whether an exception comes from a line of the user's function itself, or from C that it called."""
    frames = frames_of(error)
    return bool(frames) and not _is_skipped(frames[-1].f_code.co_filename)


def raised_by_statement(error: BaseException) -> bool:
    """Tell whether a ``raise`` of the user's raised an exception, and nothing that was called there."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or not raised_by_user(error):
        return False
    return traceback.tb_frame.f_code.co_code[traceback.tb_lasti] == opcode.opmap["RAISE_VARARGS"]


def line_that_raised(error: BaseException) -> UserLine | None:
    """Return the innermost line of the user's function that an exception came through, or None."""
    line = None
    for frame, lineno in _raised_through(error):
        if not _is_skipped(frame.f_code.co_filename):
            line = _line(frame, lineno)
    return line


def scipy_function_under_way() -> str | None:
    """Return the function of SciPy that the user's line has called and that asks for something now, or None."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_skipped(frame.f_code.co_filename):
        if _is_scipys(frame.f_code.co_filename):
            frames.append(frame)
        frame = frame.f_back
    return _outermost_name(frames[::-1])


def scipy_function_that_raised(error: BaseException) -> tuple[str, list[Any]] | None:
    """Return the function of SciPy that the user's innermost line called, and the variables in it, or None."""
    frames: list[FrameType] = []
    for frame, _ in _raised_through(error):
        filename = frame.f_code.co_filename
        if _is_scipys(filename):
            frames.append(frame)
        elif not (frames and _is_skipped(filename)):
            # A line of the user's: SciPy's function above it called this one, and did not fail itself.
            frames = []
    name = _outermost_name(frames)
    return None if name is None else (name, [value for frame in frames for value in frame.f_locals.values()])


def came_through_masked_arrays(error: BaseException) -> bool:
    """Tell whether one of ``numpy.ma``'s lines raised an exception, or called what did."""
    filenames = [frame.f_code.co_filename for frame in frames_of(error)]
    users = [place for place, filename in enumerate(filenames) if not _is_skipped(filename)]
    return any(filename.startswith(_MASKED_DIRECTORY) for filename in filenames[users[-1] if users else 0 :])


def came_through_scipy(error: BaseException) -> bool:
    """Tell whether one of SciPy's lines was under way when an exception was raised."""
    return any(_is_scipys(frame.f_code.co_filename) for frame, _ in _raised_through(error))


def _outermost_name(frames: list[FrameType]) -> str | None:
    """Return the name of the outermost of SciPy's frames that has a public one; None where there are no frames."""
    return next(filter(None, map(_public_name, frames)), "a function of SciPy") if frames else None


def _public_name(frame: FrameType) -> str | None:
    """Return the name by which users know the function, or the class, that a frame of a library is of; or None."""
    name = of_class = frame.f_code.co_name
    if "self" in frame.f_locals:
        of_class = type(frame.f_locals["self"]).__name__
        name = of_class if name.startswith("__") else f"{of_class}.{name}"
    parts = frame.f_globals.get("__name__", "").split(".")
    for length in range(2, len(parts) + 1):
        module = ".".join(parts[:length])
        if not parts[length - 1].startswith("_") and hasattr(sys.modules.get(module), of_class):
            return f"{module}.{name}"
    return None


def _line(frame: FrameType, lineno: int) -> UserLine:
    filename = frame.f_code.co_filename
    return UserLine(filename, lineno, linecache.getline(filename, lineno).strip())
