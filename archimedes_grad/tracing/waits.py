"""Waits for other threads within a traced function: what is waited for may be a trace itself.

One thread traces at a time. For the length of a trace the functions by which Python's threads wait for each other are
routed as ``foreign.py`` does it, so that the trace is suspended while its thread waits. Those that hold a lock of their
own when they come back stand here beside what calls them: whoever traces meanwhile may want that lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from archimedes_grad.arrays.dispatch import CALLING_BACK, INTERCEPTED, when_imported
from archimedes_grad.tracing.surroundings import suspended


def _suspending(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return suspended(lambda: original(*args, **kwargs))


def _add(*waits: Callable[..., Any]) -> None:
    for wait in waits:
        INTERCEPTED[wait] = _suspending
        CALLING_BACK.add(wait)


_add(
    threading.Thread.join, threading.Event.wait, threading.Condition.wait, threading.Semaphore.acquire,
    threading.Barrier.wait,
)  # fmt: skip


@when_imported("selectors")
def _add_selectors() -> None:
    """By these the loops of asyncio wait."""
    import selectors

    names = ("SelectSelector", "PollSelector", "EpollSelector", "DevpollSelector", "KqueueSelector")
    _add(*(getattr(selectors, name).select for name in names if hasattr(selectors, name)))


@when_imported("queue")
def _add_queues() -> None:
    import queue

    # What need not wait is done within the trace: a PriorityQueue compares what may be traced values.
    def put(original: Callable[..., Any], self: Any, item: Any, block: bool = True, timeout: Any = None) -> None:
        try:
            original(self, item, block=False)
        except queue.Full:
            suspended(lambda: original(self, item, block, timeout))

    def get(original: Callable[..., Any], self: Any, block: bool = True, timeout: Any = None) -> Any:
        try:
            return original(self, block=False)
        except queue.Empty:
            return suspended(lambda: original(self, block, timeout))

    _add(queue.Queue.join)
    INTERCEPTED.update({queue.Queue.put: put, queue.Queue.get: get})
    CALLING_BACK.update((queue.Queue.put, queue.Queue.get))


@when_imported("concurrent.futures")
def _add_futures() -> None:
    import concurrent.futures

    _add(concurrent.futures.Future.result, concurrent.futures.Future.exception, concurrent.futures.wait)
