"""Values of a function along a line, each computed once and counted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Offsets along the line, shape (k,), to one row of outputs per offset, shape (k, n_outputs).
LineFunction = Callable[[Floats], Floats]


class LineSampler:
    """Samples of ``t -> f(x0 + t * direction)``, remembered by offset.

    Parameters
    ----------
    function : callable
        Maps offsets of shape (k,) to outputs of shape (k, n_outputs). Rows of NaN say that the function
        is not defined there.
    centre : ndarray of shape (n_outputs,)
        The outputs at offset zero.
    position : float
        A magnitude for ``x0`` along the line: rounding of the argument is relative to it.
    lower, upper : float
        Offsets outside ``[lower, upper]`` are never evaluated; they count as undefined.
    """

    def __init__(
        self,
        function: LineFunction,
        centre: Floats,
        position: float,
        lower: float = -math.inf,
        upper: float = math.inf,
    ) -> None:
        self._function = function
        self._rows: dict[float, Floats] = {0.0: centre}
        self.centre = centre
        self.position = abs(position)
        self.lower = lower
        self.upper = upper
        self.n_evaluations = 0

    def __call__(self, offsets: Floats) -> Floats:
        """Outputs at `offsets`, shape (k, n_outputs); only offsets not seen before are evaluated."""
        wanted = [float(offset) for offset in offsets]
        missing = [t for t in dict.fromkeys(wanted) if t not in self._rows]
        inside = [t for t in missing if self.lower <= t <= self.upper]
        if inside:
            for t, row in zip(inside, self._function(np.array(inside)), strict=True):
                self._rows[t] = row
            self.n_evaluations += len(inside)
        undefined = np.full_like(self.centre, np.nan)
        return np.array([self._rows.get(t, undefined) for t in wanted])

    def known(self) -> tuple[Floats, Floats]:
        """All offsets with finite outputs, ascending, and their outputs."""
        offsets = np.array(sorted(t for t, row in self._rows.items() if np.isfinite(row).all()))
        return offsets, np.array([self._rows[float(t)] for t in offsets])
