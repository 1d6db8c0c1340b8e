"""How functions are decorated, called, traced and traced again; nesting; the fast path and the slow one."""

import collections
import dataclasses
import enum
import functools
import gc
import inspect
import math
import threading
import weakref
from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import numpy as np
import optree
import pytest
from helpers import assert_same, check_gradient, in_threads, sample
from hypothesis import given, settings
from hypothesis import strategies as st

import archimedes_grad as arc


def product(x, y, z=2.0):
    """Return the product."""
    return np.sum(x * y * z)


def counted(function):
    """Return a function that counts its own runs, and the list of what it was called with."""
    runs = []

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        runs.append((args, kwargs))
        return function(*args, **kwargs)

    return wrapper, runs


# --- decorating ---------------------------------------------------------------------------------------


def test_three_ways_to_decorate():
    @arc.grad
    def first(x):
        return x**2

    @arc.grad(argnums=1)
    def second(x, y):
        return x * y**2

    third = arc.grad(product, (0, 1))
    assert float(first(3.0)) == 6.0
    assert float(second(2.0, 3.0)) == 12.0
    assert third(2.0, 3.0) == (6.0, 4.0)


@pytest.mark.parametrize("transform", [arc.value_and_grad, arc.compile])
def test_the_others_decorate_too(transform):
    @transform
    def first(x):
        return x**2

    @transform(name="other")
    def second(x):
        return x**2

    assert first(3.0) == second(3.0) == transform(lambda x: x**2)(3.0)
    assert second.__name__ == "other"


def test_name_docstring_and_signature_are_carried_over():
    for transform, prefix in ((arc.grad, "grad_"), (arc.value_and_grad, "value_and_grad_"), (arc.compile, "")):
        g = transform(product)
        assert g.__name__ == f"{prefix}product"
        assert g.__doc__ == "Return the product."
        assert inspect.signature(g) == inspect.signature(product)
        assert g.__wrapped__ is product
        assert g.__module__ == __name__
        assert callable(g)
        assert "product" in repr(g)
    assert arc.grad(product, name="slope").__name__ == "slope"
    assert arc.grad(lambda x: x).__name__ == "grad_<lambda>"
    assert arc.grad(functools.partial(product, z=1.0)).__name__ == "grad_product"
    assert arc.grad(np.sin).__name__ == "grad_sin"


# --- which argument -----------------------------------------------------------------------------------

ARGNUMS = [
    0, 1, -1, -2, np.int64(1), np.uint8(0), (0,), (1, 0), [0, 1], range(2), (-1, 0), np.array([1, 0]), np.array([-1]),
]  # fmt: skip


@pytest.mark.parametrize("argnums", ARGNUMS, ids=repr)
def test_argnums_in_every_form(argnums):
    def f(x, y):
        return x**2 * y**3

    partials = {0: 2 * 2.0 * 27.0, 1: 4.0 * 27.0}
    got = arc.grad(f, argnums)(2.0, 3.0)
    if np.ndim(argnums) == 0:
        assert_same(got, np.float64(partials[int(argnums) % 2]))
    else:
        assert_same(got, tuple(np.float64(partials[int(i) % 2]) for i in argnums))
    value, same = arc.value_and_grad(f, argnums)(2.0, 3.0)
    assert value == 108.0
    assert_same(same, got)


def test_argnames():
    def f(x, *, y, z=1.0):
        return x * y**2 * z

    assert float(arc.grad(f, argnames="y")(2.0, y=3.0)) == 12.0
    assert arc.grad(f, argnames=("y", "x"))(2.0, y=3.0) == (12.0, 9.0)
    assert arc.grad(f, argnames=["z"])(2.0, y=3.0) == (18.0,)
    assert arc.grad(f, argnames=["z"])(2.0, y=3.0, z=5.0) == (18.0,)


def test_a_differentiated_default_is_filled_in():
    def f(x, y=3.0, /, z=4.0):
        return x * y * z

    assert float(arc.grad(f, argnums=1)(2.0)) == 8.0
    assert float(arc.grad(f, argnums=2)(2.0)) == 6.0
    assert float(arc.grad(f, argnums=-1)(2.0, 5.0)) == 10.0
    assert arc.grad(f, argnums=(2, 0))(2.0) == (6.0, 12.0)


def everything(a, b, /, c, d=4.0, *rest, e, f=6.0, **others):
    return a * 1 + b * 2 + c * 3 + d * 4 + sum(r * 5 for r in rest) + e * 6 + f * 7 + sum(others.values()) * 8


@pytest.mark.parametrize(
    ("argnums", "args", "kwargs", "expected"),
    [
        (0, (1.0, 1.0, 1.0), {"e": 1.0}, 1),
        (2, (1.0, 1.0, 1.0), {"e": 1.0}, 3),
        (2, (1.0, 1.0), {"c": 1.0, "e": 1.0}, 3),
        (3, (1.0, 1.0, 1.0), {"e": 1.0}, 4),
        (4, (1.0, 1.0, 1.0, 1.0, 9.0, 9.0), {"e": 1.0}, 5),
        (5, (1.0, 1.0, 1.0, 1.0, 9.0, 9.0), {"e": 1.0}, 5),
        (-1, (1.0, 1.0, 1.0, 1.0, 9.0, 9.0), {"e": 1.0}, 5),
        (-6, (1.0, 1.0, 1.0, 1.0, 9.0, 9.0), {"e": 1.0}, 1),
        ("e", (1.0, 1.0, 1.0), {"e": 1.0}, 6),
        ("f", (1.0, 1.0, 1.0), {"e": 1.0}, 7),
        ("g", (1.0, 1.0, 1.0), {"e": 1.0, "g": 2.0, "h": 3.0}, 8),
        (("h", "e"), (1.0, 1.0, 1.0), {"e": 1.0, "g": 2.0, "h": 3.0}, (8, 6)),
    ],
    ids=repr,
)  # fmt: skip
def test_any_signature(argnums, args, kwargs, expected):
    g = arc.grad(everything, argnums) if isinstance(argnums, int) else arc.grad(everything, argnames=argnums)
    want = tuple(map(np.float64, expected)) if isinstance(expected, tuple) else np.float64(expected)
    for _ in range(2):  # the second call takes the fast path
        assert_same(g(*args, **kwargs), want)
    assert float(arc.compile(everything)(*args, **kwargs)) == pytest.approx(everything(*args, **kwargs))


def test_partial_lambda_builtin_and_callable_object():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return x**2 * self.factor

    assert float(arc.grad(functools.partial(product, 5.0))(3.0)) == 10.0
    assert float(arc.grad(functools.partial(product, z=7.0))(3.0, 2.0)) == 14.0
    assert float(arc.grad(lambda x: x**3)(2.0)) == 12.0
    assert float(arc.grad(np.sin)(0.0)) == 1.0
    assert float(arc.grad(np.multiply, 1)(3.0, 5.0)) == 3.0
    assert float(arc.grad(np.sum)(np.float64(2.0))) == 1.0
    assert arc.grad(np.sum)(np.ones(3)).tolist() == [1.0, 1.0, 1.0]
    assert float(arc.grad(Scale(4.0))(3.0)) == 24.0
    assert float(arc.compile(np.hypot)(3.0, 4.0)) == 5.0
    assert arc.compile(abs)(np.array([-1.0])).tolist() == [1.0]


@dataclasses.dataclass(frozen=True)
class Model:
    weight: float
    order: int = 2

    def energy(self, x):
        return self.weight * x**self.order

    @arc.grad(argnums=1)
    def force(self, x):
        return self.weight * x**2

    @staticmethod
    @arc.grad
    def plain(x):
        return x**2

    @classmethod
    def made(cls, x):
        return cls(2.0).weight * x


class Counter:
    def __init__(self, factor):
        self.factor = factor

    def energy(self, x):
        return self.factor * x**2


def test_methods():
    assert float(arc.grad(Model(3.0).energy)(2.0)) == 12.0
    assert float(arc.grad(Model.made)(2.0)) == 2.0
    assert float(Model(3.0).plain(2.0)) == 4.0
    # On an unbound method self counts; a dataclass is a tree.
    assert float(Model(3.0).force(2.0)) == 12.0
    assert float(Model(5.0).force(2.0)) == 20.0
    slope = arc.grad(Model.energy, argnums=0, static_argnums=())(Model(3.0, 2), 2.0)
    assert isinstance(slope, Model)
    assert slope.weight == 4.0
    assert float(arc.grad(Counter.energy, argnums=1, static_argnums=0)(Counter(3.0), 2.0)) == 12.0


def test_a_decorated_method_of_a_plain_class_has_self_static():
    class Spring:
        def __init__(self, k):
            self.k = k

        @arc.grad(argnums=1, static_argnums=0)
        def force(self, x):
            return 0.5 * self.k * x**2

    stiff, soft = Spring(10.0), Spring(1.0)
    assert [float(s.force(2.0)) for s in (stiff, soft, stiff)] == [20.0, 2.0, 20.0]
    assert float(Spring.force(stiff, 3.0)) == 30.0


# --- trees ----------------------------------------------------------------------------------------------

Point = namedtuple("Point", ["x", "y"])


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any
    name: str = "layer"


def total(tree):
    return sum(np.sum(np.sin(leaf)) for leaf in _numbers(tree))


def _numbers(tree):
    leaves = optree.tree_leaves(tree, none_is_leaf=True, namespace="archimedes_grad")
    return [leaf for leaf in leaves if not isinstance(leaf, str | bool | None.__class__)]


TREES = {
    "dict": {"b": 1.0, "a": np.array([2.0, 3.0])},
    "list": [1.0, np.ones((2, 2))],
    "tuple": (1.0, 2.0, 3.0),
    "namedtuple": Point(1.0, np.ones(2)),
    "nested": {"layers": [{"w": np.ones((2, 3)), "b": (0.5, [1.5])}, Point(2.0, {"k": 3.0})]},
    "None": [1.0, None, {"a": None, "b": 2.0}],
    "str and bool": {"name": "net", "flag": True, "w": 2.0, "deep": [False, "x", 1.5]},
    "integers": {"n": 3, "m": np.array([1, 2])},
    "OrderedDict": OrderedDict([("z", 1.0), ("a", 2.0)]),
    "defaultdict": defaultdict(float, {"q": 1.0}),
    "deque": deque([1.0, 2.0]),
    "integer keys": {2: 1.0, 1: 2.0},
    "empty parts": {"a": [], "b": (), "c": {}, "d": 1.0},
    "size zero": {"a": np.zeros((0, 2)), "b": 1.0},
}


@pytest.mark.parametrize("case", TREES)
def test_gradients_of_trees(case):
    tree = TREES[case]
    g = arc.grad(total)
    value_g = arc.value_and_grad(total)

    def expected(leaf):
        if leaf is None or isinstance(leaf, str | bool):
            return None
        return np.cos(np.asarray(leaf, dtype=float)) if np.ndim(leaf) else np.float64(np.cos(leaf))

    want = optree.tree_map(expected, tree, none_is_leaf=True, namespace="archimedes_grad")
    for _ in range(2):
        got = g(tree)
        assert type(got) is type(tree)
        if isinstance(got, deque):
            assert_same(list(got), list(want))
        else:
            assert_same(got, want)
        value, again = value_g(tree)
        assert value == pytest.approx(total(tree), rel=1e-12)
        assert optree.tree_structure(again, none_is_leaf=True) == optree.tree_structure(got, none_is_leaf=True)


@pytest.mark.parametrize("case", TREES)
def test_trees_through_compile(case):
    """What goes in comes out: structure, types and the leaves that are no numbers."""
    tree = TREES[case]
    same = arc.compile(lambda tree: tree)
    for _ in range(2):
        got = same(tree)
        assert type(got) is type(tree)
        leaves, structure = optree.tree_flatten(got, none_is_leaf=True)
        expected_leaves, expected_structure = optree.tree_flatten(tree, none_is_leaf=True)
        assert structure == expected_structure
        for leaf, expected in zip(leaves, expected_leaves, strict=True):
            np.testing.assert_array_equal(leaf, expected)
        if isinstance(tree, dict):
            assert list(got) == list(tree)


def test_dataclasses():
    layer = Layer(np.array([1.0, 2.0]), 3.0)

    def f(layer, x):
        assert type(layer) is Layer
        assert layer.name == "layer"
        return np.sum(layer.w * x) * layer.b

    for _ in range(2):
        got = arc.grad(f)(layer, 2.0)
        assert type(got) is Layer
        assert got.name is None
        assert_same(got.w, np.array([6.0, 6.0]))
        assert_same(got.b, np.float64(6.0))
    nested = arc.grad(lambda layers: sum(np.sum(layer.w) ** 2 for layer in layers))([layer, Layer(np.ones(1), None)])
    assert nested[1].b is None
    assert_same(nested[1].w, np.array([2.0]))


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"slots": True}, {"frozen": True, "slots": True}])
def test_a_dataclass_is_its_fields(options):
    """Without a call of its __post_init__: what is checked and computed there was so when it was made."""
    runs = []

    @dataclasses.dataclass(**options)
    class Beam:
        width: float
        height: float
        scale: dataclasses.InitVar[float]
        stiffness: float = dataclasses.field(init=False)

        def __post_init__(self, scale):
            runs.append(scale)
            if self.height <= 0:
                raise ValueError(self.height)
            object.__setattr__(self, "stiffness", scale * self.width * self.height**3)

        @property
        def area(self):
            return self.width * self.height

    beam = Beam(2.0, 3.0, 0.5)
    slope = arc.grad(lambda beam: beam.area + 10 * beam.stiffness)
    for _ in range(2):
        got = slope(beam)
        assert type(got) is Beam
        assert (got.width, got.height, got.stiffness) == (3.0, 2.0, 10.0)
    assert arc.compile(lambda beam: beam)(beam) == beam
    assert arc.grad(lambda x: Beam(x, x, 0.5).stiffness)(2.0) == 16.0
    assert runs == [0.5, 0.5]
    assert arc.jac(lambda x: Beam(x, x, 0.5))(2.0).stiffness == 16.0
    if not options:
        beam.stiffness = 7.0
        assert arc.compile(lambda beam: beam.stiffness)(beam) == 7.0


def test_a_cached_property_follows_the_fields():
    @dataclasses.dataclass
    class Beam:
        width: float
        height: float

        @functools.cached_property
        def area(self):
            return self.width * self.height

    beam = Beam(2.0, 3.0)
    slope = arc.grad(lambda beam: beam.area)
    for _ in range(2):
        assert slope(beam) == Beam(3.0, 2.0)
        assert beam.area == 6.0


def test_what_a_dataclass_holds_beside_its_fields_is_missed_and_not_mistaken():
    @dataclasses.dataclass
    class Beam:
        width: float
        density = 1.0

        def __post_init__(self):
            self.weight = 2 * self.width

        def load(self):
            return 5.0 * self.width

    weight = arc.grad(lambda beam: beam.weight)
    with pytest.raises(AttributeError) as caught:
        weight(Beam(3.0))
    (note,) = caught.value.__notes__
    assert "what __post_init__ sets beside them is not there" in note
    assert "test_calls.py" in note
    assert "Make weight a property" in note
    mass = arc.grad(lambda beam: beam.density * beam.width + beam.load())
    assert mass(Beam(3.0)).width == 6.0
    for name, held in {"density": 4.0, "load": lambda: 0.0}.items():
        beam = Beam(3.0)
        setattr(beam, name, held)
        for form in (beam, [beam]):
            with pytest.raises(TypeError, match=f"holds {name} beside its fields.*Make {name} a field"):
                arc.compile(lambda tree: 1.0)(form)
    beam = Beam(3.0)
    beam.density = 4.0
    with pytest.raises(TypeError, match="argument 'beam': a Beam came that holds density beside its fields"):
        mass(beam)
    static = arc.compile(lambda x, beam: x * beam.density, static_argnames="beam")
    assert static(1.0, Beam(3.0)) == 1.0
    assert static(1.0, beam) == 4.0


def test_a_field_that_is_not_set():
    @dataclasses.dataclass
    class Fit:
        start: float
        found: float = dataclasses.field(init=False)

    with pytest.raises(TypeError, match="argument 'fit': a Fit came whose field found is not set"):
        arc.grad(lambda fit: fit.start)(Fit(1.0))


def test_a_list_stays_a_list_inside():
    def f(params):
        assert type(params) is list
        assert type(params[1]) is tuple
        params.append(1.0)
        return params[0] * params[1][0]

    given_list = [2.0, (3.0,)]
    assert arc.grad(f)(given_list) == [3.0, (2.0,)]
    assert len(given_list) == 2


def test_a_change_of_structure_is_noticed():
    g = arc.grad(lambda p: sum(np.sum(leaf**2) for leaf in _numbers(p)))
    assert g({"a": 1.0}) == {"a": 2.0}
    assert g({"b": 1.0}) == {"b": 2.0}
    assert g({"a": 1.0, "b": 2.0}) == {"a": 2.0, "b": 4.0}
    assert g([1.0]) == [2.0]
    assert g((1.0,)) == (2.0,)
    assert g({"a": 1.0}) == {"a": 2.0}
    assert g({"a": None, "b": 2.0}) == {"a": None, "b": 4.0}


def test_static_leaves_of_trees_are_followed():
    f = arc.grad(lambda p: p["w"] * (2 if p["name"] == "a" else 3))
    assert [float(f({"w": 1.0, "name": name})["w"]) for name in ("a", "b", "a")] == [2.0, 3.0, 2.0]


# --- has_aux ----------------------------------------------------------------------------------------------


def test_has_aux():
    def f(x):
        return np.sum(x**2), {"doubled": 2 * x, "label": "aux", "n": 3, "largest": np.max(x), "count": x.size}

    x = np.array([1.0, 2.0])
    aux = {"doubled": 2 * x, "label": "aux", "n": 3, "largest": np.float64(2.0), "count": 2}
    for _ in range(2):
        assert_same(arc.grad(f, has_aux=True)(x), (2 * x, aux))
        assert_same(arc.value_and_grad(f, has_aux=True)(x), ((np.float64(5.0), aux), 2 * x))
    gradient, aux = arc.grad(lambda x: (x**2, None), has_aux=True)(2.0)
    assert aux is None
    assert float(gradient) == 4.0


# --- static arguments ---------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


NAN, OTHER_NAN = float("nan"), np.frombuffer(np.array([0x7FF8000000000001], dtype=np.uint64).tobytes(), dtype=float)[0]
LONG, LONG_CHANGED = np.zeros(2000), np.zeros(2000)
LONG_CHANGED[1000] = 1e-300

DISTINCT_KEYS = [
    1, 1.0, True, 0, False, 0.0, -0.0, NAN, np.float64(1.0), np.float32(1.0), np.int64(1), np.int32(1), np.bool_(True),
    "1", b"1", (1,), [1], (1.0,), (True,), [1.0], {"a": 1}, {"a": 1.0}, {"b": 1}, {"a": True}, (), [], {}, {1: "a"},
    None, Colour.RED, Colour.BLUE, LONG, LONG_CHANGED, LONG.reshape(2, 1000), LONG.astype(np.float32), LONG.astype(int),
    -LONG, ((1, 2), 3), (1, (2, 3)), ("a", "bc"), ("ab", "c"), {"a": {"b": 1}}, frozenset({1}), {1}, 1j, slice(1, 2),
    slice(1, 3), range(3), 2**80, -1, -2, [[1], [2]], [[1, 2]], np.array([1, "a"], dtype=object),
    np.array(["a"]), Ellipsis, int, float, math.sin, Point(1, 2), (1, 2), Model(1.0), Model(1.0, 3),
]  # fmt: skip


def test_static_keys_never_collide():
    f, runs = counted(lambda x, s: x * 2)
    g = arc.grad(f, static_argnums=1)
    for key in DISTINCT_KEYS:
        before = len(runs)
        g(1.0, key)
        assert len(runs) == before + 1, f"{key!r} shares a trace with one before"
        assert type(runs[-1][0][1]) is type(key)
    traced = len(runs)
    for key in DISTINCT_KEYS:
        g(1.0, key)
    assert len(runs) == traced


def test_equal_static_values_share_a_trace():
    f, runs = counted(lambda x, s: x * 2)
    g = arc.grad(f, static_argnums=1)
    for key in (LONG, LONG.copy()):
        g(1.0, key)
    assert len(runs) == 1
    g(1.0, np.zeros(4000)[::2])  # The function may go by how it lies in memory.
    assert len(runs) == 2
    for key in ([1, [2.0, "a"]], [1, [2.0, "a"]], float("nan"), float("nan"), {"a": (1,)}, {"a": (1,)}):
        g(1.0, key)
    assert len(runs) == 5


def test_a_static_list_that_changes_is_followed():
    g = arc.grad(lambda x, powers: sum(x**p for p in powers), static_argnames="powers")
    powers = [2]
    assert float(g(3.0, powers)) == 6.0
    powers.append(3)
    assert float(g(3.0, powers)) == 33.0
    table = np.ones(2000)
    h = arc.grad(lambda x, t: x * t[5], static_argnums=1)
    assert float(h(1.0, table)) == 1.0
    table[5] = 8.0
    assert float(h(1.0, table)) == 8.0


def test_static_without_being_asked():
    f, runs = counted(lambda x, how: x if how is None else how(x) if callable(how) else x * 3)
    g = arc.grad(f)
    for how in (None, "text", True, False, Colour.RED, np.sin, np.cos, math.sqrt.__name__, np.True_):
        g(0.5, how)
    assert len(runs) == 9
    assert float(g(0.0, np.sin)) == 1.0
    assert float(g(0.0, None)) == 1.0
    assert len(runs) == 9


@pytest.mark.parametrize("kind", [float, int, np.float64, np.float32, np.int32, np.complex128, np.ndarray, Colour])
def test_classes_are_static_without_being_asked(kind):
    f, runs = counted(lambda x, kind: x * len(kind.__name__))
    for _ in range(2):
        assert float(arc.grad(f)(0.5, kind)) == len(kind.__name__)
        assert arc.grad(f, method="finite")(0.5, kind=kind) == pytest.approx(len(kind.__name__))
    g = arc.grad(f)
    g(0.5, kind)
    runs.clear()
    g(1.5, kind)
    assert not runs
    assert float(arc.grad(lambda p: 2 * p["x"])({"x": 1.0, "kind": kind})["x"]) == 2.0


def test_static_by_name_by_index_and_by_keyword():
    def f(x, n, m=2):
        return x**n * m

    for g in (
        arc.grad(f, static_argnums=(1, 2)), arc.grad(f, static_argnames=("n", "m")),
        arc.grad(f, static_argnums=[-1, -2]), arc.grad(f, static_argnums=1, static_argnames="m"),
    ):  # fmt: skip
        assert (g(3.0, 2), g(3.0, n=2), g(3.0, 2, m=5), g(3.0, 3, 1)) == (12.0, 12.0, 30.0, 27.0)


def test_two_lambdas_and_two_bound_methods_are_different_keys():
    g = arc.grad(lambda x, f: f(x))
    assert [float(g(2.0, lambda x, n=n: x**n)) for n in (1, 2, 3)] == [1.0, 4.0, 12.0]
    assert [float(g(2.0, Counter(k).energy)) for k in (1.0, 2.0)] == [4.0, 8.0]
    counter = Counter(1.0)
    f, runs = counted(lambda x, f: f(x))
    h = arc.grad(f)
    h(1.0, counter.energy)
    h(1.0, counter.energy)
    assert len(runs) == 1


# --- traces happen exactly when they should -------------------------------------------------------------------


def test_traces_are_counted():
    f, runs = counted(lambda x, y: np.sum(x * y))
    g = arc.grad(f)
    steps = [
        ((np.ones(3), np.ones(3)), 1), ((np.zeros(3), np.arange(3.0)), 1), ((np.ones(4), np.ones(4)), 2),
        ((np.ones(3), np.ones(3)), 2), ((np.ones((3, 1)), np.ones(3)), 3), ((1.0, 2.0), 4), ((5.0, 7.0), 4),
        ((np.ones(3, np.float32), np.ones(3)), 4), ((np.ones(3, int), np.ones(3)), 4),
        ((np.ones(3), np.ones(3, np.float32)), 5), ((np.ones(3), np.ones(3, int)), 6),
        ((np.ones(3), 2.0), 7), ((np.ones(3), 2), 8), ((np.ones(3), np.float64(2.0)), 9),
        ((np.ones(3)[::-1], np.asfortranarray(np.ones(3))), 9), ((np.ones(4), np.ones(4)), 9), ((2, 7.0), 9),
    ]  # fmt: skip
    for args, expected in steps:
        g(*args)
        assert len(runs) == expected, args
    g(x=np.ones(3), y=np.ones(3))
    assert len(runs) <= 10
    before = len(runs)
    g(x=np.zeros(3), y=np.ones(3))
    assert len(runs) == before
    g.clear_cache()
    g(np.ones(3), np.ones(3))
    assert len(runs) == before + 1


def test_explain_graph_and_to_casadi_trace_once():
    f, runs = counted(lambda x: np.sum(np.sin(x)))
    g = arc.grad(f)
    assert "symbolic" in str(g.explain(np.ones(3)))
    assert g.graph(np.ones(3)).n_operations > 0
    function = g.to_casadi(np.ones(3))
    g(np.ones(3))
    assert len(runs) == 1
    np.testing.assert_allclose(np.ravel(function([0.0, 1.0, 2.0]).full()), np.cos([0.0, 1.0, 2.0]))


def test_to_casadi_shows_matrices_as_numpy_does():
    A = sample((2, 3))
    function = arc.compile(lambda A, x: A @ x + 100 * A[:, 0])
    casadi_function = function.to_casadi(A, np.ones(3))
    np.testing.assert_allclose(np.ravel(casadi_function(A, np.ones(3)).full()), function(A, np.ones(3)))


def test_side_effects_of_the_function_happen_once_per_trace():
    seen = []

    @arc.compile
    def f(x):
        seen.append(x.shape)
        return x + len(seen)

    assert [f(np.zeros(1))[0] for _ in range(3)] == [1.0, 1.0, 1.0]
    assert seen == [(1,)]


# --- nesting ----------------------------------------------------------------------------------------------------


def test_perturbations_are_not_confused():
    assert float(arc.grad(lambda x: x * arc.grad(lambda y: x + y)(1.0))(1.0)) == 1.0
    assert float(arc.grad(lambda x: x * arc.grad(lambda y: x * y)(2.0))(3.0)) == 6.0
    assert float(arc.grad(lambda x: arc.grad(lambda y: x * y**2)(x))(3.0)) == 12.0
    assert float(arc.grad(lambda x: arc.grad(lambda x: x**3)(x) * x)(2.0)) == 36.0
    thrice = arc.grad(lambda x: arc.grad(lambda y: arc.grad(lambda z: x * y * z**2)(y))(x))
    assert float(thrice(2.0)) == pytest.approx(16.0)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_gradients_of_gradients(order):
    f = np.exp
    for _ in range(order):
        f = arc.grad(f)
    assert float(f(0.5)) == pytest.approx(math.exp(0.5), rel=1e-14)
    g = lambda x: x**5
    for _ in range(order):
        g = arc.grad(g)
    assert float(g(2.0)) == math.perm(5, order) * 2.0 ** (5 - order)


def test_a_gradient_inside_a_compiled_function():
    @arc.compile
    def newton_step(x, a):
        f = lambda x: x**3 - a
        return x - f(x) / arc.grad(f)(x)

    assert float(newton_step(2.0, 27.0)) == pytest.approx(2 - (8 - 27) / 12)
    x = 2.0
    for _ in range(8):
        x = newton_step(x, 27.0)
    assert float(x) == pytest.approx(3.0, rel=1e-14)


def test_a_gradient_closing_over_arrays_of_the_outer_function():
    def f(x):
        A = np.outer(x, x)
        inner = arc.grad(lambda y: y @ A @ y)(np.ones(3))
        return np.sum(inner**2)

    check_gradient(f, sample((3,)))


def test_value_and_grad_trees_and_aux_inside_a_traced_function():
    def f(x):
        (value, aux), gradient = arc.value_and_grad(
            lambda p: (np.sum(p["w"] ** 2) * x[0], {"twice": 2 * p["w"]}), has_aux=True
        )({"w": x * 3})
        return value + np.sum(gradient["w"] * aux["twice"])

    check_gradient(f, sample((3,)))
    assert float(arc.compile(f)(sample((3,)))) == pytest.approx(float(f(sample((3,)))), rel=1e-12)


def test_compiled_functions_inside_traced_ones():
    inner = arc.compile(lambda x: np.sin(x) * 2)
    assert float(arc.grad(lambda x: inner(x) ** 2)(0.5)) == pytest.approx(8 * math.sin(0.5) * math.cos(0.5))
    assert float(arc.grad(arc.compile(lambda x: x**3))(2.0)) == 12.0
    assert float(arc.compile(arc.grad(lambda x: x**3))(2.0)) == 12.0


def test_a_gradient_with_plain_arguments_inside_a_traced_function():
    assert float(arc.grad(lambda x: x * arc.grad(lambda y: y**2)(3.0))(5.0)) == 6.0
    A = sample((100, 2))  # large enough to be a hidden input
    f = lambda x: np.sum(arc.grad(lambda y: np.sum(np.sin(A @ y)))(x) ** 2)
    check_gradient(f, sample((2,)))


def test_second_gradient_of_an_argument_that_is_not_the_first():
    f = lambda x, y: x**2 * y**3
    assert float(arc.grad(arc.grad(f, 1), 0)(2.0, 3.0)) == pytest.approx(2 * 2 * 3 * 9)
    both = arc.grad(lambda x, y: sum(arc.grad(f, (0, 1))(x, y)))
    assert float(both(2.0, 3.0)) == pytest.approx(2 * 27 + 3 * 2 * 2 * 9)


# --- results and captured arrays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 9_999, 10_000, 30_000])
def test_results_are_fresh_arrays(n):
    g = arc.value_and_grad(lambda x, y: (np.sum(x * y), x * 1), argnums=(0, 1), has_aux=True)
    same = arc.compile(lambda x: x)
    x, y = sample((n,)), sample((n,), seed=1)
    x_before, y_before = x.copy(), y.copy()
    for _ in range(2):
        (_, copied), (by_x, by_y) = g(x, y)
        again = same(x)
        for result, expected in ((copied, x_before), (by_x, y_before), (by_y, x_before), (again, x_before)):
            np.testing.assert_array_equal(result, expected)
            assert result.flags.writeable
            assert result.flags.c_contiguous
            assert not np.shares_memory(result, x)
            assert not np.shares_memory(result, y)
        assert not np.shares_memory(by_x, by_y)
        kept = [copied.copy(), by_x.copy(), by_y.copy(), again.copy()]
        for result in (by_x, copied):
            result[...] = -1.0
        g(x + 1, y + 1)
        same(x + 1)
        for result, expected in zip((by_y, again), kept[2:], strict=True):
            np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(x, x_before)
        np.testing.assert_array_equal(y, y_before)


def test_constant_results_are_fresh():
    table = np.array([1.0, 2.0])
    f = arc.compile(lambda x: (table, x, [table]))
    first = f(1.0)
    first[0][0] = 99.0
    second = f(1.0)
    assert second[0].tolist() == [1.0, 2.0]
    assert table.tolist() == [1.0, 2.0]
    second[2][0][:] = 0.0
    assert f(1.0)[2][0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("n", [3, 64, 65, 5000, 20_000])
def test_captured_arrays_that_change_later_do_not_matter(n):
    """Their entries at the time of the trace count, as those of other globals do."""
    table = np.arange(float(n))
    g = arc.grad(lambda x: np.sum(x * table))
    assert_same(g(np.ones(n)), np.arange(float(n)))
    table[:] = -1.0
    assert_same(g(np.zeros(n)), np.arange(float(n)))
    assert_same(g(np.zeros((2, n))), -np.ones((2, n)))


def test_a_captured_array_that_the_function_changes():
    def f(x):
        work = np.arange(100.0)
        first = np.sum(x * work)
        work *= 2
        work[3] = 1000.0
        return first + np.sum(x * work)

    expected = 3 * np.arange(100.0)
    expected[3] = 1003.0
    assert_same(arc.grad(f)(np.ones(100)), expected)


def test_temporary_arrays_do_not_stand_for_each_other():
    """A captured array that is freed and another made at its address."""
    f = lambda x: sum(np.sum(x * np.full(100, float(i))) for i in range(20))
    assert_same(arc.grad(f)(np.ones(100)), np.full(100, 190.0))


# --- inputs of every kind, fast and slow ----------------------------------------------------------------------------


def layouts(x):
    """Return arrays with the entries of x in every memory layout."""
    doubled = np.repeat(x, 2, axis=-1)
    readonly = x.copy()
    readonly.flags.writeable = False
    return {
        "contiguous": x, "fortran": np.asfortranarray(x), "strided": doubled[..., ::2], "read-only": readonly,
        "reversed": np.flip(np.flip(x).copy()), "transposed": x.T.copy().T, "subclass": x.view(Sub),
        "byte-swapped": x.astype(x.dtype.newbyteorder()), "float32": x.astype(np.float32),
        "offset": np.concatenate([np.zeros((1, *x.shape[1:])), x])[1:],
    }  # fmt: skip


class Sub(np.ndarray):
    pass


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (10_000,), (100, 120), (0,), (1,)], ids=str)
def test_every_memory_layout(shape):
    weights = sample(shape, seed=1)
    g = arc.value_and_grad(lambda x: np.sum(weights * x**2))
    same = arc.compile(lambda x: x * 1.0)
    x = np.round(sample(shape) * 64) / 64  # float32 holds these
    for _ in range(2):
        for layout, given_x in layouts(x).items():
            value, gradient = g(given_x)
            assert value == pytest.approx(np.sum(weights * x**2), rel=1e-12), layout
            assert type(gradient) is np.ndarray
            np.testing.assert_allclose(gradient, 2 * weights * x, rtol=1e-14, err_msg=layout)
            if layout != "subclass":
                np.testing.assert_array_equal(same(given_x), x, err_msg=layout)


@pytest.mark.parametrize(
    "x", [3.0, 3, np.float64(3), np.float32(3), np.int8(3), np.array(3.0), np.array(3), np.uint64(3)], ids=repr
)
def test_every_kind_of_scalar(x):
    g = arc.grad(lambda x, y: x**2 * y, argnums=(0, 1))
    for _ in range(2):
        assert_same(g(x, 2.0), (np.float64(12.0), np.float64(9.0)))
        assert_same(g(2.0, x), (np.float64(12.0), np.float64(4.0)))


def test_fast_path_after_any_other_call():
    g = arc.grad(lambda x, k=1.0: np.sum(x**2) * k)
    calls = [
        ((np.ones(2),), {}, [2.0, 2.0]), ((np.ones(3),), {}, [2.0] * 3), ((2.0,), {}, 4.0),
        ((np.ones(2), 3.0), {}, [6.0, 6.0]),
        ((np.ones(2),), {"k": 3.0}, [6.0, 6.0]), ((), {"x": np.ones(2)}, [2.0, 2.0]), (([1.0, 2.0],), {}, None),
        ((np.ones((2, 1)),), {}, [[2.0], [2.0]]), ((np.ones(2, int),), {}, [2.0, 2.0]),
        ((np.ones(2), 3), {}, [6.0, 6.0]),
        ((np.ones(2), True), {}, [2.0, 2.0]), ((np.ones(2), np.ones(2)[0]), {}, [2.0, 2.0]),
    ]  # fmt: skip
    for first in calls:
        for second in calls:
            for args, kwargs, expected in (first, second, second):
                if expected is None:
                    with pytest.raises(TypeError):
                        g(*args, **kwargs)
                else:
                    assert g(*args, **kwargs).tolist() == expected


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), min_size=2, max_size=8))
def test_changing_shapes(calls):
    g = arc.grad(lambda x, y: np.sum(x) * np.sum(y * y), argnums=(1, 0))
    for n, m, listed in calls:
        x, y = np.arange(float(n)), np.arange(float(m * 2)).reshape(m, 2)
        y = np.asfortranarray(y) if listed else y
        by_y, by_x = g(x, y)
        assert_same(by_y, 2 * y * np.sum(x))
        assert_same(by_x, np.full(n, np.sum(y * y)))


def test_many_specialisations():
    f, runs = counted(lambda x, n: x**n)
    g = arc.grad(f, static_argnums=1)
    for n in range(1, 301):
        assert float(g(1.0, n)) == n
    assert float(g(1.0, 300)) == 300.0
    assert len(runs) == 300
    assert float(g(1.0, 1)) == 1.0  # the least recently used one was dropped
    assert len(runs) == 301


def test_other_number_types_and_arrays_by_protocol():
    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0], dtype=dtype)

    assert arc.grad(lambda x: np.sum(x**2))(Wrapped()).tolist() == [2.0, 4.0]
    assert float(arc.grad(lambda x: x)(np.longdouble(1.0))) == 1.0
    assert float(arc.grad(lambda x: x**2)(np.float16(2.0))) == 4.0


# --- threads and memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True])
def test_eight_threads_call_one_function(warm):
    g = arc.value_and_grad(lambda x, p: np.sum(np.sin(x) * p["w"]) * p["b"], argnums=(0, 1))
    if warm:
        g(np.ones(50), {"w": np.ones(50), "b": 1.0})
    failures = []
    start = threading.Barrier(8)

    def work(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        for round_ in range(60):
            n = 50 if round_ % 3 else 20 + seed % 4
            x, w, b = rng.normal(size=n), rng.normal(size=n), float(seed)
            value, (by_x, by_p) = g(x, {"w": w, "b": b})
            expected = np.sum(np.sin(x) * w)
            if not (
                np.isclose(value, expected * b) and np.allclose(by_x, np.cos(x) * w * b)
                and np.allclose(by_p["w"], np.sin(x) * b) and np.isclose(by_p["b"], expected)
            ):  # fmt: skip
                failures.append((seed, round_))

    in_threads(work, range(8))
    assert failures == []


def test_numpy_in_other_threads_is_untouched_while_one_traces():
    entered, leave, problems = threading.Event(), threading.Event(), []

    def f(x):
        entered.set()
        leave.wait(10)
        return x

    def other():
        entered.wait(10)
        try:
            assert type(np.array([1.0, 2.0])) is np.ndarray
            assert type(np.array([object()])) is np.ndarray
            assert type(arc.zeros(2)) is np.ndarray
        except BaseException as error:
            problems.append(error)
        finally:
            leave.set()

    thread = threading.Thread(target=other)
    thread.start()
    arc.grad(f)(1.0)
    thread.join()
    assert problems == []


def test_a_function_that_calls_itself_through_its_gradient():
    @arc.grad
    def f(x, n):
        return x**2 if n == 0 else x * f(x, n - 1)

    # d/dx (x * 2x) = 4x, d/dx (x * 4x) = 8x
    f = arc.grad(f.__wrapped__, static_argnums=1)
    assert float(f(3.0, 0)) == 6.0
    assert float(f(3.0, 1)) == 12.0
    assert float(f(3.0, 2)) == 24.0


def test_compiled_functions_are_freed_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        def made():
            g = arc.grad(lambda x: np.sum(np.sin(x)))
            g(np.ones(3))
            g(2.0)
            return weakref.ref(g)

        assert made()() is None
    finally:
        gc.enable()


PRODUCTS = {
    "jvp": (arc.jvp, lambda x: x**3, lambda x, v: 3 * x**2 * v),
    "vjp": (arc.vjp, lambda x: x**3, lambda x, v: 3 * x**2 * v),
    "hvp": (arc.hvp, lambda x: np.sum(x**3), lambda x, v: 6 * x * v),
}


@pytest.mark.parametrize("kind", PRODUCTS)
def test_products_are_functions_of_arguments_and_direction(kind):
    transform, function, by_hand = PRODUCTS[kind]
    product = transform(function)
    x, v = np.array([1.0, 2.0]), np.array([1.0, -0.5])
    np.testing.assert_allclose(arc.compile(product)(x, v), by_hand(x, v))
    for argnums, direct in ((0, lambda x: by_hand(x, v)), (1, lambda v: by_hand(x, v))):
        np.testing.assert_allclose(arc.jac(product, argnums)(x, v), arc.jac(direct)((x, v)[argnums]))
    rows = np.stack([x, 2 * x])
    np.testing.assert_allclose(arc.vmap(product, in_axes=(0, None))(rows, v), by_hand(rows, v))
    np.testing.assert_allclose(arc.jvp(product)(x, v, x), arc.jvp(by_hand)(x, v, x))
    arc.check_grads(product, (x, v))


def test_the_signature_of_a_product_has_the_direction_behind_what_must_be_given():
    def function(v, /, x, scale=2.0, *, power=2, **more):
        return scale * x**power * v

    product = arc.jvp(function, argnums=1)
    assert str(inspect.signature(product)) == "(v, /, x, v_, *, scale=2.0, power=2, **more)"
    assert str(inspect.signature(arc.vjp(lambda *args: args[0]))) == "(*args)"
    assert arc.compile(product)(3.0, 2.0, 1.0, scale=5.0) == 5.0 * 2 * 2.0 * 3.0
    assert arc.compile(product)(3.0, 2.0, 1.0) == 2.0 * 2 * 2.0 * 3.0


def test_one_argument_named_twice_in_a_call_is_told():
    slopes = arc.grad(lambda x, y, *more: x * y + sum(more), argnums=(1, -1))
    assert slopes(2.0, 3.0, 4.0) == (2.0, 1.0)
    with pytest.raises(ValueError, match="names an argument twice in this call, which has x, y"):
        slopes(2.0, 3.0)


@pytest.mark.parametrize("kind", [collections.Counter, type("Bunch", (dict,), {})])
def test_containers_of_classes_of_their_own_are_refused_by_name(kind):
    with pytest.raises(TypeError, match=rf"argument 'p': a {kind.__name__} came, a dict .* Pass dict\(...\) of it"):
        arc.grad(lambda p: p["a"] * 2.0)(kind(a=1))
    with pytest.raises(TypeError, match=rf"a {kind.__name__} came"):
        arc.grad(lambda p: p["q"]["a"] * 2.0)({"q": kind(a=1)})
    assert arc.grad(lambda p: p["a"] * 2.0)(dict(kind(a=1))) == {"a": 2.0}
