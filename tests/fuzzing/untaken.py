"""Branches of np.where that are not taken, at points where they are nan or infinite: their values are shared."""

import numpy as np

from .expressions import operand, partner, scalar
from .scope import Draw, Scope

#: What is singular in a part of the numbers, and where it is regular.
_SINGULAR = (
    ("np.sqrt({a})", "{a} > 0.3"), ("np.log({a})", "{a} > 0.3"), ("{a} ** 0.5", "{a} > 0"), ("{a} ** 1.5", "{a} > 0.2"),
    ("np.sqrt(np.maximum({a}, 0))", "{a} > 0.3"), ("np.log(np.maximum({a}, 0))", "{a} > 0.3"),
    ("1 / np.maximum({a}, 0)", "{a} > 0.4"), ("1 / (np.abs({a}) - {a})", "{a} < -0.4"),
    ("{a} / np.minimum({a}, 0)", "{a} < -0.1"), ("np.arccosh({a})", "{a} > 1.2"),
    ("np.arcsin({a})", "np.abs({a}) < 0.8"), ("np.arccos(np.clip({a}, -1, 1))", "np.abs({a}) < 0.8"),
    ("np.log1p({a})", "{a} > -0.7"), ("np.arctanh({a})", "np.abs({a}) < 0.7"),
    ("np.sqrt(1 - {a} * {a})", "np.abs({a}) < 0.8"), ("np.cbrt(np.maximum({a}, 0))", "{a} > 0.3"),
    ("np.exp(1 / np.maximum({a}, 0))", "{a} > 0.5"), ("np.maximum({a}, 0) ** -0.5", "{a} > 0.3"),
    ("special.logit({a})", "({a} > 0.2) & ({a} < 0.8)"), ("special.xlogy({a}, {a})", "{a} > 0.2"),
    ("np.abs(np.maximum({a}, 0)) ** 0.3", "{a} > 0.3"), ("np.power({a}, {s})", "{a} > 0.3"),
    ("np.log({a}) / np.sqrt({a})", "{a} > 0.3"), ("np.log2({a} - 0.2)", "{a} > 0.5"),
    ("special.entr({a})", "{a} > 0.2"), ("np.hypot(np.maximum({a}, 0), 0)", "{a} > 0"),
    ("np.arctan2(np.maximum({a}, 0), np.maximum({a}, 0))", "{a} > 0.2"), ("special.gammaln({a})", "{a} > 0.4"),
    ("np.reciprocal(np.floor(np.abs({a})))", "np.abs({a}) > 1"), ("special.ndtri({a})", "({a} > 0.2) & ({a} < 0.8)"),
    ("special.erfinv({a})", "np.abs({a}) < 0.8"), ("special.y0({a})", "{a} > 0.3"), ("special.expi({a})", "{a} > 0.3"),
    ("special.ellipk({a})", "{a} < 0.8"), ("special.spence({a})", "{a} > 0.2"),
    ("np.sqrt({a} - np.mean({a}) - 0.01)", "{a} - np.mean({a}) > 0.3"), ("np.log({a}) * np.log(-{a})", "np.isnan({a})"),
    ("np.exp(-1 / {a} ** 2) * np.sqrt(-np.abs({a}))", "{a} == 9"),
)  # fmt: skip
#: What a program makes of the singular values q, regular where c holds, of an array a.
_USES = (
    "np.where({c}, {q}, 0)", "np.where({c}, {q} * {a}, 0.5)", "np.where({c}, np.sin({q}), {a})",
    "np.where(~({c}), {a}, {q} ** 2)", "np.select([{c}], [{q} * 2], 1.0)", "np.where({c}, {q}, 0) * {b}",
    "np.where(({c}) & ({a} < 0.9), 1 / (2 + {q} ** 2), {a} ** 2)", "np.choose(({c}).astype(int), [{a}, {q}])",
    "np.where({c}, {q}, {b})", "np.where({c}, np.where({a} > 0.5, {q} * {a}, {q}), 0)",
    "np.where({c}, np.exp(-{q}), 1)", "np.where({c}, np.tanh({q} + {b}), {b})",
)  # fmt: skip
#: The same with movement and sums on the way, of arrays with axes.
_USES_ON_THE_WAY = (
    "np.where({c}, {q}, 0)[::-1]", "np.where(({c})[::-1], {q}[::-1], 1.0)", "np.where(np.all({c}), np.sum({q}), 0.3)",
    "np.where(np.all({c}, axis=-1), np.sum({q}, axis=-1), 1.0)", "np.where(np.roll({c}, 1), np.roll({q}, 1), 0)",
    "np.where(np.ravel({c})[::-1], np.ravel({q})[::-1] * 2, 0)", "np.where({c}, {q}, 0).T", "np.sum({q}, where={c})",
    "np.where(({c})[..., None], {q}[..., None] * np.array([1.0, -0.5]), 0)",
    "np.where(({c})[:1], {q}[:1] * 2, {a}[:1])",
    "np.where(np.cumprod(np.ravel({c})) > 0, np.cumsum(np.ravel({q})), 0.3)", "np.where({c}, {q}, 0) @ {a}.T",
    "np.where(np.all({c}, axis=-1), {q} @ np.ones({a}.shape[-1]), 0.1)",
    "np.where(np.all({c}), np.linalg.norm({q}), 1)", "np.where(np.take({c}, [0, -1]), np.take({q}, [0, -1]), 0.2)",
    "np.max({q}, where={c}, initial=-1.0)", "np.where(np.any({c}, axis=0), np.sum(np.where({c}, {q}, 0), axis=0), 0.5)",
    "np.prod({q}, where={c})", "np.where(np.outer({c}, {c}), np.outer({q}, {q}), 0)",
    "np.where(np.tile({c}, 2), np.tile({q}, 2), 0.4)",
    "np.where(np.concatenate([{c}, {c}]), np.concatenate([{q}, 2 * {q}]), 0)",
    "np.mean(np.where({c}, {q}, {a}), axis=0)", "np.where(np.all({c}, axis=0), np.mean({q}, axis=0), {a}[0])",
    "np.einsum('...->', np.where({c}, {q}, 0.1))", "np.where(np.all({c}), np.dot(np.ravel({q}), np.ravel({a})), 0)",
    "np.sort(np.where({c}, {q}, {a}), axis=-1)", "np.where(np.all({c}), np.max({q}), 0)",
    "np.where(np.all({c}), np.std({q}), np.sum({a}))",
)  # fmt: skip
#: The same inside of calls, which read the singular values from around them, or give them to nobody.
_USES_INSIDE = (
    "arc.cond(np.all({c}), lambda t: np.sum({q}) * t, lambda t: 0.5 * t, {a})",
    "arc.cond(np.any({c}), lambda t: np.where({c}, {q} * t, t), lambda t: t * t, {a})",
    "arc.cond(np.all({c}), lambda t, u: u * t, lambda t, u: 0.5 * t, {a}, {q})",
    "arc.switch(np.minimum(np.sum({c}), 2), [lambda t: t, lambda t: np.where({c}, {q}, t), lambda t: 2 * t], {a})",
    "arc.vmap(lambda t: np.where({c}, {q} * t, t))(np.stack([{a}, 2 * {a}]))",
    "arc.vmap(lambda t, u: np.where(np.all({c}), u * t, t))(np.stack([{a}, {a} - 0.2]), np.stack([{q}, 2 * {q}]))",
    "arc.vmap(lambda t: (t * np.sum({a}), {q} * t))(np.stack([{a}, 2 * {a}]))[0]",
    "arc.fori_loop(0, 2, lambda i, s: 0.5 * s + np.where({c}, {q}, 0.1 * i), {a})",
    "arc.fori_loop(0, 3, lambda i, s: (0.5 * s[0] + 0.1 * i, {q} * s[1]), ({a}, {a}))[0]",
    "arc.scan(lambda s, e: (0.5 * s + np.where({c}, {q} * e, e), s), {a}, np.array([0.3, -0.2]))[0]",
    "arc.scan(lambda s, e: (0.5 * s + e, {q} * e), {a}, np.array([0.3, -0.2]))[0]",
    "arc.scan(lambda s, e: (s * e + np.where(s > 0, {q} - {q}, e), s), {a}, np.array([0.3, -0.2]))[1]",
    "arc.while_loop(lambda s: s[1] < 3, lambda s: (0.5 * s[0] + np.where({c}, {q}, 0), s[1] + 1), ({a}, 0), 5)[0]",
    "arc.while_loop(lambda s: s[2] < 3, lambda s: (0.5 * s[0], {q} * s[1], s[2] + 1), ({a}, {a}, 0), 5)[0]",
    "arc.grad(lambda t: np.sum(np.where({c}, np.tanh({q} + t), t * t)))({a})",
    "arc.jvp(lambda t: np.where({c}, np.sin({q} * t), t))({a}, {a})",
    "arc.vjp(lambda t: np.where({c}, np.sin({q} * t), t))({a}, {a})",
    "arc.compile(lambda t: np.where({c}, {q} * t, t))({a})",
    "arc.cond(np.any({c}), lambda t: (t * 2, {q}), lambda t: (t, t), {a})[0]",
    "arc.cond(np.sum({a}) > 0, lambda t: np.where({q} > 0.5, t, 2 * t), lambda t: t, {a}) + np.where({c}, {q}, 0)",
    "arc.vmap(lambda t: np.where({q} > 0.2, {q} * t, t))(np.stack([{a}, 2 * {a}]))",
    "arc.vmap(lambda t: np.fmax({q}, t) * t)(np.stack([{a}, 2 * {a}]))",
    "arc.vmap(lambda t: np.clip({q}, 0.2, 0.9) * t)(np.stack([{a}, {a} - 0.2]))",
    "arc.vmap(lambda t: np.nansum({q} * t) + t)(np.stack([{a}, 0.5 * {a}]))",
    "arc.scan(lambda s, e: (np.where({q} > 0.3, {q} * s, 0.5 * s), np.fmin(s, {q} * e)), {a}, np.array([0.3]))[0]",
    "arc.fori_loop(0, 2, lambda i, s: np.where(np.isfinite({q}), {q} * s, s * s), {a})",
    "arc.while_loop(lambda s: np.sum(s * s) > 20, lambda s: {q} * s * 0.5, {a}, 3)",
    "arc.grad(lambda t: np.sum(np.where(({c}) & (np.abs({q}) < 3), {q} * t ** 2, np.fmax(t, {q}))))({a})",
    "arc.cond(np.any({c}), lambda t: np.where({q} > 0.1, {q}, 0.0) + t, lambda t: t, {a})",
    "arc.while_loop(lambda s: s[1] < 2, lambda s: (0.5 * s[0] + np.where({q} > 0.1, {q}, 0), s[1] + 1), ({a}, 0), 4)"
    "[0]",
    "arc.while_loop(lambda s: np.nansum(s[1]) + s[2] < 6, lambda s: (0.5 * s[0] + 0.1, np.sqrt(np.abs(s[1]) - 0.5), "
    "s[2] + 1), ({a}, {q}, 0), 4)[0]",
    "arc.scan(lambda s, e: ((0.5 * s[0] * np.where(s[1] > 0.4, e, 1.0), np.sqrt(s[1] - 0.3)), None), ({a}, {q}), "
    "np.array([0.3, -0.2]))[0][0]",
    "arc.scan(lambda s, e: (0.5 * s + np.sum({q} > 0.3) * e, None), {a}, np.array([0.3, -0.2]))[0]",
    "arc.fori_loop(0, 2, lambda i, s: 0.5 * s + np.where(np.isfinite({q}), np.floor({q}), 0), {a})",
    "arc.vmap(lambda i: np.where(np.ravel({c})[i], np.ravel({q})[i] * 2, 0.1))(np.arange({a}.size))",
    "(lambda w: np.where(w[1] > 0.5, w[0], w[0] ** 2))(arc.vmap(lambda t, u: (t * t, np.sqrt(u)))("
    "np.stack([{a}, 2 * {a}]), np.stack([{q}, {q} - 0.5])))",
)  # fmt: skip
#: Writes where the condition holds into a new array n.
_WRITES = (
    "{n} = np.zeros_like({a})\nnp.copyto({n}, {q}, where={c})", "{n} = {a} * 0.5\nnp.add({n}, {q}, out={n}, where={c})",
    "{n} = {a} + 0.3\nnp.putmask({n}, {c}, {q})", "{n} = {a} * 1.0\n{n}[...] = np.where({c}, {q}, {n} * {n})",
    "{n} = {a} * 2.0\nnp.multiply({q}, {n}, out={n}, where={c})", "{n} = {a} * {a}\n{n} += np.where({c}, {q}, 0.0)",
)  # fmt: skip


def untaken(d: Draw, scope: Scope) -> None:
    """Values that are singular where they are not taken, used under one condition or more."""
    a = operand(d, scope, fits=lambda x: 0 < x.size <= 12)
    (singular, condition), has_axes = d.one_of(_SINGULAR), bool(np.ndim(scope.value(a)))
    number = scope.new_name()[1:]
    texts = {
        "c": condition, "q": f"q{number}", "n": f"v{number}", "b": partner(d, scope, a), "s": scalar(d, scope), "a": a,
    }  # fmt: skip

    def filled(template: str) -> str:
        for key, text in texts.items():
            template = template.replace("{" + key + "}", text)
        return template

    if d.happens(1, 4):
        use = filled("{n} = " + d.one_of(_USES_INSIDE))
    elif has_axes and d.happens(1, 4):
        use = filled(d.one_of(_WRITES))
    elif has_axes and d.happens(1, 2):
        use = filled("{n} = " + d.one_of(_USES_ON_THE_WAY))
    else:
        use = filled("{n} = " + " + ".join(d.one_of(_USES) for _ in range(1 + d.below(2))))
    scope.add(f"{texts['q']} = {filled(singular)}\n{use}")
