"""What must hold of a program: every way of calling it and of differentiating it agrees with the reference."""

from collections.abc import Callable, Sequence
from typing import Any

from .case import Case, Counts, Refused, quiet, require_value_and_gradient
from .truth import argnums_of, truth
from .ways import REFUSALS, WAYS


def check(
    program: Callable[..., Any], points: Sequence[Sequence[Any]], ways: Sequence[str], engines: Sequence[str] = ("vm",)
) -> Counts:
    """Check a program at points by some of the ways, and return what was compared.

    Raises
    ------
    AssertionError
        A finding.
    Unsure
        If the reference is not sure of a value.
    Refused
        If the library refuses the program by itself; what only a way refuses is left out.
    """
    counts = Counts()
    with quiet():
        known = [truth(program, args) for args in points]
        for engine in engines:
            case = Case(program, known, engine, argnums_of(points[0]), counts)
            require_value_and_gradient(case)
            for way in ways:
                try:
                    WAYS[way](case)
                except Refused as refusal:
                    if not any(words in str(refusal) for words in REFUSALS.get(way, ())):
                        raise AssertionError(f"{way}: {refusal}") from refusal
    return counts


def check_program(program: Callable[..., Any], *points: Sequence[Any]) -> None:
    """Assert everything about a program at points, by all ways: for regression tests."""
    check(program, points, tuple(WAYS))
