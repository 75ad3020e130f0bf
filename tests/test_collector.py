"""Full collections leave out what was found alive before, and only garbage of which they may."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from _collector_cases import CASES

from flambeau import _collector

# In Python 3.13 a collection that begins by itself leaves some garbage; 3.14 has no full ones that do.
pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 13) or not gc.isenabled(), reason="no full collection begins by itself"
)


@pytest.fixture(scope="module")
def endings() -> dict[str, str]:
    """How each case ended."""
    home = str(Path(_collector.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "_collector_cases.py")], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": home, "FLAMBEAU_EXECUTOR": "numpy"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_collections(name: str, endings: dict[str, str]) -> None:
    assert not endings[name], endings[name]


def test_thresholds_that_a_program_chose_are_kept() -> None:
    code = "import gc; gc.set_threshold({}, 7, 9); import flambeau; print(gc.get_threshold())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code.format(n)], capture_output=True, text=True, check=True
        ).stdout.strip()
        for n in (900, _collector.PYTHONS_OWN[0])
    ]
    assert told == ["(900, 7, 9)", f"({_collector.YOUNG}, 7, 9)"]
