"""Bad calls of derivatives and compiled functions: arguments, directions, and what the function returns."""

import dataclasses
import decimal
import fractions
import functools

import casadi as cs
import numpy as np
import pytest
import scipy.sparse
from rows import Row, X, check, f, shown, two, vec

import archimedes_grad as arc

NO_TREE = "neither an array, a number nor a tree"
A_NUMBER = "an array, a number or a tree of these was expected"
REAL = "must hold real numbers"
ONE_SCALAR = "one scalar of shape ()"
SAME = "they must have the same structure and shapes"


class Model:
    def __init__(self, x):
        self.x = x


@dataclasses.dataclass
class Point:
    x: float
    label: str = "a"


def nested(depth):
    return functools.reduce(lambda tree, _: [tree], range(depth), 1.0)


def itself():
    tree = [1.0]
    tree.append(tree)
    return tree


def of_array(array, dtype):
    came = f"has dtype {dtype}"
    return Row(lambda: arc.grad(f)(array), TypeError, "f: argument 'x'", came, REAL, "Convert it to float")


def of_object(thing, came):
    return Row(lambda: arc.grad(f)(thing), TypeError, "f: argument 'x'", came, NO_TREE, "Pass an array, a number")


def without_number(thing, came):
    return Row(lambda: arc.grad(f)(thing), TypeError, "f: argument 'x'", came, A_NUMBER, "Pass one, or choose another")


def of_result(result, came, way_on, transform=arc.grad, kind=ValueError):
    return Row(lambda: transform(lambda x: result)(X), kind, "<lambda>: ", came, "needs a", way_on)


ROWS = {
    # --- the call
    "nothing": Row(
        lambda: arc.grad(f)(), TypeError, "f()", "got 0 positional", "missing a required argument: 'x'",
        "Call it as f(x)",
    ),
    "too many": Row(
        lambda: arc.hess(f)(X, X), TypeError, "f()", "got 2 positional", "too many positional", "Call it as f(x)",
    ),
    "unknown keyword": Row(
        lambda: arc.grad(f)(X, y=1), TypeError, "f()", "and y", "unexpected keyword argument 'y'", "Call it as f(x)",
    ),
    "compiled, one too few": Row(
        lambda: arc.compile(two)(X), TypeError, "two()", "got 1 positional", "'y'", "Call it as two(x, y, *, z=1.0)",
    ),
    "differentiated keyword left out": Row(
        lambda: arc.grad(lambda x, **k: x, argnames="w")(1.0), ValueError, "argument 'w'", "the call has x",
        "was not passed", "choose another by argnums",
    ),
    # --- the arguments
    "complex": Row(
        lambda: arc.grad(f)(X * 1j), TypeError, "f: argument 'x'", "has dtype complex128", REAL, ".real and .imag",
    ),
    "truth values": of_array(X > 0, "bool"),
    "an array of objects": of_array(np.array([1, None]), "object"),
    "dates": of_array(np.array(["2020"], dtype="M8[D]"), "datetime64[D]"),
    "records": of_array(np.zeros(2, dtype=[("a", float)]), "[('a', '<f8')]"),
    "an integer beyond 64 bits": of_array(2**70, "object"),
    "times in nanoseconds": Row(
        lambda: arc.compile(f)(np.array([1_700_000_000_000_000_001])), ValueError, "f: argument 'x'",
        "whole numbers beyond 2**53", "doubles do not hold", "Subtract an offset before the call",
    ),
    "a seed of 64 bits": Row(
        lambda: arc.grad(two, argnums=0)(X, 2**62 + 1), ValueError, "two: argument 'y'",
        "whole numbers beyond 2**53", "doubles do not hold", "static_argnames='y'",
    ),
    "an array of text": of_array(np.array(["a"]), "<U1"),
    "an object": of_object(object(), "is object"),
    "a set": of_object({1.0}, "is set {1.0}"),
    "an iterator": of_object(iter([1.0]), "list_iterator"),
    "a decimal": of_object(decimal.Decimal(1), "Decimal('1')"),
    "a fraction": of_object(fractions.Fraction(1, 2), "Fraction(1, 2)"),
    "a model": of_object(Model(1.0), "Model"),
    "a sparse matrix": of_object(scipy.sparse.eye_array(3), "dia_array"),
    "None": without_number(None, "got NoneType None"),
    "text": without_number("abc", "got str 'abc'"),
    "an empty list": without_number([], "got list []"),
    "a function": without_number(np.sin, "got ufunc"),
    "a tree of labels": without_number({"a": None}, "got dict {'a': None}"),
    "a masked array": Row(
        lambda: arc.grad(f)(np.ma.array([1.0, 2.0], mask=[0, 1])), TypeError, "f: argument 'x'", "is a MaskedArray",
        "a plain array was expected", "Pass np.asarray",
    ),
    "a matrix": Row(
        lambda: arc.compile(f)(np.ones((1, 1)).view(np.matrix)), TypeError, "f: argument 'x'", "is a matrix",
        "a plain array was expected", "Pass np.asarray",
    ),
    "a masked leaf": Row(
        lambda: arc.grad(lambda p: p["a"][0])({"a": np.ma.array([1.0])}), TypeError, "argument \"p['a']\"",
        "is a MaskedArray", "a plain array", "Pass np.asarray",
    ),
    "a CasADi symbol": Row(
        lambda: arc.grad(f)(cs.SX.sym("x", 3)), TypeError, "f: argument 'x'", "is a SX of casadi",
        "numbers were expected", ".to_casadi(...)",
    ),
    "a list in itself": Row(
        lambda: arc.grad(f)(itself()), ValueError, "f: argument 'x'", "contains itself",
        "a tree of arrays and numbers was expected", "one flat list",
    ),
    "a list too deep": Row(
        lambda: arc.grad(f)(nested(5000)), ValueError, "f: argument 'x'", "nested too deeply",
        "a tree of arrays and numbers was expected", "one flat list",
    ),
    "a leaf that is complex": Row(
        lambda: arc.grad(lambda p: p["w"][0])({"w": [1.0, 2j]}), TypeError, "argument \"p['w'][1]\"",
        "has dtype complex128", REAL, ".real and .imag",
    ),
    "a carry that is complex": Row(
        lambda: arc.grad(lambda x: arc.fori_loop(0, 2, lambda i, z: z, 1j * x[0]).real)(X), TypeError,
        "fori_loop: argument 'carry'", "has dtype complex128", REAL, ".real and .imag",
    ),
    "second argument an object": Row(
        lambda: arc.grad(two)(X, object()), TypeError, "two: argument 'y'", "is object", NO_TREE, "static_argnames='y'",
    ),
    "second argument text array": Row(
        lambda: arc.grad(two)(X, np.array(["a"])), TypeError, "two: argument 'y'", "has dtype <U1", REAL,
        "static_argnames='y'",
    ),
    "a leaf of a second argument": Row(
        lambda: arc.grad(two)(X, {"a": object()}), TypeError, "argument \"y['a']\"", "is object", NO_TREE,
        "static_argnames='y'",
    ),
    "static without a key": Row(
        lambda: arc.grad(lambda x, c: f(x), static_argnames="c")(X, bytearray(b"a")), TypeError,
        "static argument 'c'", "is a bytearray", "a value that can be hashed was expected",
        "Give its class __eq__ and __hash__",
    ),
    # --- directions
    "jvp: nothing": Row(
        lambda: arc.jvp(f)(), TypeError, "f()", "no positional argument came", "'v' was expected as the last",
        "Pass it behind",
    ),
    "jvp: no direction": Row(
        lambda: arc.jvp(f)(X), TypeError, "f()", "got 0 positional", "missing a required argument: 'x'",
        "behind them the direction 'v'",
    ),
    "jvp: direction by keyword": Row(
        lambda: arc.jvp(f)(X, v=X), TypeError, "f()", "got 0 positional and v", "missing a required",
        "behind them the direction 'v'",
    ),
    "jvp: shape": Row(
        lambda: arc.jvp(f)(X, np.ones(2)), ValueError, "f: the direction 'v'", "shape (2,)",
        "argument 'x' has shape (3,)", "np.zeros_like of it",
    ),
    "jvp: complex": Row(
        lambda: arc.jvp(f)(X, 1j * X), TypeError, "f: argument 'v'", "has dtype complex128", REAL,
        ".real and .imag",
    ),
    "jvp: None": Row(
        lambda: arc.jvp(f)(X, None), ValueError, "f: the direction 'v'", "shapes []", "has shape (3,)",
        "np.zeros_like of it",
    ),
    "jvp: one for two": Row(
        lambda: arc.jvp(two, argnums=(0, 1))(X, X, X), ValueError, "two: the direction 'v'", "has shape (3,)",
        "leaves of shapes [(3,), (3,)]", "np.zeros_like of it",
    ),
    "jvp: other keys": Row(
        lambda: arc.jvp(lambda p: p["a"])({"a": 1.0}, {"b": 1.0}), ValueError, "the direction 'v'", "is {'b': *}",
        "is {'a': *}", "under the same keys",
    ),
    "jvp: keys the other way round": Row(
        lambda: arc.jvp(lambda p: p["a"])({"a": 1.0, "b": 2.0}, [1.0, 2.0]), ValueError, "the direction 'v'",
        "is [*, *]", "is {'a': *, 'b': *}", "into the same containers",
    ),
    "jvp: a list for a tuple of arguments": Row(
        lambda: arc.jvp(two, argnums=(0, 1))(X, X, [X, X]), ValueError, "two: the direction 'v'", "is [*, *]",
        "is (one array, one array)", "same containers",
    ),
    "vjp: shape": Row(
        lambda: arc.vjp(vec)(X, np.ones(2)), ValueError, "vec: the direction 'w'", "has shape (2,)",
        "the output of the function has shape (3,)", "np.zeros_like",
    ),
    "vjp: no tree": Row(
        lambda: arc.vjp(lambda x: {"a": x})(X, X), ValueError, "the direction 'w'", "is one array", "is {'a': *}",
        "under the same keys",
    ),
    "vjp: None": Row(
        lambda: arc.vjp(vec)(X, None), ValueError, "vec: the direction 'w'", "shapes []", "has shape (3,)",
        "np.zeros_like",
    ),
    "hvp: a number": Row(
        lambda: arc.hvp(f)(X, 1.0), ValueError, "f: the direction 'v'", "has shape ()", "has shape (3,)",
        "np.zeros_like",
    ),
    "jvp by differences: shape": Row(
        lambda: arc.jvp(f, method="finite")(X, np.ones(2)), ValueError, "f: the direction 'v'", "shape (2,)",
        "shape (3,)", "np.zeros_like",
    ),
    # --- what the function returns
    **{
        f"{transform.__name__} of a vector": Row(
            functools.partial(transform(vec), X, *more), ValueError, "vec: ", "an array of shape (3,)", ONE_SCALAR,
            "Use arc.jac",
        )
        for transform, more in ((arc.grad, ()), (arc.value_and_grad, ()), (arc.hess, ()), (arc.hvp, (X,)))
    },
    "gradient of a gradient of a vector": Row(
        lambda: arc.grad(arc.grad(f))(X), ValueError, "grad_f: ", "an array of shape (3,)", ONE_SCALAR, "Use arc.jac",
    ),
    "gradient of a Jacobian": Row(
        lambda: arc.grad(arc.jac(f))(X), ValueError, "jac_f: ", "an array of shape (3,)", ONE_SCALAR,
        "reduce it (np.sum)",
    ),
    "no return": of_result(None, "None (is a return missing?)", "has_aux=True"),
    "a pair": of_result((1.0, 2.0), "a tree of outputs", "has_aux=True for (output, aux)"),
    "a dict": of_result({"a": 1.0}, "a tree of outputs", "Use arc.jac for several"),
    "a word": of_result("a", "str of dtype <U1", "Return the number", kind=TypeError),
    "jac of None": of_result(None, "None (is a return missing?)", "Return what is to be", arc.jac, TypeError),
    "jac of a word": of_result("a", "returns a str", "Return what is to be", arc.jac, TypeError),
    "jac of a tree of words": of_result(["a"], "a tree without numbers", "Return what is to be", arc.jac, TypeError),
    "an object with traced values": Row(
        lambda: arc.compile(Model)(X), TypeError, "Model: ", "returns Model", "were expected",
        "build the Model outside",
    ),
    "a list of objects with traced values": Row(
        lambda: arc.compile(lambda x: [Model(x)])(X), TypeError, "<lambda>: ", "which holds traced values",
        "arrays, numbers or", "Return its numbers in a tuple",
    ),
    "a function with traced values": Row(
        lambda: arc.grad(lambda x: lambda: x)(X), TypeError, "<lambda>: ", "returns a function", "were expected",
        "Return its numbers",
    ),
    "a generator": Row(
        lambda: arc.compile(lambda x: (x for _ in range(2)))(X), TypeError, "<lambda>: ",
        "compute when the trace is over", "were expected", "return a list or tuple",
    ),
    "has_aux without a pair": Row(
        lambda: arc.grad(f, has_aux=True)(X), TypeError, "f: has_aux=True", "got an array of shape ()",
        "(output, aux)", "leave has_aux out",
    ),
    "has_aux by differences": Row(
        lambda: arc.grad(f, has_aux=True, method="finite")(X), TypeError, "f: has_aux=True", "got float64",
        "(output, aux)", "leave has_aux out",
    ),
    "by differences, None": Row(
        lambda: arc.grad(lambda x: None, method="finite")(X), ValueError, "<lambda>: a gradient",
        "None (is a return missing?)", ONE_SCALAR, "Use arc.jac for several",
    ),
    "by differences, a word": Row(
        lambda: arc.jac(lambda x: "a", method="adaptive")(X), TypeError, "<lambda>: a derivative", "returns a str",
        "an array, a number or a tree", "Return what is to be differentiated",
    ),
    "by differences, complex": Row(
        lambda: arc.grad(lambda x: 1j * np.sum(x), method="finite")(X), TypeError, "<lambda> returned", "complex128",
        "real numbers were expected", "Return .real",
    ),
    "by differences, a vector": Row(
        lambda: arc.grad(vec, method="finite")(X), ValueError, "vec: ", "of shape (3,)", ONE_SCALAR, "Use arc.jac",
    ),
    "a complex result": Row(
        lambda: arc.grad(lambda x: 1j * np.sum(x))(X), TypeError, "<lambda>: a derivative",
        "complex ones of dtype complex128", "returns real numbers", "Return a part",
    ),
    # --- sparse
    "sparse of a tree": Row(
        lambda: arc.jac(lambda p: p["a"], sparse=True)({"a": X}), ValueError, "jac(sparse=True)",
        "got 1 argument in a tree", "takes one array argument", "Ask for one array",
    ),
    "sparse of two": Row(
        lambda: arc.hess(two, argnums=(0, 1), sparse=True)(X, X), ValueError, "two: hess(sparse=True)",
        "got 2 arguments", "takes one array argument", "Ask for one array",
    ),
    "sparse to a tree": Row(
        lambda: arc.jac(lambda x: (x, x), sparse=True)(X), ValueError, "jac(sparse=True)", "returns a tree",
        "one array", "Leave sparse out",
    ),
    # --- vmap
    "vmap: a number": Row(
        lambda: arc.vmap(f)(1.0), ValueError, "vmap of f: argument 'x'", "has shape ()",
        "an array with an axis of items was expected", "in_axes=None passes a positional argument whole",
    ),
    "vmap: a keyword that is a number": Row(
        lambda: arc.vmap(two)(X, y=1.0), ValueError, "vmap of two: argument 'y'", "has shape ()",
        "an array with an axis of items was expected", "a positional argument whole",
    ),
    "vmap: text alone": Row(
        lambda: arc.vmap(f)("abc"), ValueError, "vmap of f: no argument is mapped",
        "(in_axes is 0; x is of type str)", "one array with an axis was expected",
        "Give it one by in_axes",
    ),
    "vmap: no arguments": Row(
        lambda: arc.vmap(lambda: 1.0)(), ValueError, "vmap of <lambda>: no argument is mapped", "none came",
        "one array with an axis was expected", "call the function itself",
    ),
    "vmap: axes for fewer": Row(
        lambda: arc.vmap(two, in_axes=(0,))(X, X), ValueError, "vmap of two: in_axes", "1 entries for 2",
        "one for each was expected", "None passes an argument whole",
    ),
    "vmap: sizes": Row(
        lambda: arc.vmap(two)(X, np.ones(2)), ValueError, "vmap of two", "x has 3, y has 2", "must have equal sizes",
        "with in_axes=None",
    ),
    "vmap: nothing mapped": Row(
        lambda: arc.vmap(f, in_axes=None)(X), ValueError, "vmap of f", "in_axes is None; x is an array",
        "one array with an axis was expected", "call the function itself",
    ),
    "vmap: axis": Row(
        lambda: arc.vmap(f, in_axes=2)(X), ValueError, "vmap of f: argument 'x'", "no axis 2",
        "from -1 to 0 was expected", "in_axes=None",
    ),
    "vmap: out_axes": Row(
        lambda: arc.vmap(vec, out_axes=2)(X), ValueError, "vmap of vec: out_axes", "has axis 2",
        "from -1 to 0 was expected", "out_axes=0 stacks",
    ),
    "vmap: out_axes None": Row(
        lambda: arc.vmap(vec, out_axes=None)(X), ValueError, "vmap of vec: out_axes", "is None",
        "the same for all was expected", "Give an axis",
    ),
    "vmap: tree of axes": Row(
        lambda: arc.vmap(lambda p: p["a"], in_axes=({"b": 0},))({"a": X}), ValueError, "argument 'p'",
        "in_axes is {'b': 0}", "the same structure or a prefix", "One int or None counts",
    ),
    "vmap: a decision": Row(
        lambda: arc.vmap(lambda x: x if x > 0 else -x)(X), arc.TraceError, shown("test_bad_calls"), "decides a branch",
        "no actual value", "Use np.where",
    ),
    "vmap: an object as result": Row(
        lambda: arc.vmap(lambda x: object())(X), TypeError, "vmap of <lambda>: the result", "holds a object",
        "are expected", "Take the numbers out",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_calls(case):
    check(ROWS[case])
