"""Functions written in Python that do not dispatch: SciPy's logsumexp and the like, and parts of NumPy itself.

NumPy's protocols do not reach them, and ``from scipy.special import logsumexp`` holds the function itself, so
that nothing put into SciPy's module would be seen. For the length of a trace such a function is given other
code, which asks first whether an argument is traced, in the thread of the trace only, and runs the function's
own code otherwise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from archimedes_grad.arrays import dispatch
from archimedes_grad.arrays.operands import is_traced
from archimedes_grad.arrays.trace_state import current_trace

_MARK = "the route"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class _Route:
    """A function with its own code, and with the code that goes to its rule where an argument is traced."""

    function: FunctionType
    own: CodeType
    routing: CodeType


#: Functions that have a route, by identity: some compare equal without being the same.
_routes: dict[int, _Route] = {}


def _new_route(function: FunctionType, rule: Callable[..., Any]) -> _Route:
    own = function.__code__
    original = FunctionType(
        own, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    original.__kwdefaults__ = function.__kwdefaults__
    always = function in dispatch.CALLING_BACK

    def route(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if current_trace() is not None and (always or any(map(is_traced, (*args, *kwargs.values())))):
            return rule(original, *args, **kwargs)
        return original(*args, **kwargs)

    return _Route(function, own, _routing_code(route, own))


def _routing_code(route: Callable[..., Any], own: CodeType) -> CodeType:
    """Return code that calls a route; it closes over the variables that the function's own code does.

    Of a generator it is one too: code of another kind cannot take its place.
    """
    code = _code_with_mark(own.co_freevars, bool(own.co_flags & inspect.CO_GENERATOR))
    # The route itself is a constant of the code: a name would be looked up in the function's own module.
    return code.replace(co_consts=tuple(route if constant == _MARK else constant for constant in code.co_consts))


@functools.cache
def _code_with_mark(closed_over: tuple[str, ...], is_generator: bool) -> CodeType:
    """Return code that calls a mark, compiled once for the hundreds of functions that close over nothing."""
    source = (
        f"def around({', '.join(closed_over)}):\n"
        "    def function(*args, **kwargs):\n"
        f"        if 0: {', '.join(closed_over) or '()'}\n"
        f"        route = {_MARK!r}\n"
        f"        {'yield from' if is_generator else 'return'} route(args, kwargs)\n"
    )
    # Taken out of the compiled module: executing that would leave a cycle for the garbage collector.
    code = compile(source, __file__, "exec")
    for _ in range(2):
        code = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return code


def replace() -> None:
    """Let functions that do not dispatch take traced arguments."""
    dispatch.add_rules_of_imported()
    if len(_routes) < len(dispatch.INTERCEPTED):
        _add_routes()
    for route in _routes.values():
        route.function.__code__ = route.routing


def restore() -> None:
    """Give all of them their own code again."""
    for route in _routes.values():
        route.function.__code__ = route.own


def _add_routes() -> None:
    for function, rule in dispatch.INTERCEPTED.items():
        if id(function) not in _routes:
            assert isinstance(function, FunctionType)
            _routes[id(function)] = _new_route(function, rule)
