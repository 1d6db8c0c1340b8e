"""Structured control flow: against Python's own loops and branches, in values and derivatives of every order."""

import contextlib
import math

import casadi as cs
import numpy as np
import pytest
from helpers import by_the_interpreter

import archimedes_grad as arc
from archimedes_grad import TraceError

RNG = np.random.default_rng(5)
W = 0.4 * RNG.normal(size=(3, 3))
C0 = RNG.normal(size=3)


def recurrent(scan):
    def loss(w, c0, xs):
        carry, ys = scan(lambda c, x: (np.tanh(w @ c + x), np.sum(c**2)), c0, xs)
        return np.sum(carry) + np.sum(ys**2)

    return loss


def python_scan(f, carry, xs):
    ys = []
    for x in xs:
        carry, y = f(carry, x)
        ys.append(y)
    return carry, np.stack(ys)


# --- scan -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5, 33, 50])
@pytest.mark.parametrize("checkpoint", [True, False, 7, 1, 100])
def test_scan_gradients_equal_those_of_a_python_loop(n, checkpoint):
    xs = RNG.normal(size=(n, 3))
    loss = recurrent(lambda f, c, x: arc.scan(f, c, x, checkpoint=checkpoint))
    got = arc.value_and_grad(loss, (0, 1, 2))(W, C0, xs)
    expected = arc.value_and_grad(recurrent(python_scan), (0, 1, 2))(W, C0, xs)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-12)
    for gradient, other in zip(got[1], expected[1], strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-10, atol=1e-12)


def test_scan_second_order_and_jacobian():
    xs = RNG.normal(size=(40, 3))
    with by_the_interpreter():
        expected = arc.hess(recurrent(python_scan))(W, C0, xs)
    np.testing.assert_allclose(arc.hess(recurrent(arc.scan))(W, C0, xs), expected, rtol=1e-9, atol=1e-10)

    def states(scan):
        return lambda c0: scan(lambda c, x: (np.sin(c + x), c), c0, xs)[1]

    np.testing.assert_allclose(arc.jac(states(arc.scan))(C0), arc.jac(states(python_scan))(C0), rtol=1e-12, atol=1e-15)


def test_scan_on_plain_numbers_is_the_loop():
    carry, ys = arc.scan(lambda c, x: (c + x, {"sum": c, "kind": None}), np.float64(0.0), np.arange(3.0))
    assert carry == 3.0
    assert ys["sum"].tolist() == [0.0, 0.0, 1.0]
    assert ys["kind"] is None


def test_ten_thousand_steps_are_one_small_graph():
    xs = RNG.normal(size=(10_000, 3))
    gradient = arc.grad(recurrent(arc.scan))
    gradient(W, C0, xs)
    assert gradient.explain(W, C0, xs).n_operations < 50


@pytest.mark.parametrize("checkpoint", [True, False, 7])
def test_every_order_and_direction_of_a_scan(checkpoint):
    """Its reverse derivative is the library's own: differentiated forward and in reverse, and again."""
    xs = RNG.normal(size=(40, 3))
    scanned = recurrent(lambda f, c, x: arc.scan(f, c, x, checkpoint=checkpoint))
    looped = recurrent(python_scan)
    v = RNG.normal(size=(3, 3))
    for transform in (
        lambda f: arc.hess(f, 1)(W, C0, xs),
        lambda f: arc.hvp(f)(W, C0, xs, v),
        lambda f: arc.jvp(f)(W, C0, xs, v),
        lambda f: arc.vjp(f, (0, 2))(W, C0, xs, 2.0)[1],
        lambda f: arc.grad(lambda w: np.sum(arc.grad(f)(w, C0, xs) * v))(W),
        lambda f: arc.jac(lambda c: arc.jvp(arc.grad(f, 1), 1)(W, c, xs, v[0]))(C0),
    ):
        with by_the_interpreter():
            expected = transform(looped)
        np.testing.assert_allclose(transform(scanned), expected, rtol=1e-8, atol=1e-9)


def work_memory(steps, checkpoint, width=3):
    """How many numbers an evaluation of a gradient holds, where nothing but the carry is as long as the loop."""

    def loss(c):
        return np.sum(arc.scan(lambda c, _: (np.sin(c) * c, None), c, None, length=steps, checkpoint=checkpoint)[0])

    return arc.grad(loss).to_casadi(np.ones(width)).sz_w()


def test_memory_grows_with_state_times_steps_and_with_checkpoints_as_their_root():
    assert work_memory(64_000, False) < 17 * work_memory(4_000, False)
    assert work_memory(64_000, False, width=12) < 4.1 * work_memory(64_000, False)
    assert work_memory(64_000, False) < 8 * 3 * 64_000
    assert work_memory(64_000, True) < 4.5 * work_memory(4_000, True)


def test_nothing_but_the_step_is_computed_twice():
    """A gradient runs each step once forward and once in reverse: the sines of both, and no more."""
    gradient = arc.grad(lambda x: arc.scan(lambda c, _: (np.sin(c), None), x, None, length=1_000)[0])

    def sines(function, times=1):
        total = 0
        for k in range(function.n_instructions()):
            if function.instruction_id(k) == cs.OP_CALL:
                total += sines(function.instruction_MX(k).which_function())
            total += function.instruction_id(k) in (cs.OP_SIN, cs.OP_COS)
        return total

    assert sines(gradient.to_casadi(0.5)) == 2_000


def test_trees_of_carries_and_slices():
    def f(a, xs):
        def step(carry, x):
            new = {"position": carry["position"] + carry["speed"] * x["dt"], "speed": carry["speed"] * a, "n": None}
            return new, (new["position"], x["label"])

        init = {"position": 0.0, "speed": 1.0, "n": None}
        carry, (positions, label) = arc.scan(step, init, {"dt": xs, "label": "fixed"})
        assert label == "fixed"
        return carry["position"] + np.sum(positions)

    def python(a, xs):
        position, speed, total = 0.0, 1.0, 0.0
        for x in xs:
            position, speed = position + speed * x, speed * a
            total = total + position
        return position + total

    xs = np.array([0.1, 0.2, 0.4])
    np.testing.assert_allclose(arc.grad(f, (0, 1))(0.9, xs)[1], arc.grad(python, (0, 1))(0.9, xs)[1], rtol=1e-13)
    np.testing.assert_allclose(arc.grad(f)(0.9, xs), arc.grad(python)(0.9, xs), rtol=1e-13)


def test_truth_values_are_carried_and_scanned():
    mask, x = np.array([True, False, True]), np.array([0.0, 1.0, 2.0])

    def scanned(x, mask):
        def step(carry, item):
            (found, total), (entry, counts) = carry, item
            return (np.logical_or(found, counts), total + np.where(counts, entry, 0)), found

        return arc.scan(step, (mask[1], 0.0), (x, mask))

    (found, total), before = arc.compile(scanned)(x, mask)
    assert (found, total) == (True, 2.0)
    assert before.tolist() == [False, True, True]
    np.testing.assert_array_equal(arc.grad(lambda x: scanned(x, mask)[0][1])(x), [1, 0, 1])
    turn = lambda i, carry: (carry[0] ^ True, carry[1] + np.where(carry[0], 1.0, 9.0))
    assert arc.compile(lambda start: arc.fori_loop(0, 3, turn, start))((True, 0.0)) == (False, 11.0)
    ended = arc.compile(lambda x: arc.while_loop(lambda c: ~c[0], lambda c: (c[1] > 2, c[1] + 1), (False, x[0]), 9))
    assert ended(x) == (True, 4.0)


CLOSED_OVER = {
    "vmap": lambda x, flag: arc.vmap(lambda y: np.where(flag, y, -y))(np.array([x, x]))[0],
    "scan": lambda x, flag: arc.scan(lambda c, _: (np.where(flag, 2 * c, c), None), x, None, length=2)[0],
    "cond": lambda x, flag: arc.cond(x > 0, lambda y: np.where(flag, y, -y), np.sin, x),
    "while_loop": lambda x, flag: arc.while_loop(lambda s: np.logical_and(s < 9.0, flag), lambda s: s + 1, x, 20),
}


@pytest.mark.parametrize("form", CLOSED_OVER.values(), ids=CLOSED_OVER)
def test_a_truth_value_closed_over_is_that_of_each_call(form):
    compiled = arc.compile(lambda x: form(x, x > 2.0))
    for x in (1.0, 3.0, 1.0):
        assert compiled(x) == form(x, np.bool_(x > 2.0)) == arc.compile(lambda x: form(x, x > 2.0))(x)


def test_truth_values_of_a_body_are_numbers_that_nothing_writes_to():
    def step(_, state):
        done, count = state
        before = done
        done |= count > 0
        return done, count + np.where(before, 1, 10)

    assert arc.compile(lambda n: arc.fori_loop(0, 3, step, (n > 5, n)))(0) == (True, 21)
    assert arc.fori_loop(0, 3, step, (np.bool_(False), np.int64(0))) == (True, 21)


def test_a_carry_is_handed_on_by_its_values():
    def scanned(x):
        def step(carry, _):
            a, b = carry
            a += 1
            return (a, a), np.sum(b)

        return arc.scan(step, (x, x), None, length=3)[1]

    np.testing.assert_array_equal(scanned(np.zeros(2)), arc.compile(scanned)(np.zeros(2)))


def test_an_integer_carry_becomes_float_as_in_numpy():
    def f(x):
        return arc.scan(lambda c, u: (c + u * x, c), 0, np.ones(3))[0]

    assert arc.grad(f)(2.0) == 3.0


def test_length_and_no_steps():
    assert arc.grad(lambda x: arc.scan(lambda c, u: (c * x, None), 1.0, None, length=3)[0])(2.0) == 12.0
    carry, ys = arc.compile(lambda x: arc.scan(lambda c, u: (c * x, c), x, np.zeros((0, 2))))(2.0)
    assert carry == 2.0
    assert ys.shape == (0,)


def test_step_traced_once():
    traces = []

    def step(c, x):
        traces.append(1)
        return c * x, None

    arc.grad(lambda x: arc.scan(step, 1.0, x)[0])(np.ones(500))
    assert len(traces) == 1


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("f", "init", "xs", "error", "message"),
    [
        (lambda c, x: (np.append(c, x), None), np.ones(2), np.ones(3), ValueError, r"\(2,\) and became shape \(3,\)"),
        (lambda c, x: ((c, c), None), np.ones(2), np.ones(3), ValueError, "keep its structure"),
        (lambda c, x: c, np.ones(2), np.ones(3), TypeError, r"\(carry, y\)"),
        (lambda c, x: (c, None), 1.0, (np.ones(3), np.ones(4)), ValueError, r"\(3,\), \(4,\)"),
        (lambda c, x: (c, None), 1.0, 2.0, ValueError, "first axis"),
        (lambda c, x: (c, None), 1.0, None, ValueError, "length"),
    ],
)
def test_bad_scans(inside, f, init, xs, error, message):
    def run(y):
        arc.scan(f, init, xs)
        return y

    with pytest.raises(error, match=message):
        arc.grad(run)(1.0) if inside else run(1.0)


def test_bad_checkpoint():
    with pytest.raises(ValueError, match="checkpoint"):
        arc.scan(lambda c, x: (c, c), 1.0, np.ones(3), checkpoint=0)


def test_decisions_inside_a_step_are_refused():
    with pytest.raises(TraceError, match=r"test_control_flow\.py"):
        arc.grad(lambda x: arc.scan(lambda c, u: (c if c > 0 else -c, None), x, np.ones(3))[0])(1.0)


# --- fori_loop and while_loop ---------------------------------------------------------------------


def test_fori_loop():
    def f(x, fori_loop=arc.fori_loop):
        return fori_loop(2, 6, lambda i, s: np.sin(s * x) + i, x)

    def python(x):
        s = x
        for i in range(2, 6):
            s = np.sin(s * x) + i
        return s

    assert f(0.7) == pytest.approx(python(0.7), rel=1e-15)
    assert arc.grad(f)(0.7) == pytest.approx(float(arc.grad(python)(0.7)), rel=1e-12)
    assert arc.hess(f)(0.7) == pytest.approx(float(arc.hess(python)(0.7)), rel=1e-10)
    assert arc.fori_loop(3, 3, lambda i, s: s + 1, 5.0) == 5.0


@pytest.mark.parametrize(
    "read",
    [
        lambda A, i: A[i] @ A[i - 2], lambda A, i: A[i, 1] * A[-i, 0], lambda A, i: np.sum(A[i, 1:] ** 2),
        lambda A, i: np.sum(A[np.array([i, i - 1])] ** 3), lambda A, i: A[0, 0] * A[i][-1],
    ],
)  # fmt: skip
def test_the_counter_as_an_index(read):
    A = RNG.normal(size=(5, 3))

    def f(A):
        return arc.fori_loop(0, 5, lambda i, s: s + np.sin(read(A, i)), 0.0)

    def python(A):
        return sum(np.sin(read(A, i)) for i in range(5))

    np.testing.assert_allclose(arc.compile(f)(A), python(A), rtol=1e-13)
    np.testing.assert_allclose(arc.grad(f)(A), arc.grad(python)(A), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(arc.hess(f)(A), arc.hess(python)(A), rtol=1e-11, atol=1e-13)


def test_an_index_out_of_range_in_a_body_reads_nan():
    assert np.isnan(arc.compile(lambda x: arc.fori_loop(2, 4, lambda i, s: s + x[i], 0.0))(np.ones(3)))


def test_fori_loop_with_traced_bounds_names_the_way_on():
    with pytest.raises(TraceError, match="while_loop"):
        arc.compile(lambda n: arc.fori_loop(0, n, lambda i, s: s, 0.0))(3)


def newton_root(a):
    return arc.while_loop(lambda x: np.abs(x * x - a) > 1e-13 * a, lambda x: (x + a / x) / 2, a, 100)


@pytest.mark.parametrize("a", [0.5, 2.0, 300.0])
def test_while_loop_derivatives(a):
    assert newton_root(a) == pytest.approx(math.sqrt(a), rel=1e-12)
    assert arc.compile(newton_root)(a) == pytest.approx(math.sqrt(a), rel=1e-12)
    assert arc.grad(newton_root)(a) == pytest.approx(0.5 / math.sqrt(a), rel=1e-6)
    assert arc.jvp(newton_root)(a, 1.0) == pytest.approx(0.5 / math.sqrt(a), rel=1e-6)


def test_while_loop_second_order_equals_the_unrolled_loop():
    def looped(x):
        return arc.while_loop(lambda s: s[1] < 4.5, lambda s: (np.sin(s[0] * x), s[1] + 1), (x, 0.0), 1000)[0]

    def unrolled(x):
        s = x
        for _ in range(5):
            s = np.sin(s * x)
        return s

    for transform in (arc.grad, arc.hess, lambda f: arc.grad(arc.hess(f))):
        assert transform(looped)(0.8) == pytest.approx(float(transform(unrolled)(0.8)), rel=1e-10)


@pytest.mark.parametrize("max_steps", [1, 31, 32, 33, 1000, 1025, 40_000])
def test_while_loop_stops_at_its_bound(max_steps):
    count = arc.compile(lambda x: arc.while_loop(lambda s: s >= 0, lambda s: s + 1, x, max_steps))
    assert count(0.0) == max_steps


def test_a_step_after_the_end_is_not_evaluated():
    """The step is singular at the end: one more would give nan, in the value or the gradient."""

    def f(x):
        return arc.while_loop(lambda s: s > 0, lambda s: s - np.sqrt(s) / np.sqrt(s), x, 100)

    assert arc.compile(f)(3.0) == 0.0
    assert arc.grad(f)(3.0) == 1.0


def test_while_loop_mapped():
    a = np.array([0.5, 2.0, 300.0])
    np.testing.assert_allclose(arc.vmap(arc.grad(newton_root))(a), 0.5 / np.sqrt(a), rtol=1e-6)


def test_bad_while_loops():
    with pytest.raises(ValueError, match="max_steps"):
        arc.while_loop(lambda s: True, lambda s: s, 1.0, 0)
    with pytest.raises(ValueError, match="one truth value"):
        arc.compile(lambda x: arc.while_loop(lambda s: s > 0, lambda s: s, x, 3))(np.ones(2))
    with pytest.raises(ValueError, match=r"\(2,\) and became shape \(3,\)"):
        arc.compile(lambda x: arc.while_loop(lambda s: True, lambda s: np.append(s, 1.0), x, 3))(np.ones(2))


# --- cond and switch ------------------------------------------------------------------------------


def branched(x):
    return arc.cond(x > 1, lambda: np.log(x) * x, lambda: 3.0 * x)


@pytest.mark.parametrize("x", [2.0, 0.5, -1.0])
def test_cond_takes_one_branch_in_every_order(x):
    def python(x):
        return np.log(x) * x if x > 1 else 3.0 * x

    assert branched(x) == python(x)
    assert arc.compile(branched)(x) == python(x)
    expected = (math.log(x) + 1, 1 / x) if x > 1 else (3.0, 0.0)
    assert arc.grad(branched)(x) == pytest.approx(expected[0], rel=1e-14)
    assert arc.hess(branched)(x) == pytest.approx(expected[1], rel=1e-14)
    assert arc.jvp(branched)(x, 2.0) == pytest.approx(2 * expected[0], rel=1e-14)


def test_cond_with_nan_and_numbers_for_a_truth_value():
    f = arc.compile(lambda p: arc.cond(p, lambda: 1.0, lambda: 2.0))
    assert [f(p) for p in (0.3, 0.0, -2.0, math.nan)] == [1.0, 2.0, 1.0, 1.0]


def test_cond_operands_trees_and_dtypes():
    def f(p, x):
        return arc.cond(p > 0, lambda t, s: {"y": t["x"] * 2, "n": s}, lambda t, s: {"y": t["x"] ** 2, "n": s}, x, "s")

    result = arc.compile(f)(1.0, {"x": np.arange(3)})
    assert result["n"] == "s"
    np.testing.assert_array_equal(result["y"], [0, 2, 4])
    assert result["y"].dtype == np.arange(3).dtype


def test_the_branch_not_taken_is_not_evaluated():
    calls = []

    def expensive(x):
        calls.append(1)
        return arc.scan(lambda c, u: (np.sin(c + u), None), x, np.zeros(20_000))[0]

    f = arc.compile(lambda x: arc.cond(x > 0, expensive, lambda x: x, x))
    f(-1.0)
    import timeit

    taken = min(timeit.repeat(lambda: f(1.0), number=1, repeat=3))
    not_taken = min(timeit.repeat(lambda: f(-1.0), number=1, repeat=3))
    assert not_taken < taken / 10
    assert len(calls) == 1


@pytest.mark.parametrize(("k", "expected"), [(-4, 0), (0, 0), (1, 1), (2, 2), (9, 2)])
def test_switch_clamps_a_traced_index(k, expected):
    branches = [np.sin, np.cos, lambda x: x**3]
    slopes = [math.cos(0.5), -math.sin(0.5), 0.75]
    slope = arc.grad(lambda k, x: arc.switch(k, branches, x), argnums=1)(k, 0.5)
    assert slope == pytest.approx(slopes[expected], rel=1e-14)


def test_switch_with_a_plain_index():
    assert arc.grad(lambda x: arc.switch(1, [np.sin, np.cos], x))(0.0) == 0.0
    for k in (-1, 2):
        with pytest.raises(IndexError, match=f"index {k} is out of range; one from 0 to 1"):
            arc.switch(k, [np.sin, np.cos], 0.0)


@pytest.mark.parametrize(
    ("t", "f", "message"),
    [
        (lambda: (1.0, 2.0), lambda: 1.0, "same structure"),
        (lambda: {"a": 1.0}, lambda: {"b": 1.0}, r"f returns \{'b': \*\} and t \{'a': \*\}"),
        (lambda: {"a": 1.0, "b": 2.0}, lambda: {"b": 1.0, "a": 2.0}, "keys in one order, but f and t"),
        (lambda: np.ones(2), lambda: 1.0, r"f returns shape \(\) and t shape \(2,\)"),
    ],
)
def test_branches_that_differ(t, f, message):
    with pytest.raises(ValueError, match=message):
        arc.compile(lambda x: arc.cond(x > 0, t, f))(1.0)


def test_bad_choices():
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        arc.cond(np.ones(2), lambda: 1, lambda: 2)
    with pytest.raises(TypeError, match="must be a function"):
        arc.cond(True, 1, 2)
    with pytest.raises(ValueError, match="at least one"):
        arc.switch(0, [])
    with pytest.raises(TypeError, match="integer"):
        arc.compile(lambda k: arc.switch(k, [np.sin, np.cos], 1.0))(0.5)


def test_failing_solve_in_the_branch_not_taken():
    def f(A):
        return arc.cond(A[0, 0] > 0, lambda: np.sum(np.linalg.solve(A, np.ones(2))), lambda: np.sum(A))

    assert arc.compile(f)(np.zeros((2, 2))) == 0.0
    assert arc.compile(f)(np.eye(2)) == 2.0


# --- together -------------------------------------------------------------------------------------


def test_gradient_through_scan_through_cond():
    def step(loop):
        def body(c, x):
            if loop:
                c = arc.cond(c > 0.5, lambda: np.sin(c * x), lambda: c + x**2)
            else:
                c = np.sin(c * x) if c > 0.5 else c + x**2
            return c, c

        return body

    xs = RNG.uniform(0.2, 0.9, 30)

    def structured(c, xs):
        last, ys = arc.scan(step(True), c, xs)
        return last + np.sum(ys)

    def python(c, xs):
        total = 0.0
        for x in xs:
            c, y = step(False)(c, x)
            total = total + y
        return c + total

    for argnum in (0, 1):
        np.testing.assert_allclose(
            arc.grad(structured, argnum)(0.3, xs), arc.grad(python, argnum)(0.3, xs), rtol=1e-11, atol=1e-13
        )
    np.testing.assert_allclose(arc.hess(structured, 1)(0.3, xs), arc.hess(python, 1)(0.3, xs), rtol=1e-9, atol=1e-11)


def test_scan_of_maps_of_gradients():
    X = RNG.normal(size=(4, 3))

    def descend(rate):
        def loss(w, x):
            return np.sum(np.cos(w * x))

        def step(w, _):
            return w - rate * np.sum(arc.vmap(arc.grad(loss), (None, 0))(w, X), axis=0), None

        return np.sum(arc.scan(step, np.ones(3), None, length=8)[0] ** 2)

    def by_hand(rate):
        w = np.ones(3)
        for _ in range(8):
            w = w + rate * np.sum(np.sin(w * X) * X, axis=0)
        return np.sum(w**2)

    assert descend(0.1) == pytest.approx(by_hand(0.1), rel=1e-12)
    assert arc.grad(descend)(0.1) == pytest.approx(float(arc.grad(by_hand)(0.1)), rel=1e-10)


def test_loops_inside_gradients_inside_loops():
    def inner(x):
        return arc.fori_loop(0, 3, lambda i, s: np.sin(s) * x, x)

    def outer(x):
        return arc.fori_loop(0, 2, lambda i, s: arc.grad(inner)(s) + x, x)

    def python(x):
        def inner(x):
            s = x
            for _ in range(3):
                s = np.sin(s) * x
            return s

        s = x
        for _ in range(2):
            s = arc.grad(inner)(s) + x
        return s

    assert arc.grad(outer)(0.6) == pytest.approx(float(arc.grad(python)(0.6)), rel=1e-11)


def test_state_is_restored_when_a_body_raises():
    def f(x):
        y = x * 2

        def body(i, s):
            raise RuntimeError("in the body")

        with contextlib.suppress(RuntimeError):
            arc.fori_loop(0, 3, body, y)
        return y * x

    assert arc.grad(f)(3.0) == 12.0


def doubled_in_place(state, *_):
    state *= 2.0
    return state


def with_rule(function):
    f = arc.custom_jvp(function)
    f.defjvp(lambda primals, tangents: (2 * primals[0], 2 * tangents[0]))
    return f


def with_backward_rule(function):
    f = arc.custom_vjp(function)
    f.defvjp(lambda x: (2 * x, None), lambda _, cotangent: (2 * cotangent,))
    return f


IN_PLACE = {
    "scan": lambda x: (arc.scan(lambda c, u: (doubled_in_place(c), c), x, np.ones(3)), x),
    "scan, its items": lambda x: (arc.scan(lambda c, u: (c + np.sum(doubled_in_place(u)), None), 0.0, x), x),
    "fori_loop": lambda x: (arc.fori_loop(0, 3, lambda i, s: doubled_in_place(s), x), x),
    "while_loop": lambda x: (arc.while_loop(lambda s: s[0, 0] < 9.0, doubled_in_place, x, 9), x),
    "cond": lambda x: (arc.cond(True, doubled_in_place, np.sin, x), x),
    "switch": lambda x: (arc.switch(1, [np.sin, doubled_in_place], x), x),
    "custom_jvp": lambda x: (with_rule(doubled_in_place)(x), x),
    "custom_jvp, its result": lambda x: (doubled_in_place(with_rule(lambda x: x)(x)), x),
    "custom_vjp": lambda x: (with_backward_rule(doubled_in_place)(x), x),
    "callback": lambda x: (arc.callback(doubled_in_place, np.zeros((2, 2)), x), x),
    "callback, its result": lambda x: (doubled_in_place(arc.callback(lambda x: x, np.zeros((2, 2)), x)), x),
}


@pytest.mark.parametrize("form", IN_PLACE)
def test_writes_within_a_loop_or_choice_stay_there_inside_of_a_trace_and_outside(form):
    outside, inside = (f(np.array([[1.0, 2.0], [3.0, 4.0]])) for f in (IN_PLACE[form], arc.compile(IN_PLACE[form])))
    np.testing.assert_array_equal(outside[1], [[1.0, 2.0], [3.0, 4.0]])
    for one, other in zip(outside[0], inside[0], strict=True):
        np.testing.assert_equal(one, other)
    np.testing.assert_array_equal(inside[1], outside[1])


def swapped(state):
    first, second = state.values()
    return {"b": 2 * first, "a": second + 1}


REORDERED = {
    "scan": lambda x: arc.scan(lambda c, _: (swapped(c), None), {"a": x, "b": 3.0}, None, length=3)[0],
    "fori_loop": lambda x: arc.fori_loop(0, 3, lambda i, c: swapped(c), {"a": x, "b": 3.0}),
    "while_loop": lambda x: arc.while_loop(lambda c: c["a"] < 5.0, swapped, {"a": x, "b": 3.0}, 9),
}


@pytest.mark.parametrize("form", REORDERED)
def test_a_carry_keeps_the_order_of_its_keys_inside_of_a_trace_and_outside(form):
    outside, inside = REORDERED[form](1.0), arc.compile(REORDERED[form])(1.0)
    assert [*outside.items()] == [*inside.items()]
    assert [*inside] == ["a", "b"]


def test_a_switch_of_one_branch():
    slope = arc.grad(lambda x, i: arc.switch(i, [np.sin], x))
    assert slope(1.0, 0) == slope(1.0, 5) == np.cos(1.0)


def test_branches_may_give_arrays_of_no_entries():
    others = np.arange(4.0)
    f = arc.compile(lambda x, flag: arc.cond(flag, lambda x: np.vander(x, 0), lambda x: np.vander(others, 0), x))
    for flag in (True, False):
        assert f(np.arange(4.0), flag).shape == (4, 0)
