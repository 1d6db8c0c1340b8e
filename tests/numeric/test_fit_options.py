"""``adaptive`` with nodes of the caller's: where it samples, and what it makes of the samples."""

import numpy as np
import pytest

from archimedes_grad.numeric import derivative, gradient, hessian


def samples_of(x0, **options):
    seen = []

    def function(x):
        seen.append(x)
        return np.sin(x)

    result = derivative(function, x0, **options)
    return np.sort(np.unique(seen)) - x0, result


@pytest.mark.parametrize(
    ("x0", "options", "half_width", "count"),
    [
        (1.0, {"n_points": 10}, 0.02, 11),
        (100.0, {"spacing": "auto"}, 2.0, 11),
        (0.0, {"spacing": "auto"}, 1e-3, 11),
        (0.0, {"base_abs": 0.1}, 0.1, 11),
        (1.0, {"base_abs": 0.1}, 0.1, 11),
        (1.0, {"n_points": 12, "spacing": "5%"}, 0.05, 13),
        (1.0, {"spacing": 0.3}, 0.3, 11),
        (1.0, {"n_points": 5, "spacing": 0.3}, 0.3, 5),  # an odd number has the centre among its nodes
    ],
)
def test_chebyshev_nodes(x0, options, half_width, count):
    offsets, result = samples_of(x0, **options)
    assert len(offsets) == count == result.n_evaluations
    n = options.get("n_points", 10)
    expected = half_width * np.cos(np.pi * (2 * np.arange(n) + 1) / (2 * n))
    np.testing.assert_allclose(offsets, np.union1d(np.round(expected, 15), 0.0), atol=1e-13)


@pytest.mark.parametrize(
    "options",
    [
        {"n_points": 12, "spacing": "auto", "ridge": 1e-10},
        {"n_points": 20, "spacing": 0.5},
        {"spacing": "10%"},
        {"grid": ("offsets", np.linspace(-0.1, 0.1, 9))},
        {"grid": ("absolute", [0.9, 0.95, 1.0, 1.05, 1.1, 1.15])},
        {"spacing": 0.1, "domain": (1.0, 2.0)},
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_the_claim_covers(options, order):
    result = derivative(np.sin, 1.0, order=order, **options)
    true = np.cos(1.0) if order == 1 else -np.sin(1.0)
    assert abs(result.value - true) <= result.error
    assert result.error < 0.05


def test_grids_are_taken_as_they_are():
    offsets, _ = samples_of(1.0, grid=("offsets", [-0.1, 0.1, 0.2]))
    np.testing.assert_allclose(offsets, [-0.1, 0.0, 0.1, 0.2], atol=1e-15)
    offsets, _ = samples_of(1.0, grid=("absolute", [0.9, 1.1, 1.2, 1.3]))
    np.testing.assert_allclose(offsets, [-0.1, 0.0, 0.1, 0.2, 0.3], atol=1e-15)


def test_nodes_stay_in_the_domain():
    offsets, result = samples_of(1.0, spacing=0.5, domain=(0.9, 2.0))
    assert offsets.min() >= -0.1
    assert offsets.max() <= 0.5
    assert abs(result.value - np.cos(1.0)) <= result.error


@pytest.mark.parametrize("seed", range(5))
def test_fits_average_noise(seed):
    random = np.random.default_rng(seed)
    result = derivative(lambda x: np.sin(x) + 1e-3 * random.standard_normal(), 1.0, n_points=30, spacing=0.5)
    assert abs(result.value - np.cos(1.0)) <= result.error <= 0.1


def test_a_kink_is_no_success():
    assert not derivative(abs, 0.0, spacing=0.1).success


def test_undefined_nodes_are_no_success():
    result = derivative(np.log, 1e-4, n_points=10)
    assert not result.success
    assert np.isnan(result.value)


def test_ridge_shrinks_what_noise_makes_of_high_degrees():
    plain = derivative(np.exp, 0.0, n_points=9, spacing=1.0)
    ridged = derivative(np.exp, 0.0, n_points=9, spacing=1.0, ridge=10.0)
    assert ridged.value != plain.value
    assert ridged.error > plain.error


def test_diagnostics_hold_samples_and_residual():
    details = derivative(np.sin, 1.0, n_points=10, diagnostics=True).details
    assert details["offsets"].shape == (11,)
    assert details["values"].shape == details["residual"].shape == (11, 1)
    assert derivative(np.sin, 1.0, n_points=10).details == {}


def test_many_parameters():
    def function(p):
        return np.sin(p[0]) * p[1] ** 2

    options = {"n_points": 12, "spacing": 0.1}
    result = gradient(function, [0.5, 2.0], **options)
    assert (np.abs(result.value - [4 * np.cos(0.5), 4 * np.sin(0.5)]) <= result.error).all()
    second = hessian(function, [0.5, 2.0], **options)
    mixed = 4 * np.cos(0.5)
    true = np.array([[-4 * np.sin(0.5), mixed], [mixed, 2 * np.sin(0.5)]])
    assert (np.abs(second.value - true) <= second.error).all()
