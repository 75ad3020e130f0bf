"""Writes ``flambeau/ops/_index.py``: which operator family has which public names, so that families load when used.

python scripts/make_operator_index.py           # writes the file
python scripts/make_operator_index.py --check   # exits with 1 if it is out of date
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OPS = ROOT / "flambeau" / "ops"
HEAD = '''"""Which operator family has which names of torch and Tensor. Made by scripts/make_operator_index.py."""

from __future__ import annotations

'''


def family_of_caller() -> str:
    """The operator module whose body is being run, the innermost if one imports another."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if frame.f_code.co_name == "<module>" and path.parent == OPS and not path.name.startswith("_"):
            return path.stem
        frame = frame.f_back
    return ""


class Table(dict):
    """Notes which family sets which name."""

    def __init__(self) -> None:
        super().__init__()
        self.owner: dict[str, str] = {}
        self.twice: list[str] = []

    def __setitem__(self, name: str, value: Any) -> None:
        family = family_of_caller()
        if self.owner.get(name, family) != family:
            self.twice.append(f"{name} is listed by both {self.owner[name]} and {family}")
        self.owner[name] = family
        super().__setitem__(name, value)


def import_families() -> tuple[Table, Table]:
    """Imports every family without the package around them; the tables of functions and methods."""
    sys.path.insert(0, str(ROOT))
    for name in ("flambeau", "flambeau.ops"):
        package = types.ModuleType(name)
        package.__path__ = [str(ROOT / name.replace(".", "/"))]
        sys.modules[name] = package
    lists = importlib.import_module("flambeau.ops._listing")
    lists.FUNCTIONS, lists.METHODS = Table(), Table()
    for path in sorted(OPS.glob("[a-z]*.py")):
        importlib.import_module(f"flambeau.ops.{path.stem}")
    return lists.FUNCTIONS, lists.METHODS


def listing(name: str, table: Table) -> str:
    """A dictionary from family to its names, as source."""
    families: dict[str, list[str]] = {}
    for public, family in table.owner.items():
        families.setdefault(family, []).append(public)
    lines = [f"{name}: dict[str, str] = {{"]
    for family in sorted(families):
        lines.append(f'    "{family}": """')
        row = "   "
        for public in sorted(families[family]):
            if len(row) + len(public) + 1 > 118:
                lines.append(row)
                row = "   "
            row += f" {public}"
        lines += [row, '    """,']
    return "\n".join([*lines, "}"]) + "\n"


def main() -> None:
    """Writes or checks the index."""
    functions, methods = import_families()
    if functions.twice or methods.twice:
        sys.exit("\n".join([*functions.twice, *methods.twice]))
    text = HEAD + listing("FUNCTIONS", functions) + "\n" + listing("METHODS", methods)
    target = OPS / "_index.py"
    if "--check" in sys.argv:
        sys.exit(int(target.read_text() != text))
    target.write_text(text)


if __name__ == "__main__":
    main()
