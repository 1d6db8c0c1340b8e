"""vmap over 10,000 small gradients beside CasADi's own map of the same scalar function.

python -m pip install ".[benchmark]" && python benchmarks/mapped_gradients.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
from timing import Targets, compared, save

import archimedes_grad as arc

ITEMS = 10_000
traces: list[Any] = []


def smooth(x):
    traces.append(x.shape)
    return np.sin(x[0]) * x[1] + np.exp(x[2] * x[0]) / (1.0 + x[1] ** 2) + np.sqrt(x[3] ** 2 + 1.0) * x[4]


def by_casadi() -> cs.Function:
    """The gradient of the same function of one item, written with CasADi's numbers, mapped."""
    x = cs.SX.sym("x", 5)
    value = cs.sin(x[0]) * x[1] + cs.exp(x[2] * x[0]) / (1.0 + x[1] ** 2) + cs.sqrt(x[3] ** 2 + 1.0) * x[4]
    return cs.Function("gradient", [x], [cs.gradient(value, x)]).map(ITEMS)


def on_buffers(function: cs.Function, items: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the call of a mapped Function as one writes it by hand: buffers bound once, copies in and out."""
    buffer, evaluate = function.buffer()
    inside, outside = np.empty(items.size), np.empty(items.size)
    buffer.set_arg(0, memoryview(inside))
    buffer.set_res(0, memoryview(outside))
    keep = (buffer, function)

    def call() -> np.ndarray:
        assert keep
        inside[:] = items.reshape(-1)
        evaluate()
        return outside.reshape(items.shape).copy()

    return call


def main() -> None:
    targets = Targets()
    items = np.random.default_rng(0).normal(size=(ITEMS, 5))
    gradients = arc.vmap(arc.grad(smooth))
    raw = on_buffers(by_casadi(), items)
    np.testing.assert_allclose(gradients(items), raw(), rtol=1e-12)
    times = compared({"vmap(grad(f))": lambda: gradients(items), "CasADi's map": raw}, rounds=15)
    for name, seconds in times.items():
        print(f"{name:20s} {1e6 * seconds:10.1f} µs")
    ratio = times["vmap(grad(f))"] / times["CasADi's map"]
    targets.check("vmap of 10,000 gradients against CasADi's own map", ratio, 1.2)
    targets.check("traces of the function", len(traces), 1)
    targets.show()
    save("mapped_gradients", {"seconds": times, "targets": targets.rows})


if __name__ == "__main__":
    main()
