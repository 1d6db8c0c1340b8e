"""Mutation testing: small faults put into the library, and whether the tests find them.

    pytest -n 2 --cov=archimedes_grad --cov-branch --cov-context=test --cov-report=
    OPENBLAS_NUM_THREADS=1 python benchmarks/mutants.py archimedes_grad/rules --sample 150 --json rules.json
    OPENBLAS_NUM_THREADS=1 python benchmarks/mutants.py --again rules.json

Needs pytest-cov. A mutant changes one operator, comparison, number, keyword argument, statement or result in a copy of
the checkout. Only tests that run the changed line are run against it, the most specific first and at most
``--tests`` of them, so a mutant that they miss counts as alive though another test might find it. For a line that no
tracer sees, as CasADi calls it from C++, these are the tests that run the function around it. A test that runs longer
than ``--seconds``, and does not without the mutant, has found it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from mutation.changes import Mutant, mutants_of
from mutation.choice import Tests
from mutation.runs import Afresh, InMemory, Limits, NotInMemoryError, run_pytest

PLACES = ("archimedes_grad/rules", "archimedes_grad/numeric")


def wilson(found: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    z = 1.96
    centre = (found + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(found * (n - found) / n + z * z / 4)
    return centre - half, centre + half


class Campaign:
    """The mutants drawn, the tests of each, and where the outcomes go."""

    def __init__(
        self, chosen: list[Mutant], tests: list[list[str]], limits: Limits, results: Path, kept: Path | None
    ) -> None:
        self.chosen = chosen
        self.tests = tests
        self.limits = limits
        #: One line for each outcome, as two processes write them.
        self.results = results
        self.kept = kept
        self.out = os.dup(1)

    def run(self, root: Path) -> None:
        """Settle the mutants in memory first, then those that act where a module is loaded."""
        child = os.fork()
        if child == 0:
            try:
                files = sorted({test.split("::")[0] for tests in self.tests for test in tests})
                run_pytest(root, files, InMemory(root, self.limits, self._in_memory))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        self._read()
        afresh = Afresh(root, self.limits)
        for k, mutant in enumerate(self.chosen):
            if not mutant.outcome:
                afresh.settle(mutant, self.tests[k])
                self._write(k)

    def _in_memory(self, runner: InMemory) -> None:
        parent = os.getppid()
        for k, mutant in enumerate(self.chosen):
            if mutant.in_function and os.getppid() == parent:
                try:
                    runner.settle(mutant, self.tests[k])
                except NotInMemoryError:
                    mutant.outcome = ""
                    continue
                self._write(k)

    def _write(self, k: int) -> None:
        mutant = self.chosen[k]
        with self.results.open("a") as file:
            file.write(json.dumps([k, mutant.outcome, mutant.n_tests, mutant.found_by]) + "\n")
        if self.kept:
            self.kept.write_text(json.dumps([asdict(mutant) for mutant in self.chosen], indent=1))
        if mutant.outcome in ("alive", "not run"):
            change = f"{mutant.old!r} -> {mutant.new!r} ({mutant.n_tests} tests)"
            os.write(self.out, f"{mutant.outcome}: {mutant.path}:{mutant.line}: {change}\n".encode())

    def _read(self) -> None:
        for line in self.results.read_text().splitlines():
            k, *outcome = json.loads(line)
            self.chosen[k].outcome, self.chosen[k].n_tests, self.chosen[k].found_by = outcome


def alive_in(file: Path, root: Path) -> list[Mutant]:
    """Return the mutants that were alive in an earlier run and are still there, known by their lines."""

    def key(mutant: Mutant) -> tuple[str, ...]:
        return mutant.path, mutant.text, mutant.old, mutant.new

    before = [Mutant(**entry) for entry in json.loads(file.read_text())]
    wanted = Counter(key(mutant) for mutant in before if mutant.outcome in ("alive", "not run"))
    now = [mutant for path in sorted({path for path, *_ in wanted}) for mutant in mutants_of(root, path)]
    return [mutant for mutant in now if key(mutant) in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", default=PLACES, help="files and folders of the library")
    parser.add_argument("--sample", type=int, default=400, help="mutants drawn from each place; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", type=int, default=100, help="the most tests run against one mutant")
    parser.add_argument("--seconds", type=float, default=60.0, help="the longest run of one test")
    parser.add_argument("--most", type=float, default=120.0, help="seconds after which no more tests of a mutant start")
    parser.add_argument("--coverage", type=Path, default=Path(".coverage"))
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--again", type=Path, default=None, help="a file of --json: those that were alive, loaded anew")
    options = parser.parse_args()
    checkout = Path(__file__).resolve().parent.parent
    # Loaded here, once; the library itself and pytest's plugins are loaded after the fork.
    import casadi  # noqa: F401
    import numpy  # noqa: F401
    import pytest  # noqa: F401
    import scipy.special  # noqa: F401

    sys.dont_write_bytecode = True
    generator = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "checkout"
        kept_out = shutil.ignore_patterns(".git", ".venv*", ".hypothesis", ".pytest_cache", ".coverage*", "__pycache__")
        shutil.copytree(checkout, root, ignore=kept_out)
        drawn: dict[str, tuple[list[Mutant], int]] = {}
        for place in [options.again] if options.again else options.places:
            population = alive_in(place, root) if options.again else list(mutants_of(root, place))
            chosen = population
            if not options.again and 0 < options.sample < len(population):
                chosen = generator.sample(population, options.sample)
            drawn[str(place)] = chosen, len(population)
        everything = [mutant for chosen, _ in drawn.values() for mutant in chosen]
        tests = Tests(options.coverage, {mutant.path for mutant in everything})
        for mutant in everything:
            # Functions that are cached were called before: what an earlier run did not find is put in before loading.
            mutant.in_function &= not (options.again or tests.acts_at_load(mutant))
        selected = [tests.of(mutant, options.tests, generator) for mutant in everything]
        results = Path(directory) / "results"
        results.touch()
        limits = Limits(options.seconds, options.most)
        campaign = Campaign(everything, selected, limits, results, options.json)
        campaign.run(root)
    for place, (chosen, population_size) in drawn.items():
        _report(place, chosen, population_size)


def _report(place: str, chosen: list[Mutant], population: int) -> None:
    outcomes = Counter(mutant.outcome for mutant in chosen)
    found = outcomes["killed"] + outcomes["timeout"]
    if chosen:
        low, high = wilson(found, len(chosen))
        print(f"{place}: {found} of {len(chosen)} mutants found, {100 * found / len(chosen):.1f} % "
              f"(95 %: {100 * low:.1f} to {100 * high:.1f}), drawn from {population}; {dict(outcomes)}")  # fmt: skip


if __name__ == "__main__":
    main()
