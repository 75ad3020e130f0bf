"""``flex_attention``: attention whose scores and mask a program computes from indices
(https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html).

The program's functions are called once, with tensors of all indices that broadcast against one another, and what they
compute is compiled together with the attention around it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau as torch

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "and_masks", "create_block_mask", "create_mask", "flex_attention",
    "noop_mask", "or_masks",
]  # fmt: skip

_DEFAULT_SPARSE_BLOCK_SIZE = 128

Mod = Callable[..., Any]


class AuxRequest(NamedTuple):
    """What ``flex_attention`` is to give besides its output."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """The logarithms of the sums of exponentials, and the largest scores, each (B, H, Q) or None."""

    lse: Any = None
    max_scores: Any = None


def noop_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Any:
    """A mask that hides nothing."""
    return torch.ones((), dtype=torch.bool)


def and_masks(*mask_mods: Mod) -> Mod:
    """A mask of what none of these hides."""
    _need_functions(mask_mods)

    def mask(b: Any, h: Any, q: Any, kv: Any) -> Any:
        kept = noop_mask(b, h, q, kv)
        for mod in mask_mods:
            kept = kept & mod(b, h, q, kv)
        return kept

    return mask


def or_masks(*mask_mods: Mod) -> Mod:
    """A mask of what at least one of these does not hide."""
    _need_functions(mask_mods)

    def mask(b: Any, h: Any, q: Any, kv: Any) -> Any:
        kept = ~noop_mask(b, h, q, kv)
        for mod in mask_mods:
            kept = kept | mod(b, h, q, kv)
        return kept

    return mask


def _need_functions(mods: tuple[Mod, ...]) -> None:
    if not all(callable(mod) for mod in mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mods}")


def _indices(*sizes: int) -> tuple[Any, ...]:
    """Of each dimension, in a tensor that lies along it."""
    n = len(sizes)
    return tuple(torch.arange(size).view([-1 if d == k else 1 for d in range(n)]) for k, size in enumerate(sizes))


def create_mask(mod_fn: Mod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None) -> Any:
    """What a mask function, or a score function of zero scores, gives for all indices: (B, H, Q_LEN, KV_LEN)."""
    shape = (B or 1, H or 1, Q_LEN, KV_LEN)
    if len(inspect.signature(mod_fn).parameters) == 5:
        return mod_fn(torch.zeros(shape), *_indices(*shape)).expand(shape)
    return mod_fn(*_indices(*shape)).expand(shape)


class BlockMask:
    """A mask function with the sizes that it is for, and which blocks of the scores it hides whole.

    Attributes:
        shape: (B, H, Q_LEN, KV_LEN); B and H are 1 where all share a mask.
        seq_lengths: (Q_LEN, KV_LEN).
        mask_mod: The function.
        BLOCK_SIZE: Rows and columns of a block.
    """

    def __init__(self, shape: tuple[int, ...], mask_mod: Mod, block: tuple[int, int]) -> None:
        self.shape = shape
        self.seq_lengths = shape[2:]
        self.mask_mod = mask_mod
        self.BLOCK_SIZE = block

    def numel(self) -> int:
        """How many scores there are."""
        return math.prod(self.shape)

    def to_dense(self) -> Any:
        """1 for each block of which something is seen, int32: (B, H, blocks of rows, blocks of columns)."""
        rows, columns = self.BLOCK_SIZE
        _, _, q, kv = self.shape
        mask = create_mask(self.mask_mod, *self.shape)
        mask = torch.nn.functional.pad(mask, (0, -kv % columns, 0, -q % rows))
        blocks = mask.unflatten(3, (-1, columns)).unflatten(2, (-1, rows))
        return blocks.any(5).any(3).to(torch.int32)

    def sparsity(self) -> float:
        """Percent of the scores that lie in blocks that are hidden whole; blocks that jut out count as whole."""
        seen = self.to_dense().sum().item() * math.prod(self.BLOCK_SIZE)
        return 100.0 * (1 - seen / self.numel())

    def __repr__(self) -> str:
        name = getattr(self.mask_mod, "__name__", type(self.mask_mod).__name__)
        return (f"BlockMask(\n    BLOCK_SIZE={self.BLOCK_SIZE},\n    shape={self.shape},\n"
                f"    sparsity={self.sparsity():.2f}%,\n    mask_mod={name}\n)")  # fmt: skip


def create_block_mask(
    mask_mod: Mod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
) -> BlockMask:
    """The mask of a function of the indices (batch, head, row, column); B and H None: the same for all."""
    block = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    return BlockMask((B or 1, H or 1, Q_LEN, KV_LEN), mask_mod, block)  # type: ignore[arg-type]


def flex_attention(
    query: Any,
    key: Any,
    value: Any,
    score_mod: Mod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: Any = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """Attention with ``score_mod(score, batch, head, row, column)`` over the scores and a mask.

    Args:
        query: (B, Hq, L, E).
        key: (B, Hkv, S, E).
        value: (B, Hkv, S, Ev).
        score_mod: Changes scores; called with broadcasting tensors.
        block_mask: What is seen.
        scale: Of the scores; 1 / sqrt(E) by default.
        enable_gqa: Hq may be a multiple of Hkv.
        return_lse: Also give the logarithms of the sums of exponentials.
        kernel_options: Ignored.
        return_aux: What to give besides.

    Returns:
        (B, Hq, L, Ev); with ``return_lse`` or ``return_aux`` a pair.

    Raises:
        NotImplementedError: an input has not four dimensions.
        ValueError: sizes do not fit.
    """
    _check(query, key, value, enable_gqa)
    if enable_gqa:
        key, value = [x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value)]
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    at = _indices(*scores.shape)
    if score_mod is not None:
        scores = score_mod(scores, *at)
    if block_mask is not None:
        scores = scores.masked_fill(~block_mask.mask_mod(*at), -math.inf)
    lse = scores.logsumexp(-1)
    weights = (scores - lse.masked_fill(lse == -math.inf, 0).unsqueeze(-1)).exp()
    out = weights.to(value.dtype) @ value
    if return_aux is not None:
        return out, AuxOutput(
            lse if return_aux.lse else None, scores.amax(-1).detach() if return_aux.max_scores else None
        )
    return (out, lse) if return_lse else out


def _check(query: Any, key: Any, value: Any, grouped: bool) -> None:
    if any(x.dim() != 4 for x in (query, key, value)):
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension "
            f"but got E={query.shape[-1]} and E={key.shape[-1]}."
        )
    many, few = query.shape[1], key.shape[1]
    if not grouped and many != few:
        raise ValueError(
            "Expect query and key/value to have the same number of heads "
            f"but got Hq={many} and Hkv={few}. Try setting enable_gqa=True for GQA."
        )
    if grouped and many % few:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={many} and Hkv={few}."
        )
