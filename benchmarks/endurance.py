"""Memory and time in the long run: slopes of resident memory, and graphs of a million operations.

    OPENBLAS_NUM_THREADS=1 python benchmarks/endurance.py --json endurance.json
    OPENBLAS_NUM_THREADS=1 python benchmarks/endurance.py --only graphs

Memory is the resident size of this process (Linux), read at ten points of the second half of each run; its slope is
the least-squares line, in bytes for each repetition. Beside it stands that of Python's own blocks of memory, which no
allocator keeps back: one object left behind by each repetition would be a slope of 1 and more. Graphs of n scalar
operations and of n / 10 are made by one Python loop: a ratio of times near 10 is linear, near 100 quadratic.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import archimedes_grad as arc

X = np.linspace(0.1, 1.0, 10)


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def slope(step: Callable[[int], Any], repetitions: int) -> dict[str, float]:
    """Repeat a step, and return the slope of resident memory over the second half, in bytes a repetition."""
    points = []
    every = max(1, repetitions // 20)
    for k in range(repetitions):
        step(k)
        if k >= repetitions // 2 and k % every == 0:
            gc.collect()
            points.append((k, resident_bytes(), sys.getallocatedblocks()))
    counts, sizes, blocks = np.array(points, dtype=float).T
    fitted, fitted_blocks = (np.polyfit(counts, y, 1)[0] if len(points) > 1 else np.nan for y in (sizes, blocks))
    return {
        "repetitions": repetitions,
        "bytes_per_repetition": round(float(fitted), 2),
        "python_blocks_per_repetition": round(float(fitted_blocks), 4),
        "growth_of_second_half_kb": float((sizes[-1] - sizes[0]) / 1024),
        "resident_mb": round(float(sizes[-1]) / 2**20, 1),
    }  # fmt: skip


# --- memory -------------------------------------------------------------------------------------------


def calls() -> Callable[[int], Any]:
    """Return one call of a compiled gradient."""
    gradient = arc.grad(lambda x: np.sum(np.sin(x) ** 2))
    return lambda k: gradient(X)


def made_and_dropped() -> Callable[[int], Any]:
    """Return the making of a gradient function, two calls, and its end."""

    def step(k: int) -> None:
        # As many constants as are kept as nodes (up to 4,096), so that filling that cache is not taken for growth.
        gradient = arc.grad(lambda x: np.sum(np.sin(x) ** 2) + k % 1000)
        gradient(X)
        gradient(X)

    return step


def retraces() -> Callable[[int], Any]:
    """Return a call with a static value not seen before: beyond the bound, one goes for each that comes."""
    gradient = arc.grad(lambda x, k: np.sum(x**2) * (k % 1000), static_argnums=1)
    return lambda k: gradient(X, k)


def shapes() -> Callable[[int], Any]:
    """Return a call with a shape that was forgotten, and traced anew."""
    gradient = arc.grad(lambda x: np.sum(x**2))
    inputs = [np.ones(n) for n in range(1, 400)]
    return lambda k: gradient(inputs[k % len(inputs)])


def callbacks() -> Callable[[int], Any]:
    """Return the making and dropping of a function with a callback in it."""

    def step(k: int) -> None:
        cosine = functools.partial(arc.callback, np.sin, X, derivative=lambda x, w: w * np.cos(x))
        gradient = arc.grad(lambda x: np.sum(cosine(x)) * (k % 100))
        gradient(X)
        gradient(X)

    return step


def paths() -> Callable[[int], Any]:
    """Return a call of a function with more paths than are kept."""
    gradient = arc.grad(lambda x, k: np.sum(x**2) * int(k), max_paths=8)
    import warnings

    warnings.simplefilter("ignore", arc.PathLimitWarning)
    return lambda k: gradient(X, k % 32)


def errors() -> Callable[[int], Any]:
    """Return a trace that fails."""

    def fails(x: Any) -> Any:
        return float(x[0])

    def step(k: int) -> None:
        try:
            arc.grad(fails)(X)
        except arc.TraceError:
            return

    return step


MEMORY: dict[str, tuple[Callable[[], Callable[[int], Any]], int]] = {
    "calls": (calls, 1_000_000),
    "functions made and dropped": (made_and_dropped, 20_000),
    "static values retraced": (retraces, 10_000),
    "shapes retraced": (shapes, 5_000),
    "callbacks made and dropped": (callbacks, 4_000),
    "paths beyond the limit": (paths, 2_000),
    "traces that fail": (errors, 2_000),
}


# --- graphs of a million operations -------------------------------------------------------------------


def loop(n: int) -> Callable[[Any], Any]:
    """Return a function of n scalar operations, one behind the other: as deep as it is long."""

    def f(x: Any) -> Any:
        y = x[0]
        for _ in range(n // 2):
            y = 0.999 * y + x[1]
        return y

    return f


def terms(n: int) -> Callable[[Any], Any]:
    """Return a function of n scalar operations that reads every entry of a long vector."""

    def f(x: Any) -> Any:
        total = 0.0
        for k in range(n // 3):
            total = total + x[k] * x[k + 1]
        return total

    return f


def graph_times(make: Callable[[int], Callable[[Any], Any]], n: int, size: int) -> dict[str, float]:
    """Return the seconds of this process that each step of a graph's life takes: others may be running."""
    x = np.linspace(0.1, 0.9, size)
    seconds = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = step()
        seconds[name] = time.process_time() - start
        return result

    gradient = arc.value_and_grad(make(n))
    timed("trace and differentiate", lambda: gradient(x))
    value, slopes = timed("evaluate", lambda: gradient(x))
    assert np.isfinite(value)
    assert np.isfinite(slopes).all()
    function = gradient.to_casadi(x)
    loaded = timed("load", functools.partial(pickle.loads, timed("pickle", lambda: pickle.dumps(function))))
    again = loaded(x)
    assert abs(float(again[0]) - float(value)) <= 1e-12 * abs(float(value))
    timed("show", lambda: str(gradient.explain(x)))

    def free() -> None:
        nonlocal gradient, function, loaded, again
        gradient = function = loaded = again = None
        gc.collect()

    timed("free", free)
    return {name: round(s, 4) for name, s in seconds.items()}


def graphs(n: int) -> dict[str, Any]:
    """Return the times of graphs of n and n / 10 operations, and their ratios."""
    found: dict[str, Any] = {}
    for name, make, size in (("one chain", loop, lambda n: 2), ("terms of a vector", terms, lambda n: n // 3 + 1)):
        small, large = (graph_times(make, m, size(m)) for m in (n // 10, n))
        ratios = {step: round(large[step] / small[step], 1) for step in large if small[step] > 1e-3}
        found[name] = {"operations": n, "seconds": large, "ratio_to_a_tenth": ratios}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of a name; 'graphs' for the large graphs")
    parser.add_argument("--fraction", type=float, default=1.0, help="of all repetitions and operations")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name, (make, repetitions) in MEMORY.items():
        if options.only in name:
            results[name] = slope(make(), int(repetitions * options.fraction))
            print(name, results[name], flush=True)
    if options.only in "graphs":
        results["graphs"] = graphs(int(1_000_000 * options.fraction))
        print(json.dumps(results["graphs"], indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"python": sys.version, "results": results}, indent=1))


if __name__ == "__main__":
    main()
