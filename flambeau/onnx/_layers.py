"""Translations of products, convolutions, pooling, normalisation, attention and recurrent networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.onnx._graph import Graph, Value, fixed
from flambeau.onnx._translations import translation

# ---- products


@translation("matmul", "mm", "bmm", "mv", "dot")
def matmul(g: Graph, out: Value, x: Value, y: Value) -> str:
    """The matrix product."""
    return g.op("MatMul", g.value(x, out.dtype), g.value(y, out.dtype))


@translation("linear")
def linear(g: Graph, out: Value, x: Value, weight: Value, bias: Value | None = None) -> str:
    """x Wᵀ + b."""
    if x.ndim == 2 and bias is not None:
        return g.op("Gemm", g.value(x), g.value(weight), g.value(bias), transB=1)
    return linear_of(g, g.value(x), weight, bias)


@translation("addmm")
def addmm(g: Graph, out: Value, x: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1) -> str:
    """beta x + alpha a b."""
    return g.op("Gemm", g.value(a), g.value(b), g.value(x), alpha=float(alpha), beta=float(beta))


@translation("baddbmm")
def baddbmm(g: Graph, out: Value, x: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1) -> str:
    """beta x + alpha a b of batches."""
    product = g.op("MatMul", g.value(a), g.value(b))
    product = product if alpha == 1 else g.op("Mul", product, g.const(float(alpha), out.dtype))
    term = g.value(x) if beta == 1 else g.op("Mul", g.value(x), g.const(float(beta), out.dtype))
    return g.op("Add", term, product)


@translation("einsum")
def einsum(g: Graph, out: Value, equation: str, *operands: Any) -> str:
    """Einstein's sum."""
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    return g.op("Einsum", *[g.value(x, out.dtype) for x in given], equation=equation)


# ---- convolutions


def _each(value: Any, dims: int) -> list[int]:
    """A number for each dimension."""
    return [value] * dims if isinstance(value, int) else list(value) * (dims if len(value) == 1 else 1)


def _conv(dims: int) -> None:
    @translation(f"conv{dims}d")
    def conv(
        g: Graph, out: Value, x: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> str:  # fmt: skip
        _need_batch(x, dims, "convolution")
        spaces: Any = {"strides": _each(stride, dims), "dilations": _each(dilation, dims), "group": groups}
        if isinstance(padding, str):
            spaces["auto_pad"] = {"same": "SAME_UPPER", "valid": "VALID"}[padding]
        else:
            spaces["pads"] = _each(padding, dims) * 2
        given = [g.value(v) for v in (x, weight, bias) if v is not None]
        return g.op("Conv", *given, kernel_shape=[fixed(n, "a kernel") for n in weight.shape[2:]], **spaces)


def _conv_transpose(dims: int) -> None:
    @translation(f"conv_transpose{dims}d")
    def conv_transpose(
        g: Graph, out: Value, x: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> str:  # fmt: skip
        _need_batch(x, dims, "transposed convolution")
        given = [g.value(v) for v in (x, weight, bias) if v is not None]
        return g.op(
            "ConvTranspose", *given, kernel_shape=[fixed(n, "a kernel") for n in weight.shape[2:]], group=groups,
            strides=_each(stride, dims), pads=_each(padding, dims) * 2, dilations=_each(dilation, dims),
            output_padding=_each(output_padding, dims),
        )  # fmt: skip


def _need_batch(x: Value, dims: int, what: str) -> None:
    if x.ndim != dims + 2:
        raise NotImplementedError(f"torch.onnx.export: {what} without a batch dimension")


# ---- pooling


def _max_pool(dims: int) -> None:
    @translation(f"max_pool{dims}d")
    def max_pool(
        g: Graph, out: Value, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> str:  # fmt: skip
        _need_batch(x, dims, "pooling")
        if return_indices:
            raise NotImplementedError("torch.onnx.export: max pooling that gives indices")
        return g.op(
            "MaxPool", g.value(x), kernel_shape=_each(kernel_size, dims), pads=_each(padding, dims) * 2,
            strides=_each(stride or kernel_size, dims), dilations=_each(dilation, dims), ceil_mode=int(ceil_mode),
        )  # fmt: skip


def _avg_pool(dims: int) -> None:
    @translation(f"avg_pool{dims}d")
    def avg_pool(
        g: Graph, out: Value, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0,
        ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> str:  # fmt: skip
        _need_batch(x, dims, "pooling")
        if divisor_override is not None:
            raise NotImplementedError("torch.onnx.export: average pooling with divisor_override")
        return g.op(
            "AveragePool", g.value(x), kernel_shape=_each(kernel_size, dims), pads=_each(padding, dims) * 2,
            strides=_each(stride or kernel_size, dims), ceil_mode=int(ceil_mode),
            count_include_pad=int(count_include_pad),
        )  # fmt: skip


def _adaptive(dims: int, name: str, whole: str, kind: str) -> None:
    @translation(f"adaptive_{name}_pool{dims}d")
    def adaptive(g: Graph, out: Value, x: Value, output_size: Any, *args: Any, **kwargs: Any) -> str:
        _need_batch(x, dims, "pooling")
        if any(args) or kwargs.get("return_indices"):
            raise NotImplementedError("torch.onnx.export: max pooling that gives indices")
        if all(n == 1 for n in out.shape[2:]):
            return g.op(whole, g.value(x), g.const([d + 2 for d in range(dims)]), keepdims=1)
        have, wanted = [[fixed(n, "adaptive pooling") for n in v.shape[2:]] for v in (x, out)]
        if any(n % m for n, m in zip(have, wanted)):
            raise NotImplementedError(f"torch.onnx.export: adaptive pooling of {have} to {wanted}, no multiples")
        steps = [n // m for n, m in zip(have, wanted)]
        return g.op(kind, g.value(x), kernel_shape=steps, strides=steps)


for _dims in (1, 2, 3):
    _conv(_dims)
    _conv_transpose(_dims)
    _max_pool(_dims)
    _avg_pool(_dims)
    _adaptive(_dims, "avg", "ReduceMean", "AveragePool")
    _adaptive(_dims, "max", "ReduceMax", "MaxPool")


# ---- normalisation


def _ones(g: Graph, x: Value, given: Value | None, count: Any, value: float) -> str:
    """A weight or bias, or what stands for one that is not there."""
    return g.value(given) if given is not None else g.const([value] * fixed(count, "a channel"), x.dtype)


@translation("batch_norm")
def batch_norm(
    g: Graph, out: Value, x: Value, running_mean: Value | None, running_var: Value | None, weight: Value | None = None,
    bias: Value | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> str:  # fmt: skip
    """Each channel by its running statistics."""
    if training or running_mean is None or running_var is None:
        raise NotImplementedError("torch.onnx.export: batch_norm in training; call model.eval() first")
    channels = x.shape[1]
    scale, shift = _ones(g, x, weight, channels, 1.0), _ones(g, x, bias, channels, 0.0)
    return g.op("BatchNormalization", g.value(x), scale, shift, g.value(running_mean), g.value(running_var),
                epsilon=float(eps))  # fmt: skip


@translation("instance_norm")
def instance_norm(
    g: Graph, out: Value, x: Value, running_mean: Any = None, running_var: Any = None, weight: Value | None = None,
    bias: Value | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5, *args: Any,
) -> str:  # fmt: skip
    """Each channel of each sample by its own statistics."""
    if not use_input_stats:
        return batch_norm(g, out, x, running_mean, running_var, weight, bias, False, momentum, eps)
    scale, shift = _ones(g, x, weight, x.shape[1], 1.0), _ones(g, x, bias, x.shape[1], 0.0)
    return g.op("InstanceNormalization", g.value(x), scale, shift, epsilon=float(eps))


@translation("layer_norm")
def layer_norm(
    g: Graph, out: Value, x: Value, normalized_shape: Sequence[int], weight: Value | None = None,
    bias: Value | None = None, eps: float = 1e-5, *args: Any,
) -> str:  # fmt: skip
    """The last dimensions by their own statistics."""
    if weight is None:
        scale = g.value(torch_value(torch.ones(tuple(normalized_shape), dtype=x.dtype)))
    else:
        scale = g.value(weight)
    given = [g.value(x), scale, *([] if bias is None else [g.value(bias)])]
    return g.op("LayerNormalization", *given, axis=-len(normalized_shape), epsilon=float(eps))


def torch_value(x: Any) -> Value:
    """A tensor as a constant."""
    return Value(x, x.shape)


@translation("group_norm")
def group_norm(
    g: Graph, out: Value, x: Value, num_groups: int, weight: Value | None = None, bias: Value | None = None,
    eps: float = 1e-5, *args: Any,
) -> str:  # fmt: skip
    """Each group of channels by its own statistics."""
    groups = g.op("Reshape", g.value(x), g.const([0, num_groups, -1]))
    ones, zeros = g.const([1.0] * num_groups, x.dtype), g.const([0.0] * num_groups, x.dtype)
    found = g.op("InstanceNormalization", groups, ones, zeros, epsilon=float(eps))
    found = g.op("Reshape", found, g.ints(x.shape))
    channels = g.const([-1] + [1] * (x.ndim - 2))
    if weight is not None:
        found = g.op("Mul", found, g.op("Reshape", g.value(weight), channels))
    return found if bias is None else g.op("Add", found, g.op("Reshape", g.value(bias), channels))


@translation("rms_norm")
def rms_norm(
    g: Graph, out: Value, x: Value, normalized_shape: Sequence[int], weight: Value | None = None,
    eps: float | None = None,
) -> str:  # fmt: skip
    """The last dimensions divided by the root of their mean square."""
    name, axes = g.value(x), g.const([-k for k in range(len(normalized_shape), 0, -1)])
    mean = g.op("ReduceMean", g.op("Mul", name, name), axes, keepdims=1)
    size = torch.finfo(x.dtype).eps if eps is None else eps
    found = g.op("Div", name, g.op("Sqrt", g.op("Add", mean, g.const(size, x.dtype))))
    return found if weight is None else g.op("Mul", found, g.value(weight))


# ---- attention


@translation("scaled_dot_product_attention")
def attention(
    g: Graph, out: Value, query: Value, key: Value, value: Value, attn_mask: Value | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> str:  # fmt: skip
    """softmax(q kᵀ scale + mask) v."""
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        raise NotImplementedError("torch.onnx.export: attention with grouped queries")
    size = fixed(query.shape[-1], "the width of a head")
    order = [*range(key.ndim - 2), key.ndim - 1, key.ndim - 2]
    scaled = g.op("Mul", g.value(query), g.const(1 / math.sqrt(size) if scale is None else scale, out.dtype))
    scores = g.op("MatMul", scaled, g.op("Transpose", g.value(key), perm=order))
    if is_causal:
        scores = _masked(g, out, scores, _causal(g, query.shape[-2], key.shape[-2]))
    elif attn_mask is not None and attn_mask.dtype is torch.bool:
        scores = _masked(g, out, scores, g.value(attn_mask))
    elif attn_mask is not None:
        scores = g.op("Add", scores, g.value(attn_mask, out.dtype))
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), g.value(value))


def _masked(g: Graph, out: Value, scores: str, mask: str) -> str:
    return g.op("Where", mask, scores, g.const(-math.inf, out.dtype))


def _causal(g: Graph, rows: Any, columns: Any) -> str:
    """Which keys come no later than each query."""
    one = g.const(1)
    i, j = [g.op("Range", g.const(0), g.number(n), one) for n in (rows, columns)]
    return g.op("GreaterOrEqual", g.op("Unsqueeze", i, g.const([1])), g.op("Unsqueeze", j, g.const([0])))


@translation("multi_head_attention_forward")
def multi_head_attention(
    g: Graph, out: Sequence[Value], query: Value, key: Value, value: Value, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Value | None, in_proj_bias: Value | None, bias_k: Any, bias_v: Any, add_zero_attn: bool,
    dropout_p: float, out_proj_weight: Value, out_proj_bias: Value | None, **named: Any,
) -> Sequence[str]:  # fmt: skip
    """Attention of several heads: (L, N, E), and the weights if they are wanted."""
    if bias_k is not None or bias_v is not None or add_zero_attn or named.get("static_k") or named.get("static_v"):
        raise NotImplementedError("torch.onnx.export: attention with biases of keys, zeros or static keys")
    weights, biases = _projections(in_proj_weight, in_proj_bias, named)
    q, k, v = [_heads(g, *one, num_heads) for one in zip((query, key, value), weights, biases)]
    size = fixed(query.shape[-1], "the width of attention") // num_heads
    scaled = g.op("Mul", q, g.const(1 / math.sqrt(size), query.dtype))
    scores = g.op("MatMul", scaled, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    for mask in _masks(g, num_heads, named.get("attn_mask"), named.get("key_padding_mask"), query.dtype):
        scores = g.op("Add", scores, mask)
    p = g.op("Softmax", scores, axis=-1)
    together = g.op("Transpose", g.op("MatMul", p, v), perm=[2, 0, 1, 3])  # (L, N, heads, size)
    y = linear_of(g, g.op("Reshape", together, g.const([0, 0, -1])), out_proj_weight, out_proj_bias)
    if query.ndim == 2:
        y = g.op("Squeeze", y, g.const([1]))
    if len(out) == 1:
        return [y]
    p = g.op("ReduceMean", p, g.const([1]), keepdims=0) if named.get("average_attn_weights", True) else p
    return [y, g.op("Squeeze", p, g.const([0])) if query.ndim == 2 else p]


def linear_of(g: Graph, name: str, weight: Value, bias: Value | None) -> str:
    """x Wᵀ + b of a value by its name."""
    found = g.op("MatMul", name, g.op("Transpose", g.value(weight), perm=[1, 0]))
    return found if bias is None else g.op("Add", found, g.value(bias))


def _projections(weight: Value | None, bias: Value | None, named: dict[str, Any]) -> tuple[list[Value], list[Any]]:
    """Weights and biases of queries, keys and values."""
    if weight is None:
        weights = [named[f"{k}_proj_weight"] for k in "qkv"]
    else:
        weights = [torch_value(w) for w in weight.tensor.chunk(3)]
    return weights, [None] * 3 if bias is None else [torch_value(b) for b in bias.tensor.chunk(3)]


def _heads(g: Graph, x: Value, weight: Value, bias: Value | None, heads: int) -> str:
    """Projected, and split into heads: (N, heads, L, size)."""
    name = linear_of(g, g.value(x), weight, bias)
    name = g.op("Unsqueeze", name, g.const([1])) if x.ndim == 2 else name
    return g.op("Transpose", g.op("Reshape", name, g.const([0, 0, heads, -1])), perm=[1, 2, 0, 3])


def _masks(g: Graph, heads: int, attn: Value | None, padding: Value | None, dtype: Any) -> list[str]:
    """What is added to the scores; a boolean mask holds where nothing is looked at."""
    found = []
    if attn is not None:
        name = _added(g, attn, dtype)
        if attn.ndim == 3:
            name = g.op("Reshape", name, g.ints([-1, heads, *attn.shape[1:]]))
        found.append(name)
    if padding is not None:
        name = _added(g, padding, dtype)
        name = g.op("Unsqueeze", name, g.const([0])) if padding.ndim == 1 else name
        found.append(g.op("Unsqueeze", name, g.const([1, 2])))
    return found


def _added(g: Graph, mask: Value, dtype: Any) -> str:
    if mask.dtype is not torch.bool:
        return g.value(mask, dtype)
    return g.op("Where", g.value(mask), g.const(-math.inf, dtype), g.const(0.0, dtype))


# ---- resampling


@translation("interpolate")
def interpolate(
    g: Graph, out: Value, x: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> str:  # fmt: skip
    """Another number of pixels."""
    kinds = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
    if mode not in kinds:
        raise NotImplementedError(f"torch.onnx.export: interpolate() with mode {mode}")
    place = "asymmetric" if mode == "nearest" else "align_corners" if align_corners else "half_pixel"
    how = {"mode": kinds[mode], "coordinate_transformation_mode": place, "antialias": int(antialias)}
    how |= {"nearest_mode": "floor"} if mode == "nearest" else {"cubic_coeff_a": -0.75} if mode == "bicubic" else {}
    if scale_factor is not None and recompute_scale_factor is None:
        scales = _each_factor(scale_factor, x.ndim - 2)
        return g.op("Resize", g.value(x), "", g.const([1.0, 1.0, *scales], torch.float32), **how)
    return g.op("Resize", g.value(x), "", "", g.ints(out.shape), **how)


def _each_factor(factor: Any, dims: int) -> list[float]:
    return [float(factor)] * dims if isinstance(factor, (int, float)) else [float(f) for f in factor]


# ---- recurrent networks

_GATES = {"lstm": (4, [0, 3, 1, 2]), "gru": (3, [1, 0, 2]), "rnn_tanh": (1, [0]), "rnn_relu": (1, [0])}


def _recurrent(name: str) -> None:
    """Weights are put in ONNX's order of gates; layers follow each other."""
    count, order = _GATES[name]

    def ordered(tensors: list[Any]) -> str:
        parts = [torch.cat([w.chunk(count)[k] for k in order]) for w in tensors]
        return torch.stack(parts)

    @translation(name)
    def recurrent(
        g: Graph, out: Sequence[Value], x: Value, hx: Any, params: Sequence[Value], has_biases: bool, num_layers: int,
        dropout: float, train: bool, bidirectional: bool, batch_first: bool = False,
    ) -> Sequence[str]:  # fmt: skip
        if not isinstance(has_biases, bool):
            raise NotImplementedError("torch.onnx.export: recurrent networks of packed sequences")
        states = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        ways, each = 2 if bidirectional else 1, 4 if has_biases else 2
        if len(params) != num_layers * ways * each:
            raise NotImplementedError("torch.onnx.export: LSTM with projections")
        y = g.op("Transpose", g.value(x), perm=[1, 0, 2]) if batch_first else g.value(x)
        ends: list[list[str]] = [[] for _ in states]
        for layer in range(num_layers):
            own = [p.tensor for p in params[layer * ways * each : (layer + 1) * ways * each]]
            w = [ordered(own[k::each]) for k in range(each)]
            given = [g.value(torch_value(v)) for v in (*w[:2], *([torch.cat(w[2:], 1)] if has_biases else []))]
            begin = [g.op("Slice", g.value(s), g.const([layer * ways]), g.const([(layer + 1) * ways]), g.const([0]))
                     for s in states]  # fmt: skip
            y, *after = _layer(g, name, y, given, begin, bidirectional)
            for end, state in zip(ends, after):
                end.append(state)
        y = g.op("Transpose", y, perm=[1, 0, 2]) if batch_first else y
        return [y, *[end[0] if num_layers == 1 else g.op("Concat", *end, axis=0) for end in ends]]


def _layer(g: Graph, name: str, y: str, given: list[str], begin: list[str], bidirectional: bool) -> list[str]:
    """One layer: its output (steps, N, features), and the states after."""
    weights = [*given, *[""] * (3 - len(given)), ""]
    units = g.initializers[given[1]].shape[-1]
    how: dict[str, Any] = {"hidden_size": units, "direction": "bidirectional" if bidirectional else "forward"}
    if name == "gru":
        how["linear_before_reset"] = 1
    if name == "rnn_relu":
        how["activations"] = ["Relu"] * (2 if bidirectional else 1)
    kind = {"lstm": "LSTM", "gru": "GRU"}.get(name, "RNN")
    wide, *after = g.op(kind, y, *weights, *begin, outputs=1 + len(begin), **how)
    together = g.op("Transpose", wide, perm=[0, 2, 1, 3])  # (steps, ways, N, units) before
    return [g.op("Reshape", together, g.const([0, 0, -1])), *after]


for _name in _GATES:
    _recurrent(_name)
