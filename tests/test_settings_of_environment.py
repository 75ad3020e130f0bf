"""Values of settings that nobody knows are errors, when the package is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FLAMBEAU_EXECUTOR", "nmupy", "FLAMBEAU_EXECUTOR=nmupy: expected one of native, numpy"),
        ("FLAMBEAU_OVERLAP", "off", "FLAMBEAU_OVERLAP=off: expected one of 0, 1"),
        ("FLAMBEAU_TWINS", "on", "FLAMBEAU_TWINS=on: expected one of auto, now, off"),
        ("FLAMBEAU_SHOW", "grpah", "FLAMBEAU_SHOW: there is no stage 'grpah'"),
    ],
)
def test_an_unknown_value_is_an_error(name: str, value: str, message: str) -> None:
    command = [sys.executable, "-c", "import flambeau; flambeau.ones(1).tolist()"]
    found = subprocess.run(command, env={**os.environ, name: value}, capture_output=True, text=True)
    assert found.returncode == 1 and message in found.stderr
