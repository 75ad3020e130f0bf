"""Which operators may share a plan of the first tier: those that differ in sizes alone.

The lowering of an operator listed here depends on which sizes are 0, 1 or equal to one another, and on nothing else of
them, but for the dimensions that its entry names (a test lowers each at many sizes). So a plan whose calls serve all
sizes serves every node of the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..compiler.affine import row_major, same_strides
from ..compiler.cpu.first_tier.widths import LARGE
from ..compiler.split_reductions import LONGEST
from ..dtypes import bool_, float32, float64, int64
from ..graph.node import SCALAR, Node
from ..graph.types import Ty


def every_size(attrs: Any) -> int:
    """The lowering reads the sizes of no dimension."""
    return 0


# Those of which all is the same for all sizes, native steps too.
_STEPPED = [
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "exp",
    "relu",
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
    "softmax",
    "addmm",
    "mm",
]
_COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]

_OF_COUNTS = [
    "mean", "std", "var", "mse_loss", "mse_loss_backward", "smooth_l1_loss", "smooth_l1_loss_backward", "huber_loss",
    "huber_loss_backward", "binary_cross_entropy", "binary_cross_entropy_backward",
    "binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits_backward", "native_batch_norm",
    "native_batch_norm_backward",
]  # fmt: skip
_OF_INDICES = [
    "nll_loss", "nll_loss_backward", "gather", "index", "index_put", "scatter_add", "argmax", "argmin", "embedding",
    "embedding_dense_backward", "last_rows", "rows_at_last", "seen_rows",
]  # fmt: skip
_IN_ORDER = ["cumsum", "cumprod", "logcumsumexp", "sort"]
_RECURRENT = ["lstm", "gru", "rnn_tanh", "rnn_relu"]
# Of those whose arguments say sizes: what else they say.
ATTRS: dict[str, Callable[[Any], Any]] = {"nll_loss_backward": lambda attrs: attrs[1:]}
ATTRS |= {name + "_backward": lambda attrs: (attrs[0], attrs[1].dtype) for name in _RECURRENT}

# How many of the last dimensions the lowering reads the sizes of.
UNIFORM: dict[str, Callable[[Any], int]] = dict.fromkeys([
    *_STEPPED, *_COMPARISONS, "abs", "clamp", "log", "maximum", "minimum", "sqrt", "where", "log_softmax", "sum",
    "_softmax_backward_data", "_log_softmax_backward_data", "sigmoid_backward", "tanh_backward", "threshold_backward",
    "amax", "bitwise_not", "cos", "gelu_backward", "leaky_relu", "leaky_relu_backward", "masked_fill", "pow",
    "reciprocal", "rsqrt", "silu_backward", "sin",
    *_OF_COUNTS, *_OF_INDICES, *_IN_ORDER, *_RECURRENT, *[name + "_backward" for name in _RECURRENT],
], every_size)  # fmt: skip
UNIFORM["scaled_dot_product_attention"] = every_size
UNIFORM["native_layer_norm"] = lambda attrs: len(attrs[0])

# Those that have steps of native code for all sizes: of the others too the lowering depends on the form alone.
DTYPES = frozenset([float32, float64, int64, bool_])
NATIVE = frozenset([
    *_STEPPED, *_COMPARISONS, "scaled_dot_product_attention", "native_layer_norm", "masked_fill", "argmax", "argmin",
    "bmm", "cat", "clone", "embedding", "full",
])  # fmt: skip
MAPS = frozenset([  # of these dtypes
    "_to_copy", "abs", "bitwise_and", "bitwise_not", "bitwise_or", "clamp", "cos", "erf", "leaky_relu", "log",
    "logical_and", "logical_not", "logical_or", "maximum", "minimum", "pow", "reciprocal", "rsqrt", "rsub", "sin",
    "sqrt", "square", "stack", "where",
])  # fmt: skip
REDUCTIONS = frozenset(["all", "any", "max", "mean", "min", "sum"])  # of rows, or of dimensions of one element


def serves_all_sizes(n: Node) -> bool:
    """May an operator be planned as steps for all sizes? Floats of ``arange`` are computed otherwise at each size."""
    name = n.op.name
    if name in NATIVE:
        return True
    if name == "arange":
        return n.ty.dtype.kind != "f"
    if name == "filled":
        return n.ins[0].op is SCALAR and n.ty.dtype in DTYPES
    if name not in MAPS and name not in REDUCTIONS and name != "isin":
        return False
    if not all([type(i.ty) is Ty and i.ty.dtype in DTYPES for i in (n, *n.ins)]):  # noqa: C419
        return False
    return name in MAPS or (n.ins[1].ty.numel == 1 if name == "isin" else _in_rows(n))


def reduced(n: Node) -> tuple[int, ...]:
    """The dimensions that a reduction goes over: all of them where it does not say which."""
    return n.attrs[0] if n.attrs else tuple(range(n.ins[0].ty.ndim))


def _in_rows(n: Node) -> bool:
    """Does a reduction have steps: along the last dimension, or where there is nothing to reduce?"""
    t, dims = n.ins[0].ty, reduced(n)
    if all([t.shape[d] == 1 for d in dims]):  # noqa: C419
        return t.dtype is n.ty.dtype
    least = 2 if t.dtype.kind == "f" else 1
    return t.dtype is n.ty.dtype and t.dtype is not bool_ and dims == (t.ndim - 1,) and t.ndim >= least


# Those that networks compute again and again, and in many maps: a kernel of their own serves all sizes.
FUSED = frozenset([
    "gelu", "silu", "softmax", "log_softmax", "native_layer_norm", "native_batch_norm", "native_batch_norm_backward",
    "scaled_dot_product_attention",
])  # fmt: skip


def form_of(n: Node, strides: Sequence[Any]) -> Any:
    """What a plan for all sizes would depend on; None if there is none.

    Args:
        n: a node.
        strides: in elements, with which compiled code would find its operands in memory.
    """
    fixed = UNIFORM.get(n.op.name)
    outs = results(n.ty)
    if fixed is None or not all([t.numel for t in outs]):  # noqa: C419
        return None
    exact, seen = fixed(n.attrs), {}
    parts = [_pattern(t, exact, seen) for t in outs]
    for i, own in zip(n.ins, strides):
        if own is None:
            return None
        parts.append((i.op is SCALAR, i.ty.weak, _pattern(i.ty, exact, seen), lies(i.ty, own)))
    attrs = ATTRS.get(n.op.name)
    return n.op, attrs(n.attrs) if attrs else n.attrs, max([t.numel for t in outs]) >= LARGE, tuple(parts)


def results(t: Any) -> tuple[Ty, ...]:
    """The types of all results of a node of this type."""
    return t if type(t) is tuple else (t,)


def lies(t: Ty, own: Any) -> tuple[int, ...]:
    """Strides with which sizes have nothing to do: () for what lies row by row."""
    if t.contiguous and own == t.strides or same_strides(own, row_major(t.shape), t.shape):
        return ()
    return tuple([s if n > 1 else 0 for n, s in zip(t.shape, own)])


def _pattern(t: Ty, exact: int, seen: dict[int, int]) -> Any:
    """A dtype and a shape in which sizes have become numbers below 0, but for small, long and exact ones."""
    first = t.ndim - exact
    return t.dtype, tuple([
        n if n <= 1 or n > LONGEST or d >= first else seen.setdefault(n, -1 - len(seen)) for d, n in enumerate(t.shape)
    ])  # fmt: skip
