"""How far values of compiled code may be from the interpreter's, operation by operation."""

import numpy as np
import pytest
from helpers import needs_compiler
from scipy import special

import archimedes_grad as arc

pytestmark = [needs_compiler, pytest.mark.usefixtures("own_cache")]

#: glibc states at most 4 units in the last place for its vector forms, and 1 for the others.
UNITS = 5

RNG = np.random.default_rng(11)
WIDE = np.concatenate([RNG.normal(size=10_000) * 10.0 ** RNG.uniform(-12, 2.5, 10_000), RNG.normal(size=10_000)])
OTHER = RNG.permutation(WIDE)
POSITIVE = np.abs(WIDE)
SMALL = np.clip(WIDE, -0.999, 0.999)


def units_between(got, expected):
    assert np.isfinite(expected).mean() > 0.9
    with np.errstate(invalid="ignore"):  # infinities less themselves
        return np.max(np.abs(got - expected) / np.spacing(np.abs(expected)), where=got != expected, initial=0.0)


@pytest.mark.parametrize(
    ("function", "args"),
    [(np.exp, [WIDE]), (np.log, [POSITIVE]), (np.sin, [WIDE]), (np.cos, [WIDE]), (np.tan, [WIDE]), (np.arcsin, [SMALL]),
     (np.arccos, [SMALL]), (np.arctan, [WIDE]), (np.sinh, [WIDE]), (np.cosh, [WIDE]), (np.tanh, [WIDE]),
     (np.arcsinh, [WIDE]), (np.arccosh, [POSITIVE + 1]), (np.arctanh, [SMALL]), (np.log1p, [POSITIVE]),
     (np.expm1, [WIDE]), (special.erf, [WIDE]), (np.power, [POSITIVE, np.clip(OTHER, -20, 20)]),
     (np.arctan2, [WIDE, OTHER]), (np.hypot, [WIDE, OTHER])],
)  # fmt: skip
def test_functions_differ_by_a_few_units_in_the_last_place(function, args):
    got, expected = (arc.compile(lambda *args: function(*args), engine=engine)(*args) for engine in ("native", "vm"))
    assert units_between(got, expected) <= UNITS


def test_arithmetic_is_the_same_bit_for_bit():
    def arithmetic(x, y):
        z = np.sqrt(x * x + y / x) - np.abs(y) * np.floor(x)
        return np.where(x > y, np.maximum(z, x) / y, z - np.minimum(y, 0.5) * x**3)

    for transform in (arc.compile, lambda f, engine: arc.vjp(lambda x: f(x, OTHER), engine=engine)):
        args = (WIDE, OTHER)
        got, expected = (transform(arithmetic, engine=engine)(*args) for engine in ("native", "vm"))
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("reduced", "shape"),
    [(np.sum, (1_000_000,)), (lambda x: np.sum(x, axis=1), (3, 300_000)), (lambda x: np.sum(x * x), (1_000_001,)),
     (lambda x: np.sum(x[::2]), (500_000,)), (np.mean, (1025,)), (lambda x: np.max(x) + np.sum(x), (200_000,))],
)  # fmt: skip
def test_rounding_errors_of_sums_hardly_grow_with_their_length(reduced, shape):
    x = RNG.uniform(size=shape)
    got = np.atleast_1d(arc.compile(lambda x: reduced(x), engine="native")(x))
    exact = np.atleast_1d(np.array(reduced(x.astype(np.longdouble)), dtype=float))
    # One partial sum of a million such numbers is off by some hundred units.
    assert np.all(np.abs(got - exact) <= 8 * np.spacing(exact))


def test_infinities_and_nan_survive_long_sums():
    for numbers, total in (([np.inf], np.inf), ([np.inf, -np.inf], np.nan), ([np.nan], np.nan), ([-np.inf], -np.inf)):
        x = np.ones(5_000)
        x[2_000 : 2_000 + len(numbers)] = numbers
        np.testing.assert_equal(float(arc.compile(lambda x: np.sum(x), engine="native")(x)), total)
