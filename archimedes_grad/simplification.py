"""CasADi's simplification flag, and the lock that makes one thread at a time its owner.

The flag is process-wide, and users' own CasADi models live under it too. So are NumPy's constructors while
a trace replaces them (``literals.py``). Hence one trace or derivative sweep at a time, re-entrant for
gradients inside traced functions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import casadi as cs

_lock = threading.RLock()


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
    with _lock:
        before = cs.GlobalOptions.getSimplificationOnTheFly()
        cs.GlobalOptions.setSimplificationOnTheFly(on)
        try:
            yield
        finally:
            cs.GlobalOptions.setSimplificationOnTheFly(before)
