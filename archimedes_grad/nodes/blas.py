"""Large matrix products on BLAS, in derivatives too.

CasADi's reverse sweep of a product on BLAS gives products by its reference loop, sixty times slower at 512 x 512, and a
copy of each transposed operand. They are found in the finished expressions and built again, and so are batches.

CasADi's wheel brings an OpenBLAS of its own, beside NumPy's. The threads of each wait busily for more work: with few
cores those of one library keep those of the other from running, and both stand still. CasADi's works on one thread.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
from collections.abc import Callable
from typing import Any

import casadi as cs
from numpy.linalg import _umath_linalg

from archimedes_grad.nodes.batched_products import are_separate, one_by_one, read, with_zeros_kept
from archimedes_grad.nodes.broadcasts import Repeating

#: From this many multiplications on a product goes to BLAS; below, the call costs more than it saves.
BLAS_FROM = 20_000


def is_large(left: cs.MX, right: cs.MX) -> bool:
    """Tell whether a product and those of its derivative are worth a look."""
    return bool(left.size1() * left.size2() * right.size2() >= BLAS_FROM)


def pays(left: cs.MX, right: cs.MX) -> bool:
    """Tell whether a product is faster on BLAS; a row times a matrix runs through memory once either way."""
    return is_large(left, right) and bool(left.size1() > 1)


def matrix_product(left: cs.MX, right: cs.MX) -> cs.MX:
    """Return a product, on BLAS where that pays."""
    left, right = with_zeros_kept(left, right)
    if not pays(left, right):
        return cs.mtimes(left, right)
    node = cs.mtimes(left, right, "classic")
    use_one_thread()
    return node


def on_blas(expressions: list[cs.MX]) -> list[cs.MX]:
    """Return expressions with all large dense products on BLAS, and broadcasts by repetition.

    Products of batches too; nodes above are built anew.
    """
    return _OnBlas().of(expressions)


class _OnBlas(Repeating):
    def instead_of(self, source: cs.MX, operands: list[cs.MX]) -> list[cs.MX] | None:
        """Return a product on BLAS for a large dense one; of a batch, a product for each matrix."""
        repeated = super().instead_of(source, operands)
        if repeated is not None:
            return repeated
        if source.op() == cs.OP_EINSTEIN:
            product = read(source.info())
            return [one_by_one(product, operands, _product)] if are_separate(product.count, product.work) else None
        if source.op() != cs.OP_MTIMES or not all(operand.is_dense() for operand in operands):
            return None
        return [_large_product(*operands)] if is_large(operands[1], operands[2]) else None


def _product(added: cs.MX, left: cs.MX, right: cs.MX) -> cs.MX:
    return _large_product(added, left, right) if is_large(left, right) else cs.mac(left, right, added)


def _large_product(added: cs.MX, left: cs.MX, right: cs.MX) -> cs.MX:
    """Return ``added + left @ right``; of a vector and a transposed matrix, without the copy that transposing is."""
    if left.size1() == 1 and right.op() == cs.OP_TRANSPOSE:
        return _large_product(added.T, right.dep(0), left.T).T
    if right.size2() == 1 and left.op() == cs.OP_TRANSPOSE:
        return _large_product(added.T, right.T, left.dep(0)).T
    if not pays(left, right):
        return cs.mac(left, right, added)
    node = cs.mac(left, right, added, "classic")
    use_one_thread()
    return node


@functools.cache
def use_one_thread() -> None:
    """Let CasADi's OpenBLAS work on the thread that calls it; where there is none of its own, do nothing.

    This holds for the whole process, CasADi models of the user included. Its kernels, built for an old processor, gain
    little from a second thread (512 x 512: a factor of 2 on an idle machine), and lose more to NumPy's threads.
    Called when CasADi has loaded its plugin: loaded before that, the library could be a second copy.
    """
    for plugin in sorted(glob.glob(os.path.join(cs.GlobalOptions.getCasadiPath(), "*casadi_blas_classic*"))):
        set_threads = _set_threads(plugin)
        if set_threads is None:
            continue
        numpys = _set_threads(_umath_linalg.__file__)
        # Where both are linked to one library there is one pool, and it is NumPy's.
        if numpys is None or _address(numpys) != _address(set_threads):
            set_threads(1)
        return


def _set_threads(module: str) -> Callable[[int], Any] | None:
    """Return what sets the number of threads in the OpenBLAS of a module; None where it is not loaded or has none."""
    # Only POSIX systems look a name up in what a library is linked to, and only of one that is loaded.
    only_loaded = getattr(os, "RTLD_NOLOAD", None)
    if only_loaded is None:
        return None
    try:
        library = ctypes.CDLL(module, mode=only_loaded)
    except OSError:
        return None
    return getattr(library, "openblas_set_num_threads", None)


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value
