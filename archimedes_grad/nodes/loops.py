"""Loops as CasADi Functions: chains of calls of a step, nested so that the graph stays small.

A chain of n steps is one Function of n calls; a tower of chains, each of the one below, needs few calls on each level.
Beside its results a chain gives the carries that its steps began with, and its reverse derivative is a chain of the
steps' reverse derivatives that starts from these: nothing but the step itself is computed twice. Where carries are to
be forgotten inside blocks, those between blocks are kept, and a block is computed again before its reverse derivative:
checkpointing (Griewank and Walther, *Evaluating Derivatives*, chapter 12).
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import casadi as cs

from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.rebuilding import symbols_of
from archimedes_grad.nodes.simplification import derivative_sweep, forward_nodes

#: Links in one chain.
_LONGEST_CHAIN = 32
#: Steps or blocks in one chain of a loop with an early end: at most this many conditions are asked after it.
_GUARDED_CHAIN = 32
#: What the choice between a step and none is called, in a loop with an early end.
GUARDED = "guarded"


class _Part(NamedTuple):
    """A link of a chain: a Function of some steps.

    Takes carries, slices side by side, and what all steps share; gives carries, then, where it keeps some, so many
    ``kept`` carries on the way, side by side, then outputs side by side.
    """

    function: cs.Function
    length: int = 1
    kept: int = 0


class Loop(NamedTuple):
    """A loop of n steps, or of at most n that ends where a condition does.

    Attributes
    ----------
    step
        Takes carries, slices, and what all steps share; gives carries, then outputs.
    block
        Forget the carries inside blocks of so many steps; None keeps all.
    condition
        Takes what a step takes, and gives one entry (0: end). Such a loop has no slices and no outputs.
    """

    step: cs.Function
    n: int
    n_carry: int
    n_sliced: int = 0
    block: int | None = None
    condition: cs.Function | None = None


def looped(loop: Loop) -> cs.Function:
    """Return the Function of a loop.

    Takes carries, slices side by side, and what is shared; gives the last carries; and, where no condition ends it,
    carries on the way, and outputs side by side.
    """
    step, n, n_carry, n_sliced, block, condition = loop
    if condition is not None:
        return _looped_while(condition, step, n, n_carry)

    def repeated(part: _Part, times: int) -> _Part:
        """Return a part as often as asked for: a tower of chains."""
        levels = max(1, math.ceil(math.log(times, _LONGEST_CHAIN))) if times > 1 else 1
        group = math.ceil(times ** ((levels - 1) / levels))
        if group == 1:
            return _joined([part] * times, n_carry, n_sliced)
        parts = [repeated(part, group)] * (times // group)
        if times % group:
            parts.append(repeated(part, times % group))
        return _joined(parts, n_carry, n_sliced)

    one = _Part(step)
    if block is None or block == 1 or block >= n:
        return repeated(one, n).function

    def forgetting(steps: int) -> _Part:
        return _Part(_forgetting(repeated(one, steps).function, n_carry), steps)

    blocks = repeated(forgetting(block), n // block)
    rest = [forgetting(n % block)] if n % block else []
    return _joined([blocks, *rest], n_carry, n_sliced).function if rest else blocks.function


def _joined(parts: Sequence[_Part], n_carry: int, n_sliced: int) -> _Part:
    length, kept = sum(part.length for part in parts), sum(part.kept or 1 for part in parts)
    return _Part(_chain(parts, n_carry, n_sliced), length, kept)


def checkpoints(n: int) -> int:
    """Return the length of blocks with which a loop keeps fewest carries: between blocks, and inside one."""
    return max(1, math.isqrt(n))


def _forgetting(function: cs.Function, n_carry: int) -> cs.Function:
    """Return a chain without the carries on the way: CasADi computes it again before its reverse derivative."""
    with forward_nodes():
        inputs = _symbols("x", function.size_in, range(function.n_in()))
        results = function.call(inputs, False, True)
        return graph_function("block", inputs, [*results[:n_carry], *results[2 * n_carry :]])


class _Layout:
    """Where things stand among the inputs of a chain, and how they are cut into the slices of its parts."""

    def __init__(self, parts: Sequence[_Part], n_carry: int, n_sliced: int) -> None:
        first = parts[0]
        function = first.function
        self.carries = range(n_carry)
        self.sliced = range(n_carry, n_carry + n_sliced)
        self.shared = range(n_carry + n_sliced, function.n_in())
        self.lengths = [part.length for part in parts]
        # Of a part that keeps none, the carry that it begins with is kept.
        self.kept_lengths = [part.kept or 1 for part in parts]
        first_output = n_carry * (2 if first.kept else 1)
        self.shapes_of_carries = [function.size_in(i) for i in self.carries]
        self.shapes_of_slices = [_each(function.size_in(i), first.length) for i in self.sliced]
        self.shapes_of_outputs = [
            _each(function.size_out(i), first.length) for i in range(first_output, function.n_out())
        ]
        self.shapes_of_shared = [function.size_in(i) for i in self.shared]

    def pieces(
        self, arrays: Sequence[cs.MX], shapes: Sequence[tuple[int, int]], lengths: list[int]
    ) -> list[list[cs.MX]]:
        """Return, for each part, its slices of arrays whose slices of one step have these shapes."""
        cut = [
            cs.horzsplit(array, [columns * end for end in itertools.accumulate(lengths, initial=0)])
            if columns
            else [array] * len(lengths)
            for array, (_, columns) in zip(arrays, shapes, strict=True)
        ]
        return [[pieces[k] for pieces in cut] for k in range(len(lengths))]


def _each(shape: tuple[int, int], length: int) -> tuple[int, int]:
    rows, columns = shape
    return rows, columns // length


def _symbols(name: str, size: Callable[[int], tuple[int, int]], indices: Sequence[int]) -> list[cs.MX]:
    return [cs.MX.sym(f"{name}{i}", *size(i)) for i in indices]


def _chain(parts: Sequence[_Part], n_carry: int, n_sliced: int) -> cs.Function:
    """Return parts called one after the other, each on its slices, with a reverse derivative of its own."""
    layout = _Layout(parts, n_carry, n_sliced)
    total = sum(layout.lengths)
    with forward_nodes():
        carries = [cs.MX.sym(f"carry{i}", *shape) for i, shape in enumerate(layout.shapes_of_carries)]
        sliced = [cs.MX.sym(f"x{i}", rows, total * n) for i, (rows, n) in enumerate(layout.shapes_of_slices)]
        shared = [cs.MX.sym(f"shared{i}", *shape) for i, shape in enumerate(layout.shapes_of_shared)]
        current, kept, outputs = carries, [], []
        for part, slices in zip(parts, layout.pieces(sliced, layout.shapes_of_slices, layout.lengths), strict=True):
            results = part.function.call([*current, *slices, *shared], False, True)
            kept.append(results[n_carry : 2 * n_carry] if part.kept else current)
            outputs.append(results[2 * n_carry if part.kept else n_carry :])
            current = results[:n_carry]
        inputs = [*carries, *sliced, *shared]
        results = [*current, *_side_by_side(kept), *_side_by_side(outputs)]
        plain = graph_function("steps", inputs, results)
    reverse = _reversed_chain(parts, layout, plain)
    with forward_nodes():
        return graph_function("steps", inputs, results, cache={reverse.name(): reverse})


def _side_by_side(rows: Sequence[Sequence[cs.MX]]) -> list[cs.MX]:
    return [cs.horzcat(*column) for column in zip(*rows, strict=True)]


def _reversed_chain(parts: Sequence[_Part], layout: _Layout, chain: cs.Function) -> cs.Function:
    """Return a chain's reverse derivative, with the signature that CasADi gives its own: inputs, outputs, seeds."""
    n_carry = len(layout.carries)
    kept_ones, last = range(n_carry, 2 * n_carry), 2 * n_carry
    with derivative_sweep():
        inputs = _symbols("x", chain.size_in, range(chain.n_in()))
        # Of the results only the carries on the way are read: empty symbols stand for the others.
        given = [
            cs.MX.sym(f"y{i}", *shape) if i in kept_ones else cs.MX.sym(f"y{i}", cs.Sparsity(*shape))
            for i, shape in enumerate(map(chain.size_out, range(chain.n_out())))
        ]
        seeds = _symbols("seed", chain.size_out, range(chain.n_out()))
        slices = layout.pieces([inputs[i] for i in layout.sliced], layout.shapes_of_slices, layout.lengths)
        kept = layout.pieces([given[i] for i in kept_ones], layout.shapes_of_carries, layout.kept_lengths)
        of_kept = layout.pieces([seeds[i] for i in kept_ones], layout.shapes_of_carries, layout.kept_lengths)
        of_outputs = layout.pieces(seeds[last:], layout.shapes_of_outputs, layout.lengths)
        shared = [inputs[i] for i in layout.shared]
        carried = seeds[:n_carry]
        of_slices: list[list[cs.MX]] = []
        of_shared: list[cs.MX] = []
        for k in reversed(range(len(parts))):
            part = parts[k]
            first = [x[:, :columns] for x, (_, columns) in zip(kept[k], layout.shapes_of_carries, strict=True)]
            nothing = [cs.MX(*part.function.size_out(i)) for i in range(part.function.n_out())]
            if part.kept:
                nothing[n_carry:last] = kept[k]
            adjoints = part.function.reverse(1).call(
                [*first, *slices[k], *shared, *nothing, *carried, *(of_kept[k] if part.kept else ()), *of_outputs[k]],
                False, True,
            )  # fmt: skip
            carried = [cs.densify(adjoints[i]) for i in layout.carries]
            if not part.kept:
                carried = [x + y for x, y in zip(carried, of_kept[k], strict=True)]
            of_slices.append([cs.densify(adjoints[i]) for i in layout.sliced])
            of_shared.append(cs.veccat(*(cs.densify(adjoints[i]) for i in layout.shared)))
        # CasADi evaluates in the order in which the outputs, one after the other, ask for it. So the sum comes first,
        # as one array: each of its terms is added when it is there, and not kept to the end.
        total = functools.reduce(operator.add, of_shared)
        arguments = [*inputs, *given, *seeds]
        summed = graph_function("summed", arguments, [total, *carried, *_side_by_side(of_slices[::-1])])
        total, *results = summed.call(arguments, False, True)
        sizes = [math.prod(shape) for shape in layout.shapes_of_shared]
        sums = cs.vertsplit(total, [*itertools.accumulate(sizes, initial=0)]) if sizes else []
        results += [cs.reshape(x, *shape) for x, shape in zip(sums, layout.shapes_of_shared, strict=True)]
        return graph_function(f"adj1_{chain.name()}", arguments, results)


def _looped_while(condition: cs.Function, step: cs.Function, n: int, n_carry: int) -> cs.Function:
    """Return the Function of at most n steps that ends where the condition does.

    Parameters
    ----------
    condition, step
        Take carries and what all steps share; give one entry (0: end), and carries.

    Notes
    -----
    Blocks of steps are guarded as steps are, so that after the end a few conditions are asked, not n.
    """
    with forward_nodes():
        if n <= _GUARDED_CHAIN:
            return _guarded_chain(condition, [step] * n, n_carry)
        length = _GUARDED_CHAIN
        while length * _GUARDED_CHAIN < n:
            length *= _GUARDED_CHAIN
        block = _looped_while(condition, step, length, n_carry)
        parts = [block] * (n // length)
        if n % length:
            parts.append(_looped_while(condition, step, n % length, n_carry))
        return _guarded_chain(condition, parts, n_carry)


def _guarded_chain(condition: cs.Function, parts: Sequence[cs.Function], n_carry: int) -> cs.Function:
    first = parts[0]
    inputs = symbols_of(first)
    current, shared = inputs[:n_carry], inputs[n_carry:]
    unchanged = graph_function("unchanged", inputs, current)
    guarded: dict[int, cs.Function] = {}
    for part in parts:
        choice = guarded.get(id(part))
        if choice is None:
            choice = guarded[id(part)] = cs.Function.if_else(GUARDED, part, unchanged)
        (goes_on,) = condition.call([*current, *shared], False, True)
        current = choice.call([goes_on, *current, *shared], False, True)
    return graph_function("steps", inputs, current)
