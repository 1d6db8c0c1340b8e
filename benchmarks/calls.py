"""What a call costs, a first gradient, an operation traced, and the import: beside the peers, in one run.

    python -m pip install ".[benchmark]" && python benchmarks/calls.py

Answers are checked before anything is timed. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
from timing import Targets, compared, once_each, save

import archimedes_grad as arc


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_loop(x, n):
    total = 0.0
    for i in range(n - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def true_gradient(x):
    gradient = np.zeros_like(x)
    residual = x[1:] - x[:-1] ** 2
    gradient[:-1] = -400 * x[:-1] * residual - 2 * (1 - x[:-1])
    gradient[1:] += 200 * residual
    return gradient


def installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def jax_gradient(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """JAX's gradient with NumPy arrays in and out."""
    jax = installed("jax")
    if jax is None:
        return None
    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(jax.grad(function))
    return lambda *args: np.asarray(compiled(*args))


def rosenbrock_jax(x):
    import jax.numpy as jnp

    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_autograd(x):
    import autograd.numpy as anp

    return anp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def raw_buffers(n: int, kind: Any, source: np.ndarray) -> Callable[[], np.ndarray]:
    """CasADi's own gradient, called by copy in, evaluate, copy out."""
    x = kind.sym("x", n)
    objective = cs.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    function = cs.Function("gradient", [x], [cs.gradient(objective, x)])
    inputs, outputs = np.zeros(n), np.zeros(n)
    buffer, evaluate = function.buffer()
    buffer.set_arg(0, memoryview(inputs))
    buffer.set_res(0, memoryview(outputs))

    def call(keep=(function, buffer)):
        inputs[...] = source
        evaluate()
        return outputs.copy()

    return call


def gradient_calls(targets: Targets) -> dict[str, dict[str, float]]:
    table = {}
    for n in (2, 100, 1_000, 10_000, 100_000, 1_000_000):
        x = np.random.default_rng(n).normal(size=n)
        ours = arc.grad(rosenbrock)
        calls: dict[str, Callable[[], Any]] = {"archimedes_grad": lambda f=ours, x=x: f(x)}
        calls["casadi buffer, array graph"] = raw_buffers(n, cs.MX, x)
        if n <= 10_000:
            calls["casadi buffer, scalar graph"] = raw_buffers(n, cs.SX, x)
        jitted = jax_gradient(rosenbrock_jax)
        if jitted is not None:
            calls["jax"] = lambda f=jitted, x=x: f(x)
        if (autograd := installed("autograd")) is not None:
            peer = autograd.grad(rosenbrock_autograd)
            calls["autograd"] = lambda f=peer, x=x: f(x)
        if n <= 10_000 and (archimedes := installed("archimedes")) is not None:
            peer = archimedes.grad(rosenbrock)
            calls["archimedes"] = lambda f=peer, x=x: np.asarray(f(x))
        for name, call in calls.items():
            np.testing.assert_allclose(call(), true_gradient(x), rtol=1e-9, atol=1e-9, err_msg=name)
        table[str(n)] = times = compared(calls)
        raw = min(time for name, time in times.items() if name.startswith("casadi"))
        if n in (2, 100) and "jax" in times:
            targets.check(f"call, n = {n}, against jax", times["archimedes_grad"] / times["jax"], 1 / 4)
        if n in (2, 100) and "archimedes" in times:
            targets.check(f"call, n = {n}, against archimedes", times["archimedes_grad"] / times["archimedes"], 1 / 30)
        if n in (2, 10_000):
            limit = 4.0 if n == 2 else 1.5
            targets.check(f"call, n = {n}, against the raw buffer", times["archimedes_grad"] / raw, limit)
    return table


def argument_calls(targets: Targets) -> dict[str, float]:
    def loss(x, A, y):
        y_pred = A @ x
        return np.sum((y_pred - y) ** 2) / len(y)

    x, A, y = np.ones(3), np.random.default_rng(0).normal(size=(2, 3)), np.array([1, 2])
    start = np.array([0.5, 2.0])
    both = {"a": np.ones(2), "b": np.ones(2)}
    one, several = arc.grad(rosenbrock), arc.grad(loss, argnums=(0, 1))
    tree = arc.grad(lambda p: np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2))
    times = compared({
        "one array": lambda: one(start),
        "loss, argnums=(0, 1)": lambda: several(x, A, y),
        "dict of two arrays": lambda: tree(both),
    })  # fmt: skip
    targets.check("loss with argnums=(0, 1) against one array", times["loss, argnums=(0, 1)"] / times["one array"], 2.5)
    targets.check("dict of two arrays against one array", times["dict of two arrays"] / times["one array"], 2.0)
    return times


def first_gradients(targets: Targets, n: int = 1_000) -> dict[str, float]:
    x = np.random.default_rng(1).normal(size=n)

    def scalar_casadi():
        s = cs.SX.sym("x", n)
        return cs.Function("g", [s], [cs.gradient(rosenbrock_loop(s, n), s)])(x)

    makers: dict[str, Callable[[], Any]] = {
        "archimedes_grad": lambda: arc.grad(lambda v: rosenbrock_loop(v, n))(x),
        "casadi by hand, scalar graph": scalar_casadi,
    }
    if (archimedes := installed("archimedes")) is not None:
        makers["archimedes"] = lambda: archimedes.grad(lambda v: rosenbrock_loop(v, n))(x)
        makers["archimedes, scalar graph"] = lambda: archimedes.grad(
            archimedes.compile(lambda v: rosenbrock_loop(v, n), kind="SX")
        )(x)
    if (autograd := installed("autograd")) is not None:
        makers["autograd"] = lambda: autograd.grad(lambda v: rosenbrock_loop(v, n))(x)
    for name, maker in makers.items():
        np.testing.assert_allclose(np.ravel(maker()), true_gradient(x), rtol=1e-9, atol=1e-9, err_msg=name)
    times = once_each(makers)
    jitted = jax_gradient(lambda v: rosenbrock_loop(v, n))
    if jitted is not None:
        times |= once_each({"jax": lambda: jitted(x)}, rounds=1)
        ratio = times["archimedes_grad"] / times["jax"]
        targets.check("first gradient of the 1,000-term loop against jax", ratio, 0.01)
    peers = [times[name] for name in ("archimedes", "archimedes, scalar graph") if name in times]
    if peers:
        ratio = times["archimedes_grad"] / min(peers)
        targets.check("first gradient of the 1,000-term loop against archimedes", ratio, 0.25)
    return times


def tracing(targets: Targets, n: int = 2_000) -> dict[str, float]:
    """Microseconds to trace a scalar operation: the time of a compile without its reverse sweep."""

    def chain(x):
        for _ in range(n):
            x = x * 1.0001 + 0.5
        return x

    explained = [arc.compile(lambda x: chain(x)).explain(1.0).seconds["trace"] for _ in range(7)]
    each = sorted(explained)[3] / (2 * n)
    targets.check("microseconds to trace a scalar operation", each * 1e6, 8.0)
    x = cs.MX.sym("x")
    node = compared({"node": lambda: cs.MX.binary(cs.OP_ADD, x, x)})["node"]
    print(f"\nCasADi itself takes {1e6 * node:.2f} µs for a node, a traced operation {each / node:.2f} times that")
    return {"seconds an operation": each, "seconds a node of CasADi's": node}


def import_time(targets: Targets) -> dict[str, float]:
    def seconds(before: str, timed: str) -> float:
        program = (
            f"import time; {before or 'pass'}; start = time.perf_counter(); import {timed}; "
            f"print(time.perf_counter() - start)"
        )
        command = [sys.executable, "-c", program]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(9)]
        return sorted(float(run.stdout) for run in runs)[4]

    ours, others = seconds("import numpy, casadi", "archimedes_grad"), seconds("", "numpy, casadi")
    targets.check("milliseconds to import, beyond casadi and numpy", ours * 1e3, 30.0)
    print(f"Importing casadi and numpy themselves takes {1e3 * others:.0f} ms")
    return {"seconds": ours, "seconds of casadi and numpy": others}


def main() -> None:
    targets = Targets()
    result: dict[str, Any] = {"gradient call": gradient_calls(targets)}
    print("A gradient call, Rosenbrock vectorised, microseconds")
    names = list(next(iter(result["gradient call"].values())))
    print(f"{'n':>9s} " + " ".join(f"{name:>28s}" for name in names))
    for n, times in result["gradient call"].items():
        cells = (f"{1e6 * times[name]:28.2f}" if name in times else f"{'–':>28s}" for name in names)
        print(f"{n:>9s} " + " ".join(cells))
    result["arguments"] = argument_calls(targets)
    result["first gradient"] = first_gradients(targets)
    print("\nThe first gradient of a Python loop of 1,000 terms, seconds")
    for name, seconds in result["first gradient"].items():
        print(f"  {name:30s} {seconds:8.3f}")
    result["tracing"] = tracing(targets)
    result["import"] = import_time(targets)
    targets.show()
    result["targets"] = targets.rows
    save("calls", result)


if __name__ == "__main__":
    main()
