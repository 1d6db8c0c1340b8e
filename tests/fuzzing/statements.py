"""Statements: assignments, views and writes, control flow, nested transformations, structured control flow."""

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from .expressions import UNARY, expression, index, operand, partner, scalar
from .scope import Draw, Scope

Statement = Callable[[Draw, Scope], None]

_VIEWS = (
    "{a}[{i}]", "{a}.copy()", "{a}.T", "{a}.reshape(-1)", "np.zeros_like({a})", "{a}[::-1]", "{a}[...]",
    "np.ravel({a})", "np.atleast_2d({a})",
)  # fmt: skip
_WHOLE_WRITES = (
    "{a} += {source}", "{a} *= {source}", "{a} -= {source}", "np.multiply({a}, {source}, out={a})", "{a}.fill({s})",
    "np.sin({a}, out={a})", "np.copyto({a}, {source})", "np.add({a}, {source}, out={a}, where={a} > 0)",
    "np.put({a}, [0] * min({a}.ndim, 1), {s})", "{a} /= 1.5", "{a} **= 2", "{a}.sort()",
    "np.maximum({a}, {source}, out={a})", "np.clip({a}, -0.4, 0.6, out={a})", "np.place({a}, {a} > 0, [0.5, {s}])",
)  # fmt: skip

def assigned(d: Draw, scope: Scope) -> None:
    """A new name for an expression."""
    text = expression(d, scope)
    if text is not None:
        scope.add(f"{scope.new_name()} = {text}")


def viewed(d: Draw, scope: Scope) -> None:
    """A view or a copy of what can be written to."""
    targets = scope.writable()
    if not targets:
        scope.add(f"{scope.new_name()} = np.array([{scalar(d, scope)}, 0.5])")
        return
    a = d.one_of(targets)
    form = d.one_of(_VIEWS)
    scope.add(f"{scope.new_name()} = {form.format(a=a, i=index(d, scope, a) if '{i}' in form else '')}")


def written(d: Draw, scope: Scope) -> None:
    """A write in place, through whatever aliases there are."""
    targets = scope.writable()
    if not targets:
        viewed(d, scope)
        return
    a = d.one_of(targets)
    if d.happens(1, 4):
        source = partner(d, scope, a)
        scope.add(d.one_of(_WHOLE_WRITES).format(a=a, source=source, s=scalar(d, scope)))
        return
    if scope.branches and d.happens(1, 6):
        if d.happens(1, 2):
            scope.add(f"{a}[{a} > {d.number()}] *= 0.5")
        else:
            scope.add(f"{a}[{a} > {d.number()}] = {scalar(d, scope)}")
        return
    key = index(d, scope, a)
    operator = d.one_of(("=", "=", "+=", "*=", "-="))
    source = partner(d, scope, f"{a}[{key}]")
    scope.add(f"{a}[{key}] {operator} {source}")


# --- Python's control flow --------------------------------------------------------------------------


def _condition(d: Draw, scope: Scope) -> str:
    s = scalar(d, scope)
    return d.one_of((f"{s} > {d.number()}", f"{s} < {scalar(d, scope)}", f"np.any({operand(d, scope)} > {d.number()})",
                     f"{s} > 0 and {scalar(d, scope)} > 0", f"not {s} > 0.3", f"np.all({operand(d, scope)} < 1)",
                     f"{s} > 0.5 or {scalar(d, scope)} < 0", f"0 < {s} < 1"))  # fmt: skip


def _indented(lines: list[str]) -> str:
    return textwrap.indent("\n".join(lines), "    ")


def if_else(d: Draw, scope: Scope) -> None:
    """A branch on values, either side of which may write."""
    if not scope.branches:
        return
    condition, name = _condition(d, scope), scope.new_name()
    sides = []
    for _ in range(2):
        with scope.branch() as lines:
            if d.happens(1, 3):
                written(d, scope)
            text = expression(d, scope)
            if text is None or not scope.add(f"{name} = {text}"):
                scope.add(f"{name} = {operand(d, scope)}")
        sides.append(_indented(lines))
    if all(sides):
        scope.add(f"if {condition}:\n{sides[0]}\nelse:\n{sides[1]}")


def loop(d: Draw, scope: Scope) -> None:
    """A while loop on values, or a for loop with or without an end before its time."""
    name, a = scope.new_name(), operand(d, scope)
    step = d.one_of(UNARY[:12]).replace("{a}", name)
    if scope.branches and d.happens(1, 2):
        limit = d.one_of(("1", "0.3", "2"))
        scope.add(f"{name} = {a} * 1.0\nwhile np.sum(np.abs({name})) > {limit}:\n    {name} = 0.5 * {name}")
    elif scope.branches and d.happens(1, 2):
        scope.add(
            f"{name} = {a} + 0.0\nfor i in range(4):\n    {name} = 0.8 * {step}\n"
            f"    if np.max({name}) > {d.number()}:\n        break"
        )
    elif d.happens(1, 2):
        scope.add(f"{name} = 0.0\nfor entry in np.ravel({a}):\n    {name} = np.sin({name}) + entry * entry")
    elif d.happens(1, 3):
        _many_steps(d, scope, name, a, step)
    else:
        scope.add(f"{name} = {a}\nfor i in range(3):\n    {name} = 0.5 * {step} + i")


def _many_steps(d: Draw, scope: Scope, name: str, a: str, step: str) -> None:
    """A loop of so many steps that the graph may hold it as one: of a state, of entries, of a list, in place."""
    count, other = d.one_of((8, 17, 40, 100)), partner(d, scope, a)
    scope.add(d.one_of((
        f"{name} = {a} + 0.0\nfor i in range({count}):\n    {name} = 0.3 * {step} + 0.1 * {other}",
        f"{name} = {a} * 1.0\nfor i in range({count}):\n    {name} = 0.9 * {name} + 0.1 * np.sin({name} * i) * {other}",
        f"{name} = [{a} * 0.5]\nfor i in range({count}):\n    {name}.append(0.8 * np.cos({name}[-1]) + 0.01 * i)\n"
        f"{name} = {name}[-1] + {name}[{count} // 2]",
        f"{name} = np.zeros({count})\n{name}[0] = np.sum({a})\nfor i in range(1, {count}):\n"
        f"    {name}[i] = 0.7 * np.sin({name}[i - 1]) + 0.2 * {name}[i // 2]\n{name} = {name}[-3:]",
        f"{name} = 0.0\nfor i in range({count}):\n    {name} = {name} + np.sin({a} * i) * 0.1 + {other} * 0.01",
        f"{name} = 0.0\nfor i in range({count}):\n    {name} = {name} + np.ravel({a})[i % {a}.size] ** 2 * 0.01",
    )))  # fmt: skip


# --- functions inside: transformations and structured control flow ------------------------------------


def _function(
    d: Draw, scope: Scope, argument: str, value: Any, ending: Callable[[Scope], str], branches: bool
) -> str | None:
    """Return the text of a function of one argument, after adding its definition; None where it does not run."""
    if np.shape(value) == ():
        value = np.float64(value)
    inner = scope.inside({argument: value}, branches)
    for _ in range(d.below(3)):
        statement(d, inner)
    name = f"f{scope.counter[0]}"
    scope.counter[0] += 1
    text = f"def {name}({argument}):\n{_indented([*inner.lines, f'return {ending(inner)}'])}"
    return name if scope.add(text) else None


def _last(scope: Scope) -> str:
    """Return the newest float name."""
    return scope.names()[0]


def _of_shape(scope: Scope, argument: str) -> str:
    """Return an expression of the shape of the argument, by way of the newest name."""
    shape = np.shape(scope.value(argument))
    newest = _last(scope)
    return f"0.5 * {newest}" if np.shape(scope.value(newest)) == shape else f"0.5 * {argument} + 0.1 * np.sum({newest})"


def _applied(d: Draw, scope: Scope, a: str, name: str, form: str, **more: str) -> None:
    scope.add(f"{scope.new_name()} = {form.format(f=name, a=a, **more)}")


def transformed(d: Draw, scope: Scope) -> None:
    """A derivative, a batch or a compiled call inside the program."""
    if scope.depth >= 2:
        return
    kind = d.one_of(("grad", "vmap", "jvp", "compile", "value_and_grad", "jac", "vjp", "hvp"))
    a = scope.pick(d, fits=lambda x: 0 < x.size <= 4 and (kind != "vmap" or x.ndim > 0))
    if a is None:
        return
    value = scope.value(a)
    of_number = kind in ("grad", "value_and_grad", "hvp")
    ending = (lambda inner: f"np.sum({_last(inner)})") if of_number else _last
    name = _function(d, scope, "t", value[0] if kind == "vmap" else value, ending, kind != "vmap" and scope.branches)
    if name is None:
        return
    if kind in ("jvp", "hvp"):
        _applied(d, scope, a, name, f"arc.{kind}({{f}})({{a}}, {d.one_of((a, f'np.cos({a})'))})")
    elif kind == "vjp":
        _applied(d, scope, a, name, "arc.vjp({f})({a}, 0.5 * {f}({a}))")
    elif kind == "value_and_grad":
        _applied(d, scope, a, name, "arc.value_and_grad({f})({a})[1] * 2.0")
    else:
        _applied(d, scope, a, name, f"arc.{kind}({{f}})({{a}})")


def structured(d: Draw, scope: Scope) -> None:
    """A loop or a choice that stays one node of the graph."""
    kind = d.one_of(("scan", "fori_loop", "cond", "while_loop", "switch"))
    a = scope.pick(d, fits=lambda x: 0 < x.size <= 6)
    if a is None or scope.depth >= 2:
        return
    value = scope.value(a)
    if kind == "scan":
        xs = scope.pick(d, fits=lambda x: x.ndim > 0 and len(x) > 0)
        if xs is None:
            return
        inner = scope.inside({"c": value, "e": scope.value(xs)[0]}, False)
        for _ in range(d.below(3)):
            statement(d, inner)
        name = f"f{scope.new_name()[1:]}"
        body = [*inner.lines, f"return {_of_shape(inner, 'c')} + 0.1 * np.sum(e), {_last(inner)}"]
        if scope.add(f"def {name}(c, e):\n{_indented(body)}"):
            _applied(d, scope, a, name, f"arc.scan({{f}}, {{a}}, {xs})[{d.below(2)}]")
        return
    first = _function(d, scope, "t", value, lambda inner: _of_shape(inner, "t"), False)
    if first is None:
        return
    if kind == "fori_loop":
        _applied(d, scope, a, first, "arc.fori_loop(0, 3, lambda i, s: {f}(s) + 0.1 * i, {a})")
    elif kind == "while_loop":
        limit = d.one_of(("1", "0.2"))
        form = f"arc.while_loop(lambda s: np.sum(s * s) > {limit}, lambda s: 0.5 * np.sin({{f}}(s)), {{a}}, 5)"
        _applied(d, scope, a, first, form)
    elif kind == "cond":
        _applied(d, scope, a, first, f"arc.cond({scalar(d, scope)} > {d.number()}, {{f}}, lambda t: 2 * t * t, {{a}})")
    else:
        chosen = f"({scalar(d, scope)} > 0).astype(int)"
        _applied(d, scope, a, first, f"arc.switch({chosen}, [lambda t: t * np.sin(t), {{f}}], {{a}})")


STATEMENTS: tuple[tuple[Statement, int], ...] = (
    (assigned, 12), (written, 4), (viewed, 3), (if_else, 2), (loop, 2), (transformed, 2), (structured, 2),
)  # fmt: skip
_DRAWN = tuple(maker for maker, weight in STATEMENTS for _ in range(weight))


def statement(d: Draw, scope: Scope) -> None:
    """Add a statement of a drawn kind, or none where it finds nothing to work on."""
    d.one_of(_DRAWN)(d, scope)
