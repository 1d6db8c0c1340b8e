"""Arguments that are not differentiated may be complex: numbers, arrays and leaves of trees, as NumPy takes them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import archimedes_grad as arc

X = np.array([1.0, -2.0, 3.0])
Z = np.array([1.0 + 2.0j, -0.5j, 3.0])

#: Complex arguments of every kind that broadcast with X.
KINDS = {
    "Python's": 0.5 - 2j,
    "complex128": np.complex128(0.5 - 2j),
    "complex64": np.complex64(0.5 - 2j),
    "array": Z,
    "single precision": Z.astype(np.complex64),
    "one entry, no axis": np.array(0.5 - 2j),
    "reversed": Z[::-1],
    "every second": np.repeat(Z, 2)[::2],
    "matrix": np.outer(Z, Z),
    "in Fortran's order": np.asfortranarray(np.outer(Z, Z)),
    "large": np.full((4000, 3), 1 + 1j),
}
kinds = pytest.mark.parametrize("z", KINDS.values(), ids=KINDS)


def power(x, z):
    return np.sum(np.abs(x * z + 1.0) ** 2)


def slope(x, z):
    """By hand: |x z + 1|**2 has the derivative 2 (x |z|**2 + Re z)."""
    each = 2 * (x * np.abs(z) ** 2 + np.real(z))
    return each if each.ndim == 1 else np.sum(each, axis=0)


@kinds
def test_values_and_gradients_are_those_of_numpy(z):
    value, gradient = arc.compile(power), arc.grad(power)
    # Traced, by the fast path, and of other values of the same form.
    for factor in (1.0, 1.0, 2.0):
        other = type(z)(z * factor) if np.ndim(z) == 0 and not isinstance(z, np.ndarray) else np.asarray(z * factor)
        rtol = 1e-5 if np.result_type(other) == np.complex64 else 1e-12
        np.testing.assert_allclose(value(X, other), power(X, other), rtol=rtol)
        np.testing.assert_allclose(gradient(X, other), slope(X, other), rtol=rtol)
    assert gradient.explain(X, z).n_specialisations == 1


@kinds
def test_what_a_function_sees_is_what_numpy_has(z):
    told = {}

    def tells(z):
        told["traced"] = (
            np.shape(z), np.ndim(z), z.dtype, np.iscomplexobj(z), isinstance(z, complex), isinstance(z, np.ndarray),
        )  # fmt: skip
        return z.real, z.imag

    real, imag = arc.compile(tells)(z)
    assert told["traced"] == (
        np.shape(z), np.ndim(z), np.asarray(z).dtype, True, isinstance(z, complex), isinstance(z, np.ndarray),
    )  # fmt: skip
    for part, expected in ((real, z.real), (imag, z.imag)):
        np.testing.assert_array_equal(part, expected)
        assert np.asarray(part).dtype == np.asarray(expected).dtype


@kinds
def test_numeric_methods_take_them_too(z):
    seen = []

    def seeing(x, z):
        seen.append(z)
        return power(x, z)

    if np.size(z) < 1000:
        np.testing.assert_allclose(arc.grad(seeing, method="adaptive")(X, z), slope(X, z), rtol=1e-5)
        assert {np.asarray(s).dtype for s in seen} == {np.asarray(z).dtype}
        np.testing.assert_array_equal(seen[0], z)


@pytest.mark.parametrize("part", [np.inf, -np.inf, np.nan, -0.0])
def test_parts_are_kept_whatever_they_are(part):
    for z in (complex(1.0, part), complex(part, 1.0), np.array([complex(part, 1.0), 1.0])):
        real, imag = arc.compile(lambda z: (z.real, z.imag))(z)
        np.testing.assert_array_equal(np.signbit([real, imag]), np.signbit([np.real(z), np.imag(z)]))
        np.testing.assert_array_equal([real, imag], [np.real(z), np.imag(z)])
        seen = []
        arc.grad(lambda x, z: seen.append(z) or x, method="finite")(1.0, z)
        np.testing.assert_array_equal(np.signbit(np.imag(seen[0])), np.signbit(np.imag(z)))
        np.testing.assert_array_equal(seen[0], z)


def test_forms_are_told_apart():
    gradient = arc.grad(power)
    forms = [1.0, 1j, np.complex64(1j), np.complex128(1j), X, Z, Z.astype(np.complex64), Z[:1]]
    for _ in range(2):
        for z in forms:
            np.testing.assert_allclose(gradient(X, z), slope(X, z), rtol=1e-5)
    # Of Python's numbers and NumPy's of double precision there is one form each.
    assert gradient.explain(X, Z).n_specialisations == len(forms)


def test_leaves_of_trees():
    def of_tree(x, tree):
        return power(x, tree["z"]) + np.sum(x * tree["pair"][1]) + np.abs(tree["pair"][0])

    gradient = arc.grad(of_tree)
    for z in (Z, 2 * Z):
        np.testing.assert_allclose(gradient(X, {"z": z, "pair": (2j, 3.0)}), slope(X, z) + 3.0)


def test_transforms_inside_and_around():
    np.testing.assert_allclose(arc.compile(lambda x, z: arc.grad(power)(x, z * 1j))(X, Z), slope(X, Z * 1j))
    np.testing.assert_allclose(arc.hess(power)(X, Z), np.diag(2 * np.abs(Z) ** 2))
    np.testing.assert_allclose(arc.jvp(power)(X, Z, X), slope(X, Z) @ X)
    np.testing.assert_allclose(arc.jac(lambda x, z: np.real(x * z))(X, Z), np.diag(Z.real))
    arc.check_grads(lambda x: power(x, Z), (X,))
    arc.check_grads(power, (X, Z))


@pytest.mark.parametrize(
    ("axes", "x", "z"),
    [((0, 0), np.outer(X, X), np.outer(Z, Z)), ((0, 1), np.outer(X, X), np.outer(Z, X)), ((0, None), X, Z),
     ((None, 0), X, Z), ((0, None), X, 2j), ((0, None), X, np.complex64(2j)),
     ((0, {"z": 1}), X, {"z": np.outer(Z, X)})],
)  # fmt: skip
def test_mapped_over_items(axes, x, z):
    def item(x, z):
        return power(x, z["z"] if isinstance(z, dict) else z)

    def taken(value, axis, k):
        if isinstance(value, dict):
            return {"z": taken(value["z"], axis["z"], k)}
        return value if axis is None else np.take(value, k, axis)

    expected = [item(taken(x, axes[0], k), taken(z, axes[1], k)) for k in range(3)]
    np.testing.assert_allclose(arc.vmap(item, in_axes=axes)(x, z), expected, rtol=1e-6)
    if not isinstance(z, dict):
        inside = arc.compile(lambda x, z: arc.vmap(item, in_axes=axes)(x, z))
        np.testing.assert_allclose(inside(x, z), expected, rtol=1e-6)


def test_loops_and_choices_close_over_them():
    def choosing(x, z, w):
        return arc.cond(x[0] > 0, lambda: np.sum(np.abs(z * x) * w), lambda: 0.0)

    def looping(x, z, w):
        return arc.scan(lambda total, y: (total + y * np.sum(np.abs(z) * w), total), 0.0, x)[0]

    w = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(arc.grad(choosing)(X, Z, w), np.sign(X) * np.abs(Z) * w)
    np.testing.assert_allclose(arc.grad(looping)(X, Z, w), np.full(3, np.sum(np.abs(Z) * w)))


def test_a_write_does_not_reach_the_argument():
    def writing(z):
        z[0] = 5.0
        return np.abs(z)

    given = Z.copy()
    np.testing.assert_array_equal(arc.compile(writing)(given), [5.0, 0.5, 3.0])
    np.testing.assert_array_equal(given, Z)


def test_they_travel_and_reach_casadi():
    gradient = arc.grad(power)
    expected = gradient(X, Z)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(gradient))(X, Z), expected)
    function = gradient.to_casadi(X, Z)
    assert function.name_in() == ["x", "z_real", "z_imag"]
    np.testing.assert_allclose(function(X, Z.real, Z.imag).full().ravel(), expected)
