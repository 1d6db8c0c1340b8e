"""``CalculusKit``, ``DerivativeKit`` and ``compare_methods``."""

import itertools
import math
import pickle
import threading

import numpy as np
import pytest

from archimedes_grad.calculus_kit import CalculusKit
from archimedes_grad.comparison import compare_methods
from archimedes_grad.derivative_kit import DerivativeKit
from archimedes_grad.errors import TraceError
from archimedes_grad.numeric.input_cache import CachedFunction, LockedFunction
from archimedes_grad.numeric.table import TabulatedFunction


def func(theta):
    return np.sin(theta[0]) + theta[1] ** 2


def func3(theta):
    return np.sin(theta[0]) + theta[1] ** 2 + np.cos(theta[2])


def untraceable(theta):
    return math.sin(theta[0]) + float(theta[1]) ** 2


# --- the examples as printed ----------------------------------------------------------------------


def test_examples_of_the_documentation():
    calc = CalculusKit(func, x0=np.array([0.5, 2.0]))
    assert str(calc.gradient().round(6)) == "[0.877583 4.      ]"
    true = [math.cos(0.5), 4.0]
    finite = calc.gradient(method="finite", stepsize=1e-2, num_points=5, extrapolation="ridders", levels=4)
    np.testing.assert_allclose(finite, true, rtol=1e-10)
    fitted = calc.gradient(method="adaptive", n_points=12, spacing="auto", ridge=1e-10)
    np.testing.assert_allclose(fitted, true, rtol=1e-8)
    calc3 = CalculusKit(func3, x0=np.array([0.5, 2.0, 0.1]))
    spread = calc3.gradient(method="finite", n_workers=3, stepsize=1e-2, num_points=5)
    np.testing.assert_allclose(spread, [*true, -math.sin(0.1)], rtol=1e-8)


# --- which method ---------------------------------------------------------------------------------


def test_none_is_symbolic_where_it_can_be():
    result = CalculusKit(func, [0.5, 2.0]).gradient(full_output=True)
    assert result.method == "symbolic"
    assert result.status == "exact"


def test_none_is_adaptive_elsewhere_without_a_warning():
    result = CalculusKit(untraceable, [0.5, 2.0]).gradient(full_output=True)
    assert result.method == "adaptive"
    np.testing.assert_allclose(result.value, [math.cos(0.5), 4.0], rtol=1e-10)
    assert DerivativeKit(math.sin, 1.0).differentiate(full_output=True).method == "adaptive"


def test_symbolic_says_what_it_cannot_trace():
    with pytest.raises(TraceError):
        CalculusKit(untraceable, [0.5, 2.0]).gradient(method="symbolic")


KINDS = ["gradient", "hessian", "hessian_diag", "hyper_hessian"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", [None, "finite", "adaptive", "complex"])
def test_every_kind_by_every_method(kind, method):
    reference = getattr(CalculusKit(func3, [0.5, 2.0, 0.1]), kind)(method="adaptive")
    value = getattr(CalculusKit(func3, [0.5, 2.0, 0.1]), kind)(method=method)
    np.testing.assert_allclose(value, reference, atol=2e-4)
    assert value.dtype == np.float64


@pytest.mark.parametrize("method", [None, "finite", "adaptive", "complex"])
def test_jacobians(method):
    kit = CalculusKit(lambda p: np.stack([p[0] * p[1], np.sin(p[1])]), [2.0, 0.5])
    np.testing.assert_allclose(kit.jacobian(method=method), [[0.5, 2.0], [0.0, math.cos(0.5)]], atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_symbolic_tensors(kind):
    kit = CalculusKit(func3, [0.5, 2.0, 0.1])
    result = getattr(kit, kind)(method="symbolic", full_output=True)
    assert result.method == "symbolic"
    np.testing.assert_allclose(result.value, getattr(kit, kind)(method="adaptive"), atol=1e-5)


# --- what is returned -----------------------------------------------------------------------------


def test_full_output_and_errors():
    kit = CalculusKit(func, [0.5, 2.0])
    result = kit.gradient(method="adaptive", full_output=True)
    assert {"value", "error", "n_evaluations", "steps", "method", "status", "success", "message"} <= set(vars(result))
    value, error = kit.gradient(method="finite", return_error=True)
    assert (np.abs(value - [math.cos(0.5), 4.0]) <= error).all()
    assert np.isfinite(kit.gradient(method="finite", full_output=True).error).all()


def test_outputs_of_the_wrong_kind():
    for method in (None, "finite", "adaptive", "complex"):
        with pytest.raises(TypeError, match="scalar"):
            CalculusKit(lambda p: p * 2, [1.0, 2.0]).gradient(method=method)
        with pytest.raises(TypeError, match="Jacobian"):
            CalculusKit(func, [1.0, 2.0]).jacobian(method=method)


def test_bad_input():
    with pytest.raises(ValueError, match="empty"):
        CalculusKit(func, [])
    with pytest.raises(ValueError, match="empty"):
        DerivativeKit(np.sin, [])
    with pytest.raises(ValueError, match="x0 is missing"):
        DerivativeKit(np.sin)
    with pytest.raises(ValueError, match="'symbolic', 'finite', 'adaptive', 'complex'"):
        CalculusKit(func, [0.5, 2.0]).gradient(method="newton")
    with pytest.raises(ValueError, match="'symbolic', 'finite', 'adaptive', 'complex'"):
        DerivativeKit(np.sin, 1.0).differentiate(method="newton")
    with pytest.raises(ValueError, match="stepsize"):
        CalculusKit(func, [0.5, 2.0]).gradient(method="adaptive", stepsize=1e-2)
    with pytest.raises(TypeError, match="complex"):
        DerivativeKit(np.sin, 1j)


def test_results_that_are_not_finite_or_not_to_be_relied_on():
    with pytest.raises(FloatingPointError, match="parameter 1"):
        CalculusKit(lambda p: p[0] + np.cbrt(p[1]), [1.0, 0.0]).gradient(method="adaptive")
    with pytest.raises(FloatingPointError, match="parameter 1"):
        CalculusKit(lambda p: p[0] + np.log(p[1]), [1.0, 1e-4]).gradient(method="finite")
    with pytest.warns(RuntimeWarning, match="kink"):
        DerivativeKit(abs, 0.0).differentiate(method="adaptive")


# --- DerivativeKit --------------------------------------------------------------------------------


def test_many_points_and_outputs():
    kit = DerivativeKit(lambda x: np.array([x, x**2]), x0=np.array([1.0, 2.0, 3.0]))
    for method in ("finite", "adaptive", "complex"):
        np.testing.assert_allclose(kit.differentiate(method=method), [[1, 2], [1, 4], [1, 6]], rtol=1e-10)
    result = kit.differentiate(method="adaptive", full_output=True)
    assert result.value.shape == result.error.shape == (3, 2)
    assert DerivativeKit(np.sin, [[0.0, 1.0]]).differentiate(method="finite").shape == (1, 2)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_orders(order):
    true = [math.cos(1.0), -math.sin(1.0), -math.cos(1.0), math.sin(1.0)][order - 1]
    for method in (None, "adaptive", "complex"):
        assert DerivativeKit(np.sin, 1.0).differentiate(method=method, order=order) == pytest.approx(true, abs=1e-5)


def test_diagnostics():
    value, details = DerivativeKit(np.sin, 1.0).differentiate(method="adaptive", diagnostics=True)
    assert value == pytest.approx(math.cos(1.0))
    assert {"offsets", "values", "windows"} <= set(details)
    value, error, details = DerivativeKit(np.sin, 1.0).differentiate(
        method="adaptive", n_points=10, diagnostics=True, return_error=True
    )
    assert abs(value - math.cos(1.0)) <= error
    assert "residual" in details


def test_vectorized():
    assert DerivativeKit(np.sin, 1.0).differentiate(method="adaptive", vectorized=True) == pytest.approx(math.cos(1.0))


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.0, 0.05, 1.0, 1.5, 2.95, 3.0])
@pytest.mark.parametrize("count", [8, 20, 60])
def test_tables_are_differentiated_with_their_own_error(at, count):
    x = np.linspace(0, 3, count)
    result = DerivativeKit(tab_x=x, tab_y=np.sin(x), x0=at).differentiate(full_output=True)
    assert abs(result.value - math.cos(at)) <= result.error < 0.2


def test_tables_in_any_order_and_with_many_columns():
    x = np.random.default_rng(0).permutation(np.linspace(0, 3, 40))
    kit = DerivativeKit(tab_x=x, tab_y=np.stack([np.sin(x), np.exp(x)], axis=1), x0=[1.0, 2.0])
    np.testing.assert_allclose(kit.differentiate(), [[math.cos(t), math.exp(t)] for t in (1.0, 2.0)], rtol=1e-3)
    np.testing.assert_allclose(kit.differentiate(method="finite"), kit.differentiate(), rtol=1e-6)


def test_splines_are_exact_on_cubics():
    x = np.array([0.0, 0.7, 1.0, 2.5, 3.0, 4.2])
    spline = TabulatedFunction(x, x**3 - 2 * x)
    for t in np.linspace(0, 4.2, 30):
        assert spline(t) == pytest.approx(t**3 - 2 * t, abs=1e-12)
    assert np.isnan(spline(4.3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tab_x": [1, 2, 3, 4]}, "both"),
        ({"tab_x": [1, 2, 3], "tab_y": [1, 2, 3]}, "at least 4"),
        ({"tab_x": [1, 1, 2, 3], "tab_y": [1, 2, 3, 4]}, "different"),
        ({"tab_x": [1, 2, 3, 4], "tab_y": [1, 2, 3]}, "shape"),
        ({"tab_x": [1, 2, 3, np.nan], "tab_y": [1, 2, 3, 4]}, "finite"),
        ({}, "give a function, or a table"),
        ({"function": np.sin, "tab_x": [1, 2, 3, 4], "tab_y": [1, 2, 3, 4]}, "not both"),
    ],
)
def test_wrong_tables(arguments, message):
    with pytest.raises(ValueError, match=message):
        DerivativeKit(x0=1.0, **arguments)


def test_tables_have_limits():
    kit = DerivativeKit(tab_x=[0, 1, 2, 3, 4], tab_y=[0, 1, 4, 9, 16], x0=5.0)
    with pytest.raises(ValueError, match="outside the table"):
        kit.differentiate()
    with pytest.raises(ValueError, match="needs a function"):
        kit.differentiate(method="complex")


# --- cache and locks ------------------------------------------------------------------------------


def test_the_cache_is_off_unless_asked_for():
    calls = []

    def function(x):
        calls.append(x)
        return np.sin(x)

    kit = DerivativeKit(function, 1.0)
    kit.differentiate(method="finite")
    kit.differentiate(method="finite")
    assert len(calls) == 10
    calls.clear()
    kit = DerivativeKit(function, 1.0, use_input_cache=True)
    kit.differentiate(method="finite")
    kit.differentiate(method="finite", num_points=3)
    assert len(calls) == 5


def test_cached_functions():
    calls = []

    def function(x):
        calls.append(1)
        return np.array([1.0, 2.0]) * x

    cached = CachedFunction(function, maxsize=2, decimal_places=3)
    first = cached(1.0)
    first[0] = 100.0
    assert cached(1.00001)[0] == 1.0  # the same to three places, and not what the caller made of it
    cached(2.0)
    cached(3.0)
    cached(1.0)
    assert len(calls) == 4
    shared = CachedFunction(function, copy=False)
    assert shared(1.0) is shared(1.0)
    with pytest.raises(ValueError, match="cache_maxsize"):
        CachedFunction(function, maxsize=0)


def test_the_cache_through_calculus_kit():
    calls = []

    def function(p):
        calls.append(1)
        return float(p @ p)

    kit = CalculusKit(function, [1.0, 2.0])
    kit.hessian(method="finite", dk_init_kwargs={"use_input_cache": True})
    assert len(calls) == 13
    with pytest.raises(ValueError, match="use_input_cache"):
        kit.gradient(method="finite", dk_init_kwargs={"cache": True})


def test_locks_keep_threads_apart():
    inside = []

    def function(p):
        inside.append(1)
        assert len(inside) == 1
        inside.pop()
        return float(p @ p)

    for settings in ({"thread_safe": True}, {"thread_lock": threading.RLock()}):
        kit = CalculusKit(function, np.arange(1.0, 9.0), **settings)
        np.testing.assert_allclose(kit.gradient(method="adaptive", n_workers=4), np.arange(2.0, 18.0, 2.0), rtol=1e-10)


def test_wrappers_pickle():
    for wrapped in (CachedFunction(np.sin), LockedFunction(np.sin)):
        assert pickle.loads(pickle.dumps(wrapped))(1.0) == np.sin(1.0)


# --- pictures and comparison ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "x0", "options"),
    [
        (np.sin, 1.0, {}), (np.sin, 1.0, {"n_points": 12}), (abs, 0.0, {}), (lambda x: 5.0, 1.0, {}),
        (np.sqrt, 0.0, {}), (lambda x: np.sin(x) + 1e-6 * np.sin(1e9 * x), 1.0, {}),
    ],
)  # fmt: skip
def test_plots(function, x0, options, tmp_path):
    pytest.importorskip("matplotlib")
    figure = DerivativeKit(function, x0).plot(**options)
    titles = [axes.get_title() for axes in figure.axes]
    assert "samples and fit" in titles
    assert "residual" in titles
    figure.savefig(tmp_path / "derivative.png")
    assert (tmp_path / "derivative.png").stat().st_size > 10_000
    for axes in figure.axes:
        assert_apart([label for label in axes.get_xticklabels(which="both") if label.get_text()])


def assert_apart(labels):
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    for left, right in itertools.pairwise(boxes):
        assert left.x1 <= right.x0, [label.get_text() for label in labels]


def test_plots_show_one_scalar():
    with pytest.raises(ValueError, match="one point"):
        DerivativeKit(np.sin, [1.0, 2.0]).plot()
    with pytest.raises(TypeError, match="scalar"):
        DerivativeKit(lambda x: np.array([x, x]), 1.0).plot()


def test_methods_side_by_side():
    comparison = compare_methods(np.sin, 1.0)
    for row in comparison.rows:
        assert row.result.value == pytest.approx(math.cos(1.0), abs=1e-7)
        assert row.seconds > 0
    assert "claimed error" in str(comparison)
    assert comparison["adaptive"].result.n_evaluations < 30
    refused = compare_methods(untraceable, [0.5, 2.0])
    assert refused["symbolic"].result is None
    assert "TraceError" in str(refused)
    assert refused["complex"].result is None
    with pytest.raises(KeyError):
        refused["newton"]


def test_what_the_function_raises_itself_comes_through():
    with pytest.raises(ZeroDivisionError):
        compare_methods(lambda x: 1 / 0, 1.0)
