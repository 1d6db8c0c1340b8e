"""What NumPy writes as classes in Python and does not dispatch: ``vectorize``, ``ndenumerate``, ``errstate``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.dispatch import CALLING_BACK, INTERCEPTED
from archimedes_grad.arrays.new_arrays import in_order_of
from archimedes_grad.arrays.operands import array_of, dtype_of, gathered, is_traced, value_of
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.arrays.user_code import scipy_function_under_way, user_frame

_implementation: Any = np.lib._function_base_impl


def _vectorized_with_signature(original: Callable[..., Any], self: Any, func: Any, args: Any) -> Any:
    """Return what a function of core arrays gives for each position of the axes before them."""
    inputs, outputs = self._in_and_out_core_dims
    if len(args) != len(inputs):
        original(self, func, tuple(map(value_of, args)))
    args = [array_of(array) for array in map(gathered, args)]
    # NumPy's own judgement of the shapes; it only asks for them.
    lead, sizes = _implementation._parse_input_dimensions([value_of(array) for array in args], inputs)
    shapes = _implementation._calculate_shapes(lead, sizes, inputs)
    args = [np.broadcast_to(array, shape) for array, shape in zip(args, shapes, strict=True)]
    if 0 in lead:
        return original(self, func, tuple(map(value_of, args)))
    rows: list[tuple[Any, ...]] = []
    for index in np.ndindex(*lead):
        results = func(*(array[index] for array in args))
        results = results if isinstance(results, tuple) else (results,)
        if len(results) != len(outputs):
            raise ValueError(
                f"wrong number of outputs from pyfunc: expected {len(outputs)!r}, got {len(results)!r}"
            )
        if not rows:
            for result, core in zip(results, outputs, strict=True):
                _implementation._update_dim_sizes(sizes, value_of(gathered(result)), core)
        rows.append(tuple(_of_core(r, tuple(sizes[d] for d in c)) for r, c in zip(results, outputs, strict=True)))
    stacked = []
    for position, results in enumerate(zip(*rows, strict=True)):
        array: Any = np.stack(list(map(gathered, results)))
        array = np.reshape(array, lead + array.shape[1:])
        stacked.append(array.astype(self.otypes[position]) if self.otypes else array)
    return stacked[0] if len(outputs) == 1 else tuple(stacked)


def _of_core(result: Any, core: tuple[int, ...]) -> Any:
    """Return a result in the shape that the signature says; NumPy, which writes it into an array, judges it."""
    result = gathered(result)
    shape = np.shape(value_of(result))
    if shape == core:
        return result
    np.empty((1, *core))[0] = value_of(result)
    return np.reshape(result, core) if math.prod(shape) == math.prod(core) else np.broadcast_to(result, core)


def _vectorized(original: Callable[..., Any], self: Any, func: Any, args: Any) -> Any:
    """Return what a function of numbers gives for the entries of arrays that broadcast."""
    if self.signature is not None or not args:
        return original(self, func, args)
    args = list(map(gathered, args))
    shape = np.broadcast_shapes(*(np.shape(value_of(array)) for array in args))
    if 0 in shape:
        return original(self, func, args)
    entries = [_entries_of(array, shape) for array in args]
    results = [func(*numbers) for numbers in zip(*entries, strict=True)]
    several = isinstance(results[0], tuple)
    columns = list(zip(*results, strict=True)) if several else [tuple(results)]
    dtypes = self.otypes or [dtype_of(gathered(column[0])) for column in columns]
    arrays = tuple(_of_numbers(column, dtype, shape) for column, dtype in zip(columns, dtypes, strict=True))
    if len(shape) > 1:
        pattern = np.frompyfunc(lambda *_: None, len(args), 1)(*map(value_of, args))
        arrays = tuple(in_order_of(pattern, array) if is_traced(array) else array for array in arrays)
    return arrays if several else arrays[0]


def _entries_of(array: Any, shape: tuple[int, ...]) -> list[Any]:
    if not isinstance(array, SymbolicArray):
        return list(np.broadcast_to(np.asarray(array, object), shape).flat)
    return list(np.ravel(np.broadcast_to(array, shape)))


def _of_numbers(numbers: tuple[Any, ...], dtype: Any, shape: tuple[int, ...]) -> Any:
    """Return an array of numbers, traced or not, cast to the dtype that NumPy takes from the first of them."""
    if not is_traced(numbers):
        objects = np.empty(len(numbers), object)
        objects[:] = numbers
        return objects.reshape(shape).astype(dtype)
    if any(np.ndim(value_of(gathered(number))) for number in numbers):
        raise ValueError("setting an array element with a sequence.")
    return np.reshape(gathered(numbers), shape).astype(dtype)


class _Entries:
    """What ``ndenumerate`` asks of an array: the place of the next entry, then the entry."""

    def __init__(self, array: SymbolicArray) -> None:
        self._array = array
        self._places = iter(np.ndindex(array.shape))
        self.coords: tuple[int, ...] = next(self._places, ())
        self._more = array.size > 0

    def __next__(self) -> Any:
        if not self._more:
            raise StopIteration
        entry = self._array[self.coords]
        following = next(self._places, None)
        self._more = following is not None
        self.coords = following or ()
        return entry


def _ndenumerate(original: Callable[..., Any], self: Any, arr: Any) -> None:
    self.iter = _Entries(gathered(arr))


def _pandas_asks() -> bool:
    """Tell whether pandas asks: it counts its own days and periods, which are never traced."""
    frame = user_frame()
    return frame is not None and frame.f_globals.get("__name__", "").startswith("pandas.")


def _without_raising(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Set how NumPy treats floating-point errors; the user's code may not ask that they are raised.

    Graphs have inf and nan there, so that ``except FloatingPointError`` would decide by the values of this run alone.
    """
    before: dict[str, Any] = {**np.geterr()}
    result = original(*args, **kwargs)
    raised = [kind for kind, mode in np.geterr().items() if mode == "raise" != before[kind]]
    if not raised or scipy_function_under_way() is not None or _pandas_asks():
        return result
    np.seterr(**before)
    raise trace_error(
        f"np.errstate or np.seterr got {raised[0]}='raise' in a traced function, whose operations raise nothing: they "
        "give inf and nan.",
        "Ask for it: if not np.all(np.isfinite(y)), or compare before you compute (if x > 0).",
    )


INTERCEPTED[np.vectorize._vectorize_call] = _vectorized  # type: ignore[attr-defined]
CALLING_BACK.add(np.vectorize._vectorize_call)  # type: ignore[attr-defined]
INTERCEPTED[np.vectorize._vectorize_call_with_signature] = _vectorized_with_signature  # type: ignore[attr-defined]
INTERCEPTED[np.ndenumerate.__init__] = _ndenumerate
for _sets_errors in (np.errstate.__enter__, np.seterr):
    INTERCEPTED[_sets_errors] = _without_raising
    CALLING_BACK.add(_sets_errors)
