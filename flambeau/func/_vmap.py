"""``vmap``: a function of single samples as a function of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flambeau as torch
from flambeau.func._tree import broadcast_to, flatten, unflatten
from flambeau.graph.epoch import threads
from flambeau.graph.realisation import realised
from flambeau.graph.sampling import NotTogether
from flambeau.graph.types import CONJ, NEG
from flambeau.ops._batched_draws import Batch, Different, Refused, Same, running
from flambeau.ops._samples import Samples, alone

__all__ = ["vmap"]

_DIM = (int, type(None))


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """``func`` over a batch: what it computes of one sample is computed of all at once.

    ``func`` is called once, and what it records is recorded again for the batch (``flambeau.ops._samples``). Where it
    asks for values, writes to what is not its own, or draws with parameters that differ, it is called once for each
    sample, and the results are stacked. Results that are views of the batch are a view of it, unless gradients flow
    through them.

    Args:
        func: a function of tensors, possibly nested in containers, that gives such.
        in_dims: the batch dimension of each argument, as a number, or nested like the arguments; None for no batch.
        out_dims: where the batch dimension of the results goes; None for a result that is the same for all samples.
        randomness: with ``"different"`` each sample has its part of the numbers that PyTorch draws for the batch
            (where a draw's parameters are tensors, samples draw one after the other); with ``"same"`` all draw the
            same; with ``"error"`` drawing is refused.
        chunk_size: how many samples are computed at once; None for all. Less memory is needed then; each chunk draws
            its random numbers as a batch of its own.

    Raises:
        RuntimeError: ``randomness`` is unknown.
        ValueError: ``chunk_size`` is not positive; or, when called, ``in_dims`` does not fit the arguments, batch sizes
            differ, or ``out_dims`` does not fit the results.
    """
    if randomness not in _DRAWS:
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        _check_out_dims(func, out_dims)
        leaves, dims, size = _batch(func, args, in_dims)
        if not size:
            with torch.random.fork_rng(devices=[]):
                return _stacked(func, [func(*unflatten(args, _zeros(leaves, dims)), **kwargs)], out_dims, 0)
        batch = _Batch(func, args, kwargs, leaves, dims, size)
        if chunk_size is None or chunk_size >= size:
            return batch.result(out_dims, randomness)
        return _chunked(batch, chunk_size, out_dims, randomness)

    return run


def _chunked(batch: _Batch, count: int, out_dims: Any, randomness: str) -> Any:
    """The results of so many samples at a time, side by side."""
    state = torch.get_rng_state() if randomness == "same" else None
    results = []
    for part in batch.parts(count):
        if state is not None:
            torch.set_rng_state(state)
        results.append(part.result(out_dims, randomness))
    dims = _out_dims(batch.func, results[0], out_dims)
    columns = zip(*[flatten(r) for r in results])
    return unflatten(results[0], [c[0] if d is None else torch.cat(c, d) for c, d in zip(columns, dims)])


class _Batch(NamedTuple):
    """A call: the leaves of its arguments, and the dimension of each that has the samples, or None."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leaves: list[Any]
    dims: list[Any]
    size: int

    def parts(self, count: int) -> Iterator[_Batch]:
        """The calls of so many samples each, the last of what is left."""
        for start in range(0, self.size, count):
            n = min(count, self.size - start)
            leaves = [x if d is None else x.narrow(d, start, n) for x, d in zip(self.leaves, self.dims)]
            yield self._replace(leaves=leaves, size=n)

    def result(self, out_dims: Any, randomness: str) -> Any:
        """What the function gives for all samples."""
        draws = _DRAWS[randomness](self.size)
        running.batches.append(draws)
        try:
            with alone():
                return self.together(out_dims, draws)
        except NotTogether:
            return _stacked(self.func, self.one_by_one(draws), out_dims, self.size)
        finally:
            running.batches.pop()

    def one_by_one(self, draws: Batch) -> list[Any]:
        """What each sample gives."""
        results = []
        for i in range(self.size):
            draws.begin(i)
            sample = [x if d is None else x.select(d, i) for x, d in zip(self.leaves, self.dims)]
            results.append(self.func(*unflatten(self.args, sample), **self.kwargs))
        return results

    def together(self, out_dims: Any, draws: Batch | None = None) -> Any:
        """The result for all samples, from what one gives.

        Raises:
            NotTogether: that cannot be told of all.
        """
        _compute_integers(self.leaves)
        with Samples(self.size, draws=draws) as samples:
            sample = [x if d is None else samples.sample(x, d) for x, d in zip(self.leaves, self.dims)]
            result = self.func(*unflatten(self.args, sample), **self.kwargs)
            outs = flatten(result)
            taken = [samples.take(x) if isinstance(x, torch.Tensor) else None for x in outs]
        dims = _out_dims(self.func, result, out_dims)
        found = [None if x is None else samples.all_of(x) for x in taken]
        seen = [None if x is None else _seen(samples, y) for x, y in zip(taken, outs)]
        every = [b if a is None else a for a, b in zip(seen, found)]
        samples.check()
        return unflatten(result, [_placed(self.func, *one, self.size) for one in zip(outs, every, dims)])


def _compute_integers(leaves: list[Any]) -> None:
    """Has integers computed: as indices, they are checked before anything is recorded."""
    if threads.epoch.sampling is None:
        for x in leaves:
            if isinstance(x, torch.Tensor) and x.dtype in (torch.int64, torch.int32):
                realised(x._s)


def _seen(samples: Samples, x: Any) -> Any:
    """The view of an argument that a result is, unless gradients flow through it.

    Raises:
        NotTogether: what was recorded is a copy of that argument.
    """
    given = None if x.requires_grad else samples.input_seen(x)
    if given is None or x.dtype is not given.one.dtype:
        return None
    if given.every._s is not given.tensor._s:
        raise NotTogether
    strides = (given.step, *x.stride())
    offset = given.every.storage_offset() + x.storage_offset()
    view = given.every.as_strided((samples.size, *x.shape), strides, offset)
    changed = x._ty.lazy ^ given.one._ty.lazy
    view = view.conj() if changed & CONJ else view
    return view._neg_view() if changed & NEG else view


def _placed(func: Any, x: Any, every: Any, dim: int | None, size: int) -> Any:
    """A result of all samples, with the samples along ``dim``; ``x`` is that of one."""
    if dim is None:
        if every is not None:
            _refuse_batched(func)
        return x
    if not isinstance(x, torch.Tensor):
        _refuse_type(func, x)
    if every is None:
        return _with(x, dim, lambda shape, at: x.unsqueeze(at).expand([*shape[:at], size, *shape[at:]]))
    return _with(x, dim, lambda _, at: every.movedim(0, at) if at else every)


def _zeros(leaves: list[Any], dims: list[Any]) -> list[Any]:
    """A sample for an empty batch: from what it gives follow the shapes of the results."""
    return [x if d is None else x.new_zeros([*x.shape[:d], *x.shape[d + 1 :]]) for x, d in zip(leaves, dims)]


_DRAWS: dict[str, Callable[[int], Batch]] = {"error": Refused, "different": Different, "same": Same}


# ---- arguments


def _spec(tree: Any) -> Any:
    return torch.utils._pytree.tree_flatten(tree)[1]


def _name(func: Any) -> str:
    if isinstance(func, functools.partial):
        return f"functools.partial({_name(func.func)}, ...)"
    return getattr(func, "__name__", repr(func))


def _batch(func: Any, args: tuple[Any, ...], in_dims: Any) -> tuple[list[Any], list[Any], int]:
    """The leaves of the arguments, the batch dimension of each, the batch size."""
    told = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{told}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    leaves, dims = flatten(args), broadcast_to(in_dims, args, _DIM)
    if dims is None:
        raise ValueError(
            f"{told}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{_spec(in_dims)} but inputs has structure {_spec(args)}."
        )
    dims = [_checked_dim(told, x, d) for x, d in zip(leaves, dims)]
    sizes = [x.shape[d] for x, d in zip(leaves, dims) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} "
            "for the mapped dimension"
        )
    return leaves, dims, sizes[0]


def _checked_dim(told: str, x: Any, dim: int | None) -> int | None:
    if dim is None:
        return None
    if not isinstance(x, torch.Tensor):
        raise ValueError(
            f"{told}Got in_dim={dim} for an input but the input is of type {type(x)}. We cannot vmap over "
            "non-Tensor arguments, please use None as the respective in_dim"
        )
    if not -x.dim() <= dim < x.dim():
        raise ValueError(
            f"{told}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {x.dim()} so "
            f"expected in_dim to satisfy -{x.dim()} <= in_dim < {x.dim()}."
        )
    return dim % x.dim()


# ---- results


def _check_out_dims(func: Any, out_dims: Any) -> None:
    for dim in flatten(out_dims):
        if not isinstance(dim, _DIM):
            raise ValueError(
                f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python "
                "collection of ints representing where in the outputs the vmapped dimension should appear."
            )


def _out_dims(func: Any, first: Any, out_dims: Any) -> list[Any]:
    """The batch dimension of each leaf of a result, of which ``first`` is that of one sample."""
    spec = out_dims[0] if isinstance(first, torch.Tensor) and _is_single(out_dims) else out_dims
    dims = None if isinstance(first, torch.Tensor) and not isinstance(spec, _DIM) else broadcast_to(spec, first, _DIM)
    if dims is None:
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure "
            f"of `outputs`. out_dims has structure {_spec(out_dims)} but outputs has structure {_spec(first)}."
        )
    return dims


def _stacked(func: Any, results: list[Any], out_dims: Any, size: int) -> Any:
    dims = _out_dims(func, results[0], out_dims)
    columns = zip(*(flatten(r) for r in results))
    return unflatten(results[0], [_joined(func, column, dim, size) for column, dim in zip(columns, dims)])


def _is_single(out_dims: Any) -> bool:
    return isinstance(out_dims, tuple) and len(out_dims) == 1


def _refuse_batched(func: Any) -> None:
    raise ValueError(f"vmap({_name(func)}, ...): `{_name(func)}` can not return a BatchedTensor when out_dim is None")


def _refuse_type(func: Any, x: Any) -> None:
    raise ValueError(
        f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type {type(x)}. Did you mean to "
        "set out_dims= to None for output?"
    )


def _joined(func: Any, column: tuple[Any, ...], dim: int | None, size: int) -> Any:
    """One result of all samples, from those one by one."""
    x = column[0]
    if dim is None:
        if isinstance(x, torch.Tensor) and not all(y is x or torch.equal(x, y) for y in column):
            _refuse_batched(func)
        return x
    if not isinstance(x, torch.Tensor):
        _refuse_type(func, x)
    if not size:
        return _with(x, dim, lambda shape, at: x.new_empty([*shape[:at], 0, *shape[at:]]))
    if all(y is x for y in column):
        return _with(x, dim, lambda shape, at: x.unsqueeze(at).expand([*shape[:at], size, *shape[at:]]))
    return _with(x, dim, lambda _, at: _view(column, at)) if _is_view(column) else torch.stack(column, dim)


def _with(x: Any, dim: int, make: Callable[[Any, int], Any]) -> Any:
    """``make`` of the shape of ``x`` and the place of a new dimension."""
    count = x.dim() + 1
    if not -count <= dim < count:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-count}, {x.dim()}], but got {dim})")
    return make(x.shape, dim % count)


def _is_view(column: tuple[Any, ...]) -> bool:
    """Do the samples' results lie in one memory, in equal steps, and without gradients?"""
    x, base = column[0], column[0]._base
    if base is None or any(y.requires_grad for y in column) or base.requires_grad:
        return False
    if base.dtype is not x.dtype or x.is_conj() or x.is_neg():
        return False
    step = column[1].storage_offset() - x.storage_offset()
    return all(
        y._base is base
        and y.shape == x.shape
        and y.stride() == x.stride()
        and y.storage_offset() == x.storage_offset() + i * step
        and step >= 0
        for i, y in enumerate(column)
    )


def _view(column: tuple[Any, ...], at: int) -> Any:
    x, step = column[0], column[1].storage_offset() - column[0].storage_offset()
    shape, strides = list(x.shape), list(x.stride())
    shape.insert(at, len(column))
    strides.insert(at, step)
    return x._base.as_strided(shape, strides, x.storage_offset())
