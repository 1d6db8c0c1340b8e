"""From the figures of the suite to docs/benchmarks.md and its pictures. Nothing is measured here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runners import CASADI, CPP, OURS

DOCS = Path(__file__).parents[1] / "docs"
FIGURES = Path(__file__).parent / "results"

#: Figures of all data sets, by problem and size.
Saved = dict[str, dict[str, dict[str, Any]]]

#: Problems whose data sets differ in one number, which is their name.
SERIES = ("rosenbrock", "exp sin", "logsumexp")

COLOURS = {
    f"{OURS} (vm)": "#0b5fa5", f"{OURS} (native)": "#0aa07f", f"{OURS} (auto)": "#66a182",
    "JAX (jit)": "#d1495b", "autograd": "#8d6a9f",
    "archimedes": "#edae49", CASADI: "#7d8597", CPP: "#222222",
}  # fmt: skip

INTRODUCTION = """# Benchmarks

Whole problems side by side: this library, its peers, the problem written directly in CasADi, and a derivative written
by hand in C++. Each is a gradient by all differentiated arguments, NumPy arrays in and out; answers are compared before
anything is timed. JAX and autograd run the same lines with their own `numpy`. All forms stand in
`benchmarks/problems.py`, `graphs.py` and `yardsticks/`.

Times are medians of interleaved rounds in one process on {cores} of a virtual machine; read the ratios. This page is
made from `benchmarks/results/suite.json` by `python benchmarks/suite.py`, which measures, or by
`python benchmarks/suite.py --pages`, which does not. C++ is called by ctypes, which takes some ten microseconds."""


def write(saved: Saved) -> None:
    """Write the page and its pictures."""
    folder = DOCS / "benchmarks"
    folder.mkdir(exist_ok=True)
    draw_series(saved, folder / "time-against-size.svg")
    draw_ratios(saved, folder / "ratios.svg")
    (DOCS / "benchmarks.md").write_text(page(saved))


# --- the page --------------------------------------------------------------------------------------


def baseline(row: dict[str, Any]) -> str:
    """Return the engine of ours that the others are compared with: the first that was measured."""
    return next(name for name in row["seconds"] if name.startswith(OURS))


def page(saved: Saved) -> str:
    ours = baseline(next(iter(next(iter(saved.values())).values())))
    names = [name for name in COLOURS if any(name in row["seconds"] for _, _, row in rows(saved)) and name != ours]
    cores = sorted({row["cores"] for _, _, row in rows(saved)})
    on = " or ".join(f"{count} core{'s' if count > 1 else ''}" for count in cores)
    parts = [
        INTRODUCTION.replace("{cores}", on),
        "![Time of a gradient against the number of entries](benchmarks/time-against-size.svg)",
        "![Times as multiples of this library's](benchmarks/ratios.svg)",
        f"## A gradient\n\n{ours} in milliseconds; the others as multiples of that. The first columns are this "
        "library's engines.",
        table(
            ["problem", "data", f"{column(ours)}, ms", *map(column, names)],
            ([problem, size, f"{1e3 * row['seconds'][ours]:.3g}", *multiples(row, "seconds", ours, names)]
             for problem, size, row in rows(saved)),
        ),
        "## The first gradient\n\nTracing, differentiating and compiling included, in a fresh process with everything "
        "imported; seconds. That of C++ is the time of its compiler.",
        table(
            ["problem", "data", *map(column, [ours, *names])],
            ([problem, size, *(f"{row['first'][name]:.2g}" if name in row["first"] else "–" for name in [ours, *names])]
             for problem, size, row in rows(saved)),
        ),
        "## Memory\n\nWhat the first gradient adds to the peak of a fresh process, in MiB.",
        table(
            ["problem", "data", *map(column, [ours, *names])],
            ([problem, size, *(f"{row['peak bytes'][name] / 2**20:.0f}" if name in row["peak bytes"] else "–"
              for name in [ours, *names])] for problem, size, row in rows(saved) if problem == "gmm"),
        ),
        bundle_adjustment(),
        left_out(saved),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def rows(saved: Saved) -> Iterable[tuple[str, str, dict[str, Any]]]:
    return ((problem, size, row) for problem, sizes in saved.items() for size, row in sizes.items())


def column(name: str) -> str:
    """Return the title of a column: of ours, the engine."""
    return name.removeprefix(f"{OURS} (").removesuffix(")") if name.startswith(OURS) else name


def multiples(row: dict[str, Any], what: str, ours: str, names: list[str]) -> list[str]:
    ratios = [row[what][name] / row[what][ours] if name in row[what] else None for name in names]
    return ["–" if ratio is None else f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}" for ratio in ratios]


def table(header: list[str], lines: Iterable[list[str]]) -> str:
    ruled = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*ruled, *("| " + " | ".join(line) + " |" for line in lines)])


def bundle_adjustment() -> str:
    """Show what benchmarks/bundle_adjustment.py has measured: a sparse Jacobian, not a gradient."""
    seconds = json.loads((FIGURES / "bundle_adjustment.json").read_text())["seconds"]
    names = [name for name in seconds if ":" not in name]
    lines = ([name, f"{1e3 * seconds[name]:.3g}", f"{seconds[name] / seconds[CPP]:.2g}"] for name in names)
    return (
        "## Bundle adjustment\n\nThe sparse Jacobian of 31,843 observations, measured by "
        "`python benchmarks/bundle_adjustment.py`; *mapped* and *vectorised* are this library's.\n\n"
        + table(["form", "ms", f"as a multiple of {CPP}"], lines)
    )


def left_out(saved: Saved) -> str:
    """Say who has no figure where, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for problem, size, row in rows(saved):
        for name, reason in row["left out"].items():
            reasons.setdefault((name, reason), []).append(f"{problem}, {size}")
    lines = ["## What was left out\n"]
    lines += [f"- {name}: {'; '.join(where)}. {reason.replace('`', '')}" for (name, reason), where in reasons.items()]
    return "\n".join(lines)


# --- the pictures ----------------------------------------------------------------------------------


def plain_figure(**options: Any) -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9})
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **options)


def finish(figure: Any, target: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def draw_series(saved: Saved, target: Path) -> None:
    """Draw time against size, both logarithmic, for the problems that have a series of sizes."""
    series = [problem for problem in SERIES if problem in saved]
    figure, axes = plain_figure(ncols=max(1, len(series)), figsize=(9, 3.4), sharey=True, squeeze=False)
    for axis, problem in zip(axes[0], series, strict=False):
        sizes = sorted(saved[problem], key=int)
        for name, colour in COLOURS.items():
            measured = [size for size in sizes if name in saved[problem][size]["seconds"]]
            if not measured:
                continue
            times = [1e3 * saved[problem][size]["seconds"][name] for size in measured]
            dashed = "--" if name in (CASADI, CPP) else "-"
            axis.loglog([int(n) for n in measured], times, dashed, marker=".", color=colour, label=name)
        axis.set(title=problem, xlabel="entries")
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("milliseconds a gradient")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    finish(figure, target)


def draw_ratios(saved: Saved, target: Path) -> None:
    """Draw bars of the others' times as multiples of ours, from 1 on a logarithmic axis."""
    entries = [
        (f"{problem}\n{size}", row) for problem, size, row in rows(saved) if problem not in SERIES or size == "80000"
    ]
    ours = baseline(entries[0][1])
    names = [name for name in COLOURS if name != ours and any(name in row["seconds"] for _, row in entries)]
    figure, ((axis,),) = plain_figure(figsize=(8, 0.75 * len(entries) + 1), squeeze=False)
    thickness = 0.8 / len(names)
    for k, name in enumerate(names):
        places = [i for i, (_, row) in enumerate(entries) if name in row["seconds"]]
        ratios = [entries[i][1]["seconds"][name] / entries[i][1]["seconds"][ours] for i in places]
        heights = [i + (k - (len(names) - 1) / 2) * thickness for i in places]
        logarithms = [math.log10(ratio) for ratio in ratios]
        axis.barh(heights, logarithms, thickness * 0.9, color=COLOURS[name], label=name)
    lowest, highest = (math.floor(axis.get_xlim()[0]), math.ceil(axis.get_xlim()[1]))
    ticks = range(lowest, highest + 1)
    axis.set_xticks(ticks, [f"{10.0**tick:g}" for tick in ticks])
    axis.axvline(0, color=COLOURS[ours])
    axis.set_yticks(range(len(entries)), [label for label, _ in entries])
    axis.margins(y=0.01)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel(f"time as a multiple of {ours}: bars to the left are faster, to the right slower")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    finish(figure, target)
