"""Statements of plain Python and NumPy: assignments, views and writes, branches and loops."""

import textwrap
from collections.abc import Callable

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


def indented(lines: list[str]) -> str:
    """Return lines of a body."""
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
        sides.append(indented(lines))
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
        f"{name} = arc.zeros({count})\n{name}[0] = np.sum({a})\nfor i in range(1, {count}):\n"
        f"    {name}[i] = 0.7 * np.sin({name}[i - 1]) + 0.2 * {name}[i // 2]\n{name} = {name}[-3:]",
        f"{name} = 0.0\nfor i in range({count}):\n    {name} = {name} + np.sin({a} * i) * 0.1 + {other} * 0.01",
        f"{name} = 0.0\nfor i in range({count}):\n    {name} = {name} + np.ravel({a})[i % {a}.size] ** 2 * 0.01",
    )))  # fmt: skip
