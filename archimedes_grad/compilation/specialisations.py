"""What is compiled for one form of call: how it is found again, and how it travels to another process."""

from __future__ import annotations

import enum
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import casadi as cs
import numpy as np

from archimedes_grad._version import __version__
from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arguments.specs import ByIdentity, key_orders, static_key
from archimedes_grad.arrays.complex_array import ComplexForm
from archimedes_grad.compilation.evaluation import evaluated_by
from archimedes_grad.compilation.failing import guards_in_order
from archimedes_grad.compilation.fast_path import new_fast_path
from archimedes_grad.compilation.paths import Path, Paths
from archimedes_grad.compilation.pickling import Packed, found_at, packed, unpacked
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.nodes.blas import use_one_thread
from archimedes_grad.tracing.bound_arguments import BoundArguments
from archimedes_grad.tracing.graph import Leaf, Template


class FormKey(NamedTuple):
    """What all calls of one form have in common, and no other call has.

    Attributes
    ----------
    n_positional, keywords
        How many positional values there are, and the keywords in the order given.
    of_values
        For each value of the call.
    """

    n_positional: int
    keywords: tuple[str, ...]
    of_values: tuple[Any, ...]


@dataclass(eq=False, repr=False)
class Specialisation:
    """What is compiled for one form of call, shapes, dtypes and static values: one path or several.

    Where the function goes by how arrays lie in memory, it is for arguments that lie in one way.

    Attributes
    ----------
    key
        As it was when the first call of this form came: a static value may have been changed since.
    layout, trees, leaves
        How the values of the call fall to the parameters, and what they are made of.
    samples
        For each leaf a value of the type, dtype and shape that a call of this form has, not its entries.
    """

    key: FormKey
    layout: Layout
    trees: Mapping[int, Template]
    leaves: Sequence[Leaf]
    samples: Sequence[Any]
    paths: Paths

    @property
    def strides(self) -> tuple[Any, ...]:
        """How the leaves lay in memory when it was made."""
        return tuple(leaf.strides for leaf in self.leaves)

    @property
    def goes_by_strides(self) -> bool:
        """Whether it may not serve calls whose arguments lie in memory in another way."""
        paths = list(self.paths.by_outcomes.values())
        return len(paths) != 1 or paths[0].derived.goes_by_strides


def new_specialisation(key: FormKey, bound: BoundArguments, layout: Layout, max_paths: int) -> Specialisation:
    """Return a specialisation without paths for the form of a call."""
    samples = [_sample(value) for value in bound.values]
    return Specialisation(key, layout, bound.trees, tuple(bound.leaves), samples, Paths(max_paths))


def _sample(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.broadcast_to(np.zeros((), value.dtype), value.shape)
    return value


def key_of(
    owner: str, layout: Layout, trees: Mapping[int, Template], leaves: Sequence[Leaf], values: Sequence[Any]
) -> FormKey:
    """Return the key of a call.

    Raises
    ------
    TypeError
        If a static argument cannot be a key.
    """
    of_values = (_key_of(owner, tree, leaves, values, layout.names[position]) for position, tree in trees.items())
    return FormKey(layout.n_positional, layout.keywords, tuple(of_values))


def _key_of(owner: str, tree: Template, leaves: Sequence[Leaf], values: Sequence[Any], name: str) -> Any:
    if tree.output is not None:
        leaf = leaves[tree.output]
        return leaf.shape, leaf.dtype, leaf.python_type, isinstance(values[tree.output], np.ndarray)
    if tree.structure is not None:
        of_children = tuple(_key_of(owner, child, leaves, values, name) for child in tree.children)
        orders = () if isinstance(tree.structure, ComplexForm) else key_orders(tree.structure)
        return tree.structure, orders, of_children
    try:
        key = static_key(tree.constant)
        hash(key)
    except TypeError as error:
        raise TypeError(
            f"{owner}: the static argument {name!r} is a {type(tree.constant).__name__}, which "
            f"cannot be a cache key ({error}); a value that can be hashed was expected. Give its class __eq__ and "
            f"__hash__, or pass what matters of it as numbers, strings or tuples."
        ) from None
    return key


# --- travelling -----------------------------------------------------------------------------------

#: What is written by other versions is not read.
_VERSIONS = (__version__, cs.CasadiMeta.version())


def as_packed(name: str, specialisations: Sequence[Specialisation]) -> list[Packed]:
    """Return those specialisations that can travel, their functions in CasADi's own serialised form.

    Left out are those that CasADi cannot load again, above all what calls back into Python (``arc.callback``,
    factorisations by NumPy), and those with a static value that was changed since, cannot be pickled, arrives as
    another, or counts by its identity, so that none is equal to it elsewhere: their form of call is traced anew.
    """
    written = []
    for known in specialisations:
        paths = list(known.paths.by_outcomes.values())
        if not paths or not _can_be_asked_for(known, name):
            continue
        if not all(_can_be_loaded(path.derived.function) for path in paths):
            continue
        derived = [_without_graph(path.derived) for path in paths]
        sizes = [(sample.dtype, sample.shape) if isinstance(sample, np.ndarray) else sample for sample in known.samples]
        try:
            body = packed((known.layout, dict(known.trees), known.leaves, sizes, derived), name)
        except pickle.PicklingError:
            continue
        written.append(Packed(pickle.dumps((_VERSIONS, body.written)), body.referred))
    return written


def from_packed(name: str, packed_known: Packed, max_paths: int) -> Specialisation | None:
    """Return a specialisation that travelled; None where another version wrote it, or a class is missing."""
    versions, written = pickle.loads(packed_known.written)
    if versions != _VERSIONS:
        return None
    try:
        layout, trees, leaves, sizes, all_derived = unpacked(Packed(written, packed_known.referred))
    except (ImportError, AttributeError):
        # A static value or a tree is of a class that is not found here.
        return None
    samples = [
        np.broadcast_to(np.zeros((), size[0]), size[1]) if isinstance(size, tuple) else size for size in sizes
    ]
    key = key_of(name, layout, trees, leaves, samples)
    known = Specialisation(key, layout, trees, leaves, samples, Paths(max_paths))
    for derived in all_derived:
        if derived.graph.large_products:
            use_one_thread()
        path = Path(known.paths, derived, {})
        evaluated, path.engine = evaluated_by(derived, derived.graph.engine)
        path.fast_path = new_fast_path(evaluated, layout, key.of_values, dict(trees), samples, path.reference)
        known.paths.add(path)
    return known


def _can_be_asked_for(known: Specialisation, name: str) -> bool:
    """Whether a call elsewhere can have the same key, and does so with the static values that travel."""
    if not _is_found_elsewhere(known.key):
        return False
    try:
        arriving = unpacked(packed(dict(known.trees), name))
        return key_of(name, known.layout, arriving, known.leaves, known.samples) == known.key
    except (TypeError, pickle.PicklingError):
        # What a static value holds by now cannot be a key, or be written.
        return False


def _is_found_elsewhere(key: Any) -> bool:
    if isinstance(key, tuple | frozenset):
        return all(map(_is_found_elsewhere, key))
    if not isinstance(key, ByIdentity):
        return True
    held = key.held
    if held is None or held is Ellipsis or isinstance(held, enum.Enum | np.ufunc):
        return True
    return found_at(getattr(held, "__module__", None), getattr(held, "__qualname__", "")) is held


def _can_be_loaded(function: cs.Function) -> bool:
    # A callback would be loaded in this process, and in no other.
    if any(inner.class_name() == "CallbackInternal" for inner in function.find_functions()):
        return False
    try:
        cs.Function.deserialize(function.serialize())
    except RuntimeError:
        return False
    return True


def _without_graph(derived: Derived) -> Derived:
    """Return what is needed to evaluate: functions, not the expressions that they were made of."""
    graph = derived.graph
    bare = replace(
        graph, symbols=(), hidden=(), hidden_symbols=(), nodes=(), success=None, loops={},
        guards=tuple(replace(guard, node=None) for guard in graph.guards),
    )  # fmt: skip
    asked = guards_in_order(derived) if derived.can_fail and derived.n_guards else None
    return replace(derived, graph=bare, guards_in_order=asked)
