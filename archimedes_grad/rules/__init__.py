"""The rules: what each NumPy function does on traced arrays.

Importing this package registers those that nearly every function needs. The others are loaded when a function
without a rule is first met: together they take longer to import than the rest of the library.
"""

from importlib import import_module

from archimedes_grad.dispatch import on_demand, when_imported
from archimedes_grad.rules import (
    creation,
    elementwise,
    indexing,
    movement,
    products,
    python_classes,
    reductions,
    ufuncs,
)

__all__ = ["creation", "elementwise", "indexing", "movement", "products", "python_classes", "reductions", "ufuncs"]

#: Modules of rules that are loaded on demand.
ON_DEMAND = (
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


@when_imported("scipy.special")
def _load_special() -> None:
    import_module(f"{__name__}.special").add_rules()


@when_imported("scipy.stats")
def _load_distributions() -> None:
    import_module(f"{__name__}.distributions").add_rules()


@when_imported("scipy.linalg")
def _load_scipy_linalg() -> None:
    import_module(f"{__name__}.scipy_linalg").add_rules()


@when_imported("scipy.sparse")
def _load_sparse_products() -> None:
    import_module(f"{__name__}.sparse_products").add_rules()


@when_imported("numpy.polynomial")
def _load_polynomial_series() -> None:
    import_module(f"{__name__}.polynomial_series").add_functions()
