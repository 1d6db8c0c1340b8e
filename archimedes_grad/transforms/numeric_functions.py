"""The transforms by numeric methods: ``grad(f, method="adaptive")`` and the like, for what cannot be traced.

Arguments, trees and results are those of the symbolic transforms; the derivatives come from calling the function at
points (``numeric/``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad import numeric
from archimedes_grad.arguments.signature import CallSignature
from archimedes_grad.arguments.specs import flatten, is_static_by_nature, is_tree, leaves_of
from archimedes_grad.arrays.trace_state import current_trace, trace_error
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.compilation.pickling import MadeByRecipe, Packed, Recipe
from archimedes_grad.derivatives.autodiff import require_numbers, require_scalar
from archimedes_grad.derivatives.directional import form_of_arguments, leaves_with_cotangents, require_same_form
from archimedes_grad.derivatives.jacobians import require_one_argument, require_one_output
from archimedes_grad.errors import FallbackWarning, TraceError, warn_caller
from archimedes_grad.nodes.strided import laid_out
from archimedes_grad.numeric.functions import real_output
from archimedes_grad.tracing.bound_arguments import BoundArguments
from archimedes_grad.tracing.graph import Template
from archimedes_grad.tracing.trace import auxiliary_pair


class NumericFunction(MadeByRecipe):
    """A derivative computed by calling the function at points.

    Made by ``arc.grad`` and the others with a numeric ``method``. Called like the function itself.
    """

    def __init__(
        self, function: Callable[..., Any], signature: CallSignature, transform: str, name: str, has_aux: bool,
        method: str, options: dict[str, Any], sparse: bool = False, recipe: Recipe | None = None,
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, function)
        self.__name__ = self.__qualname__ = name
        self.__signature__ = signature.presented
        self._function = function
        self._signature = signature
        self._compute = getattr(_Call, f"sparse_{transform}" if sparse else transform)
        self._has_aux = has_aux
        self.method = method
        self.options = options
        self._recipe = recipe

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


class AutomaticFunction(MadeByRecipe):
    """A derivative computed symbolically, and adaptively once a TraceError has said that tracing is impossible."""

    def __init__(
        self, symbolic: CompiledFunction[..., Any], adaptive: NumericFunction, recipe: Recipe | None = None
    ) -> None:
        functools.update_wrapper(self, adaptive)
        self._recipe = recipe
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
            warn_caller(message, FallbackWarning)
        return self._adaptive(*args, **kwargs)

    def _taken_apart(self) -> tuple[list[Callable[..., Any]], Any]:
        functions, how = super()._taken_apart()
        return functions, (how, self._fell_back)

    def _put_together(self, functions: Sequence[Callable[..., Any]], how: Any) -> None:
        recipe, fell_back = how
        super()._put_together(functions, recipe)
        self._fell_back = fell_back

    def _learnt(self) -> list[Packed]:
        return self._symbolic._learnt()

    def _learn(self, learnt: list[Packed]) -> None:
        self._symbolic._learn(learnt)

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
        output, self.auxiliary = self._evaluated(self.point)
        self.output = _template_of(output)
        self.output_shapes = [np.shape(real_output(leaf, self.bound.name)) for leaf in _numbers(output)]
        self.n_outputs = sum(map(math.prod, self.output_shapes))

    # --- the function of the flat vector --------------------------------------------------------

    def _evaluated(self, flat: npt.NDArray[Any]) -> tuple[Any, Any]:
        values = list(self.bound.values)
        for leaf, part in zip(self.wanted, self._parts(flat), strict=True):
            values[leaf] = part if isinstance(values[leaf], np.ndarray) else part[()]
        values = [
            laid_out(value, value.dtype, leaf.strides) if isinstance(value, np.ndarray) else value
            for value, leaf in zip(values, self.bound.leaves, strict=True)
        ]
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
        return _flat(_numbers(self._evaluated(flat)[0]), flat.ndim - 1)

    # --- the transforms -------------------------------------------------------------------------

    def grad(self) -> Any:
        require_scalar(self.bound.name, self.output)
        return self._like_arguments(self._parts(self._gradient(self._scalar)))

    def value_and_grad(self) -> Any:
        gradient = self.grad()
        value = np.float64(self.output.constant)
        return ((value, self.auxiliary) if self.has_aux else value), gradient

    def jac(self) -> Any:
        require_numbers(self.bound.name, self.output)
        return self._like_output(self._blocks(self._jacobian(), self.output_shapes))

    def hess(self) -> Any:
        require_scalar(self.bound.name, self.output)
        return self._like_arguments(self._blocks(self._hessian(), self.shapes))

    def sparse_jac(self) -> Any:
        require_one_output(self.bound.name, self.output.structure is not None)
        require_numbers(self.bound.name, self.output)
        self._require_one_argument("jac")
        return _sparse(self._jacobian())

    def sparse_hess(self) -> Any:
        require_scalar(self.bound.name, self.output)
        self._require_one_argument("hess")
        return _sparse(self._hessian())

    def jvp(self) -> Any:
        require_numbers(self.bound.name, self.output)
        direction = self._tangent()
        tangents = np.zeros(self.n_outputs)
        if self.n_outputs and direction.any():
            along = numeric.directional(self._named(self._vector), self.point, direction, **self.settings)
            tangents = self._checked(along)
        parts = zip(_split(tangents, self.output_shapes), self.output_shapes, strict=True)
        return self._like_output([part.reshape(shape)[()] for part, shape in parts])

    def vjp(self) -> Any:
        require_numbers(self.bound.name, self.output)
        leaves = leaves_with_cotangents(self.output, self.layout, self.bound.trees)
        shapes = [np.shape(leaf.constant) for leaf in leaves]
        cotangent = self._direction(shapes, self.output, "the output of the function")
        # A truth value has a cotangent only where one is given.
        places = [i for i, leaf in enumerate(_leaves(self.output)) if any(leaf is own for own in leaves)]

        def product(flat: npt.NDArray[Any]) -> Any:
            results = leaves_of(self._evaluated(flat)[0])
            return _flat([results[i] for i in places], flat.ndim - 1) @ cotangent

        return self._like_arguments(self._parts(self._gradient(product)))

    def hvp(self) -> Any:
        require_scalar(self.bound.name, self.output)
        direction = self._tangent()
        return self._like_arguments(self._parts(self._hessian() @ direction))

    # --- what they have in common: derivatives as matrices, of nothing too ----------------------

    def _gradient(self, function: Callable[..., Any]) -> npt.NDArray[Any]:
        if not self.point.size:
            return np.zeros(0)
        return self._checked(numeric.gradient(self._named(function), self.point, **self.settings))

    def _jacobian(self) -> npt.NDArray[Any]:
        if not self.point.size or not self.n_outputs:
            return np.zeros((self.n_outputs, self.point.size))
        return self._checked(numeric.jacobian(self._named(self._vector), self.point, **self.settings))

    def _hessian(self) -> npt.NDArray[Any]:
        if not self.point.size:
            return np.zeros((0, 0))
        return self._checked(numeric.hessian(self._named(self._scalar), self.point, **self.settings))

    def _named(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _Named(self.bound.name, function)

    def _tangent(self) -> npt.NDArray[Any]:
        """Return the direction in the space of the differentiated arguments, as one vector."""
        return self._direction(self.shapes, *form_of_arguments(self.layout, self.bound.trees))

    def _direction(self, shapes: list[tuple[int, ...]], expected: Template, of: str) -> npt.NDArray[Any]:
        """Return the direction as one vector; its leaves must have the shapes and stand in the tree given."""
        at = self.layout.direction
        assert at is not None
        given = [v for leaf, v in zip(self.bound.leaves, self.bound.values, strict=True) if leaf.position == at]
        found = [np.shape(v) for v in given]
        require_same_form(self.bound.name, self.layout, found, shapes, self.bound.trees[at], expected, of)
        return _flat(given)

    def _require_one_argument(self, transform: str) -> None:
        trees = [self.bound.trees[position] for position in self.layout.differentiated]
        require_one_argument(self.bound.name, transform, trees, len(self.wanted))

    def _blocks(self, rows: npt.NDArray[Any], shapes: list[tuple[int, ...]]) -> list[Any]:
        """Return the rows of a derivative by what they belong to, arrays of these shapes; columns in the arguments."""
        return [
            self._like_arguments([part.reshape(shape + part.shape[1:]) for part in self._parts(block)])
            for block, shape in zip(_split(rows, shapes), shapes, strict=True)
        ]

    def _like_output(self, parts: list[Any]) -> Any:
        """Return the output's tree with parts in the places of its numbers, and None in those of what is none."""
        place = iter(parts)
        leaves = [next(place) if _is_number(leaf.constant) else None for leaf in _leaves(self.output)]
        return leaves[0] if self.output.structure is None else self.output.structure.unflatten(leaves)

    def _like_arguments(self, parts: list[Any]) -> Any:
        place = dict(zip(self.wanted, parts, strict=True))
        trees = [_replaced(self.bound.trees[position], place) for position in self.layout.differentiated]
        return trees[0] if self.layout.single else tuple(trees)

    def _checked(self, result: numeric.DerivativeResult) -> npt.NDArray[Any]:
        return np.asarray(result.checked())


class _Named:
    """A function of the flat vector under the name of the user's, for messages."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__ = name
        self._function = function

    def __call__(self, flat: Any) -> Any:
        return self._function(flat)


def _template_of(output: Any) -> Template:
    """Return what a function returned as a template of constants."""
    if not is_tree(output):
        return Template(constant=output)
    leaves, structure = flatten(output)
    return Template(structure=structure, children=tuple(Template(constant=leaf) for leaf in leaves))


def _leaves(output: Template) -> tuple[Template, ...]:
    return (output,) if output.structure is None else output.children


def _numbers(output: Any) -> list[Any]:
    return [leaf for leaf in leaves_of(output) if _is_number(leaf)]


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, bool | np.bool_) or not is_static_by_nature(leaf)


def _flat(numbers: list[Any], lead: int = 0) -> npt.NDArray[Any]:
    """Return numbers as one vector, or as many as the leading axes count: those of points that are taken at once."""
    parts = [np.reshape(number, (*np.shape(number)[:lead], -1)) for number in numbers]
    return np.concatenate(parts, axis=-1) if parts else np.zeros(0)


def _sparse(matrix: npt.NDArray[Any]) -> Any:
    from scipy.sparse import csc_array

    return csc_array(matrix)


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
