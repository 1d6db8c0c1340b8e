"""Wrappers of the user's function: a cache of its values, a lock around its calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from archimedes_grad.arguments.signature import name_of


class CachedFunction:
    """A function that remembers its values by its argument, least recently used first to go.

    Parameters
    ----------
    function : callable
        A pure function of one number or array.
    maxsize : int or None
        How many values to keep; None: all.
    copy : bool
        Whether to hand out copies, so that callers cannot change what is kept.
    decimal_places : int or None
        Arguments equal after rounding to so many places share a value; None: equal bit by bit.

    Raises
    ------
    ValueError
        If `maxsize` is not positive.

    Examples
    --------
    >>> square = CachedFunction(lambda x: x * x)
    >>> square(3.0), square(3.0), square.hits
    (9.0, 9.0, 1)
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        maxsize: int | None = 4096,
        copy: bool = True,
        decimal_places: int | None = None,
    ) -> None:
        if maxsize is not None and (isinstance(maxsize, bool) or not isinstance(maxsize, int) or maxsize < 1):
            raise ValueError(f"cache_maxsize must be a positive integer or None, not {maxsize!r}. None keeps all")
        if decimal_places is not None and (isinstance(decimal_places, bool) or not isinstance(decimal_places, int)):
            raise ValueError(
                f"cache_number_decimal_places must be an integer or None, not {decimal_places!r}. None compares bit by "
                f"bit"
            )
        self.function = function
        self.maxsize = maxsize
        self.copy = copy
        self.decimal_places = decimal_places
        self.hits = 0
        self.misses = 0
        self._values: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def __name__(self) -> str:
        return name_of(self.function)

    def __call__(self, argument: Any) -> Any:
        """The value at the argument, computed once."""
        key = self._key(argument)
        with self._lock:
            if key in self._values:
                self.hits += 1
                self._values.move_to_end(key)
                return self._given(self._values[key])
        value = self.function(argument)
        with self._lock:
            self.misses += 1
            self._values[key] = self._given(value)
            if self.maxsize is not None and len(self._values) > self.maxsize:
                self._values.popitem(last=False)
        return value

    def _key(self, argument: Any) -> bytes:
        array = np.asarray(argument)
        if self.decimal_places is not None:
            array = np.round(array, self.decimal_places) + 0.0  # without negative zeros
        return f"{array.dtype.str}{array.shape}".encode() + array.tobytes()

    def _given(self, value: Any) -> Any:
        return value.copy() if self.copy and isinstance(value, np.ndarray) else value

    def __getstate__(self) -> dict[str, Any]:
        # Other processes keep values of their own.
        return {**self.__dict__, "_lock": None, "_values": OrderedDict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


class LockedFunction:
    """A function that one thread calls at a time; every process has a lock of its own."""

    def __init__(self, function: Callable[..., Any], lock: AbstractContextManager[Any] | None = None) -> None:
        self.function = function
        self._lock: AbstractContextManager[Any] = threading.RLock() if lock is None else lock

    @property
    def __name__(self) -> str:
        return name_of(self.function)

    def __call__(self, *arguments: Any) -> Any:
        """The function's value, computed under the lock."""
        with self._lock:
            return self.function(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        return {"function": self.function}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.function = state["function"]
        self._lock = threading.RLock()
