"""Which engine evaluates, where a function does not say, and on how many threads."""

from __future__ import annotations

import os

#: CasADi's interpreter; C compiled for the function; the first at once, and the second where it proves worth it.
ENGINES = ("vm", "native", "auto")
#: The environment variables that set the defaults.
ENGINE_VARIABLE, THREADS_VARIABLE = "ARCHIMEDES_GRAD_ENGINE", "ARCHIMEDES_GRAD_THREADS"

# One of each for the whole process: replaced, never changed, so that threads see the old or the new one.
_default: list[str] = []
_threads: list[int] = []


def default_engine() -> str:
    """Return the engine of functions that do not name one."""
    if not _default:
        name = os.environ.get(ENGINE_VARIABLE, "vm")
        if name not in ENGINES:
            raise ValueError(f"${ENGINE_VARIABLE}: unknown engine {name!r}; valid: {', '.join(map(repr, ENGINES))}")
        _default[:] = [name]
    return _default[0]


def set_default_engine(name: str) -> None:
    """Set it for what is traced from now on."""
    _default[:] = [name]


def default_threads() -> int:
    """Return on how many threads compiled loops run."""
    if not _threads:
        text = os.environ.get(THREADS_VARIABLE, "1")
        if not text.isascii() or not text.isdecimal() or int(text) < 1:
            raise ValueError(f"${THREADS_VARIABLE}: expects a number of threads, 1 or more; got {text!r}")
        _threads[:] = [int(text)]
    return _threads[0]


def set_default_threads(number: int) -> None:
    """Set it for what is compiled from now on."""
    _threads[:] = [number]
