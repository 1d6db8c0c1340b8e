"""The one checker: values against plain NumPy, gradients against central differences; and what several modules need."""

import contextlib
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.derivatives import representation as representations
from archimedes_grad.engines.selection import default_engine

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine"
)


@contextlib.contextmanager
def forced(name: str) -> Iterator[None]:
    """Within it, graphs are of scalars or of arrays, as the name says; those that hold calls are of arrays."""
    before = representations._choice
    representations._choice = lambda graph, primal: ("array" if graph.opaque else name, "the test asks for it")
    try:
        yield
    finally:
        representations._choice = before


def in_threads(work: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    """Return what a function gives for each argument, each in a thread; raise what one of them raises."""
    arguments = list(arguments)
    start = threading.Barrier(len(arguments))

    def started(argument: Any) -> Any:
        start.wait()
        return work(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(started, arguments))


# --- arguments ------------------------------------------------------------------------------------

#: Domain name -> the interval that entries are drawn from. All stay away from zero, where many operations
#: have a kink or a pole.
DOMAINS = {
    "real": (-2.0, 2.0),
    "positive": (0.3, 2.5),
    "unit": (-0.9, 0.9),
    "above one": (1.1, 3.0),
    "whole": (-5, 6),
}


def sample(shape: tuple[int, ...], domain: str = "real", seed: Any = 0) -> Any:
    """Return entries of a domain, the same for the same arguments: distinct, and at least 1e-3 from whole numbers."""
    rng = np.random.default_rng(zlib.crc32(repr((shape, domain, seed)).encode()))
    low, high = DOMAINS[domain]
    if domain == "whole":
        return rng.integers(low, high, shape)[()]
    entries = rng.uniform(low, high, shape)
    entries = entries + 2e-3 * (np.abs(entries - np.round(entries)) < 1e-3)
    return np.float64(entries) if shape == () else entries


# --- engines --------------------------------------------------------------------------------------


@contextlib.contextmanager
def by_the_interpreter() -> Iterator[None]:
    """Within it, nothing is compiled that names no engine: for references that are long unrolled graphs."""
    before = default_engine()
    arc.set_engine("vm")
    try:
        yield
    finally:
        arc.set_engine(before)


# --- values ---------------------------------------------------------------------------------------


def assert_same(got: Any, expected: Any, rtol: float = 1e-12, atol: float = 1e-14) -> None:
    """Assert that two results are alike in structure, type, shape, dtype and (bit-near) values."""
    if isinstance(expected, dict):
        assert type(got) is type(expected)
        assert list(got) == list(expected)
        for key in expected:
            assert_same(got[key], expected[key], rtol, atol)
    elif isinstance(expected, list | tuple):
        assert type(got) is type(expected)
        assert len(got) == len(expected)
        for got_item, expected_item in zip(got, expected, strict=True):
            assert_same(got_item, expected_item, rtol, atol)
    elif isinstance(expected, np.ndarray | np.generic):
        if expected.shape == ():
            got, expected = got[()], expected[()]  # a traced function need not tell a 0-d array from a scalar
        assert type(got) is type(expected), f"{type(got)} is not {type(expected)}"
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        # float32 results are computed in double precision, so they are only as near as float32 is.
        near = 4 * float(np.finfo(np.float32).eps) if expected.dtype == np.float32 else rtol
        np.testing.assert_allclose(got, expected, rtol=near, atol=atol, strict=True)
    else:
        assert type(got) is type(expected)
        assert got == expected


def copied(args: Sequence[Any]) -> list[Any]:
    """Return arguments that a function may write to."""
    return [np.array(a) if isinstance(a, np.ndarray) else a for a in args]


def check_value(function: Callable[..., Any], *args: Any, rtol: float = 1e-12, atol: float = 1e-14) -> None:
    """Assert that the compiled function gives what plain NumPy gives, and leaves its arguments alone."""
    with np.errstate(all="ignore"):
        expected = function(*copied(args))
    given = copied(args)
    assert_same(arc.compile(function)(*given), expected, rtol, atol)
    for before, after in zip(args, given, strict=True):
        np.testing.assert_array_equal(after, before)


# --- gradients ------------------------------------------------------------------------------------


def numeric_gradient(scalar: Callable[..., Any], args: Sequence[Any], index: int, step: float = 2e-3) -> Any:
    """Return a gradient by central differences, extrapolated twice to an error of order step**6."""
    x = np.array(args[index], dtype=float)
    gradient = np.zeros(x.shape)

    def at(position: tuple[int, ...], shift: float) -> float:
        moved = x.copy()
        moved[position] += shift
        shifted = copied(args)
        shifted[index] = moved if x.shape else np.float64(moved)
        return float(scalar(*shifted))

    for position in np.ndindex(x.shape):
        slopes = [(at(position, h) - at(position, -h)) / (2 * h) for h in (step, step / 2, step / 4)]
        finer = [(4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3]
        gradient[position] = (16 * finer[1] - finer[0]) / 15
    return gradient if x.shape else np.float64(gradient)


def weighted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the sum of all numbers that a function gives, each with a weight of its own: one scalar."""

    def scalar(*args: Any) -> Any:
        return _weighted_sum(function(*args), [1])

    return scalar


def _weighted_sum(result: Any, seed: list[int]) -> Any:
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        return sum((_weighted_sum(item, seed) for item in result), start=0.0)
    seed[0] += 1
    weights = np.random.default_rng(seed[0]).uniform(0.5, 1.5, np.shape(result))
    return np.sum(result * weights)


def check_gradient(
    function: Callable[..., Any], *args: Any, argnums: Sequence[int] | None = None, rtol: float = 1e-6
) -> None:
    """Assert that the gradients by all float arguments (or some) agree with central differences."""
    if argnums is None:
        argnums = [i for i, a in enumerate(args) if np.asarray(a).dtype.kind == "f"]
    scalar = weighted(function)
    gradients = arc.grad(scalar, argnums=argnums)(*copied(args))
    for index, got in zip(argnums, gradients, strict=True):
        expected = numeric_gradient(scalar, args, index)
        assert type(got) is (np.ndarray if np.shape(args[index]) else np.float64)
        assert got.dtype == np.float64
        assert got.shape == np.shape(args[index])
        scale = float(np.max(np.abs(expected), initial=0.0))
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * max(scale, 1e-2), strict=True)


def check_second_order(function: Callable[..., Any], *args: Any) -> None:
    """Assert that the gradient of a weighted sum of the gradient agrees with central differences of the gradient."""
    slope = arc.grad(weighted(function))

    def projected(*inner: Any) -> Any:
        return weighted(slope)(*inner)

    check_gradient(projected, *args, argnums=(0,))


def check(function: Callable[..., Any], *args: Any, gradient: bool = True, rtol: float = 1e-12) -> None:
    """Assert value and, where there is one, gradient."""
    check_value(function, *args, rtol=rtol)
    if gradient:
        check_gradient(function, *args)
