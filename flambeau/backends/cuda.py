"""`torch.backends.cuda`: absent; its switches can be set and mean nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MATMUL = {
    "allow_tf32": False,
    "allow_fp16_reduced_precision_reduction": True,
    "allow_bf16_reduced_precision_reduction": True,
    "allow_fp16_accumulation": False,
    "fp32_precision": "none",
}


class _MatmulFlags:
    """`torch.backends.cuda.matmul`: a fixed set of switches."""

    def __init__(self) -> None:
        self.__dict__.update(_MATMUL)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Unknown attribute {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _MATMUL:
            raise AttributeError(f"Unknown attribute {name}")
        self.__dict__[name] = value


matmul = _MatmulFlags()
_attention = dict.fromkeys(("flash", "math", "mem_efficient", "cudnn"), True)


def is_built() -> bool:
    """Whether the library was built with CUDA: no."""
    return False


def flash_sdp_enabled() -> bool:
    """The switch that `enable_flash_sdp` sets."""
    return _attention["flash"]


def enable_flash_sdp(enabled: bool) -> None:
    """Set a switch that means nothing here."""
    _attention["flash"] = bool(enabled)


def math_sdp_enabled() -> bool:
    """The switch that `enable_math_sdp` sets."""
    return _attention["math"]


def enable_math_sdp(enabled: bool) -> None:
    """Set a switch that means nothing here."""
    _attention["math"] = bool(enabled)


def mem_efficient_sdp_enabled() -> bool:
    """The switch that `enable_mem_efficient_sdp` sets."""
    return _attention["mem_efficient"]


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Set a switch that means nothing here."""
    _attention["mem_efficient"] = bool(enabled)


def cudnn_sdp_enabled() -> bool:
    """The switch that `enable_cudnn_sdp` sets."""
    return _attention["cudnn"]


def enable_cudnn_sdp(enabled: bool) -> None:
    """Set a switch that means nothing here."""
    _attention["cudnn"] = bool(enabled)


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[dict[str, bool]]:
    """Sets the four switches of attention in a block; they mean nothing here."""
    before = dict(_attention)
    wanted = (enable_flash, enable_math, enable_mem_efficient, enable_cudnn)
    _attention.update(zip(("flash", "math", "mem_efficient", "cudnn"), wanted))
    try:
        yield {}
    finally:
        _attention.update(before)


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """The switch that `allow_fp16_bf16_reduction_math_sdp` sets."""
    return _reductions["math"]


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Set a switch that means nothing here."""
    _reductions["math"] = bool(enabled)


_reductions = {"math": False}


def is_flash_attention_available() -> bool:
    """Whether there is CUDA's flash attention: no."""
    return False


def can_use_flash_attention(params: object, debug: bool = False) -> bool:
    """Whether CUDA's flash attention can be used: no."""
    return False


can_use_efficient_attention = can_use_cudnn_attention = can_use_flash_attention
