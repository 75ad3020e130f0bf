"""Look-up tables."""

from __future__ import annotations

from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.nn import init
from flambeau.nn.parameter import Parameter

from ..._execution import get_ready_for_sizes
from .module import Module

__all__ = ["Embedding", "EmbeddingBag"]

get_ready_for_sizes()
_OF_TEXTS = torch.argmax, torch.split  # which are imported when they are first named


def _checked_padding_idx(padding_idx: int | None, num_embeddings: int, name: str) -> int | None:
    """A padding index from the start of the table."""
    if padding_idx is None:
        return None
    if not (-num_embeddings <= padding_idx < num_embeddings or padding_idx == 0):
        raise AssertionError(f"{name} must be within num_embeddings")
    return padding_idx + num_embeddings if padding_idx < 0 else padding_idx


class _Table(Module):
    """What both kinds of table have in common."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    weight: Any

    def _make_weight(self, given: Any, requires_grad: bool, device: Any, dtype: Any) -> None:
        """Registers the table: a given one, or a random one."""
        shape = (self.num_embeddings, self.embedding_dim)
        if given is None:
            self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype), requires_grad=requires_grad)
            self.reset_parameters()
            return
        if list(given.shape) != list(shape):
            raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
        self.weight = Parameter(given, requires_grad=requires_grad)

    def reset_parameters(self) -> None:
        """Draws the table anew from N(0, 1), with zeros for the padding."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    def _fill_padding_idx_with_zero(self) -> None:
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].fill_(0)


class Embedding(_Table):
    """A table of vectors, looked up by integers of any shape (*): gives (*, embedding_dim).

    Args:
        num_embeddings: Number of vectors.
        embedding_dim: Size of each.
        padding_idx: A row that is 0 and gets no gradient.
        max_norm: Rows with a larger norm are scaled down to it when they are looked up.
        norm_type: Which norm that is.
        scale_grad_by_freq: Divide gradients by how often the row occurs in the batch.
        sparse: Ask for sparse gradients.
        _weight: The table to begin with. Default: drawn from N(0, 1).
        _freeze: Do not learn the table.
        device: Where the table is.
        dtype: What the table is.

    Raises:
        AssertionError: ``padding_idx`` is out of range or the table has another shape.
    """

    __constants__ = [
        "num_embeddings",
        "embedding_dim",
        "padding_idx",
        "max_norm",
        "norm_type",
        "scale_grad_by_freq",
        "sparse",
    ]

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = _checked_padding_idx(padding_idx, num_embeddings, "Padding_idx")
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self._make_weight(_weight, not _freeze, device, dtype)
        self.sparse = sparse

    def forward(self, input: Any) -> Any:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        if self.max_norm is not None:
            parts.append(f"max_norm={self.max_norm}")
        if self.norm_type != 2:
            parts.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq is not False:
            parts.append(f"scale_grad_by_freq={self.scale_grad_by_freq}")
        if self.sparse is not False:
            parts.append("sparse=True")
        return ", ".join(parts)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Any:
        """A table with given values.

        Args:
            embeddings: The values, (num_embeddings, embedding_dim).
            freeze: Do not learn the table.
            padding_idx: As for the constructor, as the arguments below.
            max_norm: See the constructor.
            norm_type: See the constructor.
            scale_grad_by_freq: See the constructor.
            sparse: See the constructor.
        """
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, cols = embeddings.shape
        return cls(
            num_embeddings=rows,
            embedding_dim=cols,
            _weight=embeddings,
            _freeze=freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a table, without making the rows.

    Args:
        num_embeddings: Number of vectors.
        embedding_dim: Size of each.
        max_norm: Rows with a larger norm are scaled down to it when they are looked up.
        norm_type: Which norm that is.
        scale_grad_by_freq: Divide gradients by how often the row occurs in the batch.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        sparse: Ask for sparse gradients.
        _weight: The table to begin with. Default: drawn from N(0, 1).
        include_last_offset: The offsets have one more element, the number of indices.
        padding_idx: A row that is left out of the bags.
        device: Where the table is.
        dtype: What the table is.

    Raises:
        AssertionError: ``padding_idx`` is out of range or the table has another shape.
    """

    __constants__ = [
        "num_embeddings",
        "embedding_dim",
        "max_norm",
        "norm_type",
        "scale_grad_by_freq",
        "mode",
        "sparse",
        "include_last_offset",
        "padding_idx",
    ]

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.padding_idx = _checked_padding_idx(padding_idx, num_embeddings, "padding_idx")
        self._make_weight(_weight, True, device, dtype)
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """The bags.

        Args:
            input: Indices, (B, N) or (N,).
            offsets: With indices (N,), where each bag begins.
            per_sample_weights: A factor for each index, with mode ``"sum"``.
        """
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.max_norm is not None:
            parts.append(f"max_norm={self.max_norm!r}")
        if self.norm_type != 2:
            parts.append(f"norm_type={self.norm_type!r}")
        if self.scale_grad_by_freq is not False:
            parts.append(f"scale_grad_by_freq={self.scale_grad_by_freq!r}")
        parts.append(f"mode={self.mode!r}")
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx!r}")
        return ", ".join(parts)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Any:
        """A table with given values.

        Args:
            embeddings: The values, (num_embeddings, embedding_dim).
            freeze: Do not learn the table.
            max_norm: As for the constructor, as the arguments below.
            norm_type: See the constructor.
            scale_grad_by_freq: See the constructor.
            mode: See the constructor.
            sparse: See the constructor.
            include_last_offset: See the constructor.
            padding_idx: See the constructor.
        """
        if embeddings.dim() != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, cols = embeddings.shape
        bag = cls(
            num_embeddings=rows,
            embedding_dim=cols,
            _weight=embeddings,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        bag.weight.requires_grad = not freeze
        return bag
