"""Modes below autograd: there is no dispatcher here, so none can be entered."""

from __future__ import annotations

from typing import NoReturn

import flambeau as torch

__all__ = ["TorchDispatchMode", "is_traceable_wrapper_subclass"]


class TorchDispatchMode:
    """PyTorch's mode that sees each operator with its overload; it can be derived from, not entered."""

    def __enter__(self) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} is a TorchDispatchMode, which is not supported: use "
            "torch.overrides.TorchFunctionMode, torch.profiler or `flambeau explain`"
        )

    def __exit__(self, *exc: object) -> None:
        """Nothing was entered."""


def is_traceable_wrapper_subclass(t: object) -> bool:
    """Is this a tensor of a class that can be taken apart into tensors and be made from them?"""
    kind = type(t)
    names = ("__tensor_flatten__", "__tensor_unflatten__")
    return isinstance(t, torch.Tensor) and kind is not torch.Tensor and all(hasattr(kind, name) for name in names)
