"""Types as users get them: a checker run from outside, and the parameters that it is shown."""

import importlib.metadata
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_overloads

import numpy as np
import pytest

import archimedes_grad as arc
from archimedes_grad.transforms import types as transform_types

USER_CODE = Path(__file__).parent / "user_code.py"
LIBRARY = Path(arc.__file__).parent


def test_the_package_says_that_it_is_typed():
    assert (LIBRARY / "py.typed").is_file()


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="checkers find faults in the older NumPy's own types"
)
def test_a_checker_run_from_outside_agrees_with_every_line(tmp_path):
    pytest.importorskip("mypy")
    shutil.copy(USER_CODE, tmp_path)
    environment = dict(os.environ)
    if LIBRARY.parent.name != "site-packages":
        environment["MYPYPATH"] = str(LIBRARY.parent)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, USER_CODE.name]
    checked = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert checked.stdout == "Success: no issues found in 1 source file\n", checked.stdout + checked.stderr


DECLARED = {
    name: getattr(transform_types, protocol)
    for names, protocol in (
        (("grad", "value_and_grad", "jac", "hess"), "Transform"), (("jvp", "vjp", "hvp"), "Product"),
        (("compile",), "Compile"),
    )
    for name in names
}  # fmt: skip


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_are_the_parameters_that_there_are(name):
    real = list(inspect.signature(getattr(arc, name)).parameters.values())
    # sparse is taken by two of the transforms; checkers see it as one of the options.
    real = [parameter for parameter in real if parameter.name != "sparse"]
    for overload in get_overloads(DECLARED[name].__call__):
        declared = list(inspect.signature(overload).parameters.values())[1:]
        assert [(p.name, p.kind) for p in declared] == [(p.name, p.kind) for p in real]
        for parameter in real:
            if parameter.default is inspect.Parameter.empty:
                continue
            assert declared[real.index(parameter)].default is ... or parameter.name in ("func", "method")


def test_the_version_is_in_one_place():
    assert importlib.metadata.version("archimedes_grad") == arc.__version__
