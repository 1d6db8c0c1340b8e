"""Tensors of higher derivatives, put together from derivatives along lines.

A mixed derivative is a combination of derivatives along sums of the axes (polarisation): with the
second derivatives along e_i, e_j and e_i + e_j known, ``f_ij`` is half of the third less the first two. So the
methods need lines only, and every entry is symmetric.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archimedes_grad.numeric.complex_step import ComplexGradient
from archimedes_grad.numeric.derivatives import (
    along_parameters,
    assemble,
    gradient,
    jacobian,
    parameter_names,
    parameter_vector,
    split_settings,
)
from archimedes_grad.numeric.executors import run_all, workers
from archimedes_grad.numeric.functions import PointFunction
from archimedes_grad.numeric.lines import Line, solve, uses_fit
from archimedes_grad.numeric.options import validate_options
from archimedes_grad.numeric.results import DerivativeResult, LineEstimate, result_of

Floats = NDArray[np.float64]
Index = tuple[int, ...]


def hessian(
    function: Callable[..., Any], x0: ArrayLike, *, method: str = "adaptive", **settings: Any
) -> DerivativeResult:
    """Second derivatives: shape (n, n) for a scalar function, output.shape + (n, n) in general.

    Parameters and errors as for `gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> hessian(lambda p: p[0] ** 2 * p[1] ** 2, [1.0, 2.0], method="finite").value.round(6)
    array([[8., 8.],
           [8., 2.]])
    """
    return hyper_hessian(function, x0, order=2, method=method, **settings)


def hessian_diag(
    function: Callable[..., Any], x0: ArrayLike, *, method: str = "adaptive", **settings: Any
) -> DerivativeResult:
    """The diagonal of the Hessian of a scalar function, shape (n,), from n lines.

    Parameters and errors as for `gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> hessian_diag(lambda p: p[0] ** 2 * p[1] ** 3, [1.0, 2.0]).value.round(6)
    array([16., 12.])
    """
    if method == "complex":
        full = hessian(function, x0, method=method, **settings)
        value, error, steps = (np.diagonal(matrix).copy() for matrix in (full.value, full.error, full.steps))
        return replace(full, value=value, error=error, steps=steps)
    estimates, names, shape = along_parameters(function, x0, "scalar", 2, method, settings)
    return assemble(estimates, names, shape, method)


def hyper_hessian(
    function: Callable[..., Any], x0: ArrayLike, *, order: int = 3, method: str = "adaptive", **settings: Any
) -> DerivativeResult:
    """All derivatives of one order, symmetric: shape (n,) * order for a scalar function.

    Parameters
    ----------
    function, x0, method, **settings
        As for `gradient`; the function may return an array too, whose axes then come first.
    order : int
        1 to 4.

    Returns
    -------
    DerivativeResult
        ``value`` and ``error`` of shape output.shape + (n,) * order.

    Raises
    ------
    ValueError
        For an empty `x0`, an unknown method, option or order.

    References
    ----------
    A. Griewank, J. Utke, A. Walther, "Evaluating higher derivative tensors by forward propagation of univariate
    Taylor series", Math. Comp. 69 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> hyper_hessian(lambda p: p[0] ** 3 * p[1] ** 2, [1.0, 2.0]).value.round(6)[0]
    array([[24., 24.],
           [24.,  6.]])
    """
    if method == "complex":
        return _by_complex_gradient(function, x0, order, settings)
    n_workers, executor, progress, vectorized, options = split_settings(settings)
    checked = validate_options(method, options, order)
    point = parameter_vector(x0)
    size = len(point)
    with workers(n_workers, executor) as pool:
        plain = PointFunction(function, vectorized=vectorized, tolerant=method == "adaptive")
        known, centre = plain.at_centre(point)
        axes = [_axis(i, size) for i in range(size)]
        lines = [Line(known, point, np.array(axis, dtype=np.float64), centre) for axis in axes]
        names = parameter_names(point)
        found = run_all(solve, [(line, order, method, checked) for line in lines], names, pool, progress)
        estimates = dict(zip(axes, found, strict=True))
        # Mixed directions move every parameter by as much as suited it alone.
        searching = method == "adaptive" and not uses_fit(checked)
        scales = np.array([_scale(e) for e in found]) if searching else np.ones(size)
        mixed = sorted(_directions(size, order) - set(axes))
        first = 0.5 if searching else None
        lines = [Line(known, point, scales * np.array(d), centre, first) for d in mixed]
        found = run_all(solve, [(line, order, method, checked) for line in lines], _line_names(mixed), pool, progress)
        estimates.update(zip(mixed, found, strict=True))
    return _tensor(estimates, scales, known.shape or (), order, method, names)


def _scale(estimate: LineEstimate) -> float:
    steps = estimate.step[np.isfinite(estimate.step) & (estimate.step > 0)]
    return float(2.0 ** np.round(np.log2(steps.min()))) if steps.size else 1.0


def _axis(number: int, size: int) -> Index:
    """The direction of one parameter."""
    return tuple(int(j == number) for j in range(size))


def _primitive(direction: Index) -> tuple[Index, int]:
    """A direction divided by the greatest common factor of its entries, and the factor."""
    factor = math.gcd(*direction)
    return tuple(entry // factor for entry in direction), factor


def _subset_sums(index: Index, size: int) -> Counter[Index]:
    """Directions and signs of the polarisation identity for one entry of the tensor.

    ``order! * f_index = sum over subsets S of (-1)**(order - |S|) * D**order along the sum of S``.
    """
    order = len(index)
    signs: Counter[Index] = Counter()
    for length in range(1, order + 1):
        for subset in itertools.combinations(index, length):
            direction = [0] * size
            for axis in subset:
                direction[axis] += 1
            primitive, factor = _primitive(tuple(direction))
            signs[primitive] += (-1) ** (order - length) * factor**order
    return signs


def _directions(size: int, order: int) -> set[Index]:
    indices = itertools.combinations_with_replacement(range(size), order)
    return {d for index in indices if len(set(index)) > 1 for d, sign in _subset_sums(index, size).items() if sign}


def _line_names(directions: list[Index]) -> list[str]:
    return ["parameters " + ", ".join(str(i) for i, entry in enumerate(d) if entry) for d in directions]


def _tensor(
    estimates: dict[Index, LineEstimate],
    scales: Floats,
    shape: tuple[int, ...],
    order: int,
    method: str,
    names: list[str],
) -> DerivativeResult:
    """Every entry from the lines that it needs; errors add up, with their signs forgotten."""
    size, outputs = len(scales), next(iter(estimates.values())).value.shape[0]
    value, error, step = (np.empty((outputs, *(size,) * order)) for _ in range(3))
    for index in itertools.combinations_with_replacement(range(size), order):
        entry = _entry(index, estimates, scales)
        for permuted in set(itertools.permutations(index)):
            where: tuple[slice | int, ...] = (slice(None), *permuted)
            value[where], error[where], step[where] = entry
    full = (*shape, *(size,) * order)
    # The axes come first.
    labels = [*names, *_line_names(list(estimates)[size:])]
    return result_of(
        labels, list(estimates.values()), value.reshape(full), error.reshape(full), step.reshape(full), method
    )


def _entry(index: Index, estimates: dict[Index, LineEstimate], scales: Floats) -> tuple[Floats, Floats, Floats]:
    """Value, error and step of one entry of the tensor, of all outputs."""
    size, order = len(scales), len(index)
    if len(set(index)) == 1:
        line = estimates[_axis(index[0], size)]
        return line.value, line.error, line.step
    value: Any = 0.0
    error: Any = 0.0
    step: Any = np.inf
    unit = math.factorial(order) * float(np.prod(scales[list(index)]))
    for direction, sign in _subset_sums(index, size).items():
        if sign == 0:
            continue
        line = estimates[direction]
        # Axes were differentiated by the parameters themselves, other lines in scaled ones.
        factor = sign * (float(scales[direction.index(1)]) ** order if sum(direction) == 1 else 1.0) / unit
        value = value + factor * line.value
        error = error + abs(factor) * line.error
        step = np.minimum(step, line.step)
    return value, error, step


def _by_complex_gradient(
    function: Callable[..., Any], x0: ArrayLike, order: int, settings: dict[str, Any]
) -> DerivativeResult:
    """Complex step for the first order, adaptive for the others; the average over the order of differentiation."""
    if order == 1:
        return gradient(function, x0, method="complex", **settings)
    n_workers, executor, progress, vectorized, options = split_settings(settings)
    checked = validate_options("complex", options, order)
    point = parameter_vector(x0)
    shape = PointFunction(function, vectorized=vectorized).at_centre(point)[0].shape
    if shape:
        raise TypeError(f"complex step gives higher derivatives of scalar functions; this one returns shape {shape}")
    first = gradient(function, point, method="complex", **settings)
    columns = ComplexGradient(PointFunction(function, vectorized=vectorized), checked["stepsize"])
    run: dict[str, Any] = {"n_workers": n_workers, "executor": executor, "progress": progress}
    if order == 2:
        rest = jacobian(columns, point, **run)
    else:
        rest = hyper_hessian(columns, point, order=order - 1, **run)
    orders = list(itertools.permutations(range(order)))
    value = np.mean([np.transpose(rest.value, p) for p in orders], axis=0)
    spread = np.max([np.abs(np.transpose(rest.value, p) - value) for p in orders], axis=0)
    error = np.max([np.transpose(rest.error, p) for p in orders], axis=0) + spread
    n_evaluations = 1 + first.n_evaluations + rest.n_evaluations * len(point)
    return replace(rest, value=value, error=error, n_evaluations=n_evaluations, method="complex", details={})
