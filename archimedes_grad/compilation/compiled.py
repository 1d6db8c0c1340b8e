"""The callable that ``grad``, ``compile`` and the others return: specialisations and how a call finds its own."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import casadi as cs

from archimedes_grad.arguments.signature import CallSignature, Layout
from archimedes_grad.arrays import trace_state
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.compilation.fast_path import MISS, Miss, new_fast_path
from archimedes_grad.compilation.merging import merged
from archimedes_grad.compilation.nesting import nested_call
from archimedes_grad.compilation.path_making import Call, PathMaker, add_guards
from archimedes_grad.compilation.paths import Path, Paths
from archimedes_grad.compilation.pickling import MadeByRecipe, Packed, Recipe
from archimedes_grad.compilation.specialisations import (
    Specialisation,
    as_packed,
    from_packed,
    key_of,
    new_specialisation,
)
from archimedes_grad.derivatives.autodiff import value_function
from archimedes_grad.derivatives.representation import Transformation
from archimedes_grad.errors import PathLimitWarning, TraceError, warn_caller
from archimedes_grad.tracing.bound_arguments import BoundArguments

if TYPE_CHECKING:
    import pathlib

    from archimedes_grad.compilation.report import Explanation, TracedGraph
    from archimedes_grad.pictures.sparsity import SparsityPattern

#: Specialisations kept for one function; the least recently used one goes first.
MAX_SPECIALISATIONS = 256

# After this many changes for each path, a specialisation is made to tell its paths apart cheaply.
_MISSES_FOR_EACH_PATH = 4


#: The parameters of the user's function, and what a call gives.
P = ParamSpec("P")
R = TypeVar("R", covariant=True)


def _no_fast_path(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return MISS


class CompiledFunction(MadeByRecipe, Generic[P, R]):
    """A function traced at its first call with each form of arguments, and compiled.

    Made by ``arc.grad``, ``arc.value_and_grad`` and ``arc.compile``. Called like the function itself, from any
    thread.
    """

    def __init__(
        self, function: Callable[..., Any], signature: CallSignature, transformation: Transformation,
        name: str, has_aux: bool = False, structured: bool = False, max_paths: int = 128,
        recipe: Recipe | None = None, progress: bool = False, engine: str | None = None,
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, function)
        self.__name__ = name
        self.__qualname__ = name
        self.__signature__ = signature.presented
        self._maker = PathMaker(name, function, transformation, has_aux, structured, engine, progress)
        self._signature = signature
        self._max_paths = max_paths
        self._warned_of_paths = False
        self._recipe = recipe
        self._specialisations: OrderedDict[Any, Specialisation] = OrderedDict()
        self._fast_call: Call = _no_fast_path
        # Two threads that meet a new form of call trace it once.
        self._tracing = threading.RLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Evaluate; trace and compile first where this form of call was not seen before."""
        if not trace_state.active_traces:
            result = self._fast_call(args, kwargs)
            if type(result) is not Miss:
                return result
            if result.path is not None:
                return self._other_path(result, args, kwargs)
        elif current_trace() is not None:
            return self._call_inside_trace(args, kwargs)
        specialisation, bound = self._specialised(args, kwargs)
        return self._run(specialisation, bound)

    def _other_path(self, miss: Miss, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the result of a call that has the form of the last one, but takes another path."""
        paths: Paths | None = miss.path if isinstance(miss.path, Paths) else miss.path.paths
        if paths is None or paths is miss.path:
            # The paths were dropped meanwhile, or all of them were evaluated together and none held.
            specialisation, bound = self._specialised(args, kwargs)
            return self._run(specialisation, bound)

        def new_path(script: tuple[float, ...]) -> Path:
            specialisation, bound = self._specialised(args, kwargs)
            return self._new_path(specialisation, bound, script)

        result, path = paths.follow(miss, new_path)
        if paths.misses > _MISSES_FOR_EACH_PATH * len(paths.by_outcomes):
            self._make_cheap_to_tell_apart(args, kwargs)
        self._use(paths, path)
        return result

    def _use(self, paths: Paths, path: Path) -> None:
        """Let further calls try a path first: merged with the others, its guards first, or by itself."""
        if paths.merged is not None:
            self._fast_call = paths.merged.call
        elif path.guards is not None and len(paths.by_outcomes) > 1:
            self._fast_call = path.call
        else:
            self._fast_call = path.fast_path.call

    def _make_cheap_to_tell_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Merge the paths of a specialisation whose calls change between them; give large ones guards of their own."""
        specialisation, bound = self._specialised(args, kwargs)
        paths = specialisation.paths
        with self._tracing:
            paths.misses = 0
            known = list(paths.by_outcomes.values())  # Other threads add to them meanwhile.
            together = merged([path.derived for path in known])
            if together is not None:
                paths.merged = new_fast_path(
                    together, specialisation.layout, specialisation.key.of_values, bound.trees, bound.values,
                    weakref.ref(paths),
                )  # fmt: skip
                return
            for path in known:
                add_guards(path, specialisation, bound)

    def _run(self, specialisation: Specialisation, bound: BoundArguments) -> Any:
        paths = specialisation.paths
        result, path = paths.run(bound.values, lambda script: self._new_path(specialisation, bound, script))
        self._use(paths, path)
        return result

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return functools.partial(self, instance)

    # --- how it travels (pickling.MadeByRecipe) ---------------------------------------------------------

    def _learnt(self) -> list[Packed]:
        with self._tracing:
            return as_packed(self.__name__, list(self._specialisations.values()))

    def _learn(self, learnt: list[Packed]) -> None:
        """Take over specialisations that travelled, where the form of call is not known here."""
        with self._tracing:
            for written in learnt:
                new = from_packed(self._signature.name, written, self._max_paths)
                if new is not None:
                    self._specialisations.setdefault(self._with_strides(new.key, new.strides), new)

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
        from archimedes_grad.compilation.report import Explanation
        from archimedes_grad.derivatives.instructions import operation_counts

        path, paths = self._path(args, kwargs)
        derived = path.derived
        return Explanation(
            name=self.__name__, method="symbolic", engine=path.engine, representation=derived.representation,
            reason=derived.reason, n_operations=sum(operation_counts(derived.function).values()),
            n_specialisations=len(self._specialisations), seconds=dict(path.seconds),
            paths=len(paths.by_outcomes), hits=[p.fast_path.hits[0] for p in list(paths.by_outcomes.values())],
            decisions=paths.decisions(),
        )  # fmt: skip

    def graph(self, *args: Any, **kwargs: Any) -> TracedGraph:
        """Return the graph of what is evaluated for these arguments: its operations, as text and counts.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> arc.grad(lambda x: np.sin(x))
        <CompiledFunction grad_<lambda>(x)>
        >>> dict(arc.grad(lambda x: np.sin(x)).graph(1.0).counts)
        {'cos': 1}
        """
        from archimedes_grad.compilation.report import TracedGraph

        path, _ = self._path(args, kwargs)
        return TracedGraph(self.__name__, path.derived)

    def sparsity(self, *args: Any, **kwargs: Any) -> SparsityPattern:
        """Return the structure of a sparse derivative for these arguments: as text, in a notebook, or plotted.

        Raises
        ------
        TypeError
            If this is not the result of ``arc.jac`` or ``arc.hess`` with ``sparse=True``.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> print(arc.jac(lambda x: np.diff(x) ** 2, sparse=True).sparsity(np.ones(4)))
        jac_<lambda>: 3 × 4, 6 stored (50.00%)
        **..
        .**.
        ..**
        """
        from archimedes_grad.pictures.sparsity import sparsity_pattern

        path, _ = self._path(args, kwargs)
        return sparsity_pattern(self.__name__, path.derived.result)

    def to_casadi(self, *args: Any, **kwargs: Any) -> cs.Function:
        """Return the ``casadi.Function`` that a call with these arguments evaluates, to embed in a CasADi model.

        Inputs are named after the arguments (leaves of trees as ``params_w``, in the order of ``optree``:
        dictionaries by sorted key). Scalars are 1x1, vectors columns, matrices as NumPy shows them; arrays of
        more axes are columns in C order, and what ``sparse=True`` gives is sparse. Static arguments and captured arrays
        are constants of the Function.
        Outputs are ``out0``, ``out1``, ... in the order of the result's leaves.

        Raises
        ------
        TraceError
            If the function branches on traced values: a Function holds one path.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> arc.grad(lambda x: np.sum(x**2)).to_casadi(np.ones(3))
        Function(grad_lambda:(x[3])->(out0[3]) MXFunction)
        """
        from archimedes_grad.compilation.embedding import casadi_function

        derived = self._only_path("a casadi.Function", args, kwargs).derived
        if self._maker.transformation is value_function and derived.graph.selects:
            derived = self._maker.differentiable(*self._specialised(args, kwargs))
        return casadi_function(self.__name__, derived)

    def codegen(self, path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> tuple[pathlib.Path, pathlib.Path]:
        """Write what a call with these arguments evaluates as C that needs neither CasADi nor Python.

        Parameters
        ----------
        path
            Of the C file; the header stands beside it. The file's name is the C function's: ``gradient.c`` holds
            ``void gradient(const double *const *inputs, double *const *outputs, double *work)``. Arrays are in C
            order; the header says which inputs and outputs there are, and how much ``work`` is needed.

        Returns
        -------
        tuple of Path
            The C file and the header.

        Raises
        ------
        TraceError
            If the function branches on traced values, or holds what only CasADi or Python evaluate.
        ValueError
            For a path whose name C cannot have.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     gradient = arc.grad(lambda x: np.sum(x**2))
        ...     source, header = gradient.codegen(f"{folder}/gradient.c", np.ones(3))
        ...     print(header.name, "void gradient(" in source.read_text())
        gradient.h True
        """
        from archimedes_grad.compilation.code_generation import write_c

        return write_c(self.__name__, self._only_path("a C function", args, kwargs).derived, path)

    def _only_path(self, what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Path:
        """Return the path of a function that decides nothing by its traced values."""
        path, _ = self._path(args, kwargs)
        if path.outcomes:
            raise TraceError(
                f"{self.__name__}: the function branches on traced values, and {what} holds one path only.\n"
                f"  {path.derived.graph.guards[0].line}\n"
                f"  Use np.where or arc.cond there, or pass the argument that decides through static_argnames."
            )
        return path

    def clear_cache(self) -> None:
        """Forget all traces: the next call traces anew.

        Examples
        --------
        >>> import archimedes_grad as arc
        >>> factor = 2.0
        >>> slope = arc.grad(lambda x: factor * x)
        >>> float(slope(1.0))
        2.0
        >>> factor = 3.0  # a constant of the trace
        >>> float(slope(1.0))
        2.0
        >>> slope.clear_cache()
        >>> float(slope(1.0))
        3.0
        """
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
        form = key_of(self._signature.name, layout, bound.trees, bound.leaves, bound.values)
        with self._tracing:
            key = self._with_strides(form, tuple(leaf.strides for leaf in bound.leaves))
            found = self._specialisations.get(key)
            if found is None:
                found = new_specialisation(form, bound, layout, self._max_paths)
                self._specialisations[key] = found
                if len(self._specialisations) > MAX_SPECIALISATIONS:
                    self._specialisations.popitem(last=False)
            else:
                self._specialisations.move_to_end(key)
        return found, bound

    def _with_strides(self, key: Any, strides: tuple[Any, ...]) -> Any:
        """Return a key; with how the leaves lie in memory, where what it leads to is for such as lie otherwise."""
        known = self._specialisations.get(key)
        return (key, strides) if known is not None and known.goes_by_strides and known.strides != strides else key

    def _path(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Path, Paths]:
        """Return the path that a call takes, traced if it was not before."""
        if current_trace() is not None:
            raise trace_error(
                f"{self.__name__}: a report on its calls was asked for inside a traced function, and actual arguments "
                f"were expected.",
                "Ask for it outside, with arrays.",
            )
        specialisation, bound = self._specialised(args, kwargs)
        paths = specialisation.paths
        _, path = paths.run(bound.values, lambda script: self._new_path(specialisation, bound, script))
        return path, paths

    def _new_path(self, specialisation: Specialisation, bound: BoundArguments, script: tuple[float, ...]) -> Path:
        path = self._maker.path(specialisation, bound, script, weakref.WeakMethod(self._replace))
        paths = specialisation.paths
        if len(paths.by_outcomes) >= paths.limit and not self._warned_of_paths:
            self._warned_of_paths = True
            from archimedes_grad.compilation.report import path_limit_message

            warn_caller(path_limit_message(self.__name__, paths), PathLimitWarning)
        return path

    def _replace(self, before: Call, now: Call) -> None:
        """Let further calls try the same path in its new form, if they try it at all."""
        if self._fast_call is before:
            self._fast_call = now

    def _call_inside_trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        maker = self._maker
        if maker.transformation is value_function:
            return maker.function(*args, **kwargs)
        bound, layout = self._bound(args, kwargs)
        return nested_call(maker.function, bound, layout, maker.transformation, maker.has_aux)
