"""``vmap``: a function of one item made a function of many, traced once and evaluated by CasADi's map."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arguments.signature import CallSignature, name_of
from archimedes_grad.arguments.specs import flatten, is_static_by_nature, is_tree, leaves_of
from archimedes_grad.arrays.complex_array import ComplexArray, ComplexForm
from archimedes_grad.arrays.operands import node_of, value_of
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.derivatives.autodiff import value_function
from archimedes_grad.nodes.dependence import made_of
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.closures import closed_over
from archimedes_grad.transforms.bodies import (
    Body,
    Structure,
    apart,
    applied,
    as_number,
    placeholder,
    side_by_side,
    stacked,
    traced_body,
    values_of,
)
from archimedes_grad.transforms.options import require_functions


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> CompiledFunction[..., Any]:
    """Return the function that applies ``f`` to each item along an axis of its arguments.

    ``f`` is traced once, on one item, and evaluated for all items by one node of the graph: ``casadi.Function.map``.
    It may be a derivative (``vmap(grad(f))``), and be differentiated (``grad(lambda w: np.sum(vmap(g)(w)))``).

    Parameters
    ----------
    f
        A function of arrays, numbers and trees of these. It may close over traced values of the function around.
    in_axes : int, None, or a tuple of these and of trees of these
        Along which axis each positional argument holds its items; None: every item gets the argument whole. A tree
        of axes may be a prefix of the argument's tree. Keyword arguments hold their items along axis 0.
    out_axes : int, None or a tree of these
        Along which axis the results are stacked; None: the result is the same for all items, and returned once.

    Returns
    -------
    CompiledFunction
        Called like ``f``.

    Raises
    ------
    TypeError
        If f is not callable, or an axis no int.
    ValueError
        At a call: for axes of unequal sizes, an axis out of range, axes that do not match the arguments, no mapped
        argument at all, and ``out_axes=None`` for a result that depends on the item.
    TraceError
        At a call: where a decision rests on a value of one item.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> slopes = arc.vmap(arc.grad(lambda x: np.sin(x[0]) * x[1]))
    >>> slopes(np.array([[0.0, 2.0], [0.0, 3.0]])).tolist()
    [[2.0, 0.0], [3.0, 0.0]]
    """
    require_functions("vmap", f=f)
    _require_axes("in_axes", in_axes)
    _require_axes("out_axes", out_axes)

    @functools.wraps(f)
    def batched(*args: Any, **kwargs: Any) -> Any:
        return _Call(f, in_axes, out_axes, args, kwargs).result()

    recipe = (vmap, f, {"in_axes": in_axes, "out_axes": out_axes})
    return CompiledFunction(batched, CallSignature(batched), value_function, f"vmap_{name_of(f)}", recipe=recipe)


def _require_axes(which: str, axes: Any) -> None:
    for axis in leaves_of(axes):
        if axis is not None and (isinstance(axis, bool) or not hasattr(axis, "__index__")):
            raise TypeError(
                f"vmap: {which} takes ints and None, and tuples and trees of these; got {axis!r}. Write {which}=0 for "
                f"the first axis."
            )


def _axes_of_leaves(which: str, axes: Any, tree: Any, shown: str) -> list[int | None]:
    """Return the axis of every leaf of a tree; a prefix of the tree counts for all leaves below it."""
    if not is_tree(axes):
        return [None if axes is None else operator.index(axes)] * len(leaves_of(tree))
    import optree

    try:
        return list(optree.broadcast_prefix(axes, tree, none_is_leaf=True, namespace="archimedes_grad"))
    except ValueError:
        structure = apart("vmap", shown, tree)[1]
        raise ValueError(
            f"vmap: {which} is {axes!r}, and {shown} is {structure}; the same structure or a prefix of it was "
            f"expected. One int or None counts for all leaves."
        ) from None


def _as_array(leaf: Any) -> Any:
    """Return a leaf as traced array or ndarray, complex ones too; None where it holds no numbers."""
    number = as_number(leaf)
    if number is None and isinstance(leaf, complex | np.generic | np.ndarray) and np.asarray(leaf).dtype.kind == "c":
        return np.asarray(leaf)
    return number


def _by_its_parts(leaf: Any) -> Any:
    """Return a leaf of a result, plain complex numbers as arrays of parts, which traced ones are."""
    is_complex = isinstance(leaf, complex | np.generic | np.ndarray) and np.iscomplexobj(leaf)
    return ComplexArray(np.real(leaf), np.imag(leaf)) if is_complex else leaf


def _shown_kind(value: Any) -> str:
    return f"of type {type(value).__name__}" if as_number(value) is None else "an array or number"


class _Call:
    """One call of a mapped function, inside the trace under way."""

    def __init__(self, f: Callable[..., Any], in_axes: Any, out_axes: Any, args: Any, kwargs: Any) -> None:
        self.f = f
        self.out_axes = out_axes
        self.owner = f"vmap of {name_of(f)}"
        if isinstance(in_axes, tuple | list):
            if len(in_axes) != len(args):
                raise ValueError(
                    f"{self.owner}: in_axes has {len(in_axes)} entries for {len(args)} positional arguments; one "
                    f"for each was expected. None passes an argument whole."
                )
            axes = list(in_axes)
        else:
            axes = [in_axes] * len(args)
        self.keywords = tuple(kwargs)
        self.items: list[Any] = []
        self.numbers: list[Any] = []
        self.mapped: list[bool] = []
        self.sizes: dict[str, int] = {}
        names = [*self._names(len(args)), *kwargs]
        for name, axis, value in zip(names, [*axes, *(0 for _ in kwargs)], [*args, *kwargs.values()], strict=True):
            self.items.append(self._item(name, axis, value))
        self.names = names
        if not self.sizes:
            values = zip(names, [*args, *kwargs.values()], strict=True)
            came = ", ".join(f"{name} is {_shown_kind(value)}" for name, value in values)
            raise ValueError(
                f"{self.owner}: no argument is mapped (in_axes is {in_axes!r}; {came or 'none came'}), and at least "
                f"one array with an axis was expected. Give it one by in_axes, or call the function itself."
            )
        if len(set(self.sizes.values())) > 1:
            shown = ", ".join(f"{name} has {size}" for name, size in self.sizes.items())
            raise ValueError(
                f"{self.owner}: the mapped axes must have equal sizes, but {shown}. Pass what is the same for all "
                f"items with in_axes=None."
            )
        self.n = next(iter(self.sizes.values()))

    def _names(self, count: int) -> list[str]:
        signature = CallSignature(self.f)
        return list(signature.layout(count, self.keywords).names[:count])

    def _item(self, name: str, axes: Any, value: Any) -> Any:
        """Return one item of an argument, and note its numbers as they are mapped."""
        if is_tree(value):
            leaves, structure = flatten(value)
            shown = [path.codify(name) for path in structure.accessors()]
        else:
            leaves, structure, shown = [value], None, [name]
        axes = _axes_of_leaves("in_axes", axes, value, f"argument {name!r}")
        items = [self._leaf(*which) for which in zip(shown, axes, leaves, strict=True)]
        return items[0] if structure is None else structure.unflatten(items)

    def _leaf(self, name: str, axis: int | None, leaf: Any) -> Any:
        number = _as_array(leaf)
        if type(leaf) in (bool, np.bool_) or number is None:
            if not is_static_by_nature(leaf):
                raise TypeError(
                    f"{self.owner}: argument {name!r} is a {type(leaf).__name__}; arrays, numbers and trees of these "
                    f"were expected. Let the function close over it."
                )
            return leaf
        if axis is None:
            self._take(leaf, mapped=False)
            return leaf
        ndim = np.ndim(value_of(number))
        if not -ndim <= axis < ndim:
            expected = f"an axis from {-ndim} to {ndim - 1}" if ndim else "an array with an axis of items"
            raise ValueError(
                f"{self.owner}: argument {name!r} has shape {np.shape(value_of(number))}, which has no axis {axis} to "
                f"map over; {expected} was expected. in_axes=None passes a positional argument whole."
            )
        moved = np.moveaxis(number, axis, 0)
        self._take(moved, mapped=True)
        self.sizes[name] = len(value_of(moved))
        return placeholder(moved, moved.shape[1:])

    def _take(self, number: Any, mapped: bool) -> None:
        """Note a number, or the parts of a complex one."""
        taken = [number.real, number.imag] if np.asarray(value_of(number)).dtype.kind == "c" else [number]
        self.numbers += taken
        self.mapped += [mapped] * len(taken)

    def result(self) -> Any:
        """Trace the function on one item, map it, and put the result together."""
        n_positional = len(self.items) - len(self.keywords)

        def on_item(*values: Any) -> Any:
            return self.f(*values[:n_positional], **dict(zip(self.keywords, values[n_positional:], strict=True)))

        body = traced_body(
            self.owner, on_item, self.items, self.names, closed_over([self.f]), split=self._by_parts, with_complex=True
        )
        structure, forms = body.structure
        axes = _axes_of_leaves("out_axes", self.out_axes, structure.build([0] * len(forms)), "the result")
        static = {k for k, _ in structure.static}
        number_axes = [axis for k, axis in enumerate(axes) if k not in static]
        stacks = enumerate(self._stacked(body))
        results = []
        for form, axis in zip(forms, number_axes, strict=True):
            parts = [self._placed(body, *next(stacks), axis) for _ in range(1 if form is None else 2)]
            results.append(parts[0] if form is None else form.unflatten(parts))
        return structure.build(results)

    def _by_parts(self, returned: Any) -> tuple[list[Any], tuple[Structure, list[ComplexForm | None]]]:
        """Return the numbers of a result, complex ones by their parts; its structure, and the forms of these."""
        leaves, tree = flatten(returned) if is_tree(returned) else ([returned], None)
        leaves = [_by_its_parts(leaf) for leaf in leaves]
        returned = leaves[0] if tree is None else tree.unflatten(leaves)
        numbers, structure = apart(self.owner, "the result", returned)
        parts: list[Any] = []
        forms: list[ComplexForm | None] = []
        for number in numbers:
            is_complex = isinstance(number, ComplexArray)
            parts += (number.real, number.imag) if is_complex else (number,)
            forms.append(ComplexForm(number.dtype, False) if is_complex else None)
        return parts, (structure, forms)

    def _stacked(self, body: Body) -> list[Any]:
        outputs = [stacked(output, self.n) for output in body.outputs]
        if not outputs:
            return []  # Nothing but constants; CasADi crashes on a map of a Function without outputs.
        if self.n == 0:
            return [np.zeros(output.shape, output.dtype) for output in outputs]
        shared = [*(not mapped for mapped in self.mapped), *(True for _ in body.closed_nodes)]
        with forward_nodes():
            function = mapped_function(body.function, self.n, shared)
            own = [side_by_side(node_of(x), body.function.size1_in(k)) for k, x in enumerate(self.numbers)]
        return list(applied(
            function, [*own, *body.closed_nodes], [*values_of(self.numbers), *body.closed_values], outputs,
            times=self.n * body.n_instructions, can_fail=body.can_fail,
        ))  # fmt: skip

    def _placed(self, body: Body, k: int, stack: Any, axis: int | None) -> Any:
        if axis is None:
            read = made_of(body.function)[k]
            if any(mapped and i in read for i, mapped in enumerate(self.mapped)):
                raise ValueError(
                    f"{self.owner}: out_axes is None for a result that depends on the item, and one that is the same "
                    f"for all was expected. Give an axis to stack along: out_axes=0."
                )
            return stack[0]
        ndim = np.ndim(value_of(stack))
        if not -ndim <= axis < ndim:
            raise ValueError(
                f"{self.owner}: out_axes has axis {axis} for a stacked result of {ndim} axes; an axis from {-ndim} to "
                f"{ndim - 1} was expected. out_axes=0 stacks along the first."
            )
        return stack if axis == 0 else np.moveaxis(stack, 0, axis)


def mapped_function(function: cs.Function, n: int, shared: list[bool]) -> cs.Function:
    """Return a Function of n items side by side; inputs that are shared are passed once."""
    if n == 1:
        return function
    # This overload makes one node for all items; the others would repeat what is shared n times.
    return function.map(n, shared, [False] * function.n_out())
