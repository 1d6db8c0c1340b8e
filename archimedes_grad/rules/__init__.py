"""The rules: what each NumPy function does on traced arrays.

Importing this package registers those that nearly every function needs. The others are loaded when a function
without a rule is first met: together they take longer to import than the rest of the library.
"""

from functools import partial
from importlib import import_module

from archimedes_grad.arrays.dispatch import on_demand, when_imported
from archimedes_grad.rules import (
    creation,
    elementwise,
    indexing,
    movement,
    pieces,
    products,
    python_classes,
    reductions,
    ufuncs,
)

__all__ = [
    "creation", "elementwise", "indexing", "movement", "pieces", "products", "python_classes", "reductions", "ufuncs",
]  # fmt: skip

#: Modules of rules that are loaded on demand.
ON_DEMAND = (
    "complex_functions",
    "complex_matrices",
    "complex_values",
    "contractions",
    "cumulative",
    "decompositions",
    "differences",
    "fourier",
    "histograms",
    "integers",
    "interpolation",
    "linalg",
    "padding",
    "polynomials",
    "quantiles",
    "refusals",
    "selection",
    "sets",
    "shaping",
    "sorting",
    "special_values",
    "statistics",
    "taking",
    "writes",
)


def _load() -> None:
    for module in ON_DEMAND:
        import_module(f"{__name__}.{module}")


on_demand(_load)


def _add_rules(modules: list[str]) -> None:
    for module in modules:
        import_module(f"{__name__}.{module}").add_rules()


#: Modules whose functions do not all dispatch, each with modules of rules for it, loaded once the former has been.
OF_OTHER_MODULES = {
    "numpy": ["list_arguments"],
    "numpy.polynomial": ["polynomial_series"],
    "scipy.special": ["special"],
    "scipy.stats": ["distributions"],
    "scipy.linalg": ["scipy_linalg", "matrix_equations"],
    "scipy.sparse": ["sparse_products"],
}
for _library, _modules in OF_OTHER_MODULES.items():
    when_imported(_library)(partial(_add_rules, _modules))
