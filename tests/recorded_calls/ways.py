"""Other ways that a recorded call goes through the library: in batches, loops and choices, pickled, of views."""

import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import cloudpickle
import numpy as np
from fuzzing.ways import as_view
from helpers import forced

import archimedes_grad as arc

from .calls import Call, function_of, outcome, program_of, taken_out


def by_another_way(call: Call, drawn: random.Random, names: Sequence[str]) -> tuple[Call, Any] | None:
    """Return a call by one of the ways, drawn, and the context that it is made in; None where it has no such form."""
    name = drawn.choice(names)
    changed = WAYS[name](call, drawn)
    context = forced(name.removeprefix("as ")) if name.startswith("as ") else nullcontext()
    return None if changed is None else (replace(changed, way=name), context)


def _others(call: Call, drawn: random.Random) -> list[Any] | None:
    """Return arrays of the same forms for which NumPy's result has the form that it has; None where it has not."""
    for turned in (drawn.random() < 0.5, False):
        others = [_moved(array, turned) for array in call.arrays]
        (own, raised), (other, raised_too) = (outcome(lambda x=x: call.plain(*x)) for x in (call.fresh(), others))
        if raised is None and raised_too is None and list(_forms(own)) == list(_forms(other)):
            return others
    return None


def _moved(x: Any, turned: bool) -> Any:
    """Return an array, or a list of arrays, with other entries; what may count or index in another order only."""
    if isinstance(x, list | tuple):
        return type(x)(_moved(item, turned) for item in x)
    rng = np.random.default_rng(np.size(x))
    x = np.flip(x) if turned else x
    if np.asarray(x).dtype.kind not in "fc":
        return np.array(x)
    return np.asarray(x + 0.1 * rng.normal(size=np.shape(x)) * (1 + np.abs(x)), np.asarray(x).dtype)


def _forms(result: Any) -> Iterator[Any]:
    if isinstance(result, tuple | list):
        yield len(result)
        for part in result:
            yield from _forms(part)
    else:
        yield None if result is None else (np.shape(result), np.asarray(result).dtype)


def _stacked(*results: Any) -> Any:
    if isinstance(results[0], tuple | list):
        return [_stacked(*parts) for parts in zip(*results, strict=True)]
    return None if results[0] is None else np.stack(results)


def _parts(result: Any) -> Any:
    """Return a result with complex arrays as pairs of real ones, which loops and choices take."""
    if isinstance(result, tuple | list):
        return [_parts(part) for part in result]
    is_complex = getattr(getattr(result, "dtype", None), "kind", "") == "c" or isinstance(result, complex)
    return [np.real(result), np.imag(result)] if is_complex else result


def _batch(call: Call, drawn: random.Random) -> Call | None:
    if (others := _others(call, drawn)) is None:
        return None
    return replace(call, arrays=[np.stack(pair) for pair in zip(call.arrays, others, strict=True)],
        plain=lambda *stacks: _stacked(*(call.plain(*(stack[k] for stack in stacks)) for k in (0, 1))),
        traced=lambda *stacks: arc.vmap(call.traced)(*stacks),
    )  # fmt: skip


def _loop(call: Call, drawn: random.Random) -> Call | None:
    if (others := _others(call, drawn)) is None or any(array.dtype.kind == "c" for array in call.arrays):
        return None

    def looped(*stacks: Any) -> Any:
        _, results = arc.scan(lambda count, items: (count + 1, _parts(call.traced(*items))), 0, stacks)
        return results

    return replace(call, arrays=[np.stack(pair) for pair in zip(call.arrays, others, strict=True)], traced=looped,
        plain=lambda *stacks: _stacked(*(_parts(call.plain(*(stack[k] for stack in stacks))) for k in (0, 1))),
    )  # fmt: skip


def _choice(call: Call, drawn: random.Random) -> Call | None:
    """One branch makes the call, the other makes it of other arrays; the last array says which is taken."""
    if (others := _others(call, drawn)) is None:
        return None
    closed_over = drawn.random() < 0.5 or any(array.dtype.kind == "c" for array in call.arrays)

    def plain(*arrays: Any) -> Any:
        return _parts(call.plain(*(arrays[:-1] if arrays[-1] > 0 else others)))

    def traced(*arrays: Any) -> Any:
        given = arrays[:-1]
        return arc.cond(
            arrays[-1] > 0, lambda *own: _parts(call.traced(*(own or given))),
            lambda *_: _parts(call.traced(*others)), *(() if closed_over else given),
        )  # fmt: skip

    arrays = [*call.arrays, np.array(drawn.choice([1.0, -1.0]))]
    return replace(call, arrays=arrays, plain=plain, traced=traced)


def _one_traced(call: Call, drawn: random.Random) -> Call | None:
    """One array is an argument, the others are constants."""
    place = drawn.randrange(len(call.arrays))
    given = lambda x: [*call.arrays[:place], x, *call.arrays[place + 1 :]]


    def of_one(x: Any) -> Any:
        result, *own = call.plain(*given(x))
        return result, [arrays[place] for arrays in own]

    return replace(call, arrays=[call.arrays[place]], plain=of_one, traced=of_one) if len(call.arrays) > 1 else None


def _numbers_traced(call: Call, drawn: random.Random) -> Call | None:
    """Plain numbers among the arguments are arguments, too."""
    arrays = list(call.arrays)
    form = taken_out(call.form, arrays, numbers=True)
    program = program_of(call.name, form, call.keywords, copied=False)

    def of_numbers(*given: Any) -> Any:
        copies = [np.array(array) for array in given[: len(call.arrays)]]
        return program(*copies, *(number[()] for number in given[len(call.arrays) :]))

    return replace(call, arrays=arrays, plain=of_numbers, traced=of_numbers) if len(arrays) > len(call.arrays) else None


def _of_rows(call: Call, drawn: random.Random) -> Call | None:
    """Arrays are given as lists of their rows; but not to ufuncs, for which these are arrays of objects."""
    called = function_of(call.name)
    if isinstance(getattr(called, "__self__", called), np.ufunc) or any(array.size > 40 for array in call.arrays):
        return None
    program = program_of(call.name, call.form, call.keywords, copied=False)

    def of_rows(*arrays: Any) -> Any:
        return program(*(list(array) if np.ndim(array) else array for array in arrays))

    return replace(call, plain=of_rows, traced=of_rows)


def _through(called: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Call]:
    return lambda call, drawn: replace(call, through=called)


def _pickled(function: Callable[..., Any]) -> Callable[..., Any]:
    def again(*args: Any) -> Any:
        function(*args)
        return pickle.loads(cloudpickle.dumps(function))(*args)

    return again


def _met_elsewhere(call: Call, drawn: random.Random) -> Call | None:
    """The function is traced, and called, with other arrays first."""
    turned = drawn.random() < 0.5

    def first(function: Callable[..., Any]) -> Callable[..., Any]:
        def again(*args: Any) -> Any:
            outcome(lambda: function(*_moved(args, turned)))
            return function(*args)

        return again

    return replace(call, through=first)


def _then_elsewhere(call: Call, drawn: random.Random) -> Call | None:
    """The function is traced at what was recorded, and called with other arrays, for which NumPy may raise."""

    def second(function: Callable[..., Any]) -> Callable[..., Any]:
        def again(*args: Any) -> Any:
            outcome(lambda: function(*call.fresh()))
            return function(*args)

        return again

    return replace(call, arrays=_moved(call.arrays, drawn.random() < 0.5), through=second)


def _batch_of_each(call: Call, drawn: random.Random) -> Call | None:
    """The function, and each of its derivatives, in a batch: the last item is what counts."""

    def through(function: Callable[..., Any]) -> Callable[..., Any]:
        def last(*args: Any) -> Any:
            return _last(arc.vmap(function)(*_stacked(_moved(args, False), args)))

        return last

    plain = lambda *arrays: _last(_stacked(call.plain(*arrays)))
    return replace(call, plain=plain, through=through) if _others(call, drawn) is not None else None


def _last(result: Any) -> Any:
    if isinstance(result, tuple | list):
        return [_last(part) for part in result]
    return None if result is None else result[-1]


def _laid_out(layout: Callable[[Any], Any]) -> Callable[..., Call]:
    def way(call: Call, drawn: random.Random) -> Call:
        as_given = program_of(call.name, call.form, call.keywords, copied=drawn.random() < 0.5)
        return replace(call, laid_out=layout, plain=as_given, traced=as_given)

    return way


def _views_inside(call: Call, drawn: random.Random) -> Call:
    program = program_of(call.name, call.form, call.keywords, copied=False)
    kind = drawn.randrange(2)

    def of_views(*arrays: Any) -> Any:
        return program(*(as_view(array, kind) for array in arrays))

    return replace(call, plain=of_views, traced=of_views)


def _converted(dtypes: str) -> Callable[..., Call | None]:
    """Arrays of floats, and of whole numbers where these are small, in another dtype."""

    def way(call: Call, drawn: random.Random) -> Call | None:
        dtype = np.dtype(drawn.choice(dtypes))
        arrays = [_of_dtype(array, dtype) for array in call.arrays]
        changed = any(x.dtype != y.dtype for x, y in zip(arrays, call.arrays, strict=True))
        return replace(call, arrays=arrays) if changed else None

    return way


def _of_dtype(array: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "f":
        kinds = {"f": dtype, "c": np.result_type(dtype, np.complex64)}
        return array.astype(kinds.get(array.dtype.kind, array.dtype))
    is_small = array.dtype.kind in "fiu" and np.all(np.abs(array) < 100) and (dtype.kind == "i" or np.all(array >= 0))
    return np.rint(array).astype(dtype) if is_small else array


def _with(**options: Any) -> Callable[..., Call]:
    return lambda call, drawn: replace(call, options=options)


WAYS: dict[str, Callable[[Call, random.Random], Call | None]] = {
    "vmap": _batch, "vmap of each": _batch_of_each, "scan": _loop, "cond": _choice, "one traced": _one_traced,
    "inside compile": _through(lambda function: arc.compile(lambda *args: function(*args))),
    "pickled": _through(_pickled), "met elsewhere": _met_elsewhere, "then elsewhere": _then_elsewhere,
    "numbers traced": _numbers_traced, "lists of rows": _of_rows, "as scalar": _with(), "as array": _with(),
    "native": _with(engine="native"), "one path": _with(max_paths=1), "no paths": _with(control_flow="structured"),
    "Fortran order": _laid_out(lambda array: np.array(array, order="F")), "turned": _laid_out(lambda x: as_view(x, 0)),
    "views": _laid_out(lambda array: as_view(array, 1)), "views inside": _views_inside,
    "whole numbers": _converted("l"), "small whole numbers": _converted("bBhI"), "single precision": _converted("f"),
}  # fmt: skip
