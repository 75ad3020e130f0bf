"""The way to sparse tensors and back."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn

from ..device import strided
from ._registry import export, function, method


@method()
def to_sparse(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The elements that are not zero, in coordinate form (https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to_sparse.html).

    Raises:
        NotImplementedError: another sparse layout is asked for.
    """
    return import_module("flambeau.sparse").to_sparse(self, *args, **kwargs)


@method()
def to_sparse_csr(self: Any, dense_dim: Any = None) -> Any:
    """The elements that are not zero, with rows compressed (https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to_sparse_csr.html)."""
    return _compressed(self, "sparse_csr", dense_dim)


@method()
def to_sparse_csc(self: Any, dense_dim: Any = None) -> Any:
    """The elements that are not zero, with columns compressed (https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to_sparse_csc.html)."""
    return _compressed(self, "sparse_csc", dense_dim)


def _refused(name: str, instead: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{name}() is not supported: {instead}")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Raises NotImplementedError: {instead}."
    return refuse


_BLOCKS = "there are no layouts of blocks; use to_sparse_csr()"
for _name in ("to_sparse_bsr", "to_sparse_bsc"):
    method()(_refused(_name, _BLOCKS))
for _name in ("sparse_resize_", "sparse_resize_and_clear_"):
    method()(_refused(_name, "make a tensor of the other shape by torch.sparse_coo_tensor()"))
for _name, _instead in (
    ("smm", "use torch.sparse.mm(), whose result is dense"),
    ("sspaddmm", "use torch.sparse.addmm(), whose result is dense"),
):
    export()(_refused(_name, _instead))
function()(_refused("hspmm", "use torch.sparse.mm(), whose result is dense"))


def _compressed(x: Any, layout: str, dense_dim: Any) -> Any:
    if dense_dim:
        raise NotImplementedError(f"to_{layout}(): dense dimensions are not supported")
    return import_module("flambeau.sparse").to_sparse(x, layout=getattr(import_module("flambeau"), layout))


@method()
def sparse_mask(self: Any, mask: Any) -> Any:
    """The elements that a sparse tensor in coordinate form has, as a sparse tensor with its indices.

    Raises:
        RuntimeError: it has another shape.
    """
    if self._ty.shape != mask._ty.shape:
        raise RuntimeError(f"sparse_mask(): operands have incompatible sizes; self has size {list(self.shape)} but "
                           f"mask has size {list(mask.shape)}")  # fmt: skip
    return mask._with(self[tuple(mask._indices())])


@method()
def to_dense(self: Any, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
    """This tensor, in another dtype if one is given: it is dense already."""
    return self if dtype is None else self.to(dtype)


def sparse_product(a: Any, b: Any) -> Any:
    """``a @ b`` where one of them is sparse."""
    return import_module("flambeau.sparse").matmul(a, b)


def sparse_sum(x: Any, y: Any, alpha: Any, sign: int = 1, inplace: bool = False) -> Any:
    """``x + sign * alpha * y`` where one of them is sparse; ``inplace``: in ``x``."""
    alpha = sign if alpha is None else sign * alpha
    if x.layout is not strided:
        return (x.add_ if inplace else x.add)(y, alpha=alpha)
    sums = import_module("flambeau.sparse._sums")
    return (sums.add_to_dense_ if inplace else sums.add_to_dense)(x, y.to_sparse(), alpha)


def sparse_joined(name: str, xs: Any, dim: int) -> Any:
    """``cat`` or ``stack`` of tensors of which one is sparse."""
    return getattr(import_module("flambeau.sparse._shapes"), name)(xs, dim)
