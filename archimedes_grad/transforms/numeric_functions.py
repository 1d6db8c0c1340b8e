"""The transforms by numeric methods: ``grad(f, method="adaptive")`` and the like, for what cannot be traced.

Arguments, trees and results are those of the symbolic transforms; the derivatives come from calling the function at
points (``numeric/``).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad import numeric
from archimedes_grad.arguments.signature import CallSignature
from archimedes_grad.arguments.specs import flatten, is_tree, leaves_of
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.errors import FallbackWarning, TraceError
from archimedes_grad.numeric.functions import real_output
from archimedes_grad.tracing.graph import Template
from archimedes_grad.tracing.trace import BoundArguments, auxiliary_pair, described


class NumericFunction:
    """A derivative computed by calling the function at points.

    Made by ``arc.grad`` and the others with a numeric ``method``. Called like the function itself.
    """

    def __init__(
        self, function: Callable[..., Any], signature: CallSignature, transform: str, name: str, has_aux: bool,
        method: str, options: dict[str, Any],
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, function)
        self.__name__ = self.__qualname__ = name
        self.__signature__ = signature.signature
        self._function = function
        self._signature = signature
        self._compute = getattr(_Call, transform)
        self._has_aux = has_aux
        self.method = method
        self.options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Differentiate at these arguments."""
        if current_trace() is not None:
            raise trace_error(
                f"{self.__name__} differentiates by calling the function at points, and got a traced function around "
                f"it, which has none: plain numbers were expected.",
                "Use method='symbolic' inside traced functions, or arc.callback around a black box.",
            )
        call = _Call(self._function, self._signature, self._has_aux, self.method, self.options, args, kwargs)
        result = self._compute(call)
        return (result, call.auxiliary) if self._has_aux and self._compute is not _Call.value_and_grad else result

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def clear_cache(self) -> None:
        """Do nothing: no trace is kept."""

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: nothing is compiled."""
        raise self._no_graph("explain")

    def graph(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: there is no graph."""
        raise self._no_graph("graph")

    def to_casadi(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: there is no graph."""
        raise self._no_graph("to_casadi")

    def sparsity(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: there is no graph."""
        raise self._no_graph("sparsity")

    def codegen(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Refused: there is no graph."""
        raise self._no_graph("codegen")

    def _no_graph(self, asked: str) -> ValueError:
        return ValueError(
            f"{self.__name__}.{asked}: method {self.method!r} calls the function at points and has no graph; method "
            f"'symbolic' was expected. Make it without method=, or see full_output=True of the kits."
        )


class AutomaticFunction:
    """A derivative computed symbolically, and adaptively once a TraceError has said that tracing is impossible."""

    def __init__(self, symbolic: CompiledFunction[..., Any], adaptive: NumericFunction) -> None:
        functools.update_wrapper(self, adaptive)
        self._symbolic = symbolic
        self._adaptive = adaptive
        self._fell_back = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Differentiate at these arguments."""
        if not self._fell_back:
            try:
                return self._symbolic(*args, **kwargs)
            except TraceError as error:
                self._fell_back = True
                message = f"{self._symbolic.__name__} is differentiated numerically (adaptive) from now on: {error}"
            warnings.warn(message, FallbackWarning, stacklevel=2)
        return self._adaptive(*args, **kwargs)

    def _chosen(self) -> CompiledFunction[..., Any] | NumericFunction:
        return self._adaptive if self._fell_back else self._symbolic

    def clear_cache(self) -> None:
        """Forget all traces, and that one was impossible: the next call tries again."""
        self._fell_back = False
        self._symbolic.clear_cache()

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """As of a symbolic derivative, as long as tracing was possible."""
        return self._chosen().explain(*args, **kwargs)

    def graph(self, *args: Any, **kwargs: Any) -> Any:
        """As of a symbolic derivative, as long as tracing was possible."""
        return self._chosen().graph(*args, **kwargs)

    def to_casadi(self, *args: Any, **kwargs: Any) -> Any:
        """As of a symbolic derivative, as long as tracing was possible."""
        return self._chosen().to_casadi(*args, **kwargs)

    def sparsity(self, *args: Any, **kwargs: Any) -> Any:
        """As of a symbolic derivative, as long as tracing was possible."""
        return self._chosen().sparsity(*args, **kwargs)

    def codegen(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """As of a symbolic derivative, as long as tracing was possible."""
        return self._chosen().codegen(path, *args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


class _Call:
    """One call: the differentiated leaves as one flat vector, and what to do with it."""

    def __init__(
        self, function: Callable[..., Any], signature: CallSignature, has_aux: bool, method: str,
        options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any],
    ) -> None:  # fmt: skip
        args, kwargs = signature.completed(args, kwargs)
        self.layout = signature.layout(len(args), tuple(kwargs))
        self.bound = BoundArguments(signature.name, self.layout, (*args, *kwargs.values()))
        self.function = function
        self.has_aux = has_aux
        self.settings = {"method": method, **options}
        self.wanted = [
            i for p in self.layout.differentiated for i, leaf in enumerate(self.bound.leaves) if leaf.position == p
        ]
        self.shapes = [self.bound.leaves[i].shape for i in self.wanted]
        self.point = np.concatenate([np.ravel(np.asarray(self.bound.values[i], dtype=float)) for i in self.wanted])
        self.output, self.auxiliary = self._evaluated(self.point)
        for leaf in leaves_of(self.output):
            real_output(leaf, self.bound.name)

    # --- the function of the flat vector --------------------------------------------------------

    def _evaluated(self, flat: npt.NDArray[Any]) -> tuple[Any, Any]:
        values = [value.copy() if isinstance(value, np.ndarray) else value for value in self.bound.values]
        for leaf, part in zip(self.wanted, self._parts(flat), strict=True):
            values[leaf] = part.copy() if part.shape else part[()]
        passed = [self.bound.trees[position].build(values) for position in range(len(self.bound.trees))]
        keywords = dict(zip(self.layout.keywords, passed[self.layout.n_positional :], strict=True))
        returned = self.function(*passed[: self.layout.n_passed], **keywords)
        return auxiliary_pair(self.bound.name, returned) if self.has_aux else (returned, None)

    def _parts(self, flat: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Split the last axis into the differentiated leaves, each in its shape."""
        lead = flat.shape[:-1]
        return [
            part.reshape(lead + shape) for part, shape in zip(_split(flat, self.shapes, -1), self.shapes, strict=True)
        ]

    def _scalar(self, flat: npt.NDArray[Any]) -> Any:
        return self._evaluated(flat)[0]

    def _vector(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([np.ravel(leaf) for leaf in leaves_of(self._evaluated(flat)[0])])

    # --- the transforms -------------------------------------------------------------------------

    def grad(self) -> Any:
        self._require_scalar()
        gradient = self._checked(numeric.gradient(self._scalar, self.point, **self.settings))
        return self._like_arguments(self._parts(gradient))

    def value_and_grad(self) -> Any:
        value = np.float64(self.output) if np.shape(self.output) == () else self.output
        return ((value, self.auxiliary) if self.has_aux else value), self.grad()

    def jac(self) -> Any:
        jacobian = self._checked(numeric.jacobian(self._vector, self.point, **self.settings))
        return self._like_output(self._blocks(jacobian, self._output_shapes()))

    def hess(self) -> Any:
        self._require_scalar()
        hessian = self._checked(numeric.hessian(self._scalar, self.point, **self.settings))
        return self._like_arguments(self._blocks(hessian, self.shapes))

    def jvp(self) -> Any:
        direction = self._direction(self.shapes, "the chosen arguments")
        along = numeric.derivative(lambda t: self._vector(self.point + t * direction), 0.0, **self.settings)
        tangents = self._checked(along)
        shapes = self._output_shapes()
        parts = zip(_split(tangents, shapes), shapes, strict=True)
        return self._like_output([part.reshape(shape)[()] for part, shape in parts])

    def vjp(self) -> Any:
        cotangent = self._direction(self._output_shapes(), "the output")
        product = numeric.gradient(lambda p: cotangent @ self._vector(p), self.point, **self.settings)
        return self._like_arguments(self._parts(self._checked(product)))

    def hvp(self) -> Any:
        self._require_scalar()
        direction = self._direction(self.shapes, "the chosen arguments")
        hessian = self._checked(numeric.hessian(self._scalar, self.point, **self.settings))
        return self._like_arguments(self._parts(hessian @ direction))

    def _direction(self, shapes: list[tuple[int, ...]], of: str) -> npt.NDArray[Any]:
        """Return the direction as one vector; its leaves must have the shapes given."""
        assert self.layout.direction is not None
        leaves = [i for i, leaf in enumerate(self.bound.leaves) if leaf.position == self.layout.direction]
        given = [self.bound.leaves[i].shape for i in leaves]
        if given != shapes:
            raise ValueError(
                f"{self.bound.name}: the direction {self.layout.names[self.layout.direction]!r} has leaves of shapes "
                f"{given}, but {of} {shapes}; they must be the same. np.zeros_like of it has them."
            )
        return np.concatenate([np.ravel(np.asarray(self.bound.values[i], dtype=float)) for i in leaves])

    def _blocks(self, rows: npt.NDArray[Any], shapes: list[tuple[int, ...]]) -> list[Any]:
        """Return the rows of a derivative by what they belong to, arrays of these shapes; columns in the arguments."""
        return [
            self._like_arguments([part.reshape(shape + part.shape[1:]) for part in self._parts(block)])
            for block, shape in zip(_split(rows, shapes), shapes, strict=True)
        ]

    def _output_shapes(self) -> list[tuple[int, ...]]:
        return [np.shape(leaf) for leaf in leaves_of(self.output)]

    def _like_output(self, parts: list[Any]) -> Any:
        return flatten(self.output)[1].unflatten(parts) if is_tree(self.output) else parts[0]

    def _like_arguments(self, parts: list[Any]) -> Any:
        place = dict(zip(self.wanted, parts, strict=True))
        trees = [_replaced(self.bound.trees[position], place) for position in self.layout.differentiated]
        return trees[0] if self.layout.single else tuple(trees)

    def _checked(self, result: numeric.DerivativeResult) -> npt.NDArray[Any]:
        return np.asarray(result.checked())

    def _require_scalar(self) -> None:
        shape = np.shape(self.output) if not is_tree(self.output) else "of a tree"
        if shape != () or self.output is None:
            raise ValueError(
                f"{self.bound.name}: a gradient needs a function that returns one scalar of shape (), and this returns "
                f"{described(self.output)} of shape {shape}. Use arc.jac for the derivative of an array."
            )


def _split(flat: npt.NDArray[Any], shapes: list[tuple[int, ...]], axis: int = 0) -> list[npt.NDArray[Any]]:
    """Return the entries along an axis by the arrays of these shapes that they are, one after the other."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return np.split(flat, ends[:-1], axis)


def _replaced(template: Template, place: dict[int, Any]) -> Any:
    if template.output is not None:
        part = place[template.output]
        return part[()] if isinstance(part, np.ndarray) else part
    if template.structure is not None:
        return template.structure.unflatten([_replaced(child, place) for child in template.children])
    return None
