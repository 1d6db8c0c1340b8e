"""The matrix product of the OpenBLAS that NumPy's wheels bring."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

# With 64-bit integers, as NumPy's wheels build it.
_SYMBOLS = ("scipy_dgemm_64_", "dgemm_64_")


@functools.lru_cache(maxsize=1)
def product_pointer() -> npt.NDArray[np.float64]:
    """Return an array whose one entry holds, bit for bit, the address of ``dgemm``; 0 where there is none."""
    return np.array([_address()], dtype=np.int64).view(np.float64)


def _address() -> int:
    package = Path(np.__file__).parent
    for directory in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(directory.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for symbol in _SYMBOLS:
                function = getattr(library, symbol, None)
                if function is not None:
                    return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0
