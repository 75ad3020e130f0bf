"""What operators of one form take, so that a call with wrong arguments fails in PyTorch's words.

A call that works never comes here: the texts are read when one has failed, and only if an argument is missing or
of the wrong kind is the error replaced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..device import device, memory_format
from ..dtypes import dtype
from ..graph.tensor_base import NotDense, TensorBase, tensor_class
from ._overriding import answer, answering, itself

# name(kind argument, kind argument=, *, kind argument=): what has a "=" may be left out.
_FUNCTIONS = """
mul(Tensor input, any other) neg(Tensor input) abs(Tensor input) sqrt(Tensor input) rsqrt(Tensor input)
square(Tensor input) exp(Tensor input) log(Tensor input) sin(Tensor input) cos(Tensor input) tanh(Tensor input)
reciprocal(Tensor input) isnan(Tensor input) isinf(Tensor input) isfinite(Tensor input)
equal(Tensor input, Tensor other) logical_and(Tensor input, Tensor other) logical_or(Tensor input, Tensor other)
logical_xor(Tensor input, Tensor other) logical_not(Tensor input) conj(Tensor input) real(Tensor input)
imag(Tensor input) complex(Tensor real, Tensor imag) nonzero(Tensor input, *, bool as_tuple=)
cumsum(Tensor input, int dim) cumprod(Tensor input, int dim) softmax(Tensor input, int dim)
log_softmax(Tensor input, int dim) trace(Tensor input) t(Tensor input) zeros_like(Tensor input)
ones_like(Tensor input) empty_like(Tensor input) full_like(Tensor input, Number fill_value)
full(tuple size, Number fill_value) rand_like(Tensor input) randn_like(Tensor input) bernoulli(Tensor input)
tril_indices(int row, int col, int offset=) triu_indices(int row, int col, int offset=) squeeze(Tensor input)
reshape(Tensor input, tuple shape) permute(Tensor input, tuple dims) transpose(Tensor input, int dim0, int dim1)
unsqueeze(Tensor input, int dim) flatten(Tensor input, int start_dim=, int end_dim=) tile(Tensor input, tuple dims)
chunk(Tensor input, int chunks, int dim=) unbind(Tensor input, int dim=) select(Tensor input, int dim, int index)
tril(Tensor input, int diagonal=) triu(Tensor input, int diagonal=) broadcast_to(Tensor input, tuple size)
clone(Tensor input, *, memory_format memory_format=) view_as_real(Tensor input) view_as_complex(Tensor input)
scatter_reduce(Tensor input, int dim, Tensor index, Tensor src, str reduce) take(Tensor input, Tensor index)
matmul(Tensor input, Tensor other) mm(Tensor input, Tensor mat2) bmm(Tensor input, Tensor mat2)
mv(Tensor input, Tensor vec) dot(Tensor input, Tensor tensor) outer(Tensor input, Tensor vec2)
kron(Tensor input, Tensor other) diag_embed(Tensor input, int offset=) flip(Tensor input, tuple dims)
cross(Tensor input, Tensor other) msort(Tensor input) narrow(Tensor input, any dim, any start, any length)
masked_select(Tensor input, Tensor mask) dist(Tensor input, Tensor other) ger(Tensor input, Tensor vec2)
fmax(Tensor input, Tensor other) fmin(Tensor input, Tensor other) maximum(Tensor input, Tensor other)
minimum(Tensor input, Tensor other) atan2(Tensor input, Tensor other) hypot(Tensor input, Tensor other)
logaddexp(Tensor input, Tensor other) logaddexp2(Tensor input, Tensor other)
index_select(Tensor input, int dim, Tensor index) gather(Tensor input, int dim, Tensor index)
take_along_dim(Tensor input, Tensor indices, int dim=) cdist(Tensor x1, Tensor x2)
multinomial(Tensor input, int num_samples) diagonal(Tensor input, int offset=, int dim1=, int dim2=)
tensordot(Tensor input, Tensor other) tensor_split(Tensor input) repeat_interleave(Tensor input)
cosine_similarity(Tensor x1, Tensor x2, int dim=) trapezoid(Tensor y, Tensor x=) trapz(Tensor y, Tensor x=)
cumulative_trapezoid(Tensor y, Tensor x=) gradient(Tensor input) unsafe_chunk(Tensor input, int chunks, int dim=)
index_fill(Tensor input, int dim, Tensor index, any value) scatter(Tensor input, int dim, Tensor index)
scatter_add(Tensor input, int dim, Tensor index, Tensor src) slice_scatter(Tensor input, Tensor src, int dim=)
unflatten(Tensor input, any dim, any sizes) unsafe_split(Tensor input, any split_size, int dim=)
narrow_copy(Tensor input, int dim, any start, int length)
"""
_METHODS = """
contiguous(*, memory_format memory_format=) float(*, memory_format memory_format=)
clone(*, memory_format memory_format=) double(*, memory_format memory_format=) half(*, memory_format memory_format=)
bfloat16(*, memory_format memory_format=) long(*, memory_format memory_format=) int(*, memory_format memory_format=)
bool(*, memory_format memory_format=) expand(tuple size) expand_as(Tensor other) view_as(Tensor other)
reshape_as(Tensor other) unsqueeze(int dim) new_full(tuple size, Number fill_value) uniform_(float from=, float to=)
exponential_(float lambd=) chunk(int chunks, int dim=) softmax(int dim) log_softmax(int dim) squeeze(any dim=)
unbind(int dim=) repeat_interleave(any repeats) tensor_split(any indices_or_sections)
take_along_dim(Tensor indices, int dim=) squeeze_(any dim=) unsqueeze_(int dim) cumsum_(int dim) cumprod_(int dim)
gather(int dim, Tensor index) index_select(int dim, Tensor index) narrow(any dim, any start, any length)
narrow_copy(int dim, any start, int length) select(int dim, int index) renorm_(Number p, int dim, Number maxnorm)
index_fill(int dim, Tensor index, any value) index_fill_(int dim, Tensor index, any value)
scatter(int dim, Tensor index) scatter_(int dim, Tensor index) scatter_add(int dim, Tensor index, Tensor src)
scatter_add_(int dim, Tensor index, Tensor src) scatter_reduce(int dim, Tensor index, Tensor src, str reduce)
scatter_reduce_(int dim, Tensor index, Tensor src, str reduce) slice_scatter(Tensor src, int dim=)
unsafe_chunk(int chunks, int dim=) unsafe_split(any split_size, int dim=) diagonal(int offset=, int dim1=, int dim2=)
"""

Parameter = tuple[str, str, bool, bool]  # kind, name, may be left out, by keyword only

# what NumPy calls arguments, as keywords
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


_KINDS: dict[str, tuple[str, Any]] = {
    "Tensor": ("Tensor", TensorBase),
    "int": ("int", None),
    "float": ("float", (int, float, TensorBase)),
    "Number": ("Number", (int, float, complex, TensorBase)),
    "bool": ("bool", bool),
    "str": ("str", str),
    "tuple": ("tuple of ints", (tuple, list, int, TensorBase)),
    "memory_format": ("torch.memory_format", (memory_format, type(None))),
    "dtype": ("torch.dtype", (dtype, type(None))),
    "any": ("", object),
}


def _by_name(text: str) -> dict[str, str]:
    """The parameters of each name."""
    lines = text.replace(") ", ")\n").strip().splitlines()
    return {line[: line.index("(")]: line[line.index("(") + 1 : -1] for line in lines}


FUNCTIONS = _by_name(_FUNCTIONS)
METHODS = _by_name(_METHODS)


def explained_function(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``torch.<name>``, whose failing calls are explained if the texts have it."""
    return _explained(f, name, FUNCTIONS[name], 0) if name in FUNCTIONS else f


def explained_method(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``Tensor.<name>``, whose failing calls are explained if the texts have it."""
    return _explained(f, name, METHODS[name], 1) if name in METHODS else f


def _explained(f: Callable[..., Any], name: str, parameters: str, bound: int) -> Callable[..., Any]:
    @functools.wraps(f)
    def checked(*args: Any, **kw: Any) -> Any:
        try:
            return f(*args, **kw)
        except NotDense:
            own = _own_method(name, args)
            if own is None:
                raise
            return own(*args, **kw)
        except Exception:
            found = _foreign(args, kw)
            if found:
                return answer(checked, found, args, kw)
            known = _read(parameters)
            if not NUMPY_NAMES.keys().isdisjoint(kw.keys() - {p[1] for p in known}):
                return checked(*args, **renamed(kw, {p[1] for p in known}))
            wrong = complaint(name, known, args[bound:], kw)
            if wrong is None:
                raise
        raise TypeError(wrong)

    return checked


def renamed(kw: dict[str, Any], own: Collection[str] = ()) -> dict[str, Any]:
    """Keywords with NumPy's names replaced, but for those that the function has itself."""
    return {k if k in own or NUMPY_NAMES.get(k) in kw else NUMPY_NAMES.get(k, k): v for k, v in kw.items()}


def _own_method(name: str, args: tuple[Any, ...]) -> Any:
    """What the class of the first argument, a sparse tensor, has under a function's name."""
    cls = type(args[0]) if args else None
    own = getattr(cls, name, None)
    return None if own is getattr(tensor_class[0], name, None) else own


def _foreign(args: tuple[Any, ...], kw: dict[str, Any]) -> list[Any]:
    """Arguments that are no tensors and answer calls by ``__torch_function__``.

    They are looked for only when a call has failed, so that others cost nothing.
    """
    return [x for x in answering(args, kw) if not isinstance(x, TensorBase)]


def of_tensors(f: Callable[..., Any], module: str) -> Callable[..., Any]:
    """``f`` as a function of ``module``, which refuses an argument that should be a tensor in PyTorch's words."""

    @functools.wraps(f)
    def checked(*args: Any, **kw: Any) -> Any:
        try:
            return f(*args, **kw)
        except (AttributeError, TypeError) as error:
            found = _foreign(args, kw)
            if found:
                return answer(checked, found, args, kw)
            wrong = no_tensor(f, error, args, kw) if isinstance(error, AttributeError) else None
            if wrong is None:
                raise
        raise TypeError(wrong)

    checked.__module__ = module  # where pickle finds it
    return checked


def no_tensor(f: Any, error: AttributeError, args: tuple[Any, ...], kw: dict[str, Any]) -> str | None:
    """What PyTorch says where ``error`` comes of an argument that is no tensor; None if it does not.

    PyTorch's functions that are Python look for a public attribute of it, and say so.
    """
    if isinstance(error.obj, TensorBase) or not (error.name or "").startswith("_"):
        return None
    names = itself(f).__code__.co_varnames
    for k, x in enumerate(args):
        if x is error.obj:
            return f"{f.__name__}(): argument '{names[k]}' (position {k + 1}) must be Tensor, not {type_name(x)}"
    name = next((name for name, x in kw.items() if x is error.obj), None)
    return name and f"{f.__name__}(): argument '{name}' must be Tensor, not {type_name(kw[name])}"


HEAP_TYPE, IMMUTABLE_TYPE = 1 << 9, 1 << 8  # of a type's flags: classes of Python code have the first alone


def type_name(x: Any) -> str:
    """A type's name as Python's own messages have it: with its module where C code made it."""
    kind = type(x)
    if kind in (dtype, device):
        return f"torch.{kind.__name__}"
    made_by_python = kind.__flags__ & (HEAP_TYPE | IMMUTABLE_TYPE) == HEAP_TYPE
    return kind.__name__ if made_by_python or kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _read(text: str) -> list[Parameter]:
    found: list[Parameter] = []
    only = False
    for part in text.split(", "):
        if part == "*":
            only = True
        else:
            kind, _, name = part.partition(" ")
            found.append((kind, name.rstrip("="), name.endswith("="), only))
    return found


def complaint(name: str, parameters: list[Parameter], args: tuple[Any, ...], kw: dict[str, Any]) -> str | None:
    """What PyTorch says about the arguments, or None if it would take them."""
    if parameters and parameters[0][3] and args:
        return f"{name}() takes 0 positional arguments but {len(args)} {'was' if len(args) == 1 else 'were'} given"
    for position, (kind, parameter, _, _) in enumerate(parameters):
        given = args[position] if position < len(args) else kw.get(parameter)
        if (position < len(args) or parameter in kw) and not _fits(kind, given):
            where = f" (position {position + 1})" if position < len(args) else ""
            return f"{name}(): argument '{parameter}'{where} must be {_KINDS[kind][0]}, not {type_name(given)}"
    missing = [
        p for at, (_, p, optional, _) in enumerate(parameters) if at >= len(args) and not optional and p not in kw
    ]
    if missing:
        names = ", ".join(f'"{p}"' for p in missing)
        return f"{name}() missing {len(missing)} required positional arguments: {names}"
    return None


def _fits(kind: str, x: Any) -> bool:
    if kind == "int":
        return hasattr(type(x), "__index__") and not (isinstance(x, TensorBase) and x._ty.dtype.kind in "fc")
    return isinstance(x, _KINDS[kind][1])


def invalid_arguments(name: str, args: Sequence[Any], kw: dict[str, Any], *signatures: str) -> TypeError:
    """PyTorch's error for arguments that fit none of the ``signatures``."""
    got = ", ".join([type_name(a) for a in args] + [f"{k}={type_name(v)}" for k, v in kw.items()])
    expected = "".join(f"\n * {signature}" for signature in signatures)
    return TypeError(
        f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:{expected}\n"
    )
