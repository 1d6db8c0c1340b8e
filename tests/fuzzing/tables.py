"""What expressions are made of: text with names in braces."""

UNARY = (
    "np.sin({a})", "{a} * {a}", "-{a}", "np.exp({a})", "np.cos({a})", "np.tanh({a})", "np.sqrt(1 + {a} * {a})",
    "np.abs({a})", "{a} ** 2", "{a} ** 3", "1 / (2 + np.sin({a}))", "np.log(np.abs({a}))", "np.sqrt(np.abs({a}) + 0.1)",
    "np.square({a})", "np.cbrt({a} + 3)", "np.log1p({a} ** 2)", "np.expm1({a})", "np.sinh({a})", "np.cosh({a})",
    "np.arctan({a})", "np.arcsinh({a})", "np.tan(0.5 * {a})", "np.arcsin(0.9 * np.sin({a}))",
    "np.arccos(0.9 * np.cos({a}))", "np.arctanh(0.8 * np.tanh({a}))", "np.arccosh(1.5 + {a} ** 2)",
    "np.reciprocal({a})", "np.exp2({a})", "np.log2(1 + {a} ** 2)", "np.log10(2 + np.cos({a}))", "np.sign({a})",
    "np.floor({a})", "np.ceil({a})", "np.rint({a})", "np.trunc({a})", "np.modf({a})[0]", "np.maximum({a}, 0)",
    "np.minimum({a}, 0.5)", "np.clip({a}, -0.5, 0.7)", "np.where({a} > 0, {a}, 0.1 * {a})", "np.sinc({a})",
    "np.heaviside({a}, 0.5)", "np.deg2rad({a})", "np.fabs({a})", "np.positive({a})", "np.nan_to_num({a})",
    "np.where({a} > 0, np.log({a}), {a})", "np.where({a} > 0, np.sqrt({a}), 0.0)", "{a} / (1 + np.abs({a}))",
    "np.select([{a} < 0, {a} < 1], [{a} ** 2, 2 * {a}], 1.0)", "special.expit({a})", "special.erf({a})",
    "special.ndtr({a})", "special.gammaln(1.5 + {a} ** 2)", "special.digamma(1.5 + {a} ** 2)", "special.i0({a})",
    "special.j1({a})", "np.abs({a}) ** 1.5", "(2 + np.sin({a})) ** {a}", "2.0 ** {a}", "np.copysign({a}, -1.0)",
    "np.fix({a})", "np.unwrap(np.atleast_1d({a}))", "abs({a})", "+{a}", "np.conj({a})", "np.real({a})",
    "np.around({a}, 1)", "np.abs({a} + 1j * np.cos({a}))", "np.real(np.exp(1j * {a}))", "np.angle({a} + 1j)",
    "({a} * (1 + 2j)).imag", "np.imag(np.sqrt({a} + 2j))", "(1 / ({a} + 1j)).real", "np.real(({a} + 0.5j) ** 2)",
    "special.erfc({a})", "special.gamma(1.5 + {a} ** 2)", "special.log_ndtr({a})", "special.j0({a})", "special.i1({a})",
    "special.erfcx({a})", "special.k0(1 + {a} ** 2)", "special.spence(1 + {a} ** 2)", "special.dawsn({a})",
    "special.ellipk(0.3 * np.tanh({a}))", "special.exprel({a})", "special.i0e({a})", "special.y0(1 + {a} ** 2)",
    "special.entr(0.2 + {a} ** 2)", "special.logit(0.5 + 0.3 * np.sin({a}))",
)  # fmt: skip

#: More of scipy.special, where it is smooth.
SPECIAL = (
    "special.jv(2, {a})", "special.yv(1, 1 + {a} ** 2)", "special.iv(1.5, 0.5 + {a} ** 2)",
    "special.expi(0.5 + {a} ** 2)", "special.kv(2, 1 + {a} ** 2)", "special.exp1(0.5 + {a} ** 2)",
    "special.expn(2, 0.5 + {a} ** 2)", "special.ellipe(0.5 * np.tanh({a}))",
    "special.ellipkm1(0.5 + 0.3 * np.sin({a}))", "special.erfi(np.tanh({a}))", "special.ndtri(0.5 + 0.4 * np.sin({a}))",
    "special.erfinv(0.9 * np.tanh({a}))", "special.hyp0f1(1.5, {a})", "special.gammainc(2.5, 0.1 + {a} ** 2)",
    "special.gammaincc(1.5, 0.1 + {a} ** 2)", "special.wrightomega({a})",
    "special.betainc(2.0, 3.0, 0.5 + 0.4 * np.sin({a}))", "special.hyp1f1(1.5, 2.5, np.tanh({a}))",
    "special.hyp2f1(1.0, 2.0, 2.5, 0.5 * np.tanh({a}))", "special.stdtr(3.0, {a})",
    "special.chdtr(3.0, 0.1 + {a} ** 2)", "special.eval_legendre(4, np.tanh({a}))",
    "special.eval_chebyt(5, np.sin({a}))", "special.cosm1({a})", "special.eval_hermite(3, 0.3 * {a})",
    "special.eval_laguerre(3, 0.2 * {a})", "special.struve(0, {a})", "special.polygamma(1, 1 + {a} ** 2)",
    "special.zeta(1.5 + {a} ** 2, 1.0)", "special.rgamma({a})", "special.zeta(2.5, 0.5 + {a} ** 2)",
    "special.beta(1 + {a} ** 2, 2.5)", "special.betaln(1 + {a} ** 2, 1 + {b} ** 2)", "special.binom(5 + {a} ** 2, 2.0)",
    "special.poch(1 + {a} ** 2, 2.0)", "special.factorial({a} ** 2)", "special.spherical_jn(1, 1 + {a} ** 2)",
    "special.multigammaln(2 + {a} ** 2, 2)", "special.log_expit({a})", "special.softplus({a})",
    "special.huber(0.7, {a})", "special.pseudo_huber(0.7, {a})", "special.exp10(0.1 * {a})",
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
    "np.copysign({a}, np.nan_to_num({b}))", "{a} % (1.5 + {b} ** 2)", "np.fmod({a}, 2 + np.abs({b}))",
    "{a} // (1.5 + np.abs({b}))", "(np.abs({a}) + 0.2) ** {b}", "np.power(np.abs({a}) + 0.3, {b})",
    "np.logaddexp2({a}, {b})", "np.heaviside({a}, {b})", "np.ldexp({a}, 2) - {b}", "np.subtract({a}, {b})",
    "np.divide({a}, 1 + {b} ** 2)", "np.multiply({a}, {b})", "np.clip({a}, {b} - 0.4, {b} + 0.4)",
    "np.divmod({a}, 1.2 + {b} ** 2)[1]",
    "np.where(({a} > 0) & ({b} > 0), {a} * {b}, {a} - {b})", "np.where(~({a} > {b}), {a}, 0.5)",
    "np.float_power(np.abs({a}) + 0.1, {b})", "np.abs({a} + 1j * {b})", "np.real(({a} + 1j) * np.conj({b} + 2j))",
    "special.xlogy({a}, 2 + {b} ** 2)", "np.imag(np.exp({a} * 0.5 + 1j * {b}))",
)  # fmt: skip

PREDICATES = (
    "{a} > {b}", "{a} < {b}", "{a} <= {b}", "{a} != {b}", "np.logical_and({a} > 0, {b} > 0)", "{a} >= {b}",
    "np.isfinite({a} + {b})", "np.signbit(np.nan_to_num({a} - {b}))",
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

#: Reductions of some of the entries, methods and functions of NumPy's in other words.
IN_OTHER_WORDS = (
    "np.sum({a}, where={a} > 0)", "np.max({a}, initial=-0.5, where={a} < 0.5)", "np.prod({a}, axis=0, where={a} < 1)",
    "np.mean({a}, axis=-1, where={a} < 9)", "np.min({a}, axis=0, initial=0.3)", "np.sum({a}, axis=0, initial=0.5)",
    "{a}.sum()", "{a}.mean(axis=-1)", "{a}.max(axis=0, keepdims=True)", "{a}.prod()", "{a}.std()", "{a}.cumsum()",
    "{a}.dot({a}.T)", "{a}.clip(-0.3, 0.4)", "{a}.round(1)", "{a}.repeat(2)", "{a}.swapaxes(0, -1)",
    "{a}.take([0, -1])", "{a}.argmax(axis=-1)", "{a}.flat[-1]", "{a}.real * {a}.size", "{a} * len({a})",
    "{a}.var(axis=0, ddof=1)", "{a}.min()", "{a}[np.nonzero({a} > 0)]", "np.flatnonzero({a} > 0)",
    "np.argwhere({a} > 0)", "{a}.trace()", "{a}.ravel('F')", "np.extract({a} > 0, {a})", "np.unique(np.round({a}))",
    "np.block([[{a}, {a}], [{a}, 2 * {a}]])", "{a}.squeeze()", "np.c_[{a}, {a}]", "np.r_[{a}, {a}]",
    "np.rollaxis({a}, -1)", "np.piecewise({a}, [{a} < 0, {a} >= 0], [-1, lambda t: t * t])",
    "np.choose(({a} > 0).astype(int), [{a}, 2.0 * {a}])", "np.nanstd({a}, axis=0)",
    "np.apply_over_axes(np.sum, {a}, [0])", "np.cross(np.resize({a}, 3), np.arange(3.0))", "np.trapezoid({a}, dx=0.5)",
    "np.i0({a})", "np.vectorize(lambda t: t * t + 1)({a})", "np.gradient({a}, 0.5, axis=0)",
    "np.lexsort(np.atleast_2d({a}))", "np.histogram({a}, bins=[-2, 0, 2], weights={a})[0]", "np.dstack([{a}, {a}])",
    "np.column_stack([{a}, {a}])", "np.flipud({a})", "np.triu(np.atleast_2d({a}))", "np.rot90(np.atleast_2d({a}))",
    "np.linalg.norm({a}, ord=1, axis=0)", "np.linalg.norm(np.atleast_2d({a}), 'fro')",
    "np.linalg.vector_norm({a}, ord=3)", "np.multiply.reduce({a}, axis=-1)", "np.subtract.accumulate({a})",
    "np.add.reduceat({a}, [0, len({a}) - 1])", "np.hypot.outer({a}, [0.5, 1.0])", "np.nanquantile({a}, 0.6)",
    "np.nan_to_num(np.clip({a}, -9, 9)).astype(int) * {a}", "np.setdiff1d({a}, [0.5])", "np.union1d({a}, [0.5])",
    "np.concat([{a}, {a}], axis=-1)",
    "np.permute_dims({a})", "np.unstack({a})[-1]", "np.ravel({a})[np.argsort(np.ravel({a}))[::-1]]",
    "np.take({a}, np.argmax(np.ravel({a})))", "np.argpartition({a}, 0, axis=0)[0]",
    "np.mgrid[0:2, 0:2][0] * np.sum({a})", "np.tile({a}, (2, 1))",
    "np.bincount(np.arange({a}.size) % 3, weights=np.ravel({a}))", "np.frexp(np.abs({a}) + 1)[0]",
    "np.cumulative_prod(np.ravel({a}))",
    "np.fft.fft2(np.atleast_2d({a})).real", "np.abs(np.fft.rfft(np.ravel({a}), n=4))", "np.fft.fftshift({a})",
    "np.einsum('...->...', {a})", "np.convolve(np.ravel({a}), [1.0, -0.5, 0.25], mode='same')",
    "np.polyfit(np.arange({a}.size), np.ravel({a}), 1)", "np.linalg.svdvals(np.atleast_2d({a}))[:1]",
    "np.abs(np.linalg.qr(np.atleast_2d({a}).T @ np.atleast_2d({a}) + np.eye({a}.shape[-1]))[1])",
    "np.linalg.pinv(np.atleast_2d({a}))",
    "np.linalg.lstsq(np.outer({a}, [1.0, 2.0]) + np.eye({a}.size, 2), np.ravel({a}))[0]",
    "np.linalg.matrix_rank(np.atleast_2d({a})) * 1.0",
    "np.linalg.cond(np.atleast_2d({a}) + np.eye(*np.atleast_2d({a}).shape))", "np.polyval([0.5, {s}, 1.0], {a})",
    "np.interp({s}, np.arange({a}.size), np.ravel({a}))", "np.roots([1.0, -3 - {s} ** 2, 1.0])",
    "np.full({a}.shape, {s})", "np.linspace({s}, 1.0, 3)", "np.geomspace(1 + {s} ** 2, 5.0, 3)",
    "np.where(np.isnan({a}), {s}, {a})",
)  # fmt: skip

#: Steps on complex numbers, each from one complex array to another; and what is real in the end.
COMPLEX_STEPS = (
    "np.exp(0.5 * {c})", "{c} * {c}", "np.conj({c})", "{c} * (1 - 2j)", "{c}[..., ::-1]", "{c}.T",
    "np.sqrt({c} + 4)", "{c} + 1", "1 / ({c} + 3)", "np.concatenate([{c}, {c} * 1j], axis=-1)",
    "{c} / (2 + {c}.imag ** 2)", "np.cumsum({c}, axis=-1)", "np.log({c} + 5)", "{c} ** 3",
    "np.where({c}.real > 0, {c}, 1j)", "np.sum({c}, axis=-1, keepdims=True)",
    "np.stack([{c}, np.conj({c})])", "{c}[..., :1] * {c}", "np.fft.fft({c})", "np.fft.ifft({c})",
    "{c} @ np.conj({c}).T", "-1j * {c}", "np.outer({c}, {c})[:2]", "np.mean({c}, axis=0) + {c}",
    "np.power({c} + 3, 0.5)", "{c}.reshape(-1)",
    "{c} * np.abs({c})", "np.exp(1j * {c}.real)", "np.ravel({c}) * np.arange({c}.size)",
    "np.angle({c} + 3) * {c}",
)  # fmt: skip

REAL_ENDS = (
    "{c}.real", "{c}.imag", "np.abs({c})", "np.angle({c} + 4)", "np.real({c} * np.conj({c}))", "np.imag(np.sum({c}))",
    "np.vdot({c}, {c}).real", "({c} == 0) * 1.0", "np.hypot({c}.real, {c}.imag)",
    "np.real_if_close({c}.real)", "np.fft.irfft(np.ravel({c}), n=4)",
)  # fmt: skip

#: Scalars out of Python's own functions: their decisions make paths.
DECIDED = (
    "max({s}, {t})", "min({s}, {t})", "sorted([{s}, {t}])[0]", "({s} if {s} > {t} else {t} * 2)", "{s} * int(3 * {t})",
    "({s} and {t})", "({s} * 2 if {s} > 0 and {t} > 0 else {t})", "({s} or {t})", "sum([{s}, {t}])", "abs({s}) ** {t}",
    "np.array([{s}, 2.0, {t}])[int({s} > 0)]", "sum({s} * k for k in range(int(abs({t})) % 3 + 1))",
    "({s} if not {s} > 0.2 else {t})", "max({s}, {t}, 0.1) * 1.0", "{s} * ({s} < {t})", "round({s})",
    "sorted([{s}, {t}, 0.2], key=abs)[1]", "max([{s}, {t}], key=lambda t: t * t)",
    "min(enumerate([{s}, {t}]), key=lambda p: p[1])[1]", "next(q for q in ({s}, {t}, 1.0) if q > -9)",
    "sum(q * q for q in ({s}, {t}))", "any(q > 0.5 for q in ({s}, {t})) * {s}",
    "[{s}, {t}, 0.5][int(np.argmax([{s}, {t}]))]", "{s} * all([{s} > 0, {t} > 0])", "({s}, {t})[int({s} < {t})]",
    "pow({s}, 2) + {t}", "{True: {s}, False: {t}}[bool({s} > {t})]", "{s} * len([q for q in ({s}, {t}) if q > 0])",
    "divmod({s}, 0.7)[0] * {t}", "{s} // 0.6 + {t} % 0.6", "{s} * ({s} in (0.5, {t}))",
    "np.arange(5.0)[int(abs({s})) % 5] * {t}", "float(2) * {s} - int({t})", "{s} * bool({t} > 0)",
    "({t} if -0.5 < {s} < 0.5 else {s})", "divmod({s}, 1.5)[1]", "{s} * (3 if {s} == {t} else 1)",
)  # fmt: skip
