"""Reading entries: every index that NumPy takes gives NumPy's entries, and their gradient goes back to them."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_same, check, check_value, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import advanced_index, any_index, arrays, basic_index, shapes, shapes_with_nothing

import archimedes_grad as arc

CASES: dict[str, tuple[tuple[int, ...], Any]] = {
    "int": ((4,), 2),
    "negative int": ((4,), -1),
    "numpy int": ((4,), np.int64(1)),
    "0-d array": ((4,), np.array(3)),
    "row": ((3, 4), 1),
    "last row": ((3, 4), -1),
    "entry": ((3, 4), (1, -2)),
    "slice": ((6,), np.s_[1:5]),
    "step": ((7,), np.s_[1::2]),
    "negative step": ((7,), np.s_[::-1]),
    "negative step of two": ((7,), np.s_[5:0:-2]),
    "beyond the end": ((4,), np.s_[2:100]),
    "empty slice": ((4,), np.s_[3:1]),
    "column": ((3, 4), np.s_[:, 1]),
    "block": ((4, 5), np.s_[1:3, 2:]),
    "block with steps": ((5, 6), np.s_[::2, 1::3]),
    "flipped block": ((4, 5), np.s_[::-1, ::-2]),
    "middle axis": ((2, 3, 4), np.s_[:, 1]),
    "inner of three": ((2, 3, 4), np.s_[..., 1:3]),
    "of four": ((2, 3, 2, 3), np.s_[1, :, ::-1, 2]),
    "ellipsis": ((2, 3), np.s_[...]),
    "ellipsis in the middle": ((2, 3, 4, 2), np.s_[1, ..., 0]),
    "newaxis": ((3,), np.s_[:, None]),
    "newaxes": ((2, 3), np.s_[None, :, None, ::2]),
    "empty tuple": ((2, 3), ()),
    "list": ((4,), [2, 0, 0]),
    "negative entries": ((4,), np.array([-1, 1])),
    "matrix of indices": ((4,), np.array([[0, 3], [2, 2]])),
    "rows": ((3, 4), np.array([2, 0])),
    "pairs": ((3, 4), (np.array([0, 2]), np.array([1, -1]))),
    "broadcast pairs": ((3, 4), (np.array([[0], [2]]), np.array([1, 3]))),
    "np.ix_": ((3, 4), np.ix_([0, 2], [1, 3])),
    "array and slice": ((3, 4, 2), (np.array([1, 0]), slice(None), np.array([0, 1]))),
    "slice and array": ((3, 4), (slice(0, 2), [3, 1])),
    "int and array": ((2, 3, 4), (1, [0, 2])),
    "array between slices": ((2, 3, 4), np.s_[:, [2, 0], 1:]),
    "no indices": ((4,), np.zeros(0, int)),
    "mask": ((2, 3), np.array([[True, False, True], [False, False, True]])),
    "mask of rows": ((3, 2), np.array([True, False, True])),
    "mask and slice": ((2, 3, 2), (slice(None), np.array([True, False, True]))),
    "mask of nothing": ((3,), np.zeros(3, bool)),
    "list mask": ((3,), [True, False, True]),
    "True": ((2,), True),
    "False": ((2,), False),
    "of a scalar": ((), ()),
    "newaxis of a scalar": ((), None),
    "ellipsis of a scalar": ((), ...),
}


@pytest.mark.parametrize("case", CASES)
def test_index(case):
    shape, index = CASES[case]
    check(lambda x: x[index], sample(shape))


@pytest.mark.parametrize("case", CASES)
def test_index_of_an_intermediate_array(case):
    shape, index = CASES[case]
    check(lambda x: np.sin((x * x)[index]), sample(shape))


@given(st.data())
def test_any_index_of_any_shape(data):
    shape = data.draw(st.one_of(shapes, shapes_with_nothing))
    index = data.draw(any_index(shape))
    check_value(lambda x: x[index] * 2, data.draw(arrays(shape)))


@settings(max_examples=60)
@given(st.data())
def test_gradient_of_any_index_counts_how_often_an_entry_is_taken(data):
    shape = data.draw(shapes)
    index = data.draw(any_index(shape))
    x = data.draw(arrays(shape))
    counts = np.bincount(np.ravel(np.arange(x.size).reshape(shape)[index]), minlength=x.size).reshape(shape)
    gradient = arc.grad(lambda x: np.sum(x[index]))(x)
    assert_same(gradient, counts.astype(float))


@settings(max_examples=60)
@given(st.data())
def test_indexing_twice(data):
    """An index of an index: a view of a view, a copy of a view, a view of a copy."""
    shape = data.draw(shapes)
    x = data.draw(arrays(shape))
    first = data.draw(any_index(shape))
    second = data.draw(any_index(np.shape(x[first])))
    check_value(lambda x: x[first][second] + 1, x)


@settings(max_examples=40)
@given(st.data())
def test_indexing_after_transposing(data):
    shape = data.draw(shapes)
    x = data.draw(arrays(shape))
    index = data.draw(st.one_of(basic_index(shape[::-1]), advanced_index(shape[::-1])))
    check_value(lambda x: x.T[index], x)


def test_static_index_from_comparison_of_plain_arrays():
    table = np.array([3.0, -1.0, 2.0])
    check(lambda x: x[table > 0] * table[table > 0], sample((3,)))


def test_static_argument_as_index():
    pick = arc.grad(lambda x, i: x[i] ** 2, static_argnums=1)
    np.testing.assert_array_equal(pick(np.array([1.0, 2.0]), 1), [0.0, 4.0])
    np.testing.assert_array_equal(pick(np.array([1.0, 2.0]), 0), [2.0, 0.0])


@pytest.mark.parametrize(
    ("shape", "index"),
    [((3,), 3), ((3,), -4), ((2, 3), (0, 3)), ((3,), [0, 5]), ((3,), (0, 0)), ((3,), 1.0), ((3,), np.ones(2, bool)),
     ((), 0)],
    ids=str,
)  # fmt: skip
def test_a_wrong_index_is_numpys_own_error(shape, index):
    x = np.ones(shape)[()]
    with pytest.raises((IndexError, TypeError)) as expected:
        x[index]
    with pytest.raises(IndexError if expected.type is IndexError else TypeError) as got:
        arc.compile(lambda x: x[index])(x)
    assert str(got.value) == str(expected.value)


def test_scatter_gradient_of_many_scalar_reads():
    """A loop over x[i], as users write it."""

    def rosenbrock(x):
        return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))

    x = sample((30,))
    expected = np.zeros(30)
    expected[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    expected[1:] += 200 * (x[1:] - x[:-1] ** 2)
    np.testing.assert_allclose(arc.grad(rosenbrock)(x), expected, rtol=1e-12)
