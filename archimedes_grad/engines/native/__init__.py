"""The native engine: from a CasADi Function to C, compiled, and loaded in its place."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.blas_library import product_pointer
from archimedes_grad.engines.native.c_text import ENTRY, loaded_text
from archimedes_grad.engines.native.program import source_of
from archimedes_grad.engines.native.toolchain import CompilerError, NoCompilerError, library
from archimedes_grad.engines.native.values import UnsupportedError
from archimedes_grad.errors import FallbackWarning


@dataclass(frozen=True)
class Native:
    """A compiled function.

    Attributes
    ----------
    function
        Takes the inputs of the Function it was made from, then ``data``; gives its outputs, as columns.
    data
        Flat arrays, bound beside the inputs.
    """

    function: cs.Function
    data: tuple[npt.NDArray[np.float64], ...]


def compiled(function: cs.Function) -> Native | str:
    """Return the compiled function, or the reason why there is none.

    Where it is the compiler that is missing or fails, a FallbackWarning says so.
    """
    try:
        source = source_of(function)
        path = library(loaded_text(function, source))
    except UnsupportedError as error:
        return str(error)
    except (NoCompilerError, CompilerError) as error:
        warnings.warn(f"{error}\n  CasADi's interpreter is used instead.", FallbackWarning, stacklevel=2)
        return str(error).splitlines()[0]
    data: list[Any] = [array.view(np.float64) for array in source.data]
    if source.uses_products:
        data.append(product_pointer())
    return Native(cs.external(ENTRY, str(path)), tuple(data))
