"""Linear equations of compiled code, triangular and not: sizes that fill the blocks they are solved in, and others."""


import numpy as np
import pytest
import scipy.linalg
from helpers import needs_compiler

import archimedes_grad as arc

pytestmark = [needs_compiler, pytest.mark.usefixtures("modules_cache")]

RNG = np.random.default_rng(5)


def full(n):
    # No large diagonal: rows are exchanged at every step.
    return RNG.normal(size=(n, n))


def lower(n):
    return np.tril(RNG.normal(size=(n, n)) / n, -1) + np.diag(RNG.uniform(1.0, 2.0, n))


MATRICES = {
    "full": full,
    "lower": lower,
    "upper": lambda n: lower(n).T,
    "diagonal": lambda n: np.diag(1.0 + np.arange(n)),
}


@pytest.mark.parametrize("columns", [1, 5, 8, 70])
@pytest.mark.parametrize("n", [4, 63, 64, 65, 200])
@pytest.mark.parametrize("kind", MATRICES)
def test_solutions_solve_the_equations(kind, n, columns):
    matrix, sides = MATRICES[kind](n), RNG.normal(size=(n, columns))
    for turned in (False, True):
        native = arc.compile(lambda a, b, turned=turned: np.linalg.solve(a.T if turned else a, b), engine="native")
        solution = native(matrix, sides)
        assert native.explain(matrix, sides).engine == "native"
        given = matrix.T if turned else matrix
        # A backward error: of the size of rounding, whatever the matrix.
        scale = np.linalg.norm(given, 2) * np.linalg.norm(solution, axis=0) + np.linalg.norm(sides, axis=0)
        assert np.all(np.linalg.norm(given @ solution - sides, axis=0) <= 1e-14 * n * scale)


@pytest.mark.parametrize("n", [5, 150])
@pytest.mark.parametrize("kind", MATRICES)
def test_gradients_are_the_interpreters(kind, n):
    matrix, sides = MATRICES[kind](n), RNG.normal(size=(n, 3))

    def function(a, b):
        return np.sum(np.sin(np.linalg.solve(a, b))) + np.sum(np.linalg.solve(a.T, b[:, 0]) ** 2)

    expected = arc.grad(function, (0, 1), engine="vm")(matrix, sides)
    for got, wanted in zip(arc.grad(function, (0, 1), engine="native")(matrix, sides), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-9 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("n", [5, 64, 150])
def test_a_zero_on_the_diagonal_is_a_singular_triangle_and_no_singular_matrix(n):
    solution = arc.compile(np.linalg.solve, engine="native")
    exchanged = np.roll(np.diag(np.arange(1.0, n + 1)), 1, axis=0)
    np.testing.assert_allclose(solution(exchanged, np.ones(n)), np.linalg.solve(exchanged, np.ones(n)), rtol=1e-14)
    for triangle in (lower(n), lower(n).T):
        triangle[n - 1, n - 1] = 0.0
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            solution(triangle, np.ones(n))


def test_what_is_not_finite_stays_where_it_belongs():
    matrix, sides = lower(130), RNG.normal(size=(130, 9))
    sides[100, 3] = np.nan
    got = arc.compile(np.linalg.solve, engine="native")(matrix, sides)
    expected = scipy.linalg.solve_triangular(matrix, sides, lower=True, check_finite=False)
    # By the largest entries: single ones are what is left of sums that cancel.
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15 * np.nanmax(np.abs(expected)))
