"""Progress of a trace that takes long: a bar that says which step is under way, and at which line of the user's.

A thread of its own watches; the one that traces does nothing for it but say when a step begins.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os.path import basename
from typing import Any

from archimedes_grad.arrays.user_code import frame_of_user

#: Seconds before a bar appears, and between two looks.
DELAY, INTERVAL = 0.5, 0.1
_FORMAT = "{desc}: {bar:12} {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
STEPS = ("trace", "differentiate", "compile")

#: Called with the name of a step as it begins.
Begin = Callable[[str], None]


def unwatched(step: str) -> None:
    """Begin a step that nobody watches."""


@contextmanager
def watched(name: str) -> Iterator[Begin]:
    """Show a bar while the steps of a trace take long; give what is called as each begins."""
    from tqdm.auto import tqdm

    under_way = [STEPS[0]]
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(tqdm, name, under_way, over, threading.get_ident()), daemon=True)
    watcher.start()

    def begin(step: str) -> None:
        under_way[0] = step

    try:
        yield begin
    finally:
        over.set()
        watcher.join()


def _watch(tqdm: Any, name: str, under_way: list[str], over: threading.Event, traced_in: int) -> None:
    if over.wait(DELAY):
        return
    with tqdm(total=len(STEPS), desc=name, bar_format=_FORMAT) as bar:
        while True:
            step = under_way[0]
            bar.n = STEPS.index(step)
            bar.set_postfix_str(step + (_place(traced_in) if step == "trace" else ""))
            if over.wait(INTERVAL):
                break
        bar.n = len(STEPS)
        bar.set_postfix_str("")


def _place(thread: int) -> str:
    frame = frame_of_user(sys._current_frames().get(thread))
    return "" if frame is None else f" at {basename(frame.f_code.co_filename)}:{frame.f_lineno}"
