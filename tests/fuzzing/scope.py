"""What a program under construction knows: its lines so far, and the values that they gave."""

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .plain_transforms import PLAIN_ARC
from .reference import EXTENDED_NUMPY, EXTENDED_SPECIAL, Effort

#: Programs stay tame: so many axes, no larger number; and small, so many entries but in a few.
LARGEST_NDIM, LARGEST_NUMBER = 3, 50.0
LARGEST_SIZE, LARGEST_SIZE_OF_SOME = 24, 400

#: Evaluations that the reference may take for a statement at one point.
EFFORT_OF_STATEMENT = 3_000

#: Constants of programs.
NUMBERS = ("2", "0.5", "3", "1.5", "-1", "0.25", "-0.7", "1", "0")


class Draw:
    """Choices in the words that programs need; the first of several is the simplest.

    Parameters
    ----------
    below
        Gives an integer from 0 to less than its argument: hypothesis's choice, or that of a random generator.
    """

    def __init__(self, below: Callable[[int], int]) -> None:
        self._below = below

    def below(self, count: int) -> int:
        """Return an integer from 0 to count - 1."""
        return self._below(count) if count > 1 else 0

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Return one of several."""
        return choices[self.below(len(choices))]

    def happens(self, times: int, out_of: int) -> bool:
        """Return True so many times out of so many."""
        return self.below(out_of) >= out_of - times

    def number(self) -> str:
        """Return the text of a constant."""
        return self.one_of(NUMBERS)


class Scope:
    """The names of one function body and their values at the point that the program is built at.

    Parameters
    ----------
    arguments
        The names that the body is called with, and their values.
    outer
        What the body sees besides: it reads these and does not write to them.
    branches
        Whether Python may decide on values here: not in bodies that are traced without values.
    depth
        How many functions lie around this body.
    largest
        The most entries that an array has.
    """

    def __init__(self, arguments: dict[str, Any], outer: dict[str, Any] | None = None, branches: bool = True,
                 depth: int = 0, counter: list[int] | None = None, largest: int = LARGEST_SIZE) -> None:  # fmt: skip
        self.arguments = arguments
        self.largest = largest
        self.outer = outer or {}
        self.branches = branches
        self.depth = depth
        self.lines: list[str] = []
        self.counter = counter if counter is not None else [0]
        self._run_again()

    def inside(self, arguments: dict[str, Any], branches: bool) -> "Scope":
        """Return the scope of a function defined here."""
        outer = {**self.outer, **self.values}
        return Scope(arguments, outer, branches, self.depth + 1, self.counter, self.largest)

    def _run_again(self) -> None:
        self.values: dict[str, Any] = {}
        own = {name: np.array(x) if isinstance(x, np.ndarray) else x for name, x in self.arguments.items()}
        self._globals = {"np": EXTENDED_NUMPY, "special": EXTENDED_SPECIAL, "arc": PLAIN_ARC, **self.outer, **own}
        self.values = own
        for line in self.lines:
            self._run(line)

    def _run(self, text: str) -> None:
        Effort.begin(EFFORT_OF_STATEMENT)
        with np.errstate(all="ignore"):
            exec(_compiled(text), self._globals)
        for name in _names_assigned(text):
            if name in self._globals:
                self.values[name] = self._globals[name]

    def new_name(self) -> str:
        """Return a name that the program does not use yet."""
        self.counter[0] += 1
        return f"v{self.counter[0]}"

    def add(self, text: str) -> bool:
        """Append a statement of one or more lines if it runs and its values stay tame."""
        before = dict(self.values)
        try:
            self._run(text)
            fits = all(_is_tame(x, self.largest) for x in self.values.values())
        except Exception:
            fits = False
        if fits:
            self.lines.append(text)
        else:
            self.values = before
            self._run_again()
        return fits

    def value(self, expression: str) -> Any:
        """Return what an expression gives here, or None where it fails or is not tame."""
        Effort.begin(EFFORT_OF_STATEMENT)
        try:
            with np.errstate(all="ignore"):
                result = eval(_compiled(expression, "eval"), self._globals)
        except Exception:
            return None
        return result if _is_tame(result, self.largest) else None

    @contextmanager
    def branch(self) -> Iterator[list[str]]:
        """Collect the statements of a branch, and forget what they did."""
        before, collected = list(self.lines), []
        yield collected
        collected.extend(self.lines[len(before) :])
        self.lines = before
        self._run_again()

    # --- what there is to work on -------------------------------------------------------------------

    def seen(self) -> dict[str, Any]:
        """Every name that can be read, the newest first."""
        return {**dict(reversed(self.values.items())), **{k: v for k, v in self.outer.items() if k not in self.values}}

    def names(self, *, kind: str = "f", fits: Callable[[Any], bool] = lambda value: True) -> list[str]:
        """Return the names of values of some kinds of dtype for which something holds."""
        return [
            name for name, value in self.seen().items()
            if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in kind and fits(value)
        ]  # fmt: skip

    def pick(self, d: Draw, **wanted: Any) -> str | None:
        """Return one of the names that fit, new ones more often; None where there are none."""
        names = self.names(**wanted)
        if not names:
            return None
        return names[min(d.below(len(names)), d.below(len(names)))]

    def writable(self) -> list[str]:
        """Return the arrays that this body may write to."""
        # What an inner function is called with belongs to its caller, or is a copy of that while it is traced.
        others = [*self.outer.values(), *(self.values[name] for name in self.arguments if self.depth)]
        return [
            name for name, value in reversed(self.values.items())
            if isinstance(value, np.ndarray) and value.ndim and value.flags.writeable and value.dtype.kind == "f"
            and not any(np.may_share_memory(value, o) for o in others if isinstance(o, np.ndarray))
        ]  # fmt: skip


@functools.lru_cache(maxsize=20_000)
def _compiled(text: str, mode: str = "exec") -> Any:
    return compile(text, "<program>", mode)


@functools.lru_cache(maxsize=20_000)
def _names_assigned(text: str) -> tuple[str, ...]:
    return tuple(name for name in _compiled(text).co_names if name.startswith(("v", "x", "y", "z", "t", "c", "e")))


def _is_tame(value: Any, largest: int) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_tame(item, largest) for item in value)
    if isinstance(value, np.ndarray | np.generic):
        if value.size > largest or value.ndim > LARGEST_NDIM:
            return False
        return value.dtype.kind in "iub" or (
            value.dtype in (np.float64, np.float32) and bool(np.all(np.abs(value) <= LARGEST_NUMBER))
        )
    return callable(value) or (isinstance(value, bool | int | float) and operator.le(abs(value), LARGEST_NUMBER))
