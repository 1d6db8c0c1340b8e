"""What evaluates a derived function: CasADi's interpreter, or C compiled for it."""

from __future__ import annotations

from dataclasses import replace

import casadi as cs

from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.nodes.blas import on_blas
from archimedes_grad.nodes.rebuilding import opened
from archimedes_grad.nodes.simplification import forward_nodes

#: About what compiling takes, in seconds: an engine that chooses waits until evaluations have taken as long.
WORTH_COMPILING = 0.3


def _for_the_interpreter(derived: Derived) -> Derived:
    """Return what was meant to be compiled with its large products on BLAS."""
    if derived.graph.engine != "native" or not derived.graph.large_products or derived.representation != "array":
        return derived
    function = derived.function
    inputs = function.mx_in()
    with forward_nodes():
        outputs = on_blas(opened(function, inputs))
        return replace(derived, function=cs.Function(function.name(), inputs, outputs))


def evaluated_by(derived: Derived, engine: str) -> tuple[Derived, str]:
    """Return what an engine evaluates in place of a derived function, and what `explain` says of it.

    The native engine leaves to the interpreter what it cannot compile, and says why.
    """
    if engine != "native":
        return derived, "vm"
    # Here, not above: who stays with the interpreter does not wait for the compiler at import.
    from archimedes_grad.engines.native import Native, compiled

    made = compiled(derived.function)
    if not isinstance(made, Native):
        return _for_the_interpreter(derived), f"vm ({made})"
    shown = f"native (around what is not compiled: {made.left})" if made.left else "native"
    return replace(derived, function=made.function, hidden=(*derived.hidden, *made.data)), shown
