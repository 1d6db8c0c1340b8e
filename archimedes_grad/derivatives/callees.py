"""How the arguments of calls count inside the Functions that are called: everywhere, under conditions, or nowhere.

A branch of ``arc.cond`` that is not taken, and what ``np.where`` does not take in the body of a loop or in a derivative
inside, give the cotangent 0 to what they read from outside, and a singular operation there multiplies it by inf. So
Functions are looked into. Where an argument counts under conditions, another Function of the same arguments gives the
mask of where it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import casadi as cs

from archimedes_grad.derivatives.masks import in_full, masks_handed_on
from archimedes_grad.derivatives.uses import EVERYWHERE, SOMEWHERE, Arguments, Step, Use, steps_of
from archimedes_grad.nodes.given_derivatives import CUSTOM
from archimedes_grad.nodes.rebuilding import opened

#: Functions of more operations on numbers are not looked into.
_MOST_NUMBERS = 2_000
#: Masks may take so many instructions, or this share of what the Function itself takes; with dearer ones the arguments
#: count everywhere.
_CHEAP, _CHEAP_SHARE = 200, 0.5


class Callees:
    """The Functions that a graph calls, each looked into once."""

    def __init__(self) -> None:
        # With the Functions themselves, whose hashes stay taken.
        self._known: dict[tuple[int, tuple[int, ...]], tuple[cs.Function, Arguments]] = {}

    def arguments(self, function: cs.Function, outputs: tuple[int, ...]) -> Arguments:
        """Return how the arguments of a Function count for some of its outputs."""
        key = hash(function), outputs
        if key not in self._known:
            found = self._looked_into(function, outputs)
            if found.masks is not None and _work(found.masks) > max(_CHEAP, _CHEAP_SHARE * _work(function)):
                found = found.without_masks()
            self._known[key] = function, found
        return self._known[key][1]

    def _looked_into(self, function: cs.Function, outputs: tuple[int, ...]) -> Arguments:
        kind = function.class_name()
        if kind == "Switch":
            return self._of_choice(function, outputs)
        if kind == "MapSum":
            return self._of_map(function, outputs)
        if kind == "MXFunction" and function.name() != CUSTOM:
            inputs = function.mx_in()
            results = opened(function, inputs)
            return self._of_expressions(inputs, [results[k] for k in outputs])
        if kind == "SXFunction" and (found := _on_numbers(function)) is not None:
            inputs, results = found
            arguments = self._of_expressions(inputs, [results[k] for k in outputs])
            return arguments if arguments.masks is None else replace(arguments, masks=_of_numbers(arguments.masks))
        return Arguments([EVERYWHERE] * function.n_in(), [EVERYWHERE] * function.n_in())

    def _of_expressions(self, inputs: Sequence[cs.MX], results: Sequence[cs.MX]) -> Arguments:
        derivatives = _uses(inputs, steps_of(results, self.arguments))
        steps = steps_of(results, self.arguments, of_values=True)
        values = _uses(inputs, steps)
        both = zip(derivatives, values, strict=True)
        wanted = [k for k, (use, value) in enumerate(both) if use == value == SOMEWHERE]
        if not wanted:
            return Arguments(derivatives, values)
        for step in reversed(steps):
            if any(use is not None for use in step.handed):
                masks_handed_on(steps, step)
        found = {hash(step.source): step.masks for step in steps}
        masks = {k: mask[0] for k in wanted if (mask := found[hash(inputs[k])]) and mask[0] is not None}
        return _with_masks(derivatives, values, inputs, masks)

    def _of_choice(self, function: cs.Function, outputs: tuple[int, ...]) -> Arguments:
        info = function.info()
        branches = [*info["f"], info["f_def"]]
        found = [self.arguments(branch, outputs) for branch in branches]
        derivatives = [None, *map(_of_any, zip(*(each.derivatives for each in found), strict=True))]
        values = [EVERYWHERE, *map(_of_any, zip(*(each.values for each in found), strict=True))]
        both = zip(derivatives, values, strict=True)
        wanted = [
            k
            for k, (use, value) in enumerate(both)
            if use == value == SOMEWHERE
            and all(k - 1 in each.known or each.values[k - 1] != SOMEWHERE for each in found)
        ]
        if not wanted or info["project_in"] or info["project_out"]:
            return Arguments(derivatives, values).without_masks()
        inputs = [cs.MX.sym(f"x{i}", function.sparsity_in(i)) for i in range(function.n_in())]
        of_branches = []
        for each in found:
            masks = each.masks_at(inputs[1:])
            of_branch = []
            for k in wanted:
                nowhere = each.values[k - 1] is None
                full = cs.MX.zeros(*inputs[k].shape) if nowhere else cs.MX.ones(*inputs[k].shape)
                of_branch.append(masks.get(k - 1, full))
            of_branches.append(cs.Function("masks", inputs[1:], of_branch))
        chosen = cs.Function.conditional("masks", of_branches[:-1], of_branches[-1]).call(inputs, False, True)
        return _with_masks(derivatives, values, inputs, dict(zip(wanted, chosen, strict=True)))

    def _of_map(self, function: cs.Function, outputs: tuple[int, ...]) -> Arguments:
        body = function.find_functions(0)[0]
        found = self.arguments(body, outputs)
        sizes = [(function.numel_in(i), body.numel_in(i)) for i in range(body.n_in())]
        sizes += [(function.numel_out(k), body.numel_out(k)) for k in range(body.n_out())]
        items = max((whole // one for whole, one in sizes if one), default=1)
        if found.masks is None or items < 2:
            return found.without_masks()
        shared = [function.size_in(i) == body.size_in(i) for i in range(body.n_in())]
        inputs = [cs.MX.sym(f"x{i}", function.sparsity_in(i)) for i in range(function.n_in())]
        side_by_side = found.masks.map(items, shared, [False] * len(found.known)).call(inputs, False, True)
        masks = {
            k: cs.repsum(mask, 1, items) if shared[k] else mask
            for k, mask in zip(found.known, side_by_side, strict=True)
        }
        return _with_masks(found.derivatives, found.values, inputs, masks)


def _uses(inputs: Sequence[cs.MX], steps: Sequence[Step]) -> list[Use | None]:
    found = {hash(step.source): step.uses[0] for step in steps}
    uses = [found.get(hash(symbol)) for symbol in inputs]
    return [use if use is None or use.everywhere else SOMEWHERE for use in uses]


def _of_any(uses: Sequence[Use | None]) -> Use | None:
    """Return how an argument counts for one of several branches."""
    return uses[0] if all(use == uses[0] for use in uses) else SOMEWHERE


def _with_masks(
    derivatives: Sequence[Use | None], values: Sequence[Use | None], inputs: Sequence[cs.MX], masks: dict[int, cs.MX]
) -> Arguments:
    if not masks:
        return Arguments(derivatives, values).without_masks()
    outputs = [in_full(mask, *inputs[k].shape) for k, mask in masks.items()]
    # Conditions have no derivatives, and nothing shall be computed for those.
    function = cs.Function("masks", list(inputs), outputs, _without_derivatives(inputs))
    return Arguments(derivatives, values, function, tuple(masks)).without_masks(but=tuple(masks))


def _without_derivatives(inputs: Sequence[cs.MX]) -> dict[str, list[bool]]:
    return {"is_diff_in": [False] * len(inputs)}


def _of_numbers(masks: cs.Function) -> cs.Function:
    return masks.expand(masks.name(), _without_derivatives(masks.mx_in()))


def _on_numbers(function: cs.Function) -> tuple[list[cs.MX], list[cs.MX]] | None:
    """Return a Function of numbers as expressions of arrays; None for a large one, and where it calls others."""
    n = function.n_instructions()
    dense = all(function.sparsity_in(i).is_dense() for i in range(function.n_in()))
    if n > _MOST_NUMBERS or not dense or any(function.instruction_id(k) == cs.OP_CALL for k in range(n)):
        return None
    inputs = [cs.MX.sym(f"x{i}", *function.size_in(i)) for i in range(function.n_in())]
    entries = [cs.vertsplit(cs.vec(x)) if x.numel() else [] for x in inputs]
    numbers: dict[int, cs.MX] = {}
    results = [[cs.MX(0.0)] * function.nnz_out(k) for k in range(function.n_out())]
    for k in range(n):
        operation, into = function.instruction_id(k), function.instruction_output(k)
        from_ = function.instruction_input(k)
        if operation == cs.OP_INPUT:
            numbers[into[0]] = entries[from_[0]][from_[1]]
        elif operation == cs.OP_OUTPUT:
            results[into[0]][into[1]] = numbers[from_[0]]
        elif operation == cs.OP_CONST:
            numbers[into[0]] = cs.MX(function.instruction_constant(k))
        elif len(from_) == 1:
            numbers[into[0]] = cs.MX.unary(operation, numbers[from_[0]])
        else:
            numbers[into[0]] = cs.MX.binary(operation, numbers[from_[0]], numbers[from_[1]])
    return inputs, [
        cs.sparsity_cast(cs.vertcat(*result), function.sparsity_out(k)) if result else cs.MX(function.sparsity_out(k))
        for k, result in enumerate(results)
    ]


def _work(function: cs.Function) -> int:
    """Return about how many instructions an evaluation takes."""
    return _counted(function, {})


def _counted(function: cs.Function, known: dict[int, int]) -> int:
    key = hash(function)
    if key in known:
        return known[key]
    kind = function.class_name()
    if kind == "Switch":
        info = function.info()
        count = max(_counted(branch, known) for branch in [*info["f"], info["f_def"]])
    elif kind == "MapSum":
        body = function.find_functions(0)[0]
        sizes = [(function.numel_in(i), body.numel_in(i)) for i in range(body.n_in())]
        count = max((whole // one for whole, one in sizes if one), default=1) * _counted(body, known)
    elif kind == "MXFunction":
        count = function.n_instructions()
        for k in range(function.n_instructions()):
            if function.instruction_id(k) == cs.OP_CALL:
                count += _counted(function.instruction_MX(k).which_function(), known)
    else:
        count = function.n_instructions() if kind == "SXFunction" else _CHEAP
    known[key] = count
    return count
