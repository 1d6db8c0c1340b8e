"""A finding made small: statements, branches, arguments and points taken away as long as it stays a finding."""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Callable, Iterator

from .programs import MODULES, Program


def shrunk(program: Program, still_fails: Callable[[Program], bool]) -> Program:
    """Return the smallest program found that still fails: no single step makes it smaller."""
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(program):
            if still_fails(smaller):
                program, progress = smaller, True
                break
    return program


def _smaller(program: Program) -> Iterator[Program]:
    """Every program that is one step smaller."""
    for k in reversed(range(len(program.points))):
        if len(program.points) > 1:
            yield dataclasses.replace(program, points=program.points[:k] + program.points[k + 1 :])
    tree = ast.parse(program.source())
    for variant in _variants(tree):
        (function,) = variant.body
        yield dataclasses.replace(program, lines=tuple(ast.unparse(s) for s in function.body))
    for k, name in enumerate(program.arguments):
        if len(program.arguments) > 1 and name not in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}:
            yield dataclasses.replace(
                program,
                arguments=program.arguments[:k] + program.arguments[k + 1 :],
                points=tuple(point[:k] + point[k + 1 :] for point in program.points),
            )


def _variants(tree: ast.Module) -> Iterator[ast.Module]:
    """The tree with a statement taken away, a branch in place of its if, or a part of an expression in its place."""
    for number, body in enumerate(_bodies(tree)):
        for k in reversed(range(len(body))):
            if _is_alias(body[k]):
                renamed = copy.deepcopy(tree)
                alias = _bodies(renamed)[number].pop(k)
                for node in ast.walk(renamed):
                    if isinstance(node, ast.Name) and node.id == alias.targets[0].id:
                        node.id = alias.value.id
                yield renamed
            for replacement in _replacements(body[k]):
                if len(body) + len(replacement) > 1:
                    smaller = copy.deepcopy(tree)
                    _bodies(smaller)[number][k : k + 1] = replacement
                    yield smaller


def _is_alias(statement: ast.stmt) -> bool:
    """Tell whether a statement only gives a value another name."""
    return isinstance(statement, ast.Assign) and all(
        isinstance(part, ast.Name) for part in (statement.value, *statement.targets)
    )


def _bodies(tree: ast.Module) -> list[list[ast.stmt]]:
    """The lists of statements, the program's own and those inside; a missing else is none."""
    inside = [node for node in ast.walk(tree) if node is not tree]
    named = [getattr(node, name, None) for node in inside for name in ("body", "orelse")]
    return [body for body in named if isinstance(body, list) and body]


def _replacements(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """What may stand in the place of a statement."""
    if not isinstance(statement, ast.Return):
        yield []
    if isinstance(statement, ast.If):
        yield statement.body
        if statement.orelse:
            yield statement.orelse
    if isinstance(statement, ast.For | ast.While):
        yield statement.body
    if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
        for entry in statement.value.elts:
            yield [ast.Return(entry)]
    if isinstance(statement, ast.Assign | ast.Return) and statement.value is not None:
        for part in ast.walk(statement.value):
            if part is not statement.value and _is_value(part):
                yield [_with_value(statement, part)]


def _is_value(part: ast.AST) -> bool:
    """Tell whether a part of an expression may stand alone: a module is no value."""
    if isinstance(part, ast.Name):
        return part.id not in MODULES
    return isinstance(part, ast.Call | ast.BinOp | ast.Subscript)


def _with_value(statement: ast.Assign | ast.Return, value: ast.expr) -> ast.stmt:
    if isinstance(statement, ast.Return):
        return ast.Return(value)
    return ast.copy_location(ast.Assign(statement.targets, value), statement)
