"""PyTorch's tracer of operators on tensors, which is never at work here."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["get_proxy_mode", "make_fx"]


def get_proxy_mode() -> None:
    """The tracer at work: None."""
    return


def make_fx(f: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: ``torch.fx.symbolic_trace`` traces functions as they are written."""
    raise NotImplementedError(
        "torch.fx.experimental.proxy_tensor.make_fx is not supported: flambeau's operators are not traced below "
        "autograd; use torch.fx.symbolic_trace"
    )
