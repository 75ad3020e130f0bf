"""Parts of event files: what tensorboardX makes of values."""

from __future__ import annotations

from tensorboardX.summary import hparams

__all__ = ["hparams"]
