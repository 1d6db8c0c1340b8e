"""NumPy functions that are deliberately not supported: they have no derivative and no constant meaning."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from archimedes_grad.arrays.dispatch import FUNCTIONS, implements, refuse
from archimedes_grad.arrays.operands import gathered, value_of
from archimedes_grad.arrays.trace_state import trace_error


def _named(module: object, *names: str) -> Iterator[object]:
    """Yield those functions that this version of NumPy has and that have no rule."""
    for name in names:
        function = getattr(module, name, None)
        if function is not None and function not in FUNCTIONS:
            yield function


def _refuse(reason: str, module: object, *names: str) -> None:
    for function in _named(module, *names):
        refuse(reason, function)  # type: ignore[arg-type]


_refuse(
    "It reads or writes a file, and a traced array has no fixed entries. Do it outside the differentiated function.",
    np, "fromfile", "genfromtxt", "loadtxt", "save", "savetxt", "savez", "savez_compressed",
)  # fmt: skip
_refuse(
    "It works on dates. Convert them to numbers before the call.",
    np, "busday_count", "busday_offset", "datetime_as_string", "is_busday", "isnat",
)  # fmt: skip
_refuse(
    "It works on the bits of integers. Pass the integers through static_argnames.",
    np, "packbits", "unpackbits",
)  # fmt: skip
_refuse(
    "Distances between neighbouring floating point numbers have no derivative. Use np.finfo(x.dtype).eps.",
    np, "nextafter", "spacing",
)  # fmt: skip
_refuse("Its result is complex, and traced arrays hold real numbers. Use np.sort.", np, "sort_complex")
_refuse("It is for NumPy's own use. Use np.ones_like.", np._core.umath, "_ones_like")  # type: ignore[attr-defined]


def _functions_of(module: ModuleType) -> list[str]:
    # What a module holds; its __getattr__ may warn of names that are going.
    return [name for name, function in vars(module).items() if hasattr(function, "__wrapped__")]


_recfunctions = importlib.import_module("numpy.lib.recfunctions")
_refuse(
    "It works on structured arrays. Keep fields as separate arrays, or in a dict.",
    _recfunctions, *_functions_of(_recfunctions),
)  # fmt: skip

_STRINGS = "It works on strings. Keep them out of the arithmetic, in a static argument."

# Where these functions live has changed between versions.
for _name in ("numpy.strings", "numpy.char", "numpy._core.strings", "numpy._core.defchararray"):
    _module = importlib.import_module(_name)
    _refuse(_STRINGS, _module, *_functions_of(_module))

_refuse(
    "It takes any number of variables. Use polyval2d, or np.polyval for one variable after the other.",
    importlib.import_module("numpy.polynomial.polynomial"), "polyvalnd",
)  # fmt: skip

# ufuncs on strings have no loop over a number.
for _ufunc in vars(np._core.umath).values():  # type: ignore[attr-defined]
    if isinstance(_ufunc, np.ufunc) and not _ufunc.types:
        refuse(_STRINGS, _ufunc)


@implements(np.min_scalar_type)
def min_scalar_type(a: object, /) -> np.dtype[np.generic]:
    """Return the dtype of an array; the smallest one for a single number would depend on that number."""
    a = gathered(a)
    if np.ndim(value_of(a)) == 0:
        raise trace_error(
            "np.min_scalar_type of a traced number depends on the number.", "Use its dtype: x.dtype."
        )
    return np.min_scalar_type(value_of(a))
