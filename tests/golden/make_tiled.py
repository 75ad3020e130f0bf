"""Writes the listing that ``tests/test_batch.py`` compares with. Run with the repository and ``tests`` on the path."""

from __future__ import annotations

from pathlib import Path

from _lenet import lenet
from test_batch import tiled

from flambeau.compiler.interleave import interleave
from flambeau.compiler.unroll import unroll

Path(__file__).with_name("lenet_tiled.txt").write_text(repr(interleave(unroll(tiled(lenet("max", 64))))) + "\n")
