"""Bad inputs of the kits, ``compare_methods`` and ``check_grads``."""

import numpy as np
import pytest
from rows import Row, X, check, f, two, vec

import archimedes_grad as arc
from archimedes_grad import CalculusKit, DerivativeKit

NOT_CALLED = "Pass the function itself, not what it returns"
TABLE = {"tab_x": [1, 2, 3, 4], "tab_y": [1, 4, 9, 16]}


def gradient(**options):
    return lambda: CalculusKit(f, X).gradient(**options)


def derivative(**options):
    return lambda: DerivativeKit(np.sin, 1.0).differentiate(**options)


def of_table(x, y, point=1.0):
    return lambda: DerivativeKit(None, point, tab_x=x, tab_y=y)


ROWS = {
    # --- CalculusKit
    "no function": Row(
        lambda: CalculusKit(3, X), TypeError, "CalculusKit: function", "got int 3", "must be a function", NOT_CALLED,
    ),
    "x0 empty": Row(
        lambda: CalculusKit(f, []), ValueError, "CalculusKit: x0", "is empty", "nothing to differentiate by",
        "Give at least one",
    ),
    "x0 a matrix": Row(
        lambda: CalculusKit(f, np.ones((2, 2))), ValueError, "CalculusKit: x0", "not of shape (2, 2)",
        "a number or a vector", "Pass x0.ravel()",
    ),
    "x0 nan": Row(
        lambda: CalculusKit(f, [1.0, np.nan]), ValueError, "CalculusKit: x0", "entry 1 is nan", "must be finite",
        "Choose a point",
    ),
    "x0 complex": Row(
        lambda: CalculusKit(f, [1j]), TypeError, "CalculusKit: x0", "complex128", "real numbers", "Convert it to float",
    ),
    "x0 text": Row(
        lambda: CalculusKit(f, "abc"), TypeError, "CalculusKit: x0", "<U3", "real numbers", "Convert it to float",
    ),
    "x0 None": Row(
        lambda: CalculusKit(f, None), TypeError, "CalculusKit: x0", "dtype object", "real numbers",
        "Convert it to float",
    ),
    "a lock that is none": Row(
        lambda: CalculusKit(f, X, thread_lock=3), TypeError, "CalculusKit: thread_lock", "not int 3",
        "must be a lock", "thread_safe=True",
    ),
    "method": Row(
        gradient(method="x"), ValueError, "CalculusKit: ", "unknown method 'x'", "valid methods: None", "Leave it out",
    ),
    "option unknown": Row(
        gradient(step=1), ValueError, "CalculusKit: ", "unknown option 'step'", "valid options: n_points",
        "Take it out",
    ),
    "option of symbolic": Row(
        gradient(method="symbolic", stepsize=1.0), ValueError, "CalculusKit: ", "unknown option 'stepsize'",
        "valid options: return_error", "method='adaptive'",
    ),
    "n_workers": Row(
        gradient(n_workers=-1), ValueError, "CalculusKit: n_workers", "not -1", "a positive integer", "Leave it out",
    ),
    "executor": Row(
        gradient(method="finite", executor=3), TypeError, "CalculusKit: executor", "not int",
        "concurrent.futures.Executor", "ThreadPoolExecutor",
    ),
    "stepsize": Row(
        gradient(method="finite", stepsize=0), ValueError, "CalculusKit: stepsize", "not 0",
        "a positive finite number", "Leave it out",
    ),
    "gradient of a vector": Row(
        lambda: CalculusKit(vec, X).gradient(), TypeError, "vec returned", "of shape (3,)", "a scalar belongs",
        "use jacobian",
    ),
    "gradient of a vector by differences": Row(
        lambda: CalculusKit(vec, X).gradient(method="finite"), TypeError, "vec returned", "of shape (3,)",
        "a scalar belongs", "use jacobian",
    ),
    "Jacobian of a scalar": Row(
        lambda: CalculusKit(f, X).jacobian(), TypeError, "f returned", "a scalar,", "a Jacobian is of vectors",
        "Use gradient",
    ),
    "diagonal of a vector": Row(
        lambda: CalculusKit(vec, X).hessian_diag(), TypeError, "vec returned", "of shape (3,)", "a scalar belongs",
        "use jacobian",
    ),
    "order 9": Row(
        lambda: CalculusKit(f, X).hyper_hessian(order=9), ValueError, "CalculusKit: order", "not 9", "1, 2, 3 or 4",
        "Differentiate a derivative",
    ),
    "order a float": Row(
        lambda: CalculusKit(f, X).hyper_hessian(order=2.5), ValueError, "CalculusKit: order", "not 2.5",
        "1, 2, 3 or 4", "Differentiate",
    ),
    "dk_init_kwargs unknown": Row(
        gradient(dk_init_kwargs={"a": 1}), ValueError, "CalculusKit: ", "unknown entry 'a' of dk_init_kwargs",
        "valid: use_input_cache", "given as they are",
    ),
    "dk_init_kwargs no dict": Row(
        gradient(dk_init_kwargs=3), TypeError, "CalculusKit: dk_init_kwargs", "got int 3", "must be a dict",
        "Its entries are",
    ),
    "cache_maxsize": Row(
        gradient(dk_init_kwargs={"use_input_cache": True, "cache_maxsize": -1}), ValueError,
        "CalculusKit: cache_maxsize", "not -1", "a positive integer or None", "None keeps all",
    ),
    "a word as value": Row(
        lambda: CalculusKit(lambda x: "a", X).gradient(method="finite"), TypeError, "<lambda> returned",
        "str of dtype <U1", "expected real numbers", "Is a return missing",
    ),
    "complex values": Row(
        lambda: CalculusKit(lambda x: 1j * np.sum(x), X).gradient(), TypeError, "<lambda>: a derivative",
        "complex ones of dtype complex128", "returns real numbers", "Return a part",
    ),
    "not vectorized": Row(
        gradient(method="finite", vectorized=True), TypeError, "f returned", "shape () for 1 points",
        "the first axis of the output counts", "Leave vectorized out",
    ),
    "nothing analytic": Row(
        lambda: CalculusKit(lambda x: np.abs(x[0]), X).gradient(method="complex"), TypeError, "<lambda>",
        "complex step gives 0", "its real values 1", "Use method='adaptive'",
    ),
    "domain": Row(
        gradient(method="adaptive", domain=(5, 4)), ValueError, "CalculusKit: domain", "not (5, 4)",
        "lower below upper", "Leave it out",
    ),
    # --- DerivativeKit
    "nothing": Row(
        lambda: DerivativeKit(), ValueError, "DerivativeKit: function", "is missing", "give a function, or a table",
        "tab_x and tab_y",
    ),
    "no point": Row(
        lambda: DerivativeKit(np.sin), ValueError, "DerivativeKit: x0", "is missing",
        "an array of points, was expected", "Give x0=1.0",
    ),
    "a number as function": Row(
        lambda: DerivativeKit(3, 1.0), TypeError, "DerivativeKit: function", "got int 3", "must be a function",
        NOT_CALLED,
    ),
    "function and table": Row(
        lambda: DerivativeKit(np.sin, 1.0, **TABLE), ValueError, "DerivativeKit: ", "function and tab_x, tab_y came",
        "one of them was expected", "give a function or a table",
    ),
    "half a table": Row(
        lambda: DerivativeKit(None, 1.0, tab_x=[1, 2]), ValueError, "DerivativeKit: tab_y", "is missing",
        "a table needs both", "Give the values",
    ),
    "three points": Row(
        of_table([1, 2, 3], [1, 2, 3]), ValueError, "DerivativeKit: tab_x", "not 3", "at least 4 points",
        "Tabulate more",
    ),
    "lengths": Row(
        of_table([1, 2, 3], [1, 2]), ValueError, "DerivativeKit: tab_x", "not (3,) and (2,)",
        "shape (n,) and tab_y (n, ...)", "Transpose tab_y",
    ),
    "a point twice": Row(
        of_table([1, 2, 2, 3], [1, 2, 2, 3]), ValueError, "DerivativeKit: the points of tab_x", "2 came twice",
        "all be different", "Average them",
    ),
    "a value nan": Row(
        of_table([1, 2, 3, 4], [1, np.nan, 3, 4]), ValueError, "DerivativeKit: tab_x and tab_y", "tab_y has nan",
        "must be finite", "Leave such points out",
    ),
    "text as table": Row(
        of_table(["a", "b"], [1, 2]), TypeError, "DerivativeKit: tab_x", "<U1", "must be real numbers", "Convert it",
    ),
    "outside the table": Row(
        lambda: DerivativeKit(None, 9.0, **TABLE).differentiate(), ValueError, "DerivativeKit.differentiate: x0",
        "= 9 is outside", "in [1, 4] was expected", "tabulate further",
    ),
    "a table, symbolically": Row(
        lambda: DerivativeKit(None, 2.0, **TABLE).differentiate(method="symbolic"), ValueError,
        "DerivativeKit.differentiate: ", "a table came", "needs a function", "takes 'adaptive'",
    ),
    "x0 complex number": Row(
        lambda: DerivativeKit(np.sin, 1j), TypeError, "DerivativeKit: x0", "complex128", "must be real numbers",
        "Convert it",
    ),
    "no points": Row(
        lambda: DerivativeKit(np.sin, []), ValueError, "DerivativeKit: x0", "is empty", "nothing to differentiate",
        "Give at least one",
    ),
    "x0 nan among points": Row(
        lambda: DerivativeKit(np.sin, [1.0, np.nan]), ValueError, "DerivativeKit: x0", "entry 1 is nan",
        "must be finite", "Choose a point",
    ),
    "kit method": Row(
        derivative(method="x"), ValueError, "DerivativeKit.differentiate: ", "unknown method 'x'", "valid methods",
        "Leave it out",
    ),
    "kit order 0": Row(
        derivative(order=0), ValueError, "DerivativeKit.differentiate: order", "not 0", "1, 2, 3 or 4",
        "Differentiate a",
    ),
    "kit order a word": Row(
        derivative(order="a", method="finite"), ValueError, "DerivativeKit.differentiate: order", "not 'a'",
        "1, 2, 3 or 4", "Differentiate a",
    ),
    "kit option": Row(
        derivative(step=1), ValueError, "DerivativeKit.differentiate: ", "unknown option 'step'", "valid options",
        "Take it out",
    ),
    "kit n_workers": Row(
        derivative(method="finite", n_workers="2"), ValueError, "DerivativeKit.differentiate: n_workers", "not '2'",
        "a positive integer", "Leave it out",
    ),
    "kit cache_maxsize": Row(
        lambda: DerivativeKit(np.sin, 1.0, use_input_cache=True, cache_maxsize="a"), ValueError,
        "DerivativeKit: cache_maxsize", "not 'a'", "a positive integer or None", "None keeps all",
    ),
    "kit decimals": Row(
        lambda: DerivativeKit(np.sin, 1.0, use_input_cache=True, cache_number_decimal_places="a"), ValueError,
        "DerivativeKit: cache_number_decimal_places", "not 'a'", "an integer or None", "None compares bit by bit",
    ),
    "plot of points": Row(
        lambda: DerivativeKit(np.sin, [1.0, 2.0]).plot(), ValueError, "DerivativeKit.plot: x0", "has shape (2,)",
        "one point was expected", "Make a kit for each",
    ),
    # --- comparisons
    "compare: no function": Row(
        lambda: arc.compare_methods(3, 1.0), TypeError, "compare_methods: f", "got int 3", "must be a function",
        NOT_CALLED,
    ),
    "compare: text": Row(
        lambda: arc.compare_methods(np.sin, "a"), TypeError, "compare_methods: x", "<U1", "real numbers", "Convert it",
    ),
    "compare: a matrix": Row(
        lambda: arc.compare_methods(np.sum, np.ones((2, 2))), ValueError, "compare_methods: x", "shape (2, 2)",
        "a number or a vector", "Pass x.ravel()",
    ),
    "compare: a row": Row(
        lambda: arc.compare_methods(np.sin, 1.0)["steam"], KeyError, "compare_methods: ", "no row 'steam'",
        "there are 'symbolic'", "Name one",
    ),
    "check_grads: no function": Row(
        lambda: arc.check_grads(3, (1.0,)), TypeError, "check_grads: f", "got int 3", "must be a function", NOT_CALLED,
    ),
    "check_grads: order": Row(
        lambda: arc.check_grads(np.sin, (1.0,), order=0), ValueError, "check_grads: order", "got 0",
        "an integer from 1 on", "Leave it out for 2",
    ),
    "check_grads: order a float": Row(
        lambda: arc.check_grads(np.sin, (1.0,), order=1.5), TypeError, "check_grads: order", "got float 1.5",
        "an integer from 1 on", "Leave it out",
    ),
    "check_grads: integers": Row(
        lambda: arc.check_grads(np.sin, (1,)), ValueError, "check_grads: no argument of sin", "got int 1",
        "a float to differentiate by", "Pass floats",
    ),
    "check_grads: too few": Row(
        lambda: arc.check_grads(two, (X,)), TypeError, "two()", "got 1 positional",
        "missing a required argument: 'y'", "Call it as two(x, y, *, z=1.0)",
    ),
    "check_grads: rtol a word": Row(
        lambda: arc.check_grads(np.sin, (1.0,), rtol="a"), TypeError, "check_grads: rtol", "got str 'a'",
        "a positive number", "Leave it out",
    ),
    "check_grads: atol negative": Row(
        lambda: arc.check_grads(np.sin, (1.0,), atol=-1), ValueError, "check_grads: atol", "got -1",
        "a positive finite number", "Leave it out",
    ),
    "check_grads: seed": Row(
        lambda: arc.check_grads(np.sin, (1.0,), seed="a"), TypeError, "check_grads: seed", "got str 'a'",
        "an integer from 0 on", "Leave it out",
    ),
    "check_grads: nothing returned": Row(
        lambda: arc.check_grads(lambda x: None, (1.0,)), ValueError, "check_grads: <lambda>", "returns NoneType None",
        "at least one float", "Return what is",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_inputs_of_the_kits(case):
    check(ROWS[case])
