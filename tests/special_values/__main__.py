"""``PYTHONPATH=.:tests python -m special_values``: how many cells are checked, and which are wrong."""

import warnings

from helpers import forced
from scipy import special

from .cells import REDUCTIONS, joined, reduction_cells, special_cells, ufunc_cells
from .table import BINARY, SPECIAL, UNARY

warnings.simplefilter("ignore")
for name in ("scalar", "array"):
    with forced(name):
        checked = {
            "ufuncs of one argument": joined(*(ufunc_cells(u, (truth,)) for u, truth in UNARY.items())),
            "ufuncs of two arguments": joined(*(ufunc_cells(u, truths) for u, truths in BINARY.items())),
            "special functions": joined(*(special_cells(f) for f in SPECIAL if hasattr(special, f))),
            "reductions": joined(*map(reduction_cells, REDUCTIONS)),
        }
    for kind, (count, wrong) in checked.items():
        print(f"{name}, {kind}: {count} cells, {len(wrong)} wrong", *wrong[:20], sep="\n  ")
