"""Views and in-place writes: whatever aliases in NumPy aliases in a traced function."""

import operator
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, check, check_gradient, check_value, numeric_gradient, sample, weighted
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from strategies import advanced_index, any_index, arrays, basic_index, shapes

import archimedes_grad as arc

# --- programs as users write them -------------------------------------------------------------------


def write_through_a_view(x):
    y = x[:2]
    y[0] = 100.0
    return x


def write_to_the_root_after_the_view(x):
    y = x[1:]
    x[2] = x[0] * 7
    return y * 2


def alias_in_place(x):
    y = x
    y += 1
    return x * y


def view_of_a_view(x):
    y = x[1:]
    z = y[1:]
    z[0] *= x[0]
    return [x, y, z]


def write_through_reversed(x):
    x[::-1][0] = x[0] ** 2
    return x


def overlapping_forwards(x):
    x[1:] = x[:-1]
    return x


def overlapping_backwards(x):
    x[:-1] = x[1:]
    return x


def overlapping_reversed(x):
    x[:] = x[::-1]
    return x


def overlapping_in_place(x):
    x[1:] += x[:-1]
    return x


def overlapping_out(x):
    np.multiply(x[:-1], x[1:], out=x[1:])
    return x


def swap(x):
    x[0], x[1] = x[1], x[0]
    return x


def swap_by_list(x):
    x[[0, 1]] = x[[1, 0]]
    return x


def copy_does_not_alias(x):
    y = x.copy()
    y[0] = 5.0
    return x * y


def advanced_indexing_copies(x):
    y = x[[0, 1]]
    y[0] = 5.0
    return x


def write_by_list(x):
    x[[2, 0]] = [x[1], 3.0]
    return x


def write_repeated_entry(x):
    x[[1, 1, 1]] = np.array([x[0], 2.0, x[2] * 3])
    return x


def add_at(x):
    np.add.at(x, [0, 0, 2], x[1])
    return x


def add_at_with_values(x):
    np.add.at(x, [0, 2, 0, 0], np.stack([x[1], x[2], x[1] * 2, x[0]]))
    return x


def multiply_at(x):
    np.multiply.at(x, np.array([1, 1, 2]), np.array([2.0, 3.0, 4.0]))
    return x


def add_at_through_a_view(x):
    np.add.at(x[::-1], [0, 0], x[0])
    return x


def negative_at(x):
    np.negative.at(x, [0, 1, 1])
    return x


def write_by_mask(x):
    x[np.array([True, False, True])] = x[1] * 2
    return x


def write_several_by_mask(x):
    x[np.array([True, False, True])] = x[1:] * 2
    return x


def accumulate_in_a_loop(x):
    total = arc.zeros(3)
    for i in range(3):
        total[i:] += x[i] * np.arange(1.0, 4.0 - i)
    return total


def written_twice(x):
    y = np.zeros_like(x)
    y[0] = x[0]
    y[0] = y[0] * x[1]
    y[1:] = y[0] + x[:2]
    return y


def ravel_is_a_view(x):
    np.ravel(x)[1] = 9.0
    x.flat[2] = x[0] * 2
    return x


def flatten_is_a_copy(x):
    x.flatten()[1] = 9.0
    return x


def reshape_is_a_view(x):
    x.reshape(3, 1)[1, 0] = x[0] * 3
    return x


def ufunc_out(x):
    y = arc.zeros(3)
    np.exp(x, out=y)
    np.add(y, x, y)
    return y


def rebinding_scalars_does_not_alias(x):
    a = b = x[0]
    b += 1
    return a * b


def views_of_two_names(x):
    y = x[:2]
    z = x[1:]
    y += z
    z *= y
    return [x, y, z]


def flat_is_assigned(x):
    x.flat = x[:2] * 3
    return x


def fill(x):
    x[1:].fill(x[0])
    return x


def ellipsis_write(x):
    x[...] = x[0]
    return x


def list_is_written(x):
    x[:2] = [x[1], 4.0]
    return x


def leading_axes_are_dropped(x):
    x[:] = np.reshape(x * 2, (1, 1, 3))
    return x


def empty_write(x):
    x[3:] = 5.0
    x[np.zeros(3, bool)] = 2.0
    x[[]] = 1.0
    return x


def newaxis_write(x):
    x[:, None][1] = x[0] * 5
    return x


PROGRAMS = [value for value in list(globals().values()) if getattr(value, "__module__", "") == __name__]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(program):
    check(program, sample((3,)))
    check_gradient(lambda x: program(np.sin(x)), sample((3,)))


def transposed(x):
    x.T[0, 1] = x[0, 0] * 2
    return x


def transposed_row(x):
    x.T[1] *= 3.0
    return x


def block(x):
    x[:2, 1:] = x[1:, :2] * 2
    return x


def strided_block(x):
    x[::2, ::-2] = x[0, 1:]
    return x


def column_from_row(x):
    x[:, 0] = x[1]
    return x


def overlapping_rows(x):
    x[1:] += x[:-1].copy() * x[1:]
    x[:-1] = x[1:]
    return x


def symmetric(x):
    x += x.T
    return x


def diagonal_by_list(x):
    x[[0, 1, 2], [0, 1, 2]] = 0.0
    x[range(3), [2, 1, 0]] += x[0]
    return x


def reshaped_view(x):
    x.reshape(-1)[::4] += 1.0
    return x


def reshaped_copy(x):
    x.T.reshape(-1)[0] = 50.0
    return x


def moved_axes(x):
    np.moveaxis(x[None], 0, -1)[1, 2] = x[0, 0]
    np.swapaxes(x, 0, 1)[2, 0] *= 2.0
    return x


def split_parts_are_views(x):
    top, bottom = np.split(x, [1])
    top += 1.0
    bottom[:, :1] *= top[:, :1]
    return x


def rows_are_views(x):
    for i, row in enumerate(x):
        row += i
        row[0] *= 2.0
    return x


def flips_are_views(x):
    np.flip(x)[0, 0] = 4.0
    np.fliplr(x)[1] = x[2]
    np.rot90(x)[0, 0] *= 5.0
    return x


def atleast_views(x):
    np.atleast_3d(x)[0, 0, 0] = x[1, 1]
    np.squeeze(x[None])[2, 2] = 8.0
    np.expand_dims(x, 0)[0, 1] *= 2.0
    return x


def rolled_is_a_copy(x):
    np.roll(x, 1)[0, 0] = 50.0
    np.repeat(x, 1)[0] = 50.0
    np.tile(x, 1)[0, 0] = 50.0
    return x


def advanced_write(x):
    x[[0, 2], 1:] = x[1, :2]
    x[:, [2, 0]] *= 2.0
    return x


def rows_by_mask(x):
    x[np.array([True, False, True])] += x[1]
    return x


def add_at_pairs(x):
    np.add.at(x, ([0, 0, 1], [1, 1, 2]), x[2])
    return x


def add_at_rows(x):
    np.add.at(x, [1, 1], x[0])
    return x


def subtract_at_slice(x):
    np.subtract.at(x, (slice(None), 1), x[:, 0])
    return x


def asarray_is_the_same(x):
    np.asarray(x)[0] = 1.0
    np.array(x)[1] = 1.0
    np.array(x, copy=False)[2, 2] = 6.0
    return x


def eliminate(x):
    """Gaussian elimination, as in textbooks."""
    for i in range(2):
        for k in range(i + 1, 3):
            x[k, i:] -= x[i, i:] * (x[k, i] / (4 + x[i, i] ** 2))
    return x


ON_MATRICES = [
    transposed, transposed_row, block, strided_block, column_from_row, overlapping_rows, symmetric, diagonal_by_list,
    reshaped_view, reshaped_copy, moved_axes, split_parts_are_views, rows_are_views, flips_are_views, atleast_views,
    rolled_is_a_copy, advanced_write, rows_by_mask, add_at_pairs, add_at_rows, subtract_at_slice, asarray_is_the_same,
    eliminate,
]  # fmt: skip


@pytest.mark.parametrize("program", ON_MATRICES, ids=lambda program: program.__name__)
def test_program_on_a_matrix(program):
    check(program, sample((3, 3)))
    check_gradient(lambda x: program(np.sin(x)), sample((3, 3)))


# --- what NumPy refuses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        lambda x: np.broadcast_to(x, (2, 3)).__setitem__(0, 1.0),
        lambda x: np.diagonal(np.reshape(x, (1, 3))).__setitem__(0, 1.0),
        lambda x: np.broadcast_to(x, (2, 3)).__iadd__(1.0),
        lambda x: np.add(x, 1.0, out=np.broadcast_to(x[0], (3,))),
        lambda x: np.add.at(np.broadcast_to(x, (2, 3)), 0, 1.0),
        lambda x: x.__setitem__(slice(None), np.ones(2)),
        lambda x: x.__setitem__(slice(None), np.concatenate([x, x])),
        lambda x: x.__setitem__(3, 1.0),
        lambda x: x.__setitem__([0, 7], 1.0),
        lambda x: x.__setitem__(np.ones(4, bool), 1.0),
        lambda x: x.__setitem__([0, 1], np.ones(3)),
        lambda x: np.add(x, 1.0, out=np.zeros(2, like=x)),
        lambda x: x.__iadd__(np.ones((2, 3))),
        lambda x: operator.setitem(x[0], 0, 1.0),
        lambda x: operator.setitem(np.diag(np.reshape(x[:1], (1, 1))), 0, 1.0),
    ],
    ids=range(15),
)
def test_a_write_that_numpy_refuses(program):
    x = np.array([1.0, 2.0, 3.0])
    with pytest.raises((ValueError, IndexError, TypeError)) as expected:
        program(x.copy())
    with pytest.raises(expected.type) as got:
        arc.compile(lambda x: [program(x), x][1])(x)
    assert not isinstance(got.value, arc.TraceError)


def written_through_flat(x):
    entries = x.T.flat
    entries[1] = 3 * x[0, 0]
    entries[2:5] = [x[0, 1], 2.0]
    part = entries[:2]
    part[0] = 99.0
    return [x, part, entries[0], len(entries), np.sum(entries), *(2 * entry for entry in entries)]


def test_a_write_through_flat_is_not_lost_and_what_is_read_is_a_copy():
    """In whatever order the entries lie; values that are too few are taken again."""
    check(written_through_flat, sample((2, 3)))
    check(written_through_flat, np.asfortranarray(sample((2, 3))))


def test_a_refused_write_leaves_the_array_as_it_was():
    def program(x):
        y = x * 1
        try:
            y[5] = 100.0
        except IndexError:
            y[0] = x[1]
        return y

    check(program, sample((3,)))


def test_arguments_are_not_written_to():
    x = np.array([1.0, 2.0])
    arc.grad(lambda x: np.sum(overlapping_forwards(x) ** 2))(x)
    np.testing.assert_array_equal(x, [1.0, 2.0])


# --- programs that hypothesis writes --------------------------------------------------------------------

VIEWS = {
    "transpose": lambda a, _: a.T,
    "flip": lambda a, _: np.flip(a),
    "ravel": lambda a, _: np.ravel(a),
    "newaxis": lambda a, _: a[..., None],
    "reshape": lambda a, _: np.reshape(a, (-1, *a.shape[:1]) if a.shape else (1,)) if a.size else a[...],
    "swapaxes": lambda a, _: np.swapaxes(a, 0, -1) if a.ndim else a,
    "broadcast": lambda a, _: np.broadcast_to(a, (2, *a.shape)),
    "squeeze": lambda a, _: np.squeeze(a),
    "copy": lambda a, _: a.copy() if a.ndim else a * 1,
    "double": lambda a, _: a * 2,
    "index": lambda a, index: a[index],
}


def apply(statement: tuple[Any, ...], names: list[Any]) -> None:
    """Execute one statement of a program on its variables."""
    kind, target, argument, source = statement
    if kind in VIEWS:
        names.append(VIEWS[kind](names[target], argument))
        return
    array = names[target]
    value = 2.5 if source is None else np.sum(names[source]) * 0.125
    if kind == "set":
        array[argument] = value
    elif kind == "set all":
        piece = np.ravel(names[source or 0])[: array.size]
        array[...] = np.reshape(piece, array.shape) if piece.size == array.size else value
    elif kind == "in place":
        array += value
        names[target] = array
    elif kind == "in place product":
        array *= 0.5 * array
        names[target] = array
    elif kind == "out":
        np.subtract(array, value, out=array)
    elif kind == "at":
        np.add.at(array, argument, value)


def run(program: list[tuple[Any, ...]], x: Any) -> list[Any]:
    names = [x, x * 0.5]
    for statement in program:
        apply(statement, names)
    return names


@st.composite
def programs(draw):
    """An array and statements on it, written while NumPy executes them; the last may be one that NumPy refuses."""
    x = draw(arrays(draw(shapes.filter(bool))))
    names, program, refused = [x.copy(), x * 0.5], [], None
    for _ in range(draw(st.integers(2, 7))):
        target = draw(st.integers(0, len(names) - 1))
        source = draw(st.one_of(st.none(), st.integers(0, len(names) - 1)))
        shape = np.shape(names[target])
        is_array = isinstance(names[target], np.ndarray)
        writes = ["set", "set all", "in place", "in place product", "out", "at"] if is_array else []
        kind = draw(st.sampled_from([*VIEWS, *writes]))
        argument = None
        if kind in ("set", "index"):
            argument = draw(any_index(shape))
        elif kind == "at":
            argument = draw(st.one_of(basic_index(shape), advanced_index(shape)) if shape else st.just(()))
        program.append((kind, target, argument, source))
        try:
            apply(program[-1], names)
        except (ValueError, IndexError) as error:
            refused = type(error)
            break
        if sum(np.size(a) for a in names) > 300 or not np.all([np.all(np.abs(a) < 1e6) for a in names]):
            break
    return x, program, refused


@settings(max_examples=250)
@given(programs())
def test_programs_give_what_numpy_gives(case):
    x, program, refused = case
    if refused is not None:
        with pytest.raises(refused):
            arc.compile(lambda x: run(program, x))(x)
        return
    check_value(lambda x: run(program, x), x)


@settings(max_examples=60)
@given(programs())
def test_gradients_of_programs(case):
    x, program, refused = case
    if refused is not None:
        program = program[:-1]
    scalar = weighted(lambda x: run(program, x))
    got, expected = arc.grad(scalar)(x.copy()), numeric_gradient(scalar, [x], 0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6 * max(1.0, np.max(np.abs(expected))))


def test_views_of_a_captured_array_are_constants():
    table = np.arange(6.0)
    view = table[::2]
    assert_same(arc.grad(lambda x: np.sum(x * view))(np.ones(3)), np.array([0.0, 2.0, 4.0]))


def _strided(x, shape, strides, start=0, **options):
    """Return a window of entries at strides that are counted in entries."""
    return as_strided(x[start:], shape, [step * x.itemsize for step in strides], **options)


def _written_through_strides(x):
    x = x.copy()
    diagonal = as_strided(x, (2,), (3 * x.strides[0],))
    diagonal[...] = 5 * x[1]
    return x, diagonal


def _written_through_strided_windows(x):
    x = x.copy()
    _strided(x, (4, 3), (1, 1))[1, 2] = 9
    return x


STRIDED = {
    "as it is": lambda x: as_strided(x),
    "every second": lambda x: _strided(x, (3,), (2,)),
    "windows": lambda x: _strided(x, (4, 3), (1, 1)),
    "backwards": lambda x: as_strided(x[5:], (6,), (-x.itemsize,)),
    "repeated": lambda x: _strided(x, (4, 2), (0, 1), 1),
    "no entries": lambda x: _strided(x, (0, 2), (100, 1)),
    "beyond a view": lambda x: _strided(x[2:4], (2,), (2,)),
    "of a matrix": lambda x: as_strided(np.reshape(x, (2, 3)).copy(), (2, 2, 2), (24, 8, 8)),
    "of a transposed one": lambda x: as_strided(np.reshape(x, (2, 3)).T, (3, 2), (8, 24)),
    "of a number": lambda x: as_strided(x[0], (3,), (0,)),
    "by name": lambda x: as_strided(x, shape=(2,), strides=(16,), writeable=False) * 2,
    "written to": _written_through_strides,
    "windows that are written to": _written_through_strided_windows,
}


@pytest.mark.parametrize("function", STRIDED.values(), ids=STRIDED)
def test_memory_is_read_at_any_strides(function):
    x = np.arange(6.0)
    check_value(function, x)
    check_gradient(lambda x: function(np.sin(x)), x)


@pytest.mark.parametrize(
    ("shape", "strides", "start"),
    [((7,), (8,), 0), ((2,), (-8,), 0), ((6,), (8,), 1), ((2,), (4,), 0), ((2, 2), (8, 48), 0)],
)
def test_memory_that_is_not_the_arrays_is_refused(shape, strides, start):
    with pytest.raises(arc.TraceError, match=r"beyond the entries(.|\n)*test_views.py(.|\n)*sliding_window_view"):
        arc.grad(lambda x: np.sum(as_strided(x[start:], shape, strides)))(np.arange(6.0))


VIEWS_BY_METHOD = {
    "a view": lambda x: x.view(),
    "in its own dtype": lambda x: x.view(x.dtype),
    "as an ndarray": lambda x: x.view(np.ndarray),
    "as an ndarray, by name": lambda x: x.view(type=np.ndarray),
    "of a view": lambda x: x[1:].view(),
}


@pytest.mark.parametrize("view", VIEWS_BY_METHOD.values(), ids=VIEWS_BY_METHOD)
@pytest.mark.parametrize("dtype", [float, np.float32, int, complex])
def test_views_of_the_same_dtype(view, dtype):
    def function(x):
        x = x * 1
        y = view(x)
        y[0] = 7
        return x, y, y is x

    x = np.arange(4).astype(dtype)
    for ours, theirs in zip(arc.compile(function)(x), function(x), strict=True):
        assert_same(ours, theirs)


def test_views_that_are_made_read_only_are_so_alone():
    def function(x):
        y = x.copy()
        view = y.view()
        view.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1.0
        y[0] = 3 * x[1]
        return view, view.flags.writeable, y.flags.writeable

    for ours, theirs in zip(arc.compile(function)(np.arange(3.0)), function(np.arange(3.0)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_views_of_numbers_and_of_other_dtypes():
    assert arc.compile(lambda x: x.view())(2.0) == 2.0
    assert arc.compile(lambda x: np.shape(x.view()))(np.array(2.0)) == ()
    for dtype in (np.int64, np.uint8, np.float32, np.matrix):
        with pytest.raises(arc.TraceError, match=r"not bytes in memory(.|\n)*test_views.py"):
            arc.compile(lambda x, dtype=dtype: x.view(dtype))(np.ones(2))


def _windows_of_a_copy(x, **options):
    x = x.copy()
    return x, np.lib.stride_tricks.sliding_window_view(x, 3, **options)


def _written_behind_windows(x):
    x, windows = _windows_of_a_copy(x)
    x[2] = 7 * x[0]
    return windows


def _written_through_windows(x):
    x, windows = _windows_of_a_copy(x, writeable=True)
    windows[1, 1] = x[0] ** 2
    windows[:, 0] *= 2
    return np.concatenate([windows.ravel(), x])


@pytest.mark.parametrize("function", [_written_behind_windows, _written_through_windows])
def test_windows_are_views(function):
    x = np.arange(1.0, 6.0)
    np.testing.assert_array_equal(arc.compile(function)(x), function(x))
    numeric = arc.jac(function, method="adaptive")(x)
    np.testing.assert_allclose(arc.jac(function)(x), numeric, atol=1e-8)


def test_windows_are_read_only_unless_asked_for_otherwise():
    def written(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3)
        windows[0, 0] = 1.0

    for function in (written, arc.compile(written)):
        with pytest.raises(ValueError, match="read-only"):
            function(np.arange(5.0))


ALIASES = {
    "a diagonal": lambda A: np.einsum("ii->i", A), "exchanged axes": lambda A: np.einsum("ij->ji", A),
    "axes by numbers": lambda A: np.einsum(A, [0, 1], [1, 0]),
    "diagonals": lambda A: np.einsum("iik->ki", A[:, :, None]),
    "the same axes": lambda A: np.einsum("ij", A), "a block": np.block, "a list of a block": lambda A: np.block([A]),
    "a first power": lambda A: np.linalg.matrix_power(A, 1), "an inverse": lambda A: np.linalg.matrix_power(A, -1),
    "what is finite": np.asarray_chkfinite, "a view": lambda A: A.view(), "a constant": arc.stop_gradient,
    "a constant of nothing": lambda A: arc.stop_gradient(A[:0]),
}  # fmt: skip


@pytest.mark.parametrize("writes", ["to the result", "to the argument", "in place"])
@pytest.mark.parametrize("name", ALIASES)
def test_results_share_memory_where_numpys_do(name, writes):
    def f(x):
        x = x.copy()
        y = ALIASES[name](x)
        if writes == "to the result":
            y[...] = 2 * y + 100
        elif writes == "in place":
            y += 100
        else:
            x[...] = 3 * x - 50
        return x, y * 1.0

    check_value(f, np.arange(1.0, 10.0).reshape(3, 3) + np.eye(3))


def test_a_diagonal_is_set_by_einsum():
    def f(x):
        A, Z = np.outer(x, x), np.exp(1j * np.outer(x, x))
        np.einsum("ii->i", A)[:] = x
        np.einsum("ii->i", Z)[1:] *= 2j
        return A, Z.real, Z.imag

    check(f, np.array([0.5, 1.5, -0.7]))


def test_what_is_not_finite_is_told():
    compiled = arc.compile(np.asarray_chkfinite)
    compiled(np.ones(2))
    for entry in (np.nan, np.inf):
        with pytest.raises(ValueError, match="array must not contain infs or NaNs"):
            compiled(np.array([1.0, entry]))


def test_a_row_by_a_traced_array_without_axes_is_a_copy():
    def program(x):
        row = x[np.array(np.argmax(x[:, 0]))]
        row[0] = 100.0
        return x, row

    check_value(program, sample((3, 3)))
