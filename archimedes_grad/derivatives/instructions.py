"""The instructions of a ``casadi.Function``, read as a graph of operations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as cs
import numpy as np

_OPERATION_NAMES = {
    getattr(cs, name): name.removeprefix("OP_").lower() for name in dir(cs) if name.startswith("OP_")
}
#: Operations that move numbers in and out and compute nothing.
BOOKKEEPING = ("input", "output", "const", "parameter")

#: What an operation is called where CasADi's own name is not what users of NumPy say.
_WORDS = {
    "add": "+", "sub": "a − b", "mul": "×", "div": "a ÷ b", "neg": "−", "sq": "square", "twice": "2 ×", "inv": "1 ÷",
    "lt": "a < b", "le": "a ≤ b", "eq": "=", "ne": "≠", "not": "not", "fabs": "abs", "pow": "a ** b",
    "constpow": "a ** b", "if_else_zero": "b where a", "mtimes": "matmul", "fmin": "minimum", "fmax": "maximum",
    "getnonzeros": "take", "getnonzeros_param": "take", "setnonzeros": "put", "setnonzeros_param": "put",
    "addnonzeros": "add to entries", "addnonzeros_param": "add to entries", "horzcat": "join", "vertcat": "join",
    "horzsplit": "split", "vertsplit": "split", "horzrepmat": "repeat", "horzrepsum": "sum of repetitions",
    "norm2": "norm", "norminf": "norm, inf", "norm1": "norm, 1", "normf": "norm", "mmin": "min", "mmax": "max",
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "atan2": "arctan2(a, b)", "fmod": "fmod(a, b)", "remainder": "remainder(a, b)", "copysign": "copysign(a, b)",
}  # fmt: skip
#: The operations whose word says which operand is which.
_LETTERED = {name for name, word in _WORDS.items() if "a" in re.findall(r"\w+", word)}


def operation_name(function: cs.Function, k: int) -> str:
    """Return CasADi's name of the operation of an instruction."""
    return _OPERATION_NAMES[function.instruction_id(k)]


@dataclass
class Operation:
    """An input, a constant, an operation or an output of a graph.

    Attributes
    ----------
    kind
        ``"input"``, ``"constant"``, ``"operation"`` or ``"output"``.
    label
        What it is: the operation in NumPy's words, the argument's entry, the number.
    group
        The label without what tells entries apart: of ``x[3]``, ``x``.
    shape
        The lengths of its axes longer than 1.
    operands
        Positions of what it reads, each with the letter that the label calls it by, or nothing.
    depth
        How many operations lie before it, on the longest way.
    """

    kind: str
    label: str
    group: str
    shape: tuple[int, ...]
    operands: list[tuple[int, str]]
    depth: int

    @cached_property
    def is_zero(self) -> bool:
        """Whether it is the constant 0."""
        return self.kind == "constant" and self.label == "0"


def operation_counts(function: cs.Function) -> Counter[str]:
    """Return how often each kind of operation occurs in a Function, of those that compute something."""
    kinds = (operation_name(function, k) for k in range(function.n_instructions()))
    return Counter(kind for kind in kinds if kind not in BOOKKEEPING)


def operations(
    function: cs.Function, inputs: Sequence[tuple[str, tuple[int, ...]]], outputs: Sequence[tuple[str, tuple[int, ...]]]
) -> list[Operation]:
    """Return the operations of a Function, each after what it reads.

    Parameters
    ----------
    inputs, outputs
        The name and the NumPy shape of each input and output of the Function.
    """
    return _Reader(function, inputs, outputs).operations


class _Reader:
    """Follows the instructions, and remembers what was last written to each place of the working memory."""

    def __init__(self, function: cs.Function, inputs: Any, outputs: Any) -> None:
        self.function = function
        self.of_arrays = function.class_name() == "MXFunction"
        self.names = {"input": inputs, "output": outputs}
        self.operations: list[Operation] = []
        self.written: dict[int, int] = {}
        for k in range(function.n_instructions()):
            self._read(k)

    def _read(self, k: int) -> None:
        name = operation_name(self.function, k)
        read, written = self.function.instruction_input(k), self.function.instruction_output(k)
        if name in ("input", "parameter"):
            label, group, shape = self._entry("input", k, read)
            self._add("input", label, group, shape, [], written)
        elif name == "output":
            label, group, shape = self._entry("output", k, written)
            self._add("output", label, group, shape, [(self.written[read[0]], "")], [])
        elif name == "const":
            label, shape = self._constant(k)
            self._add("constant", label, label, shape, [], written)
        elif name in ("transpose", "reshape") and 1 in self._shape(k):
            # The same numbers in the same order: CasADi tells rows from columns, NumPy's vectors have neither.
            self.written[written[0]] = self.written[read[0]]
        else:
            word = self._word(name, k)
            self._add("operation", word, word, self._shape(k), self._operands(name, read), written)

    def _add(
        self, kind: str, label: str, group: str, shape: tuple[int, ...], operands: list[tuple[int, str]],
        written: list[int],
    ) -> None:  # fmt: skip
        depth = 1 + max((self.operations[source].depth for source, _ in operands), default=-1)
        shown = tuple(length for length in shape if length != 1)
        self.operations.append(Operation(kind, label, group, shown, operands, depth))
        for place in written:
            if place >= 0:
                self.written[place] = len(self.operations) - 1

    def _entry(self, side: str, k: int, places: list[int]) -> tuple[str, str, tuple[int, ...]]:
        name, shape = self.names[side][places[0]]
        if self.of_arrays:
            return name, name, shape
        if not shape or int(np.prod(shape)) == 1:
            return name, name, ()
        entry = ", ".join(str(int(position)) for position in np.unravel_index(places[1], shape))
        return f"{name}[{entry}]", name, ()

    def _constant(self, k: int) -> tuple[str, tuple[int, ...]]:
        if not self.of_arrays:
            return f"{self.function.instruction_constant(k):g}", ()
        constant = self.function.instruction_MX(k)
        numbers = np.unique(np.asarray(constant.to_DM().full()))
        return (f"{numbers[0]:g}" if numbers.size == 1 else "constants"), self._shape(k)

    def _shape(self, k: int) -> tuple[int, ...]:
        # Arrays are stored transposed.
        return tuple(reversed(self.function.instruction_MX(k).shape)) if self.of_arrays else (1, 1)

    def _word(self, name: str, k: int) -> str:
        if name == "call" and self.of_arrays:
            node = self.function.instruction_MX(k)
            return str((node if node.is_call() else node.dep(0)).which_function().name())
        return _WORDS.get(name, name)

    def _operands(self, name: str, read: list[int]) -> list[tuple[int, str]]:
        sources = [self.written[place] for place in read if place >= 0]
        if name == "mtimes" and self.operations[sources[0]].is_zero:
            # A product is added to its first operand, which is 0 where nothing is added.
            sources = sources[1:]
        letters = "ab" if name in _LETTERED else ("",) * len(sources)
        return list(zip(sources, letters, strict=True))
