"""What an adaptive derivative rests on, drawn: samples and fit, residual, extrapolations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.arguments.signature import name_of
from archimedes_grad.numeric.derivatives import derivative
from archimedes_grad.numeric.results import DerivativeResult
from archimedes_grad.optional import require

Floats = NDArray[np.float64]

#: Half-width of the fit that is drawn, in units of the largest step of the result.
SHOWN = 1.25
HIGHEST_DEGREE = 9


def plot_derivative(function: Callable[..., Any], x0: float, order: int = 1, **options: Any) -> Any:
    """A figure of four panels for an adaptive derivative of a scalar function.

    Parameters
    ----------
    function : callable
        Maps a float to a float.
    x0 : float
        Where to differentiate.
    order : int
        Order of the derivative.
    **options
        Options of ``adaptive``.

    Returns
    -------
    matplotlib.figure.Figure
        The samples with the fit, its residual, the value of every extrapolation with its claimed error, and the
        table of these errors by largest step and number of steps.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If the function does not return a scalar.
    """
    require("matplotlib", "plot")
    from matplotlib.figure import Figure

    result = derivative(function, x0, method="adaptive", order=order, diagnostics=True, **options)
    if np.shape(result.value):
        raise TypeError(f"plot shows scalar functions; this one returns shape {np.shape(result.value)}")
    figure = Figure(figsize=(11, 8), layout="constrained")
    samples, values, residual, table = figure.subplots(2, 2).T.ravel()
    _draw_fit(samples, residual, x0, result, order)
    _draw_extrapolations(values, table, result)
    claim = (
        f"{float(result.value):.12g} ± {float(result.error):.1e}, {result.n_evaluations} evaluations, {result.status}"
    )
    figure.suptitle(f"derivative of order {order} of {name_of(function)} at {x0:g}: {claim}")
    return figure


def _draw_fit(samples: Any, residual: Any, x0: float, result: DerivativeResult, order: int) -> None:
    """The samples near the point, the polynomial through them, and what it leaves."""
    offsets, values = result.details["offsets"], result.details["values"][:, 0]
    width = SHOWN * float(np.ravel(result.steps)[0])
    near = np.abs(offsets) <= width
    t, y = offsets[near] / width, values[near]
    highest = order + 2 if result.status == "noisy" else HIGHEST_DEGREE
    degree = max(1, min(highest, len(t) - 2))
    basis = np.polynomial.chebyshev.chebvander(t, degree)
    fit = np.polynomial.Chebyshev(np.linalg.pinv(basis, rcond=1e-12) @ y)
    grid = np.linspace(t.min(), t.max(), 400)
    samples.plot(x0 + width * grid, fit(grid), color="tab:blue", label=f"polynomial, degree {degree}")
    samples.plot(x0 + width * t, y, "o", color="black", markersize=4, label=f"{len(t)} of {len(offsets)} samples")
    if order == 1 and np.isfinite(result.value):
        slope = fit(0.0) + float(result.value) * width * grid
        samples.plot(x0 + width * grid, slope, "--", color="tab:orange", label="derivative")
    samples.set(title="samples and fit", xlabel="x", ylabel="f(x)")
    samples.legend()
    residual.axhline(0.0, color="tab:blue", linewidth=1)
    residual.plot(x0 + width * t, y - fit(t), "o", color="black", markersize=4)
    residual.set(title="residual", xlabel="x", ylabel="f(x) − fit")


def _draw_extrapolations(values: Any, table: Any, result: DerivativeResult) -> None:
    """Every extrapolation: its distance from the result beside its claim, and the claims as a table."""
    windows = result.details.get("windows", [])
    if not windows:
        for panel in (values, table):
            panel.text(0.5, 0.5, "fit on given nodes:\nno extrapolation", ha="center", va="center")
            panel.set_axis_off()
        return
    smallest = np.array([heights[-1] for heights, _, _ in windows])
    found = np.array([float(value[0]) for _, value, _ in windows])
    claimed = np.array([float(error[0]) for _, _, error in windows])
    with np.errstate(invalid="ignore"):
        distance = np.abs(found - float(result.value))
    tiny = np.finfo(np.float64).tiny
    values.loglog(smallest, np.maximum(claimed, tiny), "_", color="tab:red", markersize=10, label="claimed error")
    shown = distance > 0
    values.loglog(smallest[shown], distance[shown], "o", color="black", markersize=4, label="distance from the result")
    values.set(title="extrapolations", xlabel="smallest step", ylabel="error")
    ticks = _spread(smallest)
    values.set_xticks(ticks, [f"{step:.2g}" for step in ticks])
    values.set_xticks([], minor=True)
    values.legend()
    steps = sorted({heights[0] for heights, _, _ in windows}, reverse=True)
    counts = sorted({len(heights) for heights, _, _ in windows})
    grid = np.full((len(steps), len(counts)), np.nan)
    for (heights, _, _), error in zip(windows, claimed, strict=True):
        if np.isfinite(error) and error > 0:
            grid[steps.index(heights[0]), counts.index(len(heights))] = math.log10(error)
    image = table.imshow(grid, aspect="auto", cmap="viridis_r")
    table.grid(visible=False)
    for (row, column), entry in np.ndenumerate(grid):
        if np.isfinite(entry):
            dark = entry > (np.nanmin(grid) + np.nanmax(grid)) / 2
            colour = "white" if dark else "black"
            table.text(column, row, f"{entry:.1f}", ha="center", va="center", fontsize=8, color=colour)
    table.set_xticks(range(len(counts)), [str(count) for count in counts])
    table.set_yticks(range(len(steps)), [f"{step:.2g}" for step in steps])
    table.set(title="log10 of the claimed error", xlabel="number of steps", ylabel="largest step")
    table.figure.colorbar(image, ax=table)


def _spread(steps: NDArray[np.float64]) -> list[float]:
    """Steps that lie so far apart on a logarithmic axis that their labels do."""
    gap = (steps.max() / steps.min()) ** (1 / 7)
    kept: list[float] = []
    for step in np.unique(steps).tolist():
        if not kept or step > gap * kept[-1]:
            kept.append(step)
    return kept
