"""The problems of the suite: functions as a user writes them in plain NumPy, with their data, in one table.

Each function is to be differentiated by all of its ``differentiated`` arguments. ``rebound`` gives the same functions
with ``np`` and ``scan`` meaning another library's, which is how JAX's and autograd's forms are made: the same lines.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy
import numpy as np

from archimedes_grad import scan

Arguments = tuple[Any, ...]

# --- elementwise work and sums ---------------------------------------------------------------------


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_loop(x):
    total = 0.0
    for i in range(x.shape[0] - 1):
        total = total + 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def exp_sin(x):
    return np.sum(np.exp(x) * np.sin(x))


def logsumexp(x):
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


# --- products and reductions -----------------------------------------------------------------------


def least_squares(coefficients, n):
    """The misfit of a polynomial to the sign of n points of [-1, 1]: GradBench's llsq."""
    points = numpy.linspace(-1.0, 1.0, n)
    vandermonde = numpy.vander(points, coefficients.shape[0], increasing=True)
    return 0.5 * np.sum((numpy.sign(points) - vandermonde @ coefficients) ** 2)


def k_means(centroids, points):
    """The sum of squared distances of points to their nearest centroid."""
    squares = np.sum(points**2, axis=1)[:, None] + np.sum(centroids**2, axis=1)
    distances = squares - 2.0 * points @ centroids.T
    return np.sum(np.min(distances, axis=1))


def log_gamma_distribution(a, p):
    return 0.25 * p * (p - 1) * math.log(math.pi) + sum(math.lgamma(a - 0.5 * j) for j in range(p))


def places_in_triangle(d):
    """Where each entry of a matrix stands in a row of its diagonal, then of what is below column by column, then 0."""
    place = numpy.full((d, d), d * (d + 1) // 2)
    columns, rows = numpy.triu_indices(d, 1)
    place[rows, columns] = d + numpy.arange(rows.size)
    numpy.fill_diagonal(place, numpy.arange(d))
    return place


def lower_triangles(icf, d):
    """The inverse factors of k covariances, whose diagonals are given by their logarithms."""
    zero = np.zeros((icf.shape[0], 1))
    entries = np.concatenate([np.exp(icf[:, :d]), icf[:, d:], zero], axis=1)
    return entries[:, places_in_triangle(d)]


def gaussian_mixture(alphas, means, icf, points, gamma, m):
    """The negative log-likelihood of a Gaussian mixture with a Wishart prior: the objective of ADBench and GradBench.

    alphas (k,), means (k, d), icf (k, d (d + 1) / 2), points (n, d).
    """
    (n, d), k = points.shape, alphas.shape[0]
    factors = lower_triangles(icf, d)
    log_determinants = np.sum(icf[:, :d], axis=1)
    whitened = (points - means[:, None, :]) @ np.swapaxes(factors, 1, 2)
    scores = (alphas + log_determinants)[:, None] - 0.5 * np.sum(whitened**2, axis=2)
    largest = np.max(scores, axis=0)
    log_likelihood = np.sum(largest + np.log(np.sum(np.exp(scores - largest), axis=0)))
    freedom = d + m + 1
    constant = freedom * d * (math.log(gamma) - 0.5 * math.log(2.0)) - log_gamma_distribution(0.5 * freedom, d)
    prior = 0.5 * gamma**2 * np.sum(factors**2) - m * np.sum(log_determinants) - k * constant
    return log_likelihood - 0.5 * n * d * math.log(2.0 * math.pi) - n * np.log(np.sum(np.exp(alphas))) + prior


# --- loops -----------------------------------------------------------------------------------------


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm_layer(weights, biases, hidden, cell, x):
    """One layer whose gates act entry by entry, as ADBench has it; weights and biases (4 d,)."""
    d = x.shape[0]
    forget = sigmoid(x * weights[:d] + biases[:d])
    ingate = sigmoid(hidden * weights[d : 2 * d] + biases[d : 2 * d])
    outgate = sigmoid(x * weights[2 * d : 3 * d] + biases[2 * d : 3 * d])
    change = np.tanh(hidden * weights[3 * d :] + biases[3 * d :])
    cell = cell * forget + ingate * change
    return outgate * np.tanh(cell), cell


def lstm(main, extra, state, sequence):
    """The mean negative log-likelihood of a sequence under layers of LSTM: the objective of ADBench and GradBench.

    For l layers of width d: main (2 l, 4 d) holds weights and biases of each layer in turn, extra (3, d) the scales of
    input and output and the output's bias, state (2 l, d) hidden values and cells, sequence (steps, d).
    """
    layers = main.shape[0] // 2

    def step(state, seen_and_next):
        seen, following = seen_and_next
        x, rows = seen * extra[0], []
        for layer in range(layers):
            x, cell = lstm_layer(main[2 * layer], main[2 * layer + 1], state[2 * layer], state[2 * layer + 1], x)
            rows += [x, cell]
        predicted = x * extra[1] + extra[2]
        normalised = predicted - np.log(np.sum(np.exp(predicted)) + 2.0)
        return np.stack(rows), np.sum(following * normalised)

    _, likelihoods = scan(step, state, (sequence[:-1], sequence[1:]))
    return -np.sum(likelihoods) / ((sequence.shape[0] - 1) * sequence.shape[1])


def cascade(x, y):
    """The right-hand side y_0' = x_0, y_i' = x_i y_(i-1), after cmpad and GradBench."""
    return x * np.concatenate([np.ones(1), y[:-1]])


def runge_kutta_step(x, y, h):
    k1 = cascade(x, y)
    k2 = cascade(x, y + 0.5 * h * k1)
    k3 = cascade(x, y + 0.5 * h * k2)
    k4 = cascade(x, y + h * k3)
    return y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def ode(x, steps):
    """The sum of a Runge-Kutta solution at time 2, its steps a Python loop."""
    y = np.ones_like(x)
    for _ in range(steps):
        y = runge_kutta_step(x, y, 2.0 / steps)
    return np.sum(y)


def ode_scan(x, steps):
    """The same, its steps a scan."""
    y, _ = scan(lambda y, _: (runge_kutta_step(x, y, 2.0 / steps), y[0]), np.ones_like(x), None, steps)
    return np.sum(y)


# --- models ----------------------------------------------------------------------------------------


def network(W1, b1, W2, b2, images, labels):
    """The mean cross-entropy of a network with one hidden layer; labels one-hot."""
    hidden = np.tanh(images @ W1 + b1)
    logits = hidden @ W2 + b2
    logits = logits - np.max(logits, axis=1)[:, None]
    log_probabilities = logits - np.log(np.sum(np.exp(logits), axis=1))[:, None]
    return -np.mean(np.sum(labels * log_probabilities, axis=1))


def gaussian_process(log_scales, log_amplitude, log_noise, inputs, targets):
    """The negative log marginal likelihood of a Gaussian process with a scale for each input."""
    scaled = inputs * np.exp(-log_scales)
    squares = np.sum(scaled**2, axis=1)
    distances = squares[:, None] + squares - 2.0 * scaled @ scaled.T
    covariance = np.exp(2.0 * log_amplitude - 0.5 * distances) + np.exp(2.0 * log_noise) * np.eye(len(targets))
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, targets)
    n = len(targets)
    return 0.5 * np.sum(whitened**2) + np.sum(np.log(np.diag(factor))) + 0.5 * n * math.log(2.0 * math.pi)


# --- data ------------------------------------------------------------------------------------------


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape)


def mixture_data(d: int, k: int, n: int) -> Arguments:
    rng = np.random.default_rng([d, k, n])
    triangle = d * (d + 1) // 2
    return rng.normal(size=k), rng.normal(size=(k, d)), 0.3 * rng.normal(size=(k, triangle)), normal(n, d), 1.0, 0


def lstm_data(layers: int, width: int, steps: int) -> Arguments:
    rng = np.random.default_rng([layers, width, steps])
    main = rng.uniform(size=(2 * layers, 4 * width))
    return main, rng.uniform(size=(3, width)), rng.uniform(size=(2 * layers, width)), rng.uniform(size=(steps, width))


def digits(hidden: int) -> Arguments:
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    images = images / 16.0
    rng = np.random.default_rng(hidden)
    W1, W2 = rng.normal(size=(64, hidden)) / 8.0, rng.normal(size=(hidden, 10)) / math.sqrt(hidden)
    return W1, np.zeros(hidden), W2, np.zeros(10), images, np.eye(10)[classes]


def process_data(n: int, d: int) -> Arguments:
    inputs = normal(n, d)
    targets = np.sin(inputs @ np.arange(1.0, d + 1.0) / d) + 0.1 * normal(n)
    return np.zeros(d), np.float64(0.1), np.float64(-1.0), inputs, targets


# --- the table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A function with its data.

    Attributes
    ----------
    sizes
        Its data sets: a name for each, and what makes the arguments.
    differentiated
        Positions of the arguments that the gradient is taken by.
    static
        Names of the arguments that are part of the program: numbers of points or steps.
    """

    name: str
    function: Callable[..., Any]
    sizes: dict[str, Callable[[], Arguments]] = field(hash=False)
    differentiated: tuple[int, ...] = (0,)
    static: tuple[str, ...] = ()

    @property
    def argnums(self) -> int | tuple[int, ...]:
        """An int for one argument, which makes the gradient an array instead of a tuple."""
        return self.differentiated[0] if len(self.differentiated) == 1 else self.differentiated


def vectors(*sizes: int) -> dict[str, Callable[[], Arguments]]:
    return {str(n): lambda n=n: (normal(n),) for n in sizes}


PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        Problem("rosenbrock", rosenbrock, vectors(10, 100, 1_000, 10_000, 100_000, 1_000_000)),
        Problem("rosenbrock loop", rosenbrock_loop, vectors(10, 100, 1_000)),
        Problem("exp sin", exp_sin, vectors(1_000, 10_000, 100_000, 1_000_000)),
        Problem("logsumexp", logsumexp, vectors(1_000, 80_000, 1_000_000)),
        Problem("llsq", least_squares, {"n=1024 m=128": lambda: (normal(128), 1024)}, static=("n",)),
        Problem("k-means", k_means, {"k=100 n=1000 d=8": lambda: (normal(100, 8), normal(1000, 8))}),
        Problem(
            "gmm",
            gaussian_mixture,
            {
                f"d={d} k={k} n=1000": lambda d=d, k=k: mixture_data(d, k, 1000)
                for d, k in ((10, 25), (20, 50), (64, 25))
            },
            differentiated=(0, 1, 2),
            static=("gamma", "m"),
        ),
        Problem("lstm", lstm, {"2 layers of 14, 1024 steps": lambda: lstm_data(2, 14, 1024)}, differentiated=(0, 1)),
        Problem("ode", ode, {"n=1000, 100 steps": lambda: (normal(1000) ** 2, 100)}, static=("steps",)),
        Problem("ode by scan", ode_scan, {"n=1000, 100 steps": lambda: (normal(1000) ** 2, 100)}, static=("steps",)),
        Problem("digits network", network, {"64-100-10": lambda: digits(100)}, differentiated=(0, 1, 2, 3)),
        Problem(
            "gaussian process",
            gaussian_process,
            {f"n={n} d=4": lambda n=n: process_data(n, 4) for n in (50, 300)},
            differentiated=(0, 1, 2),
        ),
    )
}


def rebound(numpy: Any, scan: Callable[..., Any]) -> ModuleType:
    """Return this module once more, with ``np`` and ``scan`` in its functions meaning another library's.

    Constants (``numpy`` spelled out) and data stay NumPy's own.
    """
    name = f"{__name__}_with_{numpy.__name__.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, __file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    vars(module).update(np=numpy, scan=scan)
    return module
