"""The structure of a sparse derivative: where it can differ from 0, as text, in a notebook, in matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad.derivatives.jacobians import SparseStructure
from archimedes_grad.optional import require
from archimedes_grad.tracing.graph import Template

#: The most cells in a row or column of a text, and of a picture.
_TEXT_CELLS, _PICTURE_CELLS = 60, 300
#: Side of a notebook's picture, in pixels.
_SIDE = 300.0
#: What is left free around a picture, of each side.
_ROOM = 0.02
#: No picture is more than so many times as long as it is wide: beyond, entries are drawn stretched.
_LONGEST = 3.0


def sparsity_pattern(name: str, result: Template) -> SparsityPattern:
    """Return the structure of the sparse derivative in the result of a compiled function.

    Raises
    ------
    TypeError
        If there is none in it.
    """
    structure = result.children[0].structure if result.structure is tuple else result.structure
    if not isinstance(structure, SparseStructure):
        raise TypeError(
            f"{name}.sparsity: this derivative has no sparse structure; ask the function that arc.jac(f, sparse=True) "
            f"or arc.hess(f, sparse=True) returns."
        )
    height, width = structure.shape
    columns = np.repeat(np.arange(width, dtype=np.int32), np.diff(structure.index_pointers))
    return SparsityPattern(name, (height, width), structure.indices, columns)


@dataclass(frozen=True, eq=False)
class SparsityPattern:
    """Where the entries of a sparse Jacobian or Hessian can differ from 0.

    Prints as a text of dots and stars; a notebook shows it as a picture.

    Attributes
    ----------
    name
        Of the function that computes the derivative.
    shape
        Rows and columns.
    rows, columns
        Row and column of each stored entry, column by column.
    """

    name: str
    shape: tuple[int, int]
    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]

    @property
    def nnz(self) -> int:
        """The number of stored entries."""
        return len(self.rows)

    def toarray(self) -> npt.NDArray[np.bool_]:
        """Return the pattern as a dense array: True where an entry is stored.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> arc.jac(lambda x: x**2, sparse=True).sparsity(np.ones(2)).toarray().tolist()
        [[True, False], [False, True]]
        """
        dense = np.zeros(self.shape, dtype=bool)
        dense[self.rows, self.columns] = True
        return dense

    def plot(self, axes: Any = None) -> Any:
        """Draw the pattern with matplotlib.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw; a new pyplot figure when left out.

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on. More than 300 rows or columns are drawn in blocks, dark where a block has any entry.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> pattern = arc.jac(lambda x: np.diff(x) ** 2, sparse=True).sparsity(np.ones(4))
        >>> pattern.plot().get_title()
        'jac_<lambda>: 3 × 4, 6 stored (50.00%)'
        """
        require("matplotlib", "plot")
        if axes is None:
            from matplotlib import pyplot

            _, axes = pyplot.subplots()
        height, width = self.shape
        height, width = max(height, 1), max(width, 1)
        axes.imshow(
            self._cells(_PICTURE_CELLS), cmap="Greys", vmin=0, vmax=1, interpolation="nearest", origin="upper",
            extent=(-0.5, width - 0.5, height - 0.5, -0.5), aspect=_stretch(height, width),
        )  # fmt: skip
        # Room, so that the frame hides no entry at the border.
        right, below = 0.5 + _ROOM * width, 0.5 + _ROOM * height
        axes.set(xlim=(-right, width - 1 + right), ylim=(height - 1 + below, -below))
        # Entries are counted: between two of them there is none to name.
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set(title=self._summary, xlabel="input entry", ylabel="output entry")
        return axes

    def _cells(self, most: int) -> npt.NDArray[np.bool_]:
        """Return the pattern in at most so many cells each way: whether a block has any entry."""
        height, width = (min(max(length, 1), most) for length in self.shape)
        cells = np.zeros((height, width), dtype=bool)
        # In 64 bits: the product overflows the 32 of an index.
        rows = self.rows.astype(np.int64) * height // max(self.shape[0], 1)
        columns = self.columns.astype(np.int64) * width // max(self.shape[1], 1)
        cells[rows, columns] = True
        return cells

    @property
    def _summary(self) -> str:
        height, width = self.shape
        share = self.nnz / max(height * width, 1)
        return f"{self.name}: {height:,} × {width:,}, {self.nnz:,} stored ({share:.2%})"

    def _block(self, cells: npt.NDArray[np.bool_]) -> str:
        """Return what a cell stands for where that is more than an entry."""
        if cells.shape == self.shape or 0 in self.shape:
            return ""
        height, width = (-(-length // count) for length, count in zip(self.shape, cells.shape, strict=True))
        return f"; a cell is a block of about {height:,} × {width:,}"

    def __str__(self) -> str:
        cells = self._cells(_TEXT_CELLS)
        lines = ["".join("*" if entry else "." for entry in row) for row in cells.tolist()]
        return "\n".join([self._summary + self._block(cells), *(lines if 0 not in self.shape else [])])

    def _repr_html_(self) -> str:
        """Return the pattern as a picture for notebooks, under a line that folds it away."""
        cells = self._cells(_PICTURE_CELLS)
        height, width = cells.shape
        stretch = _stretch(height, width)
        scale = min(_SIDE / max(stretch * height, width), 12.0)
        path = "".join(f"M{column} {row}h1v1h-1z" for row, column in np.argwhere(cells).tolist())
        right, below = _ROOM * width, _ROOM * height
        across, down = width + 2 * right, height + 2 * below
        size = f'width="{scale * across:.0f}" height="{scale * stretch * down:.0f}"'
        return (
            f"<details open=\"open\"><summary>{escape(self._summary + self._block(cells))}</summary>"
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="{-right:.2f} {-below:.2f} {across:.2f} {down:.2f}" preserveAspectRatio="none" '
            f'style="background:white;border:1px solid #8c959f">'
            f'<path d="{path}" fill="#24292f"/></svg></details>'
        )


def _stretch(height: int, width: int) -> float:
    """Return how much longer than wide an entry is drawn: 1, unless the picture became a line."""
    length = height / max(width, 1)
    return min(max(length, 1 / _LONGEST), _LONGEST) / length
