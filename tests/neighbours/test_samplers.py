"""Samplers: emcee with a compiled log-probability, and Hamiltonian Monte Carlo with its gradient."""

import numpy as np
import pytest

import archimedes_grad as arc

MEAN = np.array([1.0, -2.0])
PRECISION = np.array([[2.0, 0.6], [0.6, 1.0]])


def log_density(x):
    return -0.5 * (x - MEAN) @ PRECISION @ (x - MEAN)


def test_emcee():
    emcee = pytest.importorskip("emcee")
    sampler = emcee.EnsembleSampler(16, 2, arc.compile(log_density))
    start = MEAN + 0.1 * np.random.default_rng(0).normal(size=(16, 2))
    state = np.random.RandomState(1).get_state()
    sampler.run_mcmc(emcee.State(start, random_state=state), 600)
    samples = sampler.get_chain(discard=100, flat=True)
    np.testing.assert_allclose(samples.mean(axis=0), MEAN, atol=0.15)
    np.testing.assert_allclose(np.cov(samples.T), np.linalg.inv(PRECISION), atol=0.3)


def test_emcee_with_a_log_density_of_all_walkers():
    emcee = pytest.importorskip("emcee")
    together = arc.vmap(log_density)
    sampler = emcee.EnsembleSampler(16, 2, together, vectorize=True)
    start = MEAN + 0.1 * np.random.default_rng(0).normal(size=(16, 2))
    sampler.run_mcmc(start, 10)
    np.testing.assert_allclose(sampler.get_log_prob()[-1], together(sampler.get_chain()[-1]), rtol=1e-12)


def test_hamiltonian_monte_carlo():
    value_and_gradient = arc.value_and_grad(log_density)
    rng = np.random.default_rng(2)
    x = np.zeros(2)
    value, slope = value_and_gradient(x)
    samples = []
    for _ in range(2000):
        momentum = rng.normal(size=2)
        energy = 0.5 * momentum @ momentum - value
        y, new_value, new_slope = x, value, slope
        for _ in range(8):
            momentum = momentum + 0.15 * new_slope
            y = y + 0.3 * momentum
            new_value, new_slope = value_and_gradient(y)
            momentum = momentum + 0.15 * new_slope
        if np.log(rng.uniform()) < energy - (0.5 * momentum @ momentum - new_value):
            x, value, slope = y, new_value, new_slope
        samples.append(x)
    np.testing.assert_allclose(np.mean(samples, axis=0), MEAN, atol=0.1)
    np.testing.assert_allclose(np.cov(np.transpose(samples)), np.linalg.inv(PRECISION), atol=0.2)
