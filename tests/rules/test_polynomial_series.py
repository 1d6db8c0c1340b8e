"""numpy.polynomial: functions and classes of its six families at traced points, and with traced coefficients."""

import numpy as np
import pytest
from helpers import assert_same, check, check_second_order, check_value, sample

import archimedes_grad as arc

FAMILIES = {
    "polynomial": ("poly", "Polynomial"), "chebyshev": ("cheb", "Chebyshev"), "legendre": ("leg", "Legendre"),
    "hermite": ("herm", "Hermite"), "hermite_e": ("herme", "HermiteE"), "laguerre": ("lag", "Laguerre"),
}  # fmt: skip
X, C, COLUMNS = sample((3,)), sample((4,), seed=1), sample((4, 3), seed=2)
GRID = sample((2, 3), seed=3)


def functions_of(family):
    """Return functions of a module by their names without the family's prefix, and its class."""
    prefix, name = FAMILIES[family]
    module = getattr(np.polynomial, family)

    def function(name):
        return getattr(module, prefix + name)

    return function, getattr(np.polynomial, name)


CASES = {
    "slopes of plain coefficients": (lambda f, P: lambda x: x * f("der")([1.0, 2.0, 0.5, 3.0])[:3], X),
    "an integral of plain coefficients": (lambda f, P: lambda x: x * f("int")([1.0, 2.0], k=0.5), X),
    "one series": (lambda f, P: lambda x, c: f("val")(x, c), X, C),
    "of as many columns as points": (lambda f, P: lambda x, c: f("val")(x, c), X, COLUMNS),
    "of columns in their place": (lambda f, P: lambda x, c: f("val")(x, c, tensor=False), X, COLUMNS),
    "at a grid": (lambda f, P: lambda x, c: f("val")(x, c), GRID, COLUMNS),
    "at a number": (lambda f, P: lambda x, c: f("val")(x[0], c), X, COLUMNS),
    "at a list": (lambda f, P: lambda x, c: f("val")([x[0], 1.0, x[1]], c), X, COLUMNS),
    "static points": (lambda f, P: lambda c: f("val")(GRID, c), COLUMNS),
    "in two variables": (lambda f, P: lambda x, c: f("val2d")(x, x, c), X, COLUMNS),
    "on a grid of two": (lambda f, P: lambda x, c: f("grid2d")(x, x[:2], c), X, COLUMNS),
    "vander": (lambda f, P: lambda x: f("vander")(x, 3), GRID),
    "vander of a number": (lambda f, P: lambda x: f("vander")(x, 2), np.float64(0.7)),
    "fit": (lambda f, P: lambda x, y: f("fit")(x, y, 1), X, sample((3,), seed=4)),
    "der": (lambda f, P: lambda c: f("der")(c), C),
    "der twice, scaled, in columns": (lambda f, P: lambda c: f("der")(c, 2, scl=3.0, axis=1), COLUMNS),
    "der to nothing": (lambda f, P: lambda c: f("der")(c, 5), C),
    "int": (lambda f, P: lambda c: f("int")(c), C),
    "int with constants": (lambda f, P: lambda c: f("int")(c, 2, k=[1.0, 2.0], lbnd=0.5, scl=2.0), C),
    "int of a constant": (lambda f, P: lambda c: f("int")(c), C[:1]),
    "int in columns": (lambda f, P: lambda c: f("int")(c, axis=1), COLUMNS),
    "sum and difference": (lambda f, P: lambda c: [f("add")(c, C[:2]), f("sub")(C[:2], c)], C),
    "sum and difference with a longer plain one": (lambda f, P: lambda c: [f("add")(c[0], C), f("sub")(C, c[:2])], X),
    "times x": (lambda f, P: lambda c: f("mulx")(c), C),
    "product": (lambda f, P: lambda c: [f("mul")(c, C), f("mul")(c, c[:2])], X),
    "power": (lambda f, P: lambda c: f("pow")(c, 3), X),
    "companion": (lambda f, P: lambda c: f("companion")(c), C),
    "companion of two": (lambda f, P: lambda c: f("companion")(c), C[:2]),
    "real roots": (lambda f, P: lambda c: np.real(f("roots")(c)), np.array([0.1, 3.0, 0.5])),
    "fromroots": (lambda f, P: lambda r: f("fromroots")(r), X),
    "class": (lambda f, P: lambda x: P(C)(x), GRID),
    "class on a domain": (lambda f, P: lambda x: P(C, domain=[0.0, 3.0])(x), X),
    "class, derivative": (lambda f, P: lambda x: P(C).deriv()(x) + P(C).integ(lbnd=0.5)(x), X),
    "class with traced coefficients": (lambda f, P: lambda c: P(c)(0.5) + P(c).deriv()(0.3), C),
    "class, fitted and converted": (
        lambda f, P: lambda y: P.fit(GRID.ravel(), y, 2).convert(kind=np.polynomial.Polynomial).coef, sample((6,)),
    ),
    "class, of another one": (lambda f, P: lambda c: P(c)(P(C))(0.3) - c[0] * P(C)(0.2) + (c[1] - P(C))(0.1), X),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_value_and_gradient(family, case):
    make, *args = CASES[case]
    check(make(*functions_of(family)), *args, rtol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_second_order(family):
    value = functions_of(family)[0]("val")
    check_second_order(lambda x: value(x, COLUMNS), X)


def test_complex_roots_and_real_ones():
    function = np.polynomial.Polynomial

    def distance(c):
        return np.sum(np.abs(function(c).roots()[1:] - 1.0) ** 2)

    for c in ([0.5, -1.0, 2.0], [2.0, 3.0, 1.0], [1.0, 1.0, 1.0, 3.0]):
        check(distance, np.array(c))
        assert_same(arc.compile(lambda c: function(c).roots())(np.array(c)), function(c).roots(), rtol=1e-12)


@pytest.mark.parametrize("c", [C, np.array([0.5, 2.0, 0.0]), np.zeros(2)], ids=["all", "zeros at the end", "zero"])
@pytest.mark.parametrize("family", FAMILIES)
def test_zeros_at_the_end_are_no_coefficients(family, c):
    check_value(lambda c: functions_of(family)[0]("mulx")(c), c)


@pytest.mark.parametrize("roots", [X[:2], COLUMNS], ids=["roots", "columns of roots"])
def test_values_by_roots(roots):
    check(lambda x, r: np.polynomial.polynomial.polyvalfromroots(x, r), X, roots)


def test_numpys_own_error_where_points_have_too_many_axes():
    def call(x):
        return np.polynomial.polynomial.polyvalfromroots(x, X, tensor=False)

    with pytest.raises(ValueError, match=r"x\.ndim must be"):
        arc.compile(call)(X)


def test_without_a_trace_they_are_numpys():
    value = np.polynomial.chebyshev.chebval
    before = value.__code__
    arc.grad(lambda x: value(x, C))(0.5)
    assert value.__code__ is before
    assert_same(value(X, COLUMNS), np.polynomial.chebyshev.chebval(X, COLUMNS))


def test_what_has_no_rule_says_so():
    with pytest.raises(arc.TraceError):
        arc.compile(lambda c: np.polynomial.chebyshev.chebdiv(C, c)[0])(X)
