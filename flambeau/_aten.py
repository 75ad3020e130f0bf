"""``torch.ops.aten``: PyTorch's operators under the names of its dispatcher, as keys of tables and to be called.

There is no dispatcher here, so an overload is its name and the public function of the same name, if there is one.
"""

from __future__ import annotations

from typing import Any

import flambeau as torch

__all__ = ["OpNamespace", "OpOverload", "OpOverloadPacket"]


class OpOverload:
    """An operator for arguments of some types: ``torch.ops.aten.add.Tensor``."""

    def __init__(self, packet: OpOverloadPacket, overload: str) -> None:
        self.overloadpacket = packet
        self._overloadname = overload
        self.__name__ = f"{packet.__name__}.{overload}"

    def name(self) -> str:
        """PyTorch's full name, without ``.default``."""
        full = self.overloadpacket._qualified_op_name
        return full if self._overloadname == "default" else f"{full}.{self._overloadname}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.overloadpacket(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverload(op='aten.{self.overloadpacket.__name__}', overload='{self._overloadname}')>"

    def __str__(self) -> str:
        return f"aten.{self.__name__}"


class OpOverloadPacket:
    """All overloads of an operator: ``torch.ops.aten.add``; a call is one of the public function of this name."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._qualified_op_name = f"aten::{name}"

    def __getattr__(self, overload: str) -> OpOverload:
        if overload.startswith("__"):
            raise AttributeError(overload)
        made = OpOverload(self, overload)
        setattr(self, overload, made)
        return made

    def overloads(self) -> list[str]:
        """Raises NotImplementedError: there is no table of overloads."""
        raise NotImplementedError(f"torch.ops.aten.{self.__name__}.overloads() is not supported: no table says them")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__
        function = getattr(torch, name, None) or getattr(torch.Tensor, name, None)
        if function is None or name.startswith("_"):
            raise NotImplementedError(f"torch.ops.aten.{name} is not supported: call a public function of torch")
        return function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"

    def __str__(self) -> str:
        return f"aten.{self.__name__}"


class OpNamespace:
    """The operators of PyTorch's own namespace, each made when it is first asked for."""

    def __getattr__(self, name: str) -> OpOverloadPacket:
        if name.startswith("__"):
            raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
        made = OpOverloadPacket(name)
        setattr(self, name, made)
        return made
