"""Arguments of a call taken apart: which leaves they have, how these make them up, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arguments.specs import (
    as_array,
    flatten,
    has_inexact_integers,
    is_static_by_nature,
    is_tree,
    unlike_arrays,
)
from archimedes_grad.arrays.array import SymbolicArray
from archimedes_grad.arrays.complex_array import ComplexForm
from archimedes_grad.arrays.operands import value_of
from archimedes_grad.arrays.trace_state import current_trace, outlived
from archimedes_grad.nodes.strided import laid_out, strides_in_memory
from archimedes_grad.tracing.graph import Leaf, Template


class BoundArguments:
    """The values of one call, taken apart into leaves.

    Attributes
    ----------
    leaves
        What each numeric leaf is; ``values`` its value: an ndarray, a number or, where the call is made
        inside another trace, a traced array.
    trees
        For the position of each value of the call, how leaves make it up.

    Parameters
    ----------
    with_complex
        Whether arguments that are not differentiated may be complex: each is two leaves, its parts.

    Raises
    ------
    TypeError
        If an argument is neither array, number nor tree and not declared static; if an array has no real
        numeric dtype; if a differentiated argument has no number in it.
    ValueError
        If an argument that is not differentiated has whole numbers that doubles do not hold.
    """

    def __init__(self, name: str, layout: Layout, values: tuple[Any, ...], with_complex: bool = True) -> None:
        self.name = name
        self.layout = layout
        self.with_complex = with_complex
        self.leaves: list[Leaf] = []
        self.values: list[Any] = []
        self.trees: dict[int, Template] = {}
        for position, value in enumerate(values):
            differentiated = position in layout.differentiated
            shown = layout.names[position]
            if position in layout.static:
                if isinstance(value, SymbolicArray) and current_trace() is None:
                    raise outlived(f"{name}: static argument {shown!r}: ")
                self.trees[position] = Template(constant=value)
                continue
            before = len(self.leaves)
            if is_tree(value) and not isinstance(value, SymbolicArray):
                self.trees[position] = self._tree(position, value, shown, differentiated)
            else:
                self.trees[position] = self._leaf(position, value, shown, differentiated)
            if differentiated and len(self.leaves) == before:
                raise TypeError(
                    f"{name}: argument {shown!r} is differentiated but has no number in it: got {described(value)}; "
                    f"an array, a number or a tree of these was expected. Pass one, or choose another argument by "
                    f"argnums."
                )

    def _tree(self, position: int, tree: Any, shown: str, differentiated: bool) -> Template:
        try:
            leaves, structure = flatten(tree)
            paths = structure.accessors()
        except RecursionError:
            raise ValueError(
                f"{self.name}: argument {shown!r} is a {type(tree).__name__} nested too deeply, or one that contains "
                f"itself; a tree of arrays and numbers was expected. Keep its leaves in one flat list."
            ) from None
        except TypeError as error:
            raise TypeError(f"{self.name}: argument {shown!r}: {error}. {self._static_way_on(position)}") from None
        children = tuple(
            self._leaf(position, leaf, path.codify(shown), differentiated)
            for leaf, path in zip(leaves, paths, strict=True)
        )
        return Template(structure=structure, children=children)

    def _leaf(self, position: int, value: Any, shown: str, differentiated: bool) -> Template:
        if isinstance(value, SymbolicArray):
            if current_trace() is None:
                raise outlived(f"{self.name}: argument {shown!r}: ")
            array: Any = value
        elif is_static_by_nature(value):
            return Template(constant=value)
        else:
            array = self._as_array(value, shown)
        if array is None:
            raise TypeError(
                f"{self.name}: argument {shown!r} is {described(value)}, which is neither an array, a number nor a "
                f"tree of these. {self._static_way_on(position)}"
            )
        if array.dtype.kind == "c":
            return self._complex(position, value, array, shown, differentiated)
        allowed = "fiu" if differentiated else "fiub"
        if array.dtype.kind not in allowed:
            role = "differentiated" if differentiated else "traced"
            raise TypeError(
                f"{self.name}: argument {shown!r} has dtype {array.dtype}; a {role} argument must hold real numbers"
                f"{' (booleans have no derivative)' if array.dtype.kind == 'b' else ''}. Convert it to float. "
                f"{self._static_way_on(position)}"
            )
        if not differentiated and has_inexact_integers(array):
            raise ValueError(
                f"{self.name}: argument {shown!r} holds whole numbers beyond 2**53, which doubles do not hold exactly. "
                f"Subtract an offset before the call (t - t[0]), or pass it as floats. "
                f"{self._static_way_on(position)}"
            )
        dtype = np.dtype(np.float64) if differentiated else array.dtype
        kind = type(value_of(value))
        python_type = kind if kind in (float, int) and not differentiated else None
        strides = strides_in_memory(np.asarray(value_of(array)))
        self.leaves.append(Leaf(position, shown, array.shape, dtype, differentiated, python_type, strides))
        if python_type is not None:
            array = value
        elif type(array) is np.ndarray and isinstance(value, float | int | np.generic):
            array = array[()]  # A number, and no array without axes.
        self.values.append(array)
        return Template(output=len(self.leaves) - 1)

    def _complex(self, position: int, value: Any, array: Any, shown: str, differentiated: bool) -> Template:
        if differentiated or position == self.layout.direction or not self.with_complex:
            role = "differentiated" if differentiated else "traced"
            raise TypeError(
                f"{self.name}: argument {shown!r} has dtype {array.dtype}; a {role} argument must hold real numbers "
                f"here. Pass its parts, .real and .imag, as two arguments."
            )
        given = value if isinstance(value, complex | np.generic) else array
        both = []
        for name in ("real", "imag"):
            part = getattr(given, name)
            if type(given) is np.ndarray:
                part = laid_out(part, part.dtype, strides_in_memory(given))
            both.append(self._leaf(position, part, f"{shown}.{name}", False))
        return Template(structure=ComplexForm(array.dtype, type(value) is complex), children=tuple(both))

    def _as_array(self, value: Any, shown: str) -> Any:
        unlike = unlike_arrays(value)
        if unlike is not None:
            raise TypeError(
                f"{self.name}: argument {shown!r} is a {type(value).__name__}, {unlike}, and a plain array was "
                f"expected. Pass np.asarray of it, and what that leaves out as an argument of its own."
            )
        try:
            return as_array(value)
        except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
            raise TypeError(
                f"{self.name}: argument {shown!r} is a {type(value).__name__} of {type(value).__module__}, which makes "
                f"no array ({str(error).splitlines()[0]}); numbers were expected. A CasADi model takes the function by "
                f".to_casadi(...)."
            ) from error

    def _static_way_on(self, position: int) -> str:
        if position in self.layout.differentiated or position == self.layout.direction:
            return "Pass an array, a number or a tree of these."
        argument = self.layout.names[position]
        return f"If it only configures the function, declare it (static_argnames={argument!r}) or close over it."


def described(value: Any) -> str:
    """Return a value, for messages: shortly."""
    if isinstance(value, SymbolicArray):
        return f"an array of shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 60 else f"a {type(value).__name__}"
