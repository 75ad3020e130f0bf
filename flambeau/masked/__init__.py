"""``torch.masked``: reductions and normalisations that leave elements out (https://docs.pytorch.org/docs/stable/masked.html).

An element takes part where the mask is true; without a mask all do. A mask may be broadcast to the input. Where nothing
takes part a result is that of the operation on nothing: 0 for sums, 1 for products, NaN for means.

``MaskedTensor``, PyTorch's prototype of a tensor that carries its mask, is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, nan
from typing import TYPE_CHECKING, Any, NoReturn

import flambeau as torch

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip

Dims = int | tuple[int, ...] | list[int] | None


# ---- masks, dimensions, dtypes


def _mask_like(x: Tensor, mask: Tensor) -> Tensor:
    """A mask in the shape of what it masks.

    Raises:
        IndexError: it has more dimensions.
        RuntimeError: it cannot be broadcast.
    """
    if mask.shape == x.shape:
        return mask if mask.dtype is torch.bool else mask.to(torch.bool)
    if mask.ndim > x.ndim:
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    return torch.broadcast_to(mask.clone(), x.shape).to(torch.bool)


def _input_mask(input: Tensor, *args: Any, mask: Tensor | None = None, **kwargs: Any) -> Tensor:
    """Which elements of ``input`` take part.

    Raises:
        ValueError: there is no mask.
    """
    if mask is None:
        raise ValueError("_input_mask requires explicit mask")
    return _mask_like(input, mask)


def _output_mask(op: Callable[..., Any], input: Tensor, *args: Any, mask: Any = None, **kwargs: Any) -> Tensor:
    """Which elements of a result have something to do with an element that takes part."""
    whole = _input_mask(input, mask=mask)
    if op.__name__ in ("softmax", "log_softmax", "softmin", "normalize", "cumsum", "cumprod"):
        return whole
    given = args[1:] if op.__name__ == "norm" else args
    dim = kwargs.get("dim", given[0] if given else None)
    return torch.any(whole, _canonical_dim(dim, input.ndim), kwargs.get("keepdim", False))


def _canonical_dim(dim: Dims, ndim: int) -> tuple[int, ...]:
    """The dimensions that are meant, in order, from 0 on; all for None and (), none for [].

    Raises:
        RuntimeError: one occurs twice.
        IndexError: there is no such dimension.
    """
    if dim is None or dim == ():
        return tuple(range(ndim))
    found: list[int] = []
    for d in dim if isinstance(dim, (tuple, list)) else (dim,):
        most = max(ndim, 1)
        if not -most <= d < most:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-most}, {most - 1}], but got {d})")
        if d % most in found:
            raise RuntimeError(f"dim={d % most} appears multiple times in the list of dims")
        found.append(d % most)
    return tuple(sorted(found))


def _first_dim(dim: Dims, input: Tensor) -> int:
    """The first dimension that is meant: some functions know one only."""
    return _canonical_dim(dim, input.ndim)[0]


def _filled(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    """``input`` with another value where it does not take part."""
    return input if mask is None else torch.where(_mask_like(input, mask), input, input.new_full((), value))


def _lowest(name: str, dtype: Any) -> Any:
    """What no element of a dtype is below.

    Raises:
        NotImplementedError: there is no such number.
    """
    return -inf if dtype.is_floating_point else _integers(name, dtype).min


def _highest(name: str, dtype: Any) -> Any:
    """What no element of a dtype is above."""
    return inf if dtype.is_floating_point else _integers(name, dtype).max


def _integers(name: str, dtype: Any) -> Any:
    if dtype is torch.bool or dtype.is_complex:
        raise NotImplementedError(f"identity of {name} on {dtype} input")
    return torch.iinfo(dtype)


def _raised(input: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """``input`` with the least of all numbers where it does not take part."""
    return input if mask is None else _filled(input, mask, _lowest(name, input.dtype))


def _lowered(input: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """``input`` with the greatest of all numbers where it does not take part."""
    return input if mask is None else _filled(input, mask, _highest(name, input.dtype))


def _wide(input: Tensor, dtype: Any) -> Any:
    """The dtype of a sum: of integers it is int64."""
    if dtype is not None or input.dtype.is_floating_point or input.dtype.is_complex:
        return dtype or input.dtype
    return torch.int64


# ---- reductions


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The sum over dimensions; 0 where nothing takes part.

    Args:
        input: the tensor.
        dim: one dimension or several; all if left out.
        keepdim: do they stay, with size 1?
        dtype: of the result.
        mask: which elements take part.
    """
    x = _filled(input, mask, 0)
    return torch.sum(x, _canonical_dim(dim, input.ndim), bool(keepdim), dtype=_wide(input, dtype))


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The product over dimensions; 1 where nothing takes part. Arguments are those of ``sum``."""
    result, dtype = _filled(input, mask, 1), _wide(input, dtype)
    for d in reversed(_canonical_dim(dim, input.ndim)):
        result = result.prod(d, bool(keepdim), dtype=dtype)
    return result.to(dtype)


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The greatest element over dimensions; the least number there is where nothing takes part."""
    x = _raised(input, mask, "amax")
    return torch.amax(x, _canonical_dim(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The least element over dimensions; the greatest number there is where nothing takes part."""
    x = _lowered(input, mask, "amin")
    return torch.amin(x, _canonical_dim(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool | None = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where the greatest element along a dimension is, in the input's dtype; of all elements if it is left out."""
    return torch.argmax(_raised(input, mask, "argmax"), dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool | None = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where the least element along a dimension is, in the input's dtype; of all elements if it is left out."""
    return torch.argmin(_lowered(input, mask, "argmin"), dim, bool(keepdim)).to(dtype or input.dtype)


def _count(input: Tensor, dims: Sequence[int], keepdim: bool, mask: Tensor | None, dtype: Any = None) -> Tensor:
    """How many elements take part."""
    return sum(torch.ones_like(input, dtype=dtype or torch.int64), tuple(dims), keepdim=keepdim, mask=mask)


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean over dimensions; NaN where nothing takes part.

    Raises:
        ValueError: the input is of integers, and no dtype is given.
    """
    kind, dtype, dims = "Input" if dtype is None else "Optional", dtype or input.dtype, _canonical_dim(dim, input.ndim)
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {kind} dtype must be either a floating point or complex dtype. "
            f"Got: {dtype}"
        )
    if mask is None:
        return torch.mean(input, dims, bool(keepdim), dtype=dtype)
    total = sum(input, dims, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, dims, bool(keepdim), mask)


def median(
    input: Tensor, dim: Dims = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The median along a dimension, the lower one of two; NaN where nothing takes part.

    Raises:
        ValueError: nothing takes part in a median of integers.
    """
    dim = _first_dim(dim, input)
    if input.dtype.is_floating_point:
        return torch.nanmedian(_filled(input, mask, nan), dim, keepdim).values
    found = torch.nanmedian(_filled(input.to(torch.float32), mask, nan), dim, keepdim).values
    if torch.isnan(found).any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return found.to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of exponentials over dimensions; -inf where nothing takes part."""
    x = _filled(input, mask, -inf) if input.dtype.is_complex else _raised(input, mask, "logsumexp")
    return torch.logsumexp(x, _canonical_dim(dim, input.ndim), keepdim).to(dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``log(exp(input) + exp(other))``; an element that takes no part counts as exp(-inf)."""
    x, y = _raised(input, input_mask, "logaddexp"), _raised(other, other_mask, "logaddexp")
    return torch.logaddexp(x, y).to(dtype or input.dtype)


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool | None = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of an order over dimensions; 0 where nothing takes part (infinity for order -inf)."""
    if mask is not None and ord == -inf and not input.dtype.is_floating_point:
        raise AssertionError(f"input must be floating point, got {input.dtype}")
    x = _filled(input, mask, inf if ord == -inf else 0)
    order: Any = 2.0 if ord is None else ord
    return torch.linalg.vector_norm(
        x, order, _canonical_dim(dim, input.ndim), bool(keepdim), dtype=dtype or input.dtype
    )


def _moment(
    input: Tensor, dim: Dims, unbiased: bool | None, correction: float | None, keepdim: bool, dtype: Any, mask: Any
) -> tuple[Tensor, Any]:
    """The variance over dimensions in a dtype of floats, and the dtype of the result."""
    if unbiased is not None and correction is not None:
        raise ValueError("Only one of unbiased and correction may be given")
    less = correction if correction is not None else 1 if unbiased is None or unbiased else 0
    given, dims = dtype or input.dtype, _canonical_dim(dim, input.ndim)
    floats = given if given.is_floating_point or given.is_complex else torch.float32
    total = sum(input, dims, keepdim=True, dtype=given, mask=mask)
    x = input - total / _count(input, dims, True, mask)
    squares = _filled(x, mask, 0) * x.conj()
    squares = squares.sum(dims, keepdim, dtype=floats)
    count = _count(input, dims, keepdim, mask, floats) - less
    count = count if count.dtype.is_complex else count.clamp(min=0)
    return squares / count, dtype or floats


def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance over dimensions.

    Args:
        input: the tensor.
        dim: one dimension or several; all if left out.
        unbiased: is 1 taken from the count?
        correction: what is taken from the count, in its place; 1 by default.
        keepdim: do the dimensions stay, with size 1?
        dtype: of the result.
        mask: which elements take part.
    """
    found, dtype = _moment(input, dim, unbiased, correction, bool(keepdim), dtype, mask)
    return found.to(dtype)


def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation over dimensions. Arguments are those of ``var``."""
    found, dtype = _moment(input, dim, unbiased, correction, bool(keepdim), dtype, mask)
    return torch.sqrt(found.to(dtype))


# ---- what keeps the shape


def softmax(input: Tensor, dim: Dims, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Exponentials divided by their sum along a dimension; NaN where nothing takes part."""
    return torch.softmax(_raised(input, mask, "amax"), _first_dim(dim, input), dtype=dtype or input.dtype)


def log_softmax(input: Tensor, dim: Dims, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of ``softmax``."""
    return torch.log_softmax(_raised(input, mask, "amax"), _first_dim(dim, input), dtype=dtype or input.dtype)


def softmin(input: Tensor, dim: Dims, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """``softmax`` of the negative."""
    return torch.nn.functional.softmin(
        _lowered(input, mask, "amin"), _first_dim(dim, input), dtype=dtype or input.dtype
    )


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """``input`` divided by its norm of an order along a dimension, or by ``eps`` if that is greater; 0 elsewhere."""
    dtype = dtype or input.dtype
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0) / torch.maximum(length, length.new_full((), eps))


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The sums of all elements along a dimension up to each."""
    return torch.cumsum(_filled(input, mask, 0), _first_dim(dim, input), dtype=dtype or input.dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The products of all elements along a dimension up to each."""
    return torch.cumprod(_filled(input, mask, 1), _first_dim(dim, input), dtype=dtype or input.dtype)


# ---- tensors that carry their mask


def masked_tensor(data: Any, mask: Any, requires_grad: bool = False) -> NoReturn:
    """Raises NotImplementedError: keep tensor and mask apart."""
    raise NotImplementedError(
        "torch.masked.MaskedTensor is not supported: keep the mask beside the tensor and give it to the functions of "
        "torch.masked (torch.masked.mean(x, 1, mask=mask))"
    )


as_masked_tensor = masked_tensor


class MaskedTensor:
    """A tensor that carries its mask; for annotations and ``isinstance``."""

    def __init__(self, data: Any, mask: Any, requires_grad: bool = False) -> None:
        masked_tensor(data, mask, requires_grad)


def is_masked_tensor(obj: Any, /) -> bool:
    """Is this a ``MaskedTensor``? Nothing is one."""
    return isinstance(obj, MaskedTensor)
