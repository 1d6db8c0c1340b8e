"""Random samples of ufuncs and dtypes, Python numbers among them: NumPy's values, dtypes and refusals."""

import numpy as np
import pytest
from numpy.testing import overrides

import archimedes_grad as arc
from archimedes_grad.arrays import dispatch

dispatch.load_all_rules()
DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float32", "float64")
#: A Python number takes on the dtype of the array beside it (NEP 50).
PYTHON = (2, 1.5, True)
UFUNCS = sorted(
    (u for u in overrides.get_overridable_numpy_ufuncs() if dispatch.has_rule(u) and not u.signature and u.nin <= 2),
    key=lambda ufunc: ufunc.__name__,
)
SAMPLES = 6


def operand(rng):
    """Return a small array of a random dtype, or sometimes a Python number."""
    if rng.random() < 0.15:
        return PYTHON[rng.integers(len(PYTHON))]
    dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))])
    low = 0 if dtype.kind in "ub" else -6
    entries = rng.integers(low, 7, 6) if dtype.kind != "f" else rng.uniform(low, 7, 6)
    return entries.astype(dtype)


def refusal_of(call, args):
    """Return what NumPy raises, or None."""
    try:
        call(*args)
    except (TypeError, ValueError, OverflowError) as refusal:
        return refusal
    return None


def agree(got, expected):
    assert got.dtype == expected.dtype
    floating = expected.dtype.kind == "f"
    rtol = max(8 * float(np.finfo(expected.dtype).eps), 1e-13) if floating else 0
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol, strict=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_ufuncs_of_random_dtypes(ufunc):
    rng = np.random.default_rng(sum(map(ord, ufunc.__name__)))
    done = 0
    while done < SAMPLES:
        operands = [operand(rng) for _ in range(ufunc.nin)]
        if not any(isinstance(x, np.ndarray) for x in operands):
            continue
        done += 1
        traced = [x for x in operands if isinstance(x, np.ndarray)]

        def call(*arrays, operands=operands):
            rest = iter(arrays)
            return ufunc(*(next(rest) if isinstance(x, np.ndarray) else x for x in operands))

        refused = refusal_of(call, traced)
        if refused is not None:
            with pytest.raises(type(refused)) as caught:
                arc.compile(call)(*traced)
            assert str(caught.value) == str(refused)
            continue
        results = arc.compile(call)(*traced), call(*traced)
        for part, right in zip(*(x if isinstance(x, tuple) else (x,) for x in results), strict=True):
            agree(part, right)
