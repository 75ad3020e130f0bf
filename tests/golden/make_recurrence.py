"""Writes what ``tests/test_recurrent.py`` compares with. Run with the repository and ``tests`` on the path."""

from __future__ import annotations

from test_recurrent import GOLDEN, listing

GOLDEN.write_text(listing())
