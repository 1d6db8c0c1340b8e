"""Large matrix products on BLAS, in derivatives too.

CasADi's reverse sweep of a product on BLAS gives products by its reference loop, sixty times slower at 512 x 512, and a
copy of each transposed operand. They are found in the finished expressions and built again.
"""

from __future__ import annotations

import casadi as cs

from archimedes_grad.rebuilding import Rebuilding

#: From this many multiplications on a product goes to BLAS; below, the call costs more than it saves.
BLAS_FROM = 20_000


def is_large(left: cs.MX, right: cs.MX) -> bool:
    """Tell whether a product and those of its derivative are worth a look."""
    return bool(left.size1() * left.size2() * right.size2() >= BLAS_FROM)


def pays(left: cs.MX, right: cs.MX) -> bool:
    """Tell whether a product is faster on BLAS; a row times a matrix runs through memory once either way."""
    return is_large(left, right) and bool(left.size1() > 1)


def on_blas(expressions: list[cs.MX]) -> list[cs.MX]:
    """Return expressions with all large dense products on BLAS; the nodes above them are built anew."""
    return _OnBlas().of(expressions)


class _OnBlas(Rebuilding):
    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return a product on BLAS for a large dense one."""
        if source.op() != cs.OP_MTIMES or not all(operand.is_dense() for operand in operands):
            return None
        return [_large_product(*operands)] if is_large(operands[1], operands[2]) else None


def _large_product(added: cs.MX, left: cs.MX, right: cs.MX) -> cs.MX:
    """Return ``added + left @ right``; of a vector and a transposed matrix, without the copy that transposing is."""
    if left.size1() == 1 and right.op() == cs.OP_TRANSPOSE:
        return _large_product(added.T, right.dep(0), left.T).T
    if right.size2() == 1 and left.op() == cs.OP_TRANSPOSE:
        return _large_product(added.T, right.T, left.dep(0)).T
    return cs.mac(left, right, added, "classic") if pays(left, right) else cs.mac(left, right, added)
