"""Every function of NumPy that can be overridden has a rule, or a refusal with its reason."""

import importlib

import numpy as np
import pytest
from numpy.testing import overrides

import archimedes_grad as arc
from archimedes_grad.arrays import dispatch

# Their functions count as NumPy's from when they are imported.
for module in ("numpy.char", "numpy.strings", "numpy.polynomial"):
    importlib.import_module(module)
dispatch.load_all_rules()

FUNCTIONS = sorted(overrides.get_overridable_numpy_array_functions(), key=lambda f: (f.__module__ or "", f.__name__))
UFUNCS = sorted(overrides.get_overridable_numpy_ufuncs(), key=lambda u: u.__name__)


def is_refused(function):
    return function in dispatch.REFUSED or getattr(function, "__wrapped__", function) in dispatch.REFUSED


def name(function):
    return f"{getattr(function, '__module__', 'ufunc')}.{function.__name__}"


@pytest.mark.parametrize("function", [*FUNCTIONS, *UFUNCS], ids=name)
def test_functions(function):
    assert dispatch.has_rule(function) or is_refused(function), "neither a rule nor a refusal: see docs/architecture.md"
    assert not (dispatch.has_rule(function) and is_refused(function))


def test_every_refusal_gives_its_reason_and_a_way_on():
    for function, reason in dispatch.REFUSED.items():
        assert reason[0].isupper(), function
        assert reason.endswith("."), function
        assert reason.count(". ") >= 1, function


@pytest.mark.parametrize("call", [
    np.spacing, np.isnat, lambda x: np.nextafter(x, 1.0), np.sort_complex,
    lambda x: np.save("x.npy", x), lambda x: np.busday_count(x, x), np.packbits, np.unpackbits,
])  # fmt: skip
def test_a_refused_function_raises_trace_error(call):
    with pytest.raises(arc.TraceError, match="does not take traced arrays: "):
        arc.compile(call)(np.array([1.0, 2.0, 4.0]))


def test_methods_of_ndarray():
    """Every public method of ndarray is one of traced arrays, if only to say why not; they have no memory to show."""
    from archimedes_grad.arrays.array import SymbolicArray

    offered = {name for name in dir(np.ndarray) if not name.startswith("_") and hasattr(np.zeros((1, 1)), name)}
    missing = offered - set(dir(SymbolicArray))
    assert missing == {"ctypes", "data"}
