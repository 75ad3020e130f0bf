"""What sparse tensors do to each of their values."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import flambeau as torch

# Functions that keep a zero zero, so that the entries alone are computed.
KEEP_ZERO = (
    "abs absolute neg negative positive ceil floor round trunc sign sgn sin tan asin arcsin atan arctan sinh tanh "
    "asinh arcsinh atanh arctanh sqrt expm1 log1p relu erf erfinv deg2rad rad2deg isnan isinf square"
).split()


class OfValues:
    """A sparse tensor's ``_vals``, and ``_with``, which gives other values the same indices."""

    _vals: Any
    _collects: builtins.bool  # does it collect gradients itself, rather than lead to a tensor that does?
    _own: Any  # the values, with what is not there at their end where there is such
    _on_all: Callable[[Any], Any]
    _with: Callable[[Any], Any]
    add: Callable[..., Any]
    _once: Callable[[], Any]  # the same tensor without an index that occurs twice

    grad_fn = property(lambda self: self._own.grad_fn, doc="Of the values.")
    is_leaf = property(
        lambda self: self._collects or not self.requires_grad, doc="Does it collect gradients, or want none?"
    )

    @property
    def requires_grad(self) -> bool:
        """Do the values need a gradient?"""
        return self._own.requires_grad

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Makes the values need a gradient."""
        self._own.requires_grad_(requires_grad)
        self._collects = requires_grad
        return self

    @property
    def data(self) -> Any:
        """The same entries without a history."""
        return self.detach()

    def matmul(self, other: Any) -> Any:
        """The product with a dense matrix or vector, which is dense, or with a sparse one."""
        from ._products import matmul

        return matmul(self, other)

    mm = mv = __matmul__ = matmul

    def __rmatmul__(self, other: Any) -> Any:
        from ._products import matmul

        return matmul(other, self)

    def sub(self, other: Any, *, alpha: Any = 1) -> Any:
        """The difference of two sparse tensors of this layout."""
        return self.add(other, alpha=-alpha)

    __sub__ = sub

    def norm(self, p: Any = "fro", dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Any:
        """The norm of all elements.

        Raises:
            NotImplementedError: that of some dimensions, or of a matrix, is asked for.
        """
        if isinstance(p, str) and p != "fro" or dim is not None or keepdim:
            raise NotImplementedError("norm() of a sparse tensor: only norms of all elements are supported")
        return self._once()._vals.norm(2 if p in ("fro", None) else p, dtype=dtype)

    def detach(self) -> Any:
        """The same entries without a history."""
        return self._on_all(self._own.detach())

    def __reduce_ex__(self, protocol: Any) -> Any:
        from flambeau._utils import reduced

        return reduced(self)

    def __deepcopy__(self, memo: Any) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment."
            )
        copy = memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)  # type: ignore[attr-defined]
        return copy

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """The values in another dtype."""
        return self._on_all(self._own.to(*args, **kwargs))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The type's name, or the values in another dtype."""
        if dtype is None:
            return self._own.type().replace("torch.", "torch.sparse.")
        return self._with(self._vals.type(dtype))

    def double(self) -> Any:
        """The values as float64."""
        return self.to(torch.float64)

    def float(self) -> Any:
        """The values as float32."""
        return self.to(torch.float32)

    def half(self) -> Any:
        """The values as float16."""
        return self.to(torch.float16)

    def bfloat16(self) -> Any:
        """The values as bfloat16."""
        return self.to(torch.bfloat16)

    def long(self) -> Any:
        """The values as int64."""
        return self.to(torch.int64)

    def int(self) -> Any:
        """The values as int32."""
        return self.to(torch.int32)

    def bool(self) -> Any:
        """The values as truth values."""
        return self.to(torch.bool)

    def cpu(self, *args: Any, **kwargs: Any) -> Any:
        """This tensor."""
        return self

    def is_contiguous(self, memory_format: Any = None) -> Any:
        """False."""
        return False

    def div(self, other: Any, *, rounding_mode: Any = None) -> Any:
        """All values divided by a number, or a tensor of one element."""
        _need_number("div", other)
        if rounding_mode is None:
            return self._on_all(self._own / other)
        x = self._once()
        return x._with(x._vals.div(other, rounding_mode=rounding_mode))

    def __truediv__(self, other: Any) -> Any:
        return self.div(other)

    def floor_divide(self, other: Any) -> Any:
        """All values divided by a number, rounded down."""
        return self.div(other, rounding_mode="floor")

    __floordiv__ = floor_divide

    def __neg__(self) -> Any:
        return self._on_all(-self._own)

    def __abs__(self) -> Any:
        x = self._once()
        return x._with(x._vals.abs())

    def pow(self, exponent: Any) -> Any:
        """All values to a power that keeps zero zero.

        Raises:
            NotImplementedError: the exponent is zero or less, or a tensor.
        """
        _need_number("pow", exponent)
        if not exponent > 0:
            raise NotImplementedError("pow() of a sparse tensor: only exponents above zero keep zeros")
        x = self._once()
        return x._with(x._vals.pow(exponent))

    def __pow__(self, exponent: Any) -> Any:
        return self.pow(exponent)


def _need_number(name: str, other: Any) -> None:
    if isinstance(other, torch.Tensor) and other.ndim and name == "div":
        raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
                           f"{list(other.shape)} for divisor)")  # fmt: skip
    if isinstance(other, torch.Tensor) and other.numel() != 1:
        raise NotImplementedError(f"{name}() of a sparse tensor by a tensor is not supported: call to_dense() first")


def _on_values(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        x = self._once()
        return x._with(getattr(x._vals, name)(*args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"``{name}`` of the values."
    return method


for _name in KEEP_ZERO:
    setattr(OfValues, _name, _on_values(_name))
