"""Random chains of movements, elementwise operations and sums: both engines give the same.

Each array is read again in several ways, in line, shifted, by places and as a part, which decides what the compiler may
compute in one loop. More of them: ``PYTHONPATH=tests python tests/native/test_random_programs.py FIRST LAST``.
"""

import sys

import numpy as np
import pytest
from helpers import needs_compiler

import archimedes_grad as arc

pytestmark = needs_compiler

ROWS, COLUMNS = 12, 9


def program(seed):
    """Return a function of a matrix: a random chain of lines, the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, ROWS, ROWS), rng.integers(0, COLUMNS, COLUMNS)
    mask = rng.random(ROWS) < 0.5
    weights = rng.normal(size=(COLUMNS, COLUMNS)) / COLUMNS
    movements = [
        lambda a: np.roll(a, 1), lambda a: np.roll(a, -2, axis=1), lambda a: np.roll(a, 3, axis=0), lambda a: a[rows],
        lambda a: a[:, columns], lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[rows][:, columns],
        lambda a: np.repeat(a[::2], 2, axis=0), lambda a: a.T.reshape(a.shape), lambda a: np.cumsum(a, axis=0) / ROWS,
        lambda a: np.concatenate([a[4:], a[:4]]), lambda a: a - np.mean(a, axis=1, keepdims=True),
        lambda a: a - np.max(a, axis=0), lambda a: a @ weights, lambda a: np.where(mask[:, None], a, np.sin(a)),
        lambda a: np.tile(a[:, :3], 3), lambda a: np.broadcast_to(a[5], a.shape), lambda a: np.exp(-(a**2)),
    ]  # fmt: skip
    combinations = [np.add, np.subtract, np.multiply, lambda a, b: np.tanh(a + b), np.maximum, np.arctan2]

    def written(a, b):
        result = a * 1.0
        result[1:7] = b[rows[:6]]
        result[:, 2] += b[:, 0]
        return result

    lines = [
        (int(rng.integers(3)), *rng.integers(0, 99, 2), int(rng.integers(len(movements))),
         int(rng.integers(len(movements))), int(rng.integers(len(combinations) + 1)))
        for _ in range(int(rng.integers(2, 9)))
    ]  # fmt: skip

    def function(x):
        arrays = [x, np.sin(x)]
        for kind, first, second, movement, other, combination in lines:
            a, b = arrays[-1 - first % min(3, len(arrays))], arrays[-1 - second % min(3, len(arrays))]
            moved = movements[movement](b)
            moved = movements[other](moved) if kind == 2 else moved
            left = a if kind == 0 else np.cos(a)
            combine = written if combination == len(combinations) else combinations[combination]
            arrays.append(combine(left, moved))
        return np.sum(arrays[-1] * arrays[-2]) + np.sum(arrays[-1][0])

    return function


def differences(seed):
    """Return the largest differences of the engines, of the value and the gradient, as parts of the largest entry."""
    function, x = program(seed), np.random.default_rng(seed).normal(size=(ROWS, COLUMNS))
    apart = []
    for transform in (arc.compile, arc.grad):
        expected, got = (transform(function, engine=engine)(x) for engine in ("vm", "native"))
        apart.append(float(np.max(np.abs(expected - got)) / max(1.0, np.max(np.abs(expected)))))
    return apart


# 104: a sum of a window on a window that is no window.
@pytest.mark.parametrize("seed", [*range(8), 104])
def test_engines_agree(seed, tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIMEDES_GRAD_CACHE", str(tmp_path / "cache"))
    assert max(differences(seed)) < 1e-11


@pytest.mark.parametrize(("size", "steps"), [(4, 5), (12, 2), (20, 10)])
def test_a_value_that_is_read_in_line_and_shifted(size, steps, tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHIMEDES_GRAD_CACHE", str(tmp_path / "cache"))

    def function(x):
        v = np.zeros_like(x)
        for _ in range(steps):
            v = 0.9 * v - 0.01 * (x**3 - x + np.roll(x, 1))
            x = x + v
        return np.sum(x**2)

    x = np.random.default_rng(0).normal(size=size)
    for transform in (arc.compile, arc.grad):
        expected, got = (transform(function, engine=engine)(x) for engine in ("vm", "native"))
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


if __name__ == "__main__":
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        if max(apart := differences(seed)) >= 1e-11:
            print(seed, apart, flush=True)
