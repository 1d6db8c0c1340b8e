"""Timing for the benchmarks: medians of interleaved rounds, so that ratios hold while the machine's speed drifts."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What tells seconds.
Clock = Callable[[], float]


def seconds_per_call(call: Callable[[], Any], at_least: float = 0.02, clock: Clock = time.perf_counter) -> float:
    """Time one batch of calls, as many as fill ``at_least`` seconds."""
    count = 1
    while True:
        start = clock()
        for _ in range(count):
            call()
        elapsed = clock() - start
        if elapsed >= at_least:
            return elapsed / count
        count = max(count * 2, int(count * at_least / max(elapsed, 1e-9)))


def compared(
    calls: dict[str, Callable[[], Any]], rounds: int = 7, at_least: float = 0.02, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Return the median seconds of a call of each, measured in turn, round after round."""
    for call in calls.values():
        call()
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(seconds_per_call(call, at_least, clock))
    return {name: statistics.median(times) for name, times in samples.items()}


def once_each(makers: dict[str, Callable[[], Any]], rounds: int = 5) -> dict[str, float]:
    """Return the median seconds of what can be done only once in a fresh state, such as a first call."""
    samples: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, maker in makers.items():
            start = time.perf_counter()
            maker()
            samples[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in samples.items()}


def spread(ratios: list[float]) -> str:
    """Return the least and the largest of ratios, and their geometric mean, as text."""
    return f"{min(ratios):.2f} to {max(ratios):.2f}, geometric mean {statistics.geometric_mean(ratios):.2f}"


class Targets:
    """The ratios asked for beside those measured."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def check(self, what: str, ratio: float, at_most: float) -> None:
        self.rows.append({"what": what, "ratio": ratio, "at most": at_most, "met": ratio <= at_most})

    def show(self) -> None:
        print(f"\n{'target':66s} {'measured':>9s} {'asked':>7s}")
        for row in self.rows:
            mark = "" if row["met"] else "   missed"
            print(f"{row['what']:66s} {row['ratio']:9.3f} {row['at most']:7.3f}{mark}")


def save(name: str, result: Any) -> None:
    """Write a benchmark's figures beside it, as JSON."""
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def saved(name: str) -> Any:
    """Return a benchmark's figures as they were written last."""
    return json.loads((_RESULTS / f"{name}.json").read_text())


_RESULTS = Path(__file__).parent / "results"
