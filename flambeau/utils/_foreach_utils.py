"""Lists of tensors, as PyTorch's optimizers update them."""

from __future__ import annotations

from typing import Any

import flambeau as torch

__all__: list[str] = []

_Groups = dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]


def _get_foreach_kernels_supported_devices() -> list[str]:
    """The devices where optimizers choose ``torch._foreach_*`` by themselves: not the CPU."""
    return ["cuda", "xpu", "mtia", "privateuseone"]


def _get_fused_kernels_supported_devices() -> list[str]:
    """The devices of ``fused=True``."""
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]


def _group_tensors_by_device_and_dtype(tensorlistlist: list[list[Any]], with_indices: bool = False) -> _Groups:
    """Lists of equal length, split by the device and the dtype of what the first holds.

    Args:
        tensorlistlist: the first list holds tensors; others may hold None, or be empty and stay so.
        with_indices: say also which places the entries had.

    Returns:
        By device and dtype: the parts of the lists, and the places (an empty list if they were not asked for).
    """
    groups: _Groups = {}
    for place, x in enumerate(tensorlistlist[0]):
        parts, places = groups.setdefault((x.device, x.dtype), ([[] for _ in tensorlistlist], []))
        for part, whole in zip(parts, tensorlistlist):
            part.extend(whole[place : place + 1])
        places.extend([place] if with_indices else [])
    return groups


def _device_has_foreach_support(device: torch.device) -> bool:
    return device.type in [*_get_foreach_kernels_supported_devices(), "cpu"]


def _has_foreach_support(tensors: list[Any], device: torch.device) -> bool:
    return _device_has_foreach_support(device) and all(x is None or type(x) is torch.Tensor for x in tensors)
