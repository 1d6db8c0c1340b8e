"""Where a derivative does not exist, or almost does not: what ``adaptive`` says then."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric import derivative, gradient


def step(x):
    return 1.0 if x > 0.5 else 0.0


@pytest.mark.parametrize(
    ("function", "x", "reason"),
    [
        (abs, 0.0, "kink"),
        (lambda x: max(x, 0.0), 0.0, "kink"),
        (lambda x: 1e3 * x + abs(x), 0.0, "kink"),
        (lambda x: np.sin(x) + abs(x - 2.0), 2.0, "kink"),
        (step, 0.5, "jumps"),
        (lambda x: np.sin(x) + step(x), 0.5, "jumps"),
        (np.floor, 2.0, "jumps"),
        (np.cbrt, 0.0, "without bound"),
        (np.sqrt, 0.0, "without bound"),
        (lambda x: np.sqrt(abs(x)), 0.0, "without bound"),
        (lambda x: 1.0 if x == 1 else math.nan, 1.0, "no finite values"),
        (lambda x: math.log(x) if x else -math.inf, 0.0, "no finite values"),
        (lambda x: math.inf, 0.0, "no finite values"),
        (lambda x: math.inf if x == 1 else x, 1.0, "any step resolves"),
    ],
)
def test_no_claim_without_a_derivative(function, x, reason):
    result = derivative(function, x)
    assert not result.success
    assert result.status == "failed"
    assert reason in result.message


def test_a_kink_is_bounded_by_its_slopes():
    result = derivative(lambda x: max(x, 0.0), 0.0)
    assert result.value == pytest.approx(0.5)
    assert result.error >= 0.5


def test_an_infinite_derivative_has_its_sign():
    assert derivative(np.cbrt, 0.0).value == np.inf
    assert derivative(lambda x: -np.sqrt(x), 0.0).value == -np.inf


@pytest.mark.parametrize(
    ("function", "x", "true"),
    [
        (np.log, 1e-30, 1e30),
        (math.log, 1e-4, 1e4),  # raises ValueError outside
        (math.sqrt, 1e-12, 0.5e6),
        (lambda x: math.sqrt(1 - x) * 1.0, 1 - 1e-9, -0.5 / math.sqrt(1 - (1 - 1e-9))),
        (lambda x: 1 / x if x else 1 / 0, 1e-6, -1e12),
        (lambda x: math.exp(x), 707.5, math.exp(707.5)),  # OverflowError above
    ],
)
def test_the_edge_of_the_domain_is_respected(function, x, true):
    result = derivative(function, x)
    assert result.success
    assert abs(result.value - true) <= min(result.error, 1e-7 * abs(true))


@pytest.mark.parametrize("x", [0.0, 1e-12])
def test_one_side_is_enough(x):
    def function(t):
        if t < 0:
            raise ValueError("negative")
        return math.sin(t)

    result = derivative(function, x)
    assert abs(result.value - math.cos(x)) <= min(result.error, 1e-8)
    if x == 0.0:
        assert result.status == "one-sided"
        assert "right" in result.message


@pytest.mark.parametrize(
    ("function", "x", "true"),
    [
        (lambda x: 5.0, 1.0, 0.0),
        (lambda x: 0.0, 1.0, 0.0),
        (lambda x: x * x, 0.0, 0.0),
        (np.cos, 0.0, 0.0),
        (lambda x: x * abs(x), 0.0, 0.0),
        (lambda x: x**1.5, 0.0, 0.0),
        (lambda x: 1 + x * x, 1e-8, 2e-8),
        (lambda x: np.hypot(x, 1e-8), 0.0, 0.0),
        (lambda x: abs(x), 1e-9, 1.0),
    ],
)
def test_vanishing_derivatives_are_covered(function, x, true):
    result = derivative(function, x)
    assert result.success
    assert abs(result.value - true) <= result.error
    assert result.error <= 1e-5


@pytest.mark.parametrize("frequency", [1e2, 1e4, 1e6, 2 * np.pi, 2 * np.pi * 64, 360.0, 22 / 7 * 1e3])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0, 25.0])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_fast_oscillations_are_not_mistaken_for_slow_ones(frequency, x, offset):
    result = derivative(lambda t: offset + np.sin(frequency * t), x)
    assert abs(result.value - frequency * math.cos(frequency * x)) <= result.error + 1e-15 * frequency**2 * x
    assert result.error <= 1e-3 * frequency


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_tiny_and_huge_values(scale):
    result = derivative(lambda x: scale * x, 2.0)
    assert abs(result.value / scale - 1) <= result.error / scale <= 1e-10


@pytest.mark.parametrize("x", [1e-200, 1e-20, 1e20, 1e100])
def test_tiny_and_huge_arguments(x):
    result = derivative(lambda t: 3.0 * t, x)
    assert result.value == pytest.approx(3.0, rel=1e-9)


def test_other_exceptions_come_through():
    def function(x):
        if x != 1.0:
            raise KeyError("missing")
        return x

    with pytest.raises(KeyError, match="missing") as caught:
        derivative(function, 1.0)
    assert "x0 = 1.0" in caught.value.__notes__[0]


def test_an_error_at_the_point_itself_is_not_a_matter_of_domain():
    with pytest.raises(ValueError, match="math domain error"):
        derivative(lambda x: math.sqrt(x), -1.0)


def test_the_parameter_is_named():
    result = gradient(lambda p: p[0] + abs(p[1]), [1.0, 0.0])
    assert not result.success
    assert "parameter 1" in result.message
    with pytest.warns(RuntimeWarning, match=r"parameter 1.*kink"):
        result.checked()
    with pytest.raises(FloatingPointError, match="parameter 1"):
        gradient(lambda p: p[0] + np.cbrt(p[1]), [1.0, 0.0]).checked()


def test_a_domain_is_never_left():
    seen = []

    def function(x):
        seen.append(x)
        return np.sin(x)

    result = derivative(function, 1.0, domain=(0.99, 1.001))
    assert min(seen) >= 0.99
    assert max(seen) <= 1.001
    assert abs(result.value - np.cos(1.0)) <= min(result.error, 1e-8)


def test_outputs_of_different_scales_each_find_their_own():
    frequencies = np.array([1e-2, 1.0, 1e3])
    result = derivative(lambda x: np.sin(frequencies * x), 0.7)
    true = frequencies * np.cos(frequencies * 0.7)
    assert (np.abs(result.value - true) <= result.error).all()
    assert (result.error <= 1e-8 * np.abs(true)).all()


def test_one_bad_output_does_not_spoil_the_others():
    result = derivative(lambda x: np.array([np.sin(x), abs(x)]), 0.0)
    assert not result.success
    assert abs(result.value[0] - 1.0) <= result.error[0] < 1e-10


NOT_FINITE = {
    "a pole": lambda x: 1 / np.float64(x),
    "a logarithm": lambda x: np.log(x),
    "infinite on one side": lambda x: np.inf if x > 0.01 else 1.0 * x,
    "infinite on both sides": lambda x: np.inf * np.sign(x - 0.01) if x != 0.01 else 0.0,
    "near overflow": lambda x: 1e308 * np.cos(100 * x),
    "two outputs": lambda x: np.array([1 / np.float64(x), x]),
}
OPTIONS = [
    *({"method": "finite", "extrapolation": e} for e in (None, "richardson", "ridders", "gre")),
    {"method": "finite", "return_error": True},
    {"method": "finite", "extrapolation": "ridders", "levels": 3, "return_error": True},
    {},
    {"spacing": 0.01, "n_points": 11},
    {"grid": ("offsets", [-0.01, 0.01, 0.02])},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("case", NOT_FINITE)
@pytest.mark.parametrize("order", [1, 2])
def test_what_is_not_finite_is_judged_without_warnings(case, options, order):
    result = derivative(NOT_FINITE[case], 0.01, order=order, **options)
    # The derivatives near overflow are beyond it.
    assert result.success <= (np.isfinite(result.value).all() or case == "near overflow")


EXTREME_STEPS = [{}, *({"method": "finite", "stepsize": h, "num_points": 7} for h in (1e-200, 1e200))]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("x", [0.0, 1.0, 1e-200, 1e100, 1e200, 1e300])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("options", EXTREME_STEPS)
def test_powers_of_steps_neither_overflow_nor_vanish(order, x, scale, options):
    result = derivative(lambda t: np.sin(scale * t), x, order=order, **options)
    if scale * x < 1e6 and not (scale > 1 and order > 1) and np.isfinite(result.error):
        true = np.float64(scale) ** order * np.sin(scale * x + order * np.pi / 2)
        assert not result.success or abs(result.value - true) <= result.error + 1e-300


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize(
    ("function", "x", "pole", "power"),
    [
        (lambda x: 1 / x, 1e-12, 0.0, 1),
        (lambda x: 1 / (x - 1), 1.0 + 2.0**-26, 1.0, 1),
        (lambda x: 1 / (x - 1), 1.0 - 2.0**-20, 1.0, 1),
        (lambda x: 1 / (x - 1) ** 2, 1.0 + 2.0**-10, 1.0, 2),
    ],
)
def test_higher_derivatives_close_to_a_pole(function, x, pole, power, order):
    """Leaps to smaller steps pass those that are small enough and not yet spoilt by rounding: they are gone back to."""
    rising = math.prod(range(power, power + order))
    true = (-1.0) ** order * rising / (x - pole) ** (power + order)
    result = derivative(function, x, order=order)
    assert result.success
    assert abs(result.value - true) <= result.error < 0.1 * abs(true)
