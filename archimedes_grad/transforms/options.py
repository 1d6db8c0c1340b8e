"""What the public functions ask of their own arguments, once, before anything is traced."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import numpy as np

from archimedes_grad.arguments.signature import name_of, require_function
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.engines.selection import ENGINES
from archimedes_grad.errors import asked_by
from archimedes_grad.optional import require

METHODS = ("symbolic", "finite", "adaptive", "complex", "auto")
CONTROL_FLOW = ("paths", "structured")

#: How numeric methods are run, whichever it is.
_RUN_OPTIONS = ("n_workers", "executor", "progress", "vectorized")

_NO_PLAIN_FUNCTIONS = (
    ("an async function", inspect.iscoroutinefunction, "Await outside of it, and pass the result."),
    ("an async generator function", inspect.isasyncgenfunction, "Collect its items outside, and pass them in a list."),
    ("a generator function", inspect.isgeneratorfunction, "Return a list or tuple of the items in place of yield."),
)


def require_method(transform: str, method: Any) -> None:
    """Raise ValueError for an unknown method."""
    _require_one_of(transform, "method", method, METHODS)


def require_engine(transform: str, engine: Any) -> None:
    """Raise ValueError for an unknown engine; None is the default."""
    if engine is not None:
        _require_one_of(transform, "engine", engine, ENGINES)


def require_options(transform: str, method: str, options: dict[str, Any]) -> None:
    """Validate the options of a numeric method; the symbolic one has none left here."""
    if method == "symbolic":
        if options:
            raise ValueError(
                f"{transform}: unknown option {next(iter(options))!r} of method 'symbolic'; valid: 'control_flow', "
                f"'max_paths', 'progress'. Options of a numeric method need that method: method='adaptive'."
            )
        return
    # Here, not above: who differentiates symbolically does not wait for the numeric methods at import.
    from archimedes_grad.numeric import validate_options
    from archimedes_grad.numeric.executors import check_workers

    own = {name: option for name, option in options.items() if name not in _RUN_OPTIONS}
    for name in ("return_error", "diagnostics"):
        if own.get(name):
            raise ValueError(
                f"{transform}: option {name}={own[name]!r} came, and a transform returns the derivative alone. Use "
                f"CalculusKit or DerivativeKit, which return more."
            )
    with asked_by(transform):
        check_workers(options.get("n_workers", 1), options.get("executor"))
        validate_options("adaptive" if method == "auto" else method, own)


def require_sparse(transform: str, sparse: bool) -> None:
    """Raise where a sparse result cannot be had: without SciPy."""
    require_truth(transform, "sparse", sparse)
    if sparse:
        require("scipy", f"{transform}(sparse=True)")


def require_control_flow(transform: str, control_flow: Any, max_paths: Any) -> None:
    """Raise ValueError for an unknown control flow, or a number of paths that is none."""
    _require_one_of(transform, "control_flow", control_flow, CONTROL_FLOW)
    if not isinstance(max_paths, int) or isinstance(max_paths, bool) or max_paths < 1:
        raise ValueError(
            f"{transform}: max_paths must be a positive int, got {max_paths!r}. Leave it out for 128."
        )


def require_progress(transform: str, progress: Any) -> None:
    """Raise where no bar can be shown: for what is neither True nor False, or without tqdm."""
    require_truth(transform, "progress", progress)
    if progress:
        require("tqdm", "progress=True")


def require_functions(owner: str, **functions: Any) -> None:
    """Raise TypeError where an argument that must be a function is none."""
    with asked_by(owner):
        for name, function in functions.items():
            require_function(name, function)


def required_integer(owner: str, name: str, given: Any, lowest: int | None = None, way_on: str = "") -> int:
    """Return an argument that must be a plain integer.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If it is below ``lowest``.
    """
    expected = "an integer" if lowest is None else f"an integer from {lowest} on"
    way_on = way_on or "Round it by int()."
    if isinstance(given, SymbolicArray | bool) or not hasattr(given, "__index__"):
        raise TypeError(f"{owner}: {name} must be {expected}, got {type(given).__name__} {given!r}. {way_on}")
    number = operator.index(given)
    if lowest is not None and number < lowest:
        raise ValueError(f"{owner}: {name} must be {expected}, got {number}. {way_on}")
    return number


def required_positive(owner: str, name: str, given: Any, way_on: str) -> float:
    """Return an argument that must be a positive finite number.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not positive and finite.
    """
    plain = not isinstance(given, SymbolicArray | bool)
    if not (plain and isinstance(given, int | float | np.integer | np.floating)):
        raise TypeError(f"{owner}: {name} must be a positive number, got {type(given).__name__} {given!r}. {way_on}")
    if not 0 < given < np.inf:
        raise ValueError(f"{owner}: {name} must be a positive finite number, got {given!r}. {way_on}")
    return float(given)


def require_plain_function(transform: str, func: Any) -> None:
    """Raise TypeError for what is no function, or one that runs nothing when it is called."""
    require_functions(transform, func=func)
    for kind, is_of_kind, way_on in _NO_PLAIN_FUNCTIONS:
        if is_of_kind(func):
            raise TypeError(
                f"{transform}: {name_of(func)!r} is {kind}, and a plain function was expected: calling it runs nothing "
                f"of it. {way_on}"
            )


def require_name(transform: str, name: Any) -> None:
    """Raise TypeError for a name that is no string."""
    if name is not None and not isinstance(name, str):
        raise TypeError(
            f"{transform}: name must be a string, got {type(name).__name__} {name!r}. Leave it out for "
            f"'{transform}_' and the function's name."
        )


def require_truth(transform: str, argument: str, given: Any) -> None:
    """Raise TypeError for what is neither True nor False."""
    if not isinstance(given, bool):
        raise TypeError(
            f"{transform}: {argument} must be True or False, got {type(given).__name__} {given!r}. Write "
            f"{argument}=True."
        )


def _require_one_of(transform: str, argument: str, given: Any, valid: tuple[str, ...]) -> None:
    if given not in valid:
        raise ValueError(
            f"{transform}: unknown {argument} {given!r}; valid: {', '.join(map(repr, valid))}. Leave it out for the "
            f"default."
        )
