"""Gradients of maximum pools whose windows lie side by side, which the first tier puts where the maxima are."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import _execution
from flambeau.first_tier import by_operator, moving
from flambeau.graph import realisation

pytestmark = pytest.mark.usefixtures("native_code")

CASES = [
    ((3, 4, 10), 10, None, False, True), ((3, 4, 11), 3, None, False, True), ((2, 5, 9), 2, 3, False, True),
    ((3, 2, 8, 8), 2, None, False, True), ((3, 2, 9, 8), (3, 2), None, False, True), ((2, 9, 11), 2, 3, False, True),
    ((2, 2, 9, 12), (2, 1), (2, 4), False, True), ((1, 1, 6, 8), (6, 8), None, True, True),
    ((2, 2, 6, 7), 3, 2, False, False), ((2, 2, 6, 7), 4, None, True, False),
]  # fmt: skip


def _gradient(monkeypatch: Any, tier: str, shape: tuple[int, ...], kernel: Any, stride: Any, ceil: bool) -> bytes:
    realisation.forget()
    by_operator._operators.clear()
    monkeypatch.setattr(_execution, "tier", [tier])
    values = np.round(np.random.default_rng(1).standard_normal(shape), 1).astype(np.float32)
    values.flat[5] = np.nan
    x = torch.tensor(values, requires_grad=True)
    pool = F.max_pool1d if isinstance(kernel, int) and len(shape) == 3 and shape[1] < 9 else F.max_pool2d
    y = pool(x, kernel, stride, ceil_mode=ceil)
    k = torch.arange(float(y.numel())).reshape(y.shape)
    y.backward(torch.where(k % 4 == 0, -0.0, k))
    return x.grad.numpy().tobytes()


def _noted(calls: list[str], name: str, call: Any, *args: Any) -> Any:
    calls.append(name)
    return call(*args)


@pytest.mark.parametrize(("shape", "kernel", "stride", "ceil", "side_by_side"), CASES)
def test_both_tiers_agree(
    monkeypatch: Any, shape: tuple[int, ...], kernel: Any, stride: Any, ceil: bool, side_by_side: bool
) -> None:
    calls: list[str] = []
    for name in ("_pooled_back", "_at_maxima"):  # windows of many points, and of few
        monkeypatch.setattr(moving, name, functools.partial(_noted, calls, name, getattr(moving, name)))
    found = _gradient(monkeypatch, "first", shape, kernel, stride, ceil)
    assert bool(calls) == side_by_side
    by_operator._operators.clear()  # their functions note calls
    assert found == _gradient(monkeypatch, "compiled", shape, kernel, stride, ceil)
