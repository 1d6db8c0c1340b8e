"""Masks of what Functions read: where one is 0, no derivative reads the entry, and of values none either."""

import casadi as cs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archimedes_grad.derivatives import structures, wanted
from archimedes_grad.derivatives.callees import Callees
from archimedes_grad.derivatives.numbers import NumbersCount, instructions_of
from archimedes_grad.derivatives.structures import with_structure
from archimedes_grad.derivatives.uses import EVERYWHERE, SOMEWHERE, steps_of
from archimedes_grad.nodes.given_derivatives import without_reverse_sweep

NUMBERS = (0.0, 0.5, -1.0, 2.0)


def _only(c, x):
    return type(x).binary(cs.OP_IF_ELSE_ZERO, c, x)


def _negated(c):
    return type(c).unary(cs.OP_NOT, c)


def _chosen(kind, c, x, y):
    return _only(c, x) + _only(_negated(c), y)


_v = cs.SX.sym("v", 2)
#: A call with outputs of which the second is 0 elsewhere than the first; among numbers it stays one.
_TWO = cs.Function("two", [_v], [3 * _v, 0.7 - _v * _v], {"never_inline": True})


#: Of entries x, y, z as numbers, or as arrays of one column: a number or column.
FUNCTIONS = {
    "a choice": lambda kind, x, y, z: _chosen(kind, x > 0, y, z),
    "one side": lambda kind, x, y, z: _only(x > 0, y * z),
    "a choice in a choice": lambda kind, x, y, z: _chosen(kind, x > 0, _chosen(kind, z > 1, y, x * x), z),
    "both sides": lambda kind, x, y, z: _chosen(kind, x > 0, y * z, y - z),
    "under two conditions": lambda kind, x, y, z: _only(x > 0, y) + _only(z < 1, y * x),
    "compared and chosen": lambda kind, x, y, z: _chosen(kind, y > 0.2, y * x, z),
    "the larger": lambda kind, x, y, z: cs.fmax(x, y) * z,
    "the smaller within a choice": lambda kind, x, y, z: _chosen(kind, z > 0, cs.fmin(x, y), y * y),
    "a condition that is a number": lambda kind, x, y, z: _only(x, y) + z,
    "a condition of conditions": lambda kind, x, y, z: _only(cs.logic_or(x > 0, z > 1), y),
    "a condition that is the larger": lambda kind, x, y, z: _only(cs.fmax(x > 0, z > 1), y) + cs.fmin(x, z),
    "a condition that is a call's second output": lambda kind, x, y, z: _only(_TWO(x)[1] > 0, y * x) + z,
    "under both outputs of a call": lambda kind, x, y, z: _only(_TWO(x)[0], y) + _only(_negated(_TWO(x)[1] > 0), y),
    "the larger of a call's outputs": lambda kind, x, y, z: cs.fmax(_TWO(x)[1], y) + cs.fmin(z, _TWO(z)[1]),
    "everywhere after all": lambda kind, x, y, z: _only(x > 0, y) + y,
    "compared where no slope is": lambda kind, x, y, z: _chosen(kind, x > 0, _only(y > 0.2, z), y),
    "compared under another condition": lambda kind, x, y, z: _only(x > 0, _only(y > 0.2, z)) + _only(x < 1, y),
    "compared where its slope is": lambda kind, x, y, z: _only(x > 0, _chosen(kind, y > 0.2, y * z, y)),
    "under a condition twice": lambda kind, x, y, z: (
        lambda c: _only(c, _only(c, y) * z) + _only(kind.unary(cs.OP_NOT, c), y)
    )(x > 0),
    "nowhere": lambda kind, x, y, z: x * z + cs.floor(y),
}  # fmt: skip


def _scalars(name):
    x, y, z = (cs.SX.sym(letter, 2) for letter in "xyz")
    return cs.Function("f", [x, y, z], [FUNCTIONS[name](cs.SX, x, y, z)])


def _arrays(name):
    x, y, z = (cs.MX.sym(letter, 2) for letter in "xyz")
    return cs.Function("f", [x, y, z], [FUNCTIONS[name](cs.MX, x, y, z)])


def _batch(name):
    return _scalars(name).map(3, [False, True, False], [False])


def _branches(name):
    other = cs.Function("other", [cs.SX.sym(letter, 2) for letter in "xyz"], [cs.SX.zeros(2)])
    choice = cs.Function.if_else("choice", _scalars(name), other)
    x, y, z = (cs.MX.sym(letter, 2) for letter in "xyz")
    return cs.Function("f", [x, y, z], [choice(cs.sum1(x) > 0, x, y, z)])


MADE = {"of numbers": _scalars, "of arrays": _arrays, "a batch": _batch, "a choice": _branches}


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("name", FUNCTIONS)
@given(drawn=st.lists(st.sampled_from(NUMBERS), min_size=18, max_size=18))
def test_masks_are_0_only_where_nothing_is_read(name, made, drawn):
    function = MADE[made](name)
    shapes = [function.size_in(i) for i in range(3)]
    arguments = [np.array(drawn[6 * i :][: np.prod(s)]).reshape(s, order="F") for i, s in enumerate(shapes)]
    jacobians = [np.array(block) for block in function.jacobian()(*arguments, 0)] if made != "a batch" else None
    value = np.array(function(*arguments))
    found = Callees().arguments(function, (0,), False)
    masks = {} if found.masks is None else dict(
        zip(found.masks.known, map(np.array, found.masks.function.call(arguments)), strict=True)
    )
    of_values = Callees().arguments(function, (0,), True)
    for i, use in enumerate(found.uses):
        assert (use == SOMEWHERE) <= (i in masks)
        counts = {None: np.zeros(shapes[i]), EVERYWHERE: np.ones(shapes[i]), SOMEWHERE: masks.get(i)}[use]
        for k in np.flatnonzero(counts.ravel("F") == 0):
            if jacobians is not None:
                assert not np.any(jacobians[i][:, k]), (i, k)
            if of_values.uses[i] is None or (use == SOMEWHERE and not found.are_compared):
                changed = [a.copy(order="F") for a in arguments]
                changed[i].ravel("K")[k] = 17.5
                np.testing.assert_array_equal(function(*changed), value)


@pytest.mark.parametrize(("name", "uses"), [
    ("a choice", ("none", "some", "some")), ("both sides", ("none", "all", "all")), ("nowhere", ("all", "none", "all")),
    ("everywhere after all", ("none", "all", "none")), ("the larger", ("some", "some", "all")),
    ("compared and chosen", ("some", "some", "some")), ("under two conditions", ("some", "some", "none")),
    ("a choice in a choice", ("some", "some", "some")), ("one side", ("none", "some", "some")),
    ("under a condition twice", ("none", "all", "some")), ("compared where no slope is", ("none", "some", "some")),
    ("compared under another condition", ("none", "some", "some")),
    ("compared where its slope is", ("none", "some", "some")),
])  # fmt: skip
@pytest.mark.parametrize("made", ["of numbers", "of arrays"])
def test_uses(name, uses, made):
    found = Callees().arguments(MADE[made](name), (0,), False)
    names = {None: "none", EVERYWHERE: "all", SOMEWHERE: "some"}
    assert tuple(names[use] for use in found.uses) == uses
    compared = (
        "compared and chosen", "the larger", "a choice in a choice", "under two conditions",
        "compared where no slope is", "compared under another condition",
    )  # fmt: skip
    # Of arrays it is not looked for whether values are compared where slopes count, too.
    assert found.are_compared == (name in compared or (name, made) == ("compared where its slope is", "of arrays"))


def test_both_sides_of_a_condition_are_everywhere_however_it_is_written():
    c, x = cs.SX.sym("c"), cs.SX.sym("x", 3)
    inner, negated = x[1] > 0, cs.SX.unary(cs.OP_NOT, c)
    twice = cs.SX.unary(cs.OP_NOT, negated)
    function = cs.Function("f", [c, x], [
        _only(twice, x[0]) + _only(negated, x[0])
        + _only(c, _only(inner, x[2]) + _only(cs.SX.unary(cs.OP_NOT, inner), x[2]))
        + _only(negated, x[2] * x[2])
    ])  # fmt: skip
    count = NumbersCount(function, instructions_of(function), (0,), False)
    # Of the entry that is only compared there is no derivative.
    assert count.uses == [None, SOMEWHERE]
    np.testing.assert_array_equal(np.array(count.masks([1])(np.nan, np.full(3, np.nan))).ravel(), [1, 0, 1])


def _array_functions():
    """Give Functions of three columns that compare values behind which no derivative goes."""
    x, y, z = (cs.MX.sym(letter, 2) for letter in "xyz")
    numbers = [cs.SX.sym(letter, 2) for letter in "xz"]
    asked = cs.Function("asked", numbers, [numbers[0] > numbers[1][::-1]], {"is_diff_in": [False, False]})
    value = without_reverse_sweep(2, 1)
    inside = cs.Function("inside", [x, y, z], [_only(value(z) > 0.2, x) + _only(asked(x, z), y)])
    called = cs.Function("called", [x, y, z], [y * inside(z, y, x)[::-1]])
    return {
        "a value": cs.Function("f", [x, y, z], [_only(value(x) > 0.2, y) * z]), "a mask": inside, "called": called,
        "in a batch": inside.map(3, [False, True, False], [False]),
        "in a sum over a batch": inside.map(3, [False, True, False], [True]),
        "in a choice": cs.Function("f", [x, y, z], [
            cs.Function.if_else("choice", called, cs.Function("other", [x, y, z], [x]))(x[1], z, y, x)
        ]),
        "a mask itself": asked, "a batch of masks": asked.map(3, [True, False], [False]),
    }  # fmt: skip


@pytest.mark.parametrize("what", _array_functions())
def test_structures_have_what_is_compared_behind_calls_without_derivatives(what):
    function = _array_functions()[what]
    made = with_structure(function)
    generator = np.random.default_rng(0)
    changes = [np.zeros((function.nnz_out(0), function.nnz_in(i)), bool) for i in range(function.n_in())]
    for _ in range(60):
        arguments = [generator.choice([*NUMBERS, 0.3, -0.2], function.size_in(i)) for i in range(function.n_in())]
        value = np.array(function(*arguments))
        for i, found in enumerate(changes):
            for k in range(function.nnz_in(i)):
                changed = [a.copy() for a in arguments]
                changed[i].T.flat[k] = generator.choice(NUMBERS)  # In the order of columns.
                found[:, k] |= (np.array(function(*changed)) != value).ravel("F")
    for i, found in enumerate(changes):
        np.testing.assert_array_equal(found, np.array(cs.DM(made.jac_sparsity(0, i), 1)) != 0)


def _taken(x, y, places):
    return x.get_nz(False, places)


def _written(x, y, places):
    written = cs.MX(x)
    written.set_nz(y, False, places)
    return written


def _added(x, y, places):
    """Return x with y added at places, as a gather's reverse derivative gives it."""
    gathered = x.get_nz(False, places)
    return x + cs.reverse([gathered], [x], [[y]])[0][0]


@pytest.mark.parametrize(("made", "keep", "masks"), [
    (_taken, [1, 1], [[True, False, True]]), (_taken, [0, 1], [[True, False, False]]),
    (_written, [1, 1, 0], [[False, True, False], [False, True]]),
    (_added, [0, 1, 1], [[False, True, True], [True, False]]),
])  # fmt: skip
def test_masks_go_by_the_places_of_entries_that_are_moved_at_run_time(made, keep, masks):
    x, y, places = cs.MX.sym("x", 3), cs.MX.sym("y", 2), cs.MX.sym("places", 2)
    condition = cs.MX.sym("condition", len(keep))
    function = cs.Function("f", [x, y, places, condition], [_only(condition, made(x, y, places))])
    callees = Callees()
    found, of_values = (callees.arguments(function, (0,), of_values) for of_values in (False, True))
    given = found.masks.function.call([[1, 1, 1], [1, 1], [2, 0], keep])
    assert [(mask.full().ravel() != 0).tolist() for mask in given] == masks
    assert not found.are_compared
    assert found.uses[2:] == [None, None]
    assert of_values.uses[2] == SOMEWHERE


def test_a_batch_does_not_keep_the_masks_of_all_items():
    x, place = cs.MX.sym("x", 500), cs.MX.sym("place")
    taken = x.get_nz(False, place)
    batch = cs.Function("f", [x, place], [_only(taken > 0, taken)]).map(300, [True, False], [False])
    function = Callees().arguments(batch, (0,), False).masks.function
    assert function.sz_w() < 300 * 500
    values, places = np.linspace(-1.0, 1.0, 500), np.arange(150, 450)
    np.testing.assert_array_equal(np.flatnonzero(function(values, places).full()), np.arange(250, 450))


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_more_entries_are_read_than_counted(name, made):
    _assert_counted(MADE[made](name))


@pytest.mark.parametrize("what", _array_functions())
def test_no_more_entries_are_read_than_counted_behind_calls(what):
    _assert_counted(with_structure(_array_functions()[what]))


def _assert_counted(function):
    (widths,) = structures._widths(function, {})
    for i, width in enumerate(widths):
        rows = np.array(cs.DM(function.jac_sparsity(0, i), 1)) != 0
        assert rows.sum(axis=1).max() <= width <= function.nnz_in(i)


def test_structures_are_asked_for_where_few_entries_are_read_however_many_there_are():
    x = cs.MX.sym("x", 5000)
    halves = cs.Function("halves", [x], [cs.vertcat(cs.sin(x[2500:]), x[:2500] * x[2500:])])
    called = cs.Function("called", [x], [halves(halves(x)[::-1]) + 1])
    structure = with_structure(called).jac_sparsity(0, 0)
    assert 5000 <= structure.nnz() <= 20_000
    assert with_structure(cs.Function("f", [x], [cs.mtimes(cs.cos(x), cs.sum1(x))])) is None


def test_masks_are_wanted_where_something_behind_the_call_is_singular_and_else_not():
    x, y = cs.MX.sym("x", 2), cs.MX.sym("y", 2)
    q, c = cs.MX.sym("q", 2), cs.MX.sym("c", 2)
    state = c
    for _ in range(600):
        state = cs.sin(state) + _only(state > 0, q) * 0.1
    body = cs.Function("body", [q, c], [state])
    (call,) = body.call([cs.sqrt(x) / y * cs.exp(x), y], False, True)
    steps = steps_of([call], Callees().arguments)
    (step,) = (step for step in steps if step.operation == cs.OP_CALL)
    number = cs.Function("wanted", [x, y], [wanted.masks_wanted(steps, step)])
    for at, is_wanted in (
        (([1.0, 2.0], [1.0, 3.0]), False), (([0.0, 2.0], [1.0, 3.0]), True), (([1.0, -2.0], [1.0, 3.0]), True),
        (([1.0, 2.0], [0.0, 3.0]), True), (([1.0, 900.0], [1.0, 3.0]), True), (([1.0, np.inf], [1.0, 3.0]), True),
    ):  # fmt: skip
        assert (float(number(*at)) > 0) == is_wanted


def test_cheap_masks_and_what_is_not_known_are_always_wanted():
    x, y = cs.MX.sym("x", 2), cs.MX.sym("y", 2)
    cheap = _scalars("one side")
    call = cheap(y, cs.sqrt(x), x)
    steps = steps_of([call], Callees().arguments)
    (step,) = (step for step in steps if step.operation == cs.OP_CALL)
    assert wanted.masks_wanted(steps, step) is None
