"""Small writes in place that are done at once, on memory at rest, with the bits that a recorded write would leave.

One element is computed in Python's doubles: of float32 the sum, difference, product and quotient of two numbers are the
same whether they are rounded once or by way of a double, as a double has more than twice as many digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from ..compiler.flight import let_be
from ..compiler.numpy_along import places
from ..dtypes import bool_, dtype, int64
from ..graph.epoch import Epoch, Turn, is_parameter, threads
from ..graph.node import Operator
from ..graph.placing import SMALL, window
from ..graph.realisation import at_hand, realised
from ..graph.resting import Range, make, range_of, readable, rests, waited, writable, written
from ..graph.storage import Storage, refuse_inference_write
from ..graph.tensor_base import TensorBase, new_tensor
from ..graph.types import Ty, like, overlaps_itself, repeating_dim, ty

ARITHMETIC: dict[Operator, Callable[[Any, Any], Any]] = {}  # operators on one element as Python's
FILLING: dict[Operator, Any] = {}  # operators that overwrite: 0 for what writes zeros, else None
AT_ONCE: set[Operator] = set()  # all of these
COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {}
ON_INTEGERS: dict[Operator, Callable[[Any, Any], np.ndarray]] = {}  # operators on few integers as NumPy's

MANY, BULK = 8, 2**18  # how many tensors are a batch, and of how many elements; the rest is recorded
EDGE = 2.0**63  # the first number that int64 does not hold

_single = np.zeros(1, np.float32)


def at_once(
    arithmetic: dict[Operator, Callable[[Any, Any], Any]] | None = None, filling: dict[Operator, Any] | None = None
) -> None:
    """Makes small writes of these operators be done at once."""
    ARITHMETIC.update(arithmetic or {})
    FILLING.update(filling or {})
    AT_ONCE.update(ARITHMETIC, FILLING)


def write(op: Operator, x: TensorBase, others: tuple[Any, ...], epoch: Epoch) -> bool:
    """Writes ``op(x, *others)`` into ``x`` if that can be done at once; x has at most ``SMALL`` elements."""
    if op in FILLING and x._ty.numel != 1 and is_parameter(x) and not epoch.grad:
        return _initialise(x, others[0] if others else FILLING[op], epoch)
    held = _element_range(x, epoch)
    if held is None:
        return False
    if op in ARITHMETIC:
        return _compute(op, x, others[0], held, epoch)
    zero = FILLING[op]
    y = others[0] if zero is None else zero
    return _copy(x, y, epoch) if isinstance(y, TensorBase) else _fill(x, held.stored(y), epoch)


def fill(x: TensorBase, value: Any) -> bool:
    """Writes a Python number everywhere if that can be done at once."""
    if x._ty.numel > SMALL:
        return False
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return fill(x, value)
    held = _element_range(x, epoch)
    return held is not None and _fill(x, held.stored(value), epoch)


def _initialise(x: TensorBase, value: Any, epoch: Epoch) -> bool:
    """Fills a parameter at once: its first reader shall find memory, as all later ones will, not a constant."""
    held, s = range_of(x._ty.dtype), x._s
    stored = None if held is None or isinstance(value, TensorBase) else held.stored(value)
    if stored is None or not (rests(s, epoch) or (s.pending and make(s, epoch))):
        return False
    let_be(s.raw)[...] = stored
    written(x, epoch)
    return True


def _element_range(x: TensorBase, epoch: Epoch) -> Range | None:
    """What numbers ``x`` holds; None if its elements cannot be written at once, be its memory at rest or not."""
    s, t = x._s, x._ty
    if not t.numel or t.stored is not s.ty.dtype or has_history(x, epoch):
        return None
    if t.numel != 1 and (t is s.ty or overlaps_itself(t) or repeating_dim(t) is not None):
        return None
    return range_of(t.dtype)


def has_history(x: TensorBase, epoch: Epoch) -> bool:
    """Would autograd see what is done with ``x``?"""
    return epoch.grad and (x._e is not None or (x._view is not None and x._view.base._e is not None))


def _fill(x: TensorBase, value: Any, epoch: Epoch) -> bool:
    if value is None or not writable(x._s, epoch):
        return False
    if x._ty.numel == 1:
        let_be(x._s.raw)[x._ty.offset] = value
    else:
        window(let_be(x._s.raw), x._ty)[...] = value
    written(x, epoch)
    return True


def _copy(x: TensorBase, y: TensorBase, epoch: Epoch) -> bool:
    """Copies values that are at hand."""
    t, u = x._ty, y._ty
    if not (u.dtype is t.dtype or converts(u.dtype, t.dtype)) or u.stored is not y._s.ty.dtype or has_history(y, epoch):
        return False
    if u.shape != t.shape and (u.numel != 1 or u.ndim > t.ndim) or (y._s is x._s and not _are_apart(t, u)):
        return False
    if not _at_hand(y, epoch) or not writable(x._s, epoch):
        return False
    if u.numel == 1:
        u = ty((), u.dtype, (), u.offset)
    put(window(let_be(x._s.raw), t), window(y._s.seen, u))
    written(x, epoch)
    return True


def put(part: np.ndarray, values: Any) -> None:
    """Copies values, rounded to the dtype of the part: what is too large becomes infinite, without a warning."""
    if part.dtype is values.dtype or values.dtype.kind != "f":
        part[...] = values
    else:
        with np.errstate(all="ignore"):
            part[...] = values


def converts(source: dtype, target: dtype) -> bool:
    """Are numbers converted so by NumPy to the bits of a program? To floats, rounded once, and from and to bool."""
    try:
        return _CONVERSIONS[source, target]
    except KeyError:
        known = range_of(source) is not None and range_of(target) is not None
        good = target.kind in "fb" or (source.kind == "b" and target.kind in "iu")
        return _CONVERSIONS.setdefault((source, target), known and good)


_CONVERSIONS: dict[tuple[dtype, dtype], bool] = {}


def _are_apart(t: Ty, u: Ty) -> bool:
    """Are these types of the same memory certain to share no element, but possibly their only one?"""
    if t.numel == 1 and u.numel == 1:
        return True
    return t.dense and u.dense and (t.offset + t.numel <= u.offset or u.offset + u.numel <= t.offset)


def _at_hand(y: TensorBase, epoch: Epoch) -> bool:
    s = y._s
    return (not s.pending or waited(epoch)) and s.raw is not None and not s.pending


def _compute(op: Operator, x: TensorBase, y: Any, held: Range, epoch: Epoch) -> bool:
    b = _operand(y, x._ty, held, epoch)
    if b is None or not writable(x._s, epoch):
        return False
    at, memory = x._ty.offset, let_be(x._s.raw)
    value = result(op, memory.item(at), b, held)
    if value is None:
        return False
    memory[at] = value
    written(x, epoch)
    return True


def _operand(y: Any, t: Ty, held: Range, epoch: Epoch) -> Any:
    """A number or the value of a tensor as the operand of one element of type ``t``; None if it is not at hand."""
    if not isinstance(y, TensorBase):
        value = held.stored(y)
        return None if value is None else rounded(value, held)
    u, s = y._ty, y._s
    if u.dtype is not t.dtype or u.numel != 1 or u.ndim > t.ndim or u.stored is not s.ty.dtype or not readable(s):
        return None
    return None if has_history(y, epoch) else s.raw.item(u.offset)  # type: ignore[union-attr]


def rounded(value: Any, held: Range) -> Any:
    """A number as an operand of this dtype."""
    if held.single:
        _single[0] = value
        return _single.item(0)
    return value


def result(op: Operator, a: Any, b: Any, held: Range) -> Any:
    """``a op b`` of two numbers of a dtype, to be stored in it; None if that takes more than Python's arithmetic."""
    if held.kind == "b":
        return None
    try:
        value = ARITHMETIC[op](a, b)
    except ZeroDivisionError:
        return None
    if held.kind == "f":
        return value if held.least <= value <= held.greatest and isfinite(value) else None
    return value if type(value) is int and held.least <= value <= held.greatest else None


def scalar(op: Operator, x: TensorBase, y: Any) -> Any:
    """``op(x, y)`` of a tensor without dimensions and a number or another one, if the values are at hand."""
    epoch, s, t = threads.epoch, x._s, x._ty
    if epoch.crowded:
        with Turn(epoch):
            return scalar(op, x, y)
    held = range_of(t.dtype)
    if held is None or not readable(s) or t.stored is not s.ty.dtype or has_history(x, epoch):
        return None
    b = _operand(y, t, held, epoch)
    if b is None:
        return None
    at = s.raw.item(t.offset)  # type: ignore[union-attr]
    if op in COMPARISONS:
        return _fresh(COMPARISONS[op](at, b), bool_)
    value = result(op, at, b, held)
    return None if value is None else _fresh(value, t.dtype)


def function(op: Operator, x: Any) -> Any:
    """``op(x)`` of a tensor of floats without dimensions, if its value is at hand and it has one; None otherwise."""
    epoch, s, t = threads.epoch, x._s, x._ty
    if epoch.crowded:
        with Turn(epoch):
            return function(op, x)
    dt = t.dtype
    if dt.kind != "f" or range_of(dt) is None or t.stored is not s.ty.dtype or not readable(s) or has_history(x, epoch):
        return None
    f = at_hand[0](op, dt)
    if f is None:
        return None
    with np.errstate(all="ignore"):
        value = f(s.raw[t.offset : t.offset + 1])
    t = ty((), dt)
    return new_tensor(Storage.of(t, None, value), t)


def join(xs: Sequence[TensorBase], t: Ty, dim: int, put: Callable[..., Any] = np.concatenate) -> Any:
    """Tensors side by side along ``dim``, as one of type ``t``, if all are at hand: few integers, or many tensors.

    ``put`` is NumPy's function; ``np.stack`` makes a new dimension.

    A sampler appends tokens so: recorded, each length would be another program. Many tensors are a batch of samples,
    which lie at other places every time, and some of which are the same ones.
    """
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return join(xs, t, dim, put)
    many = len(xs) >= MANY
    if not t.contiguous or t.numel > (BULK if many else SMALL) or epoch.sampling is not None:
        return None
    ndim = t.ndim - (put is np.stack)
    for x in xs:
        own = x._ty
        if own.stored is not t.dtype or x._s.ty.dtype is not t.dtype or own.ndim != ndim or not readable(x._s):
            return None
        if many and (x._e is not None or has_history(x, epoch)):
            return None
    flat = put([window(x._s.seen, x._ty) for x in xs], dim).reshape(-1)
    return new_tensor(Storage.of(t, None, flat), t)


def is_batch(xs: Sequence[TensorBase]) -> bool:
    """Are these many tensors of numbers that NumPy knows?"""
    return len(xs) >= MANY and range_of(xs[0]._ty.dtype) is not None


def as_integers(x: TensorBase) -> Any:
    """A few numbers at hand as int64, laid out like ``x``; None where it is recorded, as for what int64 does not hold.

    Integers are mostly indices or labels, whose values are looked at when they are used.
    """
    s, t = x._s, x._ty
    if s.pending or s.raw is None or threads.epoch.crowded:
        return None
    u = t.views.get("int64")
    if u is None:
        u = t.views["int64"] = like(t, int64)
    if not (0 < t.numel <= SMALL and t.contiguous and u.contiguous) or not readable(s):
        return None
    if t.stored is not s.ty.dtype or range_of(t.dtype) is None:
        return None
    flat = s.raw[t.offset : t.offset + t.numel]
    if t.dtype.kind == "f" and not (flat.item(flat.argmin()) >= -EDGE and flat.item(flat.argmax()) < EDGE):
        return None
    return new_tensor(Storage.of(u, None, flat.astype(np.int64)), u)


def copied(x: TensorBase, t: Ty) -> Any:
    """A copy of a few integers at hand, row by row as ``t`` says; None where it is recorded, as all else is."""
    s, own = x._s, x._ty
    if s.pending or s.raw is None or own.dtype.kind not in "iub" or threads.epoch.crowded:
        return None
    if not (0 < own.numel <= SMALL and t.contiguous) or own.stored is not s.ty.dtype or not readable(s):
        return None
    if range_of(own.dtype) is None:
        return None
    return new_tensor(Storage.of(t, None, np.array(window(s.raw, own), order="C").reshape(-1)), t)


def integers(op: Operator, x: TensorBase, y: Any) -> Any:
    """``op(x, y)`` of a few numbers of int64 at hand, and an integer or as many; None where it is recorded.

    They are mostly indices and labels, whose values are looked at when they are used.
    """
    function, s, t = ON_INTEGERS.get(op), x._s, x._ty
    if function is None or s.pending or not 0 < t.numel <= SMALL or threads.epoch.crowded:
        return None
    if not (t.contiguous or t.ndim == 1) or not (t.stored is s.ty.dtype is int64) or not readable(s):
        return None
    b = y
    if isinstance(y, TensorBase):
        u = y._ty
        if u.stored is not int64 or u.shape != t.shape or not (u.contiguous or u.ndim == 1):
            return None
        if y._s.ty.dtype is not int64 or not readable(y._s):
            return None
        b = window(y._s.raw, u)
    elif type(y) is not int or not -EDGE <= y < EDGE:
        return None
    u = ty(t.shape, int64)
    return new_tensor(Storage.of(u, None, function(window(s.raw, t), b).reshape(-1)), u)


def summed(x: TensorBase, dim: int) -> Any:
    """Running sums of a few numbers of int64 at hand along a dimension; None where they are recorded.

    Tokens are counted so, by a mask that grows with the text: recorded, each length would be another program. It
    begins as ones, which become memory here.
    """
    s, t, epoch = x._s, x._ty, threads.epoch
    if not (0 < t.numel <= SMALL and t.ndim) or epoch.crowded or not (t.stored is s.ty.dtype is int64):
        return None
    if s.pending and not (s.ty.numel <= SMALL and make(s, epoch)) or not readable(s):
        return None
    u = ty(t.shape, int64)
    return new_tensor(Storage.of(u, None, np.cumsum(window(s.raw, t), dim).reshape(-1)), u)


def picked(x: TensorBase, dim: int, index: TensorBase) -> Any:
    """``gather`` of few integers at hand, at an index that is in range; None where it is recorded, as all else is.

    Decoders follow their back pointers so, a step at a time, and look at each.
    """
    s, t, at, i = x._s, x._ty, index._s, index._ty
    if at.pending or s.pending or t.dtype.kind not in "iub" or threads.epoch.crowded:
        return None
    if not (0 < i.numel <= SMALL and t.numel <= SMALL and t.contiguous) or i.stored is not int64:
        return None
    if not i.ndim == t.ndim > 0 or t.stored is not s.ty.dtype or at.ty.dtype is not int64 or range_of(t.dtype) is None:
        return None
    if any([n > m for d, (n, m) in enumerate(zip(i.shape, t.shape)) if d != dim]):  # noqa: C419
        return None
    if not (readable(s) and readable(at)):
        return None
    where = places(t.shape, window(at.raw, i), dim)
    if where is None:
        return None
    flat = s.raw[t.offset : t.offset + t.numel].take(where.reshape(-1))  # type: ignore[index]
    u = ty(i.shape, t.dtype)
    return new_tensor(Storage.of(u, None, flat), u)


def add_slices(x: TensorBase, dim: int, index: TensorBase, source: TensorBase) -> bool:
    """``x.index_add_(dim, index, source)`` if that can be done at once; the index is computed if it is pending."""
    epoch, s, t, i, u = threads.epoch, x._s, x._ty, index._ty, source._ty
    if epoch.crowded or epoch.sampling is not None:
        return False
    key = t, dim, i, u
    axis = _slices.get(key)
    if axis is None:
        if len(_slices) > MOST:
            _slices.clear()
        axis = _slices[key] = _slice_axis(t, dim, i, u)
    at, from_ = index._s, source._s
    if axis < 0 or from_ is s or at is s or has_history(x, epoch) or has_history(source, epoch):
        return False
    if not (t.stored is s.ty.dtype is from_.ty.dtype is u.stored and i.stored is at.ty.dtype):
        return False
    if at.pending:
        realised(at)
    if not (readable(at) and readable(from_)) or not (rests(s, epoch) or (s.pending and make(s, epoch))):
        return False
    places = window(at.raw, i)
    if not within(places, t.shape[axis]):
        return False
    memory, values = window(let_be(s.raw), t), window(from_.raw, u)
    if axis:
        memory, values = memory.swapaxes(0, axis), values.swapaxes(0, axis)
    _add_at(memory, places, values)
    written(x, epoch)
    return True


_add_at = np.errstate(all="ignore")(np.add.at)


def within(at: np.ndarray, n: int) -> bool:
    """Are these int64 indices all in ``0 ≤ i < n``? Of a few, ``argmax`` takes a fifth of the time of ``max``."""
    if not at.size:
        return True
    flat = at.view(np.uint64)  # negative ones are large
    return bool(flat.item(flat.argmax()) < n)


def _slice_axis(t: Ty, dim: int, i: Ty, u: Ty) -> int:
    """Along which axis slices of type ``u`` are added to something small at indices of type ``i``; -1 for all else."""
    if not t.ndim or t.ndim != u.ndim or i.ndim != 1 or i.dtype is not int64 or not 0 < u.numel <= SMALL:
        return -1
    held = range_of(t.dtype)
    if held is None or held.kind == "b" or u.dtype is not t.dtype or overlaps_itself(t):
        return -1
    if type(dim) is not int or not -t.ndim <= dim < t.ndim:
        return -1
    axis = dim % t.ndim
    return axis if (*t.shape[:axis], i.numel, *t.shape[axis + 1 :]) == u.shape else -1


_slices: dict[tuple[Ty, int, Ty, Ty], int] = {}
MOST = 10_000


def _fresh(value: Any, dt: dtype) -> Any:
    """A tensor of one number, computed."""
    t = ty((), dt)
    return new_tensor(Storage.of(t, None, np.array((value,), dt.np)), t)


def position(t: Ty, index: Any) -> int:
    """Where in memory the element at an index of plain integers is, one for each dimension; -1 if it is none."""
    if type(index) is int:
        index = (index,)
    if len(index) != t.ndim or (index and type(index[-1]) is slice):
        return -1
    at = t.offset
    for i, n, step in zip(index, t.shape, t.strides):
        if type(i) is not int or not -n <= i < n:
            return -1
        at += (i if i >= 0 else i + n) * step
    return at


def assign(x: TensorBase, index: Any, value: Any) -> bool:
    """``x[index] = value`` for an element, if that can be done at once; ``index`` is an integer or a tuple."""
    epoch, s, t = threads.epoch, x._s, x._ty
    if epoch.crowded:
        with Turn(epoch):
            return assign(x, index, value)
    at = position(t, index)
    if at < 0:
        return False
    if has_history(x, epoch):
        return False
    if isinstance(value, TensorBase):
        return _assign_tensor(x, at, value, epoch)
    held = range_of(t.dtype)
    if held is None or t.stored is not s.ty.dtype:
        return False
    stored = held.stored(value)
    if stored is None or not writable(s, epoch):
        return False
    let_be(s.raw)[at] = stored
    written(x, epoch)
    return True


def assign_part(x: TensorBase, index: tuple[Any, ...], value: Any) -> bool:
    """``x[index] = value`` for a part under integers and slices, if nothing pending stands in the way.

    No view is made for it: each would have a type of its own.
    """
    epoch, s, t = threads.epoch, x._s, x._ty
    if epoch.crowded:
        with Turn(epoch):
            return assign_part(x, index, value)
    held = range_of(t.dtype)
    if held is None or not t.dense or t.stored is not s.ty.dtype or has_history(x, epoch):
        return False
    source = _source(value, x, held, epoch)
    if source is None or not is_plain(t, index) or not (rests(s, epoch) or (s.pending and make(s, epoch))):
        return False
    part = window(let_be(s.raw), t)[index]
    if not 0 < part.size <= SMALL or part.size == s.ty.numel:
        return False
    if isinstance(source, TensorBase):
        if source._ty.shape != part.shape:
            return False
        put(part, window(source._s.seen, source._ty))
    else:
        part[...] = source
    written(x, epoch)
    return True


def _source(value: Any, x: TensorBase, held: Range, epoch: Epoch) -> Any:
    """What is written: a number as it is stored, or a tensor in other memory that is at hand; None for all else."""
    if not isinstance(value, TensorBase):
        return held.stored(value)
    own, dt, s = value._ty.dtype, x._ty.dtype, value._s
    if value._ty.stored is not s.ty.dtype or not (own is dt or converts(own, dt)):
        return None
    if s is x._s or has_history(value, epoch):
        return None
    return value if readable(s) else None


def is_plain(t: Ty, index: tuple[Any, ...]) -> bool:
    """Are these integers within a type's sizes and slices that go forward, at least one?"""
    if len(index) > t.ndim:
        return False
    slices = len(index) < t.ndim
    for i, n in zip(index, t.shape):
        if type(i) is slice:
            slices = True
            if i.step is not None and (type(i.step) is not int or i.step < 1):
                return False
        elif type(i) is not int or not -n <= i < n:
            return False
    return slices


def _assign_tensor(x: TensorBase, at: int, value: TensorBase, epoch: Epoch) -> bool:
    s, t, u = x._s, x._ty, value._ty
    if u.ndim or not (u.dtype is t.dtype or converts(u.dtype, t.dtype)) or has_history(value, epoch):
        return False
    if value._s is s and u.offset == at and u.lazy == t.lazy:  # after ``x[index] += y``: it lies there already
        refuse_inference_write(s)
        (x._vc or s).version += 1
        return True
    if t.stored is not s.ty.dtype or u.stored is not value._s.ty.dtype or range_of(t.dtype) is None:
        return False
    if not _at_hand(value, epoch) or not writable(s, epoch):
        return False
    put(let_be(s.raw)[at : at + 1], value._s.seen[u.offset : u.offset + 1])  # type: ignore[index]
    written(x, epoch)
    return True
