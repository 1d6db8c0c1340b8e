"""A row of a table of functions, checked at two inputs through one compiled function."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, check_second_order, copied, numeric_gradient, weighted

import archimedes_grad as arc


def apart(shape: tuple[int, ...], seed: int) -> Any:
    """Return numbers in random order between -2 and 2, apart from each other and from multiples of 1/4."""
    rng = np.random.default_rng([seed, *shape])
    size = int(np.prod(shape))
    entries = (rng.permutation(size) + rng.uniform(0.3, 0.7, size)) / max(size, 1) * 4 - 2
    entries = entries + 0.025 * (np.abs(4 * entries - np.round(4 * entries)) < 0.04)
    return entries.reshape(shape) if shape else np.float64(entries[0])


def row(function: Callable[..., Any], *shapes: tuple[int, ...], positive: bool = False, gradient: bool = True,
        second: bool = False, paths: int = 1, argnums: Sequence[int] | None = None) -> Any:  # fmt: skip
    """Return the parameters of one case: a function of arrays of given shapes.

    ``second`` asks for the second derivative too; ``paths`` is how many paths the two inputs may need.
    """
    options = {"positive": positive, "gradient": gradient, "second": second, "paths": paths, "argnums": argnums}
    return pytest.param(function, shapes, options, id=f"line{function.__code__.co_firstlineno}-{shapes}")


def inputs(shapes: Sequence[tuple[int, ...]], positive: bool, seed: int) -> list[Any]:
    """Return one array for each shape."""
    arrays = [apart(shape, seed + 100 * position) for position, shape in enumerate(shapes)]
    return [np.abs(array) + 0.3 for array in arrays] if positive else arrays


def check_row(function: Callable[..., Any], shapes: Sequence[tuple[int, ...]], options: dict[str, Any]) -> None:
    """Assert that values, gradients and, where asked, second derivatives are right at two inputs."""
    points = [inputs(shapes, options["positive"], seed) for seed in (1, 2)]
    compiled = arc.compile(function)
    for args in points:
        with np.errstate(all="ignore"):
            assert_same(compiled(*args), function(*copied(args)))
    assert f"{options['paths']} path" in str(compiled.explain(*points[0]))
    if not options["gradient"]:
        return
    argnums = options["argnums"] or tuple(range(len(shapes)))
    scalar = weighted(function)
    gradient = arc.grad(scalar, argnums=argnums)
    for args in points:
        for index, got in zip(argnums, gradient(*args), strict=True):
            expected = numeric_gradient(scalar, args, index)
            scale = max(float(np.max(np.abs(expected), initial=0.0)), 1e-2)
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6 * scale, strict=True)
    if options["second"]:
        check_second_order(function, *points[1])


def check_same_error(call: Callable[[Any], Any], x: Any) -> None:
    """Assert that a traced call raises what plain NumPy raises: the same type, the same message."""
    with pytest.raises(Exception) as plain:
        call(x)
    with pytest.raises(type(plain.value)) as traced:
        arc.compile(call)(x)
    assert str(traced.value) == str(plain.value)
