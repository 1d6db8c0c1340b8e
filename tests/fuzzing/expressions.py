"""Expressions: tables of text with names and numbers drawn into them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .scope import Draw, Scope

Maker = Callable[[Draw, Scope], str | None]

UNARY = (
    "np.sin({a})", "{a} * {a}", "-{a}", "np.exp({a})", "np.cos({a})", "np.tanh({a})", "np.sqrt(1 + {a} * {a})",
    "np.abs({a})", "{a} ** 2", "{a} ** 3", "1 / (2 + np.sin({a}))", "np.log(np.abs({a}))", "np.sqrt(np.abs({a}) + 0.1)",
    "np.square({a})", "np.cbrt({a} + 3)", "np.log1p({a} ** 2)", "np.expm1({a})", "np.sinh({a})", "np.cosh({a})",
    "np.arctan({a})", "np.arcsinh({a})", "np.tan(0.5 * {a})", "np.arcsin(0.9 * np.sin({a}))",
    "np.arccos(0.9 * np.cos({a}))", "np.arctanh(0.8 * np.tanh({a}))", "np.arccosh(1.5 + {a} ** 2)",
    "np.reciprocal({a})", "np.exp2({a})",
    "np.log2(1 + {a} ** 2)", "np.log10(2 + np.cos({a}))", "np.sign({a})", "np.floor({a})", "np.ceil({a})",
    "np.rint({a})", "np.trunc({a})", "np.modf({a})[0]", "np.maximum({a}, 0)", "np.minimum({a}, 0.5)",
    "np.clip({a}, -0.5, 0.7)", "np.where({a} > 0, {a}, 0.1 * {a})", "np.sinc({a})", "np.heaviside({a}, 0.5)",
    "np.deg2rad({a})", "np.fabs({a})", "np.positive({a})", "np.nan_to_num({a})", "np.where({a} > 0, np.log({a}), {a})",
    "np.where({a} > 0, np.sqrt({a}), 0.0)", "{a} / (1 + np.abs({a}))",
    "np.select([{a} < 0, {a} < 1], [{a} ** 2, 2 * {a}], 1.0)", "special.expit({a})", "special.erf({a})",
    "special.ndtr({a})", "special.gammaln(1.5 + {a} ** 2)", "special.digamma(1.5 + {a} ** 2)", "special.i0({a})",
    "special.j1({a})", "np.abs({a}) ** 1.5", "(2 + np.sin({a})) ** {a}", "2.0 ** {a}", "np.copysign({a}, -1.0)",
    "np.fix({a})", "np.unwrap(np.atleast_1d({a}))", "abs({a})", "+{a}", "np.conj({a})", "np.real({a})",
    "np.around({a}, 1)",
    # By way of complex numbers
    "np.abs({a} + 1j * np.cos({a}))", "np.real(np.exp(1j * {a}))", "np.angle({a} + 1j)", "({a} * (1 + 2j)).imag",
    "np.imag(np.sqrt({a} + 2j))", "(1 / ({a} + 1j)).real", "np.real(({a} + 0.5j) ** 2)",
    "special.erfc({a})", "special.gamma(1.5 + {a} ** 2)", "special.log_ndtr({a})", "special.j0({a})", "special.i1({a})",
    "special.erfcx({a})", "special.k0(1 + {a} ** 2)", "special.spence(1 + {a} ** 2)", "special.dawsn({a})",
    "special.ellipk(0.3 * np.tanh({a}))", "special.exprel({a})", "special.i0e({a})", "special.y0(1 + {a} ** 2)",
    "special.entr(0.2 + {a} ** 2)", "special.logit(0.5 + 0.3 * np.sin({a}))",
)  # fmt: skip

#: More of scipy.special, where it is smooth.
SPECIAL = (
    "special.jv(2, {a})", "special.yv(1, 1 + {a} ** 2)", "special.iv(1.5, 0.5 + {a} ** 2)",
    "special.expi(0.5 + {a} ** 2)", "special.kv(2, 1 + {a} ** 2)", "special.exp1(0.5 + {a} ** 2)",
    "special.expn(2, 0.5 + {a} ** 2)",
    "special.ellipe(0.5 * np.tanh({a}))", "special.ellipkm1(0.5 + 0.3 * np.sin({a}))", "special.erfi(np.tanh({a}))",
    "special.ndtri(0.5 + 0.4 * np.sin({a}))", "special.erfinv(0.9 * np.tanh({a}))", "special.hyp0f1(1.5, {a})",
    "special.gammainc(2.5, 0.1 + {a} ** 2)", "special.gammaincc(1.5, 0.1 + {a} ** 2)", "special.wrightomega({a})",
    "special.betainc(2.0, 3.0, 0.5 + 0.4 * np.sin({a}))", "special.hyp1f1(1.5, 2.5, np.tanh({a}))",
    "special.hyp2f1(1.0, 2.0, 2.5, 0.5 * np.tanh({a}))", "special.stdtr(3.0, {a})",
    "special.chdtr(3.0, 0.1 + {a} ** 2)", "special.eval_legendre(4, np.tanh({a}))",
    "special.eval_chebyt(5, np.sin({a}))", "special.cosm1({a})",
    "special.eval_hermite(3, 0.3 * {a})", "special.eval_laguerre(3, 0.2 * {a})", "special.struve(0, {a})",
    "special.polygamma(1, 1 + {a} ** 2)", "special.zeta(1.5 + {a} ** 2, 1.0)", "special.rgamma({a})",
    "special.zeta(2.5, 0.5 + {a} ** 2)", "special.beta(1 + {a} ** 2, 2.5)",
    "special.betaln(1 + {a} ** 2, 1 + {b} ** 2)", "special.binom(5 + {a} ** 2, 2.0)",
    "special.poch(1 + {a} ** 2, 2.0)", "special.factorial({a} ** 2)",
    "special.spherical_jn(1, 1 + {a} ** 2)", "special.multigammaln(2 + {a} ** 2, 2)", "special.log_expit({a})",
    "special.softplus({a})", "special.huber(0.7, {a})", "special.pseudo_huber(0.7, {a})", "special.exp10(0.1 * {a})",
    "special.boxcox(1 + {a} ** 2, 0.4)", "special.boxcox(0.5 + {a} ** 2, 1 + {b} ** 2)",
    "special.inv_boxcox(np.tanh({a}), 0.5)", "special.rel_entr(0.2 + {a} ** 2, 0.3 + {b} ** 2)",
    "special.kl_div(0.2 + {a} ** 2, 0.3 + {b} ** 2)", "special.xlog1py({a}, {b} ** 2)", "special.logsumexp({a})",
    "special.softmax({a})", "special.logsumexp({a}, axis=-1)", "special.softmax({a}, axis=0)",
    "special.log_softmax({a}, axis=-1)",
)  # fmt: skip

BINARY = (
    "{a} + {b}", "{a} * {b}", "{a} - {b}", "{a} / {b}", "np.maximum({a}, {b})", "np.minimum({a}, {b})",
    "np.hypot({a}, {b})", "np.arctan2({a}, {b})", "np.where({a} > {b}, {a}, {b})",
    "np.where({a} < {b}, np.sin({a}), {b} ** 2)", "np.logaddexp({a}, {b})", "np.fmax({a}, {b})", "np.fmin({a}, {b})",
    "np.copysign({a}, {b})", "{a} % (1.5 + {b} ** 2)", "np.fmod({a}, 2 + np.abs({b}))", "{a} // (1.5 + np.abs({b}))",
    "(np.abs({a}) + 0.2) ** {b}", "np.power(np.abs({a}) + 0.3, {b})", "np.logaddexp2({a}, {b})",
    "np.heaviside({a}, {b})", "np.ldexp({a}, 2) - {b}", "np.subtract({a}, {b})", "np.divide({a}, 1 + {b} ** 2)",
    "np.multiply({a}, {b})", "np.clip({a}, {b} - 0.4, {b} + 0.4)", "np.divmod({a}, 1.2 + {b} ** 2)[1]",
    "np.where(({a} > 0) & ({b} > 0), {a} * {b}, {a} - {b})", "np.where(~({a} > {b}), {a}, 0.5)",
    "np.float_power(np.abs({a}) + 0.1, {b})", "np.abs({a} + 1j * {b})", "np.real(({a} + 1j) * np.conj({b} + 2j))",
    "special.xlogy({a}, 2 + {b} ** 2)", "np.imag(np.exp({a} * 0.5 + 1j * {b}))",
)  # fmt: skip

PREDICATES = (
    "{a} > {b}", "{a} < {b}", "{a} <= {b}", "{a} != {b}", "np.logical_and({a} > 0, {b} > 0)", "{a} >= {b}",
    "np.isfinite({a} + {b})", "np.signbit({a} - {b})",
)  # fmt: skip

#: Reductions that take axis and keepdims.
REDUCTIONS = (
    "np.sum", "np.mean", "np.prod", "np.max", "np.min", "np.var", "np.std", "np.ptp", "np.median", "np.linalg.norm",
    "np.any", "np.all", "np.count_nonzero", "np.logaddexp.reduce", "np.average", "np.nansum", "np.nanmean", "np.nanmax",
)  # fmt: skip
#: Functions along one axis; with "axis={axis}" in them.
ALONG = (
    "np.cumsum({a}, axis={axis})", "np.sort({a}, axis={axis})", "np.flip({a}, axis={axis})",
    "np.cumprod({a}, axis={axis})", "np.diff({a}, axis={axis})", "np.roll({a}, 1, axis={axis})",
    "np.argsort({a}, axis={axis}, kind='stable')", "np.argmax({a}, axis={axis})", "np.argmin({a}, axis={axis})",
    "np.repeat({a}, 2, axis={axis})", "np.concatenate([{a}, 2 * {a}], axis={axis})",
    "np.stack([{a}, {a} + 1], axis={axis})", "np.expand_dims({a}, {axis})", "np.take({a}, [0, -1], axis={axis})",
    "np.delete({a}, 0, axis={axis})", "np.take_along_axis({a}, np.argsort({a}, axis={axis}), axis={axis})",
    "np.quantile({a}, 0.3, axis={axis})", "np.sort(np.partition({a}, 0, axis={axis}), axis={axis})",
    "np.split({a}, [1], axis={axis})[-1]", "np.gradient({a}, axis={axis})", "np.trapezoid({a}, axis={axis})",
    "np.insert({a}, 0, 0.5, axis={axis})", "np.moveaxis({a}, {axis}, 0)", "np.swapaxes({a}, {axis}, 0)",
    "np.logaddexp.accumulate({a}, axis={axis})", "np.maximum.accumulate({a}, axis={axis})",
    "np.minimum.reduce({a}, axis={axis})", "np.add.reduceat({a}, [0], axis={axis})",
    "np.percentile({a}, [20, 75], axis={axis})", "np.compress([True], {a}, axis={axis})",
    "np.apply_along_axis(lambda r: np.sum(r * r), {axis}, {a})", "np.array_split({a}, 2, axis={axis})[0]",
)  # fmt: skip

#: Movement of any array.
MOVED = (
    "{a}.T", "np.ravel({a})", "{a}.reshape(-1)", "{a}.copy()", "np.atleast_1d({a})", "np.atleast_2d({a})",
    "np.squeeze({a})", "np.flip({a})", "{a}[None]", "{a}[..., None]", "{a}.flatten()", "np.tile({a}, 2)",
    "np.repeat({a}, 2)", "np.broadcast_to({a}, (2,) + {a}.shape)", "np.pad({a}, 1)", "np.zeros_like({a}) + {a}",
    "np.ones_like({a}) * 0.5", "np.append({a}, 0.5)", "np.full_like({a}, 0.3) * {a}", "np.roll({a}, 1)",
    "np.sort({a}, axis=None)", "np.transpose({a})", "np.array({a})", "np.array([{a}, {a} * 2])",
    "np.pad({a}, 1, mode='edge')", "np.hstack([{a}, {a}])", "np.vstack([{a}, {a}])", "{a}.astype(float)",
    "np.concatenate([np.ravel({a}), [1.0, 2.0]])", "np.ravel({a}, order='F')", "{a}.reshape(-1, order='F')",
    "np.pad({a}, 1, mode='reflect')", "np.resize({a}, (2, 2))",
)  # fmt: skip

VECTORS = (
    "np.outer({a}, {b})", "np.convolve({a}, {b})", "np.polyval({a}, {b})",
    "np.interp({b}, np.array([-1.0, 0.1, 1.2]), np.array([0.3, 1.0, -0.5]))", "np.vander({a})[:, :2]",
    "np.meshgrid({a}, {b})[0]", "np.kron({a}, {b})", "np.searchsorted(np.sort({a}), {b})", "np.diag({a})",
    "np.correlate({a}, {b}, mode='full')", "np.subtract.outer({a}, {b})", "np.einsum('i,j->ij', {a}, {b})",
    "np.sort(np.concatenate([{a}, {b}]))", "np.digitize({a}, np.array([-0.5, 0.5])) * 1.0", "np.union1d({a}, {b})",
    "np.cumulative_sum({a}) * 1.0", "np.ediff1d({a})", "np.linalg.multi_dot([np.outer({a}, {b}), {b}])", "np.cov({a})",
    "np.bincount(np.arange({a}.size) % 2, weights={a})", "np.tri(2) @ {a}[:2]", "np.abs(np.fft.fft({a}))",
    "np.fft.irfft(np.fft.rfft({a}) * 0.5)", "np.imag(np.fft.fft({a}))", "np.fft.fft({a} + 1j * {a}[::-1]).real",
)  # fmt: skip

SQUARE = (
    "np.linalg.inv({a} + 4 * np.eye(len({a})))", "np.linalg.det({a})", "np.trace({a})",
    "np.linalg.solve({a} + 4 * np.eye(len({a})), np.arange(len({a})) + 1.0)",
    "np.linalg.slogdet({a} + 4 * np.eye(len({a})))[1]", "np.linalg.cholesky({a} @ {a}.T + np.eye(len({a})))",
    "np.linalg.eigvalsh({a} + {a}.T)", "np.diagonal({a})", "np.diag({a})", "np.tril({a})", "np.triu({a}, 1)",
    "np.linalg.matrix_power({a}, 3)", "{a} @ {a}.T", "np.linalg.inv({a})", "np.linalg.solve({a}, {a}.T)",
    "np.rot90({a})", "np.einsum('ij,ji->i', {a}, {a})", "np.linalg.norm({a})", "np.einsum('ii', {a})",
    "np.fill_diagonal({a}.copy(), 1.0) or {a}", "{a}[np.diag_indices(len({a}))]", "{a}[np.triu_indices(len({a}))]",
    "np.fliplr({a})",
)  # fmt: skip

#: Linear algebra of stacks of square matrices with n rows.
STACKS = (
    "np.linalg.inv({a} + 4 * np.eye({n}))", "np.linalg.det({a})", "np.trace({a}, axis1=-2, axis2=-1)",
    "np.linalg.solve({a} + 4 * np.eye({n}), np.ones(({n}, 2)))", "{a} @ np.swapaxes({a}, -1, -2)",
    "np.linalg.slogdet({a} + 4 * np.eye({n}))[1]", "np.diagonal({a}, axis1=-2, axis2=-1)", "np.tril({a})",
    "np.linalg.cholesky({a} @ np.swapaxes({a}, -1, -2) + np.eye({n}))", "np.linalg.matrix_power({a}, 2)",
    "np.linalg.eigvalsh({a} + np.swapaxes({a}, -1, -2))", "np.einsum('...ij,...ji->...', {a}, {a})",
    "np.linalg.norm({a}, axis=(-2, -1))", "np.linalg.matrix_transpose({a})", "np.matvec({a}, np.arange({n}) * 0.3)",
)  # fmt: skip

#: Scalars out of Python's own functions: their decisions make paths.
DECIDED = (
    "max({s}, {t})", "min({s}, {t})", "sorted([{s}, {t}])[0]", "({s} if {s} > {t} else {t} * 2)", "{s} * int(3 * {t})",
    "({s} and {t})", "({s} * 2 if {s} > 0 and {t} > 0 else {t})", "({s} or {t})", "sum([{s}, {t}])", "abs({s}) ** {t}",
    "np.array([{s}, 2.0, {t}])[int({s} > 0)]", "sum({s} * k for k in range(int(abs({t})) % 3 + 1))",
    "({s} if not {s} > 0.2 else {t})", "max({s}, {t}, 0.1) * 1.0", "{s} * ({s} < {t})", "round({s})",
    "{s} * bool({t} > 0)", "({t} if -0.5 < {s} < 0.5 else {s})", "divmod({s}, 1.5)[1]",
    "{s} * (3 if {s} == {t} else 1)",
)  # fmt: skip


def _filled(template: str, **names: Any) -> str:
    for key, text in names.items():
        template = template.replace("{" + key + "}", str(text))
    return template


def unary(d: Draw, scope: Scope) -> str | None:
    """One array, entry by entry."""
    return _filled(d.one_of(UNARY), a=operand(d, scope))


def operand(d: Draw, scope: Scope, **wanted: Any) -> str:
    """Return a float name."""
    return scope.pick(d, **wanted) or "np.float64(0.7)"


def partner(d: Draw, scope: Scope, a: str) -> str:
    """Return a name or number that broadcasts against a name."""
    value = scope.value(a)
    if value is None or d.happens(1, 4):
        return d.number()

    def fits(other: Any) -> bool:
        try:
            return int(np.prod(np.broadcast_shapes(np.shape(other), np.shape(value)))) <= scope.largest
        except ValueError:
            return False

    return scope.pick(d, kind="fib" if d.happens(1, 6) else "f", fits=fits) or d.number()


def binary(d: Draw, scope: Scope) -> str | None:
    """Two operands that broadcast."""
    a = operand(d, scope)
    b = partner(d, scope, a)
    if d.happens(1, 3):
        a, b = b, a
    return _filled(d.one_of(BINARY), a=a, b=b)


def special_function(d: Draw, scope: Scope) -> str | None:
    """A function of scipy.special."""
    a = operand(d, scope)
    return _filled(d.one_of(SPECIAL), a=a, b=partner(d, scope, a))


def predicate(d: Draw, scope: Scope) -> str | None:
    """A truth value for each entry, or its use as a number."""
    a = operand(d, scope)
    text = _filled(d.one_of(PREDICATES), a=a, b=partner(d, scope, a))
    return d.one_of((f"({text}) * {a}", text, f"np.where({text}, {a}, 1.0)", f"({text}).astype(int)"))


def indexed(d: Draw, scope: Scope) -> str | None:
    """Some entries of an array, by any index."""
    a = scope.pick(d, kind="fi", fits=lambda x: x.ndim > 0)
    if a is None:
        return None
    if scope.branches and d.happens(1, 8):
        return f"{a}[{a} > {d.number()}]"
    return f"{a}[{index(d, scope, a)}]"


def index(d: Draw, scope: Scope, a: str) -> str:
    """Return the text of an index that fits an array."""
    shape = np.shape(scope.value(a))
    if d.happens(1, 6):
        whole = scope.pick(d, kind="i", fits=lambda x: bool(np.all((x >= 0) & (x < shape[0]))))
        if whole is not None and (scope.branches or np.shape(scope.value(whole))):
            return whole
    if d.happens(1, 4):
        return _advanced_index(d, shape)
    parts = [_basic_part(d, length) for length in shape[: d.below(len(shape)) + 1]]
    if d.happens(1, 6):
        parts.insert(d.below(len(parts) + 1), "None")
    if d.happens(1, 6):
        parts.insert(d.below(len(parts) + 1), "...")
    return ", ".join(parts)


def _basic_part(d: Draw, length: int) -> str:
    """Return an int or a slice for an axis."""
    if length and d.happens(1, 3):
        return str(d.below(2 * length) - length)
    start, stop = (d.one_of(("", *(str(k) for k in range(-length, length + 1)))) for _ in range(2))
    step = d.one_of(("", "", ":-1", ":2", ":-2"))
    return f"{start}:{stop}{step}"


def _advanced_index(d: Draw, shape: tuple[int, ...]) -> str:
    """Return integer arrays for an axis or two, slices before them; or a boolean mask."""
    if d.happens(1, 3):
        masked = shape[: 1 + d.below(len(shape))]
        mask = np.array([d.happens(1, 2) for _ in range(int(np.prod(masked)))], bool).reshape(masked)
        return f"np.array({mask.tolist()})" if mask.size else "..."
    axis = d.below(len(shape))
    if not shape[axis]:
        return "..."
    picked = [d.below(2 * shape[axis]) - shape[axis] for _ in range(1 + d.below(3))]
    text = d.one_of((f"np.array({picked})", f"{picked}", f"np.array([{picked}, {picked}])"))
    before = ":, " * axis
    if axis + 1 < len(shape) and shape[axis + 1] and d.happens(1, 2):
        second = [d.below(2 * shape[axis + 1]) - shape[axis + 1] for _ in picked]
        return f"{before}{text}, {d.one_of((f'np.array({second})', str(second[0]), ':', '::-1'))}"
    return before + text


def reduced(d: Draw, scope: Scope) -> str | None:
    """A reduction over axes."""
    function = d.one_of(REDUCTIONS)
    a = operand(d, scope)
    ndim = np.ndim(scope.value(a))
    axis = d.one_of([None, *range(-ndim, ndim), *([(0, 1), (-1, 0)] if ndim > 1 and "norm" not in function else [])])
    if axis is None and d.happens(1, 2):
        return f"{function}({a})"
    return f"{function}({a}, axis={axis}{', keepdims=True' if d.happens(1, 4) else ''})"


def along(d: Draw, scope: Scope) -> str | None:
    """A function along one axis."""
    a = scope.pick(d, fits=lambda x: x.ndim > 0)
    if a is None:
        return None
    ndim = np.ndim(scope.value(a))
    return _filled(d.one_of(ALONG), a=a, axis=d.below(2 * ndim) - ndim)


def moved(d: Draw, scope: Scope) -> str | None:
    """Entries moved or repeated."""
    a = operand(d, scope)
    if d.happens(1, 8):
        shape = np.shape(scope.value(a))
        axes = [*range(len(shape))]
        order = tuple(axes.pop(d.below(len(axes))) for _ in shape)
        return f"np.transpose({a}, {order})"
    return _filled(d.one_of(MOVED), a=a)


def of_vectors(d: Draw, scope: Scope) -> str | None:
    """Functions of vectors."""
    a, b = (scope.pick(d, fits=lambda x: x.ndim == 1 and x.size) for _ in range(2))
    return _filled(d.one_of(VECTORS), a=a, b=b) if a else None


def of_square(d: Draw, scope: Scope) -> str | None:
    """Linear algebra of a square matrix, or of a stack of them."""
    a = scope.pick(d, fits=lambda x: x.ndim >= 2 and x.shape[-2] == x.shape[-1] > 0)
    if a is None:
        return None
    shape = np.shape(scope.value(a))
    return _filled(d.one_of(SQUARE if len(shape) == 2 else STACKS), a=a, n=shape[-1])


def product(d: Draw, scope: Scope) -> str | None:
    """A product of arrays with a common axis."""
    a = scope.pick(d, fits=lambda x: x.ndim > 0)
    if a is None:
        return None
    last = np.shape(scope.value(a))[-1]
    b = scope.pick(d, fits=lambda x: x.ndim > 0 and x.shape[-2 if x.ndim > 1 else 0] == last)
    if b is None:
        return f"{a} @ {a}.T"
    return d.one_of((f"{a} @ {b}", f"np.dot({a}, {b})", f"np.matmul({a}, {b})", f"np.inner({a}, {b}.T)",
                     f"np.tensordot({a}, {b}, 1)", f"np.vdot({a}, {a})"))  # fmt: skip


def decided(d: Draw, scope: Scope) -> str | None:
    """A number that Python's own functions chose."""
    if not scope.branches:
        return None
    s, t = scalar(d, scope), scalar(d, scope)
    return _filled(d.one_of(DECIDED), s=s, t=t)


def scalar(d: Draw, scope: Scope) -> str:
    """Return the text of a float scalar."""
    a = operand(d, scope)
    value = scope.value(a)
    shape = np.shape(value)
    if shape == ():
        return a
    if 0 in shape or d.happens(1, 2):
        return f"{d.one_of(('np.sum', 'np.mean') + (('np.max',) if np.size(value) else ()))}({a})"
    return f"{a}[{', '.join(str(d.below(n)) for n in shape)}]"


def scattered(d: Draw, scope: Scope) -> str | None:
    """A literal array of scalars."""
    parts = [scalar(d, scope) if not d.happens(1, 4) else d.number() for _ in range(2 + d.below(2))]
    return d.one_of((f"np.array([{', '.join(parts)}])", f"np.stack([{', '.join(parts)}])",
                     f"np.array([[{parts[0]}, 1.0], [0.5, {parts[1]}]])"))  # fmt: skip


#: Maker and how often it is drawn.
MAKERS: tuple[tuple[Maker, int], ...] = (
    (unary, 6), (binary, 6), (indexed, 4), (reduced, 4), (along, 4), (moved, 3), (of_vectors, 2), (of_square, 2),
    (product, 2), (predicate, 2), (decided, 2), (scattered, 2),
    (special_function, 2),
)  # fmt: skip
_DRAWN = tuple(maker for maker, weight in MAKERS for _ in range(weight))


def expression(d: Draw, scope: Scope) -> str | None:
    """Return the text of an expression; None where the drawn kind finds nothing to work on."""
    return d.one_of(_DRAWN)(d, scope)
