"""The native engine: from a CasADi Function to C, compiled, and loaded in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.blas_library import KernelsUnderWay, set_threads
from archimedes_grad.engines.native.c_text import ENTRY, loaded_text
from archimedes_grad.engines.native.compilers import CompilerError, NoCompilerError
from archimedes_grad.engines.native.pieces import Cut
from archimedes_grad.engines.native.program import source_of
from archimedes_grad.engines.native.tape import Readable
from archimedes_grad.engines.native.toolchain import library
from archimedes_grad.engines.native.values import UnsupportedError
from archimedes_grad.engines.selection import default_threads
from archimedes_grad.errors import FallbackWarning, warn_caller
from archimedes_grad.nodes.broadcasts import repeated_in
from archimedes_grad.nodes.simplification import forward_nodes


class Native(NamedTuple):
    """A compiled function.

    Attributes
    ----------
    function
        Takes the inputs of the Function it was made from, then ``data``; gives its outputs.
    data
        Flat arrays, bound beside the inputs.
    left
        What stays with the interpreter between compiled pieces; empty where nothing does.
    """

    function: cs.Function
    data: tuple[npt.NDArray[np.float64], ...]
    left: str = ""


def compiled(function: cs.Function) -> Native | str:
    """Return the compiled function, or the reason why there is none.

    Where it is the compiler that is missing or fails, a FallbackWarning says so.
    """
    try:
        return _compiled(function)
    except UnsupportedError as error:
        return str(error)
    except (NoCompilerError, CompilerError) as error:
        warn_caller(f"{error}\n  CasADi's interpreter is used instead.", FallbackWarning)
        return str(error).splitlines()[0]


def _compiled(function: cs.Function) -> Native:
    try:
        (entry,), data = _loaded([function])
    except UnsupportedError as error:
        return _around_what_is_not_compiled(function, error)
    return Native(entry, data)


def _loaded(functions: Sequence[cs.Function]) -> tuple[list[cs.Function], tuple[npt.NDArray[np.float64], ...]]:
    """Return Functions compiled, and the data that each of them takes after its own inputs."""
    threads = default_threads()
    source = source_of(*functions, in_parts=threads > 1)
    kernels = KernelsUnderWay(source.kernels) if source.kernels else None
    path = library(loaded_text(functions, source))
    data: list[Any] = [array.view(np.float64) for array in source.data]
    if kernels is not None:
        data.append(kernels.addresses())
    if "run_in_parts" in source.kernels:
        set_threads(threads)
    return [cs.external(f"{ENTRY}{number}", str(path)) for number in range(len(functions))], tuple(data)


def _around_what_is_not_compiled(function: cs.Function, reason: UnsupportedError) -> Native:
    """Return a Function that calls compiled pieces, and evaluates what lies between them as it did.

    Raises
    ------
    UnsupportedError
        If there is no piece that is worth it.
    """
    with forward_nodes():
        cut = Cut(function, Readable().is_compiled) if function.is_a("MXFunction") else None
    if cut is None or not cut.pieces:
        raise reason
    entries, data = _loaded([piece.function for piece in cut.pieces])
    symbols = [cs.MX.sym(f"data_{number}", array.size) for number, array in enumerate(data)]
    with forward_nodes():
        outputs = repeated_in(cut.put_together(entries, symbols))
        return Native(cs.Function(function.name(), [*cut.inputs, *symbols], outputs), data, str(reason))
