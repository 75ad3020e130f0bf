"""Writes docs/programs.md from the JSON of the runner of public programs.

    python scripts/make_programs_table.py ROWS.json

``ROWS.json`` is what ``scripts/time_programs.py`` has written, or ``run_programs.py --candidate "flambeau run"
--json ROWS.json``, without PyTorch's times then.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "programs.md"

# Why a program cannot agree, where that is known; shown only where it does not.
REASONS = {
    "llms-ch03-attention": "prints the version of the package `torch`, which is `2.13.0` here and `2.13.0+cpu` there",
    "llms-mla": "greedy choice among bfloat16 logits that are one unit in the last place apart; 37 of 40 tokens agree",
    "dlwpt-optimizers": "prints `dir(torch.optim)`, private modules of PyTorch included; all numbers agree",
    "nlp-transformer": "one loss at a peak of an unstable training differs by 0.4 %; the others agree",
    "yj-cnn": "one checksum of weights that nearly cancel differs by 0.01; the others and the accuracy agree",
    "vit-mobilevit": "one gradient norm after two steps of Adam differs by 0.4 %; the losses agree",
    "ex-word-lm-transformer": "two of 29 numbers after training at a rate of 5 differ by 0.3 %",
}

HEAD = """# Public programs

Programs written for PyTorch by others, run unmodified by `flambeau run` and compared with what PyTorch 2.13 (CPU)
printed: text line by line, numbers to 1e-3 with an allowance for rounding, measured by PyTorch under other kernels.
This page is made by `scripts/time_programs.py` and `scripts/make_programs_table.py`. Times are seconds of the whole
program on one thread, start-up and compiling included (nothing is cached from an earlier run); PyTorch's and
flambeau's are taken in turn ({rounds}; of several the shortest counts). "Ratio" is flambeau's time over PyTorch's: 0.5
is twice as fast.{note}

{good} of {count} agree. {summary}

| program | kind | result | PyTorch s | flambeau s | ratio | remark |
|---|---|---|---|---|---|---|
"""


def remark(row: dict[str, Any]) -> str:
    """What the table says about a row beside its result."""
    if row["verdict"] == "ok":
        return row["detail"]
    found = REASONS.get(row["name"]) or row["detail"] or "failed without a message"
    return found.replace("|", "\\|").replace("\n", " ")[:200]


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    result = "agrees" if row["verdict"] == "ok" else row["verdict"]
    times = [f"{seconds:.1f}" if seconds else "" for seconds in (row.get("peer"), row["wall"])]
    ratio = row.get("ratio_now") or row.get("ratio_recorded")
    times.append(f"{ratio:.2f}" if ratio else "")
    return f"| {row['name']} | {row['kind']} | {result} | {' | '.join(times)} | {remark(row)} |"


def summary(rows: list[dict[str, Any]]) -> str:
    """How the times compare, all programs together."""
    ended = [row for row in rows if row["verdict"] in ("ok", "differs")]
    ratios = [ratio for row in ended if (ratio := row.get("ratio_now"))]
    if not ratios:
        return "PyTorch's times are those recorded with the corpus."
    slower = sum(ratio > 1 for ratio in ratios)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return (
        f"{len(ratios) - slower} of {len(ratios)} are no slower than PyTorch; the ratios' geometric mean is {mean:.2f}."
    )


def page(rows: list[dict[str, Any]], rounds: str, note: str) -> str:
    """The whole page."""
    rows = sorted(rows, key=lambda row: row["name"])
    good = sum(row["verdict"] == "ok" for row in rows)
    head = HEAD.format(good=good, count=len(rows), summary=summary(rows), rounds=rounds, note=note and f" {note}")
    return head + "\n".join(map(line, rows)) + "\n"


def main() -> None:
    """Reads the command line and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows")
    parser.add_argument("--rounds", default="two runs", help="how often each was run, in words")
    parser.add_argument("--note", default="", help="a sentence on how the times were taken")
    args = parser.parse_args()
    rows = json.loads(Path(args.rows).read_text(encoding="utf-8"))
    PAGE.write_text(page(rows, args.rounds, args.note), encoding="utf-8")


if __name__ == "__main__":
    main()
