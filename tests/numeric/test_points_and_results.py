"""The pieces around the methods: points of functions, workers, tables, caches, counts, shapes and pictures."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from archimedes_grad.derivative_kit import DerivativeKit
from archimedes_grad.numeric import (
    derivative,
    gradient,
    hessian,
    hessian_diag,
    hyper_hessian,
    jacobian,
    validate_options,
)
from archimedes_grad.numeric.executors import run_all, workers
from archimedes_grad.numeric.functions import PointFunction
from archimedes_grad.numeric.higher import _scale, _subset_sums
from archimedes_grad.numeric.input_cache import CachedFunction
from archimedes_grad.numeric.lines import Line
from archimedes_grad.numeric.results import LineEstimate, describe, worst_status
from archimedes_grad.numeric.sampling import LineSampler
from archimedes_grad.numeric.table import TabulatedFunction


class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


def raising_below_zero(points):
    if np.any(points < 0):
        raise ValueError("negative")
    return np.sqrt(points[..., 0])


@pytest.mark.parametrize("points", [[[4.0]], [[-1.0]], [[4.0], [-1.0]], [[-1.0], [4.0], [9.0]]])
@pytest.mark.parametrize("vectorized", [False, True])
def test_points_outside_the_domain_are_nan_one_by_one(points, vectorized):
    function = PointFunction(raising_below_zero, vectorized=vectorized, tolerant=True, shape=())
    expected = [[math.sqrt(p[0]) if p[0] >= 0 else math.nan] for p in points]
    np.testing.assert_array_equal(function(np.array(points)), expected)
    for strict in (
        PointFunction(raising_below_zero, vectorized=vectorized, shape=()),
        PointFunction(raising_below_zero, vectorized=vectorized, tolerant=True),
    ):
        if (np.array(points) < 0).any():
            with pytest.raises(ValueError, match="negative"):
                strict(np.array(points))


def test_complex_values_are_outside_the_domain_where_a_real_one_is_known():
    def function(x):
        return complex(x) ** 0.5 if x < 0 else x**0.5

    tolerant = PointFunction(function, scalar_input=True, tolerant=True, shape=())
    np.testing.assert_array_equal(tolerant(np.array([[-1.0], [4.0]])), [[np.nan], [2.0]])
    for strict in (
        PointFunction(function, scalar_input=True, shape=()),
        PointFunction(function, scalar_input=True, tolerant=True),
    ):
        with pytest.raises(TypeError, match="complex"):
            strict(np.array([[-1.0]]))


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("scalar_input", [False, True])
def test_functions_may_not_change_the_points(vectorized, scalar_input):
    def function(p):
        if isinstance(p, np.ndarray):
            p *= 0
            return p[..., 0] if not scalar_input else p
        return 0.0

    points = np.array([[1.0], [2.0]])
    PointFunction(function, vectorized=vectorized, scalar_input=scalar_input)(points)
    np.testing.assert_array_equal(points, [[1.0], [2.0]])


def test_points_of_an_executor():
    threads = set()

    def function(x):
        threads.add(threading.get_ident())
        return x

    with ThreadPoolExecutor(2) as pool:
        there = PointFunction(function, scalar_input=True, executor=pool)
        np.testing.assert_array_equal(there(np.array([[1.0], [2.0]])), [[1.0], [2.0]])
        assert threading.get_ident() not in threads
        there(np.array([[1.0]]))  # not worth a thread
        assert threading.get_ident() in threads
        threads.clear()
        known, _ = there.at_centre(np.array([1.0]))
        assert threads == {threading.get_ident()}
        assert (known.shape, known.executor) == ((), pool)


def root(x):
    if np.any(x < 0):
        raise ValueError("negative")
    return np.sqrt(x)


DRIVERS = {
    "derivative": (derivative, root, 1e-3, root),
    "gradient": (gradient, lambda p: root(p[0]), [1e-3], lambda p: root(p[:, 0])),
    "jacobian": (jacobian, lambda p: root(p), [1e-3], lambda p: root(p)),
    "hessian": (hessian, lambda p: root(p[0]), [1e-3], lambda p: root(p[:, 0])),
    "hessian_diag": (hessian_diag, lambda p: root(p[0]), [1e-3], lambda p: root(p[:, 0])),
    "hyper_hessian": (hyper_hessian, lambda p: root(p[0]), [1e-3], lambda p: root(p[:, 0])),
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_methods_that_look_for_their_steps_come_back_into_the_domain(driver):
    differentiate, one, x0, many = DRIVERS[driver]
    calls = []

    def counted(points):
        calls.append(len(points))
        return many(points)

    plain = differentiate(one, x0)
    assert plain.success
    np.testing.assert_array_equal(differentiate(counted, x0, vectorized=True).value, plain.value)
    assert max(calls) > 1
    with pytest.raises(ValueError, match="negative"):
        differentiate(one, x0, method="finite", stepsize=1e-2)


@pytest.mark.parametrize("n_workers", [0, -1, True, 1.5, "2", None])
def test_wrong_workers(n_workers):
    with pytest.raises(ValueError, match="n_workers must be a positive integer"), workers(n_workers, None):
        pass


def test_one_worker_is_none_at_all():
    with workers(1, None) as pool:
        assert pool is None
    with workers(2, None) as pool:
        assert isinstance(pool, ThreadPoolExecutor)
    with ThreadPoolExecutor(1) as given, workers(2, given) as pool:
        assert pool is given


def test_what_has_not_started_is_cancelled_after_an_error():
    started = []

    def task(k):
        started.append(k)
        if k == 0:
            raise KeyError("first")
        threading.Event().wait(0.05)

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError) as caught:
        run_all(task, [(k,) for k in range(50)], [f"piece {k}" for k in range(50)], pool)
    assert caught.value.__notes__ == ["while differentiating by piece 0"]
    assert len(started) < 50


def test_progress_shows_as_many_pieces_as_there_are(capsys):
    pytest.importorskip("tqdm")
    with ThreadPoolExecutor(1) as pool:
        for executor in (None, pool):
            assert run_all(abs, [(-1,), (2,), (-3,)], ["a", "b", "c"], executor, progress=True) == [1, 2, 3]
            assert "3/3" in capsys.readouterr().err
    run_all(abs, [(-1,)], ["a"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_splines_are_those_of_scipy(shape):
    interpolate = pytest.importorskip("scipy.interpolate")
    random = np.random.default_rng(0)
    x = np.cumsum(random.uniform(0.1, 1.0, 9))
    y = random.standard_normal((9, *shape))
    order = random.permutation(9)
    spline, known = TabulatedFunction(x[order], y[order]), interpolate.CubicSpline(x, y)
    for at in [*x, *np.linspace(x[0], x[-1], 40)]:
        np.testing.assert_allclose(spline(at), known(at), rtol=1e-10, atol=1e-12)
        assert spline(at).shape == shape
    for outside in (x[0] - 1e-9, x[-1] + 1e-9, math.nan):
        assert np.isnan(spline(outside)).all()


COARSER = {
    4: [], 5: [], 6: [[0, 2, 4, 5], [0, 1, 3, 5]], 7: [[0, 2, 4, 6], [0, 1, 3, 5, 6]],
    8: [[0, 2, 4, 6, 7], [0, 1, 3, 5, 7]],
}  # fmt: skip


@pytest.mark.parametrize("count", COARSER)
def test_coarser_splines(count):
    x = np.arange(count) ** 1.5
    y = np.column_stack([np.sin(x), np.cos(x)])
    for coarser, kept in zip(TabulatedFunction(x, y).coarser(), COARSER[count], strict=True):
        np.testing.assert_array_equal(coarser.x, x[kept])
        np.testing.assert_array_equal(coarser.y, y[kept])
        assert coarser.shape == (2,)


def test_places_half_an_interval_beside_a_point():
    table = TabulatedFunction([0.0, 1.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0])
    assert table.around(1.5) == [1.5, 0.5, 2.5]
    assert table.around(0.25) == [0.25, 0.0, 0.75]
    assert table.around(4.0) == [4.0, 3.5, 4.0]


def test_what_is_claimed_for_a_table_is_a_bound_in_practice():
    """At one place a spline and a coarser one may agree by chance: that alone bounded seven of eight derivatives."""
    random = np.random.default_rng(5)
    exceeding = 0
    for trial in range(20):
        count, frequency, phase = random.integers(8, 40), random.uniform(0.5, 4.0), random.uniform(0.0, 6.0)
        x = np.linspace(0.0, 3.0, count) if trial % 2 else np.arange(count) ** 1.2
        scale = x[-1] / 3.0
        for order in (1, 2):
            at = random.uniform(x[0], x[-1])
            kit = DerivativeKit(tab_x=x, tab_y=np.sin(frequency * x / scale + phase), x0=at)
            result = kit.differentiate(order=order, full_output=True)
            true = (frequency / scale) ** order * np.sin(frequency * at / scale + phase + order * np.pi / 2)
            assert abs(result.value - true) <= 3.0 * result.error
            exceeding += abs(result.value - true) > result.error
    assert exceeding <= 2


@pytest.mark.parametrize("count", [4, 5])
def test_few_points_allow_no_claim(count):
    x = np.arange(float(count))
    result = DerivativeKit(tab_x=x, tab_y=x**2, x0=1.5).differentiate(full_output=True)
    assert (result.success, float(result.error)) == (False, np.inf)
    assert result.value == pytest.approx(3.0)
    assert f"{count} points leave nothing to judge a spline by" in result.message


def test_caches():
    square = Counted(lambda x: x * x)
    one = CachedFunction(square, maxsize=1)
    assert [one(2.0), one(2.0), one(3.0), one(2.0)] == [4.0, 4.0, 9.0, 4.0]
    assert (one.hits, one.misses, square.calls) == (1, 3, 3)
    two = CachedFunction(Counted(lambda x: x * x), maxsize=2)
    for x in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):  # 2 is the least recently used when 3 comes
        two(x)
    assert (two.hits, two.misses) == (2, 4)
    everything = CachedFunction(square, maxsize=None)
    for x in range(5000):
        everything(x)
    everything(0)
    assert everything.hits == 1


def test_keys_of_caches():
    function = Counted(lambda x: np.array(x, dtype=float))
    cached = CachedFunction(function)
    for argument in (np.zeros(2), np.zeros((2, 1)), np.zeros(2, dtype=np.float32), np.array([0.0, -0.0])):
        cached(argument)
    assert (cached.hits, cached.misses) == (0, 4)
    rounded = CachedFunction(function, decimal_places=2)
    for argument in (0.001, -0.001, 0.004, 0.006):
        rounded(argument)
    assert (rounded.hits, rounded.misses) == (2, 2)


@pytest.mark.parametrize("copy", [True, False])
def test_caches_hand_out_copies(copy):
    kept = np.array([1.0])
    cached = CachedFunction(lambda x: kept, copy=copy)
    for _ in range(3):
        result = cached(0.0)
        result += 1.0
    assert bool(cached(0.0)[0] == 1.0) is copy


@pytest.mark.parametrize(
    "arguments",
    [{"maxsize": 0}, {"maxsize": True}, {"maxsize": 1.5}, {"decimal_places": 1.5}, {"decimal_places": True}],
)
def test_wrong_caches(arguments):
    with pytest.raises(ValueError, match="cache_"):
        CachedFunction(abs, **arguments)


@pytest.mark.parametrize("domain", [(0.0, 3.0), (2.0, 3.0), (0.0, 2.0)])
@pytest.mark.parametrize("direction", [(1.0, 0.0), (-1.0, 0.0), (2.0, 0.0), (1.0, 1.0), (1.0, -0.5)])
def test_lines_stay_in_the_domain_of_every_parameter_that_moves(domain, direction):
    point = np.array([2.0, 2.5 if direction[1] and domain[1] > 2.5 else (2.0 if direction[1] else 9.0)])
    line = Line(PointFunction(lambda p: p[0]), point, np.array(direction), np.zeros(1))
    sampler = line.sampler(domain)
    moving = [(point[k], d) for k, d in enumerate(direction) if d]
    inside = [t for t in np.linspace(-4, 4, 1601) if all(domain[0] <= x + t * d <= domain[1] for x, d in moving)]
    assert sampler.lower == pytest.approx(min(inside), abs=1e-12)
    assert sampler.upper == pytest.approx(max(inside), abs=1e-12)
    assert sampler.position == max(abs(point[k] / d) for k, d in enumerate(direction) if d)
    free = line.sampler()
    assert (free.lower, free.upper) == (-math.inf, math.inf)


def test_samples_are_counted_and_kept():
    asked = []

    def rows(t):
        asked.append(t.tolist())
        return t[:, None] * [1.0, 2.0]

    sampler = LineSampler(rows, np.zeros(2), -3.0, -1.0, 1.0)
    found = sampler(np.array([0.5, 2.0, 0.0, 0.5, -1.0, -1.5, 1.0]))
    np.testing.assert_array_equal(found[:, 0], [0.5, np.nan, 0.0, 0.5, -1.0, np.nan, 1.0])
    sampler(np.array([0.5, 0.25]))
    assert asked == [[0.5, -1.0, 1.0], [0.25]]
    assert (sampler.n_evaluations, sampler.position) == (4, 3.0)
    np.testing.assert_array_equal(sampler.known()[0], [-1.0, 0.0, 0.25, 0.5, 1.0])
    np.testing.assert_array_equal(sampler.known()[1][:, 1], [-2.0, 0.0, 0.5, 1.0, 2.0])


@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_evaluations_are_counted(method, order):
    function = Counted(lambda p: np.sin(p[0]) * p[1] ** 2)
    result = hyper_hessian(function, [0.5, 2.0], order=order, method=method)
    assert result.n_evaluations == function.calls
    single = Counted(lambda x: x**3)
    assert derivative(single, 0.5, order=order, method=method).n_evaluations == single.calls


@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_shapes_of_results(method, order):
    one = derivative(np.sin, 0.5, order=order, method=method)
    assert isinstance(one.value, np.float64)
    assert np.shape(one.error) == np.shape(one.steps) == ()
    assert one.method == method
    many = derivative(lambda x: np.outer([x, x * x], [1, 2, 3]), 0.5, order=order, method=method)
    assert many.value.shape == many.error.shape == many.steps.shape == (2, 3)
    tensor = hyper_hessian(lambda p: np.sin(p[0] + 2 * p[1]), [0.5, 0.1], order=order, method=method)
    assert tensor.value.shape == tensor.error.shape == (2,) * order
    assert tensor.method == method


def test_the_diagonal_alone():
    for method in ("finite", "adaptive", "complex"):
        full = hessian(lambda p: np.sin(p[0]) * p[1] ** 3, [0.5, 2.0], method=method)
        diagonal = hessian_diag(lambda p: np.sin(p[0]) * p[1] ** 3, [0.5, 2.0], method=method)
        np.testing.assert_allclose(diagonal.value, np.diag(full.value), rtol=1e-7)
        assert diagonal.error.shape == diagonal.steps.shape == (2,)
        assert (diagonal.method, diagonal.status, diagonal.success) == (method, full.status, full.success)


def test_rounding_of_large_values_is_no_disagreement_with_a_complex_step():
    plain = derivative(lambda x: x, 1.0, method="complex")
    assert derivative(lambda x: 1e10 + x, 1.0, method="complex").n_evaluations == plain.n_evaluations


def test_complex_steps_of_single_precision_give_doubles():
    result = derivative(lambda x: np.complex64(x * x) if isinstance(x, complex) else x * x, 0.5, method="complex")
    assert result.value.dtype == np.float64


def test_the_polarisation_identity():
    """The combination of derivatives along lines is the mixed derivative, for every monomial of the order."""
    for index in [(0, 1), (0, 1, 1), (0, 1, 2), (0, 0, 1, 1), (0, 1, 1, 2), (0, 1, 2, 3)]:
        order, size = len(index), max(index) + 1
        powers = np.bincount(index, minlength=size)
        total = sum(
            sign * math.factorial(order) * math.prod(float(d) ** p for d, p in zip(direction, powers, strict=True))
            for direction, sign in _subset_sums(index, size).items()
        )
        # Along d, the monomial is t**order * prod d**p; its mixed derivative is prod p!.
        assert total / math.factorial(order) == pytest.approx(math.prod(math.factorial(p) for p in powers))


@pytest.mark.parametrize(
    ("steps", "scale"), [([0.3, 0.09], 0.125), ([0.0, np.nan, 5.0], 4.0), ([0.0], 1.0), ([np.nan], 1.0)]
)
def test_scales_of_mixed_directions(steps, scale):
    steps = np.array(steps)
    assert _scale(LineEstimate(steps, steps, steps, steps > 0)) == scale


def described(entries):
    """The message for lines whose outputs have these statuses and messages."""
    columns = (zip(*lines) for lines in entries.values())
    return describe(list(entries), [SimpleNamespace(status=status, message=message) for status, message in columns])


def test_messages_tell_the_worst():
    assert worst_status(["converged", "noisy", "exact", "one-sided"]) == "noisy"
    assert described({"a": [("converged", "fine"), ("exact", "x")], "b": [("converged", "too")]}) == "fine"
    entries = {"a": [("noisy", "n"), ("failed", "f"), ("failed", "f")], "b": [("converged", "c")]}
    assert described(entries) == "a: f"
    many = {name: [("failed", f"no {name}")] for name in "abcd"}
    assert described(many) == "a: no a; b: no b; c: no c (and 1 more)"
    assert described({name: many[name] for name in "abc"}) == "a: no a; b: no b; c: no c"


ALLOWED = [
    ("finite", {"num_points": 3}, 2),
    ("finite", {"num_points": 5}, 4),
    ("finite", {"extrapolation": "gre", "levels": 2}, 1),
    ("finite", {"extrapolation": "gre", "levels": np.int64(12)}, 1),
    ("adaptive", {"n_points": 3}, 1),
    ("adaptive", {"n_points": 30}, 4),
    ("adaptive", {"ridge": 0.0}, 1),
    ("adaptive", {"spacing": "1e-3%"}, 1),
    ("adaptive", {"domain": (None, 3)}, 1),
    ("adaptive", {"domain": (-1, None)}, 1),
    ("adaptive", {"grid": ("offsets", [[0.1, 0.2]])}, 1),
    ("complex", {"stepsize": "1e-30"}, 1),
    ("finite", {"return_error": np.True_}, 1),
]


@pytest.mark.parametrize("case", range(len(ALLOWED)))
def test_what_is_just_allowed(case):
    method, options, order = ALLOWED[case]
    checked = validate_options(method, options, order)
    for name, value in options.items():
        read = {"grid": ("offsets", (0.1, 0.2)), "stepsize": 1e-30}.get(name, value)
        if name == "domain":
            read = (-math.inf if value[0] is None else value[0], math.inf if value[1] is None else value[1])
        assert checked[name] == read


REFUSED = [
    ("finite", {"extrapolation": "gre", "levels": 13}, 1),
    ("finite", {"extrapolation": "gre", "levels": True}, 1),
    ("finite", {"num_points": 3}, 3),
    ("adaptive", {"spacing": "0%"}, 1),
    ("adaptive", {"spacing": "inf%"}, 1),
    ("adaptive", {"spacing": "5"}, 1),
    ("adaptive", {"domain": (1, 1)}, 1),
    ("adaptive", {"grid": ("offsets", [0.1, 0.2, 0.1])}, 1),
    ("adaptive", {"grid": ("offsets", [1j, 2])}, 1),
    ("adaptive", {"diagnostics": 1}, 1),
    ("finite", {}, 5),
    ("finite", {}, 0),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_is_just_refused(case):
    method, options, order = REFUSED[case]
    with pytest.raises(ValueError):
        validate_options(method, options, order)


# --- pictures --------------------------------------------------------------------------------------


def picture(function, x0, order=1, **options):
    pytest.importorskip("matplotlib")
    from archimedes_grad.numeric.pictures import plot_derivative

    figure = plot_derivative(function, x0, order, **options)
    result = derivative(function, x0, order=order, diagnostics=True, **options)
    return {axes.get_title() or "bar": axes for axes in figure.axes}, result, figure


def lines_of(axes):
    return {line.get_label(): np.array(line.get_data()) for line in axes.get_lines()}


def wavy(x):
    return np.sin(3 * x) + x


def test_the_picture_of_the_samples():
    panels, result, figure = picture(wavy, 0.5)
    samples = panels["samples and fit"]
    offsets, values = result.details["offsets"], result.details["values"][:, 0]
    near = np.abs(offsets) <= 1.25 * float(result.steps)
    lines = lines_of(samples)
    degree = min(9, near.sum() - 2)
    x, y = lines[f"{near.sum()} of {len(offsets)} samples"]
    np.testing.assert_allclose(x, 0.5 + offsets[near])
    np.testing.assert_allclose(y, values[near])
    x, y = lines[f"polynomial, degree {degree}"]
    assert len(x) == 400
    assert (x[0], x[-1]) == (pytest.approx(0.5 + offsets[near].min()), pytest.approx(0.5 + offsets[near].max()))
    np.testing.assert_allclose(y, wavy(x), atol=1e-5)
    x, y = lines["derivative"]
    np.testing.assert_allclose(y, wavy(0.5) + (1 + 3 * math.cos(1.5)) * (x - 0.5), atol=1e-5)
    assert (samples.get_xlabel(), samples.get_ylabel()) == ("x", "f(x)")
    assert len(samples.get_legend().get_texts()) == 3
    residual = panels["residual"]
    assert (residual.get_xlabel(), residual.get_ylabel()) == ("x", "f(x) − fit")
    np.testing.assert_allclose(residual.get_lines()[0].get_ydata(), 0.0)
    x, y = residual.get_lines()[1].get_data()
    np.testing.assert_allclose(x, 0.5 + offsets[near])
    assert np.abs(y).max() < 1e-5
    points = [
        line
        for axes in (samples, residual, panels["extrapolations"])
        for line in axes.get_lines()
        if line.get_marker() == "o"
    ]
    assert [line.get_markersize() for line in points] == [4, 4, 4]
    assert all(line.get_color() == "black" for line in points)
    assert "derivative of order 1 of wavy at 0.5: " in figure.get_suptitle()
    assert f"{result.n_evaluations} evaluations, converged" in figure.get_suptitle()


def test_the_picture_of_the_extrapolations():
    panels, result, _ = picture(wavy, 0.5)
    windows = result.details["windows"]
    values, table = panels["extrapolations"], panels["log10 of the claimed error"]
    lines = lines_of(values)
    x, y = lines["claimed error"]
    np.testing.assert_allclose(x, [heights[-1] for heights, _, _ in windows])
    np.testing.assert_allclose(y, [error[0] for _, _, error in windows])
    x, y = lines["distance from the result"]
    distance = np.array([abs(value[0] - float(result.value)) for _, value, _ in windows])
    np.testing.assert_allclose(y, distance[distance > 0])
    assert (values.get_xlabel(), values.get_ylabel()) == ("smallest step", "error")
    assert (values.get_xscale(), values.get_yscale()) == ("log", "log")
    assert values.get_legend() is not None
    ticks = values.get_xticks()
    assert len(ticks) >= 2
    assert len(values.get_xticks(minor=True)) == 0
    smallest = np.array([heights[-1] for heights, _, _ in windows])
    assert (np.diff(np.log(ticks)) > np.log(smallest.max() / smallest.min()) / 7).all()
    steps = sorted({heights[0] for heights, _, _ in windows}, reverse=True)
    counts = sorted({len(heights) for heights, _, _ in windows})
    grid = np.asarray(table.get_images()[0].get_array())
    assert grid.shape == (len(steps), len(counts))
    for heights, _, error in windows:
        assert grid[steps.index(heights[0]), counts.index(len(heights))] == pytest.approx(math.log10(error[0]))
    assert [label.get_text() for label in table.get_xticklabels()] == [str(count) for count in counts]
    assert [label.get_text() for label in table.get_yticklabels()] == [f"{step:.2g}" for step in steps]
    assert (table.get_xlabel(), table.get_ylabel()) == ("number of steps", "largest step")
    darkest = (np.nanmin(grid) + np.nanmax(grid)) / 2
    assert len(table.texts) == np.isfinite(grid).sum()
    for text in table.texts:
        entry = grid[int(text.get_position()[1]), int(text.get_position()[0])]
        assert text.get_text() == f"{entry:.1f}"
        assert text.get_color() == ("white" if entry > darkest else "black")
        assert (text.get_ha(), text.get_va(), text.get_fontsize()) == ("center", "center", 8)
    assert "bar" in panels


def test_the_picture_of_a_fit_has_no_extrapolations():
    panels, result, _ = picture(wavy, 0.5, n_points=12)
    assert "extrapolations" not in panels
    assert set(lines_of(panels["samples and fit"])) >= {"13 of 13 samples", "derivative"}
    blank = panels["bar"]
    assert blank.texts[0].get_text() == "fit on given nodes:\nno extrapolation"
    assert not blank.axison
    assert (blank.texts[0].get_position(), blank.texts[0].get_ha(), blank.texts[0].get_va()) == (
        (0.5, 0.5),
        "center",
        "center",
    )
    assert result.success


def test_labelled_steps_are_a_seventh_of_the_axis_apart():
    from archimedes_grad.numeric.pictures import _spread

    steps = np.ldexp(1.0, -np.arange(23))  # 22 / 7 rungs, so every fourth
    assert _spread(np.repeat(steps, 2)) == steps[22::-4].tolist()


def test_pictures_of_other_derivatives():
    panels, _, _ = picture(wavy, 0.5, order=2)
    assert "derivative" not in lines_of(panels["samples and fit"])
    panels, result, _ = picture(np.cbrt, 0.0)
    assert not np.isfinite(result.value)
    assert "derivative" not in lines_of(panels["samples and fit"])

    def noisy(x):
        return math.sin(x) + 1e-3 * math.sin(1e15 * x * x)

    panels, result, _ = picture(noisy, 0.5)
    assert result.status == "noisy"
    assert "polynomial, degree 3" in lines_of(panels["samples and fit"])


def test_pictures_leave_infinite_claims_out():
    panels, result, _ = picture(lambda x: math.nan if x < 0.4999 else wavy(x), 0.5)
    grid = np.asarray(panels["log10 of the claimed error"].get_images()[0].get_array())
    assert any(np.isnan(error[0]) for _, _, error in result.details["windows"])
    assert not np.isinf(grid).any()
    constant, _, _ = picture(lambda x: 0.0, 0.5)
    assert not np.isfinite(np.asarray(constant["log10 of the claimed error"].get_images()[0].get_array(), float)).any()


def test_points_that_have_not_started_are_cancelled_after_an_error():
    started = []

    def function(x):
        started.append(x)
        if x == 0.0:
            raise KeyError("first")
        threading.Event().wait(0.05)
        return x

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError):
        PointFunction(function, scalar_input=True, executor=pool)(np.arange(50.0)[:, None])
    assert len(started) < 50


def test_gradients_of_one_parameter_hold_their_details():
    one = gradient(lambda p: p[0] ** 2, [1.0], diagnostics=True)
    assert "offsets" in one.details
    assert gradient(lambda p: p[0] * p[1], [1.0, 2.0], diagnostics=True).details == {}
