"""Derivatives by the user's own rules: ``stop_gradient``, ``custom_jvp`` and ``custom_vjp``.

How a rule reaches CasADi is said in ``rule_graphs.py``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import name_of
from archimedes_grad.arguments.specs import flatten, is_tree
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.operands import gathered, value_of
from archimedes_grad.arrays.trace_state import current_trace, outlived, trace_error
from archimedes_grad.compilation.pickling import MadeOfFunctions
from archimedes_grad.nodes.given_derivatives import (
    FORWARD,
    REVERSE,
    constant_in_derivatives,
    without_reverse_sweep,
)
from archimedes_grad.tracing.graph import Output
from archimedes_grad.transforms.bodies import applied, owned, values_of
from archimedes_grad.transforms.options import require_functions
from archimedes_grad.transforms.rule_graphs import RuleCall, shown_kind

#: How often a rule is followed into calls of its own function: derivatives of one order more go by the rule alone.
_DEEPEST_RULE = 3


# --- no derivative ----------------------------------------------------------------------------------


def stop_gradient(x: Any) -> Any:
    """Return a copy of a number, array or tree, with derivative zero of every order.

    Examples
    --------
    >>> import archimedes_grad as arc
    >>> float(arc.grad(lambda x: x * arc.stop_gradient(x))(3.0))
    3.0
    """
    x = gathered(x) if isinstance(x, np.ndarray) else x
    if is_tree(x):
        leaves, structure = flatten(x)
        return structure.unflatten([stop_gradient(leaf) for leaf in leaves])
    if not isinstance(x, SymbolicArray):
        return x.copy() if isinstance(x, np.ndarray) else x
    if current_trace() is None:
        raise outlived("stop_gradient: ")
    output = Output(x.shape, x.dtype, not isinstance(x.value, np.ndarray))
    if not x.size:
        return x.copy()
    # Zeros that go back would become nan where what is behind is singular.
    behind = without_reverse_sweep(*x.node.shape)(x.node)
    return applied(constant_in_derivatives(*x.node.shape), [behind], values_of([x]), [output], opaque=False)[0]


# --- the user's rules -------------------------------------------------------------------------------


class _CustomRule(MadeOfFunctions):
    """A function with a derivative rule of its own: called on plain numbers it is the function itself, of copies."""

    _defined_by = ""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.form = type(self).__name__
        require_functions(self.form, f=f)
        functools.update_wrapper(self, f)
        self.function = f
        self.__name__ = self.name = name_of(f)
        self._rules: tuple[Callable[..., Any], ...] = ()
        # How many rules of this function are being traced, one inside the other; traces hold a lock.
        self._depth = 0

    def __repr__(self) -> str:
        return f"<{self.form} {self.name}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the function; inside a traced function, put it there with its rule."""
        if current_trace() is None:
            # As in a graph: what is given is not written to, and what comes is new.
            return owned(self.function(*map(owned, args), **{name: owned(value) for name, value in kwargs.items()}))
        if not self._is_defined():
            raise trace_error(
                f"{self.form} {self.name!r} has no rule yet, and one was expected before the first derivative.",
                f"Give it one: {self._defined_by}",
            )
        if kwargs:
            arguments = inspect.signature(self.function).bind(*args, **kwargs)
            arguments.apply_defaults()
            if arguments.kwargs:
                raise TypeError(
                    f"{self.form} {self.name!r}: got the keyword-only {', '.join(arguments.kwargs)}, and positional "
                    f"arguments were expected: a rule has no others. Close over it, or make it positional."
                )
            args = arguments.args
        if self._depth == _DEEPEST_RULE:
            return self.function(*args)
        return RuleCall(self, args).result()

    def derivatives(self, call: RuleCall) -> tuple[cs.Function, cs.Function]:
        """Return forward and reverse derivative, with the signatures that CasADi gives its own."""
        self._depth += 1
        try:
            return self._traced_rule(call)
        finally:
            self._depth -= 1

    def _taken_apart(self) -> tuple[Sequence[Callable[..., Any]], Any]:
        return (self.function, *self._rules), None

    def _put_together(self, functions: Sequence[Callable[..., Any]], how: Any) -> None:
        function, *rules = functions
        self.__init__(function)  # type: ignore[misc]
        self._rules = tuple(rules)

    def _is_defined(self) -> bool:
        return bool(self._rules)

    def _traced_rule(self, call: RuleCall) -> tuple[cs.Function, cs.Function]:
        raise NotImplementedError


class custom_jvp(_CustomRule):  # noqa: N801  # used as a function
    """Give a function a rule for its directional derivative.

    Parameters
    ----------
    f
        A function of arrays, numbers and trees of these. Traced values reach it by its arguments only.

    Raises
    ------
    ValueError
        At a call inside a traced function, where the rule's output or tangent is not shaped as the function's own,
        naming the rule.
    TraceError
        Where f or the rule closes over traced values, or there is no rule.

    Notes
    -----
    Higher derivatives differentiate the rule. Where the rule calls f itself, f has its rule there too, to the third
    order; from the fourth on such calls are differentiated as f is written.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> @arc.custom_jvp
    ... def log1pexp(x):
    ...     return np.log1p(np.exp(x))
    >>> @log1pexp.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (dx,) = primals, tangents
    ...     return log1pexp(x), dx / (1 + np.exp(-x))
    >>> float(arc.grad(log1pexp)(1000.0))
    1.0
    """

    _defined_by = "f.defjvp(rule), with rule(primals, tangents) -> (output, output tangent)"

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule, ``rule(primals, tangents) -> (output, output tangent)``, and return it.

        ``primals`` are the arguments; ``tangents`` are structured like them, None where a leaf is no number.

        Raises
        ------
        TypeError
            If the rule is no function.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> @arc.custom_jvp
        ... def steep(x):
        ...     return np.sin(x)
        >>> @steep.defjvp
        ... def rule(primals, tangents):
        ...     return steep(primals[0]), 100 * tangents[0]
        >>> float(arc.grad(steep)(0.0))
        100.0
        """
        require_functions(f"defjvp of {self.name!r}", rule=rule)
        self._rules = (rule,)
        return rule

    def _traced_rule(self, call: RuleCall) -> tuple[cs.Function, cs.Function]:
        (rule,) = self._rules
        owner = f"rule {name_of(rule)!r} of {self.name!r}"

        def tangent_of(*values: Any) -> Any:
            *primals, tangents = values
            returned = rule(tuple(primals), tuple(call.structured(tangents)))
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise ValueError(
                    f"{owner}: expected (output, output tangent), got {shown_kind(returned)}. Return both in a tuple."
                )
            call.require_like_output(owner, "an output", returned[0])
            return call.require_like_output(owner, "an output tangent", returned[1]), None

        tangents = [np.ones(np.shape(value_of(x))) for x in call.numbers]
        body = call.body(owner, rule, tangent_of, [*call.args, tangents], ["tangents"])
        forward = call.wrapped(FORWARD, body, n_seeds=len(call.numbers))
        return forward, call.transposed(REVERSE, forward)


class custom_vjp(_CustomRule):  # noqa: N801  # used as a function
    """Give a function a rule for its reverse derivative.

    Parameters
    ----------
    f
        A function of arrays, numbers and trees of these. Traced values reach it by its arguments only.

    Raises
    ------
    ValueError
        At a call inside a traced function, where backward does not return one cotangent for each argument, shaped
        like it (or None for zero), naming the rule.
    TraceError
        Where f or the rule closes over traced values, or there is no rule.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> @arc.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> def clip(residuals, cotangent):
    ...     return (np.clip(cotangent, -1, 1),)
    >>> clipped.defvjp(lambda x: (x, None), clip)
    >>> float(arc.grad(lambda x: 100 * clipped(x))(2.0))
    1.0
    """

    _defined_by = (
        "f.defvjp(forward, backward), with forward(*args) -> (output, residuals) and "
        "backward(residuals, cotangent) -> tuple"
    )

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Set the rule: ``forward(*args) -> (output, residuals)``, ``backward(residuals, cotangent) -> tuple``.

        The tuple has one cotangent for each argument: structured like it, or None for zero.

        Raises
        ------
        TypeError
            If one of the two is no function.

        Examples
        --------
        >>> import numpy as np
        >>> import archimedes_grad as arc
        >>> @arc.custom_vjp
        ... def product(x, y):
        ...     return x * y
        >>> product.defvjp(lambda x, y: (x * y, y), lambda y, cotangent: (cotangent * y, None))
        >>> [float(g) for g in arc.grad(product, argnums=(0, 1))(2.0, 3.0)]
        [3.0, 0.0]
        """
        require_functions(f"defvjp of {self.name!r}", forward=forward, backward=backward)
        self._rules = forward, backward

    def _traced_rule(self, call: RuleCall) -> tuple[cs.Function, cs.Function]:
        forward_rule, backward_rule = self._rules
        owner = f"rule {name_of(backward_rule)!r} of {self.name!r}"
        forward_owner = f"rule {name_of(forward_rule)!r} of {self.name!r}"

        def cotangents_of(*values: Any) -> Any:
            *primals, seeds = values
            returned = forward_rule(*primals)
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise ValueError(
                    f"{forward_owner}: expected (output, residuals), got {shown_kind(returned)}. Return (output, None) "
                    f"where backward needs nothing."
                )
            call.require_like_output(forward_owner, "an output", returned[0])
            cotangents = backward_rule(returned[1], call.structure.build(seeds))
            return call.require_like_arguments(owner, cotangents), None

        seeds = [np.ones(output.shape) for output in call.outputs]
        body = call.body(owner, (forward_rule, backward_rule), cotangents_of, [*call.args, seeds], ["cotangent"])
        reverse = call.wrapped(REVERSE, body, n_seeds=len(call.outputs))
        return call.transposed(FORWARD, reverse), reverse
