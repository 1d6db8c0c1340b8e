"""Zeros are zeros for their factors, times inf nan: those that rules put in for what would be nan, and arguments.

CasADi takes factors into its conditions, and folds calls of zeros, where 0 times inf would be 0.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import forced
from scipy import special

import archimedes_grad as arc
from archimedes_grad.arrays.dispatch import ELEMENTWISE, ELEMENTWISE_BY_KIND

from .table import BINARY, SPECIAL, UNARY

pytestmark = pytest.mark.filterwarnings("ignore")

POINTS = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-310, 1e300, np.inf, -np.inf, np.nan)
NUMBERS = (-4, -3, -1, 0, 1, 2, 7)
FACTORS = (np.inf, -np.inf, np.nan)

REDUCED: dict[str, Callable[[Any], Any]] = {
    "norm": lambda x: np.linalg.norm(np.stack([x, -x])), "norms of columns": lambda x: np.linalg.norm([x, x], axis=0),
    "std": lambda x: np.std([x, x], axis=0), "nanstd": lambda x: np.nanstd([x, x], axis=0),
    "abs of complex": lambda x: np.abs(x + 0j), "angle": lambda x: np.angle(x + 0j),
    "max": lambda x: np.max([x, x], axis=0), "nansum": lambda x: np.nansum([x, x], axis=0),
    "median": lambda x: np.median([x, x, 0 * x], axis=0),
    "where": lambda x: np.where(x > 0, x, 0.0), "select": lambda x: np.select([x < 0, x > 1], [x, 2 * x]),
    "piecewise": lambda x: np.piecewise(x, [x < 0], [lambda t: -t, 0.0]), "clip": lambda x: np.clip(x, 0, 1),
    "interp": lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 0.0]), "nan_to_num": lambda x: np.nan_to_num(x),
    "sum of some": lambda x: np.sum([x, x], axis=0, where=[x > 0, x > 1]), "sinc": lambda x: np.sinc(x),
    "i0": lambda x: np.i0(x), "unwrap": lambda x: np.unwrap([x, x], axis=0)[1],
    "sort": lambda x: np.sort([x, -x], axis=0)[0],
}  # fmt: skip
OF_TWO = (
    "xlogy", "xlog1py", "rel_entr", "kl_div", "huber", "pseudo_huber", "beta", "betaln", "binom", "poch", "boxcox",
    "boxcox1p", "inv_boxcox", "inv_boxcox1p", "powm1",
)  # fmt: skip
ELEMENTWISE_TABLE = [*UNARY, *BINARY, np.modf, np.divmod]
#: NumPy refuses the power of a negative whole number.
OF_WHOLE_NUMBERS = [f for f, kind in ELEMENTWISE_BY_KIND if kind == "i" and f not in (np.reciprocal, np.power)]


@pytest.fixture(params=["scalar", "array"], autouse=True)
def representation(request):
    with forced(request.param):
        yield request.param


def first_of(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def wrong_products(function: Callable[..., Any], points: tuple[Any, ...], n_arguments: int, *, own: bool) -> list[Any]:
    """Return where products of results with factors are not the products of NumPy, or of the results got alone."""
    arguments = [np.array(column) for column in zip(*itertools.product(points, repeat=n_arguments), strict=True)]

    def product(*args: Any) -> Any:
        return first_of(function(*args[:-1])) * args[-1]

    wrong = []
    for factor in FACTORS:
        with np.errstate(all="ignore"):
            factors = np.full(arguments[0].shape, factor)
            alone = arc.compile(lambda *args: first_of(function(*args))) if own else function
            expected = first_of(alone(*arguments)) * factors
            got = arc.compile(product)(*arguments, factors)
        unlike = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
        columns = [*arguments, factors, got, expected]
        wrong += [tuple(column[k] for column in columns) for k in np.flatnonzero(unlike)]
    return wrong


@pytest.mark.parametrize("function", ELEMENTWISE_TABLE, ids=lambda function: function.__name__)
def test_elementwise(function):
    assert wrong_products(function, POINTS, function.nin, own=False) == []


@pytest.mark.parametrize("function", OF_WHOLE_NUMBERS, ids=lambda function: function.__name__)
def test_of_whole_numbers(function):
    assert wrong_products(function, NUMBERS, function.nin, own=False) == []


@pytest.mark.parametrize("name", [*filter(functools.partial(hasattr, special), SPECIAL), *OF_TWO])
def test_special_functions(name):
    function = getattr(special, name)
    assert wrong_products(function, POINTS, function.nin if name in OF_TWO else 1, own=True) == []


@pytest.mark.parametrize("name", REDUCED)
def test_rules_of_several_operations(name):
    assert wrong_products(REDUCED[name], POINTS, 1, own=False) == []


def test_every_function_of_the_table_is_here():
    assert set(ELEMENTWISE_TABLE) <= {*ELEMENTWISE}
    assert OF_WHOLE_NUMBERS


def test_the_reciprocal_of_a_whole_number_is_no_negative_zero():
    assert arc.compile(lambda k: 1.0 / np.reciprocal(k))(np.array([-3, 3])).tolist() == [np.inf, np.inf]


def _with_vjp() -> Callable[..., Any]:
    function = arc.custom_vjp(lambda t, u: t * np.sum(u))
    function.defvjp(
        lambda t, u: (t * np.sum(u), (t, u)), lambda kept, w: (np.sum(kept[1]) * w, np.sum(kept[0] * w) + 0 * kept[1])
    )
    return function


def _with_jvp() -> Callable[..., Any]:
    function = arc.custom_jvp(lambda t, u: t * np.sum(u))
    function.defjvp(lambda at, along: (at[0] * np.sum(at[1]), along[0] * np.sum(at[1]) + at[0] * np.sum(along[1])))
    return function


ZEROS = np.zeros(3)
CALLS: dict[str, Callable[[Any], Any]] = {
    "custom_vjp": lambda x: _with_vjp()(x, ZEROS), "custom_jvp": lambda x: _with_jvp()(x, ZEROS),
    "vmap": lambda x: arc.vmap(lambda a, b: a * b)(x, ZEROS),
    "vmap, shared": lambda x: arc.vmap(lambda a, b: a * np.sum(b), in_axes=(0, None))(x, ZEROS),
    "scan": lambda x: arc.scan(lambda c, e: (c * e, c * e), x, ZEROS)[0],
    "scan, the carry": lambda x: arc.scan(lambda c, e: (c * e, c * e), 0.0, x)[1],
    "fori_loop": lambda x: arc.fori_loop(0, 2, lambda i, c: c * x, ZEROS),
    "while_loop": lambda x: arc.while_loop(lambda s: s[1] < 2, lambda s: (s[0] * x, s[1] + 1), (ZEROS, 0), 3)[0],
    "cond": lambda x: arc.cond(x[1] > 0, lambda a, b: a * b, lambda a, b: a, x, ZEROS),
    "switch": lambda x: arc.switch(1, [lambda a, b: a, lambda a, b: a * b], x, ZEROS),
    "grad": lambda x: arc.grad(lambda t, z: np.sum(t * t * z))(x, ZEROS),
    "compile": lambda x: arc.compile(lambda a, b: a * b)(x, ZEROS),
    "stop_gradient": lambda x: arc.stop_gradient(ZEROS) * x,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_zeros_as_arguments_of_calls(name):
    x = np.array([np.nan, 1.0, np.inf])
    np.testing.assert_array_equal(arc.compile(CALLS[name])(x), CALLS[name](x))
