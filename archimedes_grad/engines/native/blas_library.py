"""Routines of the OpenBLAS that NumPy's wheels bring."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

#: The routines by their places among the addresses: the C code knows them by these.
ROUTINES = ("dgemm", "dtrtrs", "dgetrf", "dgetrs")
# With 64-bit integers, as NumPy's wheels build it.
_SYMBOLS = ("scipy_{}_64_", "{}_64_")


@functools.lru_cache(maxsize=1)
def addresses() -> npt.NDArray[np.float64]:
    """Return an array whose entries hold, bit for bit, the addresses of ``ROUTINES``; 0 where there is none."""
    return np.array(_addresses(), dtype=np.int64).view(np.float64)


def has_lapack() -> bool:
    """Tell whether there are all routines."""
    return bool(addresses().view(np.int64).all())


def _addresses() -> list[int]:
    package = Path(np.__file__).parent
    for directory in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(directory.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for symbol in _SYMBOLS:
                functions = [getattr(library, symbol.format(name), None) for name in ROUTINES]
                if functions[0] is not None:
                    return [0 if f is None else ctypes.cast(f, ctypes.c_void_p).value or 0 for f in functions]
    return [0] * len(ROUTINES)
