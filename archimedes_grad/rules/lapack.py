"""Matrix factorisations as nodes: NumPy evaluates them, and their derivatives are formulas in the graph.

CasADi has no node for an eigenvalue or singular value decomposition. A ``MatrixCall`` is one: a CasADi
function that calls NumPy (and so LAPACK) on the buffers of an evaluation. It is differentiated by a formula
on its inputs and outputs, built of ordinary nodes and other calls, which can be differentiated again.

Calls are kept for the length of the process, one for each kind and shape: CasADi holds no reference to
them, and a graph that outlives its call would crash.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.arrays.trace_state import note_call
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import Shape, flat, repeated_number, stored_shape
from archimedes_grad.nodes.python_calls import PythonCall, write_outputs
from archimedes_grad.rules.branches import REGULAR_POINTS

Array = npt.NDArray[np.float64]
Matrices = Sequence[cs.MX]

#: (stacked inputs, which outputs are wanted) -> stacked outputs, None for one not wanted.
Evaluation = Callable[[Sequence[Array], Sequence[bool]], Sequence[Any]]

#: (inputs, outputs, sensitivities of a scalar to the outputs) -> its sensitivities to the inputs, of one
#: item of a stack; matrices as NumPy shows them, vectors as columns, numbers as 1 by 1.
Reverse = Callable[[Matrices, Matrices, Matrices], Sequence[cs.MX]]

#: The same of a whole stack, as it is stored, with the number of items as first argument.
StackReverse = Callable[[int, Matrices, Matrices, Matrices], Sequence[cs.MX]]


def without_derivative(inputs: Matrices, outputs: Matrices, seeds: Matrices) -> Matrices:
    """Return zeros: the reverse form of what is constant between jumps."""
    return [cs.MX(cs.DM.zeros(*node.shape)) for node in inputs]


@dataclass(frozen=True)
class Kind:
    """A function of matrices: how NumPy evaluates it, and how it is differentiated.

    A reverse form that is itself a call is given for the whole stack as well: mapped over the items it
    would go to Python for each of them.
    """

    name: str
    evaluate: Evaluation
    reverse: Reverse
    stack_reverse: StackReverse | None = None
    #: Of what is computed entry by entry and cannot fail: where each argument has finite derivatives.
    regular_point: tuple[float, ...] | None = None


class MatrixCall(PythonCall):
    """A function of stacks of matrices that NumPy evaluates.

    Parameters
    ----------
    shapes_in, shapes_out
        The NumPy shapes of one item of each input and output.
    count
        How many items a stack has.
    """

    def __init__(self, kind: Kind, shapes_in: Sequence[Shape], shapes_out: Sequence[Shape], count: int) -> None:
        def stacked(shape: Shape) -> tuple[int, int]:
            rows, columns = stored_shape(shape)
            return rows, columns * count

        super().__init__(map(stacked, shapes_in), map(stacked, shapes_out))
        self.kind = kind
        self.shapes_in, self.shapes_out, self.count = tuple(shapes_in), tuple(shapes_out), count
        # Else CasADi takes the derivative of n numbers by n for a full matrix, and computes with it.
        has_none = kind.reverse is without_derivative and kind.regular_point is None
        self.construct(kind.name, {"is_diff_in": [False] * len(self.shapes_in)} if has_none else {})

    # What CasADi asks of a callback; the names are its own.

    def eval_buffer(self, arg: Sequence[memoryview | None], res: Sequence[memoryview | None]) -> int:
        """Evaluate; 1 where NumPy raises, which the engine reports as a LinAlgError."""
        try:
            inputs = [self._view(buffer, shape) for buffer, shape in zip(arg, self.shapes_in, strict=True)]
            with np.errstate(all="ignore"):
                outputs = self.kind.evaluate(inputs, [buffer is not None for buffer in res])
        except (np.linalg.LinAlgError, ValueError):
            return 1
        write_outputs(res, outputs)
        return 0

    def _view(self, buffer: memoryview | None, shape: Shape) -> Array:
        full = (self.count, *shape)
        return np.zeros(full) if buffer is None else np.frombuffer(buffer).reshape(full)

    def has_jac_sparsity(self, oind: int, iind: int) -> bool:
        """Tell where the structure is known: of what is computed entry by entry."""
        return self.kind.regular_point is not None

    def get_jac_sparsity(self, oind: int, iind: int, symmetric: bool) -> cs.Sparsity:
        """Return the structure of the derivative: each entry by its own."""
        return cs.Sparsity.diag(self.nnz_out(oind))

    def get_reverse(self, nadj: int, name: str, inames: Any, onames: Any, opts: Any) -> cs.Function:
        """Return the function that takes sensitivities from the outputs to the inputs."""
        if self.kind.stack_reverse is not None:
            groups = [
                self._symbols(symbol, shapes, self.count)
                for symbol, shapes in (("x", self.shapes_in), ("y", self.shapes_out), ("seed", self.shapes_out))
            ]
            results = [cs.densify(node) for node in self.kind.stack_reverse(self.count, *groups)]
            return graph_function(name, [s for group in groups for s in group], results, (inames, onames), **opts)
        inputs, outputs = self._symbols("x", self.shapes_in), self._symbols("y", self.shapes_out)
        seeds = self._symbols("seed", self.shapes_out)
        sensitivities = self._pulled_back(inputs, outputs, seeds)
        return self._per_item(name, [*inputs, *outputs, *seeds], sensitivities, inames, onames, opts)

    def get_forward(self, nfwd: int, name: str, inames: Any, onames: Any, opts: Any) -> cs.Function:
        """Return the function that takes directions from the inputs to the outputs: the transposed reverse."""
        inputs, outputs = self._symbols("x", self.shapes_in), self._symbols("y", self.shapes_out)
        seeds, directions = self._symbols("seed", self.shapes_out), self._symbols("direction", self.shapes_in)
        pulled_back = cs.veccat(*self._pulled_back(inputs, outputs, seeds))
        # Only the way from the seeds counts. What hangs on inputs and outputs alone is cut out of the sweep,
        # which would differentiate the calls in it, and those call this function again.
        (linear,), cut, known = cs.extract_parametric([pulled_back], cs.veccat(*inputs, *outputs))
        pushed = [cs.jtimes(linear, seed, cs.veccat(*directions), True) for seed in seeds]
        # The map is linear, so its derivative is the same wherever the seeds are.
        zeros = [cs.MX(cs.DM.zeros(seed.size1(), seed.size2())) for seed in seeds]
        pushed = cs.substitute(pushed, [*cut, *seeds], [*known, *zeros])
        return self._per_item(name, [*inputs, *outputs, *directions], pushed, inames, onames, opts)

    def _symbols(self, name: str, shapes: Sequence[Shape], count: int = 1) -> list[cs.MX]:
        sizes = map(stored_shape, shapes)
        return [cs.MX.sym(f"{name}{i}", rows, columns * count) for i, (rows, columns) in enumerate(sizes)]

    def _pulled_back(self, inputs: Matrices, outputs: Matrices, seeds: Matrices) -> list[cs.MX]:
        shapes = (self.shapes_in, self.shapes_out, self.shapes_out)
        shown = [
            [_shown(node, shape) for node, shape in zip(nodes, group, strict=True)]
            for nodes, group in zip((inputs, outputs, seeds), shapes, strict=True)
        ]
        results = self.kind.reverse(*shown)
        return [cs.densify(_shown(node, shape)) for node, shape in zip(results, self.shapes_in, strict=True)]

    def _per_item(
        self, name: str, symbols: list[cs.MX], results: list[cs.MX], inames: Any, onames: Any, opts: Any
    ) -> cs.Function:
        if self.count == 1:
            return graph_function(name, symbols, results, (inames, onames), **opts)
        item = graph_function(f"{name}_item", symbols, results)
        stacks = [cs.MX.sym(s.name(), s.size1(), s.size2() * self.count) for s in symbols]
        return graph_function(name, stacks, item.map(self.count).call(stacks), (inames, onames), **opts)


def _shown(node: cs.MX, shape: Shape) -> cs.MX:
    """Return a matrix as NumPy shows it for one as it is stored, and the other way round."""
    return node.T if len(shape) == 2 else node


_making = threading.Lock()


@functools.cache
def _made(kind: Kind, shapes_in: tuple[Shape, ...], shapes_out: tuple[Shape, ...], count: int) -> MatrixCall:
    return MatrixCall(kind, shapes_in, shapes_out, count)


def matrix_call(
    kind: Kind, shapes_in: Sequence[Shape], shapes_out: Sequence[Shape], count: int = 1
) -> MatrixCall:
    """Return the call of a kind for given shapes of one item, and the number of items in a stack."""
    with _making:
        call = _made(kind, tuple(shapes_in), tuple(shapes_out), count)
        if kind.regular_point is not None:
            REGULAR_POINTS[hash(call)] = kind.regular_point
        return call


def called_by_entry(kind: Kind, operands: Matrices) -> cs.MX:
    """Return one call of nodes that broadcast elementwise, where one entry is repeated, also to none."""
    shape = next((node.shape for node in operands if node.numel() != 1), (1, 1))
    size = math.prod(shape)
    if not size:
        return cs.MX(*shape)
    columns = [flat(repeated_number(node, *shape) if node.shape != shape else node) for node in operands]
    note_call()
    (result,) = matrix_call(kind, [(size,)] * len(columns), [(size,)]).call(columns)
    return cs.reshape(result, *shape)
