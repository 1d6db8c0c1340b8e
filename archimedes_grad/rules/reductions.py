"""Sums, products, extremes and means over axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.constants import constant_node
from archimedes_grad.arrays.dispatch import ELEMENTWISE, FUNCTIONS, UFUNC_METHODS, implements, implements_ufunc
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import as_traced, gathered, node_of, require_real, value_of
from archimedes_grad.arrays.trace_state import current_trace
from archimedes_grad.nodes.broadcasts import is_large_sum, sum_with_ones
from archimedes_grad.nodes.gather import EXTREMES, Shape, flat, reshaped
from archimedes_grad.nodes.patterns import repeated_across, seen_as, sum_of_all
from archimedes_grad.rules.composition import NO_VALUE, assigned, counted, given
from archimedes_grad.rules.lengths import root_of_sum_of_squares
from archimedes_grad.rules.running import last_result
from archimedes_grad.rules.ufuncs import numpys_out
from archimedes_grad.rules.words import add, is_nan, mul, negated, only_where

#: Up to this length a sum is built by additions alone, which expands to scalars without products by one.
_SHORT_SUM = 1024

#: A sum of shares of one number differs from it by less than this part, and by fewer steps of that part.
_ROUNDING, _STEPS = 2.0**-20, 2.0**80


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes to reduce as NumPy counts them, after NumPy has taken them: axis 0 of a number is none."""
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    return np.lib.array_utils.normalize_axis_tuple(axis, ndim)


def reduced_last(array: SymbolicArray, axes: tuple[int, ...]) -> tuple[cs.MX, Shape]:
    """Return the array with the reduced axes moved to the end and merged, and the shape that is kept.

    The node is stored with one row for each reduced entry and one column for each kept one.
    """
    kept = tuple(axis for axis in range(array.ndim) if axis not in axes)
    shape = tuple(array.shape[axis] for axis in kept)
    length = math.prod(array.shape[axis] for axis in axes)
    ordered: Any = np.transpose(array, kept + tuple(sorted(axes)))
    return seen_as(ordered.node, length, math.prod(shape)), shape


def summed(array: SymbolicArray, axes: tuple[int, ...]) -> cs.MX:
    """Return the sum over axes; over leading axes without moving an entry."""
    trace = current_trace()
    # The derivative of CasADi's sums has patterns of all entries, even of those that nobody asks for.
    if trace is not None and trace.engine == "native" and is_large_sum(array.shape, axes):
        trace.large_products = True
        return sum_with_ones(array.node, array.shape, axes)
    if axes == tuple(range(len(axes))) and len(axes) < array.ndim:
        kept = math.prod(array.shape[len(axes) :])
        length = math.prod(array.shape[: len(axes)])
        return cs.repsum(seen_as(array.node, kept, length), 1, length)
    matrix, _ = reduced_last(array, axes)
    length, kept = matrix.shape
    if kept > 1:
        return cs.mtimes(cs.MX.ones(1, length), matrix)
    return sum_of_all(matrix) if length > _SHORT_SUM else cs.repsum(seen_as(matrix, 1, length), 1, length)


def _reduction(
    ufunc: np.ufunc, reduce_node: Callable[[SymbolicArray, tuple[int, ...]], cs.MX]
) -> Callable[..., Any]:
    """Return the rule of ``ufunc.reduce`` and of the NumPy function that stands for it."""

    def rule(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
             initial: Any = NO_VALUE, where: Any = True) -> Any:  # fmt: skip
        a = gathered(a)
        keepdims = False if keepdims is NO_VALUE else keepdims
        where = True if where is NO_VALUE else where
        options = {"axis": axis, "dtype": dtype, "keepdims": bool(keepdims), "where": value_of(where)}
        options |= given(initial=NO_VALUE if initial is None else value_of(initial))
        value = _judged(ufunc.reduce, out, value_of(a), **options)
        if where is not True:
            identity = _identity(ufunc)
            a = np.where(where, a, np.asarray(identity, dtype=a.dtype if identity in (0, 1) else float))
        dtype = np.asarray(value).dtype
        array = as_traced(a).astype(dtype, copy=False)
        first = None if initial is NO_VALUE or initial is None else as_traced(gathered(initial)).astype(dtype)
        axes = reduced_axes(axis, array.ndim)
        if 0 in array.shape:
            node = constant_node(np.full(np.shape(value), _identity(ufunc), dtype=float))
        elif ufunc is np.multiply and first is not None:
            # Where products overflow their order counts, and the last digits hang on it.
            return assigned(out, new_array(reshaped(_product(array, axes, first.node), np.shape(value)), value))
        else:
            node = reshaped(reduce_node(array, axes), np.shape(value))
        result = new_array(node, value)
        if first is not None:
            result = new_array(ufunc(result, first).node, value)
        return assigned(out, result)

    return rule


def _judged(function: Callable[..., Any], out: Any, *args: Any, **keywords: Any) -> Any:
    """Return what NumPy gives for values, after it has judged shape and dtype of ``out=``."""
    args, keywords = tuple(map(value_of, args)), {name: value_of(word) for name, word in keywords.items()}
    if out is not None:
        name = getattr(function, "__self__", function).__name__  # of a ufunc's method, the ufunc's
        function(*args, out=numpys_out(out, name), **keywords)
    return function(*args, **keywords)


def _identity(ufunc: np.ufunc) -> Any:
    if ufunc.identity is not None:
        return ufunc.identity
    return -math.inf if ufunc in (np.maximum, np.fmax) else math.inf


# --- products and extremes -------------------------------------------------------------------------


def reduced_columns(array: SymbolicArray, axes: tuple[int, ...]) -> cs.MX:
    """Return the array with one row for each kept entry and one column for each reduced one.

    Columns are contiguous: they are split, repeated and added without moving an entry.
    """
    kept = tuple(axis for axis in range(array.ndim) if axis not in axes)
    length = math.prod(array.shape[axis] for axis in axes)
    ordered: Any = np.transpose(array, tuple(sorted(axes)) + kept)
    matrix: cs.MX = seen_as(ordered.node, math.prod(array.shape[axis] for axis in kept), length)
    return matrix


def folded(matrix: cs.MX, combine: Callable[[cs.MX, cs.MX], cs.MX]) -> cs.MX:
    """Combine the columns of a matrix in halves: in log2(columns) nodes, without any order of evaluation lost."""
    # A combination takes one to five operations; as many entries as there are columns are combined.
    counted(6 * matrix.size2().bit_length(), 4 * matrix.numel())
    while matrix.size2() > 1:
        half = matrix.size2() // 2
        left, right, *odd = cs.horzsplit(matrix, [0, half, 2 * half, *([matrix.size2()] if matrix.size2() % 2 else [])])
        matrix = cs.horzcat(combine(left, right), *odd) if odd else combine(left, right)
    return matrix


def _product(array: SymbolicArray, axes: tuple[int, ...], first: cs.MX | None = None) -> cs.MX:
    matrix = reduced_columns(array, axes)
    entries, width = flat(matrix), matrix.size1()
    if first is not None:
        entries = cs.vertcat(cs.repmat(first, width, 1), entries)
    return last_result(entries, width, mul)


def _extreme(ufunc: np.ufunc) -> Callable[[SymbolicArray, tuple[int, ...]], cs.MX]:
    """Return the node of an extreme; entries that tie for it share the gradient equally."""
    largest, skips_nan = ufunc in (np.maximum, np.fmax), ufunc in (np.fmax, np.fmin)
    operation = cs.OP_FMAX if largest else cs.OP_FMIN
    of_two: Callable[[cs.MX, cs.MX], cs.MX] = ELEMENTWISE[ufunc]

    def reduce_node(array: SymbolicArray, axes: tuple[int, ...]) -> cs.MX:
        # One column of all entries, where it need not be split: its pattern is the cheapest.
        is_whole = len(axes) == array.ndim and array.size > _SHORT_SUM and not skips_nan
        matrix = flat(array.node) if is_whole else reduced_columns(array, axes)
        kept, length = (1, array.size) if is_whole else matrix.shape
        if length <= 2:
            return matrix if length == 1 else of_two(*cs.horzsplit(matrix))
        # It decides who ties, and no derivative goes through it.
        if kept == 1 and not skips_nan:
            extreme = cs.mmax(matrix) if largest else cs.mmin(matrix)
        else:
            extreme = _extreme_of_columns(matrix, operation, is_call=not skips_nan)
        counted(7, 5 * matrix.numel())
        spread = _along_columns(extreme, length)
        if skips_nan:
            tied = cs.MX.binary(cs.OP_EQ, matrix, spread)
        else:
            # A nan is not beyond anything either: it ties, and passes on.
            inner, outer = (matrix, spread) if largest else (spread, matrix)
            tied = negated(cs.MX.binary(cs.OP_LT, inner, outer))
        share = cs.MX.binary(cs.OP_DIV, matrix, _along_columns(_total(tied), length))
        shared = _with_value_of(extreme, _total(only_where(tied, share)))
        return add(shared, only_where(is_nan(extreme), cs.MX(math.nan))) if skips_nan else shared

    return reduce_node


def _with_value_of(extreme: cs.MX, shared: cs.MX) -> cs.MX:
    """Return the sum of the shares with its last digits made those of the extreme; slopes are the sum's.

    The difference is taken in whole steps of 2**-80 of the sum: a floor has derivative zero.
    """
    counted(8, 8 * shared.numel())
    off = cs.MX.binary(cs.OP_DIV, cs.MX.binary(cs.OP_SUB, extreme, shared), shared)
    # False where the sum is 0, infinite or nan, and exact therefore.
    is_close = cs.MX.binary(cs.OP_LT, cs.fabs(off), cs.MX(_ROUNDING))
    steps = cs.floor(only_where(is_close, mul(off, cs.MX(_STEPS))))
    return add(shared, only_where(is_close, mul(shared, mul(steps, cs.MX(1 / _STEPS)))))


def _extreme_of_columns(matrix: cs.MX, operation: int, is_call: bool) -> cs.MX:
    """Return the extreme of each row, nan ignored; as the call of a Function that engines know by its name.

    The reverse sweep goes through a call even where nothing comes back to it, and nan times 0 is nan: where nan is
    skipped, it has to stand in the graph itself.
    """
    if not is_call:
        return folded(matrix, lambda first, second: cs.MX.binary(operation, first, second))
    symbol = cs.MX.sym("columns", *matrix.shape)
    extreme = folded(symbol, lambda first, second: cs.MX.binary(operation, first, second))
    function = cs.Function(EXTREMES[operation], [symbol], [extreme], {"never_inline": True})
    (result,) = function.call([matrix])
    return result


def _along_columns(column: cs.MX, count: int) -> cs.MX:
    """Return a column repeated; a single entry is left to CasADi's own broadcasting."""
    return column if column.is_scalar() else repeated_across(column, count)


def _total(matrix: cs.MX) -> cs.MX:
    """Return the sum of the columns; of a long row or of one column, that of all entries."""
    rows, columns = matrix.shape
    is_whole = columns == 1 or (rows == 1 and columns > _SHORT_SUM)
    return sum_of_all(matrix) if is_whole else cs.repsum(matrix, 1, columns)


_sum = _reduction(np.add, summed)
_prod = _reduction(np.multiply, _product)
_max = _reduction(np.maximum, _extreme(np.maximum))
_min = _reduction(np.minimum, _extreme(np.minimum))
_fmax = _reduction(np.fmax, _extreme(np.fmax))
_fmin = _reduction(np.fmin, _extreme(np.fmin))

FUNCTIONS[np.sum] = _sum
FUNCTIONS[np.prod] = _prod

for _ufunc, _rule in (
    (np.add, _sum), (np.multiply, _prod), (np.maximum, _max), (np.minimum, _min), (np.fmax, _fmax), (np.fmin, _fmin),
):  # fmt: skip
    # ufunc.reduce works along the first axis where np.sum works on all.
    UFUNC_METHODS[_ufunc, "reduce"] = lambda a, axis=0, *rest, _rule=_rule, **kw: _rule(a, axis, *rest, **kw)


@implements(np.max, np.amax)
def max_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE,
         where: Any = NO_VALUE) -> Any:  # fmt: skip
    """The largest entry along axes."""
    return _max(a, axis, None, out, keepdims, initial, where)


@implements(np.min, np.amin)
def min_(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE,
         where: Any = NO_VALUE) -> Any:  # fmt: skip
    """The smallest entry along axes."""
    return _min(a, axis, None, out, keepdims, initial, where)


def _logical_reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of np.any or np.all: a count of the entries that decide."""

    def rule(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Any:
        a = gathered(a)
        value = _judged(function, out, value_of(a), axis, **given(keepdims=keepdims, where=value_of(where)))
        deciding = np.not_equal(a, 0) if function is np.any else np.equal(a, 0)
        count = np.sum(deciding, axis=axis, **given(keepdims=keepdims, where=where))
        decided = (np.not_equal if function is np.any else np.equal)(count, 0)
        return assigned(out, new_array(node_of(decided), value))

    return rule


FUNCTIONS[np.any] = _logical_reduction(np.any)
FUNCTIONS[np.all] = _logical_reduction(np.all)


def _logical_ufunc_reduction(ufunc: np.ufunc, function: Callable[..., Any]) -> None:
    @implements_ufunc("reduce", ufunc)
    def rule(a: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False,
             initial: Any = NO_VALUE, where: Any = True) -> Any:  # fmt: skip
        a = gathered(a)
        # NumPy's own judgement of the arguments comes first.
        keywords = given(initial=value_of(initial))
        keywords |= {"axis": axis, "dtype": dtype, "keepdims": keepdims, "where": value_of(where)}
        _judged(ufunc.reduce, out, value_of(a), **keywords)
        result = function(a, axis, keepdims=keepdims, where=where)
        if initial is not NO_VALUE and initial is not None:
            result = ufunc(result, initial)
        return assigned(out, result)


_logical_ufunc_reduction(np.logical_or, np.any)
_logical_ufunc_reduction(np.logical_and, np.all)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The number of entries that are not zero."""
    a = gathered(a)
    value = np.count_nonzero(value_of(a), axis, keepdims=keepdims)
    return new_array(np.sum(np.not_equal(a, 0), axis=axis, keepdims=keepdims).node, value)


@implements(np.mean)
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *,
         where: Any = NO_VALUE) -> Any:  # fmt: skip
    """The arithmetic mean along axes."""
    a = gathered(a)
    keywords = given(keepdims=keepdims, where=where)
    value = _judged(np.mean, out, value_of(a), axis, dtype, **given(keepdims=keepdims, where=value_of(where)))
    require_real(value)
    total = np.sum(a, axis, dtype=np.float64, **keywords)
    result = new_array(node_of(total / _count(a, axis, keepdims, where)), value)
    return assigned(out, result)


@implements(np.var)
def var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = NO_VALUE, *,
        where: Any = NO_VALUE, mean: Any = NO_VALUE, correction: Any = NO_VALUE) -> Any:  # fmt: skip
    """The variance along axes: the mean of the squared deviations."""
    a = gathered(a)
    value = _judged(np.var, out, value_of(a), axis, dtype, ddof=ddof, **given(
        keepdims=keepdims, where=value_of(where), mean=value_of(mean), correction=correction,
    ))  # fmt: skip
    require_real(value)
    degrees_lost = ddof if correction is NO_VALUE else correction
    center = mean
    if center is NO_VALUE:
        center = np.mean(a, axis, dtype=np.float64, keepdims=True, **given(where=where))
    deviation = a - center
    total = np.sum(deviation * deviation, axis, **given(keepdims=keepdims, where=where))
    degrees = np.maximum(_count(a, axis, keepdims, where) - degrees_lost, 0)
    return assigned(out, new_array(node_of(total / degrees), value))


@implements(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = NO_VALUE, *,
        where: Any = NO_VALUE, mean: Any = NO_VALUE, correction: Any = NO_VALUE) -> Any:  # fmt: skip
    """The standard deviation along axes; its gradient at zero variance is 0, the least subgradient."""
    value = _judged(np.std, out, value_of(gathered(a)), axis, dtype, ddof=ddof, **given(
        keepdims=keepdims, where=value_of(where), mean=value_of(mean), correction=correction,
    ))  # fmt: skip
    options = given(keepdims=keepdims, where=where, mean=mean, correction=correction)
    variance = np.var(a, axis, dtype, ddof=ddof, **options)
    result = new_array(root_of_sum_of_squares(node_of(variance)), value)
    return assigned(out, result)


def _count(a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """Return how many entries each mean is of."""
    mask = True if where is NO_VALUE else where
    counted = np.broadcast_to(mask, np.shape(value_of(a)))
    return np.sum(counted, axis=axis, dtype=float, **given(keepdims=keepdims))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE) -> Any:
    """The largest entry less the smallest along axes."""
    keywords = given(keepdims=keepdims)
    return np.subtract(np.max(a, axis, **keywords), np.min(a, axis, **keywords), out=out)
