"""Recorded calls made again: values, then derivatives."""

import traceback
from pathlib import Path

import numpy as np

from .calls import Tally, read, told
from .derivatives import compare_derivatives
from .values import compare_values


def made_again(file: Path, seed: int, limit: int | None = None) -> Tally:
    """Make the calls of a file again, and return what came of it."""
    tally = Tally()
    with np.errstate(all="ignore"):
        for number, call in enumerate(read(file, seed)):
            if limit is not None and number >= limit:
                break
            try:
                compare_values(call, tally)
                compare_derivatives(call, tally)
            except Exception:
                tally.findings.append(told(call, traceback.format_exc()))
    return tally
