"""Whole programs: the seed documents print what PyTorch prints for them, and the example trains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
HOME = Path(flambeau.__path__[0]).parent
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
ADDRESS = re.compile(r"0x[0-9a-f]+")


def run(*args: str, cwd: Path) -> str:
    """What `flambeau run ARGS` prints; it must end well and print no warning."""
    environment = {**os.environ, "PYTHONPATH": str(HOME), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "flambeau", "run", *args]
    found = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=300)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def one_in_the_last_digit(text: str) -> float:
    """The value of one unit in the last digit of a printed number; a whole number must be exact."""
    mantissa, _, exponent = text.lower().partition("e")
    if "." not in mantissa and not exponent:
        return 0.0
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def close(ours: str, theirs: str) -> bool:
    """Whether two printed numbers agree: to 1e-4 relative, or to one unit in the last printed digit."""
    difference = abs(float(ours) - float(theirs))
    return difference <= max(1e-4 * abs(float(theirs)) * ("." in theirs), 1.001 * one_in_the_last_digit(theirs))


def check_same_text(ours: str, theirs: str) -> None:
    """The same text line by line, addresses aside, with numbers that agree."""
    ours, theirs = (ADDRESS.sub("0x", text).rstrip() for text in (ours, theirs))
    assert len(ours.splitlines()) == len(theirs.splitlines())
    for line, wanted in zip(ours.splitlines(), theirs.splitlines(), strict=True):
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", wanted).split()
        for number, wanted_number in zip(NUMBER.findall(line), NUMBER.findall(wanted), strict=True):
            assert close(number, wanted_number), f"{line!r}, where PyTorch prints {wanted!r}"


def test_numbers_are_compared_as_printed() -> None:
    assert close("3.4912e-03", "3.4911e-03") and close("0.12", "0.13") and close("100.005", "100.01")
    assert not close("3.4915e-03", "3.4911e-03") and not close("10", "11") and not close("0.12", "0.14")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["seed_000", "seed_001", "seed_002", "seed_003", "seed_004"])
def test_seed_document(name: str, tmp_path: Path) -> None:
    if not (SHARED / "seeds").is_dir():
        pytest.skip("../shared/seeds is not there")
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (SHARED / "data" / "fashion900").iterdir():
        (raw / path.name).symlink_to(path)
    found = run("--seed", "0", str(SHARED / "seeds" / f"{name}.py"), cwd=tmp_path)
    check_same_text(found, (SHARED / "seeds" / f"{name}.expected.txt").read_text(encoding="utf-8"))


def test_example_trains_as_in_pytorch(tmp_path: Path) -> None:
    lines = run(str(ROOT / "examples" / "lenet.py"), "--epochs", "2", cwd=tmp_path).splitlines()
    assert lines[0] == "LeNet(" and "1440 images for training, 357 for testing" in lines
    form = r"epoch  (\d): loss (\S+), test accuracy (\S+) %, \S+ ms a step"
    epochs = [tuple(map(float, found.groups())) for found in map(re.compile(form).fullmatch, lines[-2:]) if found]
    assert epochs == [
        (1, pytest.approx(2.1977, abs=2e-3), pytest.approx(40.9, abs=1.0)),
        (2, pytest.approx(0.7549, rel=0.02), pytest.approx(92.2, abs=1.0)),
    ]
