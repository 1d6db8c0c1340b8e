"""Products of plain scipy.sparse matrices with traced vectors and matrices: a node with the matrix's own pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.dispatch import INTERCEPTED
from archimedes_grad.arrays.new_arrays import new_array
from archimedes_grad.arrays.operands import gathered, node_of


def _product(original: Callable[..., Any], self: Any, other: Any) -> Any:
    other = gathered(other)
    value = original(self, other.value)
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        # A product with one number is a sparse matrix, which holds no traced entries.
        return original(self, other)
    matrix = cs.MX(cs.DM(self.tocsc().astype(float)))
    if other.ndim == 1:
        return new_array(cs.densify(cs.mtimes(matrix, other.node)), value)
    # Stored by rows: the transposed product of transposed matrices.
    return new_array(cs.densify(cs.mtimes(node_of(other), matrix.T)), value)


def add_rules() -> None:
    """Register the rule for every class of sparse matrices; scipy.sparse has been imported."""
    import scipy.sparse

    classes = {base for kind in _kinds(scipy.sparse) for base in kind.__mro__}
    for base in classes:
        if "_matmul_dispatch" in vars(base):
            INTERCEPTED[vars(base)["_matmul_dispatch"]] = _product


def _kinds(module: Any) -> list[type]:
    return [getattr(module, f"{form}_{kind}") for form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
            for kind in ("array", "matrix")]  # fmt: skip
