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
    "np.add.at({a}, [0, 0], {s})", "np.multiply.at({a}, [-1, 0, -1], 1.5)", "{a}.flat[0] = {s}", "{a}[...] = {source}",
    "{a}.T[...] += 0.5 * {a}.T", "np.negative({a}, out={a})", "{a}[::2] = 2 * {a}[::2][::-1]", "{a}[1:] += {a}[:-1]",
    "{a}[:] = {a}[::-1]", "{a}[[0, 0]] += {s}", "{a}[0], {a}[-1] = {a}[-1] * 1.0, {a}[0] * 1.0", "{a}.sort(axis=0)",
    "np.copyto({a}, {source}, where={a} > 0)", "np.putmask({a}, {a} > 0, {a} * 2)", "{a}[[0, -1]] = {a}[[-1, 0]]",
    "np.put_along_axis({a}, np.argmax({a}, axis=0, keepdims=True), 0.5, axis=0)", "np.exp({a}, out={a}, where={a} < 1)",
    "np.subtract({a}[:1], {s}, out={a}[:1])", "{a}[np.ix_([0])] *= {s}", "{a}[np.nonzero({a} > 0)] -= 0.25",
    "{a}[{a} > 0] = {a}[{a} > 0] * {s}", "{a}[-1:] = {a}[:1] * {a}[-1:]",
    "{a}[np.argsort(np.ravel({a}))[:1] * 0] += {s}",
    "np.cumsum({a}, axis=0, out={a})", "{a}[0] = {a}[-1]", "{a}.real[...] *= 0.5", "{a}.put([0], {s})",
    "np.add({a}, 1, out={a}.reshape({a}.shape))", "{a}[(slice(None),) * {a}.ndim] -= np.mean({a})",
)  # fmt: skip
#: Steps of Python on the rows and entries of a new array, its name n, of an array a; and other ways round.
_STEPS = (
    "{n} = np.array({a})\nfor row in {n}:\n    row *= 0.5",
    "{n} = [r * k for k, r in enumerate({a})]\n{n} = np.stack({n})",
    "{n} = {a}.copy()\nfor i, row in enumerate({n}):\n    {n}[i] = row * i + np.sum({n})",
    "{n} = {a} * 1.0\nfor i in range(len({n})):\n    {n}[i] = np.sin({n}[i - 1]) + {other}",
    "{n} = {a} * 1.0\nfor i in range(len({n}) - 1):\n    {n}[i + 1] += 0.3 * {n}[i]",
    "{n} = {a} + 0.0\nfor i in np.ndindex({n}.shape):\n    {n}[i] *= 0.5 + {n}[(0,) * {n}.ndim]",
    "{n} = {a} + 0.0\nfor k in range(3):\n    view = {n}[k % 2:]\n    view += np.cos({n}[:len(view)])",
    "{n} = {a} * 0.5\nfor i in range(len({n})):\n    if np.sum({n}[i]) > 0.1:\n        continue\n    {n}[i:] -= 0.2",
    "{n} = {a} * 0.5\nfor i in range(len({n})):\n    if np.sum({n}[i]) > 0.4:\n        break\n"
    "else:\n    {n} = {n} * 2.0",
    "first, *rest = {a}\n{n} = first * 2.0\nfor r in rest:\n    {n} = {n} + r * first",
    "{n} = np.array({a})\nfor r, q in zip({n}, {n}[::-1]):\n    r -= 0.5 * q",
    "{n} = {{'x': {a}, 'y': 0.0}}\nfor r in {n}['x']:\n    {n}['y'] = {n}['y'] * 0.5 + r\n{n} = {n}['y']",
    "{n} = 0.0\nif (s := np.sum({a})) > 0.2:\n    {n} = s * 2.0\nelse:\n    {n} = {n} - s",
    "def f(t, k):\n    return t if k == 0 else np.sin(f(t, k - 1))\n{n} = f({a}, 3)",
    "{n} = {a}.copy()\nview = {n}.T\nview[...] = view * 2.0\nview = view[:1]\n{n} *= 0.5\nview += {other}",
    "{n} = {a} * 1.0\nc = 0\nwhile np.max({n}) > 0.3 and c < 4:\n    {n} -= 0.4\n    c += 1\n{n} = {n} * c",
    "{n} = {a} * 1.0\nkept = {n}\n{n} += 1.0\n{n} = {n} * kept",
    "{n} = {a} * 1.0\n{n}, c = {n}[::-1], {n}\nc[:1] = 0.3",
    "{n} = np.zeros_like({a})\n{n}[1:] = {a}[1:] - {a}[:-1]\n{n}[0] = {a}[-1]\n{n} = {n} * {n}[:1]",
    "{n} = np.empty_like({a})\nfor i in reversed(range(len({a}))):\n"
    "    {n}[i] = {a}[i] + (0 if i == len({a}) - 1 else {n}[i + 1])",
    "c = []\nfor r in {a}:\n    c.append(np.tanh(r) if not c else c[-1] * r)\n{n} = np.array(c)",
    "try:\n    {n} = {a}[len({a})]\nexcept IndexError:\n    {n} = {a}[-1] * 1.0",
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
    if d.happens(1, 3):
        _steps(d, scope, name)
    elif scope.branches and d.happens(1, 2):
        limit = d.one_of(("1", "0.3", "2"))
        scope.add(f"{name} = {a} * 1.0\nwhile {limit} < np.sum(np.abs({name})) < 1e9:\n    {name} = 0.5 * {name}")
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


def _steps(d: Draw, scope: Scope, name: str) -> None:
    a = scope.pick(d, fits=lambda x: x.ndim > 0 and 0 < x.size <= 12)
    text = d.one_of(_STEPS)
    if a is not None and (scope.branches or not ("if " in text or "while" in text)):
        scope.add(text.format(n=name, a=a, other=scalar(d, scope)))


def _many_steps(d: Draw, scope: Scope, name: str, a: str, step: str) -> None:
    """A loop of so many steps that the graph may hold it as one: of a state, of entries, of a list, in place."""
    count, other = d.one_of((8, 17, 40, 100)), partner(d, scope, a)
    scope.add(d.one_of((
        f"{name} = {a} + 0.0\nfor i in range({count}):\n    {name} = 0.3 * {step} + 0.1 * {other}",
        f"{name} = {a} * 1.0\nfor i in range({count}):\n    {name} = 0.9 * {name} + 0.1 * np.sin({name} + i) * {other}",
        f"{name} = [{a} * 0.5]\nfor i in range({count}):\n    {name}.append(0.8 * np.cos({name}[-1]) + 0.01 * i)\n"
        f"{name} = {name}[-1] + {name}[{count} // 2]",
        f"{name} = arc.zeros({count})\n{name}[0] = np.sum({a})\nfor i in range(1, {count}):\n"
        f"    {name}[i] = 0.7 * np.sin({name}[i - 1]) + 0.2 * {name}[i // 2]\n{name} = {name}[-3:]",
        f"{name} = 0.0\nfor i in range({count}):\n    {name} = {name} + np.sin({a} * i) * 0.1 + {other} * 0.01",
        f"{name} = 0.0\nfor i in range({count}):\n    {name} = {name} + np.ravel({a})[i % {a}.size] ** 2 * 0.01",
    )))  # fmt: skip
