"""How each supported NumPy function is called at a size: the one table of benchmarks/rules.py and its test.

A function needs a row only where ``function(vector)`` (a ufunc: of as many vectors as it takes; of ``numpy.linalg``:
``function(matrix)``) is no call of it. A new rule so takes part by itself, or by one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.testing import overrides

from archimedes_grad.arrays import dispatch


def random(shape: tuple[int, ...], low: float, high: float) -> Any:
    return np.random.default_rng([41, *shape]).uniform(low, high, shape)


def matrix(n: int) -> Any:
    """A well-conditioned matrix, positive definite in its lower triangle."""
    side = math.isqrt(n)
    return random((side, side), 0.2, 0.8) + side * np.eye(side)


#: What an argument can be, of n entries or about so many.
KINDS: dict[str, Callable[[int], Any]] = {
    "vector": lambda n: random((n,), 0.2, 0.8),
    "another": lambda n: random((n,), 0.3, 0.9)[::-1].copy(),
    "above one": lambda n: random((n,), 1.1, 3.0),
    "centred": lambda n: random((n,), -2.0, 2.0),
    "sorted": lambda n: np.sort(random((n,), 0.0, 1.0)),
    "matrix": matrix,
    "another matrix": lambda n: random((math.isqrt(n), math.isqrt(n)), 0.2, 0.8),
    "tall": lambda n: random((n // 2, 2), 0.2, 0.8),
    "planes": lambda n: random((n // 5, 1, 5), 0.2, 0.8),
    "triples": lambda n: random((n // 3, 3), 0.2, 0.8),
    "side": lambda n: random((math.isqrt(n),), 0.2, 0.8),
    "side of outer": lambda n: random((math.isqrt(n),), 0.3, 0.9),
    "number": lambda n: 0.37,
    "three": lambda n: np.array([0.5, -0.2, 0.3]),
    "places": lambda n: np.random.default_rng(7).permutation(n),
    "small integers": lambda n: np.random.default_rng(7).integers(0, 5, n),
    "mask": lambda n: np.random.default_rng(7).random(n) < 0.5,
    "truths": lambda n: np.random.default_rng(8).random(n) < 0.5,
}


@dataclass(frozen=True)
class Case:
    """A call of a function of arguments of some kinds."""

    call: Callable[..., Any]
    kinds: tuple[str, ...]

    def at(self, n: int) -> tuple[Callable[..., Any], list[Any]]:
        """Return a call and its arguments; indices and masks beside real arguments are constants of it."""
        arguments = [KINDS[kind](n) for kind in self.kinds]
        real = [k for k, argument in enumerate(arguments) if np.asarray(argument).dtype.kind == "f"]
        if not real or len(real) == len(arguments):
            return self.call, arguments

        def call(*given: Any) -> Any:
            everything = list(arguments)
            for k, argument in zip(real, given, strict=True):
                everything[k] = argument
            return self.call(*everything)

        return call, [arguments[k] for k in real]


def on(*kinds: str, call: Callable[..., Any] | None = None) -> tuple[tuple[str, ...], Callable[..., Any] | None]:
    return kinds, call


def into(change: Callable[..., Any]) -> Callable[..., Any]:
    """Call what changes its first argument on a copy."""

    def call(x: Any, *rest: Any) -> Any:
        target = x.copy()
        change(target, x, *rest)
        return target

    return call


_two = on("vector", "another")
_two_matrices = on("matrix", "another matrix")
_matrix = on("matrix")
linalg, fft = np.linalg, np.fft

ROWS: dict[Any, tuple[tuple[str, ...], Callable[..., Any] | None]] = {
    # --- two arguments, or an array of more axes
    **dict.fromkeys((
        np.allclose, np.append, np.array_equal, np.array_equiv, np.copysign, np.dot, np.geomspace, np.heaviside,
        np.inner, np.intersect1d, np.isclose, np.linspace, np.may_share_memory, np.polyadd, np.polysub,
        np.setdiff1d, np.setxor1d, np.shares_memory, np.union1d, np.vdot, linalg.vecdot,
    ), _two),
    **dict.fromkeys((np.kron, np.outer, linalg.outer), on("side", "side of outer")),
    **dict.fromkeys(
        (np.tensordot, linalg.tensordot), on("matrix", "another matrix", call=lambda a, b: np.tensordot(a, b, 1))
    ),
    **dict.fromkeys((np.matmul, linalg.matmul), _two_matrices),
    **dict.fromkeys((
        np.diagonal, np.diag_indices_from, np.fliplr, np.flipud, np.matrix_transpose, np.rot90, np.trace, np.tril,
        np.triu, np.tril_indices_from, np.triu_indices_from, np.transpose, np.cov, np.corrcoef,
    ), _matrix),
    np.diag: on("side"), np.diagflat: on("side"),
    **({np.matvec: on("matrix", "side"), np.vecmat: on("side", "matrix")} if hasattr(np, "matvec") else {}),
    np.cross: on("triples", "triples"), linalg.cross: on("triples", "triples"),
    np.histogram2d: _two, np.histogramdd: on("tall"),
    np.arccosh: on("above one"), np.logspace: on("number", "number", call=lambda x, y: np.logspace(x, y, 10)),
    np.concatenate: on("vector", "another", call=lambda x, y: np.concatenate([x, y])),
    **{
        stack: on("vector", "another", call=lambda x, y, f=stack: f([x, y]))
        for stack in (np.block, np.column_stack, np.dstack, np.hstack, np.stack, np.vstack)
    },
    np.array: on("vector", "another", call=lambda x, y: np.array([x, y])),
    # Looked up when they are called, as a user's are.
    **{
        getattr(np, name): on("vector", call=lambda x, name=name: getattr(np, name)(x))
        for name in ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
    },
    **{f: on("vector", "another", call=lambda x, y, f=f: f(x, y)) for f in (np.broadcast_arrays,)},
    np.meshgrid: on("side", "side of outer"), np.ix_: on("side", "side of outer"),
    # --- movement
    np.array_split: on("vector", call=lambda x: np.array_split(x, 3)),
    np.split: on("vector", call=lambda x: np.split(x, [3, 5])),
    np.hsplit: on("matrix", call=lambda x: np.hsplit(x, [1])),
    np.vsplit: on("matrix", call=lambda x: np.vsplit(x, [1])),
    np.dsplit: on("planes", call=lambda x: np.dsplit(x, [2])),
    np.broadcast_to: on("vector", call=lambda x: np.broadcast_to(x, (3, x.size))),
    np.astype: on("vector", call=lambda x: np.astype(x, np.float64)),
    np.compress: on("vector", "mask", call=lambda x, mask: np.compress(mask, x)),
    np.extract: on("vector", "mask", call=lambda x, mask: np.extract(mask, x)),
    np.delete: on("vector", call=lambda x: np.delete(x, [0, 3])),
    np.insert: on("vector", call=lambda x: np.insert(x, [1, 3], 0.5)),
    np.expand_dims: on("vector", call=lambda x: np.expand_dims(x, 0)),
    np.moveaxis: on("planes", call=lambda x: np.moveaxis(x, 0, 2)),
    np.rollaxis: on("planes", call=lambda x: np.rollaxis(x, 2)),
    np.swapaxes: on("matrix", call=lambda x: np.swapaxes(x, 0, 1)),
    np.pad: on("vector", call=lambda x: np.pad(x, 3)),
    np.repeat: on("vector", call=lambda x: np.repeat(x, 2)), np.tile: on("vector", call=lambda x: np.tile(x, 2)),
    np.reshape: on("vector", call=lambda x: np.reshape(x, (2, -1))),
    np.resize: on("vector", call=lambda x: np.resize(x, (2, x.size))),
    np.roll: on("vector", call=lambda x: np.roll(x, 3)),
    np.take: on("vector", "places"),
    np.take_along_axis: on("vector", "places", call=lambda x, i: np.take_along_axis(x, i, 0)),
    np.lib.stride_tricks.sliding_window_view: on(
        "vector", call=lambda x: np.lib.stride_tricks.sliding_window_view(x, 3)
    ),
    np.require: on("vector", call=lambda x: np.require(x)),
    # --- writes
    np.copyto: on("vector", "another", call=into(lambda target, x, y: np.copyto(target, y))),
    np.fill_diagonal: on("matrix", "side", call=into(lambda target, x, y: np.fill_diagonal(target, y))),
    np.place: on("vector", "mask", "another", call=into(lambda target, x, mask, y: np.place(target, mask, y))),
    np.put: on("vector", "places", "another", call=into(lambda target, x, i, y: np.put(target, i, y))),
    np.put_along_axis: on(
        "vector", "places", "another", call=into(lambda target, x, i, y: np.put_along_axis(target, i, y, 0))
    ),
    np.putmask: on("vector", "mask", "another", call=into(lambda target, x, mask, y: np.putmask(target, mask, y))),
    # --- creation
    **{f: on("vector", call=lambda x, f=f: f(x.shape, like=x)) for f in (np.ones, np.zeros)},
    np.empty: on("vector", call=lambda x: np.empty(x.shape, like=x).shape),
    **{f: on("side", call=lambda x, f=f: f(len(x), like=x)) for f in (np.eye, np.identity, np.tri)},
    np.empty_like: on("vector", call=lambda x: np.empty_like(x) * 0),
    np.arange: on("vector", call=lambda x: np.arange(x.size, like=x)),
    np.full: on("number", "vector", call=lambda c, x: np.full(x.shape, c, like=x)),
    np.full_like: on("vector", "number", call=lambda x, c: np.full_like(x, c)),
    np.fromfunction: on("vector", call=lambda x: np.fromfunction(lambda i: i, x.shape, like=x)),
    np.fromiter: on("vector", call=lambda x: np.fromiter(range(x.size), float, like=x)),
    np.frombuffer: on("vector", call=lambda x: np.frombuffer(bytes(8 * x.size), like=x)),
    np.fromstring: on("vector", call=lambda x: np.fromstring("0.5 " * x.size, sep=" ", like=x)),
    # --- sums, products, polynomials
    np.bincount: on("small integers", "vector", call=lambda i, x: np.bincount(i, x)),
    np.convolve: on("vector", "three"), np.correlate: on("vector", "three"),
    np.einsum: on("matrix", "another matrix", call=lambda a, b: np.einsum("ij,jk->ik", a, b)),
    np.einsum_path: on("matrix", "another matrix", call=lambda a, b: np.einsum_path("ij,jk->ik", a, b)),
    np.apply_along_axis: on("tall", call=lambda x: np.apply_along_axis(np.sum, 0, x)),
    np.apply_over_axes: on("matrix", call=lambda x: np.apply_over_axes(np.sum, x, [0, 1])),
    np.poly: on("side", call=lambda x: np.poly(x[:10])),
    np.roots: on("side", call=lambda x: np.roots(np.poly(x[:6]))),
    np.polyder: on("vector"), np.polymul: on("vector", "three"), np.polydiv: on("vector", "three"),
    np.polyfit: on("vector", "another", call=lambda x, y: np.polyfit(x, y, 2)),
    np.polyval: on("three", "vector"), np.vander: on("vector", call=lambda x: np.vander(x, 4)),
    **{
        f: on("vector", "another", call=lambda x, y, f=f: f(x[:50], y[:50], np.arange(6.0).reshape(2, 3)))
        for f in (np.polynomial.polynomial.polyval2d, np.polynomial.polynomial.polygrid2d)
        if f in overrides.get_overridable_numpy_array_functions()  # NumPy 2.3 evaluates them by functions that are
    },
    # --- choice, order, search
    **{f: on("vector", "number", call=lambda x, c, f=f: f(x, c, 0.7)) for f in (np.clip,)},
    np.choose: on("small integers", "vector", "another", call=lambda i, x, y: np.choose(i, [x, y, x, y, x])),
    np.select: on("vector", "another", call=lambda x, y: np.select([x > 0.6, x > 0.4], [x, y], 0.5)),
    np.where: on("vector", "another", call=lambda x, y: np.where(x > 0.5, x, y)),
    np.piecewise: on("vector", call=lambda x: np.piecewise(x, [x < 0.5, x >= 0.5], [lambda x: x * x, lambda x: x])),
    np.partition: on("vector", call=lambda x: np.partition(x, x.size // 2)[x.size // 2]),
    np.argpartition: on("vector", call=lambda x: np.argpartition(x, x.size // 2)[x.size // 2]),
    np.lexsort: on("vector", "another", call=lambda x, y: np.lexsort((x, y))),
    np.searchsorted: on("sorted", "vector"), np.digitize: on("vector", "sorted"),
    np.interp: on("vector", "sorted", "another"),
    np.isin: on("vector", "three"), **({np.in1d: on("vector", "three")} if hasattr(np, "in1d") else {}),
    np.percentile: on("vector", call=lambda x: np.percentile(x, 30)),
    np.nanpercentile: on("vector", call=lambda x: np.nanpercentile(x, 30)),
    np.quantile: on("vector", call=lambda x: np.quantile(x, [0.1, 0.3])),
    np.nanquantile: on("vector", call=lambda x: np.nanquantile(x, [0.1, 0.3])),
    np.ravel_multi_index: on("small integers", call=lambda i: np.ravel_multi_index((i, i), (5, 5))),
    np.unravel_index: on("small integers", call=lambda i: np.unravel_index(i, (5, 5))),
    # --- integers, bits, dtypes
    np.ldexp: on("vector", "small integers"),
    **dict.fromkeys((np.bitwise_and, np.bitwise_or, np.bitwise_xor), on("mask", "truths")),
    np.invert: on("mask"),
    **dict.fromkeys((np.gcd, np.lcm, np.left_shift, np.right_shift), on("small integers", "small integers")),
    np.bitwise_count: on("small integers"),
    np.can_cast: on("vector", call=lambda x: np.can_cast(x.dtype, float)),
    # --- complex results, by a real one
    **{f: on("vector", call=lambda x, f=f: np.abs(f(x))) for f in (fft.fft, fft.ifft, fft.rfft, fft.ihfft)},
    **{
        f: on("matrix", call=lambda x, f=f: np.abs(f(x)))
        for f in (fft.fft2, fft.ifft2, fft.fftn, fft.ifftn, fft.rfft2, fft.rfftn)
    },
    **dict.fromkeys((fft.irfft2, fft.irfftn), _matrix),
    np.lib.scimath.logn: on("number", "vector"), np.lib.scimath.power: _two,
    # --- linear algebra
    linalg.norm: on("matrix"), linalg.vector_norm: on("vector"),
    linalg.eig: on("matrix", call=lambda x: [part.real for part in linalg.eig(x + x.T)]),
    linalg.eigvals: on("matrix", call=lambda x: linalg.eigvals(x + x.T).real),
    linalg.lstsq: on("matrix", "side"), linalg.solve: on("matrix", "side"),
    linalg.matrix_power: on("matrix", call=lambda x: linalg.matrix_power(x, 3)),
    linalg.multi_dot: on("matrix", "another matrix", call=lambda a, b: linalg.multi_dot([a, b, a])),
    linalg.tensorsolve: on("matrix", "side"), linalg.tensorinv: on("matrix", call=lambda x: linalg.tensorinv(x, 1)),
}  # fmt: skip


#: Functions that leave a node or a guard for each entry: larger ones take their time to trace.
LARGEST: dict[Any, int] = dict.fromkeys(
    (np.polydiv, np.unique, np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.unique_all, np.unique_counts,
     np.unique_inverse, np.unique_values), 1_000,
)  # fmt: skip


def public_name(function: Any) -> str:
    return f"{getattr(function, '__module__', None) or 'numpy'}.{function.__name__}"


def supported() -> dict[str, Any]:
    """Return the NumPy functions that have a rule, by name; of those with ``like=``, the public one."""
    dispatch.load_all_rules()
    functions = overrides.get_overridable_numpy_array_functions() | overrides.get_overridable_numpy_ufuncs()
    named = {}
    for function in filter(dispatch.has_rule, functions):
        # NumPy lists what is behind a function with like= beside it.
        name = public_name(function)
        named[name] = getattr(np, function.__name__) if name in named else function
    return dict(sorted(named.items()))


def case(function: Any) -> Case:
    """Return the function's row, or the call that needs none."""
    kinds, call = ROWS.get(function, (None, None))
    if kinds is None:
        if isinstance(function, np.ufunc):
            kinds = ("vector", "another")[: function.nin]
        else:
            kinds = ("matrix",) if function.__module__ == "numpy.linalg" else ("vector",)
    return Case(call or function, kinds)
