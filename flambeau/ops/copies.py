"""Copies of what view operators show (``view_copy``, ``expand_copy``, …) and unguarded splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import dtype
from ..graph.node import Operator
from ..graph.storage import VersionCounter
from ..graph.types import ty
from ._registry import FUNCTIONS, call, export, forgetting, into, is_tensor, views, wrap_dim
from .complex_views import view_as_complex, view_as_real
from .gathering import size_along
from .permuting import permute, t, transpose
from .slicing import diagonal, narrow, select, slice_view
from .splitting import split, split_rule, split_vjp, split_with_sizes, unbind
from .strided_views import as_strided
from .views import squeeze, unsqueeze, view_operator


def _copied(y: Any, op: Operator) -> Any:
    """Views as tensors of their own."""
    if isinstance(y, (tuple, list)):
        return tuple([_copied(v, op) for v in y])
    return call(op, (y,))


def _copy_operator(name: str, grad_name: str) -> Operator:
    return Operator(
        name, lambda tys, attrs: ty(tys[0].shape, tys[0].dtype), lambda b, attrs, x: x, lambda f, g: (g,), (), grad_name
    )


def _copying(name: str, of: Callable[..., Any]) -> None:
    """Lists ``name``: a copy of what the view function ``of`` shows."""
    camel = "".join(part.capitalize() for part in name.removesuffix("_copy").split("_"))
    op = _copy_operator(name, f"{camel}Backward0_copy")

    def copy(input: Any, *args: Any, out: Any = None, **kw: Any) -> Any:
        return into(_copied(of(input, *args, **kw), op), out, name)

    copy.__name__ = copy.__qualname__ = name
    copy.__doc__ = f"A copy of what ``{name.removesuffix('_copy')}`` shows."
    FUNCTIONS[name] = copy


def _slice(x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return slice_view(x, dim, start, end, step)


def _view(x: Any, *size: Any, **kw: Any) -> Any:
    """Another dtype, or another shape: that of a copy, where ``x`` does not lie so that a view has it."""
    into_dtype = "dtype" in kw or isinstance(size[0] if size else None, dtype)
    return x.view(*size, **kw) if into_dtype else x.reshape(*size, **kw)


for _name, _of in {
    "alias": lambda x: x, "as_strided": as_strided, "detach": lambda x: x.detach(), "diagonal": diagonal,
    "expand": lambda x, *size, implicit=False, **kw: x.expand(*size, **kw), "permute": permute, "select": select,
    "slice": _slice,
    "split": split, "split_with_sizes": split_with_sizes, "squeeze": squeeze, "t": t, "transpose": transpose,
    "unbind": unbind, "unfold": lambda x, *a, **kw: x.unfold(*a, **kw), "unsqueeze": unsqueeze,
    "view": _view, "view_as_complex": view_as_complex, "view_as_real": view_as_real,
}.items():  # fmt: skip
    _copying(_name + "_copy", _of)


NARROW_COPY = _copy_operator("narrow_copy", "NarrowCopyBackward0")


@export()
def narrow_copy(input: Any, dim: int, start: int, length: int, *, out: Any = None) -> Any:
    """A copy of what ``narrow`` shows."""
    n = size_along(input._ty, wrap_dim(dim, input._ty.ndim))
    if length < 0 and not is_tensor(start) and -n <= start <= n:
        first = start + n if start < 0 else start
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({n}).")
    return into(_copied(narrow(input, dim, start, length), NARROW_COPY), out, "narrow_copy")


# ---- splits


UNSAFE_SPLIT = view_operator("unsafe_split", split_rule, split_vjp)
UNSAFE_SPLIT_WITH_SIZES = view_operator("unsafe_split", split_rule, split_vjp, "UnsafeSplitWithSizesBackward0")


def _unsafe(x: Any, parts: tuple[Any, ...], dim: int, op: Operator = UNSAFE_SPLIT) -> Any:
    """Parts on the memory of ``x`` that autograd takes for tensors of their own, each with its own versions."""
    d = wrap_dim(dim, x._ty.ndim)
    found = views(op, x.resolve_conj().resolve_neg(), (tuple([p._ty.shape[d] for p in parts]), d))
    for y in found:
        forgetting(y)._vc = VersionCounter()
    return found


@export()
def unsafe_split(tensor: Any, split_size: int, dim: int = 0) -> Any:
    """As ``split``, but the parts may be written, and autograd does not see that ``tensor`` changes with them."""
    return _unsafe(tensor, split(tensor.detach(), split_size, dim), dim)


@export()
def unsafe_split_with_sizes(self: Any, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """As ``unsafe_split``, with the given sizes."""
    return _unsafe(self, split_with_sizes(self.detach(), split_sizes, dim), dim, UNSAFE_SPLIT_WITH_SIZES)


@export()
def unsafe_chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """As ``unsafe_split``, in at most so many parts."""
    return _unsafe(input, input.detach().chunk(chunks, dim), dim)
