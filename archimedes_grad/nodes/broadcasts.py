"""Arrays repeated along axes.

While a function is traced and differentiated, a large broadcast is a product with ones, CasADi's `einstein`: it needs
no pattern, and its derivatives are such nodes too. In finished expressions it becomes repetitions and their sums;
compiled code reads the node itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import casadi as cs

from archimedes_grad.nodes.patterns import filled_with, repeated_across, seen_as
from archimedes_grad.nodes.rebuilding import Rebuilding

#: From this many entries on a broadcast is a product with ones.
_LARGE = 50_000
#: The labels of its axes are this one and those below: batches of products have others.
_LABEL = -1001

#: Lengths of the axes of an array, the first one outermost, and whether entries are repeated along each.
Axes = Sequence[tuple[int, bool]]


def is_large_broadcast(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether an array of several entries, broadcast to a target, is to be a product with ones."""
    return shape != target and math.prod(target) >= _LARGE and math.prod(shape) > 1


def product_with_ones(node: cs.MX, shape: tuple[int, ...], target: tuple[int, ...]) -> cs.MX:
    """Return an array broadcast to a target shape, flat."""
    own = (1,) * (len(target) - len(shape)) + shape
    # From the innermost axis on, which is the first one stored.
    axes = list(enumerate(zip(own, target, strict=True)))[::-1]
    labels = [_LABEL - k for k, (_, length) in axes if length > 1]
    lengths = [length for _, (_, length) in axes if length > 1]
    kept = [_LABEL - k for k, (length, _) in axes if length > 1]
    ones = [label for label in labels if label not in kept]
    length_of = dict(zip(labels, lengths, strict=True))
    own_sizes, times = ([length_of[label] for label in some] for some in (kept, ones))
    column = seen_as(node, node.numel(), 1)
    all_ones = filled_with(1.0, math.prod(times), 1)
    return cs.MX.einstein(column, all_ones, own_sizes, times, lengths, kept, ones, labels)


def is_large_sum(shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Tell whether an array summed over some axes is to be a product with ones where it is compiled."""
    summed = math.prod(shape[axis] for axis in axes)
    return math.prod(shape) >= _LARGE and summed > 1 and math.prod(shape) > summed


def sum_with_ones(node: cs.MX, shape: tuple[int, ...], summed: tuple[int, ...]) -> cs.MX:
    """Return the sum of an array over some axes, flat: what the derivative of a broadcast is."""
    # From the innermost axis on, which is the first one stored.
    length_of = {_LABEL - k: length for k, length in reversed(list(enumerate(shape))) if length > 1}
    ones = [label for label in length_of if _LABEL - label in summed]
    kept = [label for label in length_of if label not in ones]
    times, left = ([length_of[label] for label in some] for some in (ones, kept))
    column = seen_as(node, node.numel(), 1)
    all_ones = filled_with(1.0, math.prod(times), 1)
    return cs.MX.einstein(column, all_ones, [*length_of.values()], times, left, [*length_of], ones, kept)


def is_broadcast(info: dict[str, Any]) -> bool:
    """Tell of what CasADi tells about an ``einstein`` node whether it is a broadcast, or a derivative of one."""
    return all(label <= _LABEL for label in (*info["a"], *info["b"], *info["c"]))


def repeated_in(expressions: Sequence[cs.MX]) -> list[cs.MX]:
    """Return expressions with repetitions in the place of products with ones: these lose the sign of -0."""
    return Repeating().of(expressions)


class Repeating(Rebuilding):
    """Builds expressions again, with repetitions in the place of broadcasts."""

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return the repetition that a broadcast is."""
        if source.op() != cs.OP_EINSTEIN:
            return None
        info = source.info()
        return [by_repetition(info, operands)] if is_broadcast(info) else None


def by_repetition(info: dict[str, Any], operands: Sequence[cs.MX]) -> cs.MX:
    """Return a broadcast as repetitions, its derivative as their sum, in place of the product with ones."""
    # The ones stand second, in derivatives of every order.
    base, array, _ = operands
    own = info["a"]
    length_of = dict(zip((*info["a"], *info["b"]), (*info["dim_a"], *info["dim_b"]), strict=True))
    grows = len(own) < len(info["c"])
    labels = (info["c"] if grows else own)[::-1]
    kept = set(own if grows else info["c"])
    axes = [(length_of[label], label not in kept) for label in labels]
    result = repeated(array, axes) if grows else _summed(array, axes)
    result = seen_as(result, result.numel(), 1)
    return result if base.is_zero() else cs.MX.binary(cs.OP_ADD, base, result)


def repeated(node: cs.MX, axes: Axes) -> cs.MX:
    """Return the entries of an array repeated along some of the axes."""
    outer, inner = 1, node.numel()
    for length, is_repeated in axes:
        if not is_repeated:
            outer, inner = outer * length, inner // length
            continue
        if outer == 1:
            node = repeated_across(seen_as(node, node.numel(), 1), length)
        else:
            node = repeated_across(seen_as(node, inner, outer).T, length).T
        outer *= length
    return node


def _summed(node: cs.MX, axes: Axes) -> cs.MX:
    """Return the sums of an array over some of its axes."""
    outer, inner = math.prod(length for length, _ in axes), 1
    for length, is_summed in reversed(axes):
        outer //= length
        if not is_summed:
            inner *= length
        elif outer == 1:
            node = cs.repsum(seen_as(node, inner, length), 1, length)
        else:
            node = cs.repsum(seen_as(node, inner * length, outer).T, 1, length).T
    return node
