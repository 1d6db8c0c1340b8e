"""Which values are stored, and which of them are computed in the same loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from archimedes_grad.engines.native.assemblies import join, pieces, term_index
from archimedes_grad.engines.native.indices import Index, in_order, refined, refined_strides
from archimedes_grad.engines.native.nests import Loops, MustStoreError, fitting_loops
from archimedes_grad.engines.native.operations import OPERATIONS
from archimedes_grad.engines.native.values import (
    Assembly,
    Call,
    Choice,
    Data,
    Elementwise,
    Fill,
    Gather,
    Input,
    Pick,
    Product,
    Reduction,
    Result,
    Solve,
    Value,
    View,
)  # fmt: skip

#: An expression that several loops need is stored, rather than computed again, from this cost on: a larger one that
#: goes through memory, a smaller one that stays in the first-level cache.
_STORED_FROM, _STORED_FROM_IF_SMALL = 12, 5
_SMALL = 2_048
#: Loops are split for company's sake only while the inner one stays this long.
_SHORTEST_INNER = 16
_HIGHEST_WEIGHT = 1000


@dataclass(eq=False, repr=False)
class Group:
    """Values that are computed together: in one loop nest, or one that is computed in its own way.

    Attributes
    ----------
    loops
        The loops of the nest; None for a value with a way of its own.
    """

    loops: Loops | None
    members: list[Value] = field(default_factory=list)


class Schedule:
    """What is stored, in which groups, in which order.

    Attributes
    ----------
    groups
        In the order of evaluation.
    stored
        Everything that has a name outside its nest.
    """

    def __init__(self, outputs: Sequence[Value]) -> None:
        self.outputs = tuple(outputs)
        join(_reachable(outputs), outputs)
        self.order = _reachable(outputs)
        self.users: dict[Value, list[Value]] = {value: [] for value in self.order}
        for value in self.order:
            for operand in dict.fromkeys(value.operands):
                self.users[operand].append(value)
        self._forced: set[Value] = set()
        while True:
            self.stored = self._chosen()
            try:
                self.groups = self._grouped()
            except MustStoreError as error:
                self._forced.add(error.value)
            else:
                break
        self._without_local_stores()

    def is_stored(self, value: Value) -> bool:
        """Tell whether a value is in memory, or in a variable of the function."""
        return value in self.stored

    # --- what is stored -------------------------------------------------------------------------

    def _chosen(self) -> set[Value]:
        stored: set[Value] = set(self._forced)
        stored.update(output for output in self.outputs if not isinstance(output, Fill))
        for value in self.order:
            if isinstance(value, Input | Data | Reduction | Product | Solve | Assembly | Result):
                stored.add(value)
            elif isinstance(value, Gather | Pick):
                stored.add(value.source)
            if isinstance(value, Product | Solve | Call | Choice):
                stored.update(addressed(value))
            if isinstance(value, Assembly):
                stored.update(part.where for part in value.parts if isinstance(part.where, Value))
        weights: dict[Value, int] = {}
        for value in self.order:
            if isinstance(value, Elementwise) and value not in stored and self._is_worth_storing(value, weights):
                stored.add(value)
            weights[value] = 0 if value in stored else self._weight(value, weights)
        return {value for value in stored if not isinstance(value, Fill)}

    def _weight(self, value: Value, weights: dict[Value, int]) -> int:
        own = OPERATIONS[value.operation].cost if isinstance(value, Elementwise) else 2 * isinstance(value, Gather)
        return min(_HIGHEST_WEIGHT, own + sum(weights[operand] for operand in value.operands))

    def _is_worth_storing(self, value: Elementwise, weights: dict[Value, int]) -> bool:
        users = self.users[value]
        if value.size == 1:
            return True
        weight = self._weight(value, weights)
        repeated = any(isinstance(user, View) and user.geometry.repeats for user in users)
        least = _STORED_FROM_IF_SMALL if value.size <= _SMALL else _STORED_FROM
        return (len(users) > 1 or repeated) and weight >= least

    # --- what is computed together --------------------------------------------------------------

    def _grouped(self) -> list[Group]:
        groups: list[Group] = []
        self.group_of: dict[Value, int] = {}
        self.reads_of: dict[Value, set[Value]] = {}
        for value in self.order:
            if isinstance(value, Call | Choice | Product | Solve | Assembly):
                self.reads_of[value] = self._reads_by_itself(value)
                self.group_of[value] = len(groups)
                groups.append(Group(None, [value]))
            elif isinstance(value, Result):
                self.group_of[value] = self.group_of[value.call]
            elif value in self.stored and not isinstance(value, Input | Data):
                self._join(value, groups)
        return groups

    def _reads_by_itself(self, value: Value) -> set[Value]:
        """Return what a value that is computed in its own way reads."""
        if not isinstance(value, Assembly):
            return set(addressed(value))
        read: set[Value] = set()
        for piece in pieces(value):
            loops = refined(piece.loops, piece.loops) or ()
            for term, shift in piece.terms:
                loops, met = fitting_loops(term, loops, partial(term_index, shift), self.is_stored)
                read |= _read_values(met)
            if isinstance(piece.target, Value):
                read.add(piece.target)
        return read

    def _join(self, value: Value, groups: list[Group]) -> None:
        root, loops = root_of(value)
        loops, met = fitting_loops(root, loops, in_order, self.is_other(value))
        self.reads_of[value] = _read_values(met)
        # What entries are taken of has to be complete before, even where it is read in line as well.
        whole = {read.source for read, _ in met if isinstance(read, Gather | Pick)}
        earliest = 0
        for other in self.reads_of[value]:
            if other is not value and other in self.group_of:
                aligned = other not in whole and all(
                    self._is_aligned(read, root, index, loops) for read, index in met if read is other
                )
                earliest = max(earliest, self.group_of[other] + (0 if aligned else 1))
        for number in range(len(groups) - 1, earliest - 1, -1):
            group = groups[number]
            together = None if group.loops is None else _together(group.loops, loops)
            if together is None or group.loops is None:
                continue
            members = [value] if together == group.loops else [*group.members, value]
            if together in (loops, ()) or self._fit(members, together):
                group.loops = together
                group.members.append(value)
                self.group_of[value] = number
                return
        self.group_of[value] = len(groups)
        groups.append(Group(loops, [value]))

    def is_other(self, value: Value) -> Callable[[Value], bool]:
        """Return what tells whether a value is stored, other than the one that is being computed."""
        return lambda other: other is not value and other in self.stored

    def _is_aligned(self, other: Value, root: Value, index: Index, loops: Loops) -> bool:
        """Tell whether a value computed in the same turn of the loops is all that is read of another."""
        if isinstance(other, Reduction | Result | Assembly | Product | Solve):
            return False
        if other.size == 1:
            return not loops
        return other.size == root.size and index == in_order(loops)

    def _fit(self, members: list[Value], loops: Loops) -> bool:
        """Tell whether all can be computed in these loops without splitting them further."""
        return all(
            fitting_loops(root_of(member)[0], loops, in_order, self.is_other(member))[0] == loops for member in members
        )

    def _without_local_stores(self) -> None:
        """Forget values as stored that only their own nest uses."""
        elsewhere = {
            other
            for reader, read in self.reads_of.items()
            for other in read
            if self.group_of[reader] != self.group_of.get(other)
        }
        for value, number in list(self.group_of.items()):
            needed = value in elsewhere or value in self.outputs or value in self._forced
            group = self.groups[number]
            if isinstance(value, Elementwise) and group.loops is not None and not needed:
                self.stored.discard(value)
                group.members.remove(value)


def _read_values(met: list[tuple[Value, Index]]) -> set[Value]:
    """Return what a body reads: what it meets, and what it takes entries of."""
    return {value for value, _ in met} | {value.source for value, _ in met if isinstance(value, Gather | Pick)}


def addressed(value: Value) -> list[Value]:
    """Return what a product or call takes by its address: values that have to be in memory."""
    if isinstance(value, Product):
        left, right = matrices_in_memory(value)
        return [value.base, left.source, right.source]
    return [slice_in_memory(operand)[0] for operand in value.operands]


def slice_in_memory(operand: Value) -> tuple[Value, int]:
    """Return the value that holds an operand in one stretch, and where the stretch begins."""
    if isinstance(operand, View) and operand.geometry.strides in ((), (1,)):
        return operand.source, operand.geometry.offset
    return operand, 0


class Matrix(NamedTuple):
    """A column-major matrix as BLAS takes it: where it lies, how far apart columns are, whether it is transposed.

    ``step`` is how far behind it the next matrix of a batch lies.
    """

    source: Value
    offset: int
    leading: int
    transposed: bool
    step: int


def _matrix_in_memory(operand: Value, rows: int, columns: int, count: int) -> Matrix:
    """Return how matrices lie in memory; those that lie in no such way are stored first."""
    if isinstance(operand, View):
        geometry = operand.geometry
        strides = refined_strides(geometry, (count, columns, rows)) if rows > 1 and columns > 1 else None
        if strides is not None and strides[2] == 1 and strides[1] >= rows:
            return Matrix(operand.source, geometry.offset, strides[1], False, strides[0])
        if strides is not None and strides[1] == 1 and strides[2] >= columns:
            return Matrix(operand.source, geometry.offset, strides[2], True, strides[0])
    return Matrix(operand, 0, rows, False, rows * columns)


def matrices_in_memory(product: Product) -> tuple[Matrix, Matrix]:
    """Return how the operands of a product lie in memory."""
    left = _matrix_in_memory(product.left, product.rows, product.inner, product.count)
    return left, _matrix_in_memory(product.right, product.inner, product.columns, product.count)


def root_of(value: Value) -> tuple[Value, Loops]:
    """Return the value that the loops of a stored value run through, and the loops to begin with."""
    if isinstance(value, Reduction):
        return value.source, refined(value.shape, value.shape) or ()
    return value, (value.size,) if value.size > 1 else ()


def _together(first: Loops, second: Loops) -> Loops | None:
    """Return the loops for two nests at once, or None where they are better apart."""
    if math.prod(first) != math.prod(second):
        return None
    loops = refined(first, second)
    if loops is None or not loops:
        return loops
    shortest = min(first[-1], second[-1])
    return loops if loops[-1] >= min(shortest, _SHORTEST_INNER) else None


def _reachable(outputs: Sequence[Value]) -> list[Value]:
    """Return everything that the outputs need, operands first."""
    met: set[Value] = set()
    waiting = list(outputs)
    while waiting:
        value = waiting.pop()
        if value not in met:
            met.add(value)
            waiting.extend(value.operands)
    return sorted(met, key=lambda value: value.serial)
