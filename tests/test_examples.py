"""Each program of examples/ prints what it prints under PyTorch, in a short run.

python tests/test_examples.py       # where torch is installed: writes anew what PyTorch prints
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_programs import HOME, ROOT, check_same_text

FOLDER = ROOT / "examples"
GOLDEN = Path(__file__).parent / "golden" / "examples.json"
SHORT = {
    "addition": "--steps 12 --width 32 --batch-size 32",
    "cartpole": "--episodes 12",
    "diffusion": "--steps 20 --noise-steps 20 --width 32 --batch-size 64",
    "gpt": "--steps 12 --width 32 --batch-size 8 --context 32 --write 40",
    "gradients": "--steps 40 --samples 60 --wrong 4 --width 3",
}


def printed(name: str, *command: str, **settings: str) -> str:
    """What a program prints in a short run, but for the times in its last line; it must print no warning."""
    short = SHORT[name].split() + ["--text", str(ROOT / "LICENSE")] * (name == "gpt")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAMBEAU_")} | settings
    done = subprocess.run(
        [sys.executable, *command, str(FOLDER / f"{name}.py"), *short], env=environment, capture_output=True,
        encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return "\n".join(done.stdout.splitlines()[:-1]) + "\n"


def test_each_example_is_run() -> None:
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names - {"lenet"} == set(SHORT)  # that one is in test_programs
    assert [name for name in names if f"[{name}.py]({name}.py)" not in listed] == []


@pytest.mark.parametrize("name", SHORT)
def test_it_prints_what_it_prints_under_pytorch(name: str, tmp_path: Path) -> None:
    found = printed(name, "-m", "flambeau", "run", PYTHONPATH=str(HOME), PYTHONIOENCODING="utf-8",
                    FLAMBEAU_CACHE=str(tmp_path), FLAMBEAU_ASIDE="off", FLAMBEAU_TWINS="off")  # fmt: skip
    check_same_text(found, json.loads(GOLDEN.read_text(encoding="utf-8"))[name])


def write() -> None:
    """Writes what PyTorch prints."""
    texts = {name: printed(name, PYTHONIOENCODING="utf-8", OMP_NUM_THREADS="1") for name in SHORT}
    GOLDEN.write_text(json.dumps(texts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
