"""``torch._dynamo.eval_frame``: the double of a module that ``torch.compile`` returns."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from ..nn import Module

__all__ = ["OptimizedModule"]


class OptimizedModule(Module):
    """Calls a module, which is its only child under the name ``_orig_mod``; names of parameters begin with that.

    Attributes that are not a module's own, ``training`` among them, are those of the module inside.

    Args:
        mod: the module.
        dynamo_ctx: PyTorch's settings of a compilation; kept.
    """

    _orig_mod: Module

    def __init__(self, mod: Module, dynamo_ctx: Any = None) -> None:
        super().__init__()
        super().__setattr__("_orig_mod", mod)
        self.__dict__["dynamo_ctx"] = dynamo_ctx

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own call, its hooks included."""
        return self._orig_mod(*args, **kwargs)

    @property
    def training(self) -> bool:  # type: ignore[override]
        """Whether the module is in training mode."""
        return self._orig_mod.training

    @training.setter
    def training(self, mode: bool) -> None:
        self._orig_mod.training = mode

    def __len__(self) -> int:
        if isinstance(self._orig_mod, Sized):
            return len(self._orig_mod)
        raise TypeError(f"{type(self._orig_mod).__name__} does not support len()")

    def __bool__(self) -> bool:
        return not isinstance(self._orig_mod, Sized) or len(self._orig_mod) > 0

    def __getattr__(self, name: str) -> Any:
        if name != "_orig_mod":
            return getattr(self._orig_mod, name)
        try:
            return self.__dict__["_modules"]["_orig_mod"]
        except KeyError:  # it is not there yet
            raise AttributeError(f"{type(self).__name__!r} object has no attribute '_orig_mod'") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_own(self, name):
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        if _is_own(self, name):
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._orig_mod), *super().__dir__()})

    def __reduce__(self) -> Any:
        return type(self), (self._orig_mod, self.dynamo_ctx)

    def __copy__(self) -> OptimizedModule:
        return type(self)(self._orig_mod, self.dynamo_ctx)


def _is_own(module: OptimizedModule, name: str) -> bool:
    """Is it an attribute of the double, not of the module inside?"""
    return name in ("_orig_mod", "dynamo_ctx") or hasattr(type(module), name)
