"""Derivatives of functions of one flat parameter vector, by the numeric methods."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archimedes_grad.numeric.complex_step import ComplexGradient
from archimedes_grad.numeric.executors import run_all, workers
from archimedes_grad.numeric.functions import Output, PointFunction
from archimedes_grad.numeric.lines import Line, solve
from archimedes_grad.numeric.options import validate_options
from archimedes_grad.numeric.results import DerivativeResult, LineEstimate, result_of

Floats = NDArray[np.float64]


def derivative(
    function: Callable[..., Any],
    x0: float,
    *,
    method: str = "adaptive",
    order: int = 1,
    n_workers: int = 1,
    executor: Executor | None = None,
    vectorized: bool = False,
    **options: Any,
) -> DerivativeResult:
    """Derivative of a function of one number.

    Parameters
    ----------
    function : callable
        Maps a float to a float or an array of any shape; if `vectorized`, an array of shape (k,) to one whose
        first axis has k entries.
    x0 : float
        Where to differentiate.
    method : {"adaptive", "finite", "complex"}
        ``"complex"`` gives first derivatives, and higher ones by differentiating those adaptively.
    order : int
        1 to 4.
    n_workers, executor
        Evaluate the points of one step at the same time, in so many threads or wherever the executor does.
    vectorized : bool
        Whether the function takes many points in one call.
    **options
        Options of the method, see `validate_options`.

    Returns
    -------
    DerivativeResult
        ``value`` and ``error`` of the shape of the function's output.

    Raises
    ------
    ValueError
        For an unknown method or option.
    TypeError
        If the function returns complex or not numeric values, or is not analytic (``"complex"``).

    Examples
    --------
    >>> import numpy as np
    >>> result = derivative(np.log, 1e-4)
    >>> round(float(result.value), 6), bool(result.error < 1e-6), result.success
    (10000.0, True, True)
    """
    checked = validate_options(method, options, order)
    point = parameter_vector([x0])
    with workers(n_workers, executor) as pool:
        plain = PointFunction(
            function, vectorized=vectorized, scalar_input=True, tolerant=method == "adaptive", executor=pool
        )
        known, centre = plain.at_centre(point)
        if method == "complex" and order > 1:
            return _higher_complex(known, point, centre, order, checked)
        line = Line(known, point, np.ones(1), centre)
        (estimate,) = run_all(solve, [(line, order, method, checked)], [f"x0 = {float(point[0])!r}"])
    return assemble([estimate], [f"x0 = {float(point[0])!r}"], known.shape or (), method, axis_of_parameters=False)


def _higher_complex(
    function: PointFunction, point: Floats, centre: Floats, order: int, options: dict[str, Any]
) -> DerivativeResult:
    """Order 2 to 4: complex step once, the rest of the orders adaptively."""
    name = f"x0 = {float(point[0])!r}"
    first = solve(Line(function, point, np.ones(1), centre), 1, "complex", options)
    gradient = PointFunction(ComplexGradient(function, options["stepsize"]), tolerant=True, shape=first.value.shape)
    rest = validate_options("adaptive", {})
    estimate = solve(Line(gradient, point, np.ones(1), first.value), order - 1, "adaptive", rest)
    estimate.n_evaluations += first.n_evaluations
    return assemble([estimate], [name], function.shape or (), "complex", axis_of_parameters=False)


def gradient(
    function: Callable[..., Any], x0: ArrayLike, *, method: str = "adaptive", **settings: Any
) -> DerivativeResult:
    """Gradient of a scalar function, shape (n,).

    Parameters
    ----------
    function : callable
        Maps a vector of shape (n,) to a scalar; if ``vectorized``, shape (k, n) to (k,).
    x0 : array_like of shape (n,)
        Where to differentiate.
    method : {"adaptive", "finite", "complex"}
        The numeric method.
    **settings
        ``n_workers=1``, ``executor=None``, ``progress=False``, ``vectorized=False`` and the options of the method, see
        `validate_options`. Every parameter is one piece of work for the executor.

    Returns
    -------
    DerivativeResult
        ``value`` and ``error`` of shape (n,).

    Raises
    ------
    ValueError
        For an empty `x0`, an unknown method or option.
    TypeError
        If the function does not return one real number.

    Examples
    --------
    >>> import numpy as np
    >>> gradient(lambda p: np.sin(p[0]) + p[1] ** 2, [0.5, 2.0], method="finite").value.round(6)
    array([0.877583, 4.      ])
    """
    estimates, names, shape = along_parameters(function, x0, "scalar", 1, method, settings)
    return assemble(estimates, names, shape, method)


def jacobian(
    function: Callable[..., Any], x0: ArrayLike, *, method: str = "adaptive", **settings: Any
) -> DerivativeResult:
    """Jacobian of a function that returns a vector, shape (m, n); all outputs share the evaluations.

    Parameters and errors as for `gradient`, but the function returns shape (m,), or (k, m) if ``vectorized``.

    Examples
    --------
    >>> import numpy as np
    >>> jacobian(lambda p: np.array([p[0] * p[1], p[1] ** 3]), [1.0, 2.0], method="complex").value
    array([[ 2.,  1.],
           [ 0., 12.]])
    """
    estimates, names, shape = along_parameters(function, x0, "vector", 1, method, settings)
    return assemble(estimates, names, shape, method)


def directional(
    function: Callable[..., Any], x0: ArrayLike, direction: ArrayLike, *, method: str = "adaptive", **settings: Any
) -> DerivativeResult:
    """Derivative along a direction, of the shape of the function's output.

    Steps are those of the parameter that moves most, whatever the length of the direction.

    Parameters
    ----------
    function : callable
        Maps a vector of shape (n,) to a number or array; if ``vectorized``, shape (k, n) to one with k entries first.
    x0, direction : array_like of shape (n,)
        Where to differentiate, and along what; the direction is not zero.
    method, **settings
        As for `gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> slope = directional(lambda p: np.sin(p[0]) * p[1], [0.0, 2.0], [1e9, 1.0])
    >>> round(float(slope.value), 3)
    2000000000.0
    """
    n_workers, executor, _, vectorized, options = split_settings(settings)
    checked = validate_options(method, options)
    point, along = parameter_vector(x0), parameter_vector(direction, "direction")
    length = np.abs(along).max()
    name = "the direction"
    with workers(n_workers, executor) as pool:
        plain = PointFunction(function, vectorized=vectorized, tolerant=method == "adaptive", executor=pool)
        known, centre = plain.at_centre(point)
        line = Line(known, point, along / length, centre, position=float(np.abs(point[along != 0]).max()))
        (estimate,) = run_all(solve, [(line, 1, method, checked)], [name])
    result = assemble([estimate], [name], known.shape or (), method, axis_of_parameters=False)
    return replace(result, value=length * result.value, error=length * result.error)


def parameter_vector(x0: ArrayLike, name: str = "x0") -> Floats:
    """`x0` as a float64 vector; messages call it `name`.

    Raises
    ------
    ValueError
        If it is empty, not a vector or not finite.
    TypeError
        If it is not made of real numbers.
    """
    array = np.asarray(x0)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, not of dtype {array.dtype}. Convert it to float")
    if array.size == 0:
        raise ValueError(
            f"{name} is empty, of shape {array.shape}: there is nothing to differentiate by. Give at least one number"
        )
    if array.ndim > 1:
        raise ValueError(
            f"{name} must be a number or a vector, not of shape {array.shape}. Pass {name}.ravel(), and reshape it in "
            f"the function"
        )
    vector = np.array(array, dtype=np.float64).reshape(-1)
    if not np.isfinite(vector).all():
        where = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise ValueError(f"{name} must be finite; entry {where} is {vector[where]:g}. Choose a point that is")
    return vector


def split_settings(settings: dict[str, Any]) -> tuple[int, Executor | None, bool, bool, dict[str, Any]]:
    """Settings of the run (n_workers, executor, progress, vectorized), and the options of the method."""
    options = dict(settings)
    n_workers, executor = options.pop("n_workers", 1), options.pop("executor", None)
    progress, vectorized = options.pop("progress", False), options.pop("vectorized", False)
    return n_workers, executor, bool(progress), bool(vectorized), options


def parameter_names(point: Floats) -> list[str]:
    """How messages call the parameters."""
    return [f"parameter {index} (x0[{index}] = {value:g})" for index, value in enumerate(point)]


def along_parameters(
    function: Callable[..., Any],
    x0: ArrayLike,
    output: Output,
    order: int,
    method: str,
    settings: dict[str, Any],
) -> tuple[list[LineEstimate], list[str], tuple[int, ...]]:
    """Derivatives of one order along each parameter, the parameters' names and the shape of one output."""
    n_workers, executor, progress, vectorized, options = split_settings(settings)
    checked = validate_options(method, options, order)
    point = parameter_vector(x0)
    names = parameter_names(point)
    with workers(n_workers, executor) as pool:
        plain = PointFunction(function, output=output, vectorized=vectorized, tolerant=method == "adaptive")
        known, centre = plain.at_centre(point)
        lines = [Line(known, point, unit, centre) for unit in np.eye(len(point))]
        estimates = run_all(solve, [(line, order, method, checked) for line in lines], names, pool, progress)
    return estimates, names, known.shape or ()


def assemble(
    estimates: list[LineEstimate],
    names: list[str],
    shape: tuple[int, ...],
    method: str,
    *,
    axis_of_parameters: bool = True,
) -> DerivativeResult:
    """One result of estimates along lines: the parameters become the last axis."""
    full = (*shape, len(estimates)) if axis_of_parameters else shape

    def gather(columns: list[Floats]) -> Any:
        array = np.column_stack(columns).reshape(full)
        return array if full else np.float64(array)

    return result_of(
        names, estimates, gather([e.value for e in estimates]), gather([e.error for e in estimates]),
        np.column_stack([e.step for e in estimates]).reshape(full), method,
        estimates[0].details if len(estimates) == 1 else {},
    )  # fmt: skip
