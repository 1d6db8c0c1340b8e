"""Random programs: each a few lines of plain NumPy, and the points that it is called at."""

from __future__ import annotations

import functools
import math
import random
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import special

import archimedes_grad as arc

from .scope import LARGEST_SIZE, LARGEST_SIZE_OF_SOME, Draw, Scope
from .statements import statement

SHAPES = (
    (3,), (), (2,), (2, 2), (2, 3), (3, 1), (1,), (2, 1, 2), (3, 3), (2, 2, 2), (5,), (2, 3, 3), (20,)
)  # fmt: skip

#: Shapes of the few programs with larger arrays.
LARGE_SHAPES = ((40,), (6, 7), (70,), (5, 5), (4, 5, 3), (8, 8), (30, 2), (2, 25), (200,), (3,), ())

#: What programs call functions of, by the names that they have there.
MODULES: dict[str, Any] = {"np": np, "arc": arc, "special": special}

#: Statements that are drawn for one program.
LONGEST = 5
#: Points that each is called at.
N_POINTS = 2


@dataclass(frozen=True)
class Program:
    """A function of plain NumPy as text, and arguments to call it with.

    Attributes
    ----------
    arguments
        Names of the arguments.
    lines
        The statements, one or more lines each, the last one a return.
    points
        Tuples of arguments as nested lists; the program was built at the first.
    single
        Names of the arguments of single precision.
    """

    arguments: tuple[str, ...]
    lines: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...]
    single: tuple[str, ...] = ()

    def source(self, name: str = "program") -> str:
        """Return the program as Python text."""
        body = textwrap.indent("\n".join(self.lines), "    ")
        return f"def {name}({', '.join(self.arguments)}):\n{body}\n"

    def function(self) -> Callable[..., Any]:
        """Return the program as a function of NumPy and the library."""
        names = dict(MODULES)
        exec(compile(self.source(), "<program>", "exec"), names)
        return names["program"]

    def at(self, which: int) -> list[Any]:
        """Return the arguments of a point as arrays and numbers, new ones each time."""
        pairs = zip(self.arguments, self.points[which], strict=True)
        return [_argument(x, name in self.single) for name, x in pairs]

    def regression_test(self, name: str) -> str:
        """Return a test that fails as long as the library is wrong about this program."""
        singles = [name in self.single for name in self.arguments]
        points = ",\n        ".join(f"[{', '.join(map(_shown, point, singles))}]" for point in self.points)
        body = textwrap.indent(self.source(), "    ")
        return f"def test_{name}():\n{body}\n    check_program(\n        program,\n        {points},\n    )\n"

    def __repr__(self) -> str:
        return f"{self.source()}at {self.points}"


def _shown(x: Any, single: bool) -> str:
    text = re.sub(r"\b(nan|inf)\b", r"np.\1", str(x))
    if isinstance(x, list):
        return f"np.array({text}{', np.float32' if single else ''})"
    return f"np.{type(x).__name__}{32 if single else 64}({text})"


def _entries(d: Draw, shape: tuple[int, ...]) -> Any:
    """Return thousandths between -2 and 2, away from 0 and of no pattern, all decided by one draw."""
    rng = np.random.default_rng(d.below(10_000))
    return (np.round(rng.uniform(-1.9, 1.9, shape), 3) + 0.0003).round(4).tolist()


#: Numbers at which rules have their borders, and those that propagate.
_BORDERS, _NOT_FINITE = (0.0, 1.0, -1.0, -0.0, 0.5, 2.0), (math.nan, math.inf, -math.inf)


def _entries_at_borders(d: Draw, shape: tuple[int, ...]) -> Any:
    """Return entries many of which are equal, zero or not finite."""
    rng = np.random.default_rng(d.below(10_000))
    chosen = rng.choice([*_BORDERS, *(_NOT_FINITE if d.happens(1, 4) else ())], shape)
    return np.where(rng.random(shape) < 0.2, rng.uniform(-1.9, 1.9, shape).round(4), chosen).tolist()


def _whole(d: Draw, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(d.below(10_000)).integers(-2, 3, shape).tolist()


def _argument(stored: Any, single: bool) -> Any:
    """Return a new array, or a number of NumPy, of a stored argument."""
    array = np.array(stored, np.float32 if single else None)
    return array if isinstance(stored, list) else array[()]


def _built(d: Draw) -> Program:
    """Return a program that runs at its first point with finite, moderate values."""
    names: tuple[str, ...] = ("x", "y", "z")[: 1 + d.below(3)]
    large, few_digits = d.happens(1, 10), d.happens(1, 8)
    shapes = [d.one_of(LARGE_SHAPES if large else SHAPES) for _ in names]
    single = tuple(name for name in names if few_digits and d.happens(2, 3))
    points = [[_entries(d, shape) for shape in shapes] for _ in range(N_POINTS)]
    if d.happens(1, 4):
        points[-1] = [_entries_at_borders(d, shape) for shape in shapes]
    if d.happens(1, 6):
        # Whole numbers, which are not differentiated.
        names, shape = (*names, "k"), SHAPES[d.below(3)]
        for point in points:
            point.append(_whole(d, shape))
    arguments = {name: _argument(x, name in single) for name, x in zip(names, points[0], strict=True)}
    scope = Scope(arguments, largest=LARGEST_SIZE_OF_SOME if large else LARGEST_SIZE)
    for _ in range(1 + d.below(LONGEST)):
        statement(d, scope)
    return Program(names, (*scope.lines, f"return {_returned(d, scope)}"), tuple(map(tuple, points)), single)


def _returned(d: Draw, scope: Scope) -> str:
    """Return the names that nothing reads, so that every line counts; a float among them."""
    text = "\n".join(scope.lines)
    unread = [n for n in scope.names(kind="fib") if len(re.findall(rf"\b{n}\b", text)) == 1]
    floats = scope.names()
    wanted = unread[:3] if set(unread[:3]) & set(floats) else [floats[0], *unread[:2]]
    return ", ".join(wanted)


@functools.cache
def _integers_below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


@st.composite
def programs(draw: Any) -> Program:
    """Hypothesis strategy for programs."""
    return _built(Draw(lambda count: draw(_integers_below(count))))


def random_program(seed: int) -> Program:
    """Return the program of a seed: ten times as fast as the strategy, for long runs."""
    return _built(Draw(random.Random(seed).randrange))
