"""From the start of a process to the end of its first step, with an empty and with a warm cache of machine code."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .measuring import installed
from .report import NAMES

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
print(imported - begin, first - ready, time.perf_counter() - first)
"""
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


def main(names: list[str]) -> int:
    """Prints seconds: the import, building the network and its first step, the second step."""
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        print(f"no first step of {unknown[0]}; there are {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    print(f"{'seconds':52} {'import':>8} {'first':>8} {'second':>8}")
    for name in names or DEFAULT:
        for side in ("flambeau", *[peer for peer in ("torch", "compile") if peer in installed()]):
            with tempfile.TemporaryDirectory() as folder:
                for cache in ("empty cache", "warm cache")[: 1 if side == "torch" else 2]:
                    _show(name, side, Path(folder), cache)
    return 0


def _show(name: str, side: str, folder: Path, cache: str) -> None:
    function, arguments = WORKLOADS[name]
    environment = {**os.environ, "FLAMBEAU_CACHE": str(folder / "f"), "TORCHINDUCTOR_CACHE_DIR": str(folder / "t")}
    program = PROGRAM.format(function=function, arguments=repr(arguments))
    command = [sys.executable, "-c", program, side, "flambeau" if side == "flambeau" else "torch"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    line = f"{name}, {NAMES[side]}" + (f", {cache}" if side != "torch" else "")
    if done.returncode:
        print(f"{line:52} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return
    print(f"{line:52} " + " ".join(f"{float(t):8.3f}" for t in done.stdout.split()[-3:]), flush=True)
