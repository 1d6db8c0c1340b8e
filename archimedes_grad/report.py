"""What a compiled function tells about itself: ``explain`` and ``graph``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import casadi as cs

from archimedes_grad.paths import Paths
from archimedes_grad.representation import Derived

_OPERATION_NAMES = {
    getattr(cs, name): name.removeprefix("OP_").lower() for name in dir(cs) if name.startswith("OP_")
}
#: Operations that move numbers in and out and compute nothing.
_BOOKKEEPING = ("input", "output", "const", "parameter")


@dataclass(frozen=True)
class Explanation:
    """How a call is done.

    Attributes
    ----------
    method
        ``"symbolic"``, or the numeric method.
    representation, reason
        ``"scalar"`` (a node per number) or ``"array"`` (a node per array operation), and why.
    n_operations
        Instructions that an evaluation runs.
    hits
        How often each path was taken; empty counts where nothing is decided.
    decisions
        For each line that decides, how many paths go each way there.
    seconds
        What ``"trace"``, ``"differentiate"`` and ``"compile"`` took.
    """

    name: str
    method: str
    paths: int
    engine: str
    representation: str
    reason: str
    n_operations: int
    n_specialisations: int
    seconds: dict[str, float]
    hits: list[int]
    decisions: dict[str, Counter[float]]

    def __str__(self) -> str:
        times = ", ".join(f"{step} {1000 * seconds:.3g} ms" for step, seconds in self.seconds.items())
        return "\n".join([
            f"{self.name}: {self.method}, {self.paths} path{'s' * (self.paths != 1)}",
            f"  engine          {self.engine}",
            f"  representation  {self.representation} ({self.reason})",
            f"  operations      {self.n_operations}",
            f"  times           {times}",
            f"  specialisations {self.n_specialisations}",
            *([f"  hits of paths   {', '.join(map(str, self.hits))}"] if self.decisions else []),
            *_decision_lines(self.decisions),
        ])  # fmt: skip


def _decision_lines(decisions: dict[str, Counter[float]]) -> list[str]:
    """Return a line for each place that decides: how many paths go each way there."""
    lines = []
    for place, outcomes in decisions.items():
        ways = ", ".join(f"{outcome:g}: {count}" for outcome, count in outcomes.most_common(8))
        lines.append(f"  decides ({ways} paths) at {place}")
    return lines


def path_limit_message(name: str, paths: Paths) -> str:
    """Return the warning for a function that takes more paths than are kept."""
    return "\n".join([
        f"{name} takes more than {paths.limit} paths through its branches; the least recently used ones are dropped "
        f"and traced again when they come up. Results stay right, only slower. The lines that decide:",
        *_decision_lines(paths.decisions()),
        "  Keep the decision inside one path by np.where, arc.cond or arc.while_loop, or raise max_paths.",
    ])  # fmt: skip


class TracedGraph:
    """The graph that is evaluated for one form of call.

    Attributes
    ----------
    n_operations
        Instructions that compute something.
    counts
        How often each kind of operation occurs.
    """

    def __init__(self, name: str, derived: Derived) -> None:
        self.name = name
        self.inputs = [(leaf.name, leaf.shape) for leaf in derived.graph.leaves]
        self.outputs = [output.shape for output in derived.outputs]
        function = derived.function
        kinds = (_OPERATION_NAMES[function.instruction_id(k)] for k in range(function.n_instructions()))
        self.counts: Counter[str] = Counter(kind for kind in kinds if kind not in _BOOKKEEPING)
        self.n_operations = sum(self.counts.values())
        self._text = function.str(True)

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common())
        return f"{self.name}: {self.n_operations} operations ({counted})\n{self._text}"

    def __repr__(self) -> str:
        return f"<TracedGraph {self.name}: {self.n_operations} operations>"
