"""Cases that mutants of the rules showed to be missing elsewhere: each of them kills some."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.special
from helpers import check, check_second_order, check_value

import archimedes_grad as arc
from archimedes_grad.arrays.trace_state import current_trace

FIVE = np.array([0.3, -1.2, 2.5, 0.9, -0.4])
FOUR = FIVE[:4]
GRID = np.linspace(-2.0, 2.0, 12).reshape(3, 4) + np.eye(3, 4)
CUBE = np.sin(np.arange(24.0) ** 2).reshape(2, 3, 4)
EDGES = np.array([-1.0, 0.0, 1.0, 2.0])
MASK = np.array([True, False, True, True, False])
DISCRETE = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "nearest", "midpoint")

CONTINUOUS = ("linear", "hazen", "weibull", "median_unbiased", "normal_unbiased", "interpolated_inverted_cdf")


@pytest.mark.parametrize("method", DISCRETE)
@pytest.mark.parametrize("q", [0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0])
def test_quantiles_at_ties_of_the_position(method, q):
    for x in (FIVE, FOUR, FIVE[:1]):
        check_value(lambda x: np.quantile(x, q, method=method), x)
        check_value(lambda q, x=x: np.quantile(x, q, method=method), q)


@pytest.mark.parametrize("method", CONTINUOUS)
def test_quantiles_at_traced_places(method):
    for x in (FIVE, FOUR, FIVE[:1]):
        check_value(lambda q, x=x: np.quantile(x, q, method=method), np.array([0.0, 0.02, 0.1, 0.3, 0.5, 0.97, 1.0]))


def into_a_tuple(function, x, *rest):
    out = np.zeros_like(x)
    assert function(x, *rest, out=(out,)) is out
    return out


VALUES = {
    "digitize, traced edges": (lambda e: np.digitize(np.array([-0.5, 1.5]), e), EDGES),
    "digitize, one plain number": (lambda e: np.digitize(0.5, e), EDGES),
    "digitize, plain edges": (lambda x: np.digitize(x, EDGES), FIVE),
    "digitize, a list of edges": (lambda x: np.digitize(x, [2.0, 0.0, -1.0]), FIVE),
    "digitize, right": (lambda e: np.digitize(np.array([0.0, 1.0]), e, right=True), EDGES),
    "digitize, edges that descend": (lambda e: np.digitize(FIVE, e), EDGES[::-1].copy()),
    **{f"digitize, edges {edges}": (lambda e, right=right: np.digitize(np.array([-0.5, 1.0, 3.0]), e, right), edges)
       for edges in map(np.array, ([1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [2.0, 0.0, 0.0], [0.5], [1.0, 1.0]))
       for right in (False, True)},
    **{f"digitize, many at {where} edges, right={right}": (
        lambda x, e=edges, right=right: np.digitize(x, e, right), np.repeat(np.arange(-2.0, 62.0), 2))
       for where, edges in (("rising", np.arange(60.0)), ("falling", np.arange(60.0)[::-1]))
       for right in (False, True)},
    "setxor1d of entries that repeat": (lambda x: np.setxor1d(np.concatenate([x, x[:2]]), x[1:3]), FIVE),
    "accumulate into a tuple": (lambda x: into_a_tuple(np.add.accumulate, x), FIVE),
    "reduceat into a tuple": (lambda x: into_a_tuple(np.multiply.reduceat, x, [0, 2, 1, 3, 4]), FIVE),
    "unwrap, integers with odd period": (lambda x: np.unwrap(x, period=5), np.array([0, 3, 6, 4, 11, 2])),
    "unwrap, integers with even period": (lambda x: np.unwrap(x, period=4), np.array([0, 2, 4, 3, 9, 1])),
    "unwrap, half a period": (lambda x: np.unwrap(x, period=2.0), np.array([0.0, 1.0, -1.0, 2.0])),
    **{f"correlate, mode {m}": (lambda x, m=m: np.correlate(x, [1.0, -2.0, 0.5], m), FIVE) for m in (0, 1, 2)},
    "dot of stacks, out": (lambda x: np.dot(x, CUBE.reshape(2, 4, 3), out=np.zeros((3, 2, 3), like=x)), GRID),
    "meshgrid of one": (lambda x: np.meshgrid(x)[0], FIVE),
    "searchsorted of many": (lambda v: np.searchsorted(np.arange(60.0), v, "right"), np.linspace(-3.0, 63.0, 90)),
    "polydiv of one degree": (lambda x: np.polydiv(x, x[::-1]), FIVE),
    "polydiv of a higher degree": (lambda x: np.polydiv(x[:2], x), FIVE),
    "digitize, nothing": (lambda x: np.digitize(x, x), np.zeros(0)),
    "roots of zeros": (lambda p: np.roots(p), np.zeros(3)),
    "average and weight": (lambda x: np.average(x, axis=0, returned=True), GRID),
    "average and weight of all": (lambda x: np.average(x, returned=True), GRID),
    "average and weight, keepdims": (lambda x: np.average(x, axis=1, returned=True, keepdims=True), GRID),
    "array, ndmin": (lambda x: np.array(x, ndmin=3), FIVE),
    "array, ndmin below": (lambda x: np.array(x, ndmin=1), GRID),
    "corrcoef of rows alike": (lambda x: np.corrcoef(x, x), FIVE),
    "a real base, a complex exponent": (
        lambda x: [part(np.power(np.abs(x), 1j * x)) for part in (np.real, np.imag)], FIVE),
    "complex numbers to the power 0": (lambda x: [part((x + 1j * x) ** 0) for part in (np.real, np.imag)], FIVE),
    "reduceat in few bits": (
        lambda x: np.add.reduceat(x.astype(np.int8), [0, 2], dtype=np.int8), np.array([70.0, 90.0, 99.0, 110.0])),
    "counts of nothing": (lambda x: np.bincount(x.astype(int)), np.zeros(0)),
    "einsum, a label twice around another": (lambda x: np.einsum("iji->ij", x[:, :2]), CUBE[:, :, :2].reshape(2, 3, 2)),
    "einsum, labels twice apart": (lambda x: np.einsum("jiki->jk", x), np.sin(np.arange(36.0)).reshape(3, 2, 3, 2)),
    "hypotenuse of some": (lambda x: np.hypot.reduce(x, axis=1, where=x > 0), GRID),
    "partition of rows of many": (
        lambda x: np.take_along_axis(x, np.argpartition(x, 30, axis=1), 1)[:, 30],
        np.sin(np.arange(300.0)).reshape(3, 100)),
    "concatenate, flattened": (lambda x: np.concatenate([x, x[:1]], axis=None), GRID),
    "two points and the step": (lambda x: np.linspace(x[0], x[1], 2, retstep=True), FIVE),
    "weighted quantile beside nan": (
        lambda x: np.nanquantile(np.where(x > 2, np.nan, x), 0.4, weights=x**2, method="inverted_cdf"), FIVE),
    "power 0 of a singular matrix": (lambda a: np.linalg.matrix_power(a, 0) * a, np.diag([1.0, 2.0, 0.0])),
    "einsum with a plain list": (lambda x: np.einsum("ij,j", x, [1.0, -2.0, 0.5, 3.0]), GRID),
    "tensordot with a plain list": (lambda x: np.tensordot(x, [1.0, -2.0, 0.5, 3.0], 1), GRID),
    **{f"{n} of one row": (lambda x, n=n: getattr(np, n).reduce(x[None]), FIVE)
       for n in ("hypot", "add", "logaddexp", "arctan2", "maximum", "logical_or")},
    **{f"trim_zeros of zeros along {axis}": (lambda x, axis=axis: np.trim_zeros(x * 0.0, axis=axis), GRID)
       for axis in (None, 0, 1)},
    "quantile, from the nearer end": (lambda x: np.quantile(x, 1 - 2.0**-53), np.array([-1e16, 1.0])),
    "quantile at a traced place, from the nearer end": (
        lambda q: np.quantile(np.array([-1e16, 1.0]), q), np.array([1 - 2.0**-53, 2.0**-53])),
    "qr complete, nothing to reflect": (lambda x: np.linalg.qr(np.triu(x.T * [1.0, 0.0, 1.0]), "complete"), GRID),
    **{f"choose among whole numbers, {mode}": (
        lambda x, mode=mode, shift=shift: np.choose((x > 0) * 1 - shift, [np.arange(5), np.arange(5, 10)], mode=mode),
        FIVE)
       for mode, shift in (("raise", 0), ("wrap", 1), ("clip", 1))},
    "det of a matrix with inf": (lambda a: np.linalg.det(a), np.array([[np.inf, 0.0], [0.0, 1.0]])),
}


@pytest.mark.parametrize("case", VALUES)
def test_values(case):
    function, *args = VALUES[case]
    check_value(function, *args)


@pytest.mark.parametrize("where", [True, False, np.True_, MASK])
def test_copies_where_a_mask_holds(where):
    def f(x):
        y = np.array(x)
        np.copyto(y, 2 * x, where=where)
        return y

    check(f, FIVE)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.subtract])
@pytest.mark.parametrize("places", [[], [1], [1, 1, 3, 1, 0, 3]])
def test_repeated_places_of_a_ufunc(ufunc, places):
    def f(x):
        y = np.array(x)
        ufunc.at(y, np.array(places, dtype=int), x[: len(places)] if len(places) < 6 else np.concatenate([x, x[:1]]))
        return y

    check(f, FIVE)


@pytest.mark.parametrize("ufunc", [np.copysign, np.power, np.divide])
def test_repeated_places_are_taken_in_order(ufunc):
    places = np.random.default_rng(0).integers(0, 3, 120)
    numbers = np.random.default_rng(1).uniform(0.9, 1.1, 120) * np.random.default_rng(2).choice([-1.0, 1.0], 120)

    def f(x):
        y = np.array(x)
        ufunc.at(y, places, numbers if ufunc is np.copysign else np.abs(numbers))
        return y

    check(f, np.abs(FIVE))


MATRIX_FUNCTIONS = {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "solve": lambda a: np.linalg.solve(a, np.ones((a.shape[-1], 2))),
    "cholesky": lambda a: np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + np.eye(3)),
}

SQUARE = np.sin(np.arange(25.0) ** 2).reshape(5, 5) + 3 * np.eye(5)
MANY = np.cos(np.arange(2500.0) ** 2)
#: Functions that NumPy or SciPy evaluates, and whether they raise at some of their arguments.
CALLS = {
    "solve": (lambda a: np.linalg.solve(a, a[0]), SQUARE, True), "inv of few": (np.linalg.inv, SQUARE[:2, :2], True),
    "inv of many": (lambda a: np.linalg.inv(np.stack([a, a.T])), SQUARE, True),
    "svd": (np.linalg.svdvals, SQUARE, True),
    "cholesky": (lambda a: np.linalg.cholesky(a @ a.T), SQUARE, True),
    "roots": (np.roots, np.poly([1.0, 2.0, 4.0]), True),
    "triangle": (lambda a: scipy.linalg.solve_triangular(a, a[0]), SQUARE, True),
    "sqrtm": (lambda a: scipy.linalg.sqrtm(a @ a.T), SQUARE, True), "sort": (np.sort, MANY, False),
    "argmax": (lambda x: np.argmax(x) * x[0], MANY, False), "fft": (lambda x: np.fft.rfft(x).real, MANY, False),
    "digitize": (lambda x: np.digitize(x, EDGES) * x[0], MANY, False), "gammainc": (
        lambda x: scipy.special.gammainc(1.5, x), MANY**2, False),
    "histogram": (lambda x: np.histogram(x, EDGES, weights=x)[0], MANY, False),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_only_of_what_can_fail_an_evaluation_asks_whether_it_has(name):
    function, at, fails = CALLS[name]
    seen = []

    def watched(x):
        result = function(x)
        seen.append((current_trace().can_fail, current_trace().opaque or fails))
        return result

    arc.compile(watched)(at)
    assert seen[0] == (fails, True)


@pytest.mark.parametrize("stack", [(), (2,), (2, 4)])
@pytest.mark.parametrize("name", MATRIX_FUNCTIONS)
def test_matrices_in_bodies_of_which_no_value_is_known(name, stack):
    function = MATRIX_FUNCTIONS[name]
    matrices = np.sin(np.arange(4.0 * 9 * math.prod(stack)) ** 2).reshape(4, *stack, 3, 3) + 4 * np.eye(3)
    found = arc.compile(lambda all: arc.scan(lambda carry, a: (carry, function(a)), 0.0, all)[1])(matrices)
    np.testing.assert_allclose(found, [function(a) for a in matrices], rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3, 2, 3), (3,)])
@pytest.mark.parametrize("function", [np.linalg.inv, np.linalg.cholesky, np.linalg.eig, np.linalg.det, np.linalg.eigh])
def test_what_is_no_square_matrix_is_refused_in_bodies_too(function, shape):
    with pytest.raises(np.linalg.LinAlgError) as plain:
        function(np.ones(shape))
    with pytest.raises(np.linalg.LinAlgError) as raised:
        arc.vmap(lambda a: function(a))(np.ones((2, *shape)))
    assert str(raised.value) == str(plain.value)


@pytest.mark.parametrize("stack", [(), (2,), (2, 4)])
@pytest.mark.parametrize("name", MATRIX_FUNCTIONS)
def test_singular_matrices_in_a_branch_that_is_not_taken(name, stack):
    function = {**MATRIX_FUNCTIONS, "cholesky": np.linalg.cholesky}[name]
    chosen = arc.compile(lambda x, a: arc.cond(x > 0, lambda a: np.sum(function(a)), lambda a: 7.0, a))
    assert chosen(-1.0, np.zeros((*stack, 3, 3))) == 7.0
    regular = np.broadcast_to(GRID[:, :3] @ GRID[:, :3].T + np.eye(3), (*stack, 3, 3))
    np.testing.assert_allclose(chosen(1.0, regular), np.sum(function(regular)), rtol=1e-12)


@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "sf", "logsf", "ppf"])
@pytest.mark.parametrize("name", ["genpareto", "genextreme", "t"])
def test_distributions_with_a_formula_of_their_own_for_some_shapes(name, method):
    special = np.inf if name == "t" else 0.0
    shapes = np.array([3.0, special, 2.0, 0.7, special])
    distribution = getattr(pytest.importorskip("scipy.stats"), name)
    for shape in (shapes, shapes[1], shapes[2]):
        check_value(lambda x, shape=shape: getattr(distribution, method)(x, shape), np.array([0.2, 0.3, 0.1, 0.7, 0.6]))


@pytest.mark.parametrize("method", ["pdf", "cdf", "logsf", "ppf"])
def test_a_distribution_on_an_interval_for_each_point(method):
    distribution = pytest.importorskip("scipy.stats").truncnorm
    lower, upper = np.array([-2.0, -1.0, -np.inf]), np.array([0.7, 0.6, np.inf])
    check(lambda x: getattr(distribution, method)(x, lower, upper), np.array([0.2, 0.3, 0.4]), rtol=1e-10)


def test_a_copied_array_is_not_its_source():
    def f(x):
        y = np.array(x)
        y[0] = 0.0
        return np.sum(x**2)

    np.testing.assert_array_equal(arc.grad(f)(FIVE), 2 * FIVE)


GRADIENTS = {
    "hypot.reduce, where": (lambda x: np.hypot.reduce(x, where=MASK, initial=0.0), FIVE),
    "logaddexp.reduce, where": (lambda x: np.logaddexp.reduce(x, where=MASK, initial=-np.inf), FIVE),
    "logaddexp2.reduce, where": (lambda x: np.logaddexp2.reduce(x, where=MASK, initial=-1.0), FIVE),
    "add.reduce, where": (lambda x: np.add.reduce(x, where=MASK), FIVE),
    "multiply.reduce, where": (lambda x: np.multiply.reduce(x, where=MASK), FIVE),
    "weights of a histogram of many bins, some points outside": (
        lambda w: np.histogram(np.linspace(-3.0, 3.0, 80), np.linspace(-2.0, 2.0, 60), weights=w)[0],
        np.linspace(0.5, 1.5, 80),
    ),
    "norm 3": (lambda x: np.linalg.norm(x, ord=3, axis=1), GRID),
    "norm 3, keepdims": (lambda x: np.linalg.norm(x, ord=3, axis=0, keepdims=True) * x, GRID),
    "norm -2, keepdims": (lambda x: np.linalg.norm(x + 5, ord=-2, axis=1, keepdims=True) * x, GRID),
    "irfft of an even length": (lambda x: np.fft.irfft(x[:5] + 1j * x[5:], 8), np.linspace(0.1, 1.0, 10)),
    "irfft of an odd length": (lambda x: np.fft.irfft(x[:5] + 1j * x[5:], 9), np.linspace(0.1, 1.0, 10)),
    "irfft of length 1": (lambda x: np.fft.irfft(x[:1] + 1j * x[1:], 1), np.array([0.4, 0.3])),
    "multi_dot of four": (lambda a: np.linalg.multi_dot([a, GRID.T, a, a.T]), GRID),
    "det of a large matrix": (lambda a: np.linalg.det(a @ a.T + 3 * np.eye(6)), np.linspace(-1, 1, 36).reshape(6, 6)),
    "stack of solves": (lambda a: np.linalg.solve(a @ a.swapaxes(-1, -2) + 4 * np.eye(3), np.ones((2, 3, 2))),
                        np.linspace(-1, 1, 18).reshape(2, 3, 3)),
    "solve, many right sides": (lambda b: np.linalg.solve(np.eye(3) + 0.1, b), np.linspace(-1, 1, 24).reshape(3, 8)),
    "zeta below 0": (lambda s: scipy.special.zeta(s), np.array([-0.5, -1.5, -2.7])),
    **{f"{f.__name__} along {axis}": (lambda x, f=f, axis=axis: f(x, axis=axis), CUBE)
       for f in (np.max, np.min, np.prod, np.median) for axis in (0, 1, 2, (0, 2), (1, 0))},
    **{f"{f.__name__} of rows along {axis}": (lambda x, f=f, axis=axis: f(x, axis=axis), GRID)
       for f in (np.max, np.min, np.prod, np.median) for axis in (0, 1)},
    "a quotient by a reciprocal": (lambda x: 3.0 / (1 / x) + x / (1 / x), FIVE),
    "entries at traced places of rows": (lambda x: np.take_along_axis(x, np.argsort(x, 0) - 2, 0), CUBE),
    "entries at traced places of columns": (lambda x: np.take_along_axis(x, np.argsort(x, 1), 1), CUBE),
    "entries at traced places of the last axis": (lambda x: np.take_along_axis(x, np.argsort(x, -1) - 4, -1), CUBE),
    "entries at traced places of all": (lambda x: np.take_along_axis(x, np.argsort(x, None), None), CUBE),
    "multigammaln": (lambda a: scipy.special.multigammaln(a, 3), np.array([[3.1, 2.7], [1.6, 4.2]])),
    "polygamma": (lambda x: scipy.special.polygamma(1, x), np.array([0.4, 1.6, 0.7])),
    "digamma below 0": (lambda x: scipy.special.digamma(x), np.array([-0.4, -1.6, 0.7])),
}  # fmt: skip


@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients(case):
    function, *args = GRADIENTS[case]
    check(function, *args, rtol=1e-9)


@pytest.mark.parametrize("traced", [(0,), (0, 2), (0, 1, 2)])
def test_interpolation_of_many_points_in_many_intervals(traced):
    """So many that the intervals are searched and not compared."""
    nodes = np.linspace(-2.0, 2.0, 50) ** 3
    arguments = [np.linspace(-7.9, 7.9, 90), nodes, np.sin(nodes)]

    def f(*given):
        return np.interp(*(given[traced.index(k)] if k in traced else arguments[k] for k in range(3)))

    check_value(f, *(arguments[k] for k in traced))
    slopes = arc.grad(lambda x: np.sum(np.interp(x, nodes, arguments[2])))(arguments[0])
    interval = np.searchsorted(nodes, arguments[0], "right") - 1
    np.testing.assert_allclose(slopes, (np.diff(arguments[2]) / np.diff(nodes))[interval], rtol=1e-12)


def test_series_are_exact_to_the_ends_of_where_they_are_used():
    mpmath = pytest.importorskip("mpmath")
    points = np.linspace(0.001, 0.159, 80)
    with mpmath.workdps(30):
        true = [float(mpmath.sincpi(x)) for x in points]
    np.testing.assert_allclose(arc.compile(np.sinc)(points), true, rtol=4e-16)
    points = np.concatenate([np.linspace(1.5, 1.95, 40), np.linspace(2.05, 2.49, 40)])
    with mpmath.workdps(30):
        true = [float(mpmath.loggamma(x)) for x in points]
    np.testing.assert_allclose(arc.compile(scipy.special.gammaln)(points), true, rtol=4e-15)


BESSEL = ("j0", "j1", "y0", "y1", "i0", "i1", "i0e", "i1e", "k0", "k1", "k0e", "k1e")


@pytest.mark.parametrize("name", BESSEL)
def test_bessel_functions_of_fixed_order(name):
    check(getattr(scipy.special, name), np.array([0.4, 1.7, 3.2]), rtol=1e-10)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
@pytest.mark.parametrize("function", [np.take, np.take_along_axis])
def test_entries_at_places_known_in_bodies_only(function, axis):
    arrays = np.stack([CUBE, 3 * CUBE])
    length = CUBE.size if axis is None else CUBE.shape[axis]
    shape = {0: (2, 3, 4), 1: (2, 2, 4), 2: (2, 3, 3), -1: (2, 3, 3), None: (7,)}[axis]
    places = np.random.default_rng(0).integers(-length, length, (2, *shape))
    found = arc.vmap(lambda x, k: function(x, k, axis))(arrays, places)
    np.testing.assert_array_equal(found, [function(x, k, axis) for x, k in zip(arrays, places, strict=True)])


PLANES = ("fft2", "ifft2", "rfft2", "irfft2")


@pytest.mark.parametrize("name", PLANES)
def test_the_plane_of_a_transform_is_the_last_two_axes(name):
    def parts(x):
        found = getattr(np.fft, name)(x)
        return np.real(found), np.imag(found)

    check_value(parts, CUBE)
    check_value(parts, GRID)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("name", ["spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"])
def test_spherical_bessel_functions_of_negative_numbers(name, derivative, order):
    function = getattr(scipy.special, name)
    check(lambda x: function(order, x, derivative), np.array([-2.3, -0.7, 0.9, 1.8]), rtol=1e-10)


def test_cofactors_near_a_singular_matrix():
    near = np.array([[1.0, 2.0, 3.0, 1.0, 0.0], [2.0, 4.0, 6.0, 2.0, 1e-13], [0.0, 1.0, 1.0, 5.0, 2.0],
                     [3.0, 1.0, 2.0, 0.5, 1.0], [1.0, 0.3, 0.2, 0.1, 4.0]])  # fmt: skip
    cofactors = np.array([
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(near, i, 0), j, 1)) for j in range(5)] for i in range(5)
    ])  # fmt: skip
    np.testing.assert_allclose(arc.grad(np.linalg.det)(near), cofactors, rtol=1e-9, atol=1e-9)
    large = np.zeros((9, 9))
    large[:5, :5] = near
    large[5:, 5:] = np.eye(4)
    np.testing.assert_allclose(arc.grad(np.linalg.det)(large)[:5, :5], cofactors, rtol=1e-8, atol=1e-8)


def test_residuals_of_least_squares_that_meet_another_rank_in_one_path_are_not_known():
    def residuals(a, b):
        return np.linalg.lstsq(a, b, rcond=None)[1]

    one_path = arc.compile(residuals, control_flow="structured")
    a, b = GRID.T, np.sin(np.arange(4.0))
    deficient = a * np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(one_path(a, b), residuals(a, b), rtol=1e-10)
    assert np.isnan(one_path(deficient, b)).all()
    of_items = arc.vmap(residuals, in_axes=(0, None))(np.stack([deficient, a]), b)
    assert np.isnan(of_items[0]).all()
    np.testing.assert_allclose(of_items[1], residuals(a, b), rtol=1e-10)


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_what_is_not_finite_passes_through_substitution(entry):
    solve = arc.compile(lambda a, b: scipy.linalg.solve_triangular(a, b, lower=True))
    a, b = np.eye(3) + np.tri(3), np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(solve(a, b), np.linalg.solve(a, b), rtol=1e-14)
    found = solve(a, np.array([1.0, entry, 3.0]))
    assert found[0] == 0.5
    assert not np.isfinite(found[1:]).any()


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", ["nuc", 2, "fro"])
def test_curvatures_of_norms_of_small_and_large_matrices(name, size):
    matrix, direction = size * GRID, np.cos(np.arange(12.0)).reshape(3, 4)

    def norm(a):
        return np.linalg.norm(a, name)

    # A norm is homogeneous: its curvature falls as the matrix grows.
    found = size * arc.hvp(norm)(matrix, direction)
    np.testing.assert_allclose(found, arc.hvp(norm)(GRID, direction), rtol=1e-9, atol=1e-12)
    step = 1e-4 * direction
    slope = arc.grad(norm)
    np.testing.assert_allclose(found, (slope(GRID + step) - slope(GRID - step)) / 2e-4, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`axes` should not be `None`:DeprecationWarning")
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_lengths_without_axes_are_those_of_the_last_axes(name):
    def parts(x):
        found = getattr(np.fft, name)(x, (3, 6))
        return np.real(found), np.imag(found)

    check_value(parts, CUBE)


SAME_ENTRIES = {
    "clip without limits": lambda a: np.clip(a, None, None), "nan_to_num": np.nan_to_num, "round": np.round,
    "nan_to_num in place": lambda a: np.nan_to_num(a, copy=False), "diff of none": lambda a: np.diff(a, 0),
    "positive": np.positive, "conjugate": np.conjugate, "copy": np.copy, "ravel": np.ravel, "real": np.real,
    "squeeze": np.squeeze, "atleast_1d": np.atleast_1d, "asarray": lambda a: np.asarray(a),
    "array": lambda a: np.array(a), "astype": lambda a: a.astype(a.dtype),
    "astype, no copy": lambda a: a.astype(a.dtype, copy=False), "reshape": lambda a: np.reshape(a, 5),
    "require": lambda a: np.require(a, a.dtype), "flatten": lambda a: a.flatten(),
    "asfortranarray": lambda a: np.asfortranarray(a), "append": lambda a: np.append(a, []),
    "delete": lambda a: np.delete(a, []), "roll": lambda a: np.roll(a, 0), "pad": lambda a: np.pad(a, 0),
    "repeat": lambda a: np.repeat(a, 1), "tile": lambda a: np.tile(a, 1),
    "concatenate": lambda a: np.concatenate([a]), "fix": np.trunc, "floor": np.floor,
    "where": lambda a: np.where(True, a, a), "take": lambda a: np.take(a, range(5)), "a slice": lambda a: a[:],
    "an ellipsis": lambda a: a[...], "a list": lambda a: a[[0, 1, 2, 3, 4]], "resize": lambda a: np.resize(a, 5),
    "insert": lambda a: np.insert(a, [], []), "fftshift": np.fft.fftshift, "einsum": lambda a: np.einsum("i->i", a),
    "rot90": lambda a: np.rot90(np.atleast_2d(a), 0)[0], "ascontiguousarray": lambda a: np.ascontiguousarray(a),
    "cumsum of rows": lambda a: np.cumsum(a[None], 0)[0], "sum of one row": lambda a: np.sum(a[None], 0),
    "max of one row": lambda a: np.max(a[None], 0), "meshgrid": lambda a: np.meshgrid(a)[0],
    "asarray, ordered": lambda a: np.asarray(np.stack([a, a]).T, order="C")[:, 0],
    "asanyarray": lambda a: np.asanyarray(a), "require, ordered": lambda a: np.require(a[::1], a.dtype, "C"),
    "every other": lambda a: np.asarray(a[::2]), "every other in a column": lambda a: np.asfortranarray(a[::2]),
    "a row of one": lambda a: np.asfortranarray(a[:, None])[:, 0],
    "rows": lambda a: np.asfortranarray(np.stack([a, a]))[0],
    "every other in a row": lambda a: np.ascontiguousarray(a[::2]), "split": lambda a: np.split(a, 1)[0],
    "broadcast": lambda a: np.broadcast_arrays(a)[0] * 1, "moveaxis": lambda a: np.moveaxis(a, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [float, int])
@pytest.mark.parametrize("name", SAME_ENTRIES)
def test_what_is_written_to_a_result_reaches_the_argument_where_it_does_in_numpy(name, dtype):
    def program(x):
        a = (x * 3).astype(dtype)
        SAME_ENTRIES[name](a)[1:3] = 7
        return a

    check_value(program, FIVE)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("returned", list(itertools.product([False, True], repeat=3)))
def test_what_unique_returns(returned, axis):
    x = np.array([[2.0, 1.0, 2.0, 1.0], [0.5, 3.0, 0.5, 3.0], [2.0, 1.0, 2.0, 1.0]])
    check_value(lambda x: np.unique(x, *returned, axis=axis), x)
    if axis is None:  # of a single axis by its number NumPy 2.3 keeps every nan
        check_value(lambda x: np.unique(x, *returned), np.array([2.0, np.nan, 0.5, 2.0, np.nan, 1.0]))


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("indices", [False, True])
def test_what_sets_have_in_common_and_what_not(unique, indices):
    first, second = np.array([3.0, 1.0, 2.5, 0.5]), np.array([2.5, 7.0, 3.0])
    if not unique:
        first, second = np.concatenate([first, first[:2]]), np.concatenate([second, second[1:]])
    check_value(lambda x, y: np.intersect1d(x, y, unique, indices), first, second)
    check_value(lambda x, y: (np.setdiff1d(x, y, unique), np.setxor1d(x, y, unique)), first, second)


OF_NOTHING = {
    "median": np.median, "nanmedian": np.nanmedian, "mean": np.mean, "var": np.var, "nanvar": np.nanvar,
    "median of rows": lambda x: np.median(x.reshape(3, -1), 0), "histogram": lambda x: np.histogram(x, 4),
    "histogram2d": lambda x: np.histogram2d(x, x, 3), "histogram_bin_edges": lambda x: np.histogram_bin_edges(x, 5),
    "nanquantile": lambda x: np.nanquantile(x, [0.2, 0.8]), "polymul": lambda x: np.polymul(x, np.ones(3)),
    "cov": lambda x: np.cov(x.reshape(0, 3), np.ones(3)), "corrcoef": lambda x: np.corrcoef(x.reshape(0, 3)),
    "diff": lambda x: np.diff(x, 2), "interp": lambda x: np.interp(x, EDGES, EDGES), "cumsum": np.cumsum,
    "sort": np.sort, "select": lambda x: np.select([x > 0], [x]), "sinc": np.sinc, "trapezoid": np.trapezoid,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", OF_NOTHING)
def test_functions_of_nothing(name):
    check_value(lambda x: OF_NOTHING[name](x), np.zeros(0))


UNSIGNED = np.array([[3, 200, 7, 250], [90, 1, 255, 0], [17, 5, 130, 2]], np.uint8)
OF_UNSIGNED = {
    **{f.__name__: f for f in (
        np.diff, np.ediff1d, np.trapezoid, np.ptp, np.var, np.std, np.mean, np.median, np.cov, np.corrcoef, np.average,
        np.unwrap, np.cumsum, np.cumprod, np.sum, np.prod, np.nanmean, np.nanvar, np.sort, np.argsort, np.sinc, np.i0,
        np.max, np.nanmax, np.negative, np.square, np.abs, np.sign)},
    "gradient": lambda a: np.gradient(a), "gradient at the edges": lambda a: np.gradient(a, axis=1, edge_order=2),
    "quantile": lambda a: np.quantile(a, 0.3, axis=1), "median of large": lambda a: np.median(np.maximum(a, 190), 1),
    "interp": lambda a: np.interp(a, [0.0, 100.0], [1.0, 3.0]),
    "convolve": lambda a: np.convolve(a[0], a[1]), "correlate": lambda a: np.correlate(a[0], a[1][:2]),
    "polyval": lambda a: np.polyval(a[0], a[1]), "polyfit": lambda a: np.polyfit(a[0], a[1], 1),
    "histogram": lambda a: np.histogram(a, 4), "norm": lambda a: np.linalg.norm(a, axis=0), "dot": lambda a: a @ a.T,
    "det": lambda a: np.linalg.det(a[:, :3]), "cross": lambda a: np.cross(a[0, :3], a[1, :3]),
    "clip": lambda a: np.clip(a, 5, 100), "pad": lambda a: np.pad(a, 1, "reflect", reflect_type="odd"),
    "isclose": lambda a: np.isclose(a, a[::-1]), "linspace": lambda a: np.linspace(a[0], a[1], 4),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
@pytest.mark.parametrize("name", OF_UNSIGNED)
def test_whole_numbers_wrap_around_where_numpys_do(name, dtype):
    check_value(lambda a: OF_UNSIGNED[name](a), UNSIGNED.astype(dtype), rtol=1e-10)


@pytest.mark.parametrize("name", ["matrix_rank", "pinv", "slogdet", "svdvals", "eigvalsh", "cond", "norm", "qr"])
def test_matrices_of_a_stack_are_judged_each_by_itself(name):
    function = getattr(np.linalg, name) if name != "norm" else lambda a: np.linalg.norm(a, 2, (-2, -1))
    sizes = np.array([1.0, 1e-30, 1e30])[:, None, None]
    low = np.array([[1.0, 2.0, 0.5], [2.0, 4.0, 1.0], [0.5, 1.0, 3.0]])
    for matrix in (SQUARE[:3, :3] + SQUARE[:3, :3].T, low) if name in ("matrix_rank", "pinv") else (SQUARE[:3, :3],):
        check_value(lambda a: function(a), matrix * sizes, rtol=1e-9, atol=0.0 if name != "qr" else 1e-14)


@pytest.mark.parametrize("rtol", [None, 1e-9, 0.3, 0.55, 0.9])
def test_the_tolerance_of_a_pseudo_inverse(rtol):
    spectrum = (SQUARE * np.array([1.0, 0.7, 0.4, 0.2, 0.1])) @ SQUARE
    for matrix in (spectrum, spectrum[:, :3], spectrum[:3]):
        check(lambda a: np.linalg.pinv(a, rtol=rtol), matrix, rtol=1e-10)
        check(lambda a: scipy.linalg.pinv(a, rtol=rtol), matrix, rtol=1e-10)
        check(lambda a: np.linalg.lstsq(a, a[:, 0] ** 2, rcond=rtol)[0], matrix, rtol=1e-10)
        check_second_order(lambda a: np.linalg.pinv(a, rtol=rtol), matrix)
    check(lambda a: np.linalg.pinv(a, hermitian=True, rtol=rtol), spectrum + spectrum.T, rtol=1e-10)


@pytest.mark.parametrize("name", ["gammaln", "erf", "erfc", "ndtr", "gamma", "digamma", "expit", "zeta"])
def test_special_functions_of_few_entries_are_graphs(name):
    seen = []

    def watched(x):
        result = getattr(scipy.special, name)(x)
        seen.append(current_trace().opaque)
        return result

    arc.compile(watched)(np.array([1.5, 2.5]))
    assert seen == [False]


def test_logarithms_of_whole_powers_are_whole():
    twos, tens = np.arange(-1070, 1024), np.arange(-307, 309)
    logarithms = arc.compile(lambda x, y: (np.log2(x), np.log10(y)))
    # Rounded rightly, and as one library or another computes them.
    for powers in ([float(f"1e{k}") for k in tens], 10.0 ** tens.astype(float), [math.pow(10.0, k) for k in tens]):
        found = logarithms(np.ldexp(1.0, twos), np.array(powers))
        np.testing.assert_array_equal(found[0], twos)
        np.testing.assert_array_equal(found[1], tens)
    near = np.array([1.0, 8.0, 1000.0]) * (1 + np.arange(-3, 4)[:, None] * 2.0**-52)
    check_value(lambda x: (np.log2(x), np.log10(x)), near, rtol=3e-16, atol=0.0)


@pytest.mark.parametrize("power", [0, 1, 2, 3, 5, 2.0])
def test_whole_powers_of_complex_numbers_are_products(power):
    def program(x, y):
        z = (x + 1j * y) ** power
        return z.real, z.imag

    check(program, np.array([0.0, 0.0, -1.5, 2.0]), np.array([0.0, 1.0, 0.0, -0.5]))


@pytest.mark.parametrize("cov", [True, "unscaled"])
@pytest.mark.parametrize("weighted", [False, True])
def test_covariances_of_fits_of_one_and_of_several_sets(weighted, cov):
    def program(x, y, w):
        w = w if weighted else None
        return [np.polyfit(x, values, 1, w=w, cov=cov) for values in (y, np.stack([y, y**2, np.sin(3 * y)], 1))]

    check(program, FIVE, FIVE[::-1] ** 2, np.array([1.0, 2.0, 0.5, 1.5, 0.7]), rtol=1e-10)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) >= "2.5.0", reason="NumPy has vectors in space only")
def test_cross_products_in_the_plane():
    check(lambda x, y: np.cross(x, y), GRID[:, :2], GRID[:, 2:])
    check(lambda x: np.cross(x[0, :2], x[:, 1:3]), GRID)


def test_places_in_common_are_those_of_each_call():
    places = arc.compile(lambda x, y: np.intersect1d(x, y, return_indices=True))
    for x, y in ((FIVE, FIVE[::-1].copy()), (FIVE[[2, 0, 1, 4, 3]], FIVE), (FIVE, FIVE[[1, 0, 2, 3, 4]])):
        for got, expected in zip(places(x, y), np.intersect1d(x, y, return_indices=True), strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("bad", [{"m": -1}, {"axis": 3}, {"scl": "two"}])
def test_derivatives_of_series_refuse_what_numpy_refuses(bad):
    for function in (np.polynomial.chebyshev.chebder, np.polynomial.polynomial.polyder):
        kinds = []
        for call in (lambda f: f, arc.compile):
            with pytest.raises((ValueError, TypeError)) as caught:
                call(lambda c, f=function: f(c, **bad))(FIVE)
            kinds.append(caught.type)
        assert kinds[0] is kinds[1] or issubclass(kinds[1], kinds[0])


def test_pseudo_inverses_with_a_relative_tolerance():
    matrix = np.diag([1.0, 0.1, 1e-3])
    for rtol in (1e-2, 0.5):
        check_value(lambda a, rtol=rtol: scipy.linalg.pinv(a, rtol=rtol), matrix)


def test_no_correlation_is_beyond_one():
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (300, 4))
    scaled = [np.cov(row, -row) / np.var(row, ddof=1) for row in x]
    assert np.min(scaled) < -1
    assert np.max(scaled) > 1
    correlation = arc.compile(lambda x: np.stack([np.corrcoef(x, -x), np.corrcoef(x, 3 * x)]))
    found = np.array([correlation(row) for row in x])
    assert np.min(found) == -1
    assert np.max(found) == 1


def test_the_rank_of_a_later_matrix_is_that_of_all_its_entries():
    rank = arc.compile(lambda a: np.linalg.matrix_rank(a))
    assert rank(np.eye(3)) == 3
    assert rank(np.triu(np.ones((3, 3)), 1)) == 2
