"""Products of batches of matrices.

While a function is traced and differentiated, a batch is one node, CasADi's `einstein`: its derivatives are such nodes
too, and no pattern is built for matrices that are split off and joined. In finished expressions it becomes a product
for each matrix, where that is faster; compiled code reads it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.nodes.patterns import filled_with, seen_as, side_by_side

Shape = tuple[int, ...]

#: The axes of the matrices; those of the batch are numbered from the last one on. CasADi orders labels from below.
COLUMNS, INNER, ROWS, _BATCH = -1, -2, -3, -4

#: From this many multiplications on each matrix of a batch is multiplied by itself, in batches of at most so many.
_SEPARATE_FROM = 64
_MOST_SEPARATE = 1000


def are_separate(count: int, work: int) -> bool:
    """Tell whether so many products of so many multiplications each are faster one by one."""
    return work >= _SEPARATE_FROM and count <= _MOST_SEPARATE


@dataclass(frozen=True, eq=False, repr=False)
class Labelled:
    """An operand or the result of a batched product: its axes as stored, the first one contiguous.

    Attributes
    ----------
    labels, lengths
        Of the two axes of the matrices, then of those of the batch that it has.
    """

    labels: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many matrices lie behind one another."""
        return math.prod(self.lengths[2:])

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns of one matrix, as stored."""
        return self.lengths[0], self.lengths[1]

    def place(self, position: dict[int, int]) -> int:
        """Return which of the matrices belongs to a position of the whole batch."""
        place = 0
        for label, length in zip(reversed(self.labels[2:]), reversed(self.lengths[2:]), strict=True):
            place = place * length + position[label]
        return place


@dataclass(frozen=True, eq=False, repr=False)
class BatchedProduct:
    """What a node of CasADi's ``einstein`` computes: ``base + left * right``, summed over what the result has not."""

    left: Labelled
    right: Labelled
    result: Labelled

    @property
    def lengths(self) -> dict[int, int]:
        """The length of each axis."""
        left, right = self.left, self.right
        return dict(zip((*left.labels, *right.labels), (*left.lengths, *right.lengths), strict=True))

    @property
    def positions(self) -> Iterator[dict[int, int]]:
        """The positions of the whole batch."""
        batch = {label: length for label, length in self.lengths.items() if label <= _BATCH}
        for position in np.ndindex(*batch.values()):
            yield dict(zip(batch, position, strict=True))

    @property
    def count(self) -> int:
        """How many products of two matrices it is."""
        return math.prod(length for label, length in self.lengths.items() if label <= _BATCH)

    @property
    def work(self) -> int:
        """The multiplications of one product."""
        return math.prod(length for label, length in self.lengths.items() if label > _BATCH)


def batched_product(a: cs.MX, shape_a: Shape, b: cs.MX, shape_b: Shape) -> cs.MX:
    """Return (..., m, k) @ (..., k, n) of stored arrays, flat."""
    batch = np.broadcast_shapes(shape_a[:-2], shape_b[:-2])
    left, right = _labelled(shape_b, (COLUMNS, INNER)), _labelled(shape_a, (INNER, ROWS))
    result = _labelled((*batch, shape_a[-2], shape_b[-1]), (COLUMNS, ROWS))
    flat_a, flat_b = with_zeros_kept(*(seen_as(x, x.numel(), 1) for x in (a, b)))
    sizes, labels = (
        [list(getattr(x, name)) for x in (left, right, result)] for name in ("lengths", "labels")
    )
    return cs.MX.einstein(flat_b, flat_a, *sizes, *labels)


def with_zeros_kept(left: cs.MX, right: cs.MX) -> tuple[cs.MX, cs.MX]:
    """Return factors of the same product of which none is a constant of zeros.

    CasADi takes a product with such a constant for 0, which is nan where an entry of the other factor is not finite.
    """
    if left.is_zero():
        return filled_with(1.0, left.size1(), left.size2()), cs.MX.binary(cs.OP_MUL, cs.MX(0.0), right)
    if right.is_zero():
        return cs.MX.binary(cs.OP_MUL, left, cs.MX(0.0)), filled_with(1.0, right.size1(), right.size2())
    return left, right


def _labelled(shape: Shape, matrix: tuple[int, int]) -> Labelled:
    """Return the axes of an array as stored: reversed, and none of the batch that is repeated."""
    batch = [(_BATCH - k, length) for k, length in enumerate(reversed(shape[:-2])) if length != 1]
    return Labelled((*matrix, *(label for label, _ in batch)), (shape[-1], shape[-2], *(n for _, n in batch)))


def read(info: dict[str, Any]) -> BatchedProduct:
    """Return what a node computes, of what CasADi tells about it."""
    return BatchedProduct(*(Labelled(tuple(info[name]), tuple(info[f"dim_{name}"])) for name in "abc"))


def one_by_one(
    product: BatchedProduct, operands: Sequence[cs.MX], times: Callable[[cs.MX, cs.MX, cs.MX], cs.MX]
) -> cs.MX:
    """Return a batched product as products of two matrices, each made by ``times(added, left, right)``."""
    base, left, right = operands
    results = _matrices(base, product.result)
    lefts, rights = _matrices(left, product.left), _matrices(right, product.right)
    # The stored result is first @ second, where its rows are rows of the first factor.
    is_right_first = product.result.labels[0] in product.right.labels
    first, second = (product.right, product.left) if is_right_first else (product.left, product.right)
    first_turned, second_turned = first.labels[0] in second.labels, second.labels[1] in first.labels
    for position in product.positions:
        pair = lefts[product.left.place(position)], rights[product.right.place(position)]
        a, b = reversed(pair) if is_right_first else pair
        place = product.result.place(position)
        results[place] = times(results[place], a.T if first_turned else a, b.T if second_turned else b)
    joined = side_by_side(results)
    return seen_as(joined, joined.numel(), 1)


def _matrices(node: cs.MX, of: Labelled) -> list[cs.MX]:
    """Return the matrices that lie behind one another in an array."""
    rows, columns = of.matrix
    if node.is_zero():
        return [cs.MX.zeros(rows, columns)] * of.count
    whole = seen_as(node, rows, columns * of.count)
    return cs.horzsplit(whole, columns) if of.count > 1 else [whole]
