"""A CasADi Function with derivatives that are given, not derived.

CasADi looks for a Function's derivatives in the Function's cache before it makes them. So a rule is traced to a graph
of its own and put there, as the forward derivative and, transposed, as the reverse derivative (a rule is linear in
its directions). It then counts in every order, under map, loops, conditionals and expansion, at the cost of its own
graph, where the option ``custom_jacobian`` needs the Jacobian entry by entry. Of several directions at once, and of
small Functions as whole Jacobians, CasADi would ask elsewhere: ``max_num_dir`` and ``jac_penalty`` make it ask for
one direction at a time.

CasADi does not store the cache when it serialises a Function: a compiled derivative keeps the rule, which it has in
it, but a Function from ``to_casadi`` must be differentiated before it is serialised, not after.
"""

from __future__ import annotations

import functools

import casadi as cs

from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import EXTREMES
from archimedes_grad.nodes.simplification import forward_nodes

CUSTOM = "custom"
_CONSTANT = "constant"
INTEGRATED = "odeint"
NEWTON = "newton"
#: Functions that stay calls, by their names: some have derivatives of their own, others are known to engines.
_NEVER_OPENED = frozenset((CUSTOM, _CONSTANT, INTEGRATED, NEWTON, *EXTREMES.values()))
FORWARD, REVERSE = f"fwd1_{CUSTOM}", f"adj1_{CUSTOM}"


def with_derivatives(
    inputs: list[cs.MX], outputs: list[cs.MX], forward: cs.Function, reverse: cs.Function, name: str = CUSTOM
) -> cs.Function:
    """Return the Function of a graph whose derivatives are those given, named as CasADi would name its own."""
    return cs.Function(name, inputs, outputs, {
        "cache": {f"fwd1_{name}": forward, f"adj1_{name}": reverse},
        "max_num_dir": 1, "jac_penalty": -1, "never_inline": True,
    })  # fmt: skip


def calls_rules(function: cs.Function) -> bool:
    """Tell whether derivatives that users give are anywhere in a Function."""
    called = function.find_functions()
    return any(inner.name() == CUSTOM and not is_without_reverse_sweep(inner) for inner in called)


@functools.lru_cache(maxsize=256)
def constant_in_derivatives(rows: int, columns: int) -> cs.Function:
    """Return the Function of a matrix that is the matrix itself, with derivative zero of every order."""
    with forward_nodes():
        x, y, seed = (cs.MX.sym(name, rows, columns) for name in ("x", "y", "seed"))
        zero = nothing_of(seed)
        forward = cs.Function(f"fwd1_{_CONSTANT}", [x, y, seed], [zero])
        reverse = cs.Function(f"adj1_{_CONSTANT}", [x, y, seed], [zero])
        return with_derivatives([x], [x], forward, reverse, _CONSTANT)


@functools.lru_cache(maxsize=256)
def without_reverse_sweep(rows: int, columns: int) -> cs.Function:
    """Return the Function of a matrix that is the matrix itself, behind which no reverse sweep goes.

    Not even zeros go back: what lies behind may be singular. Tangents count only where it is not expanded to scalars.
    """
    with forward_nodes():
        x = cs.MX.sym("x", rows, columns)
        return cs.Function(CUSTOM, [x], [x], {"is_diff_in": [False], "never_inline": True})


def is_without_reverse_sweep(function: cs.Function) -> bool:
    """Tell whether a Function is that of `without_reverse_sweep`."""
    return function.name() == CUSTOM and not any(function.is_diff_in())


def can_be_opened(function: cs.Function) -> bool:
    """Tell whether a Function of arrays may be put in line where it is called."""
    return function.class_name() == "MXFunction" and function.name() not in _NEVER_OPENED


def nothing_of(x: cs.MX) -> cs.MX:
    """Return 0, as an expression in x: no number is less than itself."""
    return cs.MX.binary(cs.OP_IF_ELSE_ZERO, cs.MX.binary(cs.OP_LT, x, x), x)


def never_constant(name: str, inputs: list[cs.MX], outputs: list[cs.MX]) -> cs.Function:
    """Return a Function of which no output is constant: of such a one CasADi's Jacobian within scalars is nan."""
    function = graph_function(name, inputs, outputs)
    if all(any(function.jac_sparsity(o, i).nnz() for i in range(len(inputs))) for o in range(len(outputs))):
        return function
    nothing = nothing_of(total_of(inputs))
    return graph_function(name, inputs, [cs.MX.binary(cs.OP_ADD, output, nothing) for output in outputs])


def total_of(nodes: list[cs.MX]) -> cs.MX:
    """Return the sum of all entries."""
    return cs.sum1(cs.vertcat(*(cs.vec(node) for node in nodes)))
