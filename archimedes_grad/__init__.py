"""Gradients of plain NumPy functions: traced once into a CasADi graph, then called at the speed of C.

>>> import numpy as np
>>> import archimedes_grad as arc
>>> @arc.grad
... def slope(x):
...     return np.sum(np.sin(x) ** 2)
>>> slope(np.array([0.0, np.pi / 4])).round(6).tolist()
[0.0, 1.0]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archimedes_grad._version import __version__
from archimedes_grad.errors import FallbackWarning, PathLimitWarning, TraceError
from archimedes_grad.transforms.creation import arange, array, eye, full, linspace, ones, zeros

if not TYPE_CHECKING:
    from archimedes_grad.transforms.differentiation import compile, grad, hess, hvp, jac, jvp, value_and_grad, vjp
else:
    from archimedes_grad.calculus_kit import CalculusKit
    from archimedes_grad.check import check_grads
    from archimedes_grad.comparison import compare_methods
    from archimedes_grad.derivative_kit import DerivativeKit
    from archimedes_grad.transforms.batching import vmap
    from archimedes_grad.transforms.callbacks import callback
    from archimedes_grad.transforms.choices import cond, switch
    from archimedes_grad.transforms.control_flow import fori_loop, scan, while_loop
    from archimedes_grad.transforms.custom_rules import custom_jvp, custom_vjp, stop_gradient
    from archimedes_grad.transforms.engine_choice import cache_clear, set_engine
    from archimedes_grad.transforms.implicit import implicit_root, linear_solve
    from archimedes_grad.transforms.integration import odeint
    from archimedes_grad.transforms.types import compile, grad, hess, hvp, jac, jvp, value_and_grad, vjp

#: Imported when first asked for: gradients by themselves do not wait for them.
_MODULE_OF = {
    "CalculusKit": "calculus_kit",
    "DerivativeKit": "derivative_kit",
    "cache_clear": "transforms.engine_choice",
    "callback": "transforms.callbacks",
    "check_grads": "check",
    "compare_methods": "comparison",
    "cond": "transforms.choices",
    "custom_jvp": "transforms.custom_rules",
    "custom_vjp": "transforms.custom_rules",
    "fori_loop": "transforms.control_flow",
    "implicit_root": "transforms.implicit",
    "linear_solve": "transforms.implicit",
    "odeint": "transforms.integration",
    "scan": "transforms.control_flow",
    "set_engine": "transforms.engine_choice",
    "stop_gradient": "transforms.custom_rules",
    "switch": "transforms.choices",
    "vmap": "transforms.batching",
    "while_loop": "transforms.control_flow",
}


if not TYPE_CHECKING:  # where a name that is not there is an error

    def __getattr__(name: str) -> Any:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Stored, so that the name means the object from now on, not a module of the same name.
        found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULE_OF})


__all__ = [
    "CalculusKit",
    "DerivativeKit",
    "FallbackWarning",
    "PathLimitWarning",
    "TraceError",
    "__version__",
    "arange",
    "array",
    "cache_clear",
    "callback",
    "check_grads",
    "compare_methods",
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
    "set_engine",
    "stop_gradient",
    "switch",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
    "zeros",
]
