"""Sixteen threads that call, trace, drop and clear the same and different compiled functions, every result compared.

    OPENBLAS_NUM_THREADS=1 python benchmarks/threads.py --calls 10000000 --json threads.json

Each thread does at random: calls of functions that all threads share (an array, a tree, a path through branches, one
that solves, one with a callback), with shapes and static values that are traced meanwhile; makes functions of its own,
calls and drops them; clears the caches of shared ones. Every result is compared with NumPy's.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import archimedes_grad as arc

GENERATOR = np.random.default_rng(0)
MATRIX = GENERATOR.standard_normal((3, 3)) + 4 * np.eye(3)


def branching(x: Any) -> Any:
    """Return one of four polynomials."""
    if x[0] > 0:
        return np.sum(x**2) if x[1] > 0 else np.sum(x**3)
    return np.sum(2 * x) if x[1] > 0 else np.sum(-x)


def branching_gradient(x: Any) -> Any:
    """Return its gradient."""
    if x[0] > 0:
        return 2 * x if x[1] > 0 else 3 * x**2
    return np.full(len(x), 2.0 if x[1] > 0 else -1.0)


def scaled(x: Any, k: int) -> Any:
    """Return a sum times a static number."""
    return k * np.sum(np.sin(x))


def of_tree(p: Any) -> Any:
    """Return a number from a tree."""
    return np.sum(p["a"] ** 2) * p["b"]


#: name -> (compiled, arguments from a random vector and a number, expected result from the same).
Case = tuple[Any, Callable[[Any, int], tuple[Any, ...]], Callable[[Any, int], Any]]


def shared() -> dict[str, Case]:
    """Return the functions that all threads call."""
    return {
        "array": (arc.grad(lambda x: np.sum(np.sin(x))), lambda x, k: (x,), lambda x, k: np.cos(x)),
        "static": (arc.grad(scaled, static_argnums=1), lambda x, k: (x, k), lambda x, k: k * np.cos(x)),
        "tree": (
            arc.grad(of_tree), lambda x, k: ({"a": x, "b": 2.0},), lambda x, k: 4 * x,
        ),
        "branches": (arc.grad(branching), lambda x, k: (x,), lambda x, k: branching_gradient(x)),
        "solve": (
            arc.compile(lambda x: np.linalg.solve(MATRIX, x[:3])), lambda x, k: (x,),
            lambda x, k: np.linalg.solve(MATRIX, x[:3]),
        ),
        "callback": (
            arc.compile(lambda x: arc.callback(np.exp, np.zeros(3), x[:3])), lambda x, k: (x,),
            lambda x, k: np.exp(x[:3]),
        ),
    }  # fmt: skip


def result_of(case: str, result: Any) -> Any:
    """Return the part of a result that is compared."""
    return result["a"] if case == "tree" else result


def own(x: Any, k: int) -> tuple[Any, Any]:
    """Make a function, call it twice, drop it; return what it gave and what it should have."""
    gradient = arc.grad(lambda x: k * np.sum(x**2))
    gradient(x)
    return gradient(x), 2 * k * x


class Campaign:
    """Threads at work until so many calls are made, or one result is wrong."""

    def __init__(self, calls: int, n_threads: int, seconds: float) -> None:
        self.calls_each = calls // n_threads
        self.end = time.monotonic() + seconds
        self.cases = shared()
        self.faults: list[str] = []
        self.counts: list[Counter[str]] = [Counter() for _ in range(n_threads)]
        self.threads = [threading.Thread(target=self.guarded, args=(i,)) for i in range(n_threads)]

    def run(self) -> Counter[str]:
        """Run all threads to the end, and return what was done how often."""
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        return sum(self.counts, Counter())

    def guarded(self, i: int) -> None:
        """Work, and note an exception as a fault."""
        try:
            self.work(i)
        except BaseException as error:  # noted, and raised by the caller
            self.faults.append(f"{type(error).__name__}: {error}")

    def work(self, i: int) -> None:
        """Call at random, and compare."""
        draw = random.Random(i)
        generator = np.random.default_rng(i)
        count = self.counts[i]
        names = list(self.cases)
        while count["calls"] < self.calls_each and not self.faults and time.monotonic() < self.end:
            case = draw.choice(names)
            compiled, arguments, expected = self.cases[case]
            x = generator.standard_normal(draw.choice((3, 3, 3, 4, 7)))
            k = draw.randrange(1, 4)
            passed, wanted = arguments(x, k), expected(x, k)
            for _ in range(100):
                got = result_of(case, compiled(*passed))
                count["calls"] += 1
                if not (got.shape == wanted.shape and np.allclose(got, wanted, rtol=1e-12, atol=1e-14)):
                    self.faults.append(f"{case}: {got} is not {wanted}")
                    return
            if draw.random() < 0.01:
                got, wanted = own(x, k)
                count["made and dropped"] += 1
                count["calls"] += 2
                if not np.array_equal(got, wanted):
                    self.faults.append(f"own: {got} is not {wanted}")
            if draw.random() < 0.003:
                compiled.clear_cache()
                count["cleared"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    campaign = Campaign(options.calls, options.threads, options.seconds)
    start = time.perf_counter()
    done = campaign.run()
    seconds = round(time.perf_counter() - start, 1)
    found = {"threads": options.threads, **done, "seconds": seconds, "faults": campaign.faults}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps({"python": sys.version, **found}, indent=1))
    sys.exit(bool(campaign.faults))


if __name__ == "__main__":
    main()
