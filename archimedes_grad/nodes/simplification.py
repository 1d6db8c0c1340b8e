"""CasADi's simplification flag, and the lock that makes one thread at a time its owner.

The flag is process-wide, and users' own CasADi models live under it too. So are NumPy's constructors while
a trace replaces them (``literals.py``). Hence one trace or derivative sweep at a time, re-entrant for
gradients inside traced functions. An owner that waits for another thread lends both: what it waits for may trace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import casadi as cs
from casadi import _casadi  # type: ignore[attr-defined]

Result = TypeVar("Result")

_lock = threading.RLock()

# The thread that is inside ``owned``, or None. Written under the lock.
_owner: int | None = None

# What the flag was before the owner came. Written under the lock.
_outside = True

# Without the function of Python around it: at the entry of that an interrupt could come between.
_set_simplification: Callable[[bool], None] = _casadi.GlobalOptions_setSimplificationOnTheFly


def owned(work: Callable[[], Result]) -> Result:
    """Do some work as the one owner of the flag; afterwards the flag is as it was and the lock free, in any case.

    Inside, ``forward_nodes`` and ``derivative_sweep`` take no lock: where an interrupt keeps one of them from putting
    the flag back, it is put back here.
    """
    global _owner, _outside
    if _owner == threading.get_ident():
        return work()
    with _lock:
        before = _outside = cs.GlobalOptions.getSimplificationOnTheFly()
        try:
            _owner = threading.get_ident()
            return work()
        finally:
            _owner = None
            _set_simplification(before)


def lent(wait: Callable[[], Result]) -> Result:
    """Wait for other threads, as the owner; meanwhile one of them may own the flag, which is as it was before.

    The owner has it again afterwards, whatever interrupts.
    """
    global _owner, _outside
    owner, before, inside = _owner, _outside, cs.GlobalOptions.getSimplificationOnTheFly()
    try:
        _owner = None
        _set_simplification(before)
        _lock.release()
        return wait()
    finally:
        interrupt = None
        while True:
            try:
                if not _lock._is_owned():  # type: ignore[attr-defined]
                    _lock.acquire()
                _owner, _outside = owner, before
                _set_simplification(inside)
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


@contextmanager
def forward_nodes() -> Iterator[None]:
    """Build nodes as they are written, for the length of a with statement.

    CasADi would simplify ``sqrt(x)**2`` to x and ``x - x`` to 0, and with them the nan that NumPy gives.
    """
    with _simplification(False):
        yield


@contextmanager
def derivative_sweep() -> Iterator[None]:
    """Let CasADi simplify: in a derivative sweep, zero seeds would double the graph and leak nan."""
    with _simplification(True):
        yield


@contextmanager
def _simplification(on: bool) -> Iterator[None]:
    if _owner == threading.get_ident():
        yield from _set_meanwhile(on)
    else:
        with _lock:
            yield from _set_meanwhile(on)


def _set_meanwhile(on: bool) -> Iterator[None]:
    before = cs.GlobalOptions.getSimplificationOnTheFly()
    try:
        _set_simplification(on)
        yield
    finally:
        _set_simplification(before)
