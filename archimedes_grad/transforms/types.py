"""What a type checker knows of ``grad`` and the others: calls keep the parameters of the user's function.

The functions themselves are in ``transforms``; ``archimedes_grad/__init__.py`` shows type checkers these in their
place. A test holds the two to the same parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, overload

from archimedes_grad.compilation.compiled import CompiledFunction

P = ParamSpec("P")
R = TypeVar("R")
Result = TypeVar("Result", covariant=True)

Indices = int | Sequence[int]
Names = str | Sequence[str]


class Transform(Protocol[Result]):
    """``grad``, ``value_and_grad``, ``jac`` and ``hess``: the result is called like the function."""

    @overload
    def __call__(
        self, func: Callable[P, Any], argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: Literal["symbolic"] = ..., engine: str | None = ..., **options: Any,
    ) -> CompiledFunction[P, Result]: ...  # fmt: skip

    @overload
    def __call__(
        self, func: Callable[P, Any], argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: str, engine: str | None = ..., **options: Any,
    ) -> Callable[P, Result]: ...  # fmt: skip

    @overload
    def __call__(
        self, func: None = ..., argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: Literal["symbolic"] = ..., engine: str | None = ..., **options: Any,
    ) -> Callable[[Callable[P, Any]], CompiledFunction[P, Result]]: ...  # fmt: skip

    @overload
    def __call__(
        self, func: None = ..., argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: str, engine: str | None = ..., **options: Any,
    ) -> Callable[[Callable[P, Any]], Callable[P, Result]]: ...  # fmt: skip


class Product(Protocol):
    """``jvp``, ``vjp`` and ``hvp``: the result takes a direction after the function's own arguments."""

    @overload
    def __call__(
        self, func: Callable[..., Any], argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: Literal["symbolic"] = ..., engine: str | None = ..., **options: Any,
    ) -> CompiledFunction[..., Any]: ...  # fmt: skip

    @overload
    def __call__(
        self, func: Callable[..., Any], argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: str, engine: str | None = ..., **options: Any,
    ) -> Callable[..., Any]: ...  # fmt: skip

    @overload
    def __call__(
        self, func: None = ..., argnums: Indices = ..., name: str | None = ...,
        static_argnums: Indices | None = ..., static_argnames: Names | None = ..., *, argnames: Names | None = ...,
        has_aux: bool = ..., method: str = ..., engine: str | None = ..., **options: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...  # fmt: skip


class Compile(Protocol):
    """``compile``: the result is called like the function and returns what it returns."""

    @overload
    def __call__(
        self, func: Callable[P, R], *, static_argnums: Indices | None = ..., static_argnames: Names | None = ...,
        name: str | None = ..., engine: str | None = ..., control_flow: str = ..., max_paths: int = ...,
        progress: bool = ...,
    ) -> CompiledFunction[P, R]: ...  # fmt: skip

    @overload
    def __call__(
        self, func: None = ..., *, static_argnums: Indices | None = ..., static_argnames: Names | None = ...,
        name: str | None = ..., engine: str | None = ..., control_flow: str = ..., max_paths: int = ...,
        progress: bool = ...,
    ) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...  # fmt: skip


compile: Compile
grad: Transform[Any]
value_and_grad: Transform[tuple[Any, Any]]
jac: Transform[Any]
hess: Transform[Any]
jvp: Product
vjp: Product
hvp: Product
