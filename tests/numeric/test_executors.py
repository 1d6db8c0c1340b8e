"""Work spread over threads, processes, loky and Dask: the same numbers, and errors that say where."""

import concurrent.futures
import multiprocessing
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
import worker_functions as work

from archimedes_grad.numeric import derivative, gradient, hessian, jacobian
from archimedes_grad.numeric import executors as executors_module

X = np.array([0.1, 0.3, 0.5, 0.7])


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("method", ["finite", "adaptive"])
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_the_same_bits_as_in_one_thread(kind, method, request):
    executor = request.getfixturevalue(kind)
    for driver, function in ((gradient, work.smooth), (hessian, work.smooth), (jacobian, work.vector)):
        alone = driver(function, X, method=method)
        spread = driver(function, X, method=method, executor=executor)
        np.testing.assert_array_equal(spread.value, alone.value)
        assert spread.n_evaluations == alone.n_evaluations


@pytest.mark.parametrize("n_workers", [2, 5])
def test_threads_of_our_own(n_workers):
    before = threading.active_count()
    result = gradient(work.smooth, X, n_workers=n_workers)
    np.testing.assert_allclose(result.value, work.smooth_gradient(X), rtol=1e-11)
    assert threading.active_count() == before


def test_one_worker_starts_nothing(monkeypatch):
    def refuse(*_):
        raise AssertionError("a pool was started")

    monkeypatch.setattr(executors_module, "ThreadPoolExecutor", refuse)
    seen = set()

    def function(p):
        seen.add(threading.get_ident())
        return work.smooth(p)

    gradient(function, X, n_workers=1)
    assert seen == {threading.get_ident()}


def test_work_is_done_by_many_threads():
    barrier = threading.Barrier(2, timeout=10)
    waited = []

    def function(p):
        if not np.array_equal(p, X) and len(waited) < 2:
            waited.append(1)
            barrier.wait()  # only two threads at once get past it
        return work.smooth(p)

    gradient(function, X, n_workers=2)
    assert waited == [1, 1]


def test_points_of_one_derivative_are_spread(threads):
    barrier = threading.Barrier(2, timeout=10)
    waited = []

    def function(x):
        if x != 1.0 and len(waited) < 2:
            waited.append(1)
            barrier.wait()
        return np.sin(x)

    assert derivative(function, 1.0, executor=threads).value == pytest.approx(np.cos(1.0))
    assert derivative(np.sin, 1.0, n_workers=2).value == derivative(np.sin, 1.0).value


def test_loky():
    import loky

    pool = loky.ProcessPoolExecutor(2)
    try:
        result = gradient(work.smooth, X, executor=pool)
    finally:
        pool.shutdown(kill_workers=True)
    np.testing.assert_allclose(result.value, work.smooth_gradient(X), rtol=1e-11)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.filterwarnings("ignore")  # of dask, as its worker dies
def test_a_cluster_that_loses_a_worker():
    import distributed

    x = np.linspace(0.1, 1.0, 12)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, silence_logs=50
    )
    killed = []
    with cluster, distributed.Client(cluster) as client:
        pids = client.run(os.getpid)
        before = set(pids.values())

        def kill_the_first_busy_worker():
            while not any(client.processing().values()):
                time.sleep(0.02)
            worker = next(name for name, tasks in client.processing().items() if tasks)
            os.kill(pids[worker], signal.SIGKILL)
            killed.append(pids[worker])

        killer = threading.Thread(target=kill_the_first_busy_worker)
        killer.start()
        result = gradient(work.slow, x, executor=client.get_executor())
        killer.join()
    assert set(killed) <= before
    assert len(killed) == 1
    np.testing.assert_allclose(result.value, work.smooth_gradient(x), rtol=1e-11)


@pytest.mark.parametrize("kind", [None, "threads", "processes"])
@pytest.mark.parametrize("method", ["finite", "adaptive"])
def test_an_exception_comes_back_with_its_parameter(kind, method, request):
    executor = request.getfixturevalue(kind) if kind else None
    with pytest.raises(RuntimeError, match="no value there") as caught:
        gradient(work.fails_at_two, X, method=method, executor=executor)
    assert any("parameter 2 (x0[2] = 0.5)" in note for note in caught.value.__notes__)


def test_what_has_not_started_is_cancelled():
    started = []

    def function(p):
        if not np.array_equal(p, np.zeros(50)):
            started.append(1)
            time.sleep(0.01)
            raise RuntimeError("first")
        return 0.0

    with pytest.raises(RuntimeError, match="first"):
        gradient(function, np.zeros(50), n_workers=2)
    assert len(started) < 50


@pytest.mark.parametrize("n_workers", [0, -1, 1.5, True, "2"])
def test_wrong_numbers_of_workers(n_workers):
    with pytest.raises(ValueError, match="n_workers"):
        gradient(work.smooth, X, n_workers=n_workers)


def test_wrong_executors():
    with pytest.raises(TypeError, match="Executor"):
        gradient(work.smooth, X, executor=4)


def test_progress_shows_a_bar(capsys):
    gradient(work.smooth, X, progress=True)
    assert "4/4" in capsys.readouterr().err
