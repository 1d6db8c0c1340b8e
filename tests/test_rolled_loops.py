"""Python loops whose steps are all alike: found again in the graph, with the same results in every derivative."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import by_the_interpreter

import archimedes_grad as arc
from archimedes_grad.arrays import constants
from archimedes_grad.derivatives import repetitions, representation

RNG = np.random.default_rng(11)
STEPS = 40
W = 0.4 * RNG.normal(size=(3, 3))
XS = RNG.normal(size=(STEPS + 2, 3))
SIGNS = RNG.choice([-1.0, 1.0], size=(STEPS, 3))
START = RNG.normal(size=3)
SHIFTS = RNG.normal(size=(STEPS, 3))


def recurrent(w, c, xs):
    ys = []
    for k in range(STEPS):
        c = np.tanh(w @ c + xs[k])
        ys.append(c)
    return np.sum(np.stack(ys) ** 2)


def total_on_the_right(w, c, xs):
    total = 0.0
    for k in range(STEPS):
        c = np.sin(w @ c)
        total = np.sum(c * xs[k]) + total
    return total


def two_steps_back(w, c, xs):
    before, now = c, w @ c
    for _ in range(STEPS):
        before, now = now, 0.9 * np.sin(w @ now) + 0.1 * before * xs[0]
    return np.sum(now**2)


def runge_kutta(w, c, xs):
    h = 0.05

    def rate(t, y):
        return np.cos(t) * (w @ y) - y * xs[1]

    for k in range(STEPS):
        k1 = rate(k * h, c)
        k2 = rate((k + 0.5) * h, c + h / 2 * k1)
        c = c + h * k2
    return np.sum(c * xs[2])


def counter_among_the_numbers(w, c, xs):
    for k in range(STEPS):
        c = np.sin(c * 2.0 + w @ c * float(k)) + 2.0 * xs[k % 3]
    return np.sum(c)


def neighbours_forwards_and_backwards(w, c, xs):
    for k in range(STEPS):
        c = np.sin(w @ c + xs[k] * xs[k + 1]) - xs[STEPS - 1 - k]
    return np.sum(c)


def captured_data(w, c, xs):
    for k in range(STEPS):
        c = np.tanh(w @ c * SIGNS[k] + xs[0])
    return np.sum(c)


def constant_row_twice(w, c, xs):
    for k in range(STEPS):
        c = np.sin(c * SIGNS[k] * 0.7 + SHIFTS[k]) + 0.5 * np.cos(w @ c) * SHIFTS[k]
    return np.sum(c * xs[0])


def two_loops(w, c, xs):
    for k in range(STEPS):
        c = np.tanh(w @ c + xs[k])
    first = c
    for _ in range(STEPS):
        c = np.sin(c * first + xs[0])
    return np.sum(c * first)


def loop_in_a_loop(w, c, xs):
    for k in range(STEPS):
        for _ in range(3):
            c = np.sin(w @ c)
        c = c + xs[k]
    return np.sum(c)


def leapfrog(w, c, xs):
    q, p = c, xs[0]
    energies = []
    for _ in range(STEPS):
        p = p - 0.05 * np.sin(w @ q)
        q = q + 0.05 * p
        energies.append(np.sum(p * p))
    return np.sum(q) + energies[3] + energies[-1] * sum(energies[::2])


def matrices(w, c, xs):
    m = np.outer(c, c)
    for k in range(STEPS):
        m = np.cos(m @ w) + m.T * xs[k]
    return np.sum(m[0] * m[1])


def solves(w, c, xs):
    A = np.eye(3) * 3.0 + w
    A = np.block([[A, w], [w, A]])
    c = np.concatenate([c, c])
    for k in range(STEPS):
        c = np.sin(c) + np.linalg.solve(A, c) * xs[k, 0]
    return np.sum(c)


def until_it_is_small(w, c, xs):
    while np.sum(c * c) > 1e-6:
        c = 0.85 * np.sin(c) + 1e-9 * (w @ c)
    return np.sum(c * xs[0])


def stages(w, c, xs):
    def rate(y):
        return np.sin(y) * xs[0] - 0.1 * y * y + np.cos(y[::-1])

    for _ in range(STEPS):
        k1 = rate(c)
        k2 = rate(c + 0.01 * k1)
        k3 = rate(c + 0.01 * k2)
        k4 = rate(c + 0.02 * k3)
        c = c + 0.02 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.sum(w @ c)


def shrinking(w, c, xs):
    values = np.concatenate([xs[k] for k in range(STEPS)])
    for _ in range(STEPS):
        values = np.sin(values[1:] * values[:-1] + 0.5)
    return np.sum(values) + np.sum(w @ c)


def written_in_place(w, c, xs):
    states = np.zeros_like(xs)
    states[0] = c
    for k in range(STEPS):
        states[k + 1] = np.tanh(w @ states[k])
    return np.sum(states**2)


LOOPS = [
    recurrent, total_on_the_right, two_steps_back, runge_kutta, counter_among_the_numbers,
    neighbours_forwards_and_backwards, captured_data, constant_row_twice, two_loops, loop_in_a_loop, leapfrog,
    matrices, stages, until_it_is_small,
]  # fmt: skip
#: Steps that differ in their shapes, in what they write, or in what cannot be compared.
NO_LOOPS = [shrinking, written_in_place, solves]


@pytest.fixture
def roll(monkeypatch):
    """Sets whether short loops of arrays are rolled."""

    def set_to(on: bool) -> None:
        monkeypatch.setattr(representation, "_LARGEST_EXPANSION", 0)
        monkeypatch.setattr(representation, "_ROLLED_FROM", (100 if on else 10**9,) * 2)
        monkeypatch.setattr(representation, "_worth_calls", lambda loop: True)
        monkeypatch.setattr(repetitions, "_FEWEST_INSTRUCTIONS", 100)

    return set_to


DERIVATIVES = {
    "value_and_grad": lambda f: arc.value_and_grad(f, argnums=(0, 1, 2))(W, START, XS),
    "jvp": lambda f: arc.jvp(f)(W, START, XS, np.ones((3, 3))),
    "hess": lambda f: arc.hess(f, argnums=1)(W, START, XS),
    "hvp": lambda f: arc.hvp(f)(W, START, XS, np.ones((3, 3))),
    "grad of a function with a gradient": lambda f: arc.grad(lambda w: np.sum(arc.grad(f, argnums=1)(w, START, XS)))(W),
}


def leaves(result):
    return [x for part in result for x in leaves(part)] if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("function", LOOPS + NO_LOOPS, ids=lambda f: f.__name__)
def test_the_same_in_every_derivative(function, roll):
    for name, derivative in DERIVATIVES.items():
        roll(False)
        with by_the_interpreter():
            expected = leaves(derivative(function))
        roll(True)
        got = leaves(derivative(function))
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * (1 + np.max(np.abs(b))), err_msg=name)


@pytest.mark.parametrize("function", LOOPS, ids=lambda f: f.__name__)
def test_the_graph_is_that_of_a_loop(function, roll):
    roll(True)
    assert "equal steps" in arc.grad(function).explain(W, START, XS).reason


@pytest.mark.parametrize("function", NO_LOOPS, ids=lambda f: f.__name__)
def test_what_does_not_repeat_exactly_stays(function, roll):
    roll(True)
    assert "equal steps" not in arc.grad(function).explain(W, START, XS).reason


def test_where_the_first_steps_differ_they_stay_and_the_others_are_a_loop(roll):
    roll(True)

    def warm_start(c):
        w0 = W[0]
        for k in range(STEPS):
            c = np.sin(c) if k < 2 else np.cos(c) * c + w0
        return np.sum(c)

    gradient = arc.grad(warm_start)
    assert gradient.explain(START).reason.endswith(f"{STEPS - 2} equal steps are a loop")
    roll(False)
    np.testing.assert_allclose(gradient(START), arc.grad(warm_start)(START), rtol=1e-12)


def row_twice(x):
    for k in range(STEPS):
        x = np.sin(x * SHIFTS[k]) + 0.5 * np.cos(x) * SHIFTS[k]
    return x


def number_twice(x):
    for k in range(STEPS):
        x = np.sin(x * float(SHIFTS[k, 0])) + 0.5 * np.cos(x) * float(SHIFTS[k, 0])
    return x


def counter_twice(x):
    for k in range(STEPS):
        x = 0.5 * np.sin(x * (0.02 * k)) + 0.5 * np.cos(x + 0.02 * k)
    return x


@pytest.mark.parametrize("cached", [4096, 1], ids=["", "numbers that are two nodes"])
@pytest.mark.parametrize("engine", ["vm", "native"])
@pytest.mark.parametrize("function", [row_twice, number_twice, counter_twice], ids=lambda f: f.__name__)
def test_a_constant_that_a_step_reads_twice(function, engine, cached, roll, monkeypatch):
    monkeypatch.setattr(constants, "_CACHE_SIZE", cached)
    monkeypatch.setattr(constants, "_scalar_nodes", {})
    roll(True)
    x = np.linspace(0.1, 1.0, 3)
    compiled = arc.compile(function, engine=engine)
    gradient = arc.grad(lambda x: np.sum(function(x) ** 2), engine=engine)
    for derivative in compiled, gradient:
        assert "equal steps" in derivative.explain(x).reason
    np.testing.assert_allclose(compiled(x), function(x), rtol=1e-10, atol=1e-12)
    by_the_complex_step = [np.sum(function(x + 1e-30j * unit) ** 2).imag / 1e-30 for unit in np.eye(x.size)]
    np.testing.assert_allclose(gradient(x), by_the_complex_step, rtol=1e-10, atol=1e-12)


def test_a_loop_for_the_native_engine():
    """Unrolled, the gradient would be too long for a compiler."""
    w = np.linspace(0.1, 0.3, 20)

    def loss(c):
        for _ in range(400):
            c = np.sin(c * w) + c
        return np.sum(c**2)

    compiled, interpreted = arc.grad(loss, engine="native"), arc.grad(loss)
    c = np.linspace(-1.0, 1.0, 20)
    np.testing.assert_allclose(compiled(c), interpreted(c), rtol=1e-9)
    assert compiled.explain(c).engine == "native"
