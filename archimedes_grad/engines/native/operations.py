"""What each elementwise operation is in C, and what it costs."""

from __future__ import annotations

import math
from typing import NamedTuple

import casadi as cs


class Operation(NamedTuple):
    """An elementwise operation.

    Attributes
    ----------
    c
        Its C expression, with ``{0}`` and ``{1}`` for the operands.
    cost
        Beside an addition, in a vectorised loop.
    """

    c: str
    cost: int


def _function(name: str, cost: int = 20) -> Operation:
    return Operation(name + "({0})", cost)


OPERATIONS: dict[int, Operation] = {
    cs.OP_ASSIGN: Operation("{0}", 0),
    cs.OP_LIFT: Operation("{0}", 0),
    cs.OP_ADD: Operation("({0} + {1})", 1),
    cs.OP_SUB: Operation("({0} - {1})", 1),
    cs.OP_MUL: Operation("({0} * {1})", 1),
    cs.OP_DIV: Operation("({0} / {1})", 5),
    cs.OP_NEG: Operation("(-{0})", 1),
    cs.OP_SQ: Operation("({0} * {0})", 1),
    cs.OP_TWICE: Operation("(2.0 * {0})", 1),
    cs.OP_INV: Operation("(1.0 / {0})", 5),
    cs.OP_SQRT: Operation("sqrt({0})", 6),
    cs.OP_FABS: Operation("fabs({0})", 1),
    cs.OP_FLOOR: Operation("floor({0})", 2),
    cs.OP_CEIL: Operation("ceil({0})", 2),
    cs.OP_SIGN: Operation("sign_of({0})", 2),
    cs.OP_COPYSIGN: Operation("copysign({0}, {1})", 2),
    cs.OP_LT: Operation("(double)({0} < {1})", 1),
    cs.OP_LE: Operation("(double)({0} <= {1})", 1),
    cs.OP_EQ: Operation("(double)({0} == {1})", 1),
    cs.OP_NE: Operation("(double)({0} != {1})", 1),
    cs.OP_NOT: Operation("(double)({0} == 0.0)", 1),
    cs.OP_AND: Operation("(double)({0} != 0.0 && {1} != 0.0)", 2),
    cs.OP_OR: Operation("(double)({0} != 0.0 || {1} != 0.0)", 2),
    cs.OP_IF_ELSE_ZERO: Operation("({0} != 0.0 ? {1} : 0.0)", 1),
    cs.OP_FMAX: Operation("larger({0}, {1})", 2),
    cs.OP_FMIN: Operation("smaller({0}, {1})", 2),
    cs.OP_FMOD: Operation("fmod({0}, {1})", 40),
    cs.OP_REMAINDER: Operation("remainder({0}, {1})", 40),
    cs.OP_POW: Operation("pow({0}, {1})", 40),
    cs.OP_CONSTPOW: Operation("pow({0}, {1})", 40),
    cs.OP_ATAN2: Operation("atan2({0}, {1})", 40),
    cs.OP_HYPOT: Operation("hypot({0}, {1})", 20),
    cs.OP_EXP: _function("exp"),
    cs.OP_LOG: _function("log"),
    cs.OP_LOG1P: _function("log1p"),
    cs.OP_EXPM1: _function("expm1"),
    cs.OP_SIN: _function("sin"),
    cs.OP_COS: _function("cos"),
    cs.OP_TAN: _function("tan"),
    cs.OP_ASIN: _function("asin"),
    cs.OP_ACOS: _function("acos"),
    cs.OP_ATAN: _function("atan"),
    cs.OP_SINH: _function("sinh"),
    cs.OP_COSH: _function("cosh"),
    cs.OP_TANH: _function("tanh"),
    cs.OP_ASINH: _function("asinh"),
    cs.OP_ACOSH: _function("acosh"),
    cs.OP_ATANH: _function("atanh"),
    cs.OP_ERF: _function("erf"),
}

#: The functions of the C library that operations call, and in how many arguments.
LIBRARY_FUNCTIONS = {
    "exp": 1, "log": 1, "sin": 1, "cos": 1, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "sinh": 1, "cosh": 1, "tanh": 1,
    "asinh": 1, "acosh": 1, "atanh": 1, "erf": 1, "log1p": 1, "expm1": 1, "pow": 2, "atan2": 2, "hypot": 2, "fmod": 2,
    "remainder": 2, "copysign": 2, "sqrt": 1, "fabs": 1, "floor": 1, "ceil": 1,
}  # fmt: skip

#: Those that glibc's vector library has for loops, and since which version.
VECTOR_FUNCTIONS = {
    "exp": "2, 22", "log": "2, 22", "sin": "2, 22", "cos": "2, 22", "pow": "2, 22", "tan": "2, 35", "asin": "2, 35",
    "acos": "2, 35", "atan": "2, 35", "atan2": "2, 35", "sinh": "2, 35", "cosh": "2, 35", "tanh": "2, 35",
    "asinh": "2, 35", "acosh": "2, 35", "atanh": "2, 35", "erf": "2, 35", "log1p": "2, 35", "expm1": "2, 35",
    "hypot": "2, 35",
}  # fmt: skip


def literal(number: float) -> str:
    """Return a number as a C literal that reads back as the same number."""
    if math.isnan(number):
        return "NAN"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "(-INFINITY)"
    text = repr(float(number))
    return f"({text})" if text.startswith("-") else text
