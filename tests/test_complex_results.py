"""Compiled functions return complex numbers as NumPy does; derivatives of them are refused by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import archimedes_grad as arc

X = np.array([1.0, 2.0, -3.0])
Z = np.array([1 + 2j, 3 - 1j, -0.5j])
M = np.outer(Z, Z) + np.eye(3)
SINGLE = Z.astype(np.complex64)


def written(z):
    z[0] = 5.0
    z[1:] *= 2j
    z.real[2] = 7.0
    return z


ROWS = {
    "the argument": (lambda z: z, Z),
    "single precision": (lambda z: z * z, SINGLE),
    "a number": (lambda z: z * 2, np.complex128(1 + 2j)),
    "a number of single precision": (lambda z: z * 2, np.complex64(1 + 2j)),
    "an array without axes": (lambda z: z, np.array(1 + 2j)),
    "of an array without axes": (lambda z: z * 2, np.array(1 + 2j)),
    "single, without axes": (lambda z: z, np.array(1 + 2j, np.complex64)),
    "an entry": (lambda z: z[1], Z),
    "a sum": (lambda z: np.sum(z), Z),
    "a mean": (lambda z: z.mean(), Z),
    "of real numbers": (lambda x: x * 1j, X),
    "of whole numbers": (lambda n: n + 1j, np.arange(3)),
    "of single ones": (lambda x: x * 1j, X.astype(np.float32)),
    "no entries": (lambda z: z[:0], Z),
    "a transform": (lambda x: np.fft.fft(x), X),
    "half a transform": (lambda x: np.fft.rfft(x), X),
    "back": (lambda z: np.fft.ifft(z), Z),
    "a product": (lambda m: m @ m[0], M),
    "conjugate transpose": (lambda m: m.conj().T, M),
    "a root": (lambda z: np.sqrt(z), Z),
    "an exponential": (lambda z: np.exp(1j * z), Z),
    "a power": (lambda z: z**3, Z),
    "a choice": (lambda z: np.where(z.real > 0, z, 0), Z),
    "written to": (lambda z: written(z.copy()), Z),
    "cast": (lambda x: x.astype(complex), X),
    "whole numbers cast": (lambda n: n.astype(complex), np.arange(3)),
    "single ones cast": (lambda x: x.astype(np.complex64), X.astype(np.float32)),
    "cast to single": (lambda z: z.astype(np.complex64), Z),
    "a literal": (lambda z: np.array([z[0], 1.0, 2 * z[1]]), Z),
    "rows": (lambda z: np.array([z, 2 * z]), Z),
    "a literal of real ones": (lambda x: np.array([x[0], 1j, x[1]]), X),
    "a literal of single ones": (lambda z: np.array([z[0], z[1]], np.complex64), Z),
    "ones": (lambda z: z + np.ones_like(z), Z),
    "a tree": (lambda z: {"b": [z[1], z.real, "s"], "a": z, "c": (1.0, np.abs(z), None)}, Z),
    "constant": (lambda x: (x, Z), X),
}


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, list | tuple):
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, np.ndarray | np.generic):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6 if theirs.dtype in (np.complex64, np.float32) else 1e-13)
    else:
        assert ours == theirs


@pytest.mark.parametrize(("function", "argument"), ROWS.values(), ids=ROWS)
def test_values_types_and_shapes_are_those_of_numpy(function, argument):
    compiled = arc.compile(function)
    for _ in range(2):
        assert_same(compiled(argument), function(argument))
    assert_same(pickle.loads(pickle.dumps(compiled))(argument), function(argument))
    assert_same(arc.compile(lambda a: compiled(a))(argument), function(argument))


@pytest.mark.parametrize("part", [np.inf, -np.inf, np.nan, -0.0, 5e-324])
def test_parts_come_out_whatever_they_are(part):
    for z in (complex(1.0, part), complex(part, 1.0), np.array([complex(part, -0.0), 1.0])):
        result = arc.compile(lambda z: z)(np.asarray(z)[()])
        np.testing.assert_array_equal([result.real, result.imag], [np.real(z), np.imag(z)])
        np.testing.assert_array_equal(np.signbit([result.real, result.imag]), np.signbit([np.real(z), np.imag(z)]))


def test_each_path_has_its_own_kind_of_result():
    def function(x):
        return x * 1j if x > 0 else x * (2 + 1j) if x > -5 else x

    compiled = arc.compile(function)
    for _ in range(20):
        for x in (1.0, -1.0, 2.0, -3.0):
            assert_same(compiled(x), np.complex128(function(x)))
    assert_same(compiled(-7.0), np.float64(-7.0))
    assert_same(compiled(1.0), np.complex128(1j))


def test_results_are_new_arrays():
    compiled = arc.compile(lambda z: (z, z.conj(), +z, z.astype(complex)))
    first, second = compiled(Z), compiled(Z)
    for array in first:
        array[...] = 0.0
    assert_same(second, (Z, Z.conj(), Z, Z))


ALIASES = {
    "conjugate": lambda z: np.conj(z),
    "plus": lambda z: +z,
    "cast": lambda z: z.astype(complex),
    "a copy": lambda z: np.array(z),
    "no copy": lambda z: z.astype(complex, copy=False),
    "as an array": lambda z: np.asarray(z),
    "a view": lambda z: z[:],
}


@pytest.mark.parametrize("other", ALIASES.values(), ids=ALIASES)
def test_writes_reach_what_they_reach_in_numpy(other):
    def function(z):
        y = other(z)
        y[0] = 5.0
        y.real[1] = 9.0
        return z, y

    assert_same(arc.compile(function)(Z), function(Z.copy()))


def turned(x):
    return x * 1j


#: Functions of an item, and how they are mapped.
VMAPS = {
    "numbers": (turned, arc.vmap),
    "of complex ones": (lambda z: z * z, arc.vmap),
    "a tree": (lambda x: {"a": (x + 1j) ** 2, "b": (x, [x * 1j])}, arc.vmap),
    "constants beside": (lambda x: (x, np.array([[1j, 2]]), 3j, np.complex64(1 - 1j)), arc.vmap),
    "compiled inside": (turned, lambda f: arc.vmap(arc.compile(f))),
    "compiled outside": (turned, lambda f: arc.compile(arc.vmap(f))),
}


def stacked(items):
    if isinstance(items[0], dict):
        return {key: stacked([item[key] for item in items]) for key in items[0]}
    if isinstance(items[0], list | tuple):
        return type(items[0])(map(stacked, zip(*items, strict=True)))
    return np.stack(items)


@pytest.mark.parametrize("x", [X, Z, SINGLE, np.outer(X, X), np.outer(Z, X)], ids=lambda x: f"{x.dtype}{x.shape}")
@pytest.mark.parametrize(("item", "mapped"), VMAPS.values(), ids=VMAPS)
def test_batches_of_complex_results(item, mapped, x):
    assert_same(mapped(item)(x), stacked([item(row) for row in x]))


def test_batches_of_complex_results_have_the_axis_that_is_asked_for():
    rows = np.arange(6.0).reshape(2, 3)
    assert_same(arc.vmap(turned, out_axes=-1)(rows), (rows * 1j).T)


def test_a_batch_of_no_items_is_complex_too():
    result = arc.vmap(lambda x: x * 1j)(np.zeros((0, 2)))
    assert (result.dtype, result.shape) == (np.complex128, (0, 2))


def test_batches_of_complex_results_are_computed_with():
    def power(x):
        return np.sum(np.abs(arc.vmap(lambda t: t * 1j + 1)(x)) ** 2)

    np.testing.assert_allclose(arc.grad(power)(X), 2 * X, rtol=1e-14)


DERIVATIVES = {
    "grad": lambda f, x: arc.grad(lambda x: np.sum(f(x)))(x),
    "value_and_grad": lambda f, x: arc.value_and_grad(lambda x: np.sum(f(x)))(x),
    "jac": lambda f, x: arc.jac(f)(x),
    "jac of a tree": lambda f, x: arc.jac(lambda x: {"a": [x, f(x)]})(x),
    "sparse": lambda f, x: arc.jac(f, sparse=True)(x),
    "hess": lambda f, x: arc.hess(lambda x: np.sum(f(x)))(x),
    "jvp": lambda f, x: arc.jvp(f)(x, x),
    "vjp": lambda f, x: arc.vjp(f)(x, x),
    "hvp": lambda f, x: arc.hvp(lambda x: np.sum(f(x)))(x, x),
    "inside": lambda f, x: arc.compile(lambda x: arc.jac(f)(x))(x),
}


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES)
def test_derivatives_of_complex_results_are_refused_by_name(derivative):
    with pytest.raises(TypeError, match=r"returns complex ones of dtype complex128. Return a part \(.real, .imag\)"):
        derivative(lambda x: x * 1j, X)


def test_auxiliary_outputs_may_be_complex():
    def function(x):
        return np.sum(x**2), {"spectrum": np.fft.rfft(x)}

    assert_same(arc.grad(function, has_aux=True)(X), (2 * X, {"spectrum": np.fft.rfft(X)}))
    (value, aux), gradient = arc.compile(arc.value_and_grad(function, has_aux=True))(X)
    assert_same((value, aux, gradient), (np.float64(14.0), {"spectrum": np.fft.rfft(X)}, 2 * X))


def test_a_casadi_function_has_an_output_for_each_part():
    function = arc.compile(lambda z: z * 1j).to_casadi(Z)
    assert (function.n_in(), function.n_out()) == (2, 2)
    real, imag = function(Z.real, Z.imag)
    np.testing.assert_array_equal(real.full().ravel() + 1j * imag.full().ravel(), Z * 1j)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: arc.scan(lambda c, t: (c, t * 1j), 0.0, x),
        lambda x: arc.cond(x[0] > 0, lambda x: x * 1j, lambda x: x * 2j, x),
        lambda x: arc.fori_loop(0, 3, lambda i, s: s * 1j, x),
    ],
)
def test_loops_and_choices_give_real_numbers(body):
    with pytest.raises(arc.TraceError, match="A complex traced array was used or returned"):
        arc.compile(body)(X)
