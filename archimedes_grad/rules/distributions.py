"""The distributions of scipy.stats: densities, probabilities and quantiles of traced points and parameters.

SciPy writes ``logpdf`` and its like once for all distributions: the formula of the one at hand inside its support,
constants outside and nan for parameters that it does not allow. It writes into plain arrays by masks; here the
same is a choice. The formulas, ``_logpdf`` and the like, are NumPy and scipy.special and are traced as they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from archimedes_grad.arrays.dispatch import CONSTRUCTOR_HOLDERS, INTERCEPTED
from archimedes_grad.arrays.operands import array_of, gathered, is_traced, values_in
from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.rules.composition import as_numpy_gives


@dataclass(frozen=True)
class _Form:
    """What a method gives outside of the support; and how its formula is scaled inside."""

    below: float
    #: None for densities: they give the same on either side, and SciPy says whether their formula holds at the ends.
    above: float | None = None
    scaled: Callable[[Any, Any], Any] | None = None


def _density(formula: Any, scale: Any) -> Any:
    return formula / scale


def _log_density(formula: Any, scale: Any) -> Any:
    return formula - np.log(scale)


_CONTINUOUS = {
    "pdf": _Form(0.0, scaled=_density),
    "logpdf": _Form(-np.inf, scaled=_log_density),
    "cdf": _Form(0.0, 1.0),
    "logcdf": _Form(-np.inf, 0.0),
    "sf": _Form(1.0, 0.0),
    "logsf": _Form(0.0, -np.inf),
}
_DISCRETE = {name: _CONTINUOUS[name] for name in ("cdf", "logcdf", "sf", "logsf")} | {
    "pmf": _Form(0.0),
    "logpmf": _Form(-np.inf),
}


def _log_of(part: Any, rest: Any) -> Any:
    """Return the logarithm of a probability, made of what is left to 1 where that is the smaller one."""
    return np.where(part < 0.5, np.log(part), np.log1p(-rest))


#: Where a distribution has no formula of its own: the methods that it can be made of, and how.
_MADE_OF: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "pdf": (("logpdf",), np.exp),
    "logpdf": (("pdf",), np.log),
    "pmf": (("logpmf",), np.exp),
    "logpmf": (("pmf",), np.log),
    "cdf": (("sf",), lambda sf: 1.0 - sf),
    "sf": (("cdf",), lambda cdf: 1.0 - cdf),
    "logcdf": (("cdf", "sf"), _log_of),
    "logsf": (("sf", "cdf"), _log_of),
}
#: Distributions whose densities SciPy computes by functions without a name, and whose logarithms it writes out.
_BY_LOGARITHM = frozenset({"beta", "binom", "nbinom", "bernoulli"})


def _formula(distribution: Any, name: str) -> Callable[..., Any]:
    """Return the formula of a method, or raise TraceError where SciPy integrates or searches instead."""
    if _own(distribution, name) and not (name in ("pdf", "pmf") and distribution.name in _BY_LOGARITHM):
        return getattr(distribution, f"_{name}")  # type: ignore[no-any-return]
    sources, combine = _MADE_OF.get(name, ((), None))
    if name == "isf" and _own(distribution, "ppf"):
        return lambda q, *shapes: distribution._ppf(1.0 - q, *shapes)
    if combine is None or not any(_own(distribution, source) for source in sources):
        raise trace_error(
            f"scipy.stats.{distribution.name}.{name} has no formula: SciPy integrates or searches for it, which loses "
            "the trace.",
            "Call it through arc.callback, which differentiates it numerically, or write its formula.",
        )
    formulas = [_formula(distribution, source) for source in sources]
    return lambda x, *shapes: combine(*(formula(x, *shapes) for formula in formulas))


def _own(distribution: Any, name: str) -> bool:
    """Tell whether a distribution states a formula that is not the general one of its base class."""
    import scipy.stats

    families: tuple[Any, ...] = (scipy.stats.rv_continuous, scipy.stats.rv_discrete)
    general = next(family for family in families if isinstance(distribution, family))
    return getattr(type(distribution), f"_{name}") is not getattr(general, f"_{name}")


def _parameters(distribution: Any, args: Any, kwds: Any) -> tuple[Any, Any, Any]:
    """Return shape parameters, location and scale as SciPy takes them from the arguments."""
    shapes, location, scale = distribution._parse_args(*args, **kwds)
    shapes = tuple(array_of(gathered(shape)) for shape in shapes)
    return shapes, array_of(gathered(location)), array_of(gathered(scale))


def _allowed(distribution: Any, shapes: Any, location: Any, scale: Any) -> Any:
    return np.logical_and(np.logical_and(distribution._argcheck(*shapes), scale > 0), location == location)


def _everywhere(condition: Any) -> bool:
    return not is_traced(condition) and bool(np.all(condition))


def _chosen(condition: Any, inside: Any, outside: Any) -> Any:
    return inside if _everywhere(condition) else np.where(condition, inside, outside)


def _rule_of(name: str, form: _Form, continuous: bool) -> Callable[..., Any]:
    def rule(original: Callable[..., Any], self: Any, x: Any, *args: Any, **kwds: Any) -> Any:
        value = original(self, values_in(x), *values_in(args), **values_in(kwds))
        formula = _formula(self, name)
        shapes, location, scale = _parameters(self, args, kwds)
        allowed = _allowed(self, shapes, location, scale)
        # nan as a scale makes the result nan, without a choice at every point.
        scale = _chosen(allowed, scale, np.nan)
        x = array_of(gathered(x))
        standard = (x - location) / scale if continuous else x - location
        lower, upper = self._get_support(*shapes)
        result = formula(standard, *shapes)
        if form.scaled is not None and continuous:
            result = form.scaled(result, scale)
        if form.above is not None:
            result = _outside(result, standard, lower, upper, form, continuous)
        elif not (_everywhere(lower == -np.inf) and _everywhere(upper == np.inf)):
            # nan is not outside.
            inside = np.logical_or(self._support_mask(standard, *shapes), standard != standard)
            result = _chosen(inside, result, form.below)
        if form.above is None and not continuous:
            result = _chosen(self._nonzero(standard, *shapes), result, form.below)
        if not (form.scaled and continuous):
            result = _chosen(allowed, result, np.nan)
        # A formula may make a number of nan, by a comparison.
        return as_numpy_gives(_chosen(x == x, result, np.nan), value)

    return rule


def _outside(result: Any, x: Any, lower: Any, upper: Any, form: _Form, continuous: bool) -> Any:
    """Return the formula's result inside the support, and the constants of a probability below and above it."""
    at_lower = x <= lower if continuous else x < lower
    return _chosen(np.logical_not(at_lower), _chosen(np.logical_not(x >= upper), result, form.above), form.below)


def _quantile(name: str) -> Callable[..., Any]:
    def rule(original: Callable[..., Any], self: Any, q: Any, *args: Any, **kwds: Any) -> Any:
        value = original(self, values_in(q), *values_in(args), **values_in(kwds))
        formula = _formula(self, name)
        shapes, location, scale = _parameters(self, args, kwds)
        allowed = _allowed(self, shapes, location, scale)
        lower, upper = self._get_support(*shapes) if name == "ppf" else self._get_support(*shapes)[::-1]
        q = array_of(gathered(q))
        inside = np.logical_and(q > 0, q < 1)
        standard = _chosen(q != 0, _chosen(q != 1, _chosen(inside, formula(q, *shapes), np.nan), upper), lower)
        return as_numpy_gives(_chosen(allowed, standard * scale + location, np.nan), value)

    return rule


def _apply_where(
    original: Callable[..., Any], condition: Any, args: Any, first: Callable[..., Any],
    second: Callable[..., Any] | None = None, /, *, fill_value: Any = None, **namespace: Any,
) -> Any:  # fmt: skip
    """SciPy's evaluation of a formula where a condition holds, and of another one or a constant elsewhere."""
    args = args if isinstance(args, list | tuple) else (args,)
    if not is_traced(condition):
        if np.all(condition):
            return first(*args)
        if not np.any(condition) and second is not None:
            return second(*args)
    return np.where(condition, first(*args), fill_value if second is None else second(*args))


def _lazy_select(original: Callable[..., Any], conditions: Any, formulas: Any, arrays: Any, default: Any = 0) -> Any:
    return np.select(conditions, [formula(*arrays) for formula in formulas], default)


def _log_normal_mass(original: Callable[..., Any], a: Any, b: Any) -> Any:
    """Return the logarithm of the normal probability between a and b, in the tail where its parts are small."""
    from scipy.special import log_ndtr, ndtr

    value = original(*values_in((a, b)))
    right = np.greater(a, 0)
    lower, upper = np.where(right, -b, a), np.where(right, -a, b)
    tail = log_ndtr(upper) + np.log1p(-np.exp(log_ndtr(lower) - log_ndtr(upper)))
    central = np.logical_not(np.logical_or(np.less_equal(b, 0), right))
    return as_numpy_gives(_chosen(central, np.log1p(-ndtr(a) - ndtr(-b)), tail), value)


def add_rules() -> None:
    """Register the rules; scipy.stats has been imported."""
    import scipy.stats
    from scipy.stats import _continuous_distns, _distn_infrastructure

    CONSTRUCTOR_HOLDERS.append(_distn_infrastructure)
    for general, forms in ((scipy.stats.rv_continuous, _CONTINUOUS), (scipy.stats.rv_discrete, _DISCRETE)):
        for name, form in forms.items():
            INTERCEPTED[getattr(general, name)] = _rule_of(name, form, general is scipy.stats.rv_continuous)
    for name in ("ppf", "isf"):
        INTERCEPTED[getattr(scipy.stats.rv_continuous, name)] = _quantile(name)
    # What the formulas call besides.
    INTERCEPTED[_continuous_distns.xpx.apply_where] = _apply_where
    INTERCEPTED[_continuous_distns._lazyselect] = _lazy_select
    INTERCEPTED[_continuous_distns._log_gauss_mass] = _log_normal_mass
