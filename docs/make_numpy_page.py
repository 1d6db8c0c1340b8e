"""Write docs/numpy.md: every overridable NumPy function with its status, from the table of rules.

python docs/make_numpy_page.py
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.testing import overrides

import archimedes_grad  # noqa: F401
from archimedes_grad import dispatch


def status(function: object) -> tuple[str, str]:
    """Return "supported" or "refused", and the reason."""
    candidates = (function, getattr(function, "__wrapped__", function))
    for candidate in candidates:
        if candidate in dispatch.REFUSED:
            return "refused", dispatch.REFUSED[candidate]
        if (
            candidate in dispatch.FUNCTIONS
            or candidate in dispatch.ELEMENTWISE
            or (candidate, "__call__") in dispatch.UFUNC_METHODS
            or any(key[0] is candidate for key in dispatch.ELEMENTWISE_BY_KIND)
        ):
            return "supported", ""
    raise SystemExit(f"{function} is neither supported nor refused")


def main() -> None:
    dispatch.load_all_rules()
    functions = overrides.get_overridable_numpy_array_functions() | overrides.get_overridable_numpy_ufuncs()
    rows = []
    for function in functions:
        module = getattr(function, "__module__", None) or "numpy"
        rows.append((f"{module}.{function.__name__}", *status(function)))
    rows.sort()
    counts = Counter(row[1] for row in rows)
    lines = [
        "# NumPy functions",
        "",
        f"Written by `python docs/make_numpy_page.py` with NumPy {np.__version__}: {counts['supported']} of "
        f"{len(rows)} overridable functions take traced arrays, {counts['refused']} are refused with a reason.",
        "`tests/rules/test_completeness.py` holds that there are no others.",
        "",
        "| function | status | reason of a refusal |",
        "|---|---|---|",
        *(f"| `{name}` | {state} | {reason} |" for name, state, reason in rows),
    ]
    Path(__file__).with_name("numpy.md").write_text("\n".join(lines) + "\n")
    print(f"{counts['supported']} supported, {counts['refused']} refused")


if __name__ == "__main__":
    main()
