"""The picture of a graph: boxes and arrows, folded until they fit."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from archimedes_grad.derivatives.instructions import Operation


@dataclass(frozen=True)
class Box:
    """A box of a picture: one operation, or all of one kind in a stretch of the graph.

    Attributes
    ----------
    kind
        ``"input"``, ``"constant"``, ``"operation"`` or ``"output"``.
    label, detail
        What it is, and of what shape or how many.
    """

    kind: str
    label: str
    detail: str


@dataclass(frozen=True)
class Arrow:
    """From the box (by position) that computes a value to one that reads it."""

    source: int
    target: int
    letter: str


@dataclass(frozen=True)
class Picture:
    """What is drawn of a graph: its boxes, by the depth at which they begin, its arrows, and what was folded."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    note: str


def picture(title: str, operations: list[Operation], max_boxes: int) -> Picture:
    """Return the picture of a graph in about ``max_boxes`` boxes.

    A graph of more operations is folded: constants are left out, and operations of one kind at one depth become one
    box, then those at two neighbouring depths, at four and so on, until they fit or only their kinds are left.
    """
    read = {source for operation in operations for source, _ in operation.operands}
    shown = [i for i, operation in enumerate(operations) if operation.kind != "constant" or i in read]
    if len(shown) <= max_boxes:
        return _drawn(title, operations, {i: i for i in shown}, "")
    shown = [i for i in shown if operations[i].kind != "constant"]
    deepest = max(operation.depth for operation in operations)
    stretch = 1
    groups = {i: _group(operations[i], stretch) for i in shown}
    while len(set(groups.values())) > max_boxes and stretch <= deepest:
        stretch *= 2
        groups = {i: _group(operations[i], stretch) for i in shown}
    depths = "at one depth" if stretch == 1 else f"within {stretch:,} steps"
    note = (
        f"{len(shown):,} operations, inputs and outputs in {len(set(groups.values()))} boxes: those of one kind "
        f"{depths} are one box; constants are left out."
    )
    return _drawn(title, operations, groups, note)


def _group(operation: Operation, stretch: int) -> Hashable:
    """Return what operations in one box have in common: inputs and outputs their name, others kind and depth."""
    if operation.kind == "operation":
        return operation.kind, operation.group, operation.depth // stretch
    return operation.kind, operation.group


def _drawn(title: str, operations: list[Operation], groups: Mapping[int, Hashable], note: str) -> Picture:
    members: dict[Hashable, list[Operation]] = {}
    for i, group in groups.items():
        members.setdefault(group, []).append(operations[i])
    ordered = sorted(members, key=lambda group: _level(members[group]))
    place = {group: k for k, group in enumerate(ordered)}
    arrows = {
        Arrow(place[groups[source]], place[group], "" if note else letter): None
        for i, group in groups.items()
        for source, letter in operations[i].operands
        if groups.get(source, group) != group
    }
    return Picture(title, tuple(_box(members[group]) for group in ordered), tuple(arrows), note)


def _level(members: list[Operation]) -> float:
    """Return the depth at which a box begins; outputs come after all else."""
    return math.inf if members[0].kind == "output" else min(operation.depth for operation in members)


def _box(members: list[Operation]) -> Box:
    first = members[0]
    if len(members) == 1:
        return Box(first.kind, first.label, "×".join(map(str, first.shape)))
    unit = "times" if first.kind == "operation" else "entries"
    return Box(first.kind, first.group, f"{len(members):,} {unit}")
