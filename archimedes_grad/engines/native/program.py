"""The C source of a Function: one C function for it, and one for each Function that it calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import casadi as cs
import numpy.typing as npt

from archimedes_grad.engines.native.c_function import Callee, CFunction, Shared
from archimedes_grad.engines.native.tape import read


class Entry(NamedTuple):
    """A C function: its name, and how many numbers of working memory it needs."""

    name: str
    work: int


class Source(NamedTuple):
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


def source_of(*functions: cs.Function, in_parts: bool = False) -> Source:
    """Return the C source of Functions.

    Parameters
    ----------
    in_parts
        Write large loops in parts, for several threads.

    Raises
    ------
    UnsupportedError
        If they hold something that is not compiled.
    """
    program = _Program(Shared(in_parts))
    entries = [program.callee(function) for function in functions]
    for entry in entries:
        entry.needed.update(range(len(entry.form.outputs)))
    # Who calls says what is needed of what is called; what is called says how much working memory it needs.
    made = [
        CFunction(program.shared, callee)
        for callee in reversed(program.callees)
        if callee.needed or callee in entries
    ]
    texts = [function.text() for function in reversed(made)]
    shared = program.shared
    written = tuple(Entry(entry.name, entry.work) for entry in entries)
    return Source("\n".join(texts), written, tuple(shared.data), frozenset(shared.kernels))


@dataclass(eq=False, repr=False)
class _Program:
    """What is called, before who calls it."""

    shared: Shared
    callees: list[Callee] = field(default_factory=list)
    _known: dict[int, Callee] = field(default_factory=dict)
    _alive: list[cs.Function] = field(default_factory=list)

    def callee(self, function: cs.Function) -> Callee:
        """Return what a Function is to who calls it; it is read when it is first met."""
        key = function.__hash__()
        if key not in self._known:
            # The key is an address: it must stay taken.
            self._alive.append(function)
            form = read(function, self.callee)
            self._known[key] = Callee(f"function_{len(self.callees)}", form)
            self.callees.append(self._known[key])
        return self._known[key]
