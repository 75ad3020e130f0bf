"""Gradients of each sample by PyTorch's expanded weights, which are not supported."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["call_for_per_sample_grads"]


def call_for_per_sample_grads(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: use ``torch.func``."""
    raise NotImplementedError(
        "call_for_per_sample_grads() is not supported: use torch.func.vmap(torch.func.grad(...)), or in Opacus "
        'grad_sample_mode="hooks"'
    )
