"""Which engine evaluates, where a function does not say."""

from __future__ import annotations

import os

#: CasADi's interpreter; C compiled for the function; the first at once, and the second where it proves worth it.
ENGINES = ("vm", "native", "auto")
#: The environment variable that sets the default.
ENGINE_VARIABLE = "ARCHIMEDES_GRAD_ENGINE"

# One name for the whole process: replaced, never changed, so that threads see the old or the new one.
_default: list[str] = []


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
