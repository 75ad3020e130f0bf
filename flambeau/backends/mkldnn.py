"""`torch.backends.mkldnn`: not used; its switches can be set and mean nothing."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from flambeau.backends._flags import temporarily

enabled = True
deterministic = False
allow_tf32 = True
fp32_precision = "none"


def is_available() -> bool:
    """Whether oneDNN is used: never."""
    return False


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
