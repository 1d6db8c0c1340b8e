"""A long run: ``PYTHONPATH=.:tests python -m fuzzing --minutes 10 --corpus DIR`` goes on where the last one ended."""

import argparse
import warnings
from pathlib import Path

from .campaign import run


def main() -> None:
    """Read the options, run, and print the tally."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--corpus", type=Path, required=True, help="directory of the tally and of the findings")
    parser.add_argument("--engines", nargs="+", default=["vm"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # NumPy's, of programs at points that they were not built for
    print(run(options.corpus, 60 * options.minutes, options.engines, lambda text: print(text, flush=True)))


main()
