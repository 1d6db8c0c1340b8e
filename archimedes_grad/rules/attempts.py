"""Functions that fail for some values of their arguments, where the user's code tries them.

``try: np.linalg.cholesky(K) except LinAlgError: ...`` is a decision on values, as an ``if`` is. Until such a failure
has been caught, an evaluation that fails tells of itself. Then the function is traced again, and each call whose
failure might be caught leaves a guard: the conditions of its own nodes, or NumPy's function called to see whether it
fails.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import casadi as cs
import numpy as np

from archimedes_grad.arguments.specs import flatten, leaves_of
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.decisions import decided_attempt
from archimedes_grad.arrays.dispatch import RuleT, implements
from archimedes_grad.arrays.handlers import may_be_caught
from archimedes_grad.arrays.operands import gathered
from archimedes_grad.arrays.trace_state import FAILS, SUCCEEDS, Trace, current_trace
from archimedes_grad.arrays.user_code import user_line
from archimedes_grad.errors import TraceError
from archimedes_grad.nodes.gather import Shape, stored_shape
from archimedes_grad.nodes.python_calls import PythonCall, write_outputs


def implements_fallible(function: Callable[..., Any]) -> Callable[[RuleT], RuleT]:
    """Register the decorated function as the rule of a NumPy function that may raise LinAlgError."""

    def register(rule: RuleT) -> RuleT:
        implements(function)(attempted(rule, lambda *args, **kwargs: function(*args, **kwargs)))
        return rule

    return register


def intercepts_fallible(rule: Callable[..., Any]) -> Any:
    """Return the rule of a SciPy function that may raise LinAlgError; its first argument is the function's own code."""
    return attempted(rule, lambda original, *args, **kwargs: original(*args, **kwargs), by_conditions=False)


def attempted(rule: Callable[..., Any], plain: Callable[..., Any], by_conditions: bool = True) -> Any:
    """Return a rule that tells the trace under way of its failures, and of calls that may fail another time.

    Parameters
    ----------
    plain
        Does the same for plain arguments.
    by_conditions
        Whether the conditions that the rule leaves are all that fails; SciPy looks for nan, too.
    """

    @functools.wraps(rule)
    def attempt(*args: Any, **kwargs: Any) -> Any:
        trace = current_trace()
        if trace is None or trace.outermost.attempting:
            return rule(*args, **kwargs)
        outermost = trace.outermost
        guarded = outermost.asks_failures and trace.values_known
        before = _Before.now(trace)
        outermost.attempting = True
        try:
            result = rule(*args, **kwargs)
        except ValueError as error:
            before.restore(trace)
            call = _Call(plain, args, kwargs)
            if not (isinstance(error, np.linalg.LinAlgError) or call.has_nonfinite):
                raise
            if not guarded:
                outermost.failed_at = user_line()
                raise
            built = _built(trace, rule, args, kwargs)
            if built.result is None:
                # Then CasADi's own rounding cannot be followed.
                outermost.script = ()
            success = built.success if by_conditions else None
            if decided_attempt(call.outcome(outermost) if success is None else success, succeeds=False):
                trace.can_fail |= success is None
                return built.result
            raise
        finally:
            outermost.attempting = False
        if trace.n_fallible == before.n_fallible or not trace.values_known or not may_be_caught():
            return result
        outermost.tries = True
        if guarded:
            success = _taken_conditions(trace, before) if by_conditions else None
            outcome = _Call(plain, args, kwargs).outcome(outermost) if success is None else success
            if not decided_attempt(outcome, succeeds=True):
                raise np.linalg.LinAlgError(trace.failure)
        elif len(trace.conditions) - before.n_conditions < trace.n_fallible - before.n_fallible:
            # So that it is evaluated also where nobody reads the result.
            trace.conditions += (_true_of(leaf) for leaf in leaves_of(result) if _is_read(leaf))
        return result

    return attempt


class _Before(NamedTuple):
    """What a trace knew of failures before a call."""

    n_fallible: int
    n_conditions: int
    can_fail: bool

    @staticmethod
    def now(trace: Trace) -> _Before:
        return _Before(trace.n_fallible, len(trace.conditions), trace.can_fail)

    def restore(self, trace: Trace) -> None:
        """Take back what a call has left that failed."""
        trace.n_fallible, trace.can_fail = self.n_fallible, self.can_fail
        del trace.conditions[self.n_conditions :]


class _Built(NamedTuple):
    """The result of a call that failed, with placeholders for values, and the outcome by its conditions, if any."""

    result: Any
    success: cs.MX | None


def _taken_conditions(trace: Trace, before: _Before) -> cs.MX | None:
    """Return the outcome of a call by the conditions that it has left, which are no longer the trace's.

    None where something else in it may fail, too: then they stay.
    """
    conditions = trace.conditions[before.n_conditions :]
    if not conditions or len(conditions) < trace.n_fallible - before.n_fallible:
        return None
    del trace.conditions[before.n_conditions :]
    trace.can_fail = before.can_fail
    success = functools.reduce(lambda x, y: cs.MX.binary(cs.OP_AND, x, y), conditions)
    return cs.MX.binary(cs.OP_ADD, success, scalar_node(FAILS))


def _built(trace: Trace, rule: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Built:
    """Build the nodes of a call that fails for the values of this run."""
    before = _Before.now(trace)
    trace.values_known = False
    try:
        result = rule(*args, **kwargs)
        return _Built(result, _taken_conditions(trace, before))
    except (ValueError, TraceError):
        return _Built(None, None)
    finally:
        trace.values_known = True
        del trace.conditions[before.n_conditions :]
        trace.can_fail = before.can_fail


def _is_read(leaf: Any) -> bool:
    return isinstance(leaf, SymbolicArray) and leaf.size > 0


def _true_of(array: SymbolicArray) -> cs.MX:
    """Return a condition that holds, and that an array has to be evaluated for."""
    return cs.MX.binary(cs.OP_OR, scalar_node(1.0), array.node.get_nz(False, 0))


class _Call:
    """A call of a NumPy function with traced arrays among its arguments."""

    def __init__(self, plain: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.plain = plain
        leaves, self.structure = flatten((list(args), kwargs))
        self.leaves = [gathered(leaf) for leaf in leaves]
        self.places = [k for k, leaf in enumerate(self.leaves) if isinstance(leaf, SymbolicArray)]
        self.nodes = [self.leaves[k].node for k in self.places]
        self.values = [np.asarray(self.leaves[k].value) for k in self.places]

    @property
    def has_nonfinite(self) -> bool:
        """Whether an entry is nan or infinite, which SciPy says by another error."""
        return not all(np.isfinite(value).all() for value in self.values)

    def with_leaves(self, replaced: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments and keywords with something else in the places of the traced arrays."""
        leaves = list(self.leaves)
        for k, leaf in zip(self.places, replaced, strict=True):
            leaves[k] = leaf
        arguments: Any = self.structure.unflatten(leaves)
        return arguments[0], arguments[1]

    def outcome(self, trace: Trace) -> cs.MX:
        """Return the node that tells whether the call fails."""
        plain, with_leaves = self.plain, _Call.with_leaves

        def run(arrays: Sequence[Any]) -> None:
            args, kwargs = with_leaves(without_nodes, arrays)
            plain(*args, **kwargs)

        without_nodes = copy.copy(self)
        without_nodes.nodes, without_nodes.values = [], []
        without_nodes.leaves = [None if k in self.places else leaf for k, leaf in enumerate(self.leaves)]
        probe = _Probe(run, [(value.shape, value.dtype) for value in self.values])
        trace.black_boxes.append(probe)
        node: cs.MX = probe.call(self.nodes)[0]
        trace.opaque = True
        return node


class _Probe(PythonCall):
    """Calls a NumPy function to see whether it fails: ``FAILS`` or ``SUCCEEDS``."""

    def __init__(
        self, run: Callable[[Sequence[Any]], None], forms: Sequence[tuple[Shape, np.dtype[Any]]]
    ) -> None:
        super().__init__((stored_shape(shape) for shape, _ in forms), [(1, 1)])
        self.run, self.forms = run, forms
        self.construct("attempt", {})

    # The name is CasADi's own.

    def eval_buffer(self, arg: Sequence[memoryview | None], res: Sequence[memoryview | None]) -> int:
        """Evaluate; a failure is the result."""
        arrays = [
            (np.zeros(shape) if buffer is None else np.frombuffer(buffer).reshape(shape)).astype(dtype)[()]
            for buffer, (shape, dtype) in zip(arg, self.forms, strict=True)
        ]
        outcome = SUCCEEDS
        try:
            with np.errstate(all="ignore"):
                self.run(arrays)
        except ValueError:
            outcome = FAILS
        write_outputs(res, [outcome])
        return 0
