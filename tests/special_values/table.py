"""The points, and the true derivatives as formulas of mpmath: the written conventions as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import scipy.special

TINY, SUBNORMAL, HUGE = float(np.finfo(float).tiny), 5e-324, float(np.finfo(float).max)

_MAGNITUDES = (0.0, 1.0, 0.5, 1.5, 2.0, 2.5, 3.0, TINY, SUBNORMAL, 1e-310, 1e-160, 1e-8, 20.0, 710.0, 1e8, 1e160, HUGE,
               np.inf)  # fmt: skip
#: Points of functions of one argument.
POINTS = np.array([*_MAGNITUDES, *(-m for m in _MAGNITUDES), np.nan])

_FEW = (0.0, 1.0, 0.5, 3.0, TINY, SUBNORMAL, 1e-160, 1e160, HUGE, np.inf)
_LINE = np.array([*_FEW, *(-m for m in _FEW), np.nan])
#: All pairs of special values.
LEFT, RIGHT = (a.ravel() for a in np.meshgrid(_LINE, _LINE, indexing="ij"))

#: A derivative as mpmath computes it of its arguments, and where it exists; None: at all finite numbers.
Truth = tuple[Callable[..., Any], Callable[..., bool] | None]


def _everywhere(slope: Any) -> Truth:
    return (lambda *_: slope), None


def _whole(y: float) -> bool:
    return y == np.floor(y)


def _inside(x: float) -> bool:
    return abs(x) < 1


#: ufunc -> its derivative. Conventions: abs' and sign' are 0 at 0, steps have slope 0 everywhere.
UNARY: dict[np.ufunc, Truth] = {
    np.negative: _everywhere(-1), np.positive: _everywhere(1), np.conjugate: _everywhere(1),
    np.deg2rad: _everywhere(mp.pi / 180), np.radians: _everywhere(mp.pi / 180),
    np.rad2deg: _everywhere(180 / mp.pi), np.degrees: _everywhere(180 / mp.pi),
    np.sign: _everywhere(0), np.floor: _everywhere(0), np.ceil: _everywhere(0), np.trunc: _everywhere(0),
    np.rint: _everywhere(0), np.absolute: (mp.sign, None), np.fabs: (mp.sign, None),
    np.reciprocal: (lambda x: -1 / x**2, lambda x: x != 0), np.square: (lambda x: 2 * x, None),
    np.sqrt: (lambda x: 1 / (2 * mp.sqrt(x)), lambda x: x > 0),
    np.cbrt: (lambda x: mp.cbrt(abs(x)) / (3 * abs(x)), lambda x: x != 0),
    np.exp: (mp.exp, None), np.exp2: (lambda x: mp.log(2) * mp.mpf(2) ** x, None), np.expm1: (mp.exp, None),
    np.log: (lambda x: 1 / x, lambda x: x > 0), np.log2: (lambda x: 1 / (x * mp.log(2)), lambda x: x > 0),
    np.log10: (lambda x: 1 / (x * mp.log(10)), lambda x: x > 0), np.log1p: (lambda x: 1 / (1 + x), lambda x: x > -1),
    np.sin: (mp.cos, None), np.cos: (lambda x: -mp.sin(x), None), np.tan: (lambda x: mp.sec(x) ** 2, None),
    np.arcsin: (lambda x: 1 / mp.sqrt(1 - x * x), _inside), np.arccos: (lambda x: -1 / mp.sqrt(1 - x * x), _inside),
    np.arctan: (lambda x: 1 / (1 + x * x), None), np.sinh: (mp.cosh, None), np.cosh: (mp.sinh, None),
    np.tanh: (lambda x: mp.sech(x) ** 2, None), np.arcsinh: (lambda x: 1 / mp.sqrt(1 + x * x), None),
    np.arccosh: (lambda x: 1 / mp.sqrt(x * x - 1), lambda x: x > 1), np.arctanh: (lambda x: 1 / (1 - x * x), _inside),
}  # fmt: skip


def _larger(if_x: float, if_y: float) -> Truth:
    return (lambda x, y: mp.mpf(1) / 2 if x == y else (if_x if x > y else if_y)), None


def _share(of_x: bool, base: int | None) -> Truth:
    """The slope of log(exp(x) + exp(y)), or of the same in base 2."""

    def slope(x: Any, y: Any) -> Any:
        distance = (y - x if of_x else x - y) * (mp.log(base) if base else 1)
        return 1 / (1 + mp.exp(distance)) if distance < 10_000 else mp.mpf(0)

    return slope, None


def _power_by_base(x: Any, y: Any) -> Any:
    return 0 if y == 0 else y * mp.power(x, y - 1)


def _power_by_exponent(x: Any, y: Any) -> Any:
    return 0 if x == 0 else mp.power(x, y) * mp.log(x)


def _power_has_slope(x: float, y: float) -> bool:
    tame = abs(y) < 1e9 and abs(x) >= TINY  # below, x**(y - 1) overflows on the way
    return (tame and (x > 0 or _whole(y))) or (x == 0 and (y == 0 or 1 < y < 1e9))


def _hypot_is_normal(x: float, y: float) -> bool:
    with np.errstate(over="ignore"):
        return np.hypot(x, y) == 0 or TINY <= np.hypot(x, y) <= HUGE


def _divides(x: float, y: float) -> bool:
    return y != 0


def _has_angle(y: float, x: float) -> bool:
    return y != 0 or x > 0 or x == 0  # a jump along the negative axis; 0 at the origin, by convention


def _by(slope: Callable[..., Any]) -> Callable[..., Any]:
    """Return a slope that is 0 at the origin."""
    return lambda x, y: slope(x, y) if x or y else 0


_POWER = ((_power_by_base, _power_has_slope), (_power_by_exponent, lambda x, y: x >= TINY or (x == 0 and y > 0)))

#: ufunc -> its derivatives by either argument. Conventions: ties share equally, 0 at the origin of hypot and arctan2.
BINARY: dict[np.ufunc, tuple[Truth, Truth]] = {
    np.add: (_everywhere(1), _everywhere(1)), np.subtract: (_everywhere(1), _everywhere(-1)),
    np.multiply: ((lambda x, y: y, None), (lambda x, y: x, None)),
    np.true_divide: ((lambda x, y: 1 / y, _divides), (lambda x, y: -x / y**2, _divides)),
    np.power: _POWER, np.float_power: _POWER,
    np.hypot: ((_by(lambda x, y: x / mp.sqrt(x * x + y * y)), _hypot_is_normal),
               (_by(lambda x, y: y / mp.sqrt(x * x + y * y)), _hypot_is_normal)),
    np.arctan2: ((_by(lambda y, x: x / (x * x + y * y)), _has_angle),
                 (_by(lambda y, x: -y / (x * x + y * y)), _has_angle)),
    np.logaddexp: (_share(True, None), _share(False, None)), np.logaddexp2: (_share(True, 2), _share(False, 2)),
    np.maximum: (_larger(1, 0), _larger(0, 1)), np.minimum: (_larger(0, 1), _larger(1, 0)),
    np.fmax: (_larger(1, 0), _larger(0, 1)), np.fmin: (_larger(0, 1), _larger(1, 0)),
    np.remainder: ((lambda x, y: 1, _divides), (lambda x, y: -mp.floor(x / y), _divides)),
    np.fmod: ((lambda x, y: 1, _divides), (lambda x, y: -mp.sign(x / y) * mp.floor(abs(x / y)), _divides)),
    np.floor_divide: (_everywhere(0), _everywhere(0)),
    np.heaviside: (_everywhere(0), (lambda x, y: 1 if x == 0 else 0, None)),
    np.copysign: ((lambda x, y: mp.sign(x) * np.copysign(1, float(y)), lambda x, y: y != 0), _everywhere(0)),
}  # fmt: skip


@dataclass(frozen=True)
class Special:
    """A function of scipy.special: how mpmath computes it, and where it is analytic."""

    function: Callable[[Any], Any]
    analytic: Callable[[float], bool] = lambda x: True


def _no_pole(x: float) -> bool:
    return x > 0 or not _whole(x)


def _positive(x: float) -> bool:
    return x > 0


#: Points of special functions at which derivatives are compared; values are compared at POINTS.
SLOPES_AT = np.array([0.0, 0.3, -0.3, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0, 3.5, -3.5, 20.0, -20.0, 1e-8, -1e-8])

#: Points on either side of where formulas change, at which values and derivatives have nearly all digits.
BETWEEN = np.array([*np.linspace(-7.97, 7.93, 39), -20.3, -12.1, 12.1, 19.9, 20.3])

#: Differences of near numbers: dawsn' is 1 - 2 x dawsn.
LOSES_DIGITS = {"dawsn": 5e-9}

SPECIAL: dict[str, Special] = {
    "erf": Special(mp.erf), "erfc": Special(mp.erfc), "erfcx": Special(lambda x: mp.exp(x * x) * mp.erfc(x)),
    "ndtr": Special(mp.ncdf), "log_ndtr": Special(lambda x: mp.log(mp.ncdf(x))),
    "gammaln": Special(lambda x: mp.log(abs(mp.gamma(x))), _no_pole), "gamma": Special(mp.gamma, _no_pole),
    "rgamma": Special(mp.rgamma), "digamma": Special(mp.digamma, _no_pole),
    "expit": Special(lambda x: 1 / (1 + mp.exp(-x))), "log_expit": Special(lambda x: -mp.log1p(mp.exp(-x))),
    "softplus": Special(lambda x: mp.log1p(mp.exp(x))),
    "logit": Special(lambda x: mp.log(x / (1 - x)), lambda x: 0 < x < 1),
    "entr": Special(lambda x: -x * mp.log(x), _positive),
    "exprel": Special(lambda x: mp.expm1(x) / x if x else mp.mpf(1)), "cosm1": Special(lambda x: mp.cos(x) - 1),
    "exp10": Special(lambda x: mp.mpf(10) ** x), "zetac": Special(lambda x: mp.zeta(x) - 1, lambda x: x != 1),
    "erfinv": Special(mp.erfinv, _inside), "erfi": Special(mp.erfi),
    "i0": Special(lambda x: mp.besseli(0, x)), "i1": Special(lambda x: mp.besseli(1, x)),
    "i0e": Special(lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), lambda x: x != 0),
    "j0": Special(lambda x: mp.besselj(0, x)), "j1": Special(lambda x: mp.besselj(1, x)),
    "expi": Special(mp.ei, lambda x: x != 0), "exp1": Special(mp.e1, _positive),
    "spence": Special(lambda x: mp.re(mp.polylog(2, 1 - x)), _positive),
    "ellipk": Special(mp.ellipk, lambda x: x < 1), "ellipe": Special(mp.ellipe, lambda x: x < 1),
    "dawsn": Special(lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)),
}  # fmt: skip

#: Values that differ from SciPy's, with the reason: what this library gives is right.
OTHER_THAN_SCIPY: dict[str, tuple[float, ...]] = {
    "gammaln": (SUBNORMAL, -SUBNORMAL, -HUGE, -np.inf),  # SciPy overflows at subnormals; nan for inf past 1e308
    "zetac": (710.0,),  # SciPy gives 0 for 2**-710
    "cosm1": (710.0, -710.0),  # SciPy loses eight digits
}  # fmt: skip
if np.isinf(scipy.special.gamma(-1.0)):  # SciPy before 1.15, at poles, where there is no sign to choose
    whole_below_zero = tuple(POINTS[(POINTS < 0) & (np.rint(POINTS) == POINTS)])
    OTHER_THAN_SCIPY |= {"gamma": whole_below_zero, "rgamma": (-np.inf,)}
