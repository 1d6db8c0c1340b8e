"""Compiled functions leave nothing behind: no reference cycles, no growth."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import archimedes_grad as arc

X = np.ones(5)


def plain(x):
    return np.sum(np.sin(x))


def branching(x):
    return np.sum(x**2) if x[0] > 0 else np.sum(x)


def capturing(x):
    return np.sum(x * np.arange(5.0)) + np.sum(np.arange(200.0)) * x[0]


@pytest.mark.parametrize("function", [plain, branching, capturing], ids=lambda f: f.__name__)
@pytest.mark.parametrize("transform", [arc.grad, arc.value_and_grad, arc.hess, arc.compile], ids=lambda t: t.__name__)
def test_a_dropped_function_is_freed_at_once(transform, function):
    def made_and_dropped():
        compiled = transform(function)
        for x in (X, -X, X, -X):
            compiled(x)

    made_and_dropped()
    gc.collect()
    gc.disable()
    try:
        made_and_dropped()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_shapes_beyond_the_bound_are_forgotten_least_recently_used_first(monkeypatch):
    monkeypatch.setattr("archimedes_grad.compilation.compiled.MAX_SPECIALISATIONS", 3)
    traces = []

    def function(x):
        traces.append(x.shape)
        return np.sum(x**2)

    gradient = arc.grad(function)
    for n in (1, 2, 3, 1, 4):
        np.testing.assert_array_equal(gradient(np.ones(n)), 2 * np.ones(n))
    assert traces == [(1,), (2,), (3,), (4,)]
    gradient(np.ones(1))
    gradient(np.ones(2))
    assert traces == [(1,), (2,), (3,), (4,), (2,)]
    assert gradient.explain(np.ones(1)).n_specialisations == 3
