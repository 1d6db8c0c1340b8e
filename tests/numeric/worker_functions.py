"""Functions that other processes can import."""

import os
import threading
import time

import numpy as np


def smooth(p):
    return float(np.sum(np.sin(p) * np.arange(1, len(p) + 1)))


def smooth_gradient(p):
    return np.cos(p) * np.arange(1, len(p) + 1)


def vector(p):
    return np.array([p[0] * p[1], np.exp(p[0]), p[1] ** 2])


def slow(p):
    time.sleep(0.02)
    return smooth(p)


def fails_at_two(p):
    if p[2] != 0.5:
        raise RuntimeError("no value there")
    return float(p.sum())


def one_thread_at_a_time(p):
    with _guard:
        assert not _inside, "two threads at once"
        _inside.append(1)
        time.sleep(0.001)
        _inside.pop()
    return smooth(p)


def process_of(p):
    _processes.add(os.getpid())
    return smooth(p)


_guard = threading.RLock()
_inside: list[int] = []
_processes: set[int] = set()
