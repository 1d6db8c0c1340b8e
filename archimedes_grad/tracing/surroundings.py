"""What a trace changes around itself, and how it is put back whatever interrupts it.

Ctrl-C raises KeyboardInterrupt wherever Python looks for signals: at the entry of any Python function, so at that of
a context manager's ``__exit__`` as well, which then has put nothing back. Here everything is put back by calls that
can be made twice with the same effect, and that are made again where the first was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from archimedes_grad.arrays import shuffles, trace_state
from archimedes_grad.arrays.trace_state import Trace, current_trace
from archimedes_grad.nodes.simplification import forward_nodes, lent, owned
from archimedes_grad.tracing import foreign, literals

Result = TypeVar("Result")


def within(trace: Trace, work: Callable[[], Result]) -> Result:
    """Do the work of a trace: it is the one under way in this thread, and NumPy takes traced values, for so long."""
    return owned(lambda: _under_way(trace, work))


def _under_way(trace: Trace, work: Callable[[], Result]) -> Result:
    parent, active, errors = current_trace(), trace_state.active_traces, np.geterr()

    def put_back() -> None:
        if parent is None:
            _restore()
            np.seterr(**errors)
        trace_state.set_under_way(parent, active)

    try:
        trace_state.set_under_way(trace, active + 1)
        if parent is None:
            # Under the tracing lock there is one outermost trace at a time, in whatever thread.
            np.seterr(all="ignore")
            _replace()
        with forward_nodes():
            return work()
    finally:
        _done(put_back)


def suspended(wait: Callable[[], Result]) -> Result:
    """Wait for other threads within a trace, which is not under way for so long: they may trace."""
    trace, active = current_trace(), trace_state.active_traces

    def go_on() -> None:
        trace_state.set_under_way(trace, active)
        _replace()

    def waiting() -> Result:
        trace_state.set_under_way(None, 0)
        _restore()
        return lent(wait)

    try:
        return waiting()
    finally:
        _done(go_on)


def _replace() -> None:
    literals.replace()
    foreign.replace()


def _restore() -> None:
    literals.restore()
    foreign.restore()
    shuffles.restore()


def _done(work: Callable[[], None]) -> None:
    """Do what can be done twice, again where it was interrupted."""
    try:
        work()
    except KeyboardInterrupt:
        work()
        raise
