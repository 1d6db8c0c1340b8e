"""Functions known at points only: a cubic spline through a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FEWEST_POINTS = 4


class TabulatedFunction:
    """The not-a-knot cubic spline through ``(x[i], y[i])``; nan outside the table.

    Parameters
    ----------
    x : array_like of shape (n,)
        At least four points, all different, in any order.
    y : array_like of shape (n, ...)
        The values there.

    Raises
    ------
    ValueError
        For too few, equal or infinite points and for shapes that do not match.

    References
    ----------
    C. de Boor, *A Practical Guide to Splines*, Springer (2001), chapter IV.

    Examples
    --------
    >>> cube = TabulatedFunction([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 8.0, 27.0, 64.0])
    >>> round(float(cube(2.5)), 12)
    15.625
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        points, values = _numbers("tab_x", x), _numbers("tab_y", y)
        if points.ndim != 1 or values.shape[:1] != points.shape:
            raise ValueError(
                f"tab_x must have shape (n,) and tab_y (n, ...), not {points.shape} and {values.shape}. Transpose "
                f"tab_y if its points are on another axis"
            )
        if len(points) < FEWEST_POINTS:
            raise ValueError(
                f"tab_x: a table needs at least {FEWEST_POINTS} points, not {len(points)}. Tabulate more of them"
            )
        if not (np.isfinite(points).all() and np.isfinite(values).all()):
            bad = next(name for name, array in (("tab_x", points), ("tab_y", values)) if not np.isfinite(array).all())
            raise ValueError(f"tab_x and tab_y must be finite, and {bad} has nan or inf. Leave such points out")
        order = np.argsort(points)
        self.x = points[order]
        if (np.diff(self.x) == 0).any():
            twice = float(self.x[1:][np.diff(self.x) == 0][0])
            raise ValueError(f"the points of tab_x must all be different, and {twice:g} came twice. Average them")
        self.shape = values.shape[1:]
        self.y = values[order].reshape(len(points), -1)
        self._curvature = _second_derivatives(self.x, self.y)

    def __call__(self, at: float) -> Floats:
        """The spline's value, of the shape of one entry of `y`."""
        if not self.x[0] <= at <= self.x[-1]:
            return np.full(self.shape, np.nan)
        i = min(int(np.searchsorted(self.x, at, side="right")) - 1, len(self.x) - 2)
        width = self.x[i + 1] - self.x[i]
        right = (at - self.x[i]) / width
        left = 1 - right
        bend = (left**3 - left) * self._curvature[i] + (right**3 - right) * self._curvature[i + 1]
        value = left * self.y[i] + right * self.y[i + 1] + bend * width**2 / 6
        return np.asarray(value).reshape(self.shape)

    def around(self, at: float) -> list[float]:
        """A point, and those half an interval beside it, within the table."""
        i = min(int(np.searchsorted(self.x, at, side="right")) - 1, len(self.x) - 2)
        half = (self.x[i + 1] - self.x[i]) / 2
        return [at, float(max(at - half, self.x[0])), float(min(at + half, self.x[-1]))]

    def coarser(self) -> list[TabulatedFunction]:
        """The splines through the first, every second and the last point, the first or second of them left out.

        Two, as their distance from this one changes its sign somewhere; none if too few points would be left.
        """
        last = len(self.x) - 1
        chosen = [np.unique([0, *range(start, last + 1, 2), last]) for start in (0, 1)]
        if min(map(len, chosen)) < FEWEST_POINTS:
            return []
        return [TabulatedFunction(self.x[kept], self.y[kept].reshape(len(kept), *self.shape)) for kept in chosen]


def _numbers(name: str, given: ArrayLike) -> Floats:
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers, not of dtype {array.dtype}. Convert it to float")
    return array.astype(np.float64)


def _second_derivatives(x: Floats, y: Floats) -> Floats:
    """The spline's second derivatives at the points, by elimination in a tridiagonal system."""
    h = np.diff(x)
    slopes = np.diff(y, axis=0) / h[:, None]
    right_side = 6 * np.diff(slopes, axis=0)
    lower, main, upper = h[:-1].copy(), 2 * (h[:-1] + h[1:]), h[1:].copy()
    # Not a knot: the third derivative goes on through the second and the last but one point.
    main[0] += h[0] * (1 + h[0] / h[1])
    upper[0] -= h[0] ** 2 / h[1]
    main[-1] += h[-1] * (1 + h[-1] / h[-2])
    lower[-1] -= h[-1] ** 2 / h[-2]
    for i in range(1, len(main)):
        factor = lower[i] / main[i - 1]
        main[i] -= factor * upper[i - 1]
        right_side[i] -= factor * right_side[i - 1]
    inner = np.empty_like(right_side)
    inner[-1] = right_side[-1] / main[-1]
    for i in range(len(main) - 2, -1, -1):
        inner[i] = (right_side[i] - upper[i] * inner[i + 1]) / main[i]
    first = inner[0] + h[0] / h[1] * (inner[0] - inner[1])
    last = inner[-1] + h[-1] / h[-2] * (inner[-1] - inner[-2])
    return np.vstack([first, inner, last])
