"""What a graph computes, as flat arrays that depend on one another: the compiler's own form of it.

Equal computations are one value (`Values` makes them), a view of a view is one view, and what is repeated is computed
before it is repeated.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.indices import composed, span, strided
from archimedes_grad.nodes.strided import Geometry

#: An array of so many numbers is computed again for each product, if it is so few operations on smaller ones.
_LARGE, _FEW_OPERATIONS = 16_384, 2


class UnsupportedError(Exception):
    """The graph holds something that is not compiled; the message says what."""


@dataclass(eq=False, repr=False, slots=True)
class Value:
    """A flat array of numbers, computed from ``operands``; ``serial`` grows along every dependency."""

    size: int
    serial: int = field(default=-1, init=False)
    operands: tuple[Value, ...] = field(default=(), init=False)


@dataclass(eq=False, repr=False, slots=True)
class Input(Value):
    """An argument of the function."""

    number: int


@dataclass(eq=False, repr=False, slots=True)
class Fill(Value):
    """The same number in every entry."""

    number: float


@dataclass(eq=False, repr=False, slots=True)
class Data(Value):
    """A constant array."""

    array: npt.NDArray[np.float64]


@dataclass(eq=False, repr=False, slots=True)
class Elementwise(Value):
    """An operation on each entry; operands of one entry serve all. ``operation`` is a ``casadi.OP_*`` code."""

    operation: int


@dataclass(eq=False, repr=False, slots=True)
class View(Value):
    """A strided window on another value."""

    source: Value
    geometry: Geometry


@dataclass(eq=False, repr=False, slots=True)
class Gather(Value):
    """Entries of another value by a list of places; 0 where the place is negative."""

    source: Value
    places: npt.NDArray[np.int64]


@dataclass(eq=False, repr=False, slots=True)
class Pick(Value):
    """Entries of another value by computed places; nan where a place is out of range."""

    source: Value
    places: Value


@dataclass(eq=False, repr=False, slots=True)
class Reduction(Value):
    """The sum, maximum or minimum over some axes of a value seen in a shape."""

    kind: str
    source: Value
    shape: tuple[int, ...]
    kept: tuple[bool, ...]


@dataclass(eq=False, repr=False, slots=True)
class Part:
    """Entries that go into an assembled array: where (a window, listed or computed places), and whether they add.

    ``span`` is the first and the last place that they can reach.
    """

    value: Value
    where: Geometry | npt.NDArray[np.int64] | Value
    adds: bool
    span: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.where, Geometry):
            self.where = self.where.simplified()
            self.span = span(self.where)
        elif isinstance(self.where, np.ndarray):
            self.span = int(self.where.min(initial=0)), int(self.where.max(initial=-1))
        else:
            self.span = 0, sys.maxsize

    @property
    def is_stretch(self) -> bool:
        """Whether they go to neighbouring places, in order."""
        return isinstance(self.where, Geometry) and self.where.strides in ((), (1,))


@dataclass(eq=False, repr=False, slots=True)
class Assembly(Value):
    """An array with parts put into it, or added, one after the other."""

    base: Value
    parts: tuple[Part, ...]

    def read_before(self, window: Geometry) -> tuple[Value, Geometry] | None:
        """Return what a window's entries are put together from, and the window on that; None if it is more than one."""
        low, high = span(window)
        source: Value = self
        while isinstance(source, Assembly):
            for part in reversed(source.parts):
                first, last = part.span
                if first <= high and low <= last:
                    if part.adds or not part.is_stretch or low < first or last < high:
                        return None
                    return part.value, window._replace(offset=window.offset - first)
            source = source.base
        return source, window

    def put_together(self, base: Value, parts: Sequence[Part]) -> None:
        """Let it consist of other parts."""
        self.base, self.parts = base, tuple(parts)
        places = [part.where for part in parts if isinstance(part.where, Value)]
        self.operands = (base, *(part.value for part in parts), *places)


@dataclass(eq=False, repr=False, slots=True)
class Product(Value):
    """``base + left @ right`` of column-major matrices of (rows, inner) and (inner, columns) entries.

    ``count`` products of matrices that lie behind one another.
    """

    base: Value
    left: Value
    right: Value
    rows: int
    inner: int
    columns: int
    count: int


@dataclass(eq=False, repr=False, slots=True)
class Solve(Value):
    """The solutions of linear equations: a column-major matrix of ``n`` rows, and as many columns of right sides."""

    matrix: Value
    sides: Value
    n: int
    transposed: bool


@dataclass(eq=False, repr=False, slots=True)
class Call(Value):
    """A call of another function, ``repeats`` times on consecutive slices of what is not shared; ``size`` is 0."""

    function: Any
    arguments: tuple[Value, ...]
    repeats: int
    shared: tuple[bool, ...]


@dataclass(eq=False, repr=False, slots=True)
class Choice(Value):
    """A call of one of several functions, by a number; the last one where no other is meant; ``size`` is 0."""

    selector: Value
    functions: tuple[Any, ...]
    arguments: tuple[Value, ...]


@dataclass(eq=False, repr=False, slots=True)
class Result(Value):
    """One output of a call."""

    call: Call | Choice
    number: int


class Values:
    """Makes values, each but once."""

    def __init__(self) -> None:
        self._known: dict[Any, Value] = {}
        self._count = 0

    def _new(self, value: Value, *operands: Value) -> Value:
        value.serial = self._count
        value.operands = operands
        self._count += 1
        return value

    def _once(self, key: tuple[Any, ...], make: Callable[[], Value], *operands: Value) -> Value:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._new(make(), *operands)
        return found

    def input(self, number: int, size: int) -> Value:
        """Return an argument."""
        return self._once(("input", number), lambda: Input(size, number))

    def fill(self, size: int, number: float) -> Value:
        """Return an array of equal numbers."""
        # The text tells 0.0 from -0.0.
        return self._once(("fill", size, repr(number)), lambda: Fill(size, number))

    def data(self, array: npt.NDArray[np.float64]) -> Value:
        """Return a constant array; a Fill where all entries are equal."""
        if array.size and (array.view(np.int64) == array.view(np.int64)[0]).all():
            return self.fill(array.size, float(array[0]))
        return self._once(("data", array.size, array.tobytes()), lambda: Data(array.size, array))

    def in_memory(self, value: Value) -> Value:
        """Return a value that has an address: equal numbers become a constant array."""
        if not isinstance(value, Fill):
            return value
        array = np.full(value.size, value.number)
        return self._once(("in memory", value.serial), lambda: Data(value.size, array))

    def fresh(self, value: Value) -> Value:
        """Return a copy of a value, to be stored by itself."""
        return self._new(Elementwise(value.size, cs.OP_ASSIGN), self._single(value))

    def elementwise(self, operation: int, *operands: Value) -> Value:
        """Return an operation on each entry."""
        size = max(operand.size for operand in operands)
        single = [self._single(operand) for operand in operands]
        if size > 1 and all(operand.size == 1 for operand in single):
            return self.view(self.elementwise(operation, *single), Geometry((size,), 0, (0,)))
        repeated = self._repeated_alike(single)
        if repeated is not None:
            sources = [operand.source if isinstance(operand, View) else operand for operand in single]
            return self.view(self.elementwise(operation, *sources), repeated)
        key = ("elementwise", operation, *(operand.serial for operand in single))
        return self._once(key, lambda: Elementwise(size, operation), *single)

    def _single(self, operand: Value) -> Value:
        """Return the one entry that a value repeats, if it does."""
        if isinstance(operand, Fill):
            return self.fill(1, operand.number)
        if isinstance(operand, View) and not any(operand.geometry.strides):
            return self.view(operand.source, Geometry((), operand.geometry.offset, ()))
        return operand

    def _repeated_alike(self, operands: Sequence[Value]) -> Geometry | None:
        """Return the window by which all operands repeat arrays of one size, if they do."""
        windows = [operand.geometry for operand in operands if isinstance(operand, View)]
        if not windows or not windows[0].repeats or windows.count(windows[0]) != len(windows):
            return None
        sizes = {operand.source.size for operand in operands if isinstance(operand, View)}
        others = [operand for operand in operands if not isinstance(operand, View) and operand.size != 1]
        return windows[0] if len(sizes) == 1 and not others and sizes.pop() < windows[0].size else None

    def view(self, source: Value, geometry: Geometry) -> Value:
        """Return a window on a value."""
        geometry = geometry.simplified()
        while isinstance(source, View | Assembly):
            if isinstance(source, Assembly):
                before = source.read_before(geometry)
            else:
                together = composed(geometry, source.geometry)
                before = None if together is None else (source.source, together)
            if before is None:
                break
            source, geometry = before
        if isinstance(source, Fill):
            return self.fill(geometry.size, source.number)
        if geometry.is_whole(source.size):
            return source
        key = ("view", source.serial, geometry)
        return self._once(key, lambda: View(geometry.size, source, geometry), source)

    def gather(self, source: Value, places: npt.NDArray[np.int64]) -> Value:
        """Return entries by a list of places."""
        geometry = strided(places)
        if geometry is not None:
            return self.view(source, geometry)
        if isinstance(source, Fill):
            return self.data(np.where(places < 0, 0.0, source.number))
        key = ("gather", source.serial, places.tobytes())
        return self._once(key, lambda: Gather(places.size, source, places), source)

    def pick(self, source: Value, places: Value) -> Value:
        """Return entries by computed places."""
        source = self.in_memory(source)
        key = ("pick", source.serial, places.serial)
        return self._once(key, lambda: Pick(places.size, source, places), source, places)

    def reduction(self, kind: str, source: Value, shape: tuple[int, ...], kept: tuple[bool, ...]) -> Value:
        """Return the sum, maximum or minimum over the axes that are not kept."""
        size = math.prod(length for length, keep in zip(shape, kept, strict=True) if keep)
        key = ("reduction", kind, source.serial, shape, kept)
        return self._once(key, lambda: Reduction(size, kind, source, shape, kept), source)

    def assembly(self, base: Value, *parts: Part) -> Value:
        """Return an array with parts put into it."""
        if len(parts) == 1 and isinstance(parts[0].where, Geometry) and parts[0].where.is_whole(base.size):
            (part,) = parts
            return self.elementwise_sum(base, part.value) if part.adds else part.value
        return self._assembled(base, parts)

    def _assembled(self, base: Value, parts: tuple[Part, ...]) -> Value:
        value = Assembly(base.size, base, parts)
        self._new(value)
        value.put_together(base, parts)
        return value

    def elementwise_sum(self, left: Value, right: Value) -> Value:
        """Return the sum of two arrays; one of them where the other is zero throughout."""
        return self.elementwise(cs.OP_ADD, left, right)

    def product(
        self, base: Value, left: Value, right: Value, rows: int, inner: int, columns: int, count: int = 1
    ) -> Value:
        """Return a matrix product, or as many as are counted."""
        left, right = self.in_memory(left), self.in_memory(right)
        key = ("product", base.serial, left.serial, right.serial, rows, inner, columns)
        left, right = self._for_itself(left), self._for_itself(right)
        made = Product(count * rows * columns, base, left, right, rows, inner, columns, count)
        return self._once(key, lambda: made, base, left, right)

    def _for_itself(self, operand: Value) -> Value:
        """Return a matrix that is computed once more for one product, where that is cheaper than to read it again."""
        source = operand.source if isinstance(operand, View) else operand
        if not isinstance(source, Elementwise) or source.size < _LARGE or not _is_cheap(source):
            return operand
        copy = self._new(Elementwise(source.size, source.operation), *source.operands)
        return self.view(copy, operand.geometry) if isinstance(operand, View) else copy

    def solve(self, matrix: Value, sides: Value, n: int, transposed: bool) -> Value:
        """Return the solutions of linear equations."""
        matrix, sides = self.in_memory(matrix), self.in_memory(sides)
        key = ("solve", matrix.serial, sides.serial, transposed)
        return self._once(key, lambda: Solve(sides.size, matrix, sides, n, transposed), matrix, sides)

    def call(self, function: Any, arguments: Sequence[Value], repeats: int, shared: Sequence[bool]) -> Value:
        """Return a call, to be followed by `result`."""
        taken = tuple(map(self.in_memory, arguments))
        return self._new(Call(0, function, taken, repeats, tuple(shared)), *taken)

    def choice(self, selector: Value, functions: Sequence[Any], arguments: Sequence[Value]) -> Value:
        """Return a call of one of several functions, to be followed by `result`."""
        selector, taken = self.in_memory(selector), tuple(map(self.in_memory, arguments))
        return self._new(Choice(0, selector, tuple(functions), taken), selector, *taken)

    def result(self, call: Value, number: int, size: int) -> Value:
        """Return an output of a call."""
        assert isinstance(call, Call | Choice)
        return self._new(Result(size, call, number), call)

    def concatenation(self, values: Sequence[Value]) -> Value:
        """Return arrays one after the other."""
        values = [value for value in values if value.size]
        if not values:
            return self.fill(0, 0.0)
        if len(values) == 1:
            return values[0]
        parts, offset = [], 0
        for value in values:
            parts.append(Part(value, Geometry((value.size,), offset, (1,)), False))
            offset += value.size
        repeated = self._repetition(values)
        return repeated or self._assembled(self.fill(offset, 0.0), tuple(parts))

    def _repetition(self, values: Sequence[Value]) -> Value | None:
        if any(value is not values[0] for value in values):
            return None
        size = values[0].size
        return self.view(values[0], Geometry((len(values), size), 0, (0, 1)))


def _is_cheap(value: Value) -> bool:
    """Tell whether an array is a few operations on arrays that are much smaller."""
    waiting: list[Value] = [value]
    operations = read = 0
    while waiting and operations <= _FEW_OPERATIONS:
        current = waiting.pop()
        if isinstance(current, Elementwise | View):
            operations += isinstance(current, Elementwise)
            waiting.extend(current.operands)
        else:
            read += current.size
    return operations <= _FEW_OPERATIONS and 4 * read <= value.size
