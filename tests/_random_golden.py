"""Reads the golden file of PyTorch's random streams beside the repository."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "spec" / "random_golden.npz"


@cache
def golden() -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    if not GOLDEN.exists():
        return {}, {}
    with np.load(GOLDEN) as archive:
        data = {name: archive[name] for name in archive.files}
    return data, json.loads(data.pop("__meta__").tobytes())["after"]


def state_summary(state: bytes) -> list[int]:
    """Initial seed, left, next, whether a normal is cached, its bits, and a checksum of the words."""
    seed, left, _, following = struct.unpack_from("<QiiQ", state, 0)
    words = np.frombuffer(state, "<u8", 624, 24).astype("<u4")
    cached = struct.unpack_from("<i", state, 5040)[0]
    return [seed, left, following, cached, struct.unpack_from("<Q", state, 5024)[0], zlib.crc32(words.tobytes())]


def stored_form(case: dict[str, Any], output: np.ndarray) -> np.ndarray:
    """The output as the golden file keeps it."""
    if case.get("sha"):
        return np.frombuffer(hashlib.sha256(output.tobytes()).digest(), np.uint8)
    return output


GOLDEN_NAMES = sorted(golden()[0]) or [
    pytest.param("", marks=pytest.mark.skip(reason="../shared/spec/random_golden.npz is not there"))
]


def check_output(name: str, case: dict[str, Any], output: np.ndarray) -> None:
    expected = golden()[0][name]
    output = stored_form(case, output)
    assert output.dtype == expected.dtype or case["op"] == "bernoulli_scalar"
    assert output.shape == expected.shape
    assert output.tobytes() == expected.tobytes()
