"""Lines of a traced function that no traced value can go through, and traced values kept beyond their call."""

import contextlib
import gc
import math
import pickle
import statistics

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from rows import Row, X, check, f, shown

import archimedes_grad as arc
from archimedes_grad.arrays import decisions
from archimedes_grad.arrays.array import SymbolicArray

EYE = scipy.sparse.csc_array(np.eye(3))
PLAIN_FLOAT = "is turned into a plain float"
LOSES = "would lose its derivative"


def line(function, came, expected, way_on, at=1.0, transform=arc.grad):
    """Return the row of a line inside a traced function."""
    return Row(lambda: transform(function)(at), arc.TraceError, shown("test_bad_lines"), came, expected, way_on)


def decides(x):
    return x if x > 0 else -x


def raises_within(x):
    try:
        with np.errstate(invalid="raise"):
            return np.sum(np.sqrt(x))
    except FloatingPointError:
        return np.sum(x**2)


LEAKED = []


def leaking(x):
    LEAKED[:] = [x, x * 2, np.sum(x)]
    return np.sum(x)


def leaked(use, who=shown("test_bad_lines"), expected="was expected"):
    """Return the row of the use of a traced value whose call has ended."""

    def call():
        arc.grad(leaking)(X)
        use(*LEAKED)

    came = "a traced value of another call that has ended"
    return Row(call, arc.TraceError, who, came, expected, "Do not keep traced values")


ROWS = {
    "float": line(lambda x: float(x), PLAIN_FLOAT, LOSES, "without float()"),
    "np.float64": line(lambda x: np.float64(x), PLAIN_FLOAT, LOSES, "without float()"),
    "random numbers": line(
        lambda x: np.random.default_rng(0).normal(x, 1.0), PLAIN_FLOAT, LOSES, "mean + width * rng.normal(size=n)"
    ),
    "math": line(lambda x: math.exp(x), PLAIN_FLOAT, LOSES, "np.exp in place of math.exp"),
    "complex": line(lambda x: complex(x).real, "a plain complex", LOSES, "without complex()"),
    "a key": line(lambda x: {x: 1.0}, "is used as a key", "keys are fixed values", "a position or a name as key"),
    "pickled": line(lambda x: pickle.dumps(x), "is pickled", "only numbers outlive the trace", "arc.callback"),
    "bytes": line(lambda x: x.tobytes(), "no method tobytes", "not bytes in memory", "outside the differentiated", X),
    "a view of another dtype": line(lambda x: x.view(int), "no method view", "not bytes in memory", "use astype", X),
    "windows by strides": line(
        lambda x: np.lib.stride_tricks.as_strided(x, (len(x) + 1,)), "beyond the entries",
        "within it were expected", "sliding_window_view", X,
    ),
    "addresses": line(lambda x: x.ctypes.data, "no ctypes", "not bytes in memory", "outside the differentiated", X),
    "a mean by Python's module": line(
        lambda x: statistics.mean(x), "can't convert type", "does not take traced arrays", "Give it plain numbers", X
    ),
    "a mean of floats by Python's module": line(
        lambda x: statistics.fmean(x), PLAIN_FLOAT, LOSES, "by NumPy functions (np.mean", X
    ),
    "a masked array of it": line(
        lambda x: np.ma.array(x, mask=x < 2).sum(), "A masked array was to be made", "plain numbers", "np.where(mask", X
    ),
    "masked by a function": line(
        lambda x: np.ma.masked_less(x, 2).sum(), "A masked array was to be made", "plain numbers", "x[mask]", X
    ),
    "written to a file": line(
        lambda x: np.save("x.npy", x), "numpy.save does not take", "no fixed entries",
        "outside the differentiated function", X,
    ),
    "no rule": line(lambda x: np.packbits(x), "numpy.packbits does not take", "no rule", "docs/numpy.md", X),
    "a root of SciPy": line(
        lambda x: scipy.optimize.brentq(lambda t: t - x, 0, 2), PLAIN_FLOAT, LOSES, "Use arc.implicit_root",
    ),
    "a root of SciPy, the error met later": line(
        lambda x: scipy.optimize.bisect(lambda t: np.sin(t) - x, 0, 2), PLAIN_FLOAT, LOSES, "Use arc.implicit_root",
    ),
    "a root of SciPy, an error of its own class": line(
        lambda x: scipy.optimize.fsolve(lambda t: t - x, 0.0)[0], PLAIN_FLOAT, LOSES, "Use arc.implicit_root",
    ),
    "a seed": line(
        lambda n: np.random.default_rng(n).normal(), "SeedSequence expects int", "does not take traced arrays",
        "A seed decides what is drawn while tracing: pass it through static_argnames", 3, arc.compile,
    ),
    "a sparse matrix of it": line(
        lambda x: scipy.sparse.coo_array((x, ([0, 1, 2], [0, 1, 2]))).tocsc(), "scipy.sparse.coo_array.tocsc got",
        "does not take", "np.add.at(A, (rows, columns), entries)", X,
    ),
    "errors raised by NumPy": line(
        raises_within, "got invalid='raise' in a traced function", "give inf and nan", "np.all(np.isfinite(y))", X
    ),
    "errors raised by NumPy from now on": line(
        lambda x: np.seterr(over="raise"), "got over='raise'", "raise nothing", "if x > 0", X
    ),
    "a size": line(lambda x: np.ones(x), "a single integer, got", "Sizes are whole numbers", "static_argnames"),
    "a sparse sum": line(
        lambda x: EYE + x, "scipy.sparse array met a traced one", "a plain array was expected", "A.toarray()", X,
    ),
    "a decision, structured": line(
        decides, "decides a branch", 'control_flow="structured" allows none', "Use np.where",
        transform=lambda g: arc.grad(g, control_flow="structured"),
    ),
    "a loop without end": line(
        lambda x: [None for _ in iter(lambda: bool(x > 0), False)], "has decided 1000 times", "and not ended",
        "Bound it",
    ),
    "complex zeros": line(
        lambda x: arc.cond(x > 0, lambda x: arc.zeros(3, dtype=complex) * x, lambda x: x, x), "was used or returned",
        "only real ones are", "its parts (.real, .imag)",
    ),
    "text in an array": line(
        lambda x: arc.array([x, "a"])[0], "has dtype <U32", "hold real numbers", "a list or tuple of their own",
    ),
    "differences inside a trace": line(
        lambda x: arc.grad(f, method="finite")(x), "got a traced function around it", "plain numbers were expected",
        "Use method='symbolic'", X,
    ),
    "a report inside a trace": line(
        lambda x: arc.grad(f).explain(x), "a report on its calls was asked for", "actual arguments were expected",
        "Ask for it outside", X,
    ),
    "a CasADi function inside a trace": line(
        lambda x: arc.grad(f).to_casadi(x), "a report on its calls", "actual arguments were expected",
        "outside, with arrays", X,
    ),
    "a CasADi function of branches": line(
        decides, "branches on traced values", "holds one path only", "Use np.where or arc.cond",
        transform=lambda g: arc.grad(g).to_casadi,
    ),
    # --- kept beyond the call
    "kept: added to": leaked(lambda x, y, s: y + 1),
    "kept: a ufunc": leaked(lambda x, y, s: np.exp(y)),
    "kept: a truth": leaked(lambda x, y, s: bool(s > 0)),
    "kept: a float": leaked(lambda x, y, s: float(s)),
    "kept: an int": leaked(lambda x, y, s: int(s)),
    "kept: differentiated": leaked(lambda x, y, s: arc.grad(f)(x), "f: argument 'x'"),
    "kept: a leaf": leaked(lambda x, y, s: arc.grad(lambda p: p["a"])({"a": s}), "argument \"p['a']\""),
    "kept: static": leaked(
        lambda x, y, s: arc.grad(lambda x, c: x, static_argnames="c")(1.0, s), "static argument 'c'"
    ),
    "kept: a direction": leaked(lambda x, y, s: arc.jvp(f)(X, x), "f: argument 'v'"),
    "kept: by differences": leaked(lambda x, y, s: arc.grad(f, method="finite")(x), "f: argument 'x'"),
    "kept: mapped": leaked(lambda x, y, s: arc.vmap(abs)(x), "argument 'x'"),
    "kept: a closure": leaked(lambda x, y, s: arc.compile(lambda z: z + y)(X), expected="were expected"),
    "kept: a result": leaked(lambda x, y, s: arc.compile(lambda z: y)(X), expected="were expected"),
    "kept: init of scan": leaked(lambda x, y, s: arc.scan(lambda c, t: (c, t), x, X)),
    "kept: condition": leaked(lambda x, y, s: arc.cond(s, abs, abs, 1.0)),
    "kept: checked": leaked(lambda x, y, s: arc.check_grads(f, (x,))),
    "kept: called back": leaked(lambda x, y, s: arc.callback(math.erf, 0.0, s)),
    "kept: where a root starts": leaked(lambda x, y, s: arc.implicit_root(abs, s)),
    "kept: where an equation starts": leaked(lambda x, y, s: arc.odeint(lambda x, t: -x, s, [0.0, 1.0])),
    "kept: solved for": leaked(lambda x, y, s: arc.linear_solve(np.eye(3), x)),
    "kept: stopped": leaked(lambda x, y, s: arc.stop_gradient(x)),
    "kept: pickled": Row(
        lambda: (arc.grad(leaking)(X), pickle.dumps(LEAKED[0])), arc.TraceError, shown("test_bad_lines"), "is pickled",
        "only numbers outlive the trace", "Return it",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_lines(case, monkeypatch):
    monkeypatch.setattr(decisions, "MAX_DECISIONS", 1000)
    check(ROWS[case])


def test_errors_that_numpy_raises_around_plain_numbers_are_left_to_scipy():
    def from_a_start(x):
        # Its search of a line raises within, and catches, what floating-point errors NumPy meets.
        found = scipy.optimize.minimize(lambda t: np.sum((t - 2.0) ** 2), np.zeros(2), method="BFGS").x
        with np.errstate(all="ignore"):
            return np.sum(x * found)

    with np.errstate(all="raise"):
        np.testing.assert_allclose(arc.grad(from_a_start)(np.ones(2)), 2.0, rtol=1e-6)
        assert set(np.geterr().values()) == {"raise"}


def test_an_error_that_c_code_drops_is_told_in_a_note():
    def drops(x):
        with contextlib.suppress(TypeError):
            float(x)
        raise ValueError("no root")

    with pytest.raises(ValueError, match="no root") as caught:
        arc.grad(drops)(1.0)
    assert PLAIN_FLOAT in caught.value.__notes__[0]


@pytest.mark.parametrize("place", [(..., 0), 0, slice(1)])
def test_a_write_with_more_axes_than_a_plain_array_has_there_is_told_in_a_note(place):
    plain = np.zeros(3)

    def writes(x):
        plain[place] = x[None, None]
        return x

    with pytest.raises((ValueError, arc.TraceError)) as caught:
        arc.compile(writes)(np.ones(1))
    told = str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))
    assert "A plain NumPy array cannot hold traced values" in told


@pytest.mark.parametrize("garbage", [1, 100])
def test_a_root_of_scipy_whatever_runs_between(garbage):
    # Objects of the collector's, made between two calls of the function, moved the place where the error was met.
    before = gc.get_threshold()
    try:
        gc.set_threshold(garbage)
        check(ROWS["a root of SciPy"])
        check(ROWS["a root of SciPy, the error met later"])
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("solver", [scipy.optimize.brentq, scipy.optimize.bisect])
def test_a_root_of_scipy_where_python_looks_for_the_operator_anew(solver):
    # A lookup in a class that has changed meets the error that SciPy left set, and finds no operator.
    class_of_traced = SymbolicArray

    def difference(t, x):
        class_of_traced.changed_by_a_test = t
        return t - x

    row = line(lambda x: solver(difference, 0, 2, args=(x,)), PLAIN_FLOAT, LOSES, "Use arc.implicit_root")
    try:
        check(row)
    finally:
        del SymbolicArray.changed_by_a_test
