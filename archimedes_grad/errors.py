"""The exceptions and warnings of the library: each with its cause, an example and the way on.

Wrong arguments raise Python's own ``TypeError`` and ``ValueError``; the classes here are for what is
particular to tracing and differentiating.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARY_DIRECTORY = os.path.dirname(os.path.abspath(__file__)) + os.sep


class TraceError(TypeError):
    """A traced value was used where only an actual number will do, or by a function without a rule.

    While a function is traced its arguments are symbols. Whatever turns a symbol into a plain number
    would lose the derivative, so it is refused, and the message names the line of the function.

    Examples
    --------
    ``math.sin`` asks for a float; ``np.sin`` takes a symbol:

    >>> import math
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.grad(lambda x: math.sin(x))(1.0)
    Traceback (most recent call last):
    ...
    archimedes_grad.errors.TraceError: ...
    >>> float(arc.grad(lambda x: np.sin(x))(0.0))
    1.0
    """


@contextmanager
def asked_by(owner: str) -> Iterator[None]:
    """Put the public function in front of what a validation says, for the length of a with statement.

    For validations that several public functions share. Nothing of the user's may run inside.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: {error}") from None


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line that called the library, so that filters by module and the line shown are the user's."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARY_DIRECTORY):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


class FallbackWarning(UserWarning):
    """A function could not be traced, and ``method="auto"`` differentiates it numerically instead.

    The message names the line that stopped the trace. Rewrite that line, or ask for
    ``method="adaptive"`` to say that numeric derivatives are what you want.

    Examples
    --------
    >>> import math
    >>> import warnings
    >>> import archimedes_grad as arc
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     slope = arc.grad(lambda x: math.exp(x), method="auto")(0.0)
    >>> caught[0].category.__name__, round(float(slope), 9)
    ('FallbackWarning', 1.0)
    """


class PathLimitWarning(UserWarning):
    """A function takes more distinct paths through its branches than ``max_paths`` keeps compiled.

    Results stay right, only slower. The message names the deciding lines; ``np.where``, ``arc.cond``
    and ``arc.while_loop`` keep such a decision inside one path.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> def signs(x):
    ...     return sum(entry if entry > 0 else -entry for entry in x)
    >>> gradient = arc.grad(signs, max_paths=2)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for x in ([1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]):
    ...         slope = gradient(np.array(x))
    >>> caught[0].category.__name__, slope.tolist()
    ('PathLimitWarning', [-1.0, 1.0])
    """
