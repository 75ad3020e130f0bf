"""``vmap``: a function of single samples as a function of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.func._tree import broadcast_to, flatten, unflatten

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
    """``func`` over a batch: it is called once for each sample, and the results are stacked.

    That is a loop, whose operators are compiled together like any others; results and gradients are those of the
    samples one by one.

    Args:
        func: a function of tensors, possibly nested in containers, that gives such.
        randomness: with ``"different"`` each sample draws its own numbers, one after the other, which are not those
            that PyTorch draws for a batch; with ``"same"`` all draw the same; with ``"error"`` drawing is refused.
        in_dims: the batch dimension of each argument, as a number, or nested like the arguments; None for no batch.
        out_dims: where the batch dimension of the results goes.
        chunk_size: accepted; the loop needs no chunks.

    Raises:
        RuntimeError: ``randomness`` is unknown.
        ValueError: (when called) ``in_dims`` does not fit the arguments, or batch sizes differ.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, dims, size = _batch(func, args, in_dims)
        state = torch.get_rng_state()
        results = []
        for i in range(size):
            if randomness == "same":
                torch.set_rng_state(state)
            sample = [x if d is None else x.select(d, i) for x, d in zip(leaves, dims)]
            results.append(func(*unflatten(args, sample), **kwargs))
            if randomness == "error" and not torch.equal(torch.get_rng_state(), state):
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either use the "
                    "'same' or 'different' randomness flags on vmap or perform the randomness operation out of vmap"
                )
        return _stacked(func, results, out_dims)

    return run


def _name(func: Any) -> str:
    return getattr(func, "__name__", repr(func))


def _batch(func: Any, args: tuple[Any, ...], in_dims: Any) -> tuple[list[Any], list[Any], int]:
    """The leaves of the arguments, the batch dimension of each, the batch size."""
    told = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, list, tuple)):
        raise ValueError(
            f"{told}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    spec = tuple(in_dims) if isinstance(in_dims, list) else in_dims
    leaves, dims = flatten(args), broadcast_to(spec, args, _DIM)
    if dims is None:
        raise ValueError(
            f"{told}in_dims is not compatible with the structure of `inputs`. in_dims has structure {in_dims} but "
            f"inputs has {len(args)} arguments."
        )
    dims = [_checked_dim(told, x, d) for x, d in zip(leaves, dims)]
    sizes = [x.shape[d] for x, d in zip(leaves, dims) if d is not None]
    if not sizes:
        raise ValueError(f"{told}Expected at least one Tensor to vmap over or all in_dims are None")
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


def _stacked(func: Any, results: list[Any], out_dims: Any) -> Any:
    if not results:
        raise ValueError(f"vmap({_name(func)}): the batch has no samples, so the results' shapes are not known")
    first = results[0]
    spec = tuple(out_dims) if isinstance(out_dims, list) else out_dims
    dims = broadcast_to(spec, first, _DIM)
    if dims is None and isinstance(spec, tuple) and len(spec) == 1:
        dims = broadcast_to(spec[0], first, _DIM)
    if dims is None:
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims}): out_dims is not compatible with the structure of `outputs`"
        )
    columns = list(zip(*(flatten(r) for r in results)))
    for column in columns:
        if not isinstance(column[0], torch.Tensor):
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, "
                f"got type {type(column[0])}. Did you mean to set out_dims= to None for output?"
            )
    return unflatten(first, [c[0] if d is None else torch.stack(c, d) for c, d in zip(columns, dims)])
