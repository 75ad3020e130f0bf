"""`torch.backends.opt_einsum`: the package is not used, whether installed or not."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from flambeau.backends._flags import set_flags as _set
from flambeau.backends._flags import temporarily

enabled = False
strategy: str | None = None


def is_available() -> bool:
    """Whether opt_einsum is used: never."""
    return False


def set_flags(_enabled: bool | None = None, _strategy: str | None = None) -> tuple[bool, str | None]:
    """Sets the switches that are not None, without effect; returns what all were before."""
    before = _set(sys.modules[__name__], ("enabled", "strategy"), (_enabled, _strategy))
    return before[0], before[1]


def flags(enabled: bool | None = None, strategy: str | None = None) -> AbstractContextManager[None]:
    """A block in which the switches that are not None have these values, without effect."""
    given = {"enabled": enabled, "strategy": strategy}
    return temporarily(sys.modules[__name__], **{k: v for k, v in given.items() if v is not None})
