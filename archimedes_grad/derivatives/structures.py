"""Which entries of its arguments the results of a call are made of, values and derivatives alike.

CasADi's structure of a Jacobian has what is compared, too, but not what is read only through a call whose options say
that it has no derivative: a mask, or a value behind which no reverse sweep goes. And of a choice between Functions it
takes all results to be made of all arguments. So such calls are made again, as others that read the same, and then
CasADi is asked.
"""

from __future__ import annotations

import functools

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.derivatives.uses import MOVES
from archimedes_grad.nodes.dependence import body_of, branches_of, items_of, shared_by, summed_by
from archimedes_grad.nodes.given_derivatives import can_be_opened, is_without_reverse_sweep
from archimedes_grad.nodes.rebuilding import Rebuilding, opened, symbols_of
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.rules.branches import REGULAR_POINTS

#: Nodes whose entries are each one entry of an operand.
_MOVES_OF_ONE = MOVES - {cs.OP_ADDNONZEROS, cs.OP_HORZREPSUM}
#: Entries of a structure that is asked for, whatever the Function; more for one that reads few entries for each result.
_LARGEST = 1_000_000
_LARGEST_SHARE = 16

_Widths = list[npt.NDArray[np.int64]]


def with_structure(function: cs.Function) -> cs.Function | None:
    """Return a Function whose Jacobians have the structure of all that is read; None where it is not soon found."""
    most = max(_LARGEST, _LARGEST_SHARE * (function.nnz_in() + function.nnz_out()))
    if _entries(function, [np.full(1, function.nnz_in())] * function.n_out()) <= most:
        return _reading(function, {})
    made = _reading(function, {})
    return None if made is None or _entries(made, _widths(made, {})) > most else made


def _entries(function: cs.Function, widths: _Widths) -> int:
    """Return how many entries the structures of all Jacobians have at most."""
    return sum(function.nnz_out(k) * int(width.sum()) for k, width in enumerate(widths))


def _widths(function: cs.Function, known: dict[int, _Widths]) -> _Widths:
    """Return, for each output, of how many entries of each input one of its entries is made at most."""
    key, kind = hash(function), function.class_name()
    if key not in known:
        sizes = np.array([function.nnz_in(i) for i in range(function.n_in())], dtype=np.int64)
        if key in REGULAR_POINTS:
            known[key] = [np.ones_like(sizes)]
        elif kind == "MXFunction":
            known[key] = [np.minimum(width, sizes) for width in _widths_of_arrays(function, sizes, known)]
        elif kind == "MapSum":
            of_item = _widths(body_of(function), known)
            known[key] = [
                np.minimum(width * (items_of(function) if one_for_all else 1), sizes)
                for width, one_for_all in zip(of_item, summed_by(function), strict=True)
            ]
        elif kind == "SXFunction" and function.nnz_in() * function.nnz_out() <= _LARGEST:
            known[key] = [
                np.array([_longest_row(function.jac_sparsity(k, i)) for i in range(len(sizes))], dtype=np.int64)
                for k in range(function.n_out())
            ]
        else:
            known[key] = [sizes] * function.n_out()
    return known[key]


def _longest_row(structure: cs.Sparsity) -> int:
    return int(np.bincount(structure.row()).max()) if structure.nnz() else 0


def _widths_of_arrays(function: cs.Function, sizes: npt.NDArray[np.int64], known: dict[int, _Widths]) -> _Widths:
    nothing = np.zeros_like(sizes)
    found = [nothing] * function.n_out()
    # By the place in memory, which CasADi uses again; of what is not given, or not read, it is -1.
    places: dict[int, npt.NDArray[np.int64]] = {-1: nothing}
    for k in range(function.n_instructions()):
        operation, into = function.instruction_id(k), function.instruction_output(k)
        from_ = function.instruction_input(k)
        if operation == cs.OP_INPUT:
            width = nothing.copy()
            width[from_[0]] = 1
            places[into[0]] = width
            continue
        operands = [places[place] for place in from_]
        if operation == cs.OP_OUTPUT:
            found[into[0]] = np.maximum(found[into[0]], operands[0])
        elif operation == cs.OP_CALL:
            widths = _widths(function.instruction_MX(k).which_function(), known)
            for place, width in zip(into, widths, strict=True):
                of_operands = [count * operand for count, operand in zip(width, operands, strict=True)]
                places[place] = np.minimum(functools.reduce(np.add, of_operands, nothing), sizes)
            places[-1] = nothing
        else:
            whole = _width(operation, function.instruction_MX(k), operands, nothing)
            places |= dict.fromkeys(into, np.minimum(whole, sizes))
    return found


def _width(
    operation: int, node: cs.MX, operands: _Widths, nothing: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return of how many entries one of a node that is no call is made at most; of all, where that is not known."""
    if operation in _MOVES_OF_ONE:
        return functools.reduce(np.maximum, operands, nothing)
    total = functools.reduce(np.add, operands, nothing)
    if node.is_unary() or node.is_binary():
        return total
    return np.where(total > 0, np.iinfo(np.int64).max, nothing)


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
        body = _reading(body_of(function), known)
        known[key] = None if body is None else body.map(items_of(function), shared_by(function), summed_by(function))
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
