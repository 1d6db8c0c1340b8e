"""The public functions that choose engines and clear what the native one compiled."""

from __future__ import annotations

from archimedes_grad.engines.selection import ENGINES, set_default_engine, set_default_threads
from archimedes_grad.transforms.options import required_integer


def set_engine(name: str, *, threads: int | None = None) -> None:
    """Set the engine of functions that do not name one, for all calls traced from now on.

    Parameters
    ----------
    name
        ``"vm"``: CasADi's interpreter, no compiler needed. ``"native"``: C that is compiled for the function when it is
        first called with a form of arguments, and kept on disk. ``"auto"``: the interpreter at once, and the compiled
        function from when it is ready, where the calls are many or long enough.
    threads
        On how many threads the native engine runs large loops of elementwise work and sums, the one that calls
        included. None leaves it as it is: ``$ARCHIMEDES_GRAD_THREADS``, or 1. Results are the same for any number from
        2 on; from those on one thread sums differ in their last digits.

    Raises
    ------
    ValueError
        For another name, or fewer than one thread.
    TypeError
        If the number of threads is none.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.set_engine("vm")
    """
    if name not in ENGINES:
        raise ValueError(f"set_engine: unknown engine {name!r}; valid: {', '.join(map(repr, ENGINES))}")
    if threads is not None:
        set_default_threads(required_integer("set_engine", "threads", threads, 1, "Leave it out to keep what was set."))
    set_default_engine(name)


def cache_clear() -> None:
    """Remove the functions that the native engine compiled from the disk; those in use go on.

    They lie in ``$ARCHIMEDES_GRAD_CACHE``, or in ``archimedes_grad`` in the user's cache directory.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> arc.cache_clear()
    """
    from archimedes_grad.engines.native.toolchain import clear

    clear()
