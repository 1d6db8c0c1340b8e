"""Traced values that NumPy's protocol does not look for: in lists, as ``np.mean([x[0], 2 * x[1]])``, and in options.

Which arguments of a function may take the call over, NumPy asks a function of its own, the dispatcher. It
returns some of the arguments, the arrays, and a list has no ``__array_function__``. Here a traced value that lies
in a list, in a tuple, in an array of objects or in another argument stands beside them, so that the function's
rule gets the call.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexArray
from archimedes_grad.arrays.dispatch import FUNCTIONS, INTERCEPTED
from archimedes_grad.arrays.operands import gathered

_core: Any = np._core  # type: ignore[attr-defined]


def _with_hidden_ones(dispatcher: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the arguments that may take a call over, as a dispatcher gives them, and a traced one from elsewhere."""
    relevant = list(dispatcher(*args, **kwargs))
    if not any(isinstance(argument, SymbolicArray) for argument in relevant):
        hidden = list(_traced_in((*relevant, *args, *kwargs.values())))
        relevant.extend(next(([array] for array in hidden if isinstance(array, ComplexArray)), hidden[:1]))
    return relevant


def _traced_in(structure: Any) -> Iterator[SymbolicArray]:
    """Give the traced values in a list, a tuple or an array of objects, nested ones too."""
    if isinstance(structure, SymbolicArray):
        yield structure
    elif type(structure) in (list, tuple) or (isinstance(structure, np.ndarray) and structure.dtype.hasobject):
        for item in structure if isinstance(structure, list | tuple) else structure.flat:
            yield from _traced_in(item)


def _dispatchers() -> Iterator[FunctionType]:
    """Give the functions that say, for NumPy's functions, which arguments may take a call over."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "numpy"]:
        for name, found in list(vars(module).items()):
            if name.endswith("_dispatcher") and name.startswith("_") and isinstance(found, FunctionType):
                yield found
    # Those of functions written in C have no name any more: they are known by the namespace that they refer to.
    for found in gc.get_referrers(vars(_core.multiarray)):
        if isinstance(found, FunctionType) and isinstance(getattr(np, found.__name__, None), type(np.sum)):
            yield found


def _by_rule_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what sends a call of NumPy's own code to the rule of a function."""

    def rule(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[function](*args, **kwargs)

    return rule


def _by_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what calls a function in place of what ndarray's method of the same meaning does."""

    def rule(original: Callable[..., Any], array: Any, *args: Any, **kwargs: Any) -> Any:
        return function(gathered(array), *args, **kwargs)

    return rule


def _checked(original: Callable[..., Any], a: Any, dtype: Any = None, order: Any = None) -> Any:
    """Return an array that holds finite numbers, which is decided, as it is."""
    a = np.asarray(a, dtype)
    if not np.all(np.isfinite(a)):
        raise ValueError("array must not contain infs or NaNs")
    return a


def add_rules() -> None:
    """Let traced values in lists and options take part in NumPy's protocol."""
    for dispatcher in _dispatchers():
        INTERCEPTED[dispatcher] = _with_hidden_ones
    # The only one of the functions that make arrays whose entries may be traced without ``like=``.
    INTERCEPTED[np.full] = _by_rule_of(np.full)
    INTERCEPTED[np.asarray_chkfinite] = _checked
    methods = _core._methods
    INTERCEPTED[methods._mean] = _by_method(np.mean)
    INTERCEPTED[methods._var] = _by_method(np.var)
    INTERCEPTED[methods._std] = _by_method(np.std)
