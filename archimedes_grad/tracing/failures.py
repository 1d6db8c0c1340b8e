"""What a function raised while it was traced, as an error that says how to go on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.arrays import handlers
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import is_traced
from archimedes_grad.arrays.plain_numbers import NO_PLACE_FOR_TRACED, way_on_from_scipy
from archimedes_grad.arrays.shuffles import is_counting
from archimedes_grad.arrays.trace_state import current_trace, message_at_line, trace_error
from archimedes_grad.arrays.user_code import (
    came_through_masked_arrays,
    came_through_scipy,
    frames_of,
    line_that_raised,
    raised_by_statement,
    raised_by_user,
    scipy_function_that_raised,
)
from archimedes_grad.errors import TraceError

#: What NumPy says of a ufunc of a list with traced values in it, where it looks for a method of each entry, or
#: where the ufunc takes no objects; of the latter there are other causes.
_OBJECT_LOOP = r"loop of ufunc does not support argument \d+ of type \S+ which has no callable (\w+) method"
_NO_METHOD = r"'\w+' object has no attribute '(\w+)'"
#: What NumPy says of an index of a plain array that is neither whole nor a truth value.
_NO_INDEX = r"only integers, slices \(`:`\)"
_NO_OBJECTS = r"ufunc '\w+' not supported for the input types"
#: What NumPy says where what is written to a plain array has more axes than the place; of a list it says the same.
_MORE_AXES = r"setting an array element with a sequence. The requested array would exceed"
#: What NumPy says of an iterator of its own over what it takes for objects.
_NO_ITERATOR = r"Iterator operand or requested dtype holds references"
#: What Python says of a number that is taken for an array.
_NO_ENTRIES = r"object of type '\w+' has no len\(\)|(argument of type )?'\w+' (object )?is not iterable"
#: What methods of NumPy's random generators say of what is no ndarray; the first one of lists too.
_NO_AXIS = r"Axis argument is only supported on ndarray objects"
_NO_RANDOM_ORDER = r"Numpy IterAllButAxis requires an ndarray|Cannot convert \w+ to numpy.ndarray"
#: What is said of the type of a traced value, and not of a value that is shown.
_OF_TYPE = rf"{SymbolicArray.__name__}(?!\()"
#: What NumPy makes of any error of float() where `flat` of a plain array is written.
_WRITTEN_FLAT = r"Error setting single item of array"


@handlers.calls_what_is_traced
def called(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call the function that is traced, and raise what NumPy or SciPy made of a traced value as a TraceError."""
    try:
        return function(*args, **kwargs)
    except TraceError as error:
        if came_through_masked_arrays(error):
            raise _no_masked_array(error) from None
        raise
    except (TypeError, ValueError, IndexError, AttributeError, RuntimeError, SystemError) as error:
        # NumPy hides what float() raised behind an error of its own.
        hidden: BaseException | None = error
        while hidden is not None and not isinstance(hidden, TraceError):
            hidden = hidden.__cause__ or hidden.__context__
        if hidden is not None:
            raise hidden from None
        _raise_refusal(error)
        if (shuffled := _by_shuffling(error)) is not None:
            raise shuffled from None
        if (by_scipy := _by_scipy(error)) is not None:
            raise by_scipy from error
        if isinstance(error, IndexError) and re.match(_NO_INDEX, str(error)) and raised_by_user(error):
            way_on = "A traced value of floats is no index: make it whole by .astype(int), or a number by int()."
            raise IndexError(message_at_line(f"{error}.", way_on, line_that_raised(error))) from None
        if SymbolicArray.__name__ in str(error) and re.match(_NO_ENTRIES, str(error)):
            own = TypeError(str(error).replace(SymbolicArray.__name__, "numpy.float64"))
            own.add_note("It is a traced number. Ask np.ndim(x) == 0 first, or make it an array: np.atleast_1d(x).")
            raise own.with_traceback(error.__traceback__) from None
        if re.match(_NO_OBJECTS, str(error)):
            error.add_note(
                message_at_line(
                    "If it got a list with traced values in it: make that an array first, np.array([...]).",
                    "Of a list of arrays: np.stack([...]).",
                    line_that_raised(error),
                )
            )
        if re.match(_NO_ITERATOR, str(error)) and raised_by_user(error):
            raise trace_error(
                "numpy.nditer got a traced array or an array of objects: it takes plain numbers.",
                "Write for entry in np.ravel(x), or np.ndenumerate(x), which gives the places too.",
                line_that_raised(error),
            ) from None
        if re.match(_MORE_AXES, str(error)):
            error.add_note(f"If a traced value is written there: {NO_PLACE_FOR_TRACED}")
        if isinstance(error, AttributeError) and (of_memory := _attribute_of_memory(error)) is not None:
            raise of_memory from None
        if isinstance(error, AttributeError) and dataclasses.is_dataclass(error.obj):
            error.add_note(
                message_at_line(
                    "A dataclass that is a tree is its fields alone; what __post_init__ sets beside them is not there.",
                    f"Make {error.name} a property, which follows the fields, or a field of its own.",
                    line_that_raised(error),
                )
            )
        loop = re.search(_OBJECT_LOOP, str(error)) or _method_of_ufunc(error)
        if raised_by_statement(error) and not re.search(_OF_TYPE, str(error)):
            # The user's own, with a traced value shown in its message perhaps.
            raise
        if loop is None and not isinstance(error, AttributeError) and SymbolicArray.__name__ in str(error):
            if came_through_masked_arrays(error):
                raise _no_masked_array(error) from None
            way_on = "Give it plain numbers, and keep traced arrays to NumPy."
            if "a single integer" in str(error):
                way_on = "Sizes are whole numbers: pass the argument that decides them through static_argnames."
            elif "SeedSequence" in str(error):
                way_on = "A seed decides what is drawn while tracing: pass it through static_argnames."
            raise trace_error(
                f"A function that does not take traced arrays was given one: {str(error).rstrip('.')}.",
                way_on,
                line_that_raised(error),
            ) from error
        if loop is None:
            raise
        raise trace_error(
            f"numpy.{loop[1]} got a list or an array of objects with traced values in it.",
            "Make it one traced array first: arc.array([...]) or np.array([...]), where array is not a name imported "
            "from NumPy.",
            line_that_raised(error),
        ) from None
    except Exception as error:
        # MINPACK and ODEPACK have classes of errors of their own.
        _raise_refusal(error)
        if (by_scipy := _by_scipy(error)) is not None:
            raise by_scipy from error
        raise


def _raise_refusal(error: Exception) -> None:
    """Raise what a traced value refused before, where SciPy or C made another error of it; note it elsewhere."""
    trace = current_trace()
    if trace is None or trace.refusal is None:
        return
    # SciPy's solvers do not look whether float() failed: some later call of C meets the error, or drops it. It may be
    # the user's function that is called with the error set, where Python then finds no operators.
    by_c = isinstance(error, SystemError | NotImplementedError) or re.match(_WRITTEN_FLAT, str(error))
    if by_c or came_through_scipy(error):
        raise TraceError(trace.refusal) from error
    error.add_note(f"Before that: {trace.refusal}")


def _method_of_ufunc(error: BaseException) -> re.Match[str] | None:
    """Return what tells that a number has no method that a ufunc of two arrays of objects asked it for, or None."""
    missing = re.match(_NO_METHOD, str(error)) if isinstance(error, AttributeError) else None
    return missing if missing is not None and isinstance(getattr(np, missing[1], None), np.ufunc) else None


def _no_masked_array(error: BaseException) -> TraceError:
    return trace_error(
        "A masked array was to be made of a traced one, and its data are plain numbers.",
        "Take the entries that count by a mask, x[mask], or choose by np.where(mask, x, 0.0); sums take where=mask.",
        line_that_raised(error),
    )


def _attribute_of_memory(error: AttributeError) -> TraceError | None:
    """Return the error for an attribute that arrays have and traced ones have not, or None."""
    name = error.name or ""
    if not isinstance(error.obj, SymbolicArray) or not hasattr(np.ndarray, name):
        return None
    return trace_error(
        f"A traced array has no {name}: it holds expressions, not bytes in memory.",
        "Do it outside the differentiated function.", line_that_raised(error),
    )  # fmt: skip


def _by_scipy(error: BaseException) -> TraceError | None:
    """Return the error that names the function of SciPy that was given a traced value, or None.

    What SciPy raises of plain arguments is its own affair.
    """
    name, variables = scipy_function_that_raised(error) or ("", [])
    if not any(map(_holds_traced, variables)):
        return None
    return trace_error(
        f"{name} got a traced value, which it does not take ({type(error).__name__}: {str(error).splitlines()[0]})",
        way_on_from_scipy(name),
        line_that_raised(error),
    )


def _by_shuffling(error: BaseException) -> TraceError | None:
    """Return the error for a random order along an axis that a traced array was to be put in, or None."""
    frames = frames_of(error)
    method = frames[-1].f_code.co_name.rpartition(".")[2] if frames else ""
    of_axis = method == "shuffle" and re.match(_NO_AXIS, str(error)) and any(map(is_counting, frames))
    if not of_axis and not (method == "permuted" and re.match(_NO_RANDOM_ORDER, str(error))):
        return None
    return trace_error(
        f"{method} of a random generator got a traced array{' and axis=' if of_axis else ''}, which it does not take.",
        "Take the entries in an order that is drawn: A[rng.permutation(len(A))], or rng.permutation(A, axis=...); each "
        "row in its own: np.take_along_axis(A, rng.permuted(order, axis=1), axis=1).",
        line_that_raised(error),
    )


def _holds_traced(variable: Any) -> bool:
    """Tell whether a variable is traced, or a sparse matrix whose entries SciPy made of traced values."""
    return is_traced(variable) or is_traced(getattr(variable, "data", None))
