"""From difference quotients at shrinking steps to their limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Names that the caller may use, and the scheme that they mean.
SCHEMES = {
    "richardson": "richardson",
    "ridders": "ridders",
    "gauss-richardson": "gauss-richardson",
    "gre": "gauss-richardson",
}

#: How many standard deviations of the Gaussian process are claimed.
DEVIATIONS = 4.0

#: A quotient at ``step * 2**-level`` and what rounding can do to it, each of shape (n_outputs,).
Quotient = Callable[[int], tuple[Floats, Floats]]


@dataclass
class Extrapolation:
    """The limit, its claimed error, and the table that they come from.

    ``entries[i][k]`` rests on levels i-k to i; its leading error has the power ``power + 2*k`` of the step.
    """

    value: Floats
    error: Floats
    entries: list[list[Floats]]

    @property
    def n_levels(self) -> int:
        """How many steps were used."""
        return len(self.entries)

    @property
    def steps(self) -> Floats:
        """The steps, in units of the first."""
        return np.exp2(-np.arange(self.n_levels, dtype=np.float64))


def extrapolate(quotient: Quotient, scheme: str, power: int, most_levels: int, *, stop_early: bool) -> Extrapolation:
    """Extrapolate to step zero.

    Parameters
    ----------
    quotient : callable
        Central difference quotient at level 0, 1, 2, ...: their errors are ``h**power``, ``h**(power+2)``, ...
    scheme : str
        One of `SCHEMES`.
    power : int
        The leading power.
    most_levels : int
        How many levels to use.
    stop_early : bool
        Stop where another level makes the estimated error larger.

    Returns
    -------
    Extrapolation
        ``"richardson"`` gives the last entry of the table, ``"ridders"`` for each output the entry with the
        least estimated error, ``"gauss-richardson"`` the mean of a Gaussian process at step zero.

    References
    ----------
    L. F. Richardson, J. A. Gaunt, Phil. Trans. R. Soc. A 226 (1927). C. J. F. Ridders, Adv. Eng. Software 4 (1982).
    C. J. Oates, T. Karvonen, A. L. Teckentrup, M. Strocchi, S. A. Niederer, "Probabilistic Richardson
    extrapolation", J. R. Stat. Soc. B 87 (2025).
    """
    entries: list[list[Floats]] = []
    errors: list[list[Floats]] = []
    roundings: list[Floats] = []
    found: list[Extrapolation] = []
    for level in range(most_levels):
        plain, rounding = quotient(level)
        roundings.append(rounding)
        row, row_errors = [plain], [np.full_like(plain, np.inf)]
        for k in range(1, level + 1):
            factor = 2.0 ** (power + 2 * (k - 1)) - 1
            row.append(row[k - 1] + (row[k - 1] - entries[-1][k - 1]) / factor)
            change = np.maximum(np.abs(row[k] - row[k - 1]), np.abs(row[k] - entries[-1][k - 1]))
            row_errors.append(change + rounding)
        entries.append(row)
        errors.append(row_errors)
        if level == 0:
            continue
        if SCHEMES[scheme] == "ridders":
            value, error = _least_error(entries, errors)
        elif SCHEMES[scheme] == "richardson":
            value, error = row[-1], row_errors[-1]
        else:
            value, error = _gauss_richardson(np.array([r[0] for r in entries]), np.array(roundings), power)
        found.append(Extrapolation(value, error, list(entries)))
        if stop_early and level >= 2 and not (error < 0.5 * found[-2].error).any():
            break
    best = found[-1]
    if stop_early and len(found) > 1 and not (best.error < found[-2].error).any():
        best = found[-2]
    return best


def _least_error(entries: list[list[Floats]], errors: list[list[Floats]]) -> tuple[Floats, Floats]:
    values = np.array([entry for row in entries for entry in row[1:]])
    claimed = np.array([error for row in errors for error in row[1:]])
    claimed[~np.isfinite(claimed)] = np.inf
    chosen = np.argmin(claimed, axis=0)
    columns = np.arange(values.shape[1])
    return values[chosen, columns], claimed[chosen, columns]


def _gauss_richardson(quotients: Floats, roundings: Floats, power: int) -> tuple[Floats, Floats]:
    """Mean and `DEVIATIONS` deviations of a Gaussian process at step zero.

    The process is an unknown constant and a smooth function times ``h**power``; its amplitude, and the length
    over which it changes, are those of greatest likelihood. Rounding is a variance of each quotient.
    """
    steps = np.exp2(-np.arange(len(quotients), dtype=np.float64))
    results = [
        _kriging(quotients[:, j], np.maximum(roundings[:, j], np.finfo(np.float64).tiny), steps, power)
        for j in range(quotients.shape[1])
    ]
    return np.array([r[0] for r in results]), np.array([r[1] for r in results])


def _kriging(quotients: Floats, roundings: Floats, steps: Floats, power: int) -> tuple[float, float]:
    unit = float(np.ptp(quotients))
    if unit == 0.0 or not np.isfinite([*quotients, *roundings, unit]).all():
        return float(quotients[-1]), float(roundings[-1]) + unit
    y = (quotients - quotients[-1]) / unit
    # Divided by h**power, the process is stationary and its matrix well scaled.
    scale = steps**power
    ones, data, nugget = 1 / scale, y / scale, (roundings / unit / scale) ** 2
    count = len(y)
    best = (-np.inf, 0.0, np.inf)
    for length in (0.5, 1.0, 2.0, 4.0):
        correlation = np.exp(-0.5 * ((steps[:, None] - steps) / length) ** 2) + 1e-12 * np.eye(count)
        variance = 1.0
        for _ in range(4):  # the variance stands beside the nugget, so it is found by iteration
            matrix = correlation + np.diag(nugget / variance)
            solved = np.linalg.solve(matrix, np.column_stack([ones, data]))
            precision = float(ones @ solved[:, 0])
            mean = float(ones @ solved[:, 1]) / precision
            residual = data - mean * ones
            variance = max(float(residual @ np.linalg.solve(matrix, residual)) / (count - 1), 1e-30)
        logarithm = float(np.linalg.slogdet(matrix)[1])
        likelihood = -0.5 * ((count - 1) * np.log(variance) + logarithm + np.log(precision))
        if likelihood > best[0]:
            best = (likelihood, mean, np.sqrt(variance / precision))
    return float(quotients[-1]) + unit * best[1], DEVIATIONS * unit * float(best[2]) + float(roundings[-1])
