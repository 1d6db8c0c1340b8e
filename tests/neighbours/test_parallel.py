"""joblib and Dask: compiled functions travel to workers, by name and whole."""

import numpy as np
import pytest
from parallel_functions import distance

import archimedes_grad as arc

POINTS = np.linspace(-1.0, 1.0, 12).reshape(4, 3)
CENTRE = np.array([0.5, 0.0, -0.5])


def expected():
    return [distance(point, CENTRE) for point in POINTS]


def assert_all_equal(got):
    for (value, gradient), (same_value, same_gradient) in zip(got, expected(), strict=True):
        assert value == same_value
        np.testing.assert_array_equal(gradient, same_gradient)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend):
    joblib = pytest.importorskip("joblib")
    closed_over = arc.value_and_grad(lambda x: np.sqrt(np.sum((x - CENTRE) ** 2) + 1.0))
    with joblib.parallel_config(backend, n_jobs=2):
        assert_all_equal(joblib.Parallel()(joblib.delayed(distance)(point, CENTRE) for point in POINTS))
        assert_all_equal(joblib.Parallel()(joblib.delayed(closed_over)(point) for point in POINTS))


def test_joblib_memory(tmp_path):
    joblib = pytest.importorskip("joblib")
    cached = joblib.Memory(tmp_path, verbose=0).cache(arc.grad(lambda x: np.sum(x**3)))
    np.testing.assert_array_equal(cached(POINTS), 3 * POINTS**2)
    np.testing.assert_array_equal(cached(POINTS), 3 * POINTS**2)


def test_dask_on_a_local_cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        closed_over = arc.value_and_grad(lambda x: np.sqrt(np.sum((x - CENTRE) ** 2) + 1.0))
        assert_all_equal(client.gather(client.map(distance, POINTS, [CENTRE] * len(POINTS), pure=False)))
        assert_all_equal(client.gather(client.map(closed_over, POINTS, pure=False)))
