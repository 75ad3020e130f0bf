"""flambeau beside PyTorch, torch.compile and JAX: the same steps in one process, in turns.

    python -m benchmarks                                  # everything, with one thread and with all
    python -m benchmarks lenet-003 gpt --threads 1 --repeat 50 --peers torch,compile,jax --json FILE
    python -m benchmarks --list
    python -m benchmarks --loaded                         # LeNet beside as many busy processes as processors
    python -m benchmarks --first-step                     # new processes, empty and warm cache
    python -m benchmarks --generating                     # texts token by token: growing, cropped, with a cache of keys

Names choose the workloads that begin with them. FLAMBEAU_EXECUTOR chooses what runs flambeau's programs. For each side
it prints median and least milliseconds of a step, the first step's, and what share of the machine's measured peak
that is. It exits with 1 if flambeau's numbers differ from PyTorch's, or if flambeau fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names of workloads; all if there is none")
    parser.add_argument("--threads", help="numbers of threads, with commas; 1 and all processors if not given")
    parser.add_argument("--repeat", type=int, default=200, help="steps of each side (200), in ten turns at least")
    parser.add_argument("--seconds", type=float, help="time after which a side has run enough (2; 60 with --loaded)")
    parser.add_argument("--peers", help="torch, channels_last, compile, jax; those installed if not given")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--headline", action="store_true", help="only the rows of the README's table")
    parser.add_argument("--list", action="store_true", help="the workloads' names")
    parser.add_argument("--loaded", action="store_true", help="mean time of LeNet's step on a busy machine")
    parser.add_argument("--first-step", action="store_true", help="the first step in new processes")
    parser.add_argument("--generating", action="store_true", help="each token's time of texts that are generated")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # measure in this process
    return parser.parse_args()


def main() -> int:
    """The command."""
    options = arguments()
    if options.list:
        from .workloads import all_workloads

        print("\n".join(f"{w.name:28} {w.title}" for w in all_workloads()))
        return 0
    if options.first_step:
        from .first_step import main as first_step

        return _keep(options, first_step=first_step(options.names))
    if options.generating:
        from .generating import main as generating

        return _keep(
            options, generating=generating(options.names, [int(n) for n in (options.threads or "1").split(",")])
        )
    if options.loaded:
        from .loaded import main as loaded

        return _keep(options, loaded=loaded(_peers(options), options.seconds or 60.0))
    if options.here:
        return _measure(options)
    return _in_children(options)


def _keep(options: argparse.Namespace, **found: Any) -> int:
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _peers(options: argparse.Namespace) -> list[str]:
    from .measuring import PEERS, installed

    wanted = installed() if options.peers is None else [p for p in options.peers.split(",") if p]
    unknown = [p for p in wanted if p not in PEERS]
    if unknown:
        raise SystemExit(f"no such peer: {unknown[0]}; there are {', '.join(PEERS)}")
    return sorted(wanted, key=PEERS.index)


def _in_children(options: argparse.Namespace) -> int:
    """A process for each number of threads: libraries take theirs from the environment when they are imported."""
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [int(n) for n in options.threads.split(",")] if options.threads else sorted({1, every})
    results, status = [], 0
    command = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = Path(folder) / f"{count}.json"
            mine = ["--here", "--threads", str(count), "--json", str(path)]
            variables = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
            environment = {**os.environ, **dict.fromkeys(variables, str(count))}
            try:
                status |= subprocess.run([*command, *mine], env=environment).returncode
            finally:
                results += [json.loads(path.read_text())] if path.exists() else []
                _write(options, results)
    return status


def _write(options: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    from .report import markdown

    if not results:
        return
    whole: dict[str, Any] = {**results[0], "rows": [], "peaks": {}}
    for result in results:
        whole["rows"] += result["rows"]
        whole["peaks"] |= result["peaks"]
        whole["load"] = max(whole["load"], result["load"])
    order = {name: at for at, name in enumerate(dict.fromkeys(r["name"] for r in whole["rows"]))}
    whole["rows"].sort(key=lambda r: (order[r["name"]], r["threads"]))
    if options.json:
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown(whole, options.headline) + "\n")


def _measure(options: argparse.Namespace) -> int:
    from .measuring import Sides, executor_name, import_peers, set_threads
    from .report import differs, row, text
    from .workloads import all_workloads

    threads, peers = int(options.threads), _peers(options)
    import_peers(peers)
    set_threads(threads)
    peak = measured_peak(threads)
    print(
        f"{threads} thread(s), flambeau on {executor_name()}; measured peak: {peak['flops'] / 1e9:.0f} GFLOP/s, ",
        end="",
    )
    print(f"copy {peak['bytes'] / 1e9:.1f} GB/s; load {load():.1f}\n{'':17} {'median':>10} {'minimum':>10}", flush=True)
    rows: list[dict[str, Any]] = []
    for workload in all_workloads():
        if not workload.name.startswith(tuple(options.names) or "") or (options.headline and not workload.headline):
            continue
        found = row(workload, threads, Sides(workload, peers).measure(options.repeat, options.seconds or 2.0))
        rows.append({**found, "load": load()})
        print(text(found, peak), flush=True)
        _save(options.json, threads, peak, rows)
    after = measured_peak(threads)
    _save(options.json, threads, {name: max(value, after[name]) for name, value in peak.items()}, rows)
    return int(any(map(differs, rows)))


def _save(path: Path, threads: int, peak: dict[str, float], rows: list[dict[str, Any]]) -> None:
    """Writes what has been found so far, so that a run that is ended early leaves its rows."""
    from .measuring import executor_name

    most = max(r["load"] for r in rows)
    path.write_text(json.dumps({**head(executor_name()), "load": most, "peaks": {str(threads): peak}, "rows": rows}))


def measured_peak(threads: int) -> dict[str, float]:
    """Operations and bytes a second."""
    from flambeau.compiler.cpu.peak import measure

    found = measure(threads)
    return {"flops": found.flops, "bytes": found.bytes}


def load() -> float:
    """How many processes have wanted to run in the last minute: above the number of processors, times are not quiet."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def head(executor: str) -> dict[str, Any]:
    """What the measurements were made with."""
    import numpy

    versions = {"python": platform.python_version(), "numpy": numpy.__version__}
    for name in ("torch", "jax", "flambeau"):
        if name in sys.modules:
            versions[name] = sys.modules[name].__version__
    return {"executor": executor, "machine": processor(), "versions": versions}


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    sys.exit(main())
