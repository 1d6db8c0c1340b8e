"""Every function of one array, at numbers, arrays without axes and of no entries, of every dtype and axis.

Results have NumPy's value, shape and dtype, or both raise.
"""

import inspect
import itertools

import numpy as np
import pytest

import archimedes_grad as arc

#: Positional arguments behind the array.
MORE = {
    "all": (), "amax": (), "amin": (), "angle": (), "any": (), "append": (2.0,), "argmax": (), "argmin": (),
    "argwhere": (), "around": (), "array_split": (2,), "astype": (np.float32,), "atleast_1d": (), "atleast_2d": (),
    "atleast_3d": (), "average": (), "broadcast_to": ((2, 2, 3),), "clip": (0, 1), "compress": ([True],),
    "convolve": ([1, 2.0],), "copy": (), "corrcoef": (), "count_nonzero": (), "cov": (), "cross": (np.ones(3),),
    "cumprod": (), "cumsum": (), "cumulative_prod": (), "cumulative_sum": (), "delete": (0,), "diag": (),
    "diagflat": (), "diagonal": (), "diff": (), "digitize": ([0, 1],), "dot": (2.0,), "dsplit": (1,), "ediff1d": (),
    "expand_dims": (0,), "extract": ([1.0],), "fix": (), "flatnonzero": (), "flip": (), "fliplr": (), "flipud": (),
    "full_like": (3.0,), "geomspace": (2.0, 4), "gradient": (), "histogram": (3,), "histogram_bin_edges": (3,),
    "histogramdd": (2,), "hsplit": (1,), "i0": (), "imag": (), "inner": (2.0,), "insert": (0, 1.0),
    "interp": ([0, 1], [2, 3]), "isin": ([1.0],), "iscomplex": (), "iscomplexobj": (), "isneginf": (), "isposinf": (),
    "isreal": (), "isrealobj": (), "ix_": (), "kron": (2.0,), "lexsort": (), "linspace": (2.0, 4),
    "logspace": (2.0, 4), "matmul": (np.ones(3),), "matrix_transpose": (), "max": (), "mean": (), "median": (),
    "meshgrid": (), "min": (), "moveaxis": (0, 0), "nan_to_num": (), "nanargmax": (), "nanargmin": (),
    "nancumprod": (), "nancumsum": (), "nanmax": (), "nanmean": (), "nanmedian": (), "nanmin": (),
    "nanpercentile": (30,), "nanprod": (), "nanquantile": (0.3,), "nanstd": (), "nansum": (), "nanvar": (), "ndim": (),
    "nonzero": (), "ones_like": (), "outer": ([1, 2.0],), "pad": (1,), "percentile": (30,), "permute_dims": (),
    "poly": (), "polyder": (), "polyint": (), "polymul": ([1.0, 2.0],), "polyval": (2.0,), "prod": (), "ptp": (),
    "quantile": (0.3,), "ravel": (), "real": (), "real_if_close": (), "repeat": (2,), "reshape": ((1, -1),),
    "resize": ((3,),), "roll": (1,), "rollaxis": (0,), "rot90": (), "round": (), "setdiff1d": ([1.0],), "shape": (),
    "sinc": (), "size": (), "sort": (), "sort_complex": (), "split": (1,), "squeeze": (), "std": (), "sum": (),
    "swapaxes": (0, 0), "take": ([0],), "tensordot": (2.0, 0), "tile": (2,), "trace": (), "transpose": (),
    "trapezoid": (), "tri": (), "tril": (), "triu": (), "union1d": ([1.0],), "unique": (),
    "unique_all": (), "unstack": (), "unwrap": (), "vander": (3,), "var": (), "vdot": (2.0,), "vecdot": (np.ones(3),),
    "vsplit": (1,), "where": (1, 2), "zeros_like": (),
}  # fmt: skip
#: Some are new in later versions of NumPy.
HERE = [name for name in MORE if hasattr(np, name)]
DTYPES = ("float64", "float32", "int64", "bool")
SHAPES = ((), (0,), (2, 0), (3,), (2, 3))


def _array(dtype, shape):
    entries = np.array([1.5, 0, 2.25, -1, 0, 3.5])[: int(np.prod(shape))]
    return (entries if dtype[0] == "f" else 2 * entries).astype(dtype).reshape(shape)


def _keywords(function):
    try:
        known = inspect.signature(function).parameters if not isinstance(function, np.ufunc) else {}
    except ValueError:  # What NumPy wrote in C had none in its earlier versions; nor has it these keywords.
        known = {}
    axes = (0, -1, 1, None, ()) if "axis" in known else ()
    kept = ({"keepdims": True},) if "keepdims" in known else ()
    both = ({"axis": 0, "keepdims": True},) if axes and kept else ()
    return [{}, *({"axis": axis} for axis in axes), *kept, *both]


def _outcome(call, x):
    """Return a result in a form that compares, or that an error was raised."""
    try:
        result = call(x.copy() if isinstance(x, np.ndarray) else x)
    except arc.TraceError:
        return "refused"
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return "raises"
    return _form(result)


def _form(result):
    if isinstance(result, tuple | list):
        return [_form(item) for item in result]
    array = np.asarray(result)
    return array.shape, str(array.dtype), array.tolist()


def _alike(got, expected):
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(_alike, got, expected))
    if not isinstance(got, tuple) or not isinstance(expected, tuple):
        return got == expected
    rtol = 1e-5 if expected[1] == "float32" else 1e-12
    return got[:2] == expected[:2] and np.allclose(got[2], expected[2], rtol, rtol, equal_nan=True)


@pytest.mark.filterwarnings("ignore")  # NumPy's, of what it is given here
@pytest.mark.parametrize("name", HERE)
def test_whatever_is_given(name):
    function = getattr(np, name)
    for dtype, shape, keywords in itertools.product(DTYPES, SHAPES, _keywords(function)):
        array = _array(dtype, shape)

        def call(x, keywords=keywords):
            return function(x, *MORE[name], **keywords)

        for x in (array, array[()]) if not shape else (array,):
            got = _outcome(arc.compile(call), x)
            assert got == "refused" or _alike(got, _outcome(call, x)), (dtype, shape, keywords)
