"""Loop nests: the C statements of values that are computed in the same loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from archimedes_grad.engines.native.indices import Index, NotAffineError, SplitError, follow, in_order, split, spread
from archimedes_grad.engines.native.operations import OPERATIONS, literal
from archimedes_grad.engines.native.values import Elementwise, Fill, Gather, Pick, Reduction, Value, View

Loops = tuple[int, ...]

#: In a loop of so few turns those behind the last whole vector count.
_SHORT = 64
#: Longer loops reduce in stretches of so many turns, whose sums are added in pairs: rounding errors hardly grow with
#: the number of turns.
_STRETCH = 1024
#: A turn of this weight calls a function that the C library has a vector form of.
_CALLS_FUNCTION = 20


class MustStoreError(Exception):
    """A view cannot be followed inside the loops at hand: it has to be stored first."""

    def __init__(self, value: Value) -> None:
        self.value = value


def body(
    value: Value, index: Index, loops: Loops, is_stored: Callable[[Value], bool],
    known: Container[tuple[int, Index]] = (),
) -> list[tuple[Value, Index]]:  # fmt: skip
    """Return every value and index that computing an entry meets, operands before what uses them.

    Stored values are met, but not what they are computed from; what is known (by serial and index) is not met again.

    Raises
    ------
    SplitError, MustStoreError
        If the loops must be split first; if a value has to be stored first.
    """
    met: dict[tuple[int, Index], tuple[Value, Index]] = {}
    waiting = [(value, index, False)]
    while waiting:
        current, place, is_ready = waiting.pop()
        key = (current.serial, place)
        if key in met or key in known:
            continue
        if is_ready:
            met[key] = (current, place)
            continue
        waiting.append((current, place, True))
        waiting.extend((*operand, False) for operand in reads(current, place, loops, is_stored))
    return list(met.values())


def reads(value: Value, index: Index, loops: Loops, is_stored: Callable[[Value], bool]) -> list[tuple[Value, Index]]:
    """Return the operands of a value's entry, each with its index."""
    nowhere = Index(0, (0,) * len(loops))
    if isinstance(value, Fill) or is_stored(value):
        return []
    if isinstance(value, View):
        try:
            return [(value.source, follow(value.geometry, index, loops))]
        except NotAffineError:
            raise MustStoreError(value) from None
    if isinstance(value, Elementwise):
        return [(operand, index if operand.size > 1 else nowhere) for operand in value.operands]
    if isinstance(value, Pick):
        return [(value.places, index)]
    return []


def fitting_loops(
    value: Value, loops: Loops, start: Callable[[Loops], Index], is_stored: Callable[[Value], bool]
) -> tuple[Loops, list[tuple[Value, Index]]]:
    """Return loops, split as far as a value's views need it, and the body for them."""
    while True:
        try:
            return loops, body(value, start(loops), loops, is_stored)
        except SplitError as error:
            loops = split(loops, error.loop, error.inner)


class _Accumulator(NamedTuple):
    """A variable, how it is reduced, and the expression of the term of a turn."""

    name: str
    kind: str
    term: str


@dataclass(frozen=True, eq=False, repr=False)
class Tile:
    """What a nest runs over of its outer loops: one turn of each but the last, and a block of that one.

    In C, the turns are ``i0``, ``i1`` and so on; the block begins at ``first``, and has ``count`` turns.

    Attributes
    ----------
    axes
        The lengths of the outer loops.
    block
        How many turns of the last one a block has at most.
    local
        Values that are stored for one block only.
    """

    axes: Loops
    block: int
    local: frozenset[Value]

    @property
    def count(self) -> str:
        """How many turns the block has, as C."""
        last, block = self.axes[-1], self.block
        return str(block) if last % block == 0 else f"first + {block} < {last} ? {block} : {last} - first"

    def place(self, steps: tuple[int, ...]) -> list[str]:
        """Return the terms of where a block begins, for a step of each outer loop."""
        turns = [*(f"i{k}" for k in range(len(self.axes) - 1)), "first"]
        return [turn if step == 1 else f"{step}*{turn}" for step, turn in zip(steps, turns, strict=False) if step]


@dataclass(eq=False, repr=False)
class Nest:
    """The statements of one loop nest, by how many loops have been entered.

    Attributes
    ----------
    tile
        What is run over of the outer loops; None for all of them.
    before, after
        For each depth, the statements before the next inner loop, and those after it.
    accumulators
        What the innermost loop reduces in variables, at the end of each turn.
    """

    loops: Loops
    names: Callable[[Value], str]
    is_stored: Callable[[Value], bool]
    places_of: Callable[[Gather], str]
    tile: Tile | None = None
    before: list[list[str]] = field(init=False)
    after: list[list[str]] = field(init=False)
    accumulators: list[_Accumulator] = field(default_factory=list)
    known: dict[tuple[int, Index], tuple[str, int]] = field(default_factory=dict)
    used: set[Value] = field(default_factory=set)
    sums: int = 0
    may_vectorise: bool = True
    weight: int = 0

    def __post_init__(self) -> None:
        self.before = [[] for _ in range(len(self.loops) + 1)]
        self.after = [[] for _ in range(len(self.loops) + 1)]

    def entry(self, value: Value, index: Index) -> tuple[str, int]:
        """Return the C expression of an entry, and the depth at which it is known."""
        for current, place in body(value, index, self.loops, self.is_stored, self.known):
            self.known[current.serial, place] = self._computed(current, place)
        return self.known[value.serial, index]

    def _computed(self, value: Value, index: Index) -> tuple[str, int]:
        if isinstance(value, Fill):
            return literal(value.number), 0
        if self.is_stored(value):
            self.used.add(value)
            if value.size == 1:
                return self.names(value), 0
            return self._temporary(f"{self.names(value)}[{self.place(index, value)}]", index.depth)
        operands = [
            self.known[operand.serial, place] for operand, place in reads(value, index, self.loops, self.is_stored)
        ]
        if isinstance(value, View):
            return operands[0]
        depth = max((operand[1] for operand in operands), default=0)
        if isinstance(value, Elementwise):
            operation = OPERATIONS[value.operation]
            self.weight += operation.cost
            return self._temporary(operation.c.format(*(operand[0] for operand in operands)), depth)
        if isinstance(value, Pick):
            self.used.add(value.source)
            place = operands[0][0]
            source = self.names(value.source)
            return self._temporary(f"picked({source}, {place}, {value.source.size})", depth)
        assert isinstance(value, Gather)
        self.used.add(value.source)
        place = f"{self.places_of(value)}[{self.place(index)}]"
        source = self.names(value.source)
        if value.source.size == 1:
            taken = f"({place} < 0 ? 0.0 : {source})"
        elif int(value.places.min()) < 0:
            taken = f"({place} < 0 ? 0.0 : {source}[{place}])"
        else:
            taken = f"{source}[{place}]"
        return self._temporary(taken, index.depth)

    def _temporary(self, expression: str, depth: int) -> tuple[str, int]:
        name = f"t{len(self.known)}"
        self.before[depth].append(f"const double {name} = {expression};")
        return name, depth

    # --- what is done with entries --------------------------------------------------------------

    @property
    def outer(self) -> int:
        """How many loops have one turn only: the outer ones of a tile."""
        return 0 if self.tile is None else len(self.tile.axes) - 1

    def place(self, index: Index, value: Value | None = None) -> str:
        """Return an index as C, for a value that may be stored for one block only."""
        if self.tile is None:
            return position(index)
        inside = Index(index.offset, (*(0 for _ in range(self.outer)), *index.steps[self.outer :]))
        begin = [] if value in self.tile.local else self.tile.place(index.steps[: self.outer + 1])
        rest = [position(inside)] if inside.offset or any(inside.steps) or not begin else []
        return " + ".join([*begin, *rest])

    def store(self, value: Value, index: Index, into: Value, operator: str = "=") -> None:
        """Compute an entry in the innermost loop and store it at the same place of a value."""
        expression, _ = self.entry(value, index)
        self.before[-1].append(f"{self.names(into)}[{self.place(index, into)}] {operator} {expression};")

    def assign(self, value: Value, index: Index, target: str) -> None:
        """Compute the entry that a single number is, and give it to a variable."""
        expression, depth = self.entry(value, index)
        self.before[depth].append(f"{target} = {expression};")

    def reduce(self, reduction: Reduction) -> None:
        """Reduce a value: into a variable of its own where the inner loops are those reduced, else in memory.

        What is reduced over the outer loops of a tile has been set to its start before.
        """
        expression, _ = self.entry(reduction.source, in_order(self.loops))
        is_kept = spread(reduction.kept, reduction.shape, self.loops)
        steps = target_steps(self.loops, is_kept)
        outer = self.outer
        kept_depth = max((k + 1 for k, kept in enumerate(is_kept) if kept and k >= outer), default=outer)
        adds = self.tile is not None and not all(is_kept[: outer + 1])
        name = self.names(reduction)
        target = f"{name}[{self.place(Index(0, steps), reduction)}]" if reduction.size > 1 else name
        start, update = _REDUCTIONS[reduction.kind]
        if all(is_kept[outer:kept_depth]):
            name = f"sum{self.sums}"
            self.sums += 1
            self.before[kept_depth].insert(0, f"double {name} = {start};")
            if kept_depth < len(self.loops):
                self.accumulators.append(_Accumulator(name, reduction.kind, expression))
            else:
                self.before[-1].append(update.format(name, expression))
            self.after[kept_depth].append(update.format(target, name) if adds else f"{target} = {name};")
            return
        if self.tile is None:
            self.before[0].insert(0, started(reduction, name))
        elif not adds:
            entries = reduction.size // math.prod(self.tile.axes)
            begin = self.place(Index(0, (*steps[: outer + 1], *(0 for _ in steps[outer + 1 :]))), reduction)
            self.before[outer + 1].insert(0, f"for (long i = 0; i < {entries}; ++i) {name}[{begin} + i] = {start};")
        self.before[-1].append(update.format(target, expression))
        # Neighbouring turns of a reduced inner loop would write to the same entry.
        self.may_vectorise = self.may_vectorise and is_kept[-1]

    def text(self) -> list[str]:
        """Return the C of the nest."""
        outer, last = self.outer, len(self.loops)
        lines = [line for depth in range(outer + 1) for line in self.before[depth]]
        for depth in range(outer + 1, last):
            bound = "count" if self.tile is not None and depth == outer + 1 else str(self.loops[depth - 1])
            indent = "    " * (depth - outer - 1)
            lines.append(f"{indent}{_loop(depth - 1, bound)} {{")
            lines += (f"{indent}    {line}" for line in self.before[depth])
        if last > outer:
            lines += ("    " * (last - outer - 1) + line for line in self._innermost())
        for depth in range(last - 1, outer, -1):
            indent = "    " * (depth - outer - 1)
            lines += (f"{indent}    {line}" for line in self.after[depth])
            lines.append(f"{indent}}}")
        return [*lines, *(line for depth in range(outer, -1, -1) for line in self.after[depth])]

    def _innermost(self) -> list[str]:
        """Return the innermost loop.

        A compiler computes what is left over behind the last whole vector by shorter vectors, but not in a loop with
        a reduction. Where that counts, terms are stored, and reduced in a loop of their own.
        """
        counter, length = len(self.loops) - 1, self.loops[-1]
        is_cut = self.tile is not None and self.outer == counter
        bound = "count" if is_cut else str(length)
        statements = [*self.before[-1]]
        updates = [(a, _REDUCTIONS[a.kind][1]) for a in self.accumulators]
        is_short = not is_cut and length < _SHORT and length % 8 and self.weight >= _CALLS_FUNCTION
        if not (updates and is_short and self.may_vectorise):
            most = min(length, self.tile.block) if self.tile is not None and is_cut else length
            if most > _STRETCH and any(a.kind == "sum" for a in self.accumulators):
                return self._in_stretches(counter, bound)
            statements += (update.format(a.name, a.term) for a, update in updates)
            return [*self._vectorised(), f"{_loop(counter, bound)} {{", *_indented([*statements, *self.after[-1]]), "}"]
        terms = [f"{a.name}_terms" for a, _ in updates]
        statements += (f"{name}[i{counter}] = {a.term};" for name, (a, _) in zip(terms, updates, strict=True))
        added = [update.format(a.name, f"{name}[i{counter}]") for name, (a, update) in zip(terms, updates, strict=True)]
        return [
            f"double {', '.join(f'{name}[{length}]' for name in terms)};",
            "VECTORISE(omp simd)", f"{_loop(counter, bound)} {{", *_indented([*statements, *self.after[-1]]), "}",
            *self._vectorised(), f"{_loop(counter, bound)} {{", *_indented(added), "}",
        ]  # fmt: skip

    def _in_stretches(self, counter: int, bound: str) -> list[str]:
        """Return the innermost loop in stretches, each of which is reduced by itself."""
        whole = self.accumulators
        self.accumulators = [a._replace(name=f"{a.name}_here") for a in whole]
        sums = [a.name for a in whole if a.kind == "sum"]
        levels = (self.loops[-1] // _STRETCH + 1).bit_length()
        starts = [f"double {a.name} = {_REDUCTIONS[a.kind][0]};" for a in self.accumulators]
        here = [_REDUCTIONS[a.kind][1].format(a.name, a.term) for a in self.accumulators]
        done = [
            f"add_in_pairs({a.name}_pairs, stretch / {_STRETCH}, {a.name}_here);" if a.kind == "sum"
            else _REDUCTIONS[a.kind][1].format(a.name, f"{a.name}_here")
            for a in whole
        ]  # fmt: skip
        return [
            *(f"double {name}_pairs[{levels}];" for name in sums),
            f"for (long stretch = 0; stretch < {bound}; stretch += {_STRETCH}) {{",
            f"    const long end = stretch + {_STRETCH} < {bound} ? stretch + {_STRETCH} : {bound};",
            *_indented([*starts, *self._vectorised()]),
            f"    for (long i{counter} = stretch; i{counter} < end; ++i{counter}) {{",
            *_indented(_indented([*self.before[-1], *here, *self.after[-1]])),
            "    }",
            *_indented(done),
            "}",
            *(f"{name} += sum_of_pairs({name}_pairs, ({bound} + {_STRETCH - 1}) / {_STRETCH});" for name in sums),
        ]

    def _vectorised(self) -> list[str]:
        """Return the pragma of the innermost loop."""
        if not self.may_vectorise or self.loops[-1] == 1:
            return []
        reductions = "".join(f" reduction({_SIMD[a.kind]}:{a.name})" for a in self.accumulators)
        return [f"VECTORISE(omp simd{reductions})"]


def _loop(number: int, bound: str) -> str:
    return f"for (long i{number} = 0; i{number} < {bound}; ++i{number})"


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


_REDUCTIONS = {
    "sum": ("0.0", "{0} += {1};"),
    "maximum": ("-INFINITY", "{0} = {1} > {0} ? {1} : {0};"),
    "minimum": ("INFINITY", "{0} = {1} < {0} ? {1} : {0};"),
}
_SIMD = {"sum": "+", "maximum": "max", "minimum": "min"}


def started(value: Value, target: str) -> str:
    """Return the statement that sets what adds up to its start."""
    start = _REDUCTIONS[value.kind][0] if isinstance(value, Reduction) else "0.0"
    if value.size == 1:
        return f"{target} = {start};"
    return f"for (long i = 0; i < {value.size}; ++i) {target}[i] = {start};"


def updated(reduction: Reduction, target: str, term: str) -> str:
    """Return the statement that takes a term into what is reduced."""
    return _REDUCTIONS[reduction.kind][1].format(target, term)


def position(index: Index) -> str:
    """Return an index as C."""
    terms = [f"i{k}" if step == 1 else f"{step}*i{k}" for k, step in enumerate(index.steps) if step]
    if index.offset or not terms:
        terms.append(str(index.offset))
    return " + ".join(terms)


def target_steps(loops: Loops, kept: Iterable[bool]) -> tuple[int, ...]:
    """Return the steps through what a reduction leaves."""
    steps, step = [], 1
    for length, keep in reversed(list(zip(loops, kept, strict=True))):
        steps.append(step if keep else 0)
        step *= length if keep else 1
    return tuple(reversed(steps))
