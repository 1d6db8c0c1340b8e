"""numpy.linalg of complex matrices, and the complex eigenvalues of real ones.

A complex matrix X + iY is the real one [[X, -Y], [Y, X]]: products, transposes and solves of these are those of the
complex ones, the transposed standing for the conjugate transposed.

The sensitivity of a scalar to a complex matrix Z has the sensitivities to the real and the imaginary part of Z as its
own. Where Z = f(A) by dZ = L dA, that to A is L' times that to Z, with the conjugate transposed L'.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.complex_array import ComplexArray, parts
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import full_node, gathered, part_of, value_of
from archimedes_grad.arrays.trace_state import note_call
from archimedes_grad.nodes.gather import reshaped
from archimedes_grad.rules.complex_values import implements_complex, paired
from archimedes_grad.rules.lapack import Kind, Matrices, matrix_call
from archimedes_grad.rules.matrix_kinds import EPS, columns, folded, inverse_where, mask, product, rows, solved

# --- equations ------------------------------------------------------------------------------------


def _both(operand: Any) -> tuple[Any, Any]:
    operand = gathered(operand)
    return part_of(operand, 0), part_of(operand, 1)


@implements_complex(np.linalg.solve)
def solve(a: Any, b: Any) -> ComplexArray:
    """The solution of linear equations; b is a vector where it has one axis, else a stack of matrices."""
    (left, turned), (real, imag) = _both(a), _both(b)
    upper, lower = np.concatenate([left, -turned], axis=-1), np.concatenate([turned, left], axis=-1)
    axis = -1 if np.ndim(value_of(real)) == 1 else -2
    x = np.linalg.solve(np.concatenate([upper, lower], axis=-2), np.concatenate([real, imag], axis=axis))
    return paired(*np.split(x, 2, axis=axis))


@implements_complex(np.linalg.inv)
def inv(a: Any) -> ComplexArray:
    """The inverse of each matrix of a stack."""
    solution: ComplexArray = solve(a, np.broadcast_to(np.eye(a.shape[-1], dtype=a.real.dtype), a.shape))
    return solution


# --- determinants ---------------------------------------------------------------------------------


def _det_evaluate(inputs: Any, wanted: Any) -> Any:
    determinant = np.linalg.det(inputs[0] + 1j * inputs[1])
    return determinant.real, determinant.imag


def _det_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    n = inputs[0].size1()
    size = _block(outputs[0], -outputs[1]) @ _block(*seeds)
    inverse = solved(_block(*inputs).T, mask(np.eye(2 * n)))
    return _parts(product(inverse, _block(size[0, 0] * mask(np.eye(n)), size[1, 0] * mask(np.eye(n)))))


_DET = Kind("det_of_complex", _det_evaluate, _det_reverse)


@implements_complex(np.linalg.det)
def det(a: ComplexArray) -> ComplexArray:
    """The determinant of each matrix of a stack; its derivative is not finite for singular matrices."""
    return ComplexArray(*_called(_DET, a, [(), ()], _two(np.linalg.det(a.value))))


# --- eigenvalues ----------------------------------------------------------------------------------


def _block(real: cs.MX, imag: cs.MX) -> cs.MX:
    return cs.blockcat([[real, -imag], [imag, real]])


def _parts(block: cs.MX) -> list[cs.MX]:
    rows_, columns_ = block.size1() // 2, block.size2() // 2
    return [block[:rows_, :columns_], block[rows_:, :columns_]]


def _divided_by_gaps(real: cs.MX, imag: cs.MX, x: cs.MX, y: cs.MX) -> tuple[cs.MX, cs.MX]:
    """Return each entry (i, j) of x + iy divided by the conjugate of w_j - w_i, and 0 where these are equal."""
    n = real.size1()
    a, b = rows(real, n) - columns(real, n), rows(imag, n) - columns(imag, n)
    squares = a * a + b * b
    differ = squares > (4 * n * EPS) ** 2 * cs.mmax(real * real + imag * imag)
    fine = differ + mask(np.eye(n))
    # As for symmetric matrices: 0, with slope nan where two are equal.
    no_slope = (1 - fine) * cs.sqrt(fine + (1 - fine) * differ * squares)
    factor = inverse_where(differ, squares)
    return factor * (a * x - b * y) + no_slope, factor * (a * y + b * x) + no_slope


def _inner(values: Matrices, value_seeds: Matrices, turns: Matrices) -> cs.MX:
    """Return the sensitivity to V^-1 dA V, of those to the eigenvalues and to what eigenvectors turn by."""
    n = values[0].size1()
    divided = _divided_by_gaps(*values, *turns)
    return _block(*(mask(np.eye(n)) * columns(seed, n) + turn for seed, turn in zip(value_seeds, divided, strict=True)))


def _eig_reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    (real, imag, x, y), (real_, imag_, x_, y_) = outputs, seeds
    n = real.size1()
    # Of an eigenvector the length is 1 and the largest entry real: how it changes along itself.
    along, around = cs.sum1(x_ * x + y_ * y), cs.sum1(x_ * y - y_ * x)
    sizes = x * x * (y == 0)
    largest = cs.horzcat(*(size >= cs.mmax(size) * (1 - 1e-9) for size in cs.horzsplit(sizes)))
    largest = largest / rows(cs.sum1(largest).T, n)
    pivots = cs.sum1(largest * x)
    x_, y_ = x_ - x * rows(along.T, n), y_ - y * rows(along.T, n) + largest * rows((around / pivots).T, n)
    v = _block(x, y)
    turns = _parts(product(v.T, _block(x_, y_)))
    sensitivity = _parts(solved(v.T, product(_inner([real, imag], [real_, imag_], turns), v.T)))
    return sensitivity[: len(inputs)]


def _eig_evaluate(inputs: Any, wanted: Any) -> Any:
    w, v = np.linalg.eig(inputs[0] if len(inputs) == 1 else inputs[0] + 1j * inputs[1])
    return w.real, w.imag, v.real, v.imag


_EIG = Kind("complex_eig", _eig_evaluate, _eig_reverse)


@functools.cache
def _eigh(uplo: Any) -> Kind:
    """Eigenvalues and orthonormal eigenvectors of the Hermitian matrix in one triangle; no phase of these changes."""

    def evaluate(inputs: Any, wanted: Any) -> Any:
        w, v = np.linalg.eigh(inputs[0] + 1j * inputs[1], uplo)
        return w, v.real, v.imag

    def reverse(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
        (w, x, y), (w_, x_, y_) = outputs, seeds
        v, nothing = _block(x, y), cs.MX(cs.DM.zeros(w.size1(), 1))
        turns = _parts(product(v.T, _block(x_, y_)))
        real, imag = _parts(product(v, product(_inner([w, nothing], [w_, nothing], turns), v.T)))
        upper, one = uplo.upper() == "U", np.ones((w.size1(),) * 2)
        strict = mask(np.triu(one, 1) if upper else np.tril(one, -1))
        return [folded(real, upper), strict * (imag - imag.T)]

    return Kind("complex_eigh", evaluate, reverse)


@implements_complex(np.linalg.eigh)
def eigh(a: ComplexArray, UPLO: Any = "L") -> Any:
    """Eigenvalues and eigenvectors of the Hermitian matrix in one triangle."""
    n, value = a.shape[-1], np.linalg.eigh(a.value, UPLO)
    both: Any = type(value)
    values = [value.eigenvalues, *_two(value.eigenvectors)]
    w, x, y = _called(_eigh(UPLO), a, [(n,), (n, n), (n, n)], values)
    return both(w, ComplexArray(x, y))


implements_complex(np.linalg.eigvalsh)(lambda a, UPLO="L": np.linalg.eigh(a, UPLO)[0])


@implements_complex(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors of a matrix, real or complex, as complex arrays."""
    n, value = a.shape[-1], np.linalg.eig(a.value)
    both: Any = type(value)
    values = [*_two(value.eigenvalues), *_two(value.eigenvectors)]
    real, imag, x, y = _called(_EIG, a, [(n,), (n,), (n, n), (n, n)], values)
    return both(ComplexArray(real, imag), ComplexArray(x, y))


implements_complex(np.linalg.eigvals)(lambda a: np.linalg.eig(a)[0])


def _two(z: Any) -> list[Any]:
    return [z.real, z.imag]


def _called(kind: Kind, a: Any, shapes_out: Any, values: Any) -> list[Any]:
    """Return the results of a factorisation of each matrix of a stack, with NumPy's values."""
    both = [part for part in parts(a) if part is not None]
    note_call(can_fail=True)
    call = matrix_call(kind, [a.shape[-2:]] * len(both), shapes_out, math.prod(a.shape[:-2]))
    nodes = call.call([full_node(part, a.shape) for part in both])
    return [new_array(reshaped(node, np.shape(value)), value) for node, value in zip(nodes, values, strict=True)]
