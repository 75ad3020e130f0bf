"""Operator families load when one of their names is used; the index that says which is up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_index_is_up_to_date() -> None:
    done = run("scripts/make_operator_index.py", "--check")
    assert done.returncode == 0, done.stderr or "run scripts/make_operator_index.py"


def test_rare_families_are_not_imported() -> None:
    code = (
        "import sys, flambeau as t; t.ones(2) + 1; print([m for m in sys.modules if 'fourier' in m or 'special' in m])"
    )
    assert run("-c", code).stdout.strip() == "[]"


def test_names_appear_before_their_family_is_imported() -> None:
    code = (
        "import flambeau as t; x = t.ones(3)\n"
        "assert 'logsumexp' in dir(t) and hasattr(t.Tensor, 'logsumexp')\n"
        "assert t.Tensor.logsumexp(x, 0).item() == t.logsumexp(x, 0).item() == x.logsumexp(0).item()\n"
        "from flambeau import topk\n"
        "assert x.topk(1).values.item() == 1\n"
        "print('good')"
    )
    done = run("-c", code)
    assert done.stdout.strip() == "good", done.stderr
