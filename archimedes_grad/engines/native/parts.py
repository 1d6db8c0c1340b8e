"""Large loops in parts, for several threads: which nests run so, and the C around a part."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archimedes_grad.engines.native.indices import spread
from archimedes_grad.engines.native.nests import Tile
from archimedes_grad.engines.native.schedule import Group
from archimedes_grad.engines.native.values import Reduction

#: About how many entries a part has.
_PART = 16_384
#: The sums of parts lie on the stack.
_MOST_PARTS = 512
#: Turns in a part: so many vectors are whole, and entries are what they are in one long loop.
_WHOLE = 16
#: Some 0.2 ms: several times what it takes to wake a thread.
_LEAST_WORK = 3_000_000


def tile_of_parts(group: Group) -> Tile | None:
    """Return the parts that a nest can run in: blocks of its outermost loop; None where it cannot, or is too small."""
    loops = group.loops
    if not loops:
        return None
    length, inner = loops[0], math.prod(loops[1:])
    wanted = max(_PART // inner, -(-length // _MOST_PARTS), 1)
    block = -(-wanted // _WHOLE) * _WHOLE if inner == 1 else wanted
    adds_up = [m for m in group.members if isinstance(m, Reduction) and not spread(m.kept, m.shape, loops)[0]]
    if length < 2 * block or any(member.size > 1 for member in adds_up):
        return None
    return Tile((length,), block, frozenset())


def is_worth_it(group: Group, weight: int) -> bool:
    """Tell whether a nest, with operations of this weight in each turn, takes longer than to wake threads."""
    return math.prod(group.loops or ()) * (weight + len(group.members)) >= _LEAST_WORK


def function_of_part(
    name: str, tile: Tile, numbers: Sequence[str], sums: Sequence[tuple[str, str]], body: Sequence[str]
) -> str:
    """Return the C function of a part.

    Parameters
    ----------
    numbers
        The single numbers that it reads.
    sums
        What adds up over the parts: a name, and the statement that sets it to its start.
    """
    lines = [
        "const surroundings *const s = context;",
        "const double *const *arg = s->arg, *const *data = s->data;",
        "double *const *res = s->res;",
        "double *w = s->w;",
        "(void)arg, (void)res, (void)w, (void)data;",
        *(f"const double {number} = s->numbers[{k}];" for k, number in enumerate(numbers)),
        *(f"double {start}" for _, start in sums),
        f"const long first = {tile.block}*part;",
        f"const long count = {tile.count};",
        *body,
        *(f"s->sums[{len(sums)}*part + {k}] = {total};" for k, (total, _) in enumerate(sums)),
    ]
    head = f"static NOT_INLINED void {name}(const void *context, long part)"
    return "\n".join([head, "{", *(f"    {line}" for line in lines), "}", ""])


def call_in_parts(
    name: str, tile: Tile, numbers: Sequence[str], starts: Sequence[str], updates: Sequence[str]
) -> list[str]:
    """Return the C that runs all parts, and adds up what they leave in ``sums[k]``: an update for each of them."""
    parts = -(-tile.axes[0] // tile.block)
    each = len(updates)
    return [
        f"const double numbers[] = {{{', '.join(numbers) or '0.0'}}};",
        f"double sums[{max(1, each * parts)}];",
        "const surroundings s = {arg, res, w, data, numbers, sums};",
        f"run_in_parts({name}, &s, {parts});",
        *starts,
        *(f"for (long k = {k}; k < {each * parts}; k += {each}) {update}" for k, update in enumerate(updates)),
    ]
