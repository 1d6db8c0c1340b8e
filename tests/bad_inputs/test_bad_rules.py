"""Bad derivative rules of ``custom_jvp`` and ``custom_vjp``."""

import numpy as np
import pytest
from rows import Row, X, check, f, shown

import archimedes_grad as arc

LINE = shown("test_bad_rules")


def of_grad(function, at=1.0):
    return lambda: arc.grad(function)(at)


def with_rule(rule, function=lambda x: np.sin(x)):
    """Return a function with a rule for its directional derivative."""
    custom = arc.custom_jvp(function)
    custom.defjvp(rule)
    return custom


def with_backward(forward, backward):
    """Return a function with a rule for its reverse derivative."""
    custom = arc.custom_vjp(lambda x: np.sin(x))
    custom.defvjp(forward, backward)
    return custom


def keyword_only(x, *, k):
    return x * k


def line(function, came, expected, way_on, at=1.0, transform=arc.grad, kind=arc.TraceError):
    """Return the row of a line inside a traced function."""
    return Row(lambda: transform(function)(at), kind, LINE, came, expected, way_on)


ROWS = {
    "custom_jvp: no rule": line(
        arc.custom_jvp(f), "custom_jvp 'f' has no rule yet", "one was expected", "f.defjvp(rule)",
    ),
    "custom_vjp: no rule": line(
        arc.custom_vjp(f), "custom_vjp 'f' has no rule yet", "one was expected", "f.defvjp(forward",
    ),
    "defjvp: no pair": Row(
        of_grad(with_rule(lambda p, t: p[0])), ValueError, "rule '<lambda>' of '<lambda>'",
        "got an array of shape ()", "(output, output tangent)", "Return both",
    ),
    "defjvp: nothing": Row(
        of_grad(with_rule(lambda p, t: None)), ValueError, "rule '<lambda>' of '<lambda>'", "got a NoneType",
        "(output, output tangent)", "Return both",
    ),
    "defjvp: tangent": Row(
        lambda: arc.jac(with_rule(lambda p, t: (p[0], t[0][:1])))(X), ValueError, "an output tangent",
        "with shape (1,)", "shapes [(3,)]", "Broadcast or reduce",
    ),
    "defjvp: output": Row(
        lambda: arc.jac(with_rule(lambda p, t: (p[0][:1], t[0])))(X), ValueError, "an output must be",
        "with shape (1,)", "shapes [(3,)]", "Broadcast or reduce",
    ),
    "defjvp: keyword": Row(
        of_grad(lambda x: with_rule(lambda p, t: (p[0], t[0]), keyword_only)(x, k=2.0)), TypeError,
        "custom_jvp 'keyword_only'", "got the keyword-only k", "positional arguments were expected", "Close over it",
    ),
    "defjvp: an object": Row(
        of_grad(lambda x: with_rule(lambda p, t: p, lambda y, o: y)(x, object())), TypeError,
        "custom_jvp '<lambda>': argument 1", "holds a object", "are expected", "Take the numbers",
    ),
    "defjvp: closure": line(
        lambda x: with_rule(lambda p, t: (p[0], t[0]), lambda y: y * x)(x), "closes over a traced value",
        "Arguments alone were expected", "pass the value as an argument",
    ),
    "defvjp: no pair": Row(
        of_grad(with_backward(lambda x: x, lambda r, w: (w,))), ValueError, "rule '<lambda>' of '<lambda>'",
        "got an array of shape ()", "(output, residuals)", "(output, None)",
    ),
    "defvjp: no tuple": Row(
        of_grad(with_backward(lambda x: (x, None), lambda r, w: w)), ValueError, "rule '<lambda>' of",
        "got an array of shape ()", "a tuple of 1 cotangent", "Return None for",
    ),
    "defvjp: two for one": Row(
        of_grad(with_backward(lambda x: (x, None), lambda r, w: (w, w))), ValueError, "rule '<lambda>' of",
        "got a tuple of 2", "a tuple of 1 cotangent", "Return None for",
    ),
    "defvjp: shape": Row(
        of_grad(with_backward(lambda x: (x, None), lambda r, w: (X,))), ValueError, "the cotangent of argument 0",
        "got shape (3,)", "must have shape ()", "Sum over",
    ),
    "defvjp: a word": Row(
        of_grad(with_backward(lambda x: (x, None), lambda r, w: ("a",))), ValueError, "the cotangent of argument 0",
        "got a str", "must have shape ()", "return None for zero",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_rules(case):
    check(ROWS[case])
