"""Functions of whole numbers that have no node in CasADi: bits, divisors. NumPy evaluates them; the derivative is zero.

Whole numbers are exact up to 2**53 in a graph, and so are these.
"""

from __future__ import annotations

import functools
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.decisions import decided_truth, decides
from archimedes_grad.arrays.dispatch import ELEMENTWISE, ELEMENTWISE_BY_KIND, Rule
from archimedes_grad.rules.lapack import Kind, called_by_entry, without_derivative
from archimedes_grad.rules.words import sub

MX = cs.MX


@functools.cache
def _kind(ufunc: np.ufunc) -> Kind:
    def evaluate(inputs: Any, wanted: Any) -> Any:
        return (ufunc(*(numbers.astype(np.int64) for numbers in inputs)),)

    return Kind(ufunc.__name__, evaluate, without_derivative, regular_point=(1.0,) * ufunc.nin)


def _of_integers(ufunc: np.ufunc) -> Rule:
    """Return the rule that calls a ufunc on nodes that broadcast elementwise."""
    return lambda *operands: called_by_entry(_kind(ufunc), operands)


_OF_INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm", "bitwise_count")

ELEMENTWISE_BY_KIND.update({(getattr(np, name), "i"): _of_integers(getattr(np, name)) for name in _OF_INTEGERS})


def _power(base: MX, exponent: MX) -> MX:
    """Return whole powers. Negative exponents, which NumPy refuses, take a path of their own."""
    if decides() and exponent.numel():
        decided_truth(cs.mmin(exponent) >= 0, True, True)
    power: MX = ELEMENTWISE[np.power](base, exponent)
    return power


ELEMENTWISE_BY_KIND[np.power, "i"] = _power
#: The two's complement; of unsigned integers it wraps around.
ELEMENTWISE_BY_KIND[np.invert, "i"] = lambda x: sub(scalar_node(-1.0), x)
