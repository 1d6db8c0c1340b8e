"""Blocks of rows: what runs for a block at a time gives what the interpreter gives, whatever the sizes.

The limits that keep small programs from blocks are lowered here, so that small programs have them.
"""

import re
import sys

import numpy as np
import pytest
from helpers import needs_compiler

import archimedes_grad as arc
from archimedes_grad.engines.native import blocking, products, values

pytestmark = [needs_compiler, pytest.mark.usefixtures("own_cache")]

RNG = np.random.default_rng(23)


def lower_limits(patch, numbers=80):
    """Let everything have blocks, of so many numbers."""
    for module, name, limit in (
        (blocking, "_SMALL", 8), (blocking, "_FEWEST_IN_BLOCK", 1), (blocking, "_MOST_IN_BLOCK", numbers),
        (products, "_BLOCKS_FROM", 1), (values, "_LARGE", 16),
    ):  # fmt: skip
        patch.setattr(module, name, limit)


@pytest.fixture
def small_blocks(monkeypatch):
    lower_limits(monkeypatch)


def blocks_of(function, folder, *arguments):
    """Return the heads of the loops over blocks in the C of a gradient."""
    source, _ = arc.grad(function, (0, 1)).codegen(folder / "gradient.c", *arguments)
    return [line.strip() for line in source.read_text().splitlines() if "long first = 0" in line]


def hidden_layer(x, weights):
    return np.sum(np.tanh(x @ weights) ** 2)


def softmax(x, weights):
    scores = x @ weights
    scores = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return np.sum((scores / np.sum(scores, axis=1, keepdims=True)) ** 2 * np.arange(1.0, weights.shape[1] + 1))


def whitened(x, weights):
    """Batches of products, of what is cheap to compute again."""
    centres = np.stack([weights[0], 2.0 * weights[1], weights[0] + weights[1]])
    moved = (x - centres[:, None, :]) @ np.stack([weights, weights.T, 2.0 * weights])
    squares = np.sum(moved**2, axis=2)
    return np.sum(np.log(np.sum(np.exp(-squares / 100.0), axis=0))) + np.max(squares)


def read_elsewhere(x, weights):
    """What a block computes is read after it too, shifted and as a whole."""
    layer = np.sin(x @ weights)
    return np.sum(layer * np.roll(layer, 1, axis=0)) + np.sum(layer @ weights) + np.sum(layer[0])


FUNCTIONS = [hidden_layer, softmax, whitened, read_elsewhere]
ROWS = [1, 2, 7, 8, 9, 16, 17, 40, 101]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_are_the_interpreters(function, rows):
    x, weights = RNG.normal(size=(rows, 6)), RNG.normal(size=(6, 6)) / 3.0
    native = arc.value_and_grad(function, (0, 1), engine="native")
    value, gradients = native(x, weights)
    expected_value, expected = arc.value_and_grad(function, (0, 1), engine="vm")(x, weights)
    assert native.explain(x, weights).engine == "native"
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    for got, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-13 * np.max(np.abs(wanted)))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_there_are_blocks(function, tmp_path):
    x, weights = RNG.normal(size=(101, 6)), RNG.normal(size=(6, 6))
    heads = blocks_of(function, tmp_path, x, weights)
    assert any("first < 101; first += 8" in head or "first += 16" in head for head in heads), heads


def test_small_programs_have_no_blocks(tmp_path):
    assert not blocks_of(softmax, tmp_path, RNG.normal(size=(101, 6)), RNG.normal(size=(6, 6)))


def test_an_array_that_blocks_make_and_read_is_stored_for_one_block(tmp_path):
    def function(x, weights):
        return np.sum(np.tanh(x @ weights))

    x, weights = RNG.normal(size=(100_000, 10)), RNG.normal(size=(10, 10))
    _, header = arc.compile(function).codegen(tmp_path / "value.c", x, weights)
    (work,) = re.findall(r"VALUE_WORK (\d+)", header.read_text())
    assert int(work) < 50_000
    np.testing.assert_allclose(
        arc.compile(function, engine="native")(x, weights), np.sum(np.tanh(x @ weights)), rtol=1e-12
    )


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", [0, 1, 40])
def test_several_outputs(rows):
    def function(x, weights):
        layer = np.sin(x @ weights)
        return layer, np.sum(layer, axis=0), np.sum(layer, axis=1), layer.T @ layer

    x, weights = RNG.normal(size=(rows, 6)), RNG.normal(size=(6, 6))
    outputs = arc.compile(function, engine="native")(x, weights)
    for got, wanted in zip(outputs, function(x, weights), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("small_blocks")
def test_what_is_not_finite_stays_in_its_row():
    x, weights = RNG.normal(size=(40, 6)), RNG.normal(size=(6, 6))
    x[9, 2], x[23, 0], x[39, 5] = np.nan, np.inf, -np.inf

    def function(x, weights):
        layer = np.exp(x @ weights)
        return layer / np.sum(layer, axis=1, keepdims=True), np.max(layer, axis=0)

    (rows, largest), (expected, expected_largest) = (
        arc.compile(function, engine=engine)(x, weights) for engine in ("native", "vm")
    )
    np.testing.assert_allclose(rows, expected, rtol=1e-12)
    np.testing.assert_allclose(largest, expected_largest, rtol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_results_are_the_same_in_every_call():
    x, weights = RNG.normal(size=(101, 6)), RNG.normal(size=(6, 6))
    gradient = arc.grad(whitened, (0, 1), engine="native")
    first = gradient(x, weights)
    for _ in range(5):
        assert all(np.array_equal(a, b) for a, b in zip(gradient(x, weights), first, strict=True))


# --- random programs --------------------------------------------------------------------------------


def program(seed):
    """Return a function of a table and a matrix: random lines that keep the rows apart, mostly."""
    rng = np.random.default_rng(seed)
    batch = int(rng.integers(1, 4))
    lines = [
        lambda a, w: np.tanh(a @ w),
        lambda a, w: a - np.mean(a, axis=-1, keepdims=True),
        lambda a, w: a * np.sum(a, axis=-1, keepdims=True),
        lambda a, w: np.exp(a - np.max(a, axis=-1, keepdims=True)),
        lambda a, w: a[..., ::-1] + w[0],
        lambda a, w: a - np.max(a, axis=-2, keepdims=True),
        lambda a, w: a * np.sum(a, axis=-2, keepdims=True) / a.shape[-2],
        lambda a, w: np.roll(a, 1, axis=-2),
        lambda a, w: a @ (np.swapaxes(a, -1, -2) @ a) / a.shape[-2],
        lambda a, w: np.concatenate([a[..., 2:], a[..., :2]], axis=-1),
        lambda a, w: np.sin(a) @ w.T,
        lambda a, w: a[..., :2] @ w[:2],
        lambda a, w: a - np.sum(a, axis=0) / 9.0,
    ]
    chosen = [(int(rng.integers(len(lines))), int(rng.integers(1, 4))) for _ in range(int(rng.integers(2, 7)))]

    def function(x, weights):
        arrays = [np.stack([x * (k + 1.0) for k in range(batch)])]
        for line, back in chosen:
            made = lines[line](arrays[-1], weights)
            arrays.append(made + np.cos(arrays[-min(back, len(arrays))]))
        return np.sum(arrays[-1] ** 2) + np.sum(arrays[len(arrays) // 2])

    return function


def difference(seed):
    """Return the largest difference of the engines' gradients, as a part of the largest entry."""
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=(int(rng.integers(1, 40)), 5)), rng.normal(size=(5, 5)) / 3.0
    expected, got = (arc.grad(program(seed), (0, 1), engine=engine)(x, weights) for engine in ("vm", "native"))
    pairs = zip(expected, got, strict=True)
    return max(float(np.max(np.abs(a - b)) / max(1.0, np.max(np.abs(a)))) for a, b in pairs)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(12))
def test_random_programs_are_the_interpreters(seed):
    assert difference(seed) < 1e-11


if __name__ == "__main__":
    lower_limits(pytest.MonkeyPatch(), int(sys.argv[3]))
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        if (apart := difference(seed)) >= 1e-11:
            print(seed, apart, flush=True)
