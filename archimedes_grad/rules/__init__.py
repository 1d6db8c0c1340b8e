"""The rules: what each NumPy function does on traced arrays. Importing this package registers them all."""

from archimedes_grad.rules import (
    contractions,
    creation,
    decompositions,
    elementwise,
    indexing,
    linalg,
    movement,
    products,
    reductions,
    ufuncs,
)

__all__ = [
    "contractions",
    "creation",
    "decompositions",
    "elementwise",
    "indexing",
    "linalg",
    "movement",
    "products",
    "reductions",
    "ufuncs",
]
