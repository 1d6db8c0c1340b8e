"""What an argument is made of: trees and their leaves, dtypes, and keys for caches.

Trees are dict, list, tuple, namedtuple, deque, OrderedDict, defaultdict and dataclasses, nested; ``optree``
takes them apart and puts them together. It is imported when the first tree appears.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import struct
import types
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import optree

_NAMESPACE = "archimedes_grad"
#: Up to this one doubles hold every whole number.
_LARGEST_INTEGER = 2**53
_CONTAINERS = (dict, list, tuple, deque)
_registered_dataclasses: set[type] = set()

#: What the attributes of a dataclass are computed by, whenever they are asked for.
_FOLLOWING_FIELDS: tuple[type, ...] = (property, functools.cached_property)

#: Classes with an equality of their own whose instances stay as they are.
_UNCHANGING = (str, bytes, int, float, complex, np.generic, slice, frozenset)


def is_tree(value: Any) -> bool:
    """Tell whether a value is a tree rather than a leaf."""
    return isinstance(value, _CONTAINERS) or _is_dataclass_instance(value)


def _is_dataclass_instance(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def flatten(tree: Any) -> tuple[list[Any], optree.PyTreeSpec]:
    """Return the leaves of a tree (None is a leaf) and its structure.

    Raises
    ------
    TypeError
        For a container of a class that nobody has told how to take apart.
    """
    import optree

    leaves, structure = optree.tree_flatten(tree, none_is_leaf=True, namespace=_NAMESPACE)
    unknown = {type(leaf) for leaf in leaves if is_tree(leaf)} - _registered_dataclasses
    if not unknown:
        return leaves, structure
    for cls in unknown:
        if not dataclasses.is_dataclass(cls):
            raise _of_unknown_class(cls)
        _register_dataclass(cls)
    return flatten(tree)


def _of_unknown_class(cls: type) -> TypeError:
    plain = next(kind.__name__ for kind in _CONTAINERS if issubclass(cls, kind))
    return TypeError(
        f"a {cls.__name__} came, a {plain} of a class of its own, which cannot be put together again; a {plain}, or "
        f"another tree of the standard containers, was expected. Pass {plain}(...) of it, or register the class by "
        f"optree.register_pytree_node(..., namespace={_NAMESPACE!r})"
    )


def leaves_of(value: Any) -> list[Any]:
    """Return the leaves of a tree, or a leaf in a list."""
    return flatten(value)[0] if is_tree(value) else [value]


def key_orders(structure: optree.PyTreeSpec) -> tuple[Any, ...]:
    """Return the keys of each dictionary, with their types, in the order in which they came.

    Structures are equal whatever that order is, and a function may go by it: ``list(d.values())``.
    """
    orders: tuple[Any, ...] = ()
    if isinstance(structure.type, type) and issubclass(structure.type, dict):
        orders = (tuple((key, type(key)) for key in structure.unflatten(range(structure.num_leaves))),)
    return orders + tuple(order for child in structure.children() for order in key_orders(child))


def shown_structure(structure: optree.PyTreeSpec) -> str:
    """Return the structure of a tree for messages, with a star for each leaf."""
    return str(structure).split(", NoneIsLeaf")[0].removeprefix("PyTreeSpec(")


def _register_dataclass(cls: type) -> None:
    import optree

    names = tuple(field.name for field in dataclasses.fields(cls))
    of_class = beside_fields(cls)

    def take_apart(instance: Any) -> tuple[Any, ...]:
        for name in of_class.keys() & getattr(instance, "__dict__", {}).keys():
            raise TypeError(
                f"a {cls.__name__} came that holds {name} beside its fields, where its class has another; one that is "
                f"a tree is its fields alone. Make {name} a field by an annotation"
            )
        try:
            return tuple(getattr(instance, name) for name in names), names, names
        except AttributeError as error:
            raise TypeError(f"a {cls.__name__} came whose field {error.name} is not set. Set it, if to None") from error

    def put_together(_: Any, children: Any) -> Any:
        instance: Any = object.__new__(cls)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(instance, name, child)
        return instance

    optree.register_pytree_node(cls, take_apart, put_together, namespace=_NAMESPACE)
    _registered_dataclasses.add(cls)


def beside_fields(cls: Any) -> dict[str, Any]:
    """Return what a dataclass has as a class, and an instance may hold otherwise without a field for it."""
    found = {name: held for base in reversed(cls.__mro__[:-1]) for name, held in vars(base).items()}
    fields = {field.name for field in dataclasses.fields(cls)}
    return {
        name: held for name, held in found.items()
        if name not in fields and not name.startswith("__") and not isinstance(held, _FOLLOWING_FIELDS)
    }  # fmt: skip


def is_static_by_nature(value: Any) -> bool:
    """Tell whether a value is passed to the function as it is without being declared static."""
    # By its own type: to isinstance a traced truth value is NumPy's.
    if value is None or issubclass(type(value), str | bytes | bool | np.bool_ | enum.Enum | slice | type(Ellipsis)):
        return True
    # NumPy's classes have the attribute that its arrays have.
    return isinstance(value, type) or (callable(value) and not hasattr(value, "__array__"))


def as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """Return an array argument as ndarray; None for what is neither an array nor a number."""
    if isinstance(value, np.ndarray | np.generic | complex | float | int) or hasattr(value, "__array__"):
        return np.asarray(value)
    return None


def unlike_arrays(value: Any) -> str | None:
    """Return in what an array of a subclass means something else than a plain array of its entries; None if in nothing.

    Its entries alone would give another result without a word.
    """
    if type(value) is np.ndarray or not isinstance(value, np.ndarray):
        return None
    if isinstance(value, np.ma.MaskedArray):
        return "whose mask no derivative follows"
    if isinstance(value, np.matrix):
        return "whose * is a matrix product"
    if type(value).__array_ufunc__ is not np.ndarray.__array_ufunc__:
        return "which has arithmetic of its own"
    return None


def has_inexact_integers(array: Any) -> bool:
    """Tell whether an array has whole numbers that doubles do not hold."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or not array.size:
        return False
    if int(array.max()) <= _LARGEST_INTEGER and int(array.min()) >= -_LARGEST_INTEGER:
        return False
    return any(int(float(number)) != number for number in array.ravel().tolist())


def is_mutable(value: Any) -> bool:
    """Tell whether a static value can change what its key is made of and stay the same object."""
    if isinstance(value, tuple):
        return any(map(is_mutable, value))
    if isinstance(value, _UNCHANGING):
        return False
    if isinstance(value, list | dict | set | np.ndarray) or _is_dataclass_instance(value):
        return True
    return _has_own_equality(type(value)) and not callable(value)


class ByIdentity:
    """A cache key that equals only itself, and keeps its object alive so that the identity stays taken."""

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)


def _has_own_equality(kind: type) -> bool:
    own: Any = kind.__eq__
    return own is not object.__eq__


def static_key(value: Any) -> Any:
    """Return a hashable key of a value: by type and value; floats by bits, dataclasses by field.

    Arrays count by their bytes, and by how they lie in memory where that is not in C order.

    Objects of other classes count by their own equality and hash. One that was changed in place is equal to itself, of
    which its hash tells.

    Raises
    ------
    TypeError
        If the value cannot be hashed, nor taken apart into what can.
    """
    kind = type(value)
    if kind is float:
        return float, struct.pack("d", value)
    if kind is complex:
        return complex, struct.pack("dd", value.real, value.imag)
    if isinstance(value, np.ndarray):
        strides = None if value.flags.c_contiguous else value.strides
        if value.dtype == object:
            return np.ndarray, "object", value.shape, strides, tuple(static_key(item) for item in value.flat)
        return np.ndarray, kind, value.shape, strides, value.dtype, value.tobytes()
    if isinstance(value, np.generic):
        return kind, value.dtype.str, value.tobytes()
    if kind in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return kind, tuple(static_key(item) for item in value)
    if isinstance(value, dict):
        return kind, tuple((static_key(name), static_key(item)) for name, item in value.items())
    if isinstance(value, set | frozenset):
        return kind, frozenset(static_key(item) for item in value)
    if kind is slice:
        return slice, static_key(value.start), static_key(value.stop), static_key(value.step)
    if isinstance(value, types.MethodType):
        return kind, ByIdentity(value.__self__), ByIdentity(value.__func__)
    if _is_dataclass_instance(value) and kind.__dataclass_params__.eq:
        names = [entry.name for entry in dataclasses.fields(value)]
        # What __post_init__ made of arguments that are no fields counts too.
        more = [name for name in getattr(value, "__dict__", ()) if name not in names]
        return kind, *((name, static_key(getattr(value, name))) for name in (*names, *more))
    if callable(value) or not _has_own_equality(kind):
        return ByIdentity(value)
    return kind, hash(value), value
