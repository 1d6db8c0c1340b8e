"""A part of the recorded calls: those of two short test modules of NumPy."""

import numpy as np
import pytest

from archimedes_grad.arrays.dispatch import FUNCTIONS

from .recording import SOURCES, record
from .replay import made_again
from .ways import WAYS

#: Without those that compile C, which takes long.
QUICK = [name for name in WAYS if name != "native"]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    pytest.importorskip("numpy.lib.tests.test_ufunclike", reason="this NumPy came without its tests")
    file = tmp_path_factory.mktemp("recorded") / "calls.pickle"
    record(*SOURCES["a few"], file)
    return file


def test_calls_come_out_as_numpys(calls):
    tally = made_again(calls, seed=0, ways=QUICK)
    assert not tally.findings, str(tally)
    assert tally.counts["alone", "compared"] > 100
    assert tally.counts["alone", "gradients"] > 20
    assert tally.counts["alone", "second derivatives"] > 20
    for kind, least in (("compared", 60), ("gradients", 10)):
        assert sum(tally.counts[way, kind] for way in QUICK) > least


def test_a_value_that_is_kept_from_the_trace_is_found(calls, monkeypatch):
    monkeypatch.setitem(FUNCTIONS, np.diag, lambda v, k=0: np.array(np.diag(v.value, k)))
    findings = made_again(calls, seed=0, ways=["met elsewhere"]).findings
    assert any("numpy.diag" in what and "met elsewhere" in what for what in findings)
