"""Recorded calls made again: values, then derivatives, then both by another way."""

import random
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .calls import Call, Tally, read, told
from .derivatives import compare_derivatives
from .values import compare_values
from .ways import WAYS, by_another_way


def made_again(file: Path, seed: int, limit: int | None = None, ways: Sequence[str] = tuple(WAYS)) -> Tally:
    """Make the calls of a file again, those that come out as NumPy's by one of the ways too; return what came of it."""
    tally = Tally()
    with np.errstate(all="ignore"):
        for number, call in enumerate(read(file, seed)):
            if limit is not None and number >= limit:
                break
            if call.arrays and _made(call, tally) and ways:
                way = by_another_way(call, random.Random(f"{seed} {number}"), ways)
                if way is not None:
                    with way[1]:
                        _made(way[0], tally)
    return tally


def _made(call: Call, tally: Tally) -> bool:
    """Make a call, and tell whether it comes out as NumPy's."""
    before = len(tally.findings), tally.counts[call.way, "refused"]
    try:
        compare_values(call, tally)
        compare_derivatives(call, tally)
    except Exception:  # Whatever fails here is a finding.
        tally.findings.append(told(call, traceback.format_exc()))
    return (len(tally.findings), tally.counts[call.way, "refused"]) == before
