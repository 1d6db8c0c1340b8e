"""Roots, linear systems and differential equations: against closed forms, and failures that raise."""

import numpy as np
import pytest
import scipy.sparse

import archimedes_grad as arc
from archimedes_grad import TraceError

RNG = np.random.default_rng(11)


# --- implicit_root ----------------------------------------------------------------------------------


def square_root(a):
    return arc.implicit_root(lambda x, a: x**2 - a, 1.0, a)


@pytest.mark.parametrize("a", [0.3, 4.0, 100.0])
def test_derivatives_of_a_root(a):
    assert square_root(a) == pytest.approx(np.sqrt(a), rel=1e-12)
    assert arc.grad(square_root)(a) == pytest.approx(0.5 / np.sqrt(a), rel=1e-11)
    assert arc.hess(square_root)(a) == pytest.approx(-0.25 * a**-1.5, rel=1e-10)
    assert arc.jvp(square_root)(a, 2.0) == pytest.approx(1 / np.sqrt(a), rel=1e-11)


def test_systems_trees_and_closures():
    def f(p, b):
        def residual(x, p):
            return np.array([x[0] ** 2 + x[1] ** 2 - p["a"], x[0] - b * x[1]])

        return arc.implicit_root(residual, np.ones(2), p)

    y = np.sqrt(2.0 / (1 + 1.3**2))
    np.testing.assert_allclose(f({"a": 2.0}, 1.3), [1.3 * y, y], rtol=1e-11)
    arc.check_grads(f, ({"a": 2.0}, 1.3))


def test_matrices_keep_their_shape():
    A = RNG.normal(size=(3, 2)) + 3

    def f(A):
        return arc.implicit_root(lambda X, A: X + 0.1 * np.sin(X) - A, np.zeros((3, 2)), A)

    X = f(A)
    np.testing.assert_allclose(X + 0.1 * np.sin(X), A, rtol=1e-12)
    arc.check_grads(f, (A,), order=1)


def test_the_start_has_no_derivative():
    assert arc.grad(lambda x0: arc.implicit_root(lambda x: x**3 - 8, x0))(1.5) == 0.0


def test_roots_mapped_and_in_branches():
    a = np.array([1.0, 4.0, 9.0])
    np.testing.assert_allclose(arc.vmap(arc.grad(square_root))(a), 0.5 / np.sqrt(a), rtol=1e-10)
    f = arc.compile(lambda a: arc.cond(a > 0, square_root, lambda a: a, a))
    assert f(4.0) == pytest.approx(2.0)
    assert f(-3.0) == -3.0


@pytest.mark.parametrize("transform", [arc.compile, arc.grad])
def test_a_solve_that_fails_raises_and_the_next_call_is_right(transform):
    f = transform(square_root)
    with pytest.raises(np.linalg.LinAlgError, match="no root was found"):
        f(-1.0)
    assert f(4.0) == pytest.approx(2.0 if transform is arc.compile else 0.25)


def test_one_item_that_fails_raises():
    with pytest.raises(np.linalg.LinAlgError, match="no root was found"):
        arc.vmap(square_root)(np.array([1.0, -1.0]))


def test_a_singular_start_raises():
    with pytest.raises(np.linalg.LinAlgError, match="no root was found"):
        arc.implicit_root(lambda x: x**2 - 1, 0.0)


def test_bad_residuals():
    with pytest.raises(ValueError, match=r"as many entries as x has, 2; got shape \(3,\)"):
        arc.implicit_root(lambda x: np.ones(3) * x[0], np.ones(2))
    with pytest.raises(TypeError, match="x0"):
        arc.implicit_root(lambda x: x, "start")
    with pytest.raises(TypeError, match="must be a function"):
        arc.implicit_root(1.0, 2.0)


# --- linear_solve -----------------------------------------------------------------------------------


SPARSE = scipy.sparse.csc_array(scipy.sparse.random(30, 30, 0.1, random_state=1) + 3 * np.eye(30))


@pytest.mark.parametrize("shape", [(30,), (30, 2)])
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_sparse_systems(shape, kind):
    b = RNG.normal(size=shape)
    A = SPARSE.asformat(kind)
    expected = np.linalg.solve(SPARSE.toarray(), b)
    np.testing.assert_allclose(arc.linear_solve(A, b), expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(arc.compile(lambda b: arc.linear_solve(A, b))(b), expected, rtol=1e-10, atol=1e-13)
    w = RNG.normal(size=shape)
    gradient = arc.vjp(lambda b: arc.linear_solve(A, b))(b, w)
    np.testing.assert_allclose(gradient, np.linalg.solve(SPARSE.toarray().T, w), rtol=1e-10, atol=1e-13)
    arc.check_grads(lambda b: arc.linear_solve(A, b) ** 2, (b,))


@pytest.mark.parametrize("shape", [(30,), (30, 2)])
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_entries_of_a_sparse_matrix(shape, kind):
    structure, b = SPARSE.asformat(kind), RNG.normal(size=shape)
    data = structure.data * 1.5
    dense = structure.copy()
    dense.data = np.arange(1, structure.nnz + 1)
    dense = dense.toarray()

    def by_dense(data, b):
        return np.linalg.solve(np.concatenate([np.zeros(1), data])[dense], b)

    def by_sparse(data, b):
        return arc.linear_solve((data, structure), b)

    np.testing.assert_allclose(by_sparse(data, b), by_dense(data, b), rtol=1e-10, atol=1e-13)
    for argument in (0, 1):
        expected = arc.jac(by_dense, argument)(data, b)
        np.testing.assert_allclose(arc.jac(by_sparse, argument)(data, b), expected, rtol=1e-8, atol=1e-11)
    w = RNG.normal(size=shape)
    for found, expected in zip(
        arc.vjp(by_sparse, (0, 1))(data, b, w), arc.vjp(by_dense, (0, 1))(data, b, w), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-11)


def test_second_derivatives_by_the_entries_of_a_sparse_matrix():
    structure = scipy.sparse.diags_array([np.ones(4), 4 * np.ones(5), np.ones(4)], offsets=[-1, 0, 1]).tocsc()
    arc.check_grads(lambda data, b: arc.linear_solve((data, structure), b) ** 2, (structure.data, np.arange(5.0)))


def test_bad_entries_of_a_sparse_matrix():
    structure = scipy.sparse.csc_array(np.diag([1.0, 2.0, 3.0]))
    solved = arc.compile(lambda data: arc.linear_solve((data, structure), np.ones(3)))
    np.testing.assert_allclose(solved(np.array([1.0, 2.0, 4.0])), [1.0, 0.5, 0.25])
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        solved(np.array([1.0, 0.0, 4.0]))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        arc.linear_solve((np.array([1.0, 0.0, 4.0]), structure), np.ones(3))
    with pytest.raises(ValueError, match=r"data has shape \(4,\).*shape \(3,\)"):
        arc.linear_solve((np.ones(4), structure), np.ones(3))
    twice = scipy.sparse.coo_array((np.ones(2), ([0, 0], [0, 0])), shape=(1, 1))
    with pytest.raises(ValueError, match="stores an entry twice"):
        arc.linear_solve((np.ones(2), twice), np.ones(1))


def test_dense_systems():
    arc.check_grads(arc.linear_solve, (RNG.normal(size=(3, 3)) + 3 * np.eye(3), np.ones(3)))


def test_singular_sparse_systems():
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        arc.linear_solve(scipy.sparse.csc_array((3, 3)), np.ones(3))
    with pytest.raises(ValueError, match=r"\(30, 30\) and b of \(4,\)"):
        arc.linear_solve(SPARSE, np.ones(4))


# --- odeint -----------------------------------------------------------------------------------------


T = np.linspace(0.0, 2.0, 5)


def oscillator(x0, w):
    return arc.odeint(lambda x, t, w: np.array([x[1], -(w**2) * x[0]]), x0, T, w)


def test_an_oscillator():
    states = oscillator(np.array([1.0, 0.0]), 1.5)
    assert states.shape == (5, 2)
    np.testing.assert_allclose(states[:, 0], np.cos(1.5 * T), atol=1e-6)
    np.testing.assert_allclose(states[:, 1], -1.5 * np.sin(1.5 * T), atol=1e-6)


def test_sensitivities_forward_and_adjoint():
    x0 = np.array([1.0, 0.0])
    expected = -T * np.sin(1.5 * T)
    np.testing.assert_allclose(arc.jvp(oscillator, 1)(x0, 1.5, 1.0)[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(arc.jac(oscillator, 1)(x0, 1.5)[:, 0], expected, atol=1e-5)
    last = arc.grad(lambda w: oscillator(x0, w)[-1, 0])
    assert last(1.5) == pytest.approx(expected[-1], abs=1e-5)
    start = arc.jac(lambda x0: oscillator(x0, 1.5)[-1])(x0)
    np.testing.assert_allclose(start[0], [np.cos(3.0), np.sin(3.0) / 1.5], atol=1e-5)
    assert arc.hess(lambda w: oscillator(x0, w)[-1, 0])(1.5) == pytest.approx(-4 * np.cos(3.0), abs=1e-3)


def test_time_closures_and_scalar_states():
    def f(a):
        return arc.odeint(lambda x, t: a * np.cos(t), 0.0, T)

    np.testing.assert_allclose(f(2.0), 2 * np.sin(T), atol=1e-7)
    np.testing.assert_allclose(arc.jac(f)(2.0), np.sin(T), atol=1e-6)


@pytest.mark.parametrize("solver", [
    lambda q, p: arc.odeint(lambda x, t: np.where(q > 0.1, -p, p) * x, 1.0, T)[-1],
    lambda q, p: arc.odeint(lambda x, t, q, p: np.where(np.sum(q) > 0.1, -p, p) * x, 1.0, T, np.array([q, 1.0]), p)[-1],
    lambda q, p: arc.implicit_root(lambda r: r - np.where(q > 0.1, p, 2 * p), 1.0),
    lambda q, p: arc.implicit_root(lambda r, q, p: r - np.where(np.sum(q) > 0.1, p, 2 * p), 1.0, np.array([q, 0.0]), p),
])  # fmt: skip
def test_what_an_equation_only_compares_may_be_singular(solver):
    def function(a):
        return solver(np.sqrt(a[0]), a[1]) + a[0]

    at, near = np.array([0.0, 0.7]), np.array([1e-14, 0.7])
    for derivative in (arc.grad, arc.jac):
        np.testing.assert_allclose(derivative(function)(at), derivative(function)(near), rtol=1e-6)


def test_an_integrator_that_fails_raises_with_its_status(capfd):
    def last(x):
        return arc.odeint(lambda x, t: x * x, x, np.array([0.0, 1.0, 2.0]))[-1]

    # When it is traced, and in later calls.
    with pytest.raises(RuntimeError, match=r"stopped before the last time with CV_.* finite solution .* ask for more"):
        last(1.0)
    for transform in (arc.compile, arc.grad):
        compiled = transform(last)
        assert compiled(0.1) == pytest.approx(0.125 if transform is arc.compile else 1.5625, rel=1e-6)
        with pytest.raises(RuntimeError, match=r"stopped before the last time with CV_"):
            compiled(1.0)


def test_bad_equations():
    with pytest.raises(ValueError, match=r"the shape of x, \(2,\); got shape \(3,\)"):
        arc.odeint(lambda x, t: np.ones(3), np.ones(2), T)
    with pytest.raises(ValueError, match="increasing"):
        arc.odeint(lambda x, t: x, 1.0, T[::-1])
    with pytest.raises(TraceError, match="odeint: t is a traced value"):
        arc.grad(lambda t: arc.odeint(lambda x, t: x, 1.0, np.array([0.0, t]))[-1])(1.0)


@pytest.mark.parametrize("unit", [1e-100, 1e-13, 1.0, 1e6])
def test_roots_in_any_units(unit):
    """CasADi takes pivots below 1e-12 for 0: derivatives of roots whose equations are in small units failed."""

    def root(a):
        return arc.implicit_root(lambda x, a: unit * (x**2 - a), 1.5, a, tol=unit * 1e-9)

    assert arc.grad(root)(4.0) == pytest.approx(0.25, rel=1e-6)
    assert arc.jvp(root)(4.0, 1.0) == pytest.approx(0.25, rel=1e-6)
    assert arc.hess(root)(4.0) == pytest.approx(-0.03125, rel=1e-6)


@pytest.mark.parametrize(
    ("f", "start"), [(lambda x, a: a, 1.0), (lambda x, a: np.array([x[0] - a, x[0] + a]), np.ones(2))]
)
def test_equations_that_do_not_determine_a_root_are_told(f, start):
    with pytest.raises(ValueError, match="<lambda> does not determine x"):
        arc.implicit_root(f, start, 2.0)


def test_a_root_without_entries():
    def root(a):
        return arc.implicit_root(lambda x, a: x * a, np.zeros((0, 2)), a)

    assert root(2.0).shape == arc.compile(root)(2.0).shape == (0, 2)
    assert arc.grad(lambda a: a + np.sum(root(a)))(2.0) == 1.0


def test_a_state_without_entries():
    def states(x):
        return arc.odeint(lambda x, t: -x, x, [0.0, 1.0, 2.0])

    assert states(np.zeros((2, 0))).shape == arc.compile(states)(np.zeros((2, 0))).shape == (3, 2, 0)
