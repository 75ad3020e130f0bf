"""What functions of torch do with nested tensors: most act on the rows, others dimension by dimension."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.nn import functional as F
from flambeau.overrides import resolve_name

from ._tensor import NestedTensor, made

# Elementwise: the same function of the rows.
_ELEMENTWISE = frozenset(
    "add sub mul div true_divide add_ sub_ mul_ div_ neg abs exp log log1p expm1 sin cos tan tanh sigmoid relu relu_ "
    "gelu silu elu leaky_relu softplus mish hardtanh relu6 erf sqrt rsqrt reciprocal square pow clamp clamp_min "
    "clamp_max floor ceil round sign eq ne lt le gt ge isnan isinf isfinite logical_and logical_or logical_not where "
    "masked_fill dropout alpha_dropout maximum minimum lerp rsub remainder nan_to_num to float double half "
    "bfloat16 int long bool clone zeros_like ones_like rand_like randn_like full_like empty_like bitwise_not threshold "
    "logsigmoid softsign hardswish hardsigmoid __and__ __or__ __invert__ __rsub__ __rdiv__ __rtruediv__ __rpow__ "
    "__pow__".split()
)
# Queries that the rows answer.
_OF_ROWS = frozenset(
    "dtype device is_floating_point is_complex is_cuda is_sparse is_meta is_cpu element_size get_device retain_grad "
    "register_hook is_signed retains_grad is_quantized is_mkldnn".split()
)


def answer(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a function of torch of which an argument is nested.

    Raises:
        NotImplementedError: the function does not take nested tensors.
    """
    name = _name(func)
    if name in _OF_ROWS:
        return func(args[0]._rows, *args[1:], **kwargs)
    if name in _ELEMENTWISE:
        return _elementwise(name, func, args, kwargs)
    own = globals().get(f"_do_{name}")
    if own is None:
        raise NotImplementedError(
            f"torch.{name}() does not take nested tensors: use to_padded_tensor(), values() or unbind()"
        )
    return own(*args, **kwargs)


def _name(func: Any) -> str:
    parts = (resolve_name(func) or getattr(func, "__name__", "")).split(".")
    return parts[-2] if parts[-1] in ("__get__", "__set__") and len(parts) > 1 else parts[-1]


def _elementwise(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = [x for x in (*args, *kwargs.values()) if isinstance(x, NestedTensor)]
    like = next((x for x in given if not all(n == 1 for n in x._rows.shape[1:])), given[0])
    rows = func(*[_rows_for(x, like, name) for x in args], **{k: _rows_for(x, like, name) for k, x in kwargs.items()})
    if name.endswith("_") and not name.startswith("__"):
        return args[0]
    return like._with(rows)


def _rows_for(x: Any, like: NestedTensor, name: str) -> Any:
    """An operand as it lies beside the rows of ``like``."""
    if isinstance(x, NestedTensor):
        if not _alike(x, like):
            raise RuntimeError(f"cannot call binary pointwise function {name}.Tensor with inputs of shapes "
                               f"{tuple(like.shape)} and {tuple(x.shape)}")  # fmt: skip
        return x._rows
    if not isinstance(x, torch.Tensor) or not x.ndim:
        return x
    if like._plain() and (x.ndim <= like.ndim - 2 or (x.ndim == like.ndim - 1 and x.shape[0] == 1)):
        return x
    if like._plain() and x.ndim == like.ndim and x.shape[1] == 1:
        one = x.squeeze(1)
        return one if x.shape[0] == 1 else one.index_select(0, like._lengths.of_rows())
    raise NotImplementedError(f"{name}() of a nested tensor and a dense one of shape {list(x.shape)} is not supported")


def _alike(x: NestedTensor, y: NestedTensor) -> bool:
    """Have two tensors the same lengths and as many dimensions, in the same order?"""
    return x._lengths is y._lengths and x._order == y._order


def _dim(x: NestedTensor, dim: int) -> int:
    """The dimension of the rows that is ``dim`` of the tensor.

    Raises:
        RuntimeError: that is the batch.
    """
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-x.ndim}, {x.ndim - 1}], but got {dim})"
        )
    if dim % x.ndim == 0:
        raise RuntimeError("nested tensors: the batch dimension is not supported here")
    return x._order[dim % x.ndim - 1]


def _dense_dim(x: NestedTensor, dim: int, name: str) -> int:
    k = _dim(x, dim)
    if k == 0:
        raise NotImplementedError(f"{name}() along the ragged dimension is not supported")
    return k


def _last(x: NestedTensor, count: int, name: str) -> None:
    """Raises unless the last ``count`` dimensions are those of the rows."""
    n = x._rows.ndim
    if x._order[-count:] != tuple(range(n - count, n)) or count >= n:
        raise NotImplementedError(
            f"{name}() of a nested tensor: the last {count} dimensions must not be ragged or moved"
        )


# ---- layers


def _do_linear(input: Any, weight: Any, bias: Any = None) -> Any:
    _last(input, 1, "linear")
    return input._with(F.linear(input._rows, weight, bias))


def _do_layer_norm(input: Any, normalized_shape: Any, *args: Any, **kwargs: Any) -> Any:
    _last(input, len(normalized_shape), "layer_norm")
    return input._with(F.layer_norm(input._rows, normalized_shape, *args, **kwargs))


def _do_rms_norm(input: Any, normalized_shape: Any, *args: Any, **kwargs: Any) -> Any:
    _last(input, len(normalized_shape), "rms_norm")
    return input._with(F.rms_norm(input._rows, normalized_shape, *args, **kwargs))


def _do_embedding(input: Any, weight: Any, *args: Any, **kwargs: Any) -> Any:
    rows = F.embedding(input._rows, weight, *args, **kwargs)
    return made(rows, input._lengths, input.layout, (*input._order, rows.ndim - 1))


def _do_matmul(input: Any, other: Any) -> Any:
    if isinstance(input, NestedTensor) and isinstance(other, NestedTensor):
        raise NotImplementedError("matmul() of two nested tensors is not supported: use scaled_dot_product_attention()")
    if not isinstance(input, NestedTensor) or other.ndim != 2:
        raise NotImplementedError("matmul() is supported of a nested tensor with a dense matrix")
    _last(input, 1, "matmul")
    return input._with(input._rows @ other)


def _do_scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if attn_mask is not None or not all(isinstance(x, NestedTensor) for x in (query, key, value)):
        raise NotImplementedError("attention of nested tensors takes no mask, and all of query, key and value nested")
    if any(x._ragged_idx != x.ndim - 2 for x in (query, key, value)) or key._lengths.each != value._lengths.each:
        raise NotImplementedError("attention of nested tensors: the ragged dimension must be the last but one")
    found = [
        F.scaled_dot_product_attention(q[None], k[None], v[None], None, dropout_p, is_causal, scale, enable_gqa)[0]
        for q, k, v in zip(query.unbind(), key.unbind(), value.unbind())
    ]
    at = query._order.index(0)
    order = [at, *[k for k in range(len(query._order)) if k != at]]
    rows = torch.cat([x.permute(order) for x in found])
    return made(rows, query._lengths, query.layout, tuple([order.index(k) for k in range(len(order))]))


# ---- along a dimension


def _do_softmax(input: Any, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Any:
    k = _dim(input, dim)
    if k:
        return input._with(F.softmax(input._rows, k, dtype=dtype))
    x = input._rows if dtype is None else input._rows.to(dtype)
    which = input._lengths.of_rows()
    at = which.view(-1, *[1] * (x.ndim - 1)).expand_as(x)
    most = torch.full((len(input), *x.shape[1:]), -float("inf"), dtype=x.dtype)
    shifted = (x - most.scatter_reduce(0, at, x.detach(), "amax")[which]).exp()
    return input._with(shifted / torch.zeros_like(most).index_add(0, which, shifted)[which])


def _do_log_softmax(input: Any, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return input._with(F.log_softmax(input._rows, _dense_dim(input, dim, "log_softmax"), dtype=dtype))


def _do_normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    return input._with(F.normalize(input._rows, p, _dense_dim(input, dim, "normalize"), eps))


def _do_sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    return _reduced(input, dim, keepdim, dtype, "sum")


def _do_mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    return _reduced(input, dim, keepdim, dtype, "mean")


def _do_amax(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    return _reduced(input, dim, keepdim, None, "amax")


def _do_amin(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    return _reduced(input, dim, keepdim, None, "amin")


def _reduced(x: NestedTensor, dim: Any, keepdim: bool, dtype: Any, name: str) -> Any:
    options = {} if dtype is None else {"dtype": dtype}
    if dim is None or dim == ():
        return getattr(x._rows, name)(**options)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) != 1:
        raise NotImplementedError(f"{name}() of a nested tensor over several dimensions is not supported")
    k = _dim(x, dims[0])
    if k == 0:
        return _over_rows(x, keepdim, dtype, name)
    rows = getattr(x._rows, name)(k, keepdim=keepdim, **options)
    order = x._order if keepdim else _order_without(x, k)
    return made(rows, x._lengths, x.layout, order)


def _over_rows(x: NestedTensor, keepdim: bool, dtype: Any, name: str) -> Any:
    """The sums or means of the components over the ragged dimension; dense."""
    if name not in ("sum", "mean"):
        raise NotImplementedError(f"{name}() over the ragged dimension is not supported")
    rows = x._rows if dtype is None else x._rows.to(dtype)
    n = len(x)
    total = torch.zeros(n, *rows.shape[1:], dtype=rows.dtype).index_add(0, x._lengths.of_rows(), rows)
    if name == "mean":
        total = total / torch.tensor(x._lengths.each, dtype=rows.dtype).view(n, *[1] * (rows.ndim - 1))
    rest = [k for k in x._order if k]
    found = total.permute(0, *rest)
    return found.unsqueeze(x._ragged_idx) if keepdim else found


def _order_without(x: NestedTensor, k: int) -> tuple[int, ...]:
    """The order of dimensions once dimension ``k`` of the rows is gone."""
    return tuple([i - (i > k) for i in x._order if i != k])


# ---- shapes


def _do_unflatten(input: Any, dim: int, sizes: Any) -> Any:
    _require_plain(input, "unflatten")
    k = _dense_dim(input, dim, "unflatten")
    return made(input._rows.unflatten(k, sizes), input._lengths, input.layout)


def _do_flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    _require_plain(input, "flatten")
    first, last = (_dense_dim(input, d, "flatten") for d in (start_dim, end_dim))
    return made(input._rows.flatten(first, last), input._lengths, input.layout)


def _do_view(input: Any, *shape: Any) -> Any:
    _require_plain(input, "view")
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if len(sizes) < 2 or sizes[0] not in (-1, len(input)) or not (sizes[1] == -1 or sizes[1] is input._lengths.size):
        raise RuntimeError(f"view(): cannot view shape {tuple(input.shape)} as {tuple(sizes)}")
    return made(input._rows.reshape(input._rows.shape[0], *sizes[2:]), input._lengths, input.layout)


def _do_reshape(input: Any, *shape: Any) -> Any:
    return _do_view(input, *shape)


def _do_unsqueeze(input: Any, dim: int) -> Any:
    _require_plain(input, "unsqueeze")
    at = dim % (input.ndim + 1)
    if at < 2:
        raise NotImplementedError("unsqueeze() of a nested tensor before its ragged dimension is not supported")
    return made(input._rows.unsqueeze(at - 1), input._lengths, input.layout)


def _do_squeeze(input: Any, dim: int) -> Any:
    _require_plain(input, "squeeze")
    return made(input._rows.squeeze(_dense_dim(input, dim, "squeeze")), input._lengths, input.layout)


def _do_chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    return tuple([input._with(x) for x in input._rows.chunk(chunks, _dense_dim(input, dim, "chunk"))])


def _do_split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    parts = tensor._rows.split(split_size_or_sections, _dense_dim(tensor, dim, "split"))
    return tuple([tensor._with(x) for x in parts])


def _do_cat(tensors: Any, dim: int = 0) -> Any:
    like = next(x for x in tensors if isinstance(x, NestedTensor))
    if not all(isinstance(x, NestedTensor) and _alike(x, like) for x in tensors):
        raise RuntimeError("cat(): expected nested tensors with the same offsets")
    return like._with(torch.cat([x._rows for x in tensors], _dense_dim(like, dim, "cat")))


def _do_permute(input: Any, *dims: Any) -> Any:
    wanted = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    if wanted[0] % input.ndim or sorted(d % input.ndim for d in wanted) != list(range(input.ndim)):
        raise RuntimeError("permute() of a nested tensor: the batch dimension stays first")
    return made(
        input._rows, input._lengths, input.layout, tuple([input._order[d % input.ndim - 1] for d in wanted[1:]])
    )


def _do_transpose(input: Any, dim0: int, dim1: int) -> Any:
    return NestedTensor.transpose(input, dim0, dim1)


def _do_unbind(input: Any, dim: int = 0) -> Any:
    return NestedTensor.unbind(input, dim)


def _do_select(input: Any, dim: int, index: int) -> Any:
    if dim % input.ndim == 0:
        return input.unbind()[index]
    k = _dense_dim(input, dim, "select")
    order = _order_without(input, k)
    return made(input._rows.select(k, index), input._lengths, input.layout, order)


def _do_backward(self: Any, gradient: Any = None, *args: Any, **kwargs: Any) -> None:
    if not isinstance(gradient, NestedTensor) or gradient._lengths is not self._lengths:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    self._rows.backward(gradient._rows, *args, **kwargs)


def _do_size(self: Any, dim: int | None = None) -> Any:
    return NestedTensor.size(self, dim)


def _require_plain(x: NestedTensor, name: str) -> None:
    if not x._plain():
        raise NotImplementedError(f"{name}() of a nested tensor with moved dimensions is not supported")
