"""Nodes that Python evaluates: what CasADi asks of a callback, answered by the shapes of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import casadi as cs
import numpy as np


class PythonCall(cs.Callback):
    """A function of dense arrays, evaluated by Python on raw buffers.

    A subclass has ``eval_buffer``, ``get_reverse`` and ``get_forward``; its constructor ends with ``construct``.

    Parameters
    ----------
    stored_in, stored_out
        Rows and columns in which each input and output is stored.
    """

    def __init__(self, stored_in: Iterable[tuple[int, int]], stored_out: Iterable[tuple[int, int]]) -> None:
        super().__init__()
        self._patterns_in = [cs.Sparsity.dense(*stored) for stored in stored_in]
        self._patterns_out = [cs.Sparsity.dense(*stored) for stored in stored_out]

    # The names are CasADi's own.

    def get_n_in(self) -> int:
        """Return the number of inputs."""
        return len(self._patterns_in)

    def get_n_out(self) -> int:
        """Return the number of outputs."""
        return len(self._patterns_out)

    def get_sparsity_in(self, i: int) -> cs.Sparsity:
        """Return the stored shape of an input."""
        return self._patterns_in[i]

    def get_sparsity_out(self, i: int) -> cs.Sparsity:
        """Return the stored shape of an output."""
        return self._patterns_out[i]

    def has_eval_buffer(self) -> bool:
        """Evaluate on raw buffers: conversion to CasADi matrices costs more than a small factorisation."""
        return True

    def has_reverse(self, nadj: int) -> bool:
        """One direction at a time; CasADi maps it for more."""
        return nadj == 1

    def has_forward(self, nfwd: int) -> bool:
        """One direction at a time; CasADi maps it for more."""
        return nfwd == 1


def write_outputs(buffers: Sequence[memoryview | None], outputs: Sequence[Any]) -> None:
    """Write arrays, in C order, into the buffers of those outputs that CasADi wants."""
    for buffer, output in zip(buffers, outputs, strict=True):
        if buffer is not None:
            np.frombuffer(buffer)[:] = np.ravel(output)
