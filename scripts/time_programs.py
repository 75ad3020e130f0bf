"""Times the public programs beside PyTorch and writes the rows that make_programs_table.py makes docs/programs.md of.

    python scripts/time_programs.py RUNNER --mirror MIRROR --python PYTHON_WITH_TORCH --rounds 2 --json ROWS.json

``RUNNER`` is ``run_programs.py``. In each round every program runs under PyTorch and, right after, under flambeau; of
each the shortest time counts, and the worst result. Start-up and compiling are included. The machine should have
nothing else to do; ``--jobs`` runs several programs at once all the same, for rough figures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def one_round(args: argparse.Namespace) -> list[Row]:
    """The rows of the runner, each with the seconds of PyTorch as ``peer``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        command = [
            sys.executable,
            args.runner,
            "--mirror",
            args.mirror,
            "--candidate",
            args.candidate,
            "--side-by-side",
        ]
        command += ["--python", args.python, "--jobs", str(args.jobs), "--threads", str(args.threads)]
        subprocess.run([*command, "--json", str(path), *args.names], check=False)
        rows = json.loads(path.read_text(encoding="utf-8"))
    for row in rows:
        row["peer"] = row["wall"] / row["ratio_now"] if row.get("ratio_now") else None
    return rows


def merged(rounds: list[list[Row]]) -> list[Row]:
    """One row a program: the shortest times, and the first result that is not good."""
    rows: dict[str, list[Row]] = {}
    for found in rounds:
        for row in found:
            rows.setdefault(row["name"], []).append(row)
    return [one_row(several) for several in rows.values()]


def one_row(rows: list[Row]) -> Row:
    """The rows of one program as one."""
    chosen = dict(next((row for row in rows if row["verdict"] != "ok"), rows[0]))
    peers = [row["peer"] for row in rows if row["peer"]]
    chosen["wall"] = min(row["wall"] for row in rows)
    chosen["peer"] = min(peers) if peers else None
    chosen["ratio_now"] = chosen["wall"] / chosen["peer"] if peers else None
    return chosen


def main() -> None:
    """Reads the command line, runs the rounds and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runner", help="run_programs.py of the corpus")
    parser.add_argument("names", nargs="*", help="program names (shell patterns); all where none is given")
    parser.add_argument("--mirror", required=True, help="the folder of fetched git directories")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--candidate", default="flambeau run", help="the command that runs a program under flambeau")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", required=True, help="where the rows go")
    args = parser.parse_intermixed_args()
    rounds: list[list[Row]] = []
    for _ in range(args.rounds):
        rounds.append(one_round(args))
        Path(args.json).write_text(json.dumps(merged(rounds), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
