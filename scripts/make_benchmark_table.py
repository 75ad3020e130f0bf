"""Writes the tables of times into README.md, README.zh.md and docs/performance.md.

python -m benchmarks --headline --json a.json
python -m benchmarks --loaded --json b.json
python -m benchmarks --first-step --json c.json
python scripts/make_benchmark_table.py a.json b.json c.json   # takes over results, which docs/benchmarks.json keeps
python scripts/make_benchmark_table.py                        # writes the tables again
python scripts/make_benchmark_table.py --check                # exits with 1 if a table is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks import report  # noqa: E402

DIGEST = ROOT / "docs" / "benchmarks.json"
BEGIN, END = "<!-- {}: made by scripts/make_benchmark_table.py -->", "<!-- end -->"
PAGES = {
    ROOT / "README.md": ("short",),
    ROOT / "README.zh.md": ("short",),
    ROOT / "docs" / "performance.md": ("machine", "whole", "loaded", "first step"),
}


def merged(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Results with newer ones: the sides of a row are those of its last run, and what only an older one had."""
    if "rows" not in new:
        return known | new
    rows = {(r["name"], r["threads"]): r for r in known.get("rows", [])}
    for r in new["rows"]:
        key = r["name"], r["threads"]
        sides = rows[key]["sides"] | r["sides"] if key in rows else r["sides"]
        rows[key] = {**r, "sides": {name: sides[name] for name in report.NAMES if name in sides}}
    order = {name: at for at, name in enumerate(dict.fromkeys(name for name, _ in rows))}
    ordered = sorted(rows.values(), key=lambda r: (order[r["name"]], r["threads"]))
    peaks = known.get("peaks", {}) | new["peaks"]
    for threads, peak in known.get("peaks", {}).items():
        peaks[threads] = {name: max(value, peaks[threads][name]) for name, value in peak.items()}
    return known | new | {"rows": ordered, "peaks": peaks}


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Every table, by the name that its place has in a page."""
    return {
        "short": f"{report.short_markdown(results)}\n\n({results['machine']}; flambeau on {results['executor']})",
        "machine": machine(results),
        "whole": report.markdown(results),
        "loaded": report.loaded_markdown(results.get("loaded", [])),
        "first step": report.first_step_markdown(results.get("first_step", [])),
    }


def machine(results: dict[str, Any]) -> str:
    """With what and on what it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    peaks = "; ".join(
        f"{n} thread{'s' * (n != '1')}: {peak['flops'] / 1e9:.0f} GFLOP/s, copying {peak['bytes'] / 1e9:.0f} GB/s"
        for n, peak in results["peaks"].items()
    )
    return (
        f"{results['machine']}; {versions}; flambeau on {results['executor']}. Measured peak with {peaks}. "
        f"Load of the machine while this was measured: up to {results['load']:.1f}."
    )


def filled(page: str, found: dict[str, str], names: tuple[str, ...]) -> str:
    """A page with its tables.

    Raises:
        ValueError: the page has no place for one.
    """
    for name in names:
        begin = BEGIN.format(name)
        before, middle, rest = page.partition(begin)
        _, end, after = rest.partition(END)
        if not middle or not end:
            raise ValueError(f"no place for {name!r}: {begin} and {END} must stand there")
        page = f"{before}{begin}\n{found[name]}\n{end}{after}"
    return page


def main(arguments: list[str]) -> int:
    """The command."""
    results = json.loads(DIGEST.read_text()) if DIGEST.exists() else {}
    for path in arguments:
        if path != "--check":
            results = merged(results, json.loads(Path(path).read_text()))
    found, old = tables(results), []
    for page, names in PAGES.items():
        before = page.read_text(encoding="utf-8")
        after = filled(before, found, names)
        if after != before:
            old.append(page)
    if "--check" in arguments:
        print("\n".join(f"{page} is out of date" for page in old), file=sys.stderr)
        return int(bool(old))
    for page in old:
        page.write_text(filled(page.read_text(encoding="utf-8"), found, PAGES[page]), encoding="utf-8")
    DIGEST.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
