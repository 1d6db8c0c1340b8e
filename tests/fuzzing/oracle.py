"""What must hold of a program: every way of calling it and of differentiating it agrees with the reference."""

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle
import numpy as np

import archimedes_grad as arc
from archimedes_grad.derivatives import representation as representations

from .reference import LONG, Differences, Unsure, differences, reference

EPS, EPS_SINGLE = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)

#: Derivatives agree to these shares of their scale: what double precision leaves after a few operations.
RTOL_FIRST, RTOL_SECOND = 1e-9, 1e-6

#: What NumPy raises of a program at a point that it was not built for.
ERRORS = (ValueError, IndexError, TypeError, ZeroDivisionError, NameError, np.linalg.LinAlgError)


class Refused(Exception):
    """The library says that it does not do this: no finding."""


@dataclass
class Counts:
    """What was checked.

    Attributes
    ----------
    points
        Values compared, one for each point and program; ``raised`` where NumPy and the library raised alike.
    first, second
        Derivatives compared with the reference.
    unsure
        Points at which the reference was not sure of the first derivative: no comparison.
    agreements
        Comparisons between two ways of the library.
    """

    points: int = 0
    raised: int = 0
    first: int = 0
    second: int = 0
    unsure: int = 0
    agreements: int = 0

    def add(self, other: "Counts") -> None:
        """Add another count."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def outputs_of(result: Any) -> list[Any]:
    """Return the outputs of a program as a list."""
    return list(result) if isinstance(result, tuple) else [result]


def total(result: Any) -> Any:
    """Return a sum of all entries of all outputs, each with a weight of its own."""
    return sum((np.sum(_weights(x) * x) for x in outputs_of(result)), start=0.0)


def _weights(x: Any) -> Any:
    return 1 + 0.5 * np.cos(1.0 + np.arange(np.size(x))).reshape(np.shape(x))


def _argnums(args: Sequence[Any]) -> tuple[int, ...]:
    """Return the positions of what is differentiated: not of whole numbers."""
    return tuple(i for i, x in enumerate(args) if np.asarray(x).dtype.kind == "f")


def _directions(args: Sequence[Any]) -> tuple[Any, ...]:
    """Return a direction for each argument that is differentiated, of the size of one."""
    return tuple(
        np.sin(1.3 + 2.1 * np.arange(np.size(args[i])) + 0.7 * i).reshape(np.shape(args[i]))[()] for i in _argnums(args)
    )


@dataclass
class Point:
    """A program at a point, by the reference: as where it is differentiated, which widens arguments to float64.

    Attributes
    ----------
    undifferentiated
        The same at arguments as they are, where some of them are of single precision.
    """

    args: list[Any]
    names: tuple[str, ...] = ()
    expected: list[Any] = field(default_factory=list)
    error: type[BaseException] | None = None
    outputs: list[Differences] = field(default_factory=list)
    sure: bool = False
    second_is_sure: bool = False
    slope: Any = None
    curvature: Any = None
    eps: float = EPS
    undifferentiated: "Point | None" = None

    def fresh(self) -> list[Any]:
        """Return the arguments, which the program may write to."""
        return copy.deepcopy(self.args)


def truth(program: Callable[..., Any], args: Sequence[Any]) -> Point:
    """Return what the reference knows of a program at a point.

    Raises
    ------
    Unsure
        If a derivative inside the program lies at a kink.
    """
    point, plain, direction = Point(list(args), program.__code__.co_names), reference(program), _directions(args)
    wide = [np.asarray(x, float if np.asarray(x).dtype == np.float32 else None)[()] for x in args]
    try:
        point.expected = outputs_of(plain(*copy.deepcopy(wide)))
    except AttributeError:
        raise Unsure from None  # An int of Python, as of round, which has attributes in a graph.
    except ERRORS as error:
        point.error = type(error)
        return point

    def along(s: Any) -> list[Any]:
        moved = copy.deepcopy(wide)
        for i, v in zip(_argnums(args), direction, strict=True):
            moved[i] = np.asarray(moved[i], LONG) + s * v
        return outputs_of(plain(*(x if np.ndim(x) else x[()] for x in moved)))

    try:
        point.outputs = differences(along)
    except ERRORS:
        point.outputs = [Differences(np.asarray(x)) for x in point.expected]
    point.sure = all(
        x.first_is_sure and _near(y, x.value, 1e-9 * _scale(y, x.value))
        for x, y in zip(point.outputs, point.expected, strict=True)
    )  # fmt: skip
    point.second_is_sure = point.sure and all(x.second_is_sure for x in point.outputs)
    if point.sure:
        point.slope = sum(float(np.sum(_weights(x.first) * x.first)) for x in point.outputs)
        point.curvature = sum(float(np.sum(_weights(x.second) * x.second)) for x in point.outputs)
    if any(np.asarray(x).dtype == np.float32 for x in args):
        point.undifferentiated = replace(point, eps=EPS_SINGLE)
        try:
            point.undifferentiated.expected = outputs_of(plain(*point.fresh()))
        except ERRORS as error:
            point.undifferentiated.error = type(error)
    return point


# --- comparisons ------------------------------------------------------------------------------------


def require_value(got: Any, point: Point, way: str) -> None:
    """Raise AssertionError where outputs are not NumPy's: types, shapes, values to rounding; Unsure at a jump."""
    got = outputs_of(got)
    assert len(got) == len(point.expected), f"{way}: {len(got)} outputs in place of {len(point.expected)}"
    for result, expected, exact in zip(got, point.expected, point.outputs, strict=True):
        if isinstance(expected, np.ndarray | np.generic):
            if expected.dtype.kind == "f" and expected.dtype.itemsize < 8 and point.eps == EPS:
                raise Unsure  # A truth value that NumPy made a half precision number: a graph rounds nothing to that.
            kind = np.float64 if expected.shape == () and expected.dtype.kind == "f" else type(expected)
            assert result.dtype == expected.dtype, f"{way}: dtype {result.dtype} in place of {expected.dtype}"
            assert result.shape == expected.shape, f"{way}: shape {result.shape} in place of {expected.shape}"
            assert expected.shape == () or type(result) is kind
        else:  # a plain number of Python, of which a graph makes one of NumPy
            kinds = np.asarray(result).dtype.kind, np.asarray(expected).dtype.kind
            assert kinds[0] == kinds[1], f"{way}: {type(result)} in place of {type(expected)}"
        if not _near(result, expected, _rounding(expected, exact, point.eps)):
            if not exact.first_is_sure:
                raise Unsure
            raise AssertionError(f"{way}: value\n{result}\nin place of\n{expected}")


def _rounding(expected: Any, exact: Differences, eps: float) -> Any:
    """Return what rounding may change: some units of the largest entry and of the slope, and NumPy's own error."""
    if np.asarray(expected).dtype.kind != "f" or not exact.steady:
        return 5e4 * eps * _scale(expected)
    noise = np.max(np.abs(np.asarray(expected, LONG) - exact.value), initial=0.0)
    return 500 * eps * float(_scale(expected, exact.first)) + 500 * float(noise)


def _scale(*arrays: Any) -> float:
    with np.errstate(invalid="ignore"):
        finite = [np.nan_to_num(np.asarray(x, float), posinf=0, neginf=0) for x in arrays]
        return max(float(np.max(np.abs(x), initial=1.0)) for x in finite)


def _near(got: Any, expected: Any, tolerance: Any) -> bool:
    return np.allclose(np.asarray(got, float), np.asarray(expected, float), rtol=0, atol=tolerance, equal_nan=True)


def require_number(got: Any, expected: float, scale: float, rtol: float, way: str) -> None:
    """Raise AssertionError where a number is not near the expected one, on a scale."""
    if not abs(float(got) - expected) <= rtol * max(1.0, scale):
        raise AssertionError(f"{way}: {float(got)!r} in place of {expected!r}")


def _dot(left: Sequence[Any], right: Sequence[Any]) -> float:
    return float(sum(np.sum(a * b) for a, b in zip(left, right, strict=True)))


def require_alike(got: Any, expected: Any, way: str, rtol: float = 1e-10) -> None:
    """Raise AssertionError where two ways of the library do not agree."""
    for a, b in zip(got, expected, strict=True):
        assert np.shape(a) == np.shape(b), f"{way}: shape {np.shape(a)} in place of {np.shape(b)}"
        if not _near(a, b, rtol * _scale(b)):
            raise AssertionError(f"{way}:\n{a}\nin place of\n{b}")


# --- ways of calling and differentiating ------------------------------------------------------------


@dataclass
class Case:
    """A program with its derivative as the library gives it, for the ways that compare with that.

    Attributes
    ----------
    gradients
        At each point where the library gave one.
    """

    program: Callable[..., Any]
    points: list[Point]
    engine: str
    argnums: tuple[int, ...]
    counts: Counts
    gradients: dict[int, Any] = field(default_factory=dict)

    def scalar(self, *args: Any) -> Any:
        """Return the weighted sum of the outputs."""
        return total(self.program(*args))

    def with_outputs(self, *args: Any) -> Any:
        """Return the weighted sum, and the outputs as auxiliary ones."""
        result = self.program(*args)
        return total(result), result

    @property
    def options(self) -> dict[str, Any]:
        """What goes to every transformation."""
        return {"engine": self.engine} if self.engine != "vm" else {}

    def derivative(self) -> Any:
        """Return value, outputs and gradient in one evaluation."""
        return arc.value_and_grad(self.with_outputs, argnums=self.argnums, has_aux=True, **self.options)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _called(function: Callable[..., Any], point: Point, *more: Any) -> Any:
    """Return a result, None where both NumPy and the library raise.

    Raises
    ------
    AssertionError
        If only one of them raises, or the arguments were written to.
    Refused
        If the library says that it does not do this.
    """
    given = point.fresh()
    try:
        result = function(*given, *more)
    except arc.TraceError as error:
        raise Refused(str(error).splitlines()[0]) from error
    except ERRORS as error:
        if point.error is None:
            raise AssertionError(f"raises {type(error).__name__}: {error}") from error
        # A choice traces both branches, so that the one not taken may raise first. And a plain number, which has no
        # entries and no products, is one of NumPy in a graph, which has none either: both raise, each in its words.
        kinds = {type(error), point.error}
        alike = issubclass(type(error), point.error) or kinds in ({IndexError, TypeError}, {ValueError, TypeError})
        if not alike and "arc" not in point.names:
            raise AssertionError(f"raises {type(error).__name__}: {error}, where NumPy raises {point.error}") from error
        return None
    if point.error is not None:
        raise AssertionError(f"gives a result where NumPy raises {point.error.__name__}")
    for before, after in zip(point.args, given, strict=True):
        assert np.array_equal(before, after), "an argument was written to"
    return result


def _core(case: Case) -> None:
    """Value, outputs and gradient at every point through one compiled function."""
    derivative, compiled = case.derivative(), arc.compile(case.program, **case.options)
    for k, point in enumerate(case.points):
        result = _called(derivative, point)
        if result is None:
            case.counts.raised += 1
            continue
        (_, outputs), gradient = result
        require_value(outputs, point, f"point {k}")
        case.counts.points += 1
        if point.undifferentiated is not None:
            result = _called(compiled, point.undifferentiated)
            if result is not None:
                require_value(result, point.undifferentiated, f"compiled, point {k}")
        case.gradients[k] = gradient
        _require_slope(case, k, gradient, f"gradient at point {k}")


def _require_slope(case: Case, k: int, gradient: Any, way: str) -> None:
    point = case.points[k]
    if not point.sure:
        case.counts.unsure += 1
        return
    direction = _directions(point.args)
    scale = max(_scale(*gradient), *(_scale(x.first, x.value) for x in point.outputs))
    require_number(_dot(gradient, direction), point.slope, scale, RTOL_FIRST, way)
    case.counts.first += 1


def _compare(case: Case, derivative: Any, way: str) -> None:
    """Require the outputs and gradients that were found before, at all points."""
    for k, gradient in case.gradients.items():
        point = case.points[k]
        (_, outputs), again = _called(derivative, point)
        require_value(outputs, point, f"{way}, point {k}")
        if point.sure:
            require_alike(again, gradient, f"{way}, gradient at point {k}")
            case.counts.agreements += 1


def _forced(name: str) -> Callable[[Case], None]:
    def way(case: Case) -> None:
        before = representations._choice
        representations._choice = lambda graph, primal: ("array" if graph.opaque else name, "the test asks for it")
        try:
            _compare(case, case.derivative(), f"as {name}")
        finally:
            representations._choice = before

    return way


def _pickled(case: Case) -> None:
    derivative = pickle.loads(cloudpickle.dumps(case.derivative()))
    _compare(case, derivative, "pickled")


def _nested(case: Case) -> None:
    derivative = case.derivative()
    _compare(case, arc.compile(lambda *args: derivative(*args), **case.options), "inside compile")


def _few_paths(case: Case) -> None:
    derivative = arc.value_and_grad(
        case.with_outputs, argnums=case.argnums, has_aux=True, max_paths=1, **case.options
    )  # fmt: skip
    _compare(case, derivative, "with one path")


def _without_paths(case: Case) -> None:
    derivative = arc.value_and_grad(
        case.with_outputs, argnums=case.argnums, has_aux=True, control_flow="structured", **case.options
    )  # fmt: skip
    _compare(case, derivative, "without paths")


def _forward(case: Case) -> None:
    product = arc.jvp(case.program, argnums=case.argnums, **case.options)
    for k in case.gradients:
        point = case.points[k]
        if not point.sure:
            continue
        tangents = outputs_of(_called(product, point, _directions(point.args)))
        for got, exact in zip(tangents, point.outputs, strict=True):
            scale = max(_scale(exact.first, exact.value), *map(_scale, case.gradients[k]))
            assert np.shape(got) == exact.first.shape, f"jvp at point {k}: shape {np.shape(got)}"
            if not _near(got, exact.first, RTOL_FIRST * scale):
                raise AssertionError(f"jvp at point {k}:\n{got}\nin place of\n{exact.first}")
        case.counts.first += 1


def _reverse(case: Case) -> None:
    product = arc.vjp(lambda *args: outputs_of(case.program(*args)), argnums=case.argnums, **case.options)
    for k, gradient in case.gradients.items():
        point = case.points[k]
        cotangents = [_weights(x)[()] for x in point.expected]
        if point.sure:
            require_alike(_called(product, point, cotangents), gradient, f"vjp at point {k}")
            case.counts.agreements += 1


def _columns(case: Case) -> None:
    jacobian = arc.jac(case.scalar, argnums=case.argnums, **case.options)
    for k, gradient in case.gradients.items():
        if case.points[k].sure:
            require_alike(_called(jacobian, case.points[k]), gradient, f"jac at point {k}")
            case.counts.agreements += 1


def _second(product: Callable[[Case], Callable[..., Any]], way: str) -> Callable[[Case], None]:
    """Return a check of the second derivative along a direction, however it is computed."""

    def check(case: Case) -> None:
        compiled = product(case)
        for k in case.gradients:
            point = case.points[k]
            if not point.second_is_sure:
                continue
            direction = _directions(point.args)
            result = _called(compiled, point, direction)
            scale = max(_scale(*result), *(_scale(x.second, x.first, x.value) for x in point.outputs))
            require_number(_dot(result, direction), point.curvature, scale, RTOL_SECOND, f"{way} at point {k}")
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
    points = [case.points[k].undifferentiated or case.points[k] for k in case.gradients]
    if any(point.error is not None for point in points):
        return
    shapes = {tuple(np.shape(x) for x in point.expected) for point in points}
    if len(shapes) != 1:
        return
    stacks = [np.stack(items) for items in zip(*(point.args for point in points), strict=True)]
    try:
        results = outputs_of(arc.vmap(case.program)(*stacks))
    except arc.TraceError as error:
        raise Refused(str(error).splitlines()[0]) from error
    for k, point in enumerate(points):
        require_value(tuple(np.asarray(x)[k] for x in results), point, f"vmap, item {k}")
    case.counts.agreements += 1


WAYS: dict[str, Callable[[Case], None]] = {
    "scalar": _forced("scalar"), "array": _forced("array"), "jvp": _forward, "hvp": _second(_hvp, "hvp"),
    "grad of grad": _second(_gradient_of_gradient, "grad of grad"), "vjp": _reverse, "vmap": _batched,
    "jvp of grad": _second(_forward_over_reverse, "jvp of grad"), "hess": _second(_full_hessian, "hess"),
    "pickled": _pickled, "nested": _nested, "one path": _few_paths, "no paths": _without_paths, "jac": _columns,
}  # fmt: skip


def check(
    program: Callable[..., Any], points: Sequence[Sequence[Any]], ways: Sequence[str], engines: Sequence[str] = ("vm",)
) -> Counts:
    """Check a program at points by some of the ways, and return what was compared.

    Raises
    ------
    AssertionError
        A finding.
    Unsure
        If the reference is not sure of a value.
    Refused
        If the library refuses the program by itself; what only a way refuses is left out.
    """
    counts = Counts()
    with _quiet():
        known = [truth(program, args) for args in points]
        for engine in engines:
            case = Case(program, known, engine, _argnums(points[0]), counts)
            _core(case)
            for way in ways:
                try:
                    WAYS[way](case)
                except Refused as refusal:
                    if not any(words in str(refusal) for words in REFUSALS.get(way, ())):
                        raise AssertionError(f"{way}: {refusal}") from refusal
    return counts


#: Ways that cannot do everything, and the words that say so.
REFUSALS = {
    "vmap": ("actual value",),
    "no paths": ("structured",),
}


def check_program(program: Callable[..., Any], *points: Sequence[Any]) -> None:
    """Assert everything about a program at points, by all ways: for regression tests."""
    check(program, points, tuple(WAYS))
