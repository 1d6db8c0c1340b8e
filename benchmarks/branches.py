"""What keeping branches that are not taken out of gradients costs: np.where as written, beside guards by hand.

python benchmarks/branches.py

By hand, a singular function gets a harmless argument where its branch is not taken (the "double where"), as other
libraries ask of their users. Both gradients are compared before they are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import compared, once_each, save, spread

import archimedes_grad as arc

N = 100_000
STEPS = 3_000


def guarded(x: Any) -> Any:
    return np.where(x > 0, x, 1.0)


def as_it_is(x: Any) -> Any:
    return x


Guard = Callable[[Any], Any]


def elementwise(guard: Guard) -> Any:
    return lambda x: np.sum(np.where(x > 0, x * np.log(guard(x)), x))


def used_twice(guard: Guard) -> Any:
    def function(x: Any) -> Any:
        root = np.sqrt(guard(x))
        return np.sum(np.where(x > 0, root * x, 0.0) + np.where(x > 1, root, x))

    return function


def behind_a_gather(guard: Guard) -> Any:
    return lambda x: np.sum(np.where(x > 0, np.sqrt(guard(x))[::-1][::-1], x))


def scaled(guard: Guard) -> Any:
    return lambda x: np.sum(np.where(x > 0, x[-1] * np.sqrt(guard(x)), x))


def one_choice(guard: Guard) -> Any:
    return lambda x: np.where(np.sum(x) > 0, np.sum(x * x), np.sum(x * np.log(guard(x))))


def python_loop(guard: Guard) -> Any:
    def function(x: Any) -> Any:
        total: Any = 0.0
        for k in range(STEPS):
            entry = x[k % 50]
            total = total + np.where(entry > 0, np.log(guard(entry)) * total * 1e-3, entry * entry)
        return total

    return function


CASES = {
    "elementwise": (elementwise, N), "a value used under two conditions": (used_twice, N),
    "behind a gather": (behind_a_gather, N), "times a parameter": (scaled, N),
    "one choice between two sums": (one_choice, N), f"a Python loop of {STEPS} choices": (python_loop, 50),
}  # fmt: skip


def main() -> None:
    """Print and save the seconds of first calls and of calls, and their ratios."""
    result = {}
    print(f"{'':38s} {'first, ms':>10s} {'by hand':>9s} {'call, µs':>10s} {'by hand':>9s}")
    for name, (case, n) in CASES.items():
        x = np.linspace(-1, 2, n)
        gradients = {"as written": arc.grad(case(as_it_is)), "by hand": arc.grad(case(guarded))}
        np.testing.assert_allclose(gradients["as written"](x), gradients["by hand"](x), rtol=1e-10)
        first = once_each(
            {kind: lambda guard=guard, case=case, x=x: arc.grad(case(guard))(x)
             for kind, guard in (("as written", as_it_is), ("by hand", guarded))}, rounds=3,
        )  # fmt: skip
        calls = compared({kind: lambda g=g, x=x: g(x) for kind, g in gradients.items()}, clock=time.process_time)
        result[name] = {"n": n, "first": first, "call": calls}
        shown = [1e3 * s for s in first.values()] + [1e6 * s for s in calls.values()]
        print(f"{name:38s} {shown[0]:10.1f} {shown[1]:9.1f} {shown[2]:10.0f} {shown[3]:9.0f}")
    ratios = [case["call"]["as written"] / case["call"]["by hand"] for case in result.values()]
    print(f"\na call as written beside by hand: {spread(ratios)}")
    save("branches", result)


if __name__ == "__main__":
    main()
