"""Where the values of a C function live: in variables, arguments, outputs, or working memory that is used again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from archimedes_grad.engines.native.assemblies import are_disjoint, pieces
from archimedes_grad.engines.native.blocking import Plan, Region
from archimedes_grad.engines.native.schedule import Schedule
from archimedes_grad.engines.native.values import Assembly, Data, Input, Product, Result, Value
from archimedes_grad.nodes.strided import Geometry


class Memory:
    """Gives every stored value a name: a variable, an argument, an output, or a stretch of working memory.

    Parameters
    ----------
    outputs
        The value of each output; None where nothing is written.
    data_number
        Returns the number of a constant array among the data.

    Attributes
    ----------
    names
        How a value is written in C: the number itself, or what is indexed.
    pointers
        Where what is indexed begins.
    variables
        The names of single numbers.
    work
        How many numbers of working memory are needed.
    in_place
        Values that are computed right where an assembly has them.
    """

    def __init__(
        self, schedule: Schedule, plan: Plan, outputs: Sequence[Value | None], data_number: Callable[[Data], int]
    ) -> None:
        self.names: dict[Value, str] = {}
        self.pointers: dict[Value, str] = {}
        self.variables: list[str] = []
        hosts = _hosts(schedule)
        self.in_place = {guest for guests in hosts.values() for guest in guests}
        working = self._outside_of_working_memory(schedule, outputs, data_number)
        self.work = self._place_in_working_memory(working, hosts, schedule, plan)
        for host, guests in hosts.items():
            for guest, offset in guests.items():
                self._name(guest, self.address(host, offset))

    def _outside_of_working_memory(
        self, schedule: Schedule, outputs: Sequence[Value | None], data_number: Callable[[Data], int]
    ) -> list[Value]:
        """Name what is an argument, a constant, a single number or an output; return the other values."""
        places = {output: number for number, output in enumerate(outputs) if output is not None}
        others = []
        for value in schedule.order:
            if value not in schedule.stored:
                continue
            if isinstance(value, Input):
                self._name(value, f"arg[{value.number}]")
            elif isinstance(value, Data):
                self._name(value, f"data[{data_number(value)}]")
            elif value.size == 1:
                self.names[value] = f"s{value.serial}"
                self.variables.append(f"s{value.serial}")
            elif value in places:
                self._name(value, f"res[{places[value]}]")
            elif value not in self.in_place:
                others.append(value)
        return others

    def _place_in_working_memory(
        self, values: Sequence[Value], hosts: Mapping[Value, Mapping[Value, int]], schedule: Schedule, plan: Plan
    ) -> int:
        """Give each value a stretch from the step that writes it to the last that reads it; return the size in all."""
        last_use: dict[Value, int] = {}
        for reader, read_values in schedule.reads_of.items():
            for value in read_values:
                last_use[value] = max(last_use.get(value, 0), plan.step_of[reader])
        by_step: dict[int, list[Value]] = {}
        for value in values:
            # A host is written to from its first guest on.
            writers = [value, *hosts.get(value, ())]
            by_step.setdefault(min(plan.step_of[writer] for writer in writers), []).append(value)
        free = _Stretches()
        ending: dict[int, list[tuple[int, int]]] = {}
        for number, step in enumerate(plan.steps):
            sizes = {
                value: step.stored_size(value) if isinstance(step, Region) else value.size
                for value in by_step.get(number, [])
            }
            for value, size in sizes.items():
                start = free.taken(size)
                self._name(value, f"w + {start}")
                ending.setdefault(last_use.get(value, number), []).append((start, size))
            for start, size in ending.get(number, []):
                free.give_back(start, size)
        return free.size

    def _name(self, value: Value, pointer: str) -> None:
        self.pointers[value] = pointer
        self.names[value] = f"{pointer}[0]" if value.size == 1 else f"v{value.serial}"

    def address(self, value: Value, offset: int = 0) -> str:
        """Return where a value begins, or an entry of it."""
        if value not in self.pointers:
            return f"&{self.names[value]}"
        return f"{self.pointers[value]} + {offset}" if offset else self.pointers[value]


def _hosts(schedule: Schedule) -> dict[Value, dict[Value, int]]:
    """Return which products and results of calls are computed right where an assembly has them, and how far in."""
    readers: dict[Value, int] = {}
    for read_values in schedule.reads_of.values():
        for value in read_values:
            readers[value] = readers.get(value, 0) + 1
    hosts: dict[Value, dict[Value, int]] = {}
    for value in schedule.order:
        if not isinstance(value, Assembly) or not are_disjoint(value) or value.size == 1:
            continue
        guests: dict[Value, int] = {}
        for piece in pieces(value):
            (term, shift), *others = piece.terms
            whole = isinstance(piece.target, Geometry) and piece.target.size == term.size and shift == 0
            own = isinstance(term, Product | Result) and readers.get(term) == 1 and term not in schedule.outputs
            if whole and own and not others and term.size > 1 and isinstance(piece.target, Geometry):
                guests[term] = piece.target.offset
        if guests:
            hosts[value] = guests
    return hosts


class _Stretches:
    """Stretches of working memory, given out and taken back."""

    def __init__(self) -> None:
        self.size = 0
        self.free: list[tuple[int, int]] = []

    def taken(self, size: int) -> int:
        """Return where a free stretch of at least that size begins."""
        size = -(-size // 8) * 8
        fitting = [(length, start) for start, length in self.free if length >= size]
        if fitting:
            length, start = min(fitting)
            self.free.remove((start, length))
            if length > size:
                self.free.append((start + size, length - size))
            return start
        start = self.size
        self.size += size
        return start

    def give_back(self, start: int, size: int) -> None:
        """Take a stretch back, joined with free neighbours."""
        end = start + -(-size // 8) * 8
        for low, length in list(self.free):
            if low + length == start or low == end:
                self.free.remove((low, length))
                start, end = min(start, low), max(end, low + length)
        self.free.append((start, end - start))
