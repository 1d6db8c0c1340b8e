"""Packages that may be missing: whatever needs one names the extra that brings it, and nothing else needs it."""

import ast
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.optional import _EXTRAS

LIBRARY = Path(arc.__file__).parent
PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIRED = {"archimedes_grad", "casadi", "numpy", "optree"}


def wave(x):
    return np.sin(x)


def vector(x):
    return np.sin(x) * x


def total(x):
    return np.sum(np.sin(x))


#: What needs a package: the package, the extra, and a call.
NEEDS = [
    ("scipy", "scipy", lambda: arc.jac(vector, sparse=True)),
    ("scipy", "scipy", lambda: arc.hess(sparse=True)),
    ("tqdm", "progress", lambda: arc.grad(wave, progress=True)),
    ("tqdm", "progress", lambda: arc.grad(wave, method="auto", progress=True)),
    ("tqdm", "progress", lambda: arc.compile(wave, progress=True)),
    ("tqdm", "progress", lambda: arc.grad(wave, method="finite", progress=True)),
    ("tqdm", "progress", lambda: arc.CalculusKit(total, [1.0]).gradient(method="finite", progress=True)),
    ("matplotlib", "plot", lambda: arc.DerivativeKit(wave, 1.0).plot()),
    ("matplotlib", "plot", lambda: arc.jac(vector, sparse=True).sparsity(np.ones(3)).plot()),
    ("cloudpickle", "pickle", lambda: pickle.dumps(arc.grad(lambda x: x))),
    ("cloudpickle", "pickle", lambda: pickle.loads(_PICKLED)),
]
_PICKLED = pickle.dumps(arc.grad(lambda x: x))


@pytest.fixture
def hide(monkeypatch):
    """Give the function that hides a package, as if it were not installed."""

    def hidden(package):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return hidden


@pytest.mark.parametrize("row", range(len(NEEDS)), ids=lambda row: f"{row}-{NEEDS[row][0]}")
def test_a_missing_package_names_its_extra(row, hide):
    package, extra, call = NEEDS[row]
    hide(package)
    with pytest.raises((ImportError, pickle.PicklingError), match=rf"pip install 'archimedes_grad\[{extra}\]'"):
        call()


@pytest.mark.parametrize("row", range(len(NEEDS)), ids=lambda row: f"{row}-{NEEDS[row][0]}")
def test_with_the_package_the_same_call_works(row):
    assert NEEDS[row][2]() is not None


def imported_packages():
    """The packages that the library imports anywhere, but for Python's own."""
    found = set()
    for file in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found |= {name.partition(".")[0] for name in names}
    return found - set(sys.stdlib_module_names)


def test_every_package_that_may_be_missing_has_a_row_and_an_extra():
    assert imported_packages() - REQUIRED == set(_EXTRAS) == {package for package, _, _ in NEEDS}
    for package, extra, _ in NEEDS:
        assert _EXTRAS[package][1] == extra


@pytest.mark.skipif(not PYPROJECT.exists(), reason="not run from a checkout")
def test_the_extras_bring_the_packages():
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for package, (_, extra) in _EXTRAS.items():
        assert any(requirement.startswith(package) for requirement in extras[extra])


def test_a_pickle_that_fails_for_another_reason_says_so():
    broken = cloudpickle.dumps(wave).replace(b"wave", b"gone")
    from archimedes_grad.compilation.pickling import Packed, unpacked

    with pytest.raises(AttributeError, match="gone"):
        unpacked(Packed(broken, []))


def test_the_library_works_without_any_of_them():
    code = f"""
import sys
for package in {sorted(_EXTRAS)}:
    sys.modules[package] = None
import numpy as np, archimedes_grad as arc
assert arc.grad(lambda x: np.sum(x**2))(np.ones(2)).tolist() == [2.0, 2.0]
assert arc.jac(lambda p: p["a"] ** 2)({{"a": 3.0}}) == {{"a": 6.0}}
assert arc.linear_solve(np.eye(2), np.ones(2)).tolist() == [1.0, 1.0]
assert abs(arc.grad(np.sin, method="adaptive")(0.0) - 1) < 1e-8
assert arc.grad(np.sin).graph(1.0).draw(layout="plain").startswith("<svg")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
