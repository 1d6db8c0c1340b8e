"""A long run: program after program from numbered seeds, counted; findings made small and kept in a corpus."""

from __future__ import annotations

import dataclasses
import gc
import json
import random
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from .case import Counts, Refused
from .oracle import check
from .programs import Program, random_program
from .reference import Unsure
from .shrinking import shrunk
from .truth import truth
from .ways import WAYS


@dataclasses.dataclass
class Tally:
    """What a campaign has done.

    Attributes
    ----------
    next_seed
        The program to go on with.
    programs
        Programs checked to the end; ``since_finding`` those since the last finding.
    unsure, refused
        Programs left out: the reference does not know a value, or the library says that it does not do it.
    findings
        Programs that the library was wrong about.
    seconds
        Time of the processor.
    counts
        What was compared, in all.
    """

    next_seed: int = 0
    programs: int = 0
    since_finding: int = 0
    unsure: int = 0
    refused: int = 0
    findings: int = 0
    seconds: float = 0.0
    counts: Counts = dataclasses.field(default_factory=Counts)

    def save(self, path: Path) -> None:
        """Write the tally to a file."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Tally:
        """Read a tally; a new one where there is no file."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text())
        return cls(**{**stored, "counts": Counts(**stored["counts"])})

    def __str__(self) -> str:
        c = self.counts
        return (
            f"{self.programs} programs ({self.since_finding} since the last finding), {self.findings} findings, "
            f"{self.unsure} left out as unsure, {self.refused} refused; {c.points} values, {c.first} first and "
            f"{c.second} second derivatives by the reference ({c.unsure} points unsure, {c.borders} at borders), "
            f"{c.agreements} agreements; {self.seconds:.0f} s of processor time"
        )


def ways_of(seed: int) -> tuple[str, ...]:
    """Return the way that a program is checked by besides value and gradient."""
    return (random.Random(seed).choice(list(WAYS)),)


def failure(program: Program, ways: Sequence[str], engines: Sequence[str], counts: Counts | None = None) -> str | None:
    """Return what is wrong with the library about a program, as text; None where nothing is.

    Raises
    ------
    Unsure, Refused
        Where the program cannot be judged.
    """
    points = [program.at(k) for k in range(len(program.points))]
    try:
        compared = check(program.function(), points, ways, engines)
    except (Unsure, Refused):
        raise
    except AssertionError as error:
        return str(error) or traceback.format_exc(limit=-1)
    except Exception:  # Whatever else the library raises is a finding as well.
        return traceback.format_exc(limit=-1)
    if counts is not None:
        counts.add(compared)
    return None


def made_small(program: Program, ways: Sequence[str], engines: Sequence[str]) -> Program:
    """Return a small program that fails in the same kind of way."""
    kind = _kind(failure(program, ways, engines))

    def fails_alike(smaller: Program) -> bool:
        try:
            expected = truth(smaller.function(), smaller.at(0)).expected
            if not expected or not all(hasattr(x, "dtype") and x.dtype.kind in "fib" for x in expected):
                return False
            return _kind(failure(smaller, ways, engines)) == kind
        except Exception:  # A program that NumPy does not run, or that nobody can judge, is no smaller finding.
            return False

    return shrunk(program, fails_alike)


def _kind(what: str | None) -> str | None:
    return what and what.strip().split("\n")[-1 if what.startswith("Traceback") else 0].split(":")[0]


def run(corpus: Path, seconds: float, engines: Sequence[str], report: Callable[[str], None]) -> Tally:
    """Replay the findings of a corpus, then check new programs until the time is over."""
    corpus.mkdir(parents=True, exist_ok=True)
    tally_file = corpus / "tally.json"
    tally = Tally.load(tally_file)
    _replay(corpus, engines, report)
    gc.freeze()  # What was imported is not searched for cycles again and again.
    deadline, next_report = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        seed, start = tally.next_seed, time.process_time()
        tally.next_seed += 1
        _one(seed, tally, corpus, engines, report)
        tally.seconds += time.process_time() - start
        if time.monotonic() > next_report:
            tally.save(tally_file)
            report(str(tally))
            next_report = time.monotonic() + 60
    tally.save(tally_file)
    return tally


def _one(seed: int, tally: Tally, corpus: Path, engines: Sequence[str], report: Callable[[str], None]) -> None:
    program, ways = random_program(seed), ways_of(seed)
    try:
        what = failure(program, ways, engines, tally.counts)
    except Unsure:
        tally.unsure += 1
        return
    except Refused:
        tally.refused += 1
        return
    tally.programs += 1
    tally.since_finding += 1
    if what is not None:
        tally.findings += 1
        tally.since_finding = 0
        smaller = made_small(program, ways, engines)
        stored = {**dataclasses.asdict(smaller), "ways": ways, "what": what}
        (corpus / f"finding-{seed}.json").write_text(json.dumps(stored, indent=1))
        report(f"finding of seed {seed}, by {ways}: {what}\n\n{smaller.regression_test(f'finding_{seed}')}")


def _replay(corpus: Path, engines: Sequence[str], report: Callable[[str], None]) -> None:
    for path in sorted(corpus.glob("finding-*.json")):
        stored = json.loads(path.read_text())
        program = Program(
            tuple(stored["arguments"]), tuple(stored["lines"]), tuple(tuple(point) for point in stored["points"]),
            tuple(stored["single"]),
        )
        try:
            what = failure(program, stored["ways"], engines)
        except (Unsure, Refused) as judged:
            what = type(judged).__name__
        report(f"{path.name}: {'mended' if what is None else what}")
