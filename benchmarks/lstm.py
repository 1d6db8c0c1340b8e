"""The gradient of an LSTM, 2 layers of 14 over 1,024 steps: as a scan, as a Python loop, by hand in C++, by CasADi.

python -m pip install ".[benchmark]" && python benchmarks/lstm.py

Needs g++. All gradients are compared with the one by hand before anything is timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np
import problems
import yardsticks
from timing import Targets, compared, save

import archimedes_grad as arc

LAYERS, WIDTH, STEPS = 2, 14, 1_024

#: GradBench's hand-written C++ took 12.9 ms where CasADi's mapaccum took 29: its share of a mapaccum's time.
GRADBENCH_OF_MAPACCUM = 12.9 / 29


def by_python(step: Any, carry: Any, xs: Any) -> Any:
    """Do what scan does, as a plain loop."""
    ys = []
    for k in range(len(xs[0])):
        carry, y = step(carry, tuple(x[k] for x in xs))
        ys.append(y)
    return carry, np.stack(ys)


def by_mapaccum(main: Any, extra: Any, state: Any, sequence: Any) -> Callable[[], Any]:
    """Return the gradient that a user of CasADi writes: a step of arrays, mapaccum, one reverse sweep, raw buffers."""
    d, n = sequence.shape[1], len(sequence) - 1
    # Stored by columns, as CasADi does: the transposes of NumPy's.
    m, e, s = cs.MX.sym("main", 4 * d, main.shape[0]), cs.MX.sym("extra", d, 3), cs.MX.sym("state", d, len(state))
    seen, following = cs.MX.sym("seen", d), cs.MX.sym("following", d)
    columns, rows, x = cs.horzsplit(m), [], seen * e[:, 0]
    for layer, (hidden, cell) in enumerate(zip(*[iter(cs.horzsplit(s))] * 2, strict=True)):
        weights, biases = cs.vertsplit(columns[2 * layer], d), cs.vertsplit(columns[2 * layer + 1], d)
        forget, ingate, outgate, change = (
            v * w + b for v, w, b in zip((x, hidden, x, hidden), weights, biases, strict=True)
        )
        forget, ingate, outgate = (1 / (1 + cs.exp(-gate)) for gate in (forget, ingate, outgate))
        cell = cell * forget + ingate * cs.tanh(change)
        x = outgate * cs.tanh(cell)
        rows += [x, cell]
    predicted = x * e[:, 1] + e[:, 2]
    likelihood = cs.dot(following, predicted - cs.log(cs.sum1(cs.exp(predicted)) + 2))
    step = cs.Function("step", [s, seen, following, m, e], [cs.horzcat(*rows), likelihood])

    before, after = cs.MX.sym("before", d, n), cs.MX.sym("after", d, n)
    repeated = cs.repmat(m, 1, n), cs.repmat(e, 1, n)
    _, likelihoods = step.mapaccum(n)(s, before, after, *repeated)
    loss = -cs.sum2(likelihoods) / (n * d)
    (gradient,) = cs.reverse([loss], [m, e], [[cs.MX(1.0)]])
    function = cs.Function("gradient", [s, before, after, m, e], gradient)
    buffer, evaluate = function.buffer()
    arguments = [np.ascontiguousarray(a) for a in (state, sequence[:-1], sequence[1:], main, extra)]
    results = np.zeros_like(main), np.zeros_like(extra)
    for i, array in enumerate(arguments):
        buffer.set_arg(i, array.reshape(-1).data)
    for i, array in enumerate(results):
        buffer.set_res(i, array.reshape(-1).data)

    def call(kept_alive: Any = (function, buffer, arguments)) -> Any:
        evaluate()
        return results

    return call


def main() -> None:
    targets = Targets()
    arguments = problems.lstm_data(LAYERS, WIDTH, STEPS)
    as_loop = problems.rebound(np, by_python).lstm
    checkpointed = problems.rebound(np, lambda *args: arc.scan(*args, checkpoint=True)).lstm
    recomputing = arc.grad(checkpointed, argnums=(0, 1))
    value, value_and_gradient = arc.compile(problems.lstm), arc.value_and_grad(problems.lstm, argnums=(0, 1))

    first: dict[str, float] = {}
    calls: dict[str, Callable[[], Any]] = {
        "C++ by hand": lambda: yardsticks.lstm(*arguments),
        "CasADi mapaccum": by_mapaccum(*arguments),
        "scan, checkpointed": lambda: recomputing(*arguments),
    }
    for form, function in (("scan", problems.lstm), ("Python loop", as_loop)):
        for engine in ("vm", "native"):
            gradient = arc.grad(function, argnums=(0, 1), engine=engine)
            start = sum(os.times()[:4])
            gradient(*arguments)
            first[f"{form}, {engine}"] = sum(os.times()[:4]) - start
            calls[f"{form}, {engine}"] = lambda gradient=gradient: gradient(*arguments)  # type: ignore[misc]
    for name, call in calls.items():
        for gradient, expected in zip(call(), calls["C++ by hand"](), strict=True):
            np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-14, err_msg=name)
    # Processor time, here and of the first gradients (the C compiler's included): all of them run on one thread.
    times = compared(
        calls | {
            "scan, value and gradient": lambda: value_and_gradient(*arguments),
            "scan, value alone": lambda: value(*arguments),
        },
        rounds=15, clock=time.process_time,
    )  # fmt: skip

    by_hand, scan = times["C++ by hand"], times["scan, vm"]
    targets.check("scan against C++ by hand, native engine", times["scan, native"] / by_hand, 2.5)
    targets.check("scan against C++ by hand, interpreter", scan / by_hand, 2.5)
    by_way_of_mapaccum = scan / (GRADBENCH_OF_MAPACCUM * times["CasADi mapaccum"])
    targets.check("the same against GradBench's C++, by way of CasADi's mapaccum", by_way_of_mapaccum, 2.5)
    targets.check("Python loop: first gradient (s)", first["Python loop, vm"], 10.0)
    for engine in ("vm", "native"):
        ratio = times[f"Python loop, {engine}"] / times[f"scan, {engine}"]
        targets.check(f"Python loop against scan, a call, {engine}", ratio, 1.0)
    for name, seconds in times.items():
        print(f"{name:26s} {1000 * seconds:8.2f} ms  {seconds / times['C++ by hand']:6.2f} of the C++ by hand")
    print("first gradients: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in first.items()))
    targets.show()
    result = {"command": "python benchmarks/lstm.py", "calls": times, "first gradients": first}
    save("lstm", result | {"targets": targets.rows})


if __name__ == "__main__":
    main()
