"""``torch.autograd.forward_ad``: dual tensors, which flambeau does not have; every call says what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.autograd.forward_ad.{name}: forward mode with dual tensors is not supported; use "
        "torch.autograd.functional.jvp, which differentiates backwards twice"
    )


def enter_dual_level() -> int:
    """Raises NotImplementedError."""
    _refuse("enter_dual_level")


def exit_dual_level(*, level: int | None = None) -> None:
    """Raises NotImplementedError."""
    _refuse("exit_dual_level")


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """Raises NotImplementedError."""
    _refuse("make_dual")


def unpack_dual(tensor: Any, *, level: int | None = None) -> Any:
    """Raises NotImplementedError."""
    _refuse("unpack_dual")


class UnpackedDualTensor:
    """Raises NotImplementedError when made."""

    def __init__(self, *args: Any) -> None:
        _refuse("UnpackedDualTensor")


class dual_level:
    """Raises NotImplementedError when entered."""

    def __enter__(self) -> int:
        _refuse("dual_level")

    def __exit__(self, *exc: object) -> None:
        pass
