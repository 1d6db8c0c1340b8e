"""The user's function, called at points and checked for what it returns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.arguments.signature import name_of

Floats = NDArray[np.float64]
Output = Literal["scalar", "vector", "any"]

#: Exceptions that mean "outside the domain" where a method looks for its own steps.
DOMAIN_ERRORS = (ValueError, ArithmeticError)


def real_output(output: Any, name: str) -> Floats:
    """A function's output as float64.

    Raises
    ------
    TypeError
        If it is complex or not numeric.
    """
    array = np.asarray(output)
    if array.dtype.kind == "c":
        raise TypeError(
            f"{name} returned complex numbers ({array.dtype}); numeric derivatives are real, and real numbers were "
            f"expected. Return .real, .imag or np.abs of them."
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} returned {type(output).__name__} of dtype {array.dtype}; expected real numbers. Is a return "
            f"missing, or a conversion to float?"
        )
    return array.astype(np.float64)


def check_output_shape(shape: tuple[int, ...], output: Output, name: str) -> None:
    """Refuse a vector where a scalar belongs, and the other way round.

    Raises
    ------
    TypeError
        If the shape is not of the wanted kind.
    """
    if output == "scalar" and shape != ():
        raise TypeError(
            f"{name} returned an array of shape {shape} where a scalar belongs. Sum it up, or use jacobian for vectors."
        )
    if output == "vector" and len(shape) != 1:
        kind = "a scalar" if shape == () else f"an array of shape {shape}"
        raise TypeError(f"{name} returned {kind}, but a Jacobian is of vectors. Use gradient for a scalar, or np.ravel")


@dataclass(frozen=True)
class PointFunction:
    """Calls ``function`` at the rows of an array of points.

    Parameters
    ----------
    function : callable
        Takes one flat parameter vector, or a float if `scalar_input`; if `vectorized`, many at once along
        the first axis.
    output : {"scalar", "vector", "any"}
        What it must return.
    vectorized : bool
        Whether it takes many points in one call.
    scalar_input : bool
        Whether a point is one float.
    tolerant : bool
        Whether errors of domain count as undefined values (nan).
    executor : Executor, optional
        Where to evaluate points, if not here.
    shape : tuple of int, optional
        Shape of one output, once known.
    """

    function: Callable[..., Any]
    output: Output = "any"
    vectorized: bool = False
    scalar_input: bool = False
    tolerant: bool = False
    executor: Executor | None = None
    shape: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    def at_centre(self, point: Floats) -> tuple[PointFunction, Floats]:
        """Evaluate at one point, without tolerance; the function that knows its output's shape, and the flat output."""
        row = replace(self, shape=None, executor=None)._rows(point[None, :])[0]
        check_output_shape(row.shape, self.output, self.name)
        return replace(self, shape=row.shape), row.ravel()

    def __call__(self, points: Floats) -> Floats:
        """Flat outputs at the rows of `points`, shape (k, n_outputs)."""
        return np.array([row.ravel() for row in self._rows(points)])

    def _rows(self, points: Floats) -> list[Floats]:
        if self.vectorized:
            return self._many(points)
        local = replace(self, executor=None)
        if self.executor is None or len(points) == 1:
            return [local.one(point) for point in points]
        futures = [self.executor.submit(local.one, point) for point in points]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def one(self, point: Floats) -> Floats:
        """The output at one point."""
        argument = float(point[0]) if self.scalar_input else point.copy()
        try:
            # Steps may leave the domain; what NumPy would warn of is judged here by its value.
            with np.errstate(all="ignore"):
                output = self.function(argument)
        except DOMAIN_ERRORS:
            if not self.tolerant or self.shape is None:
                raise
            return np.full(self.shape, np.nan)
        if self.tolerant and self.shape is not None and np.iscomplexobj(output):
            # (-1.0) ** 0.5 and the like: the value at the point was real, so this is outside the domain.
            return np.full(self.shape, np.nan)
        row = real_output(output, self.name)
        if self.shape is not None and row.shape != self.shape:
            raise TypeError(f"{self.name} returned shape {row.shape} at one point and {self.shape} at another")
        return row

    def _many(self, points: Floats) -> list[Floats]:
        """One call for all points; where it leaves the domain with an exception, one call for each."""
        try:
            with np.errstate(all="ignore"):
                output = self.function(points[:, 0].copy() if self.scalar_input else points.copy())
        except DOMAIN_ERRORS:
            if not self.tolerant or self.shape is None:
                raise
            if len(points) == 1:
                return [np.full(self.shape, np.nan)]
            return [row for point in points for row in self._many(point[None, :])]
        rows = real_output(output, self.name)
        if rows.shape[:1] != (len(points),):
            raise TypeError(
                f"{self.name} returned shape {rows.shape} for {len(points)} points; with vectorized=True the first "
                "axis of the output counts the points. Leave vectorized out for a function of one point"
            )
        return list(rows)
