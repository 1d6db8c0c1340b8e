"""vmap: against a loop over items, in values, derivatives and nests; traced once."""

import contextvars
import functools

import casadi as cs
import numpy as np
import pytest
import scipy.linalg
from helpers import sample

import archimedes_grad as arc
from archimedes_grad import TraceError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(7, 3))
W = RNG.normal(size=(3, 3))


def smooth(x):
    return np.sin(x[0]) * x[1] + np.exp(x[2] * x[0]) / (1 + x[1] ** 2)


def test_values_equal_a_loop_over_items():
    np.testing.assert_allclose(arc.vmap(smooth)(X), [smooth(x) for x in X], rtol=1e-14)


@pytest.mark.parametrize("transform", [arc.grad, arc.hess, arc.jac])
def test_derivatives_of_items(transform):
    derivative = transform(smooth)
    np.testing.assert_allclose(arc.vmap(derivative)(X), [derivative(x) for x in X], rtol=1e-13)


def test_items_may_be_truth_values():
    mask, x = np.array([True, False, True]), np.array([0.0, 1.0, 2.0])
    chosen = arc.vmap(lambda x, b: np.where(b, x**2, -x))
    np.testing.assert_array_equal(chosen(x, mask), [0, -1, 4])
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(chosen(x, mask)))(x), [0, -1, 4])
    opposite = arc.vmap(np.logical_not)(mask)
    assert opposite.dtype == bool
    np.testing.assert_array_equal(opposite, ~mask)


@pytest.mark.parametrize("transform", [arc.grad, arc.hess])
def test_derivatives_of_the_mapped_function_and_what_it_closes_over(transform):
    def mapped(w):
        return np.sum(arc.vmap(lambda x: np.tanh(w @ x) @ x)(X))

    def looped(w):
        return sum(np.tanh(w @ x) @ x for x in X)

    np.testing.assert_allclose(transform(mapped)(W), transform(looped)(W), rtol=1e-12, atol=1e-13)


def test_gradient_of_a_map_of_gradients():
    def mapped(w):
        return np.sum(arc.vmap(arc.grad(lambda x: np.sum(np.sin(w * x))))(X) ** 2)

    def by_hand(w):
        return np.sum((w * np.cos(w * X)) ** 2)

    w = np.array([0.3, -1.2, 2.0])
    np.testing.assert_allclose(arc.grad(mapped)(w), arc.grad(by_hand)(w), rtol=1e-12)


def test_hessian_inside():
    hessians = arc.compile(lambda X: arc.vmap(arc.hess(smooth))(X).sum(axis=0))
    np.testing.assert_allclose(hessians(X), sum(arc.hess(smooth)(x) for x in X), rtol=1e-12)


def test_nested_maps_over_pairs():
    pairs = arc.vmap(arc.vmap(lambda a, b: np.cos(a) * b, (None, 0)), (0, None))
    np.testing.assert_allclose(pairs(X[:, 0], X[:, 1]), np.cos(X[:, :1]) * X[:, 1], rtol=1e-14)


@pytest.mark.parametrize(
    ("in_axes", "out_axes"), [(0, 0), (1, 0), (-1, 1), ((1,), -1), ([2], 2), (-3, -2)]
)
def test_axes(in_axes, out_axes):
    A = RNG.normal(size=(2, 3, 4))
    axis = in_axes if isinstance(in_axes, int) else in_axes[0]
    items = [np.sin(item) @ np.ones((item.shape[1], 5)) for item in np.moveaxis(A, axis, 0)]
    mapped = arc.vmap(lambda item: np.sin(item) @ np.ones((item.shape[1], 5)), in_axes, out_axes)
    np.testing.assert_allclose(mapped(A), np.stack(items, axis=out_axes), rtol=1e-14)


def test_trees_of_arguments_axes_and_results():
    parameters = {"scale": np.arange(3.0), "shift": np.float64(2.0)}

    def f(p, x, label):
        return {"y": p["scale"] * x + p["shift"], "label": label, "both": (x, [x * 2])}

    result = arc.vmap(f, ({"scale": 0, "shift": None}, 0, None))(parameters, np.ones(3), "name")
    assert result["label"] == "name"
    np.testing.assert_array_equal(result["y"], [2.0, 3.0, 4.0])
    np.testing.assert_array_equal(result["both"][1][0], [2.0, 2.0, 2.0])


def test_keywords_are_mapped_along_their_first_axis():
    np.testing.assert_array_equal(arc.vmap(lambda x, y: x * y, in_axes=(None,))(2.0, y=np.arange(3.0)), [0, 2, 4])


def test_integers_and_truth_values_keep_their_dtypes():
    ints = arc.vmap(lambda x: x // 2)(np.arange(5))
    assert ints.dtype == np.arange(5).dtype
    np.testing.assert_array_equal(ints, [0, 0, 1, 1, 2])
    assert arc.vmap(lambda x: x > 1)(np.arange(3.0)).tolist() == [False, False, True]


def test_results_that_do_not_depend_on_the_item():
    constant = arc.vmap(lambda x, w: np.sum(w), (0, None), out_axes=None)(X, np.ones(2))
    assert constant == 2.0
    np.testing.assert_array_equal(arc.vmap(lambda x: 1.0)(X), np.ones(7))
    with pytest.raises(ValueError, match="depends on the item"):
        arc.vmap(np.sum, out_axes=None)(X)


def test_one_item_and_none():
    np.testing.assert_allclose(arc.vmap(smooth)(X[:1]), [smooth(X[0])])
    assert arc.vmap(smooth)(X[:0]).shape == (0,)


def test_traced_once_whatever_the_number_of_items():
    traces = []

    def f(x):
        traces.append(x.shape)
        return np.sum(x**2)

    mapped = arc.vmap(arc.grad(f))
    mapped(np.ones((1000, 3)))
    mapped(np.zeros((1000, 3)))
    assert traces == [(3,)]
    assert mapped.explain(np.ones((1000, 3))).n_operations < 10


def test_large_captured_arrays_and_large_graphs():
    A = RNG.normal(size=(40, 3))

    def loss(v):
        return np.sum(arc.vmap(lambda x: np.sum(np.sin(A @ (x * v))))(X))

    v = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(arc.grad(loss)(v), arc.grad(lambda v: np.sum(np.sin((X * v) @ A.T)))(v), rtol=1e-11)


def test_lapack_inside():
    matrices = RNG.normal(size=(4, 3, 3)) + 4 * np.eye(3)
    mapped = arc.vmap(lambda A: np.linalg.solve(A, np.ones(3)))
    np.testing.assert_allclose(mapped(matrices), np.linalg.solve(matrices, np.ones((4, 3, 1)))[..., 0], rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError):
        mapped(np.zeros((4, 3, 3)))


def test_decisions_on_an_item_are_refused():
    with pytest.raises(TraceError, match=r"test_vmap\.py"):
        arc.vmap(lambda x: x if x > 0 else -x)(np.ones(3))


def test_writing_to_an_array_of_the_function_around_is_refused():
    def f(x):
        y = 1.0 * x

        def item(i):
            y[0] = i
            return i

        return np.sum(arc.vmap(item)(x)) + y[0]

    with pytest.raises(TraceError, match="writes to an array"):
        arc.grad(f)(np.ones(3))


class Model:
    def __init__(self, weights):
        self.parts = {"weights": [weights]}

    def apply(self, x):
        return np.sum(self.parts["weights"][0] * x)


hidden = contextvars.ContextVar("hidden")


def test_closures_of_every_kind():
    def loss(w):
        doubled = 2 * w
        hidden.set(doubled)  # where no search finds it
        held = np.array([doubled[0], doubled[1]])
        mapped = [
            arc.vmap(Model(doubled).apply),
            arc.vmap(functools.partial(lambda v, x: np.sum(v * x), doubled)),
            arc.vmap(lambda x, v=doubled: np.sum(v * x)),
            arc.vmap(lambda x: np.sum(hidden.get() * x)),
            arc.vmap(lambda x: np.sum(held * x[:2]) + doubled[2] * x[2]),
        ]
        total = sum(np.sum(np.sin(f(X))) for f in mapped)
        return total + np.sum(arc.vmap(lambda x: arc.grad(lambda y: np.sum(doubled * y**2))(x))(X))

    def by_hand(w):
        return 5 * np.sum(np.sin(X @ (2 * w))) + np.sum(4 * w * X)

    w = np.array([0.3, -1.2, 2.0])
    np.testing.assert_allclose(arc.grad(loss)(w), arc.grad(by_hand)(w), rtol=1e-12)


def test_what_was_closed_over_is_as_before():
    def f(x):
        y = x * 2
        before = y[0]
        total = np.sum(arc.vmap(lambda i: i * y[0])(x))
        return total + y[0] * before

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(arc.grad(f)(x), arc.grad(lambda x: np.sum(x) * 2 * x[0] + 4 * x[0] ** 2)(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arc.vmap(lambda x, y: x)(np.ones(3), np.ones((4, 2))), "x has 3, y has 4"),
        (lambda: arc.vmap(lambda x: x)({"a": np.ones(3), "b": np.ones(2)}), r"x\['a'\] has 3, x\['b'\] has 2"),
        (lambda: arc.vmap(np.sum, 2)(X), "no axis 2"),
        (lambda: arc.vmap(lambda x: x, None)(X), "no argument is mapped"),
        (lambda: arc.vmap(lambda x, y: x, (0,))(X, X), "1 entries for 2 positional arguments"),
        (lambda: arc.vmap(lambda x: x, ({"a": 0},))({"b": X}), "the same structure or a prefix"),
        (lambda: arc.vmap(np.sum, 0, 1)(X), "axis 1 for a stacked result"),
    ],
)
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_types():
    with pytest.raises(TypeError, match="function"):
        arc.vmap(3)
    with pytest.raises(TypeError, match="in_axes"):
        arc.vmap(np.sum, "0")


# --- lots of items ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [63, 64, 255, 256, 257, 511, 520, 777])
def test_any_number_of_items(n):
    x = np.linspace(-1.0, 2.0, 3 * n).reshape(n, 3)
    np.testing.assert_allclose(arc.vmap(smooth)(x), [smooth(item) for item in x], rtol=1e-14)

    def total(x, w):
        return np.sum(arc.vmap(lambda item, w: smooth(w @ item) * w[0, 1], (0, None))(x, w))

    gradients = arc.grad(total, argnums=(0, 1))(x, W)
    of_item = arc.grad(lambda item, w: smooth(w @ item) * w[0, 1], (0, 1))
    of_items = [of_item(item, W) for item in x]
    np.testing.assert_allclose(gradients[0], [g for g, _ in of_items], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gradients[1], sum(g for _, g in of_items), rtol=1e-11, atol=1e-12)


def test_products_with_derivatives_of_many_items():
    x, v = RNG.normal(size=(2, 200, 3))
    hessians = arc.vmap(arc.hess(smooth))(x)
    product = arc.hvp(lambda x: np.sum(arc.vmap(smooth)(x)))(x, v)
    np.testing.assert_allclose(product, np.einsum("nij,nj->ni", hessians, v), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        arc.jvp(arc.vmap(smooth))(x, v), np.sum(arc.vmap(arc.grad(smooth))(x) * v, axis=1), rtol=1e-11, atol=1e-12
    )


def test_kinks_and_singular_points_of_many_items():
    def arithmetic(x):
        return np.where(x > 0, np.sqrt(x), 0.0) + np.abs(x) + np.maximum(x, 0.0) + np.sqrt(x * x)

    def inverses(x):
        return np.sqrt(x) ** 2 + 1 / (1 / x)

    def overflow(x):
        return np.log(np.exp(x))

    x = np.concatenate([np.linspace(-2.0, 2.0, 101), [800.0, -0.0, 1e-310]])
    for of_item in (arc.compile(arithmetic), arc.grad(arithmetic), arc.compile(inverses)):
        np.testing.assert_array_equal(arc.vmap(of_item)(x), [of_item(item) for item in x])
    # An exponential in a loop of compiled code may differ from one by itself by a few units in the last place.
    for of_item in (arc.compile(overflow), arc.grad(overflow)):
        np.testing.assert_allclose(arc.vmap(of_item)(x), [of_item(item) for item in x], rtol=1e-15, atol=1e-15)


def test_matrices_and_several_results_of_many_items():
    A = RNG.normal(size=(130, 2, 3))

    def f(a):
        return {"product": np.tanh(a @ a.T), "first": a[0], "constant": np.ones(2)}

    together = arc.vmap(f, out_axes={"product": 0, "first": 1, "constant": 0})(A)
    np.testing.assert_allclose(together["product"], [np.tanh(a @ a.T) for a in A], rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(together["first"], A[:, 0].T)
    np.testing.assert_array_equal(together["constant"], np.ones((130, 2)))


def test_many_items_within_loops_and_rules():
    @arc.custom_jvp
    def cubes(x):
        return np.sum(arc.vmap(lambda item: item**3)(x))

    @cubes.defjvp
    def _(primals, tangents):
        return np.sum(primals[0] ** 3), np.sum(30 * primals[0] ** 2 * tangents[0])

    x = np.linspace(0.1, 1.0, 100)
    np.testing.assert_allclose(arc.grad(cubes)(x), 30 * x**2, rtol=1e-14)
    # A rule stays a rule in a model that CasADi differentiates.
    in_casadi = arc.compile(cubes).to_casadi(x)
    symbol = cs.MX.sym("x", 100)
    slope = cs.Function("slope", [symbol], [cs.gradient(in_casadi(symbol), symbol)])
    np.testing.assert_allclose(slope(x).full().ravel(), 30 * x**2, rtol=1e-14)

    def steps(x):
        return np.sum(arc.scan(lambda y, _: (arc.vmap(lambda item: np.sin(item) * item)(y), None), x, None, 40)[0])

    def by_hand(x):
        for _ in range(40):
            x = np.sin(x) * x
        return np.sum(x)

    np.testing.assert_allclose(arc.grad(steps)(x), arc.grad(by_hand)(x), rtol=1e-12)


def test_many_items_are_evaluated_in_lots():
    function = arc.vmap(arc.grad(smooth)).to_casadi(np.ones((1000, 3)))
    assert any(inner.name().startswith("lots_of") for inner in function.find_functions())


@pytest.mark.parametrize("mode", ["full", "r", "economic"])
def test_batches_of_slopes_that_read_structural_zeros(mode):
    """Of slopes of a factorisation parts are constants that a body closes over, and they are sparse."""

    def total(A):
        return sum(np.sum(np.sin(part)) for part in scipy.linalg.qr(A, mode=mode))

    matrices, directions = sample((2, 5, 3)), sample((2, 5, 3), seed=1)
    slopes = arc.vmap(lambda A, direction: arc.jvp(total)(A, direction))(matrices, directions)
    gradients = arc.vmap(arc.grad(total))(matrices)
    np.testing.assert_allclose(slopes, np.sum(gradients * directions, (1, 2)), rtol=1e-10)
    np.testing.assert_allclose(gradients[1], arc.grad(total)(matrices[1]), rtol=1e-12)
