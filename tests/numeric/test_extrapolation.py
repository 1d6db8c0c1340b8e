"""The schemes of extrapolation, each against its definition written down a second time."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric.extrapolation import DEVIATIONS, extrapolate

LEVELS = 5


def quotients(*functions, rounding=1e-13):
    """Quotients whose entries are functions of the step."""

    def quotient(level):
        h = 0.5**level
        return np.array([f(h) for f in functions]), np.full(len(functions), rounding)

    return quotient


def listed(*rows, rounding=0.0):
    return lambda level: (np.atleast_1d(np.array(rows[level], dtype=float)), np.array([rounding]))


SMOOTH = (
    lambda h: 1 + h**2,
    lambda h: math.cos(3 * h),
    lambda h: math.exp(h * h) - 2 * h**4,
    lambda h: 1e6 + math.cos(9 * h),
    lambda h: math.cos(20 * h),
    lambda h: 5 + 1e-3 * (h**2 + (h > 0.4)),
    lambda h: -2 * h**2 - 3e-4 * math.cos(40 / (h + 0.1)),
)


def process(q, rounding, power):
    """The limit of a Gaussian process and its deviation: generalised least squares and restricted likelihood."""
    steps = 0.5 ** np.arange(len(q))
    q = q - q[-1]
    unit = np.ptp(q)
    one, found = np.ones(len(q)), []
    for length in (0.5, 1.0, 2.0, 4.0):
        shape = np.exp(-((steps[:, None] - steps[None, :]) ** 2) / (2 * length**2)) + 1e-12 * np.eye(len(q))
        shape = shape * np.outer(steps**power, steps**power)
        variance = unit**2
        for _ in range(4):
            inverse = np.linalg.inv(shape + np.diag(rounding**2) / variance)
            precision = one @ inverse @ one
            mean = one @ inverse @ q / precision
            variance = max((q - mean) @ inverse @ (q - mean) / (len(q) - 1), 1e-30 * unit**2)
        minus_logarithm = -np.linalg.slogdet(inverse)[1]
        likelihood = -((len(q) - 1) * math.log(variance) + minus_logarithm + math.log(precision)) / 2
        found.append((likelihood, mean, math.sqrt(variance / precision)))
    return found


@pytest.mark.parametrize("power", [2, 4])
@pytest.mark.parametrize("rounding", [1e-9, 1e-4, 0.03])
@pytest.mark.parametrize("function", range(len(SMOOTH)))
def test_the_gaussian_process_of_greatest_likelihood(function, rounding, power):
    quotient = quotients(SMOOTH[function], rounding=rounding)
    found = extrapolate(quotient, "gauss-richardson", power, LEVELS, stop_early=False)
    q = np.array([quotient(level)[0][0] for level in range(LEVELS)])
    _, mean, deviation = max(process(q, np.full(LEVELS, rounding), power))
    np.testing.assert_allclose(found.value - q[-1], mean, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(found.error, DEVIATIONS * deviation + rounding, rtol=1e-4)


@pytest.mark.parametrize("scheme", ["richardson", "ridders", "gauss-richardson"])
def test_outputs_do_not_see_each_other(scheme):
    noisy = (lambda h: 1 + h**2 + 1e-3 * math.cos(1e3 / h), lambda h: 2.0, lambda h: math.nan)
    together = extrapolate(quotients(*SMOOTH, *noisy), scheme, 2, LEVELS, stop_early=False)
    for k, function in enumerate((*SMOOTH, *noisy)):
        alone = extrapolate(quotients(function), scheme, 2, LEVELS, stop_early=False)
        np.testing.assert_array_equal(together.value[k], alone.value[0])
        np.testing.assert_array_equal(together.error[k], alone.error[0])


def test_the_gaussian_process_of_equal_or_undefined_quotients():
    equal = extrapolate(listed(3.0, 3.0, 3.0, rounding=0.1), "gre", 2, 3, stop_early=False)
    assert (equal.value, equal.error) == (3.0, 0.1)
    undefined = extrapolate(listed(3.0, np.nan, 4.0), "gre", 2, 3, stop_early=False)
    assert undefined.value == 4.0
    assert np.isnan(undefined.error)


def test_ridders_takes_the_entry_with_the_least_error():
    # Column 1 is (4 * lower - upper) / 3; errors are the larger of the distances to the two entries it is made of.
    found = extrapolate(listed(4.0, 1.0, 1.0, 4.0), "ridders", 2, 4, stop_early=False)
    assert [float(row[1][0]) for row in found.entries[1:]] == [0.0, 1.0, 5.0]
    assert (found.value, found.error) == (1.0, 0.0)
    found = extrapolate(listed(4.0, 1.0, 1.0, 4.0, rounding=0.25), "ridders", 2, 4, stop_early=False)
    assert (found.value, found.error) == (1.0, 0.25)


EARLY = {
    # errors of the levels from 1 on, how many levels are looked at, how many are kept
    "less than halved at once": ([8.0, 5.0, 1.0, 1.0], 3, 3),
    "just halved": ([8.0, 4.0, 1.0, 1.0], 3, 3),
    "larger at once": ([8.0, 9.0, 1.0, 1.0], 3, 2),
    "as large": ([8.0, 8.0, 1.0, 1.0], 3, 2),
    "larger later": ([64.0, 16.0, 17.0, 1.0], 4, 3),
    "less than halved later": ([64.0, 16.0, 9.0, 1.0], 4, 4),
    "more than halved to the end": ([64.0, 16.0, 4.0, 1.0], 5, 5),
}


@pytest.mark.parametrize("case", EARLY)
def test_where_levels_end(case):
    errors, looked_at, kept = EARLY[case]
    seen = []

    def quotient(level):
        seen.append(level)
        return np.array([3.0]), np.array([[0.0, *errors][level]])

    found = extrapolate(quotient, "richardson", 2, 5, stop_early=True)
    assert seen == list(range(looked_at))
    assert (found.n_levels, float(found.error[0])) == (kept, errors[kept - 2])
    assert found.steps.tolist() == [0.5**level for level in range(kept)]
    assert extrapolate(quotient, "richardson", 2, 5, stop_early=False).n_levels == 5


def test_two_levels_have_one_result():
    found = extrapolate(listed(4.0, 1.0), "richardson", 2, 2, stop_early=True)
    assert (found.value, found.n_levels) == (0.0, 2)


def test_an_output_that_still_improves_keeps_the_others_going():
    found = extrapolate(quotients(lambda h: h**2.5, lambda h: 1.0, rounding=0.0), "richardson", 2, 5, stop_early=True)
    assert found.n_levels >= 4
