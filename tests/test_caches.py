"""What is part of a key and what is not: what the caches promise, and what the documentation says that they do not."""

import dataclasses
import gc
import weakref
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

import archimedes_grad as arc

FACTOR = 2.0
X = np.array([1.0, 2.0])


def uses_a_global(x):
    return np.sum(FACTOR * x)


def test_static_values_beyond_the_bound_are_forgotten_least_recently_used_first(monkeypatch):
    monkeypatch.setattr("archimedes_grad.compilation.compiled.MAX_SPECIALISATIONS", 3)
    traces = []

    @arc.grad(static_argnames="k")
    def scaled(x, k):
        traces.append(k)
        return np.sum(k * x)

    for k in (1, 2, 3, 1, 1, 4):
        np.testing.assert_array_equal(scaled(X, k), [k, k])
    assert traces == [1, 2, 3, 4]
    scaled(X, 1)
    scaled(X, 2)
    assert traces == [1, 2, 3, 4, 2]
    assert scaled.explain(X, 1).n_specialisations == 3


def test_what_calls_find_at_once_counts_as_used(monkeypatch):
    monkeypatch.setattr("archimedes_grad.compilation.compiled.MAX_SPECIALISATIONS", 2)
    traces = []

    @arc.grad
    def f(x):
        traces.append(len(x))
        return np.sum(x**2)

    for n in (1, 2, 1, 1, 1, 3, 1):
        np.testing.assert_array_equal(f(np.ones(n)), 2 * np.ones(n))
    assert traces == [1, 2, 3]


def test_functions_as_arguments_are_bounded_and_freed(monkeypatch):
    monkeypatch.setattr("archimedes_grad.compilation.compiled.MAX_SPECIALISATIONS", 3)
    gradient = arc.grad(lambda x, f: np.sum(f(x)))
    first = lambda x: x**2
    reference = weakref.ref(first)
    gradient(X, first)
    del first
    for k in range(4):
        np.testing.assert_array_equal(gradient(X, lambda x, k=k: k * x), [k, k])
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("place", ["global", "closure", "attribute", "array in place"])
def test_what_a_trace_has_met_stays_until_the_cache_is_cleared(place, monkeypatch):
    class Model:
        factor = 2.0

    factor, array, model = 2.0, np.array([2.0, 2.0]), Model()
    function = {
        "global": uses_a_global, "closure": lambda x: np.sum(factor * x),
        "attribute": lambda x: np.sum(model.factor * x), "array in place": lambda x: np.sum(array * x),
    }[place]  # fmt: skip
    slope = arc.grad(function)
    np.testing.assert_array_equal(slope(X), [2.0, 2.0])
    factor, model.factor = 3.0, 3.0
    array[:] = 3.0
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    np.testing.assert_array_equal(slope(X), [2.0, 2.0])
    slope.clear_cache()
    np.testing.assert_array_equal(slope(X), [3.0, 3.0])


def test_a_static_array_changed_in_place_is_noticed():
    table = np.array([1.0, 2.0])
    slope = arc.grad(lambda x, table: np.sum(table * x), static_argnames="table")
    np.testing.assert_array_equal(slope(X, table), [1.0, 2.0])
    table[0] = 5.0
    np.testing.assert_array_equal(slope(X, table), [5.0, 2.0])


@dataclasses.dataclass
class Settings:
    order: float
    weights: np.ndarray
    inner: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Order:
    order: float


def test_a_static_dataclass_counts_by_its_fields_and_changes_are_noticed():
    slope = arc.grad(lambda x, s: np.sum(s.weights * x**s.order) * s.inner.get("k", 1), static_argnames="s")
    x, settings = np.array([2.0, 3.0]), Settings(2, np.ones(2))
    np.testing.assert_array_equal(slope(x, settings), [4, 6])
    np.testing.assert_array_equal(slope(x, Settings(2, np.ones(2))), [4, 6])
    settings.order = 1
    np.testing.assert_array_equal(slope(x, settings), [1, 1])
    settings.weights[0] = 5
    np.testing.assert_array_equal(slope(x, settings), [5, 1])
    settings.inner["k"] = 2
    np.testing.assert_array_equal(slope(x, settings), [10, 2])
    np.testing.assert_array_equal(slope(x, Settings(2, np.ones(2))), [4, 6])


def test_fields_of_static_dataclasses_compare_by_type_and_value():
    seen = []

    @arc.compile(static_argnames="s")
    def f(x, s):
        seen.append(type(s.order))
        return x * s.order

    for order in (1, 1.0, True, 1, np.float64(1.0)):
        f(2.0, Order(order))
    assert seen == [int, float, bool, np.float64]


def test_a_static_list_and_dict_changed_in_place_are_noticed():
    slope = arc.grad(lambda x, o: np.sum(x) * o["k"][0], static_argnames="o")
    options = {"k": [1.0]}
    np.testing.assert_array_equal(slope(X, options), [1.0, 1.0])
    options["k"][0] = 2.0
    np.testing.assert_array_equal(slope(X, options), [2.0, 2.0])


def test_a_static_value_that_the_function_itself_changes_counts_as_it_came():
    @arc.compile(static_argnames="options")
    def scaled(x, options):
        return x * options.pop("factor", 1.0)

    options = {"factor": 3.0}
    assert [scaled(2.0, options) for _ in range(3)] == [6.0, 2.0, 2.0]


class Degree:
    """Equal to others by its own word, and changed in place."""

    def __init__(self, degree):
        self.degree = degree

    def __eq__(self, other):
        return isinstance(other, Degree) and self.degree == other.degree

    def __hash__(self):
        return hash(self.degree)


@pytest.mark.parametrize("around", [lambda d: d, lambda d: (d, 1), lambda d: {"in": [d]}])
def test_a_static_object_with_an_equality_of_its_own_that_is_changed_in_place_is_noticed(around):
    seen = []

    @arc.compile(static_argnames="s")
    def power(x, s):
        degree = (s["in"] if isinstance(s, dict) else s if isinstance(s, tuple) else [s])[0].degree
        seen.append(degree)
        return x**degree

    degree = Degree(2)
    assert power(3.0, around(degree)) == power(3.0, around(Degree(2))) == power(3.0, around(degree)) == 9.0
    degree.degree = 3
    assert power(3.0, around(degree)) == power(3.0, around(Degree(3))) == power(3.0, around(degree)) == 27.0
    assert power(3.0, around(Degree(2))) == 9.0
    assert seen == [2, 3, 2]


def first_value(d):
    return 2 * next(iter(d.values()))


@pytest.mark.parametrize("kind", [dict, OrderedDict, lambda d: defaultdict(float, d)])
@pytest.mark.parametrize("around", [lambda d: d, lambda d: {"x": [d]}])
def test_keys_in_another_order_are_another_form_of_call(kind, around):
    inside = (lambda d: d["x"][0]) if "x" in around({}) else (lambda d: d)
    compiled, gradient = (transform(lambda d: first_value(inside(d))) for transform in (arc.compile, arc.grad))
    for _ in range(2):
        for given, expected in (({"a": 1.0, "b": 5.0}, 2.0), ({"b": 5.0, "a": 1.0}, 10.0)):
            assert compiled(around(kind(given))) == expected
            slopes = inside(gradient(around(kind(given))))
            assert dict(slopes) == {key: 2.0 * (key == next(iter(given))) for key in given}
            assert list(slopes) == list(given)


def test_free_keywords_in_another_order_are_another_form_of_call():
    compiled = arc.compile(lambda **numbers: first_value(numbers))
    for _ in range(2):
        assert compiled(a=1.0, b=5.0) == 2.0
        assert compiled(b=5.0, a=1.0) == 10.0
    named = arc.compile(lambda a, b: a - b)
    for _ in range(2):
        assert named(a=1.0, b=5.0) == named(b=5.0, a=1.0) == -4.0


def test_integers_that_do_not_fit_are_refused_after_others_too():
    compiled = arc.compile(lambda n: n + 1)
    assert compiled(3) == compiled(3) == 4
    with pytest.raises(TypeError, match="argument 'n' has dtype object"):
        compiled(2**70)
    assert compiled(2**52) == 2**52 + 1


def test_a_plain_array_that_is_returned_is_the_one_that_was_traced():
    table = np.ones(3)
    compiled = arc.compile(lambda x: (x, table))
    compiled(1.0)
    table[0] = 7.0
    _, returned = compiled(1.0)
    np.testing.assert_array_equal(returned, np.ones(3))
    returned[:] = 0.0
    np.testing.assert_array_equal(compiled(1.0)[1], np.ones(3))


def test_what_a_static_dataclass_makes_of_its_arguments_is_part_of_the_key():
    @dataclasses.dataclass
    class Grid:
        size: dataclasses.InitVar[int]
        scale: float = 1.0

        def __post_init__(self, size):
            self.nodes = self.scale * np.arange(size)

    total = arc.compile(lambda x, grid: x * np.sum(grid.nodes), static_argnames="grid")
    assert [total(2.0, Grid(size)) for size in (2, 4, 2)] == [2.0, 12.0, 2.0]
    grid = Grid(2)
    grid.nodes[1] = 5.0
    assert total(2.0, grid) == 10.0
