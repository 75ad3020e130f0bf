"""Views with another order of dimensions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ..graph.types import Ty
from ._registry import export, int_tuple, method, view, view_inplace, wrap_dim
from .views import alias_view, inplace_form, retyped, view_operator


def _permute_rule(t: Ty, order: tuple[int, ...]) -> Ty:
    return retyped(t, [t.shape[i] for i in order], [t.strides[i] for i in order])


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    out = [0] * len(order)
    for i, d in enumerate(order):
        out[d] = i
    return tuple(out)


PERMUTE = view_operator("permute", _permute_rule, lambda f, g: (g.permute(_inverse(f.attrs)),))


@export()
def permute(input: Any, *order: Any, dims: Any = None) -> Any:
    """Dimension k of the result is dimension ``dims[k]`` of the input."""
    if dims is None:
        dims = tuple(order[0]) if len(order) == 1 and isinstance(order[0], (tuple, list)) else order
    n = input._ty.ndim
    if len(dims) != n:
        raise RuntimeError("permute(sparse_coo): number of dimensions in the tensor input does not match the length "
                           "of the "
                           f"desired ordering of dimensions i.e. input.dim() = {n} is not equal to len(dims) = "
                           f"{len(dims)}")  # fmt: skip
    wrapped = tuple([wrap_dim(d, n) for d in dims])
    if len(set(wrapped)) != n:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return view(PERMUTE, input, wrapped)


def _transpose_rule(t: Ty, dims: tuple[int, int]) -> Ty:
    a, b = dims
    order = list(range(t.ndim))
    if t.ndim:
        order[a], order[b] = order[b], order[a]
    return _permute_rule(t, tuple(order))


TRANSPOSE, TRANSPOSE_IN_PLACE = [
    view_operator("transpose", _transpose_rule, lambda f, g: (g.transpose(*f.attrs),), f"TransposeBackward{n}")
    for n in (0, 1)
]
T = view_operator("t", lambda t, a: _transpose_rule(t, (0, 1)) if t.ndim == 2 else t, lambda f, g: (g.t(),))
T_IN_PLACE = inplace_form(T, "TBackward1")


@export("swapdims")
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """A view with two dimensions exchanged
    (https://docs.pytorch.org/docs/stable/generated/torch.transpose.html).

    Raises:
        IndexError: one is no dimension of the input.
    """
    n = input._ty.ndim
    return view(TRANSPOSE, input, (wrap_dim(dim0, n), wrap_dim(dim1, n)))


@export()
def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """A view with two dimensions exchanged, as ``transpose``
    (https://docs.pytorch.org/docs/stable/generated/torch.swapaxes.html).

    Raises:
        IndexError: one is no dimension of the input.
    """
    return transpose(input, axis0, axis1)


@export()
def t(input: Any) -> Any:
    """The transpose of a matrix; vectors and numbers as they are."""
    if input._ty.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._ty.ndim}D")
    return view(T, input)


@export("moveaxis")
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """A view with dimensions moved to new positions, the others in their order
    (https://docs.pytorch.org/docs/stable/generated/torch.movedim.html).

    ``source`` and ``destination`` are numbers, or sequences of as many.

    Raises:
        RuntimeError: there is another number of sources than of destinations, or one comes twice.
        IndexError: one is no dimension of the input.
    """
    src = int_tuple(source)
    dst = int_tuple(destination)
    n = input._ty.ndim
    if len(src) != len(dst):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({list(src)} dims) should contain the "
                           f"same number of dims as destination ({list(dst)} dims)")  # fmt: skip
    s, d = [wrap_dim(i, n) for i in src], [wrap_dim(i, n) for i in dst]
    for dims, what in ((s, "source"), (d, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({list(src if what == 'source' else dst)})")
    if not n:
        return alias_view(input)
    order = [-1] * n
    for a, b in zip(s, d):
        order[b] = a
    rest = iter([i for i in range(n) if i not in s])
    return view(PERMUTE, input, tuple([next(rest) if o == -1 else o for o in order]))


@export()
def adjoint(input: Any) -> Any:
    """The last two dimensions exchanged, conjugated; a number conjugated, with a warning.

    Raises:
        RuntimeError: there is one dimension.
    """
    return matrix_transpose(input, "adjoint()", "Consider using x.conj().").conj()


def matrix_transpose(x: Any, name: str, otherwise: str) -> Any:
    """The last two dimensions exchanged, under the ``name`` that the user called; a number as it is, with a warning.

    Raises:
        RuntimeError: there is one dimension.
    """
    n = x._ty.ndim
    called = name if name.endswith(")") else f"Tensor.{name}"
    if not n:
        warnings.warn(f"{called} is deprecated on 0-D tensors. {otherwise}", stacklevel=3)
        return x
    if n == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return x.transpose(-2, -1)


@method("swapdims_")
def transpose_(self: Any, dim0: int, dim1: int) -> Any:
    """In-place ``transpose``."""
    n = self._ty.ndim
    return view_inplace(TRANSPOSE_IN_PLACE, self, (wrap_dim(dim0, n), wrap_dim(dim1, n)))


@method()
def swapaxes_(self: Any, axis0: int, axis1: int) -> Any:
    """In-place ``swapaxes``."""
    return transpose_(self, axis0, axis1)


@method()
def t_(self: Any) -> Any:
    """In-place ``t``."""
    if self._ty.ndim > 2:
        raise RuntimeError(f"t_() expects a tensor with <= 2 dimensions, but self is {self._ty.ndim}D")
    return view_inplace(T_IN_PLACE, self)
