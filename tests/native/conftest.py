"""Where the native engine keeps its libraries while it is tested: never in the user's cache."""

import pytest

from archimedes_grad.engines.native import toolchain


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A directory for this test alone: everything is compiled."""
    monkeypatch.setenv(toolchain.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def modules_cache(tmp_path_factory):
    """A directory for the tests of a module: what is compiled once is found again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(toolchain.CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
