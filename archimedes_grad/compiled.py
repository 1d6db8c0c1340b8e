"""The callable that ``grad``, ``compile`` and the others return: specialisations and how a call finds its own."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad import trace_state
from archimedes_grad.autodiff import value_function
from archimedes_grad.fast_path import MISS, FastPath, new_fast_path
from archimedes_grad.graph import Graph, Template
from archimedes_grad.nesting import nested_call
from archimedes_grad.report import Explanation, TracedGraph
from archimedes_grad.representation import Derived, Transformation
from archimedes_grad.signature import CallSignature, Layout
from archimedes_grad.specs import static_key
from archimedes_grad.tracing import BoundArguments, trace

#: Specialisations kept for one function; the least recently used one goes first.
MAX_SPECIALISATIONS = 256


@dataclass(frozen=True)
class Specialisation:
    """One trace of a function, compiled: for one form of call, shapes, dtypes and static values."""

    graph: Graph
    derived: Derived
    fast_path: FastPath
    seconds: dict[str, float]


def _no_fast_path(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return MISS


class CompiledFunction:
    """A function traced at its first call with each form of arguments, and compiled.

    Made by ``arc.grad``, ``arc.value_and_grad`` and ``arc.compile``. Called like the function itself, from any
    thread.
    """

    def __init__(
        self, function: Callable[..., Any], signature: CallSignature, transformation: Transformation,
        name: str, has_aux: bool = False,
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, function)
        self.__name__ = name
        self.__qualname__ = name
        self.__signature__ = signature.signature
        self._function = function
        self._signature = signature
        self._transformation = transformation
        self._has_aux = has_aux
        self._specialisations: OrderedDict[Any, Specialisation] = OrderedDict()
        self._fast_call: Callable[[tuple[Any, ...], dict[str, Any]], Any] = _no_fast_path
        # Two threads that meet a new form of call trace it once.
        self._tracing = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate; trace and compile first where this form of call was not seen before."""
        if not trace_state.active_traces:
            result = self._fast_call(args, kwargs)
            if result is not MISS:
                return result
        elif trace_state.current_trace() is not None:
            return self._call_inside_trace(args, kwargs)
        specialisation, bound = self._specialised(args, kwargs)
        self._fast_call = specialisation.fast_path.call
        return specialisation.fast_path.run(bound.values)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__name__}{self._signature.signature}>"

    # --- what it tells about itself -------------------------------------------------------------

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """Report how a call with these arguments is done: method, representation, operations, times.

        The call is traced if it was not before; it is not evaluated.

        Returns
        -------
        Explanation
            Prints as a text of a few lines; its attributes hold the same.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> print(arc.grad(lambda x: np.sum(x**2)).explain(np.ones(3)))  # doctest: +ELLIPSIS
        grad_<lambda>: symbolic, 1 path
        ...
        """
        specialisation, _ = self._specialised(args, kwargs)
        derived = specialisation.derived
        return Explanation(
            name=self.__name__, method="symbolic", paths=1, engine="vm",
            representation=derived.representation, reason=derived.reason,
            n_operations=derived.function.n_instructions(),
            n_specialisations=len(self._specialisations), seconds=dict(specialisation.seconds),
        )  # fmt: skip

    def graph(self, *args: Any, **kwargs: Any) -> TracedGraph:
        """Return the graph of what is evaluated for these arguments: its operations, as text and counts."""
        specialisation, _ = self._specialised(args, kwargs)
        return TracedGraph(self.__name__, specialisation.derived)

    def to_casadi(self, *args: Any, **kwargs: Any) -> cs.Function:
        """Return the ``casadi.Function`` that a call with these arguments evaluates, to embed in a CasADi model.

        Inputs are named after the arguments (leaves of trees as ``params_w``, in the order of ``optree``:
        dictionaries by sorted key). Scalars are 1x1, vectors columns, matrices as NumPy shows them; arrays of
        more axes are columns in C order. Static arguments and captured arrays are constants of the Function.
        Outputs are ``out0``, ``out1``, ... in the order of the result's leaves.
        """
        from archimedes_grad.embedding import casadi_function

        specialisation, _ = self._specialised(args, kwargs)
        return casadi_function(self.__name__, specialisation.derived)

    def clear_cache(self) -> None:
        """Forget all traces: the next call traces anew."""
        with self._tracing:
            self._specialisations.clear()
            self._fast_call = _no_fast_path

    # --- finding the specialisation -------------------------------------------------------------

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[BoundArguments, Layout]:
        args, kwargs = self._signature.completed(args, kwargs)
        layout = self._signature.layout(len(args), tuple(kwargs))
        return BoundArguments(self._signature.name, layout, (*args, *kwargs.values())), layout

    def _specialised(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Specialisation, BoundArguments]:
        bound, layout = self._bound(args, kwargs)
        key = self._key(bound, layout)
        with self._tracing:
            found = self._specialisations.get(key)
            if found is None:
                found = self._specialisations[key] = self._new_specialisation(bound, layout)
                if len(self._specialisations) > MAX_SPECIALISATIONS:
                    self._specialisations.popitem(last=False)
            else:
                self._specialisations.move_to_end(key)
        return found, bound

    def _new_specialisation(self, bound: BoundArguments, layout: Layout) -> Specialisation:
        start = time.perf_counter()
        graph = trace(self._function, bound, layout, self._has_aux)
        traced = time.perf_counter()
        derived = self._transformation(graph, layout, self._signature.selection.single)
        differentiated = time.perf_counter()
        fast_path = new_fast_path(derived, layout, bound.trees, bound.values)
        seconds = {
            "trace": traced - start, "differentiate": differentiated - traced,
            "compile": time.perf_counter() - differentiated,
        }  # fmt: skip
        return Specialisation(graph, derived, fast_path, seconds)

    def _key(self, bound: BoundArguments, layout: Layout) -> Any:
        parts: list[Any] = [layout.n_positional, layout.keywords]
        parts += (self._key_of(tree, bound, layout.names[position]) for position, tree in bound.trees.items())
        return tuple(parts)

    def _key_of(self, tree: Template, bound: BoundArguments, name: str) -> Any:
        if tree.output is not None:
            leaf = bound.leaves[tree.output]
            return leaf.shape, leaf.dtype, leaf.python_type, isinstance(bound.values[tree.output], np.ndarray)
        if tree.structure is not None:
            return tree.structure, tuple(self._key_of(child, bound, name) for child in tree.children)
        try:
            key = static_key(tree.constant)
            hash(key)
        except TypeError as error:
            raise TypeError(
                f"{self._signature.name}: the static argument {name!r} cannot be a cache key ({error}). Give its "
                f"class __eq__ and __hash__, or pass what matters of it as numbers, strings or tuples."
            ) from None
        return key

    def _call_inside_trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._transformation is value_function:
            return self._function(*args, **kwargs)
        bound, layout = self._bound(args, kwargs)
        return nested_call(
            self._function, bound, layout, self._signature.selection, self._transformation, self._has_aux
        )
