"""What the operators of linear algebra share: checks, layouts, failure codes, and the list of ``torch.linalg``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..compiler.blas_threads import one_thread
from ..dtypes import C_NAMES, SCALAR_NAMES, dtype, int32
from ..graph.epoch import threads
from ..graph.types import Ty, permuted_strides, ty
from ._arguments import _in_torch_words
from ._checks import not_implemented
from ._refused_outs import check_exact_dtype
from ._registry import into, is_tensor
from ._signatures import NUMPY_NAMES
from ._types import broadcast_shape
from .creation import FULL

F = TypeVar("F", bound=Callable[..., Any])

TENSORS = frozenset(
    ["A", "B", "b", "other", "tau", "y", "L", "LU", "LD", "LU_data", "LU_pivots", "pivots", "input2"]
)  # arguments after the first

LINALG: dict[str, Callable[..., Any]] = {}  # torch.linalg.<name>


class LinAlgError(RuntimeError):
    """A matrix for which there is no result, such as the inverse of a singular one."""


LinAlgError.__module__, LinAlgError.__qualname__, LinAlgError.__name__ = "torch._C", "_LinAlgError", "_LinAlgError"


def linalg(f: F) -> F:
    """Lists a function under ``torch.linalg``; its first argument must be a tensor."""
    LINALG[f.__name__] = checked = tensor_argument(f, "linalg_" + f.__name__)
    return checked


def linalg_of_list(f: F) -> F:
    """Lists a function under ``torch.linalg``; its first argument must be a sequence of tensors."""

    @functools.wraps(f)
    def checked(*args: Any, **kw: Any) -> Any:
        name = "linalg_" + f.__name__
        if not args and "tensors" not in kw:
            raise TypeError(_missing(name, ["tensors"]))
        tensors = args[0] if args else kw["tensors"]
        if not isinstance(tensors, (tuple, list)):
            raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
                            f"{type(tensors).__name__}")  # fmt: skip
        return f(*args, **kw)

    LINALG[f.__name__] = checked
    return checked  # type: ignore[return-value]


def _missing(name: str, arguments: list[str]) -> str:
    """PyTorch's complaint, its plural included."""
    quoted = ", ".join(f'"{a}"' for a in arguments)
    noun = "argument" if len(arguments) > 1 else "arguments"
    return f"{name}() missing {len(arguments)} required positional {noun}: {quoted}"


def tensor_argument(f: F, name: str | None = None) -> F:
    """``f`` with PyTorch's complaint, under ``name``, about a first argument that is no tensor."""
    code = f.__code__  # type: ignore[attr-defined]
    names, name = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], name or f.__name__
    first, others = names[0], [(i, n) for i, n in enumerate(names) if i and n in TENSORS]
    defaults = len(f.__defaults__ or ()), f.__kwdefaults__ or {}  # type: ignore[attr-defined]
    required = [
        n for n in (*names[: code.co_argcount - defaults[0]], *names[code.co_argcount :]) if n not in defaults[1]
    ]
    aliases = {k: v for k, v in NUMPY_NAMES.items() if v in names and k not in names}

    @functools.wraps(f)
    def checked(*args: Any, **kw: Any) -> Any:
        if kw:
            kw = {aliases.get(k, k): v for k, v in kw.items()}
        x = args[0] if args else kw.get(first)
        if not is_tensor(x):
            if not args and first not in kw:
                raise TypeError(_missing(name, required))
            raise TypeError(f"{name}(): argument '{first}' (position 1) must be Tensor, not {type(x).__name__}")
        for i, n in others:
            y = args[i] if i < len(args) else kw.get(n, x)
            if not is_tensor(y) and (y is not None or n in required):
                raise TypeError(f"{name}(): argument '{n}' (position {i + 1}) must be Tensor, not {type(y).__name__}")
        try:
            return f(*args, **kw)
        except TypeError as error:
            if not str(error).startswith(f.__name__ + "()"):
                raise
            raise TypeError(str(_in_torch_words(error)).replace(f"{f.__name__}()", f"{name}()")) from None

    return checked  # type: ignore[return-value]


# ---- checks


def need_matrix(name: str, t: Ty, letter: str = "A") -> None:
    """Raises unless there are two dimensions."""
    if t.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {letter} must have at least 2 dimensions.")


def need_square(name: str, t: Ty, letter: str = "A") -> None:
    """Raises unless the matrices are square."""
    need_matrix(name, t, letter)
    if t.shape[-1] != t.shape[-2]:
        raise RuntimeError(f"{name}: {letter} must be batches of square matrices, but they are {t.shape[-2]} by "
                           f"{t.shape[-1]} matrices")  # fmt: skip


def need_floating(name: str, t: Ty, low: bool = True) -> None:
    """Raises unless the dtype is floating or complex, and with ``low=False`` if it has half precision."""
    if t.dtype.kind not in "fc":
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[t.dtype]}")
    if not low and is_half(t.dtype):
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {SCALAR_NAMES[t.dtype]}")


def need_kernel(kernel: str, t: Ty) -> None:
    """Raises unless LAPACK has the dtype."""
    if t.dtype.kind not in "fc" or is_half(t.dtype):
        raise not_implemented(kernel, t.dtype)


def is_half(d: dtype) -> bool:
    """Has it half precision?"""
    return d.kind == "f" and d.itemsize == 2 or d.name == "complex32"


def need_same_dtype(name: str, a: Ty, b: Ty, letters: Any = "AB") -> None:
    """Raises unless both have one dtype."""
    if a.dtype is not b.dtype:
        x, y = letters
        raise RuntimeError(f"{name}: Expected {x} and {y} to have the same dtype, but found {x} of type "
                           f"{SCALAR_NAMES[a.dtype]} and {y} of type {SCALAR_NAMES[b.dtype]} instead")  # fmt: skip


def need_compatible(name: str, a: Ty, b: Ty, left: bool) -> None:
    """Raises unless ``AX = B`` (or ``XA = B``) has shapes that agree."""
    need_square(name, a)
    need_matrix(name, b, "B")
    if (a.shape[-2] != b.shape[-2]) if left else (a.shape[-1] != b.shape[-1]):
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
                           f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})")  # fmt: skip


# ---- types


def columns(shape: tuple[int, ...], dt: dtype) -> Ty:
    """Column-major matrices, as LAPACK leaves them."""
    n = len(shape)
    return ty(shape, dt, permuted_strides(shape, [n - 2, n - 1, *range(n - 3, -1, -1)]))


def info_ty(batch: tuple[int, ...]) -> Ty:
    """One failure code a matrix."""
    return ty(batch, int32)


def batches(*tys: Ty) -> tuple[int, ...]:
    """The broadcast shape of the dimensions before the last two."""
    return broadcast_shape(*[t.shape[:-2] for t in tys])


# ---- operators


def _run(*args: Any) -> Any:
    """Calls ``fn`` on the arrays and gives its results their dtypes; the last three arguments belong to the call."""
    *arrays, fn, dtypes, params = args
    with one_thread():
        found = fn(*arrays, *params)
    if len(dtypes) == 1:
        return np.asarray(found, dtypes[0])
    return tuple([np.asarray(a, d) for a, d in zip(found, dtypes)])


_run.takes_stacks = True  # type: ignore[attr-defined]


def lapack(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A lowering that calls ``fn(*arrays, *attrs)`` of ``compiler.numpy_linalg``."""

    def lower(b: Any, attrs: Any, *xs: Any) -> Any:
        tys = b.ty if isinstance(b.ty, tuple) else (b.ty,)
        outs = [(t.shape, t.dtype) for t in tys]
        return b.extern(fn.__name__, _run, xs, outs, fn, tuple([t.dtype.compute for t in tys]), tuple(attrs))

    return lower


def known_zero(g: Any) -> bool:
    """Is this gradient the zeros that stand for an output nobody used?"""
    h = g._h if g._w == g._s.w else None
    return h is not None and h.op is FULL and h.attrs[0] == 0


def by_composition(f: Callable[..., Any]) -> Callable[..., Any]:
    """A gradient rule by differentiating ``f(attrs, *inputs)``, the operator put together from others.

    The operator must save all its inputs.
    """

    def vjp(c: Any, *grads: Any) -> tuple[Any, ...]:
        from .. import autograd

        xs = [c.saved(i) for i in range(len(c.ins))]
        create = threads.epoch.grad
        wanted = [i for i in range(len(xs)) if c.needs(i)]
        if not create:
            xs = [x.detach().requires_grad_() if i in wanted else x for i, x in enumerate(xs)]
        with autograd.enable_grad():
            ys = f(c.attrs, *xs)
        ys = ys if isinstance(ys, tuple) else (ys,)
        if not any(y.requires_grad for y in ys):
            return (None,) * len(xs)
        found = autograd.grad(ys, [xs[i] for i in wanted], grads[: len(ys)], create_graph=create, allow_unused=True)
        out: list[Any] = [None] * len(xs)
        for i, g in zip(wanted, found):
            out[i] = g
        return tuple(out)

    return vjp


def not_differentiable(name: str) -> Callable[..., Any]:
    """A gradient rule that refuses."""

    def vjp(f: Any, *grads: Any) -> Any:
        if "_" in name:
            raise RuntimeError(f"derivative for aten::{name} is not implemented")
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return vjp


def save_all(*inputs: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """``Operator.saves`` of an operator whose gradients all need all of these."""
    return tuple([(i, tuple([j for j in inputs if j < 1000])) for i in inputs])


def H(x: Any) -> Any:
    """Conjugate transposes."""
    x = x.transpose(-2, -1)
    return x.conj_physical() if x.is_complex() else x


def on_diagonal(d: Any) -> Any:
    """Diagonal matrices."""
    return d.diag_embed(0, -2, -1)


# ---- failures


def failures(info: Any) -> tuple[str, int] | None:
    """The first matrix that failed: how messages name it, and its code."""
    if info._ty.meta:
        return None
    codes = info.detach()._numpy()
    bad = codes.reshape(-1).nonzero()[0]
    if not len(bad):
        return None
    return (f"(Batch element {bad[0]}): " if codes.ndim else ""), int(codes.reshape(-1)[bad[0]])


def postponed(check: Callable[..., None]) -> Callable[..., None]:
    """A check of failure codes, the first argument, that waits for those of all samples where one is recorded."""

    @functools.wraps(check)
    def run(info: Any, *args: Any) -> None:
        sampling = threads.epoch.sampling
        if sampling is None:
            check(info, *args)
        else:
            sampling.postpone(info, lambda every: run(every, *args))

    return run


@postponed
def check(info: Any, name: str, message: str) -> None:
    """Computes what is pending and raises if a matrix failed; ``{}`` in the message is the failure code.

    Raises:
        LinAlgError: a matrix failed.
    """
    found = failures(info)
    if found:
        raise LinAlgError(f"{name}: {found[0]}{message.format(found[1])}")


def into_exactly(result: Any, out: Any, name: str, part: int = 0) -> Any:
    """As ``into``, where ``out`` must have the result's dtype, or one that the operator's results are converted to."""
    if out is None:
        return result
    if isinstance(result, tuple):
        if len(out) != len(result):
            raise TypeError(f"expected tuple of {len(result)} elements but got {len(out)}")
        return type(result)([into_exactly(r, o, name, i) for i, (r, o) in enumerate(zip(result, out))])
    if out._ty.dtype is not result._ty.dtype:
        check_exact_dtype(name, result._ty.dtype, out._ty.dtype, part)
    return into(result, out, name)


def check_one_dtype(tensors: Sequence[Any]) -> None:
    """Raises RuntimeError, as ``multi_dot`` does, if a tensor's dtype is not the first one's."""
    first = tensors[0]._ty
    for i, x in enumerate(tensors):
        if x._ty.dtype is not first.dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {C_NAMES[first.dtype]} and "
                f"tensor {i} {C_NAMES[x._ty.dtype]}"
            )
