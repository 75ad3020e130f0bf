"""What ``import flambeau`` takes beside ``import numpy`` alone.

    python -m benchmarks.import_time

Fresh processes time the import statement itself, in turn one of each, with byte code written before; prints the
minimum and the median of both in milliseconds, and the ratio of the minima. At most 1.5 is wanted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

TIMED = "from time import perf_counter as t; a = t(); import {}; print(t() - a)"


def milliseconds(module: str, cache: str) -> float:
    """The time of one import in a fresh process, with byte code under the folder ``cache``."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = cache
    command = [sys.executable, "-c", TIMED.format(module)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return 1000 * float(out.stdout)


def measure(repeats: int = 15) -> dict[str, list[float]]:
    """The times of importing numpy and flambeau in turn."""
    times: dict[str, list[float]] = {"numpy": [], "flambeau": []}
    with tempfile.TemporaryDirectory() as cache:
        for module in times:
            milliseconds(module, cache)
        for _ in range(repeats):
            for module, found in times.items():
                found.append(milliseconds(module, cache))
    return times


def ratio(times: dict[str, list[float]]) -> float:
    """The shortest import of flambeau by the shortest of numpy."""
    return min(times["flambeau"]) / min(times["numpy"])


def main() -> None:
    """The command."""
    times = measure()
    for module, values in times.items():
        print(f"import {module:8}  minimum {min(values):6.1f} ms, median {statistics.median(values):6.1f} ms")
    print(f"ratio {ratio(times):.2f}")


if __name__ == "__main__":
    main()
