"""Jacobians and Hessians through the bodies of loops: by directions, beside whole Jacobians of the bodies.

python benchmarks/bodies.py

CasADi would take whole Jacobians of Functions that are called, where there are many directions. Its sweep for these is
wrong where a number is added to an array (`nodes/functions.py`), so the bodies here have no such sum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import compared, save, spread

import archimedes_grad as arc
from archimedes_grad.nodes import functions

STEPS = 100


def recurrent(n: int, m: int) -> tuple[Callable[[Any], Any], Any]:
    """Return a loop over states of m numbers with n parameters."""
    weights = np.random.default_rng(0).normal(size=(m, m)) * 0.3

    def final(z: Any) -> Any:
        rows = np.reshape(z, (m, -1))
        return arc.scan(
            lambda c, e: (np.tanh(weights @ c + rows @ np.ones(n // m) * e), None), np.ones(m), np.linspace(0, 1, STEPS)
        )[0]

    return final, np.random.default_rng(1).normal(size=n) * 0.1


def main() -> None:
    """Print and save the seconds of calls, and their ratios."""
    result = {}
    print(f"{'':34s} {'directions, ms':>15s} {'whole, ms':>10s} {'ratio':>6s}")
    for n, m in ((12, 4), (40, 4), (100, 4), (100, 20)):
        final, z = recurrent(n, m)

        def squares(z: Any, final: Any = final) -> Any:
            return np.sum(final(z) ** 2)

        for name, transform, function in (("Jacobian", arc.jac, final), ("Hessian", arc.hess, squares)):
            by_directions, whole = transform(function), transform(function)
            by_directions(z)
            _as_casadi_would(lambda whole=whole, z=z: whole(z))
            np.testing.assert_allclose(by_directions(z), whole(z), rtol=1e-9, atol=1e-12)
            calls = compared(
                {"directions": lambda g=by_directions, z=z: g(z), "whole": lambda g=whole, z=z: g(z)},
                clock=time.process_time,
            )
            what = f"{name}, {n} parameters, {m} states"
            result[what] = calls
            ratio = calls["directions"] / calls["whole"]
            print(f"{what:34s} {1e3 * calls['directions']:15.2f} {1e3 * calls['whole']:10.2f} {ratio:6.2f}")
    ratios = [calls["directions"] / calls["whole"] for calls in result.values()]
    print(f"\nby directions beside whole: {spread(ratios)}")
    save("bodies", result)


def _as_casadi_would(first_call: Callable[[], Any]) -> None:
    before = functions.PENALTY
    try:
        functions.PENALTY = 2
        first_call()
    finally:
        functions.PENALTY = before


if __name__ == "__main__":
    main()
