"""Derivatives from the imaginary part at a tiny imaginary step, believed only where the function is analytic."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.numeric.adaptive import adaptive_derivative
from archimedes_grad.numeric.functions import PointFunction
from archimedes_grad.numeric.ladder import EPSILON
from archimedes_grad.numeric.results import LineEstimate
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.search import first_step

Floats = NDArray[np.float64]

#: Relative disagreement with a real difference that is put down to the difference.
TOLERANCE = 1e-5

NOT_ANALYTIC = (
    "abs, np.linalg.norm, comparisons, .real, .imag and conj are not analytic, and drop what complex step "
    "differentiates. Use method='adaptive'"
)


def imaginary_part(function: PointFunction, point: Floats, direction: Floats, step: float) -> Floats:
    """``Im f(point + i * step * direction) / step``, shape (n_outputs,).

    Raises
    ------
    TypeError
        If the function does not take complex arguments, or answers them with real numbers.

    References
    ----------
    W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998).
    """
    argument: Any = point + 1j * step * direction
    if function.scalar_input:
        argument = complex(argument[0])
    if function.vectorized:
        argument = np.asarray(argument)[None, ...]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            output = function.function(argument)
    except np.exceptions.ComplexWarning as error:
        raise TypeError(f"{function.name} discards the imaginary part: {error}. {NOT_ANALYTIC}") from error
    except TypeError as error:
        raise TypeError(f"{function.name} does not take complex arguments: {error}. {NOT_ANALYTIC}") from error
    array = np.asarray(output)
    if function.vectorized:
        array = array[0]
    if array.dtype.kind != "c":
        return np.zeros(array.size)
    return np.asarray(array.imag, dtype=np.float64).ravel() / step


def complex_derivative(
    function: PointFunction, point: Floats, direction: Floats, sampler: LineSampler, stepsize: float,
    return_error: bool = False,
) -> LineEstimate:  # fmt: skip
    """First derivative along a line, and a check that it is one.

    The imaginary part is compared with a real central difference. Where the two disagree, an adaptive derivative
    decides. With ``return_error`` a quarter of the step tells what the step itself leaves out.

    Raises
    ------
    TypeError
        If the function is not analytic along the line.
    """
    value = imaginary_part(function, point, direction, stepsize)
    defined = np.isfinite(sampler.centre)
    value = np.where(defined, value, np.nan)
    height = first_step(sampler.position) / 512
    above, below, *nearer = sampler(np.array([height, -height, height / 4, -height / 4]))
    difference = (above - below) / (2 * height)
    bend = np.abs(above - 2 * sampler.centre + below) / height
    nearer_bend = np.abs(nearer[0] - 2 * sampler.centre + nearer[1]) / (height / 4)
    rounding = 4 * EPSILON * np.maximum(np.abs(above), np.abs(below)) / height
    agrees = np.abs(value - difference) <= TOLERANCE * np.abs(difference) + rounding
    agrees &= nearer_bend <= 0.5 * bend + 4 * rounding  # at a kink it stays as it is
    agrees |= ~defined
    if not agrees.all():
        slow = adaptive_derivative(sampler, 1)
        confirmed = slow.success & (np.abs(value - slow.value) <= 10 * slow.error + TOLERANCE * np.abs(slow.value))
        if not (agrees | confirmed).all():
            worst = int(np.flatnonzero(~(agrees | confirmed))[0])
            found = f"{slow.value[worst]:.6g}" if slow.success[worst] else f"none ({slow.message[worst]})"
            raise TypeError(
                f"complex step gives {value[worst]:.6g} for {function.name}, its real values {found}. {NOT_ANALYTIC}"
            )
    size = value.shape[0]
    error = 4 * EPSILON * (np.abs(value) + EPSILON * np.abs(sampler.centre))
    sampler.n_evaluations += 1
    if return_error:
        nearer_value = imaginary_part(function, point, direction, stepsize / 4)
        sampler.n_evaluations += 1
        error += 1.1 * np.abs(value - np.where(defined, nearer_value, np.nan))
    status = ["converged" if entry else "failed" for entry in defined]
    message = [
        "complex step, confirmed by a real difference" if entry else "the function is not finite here"
        for entry in defined
    ]
    return LineEstimate(value, error, np.full(size, stepsize), np.isfinite(value), status, message)


class ComplexGradient:
    """The gradient of a function by complex step, as a function: shape (n_outputs * n_parameters,).

    Unchecked; differentiate where `complex_derivative` has confirmed that the function is analytic.
    """

    def __init__(self, function: PointFunction, stepsize: float) -> None:
        self.function = replace(function, executor=None)
        self.stepsize = stepsize

    @property
    def __name__(self) -> str:
        return self.function.name

    def __call__(self, point: Floats) -> Floats:
        """Gradients of all outputs, one after the other."""
        columns = [imaginary_part(self.function, point, unit, self.stepsize) for unit in np.eye(len(point))]
        return np.column_stack(columns).ravel()
