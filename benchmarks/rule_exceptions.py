"""Why a rule is over its limit at 10,000 entries: what the page of NumPy functions says beside the figure."""

_LIBM = "CasADi calls libm for each entry, where NumPy computes several at once."
_ANGLE = (
    "A call of libm for each entry, and a dozen operations that scale tiny operands up: the slopes divide by the sum "
    "of squares, and are right where that would be 0."
)
_POWER = "It is CasADi's pow, a call of libm for each entry, so that whole powers are exact."
_EXTREME = "CasADi's fmax is a call of libm for each entry, and leaves out nan, which is put back."
_DECIDED = "What the result is made of is decided on values: a guard for each entry that decides."
_NOTHING = "NumPy computes nothing: the time is that of a call, with the entries copied in and out."
_BYTES = "NumPy works on truth values of a byte each, a graph on doubles, which are converted at its border."
_LOGARITHM = "CasADi has one logarithm; whole powers of the base are looked for, so that they are exact."
_ROUNDED = "Rounding half to even is seven operations on doubles."
_ORDER = "NumPy selects; the derivative needs the order, which costs several times as much."
_PRODUCTS = "Products and their derivatives are CasADi's loops or BLAS called from them, one operand at a time."

REASONS: dict[str, str] = {
    **dict.fromkeys(
        (
            "numpy.arctanh", "numpy.floor", "numpy.ceil", "numpy.sin", "numpy.exp", "numpy.sinh", "numpy.cosh",
            "numpy.lib.scimath.arctanh",
        ),
        _LIBM,
    ),
    "numpy.arctan2": _ANGLE,
    **dict.fromkeys(
        ("numpy.exp2", "numpy.cbrt", "numpy.power", "numpy.float_power", "numpy.lib.scimath.power"), _POWER
    ),
    **dict.fromkeys(
        (
            "numpy.maximum",
            "numpy.minimum",
            "numpy.fmax",
            "numpy.fmin",
            "numpy.clip",
            "numpy.ptp",
            "numpy.max",
            "numpy.min",
            "numpy.amax",
            "numpy.amin",
            "numpy.nanmax",
            "numpy.nanmin",
        ),
        _EXTREME,
    ),
    **dict.fromkeys(
        (
            "numpy.unique",
            "numpy.union1d",
            "numpy.intersect1d",
            "numpy.setdiff1d",
            "numpy.setxor1d",
            "numpy.unique_all",
            "numpy.unique_counts",
            "numpy.unique_inverse",
            "numpy.unique_values",
            "numpy.trim_zeros",
            "numpy.nonzero",
            "numpy.flatnonzero",
            "numpy.argwhere",
            "numpy.unravel_index",
            "numpy.ravel_multi_index",
            "numpy.bincount",
        ),
        _DECIDED,
    ),
    **dict.fromkeys(
        (
            "numpy.asarray",
            "numpy.asanyarray",
            "numpy.ascontiguousarray",
            "numpy.asfortranarray",
            "numpy.array",
            "numpy.atleast_1d",
            "numpy.atleast_2d",
            "numpy.atleast_3d",
            "numpy.real",
            "numpy.imag",
            "numpy.squeeze",
            "numpy.real_if_close",
            "numpy.require",
            "numpy.copy",
            "numpy.astype",
            "numpy.diagonal",
            "numpy.linalg.diagonal",
            "numpy.iscomplex",
            "numpy.isreal",
            "numpy.expand_dims",
            "numpy.ravel",
            "numpy.reshape",
            "numpy.positive",
            "numpy.conjugate",
            "numpy.full",
            "numpy.full_like",
            "numpy.flip",
            "numpy.fliplr",
            "numpy.flipud",
            "numpy.broadcast_arrays",
            "numpy.diag",
            "numpy.diagflat",
            "numpy.trace",
            "numpy.linalg.trace",
            "numpy.ix_",
            "numpy.dsplit",
            "numpy.hsplit",
            "numpy.vsplit",
            "numpy.split",
            "numpy.array_split",
            "numpy.unstack",
        ),
        _NOTHING,
    ),
    **dict.fromkeys(
        (
            "numpy.bitwise_and",
            "numpy.bitwise_or",
            "numpy.bitwise_xor",
            "numpy.invert",
            "numpy.logical_not",
            "numpy.logical_and",
            "numpy.logical_or",
            "numpy.logical_xor",
            "numpy.isnan",
            "numpy.isinf",
            "numpy.isfinite",
            "numpy.signbit",
            "numpy.less",
            "numpy.less_equal",
            "numpy.greater",
            "numpy.greater_equal",
            "numpy.equal",
            "numpy.not_equal",
            "numpy.left_shift",
            "numpy.right_shift",
            "numpy.bitwise_count",
            "numpy.isposinf",
            "numpy.isneginf",
        ),
        _BYTES,
    ),
    **dict.fromkeys(
        ("numpy.log2", "numpy.log10", "numpy.lib.scimath.log2", "numpy.lib.scimath.log10", "numpy.frexp"), _LOGARITHM
    ),
    **dict.fromkeys(("numpy.rint", "numpy.round", "numpy.around", "numpy.fix", "numpy.trunc"), _ROUNDED),
    **dict.fromkeys(("numpy.partition", "numpy.argpartition", "numpy.sort", "numpy.argsort"), _ORDER),
    **dict.fromkeys(
        (
            "numpy.correlate",
            "numpy.convolve",
            "numpy.polymul",
            "numpy.matmul",
            "numpy.linalg.matmul",
            "numpy.dot",
            "numpy.inner",
            "numpy.linalg.multi_dot",
            "numpy.linalg.matrix_power",
            "numpy.einsum",
        ),
        _PRODUCTS,
    ),
    "numpy.polydiv": "Each product of the division is a node of the graph.",
    "numpy.histogram_bin_edges": _EXTREME,
}
