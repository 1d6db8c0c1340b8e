"""How arrays lie in memory: what ``order="K"`` and ``"A"`` read, and what is a view, for each layout of arguments."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from helpers import assert_same, sample, weighted

import archimedes_grad as arc

#: How an argument may lie in memory.
LAYOUTS = {
    "C": lambda a: np.array(a, order="C"),
    "F": lambda a: np.array(a, order="F"),
    "axes turned": lambda a: np.moveaxis(np.array(np.moveaxis(a, 0, -1), order="C"), -1, 0),
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every second column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "columns, every second row": lambda a: np.asfortranarray(np.repeat(a, 2, axis=0))[::2],
    "reversed rows": lambda a: np.array(a[::-1])[::-1],
}

#: What an expression is made of: an argument, or what lies in memory otherwise.
OPERANDS = {
    "x": lambda x: x,
    "x.T": lambda x: x.T,
    "2 * x.T": lambda x: 2 * x.T,
    "x[:, ::2]": lambda x: x[:, ::2],
    "np.array(x, order='F')": lambda x: np.array(x, order="F"),
}

# Y is the operand, x the argument.
EXPRESSIONS = """
Y
np.array(Y)
np.array(Y, order="C")
np.array(Y, order="F")
np.array(Y, order="A")
np.array(Y, copy=None)
np.array(Y, copy=None, order="C")
np.array(Y, copy=None, order="F")
np.array(Y, copy=None, order="A")
np.array(Y, ndmin=4)
np.array(Y, copy=None, ndmin=4)
np.array(Y, copy=None, order="F", ndmin=4)
np.array(Y, np.float32)
np.array(Y, np.float32, order="F")
np.array([Y, Y])
np.array([Y, Y], order="F")
np.array([[Y[0], 2 * Y[1]], [Y[1], Y[0]]], order="F")
np.asarray(Y)
np.asarray(Y, None, "C")
np.asarray(Y, order="F")
np.asarray(Y, order="A")
np.asarray(Y, copy=True, order="F")
np.asanyarray(Y, order="F")
np.copy(Y)
np.copy(Y, "C")
np.copy(Y, order="F")
np.copy(Y, order="A")
Y.copy()
Y.copy("F")
Y.copy(order="A")
Y.copy(order="K")
copy.copy(Y)
copy.deepcopy(Y)
Y.astype(float)
Y.astype(np.float32)
Y.astype(float, "C")
Y.astype(np.float32, order="F")
Y.astype(float, "A")
Y.astype(float, copy=False)
Y.astype(float, copy=False, order="C")
Y.astype(float, copy=False, order="F")
np.astype(Y, float, copy=False)
np.ascontiguousarray(Y)
np.asfortranarray(Y)
np.asfortranarray(Y, dtype=np.float32)
np.require(Y, None, "C")
np.require(Y, requirements="F")
np.require(Y, np.float32, "F")
np.zeros_like(Y) + Y
np.zeros_like(Y, order="C")
np.zeros_like(Y, order="F")
np.ones_like(Y, order="A")
np.full_like(Y, Y[0, 0])
np.full_like(Y, Y[0, 0], order="F")
np.full_like(Y, 2.0, order="A")
np.full(Y.shape, Y[0, 0], order="F")
np.zeros(Y.shape, order="F", like=Y)
np.ravel(Y, "F")
np.ravel(Y, "A")
np.ravel(Y, order="K")
Y.flatten("K")
Y.flatten("A")
Y.T.ravel()
Y.T.ravel("K")
Y.reshape(-1)
Y.reshape(-1, order="F")
Y.reshape(-1, order="A")
Y.reshape(Y.shape[::-1])
Y.reshape(Y.shape[0], -1)
Y.reshape(Y.shape[0], -1, order="A")
np.reshape(Y, Y.shape, order="A", copy=True)
Y.flat[:]
Y[1]
Y[:, 0]
Y[::-1]
Y[[1, 0]]
Y[:, [0, -1]]
Y[:, np.arange(Y.shape[1]) != 1]
Y[None, :, None]
1 - Y
Y + x.reshape(-1)[0]
Y + Y[:1]
Y.T * Y.T
np.maximum(Y, Y[0])
np.add(Y, 1.0, order="F")
np.divide(Y, 2.0, out=np.zeros_like(Y))
np.clip(Y, 0.5, 1.0)
np.round(Y, 1)
np.nan_to_num(Y)
np.where(Y > 1, Y, 0.0)
np.where(Y > 1, Y, np.ones(Y.shape))
np.piecewise(Y, [Y > 1], [lambda t: t**2, 0.5])
np.vectorize(lambda t: t * 2)(Y)
np.concatenate([Y, Y])
np.concatenate([Y, np.ones(Y.shape, order="F")], axis=1)
np.stack([Y, Y], axis=1)
np.column_stack([Y, Y])
np.insert(Y, 1, 0.0, axis=1)
np.delete(Y, 1, axis=0)
np.repeat(Y, 2, axis=1)
np.tile(Y, 2)
np.roll(Y, 1, axis=0)
np.roll(Y, 1)
np.take(Y, [0, 1], axis=1)
np.pad(Y, 1)
np.triu(Y)
np.sum(Y, axis=0)
np.sum(Y, axis=-1, keepdims=True)
np.mean(Y, axis=1)
np.max(Y, axis=0)
np.cumsum(Y, axis=0)
np.diff(Y, axis=0)
np.gradient(Y, axis=1)
np.sort(Y, axis=0)
np.partition(Y, 1, axis=0)
np.argsort(Y, axis=0) * 1.0
Y @ np.swapaxes(Y, -1, -2)
np.swapaxes(Y, -1, -2) @ Y
np.dot(Y, np.swapaxes(Y, -1, -2)[0] if Y.ndim == 3 else Y.T)
np.einsum("i...->...i", Y)
np.einsum("ij...,ij...->ij...", Y, Y)
np.tensordot(Y, Y, ([0], [0]))
np.linalg.matrix_power(Y @ np.swapaxes(Y, -1, -2), 1)
np.linalg.norm(Y, axis=0)
np.linalg.qr(Y)[1]
np.abs(np.fft.rfft(Y, axis=0))
np.fft.irfft(np.fft.rfft(Y, axis=0), 4, axis=0)
np.apply_along_axis(lambda row: row * 2, 0, Y)
np.split(Y, [1], axis=1)[1]
[*Y][1]
""".strip().splitlines()


def probed(expression, operand):
    """Return the program that reads what an expression gives in each order, writes to what may be views, and shows all.

    Whatever is shared then, or is not, shows in the numbers.
    """
    program = eval(f"lambda Y, x: {expression}", {"np": np, "copy": copy})

    def probing(x):
        operated = operand(x)
        y = program(operated, x)
        read = [y.ravel("K") * 1, y.ravel("A") * 1, y.T.ravel("K") * 1, y.copy("K").reshape(-1, order="A") * 1]
        flat = y.ravel()
        flat[:1] = 3 * flat[-1:]
        kept = y.ravel("K")
        kept[-2:] += kept[:1]
        turned = y.T.reshape(-1)
        turned[1:3] *= 2
        y.reshape(-1, order="A")[2:4] -= 1
        return [x, operated, y, *read]

    return probing


def _cases():
    others = itertools.cycle(list(LAYOUTS)[1:])
    for number, (expression, (name, operand)) in enumerate(itertools.product(EXPRESSIONS, OPERANDS.items())):
        shape = ((4, 3), (2, 3, 4))[number % 2]
        yield pytest.param(probed(expression, operand), shape, next(others), id=f"{expression}-{name}")


@pytest.mark.parametrize(("program", "shape", "other"), list(_cases()))
def test_values_and_gradients_are_numpys_whatever_the_layout(program, shape, other):
    """By one compiled function: layouts may share what is compiled only where it makes no difference."""
    def scalar(x):
        results = program(x)
        return weighted(lambda: results)(), results

    both = arc.value_and_grad(scalar, has_aux=True)
    x, direction = sample(shape, "positive"), sample(shape, "positive", 1)
    for layout in (LAYOUTS["C"], LAYOUTS[other], LAYOUTS["C"]):
        given = layout(x)
        expected = program(layout(x))
        (_, got), gradient = both(given)
        assert_same(got, expected)
        np.testing.assert_array_equal(given, x)
        # Single precision has no finer differences.
        step, near = (1e-2, 1e-2) if expected[2].dtype == np.float32 else (1e-6, 1e-6)
        low, high = (scalar(layout(x + shift * direction))[0] for shift in (-step, step))
        np.testing.assert_allclose(np.sum(gradient * direction), (high - low) / (2 * step), rtol=near, atol=near)


# --- what is traced anew ----------------------------------------------------------------------------


X = sample((3, 4), "positive")


def counting(function):
    runs = []

    def counted(*args):
        runs.append(args)
        return function(*args)

    return counted, runs


def test_a_function_that_does_not_go_by_the_layout_is_traced_once_for_all():
    counted, runs = counting(lambda x: np.sum(x.reshape(-1) ** 2) + np.sum(np.ravel(x.T)))
    gradient = arc.grad(counted)
    for layout in (*LAYOUTS.values(), *LAYOUTS.values()):
        np.testing.assert_allclose(gradient(layout(X)), 2 * X + 1)
    assert len(runs) == 1
    assert gradient.explain(np.asfortranarray(X)).n_specialisations == 1


def test_a_function_that_goes_by_the_layout_is_traced_for_each():
    counted, runs = counting(lambda x: np.sum(x.ravel("K")[:3] ** 2))
    gradient = arc.grad(counted)
    for layout in (*LAYOUTS.values(), *LAYOUTS.values()):
        first = np.zeros(12)
        first[:3] = 2 * layout(X).ravel("K")[:3]
        order = layout(np.arange(12.0).reshape(3, 4)).ravel("K").astype(int)
        expected = np.zeros(12)
        expected[order] = first
        np.testing.assert_allclose(gradient(layout(X)), expected.reshape(3, 4))
    # Arrays that are turned are in Fortran's order here; of rows, those with gaps are alike, reversed or not.
    assert len(runs) == 5


def branching(x):
    if x[0, 0] > 0:
        return np.sum(x * 2)
    flat = x.ravel()
    flat[0] = 7.0
    return np.sum(x**2)


def solving(x):
    flat = x[:3, :3].ravel("K")
    return np.sum(np.linalg.solve(x[:3, :3] + 9 * np.eye(3), flat[:3]))


@pytest.mark.parametrize("function", [branching, solving])
def test_layouts_may_change_from_call_to_call_where_paths_do(function):
    value = arc.compile(function)
    for sign, layout in itertools.product((1, -1, 1, -1), LAYOUTS.values()):
        np.testing.assert_allclose(value(layout(sign * X)), function(layout(sign * X)))


def test_layouts_travel_with_what_was_compiled():
    value = arc.compile(_read_in_memory)
    for layout in LAYOUTS.values():
        value(layout(X))
    received = pickle.loads(pickle.dumps(value))
    assert received.explain(X).n_specialisations == value.explain(X).n_specialisations == 5
    for layout in LAYOUTS.values():
        np.testing.assert_array_equal(received(layout(X)), layout(X).ravel("K"))


def _read_in_memory(x):
    return x.ravel("K") * 1


def test_static_arrays_reach_the_function_as_they_lie_and_are_told_apart_by_it():
    def program(x, table):
        table.ravel()[:2] += 1
        return x * table.ravel("K")

    counted, runs = counting(program)
    value = arc.compile(counted, static_argnums=1)
    for layout in (*LAYOUTS.values(), *LAYOUTS.values()):
        given = layout(X)
        np.testing.assert_array_equal(value(2.0, given), program(2.0, layout(X)))
        np.testing.assert_array_equal(given, X)
    assert len(runs) == len({layout(X).strides for layout in LAYOUTS.values()})


@pytest.mark.parametrize("form", [lambda a: [a], lambda a: {"a": a}, lambda a: a.astype(object), np.ma.asarray])
def test_static_arrays_in_any_form_are_told_apart_by_how_they_lie(form):
    def program(x, table):
        arrays = [*table.values()] if isinstance(table, dict) else table if isinstance(table, list) else [table]
        return [x * np.asarray(array).ravel("K").astype(float) for array in arrays]

    value = arc.compile(program, static_argnames="table")
    for layout in LAYOUTS.values():
        assert_same(value(2.0, form(layout(X))), program(2.0, form(layout(X))))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", ["symbolic", "finite"])
def test_static_arrays_of_derivatives_lie_as_they_are_given(layout, method):
    def function(x, table):
        return np.sum(x * table.ravel("K"))

    table = LAYOUTS[layout](X)
    slope = arc.grad(function, static_argnames="table", method=method)
    np.testing.assert_allclose(slope(np.ones(12), table), table.ravel("K"), rtol=1e-9)
    if method == "symbolic":
        np.testing.assert_array_equal(arc.compile(lambda x: slope(x, table))(np.ones(12)), table.ravel("K"))


def test_static_arrays_with_gaps_which_pickles_close_are_traced_again_where_they_arrive():
    value = arc.compile(_read_from_table, static_argnames="table")
    for layout in LAYOUTS.values():
        value(1.0, layout(X))
    received = pickle.loads(pickle.dumps(value))
    assert received.explain(1.0, X).n_specialisations == 2
    for layout in LAYOUTS.values():
        np.testing.assert_array_equal(received(1.0, layout(X)), layout(X).ravel("K"))


def _read_from_table(x, table):
    return x * table.ravel("K")


def test_large_arrays_and_lists_of_them():
    value = arc.compile(lambda tree: [array.ravel("K")[::500] * 2 for array in tree["a"]])
    large = sample((60, 70))
    for layouts in itertools.product(("C", "F", "every second column"), repeat=2):
        tree = {"a": [LAYOUTS[layout](large) for layout in layouts]}
        assert_same(value(tree), [array.ravel("K")[::500] * 2 for array in tree["a"]])


# --- elsewhere ----------------------------------------------------------------------------------------


def written_through_ravel(x):
    x.ravel()[:2] = x.ravel("K")[2:4] ** 2
    return np.sum(x**3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
def test_numeric_methods_pass_arguments_of_the_layout_given(layout, method):
    x = LAYOUTS[layout](X)
    expected = arc.grad(written_through_ravel)(x)
    np.testing.assert_allclose(arc.grad(written_through_ravel, method=method)(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_derivatives_inside_see_the_layout_of_what_they_are_given(layout):
    def inside(x):
        return np.sum(arc.grad(written_through_ravel)(x.T) * x.T) + np.sum(arc.grad(written_through_ravel)(x[:, ::2]))

    def by_hand(x):
        turned, part = (arc.grad(written_through_ravel)(y) for y in (x.T, x[:, ::2]))
        return np.sum(turned * x.T) + np.sum(part)

    x = LAYOUTS[layout](X)
    np.testing.assert_allclose(arc.compile(inside)(x), by_hand(x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_complex_arguments(layout):
    def program(z):
        z.ravel()[:2] = 5.0
        z.T.flat[2] = 3.0
        read = (2 * z).ravel("K")
        copies = [z.T.copy("K"), np.array(z.T), np.asarray(z, order="F"), np.require(z.T, None, "F"), np.copy(z, "F")]
        return [part for a in [read, np.sum(z.T.flat), *(a.ravel("K") for a in copies)] for part in (a.real, a.imag)]

    z = LAYOUTS[layout](X + 1j * np.sqrt(X))
    assert_same(arc.compile(program)(z), program(LAYOUTS[layout](X + 1j * np.sqrt(X))))


def test_arguments_that_repeat_entries():
    def program(x):
        y = x.ravel()
        y[0] = 9.0
        return [x * 1, y, x.ravel("K") * 1]

    value = arc.compile(program)
    for x in (np.broadcast_to(2.0, 3), np.broadcast_to(X[0], (2, 4)), np.broadcast_to(X[0], (2, 4)).T):
        assert_same(value(x), program(x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_asked_of_memory(layout):
    def program(x):
        y, z = 2 * x.T, np.array(x, order="F")
        bases = [y.base is None, y[0].base is y, z.ravel("F").base is None, z.T.ravel().base is z]
        same = [np.ascontiguousarray(a) is a for a in (x, x.T)] + [np.asarray(a, order="F") is a for a in (x, x.T)]
        return [*bases, *same, np.shares_memory(x.ravel(), x), np.may_share_memory(x.T.ravel(), x), y.strides]

    assert_same(arc.compile(program)(LAYOUTS[layout](X)), program(LAYOUTS[layout](X)))


@pytest.mark.filterwarnings("ignore:Setting the shape")
def test_the_shape_is_changed_in_place_where_numpy_can():
    def program(x):
        y = np.array(x, order="F")
        y.shape = (3, 1, 4)
        y[1, 0, 2] = 7.0
        return [y, y.ravel("K")]

    assert_same(arc.compile(program)(X), program(X))

    def flattened(x):
        x.shape = (12,)
        return x * 1

    value = arc.compile(flattened)
    assert_same(value(X), X.ravel())
    with pytest.raises(AttributeError, match="shape"):
        value(np.asfortranarray(X))
    with pytest.raises(ValueError, match="copy"):
        arc.compile(lambda x: np.reshape(x, -1, copy=False))(np.asfortranarray(X))


def test_bodies_close_over_arrays_in_any_order():
    def program(x, w):
        y = np.array(x, order="F")
        flat = y.flat
        _, rows = arc.scan(lambda carry, k: (carry, np.sum(y.ravel("K") * w) + k * flat[6]), 0.0, np.arange(3.0))
        return np.sum(rows)

    w = sample((12,))
    expected = 3 * np.sum(np.array(X, order="F").ravel("K") * w) + 3 * X[1, 2]
    np.testing.assert_allclose(arc.compile(program)(X, w), expected)
