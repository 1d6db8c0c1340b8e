"""A Python function as a node of a graph: values by calling it, derivatives by a numeric method or a given vjp.

CasADi holds no reference to what it calls back: the graph keeps its black boxes, and each box those of its own
derivatives, so that all go together. An exception of the user's function must not cross CasADi: it is kept for the
thread that evaluates, the outputs are nan, and the engine raises it once the guards have held.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad import numeric
from archimedes_grad.engines.vm import failures
from archimedes_grad.nodes.gather import Shape
from archimedes_grad.nodes.python_calls import PythonCall, write_outputs

Array = npt.NDArray[np.float64]

#: (arrays in) -> arrays out.
Evaluate = Callable[..., Sequence[Any]]

#: (arrays in, then cotangents of the outputs) -> cotangents of the arrays in.
PullBack = Callable[..., Sequence[Any]]


class BlackBox(PythonCall):
    """A function of arrays, differentiated by a numeric method or by a given pull-back.

    Parameters
    ----------
    evaluate
        Called with one array for each input, of the shapes in ``shapes_in``; numbers for shape ().
    method
        The numeric method of derivatives that ``pull_back`` does not give.
    """

    def __init__(
        self, name: str, evaluate: Evaluate, shapes_in: Sequence[Shape], shapes_out: Sequence[Shape],
        method: str, pull_back: PullBack | None = None,
    ) -> None:  # fmt: skip
        super().__init__(map(_column, shapes_in), map(_column, shapes_out))
        self.evaluate = evaluate
        self.shapes_in, self.shapes_out = tuple(shapes_in), tuple(shapes_out)
        self.method = method
        self.pull_back = pull_back
        self._derivatives: list[BlackBox] = []
        # Or CasADi would take whole Jacobians of small functions, forward, and never ask for a given pull-back.
        self.construct(name, {"max_num_dir": 1, "jac_penalty": -1})

    # What CasADi asks of a callback; the names are its own.

    def eval_buffer(self, arg: Sequence[memoryview | None], res: Sequence[memoryview | None]) -> int:
        """Evaluate; keep an exception for the engine, with nan as outputs."""
        try:
            outputs = self.evaluate(*map(_copied, arg, self.shapes_in))
        except BaseException as error:  # raised by the engine, in the thread that evaluates
            failures.setdefault(threading.get_ident(), error)
            outputs = [np.full(shape, np.nan) for shape in self.shapes_out]
        write_outputs(res, outputs)
        return 0

    def get_reverse(self, nadj: int, name: str, inames: Any, onames: Any, opts: Any) -> cs.Function:
        """Return the function that takes cotangents from the outputs to the inputs: a black box again."""
        # Weak: this box holds those of its derivatives, and a cycle would keep all of them.
        reference = weakref.ref(self)

        def pulled_back(*arrays: Any) -> Sequence[Any]:
            return _alive(reference)._numeric_pull_back(*arrays)

        shapes_in = (*self.shapes_in, *self.shapes_out)
        box = self._derivative(f"{self.name()}_reverse", self.pull_back or pulled_back, shapes_in, self.shapes_in)
        x, y = _columns("x", self.shapes_in), _columns("y", self.shapes_out)
        seeds = _columns("w", self.shapes_out)
        return cs.Function(name, [*x, *y, *seeds], box.call([*x, *seeds]), inames, onames, opts)

    def get_forward(self, nfwd: int, name: str, inames: Any, onames: Any, opts: Any) -> cs.Function:
        """Return the function that takes directions from the inputs to the outputs: a black box again."""
        n_in = len(self.shapes_in)
        reference = weakref.ref(self)

        def pushed(*arrays: Any) -> Sequence[Any]:
            return _alive(reference)._numeric_push_forward(arrays[:n_in], arrays[n_in:])

        box = self._derivative(f"{self.name()}_forward", pushed, (*self.shapes_in, *self.shapes_in), self.shapes_out)
        x, y = _columns("x", self.shapes_in), _columns("y", self.shapes_out)
        directions = _columns("v", self.shapes_in)
        return cs.Function(name, [*x, *y, *directions], box.call([*x, *directions]), inames, onames, opts)

    # Derivatives by calling the function.

    def _derivative(
        self, name: str, evaluate: Evaluate, shapes_in: Sequence[Shape], shapes_out: Sequence[Shape]
    ) -> BlackBox:
        # A complex step of a complex step there is not.
        method = "adaptive" if self.method == "complex" else self.method
        box = BlackBox(name, evaluate, shapes_in, shapes_out, method)
        self._derivatives.append(box)
        return box

    def _numeric_pull_back(self, *arrays: Any) -> Sequence[Any]:
        n_in = len(self.shapes_in)
        point = _flat(arrays[:n_in])
        cotangent = _flat(arrays[n_in:])
        if not cotangent.any():
            return [np.zeros(shape) for shape in self.shapes_in]
        slope = numeric.gradient(lambda p: cotangent @ self._flat_outputs(p), point, method=self.method)
        return _split(np.asarray(slope.checked()), self.shapes_in)

    def _numeric_push_forward(self, arrays: Sequence[Any], directions: Sequence[Any]) -> Sequence[Any]:
        point, direction = _flat(arrays), _flat(directions)
        if not direction.any():
            return [np.zeros(shape) for shape in self.shapes_out]
        slope = numeric.directional(self._flat_outputs, point, direction, method=self.method)
        return _split(np.asarray(slope.checked()), self.shapes_out)

    def _flat_outputs(self, point: Array) -> Array:
        return _flat(self.evaluate(*_split(point, self.shapes_in)))


def _alive(reference: weakref.ref[BlackBox]) -> BlackBox:
    box = reference()
    assert box is not None, "a black box outlives those of its derivatives"
    return box


def _copied(buffer: memoryview | None, shape: Shape) -> Any:
    array = np.zeros(shape) if buffer is None else np.frombuffer(buffer).reshape(shape).copy()
    return array[()]


def _column(shape: Shape) -> tuple[int, int]:
    """Return how an array is stored: a column of its entries in C order."""
    return math.prod(shape), 1


def _columns(name: str, shapes: Sequence[Shape]) -> list[cs.MX]:
    return [cs.MX.sym(f"{name}{i}", *_column(shape)) for i, shape in enumerate(shapes)]


def _flat(arrays: Sequence[Any]) -> Array:
    return np.concatenate([np.ravel(array) for array in arrays])


def _split(flat: Array, shapes: Sequence[Shape]) -> list[Any]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape)[()] for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
