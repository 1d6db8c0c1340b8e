"""Making one path of a function: traced, differentiated, and compiled for the engine that evaluates it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from archimedes_grad.compilation.evaluation import WORTH_COMPILING, evaluated_by
from archimedes_grad.compilation.fast_path import Promotion, new_fast_path
from archimedes_grad.compilation.merging import guards_alone
from archimedes_grad.compilation.paths import Path
from archimedes_grad.compilation.specialisations import Specialisation
from archimedes_grad.derivatives.autodiff import differentiable_function
from archimedes_grad.derivatives.representation import Derived, Transformation
from archimedes_grad.engines.selection import default_engine
from archimedes_grad.nodes.patterns import forgotten_afterwards
from archimedes_grad.tracing.bound_arguments import BoundArguments
from archimedes_grad.tracing.graph import Graph
from archimedes_grad.tracing.progress import unwatched, watched
from archimedes_grad.tracing.trace import trace

#: What evaluates a call: positional arguments and keywords to the result.
Call = Callable[[tuple[Any, ...], dict[str, Any]], Any]

#: A method that takes what evaluated a call before, and what does now; weak, as its owner holds what refers to it.
Replaced = weakref.WeakMethod[Callable[[Call, Call], None]]


@dataclass(frozen=True)
class PathMaker:
    """Makes the paths of one function, for any form of its arguments."""

    name: str
    function: Callable[..., Any]
    transformation: Transformation
    has_aux: bool
    structured: bool
    engine: str | None
    shows_progress: bool

    def path(
        self, specialisation: Specialisation, bound: BoundArguments, script: tuple[float, ...],
        replaced: Replaced,
    ) -> Path:  # fmt: skip
        """Return the path that the arguments take where the outcomes of the first decisions are given.

        Where the engine is chosen by what evaluations take, the native one may come later: `replaced` is told then,
        from another thread.
        """
        layout, paths = specialisation.layout, specialisation.paths
        watching = watched(self.name) if self.shows_progress else nullcontext(unwatched)
        with forgotten_afterwards(), watching as begin:
            start = time.perf_counter()
            graph = self._traced(bound, specialisation, script, self.engine or default_engine())
            begin("differentiate")
            traced = time.perf_counter()
            derived = self.transformation(graph, layout)
            begin("compile")
            differentiated = time.perf_counter()
            path = Path(paths, derived, {"trace": traced - start, "differentiate": differentiated - traced})
            evaluated, path.engine = evaluated_by(derived, graph.engine)
            promotion = self._promotion(path, specialisation, replaced) if graph.engine == "auto" else None
            path.fast_path = new_fast_path(
                evaluated, layout, specialisation.key.of_values, bound.trees, bound.values, path.reference, promotion
            )
            path.seconds["compile"] = time.perf_counter() - differentiated
        return path

    def differentiable(self, specialisation: Specialisation, bound: BoundArguments) -> Derived:
        """Return the function with what its choices do not take kept out of derivatives, which calls do not need."""
        with forgotten_afterwards():
            return differentiable_function(self._traced(bound, specialisation), specialisation.layout)

    def _traced(
        self, bound: BoundArguments, specialisation: Specialisation, script: tuple[float, ...] = (), engine: str = "vm"
    ) -> Graph:
        return trace(
            self.function, bound, specialisation.layout, self.has_aux, script=script, structured=self.structured,
            engine=engine, asks_failures=specialisation.paths.asks_failures,
        )  # fmt: skip

    def _promotion(
        self, path: Path, specialisation: Specialisation, replaced: Replaced
    ) -> Promotion:
        """Return what puts the native engine in the interpreter's place once evaluations have proved worth it."""
        # Weak, as the path holds its promotion.
        path_reference = path.reference
        layout, keys = specialisation.layout, specialisation.key.of_values
        trees, samples = specialisation.trees, specialisation.samples

        def promote() -> None:
            promoted = path_reference()
            if promoted is None:
                return
            # The same graph, in the representation that is best for compiled code.
            graph = replace(promoted.derived.graph, engine="native")
            with forgotten_afterwards():
                derived = self.transformation(graph, layout)
            evaluated, engine = evaluated_by(derived, "native")
            slow = promoted.fast_path
            promoted.fast_path = new_fast_path(evaluated, layout, keys, dict(trees), list(samples), path_reference)
            promoted.derived, promoted.engine = derived, engine
            if (tell := replaced()) is not None:
                tell(slow.call, promoted.fast_path.call)

        return Promotion(WORTH_COMPILING, promote)


def add_guards(path: Path, specialisation: Specialisation, bound: BoundArguments) -> None:
    """Give a path guards that can be evaluated before it, where that pays."""
    if path.derived.n_guards and not path.guards_were_sought:
        path.guards_were_sought = True
        alone = guards_alone(path.derived)
        if alone is not None:
            layout, keys = specialisation.layout, specialisation.key.of_values
            path.guards = new_fast_path(alone, layout, keys, bound.trees, bound.values, path.reference)
