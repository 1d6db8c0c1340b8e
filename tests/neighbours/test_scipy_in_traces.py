"""What else of SciPy meets traced arrays: sparse matrices beside them, and functions that do not take them."""

import numpy as np
import pytest
from helpers import check, check_gradient

import archimedes_grad as arc

scipy = pytest.importorskip("scipy")
sparse = pytest.importorskip("scipy.sparse")

DENSE = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
X = np.array([0.3, -0.2, 0.7])


@pytest.mark.parametrize("form", ["csr_array", "csc_array", "coo_array", "bsr_array", "dia_array", "lil_array",
                                  "dok_array", "csr_matrix", "csc_matrix"])  # fmt: skip
def test_products_with_sparse_matrices(form):
    matrix = getattr(sparse, form)(DENSE)
    check(lambda x: matrix @ x, X)
    check(lambda x: x[:2] @ matrix, X)
    check(lambda x: matrix @ np.outer(x, x), X)
    check(lambda x: np.outer(x, x[:2]) @ matrix, X)
    check(lambda x: matrix.T @ (matrix @ x), X)


def test_a_product_has_the_pattern_of_the_matrix():
    matrix = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(100, 100)).tocsr()
    jacobian = arc.jac(lambda x: matrix @ x, sparse=True)(np.ones(100))
    assert jacobian.nnz == matrix.nnz
    np.testing.assert_array_equal(jacobian.toarray(), matrix.toarray())


def test_a_quadratic_form():
    matrix = sparse.csr_array(DENSE.T @ DENSE)
    check_gradient(lambda x: x @ (matrix @ x), X)


def _imported(name):
    return pytest.importorskip(f"scipy.{name}")


@pytest.mark.parametrize(("call", "function", "way_on"), [
    (lambda x: _imported("fft").fft(x), "scipy.fft.fft", "np.fft"),
    (lambda x: _imported("fft").dct(x), "scipy.fft.dct", "np.fft"),
    (lambda x: _imported("integrate").quad(lambda t: x[0] * t, 0, 1)[0], "scipy.integrate.quad", "leggauss"),
    (lambda x: _imported("integrate").solve_ivp(lambda t, y: -x[0] * y, (0, 1), [1.0]).y, "scipy.integrate.solve_ivp",
     "arc.odeint"),
    (lambda x: _imported("interpolate").CubicSpline([0, 1, 2], np.ones(3))(x), "scipy.interpolate.CubicSpline",
     "np.interp"),
    (lambda x: _imported("spatial.distance").cdist(x[:, None], x[:, None]), "scipy.spatial.distance.cdist",
     "a[:, None] - b"),
    (lambda x: _imported("sparse.linalg").spsolve(sparse.csc_array(np.eye(3)), x), "scipy.sparse.linalg.spsolve",
     "arc.linear_solve"),
    (lambda x: _imported("ndimage").gaussian_filter(x, 1.0), "scipy.ndimage.gaussian_filter", "arc.callback"),
    (lambda x: (sparse.csr_array(DENSE) * x[0]).toarray(), "got a traced value", "A @ x"),
])  # fmt: skip
def test_a_function_that_takes_no_traced_values_is_named(call, function, way_on):
    with pytest.raises(arc.TraceError) as caught:
        arc.grad(lambda x: np.sum(call(x)))(X)
    message = str(caught.value)
    assert function in message
    assert way_on in message
    assert __file__ in message


def test_what_scipy_raises_of_plain_arguments_stays_as_it_is():
    linalg = pytest.importorskip("scipy.linalg")
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        arc.grad(lambda x: np.sum(x) * linalg.inv(np.zeros((2, 2)))[0, 0])(X)
