"""The script that makes ``docs/coverage.md``."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def script() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("make_coverage", ROOT / "scripts" / "make_coverage.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OPERATORS = {
    "head": {"torch": "2.13.0"},
    "skipped": {"sparse.mm": "sparse"},
    "ops": {
        "add": {"category": "binary", "settings": {"float32": {"samples": 3, "passed": 3}}},
        "sub": {"category": "binary", "settings": {"float32": {"samples": 2000, "passed": 1999}}},
    },
}
NAMES = {
    "namespaces": {"torch": {"have": 1, "names": 2, "missing": ["vmap"]}},
    "left_out": {"torch.mps": "devices"},
}


def test_page() -> None:
    made = script()
    digest = {"operators": made.digest_of_operators(OPERATORS), "names": made.digest_of_names(NAMES)}
    lines = made.page(digest, {"torch.vmap": "later"}).splitlines()
    assert "| binary | 2 | 1 | 2003 | 2002 (99.95%) |" in lines
    assert "| `sub` | float32 | 1999 of 2000 | open |" in lines
    assert "- `sparse.mm`: sparse" in lines
    assert "- `torch.vmap`: later" in lines and "- torch.mps: devices" in lines


def test_refusals_are_found() -> None:
    found = script().refusals()
    assert any(m == "flambeau.autograd.grad_mode" and "use no_grad" in text for m, text in found)
    assert not any("not implemented for" in text for _, text in found)


def test_percentages_below_100_do_not_print_as_100() -> None:
    made = script()
    assert made._percent(99999, 100000) == "99.99%" and made._percent(5, 5) == "100%"
