"""Statements of C that repeat, as one loop: the calls of a chain, and what lies between them, once instead of n times.

Such statements differ in nothing but whole numbers, places in memory above all, which grow by the same from one
repetition to the next. A compiler takes time for each statement, and gains nothing from seeing it often.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

#: Fewer repetitions stay as they are.
_FEWEST = 3
#: Statements of one repetition, at most.
_LONGEST_PERIOD = 64

# Whole numbers, other numbers and names are each one token.
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|.", re.DOTALL)
_DIGITS = re.compile(r"\d+")
# Pointers that a statement declares for itself.
_DECLARED = re.compile(r"\brestrict (\w+) =")
#: Stands for a whole number.
_MARK = "\0"


class _Statement(NamedTuple):
    """The lines of a statement, its text with a mark for each whole number and with names of its own, the numbers."""

    lines: list[str]
    form: str
    numbers: tuple[int, ...]


def rolled(lines: Sequence[str]) -> list[str]:
    """Return the lines of a function's body with repeated statements as loops."""
    statements = _read(_split(lines))
    result: list[str] = []
    start = 0
    while start < len(statements):
        period, times = _repetition(statements, start)
        if times >= _FEWEST:
            result += _loop(statements[start : start + 2 * period], times)
            start += period * times
        else:
            result += statements[start].lines
            start += 1
    return result


def _split(lines: Sequence[str]) -> list[list[str]]:
    """Return the lines of each statement."""
    statements: list[list[str]] = [[]]
    depth = 0
    for line in lines:
        statements[-1].append(line)
        depth += line.count("{") - line.count("}")
        # The body of a loop without braces is the next line.
        if depth == 0 and not line.startswith("for "):
            statements.append([])
    return [statement for statement in statements if statement]


def _read(statements: Sequence[list[str]]) -> list[_Statement]:
    texts = ["\n".join(lines) for lines in statements]
    # Read are only those that may repeat: as many are alike but for digits.
    alike = [_DIGITS.sub("", text) for text in texts]
    counts = Counter(alike)
    return [
        _in_form(lines, text) if counts[kind] >= _FEWEST else _Statement(lines, text, ())
        for lines, text, kind in zip(statements, texts, alike, strict=True)
    ]


def _in_form(lines: list[str], text: str) -> _Statement:
    names = {name: f"v{place}" for place, name in enumerate(_DECLARED.findall(text))}
    tokens = _TOKEN.findall(text)
    form = "".join(_MARK if token.isdigit() else names.get(token, token) for token in tokens)
    return _Statement(lines, form, tuple(int(token) for token in tokens if token.isdigit()))


def _repetition(statements: Sequence[_Statement], start: int) -> tuple[int, int]:
    """Return how many statements from a start on repeat, and how often: as many as possible, of the shortest period."""
    best = 0, 1
    for period in range(1, min(_LONGEST_PERIOD, (len(statements) - start) // _FEWEST) + 1):
        times = _times(statements, start, period)
        if times >= _FEWEST and times * period > best[0] * best[1]:
            best = period, times
    return best


def _times(statements: Sequence[_Statement], start: int, period: int) -> int:
    times, steps = 1, None
    while start + (times + 1) * period <= len(statements):
        here = start + times * period
        before, after = statements[here - period : here], statements[here : here + period]
        if any(a.form != b.form for a, b in zip(before, after, strict=True)):
            break
        own = _steps(before, after)
        steps = steps or own
        if own != steps:
            break
        times += 1
    return times


def _steps(before: Sequence[_Statement], after: Sequence[_Statement]) -> list[int]:
    """Return by how much each number of a repetition is above that of the one before."""
    pairs = zip(before, after, strict=True)
    return [second - first for a, b in pairs for first, second in zip(a.numbers, b.numbers, strict=True)]


def _loop(two: Sequence[_Statement], times: int) -> list[str]:
    """Return a loop over repetitions, of which the first two are given."""
    period = len(two) // 2
    steps = iter(_steps(two[:period], two[period:]))
    body = []
    for statement in two[:period]:
        first, *others = statement.form.split(_MARK)
        numbered = (
            _moving(number, step) + text for number, step, text in zip(statement.numbers, steps, others, strict=False)
        )
        body += "".join([first, *numbered]).split("\n")
    return [f"for (long turn = 0; turn < {times}; ++turn) {{", *(f"    {line}" for line in body), "}"]


def _moving(number: int, step: int) -> str:
    return f"({number} {'-' if step < 0 else '+'} {abs(step)}*turn)" if step else str(number)
