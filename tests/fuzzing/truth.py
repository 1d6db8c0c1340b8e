"""What the reference knows of a program at a point, and when a result is that."""

import copy
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .plain_transforms import reference
from .reference import ERRORS, LONG, Differences, Effort, Unsure, differences
from .rounding import runs
from .unread import is_unread

EPS, EPS_SINGLE = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)

#: Derivatives agree to these shares of their scale: what double precision leaves after a few operations.
RTOL_FIRST, RTOL_SECOND = 1e-9, 1e-6

#: Where what is not finite spreads otherwise than in NumPy: it takes real factors of complex numbers for complex ones,
#: and histograms from sums of all the weights before; the library sums axes of einsum of one array first, and adds
#: nothing to an entry that a quantile falls on.
_APART_AT_INFINITY = frozenset({"complex", "fft", "histogram", "einsum", "quantile", "percentile", "nanquantile"})

#: What puts nan behind all numbers, so that these move where there is one more.
_MOVES_NAN = frozenset({"sort", "partition", "unique", "union1d"})

#: What may give a zero of either sign by the conventions, so that its reciprocal is infinite with either; and what
#: else reads the sign.
_OF_EITHER_ZERO = frozenset({
    "sort", "partition", "median", "max", "min", "maximum", "minimum", "fmax", "fmin", "clip", "quantile", "percentile",
    "nanquantile", "dot", "matmul", "einsum", "tensordot", "inner", "vdot", "sum", "convolve", "unique", "union1d",
})  # fmt: skip
_READS_SIGNS = frozenset({"arctan2", "angle", "copysign", "signbit"})

#: Evaluations that the reference may take for a program at a point.
_EFFORT = 20_000

#: Transformations whose values the reference knows by differences, so as it knows first or second derivatives.
_DERIVATIVES = {"grad", "value_and_grad", "jac", "jvp", "vjp", "hvp", "hess"}


def outputs_of(result: Any) -> list[Any]:
    """Return the outputs of a program as a list."""
    return list(result) if isinstance(result, tuple) else [result]


def total(result: Any) -> Any:
    """Return a sum of all entries of all outputs, each with a weight of its own."""
    return sum((np.sum(weights_of(x) * x) for x in outputs_of(result)), start=0.0)


def weights_of(x: Any) -> Any:
    """Return a weight for each entry, no two the same."""
    return 1 + 0.5 * np.cos(1.0 + np.arange(np.size(x))).reshape(np.shape(x))


def argnums_of(args: Sequence[Any]) -> tuple[int, ...]:
    """Return the positions of what is differentiated: not of whole numbers."""
    return tuple(i for i, x in enumerate(args) if np.asarray(x).dtype.kind == "f")


def directions_of(args: Sequence[Any]) -> tuple[Any, ...]:
    """Return a direction for each argument that is differentiated, of the size of one."""
    chosen = ((i, np.shape(args[i]), np.size(args[i])) for i in argnums_of(args))
    return tuple(np.sin(1.3 + 2.1 * np.arange(size) + 0.7 * i).reshape(shape)[()] for i, shape, size in chosen)


@dataclass
class Point:
    """A program at a point, by the reference: as where it is differentiated, which widens arguments to float64.

    Attributes
    ----------
    error_is_unread
        Whether it is raised by something that no output reads.
    undifferentiated
        The same at arguments as they are, where some of them are of single precision.
    with_drawn_errors
        Gives the outputs of some runs with other rounding errors.
    names_at_infinity
        Of what the library has nan at infinities where NumPy has not or the other way round, what the program names.
    has_complex_numbers
        Whether complex numbers stand in the program.
    """

    args: list[Any]
    names: tuple[str, ...] = ()
    expected: list[Any] = field(default_factory=list)
    error: type[BaseException] | None = None
    error_is_unread: bool = False
    outputs: list[Differences] = field(default_factory=list)
    sure: bool = False
    is_at_a_border: bool = False
    second_is_sure: bool = False
    slope: Any = None
    curvature: Any = None
    eps: float = EPS
    undifferentiated: "Point | None" = None
    with_drawn_errors: Callable[[], list[list[Any]]] = list
    names_at_infinity: frozenset[str] = frozenset()
    has_complex_numbers: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickled program takes along with its case: not the program of the reference."""
        return {**vars(self), "with_drawn_errors": list}

    @property
    def orders_inside(self) -> int:
        """The sum of the orders of the derivatives inside the program."""
        return sum(2 if name in ("hvp", "hess") else 1 for name in self.names if name in _DERIVATIVES)

    @property
    def n_errors(self) -> int:
        """How many errors of the reference a sum of all entries has: differences of differences have one each."""
        return max(1, sum(np.size(x) for x in self.expected)) if self.order else 1

    @property
    def order(self) -> int:
        """The order of the derivatives inside the program, 2 at most."""
        return min(2, self.orders_inside)

    def fresh(self) -> list[Any]:
        """Return the arguments, which the program may write to."""
        return copy.deepcopy(self.args)


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that code and the functions in it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _numbers(code: types.CodeType) -> Iterator[float]:
    """The real numbers in code and in the functions in it."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _numbers(constant)
        elif isinstance(constant, tuple):
            yield from (x for x in constant if isinstance(x, int | float))
        elif isinstance(constant, int | float):
            yield constant


def _has_complex_numbers(code: types.CodeType) -> bool:
    return any(
        isinstance(constant, complex) or (isinstance(constant, types.CodeType) and _has_complex_numbers(constant))
        for constant in code.co_consts
    )


def truth(program: Callable[..., Any], args: Sequence[Any]) -> Point:
    """Return what the reference knows of a program at a point.

    Raises
    ------
    Unsure
        If a derivative inside the program lies at a kink.
    """
    point = Point(list(args), tuple(_names(program.__code__)))
    plain, direction = reference(program), directions_of(args)
    Effort.begin(_EFFORT)
    wide = [np.asarray(x, float if np.asarray(x).dtype == np.float32 else None)[()] for x in args]
    if {"linalg", "fft", "polyfit"} & set(point.names) and not all(np.isfinite(x).all() for x in wide):
        raise Unsure  # What is not finite spreads as the factorisation is computed.
    point.with_drawn_errors = lambda: runs(plain, copy.deepcopy(wide))
    point.has_complex_numbers = _has_complex_numbers(program.__code__)
    complex_too = {"complex"} if point.has_complex_numbers else set()
    point.names_at_infinity = _APART_AT_INFINITY & ({*point.names} | complex_too)
    try:
        point.expected = outputs_of(plain(*copy.deepcopy(wide)))
    except AttributeError:
        raise Unsure from None  # An int of Python, as of round, which has attributes in a graph.
    except ERRORS as error:
        _note_error(point, error, plain, wide)
        return point

    def along(s: Any) -> list[Any]:
        moved = copy.deepcopy(wide)
        for i, v in zip(argnums_of(args), direction, strict=True):
            moved[i] = np.asarray(moved[i], LONG) + s * v
        return outputs_of(plain(*(x if np.ndim(x) else x[()] for x in moved)))

    try:
        point.outputs = differences(along)
    except ERRORS:
        point.outputs = [Differences(np.asarray(x)) for x in point.expected]
    if [x.value.shape for x in point.outputs] != [np.shape(x) for x in point.expected]:
        raise Unsure  # A decision within rounding.
    point.is_at_a_border = _at_a_border(args, program.__code__)
    point.sure = not point.is_at_a_border and all(
        x.first_is_sure and is_near(y, x.value, 1e-9 * scale_of(y, x.value))
        for x, y in zip(point.outputs, point.expected, strict=True)
    )  # fmt: skip
    # Each order divides the rounding errors by the step: five of them leave less than is asked for.
    few = point.orders_inside <= 2
    point.second_is_sure = point.sure and few and all(x.second_is_sure for x in point.outputs)
    if point.sure:
        point.slope = sum(float(np.sum(weights_of(x.first) * x.first)) for x in point.outputs)
        point.curvature = sum(float(np.sum(weights_of(x.second) * x.second)) for x in point.outputs)
        # Beyond the range of double precision a gradient holds infinities of both signs, and their sum is nan.
        point.sure = bool(np.isfinite(point.slope))
        point.second_is_sure &= point.sure and bool(np.isfinite(point.curvature))
    if any(np.asarray(x).dtype == np.float32 for x in args):
        point.undifferentiated = replace(point, eps=EPS_SINGLE, with_drawn_errors=lambda: runs(plain, point.fresh()))
        try:
            point.undifferentiated.expected = outputs_of(plain(*point.fresh()))
        except ERRORS as error:
            _note_error(point.undifferentiated, error, plain, point.fresh())
    return point


def _note_error(point: Point, error: BaseException, plain: Callable[..., Any], args: Sequence[Any]) -> None:
    point.error = type(error)
    point.error_is_unread = isinstance(error, np.linalg.LinAlgError) and is_unread(plain, args)


def _at_a_border(args: Sequence[Any], code: types.CodeType) -> bool:
    """Tell whether entries are not finite, 0, or up to sign equal or numbers of the program, which it may subtract.

    Along one line a kink there may look smooth, and the absolute value of a square is: the library's has slope 0 at 0.
    """
    entries = np.abs(np.concatenate([np.ravel(args[i]) for i in argnums_of(args)]))
    known = np.isin(entries, np.abs([0, *_numbers(code)]))
    return len(np.unique(entries)) < len(entries) or not np.isfinite(entries).all() or bool(known.any())


# --- comparisons ------------------------------------------------------------------------------------


def require_value(got: Any, point: Point, way: str) -> None:
    """Raise AssertionError where outputs are not NumPy's: types, shapes, values to rounding; Unsure at a jump."""
    got = outputs_of(got)
    assert len(got) == len(point.expected), f"{way}: {len(got)} outputs in place of {len(point.expected)}"
    for k, (result, expected, exact) in enumerate(zip(got, point.expected, point.outputs, strict=True)):
        if isinstance(expected, np.ndarray | np.generic):
            if expected.dtype.kind == "f" and expected.dtype.itemsize < 8 and point.eps == EPS:
                raise Unsure  # A truth value that NumPy made a half precision number: a graph rounds nothing to that.
            kind = np.float64 if expected.shape == () and expected.dtype.kind == "f" else type(expected)
            if result.dtype == np.float64 and expected.dtype == np.float32 and point.has_complex_numbers:
                raise Unsure  # 1j times np.float64 is Python's complex, which widens nothing; here it is NumPy's.
            for what in ("dtype", "shape"):
                own, wanted = getattr(result, what), getattr(expected, what)
                if own != wanted:
                    _require_no_decision_within_rounding(point, k, None, 0.0)
                    raise AssertionError(f"{way}: {what} {own} in place of {wanted}")
            assert expected.shape == () or type(result) is kind
        else:  # a plain number of Python, of which a graph makes one of NumPy
            kinds = np.asarray(result).dtype.kind, np.asarray(expected).dtype.kind
            assert kinds[0] == kinds[1], f"{way}: {type(result)} in place of {type(expected)}"
        tolerance = _rounding(expected, exact, point)
        if not is_near(result, expected, tolerance):
            if not exact.first_is_sure and not point.is_at_a_border:
                raise Unsure
            wrong = _apart(result, expected, tolerance)
            if point.is_at_a_border and _OF_EITHER_ZERO & {*point.names}:
                infinite = np.asarray(expected, float)
                opposite = np.isinf(infinite) & (np.asarray(result, float) == -infinite)
                if opposite[wrong].all() or _READS_SIGNS & {*point.names}:
                    raise Unsure
            if point.names_at_infinity and _spreads_otherwise(point, result, expected)[wrong].all():
                raise Unsure
            _require_no_decision_within_rounding(point, k, wrong, tolerance)
            raise AssertionError(f"{way}: value\n{result}\nin place of\n{expected}")


def _apart(got: Any, expected: Any, tolerance: Any) -> Any:
    """Return which entries are not equal up to a tolerance."""
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    return ~np.isclose(got, expected, rtol=0, atol=tolerance, equal_nan=True)


def _spreads_otherwise(point: Point, got: Any, expected: Any) -> Any:
    """Return where one of two is nan, or of complex numbers infinite: the root of infinity and nan is infinite.

    Where all arguments are finite, the other one has to be infinite, but of Fourier transforms.
    """
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    one_is_nan = np.isnan(got) != np.isnan(expected)
    if one_is_nan.any() and _MOVES_NAN & {*point.names}:
        return np.ones_like(one_is_nan)
    if "fft" not in point.names_at_infinity and all(np.isfinite(x).all() for x in point.args):
        return one_is_nan & (np.isinf(got) | np.isinf(expected))
    return one_is_nan | np.isinf(expected) if point.has_complex_numbers else one_is_nan


def _require_no_decision_within_rounding(point: Point, k: int, wrong: Any, tolerance: Any) -> None:
    """Raise Unsure where other rounding errors change all the entries of an output that are wrong, or its form.

    As the order of numbers that are equal but for rounding, the absolute values of Fourier coefficients for one.
    """
    expected = np.asarray(point.expected[k])
    try:
        without, *others = (results[k] for results in point.with_drawn_errors())
    except Exception:  # A program that does not run in this arithmetic is judged without it.
        return
    if (without.shape, without.dtype) != (expected.shape, expected.dtype) or not is_near(without, expected, tolerance):
        return
    if any(other.dtype != expected.dtype for other in others):
        raise Unsure
    # Drawn errors give no 0 where one of two equal numbers is rounded otherwise; extended precision does.
    others.append(point.outputs[k].value)
    if any(other.shape != expected.shape for other in others):
        raise Unsure
    changed = np.zeros(expected.shape, bool)
    for other in others:
        changed |= _apart(other, expected, tolerance)
    if wrong is not None and changed[wrong].all():
        raise Unsure


def require_no_singularity_within_rounding(point: Point) -> None:
    """Raise Unsure where other rounding errors change an output altogether: a matrix is singular but for rounding."""
    try:
        without, *others = point.with_drawn_errors()
    except np.linalg.LinAlgError:
        raise Unsure from None
    except Exception:  # A program that does not run in this arithmetic is judged without it.
        return
    for results in others:
        if any(bool(np.any(_apart(x, y, 0.1 * scale_of(y)))) for x, y in zip(results, without, strict=True)):
            raise Unsure


def _rounding(expected: Any, exact: Differences, point: Point) -> Any:
    """Return what rounding may change: some units of the largest entry and of the slope, and NumPy's own error."""
    eps = point.eps
    if point.order:
        rtol = max(RTOL_FIRST if point.order == 1 else RTOL_SECOND, 5e4 * eps)
        return rtol * scale_of(expected, exact.first if exact.steady else 0)
    if np.asarray(expected).dtype.kind != "f" or not exact.steady:
        return 5e4 * eps * scale_of(expected)
    noise = np.max(np.abs(np.asarray(expected, LONG) - exact.value), initial=0.0)
    return 500 * eps * float(scale_of(expected, exact.first)) + 500 * float(noise)


def scale_of(*arrays: Any) -> float:
    """Return the largest finite number, 1 at least."""
    with np.errstate(invalid="ignore"):
        finite = [np.nan_to_num(np.asarray(x, float), posinf=0, neginf=0) for x in arrays]
        return max(float(np.max(np.abs(x), initial=1.0)) for x in finite)


def is_near(got: Any, expected: Any, tolerance: Any) -> bool:
    """Tell whether all entries are equal up to a tolerance; nan equals nan."""
    return not np.any(_apart(got, expected, tolerance))


def require_number(got: Any, expected: float, scale: float, rtol: float, way: str) -> None:
    """Raise AssertionError where a number is not near the expected one, on a scale."""
    if not abs(float(got) - expected) <= rtol * max(1.0, scale):
        raise AssertionError(f"{way}: {float(got)!r} in place of {expected!r}")


def dot(left: Sequence[Any], right: Sequence[Any]) -> float:
    """Return the sum of the products of all entries."""
    return float(sum(np.sum(a * b) for a, b in zip(left, right, strict=True)))


def require_alike(got: Any, expected: Any, way: str, rtol: float = 1e-10) -> None:
    """Raise AssertionError where two ways of the library do not agree."""
    for a, b in zip(got, expected, strict=True):
        assert np.shape(a) == np.shape(b), f"{way}: shape {np.shape(a)} in place of {np.shape(b)}"
        if not is_near(a, b, rtol * scale_of(b)):
            raise AssertionError(f"{way}:\n{a}\nin place of\n{b}")
