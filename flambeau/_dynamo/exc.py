"""``torch._dynamo.exc``: the errors of ``torch.compile``."""

from __future__ import annotations

__all__ = ["InvalidBackend", "TorchDynamoException", "Unsupported", "UserError"]


class TorchDynamoException(RuntimeError):
    """What all of them are."""


class InvalidBackend(TorchDynamoException):
    """There is no backend of that name."""

    def __init__(self, name: object) -> None:
        super().__init__(f"Invalid backend: {name!r}, see `torch._dynamo.list_backends()` for available backends.")


class Unsupported(TorchDynamoException):
    """Python code that PyTorch cannot trace; never raised here, where nothing is traced."""


class UserError(Unsupported):
    """A wrong use of ``torch.export``; never raised here."""
