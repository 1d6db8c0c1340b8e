"""Sums of products over chosen axes: einsum, tensordot and their kin, all by way of matrix products."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from archimedes_grad.arrays.constants import constant_node
from archimedes_grad.arrays.dispatch import implements
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import gathered, node_of, typed, value_of
from archimedes_grad.rules.attempts import implements_fallible
from archimedes_grad.rules.composition import assigned, require_target, written
from archimedes_grad.rules.movement import moved_each

Label = Hashable

#: An operand of a contraction: an array, traced or not, and one label for each of its axes.
Labelled = tuple[Any, list[Label]]


def finished(result: Any, value: Any, out: Any, name: str) -> Any:
    """Return a result computed in floats with NumPy's own value and dtype, or ``out`` that it was written to."""
    return written(out, new_array(typed(node_of(result), np.asarray(value).dtype), value), name)


def as_float(operand: Any) -> Any:
    """Return an operand as a float64 array, traced if it is traced."""
    operand = gathered(operand)
    return operand.astype(np.float64, copy=False) if hasattr(operand, "astype") else np.asarray(operand, float)


# --- pairwise contraction --------------------------------------------------------------------------


def contracted(a: Labelled, b: Labelled, kept: set[Label]) -> Labelled:
    """Multiply two operands and sum over every label of theirs that is not kept."""
    (left, right) = _without_broadcast_labels(_without_repeats(a), _without_repeats(b))
    left = _summed(left, kept | set(right[1]))
    right = _summed(right, kept | set(left[1]))
    shared = [label for label in left[1] if label in right[1]]
    batch = [label for label in shared if label in kept]
    inner = [label for label in shared if label not in kept]
    of_left = [label for label in left[1] if label not in shared]
    of_right = [label for label in right[1] if label not in shared]
    sizes = _sizes(left) | _sizes(right)

    def shape(*groups: list[Label]) -> tuple[int, ...]:
        return tuple(sizes[label] for group in groups for label in group)

    if not inner or not (of_left or of_right):
        first = np.reshape(_ordered(left, batch + inner + of_left), shape(batch, inner, of_left) + (1,) * len(of_right))
        second = np.reshape(
            _ordered(right, batch + inner + of_right), shape(batch, inner) + (1,) * len(of_left) + shape(of_right)
        )
        return _summed((np.multiply(first, second), batch + inner + of_left + of_right), kept)
    count = (math.prod(shape(batch)),) if batch else ()
    length = math.prod(shape(inner))
    rows = np.reshape(_ordered(left, batch + of_left + inner), (*count, math.prod(shape(of_left)), length))
    columns = np.reshape(_ordered(right, batch + inner + of_right), (*count, length, math.prod(shape(of_right))))
    product = np.matmul(rows, columns)
    return np.reshape(product, shape(batch, of_left, of_right)), batch + of_left + of_right


def _sizes(operand: Labelled) -> dict[Label, int]:
    return dict(zip(operand[1], np.shape(value_of(operand[0])), strict=True))


def _ordered(operand: Labelled, labels: list[Label]) -> Any:
    array, own = operand
    return array if own == labels else np.transpose(array, [own.index(label) for label in labels])


def _summed(operand: Labelled, kept: set[Label]) -> Labelled:
    array, labels = operand
    axes = tuple(axis for axis, label in enumerate(labels) if label not in kept)
    if not axes:
        return operand
    return np.sum(array, axis=axes), [label for label in labels if label in kept]


def _without_repeats(operand: Labelled) -> Labelled:
    """Take the diagonal wherever a label stands for several axes."""
    array, labels = operand
    for label in [label for label, times in Counter(labels).items() if times > 1]:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            array = np.diagonal(array, axis1=first, axis2=second)
            labels = [*labels[:first], *labels[first + 1 : second], *labels[second + 1 :], label]
    return array, labels


def _without_broadcast_labels(a: Labelled, b: Labelled) -> tuple[Labelled, Labelled]:
    """Drop an axis of length 1 where the other operand has the same label with another length."""
    sizes_a, sizes_b = _sizes(a), _sizes(b)

    def dropped(operand: Labelled, own: dict[Label, int], other: dict[Label, int]) -> Labelled:
        array, labels = operand
        axes = tuple(i for i, label in enumerate(labels) if own[label] == 1 and other.get(label, 1) != 1)
        if not axes:
            return operand
        return np.squeeze(array, axes), [label for i, label in enumerate(labels) if i not in axes]

    return dropped(a, sizes_a, sizes_b), dropped(b, sizes_b, sizes_a)


# --- einsum ----------------------------------------------------------------------------------------


@implements(np.einsum)
def einsum(*operands: Any, out: Any = None, optimize: Any = False, **options: Any) -> Any:
    """The sum of products that subscripts spell; contracted pair by pair, as ``optimize`` or greed orders."""
    operands = tuple(gathered(operand) for operand in operands)
    plain = tuple(value_of(operand) for operand in operands)
    value = np.einsum(*plain, optimize=optimize, **options)
    inputs, output = _parsed(operands)
    dtype = options.get("dtype")
    if dtype is not None:
        inputs = [(np.asarray(array).astype(dtype), labels) for array, labels in inputs]
    elif len(inputs) == 1 and out is None and set(inputs[0][1]) == set(output):
        # Nothing is summed: axes exchanged, or a diagonal, of which NumPy gives views.
        array = inputs[0][0]

        def moved(entries: Any) -> Any:
            given = (entries if operand is array else operand for operand in operands)
            return np.einsum(*given, optimize=optimize, **options)

        return moved_each(array, moved)
    terms: list[Labelled] = [(as_float(array), labels) for array, labels in inputs]
    if len(terms) == 1:
        terms = [_summed(_without_repeats(terms[0]), set(output))]
    path = [(0, 1)] if len(terms) == 2 else _path(plain, optimize) if len(terms) > 2 else []
    for positions in path:
        chosen = [terms[i] for i in positions]
        terms = [term for i, term in enumerate(terms) if i not in positions]
        needed = set(output).union(*(labels for _, labels in terms))
        for k, other in enumerate(chosen[1:], start=2):
            later = needed.union(*(labels for _, labels in chosen[k:]))
            chosen[0] = contracted(chosen[0], other, later)
        terms.append(_summed(chosen[0], needed))
    if out is not None and options.get("casting") == "unsafe":
        return assigned(require_target(out, "np.einsum"), _ordered(terms[0], output))
    return finished(_ordered(terms[0], output), value, out, "einsum")


def _path(plain: tuple[Any, ...], optimize: Any) -> list[tuple[int, ...]]:
    wanted = optimize if optimize is not False and optimize is not True else "greedy"
    return list(np.einsum_path(*plain, optimize=wanted)[0][1:])


def _parsed(operands: Sequence[Any]) -> tuple[list[Labelled], list[Label]]:
    """Return arrays with their labels and the labels of the output; the subscripts are known to be valid."""
    if isinstance(operands[0], str):
        text = operands[0].replace(" ", "")
        arrays = list(operands[1:])
        spelled, arrow, last = text.partition("->")
        terms = [_characters(term) for term in spelled.split(",")]
        output = _characters(last) if arrow else None
    else:
        arrays = list(operands[: len(operands) - len(operands) % 2 : 2])
        terms = [list(term) for term in operands[1::2]]
        output = list(operands[-1]) if len(operands) % 2 else None
    ranks = [np.ndim(value_of(array)) for array in arrays]
    hidden = [rank - len(term) + 1 if Ellipsis in term else 0 for rank, term in zip(ranks, terms, strict=True)]
    labels = [_spelled_out(term, count) for term, count in zip(terms, hidden, strict=True)]
    if output is None:
        times = Counter(label for term in labels for label in term if not isinstance(label, tuple))
        once: list[Any] = [label for label, count in times.items() if count == 1]
        output = [Ellipsis, *sorted(once)]
    return list(zip(arrays, labels, strict=True)), _spelled_out(output, max(hidden))


def _characters(term: str) -> list[Any]:
    """Return the labels of one operand, Ellipsis for three dots."""
    before, dots, after = term.partition("...")
    return [*before, Ellipsis, *after] if dots else list(before)


def _spelled_out(term: list[Any], count: int) -> list[Label]:
    """Replace Ellipsis by as many labels of its own, counted from the right as broadcasting does."""
    if Ellipsis not in term:
        return term
    place = term.index(Ellipsis)
    return [*term[:place], *(("...", i) for i in range(-count, 0)), *term[place + 1 :]]


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: Any = False) -> Any:
    """NumPy's own contraction order, which depends on shapes only."""
    plain = (value_of(gathered(operand)) for operand in operands)
    return np.einsum_path(*plain, optimize=optimize, einsum_call=einsum_call)


# --- products with a meaning of their own ----------------------------------------------------------


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes."""
    a, b = gathered(a), gathered(b)
    value = np.tensordot(value_of(a), value_of(b), axes)
    ndim_a, ndim_b = np.ndim(value_of(a)), np.ndim(value_of(b))
    if np.ndim(axes) == 0:
        over_a, over_b = list(range(ndim_a - axes, ndim_a)), list(range(axes))
    else:
        over_a, over_b = ([int(i) for i in np.atleast_1d(side)] for side in axes)
    labels_a: list[Label] = [("a", i) for i in range(ndim_a)]
    labels_b: list[Label] = [("b", i) for i in range(ndim_b)]
    for i, j in zip(over_a, over_b, strict=True):
        labels_b[j] = labels_a[i]
    output = [label for label in labels_a if label not in labels_b] + [x for x in labels_b if x not in labels_a]
    product = contracted((as_float(a), labels_a), (as_float(b), labels_b), set(output))
    return finished(_ordered(product, output), value, None, "tensordot")


@implements(np.linalg.tensordot)
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """As ``numpy.tensordot``."""
    return np.tensordot(x1, x2, axes)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: each entry of a times the whole of b."""
    a, b = gathered(a), gathered(b)
    value = np.kron(value_of(a), value_of(b))
    shape_a, shape_b = np.shape(value_of(a)), np.shape(value_of(b))
    ndim = max(len(shape_a), len(shape_b))
    padded_a = (1,) * (ndim - len(shape_a)) + shape_a
    padded_b = (1,) * (ndim - len(shape_b)) + shape_b
    spread_a = np.reshape(a, [n for length in padded_a for n in (length, 1)])
    spread_b = np.reshape(b, [n for length in padded_b for n in (1, length)])
    return np.reshape(np.multiply(spread_a, spread_b), np.shape(value))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vector product; of two vectors in the plane, the number that is its third component."""
    a, b = gathered(a), gathered(b)
    value = np.cross(value_of(a), value_of(b), axisa, axisb, axisc, axis)
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    flat = np.shape(value_of(a))[-1] == 2 and np.shape(value_of(b))[-1] == 2
    x, y = _in_space(a), _in_space(b)
    ahead, behind = np.array([1, 2, 0]), np.array([2, 0, 1])
    if flat:
        return np.subtract(x[..., 0] * y[..., 1], x[..., 1] * y[..., 0])
    product = x[..., ahead] * y[..., behind] - x[..., behind] * y[..., ahead]
    return new_array(np.moveaxis(product, -1, axisc).node, value)


def _in_space(vectors: Any) -> Any:
    """Return vectors with a third component, zero for vectors in the plane."""
    shape = np.shape(value_of(vectors))
    return vectors if shape[-1] == 3 else np.concatenate([vectors, np.zeros((*shape[:-1], 1))], -1)


@implements(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The vector product in three dimensions."""
    np.linalg.cross(value_of(gathered(x1)), value_of(gathered(x2)), axis=axis)
    return np.cross(x1, x2, axis=axis)


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Any:
    """The product of several matrices, in the order that multiplies least."""
    arrays = [gathered(array) for array in arrays]
    value = np.linalg.multi_dot([value_of(array) for array in arrays])
    if len(arrays) == 2:  # NumPy's is the product of any two arrays.
        return finished(np.dot(*arrays), value, out, "multi_dot")
    shapes = [np.shape(value_of(array)) for array in arrays]
    edges = [shapes[0][0] if len(shapes[0]) == 2 else 1, *(shape[0] for shape in shapes[1:])]
    edges.append(shapes[-1][1] if len(shapes[-1]) == 2 else 1)
    product = _chained(arrays, _splits(edges), 0, len(arrays) - 1)
    return finished(product, value, out, "multi_dot")


def _splits(edges: list[int]) -> dict[tuple[int, int], int]:
    """Return where each stretch of the chain is best split (Cormen et al., matrix-chain multiplication)."""
    count = len(edges) - 1
    cost = {(i, i): 0 for i in range(count)}
    split = {}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length - 1
            costs = {k: cost[i, k] + cost[k + 1, j] + edges[i] * edges[k + 1] * edges[j + 1] for k in range(i, j)}
            split[i, j] = min(costs, key=costs.__getitem__)
            cost[i, j] = costs[split[i, j]]
    return split


def _chained(arrays: list[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return arrays[i]
    k = split[i, j]
    return np.dot(_chained(arrays, split, i, k), _chained(arrays, split, k + 1, j))


@implements_fallible(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """A whole power of a matrix by repeated squaring; of its inverse if n is negative."""
    a = gathered(a)
    value = np.linalg.matrix_power(value_of(a), n)
    if n == 1:
        return a
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 1:
        return a
    power = None
    square = as_float(a)
    while n:
        if n & 1:
            power = square if power is None else np.matmul(power, square)
        n >>= 1
        square = np.matmul(square, square) if n else square
    if power is None:
        power = np.zeros_like(a) + np.eye(a.shape[-1])
    return finished(power, value, None, "matrix_power")


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """The products of all pairs of entries of two vectors."""
    x1, x2 = gathered(x1), gathered(x2)
    np.linalg.outer(value_of(x1), value_of(x2))
    return np.outer(x1, x2)


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    """As ``numpy.matmul``."""
    return np.matmul(x1, x2)


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """As ``numpy.vecdot``."""
    vecdot: Any = np.vecdot
    return vecdot(x1, x2, axis=axis)


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of a diagonal of the last two axes."""
    return np.trace(x, offset, -2, -1, dtype)


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of the entries, one column for each."""
    x = gathered(x)
    value = np.vander(value_of(x), N, increasing)
    x = x.astype(value.dtype)
    columns = [np.ones_like(x)]
    for _ in range(1, value.shape[1]):
        columns.append(columns[-1] * x)
    if not value.shape[1]:
        return new_array(constant_node(np.zeros(value.shape)), value)
    powers = np.stack(columns if increasing else columns[::-1], axis=-1)
    return finished(powers, value, None, "vander")
