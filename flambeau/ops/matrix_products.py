"""Products of vectors, matrices and batches of matrices: ``linear``, ``matmul`` and their relatives.

``matmul`` and ``linear`` are put together from ``mm``, ``mv``, ``dot``, ``bmm`` and views as PyTorch does, so that
the backward nodes are PyTorch's.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..compiler.twins import twin
from ..dtypes import C_NAMES, SCALAR_NAMES, bool_
from ..graph.epoch import threads
from ..graph.fn import Fn, record
from ..graph.node import Operator
from ..graph.tensor_base import NotDense
from ..graph.types import Ty, contiguous_strides, ty
from ._checks import not_implemented, refuse_out_dtype
from ._precision import wide
from ._registry import METHODS, call, export, into, is_tensor, requires_grad, seen_as, view
from ._signatures import no_tensor
from ._types import broadcast_shape
from .arithmetic import conj
from .permuting import T
from .reductions import SUM_DIM
from .sparsity import sparse_product
from .views import UNSAFE_VIEW, VIEW_OP, expand_rule, fresh_view, squeeze_rule, squeeze_vjp, view_operator

# ---- shared rules


def _same_dtype(a: Ty, b: Ty) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {_c(a)} != {_c(b)}")


def _c(t: Ty) -> str:
    return C_NAMES.get(t.dtype, t.dtype.name)


def _name(t: Ty) -> str:
    return SCALAR_NAMES[t.dtype]


def _check_inner(rows: int, inner: int, inner2: int, cols: int) -> None:
    if inner != inner2:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{inner} and {inner2}x{cols})")


def _swap(labels: str, swapped: bool) -> str:
    """Labels of a matrix (or a batch of them) stored transposed."""
    return labels[:-2] + labels[-1] + labels[-2] if swapped else labels


def _contract(b: Any, left: str, right: str, out: str, x: Any, y: Any) -> Any:
    """A contraction whose sums are taken in float32 for half precision; the result is not yet rounded."""
    dt = wide(x.dtype)
    return b.contract(f"{left},{right}->{out}", b.cast(x, dt), b.cast(y, dt))


# ---- mm


def _mm_ty(tys: tuple[Ty, ...], attrs: tuple[bool, bool]) -> Ty:
    a, b = tys
    if a.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if b.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    (n, k), (k2, m) = _matrix_shape(a, attrs[0]), _matrix_shape(b, attrs[1])
    _check_inner(n, k, k2, m)
    _same_dtype(a, b)
    if a.dtype is bool_:
        raise not_implemented("addmm_impl_cpu_", bool_)
    return ty((n, m), a.dtype)


def _matrix_shape(t: Ty, transposed: bool) -> tuple[int, int]:
    n, m = t.shape[-2:]
    return (m, n) if transposed else (n, m)


def _mm_lower(b: Any, attrs: tuple[bool, bool], x: Any, y: Any) -> Any:
    return b.cast(_contract(b, _swap("nk", attrs[0]), _swap("km", attrs[1]), "nm", x, y), x.dtype)


def _mm_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    ta, tb = f.attrs
    ga = _left_gradient(_mm, g, f.saved(1), ta, tb) if f.needs(0) else None
    gb = _right_gradient(_mm, g, f.saved(0), ta, tb) if f.needs(1) else None
    return ga, gb


def _left_gradient(product: Any, g: Any, y: Any, ta: bool, tb: bool) -> Any:
    return product(conj(y), g, tb, True) if ta else product(g, conj(y), False, not tb)


def _right_gradient(product: Any, g: Any, x: Any, ta: bool, tb: bool) -> Any:
    return product(g, conj(x), True, ta) if tb else product(conj(x), g, not ta, False)


MM = Operator("mm", _mm_ty, _mm_lower, _mm_vjp, saves=((1, (0,)), (0, (1,))))


def _mm(x: Any, y: Any, tx: bool = False, ty: bool = False) -> Any:
    """The product of two matrices, each transposed or not."""
    return call(MM, (x, y), (tx, ty))


@export()
def mm(input: Any, mat2: Any, out_dtype: Any = None, *, out: Any = None) -> Any:
    """The product of two matrices (n, k) and (k, m) (https://docs.pytorch.org/docs/stable/generated/torch.mm.html).

    Raises:
        RuntimeError: the operands are not matrices of one dtype whose inner sizes agree.
        NotImplementedError: ``out_dtype`` is given, which is for CUDA.
    """
    refuse_out_dtype("mm", out_dtype)
    try:
        return into(call(MM, (input, mat2), (False, False)), out, "mm")
    except NotDense:
        return into(sparse_product(input, mat2), out, "mm")


# ---- bmm


def _bmm_ty(tys: tuple[Ty, ...], attrs: tuple[bool, bool]) -> Ty:
    a, b = tys
    _check_batches(a, b)
    (n, k), (k2, m) = _matrix_shape(a, attrs[0]), _matrix_shape(b, attrs[1])
    if b.shape[0] != a.shape[0] or k2 != k:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {k}] but got: "
            f"[{b.shape[0]}, {k2}]."
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected scalar type {_name(a)} but found {_name(b)}")
    if a.dtype is bool_:
        raise not_implemented("bmm", bool_)
    return ty((a.shape[0], n, m), a.dtype)


def _check_batches(a: Ty, b: Ty) -> None:
    for t, name in ((a, "batch1"), (b, "batch2")):
        if t.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")


def _bmm_lower(b: Any, attrs: tuple[bool, bool], x: Any, y: Any) -> Any:
    return b.cast(_contract(b, _swap("bnk", attrs[0]), _swap("bkm", attrs[1]), "bnm", x, y), x.dtype)


def _bmm_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    ta, tb = f.attrs
    ga = _left_gradient(_bmm, g, f.saved(1), ta, tb) if f.needs(0) else None
    gb = _right_gradient(_bmm, g, f.saved(0), ta, tb) if f.needs(1) else None
    return ga, gb


BMM = Operator("bmm", _bmm_ty, _bmm_lower, _bmm_vjp, saves=((1, (0,)), (0, (1,))))


def _bmm(x: Any, y: Any, tx: bool = False, ty: bool = False) -> Any:
    """The products of two batches of matrices, each transposed or not."""
    return call(BMM, (x, y), (tx, ty))


@export()
def bmm(input: Any, mat2: Any, out_dtype: Any = None, *, out: Any = None) -> Any:
    """The products of two batches of matrices, (b, n, k) and (b, k, m) (torch.bmm).

    Raises:
        RuntimeError: the operands are not 3-D tensors of one dtype whose sizes agree.
    """
    refuse_out_dtype("bmm", out_dtype)
    return into(call(BMM, (input, mat2), (False, False)), out, "bmm")


# ---- mv, dot


def _mv_ty(tys: tuple[Ty, ...], transposed: bool) -> Ty:
    a, v = tys
    _check_mv(a, v, transposed)
    if a.dtype is not v.dtype:
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {_name(v)}, {_name(a)}, and {_name(v)}"
        )
    if a.dtype is bool_:
        raise not_implemented("addmv_impl_cpu", bool_)
    return ty((_matrix_shape(a, transposed)[0],), a.dtype)


def _check_mv(a: Ty, v: Ty, transposed: bool = False, first: int = 1) -> None:
    if a.ndim != 2 or v.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {first}, {a.ndim}, {v.ndim}")
    n, m = _matrix_shape(a, transposed)
    if m != v.shape[0]:
        raise RuntimeError(f"size mismatch, got input ({n}), mat ({n}x{m}), vec ({v.shape[0]})")


def _mv_lower(b: Any, transposed: bool, x: Any, v: Any) -> Any:
    return b.cast(_contract(b, _swap("nk", transposed), "k", "n", x, v), x.dtype)


def _mv_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    t = f.attrs
    ga = gv = None
    if f.needs(0):
        v = conj(f.saved(1))
        ga = outer(v, g) if t else outer(g, v)
    if f.needs(1):
        gv = call(MV, (conj(f.saved(0)), g), not t)
    return ga, gv


MV = Operator("mv", _mv_ty, _mv_lower, _mv_vjp, saves=((1, (0,)), (0, (1,))))


@export()
def mv(input: Any, vec: Any, *, out: Any = None) -> Any:
    """The product of a matrix (n, m) and a vector (m) (torch.mv)."""
    try:
        return into(call(MV, (input, vec), False), out, "mv")
    except NotDense:
        return into(sparse_product(input, vec), out, "mv")


def _dot_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    a, b = tys
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {_name(a)} and {_name(b)}")
    if a.numel != b.numel:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(a.shape)} and src {list(b.shape)} to have the "
            f"same number of elements, but got {a.numel} and {b.numel} elements respectively"
        )
    if a.dtype is bool_:
        raise not_implemented("dot", bool_)
    return ty((), a.dtype)


def _dot_lower(b: Any, attrs: Any, x: Any, y: Any) -> Any:
    return b.cast(_contract(b, "k", "k", "", x, y), x.dtype)


def _vdot_lower(b: Any, attrs: Any, x: Any, y: Any) -> Any:
    return _dot_lower(b, attrs, b.map("conj", x) if x.dtype.kind == "c" else x, y)


def _dot_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g * conj(f.saved(1)) if f.needs(0) else None, g * conj(f.saved(0)) if f.needs(1) else None


def _vdot_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return conj(g) * f.saved(1) if f.needs(0) else None, g * f.saved(0) if f.needs(1) else None


DOT = Operator("dot", _dot_ty, _dot_lower, _dot_vjp, saves=((1, (0,)), (0, (1,))))
VDOT = Operator("vdot", _dot_ty, _vdot_lower, _vdot_vjp, saves=((1, (0,)), (0, (1,))))


@export()
def dot(input: Any, tensor: Any, *, out: Any = None) -> Any:
    """The sum of products of two vectors of the same length (torch.dot)."""
    return into(call(DOT, (input, tensor)), out, "dot")


@export()
def vdot(input: Any, other: Any, *, out: Any = None) -> Any:
    """As ``dot``, with the first vector conjugated."""
    return into(call(VDOT, (input, other)), out, "vdot")


@export("ger")
def outer(input: Any, vec2: Any, *, out: Any = None) -> Any:
    """All products of an element of one vector and one of another: (n), (m) -> (n, m) (torch.outer)."""
    for x, name in ((input, "self"), (vec2, "vec2")):
        if x._ty.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x._ty.ndim}-D")
    return into(input.reshape((input._ty.shape[0], 1)) * vec2, out, "outer")


@export()
def inner(input: Any, other: Any, *, out: Any = None) -> Any:
    """Sums of products over the last dimensions; an ordinary product if one operand is a number (torch.inner)."""
    a, b = input._ty, other._ty
    if a.ndim == 0 or b.ndim == 0:
        return into(input * other, out, "inner")
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError("inner() the last dimension must match on both input tensors but got shapes "
                           f"{list(a.shape)} and {list(b.shape)}")  # fmt: skip
    from .einsum import tensordot

    return into(tensordot(input, other, ([-1], [-1])), out, "inner")


# ---- linear


def _linear_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    bias, x, w = tys
    if w.ndim != 2:
        raise RuntimeError(f"mat2 must be a matrix, got {w.ndim}-D tensor")
    (n, k), (m, k2) = x.shape, w.shape
    _check_added(bias, x, w)
    _check_inner(n, k, k2, m)
    _check_expand(bias, (n, m))
    if x.dtype is bool_:
        raise not_implemented("addmm_impl_cpu_", bool_)
    return ty((n, m), x.dtype)


def _check_added(bias: Ty, x: Ty, y: Ty) -> None:
    for name, t in (("self", bias), ("mat1", x)):
        if t.dtype is not y.dtype:
            raise RuntimeError(f"{name} and mat2 must have the same dtype, but got {_name(t)} and {_name(y)}")


def _check_expand(t: Ty, shape: tuple[int, ...]) -> None:
    if t.shape != shape[len(shape) - t.ndim :]:
        expand_rule(t, shape)


def _linear_lower(b: Any, attrs: Any, bias: Any, x: Any, w: Any) -> Any:
    product = _contract(b, "nk", "mk", "nm", x, w)
    return b.cast(b.map("add", product, b.cast(bias, product.dtype)), x.dtype)


def _linear_vjp(f: Any, g: Any) -> tuple[Any, Any, Any]:
    gx = _mm(g, conj(f.saved(2))) if f.needs(1) else None
    gw = _mm(g, conj(f.saved(1)), True) if f.needs(2) else None
    return _bias_gradient(g, f.ins[0]) if f.needs(0) else None, gx, gw


def _bias_gradient(g: Any, t: Ty) -> Any:
    """The gradient of a vector added to each row."""
    return call(SUM_DIM, (g,), ((0,), False, g._ty.dtype)) if t.ndim == 1 else g


LINEAR = Operator("addmm", _linear_ty, _linear_lower, _linear_vjp, saves=((2, (1,)), (1, (2,))))


class _LinearNode(Fn):
    """The backward node of ``linear``; shows the transpose of the weight as PyTorch does."""

    __slots__ = ()
    op = LINEAR

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes to which gradients go, with the number of their output."""
        bias, x, w = super().next_functions
        if w[0] is not None:
            w = record(T, (), (self.edges[2],), (self.ins[2],), (view_type(self.ins[2]),), None), 0
        return bias, x, w


def view_type(t: Ty) -> Ty:
    """The type of a matrix transposed."""
    return T.infer((t,), ())


_LinearNode.__name__ = _LinearNode.__qualname__ = "AddmmBackward0"
_LinearNode.__module__ = "builtins"
LINEAR.fn_class = _LinearNode


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """``input @ weight.T + bias``: (*, in) -> (*, out), weight (out, in), bias (out)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html).

    Raises:
        RuntimeError: shapes or dtypes do not agree.
        TypeError: an argument is no tensor.
    """
    try:
        t = input._ty
        if t.ndim == 2 and bias is not None and weight._ty.ndim == 2:
            return call(LINEAR, (bias, input, weight))
        if not t.ndim or not weight._ty.ndim:
            raise RuntimeError(
                f"both arguments to linear need to be at least 1D, but they are {t.ndim}D and {weight._ty.ndim}D"
            )
        grad = threads.epoch.grad
        if bias is None:
            alone = not grad and t.ndim > 2 and t.strides == contiguous_strides(t.shape) and weight._ty.ndim == 2
            return _without_bias(input, weight) if alone else matmul(input, weight.t())
        if t.contiguous or t.ndim == 2:
            return _with_bias(input, weight, bias, grad)
        return matmul(input, weight.t()) + bias
    except AttributeError as error:
        wrong = no_tensor(linear, error, (input, weight, bias), {})
        raise TypeError(wrong) if wrong else error from None


@twin
def _without_bias(x: Any, weight: Any) -> Any:
    """``linear`` of what lies row by row, as one matrix, where autograd does not look."""
    y = call(MM, (folded(x, False), view(T, weight)), (False, False))
    return seen_as(UNSAFE_VIEW, y, (*x._ty.shape[:-1], y._ty.shape[1]))


@twin
def _with_bias(x: Any, weight: Any, bias: Any, grad: bool) -> Any:
    """``linear`` of a matrix, or of what lies row by row, as one matrix."""
    t = x._ty
    if t.ndim == 2:
        return call(LINEAR, (bias, x, weight))
    y = call(LINEAR, (bias, folded(x, grad), weight))
    return view(VIEW_OP, y, (*t.shape[:-1], y._ty.shape[1]))


@twin
def folded(x: Any, grad: bool) -> Any:
    """An operand that lies row by row as one matrix; ``grad``: may autograd look at it?"""
    shape = x._ty.shape
    rows = prod(shape[:-1]), shape[-1]
    return view(VIEW_OP, x, rows) if grad else seen_as(VIEW_OP, x, rows)


# ---- matmul

SQUEEZE_INPLACE = view_operator("squeeze", squeeze_rule, squeeze_vjp, "SqueezeBackward4")


def _as_vector(x: Any) -> Any:
    """A fresh matrix of one row as a vector."""
    y = view(SQUEEZE_INPLACE, x, (0,))
    y._view = None
    return y


@export()
def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """The matrix product with NumPy's rules for vectors and batches
    (https://docs.pytorch.org/docs/stable/generated/torch.matmul.html).

    Raises:
        RuntimeError: an operand is a number, or shapes or dtypes do not agree.
    """
    n, m = input._ty.ndim, other._ty.ndim
    try:
        if n == 2 and m == 2:
            y = call(MM, (input, other), (False, False))
        elif n <= 2 and m <= 2:
            y = _small_matmul(input, other, n, m)
        elif _folds(input, other):
            y = _folded_matmul(input, other)
        else:
            y = _batched_matmul(input, other)
    except NotDense:
        y = sparse_product(input, other)
    return y if out is None else into(y, out, "matmul")


def _small_matmul(x: Any, y: Any, n: int, m: int) -> Any:
    if n == 0 or m == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {n}D and {m}D")
    if n == 2:
        return mv(x, y)
    if m == 2:
        return _as_vector(_mm(x.unsqueeze(0), y))
    return dot(x, y)


def _folds(x: Any, y: Any) -> bool:
    """Is the larger operand better seen as one matrix than as a batch?"""
    n, m = x._ty.ndim, y._ty.ndim
    if min(n, m) > 2 or min(n, m) < 1:
        return False
    if requires_grad(y if n >= m else x):
        return True
    if n == 2:
        return False
    t = x._ty if n >= m else y.mT._ty
    return t.numel == 0 or all(t.strides[i] == t.strides[i + 1] * t.shape[i + 1] for i in range(t.ndim - 2))


def _folded_matmul(x: Any, y: Any) -> Any:
    if x._ty.ndim >= y._ty.ndim:
        return _fold_left(x, y)
    z = _fold_left(y.mT, x.t() if x._ty.ndim == 2 else x)
    return z.mT.contiguous() if x._ty.ndim == 2 else z


def _fold_left(x: Any, y: Any) -> Any:
    t = x._ty
    lead = t.shape[:-1]
    flat = folded(x, threads.epoch.grad) if t.contiguous else x.reshape((prod(lead), t.shape[-1]))
    if y._ty.ndim == 2:
        return fresh_view(_mm(flat, y), (*lead, y._ty.shape[1]))
    return fresh_view(mv(flat, y), lead)


def _batched_matmul(x: Any, y: Any) -> Any:
    a, b = x._ty, y._ty
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")
    if a.ndim == 3 and b.ndim == 3 and a.shape[0] != b.shape[0]:
        if a.shape[0] == 1 and requires_grad(x):
            return matmul(x.squeeze(0), y)
        if b.shape[0] == 1 and requires_grad(y):
            return matmul(x, y.squeeze(0))
    return _expanded_bmm(x, y)


def _expanded_bmm(x: Any, y: Any) -> Any:
    a, b = x._ty, y._ty
    vector = b.ndim == 1
    batch = broadcast_shape(a.shape[:-2], b.shape[:-2])
    count = prod(batch)
    left = (a.shape[-2] if a.ndim > 1 else 1, a.shape[-1])
    right = (b.shape[0], 1) if vector else b.shape[-2:]
    if vector:
        flat = _expanded(y, (*batch, b.shape[0])).reshape((count, b.shape[0])).unsqueeze(2)
    else:
        flat = _expanded(y, (*batch, *right)).reshape((count, *right))
    z = _bmm(_expanded(x, (*batch, *left)).reshape((count, *left)), flat)
    shape = (*batch, *(left[:1] if a.ndim > 1 else ()), *(() if vector else right[1:]))
    return fresh_view(z.squeeze(-1) if vector else z, shape)


def _expanded(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x._ty.shape == shape else x.expand(shape)


def _matmul_method(self: Any, other: Any) -> Any:
    return matmul(self, other) if is_tensor(other) else NotImplemented


def _rmatmul_method(self: Any, other: Any) -> Any:
    return matmul(other, self) if is_tensor(other) else NotImplemented


METHODS["__matmul__"] = _matmul_method
METHODS["__rmatmul__"] = _rmatmul_method
