"""numpy.fft and complex traced arrays: what ends real has NumPy's value and the right derivatives."""

import numpy as np
import pytest
from helpers import check, check_second_order, check_value, sample

import archimedes_grad as arc

X, Y = sample((8,)), sample((7,))
M = sample((3, 6))
H = np.exp(1j * np.arange(5.0)) + 0.3


def both(z):
    return z.real, z.imag


TRANSFORMS = {
    "fft": (lambda x: both(np.fft.fft(x)), X), "fft odd": (lambda x: both(np.fft.fft(x)), Y),
    "fft crop": (lambda x: both(np.fft.fft(x, 5)), X), "fft pad": (lambda x: both(np.fft.fft(x, n=12)), X),
    "fft axis": (lambda x: both(np.fft.fft(x, axis=0)), M),
    "fft ortho": (lambda x: both(np.fft.fft(x, norm="ortho")), X),
    "fft forward": (lambda x: both(np.fft.fft(x, norm="forward")), X), "ifft": (lambda x: both(np.fft.ifft(x)), X),
    "ifft forward": (lambda x: both(np.fft.ifft(x, norm="forward")), X),
    "fft of complex": (lambda x, y: both(np.fft.fft(x + 1j * y)), X, X[::-1].copy()),
    "ifft of complex": (lambda x, y: both(np.fft.ifft(x + 1j * y, axis=0)), M, M[::-1] * 2),
    "rfft": (lambda x: both(np.fft.rfft(x)), X), "rfft odd": (lambda x: both(np.fft.rfft(x)), Y),
    "rfft n": (lambda x: both(np.fft.rfft(x, 11, norm="ortho")), X),
    "rfft axis": (lambda x: both(np.fft.rfft(x, axis=0)), M),
    "irfft": (lambda x: np.fft.irfft(x), X), "irfft odd": (lambda x: np.fft.irfft(x, 9), X),
    "irfft of complex": (lambda x, y: np.fft.irfft(x + 1j * y), X, X * X),
    "irfft of complex odd": (lambda x, y: np.fft.irfft(x + 1j * y, 7, norm="forward"), X, X * X),
    "irfft crop": (lambda x, y: np.fft.irfft(x + 1j * y, 4), X, X * X), "irfft 1": (lambda x: np.fft.irfft(x, 1), X),
    "hfft": (lambda x, y: np.fft.hfft(x + 1j * y), X, X * X),
    "hfft ortho": (lambda x: np.fft.hfft(x, 9, norm="ortho"), X),
    "ihfft": (lambda x: both(np.fft.ihfft(x)), X),
    "fft2": (lambda x: both(np.fft.fft2(x)), M), "ifft2": (lambda x: both(np.fft.ifft2(x, s=(4, 4), axes=(0, 1))), M),
    "fftn": (lambda x: both(np.fft.fftn(x, axes=(0, 2))), sample((2, 3, 4))),
    "ifftn": (lambda x: both(np.fft.ifftn(x)), M),
    "rfft2": (lambda x: both(np.fft.rfft2(x)), M), "rfftn": (lambda x: both(np.fft.rfftn(x)), sample((2, 3, 4))),
    "irfft2": (lambda x: np.fft.irfft2(x), M), "irfftn": (lambda x, y: np.fft.irfftn(x + 1j * y), M, M + 1),
    "irfft2 s": (lambda x: np.fft.irfft2(x, s=(3, 7), axes=(0, 1)), M),
    "fftshift": (np.fft.fftshift, M), "ifftshift": (lambda x: np.fft.ifftshift(x, axes=1), Y.reshape(1, 7)),
    "fftshift complex": (lambda x: both(np.fft.fftshift(np.fft.fft(x))), Y),
    "fftfreq": (lambda d: np.fft.fftfreq(5, d), np.float64(0.7)),
    "power": (lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 2), X),
    "filter": (lambda x: np.fft.irfft(np.fft.rfft(x) * H), X),
    "filter real": (lambda x: np.fft.irfft(np.fft.rfft(x) * H).real, X),
    "phase": (lambda x: np.angle(np.fft.rfft(x)[1:4]), X),
    "convolution": (lambda x, y: np.fft.ifft(np.fft.fft(x) * np.fft.fft(y)).real, X, X + 1),
    "spectrum of a product": (lambda x: np.abs(np.fft.fft(x * np.exp(1j * x))), X),
    "vector norm of the spectrum": (lambda x: np.linalg.norm(np.abs(np.fft.rfft(x))), X),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    function, *args = TRANSFORMS[name]
    check(function, *args, rtol=1e-11)


@pytest.mark.parametrize("name", ["power", "filter", "phase", "convolution", "spectrum of a product", "irfftn"])
def test_second_derivatives(name):
    function, *args = TRANSFORMS[name]
    check_second_order(lambda x, *rest: np.sum(np.asarray(function(x, *rest)) ** 3), *args)


@pytest.mark.parametrize("n", [1, 2, 64, 65, 67, 100, 128, 131, 360, 1009, 4096])
def test_lengths(n):
    x = sample((n,))
    real, imag = arc.compile(lambda x: both(np.fft.fft(x)))(x)
    np.testing.assert_allclose(real + 1j * imag, np.fft.fft(x), rtol=1e-12, atol=1e-15 * n)
    np.testing.assert_allclose(arc.compile(lambda x: np.fft.irfft(np.fft.rfft(x), n))(x), x, rtol=1e-11, atol=1e-14)


def test_gradient_of_a_long_stack():
    x, weights = sample((3, 70)), sample((3, 70), seed=1)
    slope = arc.grad(lambda x: np.sum(np.fft.ifft(np.fft.fft(x) ** 2).real * weights))
    expected = 2 * np.fft.ifft(np.conj(np.fft.fft(x)) * np.fft.fft(weights)).real
    np.testing.assert_allclose(slope(x), expected, rtol=1e-9, atol=1e-9)
    hessian = arc.hess(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(x[0])
    np.testing.assert_allclose(hessian, 2 * 70 * np.eye(70), atol=1e-10)


@pytest.mark.parametrize("n", [67, 90])
def test_gradient_of_lengths_that_are_split(n):
    weights = sample((n,), seed=1)
    x = sample((n,))
    gradient = arc.grad(lambda x: np.sum(np.fft.fft(x).real * weights) + np.sum(np.abs(np.fft.fft(x)) ** 2))(x)
    np.testing.assert_allclose(gradient, np.fft.fft(weights).real + 2 * n * x, rtol=1e-9, atol=1e-9)


def complex_pair(x, y):
    return x + 1j * y


ARITHMETIC = {
    "add": lambda z: z + z.conj() * 2 + 1 + 2j, "subtract": lambda z: 3j - z, "multiply": lambda z: z * z * 1j,
    "divide": lambda z: z / (z + 2) + 1 / z, "by real": lambda z: z / 2.0 + z * z.real, "negative": lambda z: -z,
    "power": lambda z: z**3 + z**0, "square": lambda z: np.square(z) + np.reciprocal(z), "exp": lambda z: np.exp(z),
    "log": lambda z: np.log(z), "sqrt": lambda z: np.sqrt(z), "general power": lambda z: z**0.7,
    "sum": lambda z: z.sum() + np.sum(z, axis=0), "mean": lambda z: np.mean(z), "index": lambda z: z[1] * z[::-1],
    "reshape": lambda z: z.reshape(-1, 1) @ z.reshape(1, -1), "conjugate": lambda z: np.conjugate(z) * np.conj(z),
    "dot": lambda z: np.dot(z, z) + np.vdot(z, z), "where": lambda z: np.where(z.real > 0, z, 2j),
    "concatenate": lambda z: np.concatenate([z, z * 2, np.ones(2)]),
    "array operand": lambda z: np.array([1j, 2, 3]) * z,
    "stack": lambda z: np.stack([z, z.real]).T, "cumsum": lambda z: np.cumsum(z)[None],
    "iterate": lambda z: sum(z) * 1j,
    "in place": lambda z: _in_place(z), "write": lambda z: _written(z),
}  # fmt: skip


def _in_place(z):
    z = z * 1.0
    z += 1j
    z *= z
    return z


def _written(z):
    z = z * 1.0
    z[0] = z[1] * 1j
    z[1:] = 3.0
    return z


@pytest.mark.parametrize("name", ARITHMETIC)
def test_complex_arithmetic(name):
    function = ARITHMETIC[name]
    check(lambda x, y: both(function(complex_pair(x, y))), sample((3,), "positive"), sample((3,), seed=3), rtol=1e-11)


#: Parts of numbers of which either is the larger one.
REAL, IMAGINARY = np.array([0.6, 1.3, -0.4, 0.8]), np.array([0.2, -1.9, 0.7, 0.9])


def operands(x, y):
    """Return pairs of a complex traced operand and another of any kind, on either side."""
    z, plain = x + 1j * y, np.array([0.6 + 0.2j, 0.5 - 2j, -0.4, 1.1])
    others = [z[::-1] * 1j, x, x[::-1] * 1.0, plain, plain.real * 1.0, 0.6, 1.7 - 0.6j, np.float64(1.3), 2]
    return [pair for other in others for pair in ((z, other), (other, z))]


def of_arrays(function):
    """Return a function of two arrays; what it gives for a number beside an array is their product."""
    return lambda a, b: function(a, b) if getattr(a, "ndim", 0) and getattr(b, "ndim", 0) else a * b


OF_TWO = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "where": lambda a, b: np.where([True, False, True, False], a, b), "outer": np.outer,
    "dot": np.dot, "inner": np.inner, "kron": np.kron, "vdot": of_arrays(np.vdot), "vecdot": of_arrays(np.vecdot),
    "matmul": of_arrays(lambda a, b: np.reshape(a, (2, 2)) @ np.reshape(b, (2, 2))),
    "stack": of_arrays(lambda a, b: np.stack([a, b])), "concatenate": of_arrays(lambda a, b: np.concatenate([a, b])),
}


@pytest.mark.parametrize("name", OF_TWO)
def test_real_and_complex_operands_on_either_side(name):
    check(lambda x, y: [both(OF_TWO[name](a, b)) for a, b in operands(x, y)], REAL, IMAGINARY, rtol=1e-11)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_a_real_array_and_complex_numbers_on_either_side(name):
    def program(x, y):
        pairs = [(x, np.exp(1j * IMAGINARY)), (x * y, 0.4 - 1.2j)]
        return [both(OF_TWO[name](a, b)) + both(OF_TWO[name](b, a)) for a, b in pairs]

    check(program, REAL, IMAGINARY, rtol=1e-11)


def test_complex_numbers_are_equal_where_both_parts_are():
    def compared(x, y):
        pairs = [*operands(x, y), *operands(x, 0 * y), *operands(0 * x, y)]
        pairs += [(x + 1j * y, x + 1j * y), (x + 0j * y, x), (x, x + 0j * y), (x + 1j * y, x - 1j * y)]
        return [(a == b, a != b) for a, b in pairs]

    check_value(compared, REAL, IMAGINARY)


def test_magnitude_phase_and_comparison():
    x, y = sample((3,)), sample((3,), seed=3)
    check(lambda x, y: (np.abs(x + 1j * y), np.angle(x + 1j * y), np.angle(x + 1j * y, deg=True)), x, y)
    check_value(lambda x, y: ((x + 1j * y) == (x + 1j * y), (x + 1j * y) != x), x, y)
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(np.abs(np.fft.rfft(x))))(np.zeros(4)), np.zeros(4))


def test_parts_of_numpy_and_methods():
    check(lambda x: (np.real(np.fft.fft(x)), np.imag(np.fft.fft(x))), X)
    check(lambda x: (np.fft.fft(x).T.imag, np.fft.fft(x).conj().imag), X)


@pytest.mark.parametrize("function", [
    lambda x: np.arcsin(np.fft.fft(x)).real, lambda x: np.partition(np.fft.fft(x), 1).real,
    lambda x: np.fft.fft(x).astype(float), lambda x: float(np.fft.fft(x)[0]),
    lambda x: np.zeros_like(x) + np.maximum(np.fft.fft(x), 1).real,
    lambda x: np.add(np.fft.fft(x), 1, where=x > 0).real,
    lambda x: np.cumprod(np.fft.fft(x)).real,
])  # fmt: skip
def test_what_has_no_rule_is_refused(function):
    with pytest.raises(arc.TraceError):
        arc.compile(function)(X)


@pytest.mark.parametrize("call", [
    lambda x: np.fft.fft(x, 0), lambda x: np.fft.rfft(x, axis=3), lambda x: np.fft.ifft(x, norm="bad"),
    lambda x: np.fft.fft2(x), lambda x: np.fft.irfftn(x, axes=(5,)),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    with pytest.raises(Exception) as expected:
        call(X)
    with pytest.raises(type(expected.value)) as raised:
        arc.compile(call)(X)
    assert str(raised.value) == str(expected.value)
