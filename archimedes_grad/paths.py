"""The paths of one specialisation: a tree over the outcomes of the user's decisions.

A path is one trace, compiled together with its guards: an evaluation gives the result and how many guards held.
Where one did not, its outcome leads to the branch of the tree that the call belongs to, and the path taken there
most recently is tried next; only where no path has been traced is a new one. A result counts only if all guards of
its path held.
"""

from __future__ import annotations

import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from archimedes_grad.fast_path import FastPath, Miss
from archimedes_grad.representation import Derived


class PathNode:
    """A node of the tree: after some outcomes, what the next one may be, and the path last taken through here."""

    __slots__ = ("children", "recent")

    def __init__(self) -> None:
        self.children: dict[float, PathNode] = {}
        self.recent: Path | None = None


class Path:
    """One trace of a function, compiled, with the nodes of the tree that lead to it.

    Attributes
    ----------
    outcomes
        Those of its guards, in order.
    trail
        The nodes from the root to its leaf: one more than outcomes.
    seconds
        What tracing, differentiating and compiling took.
    """

    def __init__(self, paths: Paths, derived: Derived, seconds: dict[str, float]) -> None:
        self._paths = weakref.ref(paths)
        self.derived = derived
        self.seconds = seconds
        self.outcomes = tuple(guard.outcome for guard in derived.graph.guards)
        self.trail: list[PathNode] = []
        self.fast_path: FastPath

    @property
    def paths(self) -> Paths | None:
        """The paths that it is one of; None once they are dropped."""
        return self._paths()


#: Traces a new path of the call under way, with a script of its first outcomes.
Tracer = Callable[[tuple[float, ...]], Path]


@dataclass
class Paths:
    """All paths of one specialisation.

    Attributes
    ----------
    limit
        How many are kept; the least recently used one goes first.
    dropped
        How many have gone.
    """

    limit: int
    root: PathNode = field(default_factory=PathNode)
    by_outcomes: OrderedDict[tuple[float, ...], Path] = field(default_factory=OrderedDict)
    dropped: int = 0

    __hash__ = object.__hash__

    def run(self, leaves: list[Any], new_path: Tracer) -> tuple[Any, Path]:
        """Return the result for the leaves of a call, and the path that it takes."""
        if self.root.recent is None:
            return self._traced((), leaves, new_path)
        result = self.root.recent.fast_path.run(leaves)
        if type(result) is Miss:
            return self.follow(result, new_path)
        return result, self.root.recent

    def follow(self, miss: Miss, new_path: Tracer) -> tuple[Any, Path]:
        """Return the result of a call that missed a path, and the path that it takes."""
        while True:
            prefix = (*miss.path.outcomes[: miss.held], miss.outcome)
            branch = miss.path.trail[miss.held].children.get(miss.outcome)
            candidate = None if branch is None else branch.recent
            if candidate is None:
                return self._traced(prefix, miss.leaves, new_path)
            result = candidate.fast_path.run(miss.leaves)
            if type(result) is not Miss:
                self._taken(candidate)
                return result, candidate
            miss = result

    def _traced(self, script: tuple[float, ...], leaves: list[Any], new_path: Tracer) -> tuple[Any, Path]:
        """Trace a path and run it.

        CasADi's evaluation is authoritative: where it rounds a decision the other way than NumPy did while
        tracing, the branch that it took is followed, and traced if it must be, from there.
        """
        path = new_path(script)
        self._add(path)
        result = path.fast_path.run(leaves)
        if type(result) is Miss:
            return self.follow(result, new_path)
        return result, path

    def _add(self, path: Path) -> None:
        path.trail = [self.root]
        for outcome in path.outcomes:
            path.trail.append(path.trail[-1].children.setdefault(outcome, PathNode()))
        self.by_outcomes[path.outcomes] = path
        self._taken(path)
        if len(self.by_outcomes) > self.limit:
            self._drop(next(iter(self.by_outcomes.values())))

    def _taken(self, path: Path) -> None:
        self.by_outcomes.move_to_end(path.outcomes)
        for node in path.trail:
            node.recent = path

    def _drop(self, path: Path) -> None:
        del self.by_outcomes[path.outcomes]
        self.dropped += 1
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
