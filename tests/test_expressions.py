"""Expressions give what PyTorch gives: values, dtypes, strides, backward nodes, gradients, errors."""

from __future__ import annotations

from typing import Any

import pytest
from _expressions import families, outcome, rows, same

import flambeau

CASES = [(family, expression, want) for family in families() for expression, want in rows(family)]


@pytest.mark.parametrize(("family", "expression", "want"), CASES, ids=[f"{f}: {e}" for f, e, _ in CASES])
def test_as_pytorch(family: str, expression: str, want: Any) -> None:
    have = outcome(flambeau, expression)
    assert same(have, want), f"{have}\ninstead of\n{want}"
