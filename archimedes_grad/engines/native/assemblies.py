"""How an array is put together from parts: as pieces, each with loops of its own.

Slices that are added into an array (what the reverse sweep of a slice leaves) are turned round: each stretch of the
array is computed once, from all slices that reach it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.indices import Index, in_order, refined_strides
from archimedes_grad.engines.native.values import Assembly, Fill, Part, Value
from archimedes_grad.nodes.strided import Geometry


@dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """Entries of an assembly that are computed by the same expression.

    Attributes
    ----------
    target
        Where they go: a window, listed places or computed ones.
    terms
        What is added up for each: a value, and how far its entries are ahead of the piece's.
    adds
        Whether the sum is added to what is there.
    """

    target: Geometry | npt.NDArray[np.int64] | Value
    terms: tuple[tuple[Value, int], ...]
    adds: bool

    @property
    def loops(self) -> tuple[int, ...]:
        """The loops to begin with."""
        if isinstance(self.target, Geometry):
            return tuple(length for length in self.target.shape if length > 1)
        return (self.target.size,) if self.target.size > 1 else ()

    def target_index(self, loops: tuple[int, ...]) -> Index:
        """Return where an entry goes, for loops that refine the window's axes."""
        assert isinstance(self.target, Geometry)
        strides = refined_strides(self.target.simplified(), loops) if loops else ()
        assert strides is not None
        return Index(self.target.offset, strides)


def term_index(shift: int, loops: tuple[int, ...]) -> Index:
    """Return the index of a term."""
    return Index(shift, in_order(loops).steps)


def join(order: Sequence[Value], outputs: Sequence[Value]) -> None:
    """Put assemblies together with those that they begin with, where nobody else reads these.

    Parameters
    ----------
    order
        All values, operands first.
    """
    readers = Counter([*outputs, *(operand for value in order for operand in value.operands)])
    joined: set[Value] = set()
    for value in reversed(order):
        if not isinstance(value, Assembly) or value in joined:
            continue
        base, parts = value.base, [value.parts]
        while isinstance(base, Assembly) and readers[base] == 1:
            joined.add(base)
            parts.append(base.parts)
            base = base.base
        value.put_together(base, [part for group in reversed(parts) for part in group])


def are_disjoint(assembly: Assembly) -> bool:
    """Tell whether the pieces of an assembly write every entry once, so that their order does not matter."""
    return all(part.is_stretch for part in assembly.parts)


def pieces(assembly: Assembly) -> list[Piece]:
    """Return the pieces of an assembly, in the order in which they are written."""
    base = assembly.base
    if are_disjoint(assembly):
        return _stretches(assembly)
    whole = Piece(Geometry((base.size,), 0, (1,)), ((base, 0),), False)
    return [whole, *(_alone(part) for part in assembly.parts)]


def _alone(part: Part) -> Piece:
    return Piece(part.where, ((part.value, 0),), part.adds)


def _stretches(assembly: Assembly) -> list[Piece]:
    """Cut the array where a part begins or ends."""
    spans = []
    for part in assembly.parts:
        assert isinstance(part.where, Geometry)
        spans.append((part.where.offset, part.where.offset + part.where.size, part))
    cuts = sorted({0, assembly.size, *(low for low, _, _ in spans), *(high for _, high, _ in spans)})
    starting: dict[int, list[int]] = {}
    for number, (low, _, _) in enumerate(spans):
        starting.setdefault(low, []).append(number)
    active: list[int] = []
    found = []
    for low, high in pairwise(cuts):
        active = sorted([*(k for k in active if spans[k][1] > low), *starting.get(low, [])])
        terms = [(assembly.base, low)]
        for number in active:
            start, _, part = spans[number]
            terms = [*terms, (part.value, low - start)] if part.adds else [(part.value, low - start)]
        if len(terms) > 1 and isinstance(terms[0][0], Fill) and terms[0][0].number == 0.0:
            terms = terms[1:]
        found.append(Piece(Geometry((high - low,), low, (1,)), tuple(terms), False))
    return found
