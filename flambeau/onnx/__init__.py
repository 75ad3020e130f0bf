"""``torch.onnx``: present so that programs can be imported; exporting is refused."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["OnnxExporterError", "export", "is_in_onnx_export"]


class OnnxExporterError(RuntimeError):
    """A model cannot be exported."""


def is_in_onnx_export() -> bool:
    """False."""
    return False


def export(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: save the state_dict and export it with PyTorch."""
    raise NotImplementedError(
        "torch.onnx.export() is not supported: save the model's state_dict() with torch.save and export it with PyTorch"
    )
