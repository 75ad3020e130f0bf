"""Writes docs/programs.md from the JSON of the runner of public programs.

    python scripts/make_programs_table.py ROWS.json

``ROWS.json`` is what ``run_programs.py --candidate "flambeau run" --json ROWS.json`` has written.
"""

from __future__ import annotations

import json
import sys
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
    "ex-word-lm-transformer": "two of 29 numbers after training at a rate of 5 differ by 0.3 %",
}

HEAD = """# Public programs

Programs written for PyTorch by others, run unmodified by `flambeau run` and compared with what PyTorch 2.13 (CPU)
printed: text line by line, numbers to 1e-3 with an allowance for rounding, measured by PyTorch under other kernels.
This page is made by `scripts/make_programs_table.py`; "time" is wall time beside PyTorch's as recorded, start-up
included, so 0.5 is twice as fast (several programs ran at once: rough figures).

{good} of {count} agree.

| program | kind | result | time | remark |
|---|---|---|---|---|
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
    ratio = row.get("ratio_now") or row.get("ratio_recorded")
    return f"| {row['name']} | {row['kind']} | {result} | {f'{ratio:.2f}' if ratio else ''} | {remark(row)} |"


def page(rows: list[dict[str, Any]]) -> str:
    """The whole page."""
    rows = sorted(rows, key=lambda row: row["name"])
    good = sum(row["verdict"] == "ok" for row in rows)
    return HEAD.format(good=good, count=len(rows)) + "\n".join(map(line, rows)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
