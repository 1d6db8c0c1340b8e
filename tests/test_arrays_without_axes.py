"""An array without axes, as an argument, is an array: it is written to, and numbers are made of it, as NumPy does."""

from __future__ import annotations

import operator
import pickle

import numpy as np
import pytest

import archimedes_grad as arc

KINDS = {
    "array": lambda: np.array(3.0), "single": lambda: np.array(3.0, np.float32), "integer": lambda: np.array(3),
    "float64": lambda: np.float64(3.0), "float32": lambda: np.float32(3.0), "int64": lambda: np.int64(3),
}  # fmt: skip
ARRAYS = list(KINDS)[:3]


def after(write):
    """Return the function that writes to its argument by another name, and reads it."""

    def function(x):
        write(x)
        return 1 * x

    return function


ROWS = {
    "itself": lambda x: x,
    "a copy": lambda x: x.copy(),
    "two": lambda x: x * 2,
    "np.asarray": lambda x: np.asarray(x),
    "np.array": lambda x: np.array(x),
    "its entry": lambda x: x[()],
    "all of it": lambda x: x[...],
    "reshaped": lambda x: x.reshape(()),
    "transposed": lambda x: x.T,
    "flat": lambda x: x.ravel(),
    "with an axis": lambda x: x[None],
    "its sum": lambda x: x.sum(),
    "of another type": lambda x: x.astype(np.float64),
    "compared": lambda x: x > 2,
    "broadcast": lambda x: np.broadcast_to(x, (2,)),
    "in a list": lambda x: np.array([x, 1]),
    "what it is": lambda x: (isinstance(x, np.ndarray), isinstance(x, np.generic), np.isscalar(x)),
    "whether a float": lambda x: isinstance(x, float),
    "what it has": lambda x: (x.shape, x.ndim, x.size, str(x.dtype), hasattr(x, "__len__")),
    "in place": after(lambda x: operator.iadd(x, 2)),
    "times in place": after(lambda x: operator.imul(x, 2)),
    "by a view with an axis": after(lambda x: operator.iadd(x[None], 2)),
    "by its shape": after(lambda x: operator.iadd(x.reshape(1), 2)),
    "in a list, in place": after(lambda x: operator.iadd([x][0], 2)),
}

WRITES = {
    "x[...]": lambda x: operator.setitem(x, ..., 2),
    "x[()]": lambda x: operator.setitem(x, (), 2),
    "fill": lambda x: x.fill(2),
    "out": lambda x: np.multiply(x, 3, out=x),
    "copyto": lambda x: np.copyto(x, 5),
}


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(theirs, np.ndarray | np.generic):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ROWS.values(), ids=ROWS)
def test_what_a_function_does_with_it_is_what_numpy_does(function, kind):
    compiled = arc.compile(function)
    for _ in range(2):
        assert_same(compiled(KINDS[kind]()), function(KINDS[kind]()))


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_to_it_are_those_of_numpy(write, kind):
    compiled, given = arc.compile(after(write)), KINDS[kind]()
    assert_same(compiled(given), after(write)(KINDS[kind]()))
    assert given == 3  # What the caller holds is not written to.


@pytest.mark.parametrize("write", [WRITES["x[...]"], WRITES["out"]])
def test_numbers_are_not_written_to(write):
    with pytest.raises(TypeError):
        arc.compile(after(write))(3.0)


def doubled_in_place(x):
    held = x
    x += x
    return held * x


def test_arrays_and_numbers_are_two_forms_of_call_each_found_at_once():
    traces = []

    def function(x):
        traces.append(None)
        return doubled_in_place(x)

    value, slope = arc.compile(function), arc.grad(function)
    for _ in range(3):
        for x in (1.5, 3.0):
            assert value(np.array(x)) == 4 * x * x
            assert value(np.float64(x)) == value(x) == 2 * x * x
            assert slope(np.array(x)) == 8 * x
            assert slope(np.float64(x)) == slope(x) == 4 * x
    # Python's floats, NumPy's and arrays for the values, numbers and arrays for the slopes.
    assert len(traces) == 5
    again = pickle.loads(pickle.dumps(value))
    assert (again(np.array(3.0)), again(np.float64(3.0))) == (36.0, 18.0)
    assert len(traces) == 5


def test_leaves_of_trees_are_arrays_too():
    gradient = arc.grad(lambda p: doubled_in_place(p["a"]) * p["b"])({"a": np.array(3.0), "b": np.float64(2.0)})
    assert gradient == {"a": 48.0, "b": 36.0}


@pytest.mark.parametrize("method", ["symbolic", "finite", "adaptive", "complex"])
@pytest.mark.parametrize(("x", "expected"), [(np.array(3.0), 24.0), (np.float64(3.0), 12.0)])
def test_derivatives_of_all_methods_see_the_same(method, x, expected):
    slope = arc.grad(doubled_in_place, method=method)(x)
    assert type(slope) is np.float64
    np.testing.assert_allclose(slope, expected, rtol=1e-7)


def test_items_carries_and_entries_are_numbers():
    kinds = []

    def noted(x):
        kinds.append(isinstance(x, np.ndarray))
        return 2 * x

    def function(x, v):
        items = arc.vmap(noted)(v)
        carry, _ = arc.scan(lambda c, y: (noted(c) + noted(y), None), v[0], v)
        state = arc.while_loop(lambda s: s < 100, noted, v[1], 20)
        return np.sum(items) + carry + state + arc.cond(x > 0, noted, lambda x: x, x)

    arc.grad(function)(2.0, np.ones(3))
    assert kinds
    assert not any(kinds)


def test_branches_and_what_is_closed_over_are_arrays_where_they_were():
    def function(x, v):
        written = arc.cond(x > 0, doubled_in_place, lambda x: 1.0 * x, x)
        items = arc.vmap(lambda y: y * isinstance(x, np.ndarray) * x)(v)
        return written + np.sum(items)

    for kind in (np.array, np.float64):
        x, v = kind(3.0), np.ones(2)
        assert arc.compile(function)(x, v) == doubled_in_place(kind(3.0)) + 2 * isinstance(x, np.ndarray) * 3.0


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_complex_arrays_without_axes_are_written_to(dtype):
    def function(z):
        held = z
        z += 1
        return np.abs(held), isinstance(held, np.ndarray), isinstance(held, complex)

    compiled = arc.compile(function)
    for kind in (np.array, dtype):
        for _ in range(2):
            ours, theirs = compiled(kind(dtype(2 + 4j))), function(kind(dtype(2 + 4j)))
            assert ours[1:] == theirs[1:]
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert compiled.explain(np.array(dtype(2 + 4j))).n_specialisations == 2
