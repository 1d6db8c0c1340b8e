"""The C source of a Function: one C function for it, and one for each Function that it calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import casadi as cs
import numpy.typing as npt

from archimedes_grad.engines.native.c_function import CFunction, Compiled, Shared
from archimedes_grad.engines.native.tape import read


@dataclass(frozen=True)
class Entry:
    """A C function: its name, and how many numbers of working memory it needs."""

    name: str
    work: int


@dataclass(frozen=True)
class Source:
    """What is compiled.

    Attributes
    ----------
    text
        The C functions.
    entries
        Those that stand for the Functions asked for, in their order.
    data
        Arrays that the functions read: constants, and places as int64.
    kernels
        The names of the routines compiled once for a machine that are called.
    """

    text: str
    entries: tuple[Entry, ...]
    data: tuple[npt.NDArray[Any], ...]
    kernels: frozenset[str]


def source_of(*functions: cs.Function) -> Source:
    """Return the C source of Functions.

    Raises
    ------
    UnsupportedError
        If they hold something that is not compiled.
    """
    program = _Program()
    made = [program.compiled(function) for function in functions]
    entries = tuple(Entry(entry.name, entry.work) for entry in made)
    shared = program.shared
    return Source("\n".join(program.texts), entries, tuple(shared.data), frozenset(shared.kernels))


@dataclass
class _Program:
    texts: list[str] = field(default_factory=list)
    shared: Shared = field(default_factory=Shared)
    _functions: dict[int, Compiled] = field(default_factory=dict)
    _alive: list[cs.Function] = field(default_factory=list)

    def compiled(self, function: cs.Function) -> Compiled:
        """Return the C function of a Function, written when it is first met."""
        key = function.__hash__()
        if key not in self._functions:
            # The key is an address: it must stay taken.
            self._alive.append(function)
            form = read(function, self.compiled)
            written = CFunction(self.shared, f"function_{len(self._functions)}", form)
            self.texts.append(written.text())
            self._functions[key] = written.compiled
        return self._functions[key]
