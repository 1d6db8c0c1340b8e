"""All calls of NumPy's and SciPy's tests: ``PYTHONPATH=.:tests python -m recorded_calls --directory DIR``."""

import argparse
import warnings
from pathlib import Path

from .recording import SOURCES, record
from .replay import made_again
from .ways import WAYS


def main() -> None:
    """Record what is not recorded yet, make all calls again, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m recorded_calls", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where the recorded calls are kept")
    parser.add_argument("--seed", type=int, default=0, help="which calls of each form are made again")
    parser.add_argument("--only", choices=SOURCES, nargs="+", default=list(SOURCES))
    parser.add_argument("--ways", choices=WAYS, nargs="*", default=list(WAYS), help="of which one is drawn for a call")
    parser.add_argument("--limit", type=int, help="how many calls of each source are made again")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name in options.only:
        file = options.directory / f"{name.replace(' ', '-')}.pickle"
        if not file.exists():
            record(*SOURCES[name], file)
        print(f"== {name}\n{made_again(file, options.seed, options.limit, options.ways)}", flush=True)


main()
