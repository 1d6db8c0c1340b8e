"""Python loops that are loops again: no zero meets a singular operation there that does not meet it in line."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import by_the_interpreter

import archimedes_grad as arc
from archimedes_grad.derivatives import repetitions, representation

RNG = np.random.default_rng(3)
STEPS = 24
X = np.linspace(0.2, 0.9, 4)
#: Slopes by the first are infinite, where there are any.
P = np.array([0.0, 0.3, 0.5, 0.7])
ROWS = RNG.choice([0.0, 0.8], size=(STEPS, 4))


def taken_by_the_next_step(x, p, rows):
    s, total = x, 0.0
    for k in range(STEPS):
        a = np.sin(np.where(rows[k - 1] > 0, s, 1.0))
        total = 0.5 * total + a
        s = np.sqrt((a * a + 1.0) * rows[k])
    return np.sum(np.where(rows[-1] > 0, s, 0.0) + total)


def taken_by_its_size(x, p, rows):
    s, total = x, 0.0
    for k in range(STEPS):
        a = np.cos(np.where(s > 0.1, s, 0.7))
        total = 0.5 * total + a
        s = np.sqrt((a * a + 1.0) * rows[k])
    return np.sum(np.where(s > 0.1, s, 0.0) + total)


def rounded_and_shared(x, p, rows):
    root = np.sqrt(p)
    for _ in range(STEPS):
        x = np.sin(x) * np.floor(root + 1.0) + 0.1 * x
    return np.sum(x)


def rounded_row_by_row(x, p, rows):
    roots = [np.sqrt(rows[k]) for k in range(STEPS)]
    x = x * np.sign(sum(roots) + 1.0)
    for k in range(STEPS):
        x = np.sin(x) * np.floor(roots[k] + 1.0) + 0.1 * x
    return np.sum(x)


def rounded_and_carried(x, p, rows):
    root = np.sqrt(p)
    for k in range(STEPS):
        x = np.sin(x) * (1.0 + 0.1 * np.sign(root)) + 0.1 * np.cos(x)
        root = root + rows[0]
    return np.sum(x)


def compared_a_step_later(x, p, rows):
    root = p
    for _ in range(STEPS):
        x = np.where(root > 0.5, np.sin(x), np.cos(x)) + 0.1 * x
        root = np.sqrt(p * (1.0 + np.cos(x)))
    return np.sum(x)


def compared_two_steps_later(x, p, rows):
    before = root = p
    for _ in range(2 * STEPS):  # Two of them are found as one.
        x = np.where(before > 0.5, np.sin(x), np.cos(x)) + 0.1 * x
        before, root = root, np.sqrt(p * (1.0 + np.cos(x)))
    return np.sum(x)


def decided_by(x, p, rows):
    for _ in range(STEPS):
        size = np.sqrt(p * (1.0 + np.cos(x)))
        x = np.where(size > 0.5, np.sin(x), np.cos(x)) + 0.1 * x
        if np.sum(size) > 100.0:
            break
    return np.sum(x)


def a_branch_that_counts(x, p, rows):
    """Gates within the steps, and nothing under conditions across their border."""
    for k in range(STEPS):
        z = x[::-1] * 0.5 + np.where(rows[k] > 0, np.sqrt(rows[k]) * x, p)
        x = np.where(z > 0, z, np.exp(z) - 1.0) * 0.9
    return np.sum(x)


LOOPS = [
    taken_by_the_next_step, taken_by_its_size, rounded_and_shared, rounded_row_by_row, rounded_and_carried,
    compared_a_step_later, compared_two_steps_later, decided_by, a_branch_that_counts,
]  # fmt: skip


@pytest.fixture
def roll(monkeypatch):
    """Sets whether short loops of arrays are rolled; their steps become scalars where that is asked for."""

    def set_to(on: bool, as_scalars: bool = False) -> None:
        monkeypatch.setattr(representation, "_LARGEST_EXPANSION", 0)
        monkeypatch.setattr(representation, "_ROLLED_FROM", (60 if on else 10**9,) * 2)
        monkeypatch.setattr(representation, "_worth_calls", lambda loop: True)
        monkeypatch.setattr(repetitions, "_FEWEST_INSTRUCTIONS", 60)
        if as_scalars:
            monkeypatch.setattr(representation, "_step", steps_of_scalars)

    made = representation._step

    def steps_of_scalars(graph, loop):
        with pytest.MonkeyPatch.context() as within:
            within.setattr(representation, "_LARGEST_EXPANSION", 200_000)
            return made(graph, loop)

    return set_to


DERIVATIVES = {
    "grad": lambda f: arc.grad(f, argnums=(0, 1, 2))(X, P, ROWS),
    "jvp": lambda f: [arc.jvp(f)(X, P, ROWS, np.ones(4))],
    "hess": lambda f: arc.hess(f, argnums=1)(X, P, ROWS),
    "grad of a gradient": lambda f: arc.grad(
        lambda x, p: np.sum(arc.grad(f)(x, p, ROWS)), argnums=(0, 1)
    )(X, P),
}


@pytest.mark.parametrize("as_scalars", [False, True], ids=["steps of arrays", "steps of scalars"])
@pytest.mark.parametrize("function", LOOPS, ids=lambda f: f.__name__)
def test_the_same_as_in_line(function, as_scalars, roll):
    for name, derivative in DERIVATIVES.items():
        roll(False)
        with by_the_interpreter():
            expected = derivative(function)
        roll(True, as_scalars)
        got = derivative(function)
        for a, b in zip(got, expected, strict=True):
            assert np.isfinite(b).all()
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=name)
    assert "equal steps" in arc.grad(function).explain(X, P, ROWS).reason


@pytest.mark.parametrize("function", [taken_by_the_next_step, rounded_and_shared], ids=lambda f: f.__name__)
def test_the_same_in_compiled_code(function, roll):
    roll(True)
    gradient = arc.grad(function, argnums=(0, 1, 2), engine="native")
    got = gradient(X, P, ROWS)
    assert "equal steps" in gradient.explain(X, P, ROWS).reason
    roll(False)
    with by_the_interpreter():
        expected = arc.grad(function, argnums=(0, 1, 2))(X, P, ROWS)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("engine", ["vm", "native"])
def test_auxiliary_output_of_all_steps(engine, roll):
    def function(x, p):
        roots = []
        for _ in range(STEPS):
            x = np.sin(x) + 0.1 * p
            roots.append(np.sqrt(p * x))
        return np.sum(x), np.stack(roots)

    roll(True)
    gradient = arc.grad(function, argnums=1, has_aux=True, engine=engine)
    slopes, roots = gradient(X, P)
    assert "equal steps" in gradient.explain(X, P).reason
    roll(False)
    with by_the_interpreter():
        expected, in_line = arc.grad(function, argnums=1, has_aux=True)(X, P)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)
    np.testing.assert_allclose(roots, in_line, rtol=1e-12)
