"""From indices to batches (`torch.utils.data._utils.fetch`)."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as torch

from ..dataset import Subset, TensorDataset


class Fetcher:
    """Gets the data of an index, or of a list of indices, and collates it."""

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last

    def fetch(self, index: Any) -> Any:
        """The data of an index; a list of indices if batches are made here."""
        raise NotImplementedError


class _Settler:
    """Computes batches before the program gets them, so that their making is no part of a training step's program.

    Samples of varying structure (rows of different lengths written in place) make every batch a new program; once
    that has been seen a few times in a row, samples are computed one by one, as there are fewer kinds of them.
    """

    LIMIT = 3

    def __init__(self) -> None:
        self.graph = importlib.import_module(f"{torch.__package__}.graph")
        self.new_programs = 0

    def sample(self, x: Any) -> Any:
        """Called with each sample."""
        if self.new_programs >= self.LIMIT:
            self.graph.realise()
        return x

    def batch(self, x: Any) -> Any:
        """Called with each batch."""
        before = self.graph.counters["compiles"]
        self.graph.realise()
        if self.new_programs < self.LIMIT:
            self.new_programs = self.new_programs + 1 if self.graph.counters["compiles"] > before else 0
        return x


class MapFetcher(Fetcher):
    """Indexes a dataset; a whole batch at once if it has `__getitems__`."""

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.settler = _Settler()

    def fetch(self, index: Any) -> Any:
        """The data of an index or of a list of them."""
        if not self.auto_collation:
            return self.collate_fn(self.dataset[index])
        together = getattr(self.dataset, "__getitems__", None)
        samples = together(index) if together else [self.settler.sample(self.dataset[i]) for i in index]
        return self.settler.batch(self.collate_fn(samples))


class IterableFetcher(Fetcher):
    """Takes as many samples from an iterable dataset as there are indices."""

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.samples = iter(dataset)
        self.ended = False

    def fetch(self, index: Any) -> Any:
        """The next sample or batch.

        Raises:
            StopIteration: there is none.
        """
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.samples))
        batch = []
        for _ in index:
            try:
                batch.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(index)):
            raise StopIteration
        return self.collate_fn(batch)


class TensorFetcher(Fetcher):
    """Indexes the tensors of a `TensorDataset` (or a `Subset` of one) once for a whole batch.

    Gives what `default_collate` makes of the samples, without making the samples. The batch is computed at once, so
    that a training step's program does not depend on the data set's size, and labels can be checked at the loss's call.
    """

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.settler = _Settler()

    def fetch(self, index: Any) -> Any:
        """The batch of a list of indices."""
        dataset: Any = self.dataset
        while type(dataset) is Subset:
            index = [dataset.indices[i] for i in index]
            dataset = dataset.dataset
        rows = torch.tensor(np.array(index, np.int64))
        return self.settler.batch([tensor[rows] for tensor in dataset.tensors])


def holds_plain_tensors(dataset: Any) -> bool:
    """Can `TensorFetcher` read this dataset?"""
    while type(dataset) is Subset:
        if not (type(dataset.indices) is list and all(type(i) is int for i in dataset.indices)):
            return False
        dataset = dataset.dataset
    return type(dataset) is TensorDataset and all(_is_plain(tensor) for tensor in dataset.tensors)


def _is_plain(tensor: Any) -> bool:
    """A strided tensor without a gradient: indexing and stacking give the same."""
    return type(tensor) is torch.Tensor and tensor.layout == torch.strided and not tensor.requires_grad


MAP, STREAM = 0, 1  # `_DatasetKind`
FETCHERS: dict[int, type[Fetcher]] = {MAP: MapFetcher, STREAM: IterableFetcher}


def fetcher_maker(loader: Any) -> Callable[[Any], Fetcher]:
    """The function from the dataset, or a worker's copy of it, to what gets and collates its data.

    Packages give iterators loaders of their own classes (fastai does), so this asks for PyTorch's attributes alone.
    """
    reads_rows = getattr(loader, "_reads_rows", None)
    kind: Any = TensorFetcher if reads_rows is not None and reads_rows() else FETCHERS[loader._dataset_kind]
    options = {"collate_fn": loader.collate_fn, "drop_last": loader.drop_last}
    return functools.partial(kind, auto_collation=loader._auto_collation, **options)
