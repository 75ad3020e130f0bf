"""What says how much of a processor tests took says so too when a test has ended its process."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = """
import _costs


def pytest_configure(config):
    config.pluginmanager.register(_costs.Costs(None))
"""
TESTS = """
import os


def test_that_crashes():
    os.abort()


def test_that_passes():
    pass
"""


def test_a_process_that_crashes_is_one_failure(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_crash.py").write_text(TESTS)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_ADDOPTS": ""}
    options = ["-n", "1", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout and "crashed while running" in done.stdout
    assert "processor seconds" in done.stdout
