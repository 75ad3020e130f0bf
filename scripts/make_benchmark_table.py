"""Writes the tables of times into README.md, README.zh.md and docs/performance.md, for the machines that were measured.

python -m benchmarks --headline --json a.json
python -m benchmarks --loaded --json b.json
python -m benchmarks --first-step --json c.json
python -m benchmarks --generating --json d.json
python scripts/make_benchmark_table.py avx512 a.json b.json c.json d.json   # takes over a machine's results
python scripts/make_benchmark_table.py                                      # writes the tables again
python scripts/make_benchmark_table.py --check                              # exits with 1 if a table is out of date

A machine's results are kept in docs/benchmarks-NAME.json; a table never has a row with figures of two machines.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks import report  # noqa: E402

MACHINES = {"avx512": "AVX-512", "avx2": "AVX2"}
DIGESTS = {name: ROOT / "docs" / f"benchmarks-{name}.json" for name in MACHINES}
BEGIN, END = "<!-- {}: made by scripts/make_benchmark_table.py -->", "<!-- end -->"
TABLES = ("machine", "whole", "loaded", "first step", "generating")
PAGES = {
    ROOT / "README.md": ("short",),
    ROOT / "README.zh.md": ("short",),
    ROOT / "docs" / "performance.md": tuple(f"{table} {machine}" for machine in MACHINES for table in TABLES),
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


def tables(digests: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Every table, by the name that its place has in a page."""
    found = {"short": report.short_markdown([(MACHINES[name], results) for name, results in digests.items()])}
    for name, results in digests.items():
        found |= {f"{table} {name}": text for table, text in _of_one(results).items()}
    return found


def _of_one(results: dict[str, Any]) -> dict[str, str]:
    """The tables of one machine."""
    return {
        "machine": machine(results),
        "whole": report.markdown(results),
        "loaded": report.loaded_markdown(results.get("loaded", [])),
        "first step": report.first_step_markdown(results.get("first_step", [])),
        "generating": report.generating_markdown(results.get("generating", [])),
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
    check = "--check" in arguments
    digests = {name: json.loads(path.read_text()) for name, path in DIGESTS.items()}
    if arguments and not check:
        digests[arguments[0]] = with_files(digests[arguments[0]], arguments[1:])
    found, old = tables(digests), []
    for page, names in PAGES.items():
        before = page.read_text(encoding="utf-8")
        after = filled(before, found, names)
        if after != before:
            old.append(page)
    if check:
        print("\n".join(f"{page} is out of date" for page in old), file=sys.stderr)
        return int(bool(old))
    for page in old:
        page.write_text(filled(page.read_text(encoding="utf-8"), found, PAGES[page]), encoding="utf-8")
    for name, results in digests.items():
        DIGESTS[name].write_text(json.dumps(results, indent=1) + "\n")
    return 0


def with_files(results: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """A machine's results with those of newer files."""
    for path in paths:
        results = merged(results, json.loads(Path(path).read_text()))
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
