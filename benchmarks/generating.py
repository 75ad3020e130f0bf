"""A text is generated token by token: each token's time from the first on, in new processes, which take turns."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from .text_samplers import SAMPLERS

TOKENS = 200
ROUNDS = 5
WARM_UP = 2  # processes that leave machine code and plans on the disk: what came once in one, the next one plans
NAMES = {"flambeau": "flambeau", "torch": "PyTorch"}
PARTS = ((1, 10), (10, 50), (50, 100), (100, 200))  # of the tokens, behind the first


def main(names: list[str], threads: list[int]) -> list[dict[str, Any]]:
    """Prints what each sampler takes, in milliseconds: the first token, medians of parts, seconds of all; as rows too.

    Raises:
        SystemExit: there is no such sampler.
    """
    unknown = [name for name in names if name not in SAMPLERS]
    if unknown:
        raise SystemExit(f"no sampler {unknown[0]}; there are {', '.join(SAMPLERS)}")
    titles = ["first", *[f"{a} to {b}" for a, b in PARTS], "slowest", "all", "again"]
    print(f"{'milliseconds a token':32}" + "".join([f"{title:>11}" for title in titles]))
    rows = []
    for count in threads:
        for name in names or SAMPLERS:
            rows += _turns(name, count)
    return rows


def _turns(name: str, threads: int) -> list[dict[str, Any]]:
    """One sampler on all sides."""
    sides = [side for side in NAMES if importlib.util.find_spec(side)]
    for _ in range(WARM_UP):
        _process(name, "flambeau", threads, FLAMBEAU_TWINS="now")
    found: dict[str, list[Any]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side in sides:
            found[side].append(_process(name, side, threads))
    rows = []
    for side, rounds in found.items():
        texts = {tuple(r["text"]) for one in found.values() for r in one}
        row = {"name": name, "side": side, "threads": threads, "same": len(texts) == 1}
        rows.append(row | _summary([r["times"] for r in rounds], [r["again"] for r in rounds]))
        _show(rows[-1])
    return rows


def _summary(rounds: list[list[float]], again: list[float]) -> dict[str, Any]:
    """Of several texts: each token's median, the tokens' medians in parts, the median and least of the sums."""
    tokens, sums = np.median(rounds, 0), np.sum(rounds, 1)
    return {
        "first": 1e3 * tokens[0],
        "parts": [1e3 * float(np.median(tokens[a:b])) for a, b in PARTS],
        "slowest": 1e3 * float(tokens[1:].max()),
        "all": float(np.median(sums)),
        "least": float(sums.min()),
        "again": float(np.median(again)),
    }


def _show(row: dict[str, Any]) -> None:
    title = f"{row['name']}, {NAMES[row['side']]}, {row['threads']} threads" + ("" if row["same"] else " (other text)")
    numbers = [row["first"], *row["parts"], row["slowest"]]
    sums = f"{row['all']:9.3f} s{row['again']:9.3f} s  least {row['least']:.3f} s"
    print(f"{title:32}" + "".join([f"{n:11.2f}" for n in numbers]) + sums, flush=True)


def _process(name: str, side: str, threads: int, **settings: str) -> dict[str, Any]:
    """What a new process with these environment variables says, which generates the text twice."""
    command = [sys.executable, "-m", "benchmarks.generating", name, side, str(threads)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # which costs imports
    environment.update(settings)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def generate(name: str, side: str, threads: int) -> dict[str, Any]:
    """Generates the text in this process: tokens, seconds of each, seconds of all the second time."""
    torch = importlib.import_module(side)
    torch.set_num_threads(threads)
    text, times = _text(torch, name)
    return {"text": text, "times": times, "again": sum(_text(torch, name)[1])}


def _text(torch: Any, name: str) -> tuple[list[int], list[float]]:
    torch.manual_seed(0)
    text, times = [], []
    with torch.no_grad():
        tokens = SAMPLERS[name](torch, TOKENS)
        begin = time.perf_counter()
        for token in tokens:
            now = time.perf_counter()
            text.append(token)
            times.append(now - begin)
            begin = now
    return text, times


if __name__ == "__main__":
    print(json.dumps(generate(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
