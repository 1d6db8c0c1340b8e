"""Pickling of compiled functions: by reference as Python pickles functions, with cloudpickle what has no name."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from archimedes_grad.optional import installed, missing


def found_at(module: str | None, qualified_name: str) -> Any:
    """Return what a module holds under a qualified name, or None."""
    found: Any = sys.modules.get(module or "")
    for part in qualified_name.split("."):
        found = getattr(found, part, None)
    return found


def found(module: str, qualified_name: str) -> Any:
    """Return what a module holds under a qualified name, imported if it was not."""
    import_module(module)
    return found_at(module, qualified_name)


def travels_whole(function: Callable[..., Any]) -> bool:
    """Whether a function goes by value: what a script or notebook defines, another process has not."""
    return getattr(function, "__module__", None) == "__main__" and installed("cloudpickle")


def packed(what: Any, name: str, whole: bool) -> bytes:
    """Return a function, or what holds functions and classes, as bytes: lambdas where cloudpickle is installed.

    Parameters
    ----------
    whole
        Whether what a script or notebook defines goes by value.

    Raises
    ------
    pickle.PicklingError
        If it cannot be pickled by reference and cloudpickle is not installed.
    """
    try:
        if not whole:
            return pickle.dumps(what)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        needs = missing("cloudpickle", "pickling a lambda or a closure")
        if needs is not None:
            raise pickle.PicklingError(
                f"{name}: {needs}, or define the function at the top of a module. Python says: {error}"
            ) from error
    import cloudpickle

    try:
        return cloudpickle.dumps(what)  # type: ignore[no-any-return]
    except TypeError as error:
        raise pickle.PicklingError(f"{name}: {error}") from error


def rebuilt(transform: Callable[..., Any], function: bytes, options: dict[str, Any]) -> Any:
    """Return the compiled function again, without specialisations.

    Raises
    ------
    ImportError
        If cloudpickle packed the function and is not installed here.
    """
    try:
        loaded = pickle.loads(function)
    except ModuleNotFoundError as error:
        needs = missing("cloudpickle", "unpickling a lambda or a closure")
        if needs is None or (error.name or "").partition(".")[0] != "cloudpickle":
            raise
        raise ImportError(needs, name="cloudpickle") from error
    return transform(loaded, **options)
