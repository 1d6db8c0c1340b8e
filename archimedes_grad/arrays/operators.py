"""Python's operators on traced arrays.

Two traced scalars, or one and a plain number, take a short way straight to the CasADi node: loops over
``x[i]`` are made of these. Everything else goes to the ufunc, as NumPy's own operators do.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.arrays.constants import scalar_node
from archimedes_grad.arrays.dispatch import ELEMENTWISE
from archimedes_grad.arrays.trace_state import current_trace, outlived, trace_error

_float64 = np.float64
_FLOATS = (np.float64, float)
_PYTHONS = (int, float)

_Operator = Callable[[Any, Any], Any]

#: Types of operands that never answer in NumPy's place; traced arrays join them.
_KNOWN: set[type] = {np.ndarray, np.float64, float, int, bool, complex, list, tuple, str, bytes, type(None)}
_NUMPYS = (np.ndarray, np.generic, float, int, complex, list, tuple, str, bytes)

_MIRRORED = {"lt": "__gt__", "le": "__ge__", "eq": "__eq__", "ne": "__ne__", "gt": "__lt__", "ge": "__le__"}


def _reflection_of(name: str) -> str:
    """Return the method that Python asks of the right operand where the left one does not know what to do."""
    return _MIRRORED.get(name) or f"__r{name.strip('_')}__"


def _counterpart(self: Any, other: Any, reflection: str) -> Any:
    """Return an operand of another type as NumPy takes it; NotImplemented where Python is to ask it.

    NumPy's arrays and numbers step back for who opts out of ufuncs or claims a higher priority. Of an object that is no
    array its numbers ask the reflected operator; its arrays do so for each entry, and make an array of objects.
    """
    kind = type(other)
    if isinstance(other, _NUMPYS) or kind.__module__.startswith("scipy.sparse"):
        return other
    if hasattr(kind, "__array_ufunc__"):
        return NotImplemented if kind.__array_ufunc__ is None else other
    if isinstance(other, numbers.Rational):
        # Comparisons are exact.
        return float(other) if reflection not in _MIRRORED.values() or float(other) == other else other
    is_array = isinstance(self.value, np.ndarray) and self.ndim > 0
    priority = getattr(other, "__array_priority__", None)
    if priority is not None and (priority > 0 or not is_array):
        return NotImplemented
    method = getattr(kind, reflection, None)
    own = method is not None and method is not getattr(object, reflection, None)
    if hasattr(kind, "__len__") or hasattr(kind, "__array__") or not (own or reflection in ("__eq__", "__ne__")):
        return other
    if not is_array:
        return NotImplemented
    raise trace_error(
        f"A traced array met a {kind.__name__} where numbers were expected: NumPy asks it for each entry "
        f"({reflection}), and makes an array of objects.",
        f"Write __array_ufunc__ = None in the class {kind.__name__}, so that it is asked for the whole array.",
    )


def _asking(general: _Operator, reflection: str) -> _Operator:
    """Return an operator that lets other operands answer where NumPy's does."""

    def method(self: Any, other: Any) -> Any:
        if type(other) not in _KNOWN:
            other = _counterpart(self, other, reflection)
            if other is NotImplemented:
                return NotImplemented
        return general(self, other)

    return method


def _reflected(general: _Operator) -> _Operator:
    """Return the reflected method of an operator without a short way."""

    def method(self: Any, other: Any) -> Any:
        return general(float(other) if _is_fraction(other) else other, self)

    return method


def _keeping_pythons(general: _Operator) -> _Operator:
    """Return an operator that gives Python's numbers of such, which take on the dtype of the arrays that they meet."""

    def method(a: Any, b: Any) -> Any:
        result = general(a, b)
        return _kept(result) if _is_pythons(a) and _is_pythons(b) else result

    return method


def _is_pythons(operand: Any) -> bool:
    return type(operand.value if _is_traced(operand) else operand) in _PYTHONS


def _is_traced(operand: Any) -> bool:
    return isinstance(operand, Operators)


def _of_one(general: Callable[[Any], Any], operand: Any) -> Any:
    return _kept(general(operand)) if _is_pythons(operand) else general(operand)


def _kept(result: Any) -> Any:
    """Return traced numbers with values of Python's."""
    if isinstance(result, tuple):
        return tuple(map(_kept, result))
    return type(result)(result.node, _of_pythons(result.value)) if _is_traced(result) else result


def _of_pythons(value: Any) -> Any:
    """Return a number of NumPy's as Python's; truth values as they are."""
    return value.item() if value.dtype.kind in "if" else value


def _is_fraction(other: Any) -> bool:
    return type(other) not in _KNOWN and not isinstance(other, _NUMPYS) and isinstance(other, numbers.Rational)


def _binary_node(opcode: int, a: cs.MX, b: cs.MX) -> cs.MX:
    if current_trace() is None:
        raise outlived()
    return cs.MX.binary(opcode, a, b)


def _product(a: Any, b: Any) -> Any:
    """Return a product as NumPy's scalars and arrays mean it: an integer that is no array repeats a sequence."""
    for number, other in ((a, b), (b, a)):
        if isinstance(other, list | tuple | str | bytes) and not isinstance(number.value, np.ndarray):
            # With a scalar of another dtype this raises what NumPy raises.
            return other * (operator.index(number) if number.dtype.kind in "iu" else number.value)
    return np.multiply(a, b)


def _operator(
    ufunc: np.ufunc, function: _Operator, opcode: int, general: _Operator | None = None
) -> tuple[_Operator, _Operator]:
    """Return an operator's method and its reflected method; ``general`` is what the ufunc would do, if it is more."""
    general = _keeping_pythons(general or ufunc)
    asked = _asking(general, _reflection_of(function.__name__))
    answered = _reflected(general)
    adds = opcode in (cs.OP_ADD, cs.OP_SUB)  # A zero that is added needs a second look.

    def computed(a: Any, b: Any) -> Any:
        if type(a) is _float64 or type(b) is _float64:
            return function(a, b)
        # As NumPy's numbers: Python's raise by zero.
        return _of_pythons(function(_float64(a), b))

    def forward(self: Any, other: Any) -> Any:
        value = self.value
        if type(value) in _FLOATS:
            kind = type(other)
            if (kind is float or kind is int) and (other or not adds):
                node = _binary_node(opcode, self._node, scalar_node(other))
                return type(self)(node, computed(value, other))
            if kind is type(self) and type(other.value) in _FLOATS and other is not self:
                node = _binary_node(opcode, self._node, other._node)
                return kind(node, computed(value, other.value))
        return general(self, other) if type(other) in _KNOWN else asked(self, other)

    def reflected(self: Any, other: Any) -> Any:
        value = self.value
        kind = type(other)
        if type(value) in _FLOATS and (kind is float or kind is int) and (other or not adds):
            node = _binary_node(opcode, scalar_node(other), self._node)
            return type(self)(node, computed(other, value))
        return general(other, self) if kind in _KNOWN else answered(self, other)

    return forward, reflected


def _equality(ufunc: np.ufunc, function: _Operator, opcode: int) -> _Operator:
    """Return a comparison that also takes what is no number: NumPy's answer, the same for every value."""
    compare, _ = _operator(ufunc, function, opcode)

    def method(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, str | bytes):
            return function(self.value, other)
        return compare(self, other)

    return method


def _in_place(ufunc: np.ufunc, function: _Operator) -> _Operator:
    """Return an in-place operator's method: NumPy writes into arrays and rebinds scalars."""

    def method(self: Any, other: Any) -> Any:
        if isinstance(self.value, np.ndarray):
            return ufunc(self, other, out=self)
        return function(self, other)

    return method


def _of_ufunc(ufunc: np.ufunc, name: str) -> tuple[_Operator, _Operator]:
    """Return an operator's method and its reflected method without a short way."""
    general = _keeping_pythons(ufunc)
    return _asking(general, _reflection_of(name)), _reflected(general)


_product_of_matrices, _product_from_the_right = _of_ufunc(np.matmul, "matmul")


def _matmul(self: Any, other: Any) -> Any:
    # A plain sparse matrix knows how to stand on the right of an array.
    sparse = type(other).__module__.startswith("scipy.sparse")
    return NotImplemented if sparse else _product_of_matrices(self, other)


_power, _power_of_other = _of_ufunc(np.power, "pow")


class Operators:
    """The operators: one row each."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        _KNOWN.add(cls)

    __add__, __radd__ = _operator(np.add, operator.add, cs.OP_ADD)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub, cs.OP_SUB)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul, cs.OP_MUL, _product)
    __truediv__, _divided = _operator(np.true_divide, operator.truediv, cs.OP_DIV)
    __lt__, _ = _operator(np.less, operator.lt, cs.OP_LT)
    __le__, _ = _operator(np.less_equal, operator.le, cs.OP_LE)
    __eq__ = _equality(np.equal, operator.eq, cs.OP_EQ)
    __ne__ = _equality(np.not_equal, operator.ne, cs.OP_NE)
    __gt__, _ = _of_ufunc(np.greater, "gt")
    __ge__, _ = _of_ufunc(np.greater_equal, "ge")
    __floordiv__, __rfloordiv__ = _of_ufunc(np.floor_divide, "floordiv")
    __mod__, __rmod__ = _of_ufunc(np.remainder, "mod")
    __divmod__, __rdivmod__ = _of_ufunc(np.divmod, "divmod")
    __rmatmul__ = _product_from_the_right
    __matmul__ = _matmul
    __and__, __rand__ = _of_ufunc(np.bitwise_and, "and")
    __or__, __ror__ = _of_ufunc(np.bitwise_or, "or")
    __xor__, __rxor__ = _of_ufunc(np.bitwise_xor, "xor")
    __lshift__, __rlshift__ = _of_ufunc(np.left_shift, "lshift")
    __rshift__, __rrshift__ = _of_ufunc(np.right_shift, "rshift")
    del _

    __iadd__ = _in_place(np.add, operator.add)
    __isub__ = _in_place(np.subtract, operator.sub)
    __imul__ = _in_place(np.multiply, operator.mul)
    __itruediv__ = _in_place(np.true_divide, operator.truediv)
    __ifloordiv__ = _in_place(np.floor_divide, operator.floordiv)
    __imod__ = _in_place(np.remainder, operator.mod)
    __ipow__ = _in_place(np.power, operator.pow)
    __imatmul__ = _in_place(np.matmul, operator.matmul)
    __iand__ = _in_place(np.bitwise_and, operator.and_)
    __ior__ = _in_place(np.bitwise_or, operator.or_)
    __ixor__ = _in_place(np.bitwise_xor, operator.xor)
    __ilshift__ = _in_place(np.left_shift, operator.lshift)
    __irshift__ = _in_place(np.right_shift, operator.rshift)

    def __rtruediv__(self: Any, other: Any) -> Any:
        # CasADi would simplify 1 / (1 / x) to x and so lose an overflow: the ufunc's rule does not let it.
        if type(other) in (int, float) and other == 1 and self.node.op() == cs.OP_INV:
            return _keeping_pythons(np.true_divide)(other, self)
        return self._divided(other)

    def __pow__(self: Any, other: Any) -> Any:
        # Squares and cubes are products: pow costs several times as much, and its derivative again.
        if type(self.value) is _float64 and type(other) in (int, float) and other in (2, 3):
            if current_trace() is None:
                raise outlived()
            node = ELEMENTWISE[np.square](self._node)
            if other == 3:
                node = _binary_node(cs.OP_MUL, node, self._node)
            return type(self)(node, self.value**other)
        if self.dtype.kind == "b" and type(other) is int:
            # The operator of NumPy's arrays takes squares by another ufunc, whose dtype is another one here.
            return np.power(self, other).astype((self.value**other).dtype, copy=False)
        return _power(self, other)

    __rpow__ = _power_of_other

    def __neg__(self: Any) -> Any:
        return _of_one(np.negative, self)

    def __pos__(self: Any) -> Any:
        return _of_one(np.positive, self)

    def __abs__(self: Any) -> Any:
        return _of_one(np.absolute, self)

    def __invert__(self: Any) -> Any:
        return _of_one(np.invert, self)

    def __round__(self: Any, digits: int | None = None) -> Any:
        if self.ndim:
            raise TypeError(f"round takes a number, and got an array of shape {self.shape}. Use np.round.")
        # Without digits Python gives an integer, which may be an index.
        return _of_one(lambda x: np.rint(x).astype(int) if digits is None else np.round(x, digits), self)
