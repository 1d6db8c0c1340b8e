"""Whether the user's code may catch what is raised now: the handlers around its lines under way.

CPython keeps for each code object a table of the instructions that a handler stands around: of ``try`` and ``with``,
and of what it adds itself (generators, some comprehensions), so that the answer may be yes where nothing is caught.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import TypeVar

from archimedes_grad.arrays.user_code import is_librarys

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

#: Code that calls the function that is traced: what stands around it is not the function's.
_callers: set[CodeType] = set()


def calls_what_is_traced(function: FunctionT) -> FunctionT:
    """Mark a function as the one that calls the function that is traced."""
    _callers.add(function.__code__)
    return function


def may_be_caught() -> bool:
    """Tell whether a handler stands around a line under way of the function that is traced."""
    found = inside = False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code in _callers:
            # Perhaps that of a gradient inside: then there are more lines further out.
            found = inside
        elif not inside:
            inside = not is_librarys(code.co_filename) and _is_handled(code, frame.f_lasti)
        frame = frame.f_back
    return found


def _is_handled(code: CodeType, offset: int) -> bool:
    """Tell whether a handler stands around an instruction."""
    table = iter(code.co_exceptiontable)
    try:
        while True:
            start, length = 2 * _number(table), 2 * _number(table)
            if start <= offset < start + length:
                return True
            # Where the handler is, and how deep the stack.
            _number(table), _number(table)
    except StopIteration:
        return False


def _number(table: Iterator[int]) -> int:
    """Return the next number of a table: six bits in each byte, and one that tells of more."""
    byte = next(table)
    number = byte & 63
    while byte & 64:
        byte = next(table)
        number = number << 6 | byte & 63
    return number
