"""The table: as text while it is measured, as JSON, and as Markdown."""

from __future__ import annotations

from typing import Any

from .generating import PARTS
from .measuring import OURS, TOLERANCE, Found
from .steps import Workload

NAMES = {"torch": "PyTorch", "channels_last": "channels_last", "compile": "torch.compile", "jax": "JAX", OURS: OURS}
SHORT = ("lenet-003-training-1", "lenet-003-training-64", "lenet-003-inference-1", "mlp-784", "gpt-small", "gpt-large",
         "lstm", "resnet18", "mobilenet")  # fmt: skip
_SHORT_SIDES = ("torch", "jax", OURS)


def row(workload: Workload, threads: int, found: dict[str, Found]) -> dict[str, Any]:
    """A row as JSON: times in milliseconds."""
    sides = {}
    for peer, f in found.items():
        if f.error:
            sides[peer] = {"error": f.error}
            continue
        sides[peer] = {
            "median": f.median * 1e3,
            "min": f.least * 1e3,
            "first": f.first * 1e3,
            "steps": len(f.times),
            "difference": f.difference,
        }
    return {
        "name": workload.name,
        "title": workload.title,
        "threads": threads,
        "flops": workload.flops,
        "bytes": workload.bytes,
        "headline": workload.headline,
        "sides": sides,
    }


def floor(row: dict[str, Any], peak: dict[str, float]) -> float:
    """Milliseconds below which this machine cannot come: the operations at the measured peak; 0 if none are counted."""
    return 1e3 * row["flops"] / peak["flops"]


def agreement(row: dict[str, Any]) -> str:
    """Whether the numbers of all sides are the same."""
    found = [s["difference"] for s in row["sides"].values() if "difference" in s]
    if len(found) < 2:
        return "not compared"
    worst = max(found)
    return f"agree to {worst:.0e}" if worst <= TOLERANCE else f"DIFFER BY {worst:.0e}"


def differs(row: dict[str, Any]) -> bool:
    """Does a side give other numbers, or fail?"""
    return agreement(row).startswith("DIFFER") or "error" in row["sides"].get(OURS, {"error": ""})


def ratio(row: dict[str, Any], peer: str) -> float | None:
    """How often flambeau's least time fits into the peer's."""
    ours, theirs = row["sides"].get(OURS, {}), row["sides"].get(peer, {})
    return theirs["min"] / ours["min"] if "min" in ours and "min" in theirs else None


def text(row: dict[str, Any], peak: dict[str, float]) -> str:
    """A row as lines for a terminal."""
    lowest = floor(row, peak)
    limit = f"floor {lowest:.4g} ms, " if lowest else ""
    lines = [f"{row['title']}, {row['threads']} thread{'s' * (row['threads'] > 1)}: {limit}{agreement(row)}"]
    for peer, side in row["sides"].items():
        if "error" in side:
            lines.append(f"  {NAMES[peer]:14} failed: {side['error']}")
            continue
        line = f"  {NAMES[peer]:14} {side['median']:10.4f} {side['min']:10.4f} ms, first {side['first']:9.1f} ms"
        if row["flops"]:
            done = row["flops"] / side["min"] * 1e3
            line += f", {done / 1e9:7.1f} GFLOP/s, {done / peak['flops']:6.1%} of peak"
        elif row["bytes"]:
            done = row["bytes"] / side["min"] * 1e3
            line += f", {done / 1e9:7.1f} GB/s, {done / peak['bytes']:6.1%} of a copy's"
        theirs = ratio(row, peer)
        lines.append(line + (f", {theirs:6.2f} x flambeau's time" if peer != OURS and theirs else ""))
    return "\n".join(lines)


# ---- Markdown


def markdown(result: dict[str, Any], headline: bool = False) -> str:
    """The table for a document: least milliseconds a step, and how often flambeau's fits into PyTorch's.

    Args:
        result: what ``python -m benchmarks --json`` has written.
        headline: only the rows of the README.
    """
    rows = [r for r in result["rows"] if r["headline"] or not headline]
    peers = [p for p in NAMES if any(p in r["sides"] for r in rows)]
    head = ["workload", "threads", *[NAMES[p] for p in peers], "PyTorch / flambeau", "floor", "first step"]
    body = []
    for r in rows:
        lowest = floor(r, result["peaks"][str(r["threads"])])
        first = r["sides"].get(OURS, {}).get("first")
        times = [_cell(r["sides"].get(p)) for p in peers]
        body.append([r["title"], str(r["threads"]), *times, _ratio(r), _number(lowest or None), _number(first)])
    return table(head, body)


def short_markdown(machines: list[tuple[str, dict[str, Any]]]) -> str:
    """The README's table: the rows of a few networks on each machine, all of a row measured on one machine.

    Args:
        machines: what each is called, and what ``python -m benchmarks --headline --json`` has written there.
    """
    body = []
    for name in SHORT:
        for machine, result in machines:
            most = max(r["threads"] for r in result["rows"])
            rows = [r for r in result["rows"] if r["name"] == name and r["threads"] == most]
            body += [[r["title"], machine, *[_cell(r["sides"].get(p)) for p in _SHORT_SIDES], _ratio(r)] for r in rows]
    head = ["ms a step, all threads", "processor", *[NAMES[p] for p in _SHORT_SIDES], "PyTorch / flambeau"]
    return table(head, body)


def loaded_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of ``--loaded``, in milliseconds."""
    head = ["", "mean", "median", "99th percentile", "steps"]
    body = [[f"{NAMES[r['side']]}, {r['where']}", *[_number(r[k]) for k in ("mean", "median", "p99")], str(r["steps"])]
            for r in rows]  # fmt: skip
    return table(head, body)


def first_step_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of ``--first-step``, in seconds."""
    head = ["", "import", "first step", "second step"]
    body = []
    for r in rows:
        name = f"{r['name']}, {NAMES[r['side']]}" + (f", {r['cache']}" if r["cache"] else "")
        body.append([name, *[_number(r.get(k)) for k in ("import", "first", "second")]])
    return table(head, body)


def generating_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of ``--generating``: milliseconds a token, and seconds of 200 tokens."""
    parts = [f"{a} to {b}" for a, b in PARTS]
    head = ["context", "threads", "", "first", *parts, "slowest", "200 tokens, s", "least, s"]
    body = []
    for r in rows:
        times = [_number(t) for t in (r["first"], *r["parts"], r["slowest"], r["all"], r["least"])]
        body.append([r["name"], str(r["threads"]), NAMES[r["side"]], *times])
    return table(head, body)


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table, or what stands in the place of one without rows."""
    if not body:
        return "(not measured yet)"
    return "\n".join([f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body)])


def _ratio(row: dict[str, Any]) -> str:
    faster = ratio(row, "torch")
    return f"{faster:.2f}" if faster else ""


def _cell(side: dict[str, Any] | None) -> str:
    if side is None:
        return ""
    return "failed" if "error" in side else _number(side["min"])


def _number(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
