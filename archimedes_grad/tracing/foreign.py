"""Functions of other libraries, written in Python, that do not dispatch: SciPy's logsumexp and the like.

NumPy's protocols do not reach them, and ``from scipy.special import logsumexp`` holds the function itself, so
that nothing put into SciPy's module would be seen. For the length of a trace such a function is given other
code, which asks first whether an argument is traced, in the thread of the trace only, and runs the function's
own code otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from archimedes_grad.arrays import dispatch
from archimedes_grad.arrays.operands import is_traced
from archimedes_grad.arrays.trace_state import current_trace

#: Position in this list -> the function, a copy with its own code, the rule, and the code that routes to either.
_routes: list[tuple[FunctionType, FunctionType, Callable[..., Any], CodeType]] = []


def route(position: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function's rule if an argument is traced, and the function's own code otherwise."""
    _, original, rule, _ = _routes[position]
    traced = current_trace() is not None and any(map(is_traced, (*args, *kwargs.values())))
    return rule(original, *args, **kwargs) if traced else original(*args, **kwargs)


def _routing_code(position: int, closed_over: tuple[str, ...]) -> CodeType:
    """Return code that goes to a route; it closes over the variables that the function's own code does."""
    source = (
        f"def around({', '.join(closed_over)}):\n"
        "    def function(*args, **kwargs):\n"
        f"        if 0: {', '.join(closed_over) or '()'}\n"
        "        from archimedes_grad.tracing.foreign import route\n"
        f"        return route({position}, args, kwargs)\n"
    )
    # Taken out of the compiled module: executing that would leave a cycle for the garbage collector.
    code = compile(source, __file__, "exec")
    for _ in range(2):
        code = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return code


def replace() -> None:
    """Let functions that do not dispatch take traced arguments."""
    dispatch.add_rules_of_imported()
    _add_routes()
    for function, _, _, code in _routes:
        function.__code__ = code


def restore() -> None:
    """Give all of them their own code again."""
    for function, original, _, _ in _routes:
        function.__code__ = original.__code__


def _add_routes() -> None:
    known = {id(function) for function, *_ in _routes}
    for function, rule in dispatch.INTERCEPTED.items():
        if id(function) not in known and isinstance(function, FunctionType):
            code = function.__code__
            copy = FunctionType(
                code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
            )
            copy.__kwdefaults__ = function.__kwdefaults__
            _routes.append((function, copy, rule, _routing_code(len(_routes), code.co_freevars)))
