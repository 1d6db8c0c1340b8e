"""Write docs/numpy.md: every overridable NumPy function with its status, and everyday expressions beside the peers.

python docs/make_numpy_page.py
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import overrides

import archimedes_grad  # noqa: F401
from archimedes_grad.arrays import dispatch

_ROOT = Path(__file__).resolve().parent.parent
_RESULTS = _ROOT / "benchmarks" / "results"


def status(function: Any) -> tuple[str, str]:
    """Return "supported" or "refused", and the reason."""
    for candidate in (function, getattr(function, "__wrapped__", function)):
        if candidate in dispatch.REFUSED:
            return "refused", dispatch.REFUSED[candidate]
    if dispatch.has_rule(function):
        return "supported", ""
    raise SystemExit(f"{function} is neither supported nor refused")


def tests_of(name: str, texts: dict[str, str]) -> str:
    """Return the test modules that call a function most, beside the one that calls every function."""
    called = re.compile(rf"\bnp\.{re.escape(name.removeprefix('numpy.'))}\b")
    counts = Counter({module: n for module, text in texts.items() if (n := len(called.findall(text)))})
    shown = [f"`{module}`" for module, _ in counts.most_common(3)]
    return ", ".join(shown) + (f" and {len(counts) - 3} more" if len(counts) > 3 else "")


def functions_table() -> list[str]:
    texts = {path.name: path.read_text() for path in sorted((_ROOT / "tests").rglob("test_*.py"))}
    functions = overrides.get_overridable_numpy_array_functions() | overrides.get_overridable_numpy_ufuncs()
    rows = sorted((f"{getattr(f, '__module__', None) or 'numpy'}.{f.__name__}", *status(f)) for f in functions)
    counts = Counter(row[1] for row in rows)
    print(f"{counts['supported']} supported, {counts['refused']} refused")
    lines = [
        f"With NumPy {np.__version__}, {counts['supported']} of {len(rows)} overridable functions take traced arrays, "
        f"and {counts['refused']} are refused with a reason. `tests/rules/test_completeness.py` holds that there are "
        f"no others; `tests/rules/test_every_function.py` calls each that is supported and compares value and "
        f"gradient; the table names the modules that call it most.",
        "",
        "| function | status | tests, or the reason of a refusal |",
        "|---|---|---|",
    ]
    for name, state, reason in dict.fromkeys(rows):
        lines.append(f"| `{name}` | {state} | {reason or tests_of(name, texts)} |")
    return lines


def expressions_table() -> list[str]:
    results = json.loads((_RESULTS / "expressions.json").read_text())
    table, counts, versions = results["expressions"], results["counts"], results["versions"]
    shown = {"casadi": "CasADi's ArrayInterface", "jax": "JAX", "autograd": "autograd", "archimedes": "archimedes"}
    peers = [peer for peer in ("archimedes_grad", "archimedes", "autograd", "jax", "casadi") if peer in counts]
    titles = [f"{shown.get(peer, peer)} {versions[peer]}" for peer in peers]
    return [
        f"{len(table)} expressions of NumPy programs (`benchmarks/everyday_expressions.py`), run by "
        f"`python benchmarks/expressions.py`: counted is one whose value equals NumPy's and whose gradients agree with "
        f"central differences. This library, archimedes and CasADi get NumPy itself; autograd and JAX get their own "
        f"modules in its place.",
        "",
        "| | " + " | ".join(titles) + " |",
        "|---|" + "---|" * len(peers),
        f"| **right, of {len(table)}** | " + " | ".join(f"**{counts[peer]}**" for peer in peers) + " |",
        *(f"| {name} | " + " | ".join(_mark(row[peer]) for peer in peers) + " |" for name, row in table.items()),
    ]


def _mark(outcome: str) -> str:
    return "yes" if outcome == "right" else outcome


def costs_table() -> list[str]:
    results = json.loads((_RESULTS / "rules.json").read_text())
    missed = [row for row in results["targets"] if not row["met"]]
    return [
        f"`python benchmarks/rules.py` times each supported function at 10 and at 10,000 entries beside NumPy's own "
        f"evaluation in the same run. Asked at 10,000: a value within 10 times NumPy's time, a gradient within 25. "
        f"Times are the processor's. {len(results['targets']) - len(missed)} of {len(results['targets'])} are. "
        f"The others:",
        "",
        "| function | times NumPy | asked | reason |",
        "|---|---|---|---|",
        *(
            f"| `{row['what'].split(',')[0]}`,{row['what'].split(',')[1]} | {row['ratio']:.1f} | {row['at most']:g} | "
            f"{results['reasons'].get(row['what'].split(',')[0], '')} |"
            for row in missed
        ),
    ]


def main() -> None:
    dispatch.load_all_rules()
    lines = [
        "# NumPy functions",
        "",
        "What of NumPy takes traced values: how much of everyday NumPy works beside the peers, what a derivative "
        "costs, and each function that NumPy lets a library take over. Written by `python docs/make_numpy_page.py`.",
        "",
        "## Everyday expressions, beside the peers",
        "",
        *expressions_table(),
        "",
        "## What a rule costs",
        "",
        # The figures are there once the benchmark has run on a quiet machine.
        *(costs_table() if (_RESULTS / "rules.json").exists() else ["`python benchmarks/rules.py` measures it."]),
        "",
        _GROWTH,
        "",
        "## Every function",
        "",
        *functions_table(),
    ]
    Path(__file__).with_name("numpy.md").write_text("\n".join(lines) + "\n")


_GROWTH = """\
What grows faster than the number of entries n: sorting networks in the graph, for rows of up to 48 entries (n log² n
comparisons; beyond that NumPy sorts, n log n); `searchsorted`, `digitize`, `isin`, `interp` and histograms up to 2,000
comparisons in the graph (entries times table; beyond that NumPy searches); `convolve` and `correlate` (n times the
shorter one); `poly` (the square), and of a matrix (n products of n by n matrices); `polydiv` (a node for each product).
Functions whose results are decided (`unique` and the set functions, masks as indices) leave a guard for each entry that
decides, and are timed at 1,000 entries, as `polydiv` is."""


if __name__ == "__main__":
    main()
