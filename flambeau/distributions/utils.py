"""What distributions share: broadcasting of parameters, probabilities and logits, triangular matrices as vectors."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

import flambeau as torch

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """Tensors and numbers as tensors of one shape; numbers take the dtype of the first tensor, else the default dtype.

    Raises:
        ValueError: a value is neither a number nor a tensor.
    """
    if not all(isinstance(v, (torch.Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    dtype = next((v.dtype for v in values if isinstance(v, torch.Tensor)), torch.get_default_dtype())
    tensors = [v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=dtype) for v in values]
    return tuple(torch.broadcast_tensors(*tensors))


def _standard_normal(shape: Any, dtype: Any, device: Any = None) -> Any:
    """Standard normal numbers."""
    return torch.empty(shape, dtype=dtype).normal_()


def _sum_rightmost(value: Any, dim: int) -> Any:
    """The sum over the last ``dim`` dimensions."""
    return value.reshape((*value.shape[: value.dim() - dim], -1)).sum(-1) if dim else value


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """Probabilities of logits: sigmoid of log odds, or softmax over the last dimension."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, -1)


def clamp_probs(probs: Any) -> Any:
    """Probabilities kept away from 0 and 1 by the dtype's machine epsilon."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """Logits of probabilities: log odds, or the logarithm."""
    inside = clamp_probs(probs)
    log = inside.log()
    return log - torch.log1p(-inside) if is_binary else log


class lazy_property:
    """A property that is computed once, when it is first read, and then is an ordinary attribute of the object."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        self.__name__ = wrapped.__name__
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, obj_type: Any = None) -> Any:
        if instance is None:
            return self
        with torch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.__name__, value)
        return value


def tril_matrix_to_vec(mat: Any, diag: int = 0) -> Any:
    """The lower triangles of matrices ``(..., D, D)`` as vectors, row by row.

    Raises:
        ValueError: ``diag`` is not in [-D, D).
    """
    n = mat.shape[-1]
    if not torch.jit.is_tracing() and (diag < -n or diag >= n):
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = torch.tril_indices(n, n, offset=diag)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Any, diag: int = 0) -> Any:
    """The inverse of ``tril_matrix_to_vec``: matrices whose other elements are 0.

    Raises:
        ValueError: the length is not that of a lower triangle.
    """
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    eps = torch.finfo(vec.dtype).eps
    if not torch.jit.is_tracing() and (round(n) - n > eps):
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    size = round(n)
    rows, columns = torch.tril_indices(size, size, offset=diag)
    places = torch.zeros(size, size, dtype=torch.long)
    places[rows, columns] = torch.arange(1, vec.shape[-1] + 1)
    padded = torch.cat([vec.new_zeros((*vec.shape[:-1], 1)), vec], -1)
    return padded[..., places.reshape(-1)].reshape((*vec.shape[:-1], size, size))
