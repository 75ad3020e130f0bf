"""``torch.types``: names for annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import Any, Union

import flambeau as torch

__all__ = ["Device", "FileLike", "Number", "Storage"]

_bool, _int, _float, _complex = builtins.bool, builtins.int, builtins.float, builtins.complex
_dtype, _device, _layout, _size = torch.dtype, torch.device, torch.layout, Union[torch.Size, list, tuple]
_qscheme = object
_TensorOrTensors = Union[torch.Tensor, Sequence[torch.Tensor]]
_TensorOrTensorsOrGradEdge = Any
_Number = (builtins.bool, builtins.int, builtins.float)
Number = Union[builtins.int, builtins.float, builtins.bool]
Device = Union[torch.device, str, builtins.int, None]
FileLike = Union[str, "os.PathLike[str]", Any]
Tensor = torch.Tensor


class Storage:
    """The base of storages, for annotations."""


class DeviceObjType:
    """TorchScript's type of devices, for annotations."""
