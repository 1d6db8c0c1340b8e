"""Rows ``x[k]`` by an index that is known only when a body runs: views, as NumPy's are, read and written through."""

import numpy as np
import pytest
from helpers import assert_same, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import any_index, arrays, shapes

import archimedes_grad as arc

pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")


def write_an_entry(x, k):
    row = x[k]
    row[0] = 0.0
    return x


def write_a_window(x, k):
    row = x[k]
    row[1:] *= x[0, :2]
    return x, row


def write_all_of_it(x, k):
    x[k][...] = x[0] * 2
    return x


def read_after_a_write_to_the_whole(x, k):
    row = x[k]
    end = row[::-1]
    x[1] = 7.0
    x *= 2
    return row, end


def write_to_a_view_of_it(x, k):
    reversed_row = x[k][::-1]
    reversed_row[0] = x[0, 0] * 5
    return x, reversed_row


def window_by_a_tuple(x, k):
    window = x[k, 1:]
    window += 1
    return x


def swap_without_copies(x, k):
    x[k], x[0] = x[0], x[k]
    return x


def swap_with_copies(x, k):
    x[k], x[0] = x[0].copy(), x[k].copy()
    return x


def assign_a_row(x, k):
    x[k] = x[1] ** 2
    return np.sin(x)


def assign_an_entry(x, k):
    x[k, 2] = x[0, 0] * x[1, 1]
    return x


def assign_by_two_indices(x, k):
    x[k, k - 1] = 4.0
    return x


def in_place(x, k):
    x[k] += x[k - 1]
    x[k, 0] *= 3.0
    return x


def entry_of_a_column(x, k):
    column = x[:, 1]
    column[k] = 2 * column[0]
    column[k] -= 1
    return x


def of_a_view(x, k):
    row = x.T[k]
    row[0] = 9.0
    return x


def of_a_row(x, k):
    x[None][0][k][k] = 1.5
    return x


def of_whole_numbers(x, k):
    counts = arc.array(np.arange(6).reshape(3, 2))
    row = counts[k]
    row[0] += 10
    return counts, x


def by_functions(x, k):
    np.multiply(x[k], 2.0, out=x[k])
    np.copyto(x[k, :1], 5.0)
    x[k, 1:].sort()
    return x


def copies_are_copies(x, k):
    copies = x[k].copy(), np.take(x, k, 0), x[k] * 1, x[[k]][0]
    for copy in copies:
        copy[0] = 0.0
    return x, *copies


def by_an_array_without_axes(x, k):
    number = np.array(k)
    row, column = x[number], x[..., number]
    row[0], column[0] = 5.0, 6.0
    x[number, 1] = 7.0
    number += 0 * number
    return x, row, column


def negative(x, k):
    x[k - 3, 0] = 8.0
    x[-1 - k] *= 2
    return x


def complex_rows(x, k):
    z = x + 1j * x.T
    row = z[k]
    row[0] = 1j * x[0, 1]
    z[k, 1] *= 2
    return np.real(z), np.imag(z)


def within_a_body(x, k):
    row = x[k]
    row[0] = 3.0
    sums = arc.vmap(lambda j: np.sum(row) * j)(np.arange(3.0))
    row[1] = 4.0
    return sums, row, x


def many_axes(x, k):
    y = np.stack([x, 2 * x, 3 * x])
    y[k, :, k] = x[k]
    y[k][1:, :2] += 1
    return y


def of_another_shape_in_place(x, k):
    row = x[k]
    x.shape = (9,)
    x[3] = 7.0
    return row, x


PROGRAMS = [
    write_an_entry, write_a_window, write_all_of_it, read_after_a_write_to_the_whole, write_to_a_view_of_it,
    window_by_a_tuple, swap_without_copies, swap_with_copies, assign_a_row, assign_an_entry, assign_by_two_indices,
    in_place, entry_of_a_column, of_a_view, of_a_row, of_whole_numbers, by_functions, copies_are_copies,
    by_an_array_without_axes, negative,
    complex_rows, within_a_body, many_axes, of_another_shape_in_place,
]  # fmt: skip


def over_vmap(program, x, k):
    return arc.vmap(lambda i: program(arc.array(x), i))(arc.array(np.array([k, k])))


def over_scan(program, x, k):
    return arc.scan(lambda carried, i: (carried, program(carried.copy(), i)), x, arc.array(np.array([k, k])))[1]


def in_a_branch(program, x, k):
    return arc.cond(k > -9, lambda x, k: _twice(program(x.copy(), k)), lambda x, k: _twice(program(x * 2, k)), x, k)


def _twice(results):
    return tuple(np.stack([result, result]) for result in _several(results))


def _several(results):
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("body", [over_vmap, over_scan, in_a_branch])
@pytest.mark.parametrize("program", PROGRAMS)
def test_values_are_numpys(program, body, k):
    x = sample((3, 3), "positive")
    expected = _several(program(x.copy(), k))
    results = _several(arc.compile(lambda x, k: body(program, x, k))(x, k))
    for result, wanted in zip(results, expected, strict=True):
        assert_same(result[0], wanted)
        assert_same(result[1], wanted)


def _first(results):
    return tuple(result[0] for result in _several(results))


@pytest.mark.parametrize("program", PROGRAMS)
def test_gradients_are_those_of_the_program_with_a_static_index(program):
    x = sample((3, 3), "positive")

    def loss(results):
        return sum(np.sum(np.sin(result) * np.arange(1.0, result.size + 1).reshape(result.shape))
                   for result in _several(results))  # fmt: skip

    for k in (0, 2):
        expected = arc.grad(lambda x, k=k: loss(program(x.copy(), k)))(x)
        for body in (over_vmap, over_scan):
            in_body = arc.grad(lambda x, k=k, body=body: loss(_first(body(program, x, k))))(x)
            assert_same(in_body, expected, rtol=1e-10, atol=1e-12)


def test_a_loop_that_writes_entries():
    def cumulated(x):
        def step(i, y):
            y[i + 1] = y[i] * x[i]
            return y

        return arc.fori_loop(0, 4, step, np.ones(5, like=x))

    x = sample((4,))
    assert_same(arc.compile(cumulated)(x), np.cumprod(np.r_[1.0, x]))
    expected = arc.jac(lambda x: np.cumprod(np.append(1.0, x)))(x)
    assert_same(arc.jac(cumulated)(x), expected)


INDICES = {
    "numbers beside a list": lambda x, i: x[i, [0, 1, 2]],
    "apart from a list": lambda x, i: x[i[0], :, [0, 1]],
    "number and list": lambda x, i: x[i[0], [0, 1]],
    "number, list and slice": lambda x, i: x[i[0], [[0, 1]], 1:],
    "twice": lambda x, i: x[i, i],
    "numbers broadcast": lambda x, i: x[i[:2, None], i],
    "number and numbers": lambda x, i: x[i[0], i],
    "number apart from numbers": lambda x, i: x[i[0], :, i],
    "plain number apart": lambda x, i: x[0, :, i],
    "plain number beside": lambda x, i: x[0, i],
    "numbers then plain number": lambda x, i: x[i, 0],
    "new axis": lambda x, i: x[i, None],
    "new axis between": lambda x, i: x[i, None, [0, 2, 1]],
    "new axis first": lambda x, i: x[None, i],
    "number under new axes": lambda x, i: x[None, i[0], None, ..., 1],
    "dots": lambda x, i: x[..., i],
    "number behind dots": lambda x, i: x[..., i[1]],
    "between dots": lambda x, i: x[i, ..., 0],
    "second axis": lambda x, i: x[:, i],
    "second axis of a window": lambda x, i: x[1:, i, ::-1],
    "number on the second axis": lambda x, i: x[::2, i[0], 1],
    "two axes of numbers": lambda x, i: x[:, i.reshape(3, 1), 2],
    "mask": lambda x, i: x[i, np.array([True, True, True])],
    "mask of two axes": lambda x, i: x[i[0], np.eye(3) > 0],
    "list of traced numbers": lambda x, i: x[[i[0], 0], 1],
    "everything": lambda x, i: x[i, i, i],
    "negative": lambda x, i: x[i - 3, i - 2, -1],
    "take": lambda x, i: np.take(x, i, axis=1),
    "take a row": lambda x, i: np.take(x, i[0], axis=2),
    "take along an axis": lambda x, i: np.take_along_axis(x, np.reshape(i, (3, 1, 1)), axis=1),
    "take along the last axis": lambda x, i: np.take_along_axis(x, np.reshape(i, (1, 1, 3)) - 1, axis=-1),
}  # fmt: skip


@pytest.mark.parametrize("indexed", INDICES.values(), ids=INDICES)
def test_indices_of_many_parts(indexed):
    x, numbers = sample((3, 3, 3)), np.array([[0, 2, 1], [1, 1, 0]])
    expected = np.stack([indexed(x, i) for i in numbers])
    assert_same(arc.vmap(lambda i: indexed(arc.array(x), i))(numbers), expected)
    gradient = arc.grad(lambda x: np.sum(arc.vmap(lambda i: indexed(x, i) ** 2)(arc.array(numbers))))(x)
    assert_same(gradient, arc.grad(lambda x: sum(np.sum(indexed(x, i) ** 2) for i in numbers))(x))


@given(st.data())
@settings(max_examples=100)
def test_any_index_is_numpys_whichever_of_its_numbers_are_traced(data):
    shape = data.draw(shapes.filter(bool))
    key = data.draw(any_index(shape))
    parts = list(key) if isinstance(key, tuple) else [key]
    whole = [place for place, part in enumerate(parts) if np.asarray(part).dtype.kind in "iu" and np.size(part)]
    traced = data.draw(st.sets(st.sampled_from(whole), min_size=1)) if whole else set()
    is_write = data.draw(st.booleans()) and all(np.ndim(parts[place]) == 0 for place in traced)

    def program(x, *numbers):
        given = iter(numbers)
        index = tuple(next(given) if place in traced else part for place, part in enumerate(parts))
        taken = x[index]
        if is_write:
            x[index] = taken * 3.0 + 1.0
        return x, taken

    x = data.draw(arrays(shape))
    numbers = [np.asarray(parts[place])[()] for place in sorted(traced)]
    if not numbers:
        return
    results = arc.vmap(lambda *numbers: program(arc.array(x), *numbers))(*(np.stack([n, n]) for n in numbers))
    for result, expected in zip(results, program(x.copy(), *numbers), strict=True):
        assert_same(result[1], np.asarray(expected))


OUT_OF_RANGE = {
    "row": lambda x, k: x[k],
    "entry": lambda x, k: x[k, 1],
    "column": lambda x, k: x[:, k],
    "two": lambda x, k: x[0, [k, k]],
    "first of two": lambda x, k: x[[k, k], [0, 1]],
    "take_along_axis": lambda x, k: np.take_along_axis(x, np.reshape(k, (1, 1)), 1),
}


@pytest.mark.parametrize("k", [3, -4, 40])
@pytest.mark.parametrize("indexed", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_what_is_out_of_range_reads_nan(indexed, k):
    assert np.all(np.isnan(arc.vmap(lambda k: indexed(arc.array(sample((3, 3))), k))(np.array([k, k]))))


@pytest.mark.parametrize("k", [3, -4])
def test_a_write_out_of_range_leaves_nan_wherever_it_might_have_been(k):
    def program(x, k):
        y = x.copy()
        x[k, 0] = 1.0
        y[k] = 1.0
        return x[:, 0], x[:, 1:], y

    column, others, whole = over_vmap(program, sample((3, 3)), k)
    assert np.all(np.isnan(column))
    assert np.all(np.isnan(whole))
    assert_same(others[0], sample((3, 3))[:, 1:])


@pytest.mark.parametrize(
    "key", [lambda i: i, lambda i: (i, 0), lambda i: (i[0], slice(None), [0, 1])], ids=["numbers", "beside", "apart"]
)
def test_writes_by_several_traced_numbers_are_refused(key):
    def program(i):
        x = arc.zeros((3, 3, 3))
        x[key(i)] = 1.0
        return x

    with pytest.raises(arc.TraceError, match=r"test_rows_in_bodies.py"):
        arc.vmap(program)(np.array([[0, 1], [1, 2]]))


@pytest.mark.parametrize("key", [(0, 0, 0), (slice(None), 5), (0, [0, 1], [0, 1, 2])])
def test_wrong_indices_are_numpys_errors(key):
    x = sample((3, 3))
    with pytest.raises(IndexError) as error:
        x[key]
    with pytest.raises(IndexError, match=str(error.value)[:40]):
        arc.vmap(lambda k: arc.array(x)[(k, *key[1:])])(np.array([0, 1]))


def test_a_row_of_what_cannot_be_written_to():
    def program(k):
        row = np.broadcast_to(arc.array(sample((3,))), (3, 3))[k]
        row[0] = 1.0
        return row

    with pytest.raises(ValueError, match="read-only"):
        arc.vmap(program)(np.array([0, 1]))


def test_a_row_of_the_function_around_is_not_written_to_in_a_body():
    def outer(x):
        def inner(k):
            row = x[k]
            row[0] = 0.0
            return row

        return arc.vmap(inner)(np.array([0, 1]))

    with pytest.raises(arc.TraceError, match="writes to an array of the function around it"):
        arc.compile(outer)(sample((3, 3)))


def test_what_a_row_is_a_view_of():
    def program(k):
        x = arc.array(sample((3, 3)))
        assert x[k].base is x
        assert x[k][1:].base is x
        return np.shares_memory(x[k], x)

    with pytest.raises(arc.TraceError, match="known at run time only"):
        arc.vmap(program)(np.array([0, 1]))
