"""Ctrl-C at random moments leaves a usable state: no lock held, no trace under way, later results right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 12
SCRIPT = Path(__file__).with_name("interrupted.py")


@pytest.mark.skipif(sys.platform == "win32", reason="interval timers")
@pytest.mark.parametrize("what", ["traced", "differentiated", "called", "called_back", "numeric", "branched", "waited"])
def test_an_interrupt_leaves_a_usable_state(what):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(SCRIPT), what, str(COUNT), "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    interrupts, *_, other_errors = (int(word) for word in done.stdout.split() if word.isdigit())
    assert interrupts + other_errors == COUNT
    assert interrupts > COUNT // 2
