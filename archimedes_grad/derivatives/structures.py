"""Which entries of its arguments the results of a call are made of, values and derivatives alike.

CasADi's structure of a Jacobian has what is compared, too, but not what is read only through a call whose options say
that it has no derivative: a mask, or a value behind which no reverse sweep goes. And of a choice between Functions it
takes all results to be made of all arguments. So such calls are made again, as others that read the same, and then
CasADi is asked.
"""

from __future__ import annotations

import functools

import casadi as cs

from archimedes_grad.nodes.dependence import body_of, branches_of, items_of
from archimedes_grad.nodes.given_derivatives import can_be_opened, is_without_reverse_sweep
from archimedes_grad.nodes.rebuilding import Rebuilding, opened, symbols_of
from archimedes_grad.nodes.simplification import forward_nodes

#: Entries of the Jacobians of a Function up to which their structure is looked at.
_LARGEST = 250_000


def with_structure(function: cs.Function) -> cs.Function | None:
    """Return a Function whose Jacobians have the structure of all that is read; None where it is not soon found."""
    if function.nnz_in() * function.nnz_out() > _LARGEST:
        return None
    return _reading(function, {})


def _reading(function: cs.Function, known: dict[int, cs.Function | None]) -> cs.Function | None:
    """Return a Function that reads the same, in ways of which CasADi knows the structure."""
    key, kind = hash(function), function.class_name()
    if key in known:
        return known[key]
    if all(map(_is_known, (function, *function.find_functions()))):
        known[key] = function
    elif kind == "SXFunction":
        numbers = function.sx_in()
        known[key] = cs.Function("made_of", numbers, function.call(numbers))
    elif can_be_opened(function):
        known[key] = _of_arrays(function, known)
    elif kind == "Switch":
        known[key] = _of_choice(function, known)
    elif kind == "MapSum":
        body, one, items = _reading(body_of(function), known), body_of(function), items_of(function)
        shared = [function.size_in(i) == one.size_in(i) for i in range(one.n_in())]
        added = [function.size_out(k) == one.size_out(k) for k in range(one.n_out())]
        known[key] = body.map(items, shared, added) if body is not None else None
    else:
        known[key] = None
    return known[key]


def _is_known(function: cs.Function) -> bool:
    return function.class_name() != "Switch" and all([*function.is_diff_in(), *function.is_diff_out()])


def _of_choice(choice: cs.Function, known: dict[int, cs.Function | None]) -> cs.Function | None:
    """Return a Function that reads what any of the branches does."""
    branches = [_reading(branch, known) for branch in branches_of(choice)]
    if any(branch is None for branch in branches):
        return None
    with forward_nodes():
        inputs = symbols_of(choice)
        results = [branch.call(inputs[1:], False, True) for branch in branches if branch is not None]
        return cs.Function("made_of", inputs, [
            functools.reduce(functools.partial(cs.MX.binary, cs.OP_ADD), same, inputs[0])
            for same in zip(*results, strict=True)
        ])  # fmt: skip


def _of_arrays(function: cs.Function, known: dict[int, cs.Function | None]) -> cs.Function | None:
    with forward_nodes():
        inputs = symbols_of(function)
        rebuilding = _Reading(known)
        outputs = rebuilding.of(opened(function, inputs))
        return None if rebuilding.is_unknown else cs.Function("made_of", inputs, outputs)


class _Reading(Rebuilding):
    """Builds expressions again, with calls of which CasADi knows the structure."""

    def __init__(self, functions: dict[int, cs.Function | None]) -> None:
        super().__init__()
        self._functions = functions
        self.is_unknown = False

    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return the results of a call that reads the same as the one before."""
        if source.op() != cs.OP_CALL:
            return None
        function = source.which_function()
        if is_without_reverse_sweep(function):
            return operands
        made = _reading(function, self._functions)
        self.is_unknown |= made is None
        return None if made is None else list(made.call(operands, False, True))
