"""Tests of NumPy and SciPy, run so that their calls are recorded."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

#: Name -> the modules whose functions are recorded, and the tests that run.
SOURCES = {
    "core": ("numpy", [f"numpy/_core/tests/test_{name}.py" for name in (
        "umath", "ufunc", "numeric", "einsum", "shape_base", "regression", "multiarray", "indexing", "item_selection",
        "umath_complex", "function_base",
    )]),
    "lib": ("numpy", [f"numpy/lib/tests/test_{name}.py" for name in (
        "function_base", "shape_base", "arraysetops", "index_tricks", "nanfunctions", "twodim_base", "type_check",
        "ufunclike", "arraypad", "histograms", "polynomial", "regression",
    )]),
    "linalg and fft": ("numpy,numpy.linalg,numpy.fft", ["numpy/linalg/tests", "numpy/fft/tests"]),
    "a few": ("numpy", ["numpy/lib/tests/test_ufunclike.py", "numpy/lib/tests/test_twodim_base.py"]),
    "scipy": ("scipy.special,scipy.linalg", ["scipy/special/tests", "scipy/linalg/tests"]),
}  # fmt: skip


def record(modules: str, tests: list[str], file: Path) -> None:
    """Run tests of NumPy or SciPy in a process of their own, and write the calls that they make."""
    library = importlib.import_module(re.split("[.,]", modules)[0])
    site = Path(library.__file__).parent.parent
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-W", "ignore", "-m", "not slow"]
    command += ["-p", "recorded_calls.recorder", "--continue-on-collection-errors", "-c", os.devnull]
    command += ["-p", "no:cacheprovider"]
    # Some tests look at the functions themselves, and fail for what stands in their place.
    subprocess.run(
        [*command, *(str(site / test) for test in tests)],
        env={
            **os.environ, "RECORDED_MODULES": modules, "RECORDED_CALLS": str(file),
            "PYTHONPATH": str(Path(__file__).parent.parent),
        },
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
