"""scipy.special: values against SciPy, gradients and second derivatives, and behaviour where SciPy is not there."""

import math
import subprocess
import sys

import numpy as np
import pytest
from helpers import assert_same, check, check_gradient, check_second_order, check_value, sample

import archimedes_grad as arc

special = pytest.importorskip("scipy.special")

#: On either side of where functions and their formulas change: 0, a half, 1, 2.
REAL = np.array([-1.9, -0.93, -0.37, 0.42, 0.95, 1.35])
UNIT = np.array([-0.86, -0.41, -0.05, 0.19, 0.55, 0.91])
POSITIVE = np.array([0.31, 1.38, 0.87, 2.32, 0.62, 4.6])
PROBABILITY = (UNIT + 1) / 2
WIDE = np.array([-30.3, -1.1, 3.3, 11.7])
NEGATIVE = np.array([-0.3, -1.2, -5.4, 0.2])
ABOVE = 1 + POSITIVE
FAR = np.array([[0.0], [2000.0], [-900.0]])

ONE = {
    "erf": REAL, "erfc": REAL, "erfcx": REAL, "ndtr": REAL, "log_ndtr": REAL, "gammaln": POSITIVE, "loggamma": POSITIVE,
    "gamma": NEGATIVE, "rgamma": NEGATIVE, "digamma": POSITIVE, "psi": NEGATIVE, "expit": REAL, "log_expit": WIDE,
    "logit": PROBABILITY, "entr": POSITIVE, "exprel": REAL, "expm1": REAL, "log1p": POSITIVE, "cosm1": REAL,
    "exp2": REAL,
    "exp10": REAL, "cbrt": REAL, "zeta": ABOVE, "zetac": ABOVE,
    "erfinv": UNIT, "erfcinv": PROBABILITY, "ndtri": PROBABILITY, "ndtri_exp": -POSITIVE, "erfi": REAL, "dawsn": REAL,
    "i0": REAL, "i1": REAL, "i0e": REAL, "i1e": REAL, "k0": POSITIVE, "k1": POSITIVE, "k0e": POSITIVE, "k1e": POSITIVE,
    "j0": REAL, "j1": REAL, "y0": POSITIVE, "y1": POSITIVE, "expi": POSITIVE, "exp1": POSITIVE, "spence": POSITIVE,
    "ellipk": UNIT, "ellipe": UNIT, "wrightomega": REAL, "softplus": REAL,
}  # fmt: skip
ONE = {name: x for name, x in ONE.items() if hasattr(special, name)}

MORE = {
    "gammaln negative": (special.gammaln, NEGATIVE),
    "gammaln near 1 and 2": (special.gammaln, np.array([1.0001, 1.9999])),
    "xlogy": (special.xlogy, REAL, POSITIVE), "xlog1py": (special.xlog1py, REAL, POSITIVE),
    "rel_entr": (special.rel_entr, POSITIVE, POSITIVE[::-1].copy()),
    "kl_div": (special.kl_div, POSITIVE, POSITIVE[::-1].copy()),
    "beta": (special.beta, POSITIVE, ABOVE), "betaln": (special.betaln, POSITIVE, ABOVE),
    "binom": (special.binom, 5 + POSITIVE, POSITIVE), "poch": (special.poch, POSITIVE, ABOVE),
    "boxcox": (special.boxcox, POSITIVE, REAL), "boxcox1p": (special.boxcox1p, POSITIVE, REAL),
    "inv_boxcox": (special.inv_boxcox, POSITIVE, UNIT / 5), "inv_boxcox1p": (special.inv_boxcox1p, POSITIVE, UNIT / 5),
    "powm1": (special.powm1, POSITIVE, REAL), "huber": (special.huber, POSITIVE, REAL),
    "pseudo_huber": (special.pseudo_huber, POSITIVE, REAL), "zeta": (special.zeta, ABOVE, POSITIVE),
    "owens_t": (special.owens_t, REAL, POSITIVE), "broadcast": (special.xlogy, sample((3, 1)), sample((2,),
    "positive")),
    "scalar": (special.gammaln, np.float64(2.7)), "matrix": (special.digamma, sample((2, 3), "positive")),
    **{f"polygamma {n} of negative numbers": (lambda x, n=n: special.polygamma(n, x), NEGATIVE) for n in (1, 2, 3)},
    "comb": (special.comb, 5 + POSITIVE, POSITIVE), "comb of none": (lambda k: special.comb(1.5, k), 1 + 2 * POSITIVE),
    "comb with repetition": (lambda k: special.comb(3.5, k, repetition=True), POSITIVE),
    "perm": (special.perm, 5 + POSITIVE, POSITIVE), "factorial": (special.factorial, POSITIVE - 0.9),
    **{
        f"{name} {n} {derivative}": (lambda x, f=getattr(special, name), n=n, d=derivative: f(n, x, d), points)
        for name, points in (("spherical_jn", REAL), ("spherical_yn", REAL), ("spherical_in", REAL),
                             ("spherical_kn", POSITIVE))
        for n in (0, 1, 3) for derivative in (False, True)
    },
    "spherical_jn at 0": (lambda x: special.spherical_jn([0, 1, 2], x), np.zeros(3)),
    "betaincc": (lambda x: special.betaincc(1.5, 2.5, x), PROBABILITY),
    "betainccinv": (lambda x: special.betainccinv(1.5, 2.5, x), PROBABILITY),
    "chdtri": (lambda x: special.chdtri(3, x), PROBABILITY), "fdtr": (lambda x: special.fdtr(3, 5, x), POSITIVE),
    "fdtrc": (lambda x: special.fdtrc(3, 5, x), POSITIVE), "gdtr": (lambda a, x: special.gdtr(a, 2.5, x), POSITIVE,
    ABOVE),
    "gdtrc": (lambda a, x: special.gdtrc(a, 2.5, x), POSITIVE, ABOVE), "pdtr": (lambda x: special.pdtr(2, x), POSITIVE),
    "pdtrc": (lambda x: special.pdtrc(2, x), POSITIVE), "hyperu": (lambda x: special.hyperu(1.5, 0.5, x), POSITIVE),
    "struve": (lambda x: special.struve(1, x), POSITIVE), "struve 0.5": (lambda x: special.struve(0.5, x), POSITIVE),
    "modstruve": (lambda x: special.modstruve(1, x), POSITIVE), "ellipkm1": (special.ellipkm1, PROBABILITY),
    "ellipkinc": (lambda x: special.ellipkinc(x, 0.4), REAL), "ellipeinc": (lambda x: special.ellipeinc(x, 0.4), REAL),
    "polygamma 0": (lambda x: special.polygamma(0, x), POSITIVE),
    "polygamma 2": (lambda x: special.polygamma(2, x), POSITIVE),
    "multigammaln": (lambda x: special.multigammaln(x, 3), 1 + POSITIVE),
    "multigammaln scalar": (lambda x: special.multigammaln(x, 2), np.float64(2.2)),
    "logsumexp": (special.logsumexp, REAL), "logsumexp axis": (lambda x: special.logsumexp(x, axis=0), sample((3, 4))),
    "logsumexp keepdims": (lambda x: special.logsumexp(x, axis=(0, 1), keepdims=True), sample((3, 4))),
    "logsumexp b": (lambda x, b: special.logsumexp(x, b=b), REAL, POSITIVE),
    "logsumexp b axis": (lambda x: special.logsumexp(x, 1, np.array([1.0, 0.0, 2.0, 3.0])), sample((3, 4))),
    "logsumexp sign": (lambda x, b: special.logsumexp(x, b=b, return_sign=True)[0], REAL, -POSITIVE),
    "logsumexp, rows far apart": (lambda x: special.logsumexp(x + FAR, axis=1), sample((3, 4))),
    "softmax, rows far apart": (lambda x: special.softmax(x + FAR, axis=1), sample((3, 4))),
    "log_softmax, rows far apart": (lambda x: special.log_softmax(x + FAR, axis=1), sample((3, 4))),
    "softmax": (special.softmax, REAL), "softmax axis": (lambda x: special.softmax(x, axis=1), sample((3, 4))),
    "log_softmax": (special.log_softmax, REAL),
    "log_softmax axis": (lambda x: special.log_softmax(x, axis=-1), sample((3, 4))),
}  # fmt: skip
for _name, _first in (("iv", 1.5), ("ive", 2), ("kv", 0.5), ("kve", 1), ("jv", 2), ("yv", 0.5), ("jve", 1.5),
("yve", 1),
                      ("kn", 2), ("yn", 1), ("expn", 3), ("gammainc", 1.3), ("gammaincc", 2.2), ("hyp0f1", 1.5),
                      ("chdtr", 3), ("chdtrc", 3), ("stdtr", 4)):  # fmt: skip
    MORE[_name] = (lambda x, f=getattr(special, _name), n=_first: f(n, x), POSITIVE)
for _name, _first in (("gammaincinv", 1.3), ("gammainccinv", 2.2), ("stdtrit", 4)):
    MORE[_name] = (lambda x, f=getattr(special, _name), n=_first: f(n, x), PROBABILITY)
for _name in ("legendre", "chebyt", "chebyu", "hermite", "hermitenorm", "laguerre"):
    for _n in (0, 1, 4):
        MORE[f"eval_{_name} {_n}"] = (lambda x, f=getattr(special, f"eval_{_name}"), n=_n: f(n, x), UNIT)
MORE |= {
    "eval_gegenbauer": (lambda x: special.eval_gegenbauer(3, 0.7, x), UNIT),
    "eval_genlaguerre": (lambda x: special.eval_genlaguerre(3, 0.7, x), UNIT),
    "eval_jacobi": (lambda x: special.eval_jacobi(3, 0.7, 1.2, x), UNIT),
    "betainc": (lambda x: special.betainc(1.5, 2.5, x), PROBABILITY),
    "betaincinv": (lambda x: special.betaincinv(1.5, 2.5, x), PROBABILITY),
    "hyp1f1": (lambda x: special.hyp1f1(1.5, 2.5, x), REAL),
    "hyp2f1": (lambda x: special.hyp2f1(0.5, 1.5, 2.2, x), UNIT),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_of_one_argument(name):
    check(getattr(special, name), ONE[name], rtol=1e-11)


@pytest.mark.parametrize("name", MORE)
def test_of_more_arguments(name):
    function, *args = MORE[name]
    check(function, *args, rtol=1e-11)


@pytest.mark.parametrize("name", ONE)
def test_second_derivative_of_one_argument(name):
    check_second_order(getattr(special, name), ONE[name])


@pytest.mark.parametrize("name", MORE)
def test_second_derivative_of_more_arguments(name):
    function, *args = MORE[name]
    check_second_order(function, *args)


@pytest.mark.parametrize("name", ["gammaln", "digamma", "gamma", "erfc", "erfcx", "ndtr", "log_ndtr"])
def test_many_entries(name):
    function = getattr(special, name)
    few = np.array([-2.3, -0.7, 0.4, 1.8, 5.2])
    many = np.tile(few, 200)
    check_value(function, many, rtol=1e-11)
    slope = arc.grad(lambda x: np.sum(function(x)))
    np.testing.assert_allclose(slope(many), np.tile(slope(few), 200), rtol=1e-11)
    curvature = arc.grad(lambda x: np.sum(slope(x) * np.arange(x.size)))
    np.testing.assert_allclose(curvature(many)[:5], curvature(few), rtol=1e-9)


# --- special points -------------------------------------------------------------------------------

POINTS = np.array([-np.inf, -800.0, -40.0, -1.0, -0.0, 0.0, 1e-300, 1.0, 2.0, 40.0, 800.0, np.inf, np.nan])


@pytest.mark.parametrize("name", [
    "erf", "erfc", "ndtr", "log_ndtr", "expit", "log_expit", "entr", "expm1", "exp2", "gammasgn", "loggamma", "i0e",
    "erfcx",
])  # fmt: skip
def test_value_at_special_points(name):
    points = POINTS[np.abs(POINTS) > 0] if name == "gammasgn" else POINTS
    if name == "gammasgn":
        points = points[np.isfinite(points) & ((points > 0) | (points != np.rint(points)))]
    check_value(getattr(special, name), points, rtol=1e-11)


@pytest.mark.parametrize("name", ["gammaln", "digamma", "gamma", "rgamma", "erfc", "log_ndtr", "erfcx", "zeta"])
def test_small_and_large_arguments(name):
    points = np.array([1e-3, 0.3, 1.00001, 1.7, 2.0001, 6.6, 25.0, 90.0, 1e5, 1e100])
    check_value(lambda x: getattr(special, name)(x[x > 1] if name == "zeta" else x), points, rtol=1e-11)


def test_divergences_at_the_edges():
    x, y = np.array([0.0, 0.0, 1.0, -1.0, 2.0, np.nan]), np.array([0.0, 2.0, 0.0, 1.0, -1.0, 1.0])
    for function in (special.xlogy, special.rel_entr, special.kl_div):
        check_value(function, x, np.abs(y) if function is special.xlogy else y)
    gradient = arc.grad(lambda y: np.sum(special.xlogy(np.zeros(2), y)))
    np.testing.assert_array_equal(gradient(np.array([0.0, 1.0])), [0, 0])


@pytest.mark.parametrize(("name", "at", "slope"), [
    ("expit", 0.0, 0.25), ("log_expit", 0.0, 0.5), ("expit", -800.0, 0.0), ("log_ndtr", 0.0, math.sqrt(2 / math.pi)),
    ("erfc", 0.0, -2 / math.sqrt(math.pi)), ("exprel", 0.0, 0.5), ("i1", 0.0, 0.5), ("log_ndtr", -1e3, 1000.000999998),
    ("ellipk", 0.0, math.pi / 8), ("ellipe", 0.0, -math.pi / 8), ("spence", 1.0, -1.0),
    ("gammaln", 1.0, -np.euler_gamma),
    ("rgamma", 0.0, 1.0), ("erfc", 100.0, 0.0),
])  # fmt: skip
def test_slope_at_special_points(name, at, slope):
    np.testing.assert_allclose(arc.grad(getattr(special, name))(at), slope, rtol=1e-9, atol=1e-300)


def test_logsumexp_at_special_points():
    ties = np.array([2.0, 2.0, 1.0])
    check_gradient(special.logsumexp, ties)
    check_second_order(special.logsumexp, ties)
    for x in ([-np.inf, -np.inf], [np.inf, 1.0], [-np.inf, 3.0], [1000.0, 1000.0], [np.nan, 1.0]):
        check_value(special.logsumexp, np.array(x))
    for x in ([np.inf, 1.0], [1000.0, 1.0], [-np.inf, 1.0], [np.nan, 1.0]):
        check_value(lambda x: special.logsumexp(x, b=np.array([0.0, 2.0])), np.array(x))
        check_value(lambda x, b: special.logsumexp(x, b=b, return_sign=True), np.array(x), np.array([0.0, -2.0]))
    np.testing.assert_array_equal(arc.grad(special.logsumexp)(np.array([-np.inf, 3.0])), [0.0, 1.0])
    np.testing.assert_array_equal(arc.grad(special.logsumexp)(np.array([1000.0, 1000.0])), [0.5, 0.5])


# --- how they are called --------------------------------------------------------------------------


def test_functions_imported_by_name_and_whole_numbers():
    from scipy.special import logsumexp, softmax

    check(lambda x: logsumexp(x) + softmax(x)[0], REAL)
    check_value(special.gammaln, np.arange(1, 6))
    check_value(special.expit, np.float32(0.5))


def test_scipys_functions_are_restored():
    before = special.logsumexp.__code__

    def failing(x):
        assert special.logsumexp.__code__ is not before
        assert special.logsumexp(np.zeros(2)) == math.log(2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        arc.grad(failing)(1.0)
    assert special.logsumexp.__code__ is before


def test_arguments_without_a_derivative_are_refused():
    with pytest.raises(arc.TraceError, match="no derivative by argument 0"):
        arc.grad(lambda n: special.gammainc(n, 1.0))(2.0)
    with pytest.raises(arc.TraceError, match="a plain whole number as order"):
        arc.grad(lambda n: special.spherical_jn(n, 1.0))(2.0)
    with pytest.raises(arc.TraceError, match="kolmogorov has no rule"):
        arc.grad(special.kolmogorov)(1.0)
    with pytest.raises(arc.TraceError, match="order"):
        arc.grad(lambda n: special.polygamma(n, 1.0))(2.0)


def test_scipy_is_not_imported_with_the_library():
    code = "import sys, archimedes_grad as arc; arc.grad(lambda x: x * x)(1.0); assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


#: Two arguments each, at the ends of their domains: where SciPy gives a limit, so does the graph.
ENDS = [0.0, 0.5, 1.0, 2.0, np.inf]
AT_ENDS = {
    "beta": [(a, b) for a in ENDS for b in ENDS],
    "betaln": [(a, b) for a in ENDS for b in ENDS],
    "boxcox": [(x, k) for x in (0.0, 2.0, np.inf) for k in (-2.0, -0.5, 0.0, 0.5, 1.0, 2.0)],
    "boxcox1p": [(x, k) for x in (-1.0, 2.0, np.inf) for k in (-2.0, -0.5, 0.0, 0.5, 1.0, 2.0)],
    "inv_boxcox": [(y, k) for y in (-np.inf, -0.2, np.inf) for k in (-2.0, -0.5, 0.0, 0.5, 2.0)],
    "inv_boxcox1p": [(y, k) for y in (-np.inf, -0.2, np.inf) for k in (-2.0, -0.5, 0.0, 0.5, 2.0)],
    "xlogy": [(x, y) for x in (0.0, 1.0) for y in (-1.0, 0.0, 2.0, np.inf, np.nan)],
    "xlog1py": [(x, y) for x in (0.0, 1.0) for y in (-2.0, -1.0, 2.0, np.inf, np.nan)],
    "huber": [(d, r) for d in (-1.0, 0.0, 1.0, np.inf, np.nan) for r in (-2.0, 0.0, 0.5, np.inf)],
    "pseudo_huber": [(d, r) for d in (-1.0, 0.0, 2.0) for r in (-np.inf, 0.0, 1.0, 1e80, np.inf)],
    "powm1": [(x, y) for x in (-2.0, -1.0, 0.0, 1.0, 1.5, np.inf) for y in (-2.0, 0.0, 1.0, 3.0)],
    "zeta": [(s, q) for s in (1.0, 2.0, 3.5) for q in (-3.0, -1.0, 0.0, 0.5, np.inf)],
}


@pytest.mark.parametrize("name", AT_ENDS)
def test_two_arguments_at_the_ends_of_their_domains(name):
    function = getattr(special, name)
    points = np.array(AT_ENDS[name])
    with np.errstate(all="ignore"):
        expected = function(points[:, 0], points[:, 1])
    compiled = arc.compile(lambda a, b: function(a, b))
    assert_same(compiled(points[:, 0], points[:, 1]), expected, 1e-11)
    assert_same([compiled(*point) for point in points], list(expected), 1e-11)


SLOPES_AT_ENDS = [
    (special.boxcox, (0.0, 2.0), (0.0, 0.25)), (special.boxcox, (0.0, 1.0), (1.0, 1.0)),
    (special.boxcox, (0.0, 0.5), (np.inf, 4.0)), (special.boxcox1p, (-1.0, 2.0), (0.0, 0.25)),
    (special.powm1, (-2.0, 3.0), (12.0, np.nan)), (special.powm1, (2.0, 0.0), (0.0, np.log(2.0))),
    (special.pseudo_huber, (0.0, 1.0), (0.0, 0.0)), (special.pseudo_huber, (2.0, 1e101), (1e101, 2.0)),
    (special.inv_boxcox, (0.5, 0.0), (np.exp(0.5), -np.exp(0.5) / 8)), (special.xlogy, (0.0, 2.0), (np.log(2.0), 0.0)),
]


@pytest.mark.parametrize(("function", "at", "expected"), SLOPES_AT_ENDS)
def test_slopes_at_the_ends(function, at, expected):
    np.testing.assert_allclose(arc.grad(function, argnums=(0, 1))(*at), expected, rtol=1e-14)
    columns = arc.jac(function, argnums=(0, 1))(*(np.full(3, number) for number in at))
    for column, slope in zip(columns, expected, strict=True):
        np.testing.assert_allclose(np.diag(column), np.full(3, slope), rtol=1e-14)


@pytest.mark.parametrize("function", [
    lambda n: special.comb(20, n, exact=True), lambda n: special.comb(n + 4, n, exact=True, repetition=True),
    lambda n: special.perm(18, n, exact=True), lambda n: special.factorial(n, exact=True),
    lambda n: special.factorial(n, True),
], ids=["comb", "with repetition", "perm", "factorial", "by position"])  # fmt: skip
def test_counts_that_are_asked_for_exactly_are_exact(function):
    compiled = arc.compile(function)
    assert [compiled(n) for n in range(19)] == [function(n) for n in range(19)]
    weighted = arc.grad(lambda x, n: x * function(n))
    assert [weighted(1.0, n) for n in (3, 7, 3)] == [function(n) for n in (3, 7, 3)]


def test_factorials_of_an_array_are_exact():
    numbers = np.array([3, 13, 17])
    compiled = arc.compile(lambda n: special.factorial(n, exact=True))
    np.testing.assert_array_equal(compiled(numbers), special.factorial(numbers, exact=True))
