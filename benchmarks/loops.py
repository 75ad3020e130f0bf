"""Everyday loops (`everyday.py`) beside PyTorch, from their first step on, each in a process of its own.

    python -m benchmarks.loops                        # all, 300 steps, one thread
    python -m benchmarks.loops episodes beams --steps 1000 --threads 4

A loop's numbers are its first ten steps (milliseconds), in which everything is new, and the least and the median of its
second half (microseconds); the ratio is flambeau's over PyTorch's. Both sides must end with the same numbers.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from .everyday import LOOPS

SIDES = ("flambeau", "torch")
AGREEMENT = 1e-3  # relative difference of the sums of all numbers


def timed(name: str, side: str, steps: int, threads: int) -> dict[str, float]:
    """A loop's times on one side, and the sum of what it has changed."""
    torch = importlib.import_module(side)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    state: list[Any] = []
    step, times = LOOPS[name](torch, state), []
    for k in range(steps):
        begin = time.perf_counter()
        step(k)
        times.append(time.perf_counter() - begin)
    late = times[steps // 2 :]
    return {
        "first": sum(times[:10]) * 1e3, "least": min(late) * 1e6, "median": statistics.median(late) * 1e6,
        "sum": sum([_total(x, torch) for x in state]),
    }  # fmt: skip


def _total(x: Any, torch: Any) -> float:
    """The sum of a tensor's or a network's absolute values."""
    parts = x.parameters() if isinstance(x, torch.nn.Module) else [x]
    return sum([p.detach().double().abs().sum().item() for p in parts])


def _apart(name: str, side: str, args: argparse.Namespace) -> dict[str, float]:
    """``timed`` in another process."""
    command = [sys.executable, "-m", "benchmarks.loops", name, "--side", side]
    more = ["--steps", str(args.steps), "--threads", str(args.threads)]
    found = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def _line(name: str, ours: dict[str, float], theirs: dict[str, float]) -> str:
    pairs = [f"{ours[k]:9.1f} {theirs[k]:9.1f} {ours[k] / theirs[k]:6.2f}" for k in ("first", "least", "median")]
    differs = abs(ours["sum"] - theirs["sum"]) > AGREEMENT * abs(theirs["sum"])
    return f"{name:28} " + "   ".join(pairs) + ("   other numbers" if differs else "")


def main() -> None:
    """Prints a line for each loop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loops", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*LOOPS, []], help="loops; all if there is none")
    parser.add_argument("--steps", type=int, default=300, help="steps of each loop (300)")
    parser.add_argument("--threads", type=int, default=1, help="number of threads (1)")
    parser.add_argument("--side", choices=SIDES, help="time one loop on this side, and print its numbers as JSON")
    args = parser.parse_args()
    if args.side:
        print(json.dumps(timed(args.names[0], args.side, args.steps, args.threads)))
        return
    print(f"{'':28} {'first ten steps, ms':^26}   {'least, us':^26}   {'median, us':^26}")
    for name in args.names or LOOPS:
        print(_line(name, *[_apart(name, side, args) for side in SIDES]), flush=True)


if __name__ == "__main__":
    main()
