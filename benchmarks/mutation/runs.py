"""Runs tests against a mutant, in a forked process each.

A mutant inside of a function is put into the code of the functions in memory, by a process that has loaded the library
and collected the tests once. One that acts when a module is loaded has the library loaded anew.
"""

from __future__ import annotations

import functools
import gc
import os
import select
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from .changes import Mutant, changed


class Finding(NamedTuple):
    """What a run came to: "killed", "timeout" or "alive", and the test that was under way."""

    outcome: str
    test: str = ""


class NotInMemoryError(Exception):
    """The mutant acts where the module is loaded."""


@dataclass
class Limits:
    """Seconds after which one test counts as endless, and after which no more tests of a mutant start."""

    test: float
    mutant: float


class Runner:
    """What the two ways of running have in common."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root = root
        self.limits = limits
        self.sound: set[str] = set()

    def attempt(self, mutant: Mutant | None, tests: list[str]) -> Finding:
        raise NotImplementedError

    def settle(self, mutant: Mutant, tests: list[str]) -> None:
        """Give a mutant its outcome; a test counts only if it passes without the mutant."""
        usable = list(tests)
        while usable:
            finding = self.attempt(mutant, usable)
            mutant.outcome, mutant.n_tests, mutant.found_by = finding.outcome, len(usable), finding.test
            if finding.outcome == "alive" or finding.test in self.sound:
                return
            if self.attempt(None, [finding.test] if finding.test else usable).outcome == "alive":
                self.sound.add(finding.test)
                return
            if not finding.test:
                break
            usable.remove(finding.test)
        mutant.outcome, mutant.n_tests, mutant.found_by = "not run", 0, ""

    def watched(self, body: Callable[[_Notes], None]) -> Finding:
        """Run a body in a forked process that notes what starts and what fails."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                os.close(reading)
                body(_Notes(writing, self.limits.mutant))
            finally:
                # Nothing of this process may go on in the child, whatever happened there.
                os._exit(3)
        os.close(writing)
        try:
            return self._follow(child, reading)
        finally:
            os.close(reading)

    def _follow(self, child: int, reading: int) -> Finding:
        under_way, text, end = "", "", time.monotonic() + self.limits.test
        while True:
            if not select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return Finding("timeout", under_way)
            got = os.read(reading, 65536).decode()
            if not got:
                break
            text += got
            *lines, text = text.split("\n")
            for line in lines:
                if line == "end":
                    self._stop(child)
                    return Finding("alive")
                what, under_way = line.split(" ", 1)
                if what == "failed":
                    self._stop(child)
                    return Finding("killed", under_way)
            end = time.monotonic() + self.limits.test
        # The process ended by itself: a crash, or no test was found.
        os.waitpid(child, 0)
        return Finding("killed", under_way)

    @staticmethod
    def _stop(child: int) -> None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)

    @contextmanager
    def file_changed(self, mutant: Mutant | None) -> Iterator[None]:
        """Write the mutant to its file, and put that back."""
        if mutant is None:
            yield
            return
        path = self.root / mutant.path
        text, times = path.read_text(), path.stat()
        path.write_text(changed(text, mutant))
        # Compiled files of Python go by the time, which is coarse.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
        try:
            yield
        finally:
            path.write_text(text)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


class _Notes:
    """A plugin of pytest that notes which test starts, the first that fails, and the end."""

    def __init__(self, pipe: int, seconds: float) -> None:
        self.pipe = pipe
        self.end = time.monotonic() + seconds

    def note(self, text: str) -> None:
        os.write(self.pipe, f"{text}\n".encode())

    def late(self) -> bool:
        return time.monotonic() > self.end

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.note(f"started {nodeid}")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.note(f"failed {report.nodeid}")
            # The other side ends this process.
            time.sleep(60)

    def pytest_runtest_logfinish(self) -> None:
        if self.late():
            self.note("end")
            time.sleep(60)


class Afresh(Runner):
    """Loads the library for each mutant."""

    def attempt(self, mutant: Mutant | None, tests: list[str]) -> Finding:
        def body(notes: _Notes) -> None:
            if run_pytest(self.root, tests, notes) == 0:
                notes.note("end")
                time.sleep(60)

        with self.file_changed(mutant):
            return self.watched(body)


class InMemory(Runner):
    """A plugin of pytest that, in place of running what was collected, settles mutants with it."""

    def __init__(self, root: Path, limits: Limits, campaign: Callable[[InMemory], None]) -> None:
        super().__init__(root, limits)
        self.campaign = campaign
        self.run_before: set[tuple[Any, ...]] = set()
        self.here = str(root / "archimedes_grad")
        sys.setprofile(self._note_call)

    def _note_call(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(self.here):
            self.run_before.add(_place(frame.f_code))

    def pytest_runtestloop(self, session: Any) -> bool:
        sys.setprofile(None)
        self.items = {item.nodeid: item for item in session.items}
        self.manager = session.config.pluginmanager
        self.functions: dict[tuple[Any, ...], list[FunctionType]] = defaultdict(list)
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(self.here):
                self.functions[_place(thing.__code__)].append(thing)
            elif isinstance(thing, functools._lru_cache_wrapper) and thing.__module__.startswith("archimedes_grad"):
                thing.cache_clear()
        gc.freeze()
        self.campaign(self)
        return True

    def settle(self, mutant: Mutant, tests: list[str]) -> None:
        """Give a mutant its outcome.

        Raises
        ------
        NotInMemoryError
            If it is alive, but what it changes has run while the library was loaded.
        """
        super().settle(mutant, [test for test in tests if test in self.items])
        if mutant.outcome == "alive" and any(place in self.run_before for place in self._changed_places(mutant)):
            raise NotInMemoryError

    def _changed_places(self, mutant: Mutant) -> list[tuple[Any, ...]]:
        return [_place(old) for old, new in self._pairs_of(mutant) if _own(old) != _own(new)]

    def _pairs_of(self, mutant: Mutant) -> list[tuple[CodeType, CodeType]]:
        path = self.root / mutant.path
        text = path.read_text()
        before = compile(text, str(path), "exec", dont_inherit=True)
        return _pairs(before, compile(changed(text, mutant), str(path), "exec", dont_inherit=True))

    def attempt(self, mutant: Mutant | None, tests: list[str]) -> Finding:
        replaced = self.replaced(mutant) if mutant is not None else []

        def body(notes: _Notes) -> None:
            for function, code in replaced:
                function.__code__ = code
            self.manager.register(notes)
            items = [self.items[test] for test in tests]
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            notes.note("end")
            time.sleep(60)

        with self.file_changed(None if replaced else mutant):
            return self.watched(body)

    def replaced(self, mutant: Mutant) -> list[tuple[FunctionType, CodeType]]:
        """Return the functions in memory that the mutant changes, with their code; none if its module is not loaded."""
        name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if name not in sys.modules:
            return []
        found = []
        for old, new in self._pairs_of(mutant):
            for function in self.functions.get(_place(old), []):
                if old.co_freevars != new.co_freevars:
                    raise NotInMemoryError
                found.append((function, new))
        if not found:
            raise NotInMemoryError
        return found


def _place(code: CodeType) -> tuple[Any, ...]:
    return code.co_filename, code.co_qualname, tuple(code.co_positions())


def _pairs(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]]:
    """Return the code objects that differ, each with the one that takes its place."""
    within_old = [c for c in old.co_consts if isinstance(c, CodeType)]
    within_new = [c for c in new.co_consts if isinstance(c, CodeType)]
    if [c.co_qualname for c in within_old] != [c.co_qualname for c in within_new]:
        raise NotInMemoryError
    found = [pair for a, b in zip(within_old, within_new, strict=True) for pair in _pairs(a, b)]
    if found or _own(old) != _own(new):
        found.append((old, new))
    return found


def _own(code: CodeType) -> tuple[Any, ...]:
    constants = [(type(c), repr(c)) for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def run_pytest(root: Path, arguments: list[str], plugin: Any) -> int:
    """Run pytest in this process, on the copy of the checkout, without a word."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(root)
    sys.path.insert(0, str(root))
    import pytest

    fixed = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
    return int(pytest.main([*fixed, *arguments], plugins=[plugin]))
