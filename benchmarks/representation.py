"""Fit what an operation costs as a scalar and as an array, for derivatives/representation.py.

    python benchmarks/representation.py

Times CasADi's interpreter on graphs of both kinds over sizes and fits the three constants by least squares on
relative errors. Prints them beside those in use, and how often they choose the faster form.
"""

from __future__ import annotations

import casadi as cs
import numpy as np
from timing import compared

from archimedes_grad.derivatives import representation


def graphs(n: int) -> dict[str, cs.MX]:
    x = cs.MX.sym("x", n)
    expressions = {
        "polynomial": cs.sum1(x * x * x + 2 * x * x),
        "rosenbrock": cs.sum1(100 * (x[1:] - x[:-1] * x[:-1]) ** 2 + (1 - x[:-1]) ** 2),
        "products": cs.sum1((x * x) * (x + 1) * (x - 1) / (x * x + 2)),
    }
    return {name: (x, expression) for name, expression in expressions.items()}


def measured() -> list[dict[str, float]]:
    rows = []
    for n in (3, 10, 30, 100, 300, 1_000):
        for name, (x, expression) in graphs(n).items():
            arrays = cs.Function("arrays", [x], [expression])
            scalars = arrays.expand()
            calls = {}
            for kind, function in (("array", arrays), ("scalar", scalars)):
                buffer, evaluate = function.buffer()
                source, target = np.random.default_rng(0).normal(size=n), np.zeros(1)
                buffer.set_arg(0, source.data)
                buffer.set_res(0, target.data)
                calls[kind] = lambda e=evaluate, keep=(buffer, source, target): e()
            times = compared(calls, rounds=5)
            entries = sum(
                arrays.instruction_MX(k).numel()
                for k in range(arrays.n_instructions())
                if arrays.instruction_id(k) != cs.OP_OUTPUT
            )
            rows.append({
                "name": name, "n": n, "nodes": arrays.n_instructions(), "entries": entries,
                "scalars": scalars.n_instructions(), **times,
            })  # fmt: skip
    return rows


def main() -> None:
    rows = measured()
    array_times = np.array([1e9 * row["array"] for row in rows])
    scalar_times = np.array([1e9 * row["scalar"] for row in rows])
    overhead = min(array_times.min(), scalar_times.min())
    design = np.array([[row["nodes"], row["entries"]] for row in rows]) / array_times[:, None]
    (node, entry), *_ = np.linalg.lstsq(design, (array_times - overhead) / array_times, rcond=None)
    operations = np.array([row["scalars"] for row in rows])
    weights = operations / scalar_times
    scalar = float(weights @ ((scalar_times - overhead) / scalar_times) / (weights @ weights))
    print(f"an array node   {node:6.2f} ns   in use {representation._ARRAY_NODE}")
    print(f"an array entry  {entry:6.2f} ns   in use {representation._ARRAY_ENTRY}")
    print(f"a scalar        {scalar:6.2f} ns   in use {representation._SCALAR_OPERATION}")
    in_use = representation._ARRAY_NODE, representation._ARRAY_ENTRY, representation._SCALAR_OPERATION
    for name, constants in (("in use", in_use), ("fitted here", (node, entry, scalar))):
        right, worst = judged(rows, *constants)
        print(f"{name}: the faster form in {right} of {len(rows)} cases; where not, it costs up to {worst:.2f} times")


def judged(rows: list[dict[str, float]], node: float, entry: float, scalar: float) -> tuple[int, float]:
    """Return in how many cases the constants choose the faster form, and the largest loss of the others."""
    losses = []
    for row in rows:
        as_scalars = scalar * row["scalars"] <= node * row["nodes"] + entry * row["entries"]
        taken, other = (row["scalar"], row["array"]) if as_scalars else (row["array"], row["scalar"])
        losses.append(max(1.0, taken / other))
    return losses.count(1.0), max(losses)


if __name__ == "__main__":
    main()
