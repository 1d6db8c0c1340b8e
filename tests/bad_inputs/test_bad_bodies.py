"""Bad inputs of what is used inside traced functions: loops, choices, callbacks, solvers."""

import math

import numpy as np
import pytest
import scipy.sparse
from rows import Row, X, check, shown

import archimedes_grad as arc

NOT_CALLED = "Pass the function itself, not what it returns"
STRUCTURED = "Use np.where"
LINE = shown("test_bad_bodies")
TIMES = [0.0, 1.0]
EYE = scipy.sparse.csc_array(np.eye(3))


def no_function(call, who, came):
    return Row(call, TypeError, who, came, "must be a function", NOT_CALLED)


def of_grad(function, at=1.0):
    return lambda: arc.grad(function)(at)


def kept(x, c):
    return c, x


def decides(x):
    return x if x > 0 else -x


def line(function, came, expected, way_on, at=1.0, transform=arc.grad, kind=arc.TraceError):
    """Return the row of a line inside a traced function."""
    return Row(lambda: transform(function)(at), kind, LINE, came, expected, way_on)


ROWS = {
    # --- scan
    "scan: no function": no_function(lambda: arc.scan(3, 0.0, X), "scan: f", "got int 3"),
    "scan: no pair": Row(
        lambda: arc.scan(lambda c, x: c, 0.0, X), TypeError, "scan: f", "got float 0.0", "must return (carry, y)",
        "(carry, None)",
    ),
    "scan, traced: no pair": Row(
        of_grad(lambda a: arc.scan(lambda c, x: c, a, X)[0]), TypeError, "scan: f", "got an array of shape ()",
        "must return (carry, y)", "(carry, None)",
    ),
    "scan: another shape": Row(
        lambda: arc.scan(lambda c, x: (X, x), 0.0, X), ValueError, "scan: the carry", "became shape (3,)",
        "must keep its shape; it had shape ()", "Start with an array",
    ),
    "scan, traced: another shape": Row(
        of_grad(lambda a: arc.scan(lambda c, x: (X * c, x), a, X)[0]), ValueError, "scan: the carry",
        "became shape (3,)", "it had shape ()", "Start with an array",
    ),
    "scan: another structure": Row(
        lambda: arc.scan(lambda c, x: ((c, c), x), 0.0, X), ValueError, "scan: the carry", "became (*, *)",
        "must keep its structure", "Return it as it came",
    ),
    "scan: lengths": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, (X, X[:2])), ValueError, "scan: all xs", "shapes (3,), (2,)",
        "the same length", "Cut them",
    ),
    "scan: a number as xs": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, 1.0), ValueError, "scan: xs", "got a number among shape ()",
        "must have a first axis", "Let f close over",
    ),
    "scan: no xs": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, None), ValueError, "scan: xs", "None and length is None",
        "arrays to run over", "or length=n",
    ),
    "scan: text as xs": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, "abc"), ValueError, "scan: xs", "'abc'", "arrays to run over",
        "or length=n",
    ),
    "scan: length of xs": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, X, length=5), ValueError, "scan: all xs", "length=5",
        "the same length", "Cut them",
    ),
    "scan: length negative": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, None, length=-1), ValueError, "scan: length", "got -1",
        "an integer from 0 on", "Leave it out",
    ),
    "scan: length a float": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, None, length=2.0), TypeError, "scan: length", "got float 2.0",
        "an integer from 0 on", "Leave it out",
    ),
    "scan: checkpoint 0": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, X, checkpoint=0), ValueError, "scan: checkpoint", "got 0",
        "an integer from 1 on", "True chooses blocks",
    ),
    "scan: checkpoint a word": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, X, checkpoint="x"), TypeError, "scan: checkpoint", "got str 'x'",
        "an integer from 1", "True chooses",
    ),
    "scan: init an object": Row(
        lambda: arc.scan(lambda c, x: (c, x), object(), X), TypeError, "scan: init", "holds a object", "are expected",
        "Take the numbers out",
    ),
    "scan: y an object": Row(
        lambda: arc.scan(lambda c, x: (c, object()), 0.0, X), TypeError, "scan: y", "holds a object", "are expected",
        "Take the numbers out",
    ),
    "scan: no step": Row(
        lambda: arc.scan(lambda c, x: (c, x), 0.0, X[:0]), ValueError, "scan: xs", "have length 0",
        "at least one step was expected", "inside arc.compile",
    ),
    "scan: a decision": line(
        lambda a: arc.scan(lambda c, x: (decides(c), x), a, X)[0], "decides a branch", "no actual value", STRUCTURED,
    ),
    # --- choices
    "cond: no function": no_function(lambda: arc.cond(True, 1, 2), "cond: t", "got int 1"),
    "cond: no second function": no_function(lambda: arc.cond(True, np.sin, None, 1.0), "cond: f", "got NoneType None"),
    "cond: a vector": Row(
        lambda: arc.cond(X > 0, np.sin, np.cos, X), ValueError, "cond: pred", "got shape (3,)", "one truth value",
        "np.any or np.all",
    ),
    "cond: a word": Row(
        lambda: arc.cond("yes", np.sin, np.cos, 1.0), TypeError, "cond: pred", "got str 'yes'", "one truth value",
        "Compare it",
    ),
    "cond: None": Row(
        lambda: arc.cond(None, np.sin, np.cos, 1.0), TypeError, "cond: pred", "got NoneType None", "one truth value",
        "Compare it",
    ),
    "cond: structures": Row(
        of_grad(lambda x: arc.cond(x > 0, lambda: (x, x), lambda: x)), ValueError, "cond: the branches",
        "f returns one array and t (*, *)", "the same structure", "Fill up",
    ),
    "cond: shapes": Row(
        of_grad(lambda x: arc.cond(x[0] > 0, lambda: x, lambda: x[:1]), X), ValueError, "cond: the branches",
        "f returns shape (1,)", "the same shapes", "np.broadcast_to",
    ),
    "switch: no branches": Row(
        lambda: arc.switch(0, []), ValueError, "switch: branches", "is empty", "at least one function",
        "Give one for each",
    ),
    "switch: no function": no_function(lambda: arc.switch(0, [1]), "switch: branches[0]", "got int 1"),
    "switch: no list": Row(
        lambda: arc.switch(0, np.sin), TypeError, "switch: branches", "got ufunc", "a list of functions",
        "Write [f, g]",
    ),
    "switch: out of range": Row(
        lambda: arc.switch(5, [np.sin, np.cos], 1.0), IndexError, "switch: index 5", "is out of range",
        "one from 0 to 1 was expected", "np.clip",
    ),
    "switch: a float": Row(
        lambda: arc.switch(1.0, [np.sin], 1.0), TypeError, "switch: the index", "got float 1.0", "an integer",
        "Round it",
    ),
    "switch: a traced float": Row(
        of_grad(lambda x: arc.switch(x, [np.sin], x)), TypeError, "switch: the index", "got dtype float64",
        "must be an integer", "i.astype(int)",
    ),
    "switch: a word": Row(
        lambda: arc.switch("a", [np.sin], 1.0), TypeError, "switch: the index", "got str 'a'", "an integer", "int()",
    ),
    "switch: a vector": Row(
        lambda: arc.switch(np.array([0, 1]), [np.sin], 1.0), ValueError, "switch: the index", "got shape (2,)",
        "one integer", "np.choose",
    ),
    # --- loops
    "while_loop: no function": no_function(lambda: arc.while_loop(1, 2, 3, 4), "while_loop: cond", "got int 1"),
    "while_loop: max_steps 0": Row(
        lambda: arc.while_loop(bool, abs, 0.0, 0), ValueError, "while_loop: max_steps", "got 0",
        "an integer from 1 on", "Give the most steps",
    ),
    "while_loop: max_steps None": Row(
        lambda: arc.while_loop(bool, abs, 0.0, None), TypeError, "while_loop: max_steps", "got NoneType",
        "an integer from 1 on", "Give the most",
    ),
    "while_loop: max_steps traced": Row(
        of_grad(lambda x: arc.while_loop(bool, abs, x, x)), arc.TraceError, "while_loop: max_steps",
        "got SymbolicArray", "an integer from 1 on", "as a plain number",
    ),
    "while_loop: cond a vector": Row(
        lambda: arc.while_loop(lambda s: s > 0, abs, X, 3), ValueError, "while_loop: cond", "got shape (3,)",
        "one truth value", "np.any or np.all",
    ),
    "while_loop, traced: cond None": Row(
        of_grad(lambda x: arc.while_loop(lambda s: None, lambda s: s, x, 3)), ValueError, "while_loop: cond",
        "got no array but None", "one truth value", "np.any",
    ),
    "while_loop: another shape": Row(
        lambda: arc.while_loop(lambda s: True, lambda s: X, 0.0, 3), ValueError, "while_loop: the carry",
        "became shape (3,)", "it had shape ()", "Start with",
    ),
    "fori_loop: no function": no_function(lambda: arc.fori_loop(0, 3, 3, 0.0), "fori_loop: body", "got int 3"),
    "fori_loop: traced": line(
        lambda x: arc.fori_loop(0, x, lambda i, s: s, x), "fori_loop: hi is a traced value",
        "a plain integer was expected", "Use arc.while_loop",
    ),
    "fori_loop: a float": Row(
        lambda: arc.fori_loop(0, 2.5, lambda i, s: s, 0.0), TypeError, "fori_loop: hi", "got float 2.5",
        "must be an integer", "int()",
    ),
    "fori_loop: a word": Row(
        lambda: arc.fori_loop("a", 2, lambda i, s: s, 0.0), TypeError, "fori_loop: lo", "got str 'a'",
        "must be an integer", "int()",
    ),
    "fori_loop: nothing returned": Row(
        lambda: arc.fori_loop(0, 2, lambda i, s: None, 0.0), ValueError, "fori_loop: the carry",
        "became no array but None", "must keep its structure", "Return it as it came",
    ),
    # --- callbacks
    "callback: no function": no_function(lambda: arc.callback(3, 0.0, 1.0), "callback: func", "got int 3"),
    "callback: derivative": Row(
        lambda: arc.callback(math.erf, 0.0, 1.0, derivative="ad"), ValueError, "callback of erf",
        "unknown derivative 'ad'", "valid: 'adaptive'", "Leave it out",
    ),
    "callback: shape": Row(
        lambda: arc.callback(lambda x: X, 0.0, 1.0), ValueError, "callback of <lambda>: the function",
        "returned shape (3,)", "has shape (); the same was", "Make result_like",
    ),
    "callback: a word": Row(
        lambda: arc.callback(str, 0.0, 1.0), TypeError, "callback of str: the function", "returned dtype <U3",
        "real numbers are expected", "Convert the result",
    ),
    "callback: nothing": Row(
        of_grad(lambda x: arc.callback(lambda x: None, 0.0, x)), TypeError, "callback of <lambda>: the function",
        "returned dtype object", "real numbers", "Convert",
    ),
    "callback: result_like None": Row(
        lambda: arc.callback(math.erf, None, 1.0), TypeError, "callback of erf: result_like", "got NoneType None",
        "an array or a number", "Write 0.0",
    ),
    "callback: result_like a word": Row(
        lambda: arc.callback(math.erf, "x", 1.0), TypeError, "callback of erf: result_like", "got str 'x'",
        "an array or a number", "Write 0.0",
    ),
    "callback: an object": Row(
        of_grad(lambda x: arc.callback(kept, 0.0, x, object())), TypeError, "callback of kept: argument 1",
        "is a object", "real numbers were expected", "close over",
    ),
    "callback: a tree": Row(
        of_grad(lambda x: arc.callback(kept, 0.0, x, {"a": 1.0})), TypeError, "callback of kept: argument 1",
        "is a dict", "real numbers were expected", "close over",
    ),
    "callback: cotangents": Row(
        of_grad(lambda x: arc.callback(math.erf, 0.0, x, derivative=lambda x, w: (w, w))), ValueError,
        "callback of erf: the derivative", "shapes [(), ()]", "the arguments have [()]", "one for each argument",
    ),
    "callback: a cotangent None": Row(
        of_grad(lambda x: arc.callback(math.erf, 0.0, x, derivative=lambda x, w: None)), TypeError,
        "callback of erf: the derivative", "a NoneType as cotangent 0", "real numbers are expected", "Return zeros",
    ),
    "callback: a cotangent a word": Row(
        of_grad(lambda x: arc.callback(math.erf, 0.0, x, derivative=lambda *_: "a")), TypeError,
        "callback of erf: the derivative", "a str as cotangent 0", "real numbers are", "Return zeros",
    ),
    # --- solvers
    "implicit_root: no function": no_function(lambda: arc.implicit_root(3, 1.0), "implicit_root: f", "got int 3"),
    "implicit_root: x0": Row(
        lambda: arc.implicit_root(abs, "a"), TypeError, "implicit_root: x0", "got str", "an array of real numbers",
        "np.concatenate",
    ),
    "implicit_root: a tree": Row(
        lambda: arc.implicit_root(abs, {"a": 1.0}), TypeError, "implicit_root: x0", "got dict",
        "an array of real numbers", "np.concatenate",
    ),
    "implicit_root: equations": Row(
        lambda: arc.implicit_root(lambda x: x * X, 1.0), ValueError, "implicit_root: <lambda>", "got shape (3,)",
        "as many entries as x has, 1", "Solve for as many",
    ),
    "implicit_root: tol negative": Row(
        lambda: arc.implicit_root(abs, 1.0, tol=-1), ValueError, "implicit_root: tol", "got -1",
        "a positive finite number", "Leave it out",
    ),
    "implicit_root: tol a word": Row(
        lambda: arc.implicit_root(abs, 1.0, tol="a"), TypeError, "implicit_root: tol", "got str 'a'",
        "a positive number", "Leave it out",
    ),
    "implicit_root: max_steps": Row(
        lambda: arc.implicit_root(abs, 1.0, max_steps=0), ValueError, "implicit_root: max_steps", "got 0",
        "an integer from 1 on", "Leave it out",
    ),
    "odeint: no function": no_function(lambda: arc.odeint(3, 1.0, TIMES), "odeint: f", "got int 3"),
    "odeint: x0": Row(
        lambda: arc.odeint(kept, None, TIMES), TypeError, "odeint: x0", "got NoneType", "an array of real numbers",
        "np.concatenate",
    ),
    "odeint: times backwards": Row(
        lambda: arc.odeint(kept, 1.0, [1.0, 0.0]), ValueError, "odeint: t", "got [1. 0.]", "an increasing vector",
        "integrate -f",
    ),
    "odeint: one time": Row(
        lambda: arc.odeint(kept, 1.0, 1.0), ValueError, "odeint: t", "got 1.", "an increasing vector", "integrate -f",
    ),
    "odeint: times nan": Row(
        lambda: arc.odeint(kept, 1.0, [0.0, np.nan]), ValueError, "odeint: t", "nan", "finite numbers", "integrate -f",
    ),
    "odeint: times text": Row(
        lambda: arc.odeint(kept, 1.0, ["a"]), TypeError, "odeint: t", "got list ['a']", "an increasing vector",
        "np.linspace",
    ),
    "odeint: times traced": line(
        lambda e: arc.odeint(lambda x, t: -x, 1.0, np.array([0.0, e]))[-1], "odeint: t is a traced value",
        "plain numbers were expected", "Scale the equation",
    ),
    "odeint: shape": Row(
        lambda: arc.odeint(lambda x, t: X, 1.0, TIMES), ValueError, "odeint: <lambda>", "got shape (3,)",
        "the shape of x, ()", "It gives dx/dt",
    ),
    "odeint: rtol": Row(
        lambda: arc.odeint(kept, 1.0, TIMES, rtol=-1.0), ValueError, "odeint: rtol", "got -1.0",
        "a positive finite number", "Leave it out",
    ),
    "odeint: max_step": Row(
        lambda: arc.odeint(kept, 1.0, TIMES, max_step=0.0), ValueError, "odeint: max_step", "got 0.0",
        "a positive finite number", "Leave it out",
    ),
    "odeint: atol a word": Row(
        lambda: arc.odeint(kept, 1.0, TIMES, atol="s"), TypeError, "odeint: atol", "got str 's'", "a positive number",
        "Leave it out",
    ),
    "linear_solve: not square": Row(
        lambda: arc.linear_solve(np.ones((2, 3)), X), ValueError, "linear_solve: A", "A of shape (2, 3)",
        "must be square", "np.linalg.lstsq",
    ),
    "linear_solve: b": Row(
        lambda: arc.linear_solve(np.eye(3), X[:2]), ValueError, "linear_solve: A", "b of (2,)", "as many rows",
        "np.linalg.lstsq",
    ),
    "linear_solve: a word": Row(
        lambda: arc.linear_solve("a", X), TypeError, "linear_solve: A", "got str", "an array of real numbers",
        "np.concatenate",
    ),
    "linear_solve, sparse: b": Row(
        of_grad(lambda b: np.sum(arc.linear_solve(EYE, b)), X[:2]), ValueError, "linear_solve: A", "b of (2,)",
        "as many rows", "np.linalg.lstsq",
    ),
    "linear_solve, sparse: singular": Row(
        lambda: arc.linear_solve(0 * EYE, X), np.linalg.LinAlgError, "linear_solve: A", "is singular",
        "a matrix of full rank", "np.linalg.lstsq",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_loops_choices_callbacks_and_solvers(case):
    check(ROWS[case])
