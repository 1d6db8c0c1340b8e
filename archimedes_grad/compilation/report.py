"""What a compiled function tells about itself: ``explain`` and ``graph``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from os import PathLike, fspath
from pathlib import Path

from archimedes_grad.arrays.trace_state import FAILS, SUCCEEDS
from archimedes_grad.compilation.paths import Paths
from archimedes_grad.derivatives.instructions import operation_counts, operations
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.nodes.gather import Shape

#: Graphs of more boxes are shown folded away in a notebook.
_SHOWN_OPEN = 30
#: How outcomes of calls that are tried are shown.
_ATTEMPTS = {FAILS: "fails", SUCCEEDS: "succeeds"}
LAYOUTS = ("auto", "graphviz", "plain")


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
        Instructions that compute something.
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

    def rows(self) -> list[tuple[str, str]]:
        """Return what is reported, as pairs of a name and a text.

        Examples
        --------
        >>> import archimedes_grad as arc
        >>> arc.grad(lambda x: x**2).explain(1.0).rows()[0]
        ('engine', 'vm')
        """
        times = ", ".join(f"{step} {1000 * seconds:.3g} ms" for step, seconds in self.seconds.items())
        rows = [
            ("engine", self.engine),
            ("representation", f"{self.representation} ({self.reason})"),
            ("operations", f"{self.n_operations}"),
            ("times", times),
            ("specialisations", f"{self.n_specialisations}"),
        ]
        if self.decisions:
            rows.append(("hits of paths", ", ".join(map(str, self.hits))))
        return rows

    @property
    def _title(self) -> str:
        return f"{self.name}: {self.method}, {self.paths} path{'s' * (self.paths != 1)}"

    def __str__(self) -> str:
        rows = [f"  {name:<15} {text}" for name, text in self.rows()]
        return "\n".join([self._title, *rows, *_decision_lines(self.decisions)])

    def _repr_html_(self) -> str:
        """Return a table for notebooks; each line that decides is a row."""
        rows = [*self.rows(), *((f"decides: {_ways(outcomes)}", place) for place, outcomes in self.decisions.items())]
        cells = "".join(
            f'<tr><th style="text-align: left">{escape(name)}</th>'
            f'<td style="text-align: left; white-space: pre-wrap">{escape(text)}</td></tr>'
            for name, text in rows
        )
        return f'<table><caption style="text-align: left">{escape(self._title)}</caption>{cells}</table>'


def _decision_lines(decisions: dict[str, Counter[float]]) -> list[str]:
    """Return a line for each place that decides: how many paths go each way there."""
    lines = []
    for place, outcomes in decisions.items():
        lines.append(f"  decides ({_ways(outcomes)}) at {place}")
    return lines


def _ways(outcomes: Counter[float]) -> str:
    return ", ".join(
        f"{_ATTEMPTS.get(outcome) or f'{outcome:g}'} in {count} path{'s' * (count != 1)}"
        for outcome, count in outcomes.most_common(8)
    )


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

    Prints as the list of its instructions; a notebook shows its picture.

    Attributes
    ----------
    inputs
        Name and shape of each numeric leaf of the arguments.
    outputs
        The shape of each output.
    n_operations
        Instructions that compute something.
    counts
        How often each kind of operation occurs.
    """

    def __init__(self, name: str, derived: Derived) -> None:
        self.name = name
        self.inputs = [(leaf.name, leaf.shape) for leaf in derived.graph.leaves]
        self.outputs = [output.shape for output in derived.outputs]
        self._derived = derived
        self.counts: Counter[str] = operation_counts(derived.function)
        self.n_operations = sum(self.counts.values())

    def draw(self, path: str | PathLike[str] | None = None, *, layout: str = "auto", max_boxes: int = 60) -> str:
        """Draw the graph, from its inputs down to its outputs.

        A graph of more operations than boxes is folded, and a note in the picture says how: operations of one kind
        at the same depth become one box, then those of neighbouring depths.

        Parameters
        ----------
        path
            The file to write: ``.svg``, or ``.dot`` for graphviz's language. None writes no file.
        layout
            ``"graphviz"`` (its program ``dot``), ``"plain"`` (built in), or ``"auto"``: graphviz where it is
            installed.
        max_boxes
            How many boxes to draw at most; fewer where the graph has fewer kinds of operations.

        Returns
        -------
        str
            What the file holds: the SVG, or for ``.dot`` the source. It is the same for the same graph and program.

        Raises
        ------
        ValueError
            For another ending of the path, an unknown layout, or ``max_boxes`` below 1.
        FileNotFoundError
            For ``layout="graphviz"`` where graphviz is not installed.

        Examples
        --------
        >>> import archimedes_grad as arc
        >>> picture = arc.grad(lambda x: x**2).graph(3.0).draw()
        >>> picture.startswith("<svg")
        True
        """
        from archimedes_grad.pictures import layouts
        from archimedes_grad.pictures.drawing import picture

        suffix = ".svg" if path is None else Path(path).suffix.lower()
        if suffix not in (".svg", ".dot"):
            raise ValueError(
                f"draw: the path must end in .svg or .dot, got {fspath(path or '')!r}. Other formats are made from "
                f"these: dot -Tpdf picture.dot -o picture.pdf"
            )
        if layout not in LAYOUTS:
            raise ValueError(f"draw: unknown layout {layout!r}; valid: {', '.join(map(repr, LAYOUTS))}")
        if not isinstance(max_boxes, int) or isinstance(max_boxes, bool) or max_boxes < 1:
            raise ValueError(f"draw: max_boxes must be a positive int, got {max_boxes!r}")
        drawn = picture(self.name, operations(self._derived.function, *self._named_ends()), max_boxes)
        if suffix == ".dot":
            text = layouts.as_dot(drawn)
        elif layout == "graphviz" or (layout == "auto" and layouts.has_graphviz()):
            text = layouts.graphviz_svg(drawn)
        else:
            text = layouts.plain_svg(drawn)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _named_ends(self) -> tuple[list[tuple[str, Shape]], list[tuple[str, Shape]]]:
        """Return name and shape of each input and output of the Function, those included that users do not see."""
        captured = [(f"captured {k}", array.shape) for k, array in enumerate(self._derived.hidden)]
        outputs = [(f"out{k}", shape) for k, shape in enumerate(self.outputs)]
        outputs += [("succeeded", ())] * self._derived.can_fail
        outputs += [("guards that hold", ()), ("first other outcome", ())] * bool(self._derived.n_guards)
        return [*self.inputs, *captured], outputs

    @property
    def _summary(self) -> str:
        counted = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common())
        return f"{self.name}: {self.n_operations} operations ({counted})"

    def __str__(self) -> str:
        return f"{self._summary}\n{self._derived.function.str(True)}"

    def __repr__(self) -> str:
        return f"<TracedGraph {self.name}: {self.n_operations} operations>"

    def _repr_html_(self) -> str:
        """Return the picture for notebooks, under a line that folds it away."""
        is_open = ' open="open"' if self.n_operations <= _SHOWN_OPEN else ""
        return f"<details{is_open}><summary>{escape(self._summary)}</summary>{self.draw()}</details>"
