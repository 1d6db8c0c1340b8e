"""Loops found again: steps that repeat in an unrolled graph, as one Function that is called many times.

A Python loop leaves its steps in the graph one after the other. Where instructions repeat with a period, and each
reads what its counterpart one period before read (a result of its own step, of a step a fixed number of steps before, a
value from outside, or its turn of a row of values from outside), the steps are one Function. Every instruction and
everything that it reads is compared before anything is put in its place; what does not repeat exactly stays as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import casadi as cs
import numpy as np

from archimedes_grad.derivatives.borders import MAKE_ZEROS, Borders, Crossing
from archimedes_grad.derivatives.repetitions import STRIDE, Reads, Tape, phase, reads_of, repetitions
from archimedes_grad.nodes import loops
from archimedes_grad.nodes.gather import indices_of, taken
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep

#: Values by what they stand for: of each step, or one for all.
_Groups = Mapping[Any, Sequence[cs.MX]]

#: Steps left out at the beginning, and steps looked at for the step, before a repetition is given up.
_MOST_TRIMMED = 3
_MOST_TEMPLATES = 8
#: Larger arrays that all steps share are handed to them one by one.
_LARGEST_PACKED = 256


@dataclass(frozen=True, eq=False, repr=False)
class Loop:
    """Equal steps of an unrolled graph.

    Attributes
    ----------
    carries, slices, shared
        Symbols: what a step takes from those before, what it has its turn of, and what all steps share.
    expressions
        What a step gives: carries, then what is read of each step after the loop.
    times
        How many steps.
    array_nodes, array_entries
        Operations on arrays in a step, and their entries.
    has_ends
        Whether a step has results that no derivative goes back through.
    """

    carries: list[cs.MX]
    slices: list[cs.MX]
    shared: list[cs.MX]
    expressions: list[cs.MX]
    times: int
    array_nodes: int
    array_entries: int
    has_ends: bool
    _arguments: list[cs.MX]
    _last: list[tuple[cs.MX, int]]
    _each: list[list[cs.MX]]
    _joined: list[tuple[cs.MX, cs.MX, cs.MX, int]]

    def put_back(self, step: cs.Function, expressions: Sequence[cs.MX]) -> list[cs.MX]:
        """Return the graph's expressions with its steps as one chain of calls of a Function of the symbols."""
        n_carry = len(self.carries)
        chain = loops.looped(loops.Loop(step, self.times, n_carry, len(self.slices)))
        results = chain.call(self._arguments, False, True)
        rows = results[2 * n_carry :]
        nodes, values = [node for node, _ in self._last], [results[k] for _, k in self._last]
        for steps, row in zip(self._each, rows, strict=True):
            nodes += steps
            values += cs.horzsplit(row, steps[0].size2())
        for _, _, whole, k in self._joined:
            nodes.append(whole)
            values.append(rows[k])
        joined = cs.graph_substitute(
            list(expressions), [node for node, *_ in self._joined], [shorter for _, shorter, *_ in self._joined]
        )
        return list(cs.graph_substitute(joined, nodes, values))


def repeated_steps(function: cs.Function, outputs: Sequence[cs.MX], differentiated: Collection[int]) -> Loop | None:
    """Return the longest run of equal steps in a Function of arrays; None where there is none worth a loop.

    Parameters
    ----------
    outputs
        Its outputs as expressions.
    differentiated
        Which of them derivatives are taken of: these are to be the same as in line.
    """
    tape = Tape(function)
    borders: Borders | None = None
    for start, period, times in repetitions(tape.codes):
        borders = borders or _borders(tape, outputs, differentiated)
        begin = start + phase(tape, start, period, times, borders.cost)
        whole = (start + period * times - begin) // period
        for trimmed in range(_MOST_TRIMMED):
            steps = _Steps(tape, borders, begin + trimmed * period, period, whole - trimmed)
            reads = reads_of(tape, steps.start, period, steps.times)
            loop = None if reads is None else steps.loop(reads)
            if loop is not None:
                return loop
    return None


def _borders(tape: Tape, outputs: Sequence[cs.MX], differentiated: Collection[int]) -> Borders:
    """Return how values may cross the border of steps: without a look at them, where no cotangent is a mere zero."""
    only_checked = any(value >= 0 and output not in differentiated for value, output in tape.results)
    make_zeros = only_checked or tape.operations & MAKE_ZEROS
    return Borders([outputs[k] for k in differentiated] if make_zeros else [])


class _Steps(NamedTuple):
    """Where the steps stand on the tape."""

    tape: Tape
    borders: Borders
    start: int
    period: int
    times: int

    def made(self, step: int, place: int) -> cs.MX:
        """Return the node of a value, by its place within the step."""
        return self.tape.nodes[self.start + step * self.period + place // STRIDE]

    def read(self, step: int, offset: int, operand: int) -> cs.MX:
        """Return the node that an instruction of a step reads."""
        return self.tape.nodes[self.start + step * self.period + offset].dep(operand)

    def loop(self, reads: Reads) -> Loop | None:
        """Return the loop of steps that read alike; None where CasADi cannot cut what crosses their border."""
        unread = [(place, 1) for place in reads.last if (place, 1) not in reads.carried]
        keys = [*sorted(reads.carried), *unread]
        first: dict[tuple[int, int], cs.MX] = {}
        rows: dict[tuple[int, ...], list[cs.MX]] = {}
        for offset, operand, key in reads.places:
            if isinstance(key, int):
                continue
            if key in reads.carried:
                for k in range(key[1]):
                    first[key[0], key[1] - k] = self.read(k, offset, operand)
            elif key not in rows:
                rows[key] = [self.read(k, offset, operand) for k in range(self.times)]
        crossing = [self.made(0, place) for place in [*(place for place, _ in keys), *reads.each]]
        first |= {(place, 1): cs.MX(cs.DM.zeros(*self.made(0, place).shape)) for place, _ in unread}
        if (
            any(made.has_output() or not made.is_dense() for made in crossing)
            or any(first[key].shape != self.made(0, key[0]).shape or not first[key].is_dense() for key in keys)
            or any(len({node.shape for node in row}) > 1 or not all(x.is_dense() for x in row) for row in rows.values())
        ):
            return None
        cut = self._cut(reads)
        if cut is None:
            return None
        step, at_border = cut
        shared = {key: node for key, node in at_border if isinstance(key, int) and not node.is_constant()}
        places = [*(place for place, _ in keys), *reads.each]
        made = {place: [self.made(k, place) for k in range(self.times)] for place in places}
        one_by_one = [{key: [node] for key, node in group.items()} for group in (first, shared)]
        ends = self._ends(made, rows, *one_by_one)
        if ends is None:
            return None
        ends_of_steps, ends_of_rows, first_ends, shared_ends = ends
        symbols: dict[Any, cs.MX] = {key: cs.MX.sym("carry", *first[key].shape) for key in keys}
        symbols |= {key: cs.MX.sym("slice", *row[0].shape) for key, row in rows.items()}
        packed, values, arguments = _packed([_ended(node, key in shared_ends) for key, node in shared.items()])
        symbols |= dict(zip(shared, values, strict=True))
        given = [self.made(step, place) if ago == 1 else symbols[place, ago - 1] for place, ago in keys]
        given += [self.made(step, place) for place in reads.each]
        inside = [(node, symbols[key]) for key, node in at_border if key in symbols]
        expressions = cs.graph_substitute(given, [node for node, _ in inside], [symbol for _, symbol in inside])
        expressions = [_ended(x, place in ends_of_steps) for place, x in zip(places, expressions, strict=True)]
        inputs = [*(symbols[key] for key in keys), *(symbols[key] for key in rows), *packed]
        known = {hash(symbol) for symbol in inputs}
        if any(hash(symbol) not in known for symbol in cs.symvar(cs.veccat(*expressions))):
            return None
        sizes = [self.made(step, offset * STRIDE).numel() for offset in range(self.period)]
        return Loop(
            inputs[: len(keys)], inputs[len(keys) : len(keys) + len(rows)], packed,
            expressions, self.times, sum(size > 1 for size in sizes), sum(size for size in sizes if size > 1),
            bool(ends_of_steps),
            [
                *(_ended(first[key], key in first_ends) for key in keys),
                *(_ended(_side_by_side(row), key in ends_of_rows) for key, row in rows.items()),
                *arguments,
            ],
            [(self.made(self.times - 1, place), keys.index((place, 1))) for place in reads.last],
            [[self.made(k, place) for k in range(self.times)] for place in reads.each],
            list(self._joined(reads.each)),
        )  # fmt: skip

    def _ends(self, made: _Groups, *outside: _Groups) -> list[set[Any]] | None:
        """Return, of groups of values that cross the steps' border, those that no derivative goes back through.

        Parameters
        ----------
        made
            What the steps make.
        outside
            What they read from outside.

        Returns
        -------
        list
            The keys of each group; None where a value must not cross.
        """
        groups = [made, *outside]
        if not any(self.borders.counts(node) for nodes in made.values() for node in nodes):
            # No derivative comes to these steps at all.
            return [set() for _ in groups]
        found = [{key: self.borders.crossing(nodes) for key, nodes in group.items()} for group in groups]
        if any(Crossing.NOT in crossings.values() for crossings in found):
            return None
        return [{key for key, crossing in crossings.items() if crossing is Crossing.AS_AN_END} for crossings in found]

    def _cut(self, reads: Reads) -> tuple[int, list[tuple[Any, cs.MX]]] | None:
        """Return a step at whose border every node stands for one thing that it reads, and what each stands for.

        Several nodes may stand for the same: a constant that the step reads twice is two nodes.
        """
        farthest = max((ago for _, ago in reads.carried), default=0)
        for step in range(farthest, min(self.times, farthest + _MOST_TEMPLATES)):
            at_border: dict[int, tuple[Any, cs.MX]] = {}
            for offset, operand, key in reads.places:
                node = self.read(step, offset, operand)
                if node.is_output():
                    return None
                if at_border.setdefault(hash(node), (key, node))[0] != key:
                    break
            else:
                return step, list(at_border.values())
        return None

    def _joined(self, each: list[int]) -> Iterator[tuple[cs.MX, cs.MX, cs.MX, int]]:
        """Yield where the results of all steps are put side by side, with a symbol for these to be put there whole."""
        first = {self.start * STRIDE + place: k for k, place in enumerate(each)}
        length = self.period * STRIDE
        for position in range(self.start + self.times * self.period, len(self.tape.nodes)):
            node, read = self.tape.nodes[position], self.tape.reads[position]
            if node.op() not in (cs.OP_HORZCAT, cs.OP_VERTCAT) or len(read) < self.times:
                continue
            begin = next((i for i, value in enumerate(read) if value in first), None)
            if begin is None or read[begin : begin + self.times] != tuple(
                range(read[begin], read[begin] + self.times * length, length)
            ):
                continue
            rows, columns = node.dep(begin).shape
            whole = cs.MX.sym("whole", rows, columns * self.times)
            middle = whole
            if node.op() == cs.OP_VERTCAT:
                if columns > 1:
                    continue
                middle = cs.reshape(whole, rows * self.times, 1)
            before = [node.dep(i) for i in range(begin)]
            after = [node.dep(i) for i in range(begin + self.times, len(read))]
            join = cs.horzcat if node.op() == cs.OP_HORZCAT else cs.vertcat
            yield node, join(*before, middle, *after), whole, first[read[begin]]


def _ended(node: cs.MX, is_end: bool) -> cs.MX:
    return without_reverse_sweep(*node.shape)(node) if is_end else node


def _packed(nodes: list[cs.MX]) -> tuple[list[cs.MX], list[cs.MX], list[cs.MX]]:
    """Return symbols for nodes, what stands for each, and what the symbols stand for: of small ones one column.

    Every operand of a call is copied by an instruction of its own, there and back.
    """
    small = [k for k, node in enumerate(nodes) if node.numel() <= _LARGEST_PACKED]
    values = [cs.MX.sym("shared", *node.shape) for node in nodes]
    if len(small) < 2:
        return values, list(values), nodes
    together = cs.veccat(*(nodes[k] for k in small))
    column = cs.MX.sym("shared", together.numel())
    ends = itertools.accumulate((nodes[k].numel() for k in small), initial=0)
    apart = list(values)
    for k, piece in zip(small, cs.vertsplit(column, list(ends)), strict=True):
        apart[k] = cs.reshape(piece, *nodes[k].shape)
    large = [k for k in range(len(nodes)) if k not in small]
    return [*(values[k] for k in large), column], apart, [*(nodes[k] for k in large), together]


def _side_by_side(row: Sequence[cs.MX]) -> cs.MX:
    """Return matrices of one shape side by side: those that lie in one array as one window, constants as one."""
    rows, columns = row[0].shape
    operations = {node.op() for node in row}
    if operations == {cs.OP_CONST}:
        return cs.MX(cs.DM(np.hstack([np.array(node.to_DM()) for node in row])))
    if operations == {cs.OP_RESHAPE}:
        return cs.reshape(_side_by_side([node.dep(0) for node in row]), rows, columns * len(row))
    if operations == {cs.OP_GETNONZEROS} and len({hash(node.dep(0)) for node in row}) == 1 and row[0].dep(0).is_dense():
        root = row[0].dep(0)
        indices = np.concatenate([indices_of(node.info()) for node in row])
        return taken(root, (root.numel(),), indices.reshape(columns * len(row), rows))
    return cs.horzcat(*row)
