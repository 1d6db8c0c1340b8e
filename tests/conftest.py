"""What every test needs: deterministic hypothesis, and the library's process-wide state checked after each test."""

import casadi as cs
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from archimedes_grad.arrays import trace_state

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("default")

_numpy_array = np.array


@pytest.fixture(autouse=True)
def _clean_state():
    """No trace is left under way, NumPy's constructors and CasADi's flag are as they were."""
    simplification = cs.GlobalOptions.getSimplificationOnTheFly()
    yield
    assert trace_state.active_traces == 0
    assert trace_state.current_trace() is None
    assert np.array is _numpy_array
    assert cs.GlobalOptions.getSimplificationOnTheFly() == simplification
