"""What the numeric methods return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archimedes_grad.errors import warn_caller

Floats = NDArray[np.float64]

#: From best to worst; a result of many parts has the status of its worst part.
STATUSES = ("exact", "converged", "one-sided", "noisy", "failed")


@dataclass
class LineEstimate:
    """A derivative along a line with what is known about it, per output; shape (n_outputs,)."""

    value: Floats
    error: Floats
    step: Floats
    success: NDArray[np.bool_]
    status: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    n_evaluations: int = 0


@dataclass(frozen=True)
class DerivativeResult:
    """A derivative, the error claimed for it and how it was found.

    Attributes
    ----------
    value : float64 or ndarray
        The derivative.
    error : float64 or ndarray
        A bound in practice on ``abs(value - derivative)``, of the shape of `value`; nan where a method was not
        asked to estimate it.
    n_evaluations : int
        Calls of the function, or points where it takes many at once.
    steps : ndarray
        The largest step that a value rests on: per parameter, or per parameter and output.
    method : str
        ``"finite"``, ``"adaptive"``, ``"complex"`` or ``"symbolic"``.
    status : str
        ``"exact"``, ``"converged"``, ``"one-sided"``, ``"noisy"`` or ``"failed"``: the worst of all entries.
    success : bool
        False where no claim can be made about some entry.
    message : str
        Which parameter, and why.
    details : dict
        Samples and fits, where a method was asked for ``diagnostics``.

    Examples
    --------
    >>> import numpy as np
    >>> from archimedes_grad.numeric import derivative
    >>> result = derivative(np.sin, 0.0, method="adaptive")
    >>> abs(float(result.value) - 1.0) <= float(result.error) < 1e-12
    True
    """

    value: Any
    error: Any
    n_evaluations: int
    steps: Floats
    method: str
    status: str
    success: bool
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def checked(self) -> Any:
        """The value, if it is one to be believed.

        Raises
        ------
        FloatingPointError
            If an entry is not finite; the message names the parameter.

        Warns
        -----
        RuntimeWarning
            If entries are finite, but no claim can be made about them.

        Examples
        --------
        >>> import numpy as np
        >>> from archimedes_grad.numeric import derivative
        >>> round(float(derivative(np.sin, 0.0, method="finite").checked()), 6)
        1.0
        """
        if not np.isfinite(self.value).all():
            raise FloatingPointError(f"{self.method} derivative is not finite: {self.message}")
        if not self.success:
            message = f"{self.method} derivative is not to be relied on: {self.message}"
            warn_caller(message, RuntimeWarning)
        return self.value


def worst_status(statuses: list[str]) -> str:
    """The worst of several statuses."""
    return max(statuses, key=STATUSES.index)


def result_of(
    names: Sequence[str], estimates: Sequence[LineEstimate], value: Any, error: Any, steps: Floats, method: str,
    details: dict[str, Any] | None = None,
) -> DerivativeResult:  # fmt: skip
    """One result that rests on estimates along lines, each with a name. The centre counts as one evaluation."""
    return DerivativeResult(
        value=value,
        error=error,
        n_evaluations=1 + sum(estimate.n_evaluations for estimate in estimates),
        steps=steps,
        method=method,
        status=worst_status([status for estimate in estimates for status in estimate.status]),
        success=bool(all(estimate.success.all() for estimate in estimates)),
        message=describe(names, estimates),
        details=details or {},
    )


def describe(names: Sequence[str], estimates: Sequence[LineEstimate]) -> str:
    """One message from those of all outputs along all lines.

    Only what is worst is told; without anything unusual, the first message speaks for all.
    """
    worst = worst_status([status for estimate in estimates for status in estimate.status])
    if worst in ("exact", "converged"):
        return estimates[0].message[0]
    told = list(dict.fromkeys(
        f"{name}: {message}"
        for name, estimate in zip(names, estimates, strict=True)
        for status, message in zip(estimate.status, estimate.message, strict=True)
        if status == worst
    ))  # fmt: skip
    more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
    return "; ".join(told[:3]) + more
