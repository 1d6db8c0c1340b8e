"""How the arguments of calls count inside the Functions that are called: everywhere, under conditions, or nowhere.

A branch of ``arc.cond`` that is not taken, and what ``np.where`` does not take in the body of a loop or in a derivative
inside, give the cotangent 0 to what they read from outside, and a singular operation there multiplies it by inf. So
Functions are looked into. Where an argument counts under conditions, another Function of the same arguments gives the
mask of where it does.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import casadi as cs

from archimedes_grad.derivatives.masks import in_full, masks_handed_on
from archimedes_grad.derivatives.uses import EVERYWHERE, SOMEWHERE, Arguments, Masks, Step, Use, steps_of
from archimedes_grad.nodes.dependence import body_of, branches_of, items_of
from archimedes_grad.nodes.given_derivatives import can_be_opened
from archimedes_grad.nodes.loops import GUARDED
from archimedes_grad.nodes.rebuilding import opened, symbols_of

#: Functions of more operations on numbers are not looked into.
_MOST_NUMBERS = 2_000
#: Masks may take so many instructions, or this share of what the Function itself takes; with dearer ones the arguments
#: count everywhere.
_CHEAP, _CHEAP_SHARE = 200, 0.5

_Uses = Sequence[Use | None]
#: Of which outputs of which Function, by its hash.
_Key = tuple[int, tuple[int, ...]]


class Callees:
    """The Functions that a graph calls, each looked into once."""

    def __init__(self) -> None:
        self._functions: list[cs.Function] = []  # Their hashes stay taken.
        self._uses: dict[tuple[_Key, bool], _Uses] = {}
        self._masks: dict[_Key, Masks | None] = {}
        self._expressions: dict[_Key, tuple[list[cs.MX], list[cs.MX]] | None] = {}
        # Of values, for their masks.
        self._steps: dict[_Key, list[Step]] = {}

    def arguments(self, function: cs.Function, outputs: tuple[int, ...], of_values: bool) -> Arguments:
        """Return how the arguments of a Function count for some of its outputs."""
        uses = self._uses_of(function, outputs, of_values)
        if SOMEWHERE not in uses:
            return Arguments(uses)
        masks = self._masks_of(function, outputs)
        known = () if masks is None else masks.known
        unknown = [k for k, use in enumerate(uses) if use == SOMEWHERE and k not in known]
        return Arguments([EVERYWHERE if k in unknown else use for k, use in enumerate(uses)], masks)

    def _uses_of(self, function: cs.Function, outputs: tuple[int, ...], of_values: bool) -> _Uses:
        key = (hash(function), outputs), of_values
        if key not in self._uses:
            self._functions.append(function)
            self._uses[key] = self._looked_into(function, outputs, of_values)
        return self._uses[key]

    def _looked_into(self, function: cs.Function, outputs: tuple[int, ...], of_values: bool) -> _Uses:
        kind = function.class_name()
        if kind == "Switch":
            found = [self._uses_of(branch, outputs, of_values) for branch in branches_of(function)]
            return [EVERYWHERE if of_values else None, *map(_of_any, zip(*found, strict=True))]
        if kind == "MapSum":
            return self._uses_of(body_of(function), outputs, of_values)
        expressions = self._expressions_of(function, outputs)
        if expressions is None:
            return [EVERYWHERE] * function.n_in()
        inputs, results = expressions
        steps = steps_of(results, self.arguments, inside=True, of_values=of_values)
        if of_values:
            self._steps[hash(function), outputs] = steps
        found_uses = {hash(step.source): step.uses[0] for step in steps}
        uses = [found_uses.get(hash(symbol)) for symbol in inputs]
        return [use if use is None or use.everywhere else SOMEWHERE for use in uses]

    def _expressions_of(
        self, function: cs.Function, outputs: tuple[int, ...]
    ) -> tuple[list[cs.MX], list[cs.MX]] | None:
        """Return what arrays some outputs of a Function are as expressions of others; None where that is not known."""
        key = hash(function), outputs
        if key not in self._expressions:
            found = None
            if function.class_name() == "SXFunction":
                found = _on_numbers(function)
            elif can_be_opened(function):
                inputs = symbols_of(function)
                found = inputs, opened(function, inputs)
            self._expressions[key] = None if found is None else (found[0], [found[1][k] for k in outputs])
        return self._expressions[key]

    def _masks_of(self, function: cs.Function, outputs: tuple[int, ...]) -> Masks | None:
        """Return the masks of the arguments that count under conditions, for values too; None where there are none."""
        key = hash(function), outputs
        if key not in self._masks:
            both = zip(self._uses_of(function, outputs, False), self._uses_of(function, outputs, True), strict=True)
            wanted = [k for k, (use, value) in enumerate(both) if use == value == SOMEWHERE]
            made = self._made_masks(function, outputs, wanted) if wanted else None
            if made is not None and _work(made.function) > max(_CHEAP, _CHEAP_SHARE * _work(function)):
                made = None
            self._masks[key] = made
        return self._masks[key]

    def _made_masks(self, function: cs.Function, outputs: tuple[int, ...], wanted: list[int]) -> Masks | None:
        kind = function.class_name()
        if kind == "Switch":
            return self._masks_of_choice(function, outputs, wanted)
        if kind == "MapSum":
            return self._masks_of_map(function, outputs)
        expressions = self._expressions_of(function, outputs)
        assert expressions is not None
        inputs, _ = expressions
        steps = self._steps[hash(function), outputs]
        for step in reversed(steps):
            if any(use is not None for use in step.handed):
                masks_handed_on(steps, step)
        made = _masks(inputs, _found(inputs, steps, wanted))
        if made is None or kind != "SXFunction":
            return made
        return Masks(made.function.expand("masks", _without_derivatives(inputs)), made.known)

    def _masks_of_choice(self, function: cs.Function, outputs: tuple[int, ...], wanted: list[int]) -> Masks | None:
        inputs = symbols_of(function)
        branches = branches_of(function)
        of_branches = []
        for branch in branches:
            arguments = self.arguments(branch, outputs, True)
            found = arguments.masks_at(inputs[1:])
            of_branches.append([
                found.get(k - 1, (cs.MX.zeros if arguments.uses[k - 1] is None else cs.MX.ones)(*inputs[k].shape))
                for k in wanted
            ])  # fmt: skip
        if function.name() == GUARDED:
            # Whether a step is taken hangs on the carry: masks count as if it were.
            joined = [functools.reduce(operator.add, same) for same in zip(*of_branches, strict=True)]
            return _masks(inputs, dict(zip(wanted, joined, strict=True)))
        functions = [cs.Function("masks", inputs[1:], of_branch) for of_branch in of_branches]
        chosen = cs.Function.conditional("masks", functions[:-1], functions[-1]).call(inputs, False, True)
        return _masks(inputs, dict(zip(wanted, chosen, strict=True)))

    def _masks_of_map(self, function: cs.Function, outputs: tuple[int, ...]) -> Masks | None:
        body = body_of(function)
        found, items = self._masks_of(body, outputs), items_of(function)
        if found is None or items < 2:
            return None
        shared = [function.size_in(i) == body.size_in(i) for i in range(body.n_in())]
        inputs = symbols_of(function)
        of_items = found.function.map(items, shared, [False] * len(found.known)).call(inputs, False, True)
        return _masks(inputs, {
            k: cs.repsum(mask, 1, items) if shared[k] else mask for k, mask in zip(found.known, of_items, strict=True)
        })  # fmt: skip


def _of_any(uses: _Uses) -> Use | None:
    """Return how an argument counts for one of several branches."""
    return uses[0] if all(use == uses[0] for use in uses) else SOMEWHERE


def _found(inputs: Sequence[cs.MX], steps: Sequence[Step], wanted: Sequence[int]) -> dict[int, cs.MX]:
    masks = {hash(step.source): step.masks for step in steps}
    return {k: mask for k in wanted for mask in masks[hash(inputs[k])] if mask is not None}


def _masks(inputs: Sequence[cs.MX], masks: dict[int, cs.MX]) -> Masks | None:
    if not masks:
        return None
    outputs = [in_full(mask, *inputs[k].shape) for k, mask in masks.items()]
    return Masks(cs.Function("masks", list(inputs), outputs, _without_derivatives(inputs)), tuple(masks))


def _without_derivatives(inputs: Sequence[cs.MX]) -> dict[str, list[bool]]:
    return {"is_diff_in": [False] * len(inputs)}


def _on_numbers(function: cs.Function) -> tuple[list[cs.MX], list[cs.MX]] | None:
    """Return a Function of numbers as expressions of arrays; None for a large one, and where it calls others."""
    n = function.n_instructions()
    dense = all(function.sparsity_in(i).is_dense() for i in range(function.n_in()))
    if n > _MOST_NUMBERS or not dense or any(function.instruction_id(k) == cs.OP_CALL for k in range(n)):
        return None
    inputs = symbols_of(function)
    entries = [cs.vertsplit(cs.vec(x)) if x.numel() else [] for x in inputs]
    numbers: dict[int, cs.MX] = {}
    results = [[cs.MX(0.0)] * function.nnz_out(k) for k in range(function.n_out())]
    for k in range(n):
        operation = function.instruction_id(k)
        from_, into = function.instruction_input(k), function.instruction_output(k)
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
    key, kind = hash(function), function.class_name()
    if key not in known:
        if kind == "Switch":
            known[key] = max(_counted(branch, known) for branch in branches_of(function))
        elif kind == "MapSum":
            known[key] = items_of(function) * _counted(body_of(function), known)
        elif kind in ("MXFunction", "SXFunction"):
            known[key] = n = function.n_instructions()
            if kind == "MXFunction":
                called = [k for k in range(n) if function.instruction_id(k) == cs.OP_CALL]
                known[key] += sum(_counted(function.instruction_MX(k).which_function(), known) for k in called)
        else:
            known[key] = _CHEAP
    return known[key]
