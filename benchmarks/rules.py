"""What each rule costs beside NumPy's own evaluation of the function: tracing, a value, a gradient, at two sizes.

    python -m pip install ".[benchmark]" && python benchmarks/rules.py [part/parts | name ...]

Answers are checked before anything is timed. The functions and how they are called: ``function_cases.py``. A part, say
2/3, or some names are measured by themselves and take the place of these functions in the results.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

# Times are those of the processor, of one thread: what else the machine does then counts for little.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from function_cases import LARGEST, case, supported
from rule_exceptions import REASONS
from timing import Targets, compared, save, saved

import archimedes_grad as arc

SIZES = (10, 10_000)
#: At 10,000 entries, in multiples of NumPy's own time for the value.
LIMITS = {"value": 10.0, "gradient": 25.0}


def real_parts(result: Any) -> list[Any]:
    """Return the arrays of real numbers in a result."""
    if isinstance(result, list | tuple):
        return [part for item in result for part in real_parts(item)]
    return [result] if getattr(getattr(result, "dtype", None), "kind", "") == "f" and np.size(result) else []


def total(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the sum of all real numbers in a result."""
    return lambda *args: sum((np.sum(part) for part in real_parts(call(*args))), start=0.0)


def agree(got: Any, expected: Any) -> None:
    if isinstance(expected, list | tuple):
        for got_part, expected_part in zip(got, expected, strict=True):
            agree(got_part, expected_part)
    elif isinstance(expected, np.ndarray | np.generic) and expected.dtype.kind in "fiub":
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-7)


def own(result: Any) -> Any:
    """Return a result with a copy of each view in it."""
    if isinstance(result, list | tuple):
        return [own(part) for part in result]
    return result.copy() if isinstance(result, np.ndarray) and result.base is not None else result


def measured(function: Any, n: int) -> dict[str, float]:
    """Return seconds of NumPy, of the compiled value, of the gradient, and of tracing."""
    call, args = case(function).at(min(n, LARGEST.get(function, n)))
    # A parameter for each argument: what is compiled is called by position.
    compiled = arc.compile(lambda *args: call(*args))
    expected = call(*args)
    agree(compiled(*args), expected)
    # A compiled function returns arrays of its own: NumPy's views are copied too.
    calls = {"numpy": lambda: own(call(*args)), "value": lambda: compiled(*args)}
    if real_parts(expected):
        gradient = arc.grad(total(call), argnums=tuple(range(len(args))))
        gradient(*args)
        calls["gradient"] = lambda: gradient(*args)
    times = compared(calls, rounds=7, at_least=0.002, clock=time.process_time)
    return times | {"trace": compiled.explain(*args).seconds["trace"]}


def main(chosen: list[str]) -> None:
    table = {name: timed(function) for name, function in asked_for(chosen).items()}
    show(table)
    table = {name: row for name, row in (saved("rules")["seconds"] | table).items() if name in supported()}
    targets = Targets()
    for name, sizes in sorted(table.items()):
        times = sizes[str(SIZES[-1])]
        for what, limit in LIMITS.items():
            if what in times:
                targets.check(f"{name}, {what}", times[what] / times["numpy"], limit)
    missed = {row["what"]: row["ratio"] for row in targets.rows if not row["met"]}
    print(f"\n{len(targets.rows) - len(missed)} of {len(targets.rows)} ratios at {SIZES[-1]:,} within their limits")
    for what, ratio in missed.items():
        print(f"  {what:45s} {ratio:7.1f}   {REASONS.get(what.split(',')[0], 'NO REASON GIVEN')}")
    save("rules", {"seconds": dict(sorted(table.items())), "targets": targets.rows, "reasons": REASONS})


def asked_for(chosen: list[str]) -> dict[str, Any]:
    """Return the functions of a part, of some names, or all of them."""
    functions = supported()
    if chosen and "/" in chosen[0]:
        part, parts = map(int, chosen[0].split("/"))
        return dict(list(functions.items())[part - 1 :: parts])
    return {name: f for name, f in functions.items() if not chosen or name.removeprefix("numpy.") in chosen}


def timed(function: Any) -> dict[str, dict[str, float]]:
    """Return what is measured of a function at each size."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {str(n): measured(function, n) for n in SIZES}


def show(table: dict[str, dict[str, dict[str, float]]]) -> None:
    header = " ".join(f"{f'numpy {n}':>11s} {'trace ms':>9s} {'value':>7s} {'gradient':>8s}" for n in SIZES)
    print(f"{'function (NumPy in µs, ours in multiples)':45s} {header}")
    for name, sizes in table.items():
        cells = []
        for n in SIZES:
            times = sizes[str(n)]
            own = times["numpy"]
            slope = f"{times['gradient'] / own:8.1f}" if "gradient" in times else f"{'–':>8s}"
            cells.append(f"{1e6 * own:11.1f} {1e3 * times['trace']:9.2f} {times['value'] / own:7.2f} {slope}")
        print(f"{name:45s} " + " ".join(cells))


if __name__ == "__main__":
    main(sys.argv[1:])
