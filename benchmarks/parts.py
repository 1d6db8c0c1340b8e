"""Large loops of compiled functions on one thread and on two: elementwise work and sums, by size.

    python benchmarks/parts.py

The answers are compared first. The figure of each is the fastest of all calls, made in turn: a machine that does other
work has two cores to give only now and then.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from timing import save

import archimedes_grad as arc

SIZES = (10_000, 30_000, 100_000, 1_000_000)
FUNCTIONS = {
    "sum(exp(x) sin(x))": lambda x: np.sum(np.exp(x) * np.sin(x)),
    "log(sum(exp(x)))": lambda x: np.log(np.sum(np.exp(x))),
    "sum(x sqrt(1 + x x))": lambda x: np.sum(x * np.sqrt(1.0 + x * x)),
    "sum(x x)": lambda x: np.sum(x * x),
}


def fastest(calls, calls_of_each):
    """Return the fastest call of each, all called in turn."""
    times = {name: float("inf") for name in calls}
    for _ in range(calls_of_each):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="of each, at 1,000,000 entries")
    options = parser.parse_args()
    rows = []
    print(f"{'value and gradient':24s}{'n':>10s}{'1 thread, ms':>14s}{'2 threads, ms':>15s}{'ratio':>8s}")
    for name, function in FUNCTIONS.items():
        for n in SIZES:
            x = np.random.default_rng(n).normal(size=n)
            compiled = {}
            for threads in (1, 2):
                arc.set_engine("native", threads=threads)
                compiled[threads] = arc.value_and_grad(function)
                compiled[threads](x)
            (one, slope), (two, other) = (compiled[threads](x) for threads in (1, 2))
            if not (abs(one - two) <= 1e-12 * abs(one) and np.allclose(slope, other, rtol=1e-12, atol=0.0)):
                raise ArithmeticError(f"{name}, n = {n}: one thread and two differ")
            calls = {threads: lambda call=compiled[threads], x=x: call(x) for threads in (1, 2)}
            times = fastest(calls, max(options.calls, options.calls * 100_000 // n))
            rows.append({"function": name, "n": n, "seconds": times})
            one, two = 1e3 * times[1], 1e3 * times[2]
            print(f"{name:24s}{n:10d}{one:14.3f}{two:15.3f}{two / one:8.2f}", flush=True)
    save("parts", rows)


if __name__ == "__main__":
    main()
