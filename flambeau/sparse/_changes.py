"""What changes a sparse tensor in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch

from ._values import KEEP_ZERO, OfValues


class Changes(OfValues):
    """In-place arithmetic of tensors in coordinate form: indices and values are replaced, or the values written."""

    def _become(self, other: Any) -> Any:
        """Takes over the entries of another tensor."""
        x: Any = self
        if x.requires_grad and torch.is_grad_enabled():
            raise NotImplementedError("a sparse tensor that requires grad cannot be changed in place: use the operator "
                                      "that gives a new one")  # fmt: skip
        x._at, x._own, x._padded, x._once_only = other._at, other._own, other._padded, other._once_only
        x._vc.version += 1
        return self

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """Adds ``alpha`` times another sparse tensor."""
        return self._become(self.add(other, alpha=alpha))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        """Subtracts ``alpha`` times another sparse tensor."""
        return self._become(self.sub(other, alpha=alpha))

    def mul_(self, other: Any) -> Any:
        """Multiplies by a number or a tensor; by a number in the memory of the values."""
        return self._scaled(self._own.mul_, other) if self._is_factor(other) else self._become(self * other)

    def div_(self, other: Any, *, rounding_mode: Any = None) -> Any:
        """Divides by a number."""
        if rounding_mode is None and self._is_factor(other):
            return self._scaled(self._own.div_, other)
        return self._become(self.div(other, rounding_mode=rounding_mode))

    def _is_factor(self, other: Any) -> bool:
        """Is it a number by which the values can be multiplied where they are?"""
        number = isinstance(other, (int, float)) or (type(other) is torch.Tensor and other.ndim == 0)
        return number and not self._own.requires_grad

    def _scaled(self, write: Any, factor: Any) -> Any:
        write(factor)
        self._vc.version += 1  # type: ignore[attr-defined]
        return self

    def zero_(self) -> Any:
        """Leaves no entry."""
        x: Any = self
        return self._become(x._with_entries(x._at[:, :0], x._own[:0], True))

    def copy_(self, other: Any, non_blocking: bool = False) -> Any:
        """Takes over the entries of a sparse tensor.

        Raises:
            RuntimeError: ``other`` is dense.
        """
        if not other.is_sparse:
            raise RuntimeError("copy_() between dense and sparse Tensors is not implemented! Found self type = "
                               f"{self.type()} and src type = {other.type()}")  # fmt: skip
        return self._become(other.clone().to(self.dtype))  # type: ignore[attr-defined]

    def detach_(self) -> Any:
        """Cuts this tensor from its graph."""
        x: Any = self
        x._own = x._own.detach()
        return self

    __iadd__ = add_
    __isub__ = sub_
    __imul__ = mul_
    __itruediv__ = div_


def _in_place(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._become(getattr(self, name)(*args, **kwargs))

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"``{name}`` in place."
    return method


for _name in KEEP_ZERO:
    if not _name.startswith("is"):
        setattr(Changes, _name + "_", _in_place(_name))
