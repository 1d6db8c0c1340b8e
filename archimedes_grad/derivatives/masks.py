"""Where the entries of nodes count: masks that are not 0 there, of a node's shape or of one entry for all."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import casadi as cs

from archimedes_grad.derivatives.structures import with_structure
from archimedes_grad.derivatives.uses import (
    EVERYWHERE,
    MOVES,
    MOVES_AT_PLACES,
    PRODUCTS,
    SELECTING,
    Group,
    Step,
    read_as_values,
)
from archimedes_grad.nodes.gather import repeated_number
from archimedes_grad.nodes.given_derivatives import is_without_reverse_sweep
from archimedes_grad.nodes.simplification import derivative_sweep
from archimedes_grad.rules.branches import COMPARISONS, REGULAR_POINTS
from archimedes_grad.rules.words import negated, only_where

#: For each operand of a node, the mask of its gate; None where it has none.
Gates = list[cs.MX | None]


def masks_of_choice(step: Step) -> Gates:
    """Return where each of two operands is not less, or more, than the other one: both where one of them is nan."""
    if step.masks_of_choice is None:
        x, y = step.operands
        less, more = cs.MX.binary(cs.OP_LT, x, y), cs.MX.binary(cs.OP_LT, y, x)
        masks = [negated(less), negated(more)] if step.operation == cs.OP_FMAX else [negated(more), negated(less)]
        step.masks_of_choice = [
            None if operand.is_constant() else mask for operand, mask in zip((x, y), masks, strict=True)
        ]
    return step.masks_of_choice


def masks_handed_on(steps: list[Step], step: Step) -> list[cs.MX | None]:
    """Hand on where the operands of a node count for it: masks that are not 0 there, of the operand's shape or scalar.

    Returns
    -------
    list
        The masks; None: everywhere, or nowhere.
    """
    masks = step.masks or (None,) * len(step.uses)
    handed = _masks_of_operands(step, masks)
    for (place, which), counts, mask in zip(step.places, step.handed, handed, strict=True):
        behind = steps[place]
        use = behind.uses[which]
        if counts is not None and mask is not None and use is not None and not use.everywhere:
            masks_behind = list(behind.masks or (None,) * len(behind.uses))
            before = masks_behind[which]
            masks_behind[which] = mask if before is None or hash(before) == hash(mask) else before + mask
            behind.masks = masks_behind
    return handed


def _masks_of_operands(step: Step, masks: Sequence[cs.MX | None]) -> list[cs.MX | None]:
    source, operands = step.source, step.operands
    if step.operation == cs.OP_IF_ELSE_ZERO:
        condition, branch = operands
        mask = _truth(condition) if masks[0] is None else only_where(condition, masks[0])
        # Where values are asked for, the condition counts as its node does.
        as_node = None if step.handed[0] is None or masks[0] is None else _of_operand(source, condition, masks[0])
        return [as_node, _of_operand(source, branch, mask)]
    if step.is_choice:
        within = masks_of_choice(step)
        both = [mask if masks[0] is None or mask is None else only_where(mask, masks[0]) for mask in within]
        return [
            None if mask is None else _of_operand(source, operand, mask)
            for operand, mask in zip(operands, both, strict=True)
        ]
    if step.is_elementwise:
        return [None if masks[0] is None else _of_operand(source, operand, masks[0]) for operand in operands]
    if step.groups:
        of_groups = [_of_group(step, group, masks) for group in step.groups]
        return [
            _in_either([mask for group, mask in zip(step.groups, found, strict=True) if group.uses[k] is not None])
            for k, found in enumerate(zip(*of_groups, strict=True))
        ]
    if step.operation in MOVES_AT_PLACES:
        return _at_places(step, masks[0])
    if step.operation in SELECTING and masks[0] is None and EVERYWHERE not in step.handed:
        return _transposed(source, operands, [cs.MX(1.0)])
    return _of_whole_node(step, masks)


def _at_places(step: Step, mask: cs.MX | None) -> list[cs.MX | None]:
    """Return where what is moved from or to computed places counts; the places themselves have no derivative."""
    places = read_as_values(step.source)
    if mask is None and EVERYWHERE in step.handed:
        return [None] * len(step.operands)
    moved = _transposed(step.source, step.operands, [cs.MX(1.0) if mask is None else mask])
    return [*moved[: places.start], *(None for _ in places)]


def _of_group(step: Step, group: Group, masks: Sequence[cs.MX | None]) -> list[cs.MX | None]:
    """Return where the arguments of a call count for some of its outputs; None: everywhere, or nowhere."""
    inside = group.arguments.masks_at(step.operands, step.masks_wanted)
    if group.everywhere:
        return [inside.get(k) for k in range(len(step.operands))]
    of_outputs = [mask if k in group.outputs else None for k, mask in enumerate(masks)]
    outside = _of_whole_node(step, of_outputs, group)
    return [_in_both(inside.get(k), mask) for k, mask in enumerate(outside)]


def _in_either(masks: Sequence[cs.MX | None]) -> cs.MX | None:
    """Return where any of several masks is not 0; None is everywhere."""
    different = {hash(mask): mask for mask in masks if mask is not None}
    if len(different) == 0 or any(mask is None for mask in masks):
        return None
    return functools.reduce(operator.add, different.values())


def _in_both(inside: cs.MX | None, outside: cs.MX | None) -> cs.MX | None:
    if inside is None or outside is None:
        return outside if inside is None else inside
    return only_where(inside, outside)


def _of_whole_node(step: Step, masks: Sequence[cs.MX | None], group: Group | None = None) -> list[cs.MX | None]:
    """Return where the operands of a node that is not elementwise count, by where its results do."""
    source, operands = step.source, step.operands
    if all(mask is None for mask in masks):
        return [None] * len(operands)
    # A mask of one entry is one for all entries of its node, and of a node of one entry it is that entry's.
    alike = len(masks) == 1 and not source.is_scalar() and masks[0] is not None and masks[0].is_scalar()
    by_entry = not alike and not (len(masks) == 1 and source.is_scalar() and all(x.is_scalar() for x in operands))
    if by_entry and step.operation == cs.OP_MTIMES:
        return _of_matrices(source, operands, masks[0])
    if by_entry and step.operation in PRODUCTS | MOVES:
        return _transposed(source, operands, masks)
    if by_entry and step.operation == cs.OP_CALL:
        return _of_call(source.which_function(), operands, masks, group)
    return [_any(masks)] * len(operands)


def _of_operand(source: cs.MX, operand: cs.MX, mask: cs.MX) -> cs.MX:
    """Return where an operand of an elementwise operation counts; one entry may stand for many."""
    return _total(mask) if operand.is_scalar() and not source.is_scalar() else mask


def _truth(condition: cs.MX) -> cs.MX:
    """Return a condition as 0 or 1: masks are added."""
    if condition.op() in COMPARISONS:
        return condition
    return cs.MX.binary(cs.OP_NE, condition, cs.MX(0.0))


def _total(mask: cs.MX) -> cs.MX:
    return mask if mask.is_scalar() else cs.sum1(cs.vec(mask))


def _any(masks: Sequence[cs.MX | None]) -> cs.MX:
    different = {hash(mask): _total(mask) for mask in masks if mask is not None}
    return functools.reduce(operator.add, different.values())


def _of_matrices(source: cs.MX, operands: list[cs.MX], mask: cs.MX | None) -> list[cs.MX | None]:
    """Return where the sum and the factors of ``sum + left @ right`` count: in the rows and columns that do."""
    assert mask is not None
    _, left, right = operands
    rows, columns = cs.sum2(mask), cs.sum1(mask)
    return [mask, cs.repmat(rows, 1, left.size2()), cs.repmat(columns, right.size1(), 1)]


def _transposed(source: cs.MX, operands: list[cs.MX], masks: Sequence[cs.MX | None]) -> list[cs.MX | None]:
    """Return the masks moved to where the entries come from, by the transpose of the node with masks as cotangents."""
    symbols = [cs.MX.sym("operand", operand.sparsity()) for operand in operands]
    results = source.eval_mx(symbols)
    seeds = [
        cs.MX(*result.shape) if mask is None else in_full(mask, *result.shape)
        for result, mask in zip(results, masks, strict=True)
    ]
    with derivative_sweep():
        (moved,) = cs.reverse(results, symbols, [seeds])
        if source.op() in PRODUCTS:
            moved = cs.graph_substitute(moved, symbols, [cs.MX(cs.DM.ones(x.sparsity())) for x in operands])
        elif source.op() in MOVES_AT_PLACES:
            moved = cs.graph_substitute(moved, symbols, operands)
    return [cs.densify(mask) if mask.nnz() else None for mask in moved]


def in_full(mask: cs.MX, rows: int, columns: int) -> cs.MX:
    """Return a mask with an entry for each of a matrix."""
    return mask if mask.shape == (rows, columns) else repeated_number(mask, rows, columns)


def _of_call(
    function: cs.Function, operands: list[cs.MX], masks: Sequence[cs.MX | None], group: Group | None
) -> list[cs.MX | None]:
    """Return where the arguments of a call count: by its structure, where that is soon found, or by what is inside."""
    if is_without_reverse_sweep(function) or hash(function) in REGULAR_POINTS:
        return list(masks) * len(operands)
    made_of = with_structure(function)
    if made_of is None:
        if group is None or group.arguments.through is None:
            return [_any(masks)] * len(operands)
        counts = [mask if (mask := masks[k]) is not None else cs.MX(1.0) for k in group.outputs]
        in_full_size = [in_full(mask, *function.size_out(k)) for k, mask in zip(group.outputs, counts, strict=True)]
        return list(group.arguments.through(operands, in_full_size))
    moved: list[cs.MX | None] = [None] * len(operands)
    for output, mask in enumerate(masks):
        if mask is None:
            continue
        for k, operand in enumerate(operands):
            structure = made_of.jac_sparsity(output, k)
            if structure.nnz():
                part = _moved(in_full(mask, *function.size_out(output)), structure, operand)
                before = moved[k]
                moved[k] = part if before is None else before + part
    return moved


def _moved(mask: cs.MX, structure: cs.Sparsity, operand: cs.MX) -> cs.MX:
    """Return where an argument counts for an output, by which entries of it the output's entries are made of."""
    if structure.is_dense():
        return _total(mask)
    column = cs.vec(mask)
    if not (structure.is_diag() and structure.is_square() and structure.nnz() == structure.size1()):
        column = cs.densify(cs.mtimes(cs.DM(structure.T, 1), column))
    return cs.reshape(column, *operand.shape)
