"""Mutation testing: small faults put into the rules and the numeric methods, and whether the tests find them.

    pytest -n 2 --cov=archimedes_grad --cov-branch --cov-context=test --cov-report=
    OPENBLAS_NUM_THREADS=1 python benchmarks/mutants.py --sample 400 --json mutants.json

Needs pytest-cov. A mutant changes one operator, comparison, number, keyword argument, statement or result in a copy of
the checkout. Only tests that run the changed line are run against it, the most specific first and at most
``--tests`` of them, so a mutant that they miss counts as alive though another test might find it. For a line that no
tracer sees, as CasADi calls it from C++, these are the tests that run the function around it. What runs longer than
``--seconds`` counts as found. Left alone, as they change no result: messages, annotations, docstrings, ``strict=`` of
``zip``, and the arguments of ``counted``, which are estimates of cost.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDERS = ("archimedes_grad/rules", "archimedes_grad/numeric")

#: Tests that start processes, which do not load the mutant in the same way.
_LEFT_OUT = ("tests/numeric/test_executors.py", "tests/test_readme.py", "tests/test_docs.py", "tests/test_pickling.py")

_BINARY = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.Pow: ("**", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.MatMult: ("@", "*"), ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
_COMPARE = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
_BOOLEAN = {ast.And: ("and", "or"), ast.Or: ("or", "and")}


@dataclass
class Mutant:
    """One change: the characters ``start`` to ``end`` of a file become ``new``."""

    path: str
    line: int
    lines: tuple[int, int]
    around: tuple[int, int]
    start: int
    end: int
    old: str
    new: str
    in_function: bool
    outcome: str = ""
    n_tests: int = 0


class _Finder(ast.NodeVisitor):
    """Collects the mutants of one file; messages, annotations, decorators and docstrings are left alone."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line.encode()))
        self.bytes = text.encode()
        self.depth = 0
        self.statement = (0, 0)
        self.around = (0, 0)
        self.found: list[Mutant] = []

    def visit(self, node: ast.AST) -> None:
        """Visit a node; coverage knows a statement of several lines by some of them."""
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
            self.statement = node.lineno, max(last, node.lineno)
        super().visit(node)

    def place(self, node: ast.AST) -> tuple[int, int]:
        return (
            self.starts[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            self.starts[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def add(self, node: ast.AST, start: int, end: int, new: str) -> None:
        old = self.bytes[start:end].decode()
        line: int = node.lineno  # type: ignore[attr-defined]
        self.found.append(Mutant(self.path, line, self.statement, self.around, start, end, old, new, self.depth > 0))

    def between(self, node: ast.AST, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        start, end = self.place(left)[1], self.place(right)[0]
        word = rf"\b{old}\b" if old[0].isalpha() else re.escape(old)
        match = re.search(word, self.bytes[start:end].decode())
        if match:
            self.add(node, start + match.start(), start + match.end(), new)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        # Defaults are evaluated at import.
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
            self.visit(default)
        if not self.depth:
            self.around = node.lineno, node.end_lineno or node.lineno
        self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= 1

    def visit_Lambda(self, node: ast.Lambda) -> None:
        if not self.depth:
            self.around = node.lineno, node.end_lineno or node.lineno
        self.depth += 1
        self.visit(node.body)
        self.depth -= 1

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node.test, ast.Name | ast.Call | ast.Attribute):
            start, end = self.place(node.test)
            self.add(node.test, start, end, f"not ({self.bytes[start:end].decode()})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if isinstance(node.test, ast.Name | ast.Call | ast.Attribute):
            start, end = self.place(node.test)
            self.add(node.test, start, end, f"not ({self.bytes[start:end].decode()})")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        is_count = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "counted"
        if isinstance(node.value, ast.Call) and self.depth and not is_count:
            self.add(node, *self.place(node), "pass")
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.add(node, *self.place(node.value), "None")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.between(node, node.left, node.right, *_BINARY.get(type(node.op), ("", "")) or ("", ""))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        old, new = _BINARY[type(node.op)]
        self.between(node, node.target, node.value, f"{old}=", f"{new}=")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            self.between(node, left, right, *_COMPARE[type(op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(node, left, right, *_BOOLEAN[type(node.op)])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self.add(node, *self.place(node), f"({self.bytes[slice(*self.place(node.operand))].decode()})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "counted":
            return
        for k, keyword in enumerate(node.keywords):
            # zip(strict=True) tells of faults that there are none of: without it nothing changes.
            if keyword.arg is not None and keyword.arg != "strict" and (node.args or k):
                start, end = self.place(keyword)
                before = (node.keywords[k - 1] if k else node.args[-1])
                if self.place(before)[1] < start:
                    self.add(keyword, self.place(before)[1], end, "")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, *self.place(node), str(not node.value))
        elif isinstance(node.value, int | float):
            self.add(node, *self.place(node), f"({node.value!r} + 1)")


def mutants_of(root: Path, folder: str) -> Iterator[Mutant]:
    """Yield every mutant of the files of a folder that still compiles."""
    for path in sorted((root / folder).glob("*.py")):
        text = path.read_text()
        finder = _Finder(str(path.relative_to(root)), text)
        finder.visit(ast.parse(text))
        for mutant in finder.found:
            try:
                compile(changed(text, mutant), str(path), "exec")
            except SyntaxError:
                continue
            yield mutant


def changed(text: str, mutant: Mutant) -> str:
    """Return a file's text with the change made."""
    encoded = text.encode()
    return (encoded[: mutant.start] + mutant.new.encode() + encoded[mutant.end :]).decode()


# --- which tests run a line ---------------------------------------------------------------------------


class Tests:
    """The tests that run each line, from the contexts of a coverage file."""

    def __init__(self, root: Path, coverage_file: Path) -> None:
        from coverage import CoverageData

        data = CoverageData(str(coverage_file))
        data.read()
        self.lines: dict[str, dict[int, list[str]]] = {}
        breadth: Counter[str] = Counter()
        for file in data.measured_files():
            relative = next((file[file.index(f) :] for f in FOLDERS if f in file), None)
            if relative is None:
                continue
            by_line = {
                line: sorted({c.rsplit("|", 1)[0] for c in contexts if "::" in c and not c.startswith(_LEFT_OUT)})
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            self.lines[relative] = by_line
            breadth.update(test for tests in by_line.values() for test in tests)
        self.breadth = breadth

    def of(self, mutant: Mutant, most: int, generator: random.Random) -> list[str]:
        """Return the tests to run: the most specific, and others drawn, one for each test function first."""
        by_line = self.lines.get(mutant.path, {})
        first, last = mutant.lines
        found = set(by_line.get(mutant.line, []))
        if not found:
            found = {test for line in range(first, last + 1) for test in by_line.get(line, [])}
        if not found and mutant.in_function:
            found = {test for line in range(*mutant.around) for test in by_line.get(line, [])}
        if not mutant.in_function:
            # What runs at import counts for whatever the file does.
            found |= {test for tests in by_line.values() for test in tests}
        ordered = sorted(found, key=lambda test: (self.breadth[test], test))
        if len(ordered) <= most:
            return ordered
        first, rest = ordered[: most // 2], ordered[most // 2 :]
        generator.shuffle(rest)
        seen: Counter[str] = Counter()
        ranked = []
        for test in rest:
            function = test.split("[")[0]
            ranked.append((seen[function], test))
            seen[function] += 1
        return first + [test for _, test in sorted(ranked)][: most - len(first)]


# --- running ------------------------------------------------------------------------------------------


def outcome_of(root: Path, mutant: Mutant, tests: list[str], seconds: float) -> str:
    """Run tests against a mutant in a forked process, and return "killed", "timeout", "alive" or "not run"."""
    if not tests:
        return "not run"
    path = root / mutant.path
    text, times = path.read_text(), path.stat()
    path.write_text(changed(text, mutant))
    try:
        return _exit_of(root, tests, seconds)
    finally:
        path.write_text(text)
        # Compiled files of Python go by this time.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _exit_of(root: Path, tests: list[str], seconds: float) -> str:
    child = os.fork()
    if child == 0:
        # Nothing of this process may go on in the child, whatever happens there.
        code = 1
        try:
            code = int(_run(root, ["-x", *tests]))
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "alive" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _run(root: Path, arguments: list[str], plugins: tuple[Any, ...] = ()) -> int:
    os.setsid()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(root)
    sys.path.insert(0, str(root))
    import pytest

    fixed = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
    return pytest.main([*fixed, *arguments], plugins=list(plugins))


class _Notes:
    """Writes down which tests start and which pass."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, what: str, test: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{what} {test}\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.note("started", nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.passed:
            self.note("passed", report.nodeid)


def passing(root: Path, tests: list[str]) -> set[str]:
    """Return the tests that pass without a mutant, run as they will be."""
    path = root / "notes"
    path.touch()
    waiting = tests
    while waiting:
        child = os.fork()
        if child == 0:
            try:
                _run(root, waiting, (_Notes(path),))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        notes = [line.split(" ", 1) for line in path.read_text().splitlines()]
        started = {test for what, test in notes if what == "started"}
        left = [test for test in waiting if test not in started]
        if len(left) == len(waiting):
            break
        waiting = left
    return {test for what, test in notes if what == "passed"}


def wilson(found: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    z = 1.96
    centre = (found + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(found * (n - found) / n + z * z / 4)
    return centre - half, centre + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=400, help="mutants drawn from each folder; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", type=int, default=60, help="the most tests run against one mutant")
    parser.add_argument("--seconds", type=float, default=60.0, help="the longest run against one mutant")
    parser.add_argument("--coverage", type=Path, default=Path(".coverage"))
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--only", default="", help="only files whose path holds this")
    options = parser.parse_args()
    checkout = Path(__file__).resolve().parent.parent
    tests = Tests(checkout, options.coverage)
    # Loaded here, once; the library itself is imported by each child, and pytest plugins by pytest.
    import casadi  # noqa: F401
    import numpy  # noqa: F401
    import pytest  # noqa: F401
    import scipy.special  # noqa: F401

    sys.dont_write_bytecode = True
    generator = random.Random(options.seed)
    done: list[Mutant] = []
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "checkout"
        kept_out = shutil.ignore_patterns(".git", ".venv*", ".hypothesis", ".pytest_cache", ".coverage*")
        shutil.copytree(checkout, root, ignore=kept_out)
        drawn: dict[str, tuple[list[Mutant], int]] = {}
        for folder in FOLDERS:
            population = [m for m in mutants_of(root, folder) if options.only in m.path]
            chosen = population
            if 0 < options.sample < len(population):
                chosen = generator.sample(population, options.sample)
            drawn[folder] = chosen, len(population)
        selected = {
            id(m): tests.of(m, options.tests, generator) for chosen, _ in drawn.values() for m in chosen
        }
        wanted = sorted({test for found in selected.values() for test in found})
        kept = passing(root, wanted)
        print(f"{len(kept)} of {len(wanted)} tests pass without a mutant and are used", flush=True)
        for folder, (chosen, population) in drawn.items():
            for mutant in chosen:
                usable = [test for test in selected[id(mutant)] if test in kept]
                mutant.n_tests = len(usable)
                mutant.outcome = outcome_of(root, mutant, usable, options.seconds)
                done.append(mutant)
                if mutant.outcome in ("alive", "not run"):
                    print(f"{mutant.outcome}: {mutant.path}:{mutant.line}: {mutant.old!r} -> {mutant.new!r} "
                          f"({mutant.n_tests} tests)", flush=True)  # fmt: skip
                if options.json:
                    options.json.write_text(json.dumps([asdict(mutant) for mutant in done], indent=1))
            _report(folder, chosen, population)


def _report(folder: str, chosen: list[Mutant], population: int) -> None:
    outcomes = Counter(mutant.outcome for mutant in chosen)
    found = outcomes["killed"] + outcomes["timeout"]
    if chosen:
        low, high = wilson(found, len(chosen))
        print(f"{folder}: {found} of {len(chosen)} mutants found, {100 * found / len(chosen):.1f} % "
              f"(95 %: {100 * low:.1f} to {100 * high:.1f}), drawn from {population}; {dict(outcomes)}")  # fmt: skip


if __name__ == "__main__":
    main()
