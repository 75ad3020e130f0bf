"""Writes the listings that ``tests/test_nest.py`` compares with. Run with the repository and ``tests`` on the path."""

from __future__ import annotations

from pathlib import Path

from _compiled import BY_HAND
from test_nest import listing

for name, make in BY_HAND.items():
    Path(__file__).with_name(f"nest_{name}.txt").write_text(listing(make()))
