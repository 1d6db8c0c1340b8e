"""Blocks of rows: groups of a schedule that run one after the other for a block of their outer loops.

A nest that fills a large array and a product that reads it each go through memory. Where both run over the same outer
loops (over items of a batch, rows of a table), and what one computes in a turn of them is all that the other reads
there, both are run for a block of turns that fits the cache, before the next block; an array that nobody else reads is
stored for one block only. What sums over the outer loops adds up from block to block. The order of the blocks is
fixed, and with it the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from archimedes_grad.engines.native.indices import Index, c_strides, in_order, refined, spread
from archimedes_grad.engines.native.nests import Loops, Tile, fitting_loops
from archimedes_grad.engines.native.schedule import Group, Matrix, Schedule, matrices_in_memory, root_of
from archimedes_grad.engines.native.values import Fill, Gather, Pick, Product, Reduction, Value

#: What a block computes should fit in so many numbers, a quarter of a usual second-level cache: there is
#: also what is read, and what adds up.
_MOST_IN_BLOCK = 32_768
#: A block of fewer numbers is not worth its loops.
_FEWEST_IN_BLOCK = 2_048
#: Groups that run over fewer entries stay in the cache without blocks.
_SMALL = 16_384


class Split(NamedTuple):
    """How a product is cut along the outer loops.

    Attributes
    ----------
    batch
        How many of the outer loops run over the batch.
    each
        For each turn of all outer loops: so many columns of the result, or so many terms of its sums.
    sums
        Whether the loops behind those of the batch run over the terms of sums, and not over columns.
    """

    batch: int
    each: int
    sums: bool


@dataclass(eq=False, repr=False)
class _Uses:
    """What a group reads and writes for one turn of outer loops.

    Attributes
    ----------
    reads
        What it reads, and whether that is nothing but the same turn's entries.
    entries, sums
        What it writes entry by entry, and what adds up over the loops.
    """

    loops: Loops = ()
    reads: dict[Value, bool] = field(default_factory=dict)
    entries: list[Value] = field(default_factory=list)
    sums: list[Value] = field(default_factory=list)
    split: Split | None = None

    def read(self, value: Value, is_own: bool) -> None:
        self.reads[value] = self.reads.get(value, True) and is_own


@dataclass(eq=False, repr=False)
class Region:
    """Groups that run together for blocks of the same outer loops.

    Attributes
    ----------
    groups
        In their order; the loops of nests begin with the outer ones.
    sums
        What has to be set to its start before the blocks.
    splits
        How each product is cut.
    """

    tile: Tile
    groups: list[Group]
    sums: list[Value]
    splits: dict[Value, Split]

    def stored_size(self, value: Value) -> int:
        """Return how many numbers of a value are stored."""
        if value not in self.tile.local:
            return value.size
        return value.size // math.prod(self.tile.axes) * self.tile.block


class Plan:
    """The steps of a function: groups, and regions of them.

    Attributes
    ----------
    steps
        In the order of evaluation.
    step_of
        Which of them computes a value.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        # With what only its own nest uses, which is no member any more.
        self._reads: list[set[Value]] = [set() for _ in schedule.groups]
        for value, read in schedule.reads_of.items():
            self._reads[schedule.group_of[value]] |= read
        self.steps: list[Group | Region] = []
        step_of_group: list[int] = [0] * len(schedule.groups)
        for item in self._items():
            regions = [(self._region(item), item.numbers)] if item.is_worth_it else []
            for step, numbers in regions or zip(item.groups, ([number] for number in item.numbers), strict=True):
                for number in numbers:
                    step_of_group[number] = len(self.steps)
                self.steps.append(step)
        self.step_of = {value: step_of_group[number] for value, number in schedule.group_of.items()}

    def _items(self) -> list[_Item]:
        """Put each group to the last of those whose results it reads, where both can run over the same outer loops."""
        items: list[_Item] = []
        item_of: dict[int, int] = {}
        group_of = self._schedule.group_of
        for number, group in enumerate(self._schedule.groups):
            before = {group_of[value] for value in self._reads[number] if value in group_of} - {number}
            read = sorted({item_of[other] for other in before}, reverse=True)
            place, joined = len(items), None
            if read and _size(group) >= _SMALL:
                place, joined = self._placed(items, read, group, number)
            if joined is None:
                place = len(items)
                items.append(_Item([group], [number], after=read[0] if read else -1))
            else:
                items[place] = joined
            item_of |= dict.fromkeys(items[place].numbers, place)
        return items

    def _placed(
        self, items: list[_Item], read: list[int], group: Group, number: int
    ) -> tuple[int, _Item | None]:
        """Return where a group that reads some items can go, and the item that it is part of there."""
        latest = items[read[0]]
        joined = self._joined(latest, [*latest.groups, group], [*latest.numbers, number])
        if joined is not None or len(read) == 1 or len(latest.groups) > 1 or latest.after > read[1]:
            return read[0], joined
        # What is read last was computed for this group alone, it may be: both go to what was read before it.
        earlier = items[read[1]]
        numbers = [*earlier.numbers, *latest.numbers, number]
        joined = self._joined(earlier, [*earlier.groups, *latest.groups, group], numbers)
        if joined is not None:
            items[read[0]] = _Item([], [])
        return read[1], joined

    def _joined(self, item: _Item, groups: list[Group], numbers: list[int]) -> _Item | None:
        """Return an item of groups with the longest outer loops that all of them have; None if there are none."""
        for axes in _outer_loops(item, groups[-1]):
            together = self._together(_Item(groups, numbers, axes))
            if together is not None and together.has_blocks:
                return together
        return None

    def _together(self, item: _Item) -> _Item | None:
        written: set[Value] = set()
        for group in item.groups:
            fitting = [
                uses
                for uses in self._uses(group, item.axes)
                if all(is_own or value not in written for value, is_own in uses.reads.items())
                and not any(value in uses.reads for value in item.sums)
            ]
            if not fitting:
                return None
            uses = fitting[0]
            item.uses.append(uses)
            item.sums += uses.sums
            written.update(uses.entries)
        item.entries = sum(value.size for value in written) // math.prod(item.axes)
        return item

    def _uses(self, group: Group, axes: Loops) -> Iterator[_Uses]:
        """Return in which ways a group can run over outer loops."""
        if group.loops is not None:
            uses = self._uses_of_nest(group, group.loops, axes)
            if uses is not None:
                yield uses
        elif len(group.members) == 1 and isinstance(group.members[0], Product):
            yield from _uses_of_product(group.members[0], axes)

    def _uses_of_nest(self, group: Group, loops: Loops, axes: Loops) -> _Uses | None:
        inner, left = divmod(math.prod(loops), math.prod(axes))
        fitting = None if left else refined(loops, (*axes, inner))
        if fitting is None or fitting[: len(axes)] != axes:
            return None
        uses = _Uses(fitting)
        for member in group.members:
            is_other = self._schedule.is_other(member)
            found, met = fitting_loops(root_of(member)[0], fitting, in_order, is_other)
            if found != fitting:
                return None
            for value, index in met:
                if isinstance(value, Gather | Pick) and not is_other(value):
                    uses.read(value.source, False)
                elif is_other(value):
                    uses.read(value, _is_own_turn(value, index, fitting, axes))
            if isinstance(member, Reduction) and not all(spread(member.kept, member.shape, fitting)[: len(axes)]):
                uses.sums.append(member)
            elif member.size % math.prod(axes):
                return None
            else:
                uses.entries.append(member)
        return uses

    def _region(self, item: _Item) -> Region:
        read_outside = {
            value for number, read in enumerate(self._reads) if number not in item.numbers for value in read
        }
        entries = [value for uses in item.uses for value in uses.entries]
        local = frozenset(v for v in entries if v not in read_outside and v not in self._schedule.outputs)
        splits = {
            group.members[0]: uses.split
            for group, uses in zip(item.groups, item.uses, strict=True)
            if uses.split is not None
        }
        groups = [
            group if group.loops is None else Group(uses.loops, group.members)
            for group, uses in zip(item.groups, item.uses, strict=True)
        ]
        return Region(Tile(item.axes, item.block, local), groups, item.sums, splits)


@dataclass(eq=False, repr=False)
class _Item:
    """Groups that are to run together over outer loops.

    Attributes
    ----------
    numbers
        Their places in the schedule.
    after
        The last item that a single group reads; -1 for none.
    entries
        How many numbers a turn of the outer loops writes.
    """

    groups: list[Group]
    numbers: list[int]
    axes: Loops = ()
    after: int = -1
    uses: list[_Uses] = field(default_factory=list)
    sums: list[Value] = field(default_factory=list)
    entries: int = 0

    @property
    def has_blocks(self) -> bool:
        return 0 < self.entries <= _MOST_IN_BLOCK and self.axes[-1] * self.entries >= _FEWEST_IN_BLOCK

    @property
    def is_worth_it(self) -> bool:
        return len(self.groups) > 1 and math.prod(self.axes) * self.entries >= _SMALL

    @property
    def block(self) -> int:
        """How many turns of the last outer loop a block is: blocks of about the same length, of whole cache lines."""
        length = self.axes[-1]
        blocks = -(-length // max(8, _MOST_IN_BLOCK // self.entries))
        return min(length, -(-length // blocks // 8) * 8)


def _size(group: Group) -> int:
    if group.loops is not None:
        return math.prod(group.loops)
    value = group.members[0]
    return value.count * value.inner * max(value.rows, value.columns) if isinstance(value, Product) else 0


def _outer_loops(item: _Item, group: Group) -> Iterator[Loops]:
    """Return the outer loops that an item and a group may have in common, the longest first."""
    met: set[Loops] = set()
    own = [tuple(accumulate(item.axes, lambda a, b: a * b))] if item.axes else _cuts(item.groups[0])
    found = [loops for first in own for second in _cuts(group) for loops in _prefixes({*first, *second})]
    for loops in sorted(found, key=lambda loops: -math.prod(loops)):
        if loops not in met:
            met.add(loops)
            yield loops


def _cuts(group: Group) -> list[tuple[int, ...]]:
    """Return after how many turns each outer loop of a group ends; a product has columns, or terms of sums."""
    if group.loops is not None:
        return [tuple(accumulate(group.loops, lambda a, b: a * b))]
    value = group.members[0]
    if not isinstance(value, Product):
        return []
    return [(value.count, value.count * length) for length in (value.columns, value.inner)]


def _prefixes(cuts: set[int]) -> Iterator[Loops]:
    loops: list[int] = []
    before = 1
    for cut in sorted(cuts - {1}):
        if cut % before:
            return
        loops.append(cut // before)
        before = cut
        yield tuple(loops)


def _is_own_turn(value: Value, index: Index, loops: Loops, axes: Loops) -> bool:
    """Tell whether an index stays, in each turn of the outer loops, in that turn's entries of a value."""
    rest, left = divmod(value.size, math.prod(axes))
    depth = len(axes)
    if left or index.steps[:depth] != c_strides((*axes, rest))[:depth]:
        return False
    reach = [step * (length - 1) for step, length in zip(index.steps[depth:], loops[depth:], strict=True)]
    return index.offset + sum(r for r in reach if r < 0) >= 0 and index.offset + sum(r for r in reach if r > 0) < rest


def _uses_of_product(product: Product, axes: Loops) -> Iterator[_Uses]:
    batch = next((k for k in range(len(axes) + 1) if math.prod(axes[:k]) == product.count), None)
    starts_at_zero = isinstance(product.base, Fill) and product.base.number == 0.0
    if batch is None or not starts_at_zero:
        return
    turns = math.prod(axes[batch:])
    left, right = matrices_in_memory(product)
    for sums, length in ((False, product.columns), (True, product.inner)):
        if length % turns or (sums and turns == 1):
            continue
        uses = _Uses(split=Split(batch, length // turns, sums))
        # Of the left matrix, columns are terms; of the right one, rows are.
        for matrix, rows, columns, is_cut in (
            (left, product.rows, product.inner, sums),
            (right, product.inner, product.columns, True),
        ):
            by_columns = matrix.transposed == (matrix is right and sums)
            uses.read(
                matrix.source,
                _is_own_turn_of_matrix(matrix, rows, columns, math.prod(axes), turns)
                if turns == 1 or (is_cut and by_columns)
                else False,
            )
        (uses.sums if sums else uses.entries).append(product)
        yield uses


def _is_own_turn_of_matrix(matrix: Matrix, rows: int, columns: int, all_turns: int, turns: int) -> bool:
    """Tell whether the stored columns of matrices that belong to a turn are in that turn's entries of their source."""
    if matrix.transposed:
        rows, columns = columns, rows
    rest, left = divmod(matrix.source.size, all_turns)
    own = columns // turns
    follows = turns == 1 or matrix.leading * own == rest
    in_batch = all_turns == turns or matrix.step == turns * rest
    return not left and follows and in_batch and matrix.offset + (own - 1) * matrix.leading + rows <= rest
