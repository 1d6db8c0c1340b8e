"""Complex numbers on the way to real results: their memory, how arrays of them are made, and what takes them."""

import numpy as np
import pytest
from helpers import check

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


def test_single_precision_is_kept_and_asked_for():
    z = np.array([1 + 2j, 3 - 1j])
    for dtype in (np.complex64, np.complex128):
        assert arc.compile(lambda z: np.real(z.astype(dtype)))(z).dtype == np.real(z.astype(dtype)).dtype
