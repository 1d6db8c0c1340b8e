"""Where the instructions of an unrolled graph repeat, and what the steps of a repetition read."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import casadi as cs
import numpy as np
import numpy.typing as npt

#: Fewer equal steps stay as they are.
_FEWEST_STEPS = 16
#: Fewer instructions in all of them, too.
_FEWEST_INSTRUCTIONS = 1_000
#: How many steps back a step may read: each takes a carry of its own.
_FARTHEST_READ = 4
#: Periods tried.
_MOST_PERIODS = 16
#: Instructions that do the same in one step: a period is found by those of which there are no more.
_MOST_ALIKE = 12

_SOURCES = (cs.OP_CONST, cs.OP_INPUT, cs.OP_PARAMETER)
_MOVEMENTS = (cs.OP_GETNONZEROS, cs.OP_RESHAPE, cs.OP_SPARSITY_CAST, cs.OP_TRANSPOSE)
#: Besides elementwise ones, the operations that are told apart by shape, number of operands, and what ``info`` says.
_COMPARABLE = (
    *_MOVEMENTS, cs.OP_SETNONZEROS, cs.OP_ADDNONZEROS, cs.OP_GETNONZEROS_PARAM, cs.OP_HORZCAT, cs.OP_VERTCAT,
    cs.OP_DIAGCAT, cs.OP_HORZSPLIT, cs.OP_VERTSPLIT, cs.OP_DIAGSPLIT, cs.OP_HORZREPMAT, cs.OP_HORZREPSUM, cs.OP_MTIMES,
    cs.OP_DOT, cs.OP_EINSTEIN, cs.OP_MMAX, cs.OP_MMIN, cs.OP_NORM1, cs.OP_NORM2, cs.OP_NORMF, cs.OP_NORMINF,
)  # fmt: skip

#: A value is the position of its instruction times this, plus the number of the output; of a source it is negative.
STRIDE = 1 << 20
#: What an instruction reads where an operand is left out.
_NOTHING = -(1 << 60)

Indices = npt.NDArray[np.int64]


class Tape:
    """The instructions of a Function of arrays that compute something, in their order.

    Attributes
    ----------
    nodes
        What each is in the graph.
    codes
        Equal where two do the same to their operands; what cannot be compared has a code of its own.
    reads
        The values that each reads.
    results
        The values that are outputs of the Function, each with the number of the output that it is, or is a part of.
    operations
        All that there are.
    """

    def __init__(self, function: cs.Function) -> None:
        self.nodes: list[cs.MX] = []
        self.reads: list[tuple[int, ...]] = []
        self.results: list[tuple[int, int]] = []
        self.operations: set[int] = set()
        self._codes: dict[Any, int] = {}
        self._elementwise: dict[int, bool] = {}
        codes: list[int] = []
        holds: dict[int, int] = {}  # What is in a place of the work vector.
        sources: dict[Any, int] = {}
        for k in range(function.n_instructions()):
            operation, places = function.instruction_id(k), function.instruction_input(k)
            if operation == cs.OP_OUTPUT:
                self.results.append((holds[places[0]], function.instruction_output(k)[0]))
                continue
            read = () if operation in _SOURCES else tuple(holds[place] if place >= 0 else _NOTHING for place in places)
            targets = function.instruction_output(k)
            if operation in _SOURCES or (operation in _MOVEMENTS and max(read) < 0):
                # Equal constants are one source.
                source = _content(function.instruction_MX(k)) if operation == cs.OP_CONST else k
                holds[targets[0]] = -1 - sources.setdefault(source, len(sources))
                continue
            self.operations.add(operation)
            node = function.instruction_MX(k)
            for number, target in enumerate(targets):
                holds[target] = len(self.nodes) * STRIDE + number
            self.nodes.append(node)
            self.reads.append(read)
            codes.append(self._code(operation, node, read))
        self.codes = np.array(codes, dtype=np.int64)

    def _code(self, operation: int, node: cs.MX, read: tuple[int, ...]) -> int:
        if operation not in self._elementwise:
            self._elementwise[operation] = node.is_binary() or node.is_unary()
        key: Any = None, len(self.nodes)
        if _NOTHING not in read:
            if operation == cs.OP_CALL:
                key = operation, hash(node.which_function())
            elif node.is_dense() or node.has_output():
                if self._elementwise[operation]:
                    key = operation, node.size()
                elif operation in _COMPARABLE:
                    key = operation, node.size(), len(read), str(node.info())
        return self._codes.setdefault(key, len(self._codes))


def _content(constant: cs.MX) -> Any:
    return constant.shape, constant.is_dense(), np.array(constant.to_DM()).tobytes()


def repetitions(codes: Indices) -> Iterator[tuple[int, int, int]]:
    """Yield where codes repeat: start, period and number of periods; the shortest period of the longest first."""
    gaps: Counter[int] = Counter()
    order = np.argsort(codes, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        for apart in range(1, min(_MOST_ALIKE, places.size // _FEWEST_STEPS) + 1):
            distances, counts = np.unique(places[apart:] - places[:-apart], return_counts=True)
            gaps[int(distances[np.argmax(counts)])] += int(np.max(counts))
    runs = []
    for period, _ in gaps.most_common(_MOST_PERIODS):
        equal = np.concatenate([[False], codes[period:] == codes[: codes.size - period], [False]])
        edges = np.flatnonzero(np.diff(equal.astype(np.int8)))
        if edges.size:
            begins, ends = edges[::2], edges[1::2]
            longest = int(np.argmax(ends - begins))
            length = int(ends[longest] - begins[longest]) + period
            if length >= max(_FEWEST_INSTRUCTIONS, _FEWEST_STEPS * period):
                runs.append((int(begins[longest]), period, length))
    for start, period, length in sorted(runs, key=lambda run: (run[1] - run[2], run[1])):
        yield start, period, length // period


def phase(tape: Tape, start: int, period: int, times: int, cost: Callable[[cs.MX], int]) -> int:
    """Return where in a period to begin a step so that least is carried from one to the next, by what a value costs."""
    middle = start + times // 2 * period
    last_read: dict[int, int] = {}
    for position in range(middle, min(middle + 2 * period, start + times * period)):
        for value in tape.reads[position]:
            if middle <= value // STRIDE < middle + period:
                last_read[value // STRIDE] = position
    carried = np.zeros(2 * period + 1, dtype=np.int64)
    for position, reader in last_read.items():
        size = cost(tape.nodes[position])
        carried[position + 1 - middle] += size
        carried[reader + 1 - middle] -= size
    across = np.cumsum(carried)[: 2 * period].reshape(2, period).sum(axis=0)
    return int(np.argmin(across))


class Reads(NamedTuple):
    """What the steps of a repetition read from elsewhere, and what is read of theirs.

    Attributes
    ----------
    carried
        For the place of a value within the step and how many steps ago it was made: what it is at first.
    places
        Where the step reads from elsewhere: the instruction within it, the operand, and what that is. That is a key of
        ``carried``, a value from outside, or a tuple with a value from outside for each step.
    last, each
        Values, by their places, that are read after the loop: of the last step only, or of others too.
    """

    carried: dict[tuple[int, int], int]
    places: list[tuple[int, int, Any]]
    last: list[int]
    each: list[int]


def reads_of(tape: Tape, start: int, period: int, times: int) -> Reads | None:
    """Return what steps read, where all of them read alike; None where one does not."""
    first, length = start * STRIDE, period * STRIDE
    after = first + times * length
    carried: dict[tuple[int, int], int] = {}
    places: list[tuple[int, int, Any]] = []
    for offset in range(period):
        steps = [tape.reads[start + offset + k * period] for k in range(times)]
        for operand, column in enumerate(zip(*steps, strict=True)):
            read = np.array(column)
            inside = read >= first
            if not inside.any():
                places.append((offset, operand, column[0] if np.all(read == read[0]) else column))
                continue
            place = read - first - np.arange(times) * length  # Within the reader's own step; negative in those before.
            ago = int(-(place[-1] // length))
            if ago > _FARTHEST_READ or inside[:ago].any() or not np.all(place[ago:] == place[-1]):
                return None
            if ago == 0:
                continue
            made = int(place[-1]) + ago * length
            for k in range(ago):
                if carried.setdefault((made, ago - k), column[k]) != column[k]:
                    return None
            places.append((offset, operand, (made, ago)))
    used: dict[int, set[int]] = {}
    later = itertools.chain(*tape.reads[start + times * period :], (value for value, _ in tape.results))
    for value in later:
        if first <= value < after:
            used.setdefault((value - first) % length, set()).add((value - first) // length)
    last = [place for place, steps in used.items() if steps == {times - 1}]
    return Reads(carried, places, sorted(last), sorted(set(used) - set(last)))
