"""stop_gradient, custom_jvp and custom_vjp: the rule counts in every transformation, order and structured form."""

import pickle

import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad import TraceError

X = np.array([0.3, -1.2, 2.5])


# --- stop_gradient ----------------------------------------------------------------------------------


def half_stopped(x):
    return np.sin(x) * arc.stop_gradient(x**2)


def test_stopped_values_are_exact():
    special = np.array([-0.0, np.inf, np.nan, 1e-310])
    np.testing.assert_array_equal(arc.compile(arc.stop_gradient)(special), special)
    assert np.signbit(arc.compile(arc.stop_gradient)(special)[0])
    assert arc.stop_gradient({"a": 1.0, "b": None}) == {"a": 1.0, "b": None}


@pytest.mark.parametrize("x", [0.7, X])
def test_stopped_derivatives(x):
    x = np.asarray(x)[()]

    def total(x):
        return np.sum(half_stopped(x))

    np.testing.assert_allclose(arc.grad(total)(x), np.cos(x) * x**2, rtol=1e-14)
    np.testing.assert_allclose(arc.jvp(half_stopped)(x, x), np.cos(x) * x**3, rtol=1e-14)
    # The Hessian of what is constant in every derivative: only the sine is differentiated, twice.
    expected = -np.sin(x) * x**2
    np.testing.assert_allclose(arc.hess(total)(x), np.diag(expected) if np.ndim(x) else expected, rtol=1e-13)


@pytest.mark.parametrize("function", [
    lambda x: np.sum(x**2 + arc.stop_gradient(np.sqrt(x))),
    lambda x: np.sum(np.exp(x) * arc.stop_gradient(x**0.9)),
    lambda x: arc.scan(lambda c, e: (c * arc.stop_gradient(np.sqrt(e)) + e**2, None), 1.0, x)[0],
    lambda x: np.sum(arc.vmap(lambda e: e * arc.stop_gradient(np.sqrt(e)) + e**3)(x)),
    lambda x: np.sum(arc.grad(lambda y: np.sum(y**3 * arc.stop_gradient(np.sqrt(x) * y)))(x)),
    lambda x: np.sum(arc.stop_gradient(np.sqrt(x))),
])  # fmt: skip
def test_what_is_stopped_may_be_singular(function):
    # At 0 as near by, where nothing is singular.
    at, near = np.array([0.0, 1.0]), np.array([1e-14, 1.0])
    def slope_of_a_tangent(function):
        return arc.grad(lambda x: arc.jvp(function)(x, np.array([0.7, -0.4])))

    for derivative in (arc.grad, arc.jac, arc.hess, slope_of_a_tangent):
        result, expected = derivative(function)(at), derivative(function)(near)
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6 if derivative is not arc.hess else 1e-5)


def test_stopped_under_map_and_loop():
    np.testing.assert_allclose(
        arc.grad(lambda x: np.sum(arc.vmap(half_stopped)(x)))(X), np.cos(X) * X**2, rtol=1e-14
    )
    looped = arc.grad(lambda x: arc.fori_loop(0, 3, lambda i, s: s * arc.stop_gradient(s), x))
    assert looped(1.5) == pytest.approx(1.5**7)
    stopped = arc.grad(lambda x: arc.cond(x > 0, lambda: x * arc.stop_gradient(x), lambda: x))
    assert stopped(3.0) == 3.0


def test_stopped_in_a_large_array_graph():
    x = np.linspace(0, 1, 600)
    gradient = arc.grad(lambda x: np.sum(np.outer(x, arc.stop_gradient(x)) @ x))(x)
    np.testing.assert_allclose(gradient, np.sum(x**2) + np.sum(x) * x, rtol=1e-10)


def test_stopped_trees():
    gradient = arc.grad(lambda t: t["a"] * arc.stop_gradient(t)["a"])({"a": 3.0})
    assert gradient == {"a": 3.0}


# --- custom_jvp -------------------------------------------------------------------------------------


@arc.custom_jvp
def tripled_slope(x):
    return np.sin(x)


@tripled_slope.defjvp
def _tripled_rule(primals, tangents):
    (x,), (dx,) = primals, tangents
    return tripled_slope(x), 3 * np.cos(x) * dx


def test_plain_calls_are_the_function_itself():
    assert tripled_slope(0.5) == np.sin(0.5)
    assert tripled_slope.__name__ == "tripled_slope"


@pytest.mark.parametrize("x", [0.4, X])
def test_jvp_rule_in_every_transformation(x):
    x = np.asarray(x)[()]
    diag = np.diag if np.ndim(x) else float
    np.testing.assert_allclose(arc.compile(tripled_slope)(x), np.sin(x), rtol=1e-15)
    np.testing.assert_allclose(arc.grad(lambda x: np.sum(tripled_slope(x)))(x), 3 * np.cos(x), rtol=1e-14)
    np.testing.assert_allclose(arc.jac(tripled_slope)(x), diag(3 * np.cos(x)), rtol=1e-14)
    np.testing.assert_allclose(arc.jvp(tripled_slope)(x, x), 3 * np.cos(x) * x, rtol=1e-14)
    np.testing.assert_allclose(arc.vjp(tripled_slope)(x, x), 3 * np.cos(x) * x, rtol=1e-14)
    # Second order by the rule's own graph: the derivative of 3 cos.
    np.testing.assert_allclose(arc.hess(lambda x: np.sum(tripled_slope(x)))(x), diag(-3 * np.sin(x)), rtol=1e-13)


def test_a_rule_that_calls_its_own_function_counts_in_higher_orders():
    @arc.custom_jvp
    def doubled_exp(x):
        return np.exp(x)

    @doubled_exp.defjvp
    def rule(primals, tangents):
        y = doubled_exp(primals[0])
        return y, 2 * y * tangents[0]

    derivative = doubled_exp
    for order in range(1, 4):
        derivative = arc.grad(derivative)
        assert derivative(0.0) == pytest.approx(2.0**order)


def test_jvp_rule_under_map_loop_condition_and_gradient():
    np.testing.assert_allclose(arc.vmap(arc.grad(tripled_slope))(X), 3 * np.cos(X), rtol=1e-14)
    np.testing.assert_allclose(arc.jac(arc.vmap(tripled_slope))(X), np.diag(3 * np.cos(X)), rtol=1e-14)
    chain = 27 * np.cos(0.5) * np.cos(np.sin(0.5)) * np.cos(np.sin(np.sin(0.5)))
    looped = arc.grad(lambda x: arc.fori_loop(0, 3, lambda i, s: tripled_slope(s), x))
    assert looped(0.5) == pytest.approx(chain, rel=1e-13)
    chosen = arc.grad(lambda x: arc.cond(x > 0, tripled_slope, lambda x: x, x))
    assert chosen(0.5) == pytest.approx(3 * np.cos(0.5), rel=1e-13)


def test_rules_with_trees_several_arguments_and_keywords():
    @arc.custom_jvp
    def f(p, x, scale=2.0):
        return {"y": p["w"] * x * scale}

    @f.defjvp
    def rule(primals, tangents):
        (p, x, scale), (dp, dx, _) = primals, tangents
        assert dp["name"] is None
        return f(p, x, scale), {"y": 10 * (dp["w"] * x + p["w"] * dx) * scale}

    p = {"w": np.array([1.0, 2.0]), "name": "n"}
    gp, gx = arc.grad(lambda p, x: np.sum(f(p, x=x)["y"]), (0, 1))(p, 3.0)
    np.testing.assert_allclose(gp["w"], [60.0, 60.0])
    assert gx == 60.0


def test_a_rule_of_wider_structure_than_the_function():
    """An elementwise function whose rule mixes entries: a Jacobian by the function's own colours would lose them."""
    A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])

    @arc.custom_jvp
    def f(x):
        return x**2

    f.defjvp(lambda primals, tangents: (f(*primals), A @ tangents[0]))
    np.testing.assert_allclose(arc.jac(f)(X), A, rtol=1e-14)
    np.testing.assert_allclose(arc.jac(arc.vmap(f))(np.stack([X, X]))[1, :, 1, :], A, rtol=1e-14)
    np.testing.assert_allclose(arc.jac(lambda x: f(np.sin(x)) + x)(X), A * np.cos(X) + np.eye(3), rtol=1e-14)


# --- custom_vjp -------------------------------------------------------------------------------------


@arc.custom_vjp
def rounded(x, scale):
    return np.round(x * scale)


rounded.defvjp(
    lambda x, scale: (np.round(x * scale), (x, scale)),
    lambda residuals, ct: (ct * residuals[1], np.sum(ct * residuals[0])),
)


def test_vjp_rule_in_every_transformation():
    gx, gs = arc.grad(lambda x, s: np.sum(rounded(x, s)), (0, 1))(X, 2.0)
    np.testing.assert_allclose(gx, np.full(3, 2.0))
    assert gs == pytest.approx(np.sum(X))
    np.testing.assert_allclose(arc.jac(rounded)(X, 2.0), 2 * np.eye(3))
    np.testing.assert_allclose(arc.jvp(rounded)(X, 2.0, X), 2 * X)
    np.testing.assert_allclose(arc.vmap(arc.grad(rounded), (0, None))(X, 3.0), np.full(3, 3.0))
    # Second order through the residuals: d2/dx ds of x * s.
    cross = arc.hess(lambda x, s: np.sum(rounded(x, s)), (0, 1))(X, 2.0)
    np.testing.assert_allclose(cross[0][1], np.ones(3))
    np.testing.assert_allclose(cross[1][0], np.ones(3))
    np.testing.assert_allclose(cross[0][0], np.zeros((3, 3)))


def test_an_identity_with_a_rule_keeps_it():
    @arc.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1, 1),))
    np.testing.assert_allclose(arc.grad(lambda x: np.sum(clipped(x) * X))(X), np.clip(X, -1, 1))
    assert arc.grad(lambda x: 5 * clipped(x))(2.0) == 1.0


def test_none_is_a_zero_cotangent():
    @arc.custom_vjp
    def f(x, y):
        return x * y

    f.defvjp(lambda x, y: (x * y, y), lambda y, ct: (ct * y, None))
    assert arc.grad(f, (0, 1))(2.0, 3.0) == (3.0, 0.0)
    assert arc.hess(f, 1)(2.0, 3.0) == 0.0
    assert arc.grad(lambda x: f(x, x))(2.0) == 2.0


def test_rules_take_captured_arrays_but_no_traced_values():
    table = np.arange(100.0)

    @arc.custom_vjp
    def f(x):
        return np.sum(table * x)

    f.defvjp(lambda x: (np.sum(table * x), None), lambda _, ct: (ct * np.sum(table),))
    assert arc.grad(f)(1.0) == np.sum(table)

    def outer(y):
        g = arc.custom_jvp(lambda x: x * y)
        g.defjvp(lambda primals, tangents: (primals[0] * y, tangents[0] * y))
        return g(2.0 * y)

    with pytest.raises(TraceError, match="closes over a traced value"):
        arc.grad(outer)(1.0)


def test_a_function_with_a_rule_that_can_fail():
    @arc.custom_vjp
    def solved(A):
        return np.linalg.solve(A, np.ones(2))

    solved.defvjp(lambda A: (solved(A), A), lambda A, ct: (np.outer(np.linalg.solve(A.T, ct), -np.ones(2)),))
    np.testing.assert_allclose(arc.compile(solved)(2 * np.eye(2)), [0.5, 0.5])
    with pytest.raises(np.linalg.LinAlgError):
        arc.compile(solved)(np.zeros((2, 2)))
    arc.grad(lambda A: np.sum(solved(A)))(np.eye(2))


def test_rules_and_mapped_functions_are_pickled():
    again = pickle.loads(pickle.dumps((tripled_slope, arc.grad(tripled_slope), arc.vmap(tripled_slope))))
    assert again[0] is tripled_slope
    assert again[1](0.5) == pytest.approx(3 * np.cos(0.5))
    np.testing.assert_allclose(again[2](X), np.sin(X))


def test_a_function_without_a_rule():
    with pytest.raises(TraceError, match="no rule yet"):
        arc.grad(arc.custom_vjp(np.sin))(1.0)


def _with_jvp(rule):
    f = arc.custom_jvp(lambda x: np.sin(x))
    f.defjvp(rule)
    return f


def _with_vjp(forward, backward):
    f = arc.custom_vjp(lambda x: np.sin(x))
    f.defvjp(forward, backward)
    return f


def wrong_rule(primals, tangents):
    return np.sin(primals[0]), np.ones(5)


def lone_rule(primals, tangents):
    return tangents[0]


def forward(x):
    return np.sin(x), x


def two_cotangents(residuals, ct):
    return ct, ct


def wrong_cotangent(residuals, ct):
    return (np.ones(4),)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (_with_jvp(wrong_rule), r"'wrong_rule'.*output tangent.*\(3,\).*got.*\(5,\)"),
        (_with_jvp(lone_rule), r"'lone_rule'.*expected \(output, output tangent\)"),
        (_with_vjp(forward, two_cotangents), r"'two_cotangents'.*tuple of 1 cotangent.*tuple of 2"),
        (_with_vjp(forward, wrong_cotangent), r"'wrong_cotangent'.*shape \(3,\), got shape \(4,\)"),
        (_with_vjp(np.cos, two_cotangents), r"'cos'.*expected \(output, residuals\)"),
    ],
)
def test_rules_that_return_the_wrong_thing(f, message):
    with pytest.raises(ValueError, match=message):
        arc.grad(lambda x: np.sum(f(x)))(X)


def scaled_by_rule(form):
    def scaled(x, n, flips=False):
        return -n * x if flips else n * x

    rule = getattr(arc, form)(scaled)
    if form == "custom_jvp":
        rule.defjvp(lambda primals, tangents: (scaled(*primals), scaled(tangents[0], *primals[1:])))
    else:
        rule.defvjp(lambda *args: (scaled(*args), args[1:]), lambda rest, c: (scaled(c, *rest), None, None))
    return rule


@pytest.mark.parametrize("form", ["custom_jvp", "custom_vjp"])
@pytest.mark.parametrize("flips", [True, False, np.True_])
def test_plain_truth_values_decide_in_rules(form, flips):
    rule = scaled_by_rule(form)
    slope = -3.0 if flips else 3.0
    for function in (lambda x: np.sum(rule(x, 3.0, flips)), lambda x: np.sum(rule(x, 3.0, flips=flips))):
        np.testing.assert_array_equal(arc.grad(function)(X), np.full(3, slope))
        np.testing.assert_array_equal(arc.jvp(function)(X, np.ones(3)), 3 * slope)
    assert arc.grad(rule)(2.0, 3.0, flips) == slope


@pytest.mark.parametrize("form", ["custom_jvp", "custom_vjp"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_python_numbers_take_on_the_dtype_of_arrays_in_rules(form, dtype):
    rule, x = scaled_by_rule(form), np.ones(3, dtype)
    for got in (rule(x, 3, False), arc.compile(lambda x: rule(x, 3, False))(x), arc.compile(rule)(x, 3, False)):
        np.testing.assert_array_equal(got, np.full(3, 3, dtype), strict=True)


def test_bad_types():
    with pytest.raises(TypeError, match="function"):
        arc.custom_jvp(3)
    with pytest.raises(TypeError, match="function"):
        arc.custom_jvp(np.sin).defjvp(None)
    with pytest.raises(TypeError, match="must be a function"):
        arc.custom_vjp(np.sin).defvjp(np.sin, None)


def test_writes_to_what_stop_gradient_gives_do_not_reach_its_argument():
    def function(x):
        y = arc.stop_gradient({"x": x, "plain": CONSTANT})
        y["x"] += 100.0
        y["plain"] += 100.0
        return np.sum(x**2) + np.sum(CONSTANT)

    x = np.array([1.0, 2.0])
    assert function(x) == arc.compile(function)(x) == 12.0
    np.testing.assert_array_equal(x, [1.0, 2.0])


CONSTANT = np.array([3.0, 4.0])
