"""``arange``, ``linspace`` and ``logspace`` give PyTorch's bits."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest

import flambeau as torch

CASES = [
    ("arange", (-3, 3.1, 0.1), "float32", "4eefcbb3df0911e4"),
    ("arange", (-1, 1, 0.1), "float64", "464030e0002e69da"),
    ("arange", (0.3, 9, 0.17), "float32", "4b7505af838ee86d"),
    ("arange", (-2, 5, 0.3), "float16", "ea0132e0104f0176"),
    ("arange", (-2, 5, 0.3), "bfloat16", "65c68f846e3ebe4f"),
    ("linspace", (-1.3, 2.7, 41), "float32", "56197d36f73c3c82"),
    ("linspace", (0.1, 0.9, 23), "float64", "1ac614bb434f1494"),
    ("linspace", (-17, 58, 29), "int64", "c66c346640c88a30"),
    ("linspace", (0.1 + 1j, 2 - 0.3j, 19), "complex64", "59b106857b76a1f4"),
    ("logspace", (-1.1, 1.7, 23), "float32", "6579ebf7a8b8cde4"),
]


@pytest.mark.parametrize(("name", "args", "dtype", "digest"), CASES)
def test_bits(name: str, args: Any, dtype: str, digest: str) -> None:
    x = getattr(torch, name)(*args, dtype=getattr(torch, dtype))
    memory = (x.float() if dtype == "bfloat16" else x).numpy().tobytes()
    assert hashlib.sha256(memory).hexdigest()[:16] == digest


def test_steps_from_the_start_of_a_vector() -> None:
    assert torch.arange(-3, 3.1, 0.1)[30].item() == -2.3841858265427618e-08


@pytest.mark.live
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "int32"])
def test_random_progressions(dtype: str) -> None:
    pytorch = pytest.importorskip("torch")
    r = random.Random(0)
    for _ in range(100):
        a, b, n = r.uniform(-5, 5), r.uniform(-5, 5), r.randint(1, 100)
        a, b = (int(a * 20), int(b * 20)) if "int" in dtype else (a, b)
        step = abs(b) / 7 + 0.01 if "int" not in dtype else abs(b) // 7 + 1
        for name, args in (("linspace", (a, b, n)), ("arange", (a, a + n * step, step))):
            have, want = [getattr(t, name)(*args, dtype=getattr(t, dtype)).tolist() for t in (torch, pytorch)]
            assert have == want, (name, args)
