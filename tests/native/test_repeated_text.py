"""Repeated statements of C as loops: what the loops run is what was written."""

import re

import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.engines.native.repeated_text import rolled


def unrolled(lines):
    """Return the lines that the loops over repetitions run, with all numbers and names written out."""
    result, turns = [], None
    for line in lines:
        head = re.fullmatch(r"for \(long turn = 0; turn < (\d+); \+\+turn\) \{", line)
        if head:
            turns, body = int(head[1]), []
        elif turns is not None and line == "}":
            for turn in range(turns):
                result += [moved(inner, turn) for inner in body]
            turns = None
        elif turns is not None:
            body.append(line[4:])
        else:
            result.append(line)
    return result


def moved(line, turn):
    return re.sub(r"\((\d+) ([+-]) (\d+)\*turn\)", lambda m: str(int(m[1]) + int(m[2] + m[3]) * turn), line)


def with_names_in_order(lines):
    """Return the lines with the pointers of each block numbered from 0."""
    result, names = [], {}
    for line in lines:
        names = {} if line == "{" else names
        for name in re.findall(r"restrict (v\d+) =", line):
            names[name] = f"v{len(names)}"
        result.append(re.sub(r"\bv\d+\b", lambda m, names=names: names.get(m[0], m[0]), line))
    return result


def call(place, argument, name="step"):
    return ["{", f"    const double *const a[] = {{w + {place}, arg[{argument}]}};", f"    {name}(a, 1.5);", "}"]


def copy(name, source, target):
    return [
        "{", f"    const double *restrict v{name} = w + {source};", f"    double *restrict v{name + 1} = res[0];",
        f"    for (long i0 = 0; i0 < 3; ++i0) v{name + 1}[i0 + {target}] = v{name}[i0] * 2.0;", "}",
    ]  # fmt: skip


CHAIN = [line for k in range(6) for line in [*call(5 * k, 1), *copy(10 * k, 5 * k, 90 - 3 * k)]]

PROGRAMS = {
    "nothing": ([], 0),
    "one statement": (call(0, 1), 0),
    "two are no loop": (call(0, 1) + call(3, 1), 0),
    "equal ones": (["x();"] * 4, 1),
    "places that grow": ([line for k in range(5) for line in call(7 * k, 2)], 1),
    "places that grow at first": ([line for k in (0, 1, 2, 3, 7, 9) for line in call(k, 2)], 1),
    "another call between": ([*CHAIN[:9], *call(1, 1, "other"), *CHAIN], 1),
    "a period of two": (CHAIN, 1),
    "what goes before and after": (["start();", *CHAIN, "end();"], 1),
    "two chains": (CHAIN + CHAIN, 2),
    "loops without braces": ([line for k in range(4) for line in ("for (long k = 0; k < 9; ++k)", f"    f({k});")], 1),
    "other numbers stay": ([f"x = {k}.0 + {k}e-05;" for k in range(5)], 0),
    "names stay": ([f"x{k} = s{k}();" for k in range(5)], 0),
}


@pytest.mark.parametrize(("lines", "loops"), PROGRAMS.values(), ids=PROGRAMS)
def test_loops_run_what_was_written(lines, loops):
    made = rolled(lines)
    assert sum("long turn" in line for line in made) == loops
    assert with_names_in_order(unrolled(made)) == with_names_in_order(lines)


@pytest.mark.parametrize("seed", range(20))
def test_any_statements(seed):
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(6):
        first, step, target = rng.integers(0, 4, size=3)
        for k in range(rng.integers(1, 6)):
            lines += call(first + step * k, target) if seed % 2 else copy(k, first + step * k, target)
    assert with_names_in_order(unrolled(rolled(lines))) == with_names_in_order(lines)


def test_a_chain_of_steps_has_one_call_of_each_step(tmp_path):
    def final(x):
        carry, _ = arc.scan(lambda c, _: (np.sin(c) * x, c[0]), np.ones(3), None, 900)
        return np.sum(carry)

    source, _ = arc.grad(final).codegen(tmp_path / "final.c", np.array([0.1, 1.2, 2.0]))
    # Each level of the chain calls the level under it once, or once more for the first step and for what is left.
    assert len(re.findall(r"function_\d+\(a, r", source.read_text())) < 25
