"""What Functions that call others consist of, and what their outputs are made of."""

from __future__ import annotations

from collections.abc import Iterable

import casadi as cs

from archimedes_grad.nodes.given_derivatives import can_be_opened
from archimedes_grad.nodes.rebuilding import opened, ordered, symbols_of


def branches_of(choice: cs.Function) -> list[cs.Function]:
    """Return the Functions that a choice calls one of, the default one last."""
    info = choice.info()
    return [*info["f"], info["f_def"]]


def body_of(mapped: cs.Function) -> cs.Function:
    """Return the Function that a map calls for each item."""
    return mapped.find_functions(0)[0]


def items_of(mapped: cs.Function) -> int:
    """Return for how many items a map calls its Function."""
    body = body_of(mapped)
    sizes = [(mapped.numel_in(i), body.numel_in(i)) for i in range(body.n_in())]
    sizes += [(mapped.numel_out(k), body.numel_out(k)) for k in range(body.n_out())]
    return max((whole // one for whole, one in sizes if one), default=1)


def shared_by(mapped: cs.Function) -> list[bool]:
    """Tell of each input of a map whether it is passed once for all items."""
    body = body_of(mapped)
    return [mapped.size_in(i) == body.size_in(i) for i in range(body.n_in())]


def summed_by(mapped: cs.Function) -> list[bool]:
    """Tell of each output of a map whether it is the sum over all items."""
    body = body_of(mapped)
    return [mapped.size_out(k) == body.size_out(k) for k in range(body.n_out())]


def made_of(function: cs.Function, known: dict[int, list[set[int]]] | None = None) -> list[set[int]]:
    """Return which inputs each output of a Function is made of, in whatever way.

    Parameters
    ----------
    known
        The same of Functions that are kept alive, by their hashes; more are written into it.
    """
    # CasADi's own answer, `depends_on`, leaves out what has no derivative by its options.
    return _made_of(function, {} if known is None else known)


def _made_of(function: cs.Function, known: dict[int, list[set[int]]]) -> list[set[int]]:
    key, kind = hash(function), function.class_name()
    if key not in known:
        if kind == "SXFunction":
            numbers = function.sx_in()
            owners = {x.element_hash(): i for i, symbol in enumerate(numbers) for x in cs.symvar(symbol)}
            known[key] = [{owners[x.element_hash()] for x in cs.symvar(y)} for y in function.call(numbers)]
        elif can_be_opened(function):
            known[key] = _arrays_made_of(function, known)
        elif kind == "Switch":
            branches = [_made_of(branch, known) for branch in branches_of(function)]
            known[key] = [{0, *(i + 1 for i in set().union(*same))} for same in zip(*branches, strict=True)]
        elif kind == "MapSum":
            known[key] = _made_of(body_of(function), known)
        else:
            known[key] = [set(range(function.n_in())) for _ in range(function.n_out())]
    return known[key]


def _arrays_made_of(function: cs.Function, known: dict[int, list[set[int]]]) -> list[set[int]]:
    inputs = symbols_of(function)
    results = opened(function, inputs)
    found = {hash(symbol): {i} for i, symbol in enumerate(inputs)}
    for node in ordered(results, found):
        read: Iterable[int] = range(len(node.operands))
        if node.source.op() == cs.OP_CALL:
            read = _made_of(node.source.which_function(), known)[node.which]
        found[node.key] = set().union(*(found[node.operand_keys[k]] for k in read))
    return [found[hash(result)] for result in results]
