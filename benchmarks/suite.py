"""Every problem of problems.py side by side: this library on each engine, its peers, CasADi and C++ by hand.

    python -m pip install ".[benchmark]" && python benchmarks/suite.py
    python benchmarks/suite.py --quick --only gmm lstm --runners "archimedes_grad (vm)" "JAX (jit)"
    python benchmarks/suite.py --pages           # pictures and docs/benchmarks.md from the figures of the last runs

On a machine that does other work, one core with priority gives steadier ratios (JAX and BLAS then have one thread):

    OPENBLAS_NUM_THREADS=1 taskset -c 0 nice -n -19 python benchmarks/suite.py

For each data set: the first gradient of every runner in a fresh process, with its peak memory and with nothing
compiled before; then all of them in one process, their answers compared before they are timed in turn, round after
round. What takes too long or fails is left out, with the reason. Figures go to results/suite.json, where a run of some
problems replaces theirs only; a quick run and one of some runners are shown and not saved.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pages
from problems import PROBLEMS
from runners import CASADI, MAKERS, OURS, Runner, arguments_of, difference, gradients, installed, peak_memory
from timing import compared, save

RESULTS = Path(__file__).parent / "results" / "suite.json"

#: A runner whose first gradient takes longer is left out, in seconds.
LONGEST_FIRST_GRADIENT = 120
#: How long calls of engine="auto" are made before they are timed, in seconds.
SETTLING = 4
#: Answers differ by rounding: sums of a million terms, and the order of summation is nobody's duty.
AGREEMENT = 1e-9


def first_gradient(name: str, problem: str, size: str) -> dict[str, float]:
    """Make and call a gradient for the first time in this process; imports and data are not counted."""
    runners, _ = installed([name])
    arguments = arguments_of(problem, size)
    before = peak_memory()
    start = time.perf_counter()
    _, gradient = next(gradients(runners[name], problem, arguments))
    gradient(*arguments)
    return {"seconds": time.perf_counter() - start, "bytes": peak_memory() - before}


def in_a_fresh_process(name: str, problem: str, size: str) -> dict[str, Any]:
    """Return what ``first_gradient`` gives in a process of its own, or the reason to leave the runner out.

    Nothing is compiled yet: the cache of compiled functions is empty.
    """
    command = [sys.executable, __file__, "--first", name, problem, size]
    try:
        with tempfile.TemporaryDirectory() as cache:
            surroundings = {**os.environ, "ARCHIMEDES_GRAD_CACHE": cache}
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=LONGEST_FIRST_GRADIENT, env=surroundings
            )
    except subprocess.TimeoutExpired:
        return {"left out": f"the first gradient takes more than {LONGEST_FIRST_GRADIENT} s"}
    if run.returncode:
        errors = re.findall(r"^\w[\w.]*Error: .*", run.stderr, re.MULTILINE) or ["the process was killed"]
        return {"left out": errors[-1].removeprefix("NotImplementedError: ")[:200]}
    return json.loads(run.stdout.splitlines()[-1])


def first_gradients(names: Sequence[str], problem: str, size: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Return the median first gradient of each runner, and why the others are left out."""
    results = {}
    for name in names:
        runs = [in_a_fresh_process(name, problem, size)]
        if "left out" not in runs[0] and runs[0]["seconds"] < 10:
            runs += [in_a_fresh_process(name, problem, size) for _ in range(rounds - 1)]
        results[name] = sorted(runs, key=lambda run: run.get("seconds", 0.0))[len(runs) // 2]
    return results


def calls_of(runners: dict[str, Runner], problem: str, arguments: Any) -> dict[tuple[str, str], Callable[[], Any]]:
    """Return what computes a gradient, by runner and form."""
    return {
        (name, form): lambda gradient=gradient: gradient(*arguments)
        for name, runner in runners.items()
        for form, gradient in gradients(runner, problem, arguments)
    }


def require_agreement(calls: dict[tuple[str, str], Callable[[], Any]], what: str) -> None:
    """Raise ArithmeticError where two answers differ."""
    answers = {key: call() for key, call in calls.items()}
    (reference, expected), *others = answers.items()
    for key, answer in others:
        if not (apart := difference(answer, expected)) < AGREEMENT:
            raise ArithmeticError(f"{what}: {key} and {reference} differ by {apart:.1e} of the largest entry")


def settled(calls: dict[tuple[str, str], Callable[[], Any]]) -> None:
    """Call what chooses its engine by the time that calls take for as long as it needs to choose and to compile."""
    for (name, _), call in calls.items():
        end = time.perf_counter() + (SETTLING if name == f"{OURS} (auto)" else 0.0)
        while time.perf_counter() < end:
            call()


def measured(names: Sequence[str], problem: str, size: str, rounds: int) -> dict[str, Any]:
    """Return the figures of one data set by runner, and the CasADi form that was the fastest."""
    firsts = first_gradients(names, problem, size, max(1, rounds // 2))
    runners, _ = installed([name for name in names if "left out" not in firsts[name]])
    calls = calls_of(runners, problem, arguments_of(problem, size))
    require_agreement(calls, f"{problem}, {size}")
    settled(calls)
    times = compared(calls, rounds)
    row: dict[str, Any] = {"seconds": {}, "first": {}, "peak bytes": {}, "left out": {}}
    row["cores"] = len(os.sched_getaffinity(0))
    for name, first in firsts.items():
        if "left out" in first:
            row["left out"][name] = first["left out"]
            continue
        own = {form: seconds for (runner, form), seconds in times.items() if runner == name}
        best = min(own, key=own.__getitem__)
        row["seconds"][name], row["first"][name] = own[best], first["seconds"]
        row["peak bytes"][name] = first["bytes"]
        if name == CASADI:
            row["best graph form"] = best
    return row


def shown(problem: str, size: str, row: dict[str, Any]) -> None:
    ours = next((seconds for name, seconds in row["seconds"].items() if name.startswith(OURS)), None)
    print(f"\n{problem}, {size}   (fastest graph by hand: {row.get('best graph form', '–')})")
    for name, seconds in row["seconds"].items():
        ratio = "" if ours is None else f"{seconds / ours:9.2f}"
        memory = row["peak bytes"][name] / 2**20
        print(f"  {name:26s}{1e3 * seconds:12.4f} ms{ratio}   first {row['first'][name]:8.3f} s  {memory:8.1f} MiB")
    for name, reason in row["left out"].items():
        print(f"  {name:26s}{'–':>12s}      {reason}")


def in_order(saved: pages.Saved) -> pages.Saved:
    """Return the figures in the order of the table of problems."""
    return {
        name: {size: saved[name][size] for size in problem.sizes if size in saved[name]}
        for name, problem in PROBLEMS.items()
        if name in saved
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="these problems")
    parser.add_argument("--runners", nargs="+", choices=MAKERS, default=list(MAKERS), help="these runners")
    parser.add_argument("--sizes", nargs="+", help="data sets whose names contain one of these words")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed; first gradients half as often")
    parser.add_argument("--quick", action="store_true", help="two rounds, and nothing is saved")
    parser.add_argument("--pages", action="store_true", help="only write pictures and page from the saved figures")
    parser.add_argument("--first", nargs=3, metavar=("RUNNER", "PROBLEM", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.first:
        print(json.dumps(first_gradient(*options.first)))
        return
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    complete = not options.quick and set(options.runners) == set(MAKERS)
    if not options.pages:
        _, missing = installed(options.runners)
        for name in missing:
            print(f"{name} is not installed here and is left out")
        names = [name for name in options.runners if name not in missing]
        for problem in options.only:
            for size in PROBLEMS[problem].sizes:
                if options.sizes and not any(word in size for word in options.sizes):
                    continue
                row = measured(names, problem, size, 2 if options.quick else options.rounds)
                shown(problem, size, row)
                saved.setdefault(problem, {})[size] = row
                if complete:
                    save("suite", in_order(saved))
    if complete:
        pages.write(in_order(saved))


if __name__ == "__main__":
    main()
