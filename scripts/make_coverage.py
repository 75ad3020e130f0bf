"""Writes ``docs/coverage.md``: what of PyTorch's API is measured, what differs and why, and what is refused.

    python scripts/make_coverage.py                                 # from docs/coverage.json and the sources
    python scripts/make_coverage.py --ops ops.json --api api.json   # takes over results of the conformance harness
    python scripts/make_coverage.py --check                         # exits with 1 if the page is out of date

The results come from ``run_ops.py --json`` and ``run_api.py --json``; a digest of them is kept in
``docs/coverage.json``.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, DIGEST = ROOT / "docs" / "coverage.md", ROOT / "docs" / "coverage.json"
REASONS = ROOT / "docs" / "coverage_reasons.json"
INTERNAL = ("flambeau.compiler", "flambeau.graph", "flambeau.tools")
PYTORCHS_OWN = ("not implemented for", "You must implement", "Module [", "is not implemented.")


def digest_of_operators(results: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of a run over PyTorch's operator database."""
    categories: dict[str, list[int]] = {}
    failing: dict[str, Any] = {}
    for name, op in results["ops"].items():
        samples = sum(s["samples"] for s in op["settings"].values())
        passed = sum(s["passed"] for s in op["settings"].values())
        row = categories.setdefault(op["category"], [0, 0, 0, 0])
        for k, n in enumerate((1, int(samples == passed), samples, passed)):
            row[k] += n
        if samples != passed:
            dtypes = [d for d, s in op["settings"].items() if s["samples"] != s["passed"]]
            failing[name] = {"samples": samples, "passed": passed, "dtypes": dtypes}
    return {
        "torch": results["head"]["torch"],
        "dtypes": sorted({d for op in results["ops"].values() for d in op["settings"]}),
        "categories": categories,
        "failing": failing,
        "skipped": results["skipped"],
    }


def digest_of_names(results: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of the run over documented names."""
    return {
        "spaces": {name: [s["have"], s["names"], s["missing"]] for name, s in results["namespaces"].items()},
        "left_out": results["left_out"],
    }


# ---- refusals in the sources


@cache
def refusals() -> list[tuple[str, str]]:
    """Modules and the messages of the NotImplementedErrors that they raise on their own account."""
    found = []
    for path in sorted((ROOT / "flambeau").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module.startswith(INTERNAL):
            continue
        for message in dict.fromkeys(_messages(ast.parse(path.read_text(encoding="utf-8")))):
            if not any(words in message for words in PYTORCHS_OWN):
                found.append((module, message))
    return found


def _messages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NotImplementedError" and node.args:
            text = _text(node.args[0])
            if len(text) > 3:
                yield text


def _text(node: ast.expr) -> str:
    """A message's text, what is computed as dots."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "…"


# ---- the page


def operators_section(d: dict[str, Any], reasons: dict[str, str]) -> list[str]:
    """Figures by category, operators that differ, and what is not measured."""
    dtypes = ", ".join(d["dtypes"])
    out = [
        f"PyTorch {d['torch']}'s operator database, dtypes {dtypes}. A sample counts if its result and, where PyTorch",
        "differentiates it, its gradients agree.",
        "",
        "| category | operators | all samples pass | samples | passed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    rows = sorted(d["categories"].items())
    total = ["all", [sum(r[k] for _, r in rows) for k in range(4)]]
    out += [f"| {name} | {r[0]} | {r[1]} | {r[2]} | {r[3]} ({_percent(r[3], r[2])}) |" for name, r in [*rows, total]]
    out += ["", "### Operators that differ", ""]
    out += ["| operator | dtypes | samples passed | why |", "| --- | --- | ---: | --- |"]
    for name, f in sorted(d["failing"].items()):
        shown = ", ".join(f["dtypes"])
        out.append(f"| `{name}` | {shown} | {f['passed']} of {f['samples']} | {reasons.get(name, 'open')} |")
    out += ["", "### Not measured", "", *[f"- `{name}`: {why}" for name, why in sorted(d["skipped"].items())], ""]
    return out


def names_section(d: dict[str, Any], reasons: dict[str, str]) -> list[str]:
    """Names by namespace, and the absent ones."""
    out = ["Documented public names that are present.", "", "| namespace | present | of |", "| --- | ---: | ---: |"]
    out += [f"| `{name}` | {have} | {names} |" for name, (have, names, _) in d["spaces"].items()]
    out += ["", "### Absent", ""]
    for space, (_, _, missing) in d["spaces"].items():
        out += [f"- `{space}.{name}`: {reasons.get(f'{space}.{name}', 'open')}" for name in missing]
    out += ["", "### Outside the scope", "", *[f"- {names}: {why}" for names, why in d["left_out"].items()], ""]
    return out


def refusals_section() -> list[str]:
    """What raises NotImplementedError, with its words."""
    rows = [(module, " ".join(message.split()).replace("|", "\\|")) for module, message in refusals()]
    return [
        "Calls that flambeau has no implementation of raise NotImplementedError with these words, some of which are",
        "PyTorch's own.",
        "",
        "| module | message |",
        "| --- | --- |",
        *[f"| `{module}` | {message} |" for module, message in rows],
        "",
    ]


def _percent(part: int, whole: int) -> str:
    if part == whole:
        return "100%"
    return f"{min(100 * part / whole, 99.99):.2f}%"


def page(digest: dict[str, Any], reasons: dict[str, str]) -> str:
    """The whole page."""
    out = ["# Coverage", "", "Made by `scripts/make_coverage.py`; edit that, or `docs/coverage_reasons.json`.", ""]
    if "operators" in digest:
        out += ["## Operators", "", *operators_section(digest["operators"], reasons)]
    if "names" in digest:
        out += ["## Names", "", *names_section(digest["names"], reasons)]
    return "\n".join([*out, "## Refused", "", *refusals_section()])


def main() -> None:
    """Reads results, writes or checks the page."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ops", type=Path, help="a result of run_ops.py --json")
    p.add_argument("--api", type=Path, help="a result of run_api.py --json")
    p.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is out of date")
    args = p.parse_args()
    digest = json.loads(DIGEST.read_text()) if DIGEST.exists() else {}
    if args.ops:
        digest["operators"] = digest_of_operators(json.loads(args.ops.read_text()))
    if args.api:
        digest["names"] = digest_of_names(json.loads(args.api.read_text()))
    text = page(digest, json.loads(REASONS.read_text()))
    if args.check:
        sys.exit(int(not PAGE.exists() or PAGE.read_text() != text))
    if args.ops or args.api:
        DIGEST.write_text(json.dumps(digest, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
