"""What ``array.flat`` is: the entries in C order, which are read as copies and written to in the array."""

from __future__ import annotations

from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray
from archimedes_grad.nodes.gather import flat


class FlatEntries(EntriesOfSymbolicArray):
    """The entries of an array in C order, however it lies in memory."""

    __slots__ = ("_array",)

    def __init__(self, array: SymbolicArray) -> None:
        self._array: Any = array
        self.root = None
        self.version = 0

    @property
    def base(self) -> Any:
        """The array whose entries these are."""
        return self._array

    @property
    def value(self) -> Any:
        """The entries in the run being traced."""
        return np.array(np.ravel(self._array.value))

    @property
    def node(self) -> cs.MX:
        """The expression of the entries as they are now."""
        return flat(self._array.node)

    _node = node

    def __getitem__(self, key: Any) -> Any:
        return self._array[self._places(key)]

    def __setitem__(self, key: Any, new: Any) -> None:
        places = self._places(key)
        self._array[places] = np.resize(new, np.shape(places[0])) if np.ndim(places[0]) else new

    def _places(self, key: Any) -> tuple[npt.NDArray[np.intp], ...]:
        return np.unravel_index(np.arange(self._array.size)[key], self._array.shape)
