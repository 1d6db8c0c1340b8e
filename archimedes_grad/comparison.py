"""``compare_methods``: one derivative by every method, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from archimedes_grad.arguments.signature import require_function
from archimedes_grad.calculus_kit import CalculusKit
from archimedes_grad.derivative_kit import DerivativeKit
from archimedes_grad.errors import asked_by
from archimedes_grad.numeric import DerivativeResult
from archimedes_grad.numeric.derivatives import parameter_vector

#: What is compared: a name, a method and its options.
ENTRIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("symbolic", "symbolic", {}),
    ("complex", "complex", {}),
    ("adaptive", "adaptive", {}),
    ("adaptive, fit", "adaptive", {"spacing": "auto"}),
    ("finite", "finite", {}),
    ("finite, ridders", "finite", {"extrapolation": "ridders"}),
)


@dataclass(frozen=True)
class Row:
    """One method: its result, or why it has none, and the seconds that it took."""

    name: str
    result: DerivativeResult | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Rows for every method; printed, a table."""

    rows: tuple[Row, ...]

    def __getitem__(self, name: str) -> Row:
        """The row of a method by its name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(
            f"compare_methods: no row {name!r}; there are {', '.join(repr(row.name) for row in self.rows)}. Name one "
            f"of these."
        )

    def __str__(self) -> str:
        lines = [f"{'method':16} {'value':>24} {'claimed error':>14} {'evaluations':>12} {'ms':>9}  status"]
        for row in self.rows:
            if row.result is None:
                lines.append(f"{row.name:16} {'-':>24} {'-':>14} {'-':>12} {1e3 * row.seconds:9.3f}  {row.reason}")
                continue
            worst = np.max(row.result.error) if np.size(row.result.error) else np.nan
            claimed = "-" if np.isnan(worst) else f"{worst:.1e}"
            lines.append(
                f"{row.name:16} {_shown(row.result.value):>24} {claimed:>14} {row.result.n_evaluations:>12}"
                f" {1e3 * row.seconds:9.3f}  {row.result.status}"
            )
        return "\n".join(lines)

    __repr__ = __str__


def compare_methods(f: Callable[..., Any], x: ArrayLike) -> Comparison:
    """Differentiate by every method and show value, claimed error, evaluations and time.

    Parameters
    ----------
    f : callable
        Maps a number to a number or array, or a vector of shape (n,) to a number.
    x : float or array_like of shape (n,)
        Where to differentiate: a number gives the derivative, a vector the gradient.

    Returns
    -------
    Comparison
        Print it for a table; ``comparison["adaptive"].result`` is a `DerivativeResult`. A method that refuses
        the function has a row with the reason. The time is that of one call, tracing and compiling included.

    Raises
    ------
    Exception
        Whatever `f` itself raises at `x`.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> comparison = arc.compare_methods(np.sin, 0.0)
    >>> [row.name for row in comparison.rows]
    ['symbolic', 'complex', 'adaptive', 'adaptive, fit', 'finite', 'finite, ridders']
    >>> round(float(comparison["complex"].result.value), 12)
    1.0
    """
    with asked_by("compare_methods"):
        require_function("f", f)
        point = parameter_vector(x, "x")
    scalar = np.ndim(x) == 0
    f(float(point[0]) if scalar else point.copy())  # what f raises itself is no matter of methods
    rows = []
    for name, method, options in ENTRIES:
        start = time.perf_counter()
        try:
            if scalar:
                result = DerivativeKit(f, x).differentiate(method=method, full_output=True, **options)
            else:
                result = CalculusKit(f, x).gradient(method=method, full_output=True, **options)
        except (TypeError, ValueError, ArithmeticError, NotImplementedError) as error:
            reason = (str(error).splitlines() or [""])[0]
            rows.append(Row(name, None, time.perf_counter() - start, f"{type(error).__name__}: {reason}"))
            continue
        rows.append(Row(name, result, time.perf_counter() - start))
    return Comparison(tuple(rows))


def _shown(value: Any) -> str:
    """A number, or the first entries of an array."""
    flat = np.ravel(value)
    if flat.size == 1:
        return f"{float(flat[0]):.15g}"
    return "[" + " ".join(f"{entry:.5g}" for entry in flat[:3]) + (" ...]" if flat.size > 3 else "]")
