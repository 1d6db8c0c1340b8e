"""Which argument of a call is which: argnums, argnames, static arguments and binding, normalised here only."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Parameter = inspect.Parameter

#: A parameter's name; or the index of an argument that ``*args`` takes up.
Selector = str | int


class Layout(NamedTuple):
    """How the values of a call, positional ones first, fall to the parameters.

    Attributes
    ----------
    n_positional, keywords
        The form of the call: the number of positional values, the keywords in the order given.
    names
        For each value, the argument's name as messages show it.
    static
        Positions among the values that are declared static.
    differentiated
        Positions among the values of the differentiated arguments, in the order asked for.
    single
        Whether one differentiated argument was asked for by itself: its derivative stands in no tuple.
    direction
        Position of the direction or cotangent that jvp and the like take as last positional value, or None.
    order_counts
        Whether the function sees in which order keywords came: those that it takes as ``**kwargs``.
    """

    n_positional: int
    keywords: tuple[str, ...]
    names: tuple[str, ...]
    static: frozenset[int]
    differentiated: tuple[int, ...] = ()
    single: bool = False
    direction: int | None = None
    order_counts: bool = False

    @property
    def n_passed(self) -> int:
        """The number of positional values that the function itself is called with."""
        return self.n_positional - (self.direction is not None)


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name; of a partial or a callable object, that of what it calls."""
    name = getattr(function, "__name__", None)
    if isinstance(name, str):
        return name
    inner = getattr(function, "func", None)
    return name_of(inner) if callable(inner) else type(function).__name__


def require_function(argument: str, function: Any) -> None:
    """Refuse what cannot be called.

    Raises
    ------
    TypeError
        If it cannot.
    """
    if not callable(function):
        raise TypeError(
            f"{argument} must be a function, got {type(function).__name__} {function!r}. Pass the function itself, not "
            f"what it returns."
        )


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:
        # Some built-in functions have no signature; they take what they are given.
        return inspect.Signature([
            Parameter("args", Parameter.VAR_POSITIONAL),
            Parameter("kwargs", Parameter.VAR_KEYWORD),
        ])  # fmt: skip


class CallSignature:
    """A function's signature with its static and its differentiated arguments.

    Raises
    ------
    ValueError
        If an index is out of range, a name unknown, a selection empty or repeated, given both ways, or if
        an argument is both static and differentiated.
    TypeError
        If an index is no integer or a name no string.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        argnums: int | Sequence[int] | None = None,
        argnames: str | Sequence[str] | None = None,
        static_argnums: int | Sequence[int] | None = None,
        static_argnames: str | Sequence[str] | None = None,
        direction: str | None = None,
    ) -> None:
        self.name = name_of(function)
        self.signature = _signature_of(function)
        parameters = self.signature.parameters.values()
        self._positional = [
            p.name for p in parameters if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        ]
        self._positional_only = sum(p.kind is Parameter.POSITIONAL_ONLY for p in parameters)
        self._takes_more = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
        self._takes_keywords = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
        self._named = {p.name for p in parameters if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)}
        self.static = self._static_selectors(static_argnums, static_argnames)
        self.selectors, self.single = self._selection(argnums, argnames)
        self._direction = direction
        self._layouts: dict[tuple[int, tuple[str, ...]], Layout] = {}

    @property
    def presented(self) -> inspect.Signature:
        """The signature of what is returned: the function's own, with a direction behind what has to be given.

        Arguments that may be left out go by name there: where they are, the direction stands in another place.
        """
        if self._direction is None or self._takes_more:
            return self.signature
        parameters = list(self.signature.parameters.values())
        name = self._direction
        while name in self.signature.parameters:
            name += "_"
        optional = [
            p for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD and p.default is not Parameter.empty
        ]
        given = [p.replace(default=Parameter.empty) for p in parameters if p.name in self._positional]
        given = [p for p in given if p.name not in {p.name for p in optional}]
        by_name = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in optional]
        others = [p for p in parameters if p.name not in self._positional]
        return self.signature.replace(
            parameters=[*given, Parameter(name, Parameter.POSITIONAL_OR_KEYWORD), *by_name, *others]
        )

    def _static_selectors(self, argnums: Any, argnames: Any) -> frozenset[Selector]:
        by_index = [] if argnums is None else self._by_index(argnums, "static_argnums", allow_empty=True)
        by_name = [] if argnames is None else self._by_name(argnames, "static_argnames", allow_empty=True)
        return frozenset(by_index + by_name)

    def _selection(self, argnums: Any, argnames: Any) -> tuple[tuple[Selector, ...], bool]:
        """Return the differentiated arguments, in the order asked for, and whether one was asked for by itself."""
        if argnums is None and argnames is None:
            return (), False
        if argnames is not None and argnums is not None:
            raise ValueError(
                f"{self.name}: got argnums={argnums!r} and argnames={argnames!r}, and one of them was expected. Drop "
                f"one: give argnums or argnames, not both."
            )
        if argnames is not None:
            selectors = self._by_name(argnames, "argnames")
            single = isinstance(argnames, str)
        else:
            selectors = self._by_index(argnums, "argnums")
            single = not isinstance(argnums, Sequence) and not hasattr(argnums, "__iter__")
        which = "argnames" if argnames is not None else "argnums"
        if len(set(selectors)) != len(selectors):
            raise ValueError(
                f"{self.name}: {which} names an argument twice, got {argnums if argnames is None else argnames!r}; "
                f"different arguments were expected. Name each once."
            )
        for selector in selectors:
            if selector in self.static:
                raise ValueError(
                    f"{self.name}: argument {self._shown(selector)!r} is static and in {which}: a static argument "
                    f"cannot be differentiated. Take it out of one of the two."
                )
        return tuple(selectors), single

    def _by_index(self, argnums: Any, which: str, allow_empty: bool = False) -> list[Selector]:
        listed = list(argnums) if hasattr(argnums, "__iter__") and not isinstance(argnums, str) else [argnums]
        if not listed and not allow_empty:
            raise self._empty(which, argnums)
        selectors: list[Selector] = []
        for number in listed:
            if isinstance(number, bool) or not hasattr(number, "__index__"):
                way_on = (
                    f"Write {which.replace('nums', 'names')}={argnums!r} to go by name."
                    if isinstance(argnums, str)
                    else "The function's own arguments go to what is returned: grad(f)(x)."
                )
                raise TypeError(f"{self.name}: {which} takes an int or a sequence of ints, got {argnums!r}. {way_on}")
            selectors.append(self._selector(operator.index(number), which))
        return selectors

    def _selector(self, number: int, which: str) -> Selector:
        count = len(self._positional)
        position = number + count if number < 0 and not self._takes_more else number
        if 0 <= position < count:
            return self._positional[position]
        if self._takes_more:
            return position
        raise ValueError(
            f"{self.name}: {which} has {number}, but the function takes {count} positional "
            f"argument{'s' * (count != 1)} ({', '.join(self._positional) or 'none'}): {self._expected_index(count)}"
        )

    def _expected_index(self, count: int) -> str:
        keywords = f" Keyword arguments go by name: {', '.join(sorted(self._named - set(self._positional)))}."
        if not count:
            return "there is nothing to choose." + keywords * bool(self._named)
        return (
            f"an index from {-count} to {count - 1} was expected. Count from 0, or go by name: "
            f"{', '.join(map(repr, self._positional))}."
        )

    def _empty(self, which: str, given: Any) -> ValueError:
        return ValueError(
            f"{self.name}: {which} is empty, got {given!r}; at least one argument was expected. Name one, or leave "
            f"{which} out for the first."
        )

    def _by_name(self, argnames: Any, which: str, allow_empty: bool = False) -> list[Selector]:
        listed = [argnames]
        if not isinstance(argnames, str) and hasattr(argnames, "__iter__"):
            listed = list(argnames)
        if not listed and not allow_empty:
            raise self._empty(which, argnames)
        for name in listed:
            if not isinstance(name, str):
                raise TypeError(
                    f"{self.name}: {which} takes a string or a sequence of strings, got {argnames!r}. "
                    f"Write {which.replace('names', 'nums')} to go by position."
                )
            if name not in self._named and not self._takes_keywords:
                raise ValueError(
                    f"{self.name}: {which} has {name!r}, but the function has no such argument. Name one that it has: "
                    f"{', '.join(sorted(self._named)) or 'none'}."
                )
        return list(listed)

    def _shown(self, selector: Selector) -> str:
        return selector if isinstance(selector, str) else f"args[{selector}]"

    def completed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the call with the defaults of differentiated arguments that were left out filled in.

        Other defaults are left to the function itself: they are constants of the trace.
        """
        for selector in self.selectors:
            if not isinstance(selector, str) or selector in kwargs or selector not in self._named:
                continue
            if selector in self._positional[: len(args) - (self._direction is not None)]:
                continue
            default = self.signature.parameters[selector].default
            if default is Parameter.empty:
                continue
            if selector in self._positional[: self._positional_only]:
                if self._direction is not None:
                    raise TypeError(f"{self.name}: pass the positional-only argument {selector!r} explicitly")
                missing = self._positional[len(args) : self._positional.index(selector) + 1]
                args = args + tuple(self.signature.parameters[name].default for name in missing)
            else:
                kwargs = {**kwargs, selector: default}
        return args, kwargs

    def layout(self, n_positional: int, keywords: tuple[str, ...]) -> Layout:
        """Return how the values of a call of this form fall to the parameters.

        Raises
        ------
        TypeError
            If the function does not take such a call: too many or too few arguments, unknown keywords.
        ValueError
            If a differentiated argument is not among the values.
        """
        found = self._layouts.get((n_positional, keywords))
        if found is None:
            found = self._layouts[n_positional, keywords] = self._new_layout(n_positional, keywords)
        return found

    def _new_layout(self, n_positional: int, keywords: tuple[str, ...]) -> Layout:
        if self._direction is not None:
            return self._layout_with_direction(self._direction, n_positional, keywords)
        return self._own_layout(n_positional, keywords)

    def _layout_with_direction(self, direction: str, n_positional: int, keywords: tuple[str, ...]) -> Layout:
        """Return the layout of a call whose last positional value is a direction, not an argument."""
        if n_positional == 0:
            raise TypeError(
                f"{self.name}() missing the direction {direction!r}: no positional argument came, and {direction!r} "
                f"was expected as the last. Pass it behind the function's own arguments."
            )
        own = self._own_layout(n_positional - 1, keywords)
        last = n_positional - 1

        def shifted(position: int) -> int:
            return position if position < last else position + 1

        return Layout(
            n_positional,
            keywords,
            (*own.names[:last], direction, *own.names[last:]),
            frozenset(map(shifted, own.static)),
            tuple(map(shifted, own.differentiated)),
            own.single,
            last,
            own.order_counts,
        )

    def _own_layout(self, n_positional: int, keywords: tuple[str, ...]) -> Layout:
        try:
            self.signature.bind(*(None,) * n_positional, **dict.fromkeys(keywords))
        except TypeError as error:
            raise TypeError(f"{self.name}() {error}{self._call_hint(n_positional, keywords)}") from None
        more = range(len(self._positional), n_positional)
        selectors: list[Selector] = [*self._positional[:n_positional], *more, *keywords]
        names = [self._shown(s) for s in selectors]
        static = {selectors.index(s) for s in self._in_range(self.static, n_positional) if s in selectors}
        differentiated = []
        for selector in self._in_range(self.selectors, n_positional):
            if selector not in selectors:
                raise ValueError(
                    f"{self.name}: the differentiated argument {self._shown(selector)!r} was not passed; the call "
                    f"has {', '.join(names) or 'no arguments'}. Pass it, or choose another by argnums or argnames."
                )
            differentiated.append(selectors.index(selector))
        if len({*differentiated}) < len(differentiated):
            raise ValueError(
                f"{self.name}: argnums names an argument twice in this call, which has {', '.join(names)}; different "
                f"arguments were expected. Name each once: a negative index counts from the end of what is passed."
            )
        return Layout(
            n_positional, keywords, tuple(names), frozenset(static), tuple(differentiated), self.single,
            order_counts=len({*keywords} - self._named) > 1,
        )  # fmt: skip

    def _call_hint(self, n_positional: int, keywords: tuple[str, ...]) -> str:
        """Return what came and what was expected, behind Python's own words for a call that does not fit."""
        came = f"{n_positional} positional" + (f" and {', '.join(keywords)}" if keywords else "")
        direction = "" if self._direction is None else f", and behind them the direction {self._direction!r}"
        return f"; got {came}. Call it as {self.name}{self.signature}{direction}."

    def _in_range(self, selectors: Any, n_positional: int) -> list[Selector]:
        """Return selectors with negative indices counted from the end of this call's positional values."""
        counted: list[Selector] = []
        for selector in selectors:
            position = selector
            if isinstance(position, int) and position < 0:
                position += n_positional
                if 0 <= position < len(self._positional):
                    position = self._positional[position]
            counted.append(position)
        return counted
