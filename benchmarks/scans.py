"""What a scan costs as it grows: work memory, the first gradient, a gradient beside the value; with checkpoints too.

python -m pip install ".[benchmark]" && python benchmarks/scans.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from timing import Targets, compared, save

import archimedes_grad as arc

WIDTH = 16
STEPS = (100, 1_000, 10_000, 100_000)
RNG = np.random.default_rng(0)
#: A rotation: with anything smaller, cotangents fade to denormal numbers, which are slow.
W = np.linalg.qr(RNG.normal(size=(WIDTH, WIDTH)))[0]
START = RNG.normal(size=WIDTH)


def loss(steps: int, checkpoint: Any) -> Any:
    """A recurrent network without inputs: nothing but its state is as long as the loop."""

    def run(weights, start):
        last, _ = arc.scan(lambda s, _: (np.tanh(weights @ s), None), start, None, length=steps, checkpoint=checkpoint)
        return np.sum(last**2)

    return run


def measured(steps: int, checkpoint: Any) -> dict[str, float]:
    gradient, value = arc.grad(loss(steps, checkpoint)), arc.compile(loss(steps, checkpoint))
    # Processor time: all of it runs on one thread.
    start = time.process_time()
    gradient(W, START)
    first = time.process_time() - start
    value(W, START)
    times = compared({"gradient": lambda: gradient(W, START), "value": lambda: value(W, START)}, rounds=5,
                     clock=time.process_time)  # fmt: skip
    numbers = gradient.to_casadi(W, START).sz_w()
    return {
        "first gradient (s)": first,
        "gradient (s)": times["gradient"],
        "value (s)": times["value"],
        "gradient / value": times["gradient"] / times["value"],
        "work memory (bytes)": 8 * numbers,
        "numbers of work memory per state and step": numbers / (WIDTH * steps),
    }


def main() -> None:
    targets = Targets()
    kept, blocks = (
        {steps: measured(steps, checkpoint) for steps in STEPS} for checkpoint in (False, True)
    )
    for name, rows in (("all carries kept", kept), ("checkpoints", blocks)):
        print(f"{name}, state of {WIDTH}")
        for steps, row in rows.items():
            print(f"  {steps:7,} steps: " + ", ".join(f"{key} {number:.3g}" for key, number in row.items()))
    few, many = STEPS[1], STEPS[-1]
    growth = many / few

    def grown(rows: dict[int, dict[str, float]]) -> float:
        return rows[many]["work memory (bytes)"] / rows[few]["work memory (bytes)"]

    targets.check("memory, 100,000 steps against 1,000, over the growth of steps", grown(kept) / growth, 1.0)
    targets.check("the same with checkpoints, over the growth of its root", grown(blocks) / growth**0.5, 1.05)
    targets.check("checkpoints: memory at 100,000 steps against all carries kept",
                  blocks[many]["work memory (bytes)"] / kept[many]["work memory (bytes)"], 0.05)  # fmt: skip
    targets.check("checkpoints: time at 100,000 steps against all carries kept",
                  blocks[many]["gradient (s)"] / kept[many]["gradient (s)"], 1.5)  # fmt: skip
    targets.check("first gradient, 100,000 steps against 1,000, over the growth of steps",
                  kept[many]["first gradient (s)"] / kept[few]["first gradient (s)"] / growth, 1.0)  # fmt: skip
    targets.show()
    result = {"command": "python benchmarks/scans.py", "all carries kept": kept, "checkpoints": blocks}
    save("scans", result | {"targets": targets.rows})


if __name__ == "__main__":
    main()
