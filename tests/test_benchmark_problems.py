"""The problems of the benchmark suite: right without a peer at hand, and shown as they were measured."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import archimedes_grad as arc

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "rosenbrock": "10", "rosenbrock loop": "10", "exp sin": "1000", "logsumexp": "1000", "llsq": "n=1024 m=128",
    "k-means": "k=100 n=1000 d=8", "lstm": "2 layers of 14, 1024 steps", "ode": "n=1000, 100 steps",
    "ode by scan": "n=1000, 100 steps", "gaussian process": "n=50 d=4", "digits network": "64-100-10",
}  # fmt: skip


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.mark.parametrize("name", SMALL)
def test_the_gradient_is_the_slope_along_a_random_line(module, name):
    problem = module("problems").PROBLEMS[name]
    if name == "digits network":
        pytest.importorskip("sklearn")
    arguments = problem.sizes[SMALL[name]]()
    gradients = arc.grad(problem.function, problem.differentiated, static_argnames=problem.static or None)(*arguments)
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=np.shape(arguments[i])) for i in problem.differentiated]
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True))

    def along(step):
        moved = list(arguments)
        for i, direction in zip(problem.differentiated, directions, strict=True):
            moved[i] = arguments[i] + step * direction
        return problem.function(*moved)

    step = 1e-5
    difference = (8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))) / (12 * step)
    np.testing.assert_allclose(slope, difference, rtol=2e-6)


def test_the_mixture_is_the_one_written_with_one_matrix_at_a_time(module):
    """Against the same density from eigenvalues, products and sums of single points."""
    problems = module("problems")
    alphas, means, icf, points, gamma, m = problems.mixture_data(3, 2, 5)
    factors = problems.lower_triangles(icf, 3)
    expected = 0.0
    for point in points:
        terms = []
        for k in range(2):
            factor = np.diag(np.exp(icf[k, :3]))
            factor[1:, 0], factor[2, 1] = icf[k, 3:5], icf[k, 5]
            np.testing.assert_array_equal(factors[k], factor)
            terms.append(alphas[k] + np.log(np.linalg.det(factor)) - 0.5 * np.sum((factor @ (point - means[k])) ** 2))
        expected += np.logaddexp(*terms)
    expected -= 5 * (np.logaddexp(*alphas) + 1.5 * np.log(2 * np.pi))
    # The prior of Wishart with m = 0: freedom 4, scale gamma.
    from scipy.special import multigammaln

    constant = 12 * (np.log(gamma) - 0.5 * np.log(2.0)) - multigammaln(2.0, 3)
    expected += 0.5 * gamma**2 * np.sum(factors**2) - 2 * constant
    np.testing.assert_allclose(problems.gaussian_mixture(alphas, means, icf, points, gamma, m), expected, rtol=1e-12)


def test_the_page_shows_the_saved_figures(module):
    saved = json.loads((BENCHMARKS / "results" / "suite.json").read_text())
    assert (BENCHMARKS.parent / "docs" / "benchmarks.md").read_text() == module("pages").page(saved)
