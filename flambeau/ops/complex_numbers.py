"""Complex numbers: ``conj``, ``real``, ``imag``, ``angle``, ``complex``, ``polar``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dtypes import SCALAR_NAMES, complex32, complex64, complex128, float16, float32, float64
from ..graph.node import OUT, Operator
from ..graph.types import CONJ, NEG, Ty, lazily, ty
from ._elementwise import Support, same_dtype, tensor_argument, unary
from ._precision import wide
from ._registry import FUNCTIONS, METHODS, call, call_inplace, export, function, into, method, view
from ._types import elementwise, float_dtype
from .complex_views import view_as_real
from .indexing import as_value
from .views import view_operator

CONJ_VIEW = view_operator("conj", lambda t, attrs: lazily(t, CONJ), lambda f, g: (g.conj_physical(),))
NEG_VIEW = view_operator("neg_view", lambda t, attrs: lazily(t, NEG), lambda f, g: (-g,))
CONJ_PHYSICAL = unary(
    "conj_physical",
    lambda b, x: b.map("conj", x) if x.dtype.kind == "c" else x,
    lambda f, g: g.conj_physical(),
    check_out=same_dtype,
    inplace=False,
)

_CONJ_PHYSICAL_IN_PLACE = Operator(
    "conj_physical", CONJ_PHYSICAL.infer, CONJ_PHYSICAL.lower, CONJ_PHYSICAL.vjp, (), "ConjPhysicalBackward1"
)
_conj_physical = FUNCTIONS["conj_physical"]


@method()
def conj_physical_(self: Any) -> Any:
    """In-place ``conj_physical``."""
    return call_inplace(_CONJ_PHYSICAL_IN_PLACE, self)


@export()
def conj_physical(input: Any, *, out: Any = None) -> Any:
    """The complex conjugate, computed; real tensors themselves."""
    if out is None and not tensor_argument("conj_physical", input)._ty.dtype.is_complex:
        return input
    return _conj_physical(input, out=out)


@export()
def conj(input: Any) -> Any:
    """The complex conjugate as a view, which elements are conjugated through when they are read and written
    (https://docs.pytorch.org/docs/stable/generated/torch.conj.html); real tensors themselves."""
    return view(CONJ_VIEW, input) if tensor_argument("conj", input)._ty.dtype.is_complex else input


@export()
def _conj(input: Any) -> Any:
    """``conj`` under the name of PyTorch's own code."""
    return conj(input)


@export()
def _neg_view(input: Any) -> Any:
    """The negative as a view, as ``imag`` of a conjugate is one.

    Raises:
        NotImplementedError: the tensor is one of truth values.
    """
    if tensor_argument("_neg_view", input)._ty.dtype.kind == "b":
        raise NotImplementedError("_neg_view: truth values have no negative; use logical_not")
    return view(NEG_VIEW, input)


@export()
def resolve_conj(input: Any) -> Any:
    """A copy of a view that conjugates; other tensors themselves
    (https://docs.pytorch.org/docs/stable/generated/torch.resolve_conj.html)."""
    return input.clone() if tensor_argument("resolve_conj", input)._ty.lazy & CONJ else input


@export()
def resolve_neg(input: Any) -> Any:
    """A copy of a view that negates; other tensors themselves
    (https://docs.pytorch.org/docs/stable/generated/torch.resolve_neg.html)."""
    return input.clone() if tensor_argument("resolve_neg", input)._ty.lazy & NEG else input


def _computed_part(name: str, unit: Any) -> Operator:
    """A part of half-precision complex numbers, whose memory does not hold pairs of float16."""
    return Operator(
        name,
        lambda tys, attrs: elementwise(tys, tys[0].dtype.to_real()),
        lambda b, attrs, x: b.map(name, x, dt=b.ty.dtype),
        lambda f, g: (g * unit,),
    )


_REAL_PART, _IMAG_PART = _computed_part("real", 1 + 0j), _computed_part("imag", 1j)


@function()
def real(input: Any) -> Any:
    """The real part, sharing memory; a real tensor itself."""
    x = tensor_argument("real", input)
    if x._ty.dtype is complex32:
        return call(_REAL_PART, (x,))
    return _pairs(x).select(-1, 0) if x._ty.dtype.is_complex else x


@function()
def imag(input: Any) -> Any:
    """The imaginary part, sharing memory.

    Raises:
        RuntimeError: the tensor is real.
    """
    x = tensor_argument("imag", input)
    if not x._ty.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    if x._ty.dtype is complex32:
        return call(_IMAG_PART, (x,))
    return (_neg_view(_pairs(x)) if x._ty.lazy & CONJ else _pairs(x)).select(-1, 1)


def _pairs(x: Any) -> Any:
    """The memory of a complex tensor as pairs, which a conjugate shares."""
    return view_as_real(conj(x) if x._ty.lazy & CONJ else x)


def _set_part(part: Any) -> Any:
    def write(x: Any, value: Any) -> None:
        y = part(x)
        y.copy_(as_value(y, value))

    return write


METHODS["real"] = property(real, _set_part(real), doc="The real part, sharing memory.")
METHODS["imag"] = property(imag, _set_part(imag), doc="The imaginary part, sharing memory.")


# ---- angle


def _angle_ty(tys: Sequence[Ty], attrs: Any) -> Ty:
    t = tys[0]
    dt = float_dtype(t.dtype).to_real()
    return ty(t.shape, dt) if t.dtype.is_complex else elementwise(tys, dt)


def _angle_lower(b: Any, attrs: Any, x: Any) -> Any:
    out = b.ty.dtype
    if x.dtype.kind == "c":
        return b.map("angle", x, dt=out)
    dt = wide(out)
    v = b.cast(x, dt)
    turned = b.where(b.map("lt", v, b.const(0, dt)), b.const(3.141592653589793, dt), b.const(0, dt))
    return b.cast(b.where(b.map("isnan", v), v, turned), out)


def _angle_vjp(f: Any, g: Any) -> tuple[Any]:
    from .ternary import where

    x = f.saved(0)
    if not x._ty.dtype.is_complex:
        return (g.new_zeros(g.shape),)
    size = x.abs()
    turned = complex(-x.imag, x.real) / size
    return (where(size == 0, 0, turned * (g / size)),)


ANGLE = Operator("angle", _angle_ty, _angle_lower, _angle_vjp, ((0, (0,)),))


@export()
def angle(input: Any, *, out: Any = None) -> Any:
    """The argument in radians (https://docs.pytorch.org/docs/stable/generated/torch.angle.html)."""
    return into(call(ANGLE, (tensor_argument("angle", input),)), out, "angle")


# ---- complex, polar

_COMPLEX = {float16: complex32, float32: complex64, float64: complex128}


def _pair_ty(tys: Sequence[Ty], attrs: Any) -> Ty:
    x, y = tys
    if x.dtype not in _COMPLEX or y.dtype not in _COMPLEX:
        got = f"{SCALAR_NAMES[x.dtype]} and {SCALAR_NAMES[y.dtype]}"
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {got}")
    if x.dtype is not y.dtype:
        raise RuntimeError(f"Expected object of scalar type {SCALAR_NAMES[x.dtype]} but got scalar type "
                           f"{SCALAR_NAMES[y.dtype]} for second argument")  # fmt: skip
    return elementwise(tys, _COMPLEX[x.dtype])


def _polar_lower(b: Any, attrs: Any, r: Any, t: Any) -> Any:
    x, y = b.map("mul", r, b.map("cos", t)), b.map("mul", r, b.map("sin", t))
    return b.map("complex", x, y, dt=b.ty.dtype)


def _polar_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    y = f.out()
    along = (g.conj_physical() * y.sgn()).real if f.needs(0) else None
    return along, (g.conj_physical() * (y * 1j)).real if f.needs(1) else None


def _complex_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g.real if f.needs(0) else None, g.imag if f.needs(1) else None


COMPLEX = Operator("complex", _pair_ty, lambda b, a, x, y: b.map("complex", x, y, dt=b.ty.dtype), _complex_vjp)


def _polar_ty(tys: Sequence[Ty], attrs: Any) -> Ty:
    t = _pair_ty(tys, attrs)
    Support("polar_cpu", "F").check(tys[0].dtype)
    return t


POLAR = Operator("polar", _polar_ty, _polar_lower, _polar_vjp, ((OUT, (0, 1)),))


@function()
def complex(real: Any, imag: Any, *, out: Any = None) -> Any:
    """``real + imag * 1j`` (https://docs.pytorch.org/docs/stable/generated/torch.complex.html)."""
    tensor_argument("complex", real, "real")
    tensor_argument("complex", imag, "imag", 2)
    return _into_complex(call(COMPLEX, (real, imag)), out, "complex")


@function()
def polar(abs: Any, angle: Any, *, out: Any = None) -> Any:
    """``abs * (cos(angle) + sin(angle) * 1j)`` (https://docs.pytorch.org/docs/stable/generated/torch.polar.html)."""
    tensor_argument("polar", abs, "abs")
    tensor_argument("polar", angle, "angle", 2)
    return _into_complex(call(POLAR, (abs, angle)), out, "polar")


def _into_complex(y: Any, out: Any, name: str) -> Any:
    """``into`` that takes an ``out`` of the very dtype alone."""
    if out is not None and out._ty.dtype is not y._ty.dtype:
        want, have = SCALAR_NAMES[y._ty.dtype], SCALAR_NAMES[out._ty.dtype]
        raise RuntimeError(f"Expected object of scalar type {want} but got scalar type {have} for argument 'out'")
    return into(y, out, name)
