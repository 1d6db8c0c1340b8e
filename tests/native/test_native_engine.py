"""The native engine computes what the interpreter computes, and says so where it cannot."""

import shutil
import subprocess
import time

import casadi as cs
import numpy as np
import pytest
from helpers import in_threads, needs_compiler
from scipy.special import erf, gammaln

import archimedes_grad as arc
from archimedes_grad.engines.native import compilers, toolchain
from archimedes_grad.engines.native.program import source_of
from archimedes_grad.engines.native.tape import read
from archimedes_grad.engines.native.values import Data

pytestmark = [needs_compiler, pytest.mark.usefixtures("own_cache")]

RNG = np.random.default_rng(7)
PLACES = RNG.integers(0, 40, 25)


def written(x):
    y = x * 1.0
    y[2:9] = y[:7] * 2.0
    y[::4] += 1.0
    y[PLACES[:5]] = 0.5
    return np.sum(y**2)


def scanned(x):
    carry, outputs = arc.scan(lambda c, row: (np.tanh(c * row[0] + row[1]), c * row[2]), 0.3, x.reshape(20, 3))
    return carry + np.sum(outputs**2)


def nearest(x):
    centres = x.reshape(20, 3)
    points = np.linspace(-1, 1, 90).reshape(30, 3)
    return np.sum(np.min(np.sum((points[:, None] - centres) ** 2, axis=2), axis=1))


def network(x):
    weights, inputs = np.tile(x, 40).reshape(60, 40), np.outer(np.linspace(0, 1, 50), x)
    hidden = np.tanh(inputs @ weights)
    return np.sum(hidden @ hidden.T)


def batched_products(x):
    blocks = np.stack([np.outer(x[:30] + k, x[30:]) for k in range(4)])
    return np.sum((blocks @ np.swapaxes(blocks, 1, 2)) ** 2)


#: Functions of 60 numbers; each row meets other parts of the compiler.
FUNCTIONS = [
    lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    lambda x: np.sum(np.exp(x) * np.sin(x) + np.cos(x) ** 2),
    lambda x: np.log(np.sum(np.exp(x - np.max(x)))),
    lambda x: np.sum(np.where(x > 0, np.sqrt(np.abs(x)), x**3) + np.maximum(x, 0.2) + erf(x)),
    lambda x: np.sum(x.reshape(4, 15).T @ x.reshape(15, 4).T),
    lambda x: np.sum(np.sum(x.reshape(3, 4, 5), axis=1) * np.max(x.reshape(3, 4, 5), axis=1)),
    lambda x: np.sum(x[PLACES] * x[PLACES[::-1]] + np.roll(x, 3)[:25] + x[::-1][:25]),
    lambda x: np.sum(np.arctan2(x, 1.5) + np.hypot(x, 2.0) + np.sign(x) * np.floor(4 * x) + np.log1p(x**2)),
    lambda x: np.sum(np.cumsum(x) ** 2) + np.prod(x[:5]) + np.var(x),
    lambda x: x[0] * x[1] + np.array([x[3], 2.0, np.sin(x[4])]) @ x[5:8],
    lambda x: np.sum(arc.vmap(lambda row: np.sin(row[0]) * row[1] ** row[2])(np.abs(x).reshape(20, 3))),
    lambda x: arc.cond(x[0] > 0, lambda y: np.sum(y**2), lambda y: np.sum(y**3), x),
    # Branches that read other things: their derivatives have no entries for the rest.
    lambda x: np.sum(arc.cond(x[0] > 0, lambda: np.sin(x) ** 2, lambda: x**3)),
    lambda x: np.sum(arc.switch(1 + (x[0] > 0), [lambda: x[::-1], lambda: np.zeros(60), lambda: x**2]) * np.cos(x)),
    lambda x: np.sum(np.concatenate([x[:20], x[40:] * 2, np.zeros(5), x[20:40]]) * np.arange(65.0)),
    lambda x: np.sum(np.pad(x.reshape(6, 10), 2) ** 2) + np.sum(np.tril(x[:36].reshape(6, 6))),
    # A sum over an axis of length 1 in the loops of another sum.
    lambda x: np.sum(np.einsum("ij,ijk->ik", x[:10].reshape(5, 2), x[10:40].reshape(5, 2, 3)) ** 3),
    lambda x: np.sum((np.vander(np.linspace(-1, 1, 90), 60) @ x) ** 2),
    written, scanned, nearest, network, batched_products,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_and_gradients_are_the_interpreters(function):
    x = RNG.normal(size=60)
    native = arc.value_and_grad(function, engine="native")
    value, gradient = native(x)
    expected_value, expected = arc.value_and_grad(function, engine="vm")(x)
    assert native.explain(x).engine == "native"
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-14 * np.max(np.abs(expected)))


@pytest.mark.parametrize("function", FUNCTIONS[:4])
def test_second_derivatives_are_the_interpreters(function):
    x = RNG.normal(size=60)
    expected = arc.hess(function, engine="vm")(x)
    np.testing.assert_allclose(arc.hess(function, engine="native")(x), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("transform", [arc.grad, arc.jac, arc.hess])
def test_each_branch_of_a_choice_whose_branches_read_other_things(transform, sign):
    def function(x):
        taken = arc.cond(x[0] > 0, lambda: np.sin(x) ** 2, lambda: x[::-1] ** 3)
        other = arc.switch(1 + (x[0] > 0), [lambda: x, lambda: np.zeros(9), lambda: x**2])
        return np.sum(taken * x) + np.sum(taken * other)

    x = sign * np.linspace(0.3, 1.4, 9)
    native = transform(function, engine="native")
    result, expected = native(x), transform(function, engine="vm")(x)
    assert native.explain(x).engine == "native"
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n", [2, 7, 14, 31])
def test_sums_and_extremes_over_a_few_entries_behind_whole_vectors(n):
    def reduced(x):
        y = np.tanh(x)
        return np.sum(np.exp(y), axis=1) * np.max(y * x, axis=1) + np.min(np.exp(x), axis=1)

    x = RNG.normal(size=(5, n))
    for transform in (arc.compile, arc.jac):
        expected = transform(reduced, engine="vm")(x)
        np.testing.assert_allclose(transform(reduced, engine="native")(x), expected, rtol=1e-13, atol=1e-15)


def test_what_nobody_reads_of_a_call_is_not_computed():
    x = cs.MX.sym("x", 3)
    inner = cs.Function("inner", [x], [cs.sin(x), cs.exp(x), cs.cosh(x)])
    middle = cs.Function("middle", [x], inner.call([x], False, True)[:2])
    _, exponential = middle.call([x], False, True)
    text = source_of(cs.Function("outer", [x], [exponential])).text
    assert "exp(" in text
    assert "sin(" not in text
    assert "cosh(" not in text


@pytest.mark.parametrize("n", [3, 300])
def test_constants_are_read_bit_for_bit(n):
    numbers = np.resize([0.1, -0.0, np.nan, -np.inf, 5e-324], n)
    for constant in (numbers, np.full(n, 0.1), np.ones(n), np.zeros(n)):
        (used,) = read(cs.Function("f", [], [cs.MX(cs.DM(constant))]), None).outputs
        found = used.array if isinstance(used, Data) else np.full(n, used.number)
        assert np.array_equal(found.view(np.int64), constant.view(np.int64))


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 5e-324, 1e-310, 1e300, np.inf, -np.inf, np.nan])


@pytest.mark.parametrize(
    "function",
    [np.exp, np.log, np.sin, np.sqrt, np.tanh, np.sign, np.abs, np.floor, np.expm1, np.log1p, np.arctan,
     lambda x: x * 1.0, lambda x: x - x, lambda x: x / x, lambda x: -x, lambda x: np.maximum(x, 0.5),
     lambda x: np.minimum(x, x[::-1]), lambda x: np.where(x > 0, x, 2.0), lambda x: x == x[::-1]],
)  # fmt: skip
def test_nan_infinities_and_signed_zeros_survive(function):
    # Long enough for a loop over several entries at once.
    x = np.tile(SPECIAL, 60)
    got, expected = arc.compile(function, engine="native")(x), arc.compile(function, engine="vm")(x)
    np.testing.assert_allclose(got, expected, rtol=5e-16, atol=5e-324)
    finite = ~np.isnan(expected)
    assert np.array_equal(np.signbit(got[finite]), np.signbit(expected[finite]))


@pytest.mark.parametrize("n", [1, 5_000])
def test_a_branch_not_taken_leaves_no_nan(n):
    x = np.tile([-1.0, 0.0, 2.25], n)
    slope = arc.grad(lambda x: np.sum(np.where(x[::-1] > 0, np.sqrt(x)[::-1], 0.0)), engine="native")(x)
    np.testing.assert_allclose(slope, np.tile([0.0, 0.0, 1 / 3], n), rtol=1e-15)


def test_a_large_sum_is_at_least_as_exact_as_the_interpreters():
    x = RNG.uniform(size=1_000_000)
    total = arc.compile(np.sum, engine="native")(x)
    assert abs(total - np.sum(x)) <= 1e-10 * total


def test_branches_take_their_paths():
    slope = arc.grad(lambda x: np.sum(x**2) if x[0] > 0 else np.sum(x**3), engine="native")
    x = np.array([1.0, 2.0])
    for _ in range(3):
        assert slope(x).tolist() == [2.0, 4.0]
        assert slope(-x).tolist() == [3.0, 12.0]


def test_what_is_not_compiled_is_evaluated_by_the_interpreter_and_explained():
    gradient = arc.grad(lambda a: np.sum(np.linalg.eigvalsh(a)), engine="native")
    matrix = np.diag(np.arange(1.0, 10.0))
    np.testing.assert_allclose(gradient(matrix), np.eye(9), atol=1e-12)
    assert gradient.explain(matrix).engine.startswith("vm (a call of")


def likelihood(x):
    distances = (x[:, None] - x) ** 2
    factor = np.linalg.cholesky(np.exp(-distances) + x[0] ** 3 * np.eye(60))
    return np.sum(np.linalg.solve(factor, np.sin(x)) ** 2) + np.sum(np.log(np.diag(factor)))


def called_back(x):
    outer = np.outer(np.sin(x), np.cos(x))
    middle = arc.callback(np.cumsum, np.zeros(60), outer[3], derivative=lambda a, c: np.cumsum(c[::-1])[::-1])
    return np.sum(outer * middle) + np.sum(middle**2)


@pytest.mark.parametrize("function", [likelihood, called_back])
def test_what_lies_around_a_factorisation_or_a_callback_is_compiled(function):
    x = np.concatenate([[0.9], RNG.normal(size=59)])
    native = arc.value_and_grad(function, engine="native")
    value, gradient = native(x)
    expected_value, expected = arc.value_and_grad(function, engine="vm")(x)
    assert native.explain(x).engine.startswith("native (around what is not compiled: a call of")
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12 * np.max(np.abs(expected)))


def test_an_error_between_compiled_pieces_comes_through():
    def fails(x):
        outer = np.outer(np.sin(x), np.cos(x))
        return np.sum(outer) + np.sum(arc.callback(lambda a: {}[a.size], np.zeros(60), outer[3]) * outer)

    with pytest.raises(KeyError):
        arc.compile(fails, engine="native")(np.ones(60))
    compiled = arc.compile(likelihood, engine="native")
    compiled(np.ones(60))
    with pytest.raises(np.linalg.LinAlgError):
        compiled(-np.ones(60))


MATRICES = {
    "full": RNG.normal(size=(12, 12)), "lower": np.tril(RNG.normal(size=(12, 12))) + 4 * np.eye(12),
    "upper": np.triu(RNG.normal(size=(12, 12))) + 4 * np.eye(12), "diagonal": np.diag(np.arange(1.0, 13.0)),
}  # fmt: skip


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_linear_equations_are_solved_in_compiled_code(matrix):
    def solved(a, b):
        return np.sum(np.linalg.solve(a, b) ** 2) + np.sum(np.linalg.solve(a.T, b[:, 0]) ** 3)

    sides = RNG.normal(size=(12, 4))
    native = arc.grad(solved, (0, 1), engine="native")
    for got, expected in zip(native(matrix, sides), arc.grad(solved, (0, 1), engine="vm")(matrix, sides), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11 * np.max(np.abs(expected)))
    assert native.explain(matrix, sides).engine == "native"


def test_singular_equations_are_an_error_of_the_call():
    solution = arc.compile(lambda a, b: np.linalg.solve(a, b), engine="native")
    assert np.allclose(solution(2.0 * np.eye(9), np.ones(9)), 0.5)
    for singular in (np.ones((9, 9)), np.diag([*np.ones(8), 0.0])):
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            solution(singular, np.ones(9))
    assert np.allclose(solution(2.0 * np.eye(9), np.ones(9)), 0.5)


def test_the_engine_of_all_functions():
    try:
        arc.set_engine("native")
        square = arc.compile(lambda x: x * x)
        square(np.ones(3))
        assert square.explain(np.ones(3)).engine == "native"
        named = arc.compile(lambda x: x * x, engine="vm")
        assert named.explain(np.ones(3)).engine == "vm"
    finally:
        arc.set_engine("vm")


def square_sum(x):
    return np.sum(x * x) + 0.25


def stepped(x):
    y, _ = arc.scan(lambda y, _: (y + 0.01 * np.sin(x * y), None), np.ones_like(x), None, 20)
    return np.sum(y)


@pytest.mark.parametrize(
    ("function", "size"), [(lambda x: np.sum(np.exp(x) * np.sin(x)), 200_000), (stepped, 200), (square_sum, 1000)]
)
def test_auto_puts_the_compiled_function_in_the_interpreters_place(function, size, monkeypatch):
    # What counts is how long evaluations take: a loop is one instruction.
    monkeypatch.setattr("archimedes_grad.compilation.path_making.WORTH_COMPILING", 0.01)
    gradient = arc.grad(function, engine="auto")
    x = RNG.normal(size=size)
    first = gradient(x)
    assert gradient.explain(x).engine == "vm"
    deadline = time.monotonic() + 120
    while gradient.explain(x).engine != "native" and time.monotonic() < deadline:
        gradient(x)
    told, native = gradient.explain(x), arc.grad(function, engine="native")
    assert told.engine == "native"
    # From now on everything is as if it had been asked for.
    assert (told.representation, told.n_operations) == (
        native.explain(x).representation, native.explain(x).n_operations,
    )  # fmt: skip
    assert np.array_equal(gradient(x), native(x))
    # Near the zeros of exp(x) (sin(x) + cos(x)) the last digits of its terms are left.
    np.testing.assert_allclose(gradient(x), first, rtol=1e-13, atol=1e-14)


def test_auto_compiles_for_the_static_value_that_was_traced(monkeypatch):
    starts = []
    monkeypatch.setattr("archimedes_grad.compilation.path_making.WORTH_COMPILING", 0.0)
    monkeypatch.setattr(
        "archimedes_grad.compilation.fast_path._in_thread", lambda start: lambda: starts.append(start)
    )
    compiled = arc.compile(lambda x, factors: x * factors[0], static_argnames="factors", engine="auto")
    x, factors = np.ones(3), [2.0]
    np.testing.assert_array_equal(compiled(x, factors), [2.0, 2.0, 2.0])
    factors[0] = 5.0
    starts.pop()()
    assert compiled.explain(x, [2.0]).engine == "native"
    np.testing.assert_array_equal(compiled(x, factors), [5.0, 5.0, 5.0])
    np.testing.assert_array_equal(compiled(x, [2.0]), [2.0, 2.0, 2.0])


# --- the cache and the compiler -------------------------------------------------------------------


def libraries(cache):
    return sorted(cache.glob("*.so"))


def test_a_library_is_compiled_once(own_cache):
    x = np.ones(50)
    arc.grad(square_sum, engine="native")(x)
    (library,) = libraries(own_cache)
    made = library.stat().st_mtime_ns
    arc.grad(square_sum, engine="native")(x)
    assert libraries(own_cache) == [library]
    assert library.stat().st_mtime_ns == made


def test_a_corrupt_library_is_compiled_again(own_cache):
    x = np.ones(51)
    text = "int unrelated(void) { return 0; }"
    library = toolchain.library(text)
    size = library.stat().st_size
    library.write_bytes(library.read_bytes()[:100])
    assert toolchain.library(text).stat().st_size == size
    assert arc.grad(square_sum, engine="native")(x).tolist() == [2.0] * 51


def test_clearing_the_cache_leaves_functions_in_use(own_cache):
    gradient = arc.grad(square_sum, engine="native")
    expected = gradient(np.ones(52))
    arc.cache_clear()
    assert libraries(own_cache) == []
    assert np.array_equal(gradient(np.ones(52)), expected)


def test_a_directory_that_others_may_write_to_is_not_used(own_cache):
    own_cache.mkdir()
    own_cache.chmod(0o777)
    arc.grad(square_sum, engine="native")(np.ones(53))
    assert libraries(own_cache) == []


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(toolchain.CACHE_VARIABLE, str(tmp_path / "file" / "below"))
    gradient = arc.grad(square_sum, engine="native")
    assert gradient(np.ones(54)).tolist() == [2.0] * 54
    assert gradient.explain(np.ones(54)).engine == "native"


def forget_the_compiler():
    for known in (compilers.compiler, compilers.machine, compilers._is_clang):
        known.cache_clear()


@pytest.fixture
def another_compiler(monkeypatch):
    def use(path):
        monkeypatch.setenv("CC", path)
        forget_the_compiler()

    yield use
    forget_the_compiler()


def test_a_compiler_that_fails_shows_its_error_and_the_file(tmp_path, another_compiler):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'x.c:1: error: no such luck' >&2\nexit 1\n")
    broken.chmod(0o755)
    another_compiler(str(broken))
    with pytest.warns(arc.FallbackWarning, match=r"no such luck\n.*kept: .*\.c"):
        assert arc.grad(square_sum, engine="native")(np.ones(55)).tolist() == [2.0] * 55


def test_no_compiler_is_a_warning_that_says_the_way_on(monkeypatch, another_compiler):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(compilers, "_zig", lambda: None)
    another_compiler("none")
    with pytest.warns(arc.FallbackWarning, match=r"archimedes_grad\[native\]"):
        assert arc.grad(square_sum, engine="native")(np.ones(56)).tolist() == [2.0] * 56


def test_threads_that_compile_the_same_function(own_cache):
    results = in_threads(lambda _: arc.grad(square_sum, engine="native")(np.ones(57)).tolist(), range(4))
    assert results == [[2.0] * 57] * 4
    assert len(libraries(own_cache)) == 1


# --- stand-alone C --------------------------------------------------------------------------------

DRIVER = """
#include <stdio.h>
#include "gradient.h"
static double input[60], output[60], work[gradient_work];
int main(void)
{
    const double *inputs[] = {input};
    double *outputs[] = {output};
    for (int i = 0; i < 60; ++i) input[i] = 0.01 * i - 0.2;
    gradient(inputs, outputs, work);
    for (int i = 0; i < 60; ++i) printf("%.17g\\n", output[i]);
    return 0;
}
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_stand_alone_c_compiles_without_warnings_and_gives_the_same(function, tmp_path):
    x = 0.01 * np.arange(60) - 0.2
    gradient = arc.grad(function)
    source, header = gradient.codegen(tmp_path / "gradient.c", x)
    assert header.name == "gradient.h"
    (tmp_path / "main.c").write_text(DRIVER.replace("gradient_work", "GRADIENT_WORK"))
    compiler = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))))
    command = [compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "main.c", source.name, "-o", "main", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    expected = gradient(x)
    got = np.array(printed.split(), dtype=float)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14 * np.max(np.abs(expected)))


def test_a_key_of_the_users_cannot_leave_its_comment(tmp_path):
    evil = {"*/ int x; /*": np.ones(3)}
    _, header = arc.grad(lambda p: sum(np.sum(v) for v in p.values())).codegen(tmp_path / "gradient.c", evil)
    assert header.read_text().count("*/") == 3


@pytest.mark.parametrize("path", ["gradient.txt", "2fast.c", "a-b.c"])
def test_a_path_that_c_cannot_name_is_refused(path, tmp_path):
    with pytest.raises(ValueError, match=r"codegen: expects a path that ends in \.c"):
        arc.grad(square_sum).codegen(tmp_path / path, np.ones(3))


def test_what_has_no_stand_alone_c_is_refused(tmp_path):
    with pytest.raises(arc.TraceError, match="no stand-alone C"):
        arc.grad(lambda a: np.sum(np.linalg.eigvalsh(a))).codegen(tmp_path / "g.c", np.eye(9))
    with pytest.raises(arc.TraceError, match="one path only"):
        arc.grad(lambda x: x if x > 0 else -x).codegen(tmp_path / "g.c", 1.0)


def test_what_is_compiled_around_calls_of_numpy_is_not_simplified():
    x = np.sort(RNG.normal(size=700))[::-1].copy()
    x[[3, 200]], x[[5, 300]] = np.inf, np.nan
    for function in (
        lambda x: np.sqrt(np.sort(x)) ** 2 + (np.sort(x) - np.sort(x)),
        lambda x: np.nanquantile(x, [0.0, 0.3, 0.7]),
        lambda x: np.sum(np.isnan(np.sort(x))) + np.sort(x) / np.sort(x),
    ):
        compiled = arc.compile(function, engine="native")
        np.testing.assert_allclose(compiled(x), arc.compile(function, engine="vm")(x), rtol=1e-14)
        assert "around" in compiled.explain(x).engine


def test_what_no_argument_goes_into_around_calls_of_numpy():
    x = np.tile([-2.3, -0.7, 0.4, 1.8, 5.2], 200)
    found = []
    for engine in ("vm", "native"):
        slope = arc.grad(lambda x: np.sum(gammaln(x)), engine=engine)
        curvature = arc.grad(lambda x: np.sum(slope(x) * np.arange(x.size)), engine=engine)
        found.append([slope(x), curvature(x)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-13)
