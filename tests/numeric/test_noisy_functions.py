"""Fits of noisy functions: the scatter that is measured, the fits, and which of them is believed."""

import math

import numpy as np
import pytest

from archimedes_grad.numeric import noise
from archimedes_grad.numeric.noise import _derivative_at_centre, _fits, _local_scatter, _pseudo_inverse, fit_noisy
from archimedes_grad.numeric.sampling import LineSampler

EPSILON = np.finfo(np.float64).eps
CLOSE = np.array([*-noise.CLOSE_NODES[::-1], 0.0, *noise.CLOSE_NODES])


def sampler_of(*functions):
    def rows(t):
        return np.array([[f(float(s)) for f in functions] for s in t], dtype=float)

    return LineSampler(rows, rows([0.0])[0], 0.0)


def rough(t, size=1e-3):
    """A sine under a noise of its own at every point."""
    return math.sin(t) + (size * math.sin(1e7 * t * t + 3 * t) if t else 0.0)


@pytest.mark.parametrize("half_width", [0.5, 1e-3])
def test_the_scatter_is_what_a_cubic_leaves(half_width):
    def cubic(t):
        return 1 + t - 2 * t * t + t**3

    functions = (lambda t: rough(t) + cubic(t), rough)
    found = _local_scatter(sampler_of(*functions, cubic), half_width)
    t = half_width * CLOSE
    for k, function in enumerate(functions):
        y = np.array([function(s) for s in t])
        left = y - np.polynomial.Polynomial.fit(t, y, 3)(t)
        np.testing.assert_allclose(found[k], np.sqrt(np.sum(left**2) / 3), rtol=1e-6)
    largest = max(abs(cubic(s)) for s in t)
    assert found[2] == pytest.approx(EPSILON * largest / 2, rel=2.0)
    assert found[2] >= EPSILON * largest / 2


def test_the_scatter_of_huge_values_does_not_overflow():
    big, small = (_local_scatter(sampler_of(lambda t, s=s: s * rough(t, 0.1)), 0.5) for s in (1e250, 1.0))
    np.testing.assert_allclose(big, 1e250 * small, rtol=1e-9)
    np.testing.assert_array_equal(_local_scatter(sampler_of(lambda t: 0.0), 0.5), [0.0])


def test_the_scatter_of_a_constant_is_its_rounding():
    np.testing.assert_array_equal(_local_scatter(sampler_of(lambda t: -1024.0), 0.5), [512 * EPSILON])


@pytest.mark.parametrize(("lower", "upper"), [(0.0, 9.0), (-9.0, 0.0)])
def test_the_scatter_of_one_side(lower, upper):
    """Where one side is undefined, the samples are those of the other, as close together."""
    sampler = sampler_of(lambda t: rough(t) if lower <= t <= upper else math.nan)
    found = _local_scatter(sampler, 0.25)
    t = 0.25 * ((1 + CLOSE) / 2 if upper else (CLOSE - 1) / 2)
    y = np.array([rough(s) for s in t])
    left = y - np.polynomial.Polynomial.fit(t, y, 3)(t)
    np.testing.assert_allclose(found, np.sqrt(np.sum(left**2) / 3), rtol=1e-6)


def test_the_scatter_of_what_is_defined_on_no_side_is_unknown():
    np.testing.assert_array_equal(_local_scatter(sampler_of(lambda t: math.nan if t else 1.0, abs), 0.5), [np.inf] * 2)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_fits_are_least_squares_of_rising_degree(order):
    sampler = sampler_of(rough, lambda t: 1e200 * rough(t, 0.1))
    width = 0.5
    nodes = width * np.linspace(0.05, 1, 8)
    sampler(np.array([*nodes, *-nodes, 0.6, -0.6]))
    t, y = sampler.known()
    inside = np.abs(t) <= width
    t, y = t[inside], y[inside]
    assert len(t) == 17
    expected = []
    for degree in range(order + 1, order + 8, 2):
        if len(t) - degree - 1 < 3:
            break
        rows = []
        for column in y.T:
            fit = np.polynomial.Polynomial.fit(t, column, degree, domain=[-width, width])
            value = fit.deriv(order)(0.0)
            left = column - fit(t)
            freedom = len(t) - degree - 1
            scatter = np.max(np.abs(left)) * np.sqrt(np.sum((left / np.max(np.abs(left))) ** 2) / freedom)
            rows.append((value, scatter, freedom))
        expected.append(rows)
    found = _fits(sampler, order, width)
    assert len(found) == len(expected) - 1
    basis = np.polynomial.polynomial.polyvander(t / width, 12)
    for k, (value, error, scatter) in enumerate(found):
        degree = order + 1 + 2 * k
        weights = math.factorial(order) / width**order * np.linalg.pinv(basis[:, : degree + 1])[order]
        for output in (0, 1):
            true, spread, freedom = expected[k][output]
            following = expected[k + 1][output][0]
            np.testing.assert_allclose(value[output], true, rtol=1e-6)
            np.testing.assert_allclose(scatter[output], spread, rtol=1e-6)
            quantile = 3 * (1 + 1.2 / freedom + 4 / freedom**2)
            claim = quantile * spread * np.linalg.norm(weights) + abs(true - following)
            np.testing.assert_allclose(error[output], claim, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("size", [0.0, 0.1, 1.0, 1e200])
def test_fits_claim_half_the_jump_of_a_kink(order, size):
    """A polynomial averages the two sides, and its residual is several times smaller than what it misses."""
    unit = max(size, 1.0)
    sampler = sampler_of(lambda t: unit * math.sin(t) + size * math.copysign(1.0, t) ** (order + 1) * abs(t) ** order)
    sampler(0.5 * np.linspace(-1, 1, 14))
    for _, error, _ in _fits(sampler, order, 0.5):
        assert error[0] >= math.factorial(order) * size
        assert size or error[0] < 0.05


def test_noise_is_no_kink():
    sampler = sampler_of(rough)
    sampler(0.5 * np.linspace(-1, 1, 14))
    t, y = sampler.known()
    assert noise._kink(t, y, np.polynomial.chebyshev.chebvander(t, 2), 1) == 0.0


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.7), (2, 4.3), (3, 3.18), (5, 2.57), (20, 2.09)])
def test_few_degrees_of_freedom_claim_more(freedom, quantile):
    """At least Student's quantiles for 95 of 100, and not many times these."""
    assert quantile <= noise.deviations(freedom) < 2 * quantile


def test_fits_need_three_degrees_of_freedom_and_a_judge():
    for count, fits in ((5, 0), (6, 0), (7, 0), (8, 1), (9, 1), (10, 2)):
        sampler = sampler_of(rough)
        sampler(np.linspace(-0.5, 0.5, count - (count + 1) % 2)[np.linspace(-0.5, 0.5, count - (count + 1) % 2) != 0])
        known = len(sampler.known()[0])
        if known < count:
            sampler(np.array([0.123]))
        assert len(sampler.known()[0]) == count
        assert len(_fits(sampler, 1, 0.5)) == fits


def test_exact_fits_have_the_noise_of_rounding():
    sampler = sampler_of(lambda t: 1e3 + t)
    sampler(np.linspace(-0.5, 0.5, 11))
    for _, error, scatter in _fits(sampler, 1, 0.5):
        assert scatter >= EPSILON * 1000.5 / 2
        assert scatter < 10 * EPSILON * 1000.5
        assert error > 0


@pytest.mark.parametrize(("order", "degree"), [(1, 4), (2, 5), (3, 3), (4, 8)])
def test_derivatives_of_chebyshev_polynomials(order, degree):
    for k, found in enumerate(_derivative_at_centre(degree, order)):
        assert found == pytest.approx(np.polynomial.Chebyshev.basis(k).deriv(order)(0.0) if k else 0.0)
    assert len(_derivative_at_centre(degree, order)) == degree + 1


def test_the_inverse_of_samples_that_do_not_determine_all():
    t = np.array([-0.5, 0.0, 0.5])
    basis = np.polynomial.chebyshev.chebvander(np.repeat(t, 3), 4)
    np.testing.assert_allclose(_pseudo_inverse(basis), np.linalg.pinv(basis), atol=1e-12)
    nearly = np.array([[1.0, 0.0], [0.0, 1e-11], [0.0, 0.0]])
    np.testing.assert_allclose(_pseudo_inverse(nearly), [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], atol=1e-15)
    clear = np.array([[1.0, 0.0], [0.0, 1e-9], [0.0, 0.0]])
    np.testing.assert_allclose(_pseudo_inverse(clear), [[1.0, 0.0, 0.0], [0.0, 1e9, 0.0]], rtol=1e-12)


class Levels:
    """Stands for `_fits`: what each half-width gives, and which were asked for."""

    def __init__(self, monkeypatch, *levels, scatter=0.1):
        self.levels = list(levels)
        self.widths = []
        monkeypatch.setattr(noise, "_fits", self)
        monkeypatch.setattr(noise, "_local_scatter", lambda sampler, half_width: np.array([scatter]))

    def __call__(self, sampler, order, width):
        self.widths.append(width)
        level = self.levels[min(len(self.widths), len(self.levels)) - 1]
        return [tuple(np.array([number]) for number in fit) for fit in level]


def believed(sampler=None, half_width=1.0, widest=1e9):
    found = fit_noisy(sampler or sampler_of(lambda t: 0.0), 1, half_width, widest)
    return float(found.value[0]), float(found.error[0])


# A fit is (value, error, noise).
BELIEVED = {
    "the least error": ([[(1.0, 0.5, 0.1)], [(1.1, 0.2, 0.1)], [(1.2, 0.3, 0.1)]], (1.1, 0.2)),
    "the first of equals": ([[(1.0, 0.5, 0.1)], [(1.1, 0.5, 0.1)]], (1.0, 0.5)),
    "of one width": ([[(1.0, 0.5, 0.1), (1.2, 0.4, 0.1)]], (1.2, 0.4)),
    "structure that a fit misses": ([[(1.0, 0.5, 0.1)], [(1.1, 0.2, 0.51)]], (1.0, 0.5)),
    "hardly structure": ([[(1.0, 0.5, 0.1)], [(1.1, 0.2, 0.49)]], (1.1, 0.2)),
    "the first fit's noise counts": ([[(1.0, 0.5, 0.3)], [(1.1, 0.2, 1.4)]], (1.1, 0.2)),
    "of its best degree": ([[(1.0, 0.5, 0.9), (1.0, 0.5, 0.2)], [(1.1, 0.2, 1.1)]], (1.0, 0.5)),
    "a fit far from the others": ([[(1.0, 0.5, 0.1)], [(3.0, 0.2, 0.1)]], (1.0, 0.5)),
    "a fit a little off the others": ([[(1.0, 0.5, 0.1)], [(1.8, 0.2, 0.1)]], (1.8, 0.3)),
    "nothing": ([[]], (math.nan, math.inf)),
}


@pytest.mark.parametrize("case", BELIEVED)
def test_which_fit_is_believed(case, monkeypatch):
    levels, (value, error) = BELIEVED[case]
    Levels(monkeypatch, *levels)
    np.testing.assert_allclose(believed(), (value, error), rtol=1e-12)


def test_a_fit_of_unknown_error_refutes_nothing(monkeypatch):
    Levels(monkeypatch, [(1.0, 0.5, 0.1)], [(9.0, 0.2, 9.0)], [(1.1, 0.2, 0.1)])
    assert believed() == (1.1, 0.2)


WIDTHS = {
    # errors of the widths, the widest allowed: how many are looked at
    "no better twice": ([0.5, 0.5, 0.5, 0.5], 1e9, 3),
    "hardly better": ([0.5, 0.4, 0.31, 0.2], 1e9, 3),
    "better by a quarter each": ([0.5, 0.37, 0.27, 0.2, 0.2, 0.2], 1e9, 6),
    "better after a while": ([0.5, 0.5, 0.2, 0.2, 0.2, 0.2], 1e9, 5),
    "as wide as allowed": ([0.5, 0.3, 0.2, 0.1, 0.05], 4.0, 3),
    "to the end": ([0.5**k for k in range(20)], 1e9, 9),
}


@pytest.mark.parametrize("case", WIDTHS)
def test_how_far_intervals_grow(case, monkeypatch):
    errors, widest, count = WIDTHS[case]
    levels = Levels(monkeypatch, *([(1.0, error, 0.1)] for error in errors))
    believed(widest=widest)
    assert levels.widths == [2.0**k for k in range(count)]


def test_intervals_end_where_nothing_is_defined(monkeypatch):
    levels = Levels(monkeypatch, *([(1.0, 0.5**k, 0.1)] for k in range(9)))
    believed(sampler_of(lambda t: 0.0 if abs(t) < 2.2 else math.nan))
    assert levels.widths == [1.0, 2.0, 4.0][:2] + ([4.0] if 4.0 * noise.LEVEL_NODES[0] < 2.2 else [])


def test_samples_of_a_level_lie_in_the_outer_half():
    seen = []

    def function(t):
        seen.append(t)
        return rough(t)

    fit_noisy(sampler_of(function), 1, 0.5, 0.4)
    near, far = 0.5 / 64 * noise.CLOSE_NODES, 0.5 * noise.LEVEL_NODES
    assert (noise.LEVEL_NODES > 0.5).all()
    np.testing.assert_allclose(sorted(set(seen)), sorted([*near, *-near, *far, *-far, 0.0]))


def test_a_noisy_sine():
    found = fit_noisy(sampler_of(rough, lambda t: 5.0 * rough(t)), 1, 0.1, 2.0)
    for k, factor in enumerate((1.0, 5.0)):
        assert abs(found.value[k] - factor) <= found.error[k] < 0.02 * factor
        assert 1e-4 * factor < found.scatter[k] < 5e-3 * factor


JITTER = {0.1: 0.01, 0.15: -0.01, 0.2: 0.01}
SCATTER = float(np.std([0.01, -0.01, 0.01, 0.0, 0.0, 0.0], ddof=1))


@pytest.mark.parametrize(
    ("variation", "quiet"),
    [
        ({}, 0.8),
        ({0.8: 9.0}, 0.4),
        ({0.3: 9.0}, 0.2),
        ({0.3: 5.9 * SCATTER}, 0.8),
        ({0.3: 6.1 * SCATTER}, 0.2),
        (dict.fromkeys([0.1, 0.15, 0.2, 0.3, 0.4, 0.8], 100.0), 0.1),
    ],
)
def test_the_largest_step_that_shows_noise_only(variation, quiet):
    def right(t):
        return variation.get(abs(t), 0.0) + JITTER.get(t, 0.0)

    def left(t):
        return variation.get(abs(t), 0.0) + JITTER.get(-t, 0.0)

    for functions in ((right,), (left,), (right, left)):
        assert noise.quiet_half_width(sampler_of(*functions), [0.8, 0.3, 0.1, 0.2, 0.4, 0.15]) == quiet
    wild = sampler_of(right, lambda t: 0.0 if t <= 0.25 else t)
    assert noise.quiet_half_width(wild, [0.8, 0.3, 0.1, 0.2, 0.4, 0.15]) in (0.1, 0.2)
