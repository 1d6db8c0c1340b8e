"""What a bad input is in these tables, and the one checker of its error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import archimedes_grad as arc

X = np.array([1.0, 2.0, 3.0])


class Row(NamedTuple):
    """A bad input: the call, the type of its error, and what the message must hold.

    ``who`` is the function and argument (of a traced line, the line), ``came`` what was given, ``expected`` what was
    to be given, ``way_on`` what to write instead.
    """

    call: Callable[[], Any]
    kind: type[Exception]
    who: str
    came: str
    expected: str
    way_on: str


def check(row: Row) -> None:
    """Assert that a bad input raises its error, with all four parts, and that the library works afterwards."""
    with pytest.raises(row.kind) as caught:
        row.call()
    assert type(caught.value) is row.kind
    message = str(caught.value)
    parts = row[2:]
    assert all(parts)
    assert len(set(parts)) == len(parts)
    for part in parts:
        assert part in message, f"{part!r} is missing in: {message}"
    assert float(arc.grad(np.sin)(0.0)) == 1.0


# --- functions that the rows are about ----------------------------------------------------------------


def f(x):
    return np.sum(x**2)


def two(x, y, *, z=1.0):
    return np.sum(x * y * z)


def vec(x):
    return x**2


def shown(name):
    """Return the place of a line of this file, as a TraceError shows it."""
    return f'{name}.py", line'
