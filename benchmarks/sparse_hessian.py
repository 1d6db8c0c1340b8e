"""The sparse Hessian of the chained Rosenbrock function: time for each nonzero as the number of variables grows.

python -m pip install ".[benchmark]" && python benchmarks/sparse_hessian.py
"""

from __future__ import annotations

import resource
import time

import numpy as np
from problems import rosenbrock
from timing import Targets, compared, save

import archimedes_grad as arc

SIZES = (1_000, 10_000, 100_000)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    targets = Targets()
    arc.hess(rosenbrock, sparse=True)(np.ones(10))
    hessians, first, nonzeros, megabytes = {}, {}, {}, {}
    for n in SIZES:
        x = np.linspace(-1.0, 1.0, n)
        before, start = peak_megabytes(), time.perf_counter()
        hessian = arc.hess(rosenbrock, sparse=True)
        nonzeros[n] = hessian(x).nnz
        first[n], megabytes[n] = time.perf_counter() - start, peak_megabytes() - before
        hessians[n] = lambda hessian=hessian, x=x: hessian(x)
        assert nonzeros[n] == 3 * n - 2
    times = compared({str(n): call for n, call in hessians.items()})
    print(f"{'n':>8s} {'first call, ms':>15s} {'a call, ms':>12s} {'ns a nonzero':>13s} {'peak memory, MB more':>21s}")
    for n in SIZES:
        each = 1e9 * times[str(n)] / nonzeros[n]
        print(f"{n:8d} {1e3 * first[n]:15.1f} {1e3 * times[str(n)]:12.3f} {each:13.2f} {megabytes[n]:21.1f}")
    ratio = times["100000"] / nonzeros[100_000] / (times["1000"] / nonzeros[1_000])
    targets.check("time for each nonzero, n = 100,000 against 1,000", ratio, 1.5)
    targets.check("memory beside a dense Hessian of 80 GB", megabytes[100_000] * 2**20 / (8 * 100_000**2), 0.01)
    targets.show()
    save("sparse_hessian", {"seconds": times, "first": first, "megabytes": megabytes, "targets": targets.rows})


if __name__ == "__main__":
    main()
