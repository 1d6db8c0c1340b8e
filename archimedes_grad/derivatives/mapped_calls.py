"""Maps of small blocks, evaluated in lots: one operation at a time for some hundred items.

They are found in the finished expressions, derivatives included, and built again as operations on arrays: ``lots.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import casadi as cs

from archimedes_grad.derivatives.lots import calls_within, items_of_a_lot, on_arrays
from archimedes_grad.nodes.dependence import body_of
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.given_derivatives import can_be_opened
from archimedes_grad.nodes.rebuilding import Rebuilding, opened

#: Maps of fewer items are left as they are.
_FEWEST_ITEMS = 64
_MAPS = ("Map", "MapSum")


def in_lots(function: cs.Function) -> cs.Function:
    """Return a Function with its maps of small blocks, those in the functions that it calls too, done in lots."""
    if not any(inner.class_name() in _MAPS for inner in function.find_functions()):
        return function
    inputs = function.mx_in()
    outputs = _InLots().of(opened(function, inputs))
    return graph_function(function.name(), inputs, outputs)


class _InLots(Rebuilding):
    """Expressions built again, with other functions called."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[int, cs.Function] = {}

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return the results of the function that is called instead."""
        function = self._called_instead(source.which_function()) if source.op() == cs.OP_CALL else None
        return None if function is None else function.call(operands, False, True)

    def _called_instead(self, function: cs.Function) -> cs.Function | None:
        """Return what is called instead of a function; None for the function itself."""
        if hash(function) not in self._functions:
            kind = function.class_name()
            if kind in _MAPS:
                self._functions[hash(function)] = _mapped_in_lots(function)
            elif can_be_opened(function):
                self._functions[hash(function)] = in_lots(function)
            else:
                self._functions[hash(function)] = function
        new = self._functions[hash(function)]
        return None if hash(new) == hash(function) else new


def _mapped_in_lots(mapped: cs.Function) -> cs.Function:
    """Return a map in lots; itself where its block is no function of numbers, or too large."""
    body = body_of(mapped)
    wanted = items_of_a_lot(body)
    sparsities = [body.sparsity_in(k) for k in range(body.n_in())] + [body.sparsity_out(k) for k in range(body.n_out())]
    full = all(sparsity.is_dense() or not sparsity.nnz() for sparsity in sparsities)
    if not body.is_a("SXFunction") or calls_within(body) or not full or wanted is None:
        return mapped
    # Of what a derivative does not depend on nothing is stored.
    inputs = [k for k in range(body.n_in()) if body.nnz_in(k)]
    outputs = [k for k in range(body.n_out()) if body.nnz_out(k)]
    times_in = {k: mapped.nnz_in(k) // body.nnz_in(k) for k in inputs}
    times_out = {k: mapped.nnz_out(k) // body.nnz_out(k) for k in outputs}
    n = max([*times_in.values(), *times_out.values()], default=0)
    if n < _FEWEST_ITEMS:
        return mapped
    # What all items share comes in once, and what they add up to goes out once.
    shared = {k: times == 1 for k, times in times_in.items()}
    added = {k: times == 1 for k, times in times_out.items()}
    size, rest = divmod(n, max(1, n // wanted))
    parts = [(_lot(body, size, shared, added), n // size)]
    if rest:
        parts.append((_lot(body, rest, shared, added), 1))
    return _one_after_the_other(mapped, parts, shared, added)


def _one_after_the_other(
    mapped: cs.Function, parts: Sequence[tuple[cs.Function, int]], shared: dict[int, bool], added: dict[int, bool]
) -> cs.Function:
    """Return a Function like a map that calls each part so many times, on the items that come next."""
    symbols = [cs.MX.sym(f"x{k}", mapped.sparsity_in(k)) for k in range(mapped.n_in())]
    starts = dict.fromkeys(shared, 0)
    results = []
    for lot, times in parts:
        arguments = []
        for position, (k, once) in enumerate(shared.items()):
            if once:
                arguments.append(symbols[k])
                continue
            stop = starts[k] + lot.size2_in(position) * times
            arguments.append(symbols[k][:, starts[k] : stop])
            starts[k] = stop
        several = lot.map(times, list(shared.values()), list(added.values())) if times > 1 else lot
        results.append(several.call(arguments, False, True))
    outputs = [cs.MX(mapped.sparsity_out(k)) for k in range(mapped.n_out())]
    for position, (k, sums) in enumerate(added.items()):
        own = [result[position] for result in results]
        outputs[k] = sum(own[1:], own[0]) if sums else cs.horzcat(*own)
    return cs.Function(f"lots_of_{mapped.name()}", symbols, outputs)


def _lot(body: cs.Function, size: int, shared: dict[int, bool], added: dict[int, bool]) -> cs.Function:
    """Return a Function of so many items: as the map of the body, its operations done for all items at a time."""
    symbols: list[cs.MX] = []
    rows: list[list[cs.MX]] = [[] for _ in range(body.n_in())]
    for k, once in shared.items():
        items = 1 if once else size
        symbols.append(cs.MX.sym(f"x{k}", body.size1_in(k), body.size2_in(k) * items))
        rows[k] = cs.vertsplit(cs.reshape(symbols[-1], body.numel_in(k), items))
    results = on_arrays(body, rows)
    outputs = []
    for k, sums in added.items():
        full = [entry if entry.size2() == size else cs.repmat(entry, 1, size) for entry in results[k]]
        together = cs.vertcat(*full)
        if sums:
            together = cs.mtimes(together, cs.MX.ones(size, 1))
        outputs.append(cs.reshape(together, body.size1_out(k), together.numel() // body.size1_out(k)))
    return cs.Function(f"lot_of_{body.name()}", symbols, outputs)
