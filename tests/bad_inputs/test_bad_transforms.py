"""Bad arguments of the transforms and of ``compile`` themselves: refused before anything is traced."""

import functools

import numpy as np
import pytest
from rows import Row, X, check, f, shown, two, vec

import archimedes_grad as arc

NOT_CALLED = "Pass the function itself, not what it returns"
GO_ON = "The function's own arguments go to what is returned: grad(f)(x)"


async def asynchronous(x):
    return np.sum(x)


async def asynchronous_items(x):
    yield np.sum(x)


def items(x):
    yield np.sum(x)


def numeric(**options):
    method = "finite" if {"stepsize", "num_points", "extrapolation", "levels"} & set(options) else "adaptive"
    return lambda: arc.grad(f, method=method, **options)


DEFAULT = "Leave it out for what suits most functions"

ROWS = {
    **{
        f"{name}: no function": Row(
            functools.partial(getattr(arc, name), 3.0), TypeError, f"{name}: ", "got float 3.0", "must be a function",
            NOT_CALLED,
        )
        for name in ("grad", "value_and_grad", "jac", "hess", "jvp", "vjp", "hvp", "compile")
    },
    "a function by name": Row(lambda: arc.grad("f"), TypeError, "grad", "str 'f'", "must be a function", NOT_CALLED),
    "a function called": Row(
        lambda: arc.grad(f(X)), TypeError, "grad", "float64 np.float64(14.0)", "must be a function", NOT_CALLED
    ),
    "a property": Row(
        lambda: arc.grad(property(f)), TypeError, "grad", "got property", "must be a function", NOT_CALLED,
    ),
    "a class method that is not bound": Row(
        lambda: arc.grad(classmethod(f)), TypeError, "grad", "got classmethod", "must be a function", NOT_CALLED
    ),
    "a decorator outside classmethod": Row(
        lambda: arc.grad(classmethod(f)), TypeError, "grad:", "got classmethod", "must be a function",
        "Pass the function itself",
    ),
    "a decorator outside property": Row(
        lambda: arc.grad(property(f)), TypeError, "grad:", "got property", "must be a function",
        "Pass the function itself",
    ),
    "a decorator inside classmethod": Row(
        lambda: type("Model", (), {"f": classmethod(arc.grad(f))}).f(), TypeError, "f: argument 'x'", "got type",
        "an array, a number or a tree", "choose another argument by argnums",
    ),
    "a decorator outside a cache": Row(
        lambda: arc.grad(functools.lru_cache(f))(1.0), arc.TraceError, shown("test_bad_transforms"), "is used as a key",
        "keys are fixed values", "a position or a name as key",
    ),
    "a decorator on a number": Row(
        lambda: arc.grad(argnums=0)(3), TypeError, "grad", "got int 3", "must be a function", NOT_CALLED
    ),
    "compile, a decorator on a number": Row(
        lambda: arc.compile(static_argnums=0)(3), TypeError, "compile", "got int 3", "must be a function", NOT_CALLED
    ),
    **{
        f"{transform.__name__} of {kind}": Row(
            functools.partial(transform, function), TypeError, f"{transform.__name__}: {function.__name__!r}", kind,
            "a plain function was expected", way_on,
        )
        for transform in (arc.grad, arc.compile, arc.jac)
        for function, kind, way_on in (
            (asynchronous, "an async function", "Await outside"),
            (asynchronous_items, "an async generator function", "Collect its items outside"),
            (items, "a generator function", "in place of yield"),
        )
    },
    "argnums out of range": Row(
        lambda: arc.grad(two, argnums=2), ValueError, "two: argnums", "has 2", "from -2 to 1", "go by name: 'x', 'y'"
    ),
    "argnums far below": Row(
        lambda: arc.jac(two, argnums=-3), ValueError, "two: argnums", "has -3", "from -2 to 1", "go by name: 'x', 'y'"
    ),
    "argnums where there is nothing": Row(
        lambda: arc.grad(lambda *, z: z), ValueError, "argnums", "has 0", "takes 0 positional arguments",
        "Keyword arguments go by name: z",
    ),
    "argnums a float": Row(
        lambda: arc.grad(two, argnums=1.0), TypeError, "two: argnums", "got 1.0", "an int or a sequence of ints", GO_ON
    ),
    "argnums the argument itself": Row(
        lambda: arc.grad(f, X), TypeError, "f: argnums", "got array([1., 2., 3.])", "an int or a sequence of ints",
        GO_ON
    ),
    "argnums a dict": Row(
        lambda: arc.grad(two, argnums={"x": 0}), TypeError, "two: argnums", "got {'x': 0}", "an int or a sequence",
        GO_ON
    ),
    "argnums True": Row(
        lambda: arc.hess(two, argnums=True), TypeError, "two: argnums", "got True", "an int or a sequence of ints",
        GO_ON
    ),
    "argnums a name": Row(
        lambda: arc.grad(two, argnums="y"), TypeError, "two: argnums", "got 'y'", "an int or", "Write argnames='y'"
    ),
    "argnums empty": Row(
        lambda: arc.grad(two, argnums=()), ValueError, "two: argnums", "got ()", "at least one argument",
        "Name one, or leave"
    ),
    "argnums twice": Row(
        lambda: arc.grad(two, argnums=(0, -2)), ValueError, "two: argnums", "got (0, -2)", "different arguments were",
        "Name each once",
    ),
    "argnames a number": Row(
        lambda: arc.grad(two, argnames=3), TypeError, "two: argnames", "got 3", "a string or a sequence",
        "Write argnums"
    ),
    "argnames with None": Row(
        lambda: arc.vjp(two, argnames=[None]), TypeError, "two: argnames", "got [None]", "a string or a",
        "Write argnums"
    ),
    "argnames unknown": Row(
        lambda: arc.grad(two, argnames="w"), ValueError, "two: argnames", "has 'w'", "no such argument",
        "Name one that it has: x, y, z",
    ),
    "argnames empty": Row(
        lambda: arc.grad(two, argnames=[]), ValueError, "two: argnames", "got []", "at least one argument", "Name one"
    ),
    "argnums and argnames": Row(
        lambda: arc.grad(two, argnums=0, argnames="y"), ValueError, "two: ", "argnums=0 and argnames='y'",
        "one of them was expected", "Drop one",
    ),
    "static by a name as number": Row(
        lambda: arc.grad(two, static_argnums="y"), TypeError, "two: static_argnums", "got 'y'", "an int or",
        "Write static_argnames='y'",
    ),
    "static by a number as name": Row(
        lambda: arc.compile(two, static_argnames=1), TypeError, "two: static_argnames", "got 1", "a string or",
        "Write static_argnums",
    ),
    "static unknown": Row(
        lambda: arc.compile(f, static_argnames="q"), ValueError, "f: static_argnames", "has 'q'", "no such argument",
        "Name one that it has: x",
    ),
    "static out of range": Row(
        lambda: arc.compile(two, static_argnums=5), ValueError, "two: static_argnums", "has 5", "from -2 to 1",
        "go by name"
    ),
    "static and differentiated": Row(
        lambda: arc.grad(two, static_argnums=0), ValueError, "two: argument 'x'", "is static and in argnums",
        "a static argument cannot be differentiated", "Take it out of one",
    ),
    "static and differentiated by name": Row(
        lambda: arc.hvp(two, argnums=1, static_argnames="y"), ValueError, "two: argument 'y'",
        "is static and in argnums",
        "a static argument cannot be differentiated", "Take it out of one",
    ),
    "name a number": Row(
        lambda: arc.grad(f, name=3), TypeError, "grad: name", "got int 3", "must be a string", "Leave it out"
    ),
    "name bytes": Row(
        lambda: arc.compile(f, name=b"g"), TypeError, "compile: name", "got bytes b'g'", "must be a string",
        "Leave it out"
    ),
    "has_aux a word": Row(
        lambda: arc.grad(f, has_aux="yes"), TypeError, "grad: has_aux", "got str 'yes'", "True or False",
        "Write has_aux=True",
    ),
    "has_aux the aux": Row(
        lambda: arc.value_and_grad(f, has_aux={}), TypeError, "value_and_grad: has_aux", "got dict {}", "True or False",
        "Write has_aux=True",
    ),
    "method unknown": Row(
        lambda: arc.grad(f, method="symbolical"), ValueError, "grad: ", "unknown method 'symbolical'",
        "valid: 'symbolic'",
        "Leave it out",
    ),
    "method None": Row(
        lambda: arc.hess(f, method=None), ValueError, "hess: ", "unknown method None", "valid: 'symbolic'",
        "Leave it out"
    ),
    "method a list": Row(
        lambda: arc.jvp(f, method=["finite"]), ValueError, "jvp: ", "unknown method ['finite']", "valid: ",
        "Leave it out"
    ),
    "engine unknown": Row(
        lambda: arc.grad(f, engine="steam"), ValueError, "grad: ", "unknown engine 'steam'", "valid: 'vm'",
        "Leave it out"
    ),
    "engine a number": Row(
        lambda: arc.compile(f, engine=3), ValueError, "compile: ", "unknown engine 3", "valid: 'vm'", "Leave it out"
    ),
    "control_flow unknown": Row(
        lambda: arc.grad(f, control_flow="goto"), ValueError, "grad: ", "unknown control_flow 'goto'",
        "valid: 'paths', 'structured'", "Leave it out",
    ),
    "control_flow None": Row(
        lambda: arc.compile(f, control_flow=None), ValueError, "compile: ", "unknown control_flow None",
        "valid: 'paths'",
        "Leave it out",
    ),
    "max_paths 0": Row(
        lambda: arc.grad(f, max_paths=0), ValueError, "grad: max_paths", "got 0", "a positive int",
        "Leave it out for 128"
    ),
    "max_paths a float": Row(
        lambda: arc.compile(f, max_paths=2.5), ValueError, "compile: max_paths", "got 2.5", "a positive int",
        "Leave it out"
    ),
    "progress a word": Row(
        lambda: arc.grad(f, progress="yes"), TypeError, "grad: progress", "got str 'yes'", "True or False",
        "Write progress=True",
    ),
    "option of another method": Row(
        lambda: arc.grad(f, stepsize=0.1), ValueError, "grad: ", "unknown option 'stepsize'", "valid: 'control_flow'",
        "method='adaptive'",
    ),
    "option misspelt": Row(
        lambda: arc.grad(f, argnum=0), ValueError, "grad: ", "unknown option 'argnum'", "valid: ", "need that method"
    ),
    "sparse a word": Row(
        lambda: arc.jac(vec, sparse="csc"), TypeError, "jac: sparse", "got str 'csc'", "True or False",
        "Write sparse=True"
    ),
    # --- options of numeric methods
    "finite: option unknown": Row(
        lambda: arc.grad(f, method="finite", step=0.1), ValueError, "grad: ",
        "unknown option 'step' of method 'finite'",
        "valid options: stepsize", "Take it out",
    ),
    "stepsize negative": Row(
        numeric(stepsize=-1), ValueError, "grad: stepsize", "not -1", "a positive finite", DEFAULT,
    ),
    "stepsize a word": Row(numeric(stepsize="big"), ValueError, "grad: stepsize", "not 'big'", "a number", DEFAULT),
    "stepsize infinite": Row(
        numeric(stepsize=np.inf), ValueError, "grad: stepsize", "not inf", "positive finite", DEFAULT,
    ),
    "num_points 4": Row(numeric(num_points=4), ValueError, "grad: num_points", "not 4", "one of (3, 5, 7, 9)", DEFAULT),
    "extrapolation": Row(
        numeric(extrapolation="romberg"), ValueError, "grad: ", "unknown extrapolation 'romberg'", "valid: None",
        DEFAULT
    ),
    "levels alone": Row(numeric(levels=3), ValueError, "grad: levels", "levels needs", "an extrapolation: ", DEFAULT),
    "levels too many": Row(
        numeric(levels=99, extrapolation="ridders"), ValueError, "grad: levels", "not 99", "from 2 to 12", DEFAULT
    ),
    "n_points 2": Row(numeric(n_points=2), ValueError, "grad: n_points", "not 2", "an integer from 3 to 30", DEFAULT),
    "spacing a word": Row(
        numeric(spacing="wide"), ValueError, "grad: spacing", "not 'wide'", "'auto', a positive", DEFAULT,
    ),
    "spacing negative %": Row(numeric(spacing="-2%"), ValueError, "grad: spacing", "not '-2%'", "'auto'", DEFAULT),
    "domain upside down": Row(
        numeric(domain=(1, 0)), ValueError, "grad: domain", "not (1, 0)", "lower below upper", DEFAULT,
    ),
    "domain a number": Row(numeric(domain=3), ValueError, "grad: domain", "not 3", "a pair (lower, upper)", DEFAULT),
    "grid a list": Row(numeric(grid=[1, 2]), ValueError, "grad: grid", "not [1, 2]", "('offsets', numbers)", DEFAULT),
    "ridge negative": Row(numeric(ridge=-1), ValueError, "grad: ridge", "not -1", "non-negative finite", DEFAULT),
    "base_abs 0": Row(numeric(base_abs=0), ValueError, "grad: base_abs", "not 0", "a positive finite", DEFAULT),
    "n_workers 0": Row(
        numeric(n_workers=0), ValueError, "grad: n_workers", "not 0", "a positive integer", "Leave it out for 1"
    ),
    "n_workers a word": Row(
        numeric(n_workers="2"), ValueError, "grad: n_workers", "not '2'", "a positive integer", "Leave it out for 1"
    ),
    "executor a number": Row(
        numeric(executor=3), TypeError, "grad: executor", "not int", "concurrent.futures.Executor",
        "Pass a ThreadPoolExecutor"
    ),
    "return_error of a transform": Row(
        numeric(return_error=True), ValueError, "grad: option return_error", "=True came",
        "returns the derivative alone",
        "Use CalculusKit",
    ),
    "diagnostics of a transform": Row(
        numeric(diagnostics=True), ValueError, "grad: option diagnostics", "=True came", "returns the derivative alone",
        "Use CalculusKit",
    ),
    # --- vmap
    "vmap: no function": Row(lambda: arc.vmap(3), TypeError, "vmap: f", "got int 3", "must be a function", NOT_CALLED),
    "in_axes a word": Row(
        lambda: arc.vmap(f, in_axes="0"), TypeError, "vmap: in_axes", "got '0'", "takes ints and None",
        "Write in_axes=0"
    ),
    "in_axes a float": Row(
        lambda: arc.vmap(f, in_axes=0.0), TypeError, "vmap: in_axes", "got 0.0", "takes ints and None",
        "Write in_axes=0"
    ),
    "in_axes a set": Row(
        lambda: arc.vmap(f, in_axes={0}), TypeError, "vmap: in_axes", "got {0}", "takes ints and None",
        "Write in_axes=0"
    ),
    "out_axes a float": Row(
        lambda: arc.vmap(f, out_axes=1.5), TypeError, "vmap: out_axes", "got 1.5", "takes ints and None", "out_axes=0"
    ),
    # --- rules
    "custom_jvp: no function": Row(
        lambda: arc.custom_jvp(3), TypeError, "custom_jvp: f", "got int 3", "must be a function", NOT_CALLED
    ),
    "custom_vjp: no function": Row(
        lambda: arc.custom_vjp(X), TypeError, "custom_vjp: f", "got ndarray", "must be a function", NOT_CALLED
    ),
    "defjvp: no function": Row(
        lambda: arc.custom_jvp(np.sin).defjvp(3), TypeError, "defjvp of 'sin': rule", "got int 3", "must be a function",
        NOT_CALLED,
    ),
    "defvjp: no function": Row(
        lambda: arc.custom_vjp(np.sin).defvjp(np.sin, None), TypeError, "defvjp of 'sin': backward",
        "got NoneType None",
        "must be a function", NOT_CALLED,
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_arguments_of_transforms(case):
    check(ROWS[case])
