"""Random programs with branches: compiled, on every path, they are what Python makes of them.

A program is Python source. Compiled, its decisions rest on traced values; the reference runs the same source on
complex numbers with an imaginary step of 1e-30, whose imaginary part is the exact derivative along the path taken.
"""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from helpers import in_threads
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import archimedes_grad as arc

VARIABLES = ["a", "b", "c"]
STEP = 1e-30


# --- programs ---------------------------------------------------------------------------------------


names = st.sampled_from(VARIABLES)
numbers = st.sampled_from(["0.5", "-1.25", "2.0", "0.1"])
expressions = st.recursive(
    names | numbers,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("{}({})".format, st.sampled_from(["np.sin", "np.tanh"]), inner),
        st.builds("({} / (2.5 + np.cos({})))".format, inner, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["max", "min"]), inner, inner),
        st.builds("sorted([{}, {}, {}])[{}]".format, inner, inner, inner, st.integers(0, 2)),
        st.builds("[{}, {}, {}][whole({}) % 3]".format, inner, inner, inner, inner),
    ),
    max_leaves=5,
)
comparisons = st.builds("greater({}, {})".format, expressions, expressions)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("(not {})".format, inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("{}([{}, {}])".format, st.sampled_from(["any", "all"]), inner, inner),
    ),
    max_leaves=3,
)


def indented(block):
    return ["    " + line for line in block]


def assigned(name, expression):
    return [f"{name} = {expression}"]


def chosen(condition, then, other_condition, otherwise, last):
    return [f"if {condition}:", *indented(then), f"elif {other_condition}:", *indented(otherwise),
            "else:", *indented(last)]  # fmt: skip


def repeated(condition, body, bound):
    body = [line.replace("steps", "inner_steps") for line in body]
    return ["steps = 0", f"while steps < {bound} and {condition}:", *indented(body), "    steps += 1"]


def counted(expression, body, condition):
    return [f"for k in range(whole({expression}) % 4):", *indented(body), f"    if {condition}:", "        break",
            "    b = b + 0.25 * k"]  # fmt: skip


def joined(blocks):
    return [line for block in blocks for line in block]


blocks = st.recursive(
    st.builds(assigned, names, expressions),
    lambda inner: st.one_of(
        st.builds(chosen, conditions, inner, conditions, inner, inner),
        st.builds(repeated, conditions, inner, st.integers(1, 4)),
        st.builds(counted, expressions, inner, conditions),
        st.lists(inner, min_size=2, max_size=3).map(joined),
    ),
    max_leaves=6,
)
programs = st.builds(
    lambda block, result: "\n".join(["def program(x):", "    a, b, c = x", *indented(block), f"    return {result}"]),
    blocks, expressions.map("({} + a * b + c)".format),
)  # fmt: skip


# --- running them -----------------------------------------------------------------------------------


def compiled_form(source):
    """Return the program with Python's own max, sorted, int and comparison."""
    namespace = {"np": np, "greater": lambda a, b: a > b, "whole": lambda a: abs(int(a))}
    exec(source, namespace)
    return namespace["program"]


class Reference:
    """The program on complex numbers, which decides by their real parts, and notes how near it came to a tie."""

    def __init__(self, source):
        self.margin = np.inf
        namespace = {
            "np": np, "greater": self.greater, "whole": self.whole,
            "max": lambda *entries: self.ordered(entries)[-1], "min": lambda *entries: self.ordered(entries)[0],
            "sorted": self.ordered,
        }  # fmt: skip
        exec(source, namespace)
        self.program = namespace["program"]

    def note(self, distance):
        # Equal because they are the same expression is no accident of rounding.
        if distance != 0.0:
            self.margin = min(self.margin, abs(distance))

    def greater(self, a, b):
        self.note(np.real(a) - np.real(b))
        return np.real(a) > np.real(b)

    def whole(self, a):
        self.note(np.real(a) - np.round(np.real(a)))
        return abs(int(np.real(a)))

    def ordered(self, entries):
        for i, a in enumerate(entries):
            for b in entries[:i]:
                self.note(np.real(a) - np.real(b))
        return builtins.sorted(entries, key=np.real)

    def __call__(self, x):
        gradient = np.zeros(x.size)
        for i in range(x.size):
            shifted = x.astype(complex)
            shifted[i] += STEP * 1j
            result = complex(self.program(shifted))
            gradient[i] = result.imag / STEP
        return result.real, gradient


def points(seed, count):
    return np.random.default_rng(seed).uniform(-2.0, 2.0, size=(count, len(VARIABLES)))


def references(source, xs):
    reference = Reference(source)
    results = [reference(x) for x in xs]
    assume(reference.margin > 1e-9)
    return results


def assert_equal(got, expected, source):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=source)


@settings(max_examples=60)
@given(programs, st.integers(0, 10_000))
def test_value_and_gradient_on_every_path(source, seed):
    xs = points(seed, 8)
    expected = references(source, xs)
    compiled = arc.value_and_grad(compiled_form(source))
    for x, both in zip(xs, expected, strict=True):
        assert_equal(compiled(x), both, source)
    # Again, in another order: every path is known now, and may have been merged with others.
    for k in np.random.default_rng(seed).permutation(np.repeat(np.arange(len(xs)), 6)):
        assert_equal(compiled(xs[k]), expected[k], source)


@pytest.mark.filterwarnings("ignore::archimedes_grad.PathLimitWarning")
@settings(max_examples=12)
@given(programs, st.integers(0, 10_000))
def test_the_same_from_four_threads_and_past_the_limit_of_paths(source, seed):
    xs = points(seed, 12)
    expected = references(source, xs)
    compiled = arc.value_and_grad(compiled_form(source), max_paths=2 if seed % 2 else 128)

    def work(offset):
        for k in np.random.default_rng(offset).permutation(np.repeat(np.arange(len(xs)), 3)):
            assert_equal(compiled(xs[k]), expected[k], source)

    in_threads(work, range(4))
