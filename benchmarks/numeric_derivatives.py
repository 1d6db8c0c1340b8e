"""Numeric derivatives beside derivkit, numdifftools and scipy.differentiate, checked and counted in one run.

    python benchmarks/numeric_derivatives.py

Prints relative error, claimed error and evaluations of every method on 22 rows; coverage of the claimed errors on
random points and under noise; Rosenbrock; and the gain of two workers. Says at the end which of the asked-for numbers
are met, and exits with an error if one is not. Peers that are not installed are left out.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import math
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from archimedes_grad.numeric import derivative, gradient, hessian

MET: list[tuple[bool, str]] = []


def asked(ok: bool, text: str) -> None:
    MET.append((bool(ok), text))


@dataclass
class Row:
    name: str
    function: Callable[[Any], Any]
    x: float
    true: float


def from_zero_on(x: float) -> float:
    if x < 0:
        raise ValueError("math domain error")
    return math.exp(x) * math.cos(x)


def rows() -> list[Row]:
    cosine = math.cos(0.5)
    return [
        Row("sin at 1", np.sin, 1.0, math.cos(1.0)),
        Row("exp at 20", np.exp, 20.0, math.exp(20.0)),
        Row("log at 1e-4", np.log, 1e-4, 1 / 1e-4),
        Row("sin at 1000", np.sin, 1000.0, math.cos(1000.0)),
        Row("sin(1000x) at 0.5", lambda x: np.sin(1000 * x), 0.5, 1000 * math.cos(500.0)),
        Row("x^3 at 1e6", lambda x: x**3, 1e6, 3e12),
        Row("1/x at 1e-3", lambda x: 1 / x, 1e-3, -1 / 1e-3**2),
        Row("sqrt at 1e-6", np.sqrt, 1e-6, 0.5 / math.sqrt(1e-6)),
        Row("tanh(50x) at 0.01", lambda x: np.tanh(50 * x), 0.01, 50 / math.cosh(0.5) ** 2),
        Row("exp(-1/x^2) at 0.3", lambda x: np.exp(-1 / x**2), 0.3, 2 / 0.3**3 * math.exp(-1 / 0.3**2)),
        Row("arcsin at 0.9999", np.arcsin, 0.9999, 1 / math.sqrt((1 - 0.9999) * (1 + 0.9999))),
        Row("1e10 + x at 1", lambda x: 1e10 + x, 1.0, 1.0),
        Row("Runge at 0.3", lambda x: 1 / (1 + 25 * x * x), 0.3, -50 * 0.3 / (1 + 25 * 0.09) ** 2),
        Row("exp(1000x) at 0", lambda x: np.exp(1000 * x), 0.0, 1000.0),
        Row(
            "(1-cos x)/x^2 at 0.5", lambda x: (1 - np.cos(x)) / x**2, 0.5, math.sin(0.5) / 0.25 - (1 - cosine) / 0.0625
        ),
        Row(
            "log of a product at 10",
            lambda x: np.log(np.prod(x + np.arange(5.0))),
            10.0,
            sum(1 / (10 + k) for k in range(5)),
        ),
        Row("arctan(1e4 x) at 1e-5", lambda x: np.arctan(1e4 * x), 1e-5, 1e4 / 1.01),
        Row("exp(x) cos(x), x >= 0, at 0", from_zero_on, 0.0, 1.0),
        Row("log1p at 1e-10", np.log1p, 1e-10, 1 / (1 + 1e-10)),
        Row("cos(1e4 x) at 2", lambda x: np.cos(1e4 * x), 2.0, -1e4 * math.sin(2e4)),
        Row("x^2.5 at 1e-8", lambda x: x**2.5, 1e-8, 2.5 * 1e-8**1.5),
        Row("tan at 1.57", np.tan, 1.57, 1 / math.cos(1.57) ** 2),
    ]


class Counted:
    """A function that takes points one at a time, or an array of them, and counts them."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.count = 0

    def __call__(self, x: Any) -> Any:
        array = np.asarray(x, dtype=np.float64)
        self.count += array.size
        values = [float(np.real(self.function(float(t)))) for t in array.ravel()]
        return np.array(values).reshape(array.shape) if array.ndim else values[0]


Method = Callable[[Callable[[Any], Any], float], tuple[float, float]]


def ours(method: str, **options: Any) -> Method:
    def run(function: Callable[[Any], Any], x: float) -> tuple[float, float]:
        result = derivative(function, x, method=method, **options)
        return float(result.value), float(result.error)

    return run


def peers() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for name, build in (("derivkit", _derivkit), ("numdifftools", _numdifftools), ("scipy", _scipy)):
        try:
            found[name] = build()
        except ImportError:
            print(f"{name} is not installed and is left out")
    return found


def _derivkit() -> Method:
    kit = importlib.import_module("derivkit").DerivativeKit

    def run(function: Callable[[Any], Any], x: float) -> tuple[float, float]:
        value, error = kit(function, x0=x).differentiate(method="adaptive", order=1, return_error=True)
        return float(np.ravel(value)[0]), float(np.ravel(error)[0])

    return run


def _numdifftools() -> Method:
    numdifftools = importlib.import_module("numdifftools")

    def run(function: Callable[[Any], Any], x: float) -> tuple[float, float]:
        result = numdifftools.Derivative(function, full_output=True)(x)
        return float(np.ravel(result.estimate)[0]), float(np.ravel(result.error_estimate)[0])

    return run


def _scipy() -> Method:
    differentiate = importlib.import_module("scipy.differentiate")

    def run(function: Callable[[Any], Any], x: float) -> tuple[float, float]:
        result = differentiate.derivative(function, x)
        return float(result.df), float(result.error)

    return run


def table_of_rows() -> None:
    methods = {
        "adaptive": ours("adaptive"),
        "finite": ours("finite", return_error=True),
        "finite+ridders": ours("finite", extrapolation="ridders", return_error=True),
        **peers(),
    }
    print("\nrelative error (claimed) evaluations; ! marks a claim that does not cover the error")
    print(f"{'':28}" + "".join(f"{name:>27}" for name in methods))
    counts, accurate, covered = [], [], []
    for row in rows():
        line = f"{row.name:28}"
        for name, method in methods.items():
            function = Counted(row.function)
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    value, error = method(function, row.x)
            except (ArithmeticError, ValueError):
                value, error = math.nan, math.nan
            true_error = abs(value - row.true)
            # The true values here are rounded themselves, in the last two digits.
            covers = true_error <= error + 4e-16 * abs(row.true)
            cell = f"{true_error / abs(row.true):.0e} ({error / abs(row.true):.0e}) {function.count}"
            line += f"{cell + ('' if covers else '!'):>27}"
            if name == "adaptive":
                counts.append(function.count)
                accurate.append(true_error <= 1e-8 * abs(row.true))
                covered.append(covers)
        print(line)
    asked(all(accurate), f"adaptive: relative error at most 1e-8 on all rows: {sum(accurate)} of {len(accurate)}")
    asked(all(covered), f"adaptive: claim covers the error on all rows: {sum(covered)} of {len(covered)}")
    asked(np.median(counts) <= 30, f"adaptive: at most 30 evaluations in the median: {np.median(counts):g}")


FAMILIES: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any], str, float, float]] = [
    ("sin", np.sin, np.cos, "uniform", -10, 10),
    ("exp", np.exp, np.exp, "uniform", -20, 20),
    ("log", np.log, lambda x: 1 / x, "log", -8, 8),
    ("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), "log", -8, 8),
    ("1/x", lambda x: 1 / x, lambda x: -1 / x**2, "log", -6, 6),
    ("tanh(50x)", lambda x: np.tanh(50 * x), lambda x: 50 / np.cosh(50 * x) ** 2, "uniform", -0.3, 0.3),
    ("Runge", lambda x: 1 / (1 + 25 * x * x), lambda x: -50 * x / (1 + 25 * x * x) ** 2, "uniform", -2, 2),
    ("quintic", lambda x: x**5 - 3 * x**4 + x - 7, lambda x: 5 * x**4 - 12 * x**3 + 1, "uniform", -5, 5),
    ("sin(1/x)", lambda x: np.sin(1 / x), lambda x: -np.cos(1 / x) / x**2, "uniform", 0.02, 2),
    ("arcsin", np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), "uniform", -0.9999, 0.9999),
    ("x log x", lambda x: x * np.log(x), lambda x: np.log(x) + 1, "log", -6, 3),
    ("Gaussian", lambda x: np.exp(-x * x / 2), lambda x: -x * np.exp(-x * x / 2), "uniform", -6, 6),
    ("logistic", lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25 / np.cosh(x / 2) ** 2, "uniform", -15, 15),
    ("sin 100x + x^2", lambda x: np.sin(100 * x) + x * x, lambda x: 100 * np.cos(100 * x) + 2 * x, "uniform", -3, 3),
    ("log(1+x^2)", lambda x: np.log1p(x * x), lambda x: 2 * x / (1 + x * x), "uniform", -9, 9),
    ("x^2.5", lambda x: x**2.5, lambda x: 2.5 * x**1.5, "log", -5, 5),
    ("arctan(10x)", lambda x: np.arctan(10 * x), lambda x: 10 / (1 + 100 * x * x), "uniform", -3, 3),
    ("sin(exp x)", lambda x: np.sin(np.exp(x)), lambda x: np.exp(x) * np.cos(np.exp(x)), "uniform", -3, 5),
    ("1e6 + cos", lambda x: 1e6 + np.cos(x), lambda x: -np.sin(x), "uniform", -10, 10),
    ("x/(1+x^2)", lambda x: x / (1 + x * x), lambda x: (1 - x) * (1 + x) / (1 + x * x) ** 2, "uniform", -5, 5),
]


def random_points(noise: float, each: int, seed: int) -> tuple[list[bool], list[float], list[int]]:
    random = np.random.default_rng(seed)
    covered, ratios, counts = [], [], []
    for _, function, slope, kind, low, high in FAMILIES:
        for _ in range(each):
            x = float(random.uniform(low, high) if kind == "uniform" else 10 ** random.uniform(low, high))

            def noisy(t: float, function: Callable[[Any], Any] = function) -> Any:
                return function(t) * (1 + noise * random.standard_normal()) if noise else function(t)

            result = derivative(noisy, x)
            true = float(slope(x))
            true_error = abs(float(result.value) - true)
            # The slope's own argument is rounded: 4 eps of it, and of the angle where it oscillates.
            allowance = 4e-16 * abs(true) * (1 + abs(x))
            covered.append(true_error <= float(result.error) + allowance)
            ratios.append(float(result.error) / max(true_error, 1e-300))
            counts.append(result.n_evaluations)
    return covered, ratios, counts


def coverage() -> None:
    print("\nrandom points of twenty functions: covered, claimed/true error (median), evaluations (median)")
    for noise, each, least in ((0.0, 50, 0.995), (1e-3, 25, 0.95), (1e-6, 25, 0.95), (1e-12, 25, 0.95)):
        covered, ratios, counts = random_points(noise, each, seed=4)
        share, ratio, count = float(np.mean(covered)), float(np.median(ratios)), float(np.median(counts))
        print(f"noise {noise:7.0e}: {len(covered)} points, {100 * share:.1f} %, {ratio:.1f}, {count:g}")
        asked(share >= least, f"noise {noise:.0e}: claims cover in at least {100 * least:g} %: {100 * share:.1f} %")
        if not noise:
            asked(ratio <= 100, f"claimed error within a factor 100 in the median: {ratio:.1f}")


def rosenbrock(x: Any) -> float:
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def rosenbrock_derivatives(x: Any) -> tuple[Any, Any]:
    n = len(x)
    g, h = np.zeros(n), np.zeros((n, n))
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    g[:-1] -= 400 * x[:-1] * (x[1:] - x[:-1] ** 2) + 2 * (1 - x[:-1])
    for i in range(n - 1):
        h[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        h[i + 1, i + 1] += 200
        h[i, i + 1] = h[i + 1, i] = -400 * x[i]
    return g, h


def rosenbrock_counts() -> None:
    print("\nRosenbrock, n = 10: relative error, evaluations")
    x = np.linspace(-1.2, 1.3, 10)
    g, h = rosenbrock_derivatives(x)
    limits = (
        ("finite", gradient, g, 41, 1e-8),
        ("finite", hessian, h, 762, 1e-5),
        ("adaptive", gradient, g, 150, 1e-9),
        ("adaptive", hessian, h, None, 1e-9),
    )
    for method, driver, true, most, accuracy in limits:
        result = driver(rosenbrock, x, method=method)
        error = float(np.abs(result.value - true).max() / np.abs(true).max())
        print(f"{method:10} {driver.__name__:10} {error:.1e} {result.n_evaluations}")
        if most is not None:
            text = f"{method} {driver.__name__}: {result.n_evaluations} evaluations (at most {most}), error {error:.0e}"
            asked(result.n_evaluations <= most and error <= accuracy, text)


def sleeping(p: Any) -> float:
    """A function of 20 ms that lets other threads run."""
    time.sleep(0.02)
    return float(np.sum(np.sin(p)))


def computing(p: Any) -> float:
    """A function of about 20 ms that keeps the interpreter to itself."""
    end, total = time.process_time() + 0.02, 0.0
    while time.process_time() < end:
        total += 1.0
    return float(np.sum(np.sin(p))) + 0.0 * total


def workers() -> None:
    print("\na gradient of a 20 ms function in 16 parameters: seconds with one and two workers")
    x = np.linspace(0.1, 1.0, 16)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        for name, function, two in (
            ("threads", sleeping, {"n_workers": 2}),
            ("processes", computing, {"executor": pool}),
        ):
            gradient(function, x, method="finite", **two)  # processes start and import before they are timed
            start = time.perf_counter()
            alone = gradient(function, x, method="finite")
            middle = time.perf_counter()
            spread = gradient(function, x, method="finite", **two)
            end = time.perf_counter()
            gain = (middle - start) / (end - middle)
            print(f"{name:10} {middle - start:.2f} {end - middle:.2f}: {gain:.2f} times")
            same = bool((alone.value == spread.value).all())
            asked(gain >= 1.8 and same, f"two {name}: at least 1.8 times faster, the same numbers: {gain:.2f}")


def main() -> int:
    table_of_rows()
    coverage()
    rosenbrock_counts()
    workers()
    print("\nasked for")
    for ok, text in MET:
        print(f"{'met    ' if ok else 'NOT MET'} {text}")
    return 0 if all(ok for ok, _ in MET) else 1


if __name__ == "__main__":
    sys.exit(main())
