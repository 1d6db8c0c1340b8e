"""scipy.stats in traced functions: values against SciPy, gradients by point and parameters, refusals by name."""

import numpy as np
import pytest
from helpers import check_gradient, check_second_order, check_value

import archimedes_grad as arc

stats = pytest.importorskip("scipy.stats")

#: Checked by every method; the others by two.
ALL = {"norm", "uniform", "lognorm", "triang"}
#: Distribution -> shape parameters; every method is checked by point, location, scale and shapes.
CONTINUOUS = {
    "norm": (), "laplace": (), "logistic": (), "cauchy": (), "expon": (), "uniform": (), "gumbel_r": (), "rayleigh": (),
    "lognorm": (0.7,), "weibull_min": (1.7,), "pareto": (2.3,), "truncexpon": (4.7,), "truncnorm": (-1.3, 2.1),
    "halfnorm": (), "invgauss": (1.4,), "powerlaw": (1.6,), "triang": (0.3,), "genextreme": (-0.1,),
}  # fmt: skip
#: Those whose probabilities have no derivative by a shape parameter in closed form: densities only.
DENSITIES = {
    "t": (4.3,), "gamma": (1.9,), "beta": (2.3, 1.7), "chi2": (3.4,), "invgamma": (2.5,), "f": (5.2, 7.3),
    "skewnorm": (1.2,), "vonmises": (2.2,), "crystalball": (2.0, 3.0), "nakagami": (1.4,),
}  # fmt: skip
DISCRETE = {
    "poisson": (2.3,), "binom": (8, 0.3), "bernoulli": (0.3,), "geom": (0.3,), "nbinom": (5, 0.4),
    "betabinom": (8, 2.1, 3.4), "zipf": (2.5,), "logser": (0.6,), "dlaplace": (0.8,),
}  # fmt: skip
LOCATION, SCALE = np.float64(0.13), np.float64(1.3)


def points(name, shapes):
    """Return points inside the support, apart from kinks, and one on each side of it."""
    return np.array([*getattr(stats, name).ppf([0.2, 0.55, 0.83], *shapes)]) * 1.3 + 0.17


def rows():
    every = "pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"
    for name, shapes in CONTINUOUS.items():
        yield from ((name, method, shapes) for method in (every if name in ALL else ("logpdf", "cdf")))
    for name, shapes in DENSITIES.items():
        yield from ((name, method, shapes) for method in ("pdf", "logpdf"))


@pytest.mark.parametrize(("name", "method", "shapes"), list(rows()))
def test_continuous(name, method, shapes):
    def function(x, location, scale, *shapes):
        return getattr(getattr(stats, name), method)(x, *shapes, loc=location, scale=scale)

    x = points(name, shapes)
    parameters = LOCATION, SCALE, *map(np.float64, shapes)
    check_gradient(function, x, *parameters)
    ends = [end for end in getattr(stats, name).support(*shapes) if np.isfinite(end)]
    outside = np.concatenate([x, [-1e3, 1e3, np.nan], ends])
    compiled = arc.compile(function)
    with np.errstate(all="ignore"):
        for location, scale, factor in ((0.13, 1.3, 1), (0, 1, 1), (0.13, -1, 1), (np.nan, 1, 1), (0.13, 1.3, -1)):
            given = [factor * shape for shape in parameters[2:]]
            arguments = outside, np.float64(location), np.float64(scale), *given
            np.testing.assert_allclose(compiled(*arguments), function(*arguments), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("method", ["pmf", "logpmf"])
@pytest.mark.parametrize(("name", "shapes"), list(DISCRETE.items()), ids=list(DISCRETE))
def test_discrete(name, shapes, method):
    counts = np.array([0, 1, 2, 3, 5])
    fixed = tuple(shape for shape in shapes if isinstance(shape, int))

    def function(*varied):
        return getattr(getattr(stats, name), method)(counts, *fixed, *varied)

    varied = [np.float64(shape) for shape in shapes[len(fixed):]]
    compiled = arc.compile(function)
    for factor in (1.0, 0.8, -1.0):
        arguments = [factor * shape for shape in varied]
        np.testing.assert_allclose(compiled(*arguments), function(*arguments), rtol=1e-11)
    inside = counts[np.isfinite(getattr(getattr(stats, name), method)(counts, *shapes))]
    check_gradient(lambda *v: getattr(getattr(stats, name), method)(inside, *fixed, *v), *varied)


@pytest.mark.skipif("_sf" not in vars(type(stats.logser)), reason="SciPy 1.16 states neither")
def test_a_distribution_that_states_what_is_left_alone():
    def function(p):
        return stats.logser.cdf(np.array([0, 1, 2, 3, 5]), p)

    for p in (0.6, 0.3):
        np.testing.assert_allclose(arc.compile(function)(p), function(p), rtol=1e-11)


@pytest.mark.parametrize("method", ["ppf", "isf"])
@pytest.mark.parametrize("name", ["norm", "logistic", "expon", "weibull_min", "uniform"])
def test_quantiles(name, method):
    shapes = CONTINUOUS[name]

    def function(q, location, scale):
        return getattr(getattr(stats, name), method)(q, *shapes, loc=location, scale=scale)

    check_gradient(function, np.array([0.1, 0.45, 0.9]), LOCATION, SCALE)
    with np.errstate(all="ignore"):
        check_value(function, np.array([-0.5, 0.0, 0.3, 1.0, 1.5]), LOCATION, SCALE)


def test_a_frozen_distribution_of_traced_parameters():
    data = np.array([0.3, 1.2, -0.4, 2.2])

    def loss(parameters):
        return -np.sum(stats.norm(loc=parameters[0], scale=np.exp(parameters[1])).logpdf(data))

    check_gradient(loss, np.array([0.4, -0.2]))
    check_second_order(loss, np.array([0.4, -0.2]))


def test_a_multivariate_normal_of_a_traced_mean():
    covariance = np.array([[2.0, 0.3], [0.3, 1.0]])
    x = np.array([[0.1, 0.2], [1.0, -0.3]])
    check_gradient(lambda mean: stats.multivariate_normal.logpdf(x, mean, covariance), np.array([0.3, -0.1]))


def test_one_path_for_all_parameters():
    gradient = arc.grad(lambda p: np.sum(stats.gamma.logpdf(np.array([0.5, 2.0]), p[0], scale=p[1])))
    for p in ([1.0, 2.0], [3.0, 0.5], [-1.0, 1.0]):
        gradient(np.array(p))
    assert "1 path" in str(gradient.explain(np.ones(2)))


def test_plain_arguments_go_to_scipy_itself():
    assert arc.compile(lambda x: x * stats.norm.pdf(0.3))(2.0) == 2.0 * stats.norm.pdf(0.3)


@pytest.mark.parametrize(("call", "named"), [
    (lambda x: stats.norminvgauss.cdf(x[0], 2.0, 1.0), "scipy.stats.norminvgauss.cdf has no formula"),
    (lambda x: stats.gamma.cdf(2.0, x[0]), "scipy.special.gammainc has no derivative by argument 0"),
])  # fmt: skip
def test_what_has_no_formula_says_so(call, named):
    with pytest.raises(arc.TraceError, match=named) as caught:
        arc.grad(call)(np.array([0.3]))
    assert __file__ in str(caught.value)
