"""Every keyword of every supported function: the value, the dtype and the gradient that NumPy's meaning gives."""

import ast
import functools
import inspect

import numpy as np
import pytest
from function_cases import supported
from helpers import assert_same, copied, numeric_gradient, weighted
from keyword_rows import ARGUMENTS, NAMES, REFUSED, ROWS, UFUNC_ROWS

import archimedes_grad as arc
from archimedes_grad.arrays.operands import value_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`in1d` is deprecated:DeprecationWarning"),
]

#: Keywords that need no row: of texts (a traced array's own), of deprecated or internal use, or for the memory alone.
NEED_NO_ROW = {
    "array_repr", "array_str", "array2string", "einsum_path",
    "require.like", "asarray.like", "asanyarray.like", "ascontiguousarray.like", "asfortranarray.like", "array.like",
    "argsort.order", "sort.order", "partition.order", "argpartition.order", "array.ndmax", "fromiter.like",
    # Of NumPy 2.3, deprecated there and gone since.
    "corrcoef.bias", "corrcoef.ddof", "reshape.newshape",
    *(f"{name}.interpolation" for name in ("percentile", "nanpercentile", "quantile", "nanquantile")),
}  # fmt: skip


def made(expression):
    """Return an expression as a function of the arguments that it names, and these."""
    used = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
    names = [name for name in ARGUMENTS if name in used]
    return eval(f"lambda {', '.join(names)}: {expression}", dict(NAMES)), [ARGUMENTS[name] for name in names]


def real(result):
    """Return the arrays of real numbers in a result."""
    if isinstance(result, list | tuple):
        return [part for item in result for part in real(item)]
    return [result] if getattr(getattr(result, "dtype", None), "kind", "") == "f" else []


def known(result):
    """Return what is known of a result while it is traced: by that a program decides."""
    if isinstance(result, dict):
        return known(list(result.values()))
    return [known(part) for part in result] if isinstance(result, list | tuple) else value_of(result)


@pytest.mark.parametrize("expression", [*ROWS, *UFUNC_ROWS], ids=lambda row: row[:60])
def test_value_dtype_and_gradient(expression):
    function, args = made(expression)
    expected = function(*copied(args))
    while_tracing = []

    def watched(*args):
        result = function(*args)
        while_tracing.append(known(result))
        return result

    assert_same(arc.compile(watched)(*args), expected, rtol=1e-11, atol=1e-12)
    assert_same(while_tracing[0], known(expected), rtol=1e-11, atol=1e-12)
    # NumPy's own results in single precision have no digits to spare for differences.
    if not real(expected) or "float32" in expression:
        return
    scalar = weighted(lambda *args: real(function(*args)))
    gradients = arc.grad(scalar, argnums=tuple(range(len(args))))(*args)
    for index, got in enumerate(gradients):
        right = numeric_gradient(scalar, args, index, step=1e-4)
        np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-5 * max(1e-2, np.abs(right).max(initial=0)))


def written(expression):
    """Return an expression that gives what its call writes into ``out=``, or None where it has no such call."""
    call = ast.parse(expression, mode="eval").body
    keywords = {keyword.arg: keyword for keyword in call.keywords} if isinstance(call, ast.Call) else {}
    # NumPy itself writes nothing into out= of these two, up to 2.4 at least.
    if "out" not in keywords or ast.unparse(call.func) in ("fft.hfft", "fft.irfft2"):
        return None
    target = ast.unparse(keywords["out"].value)
    keywords["out"].value = ast.Name("target")
    return f"(lambda target: ({ast.unparse(call)}, target)[1])({target})"


@pytest.mark.parametrize(
    "expression", [found for row in [*ROWS, *UFUNC_ROWS] if (found := written(row))], ids=lambda row: row[:60]
)
def test_what_is_written(expression):
    function, args = made(expression)
    assert_same(arc.compile(function)(*args), function(*copied(args)), rtol=1e-11, atol=1e-12)


def with_traced_targets(expression):
    """Return the code of a row with each ``out=`` passed through a function ``traced``."""
    tree = ast.parse(expression, mode="eval")
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for keyword in (keyword for keyword in call.keywords if keyword.arg == "out"):
            keyword.value = ast.Call(ast.Name("traced", ast.Load()), [keyword.value], [])
    return compile(ast.fix_missing_locations(tree), "row", "eval")


@pytest.mark.parametrize(
    "expression",
    [row for row in [*ROWS, *UFUNC_ROWS] if any(word in row for word in ("into(", "masked(", "out="))],
    ids=lambda row: row[:60],
)
def test_plain_arrays_into_a_traced_one(expression):
    code = with_traced_targets(expression)

    def program(x):
        def traced(target):
            if isinstance(target, tuple):
                return tuple(map(traced, target))
            if target is None or np.iscomplexobj(target):
                return target
            made = np.zeros_like(x, shape=np.shape(target), dtype=np.asarray(target).dtype)
            made[...] = target
            return made

        def into(function, *args, **keywords):
            out = traced(function(*args, **keywords) * 0.0)
            assert function(*args, out=out, **keywords) is out
            return out

        def masked(function, *args, where, **keywords):
            out = traced(0 * args[0] + 2.0)
            assert function(*args, out=out, where=where, **keywords) is out
            return out

        return eval(code, {**NAMES, **ARGUMENTS, "into": into, "masked": masked, "traced": traced})

    assert_same(arc.compile(program)(0.0), eval(expression, {**NAMES, **ARGUMENTS}), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_refused_says_so(expression):
    function, args = made(expression)
    with pytest.raises(arc.TraceError, match=REFUSED[expression]):
        arc.compile(function)(*args)


# --- that none is left out ----------------------------------------------------------------------------


@functools.cache
def keywords_in_rows():
    """Return (function, keyword) for every keyword in the rows, also where a value stands in its place."""
    found = set()
    for expression in [*ROWS, *REFUSED]:
        for call in (node for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Call)):
            named, positional = call.func, list(call.args)
            if ast.unparse(named) in ("into", "masked", "changed"):
                if ast.unparse(named) != "changed":
                    found.add((ast.unparse(positional[0]), "out"))
                named = positional.pop(0)
            name = ast.unparse(named)
            found |= {(name, keyword.arg) for keyword in call.keywords}
            if name.split(".")[0] in ("np", "linalg", "fft", "windows"):
                passed = list(parameters(eval(name, dict(NAMES))))[: len(positional)]
                found |= {(name, parameter) for parameter in passed}
    return {(name.removeprefix("np."), keyword) for name, keyword in found}


def parameters(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some of NumPy's have no signature
        return {}


def test_every_keyword_has_a_row():
    missing = []
    renamed = {"numpy.lib.stride_tricks.sliding_window_view": "windows"}
    for qualified, function in supported().items():
        name = renamed.get(qualified, qualified.removeprefix("numpy."))
        if isinstance(function, np.ufunc) or name in NEED_NO_ROW:
            continue
        for keyword, parameter in parameters(function).items():
            optional = parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY
            if optional and f"{name}.{keyword}" not in NEED_NO_ROW and (name, keyword) not in keywords_in_rows():
                missing.append(f"{name}.{keyword}")
    assert not missing
