"""NumPy's ``shuffle`` of traced arrays: rows are copied where code in C swaps them.

Of what is no ndarray ``shuffle`` swaps ``x[i], x[j] = x[j], x[i]``, and warns that rows which are views come out twice
then. Python code that swaps so has NumPy's own meaning. The two are told apart by the instruction that the caller is
at: ``shuffle`` asks for the length first, all within one call.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Any

from archimedes_grad.arrays.trace_state import current_trace

_MODULES = ("numpy.random._generator", "numpy.random.mtrand")


class _Warnings:
    """What these modules have in the place of ``warnings`` while arrays are traced."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(self, message: Any, category: Any = None, stacklevel: int = 1, **options: Any) -> None:
        """Warn, but of the array that was counted last: of it the rows are copied."""
        if not is_counting(sys._getframe(1)):
            warnings.warn(message, category, stacklevel + 1, **options)


_WARNINGS = _Warnings()


def note_count(frame: FrameType) -> None:
    """Remember which call of the frame asks a traced array for its length."""
    trace = current_trace()
    if trace is None:
        return
    trace.counting = (id(frame), frame.f_lasti)
    for name in _MODULES:
        module: Any = sys.modules.get(name)
        if module is not None:
            module.warnings = _WARNINGS


def is_counting(frame: FrameType) -> bool:
    """Tell whether the frame is still in the call that asked a traced array for its length last."""
    trace = current_trace()
    return trace is not None and trace.counting == (id(frame), frame.f_lasti)


def restore() -> None:
    """Give NumPy's modules their ``warnings`` again."""
    for name in _MODULES:
        module: Any = sys.modules.get(name)
        if module is not None and module.warnings is _WARNINGS:
            module.warnings = warnings
