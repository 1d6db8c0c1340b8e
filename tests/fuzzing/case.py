"""A program with its derivative as the library gives it: what every way of calling it is compared with."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import archimedes_grad as arc

from .reference import ERRORS, Unsure
from .truth import (
    RTOL_FIRST,
    RTOL_SECOND,
    Point,
    directions_of,
    dot,
    require_alike,
    require_no_singularity_within_rounding,
    require_number,
    require_value,
    scale_of,
    total,
)


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
    borders
        Points with equal entries, zeros or values that are not finite, of which values alone are compared.
    agreements
        Comparisons between two ways of the library.
    """

    points: int = 0
    raised: int = 0
    first: int = 0
    second: int = 0
    unsure: int = 0
    borders: int = 0
    agreements: int = 0

    def add(self, other: "Counts") -> None:
        """Add another count."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


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
def quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


#: What makes graphs of functions, which cannot raise where an index that is computed in them is out of range.
_IN_GRAPHS_OF_THEIR_OWN = frozenset({"cond", "switch", "scan", "fori_loop", "while_loop", "vmap"})


def called(function: Callable[..., Any], point: Point, *more: Any) -> Any:
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
        if "support item assignment" in str(error) and {"fill", "put"} & {*point.names}:
            raise Refused(str(error)) from error  # NumPy writes into a copy of a number, and says nothing.
        if point.error is None:
            if isinstance(error, np.linalg.LinAlgError):
                require_no_singularity_within_rounding(point)
            raise AssertionError(f"raises {type(error).__name__}: {error}") from error
        # A choice traces both branches, so that the one not taken may raise first. And a plain number, which has no
        # entries and no products, is one of NumPy in a graph, which has none either: both raise, each in its words.
        kinds = {type(error), point.error}
        alike = issubclass(type(error), point.error) or kinds in ({IndexError, TypeError}, {ValueError, TypeError})
        if not alike and "arc" not in point.names:
            raise AssertionError(f"raises {type(error).__name__}: {error}, where NumPy raises {point.error}") from error
        return None
    if point.error is not None:
        if point.error_is_unread:
            raise Unsure
        if {"round", "place"} & {*point.names} and not all(np.isfinite(x).all() for x in point.args):
            raise Unsure  # Python makes no whole number of infinity; a graph meets it when it runs.
        if issubclass(point.error, IndexError) and _IN_GRAPHS_OF_THEIR_OWN & {*point.names}:
            raise Unsure  # A graph reads nan there.
        raise AssertionError(f"gives a result where NumPy raises {point.error.__name__}")
    for before, after in zip(point.args, given, strict=True):
        assert np.array_equal(before, after, equal_nan=True), "an argument was written to"
    return result


def require_value_and_gradient(case: Case) -> None:
    """Value, outputs and gradient at every point through one compiled function."""
    derivative, compiled = case.derivative(), arc.compile(case.program, **case.options)
    for k, point in enumerate(case.points):
        result = called(derivative, point)
        if result is None:
            case.counts.raised += 1
            continue
        (_, outputs), gradient = result
        require_value(outputs, point, f"point {k}")
        case.counts.points += 1
        if point.undifferentiated is not None:
            result = called(compiled, point.undifferentiated)
            if result is not None:
                require_value(result, point.undifferentiated, f"compiled, point {k}")
        case.gradients[k] = gradient
        require_slope(case, k, gradient, f"gradient at point {k}")


def require_slope(case: Case, k: int, gradient: Any, way: str) -> None:
    point = case.points[k]
    if not point.sure:
        case.counts.unsure += not point.is_at_a_border
        case.counts.borders += point.is_at_a_border
        return
    direction = directions_of(point.args)
    scale = max(scale_of(*gradient), *(scale_of(x.first, x.value) for x in point.outputs)) * point.n_errors
    rtol = RTOL_FIRST if point.order < 2 else RTOL_SECOND
    require_number(dot(gradient, direction), point.slope, scale, rtol, way)
    case.counts.first += 1


def require_the_same(case: Case, derivative: Any, way: str) -> None:
    """Require the outputs and gradients that were found before, at all points."""
    for k, gradient in case.gradients.items():
        point = case.points[k]
        (_, outputs), again = called(derivative, point)
        require_value(outputs, point, f"{way}, point {k}")
        if point.sure:
            require_alike(again, gradient, f"{way}, gradient at point {k}")
            case.counts.agreements += 1
