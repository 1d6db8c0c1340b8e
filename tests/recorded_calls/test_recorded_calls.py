"""A part of the recorded calls: those of two short test modules of NumPy."""

import pytest

from .recording import SOURCES, record
from .replay import made_again


def test_calls_come_out_as_numpys(tmp_path):
    pytest.importorskip("numpy.lib.tests.test_ufunclike", reason="this NumPy came without its tests")
    file = tmp_path / "calls.pickle"
    record(*SOURCES["a few"], file)
    tally = made_again(file, seed=0)
    assert not tally.findings, str(tally)
    assert tally.counts["compared"] > 100
    assert tally.counts["gradients"] > 20
    assert tally.counts["second derivatives"] > 20
