"""An older place of ``torch.distributed.fsdp``."""

from __future__ import annotations

from ..fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

__all__ = ["FSDPModule", "MixedPrecisionPolicy", "fully_shard"]
