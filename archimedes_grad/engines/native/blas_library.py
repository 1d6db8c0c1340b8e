"""Routines that compiled programs call by address: of the OpenBLAS in NumPy's wheels, and those compiled once here."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.equation_text import EQUATIONS_FILE
from archimedes_grad.engines.native.product_text import KERNEL_FILE
from archimedes_grad.engines.native.thread_text import POOL_FILE
from archimedes_grad.engines.native.toolchain import library

#: Of BLAS and LAPACK.
ROUTINES = ("dgemm", "dgetrf")
# With 64-bit integers, as NumPy's wheels build it.
_SYMBOLS = ("scipy_{}_64_", "{}_64_")

#: The files of the routines that are compiled once for a machine.
KERNELS = {"small_product": KERNEL_FILE, "solve_equations": EQUATIONS_FILE, "run_in_parts": POOL_FILE}

#: The places of all of them among the addresses: the C code knows them by these.
PLACES = {name: place for place, name in enumerate((*ROUTINES, *KERNELS))}


def addresses(kernels: Container[str]) -> npt.NDArray[np.float64]:
    """Return an array whose entries hold, bit for bit, the addresses of routines by ``PLACES``; 0 where there is none.

    Kernels may have to be compiled first: only those that are asked for are there.
    """
    own = [_kernel(name) if name in kernels else 0 for name in KERNELS]
    return np.array([*_addresses(), *own], dtype=np.int64).view(np.float64)


def has_lapack() -> bool:
    """Tell whether there are all routines."""
    return all(_addresses())


def set_threads(threads: int) -> None:
    """Set how many threads the pool gives a loop to."""
    _kernel_library("run_in_parts").set_threads(threads)


class KernelsUnderWay:
    """Kernels that a thread compiles where they are not there yet, while something else is compiled."""

    def __init__(self, kernels: Container[str]) -> None:
        self._outcome: npt.NDArray[np.float64] | Exception
        self._thread = threading.Thread(target=self._run, args=(kernels,))
        self._thread.start()

    def _run(self, kernels: Container[str]) -> None:
        try:
            self._outcome = addresses(kernels)
        except Exception as error:
            self._outcome = error

    def addresses(self) -> npt.NDArray[np.float64]:
        """Wait for the kernels; return their addresses, or raise what went wrong."""
        self._thread.join()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@functools.cache
def _kernel(name: str) -> int:
    return _address(getattr(_kernel_library(name), name))


@functools.cache
def _kernel_library(name: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(library(KERNELS[name])))


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@functools.lru_cache(maxsize=1)
def _addresses() -> list[int]:
    package = Path(np.__file__).parent
    for directory in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(directory.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for symbol in _SYMBOLS:
                functions = [getattr(library, symbol.format(name), None) for name in ROUTINES]
                if functions[0] is not None:
                    return [0 if function is None else _address(function) for function in functions]
    return [0] * len(ROUTINES)
