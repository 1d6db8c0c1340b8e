"""What Python's control flow costs: calls on one path, on two, on a hundred; misses; Newton beside autograd and JAX.

python -m pip install ".[benchmark]" && python benchmarks/paths.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from calls import installed
from timing import Targets, compared, once_each, save

import archimedes_grad as arc


def one_if(targets: Targets) -> dict[str, float]:
    plain = arc.grad(lambda x: x * x)
    branching = arc.grad(lambda x: x * x if x > 0 else -3 * x)
    alternating = arc.grad(lambda x: x * x if x > 0 else -3 * x)
    assert branching(1.0) == 2.0
    assert alternating(-1.0) == -3.0

    def both(function: Any) -> Any:
        def calls() -> None:
            function(1.0)
            function(-1.0)

        return calls

    times = compared({
        "without if": lambda: plain(1.0), "same path": lambda: branching(1.0),
        "without if, two calls": both(plain), "50/50, two calls": both(alternating),
    })  # fmt: skip
    targets.check("a call on the same path against no if", times["same path"] / times["without if"], 1.2)
    targets.check("50/50 branches against no if", times["50/50, two calls"] / times["without if, two calls"], 1.5)
    return times


def hundred_paths(targets: Targets, name: str, function: Any, tail: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    gradient = arc.grad(function)
    points = [np.r_[k + 0.5, rng.normal(size=tail)] for k in range(100)]
    for x in points:
        gradient(x)
    single = arc.grad(function)
    order = rng.integers(0, 100, size=200)

    def random_paths() -> None:
        for k in order:
            gradient(points[k])

    def one_path() -> None:
        for _ in order:
            single(points[0])

    times = compared({"random": random_paths, "one": one_path})
    targets.check(f"100 random paths against one, {name}", times["random"] / times["one"], 6.0)
    return {key: seconds / len(order) for key, seconds in times.items()}


def misses(targets: Targets) -> dict[str, float]:
    def function(x):
        total = x
        for _ in range(200):
            total = np.sin(total) * x
        return total if x > 0 else -total

    fresh = [arc.grad(function) for _ in range(7)]
    known = [arc.grad(function) for _ in range(7)]
    for gradient in known:
        gradient(1.0)
    times = once_each({"first trace": lambda: fresh.pop()(1.0), "miss": lambda: known.pop()(-1.0)}, rounds=7)
    targets.check("a miss against a first trace", times["miss"] / times["first trace"], 1.2)
    return times


def masked_root(xp: Any, a: Any) -> Any:
    """Newton's method without a loop that ends: JAX has no reverse derivative of its while_loop."""
    x = a
    for _ in range(16):
        x = xp.where(abs(x * x - a) > 1e-12, 0.5 * (x + a / x), x)
    return x


def newton(targets: Targets) -> dict[str, float]:
    def root(a):
        x = a
        while abs(x * x - a) > 1e-12:
            x = 0.5 * (x + a / x)
        return x

    points = np.random.default_rng(0).uniform(0.1, 50.0, size=1_000)
    gradient = arc.grad(root)
    calls = {"archimedes_grad": lambda: [gradient(a) for a in points]}
    np.testing.assert_allclose(calls["archimedes_grad"](), 0.5 / np.sqrt(points), rtol=1e-6)
    autograd = installed("autograd")
    if autograd is not None:
        peer = autograd.grad(root)
        calls["autograd"] = lambda: [peer(a) for a in points]
    jax = installed("jax")
    if jax is not None:
        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(jax.grad(lambda a: masked_root(jax.numpy, a)))
        calls["JAX, 16 masked steps"] = lambda: [float(compiled(a)) for a in points]
        np.testing.assert_allclose(calls["JAX, 16 masked steps"](), 0.5 / np.sqrt(points), rtol=1e-6)
    times = compared(calls, rounds=3)
    if autograd is not None:
        targets.check("Newton for 1,000 inputs against autograd", times["archimedes_grad"] / times["autograd"], 1 / 20)
    return times


def main() -> None:
    targets = Targets()
    result = {
        "one if": one_if(targets),
        "hundred paths, cheap": hundred_paths(targets, "cheap", lambda x: x[0] * (int(x[0]) + 1), 1),
        "hundred paths, expensive": hundred_paths(
            targets, "expensive", lambda x: np.sum(np.exp(x) * np.sin(x)) * (int(x[0]) + 1), 5_000
        ),
        "miss": misses(targets),
        "newton": newton(targets),
    }
    for name, times in result.items():
        print(name + ": " + ", ".join(f"{key} {1e6 * seconds:.3g} µs" for key, seconds in times.items()))
    targets.show()
    save("paths", {"command": "python benchmarks/paths.py"} | result | {"targets": targets.rows})


if __name__ == "__main__":
    main()
