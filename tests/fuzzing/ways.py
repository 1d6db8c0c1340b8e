"""Ways of calling a program and of differentiating it."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cloudpickle
import numpy as np
from helpers import forced

import archimedes_grad as arc

from .case import Case, Refused, called, require_the_same
from .plain_transforms import reference
from .reference import ERRORS, Differences
from .truth import (
    RTOL_FIRST,
    RTOL_SECOND,
    Point,
    directions_of,
    dot,
    is_near,
    outputs_of,
    require_alike,
    require_number,
    require_value,
    scale_of,
    total,
    weights_of,
)


def _forced(name: str) -> Callable[[Case], None]:
    def way(case: Case) -> None:
        with forced(name):
            require_the_same(case, case.derivative(), f"as {name}")

    return way


def _pickled(case: Case) -> None:
    derivative = pickle.loads(cloudpickle.dumps(case.derivative()))
    require_the_same(case, derivative, "pickled")


def _nested(case: Case) -> None:
    derivative = case.derivative()
    require_the_same(case, arc.compile(lambda *args: derivative(*args), **case.options), "inside compile")


def _few_paths(case: Case) -> None:
    derivative = arc.value_and_grad(
        case.with_outputs, argnums=case.argnums, has_aux=True, max_paths=1, **case.options
    )  # fmt: skip
    require_the_same(case, derivative, "with one path")


def _without_paths(case: Case) -> None:
    derivative = arc.value_and_grad(
        case.with_outputs, argnums=case.argnums, has_aux=True, control_flow="structured", **case.options
    )  # fmt: skip
    require_the_same(case, derivative, "without paths")


def _forward(case: Case) -> None:
    product = arc.jvp(case.program, argnums=case.argnums, **case.options)
    for k in case.gradients:
        point = case.points[k]
        if not point.sure:
            continue
        tangents = outputs_of(called(product, point, directions_of(point.args)))
        for got, exact in zip(tangents, point.outputs, strict=True):
            scale = max(scale_of(exact.first, exact.value), *map(scale_of, case.gradients[k]))
            assert np.shape(got) == exact.first.shape, f"jvp at point {k}: shape {np.shape(got)}"
            if not is_near(got, exact.first, (RTOL_FIRST if point.order < 2 else RTOL_SECOND) * scale):
                raise AssertionError(f"jvp at point {k}:\n{got}\nin place of\n{exact.first}")
        case.counts.first += 1


def _reverse(case: Case) -> None:
    product = arc.vjp(lambda *args: outputs_of(case.program(*args)), argnums=case.argnums, **case.options)
    for k, gradient in case.gradients.items():
        point = case.points[k]
        cotangents = [weights_of(x)[()] for x in point.expected]
        if point.sure:
            require_alike(called(product, point, cotangents), gradient, f"vjp at point {k}")
            case.counts.agreements += 1


def _columns(case: Case) -> None:
    jacobian = arc.jac(case.scalar, argnums=case.argnums, **case.options)
    for k, gradient in case.gradients.items():
        if case.points[k].sure:
            require_alike(called(jacobian, case.points[k]), gradient, f"jac at point {k}")
            case.counts.agreements += 1


def _second(product: Callable[[Case], Callable[..., Any]], way: str) -> Callable[[Case], None]:
    """Return a check of the second derivative along a direction, however it is computed."""

    def check(case: Case) -> None:
        compiled = product(case)
        for k in case.gradients:
            point = case.points[k]
            if not point.second_is_sure:
                continue
            direction = directions_of(point.args)
            result = called(compiled, point, direction)
            scale = max(scale_of(*result), *(scale_of(x.second, x.first, x.value) for x in point.outputs))
            scale *= point.n_errors
            require_number(dot(result, direction), point.curvature, scale, RTOL_SECOND, f"{way} at point {k}")
            case.counts.second += 1

    return check


def _hvp(case: Case) -> Callable[..., Any]:
    return arc.hvp(case.scalar, argnums=case.argnums, **case.options)


def _gradient_of_gradient(case: Case) -> Callable[..., Any]:
    gradient = arc.grad(case.scalar, argnums=case.argnums)

    def slope(*args: Any) -> Any:
        *point, direction = args
        return sum(np.sum(g * v) for g, v in zip(gradient(*point), direction, strict=True))

    return arc.grad(slope, argnums=case.argnums, **case.options)


def _forward_over_reverse(case: Case) -> Callable[..., Any]:
    gradient = arc.grad(case.scalar, argnums=case.argnums)
    return arc.jvp(lambda *args: gradient(*args), argnums=case.argnums, **case.options)


def _full_hessian(case: Case) -> Callable[..., Any]:
    hessian = arc.hess(case.scalar, argnums=case.argnums, **case.options)

    def product(*args: Any) -> Any:
        *point, direction = args
        blocks = hessian(*point)
        return tuple(
            sum(np.tensordot(block, v, np.ndim(v)) for block, v in zip(row, direction, strict=True)) for row in blocks
        )

    return product


def _batched(case: Case) -> None:
    """vmap over the points; branches on values are refused there."""
    points = _alike(case)
    if points is None:
        return
    stacks = [np.stack(items) for items in zip(*(point.args for point in points), strict=True)]
    try:
        results = outputs_of(arc.vmap(case.program)(*stacks))
    except arc.TraceError as error:
        raise Refused(str(error).splitlines()[0]) from error
    for k, point in enumerate(points):
        require_value(tuple(np.asarray(x)[k] for x in results), point, f"vmap, item {k}")
    case.counts.agreements += 1


def _jacobian_of_outputs(case: Case) -> None:
    """The Jacobian of all outputs, contracted with a direction."""
    jacobian = arc.jac(lambda *args: outputs_of(case.program(*args)), argnums=case.argnums, **case.options)
    for k in case.gradients:
        point = case.points[k]
        if point.sure:
            blocks = called(jacobian, point)
            direction = directions_of(point.args)
            for row, exact in zip(blocks, point.outputs, strict=True):
                tangent = sum(np.tensordot(b, v, np.ndim(v)) for b, v in zip(row, direction, strict=True))
                _require_tangent(case, k, tangent, exact, "jac of all outputs", 1)


def _require_tangent(case: Case, k: int, got: Any, exact: Differences, way: str, order: int) -> None:
    """Raise AssertionError where a derivative of an output along the direction is not that of the reference."""
    expected = exact.first if order == 1 else exact.second
    rtol = RTOL_FIRST if order == 1 and case.points[k].order < 2 else RTOL_SECOND
    scale = max(scale_of(expected, exact.first, exact.value), *map(scale_of, case.gradients[k]))
    assert np.shape(got) == expected.shape, f"{way} at point {k}: shape {np.shape(got)} in place of {expected.shape}"
    if not is_near(got, expected, rtol * scale):
        raise AssertionError(f"{way} at point {k}:\n{got}\nin place of\n{expected}")
    if order == 1:
        case.counts.first += 1
    else:
        case.counts.second += 1


def _forward_twice(case: Case) -> None:
    """jvp of jvp: the second derivative of each output."""
    tangent = arc.jvp(lambda *args: tuple(outputs_of(case.program(*args))), argnums=case.argnums)

    def slope(*args: Any) -> Any:
        return tangent(*args[:-1], args[-1])

    second = arc.jvp(slope, argnums=case.argnums, **case.options)
    for k in case.gradients:
        point = case.points[k]
        if point.second_is_sure:
            direction = directions_of(point.args)
            for got, exact in zip(called(second, point, direction, direction), point.outputs, strict=True):
                _require_tangent(case, k, got, exact, "jvp of jvp", 2)


def _sparse(case: Case) -> None:
    """Sparse Jacobians and Hessians beside dense ones, for each argument."""

    def flat(*args: Any) -> Any:
        return np.concatenate([np.ravel(x) * 1.0 for x in outputs_of(case.program(*args))])

    sure = [case.points[k] for k in case.gradients if case.points[k].sure]
    twice_sure = [point for point in sure if point.second_is_sure]
    for i in case.argnums:
        n = np.size(case.points[0].args[i])
        if np.ndim(case.points[0].args[i]) == 0:
            continue
        for transform, function, rows, points in ((arc.jac, flat, -1, sure), (arc.hess, case.scalar, n, twice_sure)):
            if not points:
                continue
            of_dense, of_sparse = (transform(function, argnums=i, sparse=s, **case.options) for s in (False, True))
            for point in points:
                dense, sparse = called(of_dense, point), called(of_sparse, point)
                require_alike([sparse.toarray()], [np.reshape(dense, (rows if n else sparse.shape[0], n))], "sparse")
                case.counts.agreements += 1


def _of_many_entries(case: Case) -> None:
    """Jacobians and Hessians of arrays by longer vectors, as arrays, beside sweeps in one direction."""

    def widened(function: Callable[..., Any]) -> Callable[..., Any]:
        def of_vectors(*args: Any) -> Any:
            own, vectors = list(args[: len(args) // 2]), args[len(args) // 2 :]
            for i in case.argnums:
                mixed = np.cos(np.add.outer(np.arange(np.size(own[i])), 2.0 * np.arange(_ENTRIES))) @ vectors[i]
                own[i] = own[i] + np.reshape(mixed, np.shape(own[i]))
            return function(*own)

        return of_vectors

    def flat(*args: Any) -> Any:
        return np.concatenate([np.ravel(x) * 1.0 for x in outputs_of(case.program(*args))])

    with forced("array"):
        _require_sweeps_alike(case, widened(flat), widened(case.scalar))


#: Of the vectors: more than most programs have outputs, so that Jacobians are swept in reverse.
_ENTRIES = 60


def _require_sweeps_alike(case: Case, flat: Callable[..., Any], scalar: Callable[..., Any]) -> None:
    first = len(case.points[0].args)
    by = tuple(first + i for i in case.argnums)
    zeros = [np.zeros(_ENTRIES) for _ in range(first)]
    jacobian, pulled_back = (made(flat, argnums=by, **case.options) for made in (arc.jac, arc.vjp))
    hessian, product = (made(scalar, argnums=by[0], **case.options) for made in (arc.hess, arc.hvp))
    direction = np.sin(np.arange(_ENTRIES) + 0.5)
    for k in case.gradients:
        point = case.points[k]
        if not point.sure:
            continue
        blocks = called(jacobian, point, *zeros)
        weights = np.sin(np.arange(len(blocks[0])) + 0.5)
        expected = called(pulled_back, point, *zeros, weights)
        require_alike([weights @ block for block in blocks], expected, "Jacobians of many entries")
        if point.second_is_sure:
            curved = called(hessian, point, *zeros) @ direction
            # Where terms cancel, as of x / x, both are as far off as the terms are larger.
            along = called(product, point, *zeros, direction)
            require_alike([curved], [along], "Hessians of many entries", RTOL_SECOND)
        case.counts.agreements += 1


def _in_trees(case: Case) -> None:
    """The arguments in one tree, the outputs beside as a tree."""

    def of_tree(tree: Any) -> Any:
        args = [*tree["a"], tree["b"]]
        outputs = outputs_of(case.program(*args))
        return total(tuple(outputs)), {"outputs": tuple(outputs), "none": None}

    if len(case.argnums) != len(case.points[0].args):
        return
    derivative = arc.value_and_grad(of_tree, has_aux=True, **case.options)

    def flat(*args: Any) -> Any:
        (value, aux), gradient = derivative({"b": args[-1], "a": args[:-1], "name": "x"})
        assert gradient["name"] is None
        assert aux["none"] is None
        return (value, aux["outputs"]), (*gradient["a"], gradient["b"])

    require_the_same(case, flat, "in trees")


def _laid_out(case: Case) -> None:
    """Arguments that are views of other arrays, of any order of axes, read-only, where NumPy gives the same of them."""
    derivative = case.derivative()

    def of_views(*args: Any) -> Any:
        views = [as_view(x, kind) for kind, x in enumerate(args)]
        for view in views:
            if isinstance(view, np.ndarray):
                view.flags.writeable = False
        return derivative(*views)

    alike = {k: gradient for k, gradient in case.gradients.items() if _goes_by_no_layout(case, case.points[k])}
    require_the_same(replace(case, gradients=alike), of_views, "of views")


def as_view(x: Any, kind: int) -> Any:
    """Return an array with the same entries that has gaps in memory, or whose first axis runs backwards."""
    if not np.ndim(x):
        return np.broadcast_to(x, ()) if kind % 2 else x
    return np.repeat(x, 2, axis=-1)[..., ::2] if kind % 2 else np.flip(np.flip(x, 0).copy(), 0)


def _goes_by_no_layout(case: Case, point: Point) -> bool:
    """Tell whether NumPy gives the same of views: what is reshaped of them is a copy at times, which writes miss."""
    plain = reference(case.program)
    own, of_views = (
        outputs_of(plain(*args))
        for args in (point.fresh(), [as_view(x, kind) for kind, x in enumerate(point.fresh())])
    )
    return all(np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in zip(own, of_views, strict=True))


def _again(case: Case) -> None:
    """Other points in between, and paths met in another order."""
    derivative = case.derivative()
    case.gradients = dict(reversed(case.gradients.items()))
    for _ in range(2):
        require_the_same(case, derivative, "again")


def _scanned(case: Case) -> None:
    """The program as the body of a loop over the points."""
    points = _alike(case)
    if points is None:
        return
    stacks = tuple(np.stack(items) for items in zip(*(point.args for point in points), strict=True))

    def rows(*stacks: Any) -> Any:
        return arc.scan(lambda carry, x: (carry + 1, tuple(outputs_of(case.program(*x)))), 0, stacks)

    try:
        count, results = arc.compile(rows, **case.options)(*stacks)
    except arc.TraceError as error:
        raise Refused(str(error).splitlines()[0]) from error
    assert count == len(points)
    for k, point in enumerate(points):
        require_value(tuple(np.asarray(x)[k] for x in results), point, f"scan, item {k}")
    case.counts.agreements += 1


def _alike(case: Case) -> list[Point] | None:
    """Return the points, as arguments are given, if the outputs have the same shapes at all of them."""
    points = [case.points[k].undifferentiated or case.points[k] for k in case.gradients]
    shapes = {tuple(np.shape(x) for x in point.expected) for point in points}
    return points if len(shapes) == 1 and all(point.error is None for point in points) else None


def _gradients_in_a_batch(case: Case) -> None:
    """vmap of the gradient over the points."""
    points = [case.points[k] for k in case.gradients]
    if not points:
        return
    stacks = [np.stack(items) for items in zip(*(point.args for point in points), strict=True)]
    batched = arc.vmap(arc.grad(case.scalar, argnums=case.argnums))
    try:
        results = batched(*stacks)
    except arc.TraceError as error:
        raise Refused(str(error).splitlines()[0]) from error
    for item, k in enumerate(case.gradients):
        if case.points[k].sure:
            require_alike([x[item] for x in results], case.gradients[k], f"vmap of grad, item {item}")
            case.counts.agreements += 1


def _closed_over(case: Case) -> None:
    """The gradient by one argument alone, the others closed over or static: constants of the graph."""
    for k, gradient in case.gradients.items():
        point = case.points[k]
        if not point.sure:
            continue
        for place, i in enumerate(case.argnums):
            given, kept = _widened(point), _widened(point)
            others = tuple(j for j in range(len(given)) if j != i)

            def alone(x: Any, i: int = i, kept: list[Any] = kept) -> Any:
                return case.scalar(*copy.deepcopy(kept[:i]), x, *copy.deepcopy(kept[i + 1 :]))

            static = arc.grad(_of_copies(case.scalar, i), argnums=i, static_argnums=others, **case.options)
            try:
                results = arc.grad(alone, **case.options)(given[i]), static(*given)
            except (arc.TraceError, ValueError) as error:
                # A write through a.flat into a constant: NumPy hides what was raised behind an error of its own.
                notes = "".join(getattr(error, "__notes__", ()))
                if not isinstance(error, arc.TraceError) and "traced value" not in notes:
                    raise
                raise Refused(str(error).splitlines()[0]) from error
            require_alike(results, [gradient[place]] * 2, "closed over and static")
            case.counts.agreements += 1


def _widened(point: Point) -> list[Any]:
    """Return the arguments, of single precision none: as a constant such an array is computed with as it is."""
    return [np.asarray(x, float)[()] if np.asarray(x).dtype == np.float32 else x for x in point.fresh()]


def _of_copies(function: Callable[..., Any], i: int) -> Callable[..., Any]:
    """Return a function that does not write to its arguments but the one of number i."""
    return lambda *args: function(*(x if j == i else copy.deepcopy(x) for j, x in enumerate(args)))


def _of_whole_numbers(case: Case) -> None:
    """Whole numbers as ints and as floats."""
    derivative = case.derivative()
    for point in case.points:
        floats = [np.rint(x) + 0.0 if np.asarray(x).dtype.kind == "f" else x for x in point.fresh()]
        if not all(np.isfinite(x).all() for x in floats):
            continue
        ints = [x.astype(int) if i in case.argnums else x for i, x in enumerate(floats)]
        try:
            (value, outputs), gradient = derivative(*floats)
        except (*ERRORS, arc.TraceError):
            continue
        (again, outputs_again), gradient_again = derivative(*ints)
        for x, y in zip(outputs_of(outputs), outputs_of(outputs_again), strict=True):
            assert np.asarray(x).dtype == np.asarray(y).dtype, f"of ints: {np.asarray(y).dtype}"
            assert np.array_equal(x, y, equal_nan=True), f"of ints: {y} in place of {x}"
        assert np.array_equal(value, again, equal_nan=True)
        for x, y in zip(gradient, gradient_again, strict=True):
            assert np.array_equal(x, y, equal_nan=True), f"of ints: gradient {y} in place of {x}"
        case.counts.agreements += 1


def _reported(case: Case) -> None:
    """What is said about a derivative does not fail, and changes nothing."""
    derivative = case.derivative()
    for k in case.gradients:
        report = str(derivative.explain(*case.points[k].fresh()))
        graph = derivative.graph(*case.points[k].fresh())
        assert "path" in report
        assert graph.n_operations >= 0
        assert repr(graph)
    require_the_same(case, derivative, "after reports")


WAYS: dict[str, Callable[[Case], None]] = {
    "scalar": _forced("scalar"), "array": _forced("array"), "jvp": _forward, "hvp": _second(_hvp, "hvp"),
    "grad of grad": _second(_gradient_of_gradient, "grad of grad"), "vjp": _reverse, "vmap": _batched,
    "jvp of grad": _second(_forward_over_reverse, "jvp of grad"), "hess": _second(_full_hessian, "hess"),
    "pickled": _pickled, "nested": _nested, "one path": _few_paths, "no paths": _without_paths, "jac": _columns,
    "jac of outputs": _jacobian_of_outputs, "jvp of jvp": _forward_twice, "sparse": _sparse, "trees": _in_trees,
    "views": _laid_out, "again": _again, "scan": _scanned, "vmap of grad": _gradients_in_a_batch,
    "closed over": _closed_over, "whole numbers": _of_whole_numbers, "reports": _reported,
    "of many entries": _of_many_entries,
}  # fmt: skip

#: Ways that cannot do everything, and the words that say so.
REFUSALS = {
    "closed over": ("",),  # What is a constant now takes no traced index or write.
    "vmap": ("actual value",),
    "vmap of grad": ("actual value",),
    "scan": ("actual value",),
    "no paths": ("structured",),
}
