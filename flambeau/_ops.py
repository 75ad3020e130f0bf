"""PyTorch's private name for ``torch.ops`` and the classes of its operators."""

from . import ops
from ._aten import OpOverload, OpOverloadPacket

__all__ = ["OpOverload", "OpOverloadPacket", "ops"]
