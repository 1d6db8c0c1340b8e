"""Stand-alone C of what a compiled function evaluates."""

from __future__ import annotations

import os
import re
from pathlib import Path

from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.engines.native.c_text import stand_alone_text
from archimedes_grad.engines.native.program import source_of
from archimedes_grad.engines.native.values import UnsupportedError
from archimedes_grad.errors import TraceError

_UNFIT = r"[^A-Za-z0-9_.'\[\]]"


def write_c(owner: str, derived: Derived, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write a C file and its header; return their paths.

    Raises
    ------
    ValueError
        If the path does not end in ``.c`` with a name that C can have.
    TraceError
        If the function holds something that only CasADi or Python evaluate.
    """
    target = Path(path)
    if target.suffix != ".c" or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", target.stem):
        raise ValueError(
            f"{owner}.codegen: expects a path that ends in .c after a name of letters, digits and underscores, which "
            f"becomes the C function's name; got {str(path)!r}. Write 'gradient.c', for example."
        )
    try:
        source = source_of(derived.function)
        if "solve_equations" in source.kernels:
            raise UnsupportedError("linear equations are solved by LAPACK")
    except UnsupportedError as error:
        raise TraceError(
            f"{owner}.codegen: {error}, so that there is no stand-alone C for it. Replace that part of the function, "
            f"or embed it by to_casadi."
        ) from None
    # Keys of the user's dictionaries stand in names: nothing of them may end the comment.
    inputs = [f"{re.sub(_UNFIT, '?', leaf.name)}, shape {leaf.shape}" for leaf in derived.graph.leaves]
    outputs = [f"shape {output.shape}" for output in derived.outputs]
    if derived.can_fail:
        outputs.append("1 where the evaluation succeeded")
    text, header = stand_alone_text(target.stem, source, inputs, outputs, derived.hidden)
    target.write_text(text, encoding="ascii")
    target.with_suffix(".h").write_text(header, encoding="utf-8")
    return target, target.with_suffix(".h")
