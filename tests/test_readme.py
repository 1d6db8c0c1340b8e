"""The README's examples run as printed: each block's output is what its comments show."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def printed_and_shown(block: str, namespace: dict) -> tuple[list[str], list[str]]:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(block, str(README), "exec"), namespace)
    shown = [line[2:] for line in block.splitlines() if line.startswith("# ")]
    return stream.getvalue().splitlines(), shown


def test_there_is_a_tour_of_ten():
    assert len(BLOCKS) == 11


def test_blocks_print_what_they_show():
    namespace: dict = {}
    for block in BLOCKS:
        printed, shown = printed_and_shown(block, namespace)
        assert printed == shown, block


@pytest.mark.parametrize("mark", ["first-command", "second-command"])
def test_commands_are_marked_for_ci(mark):
    assert re.search(rf"<!-- {mark} -->\n```sh\n[^\n]+\n```", README.read_text())
