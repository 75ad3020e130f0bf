"""An older place of ``torch.distributed.fsdp``."""
