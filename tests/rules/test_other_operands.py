"""Operators between traced values and objects of other classes: who is asked, as NumPy asks."""

import operator
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from helpers import check, check_value

import archimedes_grad as arc


class Reflecting:
    """Tells what it was asked."""

    def __init__(self, weight):
        self.weight = weight

    def __rmul__(self, other):
        return "times", other * self.weight

    def __gt__(self, other):
        return "less", other

    def __eq__(self, other):
        return "equal", other

    __hash__ = None
    __radd__ = __rsub__ = __rtruediv__ = __rpow__ = __rmod__ = __rfloordiv__ = __rmatmul__ = __rdivmod__ = __rmul__
    __lt__ = __le__ = __ge__ = __gt__
    __ne__ = __eq__


class OptingOut(Reflecting):
    __array_ufunc__ = None


class Prior(Reflecting):
    __array_priority__ = 5.0


class Plain:
    pass


OPERATORS = [
    operator.mul, operator.add, operator.sub, operator.truediv, operator.pow, operator.mod, operator.floordiv,
    operator.matmul, divmod, operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
]  # fmt: skip
BASIC = OPERATORS[:3]




@pytest.mark.parametrize("function", OPERATORS)
@pytest.mark.parametrize("other", [Reflecting(3.0), OptingOut(3.0), Prior(3.0)], ids=lambda other: type(other).__name__)
@pytest.mark.parametrize("x", [np.float64(2.0), np.array([1.0, 2.0])], ids=["number", "array"])
def test_who_is_asked(x, other, function):
    if isinstance(x, np.ndarray) and type(other) is Reflecting:
        with pytest.raises(arc.TraceError, match=r"(?s)a Reflecting.*__array_ufunc__ = None in the class Reflecting"):
            arc.compile(lambda x: function(x, other))(x)
        return
    names = []

    def told(x):
        name, seen = function(x, other)
        names.append(name)
        return seen * np.float64(1.0)

    check_value(told, x)
    assert len(set(names)) == 1


@pytest.mark.parametrize("function", BASIC)
@pytest.mark.parametrize("x", [np.float64(2.0), np.array([1.0, 2.0])], ids=["number", "array"])
def test_fractions_are_numbers(x, function):
    third = Fraction(1, 3)
    gradients = arc.grad(lambda x: np.sum(function(x, third) + function(third, x)))(x)
    np.testing.assert_allclose(gradients, arc.grad(lambda x: np.sum(function(x, 1 / 3) + function(1 / 3, x)))(x))
    assert np.all(arc.compile(lambda x: x > Fraction(1, 2))(x))


class Length(np.lib.mixins.NDArrayOperatorsMixin):
    """A quantity that takes all ufuncs and is no array."""

    def __init__(self, metres):
        self.metres = metres

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        inputs = [operand.metres if isinstance(operand, Length) else operand for operand in inputs]
        return Length(getattr(ufunc, method)(*inputs, **options))


@pytest.mark.parametrize("function", [operator.mul, operator.sub, operator.truediv, np.multiply, np.hypot])
@pytest.mark.parametrize("x", [np.float64(2.0), np.array([1.0, 2.0])], ids=["number", "array"])
def test_a_class_that_takes_ufuncs_is_asked_from_either_side(x, function):
    def metres(x):
        length = Length(x + 1.0)
        return function(x, length).metres + function(length, x).metres * np.exp(length).metres

    check(metres, x)


def test_fractions_are_compared_exactly_or_not_at_all():
    with pytest.raises(TypeError):
        arc.compile(lambda x: x == Fraction(1, 3))(1 / 3)


@pytest.mark.parametrize("function", [operator.mul, operator.add, operator.lt, operator.matmul])
@pytest.mark.parametrize("other", [Plain(), Decimal("0.5")], ids=["object", "decimal"])
@pytest.mark.parametrize("x", [2.0, np.array([1.0, 2.0])], ids=["number", "array"])
def test_who_cannot_answer(x, other, function):
    with pytest.raises((TypeError, ValueError)):
        arc.compile(lambda x: function(x, other))(x)


def test_an_object_that_compares_nothing_equals_no_number():
    def function(x):
        equal = x == Plain()
        return x if equal else x * 2 if x != Plain() else x * 3

    assert arc.compile(function)(3.0) == 6.0


def test_gradients_go_through_a_class_of_the_users():
    def energy(x):
        return (x[0] * OptingOut(3.0))[1] ** 2 + np.sum((x * OptingOut(2.0))[1])

    check(energy, np.array([0.5, -1.5]))
