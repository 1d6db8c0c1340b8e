"""The traces under way: which one this thread is in, and what it captured.

A trace belongs to the thread that runs it. ``active_traces`` counts the traces of all threads, so that
the fast path of a call can tell from one number that no trace is under way at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.user_code import UserLine, user_line
from archimedes_grad.errors import TraceError
from archimedes_grad.nodes.loops import Loop
from archimedes_grad.nodes.patterns import dense

_thread = threading.local()

#: Traces under way in all threads. Written under the tracing lock only; read without it.
active_traces = 0

#: Outcomes of a call that may fail and was tried: no truth values or integers.
FAILS, SUCCEEDS = -0.5, 0.5


@dataclass(eq=False, repr=False, slots=True)
class Captured:
    """A constant array met while tracing: a hidden input of the graph."""

    original: npt.NDArray[Any]
    copy: npt.NDArray[Any]
    symbol: cs.MX


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Guard:
    """A decision of the user's code on a traced value: the path holds while the node equals the outcome.

    Attributes
    ----------
    node
        One entry: 0 or 1 for the truth of a value, the truncated value for an integer, ``FAILS`` or ``SUCCEEDS`` for
        a call that may fail. None in a path that came from another process: there it is part of the compiled function
        only.
    line
        Where the user's code decided.
    """

    node: Any
    outcome: float
    line: UserLine | None


class Trace:
    """One run of a user function on symbols.

    Attributes
    ----------
    parent
        The trace inside which this one runs, or None.
    array_entries, array_nodes
        Entries and nodes of all array operations so far: what the choice of representation needs.
    selects
        Whether a node chooses between two branches (where, maximum, ...).
    can_fail
        Whether a node can fail while it is evaluated (a solve of a singular matrix).
    opaque
        Whether a node cannot be expanded to scalars (a call of LAPACK).
    has_several_outputs
        Whether a loop, a choice or a batch gives more than one output, of which some may not be read.
    lengths
        Nodes with a kink at 0 and a smooth square, by their hashes, and kept alive: see ``rules/lengths.py``. Each with
        what gives where it is 0, and its square.
    loops
        The loops, by the hashes of their Functions, which are kept alive along with them.
    failure
        What the error says where an evaluation fails.
    conditions
        Nodes of one entry, 0 or 1: where one is 0 the evaluation has failed, as NumPy's own call would.
    counting
        The frame, by identity, and its instruction, that asked an array for its length last: see ``shuffles.py``.
    black_boxes
        What CasADi calls back and does not keep alive itself; collected on the outermost trace.
    large_products
        Whether a matrix product is large enough for BLAS.
    guards
        The decisions so far, in order.
    script
        Outcomes that the first decisions must have, whatever the values say: see ``decisions.py``.
    structured
        Whether decisions are refused (``control_flow="structured"``).
    engine
        What is to evaluate the graph: that of the outermost trace, for bodies of loops and nested functions too.
    refusal
        What the last refusal of a plain number said, as text. Code in C may lose the error and go on.
    values_known
        False where the values carried along are placeholders, so that no decision may rest on them.
    may_be_view, goes_by_strides
        Of the outermost trace: whether an array is a view or a copy by how another lies in memory; and whether the
        function may give something else for arguments that lie otherwise, as by a write after that.
    asks_failures, attempting, failed_at, n_fallible, tries
        Calls that fail for some values, in ``try`` statements: see ``rules/attempts.py``. Whether they leave guards; of
        the outermost trace: whether one is under way, where one has failed without a guard, and whether one might be
        caught; how many nodes may fail.
    """

    __slots__ = (
        "_captured",
        "_symbol_values",
        "array_entries",
        "array_nodes",
        "asks_failures",
        "attempting",
        "black_boxes",
        "can_fail",
        "conditions",
        "counting",
        "engine",
        "failed_at",
        "failure",
        "goes_by_strides",
        "guards",
        "has_several_outputs",
        "large_products",
        "lengths",
        "loops",
        "may_be_view",
        "n_decisions",
        "n_fallible",
        "opaque",
        "parent",
        "refusal",
        "script",
        "selects",
        "structured",
        "tries",
        "values_known",
    )

    def __init__(
        self,
        parent: Trace | None,
        values_known: bool = True,
        script: tuple[float, ...] = (),
        structured: bool = False,
        engine: str = "vm",
        asks_failures: bool = False,
    ) -> None:
        self.parent = parent
        self.asks_failures = asks_failures
        self.attempting = False
        self.failed_at: UserLine | None = None
        self.n_fallible = 0
        self.tries = False
        self.may_be_view = False
        self.goes_by_strides = False
        self.array_entries = 0
        self.array_nodes = 0
        self.selects = False
        self.can_fail = False
        self.opaque = False
        self.has_several_outputs = False
        self.lengths: dict[int, tuple[cs.MX, Callable[[], tuple[cs.MX, cs.MX]]]] = {}
        self.loops: dict[int, tuple[cs.Function, Loop]] = {}
        self.conditions: list[cs.MX] = []
        self.failure = "Singular matrix"
        self.guards: list[Guard] = []
        self.large_products = False
        self.black_boxes: list[Any] = []
        self.n_decisions = 0
        self.counting = (0, 0)
        self.refusal: str | None = None
        self.script = script
        self.structured = structured
        self.engine: str = engine if parent is None else parent.engine
        self.values_known: bool = values_known and (parent is None or parent.values_known)
        self._captured: dict[int, list[Captured]] = {}
        self._symbol_values: dict[int, npt.NDArray[Any]] = {}

    @property
    def outermost(self) -> Trace:
        """The trace that the user's call started."""
        trace = self
        while trace.parent is not None:
            trace = trace.parent
        return trace

    @property
    def captured(self) -> list[Captured]:
        """The constant arrays captured so far, in the order in which they were met."""
        return [entry for entries in self._captured.values() for entry in entries]

    def new_symbol(self, name: str, rows: int, columns: int, value: npt.ArrayLike) -> cs.MX:
        """Return a new symbol, and remember the value it has in this run."""
        symbol = cs.MX.sym(name, dense(rows, columns))
        self._symbol_values[hash(symbol)] = np.asarray(value, dtype=np.float64).reshape(-1)
        return symbol

    def value_of_symbol(self, symbol: cs.MX) -> npt.NDArray[Any]:
        """Return the value, flat in C order, of a symbol of this trace or of one around it.

        Raises
        ------
        TraceError
            If the symbol belongs to no trace under way: a traced value was kept beyond its call.
        """
        trace: Trace | None = self
        key = hash(symbol)
        while trace is not None:
            value = trace._symbol_values.get(key)
            if value is not None:
                return value
            trace = trace.parent
        raise leaked(symbol)

    def capture(self, array: npt.NDArray[Any], rows: int, columns: int) -> cs.MX:
        """Return the symbol that stands for a constant array.

        A copy is kept, because the caller may change the array later. The same array object met again
        gives the same symbol as long as its entries are the same.
        """
        entries = self._captured.setdefault(id(array), [])
        for entry in entries:
            if entry.copy.shape == array.shape and entry.copy.tobytes() == array.tobytes():
                return entry.symbol
        copy = np.array(array, order="C")
        symbol = self.new_symbol(f"constant_{len(self._symbol_values)}", rows, columns, copy)
        entries.append(Captured(array, copy, symbol))
        return symbol


def current_trace() -> Trace | None:
    """Return the trace under way in this thread, or None."""
    return getattr(_thread, "trace", None)


def note_strides(only_if_written: bool = False) -> None:
    """Tell the trace that what follows goes by how an array lies in memory; in any case, or if something is written."""
    trace = current_trace()
    if trace is not None:
        top = trace.outermost
        top.may_be_view = True
        top.goes_by_strides |= not only_if_written


def note_write() -> None:
    """Tell the trace that an array is written to, and views along with it."""
    trace = current_trace()
    if trace is not None:
        top = trace.outermost
        top.goes_by_strides |= top.may_be_view


def note_call(can_fail: bool = False) -> None:
    """Tell the trace under way of a call: a node that cannot be expanded to scalars."""
    trace = current_trace()
    if trace is not None:
        trace.opaque = True
        trace.can_fail |= can_fail
        trace.n_fallible += can_fail


def set_under_way(trace: Trace | None, active: int) -> None:
    """Make a trace the one under way in this thread, and say how many are in all; the caller has the tracing lock."""
    global active_traces
    _thread.trace = trace
    active_traces = active


def note_loop(function: cs.Function, loop: Loop) -> None:
    """Tell the trace under way what a Function is a loop of."""
    trace = current_trace()
    assert trace is not None
    trace.loops[hash(function)] = function, loop


def trace_error(what: str, way_on: str, line: UserLine | None = None) -> TraceError:
    """Return a TraceError that names a line, by default the user's under way, and one way to go on."""
    return TraceError(message_at_line(what, way_on, line or user_line()))


def message_at_line(what: str, way_on: str, line: UserLine | None) -> str:
    """Return a message that names a line and one way to go on."""
    place = f"\n  {line}" if line is not None else ""
    return f"{what}{place}\n  {way_on}"


_NOT_KEPT = (
    "Do not keep traced values beyond the call (in a global, an attribute or a default argument), nor give them to "
    "other threads: return what you need."
)


def leaked(symbol: cs.MX) -> TraceError:
    """Return the error for a result that depends on a traced value which outlived its call."""
    return trace_error(
        f"The result depends on {symbol.name()!r}, a traced value of another call that has ended; values of this call "
        f"were expected.",
        _NOT_KEPT,
    )


def outlived(owner: str = "") -> TraceError:
    """Return the error for a traced value used where no trace is under way."""
    return trace_error(
        f"{owner}a traced value of another call that has ended, or of one in another thread, was used; a number or an "
        f"array was expected.",
        _NOT_KEPT,
    )
