"""Sixteen threads that call, trace, drop and clear the same and different functions; forked and spawned processes."""

import contextlib
import multiprocessing

import casadi as cs
import numpy as np
import pytest
from helpers import in_threads
from threads import Campaign

import archimedes_grad as arc
from archimedes_grad.nodes.simplification import owned

X = np.linspace(0.1, 1.0, 5)
EXPECTED = np.cos(X)


def f(x):
    return np.sum(np.sin(x))


KNOWN = arc.grad(f)


def test_sixteen_threads_call_trace_drop_and_clear():
    campaign = Campaign(20_000, n_threads=16, seconds=20.0)
    done = campaign.run()
    assert campaign.faults == []
    assert done["calls"] > 2_000


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_casadis_flag_is_put_back_by_the_owner_of_it_alone(error):
    flag, change = cs.GlobalOptions.getSimplificationOnTheFly, cs.GlobalOptions.setSimplificationOnTheFly
    before = flag()

    def changing():
        change(not before)
        if error is not None:
            raise error

    def within():
        with contextlib.suppress(KeyboardInterrupt):
            owned(changing)
        assert flag() is not before
        changing()

    for work in (changing, within):
        with contextlib.suppress(KeyboardInterrupt):
            owned(work)
        assert flag() is before


def test_two_threads_that_meet_a_new_form_trace_it_once():
    traces = []

    @arc.grad
    def slow(x):
        traces.append(1)
        return np.sum(np.sin(x))

    for result in in_threads(slow, [X] * 8):
        np.testing.assert_allclose(result, EXPECTED, rtol=1e-14)
    assert len(traces) == 1


def gradients_here():
    """Return what a new process gets: of a function that its parent has traced, and of one that it has not."""
    return KNOWN(X).tolist(), arc.grad(lambda x: np.sum(x**2))(X).tolist()


def report(queue):
    queue.put(gradients_here())


# A forked child has one thread: no other may hold a lock while it is forked, or the child would wait for it.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_a_new_process_differentiates(method):
    here = gradients_here()
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=report, args=(queue,))
    process.start()
    there = queue.get(timeout=120)
    process.join()
    assert there == here
    assert process.exitcode == 0
