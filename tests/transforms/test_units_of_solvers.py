"""Roots and integrals whatever the units: of equations, unknowns, times, parameters, and of what is differentiated."""

import itertools

import numpy as np
import pytest
import scipy.optimize
from scipy.integrate import solve_ivp

import archimedes_grad as arc

# --- roots ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-100, 1e-15, 1.0, 1e12])
def test_roots_of_equations_in_any_units(unit):
    """In small units all residuals are below the tolerance at the start, in large ones none ever."""

    def root(a):
        return arc.implicit_root(lambda x, a: unit * (x**2 - a), 1.0, a)

    assert root(4.0) == pytest.approx(2.0, rel=1e-14)
    assert arc.grad(root)(4.0) == pytest.approx(0.25, rel=1e-13)
    assert arc.hess(root)(4.0) == pytest.approx(-0.03125, rel=1e-12)


@pytest.mark.parametrize("unit", [1e-20, 1e-12, 1e12, 1e20])
def test_unknowns_in_any_units(unit):
    def root(a):
        return arc.implicit_root(lambda x, a: x**3 / unit**2 + x - a, 3 * unit, a)

    assert root(2 * unit) == pytest.approx(unit, rel=1e-14)
    assert arc.grad(root)(2 * unit) == pytest.approx(0.25, rel=1e-13)


def test_one_equation_in_smaller_units_than_the_others():
    """Water, and carbonate in it: constants of 1e-7 to 1e-14 beside sums of 1e-3 mol per litre."""
    np.testing.assert_allclose(
        arc.implicit_root(lambda x: np.array([x[0] * x[1] - 1e-14, x[0] - x[1]]), np.full(2, 1e-3)), 1e-7, rtol=1e-12
    )
    k1, k2, kw = 4.45e-7, 4.69e-11, 1e-14

    def carbonate(total):
        def residual(c):
            h, oh, b, a = c
            return np.array([h * oh - kw, h * b - k1 * (total - b - a), h * a - k2 * b, h - oh - b - 2 * a])

        return arc.implicit_root(residual, np.array([1e-6, 1e-8, 1e-6, 1e-10]))

    def charge(h, total):
        b = total / (1 + h / k1 + k2 / h)
        return h - kw / h - b - 2 * k2 * b / h

    def h(total):
        return scipy.optimize.brentq(charge, 1e-9, 1e-3, args=(total,), xtol=1e-20, rtol=1e-14)

    assert carbonate(1e-3)[0] == pytest.approx(h(1e-3), rel=1e-10)
    slope = (h(1e-3 + 1e-7) - h(1e-3 - 1e-7)) / 2e-7
    assert arc.grad(lambda total: carbonate(total)[0])(1e-3) == pytest.approx(slope, rel=1e-6)


def test_a_diode_behind_a_large_resistor():
    def voltage(resistance):
        return arc.implicit_root(lambda v, r: 1e-12 * (np.exp(v / 0.025) - 1) - (5 - v) / r, 0.6, resistance)

    expected = scipy.optimize.brentq(lambda v: np.expm1(v / 0.025) - (5 - v) * 1e3, 0.0, 1.0, xtol=1e-15)
    assert voltage(1e9) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("f", "start", "root", "within"),
    [
        (lambda x: x + 0.1 + 0.7 - 0.8, 0.0, 0.0, 1e-15),
        (lambda x: x**2, 1.0, 0.0, 1e-6),
        (lambda x: x * x - 2 * x + 1, 2.0, 1.0, 1e-6),
        (lambda x: np.array([np.sin(x[0]) - np.sin(np.pi), x[0] + x[1] - 1]), np.array([0.3, 0.2]), [0.0, 1.0], 1e-14),
    ],
)
def test_roots_that_rounding_hides(f, start, root, within):
    np.testing.assert_allclose(arc.implicit_root(f, start), root, atol=within)


def test_roots_of_noisy_equations():
    """With noise of 1e-10, as residuals have it where a solver is inside."""

    def residual(x):
        return x - 2.0 + 1e-10 * arc.stop_gradient(np.sin(1e15 * x))

    assert arc.implicit_root(residual, 0.0, tol=1e-8) == pytest.approx(2.0, abs=1e-9)


@pytest.mark.parametrize("f", [lambda x: np.exp(-x), lambda x: 1e-15 * (x**2 + 1), lambda x: 1e-13 / x])
def test_residuals_that_are_small_everywhere_are_no_root(f):
    with pytest.raises(np.linalg.LinAlgError, match="no root was found"):
        arc.implicit_root(f, 0.5)


def test_steps_that_have_not_arrived_are_no_root():
    """From a million, 100 steps come to 26, where all residuals are small in these units."""

    def root(max_steps):
        return arc.implicit_root(lambda x: 1e-30 * (x**10 - 1.0), 1e6, max_steps=max_steps)

    with pytest.raises(np.linalg.LinAlgError, match="no root was found within 100 steps"):
        root(100)
    assert root(200) == pytest.approx(1.0, rel=1e-13)


# --- integrals --------------------------------------------------------------------------------------

T = np.array([0.0, 0.7, 2.0])


def derivatives(function, x):
    """By reverse and by forward sweeps."""
    return [arc.grad(function)(x), arc.jvp(function)(x, 1.0), arc.jac(function)(x)]


@pytest.mark.parametrize("unit", [1e-15, 1e-9, 1.0, 1e12])
def test_times_in_any_units(unit):
    """CasADi takes times that are less than 1e-9 apart for one, and integrates nothing between them."""

    def states(rate):
        return arc.odeint(lambda x, t, rate: (-rate * x + np.cos(5 * t / unit)) / unit, 1.0, T * unit, rate)

    expected = solve_ivp(lambda t, x: -x + np.cos(5 * t), (0, 2), [1.0], t_eval=T, rtol=1e-10, atol=1e-12).y[0]
    np.testing.assert_allclose(states(1.0), expected, atol=1e-7)
    reference = derivatives(lambda rate: arc.odeint(lambda x, t: -rate * x + np.cos(5 * t), 1.0, T)[-1], 1.0)
    np.testing.assert_allclose(derivatives(lambda rate: states(rate)[-1], 1.0), reference, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-16, 1e-8, 1e12])
def test_what_is_differentiated_in_any_units(unit):
    """Cotangents in small units were below the absolute tolerance."""

    def loss(k, x0):
        return unit * arc.odeint(lambda x, t: -k * x * x, x0, T)[-1]

    np.testing.assert_allclose(arc.grad(loss, (0, 1))(2.0, 1.0), [-0.08 * unit, 0.04 * unit], rtol=1e-6)
    assert arc.hess(loss)(2.0, 1.0) == pytest.approx(0.064 * unit, rel=1e-5)
    assert arc.jvp(loss)(2.0, 1.0, unit) == pytest.approx(-0.08 * unit**2, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_parameters_in_any_units(unit):
    def last(a):
        return arc.odeint(lambda x, t, a: a / unit * np.cos(20 * t), 0.0, T, a)[-1]

    np.testing.assert_allclose(np.array(derivatives(last, 3 * unit)) * unit, np.sin(40) / 20, rtol=1e-5)


def test_states_in_large_units_by_their_tolerance():
    def last(k):
        return arc.odeint(lambda x, t: -k * x * x / 1e12, 1e12, T, atol=1e2)[-1]

    np.testing.assert_allclose(np.array(derivatives(last, 2.0)) / 1e12, -0.08, rtol=1e-6)


# --- forces in time ---------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [
    lambda t: np.cos(20 * t),
    lambda t: np.where((t >= 0.5) & (t < 1.5), 1.0, 0.0),
    lambda t: np.exp(-(((t - 1) / 0.05) ** 2)),
    lambda t: np.interp(t, np.linspace(0, 2, 11), np.tile([0.0, 1.0], 6)[:11]),
])  # fmt: skip
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_gradients_by_forces_that_go_by_time(force, damping):
    """The adjoint equation is quiet where the force is not, and nobody looked at the error of the gradient."""

    def last(a):
        return arc.odeint(lambda x, t, a: -damping * x + a * force(t), 0.3, T, a)[-1]

    ends = [0.0, 0.5, 1.5, 2.0] if force(0.6) == 1.0 else np.linspace(0, 2, 11)
    expected = np.zeros(1)
    for start, end in itertools.pairwise(ends):
        inside = (end - start) * 1e-12
        solution = solve_ivp(
            lambda t, x: -damping * x + force(np.clip(t, start, end - inside)), (start, end), expected,
            rtol=1e-10, atol=1e-13,
        )  # fmt: skip
        expected = solution.y[:, -1]
    np.testing.assert_allclose(derivatives(last, 2.0), expected[0], rtol=1e-5, atol=1e-7)


def test_forward_sensitivities_of_what_does_not_depend_on_the_state():
    def states(x0, a):
        return arc.odeint(lambda x, t: a * np.cos(20 * t) * np.ones(3), x0, T)

    x0 = np.zeros(3)
    np.testing.assert_allclose(arc.jvp(states, (0, 1))(x0, 2.0, (x0 + 1.0, 0.0)), 1.0, rtol=1e-6)
    np.testing.assert_allclose(arc.jac(states, 1)(x0, 2.0)[:, 0], np.sin(20 * T) / 20, atol=1e-7)


def test_a_bound_on_steps_shows_short_pulses():
    def last(a, max_step=None):
        return arc.odeint(
            lambda x, t, a: -0.1 * x + a * np.exp(-(((t - 7.3) / 0.01) ** 2)), 0.3, [0.0, 10.0], a, max_step=max_step
        )[-1]

    pulse = 0.01 * np.sqrt(np.pi) * np.exp(-0.27)
    assert last(50.0) == pytest.approx(0.3 * np.exp(-1.0), rel=1e-6)
    assert last(50.0, max_step=0.01) == pytest.approx(0.3 * np.exp(-1.0) + 50 * pulse, rel=1e-5)
    np.testing.assert_allclose(derivatives(lambda a: last(a, max_step=0.01), 50.0), pulse, rtol=1e-5)


def test_bounds_that_are_infinite():
    def last(a, bound):
        return arc.odeint(lambda x, t: np.where(x < bound, -a * x, 0.0), 1.0, T)[-1]

    np.testing.assert_allclose(arc.grad(last, (0, 1))(1.0, np.inf), [-2 * np.exp(-2.0), 0.0], atol=1e-6)
