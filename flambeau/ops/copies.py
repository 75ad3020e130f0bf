"""Copies of what view operators show (``view_copy``, ``expand_copy``, …) and the splits whose parts may be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import dtype
from ..graph.node import Operator
from ..graph.types import ty
from ._registry import FUNCTIONS, call, export, into, is_tensor, wrap_dim
from .complex_views import view_as_complex, view_as_real
from .gathering import size_along
from .splitting import split, split_rule, split_vjp, split_with_sizes, unbind
from .strided_views import as_strided
from .views import diagonal, narrow, permute, select, slice_view, squeeze, t, transpose, unsqueeze


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


UNSAFE_SPLIT = Operator(
    "unsafe_split",
    lambda tys, attrs: tuple([ty(v.shape, v.dtype) for v in split_rule(tys[0], attrs)]),
    lambda b, attrs, x: _pieces(b, attrs, x),
    split_vjp,
)


def _pieces(b: Any, attrs: Any, x: Any) -> tuple[Any, ...]:
    sizes, dim = attrs
    out, start = [], 0
    for n in sizes:
        out.append(b.slice(x, dim, start, start + n))
        start += n
    return tuple(out)


UNSAFE_SPLIT_WITH_SIZES = Operator(
    "unsafe_split", UNSAFE_SPLIT.infer, UNSAFE_SPLIT.lower, split_vjp, (), "UnsafeSplitWithSizesBackward0"
)


def _unsafe(x: Any, parts: tuple[Any, ...], dim: int, op: Operator = UNSAFE_SPLIT) -> Any:
    d = wrap_dim(dim, x._ty.ndim)
    return call(op, (x,), (tuple([p._ty.shape[d] for p in parts]), d))


@export()
def unsafe_split(tensor: Any, split_size: int, dim: int = 0) -> Any:
    """As ``split``, but the parts are copies that may be written in place."""
    return _unsafe(tensor, split(tensor.detach(), split_size, dim), dim)


@export()
def unsafe_split_with_sizes(self: Any, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """As ``split_with_sizes``, but the parts are copies that may be written in place."""
    return _unsafe(self, split_with_sizes(self.detach(), split_sizes, dim), dim, UNSAFE_SPLIT_WITH_SIZES)


@export()
def unsafe_chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """As ``chunk``, but the parts are copies that may be written in place."""
    return _unsafe(input, input.detach().chunk(chunks, dim), dim)
