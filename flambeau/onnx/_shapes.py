"""Translations of functions that rearrange elements, select some, or make new tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.onnx._graph import END, NUMBERS, Graph, Value, fixed
from flambeau.onnx._sizes import Size
from flambeau.onnx._translations import same, translation


def _list(args: Sequence[Any]) -> list[Any]:
    """Integers that are given one by one, or as one sequence."""
    return list(args[0]) if len(args) == 1 and isinstance(args[0], (list, tuple)) else list(args)


# ---- shapes


@translation("reshape", "view")
def reshape(g: Graph, out: Value, x: Value, *shape: Any, **named: Any) -> str:
    """Another shape; a ``view`` as another dtype is refused."""
    sizes = _list(shape) or list(named["shape"])
    if any(isinstance(n, torch.dtype) for n in sizes):
        raise NotImplementedError("torch.onnx.export: view() as another dtype")
    return g.op("Reshape", g.value(x), g.ints(sizes), allowzero=0)


@translation("view_as", "reshape_as")
def view_as(g: Graph, out: Value, x: Value, other: Value) -> str:
    """The shape of another tensor."""
    return g.op("Reshape", g.value(x), g.ints(out.shape))


@translation("flatten")
def flatten(g: Graph, out: Value, x: Value, start_dim: int = 0, end_dim: int = -1) -> str:
    """Some dimensions as one."""
    if x.dim(start_dim) == 1 and x.dim(end_dim) == x.ndim - 1:
        return g.op("Flatten", g.value(x), axis=1)
    return g.op("Reshape", g.value(x), g.ints(out.shape))


@translation("unflatten")
def unflatten(g: Graph, out: Value, x: Value, *args: Any, **kwargs: Any) -> str:
    """One dimension as several."""
    return g.op("Reshape", g.value(x), g.ints(out.shape))


@translation("permute")
def permute(g: Graph, out: Value, x: Value, *dims: Any, **named: Any) -> str:
    """Dimensions in another order."""
    return g.op("Transpose", g.value(x), perm=[x.dim(d) for d in _list(dims) or named["dims"]])


@translation("transpose", "swapaxes", "swapdims")
def transpose(g: Graph, out: Value, x: Value, dim0: int, dim1: int) -> str:
    """Two dimensions exchanged."""
    order = list(range(x.ndim))
    if order:
        a, b = x.dim(dim0), x.dim(dim1)
        order[a], order[b] = order[b], order[a]
    return g.op("Transpose", g.value(x), perm=order)


@translation("t", "T", "mT", "adjoint", "mH", "H")
def transposed(g: Graph, out: Value, x: Value) -> str:
    """The last two dimensions exchanged."""
    return transpose(g, out, x, -2, -1) if x.ndim > 1 else g.value(x)


@translation("movedim", "moveaxis")
def movedim(g: Graph, out: Value, x: Value, source: Any, destination: Any) -> str:
    """Dimensions moved to other places."""
    sources = [x.dim(d) for d in (source if isinstance(source, (tuple, list)) else [source])]
    places = [x.dim(d) for d in (destination if isinstance(destination, (tuple, list)) else [destination])]
    rest = iter([d for d in range(x.ndim) if d not in sources])
    moved = dict(zip(places, sources))
    return g.op("Transpose", g.value(x), perm=[moved[k] if k in moved else next(rest) for k in range(x.ndim)])


@translation("unsqueeze")
def unsqueeze(g: Graph, out: Value, x: Value, dim: int) -> str:
    """A dimension of size 1."""
    return g.op("Unsqueeze", g.value(x), g.const([dim % (x.ndim + 1)]))


@translation("squeeze")
def squeeze(g: Graph, out: Value, x: Value, dim: Any = None) -> str:
    """Dimensions of size 1 taken away."""
    dims = range(x.ndim) if dim is None else [x.dim(d) for d in (dim if isinstance(dim, (tuple, list)) else [dim])]
    ones = [d for d in dims if x.shape and x.shape[d] == 1]
    return g.op("Squeeze", g.value(x), g.const(ones)) if ones else g.value(x)


@translation("expand")
def expand(g: Graph, out: Value, x: Value, *sizes: Any) -> str:
    """Broadcast to a shape, in which -1 leaves a size."""
    wanted = [1 if not isinstance(n, Size) and n == -1 else n for n in _list(sizes)]
    return g.op("Expand", g.value(x), g.ints(wanted))


@translation("expand_as", "broadcast_to")
def expand_as(g: Graph, out: Value, x: Value, other: Any) -> str:
    """Broadcast to the shape of the result."""
    return g.op("Expand", g.value(x), g.ints(out.shape))


@translation("repeat", "tile")
def repeat(g: Graph, out: Value, x: Value, *repeats: Any) -> str:
    """Copies side by side."""
    counts = _list(repeats)
    name, more = g.value(x), len(counts) - x.ndim
    if more > 0:
        name = g.op("Unsqueeze", name, g.const(list(range(more))))
    return g.op("Tile", name, g.ints([1] * -more + counts))


@translation("repeat_interleave")
def repeat_interleave(g: Graph, out: Value, x: Value, repeats: Any, dim: int | None = None, **named: Any) -> str:
    """Each element some times."""
    if dim is None or not isinstance(repeats, int):
        raise NotImplementedError("torch.onnx.export: repeat_interleave() without a dimension, or with a tensor")
    d = x.dim(dim)
    wide = g.op("Unsqueeze", g.value(x), g.const([d + 1]))
    wide = g.op("Expand", wide, g.const([1] * (d + 1) + [repeats] + [1] * (x.ndim - d - 1)))
    return g.op("Reshape", wide, g.ints(out.shape))


# ---- joining and cutting


@translation("cat", "concat", "concatenate")
def cat(g: Graph, out: Value, tensors: Sequence[Value], dim: int = 0) -> str:
    """Side by side."""
    parts = [x for x in tensors if x.shape != (0,)]
    return g.op("Concat", *[g.value(x, out.dtype) for x in parts], axis=parts[0].dim(dim))


@translation("stack")
def stack(g: Graph, out: Value, tensors: Sequence[Value], dim: int = 0) -> str:
    """Along a new dimension."""
    d = dim % out.ndim
    return g.op("Concat", *[g.op("Unsqueeze", g.value(x, out.dtype), g.const([d])) for x in tensors], axis=d)


def _cut(g: Graph, x: Value, sizes: Sequence[Any], d: int) -> Sequence[str]:
    found = g.op("Split", g.value(x), g.ints(sizes), outputs=len(sizes), axis=d)
    return [found] if len(sizes) == 1 else found


@translation("split", "chunk", "tensor_split")
def split(g: Graph, out: Sequence[Value], x: Value, *args: Any, **kwargs: Any) -> Sequence[str]:
    """Parts along a dimension."""
    d = x.dim(kwargs.get("dim", args[1] if len(args) > 1 else 0))
    return _cut(g, x, [part.shape[d] for part in out], d)


@translation("unbind")
def unbind(g: Graph, out: Sequence[Value], x: Value, dim: int = 0) -> Sequence[str]:
    """The slices along a dimension."""
    d = x.dim(dim)
    return [g.op("Squeeze", part, g.const([d])) for part in _cut(g, x, [1] * len(out), d)]


@translation("select")
def select(g: Graph, out: Value, x: Value, dim: int, index: Any) -> str:
    """One slice."""
    return g.op("Gather", g.value(x), g.number(index), axis=x.dim(dim))


@translation("narrow")
def narrow(g: Graph, out: Value, x: Value, dim: int, start: Any, length: Any) -> str:
    """Some neighbouring slices."""
    d = x.dim(dim)
    end = start + length if not isinstance(start, Size) and not isinstance(length, Size) else None
    if end is None and start != 0:
        raise NotImplementedError("torch.onnx.export: narrow() between dynamic places")
    return g.op("Slice", g.value(x), g.ints([start]), g.ints([length if end is None else end]), g.const([d]))


@translation("flip")
def flip(g: Graph, out: Value, x: Value, *dims: Any) -> str:
    """Turned around."""
    axes = [x.dim(d) for d in _list(dims)]
    count = len(axes)
    return g.op(
        "Slice", g.value(x), g.const([-1] * count), g.const([-END] * count), g.const(axes), g.const([-1] * count)
    )


@translation("roll")
def roll(g: Graph, out: Value, x: Value, shifts: Any, dims: Any = None) -> str:
    """What leaves at the end comes in at the beginning."""
    if dims is None:
        raise NotImplementedError("torch.onnx.export: roll() without dimensions")
    name = g.value(x)
    pairs = zip(*[v if isinstance(v, (tuple, list)) else (v,) for v in (shifts, dims)])
    for shift, dim in pairs:
        d = x.dim(dim)
        places = [g.const([-shift]), g.const([END]), g.const([0])]
        tail = g.op("Slice", name, places[0], places[1], g.const([d]))
        name = g.op("Concat", tail, g.op("Slice", name, places[2], places[0], g.const([d])), axis=d)
    return name


@translation("pad")
def pad(g: Graph, out: Value, x: Value, pad: Sequence[Any], mode: str = "constant", value: Any = None) -> str:
    """Elements added at the edges."""
    kinds = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)][::-1]
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    ends = [a for a, _ in pairs] + [b for _, b in pairs]
    filling = [g.const(value or 0, x.dtype)] if mode == "constant" else []
    return g.op("Pad", g.value(x), g.ints(ends), *filling, mode=kinds[mode])


def _enter_triangle(name: str, upper: int) -> None:
    @translation(name)
    def triangle(g: Graph, out: Value, x: Value, diagonal: int = 0) -> str:
        return g.op("Trilu", g.value(x), g.const(diagonal), upper=upper)


_enter_triangle("tril", 0)
_enter_triangle("triu", 1)


# ---- indices


@translation("index_select")
def index_select(g: Graph, out: Value, x: Value, dim: int, index: Value) -> str:
    """Slices by their number."""
    return g.op("Gather", g.value(x), g.value(index), axis=x.dim(dim))


@translation("embedding")
def embedding(g: Graph, out: Value, x: Value, weight: Value, *args: Any, **kwargs: Any) -> str:
    """Rows of a table. ``F.embedding`` is given the indices first, ``torch.embedding`` the table."""
    rows, table = (x, weight) if not x.dtype.is_floating_point else (weight, x)
    return g.op("Gather", g.value(table), g.value(rows), axis=0)


@translation("gather")
def gather(g: Graph, out: Value, x: Value, dim: int, index: Value, **kwargs: Any) -> str:
    """Elements by their place along a dimension."""
    return g.op("GatherElements", g.value(x), g.value(index), axis=x.dim(dim))


@translation("scatter")
def scatter(g: Graph, out: Value, x: Value, dim: int, index: Value, src: Any = None, **kwargs: Any) -> str:
    """Elements put at places along a dimension."""
    src = kwargs.get("value", src)
    if kwargs.get("reduce") is not None:
        raise NotImplementedError("torch.onnx.export: scatter() with a reduction")
    values = g.value(src, x.dtype)
    if not isinstance(src, Value):
        values = g.op("Expand", values, g.ints(index.shape))
    return g.op("ScatterElements", g.value(x), g.value(index), values, axis=x.dim(dim))


@translation("scatter_add")
def scatter_add(g: Graph, out: Value, x: Value, dim: int, index: Value, src: Value) -> str:
    """Elements added at places along a dimension."""
    return g.op("ScatterElements", g.value(x), g.value(index), g.value(src), axis=x.dim(dim), reduction="add")


@translation("one_hot")
def one_hot(g: Graph, out: Value, x: Value, num_classes: int = -1) -> str:
    """A one at the place of each class."""
    depth = fixed(out.shape[-1], "one_hot()'s number of classes")
    return g.op("OneHot", g.value(x), g.const(depth), g.const([0, 1]), axis=-1)


# ---- new tensors


def _filled(g: Graph, out: Value, value: Any) -> str:
    return g.op("Expand", g.value(value, out.dtype), g.ints(out.shape))


def _enter_filled(value: int, *names: str) -> None:
    @translation(*names)
    def fill(g: Graph, out: Value, *args: Any, **kwargs: Any) -> str:
        return _filled(g, out, value)


_enter_filled(0, "zeros", "zeros_like", "new_zeros", "empty", "empty_like", "new_empty")
_enter_filled(1, "ones", "ones_like", "new_ones")


@translation("full", "full_like")
def full(g: Graph, out: Value, size: Any, fill_value: Any, *args: Any, **kwargs: Any) -> str:
    """One number everywhere."""
    return _filled(g, out, fill_value)


@translation("new_full")
def new_full(g: Graph, out: Value, x: Value, size: Any, fill_value: Any, **kwargs: Any) -> str:
    """One number everywhere."""
    return _filled(g, out, fill_value)


@translation("fill", "zero")
def fill(g: Graph, out: Value, x: Value, value: Any = 0) -> str:
    """One number everywhere."""
    return _filled(g, out, value)


def _enter_random(kind: str, *names: str) -> None:
    @translation(*names)
    def draw(g: Graph, out: Value, *args: Any, **kwargs: Any) -> str:
        return g.op(kind, _filled(g, out, 0), dtype=NUMBERS[out.dtype])


_enter_random("RandomNormalLike", "randn", "randn_like")
_enter_random("RandomUniformLike", "rand", "rand_like")


@translation("arange")
def arange(g: Graph, out: Value, *args: Any, **kwargs: Any) -> str:
    """Numbers in equal steps."""
    given = [kwargs[k] for k in ("start", "end", "step") if k in kwargs] if not args else list(args)
    start, end, step = [0, *given, 1][:3] if len(given) == 1 else [*given, 1][:3]
    return g.op("Range", *[g.value(v, out.dtype) for v in (start, end, step)])


@translation("copy")
def copy(g: Graph, out: Value, x: Value, src: Value, non_blocking: bool = False) -> str:
    """The values of another tensor."""
    return g.op("Expand", g.value(src, out.dtype), g.ints(out.shape)) if src.shape != out.shape else same(g, out, src)


@translation("pixel_shuffle")
def pixel_shuffle(g: Graph, out: Value, x: Value, upscale_factor: int) -> str:
    """Channels as blocks of pixels."""
    return g.op("DepthToSpace", g.value(x), blocksize=upscale_factor, mode="CRD")
