"""Derivatives by calling a function at points: finite differences, adaptive steps and fits, complex step.

Functions of one flat float64 vector in, results with error estimates out. Nothing here needs a function that
can be traced, and nothing here imports CasADi.
"""

from archimedes_grad.numeric.derivatives import derivative, directional, gradient, jacobian
from archimedes_grad.numeric.higher import hessian, hessian_diag, hyper_hessian
from archimedes_grad.numeric.options import OPTIONS, validate_options
from archimedes_grad.numeric.results import DerivativeResult

__all__ = [
    "OPTIONS",
    "DerivativeResult",
    "derivative",
    "directional",
    "gradient",
    "hessian",
    "hessian_diag",
    "hyper_hessian",
    "jacobian",
    "validate_options",
]
