"""`torch.backends.mkldnn`: not used; its switches can be set and mean nothing."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from flambeau.backends._flags import Precision, temporarily, verbose
from flambeau.backends._flags import set_flags as _set

enabled = True
deterministic = False
allow_tf32: bool | None = None
fp32_precision = "none"
matmul = Precision("none")
conv = Precision("none")
rnn = Precision("none")
VERBOSE_OFF = 0
VERBOSE_ON = 1
VERBOSE_ON_CREATION = 2
__all__ = [
    "VERBOSE_OFF", "VERBOSE_ON", "VERBOSE_ON_CREATION", "allow_tf32", "conv", "deterministic", "enabled", "flags",
    "fp32_precision", "is_acl_available", "is_available", "matmul", "rnn", "set_flags", "verbose",
]  # fmt: skip


def is_available() -> bool:
    """Whether oneDNN is used: never."""
    return False


def is_acl_available() -> bool:
    """Whether oneDNN with Arm's compute library is used: never."""
    return False


def set_flags(
    _enabled: bool | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
) -> tuple[Any, ...]:
    """Set switches; returns what they were."""
    values = (_enabled, _deterministic, _allow_tf32, _fp32_precision)
    return _set(sys.modules[__name__], ("enabled", "deterministic", "allow_tf32", "fp32_precision"), values)


def flags(
    enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True, fp32_precision: str = "none"
) -> AbstractContextManager[None]:
    """A context in which the switches have these values."""
    return temporarily(
        sys.modules[__name__],
        enabled=enabled,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
        fp32_precision=fp32_precision,
    )
