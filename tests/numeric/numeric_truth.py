"""Functions with known derivatives: the rows and the population that claims are measured on."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np


@dataclass(frozen=True)
class Row:
    """A function, where to differentiate it and the same function for mpmath."""

    name: str
    function: Callable[[float], Any]
    x: float
    exact: Callable[[Any], Any]

    @property
    def derivative(self) -> float:
        with mp.workdps(40):
            return float(mp.diff(self.exact, mp.mpf(self.x)))


def only_from_zero(x: float) -> float:
    """A smooth function that refuses negative arguments."""
    if x < 0:
        raise ValueError("math domain error")
    return math.exp(x) * math.cos(x)


PEER_ROWS = [
    Row("sin at 1", np.sin, 1.0, mp.sin),
    Row("exp at 20", np.exp, 20.0, mp.exp),
    Row("log at 1e-4", np.log, 1e-4, mp.log),
    Row("sin at 1000", np.sin, 1000.0, mp.sin),
    Row("sin(1000x) at 0.5", lambda x: np.sin(1000 * x), 0.5, lambda x: mp.sin(1000 * x)),
    Row("x^3 at 1e6", lambda x: x**3, 1e6, lambda x: x**3),
    Row("1/x at 1e-3", lambda x: 1 / x, 1e-3, lambda x: 1 / x),
    Row("sqrt at 1e-6", np.sqrt, 1e-6, mp.sqrt),
    Row("tanh(50x) at 0.01", lambda x: np.tanh(50 * x), 0.01, lambda x: mp.tanh(50 * x)),
    Row("exp(-1/x^2) at 0.3", lambda x: np.exp(-1 / x**2), 0.3, lambda x: mp.exp(-1 / x**2)),
    Row("arcsin at 0.9999", np.arcsin, 0.9999, mp.asin),
    Row("1e10 + x at 1", lambda x: 1e10 + x, 1.0, lambda x: mp.mpf(10) ** 10 + x),
]

OWN_ROWS = [
    Row("Runge at 0.3", lambda x: 1 / (1 + 25 * x * x), 0.3, lambda x: 1 / (1 + 25 * x * x)),
    Row("exp(1000x) at 0", lambda x: np.exp(1000 * x), 0.0, lambda x: mp.exp(1000 * x)),
    Row("(1-cos x)/x^2 at 0.5", lambda x: (1 - np.cos(x)) / x**2, 0.5, lambda x: (1 - mp.cos(x)) / x**2),
    Row("gamma at 5", math.gamma, 5.0, mp.gamma),
    Row("arctan(1e4 x) at 1e-5", lambda x: np.arctan(1e4 * x), 1e-5, lambda x: mp.atan(10**4 * x)),
    Row("exp(x) cos(x) for x >= 0, at 0", only_from_zero, 0.0, lambda x: mp.exp(x) * mp.cos(x)),
    Row("log1p at 1e-10", np.log1p, 1e-10, mp.log1p),
    Row("cos(1e4 x) at 2", lambda x: np.cos(1e4 * x), 2.0, lambda x: mp.cos(10**4 * x)),
    Row("x^2.5 at 1e-8", lambda x: x**2.5, 1e-8, lambda x: x ** mp.mpf(2.5)),
    Row("tan at 1.57", np.tan, 1.57, mp.tan),
]

ROWS = PEER_ROWS + OWN_ROWS


def uniform(low: float, high: float) -> Callable[[np.random.Generator], float]:
    return lambda random: float(random.uniform(low, high))


def log_uniform(low: float, high: float) -> Callable[[np.random.Generator], float]:
    return lambda random: float(10 ** random.uniform(low, high))


POPULATION = [
    ("sin", np.sin, mp.sin, uniform(-10, 10)),
    ("exp", np.exp, mp.exp, uniform(-20, 20)),
    ("log", np.log, mp.log, log_uniform(-8, 8)),
    ("sqrt", np.sqrt, mp.sqrt, log_uniform(-8, 8)),
    ("1/x", lambda x: 1 / x, lambda x: 1 / x, log_uniform(-6, 6)),
    ("tanh(50x)", lambda x: np.tanh(50 * x), lambda x: mp.tanh(50 * x), uniform(-0.3, 0.3)),
    ("Runge", lambda x: 1 / (1 + 25 * x * x), lambda x: 1 / (1 + 25 * x * x), uniform(-2, 2)),
    ("quintic", lambda x: x**5 - 3 * x**4 + x - 7, lambda x: x**5 - 3 * x**4 + x - 7, uniform(-5, 5)),
    ("sin(1/x)", lambda x: np.sin(1 / x), lambda x: mp.sin(1 / x), uniform(0.02, 2)),
    ("arcsin", np.arcsin, mp.asin, uniform(-0.9999, 0.9999)),
    ("x log x", lambda x: x * np.log(x), lambda x: x * mp.log(x), log_uniform(-6, 3)),
    ("Gaussian", lambda x: np.exp(-x * x / 2), lambda x: mp.exp(-x * x / 2), uniform(-6, 6)),
    ("logistic", lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + mp.exp(-x)), uniform(-15, 15)),
    ("sin(100x)+x^2", lambda x: np.sin(100 * x) + x * x, lambda x: mp.sin(100 * x) + x * x, uniform(-3, 3)),
    ("(1-cos x)/x^2", lambda x: (1 - np.cos(x)) / x**2, lambda x: (1 - mp.cos(x)) / x**2, uniform(0.01, 3)),
    ("x^2.5", lambda x: x**2.5, lambda x: x ** mp.mpf(2.5), log_uniform(-5, 5)),
    ("arctan(10x)", lambda x: np.arctan(10 * x), lambda x: mp.atan(10 * x), uniform(-3, 3)),
    ("sin(exp x)", lambda x: np.sin(np.exp(x)), lambda x: mp.sin(mp.exp(x)), uniform(-3, 5)),
    ("1e6+cos", lambda x: 1e6 + np.cos(x), lambda x: 10**6 + mp.cos(x), uniform(-10, 10)),
    (
        "rational",
        lambda x: (x**3 - x) / (x**2 - 2 * x + 1.5),
        lambda x: (x**3 - x) / (x**2 - 2 * x + mp.mpf(1.5)),
        uniform(-5, 5),
    ),
]


def population(points_each: int, seed: int) -> list[Row]:
    """Random points of the twenty functions."""
    random = np.random.default_rng(seed)
    return [
        Row(name, function, draw(random), exact)
        for name, function, exact, draw in POPULATION
        for _ in range(points_each)
    ]
