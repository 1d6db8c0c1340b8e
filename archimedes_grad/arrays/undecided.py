"""Arrays whose shape depends on values: who asks for the shape takes a decision, and who does not takes none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archimedes_grad.arrays.array import EntriesOfSymbolicArray, SymbolicArray


class UndecidedArray(EntriesOfSymbolicArray):
    """An array that is made when anything is asked of it.

    Results of a function come in one tuple, and a guard on the shape of one of them would count for those who read
    the others alone: such a function takes several paths, and is refused where one path is allowed.

    Parameters
    ----------
    make
        Returns the array, after a decision on traced values.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], SymbolicArray]) -> None:
        self.root = None
        self.version = 0
        self._read = None
        self._make = make

    def __getattr__(self, name: str) -> Any:
        # The slots are empty at first.
        if name not in ("value", "_node"):
            return super().__getattr__(name)
        made = self._make()
        self._node, self.value = made.node, made.value
        return getattr(self, name)
