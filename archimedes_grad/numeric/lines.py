"""One derivative along one line through the parameters: the piece of work that executors take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.adaptive import adaptive_derivative
from archimedes_grad.numeric.complex_step import complex_derivative
from archimedes_grad.numeric.finite import finite_derivative
from archimedes_grad.numeric.functions import PointFunction
from archimedes_grad.numeric.options import FIT_OPTIONS
from archimedes_grad.numeric.polynomial_fit import fit_derivative
from archimedes_grad.numeric.results import LineEstimate
from archimedes_grad.numeric.sampling import LineSampler

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """The line ``point + t * direction`` and what is known at t = 0.

    ``step`` is where ``adaptive`` begins, in units of t; None: it finds out. ``position`` is a magnitude for the point
    in units of t; None: that of the parameter which moves least beside its size.
    """

    function: PointFunction
    point: Floats
    direction: Floats
    centre: Floats
    step: float | None = None
    position: float | None = None

    def sampler(self, domain: tuple[float, float] | None = None) -> LineSampler:
        """Samples along the line, within the domain of every parameter that it moves."""
        moving = self.direction != 0
        position = self.position
        if position is None:
            position = float(np.max(np.abs(self.point[moving] / self.direction[moving])))
        lower, upper = -math.inf, math.inf
        if domain is not None:
            ends = (np.array(domain)[:, None] - self.point[moving]) / self.direction[moving]
            lower, upper = float(np.max(ends.min(axis=0))), float(np.min(ends.max(axis=0)))
            if lower > 0 or upper < 0:
                raise ValueError(f"x0 = {self.point[moving].tolist()} is outside the domain {domain}")
        return LineSampler(self._at, self.centre, position, lower, upper)

    def _at(self, offsets: Floats) -> Floats:
        return self.function(self.point + offsets[:, None] * self.direction)


def uses_fit(options: dict[str, Any]) -> bool:
    """Whether the options of ``adaptive`` ask for a fit on nodes of the caller's."""
    return any(options[name] is not None for name in FIT_OPTIONS)


def solve(line: Line, order: int, method: str, options: dict[str, Any]) -> LineEstimate:
    """The derivative of the given order along a line.

    Parameters
    ----------
    line : Line
        The function and where to differentiate it.
    order : int
        1 to 4; 1 for ``"complex"``.
    method : {"finite", "adaptive", "complex"}
        The numeric method.
    options : dict
        As returned by `options.validate_options`.
    """
    # What is infinite or not a number, at steps of any kind, is judged by its value: NumPy need not warn of it.
    with np.errstate(all="ignore"):
        return _solved(line, order, method, options)


def _solved(line: Line, order: int, method: str, options: dict[str, Any]) -> LineEstimate:
    sampler = line.sampler(options.get("domain"))
    if method == "finite":
        estimate = finite_derivative(sampler, order, **options)
    elif method == "complex":
        estimate = complex_derivative(line.function, line.point, line.direction, sampler, **options)
    elif uses_fit(options):
        moving = line.direction != 0
        position = line.position
        if position is None:
            position = float((line.point[moving] / line.direction[moving])[0])
        estimate = fit_derivative(sampler, order, position, options)
    else:
        estimate = adaptive_derivative(sampler, order, line.step)
        offsets, values = sampler.known()
        estimate.details = {"offsets": offsets, "values": values, **estimate.details}
    if not options.get("diagnostics", True):
        estimate.details = {}
    estimate.n_evaluations = sampler.n_evaluations
    return estimate
