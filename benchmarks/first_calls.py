"""First calls of the native engine: with an empty cache on disk, and with a full one, for every problem of problems.py.

    python benchmarks/first_calls.py
    python benchmarks/first_calls.py --only lstm gmm
    python benchmarks/first_calls.py --ziglang          # as on a machine without a C compiler

Each is made in a fresh process; the one before has left its libraries on disk for the one with a full cache. Shown are
the seconds of the whole call, tracing and one evaluation included, and of compiling: C is written, and compiled or
found. What is asked of a full cache is at most 0.2 s for that. ``--processor`` counts the processor time of process and
compiler instead: on a machine that does other work.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from problems import PROBLEMS
from runners import OURS, arguments_of, gradients, installed
from timing import Targets, save

from archimedes_grad.engines.native.toolchain import CACHE_VARIABLE

#: For compiling, with a full cache, in seconds.
ASKED = 0.2


def processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def first_call(problem: str, size: str, processor: bool) -> dict[str, float]:
    """Make and call a gradient for the first time in this process."""
    if processor:
        # What `explain` tells is measured by it, too.
        time.perf_counter = processor_time
    name = f"{OURS} (native)"
    runners, _ = installed([name])
    arguments = arguments_of(problem, size)
    start = time.perf_counter()
    _, gradient = next(gradients(runners[name], problem, arguments))
    gradient(*arguments)
    whole = time.perf_counter() - start
    return {"whole": whole, **gradient.explain(*arguments).seconds}


def in_fresh_processes(problem: str, size: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the figures of a call with an empty cache, then those with what it left."""
    figures = {}
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, CACHE_VARIABLE: cache}
        if options.ziglang:
            environment |= {"PATH": empty, "CC": ""}
        command = [sys.executable, __file__, "--call", problem, size, *(["--processor"] if options.processor else [])]
        for state in ("empty", "full"):
            runs = []
            for _ in range(1 if state == "empty" else options.rounds):
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                runs.append(json.loads(done.stdout.splitlines()[-1]))
            figures[state] = min(runs, key=lambda run: run["compile"])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="these problems")
    parser.add_argument("--rounds", type=int, default=3, help="calls with a full cache; the fastest counts")
    parser.add_argument("--ziglang", action="store_true", help="hide the C compilers of this machine")
    parser.add_argument("--processor", action="store_true", help="count processor time")
    parser.add_argument("--call", nargs=2, metavar=("PROBLEM", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        print(json.dumps(first_call(*options.call, options.processor)))
        return
    rows, targets = {}, Targets()
    print(f"{'first call, s':44s}{'empty cache':>12s}{'full':>8s}{'full, compiling':>18s}")
    for problem in options.only:
        for size in PROBLEMS[problem].sizes:
            found = in_fresh_processes(problem, size, options)
            what = f"{problem}, {size}"
            rows[what] = found
            empty, full, compiling = found["empty"]["whole"], found["full"]["whole"], found["full"]["compile"]
            print(f"{what:44s}{empty:12.2f}{full:8.2f}{compiling:18.3f}", flush=True)
            targets.check(f"{what}: seconds of compiling", compiling, ASKED)
    targets.show()
    if set(options.only) == set(PROBLEMS) and not options.ziglang and not options.processor:
        save("first_calls", rows)


if __name__ == "__main__":
    main()
