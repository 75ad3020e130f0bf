"""Types of values: shape, dtype and the layout that PyTorch's strides describe, interned."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from math import prod
from operator import attrgetter, index, mul
from sys import getrefcount
from typing import Any

from .._collector import Hiding
from ..compiler.twins import twin
from ..dtypes import dtype, refuse_quantised


class Size(tuple):
    """A tensor's shape (``torch.Size``): a tuple of ints with ``numel``."""

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        """Integers of any type as sizes.

        Raises:
            TypeError: an element is no integer.
        """
        given = tuple(sizes)
        for at, n in enumerate(given):
            if n.__class__ is not int and not isinstance(n, int):
                return tuple.__new__(cls, [_integer(at, n) for at, n in enumerate(given)])
        return tuple.__new__(cls, given)

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, i: Any) -> Any:
        r = tuple.__getitem__(self, i)
        return tuple.__new__(Size, r) if isinstance(i, slice) else r

    def __add__(self, other: tuple[Any, ...]) -> Size:  # type: ignore[override]
        if not isinstance(other, tuple):
            raise TypeError(f"can only concatenate tuple (not {type(other).__name__}) to torch.Size")
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple[Any, ...]) -> Size:
        return Size(tuple.__add__(other, self))

    def __mul__(self, n: Any) -> Size:  # type: ignore[override]
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__


def _integer(at: int, n: Any) -> int:
    """An element of a size."""
    try:
        return index(n)
    except TypeError:
        raise TypeError(f"torch.Size() takes an iterable of 'int' (item {at} is '{type(n).__name__}')") from None


class Ty:
    """An interned type; compare with ``is``. Make one with ``ty``.

    ``strides`` and ``offset`` count elements. ``weak`` marks a Python number, which takes part in
    promotion by its category alone. ``meta`` marks what has no memory: tensors on the device "meta".
    ``lazy`` says what is done to elements when they are read and undone when they are written: ``CONJ``, ``NEG`` or
    both; ``stored`` is the dtype, and None if there is something to do. Types of nodes are never lazy.
    """

    __slots__ = (
        "contiguous",
        "dense",
        "dtype",
        "lazy",
        "leaves",
        "meta",
        "nbytes",
        "ndim",
        "numel",
        "offset",
        "shape",
        "size",
        "stored",
        "strides",
        "views",
        "weak",
    )

    meta: bool
    lazy: int
    stored: dtype | None
    shape: tuple[int, ...]
    size: Size
    dtype: dtype
    strides: tuple[int, ...]
    offset: int
    weak: bool
    ndim: int
    numel: int
    nbytes: int
    contiguous: bool
    dense: bool
    leaves: dict[int, Any]  # ordinal -> leaf node of this type
    views: dict[Any, Any]  # view operator and arguments -> type of the result

    def moved(self, offset: int) -> Ty:
        """The type that differs in the offset alone."""
        key: Any = (self.shape, self.dtype, self.strides, offset, self.weak)
        if self.meta or self.lazy:
            key = (*key, self.meta, self.lazy)
        return _types.get(key) or _interned(key, self._at(offset))

    def _at(self, offset: int) -> Ty:
        t = object.__new__(Ty)
        t.shape, t.size, t.dtype, t.strides, t.weak = self.shape, self.size, self.dtype, self.strides, self.weak
        t.ndim, t.numel, t.nbytes = self.ndim, self.numel, self.nbytes
        t.contiguous, t.dense = self.contiguous, self.dense
        t.offset, t.meta, t.lazy, t.stored = offset, self.meta, self.lazy, self.stored
        t.leaves = {}
        t.views = {}
        return t

    def __repr__(self) -> str:
        layout = "" if self.contiguous and not self.offset else f" strides={list(self.strides)}+{self.offset}"
        return f"{self.dtype.name}{list(self.shape)}{layout}"

    def __reduce__(self) -> tuple[Any, ...]:
        form = self.shape, self.dtype, self.strides, self.offset, self.weak
        return (_lazily_at, (self.lazy, *form)) if self.lazy else (ty, form)


_new = object.__new__
_types: dict[tuple[Any, ...], Ty] = {}
_hiding = Hiding(_types, attrgetter("size"))
MOST_DIMENSIONS = 64
_MANY = 1 << 15  # types above which those that nobody holds are looked for
_limit = [_MANY]


@twin
def ty(
    shape: tuple[int, ...], dt: dtype, strides: tuple[int, ...] | None = None, offset: int = 0, weak: bool = False
) -> Ty:
    """The interned type; row-major unless ``strides`` are given."""
    if strides is None:
        strides = contiguous_strides(shape)
    t = _types.get((shape, dt, strides, offset, weak))
    if t is None:
        shape, strides, offset = tuple(map(int, shape)), tuple(map(int, strides)), int(offset)
        t = _interned((shape, dt, strides, offset, weak), _made(shape, dt, strides, offset, weak, False))
    return t


@twin
def _made(shape: tuple[int, ...], dt: dtype, strides: tuple[int, ...], offset: int, weak: bool, meta: bool) -> Ty:
    t = _new(Ty)
    t.meta = meta
    t.lazy = 0
    t.stored = dt
    t.shape = shape
    t.size = tuple.__new__(Size, shape)
    t.dtype = dt
    t.strides = strides
    t.offset = offset
    t.weak = weak
    t.ndim = len(shape)
    numel = t.numel = prod(shape)
    t.nbytes = 0 if meta else numel * dt.itemsize
    contiguous = t.contiguous = (
        strides == contiguous_strides(shape) or min(shape) <= 1 and is_contiguous(shape, strides)
    )
    t.dense = contiguous or is_dense(shape, strides)
    t.leaves = {}
    t.views = {}
    return t


def on_meta(t: Ty) -> Ty:
    """The type of the same tensor without memory."""
    if t.meta:
        return t
    form = t.shape, t.dtype, t.strides, t.offset, t.weak, True
    key = (*form, t.lazy)
    return _types.get(key) or _interned(key, _marked(_made(*form), t.lazy))


CONJ, NEG = 1, 2  # for ``Ty.lazy``


def lazily(t: Ty, lazy: int) -> Ty:
    """The type of the same memory of which ``lazy`` is done to elements when they are read."""
    if t.lazy == lazy:
        return t
    form = t.shape, t.dtype, t.strides, t.offset, t.weak
    key = (*form, t.meta, lazy) if lazy or t.meta else form
    return _types.get(key) or _interned(key, _marked(_made(*form, t.meta), lazy))


def plainly(t: Ty) -> Ty:
    """The type of the memory as it is."""
    return lazily(t, 0) if t.lazy else t


def _marked(t: Ty, lazy: int) -> Ty:
    t.lazy = lazy
    if lazy:
        t.stored = None
    return t


def _lazily_at(lazy: int, *form: Any) -> Ty:
    return lazily(ty(*form), lazy)


def beside(t: Ty, other: Ty) -> Ty:
    """The type on the device of another: without memory if that has none."""
    return on_meta(t) if other.meta else t


@twin
def _interned(key: tuple[Any, ...], t: Ty) -> Ty:
    if t.dtype.kind == "q":
        refuse_quantised(t.dtype)
    if t.ndim > MOST_DIMENSIONS:
        _refuse_dimensions()
    if len(_types) > _limit[0]:
        _sweep()
    return _types.setdefault(key, t)


def _refuse_dimensions() -> None:
    """NumPy's arrays have no more, nor do PyTorch's reductions take more."""
    raise NotImplementedError(f"only tensors with up to {MOST_DIMENSIONS} dims are supported")


def _sweep() -> None:
    """Drops the types that nobody holds: a loop over the rows of a matrix makes one for each row.

    Without views and leaves they are in no cycle, so they may stay hidden from the collector.
    """
    for t in list(_types.values()):
        t.views.clear()
    hidden = _hiding.hidden
    for at, key in enumerate(list(_types)):
        if _references(_types, key) <= _UNHELD and not _types[key].leaves:
            del _types[key]
            _hiding.hidden -= at < hidden
    _limit[0] = max(_MANY, 2 * len(_types))


def _references(table: dict[Any, Any], key: Any) -> int:
    return getrefcount(table[key])


_UNHELD = _references({0: object()}, 0)  # references to what is in a table alone


@lru_cache(8192)
def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides; a dimension of size 0 counts as 1, as in PyTorch."""
    sizes = shape[:0:-1] if 0 not in shape else [max(n, 1) for n in shape[:0:-1]]
    return tuple(accumulate(sizes, mul, initial=1))[::-1] if shape else ()


@twin
def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Row-major without gaps; dimensions of size 1 do not matter."""
    if 0 in shape:
        return True
    step = 1
    for n, s in zip(reversed(shape), reversed(strides)):
        if n != 1:
            if s != step:
                return False
            step *= n
    return True


@twin
def is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Some permutation of the dimensions is row-major without gaps ("non-overlapping and dense")."""
    if 0 in shape:
        return True
    step = 1
    for s, n in sorted([(s, n) for n, s in zip(shape, strides) if n != 1]):
        if s != step:
            return False
        step *= n
    return True


def overlaps_itself(t: Ty) -> bool:
    """Do two elements share memory (as after ``expand``)? Exact for what views can make by PyTorch's rule."""
    return not t.dense and t.numel > 0 and any([n > 1 and s == 0 for n, s in zip(t.shape, t.strides)])  # noqa: C419


@lru_cache(8192)
def repeating_dim(t: Ty) -> int | None:
    """The dimension of windows that share elements (``unfold`` with a step below its size), if there is one.

    Strides of 0, which PyTorch refuses to write to, do not count.
    """
    if t.dense or t.numel == 0 or 0 in t.strides:
        return None
    reach = 1
    for s, n, d in sorted((s, n, d) for d, (n, s) in enumerate(zip(t.shape, t.strides)) if n != 1):
        if s < reach:
            return d
        reach = s * (n - 1) + reach
    return None


def permuted_strides(shape: tuple[int, ...], order: list[int] | tuple[int, ...]) -> tuple[int, ...]:
    """Dense strides with ``order`` listing the dimensions from the innermost to the outermost."""
    strides, step = [0] * len(shape), 1
    for d in order:
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


def like(t: Ty, dt: dtype | None = None) -> Ty:
    """The type that ``empty_like`` gives: the same strides if dense, else the order of dimensions kept."""
    dt = dt or t.dtype
    strides = t.strides if t.dense else permuted_strides(t.shape, stride_order([t], t.shape))
    return beside(ty(t.shape, dt, strides), t)


def integers_type(t: Ty, index: Any) -> Ty | None:
    """The type of the view at an integer or a tuple of some; None for what is none, or out of range."""
    if type(index) is tuple:
        for i in index:
            if type(i) is not int:
                return None
    known = t.views.get(index)
    if known is None:
        items: Any = index if type(index) is tuple else (index,)
        if not 0 < len(items) <= t.ndim:
            return None
        offset = t.offset
        for i, n, step in zip(items, t.shape, t.strides):
            if not -n <= i < n:
                return None
            offset += (i if i >= 0 else i + n) * step
        known = t.views[index] = _within(t, len(items)).moved(offset)
    return known


def _within(t: Ty, count: int) -> Ty:
    """The type of what the first so many dimensions count, at the beginning of memory."""
    key = "within", count
    known = t.views.get(key)
    if known is None:
        known = t.views[key] = lazily(beside(ty(t.shape[count:], t.dtype, t.strides[count:]), t), t.lazy)
    return known


def stride_order(tys: list[Ty] | tuple[Ty, ...], shape: tuple[int, ...]) -> list[int]:
    """Dimensions from the innermost out, as PyTorch's TensorIterator orders them over its operands."""
    n = len(shape)
    aligned = [_aligned_strides(t, shape) for t in tys]
    order = list(range(n - 1, -1, -1))
    for i in range(1, n):
        at = i
        for j in range(i - 1, -1, -1):
            how = _compare(aligned, shape, order[j], order[at])
            if how > 0:
                order[j], order[at] = order[at], order[j]
                at = j
            elif how < 0:
                break
    return order


def _aligned_strides(t: Ty, shape: tuple[int, ...]) -> tuple[int, ...]:
    lead = len(shape) - t.ndim
    own = tuple(0 if m == 1 and n != 1 else s for m, n, s in zip(t.shape, shape[lead:], t.strides))
    return (0,) * lead + own


def _compare(aligned: list[tuple[int, ...]], shape: tuple[int, ...], a: int, b: int) -> int:
    """1 to swap, -1 in order, 0 ambiguous: the first operand that tells decides."""
    for strides in aligned:
        x, y = strides[a], strides[b]
        if x == 0 or y == 0:
            continue
        if x != y:
            return -1 if x < y else 1
        if shape[a] > shape[b]:
            return 1
    return 0
