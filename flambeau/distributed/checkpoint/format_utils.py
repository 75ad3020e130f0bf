"""Checkpoints as files of ``torch.save``, and back."""

from __future__ import annotations

import os
from typing import Any

import flambeau as torch
from flambeau.distributed.checkpoint import save
from flambeau.distributed.checkpoint.filesystem import FileSystemReader
from flambeau.distributed.checkpoint.metadata import TensorStorageMetadata

__all__ = ["dcp_to_torch_save", "torch_save_to_dcp"]


def dcp_to_torch_save(dcp_checkpoint_dir: str | os.PathLike[str], torch_save_path: str | os.PathLike[str]) -> None:
    """Writes a checkpoint's whole state_dict as one file."""
    reader = FileSystemReader(dcp_checkpoint_dir)
    metadata = reader.read_metadata()
    state: dict[str, Any] = {}
    for name, entry in metadata.state_dict_metadata.items():
        if isinstance(entry, TensorStorageMetadata):
            value = torch.empty(entry.size, dtype=entry.properties.dtype)
            reader.read_tensor(metadata, name, value)
        else:
            value = reader.read_bytes(metadata, name)
        _place(state, (metadata.planner_data or {}).get(name, (name,)), value)
    torch.save(state, torch_save_path)


def _place(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    """Puts an entry into dictionaries and lists, which are made on the way."""
    for step, following in zip(path, path[1:]):
        made: Any = [] if isinstance(following, int) else {}
        if isinstance(tree, list):
            _lengthen(tree, step)
            tree[step] = made if tree[step] is None else tree[step]
        tree = tree[step] if isinstance(tree, list) else tree.setdefault(step, made)
    if isinstance(tree, list):
        _lengthen(tree, path[-1])
    tree[path[-1]] = value


def _lengthen(entries: list[Any], k: int) -> None:
    entries += [None] * (k + 1 - len(entries))


def torch_save_to_dcp(torch_save_path: str | os.PathLike[str], dcp_checkpoint_dir: str | os.PathLike[str]) -> None:
    """Writes the state_dict of a file as a checkpoint."""
    save(torch.load(torch_save_path), checkpoint_id=dcp_checkpoint_dir)
