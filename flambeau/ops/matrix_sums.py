"""A term plus a matrix product: ``addmm``, ``addmv``, ``addr``, ``addbmm``, ``baddbmm``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..dtypes import bfloat16, bool_, float32, float64
from ..graph.node import Operator
from ..graph.tensor_base import NotDense
from ..graph.types import Ty, ty
from ._checks import not_implemented, refuse_out_dtype
from ._old_forms import factors_of_both
from ._precision import wide
from ._registry import call, call_inplace, export, into
from ._types import result_dtype
from .arithmetic import check_factor, conj
from .matrix_products import (
    MV,
    _bmm,
    _c,
    _check_added,
    _check_batches,
    _check_expand,
    _check_inner,
    _contract,
    _mm,
    _name,
    mv,
    outer,
)  # fmt: skip
from .sparsity import sparse_product

Rule = Callable[..., Any]


class Family:
    """``beta * input + alpha * product(a, b)`` as two operators: with the factors 1, and with any."""

    def __init__(self, name: str, infer: Rule, product: Rule, gradients: Rule) -> None:
        saves = ((2, (1,)), (1, (2,)))

        def lower(b: Any, attrs: Any, x: Any, *rest: Any) -> Any:
            return _lower(b, infer, product, x, *rest)

        self.plain = Operator(name, infer, lower, _vjp(gradients), saves)
        self.scaled = Operator(
            name, infer, _without_term(infer, product), _vjp(gradients), (*saves, (3, (0,)), (4, (1, 2)))
        )

    def choose(self, beta: Any, alpha: Any) -> tuple[Operator, tuple[Any, ...], bool]:
        """The operator, the numbers it takes, and whether it leaves the term out (beta is 0)."""
        if beta == 1 and alpha == 1:
            return self.plain, (), False
        return self.scaled, (beta, alpha), beta == 0

    def __call__(self, x: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
        op, numbers, alone = self.choose(beta, alpha)
        return call(op, (x, a, b, *numbers), alone)

    def inplace(self, x: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
        """Writes the sum into ``x``."""
        op, numbers, alone = self.choose(beta, alpha)
        return call_inplace(op, x, (a, b, *numbers), alone)


def _lower(b: Any, infer: Rule, product: Rule, x: Any, m1: Any, m2: Any, *numbers: Any) -> Any:
    out = infer([ty(v.shape, v.dtype) for v in (x, m1, m2)], ())
    y = product(b, m1, m2)
    term = b.cast(x, y.dtype)
    if numbers:
        beta, alpha = (b.cast(number, y.dtype) for number in numbers)
        y = b.map("mul", y, alpha)
        if out.dtype is bfloat16:
            return b.cast(_rounded_once(b, beta, term, y), bfloat16)
        term = b.map("mul", term, beta)
    return b.cast(b.map("add", y, term), out.dtype)


def _rounded_once(b: Any, factor: Any, x: Any, y: Any) -> Any:
    """``factor * x + y`` rounded once to float32; the product of a bfloat16 number is exact in float64."""
    product = b.map("mul", b.cast(x, float64), b.cast(factor, float64))
    return b.cast(b.map("add", product, b.cast(y, float64)), float32)


def _without_term(infer: Rule, product: Rule) -> Rule:
    """beta = 0 ignores the term, NaN and all."""

    def lower(b: Any, alone: bool, x: Any, m1: Any, m2: Any, beta: Any, alpha: Any) -> Any:
        if not alone:
            return _lower(b, infer, product, x, m1, m2, beta, alpha)
        out = infer([ty(v.shape, v.dtype) for v in (x, m1, m2)], ())
        y = product(b, m1, m2)
        y = b.map("mul", y, b.cast(alpha, y.dtype))
        return b.cast(b.expand(y, out.shape), out.dtype)

    return lower


def _vjp(gradients: Rule) -> Rule:
    def vjp(f: Any, g: Any) -> tuple[Any, ...]:
        scaled = len(f.ins) > 3
        first = None
        if f.needs(0):
            first = g * conj(f.saved(3)) if scaled else g
        a = b = None
        if f.needs(1) or f.needs(2):
            scaled_g = g * conj(f.saved(4)) if scaled else g
            a, b = gradients(f, scaled_g)
        return (first, a, b, *[None] * (len(f.ins) - 3))

    return vjp


# ---- addmm


def _addmm_ty(tys: Any, attrs: Any) -> Ty:
    x, a, b = tys[:3]
    for t, name in ((a, "mat1"), (b, "mat2")):
        if t.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {t.ndim}-D tensor")
    _check_inner(*a.shape, *b.shape)
    _check_added(x, a, b)
    shape = (a.shape[0], b.shape[1])
    _check_expand(x, shape)
    if a.dtype is bool_:
        raise not_implemented("addmm_impl_cpu_", bool_)
    return ty(shape, a.dtype)


def _addmm_gradients(f: Any, g: Any) -> tuple[Any, Any]:
    return (
        _mm(g, conj(f.saved(2)), False, True) if f.needs(1) else None,
        _mm(conj(f.saved(1)), g, True) if f.needs(2) else None,
    )


ADDMM = Family("addmm", _addmm_ty, lambda b, x, y: _contract(b, "nk", "km", "nm", x, y), _addmm_gradients)


@export()
def addmm(
    input: Any, mat1: Any, mat2: Any, *old: Any, out_dtype: Any = None, beta: Any = 1, alpha: Any = 1, out: Any = None
) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)`` (https://docs.pytorch.org/docs/stable/generated/torch.addmm.html)."""
    if old:
        input, mat1, mat2, beta, alpha = factors_of_both("addmm", (input, mat1, mat2, *old), "mat1 mat2")
    refuse_out_dtype("addmm", out_dtype)
    try:
        return into(ADDMM(input, mat1, mat2, beta, alpha), out, "addmm")
    except NotDense:
        return into(beta * input + alpha * sparse_product(mat1, mat2), out, "addmm")


@export(function=False)
def addmm_(self: Any, mat1: Any, mat2: Any, *old: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place ``addmm``."""
    if old:
        self, mat1, mat2, beta, alpha = factors_of_both("addmm_", (self, mat1, mat2, *old), "mat1 mat2")
    return ADDMM.inplace(self, mat1, mat2, beta, alpha)


# ---- addmv


def _addmv_ty(tys: Any, attrs: Any) -> Ty:
    x, a, v = tys[:3]
    if a.ndim != 2 or v.ndim != 1 or x.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {x.ndim}, {a.ndim}, {v.ndim}")
    n, m = a.shape
    if m != v.shape[0] or (x.numel not in (1, n)):
        raise RuntimeError(f"size mismatch, got input ({x.numel}), mat ({n}x{m}), vec ({v.shape[0]})")
    if not a.dtype is v.dtype is x.dtype:
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {_name(x)}, {_name(a)}, and {_name(v)}"
        )
    if a.dtype is bool_:
        raise not_implemented("addmv_impl_cpu", bool_)
    return ty((n,), a.dtype)


def _addmv_gradients(f: Any, g: Any) -> tuple[Any, Any]:
    return (
        outer(g, conj(f.saved(2))) if f.needs(1) else None,
        call(MV, (conj(f.saved(1)), g), True) if f.needs(2) else None,
    )


ADDMV = Family("addmv", _addmv_ty, lambda b, x, v: _contract(b, "nk", "k", "n", x, v), _addmv_gradients)


@export()
def addmv(input: Any, mat: Any, vec: Any, *old: Any, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """``beta * input + alpha * (mat @ vec)`` (torch.addmv)."""
    if old:
        input, mat, vec, beta, alpha = factors_of_both("addmv", (input, mat, vec, *old), "mat vec")
    return into(ADDMV(input, mat, vec, beta, alpha), out, "addmv")


@export(function=True)
def addmv_(self: Any, mat: Any, vec: Any, *old: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place ``addmv``."""
    if old:
        self, mat, vec, beta, alpha = factors_of_both("addmv_", (self, mat, vec, *old), "mat vec")
    return ADDMV.inplace(self, mat, vec, beta, alpha)


# ---- addr


def _addr_ty(tys: Any, attrs: Any) -> Ty:
    x, a, b = tys[:3]
    for t, name in ((a, "vec1"), (b, "vec2")):
        if t.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {t.ndim}-D")
    shape = (a.shape[0], b.shape[0])
    _check_expand(x, shape)
    return ty(shape, result_dtype([x, a, b]))


def _addr_product(b: Any, x: Any, y: Any) -> Any:
    dt = wide(result_dtype([ty(v.shape, v.dtype) for v in (x, y)]))
    return b.map("mul", b.unsqueeze(b.cast(x, dt), 1), b.unsqueeze(b.cast(y, dt), 0))


def _addr_gradients(f: Any, g: Any) -> tuple[Any, Any]:
    return (
        mv(g, conj(f.saved(2))) if f.needs(1) else None,
        call(MV, (g, conj(f.saved(1))), True) if f.needs(2) else None,
    )


def _check_factors(beta: Any, alpha: Any, *xs: Any) -> None:
    dt = result_dtype([x._ty for x in xs])
    for name, factor in (("beta", beta), ("alpha", alpha)):
        check_factor(name, factor, dt)


ADDR = Family("addr", _addr_ty, _addr_product, _addr_gradients)


@export()
def addr(input: Any, vec1: Any, vec2: Any, *old: Any, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """``beta * input + alpha * outer(vec1, vec2)`` (torch.addr)."""
    if old:
        input, vec1, vec2, beta, alpha = factors_of_both("addr", (input, vec1, vec2, *old), "vec1 vec2")
    _check_factors(beta, alpha, input, vec1, vec2)
    return into(ADDR(input, vec1, vec2, beta, alpha), out, "addr")


@export(function=False)
def addr_(self: Any, vec1: Any, vec2: Any, *old: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place ``addr``."""
    if old:
        self, vec1, vec2, beta, alpha = factors_of_both("addr_", (self, vec1, vec2, *old), "vec1 vec2")
    _check_factors(beta, alpha, self, vec1, vec2)
    return ADDR.inplace(self, vec1, vec2, beta, alpha)


# ---- batches


def _batch_sizes(a: Ty, b: Ty) -> tuple[int, int, int]:
    _check_batches(a, b)
    n, k, k2, m = *a.shape[1:], *b.shape[1:]
    if a.shape[0] != b.shape[0] or k != k2:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {k}] but got: "
            f"[{b.shape[0]}, {k2}]."
        )
    return a.shape[0], n, m


def _baddbmm_ty(tys: Any, attrs: Any) -> Ty:
    x, a, b = tys[:3]
    if a.ndim == 3 == b.ndim:
        _check_expand(x, (*a.shape[:2], b.shape[2]))
    shape = _batch_sizes(a, b)
    if x.dtype is not a.dtype:
        raise RuntimeError(f"Input dtypes must be the same, got: input {_c(x)}, batch1: {_c(a)}, batch2: {_c(b)}")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected scalar type {_name(a)} but found {_name(b)}")
    if a.dtype is bool_:
        raise not_implemented("baddbmm", bool_)
    return ty(shape, a.dtype)


def _baddbmm_gradients(f: Any, g: Any) -> tuple[Any, Any]:
    return (
        _bmm(g, conj(f.saved(2)), False, True) if f.needs(1) else None,
        _bmm(conj(f.saved(1)), g, True) if f.needs(2) else None,
    )


BADDBMM = Family("baddbmm", _baddbmm_ty, lambda b, x, y: _contract(b, "bnk", "bkm", "bnm", x, y), _baddbmm_gradients)


@export()
def baddbmm(
    input: Any,
    batch1: Any,
    batch2: Any,
    *old: Any,
    out_dtype: Any = None,
    beta: Any = 1,
    alpha: Any = 1,
    out: Any = None,
) -> Any:
    """``beta * input + alpha * bmm(batch1, batch2)`` (torch.baddbmm)."""
    if old:
        input, batch1, batch2, beta, alpha = factors_of_both("baddbmm", (input, batch1, batch2, *old), "batch1 batch2")
    refuse_out_dtype("baddbmm", out_dtype)
    return into(BADDBMM(input, batch1, batch2, beta, alpha), out, "baddbmm")


@export(function=False)
def baddbmm_(self: Any, batch1: Any, batch2: Any, *old: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place ``baddbmm``."""
    if old:
        self, batch1, batch2, beta, alpha = factors_of_both("baddbmm_", (self, batch1, batch2, *old), "batch1 batch2")
    return BADDBMM.inplace(self, batch1, batch2, beta, alpha)


def _addbmm_ty(tys: Any, attrs: Any) -> Ty:
    x, a, b = tys[:3]
    if a.ndim == 3 == b.ndim:
        _check_expand(x, (a.shape[1], b.shape[2]))
    shape = _batch_sizes(a, b)[1:]
    _check_added(x, a, b)
    if a.dtype is bool_:
        raise not_implemented("addbmm_impl_cpu_", bool_)
    return ty(shape, a.dtype)


def _addbmm_gradients(f: Any, g: Any) -> tuple[Any, Any]:
    whole = g.unsqueeze(0).expand((f.ins[1].shape[0], *g._ty.shape))
    return _baddbmm_gradients(f, whole)


ADDBMM = Family("addbmm", _addbmm_ty, lambda b, x, y: _contract(b, "bnk", "bkm", "nm", x, y), _addbmm_gradients)


@export()
def addbmm(input: Any, batch1: Any, batch2: Any, *old: Any, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """``beta * input + alpha * bmm(batch1, batch2).sum(0)`` (torch.addbmm)."""
    if old:
        input, batch1, batch2, beta, alpha = factors_of_both("addbmm", (input, batch1, batch2, *old), "batch1 batch2")
    return into(ADDBMM(input, batch1, batch2, beta, alpha), out, "addbmm")


@export(function=False)
def addbmm_(self: Any, batch1: Any, batch2: Any, *old: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    """In-place ``addbmm``."""
    if old:
        self, batch1, batch2, beta, alpha = factors_of_both("addbmm_", (self, batch1, batch2, *old), "batch1 batch2")
    return ADDBMM.inplace(self, batch1, batch2, beta, alpha)
