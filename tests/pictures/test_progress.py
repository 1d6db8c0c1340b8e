"""Progress bars: of long traces, and of numeric runs; what they cost where nobody asked for one."""

import re
import threading
import time

import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.tracing import progress


def slow(x):
    for _ in range(4):
        time.sleep(0.05)
        x = np.sin(x)
    return np.sum(x)


@pytest.fixture
def quick_bars(monkeypatch):
    """Bars that appear and are renewed at once."""
    monkeypatch.setattr(progress, "DELAY", 0.01)
    monkeypatch.setattr(progress, "INTERVAL", 0.01)


MADE = {
    "grad": lambda **options: arc.grad(slow, **options),
    "decorator": lambda **options: arc.grad(**options)(slow),
    "compile": lambda **options: arc.compile(slow, **options),
    "jac": lambda **options: arc.jac(slow, **options),
    "auto": lambda **options: arc.grad(slow, method="auto", **options),
}


@pytest.mark.parametrize("made", MADE)
def test_a_long_trace_shows_the_step_and_the_line(made, quick_bars, capfd):
    MADE[made](progress=True)(np.ones(2))
    shown = capfd.readouterr().err
    assert re.search(r"slow: .*trace at test_progress\.py:\d+", shown)
    assert "3/3" in shown


def test_a_short_trace_shows_nothing(capfd):
    assert arc.grad(lambda x: x**2, progress=True)(3.0) == 6.0
    assert capfd.readouterr().err == ""


def test_a_call_that_traces_nothing_shows_nothing(quick_bars, capfd):
    g = arc.grad(slow, progress=True)
    g(np.ones(2))
    capfd.readouterr()
    g(np.ones(2))
    assert capfd.readouterr().err == ""


def test_without_being_asked_nothing_watches(monkeypatch, capfd):
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    arc.grad(slow)(np.ones(2))
    assert capfd.readouterr().err == ""


def test_an_error_in_the_trace_ends_the_watch(quick_bars, capfd):
    def broken(x):
        time.sleep(0.05)
        return float(x)

    before = threading.active_count()
    with pytest.raises(arc.TraceError, match="float"):
        arc.grad(broken, progress=True)(1.0)
    assert threading.active_count() <= before + 1  # tqdm keeps a monitor of its own


@pytest.mark.parametrize("method", ["finite", "adaptive"])
def test_numeric_runs_show_a_bar(method, capfd):
    x = np.array([0.3, 0.7, 0.2])
    shown_as = arc.grad(lambda x: np.sum(np.sin(x)), method=method, progress=True)(x)
    assert "3/3" in capfd.readouterr().err
    np.testing.assert_allclose(shown_as, np.cos(x), rtol=1e-6)
    arc.CalculusKit(lambda x: np.sum(np.sin(x)), x).gradient(method=method, progress=True)
    assert "3/3" in capfd.readouterr().err
