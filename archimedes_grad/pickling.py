"""Pickling of compiled functions: by reference as Python pickles functions, with cloudpickle what has no name."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

from archimedes_grad.optional import installed, missing


def found_at(module: str | None, qualified_name: str) -> Any:
    """Return what a module holds under a qualified name, or None."""
    found: Any = sys.modules.get(module or "")
    for part in qualified_name.split("."):
        found = getattr(found, part, None)
    return found


def travels_whole(function: Callable[..., Any]) -> bool:
    """Whether a function goes by value: what a script or notebook defines, another process has not."""
    return getattr(function, "__module__", None) == "__main__" and installed("cloudpickle")


def packed(function: Callable[..., Any], name: str) -> bytes:
    """Return a function as bytes: lambdas and closures where cloudpickle is installed.

    Raises
    ------
    pickle.PicklingError
        If it cannot be pickled by reference and cloudpickle is not installed.
    """
    try:
        if not travels_whole(function):
            return pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        needs = missing("cloudpickle", "pickling a lambda or a closure")
        if needs is not None:
            raise pickle.PicklingError(
                f"{name}: {needs}, or define the function at the top of a module. Python says: {error}"
            ) from error
    import cloudpickle

    return cloudpickle.dumps(function)  # type: ignore[no-any-return]


def rebuilt(transform: Callable[..., Any], function: bytes, options: dict[str, Any]) -> Any:
    """Return the compiled function again: it traces anew at its first call.

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
