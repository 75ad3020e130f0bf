"""LeNet's step, batch 64, beside as many processes that compute as there are processors: the mean of many steps.

A user's laptop is rarely idle. Medians would hide what other processes take away, so the mean counts here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .measuring import PAUSE, Sides, executor_name, import_peers, set_threads
from .report import NAMES
from .workloads import all_workloads

STEPS = 1000
TURN = 50  # steps of a side before it is another's turn
WORKLOAD = "lenet-003-training-64"


def main(peers: list[str], seconds: float) -> list[dict[str, Any]]:
    """Prints mean, median and 99th percentile in milliseconds, alone and beside busy processes; the same as rows.

    Args:
        peers: which others run.
        seconds: time after which a side has run enough, if it has not done all steps.
    """
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    import_peers(peers)
    set_threads(every)
    [workload] = [w for w in all_workloads() if w.name == WORKLOAD]
    sides = Sides(workload, peers)
    print(f"{workload.title}, {every} threads, flambeau on {executor_name()}, ms")
    print(f"{'':36}{'mean':>10}{'median':>10}{'p99':>10}{'steps':>7}")
    rows = _show(sides, "alone", seconds)
    busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(every)]
    try:
        time.sleep(0.3)
        rows += _show(sides, f"beside {every} busy processes", seconds)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return rows


def _show(sides: Sides, where: str, seconds: float) -> list[dict[str, Any]]:
    times: dict[str, list[float]] = {peer: [] for peer in sides.steps}
    while pending := [p for p, found in times.items() if len(found) < STEPS and sum(found) < seconds]:
        for peer in pending:
            times[peer] += _turn(sides.steps[peer].run)
    rows = []
    for peer, found in times.items():
        ms = np.array(found) * 1e3
        figures = {"mean": ms.mean(), "median": np.median(ms), "p99": np.percentile(ms, 99)}
        print(
            f"{f'{NAMES[peer]}, {where}':36}" + "".join(f"{f:10.3f}" for f in figures.values()) + f"{len(ms):7}",
            flush=True,
        )
        rows.append({"side": peer, "where": where, **{name: float(f) for name, f in figures.items()}, "steps": len(ms)})
    return rows


def _turn(run: Callable[[], float]) -> list[float]:
    time.sleep(PAUSE)  # else the threads of the side before, which look for work, count as busy processes
    times = []
    for _ in range(TURN):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return times
