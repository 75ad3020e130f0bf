"""The long mode of the random tests: ``FLAMBEAU_FUZZ`` says for how many seconds, ``FLAMBEAU_FUZZ_SEED`` from where."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

SECONDS = float(os.environ.get("FLAMBEAU_FUZZ", "0"))
if_asked_for = pytest.mark.skipif(not SECONDS, reason="FLAMBEAU_FUZZ says for how many seconds")


def for_a_while(tried: Callable[[int], None]) -> None:
    """Tries one seed after the other until the time is over."""
    end, seed = time.monotonic() + SECONDS, int(os.environ.get("FLAMBEAU_FUZZ_SEED", time.time_ns() % 10**9))
    while time.monotonic() < end:
        tried(seed)
        seed += 1
