"""Padding, joining, grids and loops over axes."""

import numpy as np
import pytest
from checks import check_row, check_same_error, row
from helpers import check_value, sample

import archimedes_grad as arc

MODES = ("constant", "edge", "wrap", "reflect", "symmetric", "linear_ramp", "maximum", "minimum", "mean", "median")


def pad_with(vector, width, axis, keywords):
    """Write margins in place, as a function given to np.pad does."""
    vector[: width[0]] = keywords.get("padder", 10)
    vector[-width[1] :] = vector[width[0]] * 2


ROWS = [
    *(row(lambda x, m=m: np.pad(x, 2, m), shape) for m in MODES for shape in ((4,), (3, 4))),
    *(row(lambda x, m=m: np.pad(x, (0, 5), m), (3,)) for m in MODES),
    *(row(lambda x, m=m: np.pad(x, ((1, 0), (2, 3)), m), (3, 4)) for m in MODES),
    *(row(lambda x, m=m: np.pad(x, 4, m, reflect_type="odd"), shape)
      for m in ("reflect", "symmetric") for shape in ((3,), (2, 4))),
    row(lambda x: np.pad(x, (1, 2), constant_values=(3, 4)), (3, 2)),
    row(lambda x: np.pad(x, (1, 2), "linear_ramp", end_values=(3, 4)), (3, 2)),
    *(row(lambda x, m=m: np.pad(x, (1, 2), m, stat_length=2), (3, 4)) for m in ("mean", "median", "maximum")),
    row(lambda x: np.pad(x, 1, constant_values=x[0]), (3,)),
    row(lambda x: np.pad(x, 2, pad_with, padder=3), (3, 2)),
    row(lambda x, y: np.append(x, y), (2, 2), (3,)),
    row(lambda x, y: np.append(x, y, 0), (2, 2), (1, 2)),
    row(lambda x: np.append([1, 2], x), (2,)),
    row(lambda x: np.insert(x, 1, 5), (3,)),
    row(lambda x, y: np.insert(x, [0, 2], y, axis=1), (3, 2), (2,)),
    row(lambda x, y: np.insert(x, 1, y, axis=0), (3, 2), (2,)),
    row(lambda y: np.insert([1.0, 2.0], [1, 1], y), (2,)),
    row(lambda x, y: np.block([[x, np.zeros((2, 1))], [y, 2.0]]), (2, 2), (1, 2)),
    row(lambda x: np.block([x, x]), (2, 2)),
    row(lambda x: np.block([x[0], 1.0]), (2,)),
    row(lambda x: np.block([[[x]], [[x]]]), (2,)),
    row(lambda x, y: np.meshgrid(x, y), (2,), (3,)),
    row(lambda x, y: np.meshgrid(x, y, [1.0, 2.0], indexing="ij", sparse=True), (2,), (3,)),
    row(lambda x: np.ix_(x, x)[0] * 2, (3,)),
    row(lambda x: np.geomspace(x[0], 3, 5), (2,), positive=True, second=True),
    row(lambda x: np.geomspace(x[0], x, 5, axis=-1), (2,), positive=True),
    row(lambda x: np.geomspace(-x[0], -x[1], 4, endpoint=False), (2,), positive=True),
    row(lambda x: np.logspace(x[0], x[1], 4), (2,)),
    row(lambda x, b: np.logspace(x[0], 2, 4, base=b), (2,), (), positive=True),
    row(lambda x: np.diagflat(x, 1), (2, 2)),
    row(lambda x: np.lib.stride_tricks.sliding_window_view(x, 3).sum(-1), (6,)),
    row(lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)), (3, 4)),
    row(lambda x: np.apply_along_axis(lambda v: v[::-1] * v.sum(), 0, x), (3, 4), second=True),
    row(lambda x: np.apply_along_axis(np.sum, 1, x), (3, 4)),
    row(lambda x: np.apply_along_axis(lambda v: np.outer(v, v), 1, x), (3, 4, 2)),
    row(lambda x: np.apply_over_axes(np.sum, x, [0, 2]), (3, 4, 2)),
    *(row(f, (3, 4)) for f in (lambda x: np.astype(x, np.float64),) if hasattr(np, "astype")),
    *(row(f, (2, 3)) for f in (lambda x: np.unstack(x, axis=1),) if hasattr(np, "unstack")),
    row(lambda x: x + np.diag_indices_from(x)[0].sum() + len(np.tril_indices_from(x)), (3, 3)),
    row(lambda x: np.vectorize(lambda a, b: np.sin(a) * b)(x, 2.0), (3,)),
    row(lambda x: np.require(x, float) * np.asfortranarray(x), (3, 2)),
    row(lambda x: np.full(3, x[0], like=x) + np.eye(3, like=x) + np.tri(3, like=x), (3,)),
    row(lambda x: x * np.fromfunction(lambda i: i * x[0], (3,), like=x), (3,)),
    row(lambda x: x + np.require([1.0, 2.0], like=x) + np.fromiter([1.0, 2.0], float, like=x), (2,)),
    row(lambda x: np.asfortranarray([1.0, 2.0], like=x) + np.identity(2, like=x) * x, (2,)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)


def test_metadata_is_plain():
    seen = []

    def f(x):
        seen.extend([np.shape(x), np.ndim(x), np.size(x), np.result_type(x, np.float32), np.can_cast(x.dtype, int),
                     np.isrealobj(x), np.iscomplexobj(x), np.min_scalar_type(x), np.common_type(x)])  # fmt: skip
        assert "SymbolicArray" in np.array_repr(x)
        assert "SymbolicArray" in np.array2string(x)
        return np.sum(x)

    x = sample((2, 3))
    arc.grad(f)(x)
    assert seen == [(2, 3), 2, 6, np.float64, False, True, False, np.min_scalar_type(x), np.float64]


def test_results_are_copies_where_numpy_copies():
    def f(x):
        y = x * 1.0
        np.pad(y, 0)[0] = 9.0
        np.meshgrid(y, y)[0][0] = 9.0
        np.meshgrid(y, y, copy=False, sparse=True)[1][0] = 5.0
        np.ix_(y)[0][1] = 7.0
        np.append(y, 1.0)[0] = 9.0
        return y

    check_value(f, sample((3,)))


def test_dtypes_are_numpys():
    whole = sample((4,), "whole")
    for function in (lambda x: np.pad(x, 2, "mean"), lambda x: np.pad(x, 1, "linear_ramp", end_values=9),
                     lambda x: np.pad(x, 1, constant_values=2.7), lambda x: np.insert(x, 1, 2.7),
                     lambda x: np.append(x, 2.5), lambda x: np.block([x, 1.5]), lambda x: np.diagflat(x),
                     lambda x: np.pad(x, 2, "reflect", reflect_type="odd"), lambda x: np.geomspace(1, x[0] + 10, 3),
                     lambda x: np.pad(x, 2, "median"), lambda x: np.apply_along_axis(np.sum, 0, x)):  # fmt: skip
        check_value(function, whole)


@pytest.mark.parametrize("call", [
    lambda x: np.pad(x, -1), lambda x: np.pad(x, 1, "none"), lambda x: np.pad(x, 1, "edge", end_values=3),
    lambda x: np.pad(x, ((1, 1),) * 3), lambda x: np.insert(x, 99, 1.0), lambda x: np.append(x, [1.0], 0),
    lambda x: np.block([[x], [x[:, :2]]]), lambda x: np.block([x, [x]]), lambda x: np.meshgrid(x, x, indexing="no"),
    lambda x: np.ix_(x), lambda x: np.apply_along_axis(np.sum, 7, x), lambda x: np.geomspace(0.0, x[0, 0]),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 9, 0), lambda x: np.diag_indices_from(x),
])  # fmt: skip
def test_bad_input_raises_what_numpy_raises(call):
    check_same_error(call, sample((3, 4)))
