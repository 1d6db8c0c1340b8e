"""The functions of scipy.special that are no ufuncs: logsumexp, softmax and their kin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from archimedes_grad.array import SymbolicArray, new_array
from archimedes_grad.constants import scalar_node
from archimedes_grad.dispatch import INTERCEPTED
from archimedes_grad.operands import gathered, is_traced, node_of, value_of
from archimedes_grad.rules.composition import as_numpy_gives
from archimedes_grad.rules.elementwise import only_where
from archimedes_grad.rules.special_graphs import digamma, gammaln, zeta
from archimedes_grad.trace_state import trace_error


def _shifted(x: Any, axis: Any) -> tuple[Any, Any]:
    """Return x less a whole number near its largest entry, and that number, whose derivative is 0.

    The shift cancels in what is computed, so that it need not be the maximum itself.
    """
    largest: Any = np.floor(np.max(x, axis=axis, keepdims=True))
    finite: Any = np.isfinite(largest)
    shift: Any = np.where(value_of(finite), value_of(largest), 0.0)
    if isinstance(largest, SymbolicArray):
        # Not by np.where: nothing passes back through floor, so that no branch needs watching.
        shift = new_array(only_where(finite.node, largest.node), shift)
    return x - shift, shift


def _logsumexp(original: Callable[..., Any], a: Any, axis: Any = None, b: Any = None, keepdims: bool = False,
               return_sign: bool = False) -> Any:  # fmt: skip
    a, b = gathered(a), gathered(b)
    plain_b = None if b is None else value_of(b)
    value = original(value_of(a), axis=axis, b=plain_b, keepdims=keepdims, return_sign=return_sign)
    if b is not None:
        a, b = np.broadcast_arrays(a, b)
        # A weight of zero takes its entry out, even an infinite one.
        a = np.where(np.equal(b, 0), -np.inf, a)
    shifted, shift = _shifted(a, axis)
    terms = np.exp(shifted) if b is None else b * np.exp(shifted)
    total = np.sum(terms, axis=axis, keepdims=True)
    sign = np.sign(total)
    result = np.log(np.abs(total) if return_sign else total) + shift
    if not keepdims:
        result, sign = np.squeeze(result, axis), np.squeeze(sign, axis)
    return as_numpy_gives((result, sign) if return_sign else result, value)


def _softmax(original: Callable[..., Any], x: Any, axis: Any = None) -> Any:
    x = gathered(x)
    terms = np.exp(_shifted(x, axis)[0])
    return as_numpy_gives(terms / np.sum(terms, axis=axis, keepdims=True), original(value_of(x), axis=axis))


def _log_softmax(original: Callable[..., Any], x: Any, axis: Any = None) -> Any:
    x = gathered(x)
    shifted, _ = _shifted(x, axis)
    result = shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return as_numpy_gives(result, original(value_of(x), axis=axis))


def _multigammaln(original: Callable[..., Any], a: Any, d: Any) -> Any:
    a = gathered(a)
    value = original(value_of(a), d)
    arguments: Any = np.expand_dims(a, 0) - np.reshape(np.arange(d) / 2, (-1, *(1,) * np.ndim(value_of(a))))
    logarithms = new_array(gammaln(arguments.node), arguments.value)
    return as_numpy_gives(np.sum(logarithms, axis=0) + d * (d - 1) * 0.25 * math.log(math.pi), value)


def _polygamma(original: Callable[..., Any], n: Any, x: Any) -> Any:
    if is_traced(n) or np.ndim(n):
        raise trace_error(
            "scipy.special.polygamma takes one plain whole number as order in a traced function.",
            "Call it for each order.",
        )
    x = gathered(x)
    value = original(n, x.value)
    if n == 0:
        return new_array(digamma(x.node), value)
    # DLMF 5.15.1; scipy.special.zeta is nan for x < 0.
    positive = node_of(np.where(np.less_equal(x, 0), np.nan, x))
    series = new_array(zeta(scalar_node(n + 1.0), positive), value)
    return as_numpy_gives((-1.0) ** (n + 1) * math.gamma(n + 1.0) * series, value)


def add_functions() -> None:
    """Register the rules; SciPy has been imported."""
    import scipy.special

    INTERCEPTED.update({
        scipy.special.logsumexp: _logsumexp, scipy.special.softmax: _softmax,
        scipy.special.log_softmax: _log_softmax, scipy.special.multigammaln: _multigammaln,
        scipy.special.polygamma: _polygamma,
    })  # fmt: skip
