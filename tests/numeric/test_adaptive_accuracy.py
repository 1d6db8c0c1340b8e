"""What ``adaptive`` promises without options: accuracy, honest errors, few evaluations."""

import mpmath as mp
import numpy as np
import pytest
from numeric_truth import ROWS, population

from archimedes_grad.numeric import derivative


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_are_accurate_and_the_claim_covers_the_error(row):
    result = derivative(row.function, row.x)
    true_error = abs(result.value - row.derivative)
    assert result.success, result.message
    assert true_error <= 1e-8 * abs(row.derivative)
    assert true_error <= result.error
    assert result.error <= 1e-7 * abs(row.derivative)


def test_rows_take_few_evaluations():
    counts = [derivative(row.function, row.x).n_evaluations for row in ROWS]
    assert np.median(counts) <= 30
    assert max(counts) <= 60


def test_evaluations_are_counted():
    calls = []

    def function(x):
        calls.append(x)
        return np.sin(x)

    result = derivative(function, 1.0)
    assert result.n_evaluations == len(calls)
    assert len(set(calls)) == len(calls)


def test_a_thousand_random_points():
    covered, ratios, counts = [], [], []
    for row in population(50, seed=1):
        result = derivative(row.function, row.x)
        true_error = abs(result.value - row.derivative)
        covered.append(true_error <= result.error)
        ratios.append(result.error / max(true_error, np.finfo(float).tiny))
        counts.append(result.n_evaluations)
    assert np.mean(covered) >= 0.995
    assert np.median(ratios) <= 100
    assert np.median(counts) <= 30


@pytest.mark.parametrize("relative_noise", [1e-3, 1e-8, 1e-14])
def test_noise_is_seen_and_covered(relative_noise):
    random = np.random.default_rng(7)
    covered = []
    for row in population(5, seed=2):
        result = derivative(lambda x, row=row: row.function(x) * (1 + relative_noise * random.standard_normal()), row.x)
        covered.append(abs(result.value - row.derivative) <= result.error)
    assert np.mean(covered) >= 0.95


def test_noise_is_named():
    random = np.random.default_rng(3)
    result = derivative(lambda x: np.sin(x) + 1e-5 * random.standard_normal(), 1.0)
    assert result.status == "noisy"
    assert "noisy" in result.message
    assert abs(result.value - np.cos(1.0)) <= result.error < 0.02


def test_single_precision_counts_as_noise():
    result = derivative(lambda x: float(np.sin(np.float32(x))), 1.0)
    assert abs(result.value - np.cos(1.0)) <= result.error <= 1e-4


@pytest.mark.parametrize("order", [2, 3, 4])
def test_higher_orders_are_covered(order):
    covered = []
    with mp.workdps(40):
        for row in population(4, seed=order):
            result = derivative(row.function, row.x, order=order)
            true = float(mp.diff(row.exact, mp.mpf(row.x), order))
            covered.append(abs(result.value - true) <= result.error)
    assert np.mean(covered) >= 0.99


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_polynomials_come_out_to_rounding(order):
    polynomial = np.polynomial.Polynomial([3.0, -2.0, 1.0, 0.5, -0.25])
    result = derivative(polynomial, 1.7, order=order)
    assert abs(result.value - polynomial.deriv(order)(1.7)) <= min(result.error, 1e-7)
