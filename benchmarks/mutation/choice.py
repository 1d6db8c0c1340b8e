"""Which tests run the line of a mutant, from the contexts of a coverage file."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from .changes import Mutant

#: Tests that start processes, which do not load the mutant in the same way.
_LEFT_OUT = (
    "tests/numeric/test_executors.py",
    "tests/test_documentation.py",
    "tests/test_interrupts.py",
    "tests/test_pages.py",
    "tests/test_pickling.py",
)


#: Tests that look at what loading a module has made, and need not run its lines.
_OF_WHAT_IS_LOADED = "tests/rules/test_defaults.py"


class Tests:
    """The tests that run each line of some files of the library."""

    def __init__(self, coverage_file: Path, files: set[str]) -> None:
        from coverage import CoverageData

        data = CoverageData(str(coverage_file))
        data.read()
        self.lines: dict[str, dict[int, list[str]]] = {}
        breadth: Counter[str] = Counter()
        contexts = {context.rsplit("|", 1)[0] for context in data.measured_contexts()}
        self.of_what_is_loaded = sorted(c for c in contexts if c.startswith(_OF_WHAT_IS_LOADED))
        for file in data.measured_files():
            relative = file[file.rindex("archimedes_grad/") :]
            if relative not in files:
                continue
            by_line = {
                line: sorted({c.rsplit("|", 1)[0] for c in names if "::" in c and not c.startswith(_LEFT_OUT)})
                for line, names in data.contexts_by_lineno(file).items()
            }
            self.lines[relative] = by_line
            breadth.update(test for tests in by_line.values() for test in tests)
        self.breadth = breadth

    def acts_at_load(self, mutant: Mutant) -> bool:
        """Tell whether the line is run by those tests alone that load the module, though it stands in a function."""
        by_line = self.lines.get(mutant.path, {})
        found = by_line.get(mutant.line, [])
        return bool(found) and set(found) <= set(by_line[min(by_line)])

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
            # What runs at import counts for whatever the file does; a default, for what its function does.
            own = {test for line in range(*mutant.around) for test in by_line.get(line, [])}
            found |= own or {test for tests in by_line.values() for test in tests}
            found |= set(self.of_what_is_loaded)
        ordered = sorted(found, key=lambda test: (self.breadth[test], test))
        if len(ordered) <= most:
            return ordered
        specific, rest = ordered[: most // 2], ordered[most // 2 :]
        generator.shuffle(rest)
        seen: Counter[str] = Counter()
        ranked = []
        for test in rest:
            function = test.split("[")[0]
            ranked.append((seen[function], test))
            seen[function] += 1
        return specific + [test for _, test in sorted(ranked)][: most - len(specific)]
