"""`torch.backends.mha`: the switch of PyTorch's inference path for transformers; it means nothing here."""

from __future__ import annotations

_fastpath = [True]


def get_fastpath_enabled() -> bool:
    """The switch that `set_fastpath_enabled` sets."""
    return _fastpath[0]


def set_fastpath_enabled(value: bool) -> None:
    """Set a switch that means nothing here."""
    _fastpath[0] = value
