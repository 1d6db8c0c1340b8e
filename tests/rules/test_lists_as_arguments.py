"""Traced values in lists, wherever NumPy takes lists: in every function, whatever name holds it, and as options."""

import copy
from collections import deque

import numpy as np
import pytest
from checks import check_row, row
from function_cases import case, supported
from helpers import assert_same
from numpy import array, concatenate, dot, mean, where
from numpy.linalg import det, norm, solve

import archimedes_grad as arc

FUNCTIONS = {
    name: function for name, function in supported().items()
    if name.startswith("numpy.") and not isinstance(function, np.ufunc)
}  # fmt: skip

#: Of these NumPy takes no lists, or not as the benchmark calls them; dsplit looks for the shape of a list, and
#: trim_zeros gives back Python's own numbers.
OF_ARRAYS_ONLY = frozenset(f"numpy.{name}" for name in (
    "apply_over_axes", "arange", "argpartition", "array2string", "array_repr", "array_str", "astype", "broadcast_to",
    "can_cast", "common_type", "copyto", "diag_indices_from", "dsplit", "empty", "eye", "fill_diagonal", "frombuffer",
    "fromfunction", "fromiter", "fromstring", "full", "hsplit", "identity", "linalg.eig", "linalg.eigvals", "ones",
    "partition", "piecewise", "place", "put", "put_along_axis", "putmask", "resize", "result_type", "rollaxis",
    "select", "take_along_axis", "tri", "trim_zeros", "tril_indices_from", "triu_indices_from", "unstack", "where",
    "zeros",
))  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`in1d` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - OF_ARRAYS_ONLY))
def test_every_function_takes_lists(name):
    call, args = case(FUNCTIONS[name]).at(10)

    def of_lists(*args):
        return call(*(argument.tolist() if np.ndim(argument) else argument for argument in args))

    expected = of_lists(*copy.deepcopy(args))
    got = arc.compile(of_lists)(*args)
    assert_same(bool(got) if isinstance(expected, bool) else got, expected, rtol=1e-10, atol=1e-12)


A = np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [-0.3, 0.1, 1.9]])
W = np.array([0.5, 1.5, 3.0])

ROWS = [
    # Entries of lists: numbers beside traced values, nested lists, rows.
    row(lambda x: np.mean([x[0], 2 * x[1], 3.0]), (3,), second=True), row(lambda x: np.prod([x[0], x[1], 2]), (3,)),
    row(lambda x: np.std([x[0], x[1] * 2, 1]), (3,)), row(lambda x: np.mean([x, x * 2, W], axis=0), (3,)),
    row(lambda x: np.sum([[[x[0]], [1.0]], [[2.0], [x[1]]]], axis=1), (2,)), row(lambda x: np.sum(deque(x)), (3,)),
    row(lambda x: np.linalg.norm([x[0] - 1, x[1], 2.0]), (2,)), row(lambda x: np.dot(A, [x[0], 1.0, 2.0]), (1,)),
    row(lambda x: np.exp(np.concatenate([[x[0]], [x[1], 2.0]])), (2,)),
    row(lambda x: np.exp(np.dot([x[0], 1], 3)), (1,)),
    row(lambda x: np.sin(np.where([True, False], [x[0], 1.0], [x[1], x[1]])), (2,)),
    row(lambda x: np.where([x[0] > 0, x[1] > 0], 1.0, [x[1], x[0]]), (2,)),
    row(lambda x: np.linalg.solve([[x[0] + 4, 1], [2, x[1] + 4]], [x[2], 1.0]), (3,)),
    row(lambda x: np.linalg.slogdet([[4 + x[0], 1.0], [1, 5 + x[1]]])[1], (2,)),
    row(lambda x: np.abs(np.fft.fft([x[0], 1.0, x[1]])), (2,)), row(lambda x: np.interp([x[0] / 9], [0, 1], x), (2,)),
    row(lambda x: np.lib.scimath.sqrt([x[0] ** 2, 4.0]), (1,)), row(lambda x: np.pad([x[0], x[1]], 1), (2,)),
    row(lambda x: np.histogramdd([x, x * 2], 2, weights=[x[0], 1.0, 2.0])[0], (3,), gradient=False),
    row(lambda x: np.array(np.trim_zeros([0, x[0], 0, x[1], 0])), (2,)),
    # Names that were imported before the trace.
    row(lambda x: mean([x[0], 1.0]) + norm([x[0], x[1]]) + det([[x[0], 1], [2, x[1]]]), (2,)),
    row(lambda x: np.exp(concatenate([[x[0]], [1.0]]) * dot([x[0], 1.0], [x[1], 2.0])), (2,)),
    row(lambda x: np.sin(where([True, False], [x[0], 1.0], [x[1], x[1]])), (2,)),
    row(lambda x: solve([[x[0] + 4, 1], [1, 5]], [1.0, x[1]]), (2,)),
    row(lambda x: array([x[0], x[1], 3.0]).mean() + array([x[0], x[1]]).std() + array([x[0], 2.0]).var(), (2,)),
    # Options and numbers beside plain arrays.
    row(lambda x: np.trapezoid(W, dx=x[0]), (1,)), row(lambda x: np.pad(W, 1, constant_values=x[0]), (1,)),
    row(lambda x: np.full_like(W, x[0]), (1,)), row(lambda x: np.exp(np.full((2, 2), x[0])), (1,)),
    row(lambda x: np.insert(W, 1, x[0]), (1,)), row(lambda x: np.max(W, initial=x[0] * 4), (1,)),
    row(lambda x: np.sum(W, initial=x[0]), (1,)), row(lambda x: np.nan_to_num([np.nan, 1.0], nan=x[0]), (1,)),
    row(lambda x: np.interp([-1.0, 0.5], [0, 1], [2.0, 3.0], left=x[0]), (1,)),
    row(lambda x: np.select([W > 1], [W], default=x[0]), (1,)), row(lambda x: np.diff(W, prepend=x[0]), (1,)),
    # What joins, counts and iterates.
    row(lambda x: np.r_[x[0], x, 1], (2,)), row(lambda x: np.exp(np.r_[x[0], 1.0]), (1,)),
    row(lambda x: np.r_["0,2", x, W], (3,)), row(lambda x: np.r_["-1", np.outer(x, x), np.outer(W, x)], (3,)),
    row(lambda x: np.r_[x[0] : x[1] : 5j, 7.0], (2,)), row(lambda x: np.c_[x, [1, 2, 3], 4:7, x**2], (3,)),
    row(lambda x: np.r_[0:3] * x, (3,)), row(lambda x: np.c_[x], (3,)),
    row(lambda x: np.fromiter((v**2 for v in x), float), (3,)),
    row(lambda x: np.fromiter(map(np.sin, x), float, 2), (3,)),
    row(lambda x: np.fromiter(range(3), float) * x, (3,)),
    row(lambda x: np.arange(0, 9, x[0]).sum(), (1,), positive=True, paths=2),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "options"), ROWS)
def test_values_and_derivatives(function, shapes, options):
    check_row(function, shapes, options)
