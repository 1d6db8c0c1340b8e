"""Programs in arithmetic whose rounding errors are drawn: a decision within rounding differs from run to run."""

import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .reference import LONG, Namespace

#: Functions that compute, beside ufuncs: in modules, and by name.
_MODULES = ("numpy.linalg", "numpy.fft")
_NAMES = {"dot", "vdot", "inner", "einsum", "tensordot", "convolve", "correlate", "interp", "polyfit", "roots", "cov"}

#: Those whose entries are products of two numbers: zeros among them are exact.
_PRODUCTS = {"outer", "kron"}

#: Transformations that give derivatives.
_DERIVATIVES = ("grad", "value_and_grad", "jac", "hess", "jvp", "vjp", "hvp")

#: Functions of SciPy that are no ufuncs.
_OF_SCIPY = ("logsumexp", "softmax", "log_softmax")

EPS = float(np.finfo(np.float64).eps)

#: The largest drawn error, in units in the last place; those of sums and factorisations count from the largest entry.
_UNITS = 4.0

#: What derivatives inside a program are off by, at least, in those units of 1: they are differences of differences.
_UNITS_OF_DERIVATIVES = 1e5


class Drawn(np.ndarray):
    """An array whose operations have drawn rounding errors, where they are not exact."""

    draws: np.random.Generator | None = None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute as NumPy, and draw an error for what is rounded."""
        plain, targets = [_plain(x) for x in inputs], options.pop("out", None)
        options = {name: _plain(option) for name, option in options.items()}
        if targets is not None:
            options["out"] = tuple(_plain(x) for x in targets)
        # Before the call, which may write to its own inputs.
        exact = _exactly(ufunc, method, plain, options) if targets is None else None
        size = max((_largest(x) for x in plain), default=0.0)
        result = getattr(ufunc, method)(*plain, **options)
        each = method == "__call__" and ufunc.signature is None
        if targets is not None:
            for target in options["out"]:
                if target is not None and target.dtype.kind in "fc":
                    target[...] = _with_errors(target, size, None, each)
            return targets[0] if len(targets) == 1 else targets
        if isinstance(result, tuple):
            return tuple(_with_errors(x, size, None, each) for x in result)
        return result if result is None else _with_errors(result, size, exact, each)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Compute as NumPy, and draw errors where the function is no series of ufuncs."""
        name, module = function.__name__, getattr(function, "__module__", "") or ""
        if name not in _NAMES | _PRODUCTS and not module.startswith(_MODULES):
            # Some give plain arrays: what comes after them shall have errors all the same.
            return _mapped(_drawn, super().__array_function__(function, types, args, kwargs))
        args, kwargs = _plain_of(args), _plain_of(kwargs)
        size = max((_largest(x) for x in args), default=0.0)
        result = function(*args, **kwargs)
        if name == "einsum":
            result = _spread_otherwise(result)
        return _mapped(lambda x: _with_errors(x, size, None, name in _PRODUCTS), result)


def _plain(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, Drawn) else x


def _drawn(x: Any) -> Any:
    return x.view(Drawn) if type(x) is np.ndarray and x.dtype.kind in "fc" else x


def _plain_of(tree: Any) -> Any:
    return _mapped(_plain, tree)


def _mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    if type(tree) in (tuple, list):
        return type(tree)(_mapped(function, x) for x in tree)
    if isinstance(tree, tuple):  # of names, as np.linalg.slogdet gives
        return type(tree)(*(_mapped(function, x) for x in tree))
    if isinstance(tree, dict):
        return {name: _mapped(function, x) for name, x in tree.items()}
    return function(tree)


def _largest(x: Any) -> float:
    array = np.asarray(x) if isinstance(x, np.ndarray | np.generic | float | complex) else np.zeros(0)
    return float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0)) if array.dtype.kind in "fc" else 0.0


def _exactly(ufunc: np.ufunc, method: str, plain: Sequence[Any], options: dict[str, Any]) -> Any:
    """Return the result for real numbers in extended precision, None where there is none."""
    if method == "at" or any(np.asarray(x).dtype.kind == "c" for x in plain) or "dtype" in options:
        return None
    wide = [np.asarray(x, LONG) if np.asarray(x).dtype.kind == "f" else x for x in plain]
    try:
        return getattr(ufunc, method)(*wide, **options)
    except TypeError:
        return None


def _spread_otherwise(x: Any) -> Any:
    """Return sums of products with some that are nan or infinite the other: that hangs on what is summed first."""
    x = np.asarray(x)
    if x.dtype.kind != "f" or Drawn.draws is None:
        return x
    drawn = Drawn.draws.choice(np.array([np.nan, np.inf, -np.inf], x.dtype), x.shape)
    return np.where(np.isfinite(x), x, drawn)


def _with_errors(x: Any, size: float, exact: Any, each: bool) -> Any:
    """Return a result with errors, relative to each entry or to the largest, but where it is exact."""
    x = np.asarray(x)
    if x.dtype.kind not in "fc" or Drawn.draws is None:
        return x.view(Drawn) if x.dtype.kind in "fc" else x
    with np.errstate(all="ignore"):
        scale = np.abs(x) if each else np.full(x.shape, max(size, _largest(x)))
        errors = _UNITS * np.finfo(x.dtype).eps * Drawn.draws.uniform(-1, 1, x.shape) * scale
        if x.dtype.kind == "c":
            errors = errors * np.exp(1j * Drawn.draws.uniform(0, 2 * np.pi, x.shape))
        moved = np.where(np.isfinite(x), x + errors, x).astype(x.dtype)
    if exact is not None and np.shape(exact) == x.shape:
        moved = np.where(np.asarray(exact) == x, x, moved)
    return np.asarray(moved).view(Drawn)


def runs(program: Callable[..., Any], args: Sequence[Any], count: int = 16) -> list[list[Any]]:
    """Return the outputs of a program in a run without errors, and in so many with drawn ones."""
    drawing = _with_own_array(program)
    results = []
    for seed in (None, *range(count)):
        Drawn.draws = None if seed is None else np.random.default_rng(seed)
        given = [np.array(x).view(Drawn) if np.asarray(x).dtype.kind == "f" else np.array(x)[()] for x in args]
        result = drawing(*given)
        results.append([np.array(x) for x in (result if isinstance(result, tuple) else (result,))])
    return results


def _drawing(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **options: _with_errors(function(np.asarray(x), **options), _largest(np.asarray(x)), None, False)


class _Special(Namespace):
    """Functions of SciPy, with the errors of single precision for truth values: a graph has more precision there."""

    def __getattr__(self, name: str) -> Any:
        function = super().__getattr__(name)
        return _drawing_of_truths(function) if callable(function) else function


def _drawing_of_truths(function: Callable[..., Any]) -> Callable[..., Any]:
    def with_errors(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        is_single = type(result) in (np.float16, np.float32, np.ndarray) and result.dtype.itemsize < 8
        return _with_errors(result, 0.0, None, True) if is_single else result

    return with_errors


def _drawing_derivatives(transformation: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transformation whose derivatives have errors, where they are not 0."""

    def transformed(*args: Any, **options: Any) -> Any:
        derivative = transformation(*args, **options)
        return lambda *at, **named: _mapped(_with_own_errors, derivative(*at, **named))

    return transformed


def _with_own_errors(x: Any) -> Any:
    if not isinstance(x, np.ndarray | np.generic):
        return x
    result = _with_errors(x, _UNITS_OF_DERIVATIVES, np.zeros(np.shape(x)), False)
    if result.dtype.kind != "f" or Drawn.draws is None or Drawn.draws.uniform() < 0.5:
        return result
    # In the other half of the runs what is 0 but for these errors is 0.
    return np.where(np.abs(x) < _UNITS * _UNITS_OF_DERIVATIVES * EPS, 0.0, np.asarray(result)).view(Drawn)


def _argpartition(x: Any, kth: Any, axis: int | None = -1) -> Any:
    """Take any of tied entries, as machines do."""
    x = np.asarray(x)
    if Drawn.draws is None or x.ndim == 0:
        return np.argpartition(x, kth, axis)
    if axis is None:
        x, axis = x.ravel(), 0
    order = Drawn.draws.permutation(x.shape[axis])
    return order[np.argpartition(np.take(x, order, axis), kth, axis)]


def _with_own_array(program: Callable[..., Any]) -> Callable[..., Any]:
    """Return a program whose derivatives, ``np.array`` and functions of SciPy keep to this arithmetic."""

    def array(*args: Any, **options: Any) -> Any:
        made = np.array(*args, **options)
        return made.view(Drawn) if made.dtype.kind in "fc" else made

    special, arc = program.__globals__["special"], program.__globals__["arc"]
    names = {
        **program.__globals__, "np": Namespace(program.__globals__["np"], array=array, argpartition=_argpartition),
        "special": _Special(special, **{name: _drawing(getattr(special, name)) for name in _OF_SCIPY}),
        "arc": Namespace(arc, **{name: _drawing_derivatives(getattr(arc, name)) for name in _DERIVATIVES}),
    }  # fmt: skip
    return types.FunctionType(program.__code__, names, program.__name__, program.__defaults__, program.__closure__)
