"""The transforms by numeric methods: same arguments, trees and results as the symbolic ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse

import archimedes_grad as arc

A = np.arange(6.0).reshape(2, 3) / 3
X = np.array([0.3, -0.7, 1.1])


def scalar(x, A, scale=2.0):
    return scale * np.sum(np.sin(A @ x) ** 2)


def vector(x, A):
    return np.sin(A @ x) * x[0]


def tree(p):
    return np.sum(p["a"] ** 3) * p["b"] + p["rest"][0] ** 2


METHODS = ["finite", "adaptive", "complex"]
P = {"a": np.array([1.0, 2.0]), "b": 3.0, "rest": [2.0, "label"]}


def assert_trees_close(got, expected, rtol):
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key in expected:
            assert_trees_close(got[key], expected[key], rtol)
    elif isinstance(expected, tuple | list):
        assert type(got) is type(expected)
        for one, other in zip(got, expected, strict=True):
            assert_trees_close(one, other, rtol)
    elif expected is None:
        assert got is None
    else:
        assert type(got) is type(expected)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol, strict=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("transform", "function", "args", "keywords"),
    [
        (arc.grad, scalar, (X, A), {}),
        (arc.grad, scalar, (X, A), {"argnums": (1, 0)}),
        (arc.grad, scalar, (X, A, 3.0), {"argnames": "scale"}),
        (arc.value_and_grad, scalar, (X, A), {}),
        (arc.grad, tree, (P,), {}),
        (arc.jac, vector, (X, A), {}),
        (arc.jac, vector, (X, A), {"argnums": (0, 1)}),
        (arc.jac, lambda x: {"s": x[0] * x, "t": np.sum(x**2)}, (X,), {}),
        (arc.hess, scalar, (X, A), {}),
        (arc.hess, scalar, (X, A), {"argnums": (0, 1)}),
        (arc.hess, tree, (P,), {}),
        (arc.jvp, vector, (X, A, np.array([1.0, -2.0, 0.5])), {}),
        (arc.jvp, lambda x: {"s": x[0] * x, "t": np.sum(x**2)}, (X, np.array([1.0, -2.0, 0.5])), {}),
        (arc.vjp, vector, (X, A, np.array([1.0, -2.0])), {"argnums": (0, 1)}),
        (arc.hvp, scalar, (X, A, np.array([1.0, -2.0, 0.5])), {}),
    ],
)
def test_equal_to_the_symbolic_transform(transform, function, args, keywords, method):
    expected = transform(function, **keywords)(*args)
    # Second differences of values lose half the digits, first ones a third.
    rtol = 1e-6 if transform in (arc.hess, arc.hvp) else 1e-7
    assert_trees_close(transform(function, method=method, **keywords)(*args), expected, rtol)


def labelled(p):
    return {"value": p["a"] * p["b"], "none": None, "label": "text", "truth": True, "whole": 3, "nothing": []}


COTANGENT = {"value": np.array([1.0, -2.0]), "none": None, "label": None, "truth": None, "whole": 0.5, "nothing": []}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("transform", "more"), [
    (arc.jac, ()), (arc.jvp, ({"a": np.array([1.0, 0.5]), "b": -1.0, "rest": [1.0, None]},)), (arc.vjp, (COTANGENT,)),
], ids=["jac", "jvp", "vjp"])  # fmt: skip
def test_what_is_no_number_passes_through(transform, more, method):
    expected = transform(labelled)(P, *more)
    assert_trees_close(transform(labelled, method=method)(P, *more), expected, 1e-7)


NOTHING = np.zeros((0, 3))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("transform", "function", "args"), [
    (arc.grad, np.sum, (NOTHING,)), (arc.hess, lambda x: np.sum(x**2), (NOTHING,)), (arc.jac, lambda x: x, (NOTHING,)),
    (arc.jac, lambda x: x[:0], (X,)), (arc.jvp, lambda x: x * 2, (NOTHING, NOTHING)),
    (arc.vjp, lambda x: x[:0], (X, X[:0])),
    (arc.jvp, lambda x: x[:0], (X, X)), (arc.hvp, lambda x: np.sum(x**2), (NOTHING, NOTHING)),
    (arc.vjp, lambda x: np.sum(x), (NOTHING, 1.0)), (arc.grad, lambda p: np.sum(p[0]) * p[1], ((NOTHING, 2.0),)),
])  # fmt: skip
def test_arrays_of_no_entries(transform, function, args, method):
    assert_trees_close(transform(function, method=method)(*args), transform(function)(*args), 1e-7)


@pytest.mark.parametrize("method", ["symbolic", *METHODS, "auto"])
@pytest.mark.parametrize(("transform", "function", "args"), [
    (arc.vjp, lambda x: {"a": x}, (X, {"b": X})), (arc.vjp, lambda x: (x,), (X, [X])),
    (arc.vjp, lambda x: (x,), (X, X)),
    (arc.jvp, lambda p: p["a"], ({"a": X}, {"b": X})), (arc.jvp, lambda p: p[0], ([X], X)),
    (arc.hvp, lambda p: np.sum(p[0] ** 2), ([X], (X,))),
])  # fmt: skip
def test_a_direction_in_another_tree_is_refused(transform, function, args, method):
    with pytest.raises(ValueError, match="same structure and shapes"):
        transform(function, method=method)(*args)


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_sparse_results(method):
    jacobian = arc.jac(lambda A: A.T**2, sparse=True, method=method)(A)
    assert type(jacobian) is scipy.sparse.csc_array
    np.testing.assert_allclose(jacobian.toarray(), arc.jac(lambda A: A.T**2, sparse=True)(A).toarray(), atol=1e-8)
    if method != "auto":
        assert jacobian.nnz == np.count_nonzero(A)
    hessian, aux = arc.hess(lambda x: (np.sum(x**3), "aux"), has_aux=True, sparse=True, method=method)(X)
    assert type(hessian) is scipy.sparse.csc_array
    assert aux == "aux"
    np.testing.assert_allclose(hessian.toarray(), np.diag(6 * X), atol=1e-5)


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize(("call", "said"), [
    (lambda **how: arc.jac(lambda x, y: x * y, argnums=(0, 1), sparse=True, **how)(X, X), "one array argument"),
    (lambda **how: arc.hess(tree, sparse=True, **how)(P), "one array argument"),
    (lambda **how: arc.jac(lambda x: (x, x), sparse=True, **how)(X), "returns one array"),
])  # fmt: skip
def test_sparse_results_are_of_one_array(call, said, method):
    with pytest.raises(ValueError, match=said):
        call(method=method)


def test_messages_name_the_function():
    def cast(x):
        return np.sum(x.astype(float))

    with pytest.raises(TypeError, match=r"^cast discards the imaginary part"):
        arc.grad(cast, method="complex")(X)


def test_a_direction_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"direction 'v'.*\(2,\).*\(3,\)"):
        arc.jvp(vector, method="finite")(X, A, np.ones(2))


def test_a_black_box_that_cannot_be_traced():
    gradient = arc.grad(lambda x: math.sin(x) ** 2, method="adaptive")
    np.testing.assert_allclose(gradient(0.7), math.sin(1.4), rtol=1e-8)


def test_auto_is_symbolic_where_it_can_be():
    gradient = arc.grad(lambda x: np.sin(x), method="auto")
    assert gradient(0.7) == np.cos(0.7)


def test_auto_falls_back_once_with_a_warning_that_names_the_line():
    gradient = arc.grad(lambda x: math.sin(x), method="auto")
    with pytest.warns(arc.FallbackWarning, match=r"(?s)adaptive.*test_numeric_methods\.py.*np\.sin"):
        first = gradient(0.7)
    np.testing.assert_allclose([first, gradient(0.7)], math.cos(0.7), rtol=1e-8)


def test_has_aux_travels_along():
    function = lambda x: (np.sum(x**2), {"n": x.size})
    gradient, aux = arc.grad(function, has_aux=True, method="finite")(X)
    np.testing.assert_allclose(gradient, 2 * X, rtol=1e-8)
    (value, again), _ = arc.value_and_grad(function, has_aux=True, method="finite")(X)
    assert aux == again == {"n": 3}
    np.testing.assert_allclose(value, np.sum(X**2))


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_a_vector_output_is_refused_whatever_the_method(method):
    with pytest.raises(ValueError, match=r"(?s)\(3,\).*jac"):
        arc.grad(lambda x: x**2, method=method)(X)


@pytest.mark.parametrize(
    ("keywords", "named"),
    [
        ({"method": "magic"}, "adaptive"),
        ({"method": "finite", "step": 1.0}, "stepsize"),
        ({"method": "finite", "stepsize": -1.0}, "stepsize"),
        ({"method": "adaptive", "stepsize": 1.0}, "spacing"),
        ({"stepsize": 1.0}, "control_flow"),
    ],
)
def test_unknown_methods_and_options_name_the_valid_ones(keywords, named):
    with pytest.raises(ValueError, match=named):
        arc.grad(np.sin, **keywords)


def test_a_kink_is_told():
    with pytest.warns(RuntimeWarning):
        arc.grad(lambda x: abs(x), method="adaptive")(0.0)


def test_inside_a_traced_function_it_says_what_to_do():
    numeric = arc.grad(np.sin, method="finite")
    with pytest.raises(arc.TraceError, match="symbolic"):
        arc.grad(lambda x: numeric(x))(1.0)


@pytest.mark.parametrize("asked", ["explain", "graph", "sparsity", "to_casadi", "codegen"])
def test_what_needs_a_graph_is_refused_by_name(asked, tmp_path):
    arguments = (tmp_path / "gradient.c", np.ones(2)) if asked == "codegen" else (np.ones(2),)
    with pytest.raises(ValueError, match=rf"\.{asked}: method 'finite' calls the function at points and has no graph"):
        getattr(arc.grad(lambda x: np.sum(x**2), method="finite"), asked)(*arguments)


def test_an_automatic_derivative_reports_as_a_symbolic_one(tmp_path):
    jacobian = arc.jac(lambda x: x[1:] * x[:-1], method="auto")
    with pytest.raises(TypeError, match="has no sparse structure"):
        jacobian.sparsity(np.ones(3))
    assert jacobian.codegen(tmp_path / "jacobian.c", np.ones(3))[0].exists()


def test_auto_tells_of_the_graph_while_tracing_is_possible():
    slope = arc.grad(lambda x: np.sin(x) * x, method="auto")
    assert slope(1.0) == arc.grad(lambda x: np.sin(x) * x)(1.0)
    assert slope.explain(1.0).paths == 1
    assert slope.graph(1.0).n_operations > 0
    assert float(slope.to_casadi(1.0)(1.0)) == slope(1.0)
    slope.clear_cache()
    assert slope(1.0) == np.sin(1.0) + np.cos(1.0)


def test_auto_has_no_graph_to_tell_of_where_tracing_is_impossible():
    slope = arc.grad(lambda x: np.float64(math.sin(float(x))), method="auto")
    for _ in range(2):
        with pytest.warns(arc.FallbackWarning, match="differentiated numerically"):
            np.testing.assert_allclose(slope(1.0), np.cos(1.0), rtol=1e-9)
        for tell in (slope.explain, slope.graph, slope.to_casadi):
            with pytest.raises(ValueError, match="has no graph"):
                tell(1.0)
        slope.clear_cache()


@pytest.mark.parametrize("method", ["symbolic", "finite", "adaptive", "complex", "auto"])
def test_derivatives_are_methods_of_a_class(method):
    class Spring:
        stiffness = 3.0

        def energy(self, x):
            return self.stiffness * x**2

        force = arc.grad(energy, argnums=1, static_argnames="self", method=method)

    np.testing.assert_allclose(Spring().force(2.0), 12.0, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "v"),
    [(0.5, 1e6), (0.5, 1e100), (0.5, 1e-30), (1e8, 1e-8), (1e-8, 1.0)],
    ids=lambda number: f"{number:g}",
)
def test_directions_of_any_length(x, v, method):
    """Steps go by the argument, not by the length of the direction: it is 1e6 where that of a scaled model is."""
    scale = max(x, 1.0)
    slope = arc.jvp(lambda x: np.sin(x / scale), method=method)(x, v)
    np.testing.assert_allclose(slope, v / scale * np.cos(x / scale), rtol=1e-6)


def test_a_domain_is_that_of_the_arguments_along_a_direction_too():
    asked = []

    def root(x):
        asked.append(x)
        return math.sqrt(x)

    slope = arc.jvp(root, method="adaptive", domain=(0.0, None))(1e-4, -2.0)
    np.testing.assert_allclose(slope, -100.0, rtol=1e-8)
    assert min(asked) >= 0.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("transform", [arc.grad, arc.jac, arc.hess, arc.jvp, arc.vjp, arc.hvp])
def test_many_points_at_once(transform, method):
    def along(x):
        return np.sin(x) * x[..., ::-1]

    def total(x):
        return np.sum(along(x), axis=-1)

    function = total if transform in (arc.grad, arc.hess, arc.hvp) else along
    args = (X, np.array([2.0, 0.0, -1.0])) if transform in (arc.jvp, arc.vjp, arc.hvp) else (X,)
    got = transform(function, method=method, vectorized=True)(*args)
    np.testing.assert_allclose(got, transform(function)(*args), rtol=1e-6, atol=1e-7)
