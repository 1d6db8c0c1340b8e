"""A plugin of pytest that records which functions of NumPy or SciPy the tests under way call, with what arguments.

``RECORDED_MODULES`` names the modules whose functions are recorded, ``RECORDED_CALLS`` the file that the calls go to.
"""

import hashlib
import importlib
import os
import pickle
import threading
import types
from typing import Any

import numpy as np

MODULES = os.environ["RECORDED_MODULES"].split(",")
#: Beyond these sizes a call is not kept: entries of one array, bytes of one call, calls of one function.
MOST_ENTRIES, MOST_BYTES, MOST_CALLS = 600, 12_000, 2400
#: What makes arrays, prints, reads files or sets options.
LEFT_OUT = frozenset({
    "arange", "array", "array2string", "array_repr", "array_str", "asanyarray", "asarray", "base_repr", "binary_repr",
    "busday_count", "busday_offset", "can_cast", "common_type", "datetime_as_string", "datetime_data", "dtype",
    "einsum_path", "empty", "errstate", "finfo", "format_float_positional", "format_float_scientific", "frombuffer",
    "fromfile", "fromfunction", "fromiter", "fromregex", "fromstring", "frompyfunc", "genfromtxt",
    "get_include", "get_printoptions", "getbufsize", "geterr", "geterrcall", "iinfo", "info", "is_busday", "isdtype",
    "isscalar", "issubdtype", "iterable", "load", "loadtxt", "may_share_memory", "memmap", "min_scalar_type",
    "mintypecode", "ndenumerate", "nditer", "ones", "printoptions", "promote_types", "result_type", "save", "savetxt",
    "savez", "set_printoptions", "setbufsize", "seterr", "seterrcall", "shares_memory", "show_config", "test",
    "typename", "vectorize", "zeros",
})  # fmt: skip
METHODS_OF_UFUNCS = ("reduce", "accumulate", "outer", "reduceat", "at")

_calls: dict[bytes, bytes] = {}
_counts: dict[str, int] = {}
_inside = threading.local()


def _is_numeric(value: Any, depth: int = 0) -> bool:
    """Tell whether there is a plain array of numbers, of a size to keep, in an argument."""
    if type(value) is np.ndarray:
        return value.dtype.kind in "fiubc" and value.size <= MOST_ENTRIES
    return isinstance(value, list | tuple) and depth < 3 and any(_is_numeric(item, depth + 1) for item in value)


def _record(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if _counts.get(name, 0) >= MOST_CALLS or not any(map(_is_numeric, (*args, *kwargs.values()))):
        return
    try:
        call = pickle.dumps((name, args, kwargs), 4)
    except Exception:  # What cannot be written cannot be made again.
        return
    key = hashlib.sha1(call).digest()
    if len(call) <= MOST_BYTES and key not in _calls:
        _counts[name] = _counts.get(name, 0) + 1
        _calls[key] = call


class _Recorded:
    """Stands for a function: records the calls that come from outside of the recorded modules."""

    def __init__(self, function: Any, name: str) -> None:
        self.function, self.name = function, name
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outermost = not getattr(_inside, "any", False)
        _inside.any = True
        try:
            if outermost:
                _record(self.name, args, kwargs)
            return self.function(*args, **kwargs)
        finally:
            _inside.any = not outermost

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self.function, attribute)
        if isinstance(self.function, np.ufunc) and attribute in METHODS_OF_UFUNCS:
            return _Recorded(value, f"{self.name}.{attribute}")
        return value


def pytest_configure() -> None:
    """Put recorders in the place of the functions, before a test module takes them."""
    for module in map(importlib.import_module, MODULES):
        for name in getattr(module, "__all__", dir(module)):
            function = getattr(module, name, None)
            kept = name in LEFT_OUT or name.startswith("_") or isinstance(function, type | types.ModuleType)
            if not kept and callable(function):
                setattr(module, name, _Recorded(function, f"{module.__name__}.{name}"))


def pytest_sessionfinish() -> None:
    """Write what was recorded."""
    with open(os.environ["RECORDED_CALLS"], "wb") as file:
        pickle.dump(list(_calls.values()), file)
