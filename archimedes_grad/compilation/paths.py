"""The paths of one specialisation: a tree over the outcomes of the user's decisions.

A path is one trace, compiled together with its guards: an evaluation gives the result and how many guards held.
Where one did not, its outcome leads to the branch of the tree that the call belongs to, and the path taken there
most recently is tried next; only where no path has been traced is a new one. A result counts only if all guards of
its path held. So does a failure: an evaluation that failed is an error only of the path that the call belongs to.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import casadi as cs

from archimedes_grad.arrays.trace_state import message_at_line
from archimedes_grad.compilation.failing import EvaluationError, other_outcome
from archimedes_grad.compilation.fast_path import FAILED, FastPath, Miss
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.tracing.trace import CaughtFailureError

#: How often paths may disagree in one call on a decision that they have in common: they round differently.
MAX_TURNS = 10


def _no_path() -> None:
    return None


class PathNode:
    """A node of the tree: after some outcomes, what the next one may be, and the path last taken through here."""

    __slots__ = ("_recent", "children")

    def __init__(self) -> None:
        self.children: dict[float, PathNode] = {}
        # Weak: a path holds its nodes, and no cycle may keep a dropped function alive until the collector runs.
        self._recent: Callable[[], Path | None] = _no_path

    @property
    def recent(self) -> Path | None:
        """The path last taken through here."""
        return self._recent()

    @recent.setter
    def recent(self, path: Path | None) -> None:
        self._recent = _no_path if path is None else path.reference


class Path:
    """One trace of a function, compiled, with the nodes of the tree that lead to it.

    Attributes
    ----------
    outcomes
        Those of its guards, in order.
    trail
        The nodes from the root to its leaf: one more than outcomes.
    fast_path
        Evaluates result and guards together.
    guards
        Evaluates the guards alone; None where that would cost about as much.
    guards_in_order
        The guards, each by itself, for an evaluation that failed; None before one did.
    last_used
        A number that grows with every switch of paths.
    engine
        What evaluates it.
    seconds
        What tracing, differentiating and compiling took.
    """

    def __init__(self, paths: Paths, derived: Derived, seconds: dict[str, float]) -> None:
        self._paths = weakref.ref(paths)
        self.derived = derived
        self.seconds = seconds
        self.engine = "vm"
        self.outcomes = tuple(guard.outcome for guard in derived.graph.guards)
        self.trail: list[PathNode] = []
        self.fast_path: FastPath
        self.guards: FastPath | None = None
        self.guards_were_sought = False
        self.guards_in_order: cs.Function | None = None
        self.last_used = 0
        self.reference = weakref.ref(self)

    @property
    def paths(self) -> Paths | None:
        """The paths that it is one of; None once they are dropped."""
        return self._paths()

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the result of a call, or a Miss; the guards first."""
        assert self.guards is not None
        held = self.guards.call(args, kwargs)
        return self.fast_path.call(args, kwargs) if held is True else held

    def run(self, leaves: list[Any]) -> Any:
        """Return the result for the leaves of a call, or a Miss; the guards first where they are cheap."""
        if self.guards is not None:
            held = self.guards.run(leaves)
            if held is not True:
                return held
        return self.fast_path.run(leaves)


def _undecided(miss: Miss) -> RuntimeError:
    graph = miss.path.derived.graph
    return RuntimeError(
        message_at_line(
            f"{graph.name}: a decision lies so near to a tie that rounding makes it, now this way and now that in "
            f"compiled paths; one outcome was expected.",
            "Decide with a tolerance, or use np.where or arc.cond there.",
            graph.guards[miss.held].line,
        )
    )


#: Traces a new path of the call under way, with a script of its first outcomes.
Tracer = Callable[[tuple[float, ...]], Path]


@dataclass(eq=False, repr=False)
class Paths:
    """All paths of one specialisation.

    Read without the lock: only what adds or drops paths holds it.

    Attributes
    ----------
    limit
        How many are kept; the least recently used one goes first.
    merged
        Evaluates all paths at once; None where they are too large for that, or too new.
    asks_failures
        Whether the function was seen to catch the failure of a call: then such calls leave guards.
    misses
        How many calls took another path than the one before, since paths were last merged.
    """

    limit: int
    root: PathNode = field(default_factory=PathNode)
    by_outcomes: dict[tuple[float, ...], Path] = field(default_factory=dict)
    merged: FastPath | None = None
    asks_failures: bool = False
    misses: int = 0
    lock: Any = field(default_factory=threading.RLock)
    _clock: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, leaves: list[Any], new_path: Tracer) -> tuple[Any, Path]:
        """Return the result for the leaves of a call, and the path that it takes."""
        recent = self.root.recent
        if recent is None:
            return self._traced((), leaves, new_path)
        result = recent.run(leaves)
        if type(result) is Miss:
            return self.follow(result, new_path)
        return result, recent

    def follow(
        self, miss: Miss, new_path: Tracer, n_agreed: int = 0, turns: int = MAX_TURNS
    ) -> tuple[Any, Path]:
        """Return the result of a call that missed a path, and the path that it takes.

        Parameters
        ----------
        n_agreed
            How many outcomes the path was chosen by.
        turns
            How often paths may still disagree on these.

        Raises
        ------
        EvaluationError
            If the evaluation fails on the path that the call takes.
        RuntimeError
            If paths round a decision differently, and each of them leads to another.
        """
        self.misses += 1
        while True:
            if miss.held == FAILED:
                try:
                    miss = other_outcome(miss)
                except EvaluationError:
                    if not self._catches(miss, new_path):
                        raise
                    return self._traced((), miss.leaves, new_path, turns)
            if miss.held < n_agreed:
                turns -= 1
                if not turns:
                    raise _undecided(miss)
            n_agreed = miss.held + 1
            prefix = (*miss.path.outcomes[: miss.held], miss.outcome)
            branch = miss.path.trail[miss.held].children.get(miss.outcome)
            candidate = None if branch is None else branch.recent
            if candidate is None:
                return self._traced(prefix, miss.leaves, new_path, turns)
            result = candidate.run(miss.leaves)
            if type(result) is not Miss:
                self._taken(candidate)
                return result, candidate
            miss = result

    def _catches(self, miss: Miss, new_path: Tracer) -> bool:
        """Trace a call that failed anew, and tell whether the function catches that.

        Raises
        ------
        LinAlgError
            If it does not.
        """
        if not miss.path.derived.graph.tries:
            return False
        with self.lock:
            if miss.path.trail[0] is not self.root:
                # Another thread has found it out meanwhile.
                return True
            if not self.asks_failures:
                try:
                    new_path(())
                except CaughtFailureError:
                    self._ask_failures()
                    return True
            return False

    def _ask_failures(self) -> None:
        """Begin anew, with a place in the tree for each call that may fail."""
        self.asks_failures = True
        self.root, self.merged = PathNode(), None
        self.by_outcomes.clear()

    def _traced(
        self, script: tuple[float, ...], leaves: list[Any], new_path: Tracer, turns: int = MAX_TURNS
    ) -> tuple[Any, Path]:
        """Trace a path and run it.

        CasADi's evaluation is authoritative: where it rounds a decision the other way than NumPy did while
        tracing, the branch that it took is followed, and traced if it must be, from there.
        """
        with self.lock:
            path = self._known(script)
            if path is None:
                try:
                    path = new_path(script)
                except CaughtFailureError:
                    self._ask_failures()
                    path = new_path(())
                self.add(path)
        result = path.fast_path.run(leaves)
        if type(result) is Miss:
            return self.follow(result, new_path, len(script), turns)
        return result, path

    def _known(self, script: tuple[float, ...]) -> Path | None:
        """Return a path with these first outcomes, which another thread may have traced meanwhile."""
        node = self.root
        for outcome in script:
            child = node.children.get(outcome)
            if child is None:
                return None
            node = child
        return node.recent

    def add(self, path: Path) -> None:
        """Take a path up, at its place in the tree."""
        path.trail = [self.root]
        for outcome in path.outcomes:
            path.trail.append(path.trail[-1].children.setdefault(outcome, PathNode()))
        self.by_outcomes[path.outcomes] = path
        self.merged = None
        self._taken(path)
        if len(self.by_outcomes) > self.limit:
            self._drop(min(self.by_outcomes.values(), key=lambda known: known.last_used))

    def _taken(self, path: Path) -> None:
        path.last_used = next(self._clock)
        for node in path.trail:
            node.recent = path

    def _drop(self, path: Path) -> None:
        del self.by_outcomes[path.outcomes]
        for depth in reversed(range(len(path.trail))):
            node = path.trail[depth]
            if node.recent is path:
                node.recent = next((c.recent for c in node.children.values() if c.recent is not None), None)
            if node.recent is None and depth:
                del path.trail[depth - 1].children[path.outcomes[depth - 1]]

    def decisions(self) -> dict[str, Counter[float]]:
        """Return, for each line that decides, how many paths go each way there."""
        lines: dict[str, Counter[float]] = {}
        for path in list(self.by_outcomes.values()):
            for guard in path.derived.graph.guards:
                lines.setdefault(str(guard.line), Counter())[guard.outcome] += 1
        return lines
