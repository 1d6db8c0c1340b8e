"""Nothing is wrong at special values but for the written exceptions."""

import numpy as np
import pytest
from helpers import forced
from scipy import special

from archimedes_grad.arrays.dispatch import ELEMENTWISE

from .cells import REDUCTIONS, between_cells, reduction_cells, special_cells, ufunc_cells
from .table import BINARY, SPECIAL, UNARY

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["scalar", "array"])
def representation(request):
    with forced(request.param):
        yield request.param


def _name(function):
    return getattr(function, "__name__", repr(function))


def test_every_smooth_ufunc_has_its_derivative_in_the_table():
    others = {
        np.ldexp, np.modf, np.divmod, np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_not, np.less,
        np.less_equal, np.equal, np.not_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
        np.logical_xor,
    }  # fmt: skip
    ours = {ufunc for ufunc in ELEMENTWISE if getattr(np, ufunc.__name__, None) is ufunc}
    assert ours - others == {*UNARY, *BINARY}


@pytest.mark.parametrize("ufunc", UNARY, ids=_name)
def test_ufunc_of_one_argument(ufunc, representation):
    count, wrong = ufunc_cells(ufunc, (UNARY[ufunc],))
    assert count >= 70
    assert wrong == []


@pytest.mark.parametrize("ufunc", BINARY, ids=_name)
def test_ufunc_of_two_arguments(ufunc, representation):
    count, wrong = ufunc_cells(ufunc, BINARY[ufunc])
    assert count >= 900
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in SPECIAL if hasattr(special, name)])
def test_special_function(name, representation):
    count, wrong = special_cells(name)
    assert count >= 40
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in SPECIAL if hasattr(special, name)])
def test_special_function_between_its_special_points(name):
    count, wrong = between_cells(name)
    assert count >= 6
    assert wrong == []


@pytest.mark.parametrize("reduction", REDUCTIONS, ids=_name)
def test_reduction(reduction, representation):
    count, wrong = reduction_cells(reduction)
    assert count == 1000
    assert wrong == []


def test_a_wrong_sign_of_zero_and_a_wrong_slope_are_seen(monkeypatch):
    right = ELEMENTWISE[np.tanh]
    monkeypatch.setitem(ELEMENTWISE, np.tanh, lambda x: right(x) + 0.0)
    _, wrong = ufunc_cells(np.tanh, (UNARY[np.tanh],))
    assert wrong == [f"tanh of {way} at [-0.0]: 0.0 in place of -0.0" for way in ("arrays", "numbers")]
    monkeypatch.setitem(ELEMENTWISE, np.absolute, lambda x: x * (2 * (x > 0) - 1))
    _, wrong = ufunc_cells(np.absolute, (UNARY[np.absolute],))
    assert any("gradient by 0 at [0.0]" in text for text in wrong)
