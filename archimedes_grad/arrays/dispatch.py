"""The one table from a NumPy function object to its rule on traced arrays.

Rules are registered by the modules in ``rules/`` and looked up by ``SymbolicArray``. The key is the
function object itself: NumPy has two functions called ``trace``, two called ``outer`` and two called
``cross``, with different meanings. What Python spells without a NumPy function has the function of the
``operator`` module or the method of ndarray as its key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from archimedes_grad.arrays.trace_state import trace_error
from archimedes_grad.errors import TraceError

Rule = Callable[..., Any]
RuleT = TypeVar("RuleT", bound=Rule)

#: NumPy function -> rule with the function's own signature, on SymbolicArray and plain arguments.
FUNCTIONS: dict[Callable[..., Any], Rule] = {}

#: NumPy function or ufunc -> rule with its signature, on arrays of which at least one is complex.
COMPLEX: dict[Callable[..., Any], Rule] = {}

#: ufunc -> rule on CasADi nodes that broadcast against each other.
ELEMENTWISE: dict[np.ufunc, Rule] = {}

#: (ufunc, kind of the result dtype) -> the rule where that dtype asks for another one.
ELEMENTWISE_BY_KIND: dict[tuple[np.ufunc, str], Rule] = {}

#: (ufunc, method) -> rule with the method's own arguments; (np.ufunc, method) -> rule that takes the
#: ufunc as first argument, for all others. A plain call is the method ``"__call__"``.
UFUNC_METHODS: dict[tuple[np.ufunc | type[np.ufunc], str], Rule] = {}

#: Python function of another library that does not dispatch -> rule that takes the function, then its arguments.
INTERCEPTED: dict[Callable[..., Any], Rule] = {}

#: Those of them that call a function of the user's, which may give traced values for plain arguments.
CALLING_BACK: set[Callable[..., Any]] = set()

#: Modules of other libraries that hold NumPy's array constructors under names of their own.
CONSTRUCTOR_HOLDERS: list[ModuleType] = []

#: NumPy function or ufunc -> the reason why it is deliberately not supported, and the way on.
REFUSED: dict[Callable[..., Any], str] = {}

#: What loads more rules, when a function without a rule is first met.
_LOADERS: list[Callable[[], None]] = []

#: module of another library -> what adds the rules for it, once that library is there.
_ADDERS: dict[str, Callable[[], None]] = {}


def implements(*functions: Callable[..., Any]) -> Callable[[RuleT], RuleT]:
    """Register the decorated function as the rule of NumPy functions.

    Examples
    --------
    >>> import numpy as np
    >>> from archimedes_grad.arrays.dispatch import implements
    >>> @implements(np.trapezoid)  # doctest: +SKIP
    ... def trapezoid(y, x=None, dx=1.0, axis=-1): ...
    """

    def register(rule: RuleT) -> RuleT:
        for function in functions:
            if function in FUNCTIONS:
                raise ValueError(f"{function!r} has a rule already: {FUNCTIONS[function]!r}")
            FUNCTIONS[function] = rule
        return rule

    return register


def implements_ufunc(method: str, *ufuncs: np.ufunc | type[np.ufunc]) -> Callable[[RuleT], RuleT]:
    """Register the decorated function as the rule of a method (``"__call__"``, ``"reduce"``) of ufuncs."""

    def register(rule: RuleT) -> RuleT:
        for ufunc in ufuncs:
            UFUNC_METHODS[ufunc, method] = rule
        return rule

    return register


def refuse(reason: str, *functions: Callable[..., Any]) -> None:
    """Put NumPy functions on the list of deliberate refusals, with the reason and the way on."""
    for function in functions:
        REFUSED[function] = reason


def function_rule(function: Callable[..., Any]) -> Rule:
    """Return the rule of a NumPy function, or raise the TraceError that says why there is none."""
    rule = FUNCTIONS.get(function)
    if rule is None:
        load_all_rules()
        rule = FUNCTIONS.get(function)
    if rule is None:
        raise refusal(function)
    return rule


def rule_of_call(function: Callable[..., Any], args: tuple[Any, ...]) -> Rule:
    """Return the rule of a NumPy function for arguments of which one may be a plain array of complex numbers."""
    if any(map(_holds_complex, args)):
        load_all_rules()
        rule = COMPLEX.get(function)
        if rule is not None:
            return rule
    return function_rule(function)


def _holds_complex(argument: Any) -> bool:
    if type(argument) in (list, tuple):
        return any(map(_holds_complex, argument))
    if isinstance(argument, np.ndarray):
        return bool(argument.dtype.kind == "c")
    return isinstance(argument, complex | np.complexfloating)


def refusal(function: Callable[..., Any]) -> TraceError:
    """Return the TraceError that says why a NumPy function has no rule."""
    return _refusal(_qualified_name(function), REFUSED.get(function))


def on_demand(loader: Callable[[], None]) -> None:
    """Register what loads more rules, to be called when a function without a rule is first met."""
    _LOADERS.append(loader)


def load_all_rules() -> None:
    """Load the rules that have been left for when they are needed."""
    while _LOADERS:
        _LOADERS.pop()()


def when_imported(module: str) -> Callable[[RuleT], RuleT]:
    """Register a function that adds rules for another library, to be called once that library is there."""

    def register(adder: RuleT) -> RuleT:
        _ADDERS[module] = adder
        return adder

    return register


def add_rules_of_imported() -> None:
    """Add the rules for libraries that have been imported by now."""
    for module in [module for module in _ADDERS if module in sys.modules]:
        adder = _ADDERS.pop(module, None)
        if adder is not None:
            adder()


def has_rule(function: Callable[..., Any]) -> bool:
    """Tell whether a NumPy function or ufunc takes traced arrays; of one with ``like=``, what it wraps may."""
    return any(
        candidate in FUNCTIONS
        or candidate in ELEMENTWISE
        or (candidate, "__call__") in UFUNC_METHODS
        or any(ufunc is candidate for ufunc, _ in ELEMENTWISE_BY_KIND)
        for candidate in (function, getattr(function, "__wrapped__", function))
    )


def ufunc_rule(ufunc: np.ufunc, method: str) -> Rule:
    """Return the rule of a call or method of a ufunc, or raise the TraceError that says why there is none."""
    if ufunc not in ELEMENTWISE or (np.ufunc, method) not in UFUNC_METHODS:
        load_all_rules()
        add_rules_of_imported()
    rule = UFUNC_METHODS.get((ufunc, method))
    if rule is not None:
        return rule
    generic = UFUNC_METHODS.get((np.ufunc, method))
    if generic is None or ufunc in REFUSED:
        name = _qualified_name(ufunc) + ("" if method == "__call__" else f".{method}")
        raise _refusal(name, REFUSED.get(ufunc))
    return partial(generic, ufunc)


def _qualified_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", repr(function))
    # ufuncs know no module; those that are not NumPy's are SciPy's.
    of_numpy = not isinstance(function, np.ufunc) or getattr(np, name, None) is function
    module = getattr(function, "__module__", None) or ("numpy" if of_numpy else "scipy.special")
    return f"{module}.{name}"


def _refusal(name: str, reason: str | None) -> TraceError:
    if reason is not None:
        return trace_error(f"{name} does not take traced arrays: {reason[0].lower()}{reason[1:]}", "")
    return trace_error(
        f"{name} does not take traced arrays: it has no rule.",
        "Write the line with functions that have one (docs/numpy.md lists them).",
    )
