"""Entries that are written and read one after the other: what is read, and how long the compiled code becomes."""

import casadi as cs
import numpy as np
import pytest
from helpers import needs_compiler

import archimedes_grad as arc
from archimedes_grad.engines.native import compiled, tape
from archimedes_grad.engines.native.program import source_of

pytestmark = [needs_compiler, pytest.mark.usefixtures("own_cache")]

SIZE = 24


def some_places(rng):
    """Return one entry, a slice, entries turned round, every third one, or listed ones."""
    low, high = sorted(rng.choice(SIZE, 2, replace=False).tolist())
    return [
        [low],
        range(low, high + 1),
        range(high, low - 1, -1),
        range(low, high + 1, 3),
        rng.choice(SIZE, high - low, replace=False).tolist(),
    ][rng.integers(5)]


def written_and_read(x, rng):
    """Return what is read of an array between writes to it."""
    array, read = cs.MX(x), []
    for _ in range(40):
        places = cs.DM(list(some_places(rng)))
        if rng.random() < 0.5:
            value = cs.sin(array[places]) if rng.random() < 0.5 else x[: places.numel()] * 2.0
            array = cs.MX(array)
            array[places] = array[places] + value if rng.random() < 0.3 else value
        else:
            read.append(cs.cos(array[places]))
    return [*read, array]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_read_is_what_was_written_last(seed):
    x = cs.MX.sym("x", SIZE)
    outputs = cs.vertcat(*written_and_read(x, np.random.default_rng(seed)))
    weights = cs.DM(np.linspace(0.5, 1.5, outputs.numel()))
    function = cs.Function("written", [x], [outputs, cs.gradient(cs.dot(outputs, weights), x)])
    native, point = compiled(function), np.linspace(-1.0, 1.0, SIZE)
    for got, expected in zip(native.function(point, *native.data), function(point), strict=True):
        np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-13, atol=1e-13)


def entries_one_by_one(x, n):
    """Return a table of which each entry is made of the one before it, which is read."""
    table = cs.MX.zeros(n, n)
    table[0] = x[0]
    for k in range(1, n * n):
        table[k] = cs.sin(table[k - 1]) * x[k % n]
    return cs.dot(table, table)


def read_whole_between(x, n):
    """Return a table that is read as a whole between writes."""
    table = cs.MX.zeros(n, n)
    for k in range(n * n):
        table[k] = cs.norm_fro(table) + x[k % n]
    return cs.dot(table, table)


@pytest.mark.parametrize("program", [entries_one_by_one, read_whole_between])
def test_code_for_entries_that_are_written_one_by_one_grows_with_their_number(program):
    lengths = []
    for n in (6, 12):
        x = cs.MX.sym("x", n)
        value = program(x, n)
        lengths.append(len(source_of(cs.Function("written", [x], [value, cs.gradient(value, x)])).text.splitlines()))
    assert lengths[1] < 5 * lengths[0]


def test_what_calls_the_same_function_many_times_is_read_once(monkeypatch):
    read, calls = tape.read, []

    def counted(function, callee):
        calls.append(function.name())
        return read(function, callee)

    monkeypatch.setattr(tape, "read", counted)
    x = cs.MX.sym("x", 3)
    step = cs.Function("step", [x], [cs.sin(x)], {"never_inline": True})
    result = x
    for _ in range(20):
        result = step(result)
    chain = cs.Function("chain", [x], [result], {"never_inline": True})
    first = chain(x)
    readable = tape.Readable()
    assert all(readable.is_compiled(output.dep(0)) for output in (first, chain(first)))
    assert sorted(calls) == ["chain", "step"]


def test_matrices_that_are_written_entry_by_entry():
    def smoothed(x):
        table = arc.zeros((12, 12))
        for i in range(12):
            for j in range(12):
                table[i, j] = np.exp(-((x[i] - x[j]) ** 2)) + (table[i - 1, j] * x[j] if i else 0.0)
            table[i] = table[i] / np.sum(table[i])
        return np.sum((table @ x) ** 2)

    x = np.linspace(0.1, 1.0, 12)
    native = arc.value_and_grad(smoothed, engine="native")
    for got, expected in zip(native(x), arc.value_and_grad(smoothed, engine="vm")(x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert native.explain(x).engine == "native"
