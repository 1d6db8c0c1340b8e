"""Gradients of plain NumPy functions: traced once into a CasADi graph, then called at the speed of C.

>>> import numpy as np
>>> import archimedes_grad as arc
>>> @arc.grad
... def slope(x):
...     return np.sum(np.sin(x) ** 2)
>>> slope(np.array([0.0, np.pi / 4])).round(6).tolist()
[0.0, 1.0]
"""

from archimedes_grad._version import __version__
from archimedes_grad.check import check_grads
from archimedes_grad.choices import cond, switch
from archimedes_grad.control_flow import fori_loop, scan, while_loop
from archimedes_grad.creation import arange, array, eye, full, linspace, ones, zeros
from archimedes_grad.custom_rules import custom_jvp, custom_vjp, stop_gradient
from archimedes_grad.errors import FallbackWarning, PathLimitWarning, TraceError
from archimedes_grad.implicit import implicit_root, linear_solve, odeint
from archimedes_grad.transforms import compile, grad, hess, hvp, jac, jvp, value_and_grad, vjp
from archimedes_grad.vmap import vmap

__all__ = [
    "FallbackWarning",
    "PathLimitWarning",
    "TraceError",
    "__version__",
    "arange",
    "array",
    "check_grads",
    "compile",
    "cond",
    "custom_jvp",
    "custom_vjp",
    "eye",
    "fori_loop",
    "full",
    "grad",
    "hess",
    "hvp",
    "implicit_root",
    "jac",
    "jvp",
    "linear_solve",
    "linspace",
    "odeint",
    "ones",
    "scan",
    "stop_gradient",
    "switch",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
    "zeros",
]
