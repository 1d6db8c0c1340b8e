"""``SymbolicArray``: a CasADi expression that NumPy code takes for an array.

It carries the NumPy value that the array has in the run being traced. Shape, dtype, views and NumPy's
own errors are taken from that value: every operation is done on the values by NumPy first, and then
built as a node of the graph. What the operations do is in ``rules/``; this is only what they work on.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.specs import unlike_arrays
from archimedes_grad.arrays import dispatch, shuffles
from archimedes_grad.arrays.array_methods import ArrayMethods
from archimedes_grad.arrays.decisions import decided_integer, decided_truth
from archimedes_grad.arrays.operators import Operators
from archimedes_grad.arrays.plain_numbers import is_formatting, plain_number_error, require_truth_asked_by_python
from archimedes_grad.arrays.trace_state import current_trace, note_strides, note_write, outlived, trace_error
from archimedes_grad.arrays.whole_options import decided_options
from archimedes_grad.nodes.gather import Shape, flat, geometry_of, reshaped, viewed
from archimedes_grad.nodes.strided import Geometry

_float64 = np.float64

#: What operands mostly are; others are looked at.
_KNOWN = frozenset({np.ndarray, np.float64, float, int, bool, tuple, list, str, type(None)})
#: What users look for on a Series or DataFrame.
_OF_PANDAS = frozenset({"values", "to_numpy", "iloc", "loc", "at", "iat", "index", "columns"})
#: Methods of numbers, beside those of arrays, that a decision answers.
_OF_NUMBERS = frozenset({"is_integer", "bit_length", "bit_count"})
#: Methods that NumPy's ufuncs ask of the entries of an array of objects, which a list of traced values becomes.
_OF_OBJECTS = frozenset({
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cos", "cosh", "deg2rad",
    "degrees", "exp", "exp2", "expm1", "fabs", "fmod", "hypot", "log", "log10", "log1p", "log2", "rad2deg", "radians",
    "rint", "sin", "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip
_NO_LABELS = (
    "in a traced function a Series or DataFrame is the array of its values, without labels. Index it by position, or "
    "pass columns by name as a dictionary: dict(frame)."
)


class SymbolicArray(Operators, ArrayMethods):
    """An array whose entries are expressions in the arguments of the function being traced.

    Users do not make these: a traced function receives them for its arguments. They take part in NumPy
    functions, operators, indexing and in-place writes as arrays do, views included.

    Attributes
    ----------
    value
        The array or number that this is in the run being traced: a NumPy scalar where NumPy has one, a
        plain Python number for an argument that came as one, else an ndarray, laid out in memory as NumPy's is.
    root
        The array that this is a view of, or None; ``geometry`` says where in its memory. Nodes are in C order.
    version
        How often a root was written to; of a view, the version of its root that it was last read at.
    """

    __slots__ = ("__weakref__", "_node", "_read", "geometry", "root", "value", "version")

    geometry: Geometry
    value: Any

    #: pandas leaves operators, and ufuncs of what isinstance takes for an array, to the operand of higher priority;
    #: its own are at most 5,000.
    __pandas_priority__ = 10_000
    __array_priority__ = 10_000

    def __init__(self, node: cs.MX, value: Any) -> None:
        self._node = node
        self.value = value
        self.root: SymbolicArray | None = None
        self.version = 0
        # What was read from this root since it was last written to: entries by position, nodes by geometry.
        self._read: dict[Any, Any] | None = None

    @property
    def node(self) -> cs.MX:
        """The expression, stored as ``gather.stored_shape`` says; a view's follows writes to its root."""
        root = self.root
        if root is not None and root.version != self.version:
            if root._read is None:
                root._read = {}
            node = root._read.get(self.geometry)
            if node is None:
                node = root._read[self.geometry] = viewed(root._node, root.value, self.geometry)
            self._node = node
            self.version = root.version
        return self._node

    def rewrite(self, node: cs.MX) -> None:
        """Give a root another expression after a write; its views follow."""
        note_write()
        self._node = node
        self.version += 1
        self._read = None

    # --- what it is -----------------------------------------------------------------------------

    if not TYPE_CHECKING:

        @property
        def __class__(self):
            """What ``isinstance`` goes by beside the type itself: of an array ndarray, of a scalar NumPy's scalar type.

            A function that asks whether it got an array or a float so takes the branch that it takes untraced.
            """
            return type(self.value)

    @property
    def shape(self) -> Shape:
        """The lengths of the axes; written to, it reshapes the array in place."""
        return np.shape(self.value)

    @shape.setter
    def shape(self, shape: Shape) -> None:
        note_strides()
        value = self.value[...] if isinstance(self.value, np.ndarray) else self.value
        value.shape = shape
        if self.root is None:
            # An array of its own: views of it count on its entries, which stay where they are.
            self._node = reshaped(self._node, value.shape)
            self._read = None
            value = self.value.reshape(value.shape)
        else:
            self.geometry = geometry_of(value, self.root.value)
            self.version = -1
        self.value = value

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of the value."""
        return np.asarray(self.value).dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return np.ndim(self.value)

    @property
    def size(self) -> int:
        """The number of entries."""
        return np.size(self.value)

    @property
    def itemsize(self) -> int:
        """Bytes of an entry of this dtype in NumPy."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the array in NumPy."""
        return self.size * self.itemsize

    def __repr__(self) -> str:
        return f"SymbolicArray(shape={self.shape}, dtype={self.dtype}, value={self.value!r})"

    def __format__(self, form: str) -> str:
        """Return the text of the value in the run being traced: a constant of the trace, as what is printed is."""
        return format(self._shown(form), form) if form else str(self)

    def _shown(self, form: str) -> Any:
        trace = current_trace()
        if trace is None or not trace.values_known:
            raise trace_error(
                f"A traced value is formatted as {form!r}, and there is no value: a body is traced without any.",
                "Print it without a format, or return it and format the result.",
            )
        return self.value

    def __hash__(self) -> int:
        if self.dtype.kind in "iub" and not self.ndim:
            return hash(self.decided().item())
        raise trace_error(
            "A traced value is used as a key (of a dict, a set or functools.cache), and keys are fixed values.",
            "Use a position or a name as key, and keep the traced value beside it.",
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise trace_error(
            "A traced value is pickled (or sent to another process), and only numbers outlive the trace.",
            "Return it from the function and pickle the result, or call the other process through arc.callback.",
        )

    def __getattr__(self, name: str) -> Any:
        if name == "__array__" and self.dtype.kind in "iub":
            # What NumPy asks of the index of a plain array: table[np.argsort(x)]. Floats have none, because an array
            # of their values would have lost their derivatives.
            return self._as_index
        if name in _OF_NUMBERS and not isinstance(self.value, np.ndarray) and hasattr(self.value, name):
            return partial(_answered, self, name)
        if name in _OF_OBJECTS:
            return partial(getattr(np, name), self)
        if name in _OF_PANDAS:
            raise AttributeError(f"a traced array has no {name!r}: {_NO_LABELS}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    if TYPE_CHECKING:

        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[Any]: ...

    else:
        # Numbers have no length and cannot be iterated over. Where nothing is said, `__getitem__` would do, silently:
        # the IndexError of x[0] ends a loop. What hasattr does not find, `iter` does not find either.
        __iter__ = None

    # --- what goes to the rules -----------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not kwargs and len(inputs) == 1 and method == "__call__" and type(self.value) is _float64:
            rule = dispatch.ELEMENTWISE.get(ufunc)
            if rule is not None and ufunc.nout == 1:
                if current_trace() is None:
                    raise outlived()
                return SymbolicArray(rule(self._node), ufunc(self.value))
        if any(type(operand) not in _KNOWN and _answers_ufuncs(type(operand)) for operand in inputs):
            return NotImplemented
        return dispatch.ufunc_rule(ufunc, method)(*_without_labels(inputs), **kwargs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        args = _without_labels(args)
        rule = dispatch.rule_of_call(function, args)
        decided = decided_options(function, rule, args, kwargs)
        return rule(*args, **kwargs) if decided is None else function(*decided[0], **decided[1])

    def __getitem__(self, key: Any) -> Any:
        value = self.value
        if type(key) is int and self.root is None and type(value) is np.ndarray and value.ndim == 1:
            return self.entry(key if key >= 0 else key + len(value), value[key])
        if isinstance(key, str):
            raise IndexError(f"a traced array has no {key!r}: {_NO_LABELS}")
        return dispatch.FUNCTIONS[operator.getitem](self, key)

    def entry(self, place: int, value: Any) -> SymbolicArray:
        """Return an entry of a root by its place in C order, the same object when it is read again: it is immutable."""
        read = self._read
        if read is None:
            read = self._read = {}
        entry: SymbolicArray | None = read.get(place)
        if entry is None:
            entry = read[place] = SymbolicArray(self._node.get_nz(False, place), value)
        return entry

    def __setitem__(self, key: Any, new: Any) -> None:
        dispatch.FUNCTIONS[operator.setitem](self, key, new)

    def astype(self, dtype: npt.DTypeLike, order: str = "K", casting: str = "unsafe",
               subok: bool = True, copy: bool = True) -> Any:  # fmt: skip
        """Return the array cast as NumPy casts: to an integer dtype by truncation."""
        return dispatch.FUNCTIONS[np.ndarray.astype](self, dtype, order, casting, subok, copy)

    def copy(self, order: Any = "C") -> SymbolicArray:
        """Return a copy: writes to it do not reach this array."""
        if not isinstance(self.value, np.ndarray):
            return SymbolicArray(self.node, self.value)
        return EntriesOfSymbolicArray(self.node, self.value.copy(order))

    def __copy__(self) -> SymbolicArray:
        return self.copy("K")

    def __deepcopy__(self, memo: Any) -> SymbolicArray:
        return self.copy("K")

    def fill(self, number: Any) -> None:
        """Set every entry to a number."""
        if isinstance(number, list | tuple) or np.ndim(number):
            raise ValueError("fill takes a number, and got an array or a list. Write array[...] = entries.")
        self[...] = number

    def item(self, *position: Any) -> Any:
        """Return one entry, still traced."""
        chosen = np.arange(self.size).reshape(self.shape).item(*position)
        return np.ravel(self)[chosen]

    def tolist(self) -> Any:
        """Return nested lists of traced entries."""
        return [entry.tolist() for entry in self] if self.ndim else self[()]

    # --- what decides the path of the user's code -----------------------------------------------

    def __bool__(self) -> bool:
        value = bool(self.value)
        is_boolean = self.dtype.kind == "b"
        require_truth_asked_by_python(sys._getframe(1), is_boolean)
        return decided_truth(self.node, is_boolean, value)

    def __int__(self) -> int:
        value = int(self.value)
        integer: Any = self if self.dtype.kind in "iub" else np.trunc(self)
        return decided_integer(integer.node, value)

    def __trunc__(self) -> int:
        return int(self)

    def __floor__(self) -> int:
        return int(np.floor(self))

    def __ceil__(self) -> int:
        return int(np.ceil(self))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"a traced value of dtype {self.dtype} cannot be interpreted as an integer; use int()")
        return decided_integer(self.node, operator.index(self.value))

    def decided(self) -> Any:
        """Return the actual values of an array of booleans or integers, with a guard for each entry.

        Raises
        ------
        IndexError
            If the array is neither of booleans nor of integers.
        """
        kind = self.dtype.kind
        if kind not in "iub":
            raise IndexError(
                f"a traced array of dtype {self.dtype} cannot be an index; one of integers or booleans can"
            )
        nodes = flat(self.node)
        outcomes = [
            decided_truth(nodes.get_nz(False, place), True, bool(value))
            if kind == "b"
            else decided_integer(nodes.get_nz(False, place), int(value))
            for place, value in enumerate(np.ravel(self.value))
        ]
        return np.array(outcomes, dtype=self.dtype).reshape(self.shape)[()]

    def _as_index(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the actual values as an array, for NumPy: ``__array__`` of booleans and integers."""
        return np.asarray(self.decided(), dtype)

    # --- what would lose the derivative, but of booleans and integers, which have none ---------

    def __float__(self) -> float:
        if self.dtype.kind in "iub":
            return float(self.decided())
        if is_formatting(sys._getframe(1)):
            return float(self._shown("%"))
        raise plain_number_error("float")

    def __complex__(self) -> complex:
        if self.dtype.kind in "iub":
            return complex(self.decided())
        raise plain_number_error("complex")


class EntriesOfSymbolicArray(SymbolicArray):
    """What NumPy has as an array, of no axes too, and not as a number: it has a length, and is iterated over."""

    __slots__ = ()

    @classmethod
    def window_on(cls, root: SymbolicArray, geometry: Geometry, value: npt.NDArray[Any]) -> SymbolicArray:
        """Return a view of a root; its node is made when it is first asked for."""
        array = cls.__new__(cls)
        array.root = root
        array.geometry = geometry
        array.value = value
        array.version = -1
        array._read = None
        return array

    def __len__(self) -> int:
        shuffles.note_count(sys._getframe(1))
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            iter(self.value)  # raises what NumPy raises
        return (self[position] for position in range(len(self.value)))

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(self == item))


def _answered(number: SymbolicArray, name: str) -> Any:
    """Return what a method of the number gives, after a decision on what it asks."""
    if name == "is_integer":
        return bool(np.isfinite(number) & (np.floor(number) == number))
    return getattr(type(number.value)(int(number)), name)()


#: Messages of Python's and NumPy's name the class: to users it is one.
EntriesOfSymbolicArray.__name__ = SymbolicArray.__name__


def _without_labels(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return operands with the arrays of other libraries, a Series of pandas, as plain arrays."""
    return tuple([operand if type(operand) in _KNOWN else _plain(operand) for operand in operands])


def _answers_ufuncs(kind: type) -> bool:
    """Tell whether NumPy is to ask a class of another library or of the user's, which is no array, in our place."""
    return hasattr(kind, "__array_ufunc__") and not hasattr(kind, "__array__") and not issubclass(kind, SymbolicArray)


def _plain(operand: Any) -> Any:
    if type(operand).__module__.startswith("scipy.sparse"):
        raise trace_error(
            "A scipy.sparse array met a traced one outside of a product; a plain array was expected.",
            "Write A @ x for a product, arc.linear_solve(A, b) for a solve, A.toarray() for all else.",
        )
    if isinstance(operand, SymbolicArray | np.generic | type):
        return operand
    if isinstance(operand, np.ndarray):
        unlike = unlike_arrays(operand)
        # A masked array that masks nothing means its entries.
        if unlike is not None and not (isinstance(operand, np.ma.MaskedArray) and not np.ma.is_masked(operand)):
            raise trace_error(
                f"A {type(operand).__name__}, {unlike}, met a traced array; a plain array was expected.",
                "Write np.asarray of it, and what that leaves out by itself: weights for a mask, @ for a product.",
            )
        return operand
    return np.asarray(operand) if hasattr(operand, "__array__") else operand
