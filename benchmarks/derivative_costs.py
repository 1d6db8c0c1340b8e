"""What derivatives cost beside the function: value_and_grad beside the value, hvp beside value_and_grad.

python -m pip install ".[benchmark]" && python benchmarks/derivative_costs.py [words in names of problems]

All three are compiled by this library and evaluated by the same engine, so that a ratio counts operations, not
languages. Reverse mode's own bound is 4 to 5 (Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 4).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from bundle_adjustment import mapped, random_scene, vectorised
from problems import PROBLEMS, Problem
from timing import Targets, compared, save

import archimedes_grad as arc

GRADIENT, PRODUCT = 4.0, 2.5

SIZES = {
    "rosenbrock": "10000", "rosenbrock loop": "1000", "exp sin": "10000", "logsumexp": "80000",
    "gmm": "d=10 k=25 n=1000", "gaussian process": "n=300 d=4",
}  # fmt: skip


def _squares(residuals: Any) -> Any:
    return lambda x, scene: np.sum(residuals(x, scene) ** 2)


def _scene() -> tuple[Any, ...]:
    scene, x = random_scene(20, 500, 2_000)
    return x, scene


BUNDLES = [
    Problem(f"bundle adjustment, {form.__name__}", _squares(form), {"2000 observations": _scene}, static=("scene",))
    for form in (mapped, vectorised)
]


def costs(problem: Problem) -> dict[str, float]:
    """Return the median seconds of a call of value, value_and_grad and hvp."""
    size = SIZES.get(problem.name, next(iter(problem.sizes)))
    arguments = problem.sizes[size]()
    rng = np.random.default_rng(1)
    directions = tuple(rng.normal(size=np.shape(arguments[k])) for k in problem.differentiated)
    direction = directions if len(directions) > 1 else directions[0]
    options: dict[str, Any] = {"argnums": problem.argnums, "static_argnames": problem.static}
    value = arc.compile(problem.function, static_argnames=problem.static)
    gradient = arc.value_and_grad(problem.function, **options)
    product = arc.hvp(problem.function, **options)
    return compared({
        "value": lambda: value(*arguments),
        "value_and_grad": lambda: gradient(*arguments),
        "hvp": lambda: product(*arguments, direction),
    }, rounds=5)  # fmt: skip


def main() -> None:
    targets = Targets()
    result = {}
    for problem in [*PROBLEMS.values(), *BUNDLES]:
        if not all(word in problem.name for word in sys.argv[1:]):
            continue
        times = result[problem.name] = costs(problem)
        first = times["value_and_grad"] / times["value"]
        second = times["hvp"] / times["value_and_grad"]
        print(f"{problem.name:32s} {1e6 * times['value']:10.1f} µs {first:8.2f} {second:8.2f}", flush=True)
        targets.check(f"{problem.name}: value_and_grad against the value", first, GRADIENT)
        targets.check(f"{problem.name}: hvp against value_and_grad", second, PRODUCT)
    targets.show()
    if len(sys.argv) == 1:
        save("derivative_costs", {"seconds": result, "targets": targets.rows})


if __name__ == "__main__":
    main()
