"""Entries combined one after the other, in NumPy's order: few by nodes of a graph, many by calls of Functions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import casadi as cs

from archimedes_grad.arrays.trace_state import note_loop
from archimedes_grad.nodes.functions import called, graph_function
from archimedes_grad.nodes.gather import flat
from archimedes_grad.nodes.loops import Loop, looped
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.composition import counted

Combine = Callable[[cs.MX, cs.MX], cs.MX]

#: So many blocks are combined by nodes of the graph itself.
_IN_LINE = 32
#: About how many entries are combined in one call, and how many blocks at least.
_ENTRIES, _FEWEST = 64, 16
#: Up to this width, Functions combine single numbers.
_NARROW = 32


def all_results(entries: cs.MX, width: int, combine: Combine) -> cs.MX:
    """Return the running combination of the blocks of ``width`` entries that follow each other in a column."""
    return cs.vertcat(*_results(entries, width, combine, True))


def last_result(entries: cs.MX, width: int, combine: Combine) -> cs.MX:
    """Return the combination of all blocks of ``width`` entries that follow each other in a column."""
    return _results(entries, width, combine, False)[-1]


def _results(entries: cs.MX, width: int, combine: Combine, keeps_all: bool) -> list[cs.MX]:
    """Return the running combinations, in order: all of them, or some with the last one at the end."""
    length = entries.numel() // width - 1
    if not length:
        return [entries]
    first, rest = entries[:width], entries[width:]
    if length <= _IN_LINE:
        counted(2 * length, 2 * entries.numel())
        return [first, *_one_by_one(first, rest, combine)]
    each = min(length, max(_FEWEST, _ENTRIES // width))
    times, over = divmod(length, each)
    loop = Loop(_steps(each, width, combine, keeps_all), times, 1, 1)
    function = looped(loop)
    note_loop(function, loop)
    counted(8 + 2 * times, 4 * entries.numel())
    end = times * each * width
    last, _, *together = called(function, [first, cs.reshape(rest[:end], each * width, times)])
    results = [first, *map(flat, together)]
    if over:
        last, *together = called(_steps(over, width, combine, keeps_all), [last, rest[end:]])
        results += together
    return results if keeps_all else [last]


def _one_by_one(first: cs.MX, rest: cs.MX, combine: Combine) -> list[cs.MX]:
    """Return what comes of combining what there is with each block of a column."""
    results = [first]
    for block in cs.vertsplit(rest, first.numel()):
        results.append(combine(results[-1], block))
    return results[1:]


@functools.lru_cache(maxsize=256)
def _steps(length: int, width: int, combine: Combine, keeps_all: bool) -> cs.Function:
    """Return the Function of some steps: takes what there is and further blocks, gives the last result, maybe all."""
    with forward_nodes():
        first, rest = cs.MX.sym("first", width), cs.MX.sym("rest", length * width)
        results = _one_by_one(first, rest, combine)
        outputs = [results[-1], cs.vertcat(*results)] if keeps_all else [results[-1]]
        steps = graph_function("steps", [first, rest], outputs)
        return steps.expand() if width <= _NARROW else steps
