"""What a choice does not take is in no derivative: of no order, in no direction, whatever lies in between."""

import casadi
import numpy as np
import pytest
from helpers import needs_compiler
from scipy import special

import archimedes_grad as arc
from archimedes_grad.derivatives import branches
from archimedes_grad.derivatives.gates import Gated
from archimedes_grad.rules import special_calls

X = np.array([0.7, -1.0, 2.5, -0.3])
Y = np.array([1.5, 0.2, -0.8, 0.4])
W = np.array([[0.3, -0.2, 0.5, 0.1], [0.7, 0.4, -0.6, 0.2], [-0.1, 0.9, 0.8, -0.5]])


def _shared(x, y):
    root = np.sqrt(x)
    return np.sum(np.where(x > 0, root, 0.0) * y + np.where(x > 0.1, root * x, y))


def _shared_behind_a_condition(x, y):
    root = np.sqrt(x)
    return np.sum(np.where(root > 0.1, np.log(root)[::-1][::-1], 0.0)) + np.sum(np.where(x > 0, root, 1.0)) * y[0]


def _smallest_of_shared(x, y):
    root = np.sqrt(x)
    both = np.where(x > 0, np.tanh(root + 0.5), 0.5) + np.where(x > 0, root, 0.0) * 0.5
    return np.sum(np.min(np.stack([both, y, both + y]), axis=0) * y)


_scaled = arc.custom_vjp(lambda t, u: t * np.sum(u))
_scaled.defvjp(
    lambda t, u: (t * np.sum(u), (t, u)),
    lambda r, w: (np.sum(r[1]) * w, np.sum(r[0] * w) * np.ones_like(r[1])),
)


#: Its second output tells which entries count; the first one is no 0 where these do not.
_with_sign = arc.custom_jvp(lambda t: (3 * t - 1, t > 0))
_with_sign.defjvp(lambda p, t: ((3 * p[0] - 1, p[0] > 0), (3 * t[0], np.zeros_like(t[0]))))


def _at(array, place):
    """Return an entry; of a plain array, too, where the place is known at run time."""
    return arc.array(array)[place]


def _shared_call(values, x, y):
    return np.sum(np.where(x > 0, values, 0.0) * y + np.where(x > 1, values * x, y))


def _squared(x):
    return arc.switch(np.where(x[0] > 5, 1, 0), [lambda v: v * v, lambda v: v], x)


def _bodies(x, y):
    def step(carry, items):
        a, b = items
        root = np.sqrt(a)
        return carry + np.where(a > 0, root * b, 0.0) + np.where(a > 0.5, root * root * root, b), carry

    total, carries = arc.scan(step, 0.0, (x, y))
    return total + np.sum(carries**2)


def _chosen(x, y):
    return arc.switch(np.where(x[0] > 5, 1, 0), [lambda v: np.sum(v * v), lambda v: np.sum(v)], y)


def _regular(x, y):
    a = np.where(x[0] > 5, np.ones((4, 4)), np.outer(x, y) + 3 * np.eye(4))
    singular = np.ones((4, 4)) * x
    return np.sum(np.where(x[0] > 5, np.linalg.solve(singular + np.diag([np.nan] * 4), y), np.linalg.solve(a, x)))


CASES = {
    "used under two conditions": _shared,
    "used in a condition": _shared_behind_a_condition,
    "over a minimum": lambda x, y: np.sum(np.sin(np.where(x < -0.1, x / np.minimum(x, 0), 1)) * y),
    "a hypotenuse": lambda x, y: (lambda v: np.sum(np.hypot(v, v) * y))(np.where(x < 9, x, np.sqrt(x))),
    "nested conditions": lambda x, y: np.sum(np.where(x > 0, np.where(x > 1, np.sqrt(x - 1) * y, np.sqrt(x)), y)),
    "reversed": lambda x, y: np.sum(np.where(x > 0, np.sqrt(x[::-1])[::-1] * y, y)),
    "transposed": lambda x, y: np.sum(np.where(x[:, None] > 0, np.log(np.outer(x, np.exp(y)).T).T, 0.0)),
    "gathered": lambda x, y: np.sum(np.where(x[[0, 2, 0]] > 0, np.log(x)[[0, 2, 0]] * y[1:], 0.0)),
    "written to": lambda x, y: np.sum(np.where(x > 0, _written(np.log(x) * y, y), y)),
    "joined": lambda x, y: np.sum(np.where(np.concatenate([x, y]) > 0, np.log(np.concatenate([x, y * x[0]])), 0.0)),
    "stacked and taken apart": lambda x, y: np.sum(np.where(x > 0, np.log(np.stack([x, np.exp(y)]))[0] * y, 0.0)),
    "repeated": lambda x, y: np.sum(np.where(np.repeat(x, 2) > 0, np.repeat(np.sqrt(x), 2) * y[0], 0.0)),
    "broadcast": lambda x, y: np.sum(np.where((x > 0)[:, None] & (y > 0), np.sqrt(x)[:, None] * np.log(y), 1.0)),
    "summed, one condition": lambda x, y: np.where(np.sum(x) > 50, np.sum(np.sqrt(x)), np.sum(y * x)),
    "rows of a product": lambda x, y: np.sum(np.where((x > 0)[:, None], np.sqrt(np.outer(x, [1.0, 2.0])) @ W[:2], 0.0)),
    "columns of a product": lambda x, y: np.sum(np.where(x > 0, W @ np.diag(np.log(x)), y)),
    "a matrix and a vector": lambda x, y: np.where(x[1] > 0, np.sum(W @ np.log(x)), np.sum(W @ y)),
    "einsum": lambda x, y: np.sum(np.where(x > 0, np.einsum("i,ij,j->j", np.ones(3), W, np.sqrt(x)), y)),
    "a stack of products": lambda x, y: np.sum(
        np.where(x > 0, (np.sqrt(x)[:, None, None] * W @ np.ones((4, 2)))[:, 0, 0] * y, 0.0)
    ),
    "norm": lambda x, y: np.where(x[0] > 5, np.linalg.norm(x * np.floor(np.abs(y))[1]), np.sum(x * y)),
    "a number for all entries": lambda x, y: np.sum(
        np.where(x > 0, y[0] * np.sqrt(x) / y[1] + np.hypot(np.log(x), y[2]), 0.0)
    ),
    "one exponent for all": lambda x, y: np.sum(np.where(x > 0.3, np.power(x, np.mean(x) + y[0]), 0.0)),
    "a sum of some": lambda x, y: np.sum(np.power(x, y[0]), where=x > 0.3),
    "entries one by one": lambda x, y: np.sum(np.where(np.cumprod(x > 0.3) > 0, np.cumsum(np.sqrt(x) * y), 0.3)),
    "powers": lambda x, y: np.sum(np.where(x > 0, (x**y)[::-1][::-1], y)),
    "quotients": lambda x, y: np.sum(np.where(x > 1, (y / np.floor(np.abs(x)))[::-1][::-1], x)),
    "overflow": lambda x, y: np.sum(np.where(x > 0, x, (np.exp(1000 * x)[::-1] * 2)[::-1] * y)),
    "inverse functions": lambda x, y: np.sum(
        np.where(np.abs(x) < 0.9, (np.arcsin(x) + np.arccos(x) + np.arctanh(x))[::-1][::-1] * y, 0.0)
        + np.where(x > 2, np.arccosh(x)[::-1][::-1], 0.0)
    ),
    "maximum": lambda x, y: np.sum(np.maximum(np.sqrt(np.abs(x))[::-1], np.log(np.abs(y) * 1e-3)[::-1])),
    "select": lambda x, y: np.sum(np.select([x > 1, x > 0], [np.log(x) * y, np.sqrt(x) * np.log(x)], y)),
    "piecewise": lambda x, y: np.sum(np.piecewise(x, [x > 0], [np.log, np.exp]) * y),
    "nan among the data": lambda x, y: np.where(x[0] > 5, np.sum(np.array([np.nan, 1, 2, 3]) * y * x), np.sum(x * y)),
    "bodies of a loop": _bodies,
    "mapped": lambda x, y: np.sum(np.where(x > 0, arc.vmap(lambda a, b: np.sqrt(a) * b)(x, y), y)),
    "a function that is called": lambda x, y: np.sum(
        np.where(x > 0, arc.compile(lambda a: np.sqrt(a[::-1])[::-1])(x) * y, 0.0)
    ),
    "a loop that is called": lambda x, y: np.where(
        x[0] > 5, arc.scan(lambda c, a: (c + np.sqrt(a), c), 0.0, x)[0] * y[0], np.sum(x * y)
    ),
    "before a call": lambda x, y: np.sum(
        np.where(x > -5, np.log(_squared(np.where(x > 0, np.sqrt(x) * y, 2.0) + np.where(x > 0, np.sqrt(x), 1.0))), 0.0)
    ),
    "a function of SciPy's": lambda x, y: np.where(
        np.all(x > 5), special.ndtri(np.where(x > 0.3, np.power(x, y[0]), 0.0)) @ y, np.sum(x * y)
    ),
    "evaluated by SciPy": lambda x, y: np.sum(
        np.where((x > 0.2) & (x < 0.8), special.ndtri(x) * y, x) + np.where(x > 0, special.kv(1.5, x), y)
    ),
    "evaluated by SciPy, shared": lambda x, y: _shared_call(special.kv(0.5, x), x, y),
    "evaluated by SciPy, of several": lambda x, y: np.sum(
        np.where(x > 0, special.gammainc(np.abs(Y), x) * y + special.erfinv(x - 2), 0.0),
        where=np.abs(x - 2) < 1,
    ),
    "a rule of the user's": lambda x, y: np.sum(
        (lambda v: np.where(v > 0.3, np.where(v > 0.5, v * v, np.sqrt(v)), 0.0) * y)(_scaled(x, x))
    ),
    "a smallest one of shared ones": _smallest_of_shared,
    "a smallest one": lambda x, y: np.sum(
        np.min(np.outer([1.0, 2.0], np.where(x > 0, np.sqrt(x) * y, 2.0) + np.where(x > 0, np.sqrt(x), 1.0)), axis=0)
    ),
    "a gradient that is called": lambda x, y: np.sum(
        np.where(x > 0, arc.grad(lambda a: np.sum(np.sqrt(a[::-1])[::-1] * y))(x), y)
    ),
    "a factorisation": _regular,
}


def _compared_in_a_branch(called):
    """Give a branch, of arrays, in which the results of a call are compared where no slope reads them."""

    def branch(q, s, a):
        r = called(q)
        compared = np.where(s > 0, np.where(r > 0.6, 2 * a, a * a), 0 * a)
        return np.sum(compared) + np.sum(np.where(s > 1, np.sqrt(r) * a, 0.0))

    return lambda x, y: arc.cond(
        y[0] > -9, branch, lambda q, s, a: np.sum(a), np.sqrt(np.tile(x, 10)), np.tile(x, 10), np.tile(y, 10)
    )


#: What reads values where it reads no slopes, of entries of which one is 0 with an infinite slope.
COMPARING = {
    "np.where": lambda q, y: np.sum(np.where(q > 0.1, q, 0.0) * y),
    "np.where of arrays": lambda q, y: np.sum(np.tile(np.where(q > 0.1, q, 0.0) * y, 20)),
    "neighbours": lambda q, y: np.sum(np.where(q[1:] > q[:-1], q[1:], y[1:])) + np.where(q[2] > 9, q[0], 0.0),
    "np.maximum": lambda q, y: np.sum(np.maximum(q, 0.1) * y),
    "np.fmax": lambda q, y: np.sum(np.fmax(q, 0.2) * y),
    "np.clip": lambda q, y: np.sum(np.clip(q, 0.1, 0.95) * y),
    "np.max": lambda q, y: np.max(q) * y[0],
    "np.median": lambda q, y: np.median(q) * y[0],
    "another choice": lambda q, y: np.sum(np.where(y < 0.3, np.where(q > 0.6, 2 * y, 3 * y), q * y)),
}
CALLING = {
    "a branch": lambda inside: lambda q, y: arc.cond(y[0] > 0, inside, lambda q, y: 0.0, q, y),
    "either branch": lambda inside: lambda q, y: arc.cond(y[0] < 0, lambda q, y: np.sum(q), inside, q, y),
    "a loop": lambda inside: lambda q, y: arc.scan(lambda c, e: (0.5 * c + inside(q, y) * e, None), 0.0, y)[0],
    "a loop that ends": lambda inside: lambda q, y: arc.while_loop(
        lambda c: c[1] < 3, lambda c: (0.5 * c[0] + inside(q, y), c[1] + 1), (0.0, 0), 5
    )[0],
    "a batch": lambda inside: lambda q, y: np.sum(arc.vmap(lambda e: e * inside(q, y))(y)),
}


def _root_of_zero(f):
    return lambda x, y: f(np.cbrt((x + 1) * [1.0, 1.0, 1.0, 2.0]), y)


_sine = arc.custom_jvp(lambda v: np.sin(v) * v)
_sine.defjvp(lambda p, t: (_sine(p[0]), t[0] * (np.cos(p[0]) * p[0] + np.sin(p[0]))))
#: What is read from outside by a branch that is not taken, inside of a call.
READ = {
    "by a branch of a choice": lambda x, y: (
        lambda q: arc.cond(x[1] > 0, lambda: np.sum(q * y), lambda: np.sum(x * y))
    )(np.sqrt(x)),
    "by one of several branches": lambda x, y: arc.switch(
        np.sum(x > 5), [lambda q: np.sum(x * y), lambda q: np.sum(q), lambda q: np.sum(q * q)], np.log(x)
    ),
    "by np.where in a branch": lambda x, y: (
        lambda q: arc.cond(x[0] > 0, lambda z: np.sum(np.where(z > 0, q * z, y)), lambda z: np.sum(z), x)
    )(np.sqrt(x)),
    "by the steps of a loop": lambda x, y: (
        lambda q: np.sum(arc.scan(lambda c, e: (c + np.where(x > 0, q, y) * e, None), 0 * x, y)[0])
    )(np.sqrt(x)),
    "by the steps of a loop, slices": lambda x, y: arc.scan(
        lambda c, e: (c + np.where(e[0] > 0, e[1], e[2]), None), 0.0, (x, np.log(x), y)
    )[0],
    "by a batch": lambda x, y: (lambda q: np.sum(arc.vmap(lambda b: np.where(x > 0, q * b, x))(y)))(np.sqrt(x)),
    "by the items of a batch": lambda x, y: np.sum(
        arc.vmap(lambda a, b, q: np.where(a > 0, q * b, a * b))(x, y, np.sqrt(x))
    ),
    "by a gradient inside": lambda x, y: (
        lambda q: np.sum(arc.grad(lambda t: np.sum(np.where(x > 0, np.tanh(q + t), t * t)))(x * y))
    )(np.sqrt(x)),
    "by a product inside": lambda x, y: (
        lambda q: np.sum(arc.jvp(lambda t: np.where(x > 0, np.tanh(q + t), t * t))(x * y, y))
    )(np.log(x)),
    "by a branch, and compared in another call": lambda x, y: (
        lambda q: arc.cond(x[1] > 0, lambda: np.sum(q * y), lambda: np.sum(x * y))
        + arc.cond(np.sum(y) > 0, lambda t: np.sum(np.where(q > 0.8, t, 3 * t)), lambda t: np.sum(t), x)
    )(np.sqrt(x)),
    "by a branch, beside what is compared only": lambda x, y: (
        lambda q, s: arc.cond(x[1] > 0, lambda: np.sum(s * q), lambda: np.sum(x * y))
        + arc.cond(
            np.sum(y) > 0,
            lambda t: np.sum(np.where(q > 0.5, t, 3 * t)) + np.sum(np.where(x > 0, s, 0)), lambda t: np.sum(t), x,
        )
    )(x * x, np.sqrt(x)),
    "by a small batch of much": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda b: np.where(x > 0, special.ndtri(np.tanh(q) * 0.3 + 0.5) * b, x))(y[:2]))
    )(np.sqrt(x)),
    "by thousands of operations on numbers": lambda x, y: (
        lambda q: np.sum(arc.vmap(
            lambda b: np.where(x + b > 0.3, special.gammaln(1 + b * b * np.ones((3, 4))) * q + special.erfcx(b), b)
        )(np.stack([x, 2 * x])))
    )(np.sqrt(x)),
    "by a derivative of a loop": lambda x, y: (
        lambda q: np.sum(arc.jac(
            lambda t: arc.while_loop(lambda s: np.sum(s * s) > 1, lambda s: np.sin(q * s), t * t, 1)
        )(arc.cond(x[0] > 100, lambda t: t, lambda t: 2 * t * t, y)))
    )(np.exp(x)),
    "by a branch, beside a call that compares it, under a condition": lambda x, y: (
        lambda q: np.sum(np.hypot(
            arc.cond(np.sum(y) > 0, lambda t: np.where(q > 0.5, t, 2 * t), lambda t: t, x) + np.where(x > 0, q, 0.0),
            0.5,
        ))
    )(np.sqrt(x)),
    "by a batch that compares it": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda b: np.where(q > 0.2, q * b, x * b))(y))
    )(np.sqrt(x)),
    "by the larger of two in a batch": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda b: np.fmax(q, b) * b)(y))
    )(np.sqrt(x)),
    "by a clip in a batch": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda b: np.clip(q, 0.1, 0.7) * b)(y))
    )(special.gammaln(np.floor(np.minimum(x, 0)) + 0 * x)),
    "by choices by themselves at places, by a batch": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda i: np.where(_at(q, i) > 0.1, _at(q, i), 0.0))(np.arange(4)))
    )(np.sqrt(x)),
    "by a sum without nan in a loop": lambda x, y: (
        lambda q: arc.scan(lambda c, e: (0.5 * c + np.nansum(q * e), None), 0.3, y)[0]
    )(np.log(x)),
    "by the smaller of a carry": lambda x, y: (
        lambda q: np.sum(arc.scan(lambda c, e: (np.where(q > 0.3, q * c, 0.5 * c), np.fmin(c, q * e)), y, y)[1])
    )(np.sqrt(x)),
    "by a branch, by the second output of a call": lambda x, y: (
        lambda q: arc.cond(y[0] > 0, lambda: np.sum(np.where(_with_sign(x)[1], q, y)), lambda: 0.0)
    )(np.sqrt(x)),
    "by a batch, by the second output of a call": lambda x, y: np.sum(
        arc.vmap(lambda q, a, b: np.where(_with_sign(a)[1], q * b, b))(np.sqrt(x), x, y)
    ),
    "by the steps of a loop, by the second output of a call": lambda x, y: arc.scan(
        lambda c, e: (c + np.where(_with_sign(e[0])[1], e[1], e[2]), None), 0.0, (x, np.log(x), y)
    )[0],
    "at places, by the items of a batch": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda i: np.where(_at(x, i) > 0, _at(q, i) * _at(y, i), _at(y, i)))(np.arange(4)))
    )(np.sqrt(x)),
    "at places, by the steps of a loop": lambda x, y: (
        lambda q: arc.fori_loop(0, 4, lambda i, c: c + np.where(x[i] > 0, q[i] * c, y[i]), 1.0)
    )(np.sqrt(x)),
    "at places, by branches in the steps of a loop": lambda x, y: (
        lambda q: arc.fori_loop(0, 4, lambda i, c: arc.cond(x[i] > 0, lambda: c + q[i] * y[i], lambda: 0.5 * c), 1.0)
    )(np.log(x)),
    "at places, rows by branches in the steps of a loop": lambda x, y: (
        lambda q: arc.fori_loop(0, 2, lambda i, c: arc.cond(i > 0, lambda: q[i - 1] @ y[2:] * c, lambda: c), 1.0)
    )(np.reshape(np.sqrt(x + np.array([2.0, 2.0, 0.0, 0.0])), (2, 2))),
    "at places, by gradients inside": lambda x, y: (
        lambda q: np.sum(arc.vmap(lambda s: arc.grad(
            lambda t: arc.fori_loop(0, 4, lambda i, c: c + np.where(_at(x, i) > 0, np.sin(t[i] * s), y[0]), 0.0)
        )(q))(y))
    )(np.sqrt(x)),
    "at places by itself": lambda x, y: np.sum(
        np.where(np.arange(64) < 62, np.sort(np.concatenate([np.sqrt(x), np.linspace(1.0, 3.0, 60) * y[0]])), 0.0)
    ),
    "by steps that are not taken": lambda x, y: (
        lambda q: np.sum(arc.while_loop(lambda s: np.sum(s * s) > 99, lambda s: q * s, y, 3))
    )(np.sqrt(x)),
    "by later steps that are not taken": lambda x, y: (
        lambda q: np.sum(arc.while_loop(lambda s: np.sum(s * s) > 1, lambda s: np.where(s > 9, q, 0.4 * s), y, 5))
    )(np.log(x)),
    "by two outputs, one always": lambda x, y: (
        lambda a: np.sum(a[0] + np.where(x > 0, a[1] * y, 0))
    )(arc.scan(lambda c, e: ((c[0] * e + x, np.where(x > 0, c[1] * np.sqrt(x), 0 * c[0])), None), (y, x), y)[0]),
    "by entries of an array in a branch": lambda x, y: (
        lambda q: arc.cond(x[0] > 0, lambda: q[2] * y[0], lambda: np.sum(q[1::2]))
    )(np.sqrt(x)),
    "by entries of an array in one of several branches": lambda x, y: (
        lambda q: arc.switch(1 + (x[1] > 0), [lambda: q[3], lambda: q[2] * y[1], lambda: q[1]])
    )(np.sqrt(x)),
    "by a carry that later steps do not take": lambda x, y: arc.scan(
        lambda c, b: ((0.5 * c[0], c[1] + np.sum(np.where(x > 0, c[0] * b, 0))), None), (np.sqrt(x), 0.0), y
    )[0][1],
    "by entries of a carry, in branches": lambda x, y: arc.scan(
        lambda c, b: ((0.9 * c[0], c[1] + arc.cond(b > 9, lambda: c[0][1], lambda: b * c[0][2])), None),
        (np.sqrt(x), 0.0), y,
    )[0][1],
    "by a carry, while": lambda x, y: arc.while_loop(
        lambda s: s[2] < 3, lambda s: (s[0] * 0.9, s[1] + np.sum(np.where(x > 0, s[0] * y, 0)), s[2] + 1),
        (np.sqrt(x), 0.0, 0), 5,
    )[1],
    "by the condition of a loop alone": lambda x, y: np.sum(
        arc.while_loop(
            lambda s: np.nansum(s[0]) + s[2] < 6, lambda s: (0.9 * s[0], s[1] * y, s[2] + 1), (np.sqrt(x), x, 0), 9
        )[1]
    ),
}
READ |= {
    f"by a branch that compares what {what} gives": _compared_in_a_branch(called)
    for what, called in {
        "a batch": arc.vmap(lambda v: np.sin(v) * v),
        "a loop": lambda q: arc.scan(lambda c, v: (c, np.sin(v) * v), 0.0, q)[1],
        "a rule of the user's": _sine,
        "a solver": lambda q: arc.implicit_root(lambda r, p: r - np.sin(p) * p, np.zeros(40), np.nan_to_num(q)),
    }.items()
}
READ |= {
    f"by {inside} in {call}": _root_of_zero(CALLING[call](COMPARING[inside]))
    for inside in COMPARING for call in CALLING
    if call == "a branch" or inside == "another choice" or (inside, call) == ("np.where", "a loop that ends")
}  # fmt: skip
#: Outputs that are singular where x is negative, and that nobody reads.
UNREAD = {
    "of a choice": lambda x, y: np.sum(arc.cond(x[0] > 0, lambda t: (t * y, np.sqrt(t)), lambda t: (t, t), x)[0]),
    "of a batch": lambda x, y: np.sum(arc.vmap(lambda a, b: (a * b, np.sqrt(a)))(x, y)[0]),
    "of a loop": lambda x, y: arc.scan(lambda c, e: (c * e[1] + e[0], np.log(e[0])), 0.3, (x, y))[0],
    "of a loop that forgets": lambda x, y: arc.scan(
        lambda c, e: (c * e[1] + e[0], np.log(e[0])), 0.3, (x, y), checkpoint=2
    )[0],
    "of a loop in a batch": lambda x, y: np.sum(
        arc.vmap(lambda a: arc.scan(lambda c, e: (c * e + a, np.sqrt(a)), a, y)[0])(x)
    ),
    "of a choice in a loop": lambda x, y: np.sum(
        arc.scan(lambda c, e: (arc.cond(e > 0, lambda t: (t * e, np.sqrt(t)), lambda t: (t, t), c)[0], c), x, y)[0]
    ),
    "of a loop in a loop, from outside": lambda x, y: np.sum(
        arc.scan(lambda c, e: arc.scan(lambda a, b: (a * b, np.sqrt(x)), c, y), x, y)[0]
    ),
    "carried": lambda x, y: np.sum(
        arc.fori_loop(0, 3, lambda i, c: (c[0] * 0.5 + c[2], np.sqrt(c[0]) + c[1], c[2] * y), (x, x, y))[0]
    ),
    "carried while": lambda x, y: np.sum(
        arc.while_loop(lambda c: c[2] < 3, lambda c: (c[0] * y, np.sqrt(c[0]) + c[1], c[2] + 1), (x, x, 0), 5)[0]
    ),
    "all but what a loop gives": lambda x, y: np.sum(
        arc.scan(lambda c, e: (np.sqrt(c), e * e), x, x * y)[1]
    ),
}
#: Outputs and carries that are singular where x is negative, and are only compared or rounded.
COMPARED = {
    "by the condition of a loop": lambda x, y: np.sum(
        arc.while_loop(
            lambda s: np.nansum(s[0]) + s[2] < 6, lambda s: (0.5 * np.sqrt(s[0]), s[1] * y, s[2] + 1), (x, x, 0), 9
        )[1]
    ),
    "by the condition of a loop in a loop": lambda x, y: np.sum(
        arc.scan(lambda c, e: (
            arc.while_loop(lambda s: np.nansum(s[0]) < 3 * e, lambda s: (np.sqrt(s[0]) + 1, s[1] * y), (x, c), 5)[1],
            None,
        ), x, y)[0]
    ),
    "as a residual": lambda x, y: np.sum(
        arc.while_loop(lambda s: s[1] > 0.1, lambda s: (
            s[0] * y, np.sqrt(np.sum((np.maximum(s[0] * y, 0.3) - np.maximum(s[0], 0.3)) ** 2))
        ), (x, 1.0), 9)[0]
    ),
    "by a step": lambda x, y: np.sum(
        arc.scan(lambda c, e: ((np.sqrt(c[0]), c[1] * np.where(c[0] > 1, e, y)), None), (x, x), y)[0][1]
    ),
    "by a step that chooses": lambda x, y: np.sum(
        arc.fori_loop(0, 3, lambda i, s: (
            np.log(s[0]), arc.cond(s[0][1] > 0, lambda: s[1] * y, lambda: s[1] * y[0])
        ), (x, x))[1]
    ),
    "by what steps give": lambda x, y: np.sum(
        arc.scan(lambda c, e: (np.sqrt(c), np.where(np.floor(c) > 0, e, e**2)), x, x * y)[1]
    ),
    "around a batch": lambda x, y: (
        lambda a: np.sum(np.where(a[1] > 1, a[0], a[0] ** 2))
    )(arc.vmap(lambda u, v: (u * v, np.sqrt(u)))(x, y)),
    "around a choice": lambda x, y: (
        lambda a: np.sum(a[0] * np.sign(a[1] - 1) ** 2)
    )(arc.cond(y[0] > 0, lambda: (x * y, np.log(np.where(x < 0, 0.0, x))), lambda: (x, x))),
    "around a loop": lambda x, y: (
        lambda a: np.sum(np.where(np.nansum(a[1], axis=0) > 1, a[0], y * a[0]))
    )(arc.scan(lambda c, e: (c * e + x, np.sqrt(c * x)), x, y)),
    "around a call of calls": lambda x, y: np.sum(
        arc.vmap(lambda u: (
            lambda a: np.where(a[1] > 1, a[0], y[0] * a[0])
        )(arc.scan(lambda c, e: ((c[0] * e + u, np.sqrt(u) + c[1]), None), (u, u), y)[0]))(x)
    ),
    "as what is around a loop": lambda x, y: (
        lambda q: arc.scan(lambda c, e: (c * 0.5 + np.sum(q > 1) * e, None), 0.3, y)[0] + np.sum(x * y)
    )(np.sqrt(x)),
    "in whole numbers": lambda x, y: (
        lambda q: arc.fori_loop(0, 3, lambda i, s: s * 0.5 + np.sum(np.nan_to_num(np.floor(q))), y[0]) + np.sum(x * y)
    )(np.sqrt(x)),
}
CASES |= {f"read {how}": f for how, f in READ.items()} | {f"not read, {what}": f for what, f in UNREAD.items()}
CASES |= {f"compared, {how}": f for how, f in COMPARED.items()}
SURROUNDINGS = {"by itself": lambda f: f, "beside a switch": lambda f: lambda x, y: f(x, y) * _chosen(x, y)}


def _written(x, y):
    x = x[::-1].copy()
    x[1:3] = y[1:3]
    return x[::-1]


#: Guards: beside the last argument, what the function is constant in where an entry of x is negative.
GUARDED = {
    "sqrt of a maximum": lambda x, y: np.sum(np.sqrt(np.maximum(x, 0)) * y),
    "times itself": lambda x, y: np.sum(np.sqrt(np.maximum(0, x)) * x * y),
    "sqrt of clip": lambda x, y: np.sum(np.sqrt(np.clip(x, 0, 2)) * y + np.sqrt(2 - np.clip(x, 0, 2))),
    "power of fmax": lambda x, y: np.sum(np.fmax(x, 0) ** 0.5 * x[::-1]),
    "minimum": lambda x, y: np.sum(np.sqrt(-np.minimum(-x, 0)) * y),
    "of singular ones": lambda x, y: np.sum(np.maximum(np.sqrt(np.maximum(x, 0)), 0.1) * y),
    "a maximum of two": lambda x, y: np.sum(np.sqrt(np.maximum(x, np.floor(y) * 0 + 0 * y)) * y),
    "arrays of any shape": lambda x, y: np.sum(np.sqrt(np.maximum(x[:, None] * [1.0, 2.0], np.zeros(2)))),
    "a sum": lambda x, y: np.sqrt(np.sum(np.maximum(x - 50, 0))) + np.sum(x * y),
    "a product": lambda x, y: np.sqrt(np.maximum(x - 50, 0) @ np.ones((4, 2)))[0] + np.sum(x * y),
    "in a loop": lambda x, y: arc.scan(lambda c, a: (c + np.sqrt(np.maximum(a, 0.0)), c), 0.0, x)[0] * y[0],
}
#: Singular values have derivatives of their own, which are calls that can fail: of second order nan gets through them.
ONCE = {
    "a condition number": lambda x, y: np.sum(
        np.linalg.cond(
            np.outer(y, np.where(x > 0, np.exp(-np.sqrt(x)), 1.0) + np.where(x > 0.1, np.sqrt(x), x)) + 9 * np.eye(4)
        )
    ),
}
CASES |= GUARDED
#: Where the tangent is a sum of zeros, that it is 0 is known at run time only.
_IN_REVERSE_ONLY = ("a sum", "a product")


def numeric_gradient(f, x, y):
    with np.errstate(all="ignore"):
        return arc.grad(f, argnums=(0, 1), method="adaptive")(x, y)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("case", [*CASES, *ONCE])
def test_gradients(case, surroundings):
    f = SURROUNDINGS[surroundings]({**CASES, **ONCE}[case])
    for got, expected in zip(arc.grad(f, argnums=(0, 1))(X, Y), numeric_gradient(f, X, Y), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("case", CASES)
def test_derivatives_of_any_direction_and_order(case, surroundings):
    f = SURROUNDINGS[surroundings](CASES[case])
    gradient = arc.grad(f)
    slope = gradient(X, Y)
    assert np.isfinite(slope).all()
    v = np.array([0.3, -0.7, 0.2, 0.9])
    forward = [arc.grad(lambda x: arc.jvp(f)(x, Y, v))(X)] if case not in _IN_REVERSE_ONLY else []
    if forward:
        np.testing.assert_allclose(arc.jvp(f)(X, Y, v), slope @ v, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(arc.jac(f)(X, Y), slope, rtol=1e-12, atol=1e-12)
    step = 1e-5
    curvature = (gradient(X + step * v, Y) - gradient(X - step * v, Y)) / (2 * step)
    for product in (
        arc.hvp(f)(X, Y, v), arc.hess(f)(X, Y) @ v, arc.grad(lambda x: gradient(x, Y) @ v)(X),
        arc.jvp(lambda x: gradient(x, Y))(X, v), *forward,
    ):  # fmt: skip
        np.testing.assert_allclose(product, curvature, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", ["used under two conditions", "gathered", "summed, one condition", "mapped"])
def test_functions_for_casadi_to_differentiate(case):
    f = CASES[case]
    function = arc.compile(f).to_casadi(X, Y)
    x, y = casadi.SX.sym("x", 4), casadi.SX.sym("y", 4)
    gradient = casadi.Function("gradient", [x, y], [casadi.gradient(function(x, y), x)])
    np.testing.assert_allclose(gradient(X, Y).full().ravel(), arc.grad(f)(X, Y), rtol=1e-12)


@needs_compiler
@pytest.mark.parametrize("case", [
    "used under two conditions", "rows of a product", "einsum", "mapped", "overflow", "read by the items of a batch",
    "read by the steps of a loop", "not read, of a loop", "not read, carried",
])  # fmt: skip
def test_gates_in_compiled_code(case):
    f = SURROUNDINGS["beside a switch"](CASES[case])
    for made in (arc.grad, arc.hess):
        np.testing.assert_allclose(made(f, engine="native")(X, Y), made(f)(X, Y), rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_numpy(case):
    f = CASES[case]
    with np.errstate(all="ignore"):
        expected = f(X, Y)
    value, _ = arc.value_and_grad(f)(X, Y)
    assert value == pytest.approx(expected, rel=1e-14)
    assert value == arc.compile(f)(X, Y)


@pytest.mark.parametrize("n", [3, np.array([3, 4, 5, 7])])
def test_whole_orders_stay_whole_behind_gates(n):
    # SciPy's loop for whole numbers gives other digits than the one for real orders.
    def f(x):
        values = special.eval_hermite(n, x)
        return np.sum(np.where(x > 0, values, 0.0)[::-1] + np.where(x > 0.1, values, 1.0))

    x = np.array([0.7, -1.0, 2.5, 0.3])
    assert arc.value_and_grad(f)(x)[0] == f(x)


@pytest.mark.parametrize("name", special_calls.DERIVATIVES)
def test_calls_of_scipy_are_regular_where_gates_put_them(name):
    point = np.array(special_calls._kind(name).regular_point)
    by = tuple(k for k, partial in enumerate(special_calls.DERIVATIVES[name]) if partial is not None)
    nodes = [casadi.MX.sym(f"x{k}") for k in range(len(point))]
    value = special_calls.evaluated(name, *nodes)
    slopes = [casadi.gradient(value, nodes[k]) for k in by]
    curvatures = [casadi.gradient(slope, nodes[k]) for slope in slopes for k in by]
    numbers = casadi.Function("f", nodes, [casadi.vertcat(value, *slopes, *curvatures)])(*point)
    assert np.isfinite(numbers.full()).all()


_rule = arc.custom_jvp(np.sqrt)
_rule.defjvp(lambda p, t: (np.sqrt(p[0]), t[0] * 0.5 / _rule(p[0])))
#: Of many entries, singular where they are not taken.
LONG = {
    "a batch": arc.vmap(lambda v: np.sqrt(v) * v),
    "a batch of rows": lambda v: arc.vmap(lambda r: np.sqrt(r) * np.sum(r[2:]))(v.reshape(-1, 5)).ravel(),
    "a choice in a batch": arc.vmap(lambda v: arc.cond(v > -5, np.sqrt, lambda v: v, v)),
    "a choice": lambda v: arc.cond(v[-1] > 0, np.sqrt, np.log, v),
    "a loop": lambda v: arc.scan(lambda c, e: (0.5 * c, np.sqrt(e)), 0.3, v)[1],
    "running sums": lambda v: np.cumsum(np.sqrt(v[::-1]))[::-1],
    "a rule of the user's": _rule,
    "a rule in a batch": arc.vmap(lambda v: _rule(v) * v),
} | {name: getattr(special, name) for name in ("psi", "k0", "y1", "ndtri", "log_ndtr", "expi")}


@pytest.mark.parametrize("called", LONG)
def test_many_entries_are_kept_apart_behind_calls(called):
    f = LONG[called]
    x = np.linspace(-0.95, 0.95, 1501)[:1500]
    taken = x > x[999]
    assert 0 in x
    w = np.cos(np.arange(x.size))

    def whole(x):
        return np.sum(np.where(taken, f(x), 0.0) * w)

    def part(x):
        return np.sum(f(x) * w[taken])

    value, slope = arc.value_and_grad(whole)(x)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose([value, value], [whole(x), part(x[taken])], rtol=1e-12)
    for got, expected in (
        (slope, arc.grad(part)(x[taken])), (arc.hvp(whole)(x, w), arc.hvp(part)(x[taken], w[taken])),
    ):  # fmt: skip
        np.testing.assert_allclose(got[taken], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(got[~taken], 0)


def test_entries_of_long_arrays_are_kept_apart_in_branches():
    def function(x):
        q = np.sqrt(x)
        return arc.cond(x[5] > 0, lambda: np.sum(np.sin(q[300:])), lambda: np.sum(q[:300]))

    x = np.linspace(0.0, 1.0, 600)
    slope = arc.grad(function)(x)
    np.testing.assert_array_equal(slope[:300], 0)
    np.testing.assert_allclose(slope[300:], np.cos(np.sqrt(x[300:])) / (2 * np.sqrt(x[300:])), rtol=1e-12)


def test_zeros_keep_their_signs_behind_gates():
    def f(x):
        inverse = 1 / x
        return np.sum(np.where(inverse < 0, inverse, 0.0) + np.where(x > 0, inverse[::-1], 1.0))

    for x in (np.array([-0.0, 0.5]), np.array([0.0, 0.5])):
        with np.errstate(all="ignore"):
            assert arc.value_and_grad(f)(x)[0] == f(x)


def test_conditions_that_are_calls_see_no_gates_also_where_nothing_else_does():
    x, y, q = (casadi.MX.sym(letter) for letter in "xyq")
    (asked,) = casadi.Function("asked", [q], [q > 1]).call([casadi.sqrt(x)], False, True)
    chosen = casadi.MX.binary(casadi.OP_IF_ELSE_ZERO, asked, y)
    gate = {hash(asked.dep(0).dep(0)): [x < 1]}
    (built,) = Gated(gate, {}, set(), {}, set()).of([chosen])
    assert float(casadi.Function("built", [x, y], [built])(4.0, 7.0)) == 7.0


def test_nothing_is_gated_that_counts_everywhere_or_is_kept_apart_by_casadi(monkeypatch):
    found = []
    gates_of = branches._gates
    monkeypatch.setattr(branches, "_gates", lambda *args: found.append(gates_of(*args)) or found[-1])

    def frozen_newton(a):
        x = np.ones_like(a)
        for _ in range(5):
            f = x * x - a + 1e-3 * np.sum(x)
            x = np.where(np.abs(f) > 1e-9, x - f / (2 * x), x)
        return np.sum(x)

    for f in (frozen_newton, lambda x: np.sum(np.where(x > 0, x * np.log(x) + np.sqrt(x), x))):
        arc.grad(f)(np.array([0.5, 2.0]))
        assert found.pop() == ({}, {})
