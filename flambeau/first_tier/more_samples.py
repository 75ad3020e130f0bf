"""Operators whose samples do not meet, as convolutions and pools, for ever new numbers of samples.

Planning a convolution takes longer than computing it for some more samples. What is computed of a sample does not
depend on how many there are, to the bit, where products are added one after the other. So once such an operator has
come with several numbers of samples, the plan of a round number of them serves those below, whose batch is filled up
with zeros. A weight's gradient that is summed sample by sample (``chunked``) is planned so up to that sum, which is one
of the samples there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._records import Record
from ..compiler.affine import row_major
from ..compiler.builder import Builder
from ..compiler.chunked import FEWEST, by_sample
from ..compiler.cpu.contract_order import sees_windows
from ..compiler.ir import Function, Value
from ..compiler.simplify import Rewriter, copied, rewritten, simplify, without_dead
from ..dtypes import float32, float64
from ..graph.node import SCALAR, Node, leaf_node
from ..graph.realisation import exit_hooks
from ..graph.types import ty

FEW = 8  # samples that are planned as they are
MET = 2  # numbers of samples after which more are expected
SPARED = 1e-4  # seconds that a plan takes, about: what more samples may
MOST = 1000  # operators that are remembered
BOTH = "convolution_weight"  # reads samples in both operands
BY_SAMPLE = frozenset([
    "convolution", "convolution_input", "max_pool1d_with_indices", "max_pool2d_with_indices",
    "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d", BOTH,
])  # fmt: skip


_met: dict[Any, Any] = {}  # numbers of samples; then how more may be computed
exit_hooks.append(_met.clear)


class Apart(Record):
    """How an operator is computed by the plan of more samples.

    Attributes:
        node: the operator of these.
        batches: how many of its operands are samples.
        parts: the functions of samples, and of their sum; None if that is the operator as it is.
    """

    node: Node
    batches: int
    parts: tuple[Function, Function] | None


def whole(count: int) -> int:
    """A round number of samples, no less than these."""
    step = max(FEW, 1 << count.bit_length() - 3)
    return -(-count // step) * step


def with_more(n: Node, strides: Sequence[Any]) -> Apart | None:
    """The operator of a round number of samples, whose plan may serve; None if it is not to be asked for.

    Args:
        n: a node that is not planned.
        strides: in elements, with which compiled code would find its operands in memory.
    """
    batches = 2 if n.op.name == BOTH else 1
    if n.op.name not in BY_SAMPLE or not _lies_by_samples(n, strides, batches):
        return None
    rest = n.ins[batches:]
    key = n.op, n.attrs, *[(i.ty.shape[1:], i.ty.dtype) for i in n.ins[:batches]], *[i.ty for i in rest]
    key = *key, *strides[batches:]
    met = _met.get(key)
    if met is None:
        if len(_met) >= MOST:
            _met.clear()
        met = _met[key] = {}
    count = n.ins[0].ty.shape[0]
    more = whole(count)
    if more not in met:
        met[count] = None
        if len(met) <= MET:
            return None
        met[more] = _apart(n, more, batches, strides)
    found = met[more]
    return found if more != count and (batches == 1 or count >= FEWEST) else None


def of_fewer(call: Callable[..., Any], batches: int, more: int) -> Callable[..., Any]:
    """The function of arrays of samples, ``batches`` of them, by that of more samples."""

    def fewer(*args: Any) -> Any:
        count = len(args[0])
        found = call(*[_filled(x, more) for x in args[:batches]], *args[batches:])
        return tuple([one[:count] for one in found]) if type(found) is tuple else found[:count]

    return fewer


def _filled(x: Any, more: int) -> Any:
    given = np.zeros((more, *x.shape[1:]), x.dtype)
    given[: len(x)] = x
    return given


def _lies_by_samples(n: Node, strides: Sequence[Any], batches: int) -> bool:
    """Do what is read and what is computed lie sample by sample?"""
    if any(i.op is SCALAR for i in n.ins) or n.ins[0].ty.shape[0] <= FEW:
        return False
    lie = [own == row_major(i.ty.shape) for i, own in zip(n.ins[:batches], strides)]
    outs = n.ty if type(n.ty) is tuple else (n.ty,)
    return all(lie) and all([t.contiguous and t.numel for t in outs])  # noqa: C419


def _apart(n: Node, count: int, batches: int, strides: Sequence[Any]) -> Apart | None:
    """How an operator is computed by the plan of so many samples; None if samples meet."""

    def of(t: Any) -> Any:
        return tuple(map(of, t)) if type(t) is tuple else ty((count, *t.shape[1:]), t.dtype)

    samples = [leaf_node(of(i.ty), k) for k, i in enumerate(n.ins[:batches])]
    out = of(n.ty) if batches == 1 else n.ty
    more = Node(n.op, (*samples, *n.ins[batches:]), n.attrs, out, None)
    f = _function(more, [*[row_major(i.ty.shape) for i in samples], *strides[batches:]])
    parts = _parts(f) if batches > 1 else None
    return Apart(more, batches, parts) if parts or batches == 1 and are_apart(f.values) else None


def _function(n: Node, strides: Sequence[Any]) -> Function:
    b = Builder()
    args = [b.input(k, i.ty.shape, i.ty.dtype, (own, 0)) for k, (i, own) in enumerate(zip(n.ins, strides))]
    b.ty = n.ty
    found = n.op.lower(b, n.attrs, *args)
    b.f.outputs = list(found) if isinstance(found, tuple) else [found]
    return without_dead(b.f)


def are_apart(values: Sequence[Value]) -> bool:
    """Is what is computed of a sample the same, however many there are?"""
    return all(map(_is_apart, values))


def _is_apart(v: Value) -> bool:
    if v.kind == "contract":
        la, lb, out = v.params
        return sees_windows(v) and out[:1] in (la[:1], lb[:1])  # such are not added in lanes (``contract_order``)
    if v.kind == "reduce":
        return 0 not in v.params
    return v.kind in ("input", "const", "view", "map")


def _parts(f: Function) -> tuple[Function, Function] | None:
    """The functions of samples, and of their sum, of one that sums over them alone, as ``chunked`` cuts it."""
    f = simplify(f)
    sums = [v for v in f.values if v.kind == "contract"]
    if len(sums) != 1 or not by_sample(sums[0]) or sums[0].dtype not in (float32, float64):
        return None
    (total,) = sums

    def of_samples(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v is not total:
            return copied(r, v, args)
        la, lb, out = v.params
        return r.contract(f"{la},{lb}->{la[0]}{out}", *args, name="ordered")

    def of_sum(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        return r.input(0, v.shape, v.dtype, (row_major(v.shape), 0)) if v is total else copied(r, v, args)

    outputs = f.outputs
    behind = without_dead(rewritten(f, of_sum))
    f.outputs = [total]
    before = without_dead(rewritten(f, of_samples))
    f.outputs = outputs
    if not are_apart(before.values) or len([v for v in behind.values if v.kind == "input"]) != 1:
        return None
    return before, behind
