"""A function with a derivative rule of the user's own, as a CasADi Function.

A rule is traced to a graph of its own, and given to CasADi as ``given_derivatives.py`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import casadi as cs
import numpy as np

from archimedes_grad.arguments.specs import leaves_of
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import node_of
from archimedes_grad.arrays.trace_state import Trace, current_trace, trace_error
from archimedes_grad.nodes.functions import called, graph_function
from archimedes_grad.nodes.given_derivatives import never_constant, nothing_of, total_of, with_derivatives
from archimedes_grad.nodes.simplification import derivative_sweep, forward_nodes
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import (
    Body,
    Structure,
    apart,
    applied,
    as_number,
    shapes_of,
    shown_shapes,
    traced_body,
    values_of,
)


class Rule(Protocol):
    """What a call asks of a function with a rule: itself, its names, and both derivatives of a call."""

    form: str
    name: str
    function: Callable[..., Any]

    def derivatives(self, call: RuleCall) -> tuple[cs.Function, cs.Function]:
        """Return forward and reverse derivative, with the signatures that CasADi gives its own."""


class RuleCall:
    """One call of a function with a rule, inside the trace under way."""

    def __init__(self, rule: Rule, args: tuple[Any, ...]) -> None:
        self.rule = rule
        self.owner = f"{rule.form} {rule.name!r}"
        self.numbers: list[Any] = []
        self.argument_structures: list[Structure] = []
        self.n_numbers: list[int] = []
        self.args: list[Any] = []
        for k, arg in enumerate(args):
            numbers, structure = apart(self.owner, f"argument {k}", arg, as_argument=True)
            self.numbers += numbers
            self.n_numbers.append(len(numbers))
            self.argument_structures.append(structure)
            self.args.append(structure.build(numbers))
        self.structure: Structure
        self.outputs: tuple[Output, ...]

    def result(self) -> Any:
        """Trace function and rule, and put the function with its rule into the graph under way."""
        function = self.rule.function
        self.primal = self.body(self.owner, function, function, self.args, [])
        self.structure, self.outputs = self.primal.structure, self.primal.outputs
        self.captured: list[tuple[cs.MX, Any]] = list(
            zip(self.primal.closed_nodes, self.primal.closed_values, strict=True)
        )
        with forward_nodes():
            forward, reverse = self.rule.derivatives(self)
            inputs = [cs.MX.sym(f"x{k}", *node_of(x).shape) for k, x in enumerate(self.numbers)]
            outputs = called(self.primal.function, [*inputs, *self._constants(self.primal)])
            outputs = outputs[: len(self.outputs)]
            custom = with_derivatives(inputs, self._dependent(inputs, outputs, forward), forward, reverse)
            nodes = [node_of(x) for x in self.numbers]
            if self.primal.can_fail:
                # A Function with a rule has the outputs that the rule knows of: success is asked beside it.
                *_, success = called(self.primal.function, [*nodes, *self.primal.closed_nodes])
                _trace_under_way().conditions.append(success)
        results = applied(
            custom, nodes, values_of(self.numbers), self.outputs, times=self.primal.n_instructions, opaque=False
        )
        return self.structure.build(results)

    def body(
        self, owner: str, rules: Any, function: Callable[..., Any], args: Sequence[Any], names: Sequence[str]
    ) -> Body:
        """Trace a function of the arguments and, behind them, a list of directions."""
        rules = rules if isinstance(rules, tuple) else (rules,)
        names = [*(f"argument {k}" for k in range(len(self.args))), *names]
        split = None if function is self.rule.function else (lambda numbers_and_none: numbers_and_none)
        body = traced_body(owner, function, args, names, closed_over(rules), split=split)
        captured = {hash(entry.symbol) for entry in _trace_under_way().outermost.captured}
        for symbol in cs.symvar(cs.veccat(*body.closed_nodes)) if body.closed_nodes else []:
            if hash(symbol) not in captured:
                raise trace_error(
                    f"{owner}: it closes over a traced value, to which its rule gives no derivative.",
                    "Arguments alone were expected: pass the value as an argument of the function.",
                )
        return body

    def structured(self, numbers: Sequence[Any]) -> list[Any]:
        """Return directions for the numbers of the arguments, in the arguments' trees; None for other leaves."""
        trees, start = [], 0
        for structure, count in zip(self.argument_structures, self.n_numbers, strict=True):
            trees.append(structure.without_static().build(numbers[start : start + count]))
            start += count
        return trees

    def require_like_output(self, owner: str, what: str, returned: Any) -> list[Any]:
        """Return the numbers of something that must be structured and shaped like the function's output."""
        numbers, structure = apart(owner, what, returned)
        expected = [output.shape for output in self.outputs]
        if structure.tree != self.structure.tree or shapes_of(numbers) != expected:
            raise ValueError(
                f"{owner}: {what} must be like the output of {self.rule.name!r}, {self.structure} with "
                f"shapes {expected}; got {structure} with {shown_shapes(shapes_of(numbers))}. Broadcast or reduce it "
                f"to that."
            )
        return numbers

    def require_like_arguments(self, owner: str, cotangents: Any) -> list[Any]:
        """Return the numbers of a tuple that must have one cotangent for each argument."""
        count = len(self.args)
        if not isinstance(cotangents, tuple | list) or len(cotangents) != count:
            raise ValueError(
                f"{owner}: expected a tuple of {count} cotangent{'s' * (count != 1)}, one for each argument; got "
                f"{shown_kind(cotangents)}. Return None for an argument without derivative."
            )
        numbers: list[Any] = []
        start = 0
        for k, (cotangent, n) in enumerate(zip(cotangents, self.n_numbers, strict=True)):
            shapes = shapes_of(self.numbers[start : start + n])
            start += n
            if cotangent is None:
                numbers += [np.zeros(shape) for shape in shapes]
                continue
            given = [leaf for leaf in map(as_number, leaves_of(cotangent)) if leaf is not None]
            if shapes_of(given) != shapes:
                got = shown_shapes(shapes_of(given)) if given else f"a {type(cotangent).__name__}"
                raise ValueError(
                    f"{owner}: the cotangent of argument {k} must have {shown_shapes(shapes)}, got {got}. Sum over "
                    f"what was broadcast, or return None for zero."
                )
            numbers += given
        return numbers

    # --- CasADi's signatures of derivatives ---------------------------------------------------------

    def wrapped(self, name: str, body: Body, n_seeds: int) -> cs.Function:
        """Return a rule's Function with inputs (arguments, outputs, seeds)."""
        n_own = len(self.numbers)
        arguments = [cs.MX.sym(f"x{k}", *body.function.size_in(k)) for k in range(n_own)]
        outputs = [cs.MX.sym("y", *self.primal.function.size_out(k)) for k in range(len(self.outputs))]
        seeds = [cs.MX.sym("seed", *body.function.size_in(n_own + k)) for k in range(n_seeds)]
        results = called(body.function, [*arguments, *seeds, *self._constants(body)])
        return never_constant(name, [*arguments, *outputs, *seeds], results[: len(body.outputs)])

    def transposed(self, name: str, rule: cs.Function) -> cs.Function:
        """Return the derivative in the other direction: what is linear in its seeds has one transpose."""
        n_fixed = len(self.numbers) + len(self.outputs)
        fixed = [cs.MX.sym("x", *rule.size_in(k)) for k in range(n_fixed)]
        seeds = [cs.MX.sym("seed", *rule.size_in(k)) for k in range(n_fixed, rule.n_in())]
        adjoints = [cs.MX.sym("adjoint", *rule.size_out(k)) for k in range(rule.n_out())]
        with derivative_sweep():
            (results,) = cs.reverse(rule.call([*fixed, *seeds], False, True), seeds, [adjoints])
        results = [cs.densify(r) if r.numel() else s * 0 for r, s in zip(results, seeds, strict=True)]
        at_seeds = graph_function("transpose", [*fixed, *seeds, *adjoints], results)
        zeros = [cs.MX(cs.DM.zeros(*seed.shape)) for seed in seeds]
        return never_constant(name, [*fixed, *adjoints], at_seeds.call([*fixed, *zeros, *adjoints], False, True))

    def _constants(self, body: Body) -> list[cs.MX]:
        """Return captured arrays as constants: a rule takes the arguments only."""
        return [
            cs.MX(cs.DM(value.reshape(node.size2(), node.size1()).T))
            for node, value in zip(body.closed_nodes, body.closed_values, strict=True)
        ]

    def _dependent(self, inputs: list[cs.MX], outputs: list[cs.MX], forward: cs.Function) -> list[cs.MX]:
        """Return the outputs, depending on all inputs where the rule has derivatives that the function has not.

        CasADi takes the structure of Jacobians from the function: entries of the rule outside it would be lost.
        """
        plain = cs.Function("plain", inputs, outputs)
        first_seed = len(inputs) + len(outputs)
        for o in range(len(outputs)):
            for i in range(len(inputs)):
                own = plain.jac_sparsity(o, i)
                if (own + forward.jac_sparsity(o, first_seed + i)).nnz() != own.nnz():
                    nothing = nothing_of(total_of(inputs))
                    return [cs.MX.binary(cs.OP_ADD, y, nothing) for y in outputs]
        return outputs


def _trace_under_way() -> Trace:
    trace = current_trace()
    assert trace is not None
    return trace


def shown_kind(returned: Any) -> str:
    """Return what a rule returned, for messages."""
    if isinstance(returned, SymbolicArray):
        return f"an array of shape {returned.shape}"
    return f"a tuple of {len(returned)}" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
