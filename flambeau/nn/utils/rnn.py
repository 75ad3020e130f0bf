"""Batches of sequences of different lengths: packed, padded, and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import flambeau as torch

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence_(NamedTuple):
    """The fields of a :class:`PackedSequence`."""

    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(PackedSequence_):
    """A batch of sequences without padding: all first elements, then all second elements, and so on.

    Made by :func:`pack_padded_sequence` and :func:`pack_sequence`, used by recurrent networks.

    Attributes:
        data: (sum of lengths, *).
        batch_sizes: For each step the number of sequences that are that long; int64.
        sorted_indices: Which sequence of the batch comes first, second, ... (by decreasing length), or None.
        unsorted_indices: The inverse permutation, or None.
    """

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> Any:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:  # both in one argument, as old versions had it
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. "
                "Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence "
                "and pack_padded_sequences in nn.utils.rnn. "
                "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Converts the data as ``Tensor.to`` does; gives itself when there is nothing to do."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = (None if t is None else t.to(data.device) for t in self[2:])
        return type(self)(data, self.batch_sizes, *indices)

    def cpu(self) -> Any:
        """Moves the data to the CPU."""
        return self.to(device="cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> Any:
        """Moves the data to a GPU, where the package has one."""
        if not args and "device" not in kwargs:
            kwargs["device"] = "cuda"
        return self.to(*args, **kwargs)

    def double(self) -> Any:
        """Converts the data to float64."""
        return self.to(dtype=torch.double)

    def float(self) -> Any:
        """Converts the data to float32."""
        return self.to(dtype=torch.float)

    def half(self) -> Any:
        """Converts the data to float16."""
        return self.to(dtype=torch.half)

    def long(self) -> Any:
        """Converts the data to int64."""
        return self.to(dtype=torch.long)

    def int(self) -> Any:
        """Converts the data to int32."""
        return self.to(dtype=torch.int)

    def short(self) -> Any:
        """Converts the data to int16."""
        return self.to(dtype=torch.short)

    def char(self) -> Any:
        """Converts the data to int8."""
        return self.to(dtype=torch.int8)

    def byte(self) -> Any:
        """Converts the data to uint8."""
        return self.to(dtype=torch.uint8)

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self.data.is_cuda

    def pin_memory(self) -> Any:
        """The same with its tensors in pinned memory."""
        indices = (None if t is None else t.pin_memory() for t in self[2:])
        return type(self)(self.data.pin_memory(), self.batch_sizes, *indices)

    def is_pinned(self) -> bool:
        """Whether the data is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation: Any) -> Any:
    """The inverse of a permutation; None gives None."""
    if permutation is None:
        return None
    places = torch.arange(0, permutation.numel(), device=permutation.device)
    return torch.empty_like(permutation).scatter_(0, permutation, places)


def _check_lengths(input: Any, lengths: Any, batch_size: int) -> list[int]:
    """The lengths as a list, if they fit the batch and are sorted."""
    if lengths.dim() != 1:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D cpu Long tensor"
        )
    sizes = lengths.tolist()
    if len(sizes) != batch_size:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={batch_size})"
        )
    if sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if any(first < second for first, second in itertools.pairwise(sizes)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when "
            "`enforce_sorted` is True. You can pass `enforce_sorted=False` "
            "to pack_padded_sequence and/or pack_sequence to sidestep this "
            "requirement if you do not need ONNX exportability."
        )
    return sizes


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a batch of padded sequences.

    Args:
        input: (T, B, *), or (B, T, *) with ``batch_first``.
        lengths: The length of each sequence.
        batch_first: See ``input``.
        enforce_sorted: The sequences are sorted by decreasing length; otherwise they are sorted here.

    Raises:
        RuntimeError: The lengths do not fit the input, or are not sorted.
    """
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if isinstance(lengths, torch.Tensor):
        lengths = lengths.to(dtype=torch.int64)
    else:
        lengths = torch.as_tensor(lengths, dtype=torch.int64)
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = torch.sort(lengths, descending=True)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    if batch_first:
        input = input.transpose(0, 1)
    sizes = _check_lengths(input, lengths, input.size(1))
    if sizes[0] > input.size(0):
        raise RuntimeError(f"a length of {sizes[0]} is more than the {input.size(0)} steps of the padded input")
    # From the end of one length to the end of the next, the batch keeps its size.
    blocks, batch_sizes, start = [], [], 0
    for end, count in _steps_by_batch_size(sizes):
        blocks.append(input[start:end, :count].reshape(-1, *input.shape[2:]))
        batch_sizes += [count] * (end - start)
        start = end
    return PackedSequence(torch.cat(blocks), torch.tensor(batch_sizes, dtype=torch.int64), sorted_indices, None)


def _steps_by_batch_size(sizes: list[int]) -> list[tuple[int, int]]:
    """For each different length, ascending: the length and how many sequences are at least that long."""
    return [(n, sum(size >= n for size in sizes)) for n in sorted(set(sizes))]


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Pads a packed batch.

    Args:
        sequence: The batch.
        batch_first: Give (B, T, *) rather than (T, B, *).
        padding_value: What the padding is.
        total_length: How many steps to pad to. Default: the length of the longest sequence.

    Returns:
        The padded batch and the lengths, in the order before packing.

    Raises:
        ValueError: ``total_length`` is less than the longest sequence.
    """
    batch_sizes = sequence.batch_sizes.tolist()
    steps, batch = len(batch_sizes), batch_sizes[0]
    if total_length is not None and total_length < steps:
        raise ValueError(
            "Expected total_length to be at least the length "
            "of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {steps}"
        )
    data = sequence.data
    shape = data.shape[1:]
    rows, blocks = 0, []
    for count, group in itertools.groupby(batch_sizes):
        n = len(list(group))
        block = data[rows : rows + n * count].reshape(n, count, *shape)
        rows += n * count
        if count < batch:
            block = torch.cat([block, data.new_full((n, batch - count, *shape), padding_value)], 1)
        blocks.append(block)
    if total_length is not None and total_length > steps:
        blocks.append(data.new_full((total_length - steps, batch, *shape), padding_value))
    padded = torch.cat(blocks)
    lengths = torch.tensor([sum(size > i for size in batch_sizes) for i in range(batch)], dtype=torch.int64)
    if batch_first:
        padded = padded.transpose(0, 1)
    unsorted = sequence.unsorted_indices
    if unsorted is not None:
        return padded.index_select(0 if batch_first else 1, unsorted), lengths[unsorted.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Pads sequences of different lengths to one batch.

    Args:
        sequences: Tensors (L_i, *).
        batch_first: Give (B, T, *) rather than (T, B, *).
        padding_value: What the padding is.
        padding_side: ``"right"`` or ``"left"``.

    Raises:
        RuntimeError: There are no sequences, or the side is another one.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, torch.Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(sequence).__name__}")
    length = max(sequence.size(0) for sequence in sequences)
    padded = []
    for sequence in sequences:
        missing = length - sequence.size(0)
        if missing:
            padding = sequence.new_full((missing, *sequence.shape[1:]), padding_value)
            sequence = torch.cat([sequence, padding] if padding_side == "right" else [padding, sequence])
        padded.append(sequence)
    return torch.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each with its own length.

    Args:
        padded_sequences: (T, B, *), or (B, T, *) with ``batch_first``.
        lengths: The length of each sequence.
        batch_first: See ``padded_sequences``.
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    sizes = lengths.tolist() if isinstance(lengths, torch.Tensor) else list(lengths)
    return [sequence[:n].clone() for sequence, n in zip(padded_sequences, sizes, strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences of different lengths.

    Args:
        sequences: Tensors (L_i, *).
        enforce_sorted: They are sorted by decreasing length; otherwise they are sorted here.
    """
    lengths = torch.as_tensor([sequence.size(0) for sequence in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, in the order before packing."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
