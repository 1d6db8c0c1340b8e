"""What looking into calls costs: gradients of branches inside of loops and choices that read from around them.

python benchmarks/callees.py

Beside it stand the same gradients without a look: all arguments of a call count everywhere, and where a branch is
not taken slopes by what is singular before the call are nan. None of the arguments here is, so both agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from timing import compared, save, spread

import archimedes_grad as arc
from archimedes_grad.derivatives import callees
from archimedes_grad.derivatives.uses import EVERYWHERE, Arguments

INPUTS = np.random.default_rng(0).normal(size=500)
ITEMS = np.random.default_rng(1).normal(size=20_000)


def choice(x: Any, y: Any) -> Any:
    root = np.sqrt(x)
    return arc.cond(np.sum(y) > 0, lambda: np.sum(root * y), lambda: np.sum(y * x))


def loop(x: Any, y: Any) -> Any:
    rate = np.exp(x[0])
    return arc.scan(lambda c, u: (np.where(u > 0, c * 0.99 + rate * u * 0.01, c * 0.98), None), 1.0, INPUTS)[0]


def loop_by_its_carry(x: Any, y: Any) -> Any:
    rate = np.exp(x) / (1 + y * y)
    return np.sum(arc.scan(lambda c, u: (np.where(c > 0, rate * c * 0.1, c) + u, None), y, INPUTS)[0])


def loop_that_ends(x: Any, y: Any) -> Any:
    rate = np.exp(x)
    return np.sum(arc.while_loop(
        lambda s: s[1] < 50, lambda s: (np.where(s[0] > 0, s[0] * 0.9 + rate * 0.01, s[0]), s[1] + 1), (y, 0), 100
    )[0])  # fmt: skip


def batch(x: Any, y: Any) -> Any:
    root = np.sqrt(x[:10])
    return np.sum(arc.vmap(lambda a: np.sum(np.where(y[:10] * a > 0, root * a, a)))(ITEMS))


def gradient_inside(x: Any, y: Any) -> Any:
    root = np.sqrt(x)
    return np.sum(arc.grad(lambda t: np.sum(np.where(t > 0, root * t**2, t)))(y))


CASES = {
    "a choice": choice, "a loop of 500 steps": loop, "conditions that hang on the carry": loop_by_its_carry,
    "a loop that ends": loop_that_ends, "a batch of 20,000": batch, "a gradient inside": gradient_inside,
}  # fmt: skip


def main() -> None:
    """Print and save the seconds of first calls and of calls, and their ratios."""
    x, y = np.linspace(0.5, 2, 50), np.linspace(-1, 1.5, 50)
    result = {}
    print(f"{'':34s} {'first, ms':>10s} {'no look':>9s} {'call, µs':>10s} {'no look':>9s} {'ratio':>6s}")
    for name, case in CASES.items():
        gradients = {"looked into": arc.grad(case), "not": arc.grad(case)}
        first = {
            "looked into": _seconds_of_first(lambda case=case: arc.grad(case)(x, y)),
            "not": _without_a_look(lambda case=case: _seconds_of_first(lambda: arc.grad(case)(x, y))),
        }
        _without_a_look(lambda gradients=gradients: gradients["not"](x, y))
        np.testing.assert_allclose(gradients["looked into"](x, y), gradients["not"](x, y), rtol=1e-10)
        calls = compared(
            {kind: lambda g=g: g(x, y) for kind, g in gradients.items()}, rounds=15, clock=time.process_time
        )
        result[name] = {"first": first, "call": calls}
        ratio = calls["looked into"] / calls["not"]
        shown = [1e3 * s for s in first.values()] + [1e6 * s for s in calls.values()]
        print(f"{name:34s} {shown[0]:10.1f} {shown[1]:9.1f} {shown[2]:10.1f} {shown[3]:9.1f} {ratio:6.2f}")
    ratios = [case["call"]["looked into"] / case["call"]["not"] for case in result.values()]
    print(f"\na call beside one without a look: {spread(ratios)}")
    save("callees", result)


def _seconds_of_first(first_call: Callable[[], Any]) -> float:
    """Return the least seconds of a few first calls."""
    times = []
    for _ in range(5):
        start = time.process_time()
        first_call()
        times.append(time.process_time() - start)
    return min(times)


def _without_a_look(call: Callable[[], Any]) -> Any:
    def everywhere(self: callees.Callees, function: Any, outputs: tuple[int, ...], of_values: bool) -> Arguments:
        return Arguments([EVERYWHERE] * function.n_in())

    with mock.patch.object(callees.Callees, "arguments", everywhere):
        return call()


if __name__ == "__main__":
    main()
