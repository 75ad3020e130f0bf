"""Prints the floor of a conformance run: the number of a key in conformance-floors.toml."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# Plain `name = number` lines, which Python 3.10 can read without a TOML library.
_LINE = re.compile(r"^(\w+)\s*=\s*([\d.]+)\s*(?:#.*)?$", re.MULTILINE)

if __name__ == "__main__":
    floors = dict(_LINE.findall(Path("conformance-floors.toml").read_text(encoding="utf-8")))
    if sys.argv[1] not in floors:
        sys.exit(f"conformance-floors.toml has no {sys.argv[1]}")
    print(floors[sys.argv[1]])
