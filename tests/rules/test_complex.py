"""Complex numbers on the way to real results: their memory, how arrays of them are made, and what takes them."""

import numpy as np
import pytest
import scipy.linalg
from helpers import check, check_value, sample

import archimedes_grad as arc

X = np.array([0.5, 1.5, -2.0])


def both(z):
    return np.array([np.real(z), np.imag(z)])


def written(copy):
    """Return a function that writes to a copy, and gives the copied."""

    def f(x):
        z = np.exp(1j * x)
        other = copy(z)
        other *= 2.0
        other[0] = x[1] - 3j
        return both(z) + 0.5 * both(other)

    return f


@pytest.mark.parametrize("copy", [
    lambda z: z.conj(), np.conjugate, lambda z: +z, lambda z: -z, lambda z: z.astype(complex), lambda z: z.copy(),
    lambda z: z.astype(np.complex128, copy=False), lambda z: np.array(z), lambda z: np.asarray(z),
    lambda z: z.flatten(), lambda z: z[::-1], lambda z: z + 0, lambda z: z**1, lambda z: np.where(True, z, 0.0),
    np.ravel,
])  # fmt: skip
def test_what_is_written_to_a_copy_does_not_reach_what_was_copied(copy):
    check(written(copy), X)


def test_parts_are_written_to():
    def f(x):
        z = np.exp(1j * x)
        z.imag *= -2.0
        z.real[1:] += x[:2]
        z[1:].real = x[1]
        return both(z)

    check(f, X)
    with pytest.raises(TypeError):
        arc.compile(lambda x: x.copy().__imul__(1j))(X)


REAL, IMAGINARY = sample((3, 3), seed=1), sample((3, 3), seed=2)
WEIGHTS = np.arange(1.0, 19.0)


def weighed(z):
    parts = np.concatenate([np.ravel(np.real(z)), np.ravel(np.imag(z))])
    return np.sum(parts * np.resize(WEIGHTS, parts.shape))


def sizes(z):
    return weighed(np.abs(z) ** 2)


def powers(w, v):
    return (v * w**3) @ v.conj().T


OF_MATRICES = {
    "solve": lambda z: weighed(np.linalg.solve(z, z.real[0])),
    "solve of sides": lambda z: weighed(np.linalg.solve(z, z.T)),
    "solve by real": lambda z: weighed(np.linalg.solve(z.real, z)),
    "inv": lambda z: weighed(np.linalg.inv(z)),
    "inv of stacks": lambda z: weighed(np.linalg.inv(np.stack([z, 2j * z + 1]))),
    "det": lambda z: weighed(np.linalg.det(z)),
    "det of stacks": lambda z: weighed(np.linalg.det(np.stack([z, z.T @ z]))),
    "eigvalsh": lambda z: weighed(np.linalg.eigvalsh(z)),
    "eigvalsh, upper": lambda z: weighed(np.linalg.eigvalsh(z, "U")),
    "eigh": lambda z: sizes(np.linalg.eigh(z)[1]) + weighed(powers(*np.linalg.eigh(z))),
    "eigvals": lambda z: weighed(np.linalg.eigvals(z)),
    "eig": lambda z: weighed(np.linalg.eig(z)[1]),
    "eig of a real matrix": lambda z: weighed(np.linalg.eig(z.real)[1] + 0j) + weighed(np.linalg.eig(z.real)[0]),
    "eigvals of stacks": lambda z: weighed(np.linalg.eigvals(np.stack([z, z @ z]))),
    "norm": lambda z: np.linalg.norm(z) ** 2 + np.linalg.norm(z, 1),
    "norms": lambda z: np.sum(np.linalg.norm(z, axis=1)),
    "norms kept": lambda z: weighed(z * np.linalg.norm(z, 1, axis=0, keepdims=True) + np.linalg.norm(z, keepdims=True)),
    "expm": lambda z: weighed(scipy.linalg.expm(1j * z)),
    "prod": lambda z: weighed(np.prod(z, axis=1)) + weighed(np.prod(z)),
    "einsum": lambda z: weighed(np.einsum("ij,jk,lk->il", z, z.real, z.conj())) + weighed(np.einsum("...i->...", z)),
    "block": lambda z: weighed(np.block([[z, z.real], [z.imag, z.T]])),
    "std": lambda z: np.std(z) + weighed(np.var(z, axis=0)),
    "circular": lambda z: weighed(np.tan(z) + np.sin(z) * np.cos(z)) + weighed(np.tan(1j * z)),
    "hyperbolic": lambda z: weighed(np.tanh(z) + np.sinh(z) * np.cosh(z)),
    "logarithms": lambda z: weighed(np.log10(z) + np.log2(z)),
    "literals": lambda z: weighed(np.array([[z[0, 0], 1.0], [z.real[0, 1], 1j * z[1, 0].imag]])),
    "literals of arrays": lambda z: weighed(np.array([z, z.real, WEIGHTS[:9].reshape(3, 3)])),
    "casts": lambda z: weighed(z.real.astype(complex) * z + np.array(z.imag, dtype=complex)),
    "columns": lambda z: weighed(np.column_stack([z[0], z.real[1]])),
    "trapezoid": lambda z: weighed(np.trapezoid(z, dx=0.5)) + weighed(np.gradient(z, axis=0)),
    "trapezoid along a path": lambda z: weighed(np.trapezoid(z**2, z[0])) + weighed(np.trapezoid(z.real, z, axis=0)),
    "polyval": lambda z: weighed(np.polyval(z[0], z)) + weighed(np.polyval(z.real[0], z[1])),
    "tensordot": lambda z: weighed(np.tensordot(z, z.real, axes=([0], [1]))) + weighed(np.tensordot(z, z, 1)),
    "vectors and matrices": lambda z: weighed(np.matvec(z, z[0]) + np.vecmat(z[0], z) * np.vecmat(z.real[1], z)),
    "prod of layers": lambda z: weighed(np.prod(np.stack([z, z + 1]), axis=2)),
    "spread about a mean": lambda z: np.std(z, mean=np.mean(z, keepdims=True)),
}


@pytest.mark.parametrize("name", OF_MATRICES)
def test_what_takes_complex_matrices(name):
    function = OF_MATRICES[name]
    check(lambda x, y: function(x + 1j * y), REAL, IMAGINARY, rtol=1e-9)
    hessian = arc.hess(lambda x: function(x + 1j * IMAGINARY))(REAL)
    slope = arc.grad(lambda x: function(x + 1j * IMAGINARY))
    step = 1e-5 * np.cos(np.arange(9.0).reshape(3, 3))
    change = (slope(REAL + step) - slope(REAL - step)) / 2
    np.testing.assert_allclose(np.tensordot(hessian, step), change, rtol=1e-5, atol=1e-8 * np.max(np.abs(change)))


PLAIN = np.exp(1j * np.arange(9.0)).reshape(3, 3)
BESIDE_PLAIN = {
    "vdot": lambda x: np.vdot(PLAIN[0], x[0]) + 2 * np.vdot(x[1], PLAIN[1]), "dot": lambda x: np.dot(PLAIN, x),
    "vecdot": lambda x: np.vecdot(PLAIN, x), "outer": lambda x: np.outer(x[0], PLAIN[1]),
    "tensordot": lambda x: np.tensordot(x, PLAIN, 1), "einsum": lambda x: np.einsum("ij,j", x, PLAIN[0]),
    "solve": lambda x: np.linalg.solve(x, PLAIN[0]), "equations": lambda x: np.linalg.solve(PLAIN + np.eye(3), x),
    "concatenate": lambda x: np.concatenate([x, PLAIN]), "stack": lambda x: np.stack([PLAIN, x]),
    "block": lambda x: np.block([[x, PLAIN]]), "where": lambda x: np.where(x > 0, x, 1j),
    "polyval": lambda x: np.polyval(x[0], 1j * np.arange(3.0)), "trapezoid": lambda x: np.trapezoid(x, PLAIN),
    "convolve": lambda x: np.convolve(x[0], PLAIN[1]), "a power": lambda x: 1j**x + np.power(2 - 1j, x) + (x - 4) ** 2j,
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE_PLAIN)
def test_plain_complex_arrays_beside_real_traced_ones(name):
    check(lambda x: both(BESIDE_PLAIN[name](x)), REAL + 2 * np.eye(3), rtol=1e-9)


def test_memory_of_copies_in_another_order():
    def f(x):
        z = np.outer(np.exp(1j * x), x)
        copy = np.ascontiguousarray(z.T)
        copy *= 2
        same = np.ascontiguousarray(z)
        same[0] = 1j
        return both(z) + both(copy)

    check(f, X)


def test_complex_zeros_hold_what_is_written_to_them():
    def f(x):
        made = [arc.zeros(3, dtype=complex), np.zeros(3, complex, like=x), np.zeros_like(x, dtype=complex)]
        for z in made:
            z[0] = x[1] - 1j * x[0]
            z[1:] += x[:2]
            np.add.at(z, [0, 0, 2], 1j * x)
            np.subtract.at(z, [1], x[0])
        return [both(z) for z in made]

    check(f, X)


EXPONENTS = [0, 1, 2, 3.0, 70, -1, -2.5, 0.5, 1.5, 0j, 2 + 0j, 1j, 1 + 1j, -1 + 1j, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_powers_of_zero_beside_others(dtype):
    bases = np.array([0, 0.5 - 2j, 0, 1j, complex(-0.0, 0.0)], dtype)
    with np.errstate(all="ignore"):
        for exponent in (*EXPONENTS, np.array([0.0, 2.0, 1.0, -1.0, 0.5]), np.array([0j, 1j, 1 + 1j, 2, -1j])):
            expected = bases**exponent
            whole = [arc.compile(lambda z: z**exponent)(bases), arc.compile(lambda z, y: z**y)(bases, exponent)]
            if isinstance(exponent, np.ndarray):
                whole.append(arc.compile(lambda y: bases**y)(exponent))
            for got in whole:
                assert got.dtype == expected.dtype
                np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == np.complex64 else 1e-13)
        for exponent in EXPONENTS:
            expected = np.complex128(0.0) ** exponent
            np.testing.assert_array_equal(arc.compile(lambda z, y: z**y)(0j, exponent), expected)
            np.testing.assert_array_equal(arc.compile(lambda x: x ** (exponent + 0j))(0.0), expected)


def test_slopes_of_powers_of_zero():
    def powers(x, y):
        return both((x[0] + 1j * x[1]) ** y)

    exponents = np.array([0.0, 1.0, 1.5, 2.0, 3.0])
    by_x, by_y = arc.jac(powers, argnums=(0, 1))(np.zeros(2), exponents)
    expected = np.zeros((2, 5, 2))
    expected[:, 1] = np.eye(2)
    np.testing.assert_array_equal(by_x, expected)
    np.testing.assert_array_equal(by_y, np.zeros((2, 5, 5)))
    for y in (2, 3):  # Products, whose further derivatives are right, too.
        x = np.array([1e-3, -2e-3])
        second = arc.jac(arc.jac(lambda x: powers(x, y)))
        np.testing.assert_allclose(second(np.zeros(2)), second(x), atol=0.02)
    assert not np.isfinite(arc.jac(powers)(np.zeros(2), 0.5)).any()
    assert not np.isfinite(arc.hess(lambda x: powers(x, exponents)[0, 3])(np.zeros(2))).any()


def test_slopes_beside_a_power_of_zero():
    waves = 1j * np.arange(4.0)
    check(lambda a: both(waves ** (1 + a**2)), np.array(0.7))
    check(lambda a: both(waves ** (1 + 0 * a)), np.array(1.0))
    check(lambda x: both((x * waves) ** 1.5), np.array([0.3, 1.5, -2.0, 0.4]))


INFINITE = [complex(a, b) for a in (-np.inf, np.inf, np.nan, -1e3, 1e3) for b in (0.0, 2.0, np.inf, -np.inf, np.nan)]


def test_exponentials_of_infinite_numbers():
    with np.errstate(all="ignore"):
        expected = np.exp(np.array(INFINITE))
    np.testing.assert_array_equal(arc.compile(np.exp)(np.array(INFINITE)), expected)
    for z, one in zip(INFINITE, expected, strict=True):
        np.testing.assert_array_equal(arc.compile(np.exp)(z), one)


def test_what_is_asked_of_complex_entries():
    def asked(x):
        z = np.exp(1j * x)
        return [
            np.bool(np.allclose(z, z * (1 + 1e-9))), np.isclose(z, [z[0], 1.0, np.inf]),
            np.isclose(z * np.nan, z * np.nan, equal_nan=True), np.isclose([1.0, z[1], np.inf], [1.0, z[0], np.inf]),
            np.isnan(z), np.isinf(z / 0), np.iscomplex(z * [0, 1, 1]), np.isreal(z - 1j * z.imag), np.any(z),
            np.all(z * [0, 1, 1]), x == [0.5, 1j, -2.0],
            x != np.array([0.5 + 1j, 0, 0]), np.bool(np.allclose([0.5, 1j, 0], x)),
        ]  # fmt: skip

    with np.errstate(all="ignore"):
        check_value(asked, X)


OF_LISTS = {
    "parts": lambda z: (np.real([z[0], 1j]), np.imag([[z[0]], [z[1]]]), np.angle([z[0], z[1]])),
    "truth": lambda z: (np.any([z[0] * 0, 0]), np.any([[z[0], 0], [0, 0]], 1), np.all([z[0], z[1] * 0])),
    "what is complex": lambda z: (np.iscomplex([z[0], z[1].real]), np.isreal([z[0], 1.0])),
    "sizes": lambda z: (np.linalg.norm([z[0], z[1]]), np.var([z[0], z[1]]), np.std([[z[0], 1j], [z[1], 2]], 0)),
    "products": lambda z: (both(np.prod([z[0], z[1]])), both(np.sum([z[0], 2]))),
    "forms": lambda z: (both(np.ones_like([z[0], z[1]])), both(np.atleast_1d([z[0]], z[1], z.real)[1])),
    "arrays with axes": lambda z: (*map(both, np.atleast_2d(z, z[0])), both(np.atleast_3d(z))),
    "matrices": lambda z: (both(np.linalg.det([[z[0], 1], [z[1], 2]])), both(np.linalg.inv([[z[0], 1j], [z[1], 2]]))),
    "eigenvalues": lambda z: both(np.linalg.eigvals([[z[0], 1], [0, z[1]]])),
    "eigenvalues that are real": lambda z: np.linalg.eigvalsh([[1, z[0]], [z[0], 2]]),
    "sums but for nan": lambda z: both(np.nansum([z[0], np.nan, z[1]])),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_LISTS)
def test_lists_of_complex_entries_are_arrays(name):
    check(lambda x: OF_LISTS[name](np.exp(1j * x)), X)


def test_large_arguments_of_hyperbolic_functions():
    check_value(lambda x: both(np.tanh(1000 * x + 1j * x)), X)


def test_the_largest_entry_of_an_eigenvector_stays_real():
    """LAPACK's choice; in a rotation both entries are as large, and the real one counts."""
    turned = np.array([[0.1, -1.0], [1.0, 0.1]])
    check(lambda a: both(np.linalg.eig(a)[1][:, 0]), turned + np.array([[0.0, 0.2], [0.0, 0.3]]), rtol=1e-9)
    assert np.all(np.isfinite(arc.jac(lambda a: both(np.linalg.eig(a)[1]))(turned)))


def test_single_precision_is_kept_and_asked_for():
    z = np.array([1 + 2j, 3 - 1j])
    for dtype in (np.complex64, np.complex128):
        assert arc.compile(lambda z: np.real(z.astype(dtype)))(z).dtype == np.real(z.astype(dtype)).dtype


@pytest.mark.parametrize("axis", [-1, 0, None])
def test_sorted_by_real_parts_then_by_imaginary_ones(axis):
    z = np.random.default_rng(0).normal(size=(3, 5, 2)).round(1).view(complex)[..., 0]
    z[0, 1], z[0, 2], z[1] = complex(np.nan, 1.0), complex(0.1, np.nan), z[1, 0].real + 1j * z[1].imag
    np.testing.assert_array_equal(arc.compile(lambda z: np.sort(z, axis=axis))(z), np.sort(z, axis=axis))

    def weighted(x):
        z = np.exp(1j * x) * x
        z.sort()
        return np.sum(np.arange(1.0, 5.0) * z.real + z.imag**2 * np.arange(4.0))

    check(weighted, np.array([0.5, -1.0, 2.0, 0.2]))


def test_lists_of_complex_entries_are_sorted():
    listed = lambda x: np.sort([x[1] + 1j * x[0], x[0] - 1j]).real
    np.testing.assert_array_equal(arc.compile(listed)(np.array([2.0, 1.0])), listed(np.array([2.0, 1.0])))
