"""Checkpoints as a folder: ``.metadata``, and files in which entries lie, each as ``torch.save`` writes it."""

from __future__ import annotations

import io
import os
import pickle
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flambeau as torch
from flambeau.distributed.checkpoint import _metadata_file
from flambeau.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from flambeau.serialization._files import writing
from flambeau.serialization._save import SavedStorages, pickle_of

__all__ = ["FileSystemReader", "FileSystemWriter"]

_FILE = "__0_0.distcp"  # of the only process


@dataclass
class _StorageInfo:
    """Where an entry lies."""

    relative_path: str
    offset: int
    length: int
    transform_descriptors: Sequence[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if v is not None}


class FileSystemWriter:
    """Writes checkpoints to a folder.

    Args:
        path: the folder; it is made if it is not there.
        single_file_per_rank: accepted; there is one file.
        sync_files: accepted; the file is on the disk when it has been written.
        thread_count: accepted.
        per_thread_copy_ahead: accepted.
        cache_staged_state_dict: accepted.
        overwrite: whether a checkpoint that is there may be replaced.
    """

    def __init__(
        self, path: str | os.PathLike[str], single_file_per_rank: bool = True, sync_files: bool = True,
        thread_count: int = 1, per_thread_copy_ahead: int = 10_000_000, cache_staged_state_dict: bool = False,
        overwrite: bool = True,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self.overwrite = overwrite

    def write(self, flat: dict[str, Any], paths: dict[str, tuple[Any, ...]]) -> Metadata:
        """Writes entries by their full names.

        Raises:
            RuntimeError: there is a checkpoint, which may not be replaced.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._ask_to_overwrite()
        known: dict[str, Any] = {}
        places: dict[MetadataIndex, _StorageInfo] = {}
        with writing(self.path / _FILE) as file:
            for name, value in sorted(flat.items(), key=lambda item: isinstance(item[1], torch.Tensor)):
                known[name], index = _described(name, value)
                data = _bytes_of(value)
                places[index] = _StorageInfo(_FILE, file.tell(), len(data))
                file.write(data)
        meta = StorageMeta(str(self.path), str(uuid.uuid4()))
        metadata = Metadata({name: known[name] for name in flat}, dict(paths), places, meta, "1.0.0")
        with writing(self.path / ".metadata") as file:
            file.write(pickle_of(metadata, pickle, 4, SavedStorages(False)))
        return metadata

    def _ask_to_overwrite(self) -> None:
        if not (self.path / ".metadata").exists():
            return
        if not self.overwrite:
            raise RuntimeError(f"Checkpoint already exists and self.overwrite={self.overwrite}.")
        warnings.warn(
            f"Detected an existing checkpoint in {self.path}, overwriting since self.overwrite={self.overwrite}. Past "
            "version 2.5 of PyTorch, `overwrite` will default to False. Set this variable to True to maintain this "
            "functionality or False to raise when an existing checkpoint is found.",
            stacklevel=4,
        )


def _described(name: str, value: Any) -> tuple[Any, MetadataIndex]:
    if not isinstance(value, torch.Tensor):
        return BytesStorageMetadata(), MetadataIndex(name)
    offsets = torch.Size([0] * value.ndim)
    chunk = ChunkStorageMetadata(offsets, value.size())
    properties = TensorProperties.create_from_tensor(value.detach())
    return TensorStorageMetadata(properties, value.size(), [chunk]), MetadataIndex(name, offsets, 0)


def _bytes_of(value: Any) -> bytes:
    """A file of this entry alone: of a view, without what it does not show."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.untyped_storage().nbytes() != value.numel() * value.element_size():
            value = value.clone()
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class FileSystemReader:
    """Reads checkpoints from a folder, also those that several processes have written.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read_metadata(self) -> Metadata:
        """What the checkpoint holds.

        Raises:
            UnpicklingError: the file is damaged, or names what does not belong there.
        """
        return _metadata_file.read((self.path / ".metadata").read_bytes(), _StorageInfo)

    def read_bytes(self, metadata: Metadata, name: str) -> Any:
        """An object that is no tensor.

        Raises:
            UnpicklingError: of a class that `torch.serialization.add_safe_globals` has not been told of.
        """
        return self._read(metadata.storage_data[MetadataIndex(name)])

    def read_tensor(self, metadata: Metadata, name: str, target: Any) -> None:
        """Copies a tensor to ``target``, part by part."""
        for chunk in metadata.state_dict_metadata[name].chunks:  # type: ignore[union-attr]
            part = self._read(metadata.storage_data[MetadataIndex(name, chunk.offsets)])
            place = target
            for dim, (start, length) in enumerate(zip(chunk.offsets, chunk.sizes)):
                place = place.narrow(dim, start, length)
            place.copy_(part)

    def _read(self, info: _StorageInfo) -> Any:
        """An entry.

        Raises:
            UnpicklingError: it is not in a file of the folder.
        """
        if info.transform_descriptors:
            raise NotImplementedError(f"entries of a checkpoint under {list(info.transform_descriptors)}")
        path = (self.path / info.relative_path).resolve()
        begin, end = info.offset, info.offset + info.length
        if not path.is_relative_to(self.path.resolve()) or not 0 <= begin <= end <= path.stat().st_size:
            raise pickle.UnpicklingError(f"the metadata names bytes {begin} to {end} of {info.relative_path}")
        with open(path, "rb") as file:
            file.seek(begin)
            data = file.read(info.length)
        return torch.load(io.BytesIO(data), weights_only=True)
