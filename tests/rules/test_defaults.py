"""What a keyword is where it is left out: in every rule what NumPy's and SciPy's own functions say."""

import inspect

import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.arrays import dispatch

#: What stands for a keyword left out, where the function's signature has a mark alone.
MEANT = {"keepdims": False, "where": True}

UFUNC_METHODS = {
    "reduce": {"axis": 0, "dtype": None, "out": None, "keepdims": False, "initial": np._NoValue, "where": True},
    "accumulate": {"axis": 0, "dtype": None, "out": None},
    "reduceat": {"axis": 0, "dtype": None, "out": None},
    "__call__": {"out": None, "where": True},
}


def parameters(function):
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some of NumPy's have no signature
        return {}


def differing(rule, theirs):
    """Return the defaults of a rule that are not those of a function: keyword, in the rule, in the function."""
    found = []
    for keyword, parameter in parameters(rule).items():
        ours, own = parameter.default, theirs.get(keyword, parameter.empty)
        if parameter.empty in (ours, own) or ours is own:
            continue
        meant = MEANT.get(keyword) if own is np._NoValue or type(own) is object else own
        if (type(ours), ours) != (type(meant), meant):
            found.append((keyword, ours, own))
    return found


def defaults(function):
    return {keyword: parameter.default for keyword, parameter in parameters(function).items()}


def compared(rules):
    """Return how many parameters functions and their rules have in common, and the defaults that differ."""
    count = sum(len(defaults(function).keys() & defaults(rule).keys()) for function, rule in rules.items())
    pairs = [(function, row) for function, rule in rules.items() for row in differing(rule, defaults(function))]
    return count, {(function.__name__, *row) for function, row in pairs}


def test_of_numpys_functions():
    dispatch.load_all_rules()
    count, differ = compared(dispatch.FUNCTIONS)
    assert count > 600
    assert differ == set()


def test_of_scipys_functions():
    special = pytest.importorskip("scipy.special")
    for module in ("scipy.linalg", "scipy.stats"):
        pytest.importorskip(module)
    arc.compile(special.erf)(1.0)
    count, differ = compared(dispatch.INTERCEPTED)
    assert count > 200
    assert differ == set()


def test_of_the_methods_of_ufuncs():
    rules = [(method, rule) for (_, method), rule in dispatch.UFUNC_METHODS.items() if method in UFUNC_METHODS]
    assert len(rules) > 12
    assert [row for method, rule in rules for row in differing(rule, UFUNC_METHODS[method])] == []
