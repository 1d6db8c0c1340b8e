"""Where there is no C compiler but the ziglang wheel, it compiles, and gives what the interpreter gives."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from archimedes_grad.engines.native.toolchain import CACHE_VARIABLE

pytestmark = pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed")

#: Vector maths, reductions, products, gathers, loops and linear equations, beside the interpreter.
SCRIPT = """
import json
import numpy as np
import archimedes_grad as arc
from test_native_engine import FUNCTIONS

x = np.random.default_rng(7).normal(size=60)
solved = lambda x: np.sum(np.linalg.solve(np.diag(x[:20] ** 2 + 1) + np.outer(x[:20], x[20:40]), x[40:]))
rows = []
for function in [*FUNCTIONS, solved]:
    native, vm = (arc.value_and_grad(function, engine=engine) for engine in ("native", "vm"))
    got, expected = (np.append(gradient, value) for value, gradient in (native(x), vm(x)))
    rows.append((native.explain(x).engine, float(np.max(np.abs(got - expected)) / np.max(np.abs(expected)))))
print(json.dumps(rows))
"""


def run_without_compiler(tmp_path):
    """Return the engine and the difference for each function, in a process whose home cannot be written, too."""
    (tmp_path / "no directory").write_text("")
    (tmp_path / "empty").mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "XDG_CACHE_HOME")}
    environment |= {
        "PYTHONPATH": os.pathsep.join(sys.path), "PATH": str(tmp_path / "empty"),
        "HOME": str(tmp_path / "no directory" / "home"), CACHE_VARIABLE: str(tmp_path / "cache"),
    }  # fmt: skip
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_wheel_compiles_where_there_is_no_compiler(tmp_path):
    rows = run_without_compiler(tmp_path)
    assert {engine for engine, _ in rows} == {"native"}
    assert np.max([difference for _, difference in rows]) < 1e-12
    libraries = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*.so")}
    assert len(libraries) > len(rows)
    # The next process finds them all.
    assert run_without_compiler(tmp_path) == rows
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*.so")} == libraries
