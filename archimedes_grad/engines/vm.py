"""The engine that CasADi brings: its interpreter, run on buffers that are bound once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

#: Binds the buffer of an array: the index of an input or output, then a memoryview.
Bind = Callable[..., None]

#: From this many entries on, arrays are bound for the call rather than copied: 1.6 µs more, no copies.
DIRECT_FROM = 10_000


#: What Python functions called back by an evaluation raised, by the thread that evaluates: each thread writes and
#: takes its own entry only.
failures: dict[int, BaseException] = {}


def raise_failure() -> None:
    """Raise what was raised in a function called back by this thread's evaluation, if anything was."""
    error = failures.pop(threading.get_ident(), None)
    if error is not None:
        raise error


def forget_failure() -> None:
    """Drop it: a guard did not hold, so what came after it is meaningless."""
    failures.pop(threading.get_ident(), None)


def raise_in_words(error: RuntimeError) -> None:
    """Raise what an error of CasADi means: an interrupt on the way into what is called back, an integration, itself."""
    if "KeyboardInterrupt" in str(error):
        raise KeyboardInterrupt from error
    status = re.search(r'"(CV_\w+)"', str(error))
    if status is not None:
        raise RuntimeError(
            f"odeint: the integrator stopped before the last time with {status[1]}, and a finite solution up to there "
            f"was expected. See whether it grows without bound; where it only takes many steps (10,000 between two "
            f"times), ask for more times in between, or raise rtol and atol; where f jumps, go from jump to jump."
        ) from error
    raise error


class Slot:
    """One set of buffers with everything that must stay alive while they are bound.

    CasADi's buffer keeps nothing alive itself: an array or Function freed too early gives wrong numbers
    without a word. A slot serves one call at a time.

    Parameters
    ----------
    function
        Takes own inputs first, then as many hidden ones as there are arrays in ``hidden``.
    hidden
        Flat float64 arrays, shared by all slots: they are only read.

    Attributes
    ----------
    inputs, outputs
        Flat float64 arrays, one for each own input and each output; None for the large ones, which are
        bound for each call.
    evaluate
        Runs the function on the bound buffers.
    bind_input, bind_output
        ``(index, memoryview)``: bind a contiguous float64 array, which the caller keeps alive during the call.
    """

    __slots__ = ("_buffer", "_function", "_hidden", "bind_input", "bind_output", "evaluate", "inputs", "outputs")

    def __init__(self, function: cs.Function, hidden: Sequence[npt.NDArray[np.float64]]) -> None:
        self._function = function
        self._hidden = hidden
        self._buffer: Any
        self._buffer, self.evaluate = function.buffer()
        self.bind_input: Bind = self._buffer.set_arg
        self.bind_output: Bind = self._buffer.set_res
        n_own = function.n_in() - len(hidden)
        self.inputs = [_bound(self.bind_input, i, function.nnz_in(i)) for i in range(n_own)]
        self.outputs = [_bound(self.bind_output, i, function.nnz_out(i)) for i in range(function.n_out())]
        for i, array in enumerate(hidden):
            if array.size:
                self.bind_input(n_own + i, _memory(array))

    def stopped(self) -> bool:
        """Tell whether the last evaluation ended at a node that failed: what comes after it was not written."""
        return bool(self._buffer.ret())


def _memory(array: npt.NDArray[np.float64]) -> Any:
    return array.data


def _bound(bind: Bind, index: int, size: int) -> npt.NDArray[np.float64] | None:
    if size >= DIRECT_FROM:
        return None
    array = np.zeros(size)
    if size:
        bind(index, _memory(array))
    return array


def evaluated(function: cs.Function, values: Sequence[npt.ArrayLike]) -> list[npt.NDArray[np.float64]]:
    """Evaluate a Function once at given inputs; the outputs are flat, in C order."""
    buffer: Any
    buffer, evaluate = function.buffer()
    inputs = [np.ascontiguousarray(value, dtype=np.float64).reshape(-1) for value in values]
    outputs = [np.zeros(function.nnz_out(i)) for i in range(function.n_out())]
    for i, array in enumerate(inputs):
        if array.size:
            buffer.set_arg(i, _memory(array))
    for i, array in enumerate(outputs):
        if array.size:
            buffer.set_res(i, _memory(array))
    try:
        evaluate()
    except RuntimeError as error:
        raise_in_words(error)
    if failures:
        raise_failure()
    return outputs
