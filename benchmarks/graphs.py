"""The problems written directly in CasADi: the best plain graph form is the limit of the interpreter.

A form takes the arguments of a problem and gives a ``Written``. Arrays in C order are stored transposed: a buffer of
shape (n, d) is, byte for byte, CasADi's (d, n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import casadi as cs
import numpy as np
from problems import log_gamma_distribution


@dataclass
class Written:
    """Symbols for the first arguments, the objective, and arrays that are bound once."""

    symbols: list[Any]
    objective: Any
    bound_symbols: list[Any] = field(default_factory=list)
    bound: list[np.ndarray] = field(default_factory=list)


Form = Callable[..., Written]

#: Larger graphs of single numbers take minutes to build.
LARGEST_SCALAR_GRAPH = 10_000


def gradient_of(written: Written, differentiated: Sequence[int]) -> Callable[..., Any]:
    """Return the gradient, called on raw buffers: copy in, evaluate, copy out."""
    wanted = [written.symbols[i] for i in differentiated]
    ((*gradients,),) = cs.reverse([written.objective], wanted, [[1]])
    outputs_of = [cs.densify(g) for g in gradients]
    function = cs.Function("gradient", [*written.symbols, *written.bound_symbols], outputs_of)
    inputs = [np.zeros(symbol.numel()) for symbol in written.symbols]
    outputs = [np.zeros(symbol.numel()) for symbol in wanted]
    buffer, evaluate = function.buffer()
    bound = [np.ascontiguousarray(array, dtype=float).ravel() for array in written.bound]
    for i, array in enumerate([*inputs, *bound]):
        buffer.set_arg(i, memoryview(array))
    for i, array in enumerate(outputs):
        buffer.set_res(i, memoryview(array))

    def call(*arguments: Any, keep: Any = (function, buffer, bound)) -> Any:
        for array, argument in zip(inputs, arguments, strict=False):
            array[...] = argument if argument.ndim == 1 else argument.reshape(-1)
        evaluate()
        results = [outputs[k].copy().reshape(arguments[i].shape) for k, i in enumerate(differentiated)]
        return results[0] if len(results) == 1 else tuple(results)

    return call


def vector(kind: Any, x: np.ndarray, largest: int | None = None) -> Any:
    if largest is not None and x.size > largest:
        raise NotImplementedError(f"a scalar graph of {x.size} entries")
    return kind.sym("x", x.size)


# --- elementwise work and sums ---------------------------------------------------------------------


def rosenbrock(kind: Any) -> Form:
    def form(x):
        s = vector(kind, x, LARGEST_SCALAR_GRAPH if kind is cs.SX else None)
        return Written([s], cs.sum1(100.0 * (s[1:] - s[:-1] ** 2) ** 2 + (1 - s[:-1]) ** 2))

    return form


def rosenbrock_loop(x):
    s = vector(cs.SX, x)
    terms = [100.0 * (s[i + 1] - s[i] ** 2) ** 2 + (1 - s[i]) ** 2 for i in range(x.size - 1)]
    return Written([s], sum(terms))


def exp_sin(kind: Any) -> Form:
    def form(x):
        s = vector(kind, x, LARGEST_SCALAR_GRAPH if kind is cs.SX else None)
        return Written([s], cs.sum1(cs.exp(s) * cs.sin(s)))

    return form


def logsumexp_node(x):
    s = vector(cs.MX, x)
    return Written([s], cs.logsumexp(s))


def logsumexp_shifted(x):
    s = vector(cs.MX, x)
    largest = cs.mmax(s)
    return Written([s], largest + cs.log(cs.sum1(cs.exp(s - largest))))


# --- products and reductions -----------------------------------------------------------------------


def least_squares(transposed: bool) -> Form:
    def form(coefficients, n):
        c, points = cs.MX.sym("c", coefficients.size), np.linspace(-1.0, 1.0, n)
        vandermonde = np.vander(points, coefficients.size, increasing=True)
        target = cs.MX(cs.DM(np.sign(points)))
        if transposed:
            A = cs.MX.sym("A", coefficients.size, n)
            residual = target.T - cs.mtimes(c.T, A)
        else:
            A, vandermonde = cs.MX.sym("A", n, coefficients.size), vandermonde.T
            residual = target - cs.mtimes(A, c)
        return Written([c], 0.5 * cs.dot(residual, residual), [A], [vandermonde])

    return form


def halved(rows: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine the rows of a matrix by halves."""
    while rows.size1() > 1:
        half = rows.size1() // 2
        combined = combine(rows[:half, :], rows[half : 2 * half, :])
        rows = combined if rows.size1() % 2 == 0 else cs.vertcat(combined, rows[2 * half :, :])
    return rows


def k_means(product: Callable[[Any, Any], Any], by_column: bool) -> Form:
    def form(centroids, points):
        (k, d), n = centroids.shape, len(points)
        C, P = cs.MX.sym("C", d, k), cs.MX.sym("P", d, n)
        if by_column:
            distances = cs.repmat(cs.sum1(C**2), n, 1) - 2 * product(P.T, C)
            nearest = distances[:, 0]
            for column in cs.horzsplit(distances)[1:]:
                nearest = cs.fmin(nearest, column)
        else:
            distances = cs.repmat(cs.sum1(C**2).T, 1, n) - 2 * product(C.T, P)
            nearest = halved(distances, cs.fmin).T
        return Written([C, P], cs.sum1(nearest) + cs.sumsqr(P))

    return form


def reference(left: Any, right: Any) -> Any:
    return cs.mtimes(left, right)


def classic(left: Any, right: Any) -> Any:
    return cs.mac(left, right, cs.MX.zeros(left.size1(), right.size2()), "classic")


def gaussian_mixture(product: Callable[[Any, Any], Any], sparse: bool) -> Form:
    """One product for each component; the factors stored as sparse triangles, or dense."""

    def form(alphas, means, icf, points, gamma, m):
        (n, d), k = points.shape, alphas.size
        a, M = cs.MX.sym("alphas", k), cs.MX.sym("means", d, k)
        rows, X = cs.MX.sym("icf", d * (d + 1) // 2, k), cs.MX.sym("points", d, n)
        below = cs.tril(cs.Sparsity.dense(d, d), False)
        scores, prior = [], 0
        for alpha, mean, row in zip(cs.vertsplit(a), cs.horzsplit(M), cs.horzsplit(rows), strict=True):
            logarithms, rest = row[:d], row[d:]
            diagonal = cs.exp(logarithms)
            centred = X - cs.repmat(mean, 1, n)
            triangle = cs.MX(below, rest)
            if sparse:
                whitened = product(triangle + cs.diag(diagonal), centred)
            else:
                whitened = product(cs.densify(triangle + cs.diag(diagonal)), centred)
            determinant = cs.sum1(logarithms)
            scores.append(alpha + determinant - 0.5 * cs.sum1(whitened**2))
            prior += 0.5 * gamma**2 * (cs.sumsqr(diagonal) + cs.sumsqr(rest)) - m * determinant
        largest = scores[0]
        for score in scores[1:]:
            largest = cs.fmax(largest, score)
        total = sum(cs.exp(score - largest) for score in scores)
        freedom = d + m + 1
        constant = freedom * d * (math.log(gamma) - 0.5 * math.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
        fixed = -0.5 * n * d * math.log(2.0 * math.pi) - k * constant
        return Written([a, M, rows, X], cs.sum2(largest + cs.log(total)) - n * cs.logsumexp(a) + prior + fixed)

    return form


# --- loops -----------------------------------------------------------------------------------------


def lstm_step(layers: int, d: int, kind: Any) -> cs.Function:
    main, extra = kind.sym("main", 4 * d, 2 * layers), kind.sym("extra", d, 3)
    state, seen, following = kind.sym("state", d, 2 * layers), kind.sym("seen", d), kind.sym("following", d)
    sigmoid = lambda x: 1 / (1 + cs.exp(-x))
    x, new = seen * extra[:, 0], []
    for layer in range(layers):
        w, b = main[:, 2 * layer], main[:, 2 * layer + 1]
        hidden, cell = state[:, 2 * layer], state[:, 2 * layer + 1]
        forget = sigmoid(x * w[:d] + b[:d])
        ingate = sigmoid(hidden * w[d : 2 * d] + b[d : 2 * d])
        outgate = sigmoid(x * w[2 * d : 3 * d] + b[2 * d : 3 * d])
        change = cs.tanh(hidden * w[3 * d :] + b[3 * d :])
        cell = cell * forget + ingate * change
        x = outgate * cs.tanh(cell)
        new += [x, cell]
    predicted = x * extra[:, 1] + extra[:, 2]
    likelihood = cs.dot(following, predicted - cs.log(cs.sum1(cs.exp(predicted)) + 2))
    return cs.Function("step", [state, seen, following, main, extra], [cs.horzcat(*new), likelihood])


def lstm(kind: Any, checkpointed: bool) -> Form:
    def form(main, extra, state, sequence):
        (steps, d), layers = sequence.shape, len(main) // 2
        M, E = cs.MX.sym("main", 4 * d, 2 * layers), cs.MX.sym("extra", d, 3)
        S, X = cs.MX.sym("state", d, 2 * layers), cs.MX.sym("sequence", d, steps)
        step = lstm_step(layers, d, kind)
        if checkpointed:
            loop = step.mapaccum("loop", steps - 1, {"base": math.isqrt(steps)})
        else:
            loop = step.mapaccum("loop", steps - 1)
        _, likelihoods = loop(S, X[:, :-1], X[:, 1:], cs.repmat(M, 1, steps - 1), cs.repmat(E, 1, steps - 1))
        return Written([M, E, S, X], -cs.sum2(likelihoods) / ((steps - 1) * d))

    return form


def runge_kutta(x: Any, y: Any, h: float) -> Any:
    slope = lambda y: x * cs.vertcat(1, y[:-1])
    k1 = slope(y)
    k2 = slope(y + 0.5 * h * k1)
    k3 = slope(y + 0.5 * h * k2)
    k4 = slope(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def ode_unrolled(x, steps):
    s = cs.MX.sym("x", x.size)
    y = cs.MX.ones(x.size)
    for _ in range(steps):
        y = runge_kutta(s, y, 2.0 / steps)
    return Written([s], cs.sum1(y))


def ode_called(kind: Any) -> Form:
    def form(x, steps):
        s = cs.MX.sym("x", x.size)
        parameter, state = kind.sym("x", x.size), kind.sym("y", x.size)
        step = cs.Function("step", [state, parameter], [runge_kutta(parameter, state, 2.0 / steps)])
        y = cs.MX.ones(x.size)
        for _ in range(steps):
            y = step(y, s)
        return Written([s], cs.sum1(y))

    return form


# --- models ----------------------------------------------------------------------------------------


def network(product: Callable[[Any, Any], Any]) -> Form:
    def form(W1, b1, W2, b2, images, labels):
        (pixels, hidden), classes, n = W1.shape, W2.shape[1], len(images)
        V1, c1 = cs.MX.sym("W1", hidden, pixels), cs.MX.sym("b1", hidden)
        V2, c2 = cs.MX.sym("W2", classes, hidden), cs.MX.sym("b2", classes)
        X, Y = cs.MX.sym("images", pixels, n), cs.MX.sym("labels", classes, n)
        layer = cs.tanh(product(V1, X) + cs.repmat(c1, 1, n))
        logits = product(V2, layer) + cs.repmat(c2, 1, n)
        rows = cs.vertsplit(logits)
        largest = rows[0]
        for row in rows[1:]:
            largest = cs.fmax(largest, row)
        logits = logits - cs.repmat(largest, classes, 1)
        chosen = cs.sum1(Y * logits) - cs.log(cs.sum1(cs.exp(logits))) * cs.sum1(Y)
        return Written([V1, c1, V2, c2, X, Y], -cs.sum2(chosen) / n)

    return form


def gaussian_process(log_scales, log_amplitude, log_noise, inputs, targets):
    """A graph of numbers: CasADi has no cholesky of arrays."""
    n, d = inputs.shape
    if n > 60:
        raise NotImplementedError("CasADi has no cholesky for arrays, and as a graph of numbers it is too large")
    s, a, e = cs.SX.sym("s", d), cs.SX.sym("a"), cs.SX.sym("e")
    X, y = cs.SX.sym("X", d, n), cs.SX.sym("y", n)
    scaled = X * cs.repmat(cs.exp(-s), 1, n)
    squares = cs.repmat(cs.sum1(scaled**2), n, 1)
    distances = squares + squares.T - 2 * cs.mtimes(scaled.T, scaled)
    factor = cs.chol(cs.exp(2 * a - 0.5 * distances) + cs.exp(2 * e) * cs.SX.eye(n)).T
    whitened = cs.solve(factor, y)
    objective = 0.5 * cs.sumsqr(whitened) + cs.sum1(cs.log(cs.diag(factor))) + 0.5 * n * math.log(2 * math.pi)
    return Written([s, a, e, X, y], objective)


#: By the name of the problem: its forms by name, of which the fastest counts.
FORMS: dict[str, dict[str, Form]] = {
    "rosenbrock": {"array graph": rosenbrock(cs.MX), "scalar graph": rosenbrock(cs.SX)},
    "rosenbrock loop": {"scalar graph": rosenbrock_loop},
    "exp sin": {"array graph": exp_sin(cs.MX), "scalar graph": exp_sin(cs.SX)},
    "logsumexp": {"logsumexp": logsumexp_node, "shifted by mmax": logsumexp_shifted},
    "llsq": {"by rows": least_squares(True), "by columns": least_squares(False)},
    "k-means": {
        f"{kind.__name__}, {'by column' if by_column else 'by halves'}": k_means(kind, by_column)
        for kind in (reference, classic)
        for by_column in (True, False)
    },
    "gmm": {
        "sparse triangles": gaussian_mixture(reference, True),
        "dense": gaussian_mixture(reference, False),
        "dense, classic": gaussian_mixture(classic, False),
    },
    "lstm": {
        f"step of {'numbers' if kind is cs.SX else 'arrays'}{', checkpointed' if checkpointed else ''}": lstm(
            kind, checkpointed
        )
        for kind in (cs.SX, cs.MX)
        for checkpointed in (False, True)
    },
    "ode": {"unrolled": ode_unrolled, "step of arrays": ode_called(cs.MX), "step of numbers": ode_called(cs.SX)},
    "digits network": {"reference": network(reference), "classic": network(classic)},
    "gaussian process": {"scalar graph": gaussian_process},
}
FORMS["ode by scan"] = FORMS["ode"]
