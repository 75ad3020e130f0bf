"""From the start of a process to the end of its first step, with an empty and with a warm cache of machine code."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .measuring import installed
from .report import NAMES

TIMES = ("import", "first", "second")
TRIES = 3
DEFAULT = ("lenet-003-training-64", "mlp-20", "gpt-small")
PROGRAM = """
import importlib, sys, time
begin = time.perf_counter()
torch = importlib.import_module(sys.argv[2])
imported = time.perf_counter()
from benchmarks.steps import Side
from benchmarks.workloads import {function} as make
arguments = {arguments}
wrap = torch.compile if sys.argv[1] == "compile" else lambda network: network
ready = time.perf_counter()
run = make(Side(torch, wrap), **arguments).run
run()
first = time.perf_counter()
run()
second = time.perf_counter()
for _ in range({more}):
    run()
print(imported - begin, first - ready, second - first)
"""
MORE = 200  # steps that a process goes on for which leaves its machine code and programs to the next one
WORKLOADS = {
    "lenet-003-training-64": ("lenet_training", {"variant": "003", "batch": 64}),
    "mlp-20": ("mlp_training", {"widths": (20, 64, 64, 2), "batch": 32}),
    "mlp-784": ("mlp_training", {"widths": (784, 512, 512, 10), "batch": 128}),
    "vae": ("vae_training", {}),
    "gpt-small": ("gpt_training", {"layers": 4, "width": 128, "heads": 4, "context": 64, "batch": 12}),
    "gpt-large": ("gpt_training", {"layers": 6, "width": 384, "heads": 6, "context": 256, "batch": 8}),
    "lstm": ("lstm_training", {}),
    "resnet18": ("resnet_training", {}),
    "mobilenet": ("mobilenet_inference", {}),
}


def main(names: list[str]) -> list[dict[str, Any]]:
    """Prints seconds: the import, building the network and its first step, the second step; the same as rows.

    Raises:
        SystemExit: there is no first step of that name.
    """
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise SystemExit(f"no first step of {unknown[0]}; there are {', '.join(WORKLOADS)}")
    print(f"{'seconds':52} {'import':>8} {'first':>8} {'second':>8}")
    rows = []
    for name in names or DEFAULT:
        for side in ("flambeau", *[peer for peer in ("torch", "compile") if peer in installed()]):
            caches = ("",) if side == "torch" else ("empty cache", "warm cache")
            tries = [_processes(name, side, caches) for _ in range(1 if side == "compile" else TRIES)]
            rows += [_best(found) for found in zip(*tries)]
            for row in rows[-len(caches) :]:
                _show(row)
    return rows


def _processes(name: str, side: str, caches: tuple[str, ...]) -> list[dict[str, Any]]:
    """One process after the other with the same cache, which is empty for the first, which trains on."""
    with tempfile.TemporaryDirectory() as folder:
        return [_process(name, side, Path(folder), cache) for cache in caches]


def _best(found: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """The least of each time; a failure if there was one."""
    failed = [row for row in found if "error" in row]
    return failed[0] if failed else found[0] | {key: min(row[key] for row in found) for key in TIMES}


def _process(name: str, side: str, folder: Path, cache: str) -> dict[str, Any]:
    function, arguments = WORKLOADS[name]
    environment = {**os.environ, "FLAMBEAU_CACHE": str(folder / "f"), "TORCHINDUCTOR_CACHE_DIR": str(folder / "t")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without it, each process would compile all of Python's source
    more = MORE if side == "flambeau" and cache == "empty cache" else 0
    program = PROGRAM.format(function=function, arguments=repr(arguments), more=more)
    command = [sys.executable, "-c", program, side, "flambeau" if side == "flambeau" else "torch"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    row: dict[str, Any] = {"name": name, "side": side, "cache": cache}
    if done.returncode:
        return {**row, "error": done.stderr.strip().splitlines()[-1]}
    return {**row, **dict(zip(TIMES, map(float, done.stdout.split()[-3:])))}


def _show(row: dict[str, Any]) -> None:
    line = f"{row['name']}, {NAMES[row['side']]}" + (f", {row['cache']}" if row["cache"] else "")
    times = " ".join(f"{row[key]:8.3f}" for key in TIMES) if "error" not in row else f"failed: {row['error']}"
    print(f"{line:52} {times}", flush=True)
