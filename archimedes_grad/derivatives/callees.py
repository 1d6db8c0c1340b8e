"""How the arguments of calls count inside the Functions that are called: everywhere, under conditions, or nowhere.

A branch of ``arc.cond`` that is not taken, and what ``np.where`` does not take in the body of a loop or in a derivative
inside, give the cotangent 0 to what they read from outside, and a singular operation there multiplies it by inf. So
Functions are looked into. Where an argument counts under conditions, another Function of the same arguments gives the
mask of where it does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import casadi as cs

from archimedes_grad.derivatives.masks import in_full, masks_handed_on
from archimedes_grad.derivatives.numbers import Instruction, NumbersCount, instructions_of
from archimedes_grad.derivatives.uses import EVERYWHERE, SOMEWHERE, Arguments, Masks, Step, Use, steps_of
from archimedes_grad.nodes.dependence import body_of, branches_of, items_of, made_of, shared_by
from archimedes_grad.nodes.given_derivatives import can_be_opened
from archimedes_grad.nodes.rebuilding import opened, symbols_of
from archimedes_grad.rules.words import only_where

_Uses = Sequence[Use | None]
#: Of which outputs of which Function, by its hash; and whether of values.
_Outputs = tuple[int, tuple[int, ...]]
_Key = tuple[int, tuple[int, ...], bool]


class Callees:
    """The Functions that a graph calls, each looked into once."""

    def __init__(self) -> None:
        self._functions: list[cs.Function] = []  # Their hashes stay taken.
        self._uses: dict[_Key, _Uses] = {}
        self._alike: dict[_Outputs, Sequence[bool]] = {}
        self._masks: dict[_Outputs, Masks | None] = {}
        self._functions_through: dict[_Outputs, cs.Function] = {}
        self._expressions: dict[_Outputs, tuple[list[cs.MX], list[cs.MX]]] = {}
        self._steps: dict[_Key, list[Step]] = {}
        self._numbers: dict[_Key, NumbersCount] = {}
        # What outputs of Functions are made of; they live as long as the masks.
        self._made_of: dict[int, list[set[int]]] = {}
        self._instructions: dict[int, list[Instruction]] = {}

    def arguments(self, function: cs.Function, outputs: tuple[int, ...], of_values: bool) -> Arguments:
        """Return how the arguments of a Function count for some of its outputs."""
        uses = self._uses_of(function, outputs, of_values)
        through = functools.partial(self._through, function, outputs) if can_be_opened(function) else None
        if of_values or SOMEWHERE not in uses:
            return Arguments(uses, through=through)
        masks = self._masks_of(function, outputs)
        known = [] if masks is None else [k for k in masks.known if not masks.is_everywhere(k)]
        certain = [EVERYWHERE if use == SOMEWHERE and k not in known else use for k, use in enumerate(uses)]
        alike = self._values_count_alike(function, outputs)
        are_compared = any(use == SOMEWHERE and not same for use, same in zip(certain, alike, strict=True))
        return Arguments(certain, masks, are_compared, through)

    def _uses_of(self, function: cs.Function, outputs: tuple[int, ...], of_values: bool) -> _Uses:
        key = hash(function), outputs, of_values
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
        if kind == "SXFunction":
            if hash(function) not in self._instructions:
                self._instructions[hash(function)] = instructions_of(function)
            beside = self._numbers.get((hash(function), outputs, not of_values))
            numbers = NumbersCount(function, self._instructions[hash(function)], outputs, of_values, beside)
            self._numbers[hash(function), outputs, of_values] = numbers
            return numbers.uses
        if not can_be_opened(function):
            return [EVERYWHERE] * function.n_in()
        inputs, results = self._expressions_of(function, outputs)
        steps = steps_of(results, self.arguments, inside=True, of_values=of_values)
        self._steps[hash(function), outputs, of_values] = steps
        found_uses = {hash(step.source): step.uses[0] for step in steps}
        uses = [found_uses.get(hash(symbol)) for symbol in inputs]
        return [use if use is None or use.everywhere else SOMEWHERE for use in uses]

    def _expressions_of(self, function: cs.Function, outputs: tuple[int, ...]) -> tuple[list[cs.MX], list[cs.MX]]:
        """Return the inputs of a Function, and some of its outputs as expressions of them."""
        key = hash(function), outputs
        if key not in self._expressions:
            inputs = symbols_of(function)
            results = opened(function, inputs)
            self._expressions[key] = inputs, [results[k] for k in outputs]
        return self._expressions[key]

    def _values_count_alike(self, function: cs.Function, outputs: tuple[int, ...]) -> Sequence[bool]:
        """Tell of each argument whether its values are read at most where its slopes are: so they are not compared."""
        key = hash(function), outputs
        if key not in self._alike:
            slopes, values = (self._uses_of(function, outputs, of_values) for of_values in (False, True))
            found = self._found_alike(function, outputs)
            self._alike[key] = [
                slope == value and (value != SOMEWHERE or same)
                for slope, value, same in zip(slopes, values, found, strict=True)
            ]
        return self._alike[key]

    def _found_alike(self, function: cs.Function, outputs: tuple[int, ...]) -> Sequence[bool]:
        kind = function.class_name()
        if kind == "Switch":
            of_branches = [self._values_count_alike(branch, outputs) for branch in branches_of(function)]
            return [False, *map(all, zip(*of_branches, strict=True))]
        if kind == "MapSum":
            return self._values_count_alike(body_of(function), outputs)
        if kind == "SXFunction":
            of_values = self._numbers[hash(function), outputs, True]
            return of_values.like(self._numbers[hash(function), outputs, False])
        if not can_be_opened(function):
            return [True] * function.n_in()
        return self._found_alike_in_steps(function, outputs)

    def _found_alike_in_steps(self, function: cs.Function, outputs: tuple[int, ...]) -> list[bool]:
        """Follow values from where they are compared to the arguments that they are made of."""
        slopes, values = (self._steps[hash(function), outputs, of_values] for of_values in (False, True))
        compared = [False] * len(values)
        for number in reversed(range(len(values))):
            slope, value = slopes[number], values[number]
            handed = slope.handed or [None] * len(value.handed)
            alike = self._operands_count_alike(slope, value)
            for k, ((place, _), use) in enumerate(zip(value.places, value.handed, strict=False)):
                if use is not None and (compared[number] or handed[k] is None or not alike[k]):
                    compared[place] = True
        inputs, _ = self._expressions_of(function, outputs)
        found = {hash(step.source) for step, is_compared in zip(values, compared, strict=True) if is_compared}
        return [hash(symbol) not in found for symbol in inputs]

    def _operands_count_alike(self, slope: Step, value: Step) -> Sequence[bool]:
        """Tell of each operand of a node whether the node reads its values where it reads its slopes."""
        if not slope.groups:
            return [not slope.is_choice] * len(value.places)
        outputs, of_values = ([group.outputs for group in step.groups] for step in (slope, value))
        if outputs != of_values:
            return [False] * len(value.places)
        function = value.source.which_function()
        of_groups = [self._values_count_alike(function, of_group) for of_group in outputs]
        return [all(alike) for alike in zip(*of_groups, strict=True)]

    def _masks_of(self, function: cs.Function, outputs: tuple[int, ...]) -> Masks | None:
        """Return the masks of the arguments that count under conditions; None where there are none."""
        key = hash(function), outputs
        if key not in self._masks:
            uses = self._uses_of(function, outputs, False)
            wanted = [k for k, use in enumerate(uses) if use == SOMEWHERE]
            self._masks[key] = self._made_masks(function, outputs, wanted) if wanted else None
        return self._masks[key]

    def _made_masks(
        self, function: cs.Function, outputs: tuple[int, ...], wanted: list[int]
    ) -> Masks | None:
        kind = function.class_name()
        if kind == "Switch":
            return self._masks_of_choice(function, outputs, wanted)
        if kind == "MapSum":
            return self._masks_of_map(function, outputs)
        if kind == "SXFunction":
            return self._of_function(self._numbers[hash(function), outputs, False].masks(wanted), wanted)
        inputs, _ = self._expressions_of(function, outputs)
        steps = self._steps[hash(function), outputs, False]
        for step in reversed(steps):
            if any(use is not None for use in step.handed):
                masks_handed_on(steps, step)
        return self._of_nodes(inputs, _found(inputs, steps, wanted))

    def _through(
        self, function: cs.Function, outputs: tuple[int, ...], operands: Sequence[cs.MX], counts: Sequence[cs.MX]
    ) -> list[cs.MX]:
        """Return where the arguments of a call count by where its outputs do."""
        key = hash(function), outputs
        if key not in self._functions_through:
            inputs, results = self._expressions_of(function, outputs)
            given = [cs.MX.sym("counts", *result.shape) for result in results]
            counting = [only_where(mask, result) for mask, result in zip(given, results, strict=True)]
            steps = steps_of(counting, self.arguments, inside=True)
            for step in reversed(steps):
                if any(use is not None for use in step.handed):
                    masks_handed_on(steps, step)
            found = {hash(step.source): step for step in steps}
            masks = [in_full(_where(found.get(hash(symbol))), *symbol.shape) for symbol in inputs]
            options = {"is_diff_in": [False] * (len(inputs) + len(given))}
            self._functions_through[key] = cs.Function("masks", [*inputs, *given], masks, options)
        return list(self._functions_through[key].call([*operands, *counts], False, True))

    def _masks_of_choice(
        self, function: cs.Function, outputs: tuple[int, ...], wanted: list[int]
    ) -> Masks | None:
        inputs = symbols_of(function)
        of_branches = []
        for branch in branches_of(function):
            arguments = self.arguments(branch, outputs, False)
            found = arguments.masks_at(inputs[1:], None)
            masks = [
                found.get(k - 1, (cs.MX.zeros if arguments.uses[k - 1] is None else cs.MX.ones)(*inputs[k].shape))
                for k in wanted
            ]  # fmt: skip
            of_branches.append(cs.Function("masks", inputs[1:], masks))
        chosen = cs.Function.conditional("masks", of_branches[:-1], of_branches[-1]).call(inputs, False, True)
        return self._of_nodes(inputs, dict(zip(wanted, chosen, strict=True)))

    def _masks_of_map(self, function: cs.Function, outputs: tuple[int, ...]) -> Masks | None:
        body = body_of(function)
        found, items = self._masks_of(body, outputs), items_of(function)
        if found is None or items < 2:
            return None
        shared = shared_by(function)
        inputs = symbols_of(function)
        if all(shared[i] for i in found.needed):
            # The masks are the same for each item.
            one = found.at([x[:, : body.size2_in(i)] for i, x in enumerate(inputs)]).items()
            return self._of_nodes(inputs, {k: mask if shared[k] else cs.repmat(mask, 1, items) for k, mask in one})
        of_items = found.function.map(items, shared, [shared[k] for k in found.known]).call(inputs, False, True)
        return self._of_nodes(inputs, dict(zip(found.known, of_items, strict=True)))

    def _of_nodes(self, inputs: Sequence[cs.MX], masks: dict[int, cs.MX]) -> Masks | None:
        if not masks:
            return None
        outputs = [in_full(mask, *inputs[k].shape) for k, mask in masks.items()]
        options = {"is_diff_in": [False] * len(inputs)}
        return self._of_function(cs.Function("masks", list(inputs), outputs, options), masks)

    def _of_function(self, function: cs.Function, known: Iterable[int]) -> Masks:
        needed = set[int]().union(*made_of(function, self._made_of))
        return Masks(function, tuple(known), needed)


def _of_any(uses: _Uses) -> Use | None:
    """Return how an argument counts for one of several branches."""
    return uses[0] if all(use == uses[0] for use in uses) else SOMEWHERE


def _where(symbol: Step | None) -> cs.MX:
    """Return the mask of an argument."""
    if symbol is None or symbol.uses[0] is None:
        return cs.MX(0.0)
    mask = symbol.masks[0] if symbol.masks else None
    return cs.MX(1.0) if symbol.uses[0].everywhere or mask is None else mask


def _found(inputs: Sequence[cs.MX], steps: Sequence[Step], wanted: Sequence[int]) -> dict[int, cs.MX]:
    masks = {hash(step.source): step.masks for step in steps}
    return {k: mask for k in wanted for mask in masks[hash(inputs[k])] if mask is not None}
