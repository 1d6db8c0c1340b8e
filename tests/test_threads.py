"""Threads that call, trace, drop, clear, and wait for each other within traces; forked and spawned processes."""

import asyncio
import concurrent.futures
import contextlib
import multiprocessing
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import casadi as cs
import numpy as np
import pytest
from helpers import in_threads
from threads import Campaign

import archimedes_grad as arc
from archimedes_grad.arrays import trace_state
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


def by_future(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def by_any_future(work):
    with ThreadPoolExecutor(1) as pool:
        done, _ = concurrent.futures.wait([pool.submit(work)])
        return done.pop().result()


def by_map(work):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda _: work(), range(3)))[2]


def by_pool(work):
    with ThreadPool(1) as pool:
        return pool.apply(work)


def by_thread(work):
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def by_event(work):
    results, done = [], threading.Event()
    threading.Thread(target=lambda: (results.append(work()), done.set())).start()
    done.wait()
    return results[0]


def by_queue(work):
    results = queue.Queue()
    threading.Thread(target=lambda: results.put(work())).start()
    return results.get()


def by_queue_within_a_trace(work):
    results = queue.Queue()
    threading.Thread(target=lambda: arc.compile(lambda t: (results.put(1.0), t)[1])(2.0)).start()
    return results.get() * work()


def by_semaphore(work):
    results, done = [], threading.Semaphore(0)
    threading.Thread(target=lambda: (results.append(work()), done.release())).start()
    done.acquire()
    return results[0]


def by_barrier(work):
    results, done = [], threading.Barrier(2)
    threading.Thread(target=lambda: (results.append(work()), done.wait())).start()
    done.wait()
    return results[0]


def by_asyncio(work):
    return asyncio.run(asyncio.to_thread(work))


WAITS = [
    by_future, by_any_future, by_map, by_pool, by_thread, by_event, by_queue, by_queue_within_a_trace, by_semaphore,
    by_barrier, by_asyncio,
]  # fmt: skip


def ended(work):
    """Return what some work gives that must come to an end."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive(), "it waits for ever"
    return results[0]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("nested", [False, True])
def test_a_traced_function_waits_for_threads_that_trace(wait, nested):
    original = np.array

    def weighted(x):
        gradient = arc.grad(lambda u: np.sum(np.sin(u) + (u - u)))
        weights = wait(lambda: gradient(X))
        assert trace_state.current_trace() is not None
        # It goes on as before: literals are traced, and nothing is simplified.
        literal = np.array([x[0], x[1], x[2], x[3], x[4]])
        return np.sum(weights * literal) + (x[0] - x[0])

    def outer(x):
        return np.sum(arc.grad(weighted)(x) * x)

    gradient = arc.grad(outer if nested else weighted)
    value = arc.compile(weighted)
    np.testing.assert_allclose(ended(lambda: gradient(X)), EXPECTED, rtol=1e-14)
    assert np.isnan(ended(lambda: value(np.full(5, np.inf))))
    assert np.array is original
    assert trace_state.active_traces == 0
    assert cs.GlobalOptions.getSimplificationOnTheFly()


def test_traces_that_wait_for_each_other_in_turns_leave_everything_as_it_was():
    """The trace that was suspended first ends first."""
    waits, over = threading.Event(), threading.Event()

    def first(x):
        second_thread.start()
        waits.wait()
        return np.sum(np.array([x[0], x[1]]) ** 2)

    def second(x):
        waits.set()
        over.wait()
        return np.sum(np.array([x[0], x[1]]) ** 3)

    results = []
    second_thread = threading.Thread(target=lambda: results.append(arc.grad(second)(X[:2])))
    np.testing.assert_allclose(ended(lambda: arc.grad(first)(X[:2])), 2 * X[:2], rtol=1e-14)
    over.set()
    second_thread.join(timeout=60)
    np.testing.assert_allclose(results[0], 3 * X[:2] ** 2, rtol=1e-14)
    assert trace_state.active_traces == 0
    assert cs.GlobalOptions.getSimplificationOnTheFly()


@pytest.mark.parametrize("use", [lambda x: x * 2.0, lambda x: x - x, lambda x: 1.0 / x, lambda x: x**2, np.sin])
def test_traced_numbers_are_refused_in_other_threads(use):
    def function(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(use, x).result()

    with pytest.raises(arc.TraceError, match=r"in another thread(.|\n)*nor give them to other threads"):
        arc.grad(function)(2.0)


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


def test_a_queue_by_priority_compares_traced_values():
    @arc.compile
    def in_order(x):
        line = queue.PriorityQueue()
        for place, value in enumerate(x):
            line.put((value, place))
        first, second, third = (line.get() for _ in x)
        with pytest.raises(queue.Empty):
            line.get(block=False)
        return first[0] + 10.0 * second[0] * second[1] + 100.0 * third[0]

    for x in ([3.0, 1.0, 2.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]):
        value = in_order(np.array(x))
        assert value == 1.0 + 20.0 * x.index(2.0) + 300.0


def test_a_full_queue_is_waited_for():
    def waits(x):
        line = queue.Queue(1)
        line.put(x)
        with pytest.raises(queue.Full):
            line.put(x, timeout=0.01)
        threading.Timer(0.05, line.get).start()
        line.put(2.0 * x)
        return line.get()

    assert arc.compile(waits)(3.0) == 6.0
