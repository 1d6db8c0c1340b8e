"""Statements with functions inside: nested transformations, structured control flow; and all that are drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .expressions import scalar
from .plain_statements import Statement, assigned, if_else, indented, loop, viewed, written
from .scope import Draw, Scope
from .untaken import untaken


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
    text = f"def {name}({argument}):\n{indented([*inner.lines, f'return {ending(inner)}'])}"
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
    if d.happens(1, 2):
        of_more_than_one_array(d, scope)
        return
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
    if d.happens(1, 2):
        structured_trees(d, scope)
        return
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
        if scope.add(f"def {name}(c, e):\n{indented(body)}"):
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


#: Of a function f of an array a that gives a number, and another array b.
_OF_NUMBERS = (
    "arc.hess({f})({a})", "arc.jac(arc.grad({f}))({a})",
    "arc.grad(lambda t: np.sum(arc.grad({f})(t) * np.cos(t)))({a})",
    "arc.grad(lambda p: {f}(p['a']) * np.sum(p['b'] ** 2))({{'a': {a}, 'b': {b}}})['b']",
    "arc.grad(lambda p: {f}(p[0]) * np.sum(p[1][0]))(({a}, [{b}, {{}}]))[0]",
    "sum(np.sum(g) for g in arc.grad(lambda t, u: {f}(t) + np.sum(u) ** 2 * np.sum(t), argnums=(0, 1))({a}, {b}))",
    "arc.value_and_grad(lambda t: ({f}(t), {{'aux': t * 2.0, 'none': None}}), has_aux=True)({a})[0][1]['aux']",
    "arc.grad(lambda t, n: {f}(t) * n, static_argnums=1)({a}, 2)", "arc.grad(lambda t: {f}(t) ** 2)({a})",
    "arc.grad(lambda t, *, u: {f}(t) * np.sum(u), argnames='u')({a}, u={b})",
    "arc.hvp(lambda t, u: {f}(t) * np.sum(u * u), argnums=(0, 1))({a}, {b}, (np.sin({a}), np.cos({b})))[1]",
    "arc.jvp(lambda t: ({f}(t), t * t))({a}, np.sin({a}))[0]", "arc.grad(lambda t: arc.jvp({f})(t, np.cos(t)))({a})",
    "arc.jac(lambda t: {{'x': {f}(t) * t, 'y': t}})({a})['x']", "arc.vjp(arc.grad({f}))({a}, np.sin({a}))",
)  # fmt: skip
#: Of a function f of one item of a, of which no values are known.
_OF_ITEMS = (
    "arc.vmap({f})(np.stack([{a}, np.sin({a}), 0.5 * {a}]))", "arc.vmap({f}, out_axes=-1)(np.stack([{a}, 2 * {a}]))",
    "arc.vmap(arc.vmap({f}))(np.stack([{a}, 0.3 * {a}])[:, None])[:, 0]",
    "arc.vmap(lambda t, u: {f}(t) * np.sum(u), in_axes=(0, None))(np.stack([{a}, 0.1 + {a}]), {b})",
    "arc.vmap(lambda t, u: ({f}(t), u), in_axes=(-1, 0))(np.stack([{a}, -{a}], axis=-1), np.stack([{b}, {b} * 2]))[0]",
    "arc.vmap(arc.grad(lambda t: np.sum({f}(t) ** 2)))(np.stack([{a}, 0.7 * {a}]))",
    "arc.vmap(lambda t: arc.jvp({f})(t, np.cos(t)))(np.stack([{a}, np.tanh({a})]))",
    "arc.jac(lambda t: arc.vmap({f})(np.stack([t, t * t])))({a})",
    "arc.grad(lambda t: np.sum(arc.vmap({f})(np.stack([t, 0.2 * t])) ** 2))({a})",
)  # fmt: skip
#: Functions with rules of their own: of a number or array, right in every order.
_CUSTOM = (
    "{f} = arc.custom_jvp(lambda t: np.sin(t) * t)\n"
    "{f}.defjvp(lambda p, d: (np.sin(p[0]) * p[0], (np.cos(p[0]) * p[0] + np.sin(p[0])) * d[0]))\n{v} = {f}({a})",
    "{f} = arc.custom_vjp(lambda t: np.exp(-t * t))\n"
    "{f}.defvjp(lambda t: (np.exp(-t * t), t), lambda r, w: (-2 * r * np.exp(-r * r) * w,))\n{v} = {f}({a})",
    "{f} = arc.custom_vjp(lambda t, u: t * np.sum(u))\n"
    "{f}.defvjp(lambda t, u: (t * np.sum(u), (t, u)), lambda r, w: (np.sum(r[1]) * w, np.sum(r[0] * w) * "
    "np.ones_like(r[1])))\n{v} = {f}({a}, {b})",
    "{f} = arc.custom_jvp(lambda t, u: (np.sum(t * t), 2 * u))\n"
    "{f}.defjvp(lambda p, d: ((np.sum(p[0] * p[0]), 2 * p[1]), (2 * np.sum(p[0] * d[0]), 2 * d[1])))\n"
    "{v} = {f}({a}, {b})[{k}]",
    "{f} = arc.custom_vjp(lambda t: np.cos(t))\n"
    "{f}.defvjp(lambda t: (np.cos(t), t), lambda r, w: (-np.sin(r) * w,))\n"
    "{v} = arc.grad(lambda t: np.sum({f}(t)))({a})",
)  # fmt: skip


def of_more_than_one_array(d: Draw, scope: Scope) -> None:
    """Transformations by several arguments and trees, with auxiliary outputs, of batches, and rules of the user's."""
    a = scope.pick(d, fits=lambda x: 0 < x.size <= 3)
    b = scope.pick(d, fits=lambda x: 0 < x.size <= 3)
    if a is None or b is None or scope.depth >= 2:
        return
    kind = d.below(3)
    if kind == 2:
        text = d.one_of(_CUSTOM).format(f=f"f{scope.new_name()}", v=scope.new_name(), a=a, b=b, k=d.below(2))
        scope.add(text)
        return
    ending = (lambda inner: f"np.sum({_last(inner)})") if kind == 0 else _last
    name = _function(d, scope, "t", scope.value(a), ending, kind == 0 and scope.branches)
    if name is not None:
        _applied(d, scope, a, name, d.one_of((_OF_NUMBERS, _OF_ITEMS)[kind]), b=b)


#: Loops and choices over trees: f keeps the form of a; xs are run over, s is a number.
_LOOPS = (
    "arc.scan(lambda c, e: (({f}(c[0]) + 0.1 * np.sum(e), c[1] + 1), c[0] * c[1]), ({a}, 0), {xs})[0][0]",
    "arc.scan(lambda c, e: (({f}(c[0]) + 0.1 * np.sum(e), c[1] + 1), c[0] * c[1]), ({a}, 0), {xs})[1]",
    "arc.scan(lambda c, e: ({{'s': {f}(c['s']), 'n': 0.5 * c['n'] + e[1]}}, (c['n'], e[0])), "
    "{{'s': {a}, 'n': {xs}[0]}}, ({xs}, 2 * {xs}))[0]['n']",
    "arc.scan(lambda c, e: ((c[1], {f}(c[0])), {{'y': c[1], 'none': None}}), ({a}, 0.5 * {a}), None, length=4)[1]['y']",
    "arc.scan(lambda c, e: ({f}(c) * 0.5 + np.sum(e), None), {a}, {xs}, checkpoint=True)[0]",
    "arc.scan(lambda c, e: ({f}(c) * 0.5 + np.sum(e), np.sum(c) * e), {a}, {xs}, checkpoint=2)[1]",
    "arc.fori_loop(0, 3, lambda i, s: (s[1], {f}(s[0])), ({a}, 2.0 * {a}))[1]",
    "arc.fori_loop(0, len({xs}), lambda i, s: {f}(s) * 0.3 + 0.1 * np.sum({xs}[i]), {a})",
    "arc.fori_loop(1, 4, lambda i, s: ({f}(s[0]) / i, s[1] + i), ({a}, 0))[0]",
    "arc.fori_loop(0, 2, lambda i, s: arc.fori_loop(0, 2, lambda j, q: 0.5 * {f}(q) + 0.1 * s * i + j, s), {a})",
    "arc.while_loop(lambda s: s[1] < 3, lambda s: (0.9 * {f}(s[0]), s[1] + 1), ({a}, 0), 6)[0]",
    "arc.while_loop(lambda s: np.sum(s[0]) + np.sum(s[1]) < 2, lambda s: (0.9 * {f}(s[0]) + 0.2, s[1] + 0.5), "
    "({a}, {s}), 4)[1]",
    "arc.cond({s} > 0.3, lambda t, u: ({f}(t), u), lambda t, u: (t * 0.5, u * u), {a}, {xs})[0]",
    "arc.cond({s} > 0.3, lambda p: {{'x': {f}(p['t'])}}, lambda p: {{'x': p['t'] * np.sum(p['u'])}}, "
    "{{'t': {a}, 'u': {xs}}})['x']",
    "arc.switch(({s} > 0).astype(int) + ({s} > 0.5), [lambda t: t * np.sin(t), {f}, lambda t: {f}(t) * {s}], {a})",
    "arc.cond({s} > 0, lambda t: arc.cond(np.sum(t) > 0, {f}, lambda u: u * {s}, t), lambda t: t + {s}, {a})",
    "arc.scan(lambda c, e: (arc.cond(e > 0, {f}, lambda u: 0.5 * u, c), np.sum(c) * e), {a}, np.ravel({xs}))[0]",
    "arc.grad(lambda q: np.sum(arc.scan(lambda c, e: ({f}(c) + e * q, c), {a}, np.ravel({xs}))[1]))({s})",
    "arc.vmap(lambda e: arc.fori_loop(0, 2, lambda i, s: 0.5 * {f}(s) * np.sum(e), {a}))({xs})",
    "arc.linear_solve(np.outer({xs}, {xs}) + 2 * np.eye(len({xs})), {f}({a}) * {xs})",
)  # fmt: skip


def structured_trees(d: Draw, scope: Scope) -> None:
    """Loops and choices whose carries and operands are trees, counters beside."""
    a = scope.pick(d, fits=lambda x: 0 < x.size <= 4)
    xs = scope.pick(d, fits=lambda x: x.ndim > 0 and 0 < len(x) <= 5 and x.size <= 8)
    if a is None or xs is None or scope.depth >= 2:
        return
    name = _function(d, scope, "t", scope.value(a), lambda inner: _of_shape(inner, "t"), False)
    if name is not None:
        _applied(d, scope, a, name, d.one_of(_LOOPS), xs=xs, s=scalar(d, scope))


STATEMENTS: tuple[tuple[Statement, int], ...] = (
    (assigned, 12), (written, 4), (viewed, 3), (if_else, 2), (loop, 2), (transformed, 4), (structured, 4), (untaken, 2),
)  # fmt: skip
_DRAWN = tuple(maker for maker, weight in STATEMENTS for _ in range(weight))


def statement(d: Draw, scope: Scope) -> None:
    """Add a statement of a drawn kind, or none where it finds nothing to work on."""
    d.one_of(_DRAWN)(d, scope)
