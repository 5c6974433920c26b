"""The tables of segmentation and measurement in docs/, peers and ours in one run and one thread.

``python -m tests.benchmarks segmentation`` (or ``measurements``) where the peers are installed, which is tox's study
environment: ``tox exec -e study -- python -m tests.benchmarks segmentation``.
"""

import argparse
import importlib
import os

TABLES = ("segmentation", "measurements")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def main(arguments=None):
    """Make one table page, in a single thread."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=TABLES)
    name = parser.parse_args(arguments).name
    # Before NumPy is imported: it reads them once.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    print(importlib.import_module(f"study.{name}").run())


if __name__ == "__main__":
    main()
