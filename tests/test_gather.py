"""Movement of entries by structure: whatever the indices are, they are followed."""

import casadi as cs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archimedes_grad.nodes import gather

ROWS, COLUMNS = 60, 6
NUMBERS = np.arange(ROWS * COLUMNS)
GRID = NUMBERS.reshape(ROWS, COLUMNS)
CUBE = NUMBERS.reshape(10, 6, 6)


def check_taken(indices):
    root = cs.MX.sym("root", COLUMNS, ROWS)
    node = gather.taken(root, (ROWS, COLUMNS), indices)
    assert node.shape == gather.stored_shape(indices.shape)
    entries = cs.Function("taken", [root], [node])(GRID.T.astype(float))
    np.testing.assert_array_equal(np.array(entries).T.ravel(), indices.ravel())


@pytest.mark.parametrize("indices", [
    NUMBERS[::-1], NUMBERS[350::-7], NUMBERS[3:5], NUMBERS[[3]], np.roll(NUMBERS, 5), np.tile(NUMBERS, 3),
    np.repeat(NUMBERS, 2), np.flip(GRID, 1), np.flip(GRID, 0), *(np.rot90(GRID, k) for k in range(4)),
    np.roll(GRID, 2, 1), np.delete(NUMBERS, [0, 3, 7]), np.pad(NUMBERS, 2, "reflect"), np.pad(NUMBERS, 3, "edge"),
    np.insert(NUMBERS, 5, 0), CUBE.transpose(1, 0, 2), CUBE[::-1, ::-2, ::-1], GRID[::-2, 4:1:-1],
    np.r_[NUMBERS[:100], 5, 5, 5, NUMBERS[200:]], np.r_[5, NUMBERS, 5, 9, NUMBERS[:7]], np.r_[NUMBERS, 4, 9, NUMBERS],
])  # fmt: skip
def test_movements(indices):
    check_taken(indices)


@pytest.mark.parametrize(("indices", "runs"), [
    (np.delete(NUMBERS, [3]), [(0, 3, 1), (4, 356, 1)]), (np.roll(NUMBERS, 5), [(355, 5, 1), (0, 355, 1)]),
    (np.r_[NUMBERS[:300], 5], [(0, 300, 1), (5, 1, 1)]), (np.r_[NUMBERS[::-1], 4, 9], [(359, 360, -1), (4, 2, 5)]),
])  # fmt: skip
def test_a_gap_begins_one_run(indices, runs):
    assert gather._runs(indices) == runs


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 359), st.integers(-4, 4), st.integers(1, 150)), min_size=1, max_size=6))
def test_any_runs(runs):
    pieces = [first + step * np.arange(length) for first, step, length in runs]
    indices = np.concatenate(pieces)
    check_taken(indices[(indices >= 0) & (indices < NUMBERS.size)] if runs else indices)
