"""Routines that compiled programs call by address: of the OpenBLAS in NumPy's wheels, and the kernel for products."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.product_text import KERNEL_FILE
from archimedes_grad.engines.native.toolchain import library

#: The routines by their places among the addresses: the C code knows them by these.
ROUTINES = ("dgemm", "dtrtrs", "dgetrf", "dgetrs")
# With 64-bit integers, as NumPy's wheels build it.
_SYMBOLS = ("scipy_{}_64_", "{}_64_")


#: The kernel's place among the addresses, behind the routines.
KERNEL = len(ROUTINES)


def addresses(with_kernel: bool) -> npt.NDArray[np.float64]:
    """Return an array whose entries hold, bit for bit, the addresses of ``ROUTINES``; 0 where there is none.

    The kernel for products, which may have to be compiled first, is the last one where it is asked for.
    """
    kernel = [_kernel()] if with_kernel else []
    return np.array([*_addresses(), *kernel], dtype=np.int64).view(np.float64)


def has_lapack() -> bool:
    """Tell whether there are all routines."""
    return all(_addresses())


@functools.lru_cache(maxsize=1)
def _kernel() -> int:
    return _address(ctypes.CDLL(str(library(KERNEL_FILE))).small_product)


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
